/* Pictures on a terminal, as well as it can: by the protocols of kitty and iTerm2, as sixels, or in half blocks. */
#ifndef SAL_CLI_SHOW_H
#define SAL_CLI_SHOW_H

#include "salmap/salmap.h"

#define CLI_WORDS_SHOW "auto|kitty|iterm2|sixel|blocks"

typedef enum cli_show_how {
    CLI_SHOW_AUTO,
    CLI_SHOW_KITTY,
    CLI_SHOW_ITERM2,
    CLI_SHOW_SIXEL,
    CLI_SHOW_BLOCKS
} cli_show_how;

typedef struct cli_show {
    int on; /* 0: nothing is shown */
    cli_show_how how;
    int plain;   /* 1: NO_COLOR is set, blocks are letters */
    int columns; /* of the terminal that a picture may take, */
    int rows;
    int cell_width; /* and pixels of each */
    int cell_height;
} cli_show;

/* What the terminal of standard output can do, by what it says of itself in the environment, or as it is asked for. 0:
 * standard output is no terminal. */
int cli_show_begin(cli_show *show, cli_show_how how);
/* A PNG file of 8-bit RGB, as overlays are. Does nothing where none of it can be read. */
void cli_show_file(const cli_show *show, const char *path);

#endif
