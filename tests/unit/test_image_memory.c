/* Pictures and maps as bytes in memory: what files give and hold, without the files. */
#include "test_image_support.h"

#include <stdlib.h>
#include <sys/resource.h>

enum { MAX_CASES = 256 };

static image_case cases[MAX_CASES];

/* A file's bytes with nothing behind them; free with free(). */
static unsigned char *load(size_t *size, const char *path)
{
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f, "%s", path);
    cr_assert_eq(fseek(f, 0, SEEK_END), 0);
    *size = (size_t)ftell(f);
    rewind(f);
    unsigned char *bytes = malloc(*size ? *size : 1);
    cr_assert_eq(fread(bytes, 1, *size, f), *size);
    fclose(f);
    return bytes;
}

static unsigned char *load_golden(size_t *size, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s%.200s", GOLDEN, name);
    return load(size, path);
}

static int is_same(const sal_picture *a, const sal_picture *b)
{
    return a->height == b->height && a->width == b->width && a->channels == b->channels && a->type == b->type &&
           a->meaning == b->meaning && a->orientation == b->orientation &&
           memcmp(a->samples, b->samples, sample_count(a) * sal_sample_size(a->type)) == 0;
}

Test(decode, gives_the_picture_of_the_file_for_every_format)
{
    const size_t n = read_cases(cases, MAX_CASES);
    for (size_t i = 0; i < n; i++) {
        size_t size;
        unsigned char *bytes = load_golden(&size, cases[i].file);
        const sal_preprocess stack = {.pages = SAL_PAGES_CHANNELS};
        sal_picture file = read_golden_for(cases[i].file, &stack, 0), memory;
        cr_assert_eq(sal_picture_decode_for(&memory, bytes, size, &stack, 0, NULL), SAL_OK, "%s: %s", cases[i].file,
                     sal_last_error());
        cr_expect(is_same(&memory, &file), "%s is another picture in memory", cases[i].file);
        sal_picture_clear(&memory);
        sal_picture_clear(&file);
        free(bytes);
    }
}

/* The same error as of a file that was cut there, but for its name. */
static void check_cut(const unsigned char *bytes, size_t cut, const char *name)
{
    const char *path = scratch_path("cut");
    char expected[1024];
    sal_picture p;
    write_file(path, bytes, cut);
    const sal_status st = sal_picture_read(&p, path, NULL);
    sal_picture_clear(&p);
    snprintf(expected, sizeof expected, "picture in memory%s", st == SAL_OK ? "" : sal_last_error() + strlen(path));
    unsigned char *copy = malloc(cut ? cut : 1); /* of just this size: a read beyond it is seen */
    memcpy(copy, bytes, cut);
    cr_expect_eq(sal_picture_decode(&p, copy, cut, NULL), st, "%s cut at %zu", name, cut);
    if (st != SAL_OK)
        cr_expect_str_eq(sal_last_error(), expected);
    cr_expect_eq(p.samples != NULL, st == SAL_OK);
    sal_picture_clear(&p);
    free(copy);
}

Test(decode, of_truncated_bytes_is_a_format_error_in_every_format)
{
    static const char *const files[] = {"png-rgb16-interlaced.png", "jpeg-progressive.jpg", "tiff-rgb8-deflate.tif",
                                        "tiff-tiled8.tif", "npy-f4.npy"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        size_t size;
        sal_picture p;
        unsigned char *bytes = load_golden(&size, files[i]);
        const size_t cuts[] = {0, 1, 2, 3, 4, 6, 8, 12, 33, size / 4, size / 2, size - 60};
        for (size_t k = 0; k < sizeof cuts / sizeof *cuts; k++) {
            check_cut(bytes, cuts[k], files[i]);
            cr_expect_eq(sal_picture_decode(&p, bytes, cuts[k], NULL), SAL_ERROR_FORMAT, "%s of %zu bytes cut at %zu",
                         files[i], size, cuts[k]);
            cr_expect_null(p.samples);
        }
        free(bytes);
    }
}

Test(decode, keeps_to_the_limits_of_files)
{
    sal_limits few = SAL_LIMITS_INIT, little = SAL_LIMITS_INIT;
    few.max_pixels = 10;
    little.max_memory = 64;
    size_t size;
    unsigned char *bytes = load_golden(&size, "png-rgb16.png");
    sal_picture p;
    cr_expect_eq(sal_picture_decode(&p, bytes, size, &few), SAL_ERROR_LIMIT);
    cr_expect_not_null(strstr(sal_last_error(), "the limit is 10 pixels"), "%s", sal_last_error());
    cr_expect_eq(sal_picture_decode(&p, bytes, size, &little), SAL_ERROR_LIMIT);
    cr_expect_not_null(strstr(sal_last_error(), "--max-memory"), "%s", sal_last_error());
    free(bytes);
    /* More bytes than any picture within the limit needs are not even looked at. */
    const size_t huge = ((size_t)1 << 26) + 65 * 10;
    unsigned char *zeros = calloc(huge, 1);
    cr_expect_eq(sal_picture_decode(&p, zeros, huge, &few), SAL_ERROR_LIMIT);
    cr_expect_not_null(strstr(sal_last_error(), "bytes, the limit is"), "%s", sal_last_error());
    free(zeros);
}

static sal_picture ramp(int64_t height, int64_t width, int64_t channels, sal_sample_type type)
{
    sal_picture p;
    cr_assert_eq(sal_picture_new(&p, height, width, channels, type), SAL_OK);
    for (size_t i = 0; i < sample_count(&p); i++) {
        if (type == SAL_SAMPLE_U16)
            ((uint16_t *)p.samples)[i] = (uint16_t)(i * 40503U);
        else
            ((unsigned char *)p.samples)[i] = (unsigned char)(i * 37U);
    }
    return p;
}

static void check_file(void *bytes, size_t size, const char *path)
{
    size_t expected;
    unsigned char *file = load(&expected, path);
    cr_expect(size == expected && memcmp(bytes, file, size) == 0, "%s has other bytes", path);
    free(file);
    sal_bytes_free(bytes);
}

Test(encode, gives_the_bytes_of_png_files)
{
    for (int64_t channels = 1; channels <= 4; channels++)
        for (int deep = 0; deep < 2; deep++) {
            const char *path = scratch_path("encoded.png");
            sal_picture p = ramp(19, 23, channels, deep ? SAL_SAMPLE_U16 : SAL_SAMPLE_U8);
            void *bytes;
            size_t size;
            cr_assert_eq(sal_picture_write_png(path, &p), SAL_OK, "%s", sal_last_error());
            cr_assert_eq(sal_picture_encode(&bytes, &size, &p, SAL_PICTURE_PNG), SAL_OK, "%s", sal_last_error());
            check_file(bytes, size, path);
            sal_picture_clear(&p);
        }
}

Test(encode, gives_the_bytes_of_jpeg_files)
{
    for (int64_t channels = 1; channels <= 3; channels += 2) {
        const char *path = scratch_path("encoded.jpg");
        sal_picture p = ramp(40, 33, channels, SAL_SAMPLE_U8);
        void *bytes;
        size_t size;
        cr_assert_eq(sal_jpeg_write(path, &p, SAL_JPEG_QUALITY), SAL_OK, "%s", sal_last_error());
        cr_assert_eq(sal_picture_encode(&bytes, &size, &p, SAL_PICTURE_JPEG), SAL_OK, "%s", sal_last_error());
        check_file(bytes, size, path);
        sal_picture_clear(&p);
    }
}

Test(encode, refuses_what_a_format_does_not_hold)
{
    void *bytes = &bytes;
    size_t size = 7;
    sal_picture two = ramp(4, 4, 2, SAL_SAMPLE_U8), deep = ramp(4, 4, 3, SAL_SAMPLE_U16),
                many = ramp(4, 4, 5, SAL_SAMPLE_U8);
    sal_picture floats = deep;
    floats.type = SAL_SAMPLE_F32;
    cr_expect_eq(sal_picture_encode(&bytes, &size, &two, SAL_PICTURE_JPEG), SAL_ERROR_ARGUMENT);
    cr_expect(!bytes && size == 0, "a failure leaves no bytes");
    cr_expect_eq(sal_picture_encode(&bytes, &size, &deep, SAL_PICTURE_JPEG), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_picture_encode(&bytes, &size, &many, SAL_PICTURE_PNG), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_picture_encode(&bytes, &size, &floats, SAL_PICTURE_PNG), SAL_ERROR_ARGUMENT);
    cr_expect_not_null(strstr(sal_last_error(), "picture in memory"), "%s", sal_last_error());
    two.width = 65501;
    two.channels = 1;
    cr_expect_eq(sal_picture_encode(&bytes, &size, &two, SAL_PICTURE_JPEG), SAL_ERROR_UNSUPPORTED);
    cr_expect(!bytes && size == 0);
    sal_picture_clear(&two);
    sal_picture_clear(&deep);
    sal_picture_clear(&many);
}

Test(encode, gives_the_bytes_of_map_files)
{
    enum { HEIGHT = 12, WIDTH = 17 };
    static const int64_t shape[2] = {HEIGHT, WIDTH};
    float map[HEIGHT * WIDTH];
    void *bytes;
    size_t size;
    sal_picture gray;
    for (int i = 0; i < HEIGHT * WIDTH; i++)
        map[i] = (float)i / (HEIGHT * WIDTH - 1);
    cr_assert_eq(sal_npy_write(scratch_path("map.npy"), map, shape, 2), SAL_OK);
    cr_assert_eq(sal_map_encode(&bytes, &size, map, HEIGHT, WIDTH, SAL_MAPS_NPY), SAL_OK, "%s", sal_last_error());
    check_file(bytes, size, scratch_path("map.npy"));
    cr_assert_eq(sal_npz_write(scratch_path("map.npz"), "map", map, shape, 2), SAL_OK);
    cr_assert_eq(sal_map_encode(&bytes, &size, map, HEIGHT, WIDTH, SAL_MAPS_NPZ), SAL_OK, "%s", sal_last_error());
    check_file(bytes, size, scratch_path("map.npz"));
    cr_assert_eq(sal_map_encode(&bytes, &size, map, HEIGHT, WIDTH, SAL_MAPS_PNG16), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(sal_picture_decode(&gray, bytes, size, NULL), SAL_OK, "%s", sal_last_error());
    cr_assert(gray.height == HEIGHT && gray.width == WIDTH && gray.channels == 1 && gray.type == SAL_SAMPLE_U16);
    for (int i = 0; i < HEIGHT * WIDTH; i++)
        cr_expect_eq(((const uint16_t *)gray.samples)[i], lrintf(map[i] * 65535.0f), "value %d", i);
    sal_picture_clear(&gray);
    sal_bytes_free(bytes);
}

Test(encode, keeps_what_png_cannot_hold_out_of_it)
{
    const float odd[] = {-1e-6f, 1.0001f, NAN, INFINITY};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        const float map[4] = {0.0f, 1.0f, 0.5f, odd[i]};
        void *bytes = &bytes;
        size_t size;
        cr_expect_eq(sal_map_encode(&bytes, &size, map, 2, 2, SAL_MAPS_PNG16), SAL_ERROR_ARGUMENT, "%g",
                     (double)odd[i]);
        cr_expect_not_null(strstr(sal_last_error(), "pixel 3"), "%s", sal_last_error());
        cr_expect_null(bytes);
        cr_expect_eq(sal_map_encode(&bytes, &size, map, 2, 2, SAL_MAPS_NPY), SAL_OK, ".npy holds any float");
        sal_bytes_free(bytes);
    }
}

Test(encode, takes_arrays_of_any_shape)
{
    static const float values[24] = {1.0f, 2.0f};
    static const int64_t shape[5] = {2, 3, 1, 4, 1}, huge[2] = {INT64_MAX, INT64_MAX}, negative[1] = {-1};
    void *bytes;
    size_t size;
    for (int rank = 0; rank <= 5; rank++) {
        cr_assert_eq(sal_npy_write(scratch_path("any.npy"), values, shape, rank), SAL_OK);
        cr_assert_eq(sal_npy_encode(&bytes, &size, values, rank ? shape : NULL, rank), SAL_OK, "%s", sal_last_error());
        check_file(bytes, size, scratch_path("any.npy"));
    }
    cr_expect_eq(sal_npy_encode(&bytes, &size, values, huge, 2), SAL_ERROR_LIMIT);
    cr_expect_eq(sal_npy_encode(&bytes, &size, values, negative, 1), SAL_ERROR_ARGUMENT);
    cr_expect_null(bytes);
}

/* The stream behind an encoder fails to write where memory runs out: that is no full disk. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
Test(encode, says_that_memory_ran_out)
{
    enum { SIDE = 3000 };
    sal_picture p = ramp(SIDE, SIDE, 4, SAL_SAMPLE_U16);
    void *bytes;
    size_t size;
    unsigned long pages = 0;
    uint32_t noise = 1;
    for (size_t i = 0; i < sample_count(&p); i++) { /* noise does not get smaller */
        noise = noise * 1664525U + 1013904223U;
        ((uint16_t *)p.samples)[i] = (uint16_t)(noise >> 16);
    }
    FILE *own = fopen("/proc/self/statm", "r");
    cr_assert_not_null(own);
    cr_assert_eq(fscanf(own, "%lu", &pages), 1);
    fclose(own);
    const struct rlimit limit = {pages * 4096 + (8 << 20), RLIM_INFINITY};
    cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
    cr_expect_eq(sal_picture_encode(&bytes, &size, &p, SAL_PICTURE_PNG), SAL_ERROR_MEMORY, "%s", sal_last_error());
    cr_expect(!bytes && size == 0);
    sal_picture_clear(&p);
}
#endif
