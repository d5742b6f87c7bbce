/* A reference for graphs: every op in double precision, forward and backward, in plain loops.
 * Slow on purpose; accepts graphs before and after the passes. */
#ifndef TESTS_NAIVE_GRAPH_H
#define TESTS_NAIVE_GRAPH_H

#include "graph/graph.h"

/* input: elements of the graph's input node; scores: elements of its output node (may be NULL);
 * gradient: d scores[target] / d input, or NULL; target -1: of the mean of all scores. */
sal_status sal_naive_run(double *scores, double *gradient, const sal_graph *graph, const double *input, int64_t target);

/* Value and derivative of an activation. Relu at 0: 0; clip: 1 strictly inside. */
double sal_naive_activation(double *derivative, const sal_activation *activation, double x);

/* ---- shared by the two files of the interpreter ---- */

/* Values and gradients of all nodes; NULL gradients: forward only. */
typedef struct sal_naive {
    const sal_graph *graph;
    double **value;
    double **before; /* before the fused activation, where there is one */
    double **gradient;
} sal_naive;

/* Forward of a conv, pool or dense layer without what follows; or, when backward is set, adds to the gradient of its
 * input from `dy`, the gradient of that result. */
void sal_naive_conv(const sal_naive *run, int node, double *y, const double *dy, int backward);
void sal_naive_dense(const sal_naive *run, int node, double *y, const double *dy, int backward);
void sal_naive_pool(const sal_naive *run, int node, int backward);

#endif
