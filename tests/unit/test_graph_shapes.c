/* Shape rules: what they compute, and what they refuse. */
#include "unit/graph_builder.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static void assert_shape(const sal_graph *graph, int node, const char *expected)
{
    char text[160];
    cr_assert_str_eq(sal_shape_text(text, sizeof text, &graph->nodes[node].shape), expected);
}

static void assert_refused(sal_graph *graph, int node, sal_status status)
{
    sal_status st = sal_graph_infer(graph, node);
    cr_assert_eq(st, status, "status %d, expected %d (%s)", (int)st, (int)status, sal_last_error());
    cr_assert(strstr(sal_last_error(), graph->nodes[node].name), "%s", sal_last_error());
}

Test(shapes, conv_follows_the_formula_for_stride_dilation_and_uneven_pads)
{
    sal_graph graph;
    int x = build_input(&graph, 4, 13, 10);
    int conv = build_conv(&graph, x, 6, 3, 1, 0, 2);
    assert_shape(&graph, conv, "(1, 6, 11, 8)");
    sal_window *w = &graph.nodes[conv].window;
    w->stride[0] = 2;
    w->dilation[0] = 3; /* spans 7 */
    w->pad_begin[0] = 1;
    w->pad_end[0] = 2; /* (13 + 3 - 7) / 2 + 1 = 5 */
    w->stride[1] = 3;
    w->pad_end[1] = 1; /* (10 + 1 - 3) / 3 + 1 = 3 */
    build_done(&graph, conv);
    assert_shape(&graph, conv, "(1, 6, 5, 3)");
    sal_graph_clear(&graph);
}

Test(shapes, conv_refuses_wrong_weights_biases_groups_and_kernels)
{
    sal_graph graph;
    int x = build_input(&graph, 4, 5, 5);
    int conv = build_conv(&graph, x, 6, 3, 1, 0, 2);
    sal_node *n = &graph.nodes[conv];
    n->weight_count--;
    assert_refused(&graph, conv, SAL_ERROR_FORMAT);
    n->weight_count = 18; /* one output for two groups */
    n->bias_count = 1;
    assert_refused(&graph, conv, SAL_ERROR_FORMAT);
    n->weight_count = 108;
    assert_refused(&graph, conv, SAL_ERROR_FORMAT); /* one bias for six outputs */
    n->bias_count = 6;
    n->window.groups = 3;
    assert_refused(&graph, conv, SAL_ERROR_FORMAT);
    n->window.groups = 2;
    n->window.dilation[1] = 3;
    assert_refused(&graph, conv, SAL_ERROR_FORMAT); /* spans 7 of 5 */
    n->window.dilation[1] = INT64_MAX;
    assert_refused(&graph, conv, SAL_ERROR_FORMAT);
    n->window.dilation[1] = 1;
    n->window.pad_begin[0] = -1;
    assert_refused(&graph, conv, SAL_ERROR_UNSUPPORTED);
    n->window.pad_begin[0] = 0;
    n->activation.kind = SAL_ACT_SILU;
    assert_refused(&graph, conv, SAL_ERROR_UNSUPPORTED);
    n->activation.kind = SAL_ACT_RELU;
    n->window.stride[0] = -2;
    assert_refused(&graph, conv, SAL_ERROR_FORMAT);
    sal_graph_clear(&graph);
}

Test(shapes, conv_refuses_a_residual_of_another_shape)
{
    sal_graph graph;
    int x = build_input(&graph, 4, 5, 5);
    int conv = build_raw(&graph, SAL_OP_CONV, x, x);
    int twin = build_conv(&graph, x, 6, 3, 1, 1, 1);
    sal_node *n = &graph.nodes[conv], *t = &graph.nodes[twin];
    n->window = t->window;
    n->weight = t->weight, n->weight_count = t->weight_count;
    assert_refused(&graph, conv, SAL_ERROR_FORMAT);
    n->weight = NULL, n->weight_count = 0;
    assert_refused(&graph, conv, SAL_ERROR_FORMAT);
    sal_graph_clear(&graph);
}

Test(shapes, input_refuses_empty_huge_and_batched_shapes)
{
    sal_graph graph;
    int x = build_input(&graph, 3, 4, 4);
    sal_shape *shape = &graph.nodes[x].shape;
    shape->dim[2] = 0;
    assert_refused(&graph, x, SAL_ERROR_FORMAT);
    shape->dim[2] = INT64_MAX / 2;
    assert_refused(&graph, x, SAL_ERROR_LIMIT);
    shape->dim[2] = 4;
    shape->dim[0] = 2;
    assert_refused(&graph, x, SAL_ERROR_UNSUPPORTED);
    shape->rank = 9;
    assert_refused(&graph, x, SAL_ERROR_UNSUPPORTED);
    sal_graph_clear(&graph);
}

Test(shapes, sum_puts_the_small_operand_second)
{
    sal_graph graph;
    int x = build_input(&graph, 3, 4, 5);
    int gate = build_mean(&graph, x, 0);
    int product = build_two(&graph, SAL_OP_MUL, gate, x);
    assert_shape(&graph, product, "(1, 3, 4, 5)");
    cr_assert_eq(graph.nodes[product].inputs[0], x);
    cr_assert_eq(graph.nodes[product].inputs[1], gate);
    int other = build_slice(&graph, x, 2, 0, 1, 3);
    assert_refused(&graph, build_raw(&graph, SAL_OP_ADD, x, other), SAL_ERROR_UNSUPPORTED);
    sal_graph_clear(&graph);
}

Test(shapes, concat_and_slice_count_along_their_axis)
{
    sal_graph graph;
    int x = build_input(&graph, 3, 4, 5);
    int slice = build_slice(&graph, x, 1, 1, 2, 1);
    assert_shape(&graph, slice, "(1, 1, 4, 5)");
    assert_shape(&graph, build_two(&graph, SAL_OP_CONCAT, x, slice), "(1, 4, 4, 5)");
    int bad = build_raw(&graph, SAL_OP_CONCAT, x, slice);
    graph.nodes[bad].axis = 2;
    assert_refused(&graph, bad, SAL_ERROR_FORMAT);
    graph.nodes[bad].axis = 4;
    assert_refused(&graph, bad, SAL_ERROR_UNSUPPORTED);
    graph.nodes[slice].start = 2;
    graph.nodes[slice].shape.dim[1] = 2;
    assert_refused(&graph, slice, SAL_ERROR_FORMAT);
    graph.nodes[slice].start = INT64_MAX;
    assert_refused(&graph, slice, SAL_ERROR_FORMAT);
    sal_graph_clear(&graph);
}

Test(shapes, pool_refuses_a_window_wholly_in_the_padding)
{
    sal_graph graph;
    int x = build_input(&graph, 3, 4, 4);
    int pool = build_pool(&graph, SAL_OP_MAX_POOL, x, 2, 2, 1);
    assert_shape(&graph, pool, "(1, 3, 3, 3)");
    graph.nodes[pool].window.pad_begin[1] = 2;
    assert_refused(&graph, pool, SAL_ERROR_UNSUPPORTED);
    graph.nodes[pool].window.pad_begin[1] = 0;
    graph.nodes[pool].window.pad_end[1] = 3;
    assert_refused(&graph, pool, SAL_ERROR_UNSUPPORTED);
    sal_graph_clear(&graph);
}

Test(shapes, reshape_transpose_and_shuffle_keep_all_elements)
{
    sal_graph graph;
    int x = build_input(&graph, 6, 4, 5);
    assert_shape(&graph, build_transpose(&graph, x, "0231"), "(1, 4, 5, 6)");
    assert_shape(&graph, build_flatten(&graph, x), "(1, 120)");
    int bad = build_raw(&graph, SAL_OP_RESHAPE, x, -1);
    graph.nodes[bad].shape = (sal_shape){.rank = 2, .dim = {1, 119}};
    assert_refused(&graph, bad, SAL_ERROR_FORMAT);
    bad = build_raw(&graph, SAL_OP_TRANSPOSE, x, -1);
    assert_refused(&graph, bad, SAL_ERROR_FORMAT); /* 0, 0, 0, 0 */
    memcpy(graph.nodes[bad].permutation, (int[4]){1, 0, 2, 3}, 4 * sizeof(int));
    assert_refused(&graph, bad, SAL_ERROR_UNSUPPORTED);
    bad = build_raw(&graph, SAL_OP_SHUFFLE, x, -1);
    graph.nodes[bad].groups = 4;
    assert_refused(&graph, bad, SAL_ERROR_FORMAT);
    sal_graph_clear(&graph);
}

Test(shapes, channels_last_states_are_accepted_before_the_passes)
{
    sal_graph graph;
    int x = build_input(&graph, 4, 5, 6);
    assert_shape(&graph, build_affine(&graph, x, 3), "(1, 4, 5, 6)");
    assert_shape(&graph, build_norm(&graph, x, 3), "(1, 4, 5, 6)");
    assert_shape(&graph, build_dense(&graph, x, 7), "(1, 4, 5, 7)");
    assert_shape(&graph, build_mean(&graph, x, 1), "(1, 1, 1, 6)");
    assert_shape(&graph, build_mean(&graph, x, 0), "(1, 4, 1, 1)");
    assert_shape(&graph, build_pad(&graph, x, 1, 1, 2, 0), "(1, 7, 9, 6)");
    assert_shape(&graph, build_pad(&graph, x, 0, 1, 2, 0), "(1, 4, 8, 10)");
    sal_graph_clear(&graph);
}

Test(shapes, affine_and_dense_refuse_wrong_counts)
{
    sal_graph graph;
    int x = build_input(&graph, 4, 5, 6);
    int affine = build_affine(&graph, x, 1);
    graph.nodes[affine].weight_count = 3;
    assert_refused(&graph, affine, SAL_ERROR_FORMAT);
    graph.nodes[affine].weight_count = 1;
    graph.nodes[affine].bias_count = 1;
    cr_assert_eq(sal_graph_infer(&graph, affine), SAL_OK);
    graph.nodes[affine].op = SAL_OP_LAYER_NORM;
    assert_refused(&graph, affine, SAL_ERROR_FORMAT);
    int dense = build_dense(&graph, x, 3);
    graph.nodes[dense].weight_count--;
    assert_refused(&graph, dense, SAL_ERROR_FORMAT);
    sal_graph_clear(&graph);
}

Test(shapes, activations_refuse_nan_and_empty_ranges)
{
    sal_graph graph;
    int x = build_input(&graph, 4, 5, 6);
    int clip = build_activation(&graph, x, SAL_ACT_CLIP, 0, 6);
    graph.nodes[clip].activation.alpha = 7;
    assert_refused(&graph, clip, SAL_ERROR_FORMAT);
    graph.nodes[clip].activation.alpha = NAN;
    assert_refused(&graph, clip, SAL_ERROR_NUMERIC);
    graph.nodes[clip].activation.kind = SAL_ACT_COUNT;
    assert_refused(&graph, clip, SAL_ERROR_UNSUPPORTED);
    sal_graph_clear(&graph);
}

Test(shapes, wrong_numbers_of_inputs_are_refused)
{
    sal_graph graph;
    int x = build_input(&graph, 4, 5, 6);
    assert_refused(&graph, build_raw(&graph, SAL_OP_ADD, x, -1), SAL_ERROR_FORMAT);
    assert_refused(&graph, build_raw(&graph, SAL_OP_ACTIVATION, x, x), SAL_ERROR_FORMAT);
    assert_refused(&graph, build_raw(&graph, SAL_OP_CONV, -1, -1), SAL_ERROR_FORMAT);
    sal_graph_clear(&graph);
}

Test(shapes, matmul_needs_operands_that_fit)
{
    sal_graph graph;
    int x = build_input(&graph, 2, 3, 4);
    int a = build_matmul(&graph, x, x, 1, 0);
    assert_shape(&graph, a, "(1, 2, 3, 3)");
    cr_assert_eq((double)graph.nodes[a].scale, 1.0);
    int b = build_raw(&graph, SAL_OP_MATMUL, x, x);
    graph.nodes[b].transpose[0] = 1;
    build_done(&graph, b);
    assert_shape(&graph, b, "(1, 2, 4, 4)");
    graph.nodes[b].transpose[0] = 0;
    assert_refused(&graph, b, SAL_ERROR_FORMAT); /* (3, 4) times (3, 4) */
    assert_refused(&graph, build_raw(&graph, SAL_OP_MATMUL, x, build_slice(&graph, a, 1, 0, 1, 1)), SAL_ERROR_FORMAT);
    graph.nodes[a].scale = INFINITY;
    assert_refused(&graph, a, SAL_ERROR_NUMERIC);
    sal_graph_clear(&graph);
}

Test(shapes, reduce_keeps_its_axes_with_size_1)
{
    sal_graph graph;
    int x = build_input(&graph, 2, 3, 4);
    assert_shape(&graph, build_reduce(&graph, x, SAL_REDUCTION_MAX, 1, 2), "(1, 1, 1, 4)");
    int r = build_reduce(&graph, x, SAL_REDUCTION_SUM, 3, 0);
    assert_shape(&graph, r, "(1, 2, 3, 1)");
    graph.nodes[r].axis_count = 2;
    assert_refused(&graph, r, SAL_ERROR_FORMAT);
    graph.nodes[r].axis_count = -1;
    assert_refused(&graph, r, SAL_ERROR_FORMAT);
    graph.nodes[r].axis_count = 1;
    graph.nodes[r].axis = 0;
    assert_refused(&graph, r, SAL_ERROR_UNSUPPORTED);
    graph.nodes[r].axis = 1;
    graph.nodes[r].reduction = SAL_REDUCTION_COUNT;
    assert_refused(&graph, r, SAL_ERROR_UNSUPPORTED);
    sal_graph_clear(&graph);
}

Test(shapes, expand_repeats_only_what_is_1)
{
    sal_graph graph;
    int row = build_slice(&graph, build_input(&graph, 2, 3, 4), 2, 0, 1, 1);
    int e = build_expand(&graph, row, "1,2,5,4");
    assert_shape(&graph, e, "(1, 2, 5, 4)");
    graph.nodes[e].shape.dim[1] = 4;
    assert_refused(&graph, e, SAL_ERROR_FORMAT);
    graph.nodes[e].shape = (sal_shape){.rank = 3, .dim = {1, 2, 4}};
    assert_refused(&graph, e, SAL_ERROR_FORMAT);
    graph.nodes[e].shape = (sal_shape){.rank = 4, .dim = {2, 2, 5, 4}};
    assert_refused(&graph, e, SAL_ERROR_UNSUPPORTED);
    sal_graph_clear(&graph);
}

Test(shapes, gather_is_as_long_as_its_indices)
{
    static const int index[] = {0, 2, 1, 0, 2, 2};
    sal_graph graph;
    int x = build_input(&graph, 2, 3, 4);
    int y = build_gather(&graph, x, 2, 3, 2, index, NULL);
    assert_shape(&graph, y, "(1, 2, 3, 4)");
    sal_node *n = &graph.nodes[y];
    n->taps = 0;
    build_done(&graph, y);
    assert_shape(&graph, y, "(1, 2, 6, 4)");
    n->taps = 4;
    assert_refused(&graph, y, SAL_ERROR_FORMAT);
    n->taps = 1;
    n->weight_count = 3;
    assert_refused(&graph, y, SAL_ERROR_FORMAT);
    n->weight_count = 0;
    n->index[1] = 3;
    assert_refused(&graph, y, SAL_ERROR_FORMAT);
    n->index[1] = -1;
    assert_refused(&graph, y, SAL_ERROR_FORMAT);
    n->index[1] = 0;
    n->axis = 4;
    assert_refused(&graph, y, SAL_ERROR_UNSUPPORTED);
    sal_graph_clear(&graph);
}

Test(shapes, constants_have_all_their_elements)
{
    sal_graph graph;
    build_input(&graph, 2, 3, 4);
    int c = build_constant(&graph, "1,2,3");
    assert_shape(&graph, c, "(1, 2, 3)");
    graph.nodes[c].shape.dim[1] = 3;
    assert_refused(&graph, c, SAL_ERROR_FORMAT);
    sal_graph_clear(&graph);
}
