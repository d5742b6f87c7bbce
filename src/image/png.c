/* PNG through libpng; what it writes is compressed by libdeflate. libpng reports errors
 * by a call that may not return, so all state lives in one struct that outlives the jump. */
#include "image/encode.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/samples.h"

#include <libdeflate.h>
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

/* Deflate stores 258 bytes in two bits at best. */
enum { DEFLATE_MAX_RATIO = 1032 };

/* Bytes of samples up to which a picture to write is compressed in one piece. That takes
 * twice as much again, and the one IDAT chunk stays far under its limit of 2^31 bytes. */
enum { STREAM_OVER = 64 << 20 };

typedef struct png_context {
    jmp_buf jump;
    png_structp png;
    png_infop info;
    sal_status status;
    const char *path;
    const sal_image_source *source;
    size_t position;
    int orientation; /* that the file declares; 0: none */
    FILE *stream;
    struct libdeflate_compressor *compressor;
    unsigned char *rows;   /* of a picture to write, filtered; free with free() */
    unsigned char *packed; /* rows as a zlib stream, in the same allocation */
    size_t packed_size;
} png_context;

static void on_error(png_structp png, png_const_charp message)
{
    png_context *x = png_get_error_ptr(png);
    /* A callback that knows better has said what happened. */
    if (x->status == SAL_OK)
        x->status = sal_fail(SAL_ERROR_FORMAT, "%s: PNG: %s", x->path, message);
    longjmp(x->jump, 1);
}

/* Warnings are of colour profiles, texts and the like, which nothing here reads. */
static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

/* ---- Reading ------------------------------------------------------------ */

static void read_bytes(png_structp png, png_bytep to, size_t size)
{
    png_context *x = png_get_io_ptr(png);
    if (size > x->source->size - x->position) {
        x->status = sal_fail(SAL_ERROR_FORMAT, "%s: PNG: the file is truncated", x->path);
        png_error(png, "truncated");
    }
    memcpy(to, x->source->bytes + x->position, size);
    x->position += size;
}

static uint32_t get32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Of chunk eXIf, which may stand behind the pixels; a damaged one says nothing, as with libpng. Not by libpng, since
 * the memory for a turned copy is asked for before the pixels are read. */
static int find_orientation(const sal_image_source *source)
{
    enum { SIGNATURE = 8, AROUND = 12 }; /* length, kind and checksum of a chunk */
    for (size_t at = SIGNATURE; source->size >= at && source->size - at >= AROUND;) {
        const unsigned char *chunk = source->bytes + at;
        const size_t length = get32(chunk);
        if (length > source->size - at - AROUND || memcmp(chunk + 4, "IEND", 4) == 0)
            return 0;
        at += AROUND + length;
        if (memcmp(chunk + 4, "eXIf", 4) != 0)
            continue;
        if (libdeflate_crc32(0, chunk + 4, length + 4) != get32(chunk + 8 + length))
            return 0;
        /* Some writers copy what JPEG has before it. */
        const size_t prefix = length >= 6 && memcmp(chunk + 8, "Exif\0\0", 6) == 0 ? 6 : 0;
        return sal_exif_orientation(chunk + 8 + prefix, length - prefix);
    }
    return 0;
}

/* Asks for what a sal_picture holds: 8 or 16 bits, no palette, transparency as alpha. */
static void set_transforms(png_context *x)
{
    const sal_preprocess *how = x->source->how;
    const int is_deep = png_get_bit_depth(x->png, x->info) == 16;
    /* Where alpha is left out anyway, gray of 16 bits stays one channel: Pillow's way is for it alone. */
    const int is_opaque = is_deep && sal_is_pillow(how) && how->alpha == SAL_ALPHA_DROP &&
                          png_get_color_type(x->png, x->info) == PNG_COLOR_TYPE_GRAY;
    if (!is_opaque)
        png_set_expand(x->png);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (is_deep)
        png_set_swap(x->png);
#endif
}

static sal_status check_header(png_context *x)
{
    uint32_t width = png_get_image_width(x->png, x->info);
    uint32_t height = png_get_image_height(x->png, x->info);
    sal_status st = sal_picture_check_size(height, width, png_get_channels(x->png, x->info), x->source);
    if (st != SAL_OK)
        return st;
    /* A small file that declares a large picture is refused before memory is asked for.
     * No overflow: rows have at most 2^34 bytes and the product of the sizes is bounded. */
    uint64_t raw = (uint64_t)png_get_rowbytes(x->png, x->info) * height;
    if (raw / DEFLATE_MAX_RATIO > x->source->size)
        return sal_fail(SAL_ERROR_FORMAT, "%s: PNG: %u x %u pixels cannot be in a file of %zu bytes: it is truncated",
                        x->path, width, height, x->source->size);
    return SAL_OK;
}

static sal_status read_picture(sal_picture *out, png_context *x)
{
    if (setjmp(x->jump))
        return x->status;
    png_set_read_fn(x->png, x, read_bytes);
    png_set_user_limits(x->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* ours are checked instead */
    png_read_info(x->png, x->info);
    if ((x->status = check_header(x)) != SAL_OK)
        return x->status;
    set_transforms(x);
    int passes = png_set_interlace_handling(x->png);
    png_read_update_info(x->png, x->info);

    sal_sample_type type = png_get_bit_depth(x->png, x->info) == 16 ? SAL_SAMPLE_U16 : SAL_SAMPLE_U8;
    *out = (sal_picture){.height = png_get_image_height(x->png, x->info),
                         .width = png_get_image_width(x->png, x->info),
                         .channels = png_get_channels(x->png, x->info),
                         .type = type};
    out->meaning = (sal_channels)out->channels; /* those of PNG are numbered so */
    x->status = sal_picture_begin(out, x->source,
                                  sal_picture_is_turned(x->orientation, x->source) ? sal_picture_bytes(out) : 0);
    if (x->status != SAL_OK)
        return x->status;
    size_t row_bytes = (size_t)out->width * (size_t)out->channels * sal_sample_size(type);
    if (row_bytes != png_get_rowbytes(x->png, x->info))
        return sal_fail(SAL_ERROR_UNSUPPORTED, "%s: PNG: unexpected row size", x->path);
    for (int pass = 0; pass < passes; pass++)
        for (int64_t y = 0; y < out->height; y++)
            png_read_row(x->png, (png_bytep)out->samples + (size_t)y * row_bytes, NULL);
    png_read_end(x->png, NULL);
    return SAL_OK;
}

sal_status sal_png_decode(sal_picture *out, const sal_image_source *source)
{
    png_context x = {.path = source->path, .source = source, .orientation = find_orientation(source)};
    sal_status st;
    x.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &x, on_error, on_warning);
    x.info = x.png ? png_create_info_struct(x.png) : NULL;
    if (x.info)
        st = read_picture(out, &x);
    else
        st = sal_fail_memory(0, "libpng");
    png_destroy_read_struct(&x.png, &x.info, NULL);
    return st == SAL_OK ? sal_picture_orient(out, x.orientation, source) : st;
}

/* ---- Writing ------------------------------------------------------------ */

static void write_bytes(png_structp png, png_bytep from, size_t size)
{
    png_context *x = png_get_io_ptr(png);
    x->status = sal_file_write(x->stream, from, size, x->path);
    if (x->status != SAL_OK)
        png_error(png, "write");
}

static void flush_bytes(png_structp png)
{
    (void)png; /* sal_file_commit flushes and checks */
}

/* How a PNG header names 1 to 4 channels. */
static int color_type(int64_t channels)
{
    static const int types[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                                PNG_COLOR_TYPE_RGB_ALPHA};
    return types[channels - 1];
}

static void difference_u8(unsigned char *restrict to, const unsigned char *row, const unsigned char *above, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (unsigned char)(row[i] - above[i]);
}

/* Samples in the file have their high byte first; filters know bytes only. */
static void difference_u16(unsigned char *restrict to, const uint16_t *row, const uint16_t *above, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[2 * i] = (unsigned char)((row[i] >> 8) - (above[i] >> 8));
        to[2 * i + 1] = (unsigned char)(row[i] - above[i]);
    }
}

/* Filter "up", and "none" for the first row, which has nothing above: its type and bytes. */
static void filter_row(unsigned char *to, const sal_picture *picture, int64_t y)
{
    size_t n = (size_t)picture->width * (size_t)picture->channels;
    size_t at = (size_t)y * n;
    *to++ = y ? PNG_FILTER_VALUE_UP : PNG_FILTER_VALUE_NONE;
    if (picture->type == SAL_SAMPLE_U8) {
        const unsigned char *row = (const unsigned char *)picture->samples + at;
        if (y)
            difference_u8(to, row, row - n, n);
        else
            memcpy(to, row, n);
        return;
    }
    const uint16_t *row = (const uint16_t *)picture->samples + at;
    if (y)
        difference_u16(to, row, row - n, n);
    else
        for (size_t i = 0; i < n; i++)
            png_save_uint_16(to + 2 * i, row[i]);
}

/* Filters and compresses; row_bytes without the filter's type. Sizes are bounded by STREAM_OVER. */
static sal_status pack_rows(png_context *x, const sal_picture *picture, size_t row_bytes)
{
    size_t size = (size_t)picture->height * (row_bytes + 1);
    x->compressor = libdeflate_alloc_compressor(1);
    if (!x->compressor)
        return sal_fail_memory(0, "libdeflate");
    size_t capacity = libdeflate_zlib_compress_bound(x->compressor, size);
    /* Not sal_alloc: clearing what is written over or never used took 8 % of the time for overlays, 1 % for maps. */
    x->rows = malloc(size + capacity);
    if (!x->rows)
        return sal_fail_memory(size + capacity, "a compressed picture");
    x->packed = x->rows + size;
    for (int64_t y = 0; y < picture->height; y++)
        filter_row(x->rows + (size_t)y * (row_bytes + 1), picture, y);
    x->packed_size = libdeflate_zlib_compress(x->compressor, x->rows, size, x->packed, capacity);
    if (x->packed_size == 0)
        return sal_fail(SAL_ERROR_LIMIT, "%s: PNG: libdeflate needs more than its bound of %zu bytes", x->path,
                        capacity);
    return SAL_OK;
}

/* The file around a compressed picture; libpng adds lengths and checksums. */
static sal_status write_packed(png_context *x, const sal_picture *picture, int depth)
{
    unsigned char header[13] = {0}; /* also: the only compression, the only set of filters, no interlace */
    if (setjmp(x->jump))
        return x->status;
    png_save_uint_32(header, (uint32_t)picture->width);
    png_save_uint_32(header + 4, (uint32_t)picture->height);
    header[8] = (unsigned char)depth;
    header[9] = (unsigned char)color_type(picture->channels);
    png_write_sig(x->png);
    png_write_chunk(x->png, (png_const_bytep) "IHDR", header, sizeof header);
    png_write_chunk(x->png, (png_const_bytep) "IDAT", x->packed, x->packed_size);
    png_write_chunk(x->png, (png_const_bytep) "IEND", NULL, 0);
    return SAL_OK;
}

/* Row by row through libpng's zlib: slower, with next to no memory. */
static sal_status write_streamed(png_context *x, const sal_picture *picture, int depth, size_t row_bytes)
{
    if (setjmp(x->jump))
        return x->status;
    png_set_user_limits(x->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_IHDR(x->png, x->info, (uint32_t)picture->width, (uint32_t)picture->height, depth,
                 color_type(picture->channels), PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_set_compression_level(x->png, 1);
    png_set_filter(x->png, PNG_FILTER_TYPE_BASE, PNG_FILTER_UP);
    png_write_info(x->png, x->info);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (depth == 16)
        png_set_swap(x->png);
#endif
    for (int64_t y = 0; y < picture->height; y++)
        png_write_row(x->png, (png_const_bytep)picture->samples + (size_t)y * row_bytes);
    png_write_end(x->png, NULL);
    return SAL_OK;
}

/* Measured on 21 overlays of 256 x 256 and 384 x 384 (four of 512 x 600 in brackets), whole files
 * made, per megapixel; zlib 1.2.13 and libdeflate 1.14, both at level 1, in one alternating run.
 * zlib: up 35.0 ms and 1.41 bytes a pixel (36.4, 1.55), sub 34.8 and 1.43, paeth 43.2 and 1.42,
 * all filters 53.3 and 1.38, none 40.4 and 1.73; up with Huffman codes only 23.5 and 1.51, with
 * runs only 31.7 and 1.49. libdeflate: up 16.1 and 1.37 (20.2, 1.53), sub 16.8 and 1.38, paeth
 * 18.3 and 1.36 (21.5, 1.46), all filters 19.2 and 1.35, none 21.3 and 1.75; up at level 2 31.9
 * and 1.33, at level 3 37.7 and 1.32. */
static sal_status write_picture(png_context *x, const sal_picture *picture)
{
    sal_status st = SAL_OK;
    int depth = picture->type == SAL_SAMPLE_U16 ? 16 : 8;
    size_t row_bytes;
    size_t bytes;
    TRY(sal_size_mul(&row_bytes, (size_t)picture->width, (size_t)picture->channels * sal_sample_size(picture->type),
                     x->path));
    TRY(sal_size_mul(&bytes, row_bytes, (size_t)picture->height, x->path));
    png_set_write_fn(x->png, x, write_bytes, flush_bytes);
    if (bytes > STREAM_OVER)
        return write_streamed(x, picture, depth, row_bytes);
    TRY(pack_rows(x, picture, row_bytes));
    st = write_packed(x, picture, depth);
done:
    return st;
}

sal_status sal_png_check(const sal_picture *picture, const char *path)
{
    if (picture->type != SAL_SAMPLE_U8 && picture->type != SAL_SAMPLE_U16)
        return sal_fail(SAL_ERROR_ARGUMENT, "%s: PNG has no float samples", path);
    if (picture->channels < 1 || picture->channels > 4)
        return sal_fail(SAL_ERROR_ARGUMENT, "%s: PNG holds 1 to 4 channels, not %lld", path,
                        (long long)picture->channels);
    if (picture->height < 1 || picture->width < 1 || picture->height > PNG_UINT_31_MAX ||
        picture->width > PNG_UINT_31_MAX || !picture->samples)
        return sal_fail(SAL_ERROR_ARGUMENT, "%s: PNG cannot hold %lld x %lld pixels", path, (long long)picture->width,
                        (long long)picture->height);
    return SAL_OK;
}

sal_status sal_png_put(FILE *to, const sal_picture *picture, const char *path)
{
    png_context x = {.path = path, .stream = to};
    sal_status st;
    x.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &x, on_error, on_warning);
    x.info = x.png ? png_create_info_struct(x.png) : NULL;
    if (x.info)
        st = write_picture(&x, picture);
    else
        st = sal_fail_memory(0, "libpng");
    png_destroy_write_struct(&x.png, &x.info);
    libdeflate_free_compressor(x.compressor);
    free(x.rows);
    return st;
}

sal_status sal_picture_write_png(const char *path, const sal_picture *picture)
{
    sal_status st = SAL_OK;
    sal_file_out file = {0};
    TRY(sal_require(path, "path", __func__));
    TRY(sal_require(picture, "picture", __func__));
    TRY(sal_png_check(picture, path));
    TRY(sal_file_create(&file, path));
    TRY(sal_png_put(file.stream, picture, path));
    st = sal_file_commit(&file);
done:
    sal_file_discard(&file);
    return st;
}
