/* Reshape (1, g, C/g, ...), swap of axes 1 and 2, reshape back: a channel shuffle. */
#include "graph/passes.h"
#include "graph/rewrite.h"

static int swaps_one_and_two(const sal_node *node)
{
    int rank = node->shape.rank;
    if (node->op != SAL_OP_TRANSPOSE || rank < 4 || node->permutation[1] != 2 || node->permutation[2] != 1)
        return 0;
    for (int i = 3; i < rank; i++)
        if (node->permutation[i] != i)
            return 0;
    return 1;
}

static void fuse(sal_rewrite *rw, sal_node *node)
{
    const sal_node *swap = sal_rewrite_input(rw, node, 0);
    if (!swaps_one_and_two(swap))
        return;
    const sal_node *split = sal_rewrite_input(rw, swap, 0);
    if (split->op != SAL_OP_RESHAPE)
        return;
    const sal_node *x = sal_rewrite_input(rw, split, 0);
    const int64_t *dim = split->shape.dim;
    if (!sal_shape_equal(&x->shape, &node->shape) || x->shape.rank != 4 || dim[1] * dim[2] != x->shape.dim[1])
        return;
    sal_rewrite_set_input(rw, node, 0, split->inputs[0]);
    node->op = SAL_OP_SHUFFLE;
    node->groups = dim[1];
    rw->changed++;
}

sal_status sal_pass_fuse_shuffle(sal_graph *graph, int *changed)
{
    sal_rewrite rw;
    sal_status st = sal_rewrite_begin(&rw, graph);
    for (int i = 0; st == SAL_OK && i < (int)rw.count; i++) {
        sal_node *node = sal_rewrite_visit(&rw, i);
        if (node->op == SAL_OP_RESHAPE)
            fuse(&rw, node);
    }
    return sal_rewrite_end(&rw, st, changed);
}
