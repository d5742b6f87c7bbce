/* The reference interpreter against finite differences and against values worked out by hand. */
#include "unit/graph_builder.h"
#include "unit/naive_graph.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

/* Central differences of each score against the gradient of the interpreter. */
static void check_gradient(const sal_graph *graph)
{
    int64_t pixels = sal_shape_elements(&graph->nodes[graph->input].shape);
    int64_t outputs = sal_shape_elements(&graph->nodes[graph->output].shape);
    double *x = calloc((size_t)(2 * pixels + 2 * outputs), sizeof *x);
    double *g = x + pixels, *up = g + pixels, *down = up + outputs;
    const double h = 1e-5;
    for (int64_t i = 0; i < pixels; i++)
        x[i] = 1.5 * build_random();
    for (int64_t target = 0; target < outputs; target++) {
        double largest = 1e-3;
        cr_assert_eq(sal_naive_run(NULL, g, graph, x, target), SAL_OK);
        for (int64_t i = 0; i < pixels; i++)
            largest = fmax(largest, fabs(g[i]));
        for (int64_t i = 0; i < pixels; i++) {
            double at = x[i];
            x[i] = at + h;
            cr_assert_eq(sal_naive_run(up, NULL, graph, x, target), SAL_OK);
            x[i] = at - h;
            cr_assert_eq(sal_naive_run(down, NULL, graph, x, target), SAL_OK);
            x[i] = at;
            double slope = (up[target] - down[target]) / (2 * h);
            cr_assert(fabs(slope - g[i]) <= 1e-6 * largest, "%s: d score %lld / d pixel %lld is %.9g, slope %.9g",
                      sal_op_get(graph->nodes[graph->output].op)->name, (long long)target, (long long)i, g[i], slope);
        }
    }
    free(x);
}

Test(naive, gradient_of_every_activation_is_its_slope)
{
    for (int kind = SAL_ACT_NONE; kind < SAL_ACT_COUNT; kind++) {
        sal_activation a = {(sal_activation_kind)kind, 0.2F, 0.5F};
        if (kind == SAL_ACT_CLIP)
            a.alpha = -0.4F;
        for (int step = 0; step <= 80; step++) {
            double x = -4.03 + 0.1 * step, d; /* no kink is hit */
            if (kind >= SAL_ACT_SQRT && kind <= SAL_ACT_LOG)
                x = fabs(x) + 0.5;
            sal_naive_activation(&d, &a, x);
            double slope = (sal_naive_activation(NULL, &a, x + 1e-5) - sal_naive_activation(NULL, &a, x - 1e-5)) / 2e-5;
            cr_assert(fabs(slope - d) < 1e-8, "%s at %g: %.9g, slope %.9g", sal_activation_name(a.kind), x, d, slope);
        }
    }
}

Test(naive, activations_have_their_known_values)
{
    static const struct {
        sal_activation a;
        double x, y;
    } known[] = {
        {{SAL_ACT_GELU, 0, 0}, 1.0, 0.8413447460685429},
        {{SAL_ACT_GELU_TANH, 0, 0}, 1.0, 0.8411919906082768},
        {{SAL_ACT_SILU, 0, 0}, 1.0, 0.7310585786300049},
        {{SAL_ACT_SOFTPLUS, 0, 0}, 1.0, 1.3132616875182228},
        {{SAL_ACT_ELU, 1, 0}, -1.0, -0.6321205588285577},
        {{SAL_ACT_TANH, 0, 0}, 0.5, 0.46211715726000976},
        {{SAL_ACT_EXP, 0, 0}, 1.0, 2.718281828459045},
        {{SAL_ACT_SOFTSIGN, 0, 0}, -3.0, -0.75},
        {{SAL_ACT_SQUAREPLUS, 4, 0}, 1.5, 2.0},
        {{SAL_ACT_THRESHOLD, 0.5F, 0}, 0.25, 0.0},
        {{SAL_ACT_HARD_SWISH, 0, 0}, 1.0, 0.6666666666666666},
        {{SAL_ACT_ABS, 0, 0}, -2.5, 2.5},
        {{SAL_ACT_SIGN, 0, 0}, -2.5, -1.0},
        {{SAL_ACT_SQRT, 0, 0}, 2.25, 1.5},
        {{SAL_ACT_RECIPROCAL, 0, 0}, -4.0, -0.25},
        {{SAL_ACT_POWER, 1.5F, 0}, 4.0, 8.0},
        {{SAL_ACT_POWER, 3, 0}, -2.0, -8.0},
        {{SAL_ACT_LOG, 0, 0}, 2.0, 0.6931471805599453},
        {{SAL_ACT_SIN, 0, 0}, 1.0, 0.8414709848078965},
        {{SAL_ACT_COS, 0, 0}, 1.0, 0.5403023058681398},
        {{SAL_ACT_HARD_SIGMOID, 0.25F, 0.5F}, 1.0, 0.75},
        {{SAL_ACT_LEAKY_RELU, 0.25F, 0}, -2.0, -0.5},
        {{SAL_ACT_CLIP, -1, 6}, 7.0, 6.0},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        cr_assert(fabs(sal_naive_activation(NULL, &known[i].a, known[i].x) - known[i].y) < 1e-12, "%s",
                  sal_activation_name(known[i].a.kind));
}

Test(naive, derivatives_at_the_kinks_are_zero)
{
    double d = 9;
    sal_naive_activation(&d, &(sal_activation){.kind = SAL_ACT_RELU}, 0.0);
    cr_assert_eq(d, 0.0);
    sal_naive_activation(&d, &(sal_activation){SAL_ACT_CLIP, 0, 6}, 0.0);
    cr_assert_eq(d, 0.0);
    sal_naive_activation(&d, &(sal_activation){SAL_ACT_CLIP, 0, 6}, 6.0);
    cr_assert_eq(d, 0.0);
}

Test(naive, ties_of_a_max_pool_go_to_the_first)
{
    sal_graph graph;
    double x[4] = {1, 2, 2, 2}, g[4], y[1];
    build_pool(&graph, SAL_OP_MAX_POOL, build_input(&graph, 1, 2, 2), 2, 1, 0);
    cr_assert_eq(sal_naive_run(y, g, &graph, x, 0), SAL_OK);
    cr_assert_eq(y[0], 2.0);
    cr_assert(g[0] == 0.0 && g[1] == 1.0 && g[2] == 0.0 && g[3] == 0.0);
    sal_graph_clear(&graph);
}

Test(naive, conv_agrees_with_hand_calculation)
{
    sal_graph graph;
    double x[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, g[9], y[4];
    static const double kernel[4] = {1, -1, 2, 3};
    int conv = build_conv(&graph, build_input(&graph, 1, 3, 3), 1, 2, 2, 0, 1);
    sal_node *n = &graph.nodes[conv];
    for (int i = 0; i < 4; i++)
        n->weight[i] = (float)kernel[i];
    n->bias[0] = 0.5F;
    n->window.pad_end[0] = n->window.pad_end[1] = 1;
    build_done(&graph, conv);
    cr_assert_eq(sal_naive_run(y, g, &graph, x, 1), SAL_OK);
    cr_assert_eq(y[0], 1 - 2 + 8 + 15 + 0.5);
    cr_assert_eq(y[1], 3 + 12 + 0.5);
    cr_assert_eq(y[2], 7 - 8 + 0.5);
    cr_assert_eq(y[3], 9 + 0.5);
    cr_assert(g[2] == 1.0 && g[5] == 2.0 && g[0] == 0.0);
    sal_graph_clear(&graph);
}

Test(naive, gradient_of_convs_is_their_slope)
{
    sal_graph graph;
    int x = build_input(&graph, 4, 5, 6);
    int a = build_conv(&graph, x, 4, 3, 1, 1, 2);
    int b = build_conv(&graph, x, 4, 3, 1, 2, 1);
    graph.nodes[b].window.dilation[0] = graph.nodes[b].window.dilation[1] = 2;
    build_done(&graph, b);
    int c = build_raw(&graph, SAL_OP_CONV, b, a);
    sal_node *n = &graph.nodes[c];
    n->window = (sal_window){.kernel = {1, 1}};
    n->weight = graph.nodes[a].weight; /* lent: 16 of its 72 */
    n->weight_count = 16;
    n->activation = (sal_activation){SAL_ACT_LEAKY_RELU, 0.3F, 0};
    build_done(&graph, c);
    int d = build_conv(&graph, c, 3, 3, 2, 1, 1);
    build_conv(&graph, d, 2, 2, 1, 0, 1);
    check_gradient(&graph);
    graph.nodes[c].weight = NULL;
    sal_graph_clear(&graph);
}

Test(naive, gradient_of_pools_is_their_slope)
{
    for (int i = 0; i < 3; i++) {
        sal_graph graph;
        int x = build_input(&graph, 2, 5, 6);
        int pool = build_pool(&graph, i ? SAL_OP_AVG_POOL : SAL_OP_MAX_POOL, x, 3, 2, 1);
        graph.nodes[pool].window.count_padding = i == 2;
        check_gradient(&graph);
        sal_graph_clear(&graph);
    }
}

Test(naive, gradient_of_what_moves_elements_is_its_slope)
{
    sal_graph graph;
    int x = build_input(&graph, 4, 3, 5);
    int a = build_transpose(&graph, build_pad(&graph, x, 0, 1, 2, 0.7F), "0312");
    int b = build_slice(&graph, a, 1, 1, 3, 2);
    int c = build_two(&graph, SAL_OP_CONCAT, b, build_activation(&graph, b, SAL_ACT_TANH, 0, 0));
    int d = build_raw(&graph, SAL_OP_SHUFFLE, c, -1);
    graph.nodes[d].groups = 2;
    build_done(&graph, d);
    int e = build_reshape(&graph, d, 4, 12, 8, 1, 0);
    build_softmax(&graph, build_two(&graph, SAL_OP_ADD, build_mean(&graph, e, 0), e), 2);
    check_gradient(&graph);
    sal_graph_clear(&graph);
}

Test(naive, gradient_of_gates_norms_and_softmax_is_their_slope)
{
    for (int last = 0; last < 2; last++) {
        sal_graph graph;
        int x = build_input(&graph, 3, 4, 3);
        int a = build_affine(&graph, build_norm(&graph, x, last ? 3 : 1), last ? 3 : 1);
        int gate = build_activation(&graph, build_mean(&graph, a, last ? 1 : 0), SAL_ACT_SIGMOID, 0, 0);
        int b = build_two(&graph, SAL_OP_MUL, gate, a);
        int c = build_two(&graph, SAL_OP_ADD, build_scalar(&graph, b, 2, 1), gate);
        int d = build_two(&graph, SAL_OP_MUL, c, c);
        int e = build_dense(&graph, d, 3);
        build_softmax(&graph, build_dense(&graph, build_flatten(&graph, build_softmax(&graph, e, 2)), 4), 1);
        check_gradient(&graph);
        sal_graph_clear(&graph);
    }
}

Test(naive, gradient_of_what_is_in_rows_is_its_slope)
{
    static const int index[] = {3, 0, 1, 1, 2, 0};
    static const float weights[] = {0.5F, -1, 2, 0, 0.25F, 1};
    for (int kind = 0; kind < SAL_REDUCTION_COUNT; kind++) {
        sal_graph graph;
        int x = build_shape(&graph, build_input(&graph, 3, 4, 4), "1,3,4,4");
        int a = build_two(&graph, SAL_OP_ADD, x, build_constant(&graph, "1,3,4,4"));
        int b = build_gather(&graph, a, 2, 3, 2, index, weights); /* (1, 3, 3, 4) */
        int c = build_matmul(&graph, b, x, kind == 1, 0.5F);      /* of it and (1, 3, 4, 4) */
        int d = build_reduce(&graph, c, (sal_reduction)kind, 1, 2);
        int e = build_two(&graph, SAL_OP_MUL, b, build_expand(&graph, d, "1,3,3,4"));
        build_dense(&graph, build_flatten(&graph, build_reduce(&graph, e, (sal_reduction)kind, 3, 1)), 4);
        check_gradient(&graph);
        sal_graph_clear(&graph);
    }
}

Test(naive, ties_of_a_maximum_share_its_gradient)
{
    sal_graph graph;
    double x[4] = {1, 2, 2, 0}, g[4], y[1];
    build_reduce(&graph, build_input(&graph, 1, 2, 2), SAL_REDUCTION_MAX, 2, 2);
    cr_assert_eq(sal_naive_run(y, g, &graph, x, 0), SAL_OK);
    cr_assert_eq(y[0], 2.0);
    cr_assert(g[0] == 0.0 && g[1] == 0.5 && g[2] == 0.5 && g[3] == 0.0);
    sal_graph_clear(&graph);
}

/* (1 2; 3 4) (5 6; 7 8), with either operand given transposed. */
Test(naive, products_of_matrices_are_those_of_hand_calculation)
{
    static const double expected[4] = {19, 22, 43, 50};
    for (int way = 0; way < 4; way++) {
        sal_graph graph;
        double x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, y[4];
        int in = build_input(&graph, 2, 2, 2);
        int a = build_slice(&graph, in, 1, 0, 1, 1), b = build_slice(&graph, in, 1, 1, 1, 1);
        for (int k = 0; k < 2; k++)
            if (way >> k & 1) {
                const double swap = x[4 * k + 1];
                x[4 * k + 1] = x[4 * k + 2];
                x[4 * k + 2] = swap;
            }
        int product = build_raw(&graph, SAL_OP_MATMUL, a, b);
        graph.nodes[product].transpose[0] = way & 1;
        graph.nodes[product].transpose[1] = way >> 1;
        build_done(&graph, product);
        cr_assert_eq(sal_naive_run(y, NULL, &graph, x, 0), SAL_OK);
        for (int i = 0; i < 4; i++)
            cr_assert_eq(y[i], expected[i]);
        sal_graph_clear(&graph);
    }
}

Test(naive, mean_target_is_the_mean_of_the_gradients)
{
    sal_graph graph;
    double x[8], mean[8], one[8], sum[8] = {0};
    build_dense(&graph, build_flatten(&graph, build_input(&graph, 2, 2, 2)), 3);
    for (int i = 0; i < 8; i++)
        x[i] = build_random();
    cr_assert_eq(sal_naive_run(NULL, mean, &graph, x, -1), SAL_OK);
    for (int64_t t = 0; t < 3; t++) {
        cr_assert_eq(sal_naive_run(NULL, one, &graph, x, t), SAL_OK);
        for (int i = 0; i < 8; i++)
            sum[i] += one[i] / 3;
    }
    for (int i = 0; i < 8; i++)
        cr_assert(fabs(sum[i] - mean[i]) < 1e-12);
    sal_graph_clear(&graph);
}
