/* The arithmetic of maps that the CPU functions and their CUDA kernels share, so
 * that both give the same numbers. No memory, no loops over pixels. */
#ifndef SAL_MAP_MAP_MATH_H
#define SAL_MAP_MAP_MATH_H

#include "salmap/salmap.h"

#include <math.h>

#ifdef __CUDACC__
#define SAL_MATH static inline __host__ __device__
#else
#define SAL_MATH static inline
#endif

/* Largest sigma that maps are smoothed with: enough for any input, and a bound on its time. */
#define SAL_SIGMA_MAX 10000.0

/* 2 % of the shorter side: what maps are smoothed with when no sigma is set. */
SAL_MATH double sal_map_default_sigma(int64_t height, int64_t width)
{
    return 0.02 * (double)(height < width ? height : width);
}

/* Radius of the Gaussian: where SciPy's truncate=4 ends it. */
SAL_MATH int64_t sal_gauss_radius(double sigma)
{
    return (int64_t)(4.0 * sigma + 0.5);
}

/* Half of the symmetric kernel, weights[0] the centre; radius + 1 values that
 * sum to 1 over both sides. radius 0 gives the identity. */
SAL_MATH void sal_gauss_kernel(double *weights, int64_t radius, double sigma)
{
    double sum = 1.0;
    weights[0] = 1.0;
    for (int64_t k = 1; k <= radius; k++) {
        weights[k] = exp(-0.5 / (sigma * sigma) * ((double)k * (double)k));
        sum += 2.0 * weights[k];
    }
    for (int64_t k = 0; k <= radius; k++)
        weights[k] /= sum;
}

/* Index 0..n-1 that stands for any i under (d c b a | a b c d | d c b a), however often it repeats. */
SAL_MATH int64_t sal_reflect(int64_t i, int64_t n)
{
    int64_t period = 2 * n;
    int64_t j = i % period;
    if (j < 0)
        j += period;
    return j < n ? j : period - 1 - j;
}

SAL_MATH float sal_modify(float g, sal_modifier modifier)
{
    switch (modifier) {
    case SAL_MODIFIER_ABS: return fabsf(g);
    case SAL_MODIFIER_RELU: return g > 0.0f ? g : 0.0f;
    case SAL_MODIFIER_NEGATE: return -g;
    case SAL_MODIFIER_NONE: break;
    }
    return g;
}

/* A map is constant where its values differ by no more than this share of the largest modulus: eight units of the last
 * place, what enlarging a constant map makes of it. A share, so that the unit of the map does not matter. */
#define SAL_FLAT_SHARE 0x1p-20

/* What keras-vis adds to a map's range, in whatever unit that is. */
#define SAL_KERAS_VIS_EPSILON 1e-7

/* A map whose largest modulus is below this has values that are no normal numbers, or lost digits to those. */
#define SAL_FAINT_PEAK 0x1p-100f

/* The larger modulus of two numbers. */
SAL_MATH double sal_larger_modulus(float low, float high)
{
    const double a = fabs((double)low), b = fabs((double)high);
    return a > b ? a : b;
}

/* Whether a map from low to high is constant; keras-vis: only where both are the same number. */
SAL_MATH int sal_is_flat(float low, float high, sal_normalize how)
{
    const double share = how == SAL_NORMALIZE_KERAS_VIS ? 0.0 : SAL_FLAT_SHARE;
    return (double)high - (double)low <= share * sal_larger_modulus(low, high);
}

/* What a map that is not constant is multiplied by after its minimum is taken off. In double: the range of a float map
 * may exceed a float. */
SAL_MATH double sal_normalize_scale(float low, float high, sal_normalize how)
{
    const double range = (double)high - (double)low;
    return 1.0 / (how == SAL_NORMALIZE_KERAS_VIS ? range + SAL_KERAS_VIS_EPSILON : range);
}

SAL_MATH float sal_normalize_value(float m, float low, double scale)
{
    return (float)(((double)m - (double)low) * scale);
}

/* The same of a signed map: to -1..1, 0 stays 0. */
SAL_MATH double sal_signed_scale(float low, float high)
{
    return 1.0 / sal_larger_modulus(low, high);
}

SAL_MATH float sal_signed_value(float m, double scale)
{
    return (float)((double)m * scale);
}

/* The same of maps that have a scale in common: what is beyond its end is clipped. low: 0 of signed maps. */
SAL_MATH float sal_common_value(float m, float low, double scale)
{
    const double v = ((double)m - (double)low) * scale;
    return v >= 1.0 ? 1.0f : v <= -1.0 ? -1.0f : (float)v;
}

/* -1..1 as a place on the colours, 0..1. */
SAL_MATH float sal_signed_place(float m)
{
    const float half = 0.5f * m;
    return half + 0.5f;
}

/* Row of a 256-entry colour table: equal parts of 0..1, as matplotlib cuts them. NaN takes the first. */
SAL_MATH int sal_color_index(float value)
{
    if (!(value > 0.0f))
        return 0;
    return value >= 1.0f ? 255 : (int)(value * 256.0f);
}

/* Blending is done in whole numbers, so that every device rounds alike. */
#define SAL_BLEND_ONE (1u << 23)

/* alpha in 0..1 as a multiple of 2^-23. */
SAL_MATH uint32_t sal_blend_weight(double alpha)
{
    return (uint32_t)(alpha * (double)SAL_BLEND_ONE + 0.5);
}

/* (1 - alpha) * picture + alpha * color to the nearest level, halves up. */
SAL_MATH uint8_t sal_blend_level(uint8_t picture, uint8_t color, uint32_t weight)
{
    uint32_t sum = (uint32_t)picture * (SAL_BLEND_ONE - weight) + (uint32_t)color * weight;
    return (uint8_t)((sum + SAL_BLEND_ONE / 2) >> 23);
}

/* The weight of a colour where it follows the map: by its row of the table, the first 0 and the last all of it, or of
 * signed maps from the two in the middle to either end. */
SAL_MATH uint32_t sal_blend_share(uint32_t weight, int index, int is_signed)
{
    const uint32_t from_middle = (uint32_t)(index < 128 ? 127 - index : index - 128);
    const uint32_t step = is_signed ? from_middle : (uint32_t)index, steps = is_signed ? 127 : 255;
    return (weight * step + steps / 2) / steps; /* below 2^31 */
}

/* How far apart the pixels are that a contour runs between: the width of its line, which large pictures have wider. */
SAL_MATH int64_t sal_contour_width(int64_t height, int64_t width)
{
    const int64_t longer = height > width ? height : width;
    return 1 + longer / 1000;
}

/* What contours are drawn of. */
SAL_MATH float sal_contour_height(float value, int is_signed)
{
    return is_signed ? fabsf(value) : value;
}

/* Whether a level runs between a pixel and those right of it, below it, or both. */
SAL_MATH int sal_contour_runs(float level, float at, float right, float below, float corner)
{
    const int above = at >= level;
    return (right >= level) != above || (below >= level) != above || (corner >= level) != above;
}

/* The gray of a line on such a pixel: black on light ones, white on dark ones. */
SAL_MATH uint8_t sal_contour_ink(uint8_t red, uint8_t green, uint8_t blue)
{
    return 77 * red + 150 * green + 29 * blue >= 128 * 256 ? 0 : 255;
}

/* One axis of bilinear enlargement: what pixel i of the source takes from the
 * network's n rows or columns: (1 - weight) * [lo] + weight * [hi]. */
typedef struct sal_upsample_tap {
    int64_t lo;
    int64_t hi;
    float weight;
    int visible; /* 0: the pixel's centre lies outside what the network saw */
} sal_upsample_tap;

SAL_MATH sal_upsample_tap sal_upsample_at(int64_t i, double scale, double offset, int64_t n)
{
    sal_upsample_tap tap = {0, 0, 0.0f, 0};
    double v = ((double)i + 0.5 - offset) / scale;
    if (!(v >= 0.0 && v <= (double)n))
        return tap;
    double t = v - 0.5;
    tap.visible = 1;
    if (t <= 0.0)
        return tap;
    tap.lo = (int64_t)t;
    if (tap.lo >= n - 1) {
        tap.lo = tap.hi = n - 1;
        return tap;
    }
    tap.hi = tap.lo + 1;
    tap.weight = (float)(t - (double)tap.lo);
    return tap;
}

#endif
