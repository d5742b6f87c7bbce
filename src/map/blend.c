/* A map's colours over the picture. */
#include "base/memory.h"
#include "base/shade.h"
#include "map/map.h"

struct sal_overlay {
    sal_upsampler *upsampler;
    const sal_picture *picture; /* NULL: colours alone */
    sal_shade shade;
    const uint8_t (*table)[3];
    uint32_t weight;
    int64_t width;
    int is_signed;
    float *values;   /* one row of the enlarged map */
    uint8_t *colors; /* and its colours */
};

static sal_status check_overlay(const sal_picture *picture, const sal_placement *placement,
                                const sal_overlay_style *style)
{
    if (!sal_colormap_table(style->colormap))
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown colour map %d", (int)style->colormap);
    if (!(style->alpha >= 0.0 && style->alpha <= 1.0))
        return sal_fail(SAL_ERROR_ARGUMENT, "alpha %g is not within 0 and 1", style->alpha);
    if (picture && (picture->height != placement->source_height || picture->width != placement->source_width))
        return sal_fail(SAL_ERROR_ARGUMENT, "picture of %lld x %lld pixels, but its placement says %lld x %lld",
                        (long long)picture->width, (long long)picture->height, (long long)placement->source_width,
                        (long long)placement->source_height);
    if (picture && (picture->channels < 1 || (unsigned)picture->type > SAL_SAMPLE_F32))
        return sal_fail(SAL_ERROR_ARGUMENT, "picture with %lld channels of sample type %d",
                        (long long)picture->channels, (int)picture->type);
    return SAL_OK;
}

sal_status sal_overlay_open(sal_overlay **out, const sal_picture *picture, const float *map,
                            const sal_placement *placement, const sal_overlay_style *style)
{
    sal_status st = SAL_OK;
    sal_overlay *o = NULL;
    *out = NULL;
    TRY(check_overlay(picture, placement, style));
    TRY(sal_alloc(&o, 1, sizeof *o, "overlay"));
    TRY(sal_upsampler_open(&o->upsampler, map, placement));
    o->picture = picture;
    if (picture)
        o->shade = sal_shade_of(picture, NULL);
    o->table = sal_colormap_table(style->colormap);
    o->weight = sal_blend_weight(style->alpha);
    o->width = placement->source_width;
    o->is_signed = style->is_signed;
    TRY(sal_alloc(&o->values, (size_t)o->width, sizeof *o->values, "map row"));
    TRY(sal_alloc(&o->colors, (size_t)o->width, 3, "colour row"));
    *out = o;
    o = NULL;
done:
    sal_overlay_close(o);
    return st;
}

void sal_overlay_row(uint8_t *rgb, sal_overlay *o, int64_t y)
{
    sal_upsampler_row(o->values, o->upsampler, y);
    for (int64_t i = 0; i < o->width && o->is_signed; i++)
        o->values[i] = sal_signed_place(o->values[i]);
    if (!o->picture) {
        sal_color_row(rgb, o->values, o->width, o->table);
        return;
    }
    sal_color_row(o->colors, o->values, o->width, o->table);
    sal_shade_row(rgb, o->picture, &o->shade, y);
    for (int64_t i = 0; i < 3 * o->width; i++)
        rgb[i] = sal_blend(rgb[i], o->colors[i], o->weight);
}

void sal_overlay_close(sal_overlay *o)
{
    if (!o)
        return;
    sal_upsampler_close(o->upsampler);
    sal_free(o->values);
    sal_free(o->colors);
    sal_free(o);
}

sal_status sal_overlay_draw(sal_picture *out, const sal_picture *picture, const float *map,
                            const sal_placement *placement, const sal_overlay_style *style)
{
    sal_status st = SAL_OK;
    sal_overlay *o = NULL;
    uint8_t *rgb = NULL;
    size_t row_bytes;
    *out = (sal_picture){0};
    TRY(sal_overlay_open(&o, picture, map, placement, style));
    TRY(sal_size_mul(&row_bytes, (size_t)placement->source_width, 3, "overlay"));
    TRY(sal_alloc(&rgb, (size_t)placement->source_height, row_bytes, "overlay"));
    for (int64_t y = 0; y < placement->source_height; y++)
        sal_overlay_row(rgb + (size_t)y * row_bytes, o, y);
    *out = (sal_picture){.height = placement->source_height,
                         .width = placement->source_width,
                         .channels = 3,
                         .type = SAL_SAMPLE_U8,
                         .samples = rgb};
    rgb = NULL;
done:
    sal_free(rgb);
    sal_overlay_close(o);
    return st;
}
