/* From the gradient of a network's input to a map, and from a map to colours on
 * the picture. Knows arrays, pictures and placements; nothing of networks, back
 * ends or files. Each function has a CUDA twin to match; map_math.h holds what
 * both compute with.
 *
 * Maps are (height, width) floats, rows without padding. Sides are at least 1;
 * where a function returns a status, it checks that (ARGUMENT). */
#ifndef SAL_MAP_MAP_H
#define SAL_MAP_MAP_H

#include "base/placement.h"
#include "map/color.h"
#include "map/map_math.h"

/* ---- The steps of sal_map_make ------------------------------------------ */

/* map[i] = reduce over c of modify(gradient[c][i]), gradient (channels, pixels);
 * one pass over the gradient, sums in double. map may not overlap gradient.
 * Errors: NUMERIC (NaN or infinity in, or a sum beyond float), ARGUMENT. */
sal_status sal_map_reduce(float *map, const float *gradient, int64_t channels, int64_t pixels, sal_modifier modifier,
                          sal_reduce reduce);

/* sigma of options, or what it is by default for maps of that size. */
double sal_map_sigma(const sal_map_options *options, int64_t height, int64_t width);
/* What the options of a run's maps are by default: sigma, which is 0 for attributions of a layer. */
void sal_map_options_resolve(sal_map_options *options, const sal_attribution_info *attribution, int64_t height,
                             int64_t width);

/* Gaussian of the map in place: scipy.ndimage.gaussian_filter(map, sigma) with
 * its defaults mode="reflect" and truncate=4, computed in double, rounded to
 * float once. A constant map stays exactly constant. sigma 0 changes nothing.
 * Errors: ARGUMENT (sigma negative, NaN or above SAL_SIGMA_MAX), MEMORY. */
sal_status sal_map_smooth(float *map, int64_t height, int64_t width, double sigma);

/* Peak, mean, least value and flatness of the map as it is; the mean is summed in double.
 * how: SAL_NORMALIZE_KERAS_VIS has another idea of a flat map. Nothing here looks for NaN: sal_map_reduce did. */
void sal_map_measure(sal_map_stats *stats, const float *map, int64_t pixels, sal_normalize how);

/* In place, in double, rounded to float once: (m - min) / (max - min), or with keras-vis (m - min) / (max - min +
 * 1e-7), or m / (the largest modulus), or as it is. A constant map becomes zeros, unless it stays as it is. A map that
 * is scaled by a power of two becomes the same, bit by bit, but with keras-vis. *stats describes the map before. */
void sal_map_normalize(float *map, sal_map_stats *stats, int64_t pixels, sal_normalize how);
/* The same, to a scale in common with other maps: see sal_map_options. how: MINMAX or SIGNED; common 0: its own. */
void sal_map_normalize_by(float *map, sal_map_stats *stats, int64_t pixels, sal_normalize how, double common);
/* Whether maps that are normalised so can have such a scale. Error: ARGUMENT. */
sal_status sal_map_check_common(double common, sal_normalize how);

/* Where a map lies and how even it is, whatever its magnitude: of the map as it stands, which normalising brought to
 * 0..1. All in double. */
typedef struct sal_map_summary {
    float mean;
    float deviation; /* standard, of all pixels */
    float center_x;  /* of mass, 0 left edge to 1 right edge; NaN where the map has no positive mass */
    float center_y;
} sal_map_summary;

void sal_map_summarize(sal_map_summary *out, const float *map, int64_t height, int64_t width);

/* ---- Onto the picture ---------------------------------------------------- */

/* The map enlarged to the source picture, one row at a time, so that no map of
 * the size of the picture is ever held. Bilinear, half-pixel centres, clamped
 * at the edges of what the network saw; 0 where it saw nothing. */
typedef struct sal_upsampler sal_upsampler;

/* map is (net_height, net_width) of the placement; it is borrowed and must outlive
 * the upsampler. Errors: ARGUMENT (sides or scales not positive), LIMIT, MEMORY. */
sal_status sal_upsampler_open(sal_upsampler **out, const float *map, const sal_placement *placement);
/* values: source_width floats of row y, 0 <= y < source_height. Not for two threads at once. */
void sal_upsampler_row(float *values, sal_upsampler *upsampler, int64_t y);
void sal_upsampler_close(sal_upsampler *upsampler); /* NULL is fine */

/* The whole enlarged map: values (source_height, source_width). Errors as sal_upsampler_open. */
sal_status sal_map_upsample(float *values, const float *map, const sal_placement *placement);

/* ---- Overlays ------------------------------------------------------------- */

/* Enlarge, colour, blend, row by row: out = (1 - weight) * picture + weight * colour
 * in 8-bit sRGB, to the nearest level; then contours. The weight is alpha, or alpha
 * times the value: see sal_blend_share. */
typedef struct sal_overlay sal_overlay;

/* picture: the source that the placement was made for, shown as base/shade.h says,
 * or NULL for the colours alone; picture and map are borrowed and must outlive the overlay.
 * Errors: ARGUMENT (size of the picture, the style), LIMIT, MEMORY. */
sal_status sal_overlay_open(sal_overlay **out, const sal_picture *picture, const float *map,
                            const sal_placement *placement, const sal_overlay_style *style);
/* rgb: 3 * source_width bytes of row y. Not for two threads at once. */
void sal_overlay_row(uint8_t *rgb, sal_overlay *overlay, int64_t y);
void sal_overlay_close(sal_overlay *overlay); /* NULL is fine */

/* The whole overlay as an 8-bit RGB picture; its samples belong to *out. */
sal_status sal_overlay_draw(sal_picture *out, const sal_picture *picture, const float *map,
                            const sal_placement *placement, const sal_overlay_style *style);

/* Any picture as 8-bit RGB of another size: triangle filter as wide as the
 * reduction (area average and bilinear in one, Pillow's BILINEAR). One pass over
 * the source; memory of the size of the result. Errors: ARGUMENT, LIMIT, MEMORY. */
sal_status sal_resize_rgb(sal_picture *out, const sal_picture *picture, int64_t height, int64_t width);

#endif
