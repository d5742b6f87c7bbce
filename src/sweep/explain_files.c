/* Explaining a list of pictures into one folder: the pipeline's plain use. */
#include "sweep/pipeline.h"

#include "api/identity.h"
#include "base/memory.h"
#include "sweep/output.h"
#include "sweep/run_options.h"

#include <math.h>

typedef struct delivery {
    const char *const *paths;
    sal_explain_callback callback;
    void *context;
    const sal_explain_map **maps; /* of one picture */
    size_t map_count;
    size_t failed;
} delivery;

static sal_status deliver(void *context, size_t picture, const sal_slot *slot)
{
    delivery *d = context;
    sal_explain_result result = {.size = sizeof result,
                                 .path = d->paths[picture],
                                 .status = slot->status,
                                 .milliseconds = slot->milliseconds,
                                 .maps = d->maps,
                                 .notes = slot->notes,
                                 .note = slot->notes ? slot->note : NULL};
    if (slot->status != SAL_OK) {
        d->failed++;
        result.error = slot->error;
        result.predicted = -1;
        result.predicted_score = result.predicted_probability = NAN;
    } else {
        result.predicted = slot->predictions[0].output;
        result.predicted_score = slot->predictions[0].score;
        result.predicted_probability = slot->predictions[0].probability;
        result.map_count = d->map_count;
        for (size_t i = 0; i < result.map_count; i++)
            d->maps[i] = &slot->outputs[i].map;
    }
    int stop = d->callback ? d->callback(d->context, &result) : 0;
    return stop ? sal_fail(SAL_ERROR_CANCELLED, "stopped after %s", result.path) : SAL_OK;
}

static sal_output_layout layout_of(const sal_explain_options *o)
{
    sal_output_layout layout = {.top = o->top, .out_dir = o->out_dir};
    layout.files = SAL_FILE_BIT(SAL_FILE_MAP) | SAL_FILE_BIT(SAL_FILE_OVERLAY) | SAL_FILE_BIT(SAL_FILE_NPY);
    if (o->figure)
        layout.files |= SAL_FILE_BIT(sal_figure_file((sal_page_format)o->figure_format));
    if (o->save_gradient)
        layout.files |= SAL_FILE_BIT(SAL_FILE_GRADIENT);
    return layout;
}

/* Nothing that is read is written over: pictures, the baseline's file, those of the model. */
static sal_status list_read(const char ***out, size_t *n, const sal_engine *engine, const char *const *paths,
                            size_t count)
{
    sal_status st = SAL_OK;
    const char *baseline = sal_engine_get_options(engine)->method->baseline_file;
    const sal_model *model = sal_engine_model(engine);
    size_t files = 0;
    while (sal_model_file_path(model, files))
        files++;
    TRY(sal_alloc(out, count + 1 + files, sizeof **out, "the list of files"));
    for (size_t i = 0; i < count; i++)
        (*out)[i] = paths[i];
    *n = count;
    if (baseline)
        (*out)[(*n)++] = baseline;
    for (size_t i = 0; i < files; i++)
        (*out)[(*n)++] = sal_model_file_path(model, i);
done:
    return st;
}

/* With engines that were taken. */
static sal_status explain(size_t *failed, sal_engine *const *engines, size_t engine_count, const char *const *paths,
                          size_t count, const sal_explain_options *options, sal_explain_callback callback,
                          void *context)
{
    sal_status st = SAL_OK;
    sal_names names = {0};
    const char **read = NULL;
    size_t read_count;
    delivery d = {.paths = paths, .callback = callback, .context = context};
    TRY(sal_pipeline_check(engines, engine_count, options));
    if (count == 0)
        return SAL_OK;
    d.map_count = sal_maps_of(options->top);
    TRY(sal_alloc(&d.maps, d.map_count, sizeof *d.maps, "results"));
    TRY(sal_output_folder(options->out_dir, "writable"));
    sal_pipeline_job job = {.paths = paths,
                            .count = count,
                            .options = options,
                            .layout = layout_of(options),
                            .deliver = deliver,
                            .context = &d,
                            .lost_context = context};
    TRY(list_read(&read, &read_count, engines[0], paths, count));
    TRY(sal_names_make(&names, read, read_count, &job.layout));
    job.stems = (const char *const *)names.stems;
    TRY(sal_pipeline_run(&job, engines, engine_count));
done:
    if (failed)
        *failed = d.failed;
    sal_names_clear(&names);
    sal_free(read);
    sal_free(d.maps);
    return st;
}

static sal_status check_paths(const char *const *paths, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!paths || !paths[i])
            return sal_fail(SAL_ERROR_ARGUMENT, "paths must be given");
    return SAL_OK;
}

sal_status sal_explain_files_on(size_t *failed, sal_engine *const *engines, size_t engine_count,
                                const char *const *paths, size_t count, const sal_explain_options *options,
                                sal_explain_callback callback, void *context)
{
    sal_status st = SAL_OK;
    sal_run_options own;
    if (failed)
        *failed = 0;
    TRY(check_paths(paths, count));
    TRY(sal_run_options_read(&own, options));
    TRY(sal_engines_take(engines, engine_count));
    st = explain(failed, engines, engine_count, paths, count, &own.explain, callback, context);
    sal_engines_give_back(engines, engine_count);
done:
    return st;
}

sal_status sal_explain_files(size_t *failed, sal_engine *engine, const char *const *paths, size_t count,
                             const sal_explain_options *options, sal_explain_callback callback, void *context)
{
    return sal_explain_files_on(failed, &engine, 1, paths, count, options, callback, context);
}
