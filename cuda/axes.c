/* Steps that change how long axes are: expand, reduce, gather, and their gradients. */
#include "cuda_rows.h"

#include "base/memory.h"

/* ---- Axes that are many on one side and one on the other ------------------- */

/* The batch's elements of the larger side as they lie in memory, neighbouring axes of a kind as one: those that both
 * sides have, and those that are 1 on the smaller. */
typedef struct axes_plan {
    const sal_step *step;
    cuda_type type;
    int runs;       /* of axes that are 1 on the smaller side */
    cuda_axis axis; /* where there is one run at most */
    cuda_view kept, summed;
    cuda_view big, small; /* of all elements, in row-major order */
} axes_plan;

static void add_axis(cuda_view *v, int64_t dim, int64_t stride)
{
    v->dim[v->rank] = dim;
    v->stride[v->rank++] = stride;
}

static void sort_axes(axes_plan *p, const sal_value *big, const sal_value *small, int64_t batch)
{
    static const int map_order[] = {0, 2, 3, 1};
    int64_t stride = 1, kept_before = 1;
    int was_summed = 0;
    cuda_view summed = {0}, kept = {0};
    p->axis = (cuda_axis){1, 1, 1};
    for (int k = big->shape.rank - 1; k >= 0; k--) {
        const int axis = cuda_is_map(big) ? map_order[k] : k;
        const int64_t dim = axis == 0 ? batch : big->shape.dim[axis];
        const int is_summed = axis > 0 && dim > 1 && small->shape.dim[axis] == 1;
        if (dim == 1)
            continue;
        add_axis(is_summed ? &summed : &kept, dim, stride);
        if (is_summed) {
            p->axis.inner = p->runs == 0 ? kept_before : p->axis.inner;
            p->axis.n *= dim;
            p->runs += !was_summed;
        } else {
            kept_before *= dim;
        }
        was_summed = is_summed;
        stride *= dim;
    }
    if (p->runs == 0)
        p->axis.inner = kept_before;
    p->axis.outer = kept_before / p->axis.inner;
    /* Views have the slowest axis first. */
    for (int k = summed.rank - 1; k >= 0; k--)
        add_axis(&p->summed, summed.dim[k], summed.stride[k]);
    for (int k = kept.rank - 1; k >= 0; k--)
        add_axis(&p->kept, kept.dim[k], kept.stride[k]);
}

static void release_axes(sal_device *d, void *plan)
{
    (void)d;
    sal_free(plan);
}

static sal_status prepare_axes(void **plan, sal_needs *needs, sal_device *d, const sal_step *step,
                               const sal_value *values)
{
    sal_status st = SAL_OK;
    axes_plan *p = NULL;
    const sal_value *in = &values[step->inputs[0]], *out = &values[step->output];
    const int grows = step->kind == SAL_STEP_EXPAND || step->kind == SAL_STEP_REDUCE_BACKWARD;
    const sal_value *big = grows ? out : in, *small = grows ? in : out;
    TRY(sal_alloc(&p, 1, sizeof *p, "a step"));
    p->step = step;
    p->type = cuda_value_type(d, out);
    sort_axes(p, big, small, step->batch);
    p->big = cuda_whole(big, step->batch);
    p->small = cuda_whole(small, step->batch);
    if (step->node->op == SAL_OP_REDUCE && p->runs > 1) {
        st = sal_fail(SAL_ERROR_UNSUPPORTED, "the cuda back end reduces feature maps along H and W only");
        goto done;
    }
    needs->algorithm = "kernel";
    *plan = p;
    p = NULL;
done:
    release_axes(d, p);
    return st;
}

static sal_status run_expand(sal_device *d, void *plan, const sal_run *r)
{
    const axes_plan *p = plan;
    cuda_view from = p->small;
    for (int k = 1; k < from.rank; k++)
        if (p->small.dim[k] == 1 && p->big.dim[k] > 1) {
            from.dim[k] = p->big.dim[k];
            from.stride[k] = 0;
        }
    return CUDA_CHECK(cuda_move(r->output, p->type, &p->big, r->inputs[0], p->type, &from, NULL, d->compute));
}

static sal_status run_expand_backward(sal_device *d, void *plan, const sal_run *r)
{
    const axes_plan *p = plan;
    const void *addend = cuda_addend(p->step, r);
    if (p->runs > 1)
        return CUDA_CHECK(cuda_sum_axes(r->output, r->inputs[0], addend, p->type, &p->kept, &p->summed, d->compute));
    return CUDA_CHECK(cuda_sum_axis(r->output, r->inputs[0], 1.0f, addend, p->type, p->axis.outer, p->axis.n,
                                    p->axis.inner, d->compute));
}

static float share_of(const axes_plan *p)
{
    return p->step->node->reduction == SAL_REDUCTION_MEAN ? 1.0f / (float)p->axis.n : 1.0f;
}

static sal_status run_reduce(sal_device *d, void *plan, const sal_run *r)
{
    const axes_plan *p = plan;
    const cuda_axis a = p->axis;
    if (p->step->node->reduction == SAL_REDUCTION_MAX)
        return CUDA_CHECK(cuda_max_axis(r->output, r->inputs[0], p->type, a.outer, a.n, a.inner, d->compute));
    return CUDA_CHECK(
        cuda_sum_axis(r->output, r->inputs[0], share_of(p), NULL, p->type, a.outer, a.n, a.inner, d->compute));
}

static sal_status run_reduce_backward(sal_device *d, void *plan, const sal_run *r)
{
    const axes_plan *p = plan;
    const cuda_axis a = p->axis;
    const void *addend = cuda_addend(p->step, r);
    if (p->step->node->reduction == SAL_REDUCTION_MAX)
        return CUDA_CHECK(cuda_max_axis_backward(r->output, r->inputs[0], r->inputs[1], addend, p->type, a.outer, a.n,
                                                 a.inner, d->compute));
    return CUDA_CHECK(
        cuda_spread_axis(r->output, r->inputs[0], share_of(p), addend, p->type, a.outer, a.n, a.inner, d->compute));
}

/* ---- Gather ----------------------------------------------------------------- */

typedef struct gather_plan {
    const sal_step *step;
    cuda_type type;
    cuda_gather gather;
    cuda_weight *places; /* indices, or readers */
    cuda_weight *weight; /* or NULL */
} gather_plan;

static void release_gather(sal_device *d, void *plan)
{
    gather_plan *p = plan;
    if (!p)
        return;
    cuda_weights_release(d, p->places);
    cuda_weights_release(d, p->weight);
    sal_free(p);
}

static sal_status prepare_gather(void **plan, sal_needs *needs, sal_device *d, const sal_step *step,
                                 const sal_value *values)
{
    sal_status st = SAL_OK;
    gather_plan *p = NULL;
    const sal_node *n = step->node;
    const int backward = step->kind == SAL_STEP_GATHER_BACKWARD;
    const sal_value *x = &values[backward ? step->output : step->inputs[0]];
    const cuda_axis a = cuda_along(x, step->batch, n->axis);
    TRY(sal_alloc(&p, 1, sizeof *p, "a gather"));
    p->step = step;
    p->type = cuda_value_type(d, x);
    p->gather = (cuda_gather){a.outer, a.n, n->shape.dim[n->axis], a.inner, n->taps};
    TRY(cuda_weights_use(&p->places, needs, d, n, backward ? CUDA_WEIGHT_READERS : CUDA_WEIGHT_INDICES, a.n));
    if (n->weight_count > 0)
        TRY(cuda_weights_use(&p->weight, needs, d, n, CUDA_WEIGHT_FLOATS, 0));
    needs->algorithm = "kernel";
    *plan = p;
    p = NULL;
done:
    release_gather(d, p);
    return st;
}

static sal_status run_gather(sal_device *d, void *plan, const sal_run *r)
{
    const gather_plan *p = plan;
    return CUDA_CHECK(cuda_gather_taps(r->output, r->inputs[0], cuda_weight_memory(p->places),
                                       cuda_weight_memory(p->weight), p->type, &p->gather, d->compute));
}

static sal_status run_gather_backward(sal_device *d, void *plan, const sal_run *r)
{
    const gather_plan *p = plan;
    return CUDA_CHECK(cuda_gather_backward(r->output, r->inputs[0], cuda_weight_memory(p->places),
                                           cuda_weight_memory(p->weight), cuda_addend(p->step, r), p->type, &p->gather,
                                           d->compute));
}

const sal_step_row cuda_row_expand = {prepare_axes, run_expand, release_axes};
const sal_step_row cuda_row_expand_backward = {prepare_axes, run_expand_backward, release_axes};
const sal_step_row cuda_row_reduce = {prepare_axes, run_reduce, release_axes};
const sal_step_row cuda_row_reduce_backward = {prepare_axes, run_reduce_backward, release_axes};
const sal_step_row cuda_row_gather = {prepare_gather, run_gather, release_gather};
const sal_step_row cuda_row_gather_backward = {prepare_gather, run_gather_backward, release_gather};
