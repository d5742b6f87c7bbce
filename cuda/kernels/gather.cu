/* Weighted sums of elements along an axis, picked by index, and their gradients. Each result is one thread's, who adds
 * in the order of the taps, or of the readers: no atomic additions, the same bits in any batch. */
#include "kernels/element.cuh"

template <class T>
static __global__ void __launch_bounds__(BLOCK_THREADS)
    gather_kernel(T *y, const T *x, const int32_t *index, const float *weight, cuda_gather g)
{
    const int64_t total = g.outer * g.to * g.inner, step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < total; i += step) {
        const int64_t row = i / g.inner, tap = row % g.to * g.taps;
        const T *const line = x + row / g.to * g.from * g.inner + i % g.inner;
        float sum = 0.0f;
        for (int t = 0; t < g.taps; t++) {
            const float w = weight ? weight[tap + t] : 1.0f;
            if (w != 0.0f)
                sum += w * element_load(line + index[tap + t] * g.inner);
        }
        element_store(y + i, sum);
    }
}

template <class T>
static __global__ void __launch_bounds__(BLOCK_THREADS)
    gather_backward_kernel(T *dx, const T *dy, const int32_t *readers, const float *weight, const T *addend,
                           cuda_gather g)
{
    const int64_t total = g.outer * g.from * g.inner, step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < total; i += step) {
        const int64_t row = i / g.inner, at = row % g.from;
        const T *const line = dy + row / g.from * g.to * g.inner + i % g.inner;
        const int32_t *const list = readers + g.from + 1;
        float sum = 0.0f;
        for (int32_t k = readers[at]; k < readers[at + 1]; k++) {
            const int32_t tap = list[k];
            sum += (weight ? weight[tap] : 1.0f) * element_load(line + tap / g.taps * g.inner);
        }
        element_store(dx + i, sum + (addend ? element_load(addend + i) : 0.0f));
    }
}

cudaError_t cuda_gather_taps(void *y, const void *x, const int32_t *index, const float *weight, cuda_type type,
                             const cuda_gather *g, cudaStream_t stream)
{
    const int64_t total = g->outer * g->to * g->inner;
    if (total == 0)
        return cudaSuccess;
    FOR_ELEMENT_TYPE(type, gather_kernel<T><<<blocks_of(total, BLOCK_THREADS), BLOCK_THREADS, 0, stream>>>(
                               (T *)y, (const T *)x, index, weight, *g))
    return cudaGetLastError();
}

cudaError_t cuda_gather_backward(void *dx, const void *dy, const int32_t *readers, const float *weight,
                                 const void *addend, cuda_type type, const cuda_gather *g, cudaStream_t stream)
{
    const int64_t total = g->outer * g->from * g->inner;
    if (total == 0)
        return cudaSuccess;
    FOR_ELEMENT_TYPE(type, gather_backward_kernel<T><<<blocks_of(total, BLOCK_THREADS), BLOCK_THREADS, 0, stream>>>(
                               (T *)dx, (const T *)dy, readers, weight, (const T *)addend, *g))
    return cudaGetLastError();
}
