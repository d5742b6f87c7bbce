#include "sweep/draw.h"

#include "base/memory.h"
#include "base/plain_locale.h"
#include "base/samples.h"
#include "base/utf8.h"
#include "image/image.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

sal_status sal_display_make(sal_display *d, const float *map, size_t pixels, sal_normalize normalize)
{
    sal_status st = SAL_OK;
    sal_map_stats stats;
    *d = (sal_display){.values = map, .high = 1.0};
    if (normalize == SAL_NORMALIZE_SIGNED)
        d->low = -1.0;
    if (normalize != SAL_NORMALIZE_NONE)
        return SAL_OK;
    TRY(sal_alloc(&d->owned, pixels, sizeof(float), "a map"));
    memcpy(d->owned, map, pixels * sizeof(float));
    sal_map_normalize(d->owned, &stats, (int64_t)pixels, SAL_NORMALIZE_MINMAX);
    d->values = d->owned;
    d->low = (double)stats.low;
    d->high = (double)stats.peak;
done:
    return st;
}

void sal_display_clear(sal_display *d)
{
    sal_free(d->owned);
    memset(d, 0, sizeof *d);
}

sal_overlay_style sal_look_style(const sal_look *l, int over_picture)
{
    const int is_signed = l->normalize == SAL_NORMALIZE_SIGNED;
    sal_overlay_style style = {.colormap = sal_colormap_choose(l->colormap, l->blend, over_picture, is_signed),
                               .blend = l->blend,
                               .alpha = sal_alpha_choose(l->alpha, l->blend),
                               .is_signed = is_signed,
                               .contour_count = l->contours ? l->contour_count : 0};
    /* Of a count that is refused nobody knows how many there are. */
    for (int i = 0; i < style.contour_count && style.contour_count <= SAL_CONTOURS_MAX; i++)
        style.contours[i] = (float)l->contours[i];
    return style;
}

sal_status sal_look_check(const sal_look *l)
{
    const int count = l->contours && l->contour_count <= SAL_CONTOURS_MAX ? l->contour_count : 0;
    for (int i = 0; i < count; i++)
        if (!((float)l->contours[i] > 0.0f && (float)l->contours[i] < 1.0f))
            return sal_fail(SAL_ERROR_ARGUMENT, "contour %.15g is not above 0 and below 1 as a float", l->contours[i]);
    const sal_overlay_style style = sal_look_style(l, 1);
    return sal_overlay_style_check(&style);
}

sal_placement sal_placement_within(const sal_placement *p, int64_t longest)
{
    const int64_t longer = p->source_height > p->source_width ? p->source_height : p->source_width;
    if (longest <= 0 || longer <= longest)
        return *p;
    const double by = (double)longest / (double)longer;
    const int64_t height = (int64_t)((double)p->source_height * by + 0.5);
    const int64_t width = (int64_t)((double)p->source_width * by + 0.5);
    return sal_placement_resized(p, height < 1 ? 1 : height, width < 1 ? 1 : width);
}

/* Whether it is 8-bit RGB of all 8 bits. */
static int is_shown_as_it_is(const sal_picture *picture, const sal_preprocess *preprocess)
{
    return picture->type == SAL_SAMPLE_U8 && picture->channels == 3 && sal_white_of(picture, preprocess) == 255.0;
}

sal_status sal_shown_make(sal_picture *out, const sal_picture *picture, const sal_placement *placement,
                          const sal_preprocess *preprocess)
{
    sal_status st = SAL_OK;
    sal_picture rgb = {0};
    const sal_picture *shown = picture;
    memset(out, 0, sizeof *out);
    if (!is_shown_as_it_is(picture, preprocess)) {
        TRY(sal_picture_to_rgb8(&rgb, picture, preprocess));
        shown = &rgb;
    }
    if (shown->height != placement->source_height || shown->width != placement->source_width) {
        TRY(sal_resize_rgb(out, shown, placement->source_height, placement->source_width));
    } else {
        *out = rgb;
        rgb.samples = NULL;
    }
done:
    sal_picture_clear(&rgb);
    return st;
}

sal_status sal_figure_check(const sal_explain_options *o)
{
    if (!o->figure)
        return SAL_OK;
    if (o->figure_format < 0 || o->figure_format > SAL_PAGE_PDF)
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown format %lld of a figure", (long long)o->figure_format);
    if (o->panel_size != 0 && (o->panel_size < SAL_FIGURE_PANEL_LEAST || o->panel_size > SAL_FIGURE_PANEL_MOST))
        return sal_fail(SAL_ERROR_ARGUMENT, "panels of %lld pixels: give %d to %d", (long long)o->panel_size,
                        SAL_FIGURE_PANEL_LEAST, SAL_FIGURE_PANEL_MOST);
    return sal_figure_check_fonts();
}

sal_figure_style sal_figure_style_of(const sal_display *d, const sal_overlay_style *style, sal_normalize normalize,
                                     const char *name)
{
    const char *counts = normalize == SAL_NORMALIZE_NONE     ? "attribution, not normalised"
                         : normalize == SAL_NORMALIZE_SIGNED ? "relative attribution, signed"
                                                             : "relative attribution";
    return (sal_figure_style){
        .style = *style, .captions = {name, "saliency"}, .bar_label = counts, .bar_low = d->low, .bar_high = d->high};
}

/* ---- The note ------------------------------------------------------------ */

/* A line that grows until its room is full. */
typedef struct line {
    char *text;
    size_t size;
    size_t used;
} line;

__attribute__((format(printf, 2, 3))) static void add(line *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(l->text + l->used, l->size - l->used, format, args);
    va_end(args);
    l->used += n > 0 ? (size_t)n : 0;
    if (l->used < l->size)
        return;
    sal_utf8_trim(l->text);
    l->used = strlen(l->text);
    l->size = l->used + 1; /* nothing more comes behind what was cut */
}

/* "output 6", or "age_6 (output 6)". */
static void add_output(line *l, const sal_figure_facts *f)
{
    if (f->class_name)
        add(l, "%.*s (output %lld)", sal_utf8_head(f->class_name, 80), f->class_name, (long long)f->target);
    else
        add(l, "output %lld", (long long)f->target);
}

static void write_note(line *l, const sal_figure_facts *f, int64_t outputs, const char *method)
{
    const int has_probability = isfinite(f->probability);
    const char *unit = f->asked.score == SAL_SCORE_PROBABILITY ? "probability" : "logit";
    const double score = (double)f->score;
    if (f->target < 0 && outputs < 1)
        add(l, "mean of all outputs  %.5g", score);
    else if (f->target < 0)
        add(l, "mean of %lld outputs  %.5g", (long long)outputs, score);
    else if (outputs != 1 || f->asked.kind == SAL_TARGET_MARGIN) {
        add_output(l, f);
        add(l, "%s   %s %.5g", f->asked.kind == SAL_TARGET_MARGIN ? " ahead by" : "", unit, score);
    } else
        add(l, "%s %.5g", has_probability ? unit : "value", score);
    if (has_probability && f->asked.score == SAL_SCORE_LOGIT)
        add(l, "   probability %.3g", (double)f->probability);
    if (f->label && *f->label)
        add(l, "   label %.*s", sal_utf8_head(f->label, 80), f->label);
    if (f->stats.flat)
        add(l, "   flat map");
    else
        add(l, "   %speak %s %.3g", sal_map_is_faint(&f->stats) ? "faint " : "",
            strcmp(method, "gradient") == 0 ? "gradient" : method, (double)f->stats.peak);
    if (f->input)
        add(l, "   input as %s", f->input);
}

sal_status sal_note_write(char *note, size_t size, const sal_figure_facts *facts, int64_t outputs, const char *method)
{
    sal_status st = SAL_OK;
    sal_plain_locale plain = {0};
    line l = {note, size, 0};
    TRY(sal_plain_locale_enter(&plain));
    write_note(&l, facts, outputs, method);
    sal_plain_locale_leave(&plain);
done:
    return st;
}

/* ---- The title ----------------------------------------------------------- */

sal_status sal_title_write(char *title, size_t size, const char *picture, const char *model,
                           const sal_attribution_info *attribution, double sigma)
{
    sal_status st = SAL_OK;
    sal_plain_locale plain = {0};
    line l = {title, size, 0};
    TRY(sal_plain_locale_enter(&plain));
    add(&l, "%s: %s, %s", picture, model, attribution->method);
    if (attribution->layer)
        add(&l, " at %s", attribution->layer);
    if (sigma > 0.0)
        add(&l, ", \xcf\x83 %.3g px", sigma);
    sal_plain_locale_leave(&plain);
done:
    return st;
}
