/* A contact sheet on a page: a grid of pictures, each with its name, what was predicted, and what it is sorted by. */
#include "report/sheet.h"

#include "base/memory.h"
#include "base/utf8.h"
#include "figure/page.h"
#include "map/map.h"
#include "results/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MARGIN = 32,
    TITLE_SIZE = 22,
    TITLE_HEIGHT = 52, /* with the space below it */
    GAP = 20,
    TEXT_SIZE = 14,
    TEXT_LINE = 19,
    TEXT_TOP = 18 /* from the panel to the first line's foot */
};

static const uint8_t ink[3] = {38, 38, 38}, faded[3] = {105, 105, 105}, line[3] = {150, 150, 150},
                     empty[3] = {242, 242, 242};

typedef struct layout {
    int64_t columns;
    int64_t rows;
    int64_t panel;
    int64_t lines; /* of text below each panel */
} layout;

static double left_of(const layout *l, size_t cell)
{
    return (double)(MARGIN + (int64_t)cell % l->columns * (l->panel + GAP));
}

static int64_t cell_height(const layout *l)
{
    return l->panel + TEXT_TOP + l->lines * TEXT_LINE;
}

static double top_of(const layout *l, size_t cell)
{
    const int64_t row = (int64_t)cell / l->columns;
    return (double)(MARGIN + TITLE_HEIGHT + row * cell_height(l));
}

/* The longest side fills the panel, whatever that makes of small pictures. */
static sal_status fit(sal_picture *out, const sal_picture *picture, int64_t panel)
{
    const int64_t longest = picture->height > picture->width ? picture->height : picture->width;
    const double by = (double)panel / (double)longest;
    const int64_t height = (int64_t)((double)picture->height * by + 0.5);
    const int64_t width = (int64_t)((double)picture->width * by + 0.5);
    return sal_resize_rgb(out, picture, height < 1 ? 1 : height, width < 1 ? 1 : width);
}

/* A map alone, in the colours that `explain` gives it. */
static sal_status read_map(sal_picture *out, const sheet *s, const sheet_cell *cell, int64_t panel)
{
    sal_status st = SAL_OK;
    sal_picture colours = {0};
    sal_overlay_options o = SAL_OVERLAY_OPTIONS_INIT;
    float *map = NULL;
    int64_t height, width;
    o.normalize = s->run->normalize;
    TRY(sal_kept_map(&map, &height, &width, s->run, cell->file, &s->limits));
    const sal_placement itself = {height, width, height, width, .scale_y = 1, .scale_x = 1};
    TRY(sal_overlay_make(&colours, NULL, map, &itself, &o));
    st = fit(out, &colours, panel);
done:
    sal_picture_clear(&colours);
    sal_free(map);
    return st;
}

static sal_status read_panel(sal_picture *out, const sheet *s, const sheet_cell *cell, int64_t panel)
{
    sal_status st = SAL_OK;
    sal_picture picture = {0};
    if (cell->is_map)
        return read_map(out, s, cell, panel);
    TRY(sal_kept_picture(&picture, s->run, cell->file, &s->limits));
    st = fit(out, &picture, panel);
done:
    sal_picture_clear(&picture);
    return st;
}

/* What cannot be shown leaves its place empty, and says why. Memory and what is wrong with the drawing end the sheet.
 */
static sal_status draw_panel(sal_page *page, size_t *failed, const sheet *s, const layout *l, size_t at)
{
    const sheet_cell *cell = &s->cells[at];
    const double x = left_of(l, at), y = top_of(l, at), side = (double)l->panel;
    sal_picture panel = {0};
    sal_status st = read_panel(&panel, s, cell, l->panel);
    if (st == SAL_ERROR_MEMORY)
        return st;
    if (st != SAL_OK) {
        const sal_page_text text = {
            .x = x + side / 2, .y = y + side / 2, .size = TEXT_SIZE, .room = side - 16, .align = 0.5, .color = faded};
        ++*failed;
        if (s->options->map_failed)
            s->options->map_failed(s->options->context, cell->file, sal_last_error());
        TRY(sal_page_box(page, x, y, side, side, empty));
        TRY(sal_page_write(page, "cannot be read", &text));
        goto done;
    }
    const int64_t right = (l->panel - panel.width) / 2, down = (l->panel - panel.height) / 2;
    TRY(sal_page_picture(page, x + (double)right, y + (double)down, &panel));
    TRY(sal_page_frame(page, x + (double)right, y + (double)down, (double)panel.width, (double)panel.height, line));
done:
    sal_picture_clear(&panel);
    return st;
}

/* The next line, which may be an empty one: what is alike stands at the same height. */
static sal_status draw_line(sal_page *page, sal_page_text *how, const char *text)
{
    const sal_status st = text && *text ? sal_page_write(page, text, how) : SAL_OK;
    how->y += TEXT_LINE;
    return st;
}

static sal_status draw_texts(sal_page *page, const sheet *s, const layout *l, size_t at)
{
    sal_status st = SAL_OK;
    const sheet_cell *cell = &s->cells[at];
    sal_page_text how = {.x = left_of(l, at),
                         .y = top_of(l, at) + (double)(l->panel + TEXT_TOP),
                         .size = TEXT_SIZE,
                         .room = (double)l->panel,
                         .bold = 1,
                         .color = ink};
    char key[512];
    TRY(draw_line(page, &how, cell->name));
    how.bold = 0;
    TRY(draw_line(page, &how, cell->prediction));
    if (s->label)
        TRY(draw_line(page, &how, cell->label));
    if (s->has_targets)
        TRY(draw_line(page, &how, cell->target));
    sheet_key_print(key, sizeof key, s, &cell->key);
    how.color = faded;
    st = draw_line(page, &how, key);
done:
    return st;
}

/* The last part of the path, of "." the folder's own. *out: free with free(). */
static sal_status name_folder(char **out, const char *path)
{
    sal_status st = SAL_OK;
    char *text = NULL;
    TRY(sal_strdup(&text, path));
    for (size_t n = strlen(text); n > 1 && text[n - 1] == '/'; n--)
        text[n - 1] = '\0';
    const char *base = sal_names_base(text);
    char *real = strcmp(base, ".") == 0 || strcmp(base, "..") == 0 ? realpath(text, NULL) : NULL;
    st = sal_strdup(out, real ? sal_names_base(real) : base);
    free(real);
done:
    free(text);
    return st;
}

/* "night: age.onnx, integrated; the 36 of 800 maps with the highest error". */
static sal_status make_title(char *title, size_t size, const sheet *s, size_t count)
{
    sal_status st = SAL_OK;
    char *method = NULL, *folder = NULL, order[160] = "";
    const char *sort = s->options->sort;
    TRY(sal_kept_setting(&method, s->run, "method"));
    TRY(name_folder(&folder, s->run->folder.path));
    if (sort)
        snprintf(order, sizeof order, ", sorted by %.*s%s", sal_utf8_head(sort, 100), sort,
                 s->options->reverse ? " in reverse" : "");
    snprintf(title, size, "%s: %s%s%s, %zu of %zu maps%s", folder, s->run->model ? sal_names_base(s->run->model) : "",
             s->run->model ? ", " : "", method ? method : "gradient", count, s->count, order);
    sal_utf8_trim(title);
done:
    free(method);
    free(folder);
    return st;
}

static sal_status draw_all(sal_page *page, size_t *failed, const sheet *s, const layout *l, size_t count,
                           const char *title)
{
    sal_status st = SAL_OK;
    const sal_page_text text = {.x = MARGIN,
                                .y = MARGIN + TITLE_SIZE,
                                .size = TITLE_SIZE,
                                .room = (double)(l->columns * (l->panel + GAP) - GAP),
                                .bold = 1,
                                .color = ink};
    TRY(sal_page_write(page, title, &text));
    for (size_t at = 0; at < count; at++) {
        TRY(sheet_go_on(s, at));
        TRY(draw_panel(page, failed, s, l, at));
        TRY(draw_texts(page, s, l, at));
    }
done:
    return st;
}

sal_status sheet_draw(void **bytes, size_t *size, size_t *failed, const sheet *s, size_t count)
{
    sal_status st = SAL_OK;
    sal_fonts *fonts = NULL;
    sal_page *page = NULL;
    char title[1024];
    layout l = {.columns = s->options->columns,
                .panel = s->options->panel_size,
                .lines = 2 + (s->label != NULL) + s->has_targets + (s->options->sort != NULL)};
    l.columns = (int64_t)count < l.columns ? (int64_t)count : l.columns;
    l.rows = ((int64_t)count + l.columns - 1) / l.columns;
    *failed = 0;
    TRY(make_title(title, sizeof title, s, count));
    TRY(sal_fonts_open(&fonts));
    TRY(sal_page_open(&page, s->options->format, fonts, 2 * MARGIN + l.columns * (l.panel + GAP) - GAP,
                      MARGIN + TITLE_HEIGHT + l.rows * cell_height(&l) + MARGIN / 2, title));
    TRY(draw_all(page, failed, s, &l, count, title));
    st = sal_page_encode(bytes, size, page);
done:
    sal_page_close(page);
    sal_fonts_close(fonts);
    return st;
}
