/* One batch of the pipeline: inputs together, gradients apart. */
#include "sweep/pipeline.h"

#include <math.h>
#include <string.h>
#include <time.h>

static double now_milliseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
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
    return sal_engine_gradients(p->engine, &job);
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
            memcpy(slot->data + (size_t)k * p->elements, p->gradients + (size_t)(k * n + i) * p->elements,
                   p->elements * sizeof(float));
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
                          sal_fail(st, "%s: the network's scores for it are NaN or infinite", p->paths[picture]));
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
