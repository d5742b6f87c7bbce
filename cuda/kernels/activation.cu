/* Activations, their masks and their gradients. Twins: activation, mask_backward, activation_backward of
 * src/backend/cpu/kernels.c, which run over runs of floats; here over the batch's elements.
 *
 * A warp owns 32 * V neighbouring elements of one picture, so that V words of the mask are its alone: lanes hand their
 * bits together and every word is written once. V is 4 where the pictures' elements allow it, else 1. */
#include "kernels/activation_math.h"
#include "kernels/element.cuh"

/* A lane's V bits, lane after lane; each lane's result is the word that its elements belong to. */
template <int V> __device__ __forceinline__ unsigned mask_word(unsigned bits)
{
    const unsigned lane = threadIdx.x & 31;
    if (V == 1)
        return __ballot_sync(0xffffffffu, (int)bits);
    unsigned word = bits << (lane % (32 / V) * V);
    for (int d = 1; d < 32 / V; d *= 2)
        word |= __shfl_xor_sync(0xffffffffu, word, d);
    return word;
}

/* Bits of `count` elements: all lanes of the warp take part. */
template <int V>
__device__ __forceinline__ void mask_write(uint32_t *mask, int64_t at, int64_t elements, const float *y,
                                           const sal_activation &a)
{
    unsigned bits = 0;
    for (int k = 0; k < V; k++)
        if (at + k < elements && activation_bit(y[k], a))
            bits |= 1u << k;
    const unsigned word = mask_word<V>(bits);
    if (at < elements && at % 32 == 0)
        mask[at / 32] = word;
}

/* First element of this thread, and how far the grid goes at once; the loop is one for all lanes of a warp. */
template <int V> __device__ __forceinline__ int64_t first_element()
{
    return ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) * V;
}

template <int V> __device__ __forceinline__ int64_t element_stride()
{
    return (int64_t)gridDim.x * blockDim.x * V;
}

/* Elements of a picture, rounded up to whole warps. */
template <int V> __device__ __forceinline__ int64_t warp_end(int64_t elements)
{
    return (elements + 32 * V - 1) / (32 * V) * (32 * V);
}

template <class T, int V>
static __global__ void __launch_bounds__(BLOCK_THREADS)
    activation_kernel(T *y, uint32_t *mask, const T *x, int64_t pictures, int64_t elements, sal_activation a)
{
    const int64_t words = (elements + 31) / 32;
    for (int64_t n = blockIdx.y; n < pictures; n += gridDim.y)
        for (int64_t i = first_element<V>(); i < warp_end<V>(elements); i += element_stride<V>()) {
            float v[V] = {};
            if (i < elements) {
                elements_load<V>(v, x + n * elements + i);
                for (int k = 0; k < V; k++)
                    v[k] = activation_value(v[k], a);
                elements_store<V>(y + n * elements + i, v);
            }
            if (mask)
                mask_write<V>(mask + n * words, i, elements, v, a);
        }
}

template <class T, int V>
static __global__ void __launch_bounds__(BLOCK_THREADS)
    mask_kernel(uint32_t *mask, const T *y, int64_t pictures, int64_t elements, sal_activation a)
{
    const int64_t words = (elements + 31) / 32;
    for (int64_t n = blockIdx.y; n < pictures; n += gridDim.y)
        for (int64_t i = first_element<V>(); i < warp_end<V>(elements); i += element_stride<V>()) {
            float v[V] = {};
            if (i < elements)
                elements_load<V>(v, y + n * elements + i);
            mask_write<V>(mask + n * words, i, elements, v, a);
        }
}

template <class T, int V>
static __global__ void __launch_bounds__(BLOCK_THREADS)
    finish_kernel(T *y, uint32_t *mask, const T *residual, const float *bias, int64_t pictures, int64_t elements,
                  int channels, sal_activation a)
{
    const int64_t words = (elements + 31) / 32;
    for (int64_t n = blockIdx.y; n < pictures; n += gridDim.y)
        for (int64_t i = first_element<V>(); i < warp_end<V>(elements); i += element_stride<V>()) {
            float v[V] = {}, r[V] = {};
            if (i < elements) {
                elements_load<V>(v, y + n * elements + i);
                if (residual)
                    elements_load<V>(r, residual + n * elements + i);
                for (int k = 0; k < V; k++)
                    v[k] = activation_value(v[k] + (bias ? bias[(i + k) % channels] : 0.0f) + r[k], a);
                elements_store<V>(y + n * elements + i, v);
            }
            if (mask)
                mask_write<V>(mask + n * words, i, elements, v, a);
        }
}

template <class T, int V>
static __global__ void __launch_bounds__(BLOCK_THREADS)
    mask_backward_kernel(T *dx, const T *dy, const uint32_t *mask, const T *addend, int64_t pictures, int64_t elements,
                         float slope, int rule)
{
    const int64_t words = (elements + 31) / 32;
    for (int64_t n = blockIdx.y; n < pictures; n += gridDim.y)
#pragma unroll 1 /* registers spill on some architectures else */
        for (int64_t i = first_element<V>(); i < elements; i += element_stride<V>()) {
            float g[V], add[V] = {};
            const unsigned bits = mask[n * words + i / 32] >> (i % 32);
            elements_load<V>(g, dy + n * elements + i);
            if (addend)
                elements_load<V>(add, addend + n * elements + i);
            for (int k = 0; k < V; k++) {
                const int set = bits >> k & 1;
                g[k] = activation_rule(g[k], set ? g[k] : g[k] * slope, set ? 1.0f : -1.0f, rule) + add[k];
            }
            elements_store<V>(dx + n * elements + i, g);
        }
}

template <class T, int V>
static __global__ void __launch_bounds__(BLOCK_THREADS)
    backward_kernel(T *dx, const T *dy, const T *kept, const T *addend, int64_t elements, sal_activation a, int rule)
{
    /* Sigmoid keeps its output, which is 1/2 where the input is 0. */
    const float zero = a.kind == SAL_ACT_SIGMOID ? 0.5f : a.kind == SAL_ACT_EXP ? 1.0f : 0.0f;
    for (int64_t i = first_element<V>(); i < elements; i += element_stride<V>()) {
        float g[V], k[V], add[V] = {};
        elements_load<V>(g, dy + i);
        elements_load<V>(k, kept + i);
        if (addend)
            elements_load<V>(add, addend + i);
#pragma unroll /* arrays go to local memory on some architectures else */
        for (int j = 0; j < V; j++)
            g[j] = activation_rule(g[j], g[j] * activation_slope(k[j], a), k[j] - zero, rule) + add[j];
        elements_store<V>(dx + i, g);
    }
}

static dim3 picture_grid(int64_t pictures, int64_t elements, int v)
{
    return dim3(blocks_of(elements, BLOCK_THREADS * v), blocks_y(pictures));
}

/* Launches with four elements a thread where pictures end on a multiple of four. */
#define LAUNCH(kernel, grid, ...)                                                                                      \
    FOR_ELEMENT_TYPE(type, if (elements % 4 == 0) kernel<T, 4><<<grid(4), BLOCK_THREADS, 0, stream>>>(__VA_ARGS__);    \
                     else kernel<T, 1><<<grid(1), BLOCK_THREADS, 0, stream>>>(__VA_ARGS__))

#define PICTURES(v) picture_grid(pictures, elements, v)
#define FLAT(v) picture_grid(1, elements, v)

cudaError_t cuda_activation(void *y, uint32_t *mask, const void *x, cuda_type type, int64_t pictures, int64_t elements,
                            const sal_activation *activation, cudaStream_t stream)
{
    if (pictures * elements == 0)
        return cudaSuccess;
    LAUNCH(activation_kernel, PICTURES, (T *)y, mask, (const T *)x, pictures, elements, *activation)
    return cudaGetLastError();
}

cudaError_t cuda_activation_mask(uint32_t *mask, const void *y, cuda_type type, int64_t pictures, int64_t elements,
                                 const sal_activation *activation, cudaStream_t stream)
{
    if (pictures * elements == 0)
        return cudaSuccess;
    LAUNCH(mask_kernel, PICTURES, mask, (const T *)y, pictures, elements, *activation)
    return cudaGetLastError();
}

cudaError_t cuda_activation_finish(void *y, uint32_t *mask, const void *residual, const float *bias, cuda_type type,
                                   cuda_extent e, const sal_activation *activation, cudaStream_t stream)
{
    const int64_t pictures = e.pictures, elements = extent_elements(e);
    if (pictures * elements == 0)
        return cudaSuccess;
    LAUNCH(finish_kernel, PICTURES, (T *)y, mask, (const T *)residual, bias, pictures, elements, (int)e.channels,
           *activation)
    return cudaGetLastError();
}

cudaError_t cuda_activation_mask_backward(void *dx, const void *dy, const uint32_t *mask, const void *addend,
                                          cuda_type type, int64_t pictures, int64_t elements, float slope, int rule,
                                          cudaStream_t stream)
{
    if (pictures * elements == 0)
        return cudaSuccess;
    LAUNCH(mask_backward_kernel, PICTURES, (T *)dx, (const T *)dy, mask, (const T *)addend, pictures, elements, slope,
           rule)
    return cudaGetLastError();
}

cudaError_t cuda_activation_backward(void *dx, const void *dy, const void *kept, const void *addend, cuda_type type,
                                     int64_t elements, const sal_activation *activation, int rule, cudaStream_t stream)
{
    if (elements == 0)
        return cudaSuccess;
    LAUNCH(backward_kernel, FLAT, (T *)dx, (const T *)dy, (const T *)kept, (const T *)addend, elements, *activation,
           rule)
    return cudaGetLastError();
}
