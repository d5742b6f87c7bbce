/* Overlays, figures and their notes in memory, for callers: everything is checked here, and drawn as the pipeline does.
 */
#include "sweep/draw.h"

#include "base/memory.h"
#include "base/samples.h"
#include "base/struct.h"
#include "image/preprocess.h"

#include <math.h>
#include <string.h>

/* What is asked for, made ready to be drawn. */
typedef struct drawing {
    sal_overlay_options options;
    sal_overlay_style style;
    sal_placement placement; /* on what is shown */
    sal_display display;
    sal_picture owned;        /* what is shown, where it is not the caller's picture itself */
    const sal_picture *shown; /* 8-bit RGB, or NULL */
} drawing;

static void drawing_clear(drawing *d)
{
    sal_display_clear(&d->display);
    sal_picture_clear(&d->owned);
}

static sal_status read_options(drawing *d, const sal_overlay_options *given, int over_picture)
{
    sal_status st = SAL_OK;
    sal_overlay_options *o = &d->options;
    *o = (sal_overlay_options)SAL_OVERLAY_OPTIONS_INIT;
    TRY(sal_struct_read(o, sizeof *o, given, "sal_overlay_options"));
    if ((unsigned)o->normalize > SAL_NORMALIZE_KERAS_VIS)
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown normalisation %d", (int)o->normalize);
    if (o->preprocess)
        TRY(sal_preprocess_check_samples(o->preprocess));
    if (o->longest < 0)
        return sal_fail(SAL_ERROR_ARGUMENT, "an overlay of at most %lld pixels: give 0 for any size",
                        (long long)o->longest);
    const sal_look look = {o->colormap, o->blend, o->alpha, o->normalize, o->contours, o->contour_count};
    TRY(sal_look_check(&look));
    d->style = sal_look_style(&look, over_picture);
done:
    return st;
}

static sal_status check_map(size_t *pixels, const float *map, const sal_placement *p)
{
    sal_status st = SAL_OK;
    TRY(sal_placement_check(p));
    TRY(sal_size_mul(pixels, (size_t)p->net_height, (size_t)p->net_width, "a map"));
    for (size_t i = 0; i < *pixels; i++)
        if (!isfinite(map[i]))
            return sal_fail(SAL_ERROR_NUMERIC, "the map is NaN or infinite at row %lld, column %lld",
                            (long long)(i / (size_t)p->net_width), (long long)(i % (size_t)p->net_width));
done:
    return st;
}

static sal_status check_picture(const sal_picture *picture, const sal_placement *p)
{
    if (picture->height != p->source_height || picture->width != p->source_width)
        return sal_fail(SAL_ERROR_ARGUMENT,
                        "the picture has %lld x %lld pixels, and its placement is of one with %lld x %lld",
                        (long long)picture->width, (long long)picture->height, (long long)p->source_width,
                        (long long)p->source_height);
    if (picture->height < 1 || picture->width < 1 || picture->channels < 1 || !picture->samples)
        return sal_fail(SAL_ERROR_ARGUMENT, "the picture is empty");
    if (!sal_picture_is_sound(picture))
        return sal_fail(SAL_ERROR_ARGUMENT, "the picture has %lld channels of the meaning %d, which does not fit",
                        (long long)picture->channels, (int)picture->meaning);
    if (sal_sample_size(picture->type) == 0)
        return sal_fail(SAL_ERROR_ARGUMENT, "the picture has samples of the unknown type %d", (int)picture->type);
    return SAL_OK;
}

/* picture may be NULL: colours alone. */
static sal_status prepare(drawing *d, const sal_picture *picture, const float *map, const sal_placement *placement,
                          const sal_overlay_options *options)
{
    sal_status st = SAL_OK;
    size_t pixels;
    TRY(read_options(d, options, picture != NULL));
    TRY(check_map(&pixels, map, placement));
    if (picture)
        TRY(check_picture(picture, placement));
    TRY(sal_display_make(&d->display, map, pixels, d->options.normalize));
    d->placement = sal_placement_within(placement, d->options.longest);
    if (picture) {
        TRY(sal_shown_make(&d->owned, picture, &d->placement, d->options.preprocess));
        d->shown = d->owned.samples ? &d->owned : picture;
    }
done:
    return st;
}

sal_status sal_overlay_make(sal_picture *out, const sal_picture *picture, const float *map,
                            const sal_placement *placement, const sal_overlay_options *options)
{
    sal_status st = SAL_OK;
    drawing d = {0};
    TRY(sal_require(out, "out", __func__));
    memset(out, 0, sizeof *out);
    TRY(sal_require(map, "map", __func__));
    TRY(sal_require(placement, "placement", __func__));
    TRY(prepare(&d, picture, map, placement, options));
    TRY(sal_overlay_draw(out, d.shown, d.display.values, &d.placement, &d.style));
done:
    drawing_clear(&d);
    return st;
}

/* As a picture, or as the bytes of a file: whichever is not NULL. */
static sal_status make_figure(sal_picture *out, void **bytes, size_t *size, sal_page_format format,
                              const sal_picture *picture, const float *map, const sal_placement *placement,
                              const sal_figure_options *options)
{
    sal_status st = SAL_OK;
    drawing d = {0};
    sal_figure_options o = SAL_FIGURE_OPTIONS_INIT;
    TRY(sal_struct_read(&o, sizeof o, options, "sal_figure_options"));
    TRY(prepare(&d, picture, map, placement, o.overlay));
    if (d.options.longest != 0) {
        st = sal_fail(SAL_ERROR_ARGUMENT, "longest is %lld: a figure has a size of its own, leave it at 0",
                      (long long)d.options.longest);
        goto done;
    }
    const sal_figure_content content = {.picture = d.shown, .map = d.display.values, .placement = &d.placement};
    sal_figure_style style = sal_figure_style_of(&d.display, &d.style, d.options.normalize, o.name);
    style.title = o.title;
    style.note = o.note;
    style.panel = o.panel_size;
    st = out ? sal_figure_draw(out, &content, &style) : sal_figure_put(bytes, size, format, &content, &style);
done:
    drawing_clear(&d);
    return st;
}

sal_status sal_figure_make(sal_picture *out, const sal_picture *picture, const float *map,
                           const sal_placement *placement, const sal_figure_options *options)
{
    sal_status st = SAL_OK;
    TRY(sal_require(out, "out", __func__));
    memset(out, 0, sizeof *out);
    TRY(sal_require(picture, "picture", __func__));
    TRY(sal_require(map, "map", __func__));
    TRY(sal_require(placement, "placement", __func__));
    st = make_figure(out, NULL, NULL, SAL_PAGE_PNG, picture, map, placement, options);
done:
    return st;
}

sal_status sal_figure_encode(void **bytes, size_t *size, sal_page_format format, const sal_picture *picture,
                             const float *map, const sal_placement *placement, const sal_figure_options *options)
{
    sal_status st = SAL_OK;
    TRY(sal_require(bytes, "bytes", __func__));
    *bytes = NULL;
    TRY(sal_require(size, "size", __func__));
    *size = 0;
    TRY(sal_require(picture, "picture", __func__));
    TRY(sal_require(map, "map", __func__));
    TRY(sal_require(placement, "placement", __func__));
    if ((unsigned)format > SAL_PAGE_PDF)
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown format %d of a figure", (int)format);
    st = make_figure(NULL, bytes, size, format, picture, map, placement, options);
done:
    return st;
}

sal_status sal_figure_title(char *text, size_t size, const sal_engine *engine, const char *picture, const char *model,
                            const sal_map_options *map)
{
    sal_status st = SAL_OK;
    sal_attribution_info attribution = SAL_ATTRIBUTION_INFO_INIT;
    sal_model_info info = SAL_MODEL_INFO_INIT;
    sal_map_options o = SAL_MAP_OPTIONS_INIT;
    TRY(sal_require(text, "text", __func__));
    if (size == 0)
        return sal_fail(SAL_ERROR_ARGUMENT, "%s: there is no room for a text", __func__);
    text[0] = '\0';
    TRY(sal_require(engine, "engine", __func__));
    TRY(sal_require(picture, "picture", __func__));
    TRY(sal_struct_read(&o, sizeof o, map, "sal_map_options"));
    TRY(sal_engine_get_attribution(&attribution, engine));
    TRY(sal_model_get_info(&info, sal_engine_model(engine)));
    sal_map_options_resolve(&o, &attribution, info.height, info.width);
    const char *slash = strrchr(info.path, '/');
    st = sal_title_write(text, size, picture, model ? model : slash ? slash + 1 : info.path, &attribution, o.sigma);
done:
    return st;
}

sal_status sal_figure_note(char *text, size_t size, const sal_engine *engine, const sal_figure_facts *facts)
{
    sal_status st = SAL_OK;
    sal_figure_facts f = {0};
    sal_attribution_info attribution = SAL_ATTRIBUTION_INFO_INIT;
    sal_model_info model = SAL_MODEL_INFO_INIT;
    TRY(sal_require(text, "text", __func__));
    if (size == 0)
        return sal_fail(SAL_ERROR_ARGUMENT, "%s: there is no room for a text", __func__);
    text[0] = '\0';
    TRY(sal_require(engine, "engine", __func__));
    TRY(sal_require(facts, "facts", __func__));
    TRY(sal_struct_read(&f, sizeof f, facts, "sal_figure_facts"));
    TRY(sal_engine_get_attribution(&attribution, engine));
    TRY(sal_model_get_info(&model, sal_engine_model(engine)));
    st = sal_note_write(text, size, &f, model.outputs, attribution.method);
done:
    return st;
}
