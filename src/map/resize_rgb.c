/* Pictures brought to another size. The source is read once, row by row: each row is added to the one or two (or, when
 * enlarging, several) rows of the result that it touches, which are narrowed when they are whole, so a huge picture
 * costs no memory. */
#include "base/memory.h"
#include "base/shade.h"
#include "map/map.h"

#include <string.h>

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

/* Rows of the result that the source's next row may belong to. */
static int64_t rows_open(const resize_axis *rows, int64_t inputs)
{
    const double scale = (double)inputs / (double)rows->count;
    const int64_t open = (int64_t)ceil(2.0 * fmax(scale, 1.0) / scale) + 2;
    return open < rows->count ? open : rows->count;
}

static void set_row(float *restrict sums, const uint8_t *restrict row, float weight, int64_t length)
{
    for (int64_t i = 0; i < length; i++)
        sums[i] = weight * (float)row[i];
}

static void add_row(float *restrict sums, const uint8_t *restrict row, float weight, int64_t length)
{
    for (int64_t i = 0; i < length; i++)
        sums[i] += weight * (float)row[i];
}

/* A pixel, and what lies behind it: four lanes cost what one does. */
typedef float lanes __attribute__((vector_size(16)));

static uint8_t level(float sum)
{
    return sum >= 254.5f ? 255 : (uint8_t)(sum + 0.5f);
}

/* sums: one number more than the source's row has. */
static void narrow_row(uint8_t *restrict rgb, const float *restrict sums, const resize_axis *columns)
{
    for (int64_t x = 0; x < columns->count; x++) {
        const float *weights = columns->weights + x * columns->room;
        const float *in = sums + 3 * columns->first[x];
        lanes pixel = {0.0f, 0.0f, 0.0f, 0.0f};
        for (int64_t k = 0; k < columns->size[x]; k++) {
            lanes next;
            memcpy(&next, in + 3 * k, sizeof next);
            pixel += weights[k] * next;
        }
        for (int c = 0; c < 3; c++)
            rgb[3 * x + c] = level(pixel[c]);
    }
}

/* What is resized, and how far it is. */
typedef struct resizing {
    resize_axis rows;
    resize_axis columns;
    int64_t open;       /* rows of the result that are summed at a time; row i is number i % open of them */
    int64_t begun;      /* rows of the result that have a sum, */
    int64_t done;       /* and those that are whole */
    int64_t row_length; /* of the source, numbers */
    float *sums;        /* (open, row_length + 1) */
    uint8_t *shaded;    /* a row of the source as 8-bit RGB, where it is not that */
} resizing;

static sal_status resizing_open(resizing *r, const sal_picture *picture, int64_t height, int64_t width)
{
    sal_status st = SAL_OK;
    size_t length, count;
    TRY(sal_size_mul(&length, (size_t)picture->width, 3, "picture row"));
    r->row_length = (int64_t)length;
    TRY(axis_make(&r->rows, height, picture->height));
    TRY(axis_make(&r->columns, width, picture->width));
    r->open = rows_open(&r->rows, picture->height);
    TRY(sal_size_mul(&count, (size_t)r->open, length + 1, "resized rows"));
    TRY(sal_alloc(&r->sums, count, sizeof *r->sums, "resized rows"));
    if (picture->type != SAL_SAMPLE_U8 || picture->channels != 3)
        TRY(sal_alloc(&r->shaded, length, 1, "picture row"));
done:
    return st;
}

static void resizing_close(resizing *r)
{
    axis_clear(&r->rows);
    axis_clear(&r->columns);
    sal_free(r->sums);
    sal_free(r->shaded);
}

/* Row y of the source. */
static void resize_row(uint8_t *rgb, resizing *r, const uint8_t *row, int64_t y)
{
    const resize_axis *rows = &r->rows;
    for (; r->begun < rows->count && rows->first[r->begun] <= y; r->begun++) {
    }
    for (int64_t i = r->done; i < r->begun; i++) {
        const int64_t from = y - rows->first[i];
        float *sums = r->sums + i % r->open * (r->row_length + 1);
        if (from < rows->size[i])
            (from == 0 ? set_row : add_row)(sums, row, rows->weights[i * rows->room + from], r->row_length);
    }
    for (; r->done < r->begun && rows->first[r->done] + rows->size[r->done] <= y + 1; r->done++)
        narrow_row(rgb + 3 * r->done * r->columns.count, r->sums + r->done % r->open * (r->row_length + 1),
                   &r->columns);
}

sal_status sal_resize_rgb(sal_picture *out, const sal_picture *picture, int64_t height, int64_t width)
{
    sal_status st = SAL_OK;
    resizing r = {.open = 0};
    uint8_t *rgb = NULL;
    size_t row_length;
    *out = (sal_picture){0};
    if (height < 1 || width < 1 || picture->height < 1 || picture->width < 1 || picture->channels < 1)
        return sal_fail(SAL_ERROR_ARGUMENT, "picture of %lld x %lld pixels cannot become %lld x %lld",
                        (long long)picture->width, (long long)picture->height, (long long)width, (long long)height);
    TRY(sal_size_mul(&row_length, (size_t)width, 3, "resized picture"));
    TRY(resizing_open(&r, picture, height, width));
    TRY(sal_alloc(&rgb, (size_t)height, row_length, "resized picture"));
    const sal_shade shade = sal_shade_of(picture, NULL);
    for (int64_t y = 0; y < picture->height; y++) {
        if (r.shaded)
            sal_shade_row(r.shaded, picture, &shade, y);
        resize_row(rgb, &r, r.shaded ? r.shaded : (const uint8_t *)picture->samples + y * r.row_length, y);
    }
    *out = (sal_picture){.height = height, .width = width, .channels = 3, .type = SAL_SAMPLE_U8, .samples = rgb};
    rgb = NULL;
done:
    sal_free(rgb);
    resizing_close(&r);
    return st;
}
