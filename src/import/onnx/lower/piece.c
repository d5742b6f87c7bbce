/* Formulas that exporters write op by op and that are one core op: GELU by the error function, softplus, and layer
 * norm.
 *
 * While its ops pass by, a formula is a piece: a note of what has been computed so far from which node. The op that
 * completes it makes the node. Nothing is looked up ahead, so the order of factors and the form of constants
 * (x / sqrt 2, x * 0.7071; a half before, between or after) do not matter. */
#include "import/onnx/lower/piece.h"

#include "base/memory.h"
#include "import/onnx/lower/array.h"
#include "import/onnx/lower/emit.h"
#include "import/onnx/lower/handlers.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/op.h"
#include "import/onnx/tensor.h"

#include <math.h>
#include <string.h>

/* A layer norm in pieces may have no weights in the file that would bound ours. */
static const size_t max_channels = (size_t)1 << 22;

static int is_near(double a, double b)
{
    return fabs(a - b) <= 1e-5 * fabs(b);
}

static const char *const erf_alone = "the error function is known as part of GELU only";

/* The nodes of what has been computed so far: (x - mean), its square, .. of one axis, which stays. */
static sal_status settle_norm(int *out, onnx_importer *im, const onnx_op *op, const onnx_piece *p)
{
    sal_status st = SAL_OK;
    int x = p->node, mean;
    TRY(onnx_emit_reduce(&mean, im, op, x, SAL_REDUCTION_MEAN, 1U << p->axis));
    TRY(onnx_emit_affine(&mean, im, op, mean, -1.0, 0.0));
    TRY(onnx_emit_broadcast(&x, im, op, SAL_OP_ADD, x, mean));
    if (p->kind != ONNX_PIECE_CENTERED)
        TRY(onnx_emit_binary(&x, im, op, SAL_OP_MUL, x, x));
    if (p->kind != ONNX_PIECE_CENTERED && p->kind != ONNX_PIECE_SQUARE) {
        TRY(onnx_emit_reduce(&x, im, op, x, SAL_REDUCTION_MEAN, 1U << p->axis));
        TRY(onnx_emit_affine(&x, im, op, x, 1.0, p->shift));
    }
    if (p->kind == ONNX_PIECE_DEVIATION || p->kind == ONNX_PIECE_INVERSE)
        TRY(onnx_emit_activation1(&x, im, op, x, SAL_ACT_SQRT));
    if (p->kind == ONNX_PIECE_INVERSE)
        TRY(onnx_emit_activation1(&x, im, op, x, SAL_ACT_RECIPROCAL));
    *out = x;
done:
    return st;
}

static sal_status settle_mean(int *out, sal_shape *shape, onnx_importer *im, const onnx_op *op, const onnx_piece *p)
{
    sal_status st = SAL_OK;
    int x = p->node, permutation[SAL_MAX_RANK], at = 0;
    const sal_shape in = *onnx_shape(im, x);
    *shape = (sal_shape){0};
    for (int a = 0; a < in.rank; a++) {
        if (a != p->axis)
            permutation[at++] = a;
        if (a >= p->lead && (a != p->axis || p->keep))
            shape->dim[shape->rank++] = a == p->axis ? 1 : in.dim[a];
    }
    permutation[at] = p->axis;
    if (p->lead > 0)
        return onnx_emit_reduce(out, im, op, x, SAL_REDUCTION_MEAN, 1U << p->axis);
    if (p->axis != in.rank - 1)
        TRY(onnx_emit_transpose(&x, im, op, x, permutation));
    TRY(onnx_emit_mean(out, im, op, x, in.rank - 1, in.rank - 1));
done:
    return st;
}

sal_status onnx_piece_settle(onnx_importer *im, const onnx_op *op, onnx_value *value)
{
    sal_status st = SAL_OK;
    const onnx_piece p = value->piece;
    sal_shape shape;
    int x;
    if (p.kind == ONNX_PIECE_ERF)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "%s (%.200s)", erf_alone, value->name);
    if (p.kind == ONNX_PIECE_ABOVE)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "what is compared, for %.200s, depends on the picture",
                         value->name);
    if (p.kind == ONNX_PIECE_MEAN) {
        TRY(settle_mean(&x, &shape, im, op, &p));
        TRY(onnx_array_store(value, im, op, x, &shape));
        return SAL_OK;
    }
    TRY(settle_norm(&x, im, op, &p));
    value->kind = ONNX_VALUE_NODE;
    value->node = x;
    value->lead = p.lead;
done:
    return st;
}

void onnx_piece_mean(onnx_importer *im, const onnx_op *op, int x, int lead, int axis, int keep)
{
    onnx_piece p = {.kind = ONNX_PIECE_MEAN, .node = x, .lead = lead, .axis = axis, .keep = keep};
    onnx_output_piece(im, op, 0, p);
}

void onnx_piece_variance(int *handled, onnx_importer *im, const onnx_op *op, const int64_t *axes, size_t count,
                         int keep)
{
    const onnx_value *v = onnx_input(im, op, 0);
    *handled = 0;
    if (v->kind != ONNX_VALUE_PIECE || v->piece.kind != ONNX_PIECE_SQUARE || count != 1 || !keep)
        return;
    onnx_piece p = v->piece;
    if (axes[0] != p.axis - p.lead && axes[0] != p.axis - onnx_shape(im, p.node)->rank)
        return;
    p.kind = ONNX_PIECE_VARIANCE;
    p.shift = 0.0;
    onnx_output_piece(im, op, 0, p);
    *handled = 1;
}

static int is_piece(const onnx_value *v, onnx_piece_kind kind)
{
    return v->kind == ONNX_VALUE_PIECE && v->piece.kind == kind;
}

static int of_one_source(const onnx_value *a, const onnx_value *b)
{
    return a->piece.node == b->piece.node && a->piece.axis == b->piece.axis;
}

/* piece (op) number; first: the piece stands on the left. */
static sal_status with_number(int *handled, onnx_importer *im, const onnx_op *op, onnx_math math, onnx_piece p,
                              double c, int first)
{
    *handled = 1;
    if (p.kind == ONNX_PIECE_ERF && (math == ONNX_ADD || (math == ONNX_SUB && first))) {
        p.shift += math == ONNX_ADD ? c : -c;
    } else if (p.kind == ONNX_PIECE_ERF && (math == ONNX_MUL || (math == ONNX_DIV && first))) {
        p.shift = math == ONNX_MUL ? p.shift * c : p.shift / c;
        p.scale = math == ONNX_MUL ? p.scale * c : p.scale / c;
    } else if (p.kind == ONNX_PIECE_CENTERED && math == ONNX_POW && first && c == 2.0) {
        p.kind = ONNX_PIECE_SQUARE;
    } else if (p.kind == ONNX_PIECE_VARIANCE && math == ONNX_ADD) {
        p.shift += c;
    } else if (p.kind == ONNX_PIECE_VARIANCE && math == ONNX_POW && first && (c == 0.5 || c == -0.5)) {
        p.kind = c > 0.0 ? ONNX_PIECE_DEVIATION : ONNX_PIECE_INVERSE;
    } else if (p.kind == ONNX_PIECE_DEVIATION && math == ONNX_DIV && !first && c == 1.0) {
        p.kind = ONNX_PIECE_INVERSE;
    } else {
        *handled = 0;
    }
    if (*handled)
        onnx_output_piece(im, op, 0, p);
    return SAL_OK;
}

/* t x * (s + s erf(x / sqrt 2)) = 2 t s GELU(x) */
static sal_status finish_gelu(int *handled, onnx_importer *im, const onnx_op *op, const onnx_piece *p, int y)
{
    sal_status st = SAL_OK;
    const sal_node *n = &im->graph->nodes[y];
    double t = 1.0;
    int x = p->node;
    if (y != x && onnx_is_scalar_affine(n) && n->inputs[0] == x && (!n->bias || n->bias[0] == 0.0F))
        t = (double)n->weight[0];
    else if (y != x)
        return SAL_OK;
    if (!is_near(p->scale, p->shift))
        return SAL_OK;
    TRY(onnx_emit_activation(&x, im, op, x, SAL_ACT_GELU, 0.0, 0.0));
    if (!is_near(2.0 * t * p->scale, 1.0))
        TRY(onnx_emit_affine(&x, im, op, x, 2.0 * t * p->scale, 0.0));
    onnx_output_elements(im, op, 0, x, p->lead);
    *handled = 1;
done:
    return st;
}

static sal_status finish_layer_norm(int *handled, onnx_importer *im, const onnx_op *op, const onnx_piece *p)
{
    sal_status st = SAL_OK;
    int node;
    const size_t channels = (size_t)onnx_shape(im, p->node)->dim[p->axis];
    if (channels > max_channels)
        return onnx_fail(op, SAL_ERROR_LIMIT, "a layer norm over %zu elements", channels);
    TRY(onnx_start(&node, im, op, SAL_OP_LAYER_NORM, &p->node, 1));
    sal_node *n = &im->graph->nodes[node];
    n->axis = p->axis;
    n->epsilon = (float)p->shift;
    TRY(sal_alloc(&n->weight, channels, sizeof *n->weight, "scales"));
    TRY(sal_alloc(&n->bias, channels, sizeof *n->bias, "shifts"));
    n->weight_count = n->bias_count = channels;
    for (size_t k = 0; k < channels; k++)
        n->weight[k] = 1.0F;
    TRY(onnx_finish(im, op, node));
    onnx_output_elements(im, op, 0, node, p->lead);
    *handled = 1;
done:
    return st;
}

sal_status onnx_piece_binary(int *handled, onnx_importer *im, const onnx_op *op, onnx_math math)
{
    const onnx_value *a = onnx_input(im, op, 0), *b = onnx_input(im, op, 1);
    *handled = 0;
    if (a->kind == ONNX_VALUE_CONSTANT || b->kind == ONNX_VALUE_CONSTANT) {
        int first = b->kind == ONNX_VALUE_CONSTANT;
        const onnx_tensor *t = first ? &b->constant : &a->constant;
        return t->count == 1
                   ? with_number(handled, im, op, math, first ? a->piece : b->piece, onnx_tensor_at(t, 0), first)
                   : SAL_OK;
    }
    if (math == ONNX_MUL && is_piece(a, ONNX_PIECE_ERF) && b->kind == ONNX_VALUE_NODE)
        return finish_gelu(handled, im, op, &a->piece, b->node);
    if (math == ONNX_MUL && is_piece(b, ONNX_PIECE_ERF) && a->kind == ONNX_VALUE_NODE)
        return finish_gelu(handled, im, op, &b->piece, a->node);
    if (math == ONNX_SUB && a->kind == ONNX_VALUE_NODE && is_piece(b, ONNX_PIECE_MEAN) && b->piece.keep &&
        a->node == b->piece.node) {
        onnx_piece p = b->piece;
        p.kind = ONNX_PIECE_CENTERED;
        onnx_output_piece(im, op, 0, p);
        *handled = 1;
        return SAL_OK;
    }
    if (a->kind != ONNX_VALUE_PIECE || b->kind != ONNX_VALUE_PIECE || !of_one_source(a, b))
        return SAL_OK;
    if (math == ONNX_MUL && is_piece(a, ONNX_PIECE_CENTERED) && is_piece(b, ONNX_PIECE_CENTERED)) {
        onnx_piece p = a->piece;
        p.kind = ONNX_PIECE_SQUARE;
        onnx_output_piece(im, op, 0, p);
        *handled = 1;
        return SAL_OK;
    }
    if (math == ONNX_DIV && is_piece(a, ONNX_PIECE_CENTERED) && is_piece(b, ONNX_PIECE_DEVIATION))
        return finish_layer_norm(handled, im, op, &b->piece);
    if (math == ONNX_MUL && is_piece(a, ONNX_PIECE_CENTERED) && is_piece(b, ONNX_PIECE_INVERSE))
        return finish_layer_norm(handled, im, op, &b->piece);
    if (math == ONNX_MUL && is_piece(a, ONNX_PIECE_INVERSE) && is_piece(b, ONNX_PIECE_CENTERED))
        return finish_layer_norm(handled, im, op, &a->piece);
    return SAL_OK;
}

sal_status onnx_lower_erf(onnx_importer *im, const onnx_op *op)
{
    int x, lead;
    sal_status st = onnx_elements(&x, &lead, im, op, 0);
    if (st != SAL_OK)
        return st;
    const sal_node *n = &im->graph->nodes[x];
    if (!onnx_is_scalar_affine(n) || !is_near((double)n->weight[0], sqrt(0.5)) || (n->bias && n->bias[0] != 0.0F))
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "%s", erf_alone);
    onnx_piece p = {.kind = ONNX_PIECE_ERF, .node = n->inputs[0], .lead = lead, .scale = 1.0};
    onnx_output_piece(im, op, 0, p);
    return SAL_OK;
}

/* Greater: of constants, or what says which part of a softplus holds. */
sal_status onnx_lower_greater(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int constant[2], x, lead;
    const onnx_tensor *limit = NULL;
    for (int i = 0; i < 2; i++)
        TRY(onnx_is_constant(&constant[i], im, op, i));
    if (!constant[0] && constant[1])
        TRY(onnx_constant(&limit, im, op, 1));
    if (!limit || limit->count != 1)
        return onnx_fold_compare(im, op);
    onnx_piece p = {.kind = ONNX_PIECE_ABOVE, .shift = onnx_tensor_at(limit, 0)};
    TRY(onnx_elements(&x, &lead, im, op, 0));
    if (limit->shape.rank > onnx_shape(im, x)->rank - lead) /* the result has more axes than x */
        return onnx_fold_compare(im, op);
    p.node = x;
    p.lead = lead;
    onnx_output_piece(im, op, 0, p);
done:
    return st;
}

/* The factor of a scaling without an offset, whose source it becomes; 1 where x is none. */
static double scaled(int *x, const onnx_importer *im)
{
    const sal_node *n = &im->graph->nodes[*x];
    if (!onnx_is_scalar_affine(n) || (n->bias && n->bias[0] != 0.0F))
        return 1.0;
    *x = n->inputs[0];
    return (double)n->weight[0];
}

/* softplus(b x) / b is x within float's rounding where b x is above some 16: exporters write it so, against overflow.
 */
sal_status onnx_piece_softplus(int *handled, onnx_importer *im, const onnx_op *op)
{
    enum { LEAST = 16 };
    sal_status st = SAL_OK;
    int above, below, leads[2];
    *handled = 0;
    const onnx_value *condition = onnx_input(im, op, 0);
    if (!is_piece(condition, ONNX_PIECE_ABOVE) || condition->piece.shift < LEAST)
        return SAL_OK;
    const int argument = condition->piece.node;
    TRY(onnx_elements(&above, &leads[0], im, op, 1));
    TRY(onnx_elements(&below, &leads[1], im, op, 2));
    int source = argument, soft = below;
    const double b = source == above ? 1.0 : scaled(&source, im), inverse = scaled(&soft, im);
    const sal_node *n = &im->graph->nodes[soft];
    if (source != above || leads[0] != leads[1] || leads[0] != condition->piece.lead || !(b > 0.0) ||
        !is_near(b * inverse, 1.0) || n->op != SAL_OP_ACTIVATION || n->activation.kind != SAL_ACT_SOFTPLUS ||
        n->inputs[0] != argument)
        return SAL_OK;
    onnx_output_elements(im, op, 0, below, leads[1]);
    *handled = 1;
done:
    return st;
}

/* Sqrt and Reciprocal: of constants, inside a layer norm, or of anything else. */
static sal_status next_piece(onnx_importer *im, const onnx_op *op, onnx_piece_kind from, onnx_piece_kind to,
                             sal_activation_kind plain)
{
    sal_status st = SAL_OK;
    int constant, x, lead;
    TRY(onnx_is_constant(&constant, im, op, 0));
    if (constant)
        return onnx_fold_unary(im, op);
    const onnx_value *v = onnx_input(im, op, 0);
    if (is_piece(v, from)) {
        onnx_piece p = v->piece;
        p.kind = to;
        onnx_output_piece(im, op, 0, p);
        return SAL_OK;
    }
    TRY(onnx_elements(&x, &lead, im, op, 0));
    TRY(onnx_emit_activation1(&x, im, op, x, plain));
    onnx_output_elements(im, op, 0, x, lead);
done:
    return st;
}

sal_status onnx_lower_sqrt(onnx_importer *im, const onnx_op *op)
{
    return next_piece(im, op, ONNX_PIECE_VARIANCE, ONNX_PIECE_DEVIATION, SAL_ACT_SQRT);
}

sal_status onnx_lower_reciprocal(onnx_importer *im, const onnx_op *op)
{
    return next_piece(im, op, ONNX_PIECE_DEVIATION, ONNX_PIECE_INVERSE, SAL_ACT_RECIPROCAL);
}
