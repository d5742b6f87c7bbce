/* What the threads of the pipeline do with one picture. */
#include "sweep/pipeline.h"

#include "base/threads.h"
#include "image/image.h"
#include "sweep/draw.h"

#include <string.h>

/* Shown pictures in flight before decoding waits; one picture may go beyond. */
static const size_t max_shown_bytes = (size_t)512 << 20;

/* Tells the OpenMP runtime of the calling thread. GNU's lets idle threads spin for
 * milliseconds before they sleep, unless it knows of more threads than cores; the
 * threads of the pipeline do want the cores that spinning would take: with them
 * unknown, runs take up to eight times as long. A team of two does it, whose second
 * thread sleeps. The runtime ends the process where it cannot start that thread: better slow than that. */
void sal_pipeline_announce_thread(void)
{
    int members = 0;
    if (sal_threads_try(1) != SAL_OK)
        return;
#pragma omp parallel num_threads(2) reduction(+ : members)
    members++;
    (void)members;
}

/* What is drawn on, no larger than asked for. An 8-bit RGB picture of that size is shown as it is, without a copy. */
static sal_status keep_shown(sal_slot *slot, sal_picture *picture, const sal_preprocess *preprocess, int64_t longest)
{
    sal_status st = SAL_OK;
    slot->drawn = sal_placement_within(&slot->drawn, longest);
    TRY(sal_shown_make(&slot->shown, picture, &slot->drawn, preprocess));
    if (!slot->shown.samples) {
        slot->shown = *picture;
        memset(picture, 0, sizeof *picture);
    }
    slot->bytes = (size_t)slot->shown.height * (size_t)slot->shown.width * 3;
done:
    return st;
}

/* A picture that asks for memory. */
typedef struct applicant {
    sal_ring *ring;
    size_t picture;
} applicant;

static sal_status wait_for_memory(void *context, uint64_t bytes)
{
    const applicant *a = context;
    const double begin = sal_pipeline_now();
    const int going = sal_ring_reserve(a->ring, a->picture, bytes);
    sal_ring_slot(a->ring, a->picture)->waited += sal_pipeline_now() - begin;
    return going ? SAL_OK : sal_fail(SAL_ERROR_CANCELLED, "the run was stopped");
}

/* What would have to be taken for granted of the picture. */
static sal_status take_notes(sal_slot *slot, const sal_picture *picture, const sal_preprocess *how, int64_t channels,
                             int is_strict)
{
    sal_status st = SAL_OK;
    TRY(sal_picture_notes(&slot->notes, slot->note, sizeof slot->note, picture, how, channels));
    if (is_strict && slot->notes) {
        for (char *end = slot->note; (end = strchr(end, '\n')) != NULL;)
            *end = ';';
        st = sal_fail(SAL_ERROR_ARGUMENT, "%s (--strict)", slot->note);
    }
done:
    return st;
}

static sal_status decode(sal_pipeline *p, sal_slot *slot, size_t number)
{
    sal_status st = SAL_OK;
    sal_picture picture = {0};
    const char *path = p->paths[number];
    applicant who = {&p->ring, number};
    const sal_image_gate gate = {wait_for_memory, &who};
    const sal_model_info *m = &p->model;
    const sal_preprocess *how = &p->options->preprocess;
    size_t size;
    slot->bytes = 0;
    TRY(sal_picture_read_through(&picture, &size, path, how, m->channels, &p->limits, &gate));
    slot->file_bytes = (int64_t)size;
    st = sal_preprocess_apply(slot->input, &slot->placement, &picture, how, m->channels, m->height, m->width);
    if (st == SAL_OK)
        st = take_notes(slot, &picture, how, m->channels, p->options->strict != 0);
    slot->drawn = sal_placement_of_map(&slot->placement, p->map_height, p->map_width);
    if (st == SAL_OK && (p->job->layout.files & (SAL_FILES_OVERLAY | SAL_FILES_FIGURE)))
        st = keep_shown(slot, &picture, how, p->job->longest);
    /* What a device draws is as large, and there until it is encoded. */
    if (st == SAL_OK && p->device_maps)
        slot->bytes *= 1 + 2 * (size_t)p->ring.maps;
    if (st != SAL_OK)
        st = sal_fail_in(st, "%s", path);
done:
    sal_picture_clear(&picture);
    return st;
}

static void decode_into_slot(sal_pipeline *p, size_t i)
{
    sal_slot *slot = sal_ring_slot(&p->ring, i);
    const double begin = sal_pipeline_now();
    if (p->job->begin)
        p->job->begin(p->job->context, i);
    const sal_status st = decode(p, slot, i);
    if (st != SAL_OK)
        sal_slot_fail(slot, st);
    slot->decode_ms = sal_pipeline_count(p, SAL_STAGE_DECODE, begin + slot->waited);
    sal_ring_settle(&p->ring, i, slot->bytes);
    pthread_mutex_lock(&p->ring.lock);
    p->ring.bytes += slot->bytes;
    pthread_mutex_unlock(&p->ring.lock);
    sal_ring_set(&p->ring, i, SAL_SLOT_DECODED);
}

static sal_status encode(sal_pipeline *p, sal_slot *slot, size_t picture)
{
    sal_status st = SAL_OK;
    const sal_pipeline_job *j = p->job;
    const int overlay = !j->wants_overlay || j->wants_overlay(j->context, picture, slot);
    sal_output_job job = {.options = p->options,
                          .layout = &j->layout,
                          .files = overlay ? j->layout.files : j->layout.files & ~SAL_FILES_OVERLAY,
                          .picture = j->rows ? j->rows[picture] : picture,
                          .picture_path = p->paths[picture],
                          .model = p->model.path,
                          .label = j->labels ? j->labels[picture] : NULL,
                          .stem = j->stems[picture],
                          .attribution = &p->attribution,
                          .map_options = &p->map_options,
                          .outputs = p->model.outputs,
                          .shown = &slot->shown,
                          .placement = &slot->drawn};
    for (job.number = 0; job.number < p->ring.maps; job.number++) {
        job.map = p->device_maps ? slot->data + (size_t)job.number * p->pixels : NULL;
        job.values = sal_pipeline_attribution(p, slot, job.number);
        st = sal_output_write(&slot->outputs[job.number], &job);
        /* Failures to write name their file, the others the picture. */
        slot->unwritten = st == SAL_ERROR_IO;
        if (st != SAL_OK && st != SAL_ERROR_IO)
            st = sal_fail_in(st, "%s", job.picture_path);
        if (st != SAL_OK)
            break;
    }
    return st;
}

static void encode_slot(sal_pipeline *p, size_t i)
{
    sal_slot *slot = sal_ring_slot(&p->ring, i);
    if (slot->status == SAL_OK) { /* scores that are no numbers fail one picture of a batch */
        const double begin = sal_pipeline_now();
        const sal_status st = encode(p, slot, i);
        if (st != SAL_OK)
            sal_slot_fail(slot, st);
        slot->encode_ms = sal_pipeline_count(p, SAL_STAGE_ENCODE, begin);
    }
    sal_picture_clear(&slot->shown);
    sal_ring_settle(&p->ring, i, 0);
    pthread_mutex_lock(&p->ring.lock);
    p->ring.bytes -= slot->bytes;
    pthread_mutex_unlock(&p->ring.lock);
    sal_ring_set(&p->ring, i, SAL_SLOT_DONE);
}

void *sal_pipeline_work(void *context)
{
    sal_pipeline *p = context;
    sal_work work;
    size_t i;
    sal_pipeline_announce_thread();
    while ((work = sal_ring_take_work(&i, &p->ring, max_shown_bytes)) != SAL_WORK_NONE)
        (work == SAL_WORK_DECODE ? decode_into_slot : encode_slot)(p, i);
    return NULL;
}
