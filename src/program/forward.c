/* The forward pass: a step and a value a node. What a node makes is the value of its number. */
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

sal_status sal_tape_forward(sal_tape *t)
{
    sal_status st = SAL_OK;
    const sal_graph *g = t->graph;
    for (int i = 0; i < (int)g->count; i++) {
        const sal_node *n = &g->nodes[i];
        int output;
        sal_step *s;
        TRY(sal_tape_value(&output, t, SAL_VALUE_FLOATS, n)); /* number i */
        if (n->op == SAL_OP_INPUT)
            continue;
        t->forward[i] = (int)t->program->step_count;
        TRY(sal_tape_step(&s, t, sal_derivative_get(n->op)->forward, n, n->inputs, n->input_count, output));
        s->ties = n->op == SAL_OP_CONV && t->ties[i];
    }
    t->program->input = g->input;
    t->program->scores = g->output;
    t->program->forward_count = t->program->step_count;
done:
    return st;
}
