/* One batch of the pipeline: inputs together, gradients apart. */
#include "sweep/pipeline.h"

#include "api/device_maps.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>
#include <time.h>

static double now_milliseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* The pictures that a device is to make of one map, each as large as the source. */
static sal_status draw(sal_pipeline *p, sal_slot *slot, int64_t each, int64_t picture)
{
    sal_status st = SAL_OK;
    const sal_overlay_style style = sal_output_style(p->options);
    const sal_placement *where = &slot->placement;
    sal_output *out = &slot->outputs[each];
    for (int file = 0; file <= SAL_FILE_OVERLAY; file++) {
        size_t size;
        if (!sal_names_wanted((sal_output_file)file, p->options))
            continue;
        TRY(sal_size_mul(&size, (size_t)where->source_height, (size_t)where->source_width, "an overlay"));
        if (!out->colours[file])
            TRY(sal_alloc(&out->colours[file], size, 3, "an overlay"));
        TRY(sal_engine_overlay(out->colours[file], p->engine, picture, file == SAL_FILE_MAP ? NULL : &slot->shown,
                               where, &style));
    }
done:
    return st;
}

/* The maps of target number `each` of all pictures of the job are on the device. */
static sal_status draw_all(void *context, int64_t each)
{
    sal_status st = SAL_OK;
    sal_pipeline *p = context;
    for (int64_t i = 0; i < p->count; i++)
        TRY(draw(p, sal_ring_slot(&p->ring, p->batch_pictures[p->first + i]), each, i));
    TRY(sal_engine_finish_maps(p->engine));
done:
    return st;
}

/* Runs n pictures of the batch from number `from` on. */
static sal_status run(sal_pipeline *p, int64_t from, int64_t n)
{
    const int64_t maps = p->ring.maps;
    for (int64_t i = 0; i < n; i++) {
        const sal_slot *slot = sal_ring_slot(&p->ring, p->batch_pictures[from + i]);
        memcpy(p->inputs + (size_t)i * p->elements, slot->data, p->elements * sizeof(float));
    }
    for (int64_t i = 0; i < maps * n; i++) {
        p->targets[i] = p->options->target;
        if (p->options->top > 0) {
            p->targets[i].kind = SAL_TARGET_TOP;
            p->targets[i].index = i / n;
        }
    }
    const sal_gradient_job job = {.inputs = p->inputs,
                                  .count = n,
                                  .targets = p->targets,
                                  .each = maps,
                                  .gradients = p->gradients,
                                  .scores = p->scores,
                                  .chosen = p->chosen,
                                  .chosen_scores = p->chosen_scores};
    if (!p->device_maps)
        return sal_engine_gradients(p->engine, &job);
    const sal_attribution_maps device = {
        .options = &p->options->map, .maps = p->map_values, .stats = p->stats, .made = draw_all, .context = p};
    p->first = from;
    p->count = n;
    return sal_engine_device_maps(p->engine, &job, &device);
}

static int64_t largest(const float *scores, int64_t outputs)
{
    int64_t best = 0;
    for (int64_t i = 1; i < outputs; i++)
        if (scores[i] > scores[best])
            best = i;
    return best;
}

/* Brings the results of run(from, n) into the pictures' slots. */
static void store(sal_pipeline *p, int64_t from, int64_t n)
{
    const int64_t outputs = p->model.outputs;
    if (p->probabilities)
        (void)sal_model_probabilities(p->probabilities, sal_engine_model(p->engine), p->scores, n);
    for (int64_t i = 0; i < n; i++) {
        sal_slot *slot = sal_ring_slot(&p->ring, p->batch_pictures[from + i]);
        const float *scores = p->scores + i * outputs;
        const float *probabilities = p->probabilities ? p->probabilities + i * outputs : NULL;
        slot->predicted = largest(scores, outputs);
        slot->predicted_score = scores[slot->predicted];
        slot->predicted_probability = probabilities ? probabilities[slot->predicted] : NAN;
        for (int64_t k = 0; k < p->ring.maps; k++) {
            sal_explain_map *map = &slot->outputs[k].map;
            map->target = p->chosen[k * n + i];
            map->score = p->chosen_scores[k * n + i];
            map->probability = probabilities && map->target >= 0 ? probabilities[map->target] : NAN;
            size_t at = (size_t)(k * n + i);
            if (p->gradients)
                memcpy(sal_pipeline_gradient(p, slot, k), p->gradients + at * p->elements, p->elements * sizeof(float));
            if (p->device_maps) {
                memcpy(slot->data + (size_t)k * p->pixels, p->map_values + at * p->pixels, p->pixels * sizeof(float));
                map->stats = p->stats[at];
            }
        }
    }
}

/* One picture whose scores are no numbers fails the whole batch: find out which. */
static sal_status run_each(sal_pipeline *p, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        sal_status st = run(p, i, 1);
        if (st == SAL_OK) {
            store(p, i, 1);
        } else if (st == SAL_ERROR_NUMERIC) {
            size_t picture = p->batch_pictures[i];
            sal_slot_fail(sal_ring_slot(&p->ring, picture),
                          sal_fail(st, "%s: the network's scores%s for it are NaN or infinite", p->paths[picture],
                                   p->device_maps ? " or gradients" : ""));
        } else {
            return st;
        }
    }
    return SAL_OK;
}

sal_status sal_pipeline_compute(sal_pipeline *p, int64_t n)
{
    double begin = now_milliseconds();
    sal_status st = run(p, 0, n);
    if (st == SAL_OK)
        store(p, 0, n);
    else if (st == SAL_ERROR_NUMERIC)
        st = run_each(p, n);
    if (st != SAL_OK)
        return st;
    double each = (now_milliseconds() - begin) / (double)n;
    for (int64_t i = 0; i < n; i++) {
        sal_ring_slot(&p->ring, p->batch_pictures[i])->milliseconds = each;
        sal_ring_set(&p->ring, p->batch_pictures[i], SAL_SLOT_COMPUTED);
    }
    return SAL_OK;
}
