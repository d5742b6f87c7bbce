/* Padding with a constant, mirrored, repeated or continued at the other side, and cutting by negative pads. */
#include "base/memory.h"
#include "import/onnx/lower/array.h"
#include "import/onnx/lower/emit.h"
#include "import/onnx/lower/handlers.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/op.h"

#include <float.h>
#include <math.h>

/* No extent of a tensor comes near. */
static const int64_t max_extent = (int64_t)1 << 30;

/* pads of the file: all begins, then all ends, along `axes` or along every axis. */
static sal_status spread_pads(int64_t *begin, int64_t *end, onnx_importer *im, const onnx_op *op, int rank)
{
    sal_status st = SAL_OK;
    const int64_t *pads, *axes;
    size_t count, axis_count;
    TRY(onnx_int_list_either(&pads, &count, im, op, 1, "pads"));
    TRY(onnx_int_list(&axes, &axis_count, im, op, 3));
    size_t axes_padded = axes ? axis_count : (size_t)rank;
    if (count != 2 * axes_padded)
        return onnx_fail(op, SAL_ERROR_FORMAT, "%zu pads for %zu axes", count, axes_padded);
    for (size_t k = 0; k < axes_padded; k++) {
        int axis;
        TRY(onnx_axis(&axis, op, axes ? axes[k] : (int64_t)k, rank));
        begin[axis] = pads[k];
        end[axis] = pads[k + axes_padded];
    }
done:
    return st;
}

/* Which element stands at place `at`, before or behind the axis as well; -1: the constant. */
typedef int64_t source_of(int64_t at, int64_t extent);

static int64_t of_constant(int64_t at, int64_t extent)
{
    return at >= 0 && at < extent ? at : -1;
}

static int64_t of_edge(int64_t at, int64_t extent)
{
    return at < 0 ? 0 : at < extent ? at : extent - 1;
}

static int64_t of_wrap(int64_t at, int64_t extent)
{
    return (at % extent + extent) % extent;
}

static int64_t of_reflect(int64_t at, int64_t extent)
{
    if (extent == 1)
        return 0;
    const int64_t period = 2 * (extent - 1), place = of_wrap(at, period);
    return place < extent ? place : period - place;
}

static const struct {
    const char *name;
    source_of *source;
} modes[] = {{"constant", of_constant}, {"edge", of_edge}, {"reflect", of_reflect}, {"wrap", of_wrap}};

/* One axis of the node; of a constant other than 0 the elements are 0. */
static sal_status pad_axis(int *x, onnx_importer *im, const onnx_op *op, source_of *source, int axis, int64_t begin,
                           int64_t end)
{
    sal_status st = SAL_OK;
    onnx_table table = {0};
    const int64_t extent = onnx_shape(im, *x)->dim[axis];
    if (begin == 0 && end == 0)
        return SAL_OK;
    TRY(onnx_table_new(&table, op, begin + extent + end, 1, source == of_constant));
    for (size_t k = 0; k < table.count; k++) {
        const int64_t from = source((int64_t)k - begin, extent);
        table.index[k] = (int32_t)(from < 0 ? 0 : from);
        if (table.weight)
            table.weight[k] = from < 0 ? 0.0F : 1.0F;
    }
    TRY(onnx_emit_gather(x, im, op, *x, axis, &table));
done:
    onnx_table_clear(&table);
    return st;
}

sal_status onnx_add_outside(int *x, onnx_importer *im, const onnx_op *op, const int64_t *begin, const int64_t *end,
                            float value)
{
    sal_status st = SAL_OK;
    const sal_shape shape = *onnx_shape(im, *x);
    const int64_t count = sal_shape_elements(&shape);
    float *values = NULL;
    int constant;
    if (value == 0.0F)
        return SAL_OK;
    if (count > max_extent / 16)
        return onnx_fail(op, SAL_ERROR_LIMIT, "pads to %lld elements", (long long)count);
    TRY(sal_alloc(&values, (size_t)count, sizeof *values, op->name));
    for (int64_t k = 0; k < count; k++) {
        int inside = 1;
        int64_t rest = k;
        for (int a = shape.rank - 1; a >= 0; a--) {
            const int64_t at = rest % shape.dim[a];
            rest /= shape.dim[a];
            inside &= at >= begin[a] && at < shape.dim[a] - end[a];
        }
        values[k] = inside ? 0.0F : value;
    }
    TRY(onnx_emit_constant(&constant, im, op, values, &shape));
    TRY(onnx_emit_binary(x, im, op, SAL_OP_ADD, *x, constant));
done:
    return st;
}

/* Height and width of a feature map, or two neighbouring axes that stand for them. */
static sal_status pad_map(int *x, onnx_importer *im, const onnx_op *op, int axis, const int64_t *begin,
                          const int64_t *end, float value)
{
    sal_status st = SAL_OK;
    TRY(onnx_start(x, im, op, SAL_OP_PAD, &(int){*x}, 1));
    sal_node *n = &im->graph->nodes[*x];
    n->axis = axis;
    n->value = value;
    for (int i = 0; i < 2; i++) {
        n->window.pad_begin[i] = begin[axis + i];
        n->window.pad_end[i] = end[axis + i];
    }
    TRY(onnx_finish(im, op, *x));
done:
    return st;
}

/* begin and end are of the node's axes. */
static sal_status pad_node(int *x, onnx_importer *im, const onnx_op *op, source_of *source, int64_t *begin,
                           int64_t *end, float value)
{
    sal_status st = SAL_OK;
    const int rank = onnx_shape(im, *x)->rank;
    int first = rank, last = 0;
    for (int a = 0; a < rank; a++) {
        const int64_t extent = onnx_shape(im, *x)->dim[a], cut = begin[a] < 0 ? -begin[a] : 0;
        const int64_t kept = extent - cut + (end[a] < 0 ? end[a] : 0);
        if (kept < 1)
            return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "its pads cut off all of an axis");
        TRY(onnx_emit_slice(x, im, op, *x, a, cut, 1, kept));
        begin[a] = begin[a] < 0 ? 0 : begin[a];
        end[a] = end[a] < 0 ? 0 : end[a];
        if (begin[a] == 0 && end[a] == 0)
            continue;
        first = a < first ? a : first;
        last = a;
    }
    if (first == rank)
        return SAL_OK;
    /* Only one of the two is padded: height and width are axes 2 and 3 unless axis 1 is padded. */
    if (source == of_constant && rank == 4 && first > 0 && last - first <= 1)
        return pad_map(x, im, op, first == 1 ? 1 : 2, begin, end, value);
    for (int a = first; a <= last; a++)
        TRY(pad_axis(x, im, op, source, a, begin[a], end[a]));
    if (source == of_constant)
        TRY(onnx_add_outside(x, im, op, begin, end, value));
done:
    return st;
}

sal_status onnx_lower_pad(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    size_t mode = 0;
    int64_t begin[SAL_MAX_RANK + 1] = {0}, end[SAL_MAX_RANK + 1] = {0};
    float attribute;
    double value;
    onnx_array x;
    while (mode < sizeof modes / sizeof *modes && !onnx_attribute_is(op, "mode", modes[mode].name, "constant"))
        mode++;
    if (mode == sizeof modes / sizeof *modes)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "salmap knows the modes constant, edge, reflect and wrap");
    TRY(onnx_attribute_float(&attribute, op, "value", 0.0F));
    value = (double)attribute;
    if (onnx_has_input(op, 2))
        TRY(onnx_scalar(&value, im, op, 2));
    if (!isfinite(value) && !isnan(value))
        value = value > 0 ? (double)FLT_MAX : -(double)FLT_MAX; /* a pad before a max pool */
    if (isnan(value))
        return onnx_fail(op, SAL_ERROR_NUMERIC, "pads with NaN");
    TRY(onnx_array_get(&x, im, op, 0));
    TRY(spread_pads(begin, end, im, op, x.shape.rank));
    if (begin[0] != 0 || end[0] != 0)
        TRY(onnx_array_lead(&x, im, op));
    for (int a = x.shape.rank - 1; a >= 0; a--) {
        if (begin[a] < -max_extent || begin[a] > max_extent || end[a] < -max_extent || end[a] > max_extent)
            return onnx_fail(op, SAL_ERROR_LIMIT, "pads of %lld and %lld", (long long)begin[a], (long long)end[a]);
        begin[a + x.lead] = begin[a];
        end[a + x.lead] = end[a];
    }
    for (int a = 0; a < x.lead; a++)
        begin[a] = end[a] = 0;
    TRY(pad_node(&x.node, im, op, modes[mode].source, begin, end, (float)value));
    sal_shape out = {.rank = x.shape.rank};
    for (int a = 0; a < out.rank; a++)
        out.dim[a] = onnx_shape(im, x.node)->dim[a + x.lead];
    TRY(onnx_array_output(im, op, 0, x.node, &out));
done:
    return st;
}
