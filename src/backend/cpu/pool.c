/* Max and average pooling: a thread takes one channel block of one picture at a time. */
#include "backend/cpu/cpu.h"

#include <string.h>

static cpu_pool pool_of(const cpu_plan *p, const sal_value *in, const sal_value *out)
{
    cpu_pool c = {.window = p->step->node->window};
    for (int k = 0; k < 2; k++) {
        c.in[k] = in->shape.dim[2 + k];
        c.out[k] = out->shape.dim[2 + k];
    }
    return c;
}

static sal_status prepare_max_pool(void **plan, sal_needs *needs, sal_device *d, const sal_step *step,
                                   const sal_value *values)
{
    sal_status st = sal_max_pool_check(step->node);
    return st == SAL_OK ? cpu_plan_prepare(plan, needs, d, step, values) : st;
}

static sal_status run_pool(sal_device *d, void *plan, const sal_run *r)
{
    const cpu_plan *p = plan;
    cpu_pool c = pool_of(p, p->in[0], p->out);
    int64_t block = d->kernels->block, blocks = cpu_blocks(d, p->out);
    int64_t in = c.in[0] * c.in[1] * block, out = c.out[0] * c.out[1] * block;
    const sal_value *kept = p->step->kept >= 0 ? &p->values[p->step->kept] : NULL;
    int max = p->step->kind == SAL_STEP_MAX_POOL;
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t n = 0; n < p->step->batch; n++)
        for (int64_t b = 0; b < blocks; b++) {
            const float *x = (const float *)r->inputs[0] + (size_t)n * cpu_stride(p->in[0]) + b * in;
            float *y = (float *)r->output + (size_t)n * cpu_stride(p->out) + b * out;
            uint8_t *index = kept ? (uint8_t *)r->kept + (size_t)n * kept->bytes + b * out : NULL;
            if (max)
                d->kernels->max_pool(y, index, x, &c);
            else
                d->kernels->avg_pool(y, x, &c);
        }
    return SAL_OK;
}

static sal_status run_pool_backward(sal_device *d, void *plan, const sal_run *r)
{
    const cpu_plan *p = plan;
    cpu_pool c = pool_of(p, p->out, p->in[0]);
    int64_t block = d->kernels->block, blocks = cpu_blocks(d, p->out);
    int64_t in = c.in[0] * c.in[1] * block, out = c.out[0] * c.out[1] * block;
    int max = p->step->kind == SAL_STEP_MAX_POOL_BACKWARD;
    const float *addend = p->step->addend >= 0 ? r->inputs[p->step->input_count - 1] : NULL;
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t n = 0; n < p->step->batch; n++)
        for (int64_t b = 0; b < blocks; b++) {
            size_t at = (size_t)n * cpu_stride(p->out) + (size_t)(b * in);
            float *dx = (float *)r->output + at;
            const float *dy = (const float *)r->inputs[0] + (size_t)n * cpu_stride(p->in[0]) + b * out;
            if (!addend)
                memset(dx, 0, (size_t)in * sizeof *dx);
            else if (addend + at != dx)
                memcpy(dx, addend + at, (size_t)in * sizeof *dx);
            if (max)
                d->kernels->max_pool_backward(
                    dx, dy, (const uint8_t *)r->inputs[1] + (size_t)n * p->in[1]->bytes + b * out, &c);
            else
                d->kernels->avg_pool_backward(dx, dy, &c);
        }
    return SAL_OK;
}

const sal_step_row cpu_row_max_pool = {prepare_max_pool, run_pool, cpu_plan_release};
const sal_step_row cpu_row_avg_pool = {cpu_plan_prepare, run_pool, cpu_plan_release};
const sal_step_row cpu_row_max_pool_backward = {cpu_plan_prepare, run_pool_backward, cpu_plan_release};
const sal_step_row cpu_row_avg_pool_backward = {cpu_plan_prepare, run_pool_backward, cpu_plan_release};
