/* What handlers are made of: inputs of an op as constants or nodes, and new nodes of the graph. */
#ifndef SAL_IMPORT_ONNX_LOWER_EMIT_H
#define SAL_IMPORT_ONNX_LOWER_EMIT_H

#include "import/onnx/onnx_importer.h"

/* Value of an input, NULL where it is left out. */
onnx_value *onnx_input(onnx_importer *im, const onnx_op *op, int index);
int onnx_has_input(const onnx_op *op, int index);
/* *out = 1 where the input is a constant (which is read if need be). */
sal_status onnx_is_constant(int *out, onnx_importer *im, const onnx_op *op, int index);
/* The input as a constant; UNSUPPORTED where it is computed from the picture. Borrowed. */
sal_status onnx_constant(const onnx_tensor **out, onnx_importer *im, const onnx_op *op, int index);
/* A list of integers from input `index`, or NULL and 0 where it is left out. Borrowed. */
sal_status onnx_int_list(const int64_t **out, size_t *count, onnx_importer *im, const onnx_op *op, int index);
/* The same from an attribute where the op has it (older opsets), else from the input. */
sal_status onnx_int_list_either(const int64_t **out, size_t *count, onnx_importer *im, const onnx_op *op, int index,
                                const char *attribute);
/* The input as a graph node of the shape that the file has: the batch axis first. */
sal_status onnx_node(int *out, onnx_importer *im, const onnx_op *op, int index);
/* The input as a graph node with `lead` axes more than the file has (array.h): for ops on each element alone. */
sal_status onnx_elements(int *out, int *lead, onnx_importer *im, const onnx_op *op, int index);
/* The constant's floats become the caller's (sal_free): moved where nobody else reads them, else copied.
 * Errors: NUMERIC (names tensor and index), FORMAT (no elements). */
sal_status onnx_take(float **out, size_t *count, onnx_importer *im, const onnx_op *op, int index);
/* A constant scalar. */
sal_status onnx_scalar(double *out, onnx_importer *im, const onnx_op *op, int index);

/* Starts a node; it is finished with onnx_finish, which infers its shape and checks sizes. */
sal_status onnx_start(int *out, onnx_importer *im, const onnx_op *op, sal_op core, const int *inputs, int count);
sal_status onnx_finish(onnx_importer *im, const onnx_op *op, int node);
void onnx_output_node(onnx_importer *im, const onnx_op *op, int index, int node);
void onnx_output_elements(onnx_importer *im, const onnx_op *op, int index, int node, int lead);
/* Takes the tensor over. */
void onnx_output_constant(onnx_importer *im, const onnx_op *op, int index, onnx_tensor *t);
void onnx_output_piece(onnx_importer *im, const onnx_op *op, int index, onnx_piece piece);

/* Whole nodes; *out may be x itself where nothing is to be done. */
sal_status onnx_emit_activation(int *out, onnx_importer *im, const onnx_op *op, int x, sal_activation_kind kind,
                                double alpha, double beta);
sal_status onnx_emit_affine(int *out, onnx_importer *im, const onnx_op *op, int x, double scale, double shift);
/* 1 where a node multiplies its input by one number and adds another. */
int onnx_is_scalar_affine(const sal_node *node);
sal_status onnx_emit_binary(int *out, onnx_importer *im, const onnx_op *op, sal_op core, int a, int b);
sal_status onnx_emit_reshape(int *out, onnx_importer *im, const onnx_op *op, int x, const sal_shape *shape);
sal_status onnx_emit_transpose(int *out, onnx_importer *im, const onnx_op *op, int x, const int *permutation);
sal_status onnx_emit_slice(int *out, onnx_importer *im, const onnx_op *op, int x, int axis, int64_t start, int64_t step,
                           int64_t extent);
/* Mean over axes [first, last], kept with extent 1. */
sal_status onnx_emit_mean(int *out, onnx_importer *im, const onnx_op *op, int x, int first, int last);

const sal_shape *onnx_shape(const onnx_importer *im, int node);
/* Counts negative axes from the end. Errors: FORMAT. */
sal_status onnx_axis(int *out, const onnx_op *op, int64_t axis, int rank);

#endif
