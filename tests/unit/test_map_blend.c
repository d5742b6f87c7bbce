/* Blending, overlays, and any picture as 8-bit RGB. */
#include "test_map_support.h"

#include <string.h>

Test(blend, is_exact_for_alphas_in_quarters)
{
    for (uint32_t quarter = 0; quarter <= 4; quarter++)
        for (uint32_t p = 0; p < 256; p++)
            for (uint32_t c = 0; c < 256; c++) {
                uint32_t expected = ((4 - quarter) * p + quarter * c + 2) / 4;
                uint8_t got = sal_blend((uint8_t)p, (uint8_t)c, sal_blend_weight(quarter / 4.0));
                cr_assert_eq(got, expected, "alpha %u/4, picture %u, colour %u: %u, expected %u", quarter, p, c, got,
                             expected);
            }
}

Test(blend, is_the_nearest_level_for_any_alpha)
{
    static const double alphas[] = {0.1, 0.3, 1.0 / 3.0, 0.55, 0.77, 0.999};
    for (size_t a = 0; a < sizeof alphas / sizeof *alphas; a++)
        for (int p = 0; p < 256; p++)
            for (int c = 0; c < 256; c++) {
                double exact = (1.0 - alphas[a]) * p + alphas[a] * c;
                int got = sal_blend((uint8_t)p, (uint8_t)c, sal_blend_weight(alphas[a]));
                cr_assert(is_near(got, exact, 0.5 + 255.0 / 16777216.0), "alpha %g: %d over %d is %d, exact %g",
                          alphas[a], c, p, got, exact);
            }
}

Test(overlay, is_upsample_then_colour_then_blend)
{
    enum { H = 21, W = 34 };
    uint8_t *rgb = hashed_levels(2, H * W * 3);
    sal_picture picture = {H, W, 3, SAL_SAMPLE_U8, rgb}, out;
    sal_placement p = {H, W, 5, 6, 3.0, 2.5, 3.0, 8.0};
    sal_overlay_style style = {.colormap = SAL_COLORMAP_JET, .alpha = 0.3};
    float *map = uniform_floats(4, 30), values[H * W];
    cr_assert_eq(sal_overlay_draw(&out, &picture, map, &p, &style), SAL_OK);
    cr_assert(out.height == H && out.width == W && out.channels == 3 && out.type == SAL_SAMPLE_U8);
    cr_assert_eq(sal_map_upsample(values, map, &p), SAL_OK);
    for (int i = 0; i < H * W; i++)
        for (int c = 0; c < 3; c++) {
            uint8_t color = sal_colormap_table(SAL_COLORMAP_JET)[sal_color_index(values[i])][c];
            cr_assert_eq(((uint8_t *)out.samples)[3 * i + c], sal_blend(rgb[3 * i + c], color, sal_blend_weight(0.3)));
        }
    sal_free(out.samples);
    free(rgb);
    free(map);
}

Test(overlay, alpha_0_is_the_picture_and_no_picture_is_the_colours)
{
    enum { N = 16 };
    uint8_t *rgb = hashed_levels(3, N * N * 3);
    sal_picture picture = {N, N, 3, SAL_SAMPLE_U8, rgb}, out, colors;
    sal_placement p = stretch(N, N, N, N);
    float *map = uniform_floats(5, N * N);
    cr_assert_eq(
        sal_overlay_draw(&out, &picture, map, &p, &(sal_overlay_style){.colormap = SAL_COLORMAP_VIRIDIS, .alpha = 0.0}),
        SAL_OK);
    cr_assert_eq(memcmp(out.samples, rgb, N * N * 3), 0);
    sal_free(out.samples);
    cr_assert_eq(
        sal_overlay_draw(&out, NULL, map, &p, &(sal_overlay_style){.colormap = SAL_COLORMAP_VIRIDIS, .alpha = 0.5}),
        SAL_OK);
    cr_assert_eq(sal_map_colorize(&colors, map, N, N, SAL_COLORMAP_VIRIDIS), SAL_OK);
    cr_assert_eq(memcmp(out.samples, colors.samples, N * N * 3), 0);
    sal_free(out.samples);
    sal_free(colors.samples);
    free(rgb);
    free(map);
}

Test(overlay, refuses_pictures_of_another_size_and_wrong_styles)
{
    uint8_t rgb[12] = {0};
    float map[1] = {0};
    sal_picture picture = {2, 2, 3, SAL_SAMPLE_U8, rgb}, out = picture;
    sal_placement p = stretch(1, 1, 2, 2), other = stretch(1, 1, 2, 3);
    sal_overlay_style style = {.colormap = SAL_COLORMAP_GRAY, .alpha = 0.5};
    cr_assert_eq(sal_overlay_draw(&out, &picture, map, &other, &style), SAL_ERROR_ARGUMENT);
    style.alpha = 1.5;
    cr_assert_eq(sal_overlay_draw(&out, &picture, map, &p, &style), SAL_ERROR_ARGUMENT);
    style.alpha = NAN;
    cr_assert_eq(sal_overlay_draw(&out, &picture, map, &p, &style), SAL_ERROR_ARGUMENT);
    style = (sal_overlay_style){.colormap = (sal_colormap)99, .alpha = 0.5};
    cr_assert_eq(sal_overlay_draw(&out, &picture, map, &p, &style), SAL_ERROR_ARGUMENT);
    cr_assert(!out.samples && out.height == 0);
}

static void check_overlay(sal_status expected, sal_picture picture, sal_placement placement, double alpha)
{
    float map[1] = {0.5f};
    sal_picture out;
    cr_expect_eq(sal_overlay_draw(&out, &picture, map, &placement,
                                  &(sal_overlay_style){.colormap = SAL_COLORMAP_GRAY, .alpha = alpha}),
                 expected, "%ld x %ld, %ld channels of type %d, alpha %g", (long)picture.height, (long)picture.width,
                 (long)picture.channels, (int)picture.type, alpha);
    sal_free(out.samples);
}

Test(overlay, looks_at_every_field_of_picture_and_style)
{
    float samples[4 * 2 * 3] = {0};
    const sal_placement p = stretch(1, 1, 2, 3);
    check_overlay(SAL_OK, (sal_picture){2, 3, 1, SAL_SAMPLE_F32, samples}, p, 1.0);
    check_overlay(SAL_OK, (sal_picture){2, 3, 4, SAL_SAMPLE_U8, samples}, p, 0.0);
    check_overlay(SAL_ERROR_ARGUMENT, (sal_picture){2, 3, 1, SAL_SAMPLE_F32, samples}, p, 1.005);
    check_overlay(SAL_ERROR_ARGUMENT, (sal_picture){2, 3, 1, SAL_SAMPLE_F32, samples}, p, -0.005);
    check_overlay(SAL_ERROR_ARGUMENT, (sal_picture){2, 2, 1, SAL_SAMPLE_F32, samples}, p, 0.5);
    check_overlay(SAL_ERROR_ARGUMENT, (sal_picture){1, 3, 1, SAL_SAMPLE_F32, samples}, p, 0.5);
    check_overlay(SAL_ERROR_ARGUMENT, (sal_picture){2, 3, 0, SAL_SAMPLE_F32, samples}, p, 0.5);
    check_overlay(SAL_ERROR_ARGUMENT, (sal_picture){2, 3, 1, (sal_sample_type)3, samples}, p, 0.5);
    cr_expect_str_eq(sal_last_error(), "picture with 1 channels of sample type 3");
}

/* Samples at all channel counts and types, pixel by pixel from the words of map.h. */
static int naive_level(const double *v, int64_t channels, int c, double low, double scale, double full_alpha)
{
    double sample = channels == 3 || channels == 4 ? v[c] : v[0], alpha = 1.0;
    if (channels > 4) {
        sample = 0.0;
        for (int64_t k = 0; k < channels; k++)
            sample += v[k] / (double)channels;
    }
    if (full_alpha > 0.0 && (channels == 2 || channels == 4))
        alpha = v[channels - 1] / full_alpha;
    double level = alpha * (sample - low) * scale + (1.0 - alpha) * 255.0;
    return (int)floor(fmin(fmax(level, 0.0), 255.0) + 0.5);
}

Test(shade, of_any_row_follows_its_words_for_every_type_and_channel_count)
{
    enum { H = 3, W = 11, MOST = 7 };
    static const double tops[] = {255.0, 65535.0, 1.0, 255.0, 1000.0};
    for (int kind = 0; kind < 5; kind++)
        for (int64_t channels = 1; channels <= MOST; channels++) {
            uint8_t bytes[H * W * MOST], rgb[3 * W];
            uint16_t words[H * W * MOST];
            float floats[H * W * MOST];
            double values[H * W * MOST], low = kind == 4 ? -300.0 : 0.0;
            for (int64_t i = 0; i < H * W * channels; i++) {
                /* The range is reached at both ends, in the middle of the picture. */
                double u = i == 17 ? 0.0 : i == 19 ? 1.0 : (double)uniform_at((uint32_t)channels + 90, (size_t)i);
                bytes[i] = (uint8_t)(255.0 * u);
                words[i] = (uint16_t)(65535.0 * u);
                floats[i] = (float)(low + (tops[kind] - low) * u);
                values[i] = kind == 0 ? (double)bytes[i] : kind == 1 ? (double)words[i] : (double)floats[i];
            }
            void *samples[] = {bytes, words, floats, floats, floats};
            sal_picture picture = {H, W, channels, kind < 2 ? (sal_sample_type)kind : SAL_SAMPLE_F32, samples[kind]};
            sal_shade shade = sal_shade_of(&picture);
            double scale = 255.0 / (tops[kind] - low), full = kind < 2 ? tops[kind] : 0.0;
            cr_expect(is_near(shade.low, low, 0.0) && is_near(shade.scale, scale, 1e-12 * scale),
                      "kind %d, %ld channels: %g %g", kind, (long)channels, shade.low, shade.scale);
            for (int64_t y = 0; y < H; y++) {
                sal_shade_row(rgb, &picture, &shade, y);
                for (int64_t i = 0; i < 3 * W; i++) {
                    const double *v = values + (y * W + i / 3) * channels;
                    int expected = naive_level(v, channels, (int)(i % 3), low, scale, full);
                    cr_expect_eq(rgb[i], expected, "kind %d, %ld channels, row %ld, index %ld: %d, expected %d", kind,
                                 (long)channels, (long)y, (long)i, rgb[i], expected);
                }
            }
        }
}

Test(shade, of_floats_is_what_their_range_says)
{
    static const struct {
        float samples[2];
        double low, scale;
    } cases[] = {
        {{0.0f, 1.0f}, 0.0, 255.0},     {{0.0f, 1.005f}, 0.0, 1.0},   {{0.005f, 0.5f}, 0.0, 255.0},
        {{0.005f, 9.0f}, 0.0, 1.0},     {{3.0f, 255.0f}, 0.0, 1.0},   {{0.0f, 256.0f}, 0.0, 255.0 / 256.0},
        {{-1.0f, 0.0f}, -1.0, 255.0},   {{-1.0f, 1.0f}, -1.0, 127.5}, {{256.0f, 256.0f}, 256.0, 0.0},
        {{256.0f, 766.0f}, 256.0, 0.5}, {{1.0f, 1.0f}, 0.0, 255.0},   {{-5.0f, -4.0f}, -5.0, 255.0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int turned = 0; turned < 2; turned++) {
            float samples[4] = {cases[i].samples[turned], NAN, INFINITY, cases[i].samples[!turned]};
            sal_shade shade = sal_shade_of(&(sal_picture){2, 2, 1, SAL_SAMPLE_F32, samples});
            cr_expect(shade.low == cases[i].low && is_near(shade.scale, cases[i].scale, 1e-12), "case %zu: %g %g", i,
                      shade.low, shade.scale);
        }
}

static void check_shade(sal_picture picture, const uint8_t *expected)
{
    uint8_t rgb[3 * 8];
    sal_shade shade = sal_shade_of(&picture);
    sal_shade_row(rgb, &picture, &shade, 0);
    for (int64_t i = 0; i < 3 * picture.width; i++)
        cr_assert_eq(rgb[i], expected[i], "%ld channels, type %d, index %ld: %u, expected %u", (long)picture.channels,
                     (int)picture.type, (long)i, rgb[i], expected[i]);
}

Test(shade, keeps_colour_and_repeats_gray)
{
    uint8_t s[] = {1, 2, 3, 4, 5, 6, 7, 8};
    check_shade((sal_picture){1, 2, 1, SAL_SAMPLE_U8, s}, (uint8_t[]){1, 1, 1, 2, 2, 2});
    check_shade((sal_picture){1, 2, 3, SAL_SAMPLE_U8, s}, (uint8_t[]){1, 2, 3, 4, 5, 6});
    check_shade((sal_picture){1, 1, 7, SAL_SAMPLE_U8, s}, (uint8_t[]){4, 4, 4});
}

Test(shade, lays_alpha_over_white)
{
    uint8_t gray[] = {100, 255, 100, 0, 100, 51}, color[] = {10, 20, 30, 255, 10, 20, 30, 102};
    check_shade((sal_picture){1, 3, 2, SAL_SAMPLE_U8, gray}, (uint8_t[]){100, 100, 100, 255, 255, 255, 224, 224, 224});
    check_shade((sal_picture){1, 2, 4, SAL_SAMPLE_U8, color}, (uint8_t[]){10, 20, 30, 157, 161, 165});
    uint16_t words[] = {0, 0, 0, 32768, 65535, 0, 0, 65535};
    check_shade((sal_picture){1, 2, 4, SAL_SAMPLE_U16, words}, (uint8_t[]){127, 127, 127, 255, 0, 0});
    float floats[] = {0.0f, 0.2f, 1.0f, 0.5f};
    check_shade((sal_picture){1, 1, 4, SAL_SAMPLE_F32, floats}, (uint8_t[]){0, 51, 255});
    check_shade((sal_picture){1, 2, 2, SAL_SAMPLE_F32, floats}, (uint8_t[]){0, 0, 0, 255, 255, 255});
}

Test(shade, brings_16_bit_and_float_samples_to_8_bit)
{
    uint16_t words[] = {0, 65535, 128, 129, 32896};
    check_shade((sal_picture){1, 5, 1, SAL_SAMPLE_U16, words},
                (uint8_t[]){0, 0, 0, 255, 255, 255, 0, 0, 0, 1, 1, 1, 128, 128, 128});
    float unit[] = {0.0f, 0.5f, 1.0f}, bytes[] = {0.0f, 100.4f, 254.6f}, wide[] = {-10.0f, 0.0f, 30.0f};
    check_shade((sal_picture){1, 1, 3, SAL_SAMPLE_F32, unit}, (uint8_t[]){0, 128, 255});
    check_shade((sal_picture){1, 1, 3, SAL_SAMPLE_F32, bytes}, (uint8_t[]){0, 100, 255});
    check_shade((sal_picture){1, 1, 3, SAL_SAMPLE_F32, wide}, (uint8_t[]){0, 64, 255});
    float odd[] = {NAN, INFINITY, -INFINITY}, one[] = {-3.0f, -3.0f, -3.0f};
    check_shade((sal_picture){1, 1, 3, SAL_SAMPLE_F32, odd}, (uint8_t[]){0, 255, 0});
    check_shade((sal_picture){1, 1, 3, SAL_SAMPLE_F32, one}, (uint8_t[]){0, 0, 0});
}

/* Beyond what the network saw there is no evidence either way: the middle of the colours, as at 0. */
Test(overlay, signed_maps_have_0_in_the_middle_of_the_colours)
{
    const float map[3] = {-1, 0, 1};
    const sal_placement p = {.source_height = 1,
                             .source_width = 5,
                             .net_height = 1,
                             .net_width = 3,
                             .scale_y = 1,
                             .scale_x = 1,
                             .offset_x = 1};
    const uint8_t(*table)[3] = sal_colormap_table(SAL_COLORMAP_COOLWARM);
    static const int rows[5] = {128, 0, 128, 255, 128};
    sal_picture out;
    cr_assert_eq(
        sal_overlay_draw(&out, NULL, map, &p, &(sal_overlay_style){.colormap = SAL_COLORMAP_COOLWARM, .is_signed = 1}),
        SAL_OK);
    for (int x = 0; x < 5; x++)
        cr_expect_arr_eq((uint8_t *)out.samples + 3 * x, table[rows[x]], 3, "pixel %d", x);
    sal_free(out.samples);
}
