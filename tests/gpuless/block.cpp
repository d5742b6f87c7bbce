/* Blocks of threads as fibers: a thread runs until it waits for others. Which of them goes on first is a matter of
 * SAL_EMU_ORDER; a kernel whose result depends on it lacks a barrier. With SAL_EMU_TSAN the kernels are compiled for
 * ThreadSanitizer, this file is not, and what is told here lets it report such a kernel whatever the order is. */
#include "emulator.h"
#include "runtime.hpp"

#undef threadIdx
#undef blockIdx
#undef blockDim
#undef gridDim

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <sys/mman.h>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(SAL_EMU_TSAN)
#include <cstdio>
#include <sanitizer/tsan_interface.h>
#endif
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace emulator
{

thread_place *here;

namespace
{

enum class state { fresh, ready, at_barrier, at_exchange, done };

enum { STACK_BYTES = 128 << 10, WARP = 32 };

struct fiber {
    char *stack = nullptr; /* nullptr: the scheduler's */
#if defined(__x86_64__)
    void *saved = nullptr;
#else
    ucontext_t saved;
#endif
    void *fake_stack = nullptr;
    const void *bottom = nullptr;
    size_t size = 0;
    void *watched = nullptr; /* ThreadSanitizer's thread */
};

struct thread {
    thread_place place;
    state now;
    fiber *runs_on;
};

struct warp {
    uint64_t given[WARP], all[WARP];
    unsigned arrived;
};

struct block_run {
    const char *name;
    const std::function<void()> *body;
    std::vector<thread> threads;
    std::vector<warp> warps;
    std::vector<int> order;
    std::vector<fiber *> idle;
    fiber scheduler;
    std::vector<char> shared;
    size_t next_fresh; /* in `order` */
    int current, live, arrived;
    /* ThreadSanitizer tells the threads apart: each has a fiber to itself, whose stack no other of the block has. */
    bool apart = false;
};

/* Never destroyed: idle fibers stay known to those who look for leaks. */
block_run &run = *new block_run;

thread &self()
{
    return run.threads[(size_t)run.current];
}

#if defined(__x86_64__)
extern "C" void emulator_switch(void **save, void *load);
asm(".text\n"
    ".globl emulator_switch\n"
    ".hidden emulator_switch\n"
    ".type emulator_switch,@function\n"
    "emulator_switch:\n"
    " push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n"
    " mov %rsp,(%rdi)\n"
    " mov %rsi,%rsp\n"
    " pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n"
    " ret\n"
    ".size emulator_switch,.-emulator_switch\n");
#endif

#if defined(__SANITIZE_ADDRESS__)
/* A fiber, which the scheduler alone starts and resumes, learns what stack the scheduler has: any thread may be it. */
void finish_change(fiber *now)
{
    const void *bottom;
    size_t size;
    __sanitizer_finish_switch_fiber(now ? now->fake_stack : nullptr, &bottom, &size);
    if (now != &run.scheduler) {
        run.scheduler.bottom = bottom;
        run.scheduler.size = size;
    }
}
#endif

/* A call of ThreadSanitizer's interface, in a block whose threads it tells apart. */
#if defined(SAL_EMU_TSAN)
#define WATCHED(call)                                                                                                  \
    do {                                                                                                               \
        if (run.apart)                                                                                                 \
            call;                                                                                                      \
    } while (0)

enum {
    APART_AT_ENDS = 32, /* blocks of a grid, as it is slow; the others are part of the scheduler's thread */
    /* More than 254 at a time, and ThreadSanitizer overlooks races. So a few threads of a block are one to it: those a
     * multiple of a prime apart, as kernels make threads of other distances meet. */
    WATCHED_THREADS = 127
};

void *watched[WATCHED_THREADS];
char begins, ends; /* what threads do comes between them */

/* Turns on one CPU thread put nothing in order. */
void watch_as(const fiber *f)
{
    __tsan_switch_to_fiber(f->watched, __tsan_switch_to_fiber_no_sync);
}

/* Block `number` of `count` begins, after all that was before it. */
void watch_block(size_t number, size_t count)
{
    run.apart = number < APART_AT_ENDS || number + APART_AT_ENDS >= count;
    run.scheduler.watched = __tsan_get_current_fiber();
    WATCHED(__tsan_release(&begins));
}

/* The current thread begins, in fiber f. */
void watch_thread(fiber *f)
{
    const int number = run.current % WATCHED_THREADS;
    if (!watched[number]) {
        char name[64];
        snprintf(name, sizeof name, "%d + %d n of a block", number, WATCHED_THREADS);
        watched[number] = __tsan_create_fiber(0);
        __tsan_set_fiber_name(watched[number], name);
    }
    f->watched = watched[number];
    watch_as(f);
    __tsan_acquire(&begins);
    watch_as(&run.scheduler);
}

/* What the threads of [first, last) in state s did before they came to it is before what any of them does next. */
void watch_meeting(int first, int last, state s)
{
    thread &me = self();
    for (int k = first; k < last; k++)
        if (run.threads[(size_t)k].now == s)
            __tsan_acquire(&run.threads[(size_t)k]);
    __tsan_release(&me);
    for (int k = first; k < last; k++)
        if (run.threads[(size_t)k].now == s) {
            watch_as(run.threads[(size_t)k].runs_on);
            __tsan_acquire(&me);
        }
    watch_as(me.runs_on);
}
#else
#define WATCHED(call)                                                                                                  \
    do {                                                                                                               \
    } while (0)
#endif

void change(fiber *from, fiber *to)
{
    WATCHED(watch_as(to));
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&from->fake_stack, to->bottom, to->size);
#endif
#if defined(__x86_64__)
    emulator_switch(&from->saved, to->saved);
#else
    swapcontext(&from->saved, &to->saved);
#endif
#if defined(__SANITIZE_ADDRESS__)
    finish_change(from);
#endif
}

/* Gives the CPU back until the scheduler comes here again. */
void wait_as(state s)
{
    const int me = run.current;
    self().now = s;
    WATCHED(__tsan_release(&self()));
    change(self().runs_on, &run.scheduler);
    run.current = me;
    here = &self().place;
}

/* The threads of [first, last) that wait as s go on; the current one is the last to arrive. */
void release(int first, int last, state s, bool orders)
{
    self().now = s;
    if (orders)
        WATCHED(watch_meeting(first, last, s));
    for (int k = first; k < last; k++)
        if (run.threads[(size_t)k].now == s)
            run.threads[(size_t)k].now = state::ready;
}

void finish_thread()
{
    thread &t = self();
    t.now = state::done;
    WATCHED(__tsan_release(&ends));
    run.live--;
    if (run.arrived > 0 && run.arrived == run.live)
        die("%s: thread %u of block (%u,%u) left while %d wait at a barrier", run.name, t.place.thread.x,
            t.place.block.x, t.place.block.y, run.arrived);
}

/* Runs threads that have not begun yet, as long as none of them has to wait: then it is that thread's fiber. Threads
 * that are apart are one each. */
void fiber_main()
{
#if defined(__SANITIZE_ADDRESS__)
    finish_change(nullptr);
#endif
    for (;;) {
        fiber *const me = self().runs_on;
        here = &self().place;
        (*run.body)();
        finish_thread();
        if (!run.apart && run.next_fresh < run.order.size()) {
            run.current = run.order[run.next_fresh++];
            self().runs_on = me;
            self().now = state::ready;
            continue;
        }
        if (!run.apart)
            run.idle.push_back(me);
        change(me, &run.scheduler);
    }
}

fiber *new_fiber()
{
    fiber *f = new fiber;
    void *stack =
        mmap(nullptr, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED)
        die("no memory for a fiber");
    f->stack = (char *)stack;
    f->bottom = f->stack;
    f->size = STACK_BYTES;
#if defined(__x86_64__)
    /* Stacks that begin at one offset of a page would fight for the same lines of the cache. */
    static unsigned shift;
    void **top = (void **)(f->stack + STACK_BYTES - 256 - (shift++ % 61) * 192);
    *--top = nullptr;
    *--top = (void *)fiber_main;
    for (int k = 0; k < 6; k++)
        *--top = nullptr;
    f->saved = top;
#else
    getcontext(&f->saved);
    f->saved.uc_stack.ss_sp = f->stack;
    f->saved.uc_stack.ss_size = STACK_BYTES;
    f->saved.uc_link = nullptr;
    makecontext(&f->saved, fiber_main, 0);
#endif
    return f;
}

void resume(int t)
{
    run.current = t;
    thread &th = self();
    if (th.now == state::fresh) {
        if (run.idle.empty())
            run.idle.push_back(new_fiber());
        th.runs_on = run.idle.back();
        run.idle.pop_back();
        th.now = state::ready;
        WATCHED(watch_thread(th.runs_on));
    }
    change(&run.scheduler, th.runs_on);
}

void put_in_order(unsigned salt)
{
    static const char *const mode = getenv("SAL_EMU_ORDER");
    const size_t n = run.threads.size();
    run.order.resize(n);
    std::iota(run.order.begin(), run.order.end(), 0);
    if (!mode || strcmp(mode, "forward") == 0)
        return;
    if (strcmp(mode, "reverse") == 0) {
        std::reverse(run.order.begin(), run.order.end());
        return;
    }
    uint32_t dice = (uint32_t)strtoul(mode, nullptr, 10) * 2654435761u + salt;
    for (size_t k = n - 1; k > 0; k--) {
        dice = dice * 1664525u + 1013904223u;
        std::swap(run.order[k], run.order[(dice >> 8) % (k + 1)]);
    }
}

void run_block(dim3 grid, dim3 size, uint3 place)
{
    const size_t n = (size_t)size.x * size.y * size.z;
    run.threads.resize(n);
    run.warps.assign((n + WARP - 1) / WARP, warp{});
    for (size_t k = 0; k < n; k++) {
        const uint3 t = {(unsigned)(k % size.x), (unsigned)(k / size.x % size.y), (unsigned)(k / size.x / size.y)};
        run.threads[k] = thread{{t, place, size, grid}, state::fresh, nullptr};
    }
    put_in_order(place.x + 977 * place.y);
    std::fill(run.shared.begin(), run.shared.end(), (char)0xff); /* NaN */
    run.live = (int)n;
    run.arrived = 0;
    run.next_fresh = 0;
#if defined(SAL_EMU_TSAN)
    watch_block(place.x + (size_t)grid.x * (place.y + (size_t)grid.y * place.z), (size_t)grid.x * grid.y * grid.z);
#endif
    while (run.live > 0) {
        bool moved = false;
        for (size_t k = 0; k < n; k++) {
            const int t = run.order[k];
            thread &th = run.threads[(size_t)t];
            if (th.now == state::fresh) {
                if (k != run.next_fresh)
                    continue;
                run.next_fresh++;
            } else if (th.now != state::ready) {
                continue;
            }
            moved = true;
            resume(t);
        }
        if (!moved)
            die("%s: block (%u,%u): %d threads wait for each other", run.name, place.x, place.y, run.live);
    }
    WATCHED(__tsan_acquire(&ends));
    for (const thread &t : run.threads)
        if (run.apart)
            run.idle.push_back(t.runs_on);
}

} // namespace

void sync_threads()
{
    if (++run.arrived == run.live) {
        run.arrived = 0;
        release(0, (int)run.threads.size(), state::at_barrier, true);
    } else {
        wait_as(state::at_barrier);
    }
}

unsigned lane()
{
    return (unsigned)run.current % WARP;
}

const uint64_t *exchange(unsigned mask, uint64_t value, bool orders)
{
    const int first = run.current / WARP * WARP;
    warp &w = run.warps[(size_t)(run.current / WARP)];
    const int last = std::min(first + (int)WARP, (int)run.threads.size());
    unsigned there = 0;
    for (int k = first; k < last; k++)
        there |= 1u << (k - first);
    if (!(mask >> lane() & 1))
        die("%s: a lane takes part in an exchange whose mask leaves it out", run.name);
    w.given[lane()] = value;
    w.arrived |= 1u << lane();
    if (w.arrived == (mask & there)) {
        /* Lanes outside hand over what no test may rely on. */
        for (int k = 0; k < WARP; k++)
            w.all[k] = mask & there & 1u << k ? w.given[k] : 0x7ff8dead7fc0deadu;
        w.arrived = 0;
        release(first, last, state::at_exchange, orders);
    } else {
        wait_as(state::at_exchange);
    }
    return w.all;
}

void *dynamic_shared()
{
    return run.shared.data();
}

void run_grid(const char *name, dim3 grid, dim3 block, size_t shared, const std::function<void()> &thread)
{
    run.name = name;
    run.body = &thread;
    run.shared.assign(shared, 0);
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++)
                run_block(grid, block, uint3{x, y, z});
}

} // namespace emulator
