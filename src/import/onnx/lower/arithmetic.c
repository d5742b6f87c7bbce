/* Elementwise arithmetic and means. */
#include "base/memory.h"
#include "import/onnx/lower/emit.h"
#include "import/onnx/lower/handlers.h"
#include "import/onnx/lower/piece.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/op.h"
#include "import/onnx/tensor.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* scale * x + shift with one value of each per index of `axis`, or one for all (axis 0). */
typedef struct line {
    int axis;
    size_t count;
    double *scale;
    double *shift;
} line;

/* The one axis of x along which a broadcast constant varies: 0 for none. */
static sal_status varying_axis(int *out, const onnx_op *op, const onnx_tensor *c, const sal_shape *x, int64_t *stride)
{
    char text[160];
    int64_t own[SAL_MAX_RANK];
    *out = 0;
    onnx_strides(own, &c->shape);
    int offset = x->rank - c->shape.rank;
    if (offset < 0 || c->count == 0)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "a constant of shape %s",
                         sal_shape_text(text, sizeof text, &c->shape));
    for (int a = 0; a < c->shape.rank; a++) {
        int64_t extent = c->shape.dim[a];
        if (extent == 1)
            continue;
        int varies = 0;
        for (size_t k = 0; k < c->count && !varies; k++) {
            int64_t index = (int64_t)k / own[a] % extent;
            varies = onnx_tensor_at(c, k) != onnx_tensor_at(c, k - (size_t)(index * own[a]));
        }
        if (extent != x->dim[offset + a] || (varies && (*out != 0 || offset + a == 0)))
            return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "a constant of shape %s, where salmap knows one per channel",
                             sal_shape_text(text, sizeof text, &c->shape));
        if (varies) {
            *out = offset + a;
            *stride = own[a];
        }
    }
    return SAL_OK;
}

static void line_clear(line *l)
{
    sal_free(l->scale);
    sal_free(l->shift);
    memset(l, 0, sizeof *l);
}

/* x (op) c as a line; first: x stands on the left. */
static sal_status make_line(line *out, const onnx_op *op, onnx_math math, const onnx_tensor *c, const sal_shape *x,
                            int first)
{
    sal_status st = SAL_OK;
    line l = {0};
    int64_t stride = 0;
    TRY(varying_axis(&l.axis, op, c, x, &stride));
    l.count = l.axis ? (size_t)x->dim[l.axis] : 1;
    TRY(sal_alloc(&l.scale, l.count, sizeof *l.scale, "scales"));
    TRY(sal_alloc(&l.shift, l.count, sizeof *l.shift, "shifts"));
    for (size_t k = 0; k < l.count; k++) {
        double v = onnx_tensor_at(c, k * (size_t)stride);
        l.scale[k] = 1.0;
        if (math == ONNX_ADD)
            l.shift[k] = v;
        else if (math == ONNX_SUB) {
            l.scale[k] = first ? 1.0 : -1.0;
            l.shift[k] = first ? -v : v;
        } else
            l.scale[k] = math == ONNX_MUL ? v : 1.0 / v;
        if (!isfinite(l.scale[k]) || !isfinite(l.shift[k])) {
            st = onnx_fail(op, SAL_ERROR_NUMERIC, "element %zu of its constant is %g", k, v);
            goto done;
        }
    }
    *out = l;
    memset(&l, 0, sizeof l);
done:
    line_clear(&l);
    return st;
}

/* A node with the line applied after its own weight and bias. `n` has a bias. */
static void apply_line(sal_node *n, const sal_node *from, const line *l)
{
    for (size_t k = 0; k < n->weight_count; k++) {
        size_t j = l->count == 1 ? 0 : k;
        double bias = from && from->bias ? (double)from->bias[k] : 0.0;
        n->weight[k] = (float)(l->scale[j] * (from ? (double)from->weight[k] : 1.0));
        n->bias[k] = (float)(l->scale[j] * bias + l->shift[j]);
    }
}

/* The line as a node after x; where x is a layer norm or a plain scaling, one node that does both. */
static sal_status emit_line(int *out, onnx_importer *im, const onnx_op *op, int x, const line *l)
{
    sal_status st = SAL_OK;
    sal_node before = im->graph->nodes[x]; /* borrowed: nodes move when one is added */
    int norm = before.op == SAL_OP_LAYER_NORM && (l->axis == 0 || l->axis == before.axis);
    int merge = norm || (l->axis == 0 && onnx_is_scalar_affine(&before));
    size_t count = norm ? before.weight_count : l->count;
    int source = merge ? before.inputs[0] : x;
    TRY(onnx_start(out, im, op, norm ? SAL_OP_LAYER_NORM : SAL_OP_AFFINE, &source, 1));
    sal_node *n = &im->graph->nodes[*out];
    n->axis = norm ? before.axis : l->axis ? l->axis : 1;
    n->epsilon = norm ? before.epsilon : 0.0F;
    TRY(sal_alloc(&n->weight, count, sizeof *n->weight, "scales"));
    TRY(sal_alloc(&n->bias, count, sizeof *n->bias, "shifts"));
    n->weight_count = n->bias_count = count;
    apply_line(n, merge ? &before : NULL, l);
    TRY(onnx_finish(im, op, *out));
    if (!norm && count == 1 && n->weight[0] == 1.0F && n->bias[0] == 0.0F)
        *out = source;
done:
    return st;
}

/* min(max(a x + b, 0), c) / c is a hard sigmoid. */
static sal_status try_hard_sigmoid(int *out, int *handled, onnx_importer *im, const onnx_op *op, int x, const line *l)
{
    const sal_node *clip = &im->graph->nodes[x];
    *handled = 0;
    if (clip->op != SAL_OP_ACTIVATION || clip->activation.kind != SAL_ACT_CLIP || clip->activation.alpha != 0.0F ||
        l->axis != 0 || l->shift[0] != 0.0 || fabs(l->scale[0] * (double)clip->activation.beta - 1.0) > 1e-6)
        return SAL_OK;
    const sal_node *inner = &im->graph->nodes[clip->inputs[0]];
    int source = clip->inputs[0];
    double alpha = l->scale[0], beta = 0.0;
    if (onnx_is_scalar_affine(inner)) {
        source = inner->inputs[0];
        alpha *= (double)inner->weight[0];
        beta = inner->bias ? l->scale[0] * (double)inner->bias[0] : 0.0;
    }
    *handled = 1;
    return onnx_emit_activation(out, im, op, source, SAL_ACT_HARD_SIGMOID, alpha, beta);
}

static sal_status node_and_constant(int *out, onnx_importer *im, const onnx_op *op, onnx_math math, int x,
                                    const onnx_tensor *c, int first)
{
    sal_status st = SAL_OK;
    line l = {0};
    int handled;
    if (math == ONNX_POW) {
        double power = c->count == 1 ? onnx_tensor_at(c, 0) : 0.0;
        if (!first || (power != 1.0 && power != 2.0 && power != 3.0))
            return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "salmap knows the powers 1, 2 and 3");
        *out = x;
        if (power >= 2.0)
            TRY(onnx_emit_binary(out, im, op, SAL_OP_MUL, x, x));
        if (power == 3.0)
            TRY(onnx_emit_binary(out, im, op, SAL_OP_MUL, *out, x));
        return SAL_OK;
    }
    if (math == ONNX_MOD || (math == ONNX_DIV && !first))
        return onnx_fail(
            op, SAL_ERROR_UNSUPPORTED,
            "it has a constant divided by a tensor that depends on the picture, which salmap does not know");
    if (math == ONNX_MIN || math == ONNX_MAX) {
        double bound = c->count == 1 ? onnx_tensor_at(c, 0) : 0.0;
        if (c->count != 1 || isnan(bound))
            return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "its constant is not a number");
        bound = fmin(fmax(bound, -(double)FLT_MAX), (double)FLT_MAX);
        return onnx_emit_activation(out, im, op, x, math == ONNX_MAX && bound == 0.0 ? SAL_ACT_RELU : SAL_ACT_CLIP,
                                    math == ONNX_MAX ? bound : -(double)FLT_MAX,
                                    math == ONNX_MIN ? bound : (double)FLT_MAX);
    }
    TRY(make_line(&l, op, math, c, onnx_shape(im, x), first));
    TRY(try_hard_sigmoid(out, &handled, im, op, x, &l));
    if (!handled)
        TRY(emit_line(out, im, op, x, &l));
done:
    line_clear(&l);
    return st;
}

static sal_status two_nodes(int *out, onnx_importer *im, const onnx_op *op, onnx_math math, int a, int b)
{
    sal_status st = SAL_OK;
    if (math == ONNX_MUL)
        return onnx_emit_binary(out, im, op, SAL_OP_MUL, a, b);
    if (math != ONNX_ADD && math != ONNX_SUB)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "of two tensors that depend on the picture");
    if (math == ONNX_SUB)
        TRY(onnx_emit_affine(&b, im, op, b, -1.0, 0.0));
    TRY(onnx_emit_binary(out, im, op, SAL_OP_ADD, a, b));
done:
    return st;
}

static sal_status binary(onnx_importer *im, const onnx_op *op, onnx_math math)
{
    sal_status st = SAL_OK;
    int constant[2], node, other, handled = 0;
    const onnx_tensor *c;
    if (op->input_count != 2)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "%d inputs, expected 2", op->input_count);
    TRY(onnx_is_constant(&constant[0], im, op, 0));
    TRY(onnx_is_constant(&constant[1], im, op, 1));
    if (constant[0] && constant[1])
        return onnx_fold_math(im, op, math);
    if (onnx_input(im, op, 0)->kind == ONNX_VALUE_PIECE || onnx_input(im, op, 1)->kind == ONNX_VALUE_PIECE)
        TRY(onnx_piece_binary(&handled, im, op, math));
    if (handled)
        return SAL_OK;
    if (constant[0] || constant[1]) {
        TRY(onnx_constant(&c, im, op, constant[0] ? 0 : 1));
        TRY(onnx_node(&node, im, op, constant[0] ? 1 : 0));
        TRY(node_and_constant(&node, im, op, math, node, c, constant[1]));
    } else {
        TRY(onnx_node(&node, im, op, 0));
        TRY(onnx_node(&other, im, op, 1));
        TRY(two_nodes(&node, im, op, math, node, other));
    }
    onnx_output_node(im, op, 0, node);
done:
    return st;
}

sal_status onnx_lower_add(onnx_importer *im, const onnx_op *op)
{
    return binary(im, op, ONNX_ADD);
}

sal_status onnx_lower_sub(onnx_importer *im, const onnx_op *op)
{
    return binary(im, op, ONNX_SUB);
}

sal_status onnx_lower_mul(onnx_importer *im, const onnx_op *op)
{
    return binary(im, op, ONNX_MUL);
}

sal_status onnx_lower_div(onnx_importer *im, const onnx_op *op)
{
    return binary(im, op, ONNX_DIV);
}

sal_status onnx_lower_pow(onnx_importer *im, const onnx_op *op)
{
    return binary(im, op, ONNX_POW);
}

sal_status onnx_lower_min(onnx_importer *im, const onnx_op *op)
{
    return binary(im, op, ONNX_MIN);
}

sal_status onnx_lower_max(onnx_importer *im, const onnx_op *op)
{
    return binary(im, op, ONNX_MAX);
}

sal_status onnx_lower_mod(onnx_importer *im, const onnx_op *op)
{
    return binary(im, op, ONNX_MOD);
}

sal_status onnx_lower_sum(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int sum, next;
    if (op->input_count == 1)
        return onnx_lower_identity(im, op);
    if (op->input_count == 2)
        return binary(im, op, ONNX_ADD);
    TRY(onnx_node(&sum, im, op, 0));
    for (int i = 1; i < op->input_count; i++) {
        TRY(onnx_node(&next, im, op, i));
        TRY(onnx_emit_binary(&sum, im, op, SAL_OP_ADD, sum, next));
    }
    onnx_output_node(im, op, 0, sum);
done:
    return st;
}

sal_status onnx_lower_neg(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int constant, x;
    TRY(onnx_is_constant(&constant, im, op, 0));
    if (constant)
        return onnx_fold_unary(im, op);
    TRY(onnx_node(&x, im, op, 0));
    TRY(onnx_emit_affine(&x, im, op, x, -1.0, 0.0));
    onnx_output_node(im, op, 0, x);
done:
    return st;
}

/* Mean over axes first to last of a node. */
static sal_status mean_of_node(onnx_importer *im, const onnx_op *op, int x, int first, int last, int keep)
{
    sal_status st = SAL_OK;
    const sal_shape in = *onnx_shape(im, x);
    sal_shape out = {0};
    TRY(onnx_emit_mean(&x, im, op, x, first, last));
    for (int a = 0; a < in.rank; a++)
        if (a < first || a > last)
            out.dim[out.rank++] = in.dim[a];
    if (out.rank == 1)
        out.dim[out.rank++] = 1;
    if (!keep)
        TRY(onnx_emit_reshape(&x, im, op, x, &out));
    onnx_output_node(im, op, 0, x);
done:
    return st;
}

sal_status onnx_lower_reduce_mean(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int64_t keep, noop;
    const int64_t *axes;
    size_t count;
    int constant, x, handled, first = SAL_MAX_RANK, last = 0, distinct = 0;
    unsigned seen = 0;
    TRY(onnx_attribute_int(&keep, op, "keepdims", 1));
    TRY(onnx_attribute_int(&noop, op, "noop_with_empty_axes", 0));
    TRY(onnx_int_list_either(&axes, &count, im, op, 1, "axes"));
    if (count == 0 && noop)
        return onnx_lower_identity(im, op);
    TRY(onnx_is_constant(&constant, im, op, 0));
    onnx_piece_variance(&handled, im, op, axes, count, keep != 0);
    if (handled)
        return SAL_OK;
    TRY(onnx_node(&x, im, op, 0));
    const int rank = onnx_shape(im, x)->rank;
    for (size_t k = 0; k < count; k++) {
        int axis;
        TRY(onnx_axis(&axis, op, axes[k], rank));
        distinct += !(seen >> axis & 1U);
        seen |= 1U << axis;
        first = axis < first ? axis : first;
        last = axis > last ? axis : last;
    }
    if (count == 0 || first == 0 || distinct != last - first + 1)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "mean over the batch, or over axes that are no neighbours");
    if (distinct == 1)
        onnx_piece_mean(im, op, x, first, keep != 0);
    else
        TRY(mean_of_node(im, op, x, first, last, keep != 0));
done:
    return st;
}
