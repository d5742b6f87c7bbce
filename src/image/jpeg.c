/* JPEG through libjpeg-turbo. Errors leave the library by longjmp: all state lives
 * in one struct that outlives the jump. */
#include "image/image.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

/* Huffman codes spend at least one bit on a block of 64 pixels. */
enum { MAX_PIXELS_PER_BYTE = 512 };
/* Real progressive files have about ten scans; thousands only waste time. */
enum { MAX_SCANS = 500 };

typedef struct jpeg_context {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    sal_status status;
    const sal_image_source *source;
    int orientation;
    unsigned char *row; /* one row of CMYK */
} jpeg_context;

static sal_status status_of(int code)
{
    switch (code) {
    case JERR_OUT_OF_MEMORY: return SAL_ERROR_MEMORY;
    case JERR_BAD_PRECISION:
    case JERR_SOF_UNSUPPORTED:
    case JERR_ARITH_NOTIMPL:
    case JERR_CONVERSION_NOTIMPL: return SAL_ERROR_UNSUPPORTED;
    default: return SAL_ERROR_FORMAT;
    }
}

static void fail_with_message(j_common_ptr common)
{
    jpeg_context *x = common->client_data;
    char message[JMSG_LENGTH_MAX];
    common->err->format_message(common, message);
    x->status = sal_fail(status_of(common->err->msg_code), "%s: JPEG: %s", x->source->path, message);
    longjmp(x->jump, 1);
}

/* libjpeg goes on with made-up pixels where data is missing or broken and calls it
 * a warning; here it is an error. What does not touch pixels is let through. */
static void on_message(j_common_ptr common, int level)
{
    if (level >= 0)
        return;
    switch (common->err->msg_code) {
    case JWRN_ADOBE_XFORM:
    case JWRN_EXTRANEOUS_DATA: /* padding between segments, as some cameras leave it */
    case JWRN_JFIF_MAJOR: return;
    default: fail_with_message(common);
    }
}

static void on_output(j_common_ptr common)
{
    (void)common;
}

static void on_progress(j_common_ptr common)
{
    jpeg_context *x = common->client_data;
    if (x->jpeg.input_scan_number <= MAX_SCANS)
        return;
    x->status = sal_fail(SAL_ERROR_LIMIT, "%s: JPEG: more than %d scans", x->source->path, MAX_SCANS);
    longjmp(x->jump, 1);
}

static sal_status check_header(jpeg_context *x)
{
    struct jpeg_decompress_struct *jpeg = &x->jpeg;
    sal_status st = sal_picture_check_size(jpeg->image_height, jpeg->image_width, jpeg->num_components, x->source);
    if (st != SAL_OK)
        return st;
    /* A small file that declares a large picture is refused before memory is asked for. */
    uint64_t pixels = (uint64_t)jpeg->image_height * jpeg->image_width;
    if (!jpeg->arith_code && pixels / MAX_PIXELS_PER_BYTE > x->source->size)
        return sal_fail(SAL_ERROR_FORMAT, "%s: JPEG: %u x %u pixels cannot be in a file of %zu bytes: it is truncated",
                        x->source->path, jpeg->image_width, jpeg->image_height, x->source->size);
    return SAL_OK;
}

/* TensorFlow takes the luma of the file where a network wants gray. */
static int is_luma_wanted(const sal_image_source *source)
{
    const sal_preprocess *how = source->how;
    return how && how->jpeg_dct == SAL_JPEG_DCT_FAST && source->channels == 1 &&
           (how->order == SAL_ORDER_AUTO || how->order == SAL_ORDER_GRAY);
}

static sal_status choose_colours(jpeg_context *x)
{
    switch (x->jpeg.jpeg_color_space) {
    case JCS_GRAYSCALE: x->jpeg.out_color_space = JCS_GRAYSCALE; return SAL_OK;
    case JCS_RGB:
    case JCS_YCbCr: x->jpeg.out_color_space = is_luma_wanted(x->source) ? JCS_GRAYSCALE : JCS_RGB; return SAL_OK;
    case JCS_CMYK:
    case JCS_YCCK: x->jpeg.out_color_space = JCS_CMYK; return SAL_OK;
    default:
        return sal_fail(SAL_ERROR_UNSUPPORTED, "%s: JPEG: unknown colour space of %d components", x->source->path,
                        x->jpeg.num_components);
    }
}

/* Writers of four inks follow Adobe and store their complements: 255 is no ink. */
static void rgb_from_cmyk(unsigned char *to, const unsigned char *from, int64_t width)
{
    for (int64_t i = 0; i < width; i++, to += 3, from += 4)
        for (int c = 0; c < 3; c++)
            to[c] = sal_cmyk_channel(from[c], from[3]);
}

/* Progressive pictures are put together of coefficients of two bytes; turned ones are copied. */
static uint64_t memory_beside(const sal_picture *picture, jpeg_context *x)
{
    const uint64_t samples = (uint64_t)picture->height * (uint64_t)picture->width * (uint64_t)x->jpeg.num_components;
    const uint64_t coefficients = jpeg_has_multiple_scans(&x->jpeg) ? 2 * samples : 0;
    return coefficients > samples || !sal_picture_is_turned(x->orientation, x->source) ? coefficients : samples;
}

static int channels_of(const struct jpeg_decompress_struct *jpeg)
{
    return jpeg->out_color_space == JCS_GRAYSCALE ? 1 : 3;
}

/* Before libjpeg starts: that is where it takes the memory for all coefficients of a progressive picture. */
static sal_status begin_picture(sal_picture *out, jpeg_context *x)
{
    struct jpeg_decompress_struct *jpeg = &x->jpeg;
    jpeg_calc_output_dimensions(jpeg);
    *out = (sal_picture){.height = jpeg->output_height, .width = jpeg->output_width, .channels = channels_of(jpeg)};
    out->meaning = out->channels == 1 ? SAL_CHANNELS_GRAY : SAL_CHANNELS_RGB;
    return sal_picture_begin(out, x->source, memory_beside(out, x));
}

static sal_status read_rows(sal_picture *out, jpeg_context *x)
{
    struct jpeg_decompress_struct *jpeg = &x->jpeg;
    const int cmyk = jpeg->out_color_space == JCS_CMYK;
    if (cmyk && (x->status = sal_alloc(&x->row, (size_t)out->width, 4, "a row of a picture")) != SAL_OK)
        return x->status;
    size_t row_bytes = (size_t)out->width * (size_t)channels_of(jpeg);
    while (jpeg->output_scanline < jpeg->output_height) {
        unsigned char *to = (unsigned char *)out->samples + jpeg->output_scanline * row_bytes;
        JSAMPROW rows[] = {cmyk ? x->row : to};
        if (jpeg_read_scanlines(jpeg, rows, 1) != 1)
            return sal_fail(SAL_ERROR_FORMAT, "%s: JPEG: the file is truncated", x->source->path);
        if (cmyk)
            rgb_from_cmyk(to, x->row, out->width);
    }
    return SAL_OK;
}

static int orientation_of(const jpeg_context *x)
{
    for (jpeg_saved_marker_ptr m = x->jpeg.marker_list; m; m = m->next)
        if (m->marker == JPEG_APP0 + 1 && m->data_length >= 6 && memcmp(m->data, "Exif\0\0", 6) == 0)
            return sal_exif_orientation(m->data + 6, m->data_length - 6);
    return 0;
}

static sal_status read_picture(sal_picture *out, jpeg_context *x)
{
    struct jpeg_decompress_struct *jpeg = &x->jpeg;
    if (setjmp(x->jump))
        return x->status;
    jpeg_create_decompress(jpeg);
    jpeg->client_data = x;
    jpeg->progress = &x->progress;
    jpeg_mem_src(jpeg, x->source->bytes, (unsigned long)x->source->size);
    jpeg_save_markers(jpeg, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(jpeg, TRUE);
    if ((x->status = check_header(x)) != SAL_OK || (x->status = choose_colours(x)) != SAL_OK)
        return x->status;
    x->orientation = orientation_of(x);
    if ((x->status = begin_picture(out, x)) != SAL_OK)
        return x->status;
    jpeg->dct_method = x->source->how && x->source->how->jpeg_dct == SAL_JPEG_DCT_FAST ? JDCT_IFAST : JDCT_ISLOW;
    jpeg_start_decompress(jpeg);
    if ((x->status = read_rows(out, x)) != SAL_OK)
        return x->status;
    jpeg_finish_decompress(jpeg);
    return SAL_OK;
}

sal_status sal_jpeg_decode(sal_picture *out, const sal_image_source *source)
{
    sal_status st = SAL_OK;
    jpeg_context x = {.source = source};
    x.jpeg.err = jpeg_std_error(&x.errors);
    x.jpeg.client_data = &x;
    x.errors.error_exit = fail_with_message;
    x.errors.emit_message = on_message;
    x.errors.output_message = on_output;
    x.progress.progress_monitor = on_progress;
    TRY(read_picture(out, &x));
    TRY(sal_picture_orient(out, x.orientation, source));
done:
    jpeg_destroy_decompress(&x.jpeg);
    sal_free(x.row);
    return st;
}
