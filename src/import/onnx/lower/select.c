/* Ops that pick or join parts of tensors; on constants they are carried out at once. */
#include "base/memory.h"
#include "import/onnx/lower/array.h"
#include "import/onnx/lower/emit.h"
#include "import/onnx/lower/handlers.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/op.h"
#include "import/onnx/tensor.h"

#include <string.h>

/* Reversed or scattered channels are taken one by one; more than these would be no channel order. */
enum { MAX_PICKS = 64 };

static sal_status concat_constants(onnx_importer *im, const onnx_op *op, int64_t axis_given)
{
    sal_status st = SAL_OK;
    const onnx_tensor *first, *t;
    onnx_tensor result = {0};
    int axis;
    int64_t outer = 1, inner = 1;
    TRY(onnx_constant(&first, im, op, 0));
    sal_shape shape = first->shape;
    TRY(onnx_axis(&axis, op, axis_given, shape.rank));
    for (int i = 1; i < op->input_count; i++) {
        TRY(onnx_constant(&t, im, op, i));
        sal_shape same = t->shape;
        if (same.rank == shape.rank)
            same.dim[axis] = shape.dim[axis];
        if (t->integer != first->integer || !sal_shape_equal(&same, &shape) ||
            __builtin_add_overflow(shape.dim[axis], t->shape.dim[axis], &shape.dim[axis]))
            return onnx_fail(op, SAL_ERROR_FORMAT, "constants of different type or shape");
    }
    TRY(onnx_tensor_new(&result, im, first->integer, &shape, op->name));
    for (int a = 0; a < shape.rank; a++) {
        outer *= a < axis ? shape.dim[a] : 1;
        inner *= a > axis ? shape.dim[a] : 1;
    }
    size_t size = result.integer ? sizeof *result.i : sizeof *result.f;
    char *to = result.integer ? (char *)result.i : (char *)result.f;
    for (int64_t o = 0; o < outer && result.count > 0; o++)
        for (int i = 0; i < op->input_count; i++) {
            TRY(onnx_constant(&t, im, op, i));
            size_t bytes = (size_t)(t->shape.dim[axis] * inner) * size;
            if (bytes > 0)
                memcpy(to, (t->integer ? (const char *)t->i : (const char *)t->f) + (size_t)o * bytes, bytes);
            to += bytes;
        }
    onnx_output_constant(im, op, 0, &result);
done:
    onnx_tensor_clear(&result);
    return st;
}

sal_status onnx_lower_concat(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int64_t axis_given;
    int *inputs = NULL, axis, base, node, all_constant = 1;
    onnx_array *arrays = NULL;
    TRY(onnx_attribute_int(&axis_given, op, "axis", 1));
    if (op->input_count < 1)
        return onnx_fail(op, SAL_ERROR_FORMAT, "nothing to join");
    for (int i = 0; i < op->input_count; i++) {
        int constant;
        TRY(onnx_is_constant(&constant, im, op, i));
        all_constant &= constant;
    }
    if (all_constant)
        return concat_constants(im, op, axis_given);
    TRY(onnx_array_all(&arrays, im, op));
    TRY(sal_alloc(&inputs, (size_t)op->input_count, sizeof *inputs, "a node's inputs"));
    sal_shape shape = arrays[0].shape;
    TRY(onnx_axis(&axis, op, axis_given, shape.rank));
    for (int i = 1; i < op->input_count; i++) {
        if (arrays[i].shape.rank != shape.rank) {
            st = onnx_fail(op, SAL_ERROR_FORMAT, "cannot join tensors of rank %d and %d", shape.rank,
                           arrays[i].shape.rank);
            goto done;
        }
        shape.dim[axis] += arrays[i].shape.dim[axis];
    }
    TRY(onnx_array_align(inputs, &base, im, op, arrays, op->input_count, shape.rank, axis == 0 && op->input_count > 1));
    node = inputs[0];
    if (op->input_count > 1)
        TRY(onnx_emit_concat(&node, im, op, inputs, op->input_count, base + axis));
    TRY(onnx_array_output(im, op, 0, node, &shape));
done:
    sal_free(arrays);
    sal_free(inputs);
    return st;
}

/* What a slice takes along one axis. */
typedef struct range {
    int axis;
    int64_t start;
    int64_t step; /* may be negative */
    int64_t extent;
} range;

/* start and end count from the end where negative, and are clipped to the axis. */
static sal_status clip_range(range *r, const onnx_op *op, int64_t start, int64_t end, int64_t step, int64_t length)
{
    if (step == 0 || step == INT64_MIN)
        return onnx_fail(op, SAL_ERROR_FORMAT, "step %lld", (long long)step);
    start += start < 0 ? length : 0;
    end += end < 0 ? length : 0;
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? length : length - 1;
    start = start < 0 ? 0 : start > high ? high : start;
    end = end < low ? low : end > high ? high : end;
    int64_t span = step > 0 ? end - start : start - end, size = step > 0 ? step : -step;
    r->start = start;
    r->step = step;
    r->extent = span > 0 ? (span - 1) / size + 1 : 0;
    if (r->extent <= 1)
        r->step = 1; /* a huge step would overflow strides */
    return SAL_OK;
}

/* Parts of extent 1, in any order, joined again. */
static sal_status pick(int *out, onnx_importer *im, const onnx_op *op, int x, int axis, const int64_t *indices,
                       size_t count)
{
    sal_status st = SAL_OK;
    int parts[MAX_PICKS];
    if (count == 0 || count > MAX_PICKS)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "picks %zu parts in an order of its own, at most %d", count,
                         MAX_PICKS);
    for (size_t k = 0; k < count; k++)
        TRY(onnx_emit_slice(&parts[k], im, op, x, axis, indices[k], 1, 1));
    *out = parts[0];
    if (count > 1) {
        TRY(onnx_start(out, im, op, SAL_OP_CONCAT, parts, (int)count));
        im->graph->nodes[*out].axis = axis;
        TRY(onnx_finish(im, op, *out));
    }
done:
    return st;
}

/* indices along an axis of a node. Few of a feature map are parts joined again, which other layers may take in. */
static sal_status take(int *out, onnx_importer *im, const onnx_op *op, int x, int axis, const int64_t *indices,
                       size_t count)
{
    sal_status st = SAL_OK;
    onnx_table table = {0};
    if (count == 1 || (count <= MAX_PICKS && onnx_shape(im, x)->rank == 4))
        return pick(out, im, op, x, axis, indices, count);
    TRY(onnx_table_new(&table, op, (int64_t)count, 1, 0));
    for (size_t k = 0; k < count; k++)
        table.index[k] = (int32_t)indices[k];
    TRY(onnx_emit_gather(out, im, op, x, axis, &table));
done:
    return st;
}

/* The node's axes are `lead` more than those of the range. */
static sal_status slice_node(onnx_array *a, onnx_importer *im, const onnx_op *op, const range *r)
{
    sal_status st = SAL_OK;
    int64_t *indices = NULL;
    if (r->extent == 0)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "takes nothing along axis %d", r->axis);
    if (r->axis == 0 && a->lead == 0)
        return SAL_OK;
    a->shape.dim[r->axis] = r->extent;
    const int axis = r->axis + a->lead;
    if (r->step > 0)
        return onnx_emit_slice(&a->node, im, op, a->node, axis, r->start, r->step, r->extent);
    TRY(sal_alloc(&indices, (size_t)r->extent, sizeof *indices, "a slice's indices"));
    for (int64_t k = 0; k < r->extent; k++)
        indices[k] = r->start + k * r->step;
    TRY(take(&a->node, im, op, a->node, axis, indices, (size_t)r->extent));
done:
    sal_free(indices);
    return st;
}

static sal_status slice_constant(onnx_importer *im, const onnx_op *op, const onnx_tensor *in, const range *ranges,
                                 size_t count)
{
    int64_t stride[SAL_MAX_RANK], offset = 0;
    sal_shape shape = in->shape;
    onnx_tensor t;
    onnx_strides(stride, &shape);
    for (size_t k = 0; k < count; k++) {
        int axis = ranges[k].axis;
        shape.dim[axis] = ranges[k].extent;
        offset += ranges[k].start * stride[axis];
        stride[axis] *= ranges[k].step;
    }
    sal_status st = onnx_tensor_view(&t, im, in, &shape, stride, offset);
    if (st == SAL_OK)
        onnx_output_constant(im, op, 0, &t);
    return st;
}

static sal_status read_ranges(range *ranges, size_t *count, onnx_importer *im, const onnx_op *op,
                              const sal_shape *shape)
{
    sal_status st = SAL_OK;
    const int64_t *starts, *ends, *axes, *steps;
    size_t start_count, end_count, axis_count, step_count;
    unsigned seen = 0;
    TRY(onnx_int_list_either(&starts, &start_count, im, op, 1, "starts"));
    TRY(onnx_int_list_either(&ends, &end_count, im, op, 2, "ends"));
    TRY(onnx_int_list_either(&axes, &axis_count, im, op, 3, "axes"));
    TRY(onnx_int_list(&steps, &step_count, im, op, 4));
    if (start_count != end_count || (axes && axis_count != start_count) || (steps && step_count != start_count) ||
        start_count > (size_t)shape->rank)
        return onnx_fail(op, SAL_ERROR_FORMAT, "starts, ends, axes and steps differ in length");
    for (size_t k = 0; k < start_count; k++) {
        TRY(onnx_axis(&ranges[k].axis, op, axes ? axes[k] : (int64_t)k, shape->rank));
        if (seen >> ranges[k].axis & 1U)
            return onnx_fail(op, SAL_ERROR_FORMAT, "axis %d is given twice", ranges[k].axis);
        seen |= 1U << ranges[k].axis;
        TRY(clip_range(&ranges[k], op, starts[k], ends[k], steps ? steps[k] : 1, shape->dim[ranges[k].axis]));
    }
    *count = start_count;
done:
    return st;
}

sal_status onnx_lower_slice(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int constant;
    onnx_array a;
    const onnx_tensor *t;
    range ranges[SAL_MAX_RANK];
    size_t count = 0;
    TRY(onnx_is_constant(&constant, im, op, 0));
    if (constant) {
        TRY(onnx_constant(&t, im, op, 0));
        TRY(read_ranges(ranges, &count, im, op, &t->shape));
        return slice_constant(im, op, t, ranges, count);
    }
    TRY(onnx_array_get(&a, im, op, 0));
    TRY(read_ranges(ranges, &count, im, op, &a.shape));
    for (size_t k = 0; k < count; k++)
        TRY(slice_node(&a, im, op, &ranges[k]));
    TRY(onnx_array_output(im, op, 0, a.node, &a.shape));
done:
    return st;
}

/* Extent of part k of a split: as listed, else equal parts with a smaller last one. */
static int64_t part_extent(const int64_t *list, int parts, int k, int64_t length)
{
    if (list)
        return list[k];
    int64_t each = (length + parts - 1) / parts;
    int64_t rest = length - each * k;
    return rest < each ? rest : each;
}

sal_status onnx_lower_split(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int64_t axis_given, length, at = 0;
    const int64_t *list;
    size_t count;
    int axis, constant;
    onnx_array x;
    const onnx_tensor *t = NULL;
    TRY(onnx_attribute_int(&axis_given, op, "axis", 0));
    TRY(onnx_int_list_either(&list, &count, im, op, 1, "split"));
    TRY(onnx_is_constant(&constant, im, op, 0));
    if (constant)
        TRY(onnx_constant(&t, im, op, 0));
    else
        TRY(onnx_array_get(&x, im, op, 0));
    const sal_shape shape = constant ? t->shape : x.shape;
    TRY(onnx_axis(&axis, op, axis_given, shape.rank));
    length = shape.dim[axis];
    if (op->output_count < 1 || (list && count != (size_t)op->output_count))
        return onnx_fail(op, SAL_ERROR_FORMAT, "%zu parts for %d outputs", count, op->output_count);
    for (int k = 0; k < op->output_count; k++) {
        int64_t extent = part_extent(list, op->output_count, k, length);
        if (extent < 1 || extent > length - at)
            return onnx_fail(op, SAL_ERROR_FORMAT, "part %d has %lld elements", k, (long long)extent);
        if (constant) {
            int64_t stride[SAL_MAX_RANK];
            sal_shape cut = shape;
            onnx_tensor result;
            onnx_strides(stride, &shape);
            cut.dim[axis] = extent;
            TRY(onnx_tensor_view(&result, im, t, &cut, stride, at * stride[axis]));
            onnx_output_constant(im, op, k, &result);
        } else {
            range r = {.axis = axis, .start = at, .step = 1, .extent = extent};
            onnx_array part = x;
            TRY(slice_node(&part, im, op, &r));
            TRY(onnx_array_output(im, op, k, part.node, &part.shape));
        }
        at += extent;
    }
    if (at != length)
        st = onnx_fail(op, SAL_ERROR_FORMAT, "the parts do not fill axis %d", axis);
done:
    return st;
}

/* Indices of a Gather, counted from the start. */
static sal_status gather_index(int64_t *out, const onnx_op *op, int64_t index, int64_t length)
{
    if (index < -length || index >= length)
        return onnx_fail(op, SAL_ERROR_FORMAT, "index %lld of %lld", (long long)index, (long long)length);
    *out = index < 0 ? index + length : index;
    return SAL_OK;
}

static sal_status gather_constant(onnx_importer *im, const onnx_op *op, int64_t axis_given, const onnx_tensor *index)
{
    sal_status st = SAL_OK;
    const onnx_tensor *in;
    onnx_tensor t = {0};
    int axis;
    int64_t stride[SAL_MAX_RANK], inner = 1, outer = 1;
    TRY(onnx_constant(&in, im, op, 0));
    TRY(onnx_axis(&axis, op, axis_given, in->shape.rank));
    if (in->shape.rank - 1 + index->shape.rank > SAL_MAX_RANK)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "the result has more than %d axes", SAL_MAX_RANK);
    sal_shape shape = {0};
    for (int a = 0; a < in->shape.rank; a++) {
        outer *= a < axis ? in->shape.dim[a] : 1;
        inner *= a > axis ? in->shape.dim[a] : 1;
        if (a != axis)
            shape.dim[shape.rank++] = in->shape.dim[a];
        for (int b = 0; a == axis && b < index->shape.rank; b++)
            shape.dim[shape.rank++] = index->shape.dim[b];
    }
    onnx_strides(stride, &in->shape);
    TRY(onnx_tensor_new(&t, im, in->integer, &shape, op->name));
    size_t to = 0;
    for (int64_t o = 0; o < outer && t.count > 0; o++)
        for (size_t k = 0; k < index->count; k++) {
            int64_t at = 0;
            TRY(gather_index(&at, op, index->i[k], in->shape.dim[axis]));
            size_t from = (size_t)((o * in->shape.dim[axis] + at) * inner);
            for (int64_t e = 0; e < inner; e++, to++, from++) {
                if (t.integer)
                    t.i[to] = in->i[from];
                else
                    t.f[to] = in->f[from];
            }
        }
    onnx_output_constant(im, op, 0, &t);
done:
    onnx_tensor_clear(&t);
    return st;
}

sal_status onnx_lower_gather(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int64_t axis_given, *indices = NULL;
    int constant, axis, y;
    onnx_array x;
    const onnx_tensor *index;
    sal_shape shape = {0};
    TRY(onnx_attribute_int(&axis_given, op, "axis", 0));
    TRY(onnx_is_constant(&constant, im, op, 0));
    TRY(onnx_constant(&index, im, op, 1));
    if (!index->integer)
        return onnx_fail(op, SAL_ERROR_FORMAT, "its indices are no integers");
    if (constant)
        return gather_constant(im, op, axis_given, index);
    TRY(onnx_array_get(&x, im, op, 0));
    TRY(onnx_axis(&axis, op, axis_given, x.shape.rank));
    if (x.shape.rank - 1 + index->shape.rank > SAL_MAX_RANK)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "the result has more than %d axes", SAL_MAX_RANK);
    for (int a = 0; a < x.shape.rank; a++) {
        if (a != axis)
            shape.dim[shape.rank++] = x.shape.dim[a];
        for (int b = 0; a == axis && b < index->shape.rank; b++)
            shape.dim[shape.rank++] = index->shape.dim[b];
    }
    if (axis == 0)
        TRY(onnx_array_lead(&x, im, op));
    TRY(sal_alloc(&indices, index->count, sizeof *indices, "indices"));
    for (size_t k = 0; k < index->count; k++)
        TRY(gather_index(&indices[k], op, index->i[k], x.shape.dim[axis]));
    if (index->count == 0) {
        st = onnx_fail(op, SAL_ERROR_UNSUPPORTED, "it picks nothing");
        goto done;
    }
    TRY(take(&y, im, op, x.node, axis + x.lead, indices, index->count));
    TRY(onnx_array_output(im, op, 0, y, &shape));
done:
    sal_free(indices);
    return st;
}
