/* What methods of several passes repeat, element by element. Twins: the rows of src/backend/cpu; the arithmetic of
 * src/backend/method_math.h gives both the same bits. */
#include "kernels/element.cuh"
#include "kernels/method_kernels.h"

enum { NOISE_GROUP = 4 };

template <class To, class From>
static __global__ void __launch_bounds__(BLOCK_THREADS)
    copy_kernel(To *to, const From *from, int64_t pictures, int64_t elements, const float *scales, int64_t scaled)
{
    const int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t n = blockIdx.y; n < pictures; n += gridDim.y) {
        const float scale = n < scaled ? scales[n] : 1.0f;
        for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < elements; i += step)
            element_store(to + n * elements + i, element_load(from + n * elements + i) * scale);
    }
}

/* A thread takes a group of neighbours in row-major order of (C, H, W), which lie `channels` apart. */
static __global__ void __launch_bounds__(BLOCK_THREADS)
    perturb_kernel(float *to, const float *x, const sal_noise *noises, uint32_t sample, int64_t pictures,
                   int64_t pixels, int channels)
{
    const int64_t elements = pixels * channels, step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t n = blockIdx.y; n < pictures; n += gridDim.y) {
        const sal_noise noise = noises[n];
        for (int64_t group = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; group * NOISE_GROUP < elements;
             group += step) {
            const int64_t first = group * NOISE_GROUP;
            int64_t c = first / pixels, p = first % pixels;
            float normals[NOISE_GROUP];
            sal_noise_normals(normals, &noise, sample, (uint32_t)group);
#pragma unroll
            for (int k = 0; k < NOISE_GROUP; k++) {
                if (first + k < elements) {
                    const int64_t at = n * elements + p * channels + c;
                    to[at] = sal_perturbed(x[at], noise.deviation, normals[k]);
                }
                if (++p == pixels) {
                    p = 0;
                    c++;
                }
            }
        }
    }
}

static __global__ void __launch_bounds__(BLOCK_THREADS)
    between_kernel(float *to, const float *from, const float *x, float t, int64_t elements)
{
    const int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < elements; i += step)
        to[i] = sal_between(from ? from[i] : 0.0f, x[i], t);
}

static __global__ void __launch_bounds__(BLOCK_THREADS)
    accumulate_kernel(float *sum, float *spread, const float *x, sal_accumulate kind, float weight, int64_t elements)
{
    const int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < elements; i += step) {
        const float v = x[i];
        if (kind == SAL_ACCUMULATE_WELFORD)
            sal_welford(sum + i, spread + i, v, weight);
        else
            sum[i] = fmaf(kind == SAL_ACCUMULATE_SQUARES ? weight * v : weight, v, sum[i]);
    }
}

/* A difference and a product of it: there is no sum for a compiler to join the product with. */
static __global__ void __launch_bounds__(BLOCK_THREADS)
    multiply_kernel(float *to, const float *a, const float *x, const float *from, int64_t elements)
{
    const int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < elements; i += step)
        to[i] = a[i] * (x[i] - (from ? from[i] : 0.0f));
}

cudaError_t cuda_method_copy(void *to, cuda_type to_type, const void *from, cuda_type from_type, int64_t pictures,
                             int64_t elements, const float *scales, int64_t scaled, cudaStream_t stream)
{
    if (pictures * elements == 0)
        return cudaSuccess;
    const dim3 grid(blocks_of(elements, BLOCK_THREADS), blocks_y(pictures));
    if (to_type == CUDA_TYPE_FLOAT)
        FOR_ELEMENT_TYPE(from_type, copy_kernel<float, T><<<grid, BLOCK_THREADS, 0, stream>>>(
                                        (float *)to, (const T *)from, pictures, elements, scales, scaled))
    else
        FOR_ELEMENT_TYPE(to_type, copy_kernel<T, float><<<grid, BLOCK_THREADS, 0, stream>>>(
                                      (T *)to, (const float *)from, pictures, elements, scales, scaled))
    return cudaGetLastError();
}

cudaError_t cuda_method_perturb(float *to, const float *x, const sal_noise *noises, uint32_t sample, cuda_extent e,
                                cudaStream_t stream)
{
    if (e.pictures * extent_elements(e) == 0)
        return cudaSuccess;
    const dim3 grid(blocks_of(extent_elements(e), BLOCK_THREADS * NOISE_GROUP), blocks_y(e.pictures));
    perturb_kernel<<<grid, BLOCK_THREADS, 0, stream>>>(to, x, noises, sample, e.pictures, e.height * e.width,
                                                       (int)e.channels);
    return cudaGetLastError();
}

cudaError_t cuda_method_between(float *to, const float *from, const float *x, float t, int64_t elements,
                                cudaStream_t stream)
{
    if (elements == 0)
        return cudaSuccess;
    between_kernel<<<blocks_of(elements, BLOCK_THREADS), BLOCK_THREADS, 0, stream>>>(to, from, x, t, elements);
    return cudaGetLastError();
}

cudaError_t cuda_method_accumulate(float *sum, float *spread, const float *x, sal_accumulate kind, float weight,
                                   int64_t elements, cudaStream_t stream)
{
    if (elements == 0)
        return cudaSuccess;
    accumulate_kernel<<<blocks_of(elements, BLOCK_THREADS), BLOCK_THREADS, 0, stream>>>(sum, spread, x, kind, weight,
                                                                                        elements);
    return cudaGetLastError();
}

cudaError_t cuda_method_multiply(float *to, const float *a, const float *x, const float *from, int64_t elements,
                                 cudaStream_t stream)
{
    if (elements == 0)
        return cudaSuccess;
    multiply_kernel<<<blocks_of(elements, BLOCK_THREADS), BLOCK_THREADS, 0, stream>>>(to, a, x, from, elements);
    return cudaGetLastError();
}
