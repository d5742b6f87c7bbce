#include "figure/page.h"

#include "base/memory.h"
#include "base/memory_file.h"
#include "figure/line.h"
#include "figure/page_svg.h"
#include "image/encode.h"

#include <cairo-pdf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double points_of_pixel = 72.0 / 200.0;

struct sal_page {
    sal_page_format format;
    sal_fonts *fonts;
    cairo_surface_t *surface; /* of SVG only for outlines of letters */
    cairo_t *cr;
    sal_memory_file file; /* of SVG and PDF */
};

static cairo_status_t write_pdf(void *file, const unsigned char *bytes, unsigned size)
{
    return fwrite(bytes, 1, size, file) == size ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

static sal_status begin_pdf(sal_page *p, int64_t width, int64_t height, const char *title)
{
    sal_status st = SAL_OK;
    sal_line line;
    TRY(sal_line_make(&line, p->fonts, title, 12, 0, 0)); /* cairo wants clean UTF-8 */
    TRY(sal_memory_file_open(&p->file));
    p->surface = cairo_pdf_surface_create_for_stream(write_pdf, p->file.stream, (double)width * points_of_pixel,
                                                     (double)height * points_of_pixel);
    /* Of no moment: a drawing that is made again has the same bytes. */
    cairo_pdf_surface_set_metadata(p->surface, CAIRO_PDF_METADATA_CREATE_DATE, "");
    cairo_pdf_surface_set_metadata(p->surface, CAIRO_PDF_METADATA_TITLE, line.text);
done:
    sal_line_clear(&line);
    return st;
}

static sal_status begin(sal_page *p, int64_t width, int64_t height, const char *title)
{
    sal_status st = SAL_OK;
    sal_line line = {0};
    cairo_font_options_t *options;
    switch (p->format) {
    case SAL_PAGE_PNG: p->surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)width, (int)height); break;
    case SAL_PAGE_SVG:
        p->surface = cairo_recording_surface_create(CAIRO_CONTENT_COLOR_ALPHA, NULL); /* as large as it takes */
        TRY(sal_memory_file_open(&p->file));
        TRY(sal_line_make(&line, p->fonts, title, 12, 0, 0));
        TRY(sal_svg_begin(p->file.stream, width, height, line.text));
        break;
    case SAL_PAGE_PDF: TRY(begin_pdf(p, width, height, title)); break;
    }
    p->cr = cairo_create(p->surface);
    if (p->format == SAL_PAGE_PDF)
        cairo_scale(p->cr, points_of_pixel, points_of_pixel);
    options = sal_line_options();
    cairo_set_font_options(p->cr, options);
    cairo_font_options_destroy(options);
    cairo_set_source_rgb(p->cr, 1, 1, 1);
    cairo_paint(p->cr);
    st = sal_cairo_check(cairo_status(p->cr));
done:
    sal_line_clear(&line);
    return st;
}

sal_status sal_page_open(sal_page **out, sal_page_format format, sal_fonts *fonts, int64_t width, int64_t height,
                         const char *title)
{
    sal_status st = SAL_OK;
    sal_page *p = NULL;
    *out = NULL;
    if (width < 1 || height < 1 || width > SAL_PAGE_LONGEST || height > SAL_PAGE_LONGEST)
        return sal_fail(SAL_ERROR_LIMIT,
                        "a drawing of %lld x %lld pixels, more than %d a side: ask for smaller panels, or fewer "
                        "columns or rows",
                        (long long)width, (long long)height, SAL_PAGE_LONGEST);
    TRY(sal_alloc(&p, 1, sizeof *p, "a drawing"));
    p->format = format;
    p->fonts = fonts;
    TRY(begin(p, width, height, title));
    *out = p;
    p = NULL;
done:
    sal_page_close(p);
    return st;
}

static void set_color(cairo_t *cr, const uint8_t color[3])
{
    cairo_set_source_rgb(cr, color[0] / 255.0, color[1] / 255.0, color[2] / 255.0);
}

sal_status sal_page_box(sal_page *p, double x, double y, double width, double height, const uint8_t color[3])
{
    if (p->format == SAL_PAGE_SVG) {
        sal_svg_box(p->file.stream, x, y, width, height, color);
        return SAL_OK;
    }
    set_color(p->cr, color);
    cairo_rectangle(p->cr, x, y, width, height);
    cairo_fill(p->cr);
    return sal_cairo_check(cairo_status(p->cr));
}

sal_status sal_page_frame(sal_page *p, double x, double y, double width, double height, const uint8_t color[3])
{
    sal_status st = SAL_OK;
    TRY(sal_page_box(p, x - 1, y - 1, width + 2, 1, color));
    TRY(sal_page_box(p, x - 1, y + height, width + 2, 1, color));
    TRY(sal_page_box(p, x - 1, y, 1, height, color));
    TRY(sal_page_box(p, x + width, y, 1, height, color));
done:
    return st;
}

/* cairo's pixels are words of 0x00RRGGBB. */
static sal_status surface_of(cairo_surface_t **out, const sal_picture *picture)
{
    cairo_surface_t *s = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)picture->width, (int)picture->height);
    const sal_status st = sal_cairo_check(cairo_surface_status(s));
    if (st != SAL_OK) {
        cairo_surface_destroy(s);
        return st;
    }
    unsigned char *rows = cairo_image_surface_get_data(s);
    const int stride = cairo_image_surface_get_stride(s);
    const uint8_t *rgb = picture->samples;
    for (int64_t y = 0; y < picture->height; y++)
        for (int64_t x = 0; x < picture->width; x++, rgb += 3) {
            const uint32_t word = (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2];
            memcpy(rows + y * stride + 4 * x, &word, sizeof word);
        }
    cairo_surface_mark_dirty(s);
    *out = s;
    return SAL_OK;
}

sal_status sal_page_picture(sal_page *p, double x, double y, const sal_picture *picture)
{
    sal_status st = SAL_OK;
    cairo_surface_t *s = NULL;
    if (p->format == SAL_PAGE_SVG)
        return sal_svg_picture(p->file.stream, x, y, picture);
    TRY(surface_of(&s, picture));
    cairo_set_source_surface(p->cr, s, x, y);
    cairo_rectangle(p->cr, x, y, (double)picture->width, (double)picture->height);
    cairo_fill(p->cr);
    st = sal_cairo_check(cairo_status(p->cr));
done:
    cairo_surface_destroy(s);
    return st;
}

static sal_status show(sal_page *p, const sal_line *line, double x, double y, const sal_page_text *how)
{
    cairo_t *cr = p->cr;
    if (p->format == SAL_PAGE_SVG)
        return sal_svg_line(p->file.stream, cr, line, x, y, how);
    cairo_save(cr);
    set_color(cr, how->color);
    cairo_translate(cr, x, y);
    if (how->upward)
        cairo_rotate(cr, -M_PI_2);
    for (size_t k = 0; k < line->count; k++) {
        const sal_line_run *r = &line->runs[k];
        cairo_set_font_face(cr, cairo_scaled_font_get_font_face(r->font));
        cairo_set_font_size(cr, how->size);
        cairo_show_text_glyphs(cr, r->text, r->size, r->glyphs, r->glyph_count, r->clusters, r->cluster_count,
                               r->flags);
    }
    cairo_restore(cr);
    return sal_cairo_check(cairo_status(cr));
}

sal_status sal_page_write(sal_page *p, const char *text, const sal_page_text *how)
{
    sal_status st = SAL_OK;
    sal_line line;
    TRY(sal_line_make(&line, p->fonts, text, how->size, how->bold, how->room));
    const double before = how->align * line.width;
    st = show(p, &line, how->upward ? how->x : how->x - before, how->upward ? how->y + before : how->y, how);
    sal_line_clear(&line);
done:
    return st;
}

sal_status sal_page_measure(double *width, sal_fonts *fonts, const char *text, double size, int bold)
{
    sal_line line;
    const sal_status st = sal_line_make(&line, fonts, text, size, bold, 0);
    *width = line.width;
    sal_line_clear(&line);
    return st;
}

sal_status sal_page_take(sal_picture *out, sal_page *p)
{
    sal_status st = SAL_OK;
    cairo_surface_flush(p->surface);
    const unsigned char *rows = cairo_image_surface_get_data(p->surface);
    const int stride = cairo_image_surface_get_stride(p->surface);
    TRY(sal_picture_new(out, cairo_image_surface_get_height(p->surface), cairo_image_surface_get_width(p->surface), 3,
                        SAL_SAMPLE_U8));
    uint8_t *rgb = out->samples;
    for (int64_t y = 0; y < out->height; y++)
        for (int64_t x = 0; x < out->width; x++, rgb += 3) {
            uint32_t word;
            memcpy(&word, rows + y * stride + 4 * x, sizeof word);
            rgb[0] = (uint8_t)(word >> 16);
            rgb[1] = (uint8_t)(word >> 8);
            rgb[2] = (uint8_t)word;
        }
done:
    return st;
}

static sal_status encode_png(void **bytes, size_t *size, sal_page *p)
{
    sal_status st = SAL_OK;
    sal_picture picture = {0};
    sal_memory_file file = {0};
    TRY(sal_page_take(&picture, p));
    TRY(sal_memory_file_open(&file));
    st = sal_png_put(file.stream, &picture, "a drawing");
done:
    sal_picture_clear(&picture);
    return sal_memory_file_close(bytes, size, &file, st);
}

sal_status sal_page_encode(void **bytes, size_t *size, sal_page *p)
{
    sal_status st = SAL_OK;
    *bytes = NULL;
    *size = 0;
    if (p->format == SAL_PAGE_PNG)
        return encode_png(bytes, size, p);
    if (p->format == SAL_PAGE_SVG) {
        sal_svg_end(p->file.stream);
    } else {
        cairo_surface_finish(p->surface);
        st = sal_cairo_check(cairo_surface_status(p->surface));
    }
    return sal_memory_file_close(bytes, size, &p->file, st);
}

void sal_page_close(sal_page *p)
{
    void *bytes = NULL;
    size_t size = 0;
    if (!p)
        return;
    cairo_destroy(p->cr);
    cairo_surface_destroy(p->surface); /* which writes to the file, if that was not ended */
    (void)sal_memory_file_close(&bytes, &size, &p->file, SAL_ERROR_CANCELLED);
    sal_free(p);
}
