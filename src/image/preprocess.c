/* From a picture to a network's input. */
#include "image/preprocess.h"

#include "base/memory.h"
#include "base/placement.h"
#include "base/samples.h"
#include "image/channels.h"
#include "image/resize.h"

#include <math.h>
#include <string.h>

/* ---- Geometry ----------------------------------------------------------- */

/* The picture resized to `target` pixels starts at net pixel `offset`: negative where
 * a crop cuts it off, positive where padding goes before it. */
typedef struct axis {
    int64_t source;
    int64_t net;
    int64_t target;
    int64_t offset;
} axis;

/* Half of the difference. A cut rounds halves to even, padding puts the odd pixel
 * behind, as torchvision's CenterCrop does. */
static int64_t center(int64_t net, int64_t target)
{
    int64_t cut = target - net;
    if (cut <= 0)
        return -cut / 2;
    return -(cut / 2 + (cut & 1 & (cut / 2)));
}

static int64_t at_least_1(double size)
{
    return size < 1.0 ? 1 : (int64_t)size;
}

static void fit_letterbox(axis *y, axis *x)
{
    double scale_y = (double)y->net / (double)y->source;
    double scale_x = (double)x->net / (double)x->source;
    y->target = scale_y <= scale_x ? y->net : at_least_1(floor((double)y->source * scale_x + 0.5));
    x->target = scale_y <= scale_x ? at_least_1(floor((double)x->source * scale_y + 0.5)) : x->net;
}

static void fit_center_crop(axis *y, axis *x, int64_t crop_resize)
{
    axis *shorter = y->source <= x->source ? y : x;
    axis *longer = shorter == y ? x : y;
    if (crop_resize == 0) {
        /* Cover the input exactly: the side that needs the larger ratio decides. */
        int by_y = (double)y->net * (double)x->source >= (double)x->net * (double)y->source;
        axis *exact = by_y ? y : x;
        axis *other = by_y ? x : y;
        exact->target = exact->net;
        /* Cut, not rounded, as torchvision's Resize does. */
        double length = (double)exact->net * (double)other->source / (double)exact->source;
        other->target = (int64_t)fmax(length, (double)other->net);
        return;
    }
    shorter->target = crop_resize;
    longer->target = (int64_t)((double)crop_resize * (double)longer->source / (double)shorter->source);
}

static sal_status place(axis *y, axis *x, const sal_preprocess *p)
{
    y->target = y->net;
    x->target = x->net;
    if (p->crop_resize < 0 || p->crop_resize > INT32_MAX)
        return sal_fail(SAL_ERROR_ARGUMENT, "crop-resize %lld is out of range", (long long)p->crop_resize);
    switch (p->fit) {
    case SAL_FIT_STRETCH: break;
    case SAL_FIT_LETTERBOX: fit_letterbox(y, x); break;
    case SAL_FIT_CENTER_CROP: fit_center_crop(y, x, p->crop_resize); break;
    default: return sal_fail(SAL_ERROR_ARGUMENT, "fit %d is unknown", (int)p->fit);
    }
    y->offset = center(y->net, y->target);
    x->offset = center(x->net, x->target);
    return SAL_OK;
}

/* The part of an axis that shows the picture: `count` net pixels from `begin` on,
 * which are pixels begin - offset and on of the resized picture. */
typedef struct window {
    int64_t begin;
    int64_t count;
} window;

static window visible(const axis *a)
{
    int64_t begin = a->offset > 0 ? a->offset : 0;
    int64_t end = a->offset + a->target < a->net ? a->offset + a->target : a->net;
    return (window){begin, end - begin};
}

static void describe(sal_placement *out, const axis *y, const axis *x)
{
    if (!out)
        return;
    out->source_height = y->source;
    out->source_width = x->source;
    out->net_height = y->net;
    out->net_width = x->net;
    out->scale_y = (double)y->source / (double)y->target;
    out->scale_x = (double)x->source / (double)x->target;
    out->offset_y = -(double)y->offset * out->scale_y;
    out->offset_x = -(double)x->offset * out->scale_x;
}

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
        (unsigned)p->pages > SAL_PAGES_MAX)
        return sal_fail(SAL_ERROR_ARGUMENT, "alpha %d, exif %d or pages %d is unknown", (int)p->alpha, (int)p->exif,
                        (int)p->pages);
    if (p->page < 0 || p->depth < SAL_DEPTH_UNIT || p->depth > 16)
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
    return SAL_OK;
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
    axis y;
    axis x;
    window show_y;
    window show_x;
    sal_taps taps_y;
    sal_taps taps_x;
    int64_t column;      /* first source column that is read ... */
    int64_t columns;     /* ... and how many */
    size_t row_channels; /* of the two rows below, alpha gone */
    float *flat;         /* a source row without alpha */
    float *sum;          /* source rows added up by the vertical taps */
    float *resized;      /* a row of the network's width */
    scaling *scale;      /* per network channel, from samples of the picture */
} job;

static void job_clear(job *j)
{
    sal_taps_clear(&j->taps_y);
    sal_taps_clear(&j->taps_x);
    sal_free(j->flat);
    sal_free(j->sum);
    sal_free(j->resized);
    sal_free(j->scale);
}

static sal_status job_prepare(job *j, const sal_preprocess *p)
{
    sal_status st = SAL_OK;
    size_t n;
    TRY(sal_preprocess_check(p, j->channels));
    TRY(sal_mix_choose(&j->mix, j->picture, p, j->channels));
    j->row_channels = (size_t)j->mix.channels;
    TRY(sal_alloc(&j->scale, (size_t)j->channels, sizeof *j->scale, "channel scales"));
    make_scaling(j->scale, p, j->channels);
    TRY(place(&j->y, &j->x, p));
    j->show_y = visible(&j->y);
    j->show_x = visible(&j->x);
    TRY(sal_taps_make(&j->taps_y, j->y.source, j->y.target, j->show_y.begin - j->y.offset, j->show_y.count));
    TRY(sal_taps_make(&j->taps_x, j->x.source, j->x.target, j->show_x.begin - j->x.offset, j->show_x.count));
    int64_t last = j->taps_x.count - 1;
    j->column = j->taps_x.first[0];
    j->columns = j->taps_x.first[last] + j->taps_x.length[last] - j->column;
    TRY(sal_size_mul(&n, (size_t)j->columns, j->row_channels, "a row of a picture"));
    TRY(sal_alloc(&j->flat, j->mix.flatten ? n : 0, sizeof *j->flat, "a row of a picture"));
    TRY(sal_alloc(&j->sum, n, sizeof *j->sum, "a row of a picture"));
    TRY(sal_size_mul(&n, (size_t)j->show_x.count, j->row_channels, "a row of a picture"));
    TRY(sal_alloc(&j->resized, n, sizeof *j->resized, "a row of a picture"));
done:
    return st;
}

/* Vertical first: the long rows of the source are then read in order and added up
 * whole, which is what vectorises; the two directions commute. */
static void resize_one_row(job *j, int64_t row)
{
    const sal_picture *picture = j->picture;
    size_t n = (size_t)j->columns * j->row_channels;
    const float *weights = j->taps_y.weights + (size_t)row * j->taps_y.stride;
    size_t pixel = (size_t)picture->channels * sal_sample_size(picture->type);
    const char *from =
        (const char *)picture->samples + (size_t)(j->taps_y.first[row] * picture->width + j->column) * pixel;
    memset(j->sum, 0, n * sizeof *j->sum);
    for (int64_t i = 0; i < j->taps_y.length[row]; i++, from += (size_t)picture->width * pixel) {
        if (j->mix.flatten) {
            sal_mix_flatten(j->flat, picture, from, (size_t)j->columns, &j->mix);
            sal_resize_add(j->sum, j->flat, SAL_SAMPLE_F32, weights[i], n);
        } else {
            sal_resize_add(j->sum, from, picture->type, weights[i], n);
        }
    }
    sal_resize_row(j->resized, j->sum, &j->taps_x, j->column, j->row_channels);
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
    const float unit = j->mix.unit;
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
    j.y = (axis){.source = picture->height, .net = height};
    j.x = (axis){.source = picture->width, .net = width};
    TRY(job_prepare(&j, p));
    store_fill(out, &j, p->fill);
    for (int64_t row = 0; row < j.show_y.count; row++) {
        resize_one_row(&j, row);
        TRY(store_row(out, &j, row));
    }
    describe(placement, &j.y, &j.x);
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
