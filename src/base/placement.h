/* Where a network's input lies on the picture it was made from (sal_placement): the tie between preprocessing, which
 * makes it, and maps, which it carries back onto the picture. */
#ifndef SAL_BASE_PLACEMENT_H
#define SAL_BASE_PLACEMENT_H

#include "salmap/salmap.h"

/* Error: ARGUMENT where a side is below 1, a scale not positive, or anything not finite. */
sal_status sal_placement_check(const sal_placement *placement);

/* The placement of a map of the input with height x width pixels of its own. */
static inline sal_placement sal_placement_of_map(const sal_placement *p, int64_t height, int64_t width)
{
    sal_placement map = *p;
    map.net_height = height;
    map.net_width = width;
    map.scale_y = p->scale_y * ((double)p->net_height / (double)height);
    map.scale_x = p->scale_x * ((double)p->net_width / (double)width);
    return map;
}

/* The same on the source resized to height x width pixels. */
static inline sal_placement sal_placement_resized(const sal_placement *p, int64_t height, int64_t width)
{
    const double by_y = (double)height / (double)p->source_height, by_x = (double)width / (double)p->source_width;
    return (sal_placement){.source_height = height,
                           .source_width = width,
                           .net_height = p->net_height,
                           .net_width = p->net_width,
                           .scale_y = p->scale_y * by_y,
                           .offset_y = p->offset_y * by_y,
                           .scale_x = p->scale_x * by_x,
                           .offset_x = p->offset_x * by_x};
}

#endif
