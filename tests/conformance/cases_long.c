/* Sums over long lines, and more matrices than a library multiplies at once. */
#include "conformance/cases.h"

static sal_shape matrix_shape(int64_t rows, int64_t columns)
{
    return (sal_shape){.rank = 3, .dim = {1, rows, columns}};
}

/* Forward, and backward of each operand. */
static void try_step(suite *s, problem p, sal_step_kind forward, sal_step_kind backward)
{
    p.kind = forward;
    suite_try(s, &p);
    p.kind = backward;
    for (p.operand = 0; p.operand < p.input_count; p.operand++)
        suite_try(s, &p);
}

/* Along the first axis neighbours are `columns` apart. */
static void try_sums(suite *s, int64_t rows, int64_t columns)
{
    problem p = {.op = SAL_OP_REDUCE, .batch = 2, .input_count = 1, .axis_count = 1};
    p.inputs[0] = matrix_shape(rows, columns);
    for (p.axis = 1; p.axis < 3; p.axis++)
        for (int kind = 0; kind < SAL_REDUCTION_COUNT; kind++) {
            p.reduction = (sal_reduction)kind;
            p.grid = p.reduction == SAL_REDUCTION_MAX; /* with ties */
            try_step(s, p, SAL_STEP_REDUCE, SAL_STEP_REDUCE_BACKWARD);
        }
}

void suite_long(suite *s)
{
    static const int64_t sizes[][2] = {{3, 2047}, {2, 2048}, {2, 5003}, {2305, 5}, {4099, 33}};
    for (size_t k = 0; k < COUNT_OF(sizes); k++)
        try_sums(s, sizes[k][0], sizes[k][1]);
    /* Repeated along every other axis, so that sums run over several. */
    problem repeated = {.op = SAL_OP_EXPAND, .batch = 2, .input_count = 1};
    repeated.inputs[0] = (sal_shape){.rank = 6, .dim = {1, 1, 3, 1, 5, 1}};
    repeated.reshaped = (sal_shape){.rank = 6, .dim = {1, 4, 3, 6, 5, 7}};
    try_step(s, repeated, SAL_STEP_EXPAND, SAL_STEP_EXPAND_BACKWARD);
    problem many = {.op = SAL_OP_MATMUL, .batch = 3, .input_count = 2, .scale = 0.5};
    static const int64_t counts[] = {21504, 22000, 43010}; /* 21504 * 3 = 63 * 1024 */
    for (size_t k = 0; k < COUNT_OF(counts); k++) {
        many.inputs[0] = (sal_shape){.rank = 4, .dim = {1, counts[k], 1, 2}};
        many.inputs[1] = (sal_shape){.rank = 4, .dim = {1, counts[k], 2, 1}};
        many.rows = ROWS_BOTH;
        try_step(s, many, SAL_STEP_MATMUL, SAL_STEP_MATMUL_BACKWARD);
    }
}
