/* What the handlers are made of: inputs of an op as constants or nodes, and new nodes of the graph. */
#include "import/onnx/lower/emit.h"

#include "base/memory.h"
#include "import/onnx/lower/piece.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/op.h"
#include "import/onnx/tensor.h"

#include <math.h>
#include <string.h>

onnx_value *onnx_input(onnx_importer *im, const onnx_op *op, int index)
{
    return onnx_has_input(op, index) ? &im->values[op->inputs[index]] : NULL;
}

int onnx_has_input(const onnx_op *op, int index)
{
    return index < op->input_count && op->inputs[index] != ONNX_ABSENT;
}

static sal_status need_input(onnx_value **out, onnx_importer *im, const onnx_op *op, int index)
{
    *out = onnx_input(im, op, index);
    if (!*out)
        return onnx_fail(op, SAL_ERROR_FORMAT, "input %d is missing", index);
    return SAL_OK;
}

/* Reads an initializer when it is first wanted; its bytes in the unpacked file are then given back. */
static sal_status load(onnx_importer *im, onnx_value *v)
{
    sal_status st = onnx_tensor_load(&v->constant, im, v->stored, v->name);
    if (st != SAL_OK)
        return st;
    v->kind = ONNX_VALUE_CONSTANT;
    im->allocator.free(im->allocator.allocator_data, v->stored->raw_data.data);
    v->stored->raw_data.data = NULL;
    v->stored->raw_data.len = 0;
    return SAL_OK;
}

sal_status onnx_is_constant(int *out, onnx_importer *im, const onnx_op *op, int index)
{
    sal_status st = SAL_OK;
    onnx_value *v;
    TRY(need_input(&v, im, op, index));
    if (v->kind == ONNX_VALUE_STORED)
        TRY(load(im, v));
    *out = v->kind == ONNX_VALUE_CONSTANT;
done:
    return st;
}

sal_status onnx_constant(const onnx_tensor **out, onnx_importer *im, const onnx_op *op, int index)
{
    int constant;
    sal_status st = onnx_is_constant(&constant, im, op, index);
    if (st != SAL_OK)
        return st;
    onnx_value *v = onnx_input(im, op, index);
    if (!constant)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "input %d (%.200s) must be a constant", index, v->name);
    *out = &v->constant;
    return SAL_OK;
}

sal_status onnx_int_list(const int64_t **out, size_t *count, onnx_importer *im, const onnx_op *op, int index)
{
    const onnx_tensor *t = NULL;
    *out = NULL;
    *count = 0;
    if (!onnx_has_input(op, index))
        return SAL_OK;
    sal_status st = onnx_constant(&t, im, op, index);
    if (st != SAL_OK)
        return st;
    if (!t->integer || t->shape.rank > 1)
        return onnx_fail(op, SAL_ERROR_FORMAT, "input %d must be a list of integers", index);
    *out = t->i;
    *count = t->count;
    return SAL_OK;
}

sal_status onnx_int_list_either(const int64_t **out, size_t *count, onnx_importer *im, const onnx_op *op, int index,
                                const char *attribute)
{
    if (onnx_attribute_find(op, attribute))
        return onnx_attribute_ints(out, count, op, attribute);
    return onnx_int_list(out, count, im, op, index);
}

sal_status onnx_node(int *out, onnx_importer *im, const onnx_op *op, int index)
{
    int lead;
    sal_status st = onnx_elements(out, &lead, im, op, index);
    if (st == SAL_OK && lead > 0)
        st = onnx_fail(op, SAL_ERROR_UNSUPPORTED, "the batch axis of its input %d (%.200s) is not the first", index,
                       onnx_input(im, op, index)->name);
    return st;
}

sal_status onnx_elements(int *out, int *lead, onnx_importer *im, const onnx_op *op, int index)
{
    sal_status st = SAL_OK;
    onnx_value *v;
    TRY(need_input(&v, im, op, index));
    if (v->kind == ONNX_VALUE_PIECE)
        TRY(onnx_piece_settle(im, op, v));
    if (v->kind != ONNX_VALUE_NODE) {
        st = onnx_fail(op, SAL_ERROR_UNSUPPORTED, "input %d (%.200s) is a constant", index, v->name);
        goto done;
    }
    *out = v->node;
    *lead = v->lead;
done:
    return st;
}

sal_status onnx_take(float **out, size_t *count, onnx_importer *im, const onnx_op *op, int index)
{
    const onnx_tensor *t = NULL;
    *out = NULL;
    *count = 0;
    sal_status st = onnx_constant(&t, im, op, index);
    if (st != SAL_OK)
        return st;
    onnx_value *v = onnx_input(im, op, index);
    if (t->integer || t->count == 0)
        return onnx_fail(op, SAL_ERROR_FORMAT, "input %d (%.200s) holds %s", index, v->name,
                         t->integer ? "no floats" : "no elements");
    for (size_t k = 0; k < t->count; k++)
        if (!isfinite(t->f[k]))
            return onnx_fail(op, SAL_ERROR_NUMERIC, "tensor %.200s holds %s at %zu", v->name,
                             isnan(t->f[k]) ? "NaN" : "infinity", k);
    *count = t->count;
    if (v->uses == 1 && im->place_count == 0) { /* a branch may read it later */
        *out = v->constant.f;
        v->constant.f = NULL;
        v->constant.count = 0;
        return SAL_OK;
    }
    st = sal_alloc(out, t->count, sizeof **out, v->name);
    if (st == SAL_OK)
        memcpy(*out, t->f, t->count * sizeof **out);
    return st;
}

sal_status onnx_scalar(double *out, onnx_importer *im, const onnx_op *op, int index)
{
    const onnx_tensor *t = NULL;
    sal_status st = onnx_constant(&t, im, op, index);
    if (st != SAL_OK)
        return st;
    if (t->count != 1)
        return onnx_fail(op, SAL_ERROR_FORMAT, "input %d must be a scalar", index);
    *out = onnx_tensor_at(t, 0);
    return SAL_OK;
}

const sal_shape *onnx_shape(const onnx_importer *im, int node)
{
    return &im->graph->nodes[node].shape;
}

sal_status onnx_axis(int *out, const onnx_op *op, int64_t axis, int rank)
{
    if (axis < -rank || axis >= rank)
        return onnx_fail(op, SAL_ERROR_FORMAT, "axis %lld of a tensor of rank %d", (long long)axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return SAL_OK;
}

sal_status onnx_start(int *out, onnx_importer *im, const onnx_op *op, sal_op core, const int *inputs, int count)
{
    if (im->graph->count >= im->max_nodes)
        return onnx_fail(op, SAL_ERROR_LIMIT, "more than %llu nodes", (unsigned long long)im->max_nodes);
    return sal_graph_add(out, im->graph, core, op->name, inputs, count);
}

static sal_status check_finite(const onnx_op *op, const float *values, size_t count, const char *what)
{
    for (size_t k = 0; values && k < count; k++)
        if (!isfinite(values[k]))
            return onnx_fail(op, SAL_ERROR_NUMERIC, "its %s %zu is not a finite number", what, k);
    return SAL_OK;
}

sal_status onnx_finish(onnx_importer *im, const onnx_op *op, int node)
{
    sal_status st = SAL_OK;
    const sal_node *n = &im->graph->nodes[node];
    if (!im->folding) {
        TRY(check_finite(op, n->weight, n->weight_count, "weight"));
        TRY(check_finite(op, n->bias, n->bias_count, "bias"));
    }
    st = sal_graph_infer(im->graph, node);
    if (st != SAL_OK)
        return onnx_fail(op, st, "%s", sal_last_error());
done:
    return st;
}

void onnx_output_node(onnx_importer *im, const onnx_op *op, int index, int node)
{
    onnx_output_elements(im, op, index, node, 0);
}

void onnx_output_elements(onnx_importer *im, const onnx_op *op, int index, int node, int lead)
{
    if (index >= op->output_count || op->outputs[index] == ONNX_ABSENT)
        return;
    im->values[op->outputs[index]].kind = ONNX_VALUE_NODE;
    im->values[op->outputs[index]].node = node;
    im->values[op->outputs[index]].lead = lead;
}

void onnx_output_constant(onnx_importer *im, const onnx_op *op, int index, onnx_tensor *t)
{
    if (index < op->output_count && op->outputs[index] != ONNX_ABSENT) {
        onnx_value *v = &im->values[op->outputs[index]];
        onnx_tensor_clear(&v->constant);
        v->kind = ONNX_VALUE_CONSTANT;
        v->constant = *t;
        memset(t, 0, sizeof *t);
    }
    onnx_tensor_clear(t);
}

void onnx_output_piece(onnx_importer *im, const onnx_op *op, int index, onnx_piece piece)
{
    if (index >= op->output_count || op->outputs[index] == ONNX_ABSENT)
        return;
    im->values[op->outputs[index]].kind = ONNX_VALUE_PIECE;
    im->values[op->outputs[index]].piece = piece;
}

sal_status onnx_emit_activation(int *out, onnx_importer *im, const onnx_op *op, int x, sal_activation_kind kind,
                                double alpha, double beta)
{
    sal_status st = SAL_OK;
    TRY(onnx_start(out, im, op, SAL_OP_ACTIVATION, &x, 1));
    im->graph->nodes[*out].activation = (sal_activation){kind, (float)alpha, (float)beta};
    TRY(onnx_finish(im, op, *out));
done:
    return st;
}

sal_status onnx_emit_affine(int *out, onnx_importer *im, const onnx_op *op, int x, double scale, double shift)
{
    sal_status st = SAL_OK;
    TRY(onnx_start(out, im, op, SAL_OP_AFFINE, &x, 1));
    sal_node *n = &im->graph->nodes[*out];
    n->axis = 1;
    TRY(sal_alloc(&n->weight, 1, sizeof *n->weight, "a scale"));
    TRY(sal_alloc(&n->bias, 1, sizeof *n->bias, "a shift"));
    n->weight[0] = (float)scale;
    n->bias[0] = (float)shift;
    n->weight_count = n->bias_count = 1;
    TRY(onnx_finish(im, op, *out));
done:
    return st;
}

int onnx_is_scalar_affine(const sal_node *node)
{
    return node->op == SAL_OP_AFFINE && node->weight_count == 1 && node->bias_count <= 1;
}

sal_status onnx_emit_binary(int *out, onnx_importer *im, const onnx_op *op, sal_op core, int a, int b)
{
    int inputs[2] = {a, b};
    sal_status st = onnx_start(out, im, op, core, inputs, 2);
    return st == SAL_OK ? onnx_finish(im, op, *out) : st;
}

sal_status onnx_emit_reshape(int *out, onnx_importer *im, const onnx_op *op, int x, const sal_shape *shape)
{
    sal_status st = SAL_OK;
    if (sal_shape_equal(shape, onnx_shape(im, x))) {
        *out = x;
        return SAL_OK;
    }
    TRY(onnx_start(out, im, op, SAL_OP_RESHAPE, &x, 1));
    im->graph->nodes[*out].shape = *shape;
    TRY(onnx_finish(im, op, *out));
done:
    return st;
}

sal_status onnx_emit_transpose(int *out, onnx_importer *im, const onnx_op *op, int x, const int *permutation)
{
    sal_status st = SAL_OK;
    TRY(onnx_start(out, im, op, SAL_OP_TRANSPOSE, &x, 1));
    memcpy(im->graph->nodes[*out].permutation, permutation, (size_t)onnx_shape(im, x)->rank * sizeof *permutation);
    TRY(onnx_finish(im, op, *out));
done:
    return st;
}

sal_status onnx_emit_slice(int *out, onnx_importer *im, const onnx_op *op, int x, int axis, int64_t start, int64_t step,
                           int64_t extent)
{
    sal_status st = SAL_OK;
    const sal_shape *shape = onnx_shape(im, x);
    if (start == 0 && step == 1 && extent == shape->dim[axis]) {
        *out = x;
        return SAL_OK;
    }
    TRY(onnx_start(out, im, op, SAL_OP_SLICE, &x, 1));
    sal_node *n = &im->graph->nodes[*out];
    n->axis = axis;
    n->start = start;
    n->step = step;
    n->shape = *onnx_shape(im, x);
    n->shape.dim[axis] = extent;
    TRY(onnx_finish(im, op, *out));
done:
    return st;
}

sal_status onnx_emit_mean(int *out, onnx_importer *im, const onnx_op *op, int x, int first, int last)
{
    sal_status st = SAL_OK;
    sal_shape result = *onnx_shape(im, x);
    int direct = result.rank == 4 && last == first + 1;
    if (!direct) {
        /* The core op wants two axes of a tensor of rank 4: here, the mean's own and one of extent 1. */
        if (last != result.rank - 1)
            return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "mean over axes %d to %d of %d", first, last, result.rank);
        sal_shape flat = {.rank = 4, .dim = {1, 1, 1, 1}};
        for (int a = 1; a < result.rank; a++)
            flat.dim[a < first ? 1 : 2] *= result.dim[a];
        TRY(onnx_emit_reshape(&x, im, op, x, &flat));
    }
    for (int a = first; a <= last; a++)
        result.dim[a] = 1;
    TRY(onnx_start(out, im, op, SAL_OP_REDUCE_MEAN, &x, 1));
    im->graph->nodes[*out].axis = direct ? first : 2;
    TRY(onnx_finish(im, op, *out));
    TRY(onnx_emit_reshape(out, im, op, *out, &result));
done:
    return st;
}
