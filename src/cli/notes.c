#include "cli/notes.h"

#include <stdlib.h>
#include <string.h>

const char *cli_notes_word(int bit)
{
    static const char *const words[] = {"depth", "range", "alpha", "exif", "gray"};
    return bit >= 0 && bit < (int)(sizeof words / sizeof *words) ? words[bit] : "other";
}

char *cli_notes_add(cli_notes *n, int64_t kinds, const char *text)
{
    char *fresh = kinds && text ? calloc(1, strlen(text) + 1) : NULL;
    size_t used = 0;
    for (int bit = 0; bit < CLI_NOTE_KINDS; bit++) {
        if (!(kinds >> bit & 1))
            continue;
        const size_t length = text ? strcspn(text, "\n") : 0;
        if (n->count[bit]++ == 0 && fresh && length) {
            if (used)
                fresh[used++] = '\n';
            memcpy(fresh + used, text, length);
            used += length;
        }
        if (text)
            text += length + (text[length] == '\n');
    }
    if (used == 0) {
        free(fresh);
        return NULL;
    }
    return fresh;
}

void cli_notes_tell(const cli_command *self, const char *path, const char *text)
{
    while (*text) {
        const size_t length = strcspn(text, "\n");
        cli_note(self, "%s: %.*s", path, (int)length, text);
        text += length + (text[length] == '\n');
    }
}

void cli_notes_end(const cli_notes *n, const cli_command *self)
{
    for (int bit = 0; bit < CLI_NOTE_KINDS; bit++)
        if (n->count[bit] > 1)
            cli_note(self, "%s: %zu pictures in all", cli_notes_word(bit), n->count[bit]);
}
