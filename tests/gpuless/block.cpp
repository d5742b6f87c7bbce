/* Blocks of threads as fibers: a thread runs until it waits for others. Which of them goes on first is a matter of
 * SAL_EMU_ORDER; a kernel whose result depends on it lacks a barrier. */
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
};

/* Never destroyed: idle fibers stay known to those who look for leaks. */
block_run &run = *new block_run;

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

void change(fiber *from, fiber *to)
{
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

thread &self()
{
    return run.threads[(size_t)run.current];
}

/* Gives the CPU back until the scheduler comes here again. */
void wait_as(state s)
{
    const int me = run.current;
    self().now = s;
    change(self().runs_on, &run.scheduler);
    run.current = me;
    here = &self().place;
}

void release_barrier()
{
    for (thread &t : run.threads)
        if (t.now == state::at_barrier)
            t.now = state::ready;
    run.arrived = 0;
}

void finish_thread()
{
    thread &t = self();
    t.now = state::done;
    run.live--;
    if (run.arrived > 0 && run.arrived == run.live)
        die("%s: thread %u of block (%u,%u) left while %d wait at a barrier", run.name, t.place.thread.x,
            t.place.block.x, t.place.block.y, run.arrived);
}

/* Runs threads that have not begun yet, as long as none of them has to wait: then it is that thread's fiber. */
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
        if (run.next_fresh < run.order.size()) {
            run.current = run.order[run.next_fresh++];
            self().runs_on = me;
            self().now = state::ready;
            continue;
        }
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
}

} // namespace

void sync_threads()
{
    if (++run.arrived == run.live) {
        self().now = state::at_barrier;
        release_barrier();
    } else {
        wait_as(state::at_barrier);
    }
}

unsigned lane()
{
    return (unsigned)run.current % WARP;
}

const uint64_t *exchange(unsigned mask, uint64_t value)
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
        for (int k = first; k < last; k++)
            if (run.threads[(size_t)k].now == state::at_exchange)
                run.threads[(size_t)k].now = state::ready;
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
