/* Explaining a list of pictures into one folder: the pipeline's plain use. */
#include "sweep/explain.h"

#include "api/identity.h"
#include "base/memory.h"
#include "sweep/output.h"
#include "sweep/run_options.h"
#include "sweep/sweep.h"

#include <math.h>

typedef struct delivery {
    const sal_explain_call *call;
    const sal_explain_map **maps; /* of one picture */
    size_t map_count;
    sal_sweep_progress progress;
    double began;
    int stopped; /* 1: by progress */
} delivery;

static sal_status deliver(void *context, size_t picture, const sal_slot *slot)
{
    delivery *d = context;
    sal_explain_result result = {.size = sizeof result,
                                 .path = d->call->paths[picture],
                                 .status = slot->status,
                                 .milliseconds = slot->milliseconds,
                                 .maps = d->maps,
                                 .notes = slot->notes,
                                 .note = slot->notes ? slot->note : NULL};
    d->progress.done++;
    d->progress.done_now++;
    if (slot->status != SAL_OK) {
        d->progress.failed++;
        d->progress.failed_now++;
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
    int stop = d->call->callback ? d->call->callback(d->call->context, &result) : 0;
    return stop ? sal_fail(SAL_ERROR_CANCELLED, "stopped after %s", result.path) : SAL_OK;
}

static int look(void *context, const sal_pipeline_state *state)
{
    delivery *d = context;
    sal_sweep_measure(&d->progress, 0.0, state);
    d->progress.seconds = sal_pipeline_now() - d->began;
    if (!d->stopped && d->call->progress(d->call->context, &d->progress) != 0)
        d->stopped = 1;
    return d->stopped;
}

static unsigned files_of(int64_t write, const sal_explain_options *o)
{
    const struct {
        sal_write bit;
        sal_output_file file;
    } all[] = {{SAL_WRITE_MAP, SAL_FILE_MAP},
               {SAL_WRITE_OVERLAY, SAL_FILE_OVERLAY},
               {SAL_WRITE_NPY, SAL_FILE_NPY},
               {SAL_WRITE_FIGURE, sal_figure_file((sal_page_format)o->figure_format)},
               {SAL_WRITE_GRADIENT, SAL_FILE_GRADIENT}};
    unsigned files = 0;
    if (write == 0)
        write = SAL_WRITE_MAP | SAL_WRITE_OVERLAY | SAL_WRITE_NPY;
    if (o->figure)
        write |= SAL_WRITE_FIGURE;
    if (o->save_gradient)
        write |= SAL_WRITE_GRADIENT;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (write & all[i].bit)
            files |= SAL_FILE_BIT(all[i].file);
    return files;
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

sal_status sal_explain(size_t *failed, const sal_explain_call *call)
{
    sal_status st = SAL_OK;
    sal_names names = {0};
    const char **read = NULL;
    size_t read_count;
    const sal_explain_options *o = call->options;
    delivery d = {.call = call, .progress = SAL_SWEEP_PROGRESS_INIT, .began = sal_pipeline_now()};
    TRY(sal_pipeline_check(call->engines, call->engine_count, o));
    if (call->count == 0)
        return SAL_OK;
    d.progress.pictures = call->count;
    d.map_count = sal_maps_of(o->top);
    TRY(sal_alloc(&d.maps, d.map_count, sizeof *d.maps, "results"));
    TRY(sal_output_folder(o->out_dir, "writable"));
    sal_pipeline_job job = {.paths = call->paths,
                            .count = call->count,
                            .options = o,
                            .targets = call->targets,
                            .labels = call->labels,
                            .layout = {.files = files_of(call->write, o), .top = o->top, .out_dir = o->out_dir},
                            .deliver = deliver,
                            .look = call->progress ? look : NULL,
                            .context = &d,
                            .lost_context = call->context};
    job.layout.places = call->places;
    job.layout.place_count = call->places ? call->count : 0;
    TRY(list_read(&read, &read_count, call->engines[0], call->paths, call->count));
    TRY(sal_names_make(&names, read, read_count, &job.layout));
    job.stems = (const char *const *)names.stems;
    TRY(sal_pipeline_run(&job, call->engines, call->engine_count));
    if (d.progress.done < call->count)
        st = sal_fail(SAL_ERROR_CANCELLED, "stopped: %zu of %zu pictures are done", d.progress.done, call->count);
done:
    if (failed)
        *failed = d.progress.failed;
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
    const sal_explain_call call = {.engines = engines,
                                   .engine_count = engine_count,
                                   .paths = paths,
                                   .count = count,
                                   .options = &own.explain,
                                   .callback = callback,
                                   .context = context};
    st = sal_explain(failed, &call);
    sal_engines_give_back(engines, engine_count);
done:
    return st;
}

sal_status sal_explain_files(size_t *failed, sal_engine *engine, const char *const *paths, size_t count,
                             const sal_explain_options *options, sal_explain_callback callback, void *context)
{
    return sal_explain_files_on(failed, &engine, 1, paths, count, options, callback, context);
}
