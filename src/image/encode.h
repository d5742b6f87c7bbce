/* Encoders, each to a stream: what becomes of its bytes, a file or memory, they do not know. */
#ifndef SAL_IMAGE_ENCODE_H
#define SAL_IMAGE_ENCODE_H

#include "image/image.h"
#include "image/npy.h"

#include <stdio.h>

/* Whether a picture can be encoded: asked before there is a file. path: for messages.
 * Errors: ARGUMENT, UNSUPPORTED. */
sal_status sal_png_check(const sal_picture *picture, const char *path);
sal_status sal_jpeg_check(const sal_picture *picture, int quality, const char *path);
/* Errors: IO (the stream), MEMORY, LIMIT. */
sal_status sal_png_put(FILE *to, const sal_picture *picture, const char *path);
sal_status sal_jpeg_put(FILE *to, const sal_picture *picture, int quality, const char *path);

/* A .npy file of a head that was made, and its values. Error: IO. */
sal_status sal_npy_put(FILE *to, const sal_npy_head *head, const float *data, const char *path);
/* A .npz file of the one array `name`, whose head was made. Errors: ARGUMENT (the name), MEMORY, IO. */
sal_status sal_npz_put(FILE *to, const char *name, const sal_npy_head *head, const float *data, const char *path);

#endif
