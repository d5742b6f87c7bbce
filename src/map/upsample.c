/* A map carried back onto the picture that the network's input was made from. */
#include "base/memory.h"
#include "map/map.h"

#include <string.h>

struct sal_upsampler {
    sal_placement placement;
    const float *map;
    sal_upsample_tap *columns; /* one per pixel of a source row */
    float *row;                /* net_width: two rows of the map mixed */
};

sal_status sal_upsampler_open(sal_upsampler **out, const float *map, const sal_placement *placement)
{
    sal_status st = SAL_OK;
    sal_upsampler *u = NULL;
    *out = NULL;
    TRY(sal_placement_check(placement));
    TRY(sal_alloc(&u, 1, sizeof *u, "upsampler"));
    u->placement = *placement;
    u->map = map;
    TRY(sal_alloc(&u->columns, (size_t)placement->source_width, sizeof *u->columns, "column table"));
    TRY(sal_alloc(&u->row, (size_t)placement->net_width, sizeof *u->row, "map row"));
    for (int64_t x = 0; x < placement->source_width; x++)
        u->columns[x] = sal_upsample_at(x, placement->scale_x, placement->offset_x, placement->net_width);
    *out = u;
    u = NULL;
done:
    sal_upsampler_close(u);
    return st;
}

void sal_upsampler_row(float *values, sal_upsampler *u, int64_t y)
{
    int64_t width = u->placement.source_width, net_width = u->placement.net_width;
    sal_upsample_tap tap = sal_upsample_at(y, u->placement.scale_y, u->placement.offset_y, u->placement.net_height);
    if (!tap.visible) {
        memset(values, 0, (size_t)width * sizeof *values);
        return;
    }
    const float *lo = u->map + tap.lo * net_width, *hi = u->map + tap.hi * net_width;
    for (int64_t x = 0; x < net_width; x++)
        u->row[x] = (1.0f - tap.weight) * lo[x] + tap.weight * hi[x];
    for (int64_t x = 0; x < width; x++) {
        const sal_upsample_tap *c = &u->columns[x];
        values[x] = c->visible ? (1.0f - c->weight) * u->row[c->lo] + c->weight * u->row[c->hi] : 0.0f;
    }
}

void sal_upsampler_close(sal_upsampler *u)
{
    if (!u)
        return;
    sal_free(u->columns);
    sal_free(u->row);
    sal_free(u);
}

sal_status sal_map_upsample(float *values, const float *map, const sal_placement *placement)
{
    sal_status st = SAL_OK;
    sal_upsampler *u = NULL;
    TRY(sal_upsampler_open(&u, map, placement));
    for (int64_t y = 0; y < placement->source_height; y++)
        sal_upsampler_row(values + y * placement->source_width, u, y);
done:
    sal_upsampler_close(u);
    return st;
}
