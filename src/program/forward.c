/* The forward pass: a step a node. */
#include "program/tape.h"

static int chooses(const sal_node *n)
{
    return n->op == SAL_OP_MAX_POOL || (n->op == SAL_OP_REDUCE && n->reduction == SAL_REDUCTION_MAX);
}

/* A max pool passes its gradient to the first of equals, a maximum over axes shares it among them. Where a picture is
 * flat, elements are equal in exact arithmetic, and everybody's gradient depends on their being so in floats. That is
 * asked of all passes alike, also of those that do not come by the pool on their way back, so that a picture's scores
 * are the same in all. */
void sal_tape_find_ties(sal_tape *t)
{
    for (int i = (int)t->graph->count - 1; i >= 0; i--) {
        const sal_node *n = &t->graph->nodes[i];
        for (int k = 0; k < n->input_count; k++)
            t->ties[n->inputs[k]] |= (char)(t->ties[i] || chooses(n));
    }
}

static sal_status forward_step(sal_tape *t, int i)
{
    const sal_node *n = &t->graph->nodes[i];
    sal_step *s;
    const sal_status st =
        sal_tape_step(&s, t, sal_derivative_get(n->op)->forward, n, n->inputs, n->input_count, t->values[i]);
    if (st != SAL_OK)
        return st;
    for (int k = 0; k < n->input_count; k++)
        s->inputs[k] = t->values[n->inputs[k]];
    s->ties = n->op == SAL_OP_CONV && t->ties[i];
    t->forward[i] = (int)t->program->step_count - 1;
    return SAL_OK;
}

sal_status sal_tape_forward(sal_tape *t)
{
    sal_status st = SAL_OK;
    const sal_graph *g = t->graph;
    for (int i = 0; i < (int)g->count; i++) {
        const sal_node *n = &g->nodes[i];
        TRY(sal_tape_value(&t->values[i], t, SAL_VALUE_FLOATS, n));
        if (n->op == SAL_OP_INPUT)
            continue;
        TRY(forward_step(t, i));
    }
    t->program->input = t->values[g->input];
    t->program->scores = t->values[g->output];
    t->program->forward_count = t->program->step_count;
done:
    return st;
}
