/* Max and average pooling: asymmetric padding, windows that overlap or leave gaps, ceil mode. */
#include "conformance/cases.h"

static void try_pool(suite *s, problem p)
{
    int max = p.op == SAL_OP_MAX_POOL;
    p.kind = max ? SAL_STEP_MAX_POOL : SAL_STEP_AVG_POOL;
    suite_try(s, &p);
    p.kept = max;
    if (max)
        suite_try(s, &p);
    p.kept = 0;
    p.kind = max ? SAL_STEP_MAX_POOL_BACKWARD : SAL_STEP_AVG_POOL_BACKWARD;
    for (int way = 0; way < 3; way++) {
        p.addend = way > 0;
        p.in_place = way > 1;
        suite_try(s, &p);
    }
}

/* Padding smaller than the window's reach, and an input that every window touches. */
static void draw_pool(problem *p, dice *d)
{
    static const int64_t kernels[][2] = {{2, 2}, {3, 3}, {3, 3}, {2, 3}, {5, 5}, {1, 1}, {13, 4}};
    int64_t k = dice_below(d, COUNT_OF(kernels)), c = odd_channels[dice_below(d, COUNT_OF(odd_channels))];
    sal_window *w = &p->window;
    p->inputs[0] = map_shape(c, 0, 0);
    for (int i = 0; i < 2; i++) {
        w->kernel[i] = kernels[k][i];
        w->stride[i] = 1 + dice_below(d, 3);
        w->dilation[i] = 1 + (dice_below(d, 5) == 0);
        int64_t reach = (w->kernel[i] - 1) * w->dilation[i];
        p->inputs[0].dim[2 + i] = reach + 1 + dice_below(d, 12);
        w->pad_begin[i] = dice_below(d, reach / 2 + 1);
        w->pad_end[i] = dice_below(d, reach / 2 + 1);
    }
}

void suite_pools(suite *s)
{
    dice d = {31415926};
    for (int k = 0; k < 90; k++) {
        problem p = {.op = k % 2 ? SAL_OP_AVG_POOL : SAL_OP_MAX_POOL, .batch = 1 + dice_below(&d, 3), .input_count = 1};
        draw_pool(&p, &d);
        p.grid = (int)dice_below(&d, 2);
        p.window.count_padding = p.op == SAL_OP_AVG_POOL && dice_below(&d, 2);
        try_pool(s, p);
    }
    problem wide = {.kind = SAL_STEP_MAX_POOL,
                    .op = SAL_OP_MAX_POOL,
                    .batch = 1,
                    .input_count = 1,
                    .inputs = {map_shape(5, 20, 20)}};
    wide.window = (sal_window){.kernel = {16, 16}, .stride = {1, 1}, .dilation = {1, 1}};
    try_pool(s, wide);
    wide.window.kernel[1] = 17; /* one index too many for a byte */
    suite_try(s, &wide);
}
