/* Maps made on the device, of attributions of the map's size and of others: against the functions of src/map. */
#include "conformance/cases.h"

#include "base/memory.h"
#include "map/map.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BATCH = 3, OPTIONS = 4 };

typedef struct sizes {
    int64_t channels, height, width, map_height, map_width;
} sizes;

/* What the device is to give of one picture. */
static sal_status expect(float *map, sal_map_stats *stats, const float *attribution, const sizes *z,
                         const sal_map_options *o)
{
    sal_status st = SAL_OK;
    float *reduced = NULL;
    const int64_t pixels = z->map_height * z->map_width;
    const double sigma = sal_map_sigma(o, z->map_height, z->map_width);
    const sal_placement onto = {.source_height = z->map_height,
                                .source_width = z->map_width,
                                .net_height = z->height,
                                .net_width = z->width,
                                .scale_y = (double)z->map_height / (double)z->height,
                                .scale_x = (double)z->map_width / (double)z->width};
    TRY(sal_alloc(&reduced, (size_t)(z->height * z->width), sizeof *reduced, "a map"));
    TRY(sal_map_reduce(reduced, attribution, z->channels, z->height * z->width, o->modifier, o->reduce));
    TRY(sal_map_upsample(map, reduced, &onto));
    TRY(sal_map_smooth(map, z->map_height, z->map_width, sigma));
    sal_map_normalize(map, stats, pixels, o->normalize);
done:
    sal_free(reduced);
    return st;
}

/* The device smooths in floats with compensation: a few roundings of the largest value apart, before normalising. */
static int is_near(const char *text, const float *actual, const float *expected, const sal_map_stats *got,
                   const sal_map_stats *wanted, size_t pixels, int normalized)
{
    const double room = 3e-6 * fmax(fabs((double)wanted->peak), fabs((double)wanted->low));
    const double range = normalized && !wanted->flat ? (double)wanted->peak - (double)wanted->low : 1.0;
    for (size_t i = 0; i < pixels; i++)
        if (!(fabs((double)actual[i] - (double)expected[i]) <= room / range)) {
            printf("%s: pixel %zu: %.9g, expected %.9g\n", text, i, (double)actual[i], (double)expected[i]);
            return 0;
        }
    if (fabs((double)got->peak - (double)wanted->peak) <= room && got->flat == wanted->flat &&
        fabs((double)got->low - (double)wanted->low) <= room && fabs((double)got->mean - (double)wanted->mean) <= room)
        return 1;
    printf("%s: peak %g, mean %g, low %g; expected %g, %g, %g\n", text, (double)got->peak, (double)got->mean,
           (double)got->low, (double)wanted->peak, (double)wanted->mean, (double)wanted->low);
    return 0;
}

/* Where gradients are scaled, each picture is by a number of its own from now on. */
static sal_status upload_seeds(const suite *s)
{
    sal_status st = SAL_OK;
    buffer b = {0};
    sal_value v = {.shape = vector_shape(2), .gradient = 1, .seed = 1};
    const float seeds[BATCH * 2] = {1.0f, 0.0f, 0.0f, -30.0f, 0.2f, 0.1f};
    s->backend->place(s->device, &v);
    TRY(buffer_open(&b, s, v.bytes * BATCH));
    TRY(s->backend->upload(s->device, buffer_data(&b), &v, seeds, BATCH, BATCH));
done:
    buffer_close(&b, s);
    return st;
}

/* *good: maps of an exact value, or of a gradient, are as expected. */
static sal_status try_sizes(int *good, const suite *s, const char *text, const sizes *z, int exact,
                            const sal_map_options *o)
{
    sal_status st = SAL_OK;
    buffer b = {0};
    const size_t elements = (size_t)(z->channels * z->height * z->width),
                 pixels = (size_t)(z->map_height * z->map_width);
    sal_value v = {.shape = map_shape(z->channels, z->height, z->width), .exact = exact};
    dice d = {dice_seed(s->seed, text)};
    float *numbers = NULL, *maps = NULL, *expected = NULL;
    sal_map_stats got[BATCH], wanted;
    TRY(sal_alloc(&numbers, elements * BATCH, sizeof *numbers, "an attribution"));
    TRY(sal_alloc(&maps, pixels * BATCH, sizeof *maps, "maps"));
    TRY(sal_alloc(&expected, pixels, sizeof *expected, "a map"));
    for (size_t i = 0; i < elements * BATCH; i++)
        numbers[i] = (float)dice_between(&d, -1.0, 1.0);
    s->backend->place(s->device, &v);
    TRY(buffer_open(&b, s, v.bytes * BATCH));
    TRY(s->backend->upload(s->device, buffer_data(&b), &v, numbers, BATCH, BATCH));
    TRY(upload_seeds(s));
    v.gradient = !exact;
    TRY(s->backend->download(s->device, numbers, buffer_data(&b), &v, BATCH)); /* as the device holds them */
    TRY(s->backend->maps->make(maps, got, s->device, buffer_data(&b), &v, z->map_height, z->map_width, BATCH, o));
    *good = 1;
    for (size_t n = 0; n < BATCH && *good; n++) {
        TRY(expect(expected, &wanted, numbers + n * elements, z, o));
        *good =
            is_near(text, maps + n * pixels, expected, &got[n], &wanted, pixels, o->normalize != SAL_NORMALIZE_NONE);
    }
done:
    buffer_close(&b, s);
    sal_free(numbers);
    sal_free(maps);
    sal_free(expected);
    return st;
}

void suite_maps(suite *s)
{
    static const sizes all[] = {{1, 7, 5, 40, 44},  {1, 1, 1, 9, 7},   {3, 4, 4, 4, 4},    {1, 14, 14, 13, 50},
                                {5, 3, 20, 33, 20}, {1, 1, 6, 64, 61}, {3, 20, 20, 17, 9}, {1, 7, 7, 224, 224}};
    static const sal_map_options options[OPTIONS] = {
        {.sigma = SAL_DEFAULT, .modifier = SAL_MODIFIER_RELU, .reduce = SAL_REDUCE_SUM},
        {.modifier = SAL_MODIFIER_NONE, .reduce = SAL_REDUCE_MEAN, .normalize = SAL_NORMALIZE_NONE},
        {.sigma = 2.5, .modifier = SAL_MODIFIER_ABS, .reduce = SAL_REDUCE_MAX},
        {.sigma = SAL_DEFAULT, .modifier = SAL_MODIFIER_ABS, .reduce = SAL_REDUCE_L2, .normalize = SAL_NORMALIZE_NONE}};
    for (size_t k = 0; k < COUNT_OF(all) * OPTIONS * 2 && s->backend->maps; k++) {
        const sizes *z = &all[k / 2 / OPTIONS];
        const int exact = k % 2 == 0;
        char text[120];
        int good = 0;
        snprintf(text, sizeof text, "map c%lldh%lldw%lld to %lldx%lld, options %zu%s", (long long)z->channels,
                 (long long)z->height, (long long)z->width, (long long)z->map_height, (long long)z->map_width,
                 k / 2 % OPTIONS, exact ? " exact" : "");
        if (!suite_wants(s, text))
            continue;
        const sal_status st = try_sizes(&good, s, text, z, exact, &options[k / 2 % OPTIONS]);
        if (st != SAL_OK)
            printf("%s: %s\n", text, sal_last_error());
        suite_count(s, text, st != SAL_OK || !good);
    }
}
