/* Steps that only move channels: concat, slice, shuffle and their gradients; those of values in rows are in
 * move_rows.c. Each channel of the output comes from one channel of one input, or is zero: a table made when preparing.
 */
#include "backend/cpu/cpu.h"

#include "base/memory.h"

#include <string.h>

typedef struct gather_plan {
    const sal_step *step;
    const sal_value *values;
    const sal_value *out;
    int64_t block;  /* channels per block; 1 for vectors */
    int64_t blocks; /* of the output */
    int64_t pixels;
    int *input;       /* per output channel: which input, or -1 for zeros */
    int64_t *channel; /* and which of its channels */
} gather_plan;

static void gather_release(sal_device *d, void *plan)
{
    (void)d;
    gather_plan *p = plan;
    if (!p)
        return;
    sal_free(p->input);
    sal_free(p->channel);
    sal_free(p);
}

/* ---- Which channel comes from where ------------------------------------- */

static void origins_of_concat(gather_plan *p)
{
    int64_t at = 0;
    for (int k = 0; k < p->step->input_count; k++)
        for (int64_t c = 0; c < p->values[p->step->inputs[k]].shape.dim[1]; c++, at++) {
            p->input[at] = k;
            p->channel[at] = c;
        }
}

/* Channel c of a shuffled tensor (C/g, g) is channel (c % g) * C/g + c / g of the original. */
static int64_t shuffled(int64_t c, int64_t channels, int64_t groups)
{
    return c % groups * (channels / groups) + c / groups;
}

static void set_origins(gather_plan *p)
{
    const sal_node *n = p->step->node;
    int64_t channels = p->out->shape.dim[1];
    if (p->step->kind == SAL_STEP_CONCAT) {
        origins_of_concat(p);
        return;
    }
    for (int64_t c = 0; c < channels; c++) {
        p->input[c] = 0;
        switch (p->step->kind) {
        case SAL_STEP_SLICE: p->channel[c] = n->start + c * n->step; break;
        case SAL_STEP_SLICE_BACKWARD: {
            int64_t from = c - n->start;
            int inside = from >= 0 && from % n->step == 0 && from / n->step < n->shape.dim[1];
            p->input[c] = inside ? 0 : -1;
            p->channel[c] = inside ? from / n->step : 0;
            break;
        }
        case SAL_STEP_CONCAT_BACKWARD: p->channel[c] = p->step->first_channel + c; break;
        case SAL_STEP_SHUFFLE: p->channel[c] = shuffled(c, channels, n->groups); break;
        default: p->channel[c] = shuffled(c, channels, channels / n->groups); break;
        }
    }
}

static int is_by_axis(const sal_step *step)
{
    return step->node->op == SAL_OP_CONCAT || step->node->op == SAL_OP_SLICE;
}

static sal_status gather_prepare(void **plan, sal_needs *needs, sal_device *d, const sal_step *step,
                                 const sal_value *values)
{
    sal_status st = SAL_OK;
    gather_plan *p = NULL;
    const sal_value *out = &values[step->output];
    if ((is_by_axis(step) && step->node->axis != 1) || (out->shape.rank != 4 && out->shape.rank != 2))
        return sal_fail(SAL_ERROR_UNSUPPORTED,
                        "works along the channels of (N, C, H, W) or (N, F) only, not along axis %d", step->node->axis);
    TRY(sal_alloc(&p, 1, sizeof *p, "a step"));
    p->step = step;
    p->values = values;
    p->out = out;
    p->block = out->layout == SAL_LAYOUT_BLOCKED ? d->kernels->block : 1;
    p->blocks = (out->shape.dim[1] + p->block - 1) / p->block;
    p->pixels = out->shape.rank == 4 ? cpu_pixels(out) : 1;
    size_t padded = (size_t)(p->blocks * p->block);
    TRY(sal_alloc(&p->input, padded, sizeof *p->input, "a step"));
    TRY(sal_alloc(&p->channel, padded, sizeof *p->channel, "a step"));
    for (size_t c = 0; c < padded; c++)
        p->input[c] = -1;
    set_origins(p);
    needs->algorithm = "copy";
    *plan = p;
    p = NULL;
done:
    gather_release(d, p);
    return st;
}

/* ---- Running ------------------------------------------------------------ */

/* Where lane l of output block b of picture n is read: consecutive pixels lie `block` floats apart. */
static const float *lane_source(const gather_plan *p, const sal_run *r, int64_t n, int64_t b, int64_t l)
{
    int64_t c = b * p->block + l;
    int k = p->input[c];
    if (k < 0)
        return NULL;
    const sal_value *in = &p->values[p->step->inputs[k]];
    int64_t from = p->channel[c];
    return (const float *)r->inputs[k] + (size_t)n * cpu_stride(in) + from / p->block * p->block * p->pixels +
           from % p->block;
}

static void gather_block(const gather_plan *p, const sal_run *r, int64_t n, int64_t b)
{
    const float *source[16];
    int64_t block = p->block, floats = p->pixels * block;
    size_t at = (size_t)n * cpu_stride(p->out) + (size_t)(b * floats);
    float *to = (float *)r->output + at;
    int consecutive = block > 0;
    for (int64_t l = 0; l < block; l++) {
        source[l] = lane_source(p, r, n, b, l);
        consecutive &= source[l] && source[0] && source[l] == source[0] + l;
    }
    const float *addend = p->step->addend >= 0 ? (const float *)r->inputs[p->step->input_count - 1] + at : NULL;
    if (consecutive && !addend) {
        memcpy(to, source[0], (size_t)floats * sizeof *to);
        return;
    }
    for (int64_t l = 0; l < block; l++)
        for (int64_t i = 0; i < p->pixels; i++) {
            float v = source[l] ? source[l][i * block] : 0.0f;
            to[i * block + l] = addend ? v + addend[i * block + l] : v;
        }
}

static sal_status run_gather(sal_device *d, void *plan, const sal_run *r)
{
    const gather_plan *p = plan;
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t n = 0; n < p->step->batch; n++)
        for (int64_t b = 0; b < p->blocks; b++)
            gather_block(p, r, n, b);
    return SAL_OK;
}

static const sal_step_row channels = {gather_prepare, run_gather, gather_release};

static sal_status choose(void **plan, sal_needs *needs, sal_device *d, const sal_step *step, const sal_value *values)
{
    const int rows = is_by_axis(step) && values[step->output].layout == SAL_LAYOUT_PLAIN;
    return cpu_choice_prepare(plan, rows ? &cpu_row_join_rows : &channels, needs, d, step, values);
}

#define ROW                                                                                                            \
    {                                                                                                                  \
        choose, cpu_choice_run, cpu_choice_release                                                                     \
    }

const sal_step_row cpu_row_concat = ROW;
const sal_step_row cpu_row_concat_backward = ROW;
const sal_step_row cpu_row_slice = ROW;
const sal_step_row cpu_row_slice_backward = ROW;
const sal_step_row cpu_row_shuffle = ROW;
const sal_step_row cpu_row_shuffle_backward = ROW;
