/* Dense layers, softmax and layer norm. */
#include "conformance/cases.h"

static void try_dense(suite *s, int64_t inputs, int64_t outputs, int64_t batch)
{
    static const sal_activation kinds[] = {
        {SAL_ACT_NONE, 0, 0}, {SAL_ACT_RELU, 0, 0}, {SAL_ACT_LEAKY_RELU, 0.2f, 0}, {SAL_ACT_CLIP, 0, 6}};
    problem p = {
        .op = SAL_OP_DENSE, .batch = batch, .input_count = 1, .inputs = {vector_shape(inputs)}, .outputs = outputs};
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        p.kind = SAL_STEP_DENSE;
        p.activation = kinds[k];
        p.bias = k % 2 ? BIAS_NONE : BIAS_CHANNELS;
        p.kept = kinds[k].kind != SAL_ACT_NONE;
        suite_try(s, &p);
        p.kept = 0;
        p.kind = SAL_STEP_ACTIVATION_BACKWARD;
        if (kinds[k].kind != SAL_ACT_NONE)
            suite_try(s, &p);
    }
    p.kind = SAL_STEP_DENSE_BACKWARD;
    p.activation = kinds[0];
    p.bias = BIAS_NONE;
    for (int way = 0; way < 6; way++) {
        p.seed = way > 2;
        p.addend = way % 3 > 0;
        p.in_place = way % 3 > 1;
        suite_try(s, &p);
    }
}

static void try_normalized(suite *s, sal_op op, const sal_shape *shape, int64_t batch)
{
    problem p = {.op = op, .batch = batch, .input_count = 1, .inputs = {*shape}, .axis = 1};
    for (int way = 0; way < 3; way++) {
        p.kind = op == SAL_OP_SOFTMAX ? SAL_STEP_SOFTMAX : SAL_STEP_LAYER_NORM;
        p.bias = op == SAL_OP_LAYER_NORM && way != 1 ? BIAS_CHANNELS : BIAS_NONE;
        p.addend = p.in_place = 0;
        if (way < 2)
            suite_try(s, &p);
        p.kind = op == SAL_OP_SOFTMAX ? SAL_STEP_SOFTMAX_BACKWARD : SAL_STEP_LAYER_NORM_BACKWARD;
        p.addend = way > 0;
        p.in_place = way > 1;
        suite_try(s, &p);
    }
}

void suite_vectors(suite *s)
{
    static const int64_t sizes[][2] = {{1, 1},   {7, 3},     {16, 10},   {33, 65},  {100, 1},
                                       {31, 64}, {257, 130}, {1030, 37}, {64, 1000}};
    for (size_t k = 0; k < COUNT_OF(sizes); k++)
        for (int64_t batch = 1; batch <= 5; batch += 2)
            try_dense(s, sizes[k][0], sizes[k][1], batch);
    for (size_t k = 0; k < COUNT_OF(odd_channels); k++) {
        int64_t c = odd_channels[k] + 1, batch = 1 + (int64_t)k % 3;
        const sal_shape map = map_shape(c, 1 + (int64_t)k, 5), vector = vector_shape(c);
        try_normalized(s, SAL_OP_LAYER_NORM, &map, batch);
        try_normalized(s, SAL_OP_LAYER_NORM, &vector, batch);
        try_normalized(s, SAL_OP_SOFTMAX, &vector, batch);
    }
    problem maps = {.kind = SAL_STEP_SOFTMAX, .op = SAL_OP_SOFTMAX, .batch = 1, .input_count = 1, .axis = 1};
    maps.inputs[0] = map_shape(5, 3, 3);
    suite_try(s, &maps);
    problem timed = {
        .kind = SAL_STEP_LAYER_NORM, .op = SAL_OP_LAYER_NORM, .batch = 2, .input_count = 1, .axis = 1, .large = 1};
    timed.inputs[0] = map_shape(96, 56, 56);
    suite_try(s, &timed);
    problem dense = {
        .kind = SAL_STEP_DENSE, .op = SAL_OP_DENSE, .batch = 2, .input_count = 1, .outputs = 4096, .large = 1};
    dense.inputs[0] = vector_shape(4096);
    suite_try(s, &dense);
    dense.kind = SAL_STEP_DENSE_BACKWARD;
    suite_try(s, &dense);
}
