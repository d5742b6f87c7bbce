#include "image/tiff_samples.h"

#include <string.h>

int64_t sal_tiff_row_bytes(const sal_tiff_page *page, int64_t columns)
{
    return (columns * (page->planar ? 1 : page->samples) * page->bits + 7) / 8;
}

/* Sample number `index` of a row with 1, 2, 4 or 8 bits a sample, most significant first. */
static unsigned get_bits(const unsigned char *row, int64_t index, int bits)
{
    int64_t bit = index * bits;
    unsigned mask = (1U << bits) - 1;
    return (unsigned)row[bit / 8] >> (8 - bits - (int)(bit % 8)) & mask;
}

static void store_palette(unsigned char *to, size_t step, const sal_tiff_page *page, const unsigned char *row,
                          int64_t columns)
{
    /* Some writers filled the 16-bit table with 8-bit values. */
    int shift = 0;
    for (int i = 0; i < 1 << page->bits; i++)
        for (int c = 0; c < 3; c++)
            if (page->palette[c][i] > 255)
                shift = 8;
    for (int64_t i = 0; i < columns; i++, to += step) {
        unsigned index = get_bits(row, i, page->bits);
        for (int c = 0; c < 3; c++)
            to[c] = (unsigned char)(page->palette[c][index] >> shift);
    }
}

static void store_cmyk(unsigned char *to, size_t step, const sal_tiff_page *page, const unsigned char *row,
                       int64_t columns)
{
    for (int64_t i = 0; i < columns; i++, to += step, row += page->samples)
        for (int c = 0; c < 3; c++)
            to[c] = sal_cmyk_channel(255U - row[c], 255U - row[3]);
}

/* Which part of the picture's pixel a block's pixel fills. */
typedef struct span {
    size_t first; /* index of the first sample in the picture */
    size_t step;  /* from pixel to pixel of the picture */
    int count;    /* samples of a pixel */
    int invert;   /* how many of them, from the first on, have 0 for white */
} span;

static void store_u8(unsigned char *to, const span *s, const unsigned char *row, int64_t columns, int bits)
{
    unsigned full = (1U << bits) - 1;
    unsigned gain = 255U / full;
    for (int64_t i = 0; i < columns; i++)
        for (int c = 0; c < s->count; c++) {
            unsigned value = bits == 8 ? row[i * s->count + c] : get_bits(row, i * s->count + c, bits);
            to[s->first + (size_t)i * s->step + (size_t)c] =
                (unsigned char)((c < s->invert ? full - value : value) * gain);
        }
}

static void store_u16(uint16_t *to, const span *s, const unsigned char *row, int64_t columns)
{
    for (int64_t i = 0; i < columns; i++)
        for (int c = 0; c < s->count; c++) {
            uint16_t value; /* in the host's order already: libtiff swaps */
            memcpy(&value, row + (i * s->count + c) * 2, sizeof value);
            to[s->first + (size_t)i * s->step + (size_t)c] = c < s->invert ? (uint16_t)(65535 - value) : value;
        }
}

static void store_f32(float *to, const span *s, const unsigned char *row, int64_t columns, int bits)
{
    for (int64_t i = 0; i < columns; i++)
        for (int c = 0; c < s->count; c++) {
            float value;
            double wide;
            if (bits == 32) {
                memcpy(&value, row + (i * s->count + c) * 4, sizeof value);
            } else {
                memcpy(&wide, row + (i * s->count + c) * 8, sizeof wide);
                value = (float)wide;
            }
            to[s->first + (size_t)i * s->step + (size_t)c] = value;
        }
}

void sal_tiff_store_row(sal_picture *out, const sal_tiff_page *page, const sal_tiff_block *block, int64_t row)
{
    const unsigned char *from = block->bytes + row * block->row_bytes;
    size_t pixel = (size_t)((block->y + row) * page->width + block->x);
    int inverted = page->kind == SAL_TIFF_INVERTED;
    span s = {.first = pixel * (size_t)out->channels + (size_t)page->first_channel,
              .step = (size_t)out->channels,
              .count = page->samples,
              .invert = inverted};
    if (page->kind == SAL_TIFF_PALETTE) {
        store_palette((unsigned char *)out->samples + s.first, s.step, page, from, block->columns);
        return;
    }
    if (page->kind == SAL_TIFF_CMYK) {
        store_cmyk((unsigned char *)out->samples + s.first, s.step, page, from, block->columns);
        return;
    }
    if (page->planar) {
        s.first += (size_t)block->plane;
        s.count = 1;
        s.invert = inverted && block->plane == 0;
    }
    switch (page->type) {
    case SAL_SAMPLE_U8: store_u8(out->samples, &s, from, block->columns, page->bits); break;
    case SAL_SAMPLE_U16: store_u16(out->samples, &s, from, block->columns); break;
    case SAL_SAMPLE_F32: store_f32(out->samples, &s, from, block->columns, page->bits); break;
    }
}

static unsigned get_sample(const sal_picture *p, size_t index)
{
    return p->type == SAL_SAMPLE_U8 ? ((unsigned char *)p->samples)[index] : ((uint16_t *)p->samples)[index];
}

void sal_tiff_divide_alpha(sal_picture *out, const sal_tiff_page *page)
{
    unsigned full = out->type == SAL_SAMPLE_U8 ? 255U : 65535U;
    size_t pixels = (size_t)out->height * (size_t)out->width;
    size_t colours = (size_t)page->samples - 1;
    for (size_t i = 0; i < pixels; i++) {
        size_t first = i * (size_t)out->channels + (size_t)page->first_channel;
        unsigned alpha = get_sample(out, first + colours);
        for (size_t c = 0; c < colours; c++) {
            unsigned value = get_sample(out, first + c);
            /* At most 65535 * 65535, which an unsigned holds. */
            value = alpha ? (value < alpha ? value * full / alpha : full) : 0;
            if (out->type == SAL_SAMPLE_U8)
                ((unsigned char *)out->samples)[first + c] = (unsigned char)value;
            else
                ((uint16_t *)out->samples)[first + c] = (uint16_t)value;
        }
    }
}
