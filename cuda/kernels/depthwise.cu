/* Depthwise convolutions and their gradients: each channel by itself, so memory bounds them. Threads side by side take
 * channels side by side, and each takes COLUMNS neighbouring results, which share their weights and most of their
 * inputs through the caches. Twin: oneDNN's on the CPU. The mask is made of y afterwards. */
#include "kernels/conv.cuh"

enum { COLUMNS = 4 };

/* x of the grid: channels and groups of columns of one row; y: the rows of all pictures. */
static dim3 column_grid(const cuda_extent &e)
{
    return dim3(blocks_of((e.width + COLUMNS - 1) / COLUMNS * e.channels, BLOCK_THREADS),
                blocks_y(e.pictures * e.height));
}

template <class T>
static __global__ void __launch_bounds__(BLOCK_THREADS, 4)
    depthwise_kernel(T *y, const T *x, const T *weight, conv_end<T> end, int64_t pictures, conv_shape s)
{
    const int c_out = s.out_channels, each = s.out_channels / s.in_channels;
    const int items = (s.w.out + COLUMNS - 1) / COLUMNS * c_out, step = (int)(gridDim.x * blockDim.x);
    for (int64_t row = blockIdx.y; row < pictures * s.h.out; row += gridDim.y)
        for (int i = (int)(blockIdx.x * blockDim.x + threadIdx.x); i < items; i += step) {
            const int c = i % c_out, first = i / c_out * COLUMNS;
            const T *picture = x + row / s.h.out * s.h.in * s.w.in * s.in_channels + c / each;
            float sum[COLUMNS] = {};
            for (int a = 0; a < s.h.kernel; a++) {
                const int in_row = conv_under(s.h, (int)(row % s.h.out), a);
                for (int b = 0; in_row >= 0 && b < s.w.kernel; b++) {
                    const float w = element_load(weight + (int64_t)(a * s.w.kernel + b) * c_out + c);
                    for (int k = 0; k < COLUMNS; k++) {
                        const int column = first + k < s.w.out ? conv_under(s.w, first + k, b) : -1;
                        if (column >= 0)
                            sum[k] += w * element_load(picture + ((int64_t)in_row * s.w.in + column) * s.in_channels);
                    }
                }
            }
            for (int k = 0; k < COLUMNS; k++)
                if (first + k < s.w.out) {
                    const int64_t at = (row * s.w.out + first + k) * c_out + c;
                    element_store(y + at, conv_finish(end, sum[k], c, at));
                }
        }
}

template <class T>
static __global__ void __launch_bounds__(BLOCK_THREADS, 4)
    depthwise_backward_kernel(T *dx, const T *dy, const T *weight, const T *addend, int64_t pictures, conv_shape s)
{
    const int c_in = s.in_channels, c_out = s.out_channels, each = c_out / c_in;
    const int items = (s.w.in + COLUMNS - 1) / COLUMNS * c_in, step = (int)(gridDim.x * blockDim.x);
    for (int64_t row = blockIdx.y; row < pictures * s.h.in; row += gridDim.y)
        for (int i = (int)(blockIdx.x * blockDim.x + threadIdx.x); i < items; i += step) {
            const int c = i % c_in, first = i / c_in * COLUMNS;
            const T *picture = dy + row / s.h.in * s.h.out * s.w.out * c_out;
            float sum[COLUMNS] = {};
            for (int a = 0; a < s.h.kernel; a++) {
                const int out_row = conv_over(s.h, (int)(row % s.h.in), a);
                for (int b = 0; out_row >= 0 && b < s.w.kernel; b++)
                    for (int m = c * each; m < (c + 1) * each; m++) {
                        const float w = element_load(weight + (int64_t)(a * s.w.kernel + b) * c_out + m);
                        for (int k = 0; k < COLUMNS; k++) {
                            const int column = first + k < s.w.in ? conv_over(s.w, first + k, b) : -1;
                            if (column >= 0)
                                sum[k] += w * element_load(picture + ((int64_t)out_row * s.w.out + column) * c_out + m);
                        }
                    }
            }
            for (int k = 0; k < COLUMNS; k++)
                if (first + k < s.w.in) {
                    const int64_t at = (row * s.w.in + first + k) * c_in + c;
                    element_store(dx + at, sum[k] + (addend ? element_load(addend + at) : 0.0f));
                }
        }
}

cudaError_t cuda_depthwise(void *y, uint32_t *mask, const void *x, const void *weight, const float *bias,
                           const void *residual, cuda_type type, const cuda_conv *conv,
                           const sal_activation *activation, cudaStream_t stream)
{
    const cuda_extent out = conv->out;
    if (out.pictures * extent_elements(out) == 0)
        return cudaSuccess;
    FOR_ELEMENT_TYPE(type, const conv_end<T> end = {bias, (const T *)residual, *activation}; depthwise_kernel<T>
                     <<<column_grid(out), BLOCK_THREADS, 0, stream>>>((T *)y, (const T *)x, (const T *)weight, end,
                                                                      out.pictures, conv_shape_of(*conv)))
    const cudaError_t error = cudaGetLastError();
    if (error != cudaSuccess || !mask)
        return error;
    return cuda_activation_mask(mask, y, type, out.pictures, extent_elements(out), activation, stream);
}

cudaError_t cuda_depthwise_backward(void *dx, const void *dy, const void *weight, const void *addend, cuda_type type,
                                    const cuda_conv *conv, cudaStream_t stream)
{
    const cuda_extent in = conv->in;
    if (in.pictures * extent_elements(in) == 0)
        return cudaSuccess;
    FOR_ELEMENT_TYPE(
        type, depthwise_backward_kernel<T><<<column_grid(in), BLOCK_THREADS, 0, stream>>>(
                  (T *)dx, (const T *)dy, (const T *)weight, (const T *)addend, in.pictures, conv_shape_of(*conv)))
    return cudaGetLastError();
}
