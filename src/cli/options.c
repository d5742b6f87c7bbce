#include "cli/cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_OPTIONS = 96, FIRST_LONG = 256, HELP_COLUMN = 30, CHOICE_SIZE = 32 };

/* ---- Suggestions -------------------------------------------------------- */

/* Levenshtein distance of words shorter than 64 letters. */
static size_t distance(const char *a, const char *b)
{
    size_t row[64], n = strlen(b);
    if (strlen(a) >= 64 || n >= 64)
        return 64;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[n];
}

const char *cli_closest(const char *word, const char *const *candidates, size_t count)
{
    const char *best = NULL;
    size_t limit = strlen(word) / 3 + 1, least = limit + 1;
    for (size_t i = 0; i < count; i++) {
        size_t d = strncmp(candidates[i], word, strlen(word)) == 0 && *word ? 1 : distance(word, candidates[i]);
        if (d < least && d <= limit) {
            least = d;
            best = candidates[i];
        }
    }
    return best;
}

/* ---- Help --------------------------------------------------------------- */

static void print_option(char letter, const char *name, const char *value, const char *help)
{
    char left[128];
    int n = letter ? snprintf(left, sizeof left, "  -%c, --%s", letter, name)
                   : snprintf(left, sizeof left, "      --%s", name);
    if (value)
        n += snprintf(left + n, sizeof left - (size_t)n, " %s", value);
    if (n >= HELP_COLUMN)
        printf("%s\n%*s%s\n", left, HELP_COLUMN, "", help);
    else
        printf("%-*s%s\n", HELP_COLUMN, left, help);
}

static void print_help(const cli_command *c)
{
    printf("Usage: salmap %s [OPTION]...%s%s\n%s\n", c->name, c->operands ? " " : "", c->operands ? c->operands : "",
           c->summary);
    if (c->option_count == 0 || c->options[0].kind != CLI_HEADING)
        printf("\n");
    for (size_t i = 0; i < c->option_count; i++) {
        const cli_option *o = &c->options[i];
        if (o->kind == CLI_HEADING)
            printf("\n%s:\n", o->help);
        else
            print_option(o->letter, o->name, o->value, o->help);
    }
    print_option('h', "help", NULL, "show this help");
}

/* ---- Values ------------------------------------------------------------- */

static int refuse(const cli_command *c, const cli_option *o, const char *value, const char *wanted)
{
    cli_fail(c, 0, "--%s: '%s' is not %s", o->name, value, wanted);
    return 0;
}

static int set_choice(int *field, const cli_command *c, const cli_option *o, const char *value)
{
    char words[200], wanted[256];
    *field = sal_word_value(o->value, value);
    if (*field >= 0)
        return 1;
    snprintf(wanted, sizeof wanted, "one of %s", sal_words_list(words, sizeof words, o->value));
    return refuse(c, o, value, wanted);
}

/* "--figure", "--figure=svg", and "--figure svg": a word behind it belongs to it if it is one of its words alone. */
static int set_maybe(int *field, const cli_command *c, const cli_option *o, const char *value, const char *next)
{
    const char *taken = NULL;
    *field = 1;
    if (!value && next && sal_word_value(o->value, next) >= 0) {
        taken = next;
        optind++;
    }
    if (!value && !taken)
        return 1;
    if (!set_choice(field, c, o, value ? value : taken))
        return 0;
    ++*field;
    return 1;
}

static int set_number(void *field, const cli_command *c, const cli_option *o, const char *value)
{
    char *end, wanted[128];
    double number;
    if (o->kind == CLI_INTEGER) {
        long long whole = strtoll(value, &end, 10);
        number = (double)whole;
        if (end != value && !*end && number >= o->low && number <= o->high && (long long)number == whole) {
            *(int64_t *)field = whole;
            return 1;
        }
    } else {
        number = strtod(value, &end);
        if (end != value && !*end && number >= o->low && number <= o->high) {
            *(double *)field = number;
            return 1;
        }
    }
    if (o->kind == CLI_INTEGER)
        snprintf(wanted, sizeof wanted, "a whole number from %.0f to %.0f", o->low, o->high);
    else
        snprintf(wanted, sizeof wanted, "a number from %g to %g", o->low, o->high);
    return refuse(c, o, value, wanted);
}

static int add_text(cli_list *field, const cli_command *c, const cli_option *o, const char *value)
{
    if (field->count == CLI_LIST_ROOM) {
        cli_fail(c, 0, "--%s: is given more than %d times", o->name, CLI_LIST_ROOM);
        return 0;
    }
    field->texts[field->count++] = value;
    return 1;
}

/* "-" is standard output to other programs. */
static int is_name_of_output(const cli_command *c, const cli_option *o, const char *value)
{
    if (o->letter != 'o' || strcmp(value, "-") != 0)
        return 1;
    cli_fail(c, 0, "--%s: results cannot be written to standard output: give a name (./- for a file called '-')",
             o->name);
    return 0;
}

/* next: what follows on the command line, or NULL. */
static int set_value(void *settings, const cli_command *c, const cli_option *o, const char *value, const char *next)
{
    void *field = (char *)settings + o->offset;
    switch (o->kind) {
    case CLI_FLAG: *(int *)field = 1; return 1;
    case CLI_TEXT: *(const char **)field = value; return is_name_of_output(c, o, value);
    case CLI_CHOICE: return set_choice(field, c, o, value);
    case CLI_MAYBE: return set_maybe(field, c, o, value, next);
    case CLI_INTEGER:
    case CLI_REAL: return set_number(field, c, o, value);
    case CLI_LIST: return add_text(field, c, o, value);
    case CLI_HEADING: break;
    }
    return 0;
}

/* ---- Parsing ------------------------------------------------------------ */

/* What getopt_long works from. */
typedef struct tables {
    struct option longs[MAX_OPTIONS + 2];
    char letters[2 * MAX_OPTIONS + 4];
    const char *names[MAX_OPTIONS + 1];
    size_t count; /* of names */
} tables;

static void make_tables(tables *t, const cli_command *c)
{
    size_t letters = 0;
    memset(t, 0, sizeof *t);
    t->letters[letters++] = ':'; /* a missing value is told apart */
    t->letters[letters++] = 'h';
    for (size_t i = 0; i < c->option_count && i < MAX_OPTIONS; i++) {
        const cli_option *o = &c->options[i];
        if (o->kind == CLI_HEADING)
            continue;
        int takes = o->kind != CLI_FLAG;
        const int kind = !takes ? no_argument : o->kind == CLI_MAYBE ? optional_argument : required_argument;
        t->longs[t->count] = (struct option){o->name, kind, NULL, FIRST_LONG + (int)i};
        t->names[t->count++] = o->name;
        if (o->letter) {
            t->letters[letters++] = o->letter;
            if (takes)
                t->letters[letters++] = ':';
        }
    }
    t->longs[t->count] = (struct option){"help", no_argument, NULL, 'h'};
    t->names[t->count++] = "help";
}

static const cli_option *option_of(const cli_command *c, int code)
{
    if (code >= FIRST_LONG)
        return &c->options[code - FIRST_LONG];
    for (size_t i = 0; i < c->option_count; i++)
        if (c->options[i].letter && c->options[i].letter == code)
            return &c->options[i];
    return NULL;
}

/* A file whose name begins as options do. */
static int is_file(const char *word)
{
    return word && word[0] == '-' && word[1] && access(word, F_OK) == 0;
}

static void explain_unknown(const cli_command *c, const tables *t, char *const *at)
{
    const cli_option *known = optopt ? option_of(c, optopt) : NULL;
    const char *word = at[-1], *file = is_file(at[0]) ? at[0] : at[-1];
    if (known) {
        cli_fail(c, 0, "--%s takes no value", known->name);
        return;
    }
    if (is_file(file)) {
        cli_fail(c, 0, "'%s' looks like an option; to name the file, write ./%s", file, file);
        return;
    }
    if (optopt) {
        cli_fail(c, 0, "unknown option '-%c'", optopt);
        return;
    }
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    const char *closest = cli_closest(name, t->names, t->count);
    if (closest)
        cli_fail(c, 0, "unknown option '--%s'; did you mean '--%s'?", name, closest);
    else
        cli_fail(c, 0, "unknown option '--%s'", name);
}

static cli_parsed refused(const cli_command *c)
{
    fprintf(stderr, "Try 'salmap %s --help'.\n", c->name);
    return CLI_REFUSED;
}

static cli_parsed check_operands(const cli_command *c, int given, char *const *operands)
{
    for (int i = 0; i < given; i++)
        if (strcmp(operands[i], "-") == 0) {
            cli_fail(c, 0, "'-' is standard input, which is not read: give a name, such as ./- itself");
            return refused(c);
        }
    if (!c->operands && given)
        cli_fail(c, 0, "too many operands; none is expected");
    else if (given < c->min_operands)
        cli_fail(c, 0, "%s; expected %s", given ? "too few operands" : "no operands", c->operands);
    else if (c->max_operands && given > c->max_operands)
        cli_fail(c, 0, "too many operands; expected %s", c->operands);
    else
        return CLI_GO;
    return refused(c);
}

cli_parsed cli_parse(int *first, void *settings, const cli_command *c, int argc, char **argv)
{
    tables t;
    make_tables(&t, c);
    opterr = 0;
    for (;;) {
        optopt = 0;
        int code = getopt_long(argc, argv, t.letters, t.longs, NULL);
        if (code == -1)
            break;
        if (code == 'h') {
            print_help(c);
            return CLI_HELPED;
        }
        if (code == '?') {
            explain_unknown(c, &t, argv + optind);
            return refused(c);
        }
        if (code == ':') {
            const cli_option *o = option_of(c, optopt);
            cli_fail(c, 0, "--%s needs a value: %s", o ? o->name : "?", o ? o->value : "");
            return refused(c);
        }
        if (!set_value(settings, c, option_of(c, code), optarg, optind < argc ? argv[optind] : NULL))
            return refused(c);
    }
    *first = optind;
    return check_operands(c, argc - optind, argv + optind);
}
