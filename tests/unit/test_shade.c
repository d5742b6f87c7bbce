/* Any picture as 8-bit RGB. */
#include "base/shade.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>

static uint32_t hash_at(uint32_t seed, size_t i)
{
    uint32_t x = (uint32_t)i * 0x9E3779B9u + seed * 0x85EBCA6Bu + 1u;
    x ^= x >> 16;
    x *= 0x85EBCA6Bu;
    x ^= x >> 13;
    return x;
}

/* 0..1, such that 255 times it is a quarter or more away from where rounding turns. */
static double part_at(uint32_t seed, size_t i)
{
    static const double quarters[] = {0.0, 1.0, 3.0};
    const uint32_t hash = hash_at(seed, i);
    return ((double)(hash % 255) + quarters[hash / 255 % 3] / 4.0) / 255.0;
}

static int nearest(double level)
{
    return (int)floor(fmin(fmax(level, 0.0), 255.0) + 0.5);
}

/* Level of colour c of a pixel, from the words of shade.h. full: of integer samples, 0: they are floats. */
static int naive_level(const double *pixel, int64_t channels, int c, double low, double scale, double full)
{
    const int level = nearest((pixel[channels < 3 ? 0 : c] - low) * scale);
    if (full == 0.0 || (channels != 2 && channels != 4))
        return level;
    const int alpha = nearest(pixel[channels - 1] * 255.0 / full);
    return nearest((level * alpha + 255.0 * (255 - alpha)) / 255.0);
}

/* The range of floats, over the channels that are shown. */
static void naive_range(double *low, double *high, const double *values, int64_t pixels, int64_t channels)
{
    *low = INFINITY;
    *high = -INFINITY;
    for (int64_t i = 0; i < pixels * channels; i++)
        if (i % channels < (channels < 3 ? 1 : 3)) {
            *low = fmin(*low, values[i]);
            *high = fmax(*high, values[i]);
        }
}

Test(shade, of_any_row_follows_its_words_for_every_type_and_channel_count)
{
    enum { H = 3, W = 11, MOST = 7 };
    static const double tops[] = {255.0, 65535.0, 1.0, 255.0, 1000.0, 0.5}, lows[] = {0.0, 0.0, 0.0, 0.0, -300.0, 0.25};
    for (int kind = 0; kind < 6; kind++)
        for (int64_t channels = 1; channels <= MOST; channels++) {
            uint8_t bytes[H * W * MOST], rgb[3 * W];
            uint16_t words[H * W * MOST];
            float floats[H * W * MOST];
            double values[H * W * MOST], low, high;
            for (int64_t i = 0; i < H * W * channels; i++) {
                /* The range is reached at both ends, in the middle of the picture, by the first channel. */
                double u = i == 12 * channels   ? 0.0
                           : i == 20 * channels ? 1.0
                                                : part_at((uint32_t)channels + 90, (size_t)i);
                bytes[i] = (uint8_t)(255.0 * u);
                words[i] = (uint16_t)(65535.0 * u);
                floats[i] = (float)(lows[kind] + (tops[kind] - lows[kind]) * u);
                values[i] = kind == 0 ? (double)bytes[i] : kind == 1 ? (double)words[i] : (double)floats[i];
            }
            naive_range(&low, &high, values, H * W, channels);
            cr_assert(kind < 2 || (low == lows[kind] && high == tops[kind]));
            void *samples[] = {bytes, words, floats, floats, floats, floats};
            sal_picture picture = {.height = H,
                                   .width = W,
                                   .channels = channels,
                                   .type = kind < 2 ? (sal_sample_type)kind : SAL_SAMPLE_F32,
                                   .samples = samples[kind],
                                   .meaning = channels == 2   ? SAL_CHANNELS_GRAY_ALPHA
                                              : channels == 4 ? SAL_CHANNELS_RGBA
                                                              : SAL_CHANNELS_UNSAID};
            sal_shade shade = sal_shade_of(&picture, NULL);
            double scale = 255.0 / (tops[kind] - lows[kind]), full = kind < 2 ? tops[kind] : 0.0;
            cr_expect(shade.low == (float)lows[kind] && shade.scale == (float)scale, "kind %d, %ld channels: %g %g",
                      kind, (long)channels, (double)shade.low, (double)shade.scale);
            for (int64_t y = 0; y < H; y++) {
                sal_shade_row(rgb, &picture, &shade, y);
                for (int64_t i = 0; i < 3 * W; i++) {
                    const double *pixel = values + (y * W + i / 3) * channels;
                    int expected = naive_level(pixel, channels, (int)(i % 3), lows[kind], scale, full);
                    cr_expect_eq(rgb[i], expected, "kind %d, %ld channels, row %ld, index %ld: %d, expected %d", kind,
                                 (long)channels, (long)y, (long)i, rgb[i], expected);
                }
            }
        }
}

Test(shade, of_16_bits_is_the_nearest_of_8)
{
    static uint16_t all[65536];
    static uint8_t rgb[3 * 65536];
    for (int i = 0; i < 65536; i++)
        all[i] = (uint16_t)i;
    sal_picture picture = {.height = 1, .width = 65536, .channels = 1, .type = SAL_SAMPLE_U16, .samples = all};
    sal_shade shade = sal_shade_of(&picture, NULL);
    sal_shade_row(rgb, &picture, &shade, 0);
    for (int i = 0; i < 65536; i++)
        cr_assert_eq(rgb[3 * i], (i + 128) / 257, "%d becomes %d", i, rgb[3 * i]);
}

Test(shade, of_floats_is_what_their_range_says)
{
    static const struct {
        float samples[2];
        double low, scale;
    } cases[] = {
        {{0.0f, 1.0f}, 0.0, 255.0},
        {{0.0f, 1.005f}, 0.0, 255.0 / 1.005},
        {{0.005f, 0.5f}, 0.005, 255.0 / 0.495},
        {{0.005f, 9.0f}, 0.005, 255.0 / 8.995},
        {{3.0f, 255.0f}, 3.0, 255.0 / 252.0},
        {{0.0f, 256.0f}, 0.0, 255.0 / 256.0},
        {{-1.0f, 0.0f}, -1.0, 255.0},
        {{-1.0f, 1.0f}, -1.0, 127.5},
        {{256.0f, 256.0f}, 256.0, 0.0},
        {{256.0f, 766.0f}, 256.0, 0.5},
        {{1.0f, 1.0f}, 1.0, 0.0},
        {{-5.0f, -4.0f}, -5.0, 255.0},
        {{-FLT_MAX, FLT_MAX}, -(double)FLT_MAX, 127.5 / (double)FLT_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int turned = 0; turned < 2; turned++) {
            float samples[4] = {cases[i].samples[turned], NAN, INFINITY, cases[i].samples[!turned]};
            sal_shade shade = sal_shade_of(
                &(sal_picture){.height = 2, .width = 2, .channels = 1, .type = SAL_SAMPLE_F32, .samples = samples},
                NULL);
            cr_expect(shade.low == (float)cases[i].low &&
                          fabs((double)shade.scale - cases[i].scale) <= 2e-7 * cases[i].scale,
                      "case %zu: %g %g", i, (double)shade.low, (double)shade.scale);
        }
}

static void check_shade(sal_picture picture, const uint8_t *expected)
{
    uint8_t rgb[3 * 8];
    sal_shade shade = sal_shade_of(&picture, NULL);
    sal_shade_row(rgb, &picture, &shade, 0);
    for (int64_t i = 0; i < 3 * picture.width; i++)
        cr_assert_eq(rgb[i], expected[i], "%ld channels, type %d, index %ld: %u, expected %u", (long)picture.channels,
                     (int)picture.type, (long)i, rgb[i], expected[i]);
}

Test(shade, keeps_colour_and_repeats_gray)
{
    uint8_t s[] = {1, 2, 3, 4, 5, 6, 7, 8};
    check_shade((sal_picture){.height = 1, .width = 2, .channels = 1, .type = SAL_SAMPLE_U8, .samples = s},
                (uint8_t[]){1, 1, 1, 2, 2, 2});
    check_shade((sal_picture){.height = 1, .width = 2, .channels = 3, .type = SAL_SAMPLE_U8, .samples = s},
                (uint8_t[]){1, 2, 3, 4, 5, 6});
    check_shade((sal_picture){.height = 1, .width = 1, .channels = 7, .type = SAL_SAMPLE_U8, .samples = s},
                (uint8_t[]){1, 2, 3});
}

static sal_picture picture_of(void *samples, int64_t width, sal_channels meaning, int64_t channels,
                              sal_sample_type type)
{
    return (sal_picture){
        .height = 1, .width = width, .channels = channels, .type = type, .samples = samples, .meaning = meaning};
}

Test(shade, lays_alpha_over_white)
{
    uint8_t gray[] = {100, 255, 100, 0, 100, 51}, color[] = {10, 20, 30, 255, 10, 20, 30, 102};
    check_shade(picture_of(gray, 3, SAL_CHANNELS_GRAY_ALPHA, 2, SAL_SAMPLE_U8),
                (uint8_t[]){100, 100, 100, 255, 255, 255, 224, 224, 224});
    check_shade(picture_of(color, 2, SAL_CHANNELS_RGBA, 4, SAL_SAMPLE_U8), (uint8_t[]){10, 20, 30, 157, 161, 165});
    uint16_t words[] = {0, 0, 0, 32768, 65535, 0, 0, 65535};
    check_shade(picture_of(words, 2, SAL_CHANNELS_RGBA, 4, SAL_SAMPLE_U16), (uint8_t[]){127, 127, 127, 255, 0, 0});
    float floats[] = {0.0f, 0.2f, 1.0f, 0.5f};
    check_shade(picture_of(floats, 1, SAL_CHANNELS_RGBA, 4, SAL_SAMPLE_F32), (uint8_t[]){0, 51, 255});
    check_shade(picture_of(floats, 2, SAL_CHANNELS_GRAY_ALPHA, 2, SAL_SAMPLE_F32), (uint8_t[]){0, 0, 0, 255, 255, 255});
}

/* A second or fourth channel is alpha only where somebody says so. */
Test(shade, knows_no_alpha_that_is_not_said)
{
    uint8_t two[] = {100, 0, 200, 51}, four[] = {10, 20, 30, 0, 10, 20, 30, 102};
    static const sal_channels meanings[] = {SAL_CHANNELS_UNSAID, SAL_CHANNELS_PLANES};
    for (int i = 0; i < 2; i++) {
        check_shade(picture_of(two, 2, meanings[i], 2, SAL_SAMPLE_U8), (uint8_t[]){100, 100, 100, 200, 200, 200});
        check_shade(picture_of(four, 2, meanings[i], 4, SAL_SAMPLE_U8), (uint8_t[]){10, 20, 30, 10, 20, 30});
    }
    check_shade(picture_of(two, 2, SAL_CHANNELS_GRAY, 2, SAL_SAMPLE_U8), (uint8_t[]){100, 100, 100, 200, 200, 200});
    check_shade(picture_of(four, 2, SAL_CHANNELS_RGB, 4, SAL_SAMPLE_U8), (uint8_t[]){10, 20, 30, 10, 20, 30});
}

static void check_shade_of(sal_picture picture, const sal_preprocess *how, const uint8_t *expected)
{
    uint8_t rgb[3 * 8];
    const sal_shade shade = sal_shade_of(&picture, how);
    sal_shade_row(rgb, &picture, &shade, 0);
    for (int64_t i = 0; i < 3 * picture.width; i++)
        cr_expect_eq(rgb[i], expected[i], "index %ld: %u, expected %u", (long)i, rgb[i], expected[i]);
}

Test(shade, has_the_alpha_and_the_depth_of_the_preprocessing)
{
    uint8_t color[] = {10, 20, 30, 102};
    const sal_picture rgba = picture_of(color, 1, SAL_CHANNELS_RGBA, 4, SAL_SAMPLE_U8);
    check_shade_of(rgba, &(sal_preprocess){.alpha = SAL_ALPHA_BLACK}, (uint8_t[]){4, 8, 12});
    check_shade_of(rgba, &(sal_preprocess){.alpha = SAL_ALPHA_DROP}, (uint8_t[]){10, 20, 30});
    check_shade_of(rgba, &(sal_preprocess){.alpha = SAL_ALPHA_COLOUR, .alpha_colour = {255, 0, 10}},
                   (uint8_t[]){157, 8, 18});
    uint16_t words[] = {0, 4095, 2047, 65535};
    const sal_picture gray = picture_of(words, 4, SAL_CHANNELS_GRAY, 1, SAL_SAMPLE_U16);
    check_shade_of(gray, &(sal_preprocess){.depth = 12},
                   (uint8_t[]){0, 0, 0, 255, 255, 255, 127, 127, 127, 255, 255, 255});
    words[3] = 1;
    check_shade_of(gray, &(sal_preprocess){.depth = SAL_DEPTH_AUTO},
                   (uint8_t[]){0, 0, 0, 255, 255, 255, 127, 127, 127, 0, 0, 0});
    float floats[] = {0.25f, 0.5f, -1.0f, 2.0f};
    check_shade_of(picture_of(floats, 4, SAL_CHANNELS_GRAY, 1, SAL_SAMPLE_F32),
                   &(sal_preprocess){.depth = SAL_DEPTH_UNIT},
                   (uint8_t[]){64, 64, 64, 128, 128, 128, 0, 0, 0, 255, 255, 255});
    uint8_t mask[] = {0, 1, 2, 3};
    check_shade_of(picture_of(mask, 4, SAL_CHANNELS_GRAY, 1, SAL_SAMPLE_U8), &(sal_preprocess){.depth = 2},
                   (uint8_t[]){0, 0, 0, 85, 85, 85, 170, 170, 170, 255, 255, 255});
}

Test(shade, brings_16_bit_and_float_samples_to_8_bit)
{
    uint16_t words[] = {0, 65535, 128, 129, 32896};
    check_shade((sal_picture){.height = 1, .width = 5, .channels = 1, .type = SAL_SAMPLE_U16, .samples = words},
                (uint8_t[]){0, 0, 0, 255, 255, 255, 0, 0, 0, 1, 1, 1, 128, 128, 128});
    float unit[] = {0.0f, 0.5f, 1.0f}, bytes[] = {0.0f, 100.4f, 254.6f}, wide[] = {-10.0f, 0.0f, 30.0f};
    check_shade((sal_picture){.height = 1, .width = 1, .channels = 3, .type = SAL_SAMPLE_F32, .samples = unit},
                (uint8_t[]){0, 128, 255});
    check_shade((sal_picture){.height = 1, .width = 1, .channels = 3, .type = SAL_SAMPLE_F32, .samples = bytes},
                (uint8_t[]){0, 101, 255});
    check_shade((sal_picture){.height = 1, .width = 1, .channels = 3, .type = SAL_SAMPLE_F32, .samples = wide},
                (uint8_t[]){0, 64, 255});
    float odd[] = {NAN, INFINITY, -INFINITY, 2.0f, 4.0f, 3.0f}, one[] = {-3.0f, -3.0f, -3.0f};
    check_shade((sal_picture){.height = 1, .width = 2, .channels = 3, .type = SAL_SAMPLE_F32, .samples = odd},
                (uint8_t[]){0, 255, 0, 0, 255, 128});
    check_shade((sal_picture){.height = 1, .width = 1, .channels = 3, .type = SAL_SAMPLE_F32, .samples = odd},
                (uint8_t[]){0, 0, 0});
    check_shade((sal_picture){.height = 1, .width = 1, .channels = 3, .type = SAL_SAMPLE_F32, .samples = one},
                (uint8_t[]){0, 0, 0});
}
