/* A reference for graphs: every op in double precision, forward and backward, in plain loops.
 * Slow on purpose; accepts graphs before and after the passes. */
#ifndef TESTS_NAIVE_GRAPH_H
#define TESTS_NAIVE_GRAPH_H

#include "graph/graph.h"

/* input: elements of the graph's input node; scores: elements of its output node (may be NULL);
 * gradient: d scores[target] / d input, or NULL; target -1: of the mean of all scores. */
sal_status sal_naive_run(double *scores, double *gradient, const sal_graph *graph, const double *input, int64_t target);

/* Likewise with activations that send the gradient back under a rule. *margin (may be NULL): how far rounding would
 * have to move a value, relative to the largest of its tensor, to choose another branch of a relu, clip, leaky relu
 * or max pool: inputs with a small one have no gradient that float arithmetic must agree with. */
sal_status sal_naive_run_rule(double *scores, double *gradient, double *margin, const sal_graph *graph,
                              const double *input, int64_t target, sal_rule rule);

/* Value of a node (may be NULL), and d scores[target] / d of it, both of its own size, under plain gradients. */
sal_status sal_naive_layer(double *value, double *gradient, const sal_graph *graph, const double *input, int64_t target,
                           int node);

/* Value and derivative of an activation. Relu at 0: 0; clip: 1 strictly inside. */
double sal_naive_activation(double *derivative, const sal_activation *activation, double x);

/* ---- shared by the two files of the interpreter ---- */

/* Values and gradients of all nodes; NULL gradients: forward only. */
typedef struct sal_naive {
    const sal_graph *graph;
    double **value;
    double **before; /* before the fused activation, where there is one */
    double **gradient;
    sal_rule rule;
} sal_naive;

/* dx of an activation at x. Under rules, relu, leaky relu and clip count as positive where their derivative is 1. */
double sal_naive_back(const sal_naive *run, const sal_activation *activation, double x, double dy);
double sal_naive_margin(const sal_naive *run);

/* Forward of a conv, pool or dense layer without what follows; or, when backward is set, adds to the gradient of its
 * input from `dy`, the gradient of that result. */
void sal_naive_conv(const sal_naive *run, int node, double *y, const double *dy, int backward);
void sal_naive_dense(const sal_naive *run, int node, double *y, const double *dy, int backward);
void sal_naive_pool(const sal_naive *run, int node, int backward);

#endif
