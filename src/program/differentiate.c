/* Graph to steps: the forward pass, then backward-data steps for the nodes between the scores and where the backward
 * pass ends, and a method's arrays.
 *
 * Values are made once and never written again (the planner decides what shares memory). */
#include "base/memory.h"
#include "program/tape.h"

#include <stdlib.h>

sal_status sal_tape_value(int *out, sal_tape *t, sal_value_type type, const sal_node *like)
{
    sal_program *p = t->program;
    sal_status st = sal_grow(&p->values, &t->value_capacity, p->value_count + 1, sizeof *p->values, "values");
    if (st != SAL_OK)
        return st;
    sal_value *v = &p->values[p->value_count];
    v->type = type;
    v->shape = like->shape;
    v->rows = like->rows;
    *out = (int)p->value_count++;
    return SAL_OK;
}

sal_status sal_tape_step(sal_step **out, sal_tape *t, sal_step_kind kind, const sal_node *node, const int *inputs,
                         int input_count, int output)
{
    sal_program *p = t->program;
    sal_status st = sal_grow(&p->steps, &t->step_capacity, p->step_count + 1, sizeof *p->steps, "steps");
    if (st != SAL_OK)
        return st;
    sal_step *s = &p->steps[p->step_count];
    /* Room for an addend, and for what a convolution takes along. */
    s->inputs = calloc((size_t)input_count + 2, sizeof *s->inputs);
    if (!s->inputs)
        return sal_fail_memory(((size_t)input_count + 2) * sizeof *s->inputs, "a step");
    p->step_count++;
    for (int k = 0; k < input_count; k++)
        s->inputs[k] = inputs[k];
    s->input_count = input_count;
    s->kind = kind;
    s->node = node;
    s->output = output;
    s->kept = SAL_NONE;
    s->addend = SAL_NONE;
    s->activated = SAL_NONE;
    s->rule = (int)t->rule;
    *out = s;
    return SAL_OK;
}

static sal_status add_arrays(sal_tape *t, const sal_program_options *o)
{
    sal_status st = SAL_OK;
    sal_program *p = t->program;
    for (p->array_count = 0; p->array_count < o->array_count; p->array_count++) {
        const sal_array_shape like = o->arrays[p->array_count];
        const sal_node *node = &t->graph->nodes[like == SAL_ARRAY_INPUT ? t->graph->input : o->layer];
        TRY(sal_tape_value(&p->arrays[p->array_count], t, SAL_VALUE_FLOATS, node));
        sal_value *array = &p->values[p->arrays[p->array_count]];
        array->exact = 1;
        if (like == SAL_ARRAY_LAYER_MAP)
            array->shape.dim[1] = 1;
    }
done:
    return st;
}

static sal_status tape_open(sal_tape *t, size_t count)
{
    sal_status st = SAL_OK;
    TRY(sal_alloc(&t->forward, count, sizeof *t->forward, "the tape"));
    TRY(sal_alloc(&t->kept, count, sizeof *t->kept, "the tape"));
    TRY(sal_alloc(&t->gradients, count, sizeof *t->gradients, "the tape"));
    TRY(sal_alloc(&t->again, count, sizeof *t->again, "the tape"));
    TRY(sal_alloc(&t->wanted, count, 1, "the tape"));
    TRY(sal_alloc(&t->required, count, 1, "the tape"));
    TRY(sal_alloc(&t->repeatable, count, 1, "the tape"));
    TRY(sal_alloc(&t->ties, count, 1, "the tape"));
    TRY(sal_alloc(&t->program->backward_start, count, sizeof *t->program->backward_start, "the tape"));
    for (size_t i = 0; i < count; i++)
        t->kept[i] = t->gradients[i] = t->again[i] = SAL_NONE;
done:
    return st;
}

static void tape_close(sal_tape *t)
{
    sal_free(t->forward);
    sal_free(t->kept);
    sal_free(t->gradients);
    sal_free(t->again);
    sal_free(t->wanted);
    sal_free(t->required);
    sal_free(t->repeatable);
    sal_free(t->ties);
}

/* A picture that only ungrouped convolutions read can stay in rows of pixels: they
 * gather its few channels themselves. */
static void mark_picture(sal_program *p, const sal_graph *g)
{
    int only_convs = 1;
    for (size_t i = 0; i < g->count; i++)
        for (int k = 0; k < g->nodes[i].input_count; k++)
            if (g->nodes[i].inputs[k] == g->input &&
                (g->nodes[i].op != SAL_OP_CONV || g->nodes[i].window.groups != 1 || k != 0))
                only_convs = 0;
    p->values[p->input].picture = 1;
    if (p->gradient != SAL_NONE) {
        p->values[p->gradient].picture = p->layer == SAL_NONE;
        p->values[p->seed].seed = 1;
    }
    for (size_t v = 0; v < p->value_count; v++)
        p->values[v].conv_picture = p->values[v].picture && only_convs;
}

sal_status sal_program_differentiate(sal_program *program, const sal_program_options *options)
{
    sal_status st = SAL_OK;
    sal_tape t = {.program = program, .graph = &program->graph, .rule = options->rule};
    TRY(tape_open(&t, program->graph.count));
    sal_tape_choose_kept(&t);
    sal_tape_find_ties(&t);
    TRY(sal_tape_forward(&t));
    program->seed = program->gradient = program->layer = SAL_NONE;
    if (options->end == SAL_PASS_TO_LAYER)
        program->layer = options->layer;
    if (options->end != SAL_PASS_NOWHERE)
        TRY(sal_tape_backward(&t, options->end == SAL_PASS_TO_LAYER ? options->layer : program->graph.input));
    TRY(add_arrays(&t, options));
    mark_picture(program, &program->graph);
done:
    tape_close(&t);
    return st;
}
