/* Which pages of a TIFF are the picture. For tiff.c alone. */
#ifndef SAL_IMAGE_TIFF_PAGES_H
#define SAL_IMAGE_TIFF_PAGES_H

#include "image/tiff_samples.h"

#include <tiffio.h>

typedef struct sal_tiff_selection {
    sal_pages pages; /* never AUTO: which of them, and what they are */
    int64_t first;   /* from 0, */
    int64_t count;   /* and how many */
    int64_t there;   /* in the file */
    int any;         /* 1: there are none but copies and masks, and the first of these is the picture */
    int is_raw;      /* 1: they lie one behind the other, and the file describes the first alone */
    uint64_t offset; /* then: where the first begins */
} sal_tiff_selection;

/* Masks, thumbnails and levels of pyramids accompany a picture; they are no part of it. */
int sal_tiff_is_companion(TIFF *tiff);
/* How many images the current page says there are, in the words of ImageJ or tifffile; 1: it does not say. */
int64_t sal_tiff_images_said(TIFF *tiff, const sal_tiff_page *page);
/* Chooses, of so many pages that are there. Error: UNSUPPORTED, which names the options. */
sal_status sal_tiff_select(sal_tiff_selection *selection, const sal_image_source *source);
/* Where the pages of a stack begin that is described by its first page, the current one. Error: UNSUPPORTED. */
sal_status sal_tiff_find_stack(sal_tiff_selection *selection, TIFF *tiff, const sal_tiff_page *page,
                               const sal_image_source *source);
/* Page `number` of such a stack, from 0. Error: MEMORY. */
sal_status sal_tiff_read_raw(sal_picture *out, const sal_tiff_page *page, const sal_tiff_selection *selection,
                             int64_t number, TIFF *tiff, const sal_image_source *source);
/* Keeps the larger of each sample of both pictures, which are alike; NaN stays. */
void sal_tiff_keep_largest(sal_picture *largest, const sal_picture *other);

#endif
