/* Pictures of another size, against Pillow and against the definition. */
#include "test_map_support.h"

#include <string.h>

Test(resize, is_within_one_level_of_pillow)
{
    FILE *f = open_golden("resize.txt");
    long height, width, h, w, samples;
    unsigned seed;
    int cases = 0;
    while (fscanf(f, "%ld %ld %ld %ld %u", &height, &width, &h, &w, &seed) == 5) {
        uint8_t *rgb = hashed_levels(seed, (size_t)(height * width * 3));
        sal_picture picture = {.height = height, .width = width, .channels = 3, .type = SAL_SAMPLE_U8, .samples = rgb},
                    out;
        cr_assert_eq(sal_resize_rgb(&out, &picture, h, w), SAL_OK);
        cr_assert(out.height == h && out.width == w && out.channels == 3);
        cr_assert_eq(fscanf(f, "%ld", &samples), 1);
        for (long s = 0; s < samples; s++) {
            long i;
            double expected;
            cr_assert(fscanf(f, "%ld %lf", &i, &expected) == 2 && i < h * w * 3);
            double got = ((uint8_t *)out.samples)[i];
            cr_assert(is_near(got, expected, 1.0), "%ldx%ld to %ldx%ld index %ld: %g, expected %g", height, width, h, w,
                      i, got, expected);
        }
        sal_free(out.samples);
        free(rgb);
        cases++;
    }
    cr_assert(feof(f));
    fclose(f);
    cr_assert_eq(cases, 6);
}

/* Weight of input j in output i: a triangle as wide as an output, or as an input where that is wider. */
static double triangle(int64_t i, int64_t j, int64_t outputs, int64_t inputs)
{
    double scale = (double)inputs / (double)outputs, away = fabs((double)j + 0.5 - ((double)i + 0.5) * scale);
    return fmax(0.0, 1.0 - away / fmax(scale, 1.0));
}

/* Straight from the definition: the mean of all inputs, weighted by both triangles. */
static double naive_resize(const uint8_t *rgb, int64_t height, int64_t width, int64_t h, int64_t w, int64_t i)
{
    int64_t y = i / 3 / w, x = i / 3 % w, c = i % 3;
    double sum = 0.0, total = 0.0;
    for (int64_t v = 0; v < height; v++)
        for (int64_t u = 0; u < width; u++) {
            double weight = triangle(y, v, h, height) * triangle(x, u, w, width);
            sum += weight * rgb[3 * (v * width + u) + c];
            total += weight;
        }
    return sum / total;
}

Test(resize, is_the_nearest_level_to_the_definition_at_every_pixel)
{
    static const int64_t shapes[][4] = {{7, 5, 3, 2},    {5, 4, 9, 11},   {8, 9, 8, 9},     {1, 1, 3, 4}, {9, 1, 2, 3},
                                        {13, 17, 4, 30}, {60, 50, 7, 49}, {101, 3, 100, 3}, {4, 64, 4, 1}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        int64_t height = shapes[s][0], width = shapes[s][1], h = shapes[s][2], w = shapes[s][3];
        uint8_t *rgb = hashed_levels((uint32_t)s + 60, (size_t)(height * width * 3));
        sal_picture picture = {.height = height, .width = width, .channels = 3, .type = SAL_SAMPLE_U8, .samples = rgb},
                    out;
        cr_assert_eq(sal_resize_rgb(&out, &picture, h, w), SAL_OK);
        for (int64_t i = 0; i < h * w * 3; i++) {
            double expected = naive_resize(rgb, height, width, h, w, i), got = ((uint8_t *)out.samples)[i];
            cr_assert(is_near(got, expected, 0.5 + 1e-4), "%ldx%ld to %ldx%ld index %ld: %g, expected %g", (long)height,
                      (long)width, (long)h, (long)w, (long)i, got, expected);
        }
        sal_free(out.samples);
        free(rgb);
    }
}

Test(resize, keeps_black_and_white_and_shades_what_is_no_8_bit_rgb)
{
    uint16_t words[6] = {0, 65535, 65535, 0, 65535, 65535};
    sal_picture picture = {.height = 2, .width = 3, .channels = 1, .type = SAL_SAMPLE_U16, .samples = words}, out;
    cr_assert_eq(sal_resize_rgb(&out, &picture, 4, 9), SAL_OK);
    for (int y = 0; y < 4; y++) {
        const uint8_t *row = (const uint8_t *)out.samples + 27 * y;
        for (int c = 0; c < 3; c++)
            cr_assert(row[c] == 0 && row[26 - c] == 255, "row %d: %d to %d", y, row[c], row[26 - c]);
    }
    sal_free(out.samples);
}

Test(resize, refuses_pictures_without_pixels)
{
    uint8_t rgb[3] = {0};
    sal_picture good = {.height = 1, .width = 1, .channels = 3, .type = SAL_SAMPLE_U8, .samples = rgb}, picture = good,
                out = good;
    cr_assert_eq(sal_resize_rgb(&out, &good, 0, 1), SAL_ERROR_ARGUMENT);
    cr_assert_not_null(strstr(sal_last_error(), "picture of 1 x 1 pixels cannot become 1 x 0"), "%s", sal_last_error());
    cr_assert_eq(sal_resize_rgb(&out, &good, 1, 0), SAL_ERROR_ARGUMENT);
    picture.height = 0;
    cr_assert_eq(sal_resize_rgb(&out, &picture, 1, 1), SAL_ERROR_ARGUMENT);
    picture = good;
    picture.width = 0;
    cr_assert_eq(sal_resize_rgb(&out, &picture, 1, 1), SAL_ERROR_ARGUMENT);
    picture = good;
    picture.channels = 0;
    cr_assert_eq(sal_resize_rgb(&out, &picture, 1, 1), SAL_ERROR_ARGUMENT);
    cr_assert(!out.samples && out.height == 0);
}
