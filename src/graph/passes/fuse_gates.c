/* x * sigmoid(x) and its piecewise linear relatives become one activation. */
#include "graph/passes.h"
#include "graph/rewrite.h"

#include <math.h>

static int near(float value, float expected)
{
    return fabsf(value - expected) <= 1e-4F;
}

/* node = clip(x + shift, 0, top); x is an index, -1 if node is something else. */
static int shifted_clip(float *shift, float *top, const sal_rewrite *rw, const sal_node *node)
{
    const sal_activation *a = &node->activation;
    float weight;
    if (node->op != SAL_OP_ACTIVATION || a->kind != SAL_ACT_CLIP || a->alpha != 0.0F)
        return -1;
    const sal_node *inner = sal_rewrite_input(rw, node, 0);
    if (!sal_affine_uniform(&weight, shift, inner) || weight != 1.0F)
        return -1;
    *top = a->beta;
    return inner->inputs[0];
}

/* scale * clip(x + shift, 0, top) with scale * top = 1 is hard_sigmoid(x). */
static void fuse_hard_sigmoid(sal_rewrite *rw, sal_node *node)
{
    float scale, bias, shift, top;
    if (!sal_affine_uniform(&scale, &bias, node) || bias != 0.0F)
        return;
    int x = shifted_clip(&shift, &top, rw, sal_rewrite_input(rw, node, 0));
    if (x < 0 || !near(scale * top, 1.0F))
        return;
    sal_rewrite_set_input(rw, node, 0, x);
    node->op = SAL_OP_ACTIVATION;
    node->activation = (sal_activation){SAL_ACT_HARD_SIGMOID, scale, scale * shift};
    rw->changed++;
}

/* scale * (x * clip(x + 3, 0, 6)) with scale = 1/6 is hard_swish(x). */
static void fuse_hard_swish(sal_rewrite *rw, sal_node *node)
{
    float scale, bias, shift, top;
    if (!sal_affine_uniform(&scale, &bias, node) || bias != 0.0F || !near(scale, 1.0F / 6.0F))
        return;
    const sal_node *product = sal_rewrite_input(rw, node, 0);
    if (product->op != SAL_OP_MUL)
        return;
    for (int k = 0; k < 2; k++) {
        int x = shifted_clip(&shift, &top, rw, sal_rewrite_input(rw, product, k));
        if (x < 0 || x != product->inputs[1 - k] || !near(shift, 3.0F) || !near(top, 6.0F))
            continue;
        sal_rewrite_set_input(rw, node, 0, x);
        node->op = SAL_OP_ACTIVATION;
        node->activation = (sal_activation){.kind = SAL_ACT_HARD_SWISH};
        rw->changed++;
        return;
    }
}

static sal_activation_kind gated_kind(const sal_activation *gate)
{
    if (gate->kind == SAL_ACT_SIGMOID)
        return SAL_ACT_SILU;
    if (gate->kind == SAL_ACT_HARD_SIGMOID && near(gate->alpha, 1.0F / 6.0F) && near(gate->beta, 0.5F))
        return SAL_ACT_HARD_SWISH;
    return SAL_ACT_NONE;
}

static void fuse_product(sal_rewrite *rw, sal_node *node)
{
    for (int k = 0; k < 2; k++) {
        const sal_node *gate = sal_rewrite_input(rw, node, k);
        int x = node->inputs[1 - k];
        if (gate->op != SAL_OP_ACTIVATION || gate->inputs[0] != x)
            continue;
        sal_activation_kind kind = gated_kind(&gate->activation);
        if (kind == SAL_ACT_NONE)
            continue;
        rw->uses[node->inputs[0]]--;
        rw->uses[node->inputs[1]]--;
        rw->uses[x]++;
        node->inputs[0] = x;
        node->input_count = 1;
        node->op = SAL_OP_ACTIVATION;
        node->activation = (sal_activation){.kind = kind};
        rw->changed++;
        return;
    }
}

sal_status sal_pass_fuse_gates(sal_graph *graph, int *changed)
{
    sal_rewrite rw;
    sal_status st = sal_rewrite_begin(&rw, graph);
    for (int i = 0; st == SAL_OK && i < (int)rw.count; i++) {
        sal_node *node = sal_rewrite_visit(&rw, i);
        if (node->op == SAL_OP_AFFINE)
            fuse_hard_sigmoid(&rw, node);
        if (node->op == SAL_OP_AFFINE)
            fuse_hard_swish(&rw, node);
        if (node->op == SAL_OP_MUL)
            fuse_product(&rw, node);
    }
    return sal_rewrite_end(&rw, st, changed);
}
