/* Ops that only say which element goes where: by constant indices, masks and orders. */
#include "base/memory.h"
#include "import/onnx/lower/array.h"
#include "import/onnx/lower/emit.h"
#include "import/onnx/lower/handlers.h"
#include "import/onnx/lower/piece.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/op.h"
#include "import/onnx/tensor.h"

#include <string.h>

static sal_status wrap_index(int64_t *out, const onnx_op *op, int64_t index, int64_t length)
{
    if (index < -length || index >= length)
        return onnx_fail(op, SAL_ERROR_FORMAT, "index %lld of %lld", (long long)index, (long long)length);
    *out = index < 0 ? index + length : index;
    return SAL_OK;
}

static sal_status constant_indices(const onnx_tensor **out, onnx_importer *im, const onnx_op *op, int index)
{
    sal_status st = onnx_constant(out, im, op, index);
    if (st == SAL_OK && !(*out)->integer)
        st = onnx_fail(op, SAL_ERROR_FORMAT, "its indices are no integers");
    return st;
}

/* Picks from nodes, whatever their shapes, into the file's shape. */
static sal_status output_picked(onnx_importer *im, const onnx_op *op, const int *nodes, int count, onnx_table *table,
                                const sal_shape *shape)
{
    int y;
    sal_shape line = {.rank = 2, .dim = {1, (int64_t)table->count}};
    sal_status st = onnx_emit_pick(&y, im, op, nodes, count, table, &line);
    return st == SAL_OK ? onnx_array_output(im, op, 0, y, shape) : st;
}

/* Elements of two tensors laid end to end have numbers below 2^31. */
static sal_status check_numbers(const onnx_op *op, const onnx_array *arrays, int count)
{
    int64_t sum = 0;
    for (int i = 0; i < count; i++)
        sum += sal_shape_elements(&arrays[i].shape);
    if (sum > INT32_MAX)
        return onnx_fail(op, SAL_ERROR_LIMIT, "picks from %lld elements", (long long)sum);
    return SAL_OK;
}

sal_status onnx_lower_where(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    const onnx_tensor *condition;
    onnx_array arrays[2];
    onnx_table table = {0};
    sal_shape shapes[3], shape;
    int64_t stride[3][SAL_MAX_RANK];
    int constant, handled = 0, constants = 0;
    for (int i = 0; i < 3; i++) {
        TRY(onnx_is_constant(&constant, im, op, i));
        constants += constant;
    }
    if (constants == 3)
        return onnx_fold_where(im, op);
    if (constants == 0)
        TRY(onnx_piece_softplus(&handled, im, op));
    if (handled)
        return SAL_OK;
    TRY(onnx_constant(&condition, im, op, 0));
    shapes[0] = condition->shape;
    for (int i = 0; i < 2; i++) {
        TRY(onnx_array_bounded(&arrays[i], im, op, 1 + i));
        shapes[1 + i] = arrays[i].shape;
    }
    TRY(check_numbers(op, arrays, 2));
    TRY(onnx_broadcast(&shape, op, shapes, 3));
    for (int i = 0; i < 3; i++)
        onnx_broadcast_strides(stride[i], &shapes[i], &shape);
    const int64_t first = sal_shape_elements(&arrays[0].shape);
    TRY(onnx_table_new(&table, op, sal_shape_elements(&shape), 1, 0));
    for (size_t k = 0; k < table.count; k++) {
        const int yes = onnx_tensor_at(condition, (size_t)onnx_strided(&shape, stride[0], k)) != 0.0;
        table.index[k] = (int32_t)((yes ? 0 : first) + onnx_strided(&shape, stride[yes ? 1 : 2], k));
    }
    TRY(output_picked(im, op, (int[]){arrays[0].node, arrays[1].node}, 2, &table, &shape));
done:
    onnx_table_clear(&table);
    return st;
}

sal_status onnx_lower_gather_elements(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int64_t axis_given, stride[SAL_MAX_RANK], own[SAL_MAX_RANK];
    int axis;
    onnx_array x;
    const onnx_tensor *index;
    onnx_table table = {0};
    TRY(onnx_attribute_int(&axis_given, op, "axis", 0));
    TRY(onnx_array_get(&x, im, op, 0));
    TRY(constant_indices(&index, im, op, 1));
    TRY(onnx_axis(&axis, op, axis_given, x.shape.rank));
    TRY(check_numbers(op, &x, 1));
    const sal_shape shape = index->shape;
    int fits = shape.rank == x.shape.rank;
    for (int a = 0; fits && a < shape.rank; a++)
        fits = a == axis || shape.dim[a] <= x.shape.dim[a];
    if (!fits)
        return onnx_fail(op, SAL_ERROR_FORMAT, "its indices have another shape than its data");
    onnx_strides(own, &x.shape);
    memcpy(stride, own, sizeof stride);
    stride[axis] = 0;
    TRY(onnx_table_new(&table, op, (int64_t)index->count, 1, 0));
    for (size_t k = 0; k < table.count; k++) {
        int64_t at = 0;
        TRY(wrap_index(&at, op, index->i[k], x.shape.dim[axis]));
        table.index[k] = (int32_t)(onnx_strided(&shape, stride, k) + at * own[axis]);
    }
    TRY(output_picked(im, op, &x.node, 1, &table, &shape));
done:
    onnx_table_clear(&table);
    return st;
}

/* Where a tuple of indices points to: the first element of what it names. */
static sal_status tuple_at(int64_t *out, const onnx_op *op, const int64_t *tuple, int count, const sal_shape *shape,
                           int first)
{
    int64_t stride[SAL_MAX_RANK];
    onnx_strides(stride, shape);
    *out = 0;
    for (int i = 0; i < count; i++) {
        int64_t index = 0;
        sal_status st = wrap_index(&index, op, tuple[i], shape->dim[first + i]);
        if (st != SAL_OK)
            return st;
        *out += index * stride[first + i];
    }
    return SAL_OK;
}

sal_status onnx_lower_gather_nd(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int64_t batch;
    onnx_array x;
    const onnx_tensor *index;
    onnx_table table = {0};
    TRY(onnx_attribute_int(&batch, op, "batch_dims", 0));
    TRY(onnx_array_get(&x, im, op, 0));
    TRY(constant_indices(&index, im, op, 1));
    TRY(check_numbers(op, &x, 1));
    const int q = index->shape.rank, r = x.shape.rank;
    const int64_t length = q > 0 ? index->shape.dim[q - 1] : 0;
    int fits = q >= 1 && batch >= 0 && batch < q && length >= 1 && length + batch <= r;
    for (int a = 0; fits && a < (int)batch; a++)
        fits = index->shape.dim[a] == x.shape.dim[a];
    if (!fits || q - 1 + r - (int)length - (int)batch > SAL_MAX_RANK)
        return onnx_fail(op, SAL_ERROR_FORMAT, "its indices do not fit its data");
    const int first = (int)batch, after = first + (int)length;
    int64_t inner = 1, outer = 1, per_batch = 1;
    sal_shape shape = {.rank = q - 1};
    memcpy(shape.dim, index->shape.dim, (size_t)shape.rank * sizeof *shape.dim);
    for (int a = after; a < r; a++) {
        inner *= x.shape.dim[a];
        shape.dim[shape.rank++] = x.shape.dim[a];
    }
    for (int a = 0; a < first; a++)
        outer *= x.shape.dim[a];
    for (int a = first; a < r; a++)
        per_batch *= x.shape.dim[a];
    const int64_t tuples = (int64_t)index->count / length;
    TRY(onnx_table_new(&table, op, tuples * inner, 1, 0));
    for (int64_t t = 0; t < tuples; t++) {
        int64_t at = 0;
        TRY(tuple_at(&at, op, index->i + t * length, (int)length, &x.shape, first));
        at += t / (tuples / outer) * per_batch;
        for (int64_t e = 0; e < inner; e++)
            table.index[t * inner + e] = (int32_t)(at + e);
    }
    TRY(output_picked(im, op, &x.node, 1, &table, &shape));
done:
    onnx_table_clear(&table);
    return st;
}

/* Data and updates, and a table that takes all of the data. */
static sal_status begin_scatter(onnx_array *arrays, onnx_table *table, onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    if (!onnx_attribute_is(op, "reduction", "none", "none"))
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "salmap knows it without a reduction only");
    TRY(onnx_array_bounded(&arrays[0], im, op, 0));
    TRY(onnx_array_bounded(&arrays[1], im, op, 2));
    TRY(check_numbers(op, arrays, 2));
    TRY(onnx_table_new(table, op, sal_shape_elements(&arrays[0].shape), 1, 0));
    for (size_t k = 0; k < table->count; k++)
        table->index[k] = (int32_t)k;
done:
    return st;
}

sal_status onnx_lower_scatter_elements(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int64_t axis_given, stride[SAL_MAX_RANK], own[SAL_MAX_RANK];
    int axis;
    onnx_array arrays[2];
    const onnx_tensor *index;
    onnx_table table = {0};
    TRY(onnx_attribute_int(&axis_given, op, "axis", 0));
    TRY(constant_indices(&index, im, op, 1));
    TRY(begin_scatter(arrays, &table, im, op));
    const sal_shape *shape = &arrays[0].shape;
    TRY(onnx_axis(&axis, op, axis_given, shape->rank));
    int fits = sal_shape_equal(&index->shape, &arrays[1].shape) && index->shape.rank == shape->rank;
    for (int a = 0; fits && a < shape->rank; a++)
        fits = a == axis || index->shape.dim[a] <= shape->dim[a];
    if (!fits) {
        st = onnx_fail(op, SAL_ERROR_FORMAT, "its indices do not fit its data and updates");
        goto done;
    }
    onnx_strides(own, shape);
    memcpy(stride, own, sizeof stride);
    stride[axis] = 0;
    for (size_t k = 0; k < index->count; k++) {
        int64_t at = 0;
        TRY(wrap_index(&at, op, index->i[k], shape->dim[axis]));
        table.index[onnx_strided(&index->shape, stride, k) + at * own[axis]] = (int32_t)(table.count + k);
    }
    TRY(output_picked(im, op, (int[]){arrays[0].node, arrays[1].node}, 2, &table, shape));
done:
    onnx_table_clear(&table);
    return st;
}

sal_status onnx_lower_scatter_nd(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    onnx_array arrays[2];
    const onnx_tensor *index;
    onnx_table table = {0};
    TRY(constant_indices(&index, im, op, 1));
    TRY(begin_scatter(arrays, &table, im, op));
    const sal_shape *shape = &arrays[0].shape;
    const int64_t length = index->shape.rank > 0 ? index->shape.dim[index->shape.rank - 1] : 0;
    int64_t inner = 1;
    for (int a = (int)(length < 0 ? 0 : length); a < shape->rank; a++)
        inner *= shape->dim[a];
    if (length < 1 || length > shape->rank ||
        (int64_t)index->count / length * inner != sal_shape_elements(&arrays[1].shape)) {
        st = onnx_fail(op, SAL_ERROR_FORMAT, "its indices do not fit its data and updates");
        goto done;
    }
    for (int64_t t = 0; t < (int64_t)index->count / length; t++) {
        int64_t at = 0;
        TRY(tuple_at(&at, op, index->i + t * length, (int)length, shape, 0));
        for (int64_t e = 0; e < inner; e++)
            table.index[at + e] = (int32_t)((int64_t)table.count + t * inner + e);
    }
    TRY(output_picked(im, op, (int[]){arrays[0].node, arrays[1].node}, 2, &table, shape));
done:
    onnx_table_clear(&table);
    return st;
}

sal_status onnx_lower_tile(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    const int64_t *repeats;
    size_t count;
    onnx_array x;
    onnx_table table = {0};
    TRY(onnx_array_get(&x, im, op, 0));
    TRY(onnx_int_list(&repeats, &count, im, op, 1));
    if (count != (size_t)x.shape.rank)
        return onnx_fail(op, SAL_ERROR_FORMAT, "%zu repeats for %d axes", count, x.shape.rank);
    if (count > 0 && repeats[0] != 1)
        TRY(onnx_array_lead(&x, im, op));
    for (int a = 0; a < x.shape.rank; a++) {
        const int64_t extent = x.shape.dim[a];
        if (repeats[a] < 1 || repeats[a] > INT32_MAX / extent)
            return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "repeats axis %d %lld times", a, (long long)repeats[a]);
        if (repeats[a] == 1)
            continue;
        TRY(onnx_table_new(&table, op, extent * repeats[a], 1, 0));
        for (size_t k = 0; k < table.count; k++)
            table.index[k] = (int32_t)((int64_t)k % extent);
        TRY(onnx_emit_gather(&x.node, im, op, x.node, a + x.lead, &table));
        x.shape.dim[a] = extent * repeats[a];
    }
    TRY(onnx_array_output(im, op, 0, x.node, &x.shape));
done:
    onnx_table_clear(&table);
    return st;
}

sal_status onnx_lower_cumulative_sum(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    double axis_given;
    int64_t exclusive, reverse;
    int axis;
    onnx_array x;
    onnx_table table = {0};
    TRY(onnx_attribute_int(&exclusive, op, "exclusive", 0));
    TRY(onnx_attribute_int(&reverse, op, "reverse", 0));
    TRY(onnx_array_get(&x, im, op, 0));
    TRY(onnx_scalar(&axis_given, im, op, 1));
    TRY(onnx_axis(&axis, op, onnx_to_int(axis_given), x.shape.rank));
    if (axis == 0)
        TRY(onnx_array_lead(&x, im, op));
    const int64_t n = x.shape.dim[axis];
    TRY(onnx_table_new(&table, op, n, n, 1));
    for (int64_t to = 0; to < n; to++)
        for (int64_t from = 0; from < n; from++) {
            const int64_t behind = reverse ? from - to : to - from;
            table.index[to * n + from] = (int32_t)from;
            table.weight[to * n + from] = behind > 0 || (behind == 0 && !exclusive) ? 1.0F : 0.0F;
        }
    TRY(onnx_emit_gather(&x.node, im, op, x.node, axis + x.lead, &table));
    TRY(onnx_array_output(im, op, 0, x.node, &x.shape));
done:
    onnx_table_clear(&table);
    return st;
}

/* One triangle of the last two axes; the other becomes 0. */
sal_status onnx_lower_triangle(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int64_t upper;
    double diagonal = 0.0;
    onnx_array x;
    onnx_table table = {0};
    TRY(onnx_attribute_int(&upper, op, "upper", 1));
    if (onnx_has_input(op, 1))
        TRY(onnx_scalar(&diagonal, im, op, 1));
    TRY(onnx_array_get(&x, im, op, 0));
    const int rank = x.shape.rank;
    if (rank < 2)
        return onnx_fail(op, SAL_ERROR_FORMAT, "a tensor of rank %d", rank);
    const int64_t rows = x.shape.dim[rank - 2], columns = x.shape.dim[rank - 1];
    sal_shape flat = {.rank = 3, .dim = {1, sal_shape_elements(&x.shape) / (rows * columns), rows * columns}};
    TRY(onnx_table_new(&table, op, rows * columns, 1, 1));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++) {
            const double over = (double)(c - r) - diagonal;
            table.index[r * columns + c] = (int32_t)(r * columns + c);
            table.weight[r * columns + c] = (upper ? over >= 0.0 : over <= 0.0) ? 1.0F : 0.0F;
        }
    TRY(onnx_emit_reshape(&x.node, im, op, x.node, &flat));
    TRY(onnx_emit_gather(&x.node, im, op, x.node, 2, &table));
    TRY(onnx_array_output(im, op, 0, x.node, &x.shape));
done:
    onnx_table_clear(&table);
    return st;
}

/* Blocks of b x b pixels against channels: two reshapes and a transpose of (N, .., ..). */
static sal_status move_blocks(onnx_importer *im, const onnx_op *op, onnx_array *x, const sal_shape *apart,
                              const int *order, const sal_shape *out)
{
    sal_status st = SAL_OK;
    int permutation[SAL_MAX_RANK];
    sal_shape shape = {.rank = x->lead + apart->rank};
    for (int a = 0; a < shape.rank; a++) {
        shape.dim[a] = a < x->lead ? 1 : apart->dim[a - x->lead];
        permutation[a] = a < x->lead ? a : x->lead + order[a - x->lead];
    }
    TRY(onnx_emit_reshape(&x->node, im, op, x->node, &shape));
    TRY(onnx_emit_transpose(&x->node, im, op, x->node, permutation));
    TRY(onnx_array_output(im, op, 0, x->node, out));
done:
    return st;
}

/* crd: the channels of a block are the slower index, not the faster one. */
static sal_status read_blocks(int64_t *b, int *crd, onnx_array *x, onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    *crd = onnx_attribute_is(op, "mode", "CRD", "DCR");
    if (!*crd && !onnx_attribute_is(op, "mode", "DCR", "DCR"))
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "salmap knows the modes DCR and CRD");
    TRY(onnx_attribute_int(b, op, "blocksize", 0));
    TRY(onnx_array_get(x, im, op, 0));
    if (x->shape.rank != 4 || *b < 1 || *b > 1 << 20)
        return onnx_fail(op, SAL_ERROR_FORMAT, "blocks of %lld of a tensor of rank %d", (long long)*b, x->shape.rank);
done:
    return st;
}

sal_status onnx_lower_depth_to_space(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int64_t b;
    int crd;
    onnx_array x;
    TRY(read_blocks(&b, &crd, &x, im, op));
    const int64_t *d = x.shape.dim;
    if (d[1] % (b * b) != 0)
        return onnx_fail(op, SAL_ERROR_FORMAT, "%lld channels in blocks of %lld", (long long)d[1], (long long)b);
    const int64_t c = d[1] / (b * b);
    const sal_shape out = {.rank = 4, .dim = {d[0], c, d[2] * b, d[3] * b}};
    const sal_shape apart = {.rank = 6, .dim = {d[0], crd ? c : b, b, crd ? b : c, d[2], d[3]}};
    TRY(move_blocks(im, op, &x, &apart, crd ? (int[]){0, 1, 4, 2, 5, 3} : (int[]){0, 3, 4, 1, 5, 2}, &out));
done:
    return st;
}

sal_status onnx_lower_space_to_depth(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int64_t b;
    int crd;
    onnx_array x;
    TRY(read_blocks(&b, &crd, &x, im, op));
    const int64_t *d = x.shape.dim;
    if (d[2] % b != 0 || d[3] % b != 0)
        return onnx_fail(op, SAL_ERROR_FORMAT, "%lld x %lld pixels in blocks of %lld", (long long)d[2], (long long)d[3],
                         (long long)b);
    const sal_shape out = {.rank = 4, .dim = {d[0], d[1] * b * b, d[2] / b, d[3] / b}};
    const sal_shape apart = {.rank = 6, .dim = {d[0], d[1], d[2] / b, b, d[3] / b, b}};
    TRY(move_blocks(im, op, &x, &apart, crd ? (int[]){0, 1, 3, 5, 2, 4} : (int[]){0, 3, 5, 1, 2, 4}, &out));
done:
    return st;
}

/* Parts of sequences backwards. */
sal_status onnx_lower_reverse_sequence(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int64_t batch, time, stride[SAL_MAX_RANK];
    const int64_t *lengths;
    size_t count;
    onnx_array x;
    onnx_table table = {0};
    TRY(onnx_attribute_int(&batch, op, "batch_axis", 1));
    TRY(onnx_attribute_int(&time, op, "time_axis", 0));
    TRY(onnx_array_get(&x, im, op, 0));
    TRY(onnx_int_list(&lengths, &count, im, op, 1));
    TRY(check_numbers(op, &x, 1));
    if (batch < 0 || batch > 1 || time != 1 - batch || x.shape.rank < 2 || (int64_t)count != x.shape.dim[batch])
        return onnx_fail(op, SAL_ERROR_FORMAT, "its axes or lengths do not fit its data");
    onnx_strides(stride, &x.shape);
    TRY(onnx_table_new(&table, op, sal_shape_elements(&x.shape), 1, 0));
    for (size_t k = 0; k < table.count; k++) {
        const int64_t length = lengths[(int64_t)k / stride[batch] % x.shape.dim[batch]];
        const int64_t at = (int64_t)k / stride[time] % x.shape.dim[time];
        if (length < 0 || length > x.shape.dim[time]) {
            st = onnx_fail(op, SAL_ERROR_FORMAT, "a length of %lld", (long long)length);
            goto done;
        }
        table.index[k] = (int32_t)((int64_t)k + (at < length ? length - 1 - 2 * at : 0) * stride[time]);
    }
    TRY(output_picked(im, op, &x.node, 1, &table, &x.shape));
done:
    onnx_table_clear(&table);
    return st;
}
