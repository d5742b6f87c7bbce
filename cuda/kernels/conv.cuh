/* Convolution windows as kernels walk them, and the end of a convolution: bias, residual, activation. */
#ifndef CUDA_CONV_CUH
#define CUDA_CONV_CUH

#include "kernels/activation_math.h"
#include "kernels/element.cuh"

struct conv_axis {
    int in, out, kernel, stride, dilation, pad;
};

struct conv_shape {
    conv_axis h, w;
    int in_channels, out_channels, groups;
};

static inline conv_shape conv_shape_of(const cuda_conv &c)
{
    const sal_window &w = c.window;
    return conv_shape{{(int)c.in.height, (int)c.out.height, (int)w.kernel[0], (int)w.stride[0], (int)w.dilation[0],
                       (int)w.pad_begin[0]},
                      {(int)c.in.width, (int)c.out.width, (int)w.kernel[1], (int)w.stride[1], (int)w.dilation[1],
                       (int)w.pad_begin[1]},
                      (int)c.in.channels,
                      (int)c.out.channels,
                      (int)w.groups};
}

/* Place in the input of element k of the window of output o, or -1 where it is padding. */
__device__ __forceinline__ int conv_under(const conv_axis &a, int o, int k)
{
    const int i = o * a.stride - a.pad + k * a.dilation;
    return i >= 0 && i < a.in ? i : -1;
}

/* The output whose window has its element k at place i, or -1. */
__device__ __forceinline__ int conv_over(const conv_axis &a, int i, int k)
{
    const int t = i + a.pad - k * a.dilation;
    return t >= 0 && t % a.stride == 0 && t / a.stride < a.out ? t / a.stride : -1;
}

/* What comes after the products. */
template <class T> struct conv_end {
    const float *bias;
    const T *residual;
    sal_activation activation;
};

template <class T>
__device__ __forceinline__ float conv_finish(const conv_end<T> &e, float sum, int channel, int64_t at)
{
    if (e.bias)
        sum += e.bias[channel];
    if (e.residual)
        sum += element_load(e.residual + at);
    return activation_value(sum, e.activation);
}

#endif
