/* What `salmap doctor` says of NVIDIA's libraries, of the driver and of each GPU. */
#include "cuda_rows.h"
#include "library.h"

#include "planning/driver_stand_in.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)
#define CUDA_MAJOR TEXT(CUBLAS_VER_MAJOR)

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

static void add_missing(rows *r, const char *name, cuda_nvidia_library which, const char *advice)
{
    add(r, name, SAL_CHECK_MISSING, advice, "%s", cuda_nvidia_problem(which));
}

/* Where they were looked for, behind the system's own folders. */
static void list_folders(rows *r)
{
    const char *folder;
    size_t count = 0;
    for (; (folder = cuda_nvidia_folder(count)) != NULL; count++)
        add(r, "searched", SAL_CHECK_FINE, "", "%s", folder);
    if (count == 0)
        add(r, "searched", SAL_CHECK_MISSING, "SAL_CUDA_PATH names others",
            "the system's folders; /usr/local/cuda and pip's packages are not there");
}

static void check_libraries(rows *r)
{
    int runtime = 0;
    if (cudaRuntimeGetVersion(&runtime) != cudaSuccess)
        (void)cudaGetLastError();
    add(r, "cuda", SAL_CHECK_FINE, "", "runtime %d.%d", runtime / 1000, runtime % 1000 / 10);
    (void)cuda_nvidia_open();
    if (cuda_nvidia_path(CUDA_CUDNN))
        add(r, "cudnn", SAL_CHECK_FINE, "", "%s, %s", cuda_library_version(), cuda_nvidia_path(CUDA_CUDNN));
    else
        add_missing(r, "cudnn", CUDA_CUDNN,
                    "GPUs need it: install NVIDIA's cudnn (pip: nvidia-cudnn-cu" CUDA_MAJOR ")");
    if (cuda_nvidia_path(CUDA_CUBLASLT)) {
        const size_t v = nvidia.cublasLtGetVersion();
        add(r, "cublas", SAL_CHECK_FINE, "", "cuBLASLt %zu.%zu.%zu, %s", v / 10000, v / 100 % 100, v % 100,
            cuda_nvidia_path(CUDA_CUBLASLT));
    } else {
        add_missing(r, "cublas", CUDA_CUBLASLT, "GPUs need it: install NVIDIA's cublas (pip: nvidia-cublas)");
    }
    if (cuda_nvidia_path(CUDA_NVRTC))
        add(r, "nvrtc", SAL_CHECK_FINE, "", "%s", cuda_nvidia_path(CUDA_NVRTC));
    else
        add_missing(r, "nvrtc", CUDA_NVRTC,
                    "cuDNN compiles some fused convolutions with it: install NVIDIA's nvrtc (pip: nvidia-cuda-nvrtc)");
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
    if (cuda_nvidia_open() != SAL_OK)
        return;
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
    list_folders(&r);
    return r.count;
}
