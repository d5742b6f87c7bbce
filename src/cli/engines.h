/* One engine for each device of a list. */
#ifndef SAL_CLI_ENGINES_H
#define SAL_CLI_ENGINES_H

#include "cli/cli.h"

enum { CLI_MAX_ENGINES = 64 };

typedef struct cli_engines {
    sal_engine *list[CLI_MAX_ENGINES];
    size_t count;
} cli_engines;

/* devices: NULL, or names with commas between them, where cuda:all stands for all GPUs. Returns the exit code. */
int cli_engines_open(cli_engines *out, const cli_command *command, sal_model *model, const char *devices,
                     const sal_engine_options *options);
void cli_engines_close(cli_engines *engines); /* fine on a zeroed struct */

#endif
