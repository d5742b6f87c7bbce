/* Winograd's convolutions F(2x2, 3x3) and F(4x4, 3x3) (Lavin and Gray 2015): tiles of 2 x 2 outputs from 4 x 4 inputs
 * with 16 products instead of 36, or of 4 x 4 from 6 x 6 with 36 instead of 144. The transforms of the small ones add
 * and halve, so that rounding errors hardly grow; those of the large ones cost a digit.
 *
 * A group of tiles is transformed for all input channels, multiplied by a panel of weights at a time (the outputs of
 * two channel blocks) and transformed back while it is in the cache. Each sum runs over the input channels in their
 * order, whatever the group: the same picture has the same bits in any batch and on any number of threads. Included by
 * kernels.c alone, once per instruction set. */
#ifndef SAL_BACKEND_CPU_KERNELS_WINOGRAD_H
#define SAL_BACKEND_CPU_KERNELS_WINOGRAD_H

#include "backend/cpu/kernels.h"
#include "backend/cpu/kernels_math.h"

/* So many rows of two vectors of sums stay in registers: 32 of them with AVX-512, 16 else. */
enum { WINOGRAD_ROWS = BLOCK == 16 ? 12 : 6, WINOGRAD_LINE = 6 };

/* Where `side` is a parameter it is a constant, 2 or 4: outputs of a tile's line. */
#define WINOGRAD_INLINE static inline __attribute__((always_inline))

typedef struct winograd_tile {
    int64_t picture, y, x; /* of its first output */
} winograd_tile;

WINOGRAD_INLINE winograd_tile winograd_find(const cpu_winograd *c, int64_t tile, const int side)
{
    const int64_t rows = (c->out[0] + side - 1) / side, columns = (c->out[1] + side - 1) / side;
    return (winograd_tile){
        .picture = tile / (rows * columns), .y = tile / columns % rows * side, .x = tile % columns * side};
}

/* Floats between two tiles, and between two positions, of inputs and of sums: no power of two, or all would share a
 * cache set. */
static inline int64_t winograd_row(const cpu_winograd *c)
{
    return (c->in_blocks + 1) * BLOCK;
}

static inline int64_t winograd_plane(const cpu_winograd *c)
{
    return c->most_tiles * winograd_row(c) + BLOCK;
}

static inline int64_t winograd_sums_plane(const cpu_winograd *c)
{
    return (c->most_tiles * 2 + 1) * BLOCK;
}

/* B^T d */
WINOGRAD_INLINE void winograd_in_line(lanes *to, const lanes *d, const int side)
{
    if (side == 2) {
        to[0] = d[0] - d[2];
        to[1] = d[1] + d[2];
        to[2] = d[2] - d[1];
        to[3] = d[1] - d[3];
        return;
    }
    const lanes even = d[4] - 4.0f * d[2], odd = d[3] - 4.0f * d[1];
    const lanes near = d[4] - d[2], far = 2.0f * (d[3] - d[1]);
    to[0] = 4.0f * d[0] - 5.0f * d[2] + d[4];
    to[1] = even + odd;
    to[2] = even - odd;
    to[3] = near + far;
    to[4] = near - far;
    to[5] = 4.0f * d[1] - 5.0f * d[3] + d[5];
}

/* A^T m */
WINOGRAD_INLINE void winograd_out_line(lanes *to, const lanes *m, const int side)
{
    if (side == 2) {
        to[0] = m[0] + m[1] + m[2];
        to[1] = m[1] - m[2] - m[3];
        return;
    }
    const lanes sum = m[1] + m[2], difference = m[1] - m[2], sums = m[3] + m[4], differences = m[3] - m[4];
    to[0] = m[0] + sum + sums;
    to[1] = difference + 2.0f * differences;
    to[2] = sum + 4.0f * sums;
    to[3] = difference + 8.0f * differences + m[5];
}

/* B^T d B of all channels of a tile. */
WINOGRAD_INLINE void winograd_in(float *to, const float *x, const cpu_winograd *c, winograd_tile t, const int side)
{
    const int line = side + 2;
    const int64_t height = c->in[0], width = c->in[1], plane = winograd_plane(c);
    const int64_t top = t.y - c->pad[0], left = t.x - c->pad[1];
    const int inside = top >= 0 && left >= 0 && top + line <= height && left + line <= width;
    x += t.picture * c->in_stride;
    for (int64_t b = 0; b < c->in_blocks; b++, x += height * width * BLOCK, to += BLOCK) {
        lanes r[WINOGRAD_LINE][WINOGRAD_LINE]; /* column, row: transformed along the columns */
        for (int64_t j = 0; j < line; j++) {
            lanes d[WINOGRAD_LINE];
            for (int64_t i = 0; i < line; i++) {
                const int64_t y = top + i, z = left + j;
                const int there = inside || (y >= 0 && y < height && z >= 0 && z < width);
                d[i] = there ? lanes_load(x + (y * width + z) * BLOCK) : (lanes){0};
            }
            winograd_in_line(r[j], d, side);
        }
        for (int i = 0; i < line; i++) {
            lanes d[WINOGRAD_LINE], v[WINOGRAD_LINE];
            for (int j = 0; j < line; j++)
                d[j] = r[j][i];
            winograd_in_line(v, d, side);
            for (int j = 0; j < line; j++)
                lanes_store(to + (line * i + j) * plane, v[j]);
        }
    }
}

/* a b + c, rounded once: every row of products must be rounded alike. */
WINOGRAD_INLINE lanes winograd_fma(float a, lanes b, lanes c)
{
#if defined(__AVX512F__)
    return (lanes)_mm512_fmadd_ps(_mm512_set1_ps(a), (__m512)b, (__m512)c);
#else
    return (lanes)_mm256_fmadd_ps(_mm256_set1_ps(a), (__m256)b, (__m256)c);
#endif
}

/* sums (WINOGRAD_ROWS, 2 BLOCK) of as many tiles, at one position. */
static inline void winograd_products(float *sums, const float *v, const float *u, int64_t channels, int64_t row)
{
    lanes sum[WINOGRAD_ROWS][2];
#pragma GCC unroll 12
    for (int r = 0; r < WINOGRAD_ROWS; r++)
        sum[r][0] = sum[r][1] = (lanes){0};
    for (int64_t k = 0; k < channels; k++, u += 2 * BLOCK) {
        const lanes first = lanes_load(u), second = lanes_load(u + BLOCK);
#pragma GCC unroll 12
        for (int r = 0; r < WINOGRAD_ROWS; r++) {
            sum[r][0] = winograd_fma(v[r * row + k], first, sum[r][0]);
            sum[r][1] = winograd_fma(v[r * row + k], second, sum[r][1]);
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < WINOGRAD_ROWS; r++)
        for (int h = 0; h < 2; h++)
            lanes_store(sums + (2 * r + h) * BLOCK, sum[r][h]);
}

WINOGRAD_INLINE lanes winograd_clip(lanes v, const cpu_winograd *c)
{
    const lanes low = (lanes){0} + c->low, high = (lanes){0} + c->high;
    const whole_lanes under = (whole_lanes)(v < low), over = (whole_lanes)(v > high);
    return (lanes)choose(choose((whole_lanes)v, (whole_lanes)low, under), (whole_lanes)high, over);
}

/* A^T m A of one channel block of a tile, plus bias and addend, clipped. */
WINOGRAD_INLINE void winograd_out(float *y, const float *sums, const float *bias, const float *addend,
                                  const cpu_winograd *c, winograd_tile t, const int side)
{
    const int line = side + 2;
    const int64_t plane = winograd_sums_plane(c);
    const lanes b = bias ? lanes_load(bias) : (lanes){0};
    lanes r[WINOGRAD_LINE][WINOGRAD_LINE]; /* column, row */
    for (int j = 0; j < line; j++) {
        lanes m[WINOGRAD_LINE];
        for (int i = 0; i < line; i++)
            m[i] = lanes_load(sums + (line * i + j) * plane);
        winograd_out_line(r[j], m, side);
    }
    for (int64_t i = 0; i < side && t.y + i < c->out[0]; i++) {
        lanes m[WINOGRAD_LINE], v[WINOGRAD_LINE];
        for (int j = 0; j < line; j++)
            m[j] = r[j][i];
        winograd_out_line(v, m, side);
        for (int64_t j = 0; j < side && t.x + j < c->out[1]; j++) {
            const int64_t at = ((t.y + i) * c->out[1] + t.x + j) * BLOCK;
            lanes to = v[j] + b;
            if (addend)
                to += lanes_load(addend + at);
            lanes_store(y + at, c->clips ? winograd_clip(to, c) : to);
        }
    }
}

static size_t winograd_scratch(const cpu_winograd *c)
{
    const int64_t line = c->side + 2;
    return (size_t)(line * line * (winograd_plane(c) + winograd_sums_plane(c)));
}

WINOGRAD_INLINE void winograd_of(float *y, const float *x, const float *weights, const float *bias, const float *addend,
                                 float *scratch, const cpu_winograd *c, int64_t first, int64_t count, const int side)
{
    const int64_t channels = c->in_blocks * BLOCK, row = winograd_row(c), plane = winograd_plane(c);
    const int64_t positions = (side + 2) * (side + 2), sums_plane = winograd_sums_plane(c);
    const int64_t rows = (count + WINOGRAD_ROWS - 1) / WINOGRAD_ROWS * WINOGRAD_ROWS;
    float *sums = scratch + positions * plane;
    for (int64_t t = 0; t < count; t++)
        winograd_in(scratch + t * row, x, c, winograd_find(c, first + t, side), side);
    for (int64_t p = 0; p < positions; p++) /* rows that fill up the last products */
        memset(scratch + p * plane + count * row, 0, (size_t)((rows - count) * row) * sizeof *scratch);
    for (int64_t panel = 0; panel < (c->out_blocks + 1) / 2; panel++) {
        for (int64_t p = 0; p < positions; p++, weights += channels * 2 * BLOCK)
            for (int64_t t = 0; t < rows; t += WINOGRAD_ROWS)
                winograd_products(sums + p * sums_plane + t * 2 * BLOCK, scratch + p * plane + t * row, weights,
                                  channels, row);
        for (int64_t b = 2 * panel; b < 2 * panel + 2 && b < c->out_blocks; b++)
            for (int64_t t = 0; t < count; t++) {
                const winograd_tile tile = winograd_find(c, first + t, side);
                const int64_t at = tile.picture * c->out_stride + b * c->out[0] * c->out[1] * BLOCK;
                winograd_out(y + at, sums + (2 * t + b % 2) * BLOCK, bias ? bias + b * BLOCK : NULL,
                             addend ? addend + at : NULL, c, tile, side);
            }
    }
}

static void winograd(float *y, const float *x, const float *weights, const float *bias, const float *addend,
                     float *scratch, const cpu_winograd *c, int64_t first, int64_t count)
{
    if (c->side == 2)
        winograd_of(y, x, weights, bias, addend, scratch, c, first, count, 2);
    else
        winograd_of(y, x, weights, bias, addend, scratch, c, first, count, 4);
}

#endif
