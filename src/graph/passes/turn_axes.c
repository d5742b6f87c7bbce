/* What the other passes leave on axes that no back end takes: the node is given its operand turned, and its result is
 * turned back. A gate of one value per pixel is repeated over the channels by a 1x1 convolution with ones, and any
 * other operand that is smaller than a back end takes is expanded. What comes from tokens, which are kept in rows,
 * stays on its axes where rows allow that. */
#include "base/memory.h"
#include "graph/passes.h"
#include "graph/rewrite.h"

#include <string.h>

static sal_status transpose(int *out, sal_rewrite *rw, int input, const int *p)
{
    sal_status st = sal_rewrite_add(out, rw, SAL_OP_TRANSPOSE, input);
    if (st != SAL_OK)
        return st;
    memcpy(rw->graph->nodes[*out].permutation, p, sizeof rw->graph->nodes[*out].permutation);
    return sal_graph_infer(rw->graph, *out);
}

/* Axis j of the turned operands is axis p[j] of the operands. */
static sal_status turn(sal_rewrite *rw, int i, const int *p, int axis)
{
    sal_status st = SAL_OK;
    int turned, back, inverse[SAL_MAX_RANK];
    for (int j = 0; j < SAL_MAX_RANK; j++)
        inverse[p[j]] = j;
    for (int k = 0; k < rw->graph->nodes[i].input_count; k++) {
        TRY(transpose(&turned, rw, rw->graph->nodes[i].inputs[k], p));
        sal_rewrite_set_input(rw, &rw->graph->nodes[i], k, turned);
    }
    sal_node *node = &rw->graph->nodes[i];
    if (node->op == SAL_OP_SLICE) /* how many it takes is in its shape */
        node->shape.dim[axis] = node->shape.dim[node->axis];
    node->axis = axis;
    TRY(sal_graph_infer(rw->graph, i));
    TRY(transpose(&back, rw, i, inverse));
    sal_rewrite_wrap(rw, i, back);
    rw->changed++;
done:
    return st;
}

static sal_status repeat_over_channels(sal_rewrite *rw, int i)
{
    sal_status st = SAL_OK;
    int repeated;
    const int64_t channels = rw->graph->nodes[i].shape.dim[1];
    TRY(sal_rewrite_add(&repeated, rw, SAL_OP_CONV, rw->graph->nodes[i].inputs[1]));
    sal_node *conv = &rw->graph->nodes[repeated];
    conv->window = (sal_window){.kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}, .groups = 1};
    TRY(sal_alloc(&conv->weight, (size_t)channels, sizeof *conv->weight, "a repeated gate"));
    conv->weight_count = (size_t)channels;
    for (int64_t c = 0; c < channels; c++)
        conv->weight[c] = 1.0F;
    TRY(sal_graph_infer(rw->graph, repeated));
    sal_rewrite_set_input(rw, &rw->graph->nodes[i], 1, repeated);
    rw->changed++;
done:
    return st;
}

static int is_pixel_gate(const sal_graph *graph, const sal_node *node)
{
    const sal_shape *b = &graph->nodes[node->inputs[1]].shape, *x = &node->shape;
    return x->rank == 4 && b->rank == 4 && b->dim[1] == 1 && b->dim[2] == x->dim[2] && b->dim[3] == x->dim[3];
}

static sal_status expand(sal_rewrite *rw, int i)
{
    sal_status st = SAL_OK;
    int expanded;
    TRY(sal_rewrite_add(&expanded, rw, SAL_OP_EXPAND, rw->graph->nodes[i].inputs[1]));
    rw->graph->nodes[expanded].shape = rw->graph->nodes[i].shape;
    TRY(sal_graph_infer(rw->graph, expanded));
    sal_rewrite_set_input(rw, &rw->graph->nodes[i], 1, expanded);
    rw->changed++;
done:
    return st;
}

/* Whether a node may have any axis. */
static int is_in_rows(const sal_rewrite *rw, const char *tokens, int i)
{
    return rw->graph->nodes[i].shape.rank != 4 || tokens[i];
}

/* Back ends join and cut feature maps along the channels; the graph knows other axes as well. */
static int is_fine(const sal_rewrite *rw, const char *tokens, int i)
{
    const sal_node *node = &rw->graph->nodes[i];
    const int rows = is_in_rows(rw, tokens, i);
    switch (node->op) {
    case SAL_OP_DENSE: return 1;
    case SAL_OP_AFFINE:
    case SAL_OP_CONCAT:
    case SAL_OP_SLICE: return rows || node->axis == 1;
    case SAL_OP_LAYER_NORM: return rows ? node->axis == node->shape.rank - 1 : node->axis == 1;
    case SAL_OP_ADD:
    case SAL_OP_MUL:
        if (rows)
            return sal_shape_equal(&sal_rewrite_input(rw, node, 1)->shape, &node->shape);
        return sal_node_is_canonical(rw->graph, node);
    default: return sal_node_is_canonical(rw->graph, node);
    }
}

/* Mean over H and W of tokens. */
static sal_status become_reduce(sal_rewrite *rw, int i)
{
    sal_node *node = &rw->graph->nodes[i];
    node->op = SAL_OP_REDUCE;
    node->reduction = SAL_REDUCTION_MEAN;
    node->axis_count = 2;
    rw->changed++;
    return sal_graph_infer(rw->graph, i);
}

static sal_status visit(sal_rewrite *rw, const char *tokens, int i)
{
    int p[SAL_MAX_RANK], to = 1;
    const sal_node *node = &rw->graph->nodes[i];
    const int last = node->shape.rank - 1;
    if (is_fine(rw, tokens, i))
        return SAL_OK;
    for (int j = 0; j < SAL_MAX_RANK; j++)
        p[j] = j;
    switch (node->op) {
    case SAL_OP_LAYER_NORM: to = is_in_rows(rw, tokens, i) ? last : 1; /* fall through */
    case SAL_OP_AFFINE:
    case SAL_OP_CONCAT:
    case SAL_OP_SLICE:
        p[to] = node->axis;
        p[node->axis] = to;
        return turn(rw, i, p, to);
    case SAL_OP_PAD:
    case SAL_OP_REDUCE_MEAN:
        if (node->shape.rank != 4 || node->axis != 1)
            return SAL_OK;
        if (node->op == SAL_OP_REDUCE_MEAN && tokens[i])
            return become_reduce(rw, i);
        p[1] = 3;
        p[2] = 1;
        p[3] = 2;
        return turn(rw, i, p, 2);
    case SAL_OP_ADD:
    case SAL_OP_MUL: return !tokens[i] && is_pixel_gate(rw->graph, node) ? repeat_over_channels(rw, i) : expand(rw, i);
    default: return SAL_OK;
    }
}

sal_status sal_pass_turn_axes(sal_graph *graph, int *changed)
{
    sal_rewrite rw;
    char *tokens = NULL;
    sal_status st = sal_alloc(&tokens, graph->count, 1, "a pass over the graph");
    if (st != SAL_OK)
        return st;
    sal_find_tokens(tokens, graph);
    st = sal_rewrite_begin(&rw, graph);
    for (int i = 0; st == SAL_OK && i < (int)rw.count; i++) {
        sal_rewrite_visit(&rw, i);
        st = visit(&rw, tokens, i);
    }
    sal_free(tokens);
    return sal_rewrite_end(&rw, st, changed);
}
