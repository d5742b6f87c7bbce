/* A map's colours over the picture. */
#include "base/memory.h"
#include "base/shade.h"
#include "map/map.h"

#include <string.h>

struct sal_overlay {
    sal_upsampler *upsampler;
    const sal_picture *picture; /* NULL: colours alone */
    sal_shade shade;
    const uint8_t (*table)[3];
    uint32_t weights[256]; /* of the colours of the table */
    int64_t height;
    int64_t width;
    int is_signed;
    float *values; /* one row of the enlarged map */
    int contour_count;
    float contours[SAL_CONTOURS_MAX];
    int64_t line;
    float *below; /* the row that contours are looked for in, too; NULL: there are none */
};

static sal_status check_overlay(const sal_picture *picture, const sal_placement *placement,
                                const sal_overlay_style *style)
{
    const sal_status st = sal_overlay_style_check(style);
    if (st != SAL_OK)
        return st;
    if (picture && (picture->height != placement->source_height || picture->width != placement->source_width))
        return sal_fail(SAL_ERROR_ARGUMENT, "picture of %lld x %lld pixels, but its placement says %lld x %lld",
                        (long long)picture->width, (long long)picture->height, (long long)placement->source_width,
                        (long long)placement->source_height);
    if (picture && (picture->channels < 1 || (unsigned)picture->type > SAL_SAMPLE_F32))
        return sal_fail(SAL_ERROR_ARGUMENT, "picture with %lld channels of sample type %d",
                        (long long)picture->channels, (int)picture->type);
    return SAL_OK;
}

static void weigh(sal_overlay *o, const sal_overlay_style *style)
{
    const uint32_t most = sal_blend_weight(style->alpha);
    for (int i = 0; i < 256; i++)
        o->weights[i] = style->blend == SAL_BLEND_MAP ? sal_blend_share(most, i, style->is_signed) : most;
}

static sal_status set_contours(sal_overlay *o, const sal_overlay_style *style)
{
    if (!o->picture || style->contour_count == 0)
        return SAL_OK;
    o->contour_count = style->contour_count;
    memcpy(o->contours, style->contours, sizeof o->contours);
    o->line = sal_contour_width(o->height, o->width);
    return sal_alloc(&o->below, (size_t)o->width, sizeof *o->below, "map row");
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
    o->height = placement->source_height;
    o->width = placement->source_width;
    o->is_signed = style->is_signed;
    weigh(o, style);
    TRY(sal_alloc(&o->values, (size_t)o->width, sizeof *o->values, "map row"));
    TRY(set_contours(o, style));
    *out = o;
    o = NULL;
done:
    sal_overlay_close(o);
    return st;
}

static void blend_row(uint8_t *rgb, const sal_overlay *o)
{
    for (int64_t x = 0; x < o->width; x++, rgb += 3) {
        const int row = sal_color_index(o->is_signed ? sal_signed_place(o->values[x]) : o->values[x]);
        for (int c = 0; c < 3; c++)
            rgb[c] = sal_blend_level(rgb[c], o->table[row][c], o->weights[row]);
    }
}

static int is_on_contour(const sal_overlay *o, int64_t x)
{
    const int64_t right = x + o->line < o->width ? x + o->line : o->width - 1;
    const float at = sal_contour_height(o->values[x], o->is_signed);
    const float beside = sal_contour_height(o->values[right], o->is_signed);
    const float below = sal_contour_height(o->below[x], o->is_signed);
    const float corner = sal_contour_height(o->below[right], o->is_signed);
    for (int k = 0; k < o->contour_count; k++)
        if (sal_contour_runs(o->contours[k], at, beside, below, corner))
            return 1;
    return 0;
}

static void draw_contours(uint8_t *rgb, sal_overlay *o, int64_t y)
{
    sal_upsampler_row(o->below, o->upsampler, y + o->line < o->height ? y + o->line : o->height - 1);
    for (int64_t x = 0; x < o->width; x++, rgb += 3)
        if (is_on_contour(o, x))
            memset(rgb, sal_contour_ink(rgb[0], rgb[1], rgb[2]), 3);
}

void sal_overlay_row(uint8_t *rgb, sal_overlay *o, int64_t y)
{
    sal_upsampler_row(o->values, o->upsampler, y);
    if (o->picture) {
        sal_shade_row(rgb, o->picture, &o->shade, y);
        blend_row(rgb, o);
        if (o->below)
            draw_contours(rgb, o, y);
        return;
    }
    for (int64_t i = 0; i < o->width && o->is_signed; i++)
        o->values[i] = sal_signed_place(o->values[i]);
    sal_color_row(rgb, o->values, o->width, o->table);
}

void sal_overlay_close(sal_overlay *o)
{
    if (!o)
        return;
    sal_upsampler_close(o->upsampler);
    sal_free(o->values);
    sal_free(o->below);
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
