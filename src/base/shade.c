#include "base/shade.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Channels that are shown, alpha aside. */
static int64_t colours_of(const sal_picture *picture)
{
    return picture->channels < 3 ? 1 : 3;
}

static int has_alpha(const sal_picture *picture)
{
    return picture->type != SAL_SAMPLE_F32 && (picture->channels == 2 || picture->channels == 4);
}

static sal_shade shade_of_floats(const sal_picture *picture)
{
    const float *samples = picture->samples;
    const int64_t pixels = picture->height * picture->width, colours = colours_of(picture);
    float low = FLT_MAX, high = -FLT_MAX;
    for (int64_t i = 0; i < pixels; i++)
        for (int64_t c = 0; c < colours; c++) {
            const float value = samples[i * picture->channels + c];
            if (!isfinite(value))
                continue;
            low = value < low ? value : low;
            high = value > high ? value : high;
        }
    /* Halved first, since the range of two floats may be no float. */
    const float half_range = high * 0.5F - low * 0.5F;
    return (sal_shade){low, half_range > 0.0F ? 127.5F / half_range : 0.0F};
}

sal_shade sal_shade_of(const sal_picture *picture)
{
    switch (picture->type) {
    case SAL_SAMPLE_U8: return (sal_shade){0.0F, 1.0F};
    case SAL_SAMPLE_U16: return (sal_shade){0.0F, 1.0F / 257.0F};
    case SAL_SAMPLE_F32: break;
    }
    return shade_of_floats(picture);
}

static uint8_t level_at(const sal_picture *picture, const sal_shade *shade, int64_t i)
{
    if (picture->type == SAL_SAMPLE_U8) /* is one already */
        return ((const uint8_t *)picture->samples)[i];
    const float sample = picture->type == SAL_SAMPLE_U16 ? (float)((const uint16_t *)picture->samples)[i]
                                                         : ((const float *)picture->samples)[i];
    const float level = (sample - shade->low) * shade->scale;
    /* Written so that NaN takes the first way out. */
    if (!(level > 0.0F))
        return 0;
    return level >= 255.0F ? 255 : (uint8_t)(level + 0.5F);
}

static uint8_t over_white(unsigned level, unsigned alpha)
{
    return (uint8_t)((level * alpha + 255U * (255U - alpha) + 127U) / 255U);
}

/* 8-bit samples without alpha are levels. */
static void copy_row(uint8_t *rgb, const uint8_t *samples, int64_t width, int64_t channels)
{
    if (channels == 3) {
        memcpy(rgb, samples, (size_t)width * 3);
        return;
    }
    const int64_t green = channels > 3 ? 1 : 0, blue = channels > 3 ? 2 : 0;
    for (int64_t x = 0; x < width; x++) {
        const uint8_t *pixel = samples + x * channels;
        rgb[3 * x] = pixel[0];
        rgb[3 * x + 1] = pixel[green];
        rgb[3 * x + 2] = pixel[blue];
    }
}

void sal_shade_row(uint8_t *rgb, const sal_picture *picture, const sal_shade *shade, int64_t y)
{
    const int64_t width = picture->width, channels = picture->channels, colours = colours_of(picture);
    const int alpha = has_alpha(picture);
    if (picture->type == SAL_SAMPLE_U8 && !alpha) {
        copy_row(rgb, (const uint8_t *)picture->samples + y * width * channels, width, channels);
        return;
    }
    for (int64_t x = 0; x < width; x++) {
        const int64_t first = (y * width + x) * channels;
        for (int64_t c = 0; c < 3; c++)
            rgb[3 * x + c] = level_at(picture, shade, first + (colours == 3 ? c : 0));
        if (!alpha)
            continue;
        const unsigned opacity = level_at(picture, shade, first + channels - 1);
        for (int64_t c = 0; c < 3; c++)
            rgb[3 * x + c] = over_white(rgb[3 * x + c], opacity);
    }
}
