/* Input gradient of a convolution with few input channels, as products and a fold.
 *
 * dx has 3 channels or so: too few to fill a vector, and summing dy over its channels
 * inside a vector is slow. So for each pixel of dy the whole kernel's worth of
 * contributions is made at once, (KH, KW * C) products summed over dy's channels: a small
 * matrix product whose vectors run over KW * C. The caller adds each kernel row of it to
 * one row of dx held as (W, C), where it is contiguous.
 * Included by kernels.c alone, once per instruction set. */
#ifndef SAL_BACKEND_CPU_KERNELS_FIRST_H
#define SAL_BACKEND_CPU_KERNELS_FIRST_H

#include "backend/cpu/kernels.h"
#include "backend/cpu/kernels_math.h"

enum { FIRST_PIXELS = 4, FIRST_VECTORS = 3 };

/* Products of some pixels and vectors of weights, held in registers: both counts are
 * constants where this is called. */
static inline __attribute__((always_inline)) void first_tile(float *products, const float *dy, const float *weights,
                                                             const cpu_first_conv *c, int64_t stride, const int pixels,
                                                             const int vectors)
{
    const int64_t plane = c->out[0] * c->out[1] * BLOCK;
    lanes sum[FIRST_PIXELS][FIRST_VECTORS];
    for (int p = 0; p < pixels; p++)
        for (int v = 0; v < vectors; v++)
            sum[p][v] = (lanes){0};
    for (int64_t b = 0; b < c->blocks; b++, dy += plane)
        for (int64_t k = 0; k < BLOCK; k++, weights += stride)
            for (int v = 0; v < vectors; v++) {
                lanes w = lanes_load(weights + v * BLOCK);
                for (int p = 0; p < pixels; p++)
                    sum[p][v] += dy[p * BLOCK + k] * w;
            }
    for (int p = 0; p < pixels; p++)
        for (int v = 0; v < vectors; v++)
            lanes_store(products + p * stride + v * BLOCK, sum[p][v]);
}

/* One row of dy, all its pixels: products (pixels, stride), weights (channels of dy, stride). */
static void first_products(float *products, const float *dy, const float *weights, const cpu_first_conv *c, int64_t row)
{
    const int64_t stride = c->row_floats * c->window.kernel[0], vectors = stride / BLOCK;
    const int64_t whole = c->out[1] / FIRST_PIXELS * FIRST_PIXELS;
    dy += row * c->out[1] * BLOCK;
    for (int64_t x = 0; x < whole; x += FIRST_PIXELS) {
        float *to = products + x * stride;
        const float *from = dy + x * BLOCK;
        int64_t v = 0;
        for (; v + FIRST_VECTORS <= vectors; v += FIRST_VECTORS)
            first_tile(to + v * BLOCK, from, weights + v * BLOCK, c, stride, FIRST_PIXELS, FIRST_VECTORS);
        for (; v < vectors; v++)
            first_tile(to + v * BLOCK, from, weights + v * BLOCK, c, stride, FIRST_PIXELS, 1);
    }
    for (int64_t x = whole; x < c->out[1]; x++)
        for (int64_t v = 0; v < vectors; v++)
            first_tile(products + x * stride + v * BLOCK, dy + x * BLOCK, weights + v * BLOCK, c, stride, 1, 1);
}

#endif
