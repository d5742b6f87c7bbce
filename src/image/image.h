/* Decoders and encoders of pictures, from and to memory. Knows nothing of networks. */
#ifndef SAL_IMAGE_IMAGE_H
#define SAL_IMAGE_IMAGE_H

#include "base/error.h"

/* Called before a picture takes memory: it takes `bytes` from now on, all told. May wait; an error refuses it. */
typedef struct sal_image_gate {
    sal_status (*pass)(void *context, uint64_t bytes);
    void *context;
} sal_image_gate;

/* A whole file in memory, its name for messages and what it may ask for. */
typedef struct sal_image_source {
    const unsigned char *bytes;
    size_t size;
    const char *path;
    uint64_t max_pixels;
    uint64_t max_memory; /* 0: any */
    int pixels_given;    /* 1: max_pixels is no default */
    const sal_image_gate *gate;
    const sal_preprocess *how; /* which pages, and whether turned; NULL: the defaults */
    int64_t channels;          /* of the network that it is for; 0: any */
} sal_image_source;

/* sal_picture_read_for, and how many bytes the file has: 0 where it cannot be read. gate: somebody who decides when
 * there is memory, or NULL. */
sal_status sal_picture_read_through(sal_picture *out, size_t *size, const char *path, const sal_preprocess *how,
                                    int64_t channels, const sal_limits *limits, const sal_image_gate *gate);
/* The default of sal_limits.max_memory, now. */
uint64_t sal_picture_default_memory(void);

/* Refuses a large file that its first bytes speak against: no picture at all, over the limits, or far more bytes than
 * what they declare can take. source: these bytes. Errors: FORMAT, LIMIT. */
sal_status sal_picture_judge(const sal_image_source *source, uint64_t file_size);

/* Decodes by content, within the limits of the source. On success the samples belong to *out; on failure *out is
 * zeroed. */
sal_status sal_source_decode(sal_picture *out, const sal_image_source *source);

/* One decoder per format, each for sal_source_decode alone: on failure they may
 * leave samples in *out, which the caller clears. */
sal_status sal_png_decode(sal_picture *out, const sal_image_source *source);
sal_status sal_jpeg_decode(sal_picture *out, const sal_image_source *source);
sal_status sal_tiff_decode(sal_picture *out, const sal_image_source *source);
sal_status sal_npy_decode(sal_picture *out, const sal_image_source *source);

/* Refuses empty sizes (FORMAT) and those over the limit (LIMIT): height * width may
 * reach max_pixels, and more than four channels no more samples than RGBA would have. */
sal_status sal_picture_check_size(int64_t height, int64_t width, int64_t channels, const sal_image_source *source);
/* Samples for a picture whose other fields are set and checked, as sal_picture_new does. beside: what its
 * decoder has for a time beside them and the file. Errors: LIMIT (more than max_memory), MEMORY, those of the gate. */
sal_status sal_picture_begin(sal_picture *out, const sal_image_source *source, uint64_t beside);
/* Bytes of all samples, UINT64_MAX if there is no such number. */
uint64_t sal_picture_bytes(const sal_picture *picture);
/* Zeroed samples for a picture of a checked size. */
sal_status sal_picture_new(sal_picture *out, int64_t height, int64_t width, int64_t channels, sal_sample_type type);
size_t sal_sample_size(sal_sample_type type);

/* Any picture as 8-bit RGB, to look at: base/shade.h says how. On success the samples belong to *out. */
sal_status sal_picture_to_rgb8(sal_picture *out, const sal_picture *in, const sal_preprocess *preprocess);

/* Orientation 1..8 as EXIF and TIFF number them; 1 where the EXIF of a file has none. */
int sal_exif_orientation(const unsigned char *segment, size_t size);
/* Notes what a file declares, and turns or mirrors the picture so that it is upright, unless that is to be ignored;
 * values outside 2..8 leave it as it is. */
sal_status sal_picture_orient(sal_picture *picture, int orientation, const sal_image_source *source);
/* Whether that would make a copy of it. */
int sal_picture_is_turned(int orientation, const sal_image_source *source);

/* Values (height, width) within 0 and 1 as 16-bit gray, to the nearest level. Error: MEMORY. */
sal_status sal_gray16_make(sal_picture *out, const float *values, int64_t height, int64_t width);

/* Writes C-ordered float32 values as a .npy file, whole or not at all. */
sal_status sal_npy_write(const char *path, const float *data, const int64_t *shape, int rank);
/* The same values as the one array `name` (what numpy.load's result is indexed by; UTF-8) of a
 * compressed .npz file, whole or not at all; equal arguments give equal bytes.
 * Errors: ARGUMENT (name, shape), LIMIT, MEMORY, IO (naming the path). */
sal_status sal_npz_write(const char *path, const char *name, const float *data, const int64_t *shape, int rank);

/* The one array of such a file, which is called `name`, as sal_npy_decode has it: of a file in memory, whose path is
 * for messages. limits: complete, of the archive, the array in it and the samples together; NULL: the defaults. Errors:
 * FORMAT, LIMIT, UNSUPPORTED (also: packed in another way than NumPy's), MEMORY. */
sal_status sal_npz_decode(sal_picture *out, const void *bytes, size_t size, const char *name, const char *path,
                          const sal_limits *limits);

enum { SAL_JPEG_QUALITY = 90 }; /* of overlays */

/* Writes 8-bit gray or RGB as a baseline JPEG without colour subsampling, whole or not at all;
 * quality 1..100 as libjpeg counts it. Errors, naming the path: ARGUMENT (samples, channels,
 * quality, no pixels), UNSUPPORTED (a side over 65500), MEMORY, IO. */
sal_status sal_jpeg_write(const char *path, const sal_picture *picture, int quality);

/* One of R, G, B from what is left of its complementary ink and of black, each
 * 255 where there is no ink: the plain conversion without a colour profile. */
static inline unsigned char sal_cmyk_channel(unsigned no_ink, unsigned no_black)
{
    return (unsigned char)((no_ink * no_black + 127) / 255);
}

#endif
