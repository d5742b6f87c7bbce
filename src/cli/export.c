/* salmap export: a run's results as text. */
#include "cli/cli.h"

#include <stdio.h>

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

int cli_export(int argc, char **argv)
{
    int first;
    settings s = {0};
    cli_parsed parsed = cli_parse(&first, &s, self, argc, argv);
    if (parsed != CLI_GO)
        return parsed == CLI_HELPED ? cli_finish(NULL, CLI_OK) : CLI_USAGE;
    if (s.csv && s.json)
        return cli_fail(self, CLI_USAGE, "--csv and --json exclude each other");
    const sal_export_options o = {
        .size = sizeof o, .format = s.json ? SAL_EXPORT_JSON : SAL_EXPORT_CSV, .timings = s.timings};
    const sal_status st = sal_sweep_export(argv[first], s.out, write_out, NULL, &o);
    /* Where standard output is gone, cli_finish says so. */
    if (st == SAL_ERROR_CANCELLED)
        return cli_finish(self, CLI_FAILED);
    return cli_finish(self, st == SAL_OK ? CLI_OK : cli_fail_status(self, st));
}
