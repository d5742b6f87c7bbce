/* Any convolution and its gradient, a result a thread, without tensor cores: for the few that cuDNN has no engine for,
 * such as uneven paddings. The mask is made of y afterwards. */
#include "kernels/conv.cuh"

template <class T>
static __global__ void __launch_bounds__(BLOCK_THREADS)
    direct_kernel(T *y, const T *x, const T *weight, conv_end<T> end, int64_t pictures, conv_shape s)
{
    const int inner = s.in_channels / s.groups, outer = s.out_channels / s.groups;
    const int items = s.w.out * s.out_channels, step = (int)(gridDim.x * blockDim.x);
    for (int64_t row = blockIdx.y; row < pictures * s.h.out; row += gridDim.y)
        for (int i = (int)(blockIdx.x * blockDim.x + threadIdx.x); i < items; i += step) {
            const int o = i % s.out_channels, column = i / s.out_channels;
            const T *picture = x + row / s.h.out * s.h.in * s.w.in * s.in_channels + o / outer * inner;
            float sum = 0.0f;
            for (int a = 0; a < s.h.kernel; a++)
                for (int b = 0; b < s.w.kernel; b++) {
                    const int p = conv_under(s.h, (int)(row % s.h.out), a), q = conv_under(s.w, column, b);
                    if (p < 0 || q < 0)
                        continue;
                    const T *from = picture + ((int64_t)p * s.w.in + q) * s.in_channels;
                    const T *w = weight + (((int64_t)o * s.h.kernel + a) * s.w.kernel + b) * inner;
                    for (int c = 0; c < inner; c++)
                        sum += element_load(w + c) * element_load(from + c);
                }
            const int64_t at = row * items + i;
            element_store(y + at, conv_finish(end, sum, o, at));
        }
}

template <class T>
static __global__ void __launch_bounds__(BLOCK_THREADS)
    direct_backward_kernel(T *dx, const T *dy, const T *weight, const T *addend, int64_t pictures, conv_shape s)
{
    const int inner = s.in_channels / s.groups, outer = s.out_channels / s.groups;
    const int items = s.w.in * s.in_channels, step = (int)(gridDim.x * blockDim.x);
    const int64_t filter = (int64_t)s.h.kernel * s.w.kernel * inner;
    for (int64_t row = blockIdx.y; row < pictures * s.h.in; row += gridDim.y)
        for (int i = (int)(blockIdx.x * blockDim.x + threadIdx.x); i < items; i += step) {
            const int c = i % s.in_channels, column = i / s.in_channels, group = c / inner;
            const T *picture = dy + row / s.h.in * s.h.out * s.w.out * s.out_channels + group * outer;
            float sum = 0.0f;
            for (int a = 0; a < s.h.kernel; a++)
                for (int b = 0; b < s.w.kernel; b++) {
                    const int p = conv_over(s.h, (int)(row % s.h.in), a), q = conv_over(s.w, column, b);
                    if (p < 0 || q < 0)
                        continue;
                    const T *from = picture + ((int64_t)p * s.w.out + q) * s.out_channels;
                    const T *w = weight + group * outer * filter + ((int64_t)a * s.w.kernel + b) * inner + c % inner;
                    for (int o = 0; o < outer; o++)
                        sum += element_load(w + o * filter) * element_load(from + o);
                }
            const int64_t at = row * items + i;
            element_store(dx + at, sum + (addend ? element_load(addend + at) : 0.0f));
        }
}

cudaError_t cuda_direct(void *y, uint32_t *mask, const void *x, const void *weight, const float *bias,
                        const void *residual, cuda_type type, const cuda_conv *conv, const sal_activation *activation,
                        cudaStream_t stream)
{
    const cuda_extent out = conv->out;
    if (out.pictures * extent_elements(out) == 0)
        return cudaSuccess;
    FOR_ELEMENT_TYPE(type, const conv_end<T> end = {bias, (const T *)residual, *activation}; direct_kernel<T>
                     <<<row_grid(out), BLOCK_THREADS, 0, stream>>>((T *)y, (const T *)x, (const T *)weight, end,
                                                                   out.pictures, conv_shape_of(*conv)))
    const cudaError_t error = cudaGetLastError();
    if (error != cudaSuccess || !mask)
        return error;
    return cuda_activation_mask(mask, y, type, out.pictures, extent_elements(out), activation, stream);
}

cudaError_t cuda_direct_backward(void *dx, const void *dy, const void *weight, const void *addend, cuda_type type,
                                 const cuda_conv *conv, cudaStream_t stream)
{
    const cuda_extent in = conv->in;
    if (in.pictures * extent_elements(in) == 0)
        return cudaSuccess;
    FOR_ELEMENT_TYPE(type, direct_backward_kernel<T>
                     <<<row_grid(in), BLOCK_THREADS, 0, stream>>>((T *)dx, (const T *)dy, (const T *)weight,
                                                                  (const T *)addend, in.pictures, conv_shape_of(*conv)))
    return cudaGetLastError();
}
