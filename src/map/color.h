/* Colour tables, and how an overlay is coloured: what the CUDA twins share with this room beside map_math.h. */
#ifndef SAL_MAP_COLOR_H
#define SAL_MAP_COLOR_H

#include "salmap/salmap.h"

/* 256 RGB rows of a colour table. Borrowed, static; NULL for an unknown one. */
const uint8_t (*sal_colormap_table(sal_colormap colormap))[3];
/* "viridis" and so on, NULL for an unknown one. Borrowed, static. */
const char *sal_colormap_name(sal_colormap colormap);

/* rgb: 3 * count bytes; values are clipped to 0..1. */
void sal_color_row(uint8_t *rgb, const float *values, int64_t count, const uint8_t (*table)[3]);

typedef struct sal_overlay_style {
    sal_colormap colormap;
    double alpha;  /* 0..1: weight of the colours */
    int is_signed; /* 1: values are -1..1, and 0 is the middle of the colours */
} sal_overlay_style;

#endif
