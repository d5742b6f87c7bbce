/* A program of yesterday: compiled with headers whose structs lack their last field, run with the library of today.
 * older DATA OUT: DATA is the folder data/ of salmap, OUT an empty one. */
#include <salmap/plan.h>
#include <salmap/salmap.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "older.c:%d: %s: %s\n", __LINE__, #condition, sal_last_error());                           \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

/* A struct with what the program keeps behind it. Were it written over, or read, this would show. */
enum { GUARD = 64, PATTERN = 0xa5 };
#define GUARDED(type, name, init)                                                                                      \
    struct {                                                                                                           \
        type its;                                                                                                      \
        unsigned char guard[GUARD];                                                                                    \
    } name = {init, {0}};                                                                                              \
    memset(name.guard, PATTERN, GUARD)
#define REQUIRE_GUARD(name) REQUIRE(is_untouched((name).guard) && (name).its.size == sizeof((name).its))

static int is_untouched(const unsigned char *guard)
{
    for (int i = 0; i < GUARD; i++)
        if (guard[i] != PATTERN)
            return 0;
    return 1;
}

static void look_at_model(const sal_model *model)
{
    GUARDED(sal_model_info, info, SAL_MODEL_INFO_INIT);
    GUARDED(sal_layer_info, layer, SAL_LAYER_INFO_INIT);
    REQUIRE(sal_model_get_info(&info.its, model) == SAL_OK);
    REQUIRE(info.its.channels == 3 && info.its.height == 192 && info.its.supported == 1 && info.its.layers > 5);
    REQUIRE_GUARD(info);
    REQUIRE(sal_model_get_layer(&layer.its, model, 0) == SAL_OK && strcmp(layer.its.op, "input") == 0);
    REQUIRE_GUARD(layer);
}

static void look_at_methods(void)
{
    GUARDED(sal_method_info, info, SAL_METHOD_INFO_INIT);
    GUARDED(sal_method_option_info, option, SAL_METHOD_OPTION_INFO_INIT);
    REQUIRE(sal_method_get_info(&info.its, 0) == SAL_OK && strcmp(info.its.name, "gradient") == 0);
    REQUIRE_GUARD(info);
    REQUIRE(sal_method_get_option(&option.its, 0, 0) == SAL_OK && strcmp(option.its.initial, "gradient") == 0);
    REQUIRE_GUARD(option);
}

static void look_at_engine(const sal_engine *engine)
{
    GUARDED(sal_attribution_info, attribution, SAL_ATTRIBUTION_INFO_INIT);
    GUARDED(sal_plan_info, plan, SAL_PLAN_INFO_INIT);
    GUARDED(sal_step_info, step, SAL_STEP_INFO_INIT);
    GUARDED(sal_pass_info, pass, SAL_PASS_INFO_INIT);
    REQUIRE(sal_engine_get_attribution(&attribution.its, engine) == SAL_OK && attribution.its.channels == 3);
    REQUIRE_GUARD(attribution);
    REQUIRE(sal_engine_get_plan(&plan.its, engine) == SAL_OK && plan.its.batch == 2 && plan.its.flops > 0);
    REQUIRE_GUARD(plan);
    REQUIRE(sal_engine_get_step(&step.its, engine, 0) == SAL_OK && step.its.kind != NULL);
    REQUIRE_GUARD(step);
    REQUIRE(sal_engine_get_pass(&pass.its, engine, SAL_PASS_BACKWARD) == SAL_OK);
    REQUIRE_GUARD(pass);
}

/* Both ways to a gradient are one. */
static void compute(sal_engine *engine)
{
    enum { ELEMENTS = 3 * 192 * 192 };
    float *x = calloc(3 * (size_t)ELEMENTS, sizeof *x);
    REQUIRE(x != NULL);
    float *first = x + ELEMENTS, *second = first + ELEMENTS, scores[2] = {NAN, NAN};
    const sal_target target = {SAL_TARGET_PREDICTED, 0, SAL_SCORE_LOGIT};
    for (int i = 0; i < ELEMENTS; i++)
        x[i] = (float)(i % 251) / 251.0f;
    GUARDED(sal_gradient_job, job, SAL_GRADIENT_JOB_INIT);
    job.its.inputs = x;
    job.its.count = 1;
    job.its.targets = &target;
    job.its.gradients = first;
    job.its.scores = &scores[0];
    REQUIRE(sal_engine_gradients(engine, &job.its) == SAL_OK);
    REQUIRE_GUARD(job);
    REQUIRE(sal_engine_gradient(engine, second, &scores[1], NULL, x, &target, 1) == SAL_OK);
    REQUIRE(memcmp(first, second, ELEMENTS * sizeof *x) == 0 && scores[0] == scores[1]);
    free(x);
}

static int count_results(void *context, const sal_explain_result *result)
{
    REQUIRE(result->size > sizeof *result && result->status == SAL_OK && result->map_count == 1);
    REQUIRE(isfinite(result->predicted_score));
    ++*(int *)context;
    return 0;
}

static void explain(sal_engine *engine, const char *const *pictures, const char *out)
{
    int count = 0;
    size_t failed = 1;
    GUARDED(sal_limits, limits, SAL_LIMITS_INIT);
    GUARDED(sal_map_options, map, SAL_MAP_OPTIONS_INIT);
    GUARDED(sal_explain_options, options, SAL_EXPLAIN_OPTIONS_INIT);
    REQUIRE(sal_preprocess_preset(&options.its.preprocess, "unit") == SAL_OK);
    limits.its.max_pixels = 1 << 20;
    map.its.reduce = SAL_REDUCE_MEAN;
    options.its.limits = &limits.its;
    options.its.map = &map.its;
    options.its.out_dir = out;
    REQUIRE(sal_explain_files(&failed, engine, pictures, 2, &options.its, count_results, &count) == SAL_OK);
    REQUIRE(failed == 0 && count == 2);
}

static int look_at_progress(void *context, const sal_sweep_progress *progress)
{
    (void)context;
    REQUIRE(progress->size > sizeof *progress && progress->pictures == 2);
    return 0;
}

static void sweep(sal_engine *engine, const char *const *pictures, const char *out)
{
    sal_dataset *dataset = NULL;
    char run[4000], json[4096];
    const char *const runs[] = {run};
    snprintf(run, sizeof run, "%s/run", out);
    GUARDED(sal_dataset_options, listing, SAL_DATASET_OPTIONS_INIT);
    GUARDED(sal_explain_options, how, SAL_EXPLAIN_OPTIONS_INIT);
    GUARDED(sal_sweep_options, options, SAL_SWEEP_OPTIONS_INIT);
    GUARDED(sal_sweep_progress, last, SAL_SWEEP_PROGRESS_INIT);
    GUARDED(sal_merge_info, merged, SAL_MERGE_INFO_INIT);
    GUARDED(sal_export_options, export, SAL_EXPORT_OPTIONS_INIT);
    listing.its.as_named = 1;
    REQUIRE(sal_dataset_open(&dataset, pictures, 2, &listing.its) == SAL_OK);
    REQUIRE(sal_preprocess_preset(&how.its.preprocess, "unit") == SAL_OK);
    how.its.out_dir = run;
    options.its.explain = &how.its;
    options.its.progress = look_at_progress;
    REQUIRE(sal_sweep(&last.its, &engine, 1, dataset, &options.its) == SAL_OK);
    REQUIRE(last.its.done == 2 && last.its.failed == 0);
    REQUIRE_GUARD(last);
    REQUIRE(sal_sweep_merge(&merged.its, runs, 1, NULL) == SAL_OK && merged.its.pictures == 2);
    REQUIRE_GUARD(merged);
    export.its.format = SAL_EXPORT_JSON;
    snprintf(json, sizeof json, "%s.json", run);
    REQUIRE(sal_sweep_export(run, json, NULL, NULL, &export.its) == SAL_OK);
    sal_dataset_close(dataset);
}

int main(int argc, char **argv)
{
    char model_path[4096], picture[2][4096];
    const char *const pictures[] = {picture[0], picture[1]};
    sal_model *model = NULL;
    sal_engine *engine = NULL;
    REQUIRE(argc == 3);
    snprintf(model_path, sizeof model_path, "%s/models/scale_age_honest.onnx", argv[1]);
    for (int i = 0; i < 2; i++)
        snprintf(picture[i], sizeof picture[i], "%s/scales/scale_0%d.png", argv[1], i);
    GUARDED(sal_model_options, model_options, SAL_MODEL_OPTIONS_INIT);
    GUARDED(sal_method_options, method, SAL_METHOD_OPTIONS_INIT);
    GUARDED(sal_engine_options, options, SAL_ENGINE_OPTIONS_INIT);
    method.its.name = "gradient";
    options.its.batch = 2;
    options.its.threads = 2;
    options.its.method = &method.its;
    REQUIRE(sal_model_open_with(&model, model_path, &model_options.its) == SAL_OK);
    REQUIRE(sal_engine_open(&engine, model, &options.its) == SAL_OK);
    look_at_model(model);
    look_at_methods();
    look_at_engine(engine);
    compute(engine);
    explain(engine, pictures, argv[2]);
    sweep(engine, pictures, argv[2]);
    sal_engine_close(engine);
    sal_model_close(model);
    printf("a program with older headers works with salmap %s\n", sal_version());
    return 0;
}
