/* The head of a .npy file of float32 values, for what writes one: alone or inside of an archive. */
#ifndef SAL_IMAGE_NPY_H
#define SAL_IMAGE_NPY_H

#include "base/error.h"

typedef struct sal_npy_head {
    char bytes[256]; /* magic, version 1.0 and the dict, padded so that the values start at a multiple of 64 */
    size_t size;     /* of bytes */
    size_t count;    /* of values that follow */
} sal_npy_head;

/* For C-ordered values of this machine's byte order. Errors: ARGUMENT (a negative size, over
 * five axes), LIMIT (the sizes' product overflows); they name the path. */
sal_status sal_npy_head_make(sal_npy_head *out, const int64_t *shape, int rank, const char *path);

#endif
