/* What the first bytes of a file say. */
#ifndef SAL_IMAGE_HEAD_H
#define SAL_IMAGE_HEAD_H

#include "image/image.h"

typedef enum sal_picture_kind {
    SAL_KIND_NONE,
    SAL_KIND_PNG,
    SAL_KIND_JPEG,
    SAL_KIND_TIFF,
    SAL_KIND_NPY
} sal_picture_kind;

sal_picture_kind sal_picture_kind_of(const sal_image_source *source);
/* The error for SAL_KIND_NONE. */
sal_status sal_picture_refuse_kind(const sal_image_source *source);
/* Bytes that the header of a .npy file and its values take; error: FORMAT, UNSUPPORTED, LIMIT, as of decoding. */
sal_status sal_npy_measure(uint64_t *bytes, const sal_image_source *source);

#endif
