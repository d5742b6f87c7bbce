/* All passes together, and the head. */
#include "unit/graph_builder.h"
#include "unit/token_nets.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static void clear(sal_graph *a, sal_graph *b)
{
    sal_graph_clear(a);
    sal_graph_clear(b);
}

static int features(sal_graph *graph)
{
    int x = build_conv(graph, build_input(graph, 3, 6, 6), 4, 3, 1, 1, 1);
    return build_activation(graph, build_affine(graph, x, 1), SAL_ACT_RELU, 0, 0);
}

static int classifier(sal_graph *graph, int64_t outputs)
{
    return build_dense(graph, build_flatten(graph, build_mean(graph, features(graph), 0)), outputs);
}

Test(find_head, softmax_is_taken_off_and_remembered)
{
    sal_graph graph, before;
    classifier(&graph, 5);
    cr_assert_eq(sal_graph_copy(&before, &graph), SAL_OK);
    int softmax = build_softmax(&graph, graph.output, 1);
    strcpy(graph.nodes[softmax].name, "prob");
    cr_assert_eq(sal_pass_find_head(&graph), SAL_OK);
    cr_assert_eq(graph.detached, SAL_OP_SOFTMAX);
    cr_assert_str_eq(graph.detached_name, "prob");
    cr_assert_eq(graph.output, graph.head);
    cr_assert_eq(graph.nodes[graph.head].op, SAL_OP_DENSE);
    assert_same(&before, &graph);
    clear(&graph, &before);
}

Test(find_head, sigmoid_behind_a_reshape_is_taken_off)
{
    sal_graph graph, before;
    int x = classifier(&graph, 1);
    cr_assert_eq(sal_graph_copy(&before, &graph), SAL_OK);
    x = build_activation(&graph, build_reshape(&graph, x, 4, 1, 1, 1, 0), SAL_ACT_SIGMOID, 0, 0);
    build_reshape(&graph, x, 3, 1, 1, 0, 0);
    cr_assert_eq(sal_pass_find_head(&graph), SAL_OK);
    cr_assert_eq(graph.detached, SAL_OP_ACTIVATION);
    cr_assert_eq(graph.nodes[graph.output].shape.rank, 2);
    cr_assert_eq(graph.nodes[graph.head].op, SAL_OP_DENSE);
    assert_same(&before, &graph);
    clear(&graph, &before);
}

Test(find_head, only_one_softmax_is_taken_off_however_often_it_runs)
{
    sal_graph graph;
    build_softmax(&graph, build_softmax(&graph, classifier(&graph, 5), 1), 1);
    cr_assert_eq(sal_pass_find_head(&graph), SAL_OK);
    cr_assert_eq(sal_pass_find_head(&graph), SAL_OK);
    cr_assert_eq(count_op(&graph, SAL_OP_SOFTMAX), 1);
    sal_graph_clear(&graph);
}

Test(find_head, a_tanh_or_relu_at_the_end_stays)
{
    sal_graph graph;
    build_activation(&graph, classifier(&graph, 2), SAL_ACT_TANH, 0, 0);
    sal_graph after = after_all(&graph);
    cr_assert_eq(after.detached, SAL_OP_COUNT);
    cr_assert_null(after.detached_name);
    cr_assert_eq(after.nodes[after.output].activation.kind, SAL_ACT_TANH);
    cr_assert_eq(after.nodes[after.head].op, SAL_OP_DENSE);
    clear(&graph, &after);
}

/* SqueezeNet: the classifier is a conv, averaged afterwards. */
Test(find_head, a_conv_can_be_the_head)
{
    sal_graph graph;
    int x = build_conv(&graph, features(&graph), 7, 1, 1, 0, 1);
    build_mean(&graph, build_activation(&graph, x, SAL_ACT_RELU, 0, 0), 0);
    sal_graph after = after_all(&graph);
    cr_assert_eq(after.nodes[after.head].op, SAL_OP_CONV);
    cr_assert_eq(after.nodes[after.head].shape.dim[1], 7);
    cr_assert_eq(after.nodes[after.output].shape.rank, 2);
    cr_assert_eq(after.nodes[after.output].shape.dim[1], 7);
    clear(&graph, &after);
}

Test(find_head, a_map_as_output_or_no_layer_at_all_is_refused)
{
    sal_graph graph;
    build_softmax(&graph, features(&graph), 1);
    cr_assert_eq(sal_pass_find_head(&graph), SAL_ERROR_UNSUPPORTED);
    cr_assert(strstr(sal_last_error(), "(1, 4, 6, 6)"), "%s", sal_last_error());
    sal_graph_clear(&graph);
    build_mean(&graph, build_input(&graph, 3, 4, 4), 0);
    cr_assert_eq(sal_pass_find_head(&graph), SAL_ERROR_UNSUPPORTED);
    sal_graph_clear(&graph);
}

/* The sum of (1, F), as the pass has to write it. */
static int build_sum(sal_graph *graph, int x, float plus)
{
    int sum = build_dense(graph, x, 1);
    for (size_t i = 0; i < graph->nodes[sum].weight_count; i++)
        graph->nodes[sum].weight[i] = 1.0F;
    graph->nodes[sum].bias[0] = plus;
    return sum;
}

Test(find_head, a_region_is_a_sum_in_the_files_order_of_axes)
{
    for (int turned = 0; turned < 2; turned++) {
        sal_graph graph, expected, after;
        int x = features(&graph);
        cr_assert_eq(sal_graph_copy(&expected, &graph), SAL_OK);
        int y = build_slice(&expected, build_slice(&expected, expected.output, 1, 2, 1, 1), 2, 1, 1, 3);
        build_sum(&expected, build_flatten(&expected, build_slice(&expected, y, 3, 4, 1, 2)), 0);
        if (turned)
            x = build_transpose(&graph, x, "0231");
        build_softmax(&graph, x, turned ? 3 : 1);
        cr_assert_eq(sal_graph_copy(&after, &graph), SAL_OK);
        after.wanted_at = turned ? "1:4,4:,2" : "2,1:4,4:6";
        cr_assert_eq(sal_passes_run(&after), SAL_OK, "%s", sal_last_error());
        cr_assert_eq(after.nodes[after.output].shape.dim[1], 1);
        cr_assert_eq(after.detached, SAL_OP_COUNT);
        cr_assert_str_eq(after.detached_name, graph.nodes[graph.output].name);
        cr_assert(strstr(after.made, "before the softmax"), "%s", after.made);
        cr_assert_eq(count_op(&after, SAL_OP_SOFTMAX), 0);
        assert_same(&expected, &after);
        clear(&graph, &expected);
        sal_graph_clear(&after);
    }
}

Test(find_head, the_age_of_coral_is_the_sum_of_sigmoids)
{
    sal_graph graph, expected;
    classifier(&graph, 4);
    cr_assert_eq(sal_graph_copy(&expected, &graph), SAL_OK);
    build_sum(&expected, build_activation(&expected, expected.output, SAL_ACT_SIGMOID, 0, 0), 1.5F);
    build_activation(&graph, graph.output, SAL_ACT_SIGMOID, 0, 0);
    graph.wanted_coral = 1;
    graph.wanted_first = 1.5;
    cr_assert_eq(sal_passes_run(&graph), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(graph.detached, SAL_OP_COUNT);
    assert_same(&expected, &graph);
    clear(&graph, &expected);
}

Test(passes, a_residual_network_becomes_convs_alone)
{
    sal_graph graph;
    int x = features(&graph);
    for (int i = 0; i < 2; i++) {
        int y = build_affine(&graph, build_conv(&graph, x, 8, 3, 2, 1, 1), 1);
        y = build_activation(&graph, y, SAL_ACT_RELU, 0, 0);
        y = build_affine(&graph, build_conv(&graph, y, 8, 3, 1, 1, 1), 1);
        int skip = build_affine(&graph, build_conv(&graph, x, 8, 1, 2, 0, 1), 1);
        x = build_activation(&graph, build_two(&graph, SAL_OP_ADD, y, skip), SAL_ACT_RELU, 0, 0);
    }
    build_dense(&graph, build_flatten(&graph, build_mean(&graph, x, 0)), 3);
    sal_graph after = after_all(&graph);
    cr_assert_eq(count_op(&after, SAL_OP_CONV), 7);
    cr_assert_eq(after.count, 1 + 7 + 3);
    clear(&graph, &after);
}

Test(passes, a_dense_block_keeps_the_norms_that_cannot_fold)
{
    sal_graph graph;
    int x = features(&graph);
    for (int i = 0; i < 2; i++) {
        int y = build_activation(&graph, build_affine(&graph, x, 1), SAL_ACT_RELU, 0, 0);
        y = build_affine(&graph, build_conv(&graph, y, 5, 1, 1, 0, 1), 1);
        y = build_conv(&graph, build_activation(&graph, y, SAL_ACT_RELU, 0, 0), 3, 3, 1, 1, 1);
        x = build_two(&graph, SAL_OP_CONCAT, x, y);
    }
    build_dense(&graph, build_flatten(&graph, build_mean(&graph, x, 0)), 3);
    sal_graph after = after_all(&graph);
    cr_assert_eq(count_op(&after, SAL_OP_AFFINE), 2);
    cr_assert_eq(count_op(&after, SAL_OP_ACTIVATION), 2);
    clear(&graph, &after);
}

Test(passes, a_mobile_network_with_gates_and_shuffle_comes_out_small)
{
    sal_graph graph;
    int x = build_conv(&graph, build_pad(&graph, build_input(&graph, 3, 9, 9), 0, 0, 1, 0), 4, 3, 2, 0, 1);
    x = build_activation(&graph, build_affine(&graph, x, 1), SAL_ACT_HARD_SIGMOID, 1.0F / 6, 0.5F);
    graph.nodes[x].activation = (sal_activation){.kind = SAL_ACT_SIGMOID};
    x = build_two(&graph, SAL_OP_MUL, graph.nodes[x].inputs[0], x);
    int gate = build_conv(&graph, build_mean(&graph, x, 0), 2, 1, 1, 0, 1);
    gate = build_conv(&graph, build_activation(&graph, gate, SAL_ACT_SILU, 0, 0), 4, 1, 1, 0, 1);
    gate = build_activation(&graph, gate, SAL_ACT_SIGMOID, 0, 0);
    x = build_two(&graph, SAL_OP_MUL, x, gate);
    x = build_reshape(&graph, x, 5, 2, 2, graph.nodes[x].shape.dim[2], graph.nodes[x].shape.dim[3]);
    x = build_transpose(&graph, x, "02134");
    x = build_reshape(&graph, x, 4, 4, graph.nodes[x].shape.dim[3], graph.nodes[x].shape.dim[4], 0);
    x = build_activation(&graph, build_conv(&graph, x, 4, 3, 1, 1, 4), SAL_ACT_CLIP, 0, 6);
    build_dense(&graph, build_flatten(&graph, build_mean(&graph, x, 0)), 3);
    sal_graph after = after_all(&graph);
    cr_assert_eq(count_op(&after, SAL_OP_SHUFFLE), 1);
    cr_assert_eq(count_op(&after, SAL_OP_PAD), 0);
    cr_assert_eq(count_op(&after, SAL_OP_AFFINE), 0);
    cr_assert_eq(count_op(&after, SAL_OP_MUL), 1);
    cr_assert_eq(count_op(&after, SAL_OP_ACTIVATION), 3); /* silu, silu, sigmoid; the clip is in its conv */
    clear(&graph, &after);
}

Test(passes, a_graph_without_input_or_output_is_refused)
{
    sal_graph graph;
    sal_graph_init(&graph);
    cr_assert_eq(sal_passes_run(&graph), SAL_ERROR_FORMAT);
    classifier(&graph, 2);
    graph.output = -1;
    cr_assert_eq(sal_passes_run(&graph), SAL_ERROR_FORMAT);
    sal_graph_clear(&graph);
}

/* The comparison that all these tests lean on must be able to fail. */
Test(passes, the_comparison_notices_a_changed_weight_and_nan)
{
    sal_graph graph, copy;
    classifier(&graph, 5);
    cr_assert_eq(sal_graph_copy(&copy, &graph), SAL_OK);
    cr_assert_eq(difference_of(&graph, &copy), 0.0);
    copy.nodes[1].weight[3] += 0.01F;
    cr_assert_gt(difference_of(&graph, &copy), 1e-5);
    copy.nodes[1].weight[3] = NAN;
    cr_assert(isinf(difference_of(&graph, &copy)));
    clear(&graph, &copy);
}

Test(models, networks_with_tokens_compute_the_same)
{
    void (*const nets[])(sal_graph *) = {net_vision_transformer, net_shifted_windows, net_non_local,  net_spatial_gates,
                                         net_instance_norms,     net_resizes,         net_band_norms, net_ranks};
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        sal_graph graph, after;
        nets[i](&graph);
        after = after_all(&graph);
        sal_graph_clear(&after);
        sal_graph_clear(&graph);
    }
}

/* Once in rows, tokens are turned no more: what moves them is what the file has. */
Test(models, a_vision_transformer_keeps_its_tokens)
{
    sal_graph graph, after;
    net_vision_transformer(&graph);
    after = after_all(&graph);
    cr_assert_leq(count_op(&after, SAL_OP_TRANSPOSE), count_op(&graph, SAL_OP_TRANSPOSE));
    cr_assert_leq(count_op(&after, SAL_OP_RESHAPE), count_op(&graph, SAL_OP_RESHAPE));
    cr_assert_eq(count_op(&after, SAL_OP_CONV), 1);
    sal_graph_clear(&after);
    sal_graph_clear(&graph);
}
