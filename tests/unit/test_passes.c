/* Each pass alone: what it rewrites, what it must leave, and that the network computes the same. */
#include "unit/graph_builder.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

/* The pass must find nothing to do. */
static void assert_untouched(const sal_graph *graph, sal_pass *pass)
{
    sal_graph copy;
    int changed = -1;
    cr_assert_eq(sal_graph_copy(&copy, graph), SAL_OK);
    cr_assert_eq(pass(&copy, &changed), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(changed, 0);
    cr_assert_eq(copy.count, graph->count);
    sal_graph_clear(&copy);
}

static void clear(sal_graph *a, sal_graph *b)
{
    sal_graph_clear(a);
    sal_graph_clear(b);
}

/* ---- drop_identity ---- */

Test(drop_identity, every_node_that_changes_nothing_goes)
{
    sal_graph graph;
    int x = build_input(&graph, 4, 5, 6);
    x = build_scalar(&graph, x, 1, 0);
    x = build_transpose(&graph, x, "0123");
    x = build_slice(&graph, x, 2, 0, 1, 5);
    x = build_activation(&graph, x, SAL_ACT_NONE, 0, 0);
    x = build_activation(&graph, x, SAL_ACT_CLIP, -INFINITY, INFINITY);
    x = build_raw(&graph, SAL_OP_CONCAT, x, -1);
    graph.nodes[x].axis = 1;
    x = build_done(&graph, x);
    x = build_pool(&graph, SAL_OP_AVG_POOL, x, 1, 1, 0);
    x = build_raw(&graph, SAL_OP_PAD, x, -1);
    x = build_done(&graph, x);
    x = build_raw(&graph, SAL_OP_SHUFFLE, x, -1);
    graph.nodes[x].groups = 4;
    x = build_done(&graph, x);
    x = build_reshape(&graph, x, 4, 4, 5, 6, 0);
    x = build_mean(&graph, x, 0);
    build_mean(&graph, x, 0);
    sal_graph after = after_pass(&graph, sal_pass_drop_identity);
    cr_assert_eq(after.count, 2);
    cr_assert_eq(after.nodes[after.output].op, SAL_OP_REDUCE_MEAN);
    clear(&graph, &after);
}

Test(drop_identity, reshapes_in_a_row_become_one_and_clip_without_top_a_relu)
{
    sal_graph graph;
    int x = build_input(&graph, 4, 5, 6);
    x = build_activation(&graph, x, SAL_ACT_CLIP, 0, FLT_MAX);
    x = build_reshape(&graph, x, 5, 2, 2, 5, 6);
    build_flatten(&graph, build_reshape(&graph, x, 3, 20, 6, 0, 0));
    sal_graph after = after_pass(&graph, sal_pass_drop_identity);
    cr_assert_eq(after.count, 3);
    cr_assert_eq(after.nodes[1].activation.kind, SAL_ACT_RELU);
    cr_assert_eq(after.nodes[2].shape.rank, 2);
    clear(&graph, &after);
}

Test(drop_identity, nodes_that_do_something_stay)
{
    sal_graph graph;
    int x = build_input(&graph, 4, 5, 6);
    x = build_scalar(&graph, x, 1, 0.25F);
    x = build_affine(&graph, x, 1);
    x = build_activation(&graph, x, SAL_ACT_CLIP, 0, 6);
    x = build_slice(&graph, x, 2, 1, 1, 4);
    x = build_pad(&graph, x, 0, 0, 0, 0); /* one column */
    x = build_pool(&graph, SAL_OP_MAX_POOL, x, 1, 2, 0);
    build_transpose(&graph, x, "0132");
    assert_untouched(&graph, sal_pass_drop_identity);
    sal_graph_clear(&graph);
}

/* ---- fuse_gates ---- */

Test(fuse_gates, x_times_sigmoid_is_silu_in_either_order)
{
    for (int swapped = 0; swapped < 2; swapped++) {
        sal_graph graph;
        int x = build_input(&graph, 4, 5, 6);
        int gate = build_activation(&graph, x, SAL_ACT_SIGMOID, 0, 0);
        build_two(&graph, SAL_OP_MUL, swapped ? gate : x, swapped ? x : gate);
        sal_graph after = after_pass(&graph, sal_pass_fuse_gates);
        cr_assert_eq(after.count, 2);
        cr_assert_eq(after.nodes[1].activation.kind, SAL_ACT_SILU);
        clear(&graph, &after);
    }
}

Test(fuse_gates, hard_swish_is_found_in_all_its_forms)
{
    for (int form = 0; form < 3; form++) {
        sal_graph graph;
        int x = build_input(&graph, 4, 5, 6), gate;
        if (form == 0) {
            gate = build_activation(&graph, x, SAL_ACT_HARD_SIGMOID, 1.0F / 6, 0.5F);
        } else {
            gate = build_activation(&graph, build_scalar(&graph, x, 1, 3), SAL_ACT_CLIP, 0, 6);
            if (form == 1)
                gate = build_scalar(&graph, gate, 0.16666667F, 0);
        }
        int y = build_two(&graph, SAL_OP_MUL, x, gate);
        if (form == 2)
            build_scalar(&graph, y, 0.16666667F, 0);
        sal_graph after = after_pass(&graph, sal_pass_fuse_gates);
        cr_assert_eq(after.count, 2, "form %d", form);
        cr_assert_eq(after.nodes[1].activation.kind, SAL_ACT_HARD_SWISH);
        clear(&graph, &after);
    }
}

Test(fuse_gates, hard_sigmoid_in_pieces_is_one)
{
    sal_graph graph;
    int x = build_input(&graph, 4, 5, 6);
    x = build_activation(&graph, build_scalar(&graph, x, 1, 3), SAL_ACT_CLIP, 0, 6);
    build_scalar(&graph, x, 1.0F / 6, 0);
    sal_graph after = after_pass(&graph, sal_pass_fuse_gates);
    cr_assert_eq(after.count, 2);
    cr_assert_eq(after.nodes[1].activation.kind, SAL_ACT_HARD_SIGMOID);
    clear(&graph, &after);
}

Test(fuse_gates, gates_of_other_values_stay)
{
    sal_graph graph;
    int x = build_input(&graph, 4, 5, 6);
    int gate = build_activation(&graph, build_mean(&graph, x, 0), SAL_ACT_SIGMOID, 0, 0);
    x = build_two(&graph, SAL_OP_MUL, x, gate);
    x = build_two(&graph, SAL_OP_MUL, x, build_activation(&graph, x, SAL_ACT_HARD_SIGMOID, 0.2F, 0.5F));
    x = build_two(&graph, SAL_OP_ADD, x, build_activation(&graph, x, SAL_ACT_SIGMOID, 0, 0));
    x = build_activation(&graph, build_scalar(&graph, x, 1, 3), SAL_ACT_CLIP, 0, 6);
    build_scalar(&graph, x, 0.2F, 0);
    assert_untouched(&graph, sal_pass_fuse_gates);
    sal_graph_clear(&graph);
}

/* ---- fuse_shuffle ---- */

Test(fuse_shuffle, reshape_transpose_reshape_is_a_shuffle)
{
    sal_graph graph;
    int x = build_input(&graph, 6, 4, 5);
    x = build_reshape(&graph, x, 5, 2, 3, 4, 5);
    x = build_transpose(&graph, x, "02134");
    build_reshape(&graph, x, 4, 6, 4, 5, 0);
    sal_graph after = after_pass(&graph, sal_pass_fuse_shuffle);
    cr_assert_eq(after.count, 2);
    cr_assert_eq(after.nodes[1].op, SAL_OP_SHUFFLE);
    cr_assert_eq(after.nodes[1].groups, 2);
    clear(&graph, &after);
}

Test(fuse_shuffle, other_splits_and_swaps_stay)
{
    sal_graph graph;
    int x = build_input(&graph, 6, 4, 5);
    int a = build_transpose(&graph, build_reshape(&graph, x, 5, 2, 3, 4, 5), "02143");
    a = build_reshape(&graph, a, 4, 6, 4, 5, 0);
    int b = build_transpose(&graph, build_reshape(&graph, x, 5, 6, 2, 2, 5), "02134");
    build_two(&graph, SAL_OP_ADD, a, build_reshape(&graph, b, 4, 6, 4, 5, 0));
    assert_untouched(&graph, sal_pass_fuse_shuffle);
    sal_graph_clear(&graph);
}

/* ---- absorb_pads ---- */

Test(absorb_pads, zeros_before_conv_and_average_pool_go_into_the_window)
{
    sal_graph graph;
    int x = build_pad(&graph, build_input(&graph, 3, 7, 7), 0, 1, 2, 0);
    int conv = build_conv(&graph, x, 4, 3, 2, 1, 1);
    int pool = build_pool(&graph, SAL_OP_AVG_POOL, build_pad(&graph, conv, 0, 1, 1, 0), 3, 1, 0);
    (void)pool;
    sal_graph after = after_pass(&graph, sal_pass_absorb_pads);
    cr_assert_eq(count_op(&after, SAL_OP_PAD), 0);
    cr_assert_eq(after.nodes[1].window.pad_begin[0], 2);
    cr_assert_eq(after.nodes[1].window.pad_begin[1], 3);
    cr_assert_eq(after.nodes[1].window.pad_end[1], 3);
    cr_assert_eq(after.nodes[2].window.count_padding, 1);
    clear(&graph, &after);
}

Test(absorb_pads, zeros_before_a_max_pool_go_only_behind_a_relu)
{
    sal_graph graph;
    int x = build_input(&graph, 3, 7, 7);
    int relu = build_activation(&graph, x, SAL_ACT_RELU, 0, 0);
    int a = build_pool(&graph, SAL_OP_MAX_POOL, build_pad(&graph, relu, 0, 1, 1, 0), 3, 2, 0);
    int b = build_pool(&graph, SAL_OP_MAX_POOL, build_pad(&graph, x, 0, 1, 1, 0), 3, 2, 0);
    build_two(&graph, SAL_OP_CONCAT, a, b);
    sal_graph after = after_pass(&graph, sal_pass_absorb_pads);
    cr_assert_eq(count_op(&after, SAL_OP_PAD), 1);
    clear(&graph, &after);
}

Test(absorb_pads, padding_that_means_something_else_stays)
{
    sal_graph graph;
    int x = build_input(&graph, 3, 7, 7);
    int a = build_conv(&graph, build_pad(&graph, x, 0, 1, 2, 0.5F), 4, 3, 2, 0, 1);
    int b = build_pool(&graph, SAL_OP_AVG_POOL, build_pad(&graph, a, 0, 1, 1, 0), 3, 1, 1);
    build_pool(&graph, SAL_OP_AVG_POOL, build_pad(&graph, b, 0, 3, 3, 0), 2, 2, 0);
    assert_untouched(&graph, sal_pass_absorb_pads);
    sal_graph_clear(&graph);
}

/* ---- fold_affine ---- */

Test(fold_affine, batch_norm_behind_conv_and_dense_goes_into_the_weights)
{
    sal_graph graph;
    int x = build_input(&graph, 4, 5, 5);
    x = build_affine(&graph, build_conv(&graph, x, 6, 3, 1, 1, 2), 1);
    x = build_flatten(&graph, build_activation(&graph, x, SAL_ACT_RELU, 0, 0));
    build_affine(&graph, build_dense(&graph, x, 3), 1);
    sal_graph after = after_pass(&graph, sal_pass_fold_affine);
    cr_assert_eq(count_op(&after, SAL_OP_AFFINE), 0);
    cr_assert_eq(after.count, 5);
    clear(&graph, &after);
}

Test(fold_affine, a_conv_without_bias_gets_one)
{
    sal_graph graph;
    int conv = build_conv(&graph, build_input(&graph, 4, 5, 5), 6, 3, 1, 1, 1);
    graph.nodes[conv].bias_count = 0;
    free(graph.nodes[conv].bias);
    graph.nodes[conv].bias = NULL;
    build_affine(&graph, conv, 1);
    sal_graph after = after_pass(&graph, sal_pass_fold_affine);
    cr_assert_eq(after.nodes[1].bias_count, 6);
    clear(&graph, &after);
}

Test(fold_affine, scaling_of_the_input_goes_into_an_unpadded_grouped_conv)
{
    sal_graph graph;
    int x = build_affine(&graph, build_scalar(&graph, build_input(&graph, 4, 5, 5), 0.25F, -1), 1);
    build_conv(&graph, x, 6, 3, 1, 0, 2);
    sal_graph after = after_pass(&graph, sal_pass_fold_affine);
    cr_assert_eq(after.count, 2);
    clear(&graph, &after);
}

Test(fold_affine, a_shift_before_a_padded_conv_stays_but_a_scale_goes)
{
    sal_graph graph;
    int x = build_affine(&graph, build_input(&graph, 4, 5, 5), 1);
    build_conv(&graph, x, 6, 3, 1, 1, 1);
    assert_untouched(&graph, sal_pass_fold_affine);
    for (int i = 0; i < 4; i++)
        graph.nodes[x].bias[i] = 0;
    sal_graph after = after_pass(&graph, sal_pass_fold_affine);
    cr_assert_eq(after.count, 2);
    clear(&graph, &after);
}

Test(fold_affine, chains_of_scalars_and_channels_become_one)
{
    sal_graph graph;
    int x = build_scalar(&graph, build_input(&graph, 4, 5, 5), 2, 1);
    x = build_scalar(&graph, build_affine(&graph, x, 1), 0.5F, -3);
    x = build_affine(&graph, x, 3);
    build_activation(&graph, build_scalar(&graph, x, 3, 2), SAL_ACT_RELU, 0, 0);
    sal_graph after = after_pass(&graph, sal_pass_fold_affine);
    cr_assert_eq(count_op(&after, SAL_OP_AFFINE), 2); /* one along axis 1, one along axis 3 */
    clear(&graph, &after);
}

Test(fold_affine, nothing_is_folded_past_a_reader_a_residual_or_an_activation)
{
    sal_graph graph;
    int x = build_input(&graph, 4, 5, 5);
    int seen = build_conv(&graph, x, 4, 3, 1, 1, 1);
    int norm = build_affine(&graph, seen, 1);
    int active = build_conv(&graph, x, 4, 3, 1, 1, 1);
    graph.nodes[active].activation.kind = SAL_ACT_RELU;
    int sum = build_two(&graph, SAL_OP_ADD, norm, seen);
    sum = build_two(&graph, SAL_OP_ADD, sum, build_affine(&graph, active, 1));
    int relu = build_activation(&graph, build_affine(&graph, sum, 1), SAL_ACT_RELU, 0, 0);
    build_conv(&graph, relu, 4, 3, 1, 1, 1);
    assert_untouched(&graph, sal_pass_fold_affine);
    sal_graph_clear(&graph);
}

/* ---- fuse_conv ---- */

Test(fuse_conv, residual_and_activation_go_into_the_later_conv)
{
    for (int swapped = 0; swapped < 2; swapped++) {
        sal_graph graph;
        int x = build_input(&graph, 4, 6, 6);
        int a = build_conv(&graph, x, 5, 3, 2, 1, 1);
        int b = build_conv(&graph, x, 5, 1, 2, 0, 1);
        int sum = build_two(&graph, SAL_OP_ADD, swapped ? b : a, swapped ? a : b);
        build_activation(&graph, sum, SAL_ACT_RELU, 0, 0);
        sal_graph after = after_pass(&graph, sal_pass_fuse_conv);
        cr_assert_eq(after.count, 3);
        const sal_node *last = &after.nodes[after.output];
        cr_assert_eq(last->op, SAL_OP_CONV);
        cr_assert_eq(last->window.kernel[0], 1);
        cr_assert_eq(last->input_count, 2);
        cr_assert_eq(last->activation.kind, SAL_ACT_RELU);
        clear(&graph, &after);
    }
}

Test(fuse_conv, a_conv_waits_for_a_residual_that_comes_later)
{
    sal_graph graph;
    int x = build_input(&graph, 4, 6, 6);
    int a = build_conv(&graph, x, 4, 3, 1, 1, 1);
    int b = build_activation(&graph, x, SAL_ACT_SILU, 0, 0);
    build_two(&graph, SAL_OP_ADD, a, b);
    sal_graph after = after_pass(&graph, sal_pass_fuse_conv);
    cr_assert_eq(after.count, 3);
    cr_assert_eq(after.nodes[2].op, SAL_OP_CONV);
    cr_assert_eq(after.nodes[2].inputs[1], 1);
    clear(&graph, &after);
}

Test(fuse_conv, relu_behind_dense_goes_into_it)
{
    sal_graph graph;
    int x = build_dense(&graph, build_flatten(&graph, build_input(&graph, 2, 3, 3)), 8);
    build_dense(&graph, build_activation(&graph, x, SAL_ACT_LEAKY_RELU, 0.1F, 0), 3);
    sal_graph after = after_pass(&graph, sal_pass_fuse_conv);
    cr_assert_eq(after.count, 4);
    cr_assert_eq(after.nodes[2].activation.kind, SAL_ACT_LEAKY_RELU);
    clear(&graph, &after);
}

Test(fuse_conv, smooth_activations_second_readers_and_gates_stay)
{
    sal_graph graph;
    int x = build_input(&graph, 4, 6, 6);
    int a = build_conv(&graph, x, 4, 3, 1, 1, 1);
    int b = build_activation(&graph, a, SAL_ACT_SILU, 0, 0);
    int c = build_conv(&graph, b, 4, 3, 1, 1, 1);
    int d = build_activation(&graph, c, SAL_ACT_RELU, 0, 0); /* c is read again below */
    int e = build_two(&graph, SAL_OP_MUL, d, c);
    int gate = build_conv(&graph, build_mean(&graph, e, 0), 4, 1, 1, 0, 1);
    build_two(&graph, SAL_OP_ADD, e, gate); /* of another shape */
    assert_untouched(&graph, sal_pass_fuse_conv);
    sal_graph_clear(&graph);
}

Test(fuse_conv, a_chain_of_residual_blocks_stays_in_order)
{
    sal_graph graph;
    int x = build_input(&graph, 4, 6, 6);
    for (int i = 0; i < 3; i++) {
        int y = build_activation(&graph, build_conv(&graph, x, 4, 3, 1, 1, 1), SAL_ACT_RELU, 0, 0);
        y = build_conv(&graph, y, 4, 3, 1, 1, 1);
        x = build_activation(&graph, build_two(&graph, SAL_OP_ADD, y, x), SAL_ACT_RELU, 0, 0);
    }
    sal_graph after = after_pass(&graph, sal_pass_fuse_conv);
    cr_assert_eq(after.count, 7);
    cr_assert_eq(count_op(&after, SAL_OP_CONV), 6);
    clear(&graph, &after);
}
