#include "image/fit.h"

#include <math.h>

/* Half of the difference. Padding puts the odd pixel behind. A cut rounds halves to even, as torchvision's CenterCrop
 * does, or down. */
static int64_t center(int64_t net, int64_t target, sal_crop_round round)
{
    int64_t cut = target - net;
    if (cut <= 0)
        return -cut / 2;
    return -(cut / 2 + (round == SAL_CROP_ROUND_EVEN ? (cut & 1 & (cut / 2)) : 0));
}

static int64_t at_least_1(double size)
{
    return size < 1.0 ? 1 : (int64_t)size;
}

static void fit_letterbox(sal_axis *y, sal_axis *x)
{
    double scale_y = (double)y->net / (double)y->source;
    double scale_x = (double)x->net / (double)x->source;
    y->target = scale_y <= scale_x ? y->net : at_least_1(floor((double)y->source * scale_x + 0.5));
    x->target = scale_y <= scale_x ? at_least_1(floor((double)x->source * scale_y + 0.5)) : x->net;
}

static sal_status fit_center_crop(sal_axis *y, sal_axis *x, int64_t crop_resize)
{
    sal_axis *shorter = y->source <= x->source ? y : x;
    sal_axis *longer = shorter == y ? x : y;
    if (crop_resize == 0) {
        /* Cover the input exactly: the side that needs the larger ratio decides. */
        int by_y = (double)y->net * (double)x->source >= (double)x->net * (double)y->source;
        sal_axis *exact = by_y ? y : x;
        sal_axis *other = by_y ? x : y;
        exact->target = exact->net;
        /* Cut, not rounded, as torchvision's Resize does. */
        double length = (double)exact->net * (double)other->source / (double)exact->source;
        other->target = (int64_t)fmax(length, (double)other->net);
        return SAL_OK;
    }
    shorter->target = crop_resize;
    longer->target = (int64_t)((double)crop_resize * (double)longer->source / (double)shorter->source);
    if (longer->target > INT32_MAX)
        return sal_fail(SAL_ERROR_ARGUMENT,
                        "a side of %lld before the crop makes the longer side of a picture of %lld x %lld pixels too "
                        "long: above %d",
                        (long long)crop_resize, (long long)x->source, (long long)y->source, INT32_MAX);
    return SAL_OK;
}

/* Cut to whole pixels, and half of what goes is cut again: Keras' smart_resize and load_img. */
static void fit_crop_aspect(sal_axis *y, sal_axis *x)
{
    double height = floor((double)x->source * (double)y->net / (double)x->net);
    double width = floor((double)y->source * (double)x->net / (double)y->net);
    y->part = at_least_1(fmin(height, (double)y->source));
    x->part = at_least_1(fmin(width, (double)x->source));
    y->from = (y->source - y->part) / 2;
    x->from = (x->source - x->part) / 2;
}

sal_status sal_crop_check(const sal_preprocess *p)
{
    if (p->crop_resize < 0 || p->crop_resize > SAL_CROP_RESIZE_MAX)
        return sal_fail(SAL_ERROR_ARGUMENT, "crop-resize %lld is out of range: say a side in pixels, to %d, or 0",
                        (long long)p->crop_resize, SAL_CROP_RESIZE_MAX);
    if (p->crop_share != 0.0F && !(p->crop_share >= SAL_CROP_SHARE_MIN && p->crop_share <= 1.0F))
        return sal_fail(SAL_ERROR_ARGUMENT, "crop-share %g is out of range: say a number from %g to 1, or 0",
                        (double)p->crop_share, (double)SAL_CROP_SHARE_MIN);
    if ((unsigned)p->crop_round > SAL_CROP_ROUND_DOWN)
        return sal_fail(SAL_ERROR_ARGUMENT, "crop-round %d is unknown", (int)p->crop_round);
    return SAL_OK;
}

/* The side before a crop, in pixels; 0: no margin. */
static sal_status crop_side(int64_t *out, const sal_axis *y, const sal_axis *x, const sal_preprocess *p)
{
    const sal_status st = sal_crop_check(p);
    *out = p->crop_resize;
    if (st != SAL_OK)
        return st;
    if (p->crop_resize || p->crop_share == 0.0F || (p->fit != SAL_FIT_CENTER_CROP && p->fit != SAL_FIT_STRETCH_CROP))
        return SAL_OK;
    if (y->net != x->net)
        return sal_fail(SAL_ERROR_ARGUMENT,
                        "crop-share %g is for square inputs, and the network takes %lld x %lld pixels: say the side "
                        "before the crop, crop-resize",
                        (double)p->crop_share, (long long)x->net, (long long)y->net);
    /* The share is a decimal number, such as 0.95: the nearest of seven digits, not its float. */
    double share = round((double)p->crop_share * 1e7) / 1e7;
    *out = (int64_t)floor((double)y->net / share);
    if (*out > SAL_CROP_RESIZE_MAX)
        return sal_fail(SAL_ERROR_ARGUMENT,
                        "crop-share %g of a network of %lld pixels makes a side of %lld before the crop: above %d",
                        (double)p->crop_share, (long long)y->net, (long long)*out, SAL_CROP_RESIZE_MAX);
    return SAL_OK;
}

sal_status sal_fit_place(sal_axis *y, sal_axis *x, const sal_preprocess *p)
{
    int64_t side;
    sal_status st = crop_side(&side, y, x, p);
    y->target = y->net;
    x->target = x->net;
    y->part = y->source;
    x->part = x->source;
    y->from = x->from = 0;
    if (st != SAL_OK)
        return st;
    switch (p->fit) {
    case SAL_FIT_STRETCH: break;
    case SAL_FIT_LETTERBOX: fit_letterbox(y, x); break;
    case SAL_FIT_CENTER_CROP: st = fit_center_crop(y, x, side); break;
    case SAL_FIT_CROP_ASPECT: fit_crop_aspect(y, x); break;
    case SAL_FIT_STRETCH_CROP:
        y->target = side ? side : y->net;
        x->target = side ? side : x->net;
        break;
    default: return sal_fail(SAL_ERROR_ARGUMENT, "fit %d is unknown", (int)p->fit);
    }
    if (st != SAL_OK)
        return st;
    y->offset = center(y->net, y->target, p->crop_round);
    x->offset = center(x->net, x->target, p->crop_round);
    return SAL_OK;
}

sal_window sal_fit_visible(const sal_axis *a)
{
    int64_t begin = a->offset > 0 ? a->offset : 0;
    int64_t end = a->offset + a->target < a->net ? a->offset + a->target : a->net;
    return (sal_window){begin, end - begin};
}

/* The point p of the input shows the point scale * p + shift of the picture. */
static void describe(double *scale, double *shift, const sal_axis *a, sal_grid grid)
{
    int corners = grid == SAL_GRID_ALIGN_CORNERS && a->part > 1 && a->target > 1;
    *scale = corners ? (double)(a->part - 1) / (double)(a->target - 1) : (double)a->part / (double)a->target;
    *shift = -(double)a->offset * *scale;
    if (a->from)
        *shift += (double)a->from;
    if (grid != SAL_GRID_HALF_PIXEL) /* the centres of the first pixels are on each other */
        *shift += 0.5 - 0.5 * *scale;
}

void sal_fit_describe(sal_placement *out, const sal_axis *y, const sal_axis *x, sal_grid grid)
{
    if (!out)
        return;
    out->source_height = y->source;
    out->source_width = x->source;
    out->net_height = y->net;
    out->net_width = x->net;
    describe(&out->scale_y, &out->offset_y, y, grid);
    describe(&out->scale_x, &out->offset_x, x, grid);
}
