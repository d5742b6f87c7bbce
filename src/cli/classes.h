/* The names of a network's outputs, for those who read what the program prints. */
#ifndef SAL_CLI_CLASSES_H
#define SAL_CLI_CLASSES_H

#include "cli/cli.h"

/* Names of a file where there is a path, else those that the model's file has; *out NULL: there are none. They are as
 * many as the network's outputs, or two of a yes or no. Returns an exit code, after a message. */
int cli_classes_open(sal_classes **out, const cli_command *command, const char *path, const sal_model *model);
/* "0 age_0, 1 age_1, 2 age_10 ... 40 age_9": the first ones and the last; returns text. */
const char *cli_classes_text(char *text, size_t size, const sal_classes *classes);

#endif
