/* JPEG writing through libjpeg-turbo. Errors leave the library by longjmp: all state
 * lives in one struct that outlives the jump. */
#include "image/encode.h"

#include "base/file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

typedef struct jpeg_context {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    jmp_buf jump;
    sal_status status;
    const char *path;
    FILE *stream;
} jpeg_context;

static void fail_with_message(j_common_ptr common)
{
    jpeg_context *x = common->client_data;
    char message[JMSG_LENGTH_MAX];
    switch (common->err->msg_code) {
    case JERR_OUT_OF_MEMORY: x->status = sal_fail_memory(0, "libjpeg"); break;
    case JERR_FILE_WRITE: x->status = sal_fail(SAL_ERROR_IO, "%s: cannot write: %s", x->path, strerror(errno)); break;
    default:
        common->err->format_message(common, message);
        x->status = sal_fail(SAL_ERROR_UNSUPPORTED, "%s: JPEG: %s", x->path, message);
    }
    longjmp(x->jump, 1);
}

/* Nothing is printed; errors alone count. */
static void on_message(j_common_ptr common, int level)
{
    (void)common;
    (void)level;
}

static sal_status write_picture(jpeg_context *x, const sal_picture *picture, int quality)
{
    struct jpeg_compress_struct *jpeg = &x->jpeg;
    if (setjmp(x->jump))
        return x->status;
    jpeg_create_compress(jpeg);
    jpeg->client_data = x;
    jpeg_stdio_dest(jpeg, x->stream);
    jpeg->image_width = (JDIMENSION)picture->width;
    jpeg->image_height = (JDIMENSION)picture->height;
    jpeg->input_components = (int)picture->channels;
    jpeg->in_color_space = picture->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(jpeg);
    jpeg_set_quality(jpeg, quality, TRUE);
    /* Full resolution for colour: it is what a map over a picture says. */
    jpeg->comp_info[0].h_samp_factor = 1;
    jpeg->comp_info[0].v_samp_factor = 1;
    jpeg_start_compress(jpeg, TRUE);
    size_t row_bytes = (size_t)picture->width * (size_t)picture->channels;
    while (jpeg->next_scanline < jpeg->image_height) {
        /* The library only reads rows, though it does not say so. */
        JSAMPROW row = (JSAMPROW)picture->samples + jpeg->next_scanline * row_bytes;
        jpeg_write_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_compress(jpeg);
    return SAL_OK;
}

sal_status sal_jpeg_check(const sal_picture *picture, int quality, const char *path)
{
    if (picture->type != SAL_SAMPLE_U8)
        return sal_fail(SAL_ERROR_ARGUMENT, "%s: JPEG has samples of 8 bits only", path);
    if (picture->channels != 1 && picture->channels != 3)
        return sal_fail(SAL_ERROR_ARGUMENT, "%s: JPEG is written with 1 or 3 channels, not %lld", path,
                        (long long)picture->channels);
    if (quality < 1 || quality > 100)
        return sal_fail(SAL_ERROR_ARGUMENT, "%s: JPEG quality is 1 to 100, not %d", path, quality);
    if (picture->height < 1 || picture->width < 1 || !picture->samples)
        return sal_fail(SAL_ERROR_ARGUMENT, "%s: JPEG cannot hold %lld x %lld pixels", path, (long long)picture->width,
                        (long long)picture->height);
    if (picture->height > JPEG_MAX_DIMENSION || picture->width > JPEG_MAX_DIMENSION)
        return sal_fail(SAL_ERROR_UNSUPPORTED, "%s: JPEG cannot hold %lld x %lld pixels, its sides have at most %ld",
                        path, (long long)picture->width, (long long)picture->height, (long)JPEG_MAX_DIMENSION);
    return SAL_OK;
}

sal_status sal_jpeg_put(FILE *to, const sal_picture *picture, int quality, const char *path)
{
    jpeg_context x = {.path = path, .stream = to};
    x.jpeg.err = jpeg_std_error(&x.errors);
    x.jpeg.client_data = &x;
    x.errors.error_exit = fail_with_message;
    x.errors.emit_message = on_message;
    const sal_status st = write_picture(&x, picture, quality);
    jpeg_destroy_compress(&x.jpeg);
    return st;
}

sal_status sal_jpeg_write(const char *path, const sal_picture *picture, int quality)
{
    sal_status st = SAL_OK;
    sal_file_out file = {0};
    TRY(sal_jpeg_check(picture, quality, path));
    TRY(sal_file_create(&file, path));
    TRY(sal_jpeg_put(file.stream, picture, quality, path));
    st = sal_file_commit(&file);
done:
    sal_file_discard(&file);
    return st;
}
