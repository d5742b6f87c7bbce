/* salmap render: overlays and figures of a run in other colours. */
#include "cli/job.h"
#include "cli/signals.h"
#include "cli/text.h"

#include <stdio.h>
#include <string.h>

typedef struct settings {
    const char *out_dir;
    int overlay_format; /* -1: not given */
    int64_t overlay_size;
    int figure; /* 1 and a sal_page_format */
    int64_t panel_size;
    int figures_only;
    const char *root;
    int quiet;
    cli_job job; /* colours and limits alone */
} settings;

static const cli_option options[] = {
    CLI_HEAD("Results"),
    CLI_OPTION(CLI_TEXT, 'o', "out", "DIR", out_dir, "folder for the results; made when it is not there"),
    CLI_OPTION(CLI_CHOICE, 0, "overlay-format", SAL_WORDS_OVERLAY_FORMAT, overlay_format, "(default: jpeg)"),
    CLI_NUMBER(CLI_INTEGER, 0, "overlay-size", "PIXELS", overlay_size,
               "an overlay's longer side, at most (default: 1600)", 1, 1e9),
    CLI_OPTION(CLI_MAYBE, 0, "figure", SAL_WORDS_PAGE, figure,
               "also a figure: picture, map with colour bar, overlay (default format: png)"),
    CLI_NUMBER(CLI_INTEGER, 0, "panel-size", "PIXELS", panel_size, "height of a figure's panels (default: 448)", 64,
               4096),
    CLI_OPTION(CLI_FLAG, 0, "figures-only", NULL, figures_only, "no overlays"),
    CLI_OPTION(CLI_TEXT, 0, "root", "DIR", root,
               "where its pictures lie; needed where that is outside of the current folder"),
    CLI_OPTION(CLI_FLAG, 'q', "quiet", NULL, quiet, "print errors only"),
    CLI_HEAD("Colours"),
    CLI_DRAWING_OPTIONS,
    CLI_LIMIT_OPTIONS,
};

const cli_command cli_render_command = {
    .name = "render",
    .operands = "RUN -o DIR",
    .summary = "Overlays and figures of a sweep again, in other colours, from the maps that it kept.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .works = 1,
    .min_operands = 1,
    .max_operands = 1,
};
static const cli_command *const self = &cli_render_command;

static void tell_failed(void *context, const char *path, const char *error)
{
    (void)context;
    const char *named = strstr(error, path);
    /* Most errors begin with the file. */
    if (named && (named == error || named[-1] == '/') && named[strlen(path)] == ':')
        cli_fail(self, 0, "%s", error);
    else
        cli_fail(self, 0, "%s: %s", path, error);
}

static int is_stopped(void *context, size_t done)
{
    (void)context, (void)done;
    return cli_stop_signal() != 0;
}

/* What would be ignored is refused. */
static int check(const settings *s)
{
    if (s->panel_size && !s->figure)
        return cli_fail(self, CLI_USAGE, "--panel-size: only figures have panels; give --figure as well");
    if (s->figures_only && (s->overlay_format >= 0 || s->overlay_size))
        return cli_fail(self, CLI_USAGE, "--overlay-%s: --figures-only draws no overlays; leave one of the two out",
                        s->overlay_format >= 0 ? "format" : "size");
    return CLI_OK;
}

static int render(const settings *s, const char *run_path)
{
    cli_run_options run;
    sal_render_info info = SAL_RENDER_INFO_INIT;
    sal_render_options o = SAL_RENDER_OPTIONS_INIT;
    int code = check(s);
    if (code == CLI_OK)
        code = cli_job_options(&run, self, &s->job);
    if (code != CLI_OK)
        return code;
    run.explain.out_dir = s->out_dir;
    run.explain.figure = s->figure > 0;
    run.explain.figure_format = s->figure > 0 ? s->figure - 1 : 0;
    run.explain.panel_size = s->panel_size;
    o.explain = &run.explain;
    o.root = s->root;
    o.overlay_format = s->overlay_format >= 0 ? (sal_overlay_format)s->overlay_format : SAL_OVERLAY_JPEG;
    o.overlay_size = s->overlay_size;
    o.figures_only = s->figures_only;
    o.picture_failed = tell_failed;
    o.progress = is_stopped;
    cli_hold_signals();
    const sal_status st = sal_run_render(&info, run_path, &o);
    if (cli_stop_signal())
        cli_die_of(cli_stop_signal());
    if (st != SAL_OK)
        return cli_fail_status(self, st);
    if (!s->quiet)
        text_print(stdout, "%zu of %zu pictures drawn, %zu failed -> %s\n", info.pictures - info.failed, info.pictures,
                   info.failed, s->out_dir);
    cli_finish_report();
    if (info.missing == info.pictures && !s->root && !s->quiet)
        cli_note(self, "no picture is there: give --root DIR if they lie elsewhere now");
    return info.failed ? CLI_SOME_FAILED : CLI_OK;
}

int cli_render(int argc, char **argv)
{
    int first;
    settings s = {.overlay_format = -1};
    cli_job_defaults(&s.job);
    cli_parsed parsed = cli_parse(&first, &s, self, argc, argv);
    if (parsed != CLI_GO)
        return parsed == CLI_HELPED ? cli_finish(NULL, CLI_OK) : CLI_USAGE;
    if (!s.out_dir)
        return cli_fail(self, CLI_USAGE, "no output folder: give -o DIR");
    return cli_finish(self, render(&s, argv[first]));
}
