/* From a picture to a network's input. */
#ifndef SAL_IMAGE_PREPROCESS_H
#define SAL_IMAGE_PREPROCESS_H

#include "base/placement.h"
#include "image/image.h"

#include <stdio.h>

/* Fits the picture into out, (channels, height, width) floats, by p; *placement says
 * where it came to lie. Resizing is antialiased bilinear as in Pillow: a triangle that
 * widens with the ratio when a side shrinks. No rounding on the way. Fit and crop sizes
 * are those of torchvision's Resize and CenterCrop.
 * Errors: ARGUMENT (the channels do not fit, a bad option), NUMERIC (a float picture
 * with NaN or infinity where it is used), MEMORY. */
sal_status sal_preprocess_apply(float *out, sal_placement *placement, const sal_picture *picture,
                                const sal_preprocess *p, int64_t channels, int64_t height, int64_t width);

/* One "key value" line per field, as sal_preprocess_set takes them; the calling thread's numbers have points. */
void sal_preprocess_print(FILE *to, const sal_preprocess *p);

#endif
