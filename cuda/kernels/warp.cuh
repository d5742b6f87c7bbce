/* What the lanes of a warp come to together; every lane gets the result, in the same order of additions. */
#ifndef CUDA_WARP_CUH
#define CUDA_WARP_CUH

#include <cuda_runtime.h>

enum { WARP = 32, WARPS_OF_BLOCK = 8 };

__device__ __forceinline__ float warp_sum(float v)
{
    for (int d = WARP / 2; d > 0; d /= 2)
        v += __shfl_xor_sync(0xffffffffu, v, d);
    return v;
}

__device__ __forceinline__ float warp_max(float v)
{
    for (int d = WARP / 2; d > 0; d /= 2)
        v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, d));
    return v;
}

#endif
