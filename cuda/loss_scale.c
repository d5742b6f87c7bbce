#include "loss_scale.h"

#include "base/memory.h"
#include "device.h"

#include <math.h>

enum { STEP = 16, MAX_EXPONENT = 100 };

sal_status cuda_loss_scale_open(cuda_loss_scale *s, float full)
{
    sal_status st = SAL_OK;
    s->full = s->now = full;
    TRY(CUDA_CHECK(cudaMalloc((void **)&s->not_finite, sizeof *s->not_finite)));
done:
    return st;
}

void cuda_loss_scale_close(cuda_loss_scale *s)
{
    (void)cudaFree(s->not_finite);
    (void)cudaFree(s->device_undo);
    sal_free(s->undo);
    sal_free(s->seeds);
}

static sal_status grow(cuda_loss_scale *s, int64_t pictures, size_t seeds)
{
    sal_status st = SAL_OK;
    if (seeds > s->seed_count) {
        sal_free(s->seeds);
        s->seeds = NULL;
        s->seed_count = 0;
        TRY(sal_alloc(&s->seeds, seeds, sizeof *s->seeds, "seeds"));
        s->seed_count = seeds;
    }
    if (pictures > s->room) {
        sal_free(s->undo);
        (void)cudaFree(s->device_undo);
        s->undo = s->device_undo = NULL;
        s->room = 0;
        TRY(sal_alloc(&s->undo, (size_t)pictures, sizeof *s->undo, "loss scales"));
        TRY(CUDA_CHECK(cudaMalloc((void **)&s->device_undo, (size_t)pictures * sizeof *s->undo)));
        s->room = pictures;
    }
done:
    return st;
}

/* The power of two that brings the largest of them to between 1 and 2. */
static float factor_of(const float *seeds, size_t count)
{
    float most = 0.0f;
    int exponent = 0;
    for (size_t i = 0; i < count; i++)
        most = fmaxf(most, fabsf(seeds[i]));
    if (most == 0.0f || !isfinite(most))
        return 1.0f;
    (void)frexpf(most, &exponent);
    exponent = exponent > MAX_EXPONENT ? MAX_EXPONENT : exponent < -MAX_EXPONENT ? -MAX_EXPONENT : exponent;
    return ldexpf(1.0f, 1 - exponent);
}

sal_status cuda_loss_scale_seeds(const float **out, cuda_loss_scale *s, const float *seeds, int64_t pictures,
                                 size_t outputs, cudaStream_t compute)
{
    sal_status st = SAL_OK;
    const size_t count = (size_t)pictures * outputs;
    s->pictures = 0;
    TRY(grow(s, pictures, count));
    for (int64_t n = 0; n < pictures; n++) {
        const float *from = seeds + (size_t)n * outputs;
        const float factor = factor_of(from, outputs) * s->now;
        for (size_t i = 0; i < outputs; i++)
            s->seeds[(size_t)n * outputs + i] = from[i] * factor;
        s->undo[n] = 1.0f / factor;
    }
    /* Pageable memory is read before this returns. */
    TRY(CUDA_CHECK(
        cudaMemcpyAsync(s->device_undo, s->undo, (size_t)pictures * sizeof *s->undo, cudaMemcpyHostToDevice, compute)));
    s->pictures = pictures;
    *out = s->seeds;
done:
    return st;
}

void cuda_loss_scale_undo(float *gradients, const cuda_loss_scale *s, int64_t pictures, size_t elements)
{
    for (int64_t n = 0; n < pictures; n++) {
        const float undo = n < s->pictures ? s->undo[n] : 1.0f;
        for (size_t i = 0; i < elements; i++)
            gradients[(size_t)n * elements + i] *= undo;
    }
}

/* Where that is too much for large gradients, a smaller power of two is tried. */
sal_status cuda_loss_scale_again(int *again, cuda_loss_scale *s, const void *gradient, cuda_type type, int64_t elements,
                                 cudaStream_t compute)
{
    sal_status st = SAL_OK;
    int not_finite = 0;
    *again = 0;
    if (s->full == 1.0f)
        return SAL_OK;
    TRY(CUDA_CHECK(cudaMemsetAsync(s->not_finite, 0, sizeof not_finite, compute)));
    TRY(CUDA_CHECK(cuda_find_not_finite(s->not_finite, gradient, type, elements, compute)));
    TRY(CUDA_CHECK(cudaMemcpyAsync(&not_finite, s->not_finite, sizeof not_finite, cudaMemcpyDeviceToHost, compute)));
    TRY(CUDA_CHECK(cudaStreamSynchronize(compute)));
    *again = not_finite && s->now > 1.0f;
    s->now = *again ? s->now / (float)STEP : s->full;
done:
    return st;
}
