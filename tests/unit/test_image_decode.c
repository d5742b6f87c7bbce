/* Decoding against Pillow and tifffile: tests/golden/image holds files and what is in them. */
#include "test_image_support.h"

#include <unistd.h>

enum { MAX_CASES = 256 };

static image_case cases[MAX_CASES];

/* Every case of one format: those whose file name starts with `prefix`. */
static void check_cases(const char *prefix, size_t count)
{
    size_t n = read_cases(cases, MAX_CASES);
    size_t checked = 0;
    for (size_t i = 0; i < n; i++) {
        if (strncmp(cases[i].file, prefix, strlen(prefix)) != 0)
            continue;
        /* Those of several pages as stacks of channels. */
        const sal_preprocess stack = {.pages = SAL_PAGES_CHANNELS};
        sal_picture found = read_golden_for(cases[i].file, &stack, 0);
        sal_picture wanted = read_golden(cases[i].reference);
        double d = picture_difference(&found, &wanted);
        cr_expect(d <= cases[i].tolerance,
                  "%s: differs by %g, allowed %g (%lld x %lld x %lld type %d, wanted %lld x %lld x %lld type %d)",
                  cases[i].file, d, cases[i].tolerance, (long long)found.height, (long long)found.width,
                  (long long)found.channels, found.type, (long long)wanted.height, (long long)wanted.width,
                  (long long)wanted.channels, wanted.type);
        sal_picture_clear(&found);
        sal_picture_clear(&wanted);
        checked++;
    }
    cr_assert_eq(checked, count, "%zu cases", checked);
}

Test(comparison, fails_on_nan_infinity_and_size)
{
    double numbers[] = {1.0, NAN, INFINITY};
    double same[] = {1.0, 1.0, INFINITY};
    cr_expect_eq(largest_difference(numbers, same, 1), 0.0);
    cr_expect_eq(largest_difference(numbers, same, 2), INFINITY);
    cr_expect_eq(largest_difference(numbers + 2, same + 2, 1), 0.0);
    cr_expect_eq(largest_difference(numbers + 2, same, 1), INFINITY);
    cr_expect_eq(largest_difference(numbers + 1, numbers + 1, 1), INFINITY);
    sal_picture a = {.height = 1, .width = 2, .channels = 1};
    sal_picture b = {.height = 2, .width = 1, .channels = 1};
    cr_expect_eq(picture_difference(&a, &b), INFINITY);
}

Test(decode, png_of_every_kind_depth_and_interlace_equals_its_samples)
{
    check_cases("png-", 52);
}

Test(decode, jpeg_equals_pillow_in_every_colour_space_and_orientation)
{
    check_cases("jpeg-", 16);
}

Test(decode, tiff_equals_tifffile_in_strips_tiles_planes_and_pages)
{
    check_cases("tiff-", 32);
}

Test(decode, npy_equals_numpy_for_every_type_order_and_version)
{
    check_cases("npy-", 11);
}

/* The reader of references itself, against bytes written out by hand. */
Test(decode, npy_reads_known_bytes)
{
    static const char header[] =
        "\x93NUMPY\x01\0\x3f\0{'descr': '<u2', 'fortran_order': False, 'shape': (2, 3), }   \n";
    unsigned char file[sizeof header - 1 + 12];
    memcpy(file, header, sizeof header - 1);
    for (int i = 0; i < 12; i++)
        file[sizeof header - 1 + (size_t)i] = (unsigned char)(i + 1);
    sal_image_source source = {.bytes = file, .size = sizeof file, .path = "hand", .max_pixels = 1 << 20};
    sal_picture p;
    cr_assert_eq(sal_source_decode(&p, &source), SAL_OK, "%s", sal_last_error());
    cr_expect_eq(p.height, 2);
    cr_expect_eq(p.width, 3);
    cr_expect_eq(p.channels, 1);
    cr_expect_eq(p.type, SAL_SAMPLE_U16);
    cr_expect_eq(((uint16_t *)p.samples)[0], 0x0201);
    cr_expect_eq(((uint16_t *)p.samples)[5], 0x0c0b);
    sal_picture_clear(&p);
}

/* ---- What is refused ---------------------------------------------------- */

static void expect_refused(const char *path, const sal_limits *limits, sal_status wanted)
{
    sal_picture p;
    memset(&p, 0xff, sizeof p);
    sal_status st = sal_picture_read(&p, path, limits);
    cr_expect_eq(st, wanted, "%s: %s instead of %s", path, sal_status_name(st), sal_status_name(wanted));
    cr_expect_not_null(strstr(sal_last_error(), path), "\"%s\" does not name %s", sal_last_error(), path);
    cr_expect_null(p.samples);
}

Test(refusal, absent_files_folders_and_empty_files_are_named)
{
    expect_refused(GOLDEN "there-is-no-such.png", NULL, SAL_ERROR_IO);
    expect_refused(GOLDEN, NULL, SAL_ERROR_IO);
    const char *empty = scratch_path("test_image_empty.png");
    write_file(empty, "", 0);
    expect_refused(empty, NULL, SAL_ERROR_FORMAT);
    unlink(empty);
}

Test(refusal, unknown_content_is_named_whatever_the_file_is_called)
{
    const char *path = scratch_path("test_image_text.png");
    write_file(path, "hello, world", 12);
    expect_refused(path, NULL, SAL_ERROR_FORMAT);
    unlink(path);
}

Test(refusal, every_format_obeys_the_pixel_limit)
{
    static const char *const files[] = {GOLDEN "png-rgb8.png", GOLDEN "png-gray1-interlaced.png", GOLDEN "jpeg-420.jpg",
                                        GOLDEN "tiff-rgb8.tif", GOLDEN "npy-u1.npy"};
    const sal_limits below = {.size = sizeof(sal_limits), .max_pixels = 13 * 19 - 1};
    const sal_limits exact = {.size = sizeof(sal_limits), .max_pixels = 13 * 19};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        sal_picture p;
        expect_refused(files[i], &below, SAL_ERROR_LIMIT);
        cr_expect_eq(sal_picture_read(&p, files[i], &exact), SAL_OK, "%s", sal_last_error());
        sal_picture_clear(&p);
    }
}

Test(refusal, many_channels_count_against_the_limit)
{
    const sal_limits below = {.size = sizeof(sal_limits), .max_pixels = 13 * 19};
    const sal_preprocess stack = {.pages = SAL_PAGES_CHANNELS};
    sal_picture p;
    cr_expect_eq(sal_picture_read_for(&p, GOLDEN "tiff-pages-rgb.tif", &stack, 0, &below), SAL_ERROR_LIMIT);
    expect_refused(GOLDEN "tiff-channels9.tif", &below, SAL_ERROR_LIMIT);
}

/* A changed header with its right checksum, so that only the sizes are wrong. */
Test(refusal, a_small_png_that_declares_a_huge_picture_is_truncated)
{
    static const unsigned char huge[] =
        "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x80\0\0\0\x7f\xff\x08\2\0\0\0\x3d\xec\xd5\xd4"
        "\0\0\0\0IDAT\x35\xaf\x06\x1e";
    const char *path = scratch_path("test_image_huge.png");
    write_file(path, huge, sizeof huge - 1);
    expect_refused(path, NULL, SAL_ERROR_FORMAT);
    unlink(path);
}

static void expect_npy_refused(const char *dict, sal_status wanted)
{
    unsigned char file[256] = "\x93NUMPY\x01";
    size_t length = strlen(dict);
    file[8] = (unsigned char)length;
    memcpy(file + 10, dict, length + 1);
    const char *path = scratch_path("test_image_dict.npy");
    write_file(path, file, 10 + length + 16);
    expect_refused(path, NULL, wanted);
    unlink(path);
}

Test(refusal, npy_headers_that_do_not_fit_a_picture)
{
    expect_npy_refused("{'descr': '<i4', 'fortran_order': False, 'shape': (2, 2), }", SAL_ERROR_UNSUPPORTED);
    expect_npy_refused("{'descr': '>f4', 'fortran_order': False, 'shape': (2, 2), }", SAL_ERROR_UNSUPPORTED);
    expect_npy_refused("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 2), }", SAL_ERROR_UNSUPPORTED);
    expect_npy_refused("{'descr': '|u1', 'fortran_order': False, 'shape': (4,), }", SAL_ERROR_UNSUPPORTED);
    expect_npy_refused("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 1, 1, 1), }", SAL_ERROR_UNSUPPORTED);
    expect_npy_refused("{'descr': '|u1', 'fortran_order': False, 'shape': (0, 3), }", SAL_ERROR_FORMAT);
    expect_npy_refused("{'descr': '|u1', 'fortran_order': False, 'shape': (5, 4), }", SAL_ERROR_FORMAT);
    expect_npy_refused("{'descr': '|u1', 'fortran_order': False, }", SAL_ERROR_FORMAT);
    expect_npy_refused("{'descr': '|u1', 'fortran_order': Maybe, 'shape': (2, 2), }", SAL_ERROR_FORMAT);
    expect_npy_refused("{'descr': '<f8', 'fortran_order': True, 'shape': (4294967296, 4294967296), }", SAL_ERROR_LIMIT);
    expect_npy_refused("{'descr': '<f8', 'fortran_order': True, 'shape': (99999999999999999999, 2), }",
                       SAL_ERROR_LIMIT);
}
