/* From the samples of a TIFF strip or tile to those of a picture. For tiff.c alone. */
#ifndef SAL_IMAGE_TIFF_SAMPLES_H
#define SAL_IMAGE_TIFF_SAMPLES_H

#include "image/image.h"

typedef enum sal_tiff_kind { SAL_TIFF_DIRECT, SAL_TIFF_INVERTED, SAL_TIFF_PALETTE, SAL_TIFF_CMYK } sal_tiff_kind;

typedef struct sal_tiff_page {
    int64_t height;
    int64_t width;
    int64_t channels;      /* of the picture that this page fills ... */
    int64_t first_channel; /* ... from this one on */
    int samples;           /* per pixel in the file */
    int bits;              /* per sample: 1, 2, 4, 8, 16, or float 32, 64 */
    int planar;            /* 1: each sample has its own strips or tiles */
    int orientation;
    int premultiplied; /* 1: colours were multiplied by the alpha, the last sample */
    sal_sample_type type;
    sal_channels meaning; /* of this page alone */
    sal_tiff_kind kind;
    uint16_t *palette[3]; /* borrowed from libtiff for the time of the page */
} sal_tiff_page;

/* Decoded strip or tile: `rows` x `columns` pixels that lie at (y, x) of the page. */
typedef struct sal_tiff_block {
    const unsigned char *bytes;
    int64_t row_bytes;
    int64_t y;
    int64_t x;
    int64_t rows;
    int64_t columns;
    int plane; /* sample that a planar block holds */
} sal_tiff_block;

/* Bytes that a row of `columns` pixels fills at least. */
int64_t sal_tiff_row_bytes(const sal_tiff_page *page, int64_t columns);
/* Row number `row` of the block, which must lie inside the page. */
void sal_tiff_store_row(sal_picture *out, const sal_tiff_page *page, const sal_tiff_block *block, int64_t row);
/* Undoes the multiplication by alpha; black where alpha is 0. */
void sal_tiff_divide_alpha(sal_picture *out, const sal_tiff_page *page);

#endif
