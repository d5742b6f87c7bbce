/* What the map tests share: inputs made from an integer hash, as
 * scripts/make_map_references.py makes them, and the reading of its samples. */
#ifndef TEST_MAP_SUPPORT_H
#define TEST_MAP_SUPPORT_H

#include "base/memory.h"
#include "map/map.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static inline uint32_t hash_at(uint32_t seed, size_t i)
{
    uint32_t x = (uint32_t)i * 0x9E3779B9u + seed * 0x85EBCA6Bu + 1u;
    x ^= x >> 16;
    x *= 0x85EBCA6Bu;
    x ^= x >> 13;
    x *= 0xC2B2AE35u;
    x ^= x >> 16;
    return x;
}

/* Multiples of 2^-24 in 0..1, each exact in float. */
static inline float uniform_at(uint32_t seed, size_t i)
{
    return (float)(hash_at(seed, i) >> 8) / 16777216.0f;
}

static inline float *new_floats(size_t count)
{
    float *p = malloc((count ? count : 1) * sizeof *p);
    cr_assert_not_null(p);
    return p;
}

static inline float *uniform_floats(uint32_t seed, size_t count)
{
    float *p = new_floats(count);
    for (size_t i = 0; i < count; i++)
        p[i] = uniform_at(seed, i);
    return p;
}

static inline uint8_t *hashed_levels(uint32_t seed, size_t count)
{
    uint8_t *p = malloc(count);
    cr_assert_not_null(p);
    for (size_t i = 0; i < count; i++)
        p[i] = (uint8_t)(hash_at(seed, i) >> 24);
    return p;
}

static inline FILE *open_golden(const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/tests/golden/map/%s", SAL_TEST_SOURCE_DIR, name);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f, "cannot open %s", path);
    return f;
}

/* True only for numbers: NaN is near nothing. */
static inline int is_near(double a, double b, double tolerance)
{
    return fabs(a - b) <= tolerance;
}

/* Reads one block of samples and compares; returns the largest difference. */
static inline double check_samples(FILE *f, const float *values, size_t count, double tolerance, const char *label)
{
    long samples;
    double worst = 0.0;
    cr_assert(fscanf(f, "%ld", &samples) == 1 && samples > 0, "%s: no samples", label);
    for (long s = 0; s < samples; s++) {
        size_t i;
        double expected;
        cr_assert(fscanf(f, "%zu %lf", &i, &expected) == 2 && i < count, "%s: bad sample %ld", label, s);
        cr_assert(is_near((double)values[i], expected, tolerance), "%s: index %zu is %.9g, expected %.17g (+- %g)",
                  label, i, (double)values[i], expected, tolerance);
        worst = fmax(worst, fabs((double)values[i] - expected));
    }
    return worst;
}

/* A placement that stretches the input over the whole source. */
static inline sal_placement stretch(int64_t h, int64_t w, int64_t height, int64_t width)
{
    return (sal_placement){height, width, h, w, (double)height / (double)h, 0.0, (double)width / (double)w, 0.0};
}

#endif
