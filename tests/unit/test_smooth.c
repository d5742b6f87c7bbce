#include "test_map_support.h"

#include <string.h>

Test(smooth, matches_scipy_to_1e_6_of_the_peak)
{
    FILE *f = open_golden("smooth.txt");
    long height, width;
    int cases = 0;
    double sigma, peak, worst = 0.0;
    unsigned seed;
    while (fscanf(f, "%ld %ld %lf %u %lf", &height, &width, &sigma, &seed, &peak) == 5) {
        size_t count = (size_t)(height * width);
        char label[96];
        snprintf(label, sizeof label, "smooth %ldx%ld sigma %g seed %u", height, width, sigma, seed);
        float *map = uniform_floats(seed, count);
        cr_assert_eq(sal_map_smooth(map, height, width, sigma), SAL_OK);
        worst = fmax(worst, check_samples(f, map, count, 1e-6 * peak, label) / peak);
        free(map);
        cases++;
    }
    cr_assert(feof(f));
    fclose(f);
    cr_assert_eq(cases, 54);
    cr_assert_lt(worst, 1e-7, "%d cases: worst %g of the peak, more than rounding to float explains", cases, worst);
}

/* Straight from the definition, two-dimensional, for maps of which every pixel is compared. */
static double naive(const float *in, int64_t height, int64_t width, int64_t y, int64_t x, double sigma)
{
    int64_t radius = (int64_t)floor(4.0 * sigma + 0.5);
    double sum = 0.0, total = 0.0;
    for (int64_t dy = -radius; dy <= radius; dy++)
        for (int64_t dx = -radius; dx <= radius; dx++) {
            int64_t sy = y + dy, sx = x + dx;
            while (sy < 0 || sy >= height)
                sy = sy < 0 ? -1 - sy : 2 * height - 1 - sy;
            while (sx < 0 || sx >= width)
                sx = sx < 0 ? -1 - sx : 2 * width - 1 - sx;
            double w = exp(-(double)(dy * dy + dx * dx) / (2.0 * sigma * sigma));
            sum += w * (double)in[sy * width + sx];
            total += w;
        }
    return sum / total;
}

Test(smooth, matches_the_definition_at_every_pixel_of_odd_shapes)
{
    static const int64_t shapes[][2] = {{1, 1}, {1, 2}, {2, 1}, {3, 5}, {15, 16}, {16, 17}, {31, 33}, {4, 49}};
    static const double sigmas[] = {0.13, 0.7, 1.5, 6.0};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (size_t k = 0; k < sizeof sigmas / sizeof *sigmas; k++) {
            int64_t height = shapes[s][0], width = shapes[s][1];
            size_t count = (size_t)(height * width);
            float *in = uniform_floats(7, count), *map = uniform_floats(7, count);
            cr_assert_eq(sal_map_smooth(map, height, width, sigmas[k]), SAL_OK);
            for (int64_t i = 0; i < height * width; i++) {
                double expected = naive(in, height, width, i / width, i % width, sigmas[k]);
                cr_assert(is_near((double)map[i], expected, 1e-6), "%ldx%ld sigma %g index %ld: %.9g, expected %.9g",
                          (long)height, (long)width, sigmas[k], (long)i, (double)map[i], expected);
            }
            free(in);
            free(map);
        }
}

Test(smooth, leaves_a_constant_map_exactly_constant)
{
    enum { SIDE = 40 };
    float map[SIDE * SIDE];
    static const float values[] = {0.1f, 1.0f / 3.0f, 1e-30f, 123456.7f, -0.7f};
    static const double sigmas[] = {0.8, 4.48, 37.0};
    for (size_t v = 0; v < sizeof values / sizeof *values; v++)
        for (size_t s = 0; s < sizeof sigmas / sizeof *sigmas; s++) {
            for (int i = 0; i < SIDE * SIDE; i++)
                map[i] = values[v];
            cr_assert_eq(sal_map_smooth(map, SIDE, SIDE, sigmas[s]), SAL_OK);
            for (int i = 0; i < SIDE * SIDE; i++)
                cr_assert(map[i] == values[v], "%g became %.9g at %d, sigma %g", (double)values[v], (double)map[i], i,
                          sigmas[s]);
        }
}

Test(smooth, sigma_0_changes_nothing)
{
    float *in = uniform_floats(3, 35), *map = uniform_floats(3, 35);
    cr_assert_eq(sal_map_smooth(map, 5, 7, 0.0), SAL_OK);
    cr_assert_eq(memcmp(in, map, 35 * sizeof *in), 0);
    free(in);
    free(map);
}

Test(smooth, refuses_what_is_no_sigma_or_no_map)
{
    float map[4] = {1, 2, 3, 4};
    static const double wrong[] = {-1.0, NAN, INFINITY, SAL_SIGMA_MAX * 1.01};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert_eq(sal_map_smooth(map, 2, 2, wrong[i]), SAL_ERROR_ARGUMENT, "sigma %g", wrong[i]);
    cr_assert_eq(sal_map_smooth(map, 0, 2, 1.0), SAL_ERROR_ARGUMENT);
    cr_assert_eq(sal_map_smooth(map, 2, -1, 1.0), SAL_ERROR_ARGUMENT);
}

Test(smooth, takes_the_largest_sigma_on_a_tiny_map)
{
    float map[4] = {0, 0, 0, 1};
    cr_assert_eq(sal_map_smooth(map, 2, 2, SAL_SIGMA_MAX), SAL_OK);
    for (int i = 0; i < 4; i++)
        cr_assert(is_near((double)map[i], 0.25, 1e-4), "%g", (double)map[i]);
}

Test(smooth, reflect_repeats_for_any_distance)
{
    for (int64_t n = 1; n <= 6; n++)
        for (int64_t i = -40; i <= 40; i++) {
            int64_t j = i;
            while (j < 0 || j >= n)
                j = j < 0 ? -1 - j : 2 * n - 1 - j;
            cr_assert_eq(sal_reflect(i, n), j, "i %ld n %ld", (long)i, (long)n);
        }
}
