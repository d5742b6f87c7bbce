/* Which tensors of rank 4 are kept in rows: those of ops that feature maps do not have. What can be either follows what
 * it reads, and a reshape or a transpose, which leads from anything to anything, what reads it. Where the two meet
 * after all, a reshape to the same shape stands between them. */
#include "base/memory.h"
#include "graph/passes.h"
#include "graph/rewrite.h"

#include <string.h>

enum { EITHER = 0, ROWS = 1, MAP = 2 };

typedef struct settling {
    sal_graph *graph;
    char *tokens;
    char *wanted; /* per node: ROWS | MAP of its readers, through those that follow it */
    int *other;   /* per node: the reshape of it for readers of the other kind, or -1 */
    int changed;
} settling;

static int is_converter(const sal_node *node)
{
    return node->op == SAL_OP_RESHAPE || node->op == SAL_OP_TRANSPOSE;
}

static int by_axis(int axis)
{
    return axis == 1 ? ROWS : EITHER;
}

/* What a node of rank 4 must have and make; EITHER: whichever is there. */
static int kind_of(const sal_graph *graph, const sal_node *node)
{
    const sal_shape *x = node->input_count > 0 ? &graph->nodes[node->inputs[0]].shape : &node->shape;
    switch (node->op) {
    case SAL_OP_CONSTANT:
    case SAL_OP_MATMUL:
    case SAL_OP_DENSE:
    case SAL_OP_SOFTMAX: return ROWS;
    case SAL_OP_LAYER_NORM: return node->axis == 1 ? MAP : ROWS;
    case SAL_OP_AFFINE:
    case SAL_OP_CONCAT:
    case SAL_OP_SLICE: return node->axis == 1 ? EITHER : ROWS;
    case SAL_OP_GATHER:
    case SAL_OP_REDUCE: return by_axis(node->axis);
    case SAL_OP_EXPAND: return x->dim[1] != node->shape.dim[1] ? ROWS : EITHER;
    case SAL_OP_ADD:
    case SAL_OP_MUL: return sal_shape_equal(&graph->nodes[node->inputs[1]].shape, &node->shape) ? EITHER : MAP;
    case SAL_OP_ACTIVATION:
    case SAL_OP_RESHAPE:
    case SAL_OP_TRANSPOSE: return EITHER;
    default: return MAP;
    }
}

static void find_wanted(settling *s)
{
    for (size_t i = s->graph->count; i-- > 0;) {
        const sal_node *node = &s->graph->nodes[i];
        const int kind = kind_of(s->graph, node);
        for (int k = 0; k < node->input_count && node->shape.rank == 4; k++)
            s->wanted[node->inputs[k]] |= (char)(kind != EITHER ? kind : s->wanted[i]);
    }
}

static int choose(const settling *s, int i)
{
    const sal_node *node = &s->graph->nodes[i];
    const int kind = kind_of(s->graph, node);
    if (node->shape.rank != 4 || kind == MAP)
        return 0;
    if (kind == ROWS)
        return 1;
    if (is_converter(node))
        return s->wanted[i] == ROWS || (s->wanted[i] == EITHER && s->tokens[i]);
    for (int k = 0; k < node->input_count; k++)
        if (s->graph->nodes[node->inputs[k]].rows)
            return 1;
    return 0;
}

/* Node `of` for a reader of the other kind. */
static sal_status convert(int *out, settling *s, int of)
{
    sal_status st = SAL_OK;
    if (s->other[of] < 0) {
        TRY(sal_graph_add(&s->other[of], s->graph, SAL_OP_RESHAPE, NULL, &of, 1));
        sal_node *node = &s->graph->nodes[s->other[of]];
        node->shape = s->graph->nodes[of].shape;
        node->rows = !s->graph->nodes[of].rows;
        node->is_part = 1;
        TRY(sal_graph_infer(s->graph, s->other[of]));
    }
    *out = s->other[of];
done:
    return st;
}

static sal_status settle(settling *s, int i)
{
    sal_status st = SAL_OK;
    const int rows = choose(s, i);
    s->graph->nodes[i].rows = rows;
    for (int k = 0; k < s->graph->nodes[i].input_count && !is_converter(&s->graph->nodes[i]); k++) {
        const int input = s->graph->nodes[i].inputs[k];
        int other;
        if (s->graph->nodes[input].shape.rank != 4 || s->graph->nodes[input].rows == rows)
            continue;
        TRY(convert(&other, s, input));
        s->graph->nodes[i].inputs[k] = other;
        s->changed++;
    }
done:
    return st;
}

sal_status sal_pass_settle_rows(sal_graph *graph, int *changed)
{
    sal_status st = SAL_OK;
    settling s = {.graph = graph};
    const size_t count = graph->count;
    TRY(sal_alloc(&s.tokens, count, 1, "a pass over the graph"));
    TRY(sal_alloc(&s.wanted, count, 1, "a pass over the graph"));
    TRY(sal_alloc(&s.other, count, sizeof *s.other, "a pass over the graph"));
    memset(s.other, 0xff, count * sizeof *s.other);
    sal_find_tokens(s.tokens, graph);
    find_wanted(&s);
    for (size_t i = 0; i < count; i++)
        TRY(settle(&s, (int)i));
    if (s.changed)
        TRY(sal_graph_compact(graph));
done:
    *changed = s.changed;
    sal_free(s.tokens);
    sal_free(s.wanted);
    sal_free(s.other);
    return st;
}
