/* Reduction, normalisation and the whole sal_map_make. */
#include "test_map_support.h"

#include <float.h>
#include <string.h>

static float *gradient_of(uint32_t seed, size_t count)
{
    float *g = uniform_floats(seed, count);
    for (size_t i = 0; i < count; i++)
        g[i] = 4.0f * g[i] - 2.0f;
    return g;
}

Test(reduce, matches_numpy)
{
    FILE *f = open_golden("reduce.txt");
    long channels, pixels;
    int modifier, kind, cases = 0;
    unsigned seed;
    while (fscanf(f, "%ld %ld %d %d %u", &channels, &pixels, &modifier, &kind, &seed) == 5) {
        char label[96];
        snprintf(label, sizeof label, "reduce c%ld modifier %d reduce %d", channels, modifier, kind);
        float *g = gradient_of(seed, (size_t)(channels * pixels)), *map = new_floats((size_t)pixels);
        cr_assert_eq(sal_map_reduce(map, g, channels, pixels, (sal_modifier)modifier, (sal_reduce)kind), SAL_OK);
        check_samples(f, map, (size_t)pixels, 2e-6, label);
        free(g);
        free(map);
        cases++;
    }
    cr_assert(feof(f));
    fclose(f);
    cr_assert_eq(cases, 48);
}

static double naive_reduce(const float *g, int64_t channels, int64_t pixels, int64_t i, sal_modifier modifier,
                           sal_reduce reduce)
{
    double most = -DBL_MAX, sum = 0.0, squares = 0.0;
    for (int64_t c = 0; c < channels; c++) {
        double v = (double)g[c * pixels + i];
        if (modifier == SAL_MODIFIER_ABS)
            v = fabs(v);
        else if (modifier == SAL_MODIFIER_RELU)
            v = fmax(v, 0.0);
        else if (modifier == SAL_MODIFIER_NEGATE)
            v = -v;
        most = fmax(most, v);
        sum += v;
        squares += v * v;
    }
    double results[] = {most, sum / (double)channels, sum, sqrt(squares)};
    return results[reduce];
}

Test(reduce, matches_a_naive_loop_for_every_pixel_across_tiles)
{
    static const int64_t channel_counts[] = {1, 2, 3, 9, 64}, pixel_counts[] = {1, 255, 256, 257, 1000};
    for (size_t cc = 0; cc < 5; cc++)
        for (size_t pc = 0; pc < 5; pc++)
            for (int kind = 0; kind < 16; kind++) {
                int64_t channels = channel_counts[cc], pixels = pixel_counts[pc];
                sal_modifier modifier = (sal_modifier)(kind / 4);
                sal_reduce reduce = (sal_reduce)(kind % 4);
                float *g = gradient_of((uint32_t)kind, (size_t)(channels * pixels));
                float *map = new_floats((size_t)pixels);
                cr_assert_eq(sal_map_reduce(map, g, channels, pixels, modifier, reduce), SAL_OK);
                for (int64_t i = 0; i < pixels; i++) {
                    double expected = naive_reduce(g, channels, pixels, i, modifier, reduce);
                    cr_assert(is_near((double)map[i], expected, 1e-7 * (fabs(expected) + 1e-12)),
                              "c%ld pixels %ld kind %d index %ld: %.9g, expected %.9g", (long)channels, (long)pixels,
                              kind, (long)i, (double)map[i], expected);
                }
                free(g);
                free(map);
            }
}

Test(reduce, refuses_nan_and_infinity_wherever_they_are)
{
    enum { CHANNELS = 3, PIXELS = 301 };
    static const float wrong[] = {NAN, INFINITY, -INFINITY};
    static const int places[] = {0, 300, 301 + 256, 3 * 301 - 1};
    float g[CHANNELS * PIXELS], map[PIXELS];
    for (size_t w = 0; w < 3; w++)
        for (size_t p = 0; p < 4; p++)
            for (int kind = 0; kind < 16; kind++) {
                for (int i = 0; i < CHANNELS * PIXELS; i++)
                    g[i] = 1.0f;
                g[places[p]] = wrong[w];
                cr_assert_eq(sal_map_reduce(map, g, CHANNELS, PIXELS, (sal_modifier)(kind / 4), (sal_reduce)(kind % 4)),
                             SAL_ERROR_NUMERIC, "value %g at %d, kind %d", (double)wrong[w], places[p], kind);
            }
    char place[64];
    snprintf(place, sizeof place, "channel %d, pixel %d", 2, 300);
    cr_assert_not_null(strstr(sal_last_error(), place), "%s", sal_last_error());
}

Test(reduce, refuses_a_sum_beyond_float)
{
    float g[2] = {FLT_MAX, FLT_MAX}, map[1];
    cr_assert_eq(sal_map_reduce(map, g, 2, 1, SAL_MODIFIER_NONE, SAL_REDUCE_SUM), SAL_ERROR_NUMERIC);
    cr_assert_eq(sal_map_reduce(map, g, 2, 1, SAL_MODIFIER_NONE, SAL_REDUCE_L2), SAL_ERROR_NUMERIC);
    cr_assert_eq(sal_map_reduce(map, g, 2, 1, SAL_MODIFIER_NONE, SAL_REDUCE_MEAN), SAL_OK);
    cr_assert(map[0] == FLT_MAX);
}

Test(reduce, refuses_unknown_options_and_empty_gradients)
{
    float g[1] = {1}, map[1];
    cr_assert_eq(sal_map_reduce(map, g, 1, 1, (sal_modifier)4, SAL_REDUCE_MAX), SAL_ERROR_ARGUMENT);
    cr_assert_eq(sal_map_reduce(map, g, 1, 1, SAL_MODIFIER_ABS, (sal_reduce)-1), SAL_ERROR_ARGUMENT);
    cr_assert_eq(sal_map_reduce(map, g, 0, 1, SAL_MODIFIER_ABS, SAL_REDUCE_MAX), SAL_ERROR_ARGUMENT);
    cr_assert_eq(sal_map_reduce(map, g, 1, 0, SAL_MODIFIER_ABS, SAL_REDUCE_MAX), SAL_ERROR_ARGUMENT);
}

Test(normalize, follows_its_formula_and_keeps_peak_and_mean)
{
    float map[4] = {-1.0f, 0.0f, 1.0f, 4.0f};
    sal_map_stats stats;
    sal_map_normalize(map, &stats, 4);
    cr_assert(stats.peak == 4.0f && stats.mean == 1.0f && stats.low == -1.0f && stats.flat == 0);
    for (int i = 0; i < 4; i++) {
        static const double values[] = {-1, 0, 1, 4};
        cr_assert(is_near((double)map[i], (values[i] + 1.0) / (5.0 + 1e-7), 6e-8), "%d: %.9g", i, (double)map[i]);
    }
}

Test(normalize, makes_a_constant_map_zeros_and_says_flat)
{
    float map[3] = {2.5f, 2.5f, 2.5f};
    sal_map_stats stats;
    sal_map_normalize(map, &stats, 3);
    cr_assert(stats.flat == 1 && stats.peak == 2.5f && stats.mean == 2.5f);
    for (int i = 0; i < 3; i++)
        cr_assert(map[i] == 0.0f);
}

Test(normalize, survives_the_whole_range_of_float)
{
    float map[3] = {-FLT_MAX, 0.0f, FLT_MAX};
    sal_map_stats stats;
    sal_map_normalize(map, &stats, 3);
    cr_assert(map[0] == 0.0f && is_near((double)map[1], 0.5, 1e-7) && map[2] == 1.0f);
}

Test(map_make, is_reduce_then_smooth_then_normalise)
{
    enum { C = 3, H = 60, W = 50 };
    float *g = gradient_of(5, C * H * W), *map = new_floats(H * W), *expected = new_floats(H * W);
    sal_map_stats stats, wanted;
    sal_map_options options = {.reduce = SAL_REDUCE_L2, .sigma_set = 1, .sigma = 2.0};
    cr_assert_eq(sal_map_make(map, &stats, g, C, H, W, &options), SAL_OK);
    cr_assert_eq(sal_map_reduce(expected, g, C, H * W, SAL_MODIFIER_ABS, SAL_REDUCE_L2), SAL_OK);
    cr_assert_eq(sal_map_smooth(expected, H, W, 2.0), SAL_OK);
    sal_map_normalize(expected, &wanted, H * W);
    cr_assert_eq(memcmp(map, expected, H * W * sizeof *map), 0);
    cr_assert(stats.peak == wanted.peak && stats.mean == wanted.mean && stats.flat == 0);
    free(g);
    free(map);
    free(expected);
}

Test(map_make, smooths_by_2_percent_of_the_shorter_side_unless_told)
{
    enum { H = 100, W = 150 };
    float *g = gradient_of(6, H * W), *map = new_floats(H * W), *expected = new_floats(H * W);
    sal_map_options unset = {.sigma = 77.0, .normalize = SAL_NORMALIZE_NONE};
    sal_map_options two = {.sigma_set = 1, .sigma = 2.0, .normalize = SAL_NORMALIZE_NONE};
    cr_assert_eq(sal_map_make(map, NULL, g, 1, H, W, &unset), SAL_OK);
    cr_assert_eq(sal_map_make(expected, NULL, g, 1, H, W, &two), SAL_OK);
    cr_assert_eq(memcmp(map, expected, H * W * sizeof *map), 0);
    free(g);
    free(map);
    free(expected);
}

Test(map_make, with_no_sigma_and_no_normalising_gives_the_reduced_gradient)
{
    enum { C = 3, N = 24 };
    float *g = gradient_of(8, C * N * N), *map = new_floats(N * N), *expected = new_floats(N * N);
    sal_map_options options = {.sigma_set = 1, .normalize = SAL_NORMALIZE_NONE};
    sal_map_stats stats;
    cr_assert_eq(sal_map_make(map, &stats, g, C, N, N, &options), SAL_OK);
    cr_assert_eq(sal_map_reduce(expected, g, C, N * N, SAL_MODIFIER_ABS, SAL_REDUCE_MAX), SAL_OK);
    cr_assert_eq(memcmp(map, expected, N * N * sizeof *map), 0);
    float peak = 0.0f;
    for (int i = 0; i < N * N; i++)
        peak = fmaxf(peak, map[i]);
    cr_assert(stats.peak == peak);
    free(g);
    free(map);
    free(expected);
}

Test(map_make, reports_a_gradient_of_one_value_as_flat)
{
    enum { N = 60 };
    float *g = new_floats(N * N), *map = new_floats(N * N);
    sal_map_stats stats;
    for (int i = 0; i < N * N; i++)
        g[i] = -0.3f;
    cr_assert_eq(sal_map_make(map, &stats, g, 1, N, N, NULL), SAL_OK);
    cr_assert(stats.flat == 1 && stats.peak == 0.3f);
    for (int i = 0; i < N * N; i++)
        cr_assert(map[i] == 0.0f);
    free(g);
    free(map);
}

Test(map_make, refuses_nan_and_sizes_that_overflow)
{
    float g[4] = {1, 2, NAN, 4}, map[4];
    cr_assert_eq(sal_map_make(map, NULL, g, 1, 2, 2, NULL), SAL_ERROR_NUMERIC);
    cr_assert_eq(sal_map_make(map, NULL, g, INT64_MAX, 2, 2, NULL), SAL_ERROR_ARGUMENT);
    cr_assert_eq(sal_map_make(map, NULL, g, 1, 0, 2, NULL), SAL_ERROR_ARGUMENT);
    cr_assert_eq(sal_map_make(map, NULL, g, 0, 2, 2, NULL), SAL_ERROR_ARGUMENT);
    sal_map_options unknown = {.normalize = (sal_normalize)9};
    cr_assert_eq(sal_map_make(map, NULL, g, 1, 2, 2, &unknown), SAL_ERROR_ARGUMENT);
}

/* The comparator that the other tests lean on. */
Test(comparator, nan_and_infinity_are_near_nothing)
{
    cr_assert_not(is_near(NAN, 0.0, 1e30));
    cr_assert_not(is_near(0.0, NAN, 1e30));
    cr_assert_not(is_near(NAN, NAN, 1e30));
    cr_assert_not(is_near(INFINITY, INFINITY, 1e30));
    cr_assert_not(is_near(INFINITY, 0.0, 1e30));
    cr_assert(is_near(1.0, 1.0, 0.0));
}

Test(summary, is_mean_deviation_and_centre_of_mass)
{
    const float map[6] = {0.0f, 0.0f, 1.0f, 0.0f, 0.0f, 0.5f};
    const float nothing[2] = {0.0f, 0.0f};
    sal_map_summary s;
    sal_map_summarize(&s, map, 2, 3);
    cr_expect_float_eq(s.mean, 0.25f, 1e-7f);
    cr_expect_float_eq(s.deviation, 0.3818813f, 1e-6f);
    cr_expect_float_eq(s.center_x, 2.5f / 3.0f, 1e-7f);
    cr_expect_float_eq(s.center_y, (0.5f * 1.0f + 1.5f * 0.5f) / 1.5f / 2.0f, 1e-7f);
    sal_map_summarize(&s, nothing, 1, 2);
    cr_expect(s.mean == 0.0f && s.deviation == 0.0f && isnan(s.center_x) && isnan(s.center_y));
}
