/* Any picture as the 8-bit RGB that people look at. Colour conversions that a
 * network asks for are preprocessing's business; this is for the eye alone. */
#include "map/map.h"

#include <float.h>

sal_shade sal_shade_of(const sal_picture *picture)
{
    if (picture->type == SAL_SAMPLE_U8)
        return (sal_shade){0.0, 1.0};
    if (picture->type == SAL_SAMPLE_U16)
        return (sal_shade){0.0, 255.0 / 65535.0};
    const float *samples = picture->samples;
    int64_t count = picture->height * picture->width * picture->channels;
    float low = FLT_MAX, high = -FLT_MAX;
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(samples[i]))
            continue;
        low = samples[i] < low ? samples[i] : low;
        high = samples[i] > high ? samples[i] : high;
    }
    if (low >= 0.0f && high <= 1.0f)
        return (sal_shade){0.0, 255.0};
    if (low >= 0.0f && high <= 255.0f)
        return (sal_shade){0.0, 1.0};
    if (!(high > low))
        return (sal_shade){(double)low, 0.0};
    return (sal_shade){(double)low, 255.0 / ((double)high - (double)low)};
}

static double sample_at(const sal_picture *picture, int64_t i)
{
    switch (picture->type) {
    case SAL_SAMPLE_U8: return (double)((const uint8_t *)picture->samples)[i];
    case SAL_SAMPLE_U16: return (double)((const uint16_t *)picture->samples)[i];
    case SAL_SAMPLE_F32: break;
    }
    return (double)((const float *)picture->samples)[i];
}

/* Over white, as preprocessing flattens what the network sees. */
static uint8_t level(double sample, const sal_shade *shade, double alpha)
{
    double v = 255.0 + ((sample - shade->low) * shade->scale - 255.0) * alpha;
    if (!(v > 0.0))
        return 0;
    return v >= 255.0 ? 255 : (uint8_t)(v + 0.5);
}

/* Alpha of a pixel in 0..1; a float picture's last channel is not known to be one. */
static double alpha_of(const sal_picture *picture, int64_t first)
{
    if (picture->type == SAL_SAMPLE_F32 || (picture->channels != 2 && picture->channels != 4))
        return 1.0;
    double full = picture->type == SAL_SAMPLE_U8 ? 255.0 : 65535.0;
    return sample_at(picture, first + picture->channels - 1) / full;
}

/* The one gray level of a pixel: its channel beside an alpha, or the mean of many. */
static double gray_of(const sal_picture *picture, int64_t first)
{
    if (picture->channels <= 2)
        return sample_at(picture, first);
    double sum = 0.0;
    for (int64_t c = 0; c < picture->channels; c++)
        sum += sample_at(picture, first + c);
    return sum / (double)picture->channels;
}

static void shade_opaque_row(uint8_t *rgb, const uint8_t *samples, int64_t width, int64_t channels)
{
    int64_t green = channels == 3 ? 1 : 0, blue = channels == 3 ? 2 : 0;
    for (int64_t x = 0; x < width; x++) {
        const uint8_t *s = samples + x * channels;
        rgb[3 * x] = s[0];
        rgb[3 * x + 1] = s[green];
        rgb[3 * x + 2] = s[blue];
    }
}

void sal_shade_row(uint8_t *rgb, const sal_picture *picture, const sal_shade *shade, int64_t y)
{
    int64_t width = picture->width, channels = picture->channels;
    int64_t row = y * width * channels;
    if (picture->type == SAL_SAMPLE_U8 && (channels == 1 || channels == 3)) {
        shade_opaque_row(rgb, (const uint8_t *)picture->samples + row, width, channels);
        return;
    }
    int color = channels == 3 || channels == 4;
    for (int64_t x = 0; x < width; x++) {
        int64_t first = row + x * channels;
        double alpha = alpha_of(picture, first);
        for (int c = 0; c < 3; c++) {
            double sample = color ? sample_at(picture, first + c) : gray_of(picture, first);
            rgb[3 * x + c] = level(sample, shade, alpha);
        }
    }
}
