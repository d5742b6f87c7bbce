/* The ops that salmap reads: one row each. An op that is not here is refused before any work. */
#include "import/onnx/lower/handlers.h"

#include "import/onnx/lower/emit.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/op.h"

#include <stdlib.h>
#include <string.h>

/* What becomes of an op of constants alone. */
typedef enum folds {
    FOLDS_BY_NODES, /* by what the handler emits for tensors of the picture: fold.c */
    FOLDS_ITSELF,   /* the handler knows of it */
    FOLDS_TWO       /* the handler knows of two inputs */
} folds;

typedef struct row {
    const char *type;
    onnx_handler *handler;
    folds folds;
} row;

/* Sorted by type (plain byte order). */
static const row rows[] = {
    {"Abs", onnx_lower_elementwise, FOLDS_ITSELF},
    {"Add", onnx_lower_add, FOLDS_ITSELF},
    {"And", onnx_fold_compare, FOLDS_ITSELF},
    {"AveragePool", onnx_lower_average_pool, FOLDS_BY_NODES},
    {"BatchNormalization", onnx_lower_batch_norm, FOLDS_BY_NODES},
    {"Cast", onnx_lower_cast, FOLDS_ITSELF},
    {"CastLike", onnx_lower_cast_like, FOLDS_ITSELF},
    {"Ceil", onnx_fold_unary, FOLDS_ITSELF},
    {"Celu", onnx_lower_celu, FOLDS_BY_NODES},
    {"Clip", onnx_lower_clip, FOLDS_ITSELF},
    {"Concat", onnx_lower_concat, FOLDS_ITSELF},
    {"Constant", onnx_fold_constant, FOLDS_ITSELF},
    {"ConstantOfShape", onnx_fold_constant_of_shape, FOLDS_ITSELF},
    {"Conv", onnx_lower_conv, FOLDS_BY_NODES},
    {"ConvTranspose", onnx_lower_conv_transpose, FOLDS_BY_NODES},
    {"Cos", onnx_lower_elementwise, FOLDS_ITSELF},
    {"Cosh", onnx_lower_trigonometric, FOLDS_BY_NODES},
    {"CumSum", onnx_lower_cumulative_sum, FOLDS_BY_NODES},
    {"DepthToSpace", onnx_lower_depth_to_space, FOLDS_BY_NODES},
    {"Div", onnx_lower_div, FOLDS_ITSELF},
    {"Dropout", onnx_lower_dropout, FOLDS_ITSELF},
    {"Einsum", onnx_lower_einsum, FOLDS_BY_NODES},
    {"Elu", onnx_lower_activation, FOLDS_BY_NODES},
    {"Equal", onnx_fold_compare, FOLDS_ITSELF},
    {"Erf", onnx_lower_erf, FOLDS_BY_NODES},
    {"Exp", onnx_lower_elementwise, FOLDS_ITSELF},
    {"Expand", onnx_lower_expand, FOLDS_ITSELF},
    {"EyeLike", onnx_fold_eye_like, FOLDS_ITSELF},
    {"Flatten", onnx_lower_flatten, FOLDS_ITSELF},
    {"Floor", onnx_fold_unary, FOLDS_ITSELF},
    {"Gather", onnx_lower_gather, FOLDS_ITSELF},
    {"GatherElements", onnx_lower_gather_elements, FOLDS_BY_NODES},
    {"GatherND", onnx_lower_gather_nd, FOLDS_BY_NODES},
    {"Gelu", onnx_lower_gelu, FOLDS_BY_NODES},
    {"Gemm", onnx_lower_gemm, FOLDS_BY_NODES},
    {"GlobalAveragePool", onnx_lower_global_average_pool, FOLDS_BY_NODES},
    {"GlobalLpPool", onnx_lower_global_lp_pool, FOLDS_BY_NODES},
    {"GlobalMaxPool", onnx_lower_global_max_pool, FOLDS_BY_NODES},
    {"Greater", onnx_lower_greater, FOLDS_ITSELF},
    {"GreaterOrEqual", onnx_fold_compare, FOLDS_ITSELF},
    {"GroupNormalization", onnx_lower_group_norm, FOLDS_BY_NODES},
    {"HardSigmoid", onnx_lower_activation, FOLDS_BY_NODES},
    {"HardSwish", onnx_lower_activation, FOLDS_BY_NODES},
    {"Identity", onnx_lower_identity, FOLDS_ITSELF},
    {"If", onnx_lower_if, FOLDS_ITSELF},
    {"InstanceNormalization", onnx_lower_group_norm, FOLDS_BY_NODES},
    {"LRN", onnx_lower_lrn, FOLDS_BY_NODES},
    {"LayerNormalization", onnx_lower_layer_norm, FOLDS_BY_NODES},
    {"LeakyRelu", onnx_lower_activation, FOLDS_BY_NODES},
    {"Less", onnx_fold_compare, FOLDS_ITSELF},
    {"LessOrEqual", onnx_fold_compare, FOLDS_ITSELF},
    {"Log", onnx_lower_elementwise, FOLDS_ITSELF},
    {"LogSoftmax", onnx_lower_softmax, FOLDS_BY_NODES},
    {"LpNormalization", onnx_lower_lp_norm, FOLDS_BY_NODES},
    {"LpPool", onnx_lower_lp_pool, FOLDS_BY_NODES},
    {"MatMul", onnx_lower_matmul, FOLDS_BY_NODES},
    {"Max", onnx_lower_max, FOLDS_TWO},
    {"MaxPool", onnx_lower_max_pool, FOLDS_BY_NODES},
    {"Mean", onnx_lower_mean, FOLDS_BY_NODES},
    {"MeanVarianceNormalization", onnx_lower_mean_variance, FOLDS_BY_NODES},
    {"Min", onnx_lower_min, FOLDS_TWO},
    {"Mish", onnx_lower_mish, FOLDS_BY_NODES},
    {"Mod", onnx_lower_mod, FOLDS_ITSELF},
    {"Mul", onnx_lower_mul, FOLDS_ITSELF},
    {"Neg", onnx_lower_neg, FOLDS_ITSELF},
    {"Not", onnx_fold_unary, FOLDS_ITSELF},
    {"OneHot", onnx_fold_one_hot, FOLDS_ITSELF},
    {"Or", onnx_fold_compare, FOLDS_ITSELF},
    {"PRelu", onnx_lower_prelu, FOLDS_BY_NODES},
    {"Pad", onnx_lower_pad, FOLDS_BY_NODES},
    {"Pow", onnx_lower_pow, FOLDS_ITSELF},
    {"RMSNormalization", onnx_lower_rms_norm, FOLDS_BY_NODES},
    {"Range", onnx_fold_range, FOLDS_ITSELF},
    {"Reciprocal", onnx_lower_reciprocal, FOLDS_ITSELF},
    {"ReduceL1", onnx_lower_reduce, FOLDS_BY_NODES},
    {"ReduceL2", onnx_lower_reduce, FOLDS_BY_NODES},
    {"ReduceLogSum", onnx_lower_reduce, FOLDS_BY_NODES},
    {"ReduceLogSumExp", onnx_lower_reduce, FOLDS_BY_NODES},
    {"ReduceMax", onnx_lower_reduce, FOLDS_BY_NODES},
    {"ReduceMean", onnx_lower_reduce_mean, FOLDS_BY_NODES},
    {"ReduceMin", onnx_lower_reduce, FOLDS_BY_NODES},
    {"ReduceProd", onnx_lower_reduce_prod, FOLDS_ITSELF},
    {"ReduceSum", onnx_lower_reduce, FOLDS_BY_NODES},
    {"ReduceSumSquare", onnx_lower_reduce, FOLDS_BY_NODES},
    {"Relu", onnx_lower_activation, FOLDS_BY_NODES},
    {"Reshape", onnx_lower_reshape, FOLDS_ITSELF},
    {"Resize", onnx_lower_resize, FOLDS_BY_NODES},
    {"ReverseSequence", onnx_lower_reverse_sequence, FOLDS_BY_NODES},
    {"Round", onnx_fold_unary, FOLDS_ITSELF},
    {"Scatter", onnx_lower_scatter_elements, FOLDS_BY_NODES},
    {"ScatterElements", onnx_lower_scatter_elements, FOLDS_BY_NODES},
    {"ScatterND", onnx_lower_scatter_nd, FOLDS_BY_NODES},
    {"Selu", onnx_lower_activation, FOLDS_BY_NODES},
    {"Shape", onnx_lower_shape, FOLDS_ITSELF},
    {"Shrink", onnx_lower_shrink, FOLDS_BY_NODES},
    {"Sigmoid", onnx_lower_activation, FOLDS_BY_NODES},
    {"Sign", onnx_lower_elementwise, FOLDS_ITSELF},
    {"Sin", onnx_lower_elementwise, FOLDS_ITSELF},
    {"Sinh", onnx_lower_trigonometric, FOLDS_BY_NODES},
    {"Size", onnx_fold_size, FOLDS_ITSELF},
    {"Slice", onnx_lower_slice, FOLDS_ITSELF},
    {"Softmax", onnx_lower_softmax, FOLDS_BY_NODES},
    {"Softplus", onnx_lower_activation, FOLDS_BY_NODES},
    {"Softsign", onnx_lower_activation, FOLDS_BY_NODES},
    {"SpaceToDepth", onnx_lower_space_to_depth, FOLDS_BY_NODES},
    {"Split", onnx_lower_split, FOLDS_ITSELF},
    {"Sqrt", onnx_lower_sqrt, FOLDS_ITSELF},
    {"Squareplus", onnx_lower_activation, FOLDS_BY_NODES},
    {"Squeeze", onnx_lower_squeeze, FOLDS_ITSELF},
    {"Sub", onnx_lower_sub, FOLDS_ITSELF},
    {"Sum", onnx_lower_sum, FOLDS_TWO},
    {"Swish", onnx_lower_swish, FOLDS_BY_NODES},
    {"Tan", onnx_lower_trigonometric, FOLDS_BY_NODES},
    {"Tanh", onnx_lower_activation, FOLDS_BY_NODES},
    {"ThresholdedRelu", onnx_lower_activation, FOLDS_BY_NODES},
    {"Tile", onnx_lower_tile, FOLDS_BY_NODES},
    {"Transpose", onnx_lower_transpose, FOLDS_ITSELF},
    {"Trilu", onnx_lower_triangle, FOLDS_BY_NODES},
    {"Unsqueeze", onnx_lower_unsqueeze, FOLDS_ITSELF},
    {"Upsample", onnx_lower_resize, FOLDS_BY_NODES},
    {"Where", onnx_lower_where, FOLDS_ITSELF},
};

static int compare(const void *key, const void *element)
{
    return strcmp(key, ((const row *)element)->type);
}

static const row *find(const onnx_op *op)
{
    if (op->domain[0] != '\0')
        return NULL;
    return bsearch(op->type, rows, sizeof rows / sizeof rows[0], sizeof rows[0], compare);
}

int onnx_handler_knows(const onnx_op *op)
{
    return find(op) != NULL;
}

/* All inputs are constants, and the first holds floats. */
static sal_status is_constant(int *out, onnx_importer *im, const onnx_op *op)
{
    *out = onnx_has_input(op, 0);
    for (int i = 0; *out && i < op->input_count; i++)
        if (onnx_has_input(op, i)) {
            sal_status st = onnx_is_constant(out, im, op, i);
            if (st != SAL_OK)
                return st;
        }
    *out = *out && !onnx_input(im, op, 0)->constant.integer;
    return SAL_OK;
}

sal_status onnx_lower_op(onnx_importer *im, const onnx_op *op)
{
    const row *r = find(op);
    int constant = 0;
    if (r->folds == FOLDS_BY_NODES || (r->folds == FOLDS_TWO && op->input_count > 2)) {
        sal_status st = is_constant(&constant, im, op);
        if (st != SAL_OK)
            return st;
    }
    return constant ? onnx_fold_by_nodes(im, op, r->handler) : r->handler(im, op);
}
