/* salmap sheet: the overlays of a run on one page. */
#include "cli/job.h"
#include "cli/signals.h"
#include "cli/text.h"

#include <stdio.h>
#include <string.h>

typedef struct settings {
    const char *out;
    const char *sort;
    int reverse;
    int64_t rows;
    int64_t columns;
    int64_t panel_size;
    int quiet;
    cli_job job; /* limits alone */
} settings;

static const cli_option options[] = {
    CLI_OPTION(CLI_TEXT, 'o', "out", "FILE", out, "file to write: its name ends in .png, .svg or .pdf"),
    CLI_OPTION(CLI_TEXT, 0, "sort", "COLUMN", sort,
               "a column of results.csv, the highest first, or 'error': how far from the label"),
    CLI_OPTION(CLI_FLAG, 0, "reverse", NULL, reverse, "the lowest first"),
    CLI_NUMBER(CLI_INTEGER, 0, "rows", "N", rows, "rows of pictures, at most (default: 6)", 1, 1000),
    CLI_NUMBER(CLI_INTEGER, 0, "columns", "N", columns, "columns of pictures, at most (default: 6)", 1, 1000),
    CLI_NUMBER(CLI_INTEGER, 0, "panel-size", "PIXELS", panel_size, "longer side of each picture (default: 240)", 32,
               4096),
    CLI_OPTION(CLI_FLAG, 'q', "quiet", NULL, quiet, "print errors only"),
    CLI_LIMIT_OPTIONS,
};

const cli_command cli_sheet_command = {
    .name = "sheet",
    .operands = "RUN -o FILE",
    .summary = "A contact sheet of a sweep: its overlays on one page, sorted as you like.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .works = 1,
    .min_operands = 1,
    .max_operands = 1,
};
static const cli_command *const self = &cli_sheet_command;

static void tell_failed(void *context, const char *file, const char *error)
{
    (void)context;
    (void)file; /* the error names it */
    cli_fail(self, 0, "%s", error);
}

static int is_stopped(void *context, size_t done)
{
    (void)context, (void)done;
    return cli_stop_signal() != 0;
}

/* A sal_page_format, or -1 after a message. */
static int format_of(const char *path)
{
    const char *dot = strrchr(path, '.');
    const int format = dot ? sal_word_value(SAL_WORDS_PAGE, dot + 1) : -1;
    if (format < 0)
        return cli_fail(self, -1, "%s: its name does not say what it is to be: let it end in .png, .svg or .pdf", path);
    if (dot == path || dot[-1] == '/')
        return cli_fail(self, -1, "%s: is an ending without a name: give one such as sheet%s", path, dot);
    return format;
}

int cli_sheet(int argc, char **argv)
{
    int first;
    settings s = {0};
    sal_sheet_info info = SAL_SHEET_INFO_INIT;
    sal_sheet_options o = SAL_SHEET_OPTIONS_INIT;
    cli_run_options run;
    cli_job_defaults(&s.job);
    cli_parsed parsed = cli_parse(&first, &s, self, argc, argv);
    if (parsed != CLI_GO)
        return parsed == CLI_HELPED ? cli_finish(NULL, CLI_OK) : CLI_USAGE;
    if (!s.out)
        return cli_fail(self, CLI_USAGE, "no file to write: give -o FILE");
    if (s.reverse && !s.sort)
        return cli_fail(self, CLI_USAGE, "--reverse: there is no order to turn around; give --sort COLUMN as well");
    const int format = format_of(s.out);
    if (format < 0)
        return CLI_USAGE;
    const int code = cli_job_options(&run, self, &s.job);
    if (code != CLI_OK)
        return code;
    o.limits = &run.limits;
    o.format = (sal_page_format)format;
    o.sort = s.sort;
    o.reverse = s.reverse;
    o.rows = s.rows;
    o.columns = s.columns;
    o.panel_size = s.panel_size;
    o.map_failed = tell_failed;
    o.progress = is_stopped;
    cli_hold_signals(); /* nothing half-written stays */
    const sal_status st = sal_run_sheet(&info, argv[first], s.out, &o);
    if (cli_stop_signal())
        cli_die_of(cli_stop_signal());
    if (st != SAL_OK)
        return cli_finish(self, cli_fail_status(self, st));
    if (!s.quiet && info.failed)
        text_print(stdout, "%zu of %zu maps, and %zu that cannot be read -> %s\n", info.shown - info.failed, info.maps,
                   info.failed, s.out);
    else if (!s.quiet)
        text_print(stdout, "%zu of %zu maps -> %s\n", info.shown, info.maps, s.out);
    cli_finish_report();
    return cli_finish(self, info.failed ? CLI_SOME_FAILED : CLI_OK);
}
