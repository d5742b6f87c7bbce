/* Steps that only move numbers: concat, slice, shuffle, reshape, transpose, pad. */
#include "conformance/cases.h"

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

static void try_concats(suite *s)
{
    static const int64_t parts[][5] = {{16, 16}, {5, 16, 3}, {8, 8, 1}, {33, 17, 24, 1, 5}, {1, 1}, {24}, {32, 5}};
    for (size_t k = 0; k < COUNT_OF(parts); k++)
        for (int flat = 0; flat < 2; flat++) {
            problem p = {.op = SAL_OP_CONCAT, .batch = 1 + (int64_t)k % 3, .axis = 1};
            for (int i = 0; i < 5 && parts[k][i]; i++, p.input_count++)
                p.inputs[i] = flat ? vector_shape(parts[k][i]) : map_shape(parts[k][i], 1 + (int64_t)k, 7);
            try_step(s, p, SAL_STEP_CONCAT, SAL_STEP_CONCAT_BACKWARD);
        }
    problem rows = {.op = SAL_OP_CONCAT, .batch = 1, .axis = 2, .input_count = 2};
    rows.inputs[0] = rows.inputs[1] = map_shape(5, 3, 4);
    rows.kind = SAL_STEP_CONCAT;
    suite_try(s, &rows);
}

static void try_slices(suite *s)
{
    static const int64_t rows[][4] = {{33, 0, 1, 16},  {33, 16, 1, 17}, {24, 1, 2, 11}, {17, 16, 1, 1},
                                      {48, 16, 1, 16}, {5, 0, 3, 2},    {16, 8, 1, 8},  {64, 3, 5, 12}};
    for (size_t k = 0; k < COUNT_OF(rows); k++)
        for (int flat = 0; flat < 2; flat++) {
            problem p = {.op = SAL_OP_SLICE, .batch = 1 + (int64_t)k % 3, .axis = 1, .input_count = 1};
            p.start = rows[k][1];
            p.step = rows[k][2];
            p.count = rows[k][3];
            p.inputs[0] = flat ? vector_shape(rows[k][0]) : map_shape(rows[k][0], 5, 1 + (int64_t)k);
            try_step(s, p, SAL_STEP_SLICE, SAL_STEP_SLICE_BACKWARD);
        }
    problem columns = {.kind = SAL_STEP_SLICE, .op = SAL_OP_SLICE, .batch = 1, .axis = 3, .input_count = 1};
    columns.inputs[0] = map_shape(5, 3, 4);
    columns.count = columns.step = 2;
    suite_try(s, &columns);
}

static void try_shuffles(suite *s)
{
    static const int64_t rows[][2] = {{24, 2}, {24, 3}, {33, 3}, {16, 16}, {17, 1}, {60, 4}};
    for (size_t k = 0; k < COUNT_OF(rows); k++) {
        problem p = {.op = SAL_OP_SHUFFLE, .batch = 1 + (int64_t)k % 3, .groups = rows[k][1], .input_count = 1};
        p.inputs[0] = map_shape(rows[k][0], 3, 13 - (int64_t)k);
        try_step(s, p, SAL_STEP_SHUFFLE, SAL_STEP_SHUFFLE_BACKWARD);
    }
}

static void try_reshapes(suite *s)
{
    static const sal_shape rows[][2] = {
        {{.rank = 4, .dim = {1, 5, 3, 7}}, {.rank = 2, .dim = {1, 105}}},
        {{.rank = 4, .dim = {1, 17, 2, 2}}, {.rank = 2, .dim = {1, 68}}},
        {{.rank = 2, .dim = {1, 96}}, {.rank = 4, .dim = {1, 6, 4, 4}}},
        {{.rank = 4, .dim = {1, 24, 1, 1}}, {.rank = 2, .dim = {1, 24}}},
        {{.rank = 4, .dim = {1, 33, 4, 3}}, {.rank = 3, .dim = {1, 33, 12}}},
        {{.rank = 4, .dim = {1, 8, 6, 2}}, {.rank = 4, .dim = {1, 24, 2, 2}}},
        {{.rank = 4, .dim = {1, 6, 5, 5}}, {.rank = 5, .dim = {1, 2, 3, 5, 5}}},
    };
    for (size_t k = 0; k < COUNT_OF(rows); k++) {
        problem p = {.op = SAL_OP_RESHAPE,
                     .batch = 1 + (int64_t)k % 3,
                     .input_count = 1,
                     .inputs = {rows[k][0]},
                     .reshaped = rows[k][1]};
        try_step(s, p, SAL_STEP_RESHAPE, SAL_STEP_RESHAPE_BACKWARD);
    }
}

static void try_transposes(suite *s)
{
    static const struct {
        sal_shape shape;
        int permutation[5];
    } rows[] = {
        {{.rank = 4, .dim = {1, 5, 3, 7}}, {0, 2, 3, 1}},       {{.rank = 4, .dim = {1, 17, 4, 6}}, {0, 3, 1, 2}},
        {{.rank = 4, .dim = {1, 33, 2, 3}}, {0, 1, 3, 2}},      {{.rank = 3, .dim = {1, 9, 16}}, {0, 2, 1}},
        {{.rank = 5, .dim = {1, 2, 3, 4, 5}}, {0, 2, 1, 4, 3}},
    };
    for (size_t k = 0; k < COUNT_OF(rows); k++) {
        problem p = {.op = SAL_OP_TRANSPOSE, .batch = 1 + (int64_t)k % 3, .input_count = 1, .inputs = {rows[k].shape}};
        for (int i = 0; i < 5; i++)
            p.permutation[i] = rows[k].permutation[i];
        try_step(s, p, SAL_STEP_TRANSPOSE, SAL_STEP_TRANSPOSE_BACKWARD);
    }
}

static void try_pads(suite *s)
{
    static const int64_t rows[][4] = {{1, 1, 1, 1}, {0, 3, 2, 0}, {5, 0, 0, 0}, {0, 0, 0, 4}};
    for (size_t k = 0; k < COUNT_OF(rows); k++)
        for (size_t c = 0; c < COUNT_OF(odd_channels); c += 2) {
            problem p = {.op = SAL_OP_PAD, .batch = 1 + (int64_t)k % 3, .axis = 2, .input_count = 1};
            p.inputs[0] = map_shape(odd_channels[c], 4, 7);
            p.window = (sal_window){.pad_begin = {rows[k][0], rows[k][1]}, .pad_end = {rows[k][2], rows[k][3]}};
            try_step(s, p, SAL_STEP_PAD, SAL_STEP_PAD_BACKWARD);
        }
}

void suite_moves(suite *s)
{
    try_concats(s);
    try_slices(s);
    try_shuffles(s);
    try_reshapes(s);
    try_transposes(s);
    try_pads(s);
}
