#include "base/shade.h"

#include "base/samples.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Channels that are shown, alpha aside. */
static int64_t colours_of(const sal_picture *picture)
{
    const int colours = sal_layout_of(picture, NULL).colours;
    return colours ? colours : picture->channels < 3 ? 1 : 3;
}

void sal_ground_of(float ground[3], const sal_preprocess *p)
{
    const sal_alpha alpha = p ? p->alpha : SAL_ALPHA_AUTO;
    for (int c = 0; c < 3; c++)
        ground[c] = alpha == SAL_ALPHA_COLOUR ? p->alpha_colour[c] : alpha == SAL_ALPHA_BLACK ? 0.0F : 255.0F;
}

static void find_range(sal_shade *shade, const sal_picture *picture)
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
    shade->low = low;
    shade->scale = half_range > 0.0F ? 127.5F / half_range : 0.0F;
}

sal_shade sal_shade_of(const sal_picture *picture, const sal_preprocess *p)
{
    const int is_measured = picture->type != SAL_SAMPLE_F32 || sal_says_depth(p);
    sal_shade shade = {.has_alpha = is_measured && sal_layout_of(picture, p).has_alpha};
    float ground[3];
    sal_ground_of(ground, p);
    for (int c = 0; c < 3; c++)
        shade.ground[c] = (uint8_t)(ground[c] + 0.5F);
    if (is_measured)
        shade.scale = (float)(255.0 / sal_white_of(picture, p));
    else
        find_range(&shade, picture);
    return shade;
}

static float sample_at(const sal_picture *picture, int64_t i)
{
    switch (picture->type) {
    case SAL_SAMPLE_U8: return (float)((const uint8_t *)picture->samples)[i];
    case SAL_SAMPLE_U16: return (float)((const uint16_t *)picture->samples)[i];
    case SAL_SAMPLE_F32: break;
    }
    return ((const float *)picture->samples)[i];
}

static uint8_t level_at(const sal_picture *picture, const sal_shade *shade, int64_t i)
{
    const float level = (sample_at(picture, i) - shade->low) * shade->scale;
    /* Written so that NaN takes the first way out. */
    if (!(level > 0.0F))
        return 0;
    return level >= 255.0F ? 255 : (uint8_t)(level + 0.5F);
}

static uint8_t over(unsigned level, unsigned ground, unsigned alpha)
{
    return (uint8_t)((level * alpha + ground * (255U - alpha) + 127U) / 255U);
}

/* 8-bit samples without alpha, of all 8 bits, are levels. */
static void copy_row(uint8_t *rgb, const uint8_t *samples, int64_t width, int64_t channels, int64_t colours)
{
    if (channels == 3 && colours == 3) {
        memcpy(rgb, samples, (size_t)width * 3);
        return;
    }
    const int64_t green = colours == 3 ? 1 : 0, blue = colours == 3 ? 2 : 0;
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
    if (picture->type == SAL_SAMPLE_U8 && !shade->has_alpha && shade->scale == 1.0F) {
        copy_row(rgb, (const uint8_t *)picture->samples + y * width * channels, width, channels, colours);
        return;
    }
    for (int64_t x = 0; x < width; x++) {
        const int64_t first = (y * width + x) * channels;
        for (int64_t c = 0; c < 3; c++)
            rgb[3 * x + c] = level_at(picture, shade, first + (colours == 3 ? c : 0));
        if (!shade->has_alpha)
            continue;
        const unsigned opacity = level_at(picture, shade, first + colours);
        for (int64_t c = 0; c < 3; c++)
            rgb[3 * x + c] = over(rgb[3 * x + c], shade->ground[c], opacity);
    }
}
