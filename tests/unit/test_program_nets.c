#include "unit/test_program_nets.h"

#include "unit/graph_builder.h"
#include "unit/naive_graph.h"
#include "unit/token_nets.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Networks by hand --------------------------------------------------- */

static int relu(sal_graph *g, int x)
{
    return build_activation(g, x, SAL_ACT_RELU, 0, 0);
}

static void head(sal_graph *g, int x, int64_t outputs)
{
    build_dense(g, build_flatten(g, build_mean(g, x, 2)), outputs);
}

static void chain(sal_graph *g)
{
    int x = relu(g, build_conv(g, build_input(g, 3, 17, 15), 8, 3, 1, 1, 1));
    x = build_pool(g, SAL_OP_MAX_POOL, x, 2, 2, 0);
    x = build_activation(g, build_affine(g, build_conv(g, x, 20, 3, 1, 1, 1), 1), SAL_ACT_LEAKY_RELU, 0.1f, 0);
    x = build_pool(g, SAL_OP_MAX_POOL, x, 3, 2, 1);
    x = relu(g, build_dense(g, build_flatten(g, x), 30));
    build_dense(g, x, 3);
}

static void residual(sal_graph *g)
{
    int x = relu(g, build_conv(g, build_input(g, 3, 16, 16), 16, 3, 1, 1, 1));
    for (int k = 0; k < 2; k++) {
        int y = build_conv(g, relu(g, build_conv(g, x, 16, 3, 1, 1, 1)), 16, 3, 1, 1, 1);
        x = relu(g, build_two(g, SAL_OP_ADD, y, x));
    }
    int y = build_conv(g, relu(g, build_conv(g, x, 24, 3, 2, 1, 1)), 24, 3, 1, 1, 1);
    x = relu(g, build_two(g, SAL_OP_ADD, y, build_conv(g, x, 24, 1, 2, 0, 1)));
    head(g, x, 2);
}

static void branches(sal_graph *g)
{
    int x = relu(g, build_conv(g, build_input(g, 3, 14, 13), 12, 3, 1, 1, 1));
    int a = relu(g, build_conv(g, x, 5, 1, 1, 0, 1));
    int b = relu(g, build_conv(g, build_conv(g, x, 7, 1, 1, 0, 1), 9, 3, 1, 1, 1));
    int c = build_conv(g, build_pool(g, SAL_OP_AVG_POOL, x, 3, 1, 1), 16, 1, 1, 0, 1);
    x = build_two(g, SAL_OP_CONCAT, build_two(g, SAL_OP_CONCAT, a, b), c);
    x = build_two(g, SAL_OP_CONCAT, x, relu(g, build_conv(g, x, 6, 3, 1, 1, 1)));
    head(g, x, 2);
}

/* Squeeze and excite, depthwise, silu: kept values that are made again. */
static void gates(sal_graph *g)
{
    int x = build_activation(g, build_conv(g, build_input(g, 3, 16, 18), 18, 3, 2, 1, 1), SAL_ACT_SILU, 0, 0);
    for (int k = 0; k < 2; k++) {
        int y = build_activation(g, build_conv(g, x, 18, 3, 1, 1, 18), SAL_ACT_SILU, 0, 0);
        int s = build_activation(g, build_conv(g, build_mean(g, y, 2), 5, 1, 1, 0, 1), SAL_ACT_SILU, 0, 0);
        s = build_activation(g, build_conv(g, s, 18, 1, 1, 0, 1), SAL_ACT_SIGMOID, 0, 0);
        y = build_conv(g, build_two(g, SAL_OP_MUL, y, s), 18, 1, 1, 0, 1);
        x = build_two(g, SAL_OP_ADD, x, y);
    }
    head(g, build_activation(g, x, SAL_ACT_HARD_SWISH, 0, 0), 3);
}

static void three_readers(sal_graph *g)
{
    int x = relu(g, build_conv(g, build_input(g, 2, 12, 12), 10, 3, 1, 1, 1));
    int a = build_activation(g, x, SAL_ACT_GELU, 0, 0);
    int b = build_conv(g, x, 10, 3, 1, 1, 2);
    int c = build_norm(g, x, 1);
    x = build_two(g, SAL_OP_ADD, build_two(g, SAL_OP_MUL, a, b), c);
    x = build_two(g, SAL_OP_MUL, x, x);
    head(g, x, 2);
}

/* Both read the picture and make maps of its own shape, with an activation fused to each. */
static void two_first_layers(sal_graph *g)
{
    int x = build_input(g, 3, 49, 11);
    int a = relu(g, build_conv(g, x, 3, 3, 1, 1, 1));
    int b = relu(g, build_conv(g, x, 3, 5, 1, 2, 1));
    head(g, relu(g, build_conv(g, build_two(g, SAL_OP_ADD, a, b), 9, 3, 1, 0, 1)), 3);
}

static void picture_and_conv(sal_graph *g)
{
    int x = build_input(g, 3, 10, 9);
    int y = build_two(g, SAL_OP_CONCAT, x, relu(g, build_conv(g, x, 5, 3, 1, 1, 1)));
    y = build_two(g, SAL_OP_ADD, y, build_conv(g, y, 8, 3, 1, 1, 1));
    head(g, relu(g, build_scalar(g, y, 0.7f, 0.1f)), 2);
}

static void dense_only(sal_graph *g)
{
    int x = relu(g, build_dense(g, build_flatten(g, build_input(g, 1, 9, 7)), 100));
    x = build_activation(g, build_dense(g, x, 37), SAL_ACT_TANH, 0, 0);
    build_dense(g, x, 4);
}

static void shuffled(sal_graph *g)
{
    int x = build_activation(g, build_conv(g, build_input(g, 3, 12, 14), 24, 3, 1, 1, 1), SAL_ACT_CLIP, 0, 6);
    int left = build_slice(g, x, 1, 0, 1, 12), right = build_slice(g, x, 1, 12, 1, 12);
    right = build_activation(g, build_conv(g, right, 12, 1, 1, 0, 3), SAL_ACT_CLIP, 0, 6);
    x = build_two(g, SAL_OP_CONCAT, left, right);
    int node = build_raw(g, SAL_OP_SHUFFLE, x, -1);
    g->nodes[node].groups = 2;
    x = build_pad(g, build_done(g, node), 2, 1, 2, 0.25f);
    head(g, relu(g, build_conv(g, x, 11, 3, 2, 0, 1)), 3);
}

static void smooth(sal_graph *g)
{
    int x = build_activation(g, build_conv(g, build_input(g, 4, 11, 11), 16, 3, 1, 1, 1), SAL_ACT_ELU, 0.8f, 0);
    x = build_activation(g, build_conv(g, x, 16, 3, 1, 1, 1), SAL_ACT_SOFTPLUS, 0, 0);
    x = build_activation(g, build_conv(g, x, 17, 3, 1, 0, 1), SAL_ACT_GELU_TANH, 0, 0);
    x = build_activation(g, build_conv(g, x, 8, 3, 2, 0, 1), SAL_ACT_HARD_SIGMOID, 0.2f, 0.5f);
    x = build_activation(g, build_dense(g, build_flatten(g, x), 12), SAL_ACT_TANH, 0, 0);
    build_dense(g, build_softmax(g, x, 1), 2);
}

/* ---- Networks by chance ------------------------------------------------- */

static uint64_t state;

static int64_t below(int64_t n)
{
    state = state * 6364136223846793005U + 1442695040888963407U;
    return (int64_t)((state >> 33) % (uint64_t)n);
}

static int same_shape(const sal_graph *g, int a, int b)
{
    return sal_shape_equal(&g->nodes[a].shape, &g->nodes[b].shape);
}

/* An earlier map to join with x: of its shape, or of its height and width. */
static int partner(const sal_graph *g, int x, int any_channels)
{
    int found = x;
    for (int k = 0; k < (int)g->count; k++) {
        const sal_shape *s = &g->nodes[k].shape, *t = &g->nodes[x].shape;
        int fits = s->rank == 4 && s->dim[2] == t->dim[2] && s->dim[3] == t->dim[3];
        if (k != x && (any_channels ? fits : same_shape(g, k, x)) && (found == x || below(2)))
            found = k;
    }
    return found;
}

static int grow(sal_graph *g, int x)
{
    static const sal_activation_kind kinds[] = {SAL_ACT_RELU, SAL_ACT_RELU,    SAL_ACT_LEAKY_RELU, SAL_ACT_SILU,
                                                SAL_ACT_GELU, SAL_ACT_SIGMOID, SAL_ACT_HARD_SWISH};
    const sal_shape *s = &g->nodes[x].shape;
    int64_t c = s->dim[1], side = s->dim[2] < s->dim[3] ? s->dim[2] : s->dim[3];
    switch (below(11)) {
    case 0: return build_conv(g, x, 4 + below(22), 1, 1, 0, 1);
    case 1: return build_conv(g, x, c, 3, 1, 1, c);
    case 2: return side >= 8 ? build_conv(g, x, 5 + below(20), 3, 2, 1, 1) : relu(g, x);
    case 3: return relu(g, build_conv(g, x, c, 3, 1, 1, 1));
    case 4: return build_two(g, SAL_OP_ADD, x, partner(g, x, 0));
    case 5: return c < 60 ? build_two(g, SAL_OP_CONCAT, x, partner(g, x, 1)) : relu(g, x);
    case 6: return build_activation(g, x, kinds[below(7)], 0.2f, 0);
    case 7: return side >= 6 ? build_pool(g, below(2) ? SAL_OP_MAX_POOL : SAL_OP_AVG_POOL, x, 3, 2, 1) : x;
    case 8: {
        int gate = build_activation(g, build_conv(g, build_mean(g, x, 2), c, 1, 1, 0, 1), SAL_ACT_SIGMOID, 0, 0);
        return build_two(g, SAL_OP_MUL, x, gate);
    }
    case 9: return build_two(g, SAL_OP_MUL, x, build_activation(g, partner(g, x, 0), SAL_ACT_SIGMOID, 0, 0));
    default: return build_affine(g, x, 1);
    }
}

static void draw(sal_graph *g, uint64_t seed)
{
    state = seed * 0x9e3779b97f4a7c15U;
    int x = build_input(g, 1 + below(4), 9 + below(9), 9 + below(9));
    if (below(3))
        x = relu(g, build_conv(g, x, 6 + below(14), 3, 1 + below(2), 1, 1));
    for (int k = 0; k < 10; k++)
        x = grow(g, x);
    head(g, x, 1 + below(2));
}

const net nets[] = {
    {"chain", chain, 0},
    {"residual", residual, 0},
    {"branches", branches, 0},
    {"gates", gates, 0},
    {"three readers", three_readers, 0},
    {"two first layers", two_first_layers, 0},
    {"picture and conv", picture_and_conv, 0},
    {"dense only", dense_only, 0},
    {"shuffled", shuffled, 0},
    {"smooth", smooth, 0},
    {"vision transformer", net_vision_transformer, 0},
    {"shifted windows", net_shifted_windows, 0},
    {"non-local", net_non_local, 0},
    {"spatial gates", net_spatial_gates, 0},
    {"instance norms", net_instance_norms, 0},
    {"resizes", net_resizes, 0},
    {"band norms", net_band_norms, 0},
    {"ranks", net_ranks, 0},
    {"drawn 1", NULL, 1},
    {"drawn 2", NULL, 2},
    {"drawn 3", NULL, 3},
    {"drawn 4", NULL, 4},
    {"drawn 5", NULL, 5},
    {"drawn 6", NULL, 6},
    {"drawn 7", NULL, 7},
    {"drawn 8", NULL, 8},
};
const size_t net_count = sizeof nets / sizeof *nets;

void net_make(sal_graph *graph, const net *n)
{
    if (n->build)
        n->build(graph);
    else
        draw(graph, n->seed);
    cr_assert_eq(sal_passes_run(graph), SAL_OK, "%s: %s", n->name, sal_last_error());
}

/* ---- Answers ------------------------------------------------------------ */

/* A picture whose gradient no rounding can change by a jump. flat: every channel is, but for a part on the right. */
static void draw_picture(double *x, float *floats, int flat, const sal_graph *graph, sal_rule rule)
{
    const sal_shape *shape = &graph->nodes[graph->input].shape;
    const int64_t width = shape->dim[shape->rank - 1], pixels = sal_shape_elements(shape);
    const int64_t plane = pixels / shape->dim[1];
    double margin = 0.0;
    for (int tries = 0; margin < 3e-6; tries++) {
        cr_assert_lt(tries, 50, "no picture without values near an edge: %g", margin);
        for (int64_t i = 0; i < pixels; i++) {
            floats[i] = (float)(2.0 * build_random());
            if (flat && i % width < 3 * width / 5)
                floats[i] = floats[i - i % plane];
            x[i] = (double)floats[i];
        }
        cr_assert_eq(sal_naive_run_rule(NULL, NULL, &margin, graph, x, 0, rule), SAL_OK);
    }
}

void net_pictures_make(net_answers *a, const sal_graph *graph)
{
    *a = (net_answers){.pixels = sal_shape_elements(&graph->nodes[graph->input].shape),
                       .outputs = sal_shape_elements(&graph->nodes[graph->output].shape)};
    a->inputs = calloc(NET_PICTURES * (size_t)a->pixels, sizeof *a->inputs);
    for (int64_t i = 0; i < NET_PICTURES * a->pixels; i++)
        a->inputs[i] = (float)(2.0 * build_random());
}

void net_answers_make(net_answers *a, const sal_graph *graph, sal_rule rule)
{
    net_pictures_make(a, graph);
    size_t pixels = (size_t)a->pixels, outputs = (size_t)a->outputs;
    a->scores = calloc(NET_PICTURES * outputs, sizeof *a->scores);
    a->gradients = calloc(NET_PICTURES * pixels * outputs, sizeof *a->gradients);
    double *x = calloc(pixels, sizeof *x);
    for (size_t n = 0; n < NET_PICTURES; n++) {
        draw_picture(x, a->inputs + n * pixels, n == NET_PICTURES - 1, graph, rule);
        for (size_t k = 0; k < outputs; k++)
            cr_assert_eq(sal_naive_run_rule(a->scores + n * outputs, a->gradients + (k * NET_PICTURES + n) * pixels,
                                            NULL, graph, x, (int64_t)k, rule),
                         SAL_OK);
    }
    free(x);
}

void net_answers_clear(net_answers *a)
{
    free(a->inputs);
    free(a->scores);
    free(a->gradients);
}

sal_program *net_open(const sal_graph *graph, const sal_program_options *options)
{
    sal_program *p = NULL;
    sal_graph copy;
    cr_assert_eq(sal_graph_copy(&copy, graph), SAL_OK);
    cr_assert_eq(sal_program_open(&p, &copy, options), SAL_OK, "%s", sal_last_error());
    sal_graph_clear(&copy);
    return p;
}

void net_gradients(float *gradients, sal_program *p, const float *seeds, int64_t count)
{
    cr_assert_eq(sal_program_backward(p, seeds, count), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(sal_program_download(p, gradients, p->gradient, count), SAL_OK, "%s", sal_last_error());
}

double net_difference(const double *expected, const float *actual, int64_t count)
{
    double largest = 1e-6, worst = 0.0;
    for (int64_t i = 0; i < count; i++)
        largest = fmax(largest, fabs(expected[i]));
    for (int64_t i = 0; i < count; i++) {
        double difference = fabs(expected[i] - (double)actual[i]) / largest;
        if (!(difference <= worst))
            worst = isnan(difference) ? INFINITY : difference;
    }
    return worst;
}
