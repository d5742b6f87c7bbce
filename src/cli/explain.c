/* salmap explain: maps of pictures. */
#include "cli/explain_report.h"
#include "cli/job.h"
#include "cli/signals.h"
#include "cli/sweep_list.h"

#include <stdlib.h>
#include <string.h>

typedef struct settings {
    const char *out_dir;
    const char *write;
    int figure; /* 1 and a sal_page_format */
    int64_t panel_size;
    int save_gradient;
    int show;
    int show_as;
    int json;
    int quiet;
    sweep_list list;
    cli_job job;
} settings;

static const cli_option options[] = {
    CLI_HEAD("Results"),
    CLI_OPTION(CLI_TEXT, 'o', "out", "DIR", out_dir, "folder for the results; made when it is not there"),
    CLI_OPTION(CLI_TEXT, 'w', "write", "LIST", write, "which files: map,overlay,npy (default), figure, gradient"),
    CLI_OPTION(CLI_MAYBE, 0, "figure", SAL_WORDS_PAGE, figure,
               "also a figure: picture, map with colour bar, overlay (default format: png)"),
    CLI_NUMBER(CLI_INTEGER, 0, "panel-size", "PIXELS", panel_size, "height of a figure's panels (default: 448)", 64,
               4096),
    CLI_OPTION(CLI_FLAG, 0, "save-gradient", NULL, save_gradient,
               "also the gradient, or what the method makes of it, (C,H,W) as .npy"),
    CLI_OPTION(CLI_FLAG, 0, "show", NULL, show, "draw the overlay on the terminal"),
    CLI_OPTION(CLI_CHOICE, 0, "show-as", CLI_WORDS_SHOW, show_as, "how to draw it (default: auto)"),
    CLI_OPTION(CLI_FLAG, 0, "json", NULL, json, "print one JSON object per picture and line"),
    CLI_OPTION(CLI_FLAG, 'q', "quiet", NULL, quiet, "print errors only"),
    SWEEP_LIST_OPTIONS,
    CLI_JOB_OPTIONS("predicted (default), label, index:N, top:K (K maps), margin or mean"),
};

const cli_command cli_explain_command = {
    .name = "explain",
    .operands = "MODEL INPUT... -o DIR",
    .summary = "Maps of pictures: what drove the prediction, as pictures and as numbers.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .works = 1,
    .min_operands = 2,
};
static const cli_command *const self = &cli_explain_command;

/* ---- Callbacks ----------------------------------------------------------- */

static void tell_lost_device(void *context, const char *device, const char *error)
{
    explain_report_clear(context);
    cli_note(self, "lost a device, its pictures go to the others: %s: %s", device, error);
}

static int on_progress(void *context, const sal_sweep_progress *p)
{
    explain_report_progress(context, p);
    return cli_stop_signal() != 0;
}

/* ---- From settings to the library's options ------------------------------ */

/* "overlay,map". */
static int set_write(int64_t *out, const char *text)
{
    static const struct {
        const char *word;
        sal_write bit;
    } all[] = {{"map", SAL_WRITE_MAP},
               {"overlay", SAL_WRITE_OVERLAY},
               {"npy", SAL_WRITE_NPY},
               {"figure", SAL_WRITE_FIGURE},
               {"gradient", SAL_WRITE_GRADIENT}};
    *out = 0;
    for (const char *at = text; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        const size_t length = strcspn(at, ",");
        size_t k = 0;
        while (k < sizeof all / sizeof *all && (strlen(all[k].word) != length || memcmp(all[k].word, at, length) != 0))
            k++;
        if (k == sizeof all / sizeof *all)
            return cli_fail(self, CLI_USAGE, "--write: '%.*s' is not one of map, overlay, npy, figure, gradient",
                            (int)length, at);
        *out |= all[k].bit;
    }
    return CLI_OK;
}

/* ---- The work ------------------------------------------------------------ */

static int code_of(sal_status st, size_t failed)
{
    if (st == SAL_OK)
        return failed ? CLI_SOME_FAILED : CLI_OK;
    if (st != SAL_ERROR_CANCELLED)
        return cli_fail_status(self, st);
    if (cli_stop_signal())
        cli_fail(self, 0, "%s", sal_last_error());
    return CLI_FAILED; /* without a signal, standard output is gone: cli_finish says so */
}

static int explain(const settings *s, const sal_explain_dataset_options *o, sal_model *model,
                   const sal_dataset *pictures)
{
    cli_engines engines = {.count = 0};
    sal_model_info info = SAL_MODEL_INFO_INIT;
    size_t failed = 0;
    explain_report report = {.json = s->json, .quiet = s->quiet, .pictures = pictures};
    report.is_gradient = !s->job.method.name || strcmp(s->job.method.name, "gradient") == 0;
    if (sal_model_get_info(&info, model) != SAL_OK)
        return cli_fail_library(self);
    int code = cli_job_engines(&engines, self, &s->job, model, sal_dataset_count(pictures));
    if (code != CLI_OK)
        return code;
    if ((s->show || s->show_as) && !cli_show_begin(&report.show, (cli_show_how)s->show_as))
        cli_note(self, "standard output is no terminal: --show draws nothing");
    explain_report_begin(&report, &info, o->explain);
    cli_hold_signals();
    const sal_status st =
        sal_explain_dataset(&failed, engines.list, engines.count, pictures, o, explain_report_picture, &report);
    explain_report_clear(&report);
    code = code_of(st, failed);
    if (st == SAL_OK)
        explain_report_end(&report, sal_dataset_count(pictures), failed);
    cli_engines_close(&engines);
    if (st == SAL_ERROR_CANCELLED && cli_stop_signal()) {
        (void)cli_flush();
        cli_die_of(cli_stop_signal());
    }
    return code;
}

static int open_and_explain(const settings *s, sal_explain_dataset_options *o, cli_run_options *run,
                            const char *model_path, const sal_dataset *pictures)
{
    sal_model *model = NULL;
    sal_classes *classes = NULL;
    int code = cli_network_open(&model, self, &s->job.network, model_path, &run->limits);
    if (code == CLI_OK)
        code = cli_job_preprocess(run, self, &s->job, model, sal_dataset_file(pictures, 0));
    if (code == CLI_OK)
        code = sweep_list_classes(&classes, &s->list, self, pictures, model, s->json || s->quiet);
    run->explain.classes = classes;
    if (code == CLI_OK)
        code = explain(s, o, model, pictures);
    sal_classes_close(classes);
    sal_model_close(model);
    return code;
}

static int run(const settings *s, char *const *operands, int count)
{
    sal_explain_dataset_options o = SAL_EXPLAIN_DATASET_OPTIONS_INIT;
    sal_dataset *pictures = NULL;
    cli_run_options run;
    int code = cli_job_options(&run, self, &s->job);
    run.explain.out_dir = s->out_dir;
    run.explain.figure = s->figure > 0;
    run.explain.figure_format = s->figure > 0 ? s->figure - 1 : 0;
    run.explain.panel_size = s->panel_size;
    run.explain.save_gradient = s->save_gradient;
    run.explain.device_lost = tell_lost_device;
    o.explain = &run.explain;
    o.label_as = s->list.label_as;
    o.classes_from = s->list.classes;
    o.progress = on_progress;
    if (code == CLI_OK && s->write)
        code = set_write(&o.write, s->write);
    if (o.write && (s->show || s->show_as))
        o.write |= SAL_WRITE_OVERLAY;
    if (code == CLI_OK && (s->show || s->show_as) && (s->json || s->quiet))
        code = cli_fail(self, CLI_USAGE, "--show goes with lines: leave --json and --quiet out");
    if (code == CLI_OK)
        code = sweep_list_open(&pictures, &s->list, self, (const char *const *)operands + 1, (size_t)count - 1,
                               s->json || s->quiet);
    if (code == CLI_OK)
        code = open_and_explain(s, &o, &run, operands[0], pictures);
    sal_dataset_close(pictures);
    return code;
}

int cli_explain(int argc, char **argv)
{
    int first;
    settings s = {0};
    cli_job_defaults(&s.job);
    cli_parsed parsed = cli_parse(&first, &s, self, argc, argv);
    if (parsed != CLI_GO)
        return parsed == CLI_HELPED ? cli_finish(NULL, CLI_OK) : CLI_USAGE;
    if (!s.out_dir)
        return cli_fail(self, CLI_USAGE, "no output folder: give -o DIR");
    return cli_finish(self, run(&s, argv + first, argc - first));
}
