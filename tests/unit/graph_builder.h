/* Small graphs with random weights, and the comparison of what they compute. Test support. */
#ifndef TESTS_GRAPH_BUILDER_H
#define TESTS_GRAPH_BUILDER_H

#include "graph/graph.h"
#include "graph/passes.h"

/* All of these assert on failure and return the node's index. */
int build_input(sal_graph *graph, int64_t a, int64_t b, int64_t c); /* shape (1, a, b, c); also the output so far */
int build_later_input(sal_graph *graph, int64_t a, int64_t b, int64_t c); /* behind nodes that are there already */
/* A node with inputs a and b (-1: none), not yet inferred: set attributes, then build_done. */
int build_raw(sal_graph *graph, sal_op op, int a, int b);
int build_done(sal_graph *graph, int node); /* infers; the node becomes the output */
int build_conv(sal_graph *graph, int x, int64_t outputs, int64_t kernel, int64_t stride, int64_t pad, int64_t groups);
int build_dense(sal_graph *graph, int x, int64_t outputs);
int build_affine(sal_graph *graph, int x, int axis); /* batch norm as imported */
int build_scalar(sal_graph *graph, int x, float weight, float bias);
int build_norm(sal_graph *graph, int x, int axis);
int build_activation(sal_graph *graph, int x, sal_activation_kind kind, float alpha, float beta);
int build_two(sal_graph *graph, sal_op op, int a, int b); /* add, mul; concat along axis 1 */
int build_pool(sal_graph *graph, sal_op op, int x, int64_t kernel, int64_t stride, int64_t pad);
int build_mean(sal_graph *graph, int x, int axis);
int build_transpose(sal_graph *graph, int x, const char *permutation); /* "0231" */
int build_reshape(sal_graph *graph, int x, int rank, int64_t a, int64_t b, int64_t c, int64_t d);
int build_flatten(sal_graph *graph, int x);
int build_pad(sal_graph *graph, int x, int axis, int64_t begin, int64_t end, float value);
int build_slice(sal_graph *graph, int x, int axis, int64_t start, int64_t step, int64_t count);
int build_shape(sal_graph *graph, int x, const char *shape); /* a reshape to "1,4,-": (1, 4, what is left) */
int build_constant(sal_graph *graph, const char *shape);
int build_expand(sal_graph *graph, int x, const char *shape);
int build_reduce(sal_graph *graph, int x, sal_reduction reduction, int axis, int axis_count);
int build_matmul(sal_graph *graph, int a, int b, int transpose_b, float scale);
/* taps indices for each of `count` elements; weights NULL: 1 */
int build_gather(sal_graph *graph, int x, int axis, int64_t count, int taps, const int *index, const float *weights);
int build_softmax(sal_graph *graph, int x, int axis);

size_t count_op(const sal_graph *graph, sal_op op);
/* Largest difference of scores and of the gradients of every target for a random input, relative to the largest
 * value; infinite with NaN. A channels-last `before` is fed the same picture in its own order. */
double difference_of(const sal_graph *before, const sal_graph *after);
/* Asserts that it is at most 1e-5. */
void assert_same(const sal_graph *before, const sal_graph *after);
/* Applies one pass to a copy and asserts that it changes something and keeps what is computed; caller clears. */
sal_graph after_pass(const sal_graph *graph, sal_pass *pass);
/* Likewise sal_passes_run; also asserts that a second run changes nothing. */
sal_graph after_all(const sal_graph *graph);
double build_random(void); /* -1 to 1 */

#endif
