/* Ops of constants alone: lowered like those that depend on the picture, onto constant nodes of a graph that is
 * thrown away, and computed there. What can be lowered can so be folded. */
#include "base/memory.h"
#include "import/onnx/lower/array.h"
#include "import/onnx/lower/emit.h"
#include "import/onnx/lower/handlers.h"
#include "import/onnx/lower/piece.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/op.h"
#include "import/onnx/tensor.h"

#include <math.h>
#include <string.h>

/* The nodes of the graph, each with its elements. */
typedef struct folding {
    onnx_importer *im;
    const onnx_op *op;
    const sal_graph *graph;
    onnx_tensor *value;
} folding;

static const float *values_of(const folding *f, int node)
{
    const sal_node *n = &f->graph->nodes[node];
    return n->op == SAL_OP_CONSTANT ? n->weight : f->value[node].f;
}

static double sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

static double activate(const sal_activation *a, double x)
{
    const double alpha = (double)a->alpha, beta = (double)a->beta;
    switch (a->kind) {
    case SAL_ACT_NONE: return x;
    case SAL_ACT_RELU: return x > 0.0 ? x : 0.0;
    case SAL_ACT_CLIP: return x < alpha ? alpha : x > beta ? beta : x;
    case SAL_ACT_LEAKY_RELU: return x > 0.0 ? x : alpha * x;
    case SAL_ACT_ELU: return x > 0.0 ? x : alpha * expm1(x);
    case SAL_ACT_SIGMOID: return sigmoid(x);
    case SAL_ACT_TANH: return tanh(x);
    case SAL_ACT_SOFTPLUS: return x > 0.0 ? x + log1p(exp(-x)) : log1p(exp(x));
    case SAL_ACT_SILU: return x * sigmoid(x);
    case SAL_ACT_GELU: return x / 2.0 * (1.0 + erf(x * sqrt(0.5)));
    case SAL_ACT_GELU_TANH: return x / 2.0 * (1.0 + tanh(sqrt(2.0 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
    case SAL_ACT_HARD_SIGMOID: return fmin(fmax(alpha * x + beta, 0.0), 1.0);
    case SAL_ACT_HARD_SWISH: return x * fmin(fmax(x / 6.0 + 0.5, 0.0), 1.0);
    case SAL_ACT_EXP: return exp(x);
    case SAL_ACT_SOFTSIGN: return x / (1.0 + fabs(x));
    case SAL_ACT_SQUAREPLUS: return (x + sqrt(x * x + alpha)) / 2.0;
    case SAL_ACT_THRESHOLD: return x > alpha ? x : 0.0;
    case SAL_ACT_ABS: return fabs(x);
    case SAL_ACT_SIGN: return (double)((x > 0.0) - (x < 0.0));
    case SAL_ACT_SQRT: return sqrt(x);
    case SAL_ACT_RECIPROCAL: return 1.0 / x;
    case SAL_ACT_POWER: return pow(x, alpha);
    case SAL_ACT_LOG: return log(x);
    case SAL_ACT_SIN: return sin(x);
    case SAL_ACT_COS: return cos(x);
    case SAL_ACT_COUNT: break;
    }
    return (double)NAN;
}

/* One element each of what a node reads: where it lies, per axis of the result. */
static void moved(onnx_tensor *y, const folding *f, const sal_node *n)
{
    const sal_shape *in = &f->graph->nodes[n->inputs[0]].shape;
    const float *x = values_of(f, n->inputs[0]);
    int64_t own[SAL_MAX_RANK], stride[SAL_MAX_RANK], offset = 0;
    onnx_strides(own, in);
    for (int a = 0; a < n->shape.rank; a++)
        stride[a] = n->op == SAL_OP_TRANSPOSE ? own[n->permutation[a]] : in->dim[a] == 1 ? 0 : own[a];
    if (n->op == SAL_OP_SLICE) {
        offset = n->start * own[n->axis];
        stride[n->axis] = n->step * own[n->axis];
    }
    for (size_t k = 0; k < y->count; k++)
        y->f[k] = x[offset + onnx_strided(&n->shape, stride, k)];
}

static void two(onnx_tensor *y, const folding *f, const sal_node *n)
{
    int64_t stride[2][SAL_MAX_RANK];
    const float *x[2];
    for (int i = 0; i < 2; i++) {
        onnx_broadcast_strides(stride[i], &f->graph->nodes[n->inputs[i]].shape, &n->shape);
        x[i] = values_of(f, n->inputs[i]);
    }
    for (size_t k = 0; k < y->count; k++) {
        double a = (double)x[0][onnx_strided(&n->shape, stride[0], k)];
        double b = (double)x[1][onnx_strided(&n->shape, stride[1], k)];
        y->f[k] = (float)(n->op == SAL_OP_ADD ? a + b : a * b);
    }
}

/* Extents before, of and after axes [axis, axis + count). */
static void around(int64_t *outer, int64_t *extent, int64_t *inner, const sal_shape *shape, int axis, int count)
{
    *outer = *extent = *inner = 1;
    for (int a = 0; a < shape->rank; a++)
        *(a < axis ? outer : a < axis + count ? extent : inner) *= shape->dim[a];
}

static void reduce(onnx_tensor *y, const folding *f, const sal_node *n)
{
    const sal_shape *in = &f->graph->nodes[n->inputs[0]].shape;
    const float *x = values_of(f, n->inputs[0]);
    const int mean = n->op == SAL_OP_REDUCE_MEAN || n->reduction == SAL_REDUCTION_MEAN;
    const int largest = n->op == SAL_OP_REDUCE && n->reduction == SAL_REDUCTION_MAX;
    int64_t outer, extent, inner;
    around(&outer, &extent, &inner, in, n->axis, n->op == SAL_OP_REDUCE_MEAN ? 2 : n->axis_count);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            double sum = 0.0, most = -(double)INFINITY;
            for (int64_t e = 0; e < extent; e++) {
                double v = (double)x[(o * extent + e) * inner + i];
                sum += v;
                most = fmax(most, v);
            }
            y->f[o * inner + i] = (float)(largest ? most : mean ? sum / (double)extent : sum);
        }
}

/* Softmax, layer norm and affine: along one axis. */
static void along(onnx_tensor *y, const folding *f, const sal_node *n)
{
    const float *x = values_of(f, n->inputs[0]);
    int64_t outer, extent, inner;
    around(&outer, &extent, &inner, &n->shape, n->axis, 1);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            double sum = 0.0, squares = 0.0, most = -(double)INFINITY, exponentials = 0.0;
            const int64_t first = o * extent * inner + i;
            for (int64_t e = 0; e < extent; e++) {
                sum += (double)x[first + e * inner];
                most = fmax(most, (double)x[first + e * inner]);
            }
            const double mean = sum / (double)extent;
            for (int64_t e = 0; e < extent; e++) {
                double v = (double)x[first + e * inner];
                squares += (v - mean) * (v - mean);
                exponentials += exp(v - most);
            }
            const double inverse = 1.0 / sqrt(squares / (double)extent + (double)n->epsilon);
            for (int64_t e = 0; e < extent; e++) {
                double v = (double)x[first + e * inner];
                double weight = n->weight ? (double)n->weight[n->weight_count == 1 ? 0 : e] : 1.0;
                double bias = n->bias ? (double)n->bias[n->bias_count == 1 ? 0 : e] : 0.0;
                if (n->op == SAL_OP_SOFTMAX)
                    v = exp(v - most) / exponentials;
                else
                    v = weight * (n->op == SAL_OP_LAYER_NORM ? (v - mean) * inverse : v) + bias;
                y->f[first + e * inner] = (float)v;
            }
        }
}

static void concat(onnx_tensor *y, const folding *f, const sal_node *n)
{
    int64_t outer, extent, inner, at = 0;
    around(&outer, &extent, &inner, &n->shape, n->axis, 1);
    for (int k = 0; k < n->input_count; k++) {
        const int64_t own = f->graph->nodes[n->inputs[k]].shape.dim[n->axis] * inner;
        for (int64_t o = 0; o < outer; o++)
            memcpy(y->f + o * extent * inner + at, values_of(f, n->inputs[k]) + o * own, (size_t)own * sizeof *y->f);
        at += own;
    }
}

static void gather(onnx_tensor *y, const folding *f, const sal_node *n)
{
    const sal_shape *in = &f->graph->nodes[n->inputs[0]].shape;
    const float *x = values_of(f, n->inputs[0]);
    int64_t outer, from, inner;
    around(&outer, &from, &inner, in, n->axis, 1);
    const int64_t to = n->shape.dim[n->axis], taps = n->taps;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t e = 0; e < to; e++)
            for (int64_t i = 0; i < inner; i++) {
                double sum = 0.0;
                for (int64_t t = e * taps; t < (e + 1) * taps; t++) {
                    double weight = n->weight ? (double)n->weight[t] : 1.0;
                    if (weight != 0.0)
                        sum += weight * (double)x[(o * from + n->index[t]) * inner + i];
                }
                y->f[(o * to + e) * inner + i] = (float)sum;
            }
}

/* Matmul, and dense as one with weights for b. */
static void products(onnx_tensor *y, const folding *f, const sal_node *n)
{
    const int last = n->shape.rank - 1, dense = n->op == SAL_OP_DENSE;
    const sal_shape *in = &f->graph->nodes[n->inputs[0]].shape;
    const float *a = values_of(f, n->inputs[0]), *b = dense ? n->weight : values_of(f, n->inputs[1]);
    const int turned_a = !dense && n->transpose[0], turned_b = dense || n->transpose[1];
    const int64_t columns = n->shape.dim[last], depth = in->dim[turned_a ? last - 1 : last];
    const int64_t rows = dense ? (int64_t)y->count / columns : n->shape.dim[last - 1];
    const int64_t batch = (int64_t)y->count / (rows * columns);
    for (int64_t o = 0; o < batch; o++)
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = 0; c < columns; c++) {
                double sum = 0.0;
                const float *x = a + o * rows * depth, *w = b + o * depth * columns;
                for (int64_t k = 0; k < depth; k++)
                    sum += (double)x[turned_a ? k * rows + r : r * depth + k] *
                           (double)w[turned_b ? c * depth + k : k * columns + c];
                if (dense)
                    sum = activate(&n->activation, sum + (n->bias ? (double)n->bias[c] : 0.0));
                else
                    sum *= (double)n->scale;
                y->f[(o * rows + r) * columns + c] = (float)sum;
            }
}

/* One sum of a convolution, of the element at[]: image, channel, row and column of the result. */
static double conv_sum(const float *x, const sal_shape *in, const sal_node *n, const int64_t *at)
{
    const sal_window *w = &n->window;
    const int64_t channels = in->dim[1] / w->groups, taps = w->kernel[0] * w->kernel[1];
    const int64_t group = at[1] / (n->shape.dim[1] / w->groups);
    double sum = 0.0;
    for (int64_t k = 0; k < channels * taps; k++) {
        const int64_t tap = k % taps, c = group * channels + k / taps;
        const int64_t row = at[2] * w->stride[0] - w->pad_begin[0] + tap / w->kernel[1] * w->dilation[0];
        const int64_t column = at[3] * w->stride[1] - w->pad_begin[1] + tap % w->kernel[1] * w->dilation[1];
        if (row >= 0 && row < in->dim[2] && column >= 0 && column < in->dim[3])
            sum += (double)n->weight[at[1] * channels * taps + k] *
                   (double)x[((at[0] * in->dim[1] + c) * in->dim[2] + row) * in->dim[3] + column];
    }
    return sum;
}

static void conv(onnx_tensor *y, const folding *f, const sal_node *n)
{
    const int64_t *out = n->shape.dim;
    for (size_t k = 0; k < y->count; k++) {
        const int64_t e = (int64_t)k, plane = out[2] * out[3];
        const int64_t at[] = {e / plane / out[1], e / plane % out[1], e / out[3] % out[2], e % out[3]};
        double sum = conv_sum(values_of(f, n->inputs[0]), &f->graph->nodes[n->inputs[0]].shape, n, at);
        y->f[k] = (float)activate(&n->activation, sum + (n->bias ? (double)n->bias[at[1]] : 0.0));
    }
}

static void pad(onnx_tensor *y, const folding *f, const sal_node *n)
{
    const sal_shape *in = &f->graph->nodes[n->inputs[0]].shape;
    const float *x = values_of(f, n->inputs[0]);
    int64_t own[SAL_MAX_RANK], axis[SAL_MAX_RANK];
    onnx_strides(own, in);
    for (size_t k = 0; k < y->count; k++) {
        int64_t at = 0;
        int inside = 1;
        size_t rest = k;
        for (int a = n->shape.rank - 1; a >= 0; a--) {
            axis[a] = (int64_t)(rest % (size_t)n->shape.dim[a]);
            rest /= (size_t)n->shape.dim[a];
            if (a == n->axis || a == n->axis + 1)
                axis[a] -= n->window.pad_begin[a - n->axis];
            inside &= axis[a] >= 0 && axis[a] < in->dim[a];
            at += axis[a] * own[a];
        }
        y->f[k] = inside ? x[at] : n->value;
    }
}

/* A small file can ask for products without end. */
static sal_status check_products(const folding *f, const sal_node *n)
{
    static const double most = 1e10; /* some ten seconds */
    double each = 0.0;
    if (n->op == SAL_OP_CONV)
        each = (double)n->weight_count / (double)n->shape.dim[1];
    if (n->op == SAL_OP_DENSE || n->op == SAL_OP_MATMUL) {
        const sal_shape *in = &f->graph->nodes[n->inputs[0]].shape;
        each = (double)in->dim[in->rank - (n->op == SAL_OP_MATMUL && n->transpose[0] ? 2 : 1)];
    }
    const double all = each * (double)sal_shape_elements(&n->shape);
    if (all > most)
        return onnx_fail(f->op, SAL_ERROR_LIMIT, "%.3g products of constants; fold the constants on export", all);
    return SAL_OK;
}

static sal_status compute(folding *f, int node)
{
    const sal_node *n = &f->graph->nodes[node];
    onnx_tensor *y = &f->value[node];
    if (n->op == SAL_OP_CONSTANT)
        return SAL_OK;
    sal_status st = check_products(f, n);
    if (st == SAL_OK)
        st = onnx_tensor_new(y, f->im, 0, &n->shape, f->op->name);
    if (st != SAL_OK)
        return st;
    switch (n->op) {
    case SAL_OP_RESHAPE: memcpy(y->f, values_of(f, n->inputs[0]), y->count * sizeof *y->f); break;
    case SAL_OP_TRANSPOSE:
    case SAL_OP_SLICE:
    case SAL_OP_EXPAND: moved(y, f, n); break;
    case SAL_OP_ADD:
    case SAL_OP_MUL: two(y, f, n); break;
    case SAL_OP_ACTIVATION:
        for (size_t k = 0; k < y->count; k++)
            y->f[k] = (float)activate(&n->activation, (double)values_of(f, n->inputs[0])[k]);
        break;
    case SAL_OP_REDUCE:
    case SAL_OP_REDUCE_MEAN: reduce(y, f, n); break;
    case SAL_OP_AFFINE:
    case SAL_OP_SOFTMAX:
    case SAL_OP_LAYER_NORM: along(y, f, n); break;
    case SAL_OP_CONCAT: concat(y, f, n); break;
    case SAL_OP_GATHER: gather(y, f, n); break;
    case SAL_OP_DENSE:
    case SAL_OP_MATMUL: products(y, f, n); break;
    case SAL_OP_CONV: conv(y, f, n); break;
    case SAL_OP_PAD: pad(y, f, n); break;
    default: return onnx_fail(f->op, SAL_ERROR_UNSUPPORTED, "of constants alone; fold the constants on export");
    }
    return SAL_OK;
}

/* The outputs as constants. */
static sal_status take_outputs(folding *f)
{
    sal_status st = SAL_OK;
    for (int i = 0; i < f->op->output_count; i++) {
        if (f->op->outputs[i] == ONNX_ABSENT)
            continue;
        onnx_value *v = &f->im->values[f->op->outputs[i]];
        if (v->kind != ONNX_VALUE_NODE)
            continue;
        onnx_tensor t;
        const sal_shape *shape = &f->graph->nodes[v->node].shape;
        sal_shape own = {.rank = shape->rank - v->lead};
        for (int a = 0; a < own.rank; a++)
            own.dim[a] = shape->dim[a + v->lead];
        TRY(onnx_tensor_new(&t, f->im, 0, &own, f->op->name));
        memcpy(t.f, values_of(f, v->node), t.count * sizeof *t.f);
        v->lead = 0;
        onnx_output_constant(f->im, f->op, i, &t);
    }
done:
    return st;
}

sal_status onnx_fold_by_nodes(onnx_importer *im, const onnx_op *op, onnx_handler *handler)
{
    sal_status st = SAL_OK;
    sal_graph scratch, *graph = im->graph;
    folding f = {im, op, &scratch, NULL};
    onnx_array x;
    const int first = op->inputs[0];
    int changed = 0;
    sal_graph_init(&scratch);
    im->graph = &scratch;
    im->folding = 1;
    TRY(onnx_array_get(&x, im, op, 0));
    im->values[first].kind = ONNX_VALUE_NODE;
    im->values[first].node = x.node;
    im->values[first].lead = x.lead;
    changed = 1;
    TRY(handler(im, op));
    for (int i = 0; i < op->output_count; i++)
        if (op->outputs[i] != ONNX_ABSENT && im->values[op->outputs[i]].kind == ONNX_VALUE_PIECE)
            TRY(onnx_piece_settle(im, op, &im->values[op->outputs[i]]));
    TRY(sal_alloc(&f.value, scratch.count, sizeof *f.value, op->name));
    for (int n = 0; n < (int)scratch.count; n++)
        TRY(compute(&f, n));
    TRY(take_outputs(&f));
done:
    if (changed) {
        im->values[first].kind = ONNX_VALUE_CONSTANT;
        im->values[first].lead = 0;
    }
    for (size_t n = 0; f.value && n < scratch.count; n++)
        onnx_tensor_clear(&f.value[n]);
    sal_free(f.value);
    sal_graph_clear(&scratch);
    im->graph = graph;
    im->folding = 0;
    return st;
}
