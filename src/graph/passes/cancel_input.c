#include "base/memory.h"
#include "graph/cancel.h"

#include <string.h>

static const int to_first[4] = {0, 3, 1, 2};
static const int to_last[4] = {0, 2, 3, 1};

/* Ops that may stand between the input and its transpose: preprocessing inside the model. */
static int is_elementwise(sal_op op)
{
    return op == SAL_OP_AFFINE || op == SAL_OP_ACTIVATION || op == SAL_OP_ADD || op == SAL_OP_MUL ||
           op == SAL_OP_CONCAT || op == SAL_OP_SLICE || op == SAL_OP_PAD;
}

/* A transpose to channels first, or the reshape that does the same to one channel. */
static int turns(const sal_node *node, const sal_shape *x)
{
    if (x->rank != 4 || node->shape.rank != 4)
        return 0;
    if (node->op == SAL_OP_TRANSPOSE)
        return memcmp(node->permutation, to_first, sizeof to_first) == 0;
    return node->op == SAL_OP_RESHAPE && x->dim[3] == 1 && x->dim[1] > 1 && node->shape.dim[1] == 1 &&
           node->shape.dim[2] == x->dim[1] && node->shape.dim[3] == x->dim[2];
}

/* What the readers of the picture say about its layout. */
typedef struct evidence {
    int turned;    /* transposed to channels first */
    int flattened; /* made a vector as it is */
    int mapped;    /* read as channels first */
} evidence;

static void weigh(evidence *found, const sal_node *node, const sal_shape *x)
{
    if (turns(node, x))
        found->turned = 1;
    else if (node->op == SAL_OP_RESHAPE && node->shape.rank == 2)
        found->flattened = 1;
    else
        found->mapped = 1;
}

static sal_status gather(evidence *found, const sal_graph *graph)
{
    char *raw = NULL;
    sal_status st = sal_alloc(&raw, graph->count, 1, "a pass over the graph");
    if (st != SAL_OK)
        return st;
    raw[graph->input] = 1;
    for (size_t i = 0; i < graph->count; i++) {
        const sal_node *node = &graph->nodes[i];
        for (int k = 0; k < node->input_count; k++) {
            if (!raw[node->inputs[k]])
                continue;
            if (is_elementwise(node->op))
                raw[i] = 1;
            else
                weigh(found, node, &graph->nodes[node->inputs[k]].shape);
        }
    }
    sal_free(raw);
    return SAL_OK;
}

static int is_channels_last(const evidence *found, const sal_shape *shape)
{
    if (shape->rank != 4 || shape->dim[3] > SAL_MAX_CHANNELS)
        return 0;
    /* A flattened picture has no layout of its own: go by what pictures look like. */
    return found->turned ||
           (found->flattened && !found->mapped && shape->dim[3] <= 4 && shape->dim[1] > 4 && shape->dim[2] > 4);
}

sal_status sal_cancel_turn_input(sal_rewrite *rw)
{
    sal_status st = SAL_OK;
    sal_graph *graph = rw->graph;
    evidence found = {0};
    int behind;
    if (graph->channels_last)
        return SAL_OK;
    TRY(gather(&found, graph));
    sal_shape shape = graph->nodes[graph->input].shape;
    if (!is_channels_last(&found, &shape))
        return SAL_OK;
    for (int j = 0; j < 4; j++)
        graph->nodes[graph->input].shape.dim[j] = shape.dim[to_first[j]];
    TRY(sal_rewrite_add(&behind, rw, SAL_OP_TRANSPOSE, graph->input));
    memcpy(graph->nodes[behind].permutation, to_last, sizeof to_last);
    TRY(sal_graph_infer(graph, behind));
    sal_rewrite_wrap(rw, graph->input, behind);
    graph->channels_last = 1;
    rw->changed++;
done:
    return st;
}
