/* Any picture as the 8-bit RGB that people look at: the one rule, for figures, overlays and whatever else shows a
 * picture. Here because both image and map need it. What a network sees is preprocessing's business. */
#ifndef SAL_BASE_SHADE_H
#define SAL_BASE_SHADE_H

#include "salmap/salmap.h"

/* How a picture's samples become levels: level = (sample - low) * scale, to the nearest of 0..255; NaN is 0. */
typedef struct sal_shade {
    float low;
    float scale;
} sal_shade;

/* Integer samples by their full range. Float samples from the least to the greatest finite one of the channels that
 * are shown; where all are the same, they are 0. */
sal_shade sal_shade_of(const sal_picture *picture);

/* rgb: 3 * width bytes, row y of the picture. One channel or two are gray; of three or more the first three are red,
 * green and blue. Of integer samples the second of two channels, or the fourth of four, is alpha, and the picture lies
 * over white; float pictures have no full range that an alpha could be measured by. */
void sal_shade_row(uint8_t *rgb, const sal_picture *picture, const sal_shade *shade, int64_t y);

#endif
