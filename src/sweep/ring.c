#include "sweep/ring.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

sal_status sal_ring_init(sal_ring *ring, size_t size, size_t count, size_t input_count, size_t data_count, int64_t maps,
                         size_t predictions)
{
    sal_status st = SAL_OK;
    memset(ring, 0, sizeof *ring);
    ring->size = size;
    ring->count = count;
    ring->alone = count;
    ring->most_decoding = 1;
    ring->maps = maps;
    ring->predictions = predictions;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&ring->lock, NULL);
    pthread_cond_init(&ring->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    TRY(sal_alloc(&ring->slots, size, sizeof *ring->slots, "pictures in flight"));
    TRY(sal_alloc(&ring->returned, size, sizeof *ring->returned, "pictures in flight"));
    for (size_t i = 0; i < size; i++) {
        TRY(sal_alloc(&ring->slots[i].input, input_count, sizeof(float), "pictures in flight"));
        TRY(sal_alloc(&ring->slots[i].data, data_count, sizeof(float), "pictures in flight"));
        TRY(sal_alloc(&ring->slots[i].outputs, (size_t)maps, sizeof(sal_output), "pictures in flight"));
        TRY(sal_alloc(&ring->slots[i].predictions, predictions, sizeof(sal_prediction), "pictures in flight"));
    }
done:
    if (st != SAL_OK)
        sal_ring_clear(ring);
    return st;
}

void sal_ring_clear(sal_ring *ring)
{
    for (size_t i = 0; ring->slots && i < ring->size; i++) {
        sal_slot *slot = &ring->slots[i];
        if (slot->outputs)
            sal_slot_reset(slot, ring->maps);
        sal_free(slot->input);
        sal_free(slot->data);
        sal_free(slot->outputs);
        sal_free(slot->predictions);
    }
    sal_free(ring->slots);
    sal_free(ring->returned);
    pthread_cond_destroy(&ring->changed);
    pthread_mutex_destroy(&ring->lock);
    memset(ring, 0, sizeof *ring);
}

sal_slot *sal_ring_slot(sal_ring *ring, size_t picture)
{
    return &ring->slots[picture % ring->size];
}

void sal_ring_set(sal_ring *ring, size_t picture, sal_slot_state state)
{
    pthread_mutex_lock(&ring->lock);
    sal_ring_slot(ring, picture)->state = state;
    ring->decoding -= state == SAL_SLOT_DECODED;
    pthread_cond_broadcast(&ring->changed);
    pthread_mutex_unlock(&ring->lock);
}

void sal_ring_stop(sal_ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    ring->stopped = 1;
    atomic_store(&ring->ending, 1);
    pthread_cond_broadcast(&ring->changed);
    pthread_mutex_unlock(&ring->lock);
}

void sal_ring_cut(sal_ring *ring, size_t picture)
{
    pthread_mutex_lock(&ring->lock);
    if (ring->count > picture)
        ring->count = picture;
    pthread_cond_broadcast(&ring->changed);
    pthread_mutex_unlock(&ring->lock);
}

void sal_ring_drain(sal_ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    atomic_store(&ring->ending, 1);
    if (ring->count > ring->computed)
        ring->count = ring->computed;
    pthread_cond_broadcast(&ring->changed);
    pthread_mutex_unlock(&ring->lock);
}

void sal_ring_wait(sal_ring *ring)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += 100000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    (void)pthread_cond_timedwait(&ring->changed, &ring->lock, &until);
}

void sal_slot_fail(sal_slot *slot, sal_status status)
{
    slot->status = status;
    snprintf(slot->error, sizeof slot->error, "%s", sal_last_error());
}

void sal_slot_reset(sal_slot *slot, int64_t maps)
{
    for (int64_t i = 0; i < maps; i++)
        sal_output_clear(&slot->outputs[i]);
    sal_picture_clear(&slot->shown);
    slot->state = SAL_SLOT_EMPTY;
    slot->notes = 0;
    slot->status = SAL_OK;
    slot->error[0] = '\0';
    slot->waited = slot->milliseconds = slot->decode_ms = slot->encode_ms = 0.0;
    slot->unwritten = 0;
}

static int take_encode(size_t *picture, sal_ring *ring)
{
    for (size_t i = ring->delivered; i < ring->computed; i++) {
        sal_slot *slot = sal_ring_slot(ring, i);
        if (slot->state == SAL_SLOT_COMPUTED) {
            slot->state = SAL_SLOT_ENCODING;
            *picture = i;
            return 1;
        }
    }
    return 0;
}

static int take_decode(size_t *picture, sal_ring *ring, size_t max_bytes)
{
    const size_t next = ring->claimed;
    if (next >= ring->count || next >= ring->delivered + ring->size || ring->decoding == ring->most_decoding)
        return 0;
    sal_slot *slot = sal_ring_slot(ring, next);
    if ((ring->bytes > max_bytes || next >= ring->alone) && next != ring->delivered) {
        if (slot->state != SAL_SLOT_HELD) {
            slot->state = SAL_SLOT_HELD;
            pthread_cond_broadcast(&ring->changed); /* whoever waits for it to fill a batch waits no longer */
        }
        return 0;
    }
    slot->state = SAL_SLOT_DECODING;
    ring->claimed++;
    ring->decoding++;
    *picture = next;
    return 1;
}

sal_work sal_ring_take_work(size_t *picture, sal_ring *ring, size_t max_bytes)
{
    sal_work work = SAL_WORK_NONE;
    pthread_mutex_lock(&ring->lock);
    while (work == SAL_WORK_NONE && !ring->stopped && ring->delivered < ring->count) {
        if (take_encode(picture, ring))
            work = SAL_WORK_ENCODE;
        else if (take_decode(picture, ring, max_bytes))
            work = SAL_WORK_DECODE;
        else
            pthread_cond_wait(&ring->changed, &ring->lock);
    }
    pthread_mutex_unlock(&ring->lock);
    return work;
}

static int is_too_much(const sal_ring *ring, const sal_slot *slot, uint64_t bytes)
{
    const uint64_t others = ring->reserved - slot->reserved;
    return ring->max_reserved && bytes > slot->reserved &&
           (others > ring->max_reserved || bytes > ring->max_reserved - others);
}

static void set_reserved(sal_ring *ring, sal_slot *slot, uint64_t bytes)
{
    ring->reserved = ring->reserved - slot->reserved + bytes;
    slot->reserved = bytes;
    pthread_cond_broadcast(&ring->changed);
}

int sal_ring_reserve(sal_ring *ring, size_t picture, uint64_t bytes)
{
    pthread_mutex_lock(&ring->lock);
    sal_slot *slot = sal_ring_slot(ring, picture);
    while (!ring->stopped && is_too_much(ring, slot, bytes) && picture != ring->delivered) {
        if (slot->state != SAL_SLOT_HELD) {
            slot->state = SAL_SLOT_HELD;
            pthread_cond_broadcast(&ring->changed);
        }
        pthread_cond_wait(&ring->changed, &ring->lock);
    }
    slot->state = SAL_SLOT_DECODING;
    set_reserved(ring, slot, bytes);
    const int going = !ring->stopped;
    pthread_mutex_unlock(&ring->lock);
    return going;
}

void sal_ring_settle(sal_ring *ring, size_t picture, uint64_t bytes)
{
    pthread_mutex_lock(&ring->lock);
    set_reserved(ring, sal_ring_slot(ring, picture), bytes);
    pthread_mutex_unlock(&ring->lock);
}

void sal_ring_give_back(sal_ring *ring, const size_t *pictures, int64_t n)
{
    pthread_mutex_lock(&ring->lock);
    for (int64_t i = 0; i < n; i++)
        ring->returned[ring->returned_count++] = pictures[i];
    pthread_cond_broadcast(&ring->changed);
    pthread_mutex_unlock(&ring->lock);
}

void sal_ring_take_batch(size_t *pictures, int64_t *n, sal_ring *ring, int64_t batch)
{
    if (ring->returned_count > 0) {
        *n = (size_t)batch < ring->returned_count ? batch : (int64_t)ring->returned_count;
        for (int64_t k = 0; k < *n; k++)
            pictures[k] = ring->returned[--ring->returned_count];
        return;
    }
    size_t end = ring->delivered + ring->size < ring->count ? ring->delivered + ring->size : ring->count;
    size_t i = ring->computed;
    *n = 0;
    for (; i < end && *n < batch; i++) {
        sal_slot *slot = sal_ring_slot(ring, i);
        if (slot->state == SAL_SLOT_DECODED && slot->status == SAL_OK)
            pictures[(*n)++] = i;
        else if (slot->state == SAL_SLOT_DECODED)
            slot->state = SAL_SLOT_DONE;
        else if (slot->state != SAL_SLOT_DONE)
            break;
    }
    /* A partial batch is run only where waiting would not fill it: at the end of the run,
     * of the ring, or of the memory for pictures. */
    int blocked = i < end && sal_ring_slot(ring, i)->state == SAL_SLOT_HELD;
    if (*n < batch && i < end && !blocked)
        *n = 0;
    if (*n > 0)
        ring->computed = i;
    else
        while (ring->computed < end && sal_ring_slot(ring, ring->computed)->state == SAL_SLOT_DONE)
            ring->computed++;
}
