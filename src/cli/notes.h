/* What was taken for granted of pictures: told of the first one at once, and of the others in one number at the end. */
#ifndef SAL_CLI_NOTES_H
#define SAL_CLI_NOTES_H

#include "cli/cli.h"

enum { CLI_NOTE_KINDS = 8 };

/* Begin with {0}. */
typedef struct cli_notes {
    size_t count[CLI_NOTE_KINDS]; /* of pictures, by bit of sal_note */
} cli_notes;

/* A picture's notes, as the library gives them. Returns the text of what is new with them, to be freed: a line for each
 * kind that no picture had before; NULL: nothing. */
char *cli_notes_add(cli_notes *notes, int64_t kinds, const char *text);
/* The word for a bit, by its number: "depth". */
const char *cli_notes_word(int bit);
/* Prints the text, that of a picture. */
void cli_notes_tell(const cli_command *command, const char *path, const char *text);
/* How many there were of each kind that was told of more than one. */
void cli_notes_end(const cli_notes *notes, const cli_command *command);

#endif
