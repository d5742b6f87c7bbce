/* The forward pass: a step a node. */
#include "program/tape.h"

#include <stdlib.h>

static sal_status forward_step(sal_tape *t, int i)
{
    const sal_node *n = &t->graph->nodes[i];
    sal_step *s;
    int *inputs = calloc((size_t)n->input_count, sizeof *inputs);
    if (!inputs)
        return sal_fail_memory((size_t)n->input_count * sizeof *inputs, "a step");
    for (int k = 0; k < n->input_count; k++)
        inputs[k] = t->values[n->inputs[k]];
    sal_status st = sal_tape_step(&s, t, sal_derivative_get(n->op)->forward, n, inputs, n->input_count, t->values[i]);
    t->forward[i] = (int)t->program->step_count - 1;
    free(inputs);
    return st;
}

sal_status sal_tape_forward(sal_tape *t)
{
    sal_status st = SAL_OK;
    const sal_graph *g = t->graph;
    for (int i = 0; i < (int)g->count; i++) {
        const sal_node *n = &g->nodes[i];
        TRY(sal_tape_value(&t->values[i], t, SAL_VALUE_FLOATS, &n->shape));
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
