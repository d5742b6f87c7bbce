/* A page with pictures, lines and text on white, as PNG, SVG or PDF: the same drawing calls for each. Everything is
 * measured in pixels of the PNG, from the top left; in print 200 of them are an inch. Knows nothing of maps.
 *
 * Text stays text: in PDF with its font embedded, in SVG as outlines, which look the same everywhere, below invisible
 * letters, which can be selected and searched. The same calls give the same bytes, with the same fonts and cairo.
 * The calling thread is in the plain locale: SVG has decimal points. */
#ifndef SAL_FIGURE_PAGE_H
#define SAL_FIGURE_PAGE_H

#include "figure/fonts.h"

enum { SAL_PAGE_LONGEST = 32767 }; /* pixels of a side */

typedef struct sal_page sal_page;

typedef struct sal_page_text {
    double x; /* of the beginning, the middle or the end of the line that it stands on */
    double y;
    double size;  /* of the font */
    double room;  /* how wide it may be; 0: any width */
    double align; /* which of its points x is: 0 the beginning, 0.5 the middle, 1 the end */
    int bold;
    int upward;           /* 1: from the bottom to the top */
    const uint8_t *color; /* red, green, blue */
} sal_page_text;

/* fonts: borrowed. title: of the document. Errors: LIMIT (its size), MEMORY. */
sal_status sal_page_open(sal_page **out, sal_page_format format, sal_fonts *fonts, int64_t width, int64_t height,
                         const char *title);
/* An 8-bit RGB picture. Errors: MEMORY. */
sal_status sal_page_picture(sal_page *page, double x, double y, const sal_picture *picture);
/* Filled. */
sal_status sal_page_box(sal_page *page, double x, double y, double width, double height, const uint8_t color[3]);
/* A frame of one pixel around it, outside. */
sal_status sal_page_frame(sal_page *page, double x, double y, double width, double height, const uint8_t color[3]);
/* Errors: UNSUPPORTED, MEMORY. */
sal_status sal_page_write(sal_page *page, const char *text, const sal_page_text *how);

/* Ends the drawing. As the bytes of a file, free with free(). Errors: MEMORY, UNSUPPORTED. */
sal_status sal_page_encode(void **bytes, size_t *size, sal_page *page);
/* Likewise, of PNG: as an 8-bit RGB picture, whose samples belong to *out. */
sal_status sal_page_take(sal_picture *out, sal_page *page);
void sal_page_close(sal_page *page); /* NULL is fine */

/* How wide a text is. Errors: UNSUPPORTED, MEMORY. */
sal_status sal_page_measure(double *width, sal_fonts *fonts, const char *text, double size, int bold);

#endif
