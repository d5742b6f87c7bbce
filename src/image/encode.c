/* Pictures and maps as the bytes of files, in memory. */
#include "image/encode.h"

#include "base/memory.h"
#include "base/memory_file.h"

#include <math.h>
#include <stdlib.h>

void sal_bytes_free(void *bytes)
{
    free(bytes);
}

/* Where the bytes go must be given, and is empty until there are any. */
static sal_status clear_result(void **bytes, size_t *size, const char *function)
{
    sal_status st = SAL_OK;
    TRY(sal_require(bytes, "bytes", function));
    *bytes = NULL;
    TRY(sal_require(size, "size", function));
    *size = 0;
done:
    return st;
}

static sal_status check_picture(const sal_picture *picture, sal_picture_format format, const char *name)
{
    switch (format) {
    case SAL_PICTURE_PNG: return sal_png_check(picture, name);
    case SAL_PICTURE_JPEG: return sal_jpeg_check(picture, SAL_JPEG_QUALITY, name);
    }
    return sal_fail(SAL_ERROR_ARGUMENT, "%s: there is no picture format %d", name, (int)format);
}

static sal_status encode_picture(void **bytes, size_t *size, const sal_picture *picture, sal_picture_format format,
                                 const char *name)
{
    sal_status st = SAL_OK;
    sal_memory_file file = {0};
    TRY(check_picture(picture, format, name));
    TRY(sal_memory_file_open(&file));
    st = format == SAL_PICTURE_PNG ? sal_png_put(file.stream, picture, name)
                                   : sal_jpeg_put(file.stream, picture, SAL_JPEG_QUALITY, name);
done:
    return sal_memory_file_close(bytes, size, &file, st);
}

sal_status sal_picture_encode(void **bytes, size_t *size, const sal_picture *picture, sal_picture_format format)
{
    sal_status st = SAL_OK;
    TRY(clear_result(bytes, size, __func__));
    TRY(sal_require(picture, "picture", __func__));
    st = encode_picture(bytes, size, picture, format, "picture in memory");
done:
    return st;
}

sal_status sal_npy_encode(void **bytes, size_t *size, const float *values, const int64_t *shape, int rank)
{
    static const char name[] = "array in memory";
    sal_status st = SAL_OK;
    sal_memory_file file = {0};
    sal_npy_head head;
    TRY(clear_result(bytes, size, __func__));
    TRY(sal_require(values, "values", __func__));
    if (rank > 0)
        TRY(sal_require(shape, "shape", __func__));
    TRY(sal_npy_head_make(&head, shape, rank, name));
    TRY(sal_memory_file_open(&file));
    st = sal_npy_put(file.stream, &head, values, name);
done:
    return sal_memory_file_close(bytes, size, &file, st);
}

static sal_status encode_npz(void **bytes, size_t *size, const float *map, const int64_t shape[2], const char *name)
{
    sal_status st = SAL_OK;
    sal_memory_file file = {0};
    sal_npy_head head;
    TRY(sal_npy_head_make(&head, shape, 2, name));
    TRY(sal_memory_file_open(&file));
    st = sal_npz_put(file.stream, "map", &head, map, name);
done:
    return sal_memory_file_close(bytes, size, &file, st);
}

sal_status sal_gray16_make(sal_picture *out, const float *values, int64_t height, int64_t width)
{
    sal_status st = SAL_OK;
    TRY(sal_picture_new(out, height, width, 1, SAL_SAMPLE_U16));
    uint16_t *samples = out->samples;
    for (int64_t i = 0; i < height * width; i++)
        samples[i] = (uint16_t)lrintf(values[i] * 65535.0f);
done:
    return st;
}

static sal_status encode_png16(void **bytes, size_t *size, const float *map, const int64_t shape[2], const char *name)
{
    sal_status st = SAL_OK;
    sal_picture gray = {0};
    for (int64_t i = 0; i < shape[0] * shape[1]; i++)
        if (!(map[i] >= 0.0f && map[i] <= 1.0f)) {
            st = sal_fail(SAL_ERROR_ARGUMENT,
                          "%s: its value %g at pixel %lld is not within 0 and 1, which 16-bit PNG holds: normalise it, "
                          "or encode it as .npy",
                          name, (double)map[i], (long long)i);
            goto done;
        }
    TRY(sal_gray16_make(&gray, map, shape[0], shape[1]));
    st = encode_picture(bytes, size, &gray, SAL_PICTURE_PNG, name);
done:
    sal_picture_clear(&gray);
    return st;
}

sal_status sal_map_encode(void **bytes, size_t *size, const float *map, int64_t height, int64_t width,
                          sal_map_format format)
{
    static const char name[] = "map in memory";
    sal_status st = SAL_OK;
    const int64_t shape[2] = {height, width};
    size_t pixels;
    TRY(clear_result(bytes, size, __func__));
    TRY(sal_require(map, "map", __func__));
    if (height < 1 || width < 1)
        return sal_fail(SAL_ERROR_ARGUMENT, "%s: %lld x %lld pixels: both sides must be at least 1", name,
                        (long long)width, (long long)height);
    TRY(sal_size_mul(&pixels, (size_t)height, (size_t)width, name));
    switch (format) {
    case SAL_MAPS_NPY: return sal_npy_encode(bytes, size, map, shape, 2);
    case SAL_MAPS_NPZ: return encode_npz(bytes, size, map, shape, name);
    case SAL_MAPS_PNG16: return encode_png16(bytes, size, map, shape, name);
    case SAL_MAPS_NONE: break;
    }
    st = sal_fail(SAL_ERROR_ARGUMENT, "%s: there is no map format %d to encode it in", name, (int)format);
done:
    return st;
}
