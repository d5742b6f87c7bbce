/* Formulas that exporters write op by op: pieces, until the op that completes one makes its node. */
#ifndef SAL_IMPORT_ONNX_LOWER_PIECE_H
#define SAL_IMPORT_ONNX_LOWER_PIECE_H

#include "import/onnx/onnx_importer.h"

/* An arithmetic op with a piece among its two inputs; *handled = 0 where they make no formula that is known. */
sal_status onnx_piece_binary(int *handled, onnx_importer *im, const onnx_op *op, onnx_math math);
/* Mean along one axis of a node of that lead, kept as a piece: it may be the start of a layer norm. */
void onnx_piece_mean(onnx_importer *im, const onnx_op *op, int x, int lead, int axis, int keep);
/* Mean of a piece along axes; *handled = 0 where it is no variance. */
void onnx_piece_variance(int *handled, onnx_importer *im, const onnx_op *op, const int64_t *axes, size_t count,
                         int keep);
/* A Where of a piece: *handled = 1 where it is softplus in two parts. */
sal_status onnx_piece_softplus(int *handled, onnx_importer *im, const onnx_op *op);
/* Turns what is part of no layer norm into nodes. Errors: UNSUPPORTED for the error function and comparisons. */
sal_status onnx_piece_settle(onnx_importer *im, const onnx_op *op, onnx_value *value);

#endif
