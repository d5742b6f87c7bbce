#include "graph/passes.h"

#include "graph/rewrite.h"

/* Gates and shuffles first: they are recognised as the file has them. */
static sal_pass *const cleaning[] = {
    sal_pass_drop_identity,     sal_pass_fuse_gates,  sal_pass_fuse_shuffle,
    sal_pass_cancel_transposes, sal_pass_absorb_pads, sal_pass_fold_affine,
};

enum { MAX_ROUNDS = 64 }; /* against two passes that undo each other; every state between is right */

static sal_status clean(sal_graph *graph)
{
    int changed = 1;
    for (int round = 0; changed && round < MAX_ROUNDS; round++) {
        changed = 0;
        for (size_t i = 0; i < sizeof cleaning / sizeof *cleaning; i++) {
            int here = 0;
            sal_status st = cleaning[i](graph, &here);
            if (st != SAL_OK)
                return st;
            changed += here;
        }
    }
    return SAL_OK;
}

/* Whether back ends take it: of what is in rows they take more axes than of feature maps. */
static int is_final(const sal_graph *graph, const sal_node *node)
{
    switch (node->op) {
    case SAL_OP_AFFINE:
    case SAL_OP_DENSE: return 1;
    case SAL_OP_LAYER_NORM: return node->axis == node->shape.rank - 1 || sal_node_is_canonical(graph, node);
    default: return sal_node_is_canonical(graph, node);
    }
}

static sal_status check(const sal_graph *graph)
{
    char text[160];
    for (size_t i = 0; i < graph->count; i++) {
        const sal_node *node = &graph->nodes[i];
        if (is_final(graph, node))
            continue;
        const sal_node *x = node->input_count > 0 ? &graph->nodes[node->inputs[node->input_count - 1]] : node;
        return sal_node_fail(SAL_ERROR_UNSUPPORTED, node, "cannot be brought to channels first: axis %d, operand %s",
                             node->axis, sal_shape_text(text, sizeof text, &x->shape));
    }
    return SAL_OK;
}

sal_status sal_passes_run(sal_graph *graph)
{
    sal_status st = SAL_OK;
    int changed;
    if (graph->input < 0 || graph->output < 0)
        return sal_fail(SAL_ERROR_FORMAT, "the network has no %s", graph->input < 0 ? "input" : "output");
    TRY(sal_graph_compact(graph));
    TRY(sal_graph_infer_all(graph));
    TRY(clean(graph));
    TRY(sal_pass_turn_axes(graph, &changed));
    TRY(sal_pass_find_head(graph));
    TRY(sal_pass_turn_axes(graph, &changed)); /* a region of a map is taken along any axis */
    TRY(clean(graph));
    TRY(sal_pass_fuse_conv(graph, &changed));
    TRY(check(graph));
    TRY(sal_pass_settle_rows(graph, &changed));
done:
    return st;
}
