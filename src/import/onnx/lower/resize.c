/* Resizing by nearest, linear and cubic interpolation, along one axis after the other: each element of the result is
 * a weighted sum of neighbours in the input. */
#include "base/memory.h"
#include "import/onnx/lower/array.h"
#include "import/onnx/lower/emit.h"
#include "import/onnx/lower/handlers.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/op.h"
#include "import/onnx/tensor.h"

#include <math.h>
#include <string.h>

/* No extent of a tensor comes near. */
static const double max_extent = (double)(1 << 24);

typedef enum interpolation { NEAREST, LINEAR, CUBIC } interpolation;

typedef enum coordinates {
    HALF_PIXEL,
    HALF_PIXEL_SYMMETRIC,
    PYTORCH_HALF_PIXEL,
    ALIGN_CORNERS,
    ASYMMETRIC,
    CROP
} coordinates;

typedef enum rounding { PREFER_FLOOR, PREFER_CEIL, FLOOR, CEIL } rounding;

typedef struct resize {
    interpolation how;
    coordinates where;
    rounding nearest;
    int antialias;
    int exclude_outside;
    double cubic;
    double outside; /* value, where a crop reaches beyond the input */
} resize;

/* Of one axis. */
typedef struct side {
    int64_t from;
    int64_t to;
    double scale;
    double roi[2];
} side;

static double original(const resize *r, const side *s, int64_t place)
{
    const double x = (double)place, from = (double)s->from, to = s->scale * from;
    const double half = (x + 0.5) / s->scale - 0.5;
    switch (r->where) {
    case HALF_PIXEL: return half;
    case HALF_PIXEL_SYMMETRIC: return from / 2.0 * (1.0 - (double)s->to / to) + half;
    case PYTORCH_HALF_PIXEL: return s->to == 1 ? -0.5 : half;
    case ALIGN_CORNERS: return s->to == 1 ? 0.0 : x * (from - 1.0) / (to - 1.0);
    case ASYMMETRIC: return x / s->scale;
    case CROP:
        if (s->to == 1)
            return (s->roi[0] + s->roi[1]) * (from - 1.0) / 2.0;
        return s->roi[0] * (from - 1.0) + x * (s->roi[1] - s->roi[0]) * (from - 1.0) / (to - 1.0);
    }
    return 0.0;
}

/* The kernel at a distance. */
static double kernel(const resize *r, double distance)
{
    const double x = fabs(distance), a = r->cubic;
    if (r->how == LINEAR)
        return fmax(1.0 - x, 0.0);
    if (x <= 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    return x < 2.0 ? ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a : 0.0;
}

static int64_t nearest(const resize *r, double x)
{
    const double low = floor(x), ratio = x - low;
    if (ratio == 0.0)
        return (int64_t)low;
    if (r->nearest == FLOOR || (r->nearest == PREFER_FLOOR && ratio <= 0.5) ||
        (r->nearest == PREFER_CEIL && ratio < 0.5))
        return (int64_t)low;
    return (int64_t)low + 1;
}

static int64_t within(int64_t place, int64_t extent)
{
    return place < 0 ? 0 : place < extent ? place : extent - 1;
}

/* How far the kernel reaches to the left and right of the original place. */
static int64_t reach(const resize *r, const side *s)
{
    const double support = r->how == CUBIC ? 2.0 : 1.0;
    return (int64_t)ceil(r->antialias && s->scale < 1.0 ? support / s->scale : support);
}

/* Weights of one element; those of places beyond the input are the edge's, or none. */
static void weigh(int32_t *index, float *weight, const resize *r, const side *s, double x, int64_t half)
{
    const double shrink = r->antialias && s->scale < 1.0 ? s->scale : 1.0;
    const int64_t first = (int64_t)floor(x) - half + 1;
    double sum = 0.0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t t = 0; t < 2 * half; t++) {
            const int64_t place = first + t;
            const int outside = place < 0 || place >= s->from;
            const double w = r->exclude_outside && outside ? 0.0 : kernel(r, ((double)place - x) * shrink);
            if (pass == 0)
                sum += w;
            else {
                index[t] = (int32_t)within(place, s->from);
                weight[t] = (float)(r->antialias || r->exclude_outside ? w / sum : w);
            }
        }
}

/* *begin and *end: elements of the result that a crop takes from outside the input, and which are 0. */
static sal_status resize_axis(int *x, int64_t *begin, int64_t *end, onnx_importer *im, const onnx_op *op,
                              const resize *r, const side *s, int axis)
{
    sal_status st = SAL_OK;
    onnx_table table = {0};
    const int64_t half = r->how == NEAREST ? 1 : reach(r, s), taps = r->how == NEAREST ? 1 : 2 * half;
    const int crop = r->where == CROP;
    TRY(onnx_table_new(&table, op, s->to, taps, r->how != NEAREST || crop));
    for (int64_t k = 0; k < s->to; k++) {
        const double place = original(r, s, k);
        if (crop && !(place >= 0.0 && place <= (double)(s->from - 1))) {
            *(*begin == k ? begin : end) += 1;
            continue;
        }
        if (r->how != NEAREST)
            weigh(table.index + k * taps, table.weight + k * taps, r, s, place, half);
        else {
            table.index[k] = (int32_t)within(nearest(r, place), s->from);
            if (crop)
                table.weight[k] = 1.0F;
        }
    }
    TRY(onnx_emit_gather(x, im, op, *x, axis, &table));
done:
    onnx_table_clear(&table);
    return st;
}

static sal_status read_word(int *out, const onnx_op *op, const char *name, const char *const *words, int count,
                            const char *fallback)
{
    for (*out = 0; *out < count; (*out)++)
        if (onnx_attribute_is(op, name, words[*out], fallback))
            return SAL_OK;
    return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "salmap does not know its %s", name);
}

static sal_status read_resize(resize *r, const onnx_op *op)
{
    static const char *const hows[] = {"nearest", "linear", "cubic", "bilinear"};
    static const char *const wheres[] = {"half_pixel",    "half_pixel_symmetric", "pytorch_half_pixel",
                                         "align_corners", "asymmetric",           "tf_crop_and_resize"};
    static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
    sal_status st = SAL_OK;
    int64_t antialias, exclude;
    float cubic, outside;
    int how, where, nearest;
    const int old = op->opset < 11 || strcmp(op->type, "Upsample") == 0;
    TRY(read_word(&how, op, "mode", hows, 4, "nearest"));
    TRY(read_word(&where, op, "coordinate_transformation_mode", wheres, 6, old ? "asymmetric" : "half_pixel"));
    TRY(read_word(&nearest, op, "nearest_mode", roundings, 4, old ? "floor" : "round_prefer_floor"));
    TRY(onnx_attribute_int(&antialias, op, "antialias", 0));
    TRY(onnx_attribute_int(&exclude, op, "exclude_outside", 0));
    TRY(onnx_attribute_float(&cubic, op, "cubic_coeff_a", -0.75F));
    TRY(onnx_attribute_float(&outside, op, "extrapolation_value", 0.0F));
    *r = (resize){.how = how == 3 ? LINEAR : (interpolation)how,
                  .where = (coordinates)where,
                  .nearest = (rounding)nearest,
                  .antialias = antialias != 0,
                  .exclude_outside = exclude != 0,
                  .cubic = (double)cubic,
                  .outside = (double)outside};
done:
    return st;
}

/* Numbers that an input has, one for each of the axes; NULL where it is left out or empty. */
static sal_status read_numbers(const onnx_tensor **out, onnx_importer *im, const onnx_op *op, int index,
                               size_t expected)
{
    *out = NULL;
    if (!onnx_has_input(op, index))
        return SAL_OK;
    sal_status st = onnx_constant(out, im, op, index);
    if (st != SAL_OK)
        return st;
    if ((*out)->count == 0)
        *out = NULL;
    else if ((*out)->count != expected)
        return onnx_fail(op, SAL_ERROR_FORMAT, "input %d has %zu numbers, expected %zu", index, (*out)->count,
                         expected);
    return SAL_OK;
}

/* One scale for all axes, so that none becomes larger, or smaller, than asked for. */
static sal_status keep_ratio(side *sides, const onnx_op *op, const int *axes, size_t count)
{
    static const char *const policies[] = {"stretch", "not_larger", "not_smaller"};
    int policy;
    sal_status st = read_word(&policy, op, "keep_aspect_ratio_policy", policies, 3, "stretch");
    if (st != SAL_OK || policy == 0)
        return st;
    double scale = sides[axes[0]].scale;
    for (size_t k = 1; k < count; k++)
        scale = policy == 1 ? fmin(scale, sides[axes[k]].scale) : fmax(scale, sides[axes[k]].scale);
    for (size_t k = 0; k < count; k++) {
        side *s = &sides[axes[k]];
        s->scale = scale;
        s->to = (int64_t)floor(scale * (double)s->from + 0.5);
    }
    return SAL_OK;
}

/* Scales or sizes, and the roi of a crop, of the axes that are resized. */
static sal_status read_sides(side *sides, onnx_importer *im, const onnx_op *op, const resize *r, int rank)
{
    sal_status st = SAL_OK;
    const int64_t *given;
    size_t count;
    int axes[SAL_MAX_RANK] = {0};
    const onnx_tensor *scales = NULL, *sizes = NULL, *roi = NULL;
    const SalOnnx__Attribute *attribute = onnx_attribute_find(op, "scales");
    const int old = op->opset < 11 || strcmp(op->type, "Upsample") == 0;
    TRY(onnx_attribute_ints(&given, &count, op, "axes"));
    if (!given)
        count = (size_t)rank;
    if (count == 0 || count > (size_t)rank)
        return onnx_fail(op, SAL_ERROR_FORMAT, "%zu axes of a tensor of rank %d", count, rank);
    for (size_t k = 0; k < count; k++)
        TRY(onnx_axis(&axes[k], op, given ? given[k] : (int64_t)k, rank));
    if (attribute && attribute->n_floats != count)
        return onnx_fail(op, SAL_ERROR_FORMAT, "%zu scales for %zu axes", attribute->n_floats, count);
    if (!attribute)
        TRY(read_numbers(&scales, im, op, old ? 1 : 2, count));
    if (!old) {
        TRY(read_numbers(&sizes, im, op, 3, count));
        if (r->where == CROP)
            TRY(read_numbers(&roi, im, op, 1, 2 * count));
    }
    if (!attribute && !scales && !sizes)
        return onnx_fail(op, SAL_ERROR_FORMAT, "it has neither scales nor sizes");
    if (r->where == CROP && !roi)
        return onnx_fail(op, SAL_ERROR_FORMAT, "it has no roi");
    for (size_t k = 0; k < count; k++) {
        side *s = &sides[axes[k]];
        const double from = (double)s->from;
        if (sizes) {
            s->to = onnx_to_int(onnx_tensor_at(sizes, k));
            s->scale = (double)s->to / from;
        } else {
            s->scale = attribute ? (double)attribute->floats[k] : onnx_tensor_at(scales, k);
            /* In float, as exporters mean it: 1.4 times 5 is 7. */
            const float length = (float)s->scale * (float)s->from;
            s->to = s->scale > 0.0 && (double)length < max_extent ? (int64_t)length : 0;
        }
        for (int i = 0; roi && i < 2; i++)
            s->roi[i] = onnx_tensor_at(roi, k + (size_t)i * count);
    }
    if (sizes)
        TRY(keep_ratio(sides, op, axes, count));
    for (int a = 0; a < rank; a++)
        if (sides[a].to < 1 || (double)sides[a].to > max_extent)
            return onnx_fail(op, SAL_ERROR_FORMAT, "axis %d becomes %lld long", a, (long long)sides[a].to);
done:
    return st;
}

/* An axis that stays as it is. */
static int stays(const resize *r, const side *s)
{
    return s->from == s->to && s->scale == 1.0 && (r->where != CROP || (s->roi[0] == 0.0 && s->roi[1] == 1.0));
}

sal_status onnx_lower_resize(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    resize r;
    onnx_array x;
    side sides[SAL_MAX_RANK] = {{0}};
    int64_t begin[SAL_MAX_RANK] = {0}, end[SAL_MAX_RANK] = {0};
    int acts_on_first;
    TRY(read_resize(&r, op));
    TRY(onnx_array_get(&x, im, op, 0));
    for (int a = 0; a < x.shape.rank; a++)
        sides[a] = (side){x.shape.dim[a], x.shape.dim[a], 1.0, {0.0, 1.0}};
    TRY(read_sides(sides, im, op, &r, x.shape.rank));
    acts_on_first = x.shape.rank > 0 && !stays(&r, &sides[0]);
    if (acts_on_first)
        TRY(onnx_array_lead(&x, im, op));
    for (int a = 0; a < x.shape.rank; a++) {
        const int axis = a + x.lead;
        if (stays(&r, &sides[a]))
            continue;
        TRY(resize_axis(&x.node, &begin[axis], &end[axis], im, op, &r, &sides[a], axis));
        x.shape.dim[a] = sides[a].to;
    }
    TRY(onnx_add_outside(&x.node, im, op, begin, end, (float)r.outside));
    TRY(onnx_array_output(im, op, 0, x.node, &x.shape));
done:
    return st;
}
