/* Cancelling transposes: channels-last graphs as exporters write them. */
#include "unit/graph_builder.h"

#include <criterion/criterion.h>
#include <string.h>

static void clear(sal_graph *a, sal_graph *b)
{
    sal_graph_clear(a);
    sal_graph_clear(b);
}

/* A conv as tf2onnx writes it: channels first between two transposes. */
static int wrapped_conv(sal_graph *graph, int x, int64_t outputs)
{
    x = build_conv(graph, build_transpose(graph, x, "0312"), outputs, 3, 1, 1, 1);
    return build_transpose(graph, x, "0231");
}

static void assert_no_layout_ops(const sal_graph *graph)
{
    cr_assert_eq(count_op(graph, SAL_OP_TRANSPOSE), 0);
    cr_assert_eq(count_op(graph, SAL_OP_RESHAPE), 0);
}

static void assert_channels_first_input(const sal_graph *graph, int64_t c, int64_t h, int64_t w)
{
    const int64_t *dim = graph->nodes[graph->input].shape.dim;
    cr_assert_eq(graph->channels_last, 1);
    cr_assert(dim[1] == c && dim[2] == h && dim[3] == w);
}

Test(cancel_transposes, a_transpose_and_its_inverse_vanish)
{
    sal_graph graph;
    int x = build_conv(&graph, build_input(&graph, 3, 4, 5), 4, 3, 1, 1, 1);
    x = build_transpose(&graph, build_transpose(&graph, x, "0231"), "0312");
    build_activation(&graph, x, SAL_ACT_RELU, 0, 0);
    sal_graph after = after_pass(&graph, sal_pass_cancel_transposes);
    cr_assert_eq(after.count, 3);
    cr_assert_eq(after.channels_last, 0);
    clear(&graph, &after);
}

Test(cancel_transposes, two_that_are_no_inverse_become_one)
{
    sal_graph graph;
    int x = build_conv(&graph, build_input(&graph, 3, 4, 5), 4, 3, 1, 1, 1);
    build_transpose(&graph, build_transpose(&graph, x, "0132"), "0231");
    sal_graph after = after_pass(&graph, sal_pass_cancel_transposes);
    cr_assert_eq(count_op(&after, SAL_OP_TRANSPOSE), 1);
    clear(&graph, &after);
}

Test(cancel_transposes, channels_last_input_turns_to_channels_first)
{
    sal_graph graph;
    int x = build_input(&graph, 6, 5, 3);
    x = build_affine(&graph, build_scalar(&graph, x, 0.5F, -1), 3);
    x = build_activation(&graph, wrapped_conv(&graph, x, 4), SAL_ACT_RELU, 0, 0);
    x = build_transpose(&graph, wrapped_conv(&graph, x, 5), "0312");
    build_pool(&graph, SAL_OP_MAX_POOL, x, 2, 2, 0);
    sal_graph after = after_pass(&graph, sal_pass_cancel_transposes);
    assert_channels_first_input(&after, 3, 6, 5);
    assert_no_layout_ops(&after);
    cr_assert_eq(after.count, 7);
    clear(&graph, &after);
}

Test(cancel_transposes, one_channel_turned_by_a_reshape_counts_as_well)
{
    sal_graph graph;
    int x = build_scalar(&graph, build_input(&graph, 6, 5, 1), 0.5F, -1);
    x = build_reshape(&graph, x, 4, 1, 6, 5, 0);
    build_mean(&graph, build_conv(&graph, x, 4, 3, 1, 1, 1), 0);
    sal_graph after = after_all(&graph);
    assert_channels_first_input(&after, 1, 6, 5);
    clear(&graph, &after);
}

Test(cancel_transposes, every_op_between_is_renamed)
{
    sal_graph graph;
    int x = wrapped_conv(&graph, build_input(&graph, 6, 8, 3), 4);
    x = build_affine(&graph, x, 3);
    int twin = build_norm(&graph, build_activation(&graph, x, SAL_ACT_TANH, 0, 0), 3);
    x = build_two(&graph, SAL_OP_ADD, x, twin);
    int joined = build_raw(&graph, SAL_OP_CONCAT, x, twin);
    graph.nodes[joined].axis = 3;
    x = build_done(&graph, joined);
    x = build_slice(&graph, x, 3, 1, 2, 3);
    x = build_pad(&graph, x, 1, 1, 2, 0.5F);
    x = build_two(&graph, SAL_OP_MUL, x, build_activation(&graph, build_mean(&graph, x, 1), SAL_ACT_SIGMOID, 0, 0));
    x = build_softmax(&graph, x, 3);
    build_conv(&graph, build_transpose(&graph, x, "0312"), 2, 3, 1, 0, 1);
    sal_graph after = after_pass(&graph, sal_pass_cancel_transposes);
    assert_no_layout_ops(&after);
    clear(&graph, &after);
}

Test(cancel_transposes, residual_blocks_in_channels_last_come_out_clean)
{
    sal_graph graph;
    int x = wrapped_conv(&graph, build_input(&graph, 6, 5, 3), 4);
    for (int i = 0; i < 2; i++) {
        int y = build_activation(&graph, wrapped_conv(&graph, x, 4), SAL_ACT_RELU, 0, 0);
        x = build_two(&graph, SAL_OP_ADD, wrapped_conv(&graph, y, 4), x);
    }
    x = build_mean(&graph, x, 1);
    build_softmax(&graph, build_dense(&graph, build_reshape(&graph, x, 2, 4, 0, 0, 0), 3), 1);
    sal_graph after = after_all(&graph);
    assert_channels_first_input(&after, 3, 6, 5);
    cr_assert_eq(count_op(&after, SAL_OP_TRANSPOSE), 0);
    cr_assert_eq(count_op(&after, SAL_OP_ADD), 0);
    cr_assert_eq(after.count, 1 + 5 + 1 + 1 + 1); /* input, convs, mean, reshape, dense */
    clear(&graph, &after);
}

/* Squeeze and excite as Keras has it: the gate is made channels-last by a reshape. */
Test(cancel_transposes, a_gate_reshaped_to_channels_last_is_untangled)
{
    sal_graph graph;
    int x = wrapped_conv(&graph, build_input(&graph, 6, 5, 3), 4);
    int gate = build_reshape(&graph, build_mean(&graph, x, 1), 2, 4, 0, 0, 0);
    gate = build_reshape(&graph, build_dense(&graph, gate, 4), 4, 1, 1, 4, 0);
    gate = build_activation(&graph, gate, SAL_ACT_SIGMOID, 0, 0);
    x = build_two(&graph, SAL_OP_MUL, x, gate);
    build_dense(&graph, build_flatten(&graph, wrapped_conv(&graph, x, 2)), 3);
    sal_graph after = after_all(&graph);
    cr_assert_eq(count_op(&after, SAL_OP_TRANSPOSE), 0);
    clear(&graph, &after);
}

Test(cancel_transposes, a_gate_convolved_channels_last_is_untangled)
{
    sal_graph graph;
    int x = wrapped_conv(&graph, build_input(&graph, 6, 5, 3), 4);
    int gate = build_reshape(&graph, build_reshape(&graph, build_mean(&graph, x, 1), 2, 4, 0, 0, 0), 4, 1, 1, 4, 0);
    gate = build_conv(&graph, build_transpose(&graph, gate, "0312"), 2, 1, 1, 0, 1);
    gate = build_activation(&graph, build_transpose(&graph, gate, "0231"), SAL_ACT_RELU, 0, 0);
    gate = build_conv(&graph, build_transpose(&graph, gate, "0312"), 4, 1, 1, 0, 1);
    gate = build_activation(&graph, build_transpose(&graph, gate, "0231"), SAL_ACT_SIGMOID, 0, 0);
    x = build_two(&graph, SAL_OP_MUL, gate, x);
    build_dense(&graph, build_flatten(&graph, x), 3);
    sal_graph after = after_all(&graph);
    cr_assert_eq(count_op(&after, SAL_OP_TRANSPOSE), 0);
    cr_assert_eq(count_op(&after, SAL_OP_RESHAPE), 1);
    clear(&graph, &after);
}

Test(cancel_transposes, flatten_in_channels_last_order_permutes_the_dense_weights)
{
    sal_graph graph;
    int x = wrapped_conv(&graph, build_input(&graph, 6, 5, 3), 4);
    x = build_flatten(&graph, build_activation(&graph, x, SAL_ACT_RELU, 0, 0));
    x = build_activation(&graph, build_affine(&graph, x, 1), SAL_ACT_TANH, 0, 0);
    build_dense(&graph, x, 3);
    sal_graph after = after_pass(&graph, sal_pass_cancel_transposes);
    cr_assert_eq(count_op(&after, SAL_OP_TRANSPOSE), 0);
    clear(&graph, &after);
}

Test(cancel_transposes, a_flattened_channels_last_picture_turns_too)
{
    sal_graph graph;
    build_dense(&graph, build_flatten(&graph, build_input(&graph, 6, 5, 3)), 4);
    sal_graph after = after_all(&graph);
    assert_channels_first_input(&after, 3, 6, 5);
    cr_assert_eq(count_op(&after, SAL_OP_TRANSPOSE), 0);
    clear(&graph, &after);
}

Test(cancel_transposes, a_flattened_channels_first_picture_stays)
{
    sal_graph graph;
    build_dense(&graph, build_flatten(&graph, build_input(&graph, 3, 6, 5)), 4);
    sal_graph after = after_all(&graph);
    cr_assert_eq(after.channels_last, 0);
    clear(&graph, &after);
}

/* A ConvNeXt block: norm and dense layers on the last axis become norm over axis 1 and 1x1 convs. */
Test(cancel_transposes, a_convnext_block_becomes_channels_first)
{
    sal_graph graph;
    int x = build_conv(&graph, build_input(&graph, 3, 8, 8), 4, 2, 2, 0, 1);
    x = build_transpose(&graph, build_norm(&graph, build_transpose(&graph, x, "0231"), 3), "0312");
    int y = build_conv(&graph, x, 4, 3, 1, 1, 4);
    y = build_norm(&graph, build_transpose(&graph, y, "0231"), 3);
    y = build_activation(&graph, build_dense(&graph, y, 6), SAL_ACT_GELU, 0, 0);
    y = build_affine(&graph, build_dense(&graph, y, 4), 3);
    x = build_two(&graph, SAL_OP_ADD, build_transpose(&graph, y, "0312"), x);
    x = build_norm(&graph, build_transpose(&graph, build_mean(&graph, x, 0), "0231"), 3);
    x = build_flatten(&graph, build_transpose(&graph, x, "0312"));
    build_dense(&graph, x, 3);
    sal_graph after = after_all(&graph);
    cr_assert_eq(count_op(&after, SAL_OP_TRANSPOSE), 0);
    cr_assert_eq(count_op(&after, SAL_OP_RESHAPE), 1);
    cr_assert_eq(count_op(&after, SAL_OP_CONV), 4);
    cr_assert_eq(count_op(&after, SAL_OP_AFFINE), 0);
    cr_assert_eq(count_op(&after, SAL_OP_DENSE), 1);
    clear(&graph, &after);
}

Test(cancel_transposes, a_vector_in_channels_last_shape_is_lifted)
{
    sal_graph graph;
    int x = build_conv(&graph, build_input(&graph, 3, 6, 6), 4, 3, 1, 1, 1);
    x = build_reshape(&graph, build_mean(&graph, x, 0), 4, 1, 1, 4, 0);
    x = build_affine(&graph, build_dense(&graph, build_norm(&graph, x, 3), 5), 3);
    build_reshape(&graph, x, 2, 5, 0, 0, 0);
    sal_graph after = after_all(&graph);
    cr_assert_eq(count_op(&after, SAL_OP_DENSE), 1);
    cr_assert_eq(count_op(&after, SAL_OP_RESHAPE), 1);
    clear(&graph, &after);
}

Test(cancel_transposes, a_node_along_rows_is_not_made_unsupported)
{
    sal_graph graph;
    int x = build_conv(&graph, build_input(&graph, 3, 6, 6), 4, 3, 1, 1, 1);
    x = build_transpose(&graph, x, "0231");
    x = build_affine(&graph, x, 1); /* one value per row: fine on the transposed tensor only */
    build_dense(&graph, build_flatten(&graph, x), 2);
    sal_graph after = after_all(&graph);
    cr_assert_eq(count_op(&after, SAL_OP_TRANSPOSE), 1);
    clear(&graph, &after);
}

Test(turn_axes, norms_affines_pads_and_means_on_other_axes_get_their_operand_turned)
{
    sal_graph graph;
    int x = build_conv(&graph, build_input(&graph, 3, 6, 5), 4, 3, 1, 1, 1);
    x = build_affine(&graph, build_norm(&graph, x, 3), 2);
    x = build_pad(&graph, x, 1, 1, 2, 0.5F);
    x = build_conv(&graph, build_activation(&graph, x, SAL_ACT_TANH, 0, 0), 4, 3, 1, 1, 1);
    build_dense(&graph, build_flatten(&graph, build_mean(&graph, x, 1)), 2);
    sal_graph after = after_pass(&graph, sal_pass_turn_axes);
    cr_assert_eq(count_op(&after, SAL_OP_TRANSPOSE), 8);
    sal_graph_clear(&after);
    after = after_all(&graph);
    clear(&graph, &after);
}

Test(turn_axes, joins_and_cuts_happen_along_the_channels)
{
    sal_graph graph;
    int x = build_conv(&graph, build_input(&graph, 3, 6, 5), 4, 3, 1, 1, 1);
    int a = build_slice(&graph, x, 2, 1, 2, 3), b = build_slice(&graph, x, 2, 0, 1, 2);
    int both = build_raw(&graph, SAL_OP_CONCAT, a, b);
    graph.nodes[both].axis = 2;
    x = build_slice(&graph, build_done(&graph, both), 3, 1, 1, 3);
    build_dense(&graph, build_flatten(&graph, x), 2);
    sal_graph after = after_pass(&graph, sal_pass_turn_axes);
    cr_expect_eq(count_op(&after, SAL_OP_SLICE), 3);
    for (size_t i = 0; i < after.count; i++)
        cr_expect(after.nodes[i].op != SAL_OP_SLICE || after.nodes[i].axis == 1);
    sal_graph_clear(&after);
    after = after_all(&graph);
    cr_expect_eq(count_op(&after, SAL_OP_SLICE), 3);
    cr_expect_eq(count_op(&after, SAL_OP_CONCAT), 1);
    for (size_t i = 0; i < after.count; i++)
        cr_expect((after.nodes[i].op != SAL_OP_SLICE && after.nodes[i].op != SAL_OP_CONCAT) ||
                  after.nodes[i].axis == 1);
    clear(&graph, &after);
}

Test(turn_axes, a_gate_of_one_value_per_pixel_is_repeated_over_the_channels)
{
    const sal_op ops[] = {SAL_OP_MUL, SAL_OP_ADD};
    for (size_t k = 0; k < 2; k++) {
        sal_graph graph;
        int x = build_conv(&graph, build_input(&graph, 3, 6, 5), 4, 3, 1, 1, 1);
        int mask = build_activation(&graph, build_conv(&graph, x, 1, 3, 1, 1, 1), SAL_ACT_SIGMOID, 0, 0);
        x = build_two(&graph, ops[k], x, mask);
        build_dense(&graph, build_flatten(&graph, x), 2);
        sal_graph after = after_pass(&graph, sal_pass_turn_axes);
        cr_assert_eq(count_op(&after, SAL_OP_CONV), 3);
        sal_graph_clear(&after);
        after = after_all(&graph);
        clear(&graph, &after);
    }
}

Test(turn_axes, what_no_back_end_takes_is_named)
{
    sal_graph graph;
    int x = build_input(&graph, 3, 6, 6);
    graph.nodes[x].shape = (sal_shape){.rank = 3, .dim = {1, 4, 9}}; /* no picture */
    build_dense(&graph, build_flatten(&graph, x), 2);
    cr_assert_eq(sal_passes_run(&graph), SAL_ERROR_UNSUPPORTED);
    cr_assert(strstr(sal_last_error(), "input_0"), "%s", sal_last_error());
    sal_graph_clear(&graph);
}

Test(turn_axes, dense_of_each_channel_stays)
{
    sal_graph graph, after;
    int x = build_conv(&graph, build_input(&graph, 3, 6, 6), 4, 3, 1, 1, 1);
    x = build_dense(&graph, build_reshape(&graph, x, 3, 4, 36, 0, 0), 5); /* (1, 4, 36) to (1, 4, 5) */
    build_dense(&graph, build_flatten(&graph, x), 2);
    after = after_all(&graph);
    cr_assert_eq(count_op(&after, SAL_OP_DENSE), 2);
    cr_assert_eq(count_op(&after, SAL_OP_TRANSPOSE), 0);
    sal_graph_clear(&after);
    sal_graph_clear(&graph);
}

Test(turn_axes, operands_that_are_not_broadcast_are_expanded)
{
    sal_graph graph, after;
    int x = build_conv(&graph, build_input(&graph, 3, 6, 6), 4, 3, 1, 1, 1);
    int row = build_slice(&graph, x, 2, 0, 1, 1); /* (1, C, 1, W) */
    x = build_two(&graph, SAL_OP_MUL, x, row);
    build_dense(&graph, build_flatten(&graph, x), 2);
    after = after_all(&graph);
    cr_assert_eq(count_op(&after, SAL_OP_EXPAND), 1);
    sal_graph_clear(&after);
    sal_graph_clear(&graph);
}

/* Readers of each kind, and the two edges between them. */
Test(settle_rows, a_reshape_stands_where_maps_and_rows_meet)
{
    sal_graph graph, after;
    size_t rows = 0;
    int x = build_conv(&graph, build_input(&graph, 3, 6, 6), 4, 3, 1, 1, 1);
    int weights = build_softmax(&graph, x, 3);
    x = build_two(&graph, SAL_OP_MUL, x, build_activation(&graph, weights, SAL_ACT_SIGMOID, 0, 0));
    build_dense(&graph, build_flatten(&graph, build_mean(&graph, build_conv(&graph, x, 5, 3, 1, 1, 1), 2)), 2);
    after = after_all(&graph);
    for (size_t i = 0; i < after.count; i++) {
        const sal_node *n = &after.nodes[i];
        rows += (size_t)n->rows;
        if (n->op == SAL_OP_CONV)
            cr_assert(!n->rows && !after.nodes[n->inputs[0]].rows);
        if (n->op == SAL_OP_SOFTMAX || n->op == SAL_OP_MUL)
            cr_assert(n->rows && after.nodes[n->inputs[0]].rows);
    }
    cr_assert_eq(rows, 4); /* softmax, sigmoid, product, and the map for the first and the last */
    sal_graph_clear(&after);
    sal_graph_clear(&graph);
}

Test(settle_rows, feature_maps_alone_stay_as_they_are)
{
    sal_graph graph, after;
    int x = build_transpose(&graph, build_conv(&graph, build_input(&graph, 3, 6, 6), 4, 3, 1, 1, 1), "0231");
    x = build_transpose(&graph, build_affine(&graph, build_norm(&graph, x, 3), 3), "0312");
    build_dense(&graph, build_flatten(&graph, build_mean(&graph, x, 2)), 2);
    after = after_all(&graph);
    for (size_t i = 0; i < after.count; i++)
        cr_assert(!after.nodes[i].rows);
    sal_graph_clear(&after);
    sal_graph_clear(&graph);
}

Test(fold_affine, factors_go_into_products_of_matrices)
{
    sal_graph graph, after;
    int x = build_reshape(&graph, build_conv(&graph, build_input(&graph, 3, 4, 4), 6, 3, 1, 1, 1), 3, 6, 16, 0, 0);
    int a = build_scalar(&graph, x, 0.5F, 0);
    x = build_scalar(&graph, build_matmul(&graph, a, x, 1, 0.25F), -2.0F, 0);
    build_dense(&graph, build_flatten(&graph, x), 2);
    after = after_all(&graph);
    cr_assert_eq(count_op(&after, SAL_OP_AFFINE), 0);
    for (size_t i = 0; i < after.count; i++)
        if (after.nodes[i].op == SAL_OP_MATMUL)
            cr_assert_eq((double)after.nodes[i].scale, -0.25);
    sal_graph_clear(&after);
    sal_graph_clear(&graph);
}
