/* A cuda_view as kernels take it: where the element with a row-major number lies. I: the type of the numbers. */
#ifndef CUDA_VIEW_CUH
#define CUDA_VIEW_CUH

#include <cuda_runtime.h>

#include "kernels/kernels.h"

template <class I> struct device_view {
    int rank;
    I dim[SAL_MAX_RANK + 1];
    int64_t stride[SAL_MAX_RANK + 1];
    int64_t first;
};

template <class I> __device__ __forceinline__ int64_t place_of(const device_view<I> &v, I l)
{
    int64_t at = v.first;
    /* Unrolled, so that the view stays among the kernel's parameters. */
#pragma unroll
    for (int k = SAL_MAX_RANK; k >= 0; k--)
        if (k < v.rank) {
            at += (int64_t)(l % v.dim[k]) * v.stride[k];
            l /= v.dim[k];
        }
    return at;
}

template <class I> static inline device_view<I> device_of(const cuda_view &v)
{
    device_view<I> d = {};
    d.rank = v.rank;
    d.first = v.first;
    for (int k = 0; k < v.rank; k++) {
        d.dim[k] = (I)v.dim[k];
        d.stride[k] = v.stride[k];
    }
    return d;
}

#endif
