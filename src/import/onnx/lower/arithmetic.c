/* Elementwise arithmetic. */
#include "base/memory.h"
#include "import/onnx/lower/array.h"
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

/* The one axis of x along which a broadcast constant varies: 0 for none, -1 where there is none such. */
static int varying_axis(const onnx_tensor *c, const sal_shape *x, int64_t *stride)
{
    int64_t own[SAL_MAX_RANK];
    int found = 0;
    onnx_strides(own, &c->shape);
    int offset = x->rank - c->shape.rank;
    for (int a = 0; a < c->shape.rank; a++) {
        int64_t extent = c->shape.dim[a];
        if (extent == 1)
            continue;
        int varies = 0;
        for (size_t k = 0; k < c->count && !varies; k++) {
            int64_t index = (int64_t)k / own[a] % extent;
            varies = onnx_tensor_at(c, k) != onnx_tensor_at(c, k - (size_t)(index * own[a]));
        }
        if (offset + a < 0 || extent != x->dim[offset + a] || (varies && (found != 0 || offset + a == 0)))
            return -1;
        if (varies) {
            found = offset + a;
            *stride = own[a];
        }
    }
    return found;
}

static void line_clear(line *l)
{
    sal_free(l->scale);
    sal_free(l->shift);
    memset(l, 0, sizeof *l);
}

/* x (op) c as a line; first: x stands on the left. */
static sal_status make_line(line *out, const onnx_op *op, onnx_math math, const onnx_tensor *c, const sal_shape *x,
                            int first, int axis, int64_t stride)
{
    sal_status st = SAL_OK;
    line l = {.axis = axis};
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

/* The line as a node after x; where x is a layer norm along the same axis or a plain scaling, one node that does both.
 * A scale alone after a layer norm may be the beginning of a GELU of it. */
static sal_status emit_line(int *out, onnx_importer *im, const onnx_op *op, int x, const line *l)
{
    sal_status st = SAL_OK;
    sal_node before = im->graph->nodes[x]; /* borrowed: nodes move when one is added */
    int norm = before.op == SAL_OP_LAYER_NORM && l->axis == before.axis;
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

/* A power that is the same for all elements. */
static sal_status emit_power(int *out, onnx_importer *im, const onnx_op *op, int x, double power)
{
    sal_status st = SAL_OK;
    *out = x;
    if (power == 0.0)
        TRY(onnx_emit_affine(out, im, op, x, 0.0, 1.0));
    else if (power == 1.0 || power == 2.0 || power == 3.0) {
        if (power >= 2.0)
            TRY(onnx_emit_binary(out, im, op, SAL_OP_MUL, x, x));
        if (power == 3.0)
            TRY(onnx_emit_binary(out, im, op, SAL_OP_MUL, *out, x));
    } else if (power == -1.0)
        TRY(onnx_emit_activation1(out, im, op, x, SAL_ACT_RECIPROCAL));
    else if (power == 0.5 || power == -0.5) {
        TRY(onnx_emit_activation1(out, im, op, x, SAL_ACT_SQRT));
        if (power < 0.0)
            TRY(onnx_emit_activation1(out, im, op, *out, SAL_ACT_RECIPROCAL));
    } else
        TRY(onnx_emit_activation(out, im, op, x, SAL_ACT_POWER, power, 0.0));
done:
    return st;
}

/* What two operands are broadcast to, as nodes of one rank. */
typedef struct pair {
    onnx_array arrays[2];
    sal_shape shape; /* the file's */
    int nodes[2];
    int base;
} pair;

static sal_status get_pair(pair *out, onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    for (int i = 0; i < 2; i++)
        TRY(onnx_array_bounded(&out->arrays[i], im, op, i));
    sal_shape shapes[2] = {out->arrays[0].shape, out->arrays[1].shape};
    TRY(onnx_broadcast(&out->shape, op, shapes, 2));
    TRY(onnx_array_align(out->nodes, &out->base, im, op, out->arrays, 2, out->shape.rank, 0));
done:
    return st;
}

enum { MAX_POWERS = 16 };

/* Powers that differ between elements: each power of all, and of these each element's own. */
static sal_status emit_powers(onnx_importer *im, const onnx_op *op, const onnx_tensor *c)
{
    sal_status st = SAL_OK;
    onnx_array x;
    onnx_table table = {0};
    sal_shape shape, shapes[2];
    double powers[MAX_POWERS];
    int nodes[MAX_POWERS], count = 0, y;
    int64_t of_x[SAL_MAX_RANK], of_c[SAL_MAX_RANK];
    TRY(onnx_array_get(&x, im, op, 0));
    const int64_t elements = sal_shape_elements(&x.shape);
    shapes[0] = x.shape;
    shapes[1] = c->shape;
    TRY(onnx_broadcast(&shape, op, shapes, 2));
    onnx_broadcast_strides(of_x, &x.shape, &shape);
    onnx_broadcast_strides(of_c, &c->shape, &shape);
    TRY(onnx_table_new(&table, op, sal_shape_elements(&shape), 1, 0));
    for (size_t k = 0; k < table.count; k++) {
        double power = onnx_tensor_at(c, (size_t)onnx_strided(&shape, of_c, k));
        int which = 0;
        while (which < count && powers[which] != power)
            which++;
        if (which == MAX_POWERS || !isfinite(power) || (which + 1) * elements > INT32_MAX) {
            st = onnx_fail(op, SAL_ERROR_UNSUPPORTED, "more than %d powers", MAX_POWERS);
            goto done;
        }
        powers[which] = power;
        count += which == count;
        table.index[k] = (int32_t)(which * elements + onnx_strided(&shape, of_x, k));
    }
    for (int i = 0; i < count; i++)
        TRY(emit_power(&nodes[i], im, op, x.node, powers[i]));
    sal_shape flat = {.rank = 2, .dim = {1, (int64_t)table.count}};
    TRY(onnx_emit_pick(&y, im, op, nodes, count, &table, &flat));
    TRY(onnx_array_output(im, op, 0, y, &shape));
done:
    onnx_table_clear(&table);
    return st;
}

/* c^x = e^(x log c) of positive numbers. */
static sal_status emit_exponential(onnx_importer *im, const onnx_op *op, const onnx_tensor *c)
{
    sal_status st = SAL_OK;
    pair p;
    float *logs = NULL;
    int y;
    TRY(get_pair(&p, im, op));
    TRY(sal_alloc(&logs, c->count, sizeof *logs, op->name));
    for (size_t k = 0; k < c->count; k++) {
        logs[k] = (float)log(onnx_tensor_at(c, k));
        if (!isfinite(logs[k])) {
            st = onnx_fail(op, SAL_ERROR_UNSUPPORTED, "its base %zu is %g; salmap knows powers of positive numbers", k,
                           onnx_tensor_at(c, k));
            goto done;
        }
    }
    const sal_shape shape = *onnx_shape(im, p.nodes[0]);
    float *taken = logs;
    logs = NULL;
    TRY(onnx_emit_constant(&p.nodes[0], im, op, taken, &shape));
    TRY(onnx_emit_broadcast(&y, im, op, SAL_OP_MUL, p.nodes[1], p.nodes[0]));
    TRY(onnx_emit_activation1(&y, im, op, y, SAL_ACT_EXP));
    TRY(onnx_array_output(im, op, 0, y, &p.shape));
done:
    sal_free(logs);
    return st;
}

/* The larger of two: of equal ones each has half the gradient, as in PyTorch. Smaller: by their negatives. */
static sal_status emit_extreme(int *out, onnx_importer *im, const onnx_op *op, const int *nodes, int count, int smaller)
{
    enum { MOST = 64 };
    sal_status st = SAL_OK;
    sal_shape shapes[MOST] = {{0}}, full;
    int parts[MOST] = {0}, y;
    if (count > MOST)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "%d inputs, at most %d", count, MOST);
    for (int i = 0; i < count; i++)
        shapes[i] = *onnx_shape(im, nodes[i]);
    TRY(onnx_broadcast(&full, op, shapes, count));
    sal_shape row = {.rank = 3, .dim = {1, 1, sal_shape_elements(&full)}};
    for (int i = 0; i < count; i++) {
        TRY(onnx_emit_expand(&parts[i], im, op, nodes[i], &full));
        TRY(onnx_emit_reshape(&parts[i], im, op, parts[i], &row));
    }
    y = parts[0];
    if (count > 1)
        TRY(onnx_emit_concat(&y, im, op, parts, count, 1));
    if (smaller)
        TRY(onnx_emit_affine(&y, im, op, y, -1.0, 0.0));
    TRY(onnx_emit_reduce(&y, im, op, y, SAL_REDUCTION_MAX, 1U << 1));
    if (smaller)
        TRY(onnx_emit_affine(&y, im, op, y, -1.0, 0.0));
    TRY(onnx_emit_reshape(out, im, op, y, &full));
done:
    return st;
}

/* Two operands of any shape, one of which depends on the picture. */
static sal_status any_two(onnx_importer *im, const onnx_op *op, onnx_math math)
{
    sal_status st = SAL_OK;
    pair p;
    int y;
    if (math == ONNX_POW || math == ONNX_MOD)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "of two tensors that depend on the picture");
    TRY(get_pair(&p, im, op));
    if (math == ONNX_MIN || math == ONNX_MAX)
        TRY(emit_extreme(&y, im, op, p.nodes, 2, math == ONNX_MIN));
    else {
        if (math == ONNX_SUB)
            TRY(onnx_emit_affine(&p.nodes[1], im, op, p.nodes[1], -1.0, 0.0));
        if (math == ONNX_DIV)
            TRY(onnx_emit_activation1(&p.nodes[1], im, op, p.nodes[1], SAL_ACT_RECIPROCAL));
        TRY(onnx_emit_broadcast(&y, im, op, math == ONNX_ADD || math == ONNX_SUB ? SAL_OP_ADD : SAL_OP_MUL, p.nodes[0],
                                p.nodes[1]));
    }
    TRY(onnx_array_output(im, op, 0, y, &p.shape));
done:
    return st;
}

/* first: x stands on the left. */
static sal_status node_and_constant(onnx_importer *im, const onnx_op *op, onnx_math math, int x, int lead,
                                    const onnx_tensor *c, int first)
{
    sal_status st = SAL_OK;
    line l = {0};
    int handled, axis = -1;
    int64_t stride = 0;
    const double number = c->count == 1 ? onnx_tensor_at(c, 0) : (double)NAN;
    const int small = c->count > 0 && c->shape.rank <= onnx_shape(im, x)->rank - lead;
    if (math == ONNX_MOD || math == ONNX_FMOD)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "of a tensor that depends on the picture");
    if (math == ONNX_POW && (!first || c->count != 1 || !small))
        return first ? emit_powers(im, op, c) : emit_exponential(im, op, c);
    if (math == ONNX_POW)
        TRY(emit_power(&x, im, op, x, number));
    else if ((math == ONNX_MIN || math == ONNX_MAX) && small && c->count == 1 && !isnan(number)) {
        double bound = fmin(fmax(number, -(double)FLT_MAX), (double)FLT_MAX);
        TRY(onnx_emit_activation(&x, im, op, x, math == ONNX_MAX && bound == 0.0 ? SAL_ACT_RELU : SAL_ACT_CLIP,
                                 math == ONNX_MAX ? bound : -(double)FLT_MAX,
                                 math == ONNX_MIN ? bound : (double)FLT_MAX));
    } else {
        if (small && math != ONNX_MIN && math != ONNX_MAX)
            axis = varying_axis(c, onnx_shape(im, x), &stride);
        if (axis < 0)
            return any_two(im, op, math);
        if (math == ONNX_DIV && !first) {
            TRY(onnx_emit_activation1(&x, im, op, x, SAL_ACT_RECIPROCAL));
            math = ONNX_MUL;
        }
        TRY(make_line(&l, op, math, c, onnx_shape(im, x), first, axis, stride));
        TRY(try_hard_sigmoid(&x, &handled, im, op, x, &l));
        if (!handled)
            TRY(emit_line(&x, im, op, x, &l));
    }
    onnx_output_elements(im, op, 0, x, lead);
done:
    line_clear(&l);
    return st;
}

/* Two nodes of one rank, of which one is as large as the result, are one node as they are. */
static int is_plain(const onnx_importer *im, int a, int lead_a, int b, int lead_b)
{
    const sal_shape *x = onnx_shape(im, a), *y = onnx_shape(im, b);
    int larger = 0, smaller = 0;
    if (x->rank != y->rank || lead_a != lead_b)
        return 0;
    for (int i = 0; i < x->rank; i++) {
        if (x->dim[i] != y->dim[i] && x->dim[i] != 1 && y->dim[i] != 1)
            return 0;
        larger |= x->dim[i] > y->dim[i];
        smaller |= x->dim[i] < y->dim[i];
    }
    return !larger || !smaller;
}

static sal_status two_nodes(onnx_importer *im, const onnx_op *op, onnx_math math)
{
    sal_status st = SAL_OK;
    int a, b, lead, other;
    TRY(onnx_elements(&a, &lead, im, op, 0));
    TRY(onnx_elements(&b, &other, im, op, 1));
    if ((math != ONNX_ADD && math != ONNX_SUB && math != ONNX_MUL) || !is_plain(im, a, lead, b, other))
        return any_two(im, op, math);
    if (math == ONNX_SUB)
        TRY(onnx_emit_affine(&b, im, op, b, -1.0, 0.0));
    TRY(onnx_emit_binary(&a, im, op, math == ONNX_MUL ? SAL_OP_MUL : SAL_OP_ADD, a, b));
    onnx_output_elements(im, op, 0, a, lead);
done:
    return st;
}

static sal_status binary(onnx_importer *im, const onnx_op *op, onnx_math math)
{
    sal_status st = SAL_OK;
    int constant[2], node, lead, handled = 0;
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
    if (!constant[0] && !constant[1])
        return two_nodes(im, op, math);
    TRY(onnx_constant(&c, im, op, constant[0] ? 0 : 1));
    TRY(onnx_elements(&node, &lead, im, op, constant[0] ? 1 : 0));
    TRY(node_and_constant(im, op, math, node, lead, c, constant[1]));
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

sal_status onnx_lower_mod(onnx_importer *im, const onnx_op *op)
{
    int64_t of_c; /* the sign is that of the first operand, and not of the second */
    sal_status st = onnx_attribute_int(&of_c, op, "fmod", 0);
    return st == SAL_OK ? binary(im, op, of_c ? ONNX_FMOD : ONNX_MOD) : st;
}

/* Of any number of inputs; two are left to the arithmetic of two. */
static sal_status of_many(onnx_importer *im, const onnx_op *op, onnx_math math, int mean)
{
    sal_status st = SAL_OK;
    onnx_array *arrays = NULL;
    int *nodes = NULL, base, y;
    sal_shape shape = {0};
    if (op->input_count == 1)
        return onnx_lower_identity(im, op);
    if (op->input_count == 2 && !mean)
        return binary(im, op, math);
    TRY(onnx_array_all(&arrays, im, op));
    TRY(sal_alloc(&nodes, (size_t)op->input_count, sizeof *nodes, op->name));
    for (int i = 0; i < op->input_count; i++) {
        sal_shape shapes[2] = {shape, arrays[i].shape};
        TRY(onnx_broadcast(&shape, op, shapes, 2));
    }
    TRY(onnx_array_align(nodes, &base, im, op, arrays, op->input_count, shape.rank, 0));
    if (math == ONNX_MIN || math == ONNX_MAX)
        TRY(emit_extreme(&y, im, op, nodes, op->input_count, math == ONNX_MIN));
    else {
        y = nodes[0];
        for (int i = 1; i < op->input_count; i++)
            TRY(onnx_emit_broadcast(&y, im, op, SAL_OP_ADD, y, nodes[i]));
    }
    if (mean)
        TRY(onnx_emit_affine(&y, im, op, y, 1.0 / (double)op->input_count, 0.0));
    TRY(onnx_array_output(im, op, 0, y, &shape));
done:
    sal_free(arrays);
    sal_free(nodes);
    return st;
}

sal_status onnx_lower_min(onnx_importer *im, const onnx_op *op)
{
    return of_many(im, op, ONNX_MIN, 0);
}

sal_status onnx_lower_max(onnx_importer *im, const onnx_op *op)
{
    return of_many(im, op, ONNX_MAX, 0);
}

sal_status onnx_lower_sum(onnx_importer *im, const onnx_op *op)
{
    return of_many(im, op, ONNX_ADD, 0);
}

sal_status onnx_lower_mean(onnx_importer *im, const onnx_op *op)
{
    return of_many(im, op, ONNX_ADD, 1);
}

sal_status onnx_lower_neg(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int constant, x, lead;
    TRY(onnx_is_constant(&constant, im, op, 0));
    if (constant)
        return onnx_fold_unary(im, op);
    TRY(onnx_elements(&x, &lead, im, op, 0));
    TRY(onnx_emit_affine(&x, im, op, x, -1.0, 0.0));
    onnx_output_elements(im, op, 0, x, lead);
done:
    return st;
}
