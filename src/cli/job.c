#include "cli/job.h"

#include "salmap/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void cli_job_defaults(cli_job *job)
{
    *job = (cli_job){.sigma = (double)NAN,
                     .alpha = SAL_DEFAULT,
                     .modifier = -1,
                     .reduce = -1,
                     .normalize = -1,
                     .colormap = SAL_COLORMAP_AUTO};
    cli_method_defaults(&job->method);
}

static int parse_whole(int64_t *out, const char *text)
{
    char *end;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || value < 0)
        return 0;
    *out = value;
    return 1;
}

static int set_target(sal_explain_options *o, const cli_command *self, const char *text)
{
    int64_t number;
    if (!text || strcmp(text, "predicted") == 0) {
        o->target.kind = SAL_TARGET_PREDICTED;
    } else if (strcmp(text, "mean") == 0) {
        o->target.kind = SAL_TARGET_MEAN;
    } else if (strcmp(text, "margin") == 0) {
        o->target.kind = SAL_TARGET_MARGIN;
    } else if (strcmp(text, "label") == 0) {
        o->target.kind = SAL_TARGET_LABEL;
    } else if (strncmp(text, "index:", 6) == 0 && parse_whole(&number, text + 6)) {
        o->target.kind = SAL_TARGET_INDEX;
        o->target.index = number;
    } else if (strncmp(text, "top:", 4) == 0 && parse_whole(&number, text + 4) && number > 0) {
        o->top = number;
    } else {
        return cli_fail(self, CLI_USAGE,
                        "--target: '%s' is no target; targets are predicted, label, index:N, top:K, margin or mean",
                        text);
    }
    return CLI_OK;
}

/* Bytes: "900M", "4G", "4294967296"; K, M, G and T are powers of 1024. */
static int parse_size(uint64_t *out, const char *text)
{
    static const char units[] = "KMGT";
    const size_t digits = strspn(text, "0123456789");
    const char *unit = text[digits] ? strchr(units, text[digits]) : NULL;
    const unsigned shift = unit ? 10 * ((unsigned)(unit - units) + 1) : 0;
    if (digits == 0 || digits > 18 || (text[digits] && (!unit || text[digits + 1])))
        return 0;
    const uint64_t number = strtoull(text, NULL, 10);
    *out = number << shift;
    return number > 0 && *out >> shift == number;
}

static int set_limits(sal_limits *limits, const cli_command *self, const cli_job *s)
{
    limits->max_pixels = (uint64_t)s->max_pixels;
    if (s->max_memory && !parse_size(&limits->max_memory, s->max_memory))
        return cli_fail(self, CLI_USAGE, "--max-memory: '%s' is not a size such as 900M or 4G", s->max_memory);
    return CLI_OK;
}

static int given_or(int given, int otherwise)
{
    return given >= 0 ? given : otherwise;
}

static void set_map(sal_map_options *o, const cli_job *s)
{
    o->modifier = (sal_modifier)given_or(s->modifier, s->is_signed ? SAL_MODIFIER_NONE : SAL_MODIFIER_ABS);
    o->reduce = (sal_reduce)given_or(s->reduce, s->is_signed ? SAL_REDUCE_SUM : SAL_REDUCE_MAX);
    o->normalize = (sal_normalize)given_or(s->normalize, s->is_signed ? SAL_NORMALIZE_SIGNED : SAL_NORMALIZE_MINMAX);
    if (!isnan(s->sigma))
        o->sigma = s->sigma;
    o->common_scale = s->common_scale;
}

/* "0.25,0.5,0.75"; salmap reads numbers with points, whatever the locale. */
static int set_contours(cli_run_options *run, const cli_command *self, const char *text)
{
    int count = 0;
    for (const char *at = text;; at++) {
        char *end;
        const double level = strtod(at, &end);
        if (end == at || (*end && *end != ',') || !(level > 0.0 && level < 1.0))
            return cli_fail(self, CLI_USAGE,
                            "--contour: '%s' is no list of levels above 0 and below 1, such as 0.25,0.5,0.75", text);
        if (count == SAL_CONTOURS_MAX)
            return cli_fail(self, CLI_USAGE, "--contour: '%s' has more than %d levels", text, SAL_CONTOURS_MAX);
        run->contours[count++] = level;
        at = end;
        if (!*at)
            break;
    }
    run->explain.contours = run->contours;
    run->explain.contour_count = count;
    return CLI_OK;
}

int cli_job_options(cli_run_options *run, const cli_command *self, const cli_job *s)
{
    sal_explain_options *o = &run->explain;
    *run = (cli_run_options){SAL_EXPLAIN_OPTIONS_INIT, SAL_MAP_OPTIONS_INIT, SAL_LIMITS_INIT, "", {0}};
    o->map = &run->map;
    o->limits = &run->limits;
    int code = set_target(o, self, s->target);
    if (code == CLI_OK)
        code = set_limits(&run->limits, self, s);
    if (code != CLI_OK)
        return code;
    o->target.score = (sal_score)s->score;
    if (s->is_signed && s->normalize >= 0 && s->normalize != SAL_NORMALIZE_SIGNED)
        return cli_fail(self, CLI_USAGE, "--signed: such maps are normalised to -1..1; leave --normalize out");
    set_map(&run->map, s);
    if (s->common_scale > 0.0 && run->map.normalize != SAL_NORMALIZE_MINMAX &&
        run->map.normalize != SAL_NORMALIZE_SIGNED)
        return cli_fail(
            self, CLI_USAGE,
            "--common-scale: only maps of --normalize minmax or signed can have one; leave one of the two options out");
    o->raw_map = s->raw_map;
    o->strict = s->strict;
    o->colormap = (sal_colormap)s->colormap;
    o->blend = (sal_blend)s->blend;
    o->alpha = s->alpha;
    return s->contour ? set_contours(run, self, s->contour) : CLI_OK;
}

/* A batch that the user did not choose is worth a word. */
static void tell_halved_batches(const cli_command *self, const cli_engines *engines)
{
    for (size_t k = 0; k < engines->count; k++) {
        sal_plan_info plan = SAL_PLAN_INFO_INIT;
        if (sal_engine_get_plan(&plan, engines->list[k]) == SAL_OK && plan.asked_batch > 0)
            cli_note(self, "%s: no memory for a batch of %lld: going on with %lld", plan.device,
                     (long long)plan.asked_batch, (long long)plan.batch);
    }
}

/* So is a layer. */
static void tell_layer(const cli_command *self, const cli_engines *engines, const cli_method *m)
{
    sal_attribution_info info = SAL_ATTRIBUTION_INFO_INIT;
    if (!m->layer && sal_engine_get_attribution(&info, engines->list[0]) == SAL_OK && info.layer)
        cli_note(self, "%s maps layer '%s', the last with pixels (%lld x %lld); choose another with --cam-layer",
                 info.method, info.layer, (long long)info.height, (long long)info.width);
}

/* What makes it slower than it could be, such as a part of cuDNN that is not there. */
static void tell_notes(const cli_command *self, const cli_engines *engines)
{
    for (size_t k = 0; k < engines->count; k++) {
        sal_plan_info plan = SAL_PLAN_INFO_INIT;
        sal_step_info step = SAL_STEP_INFO_INIT, first = step;
        size_t notes = 0;
        if (sal_engine_get_plan(&plan, engines->list[k]) != SAL_OK)
            continue;
        for (size_t i = 0; i < plan.steps; i++)
            if (sal_engine_get_step(&step, engines->list[k], i) == SAL_OK && step.note && notes++ == 0)
                first = step;
        if (notes)
            cli_note(self, "%s: %zu of %zu steps go otherwise than planned ('salmap plan' lists them); %s: %s",
                     plan.device, notes, plan.steps, first.name, first.note);
    }
}

int cli_job_engines(cli_engines *engines, const cli_command *self, const cli_job *s, sal_model *model, size_t pictures)
{
    sal_method_options method;
    sal_engine_options o = {.size = sizeof o,
                            .batch = s->batch,
                            .threads = s->threads,
                            .method = &method,
                            .exact = s->exact,
                            .lean = s->lean,
                            .rule = (sal_rule)s->rule,
                            .precision = (sal_precision)s->precision};
    enum { FEW = 8 };
    if (o.batch == 0 && pictures < FEW)
        o.batch = (int64_t)pictures;
    int code = cli_method_options(&method, self, &s->method);
    if (code == CLI_OK)
        code = cli_engines_open(engines, self, model, s->device, &o);
    if (code == CLI_OK)
        tell_layer(self, engines, &s->method);
    if (code == CLI_OK)
        tell_halved_batches(self, engines);
    tell_notes(self, engines);
    return code;
}
