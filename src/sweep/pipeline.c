#include "sweep/pipeline.h"

#include "api/device_maps.h"
#include "base/file.h"
#include "base/memory.h"
#include "image/preprocess.h"
#include "map/map.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BATCHES_AHEAD = 3, /* of a worker: one being decoded, one computed, one encoded */
    MAX_THREADS = 8    /* of each kind */
};

/* ---- Before the run ----------------------------------------------------- */

static sal_status check_targets(const sal_pipeline *p)
{
    const sal_explain_options *o = p->options;
    sal_target target = o->target;
    if (o->top < 0 || o->top > p->model.outputs)
        return sal_fail(SAL_ERROR_ARGUMENT, "target top %lld: the model has %lld output%s", (long long)o->top,
                        (long long)p->model.outputs, p->model.outputs == 1 ? "" : "s");
    if (o->top > 0) {
        target.kind = SAL_TARGET_TOP;
        target.index = 0;
    }
    return sal_model_check_target(p->described, &target);
}

static sal_status check_map_options(const sal_explain_options *o)
{
    const sal_map_options *m = &o->map;
    if (!sal_colormap_name(o->colormap))
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown colour map %d", (int)o->colormap);
    if (!(o->alpha >= 0.0 && o->alpha <= 1.0))
        return sal_fail(SAL_ERROR_ARGUMENT, "alpha %g: must be from 0 to 1", o->alpha);
    if (m->sigma_set && !(m->sigma >= 0.0 && m->sigma <= SAL_SIGMA_MAX))
        return sal_fail(SAL_ERROR_ARGUMENT, "sigma %g: must be from 0 to %g", m->sigma, SAL_SIGMA_MAX);
    if ((unsigned)m->modifier > SAL_MODIFIER_NONE || (unsigned)m->reduce > SAL_REDUCE_L2 ||
        (unsigned)m->normalize > SAL_NORMALIZE_NONE)
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown modifier %d, reduction %d or normalisation %d", (int)m->modifier,
                        (int)m->reduce, (int)m->normalize);
    return SAL_OK;
}

/* What is wrong with the preprocessing itself would be wrong with every picture: tries
 * it on one that suits. */
static sal_status check_preprocess(const sal_pipeline *p)
{
    const sal_preprocess *options = &p->options->preprocess;
    unsigned char samples[SAL_MAX_CHANNELS] = {0};
    int converted =
        options->order == SAL_ORDER_GRAY || options->order == SAL_ORDER_RGB || options->order == SAL_ORDER_BGR;
    const sal_picture probe = {1, 1, converted ? 1 : p->model.channels, SAL_SAMPLE_U8, samples};
    sal_placement placement;
    sal_status st = sal_preprocess_apply(p->workers[0].batches[0].inputs, &placement, &probe, options,
                                         p->model.channels, p->model.height, p->model.width);
    return st == SAL_OK ? st : sal_fail_in(st, "preprocessing");
}

/* Better now than after the first batch. */
static sal_status check_folder(const char *out_dir)
{
    sal_status st = SAL_OK;
    sal_file_out probe = {0};
    char *path = NULL;
    if (!out_dir || !*out_dir)
        return sal_fail(SAL_ERROR_ARGUMENT, "no output folder is given");
    TRY(sal_directory_make(out_dir));
    size_t size = strlen(out_dir) + sizeof "/writable";
    path = malloc(size);
    if (!path) {
        st = sal_fail_memory(size, "a path");
        goto done;
    }
    snprintf(path, size, "%s/writable", out_dir);
    st = sal_file_create(&probe, path);
    if (st != SAL_OK)
        st = sal_fail_in(st, "%s: the output folder is not writable", out_dir);
done:
    sal_file_discard(&probe);
    free(path);
    return st;
}

static size_t threads_of(size_t cores_each)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t n = cores > 0 ? (size_t)cores / cores_each : 1;
    if (n < 1)
        n = 1;
    return n > MAX_THREADS ? MAX_THREADS : n;
}

/* Slots for as many pictures as keep every worker busy. */
static sal_status open_ring(sal_pipeline *p, size_t count)
{
    sal_status st = SAL_OK;
    const size_t maps = p->options->top > 0 ? (size_t)p->options->top : 1;
    size_t data, slots = 0;
    TRY(sal_size_mul(&data, p->elements, maps, "gradients"));
    if (p->device_maps)
        data += maps * p->pixels;
    for (size_t k = 0; k < p->worker_count; k++)
        slots += (size_t)p->workers[k].batch * (p->workers[k].device_maps ? BATCHES_AHEAD + 1 : BATCHES_AHEAD);
    TRY(sal_ring_init(&p->ring, slots < count ? slots : count, count, data, (int64_t)maps));
done:
    return st;
}

static sal_status check_engines(const sal_pipeline *p, sal_engine *const *engines, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        sal_model_info info;
        sal_status st = sal_model_get_info(&info, sal_engine_model(engines[k]));
        if (st != SAL_OK)
            return st;
        if (info.channels != p->model.channels || info.height != p->model.height || info.width != p->model.width ||
            info.outputs != p->model.outputs || sal_engine_makes_maps(engines[k]) != p->device_maps)
            return sal_fail(SAL_ERROR_ARGUMENT, "engine %zu is not of the same model and kind of device as the first",
                            k);
    }
    return SAL_OK;
}

static sal_status prepare(sal_pipeline *p, sal_engine *const *engines, size_t engine_count, size_t count)
{
    sal_status st = SAL_OK;
    p->described = sal_engine_model(engines[0]);
    TRY(sal_model_get_info(&p->model, p->described));
    p->device_maps = sal_engine_makes_maps(engines[0]);
    p->decoders = threads_of(8);
    p->encoders = threads_of(4);
    p->pixels = (size_t)(p->model.height * p->model.width);
    TRY(sal_size_mul(&p->elements, (size_t)p->model.channels, p->pixels, "inputs"));
    TRY(check_engines(p, engines, engine_count));
    TRY(check_targets(p));
    TRY(check_map_options(p->options));
    TRY(sal_alloc(&p->workers, engine_count, sizeof *p->workers, "workers"));
    for (p->worker_count = 0; p->worker_count < engine_count; p->worker_count++) {
        st = sal_worker_open(&p->workers[p->worker_count], p, engines[p->worker_count]);
        if (st != SAL_OK) {
            sal_worker_close(&p->workers[p->worker_count]);
            goto done;
        }
    }
    TRY(open_ring(p, count));
    TRY(check_preprocess(p));
    TRY(check_folder(p->options->out_dir));
    TRY(sal_names_make(&p->names, p->paths, count, p->options));
done:
    return st;
}

static void release(sal_pipeline *p)
{
    if (p->ring.slots)
        sal_ring_clear(&p->ring);
    sal_names_clear(&p->names);
    for (size_t k = 0; k < p->worker_count; k++)
        sal_worker_close(&p->workers[k]);
    sal_free(p->workers);
}

float *sal_pipeline_gradient(const sal_pipeline *p, const sal_slot *slot, int64_t map)
{
    if (p->device_maps && !p->options->save_gradient)
        return NULL;
    size_t before = p->device_maps ? (size_t)p->ring.maps * p->pixels : 0;
    return slot->data + before + (size_t)map * p->elements;
}

/* ---- Delivering --------------------------------------------------------- */

typedef struct delivery {
    sal_explain_callback callback;
    void *context;
    sal_explain_map *maps; /* of one picture, side by side */
    size_t failed;
} delivery;

static sal_status deliver_one(sal_pipeline *p, delivery *d, size_t picture)
{
    sal_slot *slot = sal_ring_slot(&p->ring, picture);
    sal_explain_result result = {.path = p->paths[picture],
                                 .status = slot->status,
                                 .milliseconds = slot->milliseconds,
                                 .predicted = slot->predicted,
                                 .predicted_score = slot->predicted_score,
                                 .predicted_probability = slot->predicted_probability,
                                 .maps = d->maps};
    if (slot->status != SAL_OK) {
        d->failed++;
        result.error = slot->error;
        result.predicted = -1;
        result.predicted_score = result.predicted_probability = NAN;
    } else {
        result.map_count = (size_t)p->ring.maps;
        for (size_t i = 0; i < result.map_count; i++)
            d->maps[i] = slot->outputs[i].map;
    }
    int stop = d->callback ? d->callback(d->context, &result) : 0;
    return stop ? sal_fail(SAL_ERROR_CANCELLED, "stopped after %s", result.path) : SAL_OK;
}

/* Hands over what is ready, in order. */
static sal_status deliver(sal_pipeline *p, delivery *d)
{
    sal_status st = SAL_OK;
    sal_ring *r = &p->ring;
    /* Only this thread moves `delivered`, and nobody touches a slot that is DONE. */
    while (st == SAL_OK && r->delivered < r->count) {
        sal_slot *slot = sal_ring_slot(r, r->delivered);
        pthread_mutex_lock(&r->lock);
        int done = slot->state == SAL_SLOT_DONE && r->delivered < r->computed;
        pthread_mutex_unlock(&r->lock);
        if (!done)
            break;
        st = deliver_one(p, d, r->delivered);
        pthread_mutex_lock(&r->lock);
        sal_slot_reset(slot, r->maps);
        r->delivered++;
        pthread_cond_broadcast(&r->changed);
        pthread_mutex_unlock(&r->lock);
    }
    return st;
}

/* ---- Running ------------------------------------------------------------ */

/* A failed device costs its worker, as long as there is another; anything else would fail them all. */
static int is_loss(sal_status st)
{
    return st == SAL_ERROR_DEVICE || st == SAL_ERROR_MEMORY;
}

/* A worker that ended and nobody was told of, or NULL; *left: how many go on. */
static sal_worker *ended_worker(size_t *left, const sal_pipeline *p)
{
    sal_worker *found = NULL;
    *left = p->worker_count;
    for (size_t k = 0; k < p->worker_count; k++) {
        sal_worker *w = &p->workers[k];
        *left -= w->ended != 0;
        if (w->ended && !w->told)
            found = w;
    }
    return found;
}

/* Tells of workers that ended since. Under the lock, which the callback is called without: what happened meanwhile is
 * looked at as well. */
static sal_status look_after_workers(sal_pipeline *p, const delivery *d)
{
    size_t left;
    for (sal_worker *w; (w = ended_worker(&left, p)) != NULL;) {
        w->told = 1;
        if (!is_loss(w->status) || left == 0)
            return sal_fail(w->status, "%s", w->error);
        sal_plan_info plan;
        if (p->options->device_lost && sal_engine_get_plan(&plan, w->engine) == SAL_OK) {
            pthread_mutex_unlock(&p->ring.lock);
            p->options->device_lost(d->context, plan.device, w->error);
            pthread_mutex_lock(&p->ring.lock);
        }
    }
    return SAL_OK;
}

static sal_status wait_for_results(sal_pipeline *p, const delivery *d)
{
    sal_status st = SAL_OK;
    sal_ring *r = &p->ring;
    pthread_mutex_lock(&r->lock);
    for (;;) {
        st = look_after_workers(p, d);
        if (st != SAL_OK || (r->delivered < r->computed && sal_ring_slot(r, r->delivered)->state == SAL_SLOT_DONE))
            break;
        pthread_cond_wait(&r->changed, &r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return st;
}

static sal_status run(sal_pipeline *p, delivery *d)
{
    sal_status st = SAL_OK;
    const size_t count = p->ring.count;
    while (p->ring.delivered < count) {
        st = wait_for_results(p, d);
        if (st != SAL_OK) {
            const size_t missing = count - p->ring.delivered;
            if (count > 1)
                st = sal_fail(st, "%s (%zu of %zu pictures not done)", sal_last_error(), missing, count);
            break;
        }
        TRY(deliver(p, d));
    }
done:
    return st;
}

typedef struct thread_list {
    pthread_t threads[2 * MAX_THREADS];
    size_t started;
} thread_list;

static sal_status start_threads(thread_list *list, sal_pipeline *p, size_t *workers)
{
    for (; list->started < p->decoders + p->encoders; list->started++)
        if (pthread_create(&list->threads[list->started], NULL,
                           list->started < p->decoders ? sal_pipeline_decode : sal_pipeline_encode, p) != 0)
            return sal_fail(SAL_ERROR_MEMORY, "cannot start a thread");
    for (; *workers < p->worker_count; (*workers)++)
        if (pthread_create(&p->workers[*workers].thread, NULL, sal_worker_run, &p->workers[*workers]) != 0)
            return sal_fail(SAL_ERROR_MEMORY, "cannot start a thread");
    return SAL_OK;
}

/* Starts the threads, runs, and joins them, whatever happened. */
static sal_status run_with_threads(sal_pipeline *p, delivery *d)
{
    thread_list list = {.started = 0};
    size_t workers = 0;
    sal_status st = start_threads(&list, p, &workers);
    if (st == SAL_OK)
        st = run(p, d);
    sal_ring_stop(&p->ring);
    while (workers-- > 0)
        pthread_join(p->workers[workers].thread, NULL);
    while (list.started-- > 0)
        pthread_join(list.threads[list.started], NULL);
    return st;
}

sal_status sal_explain_files_on(size_t *failed, sal_engine *const *engines, size_t engine_count,
                                const char *const *paths, size_t count, const sal_explain_options *options,
                                sal_explain_callback callback, void *context)
{
    sal_status st = SAL_OK;
    sal_pipeline p = {.paths = paths, .options = options};
    delivery d = {.callback = callback, .context = context};
    if (failed)
        *failed = 0;
    if (!engines || engine_count == 0 || !options || (!paths && count > 0))
        return sal_fail(SAL_ERROR_ARGUMENT, "engines, paths and options must be given");
    for (size_t k = 0; k < engine_count; k++)
        if (!engines[k])
            return sal_fail(SAL_ERROR_ARGUMENT, "engines, paths and options must be given");
    if (count == 0)
        return SAL_OK;
    TRY(prepare(&p, engines, engine_count, count));
    TRY(sal_alloc(&d.maps, (size_t)p.ring.maps, sizeof *d.maps, "results"));
    TRY(run_with_threads(&p, &d));
done:
    if (failed)
        *failed = d.failed;
    release(&p);
    sal_free(d.maps);
    return st;
}

sal_status sal_explain_files(size_t *failed, sal_engine *engine, const char *const *paths, size_t count,
                             const sal_explain_options *options, sal_explain_callback callback, void *context)
{
    return sal_explain_files_on(failed, &engine, 1, paths, count, options, callback, context);
}
