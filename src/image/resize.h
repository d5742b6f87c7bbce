/* How a picture is resized: which source pixels make an output pixel of an axis, with which weights, and the sums. */
#ifndef SAL_IMAGE_RESIZE_H
#define SAL_IMAGE_RESIZE_H

#include "image/fit.h"

typedef struct sal_taps {
    int64_t count;   /* output pixels */
    int64_t *first;  /* per output pixel: first source pixel, which never decreases, ... */
    int64_t *length; /* ... and how many */
    float *weights;  /* (count, stride); each row sums to 1 */
    int32_t *fixed;  /* the same times 2 to the power of `bits`, rounded; NULL where bits is 0 */
    int bits;
    size_t stride;
} sal_taps;

/* Weights in whole numbers: of Pillow's passes over 8 bits, and of OpenCV's bilinear. */
enum { SAL_TAPS_PILLOW_BITS = 22, SAL_TAPS_OPENCV_BITS = 11 };

/* Whether an option is out of range, or contradicts another. Error: ARGUMENT. */
sal_status sal_resize_check(const sal_preprocess *p);

/* Taps of the input's pixels that show the picture, of the axis y or x, which are placed (sal_fit_place) and resized as
 * p says, which is checked. Free with sal_taps_clear, also after a failure. Errors: LIMIT, MEMORY. */
sal_status sal_taps_make(sal_taps *out, const sal_axis *y, const sal_axis *x, int is_y, const sal_preprocess *p);
void sal_taps_clear(sal_taps *taps);

/* Adds weight * samples[i] to sum[i] for n samples of a row. */
void sal_resize_add(float *restrict sum, const void *restrict samples, sal_sample_type type, float weight, size_t n);
/* One row of `taps->count` output pixels from a row of source pixels, both of interleaved
 * channels; `row` starts at source pixel `origin`. */
void sal_resize_row(float *restrict out, const float *restrict row, const sal_taps *taps, int64_t origin,
                    size_t channels);

/* Gives row y of the picture in 8 bits: the columns and channels that its taker wants. */
typedef struct sal_rows8 {
    void (*get)(unsigned char *row, void *context, int64_t y);
    void *context;
} sal_rows8;

/* How rows of 8 bits are resized in whole numbers, in two passes. */
typedef enum sal_passes {
    SAL_PASSES_COLUMNS_FIRST, /* rounded to 8 bits after each: Pillow, torch */
    SAL_PASSES_ROWS_FIRST,    /* likewise */
    SAL_PASSES_OPENCV         /* columns first, their sums kept: its bilinear */
} sal_passes;

typedef struct sal_resize8 {
    const sal_taps *y; /* borrowed, as is x */
    const sal_taps *x;
    size_t channels;
    sal_passes passes;
    int64_t column;     /* the first that taps of x read ... */
    size_t columns;     /* ... and how many */
    int64_t ready;      /* columns first: source rows before this one have been through that pass */
    int64_t kept;       /* of them, the last so many are in `rows`, row r at r % kept */
    unsigned char *row; /* one of the source, or rows first: after that pass */
    int32_t *rows;      /* columns first, after that pass: (kept, x->count, channels) */
    int32_t *sum;       /* of a row */
} sal_resize8;

/* Errors: LIMIT, MEMORY. Free with sal_resize8_clear, also after a failure. */
sal_status sal_resize8_begin(sal_resize8 *out, const sal_taps *y, const sal_taps *x, size_t channels,
                             sal_passes passes);
/* Output row `index`, as floats of 0..255; rows are asked for in order. */
void sal_resize8_row(float *out, sal_resize8 *resize, int64_t index, const sal_rows8 *source);
void sal_resize8_clear(sal_resize8 *resize);

#endif
