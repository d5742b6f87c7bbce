/* TIFF through libtiff, page by page. Strips and tiles are read here rather than by
 * libtiff's RGBA reader, which knows 8 bits only. */
#include "image/tiff_file.h"
#include "image/tiff_pages.h"

#include "base/memory.h"
#include "base/samples.h"

#include <string.h>

#include <tiffio.h>

static sal_status fail_page(const sal_tiff_file *x, const char *what)
{
    return sal_fail(SAL_ERROR_FORMAT, "%s: TIFF page %u: %s%s%s", x->source->path,
                    (unsigned)TIFFCurrentDirectory(x->tiff) + 1, what, x->message[0] ? ": " : "", x->message);
}

/* ---- Pages -------------------------------------------------------------- */

static sal_status unsupported(const sal_tiff_file *x, const char *what, int value)
{
    return sal_fail(SAL_ERROR_UNSUPPORTED, "%s: TIFF page %u: %s %d is not supported", x->source->path,
                    (unsigned)TIFFCurrentDirectory(x->tiff) + 1, what, value);
}

static sal_status fail_samples(const sal_tiff_file *x, const char *what)
{
    return sal_fail(SAL_ERROR_UNSUPPORTED, "%s: TIFF page %u: %s", x->source->path,
                    (unsigned)TIFFCurrentDirectory(x->tiff) + 1, what);
}

static sal_status read_sample_type(sal_tiff_page *page, const sal_tiff_file *x)
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
static sal_status read_colours(sal_tiff_page *page, const sal_tiff_file *x)
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
        /* Pillow leaves 16 bits as they are. */
        page->kind = page->type == SAL_SAMPLE_U16 && page->samples == 1 && sal_is_pillow(x->source->how)
                         ? SAL_TIFF_DIRECT
                         : SAL_TIFF_INVERTED;
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

/* How many of the samples are colours; 0: the file does not say. */
static int colours_of(const sal_tiff_page *page, uint16_t photometric)
{
    const int is_gray = photometric == PHOTOMETRIC_MINISBLACK || photometric == PHOTOMETRIC_MINISWHITE;
    if (is_gray)
        return page->samples <= 2 ? 1 : 0;
    return page->samples >= 3 ? 3 : 0;
}

/* What the channels are. Colours that were multiplied by their alpha when stored are divided again; floats are not,
 * since nothing says which alpha is 1. */
static sal_status read_meaning(sal_tiff_page *page, const sal_tiff_file *x)
{
    uint16_t photometric = PHOTOMETRIC_MINISBLACK, count = 0;
    uint16_t *kinds = NULL;
    TIFFGetField(x->tiff, TIFFTAG_PHOTOMETRIC, &photometric);
    TIFFGetFieldDefaulted(x->tiff, TIFFTAG_EXTRASAMPLES, &count, &kinds);
    if (page->kind == SAL_TIFF_PALETTE || page->kind == SAL_TIFF_CMYK) {
        page->meaning = SAL_CHANNELS_RGB;
        if (page->kind == SAL_TIFF_CMYK && page->samples > 4 &&
            !(x->source->how && x->source->how->alpha == SAL_ALPHA_DROP))
            return fail_samples(x, "behind the four inks are more samples, which --alpha-over drop leaves out");
        return SAL_OK;
    }
    const int colours = colours_of(page, photometric);
    const int kind = count && kinds && page->samples - count == colours ? kinds[0] : EXTRASAMPLE_UNSPECIFIED;
    const int is_multiplied = kind == EXTRASAMPLE_ASSOCALPHA,
              has_alpha = is_multiplied || kind == EXTRASAMPLE_UNASSALPHA;
    if (colours == 0) /* three grays are as good as RGB: programs that do not care write them so */
        page->meaning = page->samples == 3 ? SAL_CHANNELS_UNSAID : SAL_CHANNELS_PLANES;
    else
        page->meaning = (sal_channels)(colours + has_alpha);
    if (!is_multiplied || colours == 0)
        return SAL_OK;
    if (page->kind == SAL_TIFF_INVERTED)
        return fail_samples(x, "alpha that is multiplied into a gray whose 0 is white");
    page->premultiplied = page->type != SAL_SAMPLE_F32;
    if (!page->premultiplied && x->source->channels > 0 && x->source->channels != page->samples)
        return fail_samples(x, "float colours that are multiplied by their alpha are not read: write them with alpha "
                               "that is not multiplied in (ExtraSamples 2), or without");
    if (!page->premultiplied)
        page->meaning = SAL_CHANNELS_PLANES;
    return SAL_OK;
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
static sal_status check_plausible(const sal_tiff_page *page, const sal_tiff_file *x)
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

static sal_status read_page(sal_tiff_page *page, sal_tiff_file *x)
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
    TRY(read_meaning(page, x));
    TRY(sal_picture_check_size(page->height, page->width, page->channels, x->source));
    st = check_plausible(page, x);
done:
    return st;
}

/* ---- Samples ------------------------------------------------------------ */

/* A strip or tile: `rows` x `columns` pixels of the page at (y, x), rows row_bytes apart in the buffer. */
static void store_block(sal_picture *out, const sal_tiff_page *page, const sal_tiff_block *block)
{
    for (int64_t row = 0; row < block->rows && block->y + row < page->height; row++)
        sal_tiff_store_row(out, page, block, row);
}

static sal_status read_strips(sal_picture *out, const sal_tiff_page *page, sal_tiff_file *x)
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

static sal_status read_tiles(sal_picture *out, const sal_tiff_page *page, sal_tiff_file *x)
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

static int is_page(const sal_tiff_file *x, const sal_tiff_selection *s)
{
    return s->any ? TIFFCurrentDirectory(x->tiff) == 0 : !sal_tiff_is_companion(x->tiff);
}

/* To page `number`: from the one before it, or from the beginning. */
static sal_status go_to(sal_tiff_file *x, const sal_tiff_selection *s, int64_t number, int is_next)
{
    int64_t left = is_next || s->is_raw ? 1 : number + 1;
    if (is_next && s->is_raw)
        return SAL_OK;
    if (!is_next) {
        if (!TIFFSetDirectory(x->tiff, 0))
            return fail_page(x, "cannot go back to the first page");
        left -= is_page(x, s);
    }
    while (left > 0) {
        if (!TIFFReadDirectory(x->tiff))
            return fail_page(x, "the pages changed while they were read");
        left -= is_page(x, s);
    }
    return SAL_OK;
}

/* Counts the pages. */
static sal_status look_through(sal_tiff_selection *s, sal_tiff_file *x)
{
    do
        s->there += !sal_tiff_is_companion(x->tiff);
    while (TIFFReadDirectory(x->tiff));
    /* A chain of pages that breaks off ends like one that is complete, but for the message. */
    if (x->message[0])
        return fail_page(x, "the pages are corrupt");
    s->any = s->there == 0;
    s->there += s->any;
    return SAL_OK;
}

/* A page that describes more than itself. */
static sal_status look_for_stack(sal_tiff_selection *s, sal_tiff_file *x)
{
    sal_status st = SAL_OK;
    const sal_preprocess *how = x->source->how;
    sal_tiff_page page;
    if (s->there != 1 || (how && how->pages == SAL_PAGES_NUMBER && how->page == 0))
        return SAL_OK;
    TRY(go_to(x, s, 0, 0));
    TRY(read_page(&page, x));
    const int64_t images = sal_tiff_images_said(x->tiff, &page);
    if (images > 1) {
        s->there = images;
        st = sal_tiff_find_stack(s, x->tiff, &page, x->source);
    }
done:
    return st;
}

static sal_status check_alike(const sal_tiff_page *page, const sal_tiff_page *first, const sal_tiff_selection *s,
                              const sal_tiff_file *x)
{
    const int is_max = s->pages == SAL_PAGES_MAX;
    if (page->width != first->width || page->height != first->height || page->type != first->type ||
        page->orientation != first->orientation ||
        (is_max && (page->channels != first->channels || page->meaning != first->meaning)))
        return sal_fail(SAL_ERROR_UNSUPPORTED,
                        "%s: TIFF page %u differs from the first in size, sample type%s or orientation: --pages first, "
                        "or a number, takes one of them",
                        x->source->path, (unsigned)TIFFCurrentDirectory(x->tiff) + 1, is_max ? ", channels" : "");
    if (is_max && page->meaning != SAL_CHANNELS_GRAY && page->meaning != SAL_CHANNELS_RGB)
        return fail_samples(x, "--pages max is for pages that are gray or RGB");
    return SAL_OK;
}

/* Adds up the channels of the pages; *first tells what they share. */
static sal_status count_channels(int64_t *channels, sal_tiff_page *first, const sal_tiff_selection *s, sal_tiff_file *x)
{
    sal_status st = SAL_OK;
    *channels = 0;
    for (int64_t i = 0; i < s->count; i++) {
        sal_tiff_page page;
        TRY(go_to(x, s, s->first + i, i > 0));
        TRY(read_page(&page, x));
        if (i == 0)
            *first = page;
        if (s->count > 1)
            TRY(check_alike(&page, first, s, x));
        *channels = s->pages == SAL_PAGES_MAX ? page.channels : *channels + page.channels;
        TRY(sal_picture_check_size(page.height, page.width, *channels, x->source));
    }
done:
    return st;
}

/* A strip or tile, which may be all of a page; turned pictures are copied, and of maxima there is one page more. */
static uint64_t memory_beside(const sal_picture *picture, const sal_tiff_page *first, const sal_tiff_selection *s,
                              const sal_tiff_file *x)
{
    const uint64_t block = TIFFIsTiled(x->tiff) ? TIFFTileSize64(x->tiff) : TIFFStripSize64(x->tiff);
    const uint64_t samples = sal_picture_bytes(picture);
    const uint64_t copy = sal_picture_is_turned(first->orientation, x->source) ? samples : 0;
    const uint64_t other = s->pages == SAL_PAGES_MAX && s->count > 1 ? samples : 0;
    const uint64_t while_read = block > UINT64_MAX - other ? UINT64_MAX : block + other;
    return while_read > copy ? while_read : copy;
}

static sal_status read_samples(sal_picture *out, const sal_tiff_page *page, const sal_tiff_selection *s, int64_t number,
                               sal_tiff_file *x)
{
    sal_status st = SAL_OK;
    if (s->is_raw)
        TRY(sal_tiff_read_raw(out, page, s, number, x->tiff, x->source));
    else
        TRY(TIFFIsTiled(x->tiff) ? read_tiles(out, page, x) : read_strips(out, page, x));
    if (page->premultiplied)
        sal_tiff_divide_alpha(out, page);
done:
    return st;
}

/* other: room for a page, where the largest samples are wanted. */
static sal_status read_pages(sal_picture *out, sal_picture *other, const sal_tiff_selection *s, sal_tiff_file *x)
{
    sal_status st = SAL_OK;
    int64_t channel = 0;
    const int is_max = s->pages == SAL_PAGES_MAX;
    for (int64_t i = 0; i < s->count; i++) {
        sal_tiff_page page;
        sal_picture *to = is_max && i > 0 ? other : out;
        TRY(go_to(x, s, s->first + i, i > 0));
        TRY(read_page(&page, x));
        page.first_channel = is_max ? 0 : channel;
        channel = page.first_channel + page.channels;
        if (channel > out->channels) {
            st = fail_page(x, "the pages changed while they were read");
            goto done;
        }
        TRY(read_samples(to, &page, s, s->first + i, x));
        if (to == other)
            sal_tiff_keep_largest(out, other);
    }
done:
    return st;
}

static sal_status read_file(sal_picture *out, sal_tiff_file *x)
{
    sal_status st = SAL_OK;
    sal_tiff_page first = {0};
    sal_tiff_selection s = {.there = 0};
    sal_picture other = {0};
    int64_t channels = 0;
    TRY(look_through(&s, x));
    TRY(look_for_stack(&s, x));
    TRY(sal_tiff_select(&s, x->source));
    TRY(count_channels(&channels, &first, &s, x));
    *out = (sal_picture){.height = first.height, .width = first.width, .channels = channels, .type = first.type};
    out->meaning = s.pages == SAL_PAGES_CHANNELS && s.count > 1 ? SAL_CHANNELS_PLANES : first.meaning;
    TRY(sal_picture_begin(out, x->source, memory_beside(out, &first, &s, x)));
    if (s.pages == SAL_PAGES_MAX && s.count > 1)
        TRY(sal_picture_new(&other, out->height, out->width, channels, out->type));
    TRY(read_pages(out, &other, &s, x));
    st = sal_picture_orient(out, first.orientation, x->source);
done:
    sal_picture_clear(&other);
    return st;
}

sal_status sal_tiff_decode(sal_picture *out, const sal_image_source *source)
{
    sal_tiff_file x = {.source = source};
    if (!sal_tiff_open(&x))
        return sal_fail(SAL_ERROR_FORMAT, "%s: TIFF: %s", source->path,
                        x.message[0] ? x.message : "the file is corrupt");
    sal_status st = read_file(out, &x);
    TIFFClose(x.tiff);
    return st;
}
