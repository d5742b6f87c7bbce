/* Steps that move elements in row-major order: reshape, transpose, pad and their gradients.
 * Rare and small in ConvNets (flatten before the dense layers), so one way serves all: to
 * row-major order, move, and into the output's layout. Values in rows are in that order already: reshapes copy them,
 * or leave them where they are, and transposes are in move_rows.c. */
#include "backend/cpu/cpu.h"

#include "base/memory.h"

#include <string.h>

static size_t elements(const sal_value *v)
{
    return (size_t)sal_shape_elements(&v->shape);
}

/* Room for the input or the output in row-major order. */
static size_t picture_floats(const cpu_plan *p)
{
    size_t in = elements(p->in[0]), out = elements(p->out);
    return ((in > out ? in : out) + 15) / 16 * 16;
}

static sal_status prepare(void **plan, sal_needs *needs, sal_device *d, const sal_step *step, const sal_value *values)
{
    sal_status st = cpu_plan_prepare(plan, needs, d, step, values);
    if (st == SAL_OK)
        needs->scratch_bytes = 2 * picture_floats(*plan) * sizeof(float) * (size_t)d->threads;
    needs->algorithm = "copy";
    return st;
}

/* out[i0, i1, ...] = in[...]: axis k of the output is axis permutation[k] of the input. */
static void permute(float *out, const float *in, const sal_shape *out_shape, const sal_shape *in_shape,
                    const int *permutation)
{
    int64_t strides[SAL_MAX_RANK], index[SAL_MAX_RANK] = {0}, stride = 1;
    int rank = in_shape->rank;
    for (int k = rank - 1; k >= 0; k--) {
        strides[k] = stride;
        stride *= in_shape->dim[k];
    }
    int64_t from = 0;
    for (int64_t i = 0; i < stride; i++) {
        out[i] = in[from];
        for (int k = rank - 1; k >= 0; k--) {
            from += strides[permutation[k]];
            if (++index[k] < out_shape->dim[k])
                break;
            from -= strides[permutation[k]] * out_shape->dim[k];
            index[k] = 0;
        }
    }
}

static void pad(float *big, const float *small, const sal_shape *b, const sal_shape *s, const sal_window *w,
                float value)
{
    for (int64_t i = 0; i < sal_shape_elements(b); i++)
        big[i] = value;
    for (int64_t c = 0; c < s->dim[1]; c++)
        for (int64_t y = 0; y < s->dim[2]; y++)
            memcpy(big + (c * b->dim[2] + y + w->pad_begin[0]) * b->dim[3] + w->pad_begin[1],
                   small + (c * s->dim[2] + y) * s->dim[3], (size_t)s->dim[3] * sizeof *big);
}

static void crop(float *small, const float *big, const sal_shape *s, const sal_shape *b, const sal_window *w)
{
    for (int64_t c = 0; c < s->dim[1]; c++)
        for (int64_t y = 0; y < s->dim[2]; y++)
            memcpy(small + (c * s->dim[2] + y) * s->dim[3],
                   big + (c * b->dim[2] + y + w->pad_begin[0]) * b->dim[3] + w->pad_begin[1],
                   (size_t)s->dim[3] * sizeof *big);
}

static void move(float *out, const float *in, const cpu_plan *p)
{
    const sal_node *n = p->step->node;
    const sal_shape *to = &p->out->shape, *from = &p->in[0]->shape;
    int inverse[SAL_MAX_RANK] = {0};
    switch (p->step->kind) {
    case SAL_STEP_TRANSPOSE: permute(out, in, to, from, n->permutation); break;
    case SAL_STEP_TRANSPOSE_BACKWARD:
        for (int k = 0; k < from->rank; k++)
            inverse[n->permutation[k]] = k;
        permute(out, in, to, from, inverse);
        break;
    case SAL_STEP_PAD: pad(out, in, to, from, &n->window, n->value); break;
    case SAL_STEP_PAD_BACKWARD: crop(out, in, to, from, &n->window); break;
    default: memcpy(out, in, elements(p->out) * sizeof *out); break;
    }
}

static sal_status run(sal_device *d, void *plan, const sal_run *r)
{
    const cpu_plan *p = plan;
    const float *addend = p->step->addend >= 0 ? r->inputs[p->step->input_count - 1] : NULL;
#pragma omp parallel for num_threads(d->threads) schedule(static, 1)
    for (int64_t t = 0; t < d->threads; t++) {
        float *in = (float *)r->scratch + (size_t)t * 2 * picture_floats(p), *out = in + picture_floats(p);
        for (int64_t n = t; n < p->step->batch; n += d->threads) {
            const float *from = (const float *)r->inputs[0] + (size_t)n * cpu_stride(p->in[0]);
            float *to = (float *)r->output + (size_t)n * cpu_stride(p->out);
            cpu_to_plain(d, in, from, p->in[0]);
            move(out, in, p);
            if (addend) {
                cpu_to_plain(d, in, addend + (size_t)n * cpu_stride(p->out), p->out);
                for (size_t i = 0; i < elements(p->out); i++)
                    out[i] += in[i];
            }
            cpu_from_plain(d, to, out, p->out);
        }
    }
    return SAL_OK;
}

/* ---- Both in rows ----------------------------------------------------------- */

static sal_status run_copy(sal_device *d, void *plan, const sal_run *r)
{
    const cpu_plan *p = plan;
    const float *x = r->inputs[0], *addend = p->step->addend >= 0 ? r->inputs[p->step->input_count - 1] : NULL;
    float *y = r->output;
    const size_t total = cpu_stride(p->out) * (size_t)p->step->batch;
    const int64_t pieces = (int64_t)((total + CPU_PIECE - 1) / CPU_PIECE);
    if (x == y && !addend)
        return SAL_OK;
#pragma omp parallel for num_threads(d->threads)
    for (int64_t k = 0; k < pieces; k++) {
        const size_t from = (size_t)k * CPU_PIECE, n = total - from < CPU_PIECE ? total - from : CPU_PIECE;
        if (addend)
            d->kernels->add(y + from, x + from, addend + from, n);
        else
            memcpy(y + from, x + from, n * sizeof *y);
    }
    return SAL_OK;
}

static const sal_step_row any_layout = {prepare, run, cpu_plan_release};
static const sal_step_row copy = {cpu_plan_prepare, run_copy, cpu_plan_release};

static sal_status choose(void **plan, sal_needs *needs, sal_device *d, const sal_step *step, const sal_value *values)
{
    const sal_step_row *row = &any_layout;
    if (values[step->inputs[0]].layout == SAL_LAYOUT_PLAIN && values[step->output].layout == SAL_LAYOUT_PLAIN) {
        if (step->node->op == SAL_OP_RESHAPE)
            row = &copy;
        else if (step->node->op == SAL_OP_TRANSPOSE)
            row = &cpu_row_transpose_rows;
    }
    return cpu_choice_prepare(plan, row, needs, d, step, values);
}

#define ROW                                                                                                            \
    {                                                                                                                  \
        choose, cpu_choice_run, cpu_choice_release                                                                     \
    }

const sal_step_row cpu_row_reshape = ROW;
const sal_step_row cpu_row_reshape_backward = ROW;
const sal_step_row cpu_row_transpose = ROW;
const sal_step_row cpu_row_transpose_backward = ROW;
const sal_step_row cpu_row_pad = ROW;
const sal_step_row cpu_row_pad_backward = ROW;
