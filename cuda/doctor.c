/* What `salmap doctor` says of NVIDIA's libraries, of the driver and of each GPU. */
#include "cuda_rows.h"
#include "library.h"

#include "driver_stand_in.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct rows {
    sal_check *row;
    size_t count;
    size_t capacity;
} rows;

static void add(rows *r, const char *name, sal_check_state state, const char *advice, const char *found, ...)
    __attribute__((format(printf, 5, 6)));

static void add(rows *r, const char *name, sal_check_state state, const char *advice, const char *found, ...)
{
    if (r->count == r->capacity)
        return;
    sal_check *c = &r->row[r->count++];
    va_list args;
    *c = (sal_check){.state = state};
    snprintf(c->name, sizeof c->name, "%s", name);
    snprintf(c->advice, sizeof c->advice, "%s", advice);
    va_start(args, found);
    vsnprintf(c->found, sizeof c->found, found, args);
    va_end(args);
}

static void check_libraries(rows *r)
{
    int runtime = 0;
    const size_t cublas = cublasLtGetVersion();
    if (cudaRuntimeGetVersion(&runtime) != cudaSuccess)
        (void)cudaGetLastError();
    add(r, "cuda", SAL_CHECK_FINE, "", "runtime %d.%d", runtime / 1000, runtime % 1000 / 10);
    const int older = cudnnGetVersion() < CUDNN_VERSION;
    add(r, "cudnn", older ? SAL_CHECK_FAILED : SAL_CHECK_FINE,
        older ? "older than the one salmap was built with: install a newer cuDNN" : "", "%s", cuda_library_version());
    add(r, "cublas", SAL_CHECK_FINE, "", "cuBLASLt %zu.%zu.%zu", cublas / 10000, cublas / 100 % 100, cublas % 100);
}

static void check_driver(rows *r)
{
    int version = 0;
    char advice[128];
    if (cudaDriverGetVersion(&version) != cudaSuccess)
        (void)cudaGetLastError();
    snprintf(advice, sizeof advice, "install an NVIDIA driver for CUDA %d or later", CUDART_VERSION / 1000);
    if (version == 0)
        add(r, "driver", SAL_CHECK_MISSING, advice, "none");
    else if (version / 1000 < CUDART_VERSION / 1000)
        add(r, "driver", SAL_CHECK_FAILED, advice, "for CUDA up to %d.%d", version / 1000, version % 1000 / 10);
    else
        add(r, "driver", SAL_CHECK_FINE, "", "for CUDA up to %d.%d", version / 1000, version % 1000 / 10);
}

static void check_device(rows *r, int ordinal)
{
    struct cudaDeviceProp p;
    char name[32];
    snprintf(name, sizeof name, "cuda:%d", ordinal);
    const cudaError_t error = cudaGetDeviceProperties(&p, ordinal);
    if (error != cudaSuccess) {
        (void)cudaGetLastError();
        add(r, name, SAL_CHECK_FAILED, "the driver may know more: nvidia-smi", "%s", cudaGetErrorString(error));
        return;
    }
    const int old = !cuda_is_supported(&p);
    add(r, name, old ? SAL_CHECK_FAILED : SAL_CHECK_FINE,
        old ? "too old: salmap's kernels need compute capability 7.5 or later" : "",
        "%.96s, compute capability %d.%d, %zu MiB, %d multiprocessors", p.name, p.major, p.minor,
        p.totalGlobalMem >> 20, p.multiProcessorCount);
}

static void check_devices(rows *r)
{
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess)
        (void)cudaGetLastError();
    if (error != cudaSuccess || count == 0)
        add(r, "gpu", SAL_CHECK_MISSING, "salmap uses the CPU; in containers, see that GPUs are passed on", "none%s%s",
            error == cudaSuccess || error == cudaErrorInsufficientDriver ? "" : ": ",
            error == cudaSuccess || error == cudaErrorInsufficientDriver ? "" : cudaGetErrorString(error));
    for (int i = 0; i < count; i++)
        check_device(r, i);
}

static void check_planning(rows *r)
{
    if (cuda_driver_stand_in())
        add(r, "plan --gpu", SAL_CHECK_FINE, "", "with all of cuDNN's engines");
    else
        add(r, "plan --gpu", SAL_CHECK_FAILED, "memory files may be forbidden here (memfd_create)",
            "without engines that are compiled at run time");
}

size_t cuda_doctor_check(sal_check *out, size_t count, size_t capacity)
{
    rows r = {out, count, capacity};
    check_libraries(&r);
    check_driver(&r);
    check_devices(&r);
    check_planning(&r);
    return r.count;
}
