/* salmap export: a run's results as text. */
#include "cli/cli.h"
#include "cli/signals.h"
#include "cli/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct settings {
    int csv;
    int json;
    const char *out;
    int timings;
} settings;

static const cli_option options[] = {
    CLI_OPTION(CLI_FLAG, 0, "csv", NULL, csv, "a table, one line per map (default)"),
    CLI_OPTION(CLI_FLAG, 0, "json", NULL, json, "one JSON object per picture and line"),
    CLI_OPTION(CLI_TEXT, 'o', "out", "FILE", out, "file to write (default: standard output)"),
    CLI_OPTION(CLI_FLAG, 0, "timings", NULL, timings, "with milliseconds, which no two runs have in common"),
};

const cli_command cli_export_command = {
    .name = "export",
    .operands = "RUN",
    .summary = "The results of a sweep as CSV or JSON, in the order of its list.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .works = 1,
    .min_operands = 1,
    .max_operands = 1,
};
static const cli_command *const self = &cli_export_command;

static int write_out(void *context, const char *bytes, size_t size)
{
    (void)context;
    return cli_write(bytes, size) != 0;
}

/* What was written of a line so far. */
typedef struct line {
    char *text;
    size_t used;
    size_t room;
} line;

static int add(line *l, const char *bytes, size_t size)
{
    if (l->used + size + 1 > l->room) {
        const size_t room = 2 * (l->used + size + 1);
        char *text = realloc(l->text, room);
        if (!text)
            return 0;
        l->text = text;
        l->room = room;
    }
    memcpy(l->text + l->used, bytes, size);
    l->used += size;
    l->text[l->used] = '\0';
    return 1;
}

/* Onto a terminal: without the controls that names may have. */
static int show(void *context, const char *bytes, size_t size)
{
    line *l = context;
    while (size > 0) {
        const char *newline = memchr(bytes, '\n', size);
        const size_t part = newline ? (size_t)(newline - bytes) + 1 : size;
        if (!add(l, bytes, part)) {
            cli_output_failed(ENOMEM);
            return 1;
        }
        if (newline) {
            text_print(stdout, "%s", l->text);
            l->used = 0;
        }
        bytes += part;
        size -= part;
    }
    return ferror(stdout) && cli_flush();
}

static sal_status export_run(const settings *s, const char *run)
{
    const sal_export_options o = {
        .size = sizeof o, .format = s->json ? SAL_EXPORT_JSON : SAL_EXPORT_CSV, .timings = s->timings};
    line l = {.used = 0};
    const int shown = !s->out && isatty(STDOUT_FILENO);
    const sal_status st = sal_sweep_export(run, s->out, shown ? show : write_out, &l, &o);
    free(l.text);
    return st;
}

int cli_export(int argc, char **argv)
{
    int first;
    settings s = {0};
    cli_parsed parsed = cli_parse(&first, &s, self, argc, argv);
    if (parsed != CLI_GO)
        return parsed == CLI_HELPED ? cli_finish(NULL, CLI_OK) : CLI_USAGE;
    if (s.csv && s.json)
        return cli_fail(self, CLI_USAGE, "--csv and --json exclude each other");
    if (s.out)
        cli_hold_signals(); /* the file is finished first: nothing half-written stays */
    const sal_status st = export_run(&s, argv[first]);
    if (cli_stop_signal())
        cli_die_of(cli_stop_signal());
    /* Where standard output is gone, cli_finish says so. */
    if (st == SAL_ERROR_CANCELLED)
        return cli_finish(self, CLI_FAILED);
    return cli_finish(self, st == SAL_OK ? CLI_OK : cli_fail_status(self, st));
}
