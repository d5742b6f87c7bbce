/* From the channels of a picture to those of a network: which are colours, what becomes of alpha, which sample is 255.
 * For preprocess.c and notes.c. */
#ifndef SAL_IMAGE_CHANNELS_H
#define SAL_IMAGE_CHANNELS_H

#include "image/image.h"

typedef enum sal_mixing { SAL_MIX_NONE, SAL_MIX_RGB, SAL_MIX_BGR, SAL_MIX_GRAY } sal_mixing;

typedef struct sal_mix {
    sal_mixing how;
    int flatten;      /* 1: rows go through sal_mix_flatten first, and are floats then */
    int64_t channels; /* of rows as they are resized */
    int64_t colours;  /* of the picture, 1 or 3; where nothing is mixed, 0 */
    int has_alpha;    /* 1: flattening lays them over the ground */
    float white;      /* sample that is 255, */
    float unit;       /* and what samples are multiplied by for that */
    int is_cut;       /* 1: flattening makes samples above white white */
    int is_deep;      /* 1: samples go in as they are, of 16 bits */
    float ground[3];  /* in samples */
} sal_mix;

/* For a network of so many channels. Errors: ARGUMENT (the channels do not fit, a sample is beyond the depth). */
sal_status sal_mix_choose(sal_mix *out, const sal_picture *picture, const sal_preprocess *preprocess, int64_t channels);
/* `n` pixels of the picture from `row` on, without what is behind the colours. */
void sal_mix_flatten(float *out, const sal_picture *picture, const void *row, size_t n, const sal_mix *mix);

#endif
