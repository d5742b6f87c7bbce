/* Explaining a data set: its pictures keep their places, and their labels may be what is explained. */
#include "sweep/explain.h"

#include "base/memory.h"
#include "base/struct.h"
#include "sweep/run_options.h"
#include "sweep/sweep.h"

#include <stdlib.h>

/* The outputs that labels name, as a sweep reads them. *out: free with sal_free(). */
static sal_status read_targets(sal_target **out, const sal_explain_dataset_options *o, const sal_run_options *own,
                               const sal_dataset *dataset, const sal_engine *engine)
{
    sal_status st = SAL_OK;
    sal_sweep_state *s = NULL;
    sal_target *targets = NULL;
    TRY(sal_alloc(&s, 1, sizeof *s, "labels"));
    *s = (sal_sweep_state){.options = SAL_SWEEP_OPTIONS_INIT, .how = *own, .info = SAL_MODEL_INFO_INIT};
    s->dataset = dataset;
    s->how.explain.figure = s->how.explain.save_gradient = 0; /* which sweeps do not make */
    s->options.explain = &s->how.explain;
    s->options.classes = own->explain.classes;
    s->options.classes_from = o->classes_from;
    s->options.label_as = (sal_label_as)o->label_as;
    TRY(sal_model_get_info(&s->info, sal_engine_model(engine)));
    TRY(sal_sweep_check_options(s));
    TRY(sal_sweep_read_labels(s));
    TRY(sal_alloc(&targets, dataset->count, sizeof *targets, "targets"));
    for (size_t i = 0; i < dataset->count; i++)
        targets[i] = (sal_target){SAL_TARGET_INDEX, s->info.outputs == 1 ? 0 : sal_sweep_output_of(s, i),
                                  own->explain.target.score};
    *out = targets;
    targets = NULL;
done:
    sal_free(targets);
    sal_free(s);
    return st;
}

static sal_status explain(size_t *failed, sal_explain_call *call, const sal_explain_dataset_options *o,
                          sal_run_options *own, const sal_dataset *dataset)
{
    sal_status st = SAL_OK;
    sal_target *targets = NULL;
    const char **places = NULL, **labels = NULL;
    TRY(sal_alloc(&places, dataset->count, sizeof *places, "the list of pictures"));
    TRY(sal_alloc(&labels, dataset->count, sizeof *labels, "the list of pictures"));
    for (size_t i = 0; i < dataset->count; i++) {
        places[i] = sal_dataset_place(dataset, i);
        labels[i] = sal_dataset_label(dataset, i);
    }
    if (own->explain.target.kind == SAL_TARGET_LABEL) {
        TRY(read_targets(&targets, o, own, dataset, call->engines[0]));
        own->explain.target.kind = SAL_TARGET_INDEX; /* each picture has its own */
        own->explain.target.index = 0;
    }
    call->places = places;
    call->labels = labels;
    call->targets = targets;
    st = sal_explain(failed, call);
done:
    sal_free(targets);
    sal_free(labels);
    sal_free(places);
    return st;
}

sal_status sal_explain_dataset(size_t *failed, sal_engine *const *engines, size_t engine_count,
                               const sal_dataset *dataset, const sal_explain_dataset_options *options,
                               sal_explain_callback callback, void *context)
{
    enum { ALL_FILES = 2 * SAL_WRITE_GRADIENT - 1 };
    sal_status st = SAL_OK;
    sal_run_options own;
    sal_explain_dataset_options o = SAL_EXPLAIN_DATASET_OPTIONS_INIT;
    if (failed)
        *failed = 0;
    TRY(sal_require(dataset, "dataset", __func__));
    TRY(sal_require(options, "options", __func__));
    TRY(sal_struct_read(&o, sizeof o, options, "sal_explain_dataset_options"));
    TRY(sal_require(o.explain, "options->explain", __func__));
    TRY(sal_run_options_read(&own, o.explain));
    if (o.write < 0 || o.write > ALL_FILES)
        return sal_fail(SAL_ERROR_ARGUMENT, "write %lld: bits of sal_write, at most %d", (long long)o.write, ALL_FILES);
    TRY(sal_engines_take(engines, engine_count));
    sal_explain_call call = {.engines = engines,
                             .engine_count = engine_count,
                             .paths = (const char *const *)dataset->files,
                             .count = dataset->count,
                             .options = &own.explain,
                             .write = o.write,
                             .callback = callback,
                             .progress = o.progress,
                             .context = context};
    st = explain(failed, &call, &o, &own, dataset);
    sal_engines_give_back(engines, engine_count);
done:
    return st;
}
