/* A line of text, laid out: which glyphs of which fonts stand where. Letters stand one after the other from left to
 * right; nothing is known of scripts that join their letters or run the other way. */
#ifndef SAL_FIGURE_LINE_H
#define SAL_FIGURE_LINE_H

#include "figure/fonts.h"

/* Glyphs of one font. */
typedef struct sal_line_run {
    cairo_scaled_font_t *font;
    cairo_glyph_t *glyphs; /* from the line's beginning at 0, 0 */
    int glyph_count;
    cairo_text_cluster_t *clusters; /* which bytes of text a glyph stands for */
    int cluster_count;
    cairo_text_cluster_flags_t flags;
    const char *text; /* into the line's */
    int size;         /* bytes of it */
} sal_line_run;

typedef struct sal_line {
    char *text; /* UTF-8 that may be shown */
    sal_line_run *runs;
    size_t count;
    size_t room;
    double width;
} sal_line;

/* size: of the font, in units of the page. room: how wide it may be, in whose middle a longer one has dots; 0: any
 * width. Bytes that are no UTF-8, and control characters, are shown as U+FFFD. Errors: UNSUPPORTED, MEMORY. */
sal_status sal_line_make(sal_line *out, sal_fonts *fonts, const char *text, double size, int bold, double room);
void sal_line_clear(sal_line *line); /* fine on a zeroed struct */

/* How all letters are drawn: as wide at every scale, in every format. Destroy it with cairo_font_options_destroy. */
cairo_font_options_t *sal_line_options(void);

#endif
