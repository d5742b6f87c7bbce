/* SVG, element by element. */
#ifndef SAL_FIGURE_PAGE_SVG_H
#define SAL_FIGURE_PAGE_SVG_H

#include "figure/line.h"
#include "figure/page.h"

#include <stdio.h>

/* Failed writes are left to the stream's error mark. */
sal_status sal_svg_begin(FILE *to, int64_t width, int64_t height, const char *title);
void sal_svg_end(FILE *to);
void sal_svg_box(FILE *to, double x, double y, double width, double height, const uint8_t color[3]);
/* Errors: MEMORY. */
sal_status sal_svg_picture(FILE *to, double x, double y, const sal_picture *picture);
/* The line begins at x, y. scratch: for outlines. Errors: MEMORY. */
sal_status sal_svg_line(FILE *to, cairo_t *scratch, const sal_line *line, double x, double y, const sal_page_text *how);

#endif
