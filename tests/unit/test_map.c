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
    sal_map_normalize(map, &stats, 4, SAL_NORMALIZE_MINMAX);
    cr_assert(stats.peak == 4.0f && stats.mean == 1.0f && stats.low == -1.0f && stats.flat == 0);
    for (int i = 0; i < 4; i++) {
        static const double values[] = {-1, 0, 1, 4};
        cr_assert(is_near((double)map[i], (values[i] + 1.0) / 5.0, 3e-8), "%d: %.9g", i, (double)map[i]);
    }
}

Test(normalize, makes_a_constant_map_zeros_and_says_flat)
{
    float map[3] = {2.5f, 2.5f, 2.5f};
    sal_map_stats stats;
    sal_map_normalize(map, &stats, 3, SAL_NORMALIZE_MINMAX);
    cr_assert(stats.flat == 1 && stats.peak == 2.5f && stats.mean == 2.5f);
    for (int i = 0; i < 3; i++)
        cr_assert(map[i] == 0.0f);
}

/* What enlarging makes of one value is rounding, not a map. */
Test(normalize, takes_rounding_for_a_constant_whatever_the_unit)
{
    static const float units[] = {1e-30f, 1e-7f, 1.0f, 1e30f};
    const sal_normalize ways[] = {SAL_NORMALIZE_MINMAX, SAL_NORMALIZE_SIGNED};
    for (size_t u = 0; u < 4; u++)
        for (size_t w = 0; w < 2; w++) {
            const float one = 0.3f * units[u];
            float map[3] = {one, nextafterf(nextafterf(one, 0.0f), 0.0f), nextafterf(one, INFINITY)};
            sal_map_stats stats;
            sal_map_normalize(map, &stats, 3, ways[w]);
            cr_expect(stats.flat && map[0] == 0.0f && map[1] == 0.0f && map[2] == 0.0f, "%g", (double)units[u]);
            float two[3] = {one, one * 1.00001f, -one};
            sal_map_normalize(two, &stats, 2, ways[w]);
            cr_expect(!stats.flat && two[1] == 1.0f, "%g", (double)units[u]);
        }
    float kept[2] = {1.0f, nextafterf(1.0f, 2.0f)};
    sal_map_stats stats;
    sal_map_normalize(kept, &stats, 2, SAL_NORMALIZE_NONE);
    cr_expect(stats.flat && kept[0] == 1.0f && kept[1] > 1.0f);
    sal_map_normalize(kept, &stats, 2, SAL_NORMALIZE_KERAS_VIS);
    cr_expect(!stats.flat);
}

Test(normalize, keras_vis_adds_its_number_to_the_range)
{
    float map[3] = {0.0f, 1e-7f, 2e-7f};
    sal_map_stats stats;
    sal_map_normalize(map, &stats, 3, SAL_NORMALIZE_KERAS_VIS);
    cr_expect(!stats.flat && map[0] == 0.0f);
    cr_expect(is_near((double)map[1], 1.0 / 3.0, 1e-7) && is_near((double)map[2], 2.0 / 3.0, 1e-7));
}

Test(normalize, says_where_float_has_few_digits_left)
{
    const struct {
        float low, peak;
        int faint;
    } cases[] = {{0, 0, 0},         {0, 1e-45f, 1},     {0, 0x1p-101f, 1},     {-0x1p-101f, 0, 1},
                 {0, 0x1p-100f, 0}, {-0x1p-100f, 0, 0}, {-1.0f, 0x1p-120f, 0}, {0, FLT_MIN, 1}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const sal_map_stats stats = {.low = cases[k].low, .peak = cases[k].peak};
        cr_expect_eq(sal_map_is_faint(&stats), cases[k].faint, "case %zu", k);
    }
    cr_expect_eq(sal_map_is_faint(NULL), 0);
}

Test(normalize, survives_the_whole_range_of_float)
{
    float map[3] = {-FLT_MAX, 0.0f, FLT_MAX};
    sal_map_stats stats;
    sal_map_normalize(map, &stats, 3, SAL_NORMALIZE_MINMAX);
    cr_assert(map[0] == 0.0f && is_near((double)map[1], 0.5, 1e-7) && map[2] == 1.0f);
}

Test(map_make, is_reduce_then_smooth_then_normalise)
{
    enum { C = 3, H = 60, W = 50 };
    float *g = gradient_of(5, C * H * W), *map = new_floats(H * W), *expected = new_floats(H * W);
    sal_map_stats stats, wanted;
    sal_map_options options = {.size = sizeof(sal_map_options), .reduce = SAL_REDUCE_L2, .sigma = 2.0};
    cr_assert_eq(sal_map_make(map, &stats, g, C, H, W, &options), SAL_OK);
    cr_assert_eq(sal_map_reduce(expected, g, C, H * W, SAL_MODIFIER_ABS, SAL_REDUCE_L2), SAL_OK);
    cr_assert_eq(sal_map_smooth(expected, H, W, 2.0), SAL_OK);
    sal_map_normalize(expected, &wanted, H * W, SAL_NORMALIZE_MINMAX);
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
    sal_map_options unset = {.size = sizeof(sal_map_options), .sigma = SAL_DEFAULT, .normalize = SAL_NORMALIZE_NONE};
    sal_map_options two = {.size = sizeof(sal_map_options), .sigma = 2.0, .normalize = SAL_NORMALIZE_NONE};
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
    sal_map_options options = {.size = sizeof(sal_map_options), .sigma = 0.0, .normalize = SAL_NORMALIZE_NONE};
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
    sal_map_options unknown = {.size = sizeof(sal_map_options), .sigma = SAL_DEFAULT, .normalize = (sal_normalize)9};
    cr_assert_eq(sal_map_make(map, NULL, g, 1, 2, 2, &unknown), SAL_ERROR_ARGUMENT);
}

Test(map_make, needs_both_arrays_and_sides_of_at_least_1)
{
    float g[2] = {1, 2}, map[2];
    cr_assert_eq(sal_map_make(NULL, NULL, g, 1, 1, 2, NULL), SAL_ERROR_ARGUMENT);
    cr_assert_eq(sal_map_make(map, NULL, NULL, 1, 1, 2, NULL), SAL_ERROR_ARGUMENT);
    cr_assert_eq(sal_map_make(map, NULL, g, 1, 2, 0, NULL), SAL_ERROR_ARGUMENT);
    cr_assert_str_eq(sal_last_error(), "map of 0 x 2 pixels: both sides must be at least 1");
    cr_assert_eq(sal_map_make(map, NULL, g, 1, -1, -1, NULL), SAL_ERROR_ARGUMENT);
    cr_assert_eq(sal_map_make(map, NULL, g, 2, INT64_MAX / 4, 4, NULL), SAL_ERROR_ARGUMENT);
    cr_assert_not_null(strstr(sal_last_error(), "gradient of 2 x"), "%s", sal_last_error());
    sal_map_options unknown = {.size = sizeof(sal_map_options),
                               .sigma = SAL_DEFAULT,
                               .normalize = (sal_normalize)(SAL_NORMALIZE_KERAS_VIS + 1)};
    cr_assert_eq(sal_map_make(map, NULL, g, 1, 1, 2, &unknown), SAL_ERROR_ARGUMENT);
    cr_assert_eq(sal_map_make(map, NULL, g, 1, 1, 1, NULL), SAL_OK);
}

Test(map_make, measures_the_map_whether_or_not_it_is_normalised)
{
    const float g[6] = {-3.0f, 1.0f, 2.0f, 0.5f, -0.25f, 2.5f};
    for (int none = 0; none < 2; none++) {
        float map[6];
        sal_map_stats stats;
        sal_map_options options = {.size = sizeof(sal_map_options),
                                   .sigma = 0.0,
                                   .modifier = SAL_MODIFIER_NONE,
                                   .normalize = none ? SAL_NORMALIZE_NONE : SAL_NORMALIZE_MINMAX};
        cr_assert_eq(sal_map_make(map, &stats, g, 1, 2, 3, &options), SAL_OK);
        cr_expect(stats.low == -3.0f && stats.peak == 2.5f && stats.flat == 0);
        cr_expect(is_near((double)stats.mean, 2.75 / 6.0, 1e-7), "mean %g", (double)stats.mean);
        for (int i = 0; i < 6; i++) {
            double expected = none ? (double)g[i] : ((double)g[i] + 3.0) / 5.5;
            cr_expect(is_near((double)map[i], expected, 1e-7), "%d: %g, expected %g", i, (double)map[i], expected);
        }
    }
}

Test(map_make, default_sigma_is_of_the_shorter_side)
{
    cr_expect(is_near(sal_map_default_sigma(100, 250), 2.0, 1e-12));
    cr_expect(is_near(sal_map_default_sigma(250, 100), 2.0, 1e-12));
    cr_expect(is_near(sal_map_default_sigma(224, 224), 4.48, 1e-12));
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
    const float nearly[2] = {0.5f, 0.5625f}; /* 1/32 from their mean */
    sal_map_summarize(&s, nearly, 1, 2);
    cr_expect_float_eq(s.deviation, 0.03125f, 1e-7f);
    sal_map_summarize(&s, nothing, 1, 2);
    cr_expect(s.mean == 0.0f && s.deviation == 0.0f && isnan(s.center_x) && isnan(s.center_y));
}

Test(summary, matches_a_naive_loop_over_maps_of_any_shape)
{
    static const int64_t shapes[][2] = {{1, 1}, {1, 9}, {9, 1}, {7, 12}, {40, 31}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        const int64_t height = shapes[s][0], width = shapes[s][1], n = height * width;
        float *map = uniform_floats((uint32_t)s + 30, (size_t)n);
        double sum = 0.0, x = 0.0, y = 0.0, spread = 0.0;
        for (int64_t i = 0; i < n; i++) {
            sum += (double)map[i];
            x += (double)map[i] * ((double)(i % width) + 0.5) / (double)width;
            const int64_t row = i / width;
            y += (double)map[i] * ((double)row + 0.5) / (double)height;
        }
        for (int64_t i = 0; i < n; i++)
            spread += ((double)map[i] - sum / (double)n) * ((double)map[i] - sum / (double)n);
        sal_map_summary got;
        sal_map_summarize(&got, map, height, width);
        cr_expect(is_near((double)got.mean, sum / (double)n, 1e-7));
        cr_expect(is_near((double)got.deviation, sqrt(spread / (double)n), 1e-6), "%g", (double)got.deviation);
        cr_expect(is_near((double)got.center_x, x / sum, 1e-7) && is_near((double)got.center_y, y / sum, 1e-7));
        free(map);
    }
}

Test(summary, of_one_value_everywhere_has_no_deviation_and_of_a_negative_map_no_centre)
{
    float map[50];
    sal_map_summary s;
    for (int i = 0; i < 50; i++)
        map[i] = 0.1f;
    sal_map_summarize(&s, map, 5, 10);
    cr_expect(s.deviation >= 0.0f && is_near((double)s.deviation, 0.0, 1e-8), "%g", (double)s.deviation);
    for (int i = 0; i < 50; i++)
        map[i] = -0.005f;
    sal_map_summarize(&s, map, 5, 10);
    cr_expect(isnan(s.center_x) && isnan(s.center_y));
    cr_expect(is_near((double)s.mean, -0.005, 1e-9));
    /* However little there is of it, mass has a centre. */
    memset(map, 0, sizeof map);
    map[49] = 1e-4f;
    sal_map_summarize(&s, map, 5, 10);
    cr_expect(is_near((double)s.center_x, 0.95, 1e-6) && is_near((double)s.center_y, 0.9, 1e-6));
}

/* ---- Signed maps ------------------------------------------------------------- */

Test(normalize, signed_maps_are_divided_by_the_largest_modulus)
{
    static const float cases[][4] = {{-2, 0, 1, 0.5F}, {-1, 0, 4, 2}, {0, 0, 0, 3}, {-8, -4, -2, -1}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        float map[4], most = 0.0F;
        sal_map_stats stats;
        memcpy(map, cases[k], sizeof map);
        for (int i = 0; i < 4; i++)
            most = fmaxf(most, fabsf(map[i]));
        sal_map_normalize(map, &stats, 4, SAL_NORMALIZE_SIGNED);
        for (int i = 0; i < 4; i++)
            cr_expect_eq(map[i], cases[k][i] / most, "case %zu: %g", k, (double)map[i]);
        cr_expect(!stats.flat && stats.low == fminf(cases[k][0], 0.0F));
    }
    float flat[3] = {-2, -2, -2}, zero[3] = {0, 0, 0};
    sal_map_stats stats;
    sal_map_normalize(flat, &stats, 3, SAL_NORMALIZE_SIGNED);
    cr_expect(stats.flat && stats.peak == -2.0F && flat[0] == 0.0F && flat[2] == 0.0F);
    sal_map_normalize(zero, &stats, 3, SAL_NORMALIZE_SIGNED);
    cr_expect(stats.flat && zero[1] == 0.0F);
}

Test(map_make, signed_maps_keep_their_signs)
{
    const float gradient[8] = {1, -3, 2, 0, 1, -1, -4, 0};
    const sal_map_options options = {.size = sizeof(sal_map_options),
                                     .sigma = 0.0,
                                     .modifier = SAL_MODIFIER_NONE,
                                     .reduce = SAL_REDUCE_SUM,
                                     .normalize = SAL_NORMALIZE_SIGNED};
    static const float expected[4] = {0.5F, -1, -0.5F, 0};
    float map[4];
    sal_map_stats stats;
    cr_assert_eq(sal_map_make(map, &stats, gradient, 2, 2, 2, &options), SAL_OK);
    cr_expect_arr_eq(map, expected, sizeof map);
    cr_expect(stats.peak == 2.0F && stats.low == -4.0F && stats.mean == -1.0F);
}

Test(map_make, does_not_depend_on_the_unit)
{
    enum { C = 3, H = 40, W = 33, SMALL = 7 };
    static const float units[] = {0x1p-96f, 0x1p-60f, 0x1p-20f, 0x1p-1f, 0x1p3f, 0x1p20f, 0x1p100f};
    static const sal_normalize ways[] = {SAL_NORMALIZE_MINMAX, SAL_NORMALIZE_SIGNED};
    float *g = gradient_of(11, C * H * W), *scaled = new_floats(C * H * W);
    float *map = new_floats(H * W), *expected = new_floats(H * W);
    for (int kind = 0; kind < 32; kind++) {
        const sal_map_options o = {.size = sizeof(sal_map_options),
                                   .sigma = kind & 16 ? 2.5 : SAL_DEFAULT,
                                   .modifier = (sal_modifier)(kind % 4),
                                   .reduce = (sal_reduce)(kind / 4 % 4),
                                   .normalize = ways[kind % 2]};
        const int64_t h = kind % 3 ? H : SMALL, w = kind % 3 ? W : SMALL;
        sal_map_stats stats, first;
        cr_assert_eq(sal_map_of(expected, &first, H, W, g, C, h, w, &o), SAL_OK);
        for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
            for (int i = 0; i < C * H * W; i++)
                scaled[i] = g[i] * units[u];
            cr_assert_eq(sal_map_of(map, &stats, H, W, scaled, C, h, w, &o), SAL_OK);
            cr_expect_arr_eq(map, expected, H * W * sizeof *map, "kind %d, unit %g", kind, (double)units[u]);
            cr_expect(stats.peak == first.peak * units[u] && stats.flat == first.flat && !sal_map_is_faint(&stats));
        }
    }
    free(g);
    free(scaled);
    free(map);
    free(expected);
}

/* A layer that answers alike everywhere is no map, though enlarging it rounds. */
Test(map_of, one_value_enlarged_and_smoothed_is_flat)
{
    enum { SMALL = 7, N = 224 };
    float a[SMALL * SMALL], *map = new_floats(N * N);
    const double sigmas[] = {0.0, 4.48};
    for (int k = 0; k < 40; k++) {
        const sal_map_options o = {.size = sizeof(sal_map_options), .sigma = sigmas[k % 2]};
        sal_map_stats stats;
        for (int i = 0; i < SMALL * SMALL; i++)
            a[i] = 0.1f * uniform_at(77, (size_t)k) + 0.01f;
        cr_assert_eq(sal_map_of(map, &stats, N, N, a, 1, SMALL, SMALL, &o), SAL_OK);
        cr_expect(stats.flat, "%d: from %.9g to %.9g", k, (double)stats.low, (double)stats.peak);
        for (int i = 0; i < N * N; i++)
            cr_assert(map[i] == 0.0f);
    }
    free(map);
}

/* ---- Attributions of another size than the map -------------------------------- */

Test(map_of, attributions_of_a_layer_are_enlarged_before_they_are_smoothed)
{
    enum { SMALL_H = 3, SMALL_W = 4, H = 11, W = 9 };
    float *a = gradient_of(5, 2 * SMALL_H * SMALL_W), small[SMALL_H * SMALL_W], expected[H * W], map[H * W];
    const sal_placement placement = {.source_height = H,
                                     .source_width = W,
                                     .net_height = SMALL_H,
                                     .net_width = SMALL_W,
                                     .scale_y = (double)H / SMALL_H,
                                     .scale_x = (double)W / SMALL_W};
    const sal_map_options options = {.size = sizeof(sal_map_options), .sigma = 0.8};
    sal_map_stats stats, expected_stats;
    cr_assert_eq(sal_map_reduce(small, a, 2, SMALL_H * SMALL_W, SAL_MODIFIER_ABS, SAL_REDUCE_MAX), SAL_OK);
    cr_assert_eq(sal_map_upsample(expected, small, &placement), SAL_OK);
    cr_assert_eq(sal_map_smooth(expected, H, W, 0.8), SAL_OK);
    sal_map_normalize(expected, &expected_stats, H * W, SAL_NORMALIZE_MINMAX);
    cr_assert_eq(sal_map_of(map, &stats, H, W, a, 2, SMALL_H, SMALL_W, &options), SAL_OK, "%s", sal_last_error());
    cr_expect_arr_eq(map, expected, sizeof map);
    cr_expect_arr_eq(&stats, &expected_stats, sizeof stats);
    /* As large as the map: the same as sal_map_make. */
    cr_assert_eq(sal_map_of(map, NULL, SMALL_H, SMALL_W, a, 2, SMALL_H, SMALL_W, &options), SAL_OK);
    cr_assert_eq(sal_map_make(expected, NULL, a, 2, SMALL_H, SMALL_W, &options), SAL_OK);
    cr_expect_arr_eq(map, expected, sizeof small);
    /* The sides of the map are checked as well as those of the layer. */
    cr_expect_eq(sal_map_of(map, NULL, 0, W, a, 2, SMALL_H, SMALL_W, &options), SAL_ERROR_ARGUMENT);
    cr_expect_str_eq(sal_last_error(), "map of 9 x 0 pixels: both sides must be at least 1");
    cr_expect_eq(sal_map_of(map, NULL, INT64_MAX / 4, 8, a, 2, SMALL_H, SMALL_W, &options), SAL_ERROR_ARGUMENT);
    free(a);
}

/* ---- A scale in common --------------------------------------------------------- */

Test(normalize, by_a_scale_in_common_keeps_what_maps_are_worth)
{
    float weak[3] = {1.0F, 1.5F, 2.0F}, strong[3] = {0.0F, 2.0F, 6.0F}, both[4] = {-8.0F, -1.0F, 0.0F, 2.0F};
    float flat[2] = {3.0F, 3.0F};
    sal_map_stats stats;
    sal_map_normalize_by(weak, &stats, 3, SAL_NORMALIZE_MINMAX, 4.0);
    cr_expect(weak[0] == 0.0F && weak[1] == 0.125F && weak[2] == 0.25F);
    cr_expect(stats.peak == 2.0F && stats.low == 1.0F && !stats.flat);
    sal_map_normalize_by(strong, &stats, 3, SAL_NORMALIZE_MINMAX, 4.0);
    cr_expect(strong[0] == 0.0F && strong[1] == 0.5F && strong[2] == 1.0F, "what is beyond the scale is 1");
    sal_map_normalize_by(both, &stats, 4, SAL_NORMALIZE_SIGNED, 4.0);
    cr_expect(both[0] == -1.0F && both[1] == -0.25F && both[2] == 0.0F && both[3] == 0.5F);
    sal_map_normalize_by(flat, &stats, 2, SAL_NORMALIZE_MINMAX, 4.0);
    cr_expect(stats.flat && flat[0] == 0.0F && flat[1] == 0.0F);
    sal_map_normalize_by(strong, &stats, 3, SAL_NORMALIZE_MINMAX, 0.0);
    cr_expect(strong[1] == 0.5F && strong[2] == 1.0F);
}

Test(normalize, by_the_largest_peak_is_as_alone)
{
    float alone[3] = {0.0F, 0.3F, 0.7F}, common[3] = {0.0F, 0.3F, 0.7F};
    sal_map_stats stats;
    sal_map_normalize(alone, &stats, 3, SAL_NORMALIZE_MINMAX);
    sal_map_normalize_by(common, &stats, 3, SAL_NORMALIZE_MINMAX, (double)stats.peak);
    cr_expect_arr_eq(alone, common, sizeof alone);
}

Test(normalize, scales_that_are_none_are_refused)
{
    static const double wrong[] = {-1.0, NAN, INFINITY, 1e-31, 1e39};
    const float gradient[2] = {1.0F, 2.0F};
    float map[2];
    sal_map_options o = SAL_MAP_OPTIONS_INIT;
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        o.common_scale = wrong[k];
        cr_expect_eq(sal_map_make(map, NULL, gradient, 1, 1, 2, &o), SAL_ERROR_ARGUMENT, "%g", wrong[k]);
    }
    o.common_scale = 2.0;
    o.sigma = 0.0;
    cr_expect_eq(sal_map_make(map, NULL, gradient, 1, 1, 2, &o), SAL_OK);
    cr_expect(map[0] == 0.0F && map[1] == 0.5F);
    o.normalize = SAL_NORMALIZE_NONE;
    cr_expect_eq(sal_map_make(map, NULL, gradient, 1, 1, 2, &o), SAL_ERROR_ARGUMENT);
    o.normalize = SAL_NORMALIZE_KERAS_VIS;
    cr_expect_eq(sal_map_make(map, NULL, gradient, 1, 1, 2, &o), SAL_ERROR_ARGUMENT);
}
