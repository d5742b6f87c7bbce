/* What would be wrong with every picture is found before the first. */
#include "sweep/pipeline.h"

#include "api/attribute.h"
#include "api/identity.h"
#include "base/memory.h"
#include "sweep/draw.h"

#include <string.h>

static sal_status check_targets(const sal_model *model, const sal_model_info *info, const sal_explain_options *o)
{
    sal_target target = o->target;
    if (o->top < 0 || o->top > info->outputs)
        return sal_fail(SAL_ERROR_ARGUMENT, "target top %lld: the model has %lld output%s", (long long)o->top,
                        (long long)info->outputs, info->outputs == 1 ? "" : "s");
    if (o->top > 0) {
        target.kind = SAL_TARGET_TOP;
        target.index = 0;
    }
    return sal_model_check_target(model, &target);
}

static sal_status check_map_options(const sal_explain_options *o, const sal_engine *engine)
{
    sal_attribution_info attribution = SAL_ATTRIBUTION_INFO_INIT;
    const sal_map_options *m = o->map;
    sal_status st = sal_engine_get_attribution(&attribution, engine);
    if (st != SAL_OK)
        return st;
    if (o->raw_map && !attribution.layer)
        return sal_fail(SAL_ERROR_ARGUMENT, "raw-map: method %s maps no layer, its maps are of the network's input",
                        attribution.method);
    st = sal_output_check_style(o);
    if (st == SAL_OK)
        st = sal_map_check_common(m->common_scale, m->normalize);
    if (st != SAL_OK)
        return st;
    if (m->sigma != SAL_DEFAULT && !(m->sigma >= 0.0 && m->sigma <= SAL_SIGMA_MAX))
        return sal_fail(SAL_ERROR_ARGUMENT, "sigma %g: must be from 0 to %g", m->sigma, SAL_SIGMA_MAX);
    if ((unsigned)m->modifier > SAL_MODIFIER_NONE || (unsigned)m->reduce > SAL_REDUCE_L2 ||
        (unsigned)m->normalize > SAL_NORMALIZE_KERAS_VIS)
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown modifier %d, reduction %d or normalisation %d", (int)m->modifier,
                        (int)m->reduce, (int)m->normalize);
    return SAL_OK;
}

/* What is wrong with the preprocessing itself would be wrong with every picture: tries
 * it on one that suits. */
static sal_status check_preprocess(const sal_model_info *info, const sal_preprocess *options)
{
    sal_status st = SAL_OK;
    float *input = NULL;
    size_t size;
    unsigned char samples[SAL_MAX_CHANNELS] = {0};
    int converted =
        options->order == SAL_ORDER_GRAY || options->order == SAL_ORDER_RGB || options->order == SAL_ORDER_BGR;
    const sal_picture probe = {
        .height = 1, .width = 1, .channels = converted ? 1 : info->channels, .type = SAL_SAMPLE_U8, .samples = samples};
    sal_placement placement;
    TRY(sal_size_mul(&size, (size_t)info->height * (size_t)info->width, (size_t)info->channels, "an input"));
    TRY(sal_alloc(&input, size, sizeof *input, "an input"));
    st = sal_preprocess_apply(input, &placement, &probe, options, info->channels, info->height, info->width);
    if (st != SAL_OK)
        st = sal_fail_in(st, "preprocessing");
done:
    sal_free(input);
    return st;
}

/* All there, and none twice: workers of one engine would write over each other's pictures. */
static sal_status check_given(sal_engine *const *engines, size_t count)
{
    if (!engines || count == 0)
        return sal_fail(SAL_ERROR_ARGUMENT, "engines and options must be given");
    for (size_t k = 0; k < count; k++) {
        if (!engines[k])
            return sal_fail(SAL_ERROR_ARGUMENT, "engines and options must be given");
        for (size_t i = 0; i < k; i++)
            if (engines[i] == engines[k])
                return sal_fail(SAL_ERROR_ARGUMENT, "engine %zu is engine %zu again: open another one of the model", k,
                                i);
    }
    return SAL_OK;
}

sal_status sal_engines_take(sal_engine *const *engines, size_t count)
{
    sal_status st = check_given(engines, count);
    for (size_t k = 0; st == SAL_OK && k < count; k++) {
        st = sal_engine_take(engines[k]);
        if (st != SAL_OK)
            sal_engines_give_back(engines, k);
    }
    return st;
}

void sal_engines_give_back(sal_engine *const *engines, size_t count)
{
    for (size_t k = 0; k < count; k++)
        sal_engine_give_back(engines[k]);
}

static int are_equal(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Whether two engines make the same of a picture, but for the device's last digits. */
static int attribute_alike(const sal_engine *a, const sal_engine *b)
{
    const sal_engine_options *x = sal_engine_get_options(a), *y = sal_engine_get_options(b);
    const sal_method_options *m = sal_engine_get_method(a), *n = sal_engine_get_method(b);
    sal_attribution_info of_a = SAL_ATTRIBUTION_INFO_INIT, of_b = SAL_ATTRIBUTION_INFO_INIT;
    if (sal_engine_get_attribution(&of_a, a) != SAL_OK || sal_engine_get_attribution(&of_b, b) != SAL_OK)
        return 0;
    return strcmp(of_a.method, of_b.method) == 0 && are_equal(of_a.layer, of_b.layer) && x->rule == y->rule &&
           x->precision == y->precision && x->exact == y->exact && m->samples == n->samples && m->noise == n->noise &&
           m->seed == n->seed && m->steps == n->steps && m->quadrature == n->quadrature && m->baseline == n->baseline &&
           are_equal(x->method->baseline_file, y->method->baseline_file);
}

/* Of one model, of one kind of device, and with one method. */
static sal_status check_engines(sal_engine *const *engines, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        sal_model_info info = SAL_MODEL_INFO_INIT;
        sal_status st = sal_model_get_info(&info, sal_engine_model(engines[k]));
        if (st != SAL_OK)
            return st;
        if (sal_engine_get_options(engines[k])->forward_only)
            return sal_fail(SAL_ERROR_ARGUMENT, "engine %zu was opened for the forward pass alone: it has no gradients",
                            k);
        if (sal_engine_model(engines[k]) != sal_engine_model(engines[0]) ||
            sal_engine_makes_maps(engines[k]) != sal_engine_makes_maps(engines[0]))
            return sal_fail(SAL_ERROR_ARGUMENT, "engine %zu is not of the same model and kind of device as the first",
                            k);
        if (!attribute_alike(engines[k], engines[0]))
            return sal_fail(SAL_ERROR_ARGUMENT,
                            "engine %zu was opened with another method, rule or precision than the first", k);
    }
    return SAL_OK;
}

/* What every path begins at is read before anything is written. */
static sal_status check_baseline(const sal_model_info *info, const sal_engine *engine, const sal_explain_options *o)
{
    sal_status st = SAL_OK;
    const sal_method_options *method = sal_engine_get_options(engine)->method;
    float *input = NULL;
    size_t size;
    if (method->baseline != SAL_BASELINE_FILE)
        return SAL_OK;
    TRY(sal_size_mul(&size, (size_t)(info->height * info->width), (size_t)info->channels, "the baseline"));
    TRY(sal_alloc(&input, size, sizeof *input, "the baseline"));
    TRY(sal_baseline_read(input, method->baseline_file, &o->preprocess, o->limits, info));
done:
    sal_free(input);
    return st;
}

sal_status sal_pipeline_check(sal_engine *const *engines, size_t engine_count, const sal_explain_options *options)
{
    sal_status st = SAL_OK;
    sal_model_info info = SAL_MODEL_INFO_INIT;
    const sal_model *model = sal_engine_model(engines[0]);
    TRY(sal_model_get_info(&info, model));
    TRY(check_engines(engines, engine_count));
    TRY(check_targets(model, &info, options));
    TRY(check_map_options(options, engines[0]));
    TRY(check_preprocess(&info, &options->preprocess));
    TRY(sal_figure_check(options));
    TRY(check_baseline(&info, engines[0], options));
done:
    return st;
}
