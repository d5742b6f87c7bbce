/* The inner loops of the CPU back end: one source, compiled once per instruction set,
 * one table each. Functions work on runs of floats inside blocked memory
 * (channel blocks of `block` floats per pixel) and know nothing of threads.
 *
 * Counts n are in floats and multiples of 8; pointers are 32-byte aligned unless said
 * otherwise. Outputs may be the same memory as inputs (never a shifted part of it). */
#ifndef SAL_BACKEND_CPU_KERNELS_H
#define SAL_BACKEND_CPU_KERNELS_H

#include "backend/backend.h"

/* A pooling window over one channel block of one picture. */
typedef struct cpu_pool {
    int64_t in[2];
    int64_t out[2];
    sal_window window;
} cpu_pool;

/* Input gradient of the first convolution, see kernels_first.h. */
typedef struct cpu_first_conv {
    int64_t channels; /* of the picture */
    int64_t blocks;   /* channel blocks of dy */
    int64_t in[2];    /* picture */
    int64_t out[2];   /* dy */
    sal_window window;
    int64_t stride; /* products of one pixel, KH * KW * channels rounded up to the vector */
} cpu_first_conv;

/* A convolution of 3 x 3 and stride 1 over blocked memory, see kernels_winograd.h */
typedef struct cpu_winograd {
    int64_t in_blocks, out_blocks;
    int64_t in[2];
    int64_t out[2];
    int64_t pad[2];                /* before the first row and column */
    int side;                      /* tiles have side x side outputs: 2 or 4 */
    int64_t most_tiles;            /* that one call takes; a multiple of 12, so whole rows of products */
    int64_t in_stride, out_stride; /* floats from picture to picture */
    int clips;                     /* results to low..high */
    float low, high;
} cpu_winograd;

/* Some rows of a product of matrices, and as many columns as a panel has. */
typedef struct cpu_product {
    int64_t rows, depth;
    int64_t columns;       /* at most 2 block */
    int64_t a_row, a_step; /* floats from one row of a to the next, from one column to the next */
    int64_t y_row;
    float scale;
} cpu_product;

/* Which elements of an axis each element of another is a weighted sum of: of element o the entries from start[o] up to
 * start[o + 1]. */
typedef struct cpu_taps {
    int64_t count; /* of o */
    int64_t *start;
    int32_t *index;
    float *weight;
} cpu_taps;

typedef struct cpu_kernels {
    const char *name; /* "avx512" */
    int block;        /* channels per block */

    /* bit i of mask: low < y[i] < high */
    void (*mask_between)(uint8_t *mask, const float *y, size_t n, float low, float high);
    void (*activation)(float *y, const float *x, size_t n, const sal_activation *a);
    /* dx = dy * (bit ? 1 : slope) under `rule` (sal_rule) + addend (or NULL) */
    void (*mask_backward)(float *dx, const float *dy, const uint8_t *mask, const float *addend, size_t n, float slope,
                          int rule);
    /* dx = dy * f'(kept) under `rule` + addend; kept is f's input or output, see sal_activation_keep */
    void (*activation_backward)(float *dx, const float *dy, const float *kept, const float *addend, size_t n,
                                const sal_activation *a, int rule);
    void (*add)(float *y, const float *a, const float *b, size_t n);
    void (*multiply)(float *y, const float *a, const float *b, const float *addend, size_t n);
    void (*scale)(float *y, const float *x, const float *addend, size_t n, float factor);

    /* On the pixels of one channel block; vectors of `block` floats: */
    void (*affine)(float *y, const float *x, const float *scale, const float *shift, const float *addend,
                   size_t pixels); /* shift, addend may be NULL */
    void (*dot_pixels)(float *sum, const float *a, const float *b,
                       size_t pixels); /* sum over pixels of a*b; b NULL: of a */
    void (*spread)(float *y, const float *x, float factor, const float *addend,
                   size_t pixels); /* y[pixel] = factor*x */

    void (*max_pool)(float *y, uint8_t *index, const float *x, const cpu_pool *p); /* index may be NULL */
    void (*max_pool_backward)(float *dx, const float *dy, const uint8_t *index, const cpu_pool *p); /* adds to dx */
    void (*avg_pool)(float *y, const float *x, const cpu_pool *p);
    void (*avg_pool_backward)(float *dx, const float *dy, const cpu_pool *p); /* adds to dx */

    /* y[o] = bias[o] + sum_i w[o][i] x[i] for `rows` pictures; n need not be a multiple of 8, no alignment */
    void (*dense)(float *y, size_t y_stride, const float *x, size_t x_stride, size_t rows, const float *w,
                  const float *bias, size_t outputs, size_t n);
    /* dx[i] += sum_o dy[o] w[o][i] for i in [0, n) */
    void (*dense_backward)(float *dx, size_t dx_stride, const float *dy, size_t dy_stride, size_t rows, const float *w,
                           size_t w_stride, size_t outputs, size_t n);

    /* products (count, stride) of `count` pixels of dy, all of one row; weights (channels of dy, stride) */
    void (*first_products)(float *products, const float *dy, const float *weights, const cpu_first_conv *c,
                           int64_t count);

    /* Tiles [first, first + count), counted through the rows of all pictures. weights (panels of two output blocks,
     * (side + 2)^2, input channels, 2 block); bias, addend (laid out as y, may be y) or NULL; scratch: floats as many
     * as winograd_scratch says. NULL where it would not pay. */
    void (*winograd)(float *y, const float *x, const float *weights, const float *bias, const float *addend,
                     float *scratch, const cpu_winograd *c, int64_t first, int64_t count);
    size_t (*winograd_scratch)(const cpu_winograd *c);

    /* Values in rows: any numbers, no alignment. */

    /* y = scale a b + bias (of the columns, or NULL) + addend (laid out as y, may be y; or NULL); b is a panel, (depth,
     * 2 block), whose last columns are zeros where there are fewer. */
    void (*product)(float *y, const float *a, const float *panel, const float *bias, const float *addend,
                    const cpu_product *p);
    /* The panel of `columns` columns of b, whose rows lie `row` floats apart and whose columns `step`. */
    void (*product_pack)(float *panel, const float *b, int64_t row, int64_t step, int64_t depth, int64_t columns);
    /* Of `rows` rows of n; addend as dx, may be dx, or NULL */
    void (*softmax)(float *y, const float *x, size_t rows, size_t n);
    void (*softmax_backward)(float *dx, const float *dy, const float *y, const float *addend, size_t rows, size_t n);
    void (*layer_norm)(float *y, const float *x, const float *weight, const float *bias, float epsilon, size_t rows,
                       size_t n); /* bias may be NULL */
    void (*layer_norm_backward)(float *dx, const float *dy, const float *x, const float *weight, const float *addend,
                                float epsilon, size_t rows, size_t n);
    /* Elements [first, first + count) of an axis of y from the axis of x that lies likewise, `inner` floats each;
     * addend as y, may be y, or NULL */
    void (*combine)(float *y, const float *x, const float *addend, const cpu_taps *taps, int64_t first, int64_t count,
                    size_t inner);
    /* y (count) = factor * the sum of n rows of x, `stride` floats apart, + addend (or NULL); stride 1: of n elements
     */
    void (*sum_axis)(float *y, const float *x, const float *addend, float factor, size_t n, size_t stride,
                     size_t count);

    /* See sal_method_rows. Any number n of elements, no alignment; of perturb from element 4 `group` of a picture on.
     */
    void (*perturb)(float *to, const float *x, const sal_noise *noise, uint32_t sample, uint32_t group, size_t n);
    void (*between)(float *to, const float *from, const float *x, float t, size_t n); /* from may be NULL: zeros */
    void (*accumulate)(float *sum, float *spread, const float *x, sal_accumulate kind, float weight, size_t n);
} cpu_kernels;

extern const cpu_kernels cpu_kernels_avx512;
extern const cpu_kernels cpu_kernels_avx2;
extern const cpu_kernels cpu_kernels_baseline;

/* The best table for this processor (spec NULL), or the one of that name: what follows "cpu:"
 * in a device's name. It sets the channels per block, too; oneDNN still uses what it finds.
 * Errors: ARGUMENT (no such table), UNSUPPORTED (not on this processor). */
sal_status cpu_kernels_select(const cpu_kernels **out, const char *spec);

#endif
