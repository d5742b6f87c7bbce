/* What is drawn of a map: the tones it is coloured with, the picture under it, the line below a figure. The pipeline
 * draws with it into files; the public functions, sal_overlay_make and the like, draw with it in memory. */
#ifndef SAL_SWEEP_DRAW_H
#define SAL_SWEEP_DRAW_H

#include "base/placement.h"
#include "figure/figure.h"
#include "map/map.h"

/* A map as it is coloured. */
typedef struct sal_display {
    const float *values; /* 0..1, or -1..1 where maps are signed */
    double low;          /* what both ends of the colours stand for */
    double high;
    float *owned; /* values, where they are not the map itself */
} sal_display;

/* Without normalising, a map may be of any magnitude: its colours span its own range. The map is borrowed. Error:
 * MEMORY. */
sal_status sal_display_make(sal_display *out, const float *map, size_t pixels, sal_normalize normalize);
void sal_display_clear(sal_display *display); /* fine on a zeroed struct */

/* The same placement on a picture whose longer side has at most `longest` pixels; 0: any. */
sal_placement sal_placement_within(const sal_placement *placement, int64_t longest);

/* What is drawn on: the picture as 8-bit RGB, of the size that its placement says, with the alpha and the depth that
 * preprocess says; it may be NULL. Where the picture is that already,
 * *out stays empty: draw on the picture itself. Errors: LIMIT, MEMORY. */
sal_status sal_shown_make(sal_picture *out, const sal_picture *picture, const sal_placement *placement,
                          const sal_preprocess *preprocess);

/* How maps are coloured: what is asked for, with the defaults. contours may be NULL; more than there may be are
 * refused by sal_look_check. over_picture: 0: colours alone; figures have those of the overlay all over, so
 * that their bar is of both. */
typedef struct sal_look {
    sal_colormap colormap;
    sal_blend blend;
    double alpha;
    sal_normalize normalize;
    const double *contours;
    int contour_count;
} sal_look;
sal_overlay_style sal_look_style(const sal_look *look, int over_picture);
/* What is wrong with it, in the numbers that were given. Error: ARGUMENT. */
sal_status sal_look_check(const sal_look *look);

/* Before the first picture of a job: what its options say of figures. Errors: ARGUMENT, UNSUPPORTED (there is no font).
 */
sal_status sal_figure_check(const sal_explain_options *options);

/* What a figure shows of a map, but for its title and note. shown: 8-bit RGB; name: over the picture. All borrowed. */
sal_figure_style sal_figure_style_of(const sal_display *display, const sal_overlay_style *style,
                                     sal_normalize normalize, const char *name);

/* The line above a figure. picture, model: names of files, without folders; sigma: of the
 * map, in its pixels. Error: MEMORY. */
sal_status sal_title_write(char *title, size_t size, const char *picture, const char *model,
                           const sal_attribution_info *attribution, double sigma);

enum { SAL_NOTE_SIZE = 256, SAL_TITLE_SIZE = 1024 };

/* The line below a figure, of a model with so many outputs, 0: several, and of a
 * method. Error: MEMORY. */
sal_status sal_note_write(char *note, size_t size, const sal_figure_facts *facts, int64_t outputs, const char *method);

#endif
