#include "unit/token_nets.h"

#include "unit/graph_builder.h"

#include <stdio.h>

static int act(sal_graph *g, int x, sal_activation_kind kind)
{
    return build_activation(g, x, kind, 0, 0);
}

static int add(sal_graph *g, int a, int b)
{
    return build_two(g, SAL_OP_ADD, a, b);
}

static int mul(sal_graph *g, int a, int b)
{
    return build_two(g, SAL_OP_MUL, a, b);
}

static int concat(sal_graph *g, int a, int b, int axis)
{
    int node = build_raw(g, SAL_OP_CONCAT, a, b);
    g->nodes[node].axis = axis;
    return build_done(g, node);
}

/* Part `which` of three of the last axis, by heads: tokens (1, T, 3 heads width) to (1, heads, T, width). */
static int heads_of(sal_graph *g, int qkv, int which, int64_t tokens, int64_t heads, int64_t width)
{
    char shape[64];
    int x = build_slice(g, qkv, 2, which * heads * width, 1, heads * width);
    snprintf(shape, sizeof shape, "1,%d,%d,%d", (int)tokens, (int)heads, (int)width);
    return build_transpose(g, build_shape(g, x, shape), "0213");
}

static int attend(sal_graph *g, int x, int64_t tokens, int64_t heads, int64_t width)
{
    char shape[64];
    int qkv = build_dense(g, x, 3 * heads * width);
    int q = build_scalar(g, heads_of(g, qkv, 0, tokens, heads, width), 0.5F, 0);
    int k = build_transpose(g, heads_of(g, qkv, 1, tokens, heads, width), "0132");
    int weights = build_softmax(g, build_matmul(g, q, k, 0, 1), 3);
    int y = build_matmul(g, weights, heads_of(g, qkv, 2, tokens, heads, width), 0, 1);
    snprintf(shape, sizeof shape, "1,%d,-", (int)tokens);
    return build_dense(g, build_shape(g, build_transpose(g, y, "0213"), shape), heads * width);
}

void net_vision_transformer(sal_graph *g)
{
    int x = build_conv(g, build_input(g, 3, 12, 16), 20, 4, 4, 0, 1);
    x = build_transpose(g, build_shape(g, x, "1,20,12"), "021");
    x = add(g, concat(g, build_constant(g, "1,1,20"), x, 1), build_constant(g, "1,13,20"));
    for (int layer = 0; layer < 2; layer++) {
        x = add(g, x, attend(g, build_norm(g, x, 2), 13, 2, 10));
        int y = build_dense(g, act(g, build_dense(g, build_norm(g, x, 2), 36), SAL_ACT_GELU), 20);
        x = add(g, x, y);
    }
    x = build_slice(g, build_norm(g, x, 2), 1, 0, 1, 1);
    build_dense(g, build_shape(g, x, "1,20"), 3);
}

/* Rolls by one along an axis of four. */
static int roll(sal_graph *g, int x, int axis, int back)
{
    static const int forth[] = {1, 2, 3, 0}, home[] = {3, 0, 1, 2};
    return build_gather(g, x, axis, 4, 1, back ? home : forth, NULL);
}

void net_shifted_windows(sal_graph *g)
{
    int x = build_conv(g, build_input(g, 3, 8, 8), 12, 2, 2, 0, 1);
    x = build_norm(g, build_transpose(g, x, "0231"), 3);
    for (int layer = 0; layer < 2; layer++) {
        int y = build_norm(g, x, 3);
        if (layer)
            y = roll(g, roll(g, y, 1, 0), 2, 0);
        y = build_shape(g, build_transpose(g, build_shape(g, y, "1,2,2,2,2,12"), "013245"), "1,4,4,12");
        int q = build_transpose(g, build_shape(g, build_dense(g, y, 12), "1,4,4,3,4"), "01324");
        int k = build_transpose(g, build_shape(g, build_dense(g, y, 12), "1,4,4,3,4"), "01324");
        int v = build_transpose(g, build_shape(g, build_dense(g, y, 12), "1,4,4,3,4"), "01324");
        int scores =
            add(g, build_matmul(g, q, k, 1, 0.5F), build_expand(g, build_constant(g, "1,1,3,4,4"), "1,4,3,4,4"));
        scores = add(g, scores, build_constant(g, "1,4,1,4,4")); /* broadcast by the passes */
        y = build_matmul(g, build_softmax(g, scores, 4), v, 0, 1);
        y = build_dense(g, build_shape(g, build_transpose(g, y, "01324"), "1,4,4,12"), 12);
        y = build_shape(g, build_transpose(g, build_shape(g, y, "1,2,2,2,2,12"), "013245"), "1,4,4,12");
        if (layer)
            y = roll(g, roll(g, y, 1, 1), 2, 1);
        x = add(g, x, y);
        x = add(g, x, build_dense(g, act(g, build_dense(g, build_norm(g, x, 3), 20), SAL_ACT_GELU), 12));
    }
    x = build_mean(g, build_norm(g, x, 3), 1);
    build_dense(g, build_shape(g, x, "1,12"), 2);
}

void net_non_local(sal_graph *g)
{
    int x = act(g, build_conv(g, build_input(g, 3, 9, 8), 18, 3, 2, 1, 1), SAL_ACT_RELU);
    int q = build_shape(g, build_conv(g, x, 5, 1, 1, 0, 1), "1,5,-"),
        k = build_shape(g, build_conv(g, x, 5, 1, 1, 0, 1), "1,5,-");
    int v = build_shape(g, build_conv(g, x, 18, 1, 1, 0, 1), "1,18,-");
    int node = build_raw(g, SAL_OP_MATMUL, q, k);
    g->nodes[node].transpose[0] = 1;
    int weights = build_softmax(g, build_done(g, node), 2);
    int y = build_shape(g, build_matmul(g, v, weights, 1, 1), "1,18,5,4");
    x = act(g, add(g, x, build_scalar(g, y, 0.6F, 0)), SAL_ACT_RELU);
    /* And between channels, of rank 4: its softmax is not along the last axis. */
    int maps = build_shape(g, x, "1,2,9,20");
    weights = build_softmax(g, build_matmul(g, maps, maps, 1, 0.1F), 2);
    x = add(g, x, build_shape(g, build_matmul(g, weights, maps, 0, 1), "1,18,5,4"));
    build_dense(g, build_flatten(g, build_mean(g, build_conv(g, x, 8, 3, 1, 1, 1), 2)), 2);
}

void net_spatial_gates(sal_graph *g)
{
    int x = act(g, build_conv(g, build_input(g, 3, 10, 9), 18, 3, 1, 1, 1), SAL_ACT_SILU);
    int most = build_reduce(g, x, SAL_REDUCTION_MAX, 2, 2), mean = build_mean(g, x, 2);
    x = mul(g, x, act(g, build_conv(g, add(g, most, mean), 18, 1, 1, 0, 1), SAL_ACT_SIGMOID));
    int maps = concat(g, build_reduce(g, x, SAL_REDUCTION_MAX, 1, 1), build_reduce(g, x, SAL_REDUCTION_MEAN, 1, 1), 1);
    x = mul(g, x, act(g, build_conv(g, maps, 1, 3, 1, 1, 1), SAL_ACT_SIGMOID));
    x = mul(g, x, act(g, build_reduce(g, x, SAL_REDUCTION_SUM, 3, 1), SAL_ACT_TANH)); /* a value per row */
    build_dense(g, build_flatten(g, build_reduce(g, x, SAL_REDUCTION_MAX, 2, 2)), 2);
}

static int normalize(sal_graph *g, int x)
{
    int centred = add(g, x, build_expand(g, build_scalar(g, build_mean(g, x, 2), -1, 0), "1,18,7,6"));
    int variance = build_reduce(g, mul(g, centred, centred), SAL_REDUCTION_MEAN, 2, 2);
    int scale = act(g, act(g, build_scalar(g, variance, 1, 1e-3F), SAL_ACT_SQRT), SAL_ACT_RECIPROCAL);
    return build_affine(g, mul(g, centred, scale), 1);
}

/* a x below 0, a of each channel. */
static int prelu(sal_graph *g, int x)
{
    int below = act(g, build_scalar(g, x, -1, 0), SAL_ACT_RELU);
    return add(g, act(g, x, SAL_ACT_RELU), build_affine(g, build_scalar(g, below, -1, 0), 1));
}

void net_instance_norms(sal_graph *g)
{
    int x = prelu(g, normalize(g, build_conv(g, build_input(g, 3, 7, 6), 18, 3, 1, 1, 1)));
    x = prelu(g, normalize(g, build_conv(g, x, 18, 3, 1, 1, 1)));
    /* Not of the mean: without its ReLUs, as deconvnet has it, a norm would take all of that gradient away. */
    build_dense(g, build_flatten(g, x), 2);
}

void net_resizes(sal_graph *g)
{
    static const int twice[] = {0, 0, 1, 1, 2, 2, 3, 3}, linear[] = {0, 0, 0, 1, 0, 1, 1, 2, 1, 2, 2, 3, 2, 3, 3, 3};
    static const float weights[] = {1,     0,     0.75F, 0.25F, 0.25F, 0.75F, 0.75F, 0.25F,
                                    0.25F, 0.75F, 0.75F, 0.25F, 0.25F, 0.75F, 1,     0};
    static const int mirror[] = {1, 0, 1, 2, 3, 4, 5, 6, 7, 6};
    int x = act(g, build_conv(g, build_input(g, 3, 8, 8), 9, 3, 1, 1, 1), SAL_ACT_RELU);
    int y = act(g, build_conv(g, build_pool(g, SAL_OP_MAX_POOL, x, 2, 2, 0), 11, 3, 1, 1, 1), SAL_ACT_GELU);
    int up = build_gather(g, build_gather(g, y, 2, 8, 1, twice, NULL), 3, 8, 1, twice, NULL);
    int smooth = build_gather(g, build_gather(g, y, 2, 8, 2, linear, weights), 3, 8, 2, linear, weights);
    x = concat(g, concat(g, x, up, 1), smooth, 1);
    x = build_gather(g, build_gather(g, x, 2, 10, 1, mirror, NULL), 3, 10, 1, mirror, NULL);
    x = act(g, build_conv(g, x, 7, 3, 1, 0, 1), SAL_ACT_RELU);
    build_dense(g, build_flatten(g, build_mean(g, x, 2)), 2);
}

void net_band_norms(sal_graph *g)
{
    int index[3 * 18];
    float weights[3 * 18];
    for (int c = 0; c < 18; c++)
        for (int t = 0; t < 3; t++) {
            const int from = c + t - 1;
            weights[3 * c + t] = from >= 0 && from < 18 ? 1.0F : 0.0F;
            index[3 * c + t] = from >= 0 && from < 18 ? from : 0;
        }
    int x = act(g, build_conv(g, build_input(g, 2, 7, 8), 18, 3, 1, 1, 1), SAL_ACT_RELU);
    int band = build_gather(g, mul(g, x, x), 1, 18, 3, index, weights);
    x = mul(g, x, build_activation(g, build_scalar(g, band, 0.3F, 2), SAL_ACT_POWER, -0.75F, 0));
    x = act(g, build_conv(g, x, 8, 3, 2, 1, 1), SAL_ACT_SIN);
    build_dense(g, build_flatten(g, build_mean(g, act(g, x, SAL_ACT_ABS), 2)), 2);
}

void net_ranks(sal_graph *g)
{
    static const int index[] = {0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 2, 0, 0, 1, 2, 3};
    static const float weights[] = {1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 1};
    int x = act(g, build_conv(g, build_input(g, 1, 9, 9), 8, 3, 2, 1, 1), SAL_ACT_RELU);
    x = build_dense(g, build_flatten(g, build_mean(g, x, 2)), 4);
    x = build_gather(g, act(g, act(g, x, SAL_ACT_SIGMOID), SAL_ACT_LOG), 1, 4, 4, index, weights); /* of products */
    x = act(g, act(g, x, SAL_ACT_EXP), SAL_ACT_COS);
    int sum = build_reduce(g, x, SAL_REDUCTION_SUM, 1, 1);
    x = mul(g, x, act(g, build_scalar(g, sum, 1, 6), SAL_ACT_RECIPROCAL));
    build_dense(g, x, 2);
}
