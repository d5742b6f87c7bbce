/* What the backward pass reads: masks and indices, and values, which are kept unless cheap steps (elementwise,
 * depthwise) can make them again from what is kept anyway: Chen et al. 2016, "Training deep nets with sublinear memory
 * cost", restricted to steps that cost almost nothing. */
#include "program/tape.h"

sal_status sal_tape_kept(int *out, sal_tape *t, int i)
{
    sal_status st = SAL_OK;
    const sal_node *n = &t->graph->nodes[i];
    if (t->kept[i] == SAL_NONE) {
        TRY(sal_tape_value(&t->kept[i], t, n->op == SAL_OP_MAX_POOL ? SAL_VALUE_INDICES : SAL_VALUE_MASK, n));
        t->program->steps[t->forward[i]].kept = t->kept[i];
    }
    *out = t->kept[i];
done:
    return st;
}

static int is_small(const sal_node *n)
{
    return n->shape.rank != 4 || n->shape.dim[2] * n->shape.dim[3] == 1;
}

/* Elementwise and depthwise steps: a few operations per element. */
static int is_cheap(const sal_node *n)
{
    if (is_small(n))
        return 0;
    if (n->op == SAL_OP_ACTIVATION)
        return sal_activation_keep(n->activation.kind) != SAL_KEEP_SIGN;
    return n->op == SAL_OP_CONV && n->input_count == 1 && n->window.groups > 1 && n->window.groups == n->shape.dim[1] &&
           n->weight_count == (size_t)(n->window.groups * n->window.kernel[0] * n->window.kernel[1]) &&
           n->activation.kind == SAL_ACT_NONE;
}

void sal_tape_choose_kept(sal_tape *t)
{
    const sal_graph *g = t->graph;
    for (int i = 0; i < (int)g->count; i++) {
        const sal_node *n = &g->nodes[i];
        const sal_keep keep = sal_node_keep(n);
        if (keep == SAL_KEEP_OUTPUT)
            t->required[i] = 1;
        for (int k = 0; k < n->input_count && keep == SAL_KEEP_INPUT; k++)
            t->required[n->inputs[k]] = 1;
    }
    for (int i = 0; i < (int)g->count; i++) {
        const sal_node *n = &g->nodes[i];
        if (!is_cheap(n))
            continue;
        int from = n->inputs[0];
        t->repeatable[i] = (char)((t->required[from] && !is_cheap(&g->nodes[from])) || t->repeatable[from]);
    }
}

sal_status sal_tape_value_again(int *out, sal_tape *t, int i)
{
    sal_status st = SAL_OK;
    if (!t->repeatable[i]) {
        *out = i;
        return st;
    }
    if (t->again[i] == SAL_NONE) {
        const sal_node *n = &t->graph->nodes[i];
        int from, output;
        sal_step *s;
        TRY(sal_tape_value_again(&from, t, n->inputs[0]));
        TRY(sal_tape_value(&output, t, SAL_VALUE_FLOATS, n));
        TRY(sal_tape_step(&s, t, sal_derivative_get(n->op)->forward, n, &from, 1, output));
        t->again[i] = output;
    }
    *out = t->again[i];
done:
    return st;
}
