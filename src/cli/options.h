/* Options of subcommands: a table makes the parser, its messages and the help. */
#ifndef SAL_CLI_OPTIONS_H
#define SAL_CLI_OPTIONS_H

#include "salmap/salmap.h"

typedef enum cli_kind {
    CLI_HEADING, /* a line of the help */
    CLI_FLAG,    /* int, 1 when given */
    CLI_TEXT,    /* const char * */
    CLI_CHOICE,  /* int: position in `value`, "minmax|none" */
    CLI_MAYBE,   /* the same counted from 1, where the word may be left out: 1, then */
    CLI_INTEGER, /* int64_t, low to high */
    CLI_REAL,    /* double, low to high */
    CLI_LIST     /* cli_list: the option may be given several times */
} cli_kind;

enum { CLI_LIST_ROOM = 256 };

typedef struct cli_list {
    const char *texts[CLI_LIST_ROOM];
    size_t count;
} cli_list;

typedef struct cli_option {
    cli_kind kind;
    char letter;       /* short form, or 0 */
    const char *name;  /* long form */
    const char *value; /* "DIR"; of choices all of them */
    size_t offset;     /* of the field in the subcommand's settings */
    const char *help;
    double low;
    double high;
} cli_option;

/* Rows of a table; field is one of the subcommand's `settings`. */
#define CLI_HEAD(text)                                                                                                 \
    {                                                                                                                  \
        CLI_HEADING, 0, NULL, NULL, 0, text, 0, 0                                                                      \
    }
#define CLI_OPTION(kind, letter, name, value, field, help)                                                             \
    {                                                                                                                  \
        kind, letter, name, value, offsetof(settings, field), help, 0, 0                                               \
    }
#define CLI_NUMBER(kind, letter, name, value, field, help, low, high)                                                  \
    {                                                                                                                  \
        kind, letter, name, value, offsetof(settings, field), help, low, high                                          \
    }

typedef struct cli_command {
    const char *name;
    const char *operands; /* "MODEL PICTURE..."; NULL: none */
    const char *summary;  /* one line */
    const cli_option *options;
    size_t option_count;
    int min_operands;
    int max_operands; /* 0: any number */
    int works; /* 1: what it prints is not all: a reader that left is told of, since work or results may be lost */
} cli_command;

typedef enum cli_parsed { CLI_GO, CLI_HELPED, CLI_REFUSED } cli_parsed;

/* Fills the settings from argv and reorders it: operands are argv[*first] and on.
 * Prints the help (CLI_HELPED) or what is wrong (CLI_REFUSED). */
cli_parsed cli_parse(int *first, void *settings, const cli_command *command, int argc, char **argv);

/* The candidate closest to a mistyped word, or NULL when none is close. */
const char *cli_closest(const char *word, const char *const *candidates, size_t count);

#endif
