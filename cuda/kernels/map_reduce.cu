/* Gradient to map: modifier and channel reduction in one pass; a thread takes a pixel, whose channels lie together.
 * Twin: sal_map_reduce of src/map/reduce.c; sums are in double like its. A pixel with a gradient that is not finite
 * becomes NaN, since a maximum would drop it. */
#include "kernels/element.cuh"
#include "kernels/map_kernels.h"

template <class T>
static __global__ void __launch_bounds__(BLOCK_THREADS)
    reduce_kernel(float *map, const T *gradient, int64_t pictures, int64_t pixels, int channels, const float *scales,
                  sal_modifier modifier, sal_reduce reduce)
{
    const int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t n = blockIdx.y; n < pictures; n += gridDim.y)
        for (int64_t p = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; p < pixels; p += step) {
            const int64_t i = n * pixels + p;
            const float scale = scales ? scales[n] : 1.0f;
            double sum = 0.0;
            float most = -INFINITY;
            int finite = 1;
            for (int c = 0; c < channels; c++) {
                const float g = element_load(gradient + i * channels + c) * scale;
                const float m = sal_modify(g, modifier);
                finite &= fabsf(g) <= 3.402823466e38f;
                most = fmaxf(most, m);
                if (reduce != SAL_REDUCE_MAX)
                    sum += reduce == SAL_REDUCE_L2 ? (double)m * (double)m : (double)m;
            }
            const float result = reduce == SAL_REDUCE_MAX    ? most
                                 : reduce == SAL_REDUCE_MEAN ? (float)(sum / (double)channels)
                                 : reduce == SAL_REDUCE_L2   ? (float)sqrt(sum)
                                                             : (float)sum;
            map[i] = finite ? result : nanf("");
        }
}

cudaError_t cuda_map_reduce(float *map, const void *gradient, cuda_type type, cuda_extent e, const float *scales,
                            sal_modifier modifier, sal_reduce reduce, cudaStream_t stream)
{
    const int64_t pixels = e.height * e.width;
    if (e.pictures * pixels == 0)
        return cudaSuccess;
    const dim3 grid(blocks_of(pixels, BLOCK_THREADS), blocks_y(e.pictures));
    FOR_ELEMENT_TYPE(type, reduce_kernel<T><<<grid, BLOCK_THREADS, 0, stream>>>(
                               map, (const T *)gradient, e.pictures, pixels, (int)e.channels, scales, modifier, reduce))
    return cudaGetLastError();
}
