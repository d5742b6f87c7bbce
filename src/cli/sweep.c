/* salmap sweep: a data set, its results in a folder. */
#include "cli/job.h"
#include "cli/signals.h"
#include "cli/sweep_list.h"
#include "cli/sweep_report.h"
#include "salmap/plan.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct settings {
    const char *out_dir;
    int maps;
    const char *overlays;
    int overlay_format;
    const char *overlay_size;
    int64_t top_k;
    double tolerance;
    sweep_list list;
    const char *shard;
    int64_t max_failures;
    int restart;
    int retry_failed;
    int extend;
    int dry_run;
    int json;
    int quiet;
    cli_job job;
} settings;

static const cli_option options[] = {
    CLI_HEAD("Results"),
    CLI_OPTION(CLI_TEXT, 'o', "out", "RUN", out_dir, "run folder; the same command again goes on where it was"),
    CLI_OPTION(CLI_CHOICE, 0, "maps", SAL_WORDS_MAPS, maps, "maps as numbers (default: npy)"),
    CLI_OPTION(CLI_TEXT, 0, "overlays", "WHICH", overlays,
               "all (default), none, wrong (not the label), top:N (highest scores)"),
    CLI_OPTION(CLI_CHOICE, 0, "overlay-format", SAL_WORDS_OVERLAY_FORMAT, overlay_format, "(default: jpeg)"),
    CLI_OPTION(CLI_TEXT, 0, "overlay-size", "PIXELS", overlay_size,
               "of the longer side at most, or full: as the picture (default: 1600)"),
    CLI_NUMBER(CLI_INTEGER, 0, "top-k", "K", top_k, "best outputs kept of each picture (default: 5)", 1, 1000),
    CLI_NUMBER(CLI_REAL, 0, "tolerance", "X", tolerance,
               "regression: a value further from its label is wrong (default: 0.5)", 1e-30, 1e30),
    CLI_OPTION(CLI_FLAG, 0, "json", NULL, json, "print events, one JSON object a line"),
    CLI_OPTION(CLI_FLAG, 'q', "quiet", NULL, quiet, "print errors only"),
    SWEEP_LIST_OPTIONS,
    CLI_HEAD("The run"),
    CLI_OPTION(CLI_TEXT, 0, "shard", "I/N", shard, "do one part of N (from 0); auto, auto/N: from the launcher"),
    CLI_NUMBER(CLI_INTEGER, 0, "max-failures", "N", max_failures, "stop when more pictures have failed", 0, 1e15),
    CLI_OPTION(CLI_FLAG, 0, "restart", NULL, restart, "throw away what is there of an earlier run"),
    CLI_OPTION(CLI_FLAG, 0, "retry-failed", NULL, retry_failed, "try again whatever failed before"),
    CLI_OPTION(CLI_FLAG, 0, "extend", NULL, extend, "add pictures to a run: its own stay as they are"),
    CLI_OPTION(CLI_FLAG, 0, "dry-run", NULL, dry_run, "check everything, say what would be done, write nothing"),
    CLI_JOB_OPTIONS("predicted (default), label, index:N, top:K (K maps), margin or mean"),
};

const cli_command cli_sweep_command = {
    .name = "sweep",
    .operands = "MODEL INPUT... -o RUN",
    .summary = "Maps of a data set: a folder, a glob or a manifest; goes on after any interruption.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .works = 1,
    .min_operands = 2,
};
static const cli_command *const self = &cli_sweep_command;

/* ---- Callbacks ----------------------------------------------------------- */

static int on_progress(void *context, const sal_sweep_progress *p)
{
    sweep_report *r = context;
    sweep_report_progress(r, p);
    return cli_stop_signal() || (r->json && cli_flush());
}

static void on_failure(void *context, const char *path, const char *error)
{
    sweep_report_failure(context, path, error);
}

static void on_note(void *context, const char *path, int64_t notes, const char *text)
{
    sweep_report_note(context, path, notes, text);
}

static void on_lost_device(void *context, const char *device, const char *error)
{
    sweep_report_clear(context);
    cli_note(self, "lost a device, its pictures go to the others: %s: %s", device, error);
}

static void on_labels(void *context, const sal_label_counts *counts)
{
    sweep_report_labels(context, counts);
}

/* ---- From settings to the library's options ------------------------------ */

enum { MOST_PIXELS = 65500 }; /* of a side of a JPEG */

static int set_overlays(sal_sweep_options *o, const char *text)
{
    char *end;
    if (!text || strcmp(text, "all") == 0) {
        o->overlays = SAL_OVERLAYS_ALL;
    } else if (strcmp(text, "none") == 0) {
        o->overlays = SAL_OVERLAYS_NONE;
    } else if (strcmp(text, "wrong") == 0) {
        o->overlays = SAL_OVERLAYS_WRONG;
    } else {
        o->overlays = SAL_OVERLAYS_TOP;
        o->overlay_count = strncmp(text, "top:", 4) == 0 ? strtoll(text + 4, &end, 10) : 0;
        if (o->overlay_count < 1 || *end)
            return cli_fail(self, CLI_USAGE, "--overlays: '%s' is not all, none, wrong or top:N", text);
    }
    return CLI_OK;
}

static int set_overlay_size(sal_sweep_options *o, const char *text)
{
    char *end;
    if (!text)
        return CLI_OK;
    if (strcmp(text, "full") == 0) {
        o->overlay_size = SAL_OVERLAY_FULL;
        return CLI_OK;
    }
    o->overlay_size = isdigit((unsigned char)text[0]) ? strtoll(text, &end, 10) : 0;
    if (o->overlay_size < 1 || o->overlay_size > MOST_PIXELS || *end)
        return cli_fail(self, CLI_USAGE, "--overlay-size: '%s' is neither full nor a number from 1 to %d", text,
                        MOST_PIXELS);
    return CLI_OK;
}

static int set_options(sal_sweep_options *o, cli_run_options *how, const settings *s, const cli_shard *shard)
{
    int code = cli_job_options(how, self, &s->job);
    if (code == CLI_OK)
        code = set_overlays(o, s->overlays);
    if (code == CLI_OK)
        code = set_overlay_size(o, s->overlay_size);
    how->explain.out_dir = s->out_dir;
    how->explain.device_lost = on_lost_device;
    o->explain = &how->explain;
    o->maps = (sal_map_format)s->maps;
    o->overlay_format = (sal_overlay_format)s->overlay_format;
    o->predictions = s->top_k;
    o->tolerance = s->tolerance;
    o->shard = shard->index;
    o->shards = shard->count;
    o->max_failures = s->max_failures;
    o->restart = s->restart;
    o->retry_failed = s->retry_failed;
    o->extend = s->extend;
    o->dry_run = s->dry_run;
    o->label_as = (sal_label_as)s->list.label_as;
    o->classes_from = s->list.classes;
    o->labels_read = on_labels;
    o->progress = on_progress;
    o->picture_failed = on_failure;
    o->picture_noted = on_note;
    return code;
}

/* ---- The work ------------------------------------------------------------ */

static size_t count_shard(const sal_dataset *pictures, const cli_shard *shard)
{
    size_t count = 0;
    for (size_t i = 0; i < sal_dataset_count(pictures); i++)
        count += sal_dataset_in_shard(pictures, i, shard->index, shard->count) != 0;
    return count;
}

static int code_of(sal_status st, const sal_sweep_progress *last)
{
    if (st == SAL_OK)
        return last->failed ? CLI_SOME_FAILED : CLI_OK;
    if (st == SAL_ERROR_CANCELLED)
        return cli_stop_signal() ? cli_code_of_signal(cli_stop_signal())
                                 : CLI_FAILED; /* without a signal, standard output is gone */
    return st == SAL_ERROR_ARGUMENT ? CLI_USAGE : CLI_FAILED;
}

static const char *outcome_of(sal_status st)
{
    return st == SAL_OK ? "complete" : st == SAL_ERROR_CANCELLED ? "stopped" : "failed";
}

/* With engines that are open. */
static int sweep_with(const settings *s, sal_sweep_options *o, const cli_engines *engines, const sal_model_info *info,
                      const sal_dataset *pictures, const cli_shard *shard)
{
    sal_plan_info plan = SAL_PLAN_INFO_INIT;
    sal_sweep_progress last = SAL_SWEEP_PROGRESS_INIT;
    sweep_report report = {
        .json = s->json, .quiet = s->quiet, .dry_run = s->dry_run, .folder = s->out_dir, .classes = o->classes};
    report.tolerance = s->tolerance > 0.0 ? s->tolerance : 0.5; /* the library's */
    report.pictures = pictures;
    report.as_output = o->label_as == SAL_LABEL_AS_OUTPUT;
    report.regression = info->outputs == 1 && !info->detached;
    if (sal_engine_get_plan(&plan, engines->list[0]) != SAL_OK)
        return cli_fail_library(self);
    o->context = &report;
    sweep_report_begin(&report, info, o->explain, plan.device, sal_dataset_count(pictures), shard);
    const sal_status st = sal_sweep(&last, engines->list, engines->count, pictures, o);
    sweep_report_clear(&report);
    if (st != SAL_OK)
        cli_fail(self, 0, "%s", sal_last_error());
    if (s->dry_run && st == SAL_OK)
        sweep_report_plan(&report, info, &plan, pictures, shard, &last);
    else if (st == SAL_OK || (st == SAL_ERROR_CANCELLED && last.pictures > 0) || s->json)
        sweep_report_end(&report, &last, outcome_of(st));
    return s->dry_run && st == SAL_OK ? CLI_OK : code_of(st, &last);
}

static int sweep(const settings *s, sal_sweep_options *o, sal_model *model, const sal_dataset *pictures,
                 const cli_shard *shard)
{
    cli_engines engines = {.count = 0};
    sal_model_info info = SAL_MODEL_INFO_INIT;
    if (sal_model_get_info(&info, model) != SAL_OK)
        return cli_fail_library(self);
    int code = cli_job_engines(&engines, self, &s->job, model, count_shard(pictures, shard));
    if (code != CLI_OK)
        return code;
    code = sweep_with(s, o, &engines, &info, pictures, shard);
    cli_engines_close(&engines);
    return code;
}

static int open_and_sweep(const settings *s, sal_sweep_options *o, cli_run_options *how, const char *model_path,
                          const sal_dataset *pictures, const cli_shard *shard)
{
    sal_model *model = NULL;
    sal_classes *classes = NULL;
    int code = cli_network_open(&model, self, &s->job.network, model_path, &how->limits);
    if (code == CLI_OK)
        code = cli_job_preprocess(how, self, &s->job, model,
                                  sal_dataset_count(pictures) ? sal_dataset_file(pictures, 0) : NULL);
    if (code == CLI_OK)
        code = sweep_list_classes(&classes, &s->list, self, pictures, model, s->json || s->quiet);
    o->classes = classes;
    if (code == CLI_OK)
        code = sweep(s, o, model, pictures, shard);
    sal_classes_close(classes);
    sal_model_close(model);
    return code;
}

static int run(const settings *s, char *const *operands, int count)
{
    sal_sweep_options o = SAL_SWEEP_OPTIONS_INIT;
    cli_run_options how;
    sal_dataset *pictures = NULL;
    cli_shard shard;
    int code = cli_shard_find(&shard, self, s->shard);
    if (code == CLI_OK)
        code = set_options(&o, &how, s, &shard);
    if (code != CLI_OK)
        return code;
    o.inputs = (const char *const *)operands + 1;
    o.input_count = (size_t)count - 1;
    code = sweep_list_open(&pictures, &s->list, self, o.inputs, o.input_count, s->json || s->quiet);
    if (code == CLI_OK)
        code = open_and_sweep(s, &o, &how, operands[0], pictures, &shard);
    sal_dataset_close(pictures);
    return code;
}

int cli_sweep(int argc, char **argv)
{
    int first;
    settings s = {.max_failures = SAL_UNLIMITED};
    cli_job_defaults(&s.job);
    cli_parsed parsed = cli_parse(&first, &s, self, argc, argv);
    if (parsed != CLI_GO)
        return parsed == CLI_HELPED ? cli_finish(NULL, CLI_OK) : CLI_USAGE;
    if (!s.out_dir)
        return cli_fail(self, CLI_USAGE, "no run folder: give -o RUN");
    s.job.dry_run = s.dry_run;
    cli_catch_signals();
    return cli_finish(self, run(&s, argv + first, argc - first));
}
