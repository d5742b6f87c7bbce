/* One handler per type of op: it makes nodes of the op, or a constant where all inputs are constants. */
#ifndef SAL_IMPORT_ONNX_LOWER_HANDLERS_H
#define SAL_IMPORT_ONNX_LOWER_HANDLERS_H

#include "import/onnx/onnx_importer.h"

typedef sal_status onnx_handler(onnx_importer *im, const onnx_op *op);

/* Whether the op is known. */
int onnx_handler_knows(const onnx_op *op);
/* Lowers an op that is known. */
sal_status onnx_lower_op(onnx_importer *im, const onnx_op *op);

/* constants.c: constants all the way */
onnx_handler onnx_fold_constant, onnx_fold_constant_of_shape, onnx_fold_range, onnx_fold_where, onnx_fold_compare,
    onnx_fold_unary, onnx_fold_reduce_prod, onnx_fold_size, onnx_fold_eye_like, onnx_fold_one_hot;
/* Two constants of one arithmetic op, broadcast. */
sal_status onnx_fold_math(onnx_importer *im, const onnx_op *op, onnx_math math);

/* fold.c: an op whose inputs are all constants and whose first holds floats, by what the handler emits. */
sal_status onnx_fold_by_nodes(onnx_importer *im, const onnx_op *op, onnx_handler *handler);

/* conv.c, conv_transpose.c, pad.c */
onnx_handler onnx_lower_conv, onnx_lower_max_pool, onnx_lower_average_pool, onnx_lower_lp_pool,
    onnx_lower_global_average_pool, onnx_lower_global_max_pool, onnx_lower_global_lp_pool, onnx_lower_conv_transpose,
    onnx_lower_pad;
/* Adds a value to the elements of a node that are before `begin` or behind `end` of any axis. */
sal_status onnx_add_outside(int *x, onnx_importer *im, const onnx_op *op, const int64_t *begin, const int64_t *end,
                            float value);

/* dense.c */
onnx_handler onnx_lower_gemm, onnx_lower_matmul, onnx_lower_einsum;

/* normalize.c */
onnx_handler onnx_lower_batch_norm, onnx_lower_layer_norm, onnx_lower_rms_norm, onnx_lower_group_norm,
    onnx_lower_mean_variance, onnx_lower_lp_norm, onnx_lower_lrn;

/* activation.c */
onnx_handler onnx_lower_activation, onnx_lower_clip, onnx_lower_prelu, onnx_lower_erf, onnx_lower_greater,
    onnx_lower_gelu, onnx_lower_mish, onnx_lower_softmax, onnx_lower_elementwise, onnx_lower_celu, onnx_lower_shrink,
    onnx_lower_trigonometric, onnx_lower_swish;

/* arithmetic.c */
onnx_handler onnx_lower_add, onnx_lower_sub, onnx_lower_mul, onnx_lower_div, onnx_lower_pow, onnx_lower_min,
    onnx_lower_max, onnx_lower_mod, onnx_lower_sum, onnx_lower_mean, onnx_lower_neg, onnx_lower_sqrt,
    onnx_lower_reciprocal;

/* reduce.c */
onnx_handler onnx_lower_reduce, onnx_lower_reduce_mean, onnx_lower_reduce_prod;

/* ../branches.c */
onnx_handler onnx_lower_if;

/* reshape.c */
onnx_handler onnx_lower_identity, onnx_lower_dropout, onnx_lower_cast, onnx_lower_cast_like, onnx_lower_reshape,
    onnx_lower_flatten, onnx_lower_squeeze, onnx_lower_unsqueeze, onnx_lower_transpose, onnx_lower_expand,
    onnx_lower_shape;

/* select.c, index.c, resize.c */
onnx_handler onnx_lower_concat, onnx_lower_slice, onnx_lower_split, onnx_lower_gather, onnx_lower_where,
    onnx_lower_gather_elements, onnx_lower_gather_nd, onnx_lower_scatter_elements, onnx_lower_scatter_nd,
    onnx_lower_tile, onnx_lower_cumulative_sum, onnx_lower_triangle, onnx_lower_depth_to_space,
    onnx_lower_space_to_depth, onnx_lower_reverse_sequence, onnx_lower_resize;

#endif
