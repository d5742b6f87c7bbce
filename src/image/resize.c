#include "image/resize.h"

#include "base/memory.h"

#include <string.h>

/* One loop per sample type, plain enough for the compiler to vectorise. */
void sal_resize_add(float *restrict sum, const void *restrict samples, sal_sample_type type, float weight, size_t n)
{
    const unsigned char *u8 = samples;
    const uint16_t *u16 = samples;
    const float *f32 = samples;
    switch (type) {
    case SAL_SAMPLE_U8:
        for (size_t i = 0; i < n; i++)
            sum[i] += weight * (float)u8[i];
        break;
    case SAL_SAMPLE_U16:
        for (size_t i = 0; i < n; i++)
            sum[i] += weight * (float)u16[i];
        break;
    case SAL_SAMPLE_F32:
        for (size_t i = 0; i < n; i++)
            sum[i] += weight * f32[i];
        break;
    }
}

static inline void resize_row(float *restrict out, const float *restrict row, const sal_taps *taps, int64_t origin,
                              size_t channels)
{
    for (int64_t x = 0; x < taps->count; x++) {
        const float *weights = taps->weights + (size_t)x * taps->stride;
        const float *from = row + (size_t)(taps->first[x] - origin) * channels;
        for (size_t c = 0; c < channels; c++) {
            float sum = 0.0F;
            for (size_t i = 0; i < (size_t)taps->length[x]; i++)
                sum += weights[i] * from[i * channels + c];
            out[(size_t)x * channels + c] = sum;
        }
    }
}

void sal_resize_row(float *restrict out, const float *restrict row, const sal_taps *taps, int64_t origin,
                    size_t channels)
{
    switch (channels) { /* constants, so that strides are known */
    case 1: resize_row(out, row, taps, origin, 1); break;
    case 3: resize_row(out, row, taps, origin, 3); break;
    default: resize_row(out, row, taps, origin, channels); break;
    }
}

/* ---- In whole numbers --------------------------------------------------- */

void sal_resize8_clear(sal_resize8 *r)
{
    sal_free(r->row);
    sal_free(r->rows);
    sal_free(r->sum);
    memset(r, 0, sizeof *r);
}

sal_status sal_resize8_begin(sal_resize8 *r, const sal_taps *y, const sal_taps *x, size_t channels, sal_passes passes)
{
    sal_status st = SAL_OK;
    size_t n, wide;
    const int64_t last = x->count - 1;
    *r = (sal_resize8){.y = y, .x = x, .channels = channels, .passes = passes};
    r->column = x->first[0];
    r->columns = (size_t)(x->first[last] + x->length[last] - r->column);
    for (int64_t i = 0; i < y->count && passes != SAL_PASSES_ROWS_FIRST; i++)
        r->kept = y->length[i] > r->kept ? y->length[i] : r->kept;
    TRY(sal_size_mul(&wide, r->columns, channels, "a row of a picture"));
    TRY(sal_alloc(&r->row, wide, sizeof *r->row, "a row of a picture"));
    TRY(sal_size_mul(&n, (size_t)x->count, channels, "rows of a picture"));
    TRY(sal_alloc(&r->sum, n > wide ? n : wide, sizeof *r->sum, "a row of a picture"));
    TRY(sal_size_mul(&n, n, (size_t)r->kept, "rows of a picture"));
    TRY(sal_alloc(&r->rows, n, sizeof *r->rows, "rows of a picture"));
done:
    return st;
}

static inline int32_t to_8_bits(int32_t sum, int bits)
{
    const int32_t value = sum >> bits;
    return value < 0 ? 0 : value > 255 ? 255 : value;
}

/* The sums of a row's taps, from `start` on. */
static inline void sum_row(int32_t *restrict out, const unsigned char *restrict row, const sal_taps *taps,
                           int64_t origin, size_t channels, int32_t start)
{
    for (int64_t x = 0; x < taps->count; x++) {
        const int32_t *weights = taps->fixed + (size_t)x * taps->stride;
        const unsigned char *from = row + (size_t)(taps->first[x] - origin) * channels;
        for (size_t c = 0; c < channels; c++) {
            int32_t sum = start;
            for (size_t i = 0; i < (size_t)taps->length[x]; i++)
                sum += weights[i] * from[i * channels + c];
            out[(size_t)x * channels + c] = sum;
        }
    }
}

static int32_t *row_at(const sal_resize8 *r, int64_t y)
{
    return r->rows + (size_t)(y % r->kept) * (size_t)r->x->count * r->channels;
}

/* The pass over the columns of `row`. */
static void make_row(int32_t *out, const sal_resize8 *r)
{
    const int bits = r->x->bits, rounds = r->passes != SAL_PASSES_OPENCV;
    const int32_t start = rounds ? 1 << bits >> 1 : 0;
    const size_t n = (size_t)r->x->count * r->channels;
    switch (r->channels) { /* constants, so that strides are known */
    case 1: sum_row(out, r->row, r->x, r->column, 1, start); break;
    case 3: sum_row(out, r->row, r->x, r->column, 3, start); break;
    default: sum_row(out, r->row, r->x, r->column, r->channels, start); break;
    }
    for (size_t i = 0; rounds && i < n; i++)
        out[i] = to_8_bits(out[i], bits);
}

static void pillow_row(float *restrict out, sal_resize8 *r, int64_t index)
{
    const size_t n = (size_t)r->x->count * r->channels;
    const int32_t *weights = r->y->fixed + (size_t)index * r->y->stride;
    int32_t *restrict sum = r->sum;
    for (size_t i = 0; i < n; i++)
        sum[i] = 1 << r->y->bits >> 1;
    for (int64_t k = 0; k < r->y->length[index]; k++) {
        const int32_t *restrict row = row_at(r, r->y->first[index] + k);
        for (size_t i = 0; i < n; i++)
            sum[i] += weights[k] * row[i];
    }
    for (size_t i = 0; i < n; i++)
        out[i] = (float)to_8_bits(sum[i], r->y->bits);
}

/* Source rows are got anew for each output row that has them: where rows come first, the picture shrinks. */
static void rows_first(float *restrict out, sal_resize8 *r, int64_t index, const sal_rows8 *source)
{
    const size_t n = r->columns * r->channels, made = (size_t)r->x->count * r->channels;
    const int32_t *weights = r->y->fixed + (size_t)index * r->y->stride;
    int32_t *restrict sum = r->sum;
    for (size_t i = 0; i < n; i++)
        sum[i] = 1 << r->y->bits >> 1;
    for (int64_t k = 0; k < r->y->length[index]; k++) {
        source->get(r->row, source->context, r->y->first[index] + k);
        for (size_t i = 0; i < n; i++)
            sum[i] += weights[k] * r->row[i];
    }
    for (size_t i = 0; i < n; i++)
        r->row[i] = (unsigned char)to_8_bits(sum[i], r->y->bits);
    make_row(r->sum, r);
    for (size_t i = 0; i < made; i++)
        out[i] = (float)r->sum[i];
}

/* Two rows of sums with 11 bits behind the point: the weights have 11 more, of which 20 are cut on the way. */
static void opencv_row(float *restrict out, const sal_resize8 *r, int64_t index)
{
    const size_t n = (size_t)r->x->count * r->channels;
    const int32_t *weights = r->y->fixed + (size_t)index * r->y->stride;
    const int64_t first = r->y->first[index];
    const int32_t *restrict a = row_at(r, first), *restrict b = row_at(r, first + r->y->length[index] - 1);
    for (size_t i = 0; i < n; i++)
        out[i] = (float)(((weights[0] * (a[i] >> 4) >> 16) + (weights[1] * (b[i] >> 4) >> 16) + 2) >> 2);
}

void sal_resize8_row(float *out, sal_resize8 *r, int64_t index, const sal_rows8 *source)
{
    const int64_t first = r->y->first[index], end = first + r->y->length[index];
    if (r->passes == SAL_PASSES_ROWS_FIRST) {
        rows_first(out, r, index, source);
        return;
    }
    if (r->ready < first)
        r->ready = first;
    for (; r->ready < end; r->ready++) {
        source->get(r->row, source->context, r->ready);
        make_row(row_at(r, r->ready), r);
    }
    if (r->passes == SAL_PASSES_OPENCV)
        opencv_row(out, r, index);
    else
        pillow_row(out, r, index);
}
