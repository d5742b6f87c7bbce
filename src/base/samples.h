/* What the samples of a picture are: which channels are colours, which is alpha, which sample is white. The one rule,
 * for the network's input and for what is shown of a picture. */
#ifndef SAL_BASE_SAMPLES_H
#define SAL_BASE_SAMPLES_H

#include "salmap/salmap.h"

/* Channels come in this order: colours, alpha, whatever else. */
typedef struct sal_layout {
    int colours;    /* 1: gray, 3: RGB, 0: nothing says that any is one */
    int has_alpha;  /* 1: the channel behind the colours is */
    int64_t others; /* channels behind these; where there are no colours, all */
} sal_layout;

/* Whether there are enough channels for what they are said to be. */
int sal_picture_is_sound(const sal_picture *picture);
/* preprocess may be NULL, as below. What it leaves out is left out: has_alpha and others are 0 then. */
sal_layout sal_layout_of(const sal_picture *picture, const sal_preprocess *preprocess);

/* Least and greatest sample of the first `channels` of each pixel, NaN and infinities aside; low > high: there is none.
 * Ends early once one is above `enough`. */
typedef struct sal_range {
    double low;
    double high;
} sal_range;
sal_range sal_samples_range(const sal_picture *picture, int64_t channels, double enough);

/* Whether preprocess, which may be NULL, says how deep samples are; Pillow's way says it of 16-bit gray alone. */
int sal_says_depth(const sal_preprocess *preprocess);
/* Whether preprocess, which may be NULL, takes 16-bit gray Pillow's way. */
int sal_is_pillow(const sal_preprocess *preprocess);
/* Whether it is 16-bit gray that is taken Pillow's way: a sample is a level, however many bits it has. */
int sal_is_gray_of_pillow(const sal_picture *picture, const sal_preprocess *preprocess);

/* The sample that is white: 255 or 65535, of floats 255, or what the depth of preprocess says. Of gray that is taken
 * Pillow's way, what is white when it is drawn. */
double sal_white_of(const sal_picture *picture, const sal_preprocess *preprocess);
/* The fewest bits, of those that cameras and masks have, that hold a sample; 0: more than 16. */
int sal_bits_for(double sample);

#endif
