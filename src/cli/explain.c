/* salmap explain: maps of pictures. */
#include "cli/classes.h"
#include "cli/explain_report.h"
#include "cli/job.h"

#include <stdlib.h>
#include <string.h>

typedef struct settings {
    const char *out_dir;
    int figure; /* 1 and a sal_page_format */
    int64_t panel_size;
    int save_gradient;
    const char *classes;
    int json;
    int quiet;
    cli_job job;
} settings;

static const cli_option options[] = {
    CLI_HEAD("Results"),
    CLI_OPTION(CLI_TEXT, 'o', "out", "DIR", out_dir, "folder for the results; made when it is not there"),
    CLI_OPTION(CLI_MAYBE, 0, "figure", SAL_WORDS_PAGE, figure,
               "also a figure: picture, map with colour bar, overlay (alone: png)"),
    CLI_NUMBER(CLI_INTEGER, 0, "panel-size", "PIXELS", panel_size, "height of a figure's panels (default: 448)", 64,
               4096),
    CLI_OPTION(CLI_FLAG, 0, "save-gradient", NULL, save_gradient,
               "also the gradient, or what the method makes of it, (C,H,W) as .npy"),
    CLI_OPTION(CLI_TEXT, 0, "classes", "FILE", classes,
               "names of the outputs: one a line, or JSON (default: those in the model's file)"),
    CLI_OPTION(CLI_FLAG, 0, "json", NULL, json, "print one JSON object per picture and line"),
    CLI_OPTION(CLI_FLAG, 'q', "quiet", NULL, quiet, "print errors only"),
    CLI_JOB_OPTIONS("predicted (default), index:N, top:K (K maps), margin or mean"),
};

const cli_command cli_explain_command = {
    .name = "explain",
    .operands = "MODEL PICTURE... -o DIR",
    .summary = "Maps of pictures: what drove the prediction, as pictures and as numbers.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .works = 1,
    .min_operands = 2,
};
static const cli_command *const self = &cli_explain_command;

static void tell_lost_device(void *context, const char *device, const char *error)
{
    (void)context;
    cli_note(self, "lost a device, its pictures go to the others: %s: %s", device, error);
}

static int explain(const settings *s, const sal_explain_options *o, sal_model *model, const char *const *paths,
                   size_t count)
{
    cli_engines engines = {.count = 0};
    sal_model_info info = SAL_MODEL_INFO_INIT;
    size_t failed = 0;
    explain_report report = {.json = s->json, .quiet = s->quiet};
    report.is_gradient = !s->job.method.name || strcmp(s->job.method.name, "gradient") == 0;
    if (sal_model_get_info(&info, model) != SAL_OK)
        return cli_fail_library(self);
    int code = cli_job_engines(&engines, self, &s->job, model, count);
    if (code != CLI_OK)
        return code;
    explain_report_begin(&report, &info, o, paths, count);
    sal_status st =
        sal_explain_files_on(&failed, engines.list, engines.count, paths, count, o, explain_report_picture, &report);
    if (st == SAL_ERROR_CANCELLED)
        code = CLI_FAILED; /* standard output is gone: cli_finish says so */
    else if (st != SAL_OK)
        code = cli_fail_status(self, st);
    else
        code = failed ? CLI_SOME_FAILED : CLI_OK;
    if (st == SAL_OK)
        explain_report_end(&report, count, failed);
    cli_engines_close(&engines);
    return code;
}

static int open_and_explain(const settings *s, cli_run_options *run, const char *model_path, const char *const *paths,
                            size_t count)
{
    sal_model *model = NULL;
    sal_classes *classes = NULL;
    int code = cli_network_open(&model, self, &s->job.network, model_path, &run->limits);
    if (code == CLI_OK)
        code = cli_job_preprocess(run, self, &s->job, model, count ? paths[0] : NULL);
    if (code == CLI_OK)
        code = cli_classes_open(&classes, self, s->classes, model);
    run->explain.classes = classes;
    if (code == CLI_OK)
        code = explain(s, &run->explain, model, paths, count);
    sal_classes_close(classes);
    sal_model_close(model);
    return code;
}

/* Operands are files as they are, and folders for what is in them. */
static int explain_operands(const settings *s, cli_run_options *run, const char *model_path, char *const *operands,
                            size_t count)
{
    static const sal_dataset_options as_named = {.size = sizeof as_named, .as_named = 1};
    sal_dataset *pictures = NULL;
    if (sal_dataset_open(&pictures, (const char *const *)operands, count, &as_named) != SAL_OK)
        return cli_fail_library(self);
    const size_t n = sal_dataset_count(pictures);
    const char **paths = calloc(n, sizeof *paths);
    int code = paths ? CLI_OK : cli_fail(self, CLI_FAILED, "out of memory for the list of pictures");
    for (size_t i = 0; i < n && paths; i++)
        paths[i] = sal_dataset_file(pictures, i);
    if (paths)
        code = open_and_explain(s, run, model_path, paths, n);
    free(paths);
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
    cli_run_options run;
    sal_explain_options *o = &run.explain;
    int code = cli_job_options(&run, self, &s.job);
    o->out_dir = s.out_dir;
    o->figure = s.figure > 0;
    o->figure_format = s.figure > 0 ? s.figure - 1 : 0;
    o->panel_size = s.panel_size;
    o->save_gradient = s.save_gradient;
    o->device_lost = tell_lost_device;
    if (code == CLI_OK)
        code = explain_operands(&s, &run, argv[first], argv + first + 1, (size_t)(argc - first - 1));
    return cli_finish(self, code);
}
