/* The ops that salmap reads: one row each. An op that is not here is refused before any work. */
#include "import/onnx/lower/handlers.h"

#include "import/onnx/op.h"

#include <stdlib.h>
#include <string.h>

typedef struct row {
    const char *type;
    onnx_handler *handler;
} row;

/* Sorted by type (plain byte order). */
static const row rows[] = {
    {"Abs", onnx_fold_unary},
    {"Add", onnx_lower_add},
    {"And", onnx_fold_compare},
    {"AveragePool", onnx_lower_average_pool},
    {"BatchNormalization", onnx_lower_batch_norm},
    {"Cast", onnx_lower_cast},
    {"Ceil", onnx_fold_unary},
    {"Clip", onnx_lower_clip},
    {"Concat", onnx_lower_concat},
    {"Constant", onnx_fold_constant},
    {"ConstantOfShape", onnx_fold_constant_of_shape},
    {"Conv", onnx_lower_conv},
    {"Div", onnx_lower_div},
    {"Dropout", onnx_lower_dropout},
    {"Elu", onnx_lower_activation},
    {"Equal", onnx_fold_compare},
    {"Erf", onnx_lower_erf},
    {"Exp", onnx_lower_exp},
    {"Expand", onnx_lower_expand},
    {"Flatten", onnx_lower_flatten},
    {"Floor", onnx_fold_unary},
    {"Gather", onnx_lower_gather},
    {"Gelu", onnx_lower_gelu},
    {"Gemm", onnx_lower_gemm},
    {"GlobalAveragePool", onnx_lower_global_average_pool},
    {"GlobalMaxPool", onnx_lower_global_max_pool},
    {"Greater", onnx_fold_compare},
    {"GreaterOrEqual", onnx_fold_compare},
    {"HardSigmoid", onnx_lower_activation},
    {"HardSwish", onnx_lower_activation},
    {"Identity", onnx_lower_identity},
    {"LayerNormalization", onnx_lower_layer_norm},
    {"LeakyRelu", onnx_lower_activation},
    {"Less", onnx_fold_compare},
    {"LessOrEqual", onnx_fold_compare},
    {"LogSoftmax", onnx_lower_softmax},
    {"MatMul", onnx_lower_matmul},
    {"Max", onnx_lower_max},
    {"MaxPool", onnx_lower_max_pool},
    {"Min", onnx_lower_min},
    {"Mish", onnx_lower_mish},
    {"Mod", onnx_lower_mod},
    {"Mul", onnx_lower_mul},
    {"Neg", onnx_lower_neg},
    {"Not", onnx_fold_unary},
    {"Or", onnx_fold_compare},
    {"PRelu", onnx_lower_prelu},
    {"Pad", onnx_lower_pad},
    {"Pow", onnx_lower_pow},
    {"Range", onnx_fold_range},
    {"Reciprocal", onnx_lower_reciprocal},
    {"ReduceMean", onnx_lower_reduce_mean},
    {"ReduceProd", onnx_fold_reduce_prod},
    {"Relu", onnx_lower_activation},
    {"Reshape", onnx_lower_reshape},
    {"Selu", onnx_lower_activation},
    {"Shape", onnx_lower_shape},
    {"Sigmoid", onnx_lower_activation},
    {"Size", onnx_fold_size},
    {"Slice", onnx_lower_slice},
    {"Softmax", onnx_lower_softmax},
    {"Softplus", onnx_lower_activation},
    {"Softsign", onnx_lower_activation},
    {"Split", onnx_lower_split},
    {"Sqrt", onnx_lower_sqrt},
    {"Squareplus", onnx_lower_activation},
    {"Squeeze", onnx_lower_squeeze},
    {"Sub", onnx_lower_sub},
    {"Sum", onnx_lower_sum},
    {"Tanh", onnx_lower_activation},
    {"ThresholdedRelu", onnx_lower_activation},
    {"Transpose", onnx_lower_transpose},
    {"Unsqueeze", onnx_lower_unsqueeze},
    {"Where", onnx_fold_where},
};

static int compare(const void *key, const void *element)
{
    return strcmp(key, ((const row *)element)->type);
}

onnx_handler *onnx_handler_find(const onnx_op *op)
{
    if (op->domain[0] != '\0')
        return NULL;
    const row *found = bsearch(op->type, rows, sizeof rows / sizeof rows[0], sizeof rows[0], compare);
    return found ? found->handler : NULL;
}
