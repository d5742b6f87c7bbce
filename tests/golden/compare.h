/* Distances between what was computed and what is right. A NaN or infinity in either makes the
 * distance NaN or infinite, and `within` refuses both. */
#ifndef SAL_TESTS_GOLDEN_COMPARE_H
#define SAL_TESTS_GOLDEN_COMPARE_H

#include <math.h>
#include <stddef.h>

static inline double worse(double a, double b)
{
    return isnan(a) || b <= a ? a : b;
}

static inline int within(double distance, double tolerance)
{
    return distance >= 0 && distance <= tolerance;
}

/* Largest difference over the largest right value. */
static inline double relative_max(const float *got, const double *want, size_t count)
{
    double difference = 0;
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        difference = worse(difference, fabs((double)got[i] - want[i]));
        largest = worse(largest, fabs(want[i]));
    }
    return difference / largest;
}

static inline double relative_l2(const float *got, const double *want, size_t count)
{
    double difference = 0;
    double norm = 0;
    for (size_t i = 0; i < count; i++) {
        const double d = (double)got[i] - want[i];
        difference += d * d;
        norm += want[i] * want[i];
    }
    return sqrt(difference / norm);
}

/* 1 - cosine of the angle between the two. */
static inline double cosine_distance(const float *got, const double *want, size_t count)
{
    double dot = 0;
    double a = 0;
    double b = 0;
    for (size_t i = 0; i < count; i++) {
        dot += (double)got[i] * want[i];
        a += (double)got[i] * (double)got[i];
        b += want[i] * want[i];
    }
    const double distance = 1 - dot / sqrt(a * b);
    return distance < 0 ? 0 : distance;
}

/* Largest difference of two maps of 0..1 in steps of 8-bit pictures. */
static inline double map_levels(const float *a, const float *b, size_t count)
{
    double levels = 0;
    for (size_t i = 0; i < count; i++)
        levels = worse(levels, fabs(round(255 * (double)a[i]) - round(255 * (double)b[i])));
    return levels;
}

#endif
