/* The pictures that operands name: files as they are, folders as what is in them. */
#ifndef SAL_CLI_PICTURES_H
#define SAL_CLI_PICTURES_H

#include "cli/cli.h"

typedef struct cli_pictures {
    char **paths;
    size_t count;
    size_t capacity;
} cli_pictures;

/* Folders give their .png, .jpg, .jpeg, .tif, .tiff and .npy files sorted by name, but for
 * what salmap itself wrote there. Files are not looked at. Returns an exit code, after a message. */
int cli_pictures_collect(cli_pictures *out, const cli_command *command, char *const *operands, int count);
void cli_pictures_clear(cli_pictures *pictures);

#endif
