/* Elements of feature maps on the device: loaded to float, stored from float, four at a time where they lie so. */
#ifndef CUDA_ELEMENT_CUH
#define CUDA_ELEMENT_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include "kernels/kernels.h"

__device__ __forceinline__ float element_load(const float *p)
{
    return *p;
}

__device__ __forceinline__ float element_load(const __half *p)
{
    return __half2float(*p);
}

__device__ __forceinline__ float element_load(const __nv_bfloat16 *p)
{
    return __bfloat162float(*p);
}

__device__ __forceinline__ void element_store(float *p, float v)
{
    *p = v;
}

__device__ __forceinline__ void element_store(__half *p, float v)
{
    *p = __float2half(v);
}

__device__ __forceinline__ void element_store(__nv_bfloat16 *p, float v)
{
    *p = __float2bfloat16(v);
}

/* V neighbouring elements in one access; p is aligned to their size. */
template <class T, int V> struct alignas(sizeof(T) * V) element_pack {
    T v[V];
};

template <int V, class T> __device__ __forceinline__ void elements_load(float *to, const T *p)
{
    const element_pack<T, V> pack = *(const element_pack<T, V> *)p;
    for (int k = 0; k < V; k++)
        to[k] = element_load(&pack.v[k]);
}

template <int V, class T> __device__ __forceinline__ void elements_store(T *p, const float *from)
{
    element_pack<T, V> pack;
    for (int k = 0; k < V; k++)
        element_store(&pack.v[k], from[k]);
    *(element_pack<T, V> *)p = pack;
}

/* Runs its last argument with T as the element type. */
#define FOR_ELEMENT_TYPE(type, ...)                                                                                    \
    switch (type) {                                                                                                    \
    case CUDA_TYPE_FLOAT: {                                                                                            \
        using T = float;                                                                                               \
        __VA_ARGS__;                                                                                                   \
    } break;                                                                                                           \
    case CUDA_TYPE_HALF: {                                                                                             \
        using T = __half;                                                                                              \
        __VA_ARGS__;                                                                                                   \
    } break;                                                                                                           \
    case CUDA_TYPE_BFLOAT16: {                                                                                         \
        using T = __nv_bfloat16;                                                                                       \
        __VA_ARGS__;                                                                                                   \
    } break;                                                                                                           \
    }

/* ---- Grids ---------------------------------------------------------------- */

enum { BLOCK_THREADS = 256 };
static const int64_t GRID_MOST_X = 1 << 20, GRID_MOST_Y = 65535;

static inline unsigned blocks_of(int64_t items, int64_t each)
{
    const int64_t n = (items + each - 1) / each;
    return (unsigned)(n < GRID_MOST_X ? n : GRID_MOST_X);
}

static inline unsigned blocks_y(int64_t items)
{
    return (unsigned)(items < GRID_MOST_Y ? items : GRID_MOST_Y);
}

static inline int64_t extent_elements(const cuda_extent &e)
{
    return e.height * e.width * e.channels;
}

/* Maps go row by row: y of the grid counts the rows of all pictures, x the elements of a row. */
static inline dim3 row_grid(const cuda_extent &e)
{
    return dim3(blocks_of(e.width * e.channels, BLOCK_THREADS), blocks_y(e.pictures * e.height));
}

#endif
