/* Half precision holds gradients times powers of two, so that small ones survive, and undoes that exactly (Micikevicius
 * et al. 2018, mixed precision training). Two factors: one for each picture, which brings its largest seed to between 1
 * and 2, since the backward pass is linear in the seeds; and the loss scale, which all pictures share and which is
 * lowered where gradients overflow. */
#ifndef CUDA_LOSS_SCALE_H
#define CUDA_LOSS_SCALE_H

#include <cuda_runtime_api.h>

#include "base/error.h"
#include "kernels/kernels.h"

typedef struct cuda_loss_scale {
    float full;         /* what a batch begins with; 1: nothing is scaled */
    float now;          /* of the next seeds */
    int *not_finite;    /* device: what the last look at gradients found */
    float *seeds;       /* host: the last seeds, scaled */
    size_t seed_count;  /* room for so many */
    float *undo;        /* host: per picture of the last seeds, what its gradients are to be multiplied by */
    float *device_undo; /* device: the same */
    int64_t room;       /* for so many pictures */
    int64_t pictures;   /* of the last seeds; 0: gradients are not scaled */
} cuda_loss_scale;

sal_status cuda_loss_scale_open(cuda_loss_scale *s, float full);
void cuda_loss_scale_close(cuda_loss_scale *s); /* fine on a zeroed struct */

/* *out: seeds (pictures, outputs) as they are to be uploaded; the struct's, until the next call. */
sal_status cuda_loss_scale_seeds(const float **out, cuda_loss_scale *s, const float *seeds, int64_t pictures,
                                 size_t outputs, cudaStream_t compute);
/* Gradients (pictures, elements) that came from the device. */
void cuda_loss_scale_undo(float *gradients, const cuda_loss_scale *s, int64_t pictures, size_t elements);
/* The same factors for kernels, one a picture; NULL: all are 1. */
static inline const float *cuda_loss_scale_device(const cuda_loss_scale *s)
{
    return s->pictures > 0 ? s->device_undo : NULL;
}
/* The table's `rescale`, of so many elements. */
sal_status cuda_loss_scale_again(int *again, cuda_loss_scale *s, const void *gradient, cuda_type type, int64_t elements,
                                 cudaStream_t compute);

#endif
