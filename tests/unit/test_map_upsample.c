#include "test_map_support.h"

Test(upsample, of_a_stretch_matches_torch_without_aligned_corners)
{
    FILE *f = open_golden("upsample.txt");
    long h, w, height, width;
    unsigned seed;
    int cases = 0;
    while (fscanf(f, "%ld %ld %ld %ld %u", &h, &w, &height, &width, &seed) == 5) {
        size_t count = (size_t)(height * width);
        char label[96];
        snprintf(label, sizeof label, "upsample %ldx%ld to %ldx%ld", h, w, height, width);
        float *map = uniform_floats(seed, (size_t)(h * w)), *out = new_floats(count);
        sal_placement p = stretch(h, w, height, width);
        cr_assert_eq(sal_map_upsample(out, map, &p), SAL_OK);
        check_samples(f, out, count, 1e-6, label);
        free(map);
        free(out);
        cases++;
    }
    cr_assert(feof(f));
    fclose(f);
    cr_assert_eq(cases, 6);
}

static double at_clamped(const float *map, int64_t h, int64_t w, double y, double x)
{
    y = fmin(fmax(y, 0.0), (double)(h - 1));
    x = fmin(fmax(x, 0.0), (double)(w - 1));
    return (double)map[(int64_t)y * w + (int64_t)x];
}

/* Straight from the contract: bilinear at the point of the network's input that the pixel's centre is. */
static double naive(const float *map, const sal_placement *p, int64_t y, int64_t x)
{
    double vy = ((double)y + 0.5 - p->offset_y) / p->scale_y, vx = ((double)x + 0.5 - p->offset_x) / p->scale_x;
    if (vy < 0.0 || vy > (double)p->net_height || vx < 0.0 || vx > (double)p->net_width)
        return 0.0;
    double y0 = floor(vy - 0.5), x0 = floor(vx - 0.5), fy = vy - 0.5 - y0, fx = vx - 0.5 - x0;
    int64_t h = p->net_height, w = p->net_width;
    return (1 - fy) * ((1 - fx) * at_clamped(map, h, w, y0, x0) + fx * at_clamped(map, h, w, y0, x0 + 1)) +
           fy * ((1 - fx) * at_clamped(map, h, w, y0 + 1, x0) + fx * at_clamped(map, h, w, y0 + 1, x0 + 1));
}

Test(upsample, matches_a_naive_reference_for_crops_letterboxes_and_reductions)
{
    static const sal_placement placements[] = {
        {90, 160, 24, 24, 90.0 / 32.0, 11.3, 90.0 / 32.0, 46.7},   /* centre crop with a margin */
        {40, 100, 32, 32, 100.0 / 32.0, -30.0, 100.0 / 32.0, 0.0}, /* letterbox */
        {100, 40, 32, 32, 100.0 / 32.0, 0.0, 100.0 / 32.0, -30.0}, /* letterbox of an upright picture */
        {10, 12, 30, 31, 10.0 / 30.0, 0.0, 12.0 / 31.0, 0.0},      /* smaller than the input */
        {1, 1, 5, 5, 0.2, 0.0, 0.2, 0.0},
        {64, 64, 1, 1, 32.0, 16.0, 32.0, 16.0}, /* one value over the middle */
    };
    for (size_t k = 0; k < sizeof placements / sizeof *placements; k++) {
        const sal_placement *p = &placements[k];
        float *map = uniform_floats((uint32_t)k + 40, (size_t)(p->net_height * p->net_width));
        float *out = new_floats((size_t)(p->source_height * p->source_width));
        cr_assert_eq(sal_map_upsample(out, map, p), SAL_OK);
        for (int64_t i = 0; i < p->source_height * p->source_width; i++) {
            double expected = naive(map, p, i / p->source_width, i % p->source_width);
            cr_assert(is_near((double)out[i], expected, 1e-6), "placement %zu index %ld: %.9g, expected %.9g", k,
                      (long)i, (double)out[i], expected);
        }
        free(map);
        free(out);
    }
}

Test(upsample, gives_zero_exactly_where_the_network_saw_nothing)
{
    sal_placement p = {8, 8, 2, 2, 2.0, 2.0, 2.0, 2.0};
    float map[4] = {1, 1, 1, 1}, out[64];
    cr_assert_eq(sal_map_upsample(out, map, &p), SAL_OK);
    for (int y = 0; y < 8; y++)
        for (int x = 0; x < 8; x++)
            cr_assert(out[8 * y + x] == (y >= 2 && y < 6 && x >= 2 && x < 6 ? 1.0f : 0.0f), "at %d, %d", x, y);
}

Test(upsample, of_the_same_size_is_the_map)
{
    float *map = uniform_floats(9, 91), out[91];
    sal_placement p = stretch(13, 7, 13, 7);
    cr_assert_eq(sal_map_upsample(out, map, &p), SAL_OK);
    for (int i = 0; i < 91; i++)
        cr_assert(out[i] == map[i]);
    free(map);
}

/* Whether the placement is refused for a map of one value. */
static void check_placement(sal_placement p, sal_status expected, const char *field)
{
    float map[1] = {0}, out[4];
    cr_expect_eq(sal_map_upsample(out, map, &p), expected, "%s", field);
}

Test(upsample, refuses_placements_that_are_none)
{
    const sal_placement good = stretch(1, 1, 2, 2);
    static const double no_scales[] = {0.0, -1.0, NAN, INFINITY}, no_offsets[] = {NAN, INFINITY, -INFINITY};
    sal_placement p;
    check_placement(good, SAL_OK, "good");
    for (int k = 0; k < 4; k++) {
        p = good;
        p.scale_x = no_scales[k];
        check_placement(p, SAL_ERROR_ARGUMENT, "scale_x");
        p = good;
        p.scale_y = no_scales[k];
        check_placement(p, SAL_ERROR_ARGUMENT, "scale_y");
    }
    for (int k = 0; k < 3; k++) {
        p = good;
        p.offset_x = no_offsets[k];
        check_placement(p, SAL_ERROR_ARGUMENT, "offset_x");
        p = good;
        p.offset_y = no_offsets[k];
        check_placement(p, SAL_ERROR_ARGUMENT, "offset_y");
    }
    p = good;
    p.source_height = 0;
    check_placement(p, SAL_ERROR_ARGUMENT, "source_height");
    p = good;
    p.source_width = 0;
    check_placement(p, SAL_ERROR_ARGUMENT, "source_width");
    p = good;
    p.net_height = 0;
    check_placement(p, SAL_ERROR_ARGUMENT, "net_height");
    p = good;
    p.net_width = 0;
    check_placement(p, SAL_ERROR_ARGUMENT, "net_width");
    cr_expect_str_eq(sal_last_error(), "placement of 0 x 1 on 2 x 2: all sides must be at least 1");
    /* Any positive scale will do. */
    p = good;
    p.scale_x = 1e-3;
    check_placement(p, SAL_OK, "small scale_x");
    p = good;
    p.scale_y = 1e-3;
    check_placement(p, SAL_OK, "small scale_y");
}

/* The contract of a tap in double, from the pixel's centre. */
Test(upsample, taps_are_the_two_values_around_the_centre)
{
    static const double scales[] = {0.3, 1.0, 2.0, 3.7}, offsets[] = {0.0, -1.5, -0.005, 4.25};
    for (int64_t n = 1; n <= 5; n++)
        for (int k = 0; k < 16; k++)
            for (int64_t i = 0; i < 30; i++) {
                const double scale = scales[k / 4], offset = offsets[k % 4];
                const sal_upsample_tap tap = sal_upsample_at(i, scale, offset, n);
                const double v = ((double)i + 0.5 - offset) / scale;
                const double t = fmin(fmax(v - 0.5, 0.0), (double)(n - 1));
                cr_assert_eq(tap.visible, v >= 0.0 && v <= (double)n, "n %ld, %ld at %g %g", (long)n, (long)i, scale,
                             offset);
                if (!tap.visible)
                    continue;
                cr_assert(tap.lo >= 0 && tap.lo <= tap.hi && tap.hi <= n - 1 && tap.hi - tap.lo <= 1);
                cr_assert(tap.weight >= 0.0f && tap.weight <= 1.0f);
                cr_assert(is_near((double)tap.lo + (double)tap.weight * (double)(tap.hi - tap.lo), t, 1e-6),
                          "n %ld, %ld at %g %g: %ld to %ld by %g, expected %g", (long)n, (long)i, scale, offset,
                          (long)tap.lo, (long)tap.hi, (double)tap.weight, t);
            }
}

/* The centre of a pixel of a third of the size is that of every third pixel. */
Test(upsample, of_a_picture_that_was_made_smaller_lies_where_it_lay)
{
    enum { NET = 7, HEIGHT = 30, WIDTH = 45, BY_Y = 3, BY_X = 5 };
    static const double offsets[] = {0.0, -4.3, 3.7}; /* stretched, cropped, letterboxed */
    static float large[HEIGHT * WIDTH], small[HEIGHT / BY_Y * (WIDTH / BY_X)];
    float *map = uniform_floats(5, NET * NET);
    for (size_t k = 0; k < 3; k++) {
        const sal_placement p = {.source_height = HEIGHT,
                                 .source_width = WIDTH,
                                 .net_height = NET,
                                 .net_width = NET,
                                 .scale_y = (HEIGHT - 2.0 * offsets[k]) / NET,
                                 .offset_y = offsets[k],
                                 .scale_x = (WIDTH + 1.0 - 2.0 * offsets[k]) / NET,
                                 .offset_x = offsets[k] - 0.5};
        const sal_placement q = sal_placement_resized(&p, HEIGHT / BY_Y, WIDTH / BY_X);
        cr_assert_eq(sal_map_upsample(large, map, &p), SAL_OK);
        cr_assert_eq(sal_map_upsample(small, map, &q), SAL_OK);
        for (int y = 0; y < HEIGHT / BY_Y; y++)
            for (int x = 0; x < WIDTH / BY_X; x++) {
                const float want = large[(BY_Y * y + BY_Y / 2) * WIDTH + BY_X * x + BY_X / 2];
                const float got = small[y * (WIDTH / BY_X) + x];
                cr_expect(fabs((double)got - (double)want) <= 1e-5, "offset %g, %d, %d: %g, want %g", offsets[k], y, x,
                          (double)got, (double)want);
            }
    }
    free(map);
}
