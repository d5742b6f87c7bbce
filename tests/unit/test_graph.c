#include "base/memory.h"
#include "unit/graph_builder.h"

#include <criterion/criterion.h>
#include <stdlib.h>

Test(graph, clearing_a_zeroed_graph_is_harmless)
{
    sal_graph graph = {0};
    sal_graph_clear(&graph);
    sal_graph_clear(&graph);
    cr_assert_eq(graph.input, -1);
    cr_assert_eq(graph.detached, SAL_OP_COUNT);
}

Test(graph, add_copies_name_and_inputs_and_refuses_nodes_that_are_not_there)
{
    sal_graph graph;
    char name[] = "conv1";
    int out, inputs[1] = {0};
    build_input(&graph, 1, 2, 2);
    cr_assert_eq(sal_graph_add(&out, &graph, SAL_OP_ACTIVATION, name, inputs, 1), SAL_OK);
    name[0] = 'x';
    inputs[0] = 7;
    cr_assert_str_eq(graph.nodes[out].name, "conv1");
    cr_assert_eq(graph.nodes[out].inputs[0], 0);
    cr_assert_eq(sal_graph_add(&out, &graph, SAL_OP_ACTIVATION, "late", inputs, 1), SAL_ERROR_ARGUMENT);
    cr_assert_eq(graph.count, 2);
    cr_assert_eq(sal_graph_add(&out, &graph, SAL_OP_COUNT, "bad", inputs, 0), SAL_ERROR_ARGUMENT);
    sal_graph_clear(&graph);
}

Test(graph, uses_count_every_reading_and_the_output)
{
    sal_graph graph;
    int uses[3];
    int x = build_input(&graph, 1, 2, 2);
    int a = build_activation(&graph, x, SAL_ACT_RELU, 0, 0);
    build_two(&graph, SAL_OP_MUL, a, a);
    sal_graph_count_uses(&graph, uses);
    cr_assert_eq(uses[0], 1);
    cr_assert_eq(uses[1], 2);
    cr_assert_eq(uses[2], 1);
    sal_graph_clear(&graph);
}

Test(graph, compact_drops_dead_nodes_and_restores_the_order)
{
    sal_graph graph;
    int x = build_input(&graph, 2, 4, 4);
    int a = build_activation(&graph, x, SAL_ACT_RELU, 0, 0);
    int b = build_activation(&graph, a, SAL_ACT_TANH, 0, 0);
    build_activation(&graph, x, SAL_ACT_ELU, 1, 0); /* dead */
    int late = build_activation(&graph, x, SAL_ACT_SIGMOID, 0, 0);
    graph.nodes[a].inputs[0] = late;
    graph.output = b;
    graph.head = a;
    cr_assert_eq(sal_graph_compact(&graph), SAL_OK);
    cr_assert_eq(graph.count, 4);
    for (size_t i = 0; i < graph.count; i++)
        for (int k = 0; k < graph.nodes[i].input_count; k++)
            cr_assert_lt(graph.nodes[i].inputs[k], (int)i);
    cr_assert_eq(graph.nodes[graph.output].activation.kind, SAL_ACT_TANH);
    cr_assert_eq(graph.nodes[graph.head].activation.kind, SAL_ACT_RELU);
    cr_assert_eq(graph.nodes[graph.input].op, SAL_OP_INPUT);
    sal_graph_clear(&graph);
}

Test(graph, compact_refuses_a_cycle)
{
    sal_graph graph;
    int x = build_input(&graph, 1, 2, 2);
    int a = build_activation(&graph, x, SAL_ACT_RELU, 0, 0);
    int b = build_activation(&graph, a, SAL_ACT_TANH, 0, 0);
    graph.nodes[a].inputs[0] = b;
    cr_assert_eq(sal_graph_compact(&graph), SAL_ERROR_FORMAT);
    sal_graph_clear(&graph);
}

Test(graph, compact_survives_a_very_deep_graph)
{
    sal_graph graph;
    int at = build_input(&graph, 1, 1, 1), first = at;
    for (int i = 0; i < 200000; i++)
        at = build_activation(&graph, at, SAL_ACT_TANH, 0, 0);
    cr_assert_eq(sal_graph_compact(&graph), SAL_OK);
    cr_assert_eq(graph.count, 200001);
    cr_assert_eq(graph.input, first);
    sal_graph_clear(&graph);
}

Test(graph, redirect_spares_the_new_node_itself)
{
    sal_graph graph;
    int x = build_input(&graph, 1, 2, 2);
    int a = build_activation(&graph, x, SAL_ACT_RELU, 0, 0);
    int b = build_activation(&graph, x, SAL_ACT_TANH, 0, 0);
    int c = build_activation(&graph, a, SAL_ACT_TANH, 0, 0);
    graph.output = a;
    graph.nodes[b].inputs[0] = a;
    sal_graph_redirect(&graph, a, b);
    cr_assert_eq(graph.nodes[b].inputs[0], a);
    cr_assert_eq(graph.nodes[c].inputs[0], b);
    cr_assert_eq(graph.output, b);
    sal_graph_clear(&graph);
}

Test(graph, copy_has_weights_of_its_own)
{
    sal_graph graph, copy;
    int x = build_input(&graph, 3, 5, 5);
    int conv = build_conv(&graph, x, 4, 3, 1, 1, 1);
    graph.nodes[conv].activation.kind = SAL_ACT_RELU;
    graph.head = conv;
    graph.detached = SAL_OP_SOFTMAX;
    cr_assert_eq(sal_strdup(&graph.detached_name, "prob"), SAL_OK);
    cr_assert_eq(sal_graph_copy(&copy, &graph), SAL_OK);
    cr_assert_neq(copy.nodes[conv].weight, graph.nodes[conv].weight);
    cr_assert_neq(copy.detached_name, graph.detached_name);
    assert_same(&graph, &copy);
    float old = copy.nodes[conv].weight[0];
    graph.nodes[conv].weight[0] = old + 1.0F;
    cr_assert_eq(copy.nodes[conv].weight[0], old);
    sal_graph_clear(&graph);
    cr_assert_str_eq(copy.detached_name, "prob");
    cr_assert_str_eq(copy.nodes[conv].name, "conv_1");
    cr_assert_eq(copy.head, conv);
    sal_graph_clear(&copy);
}

Test(graph, every_op_and_activation_has_a_row)
{
    for (int op = 0; op < SAL_OP_COUNT; op++) {
        const sal_op_row *row = sal_op_get((sal_op)op);
        cr_assert(row->name && row->infer && row->flops, "op %d", op);
    }
    for (int kind = 0; kind < SAL_ACT_COUNT; kind++)
        cr_assert_str_neq(sal_activation_name((sal_activation_kind)kind), "unknown");
    cr_assert_eq(sal_activation_keep(SAL_ACT_RELU), SAL_KEEP_SIGN);
    cr_assert_eq(sal_activation_keep(SAL_ACT_SIGMOID), SAL_KEEP_OUTPUT);
    cr_assert_eq(sal_activation_keep(SAL_ACT_SILU), SAL_KEEP_INPUT);
    cr_assert_eq(sal_activation_keep(SAL_ACT_NONE), SAL_KEEP_NOTHING);
}

Test(graph, flops_of_a_conv_count_two_per_multiply_add)
{
    sal_graph graph;
    int x = build_input(&graph, 4, 8, 8);
    int conv = build_conv(&graph, x, 6, 3, 1, 1, 2);
    /* 6*8*8 results of 2 channels * 9 taps, and one bias each */
    cr_assert_eq(sal_op_get(SAL_OP_CONV)->flops(&graph, &graph.nodes[conv]), 6U * 64U * (2U * 18U + 1U));
    sal_graph_clear(&graph);
}

Test(graph, shape_text_fits_any_buffer)
{
    char text[64];
    sal_shape shape = {.rank = 4, .dim = {1, 64, 56, 57}};
    cr_assert_str_eq(sal_shape_text(text, sizeof text, &shape), "(1, 64, 56, 57)");
    for (size_t size = 1; size < 20; size++) {
        text[size] = 'x';
        sal_shape_text(text, size, &shape);
        cr_assert_eq(text[size], 'x');
    }
}
