#include "figure/page_svg.h"

#include "image/encode.h"

#include "base/memory_file.h"

#include <stdlib.h>
#include <string.h>

static void put_escaped(FILE *to, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        switch (text[i]) {
        case '<': fputs("&lt;", to); break;
        case '>': fputs("&gt;", to); break;
        case '&': fputs("&amp;", to); break;
        default: fputc(text[i], to); break;
        }
}

static void put_color(FILE *to, const uint8_t color[3])
{
    fprintf(to, "fill=\"#%02x%02x%02x\"", (unsigned)color[0], (unsigned)color[1], (unsigned)color[2]);
}

sal_status sal_svg_begin(FILE *to, int64_t width, int64_t height, const char *title)
{
    fprintf(to,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"%lld\" "
            "height=\"%lld\" viewBox=\"0 0 %lld %lld\">\n<title>",
            (long long)width, (long long)height, (long long)width, (long long)height);
    put_escaped(to, title, strlen(title));
    fputs("</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n", to);
    return SAL_OK;
}

void sal_svg_end(FILE *to)
{
    fputs("</svg>\n", to);
}

void sal_svg_box(FILE *to, double x, double y, double width, double height, const uint8_t color[3])
{
    fprintf(to, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" ", x, y, width, height);
    put_color(to, color);
    fputs("/>\n", to);
}

static void put_base64(FILE *to, const unsigned char *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        const size_t left = size - i;
        const unsigned word =
            (unsigned)bytes[i] << 16 | (left > 1 ? (unsigned)bytes[i + 1] << 8 : 0) | (left > 2 ? bytes[i + 2] : 0u);
        fputc(digits[word >> 18], to);
        fputc(digits[word >> 12 & 63], to);
        fputc(left > 1 ? digits[word >> 6 & 63] : '=', to);
        fputc(left > 2 ? digits[word & 63] : '=', to);
    }
}

sal_status sal_svg_picture(FILE *to, double x, double y, const sal_picture *picture)
{
    sal_status st = SAL_OK;
    sal_memory_file file = {0};
    void *bytes = NULL;
    size_t size = 0;
    TRY(sal_memory_file_open(&file));
    st = sal_png_put(file.stream, picture, "a picture of a drawing");
    st = sal_memory_file_close(&bytes, &size, &file, st);
    if (st != SAL_OK)
        goto done;
    fprintf(to,
            "<image x=\"%.2f\" y=\"%.2f\" width=\"%lld\" height=\"%lld\" preserveAspectRatio=\"none\" "
            "xlink:href=\"data:image/png;base64,",
            x, y, (long long)picture->width, (long long)picture->height);
    put_base64(to, bytes, size);
    fputs("\"/>\n", to);
done:
    free(bytes);
    return st;
}

static void put_path(FILE *to, const cairo_path_t *path)
{
    for (int i = 0; i < path->num_data; i += path->data[i].header.length) {
        const cairo_path_data_t *d = &path->data[i];
        switch (d->header.type) {
        case CAIRO_PATH_MOVE_TO: fprintf(to, "M%.2f %.2f", d[1].point.x, d[1].point.y); break;
        case CAIRO_PATH_LINE_TO: fprintf(to, "L%.2f %.2f", d[1].point.x, d[1].point.y); break;
        case CAIRO_PATH_CURVE_TO:
            fprintf(to, "C%.2f %.2f %.2f %.2f %.2f %.2f", d[1].point.x, d[1].point.y, d[2].point.x, d[2].point.y,
                    d[3].point.x, d[3].point.y);
            break;
        case CAIRO_PATH_CLOSE_PATH: fputc('Z', to); break;
        }
    }
}

sal_status sal_svg_line(FILE *to, cairo_t *scratch, const sal_line *line, double x, double y, const sal_page_text *how)
{
    sal_status st = SAL_OK;
    cairo_path_t *path = NULL;
    cairo_new_path(scratch);
    for (size_t k = 0; k < line->count; k++) {
        cairo_set_scaled_font(scratch, line->runs[k].font);
        cairo_glyph_path(scratch, line->runs[k].glyphs, line->runs[k].glyph_count);
    }
    path = cairo_copy_path(scratch);
    TRY(sal_cairo_check(path->status));
    TRY(sal_cairo_check(cairo_status(scratch)));
    fprintf(to, "<g transform=\"translate(%.2f %.2f)%s\" ", x, y, how->upward ? " rotate(-90)" : "");
    put_color(to, how->color);
    fputs("><path d=\"", to);
    put_path(to, path);
    fprintf(to,
            "\"/><text font-family=\"DejaVu Sans, sans-serif\" font-size=\"%.2f\"%s textLength=\"%.2f\" "
            "lengthAdjust=\"spacingAndGlyphs\" fill-opacity=\"0\" xml:space=\"preserve\">",
            how->size, how->bold ? " font-weight=\"bold\"" : "", line->width);
    put_escaped(to, line->text, strlen(line->text));
    fputs("</text></g>\n", to);
done:
    cairo_path_destroy(path);
    return st;
}
