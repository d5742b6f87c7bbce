/* Maps to 0..1, or -1..1, by what was measured of them; a constant map becomes zeros. Twin: sal_map_normalize_by of
 * src/map/normalize.c. */
#include "kernels/element.cuh"
#include "kernels/map_kernels.h"

static __global__ void __launch_bounds__(BLOCK_THREADS)
    normalize_kernel(float *map, const cuda_map_stats *stats, int64_t total, int64_t pixels, sal_normalize how,
                     double common)
{
    const int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < total; i += step) {
        const cuda_map_stats s = stats[i / pixels];
        map[i] = sal_is_flat(s.low, s.high, how) ? 0.0f
                 : common > 0.0 ? sal_common_value(map[i], how == SAL_NORMALIZE_SIGNED ? 0.0f : s.low, 1.0 / common)
                 : how == SAL_NORMALIZE_SIGNED
                     ? sal_signed_value(map[i], sal_signed_scale(s.low, s.high))
                     : sal_normalize_value(map[i], s.low, sal_normalize_scale(s.low, s.high, how));
    }
}

cudaError_t cuda_normalize(float *map, const cuda_map_stats *stats, int64_t pictures, int64_t pixels, sal_normalize how,
                           double common, cudaStream_t stream)
{
    const int64_t total = pictures * pixels;
    if (total == 0)
        return cudaSuccess;
    normalize_kernel<<<blocks_of(total, BLOCK_THREADS), BLOCK_THREADS, 0, stream>>>(map, stats, total, pixels, how,
                                                                                    common);
    return cudaGetLastError();
}
