/* Tensors of any shape, as the file has them, and the nodes of the core ops that take them.
 *
 * A node's first axis is the batch, of extent 1. A tensor of the file whose own first axis is something else (a
 * sequence before the batch, what a Squeeze left) is a node with one axis more in front, a scalar one with two: its
 * lead. The network is then what the file computes of one picture alone. */
#ifndef SAL_IMPORT_ONNX_LOWER_ARRAY_H
#define SAL_IMPORT_ONNX_LOWER_ARRAY_H

#include "import/onnx/onnx_importer.h"

typedef struct onnx_array {
    int node;
    int lead;        /* axis a of the file's is axis lead + a of the node's */
    sal_shape shape; /* the file's */
} onnx_array;

/* An input; a constant becomes a constant node. Errors: NUMERIC (a constant that is not finite), UNSUPPORTED. */
sal_status onnx_array_get(onnx_array *out, onnx_importer *im, const onnx_op *op, int index);
/* Likewise, with the largest floats in place of infinities: as what is added, chosen or compared. */
sal_status onnx_array_bounded(onnx_array *out, onnx_importer *im, const onnx_op *op, int index);
/* All inputs, count of them. *out is the caller's, sal_free. */
sal_status onnx_array_all(onnx_array **out, onnx_importer *im, const onnx_op *op);
/* Makes output `index` of a node with as many elements as the file's shape has. Errors: UNSUPPORTED, where the file
 * is for more than one picture and its batch does not stay first. */
sal_status onnx_array_output(onnx_importer *im, const onnx_op *op, int index, int node, const sal_shape *shape);
/* Likewise a value that another op left unfinished. */
sal_status onnx_array_store(onnx_value *value, onnx_importer *im, const onnx_op *op, int node, const sal_shape *shape);
/* The node with the file's axes behind the batch axis, padded in front to `rank`: (1, 1, .., shape). */
sal_status onnx_array_full(int *out, onnx_importer *im, const onnx_op *op, const onnx_array *a, int rank);
/* a as one whose axis 0 ops may act on: with a lead, by a reshape where it has none. */
sal_status onnx_array_lead(onnx_array *a, onnx_importer *im, const onnx_op *op);
/* Nodes of one rank, of arrays that are broadcast together: axis a of `rank` is axis *base + a of theirs. Where first
 * is set, axis 0 is acted upon. */
sal_status onnx_array_align(int *nodes, int *base, onnx_importer *im, const onnx_op *op, const onnx_array *arrays,
                            int count, int rank, int first);
/* Shape of arrays broadcast together. Errors: FORMAT, UNSUPPORTED (rank). */
sal_status onnx_broadcast(sal_shape *out, const onnx_op *op, const sal_shape *shapes, int count);
/* Strides of an operand in the broadcast shape: 0 along axes that it repeats. */
void onnx_broadcast_strides(int64_t *stride, const sal_shape *operand, const sal_shape *out);
/* sum of index * stride for element k of a shape. */
int64_t onnx_strided(const sal_shape *shape, const int64_t *stride, size_t k);

/* Values and weights of a gather; zeroed. */
typedef struct onnx_table {
    int32_t *index;
    float *weight; /* NULL: ones */
    size_t count;  /* of results */
    int taps;
} onnx_table;

/* weighted: 1: weights of 0. Errors: LIMIT, MEMORY. */
sal_status onnx_table_new(onnx_table *out, const onnx_op *op, int64_t count, int64_t taps, int weighted);
void onnx_table_clear(onnx_table *t);

/* ---- Nodes ---- */

/* x along `axis` through the table, which is taken over, also where this fails. */
sal_status onnx_emit_gather(int *out, onnx_importer *im, const onnx_op *op, int x, int axis, onnx_table *table);
/* Elements by number of several nodes laid end to end, in a shape of as many elements as the table has. */
sal_status onnx_emit_pick(int *out, onnx_importer *im, const onnx_op *op, const int *nodes, int count,
                          onnx_table *table, const sal_shape *shape);
sal_status onnx_emit_concat(int *out, onnx_importer *im, const onnx_op *op, const int *nodes, int count, int axis);
sal_status onnx_emit_expand(int *out, onnx_importer *im, const onnx_op *op, int x, const sal_shape *shape);
/* A constant; values are taken over, also where this fails. */
sal_status onnx_emit_constant(int *out, onnx_importer *im, const onnx_op *op, float *values, const sal_shape *shape);
/* Over a set of the node's axes, which stay with extent 1. */
sal_status onnx_emit_reduce(int *out, onnx_importer *im, const onnx_op *op, int x, sal_reduction reduction,
                            unsigned axes);
sal_status onnx_emit_softmax(int *out, onnx_importer *im, const onnx_op *op, int x, int axis);
/* log of the sum of e^x over a set of the node's axes, which stay; and x minus it, along one axis. */
sal_status onnx_emit_log_sum_exp(int *out, onnx_importer *im, const onnx_op *op, int x, unsigned axes);
sal_status onnx_emit_log_softmax(int *out, onnx_importer *im, const onnx_op *op, int x, int axis);
/* Without scale and shift, along the last axis. */
sal_status onnx_emit_normalize(int *out, onnx_importer *im, const onnx_op *op, int x, float epsilon);
/* x * weight + bias along an axis; both are taken over. bias may be NULL. */
sal_status onnx_emit_scale(int *out, onnx_importer *im, const onnx_op *op, int x, int axis, float *weight, float *bias);
sal_status onnx_emit_matmul(int *out, onnx_importer *im, const onnx_op *op, int a, int b, int transpose_a,
                            int transpose_b, double scale);
/* Add or mul with any broadcast, of one rank. */
sal_status onnx_emit_broadcast(int *out, onnx_importer *im, const onnx_op *op, sal_op core, int a, int b);
sal_status onnx_emit_activation1(int *out, onnx_importer *im, const onnx_op *op, int x, sal_activation_kind kind);
/* The square root of a sum of squares or powers, with a derivative of 0 where it is 0. */
sal_status onnx_emit_root(int *out, onnx_importer *im, const onnx_op *op, int x, double power);

#endif
