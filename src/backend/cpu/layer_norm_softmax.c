/* Layer norm over the channels of each pixel (or of a vector), and softmax of vectors. Those of values in rows are in
 * normalize_rows.c. */
#include "backend/cpu/cpu.h"

#include <math.h>
#include <string.h>

/* A pixel's channels in memory: blocks lie `plane` floats apart. */
typedef struct column {
    int64_t channels;
    int64_t block;
    int64_t plane;
} column;

static inline int64_t place_of(const column *c, int64_t channel)
{
    return channel / c->block * c->plane + channel % c->block;
}

static column column_of(const sal_device *d, const sal_value *v)
{
    column c = {.channels = v->shape.dim[1], .block = 1, .plane = 1};
    if (v->layout == SAL_LAYOUT_BLOCKED) {
        c.block = d->kernels->block;
        c.plane = cpu_pixels(v) * c.block;
    }
    return c;
}

static int64_t columns_in(const sal_value *v)
{
    return v->layout == SAL_LAYOUT_BLOCKED ? cpu_pixels(v) : 1;
}

static void moments(double *mean, double *rstd, const float *x, const column *c, float epsilon)
{
    double sum = 0.0, squares = 0.0;
    for (int64_t k = 0; k < c->channels; k++)
        sum += x[place_of(c, k)];
    *mean = sum / (double)c->channels;
    for (int64_t k = 0; k < c->channels; k++) {
        double centred = x[place_of(c, k)] - *mean;
        squares += centred * centred;
    }
    *rstd = 1.0 / sqrt(squares / (double)c->channels + (double)epsilon);
}

static void clear_padding(float *y, const column *c)
{
    for (int64_t k = c->channels; k % c->block != 0; k++)
        y[place_of(c, k)] = 0.0f;
}

static sal_status run_layer_norm(sal_device *d, void *plan, const sal_run *r)
{
    const cpu_plan *p = plan;
    const column c = column_of(d, p->out);
    int64_t count = columns_in(p->out);
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t n = 0; n < p->step->batch; n++)
        for (int64_t i = 0; i < count; i++) {
            size_t at = (size_t)n * cpu_stride(p->out) + (size_t)(i * c.block);
            const float *x = (const float *)r->inputs[0] + at;
            float *y = (float *)r->output + at;
            double mean, rstd;
            moments(&mean, &rstd, x, &c, p->step->node->epsilon);
            for (int64_t k = 0; k < c.channels; k++) {
                double v = (x[place_of(&c, k)] - mean) * rstd * (double)p->weights[k];
                y[place_of(&c, k)] = (float)(p->bias ? v + (double)p->bias[k] : v);
            }
            clear_padding(y, &c);
        }
    return SAL_OK;
}

/* dx = rstd (g - mean(g) - xhat mean(g xhat)), g = dy * weight: Ba et al. 2016, differentiated. */
static sal_status run_layer_norm_backward(sal_device *d, void *plan, const sal_run *r)
{
    const cpu_plan *p = plan;
    const column c = column_of(d, p->out);
    int64_t count = columns_in(p->out);
    const float *addend = p->step->addend >= 0 ? r->inputs[p->step->input_count - 1] : NULL;
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t n = 0; n < p->step->batch; n++)
        for (int64_t i = 0; i < count; i++) {
            size_t at = (size_t)n * cpu_stride(p->out) + (size_t)(i * c.block);
            const float *dy = (const float *)r->inputs[0] + at, *x = (const float *)r->inputs[1] + at;
            float *dx = (float *)r->output + at;
            double mean, rstd, sum = 0.0, dot = 0.0;
            moments(&mean, &rstd, x, &c, p->step->node->epsilon);
            for (int64_t k = 0; k < c.channels; k++) {
                double g = (double)dy[place_of(&c, k)] * (double)p->weights[k];
                sum += g;
                dot += g * (x[place_of(&c, k)] - mean) * rstd;
            }
            sum /= (double)c.channels;
            dot /= (double)c.channels;
            for (int64_t k = 0; k < c.channels; k++) {
                int64_t q = place_of(&c, k);
                double g = (double)dy[q] * (double)p->weights[k];
                double v = rstd * (g - sum - (x[q] - mean) * rstd * dot);
                dx[q] = (float)(addend ? v + (double)addend[at + (size_t)q] : v);
            }
            clear_padding(dx, &c);
        }
    return SAL_OK;
}

/* ---- Softmax ------------------------------------------------------------ */

static sal_status run_softmax(sal_device *d, void *plan, const sal_run *r)
{
    const cpu_plan *p = plan;
    int64_t count = p->out->shape.dim[1];
    (void)d;
    for (int64_t n = 0; n < p->step->batch; n++) {
        const float *x = (const float *)r->inputs[0] + (size_t)n * cpu_stride(p->in[0]);
        float *y = (float *)r->output + (size_t)n * cpu_stride(p->out);
        float top = x[0];
        double sum = 0.0;
        for (int64_t i = 1; i < count; i++)
            top = x[i] > top ? x[i] : top;
        for (int64_t i = 0; i < count; i++)
            sum += exp((double)x[i] - (double)top);
        for (int64_t i = 0; i < count; i++)
            y[i] = (float)(exp((double)x[i] - (double)top) / sum);
    }
    return SAL_OK;
}

/* dx = y (dy - sum(dy y)) */
static sal_status run_softmax_backward(sal_device *d, void *plan, const sal_run *r)
{
    const cpu_plan *p = plan;
    int64_t count = p->out->shape.dim[1];
    const float *addend = p->step->addend >= 0 ? r->inputs[p->step->input_count - 1] : NULL;
    (void)d;
    for (int64_t n = 0; n < p->step->batch; n++) {
        const float *dy = (const float *)r->inputs[0] + (size_t)n * cpu_stride(p->in[0]);
        const float *y = (const float *)r->inputs[1] + (size_t)n * cpu_stride(p->in[1]);
        size_t at = (size_t)n * cpu_stride(p->out);
        float *dx = (float *)r->output + at;
        double dot = 0.0;
        for (int64_t i = 0; i < count; i++)
            dot += (double)dy[i] * (double)y[i];
        for (int64_t i = 0; i < count; i++) {
            double v = (double)y[i] * ((double)dy[i] - dot);
            dx[i] = (float)(addend ? v + (double)addend[at + (size_t)i] : v);
        }
    }
    return SAL_OK;
}

/* ---- Rows --------------------------------------------------------------- */

static const sal_step_row norm = {cpu_plan_prepare, run_layer_norm, cpu_plan_release};
static const sal_step_row norm_backward = {cpu_plan_prepare, run_layer_norm_backward, cpu_plan_release};
static const sal_step_row vector_softmax = {cpu_plan_prepare, run_softmax, cpu_plan_release};
static const sal_step_row vector_softmax_backward = {cpu_plan_prepare, run_softmax_backward, cpu_plan_release};

static sal_status choose_norm(void **plan, sal_needs *needs, sal_device *d, const sal_step *step,
                              const sal_value *values)
{
    const sal_value *out = &values[step->output];
    const sal_step_row *row = step->kind == SAL_STEP_LAYER_NORM ? &norm : &norm_backward;
    if (out->layout == SAL_LAYOUT_PLAIN && out->shape.rank != 2)
        row = &cpu_row_layer_norm_rows;
    return cpu_choice_prepare(plan, row, needs, d, step, values);
}

static sal_status choose_softmax(void **plan, sal_needs *needs, sal_device *d, const sal_step *step,
                                 const sal_value *values)
{
    const sal_step_row *row = step->kind == SAL_STEP_SOFTMAX ? &vector_softmax : &vector_softmax_backward;
    if (values[step->output].layout == SAL_LAYOUT_BLOCKED)
        return sal_fail(SAL_ERROR_UNSUPPORTED, "softmax works on values in rows only");
    if (values[step->output].shape.rank != 2)
        row = &cpu_row_softmax_rows;
    return cpu_choice_prepare(plan, row, needs, d, step, values);
}

const sal_step_row cpu_row_layer_norm = {choose_norm, cpu_choice_run, cpu_choice_release};
const sal_step_row cpu_row_layer_norm_backward = {choose_norm, cpu_choice_run, cpu_choice_release};
const sal_step_row cpu_row_softmax = {choose_softmax, cpu_choice_run, cpu_choice_release};
const sal_step_row cpu_row_softmax_backward = {choose_softmax, cpu_choice_run, cpu_choice_release};
