/* Any picture as the 8-bit RGB that people look at: the one rule, for figures, overlays and whatever else shows a
 * picture. Here because both image and map need it. What a network sees is preprocessing's business; alpha and depth
 * are those that it has. */
#ifndef SAL_BASE_SHADE_H
#define SAL_BASE_SHADE_H

#include "salmap/salmap.h"

/* How a picture's samples become levels: level = (sample - low) * scale, to the nearest of 0..255; NaN is 0. */
typedef struct sal_shade {
    float low;
    float scale;
    int has_alpha;     /* 1: the channel behind the colours is laid over the ground */
    uint8_t ground[3]; /* red, green, blue */
} sal_shade;

/* Integer samples by the depth of preprocess, or their full range. Float samples likewise where there is a depth, else
 * from the least to the greatest finite one of the channels that are shown; where all are the same, they are 0.
 * preprocess may be NULL: the defaults. Alpha is laid over what preprocess says; float pictures without a depth have no
 * full range that an alpha could be measured by: there it is not seen. */
sal_shade sal_shade_of(const sal_picture *picture, const sal_preprocess *preprocess);

/* rgb: 3 * width bytes, row y of the picture. Gray, or the first of channels of which nothing is known and that are
 * less than three, is gray; else the first three are red, green and blue. */
void sal_shade_row(uint8_t *rgb, const sal_picture *picture, const sal_shade *shade, int64_t y);

/* What alpha is laid over, as levels of 0..255: red, green and blue. */
void sal_ground_of(float ground[3], const sal_preprocess *preprocess);

#endif
