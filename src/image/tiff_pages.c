#include "image/tiff_pages.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

int sal_tiff_is_companion(TIFF *tiff)
{
    uint32_t kind = 0;
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SUBFILETYPE, &kind);
    return (kind & (FILETYPE_REDUCEDIMAGE | FILETYPE_MASK)) != 0;
}

/* ---- Which of them ------------------------------------------------------ */

static sal_status refuse_many(const sal_tiff_selection *s, const sal_image_source *source)
{
    return sal_fail(SAL_ERROR_UNSUPPORTED,
                    "%s: TIFF: %lld pages, and nothing says what they are: --pages first, or a number, takes one of "
                    "them, --pages channels makes each a channel, --pages max takes the largest of their samples",
                    source->path, (long long)s->there);
}

sal_status sal_tiff_select(sal_tiff_selection *s, const sal_image_source *source)
{
    const sal_preprocess *how = source->how;
    s->pages = how ? how->pages : SAL_PAGES_AUTO;
    s->first = 0;
    s->count = s->there;
    if (s->pages == SAL_PAGES_NUMBER) {
        s->first = how->page;
        s->count = 1;
        if (s->first >= s->there)
            return sal_fail(SAL_ERROR_UNSUPPORTED, "%s: TIFF: there is no page %lld: the file has %lld", source->path,
                            (long long)s->first + 1, (long long)s->there);
    } else if (s->pages == SAL_PAGES_AUTO) {
        /* Networks with more inputs than colours can have take their pictures as stacks. */
        if (s->there > 1 && (s->there <= 4 || s->there != source->channels))
            return refuse_many(s, source);
        s->pages = SAL_PAGES_CHANNELS;
    }
    return SAL_OK;
}

/* ---- Stacks with one page ----------------------------------------------- */

static const int64_t most_images = INT32_MAX;

/* The number that a line of ImageJ's gives: "images=12". */
static int64_t images_of_imagej(const char *text)
{
    static const char key[] = "\nimages=";
    const char *at = strstr(text, key);
    const long long images = at ? strtoll(at + sizeof key - 1, NULL, 10) : 1;
    return images >= 1 && images <= most_images ? images : 1;
}

/* The product of tifffile's shape, {"shape": [12, 64, 64]}, over what a page has. */
static int64_t images_of_shape(const char *numbers, const sal_tiff_page *page)
{
    int64_t product = 1, of_page;
    if (__builtin_mul_overflow(page->height * page->samples, page->width,
                               &of_page)) /* the factors have 32 and 16 bits */
        return 1;
    for (const char *at = numbers;; at++) {
        char *end;
        const long long side = strtoll(at, &end, 10);
        if (end == at || side < 1 || __builtin_mul_overflow(product, (int64_t)side, &product))
            return 1;
        at = end + strspn(end, " ");
        if (*at != ',')
            break;
    }
    return product % of_page == 0 && product / of_page <= most_images ? product / of_page : 1;
}

int64_t sal_tiff_images_said(TIFF *tiff, const sal_tiff_page *page)
{
    static const char imagej[] = "ImageJ=", shaped[] = "{\"shape\": [";
    const char *text = NULL;
    if (!TIFFGetField(tiff, TIFFTAG_IMAGEDESCRIPTION, &text) || !text)
        return 1;
    if (strncmp(text, imagej, sizeof imagej - 1) == 0)
        return images_of_imagej(text);
    if (strncmp(text, shaped, sizeof shaped - 1) == 0)
        return images_of_shape(text + sizeof shaped - 1, page);
    return 1;
}

static uint64_t bytes_of_page(const sal_tiff_page *page)
{
    return (uint64_t)(sal_tiff_row_bytes(page, page->width) * page->height);
}

/* Whether the samples of a page lie in one piece, as they are. */
static int is_plain(uint64_t *offset, TIFF *tiff, const sal_tiff_page *page)
{
    uint16_t compression = COMPRESSION_NONE;
    uint64_t *offsets = NULL, *sizes = NULL;
    TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &compression);
    if (compression != COMPRESSION_NONE || TIFFIsTiled(tiff) || page->planar || page->bits < 8 ||
        !TIFFGetField(tiff, TIFFTAG_STRIPOFFSETS, &offsets) || !TIFFGetField(tiff, TIFFTAG_STRIPBYTECOUNTS, &sizes) ||
        !offsets || !sizes)
        return 0;
    const uint32_t strips = TIFFNumberOfStrips(tiff);
    for (uint32_t i = 1; i < strips; i++)
        if (offsets[i] - offsets[i - 1] != sizes[i - 1])
            return 0;
    *offset = strips ? offsets[0] : 0;
    return strips != 0;
}

sal_status sal_tiff_find_stack(sal_tiff_selection *s, TIFF *tiff, const sal_tiff_page *page,
                               const sal_image_source *source)
{
    const uint64_t size = source->size;
    s->is_raw = 1;
    if (is_plain(&s->offset, tiff, page) && s->offset <= size &&
        (size - s->offset) / bytes_of_page(page) >= (uint64_t)s->there)
        return SAL_OK;
    return sal_fail(SAL_ERROR_UNSUPPORTED,
                    "%s: TIFF: its description says that there are %lld images, and it has one page: --pages first "
                    "takes that; save the others as pages",
                    source->path, (long long)s->there);
}

sal_status sal_tiff_read_raw(sal_picture *out, const sal_tiff_page *page, const sal_tiff_selection *s, int64_t number,
                             TIFF *tiff, const sal_image_source *source)
{
    sal_status st = SAL_OK;
    unsigned char *row = NULL;
    const size_t row_bytes = (size_t)sal_tiff_row_bytes(page, page->width);
    const unsigned char *from = source->bytes + s->offset + (uint64_t)number * bytes_of_page(page);
    const tmsize_t samples = (tmsize_t)(page->width * page->samples);
    TRY(sal_alloc(&row, row_bytes, 1, "a row of a picture"));
    for (int64_t y = 0; y < page->height; y++, from += row_bytes) {
        memcpy(row, from, row_bytes);
        if (TIFFIsByteSwapped(tiff) && page->bits == 16)
            TIFFSwabArrayOfShort((uint16_t *)(void *)row, samples);
        else if (TIFFIsByteSwapped(tiff) && page->bits == 32)
            TIFFSwabArrayOfLong((uint32_t *)(void *)row, samples);
        else if (TIFFIsByteSwapped(tiff) && page->bits == 64)
            TIFFSwabArrayOfLong8((uint64_t *)(void *)row, samples);
        const sal_tiff_block block = {row, (int64_t)row_bytes, y, 0, 1, page->width, 0};
        sal_tiff_store_row(out, page, &block, 0);
    }
done:
    sal_free(row);
    return st;
}

/* ---- The largest -------------------------------------------------------- */

void sal_tiff_keep_largest(sal_picture *largest, const sal_picture *other)
{
    const size_t n = (size_t)(largest->height * largest->width * largest->channels);
    unsigned char *u8 = largest->samples;
    uint16_t *u16 = largest->samples;
    float *f32 = largest->samples;
    for (size_t i = 0; i < n; i++)
        if (largest->type == SAL_SAMPLE_U8) {
            const unsigned char value = ((const unsigned char *)other->samples)[i];
            u8[i] = value > u8[i] ? value : u8[i];
        } else if (largest->type == SAL_SAMPLE_U16) {
            const uint16_t value = ((const uint16_t *)other->samples)[i];
            u16[i] = value > u16[i] ? value : u16[i];
        } else {
            const float value = ((const float *)other->samples)[i];
            f32[i] = value <= f32[i] || f32[i] != f32[i] ? f32[i] : value;
        }
}
