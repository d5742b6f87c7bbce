/* The public way from a gradient to a map, and from a map to a picture. */
#include "map/map.h"
#include "base/memory.h"
#include "base/struct.h"

double sal_map_sigma(const sal_map_options *o, int64_t height, int64_t width)
{
    return o->sigma == SAL_DEFAULT ? sal_map_default_sigma(height, width) : o->sigma;
}

void sal_map_options_resolve(sal_map_options *o, const sal_attribution_info *attribution, int64_t height, int64_t width)
{
    if (attribution->layer && o->sigma == SAL_DEFAULT)
        o->sigma = 0.0;
    o->sigma = sal_map_sigma(o, height, width);
}

static sal_status check_sides(int64_t height, int64_t width)
{
    if (height < 1 || width < 1)
        return sal_fail(SAL_ERROR_ARGUMENT, "map of %lld x %lld pixels: both sides must be at least 1",
                        (long long)width, (long long)height);
    return SAL_OK;
}

/* The sizes of an attribution, and how many pixels it has. */
static sal_status check_attribution(int64_t *pixels, int64_t channels, int64_t height, int64_t width)
{
    sal_status st = SAL_OK;
    int64_t values;
    TRY(check_sides(height, width));
    if (__builtin_mul_overflow(height, width, pixels) || __builtin_mul_overflow(*pixels, channels, &values))
        return sal_fail(SAL_ERROR_ARGUMENT, "gradient of %lld x %lld x %lld values", (long long)channels,
                        (long long)height, (long long)width);
done:
    return st;
}

/* Reduced to one value a pixel, and enlarged to the size of the map. */
static sal_status reduce(float *map, int64_t map_height, int64_t map_width, const float *attribution, int64_t channels,
                         int64_t height, int64_t width, const sal_map_options *o)
{
    sal_status st = SAL_OK;
    float *small = NULL;
    int64_t pixels, map_pixels;
    TRY(check_attribution(&pixels, channels, height, width));
    TRY(check_attribution(&map_pixels, 1, map_height, map_width));
    if (height == map_height && width == map_width)
        return sal_map_reduce(map, attribution, channels, pixels, o->modifier, o->reduce);
    const sal_placement placement = {.source_height = map_height,
                                     .source_width = map_width,
                                     .net_height = height,
                                     .net_width = width,
                                     .scale_y = (double)map_height / (double)height,
                                     .scale_x = (double)map_width / (double)width};
    TRY(sal_alloc(&small, (size_t)pixels, sizeof *small, "a map"));
    TRY(sal_map_reduce(small, attribution, channels, pixels, o->modifier, o->reduce));
    TRY(sal_map_upsample(map, small, &placement));
done:
    sal_free(small);
    return st;
}

sal_status sal_map_of(float *map, sal_map_stats *stats, int64_t map_height, int64_t map_width, const float *attribution,
                      int64_t channels, int64_t height, int64_t width, const sal_map_options *options)
{
    sal_status st = SAL_OK;
    sal_map_stats measured;
    sal_map_options full = SAL_MAP_OPTIONS_INIT;
    const sal_map_options *o = &full;
    if (!map || !attribution)
        return sal_fail(SAL_ERROR_ARGUMENT, "a map and what it is made of must be given");
    TRY(sal_struct_read(&full, sizeof full, options, "sal_map_options"));
    if ((unsigned)o->normalize > SAL_NORMALIZE_KERAS_VIS)
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown normalisation %d", (int)o->normalize);
    TRY(sal_map_check_common(o->common_scale, o->normalize));
    TRY(reduce(map, map_height, map_width, attribution, channels, height, width, o));
    TRY(sal_map_smooth(map, map_height, map_width, sal_map_sigma(o, map_height, map_width)));
    sal_map_normalize_by(map, &measured, map_height * map_width, o->normalize, o->common_scale);
    if (stats)
        *stats = measured;
done:
    return st;
}

sal_status sal_map_make(float *map, sal_map_stats *stats, const float *gradient, int64_t channels, int64_t height,
                        int64_t width, const sal_map_options *options)
{
    return sal_map_of(map, stats, height, width, gradient, channels, height, width, options);
}

sal_status sal_map_colorize(sal_picture *out, const float *map, int64_t height, int64_t width, sal_colormap colormap)
{
    sal_status st = SAL_OK;
    uint8_t *rgb = NULL;
    size_t row_bytes;
    TRY(sal_require(out, "out", __func__));
    *out = (sal_picture){0};
    TRY(sal_require(map, "map", __func__));
    const uint8_t(*table)[3] = sal_colormap_table(sal_colormap_choose(colormap, SAL_BLEND_MAP, 0, 0));
    if (!table)
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown colour map %d", (int)colormap);
    TRY(check_sides(height, width));
    TRY(sal_size_mul(&row_bytes, (size_t)width, 3, "coloured map"));
    TRY(sal_alloc(&rgb, (size_t)height, row_bytes, "coloured map"));
    sal_color_row(rgb, map, height * width, table);
    *out = (sal_picture){.height = height, .width = width, .channels = 3, .type = SAL_SAMPLE_U8, .samples = rgb};
    rgb = NULL;
done:
    sal_free(rgb);
    return st;
}
