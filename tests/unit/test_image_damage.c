/* Damaged files: every golden file cut at every length and with bytes changed gives a
 * picture or an error. Worth most under the address and undefined-behaviour sanitizers. */
#include "test_image_support.h"

#include <stdlib.h>

enum { MAX_CASES = 256, MAX_SIZE = 16384 };

static image_case cases[MAX_CASES];
static unsigned char bytes[MAX_SIZE];

static size_t load(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s%.200s", GOLDEN, name);
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f, "%s", path);
    size_t size = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    cr_assert(size > 0 && size < sizeof bytes, "%s: %zu bytes", path, size);
    return size;
}

/* Decodes a copy of just this size, so that a read beyond it is seen. */
static sal_status decode(const unsigned char *from, size_t size)
{
    unsigned char *copy = malloc(size ? size : 1);
    memcpy(copy, from, size);
    sal_image_source source = {.bytes = copy, .size = size, .path = "damaged", .max_pixels = 1 << 16};
    sal_picture p;
    sal_status st = sal_source_decode(&p, &source);
    if (st == SAL_OK) {
        /* What is given back is whole: read all of it. */
        volatile double sum = 0.0;
        for (size_t i = 0; i < sample_count(&p); i++)
            sum += sample_at(&p, i);
        (void)sum;
        cr_expect_gt(sample_count(&p), 0);
    } else {
        cr_expect_null(p.samples);
        cr_expect_not_null(strstr(sal_last_error(), "damaged"), "\"%s\" names no file", sal_last_error());
    }
    sal_picture_clear(&p);
    free(copy);
    return st;
}

/* A file cut short is an error, but for formats whose data may end before the file does. */
static void check_cut(const char *prefix, size_t spare)
{
    size_t n = read_cases(cases, MAX_CASES), checked = 0;
    for (size_t i = 0; i < n; i++) {
        if (strncmp(cases[i].file, prefix, strlen(prefix)) != 0)
            continue;
        checked++;
        size_t size = load(cases[i].file);
        for (size_t cut = 0; cut < size; cut++) {
            sal_status st = decode(bytes, cut);
            if (cut + spare < size)
                cr_expect_neq(st, SAL_OK, "%s of %zu bytes, cut at %zu, was read", cases[i].file, size, cut);
        }
    }
    cr_assert_gt(checked, 0);
}

Test(damage, a_cut_png_is_an_error_at_every_length, .timeout = 300)
{
    check_cut("png-", 0);
}

Test(damage, a_cut_jpeg_is_an_error_at_every_length, .timeout = 300)
{
    check_cut("jpeg-", 0);
}

/* Counts how often it was asked, and refuses. */
static sal_status refuse(void *count, uint64_t size)
{
    ++*(int *)count;
    return sal_fail(SAL_ERROR_MEMORY, "no %llu bytes", (unsigned long long)size);
}

/* libjpeg reads all scans of a progressive file when it starts, into memory for all coefficients: who is refused does
 * not get as far as the end that is missing. */
Test(damage, a_progressive_jpeg_is_refused_before_its_scans_are_read)
{
    int count = 0;
    const sal_image_gate gate = {refuse, &count};
    sal_image_source source = {.bytes = bytes, .path = "cut", .max_pixels = 1 << 16};
    sal_picture p;
    source.size = load("jpeg-progressive.jpg") - 40;
    cr_expect_eq(sal_source_decode(&p, &source), SAL_ERROR_FORMAT, "%s", sal_last_error());
    source.max_memory = 1;
    cr_expect_eq(sal_source_decode(&p, &source), SAL_ERROR_LIMIT, "%s", sal_last_error());
    source.max_memory = 0;
    source.gate = &gate;
    cr_expect_eq(sal_source_decode(&p, &source), SAL_ERROR_MEMORY, "%s", sal_last_error());
    cr_expect_eq(count, 1, "asked %d times", count);
}

Test(damage, a_cut_npy_is_an_error_at_every_length, .timeout = 300)
{
    check_cut("npy-", 0);
}

/* Directories, texts and thumbnails may follow a TIFF's pixels: only crashes count. */
Test(damage, a_cut_tiff_never_crashes, .timeout = 300)
{
    check_cut("tiff-", MAX_SIZE);
}

/* A TIFF whose pixels come last, cut inside them. */
Test(damage, a_tiff_cut_in_its_pixels_is_an_error)
{
    static const char *const files[] = {"tiff-gray8.tif", "tiff-rgb8-deflate.tif", "tiff-gray32.tif", "tiff-tiled8.tif",
                                        "tiff-planar8.tif"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        size_t size = load(files[i]);
        for (size_t cut = size - 60; cut < size; cut++)
            cr_expect_neq(decode(bytes, cut), SAL_OK, "%s cut at %zu of %zu was read", files[i], cut, size);
    }
}

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* Each byte in turn set to telling values, then some at random together. */
static void check_changed(const char *prefix)
{
    static const unsigned char values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    size_t n = read_cases(cases, MAX_CASES), checked = 0;
    uint32_t state = 1;
    for (size_t i = 0; i < n; i++) {
        if (strncmp(cases[i].file, prefix, strlen(prefix)) != 0)
            continue;
        checked++;
        size_t size = load(cases[i].file);
        /* Beyond the headers one value a byte is enough. */
        for (size_t at = 0; at < size; at++)
            for (size_t v = 0; v < (at < 256 ? sizeof values : 1); v++) {
                unsigned char before = bytes[at];
                bytes[at] = at < 256 ? values[v] : (unsigned char)(before ^ (1U << at % 8));
                decode(bytes, size);
                bytes[at] = before;
            }
        for (int round = 0; round < 100; round++) {
            for (int k = 0; k < 4; k++)
                bytes[next_random(&state) % size] = (unsigned char)next_random(&state);
            decode(bytes, size);
            if (round % 8 == 7)
                size = load(cases[i].file);
        }
    }
    cr_assert_gt(checked, 0);
}

Test(damage, a_changed_png_never_crashes, .timeout = 300)
{
    check_changed("png-");
}

Test(damage, a_changed_jpeg_never_crashes, .timeout = 300)
{
    check_changed("jpeg-");
}

Test(damage, a_changed_tiff_never_crashes, .timeout = 300)
{
    check_changed("tiff-");
}

Test(damage, a_changed_npy_never_crashes, .timeout = 300)
{
    check_changed("npy-");
}

static const unsigned char exif[] = "II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0";

Test(damage, exif_is_read_only_within_its_segment)
{
    for (size_t size = 0; size < sizeof exif - 1; size++) {
        unsigned char *copy = malloc(size ? size : 1);
        memcpy(copy, exif, size);
        int orientation = sal_exif_orientation(copy, size);
        cr_expect(orientation == 1 || orientation == 6);
        free(copy);
    }
    cr_expect_eq(sal_exif_orientation(exif, sizeof exif - 1), 6);
    for (size_t at = 0; at < sizeof exif - 1; at++)
        for (int value = 0; value < 256; value++) {
            unsigned char *copy = malloc(sizeof exif - 1);
            memcpy(copy, exif, sizeof exif - 1);
            copy[at] = (unsigned char)value;
            int orientation = sal_exif_orientation(copy, sizeof exif - 1);
            cr_expect(orientation >= 1 && orientation <= 8);
            free(copy);
        }
}
