/* One handler per type of op: it makes nodes of the op, or a constant where all inputs are constants. */
#ifndef SAL_IMPORT_ONNX_LOWER_HANDLERS_H
#define SAL_IMPORT_ONNX_LOWER_HANDLERS_H

#include "import/onnx/onnx_importer.h"

typedef sal_status onnx_handler(onnx_importer *im, const onnx_op *op);

/* NULL where the op is not known. */
onnx_handler *onnx_handler_find(const onnx_op *op);

/* constants.c: constants all the way */
onnx_handler onnx_fold_constant, onnx_fold_constant_of_shape, onnx_fold_range, onnx_fold_where, onnx_fold_compare,
    onnx_fold_unary, onnx_fold_reduce_prod, onnx_fold_size;
/* Two constants of one arithmetic op, broadcast. */
sal_status onnx_fold_math(onnx_importer *im, const onnx_op *op, onnx_math math);

/* conv.c */
onnx_handler onnx_lower_conv, onnx_lower_max_pool, onnx_lower_average_pool, onnx_lower_global_average_pool,
    onnx_lower_global_max_pool, onnx_lower_pad;

/* dense.c */
onnx_handler onnx_lower_gemm, onnx_lower_matmul, onnx_lower_batch_norm, onnx_lower_layer_norm;

/* activation.c */
onnx_handler onnx_lower_activation, onnx_lower_clip, onnx_lower_prelu, onnx_lower_erf, onnx_lower_exp, onnx_lower_gelu,
    onnx_lower_mish, onnx_lower_softmax;

/* arithmetic.c */
onnx_handler onnx_lower_add, onnx_lower_sub, onnx_lower_mul, onnx_lower_div, onnx_lower_pow, onnx_lower_min,
    onnx_lower_max, onnx_lower_mod, onnx_lower_sum, onnx_lower_neg, onnx_lower_sqrt, onnx_lower_reciprocal,
    onnx_lower_reduce_mean;

/* reshape.c */
onnx_handler onnx_lower_identity, onnx_lower_dropout, onnx_lower_cast, onnx_lower_reshape, onnx_lower_flatten,
    onnx_lower_squeeze, onnx_lower_unsqueeze, onnx_lower_transpose, onnx_lower_expand, onnx_lower_shape;

/* select.c */
onnx_handler onnx_lower_concat, onnx_lower_slice, onnx_lower_split, onnx_lower_gather;

#endif
