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
    sal_overlay_style style = {SAL_COLORMAP_JET, 0.3};
    float *map = uniform_floats(4, 30), values[H * W];
    cr_assert_eq(sal_overlay_make(&out, &picture, map, &p, &style), SAL_OK);
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
    cr_assert_eq(sal_overlay_make(&out, &picture, map, &p, &(sal_overlay_style){SAL_COLORMAP_VIRIDIS, 0.0}), SAL_OK);
    cr_assert_eq(memcmp(out.samples, rgb, N * N * 3), 0);
    sal_free(out.samples);
    cr_assert_eq(sal_overlay_make(&out, NULL, map, &p, &(sal_overlay_style){SAL_COLORMAP_VIRIDIS, 0.5}), SAL_OK);
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
    sal_picture picture = {2, 2, 3, SAL_SAMPLE_U8, rgb}, out;
    sal_placement p = stretch(1, 1, 2, 2), other = stretch(1, 1, 2, 3);
    sal_overlay_style style = {SAL_COLORMAP_GRAY, 0.5};
    cr_assert_eq(sal_overlay_make(&out, &picture, map, &other, &style), SAL_ERROR_ARGUMENT);
    style.alpha = 1.5;
    cr_assert_eq(sal_overlay_make(&out, &picture, map, &p, &style), SAL_ERROR_ARGUMENT);
    style.alpha = NAN;
    cr_assert_eq(sal_overlay_make(&out, &picture, map, &p, &style), SAL_ERROR_ARGUMENT);
    style = (sal_overlay_style){(sal_colormap)99, 0.5};
    cr_assert_eq(sal_overlay_make(&out, &picture, map, &p, &style), SAL_ERROR_ARGUMENT);
    cr_assert_null(out.samples);
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
