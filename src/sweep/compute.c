/* What a worker does: batches together, and results apart. */
#include "sweep/pipeline.h"

#include "api/attribute.h"
#include "api/identity.h"
#include "base/memory.h"
#include "salmap/plan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Buffers ------------------------------------------------------------- */

sal_status sal_worker_open(sal_worker *w, sal_pipeline *p, sal_engine *engine)
{
    sal_status st = SAL_OK;
    sal_plan_info plan = SAL_PLAN_INFO_INIT;
    size_t all, scores;
    TRY(sal_engine_get_plan(&plan, engine));
    w->pipeline = p;
    w->engine = engine;
    w->batch = plan.batch;
    w->device_maps = sal_engine_makes_maps(engine);
    const size_t maps = sal_maps_of(p->options->top), batch = (size_t)w->batch;
    TRY(sal_size_mul(&all, p->attribution_elements, maps, "attributions"));
    TRY(sal_size_mul(&all, all, batch, "attributions"));
    TRY(sal_size_mul(&scores, (size_t)p->model.outputs, batch, "scores"));
    for (int k = 0; k < 2; k++) {
        TRY(sal_alloc(&w->batches[k].pictures, batch, sizeof *w->batches[k].pictures, "a batch"));
        if (k == 0 || w->device_maps)
            TRY(sal_alloc(&w->batches[k].inputs, p->elements * batch, sizeof(float), "inputs"));
    }
    if (!w->device_maps || p->options->save_gradient)
        TRY(sal_alloc(&w->attributions, all, sizeof(float), "attributions"));
    if (sal_engine_get_options(engine)->method->baseline != SAL_BASELINE_ZERO)
        TRY(sal_alloc(&w->baselines, p->elements * batch, sizeof(float), "baselines"));
    if (w->device_maps) {
        TRY(sal_alloc(&w->map_values, maps * batch * p->pixels, sizeof(float), "maps"));
        TRY(sal_alloc(&w->stats, maps * batch, sizeof *w->stats, "maps"));
    }
    TRY(sal_alloc(&w->scores, scores, sizeof(float), "scores"));
    if (p->model.detached)
        TRY(sal_alloc(&w->probabilities, scores, sizeof(float), "probabilities"));
    TRY(sal_alloc(&w->chosen, maps * batch, sizeof *w->chosen, "targets"));
    TRY(sal_alloc(&w->chosen_scores, maps * batch, sizeof(float), "targets"));
    TRY(sal_alloc(&w->gaps, maps * batch, sizeof *w->gaps, "targets"));
    TRY(sal_alloc(&w->targets, maps * batch, sizeof *w->targets, "targets"));
done:
    return st;
}

void sal_worker_close(sal_worker *w)
{
    for (int k = 0; k < 2; k++) {
        sal_free(w->batches[k].pictures);
        sal_free(w->batches[k].inputs);
    }
    sal_free(w->attributions);
    sal_free(w->baselines);
    sal_free(w->gaps);
    sal_free(w->map_values);
    sal_free(w->stats);
    sal_free(w->scores);
    sal_free(w->probabilities);
    sal_free(w->chosen);
    sal_free(w->chosen_scores);
    sal_free(w->targets);
    memset(w, 0, sizeof *w);
}

/* ---- One batch ----------------------------------------------------------- */

/* The pictures that a device is to make of one map, each as large as what is shown. One that there is no host memory
 * for is left to the encoder, which needs it for a moment only. */
static sal_status draw(sal_worker *w, sal_slot *slot, int64_t each, int64_t picture)
{
    sal_status st = SAL_OK;
    const sal_pipeline_job *job = w->pipeline->job;
    const sal_placement *where = &slot->drawn;
    sal_output *out = &slot->outputs[each];
    for (int file = 0; file <= SAL_FILE_OVERLAY; file++) {
        size_t size;
        const sal_overlay_style style = sal_output_style(w->pipeline->options, file != SAL_FILE_MAP);
        const unsigned bits = file == SAL_FILE_MAP ? SAL_FILE_BIT(SAL_FILE_MAP) : SAL_FILES_OVERLAY;
        /* Overlays that few pictures get are the encoder's: which they are is not known yet. */
        if (!(job->layout.files & bits) || (file == SAL_FILE_OVERLAY && job->wants_overlay))
            continue;
        if (!out->colours[file] &&
            (sal_size_mul(&size, (size_t)where->source_height, (size_t)where->source_width, "an overlay") != SAL_OK ||
             sal_alloc(&out->colours[file], size, 3, "an overlay") != SAL_OK))
            continue;
        TRY(sal_engine_overlay(out->colours[file], w->engine, picture, file == SAL_FILE_MAP ? NULL : &slot->shown,
                               where, &style));
    }
done:
    return st;
}

static sal_slot *slot_of(const sal_worker *w, int64_t number)
{
    return sal_ring_slot(&w->pipeline->ring, w->batches[w->turn].pictures[number]);
}

/* The maps of target number `each` of n pictures of the batch from number `from` on, and what is drawn of them. */
static sal_status map_all(sal_worker *w, int64_t each, int64_t from, int64_t n)
{
    sal_status st = SAL_OK;
    const size_t at = (size_t)(each * n);
    const sal_pipeline *p = w->pipeline;
    TRY(sal_engine_maps(w->engine, w->map_values + at * p->pixels, w->stats + at, p->map_height, p->map_width, n,
                        &p->map_options));
    for (int64_t i = 0; i < n; i++)
        TRY(draw(w, slot_of(w, from + i), each, i));
    TRY(sal_engine_finish_maps(w->engine));
done:
    return st;
}

static void gather(const sal_worker *w, const sal_batch *b)
{
    const size_t elements = w->pipeline->elements;
    for (int64_t i = 0; i < b->count; i++)
        memcpy(b->inputs + (size_t)i * elements, sal_ring_slot(&w->pipeline->ring, b->pictures[i])->input,
               elements * sizeof(float));
}

/* Of n pictures of the batch from number `from` on. */
static void set_targets(const sal_worker *w, int64_t from, int64_t n)
{
    const sal_explain_options *o = w->pipeline->options;
    const sal_target *targets = w->pipeline->job->targets;
    for (int64_t i = 0; i < w->pipeline->ring.maps * n; i++) {
        w->targets[i] = targets ? targets[w->batches[w->turn].pictures[from + i % n]] : o->target;
        if (o->top > 0) {
            w->targets[i].kind = SAL_TARGET_TOP;
            w->targets[i].index = i / n;
        }
    }
}

static sal_status make_baselines(const sal_worker *w, int64_t from, int64_t n)
{
    sal_status st = SAL_OK;
    const sal_pipeline *p = w->pipeline;
    for (int64_t i = 0; i < n; i++) {
        const sal_slot *slot = slot_of(w, from + i);
        TRY(sal_baseline_fill(w->baselines + (size_t)i * p->elements, slot->input, &slot->placement, &p->baseline));
    }
done:
    return st;
}

/* Runs n pictures of the batch from number `from` on. */
static sal_status run(sal_worker *w, int64_t from, int64_t n)
{
    sal_status st = SAL_OK;
    sal_pipeline *p = w->pipeline;
    set_targets(w, from, n);
    if (w->baselines)
        TRY(make_baselines(w, from, n));
    const sal_gradient_job job = {.inputs = w->batches[w->turn].inputs + (size_t)from * p->elements,
                                  .baselines = w->baselines,
                                  .count = n,
                                  .targets = w->targets,
                                  .each = p->ring.maps,
                                  .scores = w->scores,
                                  .chosen = w->chosen,
                                  .chosen_scores = w->chosen_scores,
                                  .gaps = w->gaps};
    TRY(sal_engine_begin(w->engine, &job));
    for (int64_t each = 0; each < job.each; each++) {
        TRY(sal_engine_attribute(w->engine, &job, each));
        if (w->attributions)
            TRY(sal_engine_download(w->engine, w->attributions + (size_t)(each * n) * p->attribution_elements, n));
        if (w->device_maps)
            TRY(map_all(w, each, from, n));
    }
done:
    return st;
}

/* The best outputs in order, as many as the ring keeps. */
static void rank(sal_prediction *best, size_t count, const float *scores, const float *probabilities, int64_t outputs)
{
    for (size_t k = 0; k < count; k++) {
        int64_t at = -1;
        for (int64_t i = 0; i < outputs; i++) {
            /* Scores equal to the last one are taken in the order of outputs. */
            const sal_prediction *last = k ? &best[k - 1] : NULL;
            const int taken = last && (scores[i] > last->score || (scores[i] == last->score && i <= last->output));
            if (!taken && (at < 0 || scores[i] > scores[at]))
                at = i;
        }
        best[k] = (sal_prediction){at, scores[at], probabilities ? probabilities[at] : NAN};
    }
}

/* Brings the results of run(from, n) into the pictures' slots. */
static void store(sal_worker *w, int64_t from, int64_t n)
{
    sal_pipeline *p = w->pipeline;
    const int64_t outputs = p->model.outputs;
    if (w->probabilities)
        (void)sal_model_probabilities(w->probabilities, sal_engine_model(w->engine), w->scores, n);
    for (int64_t i = 0; i < n; i++) {
        sal_slot *slot = slot_of(w, from + i);
        const float *scores = w->scores + i * outputs;
        const float *probabilities = w->probabilities ? w->probabilities + i * outputs : NULL;
        rank(slot->predictions, p->ring.predictions, scores, probabilities, outputs);
        for (int64_t k = 0; k < p->ring.maps; k++) {
            sal_explain_map *map = &slot->outputs[k].map;
            size_t at = (size_t)(k * n + i);
            map->size = sizeof *map;
            map->target = w->chosen[at];
            map->score = w->chosen_scores[at];
            map->probability = probabilities && map->target >= 0 ? probabilities[map->target] : NAN;
            map->gap = w->gaps[at];
            if (w->attributions)
                memcpy(sal_pipeline_attribution(p, slot, k), w->attributions + at * p->attribution_elements,
                       p->attribution_elements * sizeof(float));
            if (w->device_maps) {
                memcpy(slot->data + (size_t)k * p->pixels, w->map_values + at * p->pixels, p->pixels * sizeof(float));
                map->stats = w->stats[at];
            }
        }
    }
}

/* At the picture itself, or at what a method of several passes makes of it. */
static sal_status fail_numeric(const sal_worker *w, const char *path)
{
    const unsigned several = SAL_METHOD_SAMPLES | SAL_METHOD_PATH;
    const char *what = w->device_maps ? " or gradients" : "";
    if (sal_engine_method_has(w->engine) & several)
        return sal_fail(SAL_ERROR_NUMERIC,
                        "%s: the network's scores%s for it, or for what %s makes of it, are NaN or infinite", path,
                        what, w->pipeline->attribution.method);
    return sal_fail(SAL_ERROR_NUMERIC, "%s: the network's scores%s for it are NaN or infinite", path, what);
}

/* One picture whose scores are no numbers fails the whole batch: find out which. *done: pictures that are. */
static sal_status run_each(int64_t *done, sal_worker *w)
{
    const sal_batch *b = &w->batches[w->turn];
    for (; *done < b->count; (*done)++) {
        sal_status st = run(w, *done, 1);
        if (st == SAL_OK) {
            store(w, *done, 1);
        } else if (st == SAL_ERROR_NUMERIC) {
            sal_slot_fail(slot_of(w, *done), fail_numeric(w, w->pipeline->paths[b->pictures[*done]]));
        } else {
            return st;
        }
    }
    return SAL_OK;
}

/* Computes the worker's present batch; after an error the pictures from *done on are as they were. */
static sal_status compute(int64_t *done, sal_worker *w)
{
    const sal_batch *b = &w->batches[w->turn];
    const double begin = sal_pipeline_now();
    *done = 0;
    sal_status st = run(w, 0, b->count);
    if (st == SAL_OK) {
        store(w, 0, b->count);
        *done = b->count;
    } else if (st == SAL_ERROR_NUMERIC) {
        st = run_each(done, w);
    }
    const double each = sal_pipeline_count(w->pipeline, SAL_STAGE_COMPUTE, begin) / (double)b->count;
    for (int64_t i = 0; i < *done; i++) {
        slot_of(w, i)->milliseconds = each;
        sal_ring_set(&w->pipeline->ring, b->pictures[i], SAL_SLOT_COMPUTED);
    }
    return st;
}

/* ---- Batch after batch --------------------------------------------------- */

static int is_stopped(const sal_worker *w)
{
    sal_ring *r = &w->pipeline->ring;
    pthread_mutex_lock(&r->lock);
    const int stopped = r->stopped;
    pthread_mutex_unlock(&r->lock);
    return stopped;
}

/* The next batch into *b, of no pictures where the run was stopped, or where there is none yet and `wait` is 0. */
static void take_batch(sal_worker *w, sal_batch *b, int wait)
{
    sal_ring *r = &w->pipeline->ring;
    b->count = 0;
    pthread_mutex_lock(&r->lock);
    while (!r->stopped) {
        const size_t before = r->computed;
        sal_ring_take_batch(b->pictures, &b->count, r, w->batch);
        /* Pictures that failed may be delivered now. */
        if (r->computed != before)
            pthread_cond_broadcast(&r->changed);
        if (b->count > 0 || !wait)
            break;
        pthread_cond_wait(&r->changed, &r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    if (b->count > 0)
        gather(w, b);
}

static void end(sal_worker *w, sal_status st)
{
    sal_ring *r = &w->pipeline->ring;
    pthread_mutex_lock(&r->lock);
    w->ended = 1;
    w->status = st;
    snprintf(w->error, sizeof w->error, "%s", st == SAL_OK ? "" : sal_last_error());
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

void *sal_worker_run(void *context)
{
    sal_status st = SAL_OK;
    sal_worker *w = context;
    sal_pipeline_announce_thread();
    sal_engine_set_stop(w->engine, &w->pipeline->ring.ending);
    take_batch(w, &w->batches[w->turn], 1);
    while (st == SAL_OK && w->batches[w->turn].count > 0 && !is_stopped(w)) {
        sal_batch *b = &w->batches[w->turn], *next = &w->batches[1 - w->turn];
        int64_t done;
        next->count = 0;
        if (next->inputs) {
            take_batch(w, next, 0);
            if (next->count > 0)
                sal_engine_prefetch(w->engine, next->inputs, next->count);
        }
        st = compute(&done, w);
        if (st == SAL_ERROR_CANCELLED) { /* what was begun of a batch is computed again by whoever goes on */
            sal_ring_cut(&w->pipeline->ring, b->pictures[done]);
            st = SAL_OK;
            break;
        }
        if (st != SAL_OK) {
            sal_ring_give_back(&w->pipeline->ring, next->pictures, next->count);
            sal_ring_give_back(&w->pipeline->ring, b->pictures + done, b->count - done);
        } else if (next->count > 0) {
            w->turn = 1 - w->turn;
        } else {
            /* A batch that failed as a whole left its announcement, and this memory is filled anew. */
            sal_engine_prefetch(w->engine, NULL, 0);
            take_batch(w, b, 1);
        }
    }
    sal_engine_prefetch(w->engine, NULL, 0);
    sal_engine_set_stop(w->engine, NULL);
    end(w, st);
    return NULL;
}
