/* Pictures brought to the size of a figure's panel. The source is read once, row
 * by row: each row is narrowed and added to the one or two (or, when enlarging,
 * several) rows of the result that it touches, so a huge picture costs no memory. */
#include "base/memory.h"
#include "map/map.h"

typedef struct resize_axis {
    int64_t count;  /* outputs */
    int64_t room;   /* weights kept per output */
    int64_t *first; /* source index of an output's first weight */
    int64_t *size;  /* and how many it has */
    float *weights;
} resize_axis;

static void axis_clear(resize_axis *a)
{
    sal_free(a->first);
    sal_free(a->size);
    sal_free(a->weights);
}

/* Triangle around each output's centre, as wide as one output where that is more than one source pixel. */
static sal_status axis_make(resize_axis *a, int64_t outputs, int64_t inputs)
{
    sal_status st = SAL_OK;
    double scale = (double)inputs / (double)outputs;
    double support = scale > 1.0 ? scale : 1.0;
    size_t count;
    a->count = outputs;
    a->room = 2 * (int64_t)ceil(support) + 1;
    TRY(sal_size_mul(&count, (size_t)outputs, (size_t)a->room, "resize weights"));
    TRY(sal_alloc(&a->first, (size_t)outputs, sizeof *a->first, "resize table"));
    TRY(sal_alloc(&a->size, (size_t)outputs, sizeof *a->size, "resize table"));
    TRY(sal_alloc(&a->weights, count, sizeof *a->weights, "resize weights"));
    for (int64_t i = 0; i < outputs; i++) {
        double centre = ((double)i + 0.5) * scale, sum = 0.0;
        int64_t low = (int64_t)fmax(centre - support + 0.5, 0.0);
        int64_t high = (int64_t)fmin(centre + support + 0.5, (double)inputs);
        a->first[i] = low;
        a->size[i] = high - low;
        for (int64_t j = low; j < high; j++)
            sum += fmax(1.0 - fabs((double)j + 0.5 - centre) / support, 0.0);
        for (int64_t j = low; j < high; j++)
            a->weights[i * a->room + j - low] =
                (float)(fmax(1.0 - fabs((double)j + 0.5 - centre) / support, 0.0) / sum);
    }
done:
    return st;
}

static void narrow_row(float *out, const uint8_t *rgb, const resize_axis *columns)
{
    for (int64_t x = 0; x < columns->count; x++) {
        const float *w = columns->weights + x * columns->room;
        const uint8_t *in = rgb + 3 * columns->first[x];
        float red = 0.0f, green = 0.0f, blue = 0.0f;
        for (int64_t k = 0; k < columns->size[x]; k++) {
            red += w[k] * (float)in[3 * k];
            green += w[k] * (float)in[3 * k + 1];
            blue += w[k] * (float)in[3 * k + 2];
        }
        out[3 * x] = red;
        out[3 * x + 1] = green;
        out[3 * x + 2] = blue;
    }
}

/* Adds source row y to the outputs whose triangle it lies in; outputs before
 * *done_before end above y. */
static void add_row(float *sums, int64_t *done_before, const float *row, const resize_axis *rows, int64_t y,
                    int64_t row_length)
{
    while (*done_before < rows->count && rows->first[*done_before] + rows->size[*done_before] <= y)
        ++*done_before;
    for (int64_t i = *done_before; i < rows->count && rows->first[i] <= y; i++) {
        float w = rows->weights[i * rows->room + y - rows->first[i]];
        for (int64_t x = 0; x < row_length; x++)
            sums[i * row_length + x] += w * row[x];
    }
}

sal_status sal_resize_rgb(sal_picture *out, const sal_picture *picture, int64_t height, int64_t width)
{
    sal_status st = SAL_OK;
    resize_axis rows = {0}, columns = {0};
    uint8_t *source_row = NULL, *rgb = NULL;
    float *row = NULL, *sums = NULL;
    size_t row_length;
    int64_t done_before = 0;
    *out = (sal_picture){0};
    if (height < 1 || width < 1 || picture->height < 1 || picture->width < 1 || picture->channels < 1)
        return sal_fail(SAL_ERROR_ARGUMENT, "picture of %lld x %lld pixels cannot become %lld x %lld",
                        (long long)picture->width, (long long)picture->height, (long long)width, (long long)height);
    TRY(sal_size_mul(&row_length, (size_t)width, 3, "resized picture"));
    TRY(axis_make(&rows, height, picture->height));
    TRY(axis_make(&columns, width, picture->width));
    TRY(sal_alloc(&source_row, (size_t)picture->width, 3, "picture row"));
    TRY(sal_alloc(&row, row_length, sizeof *row, "resized row"));
    TRY(sal_alloc(&sums, (size_t)height, row_length * sizeof *sums, "resized picture"));
    TRY(sal_alloc(&rgb, (size_t)height, row_length, "resized picture"));
    sal_shade shade = sal_shade_of(picture);
    for (int64_t y = 0; y < picture->height; y++) {
        sal_shade_row(source_row, picture, &shade, y);
        narrow_row(row, source_row, &columns);
        add_row(sums, &done_before, row, &rows, y, (int64_t)row_length);
    }
    for (size_t i = 0; i < (size_t)height * row_length; i++)
        rgb[i] = sums[i] >= 254.5f ? 255 : (uint8_t)(sums[i] + 0.5f);
    *out = (sal_picture){height, width, 3, SAL_SAMPLE_U8, rgb};
    rgb = NULL;
done:
    sal_free(rgb);
    sal_free(sums);
    sal_free(row);
    sal_free(source_row);
    axis_clear(&rows);
    axis_clear(&columns);
    return st;
}
