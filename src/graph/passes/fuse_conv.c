/* Conv + residual add + activation into the conv; dense + activation into the dense layer. Only where nobody
 * else reads what lies between, and only activations whose backward needs one bit: the others need the
 * value before them. */
#include "graph/passes.h"
#include "graph/rewrite.h"

static int is_bare_conv(const sal_rewrite *rw, int i)
{
    const sal_node *node = &rw->graph->nodes[i];
    return node->op == SAL_OP_CONV && node->input_count == 1 && node->activation.kind == SAL_ACT_NONE &&
           rw->uses[i] == 1;
}

/* The later of two candidates: its sibling is then there already when it runs. Taking the
 * other operand as residual closes no cycle, since the sum alone reads the conv. */
static int choose_conv(const sal_rewrite *rw, const sal_node *sum)
{
    int a = sum->inputs[0], b = sum->inputs[1];
    if (a == b || !sal_shape_equal(&rw->graph->nodes[a].shape, &rw->graph->nodes[b].shape))
        return -1;
    int later = a > b ? 0 : 1;
    if (is_bare_conv(rw, sum->inputs[later]))
        return later;
    return is_bare_conv(rw, sum->inputs[1 - later]) ? 1 - later : -1;
}

static sal_status fuse_sum(sal_rewrite *rw, int i, const sal_node *sum)
{
    int k = choose_conv(rw, sum);
    if (k < 0)
        return SAL_OK;
    int conv = sum->inputs[k];
    sal_status st = sal_rewrite_append_input(rw, conv, sum->inputs[1 - k]);
    if (st == SAL_OK)
        sal_rewrite_replace(rw, i, conv);
    return st;
}

static void fuse_activation(sal_rewrite *rw, int i, const sal_node *node)
{
    sal_node *layer = sal_rewrite_input(rw, node, 0);
    if ((layer->op != SAL_OP_CONV && layer->op != SAL_OP_DENSE) || layer->activation.kind != SAL_ACT_NONE ||
        rw->uses[node->inputs[0]] != 1 || sal_activation_keep(node->activation.kind) != SAL_KEEP_SIGN)
        return;
    layer->activation = node->activation;
    sal_rewrite_replace(rw, i, node->inputs[0]);
}

sal_status sal_pass_fuse_conv(sal_graph *graph, int *changed)
{
    sal_rewrite rw;
    sal_status st = sal_rewrite_begin(&rw, graph);
    for (int i = 0; st == SAL_OK && i < (int)rw.count; i++) {
        const sal_node *node = sal_rewrite_visit(&rw, i);
        if (node->op == SAL_OP_ADD)
            st = fuse_sum(&rw, i, node);
        else if (node->op == SAL_OP_ACTIVATION)
            fuse_activation(&rw, i, node);
    }
    return sal_rewrite_end(&rw, st, changed);
}
