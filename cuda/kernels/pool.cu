/* Pools and their gradients over the rows of maps. Twins: src/backend/cpu/kernels_pool.h. Backward
 * kernels gather: each element of dx looks at the windows that lie over it, in their order, so no two threads write one
 * place. */
#include "kernels/conv.cuh"

struct pool {
    conv_axis h, w;
    int channels;
    int count_padding;
};

static pool pool_of(const cuda_extent &in, const cuda_extent &out, const sal_window &w)
{
    return pool{
        {(int)in.height, (int)out.height, (int)w.kernel[0], (int)w.stride[0], (int)w.dilation[0], (int)w.pad_begin[0]},
        {(int)in.width, (int)out.width, (int)w.kernel[1], (int)w.stride[1], (int)w.dilation[1], (int)w.pad_begin[1]},
        (int)in.channels,
        w.count_padding};
}

/* Window elements [begin, end) of output o that lie inside the picture; element k is at origin + k * dilation. */
struct pool_span {
    int begin, end, origin;
};

__device__ __forceinline__ pool_span span_of(const conv_axis &a, int o)
{
    const int origin = o * a.stride - a.pad;
    const int begin = origin < 0 ? (-origin + a.dilation - 1) / a.dilation : 0;
    int end = a.in > origin ? (a.in - origin + a.dilation - 1) / a.dilation : 0;
    end = end < a.kernel ? end : a.kernel;
    return pool_span{begin, end, origin};
}

template <class T>
static __global__ void __launch_bounds__(BLOCK_THREADS)
    max_kernel(T *y, uint8_t *index, const T *x, int64_t pictures, pool p)
{
    const int row_elements = p.w.out * p.channels, step = (int)(gridDim.x * blockDim.x);
    for (int64_t row = blockIdx.y; row < pictures * p.h.out; row += gridDim.y)
        for (int i = (int)(blockIdx.x * blockDim.x + threadIdx.x); i < row_elements; i += step) {
            const pool_span h = span_of(p.h, (int)(row % p.h.out)), w = span_of(p.w, i / p.channels);
            const T *picture = x + row / p.h.out * p.h.in * p.w.in * p.channels + i % p.channels;
            float top = -3.402823466e38f;
            int won = 0;
            for (int a = h.begin; a < h.end; a++)
                for (int b = w.begin; b < w.end; b++) {
                    const int64_t at = (int64_t)(h.origin + a * p.h.dilation) * p.w.in + w.origin + b * p.w.dilation;
                    const float v = element_load(picture + at * p.channels);
                    if (!(v <= top)) { /* a NaN wins, so that it is seen */
                        top = v;
                        won = a * p.w.kernel + b;
                    }
                }
            element_store(y + row * row_elements + i, top);
            if (index)
                index[row * row_elements + i] = (uint8_t)won;
        }
}

template <class T>
static __global__ void __launch_bounds__(BLOCK_THREADS)
    max_backward_kernel(T *dx, const T *dy, const uint8_t *index, const T *addend, int64_t pictures, pool p)
{
    const int row_elements = p.w.in * p.channels, step = (int)(gridDim.x * blockDim.x);
    for (int64_t row = blockIdx.y; row < pictures * p.h.in; row += gridDim.y)
        for (int i = (int)(blockIdx.x * blockDim.x + threadIdx.x); i < row_elements; i += step) {
            const int64_t picture = row / p.h.in * p.h.out * p.w.out * p.channels + i % p.channels;
            float sum = 0.0f;
            for (int a = p.h.kernel - 1; a >= 0; a--) {
                const int o = conv_over(p.h, (int)(row % p.h.in), a);
                for (int b = p.w.kernel - 1; o >= 0 && b >= 0; b--) {
                    const int q = conv_over(p.w, i / p.channels, b);
                    const int64_t at = picture + ((int64_t)o * p.w.out + q) * p.channels;
                    if (q >= 0 && index[at] == a * p.w.kernel + b)
                        sum += element_load(dy + at);
                }
            }
            const int64_t to = row * row_elements + i;
            element_store(dx + to, sum + (addend ? element_load(addend + to) : 0.0f));
        }
}

template <class T>
static __global__ void __launch_bounds__(BLOCK_THREADS) average_kernel(T *y, const T *x, int64_t pictures, pool p)
{
    const int row_elements = p.w.out * p.channels, step = (int)(gridDim.x * blockDim.x);
    for (int64_t row = blockIdx.y; row < pictures * p.h.out; row += gridDim.y)
        for (int i = (int)(blockIdx.x * blockDim.x + threadIdx.x); i < row_elements; i += step) {
            const pool_span h = span_of(p.h, (int)(row % p.h.out)), w = span_of(p.w, i / p.channels);
            const T *picture = x + row / p.h.out * p.h.in * p.w.in * p.channels + i % p.channels;
            float sum = 0.0f;
            for (int a = h.begin; a < h.end; a++)
                for (int b = w.begin; b < w.end; b++) {
                    const int64_t at = (int64_t)(h.origin + a * p.h.dilation) * p.w.in + w.origin + b * p.w.dilation;
                    sum += element_load(picture + at * p.channels);
                }
            const int divisor = p.count_padding ? p.h.kernel * p.w.kernel : (h.end - h.begin) * (w.end - w.begin);
            element_store(y + row * row_elements + i, sum / (float)divisor);
        }
}

template <class T>
static __global__ void __launch_bounds__(BLOCK_THREADS)
    average_backward_kernel(T *dx, const T *dy, const T *addend, int64_t pictures, pool p)
{
    const int row_elements = p.w.in * p.channels, step = (int)(gridDim.x * blockDim.x);
    for (int64_t row = blockIdx.y; row < pictures * p.h.in; row += gridDim.y)
        for (int i = (int)(blockIdx.x * blockDim.x + threadIdx.x); i < row_elements; i += step) {
            const int64_t picture = row / p.h.in * p.h.out * p.w.out * p.channels + i % p.channels;
            float sum = 0.0f;
            for (int a = p.h.kernel - 1; a >= 0; a--) {
                const int o = conv_over(p.h, (int)(row % p.h.in), a);
                if (o < 0)
                    continue;
                const pool_span h = span_of(p.h, o);
                for (int b = p.w.kernel - 1; b >= 0; b--) {
                    const int q = conv_over(p.w, i / p.channels, b);
                    if (q < 0)
                        continue;
                    const pool_span w = span_of(p.w, q);
                    const int divisor =
                        p.count_padding ? p.h.kernel * p.w.kernel : (h.end - h.begin) * (w.end - w.begin);
                    sum += element_load(dy + picture + ((int64_t)o * p.w.out + q) * p.channels) / (float)divisor;
                }
            }
            const int64_t to = row * row_elements + i;
            element_store(dx + to, sum + (addend ? element_load(addend + to) : 0.0f));
        }
}

cudaError_t cuda_max_pool(void *y, uint8_t *index, const void *x, cuda_type type, cuda_extent in, cuda_extent out,
                          const sal_window *window, cudaStream_t stream)
{
    if (out.pictures * extent_elements(out) == 0)
        return cudaSuccess;
    FOR_ELEMENT_TYPE(type, max_kernel<T><<<row_grid(out), BLOCK_THREADS, 0, stream>>>(
                               (T *)y, index, (const T *)x, in.pictures, pool_of(in, out, *window)))
    return cudaGetLastError();
}

cudaError_t cuda_max_pool_backward(void *dx, const void *dy, const uint8_t *index, const void *addend, cuda_type type,
                                   cuda_extent in, cuda_extent out, const sal_window *window, cudaStream_t stream)
{
    if (in.pictures * extent_elements(in) == 0)
        return cudaSuccess;
    FOR_ELEMENT_TYPE(type, max_backward_kernel<T>
                     <<<row_grid(in), BLOCK_THREADS, 0, stream>>>((T *)dx, (const T *)dy, index, (const T *)addend,
                                                                  in.pictures, pool_of(in, out, *window)))
    return cudaGetLastError();
}

cudaError_t cuda_avg_pool(void *y, const void *x, cuda_type type, cuda_extent in, cuda_extent out,
                          const sal_window *window, cudaStream_t stream)
{
    if (out.pictures * extent_elements(out) == 0)
        return cudaSuccess;
    FOR_ELEMENT_TYPE(type, average_kernel<T><<<row_grid(out), BLOCK_THREADS, 0, stream>>>(
                               (T *)y, (const T *)x, in.pictures, pool_of(in, out, *window)))
    return cudaGetLastError();
}

cudaError_t cuda_avg_pool_backward(void *dx, const void *dy, const void *addend, cuda_type type, cuda_extent in,
                                   cuda_extent out, const sal_window *window, cudaStream_t stream)
{
    if (in.pictures * extent_elements(in) == 0)
        return cudaSuccess;
    FOR_ELEMENT_TYPE(type, average_backward_kernel<T><<<row_grid(in), BLOCK_THREADS, 0, stream>>>(
                               (T *)dx, (const T *)dy, (const T *)addend, in.pictures, pool_of(in, out, *window)))
    return cudaGetLastError();
}
