/* Least, most and sum of each map, and whether all of it is finite. Blocks leave what they found in `partial`, and one
 * warp a map puts it together, always in the same order. Twin: sal_map_measure of src/map/normalize.c. */
#include "kernels/element.cuh"
#include "kernels/map_kernels.h"
#include "kernels/warp.cuh"

__device__ __forceinline__ cuda_map_stats merged(const cuda_map_stats &a, const cuda_map_stats &b)
{
    return cuda_map_stats{fminf(a.low, b.low), fmaxf(a.high, b.high), a.sum + b.sum, a.not_finite | b.not_finite};
}

/* Lane 0 gets what all lanes found. */
__device__ __forceinline__ cuda_map_stats warp_merged(cuda_map_stats s)
{
    for (int d = WARP / 2; d > 0; d /= 2) {
        cuda_map_stats other;
        other.low = __shfl_down_sync(0xffffffffu, s.low, d);
        other.high = __shfl_down_sync(0xffffffffu, s.high, d);
        other.sum = __shfl_down_sync(0xffffffffu, s.sum, d);
        other.not_finite = __shfl_down_sync(0xffffffffu, s.not_finite, d);
        s = merged(s, other);
    }
    return s;
}

static __global__ void __launch_bounds__(BLOCK_THREADS)
    measure_kernel(cuda_map_stats *partial, const float *map, int64_t pictures, int64_t pixels)
{
    __shared__ cuda_map_stats found[BLOCK_THREADS / WARP];
    const int warp = (int)threadIdx.x / WARP, lane = (int)threadIdx.x % WARP;
    for (int64_t n = blockIdx.y; n < pictures; n += gridDim.y) {
        cuda_map_stats s = {INFINITY, -INFINITY, 0.0, 0};
        for (int64_t i = (int64_t)blockIdx.x * BLOCK_THREADS + threadIdx.x; i < pixels;
             i += (int64_t)CUDA_MEASURE_BLOCKS * BLOCK_THREADS) {
            const float v = map[n * pixels + i];
            s = merged(s, cuda_map_stats{v, v, (double)v, !(fabsf(v) <= 3.402823466e38f)});
        }
        s = warp_merged(s);
        if (lane == 0)
            found[warp] = s;
        __syncthreads();
        if (threadIdx.x == 0) {
            for (int k = 1; k < BLOCK_THREADS / WARP; k++)
                s = merged(s, found[k]);
            partial[n * CUDA_MEASURE_BLOCKS + blockIdx.x] = s;
        }
        __syncthreads();
    }
}

static __global__ void __launch_bounds__(CUDA_MEASURE_BLOCKS)
    merge_kernel(cuda_map_stats *stats, const cuda_map_stats *partial, int64_t pictures)
{
    for (int64_t n = blockIdx.x; n < pictures; n += gridDim.x) {
        const cuda_map_stats s = warp_merged(partial[n * CUDA_MEASURE_BLOCKS + threadIdx.x]);
        if (threadIdx.x == 0)
            stats[n] = s;
    }
}

cudaError_t cuda_measure(cuda_map_stats *stats, cuda_map_stats *partial, const float *map, int64_t pictures,
                         int64_t pixels, cudaStream_t stream)
{
    static_assert((int)CUDA_MEASURE_BLOCKS == (int)WARP, "one warp puts the blocks' findings together");
    if (pictures * pixels == 0)
        return cudaSuccess;
    const dim3 grid(CUDA_MEASURE_BLOCKS, blocks_y(pictures));
    measure_kernel<<<grid, BLOCK_THREADS, 0, stream>>>(partial, map, pictures, pixels);
    merge_kernel<<<blocks_of(pictures, 1), CUDA_MEASURE_BLOCKS, 0, stream>>>(stats, partial, pictures);
    return cudaGetLastError();
}
