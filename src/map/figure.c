/* One picture that tells the story: the picture, its map with a colour bar, and
 * the overlay, side by side on white. */
#include "base/memory.h"
#include "base/plain_locale.h"
#include "map/map.h"

#include <stdio.h>
#include <string.h>

enum {
    PANEL_HEIGHT = 448,
    PANEL_MAX_WIDTH = 896, /* wider pictures are lower instead */
    PANEL_MIN_SIDE = 16,   /* so that a picture of one row is still seen */
    MARGIN = 24,
    GAP = 28,
    MAGNIFY = 2,   /* of all text */
    TEXT_GAP = 8,  /* captions to panels; their descenders' rows come on top */
    NOTE_GAP = 20, /* panels to note */
    BAR_GAP = 12,
    BAR_WIDTH = 18,
    BAR_MIN_HEIGHT = 72, /* room for three labels */
    TICK = 5,
    TICK_GAP = 6,
    LABELS = 3,
    LABEL_SIZE = 16
};

static const uint8_t ink[3] = {38, 38, 38};
static const uint8_t frame[3] = {150, 150, 150};

/* Where everything goes, in pixels of the figure. */
typedef struct figure_layout {
    int64_t height;
    int64_t width;
    int64_t panel_height;
    int64_t panel_width;
    int64_t top;     /* of the panels */
    int64_t left[3]; /* of picture, map, overlay */
    int64_t bar;     /* left of the colour bar */
    int64_t bar_height;
    int64_t slot; /* width that a caption may take */
    char labels[LABELS][LABEL_SIZE];
} figure_layout;

static int64_t at_least(int64_t value, int64_t least)
{
    return value > least ? value : least;
}

static void size_panels(figure_layout *l, int64_t height, int64_t width)
{
    double ratio = (double)width / (double)height;
    l->panel_height = PANEL_HEIGHT;
    l->panel_width = at_least((int64_t)fmin(PANEL_HEIGHT * ratio + 0.5, PANEL_MAX_WIDTH + 1.0), PANEL_MIN_SIDE);
    if (l->panel_width > PANEL_MAX_WIDTH) {
        l->panel_width = PANEL_MAX_WIDTH;
        l->panel_height = at_least((int64_t)(PANEL_MAX_WIDTH / ratio + 0.5), PANEL_MIN_SIDE);
    }
}

/* The numbers beside the colour bar, with points whatever the locale. */
static sal_status write_labels(figure_layout *l, const sal_figure_style *o)
{
    sal_status st = SAL_OK;
    sal_plain_locale plain = {0};
    const double low = o->bar_low, high = o->bar_low == 0.0 && o->bar_high == 0.0 ? 1.0 : o->bar_high;
    TRY(sal_plain_locale_enter(&plain));
    for (int i = 0; i < LABELS; i++)
        snprintf(l->labels[i], LABEL_SIZE, "%.3g", low + (high - low) * (i / (LABELS - 1.0)));
    sal_plain_locale_leave(&plain);
done:
    return st;
}

static void layout_make(figure_layout *l, const sal_placement *placement, const sal_figure_style *o)
{
    int64_t label_width = 0, text = MAGNIFY * SAL_FONT_HEIGHT;
    for (int i = 0; i < LABELS; i++)
        label_width = at_least(label_width, sal_text_width(l->labels[i], MAGNIFY));
    size_panels(l, placement->source_height, placement->source_width);
    l->bar_height = at_least(l->panel_height, BAR_MIN_HEIGHT);
    /* Narrow pictures still have captions: their panels stand in wider slots. */
    l->slot = at_least(l->panel_width, sal_text_width("picture", MAGNIFY));
    int64_t inset = (l->slot - l->panel_width) / 2;
    int64_t legend = BAR_GAP + BAR_WIDTH + TICK + TICK_GAP + label_width;
    l->left[0] = MARGIN + inset;
    l->left[1] = l->left[0] + l->slot + GAP;
    l->left[2] = l->left[1] + l->slot + legend + GAP;
    l->bar = l->left[1] + l->panel_width + BAR_GAP;
    l->width = l->left[2] - inset + l->slot + MARGIN;
    l->top = MARGIN + text + TEXT_GAP;
    l->height = l->top + l->bar_height + MARGIN + (o->note && *o->note ? NOTE_GAP + MAGNIFY * SAL_FONT_ASCENT : 0);
}

static void fill(sal_picture *canvas, int64_t x, int64_t y, int64_t width, int64_t height, const uint8_t color[3])
{
    for (int64_t row = y; row < y + height; row++)
        for (int64_t column = x; column < x + width; column++)
            memcpy((uint8_t *)canvas->samples + 3 * (row * canvas->width + column), color, 3);
}

/* A line of one pixel around a box: keeps white pictures apart from the page. */
static void outline(sal_picture *canvas, int64_t x, int64_t y, int64_t width, int64_t height)
{
    fill(canvas, x - 1, y - 1, width + 2, 1, frame);
    fill(canvas, x - 1, y + height, width + 2, 1, frame);
    fill(canvas, x - 1, y, 1, height, frame);
    fill(canvas, x + width, y, 1, height, frame);
}

static void paste(sal_picture *canvas, int64_t x, int64_t y, const sal_picture *panel)
{
    size_t row_bytes = (size_t)panel->width * 3;
    for (int64_t row = 0; row < panel->height; row++)
        memcpy((uint8_t *)canvas->samples + 3 * ((y + row) * canvas->width + x),
               (const uint8_t *)panel->samples + (size_t)row * row_bytes, row_bytes);
    outline(canvas, x, y, panel->width, panel->height);
}

/* Text centred on a place that is `room` wide; what is too long ends in dots. */
static sal_status draw_centred(sal_picture *canvas, int64_t x, int64_t y, int64_t room, const char *text)
{
    sal_status st = SAL_OK;
    char *fitted = NULL;
    size_t length = strlen(text);
    TRY(sal_alloc(&fitted, length + 1, 1, "caption"));
    memcpy(fitted, text, length + 1);
    while (length > 3 && sal_text_width(fitted, MAGNIFY) > room) {
        length--;
        fitted[length] = '\0';
        memcpy(fitted + length - 3, "...", 3);
    }
    sal_text_draw(canvas, x + (room - sal_text_width(fitted, MAGNIFY)) / 2, y, fitted, MAGNIFY, ink);
done:
    sal_free(fitted);
    return st;
}

static void draw_bar(sal_picture *canvas, const figure_layout *l, const uint8_t (*table)[3])
{
    for (int64_t y = 0; y < l->bar_height; y++) {
        float value = (float)(l->bar_height - 1 - y) / (float)(l->bar_height - 1);
        fill(canvas, l->bar, l->top + y, BAR_WIDTH, 1, table[sal_color_index(value)]);
    }
    outline(canvas, l->bar, l->top, BAR_WIDTH, l->bar_height);
    for (int i = 0; i < LABELS; i++) {
        int64_t y = l->top + (l->bar_height - 1) * (LABELS - 1 - i) / (LABELS - 1);
        int64_t text_top = y - MAGNIFY * SAL_FONT_ASCENT / 2;
        fill(canvas, l->bar + BAR_WIDTH, y, TICK, 1, ink);
        sal_text_draw(canvas, l->bar + BAR_WIDTH + TICK + TICK_GAP, text_top, l->labels[i], MAGNIFY, ink);
    }
}

static sal_status canvas_make(sal_picture *canvas, const figure_layout *l)
{
    uint8_t *rgb = NULL;
    size_t row_bytes = (size_t)l->width * 3;
    sal_status st = sal_alloc(&rgb, (size_t)l->height, row_bytes, "figure");
    if (st != SAL_OK)
        return st;
    memset(rgb, 255, (size_t)l->height * row_bytes);
    *canvas =
        (sal_picture){.height = l->height, .width = l->width, .channels = 3, .type = SAL_SAMPLE_U8, .samples = rgb};
    return SAL_OK;
}

static sal_status draw_texts(sal_picture *canvas, const figure_layout *l, const sal_figure_style *o)
{
    static const char *const defaults[3] = {"picture", "map", "overlay"};
    sal_status st = SAL_OK;
    for (int i = 0; i < 3; i++) {
        int64_t x = l->left[i] - (l->slot - l->panel_width) / 2;
        TRY(draw_centred(canvas, x, MARGIN, l->slot, o->captions[i] ? o->captions[i] : defaults[i]));
    }
    if (o->note && *o->note)
        TRY(draw_centred(canvas, MARGIN, l->top + l->bar_height + NOTE_GAP, l->width - 2 * MARGIN, o->note));
done:
    return st;
}

sal_status sal_figure_draw(sal_picture *out, const sal_picture *picture, const float *map,
                           const sal_placement *placement, const sal_figure_style *options)
{
    sal_status st = SAL_OK;
    sal_picture canvas = {0}, panels[3] = {{0}};
    figure_layout l = {0};
    *out = (sal_picture){0};
    if (picture->height != placement->source_height || picture->width != placement->source_width ||
        picture->height < 1 || picture->width < 1)
        return sal_fail(SAL_ERROR_ARGUMENT, "picture of %lld x %lld pixels, but its placement says %lld x %lld",
                        (long long)picture->width, (long long)picture->height, (long long)placement->source_width,
                        (long long)placement->source_height);
    TRY(write_labels(&l, options));
    layout_make(&l, placement, options);
    sal_placement panel = sal_placement_resized(placement, l.panel_height, l.panel_width);
    TRY(sal_resize_rgb(&panels[0], picture, l.panel_height, l.panel_width));
    TRY(sal_overlay_draw(&panels[1], NULL, map, &panel, &options->style));
    TRY(sal_overlay_draw(&panels[2], &panels[0], map, &panel, &options->style));
    TRY(canvas_make(&canvas, &l));
    for (int i = 0; i < 3; i++)
        paste(&canvas, l.left[i], l.top, &panels[i]);
    draw_bar(&canvas, &l, sal_colormap_table(options->style.colormap));
    TRY(draw_texts(&canvas, &l, options));
    *out = canvas;
    canvas.samples = NULL;
done:
    sal_free(canvas.samples);
    for (int i = 0; i < 3; i++)
        sal_free(panels[i].samples);
    return st;
}
