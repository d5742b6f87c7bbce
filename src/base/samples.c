#include "base/samples.h"

#include <float.h>
#include <math.h>

int sal_picture_is_sound(const sal_picture *picture)
{
    switch (picture->meaning) {
    case SAL_CHANNELS_UNSAID:
    case SAL_CHANNELS_PLANES: return picture->channels >= 1;
    case SAL_CHANNELS_GRAY:
    case SAL_CHANNELS_GRAY_ALPHA:
    case SAL_CHANNELS_RGB:
    case SAL_CHANNELS_RGBA: return picture->channels >= (int64_t)picture->meaning;
    }
    return 0;
}

static int colours_of(const sal_picture *picture, sal_alpha alpha)
{
    const int64_t n = picture->channels;
    switch (picture->meaning) {
    case SAL_CHANNELS_GRAY:
    case SAL_CHANNELS_GRAY_ALPHA: return 1;
    case SAL_CHANNELS_RGB:
    case SAL_CHANNELS_RGBA: return 3;
    case SAL_CHANNELS_PLANES: return 0;
    case SAL_CHANNELS_UNSAID: break;
    }
    if (alpha == SAL_ALPHA_DROP && (n == 2 || n == 4))
        return (int)n - 1;
    return n == 1 || n == 3 ? (int)n : 0;
}

sal_layout sal_layout_of(const sal_picture *picture, const sal_preprocess *p)
{
    const sal_alpha alpha = p ? p->alpha : SAL_ALPHA_AUTO;
    const int has_alpha = picture->meaning == SAL_CHANNELS_GRAY_ALPHA || picture->meaning == SAL_CHANNELS_RGBA;
    const int colours = colours_of(picture, alpha);
    if (alpha == SAL_ALPHA_DROP && colours)
        return (sal_layout){.colours = colours};
    return (sal_layout){colours, has_alpha, picture->channels - colours - has_alpha};
}

static double sample_at(const sal_picture *picture, int64_t i)
{
    switch (picture->type) {
    case SAL_SAMPLE_U8: return ((const uint8_t *)picture->samples)[i];
    case SAL_SAMPLE_U16: return ((const uint16_t *)picture->samples)[i];
    case SAL_SAMPLE_F32: break;
    }
    return (double)((const float *)picture->samples)[i];
}

sal_range sal_samples_range(const sal_picture *picture, int64_t channels, double enough)
{
    sal_range range = {DBL_MAX, -DBL_MAX};
    for (int64_t y = 0; y < picture->height && range.high <= enough; y++)
        for (int64_t x = 0; x < picture->width; x++)
            for (int64_t c = 0; c < channels; c++) {
                const double sample = sample_at(picture, (y * picture->width + x) * picture->channels + c);
                if (!isfinite(sample))
                    continue;
                range.low = sample < range.low ? sample : range.low;
                range.high = sample > range.high ? sample : range.high;
            }
    return range;
}

int sal_bits_for(double sample)
{
    static const int bits[] = {1, 2, 4, 8, 10, 12, 14, 16};
    for (unsigned i = 0; i < sizeof bits / sizeof *bits; i++)
        if (sample < (double)(1 << bits[i]))
            return bits[i];
    return 0;
}

static double white_of_bits(int bits)
{
    return (double)(1 << bits) - 1.0;
}

static double white_stored(const sal_picture *picture)
{
    return picture->type == SAL_SAMPLE_U16 ? 65535.0 : 255.0;
}

/* Alpha counts, where it does. */
static double white_found(const sal_picture *picture, const sal_preprocess *p)
{
    const sal_layout layout = sal_layout_of(picture, p);
    const int64_t channels = layout.colours ? layout.colours + layout.has_alpha : picture->channels;
    const sal_range range = sal_samples_range(picture, channels, DBL_MAX);
    const int is_float = picture->type == SAL_SAMPLE_F32;
    if (!(range.high > 0.0) || range.low < 0.0)
        return white_stored(picture);
    if (is_float && range.high <= 1.0)
        return 1.0;
    const int bits = sal_bits_for(range.high);
    return bits == 0 || (is_float && bits < 8) ? white_stored(picture) : white_of_bits(bits);
}

int sal_is_pillow(const sal_preprocess *p)
{
    return p && (p->depth == SAL_DEPTH_PILLOW || p->depth == SAL_DEPTH_PILLOW_NOTED);
}

int sal_says_depth(const sal_preprocess *p)
{
    return p && p->depth != 0 && !sal_is_pillow(p);
}

int sal_is_gray_of_pillow(const sal_picture *picture, const sal_preprocess *p)
{
    return sal_is_pillow(p) && picture->type == SAL_SAMPLE_U16 && picture->channels == 1;
}

double sal_white_of(const sal_picture *picture, const sal_preprocess *p)
{
    const int depth = p ? p->depth : 0;
    const int is_float = picture->type == SAL_SAMPLE_F32;
    if (depth == SAL_DEPTH_AUTO || sal_is_gray_of_pillow(picture, p))
        return white_found(picture, p);
    if (depth == SAL_DEPTH_UNIT)
        return is_float ? 1.0 : white_stored(picture);
    if (depth < 1 || depth > 16 || (picture->type == SAL_SAMPLE_U8 && depth >= 8))
        return white_stored(picture);
    return white_of_bits(depth);
}
