/* Values to colours. */
#include "base/error.h"
#include "map/color.h"
#include "map/colormap_tables.h"
#include "map/map_math.h"

#include <string.h>

static const struct {
    const char *name;
    const uint8_t (*table)[3];
} maps[] = {
    [SAL_COLORMAP_VIRIDIS] = {"viridis", sal_table_viridis}, [SAL_COLORMAP_INFERNO] = {"inferno", sal_table_inferno},
    [SAL_COLORMAP_TURBO] = {"turbo", sal_table_turbo},       [SAL_COLORMAP_JET] = {"jet", sal_table_jet},
    [SAL_COLORMAP_GRAY] = {"gray", sal_table_gray},          [SAL_COLORMAP_COOLWARM] = {"coolwarm", sal_table_coolwarm},
    [SAL_COLORMAP_MAGMA] = {"magma", sal_table_magma},       [SAL_COLORMAP_CIVIDIS] = {"cividis", sal_table_cividis},
    [SAL_COLORMAP_RDBU] = {"rdbu", sal_table_rdbu},          [SAL_COLORMAP_SEISMIC] = {"seismic", sal_table_seismic},
};
_Static_assert(sizeof maps / sizeof *maps == SAL_COLORMAPS, "each has a table");

const uint8_t (*sal_colormap_table(sal_colormap colormap))[3]
{
    return (unsigned)colormap < sizeof maps / sizeof *maps ? maps[colormap].table : NULL;
}

const char *sal_colormap_name(sal_colormap colormap)
{
    return (unsigned)colormap < sizeof maps / sizeof *maps ? maps[colormap].name : NULL;
}

/* On a picture the peak of inferno is yellow, and its low values are hardly there. Coolwarm is pale: as faint as its
 * colours are where the weight follows the map, nothing would be seen. */
sal_colormap sal_colormap_choose(sal_colormap asked, sal_blend blend, int over_picture, int is_signed)
{
    if (asked != SAL_COLORMAP_AUTO)
        return asked;
    if (over_picture && blend == SAL_BLEND_MAP)
        return is_signed ? SAL_COLORMAP_SEISMIC : SAL_COLORMAP_INFERNO;
    return is_signed ? SAL_COLORMAP_COOLWARM : SAL_COLORMAP_VIRIDIS;
}

double sal_alpha_choose(double asked, sal_blend blend)
{
    if (asked != SAL_DEFAULT)
        return asked;
    return blend == SAL_BLEND_FLAT ? 0.5 : 0.9;
}

sal_status sal_overlay_style_check(const sal_overlay_style *style)
{
    if (!sal_colormap_table(style->colormap))
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown colour map %d", (int)style->colormap);
    if ((unsigned)style->blend > SAL_BLEND_FLAT)
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown blend %d", (int)style->blend);
    if (!(style->alpha >= 0.0 && style->alpha <= 1.0))
        return sal_fail(SAL_ERROR_ARGUMENT, "alpha %g is not within 0 and 1", style->alpha);
    if (style->contour_count < 0 || style->contour_count > SAL_CONTOURS_MAX)
        return sal_fail(SAL_ERROR_ARGUMENT, "%d contours: there may be %d", style->contour_count, SAL_CONTOURS_MAX);
    for (int i = 0; i < style->contour_count; i++)
        if (!(style->contours[i] > 0.0f && style->contours[i] < 1.0f))
            return sal_fail(SAL_ERROR_ARGUMENT, "contour %g is not above 0 and below 1", (double)style->contours[i]);
    return SAL_OK;
}

void sal_color_row(uint8_t *rgb, const float *values, int64_t count, const uint8_t (*table)[3])
{
    for (int64_t i = 0; i < count; i++)
        memcpy(rgb + 3 * i, table[sal_color_index(values[i])], 3);
}
