/* TIFF through libtiff: pages of one size become channels, page by page. Strips and
 * tiles are read here rather than by libtiff's RGBA reader, which knows 8 bits only. */
#include "image/image.h"
#include "image/tiff_samples.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

#include <tiffio.h>

typedef struct tiff_context {
    TIFF *tiff;
    const sal_image_source *source;
    uint64_t position;
    char message[256]; /* libtiff's first complaint */
} tiff_context;

/* ---- libtiff's view of the file ----------------------------------------- */

static tmsize_t read_bytes(thandle_t handle, void *to, tmsize_t size)
{
    tiff_context *x = handle;
    if (x->position >= x->source->size || size <= 0)
        return 0;
    size_t left = x->source->size - (size_t)x->position;
    size_t n = (size_t)size < left ? (size_t)size : left;
    memcpy(to, x->source->bytes + x->position, n);
    x->position += n;
    return (tmsize_t)n;
}

static tmsize_t write_bytes(thandle_t handle, void *from, tmsize_t size)
{
    (void)handle;
    (void)from;
    (void)size;
    return -1;
}

static toff_t seek_to(thandle_t handle, toff_t offset, int whence)
{
    tiff_context *x = handle;
    uint64_t base = whence == SEEK_CUR ? x->position : whence == SEEK_END ? x->source->size : 0;
    x->position = base + offset;
    return x->position;
}

static int close_file(thandle_t handle)
{
    (void)handle;
    return 0;
}

static toff_t file_size(thandle_t handle)
{
    return ((tiff_context *)handle)->source->size;
}

#if TIFFLIB_VERSION >= 20221213 /* 4.5.0: handlers per file */

static int on_error(TIFF *tiff, void *user, const char *module, const char *format, va_list args)
    __attribute__((format(printf, 4, 0)));
static int on_error(TIFF *tiff, void *user, const char *module, const char *format, va_list args)
{
    tiff_context *x = user;
    (void)tiff;
    (void)module;
    if (!x->message[0]) {
        /* Some of its texts begin with the file's name, which ours have already. */
        char text[8192];
        const size_t length = strlen(x->source->path);
        vsnprintf(text, sizeof text, format, args);
        const int named = strncmp(text, x->source->path, length) == 0 && strncmp(text + length, ": ", 2) == 0;
        snprintf(x->message, sizeof x->message, "%.255s", named ? text + length + 2 : text);
    }
    return 1; /* handled: the global handlers, which print, are not called */
}

static int on_warning(TIFF *tiff, void *user, const char *module, const char *format, va_list args)
{
    (void)tiff;
    (void)user;
    (void)module;
    (void)format;
    (void)args;
    return 1;
}

static TIFF *open_tiff(tiff_context *x)
{
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options)
        return NULL;
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, x);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, x);
    TIFF *tiff = TIFFClientOpenExt(x->source->path, "rm", x, read_bytes, write_bytes, seek_to, close_file, file_size,
                                   NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    return tiff;
}

#else /* handlers are the process's: silenced, since a library does not print */

static TIFF *open_tiff(tiff_context *x)
{
    TIFFSetErrorHandler(NULL);
    TIFFSetWarningHandler(NULL);
    return TIFFClientOpen(x->source->path, "rm", x, read_bytes, write_bytes, seek_to, close_file, file_size, NULL,
                          NULL);
}

#endif

static sal_status fail_page(const tiff_context *x, const char *what)
{
    return sal_fail(SAL_ERROR_FORMAT, "%s: TIFF page %u: %s%s%s", x->source->path,
                    (unsigned)TIFFCurrentDirectory(x->tiff) + 1, what, x->message[0] ? ": " : "", x->message);
}

/* ---- Pages -------------------------------------------------------------- */

static sal_status unsupported(const tiff_context *x, const char *what, int value)
{
    return sal_fail(SAL_ERROR_UNSUPPORTED, "%s: TIFF page %u: %s %d is not supported", x->source->path,
                    (unsigned)TIFFCurrentDirectory(x->tiff) + 1, what, value);
}

static sal_status read_sample_type(sal_tiff_page *page, const tiff_context *x)
{
    uint16_t bits = 1;
    uint16_t format = SAMPLEFORMAT_UINT;
    TIFFGetFieldDefaulted(x->tiff, TIFFTAG_BITSPERSAMPLE, &bits);
    TIFFGetFieldDefaulted(x->tiff, TIFFTAG_SAMPLEFORMAT, &format);
    page->bits = bits;
    if (format == SAMPLEFORMAT_IEEEFP && (bits == 32 || bits == 64))
        page->type = SAL_SAMPLE_F32;
    else if (format != SAMPLEFORMAT_UINT && format != SAMPLEFORMAT_VOID)
        return unsupported(x, format == SAMPLEFORMAT_INT ? "signed samples of bits" : "sample bits", bits);
    else if (bits == 16)
        page->type = SAL_SAMPLE_U16;
    else if (bits == 8 || bits == 4 || bits == 2 || bits == 1)
        page->type = SAL_SAMPLE_U8;
    else
        return unsupported(x, "sample bits", bits);
    return SAL_OK;
}

/* Decides how samples become channels. */
static sal_status read_colours(sal_tiff_page *page, const tiff_context *x)
{
    uint16_t photometric = PHOTOMETRIC_MINISBLACK;
    uint16_t compression = COMPRESSION_NONE;
    TIFFGetField(x->tiff, TIFFTAG_PHOTOMETRIC, &photometric);
    TIFFGetFieldDefaulted(x->tiff, TIFFTAG_COMPRESSION, &compression);
    page->channels = page->samples;
    switch (photometric) {
    case PHOTOMETRIC_MINISBLACK:
    case PHOTOMETRIC_RGB: page->kind = SAL_TIFF_DIRECT; break;
    case PHOTOMETRIC_MINISWHITE:
        page->kind = SAL_TIFF_INVERTED;
        if (page->type == SAL_SAMPLE_F32)
            return unsupported(x, "float samples in photometric", photometric);
        break;
    case PHOTOMETRIC_PALETTE:
        page->kind = SAL_TIFF_PALETTE;
        page->channels = 3;
        if (page->samples != 1 || page->bits > 8)
            return unsupported(x, "a palette for bits", page->bits);
        if (!TIFFGetField(x->tiff, TIFFTAG_COLORMAP, &page->palette[0], &page->palette[1], &page->palette[2]))
            return fail_page(x, "no palette");
        break;
    case PHOTOMETRIC_SEPARATED:
        page->kind = SAL_TIFF_CMYK;
        page->channels = 3;
        if (page->samples < 4 || page->bits != 8 || page->planar)
            return unsupported(x, "CMYK in planes or with sample bits", page->bits);
        break;
    case PHOTOMETRIC_YCBCR:
        if (compression != COMPRESSION_JPEG || page->samples != 3 || page->planar)
            return unsupported(x, "YCbCr with compression", compression);
        TIFFSetField(x->tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
        page->kind = SAL_TIFF_DIRECT;
        break;
    default: return unsupported(x, "photometric", photometric);
    }
    return SAL_OK;
}

/* Colours that were multiplied by their alpha when stored are divided again. */
static void read_alpha(sal_tiff_page *page, const tiff_context *x)
{
    uint16_t count = 0;
    uint16_t *kinds = NULL;
    TIFFGetFieldDefaulted(x->tiff, TIFFTAG_EXTRASAMPLES, &count, &kinds);
    page->premultiplied = count == 1 && kinds[0] == EXTRASAMPLE_ASSOCALPHA && page->type != SAL_SAMPLE_F32 &&
                          page->kind == SAL_TIFF_DIRECT && (page->samples == 2 || page->samples == 4);
}

/* What no compression can exceed; 0 where there is no such bound (fax: a bit a row). */
static uint64_t max_ratio(uint16_t compression)
{
    switch (compression) {
    case COMPRESSION_NONE: return 1;
    case COMPRESSION_PACKBITS: return 64;
    case COMPRESSION_ADOBE_DEFLATE:
    case COMPRESSION_DEFLATE: return 1032;
    case COMPRESSION_LZW: return 4096;
    default: return 0;
    }
}

/* A small file that declares a large picture is refused before memory is asked for; so is one that is out of all
 * proportion. Deflate and LZW reach some thousandfold where a page is of one colour, fax codes a bit a row: blank scans
 * pass, files made to fill the memory do not. Beyond 256 Mpixel it has to be meant. */
static sal_status check_plausible(const sal_tiff_page *page, const tiff_context *x)
{
    static const uint64_t large_bytes = (uint64_t)64 << 20, large_pixels = (uint64_t)1 << 28;
    static const uint64_t most_times = 2000, most_times_of_large = 500;
    uint16_t compression = COMPRESSION_NONE;
    TIFFGetFieldDefaulted(x->tiff, TIFFTAG_COMPRESSION, &compression);
    uint64_t ratio = max_ratio(compression);
    /* Divided first: the product of the sizes is bounded, that with the bits may be more. */
    const uint64_t pixels = (uint64_t)page->height * (uint64_t)page->width;
    uint64_t bytes_per_8_pixels = (uint64_t)page->samples * (uint64_t)page->bits;
    uint64_t bytes = pixels / 8 * bytes_per_8_pixels;
    if (ratio && bytes / ratio > x->source->size)
        return sal_fail(SAL_ERROR_FORMAT,
                        "%s: TIFF: %lld x %lld pixels cannot be in a file of %zu bytes: it is truncated",
                        x->source->path, (long long)page->width, (long long)page->height, x->source->size);
    const uint64_t times = bytes / x->source->size;
    if (x->source->pixels_given || (times <= most_times_of_large) ||
        (pixels <= large_pixels && (bytes <= large_bytes || times <= most_times)))
        return SAL_OK;
    return sal_fail(SAL_ERROR_LIMIT,
                    "%s: TIFF: %lld x %lld pixels are %llu times the file's %zu bytes: if that is meant, --max-pixels "
                    "%llu lets it pass",
                    x->source->path, (long long)page->width, (long long)page->height, (unsigned long long)times,
                    x->source->size, (unsigned long long)pixels);
}

static sal_status read_page(sal_tiff_page *page, tiff_context *x)
{
    sal_status st = SAL_OK;
    uint32_t width = 0;
    uint32_t height = 0;
    uint16_t samples = 1;
    uint16_t planar = PLANARCONFIG_CONTIG;
    uint16_t orientation = 1;
    memset(page, 0, sizeof *page);
    TIFFGetField(x->tiff, TIFFTAG_IMAGEWIDTH, &width);
    TIFFGetField(x->tiff, TIFFTAG_IMAGELENGTH, &height);
    TIFFGetFieldDefaulted(x->tiff, TIFFTAG_SAMPLESPERPIXEL, &samples);
    TIFFGetFieldDefaulted(x->tiff, TIFFTAG_PLANARCONFIG, &planar);
    TIFFGetFieldDefaulted(x->tiff, TIFFTAG_ORIENTATION, &orientation);
    page->width = width;
    page->height = height;
    page->samples = samples;
    page->planar = planar == PLANARCONFIG_SEPARATE && samples > 1;
    page->orientation = orientation;
    TRY(read_sample_type(page, x));
    TRY(read_colours(page, x));
    read_alpha(page, x);
    TRY(sal_picture_check_size(page->height, page->width, page->channels, x->source));
    st = check_plausible(page, x);
done:
    return st;
}

/* Thumbnails, pyramid levels and masks accompany a picture; they are no part of it. */
static int is_companion(TIFF *tiff)
{
    uint32_t kind = 0;
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SUBFILETYPE, &kind);
    return (kind & (FILETYPE_REDUCEDIMAGE | FILETYPE_MASK)) != 0;
}

/* ---- Samples ------------------------------------------------------------ */

/* A strip or tile: `rows` x `columns` pixels of the page at (y, x), rows row_bytes apart in the buffer. */
static void store_block(sal_picture *out, const sal_tiff_page *page, const sal_tiff_block *block)
{
    for (int64_t row = 0; row < block->rows && block->y + row < page->height; row++)
        sal_tiff_store_row(out, page, block, row);
}

static sal_status read_strips(sal_picture *out, const sal_tiff_page *page, tiff_context *x)
{
    sal_status st = SAL_OK;
    unsigned char *buffer = NULL;
    uint32_t rows = 0;
    int64_t row_bytes = TIFFScanlineSize(x->tiff);
    TIFFGetFieldDefaulted(x->tiff, TIFFTAG_ROWSPERSTRIP, &rows);
    if (rows > page->height)
        rows = (uint32_t)page->height;
    int64_t size = TIFFVStripSize(x->tiff, rows);
    if (rows == 0 || row_bytes < sal_tiff_row_bytes(page, page->width) || size / rows < row_bytes)
        return fail_page(x, "corrupt strip sizes");
    TRY(sal_alloc(&buffer, (size_t)size, 1, "a strip of a picture"));
    for (int plane = 0; plane < (page->planar ? page->samples : 1); plane++)
        for (int64_t y = 0; y < page->height; y += rows) {
            int64_t count = page->height - y < rows ? page->height - y : rows;
            uint32_t strip = TIFFComputeStrip(x->tiff, (uint32_t)y, (uint16_t)plane);
            if (TIFFReadEncodedStrip(x->tiff, strip, buffer, size) < count * row_bytes) {
                st = fail_page(x, "cannot read the pixels");
                goto done;
            }
            sal_tiff_block block = {buffer, row_bytes, y, 0, count, page->width, plane};
            store_block(out, page, &block);
        }
done:
    sal_free(buffer);
    return st;
}

static sal_status read_tiles(sal_picture *out, const sal_tiff_page *page, tiff_context *x)
{
    /* Tiles may be larger than their page, but no sane one is by this much. */
    enum { MAX_TILE_BYTES = 1 << 26 };
    sal_status st = SAL_OK;
    unsigned char *buffer = NULL;
    uint32_t rows = 0;
    uint32_t columns = 0;
    TIFFGetField(x->tiff, TIFFTAG_TILELENGTH, &rows);
    TIFFGetField(x->tiff, TIFFTAG_TILEWIDTH, &columns);
    int64_t row_bytes = TIFFTileRowSize(x->tiff);
    int64_t size = TIFFTileSize(x->tiff);
    if (rows == 0 || columns == 0 || row_bytes < sal_tiff_row_bytes(page, columns) || size / rows < row_bytes)
        return fail_page(x, "corrupt tile sizes");
    if (size > MAX_TILE_BYTES && size / 4 / page->height > sal_tiff_row_bytes(page, page->width))
        return fail_page(x, "tiles far larger than the page");
    TRY(sal_alloc(&buffer, (size_t)size, 1, "a tile of a picture"));
    for (int plane = 0; plane < (page->planar ? page->samples : 1); plane++)
        for (int64_t y = 0; y < page->height; y += rows)
            for (int64_t left = 0; left < page->width; left += columns) {
                uint32_t tile = TIFFComputeTile(x->tiff, (uint32_t)left, (uint32_t)y, 0, (uint16_t)plane);
                if (TIFFReadEncodedTile(x->tiff, tile, buffer, size) < size) {
                    st = fail_page(x, "cannot read the pixels");
                    goto done;
                }
                int64_t visible = page->width - left < columns ? page->width - left : columns;
                sal_tiff_block block = {buffer, row_bytes, y, left, rows, visible, plane};
                store_block(out, page, &block);
            }
done:
    sal_free(buffer);
    return st;
}

/* ---- The file ----------------------------------------------------------- */

/* Adds up the channels of all pages; *first tells the size that they share. */
static sal_status count_channels(int64_t *channels, sal_tiff_page *first, tiff_context *x)
{
    sal_status st = SAL_OK;
    *channels = 0;
    do {
        sal_tiff_page page;
        if (*channels && is_companion(x->tiff))
            continue;
        TRY(read_page(&page, x));
        if (!*channels)
            *first = page;
        if (page.width != first->width || page.height != first->height || page.type != first->type ||
            page.orientation != first->orientation) {
            st = sal_fail(SAL_ERROR_UNSUPPORTED,
                          "%s: TIFF page %u differs from page 1 in size, sample type or orientation; pages of one kind "
                          "become channels",
                          x->source->path, (unsigned)TIFFCurrentDirectory(x->tiff) + 1);
            goto done;
        }
        *channels += page.channels;
        TRY(sal_picture_check_size(page.height, page.width, *channels, x->source));
    } while (TIFFReadDirectory(x->tiff));
    /* A chain of pages that breaks off ends like one that is complete, but for the message. */
    if (x->message[0])
        st = fail_page(x, "the pages are corrupt");
done:
    return st;
}

/* A strip or tile, which may be all of a page; turned pictures are copied. */
static uint64_t memory_beside(const sal_picture *picture, const sal_tiff_page *first, const tiff_context *x)
{
    const uint64_t block = TIFFIsTiled(x->tiff) ? TIFFTileSize64(x->tiff) : TIFFStripSize64(x->tiff);
    const uint64_t copy = first->orientation > 1 ? sal_picture_bytes(picture) : 0;
    return block > copy ? block : copy;
}

static sal_status read_file(sal_picture *out, tiff_context *x)
{
    sal_status st = SAL_OK;
    int64_t channels = 0;
    sal_tiff_page first = {0};
    TRY(count_channels(&channels, &first, x));
    *out = (sal_picture){.height = first.height, .width = first.width, .channels = channels, .type = first.type};
    TRY(sal_picture_begin(out, x->source, memory_beside(out, &first, x)));
    if (!TIFFSetDirectory(x->tiff, 0)) {
        st = fail_page(x, "cannot go back to the first page");
        goto done;
    }
    int64_t channel = 0;
    do {
        sal_tiff_page page;
        if (channel && is_companion(x->tiff))
            continue;
        TRY(read_page(&page, x));
        page.first_channel = channel;
        channel += page.channels;
        if (channel > channels) {
            st = fail_page(x, "the pages changed while they were read");
            goto done;
        }
        TRY(TIFFIsTiled(x->tiff) ? read_tiles(out, &page, x) : read_strips(out, &page, x));
        if (page.premultiplied)
            sal_tiff_divide_alpha(out, &page);
    } while (channel < channels && TIFFReadDirectory(x->tiff));
    st = sal_picture_orient(out, first.orientation);
done:
    return st;
}

sal_status sal_tiff_decode(sal_picture *out, const sal_image_source *source)
{
    tiff_context x = {.source = source};
    x.tiff = open_tiff(&x);
    if (!x.tiff)
        return sal_fail(SAL_ERROR_FORMAT, "%s: TIFF: %s", source->path,
                        x.message[0] ? x.message : "the file is corrupt");
    sal_status st = read_file(out, &x);
    TIFFClose(x.tiff);
    return st;
}
