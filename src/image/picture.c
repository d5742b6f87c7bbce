#include "image/head.h"
#include "image/image.h"

#include "base/memory.h"
#include "base/shade.h"

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

sal_status sal_picture_to_rgb8(sal_picture *out, const sal_picture *in, const sal_preprocess *preprocess)
{
    sal_status st = sal_picture_new(out, in->height, in->width, 3, SAL_SAMPLE_U8);
    if (st != SAL_OK)
        return st;
    const sal_shade shade = sal_shade_of(in, preprocess);
    for (int64_t y = 0; y < in->height; y++)
        sal_shade_row((uint8_t *)out->samples + 3 * y * in->width, in, &shade, y);
    return SAL_OK;
}
