/* Dense layers of vectors: own products, since they are bound by reading the weights and must give a
 * picture the same bits whatever the batch. The weights stay as the model holds them. */
#include "backend/cpu/cpu.h"

#include <string.h>

enum { OUTPUTS_AT_ONCE = 64, INPUTS_AT_ONCE = 1024 };

static sal_status prepare(void **plan, sal_needs *needs, sal_device *d, const sal_step *step, const sal_value *values)
{
    needs->weights_borrowed = 1;
    return cpu_plan_prepare(plan, needs, d, step, values);
}

static sal_status run_dense(sal_device *d, void *plan, const sal_run *r)
{
    const cpu_plan *p = plan;
    const sal_node *n = p->step->node;
    size_t outputs = (size_t)p->out->shape.dim[1], inputs = (size_t)p->in[0]->shape.dim[1];
    int64_t parts = ((int64_t)outputs + OUTPUTS_AT_ONCE - 1) / OUTPUTS_AT_ONCE;
#pragma omp parallel for num_threads(d->threads)
    for (int64_t k = 0; k < parts; k++) {
        size_t from = (size_t)k * OUTPUTS_AT_ONCE;
        size_t count = outputs - from < OUTPUTS_AT_ONCE ? outputs - from : OUTPUTS_AT_ONCE;
        d->kernels->dense((float *)r->output + from, cpu_stride(p->out), r->inputs[0], cpu_stride(p->in[0]),
                          (size_t)p->step->batch, n->weight + from * inputs, n->bias ? n->bias + from : NULL, count,
                          inputs);
    }
    if (n->activation.kind == SAL_ACT_NONE)
        return SAL_OK;
    float *y = r->output;
    size_t total = cpu_stride(p->out) * (size_t)p->step->batch;
    d->kernels->activation(y, y, total, &n->activation);
    if (r->kept)
        for (int64_t i = 0; i < p->step->batch; i++)
            cpu_mask(d, (uint8_t *)r->kept + (size_t)i * p->values[p->step->kept].bytes,
                     y + (size_t)i * cpu_stride(p->out), cpu_stride(p->out), &n->activation);
    return SAL_OK;
}

static sal_status run_dense_backward(sal_device *d, void *plan, const sal_run *r)
{
    const cpu_plan *p = plan;
    const sal_node *n = p->step->node;
    size_t outputs = (size_t)p->in[0]->shape.dim[1], inputs = (size_t)p->out->shape.dim[1];
    int64_t parts = ((int64_t)inputs + INPUTS_AT_ONCE - 1) / INPUTS_AT_ONCE;
    const float *addend = p->step->addend >= 0 ? r->inputs[p->step->input_count - 1] : NULL;
    float *dx = r->output;
    if (!addend)
        memset(dx, 0, p->out->bytes * (size_t)p->step->batch);
    else if (addend != dx)
        memcpy(dx, addend, p->out->bytes * (size_t)p->step->batch);
#pragma omp parallel for num_threads(d->threads)
    for (int64_t k = 0; k < parts; k++) {
        size_t from = (size_t)k * INPUTS_AT_ONCE;
        size_t count = inputs - from < INPUTS_AT_ONCE ? inputs - from : INPUTS_AT_ONCE;
        d->kernels->dense_backward(dx + from, cpu_stride(p->out), r->inputs[0], cpu_stride(p->in[0]),
                                   (size_t)p->step->batch, n->weight + from, inputs, outputs, count);
    }
    return SAL_OK;
}

static const sal_step_row vectors = {prepare, run_dense, cpu_plan_release};
static const sal_step_row vectors_backward = {prepare, run_dense_backward, cpu_plan_release};

static sal_status choose(void **plan, sal_needs *needs, sal_device *d, const sal_step *step, const sal_value *values)
{
    const sal_step_row *row = step->kind == SAL_STEP_DENSE ? &vectors : &vectors_backward;
    if (values[step->inputs[0]].shape.rank > 2)
        row = &cpu_row_dense_rows;
    return cpu_choice_prepare(plan, row, needs, d, step, values);
}

const sal_step_row cpu_row_dense = {choose, cpu_choice_run, cpu_choice_release};
const sal_step_row cpu_row_dense_backward = {choose, cpu_choice_run, cpu_choice_release};
