/* Launchers of what methods of several passes repeat; rules as in kernels.h. Arithmetic: src/backend/method_math.h.
 * Values are floats, (pictures, height, width, channels), but where a type is given; `elements` are one picture's. */
#ifndef CUDA_METHOD_KERNELS_H
#define CUDA_METHOD_KERNELS_H

#include "backend/backend.h"
#include "kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* to[n] = from[n] * scales[n], of 1 from picture `scaled` on; one of the types is float. */
cudaError_t cuda_method_copy(void *to, cuda_type to_type, const void *from, cuda_type from_type, int64_t pictures,
                             int64_t elements, const float *scales, int64_t scaled, cudaStream_t stream);
/* to = x + noise of that sample; noises: of the device, one a picture. to may be x. */
cudaError_t cuda_method_perturb(float *to, const float *x, const sal_noise *noises, uint32_t sample, cuda_extent e,
                                cudaStream_t stream);
/* to = from + t (x - from); from may be NULL: zeros. */
cudaError_t cuda_method_between(float *to, const float *from, const float *x, float t, int64_t elements,
                                cudaStream_t stream);
/* spread: of WELFORD, else NULL. */
cudaError_t cuda_method_accumulate(float *sum, float *spread, const float *x, sal_accumulate kind, float weight,
                                   int64_t elements, cudaStream_t stream);
/* to = a * (x - from); from may be NULL: zeros. to may be a. */
cudaError_t cuda_method_multiply(float *to, const float *a, const float *x, const float *from, int64_t elements,
                                 cudaStream_t stream);
/* means[n][c] of x over the pixels; summed in double. */
cudaError_t cuda_method_means(double *means, const float *x, cuda_extent e, cudaStream_t stream);
/* map (pictures, height, width) of values and gradients; means: of GRAD, else NULL. A pixel becomes NaN where what
 * goes into it is not finite, since a ReLU would drop it. */
cudaError_t cuda_method_cam(float *map, const float *values, const float *gradients, const double *means, sal_cam kind,
                            cuda_extent e, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
