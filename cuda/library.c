#include "library.h"

#include "base/memory.h"
#include "planning/driver_stand_in.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

sal_status cuda_cublas_check(cublasStatus_t status, const char *call)
{
    if (status == CUBLAS_STATUS_SUCCESS)
        return SAL_OK;
    return sal_fail(status == CUBLAS_STATUS_ALLOC_FAILED    ? SAL_ERROR_MEMORY
                    : status == CUBLAS_STATUS_NOT_SUPPORTED ? SAL_ERROR_UNSUPPORTED
                                                            : SAL_ERROR_DEVICE,
                    "cuBLAS: %.*s: %s", CUDA_NVIDIA_NAME(call), nvidia.cublasLtGetStatusString(status));
}

/* Kept like those of devices: most layers of a network recur, and compiling their plans is what takes the time. Told
 * apart by the whole description (Fowler, Noll and Vo's hash 1a), and by whether all engines could be had. */
static sal_status open_described_plans(plan_cache *plans, const char *described)
{
    char name[64];
    uint64_t hash = 14695981039346656037u;
    for (const char *c = described; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 1099511628211u;
    snprintf(name, sizeof name, "described-%016" PRIx64 "%s", hash, cuda_driver_stand_in() ? "" : "-plain");
    return plan_cache_open(plans, name);
}

sal_status cuda_library_open(cuda_library **out, cudaStream_t compute, const char *device, const char *described)
{
    sal_status st = SAL_OK;
    cuda_library *l = NULL;
    *out = NULL;
    TRY(cuda_nvidia_open());
    TRY(sal_alloc(&l, 1, sizeof *l, "library handles"));
    if (described) {
        st = cudnn_target_describe(&l->target.properties, described);
        if (st != SAL_OK && st != SAL_ERROR_MEMORY) { /* whatever cuDNN calls it */
            st = sal_fail(SAL_ERROR_FORMAT, "%s", sal_last_error());
            goto done;
        }
        TRY(open_described_plans(&l->plans, described));
    } else {
        TRY(CUDNN_CHECK(nvidia.cudnnCreate(&l->cudnn)));
        TRY(CUDNN_CHECK(nvidia.cudnnSetStream(l->cudnn, compute)));
        TRY(CUBLAS_CHECK(nvidia.cublasLtCreate(&l->cublas)));
        l->trial = (cuda_trial){.cudnn = l->cudnn, .stream = compute};
        l->target = (cudnn_target){.handle = l->cudnn, .trial = cuda_trial_run, .context = &l->trial};
        TRY(plan_cache_open(&l->plans, device));
    }
    *out = l;
    l = NULL;
done:
    cuda_library_close(l);
    return st;
}

void cuda_library_close(cuda_library *l)
{
    if (!l)
        return;
    plan_cache_close(&l->plans);
    if (l->target.properties)
        (void)nvidia.cudnnBackendDestroyDescriptor(l->target.properties);
    if (l->cublas)
        (void)nvidia.cublasLtDestroy(l->cublas);
    if (l->cudnn)
        (void)nvidia.cudnnDestroy(l->cudnn);
    sal_free(l);
}

const char *cuda_library_version(void)
{
    static _Thread_local char text[32];
    size_t v = nvidia.cudnnGetVersion();
    snprintf(text, sizeof text, "%zu.%zu.%zu", v / 10000, v / 100 % 100, v % 100);
    return text;
}
