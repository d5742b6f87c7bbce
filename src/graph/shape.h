/* Shape rules, one per op: each checks inputs, attributes and weight counts of a node and sets its shape.
 * Known to the op table alone; everybody else calls sal_graph_infer. */
#ifndef SAL_GRAPH_SHAPE_H
#define SAL_GRAPH_SHAPE_H

#include "graph/graph.h"

typedef sal_status sal_shape_rule(sal_graph *graph, sal_node *node);

sal_shape_rule sal_shape_input;
sal_shape_rule sal_shape_conv;
sal_shape_rule sal_shape_dense;
sal_shape_rule sal_shape_affine; /* layer norm too */
sal_shape_rule sal_shape_activation;
sal_shape_rule sal_shape_broadcast; /* add, mul */
sal_shape_rule sal_shape_concat;
sal_shape_rule sal_shape_slice;
sal_shape_rule sal_shape_pool;
sal_shape_rule sal_shape_reduce_mean;
sal_shape_rule sal_shape_reshape;
sal_shape_rule sal_shape_transpose;
sal_shape_rule sal_shape_shuffle;
sal_shape_rule sal_shape_pad;
sal_shape_rule sal_shape_softmax;
sal_shape_rule sal_shape_constant;
sal_shape_rule sal_shape_expand;
sal_shape_rule sal_shape_reduce;
sal_shape_rule sal_shape_matmul;
sal_shape_rule sal_shape_gather;

#endif
