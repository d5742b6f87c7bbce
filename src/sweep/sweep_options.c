/* The options of a sweep: what they are by default, and which of them do not go together. */
#include "sweep/sweep.h"

enum { DEFAULT_PREDICTIONS = 5, MAX_PREDICTIONS = 4096, DEFAULT_OVERLAY_SIZE = 1600 /* pixels */ };

/* What the list and its labels are asked for. */
static sal_status check_list_options(const sal_sweep_state *s)
{
    const sal_sweep_options *o = &s->options;
    char columns[512];
    if (o->extend && o->shards > 1)
        return sal_fail(SAL_ERROR_ARGUMENT, "a run in shards cannot be extended: 'salmap merge RUN -o WHOLE' makes a "
                                            "whole of it, which can");
    if (o->extend && o->restart)
        return sal_fail(SAL_ERROR_ARGUMENT, "restart throws away what extend would add to: leave one of them out");
    if ((unsigned)o->label_as > SAL_LABEL_AS_OUTPUT)
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown reading %d of labels", (int)o->label_as);
    if (o->label_as == SAL_LABEL_AS_NAME && !o->classes)
        return sal_fail(SAL_ERROR_ARGUMENT, "labels as names need the names of the classes: give --classes FILE");
    const int labelled = s->dataset->label_column >= 0;
    if (!labelled && (o->overlays == SAL_OVERLAYS_WRONG || o->explain->target.kind == SAL_TARGET_LABEL))
        return sal_fail(SAL_ERROR_ARGUMENT, "%s needs labels: a manifest with a column named label (there are: %s)",
                        o->overlays == SAL_OVERLAYS_WRONG ? "overlays wrong" : "target label",
                        sal_dataset_columns(columns, sizeof columns, s->dataset));
    if (o->explain->target.kind == SAL_TARGET_LABEL && o->explain->top > 0)
        return sal_fail(SAL_ERROR_ARGUMENT, "target label and top exclude each other");
    return SAL_OK;
}

sal_status sal_sweep_check_options(sal_sweep_state *s)
{
    sal_sweep_options *o = &s->options;
    if (o->shards < 1)
        o->shards = 1;
    for (size_t i = 0; i < o->input_count; i++)
        if (!o->inputs || !o->inputs[i])
            return sal_fail(SAL_ERROR_ARGUMENT, "%zu inputs are counted, and number %zu is not there", o->input_count,
                            i);
    if (o->predictions == 0)
        o->predictions = DEFAULT_PREDICTIONS;
    if (o->tolerance == 0.0)
        o->tolerance = 0.5;
    if (o->shards > SAL_MAX_SHARDS)
        return sal_fail(SAL_ERROR_ARGUMENT, "%lld shards: %d at most", (long long)o->shards, SAL_MAX_SHARDS);
    if (o->shard < 0 || o->shard >= o->shards)
        return sal_fail(SAL_ERROR_ARGUMENT, "shard %lld/%lld: shards are numbered from 0 to %lld", (long long)o->shard,
                        (long long)o->shards, (long long)o->shards - 1);
    if (o->overlay_size == 0)
        o->overlay_size = DEFAULT_OVERLAY_SIZE;
    if ((unsigned)o->maps > SAL_MAPS_PNG16 || (unsigned)o->overlays > SAL_OVERLAYS_TOP ||
        (unsigned)o->overlay_format > SAL_OVERLAY_PNG)
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown format of maps %d or of overlays %d, or choice of overlays %d",
                        (int)o->maps, (int)o->overlay_format, (int)o->overlays);
    if (o->overlay_size < 1 && o->overlay_size != SAL_OVERLAY_FULL)
        return sal_fail(SAL_ERROR_ARGUMENT, "overlays of %lld pixels: the longer side has at least 1",
                        (long long)o->overlay_size);
    if (o->predictions > MAX_PREDICTIONS)
        return sal_fail(SAL_ERROR_ARGUMENT, "%lld predictions of each picture: at most %d are kept",
                        (long long)o->predictions, MAX_PREDICTIONS);
    if (o->predictions < 0 || !(o->tolerance > 0.0))
        return sal_fail(SAL_ERROR_ARGUMENT, "predictions and tolerance cannot be negative");
    if (o->max_failures < SAL_UNLIMITED)
        return sal_fail(SAL_ERROR_ARGUMENT, "max_failures is %lld: give 0 or more, or SAL_UNLIMITED",
                        (long long)o->max_failures);
    if (o->explain->figure || o->explain->save_gradient)
        return sal_fail(SAL_ERROR_ARGUMENT, "figures and gradients are not for sweeps; use explain");
    if (o->maps == SAL_MAPS_PNG16 && o->explain->map->normalize == SAL_NORMALIZE_SIGNED)
        return sal_fail(SAL_ERROR_ARGUMENT, "maps as png16 hold 0 to 1, and signed maps -1 to 1; use npy or npz");
    if (o->maps == SAL_MAPS_PNG16 && o->explain->map->normalize == SAL_NORMALIZE_NONE)
        return sal_fail(SAL_ERROR_ARGUMENT, "maps as png16 hold 0 to 1, and maps that are not normalised are not "
                                            "bounded; use npy or npz");
    if (o->overlays == SAL_OVERLAYS_TOP && o->overlay_count < 1)
        return sal_fail(SAL_ERROR_ARGUMENT, "overlays top: at least one picture must be asked for");
    return check_list_options(s);
}
