/* What is no feature map: tokens, matrices, constants, and steps along any axis. */
#include "conformance/cases.h"

/* Forward, then backward of each operand: alone, with an addend, and with one in its place. */
static void try_step(suite *s, problem p, sal_step_kind forward, sal_step_kind backward)
{
    p.kind = forward;
    suite_try(s, &p);
    p.kind = backward;
    for (p.operand = 0; p.operand < p.input_count; p.operand++)
        for (int way = 0; way < 3; way++) {
            p.addend = way > 0;
            p.in_place = way > 1;
            suite_try(s, &p);
        }
}

/* Rank 4 in rows, where `shape` is of that rank. */
static problem problem_of(sal_op op, const sal_shape *shape, int64_t batch)
{
    problem p = {.op = op, .batch = batch, .input_count = 1, .inputs = {*shape}};
    p.rows = shape->rank == 4 ? ROWS_BOTH : ROWS_NONE;
    return p;
}

static void try_dense(suite *s)
{
    static const struct {
        sal_shape shape;
        int64_t outputs;
    } rows[] = {
        {{.rank = 3, .dim = {1, 1, 1}}, 1},        {{.rank = 3, .dim = {1, 5, 7}}, 33},
        {{.rank = 3, .dim = {1, 13, 64}}, 32},     {{.rank = 3, .dim = {1, 197, 48}}, 96},
        {{.rank = 4, .dim = {1, 7, 6, 17}}, 65},   {{.rank = 4, .dim = {1, 3, 4, 96}}, 31},
        {{.rank = 5, .dim = {1, 2, 3, 11, 9}}, 8},
    };
    static const sal_activation kinds[] = {
        {SAL_ACT_NONE, 0, 0}, {SAL_ACT_RELU, 0, 0}, {SAL_ACT_LEAKY_RELU, 0.2f, 0}, {SAL_ACT_CLIP, 0, 6}};
    for (size_t k = 0; k < COUNT_OF(rows); k++)
        for (size_t a = 0; a < COUNT_OF(kinds); a++) {
            problem p = problem_of(SAL_OP_DENSE, &rows[k].shape, 1 + (int64_t)k % 3);
            p.outputs = rows[k].outputs;
            p.activation = kinds[a];
            p.bias = a % 2 ? BIAS_NONE : BIAS_CHANNELS;
            if (a == 0) {
                try_step(s, p, SAL_STEP_DENSE, SAL_STEP_DENSE_BACKWARD);
                continue;
            }
            p.kind = SAL_STEP_DENSE;
            p.kept = 1;
            suite_try(s, &p);
            p.kept = 0;
            p.kind = SAL_STEP_ACTIVATION_BACKWARD;
            suite_try(s, &p);
        }
}

static void try_matmuls(suite *s)
{
    static const int64_t rows[][3] = {{1, 1, 1},    {5, 3, 7},      {12, 64, 32},   {13, 40, 33},
                                      {49, 32, 49}, {197, 64, 197}, {197, 197, 64}, {6, 257, 1}};
    for (size_t k = 0; k < COUNT_OF(rows); k++)
        for (int way = 0; way < 4; way++) {
            const int64_t m = rows[k][0], depth = rows[k][1], n = rows[k][2], few = 1 + (int64_t)k % 3;
            problem p = {.op = SAL_OP_MATMUL, .batch = 1 + (int64_t)k % 2, .input_count = 2};
            p.transpose[0] = way % 2;
            p.transpose[1] = way / 2;
            p.scale = k % 2 ? 1.0 : 0.125;
            p.rows = k % 3 == 1 ? ROWS_BOTH : ROWS_NONE;
            const int first = p.rows ? 2 : 1;
            for (int i = 0; i < 2; i++)
                p.inputs[i] = (sal_shape){.rank = first + 2, .dim = {1, few}};
            p.inputs[0].dim[first] = p.transpose[0] ? depth : m;
            p.inputs[0].dim[first + 1] = p.transpose[0] ? m : depth;
            p.inputs[1].dim[first] = p.transpose[1] ? n : depth;
            p.inputs[1].dim[first + 1] = p.transpose[1] ? depth : n;
            try_step(s, p, SAL_STEP_MATMUL, SAL_STEP_MATMUL_BACKWARD);
        }
}

static void try_normalized(suite *s, sal_op op, const sal_shape *shape, int axis, int64_t batch)
{
    problem p = problem_of(op, shape, batch);
    p.axis = axis;
    p.bias = op == SAL_OP_LAYER_NORM && batch > 1 ? BIAS_CHANNELS : BIAS_NONE;
    if (op == SAL_OP_SOFTMAX)
        try_step(s, p, SAL_STEP_SOFTMAX, SAL_STEP_SOFTMAX_BACKWARD);
    else
        try_step(s, p, SAL_STEP_LAYER_NORM, SAL_STEP_LAYER_NORM_BACKWARD);
}

static void try_scaled(suite *s, const sal_shape *shape, int axis, int64_t batch)
{
    problem p = problem_of(SAL_OP_AFFINE, shape, batch);
    p.axis = axis;
    p.bias = BIAS_CHANNELS;
    try_step(s, p, SAL_STEP_AFFINE, SAL_STEP_AFFINE_BACKWARD);
}

static void try_gathers(suite *s, const sal_shape *shape, int axis, int64_t batch)
{
    static const int64_t counts[][2] = {{1, 1}, {3, 1}, {9, 1}, {4, 2}, {11, 5}, {1, 40}};
    for (size_t k = 0; k < COUNT_OF(counts); k++) {
        problem p = problem_of(SAL_OP_GATHER, shape, batch);
        p.axis = axis;
        p.count = counts[k][0];
        p.taps = (int)counts[k][1];
        try_step(s, p, SAL_STEP_GATHER, SAL_STEP_GATHER_BACKWARD);
        if (shape->rank == 4 && axis > 1) {
            p.rows = ROWS_NONE;
            try_step(s, p, SAL_STEP_GATHER, SAL_STEP_GATHER_BACKWARD);
        }
    }
}

static void try_reductions(suite *s, const sal_shape *shape, int axis, int64_t batch)
{
    for (int count = 1; axis + count <= shape->rank; count++)
        for (int kind = 0; kind < SAL_REDUCTION_COUNT; kind++) {
            problem p = problem_of(SAL_OP_REDUCE, shape, batch);
            p.axis = axis;
            p.axis_count = count;
            p.reduction = (sal_reduction)kind;
            p.grid = kind == SAL_REDUCTION_MAX; /* with ties */
            try_step(s, p, SAL_STEP_REDUCE, SAL_STEP_REDUCE_BACKWARD);
            if (shape->rank == 4 && axis > 1) {
                p.rows = ROWS_NONE;
                try_step(s, p, SAL_STEP_REDUCE, SAL_STEP_REDUCE_BACKWARD);
            }
        }
}

/* Every choice of axes to repeat. */
static void try_expands(suite *s, const sal_shape *shape, int64_t batch)
{
    for (int which = 0; which < 1 << (shape->rank - 1); which++) {
        problem p = problem_of(SAL_OP_EXPAND, shape, batch);
        p.reshaped = *shape;
        for (int j = 1; j < shape->rank; j++)
            if (which >> (j - 1) & 1)
                p.inputs[0].dim[j] = 1;
        try_step(s, p, SAL_STEP_EXPAND, SAL_STEP_EXPAND_BACKWARD);
        if (shape->rank == 4 && which % 2 == 0) {
            p.rows = ROWS_NONE;
            try_step(s, p, SAL_STEP_EXPAND, SAL_STEP_EXPAND_BACKWARD);
        }
    }
}

static void try_joined(suite *s, const sal_shape *shape, int axis, int64_t batch)
{
    problem p = problem_of(SAL_OP_CONCAT, shape, batch);
    p.axis = axis;
    p.input_count = 3;
    p.inputs[1] = p.inputs[2] = *shape;
    p.inputs[1].dim[axis] = 1;
    p.inputs[2].dim[axis] = 5;
    try_step(s, p, SAL_STEP_CONCAT, SAL_STEP_CONCAT_BACKWARD);
    p = problem_of(SAL_OP_SLICE, shape, batch);
    p.axis = axis;
    const int64_t extent = shape->dim[axis];
    for (p.step = 1; p.step < 4; p.step++)
        for (p.start = 0; p.start < extent; p.start += 1 + extent / 3) {
            p.count = (extent - p.start + p.step - 1) / p.step;
            try_step(s, p, SAL_STEP_SLICE, SAL_STEP_SLICE_BACKWARD);
        }
}

static void try_constants(suite *s, const sal_shape *shape, int64_t batch)
{
    problem p = {.kind = SAL_STEP_CONSTANT, .op = SAL_OP_CONSTANT, .batch = batch, .reshaped = *shape};
    suite_try(s, &p);
    p.rows = shape->rank == 4 ? ROWS_BOTH : ROWS_NONE;
    if (p.rows)
        suite_try(s, &p);
}

/* Between rows and feature maps, and of rows alone. */
static void try_moves(suite *s)
{
    static const sal_shape map = {.rank = 4, .dim = {1, 17, 4, 6}}, other = {.rank = 4, .dim = {1, 6, 17, 4}};
    static const int permutations[][4] = {{0, 3, 1, 2}, {0, 2, 1, 3}, {0, 1, 3, 2}, {0, 3, 2, 1}};
    for (int side = ROWS_IN; side <= ROWS_BOTH; side++) {
        problem p = {.op = SAL_OP_RESHAPE, .batch = 2, .input_count = 1, .inputs = {map}, .reshaped = map};
        p.rows = (problem_rows)side;
        try_step(s, p, SAL_STEP_RESHAPE, SAL_STEP_RESHAPE_BACKWARD);
        p.reshaped = other;
        try_step(s, p, SAL_STEP_RESHAPE, SAL_STEP_RESHAPE_BACKWARD);
        p.reshaped = (sal_shape){0};
        p.op = SAL_OP_TRANSPOSE;
        for (size_t k = 0; k < COUNT_OF(permutations); k++) {
            for (int j = 0; j < 4; j++)
                p.permutation[j] = permutations[k][j];
            try_step(s, p, SAL_STEP_TRANSPOSE, SAL_STEP_TRANSPOSE_BACKWARD);
        }
    }
    static const struct {
        sal_shape shape;
        int permutation[5];
    } rows[] = {
        {{.rank = 3, .dim = {1, 37, 50}}, {0, 2, 1}},
        {{.rank = 5, .dim = {1, 19, 3, 2, 20}}, {0, 2, 3, 1, 4}},
        {{.rank = 5, .dim = {1, 4, 7, 6, 7}}, {0, 1, 3, 2, 4}},
        {{.rank = 5, .dim = {1, 3, 2, 18, 5}}, {0, 4, 2, 3, 1}},
    };
    for (size_t k = 0; k < COUNT_OF(rows); k++) {
        problem p = {.op = SAL_OP_TRANSPOSE, .batch = 1 + (int64_t)k % 3, .input_count = 1, .inputs = {rows[k].shape}};
        for (int j = 0; j < rows[k].shape.rank; j++)
            p.permutation[j] = rows[k].permutation[j];
        try_step(s, p, SAL_STEP_TRANSPOSE, SAL_STEP_TRANSPOSE_BACKWARD);
    }
}

/* One layer of a ViT-B/16. */
static void try_large(suite *s)
{
    const sal_shape tokens = {.rank = 3, .dim = {1, 197, 768}}, wide = {.rank = 3, .dim = {1, 197, 3072}};
    problem p = {.op = SAL_OP_DENSE, .batch = 8, .input_count = 1, .inputs = {tokens}, .outputs = 3072, .large = 1};
    p.bias = BIAS_CHANNELS;
    try_step(s, p, SAL_STEP_DENSE, SAL_STEP_DENSE_BACKWARD);
    p.inputs[0] = wide;
    p.outputs = 768;
    try_step(s, p, SAL_STEP_DENSE, SAL_STEP_DENSE_BACKWARD);
    p = (problem){.op = SAL_OP_MATMUL, .batch = 8, .input_count = 2, .rows = ROWS_BOTH, .scale = 0.125, .large = 1};
    p.inputs[0] = p.inputs[1] = (sal_shape){.rank = 4, .dim = {1, 12, 197, 64}};
    p.transpose[1] = 1;
    try_step(s, p, SAL_STEP_MATMUL, SAL_STEP_MATMUL_BACKWARD);
    p = (problem){.op = SAL_OP_SOFTMAX, .batch = 8, .input_count = 1, .axis = 3, .rows = ROWS_BOTH, .large = 1};
    p.inputs[0] = (sal_shape){.rank = 4, .dim = {1, 12, 197, 197}};
    try_step(s, p, SAL_STEP_SOFTMAX, SAL_STEP_SOFTMAX_BACKWARD);
    p = (problem){.op = SAL_OP_LAYER_NORM, .batch = 8, .input_count = 1, .axis = 2, .inputs = {tokens}, .large = 1};
    try_step(s, p, SAL_STEP_LAYER_NORM, SAL_STEP_LAYER_NORM_BACKWARD);
    p = (problem){.op = SAL_OP_ACTIVATION, .batch = 8, .input_count = 1, .inputs = {wide}, .large = 1};
    p.activation.kind = SAL_ACT_GELU;
    try_step(s, p, SAL_STEP_ACTIVATION, SAL_STEP_ACTIVATION_BACKWARD);
    p = (problem){.op = SAL_OP_TRANSPOSE, .batch = 8, .input_count = 1, .rows = ROWS_BOTH, .large = 1};
    p.inputs[0] = (sal_shape){.rank = 4, .dim = {1, 197, 12, 64}};
    p.permutation[1] = 2, p.permutation[2] = 1, p.permutation[3] = 3;
    try_step(s, p, SAL_STEP_TRANSPOSE, SAL_STEP_TRANSPOSE_BACKWARD);
}

void suite_rows(suite *s)
{
    static const sal_shape shapes[] = {
        {.rank = 3, .dim = {1, 7, 10}},    {.rank = 3, .dim = {1, 13, 65}},    {.rank = 4, .dim = {1, 3, 5, 4}},
        {.rank = 4, .dim = {1, 17, 6, 9}}, {.rank = 4, .dim = {1, 16, 3, 70}}, {.rank = 5, .dim = {1, 2, 3, 5, 17}},
    };
    try_dense(s);
    try_matmuls(s);
    for (size_t k = 0; k < COUNT_OF(shapes); k++) {
        const sal_shape *shape = &shapes[k];
        const int64_t batch = 1 + (int64_t)k % 3;
        try_normalized(s, SAL_OP_LAYER_NORM, shape, shape->rank - 1, batch);
        for (int axis = 1; axis < shape->rank; axis++) {
            try_normalized(s, SAL_OP_SOFTMAX, shape, axis, batch);
            try_scaled(s, shape, axis, batch);
            try_gathers(s, shape, axis, batch);
            try_reductions(s, shape, axis, batch);
            try_joined(s, shape, axis, batch);
        }
        try_expands(s, shape, batch);
        try_constants(s, shape, batch);
    }
    try_moves(s);
    try_large(s);
}
