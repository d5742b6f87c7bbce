/* One sweep of a pass over a graph. Private to the graph module.
 *
 * A pass visits the nodes once in topological order. Replacements are noted in
 * `forward` and applied when a later node is visited, so a sweep costs time in
 * proportion to the graph however much it rewrites. Nodes that a pass adds are
 * read by whom it says; they are not visited in the same sweep. */
#ifndef SAL_GRAPH_REWRITE_H
#define SAL_GRAPH_REWRITE_H

#include "graph/graph.h"

typedef struct sal_rewrite {
    sal_graph *graph;
    int *forward;    /* who is read instead of each node; itself if nobody */
    int *uses;       /* readers of each node: never too few */
    size_t capacity; /* of both */
    size_t count;    /* nodes to visit: those that were there at the start */
    int changed;
} sal_rewrite;

sal_status sal_rewrite_begin(sal_rewrite *rw, sal_graph *graph);
/* To be called for each node 0 .. count-1 in order before looking at it; the node. */
sal_node *sal_rewrite_visit(sal_rewrite *rw, int node);
/* The node that makes input k. */
sal_node *sal_rewrite_input(const sal_rewrite *rw, const sal_node *node, int k);
/* Adds a node that reads `input`; without attributes and shape as yet. */
sal_status sal_rewrite_add(int *out, sal_rewrite *rw, sal_op op, int input);
/* A reshape of `input` to a shape. */
sal_status sal_rewrite_reshape(int *out, sal_rewrite *rw, int input, const sal_shape *shape);
void sal_rewrite_set_input(sal_rewrite *rw, sal_node *node, int k, int to);
sal_status sal_rewrite_append_input(sal_rewrite *rw, int node, int input);
/* Readers of `node` read `by` instead; `node` dies. */
void sal_rewrite_replace(sal_rewrite *rw, int node, int by);
/* Readers of `node` read `wrapper` instead, which itself reads `node`. */
void sal_rewrite_wrap(sal_rewrite *rw, int node, int wrapper);
/* Frees; when st is SAL_OK and something changed: drops dead nodes, renews the order and all shapes. */
sal_status sal_rewrite_end(sal_rewrite *rw, sal_status st, int *changed);

/* Whether an affine is a single weight and bias for all channels, and these (1 and 0 where it has none). */
int sal_affine_uniform(float *weight, float *bias, const sal_node *node);
/* Whether a permutation leaves the order of elements in memory as it is: only axes of length 1 move. */
int sal_permutation_keeps_order(const sal_shape *from, const int *permutation);
/* Whether a node is as the op table says of feature maps and vectors, see the head of graph.h. */
int sal_node_is_canonical(const sal_graph *graph, const sal_node *node);
/* tokens[i]: 1 where what node i makes comes from what no feature map becomes: dense layers of tensors, products of
 * matrices, softmax of tensors, and what is done to their results until a convolution or a pool reads it. Such nodes
 * may have their channels on any axis; others of rank 4 are turned to channels first. */
void sal_find_tokens(char *tokens, const sal_graph *graph);

#endif
