/* The CUDA runtime on the CPU: device memory that the host cannot touch, streams that run late or in any order
 * that their events allow, recorded graphs, faults on demand, and an account of what was left behind. */
#include "runtime.hpp"

#include "emulator_api.h"

#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <signal.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

/* CUDA's opaque types, made real. */
struct CUevent_st {
    struct history {
        cudaStream_t stream = nullptr; /* of the last record */
        long recorded = 0, done = 0;
        std::chrono::steady_clock::time_point at; /* of the last that was done */
    };
    std::shared_ptr<history> state = std::make_shared<history>();
};

struct operation {
    std::function<void()> work;
    std::shared_ptr<CUevent_st::history> after; /* waits for it to reach `version` */
    long version = 0;
};

struct CUgraph_st {
    std::vector<operation> operations;
};

struct CUgraphExec_st {
    std::vector<operation> operations;
};

struct CUstream_st {
    int device = 0;
    std::deque<operation> queue;
    CUgraph_st *recording = nullptr;
    bool broken = false; /* the recording */
};

namespace emulator
{
namespace
{

struct allocation {
    int device;
    size_t bytes;
    char *mapping;
    size_t mapped;
};

struct world {
    std::recursive_mutex lock;
    std::map<char *, allocation> memory;
    std::map<char *, size_t> pinned;
    std::set<CUstream_st *> streams;
    std::map<std::string, long> objects;
    size_t used = 0, most = (size_t)4 << 30;
    long calls = 0, fail_at = 0;
    int lost_device = -1;
    bool sticky = false, open = false, always_open = false, eager = false, any_order = false;
    std::string failed;
    uint32_t dice = 0;
};

void report_leaks();
void on_fault(int, siginfo_t *info, void *);

/* Of the calling thread, as the real runtime's are. */
thread_local int current_device = 0;
thread_local cudaError_t last_error = cudaSuccess;

world &w()
{
    static world *const one = [] {
        world *n = new world;
        const char *streams = getenv("SAL_EMU_STREAMS"), *memory = getenv("SAL_EMU_MEMORY");
        const char *fail = getenv("SAL_EMU_FAIL");
        n->eager = streams && strcmp(streams, "eager") == 0;
        n->any_order = streams && !n->eager && strcmp(streams, "lazy") != 0;
        n->dice = n->any_order ? (uint32_t)strtoul(streams, nullptr, 10) : 0;
        n->always_open = getenv("SAL_EMU_OPEN") != nullptr;
        if (memory)
            n->most = strtoull(memory, nullptr, 10);
        n->fail_at = fail ? atol(fail) : 0;
        n->sticky = getenv("SAL_EMU_STICKY") != nullptr;
        struct sigaction action = {};
        action.sa_sigaction = on_fault;
        action.sa_flags = SA_SIGINFO | SA_RESETHAND;
        sigaction(SIGSEGV, &action, nullptr);
        atexit(report_leaks);
        return n;
    }();
    return *one;
}

cudaError_t error(cudaError_t e)
{
    last_error = e;
    return e;
}

/* The address whose page faulted: device memory touched by the host, or a kernel outside of an allocation. */
void on_fault(int, siginfo_t *info, void *)
{
    char text[160];
    const char *where = "memory of nobody";
    for (const auto &m : w().memory)
        if ((char *)info->si_addr >= m.second.mapping && (char *)info->si_addr < m.second.mapping + m.second.mapped)
            where = w().open ? "memory behind an allocation of the device" : "device memory, from the host";
    const int n = snprintf(text, sizeof text, "emulator: access to %s at %p\n", where, info->si_addr);
    if (write(STDERR_FILENO, text, (size_t)n) < 0)
        _exit(85);
    abort();
}

void set_open(bool open)
{
    world &all = w();
    if (all.open == open || all.always_open)
        return;
    all.open = open;
    for (const auto &m : all.memory)
        mprotect(m.second.mapping, m.second.mapped - (size_t)getpagesize(), open ? PROT_READ | PROT_WRITE : PROT_NONE);
}

/* ---- Streams ---------------------------------------------------------------- */

bool is_ready(const operation &o)
{
    return !o.after || o.after->done >= o.version;
}

void run_front(CUstream_st *s)
{
    const operation o = s->queue.front();
    s->queue.pop_front();
    if (o.work)
        o.work();
}

/* Work of any stream, in an order of the dice's. */
void run_some_of_all()
{
    world &all = w();
    for (;;) {
        std::vector<CUstream_st *> ready;
        for (CUstream_st *s : all.streams)
            if (!s->queue.empty() && is_ready(s->queue.front()))
                ready.push_back(s);
        all.dice = all.dice * 1664525u + 1013904223u;
        if (ready.empty() || (all.dice >> 8) % 16 == 0)
            return;
        run_front(ready[(all.dice >> 16) % ready.size()]);
    }
}

void drain(CUstream_st *s);

/* Device memory is open to what the streams do, and closed when the host goes on. */
void run_stream(CUstream_st *s)
{
    set_open(true);
    drain(s);
    set_open(false);
}

void drain(CUstream_st *s)
{
    if (w().any_order)
        run_some_of_all();
    while (!s->queue.empty()) {
        const operation &front = s->queue.front();
        if (is_ready(front)) {
            run_front(s);
            continue;
        }
        CUstream_st *other = front.after->stream;
        if (!other || other == s || other->queue.empty())
            die("a stream waits for an event that nothing will record");
        /* Only as far as the event: what comes after it in that stream may still be late. */
        const std::shared_ptr<CUevent_st::history> event = front.after;
        const long version = front.version;
        while (event->done < version && !other->queue.empty()) {
            if (!is_ready(other->queue.front()))
                drain(other);
            else
                run_front(other);
        }
    }
}

void push(cudaStream_t s, operation o)
{
    if (s->recording) {
        s->recording->operations.push_back(std::move(o));
        return;
    }
    s->queue.push_back(std::move(o));
    if (w().eager)
        run_stream(s);
}

void report_leaks()
{
    world &all = w();
    if (all.fail_at > 0 && all.failed.empty())
        fprintf(stderr, "emulator: nothing failed, there were %ld calls\n", all.calls);
    for (const auto &o : all.objects)
        if (o.second != 0)
            fprintf(stderr, "emulator: %ld of %s left\n", o.second, o.first.c_str());
    if (emulator_leaks() != 0)
        _exit(86);
}

} // namespace

std::recursive_mutex &device_lock()
{
    return w().lock;
}

void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "emulator: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    abort();
}

bool fails(const char *call)
{
    guard g(w().lock);
    world &all = w();
    all.calls++;
    if (all.lost_device == current_device)
        return true;
    if (all.fail_at == 0 || all.calls != all.fail_at)
        return false;
    all.failed = call;
    all.lost_device = all.sticky ? current_device : -1;
    return true;
}

bool is_device(const void *p, size_t bytes)
{
    guard g(w().lock);
    auto next = w().memory.upper_bound((char *)p);
    if (next == w().memory.begin())
        return false;
    --next;
    return (char *)p + bytes <= next->first + next->second.bytes && next->second.device == current_device;
}

void count_object(const char *kind, int change)
{
    guard g(w().lock);
    w().objects[kind] += change;
}

void enqueue(cudaStream_t stream, std::function<void()> work)
{
    guard g(w().lock);
    push(stream, operation{std::move(work), nullptr, 0});
}

void check_pointer(const void *p, const char *kernel, int argument)
{
    if (p && !is_device(p, 1))
        die("%s: argument %d is no device memory: %p", kernel, argument, p);
}

void enqueue_kernel(const char *name, dim3 grid, dim3 block, size_t shared, cudaStream_t stream,
                    std::function<void()> thread)
{
    guard g(w().lock);
    if (fails("kernel launch")) {
        error(w().lost_device == current_device ? cudaErrorIllegalAddress : cudaErrorLaunchFailure);
        return;
    }
    const size_t threads = (size_t)block.x * block.y * block.z;
    if (threads == 0 || threads > 1024 || (size_t)grid.x * grid.y * grid.z == 0 || grid.y > 65535 || grid.z > 65535 ||
        shared > 48 << 10) {
        error(cudaErrorInvalidConfiguration);
        return;
    }
    if (!stream)
        die("%s: in the default stream", name);
    if (stream->device != current_device)
        die("%s: in a stream of device %d while device %d is the current one", name, stream->device, current_device);
    push(stream, operation{[=] { run_grid(name, grid, block, shared, thread); }, nullptr, 0});
}

} // namespace emulator

using namespace emulator;

/* ---- For tests ------------------------------------------------------------------ */

long emulator_calls(void)
{
    return w().calls;
}

void emulator_fail(long n, int sticky)
{
    guard g(w().lock);
    w().fail_at = n > 0 ? w().calls + n : 0;
    w().sticky = sticky != 0;
    w().lost_device = -1;
    w().failed.clear();
    last_error = cudaSuccess;
}

const char *emulator_failed(void)
{
    return w().failed.empty() ? nullptr : w().failed.c_str();
}

long emulator_leaks(void)
{
    long sum = 0;
    for (const auto &o : w().objects)
        sum += o.second;
    return sum;
}

void emulator_set_memory(size_t bytes)
{
    w().most = bytes;
}

/* ---- The runtime's functions ---------------------------------------------------- */

#define FAIL_IF_ASKED(call, what)                                                                                      \
    do {                                                                                                               \
        if (fails(call))                                                                                               \
            return error(w().lost_device == current_device ? cudaErrorIllegalAddress : what);                          \
    } while (0)

/* So does a recording end that a forbidden call met. */
static bool breaks_recording(cudaStream_t s)
{
    if (s && s->recording)
        s->broken = true;
    return s && s->recording;
}

extern "C" {

cudaError_t cudaMalloc(void **p, size_t bytes)
{
    guard g(w().lock);
    *p = nullptr;
    FAIL_IF_ASKED("cudaMalloc", cudaErrorMemoryAllocation);
    if (w().used + bytes > w().most)
        return error(cudaErrorMemoryAllocation);
    const size_t page = (size_t)getpagesize(), rounded = (bytes + 15) / 16 * 16;
    const size_t mapped = (rounded + page - 1) / page * page + page;
    char *mapping = (char *)mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED)
        return error(cudaErrorMemoryAllocation);
    /* The end meets a page that nobody may touch. */
    char *memory = mapping + mapped - page - rounded;
    memset(memory, 0xff, bytes);
    mprotect(mapping + mapped - page, page, PROT_NONE);
    if (!w().always_open && !w().open)
        mprotect(mapping, mapped - page, PROT_NONE);
    w().memory[memory] = allocation{current_device, bytes, mapping, mapped};
    w().used += bytes;
    count_object("device memory", 1);
    *p = memory;
    return cudaSuccess;
}

cudaError_t cudaFree(void *p)
{
    guard g(w().lock);
    if (!p)
        return cudaSuccess;
    auto at = w().memory.find((char *)p);
    if (at == w().memory.end())
        return error(cudaErrorInvalidValue);
    for (CUstream_st *s : w().streams)
        run_stream(s);
    munmap(at->second.mapping, at->second.mapped);
    w().used -= at->second.bytes;
    w().memory.erase(at);
    count_object("device memory", -1);
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **p, size_t bytes)
{
    guard g(w().lock);
    *p = nullptr;
    FAIL_IF_ASKED("cudaMallocHost", cudaErrorMemoryAllocation);
    *p = malloc(bytes ? bytes : 1);
    memset(*p, 0xff, bytes);
    w().pinned[(char *)*p] = bytes;
    count_object("pinned memory", 1);
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void *p)
{
    guard g(w().lock);
    if (!p)
        return cudaSuccess;
    if (w().pinned.erase((char *)p) == 0)
        return error(cudaErrorInvalidValue);
    for (CUstream_st *s : w().streams)
        run_stream(s);
    free(p);
    count_object("pinned memory", -1);
    return cudaSuccess;
}

static bool is_pinned(const void *p, size_t bytes)
{
    auto next = w().pinned.upper_bound((char *)p);
    if (next == w().pinned.begin())
        return false;
    --next;
    return (char *)p + bytes <= next->first + next->second;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream)
{
    guard g(w().lock);
    FAIL_IF_ASKED("cudaMemcpyAsync", cudaErrorLaunchFailure);
    const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (bytes == 0)
        return cudaSuccess;
    if (is_device(to, bytes) != to_device || is_device(from, bytes) != from_device)
        die("cudaMemcpyAsync of %zu bytes from %p to %p: out of range, or of another kind than %d", bytes, from, to,
            (int)kind);
    if (kind == cudaMemcpyHostToDevice && !is_pinned(from, bytes)) {
        /* As the real one: pageable memory is read before the call returns. */
        auto copy = std::make_shared<std::vector<char>>((const char *)from, (const char *)from + bytes);
        push(stream, operation{[=] { memcpy(to, copy->data(), bytes); }, nullptr, 0});
        return cudaSuccess;
    }
    push(stream, operation{[=] { memcpy(to, from, bytes); }, nullptr, 0});
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream)
{
    guard g(w().lock);
    FAIL_IF_ASKED("cudaMemsetAsync", cudaErrorLaunchFailure);
    if (bytes > 0 && !is_device(to, bytes))
        die("cudaMemsetAsync of %zu bytes at %p: out of range", bytes, to);
    push(stream, operation{[=] { memset(to, value, bytes); }, nullptr, 0});
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned)
{
    guard g(w().lock);
    *s = nullptr;
    FAIL_IF_ASKED("cudaStreamCreateWithFlags", cudaErrorMemoryAllocation);
    *s = new CUstream_st;
    (*s)->device = current_device;
    w().streams.insert(*s);
    count_object("streams", 1);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    guard g(w().lock);
    if (w().streams.count(s) == 0)
        return error(cudaErrorInvalidResourceHandle);
    run_stream(s);
    w().streams.erase(s);
    delete s;
    count_object("streams", -1);
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    guard g(w().lock);
    FAIL_IF_ASKED("cudaStreamSynchronize", cudaErrorLaunchFailure);
    if (breaks_recording(s))
        return error(cudaErrorStreamCaptureUnsupported);
    run_stream(s);
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned)
{
    guard g(w().lock);
    FAIL_IF_ASKED("cudaStreamWaitEvent", cudaErrorLaunchFailure);
    push(s, operation{nullptr, e->state, e->state->recorded});
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned)
{
    guard g(w().lock);
    *e = nullptr;
    FAIL_IF_ASKED("cudaEventCreateWithFlags", cudaErrorMemoryAllocation);
    *e = new CUevent_st;
    count_object("events", 1);
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t e)
{
    guard g(w().lock);
    delete e;
    count_object("events", -1);
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s)
{
    guard g(w().lock);
    FAIL_IF_ASKED("cudaEventRecord", cudaErrorLaunchFailure);
    const std::shared_ptr<CUevent_st::history> state = e->state;
    const long version = ++state->recorded;
    state->stream = s;
    push(s, operation{[=] {
                          state->done = version;
                          state->at = std::chrono::steady_clock::now();
                      },
                      nullptr, 0});
    return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t from, cudaEvent_t to)
{
    guard g(w().lock);
    FAIL_IF_ASKED("cudaEventElapsedTime", cudaErrorLaunchFailure);
    for (const CUevent_st *e : {from, to})
        if (e->state->recorded == 0 || e->state->done < e->state->recorded)
            return e->state->recorded == 0 ? cudaErrorInvalidResourceHandle : cudaErrorNotReady;
    *milliseconds = std::chrono::duration<float, std::milli>(to->state->at - from->state->at).count();
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t e)
{
    guard g(w().lock);
    FAIL_IF_ASKED("cudaEventSynchronize", cudaErrorLaunchFailure);
    if (e->state->done >= e->state->recorded)
        return cudaSuccess;
    CUstream_st *s = e->state->stream;
    set_open(true);
    while (e->state->done < e->state->recorded && !s->queue.empty()) {
        if (is_ready(s->queue.front()))
            run_front(s);
        else
            drain(s);
    }
    set_open(false);
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode)
{
    guard g(w().lock);
    FAIL_IF_ASKED("cudaStreamBeginCapture", cudaErrorLaunchFailure);
    s->recording = new CUgraph_st;
    s->broken = false;
    count_object("graphs", 1);
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *graph)
{
    guard g(w().lock);
    *graph = s->recording;
    s->recording = nullptr;
    static const bool unrecordable = getenv("SAL_EMU_UNRECORDABLE") != nullptr;
    if (s->broken || unrecordable || fails("cudaStreamEndCapture")) {
        delete *graph;
        *graph = nullptr;
        count_object("graphs", -1);
        return error(cudaErrorStreamCaptureInvalidated);
    }
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *e, cudaGraph_t graph, unsigned long long)
{
    guard g(w().lock);
    *e = nullptr;
    FAIL_IF_ASKED("cudaGraphInstantiate", cudaErrorMemoryAllocation);
    *e = new CUgraphExec_st{graph->operations};
    count_object("instantiated graphs", 1);
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    guard g(w().lock);
    delete graph;
    count_object("graphs", -1);
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t e)
{
    guard g(w().lock);
    delete e;
    count_object("instantiated graphs", -1);
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t e, cudaStream_t s)
{
    guard g(w().lock);
    FAIL_IF_ASKED("cudaGraphLaunch", cudaErrorLaunchFailure);
    for (const operation &o : e->operations)
        push(s, o);
    return cudaSuccess;
}

cudaError_t cudaGetLastError(void)
{
    guard g(w().lock);
    const cudaError_t e = last_error;
    last_error = w().lost_device == current_device ? cudaErrorIllegalAddress : cudaSuccess;
    return e;
}

const char *cudaGetErrorString(cudaError_t e)
{
    switch (e) {
    case cudaSuccess: return "no error";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorIllegalAddress: return "an illegal memory access was encountered";
    case cudaErrorInvalidConfiguration: return "invalid configuration argument";
    default: return "emulated error";
    }
}

const char *cudaGetErrorName(cudaError_t e)
{
    return cudaGetErrorString(e);
}

cudaError_t cudaGetDeviceCount(int *count)
{
    guard g(w().lock);
    *count = 0;
    FAIL_IF_ASKED("cudaGetDeviceCount", cudaErrorNoDevice);
    *count = 2;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    guard g(w().lock);
    if (device < 0 || device >= 2)
        return error(cudaErrorInvalidDevice);
    current_device = device;
    FAIL_IF_ASKED("cudaSetDevice", cudaErrorLaunchFailure);
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int)
{
    guard g(w().lock);
    FAIL_IF_ASKED("cudaGetDeviceProperties", cudaErrorLaunchFailure);
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "emulated device");
    p->major = 9;
    p->totalGlobalMem = w().most;
    p->multiProcessorCount = 1;
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *available, size_t *total)
{
    guard g(w().lock);
    FAIL_IF_ASKED("cudaMemGetInfo", cudaErrorLaunchFailure);
    *available = w().most - w().used;
    *total = w().most;
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t s, cudaHostFn_t f, void *data)
{
    guard g(w().lock);
    FAIL_IF_ASKED("cudaLaunchHostFunc", cudaErrorLaunchFailure);
    push(s, operation{[=] { f(data); }, nullptr, 0});
    return cudaSuccess;
}

} /* extern "C" */
