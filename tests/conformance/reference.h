/* What each step must compute, for one picture, in double precision and plain loops. */
#ifndef TESTS_CONFORMANCE_REFERENCE_H
#define TESTS_CONFORMANCE_REFERENCE_H

#include "conformance/suite.h"

/* An op, the values of its inputs and how far float results may be from the reference:
 * `accuracy` 1 stands for sums in float, more for algorithms such as Winograd's. */
typedef struct reference {
    const sal_graph *graph;
    const sal_node *node;
    const double *x[SUITE_MAX_INPUTS];
    double accuracy;
    double storage; /* relative rounding of what is stored in less than float; 0: floats */
} reference;

/* y and its tolerance; before and before_tolerance: ahead of the activation (may be NULL). */
typedef struct forward_answer {
    double *y, *tolerance;
    double *before, *before_tolerance;
} forward_answer;

void reference_forward(const forward_answer *out, const reference *r);
/* Gradient of input `operand` from dy, plus addend (or NULL). `rule` concerns activations;
 * for those before and before_tolerance are what the activation saw. */
typedef struct backward_question {
    const double *dy, *addend;
    const double *before, *before_tolerance;
    int operand;
    int rule;
    int activation; /* of the activation alone, not of the op that it is fused to */
} backward_question;

void reference_backward(double *dx, double *tolerance, const reference *r, const backward_question *q);

/* ---- Linear ops (walk.c) ------------------------------------------------ */

/* Sums of weight * x over pairs of elements of an op's output and of one of its inputs. */
typedef struct walk {
    const reference *r;
    int input;
    int backward; /* sums for the input's elements, from the output's */
    const double *from;
    double *sum, *magnitude, *terms; /* sum of weight * from, of its absolute values, and how many */
} walk;

void walk_linear(walk *w);

#endif
