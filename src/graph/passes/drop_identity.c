/* Nodes that change nothing go; two reshapes in a row become one. */
#include "graph/passes.h"
#include "graph/rewrite.h"

#include <float.h>

static int no_padding(const sal_window *w)
{
    return w->pad_begin[0] == 0 && w->pad_begin[1] == 0 && w->pad_end[0] == 0 && w->pad_end[1] == 0;
}

static int is_identity_transpose(const sal_node *node)
{
    for (int i = 0; i < node->shape.rank; i++)
        if (node->permutation[i] != i)
            return 0;
    return 1;
}

static int is_identity_activation(const sal_activation *a)
{
    if (a->kind == SAL_ACT_CLIP)
        return a->alpha <= -FLT_MAX && a->beta >= FLT_MAX;
    return a->kind == SAL_ACT_NONE || (a->kind == SAL_ACT_LEAKY_RELU && a->alpha == 1.0F);
}

static int is_identity(const sal_node *node, const sal_shape *x)
{
    const sal_window *w = &node->window;
    float weight, bias;
    switch (node->op) {
    case SAL_OP_AFFINE: return sal_affine_uniform(&weight, &bias, node) && weight == 1.0F && bias == 0.0F;
    case SAL_OP_ACTIVATION: return is_identity_activation(&node->activation);
    case SAL_OP_CONCAT: return node->input_count == 1;
    case SAL_OP_SLICE:
    case SAL_OP_RESHAPE:
    case SAL_OP_EXPAND:
    case SAL_OP_REDUCE: /* of axes of 1, whatever the reduction */
    case SAL_OP_REDUCE_MEAN: return sal_shape_equal(&node->shape, x);
    case SAL_OP_MAX_POOL:
    case SAL_OP_AVG_POOL:
        return w->kernel[0] == 1 && w->kernel[1] == 1 && w->stride[0] == 1 && w->stride[1] == 1 && no_padding(w);
    case SAL_OP_TRANSPOSE: return is_identity_transpose(node);
    case SAL_OP_SHUFFLE: return node->groups == 1 || node->groups == x->dim[1];
    case SAL_OP_PAD: return no_padding(w);
    default: return 0;
    }
}

sal_status sal_pass_drop_identity(sal_graph *graph, int *changed)
{
    sal_rewrite rw;
    sal_status st = sal_rewrite_begin(&rw, graph);
    for (int i = 0; st == SAL_OK && i < (int)rw.count; i++) {
        sal_node *node = sal_rewrite_visit(&rw, i);
        if (node->op == SAL_OP_RESHAPE && sal_rewrite_input(&rw, node, 0)->op == SAL_OP_RESHAPE) {
            sal_rewrite_set_input(&rw, node, 0, sal_rewrite_input(&rw, node, 0)->inputs[0]);
            rw.changed++;
        }
        sal_activation *a = &node->activation;
        if (node->op == SAL_OP_ACTIVATION && a->kind == SAL_ACT_CLIP && a->alpha == 0.0F && a->beta >= FLT_MAX) {
            *a = (sal_activation){.kind = SAL_ACT_RELU};
            rw.changed++;
        }
        if (node->input_count > 0 && is_identity(node, &sal_rewrite_input(&rw, node, 0)->shape))
            sal_rewrite_replace(&rw, i, node->inputs[0]);
    }
    return sal_rewrite_end(&rw, st, changed);
}
