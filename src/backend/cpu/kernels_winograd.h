/* Winograd's convolution F(2x2, 3x3) (Lavin and Gray 2015): tiles of 2 x 2 outputs from 4 x 4 inputs with 16 products
 * instead of 36. Its transforms add and halve, so rounding errors hardly grow; those of larger tiles multiply too.
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
enum { WINOGRAD_ROWS = BLOCK == 16 ? 12 : 6 };

typedef struct winograd_tile {
    int64_t picture, y, x; /* of its first output */
} winograd_tile;

static inline winograd_tile winograd_find(const cpu_winograd *c, int64_t tile)
{
    const int64_t columns = (c->out[1] + 1) / 2, rows = (c->out[0] + 1) / 2;
    return (winograd_tile){.picture = tile / (rows * columns), .y = tile / columns % rows * 2, .x = tile % columns * 2};
}

/* Floats between two tiles, and between two of the 16 positions: no power of two, or all would share a cache set. */
static inline int64_t winograd_row(const cpu_winograd *c)
{
    return (c->in_blocks + 1) * BLOCK;
}

static inline int64_t winograd_plane(const cpu_winograd *c)
{
    return CPU_WINOGRAD_TILES * winograd_row(c) + BLOCK;
}

enum { WINOGRAD_SUMS_PLANE = (CPU_WINOGRAD_TILES * 2 + 1) * BLOCK };

/* B^T d B of all channels of a tile. */
static inline void winograd_in(float *to, const float *x, const cpu_winograd *c, winograd_tile t)
{
    const int64_t height = c->in[0], width = c->in[1], plane = winograd_plane(c);
    const int64_t top = t.y - c->pad[0], left = t.x - c->pad[1];
    const int inside = top >= 0 && left >= 0 && top + 4 <= height && left + 4 <= width;
    x += t.picture * c->in_stride;
    for (int64_t b = 0; b < c->in_blocks; b++, x += height * width * BLOCK, to += BLOCK) {
        lanes d[4][4], r[4][4];
        for (int64_t i = 0; i < 4; i++)
            for (int64_t j = 0; j < 4; j++) {
                const int64_t y = top + i, z = left + j;
                const int there = inside || (y >= 0 && y < height && z >= 0 && z < width);
                d[i][j] = there ? lanes_load(x + (y * width + z) * BLOCK) : (lanes){0};
            }
        for (int j = 0; j < 4; j++) {
            r[0][j] = d[0][j] - d[2][j];
            r[1][j] = d[1][j] + d[2][j];
            r[2][j] = d[2][j] - d[1][j];
            r[3][j] = d[1][j] - d[3][j];
        }
        for (int i = 0; i < 4; i++) {
            float *row = to + 4 * i * plane;
            lanes_store(row, r[i][0] - r[i][2]);
            lanes_store(row + plane, r[i][1] + r[i][2]);
            lanes_store(row + 2 * plane, r[i][2] - r[i][1]);
            lanes_store(row + 3 * plane, r[i][1] - r[i][3]);
        }
    }
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
            sum[r][0] += v[r * row + k] * first;
            sum[r][1] += v[r * row + k] * second;
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < WINOGRAD_ROWS; r++)
        for (int h = 0; h < 2; h++)
            lanes_store(sums + (2 * r + h) * BLOCK, sum[r][h]);
}

static inline lanes winograd_finish(lanes v, const cpu_winograd *c)
{
    if (!c->clips)
        return v;
    const lanes low = (lanes){0} + c->low, high = (lanes){0} + c->high;
    const whole_lanes under = (whole_lanes)(v < low), over = (whole_lanes)(v > high);
    return (lanes)choose(choose((whole_lanes)v, (whole_lanes)low, under), (whole_lanes)high, over);
}

/* A^T m A of one channel block of a tile, plus bias and addend, clipped. */
static inline void winograd_out(float *y, const float *sums, const float *bias, const float *addend,
                                const cpu_winograd *c, winograd_tile t)
{
    lanes m[4][4], r[2][4];
    const lanes b = bias ? lanes_load(bias) : (lanes){0};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            m[i][j] = lanes_load(sums + (4 * i + j) * WINOGRAD_SUMS_PLANE);
    for (int j = 0; j < 4; j++) {
        r[0][j] = m[0][j] + m[1][j] + m[2][j];
        r[1][j] = m[1][j] - m[2][j] - m[3][j];
    }
    for (int64_t i = 0; i < 2 && t.y + i < c->out[0]; i++) {
        const lanes two[2] = {r[i][0] + r[i][1] + r[i][2], r[i][1] - r[i][2] - r[i][3]};
        for (int64_t j = 0; j < 2 && t.x + j < c->out[1]; j++) {
            const int64_t at = ((t.y + i) * c->out[1] + t.x + j) * BLOCK;
            lanes v = two[j] + b;
            if (addend)
                v += lanes_load(addend + at);
            lanes_store(y + at, winograd_finish(v, c));
        }
    }
}

static size_t winograd_scratch(const cpu_winograd *c)
{
    return (size_t)(16 * winograd_plane(c) + 16 * WINOGRAD_SUMS_PLANE);
}

static void winograd(float *y, const float *x, const float *weights, const float *bias, const float *addend,
                     float *scratch, const cpu_winograd *c, int64_t first, int64_t count)
{
    const int64_t channels = c->in_blocks * BLOCK, row = winograd_row(c), plane = winograd_plane(c);
    const int64_t rows = (count + WINOGRAD_ROWS - 1) / WINOGRAD_ROWS * WINOGRAD_ROWS;
    float *sums = scratch + 16 * plane;
    for (int64_t t = 0; t < count; t++)
        winograd_in(scratch + t * row, x, c, winograd_find(c, first + t));
    for (int64_t p = 0; p < 16; p++) /* rows that fill up the last products */
        memset(scratch + p * plane + count * row, 0, (size_t)((rows - count) * row) * sizeof *scratch);
    for (int64_t panel = 0; panel < (c->out_blocks + 1) / 2; panel++) {
        for (int64_t p = 0; p < 16; p++, weights += channels * 2 * BLOCK)
            for (int64_t t = 0; t < rows; t += WINOGRAD_ROWS)
                winograd_products(sums + p * WINOGRAD_SUMS_PLANE + t * 2 * BLOCK, scratch + p * plane + t * row,
                                  weights, channels, row);
        for (int64_t b = 2 * panel; b < 2 * panel + 2 && b < c->out_blocks; b++)
            for (int64_t t = 0; t < count; t++) {
                const winograd_tile tile = winograd_find(c, first + t);
                const int64_t at = tile.picture * c->out_stride + b * c->out[0] * c->out[1] * BLOCK;
                winograd_out(y + at, sums + (2 * t + b % 2) * BLOCK, bias ? bias + b * BLOCK : NULL,
                             addend ? addend + at : NULL, c, tile);
            }
    }
}

#endif
