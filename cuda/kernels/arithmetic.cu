/* Sums and products of two maps, or of a map and one number per channel. Twins: add, multiply, affine of
 * src/backend/cpu/kernels.c. Where V is 4, channels are a multiple of it, so that four neighbours are of one pixel. */
#include "kernels/element.cuh"

/* Element i of the batch to its place among (pictures, channels). */
__device__ __forceinline__ int64_t channel_place(int64_t i, int64_t picture_elements, int channels)
{
    return i / picture_elements * channels + i % channels;
}

template <class T, int V>
static __global__ void __launch_bounds__(BLOCK_THREADS)
    add_kernel(T *y, const T *a, const T *b, int b_is_channels, int64_t total, int64_t picture_elements, int channels)
{
    const int64_t stride = (int64_t)gridDim.x * blockDim.x * V;
#pragma unroll 1 /* registers spill on some architectures else */
    for (int64_t i = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) * V; i < total; i += stride) {
        float p[V], q[V];
        elements_load<V>(p, a + i);
        elements_load<V>(q, b + (b_is_channels ? channel_place(i, picture_elements, channels) : i));
        for (int k = 0; k < V; k++)
            p[k] += q[k];
        elements_store<V>(y + i, p);
    }
}

template <class T, int V>
static __global__ void __launch_bounds__(BLOCK_THREADS)
    multiply_kernel(T *y, const T *a, const T *b, int b_is_channels, const T *addend, int64_t total,
                    int64_t picture_elements, int channels)
{
    const int64_t stride = (int64_t)gridDim.x * blockDim.x * V;
    for (int64_t i = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) * V; i < total; i += stride) {
        float p[V], q[V], r[V] = {};
        elements_load<V>(p, a + i);
        elements_load<V>(q, b + (b_is_channels ? channel_place(i, picture_elements, channels) : i));
        if (addend)
            elements_load<V>(r, addend + i);
        for (int k = 0; k < V; k++)
            p[k] = p[k] * q[k] + r[k];
        elements_store<V>(y + i, p);
    }
}

template <class T, int V>
static __global__ void __launch_bounds__(BLOCK_THREADS)
    affine_kernel(T *y, const T *x, const float *weight, const float *bias, const T *addend, int64_t total,
                  int channels)
{
    const int64_t stride = (int64_t)gridDim.x * blockDim.x * V;
    for (int64_t i = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) * V; i < total; i += stride) {
        const int c = (int)(i % channels);
        float p[V], r[V] = {};
        elements_load<V>(p, x + i);
        if (addend)
            elements_load<V>(r, addend + i);
        for (int k = 0; k < V; k++)
            p[k] = p[k] * weight[c + k] + (bias ? bias[c + k] : 0.0f) + r[k];
        elements_store<V>(y + i, p);
    }
}

/* Likewise along an axis that is not the fastest; where V is 4, what is behind it is a multiple of it. */
template <class T, int V>
static __global__ void __launch_bounds__(BLOCK_THREADS)
    affine_axis_kernel(T *y, const T *x, const float *weight, const float *bias, const T *addend, int64_t total,
                       int64_t n, int64_t inner)
{
    const int64_t stride = (int64_t)gridDim.x * blockDim.x * V;
    for (int64_t i = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) * V; i < total; i += stride) {
        const int64_t c = i / inner % n;
        const float w = weight[c], b = bias ? bias[c] : 0.0f;
        float p[V], r[V] = {};
        elements_load<V>(p, x + i);
        if (addend)
            elements_load<V>(r, addend + i);
        for (int k = 0; k < V; k++)
            p[k] = p[k] * w + b + r[k];
        elements_store<V>(y + i, p);
    }
}

#define LAUNCH(kernel, ...)                                                                                            \
    FOR_ELEMENT_TYPE(type, if (neighbours % 4 == 0) kernel<T, 4>                                                       \
                     <<<blocks_of(total, BLOCK_THREADS * 4), BLOCK_THREADS, 0, stream>>>(__VA_ARGS__);                 \
                     else kernel<T, 1><<<blocks_of(total, BLOCK_THREADS), BLOCK_THREADS, 0, stream>>>(__VA_ARGS__))

cudaError_t cuda_add(void *y, const void *a, const void *b, int b_is_channels, cuda_type type, cuda_extent e,
                     cudaStream_t stream)
{
    const int64_t total = e.pictures * extent_elements(e), neighbours = e.channels;
    if (total == 0)
        return cudaSuccess;
    LAUNCH(add_kernel, (T *)y, (const T *)a, (const T *)b, b_is_channels, total, extent_elements(e), (int)e.channels)
    return cudaGetLastError();
}

cudaError_t cuda_multiply(void *y, const void *a, const void *b, int b_is_channels, const void *addend, cuda_type type,
                          cuda_extent e, cudaStream_t stream)
{
    const int64_t total = e.pictures * extent_elements(e), neighbours = e.channels;
    if (total == 0)
        return cudaSuccess;
    LAUNCH(multiply_kernel, (T *)y, (const T *)a, (const T *)b, b_is_channels, (const T *)addend, total,
           extent_elements(e), (int)e.channels)
    return cudaGetLastError();
}

cudaError_t cuda_affine(void *y, const void *x, const float *weight, const float *bias, const void *addend,
                        cuda_type type, int64_t outer, int64_t n, int64_t inner, cudaStream_t stream)
{
    const int64_t total = outer * n * inner, neighbours = inner == 1 ? n : inner;
    if (total == 0)
        return cudaSuccess;
    if (inner == 1) {
        LAUNCH(affine_kernel, (T *)y, (const T *)x, weight, bias, (const T *)addend, total, (int)n)
    } else {
        LAUNCH(affine_axis_kernel, (T *)y, (const T *)x, weight, bias, (const T *)addend, total, n, inner)
    }
    return cudaGetLastError();
}
