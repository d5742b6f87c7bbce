/* Values to colours. */
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
};

const uint8_t (*sal_colormap_table(sal_colormap colormap))[3]
{
    return (unsigned)colormap < sizeof maps / sizeof *maps ? maps[colormap].table : NULL;
}

const char *sal_colormap_name(sal_colormap colormap)
{
    return (unsigned)colormap < sizeof maps / sizeof *maps ? maps[colormap].name : NULL;
}

void sal_color_row(uint8_t *rgb, const float *values, int64_t count, const uint8_t (*table)[3])
{
    for (int64_t i = 0; i < count; i++)
        memcpy(rgb + 3 * i, table[sal_color_index(values[i])], 3);
}
