/* The fonts of this machine, as fontconfig finds them: DejaVu Sans, or what stands in for it, and for characters that
 * it lacks the first other font that has them. */
#ifndef SAL_FIGURE_FONTS_H
#define SAL_FIGURE_FONTS_H

#include "base/error.h"

#include <cairo.h>

typedef struct sal_fonts sal_fonts;

/* Errors: UNSUPPORTED (there is no font), MEMORY. */
sal_status sal_fonts_open(sal_fonts **out);
void sal_fonts_close(sal_fonts *fonts); /* NULL is fine */
/* The font with the character; one without it where none has. Borrowed. Errors: MEMORY. */
sal_status sal_fonts_find(cairo_font_face_t **out, sal_fonts *fonts, int bold, uint32_t character);

/* SAL_OK, or what cairo says went wrong. */
sal_status sal_cairo_check(cairo_status_t status);

#endif
