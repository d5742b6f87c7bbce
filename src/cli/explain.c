/* salmap explain: maps of pictures. */
#include "cli/engines.h"
#include "cli/explain_report.h"
#include "cli/pictures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct settings {
    const char *out_dir;
    const char *target;
    int score;
    int rule;
    int modifier;
    int reduce;
    int normalize;
    double sigma;
    int colormap;
    double alpha;
    int figure;
    int save_gradient;
    const char *preset;
    const char *fit;
    const char *order;
    const char *mean;
    const char *std;
    const char *scale;
    const char *fill;
    const char *crop_resize;
    int save_preprocess;
    const char *device;
    int precision;
    int64_t batch;
    int64_t threads;
    int exact;
    int lean;
    int json;
    int quiet;
} settings;

static const cli_option options[] = {
    CLI_HEAD("Results"),
    CLI_OPTION(CLI_TEXT, 'o', "out", "DIR", out_dir, "folder for the results; made when it is not there"),
    CLI_OPTION(CLI_FLAG, 0, "figure", NULL, figure, "also a figure: picture, map with colour bar, overlay"),
    CLI_OPTION(CLI_FLAG, 0, "save-gradient", NULL, save_gradient, "also the gradient itself, (C,H,W) as .npy"),
    CLI_OPTION(CLI_FLAG, 0, "json", NULL, json, "print one JSON object per picture and line"),
    CLI_OPTION(CLI_FLAG, 'q', "quiet", NULL, quiet, "print errors only"),
    CLI_HEAD("What is explained"),
    CLI_OPTION(CLI_TEXT, 't', "target", "TARGET", target, "predicted (default), index:N, top:K (K maps) or mean"),
    CLI_OPTION(CLI_CHOICE, 0, "score", "logit|probability", score, "before or after the final softmax or sigmoid"),
    CLI_OPTION(CLI_CHOICE, 0, "rule", "gradient|guided|deconvnet|rectified", rule, "how activations send it back"),
    CLI_HEAD("Maps"),
    CLI_OPTION(CLI_CHOICE, 0, "modifier", "abs|relu|negate|none", modifier, "of the gradient (default: abs)"),
    CLI_OPTION(CLI_CHOICE, 0, "reduce", "max|mean|sum|l2", reduce, "over channels (default: max)"),
    CLI_NUMBER(CLI_REAL, 0, "sigma", "PIXELS", sigma,
               "Gaussian, input pixels; 0: none (default: 2 % of the shorter side)", 0, 10000),
    CLI_OPTION(CLI_CHOICE, 0, "normalize", "minmax|none", normalize, "to 0..1 or as they are (default: minmax)"),
    CLI_OPTION(CLI_CHOICE, 0, "colormap", "viridis|inferno|turbo|jet|gray", colormap, "(default: viridis)"),
    CLI_NUMBER(CLI_REAL, 0, "alpha", "WEIGHT", alpha, "of the colours in overlays, 0 to 1 (default: 0.5)", 0, 1),
    CLI_HEAD("Preprocessing (default: MODEL.salmap, where it is there)"),
    CLI_OPTION(CLI_TEXT, 0, "preset", "NAME", preset, "imagenet, unit, caffe, tf or raw"),
    CLI_OPTION(CLI_TEXT, 0, "fit", "FIT", fit, "stretch, letterbox or center-crop"),
    CLI_OPTION(CLI_TEXT, 0, "order", "ORDER", order, "auto, rgb, bgr, gray or asis"),
    CLI_OPTION(CLI_TEXT, 0, "mean", "LIST", mean, "one number, or one per channel"),
    CLI_OPTION(CLI_TEXT, 0, "std", "LIST", std, "one number, or one per channel"),
    CLI_OPTION(CLI_TEXT, 0, "scale", "NUMBER", scale, "what samples of 0..255 are multiplied by first"),
    CLI_OPTION(CLI_TEXT, 0, "fill", "NUMBER", fill, "letterbox padding, 0..255"),
    CLI_OPTION(CLI_TEXT, 0, "crop-resize", "PIXELS", crop_resize, "shorter side before center-crop cuts"),
    CLI_OPTION(CLI_FLAG, 0, "save-preprocess", NULL, save_preprocess, "write these to MODEL.salmap for the next time"),
    CLI_HEAD("Computing"),
    CLI_OPTION(CLI_TEXT, 0, "device", "DEVICE", device,
               "auto (default), cpu, cuda:0, several as cuda:0,cuda:1, or cuda:all"),
    CLI_OPTION(CLI_CHOICE, 0, "precision", "default|fp32|tf32|bf16|fp16", precision,
               "of a GPU: tf32 unless asked otherwise"),
    CLI_NUMBER(CLI_INTEGER, 'b', "batch", "N", batch, "pictures computed together (default: from the memory plan)", 1,
               65536),
    CLI_NUMBER(CLI_INTEGER, 0, "threads", "N", threads, "CPU threads (default: one per core)", 1, 4096),
    CLI_OPTION(CLI_FLAG, 0, "exact", NULL, exact, "direct convolutions only (no Winograd)"),
    CLI_OPTION(CLI_FLAG, 0, "lean", NULL, lean, "of a GPU: the least memory, more passes over it"),
};

const cli_command cli_explain_command = {
    .name = "explain",
    .operands = "MODEL PICTURE... -o DIR",
    .summary = "Maps of pictures: what drove the prediction, as pictures and as numbers.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .min_operands = 2,
};
static const cli_command *const self = &cli_explain_command;

/* ---- From settings to the library's options ----------------------------- */

static int parse_whole(int64_t *out, const char *text)
{
    char *end;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || value < 0)
        return 0;
    *out = value;
    return 1;
}

static int set_target(sal_explain_options *o, const char *text)
{
    int64_t number;
    if (!text || strcmp(text, "predicted") == 0) {
        o->target.kind = SAL_TARGET_PREDICTED;
    } else if (strcmp(text, "mean") == 0) {
        o->target.kind = SAL_TARGET_MEAN;
    } else if (strncmp(text, "index:", 6) == 0 && parse_whole(&number, text + 6)) {
        o->target.kind = SAL_TARGET_INDEX;
        o->target.index = number;
    } else if (strncmp(text, "top:", 4) == 0 && parse_whole(&number, text + 4) && number > 0) {
        o->top = number;
    } else {
        return cli_fail(self, CLI_USAGE, "--target: '%s' is not predicted, index:N, top:K or mean", text);
    }
    return CLI_OK;
}

typedef struct preprocess_option {
    const char *key;
    const char *value;
} preprocess_option;

/* Preset (or sidecar, or 'unit'), then what is given beside it. */
static int set_preprocess(sal_preprocess *p, const settings *s, const char *model)
{
    const preprocess_option given[] = {
        {"preset", s->preset}, {"fit", s->fit}, {"order", s->order}, {"scale", s->scale},
        {"mean", s->mean},     {"std", s->std}, {"fill", s->fill},   {"crop-resize", s->crop_resize},
    };
    int found = 0;
    if (!s->preset) {
        if (sal_preprocess_load(p, &found, model) != SAL_OK)
            return cli_fail_library(self);
        if (!found && sal_preprocess_preset(p, "unit") != SAL_OK)
            return cli_fail_library(self);
        if (!found && !s->mean && !s->std && !s->scale)
            cli_note(self,
                     "no preprocessing is given and %s.salmap is not there: pictures become 0..1 (preset unit); "
                     "choose with --preset",
                     model);
    }
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++)
        if (given[i].value && sal_preprocess_set(p, given[i].key, given[i].value) != SAL_OK)
            return cli_fail(self, CLI_USAGE, "--%s: %s", given[i].key, sal_last_error());
    if (s->save_preprocess && sal_preprocess_save(model, p) != SAL_OK)
        return cli_fail_library(self);
    return CLI_OK;
}

static void tell_lost_device(void *context, const char *device, const char *error)
{
    (void)context;
    cli_note(self, "lost a device, its pictures go to the others: %s: %s", device, error);
}

static int set_options(sal_explain_options *o, const settings *s)
{
    int code = set_target(o, s->target);
    if (code != CLI_OK)
        return code;
    o->target.score = (sal_score)s->score;
    o->map.modifier = (sal_modifier)s->modifier;
    o->map.reduce = (sal_reduce)s->reduce;
    o->map.normalize = (sal_normalize)s->normalize;
    if (!isnan(s->sigma)) {
        o->map.sigma = s->sigma;
        o->map.sigma_set = 1;
    }
    o->colormap = (sal_colormap)s->colormap;
    o->alpha = s->alpha;
    o->alpha_set = 1;
    o->figure = s->figure;
    o->save_gradient = s->save_gradient;
    o->out_dir = s->out_dir;
    o->device_lost = tell_lost_device;
    return CLI_OK;
}

/* ---- The work ----------------------------------------------------------- */

/* A batch larger than the number of pictures would compute padding. */
static int open_engines(cli_engines *engines, sal_model *model, const settings *s, size_t pictures)
{
    sal_engine_options o = {.batch = s->batch,
                            .threads = (int)s->threads,
                            .exact = s->exact,
                            .lean = s->lean,
                            .rule = (sal_rule)s->rule,
                            .precision = (sal_precision)s->precision};
    enum { FEW = 8 };
    if (o.batch == 0 && pictures < FEW)
        o.batch = (int64_t)pictures;
    return cli_engines_open(engines, self, model, s->device, &o);
}

/* A batch that the user did not choose is worth a word. */
static void tell_halved_batches(const cli_engines *engines)
{
    for (size_t k = 0; k < engines->count; k++) {
        sal_plan_info plan;
        if (sal_engine_get_plan(&plan, engines->list[k]) == SAL_OK && plan.asked_batch > 0)
            cli_note(self, "%s: no memory for a batch of %lld: going on with %lld", plan.device,
                     (long long)plan.asked_batch, (long long)plan.batch);
    }
}

static int explain(const settings *s, const sal_explain_options *o, sal_model *model, const cli_pictures *pictures)
{
    cli_engines engines = {.count = 0};
    sal_model_info info;
    size_t failed = 0;
    explain_report report = {.json = s->json, .quiet = s->quiet};
    if (sal_model_get_info(&info, model) != SAL_OK)
        return cli_fail_library(self);
    int code = open_engines(&engines, model, s, pictures->count);
    if (code != CLI_OK)
        return code;
    tell_halved_batches(&engines);
    explain_report_begin(&report, &info, o, (const char *const *)pictures->paths, pictures->count);
    sal_status st = sal_explain_files_on(&failed, engines.list, engines.count, (const char *const *)pictures->paths,
                                         pictures->count, o, explain_report_picture, &report);
    if (st == SAL_ERROR_CANCELLED)
        code = CLI_FAILED; /* standard output is gone: cli_finish says so */
    else if (st != SAL_OK)
        code = cli_fail(self, st == SAL_ERROR_ARGUMENT ? CLI_USAGE : CLI_FAILED, "%s", sal_last_error());
    else
        code = failed ? CLI_SOME_FAILED : CLI_OK;
    if (st == SAL_OK)
        explain_report_end(&report, pictures->count, failed);
    cli_engines_close(&engines);
    return code;
}

static int open_and_explain(const settings *s, sal_explain_options *o, const char *model_path,
                            const cli_pictures *pictures)
{
    sal_model *model = NULL;
    if (sal_model_open(&model, model_path, &o->limits) != SAL_OK)
        return cli_fail_library(self);
    int code = set_preprocess(&o->preprocess, s, model_path);
    if (code == CLI_OK)
        code = explain(s, o, model, pictures);
    sal_model_close(model);
    return code;
}

int cli_explain(int argc, char **argv)
{
    int first;
    settings s = {.sigma = (double)NAN, .alpha = 0.5};
    cli_parsed parsed = cli_parse(&first, &s, self, argc, argv);
    if (parsed != CLI_GO)
        return parsed == CLI_HELPED ? cli_finish(self, CLI_OK) : CLI_USAGE;
    if (!s.out_dir)
        return cli_fail(self, CLI_USAGE, "no output folder: give -o DIR");
    sal_explain_options o = {0};
    cli_pictures pictures = {0};
    int code = set_options(&o, &s);
    if (code == CLI_OK)
        code = cli_pictures_collect(&pictures, self, argv + first + 1, argc - first - 1);
    if (code == CLI_OK)
        code = open_and_explain(&s, &o, argv[first], &pictures);
    cli_pictures_clear(&pictures);
    return cli_finish(self, code);
}
