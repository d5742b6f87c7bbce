/* The public way from a gradient to a map, and from a map to a picture. */
#include "map/map.h"
#include "base/memory.h"

static sal_status check_sides(int64_t height, int64_t width)
{
    if (height < 1 || width < 1)
        return sal_fail(SAL_ERROR_ARGUMENT, "map of %lld x %lld pixels: both sides must be at least 1",
                        (long long)width, (long long)height);
    return SAL_OK;
}

sal_status sal_map_make(float *map, sal_map_stats *stats, const float *gradient, int64_t channels, int64_t height,
                        int64_t width, const sal_map_options *options)
{
    static const sal_map_options defaults = {0};
    sal_status st = SAL_OK;
    sal_map_stats measured;
    int64_t pixels, values;
    const sal_map_options *o = options ? options : &defaults;
    if (!map || !gradient)
        return sal_fail(SAL_ERROR_ARGUMENT, "sal_map_make needs a map and a gradient");
    if ((unsigned)o->normalize > SAL_NORMALIZE_NONE)
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown normalisation %d", (int)o->normalize);
    TRY(check_sides(height, width));
    if (__builtin_mul_overflow(height, width, &pixels) || __builtin_mul_overflow(pixels, channels, &values))
        return sal_fail(SAL_ERROR_ARGUMENT, "gradient of %lld x %lld x %lld values", (long long)channels,
                        (long long)height, (long long)width);
    TRY(sal_map_reduce(map, gradient, channels, pixels, o->modifier, o->reduce));
    TRY(sal_map_smooth(map, height, width, o->sigma_set ? o->sigma : sal_map_default_sigma(height, width)));
    if (o->normalize == SAL_NORMALIZE_MINMAX)
        sal_map_normalize(map, &measured, pixels);
    else
        sal_map_measure(&measured, map, pixels);
    if (stats)
        *stats = measured;
done:
    return st;
}

sal_status sal_map_colorize(sal_picture *out, const float *map, int64_t height, int64_t width, sal_colormap colormap)
{
    sal_status st = SAL_OK;
    uint8_t *rgb = NULL;
    size_t row_bytes;
    TRY(sal_require(out, "out", __func__));
    *out = (sal_picture){0};
    TRY(sal_require(map, "map", __func__));
    const uint8_t(*table)[3] = sal_colormap_table(colormap);
    if (!table)
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown colour map %d", (int)colormap);
    TRY(check_sides(height, width));
    TRY(sal_size_mul(&row_bytes, (size_t)width, 3, "coloured map"));
    TRY(sal_alloc(&rgb, (size_t)height, row_bytes, "coloured map"));
    sal_color_row(rgb, map, height * width, table);
    *out = (sal_picture){height, width, 3, SAL_SAMPLE_U8, rgb};
    rgb = NULL;
done:
    sal_free(rgb);
    return st;
}
