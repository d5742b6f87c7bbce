/* Tensors of any shape as nodes, and the nodes of the core ops that take them. */
#include "import/onnx/lower/array.h"

#include "base/memory.h"
#include "import/onnx/lower/emit.h"
#include "import/onnx/lower/piece.h"
#include "import/onnx/op.h"
#include "import/onnx/tensor.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Of a table that a few bytes of a file can ask for. */
static const int64_t max_table = (int64_t)1 << 26;

/* (1, shape), padded to `rank` of the file's. */
static sal_status full_shape(sal_shape *out, const onnx_op *op, const sal_shape *shape, int rank)
{
    if (rank + 1 > SAL_MAX_RANK)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "a tensor of rank %d without a batch axis; salmap knows at most %d",
                         rank, SAL_MAX_RANK - 1);
    *out = (sal_shape){.rank = rank + 1};
    for (int a = 0; a <= rank; a++)
        out->dim[a] = a <= rank - shape->rank ? 1 : shape->dim[a - 1 - (rank - shape->rank)];
    return SAL_OK;
}

/* The shape of the node that stands for a tensor of the file. */
static sal_status canonical_shape(sal_shape *out, const onnx_op *op, const sal_shape *shape)
{
    if (shape->rank >= 2 && shape->dim[0] == 1) {
        *out = *shape;
        return SAL_OK;
    }
    return full_shape(out, op, shape, shape->rank > 0 ? shape->rank : 1);
}

/* Of a file for several pictures, a constant with the same for each. */
static sal_status one_of_batch(sal_shape *shape, const onnx_importer *im, const onnx_op *op, const onnx_tensor *t)
{
    if (im->batch <= 1 || shape->rank < 2 || shape->dim[0] != im->batch)
        return SAL_OK;
    const size_t each = t->count / (size_t)im->batch;
    for (size_t k = each; k < t->count; k++)
        if (t->f[k] != t->f[k % each])
            return onnx_fail(op, SAL_ERROR_UNSUPPORTED,
                             "a constant that differs between the %lld pictures of the file's batch",
                             (long long)im->batch);
    shape->dim[0] = 1;
    return SAL_OK;
}

static sal_status from_constant(onnx_array *out, onnx_importer *im, const onnx_op *op, int index, int bounded)
{
    sal_status st = SAL_OK;
    const onnx_tensor *t;
    float *values = NULL;
    sal_shape shape;
    TRY(onnx_constant(&t, im, op, index));
    if (t->integer || t->count == 0)
        return onnx_fail(op, SAL_ERROR_FORMAT, "input %d (%.200s) holds %s", index, onnx_input(im, op, index)->name,
                         t->integer ? "no floats" : "no elements");
    out->shape = t->shape;
    TRY(one_of_batch(&out->shape, im, op, t));
    TRY(canonical_shape(&shape, op, &out->shape));
    const size_t count = (size_t)sal_shape_elements(&shape);
    TRY(sal_alloc(&values, count, sizeof *values, op->name));
    memcpy(values, t->f, count * sizeof *values);
    for (size_t k = 0; k < count && bounded; k++)
        if (isinf(values[k]))
            values[k] = values[k] > 0.0F ? FLT_MAX : -FLT_MAX;
    TRY(onnx_emit_constant(&out->node, im, op, values, &shape));
    out->lead = shape.rank - out->shape.rank;
done:
    return st;
}

static sal_status get(onnx_array *out, onnx_importer *im, const onnx_op *op, int index, int bounded)
{
    sal_status st = SAL_OK;
    int constant;
    TRY(onnx_is_constant(&constant, im, op, index));
    if (constant)
        return from_constant(out, im, op, index, bounded);
    onnx_value *v = onnx_input(im, op, index);
    if (v->kind == ONNX_VALUE_PIECE)
        TRY(onnx_piece_settle(im, op, v));
    out->node = v->node;
    out->lead = v->lead;
    const sal_shape *shape = onnx_shape(im, v->node);
    out->shape = (sal_shape){.rank = shape->rank - v->lead};
    for (int a = 0; a < out->shape.rank; a++)
        out->shape.dim[a] = shape->dim[a + v->lead];
done:
    return st;
}

sal_status onnx_array_get(onnx_array *out, onnx_importer *im, const onnx_op *op, int index)
{
    return get(out, im, op, index, 0);
}

sal_status onnx_array_bounded(onnx_array *out, onnx_importer *im, const onnx_op *op, int index)
{
    return get(out, im, op, index, 1);
}

sal_status onnx_array_all(onnx_array **out, onnx_importer *im, const onnx_op *op)
{
    *out = NULL;
    if (op->input_count < 1)
        return onnx_fail(op, SAL_ERROR_FORMAT, "it has no inputs");
    sal_status st = sal_alloc(out, (size_t)op->input_count, sizeof **out, op->name);
    for (int i = 0; st == SAL_OK && i < op->input_count; i++)
        st = onnx_array_bounded(&(*out)[i], im, op, i);
    return st;
}

sal_status onnx_array_store(onnx_value *value, onnx_importer *im, const onnx_op *op, int node, const sal_shape *shape)
{
    sal_status st = SAL_OK;
    sal_shape canonical;
    char text[160];
    TRY(canonical_shape(&canonical, op, shape));
    if (im->batch > 1 && shape->rank > 0 && shape->dim[0] != 1)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED,
                         "its result %s does not keep the batch axis first; export with a batch of 1",
                         sal_shape_text(text, sizeof text, shape));
    TRY(onnx_emit_reshape(&node, im, op, node, &canonical));
    value->kind = ONNX_VALUE_NODE;
    value->node = node;
    value->lead = canonical.rank - shape->rank;
done:
    return st;
}

sal_status onnx_array_output(onnx_importer *im, const onnx_op *op, int index, int node, const sal_shape *shape)
{
    if (index >= op->output_count || op->outputs[index] == ONNX_ABSENT)
        return SAL_OK;
    return onnx_array_store(&im->values[op->outputs[index]], im, op, node, shape);
}

sal_status onnx_array_full(int *out, onnx_importer *im, const onnx_op *op, const onnx_array *a, int rank)
{
    sal_status st = SAL_OK;
    sal_shape shape;
    TRY(full_shape(&shape, op, &a->shape, rank > 0 ? rank : 1));
    TRY(onnx_emit_reshape(out, im, op, a->node, &shape));
done:
    return st;
}

sal_status onnx_array_lead(onnx_array *a, onnx_importer *im, const onnx_op *op)
{
    if (a->lead > 0)
        return SAL_OK;
    a->lead = 1;
    return onnx_array_full(&a->node, im, op, a, a->shape.rank);
}

sal_status onnx_array_align(int *nodes, int *base, onnx_importer *im, const onnx_op *op, const onnx_array *arrays,
                            int count, int rank, int first)
{
    sal_status st = SAL_OK;
    *base = first || rank < 2;
    for (int i = 0; i < count; i++)
        *base |= arrays[i].shape.rank == rank && arrays[i].shape.dim[0] != 1;
    for (int i = 0; i < count; i++) {
        if (*base) {
            TRY(onnx_array_full(&nodes[i], im, op, &arrays[i], rank));
            continue;
        }
        const sal_shape *own = &arrays[i].shape;
        sal_shape shape = {.rank = rank};
        for (int a = 0; a < rank; a++)
            shape.dim[a] = a < rank - own->rank ? 1 : own->dim[a - (rank - own->rank)];
        TRY(onnx_emit_reshape(&nodes[i], im, op, arrays[i].node, &shape));
    }
done:
    return st;
}

sal_status onnx_broadcast(sal_shape *out, const onnx_op *op, const sal_shape *shapes, int count)
{
    char text[160], other[160];
    sal_shape shape = {0};
    for (int i = 0; i < count; i++)
        shape.rank = shapes[i].rank > shape.rank ? shapes[i].rank : shape.rank;
    for (int a = 0; a < shape.rank; a++)
        shape.dim[a] = 1;
    for (int i = 0; i < count; i++)
        for (int a = 0; a < shapes[i].rank; a++) {
            int64_t *to = &shape.dim[a + shape.rank - shapes[i].rank];
            if (shapes[i].dim[a] != 1 && *to != 1 && shapes[i].dim[a] != *to)
                return onnx_fail(op, SAL_ERROR_FORMAT, "operands of shape %s and %s",
                                 sal_shape_text(text, sizeof text, &shape),
                                 sal_shape_text(other, sizeof other, &shapes[i]));
            if (shapes[i].dim[a] != 1)
                *to = shapes[i].dim[a];
        }
    *out = shape;
    return SAL_OK;
}

void onnx_broadcast_strides(int64_t *stride, const sal_shape *operand, const sal_shape *out)
{
    int64_t own[SAL_MAX_RANK];
    onnx_strides(own, operand);
    for (int a = 0; a < out->rank; a++) {
        int from = a - (out->rank - operand->rank);
        stride[a] = from < 0 || operand->dim[from] == 1 ? 0 : own[from];
    }
}

int64_t onnx_strided(const sal_shape *shape, const int64_t *stride, size_t k)
{
    int64_t at = 0;
    for (int a = shape->rank - 1; a >= 0; a--) {
        at += (int64_t)(k % (size_t)shape->dim[a]) * stride[a];
        k /= (size_t)shape->dim[a];
    }
    return at;
}

sal_status onnx_table_new(onnx_table *out, const onnx_op *op, int64_t count, int64_t taps, int weighted)
{
    sal_status st = SAL_OK;
    onnx_table t = {0};
    memset(out, 0, sizeof *out);
    if (count < 1 || taps < 1)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "its result is empty");
    if (count > max_table || taps > max_table / count)
        return onnx_fail(op, SAL_ERROR_LIMIT, "%lld x %lld entries in a table of indices; at most %lld",
                         (long long)count, (long long)taps, (long long)max_table);
    t.count = (size_t)count;
    t.taps = (int)taps;
    TRY(sal_alloc(&t.index, (size_t)(count * taps), sizeof *t.index, op->name));
    if (weighted)
        TRY(sal_alloc(&t.weight, (size_t)(count * taps), sizeof *t.weight, op->name));
    *out = t;
    memset(&t, 0, sizeof t);
done:
    onnx_table_clear(&t);
    return st;
}

void onnx_table_clear(onnx_table *t)
{
    sal_free(t->index);
    sal_free(t->weight);
    memset(t, 0, sizeof *t);
}

sal_status onnx_emit_gather(int *out, onnx_importer *im, const onnx_op *op, int x, int axis, onnx_table *table)
{
    sal_status st = SAL_OK;
    int in_order = !table->weight && table->taps == 1 && (int64_t)table->count == onnx_shape(im, x)->dim[axis];
    for (size_t k = 0; in_order && k < table->count; k++)
        in_order = table->index[k] == (int32_t)k;
    if (in_order) {
        *out = x;
        goto done;
    }
    TRY(onnx_start(out, im, op, SAL_OP_GATHER, &x, 1));
    sal_node *n = &im->graph->nodes[*out];
    n->axis = axis;
    n->taps = table->taps;
    n->index = table->index;
    n->index_count = table->count * (size_t)table->taps;
    n->weight = table->weight;
    n->weight_count = table->weight ? n->index_count : 0;
    memset(table, 0, sizeof *table);
    TRY(onnx_finish(im, op, *out));
done:
    onnx_table_clear(table);
    return st;
}

sal_status onnx_emit_pick(int *out, onnx_importer *im, const onnx_op *op, const int *nodes, int count,
                          onnx_table *table, const sal_shape *shape)
{
    enum { MOST = 64 };
    sal_status st = SAL_OK;
    int flat[MOST] = {0}, x;
    if (count > MOST) {
        st = onnx_fail(op, SAL_ERROR_UNSUPPORTED, "%d tensors, at most %d", count, MOST);
        goto done;
    }
    for (int i = 0; i < count; i++) {
        sal_shape line = {.rank = 2, .dim = {1, sal_shape_elements(onnx_shape(im, nodes[i]))}};
        TRY(onnx_emit_reshape(&flat[i], im, op, nodes[i], &line));
    }
    x = flat[0];
    if (count > 1)
        TRY(onnx_emit_concat(&x, im, op, flat, count, 1));
    TRY(onnx_emit_gather(&x, im, op, x, 1, table));
    TRY(onnx_emit_reshape(out, im, op, x, shape));
done:
    onnx_table_clear(table);
    return st;
}

sal_status onnx_emit_concat(int *out, onnx_importer *im, const onnx_op *op, const int *nodes, int count, int axis)
{
    sal_status st = onnx_start(out, im, op, SAL_OP_CONCAT, nodes, count);
    if (st != SAL_OK)
        return st;
    im->graph->nodes[*out].axis = axis;
    return onnx_finish(im, op, *out);
}

sal_status onnx_emit_expand(int *out, onnx_importer *im, const onnx_op *op, int x, const sal_shape *shape)
{
    sal_status st = SAL_OK;
    if (sal_shape_equal(shape, onnx_shape(im, x))) {
        *out = x;
        return SAL_OK;
    }
    TRY(onnx_start(out, im, op, SAL_OP_EXPAND, &x, 1));
    im->graph->nodes[*out].shape = *shape;
    TRY(onnx_finish(im, op, *out));
done:
    return st;
}

sal_status onnx_emit_constant(int *out, onnx_importer *im, const onnx_op *op, float *values, const sal_shape *shape)
{
    sal_status st = onnx_start(out, im, op, SAL_OP_CONSTANT, NULL, 0);
    if (st != SAL_OK) {
        sal_free(values);
        return st;
    }
    sal_node *n = &im->graph->nodes[*out];
    n->shape = *shape;
    n->weight = values;
    n->weight_count = (size_t)sal_shape_elements(shape);
    return onnx_finish(im, op, *out);
}

/* One run of adjacent axes. */
static sal_status reduce_run(int *x, onnx_importer *im, const onnx_op *op, sal_reduction reduction, int first, int last)
{
    sal_status st = SAL_OK;
    TRY(onnx_start(x, im, op, SAL_OP_REDUCE, &(int){*x}, 1));
    sal_node *n = &im->graph->nodes[*x];
    n->reduction = reduction;
    n->axis = first;
    n->axis_count = last - first + 1;
    TRY(onnx_finish(im, op, *x));
done:
    return st;
}

/* Maxima of maxima would share the gradient of equal elements otherwise than one maximum: the axes are brought
 * together. */
static sal_status reduce_apart(int *x, onnx_importer *im, const onnx_op *op, sal_reduction reduction, unsigned axes)
{
    sal_status st = SAL_OK;
    int permutation[SAL_MAX_RANK], kept = 0, at = 0;
    sal_shape shape = *onnx_shape(im, *x);
    for (int pass = 0; pass < 2; pass++)
        for (int a = 0; a < shape.rank; a++)
            if ((int)(axes >> a & 1U) == pass) {
                permutation[at++] = a;
                kept += pass == 0;
            }
    TRY(onnx_emit_transpose(x, im, op, *x, permutation));
    TRY(reduce_run(x, im, op, reduction, kept, shape.rank - 1));
    for (int a = 0; a < shape.rank; a++)
        shape.dim[a] = axes >> a & 1U ? 1 : shape.dim[a];
    TRY(onnx_emit_reshape(x, im, op, *x, &shape));
done:
    return st;
}

sal_status onnx_emit_reduce(int *out, onnx_importer *im, const onnx_op *op, int x, sal_reduction reduction,
                            unsigned axes)
{
    sal_status st = SAL_OK;
    const sal_shape shape = *onnx_shape(im, x);
    int runs = 0, before = 0, first[SAL_MAX_RANK], last[SAL_MAX_RANK];
    for (int a = 0; a < shape.rank; a++) {
        if (shape.dim[a] == 1)
            axes &= ~(1U << a);
        else if (!(axes >> a & 1U))
            before = 0;
        else {
            if (!before)
                first[runs++] = a;
            before = 1;
            last[runs - 1] = a;
        }
    }
    *out = x;
    if (runs > 1 && reduction == SAL_REDUCTION_MAX)
        return reduce_apart(out, im, op, reduction, axes);
    while (runs-- > 0)
        TRY(reduce_run(out, im, op, reduction, first[runs], last[runs]));
done:
    return st;
}

sal_status onnx_emit_softmax(int *out, onnx_importer *im, const onnx_op *op, int x, int axis)
{
    sal_status st = onnx_start(out, im, op, SAL_OP_SOFTMAX, &x, 1);
    if (st != SAL_OK)
        return st;
    im->graph->nodes[*out].axis = axis;
    return onnx_finish(im, op, *out);
}

sal_status onnx_emit_log_sum_exp(int *out, onnx_importer *im, const onnx_op *op, int x, unsigned axes)
{
    sal_status st = SAL_OK;
    int most, minus, y;
    TRY(onnx_emit_reduce(&most, im, op, x, SAL_REDUCTION_MAX, axes));
    TRY(onnx_emit_affine(&minus, im, op, most, -1.0, 0.0));
    TRY(onnx_emit_broadcast(&y, im, op, SAL_OP_ADD, x, minus));
    TRY(onnx_emit_activation1(&y, im, op, y, SAL_ACT_EXP));
    TRY(onnx_emit_reduce(&y, im, op, y, SAL_REDUCTION_SUM, axes));
    TRY(onnx_emit_activation1(&y, im, op, y, SAL_ACT_LOG));
    TRY(onnx_emit_broadcast(out, im, op, SAL_OP_ADD, y, most));
done:
    return st;
}

sal_status onnx_emit_log_softmax(int *out, onnx_importer *im, const onnx_op *op, int x, int axis)
{
    sal_status st = SAL_OK;
    int most, y;
    TRY(onnx_emit_reduce(&most, im, op, x, SAL_REDUCTION_MAX, 1U << axis));
    TRY(onnx_emit_affine(&most, im, op, most, -1.0, 0.0));
    TRY(onnx_emit_broadcast(&x, im, op, SAL_OP_ADD, x, most));
    TRY(onnx_emit_activation1(&y, im, op, x, SAL_ACT_EXP));
    TRY(onnx_emit_reduce(&y, im, op, y, SAL_REDUCTION_SUM, 1U << axis));
    TRY(onnx_emit_activation1(&y, im, op, y, SAL_ACT_LOG));
    TRY(onnx_emit_affine(&y, im, op, y, -1.0, 0.0));
    TRY(onnx_emit_broadcast(out, im, op, SAL_OP_ADD, x, y));
done:
    return st;
}

sal_status onnx_emit_normalize(int *out, onnx_importer *im, const onnx_op *op, int x, float epsilon)
{
    sal_status st = SAL_OK;
    const int axis = onnx_shape(im, x)->rank - 1;
    const size_t count = (size_t)onnx_shape(im, x)->dim[axis];
    TRY(onnx_start(out, im, op, SAL_OP_LAYER_NORM, &x, 1));
    sal_node *n = &im->graph->nodes[*out];
    n->axis = axis;
    n->epsilon = epsilon;
    TRY(sal_alloc(&n->weight, count, sizeof *n->weight, "scales"));
    TRY(sal_alloc(&n->bias, count, sizeof *n->bias, "shifts"));
    n->weight_count = n->bias_count = count;
    for (size_t k = 0; k < count; k++)
        n->weight[k] = 1.0F;
    TRY(onnx_finish(im, op, *out));
done:
    return st;
}

sal_status onnx_emit_scale(int *out, onnx_importer *im, const onnx_op *op, int x, int axis, float *weight, float *bias)
{
    const size_t count = (size_t)onnx_shape(im, x)->dim[axis];
    sal_status st = onnx_start(out, im, op, SAL_OP_AFFINE, &x, 1);
    if (st != SAL_OK) {
        sal_free(weight);
        sal_free(bias);
        return st;
    }
    sal_node *n = &im->graph->nodes[*out];
    n->axis = axis;
    n->weight = weight;
    n->weight_count = count;
    n->bias = bias;
    n->bias_count = bias ? count : 0;
    return onnx_finish(im, op, *out);
}

sal_status onnx_emit_matmul(int *out, onnx_importer *im, const onnx_op *op, int a, int b, int transpose_a,
                            int transpose_b, double scale)
{
    const int inputs[2] = {a, b};
    sal_status st = onnx_start(out, im, op, SAL_OP_MATMUL, inputs, 2);
    if (st != SAL_OK)
        return st;
    sal_node *n = &im->graph->nodes[*out];
    n->transpose[0] = transpose_a;
    n->transpose[1] = transpose_b;
    n->scale = (float)scale;
    return onnx_finish(im, op, *out);
}

sal_status onnx_emit_broadcast(int *out, onnx_importer *im, const onnx_op *op, sal_op core, int a, int b)
{
    sal_status st = SAL_OK;
    sal_shape shapes[2] = {*onnx_shape(im, a), *onnx_shape(im, b)}, full;
    TRY(onnx_broadcast(&full, op, shapes, 2));
    if (!sal_shape_equal(&full, &shapes[0]) && !sal_shape_equal(&full, &shapes[1]))
        TRY(onnx_emit_expand(&a, im, op, a, &full));
    TRY(onnx_emit_binary(out, im, op, core, a, b));
done:
    return st;
}

sal_status onnx_emit_activation1(int *out, onnx_importer *im, const onnx_op *op, int x, sal_activation_kind kind)
{
    return onnx_emit_activation(out, im, op, x, kind, 0.0, 0.0);
}

sal_status onnx_emit_root(int *out, onnx_importer *im, const onnx_op *op, int x, double power)
{
    sal_status st = SAL_OK;
    TRY(onnx_emit_activation(&x, im, op, x, SAL_ACT_CLIP, (double)FLT_MIN, (double)FLT_MAX));
    if (power == 2.0)
        TRY(onnx_emit_activation1(out, im, op, x, SAL_ACT_SQRT));
    else
        TRY(onnx_emit_activation(out, im, op, x, SAL_ACT_POWER, 1.0 / power, 0.0));
done:
    return st;
}
