#include "figure/line.h"

#include "base/memory.h"
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Characters ---------------------------------------------------------- */

#define REPLACEMENT "\xef\xbf\xbd"
#define DOTS "\xe2\x80\xa6"

/* As sal_utf8_read, and 0 also of one that moves the cursor and shows nothing. */
static size_t character_at(uint32_t *character, const char *text)
{
    uint32_t value;
    const size_t size = sal_utf8_read(&value, text);
    if (size == 0)
        return 0;
    if ((value >= 0xfdd0 && value < 0xfdf0) || (value & 0xfffe) == 0xfffe) /* none of Unicode's characters */
        return 0;
    if (value < 0x20 || (value >= 0x7f && value < 0xa0) || (value >= 0x2028 && value < 0x202f) ||
        (value >= 0x2066 && value < 0x206a)) /* these turn the direction of what comes after them */
        return 0;
    *character = value;
    return size;
}

/* The text with a sign for each byte that cannot be shown. */
static sal_status make_clean(char **out, const char *text)
{
    const size_t length = strlen(text), mark = strlen(REPLACEMENT);
    size_t used = 0;
    char *clean = malloc(mark * length + 1);
    if (!clean)
        return sal_fail_memory(mark * length + 1, "a text");
    for (const char *at = text; *at;) {
        uint32_t character;
        const size_t size = character_at(&character, at);
        memcpy(clean + used, size ? at : REPLACEMENT, size ? size : mark);
        used += size ? size : mark;
        at += size ? size : 1;
    }
    clean[used] = '\0';
    *out = clean;
    return SAL_OK;
}

static size_t count_characters(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

static const char *skip(const char *text, size_t characters)
{
    for (; characters; characters--)
        do
            text++;
        while (((unsigned char)*text & 0xc0) == 0x80);
    return text;
}

/* So many characters of it, from both ends. */
static sal_status shorten(char **out, const char *text, size_t kept)
{
    const size_t all = count_characters(text), tail = kept / 2;
    const char *front_end = skip(text, kept - tail), *back = skip(text, all - tail);
    const size_t front = (size_t)(front_end - text), size = front + strlen(DOTS) + strlen(back) + 1;
    *out = malloc(size);
    if (!*out)
        return sal_fail_memory(size, "a text");
    snprintf(*out, size, "%.*s" DOTS "%s", (int)front, text, back);
    return SAL_OK;
}

/* ---- Runs ---------------------------------------------------------------- */

cairo_font_options_t *sal_line_options(void)
{
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    return options;
}

static sal_status scale_font(cairo_scaled_font_t **out, cairo_font_face_t *face, double size)
{
    sal_status st = SAL_OK;
    cairo_matrix_t font, page;
    cairo_font_options_t *options = sal_line_options();
    cairo_matrix_init_scale(&font, size, size);
    cairo_matrix_init_identity(&page);
    TRY(sal_cairo_check(cairo_font_options_status(options)));
    *out = cairo_scaled_font_create(face, &font, &page, options);
    st = sal_cairo_check(cairo_scaled_font_status(*out));
done:
    cairo_font_options_destroy(options);
    return st;
}

static sal_status add_run(sal_line *l, cairo_font_face_t *face, double size, const char *text, size_t bytes)
{
    sal_status st = SAL_OK;
    cairo_text_extents_t extents;
    TRY(sal_grow(&l->runs, &l->room, l->count + 1, sizeof *l->runs, "a text"));
    sal_line_run *run = &l->runs[l->count++];
    run->text = text;
    run->size = (int)bytes;
    TRY(scale_font(&run->font, face, size));
    TRY(sal_cairo_check(cairo_scaled_font_text_to_glyphs(run->font, l->width, 0, text, run->size, &run->glyphs,
                                                         &run->glyph_count, &run->clusters, &run->cluster_count,
                                                         &run->flags)));
    cairo_scaled_font_glyph_extents(run->font, run->glyphs, run->glyph_count, &extents);
    TRY(sal_cairo_check(cairo_scaled_font_status(run->font)));
    l->width += extents.x_advance;
done:
    return st;
}

/* Of clean text, which the line takes. */
static sal_status layout(sal_line *l, sal_fonts *fonts, char *text, double size, int bold)
{
    sal_status st = SAL_OK;
    cairo_font_face_t *face = NULL, *next;
    const char *begin = text;
    uint32_t character = 0;
    l->text = text;
    for (const char *at = text; *at;) {
        const size_t bytes = character_at(&character, at);
        TRY(sal_fonts_find(&next, fonts, bold, character));
        if (face && next != face) {
            TRY(add_run(l, face, size, begin, (size_t)(at - begin)));
            begin = at;
        }
        face = next;
        at += bytes;
    }
    if (face)
        st = add_run(l, face, size, begin, strlen(begin));
done:
    return st;
}

void sal_line_clear(sal_line *l)
{
    for (size_t k = 0; k < l->count; k++) {
        cairo_glyph_free(l->runs[k].glyphs);
        cairo_text_cluster_free(l->runs[k].clusters);
        cairo_scaled_font_destroy(l->runs[k].font);
    }
    free(l->runs);
    free(l->text);
    memset(l, 0, sizeof *l);
}

/* The most characters that fit, by halves. */
static sal_status fit(sal_line *l, sal_fonts *fonts, double size, int bold, double room)
{
    sal_status st = SAL_OK;
    char *whole = l->text, *part;
    size_t low = 0, high = count_characters(whole);
    l->text = NULL;
    sal_line_clear(l);
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        TRY(shorten(&part, whole, middle));
        TRY(layout(l, fonts, part, size, bold));
        *(l->width <= room ? &low : &high) = middle;
        sal_line_clear(l);
    }
    TRY(shorten(&part, whole, low));
    st = layout(l, fonts, part, size, bold);
done:
    free(whole);
    return st;
}

sal_status sal_line_make(sal_line *out, sal_fonts *fonts, const char *text, double size, int bold, double room)
{
    sal_status st = SAL_OK;
    char *clean = NULL;
    memset(out, 0, sizeof *out);
    TRY(make_clean(&clean, text));
    TRY(layout(out, fonts, clean, size, bold));
    if (room > 0 && out->width > room)
        st = fit(out, fonts, size, bold, room);
done:
    if (st != SAL_OK)
        sal_line_clear(out);
    return st;
}
