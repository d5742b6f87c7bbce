/* The making of a program's steps from its graph: for the files of src/program that do it. Forward makes a step a node,
 * keep says what is kept of them or made again, backward adds the steps between the scores and where they end. */
#ifndef SAL_PROGRAM_TAPE_H
#define SAL_PROGRAM_TAPE_H

#include "program/program.h"

typedef struct sal_tape {
    sal_program *program;
    sal_graph *graph;
    sal_rule rule;
    size_t value_capacity;
    size_t step_capacity;
    int *forward;     /* per node: the step that makes its output */
    int *kept;        /* per node: its mask or indices, or SAL_NONE while nobody wants them */
    int *gradients;   /* per node: gradient so far, or SAL_NONE */
    int *again;       /* per node: its output made again in the backward pass, or SAL_NONE */
    char *wanted;     /* per node: depends on where the backward pass ends, or is it */
    char *required;   /* per node: its output is read by the backward pass */
    char *repeatable; /* per node: cheap to make again from what is kept */
    char *ties;       /* per node: a max pool is behind it, through whatever layers */
} sal_tape;

/* How an op is run and differentiated: one row of one table, so that what can be run and what can be differentiated are
 * the same. What its gradient needs is in the graph's table: sal_node_keep. */
typedef struct sal_derivative {
    sal_step_kind forward;
    sal_step_kind backward; /* SAL_STEP_COUNT: the gradient passes through unchanged */
    /* Steps from dy, the gradient of node i's output, to those of its inputs; NULL: there are none. */
    sal_status (*back)(sal_tape *tape, int i, int dy);
} sal_derivative;

/* Of an op that is not the input. */
const sal_derivative *sal_derivative_get(sal_op op);

/* A new value such as node `like` makes; a new step with room for two more inputs: an addend, and what a convolution
 * takes along. */
sal_status sal_tape_value(int *out, sal_tape *tape, sal_value_type type, const sal_node *like);
sal_status sal_tape_step(sal_step **out, sal_tape *tape, sal_step_kind kind, const sal_node *node, const int *inputs,
                         int input_count, int output);

sal_status sal_tape_forward(sal_tape *tape);
/* Before forward: which outputs the backward pass reads; which convolutions must not break ties. */
void sal_tape_choose_kept(sal_tape *tape);
void sal_tape_find_ties(sal_tape *tape);
/* The mask or the indices of node i: from now on its forward step writes them. */
sal_status sal_tape_kept(int *out, sal_tape *tape, int i);
/* The value of node i for the backward pass: kept, or made again just before it is needed. */
sal_status sal_tape_value_again(int *out, sal_tape *tape, int i);
/* To the gradient of node `end`'s output. Error also UNSUPPORTED: the scores do not depend on it. */
sal_status sal_tape_backward(sal_tape *tape, int end);

#endif
