/* A TIFF in memory as libtiff reads it. For tiff.c alone. */
#ifndef SAL_IMAGE_TIFF_FILE_H
#define SAL_IMAGE_TIFF_FILE_H

#include "image/image.h"

#include <tiffio.h>

typedef struct sal_tiff_file {
    TIFF *tiff;
    const sal_image_source *source;
    uint64_t position;
    char message[256]; /* libtiff's first complaint */
} sal_tiff_file;

/* Opens the source, which is set, and stays at its first page. 0: it is none; message says why, as far as libtiff does.
 * To be closed with TIFFClose. */
int sal_tiff_open(sal_tiff_file *file);

#endif
