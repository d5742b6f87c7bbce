/* Places that see the same must get the same bits: a max pool behind them takes the first of equals, and in exact
 * arithmetic they are equal. The inputs are flat, each channel of one number, or striped along one diagonal, so that
 * every place sees what the next one on the diagonal sees. */
#include "conformance/ties.h"

#include "base/memory.h"

#include <string.h>

int ties_can_be(const problem *p)
{
    const sal_op op = p->op;
    const int along_channels = p->axis <= 1 && (op == SAL_OP_SOFTMAX || op == SAL_OP_LAYER_NORM);
    const int local = along_channels || op == SAL_OP_CONV || op == SAL_OP_AFFINE || op == SAL_OP_ACTIVATION ||
                      op == SAL_OP_ADD || op == SAL_OP_MUL || op == SAL_OP_MAX_POOL || op == SAL_OP_AVG_POOL;
    return local && p->kind < SAL_STEP_CONV_BACKWARD && p->inputs[0].rank == 4 && !p->ties && !p->large && !p->grid &&
           !p->rows;
}

sal_status ties_add_input(int *out, trial *t, int k)
{
    sal_status st = SAL_OK;
    const sal_shape *s = &t->p->inputs[k];
    /* What is added to a convolution is already behind its window. */
    const int striped = t->p->ties == TIES_STRIPED && !(t->p->op == SAL_OP_CONV && k > 0);
    TRY(trial_add_random(out, t, s, t->p->picture && k == 0, 2.0));
    double *at = t->numbers[*out];
    for (int64_t plane = 0; plane < t->p->batch * s->dim[1]; plane++, at += s->dim[2] * s->dim[3]) {
        double row[2];
        for (int i = 0; i < 2; i++)
            row[i] = round_coarsely(dice_between(&t->dice, -2.0, 2.0));
        for (int64_t y = 0; y < s->dim[2]; y++)
            for (int64_t x = 0; x < s->dim[3]; x++)
                at[y * s->dim[3] + x] = row[striped && (x - y + s->dim[2]) % 5 < 2];
    }
    TRY(trial_upload(t, *out));
done:
    return st;
}

/* Whether the window of output `o` reads no padding along that axis. */
static int is_inside(const trial *t, int axis, int64_t o)
{
    const sal_node *n = &t->graph.nodes[t->node];
    const sal_window *w = &n->window;
    if (n->op != SAL_OP_CONV && n->op != SAL_OP_MAX_POOL && n->op != SAL_OP_AVG_POOL)
        return 1;
    const int64_t first = o * w->stride[axis] - w->pad_begin[axis];
    return first >= 0 && first + (w->kernel[axis] - 1) * w->dilation[axis] < t->p->inputs[0].dim[2 + axis];
}

/* The place (y, x) of a plane against the one that `dy` rows and `dx` columns before it sees the same. */
static sal_status compare(trial *t, const float *plane, int64_t y, int64_t x, int64_t dy, int64_t dx)
{
    const int64_t width = t->graph.nodes[t->node].shape.dim[3];
    const int seen = y >= dy && x >= dx && (!dy || (is_inside(t, 0, y) && is_inside(t, 0, y - dy))) &&
                     (!dx || (is_inside(t, 1, x) && is_inside(t, 1, x - dx)));
    const float *here = plane + y * width + x, *there = here - dy * width - dx;
    if (!seen || memcmp(here, there, sizeof *here) == 0)
        return SAL_OK;
    return trial_wrong(t, "(%lld, %lld): %.9g, but %.9g a step of (%lld, %lld) before it, where all is the same",
                       (long long)y, (long long)x, (double)*here, (double)*there, (long long)dy, (long long)dx);
}

sal_status ties_check(trial *t, int output)
{
    sal_status st = SAL_OK;
    const sal_shape *s = &t->graph.nodes[t->node].shape;
    const sal_window *w = &t->graph.nodes[t->node].window;
    const int striped = t->p->ties == TIES_STRIPED;
    float *values = NULL;
    TRY(sal_alloc(&values, trial_elements(t, output) * (size_t)t->p->batch, sizeof *values, "a value"));
    TRY(t->s->backend->download(t->s->device, values, buffer_data(&t->buffers[output]), &t->values[output],
                                t->p->batch));
    const float *plane = values;
    for (int64_t k = 0; k < t->p->batch * s->dim[1]; k++, plane += s->dim[2] * s->dim[3])
        for (int64_t y = 0; y < s->dim[2]; y++)
            for (int64_t x = 0; x < s->dim[3]; x++) {
                if (striped && w->stride[0] == w->stride[1])
                    TRY(compare(t, plane, y, x, 1, 1));
                if (!striped)
                    TRY(compare(t, plane, y, x, 0, 1));
                if (!striped)
                    TRY(compare(t, plane, y, x, 1, 0));
            }
done:
    sal_free(values);
    return st;
}
