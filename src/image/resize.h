/* One axis of an antialiased bilinear resize: which source pixels make an output pixel. */
#ifndef SAL_IMAGE_RESIZE_H
#define SAL_IMAGE_RESIZE_H

#include "image/image.h"

typedef struct sal_taps {
    int64_t count;   /* output pixels */
    int64_t *first;  /* per output pixel: first source pixel ... */
    int64_t *length; /* ... and how many */
    float *weights;  /* (count, stride); each row sums to 1 */
    size_t stride;
} sal_taps;

/* Taps of the output pixels begin .. begin + count - 1 of an axis resized from
 * `source` to `target` pixels. Free with sal_taps_clear, also after a failure. */
sal_status sal_taps_make(sal_taps *out, int64_t source, int64_t target, int64_t begin, int64_t count);
void sal_taps_clear(sal_taps *taps);

/* Adds weight * samples[i] to sum[i] for n samples of a row. */
void sal_resize_add(float *restrict sum, const void *restrict samples, sal_sample_type type, float weight, size_t n);
/* One row of `taps->count` output pixels from a row of source pixels, both of interleaved
 * channels; `row` starts at source pixel `origin`. */
void sal_resize_row(float *restrict out, const float *restrict row, const sal_taps *taps, int64_t origin,
                    size_t channels);

#endif
