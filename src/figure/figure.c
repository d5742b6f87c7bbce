#include "figure/figure.h"

#include "base/plain_locale.h"
#include "figure/page.h"
#include "image/image.h"

#include <stdio.h>
#include <string.h>

enum {
    PANEL_MIN_SIDE = 16,  /* so that a picture of one row is still seen */
    SLOT_MIN_WIDTH = 140, /* room for a caption */
    MARGIN = 24,
    GAP = 28,
    TITLE_SIZE = 20,
    TITLE_HEIGHT = 36,
    CAPTION_SIZE = 18,
    CAPTION_HEIGHT = 28,
    NOTE_SIZE = 18,
    NOTE_HEIGHT = 40,
    BAR_GAP = 12,
    BAR_WIDTH = 18,
    BAR_MIN_HEIGHT = 72, /* room for three labels */
    TICK = 5,
    TICK_GAP = 6,
    LABELS = 3,
    LABEL_SIZE = 16,
    BAR_LABEL_WIDTH = 26,
    LABEL_BYTES = 16
};

static const uint8_t ink[3] = {38, 38, 38}, frame[3] = {150, 150, 150};

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
    int64_t label_width;
    char labels[LABELS][LABEL_BYTES]; /* beside the bar, from its foot */
} figure_layout;

static int64_t at_least(int64_t value, int64_t least)
{
    return value > least ? value : least;
}

static void size_panels(figure_layout *l, int64_t height, int64_t width, int64_t panel)
{
    const double ratio = (double)width / (double)height;
    const int64_t most = 2 * panel;
    l->panel_height = panel;
    l->panel_width = at_least((int64_t)fmin((double)panel * ratio + 0.5, (double)most + 1.0), PANEL_MIN_SIDE);
    if (l->panel_width > most) {
        l->panel_width = most;
        l->panel_height = at_least((int64_t)((double)most / ratio + 0.5), PANEL_MIN_SIDE);
    }
}

static int is_given(const char *text)
{
    return text && *text;
}

/* The numbers beside the colour bar. */
static sal_status write_labels(figure_layout *l, sal_fonts *fonts, const sal_figure_style *o)
{
    sal_status st = SAL_OK;
    const double low = o->bar_low, high = o->bar_low == 0.0 && o->bar_high == 0.0 ? 1.0 : o->bar_high;
    for (int i = 0; i < LABELS; i++) {
        double width;
        snprintf(l->labels[i], LABEL_BYTES, "%.3g", low + (high - low) * (i / (LABELS - 1.0)));
        TRY(sal_page_measure(&width, fonts, l->labels[i], LABEL_SIZE, 0));
        l->label_width = at_least(l->label_width, (int64_t)ceil(width));
    }
done:
    return st;
}

static sal_status layout_make(figure_layout *l, sal_fonts *fonts, const sal_placement *placement,
                              const sal_figure_style *o)
{
    sal_status st = SAL_OK;
    TRY(write_labels(l, fonts, o));
    size_panels(l, placement->source_height, placement->source_width, o->panel ? o->panel : SAL_FIGURE_PANEL);
    l->bar_height = at_least(l->panel_height, BAR_MIN_HEIGHT);
    /* Narrow pictures still have captions: their panels stand in wider slots. */
    l->slot = at_least(l->panel_width, SLOT_MIN_WIDTH);
    const int64_t inset = (l->slot - l->panel_width) / 2;
    const int64_t legend =
        BAR_GAP + BAR_WIDTH + TICK + TICK_GAP + l->label_width + (is_given(o->bar_label) ? BAR_LABEL_WIDTH : 0);
    l->left[0] = MARGIN + inset;
    l->left[1] = l->left[0] + l->slot + GAP;
    l->left[2] = l->left[1] + l->slot + legend + GAP;
    l->bar = l->left[1] + l->panel_width + BAR_GAP;
    l->width = l->left[2] - inset + l->slot + MARGIN;
    l->top = MARGIN + (is_given(o->title) ? TITLE_HEIGHT : 0) + CAPTION_HEIGHT;
    l->height = l->top + l->bar_height + (is_given(o->note) ? NOTE_HEIGHT : 0) + MARGIN;
done:
    return st;
}

static sal_status draw_bar(sal_page *page, const figure_layout *l, const sal_figure_style *o)
{
    sal_status st = SAL_OK;
    const uint8_t(*table)[3] = sal_colormap_table(o->style.colormap);
    uint8_t *rows = NULL;
    sal_picture bar = {.height = l->bar_height, .width = BAR_WIDTH, .channels = 3, .type = SAL_SAMPLE_U8};
    TRY(sal_picture_new(&bar, l->bar_height, BAR_WIDTH, 3, SAL_SAMPLE_U8));
    rows = bar.samples;
    for (int64_t y = 0; y < l->bar_height; y++) {
        const float value = (float)(l->bar_height - 1 - y) / (float)(l->bar_height - 1);
        for (int64_t x = 0; x < BAR_WIDTH; x++, rows += 3)
            memcpy(rows, table[sal_color_index(value)], 3);
    }
    TRY(sal_page_picture(page, (double)l->bar, (double)l->top, &bar));
    st = sal_page_frame(page, (double)l->bar, (double)l->top, BAR_WIDTH, (double)l->bar_height, frame);
done:
    sal_picture_clear(&bar);
    return st;
}

/* The numbers beside the colour bar, and what they are. */
static sal_status draw_labels(sal_page *page, const figure_layout *l, const sal_figure_style *o)
{
    sal_status st = SAL_OK;
    const double ticks = (double)(l->bar + BAR_WIDTH);
    sal_page_text how = {.x = ticks + TICK + TICK_GAP, .size = LABEL_SIZE, .color = ink};
    for (int i = 0; i < LABELS; i++) {
        const int64_t row = l->top + (l->bar_height - 1) * (LABELS - 1 - i) / (LABELS - 1);
        const double y = (double)row;
        TRY(sal_page_box(page, ticks, y, TICK, 1, ink));
        how.y = y + LABEL_SIZE * 0.36; /* half of a digit */
        TRY(sal_page_write(page, l->labels[i], &how));
    }
    how.x += (double)(l->label_width + BAR_LABEL_WIDTH - 4);
    how.y = (double)l->top + (double)l->bar_height / 2;
    how.room = (double)l->bar_height;
    how.align = 0.5;
    how.upward = 1;
    if (is_given(o->bar_label))
        st = sal_page_write(page, o->bar_label, &how);
done:
    return st;
}

static sal_status draw_texts(sal_page *page, const figure_layout *l, const sal_figure_style *o)
{
    static const char *const defaults[3] = {"picture", "map", "overlay"};
    sal_status st = SAL_OK;
    sal_page_text how = {.y = (double)(l->top - 10), .size = CAPTION_SIZE, .align = 0.5, .color = ink};
    how.room = (double)l->slot;
    for (int i = 0; i < 3; i++) {
        how.x = (double)l->left[i] + (double)l->panel_width / 2;
        TRY(sal_page_write(page, o->captions[i] ? o->captions[i] : defaults[i], &how));
    }
    how = (sal_page_text){.x = MARGIN,
                          .y = MARGIN + TITLE_SIZE,
                          .size = TITLE_SIZE,
                          .room = (double)(l->width - 2 * MARGIN),
                          .bold = 1,
                          .color = ink};
    if (is_given(o->title))
        TRY(sal_page_write(page, o->title, &how));
    how.y = (double)(l->height - MARGIN - 4);
    how.size = NOTE_SIZE;
    how.bold = 0;
    if (is_given(o->note))
        st = sal_page_write(page, o->note, &how);
done:
    return st;
}

static sal_status draw_panels(sal_page *page, const figure_layout *l, const sal_figure_content *c,
                              const sal_figure_style *o)
{
    sal_status st = SAL_OK;
    sal_picture panels[3] = {{0}};
    const sal_placement panel = sal_placement_resized(c->placement, l->panel_height, l->panel_width);
    TRY(sal_resize_rgb(&panels[0], c->picture, l->panel_height, l->panel_width));
    TRY(sal_overlay_draw(&panels[1], NULL, c->map, &panel, &o->style));
    TRY(sal_overlay_draw(&panels[2], &panels[0], c->map, &panel, &o->style));
    for (int i = 0; i < 3; i++) {
        const double x = (double)l->left[i], y = (double)l->top;
        TRY(sal_page_picture(page, x, y, &panels[i]));
        TRY(sal_page_frame(page, x, y, (double)l->panel_width, (double)l->panel_height, frame));
    }
done:
    for (int i = 0; i < 3; i++)
        sal_picture_clear(&panels[i]);
    return st;
}

static sal_status check(const sal_figure_content *c, const sal_figure_style *o)
{
    const sal_picture *picture = c->picture;
    if (picture->height != c->placement->source_height || picture->width != c->placement->source_width ||
        picture->height < 1 || picture->width < 1)
        return sal_fail(SAL_ERROR_ARGUMENT, "picture of %lld x %lld pixels, but its placement says %lld x %lld",
                        (long long)picture->width, (long long)picture->height, (long long)c->placement->source_width,
                        (long long)c->placement->source_height);
    if (!sal_colormap_table(o->style.colormap))
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown colour map %d", (int)o->style.colormap);
    if (o->panel != 0 && (o->panel < SAL_FIGURE_PANEL_LEAST || o->panel > SAL_FIGURE_PANEL_MOST))
        return sal_fail(SAL_ERROR_ARGUMENT, "panels of %lld pixels: give %d to %d", (long long)o->panel,
                        SAL_FIGURE_PANEL_LEAST, SAL_FIGURE_PANEL_MOST);
    return SAL_OK;
}

/* The drawing, in a thread that writes numbers with points. */
static sal_status draw(sal_page **out, sal_fonts *fonts, sal_page_format format, const sal_figure_content *c,
                       const sal_figure_style *o)
{
    sal_status st = SAL_OK;
    figure_layout l = {0};
    TRY(layout_make(&l, fonts, c->placement, o));
    TRY(sal_page_open(out, format, fonts, l.width, l.height, is_given(o->title) ? o->title : "salmap"));
    TRY(draw_panels(*out, &l, c, o));
    TRY(draw_bar(*out, &l, o));
    TRY(draw_labels(*out, &l, o));
    st = draw_texts(*out, &l, o);
done:
    return st;
}

/* As a picture or as bytes, whichever is not NULL. */
static sal_status make(sal_picture *picture, void **bytes, size_t *size, sal_page_format format,
                       const sal_figure_content *c, const sal_figure_style *o)
{
    sal_status st = SAL_OK;
    sal_fonts *fonts = NULL;
    sal_page *page = NULL;
    sal_plain_locale plain = {0};
    TRY(check(c, o));
    TRY(sal_plain_locale_enter(&plain));
    TRY(sal_fonts_open(&fonts));
    TRY(draw(&page, fonts, format, c, o));
    st = picture ? sal_page_take(picture, page) : sal_page_encode(bytes, size, page);
done:
    sal_page_close(page);
    sal_fonts_close(fonts);
    if (plain.c)
        sal_plain_locale_leave(&plain);
    return st;
}

sal_status sal_figure_draw(sal_picture *out, const sal_figure_content *content, const sal_figure_style *style)
{
    *out = (sal_picture){0};
    return make(out, NULL, NULL, SAL_PAGE_PNG, content, style);
}

sal_status sal_figure_put(void **bytes, size_t *size, sal_page_format format, const sal_figure_content *content,
                          const sal_figure_style *style)
{
    *bytes = NULL;
    *size = 0;
    return make(NULL, bytes, size, format, content, style);
}

sal_status sal_figure_check_fonts(void)
{
    sal_fonts *fonts;
    const sal_status st = sal_fonts_open(&fonts);
    sal_fonts_close(fonts);
    return st;
}
