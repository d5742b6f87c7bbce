/* Descriptions of GPUs as in data/gpus: what cuDNN plans for, and the peaks that a roofline needs. */
#ifndef SAL_API_GPU_PROFILE_H
#define SAL_API_GPU_PROFILE_H

#include "base/error.h"

typedef struct sal_gpu_profile {
    char *cudnn;                          /* JSON text for cuDNN; owned, sal_free */
    double memory;                        /* bytes per second */
    double flops[SAL_PRECISION_FP16 + 1]; /* per second, dense; 0: the device has no such arithmetic */
} sal_gpu_profile;

/* gpu: "h100" or another that is built in, or a path (it has a slash or a dot). Errors: ARGUMENT (lists the names),
 * IO, FORMAT (names what is missing), MEMORY. */
sal_status sal_gpu_profile_open(sal_gpu_profile *out, const char *gpu);
void sal_gpu_profile_clear(sal_gpu_profile *profile); /* fine on a zeroed struct */

/* Those built in: the files of data/gpus, in a generated source. */
typedef struct sal_gpu_text {
    const char *name;
    const char *json;
} sal_gpu_text;
extern const sal_gpu_text sal_gpu_texts[];
extern const size_t sal_gpu_text_count;

#endif
