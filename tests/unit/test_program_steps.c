/* The steps that a network becomes, by hand: what is kept, made again and taken along. "sN" is what step N makes, "kN"
 * the mask or the indices that it keeps, "x" the picture. */
#include "unit/fake_device.h"
#include "unit/graph_builder.h"
#include "unit/test_program_nets.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sal_graph graph;

static void clear(void)
{
    sal_graph_clear(&graph);
}

TestSuite(program_steps, .init = fake_reset, .fini = clear);

static void name_of(char *text, size_t size, const sal_program *p, int value)
{
    if (value == p->input || value == p->seed)
        snprintf(text, size, "%s", value == p->input ? "x" : "seed");
    for (int s = 0; s < (int)p->step_count; s++)
        if (p->steps[s].output == value || p->steps[s].kept == value)
            snprintf(text, size, "%c%d", p->steps[s].output == value ? 's' : 'k', s);
}

/* "back conv s9 relu s1 add s9": inputs are in the order of the contract, where the addend comes last. */
static void describe(char *text, size_t size, const sal_program *p, int index)
{
    const sal_step *s = &p->steps[index];
    size_t used = (size_t)snprintf(text, size, "%s", sal_step_kind_name(s->kind));
    for (int k = 0; k < s->input_count; k++) {
        char name[16] = "?";
        name_of(name, sizeof name, p, s->inputs[k]);
        const char *role = "";
        if (s->addend >= 0 && k == s->input_count - 1)
            role = s->inputs[k] == s->addend ? "add " : "WRONG ADDEND ";
        else if (s->activated >= 0 && k == 1)
            role = s->inputs[k] == s->activated ? "relu " : "WRONG RELU ";
        used += (size_t)snprintf(text + used, size - used, " %s%s", role, name);
    }
    if (s->kind == SAL_STEP_MUL_BACKWARD)
        used += (size_t)snprintf(text + used, size - used, " of %d", s->operand);
    if (s->kind == SAL_STEP_CONCAT_BACKWARD)
        used += (size_t)snprintf(text + used, size - used, " from %ld", (long)s->first_channel);
    /* What holds a forward value is no gradient, whichever part makes it. */
    if (index >= (int)p->forward_count && !p->values[s->output].gradient)
        snprintf(text + used, size - used, " again");
}

/* Checks every step; kept: numbers of the steps that keep something, as " 0 2". */
static void check_steps(const sal_program_options *options, const char *const *steps, const char *kept)
{
    char text[200], keeping[100] = "";
    sal_program *p = net_open(&graph, options);
    for (int s = 0; s < (int)p->step_count; s++) {
        describe(text, sizeof text, p, s);
        cr_assert_not_null(steps[s], "step %d, %s, is too many", s, text);
        cr_expect_str_eq(text, steps[s], "step %d is '%s', expected '%s'", s, text, steps[s]);
        cr_expect_eq(p->steps[s].rule, (int)options->rule);
        cr_expect(p->steps[s].operand == 0 || p->steps[s].operand < p->steps[s].node->input_count,
                  "step %d: operand %d", s, p->steps[s].operand);
        if (p->steps[s].kept >= 0) {
            const sal_value *v = &p->values[p->steps[s].kept];
            snprintf(keeping + strlen(keeping), sizeof keeping - strlen(keeping), " %d", s);
            cr_expect_eq(v->type, p->steps[s].kind == SAL_STEP_MAX_POOL ? SAL_VALUE_INDICES : SAL_VALUE_MASK);
            cr_expect(sal_shape_equal(&v->shape, &p->steps[s].node->shape));
        }
        cr_expect_eq(p->values[p->steps[s].output].type, SAL_VALUE_FLOATS);
        cr_expect(s >= (int)p->forward_count || !p->values[p->steps[s].output].gradient);
    }
    cr_expect_null(steps[p->step_count], "%s is missing", steps[p->step_count]);
    cr_expect_str_eq(keeping, kept, "kept are those of%s, expected%s", keeping, kept);
    name_of(text, sizeof text, p, p->gradient);
    cr_expect_eq(atoi(text + 1), (int)p->step_count - 1, "the gradient is %s", text);
    cr_expect(p->values[p->gradient].picture == 1 && p->values[p->input].picture == 1 && p->values[p->seed].seed == 1);
    cr_expect(p->values[p->seed].gradient == 1 && !p->values[p->input].gradient);
    sal_program_close(p);
}

#define CHECK(kept, ...) check_steps(&(sal_program_options){.batch = 1}, (const char *const[]){__VA_ARGS__, NULL}, kept)

/* Mean, flatten and a dense layer. */
static void head(int x)
{
    build_dense(&graph, build_flatten(&graph, build_mean(&graph, x, 2)), 2);
}

static int input(void)
{
    return build_input(&graph, 3, 8, 8);
}

static int conv(int x)
{
    return build_conv(&graph, x, 3, 3, 1, 1, 1);
}

static int pool(int x)
{
    return build_pool(&graph, SAL_OP_MAX_POOL, x, 2, 2, 0);
}

static int act(int x, sal_activation_kind kind)
{
    return build_activation(&graph, x, kind, 0.1f, 0.5f);
}

Test(program_steps, of_a_chain_keep_a_mask_and_indices)
{
    int x = conv(input());
    graph.nodes[x].activation.kind = SAL_ACT_RELU;
    build_dense(&graph, build_flatten(&graph, build_pool(&graph, SAL_OP_MAX_POOL, x, 2, 2, 0)), 2);
    CHECK(" 0 1", "conv x", "max pool s0", "reshape s1", "dense s2", "back dense seed", "back reshape s4",
          "back max pool s5 k1", "back activation s6 k0", "back conv s7");
}

Test(program_steps, of_ops_that_need_nothing_keep_nothing)
{
    int x = build_pad(&graph, build_affine(&graph, conv(input()), 1), 2, 1, 1, 0.5f);
    x = build_pool(&graph, SAL_OP_AVG_POOL, build_slice(&graph, x, 1, 0, 1, 2), 2, 1, 0);
    int node = build_raw(&graph, SAL_OP_SHUFFLE, x, -1);
    graph.nodes[node].groups = 2;
    head(build_transpose(&graph, build_done(&graph, node), "0132"));
    CHECK("", "conv x", "affine s0", "pad s1", "slice s2", "average pool s3", "shuffle s4", "transpose s5", "mean s6",
          "reshape s7", "dense s8", "back dense seed", "back reshape s10", "back mean s11", "back transpose s12",
          "back shuffle s13", "back average pool s14", "back slice s15", "back pad s16", "back affine s17",
          "back conv s18");
}

Test(program_steps, of_an_activation_that_changes_nothing_leave_no_step_on_the_way_back)
{
    head(act(conv(input()), SAL_ACT_NONE));
    CHECK("", "conv x", "activation s0", "mean s1", "reshape s2", "dense s3", "back dense seed", "back reshape s5",
          "back mean s6", "back conv s7");
}

Test(program_steps, to_a_layer_end_at_what_it_makes)
{
    static const char *const behind[] = {"back dense seed", "back reshape s7", "back mean s8"};
    const int x = pool(act(conv(input()), SAL_ACT_SIGMOID));
    head(conv(x));
    for (int layer = 1; layer <= x; layer++) {
        char text[200];
        sal_program *p = net_open(&graph, &(sal_program_options){.batch = 1, .end = SAL_PASS_TO_LAYER, .layer = layer});
        cr_assert_eq(p->forward_count, 7);
        cr_expect_eq(p->step_count, 7 + 4 + (size_t)(x - layer), "to node %d: %zu steps", layer, p->step_count);
        for (int k = 0; k < 3; k++) {
            describe(text, sizeof text, p, 7 + k);
            cr_expect_str_eq(text, behind[k]);
        }
        cr_expect_eq(p->layer, layer);
        cr_expect_eq(p->gradient, p->steps[p->step_count - 1].output);
        cr_expect(!p->values[p->gradient].picture);
        sal_program_close(p);
    }
}

/* ---- ReLUs that convolutions take along ---------------------------------- */

static const char *const taken[] = {"conv x",
                                    "conv s0",
                                    "mean s1",
                                    "reshape s2",
                                    "dense s3",
                                    "back dense seed",
                                    "back reshape s5",
                                    "back mean s6",
                                    "back conv s7 relu s0",
                                    "back conv s8",
                                    NULL};
static const char *const not_taken[] = {"conv x",          "conv s0",
                                        "mean s1",         "reshape s2",
                                        "dense s3",        "back dense seed",
                                        "back reshape s5", "back mean s6",
                                        "back conv s7",    "back activation s8 k0",
                                        "back conv s9",    NULL};

static void two_convs(sal_activation_kind kind)
{
    int x = conv(input());
    graph.nodes[x].activation = (sal_activation){kind, 0.1f, 0.0f};
    head(conv(x));
}

Test(program_steps, a_fused_relu_is_taken_along_where_the_device_can)
{
    two_convs(SAL_ACT_RELU);
    check_steps(&(sal_program_options){.batch = 1}, not_taken, " 0");
    fake_take_relus();
    check_steps(&(sal_program_options){.batch = 1}, taken, "");
    check_steps(&(sal_program_options){.batch = 1, .lean = 1}, not_taken, " 0");
    check_steps(&(sal_program_options){.batch = 1, .rule = SAL_RULE_GUIDED}, not_taken, " 0");
    check_steps(&(sal_program_options){.batch = 1, .rule = SAL_RULE_RECTIFIED}, not_taken, " 0");
}

Test(program_steps, other_activations_are_not_taken_along)
{
    two_convs(SAL_ACT_LEAKY_RELU);
    fake_take_relus();
    check_steps(&(sal_program_options){.batch = 1}, not_taken, " 0");
}

Test(program_steps, a_relu_of_its_own_is_taken_along_and_leaves_no_step)
{
    head(conv(act(conv(input()), SAL_ACT_RELU)));
    fake_take_relus();
    CHECK("", "conv x", "activation s0", "conv s1", "mean s2", "reshape s3", "dense s4", "back dense seed",
          "back reshape s6", "back mean s7", "back conv s8 relu s1", "back conv s9");
}

Test(program_steps, a_relu_is_taken_along_before_the_addend)
{
    int r = act(conv(input()), SAL_ACT_RELU);
    head(build_two(&graph, SAL_OP_ADD, conv(r), r));
    fake_take_relus();
    CHECK("", "conv x", "activation s0", "conv s1", "add s2 s1", "mean s3", "reshape s4", "dense s5", "back dense seed",
          "back reshape s7", "back mean s8", "back conv s9 relu s1 add s9", "back conv s10");
}

Test(program_steps, a_gradient_that_others_read_takes_no_relu_along)
{
    fake_take_relus();
    int x = input(), r = act(conv(x), SAL_ACT_RELU);
    head(conv(build_two(&graph, SAL_OP_ADD, r, conv(x))));
    CHECK(" 1", "conv x", "activation s0", "conv x", "add s1 s2", "conv s3", "mean s4", "reshape s5", "dense s6",
          "back dense seed", "back reshape s8", "back mean s9", "back conv s10", "back conv s11",
          "back activation s11 k1", "back conv s13 add s12");
    sal_graph_clear(&graph);
    x = input();
    int q = conv(x);
    head(conv(build_two(&graph, SAL_OP_ADD, act(conv(x), SAL_ACT_RELU), q)));
    CHECK(" 2", "conv x", "conv x", "activation s1", "add s2 s0", "conv s3", "mean s4", "reshape s5", "dense s6",
          "back dense seed", "back reshape s8", "back mean s9", "back conv s10", "back activation s11 k2",
          "back conv s12", "back conv s11 add s13");
    sal_graph_clear(&graph);
    x = input();
    head(conv(build_two(&graph, SAL_OP_ADD, act(conv(x), SAL_ACT_RELU), x))); /* the picture is the other */
    CHECK(" 1", "conv x", "activation s0", "add s1 x", "conv s2", "mean s3", "reshape s4", "dense s5",
          "back dense seed", "back reshape s7", "back mean s8", "back conv s9", "back activation s10 k1",
          "back conv s11 add s10");
}

Test(program_steps, a_convolution_takes_one_relu_along)
{
    fake_take_relus();
    head(conv(act(act(conv(input()), SAL_ACT_RELU), SAL_ACT_RELU)));
    CHECK(" 1", "conv x", "activation s0", "activation s1", "conv s2", "mean s3", "reshape s4", "dense s5",
          "back dense seed", "back reshape s7", "back mean s8", "back conv s9 relu s2", "back activation s10 k1",
          "back conv s11");
}

Test(program_steps, only_convolutions_take_a_relu_along)
{
    fake_take_relus();
    head(act(conv(input()), SAL_ACT_RELU));
    CHECK(" 1", "conv x", "activation s0", "mean s1", "reshape s2", "dense s3", "back dense seed", "back reshape s5",
          "back mean s6", "back activation s7 k1", "back conv s8");
}

/* ---- Ties of max pools ----------------------------------------------------- */

/* Numbers of the steps behind which there is a max pool, as " 0 2". */
static void expect_ties(const sal_program_options *options, const char *expected)
{
    char found[100] = "";
    sal_program *p = net_open(&graph, options);
    for (int s = 0; s < (int)p->step_count; s++)
        if (p->steps[s].ties)
            snprintf(found + strlen(found), sizeof found - strlen(found), " %d", s);
    cr_expect_str_eq(found, expected, "ties matter in%s, expected%s", found, expected);
    sal_program_close(p);
}

Test(program_steps, ties_matter_before_a_max_pool_through_any_layers)
{
    int x = conv(input()), a = conv(act(build_affine(&graph, x, 1), SAL_ACT_SILU)), q = conv(x); /* steps 0, 3, 4 */
    q = build_two(&graph, SAL_OP_MUL, q, conv(build_mean(&graph, x, 2)));                        /* 6 */
    a = build_two(&graph, SAL_OP_ADD, a, q);
    x = build_two(&graph, SAL_OP_CONCAT, a, conv(x)); /* 9 */
    x = build_transpose(&graph, build_pad(&graph, x, 2, 1, 1, 0.5f), "0132");
    x = build_pool(&graph, SAL_OP_AVG_POOL, x, 3, 1, 1);
    head(conv(pool(x))); /* behind the pool */
    expect_ties(&(sal_program_options){.batch = 1}, " 0 3 4 6 9");
    expect_ties(&(sal_program_options){.batch = 1, .end = SAL_PASS_NOWHERE}, " 0 3 4 6 9");
}

Test(program_steps, ties_matter_on_the_side_of_the_pool_only)
{
    int x = input(), beside = build_conv(&graph, x, 3, 3, 2, 1, 1);
    head(conv(build_two(&graph, SAL_OP_ADD, beside, pool(conv(conv(x))))));
    expect_ties(&(sal_program_options){.batch = 1}, " 1 2");
    sal_graph_clear(&graph);
    head(conv(pool(input())));
    expect_ties(&(sal_program_options){.batch = 1}, "");
}

Test(program_steps, ties_matter_before_a_maximum_over_axes)
{
    head(build_reduce(&graph, conv(input()), SAL_REDUCTION_MAX, 2, 2));
    expect_ties(&(sal_program_options){.batch = 1}, " 0");
    sal_graph_clear(&graph);
    head(build_reduce(&graph, conv(input()), SAL_REDUCTION_SUM, 2, 2));
    expect_ties(&(sal_program_options){.batch = 1}, "");
}

/* ---- Several readers ----------------------------------------------------- */

Test(program_steps, a_fused_residual_gets_the_gradient_behind_the_activation)
{
    int r = act(conv(input()), SAL_ACT_RELU);
    head(act(build_two(&graph, SAL_OP_ADD, conv(r), r), SAL_ACT_RELU));
    cr_assert_eq(sal_passes_run(&graph), SAL_OK);
    CHECK(" 0 1", "conv x", "conv s0 s0", "mean s1", "reshape s2", "dense s3", "back dense seed", "back reshape s5",
          "back mean s6", "back activation s7 k1", "back conv s8 add s8", "back activation s9 k0", "back conv s10");
}

Test(program_steps, a_sum_of_a_thing_with_itself_doubles_its_gradient)
{
    int a = conv(input());
    head(build_two(&graph, SAL_OP_ADD, a, a));
    CHECK("", "conv x", "add s0 s0", "mean s1", "reshape s2", "dense s3", "back dense seed", "back reshape s5",
          "back mean s6", "add s7 s7", "back conv s8");
}

Test(program_steps, a_broadcast_addend_gets_the_sum_over_pixels)
{
    int a = conv(input());
    head(build_two(&graph, SAL_OP_ADD, a, build_mean(&graph, a, 2)));
    CHECK("", "conv x", "mean s0", "add s0 s1", "mean s2", "reshape s3", "dense s4", "back dense seed",
          "back reshape s6", "back mean s7", "sum s8", "back mean s9 add s8", "back conv s10");
}

Test(program_steps, parts_of_a_concat_begin_where_the_earlier_ones_end)
{
    int x = input(), parts[3];
    for (int k = 0; k < 3; k++)
        parts[k] = build_conv(&graph, x, 2 + k, 1, 1, 0, 1);
    int node;
    cr_assert_eq(sal_graph_add(&node, &graph, SAL_OP_CONCAT, NULL, parts, 3), SAL_OK);
    graph.nodes[node].axis = 1;
    head(build_done(&graph, node));
    CHECK("", "conv x", "conv x", "conv x", "concat s0 s1 s2", "mean s3", "reshape s4", "dense s5", "back dense seed",
          "back reshape s7", "back mean s8", "back concat s9 from 0", "back concat s9 from 2", "back concat s9 from 5",
          "back conv s12", "back conv s11 add s13", "back conv s10 add s14");
}

/* A constant is read, and nobody asks for its gradient. */
Test(program_steps, constants_get_no_gradient)
{
    int x = conv(input()), c = build_constant(&graph, "1,3,1,1");
    x = build_two(&graph, SAL_OP_ADD, x, c);
    x = build_two(&graph, SAL_OP_MUL, build_constant(&graph, "1,3,8,8"), x);
    head(build_two(&graph, SAL_OP_CONCAT, build_constant(&graph, "1,2,8,8"), x));
    CHECK("", "conv x", "constant", "add s0 s1", "constant", "mul s3 s2", "constant", "concat s5 s4", "mean s6",
          "reshape s7", "dense s8", "back dense seed", "back reshape s10", "back mean s11", "back concat s12 from 2",
          "back mul s13 s3 of 1", "back conv s14");
}

/* ---- Values that are kept, and made again --------------------------------- */

static void expect_all_made_again(void)
{
    CHECK("", "conv x", "activation s0", "conv s1", "activation s2", "mean s3", "reshape s4", "dense s5",
          "back dense seed", "back reshape s7", "back mean s8", "activation s0 again", "conv s10 again",
          "back activation s9 s11", "back conv s12", "back activation s13 s0", "back conv s14");
}

Test(program_steps, cheap_values_are_made_again_from_what_is_kept)
{
    int x = act(conv(input()), SAL_ACT_SILU);
    x = build_conv(&graph, x, 3, 3, 1, 1, 3);
    head(act(x, SAL_ACT_SILU));
    expect_all_made_again();
    sal_graph_clear(&graph);
    x = act(build_conv(&graph, input(), 2, 3, 1, 1, 1), SAL_ACT_SILU);
    head(act(build_conv(&graph, x, 2, 3, 1, 1, 2), SAL_ACT_SILU)); /* the fewest channels */
    expect_all_made_again();
}

/* The same with another convolution in the middle: its value is kept. */
static void expect_middle_kept(void)
{
    CHECK("", "conv x", "activation s0", "conv s1", "activation s2", "mean s3", "reshape s4", "dense s5",
          "back dense seed", "back reshape s7", "back mean s8", "back activation s9 s2", "back conv s10",
          "back activation s11 s0", "back conv s12");
}

Test(program_steps, maps_of_one_pixel_are_not_made_again)
{
    for (int width = 1; width <= 2; width++) {
        int x = act(conv(build_input(&graph, 3, 1, width)), SAL_ACT_SILU);
        head(act(build_conv(&graph, x, 3, 3, 1, 1, 3), SAL_ACT_SILU));
        if (width == 1)
            expect_middle_kept();
        else
            expect_all_made_again();
        sal_graph_clear(&graph);
    }
}

Test(program_steps, convolutions_that_are_not_depthwise_are_not_made_again)
{
    head(act(build_conv(&graph, act(conv(input()), SAL_ACT_SILU), 6, 3, 1, 1, 3), SAL_ACT_SILU));
    expect_middle_kept(); /* two outputs a group */
    sal_graph_clear(&graph);
    int x = act(build_conv(&graph, input(), 6, 3, 1, 1, 1), SAL_ACT_SILU);
    head(act(build_conv(&graph, x, 3, 3, 1, 1, 3), SAL_ACT_SILU));
    expect_middle_kept(); /* two inputs a group */
    sal_graph_clear(&graph);
    x = act(build_conv(&graph, input(), 1, 3, 1, 1, 1), SAL_ACT_SILU);
    head(act(build_conv(&graph, x, 1, 3, 1, 1, 1), SAL_ACT_SILU));
    expect_middle_kept(); /* one channel, and so one group */
}

Test(program_steps, depthwise_convolutions_that_do_more_are_not_made_again)
{
    /* An activation in them; the mask is theirs. */
    int x = act(conv(input()), SAL_ACT_SILU);
    x = build_conv(&graph, x, 3, 3, 1, 1, 3);
    graph.nodes[x].activation.kind = SAL_ACT_RELU;
    head(act(x, SAL_ACT_SILU));
    CHECK(" 2", "conv x", "activation s0", "conv s1", "activation s2", "mean s3", "reshape s4", "dense s5",
          "back dense seed", "back reshape s7", "back mean s8", "back activation s9 s2", "back activation s10 k2",
          "back conv s11", "back activation s12 s0", "back conv s13");
    /* A residual. */
    sal_graph_clear(&graph);
    x = act(conv(input()), SAL_ACT_SILU);
    head(act(build_two(&graph, SAL_OP_ADD, build_conv(&graph, x, 3, 3, 1, 1, 3), x), SAL_ACT_SILU));
    cr_assert_eq(sal_passes_run(&graph), SAL_OK);
    CHECK("", "conv x", "activation s0", "conv s1 s1", "activation s2", "mean s3", "reshape s4", "dense s5",
          "back dense seed", "back reshape s7", "back mean s8", "back activation s9 s2", "back conv s10 add s10",
          "back activation s11 s0", "back conv s12");
}

Test(program_steps, values_of_one_pixel_are_kept)
{
    int x = build_mean(&graph, conv(input()), 2);
    x = act(build_conv(&graph, x, 3, 1, 1, 0, 3), SAL_ACT_SILU);
    x = act(build_conv(&graph, x, 3, 1, 1, 0, 3), SAL_ACT_SILU);
    build_dense(&graph, build_flatten(&graph, x), 2);
    CHECK("", "conv x", "mean s0", "conv s1", "activation s2", "conv s3", "activation s4", "reshape s5", "dense s6",
          "back dense seed", "back reshape s8", "back activation s9 s4", "back conv s10", "back activation s11 s2",
          "back conv s12", "back mean s13", "back conv s14");
}

Test(program_steps, relus_are_never_made_again)
{
    int r = act(conv(input()), SAL_ACT_RELU);
    head(act(build_conv(&graph, r, 3, 3, 1, 1, 3), SAL_ACT_SILU));
    CHECK(" 1", "conv x", "activation s0", "conv s1", "activation s2", "mean s3", "reshape s4", "dense s5",
          "back dense seed", "back reshape s7", "back mean s8", "back activation s9 s2", "back conv s10",
          "back activation s11 k1", "back conv s12");
}

Test(program_steps, of_a_product_read_the_other_factor)
{
    int a = conv(input());
    head(build_two(&graph, SAL_OP_MUL, a, act(a, SAL_ACT_SIGMOID)));
    CHECK("", "conv x", "activation s0", "mul s0 s1", "mean s2", "reshape s3", "dense s4", "back dense seed",
          "back reshape s6", "back mean s7", "activation s0 again", "back mul s8 s9 of 0", "back mul s8 s0 of 1",
          "back activation s11 s9 add s10", "back conv s12");
}

/* A sigmoid is made again from a factor of a product, which is kept for the other factor's sake. */
Test(program_steps, factors_of_a_product_are_kept_on_either_side)
{
    int x = input(), a = conv(x), q = conv(x);
    int m = build_two(&graph, SAL_OP_MUL, a, q);
    head(build_two(&graph, SAL_OP_ADD, m, act(q, SAL_ACT_SIGMOID)));
    CHECK("", "conv x", "conv x", "mul s0 s1", "activation s1", "add s2 s3", "mean s4", "reshape s5", "dense s6",
          "back dense seed", "back reshape s8", "back mean s9", "activation s1 again", "back activation s10 s11",
          "back mul s10 s1 of 0", "back mul s10 s0 add s12 of 1", "back conv s14", "back conv s13 add s15");
    sal_graph_clear(&graph);
    x = input(), a = conv(x), q = conv(x);
    m = build_two(&graph, SAL_OP_MUL, q, a);
    head(build_two(&graph, SAL_OP_ADD, m, act(q, SAL_ACT_SIGMOID)));
    CHECK("", "conv x", "conv x", "mul s1 s0", "activation s1", "add s2 s3", "mean s4", "reshape s5", "dense s6",
          "back dense seed", "back reshape s8", "back mean s9", "activation s1 again", "back activation s10 s11",
          "back mul s10 s0 add s12 of 0", "back mul s10 s1 of 1", "back conv s13", "back conv s14 add s15");
}

Test(program_steps, what_follows_a_kept_softmax_is_made_again)
{
    head(act(build_softmax(&graph, conv(input()), 1), SAL_ACT_SIGMOID));
    CHECK("", "conv x", "softmax s0", "activation s1", "mean s2", "reshape s3", "dense s4", "back dense seed",
          "back reshape s6", "back mean s7", "activation s1 again", "back activation s8 s9", "back softmax s10 s1",
          "back conv s11");
}

Test(program_steps, of_a_sigmoid_read_its_own_output)
{
    head(act(conv(input()), SAL_ACT_SIGMOID));
    CHECK("", "conv x", "activation s0", "mean s1", "reshape s2", "dense s3", "back dense seed", "back reshape s5",
          "back mean s6", "back activation s7 s1", "back conv s8");
}

Test(program_steps, of_layer_norm_and_softmax_read_input_and_output)
{
    int x = build_dense(&graph, build_flatten(&graph, build_norm(&graph, conv(input()), 1)), 5);
    build_dense(&graph, build_softmax(&graph, x, 1), 2);
    CHECK("", "conv x", "layer norm s0", "reshape s1", "dense s2", "softmax s3", "dense s4", "back dense seed",
          "back softmax s6 s4", "back dense s7", "back reshape s8", "back layer norm s9 s0", "back conv s10");
}

/* ---- Pictures ------------------------------------------------------------- */

/* Checks which values are marked as pictures: the input, and the gradients of the steps with these numbers. */
static void check_pictures(const char *steps, int conv_pictures)
{
    char found[100] = "";
    sal_program *p = net_open(&graph, &(sal_program_options){.batch = 1});
    for (int s = 0; s < (int)p->step_count; s++)
        if (p->values[p->steps[s].output].picture)
            snprintf(found + strlen(found), sizeof found - strlen(found), " %d", s);
    cr_expect_str_eq(found, steps);
    for (size_t v = 0; v < p->value_count; v++) {
        cr_expect_eq(p->values[v].conv_picture, p->values[v].picture && conv_pictures, "value %zu", v);
        cr_expect_eq(p->values[v].seed, (int)v == p->seed);
    }
    sal_program_close(p);
}

Test(program_steps, pictures_that_ungrouped_convolutions_alone_read_are_marked)
{
    head(conv(input()));
    check_pictures(" 7", 1);
    sal_graph_clear(&graph);
    int x = input(), a = conv(x);
    head(build_two(&graph, SAL_OP_ADD, a, conv(x)));
    check_pictures(" 9 10", 1);
    sal_graph_clear(&graph);
    head(build_conv(&graph, input(), 3, 3, 1, 1, 3));
    check_pictures(" 7", 0);
    sal_graph_clear(&graph);
    head(build_pool(&graph, SAL_OP_AVG_POOL, input(), 2, 2, 0));
    check_pictures(" 7", 0);
    sal_graph_clear(&graph);
    x = input();
    head(build_two(&graph, SAL_OP_ADD, conv(x), x));
    check_pictures(" 8", 0);
    /* The picture as the second input of a convolution. */
    sal_graph_clear(&graph);
    x = input();
    head(build_two(&graph, SAL_OP_ADD, conv(conv(x)), x));
    cr_assert_eq(sal_passes_run(&graph), SAL_OK);
    cr_assert_eq(count_op(&graph, SAL_OP_ADD), 0);
    check_pictures(" 9", 0);
}
