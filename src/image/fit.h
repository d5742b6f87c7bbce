/* Where a picture comes to lie in a network's input: fits and crops. */
#ifndef SAL_IMAGE_FIT_H
#define SAL_IMAGE_FIT_H

#include "image/image.h"

/* `part` pixels of the picture, from pixel `from` on, are resized to `target` pixels, the first of which is the input's
 * pixel `offset`: negative where a crop cuts it off, positive where padding goes before it. */
typedef struct sal_axis {
    int64_t source; /* pixels of the picture */
    int64_t net;    /* of the input */
    int64_t from;
    int64_t part;
    int64_t target;
    int64_t offset;
} sal_axis;

/* The part of the input that shows the picture: `count` pixels from `begin` on, which are pixels begin - offset and on
 * of the resized picture. */
typedef struct sal_window {
    int64_t begin;
    int64_t count;
} sal_window;

/* The side before a crop that can be asked for, in pixels, and the smallest share. */
#define SAL_CROP_RESIZE_MAX (1 << 20)
#define SAL_CROP_SHARE_MIN 1e-3F

/* Error: ARGUMENT: crop_resize, crop_share or crop_round is out of range. */
sal_status sal_crop_check(const sal_preprocess *p);
/* Fills all but source and net, which are at least 1. Error: ARGUMENT (options out of range). */
sal_status sal_fit_place(sal_axis *y, sal_axis *x, const sal_preprocess *p);
sal_window sal_fit_visible(const sal_axis *axis);
/* out may be NULL. */
void sal_fit_describe(sal_placement *out, const sal_axis *y, const sal_axis *x, sal_grid grid);

#endif
