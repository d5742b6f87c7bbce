#define _GNU_SOURCE /* sched_getaffinity */
#include "sweep/pipeline.h"

#include "api/attribute.h"
#include "api/identity.h"
#include "base/memory.h"
#include "image/image.h"
#include "map/map.h"
#include "salmap/plan.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCHES_AHEAD = 3, /* of a worker: one being decoded, one computed, one encoded */
    MAX_THREADS = 33   /* that decode and encode */
};

/* ---- Before the run ----------------------------------------------------- */

/* That this process may use. */
static size_t core_count(void)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) > 0)
        return (size_t)CPU_COUNT(&allowed);
    const long cores = sysconf(_SC_NPROCESSORS_ONLN); /* more than the set has room for */
    return cores > 0 ? (size_t)cores : 1;
}

/* As many as there are cores may decode, and one encodes meanwhile. */
static size_t thread_count(void)
{
    const size_t n = core_count() + 1;
    return n > MAX_THREADS ? MAX_THREADS : n;
}

static int keeps_attributions(const sal_pipeline *p)
{
    return !p->device_maps || p->options->save_gradient;
}

/* Slots for as many pictures as keep every worker busy. */
static sal_status open_ring(sal_pipeline *p, size_t count)
{
    sal_status st = SAL_OK;
    const size_t maps = sal_maps_of(p->options->top);
    size_t data = 0, slots = 0;
    if (keeps_attributions(p))
        TRY(sal_size_mul(&data, p->attribution_elements, maps, "attributions"));
    if (p->device_maps)
        data += maps * p->pixels;
    for (size_t k = 0; k < p->worker_count; k++)
        slots += (size_t)p->workers[k].batch * (p->workers[k].device_maps ? BATCHES_AHEAD + 1 : BATCHES_AHEAD);
    size_t predictions = p->job->predictions > 1 ? p->job->predictions : 1;
    if (predictions > (size_t)p->model.outputs)
        predictions = (size_t)p->model.outputs;
    TRY(sal_ring_init(&p->ring, slots < count ? slots : count, count, p->elements, data, (int64_t)maps, predictions));
    p->ring.alone = count - p->job->alone;
    p->ring.most_decoding = p->threads - 1;
    /* However much one picture may take: no more in flight than there is. */
    const uint64_t free_memory = sal_picture_default_memory(), most = p->limits.max_memory;
    p->ring.max_reserved = (most < free_memory ? most : free_memory) / 2;
done:
    return st;
}

/* What the method says of attributions and maps. */
static sal_status prepare_method(sal_pipeline *p, const sal_engine *engine)
{
    sal_status st = SAL_OK;
    const sal_method_options *method = sal_engine_get_options(engine)->method;
    TRY(sal_engine_get_attribution(&p->attribution, engine));
    TRY(sal_size_mul(&p->attribution_elements, (size_t)p->attribution.channels,
                     (size_t)(p->attribution.height * p->attribution.width), "attributions"));
    p->map_height = p->options->raw_map ? p->attribution.height : p->model.height;
    p->map_width = p->options->raw_map ? p->attribution.width : p->model.width;
    p->pixels = (size_t)(p->map_height * p->map_width);
    p->map_options = *p->options->map;
    sal_map_options_resolve(&p->map_options, &p->attribution, p->model.height, p->model.width);
    p->baseline = (sal_baseline_plan){.kind = method->baseline,
                                      .preprocess = &p->options->preprocess,
                                      .channels = p->model.channels,
                                      .height = p->model.height,
                                      .width = p->model.width};
    if (method->baseline == SAL_BASELINE_FILE) {
        TRY(sal_alloc(&p->baseline_file, p->elements, sizeof(float), "the baseline"));
        TRY(sal_baseline_check(method->baseline_file, p->job->baseline_sha256));
        TRY(sal_baseline_read(p->baseline_file, method->baseline_file, &p->options->preprocess, &p->limits, &p->model));
        TRY(sal_baseline_check(method->baseline_file, p->job->baseline_sha256));
        p->baseline.file = p->baseline_file;
    }
done:
    return st;
}

static sal_status prepare(sal_pipeline *p, sal_engine *const *engines, size_t engine_count, size_t count)
{
    sal_status st = SAL_OK;
    p->described = sal_engine_model(engines[0]);
    TRY(sal_model_get_info(&p->model, p->described));
    p->device_maps = sal_engine_makes_maps(engines[0]);
    p->limits = *p->options->limits;
    if (p->limits.max_memory == 0)
        p->limits.max_memory = sal_picture_default_memory();
    p->threads = thread_count();
    TRY(sal_size_mul(&p->elements, (size_t)p->model.channels, (size_t)(p->model.height * p->model.width), "inputs"));
    TRY(prepare_method(p, engines[0]));
    TRY(sal_alloc(&p->workers, engine_count, sizeof *p->workers, "workers"));
    for (p->worker_count = 0; p->worker_count < engine_count; p->worker_count++) {
        st = sal_worker_open(&p->workers[p->worker_count], p, engines[p->worker_count]);
        if (st != SAL_OK) {
            sal_worker_close(&p->workers[p->worker_count]);
            goto done;
        }
    }
    TRY(open_ring(p, count));
done:
    return st;
}

static void release(sal_pipeline *p)
{
    if (p->ring.slots)
        sal_ring_clear(&p->ring);
    for (size_t k = 0; k < p->worker_count; k++)
        sal_worker_close(&p->workers[k]);
    sal_free(p->workers);
    sal_free(p->baseline_file);
}

float *sal_pipeline_attribution(const sal_pipeline *p, const sal_slot *slot, int64_t map)
{
    if (!keeps_attributions(p))
        return NULL;
    const size_t before = p->device_maps ? (size_t)p->ring.maps * p->pixels : 0;
    return slot->data + before + (size_t)map * p->attribution_elements;
}

/* ---- How it goes --------------------------------------------------------- */

double sal_pipeline_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double processor_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double sal_pipeline_count(sal_pipeline *p, sal_stage stage, double begin)
{
    const double took = sal_pipeline_now() - begin;
    pthread_mutex_lock(&p->ring.lock);
    p->ring.busy[stage] += took;
    pthread_mutex_unlock(&p->ring.lock);
    return took * 1e3;
}

static void measure(sal_pipeline_state *state, sal_pipeline *p, double now)
{
    const size_t threads[SAL_STAGE_STORE] = {p->threads, p->worker_count, p->threads};
    static const char *const names[SAL_STAGES] = {"decode", "compute", "encode", "store"};
    memset(state, 0, sizeof *state);
    state->delivered = p->ring.delivered;
    state->seconds = now - p->begin;
    const double wall = state->seconds > 1e-9 ? state->seconds : 1e-9;
    state->processor = (processor_now() - p->processor_begin) / (wall * (double)core_count());
    for (int k = 0; k < SAL_STAGES; k++)
        state->stages[k].name = names[k];
    pthread_mutex_lock(&p->ring.lock);
    for (int k = 0; k < SAL_STAGE_STORE; k++) {
        sal_stage_info *s = &state->stages[k];
        s->threads = threads[k];
        s->busy = p->ring.busy[k] / (wall * (double)threads[k]);
        s->milliseconds = state->delivered ? p->ring.busy[k] * 1e3 / (double)state->delivered : 0.0;
    }
    pthread_mutex_unlock(&p->ring.lock);
}

/* Lets the caller look, unless it did so a moment ago; ends the run where it says so. */
static void look(sal_pipeline *p, int now_at_once)
{
    const double now = sal_pipeline_now();
    sal_pipeline_state state;
    if (!p->job->look || (!now_at_once && now - p->looked < 0.1))
        return;
    p->looked = now;
    measure(&state, p, now);
    if (p->job->look(p->job->context, &state) != 0)
        sal_ring_drain(&p->ring);
}

/* ---- Delivering --------------------------------------------------------- */

/* Hands over what is ready, in order; no more than was in flight, or pictures that are done as fast as they are handed
 * over would keep the caller from looking whether it is to stop. */
static sal_status deliver(sal_pipeline *p)
{
    sal_status st = SAL_OK;
    sal_ring *r = &p->ring;
    const size_t end = r->delivered + r->size < r->count ? r->delivered + r->size : r->count;
    /* Only this thread moves `delivered`, and nobody touches a slot that is DONE. */
    while (st == SAL_OK && r->delivered < end) {
        sal_slot *slot = sal_ring_slot(r, r->delivered);
        pthread_mutex_lock(&r->lock);
        int done = slot->state == SAL_SLOT_DONE && r->delivered < r->computed;
        pthread_mutex_unlock(&r->lock);
        if (!done)
            break;
        st = p->job->deliver(p->job->context, r->delivered, slot);
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
static sal_status look_after_workers(sal_pipeline *p)
{
    size_t left;
    for (sal_worker *w; (w = ended_worker(&left, p)) != NULL;) {
        w->told = 1;
        if (!is_loss(w->status) || left == 0)
            return sal_fail(w->status, "%s", w->error);
        sal_plan_info plan = SAL_PLAN_INFO_INIT;
        if (p->options->device_lost && sal_engine_get_plan(&plan, w->engine) == SAL_OK) {
            pthread_mutex_unlock(&p->ring.lock);
            p->options->device_lost(p->job->lost_context, plan.device, w->error);
            pthread_mutex_lock(&p->ring.lock);
        }
    }
    return SAL_OK;
}

/* For the next picture, or for a moment to look in. */
static sal_status wait_for_results(sal_pipeline *p)
{
    sal_ring *r = &p->ring;
    pthread_mutex_lock(&r->lock);
    sal_status st = look_after_workers(p);
    if (st == SAL_OK && !(r->delivered < r->computed && sal_ring_slot(r, r->delivered)->state == SAL_SLOT_DONE))
        sal_ring_wait(r);
    pthread_mutex_unlock(&r->lock);
    return st;
}

static sal_status run(sal_pipeline *p)
{
    sal_status st = SAL_OK;
    const size_t count = p->ring.count;
    while (p->ring.delivered < p->ring.count) {
        st = wait_for_results(p);
        if (st != SAL_OK) {
            const size_t missing = count - p->ring.delivered;
            if (count > 1)
                st = sal_fail(st, "%s (%zu of %zu pictures not done)", sal_last_error(), missing, count);
            break;
        }
        TRY(deliver(p));
        look(p, 0);
    }
done:
    return st;
}

typedef struct thread_list {
    pthread_t threads[MAX_THREADS];
    size_t started;
} thread_list;

static sal_status start_threads(thread_list *list, sal_pipeline *p, size_t *workers)
{
    for (; list->started < p->threads; list->started++)
        if (pthread_create(&list->threads[list->started], NULL, sal_pipeline_work, p) != 0)
            return sal_fail(SAL_ERROR_MEMORY, "cannot start a thread");
    for (; *workers < p->worker_count; (*workers)++)
        if (pthread_create(&p->workers[*workers].thread, NULL, sal_worker_run, &p->workers[*workers]) != 0)
            return sal_fail(SAL_ERROR_MEMORY, "cannot start a thread");
    return SAL_OK;
}

/* Starts the threads, runs, and joins them, whatever happened. */
static sal_status run_with_threads(sal_pipeline *p)
{
    thread_list list = {.started = 0};
    size_t workers = 0;
    sal_status st = start_threads(&list, p, &workers);
    if (st == SAL_OK)
        st = run(p);
    sal_ring_stop(&p->ring);
    while (workers-- > 0)
        pthread_join(p->workers[workers].thread, NULL);
    while (list.started-- > 0)
        pthread_join(list.threads[list.started], NULL);
    return st;
}

sal_status sal_pipeline_run(const sal_pipeline_job *job, sal_engine *const *engines, size_t engine_count)
{
    sal_status st = SAL_OK;
    sal_pipeline p = {.job = job,
                      .paths = job->paths,
                      .options = job->options,
                      .model = SAL_MODEL_INFO_INIT,
                      .attribution = SAL_ATTRIBUTION_INFO_INIT};
    if (job->count == 0)
        return SAL_OK;
    TRY(prepare(&p, engines, engine_count, job->count));
    p.begin = p.looked = sal_pipeline_now();
    p.processor_begin = processor_now();
    st = run_with_threads(&p);
    if (st == SAL_OK) /* the caller's look may fail for itself, and hide the error */
        look(&p, 1);
done:
    release(&p);
    return st;
}
