/* The pictures in flight: a ring of slots between the threads that decode, compute
 * and encode. Picture i lives in slot i % size; it is delivered before its slot is
 * used again, so memory does not grow with the number of pictures, and results
 * come in order without being sorted. */
#ifndef SAL_SWEEP_RING_H
#define SAL_SWEEP_RING_H

#include "results/result.h"
#include "sweep/output.h"

#include <pthread.h>
#include <stdatomic.h>

typedef enum sal_slot_state {
    SAL_SLOT_EMPTY,    /* delivered, or never used */
    SAL_SLOT_DECODING, /* a thread is at work, */
    SAL_SLOT_HELD,     /* or waits until pictures before it give memory back */
    SAL_SLOT_DECODED,
    SAL_SLOT_COMPUTED,
    SAL_SLOT_ENCODING,
    SAL_SLOT_DONE
} sal_slot_state;

enum { SAL_SLOT_ERROR_SIZE = 1024 };

typedef struct sal_slot {
    sal_slot_state state;
    sal_status status;
    char error[SAL_SLOT_ERROR_SIZE];
    float *input;                /* the network's, (C, H, W) */
    float *data;                 /* of each target: its map where a device made it, then its attribution if wanted */
    sal_picture shown;           /* 8-bit RGB */
    size_t bytes;                /* of shown */
    uint64_t reserved;           /* memory that it takes now, in bytes */
    sal_placement placement;     /* of the input on the picture, */
    sal_placement drawn;         /* and on `shown`, which may be smaller */
    sal_prediction *predictions; /* the best outputs, as many as the ring keeps, at least one */
    double milliseconds;         /* of computing */
    int64_t file_bytes;          /* of the picture's file */
    double waited;               /* seconds, for memory */
    double decode_ms;
    double encode_ms;
    int64_t notes;                /* what was taken for granted of it, bits of sal_note, */
    char note[SAL_NOTE_SIZE_MAX]; /* and as text */
    int unwritten;                /* 1: it failed because a file could not be written */
    sal_output *outputs;          /* one per map */
} sal_slot;

typedef struct sal_ring {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    sal_slot *slots;
    size_t size;
    size_t count;          /* pictures of the run */
    size_t delivered;      /* pictures before this one are gone */
    size_t computed;       /* pictures before this one are past computing */
    size_t claimed;        /* pictures before this one have a thread that decodes them, or had one */
    size_t decoding;       /* pictures that have one now, */
    size_t most_decoding;  /* of so many at most: one of the threads is left to encode, or nobody gave memory back */
    size_t bytes;          /* of all shown pictures */
    uint64_t reserved;     /* of all pictures in flight */
    uint64_t max_reserved; /* 0: any */
    size_t alone;          /* pictures from this one on are in flight one at a time */
    int64_t maps;          /* of each picture */
    size_t predictions;    /* kept of each picture */
    double busy[SAL_STAGE_STORE]; /* seconds that threads were at work, by stage */
    size_t *returned; /* pictures of batches that somebody took and could not compute: the next to be taken */
    size_t returned_count;
    int stopped;
    atomic_int ending; /* 1: stopped, or to end soon: whoever computes for long may look */
} sal_ring;

/* A ring of `size` slots with input_count and data_count floats each, for one thread that decodes at a time. Errors:
 * LIMIT, MEMORY. */
sal_status sal_ring_init(sal_ring *ring, size_t size, size_t count, size_t input_count, size_t data_count, int64_t maps,
                         size_t predictions);
void sal_ring_clear(sal_ring *ring); /* after a successful init only */

sal_slot *sal_ring_slot(sal_ring *ring, size_t picture);
void sal_ring_set(sal_ring *ring, size_t picture, sal_slot_state state);
/* Makes every thread leave its loop. */
void sal_ring_stop(sal_ring *ring);
/* Ends the run before a picture that was in a batch and was given up. */
void sal_ring_cut(sal_ring *ring, size_t picture);
/* Ends the run after the pictures that are in a batch already. */
void sal_ring_drain(sal_ring *ring);
/* Waits for a change, a tenth of a second at most. Caller holds the lock. */
void sal_ring_wait(sal_ring *ring);

/* Keeps the thread's last error as the slot's. */
void sal_slot_fail(sal_slot *slot, sal_status status);
/* Empties a slot but for its buffers. */
void sal_slot_reset(sal_slot *slot, int64_t maps);

typedef enum sal_work { SAL_WORK_NONE, SAL_WORK_DECODE, SAL_WORK_ENCODE } sal_work;

/* Waits for something to do, and takes it: to encode what was computed, the oldest first, or to decode the next
 * picture, where a slot is free and no more than max_bytes of pictures are in flight; the oldest may always go on.
 * NONE: nothing is left, or the run was stopped. */
sal_work sal_ring_take_work(size_t *picture, sal_ring *ring, size_t max_bytes);
/* From now on a picture that is being decoded takes so many bytes. Waits while all together would take more than
 * max_reserved, likewise; 0: the run was stopped. */
int sal_ring_reserve(sal_ring *ring, size_t picture, uint64_t bytes);
/* The same, of a picture that has them already. */
void sal_ring_settle(sal_ring *ring, size_t picture, uint64_t bytes);
/* Pictures for the next batch, decoded without failure: *n of them, 0 when the caller
 * should deliver or wait instead. Those that failed become DONE. Caller holds the lock. */
void sal_ring_take_batch(size_t *pictures, int64_t *n, sal_ring *ring, int64_t batch);

/* A batch, or the rest of one, for somebody else to take. */
void sal_ring_give_back(sal_ring *ring, const size_t *pictures, int64_t n);

#endif
