/* The op table: one row per op. */
#include "graph/shape.h"

#include <limits.h>

static uint64_t elements(const sal_node *node)
{
    return (uint64_t)sal_shape_elements(&node->shape);
}

/* Overflow of a count that is only shown: saturate. */
static uint64_t times(uint64_t a, uint64_t b)
{
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static uint64_t flops_none(const sal_graph *graph, const sal_node *node)
{
    (void)graph;
    (void)node;
    return 0;
}

static uint64_t flops_each(const sal_graph *graph, const sal_node *node)
{
    (void)graph;
    return elements(node);
}

static uint64_t flops_affine(const sal_graph *graph, const sal_node *node)
{
    (void)graph;
    return times(2, elements(node));
}

/* A multiply-add counts 2; bias, residual and activation one each. */
static uint64_t flops_weighted(const sal_graph *graph, const sal_node *node)
{
    (void)graph;
    uint64_t outputs = (uint64_t)node->shape.dim[node->op == SAL_OP_CONV ? 1 : node->shape.rank - 1];
    uint64_t extras = (uint64_t)(node->bias != NULL) + (uint64_t)(node->input_count == 2) +
                      (uint64_t)(node->activation.kind != SAL_ACT_NONE);
    return times(elements(node), 2 * (node->weight_count / outputs) + extras);
}

static uint64_t flops_pool(const sal_graph *graph, const sal_node *node)
{
    (void)graph;
    return times(elements(node), times((uint64_t)node->window.kernel[0], (uint64_t)node->window.kernel[1]));
}

static uint64_t flops_reduce(const sal_graph *graph, const sal_node *node)
{
    return elements(&graph->nodes[node->inputs[0]]);
}

static uint64_t flops_matmul(const sal_graph *graph, const sal_node *node)
{
    const sal_shape *a = &graph->nodes[node->inputs[0]].shape;
    return times(2 * elements(node), (uint64_t)a->dim[a->rank - (node->transpose[0] ? 2 : 1)]);
}

static uint64_t flops_gather(const sal_graph *graph, const sal_node *node)
{
    (void)graph;
    return node->weight_count > 0 ? times(2 * elements(node), (uint64_t)node->taps) : 0;
}

/* Mean, variance, scale and shift; likewise maximum, exponential, sum and division. */
static uint64_t flops_normalize(const sal_graph *graph, const sal_node *node)
{
    (void)graph;
    return times(5, elements(node));
}

static const sal_op_row rows[SAL_OP_COUNT] = {
    [SAL_OP_INPUT] = {"input", 0, 0, sal_shape_input, flops_none, SAL_KEEP_NOTHING},
    [SAL_OP_CONV] = {"conv", 1, 2, sal_shape_conv, flops_weighted, SAL_KEEP_NOTHING},
    [SAL_OP_DENSE] = {"dense", 1, 1, sal_shape_dense, flops_weighted, SAL_KEEP_NOTHING},
    [SAL_OP_AFFINE] = {"affine", 1, 1, sal_shape_affine, flops_affine, SAL_KEEP_NOTHING},
    [SAL_OP_ACTIVATION] = {"activation", 1, 1, sal_shape_activation, flops_each, SAL_KEEP_NOTHING},
    [SAL_OP_ADD] = {"add", 2, 2, sal_shape_broadcast, flops_each, SAL_KEEP_NOTHING},
    [SAL_OP_MUL] = {"mul", 2, 2, sal_shape_broadcast, flops_each, SAL_KEEP_INPUT},
    [SAL_OP_CONCAT] = {"concat", 1, INT_MAX, sal_shape_concat, flops_none, SAL_KEEP_NOTHING},
    [SAL_OP_SLICE] = {"slice", 1, 1, sal_shape_slice, flops_none, SAL_KEEP_NOTHING},
    [SAL_OP_MAX_POOL] = {"max_pool", 1, 1, sal_shape_pool, flops_pool, SAL_KEEP_INDICES},
    [SAL_OP_AVG_POOL] = {"avg_pool", 1, 1, sal_shape_pool, flops_pool, SAL_KEEP_NOTHING},
    [SAL_OP_REDUCE_MEAN] = {"reduce_mean", 1, 1, sal_shape_reduce_mean, flops_reduce, SAL_KEEP_NOTHING},
    [SAL_OP_RESHAPE] = {"reshape", 1, 1, sal_shape_reshape, flops_none, SAL_KEEP_NOTHING},
    [SAL_OP_TRANSPOSE] = {"transpose", 1, 1, sal_shape_transpose, flops_none, SAL_KEEP_NOTHING},
    [SAL_OP_SHUFFLE] = {"shuffle", 1, 1, sal_shape_shuffle, flops_none, SAL_KEEP_NOTHING},
    [SAL_OP_PAD] = {"pad", 1, 1, sal_shape_pad, flops_none, SAL_KEEP_NOTHING},
    [SAL_OP_SOFTMAX] = {"softmax", 1, 1, sal_shape_softmax, flops_normalize, SAL_KEEP_OUTPUT},
    [SAL_OP_LAYER_NORM] = {"layer_norm", 1, 1, sal_shape_affine, flops_normalize, SAL_KEEP_INPUT},
    [SAL_OP_CONSTANT] = {"constant", 0, 0, sal_shape_constant, flops_none, SAL_KEEP_NOTHING},
    [SAL_OP_EXPAND] = {"expand", 1, 1, sal_shape_expand, flops_none, SAL_KEEP_NOTHING},
    [SAL_OP_REDUCE] = {"reduce", 1, 1, sal_shape_reduce, flops_reduce, SAL_KEEP_NOTHING}, /* MAX: INPUT */
    [SAL_OP_MATMUL] = {"matmul", 2, 2, sal_shape_matmul, flops_matmul, SAL_KEEP_INPUT},
    [SAL_OP_GATHER] = {"gather", 1, 1, sal_shape_gather, flops_gather, SAL_KEEP_NOTHING},
};

static const struct {
    const char *name;
    sal_keep keep;
} activations[SAL_ACT_COUNT] = {
    [SAL_ACT_NONE] = {"none", SAL_KEEP_NOTHING},
    [SAL_ACT_RELU] = {"relu", SAL_KEEP_SIGN},
    [SAL_ACT_CLIP] = {"clip", SAL_KEEP_SIGN},
    [SAL_ACT_LEAKY_RELU] = {"leaky_relu", SAL_KEEP_SIGN},
    [SAL_ACT_ELU] = {"elu", SAL_KEEP_INPUT},
    [SAL_ACT_SIGMOID] = {"sigmoid", SAL_KEEP_OUTPUT},
    [SAL_ACT_TANH] = {"tanh", SAL_KEEP_OUTPUT},
    [SAL_ACT_SOFTPLUS] = {"softplus", SAL_KEEP_INPUT},
    [SAL_ACT_SILU] = {"silu", SAL_KEEP_INPUT},
    [SAL_ACT_GELU] = {"gelu", SAL_KEEP_INPUT},
    [SAL_ACT_GELU_TANH] = {"gelu_tanh", SAL_KEEP_INPUT},
    [SAL_ACT_HARD_SIGMOID] = {"hard_sigmoid", SAL_KEEP_INPUT},
    [SAL_ACT_HARD_SWISH] = {"hard_swish", SAL_KEEP_INPUT},
    [SAL_ACT_EXP] = {"exp", SAL_KEEP_OUTPUT},
    [SAL_ACT_SOFTSIGN] = {"softsign", SAL_KEEP_OUTPUT},
    [SAL_ACT_SQUAREPLUS] = {"squareplus", SAL_KEEP_INPUT},
    [SAL_ACT_THRESHOLD] = {"threshold", SAL_KEEP_INPUT},
    [SAL_ACT_ABS] = {"abs", SAL_KEEP_INPUT},
    [SAL_ACT_SIGN] = {"sign", SAL_KEEP_INPUT},
    [SAL_ACT_SQRT] = {"sqrt", SAL_KEEP_OUTPUT},
    [SAL_ACT_RECIPROCAL] = {"reciprocal", SAL_KEEP_OUTPUT},
    [SAL_ACT_POWER] = {"power", SAL_KEEP_INPUT},
    [SAL_ACT_LOG] = {"log", SAL_KEEP_INPUT},
    [SAL_ACT_SIN] = {"sin", SAL_KEEP_INPUT},
    [SAL_ACT_COS] = {"cos", SAL_KEEP_INPUT},
};

const sal_op_row *sal_op_get(sal_op op)
{
    return &rows[op];
}

const char *sal_activation_name(sal_activation_kind kind)
{
    return (unsigned)kind < SAL_ACT_COUNT ? activations[kind].name : "unknown";
}

const char *sal_reduction_name(sal_reduction reduction)
{
    static const char *const names[SAL_REDUCTION_COUNT] = {"sum", "mean", "max"};
    return (unsigned)reduction < SAL_REDUCTION_COUNT ? names[reduction] : "unknown";
}

sal_keep sal_activation_keep(sal_activation_kind kind)
{
    return (unsigned)kind < SAL_ACT_COUNT ? activations[kind].keep : SAL_KEEP_INPUT;
}

int sal_activation_is_arithmetic(sal_activation_kind kind)
{
    return kind >= SAL_ACT_ABS && kind < SAL_ACT_COUNT;
}

sal_keep sal_node_keep(const sal_node *node)
{
    if (node->op == SAL_OP_REDUCE && node->reduction == SAL_REDUCTION_MAX)
        return SAL_KEEP_INPUT;
    return node->op == SAL_OP_ACTIVATION ? sal_activation_keep(node->activation.kind) : rows[node->op].keep;
}
