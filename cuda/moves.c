/* Steps that only move elements: concat, slice, channel shuffle, reshape, transpose, pad, constants, and their
 * gradients. Each is one view on what is read and one on what is written. */
#include "cuda_rows.h"

/* ---- Views -------------------------------------------------------------- */

cuda_view cuda_whole(const sal_value *v, int64_t batch)
{
    const int64_t *dim = v->shape.dim;
    cuda_view view = {.rank = v->shape.rank};
    int64_t stride = 1;
    for (int k = view.rank - 1; k >= 0; k--) {
        view.dim[k] = k == 0 ? batch : dim[k];
        view.stride[k] = stride;
        stride *= view.dim[k];
    }
    if (cuda_is_map(v)) {
        view.stride[1] = 1;
        view.stride[2] = dim[3] * dim[1];
        view.stride[3] = dim[1];
    }
    return view;
}

/* Elements [start, start + count) of an axis, every `step`-th of them. */
static cuda_view part(cuda_view view, int axis, int64_t start, int64_t count, int64_t step)
{
    view.first += start * view.stride[axis];
    view.dim[axis] = count;
    view.stride[axis] *= step;
    return view;
}

static cuda_view permuted(const cuda_view *view, const int *permutation)
{
    cuda_view p = *view;
    for (int k = 0; k < view->rank; k++) {
        p.dim[k] = view->dim[permutation[k]];
        p.stride[k] = view->stride[permutation[k]];
    }
    return p;
}

/* Axis 1 as (groups, C / groups), or as (C / groups, groups) where turned. */
static cuda_view split_channels(const cuda_view *view, int64_t groups, int turned)
{
    cuda_view s = {.rank = view->rank + 1, .first = view->first};
    const int64_t each = view->dim[1] / groups, stride = view->stride[1];
    s.dim[0] = view->dim[0];
    s.stride[0] = view->stride[0];
    s.dim[1] = turned ? each : groups;
    s.dim[2] = turned ? groups : each;
    s.stride[1] = turned ? stride : each * stride;
    s.stride[2] = turned ? each * stride : stride;
    for (int k = 2; k < view->rank; k++) {
        s.dim[k + 1] = view->dim[k];
        s.stride[k + 1] = view->stride[k];
    }
    return s;
}

static cuda_view inside(const cuda_view *padded, const sal_value *small, const sal_window *w)
{
    cuda_view v = part(*padded, 2, w->pad_begin[0], small->shape.dim[2], 1);
    return part(v, 3, w->pad_begin[1], small->shape.dim[3], 1);
}

/* ---- Running ------------------------------------------------------------ */

static sal_status move(sal_device *d, const cuda_plan *p, const sal_run *r, int input, const cuda_view *to,
                       const cuda_view *from)
{
    const sal_value *in = &p->values[p->step->inputs[input]];
    return CUDA_CHECK(cuda_move(r->output, cuda_value_type(d, p->out), to, r->inputs[input], cuda_value_type(d, in),
                                from, cuda_addend(p->step, r), d->compute));
}

static sal_status run_concat(sal_device *d, void *plan, const sal_run *r)
{
    sal_status st = SAL_OK;
    const cuda_plan *p = plan;
    const int axis = p->step->node->axis;
    const cuda_view out = cuda_whole(p->out, p->step->batch);
    int64_t start = 0;
    for (int k = 0; k < p->step->input_count; k++) {
        const sal_value *in = &p->values[p->step->inputs[k]];
        const cuda_view from = cuda_whole(in, p->step->batch);
        const cuda_view to = part(out, axis, start, in->shape.dim[axis], 1);
        TRY(move(d, p, r, k, &to, &from));
        start += in->shape.dim[axis];
    }
done:
    return st;
}

static sal_status run_concat_backward(sal_device *d, void *plan, const sal_run *r)
{
    const cuda_plan *p = plan;
    const int axis = p->step->node->axis;
    const cuda_view to = cuda_whole(p->out, p->step->batch);
    const cuda_view from = part(cuda_whole(p->in[0], p->step->batch), axis, p->step->first_channel, to.dim[axis], 1);
    return move(d, p, r, 0, &to, &from);
}

static sal_status run_slice(sal_device *d, void *plan, const sal_run *r)
{
    const cuda_plan *p = plan;
    const sal_node *n = p->step->node;
    const cuda_view to = cuda_whole(p->out, p->step->batch);
    const cuda_view from = part(cuda_whole(p->in[0], p->step->batch), n->axis, n->start, to.dim[n->axis], n->step);
    return move(d, p, r, 0, &to, &from);
}

/* What was not sliced gets the addend alone, or nothing. */
static sal_status run_slice_backward(sal_device *d, void *plan, const sal_run *r)
{
    sal_status st = SAL_OK;
    const cuda_plan *p = plan;
    const sal_node *n = p->step->node;
    const void *addend = cuda_addend(p->step, r);
    const size_t bytes = p->out->bytes * (size_t)p->step->batch;
    if (!addend)
        TRY(CUDA_CHECK(cudaMemsetAsync(r->output, 0, bytes, d->compute)));
    else if (addend != r->output)
        TRY(CUDA_CHECK(cudaMemcpyAsync(r->output, addend, bytes, cudaMemcpyDeviceToDevice, d->compute)));
    const cuda_view from = cuda_whole(p->in[0], p->step->batch);
    const cuda_view to = part(cuda_whole(p->out, p->step->batch), n->axis, n->start, from.dim[n->axis], n->step);
    TRY(move(d, p, r, 0, &to, &from));
done:
    return st;
}

static sal_status run_shuffle(sal_device *d, void *plan, const sal_run *r)
{
    const cuda_plan *p = plan;
    const cuda_view out = cuda_whole(p->out, p->step->batch), in = cuda_whole(p->in[0], p->step->batch);
    const int64_t groups = p->step->node->groups;
    /* Channel (j, i) of the output is channel (i, j) of the input, i of the groups. */
    const cuda_view to = split_channels(&out, out.dim[1] / groups, 0), from = split_channels(&in, groups, 1);
    return move(d, p, r, 0, &to, &from);
}

static sal_status run_shuffle_backward(sal_device *d, void *plan, const sal_run *r)
{
    const cuda_plan *p = plan;
    const cuda_view dx = cuda_whole(p->out, p->step->batch), dy = cuda_whole(p->in[0], p->step->batch);
    const int64_t groups = p->step->node->groups;
    const cuda_view to = split_channels(&dx, groups, 1), from = split_channels(&dy, dy.dim[1] / groups, 0);
    return move(d, p, r, 0, &to, &from);
}

static sal_status run_reshape(sal_device *d, void *plan, const sal_run *r)
{
    const cuda_plan *p = plan;
    const cuda_view to = cuda_whole(p->out, p->step->batch), from = cuda_whole(p->in[0], p->step->batch);
    return move(d, p, r, 0, &to, &from);
}

static sal_status run_transpose(sal_device *d, void *plan, const sal_run *r)
{
    const cuda_plan *p = plan;
    const cuda_view to = cuda_whole(p->out, p->step->batch), in = cuda_whole(p->in[0], p->step->batch);
    const cuda_view from = permuted(&in, p->step->node->permutation);
    return move(d, p, r, 0, &to, &from);
}

static sal_status run_transpose_backward(sal_device *d, void *plan, const sal_run *r)
{
    const cuda_plan *p = plan;
    const cuda_view dx = cuda_whole(p->out, p->step->batch), from = cuda_whole(p->in[0], p->step->batch);
    const cuda_view to = permuted(&dx, p->step->node->permutation);
    return move(d, p, r, 0, &to, &from);
}

static sal_status run_pad(sal_device *d, void *plan, const sal_run *r)
{
    sal_status st = SAL_OK;
    const cuda_plan *p = plan;
    const sal_node *n = p->step->node;
    const cuda_view out = cuda_whole(p->out, p->step->batch), from = cuda_whole(p->in[0], p->step->batch);
    const cuda_view to = inside(&out, p->in[0], &n->window);
    TRY(CUDA_CHECK(
        cuda_fill(r->output, d->type, sal_shape_elements(&p->out->shape) * p->step->batch, n->value, d->compute)));
    TRY(move(d, p, r, 0, &to, &from));
done:
    return st;
}

static sal_status run_pad_backward(sal_device *d, void *plan, const sal_run *r)
{
    const cuda_plan *p = plan;
    const cuda_view to = cuda_whole(p->out, p->step->batch), dy = cuda_whole(p->in[0], p->step->batch);
    const cuda_view from = inside(&dy, p->out, &p->step->node->window);
    return move(d, p, r, 0, &to, &from);
}

/* The same numbers for each picture. */
static sal_status run_constant(sal_device *d, void *plan, const sal_run *r)
{
    const cuda_plan *p = plan;
    const cuda_view to = cuda_whole(p->out, p->step->batch);
    sal_value plain = *p->out;
    plain.rows = 1;
    cuda_view from = cuda_whole(&plain, p->step->batch);
    from.stride[0] = 0;
    return CUDA_CHECK(cuda_move(r->output, cuda_value_type(d, p->out), &to, cuda_weight_memory(p->weight),
                                CUDA_TYPE_FLOAT, &from, NULL, d->compute));
}

#define ROW(run)                                                                                                       \
    {                                                                                                                  \
        cuda_plan_prepare, run, cuda_plan_release                                                                      \
    }

const sal_step_row cuda_row_concat = ROW(run_concat);
const sal_step_row cuda_row_concat_backward = ROW(run_concat_backward);
const sal_step_row cuda_row_slice = ROW(run_slice);
const sal_step_row cuda_row_slice_backward = ROW(run_slice_backward);
const sal_step_row cuda_row_shuffle = ROW(run_shuffle);
const sal_step_row cuda_row_shuffle_backward = ROW(run_shuffle_backward);
const sal_step_row cuda_row_reshape = ROW(run_reshape);
const sal_step_row cuda_row_reshape_backward = ROW(run_reshape);
const sal_step_row cuda_row_transpose = ROW(run_transpose);
const sal_step_row cuda_row_transpose_backward = ROW(run_transpose_backward);
const sal_step_row cuda_row_pad = ROW(run_pad);
const sal_step_row cuda_row_pad_backward = ROW(run_pad_backward);
const sal_step_row cuda_row_constant = ROW(run_constant);
