/* Input gradient of a convolution with few input channels, as products and a fold.
 *
 * dx has 3 channels or so: too few to fill a vector, and summing dy over its channels
 * inside a vector is slow. So for each pixel of dy the whole kernel's worth of
 * contributions is made at once, KH * KW * C products summed over dy's channels: a small
 * matrix product whose vectors run over the kernel. The caller adds each kernel row of it to
 * one row of dx held as (W, C), where it is contiguous.
 * Included by kernels.c alone, once per instruction set. */
#ifndef SAL_BACKEND_CPU_KERNELS_FIRST_H
#define SAL_BACKEND_CPU_KERNELS_FIRST_H

#include "backend/cpu/kernels.h"
#include "backend/cpu/kernels_math.h"

/* So many sums of vectors stay in registers: 32 of them with AVX-512, 16 else. */
enum { FIRST_PIXELS = BLOCK == 16 ? 8 : 4, FIRST_VECTORS = 3 };

/* Products of some pixels and vectors of weights: both counts are constants where this is called. */
static inline __attribute__((always_inline)) void first_tile(float *products, const float *dy, const float *weights,
                                                             const cpu_first_conv *c, const int pixels,
                                                             const int vectors)
{
    const int64_t plane = c->out[0] * c->out[1] * BLOCK;
    lanes sum[FIRST_PIXELS][FIRST_VECTORS];
    for (int p = 0; p < pixels; p++)
        for (int v = 0; v < vectors; v++)
            sum[p][v] = (lanes){0};
    for (int64_t b = 0; b < c->blocks; b++, dy += plane) {
        /* dy comes from memory, in too many short pieces for the processor to foresee. */
        for (int p = 0; p < pixels; p++)
            __builtin_prefetch(dy + (p + 2 * FIRST_PIXELS) * BLOCK);
        for (int64_t k = 0; k < BLOCK; k++, weights += c->stride) {
            lanes w[FIRST_VECTORS];
            for (int v = 0; v < vectors; v++)
                w[v] = lanes_load(weights + v * BLOCK);
            for (int p = 0; p < pixels; p++)
                for (int v = 0; v < vectors; v++)
                    sum[p][v] += dy[p * BLOCK + k] * w[v];
        }
    }
    for (int p = 0; p < pixels; p++)
        for (int v = 0; v < vectors; v++)
            lanes_store(products + p * c->stride + v * BLOCK, sum[p][v]);
}

/* All pixels for the same vectors, whose weights so stay in the nearest cache. */
static inline __attribute__((always_inline)) void first_column(float *products, const float *dy, const float *weights,
                                                               const cpu_first_conv *c, int64_t count,
                                                               const int vectors)
{
    int64_t x = 0;
    for (; x + FIRST_PIXELS <= count; x += FIRST_PIXELS)
        first_tile(products + x * c->stride, dy + x * BLOCK, weights, c, FIRST_PIXELS, vectors);
    for (; x < count; x++)
        first_tile(products + x * c->stride, dy + x * BLOCK, weights, c, 1, vectors);
}

static void first_products(float *products, const float *dy, const float *weights, const cpu_first_conv *c,
                           int64_t count)
{
    int64_t v = 0;
    for (; v + FIRST_VECTORS * BLOCK <= c->stride; v += FIRST_VECTORS * BLOCK)
        first_column(products + v, dy, weights + v, c, count, FIRST_VECTORS);
    if (v + 2 * BLOCK <= c->stride)
        first_column(products + v, dy, weights + v, c, count, 2);
    else if (v < c->stride)
        first_column(products + v, dy, weights + v, c, count, 1);
}

#endif
