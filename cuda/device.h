/* An NVIDIA device as the back end holds it, and the one way to call the CUDA runtime. */
#ifndef CUDA_DEVICE_H
#define CUDA_DEVICE_H

#include <cuda_runtime_api.h>

#include "backend/backend.h"
#include "kernels/kernels.h"
#include "loss_scale.h"
#include "methods.h"

/* SAL_OK, or a failure that names the call: MEMORY for cudaErrorMemoryAllocation, else DEVICE. The
 * runtime's last error is cleared. Evaluates `call` once: TRY(CUDA_CHECK(cudaFree(p))). */
#define CUDA_CHECK(call) cuda_check((call), #call)
sal_status cuda_check(cudaError_t error, const char *call);

/* Two pinned host buffers with device twins, used in turn: while one is copied, the other is filled. */
typedef struct cuda_staging {
    unsigned char *host[2];
    unsigned char *device[2];
    cudaEvent_t copied[2];   /* copy of the buffer done */
    cudaEvent_t consumed[2]; /* kernels that read its device twin done */
    size_t bytes;            /* of each; grown on demand */
    int turn;
    const float *ahead; /* pictures on their way before they are asked for, or NULL */
    size_t ahead_bytes;
    int ahead_turn; /* the buffer that has them */
} cuda_staging;

enum { CUDA_OLDEST_CAPABILITY = 75 }; /* Turing: what the kernels are compiled for at least */
int cuda_is_supported(const struct cudaDeviceProp *properties);

typedef struct cuda_maps cuda_maps;       /* maps.h */
typedef struct cuda_library cuda_library; /* library.c: handles of cuDNN and cuBLAS */
typedef struct cuda_weight cuda_weight;   /* weights.c */

struct sal_device {
    int ordinal;
    cudaStream_t compute; /* all kernels and library calls */
    cudaStream_t copy;    /* transfers that run beside them */
    cuda_type type;       /* of feature maps; vectors and rows are floats always */
    sal_precision precision;
    int described; /* 1: known by its description only, nothing below but `library` exists */
    uint64_t described_memory;
    cuda_staging upload;
    cuda_staging download;
    cuda_library *library;
    cuda_maps *maps;
    cuda_loss_scale scale; /* of gradients */
    cuda_methods methods;
    cuda_weight *weights;
    /* Of the forward and of the backward pass. */
    cudaGraphExec_t recorded[2];
    char unrecordable[2][256]; /* why it cannot be recorded, or "" */
    int64_t runs[2];
    cudaEvent_t began[2];
    cudaEvent_t ended[2];
    char description[192];
};

/* Whether it is kept as a feature map, channels last; all else lies row-major. */
int cuda_is_map(const sal_value *value);
/* Type of a value's elements: feature maps have the device's, exact values and everything else are floats. */
cuda_type cuda_value_type(const sal_device *device, const sal_value *value);
/* Its extent for `pictures` pictures; of a map (C, H, W), else one pixel with as many channels as elements. */
cuda_extent cuda_value_extent(const sal_value *value, int64_t pictures);

/* ---- transfers.c ---------------------------------------------------------- */

sal_status cuda_staging_open(cuda_staging *s);
void cuda_staging_close(cuda_staging *s); /* fine on a zeroed struct */
/* The table's rows of these names; weights come by upload, too. */
sal_status cuda_reserve(sal_device *device, const sal_value *input, int64_t batch);
sal_status cuda_prefetch(sal_device *device, const sal_value *value, const float *host, int64_t pictures);
sal_status cuda_upload(sal_device *device, void *memory, const sal_value *value, const float *host, int64_t pictures,
                       int64_t batch);
sal_status cuda_download(sal_device *device, float *host, const void *memory, const sal_value *value, int64_t pictures);

#endif
