/* Launchers of the map kernels; rules as in kernels.h. Arithmetic: src/map/map_math.h. Maps are
 * (pictures, height, width) floats. */
#ifndef CUDA_MAP_KERNELS_H
#define CUDA_MAP_KERNELS_H

#include "kernels/kernels.h"
#include "map/map_math.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Largest radius of cuda_smooth's shared-memory kernels: sigma 64. Beyond it they still work, through global memory. */
enum { CUDA_SMOOTH_RADIUS = 256 };

/* What a picture's map came to; filled on the device. */
typedef struct cuda_map_stats {
    float low, high;
    double sum;
    int not_finite;
} cuda_map_stats;

/* map_reduce.cu: map[n][p] = reduce over c of modify(gradient[n][p][c] * scales[n]), of 1 where scales is NULL. Twin:
 * sal_map_reduce. */
cudaError_t cuda_map_reduce(float *map, const void *gradient, cuda_type type, cuda_extent e, const float *scales,
                            sal_modifier modifier, sal_reduce reduce, cudaStream_t stream);
/* map_enlarge.cu: to (pictures, height, width) from (pictures, from_height, from_width). Twin: sal_map_upsample. */
cudaError_t cuda_map_enlarge(float *to, const float *from, int64_t pictures, int64_t height, int64_t width,
                             int64_t from_height, int64_t from_width, cudaStream_t stream);
/* smooth.cu: separable Gaussian, reflected edges; weights: radius + 1 floats or doubles of half the kernel, on the
 * device. map may not be work; work: as large as map. Twin: sal_map_smooth. */
cudaError_t cuda_smooth(float *map, float *work, const double *weights, int64_t radius, int64_t pictures,
                        int64_t height, int64_t width, cudaStream_t stream);
/* measure.cu: stats[n] of each map; two steps through `partial` (CUDA_MEASURE_BLOCKS per picture), so that sums do not
 * depend on the order of blocks. Twin: sal_map_measure. */
enum { CUDA_MEASURE_BLOCKS = 32 };
cudaError_t cuda_measure(cuda_map_stats *stats, cuda_map_stats *partial, const float *map, int64_t pictures,
                         int64_t pixels, cudaStream_t stream);
/* normalize.cu: in place, by stats; a constant map becomes zeros; how: not SAL_NORMALIZE_NONE; common: the scale
 * of all maps, or 0. Twin: sal_map_normalize_by. */
cudaError_t cuda_normalize(float *map, const cuda_map_stats *stats, int64_t pictures, int64_t pixels, sal_normalize how,
                           double common, cudaStream_t stream);

/* overlay.cu: enlarge, colour, blend a band of rows in one pass, and draw contours. Twin: sal_overlay_row. */
typedef struct cuda_overlay {
    int64_t net_height, net_width;
    int64_t height, width; /* of the source */
    int64_t first_row, rows;
    double scale_y, scale_x, offset_y, offset_x; /* as in sal_placement */
    uint32_t weight;                             /* sal_blend_weight(alpha) */
    float gain, bias; /* a value's place on the colours: 1 and 0, or of signed maps a half each */
    sal_blend blend;
    int is_signed;
    int contour_count; /* 0 without a picture */
    float contours[SAL_CONTOURS_MAX];
    int64_t line; /* sal_contour_width */
} cuda_overlay;
/* rgb, shown: (rows, width, 3) bytes; shown may be NULL: colours alone; stats: of the map where it is to be
 * coloured over its own range, or NULL; table: 256 RGB rows on the device. */
cudaError_t cuda_overlay_blend(uint8_t *rgb, const uint8_t *shown, const float *map, const cuda_map_stats *stats,
                               const uint8_t *table, cuda_overlay o, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
