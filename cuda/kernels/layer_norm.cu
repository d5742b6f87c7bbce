/* Layer norm over rows of neighbouring elements, and its gradient (Ba et al. 2016); a warp takes a row. The variance is
 * summed around the mean: E[x^2] - E[x]^2 loses its digits. Twins: src/backend/cpu/layer_norm_softmax.c. */
#include "kernels/element.cuh"
#include "kernels/warp.cuh"

struct moments {
    float mean, scale; /* 1 / sqrt(variance + epsilon) */
};

template <class T> __device__ __forceinline__ moments moments_of(const T *x, int64_t n, float epsilon)
{
    float sum = 0.0f, square = 0.0f;
    for (int64_t i = threadIdx.x; i < n; i += WARP)
        sum += element_load(x + i);
    const float mean = warp_sum(sum) / (float)n;
    for (int64_t i = threadIdx.x; i < n; i += WARP) {
        const float d = element_load(x + i) - mean;
        square += d * d;
    }
    return moments{mean, 1.0f / sqrtf(warp_sum(square) / (float)n + epsilon)};
}

template <class T>
static __global__ void __launch_bounds__(WARP *WARPS_OF_BLOCK)
    layer_norm_kernel(T *y, const T *x, const float *weight, const float *bias, float epsilon, int64_t rows, int64_t n)
{
    for (int64_t r = (int64_t)blockIdx.x * WARPS_OF_BLOCK + threadIdx.y; r < rows;
         r += (int64_t)gridDim.x * WARPS_OF_BLOCK) {
        const moments m = moments_of(x + r * n, n, epsilon);
        for (int64_t i = threadIdx.x; i < n; i += WARP) {
            const float v = (element_load(x + r * n + i) - m.mean) * m.scale;
            element_store(y + r * n + i, v * weight[i] + (bias ? bias[i] : 0.0f));
        }
    }
}

/* With g = dy * weight and h the normalised x: dx = scale * (g - mean(g) - h * mean(g h)). */
template <class T>
static __global__ void __launch_bounds__(WARP *WARPS_OF_BLOCK)
    layer_norm_backward_kernel(T *dx, const T *dy, const T *x, const float *weight, float epsilon, const T *addend,
                               int64_t rows, int64_t n)
{
    for (int64_t r = (int64_t)blockIdx.x * WARPS_OF_BLOCK + threadIdx.y; r < rows;
         r += (int64_t)gridDim.x * WARPS_OF_BLOCK) {
        const moments m = moments_of(x + r * n, n, epsilon);
        float mean_g = 0.0f, mean_gh = 0.0f;
        for (int64_t i = threadIdx.x; i < n; i += WARP) {
            const float g = element_load(dy + r * n + i) * weight[i];
            mean_g += g;
            mean_gh += g * (element_load(x + r * n + i) - m.mean) * m.scale;
        }
        mean_g = warp_sum(mean_g) / (float)n;
        mean_gh = warp_sum(mean_gh) / (float)n;
        for (int64_t i = threadIdx.x; i < n; i += WARP) {
            const int64_t at = r * n + i;
            const float h = (element_load(x + at) - m.mean) * m.scale;
            const float g = m.scale * (element_load(dy + at) * weight[i] - mean_g - h * mean_gh);
            element_store(dx + at, g + (addend ? element_load(addend + at) : 0.0f));
        }
    }
}

cudaError_t cuda_layer_norm(void *y, const void *x, const float *weight, const float *bias, float epsilon,
                            cuda_type type, int64_t rows, int64_t n, cudaStream_t stream)
{
    if (rows * n == 0)
        return cudaSuccess;
    const dim3 block(WARP, WARPS_OF_BLOCK);
    FOR_ELEMENT_TYPE(type, layer_norm_kernel<T><<<blocks_of(rows, WARPS_OF_BLOCK), block, 0, stream>>>(
                               (T *)y, (const T *)x, weight, bias, epsilon, rows, n))
    return cudaGetLastError();
}

cudaError_t cuda_layer_norm_backward(void *dx, const void *dy, const void *x, const float *weight, float epsilon,
                                     const void *addend, cuda_type type, int64_t rows, int64_t n, cudaStream_t stream)
{
    if (rows * n == 0)
        return cudaSuccess;
    const dim3 block(WARP, WARPS_OF_BLOCK);
    FOR_ELEMENT_TYPE(type, layer_norm_backward_kernel<T><<<blocks_of(rows, WARPS_OF_BLOCK), block, 0, stream>>>(
                               (T *)dx, (const T *)dy, (const T *)x, weight, epsilon, (const T *)addend, rows, n))
    return cudaGetLastError();
}
