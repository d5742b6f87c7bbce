/* Maps and overlays of the emulated device against those of the host, through the back end's table.
 * Where a test expects the emulator to stop the program, a planted bug is what it looks for: see harness.cmake. */
#include "backend/backend.h"
#include "emulator_api.h"
#include "map/map.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const sal_backend sal_backend_cuda;

#define must(call)                                                                                                     \
    do {                                                                                                               \
        const sal_status status_ = (call);                                                                             \
        cr_assert(status_ == SAL_OK, "%s: %s", #call, sal_last_error());                                               \
    } while (0)

typedef struct trial {
    int pictures, channels, height, width;
    double sigma; /* -1: the default */
    sal_modifier modifier;
    sal_reduce reduce;
    sal_normalize normalize;
    sal_precision precision;
} trial;

typedef struct fixture {
    trial t;
    sal_device *device;
    sal_value value;
    void *memory;
    size_t pixels, elements; /* of one picture */
    float *gradient;         /* (pictures, channels, height, width), as the device holds it */
    float *maps;
    sal_map_stats *stats;
    sal_map_options options;
} fixture;

static float noise(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return (float)(*state >> 8) / (float)(1 << 23) - 1.0f;
}

static void *zeros(size_t count, size_t size)
{
    void *p = calloc(count, size);
    cr_assert(p != NULL);
    return p;
}

static void upload(fixture *f)
{
    must(sal_backend_cuda.upload(f->device, f->memory, &f->value, f->gradient, f->t.pictures, f->t.pictures));
}

static void fixture_open(fixture *f, const trial *t)
{
    const sal_device_options device = {.precision = t->precision};
    uint32_t state = 7;
    memset(f, 0, sizeof *f);
    f->t = *t;
    f->pixels = (size_t)t->height * (size_t)t->width;
    f->elements = f->pixels * (size_t)t->channels;
    f->value = (sal_value){.type = SAL_VALUE_FLOATS, .gradient = 1};
    f->value.shape = (sal_shape){4, {1, t->channels, t->height, t->width}};
    f->options = (sal_map_options){.size = sizeof(sal_map_options),
                                   .sigma = t->sigma >= 0.0 ? t->sigma : SAL_DEFAULT,
                                   .modifier = t->modifier,
                                   .reduce = t->reduce,
                                   .normalize = t->normalize};
    must(sal_backend_cuda.open(&f->device, NULL, &device));
    sal_backend_cuda.place(f->device, &f->value);
    const size_t count = f->elements * (size_t)t->pictures;
    must(sal_backend_cuda.allocate(&f->memory, f->device, f->value.bytes * (size_t)t->pictures));
    f->gradient = zeros(count, sizeof(float));
    f->maps = zeros(f->pixels * (size_t)t->pictures, sizeof(float));
    f->stats = zeros((size_t)t->pictures, sizeof *f->stats);
    for (size_t i = 0; i < count; i++)
        f->gradient[i] = 1e-3f * noise(&state) * (i % 97 == 0 ? 30.0f : 1.0f);
    upload(f);
    must(sal_backend_cuda.download(f->device, f->gradient, f->memory, &f->value, t->pictures));
}

static void fixture_close(fixture *f)
{
    sal_backend_cuda.release(f->device, f->memory);
    sal_backend_cuda.close(f->device);
    free(f->gradient);
    free(f->maps);
    free(f->stats);
    cr_assert(emulator_leaks() == 0, "%ld objects of the device are left", emulator_leaks());
}

static void make(fixture *f)
{
    for (size_t i = 0; i < f->pixels * (size_t)f->t.pictures; i++)
        f->maps[i] = NAN;
    must(sal_backend_cuda.maps->make(f->maps, f->stats, f->device, f->memory, &f->value, f->t.height, f->t.width,
                                     f->t.pictures, &f->options));
}

/* The device sums in floats with compensation, the host in double: a few roundings of the map's range apart. */
static void compare(const fixture *f)
{
    float *host = zeros(f->pixels, sizeof *host);
    for (int n = 0; n < f->t.pictures; n++) {
        const float *got = f->maps + f->pixels * (size_t)n;
        sal_map_stats stats;
        double low = INFINITY, high = -INFINITY;
        must(sal_map_make(host, &stats, f->gradient + f->elements * (size_t)n, f->t.channels, f->t.height, f->t.width,
                          &f->options));
        for (size_t i = 0; i < f->pixels; i++) {
            low = fmin(low, host[i]);
            high = fmax(high, host[i]);
        }
        const double range = fmax(high - low, fmax(fabs(high), fabs(low)));
        for (size_t i = 0; i < f->pixels; i++)
            cr_assert(fabs((double)got[i] - (double)host[i]) <= 3e-6 * range, "picture %d, pixel %zu: %.9g, host %.9g",
                      n, i, (double)got[i], (double)host[i]);
        const double scale = fabs((double)stats.peak) + 1e-9;
        cr_assert(fabs((double)f->stats[n].peak - (double)stats.peak) <= 3e-6 * scale);
        cr_assert(fabs((double)f->stats[n].mean - (double)stats.mean) <= 3e-6 * scale);
        cr_assert(f->stats[n].flat == stats.flat);
    }
    free(host);
}

ParameterizedTestParameters(maps, are_the_hosts)
{
    static const trial trials[] = {
        {1, 1, 1, 1, -1, SAL_MODIFIER_ABS, SAL_REDUCE_MAX, SAL_NORMALIZE_MINMAX, SAL_PRECISION_FP32},
        {1, 3, 1, 40, 2, SAL_MODIFIER_ABS, SAL_REDUCE_MAX, SAL_NORMALIZE_MINMAX, SAL_PRECISION_FP32},
        {2, 3, 40, 1, 2, SAL_MODIFIER_RELU, SAL_REDUCE_SUM, SAL_NORMALIZE_NONE, SAL_PRECISION_FP32},
        {3, 3, 5, 7, 3, SAL_MODIFIER_NONE, SAL_REDUCE_MEAN, SAL_NORMALIZE_NONE, SAL_PRECISION_FP32},
        {2, 9, 33, 47, 0, SAL_MODIFIER_NEGATE, SAL_REDUCE_L2, SAL_NORMALIZE_MINMAX, SAL_PRECISION_FP32},
        {1, 3, 33, 47, 0.1, SAL_MODIFIER_ABS, SAL_REDUCE_MAX, SAL_NORMALIZE_NONE, SAL_PRECISION_FP32},
        {2, 4, 64, 64, -1, SAL_MODIFIER_ABS, SAL_REDUCE_SUM, SAL_NORMALIZE_MINMAX, SAL_PRECISION_FP32},
        {2, 3, 65, 300, 5.5, SAL_MODIFIER_ABS, SAL_REDUCE_MAX, SAL_NORMALIZE_MINMAX, SAL_PRECISION_FP32},
        {1, 1, 301, 66, 20, SAL_MODIFIER_NONE, SAL_REDUCE_MAX, SAL_NORMALIZE_NONE, SAL_PRECISION_FP32},
        {1, 3, 96, 100, 64, SAL_MODIFIER_ABS, SAL_REDUCE_MAX, SAL_NORMALIZE_NONE, SAL_PRECISION_FP32},
        {1, 3, 30, 50, 70, SAL_MODIFIER_ABS, SAL_REDUCE_MAX, SAL_NORMALIZE_NONE, SAL_PRECISION_FP32},
        {1, 1, 66000, 20, 1, SAL_MODIFIER_ABS, SAL_REDUCE_MAX, SAL_NORMALIZE_NONE,
         SAL_PRECISION_FP32}, /* past a grid */
        {2, 3, 31, 29, 2, SAL_MODIFIER_ABS, SAL_REDUCE_MAX, SAL_NORMALIZE_MINMAX, SAL_PRECISION_FP16},
        {2, 3, 31, 29, 2, SAL_MODIFIER_NONE, SAL_REDUCE_L2, SAL_NORMALIZE_NONE, SAL_PRECISION_BF16},
        {3, 3, 33, 20, 1, SAL_MODIFIER_NONE, SAL_REDUCE_SUM, SAL_NORMALIZE_SIGNED, SAL_PRECISION_FP32},
        {2, 3, 31, 29, 2, SAL_MODIFIER_NEGATE, SAL_REDUCE_MEAN, SAL_NORMALIZE_SIGNED, SAL_PRECISION_FP16},
        {2, 3, 31, 29, 2, SAL_MODIFIER_ABS, SAL_REDUCE_MAX, SAL_NORMALIZE_KERAS_VIS, SAL_PRECISION_FP32},
    };
    return cr_make_param_array(trial, (void *)trials, sizeof trials / sizeof *trials);
}

ParameterizedTest(const trial *t, maps, are_the_hosts)
{
    fixture f;
    fixture_open(&f, t);
    make(&f);
    compare(&f);
    /* Other options in the same buffers, and maps that stay on the device. */
    f.options.sigma = 1.0;
    must(sal_backend_cuda.maps->make(NULL, f.stats, f.device, f.memory, &f.value, t->height, t->width, t->pictures,
                                     &f.options));
    make(&f);
    compare(&f);
    if (t->normalize == SAL_NORMALIZE_MINMAX || t->normalize == SAL_NORMALIZE_SIGNED) {
        f.options.common_scale = 0.8 * fmax((double)f.stats[0].peak, -(double)f.stats[0].low);
        if (f.options.common_scale == 0.0)
            f.options.common_scale = 1.0;
        make(&f);
        compare(&f);
    }
    fixture_close(&f);
}

Test(maps, a_constant_gradient_is_flat)
{
    const trial t = {2, 3, 20, 30, 4, SAL_MODIFIER_ABS, SAL_REDUCE_MAX, SAL_NORMALIZE_MINMAX, SAL_PRECISION_FP32};
    fixture f;
    fixture_open(&f, &t);
    for (size_t i = 0; i < 2 * f.elements; i++)
        f.gradient[i] = 0.1f;
    upload(&f);
    f.options.normalize = SAL_NORMALIZE_SIGNED;
    make(&f);
    for (size_t i = 0; i < 2 * f.pixels; i++)
        cr_assert(f.maps[i] == 0.0f);
    f.options.normalize = SAL_NORMALIZE_MINMAX;
    make(&f);
    for (size_t i = 0; i < 2 * f.pixels; i++)
        cr_assert(f.maps[i] == 0.0f);
    cr_assert(f.stats[0].flat && f.stats[1].flat && f.stats[0].peak == 0.1f);
    fixture_close(&f);
}

/* All that a device does to a map is free of a unit: scaled by a power of two it is the same, to the last bit. */
Test(maps, do_not_depend_on_the_unit)
{
    static const float units[] = {0x1p-90f, 0x1p-60f, 0x1p-20f, 0x1p20f, 0x1p100f};
    const sal_normalize ways[] = {SAL_NORMALIZE_MINMAX, SAL_NORMALIZE_SIGNED};
    const sal_reduce reduces[] = {SAL_REDUCE_MAX, SAL_REDUCE_L2};
    for (size_t w = 0; w < 2; w++) {
        const trial t = {2, 3, 40, 31, 3, SAL_MODIFIER_NONE, reduces[w], ways[w], SAL_PRECISION_FP32};
        fixture f;
        fixture_open(&f, &t);
        make(&f);
        const size_t floats = 2 * f.pixels, count = 2 * f.elements;
        float *first = zeros(floats, sizeof *first), *gradient = zeros(count, sizeof *gradient);
        memcpy(first, f.maps, floats * sizeof *first);
        memcpy(gradient, f.gradient, count * sizeof *gradient);
        for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
            for (size_t i = 0; i < count; i++)
                f.gradient[i] = gradient[i] * units[u];
            upload(&f);
            make(&f);
            cr_assert(memcmp(f.maps, first, floats * sizeof *first) == 0, "unit %g", (double)units[u]);
            cr_assert(!f.stats[0].flat && !sal_map_is_faint(&f.stats[0]));
        }
        free(first);
        free(gradient);
        fixture_close(&f);
    }
}

Test(maps, gradients_that_are_no_numbers_are_refused)
{
    const trial t = {2, 3, 20, 30, 4, SAL_MODIFIER_RELU, SAL_REDUCE_MAX, SAL_NORMALIZE_MINMAX, SAL_PRECISION_FP32};
    const float wrong[] = {NAN, INFINITY, -INFINITY};
    fixture f;
    fixture_open(&f, &t);
    for (size_t k = 0; k < 3; k++) {
        f.gradient[f.elements + 77] = wrong[k];
        upload(&f);
        cr_assert(sal_backend_cuda.maps->make(f.maps, f.stats, f.device, f.memory, &f.value, t.height, t.width, 2,
                                              &f.options) == SAL_ERROR_NUMERIC);
        cr_assert(strstr(sal_last_error(), "picture 1") != NULL, "%s", sal_last_error());
    }
    fixture_close(&f);
}

Test(maps, options_are_checked)
{
    const trial t = {1, 3, 8, 8, 1, SAL_MODIFIER_ABS, SAL_REDUCE_MAX, SAL_NORMALIZE_MINMAX, SAL_PRECISION_FP32};
    fixture f;
    fixture_open(&f, &t);
    const sal_map_options good = f.options;
    sal_map_options wrong[5] = {good, good, good, good, good};
    wrong[0].sigma = -0.5;
    wrong[1].sigma = NAN;
    wrong[2].modifier = (sal_modifier)99;
    wrong[3].reduce = (sal_reduce)99;
    wrong[4].normalize = (sal_normalize)99;
    for (size_t k = 0; k < 5; k++)
        cr_assert(sal_backend_cuda.maps->make(f.maps, f.stats, f.device, f.memory, &f.value, t.height, t.width, 1,
                                              &wrong[k]) == SAL_ERROR_ARGUMENT);
    fixture_close(&f);
}

/* ---- Overlays ------------------------------------------------------------ */

static sal_picture random_picture(int64_t height, int64_t width)
{
    uint32_t state = 3;
    uint8_t *samples = zeros((size_t)(height * width), 3);
    for (int64_t i = 0; i < 3 * height * width; i++)
        samples[i] = (uint8_t)(127.5f + 127.5f * noise(&state));
    return (sal_picture){.height = height, .width = width, .channels = 3, .type = SAL_SAMPLE_U8, .samples = samples};
}

static sal_placement place_on(const fixture *f, int64_t height, int64_t width, double margin)
{
    return (sal_placement){.source_height = height,
                           .source_width = width,
                           .net_height = f->t.height,
                           .net_width = f->t.width,
                           .scale_y = ((double)height - 2.0 * margin) / f->t.height,
                           .scale_x = ((double)width + margin) / f->t.width,
                           .offset_y = margin,
                           .offset_x = -margin};
}

/* From the very map that the device has: to the last bit. */
static void check_overlay(fixture *f, const sal_picture *picture, const sal_placement *where, int shown,
                          const sal_overlay_style *style)
{
    const size_t bytes = (size_t)(where->source_height * where->source_width) * 3;
    const int picture_number = f->t.pictures - 1;
    uint8_t *rgb = zeros(bytes, 1);
    float *map = zeros(f->pixels, sizeof *map);
    sal_picture host;
    memcpy(map, f->maps + f->pixels * (size_t)picture_number, f->pixels * sizeof *map);
    if (f->options.normalize == SAL_NORMALIZE_NONE) {
        sal_map_stats stats;
        sal_map_normalize(map, &stats, (int64_t)f->pixels, SAL_NORMALIZE_MINMAX);
    }
    must(sal_backend_cuda.maps->overlay(rgb, f->device, picture_number, shown ? picture : NULL, where, style));
    must(sal_backend_cuda.maps->finish(f->device));
    must(sal_overlay_draw(&host, shown ? picture : NULL, map, where, style));
    cr_assert(memcmp(rgb, host.samples, bytes) == 0, "%s overlay differs", shown ? "the" : "the bare");
    sal_picture_clear(&host);
    free(rgb);
    free(map);
}

Test(overlays, are_the_hosts_to_the_last_bit)
{
    const trial trials[] = {
        {2, 3, 20, 30, 2, SAL_MODIFIER_ABS, SAL_REDUCE_MAX, SAL_NORMALIZE_MINMAX, SAL_PRECISION_FP32},
        {1, 3, 24, 24, 1, SAL_MODIFIER_NONE, SAL_REDUCE_MEAN, SAL_NORMALIZE_NONE, SAL_PRECISION_FP32},
        {2, 3, 24, 20, 1, SAL_MODIFIER_NONE, SAL_REDUCE_SUM, SAL_NORMALIZE_SIGNED, SAL_PRECISION_FP32},
    };
    const int64_t sizes[][2] = {{1, 1}, {7, 5}, {20, 30}, {101, 67}};
    for (size_t k = 0; k < sizeof trials / sizeof *trials; k++) {
        const int is_signed = trials[k].normalize == SAL_NORMALIZE_SIGNED;
        fixture f;
        fixture_open(&f, &trials[k]);
        make(&f);
        for (size_t i = 0; i < 4; i++) {
            sal_picture picture = random_picture(sizes[i][0], sizes[i][1]);
            for (int colors = 0; colors < SAL_COLORMAPS; colors++) {
                const sal_placement where = place_on(&f, sizes[i][0], sizes[i][1], i == 3 ? 6.25 : 0.0);
                const sal_overlay_style style = {.colormap = (sal_colormap)colors,
                                                 .blend = (sal_blend)(colors / 2 % 2),
                                                 .alpha = 1.0 - 0.1 * colors,
                                                 .is_signed = is_signed,
                                                 .contour_count = colors % 4,
                                                 .contours = {0.25f, 0.5f, 0.75f}};
                check_overlay(&f, &picture, &where, colors % 2, &style);
            }
            free(picture.samples);
        }
        fixture_close(&f);
    }
}

/* A layer's attribution of 5 x 7 as a map of 20 x 30. */
Test(overlays, show_maps_that_were_enlarged)
{
    const trial t = {2, 1, 5, 7, 1, SAL_MODIFIER_RELU, SAL_REDUCE_SUM, SAL_NORMALIZE_MINMAX, SAL_PRECISION_FP32};
    fixture f;
    fixture_open(&f, &t);
    f.t.height = 20;
    f.t.width = 30;
    f.pixels = 20 * 30;
    free(f.maps);
    f.maps = zeros(f.pixels * 2, sizeof *f.maps);
    make(&f);
    sal_picture picture = random_picture(101, 67);
    const sal_placement where = place_on(&f, 101, 67, 0.0);
    check_overlay(&f, &picture, &where, 1,
                  &(sal_overlay_style){.colormap = SAL_COLORMAP_TURBO, .blend = SAL_BLEND_FLAT, .alpha = 0.5});
    free(picture.samples);
    fixture_close(&f);
}

/* Of contours the rows below may lie in another band. */
Test(overlays, large_pictures_go_in_bands)
{
    const trial t = {1, 1, 16, 16, 1, SAL_MODIFIER_ABS, SAL_REDUCE_MAX, SAL_NORMALIZE_MINMAX, SAL_PRECISION_FP32};
    fixture f;
    fixture_open(&f, &t);
    make(&f);
    sal_picture picture = random_picture(1201, 4803);
    const sal_placement where = place_on(&f, 1201, 4803, 0.0);
    check_overlay(
        &f, &picture, &where, 1,
        &(sal_overlay_style){.colormap = SAL_COLORMAP_TURBO, .alpha = 0.5, .contour_count = 1, .contours = {0.5f}});
    free(picture.samples);
    fixture_close(&f);
}

/* Many at once: their transfers and kernels overlap. */
Test(overlays, follow_each_other)
{
    enum { COUNT = 9 };
    const trial t = {3, 3, 12, 12, 1, SAL_MODIFIER_ABS, SAL_REDUCE_MAX, SAL_NORMALIZE_MINMAX, SAL_PRECISION_FP32};
    const sal_overlay_style style = {.colormap = SAL_COLORMAP_JET, .blend = SAL_BLEND_FLAT, .alpha = 0.5};
    fixture f;
    uint8_t *rgb[COUNT];
    sal_picture pictures[COUNT];
    fixture_open(&f, &t);
    make(&f);
    for (int k = 0; k < COUNT; k++) {
        pictures[k] = random_picture(30 + k, 50 - k);
        rgb[k] = zeros((size_t)(30 + k) * (size_t)(50 - k), 3);
        const sal_placement where = place_on(&f, 30 + k, 50 - k, 0.0);
        must(sal_backend_cuda.maps->overlay(rgb[k], f.device, k % 3, &pictures[k], &where, &style));
    }
    must(sal_backend_cuda.maps->finish(f.device));
    for (int k = 0; k < COUNT; k++) {
        const sal_placement where = place_on(&f, 30 + k, 50 - k, 0.0);
        sal_picture host;
        must(sal_overlay_draw(&host, &pictures[k], f.maps + f.pixels * (size_t)(k % 3), &where, &style));
        cr_assert(memcmp(rgb[k], host.samples, (size_t)(30 + k) * (size_t)(50 - k) * 3) == 0, "overlay %d", k);
        sal_picture_clear(&host);
        free(rgb[k]);
        free(pictures[k].samples);
    }
    fixture_close(&f);
}

Test(overlays, wrong_requests_are_refused)
{
    const trial t = {1, 1, 16, 16, 1, SAL_MODIFIER_ABS, SAL_REDUCE_MAX, SAL_NORMALIZE_MINMAX, SAL_PRECISION_FP32};
    const sal_overlay_style good = {.colormap = SAL_COLORMAP_TURBO, .blend = SAL_BLEND_FLAT, .alpha = 0.5},
                            wrong[] = {{.colormap = (sal_colormap)77, .blend = SAL_BLEND_FLAT, .alpha = 0.5},
                                       {.colormap = SAL_COLORMAP_JET, .blend = SAL_BLEND_FLAT, .alpha = 2}};
    fixture f;
    uint8_t rgb[16 * 16 * 3];
    fixture_open(&f, &t);
    make(&f);
    sal_picture picture = random_picture(16, 16);
    const sal_placement where = place_on(&f, 16, 16, 0.0), other = place_on(&f, 15, 16, 0.0);
    const sal_map_rows *maps = sal_backend_cuda.maps;
    cr_assert(maps->overlay(rgb, f.device, 1, &picture, &where, &good) == SAL_ERROR_ARGUMENT);
    cr_assert(maps->overlay(rgb, f.device, 0, &picture, &other, &good) == SAL_ERROR_ARGUMENT);
    for (int k = 0; k < 2; k++)
        cr_assert(maps->overlay(rgb, f.device, 0, &picture, &where, &wrong[k]) == SAL_ERROR_ARGUMENT);
    free(picture.samples);
    fixture_close(&f);
}
