/* Maps and overlays made on the device: gradients stay there, and what crosses the bus is maps (if
 * asked for), statistics and finished 8-bit pictures. Twins of src/map, same numbers. */
#ifndef CUDA_MAPS_H
#define CUDA_MAPS_H

#include "device.h"

#include "base/placement.h"
#include "map/color.h"

/* Buffers on one device; grown on demand, kept. */
sal_status cuda_maps_open(cuda_maps **out, sal_device *device);
void cuda_maps_close(cuda_maps *maps);

/* Room for the maps of such a batch. Errors: MEMORY, DEVICE. */
sal_status cuda_maps_reserve(cuda_maps *maps, cuda_extent e);
void cuda_maps_shrink(cuda_maps *maps); /* back to no room at all; nothing may be in flight */

/* What maps are made of: gradients of the device's type, or floats. */
typedef struct cuda_attribution {
    const void *memory;
    cuda_type type;
    cuda_extent extent;
    const float *scales; /* device: what each picture is multiplied by (loss_scale.h); NULL: 1 */
} cuda_attribution;

/* Modify and reduce, enlarge to (height, width) where that is another size, smooth, measure, normalise as
 * sal_map_make does. The maps stay on the device for cuda_maps_overlay; `host` (pictures, height, width) takes copies
 * unless NULL; stats: one each. Errors: NUMERIC naming the picture's number (NaN or infinite), DEVICE, MEMORY. */
sal_status cuda_maps_make(float *host, sal_map_stats *stats, cuda_maps *maps, const cuda_attribution *attribution,
                          int64_t height, int64_t width, const sal_map_options *options);
/* As sal_overlay_draw for map number `picture` of the last cuda_maps_make. shown: the source as 8-bit RGB, or NULL for
 * the colours alone; rgb: (source_height, source_width, 3) of the host. A map that was not normalised is coloured
 * over its own range. Transfers of one overlay run beside the kernels of the next: rgb is complete after
 * cuda_maps_finish. */
sal_status cuda_maps_overlay(uint8_t *rgb, cuda_maps *maps, int64_t picture, const sal_picture *shown,
                             const sal_placement *placement, const sal_overlay_style *style);
sal_status cuda_maps_finish(cuda_maps *maps);

#endif
