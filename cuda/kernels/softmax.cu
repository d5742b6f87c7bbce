/* Softmax along one axis and its gradient; a warp takes a line. Twins: src/backend/cpu/layer_norm_softmax.c. */
#include "kernels/element.cuh"
#include "kernels/warp.cuh"

struct lines {
    int64_t outer, n, inner;
};

/* First element of line l; its others follow `inner` apart. */
__device__ __forceinline__ int64_t line_start(const lines &a, int64_t l)
{
    return l / a.inner * a.n * a.inner + l % a.inner;
}

template <class T>
static __global__ void __launch_bounds__(WARP *WARPS_OF_BLOCK) softmax_kernel(T *y, const T *x, lines a)
{
    const int lane = (int)threadIdx.x;
    for (int64_t l = (int64_t)blockIdx.x * WARPS_OF_BLOCK + threadIdx.y; l < a.outer * a.inner;
         l += (int64_t)gridDim.x * WARPS_OF_BLOCK) {
        const int64_t start = line_start(a, l);
        float top = -INFINITY, sum = 0.0f;
#pragma unroll 1 /* registers spill on some architectures else */
        for (int64_t i = lane; i < a.n; i += WARP)
            top = fmaxf(top, element_load(x + start + i * a.inner));
        top = warp_max(top);
#pragma unroll 1
        for (int64_t i = lane; i < a.n; i += WARP)
            sum += expf(element_load(x + start + i * a.inner) - top);
        sum = warp_sum(sum);
#pragma unroll 1
        for (int64_t i = lane; i < a.n; i += WARP) {
            const int64_t at = start + i * a.inner;
            element_store(y + at, expf(element_load(x + at) - top) / sum);
        }
    }
}

template <class T>
static __global__ void __launch_bounds__(WARP *WARPS_OF_BLOCK)
    softmax_backward_kernel(T *dx, const T *dy, const T *y, const T *addend, lines a)
{
    const int lane = (int)threadIdx.x;
    for (int64_t l = (int64_t)blockIdx.x * WARPS_OF_BLOCK + threadIdx.y; l < a.outer * a.inner;
         l += (int64_t)gridDim.x * WARPS_OF_BLOCK) {
        const int64_t start = line_start(a, l);
        float sum = 0.0f;
        for (int64_t i = lane; i < a.n; i += WARP)
            sum += element_load(dy + start + i * a.inner) * element_load(y + start + i * a.inner);
        sum = warp_sum(sum);
        for (int64_t i = lane; i < a.n; i += WARP) {
            const int64_t at = start + i * a.inner;
            const float g = element_load(y + at) * (element_load(dy + at) - sum);
            element_store(dx + at, g + (addend ? element_load(addend + at) : 0.0f));
        }
    }
}

cudaError_t cuda_softmax(void *y, const void *x, cuda_type type, int64_t outer, int64_t n, int64_t inner,
                         cudaStream_t stream)
{
    if (outer * n * inner == 0)
        return cudaSuccess;
    const dim3 block(WARP, WARPS_OF_BLOCK);
    const lines a = {outer, n, inner};
    FOR_ELEMENT_TYPE(type, softmax_kernel<T>
                     <<<blocks_of(outer * inner, WARPS_OF_BLOCK), block, 0, stream>>>((T *)y, (const T *)x, a))
    return cudaGetLastError();
}

cudaError_t cuda_softmax_backward(void *dx, const void *dy, const void *y, const void *addend, cuda_type type,
                                  int64_t outer, int64_t n, int64_t inner, cudaStream_t stream)
{
    if (outer * n * inner == 0)
        return cudaSuccess;
    const dim3 block(WARP, WARPS_OF_BLOCK);
    const lines a = {outer, n, inner};
    FOR_ELEMENT_TYPE(type, softmax_backward_kernel<T><<<blocks_of(outer * inner, WARPS_OF_BLOCK), block, 0, stream>>>(
                               (T *)dx, (const T *)dy, (const T *)y, (const T *)addend, a))
    return cudaGetLastError();
}
