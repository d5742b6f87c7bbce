/* Encoding, turning and rendering for the eye. */
#include "test_image_support.h"

#include "base/shade.h"

#include <float.h>
#include <stdlib.h>
#include <unistd.h>

static sal_picture make(int64_t height, int64_t width, int64_t channels, sal_sample_type type)
{
    sal_picture p;
    cr_assert_eq(sal_picture_new(&p, height, width, channels, type), SAL_OK);
    for (size_t i = 0; i < sample_count(&p); i++) {
        if (type == SAL_SAMPLE_U8)
            ((unsigned char *)p.samples)[i] = (unsigned char)(i * 37 + i / 11);
        else if (type == SAL_SAMPLE_U16)
            ((uint16_t *)p.samples)[i] = (uint16_t)(i * 9973 + i / 11);
        else
            ((float *)p.samples)[i] = (float)i * 0.37F - 5.0F;
    }
    return p;
}

Test(write_png, reads_back_equal_for_every_channel_count_and_depth)
{
    const char *path = scratch_path("test_image_write.png");
    for (int channels = 1; channels <= 4; channels++)
        for (int type = SAL_SAMPLE_U8; type <= SAL_SAMPLE_U16; type++) {
            sal_picture p = make(17, 31, channels, (sal_sample_type)type);
            sal_picture q;
            cr_assert_eq(sal_picture_write_png(path, &p), SAL_OK, "%s", sal_last_error());
            cr_assert_eq(sal_picture_read(&q, path, NULL), SAL_OK, "%s", sal_last_error());
            cr_expect_eq(picture_difference(&p, &q), 0.0, "%d channels, type %d", channels, type);
            sal_picture_clear(&p);
            sal_picture_clear(&q);
        }
    unlink(path);
}

Test(write_png, refuses_what_png_cannot_hold)
{
    const char *path = scratch_path("test_image_refused.png");
    sal_picture p = make(3, 4, 3, SAL_SAMPLE_F32);
    cr_expect_eq(sal_picture_write_png(path, &p), SAL_ERROR_ARGUMENT);
    sal_picture_clear(&p);
    p = make(3, 4, 5, SAL_SAMPLE_U8);
    cr_expect_eq(sal_picture_write_png(path, &p), SAL_ERROR_ARGUMENT);
    sal_picture_clear(&p);
    cr_expect_eq(sal_picture_write_png(path, &p), SAL_ERROR_ARGUMENT);
    cr_expect_neq(access(path, F_OK), 0);
}

Test(write_png, names_the_file_that_cannot_be_written)
{
    sal_picture p = make(3, 4, 3, SAL_SAMPLE_U8);
    cr_expect_eq(sal_picture_write_png("/there/is/no/such/folder.png", &p), SAL_ERROR_IO);
    cr_expect_not_null(strstr(sal_last_error(), "/there/is/no/such/folder.png"));
    sal_picture_clear(&p);
}

Test(write_npy, reads_back_equal_and_starts_its_values_at_64)
{
    const char *path = scratch_path("test_image_write.npy");
    static const int64_t shapes[][3] = {{7, 5, 0}, {2, 7, 5}, {1, 1, 0}};
    static const int ranks[] = {2, 3, 2};
    float data[70];
    for (int i = 0; i < 70; i++)
        data[i] = (float)i / 3.0F - 4.0F;
    for (int s = 0; s < 3; s++) {
        sal_picture p;
        cr_assert_eq(sal_npy_write(path, data, shapes[s], ranks[s]), SAL_OK, "%s", sal_last_error());
        FILE *f = fopen(path, "rb");
        unsigned char head[10];
        cr_assert_eq(fread(head, 1, 10, f), 10);
        fclose(f);
        cr_expect_eq((10 + head[8] + head[9] * 256) % 64, 0);
        cr_assert_eq(sal_picture_read(&p, path, NULL), SAL_OK, "%s", sal_last_error());
        cr_expect_eq(p.height, shapes[s][ranks[s] - 2]);
        cr_expect_eq(p.width, shapes[s][ranks[s] - 1]);
        cr_expect_eq(p.type, SAL_SAMPLE_F32);
        for (int64_t c = 0; c < p.channels; c++)
            for (int64_t i = 0; i < p.height * p.width; i++)
                cr_expect_eq(((float *)p.samples)[i * p.channels + c], data[c * p.height * p.width + i]);
        sal_picture_clear(&p);
    }
    unlink(path);
}

Test(write_npy, refuses_bad_shapes)
{
    const int64_t negative[] = {2, -1};
    const int64_t huge[] = {INT64_MAX, INT64_MAX};
    const int64_t ones[] = {1, 1, 1, 1, 1, 1};
    float data[1] = {0};
    cr_expect_eq(sal_npy_write(scratch_path("no.npy"), data, negative, 2), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_npy_write(scratch_path("no.npy"), data, huge, 2), SAL_ERROR_LIMIT);
    cr_expect_eq(sal_npy_write(scratch_path("no.npy"), data, ones, 6), SAL_ERROR_ARGUMENT);
}

/* Against the definition in EXIF: where the stored first row and column are shown. */
Test(orient, shows_row_0_and_column_0_where_exif_says)
{
    static const char *const shown[] = {NULL,
                                        "ab"
                                        "cd"
                                        "ef",
                                        "ba"
                                        "dc"
                                        "fe",
                                        "fe"
                                        "dc"
                                        "ba",
                                        "ef"
                                        "cd"
                                        "ab",
                                        "ace"
                                        "bdf",
                                        "eca"
                                        "fdb",
                                        "fdb"
                                        "eca",
                                        "bdf"
                                        "ace"};
    for (int64_t channels = 1; channels <= 4; channels++)
        for (int orientation = 1; orientation <= 8; orientation++) {
            sal_picture p;
            cr_assert_eq(sal_picture_new(&p, 3, 2, channels, SAL_SAMPLE_U8), SAL_OK);
            for (size_t i = 0; i < sample_count(&p); i++)
                ((char *)p.samples)[i] = (char)('a' + i / (size_t)channels);
            p.meaning = (sal_channels)channels;
            cr_assert_eq(sal_picture_orient(&p, orientation, &(sal_image_source){0}), SAL_OK);
            cr_expect_eq(p.meaning, (sal_channels)channels);
            cr_expect_eq(p.orientation, orientation);
            cr_expect_eq(p.height, orientation < 5 ? 3 : 2);
            cr_expect_eq(p.width, orientation < 5 ? 2 : 3);
            for (size_t i = 0; i < sample_count(&p); i++)
                cr_expect_eq(((char *)p.samples)[i], shown[orientation][i / (size_t)channels], "orientation %d",
                             orientation);
            sal_picture_clear(&p);
        }
}

/* ---- to_rgb8 ------------------------------------------------------------ */

static void expect_rgb(sal_picture *p, const unsigned char *wanted)
{
    sal_picture q;
    cr_assert_eq(sal_picture_to_rgb8(&q, p, NULL), SAL_OK);
    cr_expect_eq(q.height, p->height);
    cr_expect_eq(q.width, p->width);
    cr_expect_eq(q.channels, 3);
    cr_expect_eq(q.type, SAL_SAMPLE_U8);
    for (size_t i = 0; i < sample_count(&q); i++)
        cr_expect_eq(((unsigned char *)q.samples)[i], wanted[i], "sample %zu: %d, wanted %d", i,
                     ((unsigned char *)q.samples)[i], wanted[i]);
    sal_picture_clear(&q);
}

Test(orient, leaves_a_picture_as_it_is_where_that_is_asked_for)
{
    const sal_preprocess ignore = {.exif = SAL_EXIF_IGNORE};
    const sal_image_source source = {.how = &ignore};
    sal_picture p;
    cr_assert_eq(sal_picture_new(&p, 3, 2, 1, SAL_SAMPLE_U8), SAL_OK);
    const void *samples = p.samples;
    cr_assert_eq(sal_picture_orient(&p, 6, &source), SAL_OK);
    cr_expect(p.height == 3 && p.width == 2 && p.samples == samples && p.orientation == 6);
    sal_picture_clear(&p);
}

Test(to_rgb8, repeats_gray_and_takes_the_first_three_of_many)
{
    unsigned char samples[] = {10, 20, 30, 40, 50};
    sal_picture p = {.height = 1, .width = 1, .type = SAL_SAMPLE_U8, .samples = samples};
    p.channels = 1;
    expect_rgb(&p, (unsigned char[]){10, 10, 10});
    p.channels = 3;
    expect_rgb(&p, (unsigned char[]){10, 20, 30});
    p.channels = 5;
    expect_rgb(&p, (unsigned char[]){10, 20, 30});
}

Test(to_rgb8, composites_alpha_over_white)
{
    unsigned char gray[] = {100, 0, 100, 255, 0, 51};
    sal_picture p = {.height = 1,
                     .width = 3,
                     .channels = 2,
                     .type = SAL_SAMPLE_U8,
                     .samples = gray,
                     .meaning = SAL_CHANNELS_GRAY_ALPHA};
    expect_rgb(&p, (unsigned char[]){255, 255, 255, 100, 100, 100, 204, 204, 204});
    uint16_t colour[] = {0, 65535, 32896, 13107};
    sal_picture q = {.height = 1,
                     .width = 1,
                     .channels = 4,
                     .type = SAL_SAMPLE_U16,
                     .samples = colour,
                     .meaning = SAL_CHANNELS_RGBA};
    expect_rgb(&q, (unsigned char[]){204, 255, 230});
}

Test(to_rgb8, rounds_16_bits_to_8)
{
    uint16_t samples[] = {0, 128, 129, 65535, 65407, 65406};
    sal_picture p = {.height = 2, .width = 1, .channels = 3, .type = SAL_SAMPLE_U16, .samples = samples};
    expect_rgb(&p, (unsigned char[]){0, 0, 1, 255, 255, 254});
}

Test(to_rgb8, stretches_floats_and_survives_nan_infinity_and_constants)
{
    float samples[] = {-2.0F, 0.0F, 2.0F, NAN, INFINITY, -INFINITY};
    sal_picture p = {.height = 1, .width = 6, .channels = 1, .type = SAL_SAMPLE_F32, .samples = samples};
    expect_rgb(&p, (unsigned char[]){0, 0, 0, 128, 128, 128, 255, 255, 255, 0, 0, 0, 255, 255, 255, 0, 0, 0});
    float extremes[] = {-FLT_MAX, FLT_MAX};
    sal_picture q = {.height = 1, .width = 2, .channels = 1, .type = SAL_SAMPLE_F32, .samples = extremes};
    sal_picture r;
    cr_assert_eq(sal_picture_to_rgb8(&r, &q, NULL), SAL_OK);
    cr_expect_eq(((unsigned char *)r.samples)[0], 0);
    cr_expect_eq(((unsigned char *)r.samples)[3], 255);
    sal_picture_clear(&r);
    float constant[] = {7.0F, 7.0F};
    q.samples = constant;
    expect_rgb(&q, (unsigned char[]){0, 0, 0, 0, 0, 0});
}

Test(to_rgb8, is_the_row_rule_of_overlays_for_every_type_and_channel_count)
{
    enum { H = 3, W = 5, MOST = 6 };
    for (int type = SAL_SAMPLE_U8; type <= SAL_SAMPLE_F32; type++)
        for (int64_t channels = 1; channels <= MOST; channels++) {
            sal_picture p = make(H, W, channels, (sal_sample_type)type), q;
            unsigned char rgb[3 * W];
            cr_assert_eq(sal_picture_to_rgb8(&q, &p, NULL), SAL_OK);
            const sal_shade shade = sal_shade_of(&p, NULL);
            for (int64_t y = 0; y < H; y++) {
                sal_shade_row(rgb, &p, &shade, y);
                cr_expect_arr_eq((unsigned char *)q.samples + 3 * W * y, rgb, 3 * W, "type %d, %ld channels, row %ld",
                                 type, (long)channels, (long)y);
            }
            sal_picture_clear(&p);
            sal_picture_clear(&q);
        }
}
