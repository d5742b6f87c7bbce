/* From a picture to a network's input. */
#include "image/preprocess.h"

#include "base/memory.h"
#include "base/placement.h"
#include "base/samples.h"
#include "image/channels.h"
#include "image/resize.h"

#include <math.h>
#include <string.h>

/* ---- Values ------------------------------------------------------------- */

/* x = sample * gain + bias for one channel of the network. */
typedef struct scaling {
    float gain;
    float bias;
} scaling;

static double mean_of(const sal_preprocess *p, int64_t channel)
{
    return p->value_count ? (double)p->mean[p->value_count > 1 ? channel : 0] : 0.0;
}

static double std_of(const sal_preprocess *p, int64_t channel)
{
    return p->value_count ? (double)p->std[p->value_count > 1 ? channel : 0] : 1.0;
}

sal_status sal_preprocess_check_samples(const sal_preprocess *p)
{
    for (int c = 0; c < 3; c++)
        if (!(p->alpha_colour[c] >= 0.0F && p->alpha_colour[c] <= 255.0F))
            return sal_fail(SAL_ERROR_ARGUMENT, "alpha_colour %g: must be from 0 to 255", (double)p->alpha_colour[c]);
    if ((unsigned)p->alpha > SAL_ALPHA_DROP || (unsigned)p->exif > SAL_EXIF_IGNORE ||
        (unsigned)p->pages > SAL_PAGES_MAX || (unsigned)p->jpeg_dct > SAL_JPEG_DCT_FAST)
        return sal_fail(SAL_ERROR_ARGUMENT, "alpha %d, exif %d, jpeg_dct %d or pages %d is unknown", (int)p->alpha,
                        (int)p->exif, (int)p->jpeg_dct, (int)p->pages);
    if (p->page < 0 || p->depth < SAL_DEPTH_PILLOW_NOTED || p->depth > 16)
        return sal_fail(SAL_ERROR_ARGUMENT, "page %d or depth %d is out of range", (int)p->page, (int)p->depth);
    return SAL_OK;
}

sal_status sal_preprocess_check(const sal_preprocess *p, int64_t channels)
{
    const sal_status st = sal_preprocess_check_samples(p);
    if (st != SAL_OK)
        return st;
    if (p->scale == 0.0F)
        return sal_fail(SAL_ERROR_ARGUMENT, "scale is 0, so nobody said how pictures become input: begin with "
                                            "sal_preprocess_preset, or set scale (1 leaves 0..255 as they are)");
    if (!isfinite(p->scale) || !isfinite(p->fill))
        return sal_fail(SAL_ERROR_ARGUMENT, "scale and fill must be finite numbers");
    if (p->value_count < 0 || (p->value_count > 1 && p->value_count != channels) || p->value_count > SAL_MAX_CHANNELS)
        return sal_fail(
            SAL_ERROR_ARGUMENT,
            "mean and std have %d values, and the network takes %lld channels: give one value, or one for each",
            p->value_count, (long long)channels);
    for (int64_t c = 0; c < channels; c++) {
        const double mean = mean_of(p, c), std = std_of(p, c);
        if (!isfinite(mean) || !isfinite(std) || !(std > 0.0))
            return sal_fail(SAL_ERROR_ARGUMENT, "mean %g and std %g of channel %lld: std must be positive, both finite",
                            mean, std, (long long)c);
    }
    return sal_resize_check(p);
}

static void make_scaling(scaling *out, const sal_preprocess *p, int64_t channels)
{
    for (int64_t c = 0; c < channels; c++) {
        out[c].gain = (float)((double)p->scale / std_of(p, c));
        out[c].bias = (float)(-mean_of(p, c) / std_of(p, c));
    }
}

/* ---- The work ----------------------------------------------------------- */

typedef struct job {
    const sal_picture *picture;
    sal_mix mix;
    int64_t channels; /* of the network */
    sal_rounding rounding;
    float top;         /* of samples of 16 bits that are rounded after each pass; else 0 */
    int is_rows_first; /* of those passes */
    float *line;       /* a source row after the first */
    sal_axis y;
    sal_axis x;
    sal_window show_y;
    sal_window show_x;
    sal_taps taps_y;
    sal_taps taps_x;
    sal_resize8 eight;   /* where resizing is done in whole numbers */
    int64_t column;      /* first source column that is read ... */
    int64_t columns;     /* ... and how many */
    size_t row_channels; /* of the rows below, alpha gone, and in 8 bits already gray where the network is */
    float *flat;         /* a source row without alpha */
    unsigned char *row;  /* a source row in 8 bits ... */
    unsigned char *rgb;  /* ... and before it became gray */
    float *sum;          /* source rows added up by the vertical taps */
    float *resized;      /* a row of the network's width */
    scaling *scale;      /* per network channel, from samples of the picture */
} job;

static void job_clear(job *j)
{
    sal_taps_clear(&j->taps_y);
    sal_taps_clear(&j->taps_x);
    sal_resize8_clear(&j->eight);
    sal_free(j->flat);
    sal_free(j->row);
    sal_free(j->rgb);
    sal_free(j->sum);
    sal_free(j->line);
    sal_free(j->resized);
    sal_free(j->scale);
}

static int is_8_bits(const job *j)
{
    return j->rounding != SAL_ROUND_NONE;
}

static sal_status job_allocate(job *j)
{
    sal_status st = SAL_OK;
    size_t n;
    const size_t colours = (size_t)j->mix.channels;
    TRY(sal_size_mul(&n, (size_t)j->columns, colours, "a row of a picture"));
    TRY(sal_alloc(&j->flat, j->mix.flatten ? n : 0, sizeof *j->flat, "a row of a picture"));
    TRY(sal_alloc(&j->row, is_8_bits(j) ? n : 0, sizeof *j->row, "a row of a picture"));
    TRY(sal_alloc(&j->rgb, is_8_bits(j) ? n : 0, sizeof *j->rgb, "a row of a picture"));
    TRY(sal_alloc(&j->sum, n, sizeof *j->sum, "a row of a picture"));
    TRY(sal_size_mul(&n, (size_t)j->show_x.count, colours, "a row of a picture"));
    TRY(sal_alloc(&j->line, j->top > 0.0F ? n : 0, sizeof *j->line, "a row of a picture"));
    TRY(sal_alloc(&j->resized, n, sizeof *j->resized, "a row of a picture"));
done:
    return st;
}

static sal_passes passes_of(const job *j, sal_rounding rounding)
{
    const int64_t shorter = j->y.source - j->y.target, narrower = j->x.source - j->x.target;
    if (rounding == SAL_ROUND_OPENCV)
        return SAL_PASSES_OPENCV;
    return rounding == SAL_ROUND_PILLOW13 && shorter > 0 && shorter > 2 * narrower ? SAL_PASSES_ROWS_FIRST
                                                                                   : SAL_PASSES_COLUMNS_FIRST;
}

static sal_status job_prepare(job *j, const sal_preprocess *p)
{
    sal_status st = SAL_OK;
    TRY(sal_preprocess_check(p, j->channels));
    TRY(sal_mix_choose(&j->mix, j->picture, p, j->channels));
    j->row_channels = (size_t)j->mix.channels;
    TRY(sal_alloc(&j->scale, (size_t)j->channels, sizeof *j->scale, "channel scales"));
    make_scaling(j->scale, p, j->channels);
    j->rounding = j->mix.is_deep ? SAL_ROUND_NONE : p->rounding;
    j->top = j->mix.is_deep && p->rounding != SAL_ROUND_NONE ? 65535.0F : 0.0F;
    if (is_8_bits(j) && j->picture->type == SAL_SAMPLE_F32)
        return sal_fail(SAL_ERROR_ARGUMENT, "the picture has samples of floats, which are not rounded to 8 bits: say "
                                            "round none");
    if (is_8_bits(j) && j->mix.how == SAL_MIX_GRAY)
        j->row_channels = 1;
    TRY(sal_fit_place(&j->y, &j->x, p));
    j->is_rows_first = passes_of(j, p->rounding) == SAL_PASSES_ROWS_FIRST;
    j->show_y = sal_fit_visible(&j->y);
    j->show_x = sal_fit_visible(&j->x);
    TRY(sal_taps_make(&j->taps_y, &j->y, &j->x, 1, p));
    TRY(sal_taps_make(&j->taps_x, &j->y, &j->x, 0, p));
    int64_t last = j->taps_x.count - 1;
    j->column = j->taps_x.first[0];
    j->columns = j->taps_x.first[last] + j->taps_x.length[last] - j->column;
    TRY(job_allocate(j));
    if (j->taps_x.fixed && is_8_bits(j))
        TRY(sal_resize8_begin(&j->eight, &j->taps_y, &j->taps_x, j->row_channels, passes_of(j, p->rounding)));
done:
    return st;
}

static const void *samples_at(const job *j, int64_t y)
{
    const sal_picture *picture = j->picture;
    size_t pixel = (size_t)picture->channels * sal_sample_size(picture->type);
    return (const char *)picture->samples + (size_t)(y * picture->width + j->column) * pixel;
}

/* Of more than 8 bits the upper 8, as Pillow, OpenCV and TensorFlow read them. */
static unsigned char to_8_bits(const job *j, float sample)
{
    const float white = j->mix.white;
    const float value = white > 255.0F ? floorf(rintf(sample) * 256.0F / (white + 1.0F)) : rintf(sample * j->mix.unit);
    return (unsigned char)(value > 255.0F ? 255.0F : value);
}

static void cut_row(unsigned char *out, const job *j, const void *samples, size_t n)
{
    const unsigned char *u8 = samples;
    const uint16_t *u16 = samples;
    if (j->mix.flatten)
        for (size_t i = 0; i < n; i++)
            out[i] = to_8_bits(j, j->flat[i]);
    else if (j->picture->type == SAL_SAMPLE_U16)
        for (size_t i = 0; i < n; i++)
            out[i] = j->mix.white == 65535.0F ? (unsigned char)(u16[i] >> 8) : to_8_bits(j, (float)u16[i]);
    else if (j->mix.white == 255.0F)
        memcpy(out, samples, n);
    else
        for (size_t i = 0; i < n; i++)
            out[i] = to_8_bits(j, (float)u8[i]);
}

/* ITU-R 601 as Pillow has it, in 16 bits behind the point, or OpenCV, in 15. */
static unsigned char gray_of(const unsigned char *rgb, int is_opencv)
{
    return (unsigned char)(is_opencv ? (9798U * rgb[0] + 19235U * rgb[1] + 3735U * rgb[2] + 0x4000U) >> 15
                                     : (19595U * rgb[0] + 38470U * rgb[1] + 7471U * rgb[2] + 0x8000U) >> 16);
}

/* A sal_rows8. */
static void get_row(unsigned char *out, void *context, int64_t y)
{
    const job *j = context;
    const size_t colours = (size_t)j->mix.channels;
    const int to_gray = colours == 3 && j->row_channels == 1;
    const void *samples = samples_at(j, y);
    unsigned char *row = to_gray ? j->rgb : out;
    if (j->mix.flatten)
        sal_mix_flatten(j->flat, j->picture, samples, (size_t)j->columns, &j->mix);
    cut_row(row, j, samples, (size_t)j->columns * colours);
    for (size_t i = 0; to_gray && i < (size_t)j->columns; i++, row += 3)
        out[i] = gray_of(row, j->rounding == SAL_ROUND_OPENCV);
}

/* 8 bits to the nearest, 16 with halves up as Pillow has it. */
static void round_row(float *row, size_t n, float top)
{
    for (size_t i = 0; i < n; i++) {
        const float value = top > 255.0F ? floorf(row[i] + 0.5F) : rintf(row[i]);
        row[i] = value > 0.0F ? value < top ? value : top : 0.0F;
    }
}

/* 16-bit gray as Pillow resizes it: whole numbers within the range after each pass. */
static void resize_deep_row(job *j, int64_t row)
{
    const size_t columns = (size_t)j->columns, n = (size_t)j->show_x.count;
    const float *weights = j->taps_y.weights + (size_t)row * j->taps_y.stride;
    memset(j->sum, 0, columns * sizeof *j->sum);
    memset(j->resized, 0, n * sizeof *j->resized);
    for (int64_t i = 0; i < j->taps_y.length[row]; i++) {
        const void *from = samples_at(j, j->taps_y.first[row] + i);
        if (j->is_rows_first) {
            sal_resize_add(j->sum, from, j->picture->type, weights[i], columns);
            continue;
        }
        memset(j->sum, 0, columns * sizeof *j->sum);
        sal_resize_add(j->sum, from, j->picture->type, 1.0F, columns);
        sal_resize_row(j->line, j->sum, &j->taps_x, j->column, 1);
        round_row(j->line, n, j->top);
        sal_resize_add(j->resized, j->line, SAL_SAMPLE_F32, weights[i], n);
    }
    if (j->is_rows_first) {
        round_row(j->sum, columns, j->top);
        sal_resize_row(j->resized, j->sum, &j->taps_x, j->column, 1);
    }
    round_row(j->resized, n, j->top);
}

/* Vertical first: the long rows of the source are then read in order and added up
 * whole, which is what vectorises; the two directions commute. */
static void resize_one_row(job *j, int64_t row)
{
    size_t n = (size_t)j->columns * j->row_channels;
    const float *weights = j->taps_y.weights + (size_t)row * j->taps_y.stride;
    if (j->top > 0.0F) {
        resize_deep_row(j, row);
        return;
    }
    if (j->taps_x.fixed && is_8_bits(j)) {
        sal_resize8_row(j->resized, &j->eight, row, &(sal_rows8){get_row, j});
        return;
    }
    memset(j->sum, 0, n * sizeof *j->sum);
    for (int64_t i = 0; i < j->taps_y.length[row]; i++) {
        const void *from = samples_at(j, j->taps_y.first[row] + i);
        if (is_8_bits(j)) {
            get_row(j->row, j, j->taps_y.first[row] + i);
            sal_resize_add(j->sum, j->row, SAL_SAMPLE_U8, weights[i], n);
        } else if (j->mix.flatten) {
            sal_mix_flatten(j->flat, j->picture, from, (size_t)j->columns, &j->mix);
            sal_resize_add(j->sum, j->flat, SAL_SAMPLE_F32, weights[i], n);
        } else {
            sal_resize_add(j->sum, from, j->picture->type, weights[i], n);
        }
    }
    sal_resize_row(j->resized, j->sum, &j->taps_x, j->column, j->row_channels);
    if (is_8_bits(j))
        round_row(j->resized, (size_t)j->show_x.count * j->row_channels, 255.0F);
}

/* Luma of a pixel of 1 or 3 channels: ITU-R BT.601-7, 2.5.1. */
static float luma(const float *pixel, size_t channels)
{
    return channels == 1 ? pixel[0] : 0.299F * pixel[0] + 0.587F * pixel[1] + 0.114F * pixel[2];
}

static float mixed(const job *j, const float *pixel, int64_t c)
{
    switch (j->mix.how) {
    case SAL_MIX_NONE: return pixel[c];
    case SAL_MIX_RGB: return pixel[j->row_channels == 1 ? 0 : c];
    case SAL_MIX_BGR: return pixel[j->row_channels == 1 ? 0 : 2 - c];
    case SAL_MIX_GRAY: break;
    }
    return luma(pixel, j->row_channels);
}

static sal_status store_row(float *out, const job *j, int64_t row)
{
    const float unit = is_8_bits(j) ? 1.0F : j->mix.unit;
    for (int64_t c = 0; c < j->channels; c++) {
        float *to = out + (size_t)((c * j->y.net + j->show_y.begin + row) * j->x.net + j->show_x.begin);
        scaling s = j->scale[c];
        int bad = 0;
        for (int64_t i = 0; i < j->show_x.count; i++) {
            to[i] = mixed(j, j->resized + (size_t)i * j->row_channels, c) * unit * s.gain + s.bias;
            bad |= !isfinite(to[i]);
        }
        if (bad)
            return sal_fail(SAL_ERROR_NUMERIC, "the picture has NaN, infinite or huge samples near row %lld",
                            (long long)j->taps_y.first[row]);
    }
    return SAL_OK;
}

static void store_fill(float *out, const job *j, float fill)
{
    if (j->show_y.count == j->y.net && j->show_x.count == j->x.net)
        return;
    size_t pixels = (size_t)j->y.net * (size_t)j->x.net;
    for (int64_t c = 0; c < j->channels; c++)
        for (size_t i = 0; i < pixels; i++)
            out[(size_t)c * pixels + i] = fill * j->scale[c].gain + j->scale[c].bias;
}

static sal_status check(const sal_picture *picture, int64_t channels, int64_t height, int64_t width)
{
    if (channels < 1 || height < 1 || width < 1)
        return sal_fail(SAL_ERROR_ARGUMENT, "the network's input %lld x %lld x %lld is empty", (long long)channels,
                        (long long)height, (long long)width);
    if (picture->channels < 1 || picture->height < 1 || picture->width < 1 || !picture->samples)
        return sal_fail(SAL_ERROR_ARGUMENT, "the picture is empty");
    if (sal_sample_size(picture->type) == 0)
        return sal_fail(SAL_ERROR_ARGUMENT, "the picture has samples of the unknown type %d", (int)picture->type);
    if (!sal_picture_is_sound(picture))
        return sal_fail(SAL_ERROR_ARGUMENT, "the picture has %lld channels of the meaning %d, which does not fit",
                        (long long)picture->channels, (int)picture->meaning);
    return SAL_OK;
}

sal_status sal_preprocess_apply(float *out, sal_placement *placement, const sal_picture *picture,
                                const sal_preprocess *p, int64_t channels, int64_t height, int64_t width)
{
    sal_status st = SAL_OK;
    job j = {.picture = picture, .channels = channels};
    TRY(sal_require(out, "input", __func__));
    TRY(sal_require(picture, "picture", __func__));
    TRY(sal_require(p, "preprocess", __func__));
    TRY(check(picture, channels, height, width));
    j.y = (sal_axis){.source = picture->height, .net = height};
    j.x = (sal_axis){.source = picture->width, .net = width};
    TRY(job_prepare(&j, p));
    store_fill(out, &j, p->fill);
    for (int64_t row = 0; row < j.show_y.count; row++) {
        resize_one_row(&j, row);
        TRY(store_row(out, &j, row));
    }
    sal_fit_describe(placement, &j.y, &j.x, p->grid);
done:
    job_clear(&j);
    return st;
}

sal_status sal_placement_for_map(sal_placement *out, const sal_placement *placement, int64_t height, int64_t width)
{
    sal_status st = SAL_OK;
    TRY(sal_require(out, "out", __func__));
    TRY(sal_require(placement, "placement", __func__));
    TRY(sal_placement_check(placement));
    if (height < 1 || width < 1)
        return sal_fail(SAL_ERROR_ARGUMENT, "a map of %lld x %lld pixels: both sides must be at least 1",
                        (long long)width, (long long)height);
    *out = sal_placement_of_map(placement, height, width);
done:
    return st;
}
