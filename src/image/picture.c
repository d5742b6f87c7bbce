#include "image/head.h"
#include "image/image.h"

#include "base/memory.h"

#include <float.h>
#include <math.h>
#include <string.h>

size_t sal_sample_size(sal_sample_type type)
{
    switch (type) {
    case SAL_SAMPLE_U8: return 1;
    case SAL_SAMPLE_U16: return 2;
    case SAL_SAMPLE_F32: return 4;
    }
    return 0;
}

sal_status sal_picture_check_size(int64_t height, int64_t width, int64_t channels, const sal_image_source *source)
{
    if (height <= 0 || width <= 0 || channels <= 0)
        return sal_fail(SAL_ERROR_FORMAT, "%s: the picture has no pixels (%lld x %lld x %lld)", source->path,
                        (long long)height, (long long)width, (long long)channels);
    uint64_t pixels;
    if (__builtin_mul_overflow((uint64_t)height, (uint64_t)width, &pixels) || pixels > source->max_pixels)
        return sal_fail(SAL_ERROR_LIMIT, "%s: %lld x %lld pixels, the limit is %llu pixels", source->path,
                        (long long)width, (long long)height, (unsigned long long)source->max_pixels);
    /* Division, not products: max_pixels is the caller's and may be anything. */
    if (channels > 4 && pixels / 4 > source->max_pixels / (uint64_t)channels)
        return sal_fail(SAL_ERROR_LIMIT, "%s: %lld x %lld pixels of %lld channels, the limit is %llu pixels of 4",
                        source->path, (long long)width, (long long)height, (long long)channels,
                        (unsigned long long)source->max_pixels);
    return SAL_OK;
}

sal_status sal_picture_new(sal_picture *out, int64_t height, int64_t width, int64_t channels, sal_sample_type type)
{
    sal_status st = SAL_OK;
    size_t count = 0;
    memset(out, 0, sizeof *out);
    TRY(sal_size_mul(&count, (size_t)height, (size_t)width, "picture"));
    TRY(sal_size_mul(&count, count, (size_t)channels, "picture"));
    TRY(sal_alloc(&out->samples, count, sal_sample_size(type), "a picture"));
    out->height = height;
    out->width = width;
    out->channels = channels;
    out->type = type;
done:
    return st;
}

void sal_picture_clear(sal_picture *picture)
{
    if (!picture)
        return;
    sal_free(picture->samples);
    memset(picture, 0, sizeof *picture);
}

sal_status sal_source_decode(sal_picture *out, const sal_image_source *source)
{
    sal_status st = SAL_OK;
    memset(out, 0, sizeof *out);
    switch (sal_picture_kind_of(source)) {
    case SAL_KIND_PNG: st = sal_png_decode(out, source); break;
    case SAL_KIND_JPEG: st = sal_jpeg_decode(out, source); break;
    case SAL_KIND_TIFF: st = sal_tiff_decode(out, source); break;
    case SAL_KIND_NPY: st = sal_npy_decode(out, source); break;
    case SAL_KIND_NONE: st = sal_picture_refuse_kind(source); break;
    }
    if (st != SAL_OK)
        sal_picture_clear(out);
    return st;
}

/* ---- Rendering for the eye ---------------------------------------------- */

/* How samples become 0..255. */
typedef struct tone {
    sal_sample_type type;
    float low;
    float gain;
} tone;

static unsigned char tone_sample(const tone *t, const void *samples, size_t index)
{
    switch (t->type) {
    case SAL_SAMPLE_U8: return ((const unsigned char *)samples)[index];
    case SAL_SAMPLE_U16: return (unsigned char)((((const uint16_t *)samples)[index] + 128U) / 257U);
    case SAL_SAMPLE_F32: break;
    }
    float value = (((const float *)samples)[index] - t->low) * t->gain;
    /* Written so that NaN takes the first way out. */
    if (!(value > 0.0F))
        return 0;
    return value >= 255.0F ? 255 : (unsigned char)(value + 0.5F);
}

/* Range of the finite values among the first `shown` channels. */
static void tone_of_floats(tone *t, const sal_picture *in, int64_t shown)
{
    const float *samples = in->samples;
    size_t pixels = (size_t)in->height * (size_t)in->width;
    float low = FLT_MAX;
    float high = -FLT_MAX;
    for (size_t i = 0; i < pixels; i++)
        for (int64_t c = 0; c < shown; c++) {
            float value = samples[i * (size_t)in->channels + (size_t)c];
            if (!isfinite(value))
                continue;
            low = value < low ? value : low;
            high = value > high ? value : high;
        }
    /* Halved first, since the range of two floats may be no float. */
    float half_range = high * 0.5F - low * 0.5F;
    t->low = low;
    t->gain = half_range > 0.0F ? 127.5F / half_range : 0.0F;
}

static unsigned char over_white(unsigned value, unsigned alpha)
{
    return (unsigned char)((value * alpha + 255U * (255U - alpha) + 127U) / 255U);
}

sal_status sal_picture_to_rgb8(sal_picture *out, const sal_picture *in)
{
    sal_status st = sal_picture_new(out, in->height, in->width, 3, SAL_SAMPLE_U8);
    if (st != SAL_OK)
        return st;
    int64_t colours = in->channels < 3 ? 1 : 3;
    /* Float pictures have no full range that an alpha channel could be measured by. */
    int has_alpha = in->type != SAL_SAMPLE_F32 && (in->channels == 2 || in->channels == 4);
    tone t = {.type = in->type};
    if (in->type == SAL_SAMPLE_F32)
        tone_of_floats(&t, in, colours);

    unsigned char *to = out->samples;
    size_t pixels = (size_t)in->height * (size_t)in->width;
    if (in->type == SAL_SAMPLE_U8 && in->channels == 3) {
        memcpy(to, in->samples, pixels * 3);
        return SAL_OK;
    }
    for (size_t i = 0; i < pixels; i++) {
        size_t from = i * (size_t)in->channels;
        unsigned char rgb[3];
        for (int64_t c = 0; c < 3; c++)
            rgb[c] = tone_sample(&t, in->samples, from + (size_t)(colours == 3 ? c : 0));
        if (has_alpha) {
            unsigned alpha = tone_sample(&t, in->samples, from + (size_t)in->channels - 1);
            for (int c = 0; c < 3; c++)
                rgb[c] = over_white(rgb[c], alpha);
        }
        memcpy(to + i * 3, rgb, 3);
    }
    return SAL_OK;
}
