/* Activations under every rule, sums, products, per-channel scales, means. */
#include "conformance/cases.h"

static const sal_activation kinds[] = {
    {SAL_ACT_RELU, 0, 0},
    {SAL_ACT_CLIP, 0, 6},
    {SAL_ACT_CLIP, -1, 1.5f},
    {SAL_ACT_LEAKY_RELU, 0.01f, 0},
    {SAL_ACT_LEAKY_RELU, 0.3f, 0},
    {SAL_ACT_ELU, 1, 0},
    {SAL_ACT_ELU, 0.7f, 0},
    {SAL_ACT_SIGMOID, 0, 0},
    {SAL_ACT_TANH, 0, 0},
    {SAL_ACT_SOFTPLUS, 0, 0},
    {SAL_ACT_SILU, 0, 0},
    {SAL_ACT_GELU, 0, 0},
    {SAL_ACT_GELU_TANH, 0, 0},
    {SAL_ACT_HARD_SIGMOID, 0.2f, 0.5f},
    {SAL_ACT_HARD_SIGMOID, 1.0f / 6.0f, 0.5f},
    {SAL_ACT_HARD_SWISH, 0, 0},
    {SAL_ACT_EXP, 0, 0},
    {SAL_ACT_SOFTSIGN, 0, 0},
    {SAL_ACT_SQUAREPLUS, 4, 0},
    {SAL_ACT_THRESHOLD, 0.4f, 0},
    {SAL_ACT_THRESHOLD, -0.3f, 0},
    {SAL_ACT_ABS, 0, 0},
    {SAL_ACT_SIGN, 0, 0},
    {SAL_ACT_SQRT, 0, 0},
    {SAL_ACT_RECIPROCAL, 0, 0},
    {SAL_ACT_POWER, 1.7f, 0},
    {SAL_ACT_POWER, -2, 0},
    {SAL_ACT_LOG, 0, 0},
    {SAL_ACT_SIN, 0, 0},
    {SAL_ACT_COS, 0, 0},
    {SAL_ACT_NONE, 0, 0},
};

static const sal_shape shapes[] = {
    {.rank = 4, .dim = {1, 5, 3, 7}},    {.rank = 4, .dim = {1, 17, 13, 1}}, {.rank = 4, .dim = {1, 33, 5, 4}},
    {.rank = 4, .dim = {1, 16, 11, 13}}, {.rank = 2, .dim = {1, 1}},         {.rank = 2, .dim = {1, 37}},
    {.rank = 2, .dim = {1, 640}},        {.rank = 3, .dim = {1, 9, 10}},
};

static void try_activation(suite *s, const sal_activation *a, const sal_shape *shape, int64_t batch)
{
    sal_keep keep = sal_activation_keep(a->kind);
    problem p = {.kind = SAL_STEP_ACTIVATION,
                 .op = SAL_OP_ACTIVATION,
                 .batch = batch,
                 .input_count = 1,
                 .inputs = {*shape},
                 .activation = *a,
                 .grid = (int)(batch % 2)};
    suite_try(s, &p);
    p.in_place = 1;
    p.kept = keep == SAL_KEEP_SIGN;
    suite_try(s, &p);
    p.kind = SAL_STEP_ACTIVATION_BACKWARD;
    p.kept = 0;
    for (int way = 0; way < 16 && keep != SAL_KEEP_NOTHING; way++) {
        p.rule = way % 4;
        if (p.rule && sal_activation_is_arithmetic(a->kind))
            continue; /* no rule is for these */
        p.addend = way / 4 % 2;
        p.in_place = way / 8;
        suite_try(s, &p);
    }
}

static void try_pair(suite *s, sal_op op, const sal_shape *a, const sal_shape *b, int64_t batch)
{
    problem p = {.kind = op == SAL_OP_ADD ? SAL_STEP_ADD : SAL_STEP_MUL,
                 .op = op,
                 .batch = batch,
                 .input_count = 2,
                 .inputs = {*a, *b}};
    int broadcast = !sal_shape_equal(a, b);
    for (p.in_place = 0; p.in_place < 2; p.in_place++)
        suite_try(s, &p);
    if (op == SAL_OP_ADD && !broadcast)
        return; /* the gradient of a plain sum is dy itself */
    p.kind = op == SAL_OP_ADD ? SAL_STEP_REDUCE_SPATIAL : SAL_STEP_MUL_BACKWARD;
    for (int way = 0; way < 6; way++) {
        p.operand = way % 2;
        p.addend = way >= 2;
        p.in_place = way >= 4;
        if (op == SAL_OP_MUL || p.operand == 1)
            suite_try(s, &p);
    }
}

static void try_scaled(suite *s, problem p)
{
    for (p.in_place = 0; p.in_place < 2; p.in_place++) {
        p.kind = SAL_STEP_AFFINE;
        p.addend = 0;
        suite_try(s, &p);
        p.kind = SAL_STEP_AFFINE_BACKWARD;
        suite_try(s, &p);
        p.addend = 1;
        suite_try(s, &p);
    }
}

static void try_means(suite *s, int64_t c, int64_t h, int64_t w)
{
    problem p = {.kind = SAL_STEP_REDUCE_MEAN,
                 .op = SAL_OP_REDUCE_MEAN,
                 .batch = 1 + c % 3,
                 .input_count = 1,
                 .inputs = {map_shape(c, h, w)}};
    suite_try(s, &p);
    p.kind = SAL_STEP_REDUCE_MEAN_BACKWARD;
    suite_try(s, &p);
    p.addend = 1;
    suite_try(s, &p);
    p.in_place = 1;
    suite_try(s, &p);
}

static void try_large(suite *s)
{
    static const sal_activation_kind timed[] = {SAL_ACT_RELU, SAL_ACT_SILU, SAL_ACT_GELU, SAL_ACT_HARD_SWISH,
                                                SAL_ACT_SIGMOID};
    for (size_t k = 0; k < COUNT_OF(timed); k++) {
        problem p = {.kind = SAL_STEP_ACTIVATION,
                     .op = SAL_OP_ACTIVATION,
                     .batch = 2,
                     .input_count = 1,
                     .inputs = {map_shape(96, 56, 56)},
                     .activation = {timed[k], 0, 0},
                     .large = 1};
        suite_try(s, &p);
        p.kind = SAL_STEP_ACTIVATION_BACKWARD;
        suite_try(s, &p);
    }
    const sal_shape map = map_shape(96, 56, 56), gate = map_shape(96, 1, 1);
    problem p = {
        .kind = SAL_STEP_MUL, .op = SAL_OP_MUL, .batch = 2, .input_count = 2, .inputs = {map, gate}, .large = 1};
    suite_try(s, &p);
    p.inputs[1] = map;
    suite_try(s, &p);
}

void suite_elementwise(suite *s)
{
    for (size_t k = 0; k < COUNT_OF(kinds); k++)
        for (size_t i = 0; i < COUNT_OF(shapes); i++)
            try_activation(s, &kinds[k], &shapes[i], 1 + (int64_t)i % 3);
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        for (int64_t batch = 1; batch <= 3; batch++) {
            try_pair(s, SAL_OP_ADD, &shapes[i], &shapes[i], batch);
            try_pair(s, SAL_OP_MUL, &shapes[i], &shapes[i], batch);
        }
        sal_shape gate = shapes[i];
        for (int j = 2; j < gate.rank; j++)
            gate.dim[j] = 1;
        if (gate.rank > 2) {
            try_pair(s, SAL_OP_ADD, &shapes[i], &gate, 3);
            try_pair(s, SAL_OP_MUL, &shapes[i], &gate, 2);
        }
        problem p = {.op = SAL_OP_AFFINE, .batch = 2, .input_count = 1, .inputs = {shapes[i]}};
        for (int bias = BIAS_NONE; bias <= BIAS_SCALAR; bias++)
            for (p.scalar_weight = 0; p.scalar_weight < 2; p.scalar_weight++) {
                p.bias = (problem_bias)bias;
                try_scaled(s, p);
            }
    }
    for (size_t k = 0; k < COUNT_OF(odd_channels); k++)
        try_means(s, odd_channels[k], 1 + (int64_t)k * 2, 13 - (int64_t)k);
    try_large(s);
}
