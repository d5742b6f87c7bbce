/* The device's own kernels: one operation a .cu file, named after it. Launchers are
 * plain C, put their work into `stream` and return cudaGetLastError(). They neither
 * allocate nor wait nor print. Nothing to do (an empty extent) returns at once.
 *
 * Feature maps lie channels last, without gaps: (pictures, height, width, channels). A vector is
 * a map of 1 x 1 pixels; so is what is kept in rows, to kernels that look at elements alone. Elements are of a
 * cuda_type; arithmetic is in float, sums over many elements as the CPU twin has them. Pointers are device memory
 * aligned to 16 bytes. */
#ifndef CUDA_KERNELS_H
#define CUDA_KERNELS_H

#include <cuda_runtime_api.h>
#include <stddef.h>
#include <stdint.h>

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cuda_type { CUDA_TYPE_FLOAT, CUDA_TYPE_HALF, CUDA_TYPE_BFLOAT16 } cuda_type;

static inline size_t cuda_type_bytes(cuda_type type)
{
    return type == CUDA_TYPE_FLOAT ? 4 : 2;
}

typedef struct cuda_extent {
    int64_t pictures;
    int64_t height;
    int64_t width;
    int64_t channels;
} cuda_extent;

/* ---- convert.cu: the host's row-major floats and the device's maps -------- */

/* to[n][h][w][c] = from[n][c][h][w] */
cudaError_t cuda_convert_in(void *to, cuda_type type, const float *from, cuda_extent e, cudaStream_t stream);
/* to[n][c][h][w] = from[n][h][w][c] */
cudaError_t cuda_convert_out(float *to, const void *from, cuda_type type, cuda_extent e, cudaStream_t stream);

/* ---- finite.cu -------------------------------------------------------------- */

/* *not_finite (device) becomes 1 where an element is NaN or infinite, and is left alone otherwise. */
cudaError_t cuda_find_not_finite(int *not_finite, const void *x, cuda_type type, int64_t elements, cudaStream_t stream);

/* ---- activation.cu -------------------------------------------------------- */

/* A mask has one bit per element: bit i % 32 of word i / 32, each picture beginning a new word
 * (cuda_mask_words words of it). The bit says low < y < high, low and high from the activation as in
 * the CPU's cpu_mask. */
static inline size_t cuda_mask_words(size_t elements_of_a_picture)
{
    return (elements_of_a_picture + 31) / 32;
}

/* y = f(x); mask may be NULL. y may be x. */
cudaError_t cuda_activation(void *y, uint32_t *mask, const void *x, cuda_type type, int64_t pictures, int64_t elements,
                            const sal_activation *activation, cudaStream_t stream);
/* The mask of y alone. */
cudaError_t cuda_activation_mask(uint32_t *mask, const void *y, cuda_type type, int64_t pictures, int64_t elements,
                                 const sal_activation *activation, cudaStream_t stream);
/* What follows a convolution that cannot do it itself: y = f(y + bias[channel] + residual), bias (float), residual and
 * mask may be NULL; residual may be y's own earlier content only if it is not y. Activation kinds as fused: SIGN kept
 * or none. */
cudaError_t cuda_activation_finish(void *y, uint32_t *mask, const void *residual, const float *bias, cuda_type type,
                                   cuda_extent e, const sal_activation *activation, cudaStream_t stream);
/* dx = dy * (bit ? 1 : slope) under `rule` + addend (or NULL); dx may be dy or addend. */
cudaError_t cuda_activation_mask_backward(void *dx, const void *dy, const uint32_t *mask, const void *addend,
                                          cuda_type type, int64_t pictures, int64_t elements, float slope, int rule,
                                          cudaStream_t stream);
/* dx = dy * f'(kept) under `rule` + addend (or NULL); kept: f's input or output, see sal_activation_keep. */
cudaError_t cuda_activation_backward(void *dx, const void *dy, const void *kept, const void *addend, cuda_type type,
                                     int64_t elements, const sal_activation *activation, int rule, cudaStream_t stream);

/* ---- arithmetic.cu: two operands, per-channel terms ------------------------ */

/* y = a + b; b is (pictures, 1, 1, channels) where b_is_channels. y may be a. */
cudaError_t cuda_add(void *y, const void *a, const void *b, int b_is_channels, cuda_type type, cuda_extent e,
                     cudaStream_t stream);
/* y = a * b + addend (or NULL). */
cudaError_t cuda_multiply(void *y, const void *a, const void *b, int b_is_channels, const void *addend, cuda_type type,
                          cuda_extent e, cudaStream_t stream);
/* Along the middle of (outer, n, inner): y = x * weight[i] + bias[i] + addend; bias, addend may be NULL. y may be x or
 * addend. */
cudaError_t cuda_affine(void *y, const void *x, const float *weight, const float *bias, const void *addend,
                        cuda_type type, int64_t outer, int64_t n, int64_t inner, cudaStream_t stream);

/* ---- pixels.cu: sums over pixels and back ---------------------------------- */

/* y[n][c] = factor * sum over pixels of a (* b where b is not NULL) + addend[n][c] (or NULL); e is a's extent. */
cudaError_t cuda_sum_pixels(void *y, const void *a, const void *b, float factor, const void *addend, cuda_type type,
                            cuda_extent e, cudaStream_t stream);
/* y[n][h][w][c] = factor * x[n][c] + addend (or NULL); e is y's extent. */
cudaError_t cuda_spread_pixels(void *y, const void *x, float factor, const void *addend, cuda_type type, cuda_extent e,
                               cudaStream_t stream);

/* ---- pool.cu: indices are one byte per output element, row * kernel width + column of the winner -------- */

/* index may be NULL. `in` and `out` differ in height and width only. */
cudaError_t cuda_max_pool(void *y, uint8_t *index, const void *x, cuda_type type, cuda_extent in, cuda_extent out,
                          const sal_window *window, cudaStream_t stream);
/* Gathers: each element of dx looks at the windows over it, so results do not depend on order. */
cudaError_t cuda_max_pool_backward(void *dx, const void *dy, const uint8_t *index, const void *addend, cuda_type type,
                                   cuda_extent in, cuda_extent out, const sal_window *window, cudaStream_t stream);
cudaError_t cuda_avg_pool(void *y, const void *x, cuda_type type, cuda_extent in, cuda_extent out,
                          const sal_window *window, cudaStream_t stream);
cudaError_t cuda_avg_pool_backward(void *dx, const void *dy, const void *addend, cuda_type type, cuda_extent in,
                                   cuda_extent out, const sal_window *window, cudaStream_t stream);

/* ---- move.cu ---------------------------------------------------------------- */

/* One side of a move: where the element with the row-major logical number l lies: l is taken apart
 * by dim (the last fastest), and offset = first + sum of coordinate * stride, in elements. */
typedef struct cuda_view {
    int rank; /* at most SAL_MAX_RANK + 1 */
    int64_t dim[SAL_MAX_RANK + 1];
    int64_t stride[SAL_MAX_RANK + 1];
    int64_t first;
} cuda_view;

/* to[view(l)] = from[view(l)] + addend[to's view(l)] (or NULL) for all l; both views have as many elements. */
cudaError_t cuda_move(void *to, cuda_type to_type, const cuda_view *to_view, const void *from, cuda_type from_type,
                      const cuda_view *from_view, const void *addend, cudaStream_t stream);
cudaError_t cuda_fill(void *to, cuda_type type, int64_t elements, float value, cudaStream_t stream);

/* ---- reduce.cu: along the middle of (outer, n, inner), and over several axes ---- */

/* y (outer, inner) = factor * sum of x + addend (or NULL); y may be addend. */
cudaError_t cuda_sum_axis(void *y, const void *x, float factor, const void *addend, cuda_type type, int64_t outer,
                          int64_t n, int64_t inner, cudaStream_t stream);
/* y (outer, inner) = the largest; NaN if any is. */
cudaError_t cuda_max_axis(void *y, const void *x, cuda_type type, int64_t outer, int64_t n, int64_t inner,
                          cudaStream_t stream);
/* dx (outer, n, inner) = factor * dy + addend (or NULL); dx may be addend. */
cudaError_t cuda_spread_axis(void *dx, const void *dy, float factor, const void *addend, cuda_type type, int64_t outer,
                             int64_t n, int64_t inner, cudaStream_t stream);
/* dx = dy / how many are the largest, where x is it, 0 elsewhere, + addend (or NULL); dx may be addend. */
cudaError_t cuda_max_axis_backward(void *dx, const void *dy, const void *x, const void *addend, cuda_type type,
                                   int64_t outer, int64_t n, int64_t inner, cudaStream_t stream);

/* y[l] = sum over all m of x[kept(l) + summed(m)] + addend[l] (or NULL); views as of move.cu. y may be addend. */
cudaError_t cuda_sum_axes(void *y, const void *x, const void *addend, cuda_type type, const cuda_view *kept,
                          const cuda_view *summed, cudaStream_t stream);

/* ---- gather.cu ---------------------------------------------------------------- */

/* From (outer, from, inner) to (outer, to, inner), `taps` elements for each. */
typedef struct cuda_gather {
    int64_t outer;
    int64_t from;
    int64_t to;
    int64_t inner;
    int taps;
} cuda_gather;

/* y[.., o, ..] = sum over t of weight[o * taps + t] * x[.., index[o * taps + t], ..]; weight NULL: ones. What is
 * weighted 0 is not read. */
cudaError_t cuda_gather_taps(void *y, const void *x, const int32_t *index, const float *weight, cuda_type type,
                             const cuda_gather *gather, cudaStream_t stream);
/* dx[.., i, ..] = sum over readers k of i of weight[k] * dy[.., k / taps, ..] + addend (or NULL), in their order.
 * readers: from + 1 numbers, then the readers of 0, of 1, ... one after the other: those of i are the numbers
 * [readers[i], readers[i + 1]) among them. dx may be addend. */
cudaError_t cuda_gather_backward(void *dx, const void *dy, const int32_t *readers, const float *weight,
                                 const void *addend, cuda_type type, const cuda_gather *gather, cudaStream_t stream);

/* ---- softmax.cu, layer_norm.cu ---------------------------------------------- */

/* Along the middle of (outer, n, inner), row-major: element (o, i, k) at (o * n + i) * inner + k. In channels-last maps
 * the caller says so with inner 1 for the channel axis. y may be x. */
cudaError_t cuda_softmax(void *y, const void *x, cuda_type type, int64_t outer, int64_t n, int64_t inner,
                         cudaStream_t stream);
/* dx = y * (dy - sum(dy * y)) + addend (or NULL). */
cudaError_t cuda_softmax_backward(void *dx, const void *dy, const void *y, const void *addend, cuda_type type,
                                  int64_t outer, int64_t n, int64_t inner, cudaStream_t stream);
/* Rows of n neighbouring elements: y = weight * (x - mean) / sqrt(variance + epsilon) + bias (bias may be NULL). */
cudaError_t cuda_layer_norm(void *y, const void *x, const float *weight, const float *bias, float epsilon,
                            cuda_type type, int64_t rows, int64_t n, cudaStream_t stream);
cudaError_t cuda_layer_norm_backward(void *dx, const void *dy, const void *x, const float *weight, float epsilon,
                                     const void *addend, cuda_type type, int64_t rows, int64_t n, cudaStream_t stream);

/* ---- depthwise.cu, direct.cu: convolutions that the library does poorly or not at all ---------------------- */

typedef struct cuda_conv {
    cuda_extent in;
    cuda_extent out;
    sal_window window;
} cuda_conv;

/* groups == in.channels, out.channels == groups * m; weight (KH, KW, out.channels) of the maps' type.
 * y = f(conv(x) + bias + residual); bias (float), residual, mask may be NULL. */
cudaError_t cuda_depthwise(void *y, uint32_t *mask, const void *x, const void *weight, const float *bias,
                           const void *residual, cuda_type type, const cuda_conv *conv,
                           const sal_activation *activation, cudaStream_t stream);
/* dx = backward-data(dy) + addend (or NULL). */
cudaError_t cuda_depthwise_backward(void *dx, const void *dy, const void *weight, const void *addend, cuda_type type,
                                    const cuda_conv *conv, cudaStream_t stream);
/* Any convolution, without tensor cores: weight (O, KH, KW, C / groups) of the maps' type. */
cudaError_t cuda_direct(void *y, uint32_t *mask, const void *x, const void *weight, const float *bias,
                        const void *residual, cuda_type type, const cuda_conv *conv, const sal_activation *activation,
                        cudaStream_t stream);
cudaError_t cuda_direct_backward(void *dx, const void *dy, const void *weight, const void *addend, cuda_type type,
                                 const cuda_conv *conv, cudaStream_t stream);

/* ---- seed.cu ------------------------------------------------------------------- */

/* dx[n][f] = sum over o with seed[n][o] != 0 of seed[n][o] * weight[o][f] (+ addend): backward of the last dense
 * layer. Seeds are nearly always one number, so no product is worth it: a row of the weights is read. All floats. */
cudaError_t cuda_seed_rows(float *dx, const float *seed, const float *weight, const float *addend, int64_t pictures,
                           int64_t outputs, int64_t features, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
