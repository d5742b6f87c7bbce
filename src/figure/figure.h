/* One picture that tells the story: the picture, its map with a colour bar, and the overlay, side by side. */
#ifndef SAL_FIGURE_FIGURE_H
#define SAL_FIGURE_FIGURE_H

#include "map/map.h"

enum { SAL_FIGURE_PANEL = 448, SAL_FIGURE_PANEL_LEAST = 64, SAL_FIGURE_PANEL_MOST = 4096 };

typedef struct sal_figure_style {
    sal_overlay_style style;
    const char *captions[3]; /* over picture, map and overlay; NULL: just these words */
    const char *title;       /* above all, or NULL */
    const char *note;        /* one line under the panels, or NULL */
    const char *bar_label;   /* beside the colour bar: what it counts; or NULL */
    double bar_low;          /* values that the ends of the colour bar stand for; */
    double bar_high;         /* both 0: 0 and 1 */
    int64_t panel;           /* height of the panels, which are at most twice as wide; 0 selects SAL_FIGURE_PANEL */
} sal_figure_style;

/* What is drawn: the picture that the placement was made for, and the map. */
typedef struct sal_figure_content {
    const sal_picture *picture;
    const float *map;
    const sal_placement *placement;
} sal_figure_content;

/* Before a job begins: UNSUPPORTED where there is no font to write text with, or MEMORY. */
sal_status sal_figure_check_fonts(void);

/* As an 8-bit RGB picture whose samples belong to *out. Text wider than its place has dots in its middle.
 * Errors: ARGUMENT, LIMIT, MEMORY, UNSUPPORTED (there is no font). */
sal_status sal_figure_draw(sal_picture *out, const sal_figure_content *content, const sal_figure_style *style);
/* As the bytes of a file, free with free(). Errors likewise. */
sal_status sal_figure_put(void **bytes, size_t *size, sal_page_format format, const sal_figure_content *content,
                          const sal_figure_style *style);

#endif
