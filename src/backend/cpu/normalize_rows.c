/* Softmax and layer norm of values in rows. Along the last axis a thread takes some rows at a time; along another,
 * which is rare, a line at a time. */
#include "backend/cpu/cpu.h"

#include "base/memory.h"

#include <math.h>

/* Lines of `extent` elements that lie `stride` floats apart. */
typedef struct lines {
    int64_t count; /* of a picture */
    int64_t extent, stride;
} lines;

static lines lines_of(const cpu_plan *p)
{
    const sal_node *n = p->step->node;
    lines l = {.extent = n->shape.dim[n->axis], .stride = 1};
    for (int j = n->axis + 1; j < n->shape.rank; j++)
        l.stride *= n->shape.dim[j];
    l.count = sal_shape_elements(&n->shape) / l.extent;
    return l;
}

/* Rows that a thread takes at a time. */
static int64_t rows_at_once(const lines *l)
{
    const int64_t rows = CPU_PIECE / l->extent;
    return rows > 0 ? rows : 1;
}

/* The softmax of line k, of an axis that is not the last. */
static void softmax_line(float *y, const float *x, const lines *l)
{
    float most = x[0];
    double sum = 0.0;
    for (int64_t i = 1; i < l->extent; i++)
        most = x[i * l->stride] > most ? x[i * l->stride] : most;
    for (int64_t i = 0; i < l->extent; i++)
        sum += exp((double)x[i * l->stride] - (double)most);
    for (int64_t i = 0; i < l->extent; i++)
        y[i * l->stride] = (float)(exp((double)x[i * l->stride] - (double)most) / sum);
}

static void softmax_line_backward(float *dx, const float *dy, const float *y, const float *addend, const lines *l)
{
    double dot = 0.0;
    for (int64_t i = 0; i < l->extent; i++)
        dot += (double)dy[i * l->stride] * (double)y[i * l->stride];
    for (int64_t i = 0; i < l->extent; i++) {
        const int64_t at = i * l->stride;
        const double v = (double)y[at] * ((double)dy[at] - dot);
        dx[at] = (float)(addend ? v + (double)addend[at] : v);
    }
}

/* Lines [first, first + count) of a picture. */
static void run_lines(const sal_device *d, const cpu_plan *p, const sal_run *r, const lines *l, size_t picture,
                      int64_t first, int64_t count)
{
    const sal_node *n = p->step->node;
    const size_t rows = (size_t)count, extent = (size_t)l->extent;
    const size_t at =
        picture * cpu_stride(p->out) + (size_t)(first / l->stride * l->extent * l->stride + first % l->stride);
    const float *x = (const float *)r->inputs[0] + at;
    const float *other = p->step->input_count > 1 ? (const float *)r->inputs[1] + at : NULL;
    const float *addend = p->step->addend >= 0 ? (const float *)r->inputs[p->step->input_count - 1] + at : NULL;
    float *y = (float *)r->output + at;
    switch (p->step->kind) {
    case SAL_STEP_LAYER_NORM: d->kernels->layer_norm(y, x, p->weights, p->bias, n->epsilon, rows, extent); break;
    case SAL_STEP_LAYER_NORM_BACKWARD:
        d->kernels->layer_norm_backward(y, x, other, p->weights, addend, n->epsilon, rows, extent);
        break;
    case SAL_STEP_SOFTMAX:
        if (l->stride > 1)
            softmax_line(y, x, l);
        else
            d->kernels->softmax(y, x, rows, extent);
        break;
    default:
        if (l->stride > 1)
            softmax_line_backward(y, x, other, addend, l);
        else
            d->kernels->softmax_backward(y, x, other, addend, rows, extent);
        break;
    }
}

static sal_status run(sal_device *d, void *plan, const sal_run *r)
{
    const cpu_plan *p = plan;
    const lines l = lines_of(p);
    const int64_t some = l.stride > 1 ? 1 : rows_at_once(&l), parts = (l.count + some - 1) / some;
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t n = 0; n < p->step->batch; n++)
        for (int64_t k = 0; k < parts; k++)
            run_lines(d, p, r, &l, (size_t)n, k * some, l.count - k * some < some ? l.count - k * some : some);
    return SAL_OK;
}

static sal_status prepare_norm(void **plan, sal_needs *needs, sal_device *d, const sal_step *step,
                               const sal_value *values)
{
    if (step->node->axis != step->node->shape.rank - 1)
        return sal_fail(SAL_ERROR_UNSUPPORTED, "layer norm of rows works along their last axis, not along axis %d",
                        step->node->axis);
    return cpu_plan_prepare(plan, needs, d, step, values);
}

const sal_step_row cpu_row_layer_norm_rows = {prepare_norm, run, cpu_plan_release};
const sal_step_row cpu_row_softmax_rows = {cpu_plan_prepare, run, cpu_plan_release};
