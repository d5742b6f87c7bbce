/* Where a network's input lies on the picture it was made from: the tie between
 * preprocessing, which makes it, and maps, which it carries back onto the picture. */
#ifndef SAL_BASE_PLACEMENT_H
#define SAL_BASE_PLACEMENT_H

#include <stdint.h>

/* One affine per axis, in continuous coordinates where the centre of pixel i is
 * i + 0.5: the point v of the network's input lies at scale * v + offset of the
 * source. Points may fall outside the source (letterbox padding), and a source
 * may reach beyond the input (what a crop cut off). Scales are positive. */
typedef struct sal_placement {
    int64_t source_height;
    int64_t source_width;
    int64_t net_height;
    int64_t net_width;
    double scale_y;
    double offset_y;
    double scale_x;
    double offset_x;
} sal_placement;

/* The same of a map of the input with height x width pixels of its own. */
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
