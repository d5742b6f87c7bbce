#include "unit/naive_graph.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

static double hard(double x, double alpha, double beta)
{
    double y = alpha * x + beta;
    return y < 0.0 ? 0.0 : y > 1.0 ? 1.0 : y;
}

static int inside(double x, double low, double high)
{
    return x > low && x < high;
}

double sal_naive_activation(double *derivative, const sal_activation *activation, double x)
{
    const double a = (double)activation->alpha, b = (double)activation->beta;
    const double root = sqrt(2.0 / acos(-1.0)); /* sqrt(2 / pi) */
    double sigmoid = 1.0 / (1.0 + exp(-x)), y, d, u;
    switch (activation->kind) {
    case SAL_ACT_RELU: y = x > 0 ? x : 0, d = x > 0; break;
    case SAL_ACT_CLIP: y = x < a ? a : x > b ? b : x, d = inside(x, a, b); break;
    case SAL_ACT_LEAKY_RELU: y = x > 0 ? x : a * x, d = x > 0 ? 1 : a; break;
    case SAL_ACT_ELU: y = x > 0 ? x : a * expm1(x), d = x > 0 ? 1 : a * exp(x); break;
    case SAL_ACT_SIGMOID: y = sigmoid, d = y * (1 - y); break;
    case SAL_ACT_TANH: y = tanh(x), d = 1 - y * y; break;
    case SAL_ACT_SOFTPLUS: y = x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)), d = sigmoid; break;
    case SAL_ACT_SILU: y = x * sigmoid, d = sigmoid * (1 + x * (1 - sigmoid)); break;
    case SAL_ACT_GELU:
        u = 0.5 * (1 + erf(x / sqrt(2.0)));
        y = x * u, d = u + x * 0.5 * root * exp(-x * x / 2);
        break;
    case SAL_ACT_GELU_TANH:
        u = tanh(root * (x + 0.044715 * x * x * x));
        y = 0.5 * x * (1 + u), d = 0.5 * (1 + u) + 0.5 * x * (1 - u * u) * root * (1 + 3 * 0.044715 * x * x);
        break;
    case SAL_ACT_HARD_SIGMOID: y = hard(x, a, b), d = inside(a * x + b, 0, 1) ? a : 0; break;
    case SAL_ACT_HARD_SWISH:
        y = x * hard(x, 1.0 / 6, 0.5), d = hard(x, 1.0 / 6, 0.5) + (inside(x, -3, 3) ? x / 6 : 0);
        break;
    case SAL_ACT_EXP: y = exp(x), d = y; break;
    case SAL_ACT_SOFTSIGN: y = x / (1 + fabs(x)), d = 1 / ((1 + fabs(x)) * (1 + fabs(x))); break;
    case SAL_ACT_SQUAREPLUS: y = 0.5 * (x + sqrt(x * x + a)), d = 0.5 * (1 + x / sqrt(x * x + a)); break;
    case SAL_ACT_THRESHOLD: y = x > a ? x : 0, d = x > a; break;
    case SAL_ACT_ABS: y = fabs(x), d = x > 0 ? 1 : x < 0 ? -1 : 0; break;
    case SAL_ACT_SIGN: y = x > 0 ? 1 : x < 0 ? -1 : 0, d = 0; break;
    case SAL_ACT_SQRT: y = sqrt(x), d = 0.5 / y; break;
    case SAL_ACT_RECIPROCAL: y = 1 / x, d = -1 / (x * x); break;
    case SAL_ACT_POWER: y = pow(x, a), d = a * pow(x, a - 1); break;
    case SAL_ACT_LOG: y = log(x), d = 1 / x; break;
    case SAL_ACT_SIN: y = sin(x), d = cos(x); break;
    case SAL_ACT_COS: y = cos(x), d = -sin(x); break;
    default: y = x, d = 1; break;
    }
    if (derivative)
        *derivative = d;
    return y;
}

/* Where element `at` of `node` comes from: the index in input k of ops that move, broadcast or join; -1 for none. */
static int64_t source(const sal_graph *graph, const sal_node *n, int k, int64_t at)
{
    const sal_shape *from = &graph->nodes[n->inputs[k]].shape;
    int64_t index[SAL_MAX_RANK] = {0}, coordinate[SAL_MAX_RANK], offset = 0, result = 0;
    if (n->op == SAL_OP_RESHAPE)
        return at;
    for (int j = n->shape.rank - 1; j >= 0; j--) {
        index[j] = at % n->shape.dim[j];
        at /= n->shape.dim[j];
    }
    memcpy(coordinate, index, sizeof index);
    for (int i = 0; i < k && n->op == SAL_OP_CONCAT; i++)
        offset += graph->nodes[n->inputs[i]].shape.dim[n->axis];
    for (int j = 0; j < n->shape.rank; j++) {
        if (n->op == SAL_OP_TRANSPOSE)
            coordinate[n->permutation[j]] = index[j];
        else if (n->op == SAL_OP_CONCAT && j == n->axis)
            coordinate[j] = index[j] - offset;
        else if (n->op == SAL_OP_SLICE && j == n->axis)
            coordinate[j] = n->start + index[j] * n->step;
        else if (n->op == SAL_OP_PAD && (j == n->axis || j == n->axis + 1))
            coordinate[j] = index[j] - n->window.pad_begin[j - n->axis];
        else if (n->op == SAL_OP_SHUFFLE && j == 1)
            coordinate[j] = index[j] % n->groups * (from->dim[1] / n->groups) + index[j] / n->groups;
        else if ((n->op == SAL_OP_ADD || n->op == SAL_OP_MUL || n->op == SAL_OP_EXPAND) && from->dim[j] == 1)
            coordinate[j] = 0;
    }
    for (int j = 0; j < from->rank; j++) {
        if (coordinate[j] < 0 || coordinate[j] >= from->dim[j])
            return -1;
        result = result * from->dim[j] + coordinate[j];
    }
    return result;
}

/* Add, mul, concat, slice, pad, shuffle, reshape, transpose and expand. */
static void move(const sal_naive *run, int node, int backward)
{
    const sal_graph *graph = run->graph;
    const sal_node *n = &graph->nodes[node];
    for (int64_t at = 0; at < sal_shape_elements(&n->shape); at++) {
        double y = n->op == SAL_OP_MUL ? 1.0 : 0.0;
        int covered = 0;
        for (int k = 0; k < n->input_count; k++) {
            int64_t from = source(graph, n, k, at);
            if (from < 0)
                continue;
            covered = 1;
            double factor = 1.0;
            if (n->op == SAL_OP_MUL)
                factor = run->value[n->inputs[1 - k]][source(graph, n, 1 - k, at)];
            if (backward)
                run->gradient[n->inputs[k]][from] += factor * run->gradient[node][at];
            else if (n->op == SAL_OP_MUL)
                y *= run->value[n->inputs[k]][from];
            else
                y += run->value[n->inputs[k]][from];
        }
        if (!backward)
            run->value[node][at] = covered ? y : (double)n->value;
    }
}

/* Softmax or layer norm of one line of `extent` elements, `stride` apart. */
static void line_forward(const sal_node *n, double *y, const double *x, int64_t extent, int64_t stride)
{
    double mean = 0, variance = 0, largest = x[0], sum = 0;
    for (int64_t i = 0; i < extent; i++) {
        mean += x[i * stride] / (double)extent;
        largest = x[i * stride] > largest ? x[i * stride] : largest;
    }
    for (int64_t i = 0; i < extent; i++) {
        variance += (x[i * stride] - mean) * (x[i * stride] - mean) / (double)extent;
        sum += exp(x[i * stride] - largest);
    }
    for (int64_t i = 0; i < extent; i++)
        if (n->op == SAL_OP_SOFTMAX)
            y[i * stride] = exp(x[i * stride] - largest) / sum;
        else
            y[i * stride] = (x[i * stride] - mean) / sqrt(variance + (double)n->epsilon) * (double)n->weight[i] +
                            (n->bias ? (double)n->bias[i] : 0.0);
}

static void line_backward(const sal_node *n, double *dx, const double *dy, const double *y, const double *x,
                          int64_t extent, int64_t stride)
{
    const double count = (double)extent;
    double mean = 0, variance = 0, dot = 0, sum = 0, inner = 0;
    for (int64_t i = 0; i < extent; i++) {
        mean += x[i * stride] / count;
        dot += dy[i * stride] * y[i * stride];
    }
    for (int64_t i = 0; i < extent; i++)
        variance += (x[i * stride] - mean) * (x[i * stride] - mean) / count;
    double scale = 1.0 / sqrt(variance + (double)n->epsilon);
    for (int64_t i = 0; i < extent && n->op == SAL_OP_LAYER_NORM; i++) {
        double g = dy[i * stride] * (double)n->weight[i];
        sum += g / count;
        inner += g * (x[i * stride] - mean) * scale / count;
    }
    for (int64_t i = 0; i < extent; i++)
        if (n->op == SAL_OP_SOFTMAX)
            dx[i * stride] += y[i * stride] * (dy[i * stride] - dot);
        else
            dx[i * stride] +=
                scale * (dy[i * stride] * (double)n->weight[i] - sum - (x[i * stride] - mean) * scale * inner);
}

/* Ops along one axis: affine, softmax, layer norm. */
static void along_axis(const sal_naive *run, int node, int backward)
{
    const sal_node *n = &run->graph->nodes[node];
    int64_t extent = n->shape.dim[n->axis], stride = 1;
    for (int j = n->axis + 1; j < n->shape.rank; j++)
        stride *= n->shape.dim[j];
    const double *x = run->value[n->inputs[0]];
    double *y = run->value[node];
    double *dx = backward ? run->gradient[n->inputs[0]] : NULL, *dy = backward ? run->gradient[node] : NULL;
    for (int64_t at = 0; at < sal_shape_elements(&n->shape); at++) {
        int64_t i = at / stride % extent;
        if (n->op == SAL_OP_AFFINE) {
            double weight = (double)n->weight[n->weight_count == 1 ? 0 : i];
            double bias = n->bias ? (double)n->bias[n->bias_count == 1 ? 0 : i] : 0.0;
            if (backward)
                dx[at] += weight * dy[at];
            else
                y[at] = weight * x[at] + bias;
        } else if (i == 0 && backward)
            line_backward(n, dx + at, dy + at, y + at, x + at, extent, stride);
        else if (i == 0)
            line_forward(n, y + at, x + at, extent, stride);
    }
}

static void reduce_mean(const sal_naive *run, int node, int backward)
{
    const sal_node *n = &run->graph->nodes[node];
    const int64_t *in = run->graph->nodes[n->inputs[0]].shape.dim;
    int64_t area = in[n->axis] * in[n->axis + 1], inner = n->axis == 1 ? in[3] : 1;
    for (int64_t at = 0; at < sal_shape_elements(&n->shape); at++)
        for (int64_t i = 0; i < area; i++) {
            int64_t from = (at / inner * area + i) * inner + at % inner;
            if (backward)
                run->gradient[n->inputs[0]][from] += run->gradient[node][at] / (double)area;
            else
                run->value[node][at] += run->value[n->inputs[0]][from] / (double)area;
        }
}

static void constant(const sal_naive *run, int node)
{
    const sal_node *n = &run->graph->nodes[node];
    for (size_t i = 0; i < n->weight_count; i++)
        run->value[node][i] = (double)n->weight[i];
}

/* Element k of the `n` that become element `at` of a reduction lies at first + k * stride. */
static void reduce_one(const sal_naive *run, int node, int backward, int64_t at, int64_t first, int64_t stride,
                       int64_t n)
{
    const sal_node *reduce = &run->graph->nodes[node];
    const double *x = run->value[reduce->inputs[0]] + first;
    double *dx = backward ? run->gradient[reduce->inputs[0]] + first : NULL, sum = 0.0, largest = x[0], equals = 0.0;
    for (int64_t k = 0; k < n; k++) {
        sum += x[k * stride];
        largest = x[k * stride] > largest ? x[k * stride] : largest;
    }
    for (int64_t k = 0; k < n; k++)
        equals += x[k * stride] == largest;
    const int max = reduce->reduction == SAL_REDUCTION_MAX, mean = reduce->reduction == SAL_REDUCTION_MEAN;
    if (!backward)
        run->value[node][at] = max ? largest : mean ? sum / (double)n : sum;
    for (int64_t k = 0; k < n && backward; k++) {
        const double share = max ? (x[k * stride] == largest) / equals : mean ? 1.0 / (double)n : 1.0;
        dx[k * stride] += share * run->gradient[node][at];
    }
}

static void reduce(const sal_naive *run, int node, int backward)
{
    const sal_node *n = &run->graph->nodes[node];
    const sal_shape *x = &run->graph->nodes[n->inputs[0]].shape;
    int64_t count = 1, inner = 1;
    for (int j = n->axis; j < x->rank; j++)
        *(j < n->axis + n->axis_count ? &count : &inner) *= x->dim[j];
    for (int64_t at = 0; at < sal_shape_elements(&n->shape); at++)
        reduce_one(run, node, backward, at, at / inner * count * inner + at % inner, inner, count);
}

/* Where element (i, k) of matrix m of an operand lies; rows and columns are those of the operand as it is. */
static int64_t matrix_element(const sal_shape *s, int64_t m, int transposed, int64_t i, int64_t k)
{
    const int64_t rows = s->dim[s->rank - 2], columns = s->dim[s->rank - 1];
    return m * rows * columns + (transposed ? k * columns + i : i * columns + k);
}

static void matmul(const sal_naive *run, int node, int backward)
{
    const sal_node *n = &run->graph->nodes[node];
    const int a = n->inputs[0], b = n->inputs[1];
    const sal_shape *as = &run->graph->nodes[a].shape, *bs = &run->graph->nodes[b].shape;
    const int64_t rows = n->shape.dim[n->shape.rank - 2], columns = n->shape.dim[n->shape.rank - 1];
    const int64_t depth = as->dim[as->rank - (n->transpose[0] ? 2 : 1)];
    for (int64_t at = 0; at < sal_shape_elements(&n->shape); at++) {
        const int64_t m = at / (rows * columns), i = at / columns % rows, j = at % columns;
        for (int64_t k = 0; k < depth; k++) {
            const int64_t x = matrix_element(as, m, n->transpose[0], i, k);
            const int64_t y = matrix_element(bs, m, n->transpose[1], k, j);
            const double scale = (double)n->scale;
            if (backward) {
                run->gradient[a][x] += scale * run->value[b][y] * run->gradient[node][at];
                run->gradient[b][y] += scale * run->value[a][x] * run->gradient[node][at];
            } else {
                run->value[node][at] += scale * run->value[a][x] * run->value[b][y];
            }
        }
    }
}

static void gather(const sal_naive *run, int node, int backward)
{
    const sal_node *n = &run->graph->nodes[node];
    const int64_t extent = run->graph->nodes[n->inputs[0]].shape.dim[n->axis], count = n->shape.dim[n->axis];
    int64_t inner = 1;
    for (int j = n->axis + 1; j < n->shape.rank; j++)
        inner *= n->shape.dim[j];
    for (int64_t at = 0; at < sal_shape_elements(&n->shape); at++) {
        const int64_t outer = at / inner / count, o = at / inner % count;
        for (int64_t k = o * n->taps; k < (o + 1) * n->taps; k++) {
            const int64_t from = (outer * extent + n->index[k]) * inner + at % inner;
            const double weight = n->weight ? (double)n->weight[k] : 1.0;
            if (weight != 0.0 && backward)
                run->gradient[n->inputs[0]][from] += weight * run->gradient[node][at];
            else if (weight != 0.0)
                run->value[node][at] += weight * run->value[n->inputs[0]][from];
        }
    }
}

/* Conv and dense: matrix, residual, activation. */
static void layer_forward(const sal_naive *run, int node)
{
    const sal_node *n = &run->graph->nodes[node];
    double *y = run->before[node];
    if (n->op == SAL_OP_CONV)
        sal_naive_conv(run, node, y, NULL, 0);
    else
        sal_naive_dense(run, node, y, NULL, 0);
    for (int64_t i = 0; i < sal_shape_elements(&n->shape); i++) {
        if (n->input_count == 2)
            y[i] += run->value[n->inputs[1]][i];
        run->value[node][i] = sal_naive_activation(NULL, &n->activation, y[i]);
    }
}

static void layer_backward(const sal_naive *run, int node)
{
    const sal_node *n = &run->graph->nodes[node];
    double *dy = run->gradient[node];
    for (int64_t i = 0; i < sal_shape_elements(&n->shape); i++) {
        dy[i] = sal_naive_back(run, &n->activation, run->before[node][i], dy[i]);
        if (n->input_count == 2)
            run->gradient[n->inputs[1]][i] += dy[i];
    }
    if (n->op == SAL_OP_CONV)
        sal_naive_conv(run, node, NULL, dy, 1);
    else
        sal_naive_dense(run, node, NULL, dy, 1);
}

static void activate(const sal_naive *run, int node, int backward)
{
    const sal_node *n = &run->graph->nodes[node];
    for (int64_t i = 0; i < sal_shape_elements(&n->shape); i++) {
        double x = run->value[n->inputs[0]][i];
        if (backward)
            run->gradient[n->inputs[0]][i] += sal_naive_back(run, &n->activation, x, run->gradient[node][i]);
        else
            run->value[node][i] = sal_naive_activation(NULL, &n->activation, x);
    }
}

static void step(const sal_naive *run, int node, int backward)
{
    switch (run->graph->nodes[node].op) {
    case SAL_OP_INPUT: break;
    case SAL_OP_CONV:
    case SAL_OP_DENSE:
        if (backward)
            layer_backward(run, node);
        else
            layer_forward(run, node);
        break;
    case SAL_OP_ACTIVATION: activate(run, node, backward); break;
    case SAL_OP_AFFINE:
    case SAL_OP_SOFTMAX:
    case SAL_OP_LAYER_NORM: along_axis(run, node, backward); break;
    case SAL_OP_MAX_POOL:
    case SAL_OP_AVG_POOL: sal_naive_pool(run, node, backward); break;
    case SAL_OP_REDUCE_MEAN: reduce_mean(run, node, backward); break;
    case SAL_OP_CONSTANT:
        if (!backward)
            constant(run, node);
        break;
    case SAL_OP_REDUCE: reduce(run, node, backward); break;
    case SAL_OP_MATMUL: matmul(run, node, backward); break;
    case SAL_OP_GATHER: gather(run, node, backward); break;
    default: move(run, node, backward); break;
    }
}

static sal_status reserve(double ***out, const sal_graph *graph)
{
    sal_status st = SAL_OK;
    TRY(sal_alloc(out, graph->count, sizeof **out, "a reference run"));
    for (size_t i = 0; i < graph->count; i++)
        TRY(sal_alloc(&(*out)[i], (size_t)sal_shape_elements(&graph->nodes[i].shape), sizeof ***out,
                      "a reference run"));
done:
    return st;
}

static void release(double **values, size_t count)
{
    for (size_t i = 0; values && i < count; i++)
        sal_free(values[i]);
    sal_free(values);
}

sal_status sal_naive_run(double *scores, double *gradient, const sal_graph *graph, const double *input, int64_t target)
{
    return sal_naive_run_rule(scores, gradient, NULL, graph, input, target, SAL_RULE_GRADIENT);
}

/* The forward pass, and backward to the gradient of node `end`'s output; *run is released by the caller, whatever is
 * returned. */
static sal_status run_all(sal_naive *run, const double *input, int64_t target, int end)
{
    sal_status st = SAL_OK;
    const sal_graph *graph = run->graph;
    const int64_t pixels = sal_shape_elements(&graph->nodes[graph->input].shape);
    const int64_t outputs = sal_shape_elements(&graph->nodes[graph->output].shape);
    TRY(reserve(&run->value, graph));
    TRY(reserve(&run->before, graph));
    TRY(reserve(&run->gradient, graph));
    memcpy(run->value[graph->input], input, (size_t)pixels * sizeof *input);
    for (size_t i = 0; i < graph->count; i++)
        step(run, (int)i, 0);
    for (int64_t i = 0; i < outputs; i++)
        run->gradient[graph->output][i] = target < 0 ? 1.0 / (double)outputs : i == target;
    for (int i = (int)graph->count - 1; i > end; i--)
        step(run, i, 1);
done:
    return st;
}

static void release_all(sal_naive *run)
{
    release(run->value, run->graph->count);
    release(run->before, run->graph->count);
    release(run->gradient, run->graph->count);
}

static void take(double *out, const sal_naive *run, double **of, int node)
{
    if (out)
        memcpy(out, of[node], (size_t)sal_shape_elements(&run->graph->nodes[node].shape) * sizeof *out);
}

sal_status sal_naive_run_rule(double *scores, double *gradient, double *margin, const sal_graph *graph,
                              const double *input, int64_t target, sal_rule rule)
{
    sal_status st = SAL_OK;
    sal_naive run = {.graph = graph, .rule = rule};
    TRY(run_all(&run, input, target, gradient ? graph->input : (int)graph->count));
    if (margin)
        *margin = sal_naive_margin(&run);
    take(scores, &run, run.value, graph->output);
    take(gradient, &run, run.gradient, graph->input);
done:
    release_all(&run);
    return st;
}

sal_status sal_naive_layer(double *value, double *gradient, const sal_graph *graph, const double *input, int64_t target,
                           int node)
{
    sal_status st = SAL_OK;
    sal_naive run = {.graph = graph, .rule = SAL_RULE_GRADIENT};
    TRY(run_all(&run, input, target, node));
    take(value, &run, run.value, node);
    take(gradient, &run, run.gradient, node);
done:
    release_all(&run);
    return st;
}
