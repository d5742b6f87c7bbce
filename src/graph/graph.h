/* The network as a list of nodes in topological order.
 *
 * A node has one output, so a tensor is named by the index of the node that
 * makes it. Shapes are those of one picture: shape[0] is the batch axis and is
 * always 1 here; a program is compiled for the batch it wants. Feature maps are
 * (1, C, H, W), vectors (1, F). Weights are float32 in the order given below.
 *
 * Importers build graphs, passes rewrite them, the program reads them. Nothing
 * here knows of files or devices.
 *
 * Before the passes some nodes may act on other axes than the op table says,
 * because files do (channels-last exports); sal_graph_infer accepts that, and
 * sal_passes_run fails where it cannot be rewritten:
 *   - layer norm: node->axis is the axis of the channels (0 means 1)
 *   - reduce mean, pad: node->axis is the first of the two adjacent axes that
 *     stand for H and W (0 means 2)
 *   - add, mul: b may be 1 along any axis (the passes expand it)
 *   - input: any shape; (1, H, W, C) with its transpose becomes (1, C, H, W)
 *
 * What is no feature map, such as the tokens (1, T, C) of an attention network, its
 * queries (1, heads, T, C / heads) and its weights (1, heads, T, T), is kept in rows:
 * row-major, as the shape says. All tensors of a rank other than 4 are, and those of rank 4
 * that have node->rows set, which the last pass does: back ends hold the others in whatever
 * layout suits feature maps. A reshape, to the same shape even, and a transpose lead from
 * one to the other; every other op has either rows alone or feature maps alone. */
#ifndef SAL_GRAPH_GRAPH_H
#define SAL_GRAPH_GRAPH_H

#include "base/error.h"

#include <sys/stat.h>

enum { SAL_MAX_RANK = 8 };

typedef struct sal_shape {
    int rank; /* the batch axis included */
    int64_t dim[SAL_MAX_RANK];
} sal_shape;

typedef enum sal_op {
    SAL_OP_INPUT,       /* no inputs; shape (1, C, H, W) */
    SAL_OP_CONV,        /* x [, residual]: weight (O, C/groups, KH, KW), bias (O); then + residual, then activation */
    SAL_OP_DENSE,       /* x (1, ..., F): weight (O, F), bias (O); then activation */
    SAL_OP_AFFINE,      /* weight (C) * x + bias (C) along `axis`: 1 but in rows; counts may also be 1 (a scalar) */
    SAL_OP_ACTIVATION,  /* elementwise */
    SAL_OP_ADD,         /* a + b of one shape, or, of feature maps, b with every axis after the channels 1 */
    SAL_OP_MUL,         /* likewise a * b (squeeze-excite gates) */
    SAL_OP_CONCAT,      /* two or more, along `axis`: 1 but in rows */
    SAL_OP_SLICE,       /* start and step along `axis`, 1 but in rows; how many: shape.dim[axis], set before infer */
    SAL_OP_MAX_POOL,    /* padding never wins */
    SAL_OP_AVG_POOL,    /* divisor: see count_padding */
    SAL_OP_REDUCE_MEAN, /* mean over H and W of (1, C, H, W); the result is (1, C, 1, 1) */
    SAL_OP_RESHAPE,     /* same elements in row-major order; new shape in node->shape */
    SAL_OP_TRANSPOSE,   /* permutation; the batch axis stays first */
    SAL_OP_SHUFFLE,     /* channel shuffle: (g, C/g) of axis 1 becomes (C/g, g) */
    SAL_OP_PAD,         /* constant padding of H and W */
    SAL_OP_SOFTMAX,     /* along `axis` */
    SAL_OP_LAYER_NORM,  /* over axis 1 of maps, the last of rows: weight (C), bias (C), epsilon */
    /* Of rows; with the axes 2 and 3 alone also of feature maps. The batch axis stays: axis is at least 1. */
    SAL_OP_CONSTANT, /* no inputs; weight: the elements of node->shape, row-major, the same for every picture. Class
                        tokens, positions, masks. It has no gradient */
    SAL_OP_EXPAND,   /* axes of x that are 1 become those of node->shape, set before infer, of the same rank: elements
                        are repeated. Backward: the sum over the repeated axes. With it add and mul have any broadcast */
    SAL_OP_REDUCE,   /* `reduction` over the axes [axis, axis + axis_count), which stay with size 1. Backward: of SUM
                        dy, of MEAN dy / n, of MAX dy / m for the m elements that equal the maximum, 0 elsewhere:
                        PyTorch's amax, not the first one as a pool has it */
    SAL_OP_MATMUL,   /* scale * a b: a (1, ..., M, K), b (1, ..., K, N), the axes before the last two equal. Where
                        transpose[0] is set, a is (1, ..., K, M), where transpose[1] is, b is (1, ..., N, K). Backward,
                        without the flags: da = scale * dy b^T, db = scale * a^T dy */
    SAL_OP_GATHER,   /* y[.., o, ..] = sum over t < taps of weight[o, t] * x[.., index[o, t], ..] along `axis`, which
                        becomes index_count / taps long; weight NULL: ones. A tap of weight 0 is not read, not even
                        where x is infinite; its index must be one of x all the same. Slices of any step, rolls,
                        mirrors, repeats (edge, wrap and mirrored padding), zero insertion (a row of zero weights is
                        0), resizing along one axis, sums over a band of channels, cumulative sums.
                        Backward: dx[.., i, ..] = sum over all (o, t) with index[o, t] = i of weight * dy[.., o, ..] */
    SAL_OP_COUNT
} sal_op;

typedef enum sal_activation_kind {
    SAL_ACT_NONE,
    SAL_ACT_RELU,       /* max(x, 0) */
    SAL_ACT_CLIP,       /* min(max(x, alpha), beta) */
    SAL_ACT_LEAKY_RELU, /* x > 0 ? x : alpha x */
    SAL_ACT_ELU,        /* x > 0 ? x : alpha (e^x - 1) */
    SAL_ACT_SIGMOID,    /* 1 / (1 + e^-x) */
    SAL_ACT_TANH,
    SAL_ACT_SOFTPLUS,     /* ln(1 + e^x) */
    SAL_ACT_SILU,         /* x sigmoid(x) */
    SAL_ACT_GELU,         /* x/2 (1 + erf(x / sqrt 2)) */
    SAL_ACT_GELU_TANH,    /* its tanh approximation */
    SAL_ACT_HARD_SIGMOID, /* min(max(alpha x + beta, 0), 1) */
    SAL_ACT_HARD_SWISH,   /* x min(max(x / 6 + 1/2, 0), 1) */
    SAL_ACT_EXP,          /* e^x */
    SAL_ACT_SOFTSIGN,     /* x / (1 + |x|) */
    SAL_ACT_SQUAREPLUS,   /* (x + sqrt(x^2 + alpha)) / 2: Barron 2021 */
    SAL_ACT_THRESHOLD,    /* x > alpha ? x : 0 */
    /* Arithmetic, which is no neuron: the rules of methods (sal_rule) do not touch its gradient. */
    SAL_ACT_ABS,        /* |x|; its derivative is the sign of x, 0 at 0 */
    SAL_ACT_SIGN,       /* -1, 0 or 1; its derivative is 0 */
    SAL_ACT_SQRT,       /* NaN below 0; its derivative at 0 is infinite */
    SAL_ACT_RECIPROCAL, /* 1 / x */
    SAL_ACT_POWER,      /* x^alpha as C's pow: of a negative x NaN unless alpha is whole */
    SAL_ACT_LOG,        /* natural; NaN below 0 */
    SAL_ACT_SIN,        /* of radians */
    SAL_ACT_COS,
    SAL_ACT_COUNT
} sal_activation_kind;

typedef enum sal_reduction {
    SAL_REDUCTION_SUM,
    SAL_REDUCTION_MEAN,
    SAL_REDUCTION_MAX,
    SAL_REDUCTION_COUNT
} sal_reduction;

typedef struct sal_activation {
    sal_activation_kind kind;
    float alpha;
    float beta;
} sal_activation;

/* Window of convolutions and pools: index 0 is height, 1 is width. */
typedef struct sal_window {
    int64_t kernel[2];
    int64_t stride[2];
    int64_t dilation[2];
    int64_t pad_begin[2]; /* top, left */
    int64_t pad_end[2];   /* bottom, right: may exceed what is needed (ceil mode) */
    int64_t groups;       /* convolutions: 1 unless grouped */
    int count_padding;    /* average pool: 1 divides by the kernel's area always, 0 by the real elements under it */
} sal_window;

/* Weights that several graphs share; reference-counted. */
typedef struct sal_weights sal_weights;

typedef struct sal_node {
    sal_op op;
    char *name;
    int is_part; /* 1: a step towards what the file calls by this name, and not that itself */
    int input_count;
    int *inputs; /* indices of earlier nodes; owned by the graph */
    sal_shape shape;
    sal_window window; /* strides, dilations and groups of 0 become 1 in sal_graph_infer */
    sal_activation activation;
    int axis;
    int axis_count;                /* reduce: adjacent axes; 0 becomes 1 in sal_graph_infer */
    sal_reduction reduction;       /* reduce */
    int transpose[2];              /* matmul: the last two axes of a, of b are swapped */
    int taps;                      /* gather: 0 becomes 1 in sal_graph_infer */
    int rows;                      /* 1: row-major, though of rank 4; set by the last pass */
    int64_t start;                 /* slice: first index */
    int64_t step;                  /* slice: at least 1 */
    int64_t groups;                /* shuffle */
    int permutation[SAL_MAX_RANK]; /* transpose */
    float epsilon;                 /* layer norm */
    float value;                   /* pad constant */
    float scale;                   /* matmul: 0 becomes 1 in sal_graph_infer */
    float *weight;       /* owned, sal_free, unless it is shared; NULL where the op table names one: dropped */
    sal_weights *shared; /* what it lies in, where others read it as well: nobody changes it any more; or NULL */
    size_t weight_count;
    float *bias; /* owned, sal_free; NULL: none */
    size_t bias_count;
    int32_t *index; /* gather; owned, sal_free */
    size_t index_count;
} sal_node;

/* A file that weights come from, as it was when it was opened. */
typedef struct sal_data_file {
    char *path;
    struct stat then;
} sal_data_file;

typedef struct sal_graph {
    sal_node *nodes;
    size_t count;
    size_t capacity;
    int input;  /* the one picture input */
    int output; /* node that makes the scores, (1, outputs) after sal_passes_run */
    const char
        *wanted_head; /* dense or conv layer that is to make the scores; NULL: the last one. Borrowed by the passes */
    const char
        *wanted_at;   /* elements of the output whose sum is the score, "3,10:20,:"; NULL: all are scores. Likewise */
    int wanted_coral; /* 1: the outputs are CORAL's logits, and the score is the age: */
    double wanted_first; /* of the first class, plus the sum of their sigmoids */
    int head;            /* dense or conv behind the scores: set by sal_pass_find_head, -1 before */
    int channels_last;   /* the file's input was (N, H, W, C); nodes are channels first all the same */
    sal_op detached; /* SAL_OP_SOFTMAX or SAL_OP_ACTIVATION (a sigmoid) left off after the head; else SAL_OP_COUNT */
    char *detached_name;       /* its name in the file, or NULL */
    int of_map;                /* 1: the score was made of some elements of a map */
    char *made;                /* what the score was made of by wanted_at or wanted_coral, for people; or NULL */
    char *class_names;         /* what the file has of the outputs' names, a list or an object as text, or NULL */
    sal_data_file *data_files; /* what was read beside the model file; copies of the graph have none */
    size_t data_file_count;
    size_t data_file_capacity;
} sal_graph;

void sal_graph_init(sal_graph *graph);
void sal_graph_clear(sal_graph *graph); /* fine on a zeroed struct */

/* Appends a zeroed node with a copy of name (NULL: made up) and inputs; *out is its index. Attributes and weights are
 * filled in through graph->nodes[*out] (pointers move when nodes are added), then sal_graph_infer is called. */
sal_status sal_graph_add(int *out, sal_graph *graph, sal_op op, const char *name, const int *inputs, int input_count);
/* Checks a node's inputs, attributes and weight counts and computes its shape.
 * Errors: FORMAT or UNSUPPORTED, naming node and op. */
sal_status sal_graph_infer(sal_graph *graph, int node);
/* Notes a file that weights come from, once. */
sal_status sal_graph_add_data_file(sal_graph *graph, const char *path, const struct stat *then);
/* sal_graph_infer for every node in order. */
sal_status sal_graph_infer_all(sal_graph *graph);
/* How many nodes read each node; uses: graph->count integers of the caller. The output counts as one use. */
void sal_graph_count_uses(const sal_graph *graph, int *uses);
/* Makes every reader of node `from` (and the graph's output) refer to `to`, save `to` itself, which may go on reading
 * it: `to` is from now on what `from` was. */
void sal_graph_redirect(sal_graph *graph, int from, int to);
/* Drops nodes that the output does not need (the input stays) and puts the rest in topological order. */
sal_status sal_graph_compact(sal_graph *graph);
/* Copy with its own weights. */
sal_status sal_graph_copy(sal_graph *out, const sal_graph *graph);
/* Copy that shares the weights: once sal_graph_freeze has made them such as can be. Graphs that share weights may be
 * used by as many threads; each weight is there until the last of them drops it or is cleared. Errors: MEMORY. */
sal_status sal_graph_freeze(sal_graph *graph);
sal_status sal_graph_share(sal_graph *out, const sal_graph *graph);
/* A node without its weight; its counts and its bias stay. */
void sal_node_drop_weight(sal_node *node);

/* What the backward step of an op needs from the forward pass. */
typedef enum sal_keep {
    SAL_KEEP_NOTHING,
    SAL_KEEP_SIGN,    /* one bit per element: where the derivative is 1 (relu, clip) */
    SAL_KEEP_INDICES, /* one byte per output element: which element of the window won */
    SAL_KEEP_INPUT,   /* the input's values */
    SAL_KEEP_OUTPUT   /* the output's values */
} sal_keep;

/* One row per op: "supported" and "run" are the same row. */
typedef struct sal_op_row {
    const char *name; /* "conv" */
    int min_inputs;
    int max_inputs;
    sal_status (*infer)(sal_graph *graph, sal_node *node);           /* shape rule and attribute check */
    uint64_t (*flops)(const sal_graph *graph, const sal_node *node); /* forward, one picture */
    sal_keep keep; /* for SAL_OP_ACTIVATION and fused activations: see sal_activation_keep */
} sal_op_row;

const sal_op_row *sal_op_get(sal_op op);
const char *sal_activation_name(sal_activation_kind kind);
const char *sal_reduction_name(sal_reduction reduction);
/* relu, clip: SIGN; leaky relu: SIGN; sigmoid, tanh, exp, softsign, sqrt, reciprocal: OUTPUT; the others: INPUT; none:
 * NOTHING. */
sal_keep sal_activation_keep(sal_activation_kind kind);

/* abs and those after it. */
int sal_activation_is_arithmetic(sal_activation_kind kind);

/* What the gradient of a node needs, but for what is fused into it: its row's, or its activation's. */
sal_keep sal_node_keep(const sal_node *node);

/* Whether a node is of the layer of that name: "fc" for "fc/MatMul", "/fc/Gemm" or "fc". */
int sal_node_is_of_layer(const char *node, const char *layer);

/* Elements of a shape, all axes. */
int64_t sal_shape_elements(const sal_shape *shape);
/* Fails with `status` and "node NAME (OP): text". */
sal_status sal_node_fail(sal_status status, const sal_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#ifdef __clang_analyzer__
#define sal_node_fail(status, ...) sal_returned(status, sal_node_fail(status, __VA_ARGS__))
#endif
int sal_shape_equal(const sal_shape *a, const sal_shape *b);
/* "(1, 64, 56, 56)" into text; returns text. */
const char *sal_shape_text(char *text, size_t size, const sal_shape *shape);

#endif
