/* Channels-last files: transposes sink towards the output until they meet their inverse.
 *
 * Each node that reads a transposed tensor T(x) and can as well act on x, with its axes
 * renamed, does so; its result is then transposed instead. In one sweep every transpose
 * goes as far as it can, and a transpose of a transpose is one or none.
 * A permutation p makes axis j of the result from axis p[j] of the operand. */
#include "graph/cancel.h"
#include "graph/passes.h"

#include <string.h>

static void invert(int *inverse, const int *p, int rank)
{
    for (int j = 0; j < rank; j++)
        inverse[p[j]] = j;
}

/* Renews a node that now acts on untransposed operands, and transposes its result for its readers. */
static sal_status sink_past(sal_rewrite *rw, int i, const int *p, int rank)
{
    sal_status st = SAL_OK;
    int wrapper, permutation[SAL_MAX_RANK];
    memcpy(permutation, p, (size_t)rank * sizeof *p);
    TRY(sal_graph_infer(rw->graph, i));
    TRY(sal_rewrite_add(&wrapper, rw, SAL_OP_TRANSPOSE, i));
    memcpy(rw->graph->nodes[wrapper].permutation, permutation, (size_t)rank * sizeof *p);
    TRY(sal_graph_infer(rw->graph, wrapper));
    sal_rewrite_wrap(rw, i, wrapper);
    rw->changed++;
done:
    return st;
}

/* Axis of one channel parameter each. A node that is fine as it is must stay so. */
static int rename_channels(sal_node *node, const int *p)
{
    int scalar = node->op == SAL_OP_AFFINE && node->weight_count == 1 && node->bias_count <= 1;
    int fine = node->op == SAL_OP_LAYER_NORM && node->shape.rank != 4 ? node->shape.rank - 1 : 1;
    if (scalar)
        node->axis = 1;
    else if (node->axis == fine && p[fine] != fine)
        return 0;
    else
        node->axis = p[node->axis];
    return 1;
}

/* The two adjacent axes that stand for H and W. */
static int rename_spatial(sal_node *node, const int *p)
{
    int first = p[node->axis], second = p[node->axis + 1];
    int low = first < second ? first : second;
    if (low < 1 || first + second != 2 * low + 1 || (node->axis == 2 && low != 2))
        return 0;
    if (first > second) {
        sal_window *w = &node->window;
        int64_t begin = w->pad_begin[0], end = w->pad_end[0];
        w->pad_begin[0] = w->pad_begin[1];
        w->pad_end[0] = w->pad_end[1];
        w->pad_begin[1] = begin;
        w->pad_end[1] = end;
    }
    node->axis = low;
    return 1;
}

/* Adjacent axes that stay adjacent, in whichever order. */
static int rename_reduced(sal_node *node, const int *p)
{
    int low = p[node->axis], high = low;
    for (int k = 1; k < node->axis_count; k++) {
        low = p[node->axis + k] < low ? p[node->axis + k] : low;
        high = p[node->axis + k] > high ? p[node->axis + k] : high;
    }
    if (high - low != node->axis_count - 1)
        return 0;
    node->axis = low;
    return 1;
}

static void rename_extents(sal_node *node, const int *p)
{
    const sal_shape shape = node->shape;
    for (int j = 0; j < shape.rank; j++)
        node->shape.dim[p[j]] = shape.dim[j];
}

/* A dense layer over the channels of each pixel is a 1x1 conv. */
static int become_conv(sal_node *node, const int *p)
{
    int rank = node->shape.rank;
    if (rank != 4 || p[rank - 1] != 1)
        return 0;
    node->op = SAL_OP_CONV;
    node->window = (sal_window){.kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}, .groups = 1};
    return 1;
}

/* Renames a node's axes for an operand that is not transposed any more; 0: it cannot be. */
static int rename_axes(sal_node *node, const int *p)
{
    int64_t extent;
    switch (node->op) {
    case SAL_OP_ACTIVATION: return 1;
    case SAL_OP_AFFINE:
    case SAL_OP_LAYER_NORM: return rename_channels(node, p);
    case SAL_OP_GATHER:
    case SAL_OP_SOFTMAX: node->axis = p[node->axis]; return 1;
    case SAL_OP_REDUCE: return rename_reduced(node, p);
    case SAL_OP_EXPAND: rename_extents(node, p); return 1;
    case SAL_OP_SLICE:
        if (node->axis == 1 && p[1] != 1)
            return 0;
        extent = node->shape.dim[node->axis];
        node->axis = p[node->axis];
        node->shape.dim[node->axis] = extent;
        return 1;
    case SAL_OP_REDUCE_MEAN:
    case SAL_OP_PAD: return rename_spatial(node, p);
    case SAL_OP_DENSE: return become_conv(node, p);
    default: return 0;
    }
}

static sal_status merge_transposes(sal_rewrite *rw, int i, sal_node *node, const sal_node *first)
{
    int p[SAL_MAX_RANK], identity = 1;
    for (int j = 0; j < node->shape.rank; j++) {
        p[j] = first->permutation[node->permutation[j]];
        identity &= p[j] == j;
    }
    memcpy(node->permutation, p, (size_t)node->shape.rank * sizeof *p);
    sal_rewrite_set_input(rw, node, 0, first->inputs[0]);
    rw->changed++;
    if (identity)
        sal_rewrite_replace(rw, i, node->inputs[0]);
    return SAL_OK;
}

static sal_status visit_one_input(sal_rewrite *rw, int i)
{
    sal_node *node = &rw->graph->nodes[i];
    const sal_node *transpose = sal_rewrite_input(rw, node, 0);
    if (transpose->op != SAL_OP_TRANSPOSE)
        return SAL_OK;
    const sal_shape *x = &sal_rewrite_input(rw, transpose, 0)->shape;
    if (node->op == SAL_OP_TRANSPOSE)
        return merge_transposes(rw, i, node, transpose);
    if (node->op == SAL_OP_RESHAPE) {
        if (sal_permutation_keeps_order(x, transpose->permutation)) {
            sal_rewrite_set_input(rw, node, 0, transpose->inputs[0]);
            rw->changed++;
        }
        return SAL_OK;
    }
    if (!rename_axes(node, transpose->permutation))
        return SAL_OK;
    sal_rewrite_set_input(rw, node, 0, transpose->inputs[0]);
    return sink_past(rw, i, transpose->permutation, x->rank);
}

/* The permutation to take off a node's operands: that of a transpose which moves data, if there is one. */
static const sal_node *choose_transpose(const sal_rewrite *rw, const sal_node *node)
{
    const sal_node *chosen = NULL;
    for (int k = 0; k < node->input_count; k++) {
        const sal_node *x = sal_rewrite_input(rw, node, k);
        if (x->op != SAL_OP_TRANSPOSE)
            continue;
        if (!sal_permutation_keeps_order(&sal_rewrite_input(rw, x, 0)->shape, x->permutation))
            return x;
        chosen = x;
    }
    return chosen;
}

static int same_permutation(const sal_node *transpose, const int *p)
{
    return transpose->op == SAL_OP_TRANSPOSE &&
           memcmp(transpose->permutation, p, (size_t)transpose->shape.rank * sizeof *p) == 0;
}

static int can_sink_past(const sal_rewrite *rw, const sal_node *node, const int *p, const int *inverse)
{
    for (int k = 0; k < node->input_count; k++) {
        const sal_node *x = sal_rewrite_input(rw, node, k);
        if (!same_permutation(x, p) && !sal_permutation_keeps_order(&x->shape, inverse))
            return 0;
    }
    if (p[1] == 1 || (node->op == SAL_OP_CONCAT && node->axis != 1))
        return 1;
    if (node->op == SAL_OP_CONCAT)
        return 0;
    /* A gate of one value per channel must stay one. */
    return sal_shape_equal(&sal_rewrite_input(rw, node, 1)->shape, &node->shape) ||
           !sal_node_is_canonical(rw->graph, node);
}

/* Operand k without the permutation: what the transpose read, or a reshape where that is the same. */
static sal_status untranspose(sal_rewrite *rw, int i, int k, const int *p, const int *inverse)
{
    sal_node *node = &rw->graph->nodes[i];
    const sal_node *x = sal_rewrite_input(rw, node, k);
    int plain;
    if (same_permutation(x, p)) {
        sal_rewrite_set_input(rw, node, k, x->inputs[0]);
        return SAL_OK;
    }
    sal_shape shape = x->shape;
    for (int j = 0; j < shape.rank; j++)
        shape.dim[j] = x->shape.dim[inverse[j]];
    sal_status st = sal_rewrite_reshape(&plain, rw, node->inputs[k], &shape);
    if (st == SAL_OK)
        sal_rewrite_set_input(rw, &rw->graph->nodes[i], k, plain);
    return st;
}

static sal_status visit_many_inputs(sal_rewrite *rw, int i)
{
    sal_status st = SAL_OK;
    const sal_node *node = &rw->graph->nodes[i];
    const sal_node *transpose = choose_transpose(rw, node);
    int p[SAL_MAX_RANK], inverse[SAL_MAX_RANK] = {0}, rank = node->shape.rank;
    if (!transpose)
        return SAL_OK;
    memcpy(p, transpose->permutation, sizeof p);
    invert(inverse, p, rank);
    if (!can_sink_past(rw, node, p, inverse))
        return SAL_OK;
    int inputs = node->input_count;
    if (node->op == SAL_OP_CONCAT)
        rw->graph->nodes[i].axis = p[node->axis];
    for (int k = 0; k < inputs; k++)
        TRY(untranspose(rw, i, k, p, inverse));
    TRY(sink_past(rw, i, p, rank));
done:
    return st;
}

/* Channels on another axis than 1 of a tensor that is a mere vector: acts on (1, C) instead. */
static sal_status lift_vector(sal_rewrite *rw, int i)
{
    sal_status st = SAL_OK;
    const sal_node *node = &rw->graph->nodes[i];
    const sal_shape x = sal_rewrite_input(rw, node, 0)->shape, result = node->shape;
    int axis = node->op == SAL_OP_DENSE ? x.rank - 1 : node->axis;
    int flat, restored;
    if (sal_node_is_canonical(rw->graph, node) || x.dim[axis] != sal_shape_elements(&x))
        return SAL_OK;
    const sal_shape vector = {.rank = 2, .dim = {1, x.dim[axis]}};
    TRY(sal_rewrite_reshape(&flat, rw, node->inputs[0], &vector));
    sal_rewrite_set_input(rw, &rw->graph->nodes[i], 0, flat);
    rw->graph->nodes[i].axis = 1;
    TRY(sal_graph_infer(rw->graph, i));
    TRY(sal_rewrite_reshape(&restored, rw, i, &result));
    sal_rewrite_wrap(rw, i, restored);
    rw->changed++;
done:
    return st;
}

static sal_status visit(sal_rewrite *rw, int i)
{
    sal_status st = SAL_OK;
    int done_before = rw->changed;
    switch (rw->graph->nodes[i].op) {
    case SAL_OP_INPUT:
    case SAL_OP_CONV: return SAL_OK;
    case SAL_OP_ADD:
    case SAL_OP_MUL:
    case SAL_OP_CONCAT: return visit_many_inputs(rw, i);
    case SAL_OP_DENSE: TRY(sal_cancel_absorb_flatten(rw, i)); break;
    default: break;
    }
    TRY(visit_one_input(rw, i));
    sal_op op = rw->graph->nodes[i].op;
    if (rw->changed == done_before && (op == SAL_OP_DENSE || op == SAL_OP_AFFINE || op == SAL_OP_LAYER_NORM))
        TRY(lift_vector(rw, i));
done:
    return st;
}

sal_status sal_pass_cancel_transposes(sal_graph *graph, int *changed)
{
    sal_rewrite rw;
    sal_status st = sal_rewrite_begin(&rw, graph);
    if (st == SAL_OK)
        st = sal_cancel_turn_input(&rw);
    for (int i = 0; st == SAL_OK && i < (int)rw.count; i++) {
        sal_rewrite_visit(&rw, i);
        st = visit(&rw, i);
    }
    /* What moves only axes of length 1 is a reshape. Last: reshapes do not sink. */
    for (size_t i = 0; st == SAL_OK && i < graph->count; i++) {
        sal_node *node = &graph->nodes[i];
        if (node->op == SAL_OP_TRANSPOSE &&
            sal_permutation_keeps_order(&graph->nodes[node->inputs[0]].shape, node->permutation)) {
            node->op = SAL_OP_RESHAPE;
            rw.changed++;
        }
    }
    return sal_rewrite_end(&rw, st, changed);
}
