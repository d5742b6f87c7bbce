#include "graph/rewrite.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static sal_status reserve(sal_rewrite *rw, size_t need)
{
    size_t forward = rw->capacity, uses = rw->capacity;
    sal_status st = sal_grow(&rw->forward, &forward, need, sizeof *rw->forward, "a pass over the graph");
    if (st == SAL_OK)
        st = sal_grow(&rw->uses, &uses, need, sizeof *rw->uses, "a pass over the graph");
    if (st == SAL_OK)
        rw->capacity = uses;
    return st;
}

sal_status sal_rewrite_begin(sal_rewrite *rw, sal_graph *graph)
{
    *rw = (sal_rewrite){.graph = graph, .count = graph->count};
    sal_status st = reserve(rw, graph->count + 1);
    if (st != SAL_OK)
        return st;
    for (size_t i = 0; i < graph->count; i++)
        rw->forward[i] = (int)i;
    sal_graph_count_uses(graph, rw->uses);
    return SAL_OK;
}

sal_node *sal_rewrite_visit(sal_rewrite *rw, int node)
{
    sal_node *n = &rw->graph->nodes[node];
    for (int k = 0; k < n->input_count; k++)
        n->inputs[k] = rw->forward[n->inputs[k]];
    return n;
}

sal_node *sal_rewrite_input(const sal_rewrite *rw, const sal_node *node, int k)
{
    return &rw->graph->nodes[node->inputs[k]];
}

sal_status sal_rewrite_add(int *out, sal_rewrite *rw, sal_op op, int input)
{
    sal_status st = SAL_OK;
    TRY(reserve(rw, rw->graph->count + 1));
    TRY(sal_graph_add(out, rw->graph, op, NULL, &input, 1));
    rw->forward[*out] = *out;
    rw->uses[*out] = 0;
    rw->uses[input]++;
done:
    return st;
}

sal_status sal_rewrite_reshape(int *out, sal_rewrite *rw, int input, const sal_shape *shape)
{
    sal_status st = sal_rewrite_add(out, rw, SAL_OP_RESHAPE, input);
    if (st != SAL_OK)
        return st;
    rw->graph->nodes[*out].shape = *shape;
    return sal_graph_infer(rw->graph, *out);
}

void sal_rewrite_set_input(sal_rewrite *rw, sal_node *node, int k, int to)
{
    rw->uses[node->inputs[k]]--;
    rw->uses[to]++;
    node->inputs[k] = to;
}

sal_status sal_rewrite_append_input(sal_rewrite *rw, int node, int input)
{
    sal_node *n = &rw->graph->nodes[node];
    int *inputs = NULL;
    size_t count = (size_t)n->input_count;
    sal_status st = sal_alloc(&inputs, count + 1, sizeof *inputs, "a node's inputs");
    if (st != SAL_OK)
        return st;
    memcpy(inputs, n->inputs, count * sizeof *inputs);
    inputs[count] = input;
    sal_free(n->inputs);
    n->inputs = inputs;
    n->input_count++;
    rw->uses[input]++;
    return SAL_OK;
}

void sal_rewrite_replace(sal_rewrite *rw, int node, int by)
{
    const sal_node *n = &rw->graph->nodes[node];
    rw->forward[node] = by;
    rw->uses[by] += rw->uses[node];
    rw->uses[node] = 0;
    for (int k = 0; k < n->input_count; k++)
        rw->uses[n->inputs[k]]--;
    rw->changed++;
}

void sal_rewrite_wrap(sal_rewrite *rw, int node, int wrapper)
{
    rw->forward[node] = wrapper;
    rw->uses[wrapper] = rw->uses[node] - 1;
    rw->uses[node] = 1;
}

sal_status sal_rewrite_end(sal_rewrite *rw, sal_status st, int *changed)
{
    sal_graph *graph = rw->graph;
    if (st == SAL_OK && rw->changed) {
        if (graph->output >= 0)
            graph->output = rw->forward[graph->output];
        st = sal_graph_compact(graph);
        if (st == SAL_OK)
            st = sal_graph_infer_all(graph);
    }
    *changed = rw->changed;
    free(rw->forward);
    free(rw->uses);
    *rw = (sal_rewrite){0};
    return st;
}

static int uniform(float *value, const float *values, size_t count, float none)
{
    *value = values ? values[0] : none;
    for (size_t i = 1; values && i < count; i++)
        if (values[i] != values[0])
            return 0;
    return 1;
}

int sal_affine_uniform(float *weight, float *bias, const sal_node *node)
{
    return node->op == SAL_OP_AFFINE && uniform(weight, node->weight, node->weight_count, 1.0F) &&
           uniform(bias, node->bias, node->bias_count, 0.0F);
}

int sal_permutation_keeps_order(const sal_shape *from, const int *permutation)
{
    int last = -1;
    for (int i = 0; i < from->rank; i++) {
        if (from->dim[permutation[i]] == 1)
            continue;
        if (permutation[i] < last)
            return 0;
        last = permutation[i];
    }
    return 1;
}

int sal_node_is_canonical(const sal_graph *graph, const sal_node *node)
{
    const sal_shape *b;
    switch (node->op) {
    case SAL_OP_INPUT: return node->shape.rank == 4;
    case SAL_OP_AFFINE:
    case SAL_OP_LAYER_NORM: return node->axis == 1;
    case SAL_OP_DENSE: return node->shape.rank == 2;
    case SAL_OP_REDUCE_MEAN:
    case SAL_OP_PAD: return node->axis == 2;
    case SAL_OP_ADD:
    case SAL_OP_MUL:
        b = &graph->nodes[node->inputs[1]].shape;
        if (sal_shape_equal(b, &node->shape))
            return 1;
        for (int i = 2; i < b->rank; i++)
            if (b->dim[i] != 1)
                return 0;
        return b->dim[1] == node->shape.dim[1];
    default: return 1;
    }
}

static int begins_tokens(const sal_node *node)
{
    return node->op == SAL_OP_MATMUL ||
           ((node->op == SAL_OP_DENSE || node->op == SAL_OP_SOFTMAX) && node->shape.rank > 2);
}

static int ends_tokens(const sal_node *node)
{
    switch (node->op) {
    case SAL_OP_CONV:
    case SAL_OP_MAX_POOL:
    case SAL_OP_AVG_POOL:
    case SAL_OP_SHUFFLE: return 1;
    default: return node->shape.rank == 2;
    }
}

void sal_find_tokens(char *tokens, const sal_graph *graph)
{
    for (size_t i = 0; i < graph->count; i++) {
        const sal_node *node = &graph->nodes[i];
        tokens[i] = (char)begins_tokens(node);
        for (int k = 0; k < node->input_count && !ends_tokens(node); k++)
            tokens[i] |= tokens[node->inputs[k]];
    }
}
