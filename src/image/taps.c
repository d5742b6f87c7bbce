/* Weights of a resize: each library's own, as its results show them. */
#include "image/resize.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

void sal_taps_clear(sal_taps *taps)
{
    sal_free(taps->first);
    sal_free(taps->length);
    sal_free(taps->weights);
    sal_free(taps->fixed);
    memset(taps, 0, sizeof *taps);
}

/* ---- Kernels ------------------------------------------------------------ */

static const double pi = 3.14159265358979323846;

static double triangle(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* Keys 1981, "Cubic convolution interpolation", eq. 4 with its parameter a. */
static double cubic(double x, double a)
{
    x = fabs(x);
    if (x < 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    return x < 2.0 ? (((x - 5.0) * x + 8.0) * x - 4.0) * a : 0.0;
}

static double keys(double x)
{
    return cubic(x, -0.5);
}

static double sinc(double x)
{
    return x == 0.0 ? 1.0 : sin(x * pi) / (x * pi);
}

static double lanczos(double x)
{
    return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3.0) : 0.0;
}

static double box(double x)
{
    return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

/* sinc under a Hamming window of half-width 1, whose two numbers are floats in Pillow */
static double hamming(double x)
{
    x = fabs(x);
    return x >= 1.0 ? 0.0 : sinc(x) * ((double)0.54F + (double)0.46F * cos(x * pi));
}

typedef struct kernel {
    double (*weight)(double x); /* NULL: no kernel, but a rule of its own */
    double support;             /* half-width */
} kernel;

static const kernel kernels[] = {
    [SAL_RESAMPLE_BILINEAR] = {triangle, 1.0}, [SAL_RESAMPLE_NEAREST] = {NULL, 0.0},
    [SAL_RESAMPLE_BICUBIC] = {keys, 2.0},      [SAL_RESAMPLE_CUBIC75] = {NULL, 2.0},
    [SAL_RESAMPLE_LANCZOS] = {lanczos, 3.0},   [SAL_RESAMPLE_AREA] = {NULL, 1.0},
    [SAL_RESAMPLE_BOX] = {box, 0.5},           [SAL_RESAMPLE_HAMMING] = {hamming, 1.0},
};

/* ---- Taps --------------------------------------------------------------- */

/* An axis while its taps are made. */
typedef struct maker {
    const sal_preprocess *p;
    int64_t low;  /* pixels that may be read: from this one on, ... */
    int64_t end;  /* ... before this one */
    int64_t from; /* see sal_axis, as the next two */
    int64_t part;
    int64_t target;
    double scale; /* source pixels per output pixel */
    int is_y;
    int is_growing;  /* 1: one axis or both grow */
    double step;     /* nearest: where output pixel `steps` lies, by steps added up */
    int64_t steps;   /* likewise */
    double *scratch; /* weights of one output pixel */
    double largest;  /* of all weights so far */
    sal_taps *taps;
} maker;

static int is_pillow(const sal_preprocess *p)
{
    return p->rounding == SAL_ROUND_PASSES || p->rounding == SAL_ROUND_PILLOW13;
}

static int is_in_passes(const sal_preprocess *p)
{
    return is_pillow(p) || p->rounding == SAL_ROUND_TORCH;
}

static int is_off(const maker *m)
{
    return m->p->antialias == SAL_ANTIALIAS_OFF;
}

static int64_t clamped(int64_t i, int64_t low, int64_t end)
{
    return i < low ? low : i >= end ? end - 1 : i;
}

/* Stores the weights of `scratch`, which belong to source pixels from `first` on. */
static void store(maker *m, int64_t index, int64_t first, int64_t length)
{
    sal_taps *t = m->taps;
    for (int64_t i = 0; i < length; i++) {
        const double w = m->scratch[i];
        const size_t at = (size_t)index * t->stride + (size_t)i;
        t->weights[at] = (float)w;
        m->largest = w > m->largest ? w : m->largest;
        if (t->fixed && m->p->rounding == SAL_ROUND_OPENCV)
            t->fixed[at] = (int32_t)rintf((float)w * (float)(1 << t->bits));
        else if (t->fixed)
            t->fixed[at] = (int32_t)(w * (double)(1 << t->bits) + (w < 0.0 ? -0.5 : 0.5));
    }
    t->first[index] = first;
    t->length[index] = length;
}

/* The default. A triangle of half-width `radius` around its centre, cut at the borders of
 * the source and scaled to the sum 1. */
static void triangle_tap(maker *m, int64_t index, int64_t pixel)
{
    double center = ((double)pixel + 0.5) * m->scale + (double)m->from;
    double radius = m->scale < 1.0 ? 1.0 : m->scale;
    sal_taps *t = m->taps;
    int64_t first = (int64_t)(center - radius + 0.5);
    int64_t end = (int64_t)(center + radius + 0.5);
    first = center - radius + 0.5 < (double)m->low ? m->low : first;
    end = end > m->end ? m->end : end;
    float *weights = t->weights + (size_t)index * t->stride;
    double sum = 0.0;
    for (int64_t i = first; i < end; i++) {
        double distance = fabs((double)i + 0.5 - center) / radius;
        sum += distance < 1.0 ? 1.0 - distance : 0.0;
    }
    for (int64_t i = first; i < end; i++) {
        double distance = fabs((double)i + 0.5 - center) / radius;
        weights[i - first] = (float)(distance < 1.0 ? (1.0 - distance) / sum : 0.0);
    }
    /* At a ratio of 1 the neighbours weigh nothing: do not read them. */
    while (end - first > 1 && weights[end - first - 1] == 0.0F)
        end--;
    t->first[index] = first;
    t->length[index] = end - first;
}

/* Any other kernel, likewise, in the order of Pillow's arithmetic: its whole numbers are equal bit by bit. */
static void kernel_tap(maker *m, int64_t index, int64_t pixel)
{
    const kernel *k = &kernels[m->p->resample];
    /* TensorFlow, which leaves antialias out, has floats. */
    const double center = is_off(m) ? (double)(((float)pixel + 0.5F) * (float)m->scale) + (double)m->from
                                    : (double)m->from + ((double)pixel + 0.5) * m->scale;
    const double widened = is_off(m) || m->scale < 1.0 ? 1.0 : m->scale;
    const double support = k->support * widened;
    const double narrow = 1.0 / widened;
    int64_t first = (int64_t)(center - support + 0.5);
    int64_t end = (int64_t)(center + support + 0.5);
    first = center - support + 0.5 < (double)m->low ? m->low : first;
    end = end > m->end ? m->end : end;
    double sum = 0.0;
    for (int64_t i = first; i < end; i++) {
        m->scratch[i - first] = k->weight(((double)i - center + 0.5) * narrow);
        sum += m->scratch[i - first];
    }
    for (int64_t i = 0; i < end - first && sum != 0.0; i++)
        m->scratch[i] /= sum;
    while (end - first > 1 && m->scratch[end - first - 1] == 0.0)
        end--;
    store(m, index, first, end - first);
}

/* Where output pixel i lies, in source pixels whose centres are whole numbers: in floats as TensorFlow and torch, in
 * doubles as torch for 8 bits, or in doubles that become a float as OpenCV. */
static double point_of(const maker *m, int64_t i)
{
    const float scale = (float)m->scale;
    const double exact = ((double)i + 0.5) * m->scale - 0.5;
    if (m->p->grid == SAL_GRID_ALIGN_CORNERS)
        return m->target > 1 ? (double)((float)i * ((float)(m->part - 1) / (float)(m->target - 1))) : 0.0;
    if (m->p->grid == SAL_GRID_ASYMMETRIC)
        return (double)((float)i * scale);
    if (m->p->rounding == SAL_ROUND_OPENCV)
        return (double)(float)exact;
    return m->p->rounding == SAL_ROUND_TORCH ? exact : (double)(((float)i + 0.5F) * scale - 0.5F);
}

/* Taps of a point: what lies beyond a border counts for the pixel at the border. */
static void store_clamped(maker *m, int64_t index, int64_t at, const double *weights, int64_t count)
{
    const int64_t low = clamped(at, 0, m->part), high = clamped(at + count - 1, 0, m->part);
    memset(m->scratch, 0, (size_t)count * sizeof *m->scratch);
    for (int64_t i = 0; i < count; i++)
        m->scratch[clamped(at + i, 0, m->part) - low] += weights[i];
    store(m, index, m->from + low, high - low + 1);
}

/* Two neighbours, `part` of a pixel behind the first. */
static void store_two(maker *m, int64_t index, int64_t at, double part)
{
    const double weights[] = {1.0 - part, part};
    store_clamped(m, index, at, weights, 2);
    if (m->taps->length[index] != 1 || !m->taps->fixed || m->p->rounding != SAL_ROUND_OPENCV)
        return;
    /* OpenCV rounds the two weights of a row above or below the picture, though both mean the same row. */
    int32_t *fixed = m->taps->fixed + (size_t)index * m->taps->stride;
    const float one = (float)(1 << m->taps->bits);
    fixed[0] = m->is_y ? (int32_t)rintf((float)(1.0 - part) * one) : (int32_t)one;
    fixed[1] = m->is_y ? (int32_t)rintf((float)part * one) : 0;
}

static void linear_tap(maker *m, int64_t index, int64_t pixel)
{
    const double point = point_of(m, pixel), whole = floor(point);
    store_two(m, index, (int64_t)whole, point - whole);
}

static void cubic75_tap(maker *m, int64_t index, int64_t pixel)
{
    const double point = point_of(m, pixel), whole = floor(point), part = point - whole;
    double weights[4];
    for (int i = 0; i < 4; i++)
        weights[i] = cubic((double)(i - 1) - part, -0.75);
    store_clamped(m, index, (int64_t)whole - 1, weights, 4);
}

/* TensorFlow's: weights of 1024 places between two pixels, and none for what lies beyond a border. */
static void keys_tap(maker *m, int64_t index, int64_t pixel)
{
    const double point = point_of(m, pixel), whole = floor(point);
    const double part = rint((point - whole) * 1024.0) / 1024.0;
    const int64_t at = (int64_t)whole - 1;
    const int64_t low = clamped(at, 0, m->part), high = clamped(at + 3, 0, m->part);
    double sum = 0.0;
    for (int64_t i = low; i <= high; i++) {
        m->scratch[i - low] = keys((double)(i - at - 1) - part);
        sum += m->scratch[i - low];
    }
    for (int64_t i = low; i <= high; i++)
        m->scratch[i - low] /= sum;
    store(m, index, m->from + low, high - low + 1);
}

/* OpenCV's where a side grows: two neighbours, also along a side that shrinks. */
static void growing_area_tap(maker *m, int64_t index, int64_t pixel)
{
    const int64_t at = (int64_t)floor((double)pixel * m->scale);
    const float part = (float)((double)(pixel + 1) - (double)(at + 1) * ((double)m->target / (double)m->part));
    store_two(m, index, at, part <= 0.0F ? 0.0 : (double)(part - floorf(part)));
}

static void area_tap(maker *m, int64_t index, int64_t pixel)
{
    const double begin = (double)pixel * m->scale, end = fmin(begin + m->scale, (double)m->part);
    int64_t first = (int64_t)floor(begin), last = (int64_t)ceil(end) - 1;
    if (m->is_growing && m->p->rounding == SAL_ROUND_OPENCV) {
        growing_area_tap(m, index, pixel);
        return;
    }
    first = clamped(first, 0, m->part);
    last = clamped(last, first, m->part);
    double sum = 0.0;
    for (int64_t i = first; i <= last; i++) {
        double covered = fmin((double)(i + 1), end) - fmax((double)i, begin);
        /* What is less than a thousandth of a pixel is rounding, as OpenCV has it. */
        m->scratch[i - first] = covered > 1e-3 || first == last ? covered : 0.0;
        sum += m->scratch[i - first];
    }
    for (int64_t i = first; i <= last; i++)
        m->scratch[i - first] = sum > 0.0 ? m->scratch[i - first] / sum : 1.0;
    store(m, index, m->from + first, last - first + 1);
}

/* Which pixel is nearest hangs on rounding where a point lies between two: each tool's own. */
static void nearest_tap(maker *m, int64_t index, int64_t pixel)
{
    const float scale = (float)m->scale;
    int64_t at = 0;
    if (m->p->grid == SAL_GRID_ALIGN_CORNERS) {
        at = (int64_t)round(point_of(m, pixel));
    } else if (m->p->grid == SAL_GRID_ASYMMETRIC) {
        at = m->p->rounding == SAL_ROUND_OPENCV
                 ? (int64_t)floor((double)pixel * (1.0 / ((double)m->target / (double)m->part)))
                 : (int64_t)floorf((float)pixel * scale);
    } else if (is_pillow(m->p)) {
        for (; m->steps < pixel; m->steps++) /* as Pillow does */
            m->step += m->scale;
        at = (int64_t)m->step - m->from;
    } else {
        at = (int64_t)floorf(((float)pixel + 0.5F) * scale);
    }
    m->scratch[0] = 1.0;
    store(m, index, m->from + clamped(at, 0, m->part), 1);
}

typedef void make_tap(maker *m, int64_t index, int64_t pixel);

static make_tap *choose(const maker *m)
{
    const int off = is_off(m);
    switch (m->p->resample) {
    case SAL_RESAMPLE_NEAREST: return nearest_tap;
    case SAL_RESAMPLE_AREA: return area_tap;
    case SAL_RESAMPLE_CUBIC75: return cubic75_tap;
    case SAL_RESAMPLE_BILINEAR: return off ? linear_tap : is_in_passes(m->p) ? kernel_tap : triangle_tap;
    case SAL_RESAMPLE_BICUBIC: return off ? keys_tap : kernel_tap;
    default: return kernel_tap;
    }
}

/* How many bits the whole numbers of weights have behind the point; 0: there are none. */
static int bits_of(const sal_preprocess *p, const sal_axis *y, const sal_axis *x, int is_growing)
{
    if (is_in_passes(p))
        return SAL_TAPS_PILLOW_BITS;
    if (p->rounding != SAL_ROUND_OPENCV)
        return 0;
    const int is_half = y->part == 2 * y->target && x->part == 2 * x->target;
    return (p->resample == SAL_RESAMPLE_BILINEAR && p->antialias == SAL_ANTIALIAS_OFF) ||
                   (p->resample == SAL_RESAMPLE_AREA && (is_growing || is_half))
               ? SAL_TAPS_OPENCV_BITS
               : 0;
}

/* As many as the largest weight leaves in 16 bits with a sign: torch's. */
static int torch_bits(double largest)
{
    int bits = 0;
    while (bits < SAL_TAPS_PILLOW_BITS && (int)(0.5 + largest * (double)(1 << (bits + 1))) < 1 << 15)
        bits++;
    return bits;
}

/* A picture that a crop was cut out of: Pillow reads on beyond its edges, the others do not. */
static void set_borders(maker *m, const sal_axis *axis)
{
    const int beyond = is_pillow(m->p) && m->p->antialias == SAL_ANTIALIAS_ON;
    m->low = beyond ? 0 : axis->from;
    m->end = beyond ? axis->source : axis->from + axis->part;
}

static sal_status allocate(maker *m)
{
    sal_status st = SAL_OK;
    sal_taps *t = m->taps;
    const size_t count = (size_t)t->count;
    const double widest = (m->scale < 1.0 ? 1.0 : m->scale) * fmax(kernels[m->p->resample].support, 1.0);
    size_t weights;
    t->stride = (size_t)ceil(widest) * 2 + 1;
    TRY(sal_alloc(&m->scratch, t->stride, sizeof *m->scratch, "resize taps"));
    TRY(sal_alloc(&t->first, count, sizeof *t->first, "resize taps"));
    TRY(sal_alloc(&t->length, count, sizeof *t->length, "resize taps"));
    TRY(sal_size_mul(&weights, count, t->stride, "resize taps"));
    TRY(sal_alloc(&t->weights, weights, sizeof *t->weights, "resize taps"));
    if (t->bits)
        TRY(sal_alloc(&t->fixed, weights, sizeof *t->fixed, "resize taps"));
done:
    return st;
}

sal_status sal_taps_make(sal_taps *out, const sal_axis *y, const sal_axis *x, int is_y, const sal_preprocess *p)
{
    sal_status st = SAL_OK;
    const sal_axis *axis = is_y ? y : x;
    const sal_window window = sal_fit_visible(axis);
    const int64_t begin = window.begin - axis->offset;
    maker m = {.p = p, .from = axis->from, .part = axis->part, .target = axis->target, .is_y = is_y, .taps = out};
    memset(out, 0, sizeof *out);
    set_borders(&m, axis);
    m.scale = (double)axis->part / (double)axis->target;
    if (p->rounding == SAL_ROUND_OPENCV && is_off(&m)) /* OpenCV's reciprocal of the other ratio */
        m.scale = 1.0 / ((double)axis->target / (double)axis->part);
    m.step = (double)m.from + m.scale * 0.5;
    m.is_growing = y->target > y->part || x->target > x->part;
    out->count = window.count;
    out->bits = bits_of(p, y, x, m.is_growing);
    TRY(allocate(&m));
    make_tap *make = choose(&m);
    /* The largest weight is that of the whole axis, not of what a crop leaves. Above 1, which the first pixel reaches
     * where an axis grows, another changes no bits: no kernel reaches 2. */
    for (int64_t i = 0; p->rounding == SAL_ROUND_TORCH && i < axis->target && m.largest < 1.0 - 1e-9; i++)
        make(&m, 0, i);
    if (p->rounding == SAL_ROUND_TORCH)
        out->bits = torch_bits(m.largest);
    for (int64_t i = 0; i < window.count; i++)
        make(&m, i, begin + i);
done:
    sal_free(m.scratch);
    return st;
}

/* ---- Options ------------------------------------------------------------ */

static sal_status check_grid(const sal_preprocess *p)
{
    const int is_point = p->antialias == SAL_ANTIALIAS_OFF &&
                         (p->resample == SAL_RESAMPLE_BILINEAR || p->resample == SAL_RESAMPLE_CUBIC75);
    if (p->grid == SAL_GRID_HALF_PIXEL || p->resample == SAL_RESAMPLE_NEAREST || is_point)
        return SAL_OK;
    return sal_fail(SAL_ERROR_ARGUMENT,
                    "grid %s goes with resample nearest, and with bilinear or cubic75 where antialias is off",
                    p->grid == SAL_GRID_ALIGN_CORNERS ? "align-corners" : "asymmetric");
}

/* What OpenCV has: INTER_NEAREST, INTER_LINEAR, INTER_CUBIC and INTER_AREA. */
static sal_status check_opencv(const sal_preprocess *p)
{
    switch (p->resample) {
    case SAL_RESAMPLE_NEAREST:
        return p->grid == SAL_GRID_ASYMMETRIC
                   ? SAL_OK
                   : sal_fail(SAL_ERROR_ARGUMENT,
                              "round opencv with resample nearest is cv2.INTER_NEAREST: add grid asymmetric");
    case SAL_RESAMPLE_AREA: return check_grid(p);
    case SAL_RESAMPLE_BICUBIC:
        return sal_fail(SAL_ERROR_ARGUMENT, "resample bicubic is not cv2.INTER_CUBIC, which has other weights: take "
                                            "resample cubic75 with round opencv and antialias off");
    case SAL_RESAMPLE_LANCZOS:
        return sal_fail(SAL_ERROR_ARGUMENT, "resample lanczos is not cv2.INTER_LANCZOS4, which has 8 taps and salmap "
                                            "does not know: leave round opencv out, or take resample cubic75");
    case SAL_RESAMPLE_BOX:
    case SAL_RESAMPLE_HAMMING:
        return sal_fail(SAL_ERROR_ARGUMENT, "resample %s is Pillow's, and round opencv is not: take round passes",
                        p->resample == SAL_RESAMPLE_BOX ? "box" : "hamming");
    default: break;
    }
    if (p->antialias != SAL_ANTIALIAS_OFF)
        return sal_fail(SAL_ERROR_ARGUMENT, "round opencv is of cv2.resize, which has no antialias: add antialias off, "
                                            "or take resample area");
    if (p->grid != SAL_GRID_HALF_PIXEL)
        return sal_fail(SAL_ERROR_ARGUMENT,
                        "round opencv has another grid than half-pixel with resample nearest alone: take grid "
                        "half-pixel, or round once");
    return SAL_OK;
}

/* What is of one library, and said of another. */
static sal_status check_library(const sal_preprocess *p)
{
    if (p->rounding == SAL_ROUND_OPENCV)
        return check_opencv(p);
    if (p->rounding == SAL_ROUND_TORCH && p->antialias == SAL_ANTIALIAS_OFF && p->resample == SAL_RESAMPLE_BICUBIC)
        return sal_fail(SAL_ERROR_ARGUMENT, "resample bicubic is torch's with antialias alone: take resample cubic75 "
                                            "with round torch and antialias off");
    return check_grid(p);
}

sal_status sal_resize_check(const sal_preprocess *p)
{
    if ((unsigned)p->resample > SAL_RESAMPLE_HAMMING || (unsigned)p->antialias > SAL_ANTIALIAS_OFF ||
        (unsigned)p->rounding > SAL_ROUND_PILLOW13 || (unsigned)p->grid > SAL_GRID_ASYMMETRIC)
        return sal_fail(SAL_ERROR_ARGUMENT, "resample %d, antialias %d, round %d or grid %d is unknown",
                        (int)p->resample, (int)p->antialias, (int)p->rounding, (int)p->grid);
    if (p->antialias == SAL_ANTIALIAS_OFF && (p->resample == SAL_RESAMPLE_BOX || p->resample == SAL_RESAMPLE_HAMMING))
        return sal_fail(SAL_ERROR_ARGUMENT, "resample %s is Pillow's, which has no antialias off: leave that out",
                        p->resample == SAL_RESAMPLE_BOX ? "box" : "hamming");
    if (p->antialias == SAL_ANTIALIAS_ON && p->resample == SAL_RESAMPLE_CUBIC75)
        return sal_fail(SAL_ERROR_ARGUMENT, "resample cubic75 is that of OpenCV and torch without antialias: add "
                                            "antialias off, or take bicubic");
    if (is_in_passes(p) && p->resample == SAL_RESAMPLE_AREA)
        return sal_fail(SAL_ERROR_ARGUMENT,
                        "resample area is rounded once, if at all: take round opencv, once or none");
    return check_library(p);
}
