#include "image/resize.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

void sal_taps_clear(sal_taps *taps)
{
    sal_free(taps->first);
    sal_free(taps->length);
    sal_free(taps->weights);
    memset(taps, 0, sizeof *taps);
}

/* Weights of one output pixel. A triangle of half-width `radius` around its centre,
 * cut at the borders of the source and scaled to the sum 1. */
static void make_tap(sal_taps *t, int64_t index, double center, double radius, int64_t source)
{
    int64_t first = (int64_t)(center - radius + 0.5);
    int64_t end = (int64_t)(center + radius + 0.5);
    first = center - radius + 0.5 < 0.0 ? 0 : first;
    end = end > source ? source : end;
    float *weights = t->weights + (size_t)index * t->stride;
    double sum = 0.0;
    for (int64_t i = first; i < end; i++) {
        double distance = fabs((double)i + 0.5 - center) / radius;
        sum += distance < 1.0 ? 1.0 - distance : 0.0;
    }
    for (int64_t i = first; i < end; i++) {
        double distance = fabs((double)i + 0.5 - center) / radius;
        weights[i - first] = (float)(distance < 1.0 ? (1.0 - distance) / sum : 0.0);
    }
    /* At a ratio of 1 the neighbours weigh nothing: do not read them. */
    while (end - first > 1 && weights[end - first - 1] == 0.0F)
        end--;
    t->first[index] = first;
    t->length[index] = end - first;
}

sal_status sal_taps_make(sal_taps *out, int64_t source, int64_t target, int64_t begin, int64_t count)
{
    sal_status st = SAL_OK;
    double scale = (double)source / (double)target;
    double radius = scale < 1.0 ? 1.0 : scale;
    memset(out, 0, sizeof *out);
    out->count = count;
    out->stride = (size_t)ceil(radius) * 2 + 1;
    TRY(sal_alloc(&out->first, (size_t)count, sizeof *out->first, "resize taps"));
    TRY(sal_alloc(&out->length, (size_t)count, sizeof *out->length, "resize taps"));
    size_t weights;
    TRY(sal_size_mul(&weights, (size_t)count, out->stride, "resize taps"));
    TRY(sal_alloc(&out->weights, weights, sizeof *out->weights, "resize taps"));
    for (int64_t i = 0; i < count; i++)
        make_tap(out, i, ((double)(begin + i) + 0.5) * scale, radius, source);
done:
    return st;
}

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
