/* The ring between the threads: order, bounds, and that nothing ever waits for ever. */
#include "sweep/ring.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { THREADS = 4 };

/* A pool of threads and the caller, with pictures that fail and memory that is short. */
typedef struct fixture {
    sal_ring ring;
    int is_shown; /* 1: each takes 100 bytes */
    size_t max_bytes;
    size_t most_bytes;
    unsigned fail_every; /* 0: none */
    uint64_t needed;     /* memory that each picture reserves; 0: none does */
    uint64_t most_reserved;
    size_t most_decoding;
    size_t most_alone; /* of the pictures that are to be alone, those that were in flight together at most */
} fixture;

/* Under the lock: what is in flight together now. */
static void look(fixture *f)
{
    const sal_ring *r = &f->ring;
    size_t alone = 0;
    for (size_t i = r->alone > r->delivered ? r->alone : r->delivered; i < r->claimed; i++) {
        const sal_slot_state state = r->slots[i % r->size].state;
        alone += state != SAL_SLOT_EMPTY && state != SAL_SLOT_HELD;
    }
    if (alone > f->most_alone)
        f->most_alone = alone;
    if (r->reserved > f->most_reserved)
        f->most_reserved = r->reserved;
}

static int decode(fixture *f, size_t i)
{
    sal_slot *slot = sal_ring_slot(&f->ring, i);
    if (f->needed && !sal_ring_reserve(&f->ring, i, f->needed))
        return 0;
    slot->bytes = f->is_shown ? 100 : 0;
    if (f->fail_every && i % f->fail_every == 0) {
        slot->status = SAL_ERROR_FORMAT;
        slot->bytes = 0;
    }
    slot->data[0] = (float)i;
    pthread_mutex_lock(&f->ring.lock);
    f->ring.bytes += slot->bytes;
    if (f->ring.bytes > f->most_bytes)
        f->most_bytes = f->ring.bytes;
    if (f->ring.decoding > f->most_decoding)
        f->most_decoding = f->ring.decoding;
    look(f);
    pthread_mutex_unlock(&f->ring.lock);
    if (slot->bytes == 0)
        sal_ring_settle(&f->ring, i, 0);
    sal_ring_set(&f->ring, i, SAL_SLOT_DECODED);
    return 1;
}

static int encode(fixture *f, size_t i)
{
    pthread_mutex_lock(&f->ring.lock);
    f->ring.bytes -= sal_ring_slot(&f->ring, i)->bytes;
    pthread_mutex_unlock(&f->ring.lock);
    sal_ring_settle(&f->ring, i, 0);
    sal_ring_set(&f->ring, i, SAL_SLOT_DONE);
    return 1;
}

static void *work(void *context)
{
    fixture *f = context;
    sal_work next;
    size_t i;
    while ((next = sal_ring_take_work(&i, &f->ring, f->max_bytes)) != SAL_WORK_NONE)
        if (!(next == SAL_WORK_DECODE ? decode : encode)(f, i))
            break;
    return NULL;
}

/* What sal_explain_files does on the caller's thread. */
static void drive(fixture *f, int64_t batch)
{
    sal_ring *r = &f->ring;
    size_t *pictures = malloc((size_t)batch * sizeof *pictures);
    while (r->delivered < r->count) {
        int64_t n;
        pthread_mutex_lock(&r->lock);
        for (;;) {
            sal_ring_take_batch(pictures, &n, r, batch);
            if (n > 0 || (r->delivered < r->computed && sal_ring_slot(r, r->delivered)->state == SAL_SLOT_DONE))
                break;
            pthread_cond_wait(&r->changed, &r->lock);
        }
        while (r->delivered < r->computed && sal_ring_slot(r, r->delivered)->state == SAL_SLOT_DONE) {
            sal_slot *slot = sal_ring_slot(r, r->delivered);
            cr_expect_eq(slot->data[0], (float)r->delivered);
            sal_slot_reset(slot, r->maps);
            r->delivered++;
            pthread_cond_broadcast(&r->changed);
        }
        pthread_mutex_unlock(&r->lock);
        for (int64_t i = 0; i < n; i++) {
            cr_expect(i == 0 || pictures[i] > pictures[i - 1]);
            cr_expect_eq(sal_ring_slot(r, pictures[i])->status, SAL_OK);
            sal_ring_set(r, pictures[i], SAL_SLOT_COMPUTED);
        }
    }
    free(pictures);
}

static void run_threads(fixture *f, int64_t batch)
{
    pthread_t threads[THREADS];
    f->ring.most_decoding = THREADS - 1;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, f);
    drive(f, batch);
    sal_ring_stop(&f->ring);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    cr_expect_eq(f->ring.decoding, 0);
    cr_expect_lt(f->most_decoding, THREADS);
}

static void check_run(size_t count, size_t size, int64_t batch, size_t max_bytes, unsigned fail_every)
{
    fixture f = {.is_shown = 1, .max_bytes = max_bytes, .fail_every = fail_every};
    cr_assert_eq(sal_ring_init(&f.ring, size, count, 1, 1, 1, 0), SAL_OK);
    run_threads(&f, batch);
    cr_expect_eq(f.ring.bytes, 0);
    /* Each thread that decodes may go one picture beyond, and the oldest always may. */
    cr_expect_leq(f.most_bytes, max_bytes + 300);
    sal_ring_clear(&f.ring);
}

Test(ring, delivers_everything_in_order, .timeout = 60)
{
    check_run(1, 1, 1, 1u << 20, 0);
    check_run(500, 12, 4, 1u << 20, 0);
    check_run(500, 3, 1, 1u << 20, 0);
    check_run(7, 7, 8, 1u << 20, 0);
}

Test(ring, passes_over_pictures_that_failed, .timeout = 60)
{
    check_run(400, 12, 4, 1u << 20, 1);
    check_run(400, 12, 4, 1u << 20, 2);
    check_run(400, 12, 4, 1u << 20, 5);
}

Test(ring, goes_on_when_memory_is_short, .timeout = 60)
{
    check_run(300, 12, 4, 0, 0);
    check_run(300, 12, 4, 150, 3);
    check_run(300, 24, 8, 450, 0);
}

static void check_reserved(uint64_t needed, uint64_t most, int64_t batch, unsigned fail_every)
{
    fixture f = {.is_shown = 1, .max_bytes = 1u << 20, .fail_every = fail_every, .needed = needed};
    cr_assert_eq(sal_ring_init(&f.ring, 12, 300, 1, 1, 1, 0), SAL_OK);
    f.ring.max_reserved = most;
    run_threads(&f, batch);
    cr_expect_eq(f.ring.reserved, 0);
    cr_expect_geq(f.most_reserved, needed);
    /* The oldest goes on whatever the others have. */
    cr_expect_leq(f.most_reserved, most + needed, "%llu of %llu at most", (unsigned long long)f.most_reserved,
                  (unsigned long long)most);
    sal_ring_clear(&f.ring);
}

Test(ring, reserves_no_more_than_the_limit_beside_the_oldest, .timeout = 60)
{
    check_reserved(100, 250, 4, 0);
    check_reserved(100, 1000, 4, 3);
    check_reserved(100, 99, 1, 0);
    check_reserved(100, 1, 4, 5);
}

Test(ring, lets_nobody_wait_for_memory_once_it_is_stopped, .timeout = 60)
{
    sal_ring ring;
    cr_assert_eq(sal_ring_init(&ring, 4, 4, 1, 1, 1, 0), SAL_OK);
    ring.max_reserved = 10;
    cr_expect(sal_ring_reserve(&ring, 0, 10));
    sal_ring_stop(&ring);
    cr_expect_not(sal_ring_reserve(&ring, 1, 10));
    sal_ring_clear(&ring);
}

/* Also where nothing is shown of them, which takes no memory. */
Test(ring, keeps_the_last_pictures_apart, .timeout = 60)
{
    for (int is_shown = 0; is_shown <= 1; is_shown++) {
        fixture f = {.max_bytes = 1u << 20, .fail_every = 7, .is_shown = is_shown};
        cr_assert_eq(sal_ring_init(&f.ring, 12, 60, 1, 1, 1, 0), SAL_OK);
        f.ring.alone = 40;
        run_threads(&f, 4);
        cr_expect_eq(f.most_alone, 1);
        sal_ring_clear(&f.ring);
    }
}

/* Whoever waits for the memory of pictures that were computed would wait for ever for a thread that gives it back. */
Test(ring, leaves_a_thread_to_encode)
{
    sal_ring ring;
    size_t i;
    cr_assert_eq(sal_ring_init(&ring, 4, 4, 1, 1, 1, 0), SAL_OK);
    ring.most_decoding = 2;
    cr_expect(sal_ring_take_work(&i, &ring, 0) == SAL_WORK_DECODE && i == 0);
    sal_ring_set(&ring, 0, SAL_SLOT_DECODED);
    cr_expect(sal_ring_take_work(&i, &ring, 0) == SAL_WORK_DECODE && i == 1);
    cr_expect(sal_ring_take_work(&i, &ring, 0) == SAL_WORK_DECODE && i == 2);
    sal_ring_set(&ring, 0, SAL_SLOT_COMPUTED);
    ring.computed = 1;
    cr_expect(sal_ring_take_work(&i, &ring, 0) == SAL_WORK_ENCODE && i == 0);
    sal_ring_stop(&ring);
    cr_expect_eq(sal_ring_take_work(&i, &ring, 0), SAL_WORK_NONE);
    sal_ring_clear(&ring);
}

Test(ring, computes_full_batches_where_it_can)
{
    sal_ring ring;
    size_t pictures[4];
    int64_t n;
    cr_assert_eq(sal_ring_init(&ring, 12, 6, 1, 1, 1, 0), SAL_OK);
    for (size_t i = 0; i < 3; i++)
        sal_ring_slot(&ring, i)->state = SAL_SLOT_DECODED;
    sal_ring_take_batch(pictures, &n, &ring, 4);
    cr_expect_eq(n, 0, "a partial batch was not waited for");
    for (size_t i = 3; i < 6; i++)
        sal_ring_slot(&ring, i)->state = SAL_SLOT_DECODED;
    sal_ring_take_batch(pictures, &n, &ring, 4);
    cr_expect_eq(n, 4);
    sal_ring_take_batch(pictures, &n, &ring, 4);
    cr_expect_eq(n, 2, "the last batch is partial");
    cr_expect(pictures[0] == 4 && pictures[1] == 5);
    sal_ring_clear(&ring);
}
