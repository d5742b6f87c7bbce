/* From pictures to a network's input: resizing against Pillow, geometry against
 * torchvision, channels and values against their definitions. */
#include "test_image_support.h"

#include <stdlib.h>

static float *apply(sal_placement *placement, const sal_picture *picture, const sal_preprocess *p, int64_t channels,
                    int64_t height, int64_t width)
{
    size_t n = (size_t)(channels * height * width);
    float *out = malloc(n * sizeof *out);
    for (size_t i = 0; i < n; i++)
        out[i] = NAN; /* what is not written fails every comparison */
    sal_placement ignored;
    sal_status st = sal_preprocess_apply(out, placement ? placement : &ignored, picture, p, channels, height, width);
    cr_assert_eq(st, SAL_OK, "%s", sal_last_error());
    return out;
}

/* Largest difference of (C,H,W) floats and an interleaved picture. */
static double planes_difference(const float *planes, const sal_picture *picture)
{
    int64_t pixels = picture->height * picture->width;
    double largest = 0.0;
    for (int64_t i = 0; i < pixels; i++)
        for (int64_t c = 0; c < picture->channels; c++) {
            double a = planes[c * pixels + i];
            double b = sample_at(picture, (size_t)(i * picture->channels + c));
            double d = largest_difference(&a, &b, 1);
            largest = d > largest ? d : largest;
        }
    return largest;
}

/* The first channel of a picture in floats. */
static sal_picture first_channel(const sal_picture *in)
{
    sal_picture out;
    cr_assert_eq(sal_picture_new(&out, in->height, in->width, 1, SAL_SAMPLE_F32), SAL_OK);
    for (size_t i = 0; i < sample_count(&out); i++)
        ((float *)out.samples)[i] = (float)sample_at(in, i * (size_t)in->channels);
    return out;
}

typedef struct resize_case {
    char fit[32];
    char crop_resize[32];
    long long height;
    long long width;
    char name[64];
} resize_case;

/* Calls check for each line of resize.txt. */
static void for_each_resize(void (*check)(const resize_case *, const sal_picture *), size_t count)
{
    FILE *f = fopen(GOLDEN "resize.txt", "r");
    cr_assert_not_null(f);
    sal_picture source = read_golden("resize-source.npy");
    resize_case c;
    size_t n = 0;
    while (fscanf(f, "%31s %31s %lld %lld %63s", c.fit, c.crop_resize, &c.height, &c.width, c.name) == 5) {
        check(&c, &source);
        n++;
    }
    fclose(f);
    sal_picture_clear(&source);
    cr_assert_eq(n, count, "%zu cases", n);
}

static sal_preprocess options_of(const resize_case *c)
{
    sal_preprocess p = {.scale = 1.0F};
    cr_assert_eq(sal_preprocess_set(&p, "fit", c->fit), SAL_OK);
    cr_assert_eq(sal_preprocess_set(&p, "crop-resize", c->crop_resize), SAL_OK);
    return p;
}

static void check_u8(const resize_case *c, const sal_picture *source)
{
    if (strcmp(c->fit, "stretch") != 0)
        return;
    char name[96];
    snprintf(name, sizeof name, "%s-u8.npy", c->name);
    sal_picture wanted = read_golden(name);
    sal_preprocess p = options_of(c);
    float *found = apply(NULL, source, &p, 3, c->height, c->width);
    double d = planes_difference(found, &wanted);
    cr_expect(d <= 1.0, "%s: differs by %g of 255", c->name, d);
    free(found);
    sal_picture_clear(&wanted);
}

static void check_f32(const resize_case *c, const sal_picture *source)
{
    char name[96];
    snprintf(name, sizeof name, "%s-f32.npy", c->name);
    sal_picture wanted = read_golden(name);
    sal_picture floats = first_channel(source);
    sal_preprocess p = options_of(c);
    float *found = apply(NULL, &floats, &p, 1, c->height, c->width);
    double d = planes_difference(found, &wanted);
    cr_expect(d <= 1e-3, "%s: differs by %g", c->name, d);
    free(found);
    sal_picture_clear(&floats);
    sal_picture_clear(&wanted);
}

Test(resize, equals_pillow_on_8_bits_within_a_level)
{
    for_each_resize(check_u8, 20);
}

Test(resize, crop_and_letterbox_equal_pillow_and_torchvision_in_float)
{
    for_each_resize(check_f32, 20);
}

Test(resize, of_one_pixel_repeats_it)
{
    unsigned char sample = 77;
    sal_picture p = {.height = 1, .width = 1, .channels = 1, .type = SAL_SAMPLE_U8, .samples = &sample};
    static const char *const fits[] = {"stretch", "letterbox", "center-crop"};
    for (int i = 0; i < 3; i++) {
        sal_preprocess options = {.scale = 1.0F};
        cr_assert_eq(sal_preprocess_set(&options, "fit", fits[i]), SAL_OK);
        float *out = apply(NULL, &p, &options, 3, 5, 5);
        for (int k = 0; k < 75; k++)
            cr_expect(fabs(out[k] - 77.0) < 1e-4);
        free(out);
    }
}

/* Interpolation is exact on ramps; a triangle over whole pixels is a little off its centre. */
static double slack(double scale)
{
    return scale <= 1.0 ? 1e-3 : 0.04 * scale;
}

/* A picture of its own coordinates: away from borders, a resized ramp shows where it was
 * taken from, which must be what the placement says. */
Test(placement, maps_net_pixels_to_the_source_they_show)
{
    sal_picture ramp;
    cr_assert_eq(sal_picture_new(&ramp, 90, 140, 2, SAL_SAMPLE_F32), SAL_OK);
    for (int64_t y = 0; y < 90; y++)
        for (int64_t x = 0; x < 140; x++) {
            ((float *)ramp.samples)[(y * 140 + x) * 2] = (float)y + 0.5F;
            ((float *)ramp.samples)[(y * 140 + x) * 2 + 1] = (float)x + 0.5F;
        }
    static const sal_preprocess options[] = {
        {.fit = SAL_FIT_STRETCH, .fill = -1.0F, .scale = 1.0F},
        {.fit = SAL_FIT_LETTERBOX, .fill = -1.0F, .scale = 1.0F},
        {.fit = SAL_FIT_CENTER_CROP, .fill = -1.0F, .scale = 1.0F},
        {.fit = SAL_FIT_CENTER_CROP, .crop_resize = 41, .fill = -1.0F, .scale = 1.0F},
        {.fit = SAL_FIT_CENTER_CROP, .crop_resize = 20, .fill = -1.0F, .scale = 1.0F},
        {.fit = SAL_FIT_CENTER_CROP, .crop_resize = 201, .fill = -1.0F, .scale = 1.0F},
    };
    static const int sizes[][2] = {{32, 32}, {33, 47}, {60, 21}, {180, 180}};
    for (size_t o = 0; o < sizeof options / sizeof *options; o++)
        for (size_t s = 0; s < 4; s++) {
            int h = sizes[s][0];
            int w = sizes[s][1];
            sal_placement at;
            float *out = apply(&at, &ramp, &options[o], 2, h, w);
            cr_expect_eq(at.source_height, 90);
            cr_expect_eq(at.source_width, 140);
            cr_expect_eq(at.net_height, h);
            cr_expect_eq(at.net_width, w);
            int inside = 0;
            for (int y = 0; y < h; y++)
                for (int x = 0; x < w; x++) {
                    double sy = at.scale_y * (y + 0.5) + at.offset_y;
                    double sx = at.scale_x * (x + 0.5) + at.offset_x;
                    double border_y = at.scale_y + 1.0;
                    double border_x = at.scale_x + 1.0;
                    float found_y = out[y * w + x];
                    float found_x = out[(h + y) * w + x];
                    if (sy < 0.0 || sy > 90.0 || sx < 0.0 || sx > 140.0)
                        cr_expect(found_y == -1.0F && found_x == -1.0F, "padding at %d %d", y, x);
                    if (sy < border_y || sy > 90.0 - border_y || sx < border_x || sx > 140.0 - border_x)
                        continue;
                    inside++;
                    cr_expect(fabs(found_y - sy) < slack(at.scale_y), "option %zu, %dx%d: y %g, placed at %g", o, h, w,
                              found_y, sy);
                    cr_expect(fabs(found_x - sx) < slack(at.scale_x), "option %zu, %dx%d: x %g, placed at %g", o, h, w,
                              found_x, sx);
                }
            cr_expect_gt(inside, 200);
            free(out);
        }
    sal_picture_clear(&ramp);
}

/* ---- Channels and values ------------------------------------------------ */

static void expect_pixel(const void *samples, int64_t channels, sal_sample_type type, const sal_preprocess *p,
                         int64_t net_channels, const double *wanted)
{
    const sal_channels meaning = channels == 2   ? SAL_CHANNELS_GRAY_ALPHA
                                 : channels == 4 ? SAL_CHANNELS_RGBA
                                                 : SAL_CHANNELS_UNSAID;
    sal_picture picture = {.height = 1, .width = 1, .channels = channels, .type = type, .meaning = meaning};
    memcpy(&picture.samples, &samples, sizeof samples);
    float *out = apply(NULL, &picture, p, net_channels, 1, 1);
    for (int64_t c = 0; c < net_channels; c++)
        cr_expect(fabs(out[c] - wanted[c]) < 1e-4, "channel %lld: %g, wanted %g", (long long)c, (double)out[c],
                  wanted[c]);
    free(out);
}

#define D(...) ((const double[]){__VA_ARGS__})

Test(channels, follow_the_order)
{
    static const unsigned char rgb[] = {10, 200, 30};
    static const unsigned char gray[] = {90};
    const double luma = 0.299 * 10 + 0.587 * 200 + 0.114 * 30;
    sal_preprocess p = {.scale = 1.0F, .order = SAL_ORDER_AUTO};
    expect_pixel(rgb, 3, SAL_SAMPLE_U8, &p, 3, D(10, 200, 30));
    expect_pixel(rgb, 3, SAL_SAMPLE_U8, &p, 1, D(luma));
    expect_pixel(gray, 1, SAL_SAMPLE_U8, &p, 3, D(90, 90, 90));
    expect_pixel(gray, 1, SAL_SAMPLE_U8, &p, 1, D(90));
    p.order = SAL_ORDER_RGB;
    expect_pixel(rgb, 3, SAL_SAMPLE_U8, &p, 3, D(10, 200, 30));
    expect_pixel(gray, 1, SAL_SAMPLE_U8, &p, 3, D(90, 90, 90));
    p.order = SAL_ORDER_BGR;
    expect_pixel(rgb, 3, SAL_SAMPLE_U8, &p, 3, D(30, 200, 10));
    expect_pixel(gray, 1, SAL_SAMPLE_U8, &p, 3, D(90, 90, 90));
    p.order = SAL_ORDER_GRAY;
    expect_pixel(rgb, 3, SAL_SAMPLE_U8, &p, 4, D(luma, luma, luma, luma));
    p.order = SAL_ORDER_ASIS;
    expect_pixel(rgb, 3, SAL_SAMPLE_U8, &p, 3, D(10, 200, 30));
}

Test(channels, alpha_is_composited_over_white_but_kept_asis)
{
    static const unsigned char rgba[] = {0, 100, 255, 51};
    static const unsigned char gray_alpha[] = {100, 0};
    static const uint16_t rgba16[] = {0, 257 * 100, 65535, 257 * 51};
    sal_preprocess p = {.scale = 1.0F, .order = SAL_ORDER_AUTO};
    expect_pixel(rgba, 4, SAL_SAMPLE_U8, &p, 3, D(204, 224, 255));
    expect_pixel(rgba16, 4, SAL_SAMPLE_U16, &p, 3, D(204, 224, 255));
    expect_pixel(gray_alpha, 2, SAL_SAMPLE_U8, &p, 3, D(255, 255, 255));
    expect_pixel(gray_alpha, 2, SAL_SAMPLE_U8, &p, 1, D(255));
    expect_pixel(rgba, 4, SAL_SAMPLE_U8, &p, 4, D(0, 100, 255, 51));
    p.order = SAL_ORDER_BGR;
    expect_pixel(rgba, 4, SAL_SAMPLE_U8, &p, 3, D(255, 224, 204));
    p.order = SAL_ORDER_ASIS;
    expect_pixel(rgba, 4, SAL_SAMPLE_U8, &p, 4, D(0, 100, 255, 51));
}

Test(channels, luma_equals_pillow_within_a_level)
{
    sal_picture source = read_golden("resize-source.npy");
    sal_picture wanted = read_golden("resize-luma.npy");
    sal_preprocess p = {.scale = 1.0F, .order = SAL_ORDER_GRAY};
    float *found = apply(NULL, &source, &p, 1, source.height, source.width);
    cr_expect(planes_difference(found, &wanted) <= 0.51);
    free(found);
    sal_picture_clear(&source);
    sal_picture_clear(&wanted);
}

Test(channels, nine_pages_feed_nine_channels)
{
    sal_preprocess p = {.pages = SAL_PAGES_CHANNELS, .scale = 1.0F};
    sal_picture pages = read_golden_for("tiff-pages-rgb.tif", &p, 9);
    float *found = apply(NULL, &pages, &p, 9, pages.height, pages.width);
    cr_expect_eq(planes_difference(found, &pages), 0.0);
    free(found);
    sal_picture_clear(&pages);
}

static void expect_mismatch(int64_t picture_channels, sal_sample_type type, sal_channel_order order,
                            int64_t net_channels)
{
    float out[16];
    sal_placement at;
    sal_picture picture;
    char counts[64];
    cr_assert_eq(sal_picture_new(&picture, 1, 1, picture_channels, type), SAL_OK);
    sal_preprocess p = {.scale = 1.0F, .order = order};
    sal_status st = sal_preprocess_apply(out, &at, &picture, &p, net_channels, 1, 1);
    cr_expect_eq(st, SAL_ERROR_ARGUMENT, "%lld to %lld by order %d", (long long)picture_channels,
                 (long long)net_channels, order);
    snprintf(counts, sizeof counts, "%lld channels, the network takes %lld", (long long)picture_channels,
             (long long)net_channels);
    cr_expect_not_null(strstr(sal_last_error(), counts), "\"%s\"", sal_last_error());
    sal_picture_clear(&picture);
}

Test(channels, that_do_not_fit_are_refused_with_both_counts)
{
    expect_mismatch(3, SAL_SAMPLE_U8, SAL_ORDER_AUTO, 9);
    expect_mismatch(9, SAL_SAMPLE_U8, SAL_ORDER_AUTO, 3);
    expect_mismatch(9, SAL_SAMPLE_U8, SAL_ORDER_AUTO, 1);
    expect_mismatch(3, SAL_SAMPLE_U8, SAL_ORDER_ASIS, 1);
    expect_mismatch(1, SAL_SAMPLE_U8, SAL_ORDER_ASIS, 3);
    expect_mismatch(3, SAL_SAMPLE_U8, SAL_ORDER_RGB, 1);
    expect_mismatch(3, SAL_SAMPLE_U8, SAL_ORDER_BGR, 4);
    expect_mismatch(5, SAL_SAMPLE_U8, SAL_ORDER_GRAY, 1);
    expect_mismatch(4, SAL_SAMPLE_F32, SAL_ORDER_AUTO, 3);
    expect_mismatch(4, SAL_SAMPLE_U8, SAL_ORDER_AUTO, 3);
    expect_mismatch(4, SAL_SAMPLE_U16, SAL_ORDER_GRAY, 1);
    expect_mismatch(2, SAL_SAMPLE_U8, SAL_ORDER_AUTO, 1);
    expect_mismatch(2, SAL_SAMPLE_U16, SAL_ORDER_BGR, 3);
}

Test(values, are_scaled_shifted_and_divided_per_network_channel)
{
    static const unsigned char rgb[] = {10, 20, 30};
    static const uint16_t gray16[] = {65535};
    static const float gray32[] = {-7.5F};
    sal_preprocess p = {.order = SAL_ORDER_BGR, .scale = 2.0F, .value_count = 3, .mean = {1, 2, 3}, .std = {2, 4, 5}};
    expect_pixel(rgb, 3, SAL_SAMPLE_U8, &p, 3, D((60 - 1) / 2.0, (40 - 2) / 4.0, (20 - 3) / 5.0));
    p = (sal_preprocess){.scale = 1.0F, .value_count = 1, .mean = {5}, .std = {10}};
    expect_pixel(rgb, 3, SAL_SAMPLE_U8, &p, 3, D(0.5, 1.5, 2.5));
    expect_pixel(gray16, 1, SAL_SAMPLE_U16, &p, 1, D(25));
    expect_pixel(gray32, 1, SAL_SAMPLE_F32, &p, 1, D(-1.25));
}

Test(values, of_the_padding_are_those_of_fill_in_every_channel)
{
    static unsigned char row[] = {1, 2, 3, 4, 5, 6};
    sal_picture picture = {.height = 1, .width = 2, .channels = 3, .type = SAL_SAMPLE_U8, .samples = row};
    sal_preprocess p = {
        .fit = SAL_FIT_LETTERBOX, .scale = 1.0F, .fill = 100, .value_count = 3, .mean = {0, 50, 100}, .std = {1, 2, 4}};
    float *out = apply(NULL, &picture, &p, 3, 3, 2);
    for (int c = 0; c < 3; c++) {
        double fill = (100 - p.mean[c]) / p.std[c];
        for (int x = 0; x < 2; x++) {
            cr_expect(fabs(out[c * 6 + x] - fill) < 1e-5);
            cr_expect(fabsf(out[c * 6 + 2 + x] - (row[x * 3 + c] - p.mean[c]) / p.std[c]) < 1e-5);
            cr_expect(fabs(out[c * 6 + 4 + x] - fill) < 1e-5);
        }
    }
    free(out);
}

static sal_status try_options(const sal_preprocess *p)
{
    static unsigned char sample[3];
    float out[3];
    sal_placement at;
    sal_picture picture = {.height = 1, .width = 1, .channels = 3, .type = SAL_SAMPLE_U8, .samples = sample};
    return sal_preprocess_apply(out, &at, &picture, p, 3, 1, 1);
}

Test(values, are_not_guessed)
{
    sal_preprocess p = {0};
    cr_expect_eq(try_options(&p), SAL_ERROR_ARGUMENT);
    cr_expect_not_null(strstr(sal_last_error(), "scale is 0"), "%s", sal_last_error());
    p = (sal_preprocess){.value_count = 1, .mean = {0.5F}, .std = {0.5F}};
    cr_expect_eq(try_options(&p), SAL_ERROR_ARGUMENT);
    p.scale = -1.0F;
    cr_expect_eq(try_options(&p), SAL_OK);
}

Test(values, that_are_no_numbers_are_refused)
{
    float samples[] = {1.0F, NAN, 3.0F, 4.0F};
    float out[4];
    sal_placement at;
    sal_preprocess p = {.scale = 1.0F};
    sal_picture picture = {.height = 2, .width = 2, .channels = 1, .type = SAL_SAMPLE_F32, .samples = samples};
    cr_expect_eq(sal_preprocess_apply(out, &at, &picture, &p, 1, 2, 2), SAL_ERROR_NUMERIC);
    samples[1] = INFINITY;
    cr_expect_eq(sal_preprocess_apply(out, &at, &picture, &p, 1, 1, 1), SAL_ERROR_NUMERIC);
}

Test(options, out_of_range_are_refused)
{
    sal_preprocess p = {.scale = 1.0F, .value_count = 2, .std = {1, 1}};
    cr_expect_eq(try_options(&p), SAL_ERROR_ARGUMENT);
    p = (sal_preprocess){.scale = 1.0F, .value_count = 1, .std = {0}};
    cr_expect_eq(try_options(&p), SAL_ERROR_ARGUMENT);
    p = (sal_preprocess){.scale = 1.0F, .value_count = 1, .std = {NAN}};
    cr_expect_eq(try_options(&p), SAL_ERROR_ARGUMENT);
    p = (sal_preprocess){.scale = 1.0F, .value_count = -1};
    cr_expect_eq(try_options(&p), SAL_ERROR_ARGUMENT);
    p = (sal_preprocess){.scale = INFINITY};
    cr_expect_eq(try_options(&p), SAL_ERROR_ARGUMENT);
    p = (sal_preprocess){.scale = 1.0F, .crop_resize = -3};
    cr_expect_eq(try_options(&p), SAL_ERROR_ARGUMENT);
    p = (sal_preprocess){.scale = 1.0F, .fit = (sal_fit)7};
    cr_expect_eq(try_options(&p), SAL_ERROR_ARGUMENT);
    p = (sal_preprocess){.scale = 1.0F, .order = (sal_channel_order)7};
    cr_expect_eq(try_options(&p), SAL_ERROR_ARGUMENT);
}
