/* Steps of one kernel each: activations, sums and products, per-channel terms, pools, means, softmax, layer norm. */
#include "cuda_rows.h"

#include "base/memory.h"

/* The axis of an affine or a layer norm. */
static int channel_axis(const sal_value *v, const sal_node *n)
{
    if (cuda_is_map(v))
        return 1;
    return n->op == SAL_OP_LAYER_NORM ? v->shape.rank - 1 : n->axis;
}

sal_status cuda_plan_prepare(void **plan, sal_needs *needs, sal_device *d, const sal_step *step,
                             const sal_value *values)
{
    sal_status st = SAL_OK;
    cuda_plan *p = NULL;
    const sal_node *n = step->node;
    TRY(sal_alloc(&p, 1, sizeof *p, "a step"));
    p->step = step;
    p->values = values;
    p->out = &values[step->output];
    for (int k = 0; k < step->input_count && k < SAL_STEP_MAX_INPUTS; k++)
        p->in[k] = &values[step->inputs[k]];
    if (n->op == SAL_OP_AFFINE || n->op == SAL_OP_LAYER_NORM) {
        const int64_t channels = n->shape.dim[channel_axis(p->out, n)];
        TRY(cuda_weights_use(&p->weight, needs, d, n, CUDA_WEIGHT_CHANNELS, channels));
        TRY(cuda_weights_use(&p->bias, needs, d, n, CUDA_WEIGHT_BIAS, channels));
    }
    if (n->op == SAL_OP_CONSTANT)
        TRY(cuda_weights_use(&p->weight, needs, d, n, CUDA_WEIGHT_FLOATS, 0));
    needs->algorithm = "kernel";
    *plan = p;
    p = NULL;
done:
    cuda_plan_release(d, p);
    return st;
}

void cuda_plan_release(sal_device *d, void *plan)
{
    cuda_plan *p = plan;
    if (!p)
        return;
    cuda_weights_release(d, p->weight);
    cuda_weights_release(d, p->bias);
    sal_free(p);
}

static cuda_extent extent(const cuda_plan *p, const sal_value *v)
{
    return cuda_value_extent(v, p->step->batch);
}

static cuda_axis along(const cuda_plan *p, int axis)
{
    return cuda_along(p->out, p->step->batch, axis);
}

static int64_t picture_elements(const sal_value *v)
{
    return sal_shape_elements(&v->shape);
}

/* ---- Activations -------------------------------------------------------- */

static sal_status run_activation(sal_device *d, void *plan, const sal_run *r)
{
    const cuda_plan *p = plan;
    return CUDA_CHECK(cuda_activation(r->output, r->kept, r->inputs[0], cuda_value_type(d, p->out), p->step->batch,
                                      picture_elements(p->out), &p->step->node->activation, d->compute));
}

static sal_status run_activation_backward(sal_device *d, void *plan, const sal_run *r)
{
    const cuda_plan *p = plan;
    const sal_activation *a = &p->step->node->activation;
    const void *addend = cuda_addend(p->step, r);
    const cuda_type type = cuda_value_type(d, p->out);
    const float slope = a->kind == SAL_ACT_LEAKY_RELU ? a->alpha : 0.0f;
    if (sal_activation_keep(a->kind) == SAL_KEEP_SIGN)
        return CUDA_CHECK(cuda_activation_mask_backward(r->output, r->inputs[0], r->inputs[1], addend, type,
                                                        p->step->batch, picture_elements(p->out), slope, p->step->rule,
                                                        d->compute));
    return CUDA_CHECK(cuda_activation_backward(r->output, r->inputs[0], r->inputs[1], addend, type,
                                               p->step->batch * picture_elements(p->out), a, p->step->rule,
                                               d->compute));
}

/* ---- Two operands ------------------------------------------------------- */

/* Whether b gives one number per channel of a map of a's shape. */
static int is_channels(const sal_value *b, const sal_value *a)
{
    return !sal_shape_equal(&b->shape, &a->shape);
}

static sal_status prepare_broadcast(void **plan, sal_needs *needs, sal_device *d, const sal_step *step,
                                    const sal_value *values)
{
    const sal_value *out = &values[step->output], *big = out;
    for (int k = 0; k < step->input_count; k++)
        if (values[step->inputs[k]].bytes > big->bytes)
            big = &values[step->inputs[k]];
    for (int k = -1; k < step->input_count; k++) {
        const sal_value *v = k < 0 ? out : &values[step->inputs[k]];
        const int per_channel = cuda_is_map(big) && cuda_is_map(v) && picture_elements(v) == v->shape.dim[1] &&
                                v->shape.dim[1] == big->shape.dim[1];
        if (is_channels(v, big) && !per_channel)
            return sal_fail(SAL_ERROR_UNSUPPORTED,
                            "operands of different shapes must be (N, C, H, W) and (N, C, 1, 1)");
    }
    return cuda_plan_prepare(plan, needs, d, step, values);
}

static sal_status run_add(sal_device *d, void *plan, const sal_run *r)
{
    const cuda_plan *p = plan;
    return CUDA_CHECK(cuda_add(r->output, r->inputs[0], r->inputs[1], is_channels(p->in[1], p->out),
                               cuda_value_type(d, p->out), extent(p, p->out), d->compute));
}

static sal_status run_mul(sal_device *d, void *plan, const sal_run *r)
{
    const cuda_plan *p = plan;
    return CUDA_CHECK(cuda_multiply(r->output, r->inputs[0], r->inputs[1], is_channels(p->in[1], p->out), NULL,
                                    cuda_value_type(d, p->out), extent(p, p->out), d->compute));
}

/* Inputs: dy, the other operand [, addend]. */
static sal_status run_mul_backward(sal_device *d, void *plan, const sal_run *r)
{
    const cuda_plan *p = plan;
    const void *addend = cuda_addend(p->step, r);
    const cuda_type type = cuda_value_type(d, p->out);
    if (is_channels(p->out, p->in[0]))
        return CUDA_CHECK(cuda_sum_pixels(r->output, r->inputs[0], r->inputs[1], 1.0f, addend, type,
                                          extent(p, p->in[0]), d->compute));
    return CUDA_CHECK(cuda_multiply(r->output, r->inputs[0], r->inputs[1], is_channels(p->in[1], p->in[0]), addend,
                                    type, extent(p, p->out), d->compute));
}

static sal_status run_affine(sal_device *d, void *plan, const sal_run *r)
{
    const cuda_plan *p = plan;
    const cuda_axis a = along(p, channel_axis(p->out, p->step->node));
    return CUDA_CHECK(cuda_affine(r->output, r->inputs[0], cuda_weight_memory(p->weight), cuda_weight_memory(p->bias),
                                  NULL, cuda_value_type(d, p->out), a.outer, a.n, a.inner, d->compute));
}

static sal_status run_affine_backward(sal_device *d, void *plan, const sal_run *r)
{
    const cuda_plan *p = plan;
    const cuda_axis a = along(p, channel_axis(p->out, p->step->node));
    return CUDA_CHECK(cuda_affine(r->output, r->inputs[0], cuda_weight_memory(p->weight), NULL, cuda_addend(p->step, r),
                                  cuda_value_type(d, p->out), a.outer, a.n, a.inner, d->compute));
}

/* ---- Sums over pixels --------------------------------------------------- */

static float one_by_pixels(const sal_value *map)
{
    return 1.0f / (float)(map->shape.dim[2] * map->shape.dim[3]);
}

static sal_status run_reduce_spatial(sal_device *d, void *plan, const sal_run *r)
{
    const cuda_plan *p = plan;
    return CUDA_CHECK(cuda_sum_pixels(r->output, r->inputs[0], NULL, 1.0f, cuda_addend(p->step, r),
                                      cuda_value_type(d, p->out), extent(p, p->in[0]), d->compute));
}

static sal_status run_mean(sal_device *d, void *plan, const sal_run *r)
{
    const cuda_plan *p = plan;
    return CUDA_CHECK(cuda_sum_pixels(r->output, r->inputs[0], NULL, one_by_pixels(p->in[0]), NULL,
                                      cuda_value_type(d, p->out), extent(p, p->in[0]), d->compute));
}

static sal_status run_mean_backward(sal_device *d, void *plan, const sal_run *r)
{
    const cuda_plan *p = plan;
    return CUDA_CHECK(cuda_spread_pixels(r->output, r->inputs[0], one_by_pixels(p->out), cuda_addend(p->step, r),
                                         cuda_value_type(d, p->out), extent(p, p->out), d->compute));
}

/* ---- Pools -------------------------------------------------------------- */

static sal_status run_max_pool(sal_device *d, void *plan, const sal_run *r)
{
    const cuda_plan *p = plan;
    return CUDA_CHECK(cuda_max_pool(r->output, r->kept, r->inputs[0], d->type, extent(p, p->in[0]), extent(p, p->out),
                                    &p->step->node->window, d->compute));
}

static sal_status run_max_pool_backward(sal_device *d, void *plan, const sal_run *r)
{
    const cuda_plan *p = plan;
    return CUDA_CHECK(cuda_max_pool_backward(r->output, r->inputs[0], r->inputs[1], cuda_addend(p->step, r), d->type,
                                             extent(p, p->out), extent(p, p->in[0]), &p->step->node->window,
                                             d->compute));
}

static sal_status run_avg_pool(sal_device *d, void *plan, const sal_run *r)
{
    const cuda_plan *p = plan;
    return CUDA_CHECK(cuda_avg_pool(r->output, r->inputs[0], d->type, extent(p, p->in[0]), extent(p, p->out),
                                    &p->step->node->window, d->compute));
}

static sal_status run_avg_pool_backward(sal_device *d, void *plan, const sal_run *r)
{
    const cuda_plan *p = plan;
    return CUDA_CHECK(cuda_avg_pool_backward(r->output, r->inputs[0], cuda_addend(p->step, r), d->type,
                                             extent(p, p->out), extent(p, p->in[0]), &p->step->node->window,
                                             d->compute));
}

/* ---- Along an axis ------------------------------------------------------ */

cuda_axis cuda_along(const sal_value *v, int64_t batch, int axis)
{
    const int64_t *dim = v->shape.dim;
    cuda_axis a = {batch, dim[axis], 1};
    if (cuda_is_map(v)) /* (H, W, C) */
        return axis == 1   ? (cuda_axis){batch * dim[2] * dim[3], dim[1], 1}
               : axis == 2 ? (cuda_axis){batch, dim[2], dim[3] * dim[1]}
                           : (cuda_axis){batch * dim[2], dim[3], dim[1]};
    for (int k = 1; k < axis; k++)
        a.outer *= dim[k];
    for (int k = axis + 1; k < v->shape.rank; k++)
        a.inner *= dim[k];
    return a;
}

static sal_status run_softmax(sal_device *d, void *plan, const sal_run *r)
{
    const cuda_plan *p = plan;
    const cuda_axis a = along(p, p->step->node->axis);
    return CUDA_CHECK(
        cuda_softmax(r->output, r->inputs[0], cuda_value_type(d, p->out), a.outer, a.n, a.inner, d->compute));
}

static sal_status run_softmax_backward(sal_device *d, void *plan, const sal_run *r)
{
    const cuda_plan *p = plan;
    const cuda_axis a = along(p, p->step->node->axis);
    return CUDA_CHECK(cuda_softmax_backward(r->output, r->inputs[0], r->inputs[1], cuda_addend(p->step, r),
                                            cuda_value_type(d, p->out), a.outer, a.n, a.inner, d->compute));
}

static sal_status run_layer_norm(sal_device *d, void *plan, const sal_run *r)
{
    const cuda_plan *p = plan;
    const cuda_axis a = along(p, channel_axis(p->out, p->step->node));
    return CUDA_CHECK(cuda_layer_norm(r->output, r->inputs[0], cuda_weight_memory(p->weight),
                                      cuda_weight_memory(p->bias), p->step->node->epsilon, cuda_value_type(d, p->out),
                                      a.outer, a.n, d->compute));
}

static sal_status run_layer_norm_backward(sal_device *d, void *plan, const sal_run *r)
{
    const cuda_plan *p = plan;
    const cuda_axis a = along(p, channel_axis(p->out, p->step->node));
    return CUDA_CHECK(cuda_layer_norm_backward(r->output, r->inputs[0], r->inputs[1], cuda_weight_memory(p->weight),
                                               p->step->node->epsilon, cuda_addend(p->step, r),
                                               cuda_value_type(d, p->out), a.outer, a.n, d->compute));
}

static sal_status prepare_max_pool(void **plan, sal_needs *needs, sal_device *d, const sal_step *step,
                                   const sal_value *values)
{
    sal_status st = sal_max_pool_check(step->node);
    return st == SAL_OK ? cuda_plan_prepare(plan, needs, d, step, values) : st;
}

#define ROW(prepare, run)                                                                                              \
    {                                                                                                                  \
        prepare, run, cuda_plan_release                                                                                \
    }

const sal_step_row cuda_row_activation = ROW(cuda_plan_prepare, run_activation);
const sal_step_row cuda_row_activation_backward = ROW(cuda_plan_prepare, run_activation_backward);
const sal_step_row cuda_row_add = ROW(prepare_broadcast, run_add);
const sal_step_row cuda_row_mul = ROW(prepare_broadcast, run_mul);
const sal_step_row cuda_row_mul_backward = ROW(prepare_broadcast, run_mul_backward);
const sal_step_row cuda_row_affine = ROW(cuda_plan_prepare, run_affine);
const sal_step_row cuda_row_affine_backward = ROW(cuda_plan_prepare, run_affine_backward);
const sal_step_row cuda_row_reduce_spatial = ROW(prepare_broadcast, run_reduce_spatial);
const sal_step_row cuda_row_mean = ROW(cuda_plan_prepare, run_mean);
const sal_step_row cuda_row_mean_backward = ROW(cuda_plan_prepare, run_mean_backward);
const sal_step_row cuda_row_max_pool = ROW(prepare_max_pool, run_max_pool);
const sal_step_row cuda_row_max_pool_backward = ROW(prepare_max_pool, run_max_pool_backward);
const sal_step_row cuda_row_avg_pool = ROW(cuda_plan_prepare, run_avg_pool);
const sal_step_row cuda_row_avg_pool_backward = ROW(cuda_plan_prepare, run_avg_pool_backward);
const sal_step_row cuda_row_softmax = ROW(cuda_plan_prepare, run_softmax);
const sal_step_row cuda_row_softmax_backward = ROW(cuda_plan_prepare, run_softmax_backward);
const sal_step_row cuda_row_layer_norm = ROW(cuda_plan_prepare, run_layer_norm);
const sal_step_row cuda_row_layer_norm_backward = ROW(cuda_plan_prepare, run_layer_norm_backward);
