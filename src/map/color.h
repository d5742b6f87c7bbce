/* Colour tables, and how an overlay is coloured: what the CUDA twins share with this room beside map_math.h. */
#ifndef SAL_MAP_COLOR_H
#define SAL_MAP_COLOR_H

#include "salmap/salmap.h"

enum { SAL_COLORMAPS = SAL_COLORMAP_SEISMIC + 1 }; /* tables */

/* 256 RGB rows of a colour table. Borrowed, static; NULL for an unknown one and SAL_COLORMAP_AUTO. */
const uint8_t (*sal_colormap_table(sal_colormap colormap))[3];
/* "viridis" and so on, NULL for an unknown one. Borrowed, static. */
const char *sal_colormap_name(sal_colormap colormap);

/* rgb: 3 * count bytes; values are clipped to 0..1. */
void sal_color_row(uint8_t *rgb, const float *values, int64_t count, const uint8_t (*table)[3]);

typedef struct sal_overlay_style {
    sal_colormap colormap; /* not SAL_COLORMAP_AUTO */
    sal_blend blend;
    double alpha;  /* 0..1: weight of the colours */
    int is_signed; /* 1: values are -1..1, and 0 is the middle of the colours */
    int contour_count;
    float contours[SAL_CONTOURS_MAX]; /* levels that are drawn as lines, where there is a picture */
} sal_overlay_style;

/* The table that is meant: AUTO depends on what is drawn. */
sal_colormap sal_colormap_choose(sal_colormap asked, sal_blend blend, int over_picture, int is_signed);
/* The weight of the colours that is meant. */
double sal_alpha_choose(double asked, sal_blend blend);

/* What is wrong with a style: of unknown values, and of numbers beyond their bounds. Error: ARGUMENT. */
sal_status sal_overlay_style_check(const sal_overlay_style *style);

#endif
