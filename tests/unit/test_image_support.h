/* What the tests of pictures share: golden files, scratch files and a comparison that NaN fails. */
#ifndef TEST_IMAGE_SUPPORT_H
#define TEST_IMAGE_SUPPORT_H

#include "image/image.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#define GOLDEN SAL_TEST_SOURCE_DIR "/tests/golden/image/"

enum { CASES = 111 }; /* lines of cases.txt */

typedef struct image_case {
    char file[128];
    char reference[128];
    double tolerance;
} image_case;

static inline size_t read_cases(image_case *cases, size_t capacity)
{
    FILE *f = fopen(GOLDEN "cases.txt", "r");
    cr_assert_not_null(f);
    size_t n = 0;
    while (n < capacity && fscanf(f, "%127s %127s %lf", cases[n].file, cases[n].reference, &cases[n].tolerance) == 3)
        n++;
    fclose(f);
    cr_assert_lt(n, capacity);
    cr_assert_eq(n, CASES, "%zu cases", n);
    return n;
}

static inline sal_picture read_golden(const char *name)
{
    char path[512];
    sal_picture p;
    snprintf(path, sizeof path, "%s%.200s", GOLDEN, name);
    sal_status st = sal_picture_read(&p, path, NULL);
    cr_assert_eq(st, SAL_OK, "%s: %s", name, sal_last_error());
    return p;
}

static inline sal_picture read_golden_for(const char *name, const sal_preprocess *how, int64_t channels)
{
    char path[512];
    sal_picture p;
    snprintf(path, sizeof path, "%s%.200s", GOLDEN, name);
    sal_status st = sal_picture_read_for(&p, path, how, channels, NULL);
    cr_assert_eq(st, SAL_OK, "%s: %s", name, sal_last_error());
    return p;
}

static inline double sample_at(const sal_picture *p, size_t index)
{
    switch (p->type) {
    case SAL_SAMPLE_U8: return ((const unsigned char *)p->samples)[index];
    case SAL_SAMPLE_U16: return ((const uint16_t *)p->samples)[index];
    case SAL_SAMPLE_F32: return ((const float *)p->samples)[index];
    }
    return NAN;
}

static inline size_t sample_count(const sal_picture *p)
{
    return (size_t)(p->height * p->width * p->channels);
}

/* Largest difference; NaN and unequal infinities count as infinite. */
static inline double largest_difference(const double *a, const double *b, size_t n)
{
    double largest = 0.0;
    for (size_t i = 0; i < n; i++) {
        double d = a[i] == b[i] ? 0.0 : fabs(a[i] - b[i]);
        if (!(d <= largest))
            largest = isnan(d) ? INFINITY : d;
    }
    return largest;
}

/* Infinite also where sizes or types differ. */
static inline double picture_difference(const sal_picture *a, const sal_picture *b)
{
    if (a->height != b->height || a->width != b->width || a->channels != b->channels || a->type != b->type)
        return INFINITY;
    double largest = 0.0;
    for (size_t i = 0; i < sample_count(a); i++) {
        double va = sample_at(a, i);
        double vb = sample_at(b, i);
        double d = largest_difference(&va, &vb, 1);
        largest = d > largest ? d : largest;
    }
    return largest;
}

static inline const char *scratch_path(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%.100s", SAL_TEST_BINARY_DIR, name);
    return path;
}

static inline void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(bytes, 1, size, f), size);
    cr_assert_eq(fclose(f), 0);
}

#endif
