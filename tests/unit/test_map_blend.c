/* Blending and overlays. */
#include "test_map_support.h"

#include "base/shade.h"

#include <string.h>

Test(blend, is_exact_for_alphas_in_quarters)
{
    for (uint32_t quarter = 0; quarter <= 4; quarter++)
        for (uint32_t p = 0; p < 256; p++)
            for (uint32_t c = 0; c < 256; c++) {
                uint32_t expected = ((4 - quarter) * p + quarter * c + 2) / 4;
                uint8_t got = sal_blend_level((uint8_t)p, (uint8_t)c, sal_blend_weight(quarter / 4.0));
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
                int got = sal_blend_level((uint8_t)p, (uint8_t)c, sal_blend_weight(alphas[a]));
                cr_assert(is_near(got, exact, 0.5 + 255.0 / 16777216.0), "alpha %g: %d over %d is %d, exact %g",
                          alphas[a], c, p, got, exact);
            }
}

Test(overlay, is_upsample_then_colour_then_blend)
{
    enum { H = 21, W = 34 };
    uint8_t *rgb = hashed_levels(2, H * W * 3);
    sal_picture picture = {.height = H, .width = W, .channels = 3, .type = SAL_SAMPLE_U8, .samples = rgb}, out;
    sal_placement p = {H, W, 5, 6, 3.0, 2.5, 3.0, 8.0};
    sal_overlay_style style = {.colormap = SAL_COLORMAP_JET, .blend = SAL_BLEND_FLAT, .alpha = 0.3};
    float *map = uniform_floats(4, 30), values[H * W];
    cr_assert_eq(sal_overlay_draw(&out, &picture, map, &p, &style), SAL_OK);
    cr_assert(out.height == H && out.width == W && out.channels == 3 && out.type == SAL_SAMPLE_U8);
    cr_assert_eq(sal_map_upsample(values, map, &p), SAL_OK);
    for (int i = 0; i < H * W; i++)
        for (int c = 0; c < 3; c++) {
            uint8_t color = sal_colormap_table(SAL_COLORMAP_JET)[sal_color_index(values[i])][c];
            cr_assert_eq(((uint8_t *)out.samples)[3 * i + c],
                         sal_blend_level(rgb[3 * i + c], color, sal_blend_weight(0.3)));
        }
    sal_free(out.samples);
    free(rgb);
    free(map);
}

Test(overlay, alpha_0_is_the_picture_and_no_picture_is_the_colours)
{
    enum { N = 16 };
    uint8_t *rgb = hashed_levels(3, N * N * 3);
    sal_picture picture = {.height = N, .width = N, .channels = 3, .type = SAL_SAMPLE_U8, .samples = rgb}, out, colors;
    sal_placement p = stretch(N, N, N, N);
    float *map = uniform_floats(5, N * N);
    cr_assert_eq(
        sal_overlay_draw(&out, &picture, map, &p,
                         &(sal_overlay_style){.colormap = SAL_COLORMAP_VIRIDIS, .blend = SAL_BLEND_FLAT, .alpha = 0.0}),
        SAL_OK);
    cr_assert_eq(memcmp(out.samples, rgb, N * N * 3), 0);
    sal_free(out.samples);
    cr_assert_eq(
        sal_overlay_draw(&out, NULL, map, &p,
                         &(sal_overlay_style){.colormap = SAL_COLORMAP_VIRIDIS, .blend = SAL_BLEND_FLAT, .alpha = 0.5}),
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
    sal_picture picture = {.height = 2, .width = 2, .channels = 3, .type = SAL_SAMPLE_U8, .samples = rgb},
                out = picture;
    sal_placement p = stretch(1, 1, 2, 2), other = stretch(1, 1, 2, 3);
    sal_overlay_style style = {.colormap = SAL_COLORMAP_GRAY, .blend = SAL_BLEND_FLAT, .alpha = 0.5};
    cr_assert_eq(sal_overlay_draw(&out, &picture, map, &other, &style), SAL_ERROR_ARGUMENT);
    style.alpha = 1.5;
    cr_assert_eq(sal_overlay_draw(&out, &picture, map, &p, &style), SAL_ERROR_ARGUMENT);
    style.alpha = NAN;
    cr_assert_eq(sal_overlay_draw(&out, &picture, map, &p, &style), SAL_ERROR_ARGUMENT);
    style = (sal_overlay_style){.colormap = (sal_colormap)99, .blend = SAL_BLEND_FLAT, .alpha = 0.5};
    cr_assert_eq(sal_overlay_draw(&out, &picture, map, &p, &style), SAL_ERROR_ARGUMENT);
    cr_assert(!out.samples && out.height == 0);
}

static void check_overlay(sal_status expected, sal_picture picture, sal_placement placement, double alpha)
{
    float map[1] = {0.5f};
    sal_picture out;
    cr_expect_eq(
        sal_overlay_draw(&out, &picture, map, &placement,
                         &(sal_overlay_style){.colormap = SAL_COLORMAP_GRAY, .blend = SAL_BLEND_FLAT, .alpha = alpha}),
        expected, "%ld x %ld, %ld channels of type %d, alpha %g", (long)picture.height, (long)picture.width,
        (long)picture.channels, (int)picture.type, alpha);
    sal_free(out.samples);
}

Test(overlay, looks_at_every_field_of_picture_and_style)
{
    float samples[4 * 2 * 3] = {0};
    const sal_placement p = stretch(1, 1, 2, 3);
    check_overlay(SAL_OK,
                  (sal_picture){.height = 2, .width = 3, .channels = 1, .type = SAL_SAMPLE_F32, .samples = samples}, p,
                  1.0);
    check_overlay(SAL_OK,
                  (sal_picture){.height = 2, .width = 3, .channels = 4, .type = SAL_SAMPLE_U8, .samples = samples}, p,
                  0.0);
    check_overlay(SAL_ERROR_ARGUMENT,
                  (sal_picture){.height = 2, .width = 3, .channels = 1, .type = SAL_SAMPLE_F32, .samples = samples}, p,
                  1.005);
    check_overlay(SAL_ERROR_ARGUMENT,
                  (sal_picture){.height = 2, .width = 3, .channels = 1, .type = SAL_SAMPLE_F32, .samples = samples}, p,
                  -0.005);
    check_overlay(SAL_ERROR_ARGUMENT,
                  (sal_picture){.height = 2, .width = 2, .channels = 1, .type = SAL_SAMPLE_F32, .samples = samples}, p,
                  0.5);
    check_overlay(SAL_ERROR_ARGUMENT,
                  (sal_picture){.height = 1, .width = 3, .channels = 1, .type = SAL_SAMPLE_F32, .samples = samples}, p,
                  0.5);
    check_overlay(SAL_ERROR_ARGUMENT,
                  (sal_picture){.height = 2, .width = 3, .channels = 0, .type = SAL_SAMPLE_F32, .samples = samples}, p,
                  0.5);
    check_overlay(SAL_ERROR_ARGUMENT,
                  (sal_picture){.height = 2, .width = 3, .channels = 1, .type = (sal_sample_type)3, .samples = samples},
                  p, 0.5);
    cr_expect_str_eq(sal_last_error(), "picture with 1 channels of sample type 3");
}

Test(overlay, shows_any_picture_by_the_one_rule)
{
    enum { H = 3, W = 5, MOST = 6 };
    static const size_t sizes[] = {1, 2, 4};
    const sal_placement p = stretch(1, 1, H, W);
    const sal_overlay_style unseen = {.colormap = SAL_COLORMAP_GRAY, .blend = SAL_BLEND_FLAT, .alpha = 0.0};
    float floats[H * W * MOST], map[1] = {0.5f};
    for (size_t i = 0; i < H * W * MOST; i++)
        floats[i] = 900.0f * uniform_at(70, i) - 300.0f;
    for (int type = SAL_SAMPLE_U8; type <= SAL_SAMPLE_F32; type++)
        for (int64_t channels = 1; channels <= MOST; channels++) {
            uint8_t *bytes = hashed_levels((uint32_t)channels, H * W * MOST * sizes[type]), rgb[3 * W];
            sal_picture picture = {.height = H,
                                   .width = W,
                                   .channels = channels,
                                   .type = (sal_sample_type)type,
                                   .samples = type == SAL_SAMPLE_F32 ? (void *)floats : bytes};
            sal_picture overlay, resized;
            const sal_shade shade = sal_shade_of(&picture, NULL);
            cr_assert_eq(sal_overlay_draw(&overlay, &picture, map, &p, &unseen), SAL_OK);
            cr_assert_eq(sal_resize_rgb(&resized, &picture, H, W), SAL_OK);
            for (int64_t y = 0; y < H; y++) {
                sal_shade_row(rgb, &picture, &shade, y);
                cr_expect_arr_eq((uint8_t *)overlay.samples + 3 * W * y, rgb, 3 * W, "overlay, type %d, %ld channels",
                                 type, (long)channels);
                cr_expect_arr_eq((uint8_t *)resized.samples + 3 * W * y, rgb, 3 * W, "figure, type %d, %ld channels",
                                 type, (long)channels);
            }
            sal_free(overlay.samples);
            sal_free(resized.samples);
            free(bytes);
        }
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

/* ---- The weight follows the map ---------------------------------------------- */

Test(blend, weight_is_alpha_times_the_value)
{
    for (int a = 0; a <= 10; a++) {
        const uint32_t most = sal_blend_weight(a / 10.0);
        cr_expect_eq(sal_blend_share(most, 0, 0), 0);
        cr_expect_eq(sal_blend_share(most, 255, 0), most);
        for (int i = 0; i < 256; i++) {
            const double plain = most * (i / 255.0), both = most * (fabs(i - 127.5) - 0.5) / 127.0;
            cr_expect(is_near(sal_blend_share(most, i, 0), plain, 0.500001), "alpha %d/10, row %d", a, i);
            cr_expect(is_near(sal_blend_share(most, i, 1), both, 0.500001), "alpha %d/10, row %d, signed", a, i);
        }
    }
}

/* What the overlay's pixel must be, in doubles. */
static double mixed(uint8_t under, sal_colormap colormap, int row, int c, double weight)
{
    return (1.0 - weight) * under + weight * sal_colormap_table(colormap)[row][c];
}

Test(overlay, is_as_opaque_as_the_map_is_high)
{
    enum { H = 21, W = 34 };
    uint8_t *rgb = hashed_levels(2, H * W * 3);
    const sal_picture picture = {.height = H, .width = W, .channels = 3, .type = SAL_SAMPLE_U8, .samples = rgb};
    const sal_placement p = {H, W, 5, 6, 3.0, 2.5, 3.0, 8.0};
    float *map = uniform_floats(4, 30), values[H * W];
    for (int is_signed = 0; is_signed < 2; is_signed++) {
        const sal_overlay_style style = {.colormap = SAL_COLORMAP_SEISMIC, .alpha = 0.9, .is_signed = is_signed};
        sal_picture out;
        for (int i = 0; i < 30 && is_signed; i++)
            map[i] = 2.0f * map[i] - 1.0f;
        cr_assert_eq(sal_overlay_draw(&out, &picture, map, &p, &style), SAL_OK);
        cr_assert_eq(sal_map_upsample(values, map, &p), SAL_OK);
        for (int i = 0; i < H * W; i++) {
            const float place = is_signed ? sal_signed_place(values[i]) : values[i];
            const int row = sal_color_index(place);
            for (int c = 0; c < 3; c++) {
                const double got = ((uint8_t *)out.samples)[3 * i + c];
                /* The weight is that of the table's row. */
                cr_expect(is_near(got, mixed(rgb[3 * i + c], style.colormap, row, c, 0.9 * fabs((double)values[i])),
                                  is_signed ? 2.4 : 1.5),
                          "signed %d, pixel %d: %g, value %g", is_signed, i, got, (double)values[i]);
            }
        }
        sal_free(out.samples);
    }
    free(rgb);
    free(map);
}

Test(overlay, leaves_a_picture_alone_where_the_map_is_0)
{
    enum { N = 16 };
    uint8_t *rgb = hashed_levels(3, N * N * 3);
    const sal_picture picture = {.height = N, .width = N, .channels = 3, .type = SAL_SAMPLE_U8, .samples = rgb};
    const sal_placement p = stretch(N, N, N, N);
    const float zeros[N * N] = {0}, nothing_signed = -0.0f;
    for (int colormap = 0; colormap < SAL_COLORMAPS; colormap++)
        for (int is_signed = 0; is_signed < 2; is_signed++) {
            const sal_overlay_style style = {.colormap = (sal_colormap)colormap, .alpha = 1.0, .is_signed = is_signed};
            sal_picture out;
            cr_assert_eq(sal_overlay_draw(&out, &picture, zeros, &p, &style), SAL_OK);
            cr_expect_eq(memcmp(out.samples, rgb, N * N * 3), 0, "table %d, signed %d", colormap, is_signed);
            sal_free(out.samples);
        }
    cr_expect_eq(sal_blend_share(99, sal_color_index(sal_signed_place(nothing_signed)), 1), 0);
    free(rgb);
}

/* ---- Contours ------------------------------------------------------------------ */

/* Whether the level lies between the pixel and one of those `line` to the right, below, and both. */
static int level_runs(const float *values, int64_t height, int64_t width, int64_t y, int64_t x, double level)
{
    const int64_t line = sal_contour_width(height, width);
    const int64_t rows[2] = {y, y + line < height ? y + line : height - 1};
    const int64_t columns[2] = {x, x + line < width ? x + line : width - 1};
    int above = 0;
    for (int k = 0; k < 4; k++)
        above += fabs((double)values[rows[k / 2] * width + columns[k % 2]]) >= level;
    return above > 0 && above < 4;
}

static void check_contours(int64_t height, int64_t width, int is_signed)
{
    const size_t count = (size_t)(height * width);
    uint8_t *rgb = hashed_levels(5, count * 3);
    const sal_picture picture = {
        .height = height, .width = width, .channels = 3, .type = SAL_SAMPLE_U8, .samples = rgb};
    const sal_placement p = stretch(6, 5, height, width);
    float *map = uniform_floats(6, 30), *values = malloc(count * sizeof *values);
    sal_overlay_style style = {.colormap = SAL_COLORMAP_INFERNO, .alpha = 0.5, .is_signed = is_signed};
    sal_picture plain, lined;
    size_t lines[2] = {0};
    cr_assert_not_null(values);
    for (int i = 0; i < 30 && is_signed; i++)
        map[i] = 2.0f * map[i] - 1.0f;
    cr_assert_eq(sal_overlay_draw(&plain, &picture, map, &p, &style), SAL_OK);
    style.contour_count = 2;
    style.contours[0] = 0.3f;
    style.contours[1] = 0.7f;
    cr_assert_eq(sal_overlay_draw(&lined, &picture, map, &p, &style), SAL_OK);
    cr_assert_eq(sal_map_upsample(values, map, &p), SAL_OK);
    for (int64_t i = 0; i < height * width; i++) {
        const uint8_t *before = (uint8_t *)plain.samples + 3 * i, *after = (uint8_t *)lined.samples + 3 * i;
        const int64_t y = i / width, x = i % width;
        const int runs = level_runs(values, height, width, y, x, (double)0.3f) ||
                         level_runs(values, height, width, y, x, (double)0.7f);
        const uint8_t ink = 0.299 * before[0] + 0.587 * before[1] + 0.114 * before[2] >= 128.0 ? 0 : 255;
        const int near_half = fabs(0.299 * before[0] + 0.587 * before[1] + 0.114 * before[2] - 128.0) < 1.0;
        for (int c = 0; c < 3; c++)
            cr_expect(after[c] == (runs ? ink : before[c]) || (runs && near_half), "pixel %ld, %ld", (long)x, (long)y);
        lines[runs]++;
    }
    cr_expect(lines[1] > 0 && lines[0] > lines[1], "%zu pixels of %zu are lines", lines[1], count);
    sal_free(plain.samples);
    sal_free(lined.samples);
    free(values);
    free(map);
    free(rgb);
}

Test(overlay, draws_contours_where_the_map_has_their_levels)
{
    check_contours(90, 70, 0);
    check_contours(70, 90, 1);
    check_contours(50, 2100, 0); /* lines of three pixels */
    cr_expect_eq(sal_contour_width(999, 10), 1);
    cr_expect_eq(sal_contour_width(10, 1000), 2);
}

/* Of one pixel, and of colours alone. */
Test(overlay, has_no_contours_where_there_is_nothing_to_draw_them_on)
{
    uint8_t rgb[3] = {90, 90, 90};
    const float map[4] = {0.0f, 1.0f, 0.0f, 1.0f};
    const sal_picture picture = {.height = 1, .width = 1, .channels = 3, .type = SAL_SAMPLE_U8, .samples = rgb};
    const sal_placement one = stretch(2, 2, 1, 1), p = stretch(2, 2, 9, 9);
    sal_overlay_style style = {.colormap = SAL_COLORMAP_GRAY, .contour_count = 1, .contours = {0.5f}};
    sal_picture out, colors;
    cr_assert_eq(sal_overlay_draw(&out, &picture, map, &one, &style), SAL_OK);
    cr_expect_arr_eq(out.samples, rgb, 3);
    sal_free(out.samples);
    cr_assert_eq(sal_overlay_draw(&out, NULL, map, &p, &style), SAL_OK);
    style.contour_count = 0;
    cr_assert_eq(sal_overlay_draw(&colors, NULL, map, &p, &style), SAL_OK);
    cr_expect_arr_eq(out.samples, colors.samples, 9 * 9 * 3);
    sal_free(out.samples);
    sal_free(colors.samples);
}

Test(overlay, refuses_blends_and_contours_that_there_are_not)
{
    const sal_overlay_style wrong[] = {{.blend = (sal_blend)2},
                                       {.colormap = SAL_COLORMAP_AUTO},
                                       {.contour_count = -1},
                                       {.contour_count = SAL_CONTOURS_MAX + 1},
                                       {.contour_count = 1},
                                       {.contour_count = 1, .contours = {1.0f}},
                                       {.contour_count = 1, .contours = {NAN}},
                                       {.contour_count = 2, .contours = {0.5f, -0.5f}}};
    const float map[1] = {0};
    const sal_placement p = stretch(1, 1, 2, 2);
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        sal_picture out = {.height = 1};
        cr_expect_eq(sal_overlay_draw(&out, NULL, map, &p, &wrong[k]), SAL_ERROR_ARGUMENT, "style %zu", k);
        cr_expect(!out.samples && out.height == 0);
    }
}
