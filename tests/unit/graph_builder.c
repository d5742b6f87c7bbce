#include "unit/graph_builder.h"

#include "base/memory.h"
#include "unit/naive_graph.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t seed = 1;

double build_random(void)
{
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    return (double)(seed >> 11) / 4503599627370496.0 - 1.0;
}

static float *random_floats(size_t count, double centre, double spread)
{
    float *values = NULL;
    cr_assert_eq(sal_alloc(&values, count, sizeof *values, "test weights"), SAL_OK);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(centre + spread * build_random());
    return values;
}

int build_raw(sal_graph *graph, sal_op op, int a, int b)
{
    const int inputs[2] = {a, b};
    int node = -1;
    cr_assert_eq(sal_graph_add(&node, graph, op, NULL, inputs, (a >= 0) + (b >= 0)), SAL_OK, "%s", sal_last_error());
    return node;
}

int build_done(sal_graph *graph, int node)
{
    cr_assert_eq(sal_graph_infer(graph, node), SAL_OK, "%s", sal_last_error());
    graph->output = node;
    return node;
}

int build_input(sal_graph *graph, int64_t a, int64_t b, int64_t c)
{
    sal_graph_init(graph);
    return build_later_input(graph, a, b, c);
}

int build_later_input(sal_graph *graph, int64_t a, int64_t b, int64_t c)
{
    int node = build_raw(graph, SAL_OP_INPUT, -1, -1);
    graph->nodes[node].shape = (sal_shape){.rank = 4, .dim = {1, a, b, c}};
    graph->input = node;
    return build_done(graph, node);
}

static void set_weights(sal_node *node, size_t weights, size_t biases, double centre, double spread)
{
    node->weight = random_floats(weights, centre, spread);
    node->weight_count = weights;
    node->bias = random_floats(biases, 0.0, 0.5);
    node->bias_count = biases;
}

int build_conv(sal_graph *graph, int x, int64_t outputs, int64_t kernel, int64_t stride, int64_t pad, int64_t groups)
{
    int node = build_raw(graph, SAL_OP_CONV, x, -1);
    int64_t taps = graph->nodes[x].shape.dim[1] / groups * kernel * kernel;
    graph->nodes[node].window = (sal_window){.kernel = {kernel, kernel},
                                             .stride = {stride, stride},
                                             .pad_begin = {pad, pad},
                                             .pad_end = {pad, pad},
                                             .groups = groups};
    set_weights(&graph->nodes[node], (size_t)(outputs * taps), (size_t)outputs, 0.0, sqrt(3.0 / (double)taps));
    return build_done(graph, node);
}

int build_dense(sal_graph *graph, int x, int64_t outputs)
{
    int node = build_raw(graph, SAL_OP_DENSE, x, -1);
    const sal_shape *shape = &graph->nodes[x].shape;
    int64_t features = shape->dim[shape->rank - 1];
    set_weights(&graph->nodes[node], (size_t)(outputs * features), (size_t)outputs, 0.0, sqrt(3.0 / (double)features));
    return build_done(graph, node);
}

static int build_channels(sal_graph *graph, sal_op op, int x, int axis)
{
    int node = build_raw(graph, op, x, -1);
    size_t channels = (size_t)graph->nodes[x].shape.dim[axis];
    set_weights(&graph->nodes[node], channels, channels, 1.0, 0.5);
    graph->nodes[node].axis = axis;
    graph->nodes[node].epsilon = 1e-5F;
    return build_done(graph, node);
}

int build_affine(sal_graph *graph, int x, int axis)
{
    return build_channels(graph, SAL_OP_AFFINE, x, axis);
}

int build_norm(sal_graph *graph, int x, int axis)
{
    return build_channels(graph, SAL_OP_LAYER_NORM, x, axis);
}

int build_scalar(sal_graph *graph, int x, float weight, float bias)
{
    int node = build_raw(graph, SAL_OP_AFFINE, x, -1);
    set_weights(&graph->nodes[node], 1, 1, 0.0, 0.0);
    graph->nodes[node].weight[0] = weight;
    graph->nodes[node].bias[0] = bias;
    return build_done(graph, node);
}

int build_activation(sal_graph *graph, int x, sal_activation_kind kind, float alpha, float beta)
{
    int node = build_raw(graph, SAL_OP_ACTIVATION, x, -1);
    graph->nodes[node].activation = (sal_activation){kind, alpha, beta};
    return build_done(graph, node);
}

int build_two(sal_graph *graph, sal_op op, int a, int b)
{
    int node = build_raw(graph, op, a, b);
    graph->nodes[node].axis = 1;
    return build_done(graph, node);
}

int build_pool(sal_graph *graph, sal_op op, int x, int64_t kernel, int64_t stride, int64_t pad)
{
    int node = build_raw(graph, op, x, -1);
    graph->nodes[node].window = (sal_window){
        .kernel = {kernel, kernel}, .stride = {stride, stride}, .pad_begin = {pad, pad}, .pad_end = {pad, pad}};
    return build_done(graph, node);
}

int build_mean(sal_graph *graph, int x, int axis)
{
    int node = build_raw(graph, SAL_OP_REDUCE_MEAN, x, -1);
    graph->nodes[node].axis = axis;
    return build_done(graph, node);
}

int build_transpose(sal_graph *graph, int x, const char *permutation)
{
    int node = build_raw(graph, SAL_OP_TRANSPOSE, x, -1);
    for (int i = 0; permutation[i]; i++)
        graph->nodes[node].permutation[i] = permutation[i] - '0';
    return build_done(graph, node);
}

int build_reshape(sal_graph *graph, int x, int rank, int64_t a, int64_t b, int64_t c, int64_t d)
{
    int node = build_raw(graph, SAL_OP_RESHAPE, x, -1);
    graph->nodes[node].shape = (sal_shape){.rank = rank, .dim = {1, a, b, c, d}};
    return build_done(graph, node);
}

int build_flatten(sal_graph *graph, int x)
{
    return build_reshape(graph, x, 2, sal_shape_elements(&graph->nodes[x].shape), 0, 0, 0);
}

int build_pad(sal_graph *graph, int x, int axis, int64_t begin, int64_t end, float value)
{
    int node = build_raw(graph, SAL_OP_PAD, x, -1);
    sal_node *n = &graph->nodes[node];
    n->axis = axis;
    n->value = value;
    n->window = (sal_window){.pad_begin = {begin, begin + 1}, .pad_end = {end, end}};
    return build_done(graph, node);
}

int build_slice(sal_graph *graph, int x, int axis, int64_t start, int64_t step, int64_t count)
{
    int node = build_raw(graph, SAL_OP_SLICE, x, -1);
    graph->nodes[node].axis = axis;
    graph->nodes[node].start = start;
    graph->nodes[node].step = step;
    graph->nodes[node].shape.dim[axis] = count;
    return build_done(graph, node);
}

static sal_shape shape_of(const char *text, int64_t elements)
{
    sal_shape shape = {0};
    int64_t known = 1;
    int rest = -1;
    for (const char *at = text; *at; at += strcspn(at, ",") + (at[strcspn(at, ",")] == ',')) {
        if (*at == '-')
            rest = shape.rank;
        shape.dim[shape.rank] = *at == '-' ? 1 : strtoll(at, NULL, 10);
        known *= shape.dim[shape.rank++];
    }
    if (rest >= 0)
        shape.dim[rest] = elements / known;
    return shape;
}

int build_shape(sal_graph *graph, int x, const char *shape)
{
    int node = build_raw(graph, SAL_OP_RESHAPE, x, -1);
    graph->nodes[node].shape = shape_of(shape, sal_shape_elements(&graph->nodes[x].shape));
    return build_done(graph, node);
}

int build_constant(sal_graph *graph, const char *shape)
{
    int node = build_raw(graph, SAL_OP_CONSTANT, -1, -1);
    graph->nodes[node].shape = shape_of(shape, 0);
    set_weights(&graph->nodes[node], (size_t)sal_shape_elements(&graph->nodes[node].shape), 0, 0.0, 1.0);
    return build_done(graph, node);
}

int build_expand(sal_graph *graph, int x, const char *shape)
{
    int node = build_raw(graph, SAL_OP_EXPAND, x, -1);
    graph->nodes[node].shape = shape_of(shape, 0);
    return build_done(graph, node);
}

int build_reduce(sal_graph *graph, int x, sal_reduction reduction, int axis, int axis_count)
{
    int node = build_raw(graph, SAL_OP_REDUCE, x, -1);
    graph->nodes[node].reduction = reduction;
    graph->nodes[node].axis = axis;
    graph->nodes[node].axis_count = axis_count;
    return build_done(graph, node);
}

int build_matmul(sal_graph *graph, int a, int b, int transpose_b, float scale)
{
    int node = build_raw(graph, SAL_OP_MATMUL, a, b);
    graph->nodes[node].transpose[1] = transpose_b;
    graph->nodes[node].scale = scale;
    return build_done(graph, node);
}

int build_gather(sal_graph *graph, int x, int axis, int64_t count, int taps, const int *index, const float *weights)
{
    int node = build_raw(graph, SAL_OP_GATHER, x, -1);
    sal_node *n = &graph->nodes[node];
    n->axis = axis;
    n->taps = taps;
    n->index_count = (size_t)(count * taps);
    cr_assert_eq(sal_alloc(&n->index, n->index_count, sizeof *n->index, "test indices"), SAL_OK);
    for (size_t k = 0; k < n->index_count; k++)
        n->index[k] = index[k];
    if (weights) {
        set_weights(n, n->index_count, 0, 0.0, 1.0);
        memcpy(n->weight, weights, n->index_count * sizeof *weights);
    }
    return build_done(graph, node);
}

int build_softmax(sal_graph *graph, int x, int axis)
{
    int node = build_raw(graph, SAL_OP_SOFTMAX, x, -1);
    graph->nodes[node].axis = axis;
    return build_done(graph, node);
}

size_t count_op(const sal_graph *graph, sal_op op)
{
    size_t count = 0;
    for (size_t i = 0; i < graph->count; i++)
        count += graph->nodes[i].op == op;
    return count;
}

/* Largest difference relative to the largest expected value; infinite where a value is NaN. */
static double worst_of(const double *expected, const double *got, int64_t count)
{
    double largest = 0.1, worst = 0.0;
    for (int64_t i = 0; i < count; i++)
        largest = fmax(largest, fabs(expected[i]));
    for (int64_t i = 0; i < count; i++) {
        double difference = fabs(expected[i] - got[i]) / largest;
        if (!(difference <= worst))
            worst = isnan(difference) ? INFINITY : difference;
    }
    return worst;
}

/* (H, W, C) from (C, H, W). */
static void to_last(double *out, const double *in, const int64_t *chw)
{
    for (int64_t c = 0; c < chw[0]; c++)
        for (int64_t i = 0; i < chw[1] * chw[2]; i++)
            out[i * chw[0] + c] = in[c * chw[1] * chw[2] + i];
}

double difference_of(const sal_graph *before, const sal_graph *after)
{
    int turned = after->channels_last && !before->channels_last;
    const int64_t *chw = after->nodes[after->input].shape.dim + 1;
    size_t pixels = (size_t)sal_shape_elements(&before->nodes[before->input].shape);
    size_t outputs = (size_t)sal_shape_elements(&before->nodes[before->output].shape);
    cr_assert_eq(pixels, (size_t)sal_shape_elements(&after->nodes[after->input].shape));
    cr_assert_eq(outputs, (size_t)sal_shape_elements(&after->nodes[after->output].shape));
    double *memory = calloc(4 * pixels + 2 * outputs, sizeof *memory);
    double worst = 0.0;
    double *x = memory, *last = x + pixels, *g0 = last + pixels, *g1 = g0 + pixels, *s0 = g1 + pixels,
           *s1 = s0 + outputs;
    for (size_t i = 0; i < pixels; i++)
        x[i] = 2 * build_random();
    memcpy(last, x, pixels * sizeof *x);
    if (turned)
        to_last(last, x, chw);
    for (int64_t target = -1; target < (int64_t)outputs; target++) {
        cr_assert_eq(sal_naive_run(s0, g0, before, last, target), SAL_OK);
        cr_assert_eq(sal_naive_run(s1, g1, after, x, target), SAL_OK);
        if (turned) {
            to_last(last, g1, chw);
            memcpy(g1, last, pixels * sizeof *g1);
            to_last(last, x, chw);
        }
        worst = fmax(worst, worst_of(s0, s1, (int64_t)outputs));
        worst = fmax(worst, worst_of(g0, g1, (int64_t)pixels));
    }
    free(memory);
    return worst;
}

void assert_same(const sal_graph *before, const sal_graph *after)
{
    double difference = difference_of(before, after);
    cr_assert(difference <= 1e-5, "scores or gradients differ by %g of the largest", difference);
}

sal_graph after_pass(const sal_graph *graph, sal_pass *pass)
{
    sal_graph copy;
    int changed = 0;
    cr_assert_eq(sal_graph_copy(&copy, graph), SAL_OK);
    cr_assert_eq(pass(&copy, &changed), SAL_OK, "%s", sal_last_error());
    cr_assert_gt(changed, 0, "the pass changed nothing");
    assert_same(graph, &copy);
    return copy;
}

sal_graph after_all(const sal_graph *graph)
{
    sal_graph copy, again;
    cr_assert_eq(sal_graph_copy(&copy, graph), SAL_OK);
    cr_assert_eq(sal_passes_run(&copy), SAL_OK, "%s", sal_last_error());
    if (copy.detached == SAL_OP_COUNT)
        assert_same(graph, &copy);
    cr_assert_eq(sal_graph_copy(&again, &copy), SAL_OK);
    cr_assert_eq(sal_passes_run(&again), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(copy.count, again.count, "a second run changed the graph");
    assert_same(&copy, &again);
    sal_graph_clear(&again);
    return copy;
}
