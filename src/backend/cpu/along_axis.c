/* Constants, repeats, reductions and weighted gathers: steps along an axis, or some neighbours, of values in rows. The
 * axes of height and width lie in the same way in channel blocks: (ceil(C / b), H, W, b). */
#include "backend/cpu/cpu.h"

#include "base/memory.h"

#include <string.h>

/* A value in memory, without the batch axis. */
typedef struct extents {
    int rank;
    int64_t dim[SAL_MAX_RANK];
} extents;

/* A value as (outer, n, inner), n the elements of some neighbouring axes. */
typedef struct axis_view {
    int64_t outer, n, inner;
} axis_view;

typedef struct axis_plan {
    const sal_step *step;
    const sal_value *in, *out; /* of a constant the same */
    axis_view view;            /* of what is reduced or gathered from; of the gradient of that */
    int64_t count;             /* gather: elements of the axis of the output */
    cpu_taps taps;
    extents wide, narrow; /* expand: with and without the repeats; neighbours of a kind are one */
} axis_plan;

static void release(sal_device *d, void *plan)
{
    (void)d;
    axis_plan *p = plan;
    if (!p)
        return;
    sal_free(p->taps.start);
    sal_free(p->taps.index);
    sal_free(p->taps.weight);
    sal_free(p);
}

/* Axis j of the shape is axis j - 1 of the extents but for the channels, which lie in two. */
static extents extents_of(const sal_device *d, const sal_value *v)
{
    extents e = {.rank = v->shape.rank - 1};
    memcpy(e.dim, v->shape.dim + 1, (size_t)e.rank * sizeof *e.dim);
    if (v->layout == SAL_LAYOUT_BLOCKED) {
        e.dim[0] = cpu_blocks(d, v);
        e.dim[e.rank++] = d->kernels->block;
    }
    return e;
}

static axis_view view_of(const sal_device *d, const sal_value *v, int axis, int axis_count)
{
    const extents e = extents_of(d, v);
    axis_view view = {1, 1, 1};
    for (int j = 0; j < e.rank; j++)
        *(j < axis - 1 ? &view.outer : j < axis - 1 + axis_count ? &view.n : &view.inner) *= e.dim[j];
    return view;
}

static sal_status start(axis_plan **out, sal_needs *needs, const sal_device *d, const sal_step *step,
                        const sal_value *values)
{
    axis_plan *p = NULL;
    const sal_node *n = step->node;
    const sal_value *o = &values[step->output];
    *out = NULL;
    if (o->layout == SAL_LAYOUT_BLOCKED && n->axis == 1)
        return sal_fail(SAL_ERROR_UNSUPPORTED, "works along the channels of values in rows only");
    const sal_value *in = step->input_count > 0 ? &values[step->inputs[0]] : o;
    if (in->layout != o->layout)
        return sal_fail(SAL_ERROR_UNSUPPORTED, "its input and its output lie in different layouts");
    const sal_status st = sal_alloc(&p, 1, sizeof *p, "a step");
    if (st != SAL_OK)
        return st;
    p->step = step;
    p->in = in;
    p->out = o;
    needs->algorithm = d->kernels->name;
    *out = p;
    return SAL_OK;
}

static const float *addend_of(const axis_plan *p, const sal_run *r)
{
    return p->step->addend >= 0 ? r->inputs[p->step->input_count - 1] : NULL;
}

static const float *at(const float *memory, size_t offset)
{
    return memory ? memory + offset : NULL;
}

/* How many elements of `floats` each make a piece of work, of at most `most`. */
static int64_t piece_of(int64_t floats, int64_t most)
{
    const int64_t some = CPU_PIECE / 4 / floats;
    return some < 1 ? 1 : some < most ? some : most;
}

static int64_t rest_of(int64_t whole, int64_t from, int64_t most)
{
    return whole - from < most ? whole - from : most;
}

/* ---- Constant ----------------------------------------------------------- */

static sal_status prepare_constant(void **plan, sal_needs *needs, sal_device *d, const sal_step *step,
                                   const sal_value *values)
{
    axis_plan *p;
    const sal_status st = start(&p, needs, d, step, values);
    needs->weights_borrowed = 1;
    *plan = p;
    return st;
}

static sal_status run_constant(sal_device *d, void *plan, const sal_run *r)
{
    const axis_plan *p = plan;
#pragma omp parallel for num_threads(d->threads)
    for (int64_t n = 0; n < p->step->batch; n++)
        cpu_from_plain(d, (float *)r->output + (size_t)n * cpu_stride(p->out), p->step->node->weight, p->out);
    return SAL_OK;
}

/* ---- Gather ------------------------------------------------------------- */

/* The entries of the node, by the element that they go to. */
static sal_status make_taps(axis_plan *p, const sal_node *n, int back, int64_t elements)
{
    sal_status st = SAL_OK;
    cpu_taps *t = &p->taps;
    TRY(sal_alloc(&t->start, (size_t)elements + 1, sizeof *t->start, "a gather's indices"));
    TRY(sal_alloc(&t->index, n->index_count, sizeof *t->index, "a gather's indices"));
    TRY(sal_alloc(&t->weight, n->index_count, sizeof *t->weight, "a gather's weights"));
    t->count = elements;
    /* Counted, then entered: start[to] runs from the first of its own to the first of the next. */
    for (int pass = 0; pass < 2; pass++) {
        for (size_t k = 0; k < n->index_count; k++) {
            const int64_t from = n->index[k], o = (int64_t)k / n->taps, to = back ? from : o;
            if (n->weight && n->weight[k] == 0.0f)
                continue;
            if (pass > 0) {
                t->index[t->start[to]] = (int32_t)(back ? o : from);
                t->weight[t->start[to]] = n->weight ? n->weight[k] : 1.0f;
            }
            t->start[to]++;
        }
        int64_t sum = 0;
        for (int64_t o = 0; o <= elements && pass == 0; o++) {
            const int64_t own = t->start[o];
            t->start[o] = sum;
            sum += own;
        }
    }
    memmove(t->start + 1, t->start, (size_t)elements * sizeof *t->start);
    t->start[0] = 0;
done:
    return st;
}

static sal_status prepare_gather(void **plan, sal_needs *needs, sal_device *d, const sal_step *step,
                                 const sal_value *values)
{
    sal_status st = SAL_OK;
    axis_plan *p = NULL;
    const sal_node *n = step->node;
    TRY(start(&p, needs, d, step, values));
    p->view = view_of(d, p->in, n->axis, 1);
    p->count = p->out->shape.dim[n->axis];
    TRY(make_taps(p, n, step->kind == SAL_STEP_GATHER_BACKWARD, p->count));
    needs->weight_bytes = n->index_count * (sizeof(float) + sizeof(int32_t));
    *plan = p;
    p = NULL;
done:
    release(d, p);
    return st;
}

static sal_status run_gather(sal_device *d, void *plan, const sal_run *r)
{
    const axis_plan *p = plan;
    const axis_view *v = &p->view;
    const float *addend = addend_of(p, r);
    const int64_t some = piece_of(v->inner, p->count), parts = (p->count + some - 1) / some;
#pragma omp parallel for collapse(3) num_threads(d->threads)
    for (int64_t n = 0; n < p->step->batch; n++)
        for (int64_t u = 0; u < v->outer; u++)
            for (int64_t k = 0; k < parts; k++) {
                const size_t to = (size_t)n * cpu_stride(p->out) + (size_t)(u * p->count * v->inner);
                const float *x =
                    (const float *)r->inputs[0] + (size_t)n * cpu_stride(p->in) + (size_t)(u * v->n * v->inner);
                d->kernels->combine((float *)r->output + to, x, at(addend, to), &p->taps, k * some,
                                    rest_of(p->count, k * some, some), (size_t)v->inner);
            }
    return SAL_OK;
}

/* ---- Reduce ------------------------------------------------------------- */

static sal_status prepare_reduce(void **plan, sal_needs *needs, sal_device *d, const sal_step *step,
                                 const sal_value *values)
{
    axis_plan *p;
    const sal_status st = start(&p, needs, d, step, values);
    if (p)
        p->view = view_of(d, step->kind == SAL_STEP_REDUCE ? p->in : p->out, step->node->axis, step->node->axis_count);
    *plan = p;
    return st;
}

static float factor_of(const axis_plan *p)
{
    if (p->step->node->reduction != SAL_REDUCTION_MEAN)
        return 1.0f;
    const sal_shape *x = p->step->kind == SAL_STEP_REDUCE ? &p->in->shape : &p->out->shape;
    const int64_t terms = sal_shape_elements(x) / sal_shape_elements(&p->step->node->shape);
    return 1.0f / (float)terms;
}

/* Columns of the (n, inner) of one outer index that a piece of work has. */
enum { COLUMNS = 64 };

/* NaN stays. */
static void maxima(float *most, const float *x, const axis_view *v, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        most[i] = x[i];
    for (int64_t k = 1; k < v->n; k++)
        for (int64_t i = 0; i < count; i++) {
            const float value = x[k * v->inner + i];
            most[i] = value > most[i] || value != value ? value : most[i];
        }
}

static sal_status run_reduce(sal_device *d, void *plan, const sal_run *r)
{
    const axis_plan *p = plan;
    const axis_view *v = &p->view;
    const float factor = factor_of(p);
    const int64_t parts = (v->inner + COLUMNS - 1) / COLUMNS;
#pragma omp parallel for collapse(3) num_threads(d->threads)
    for (int64_t n = 0; n < p->step->batch; n++)
        for (int64_t u = 0; u < v->outer; u++)
            for (int64_t k = 0; k < parts; k++) {
                const int64_t first = k * COLUMNS, count = rest_of(v->inner, first, COLUMNS);
                const float *x =
                    (const float *)r->inputs[0] + (size_t)n * cpu_stride(p->in) + (size_t)(u * v->n * v->inner + first);
                float *y = (float *)r->output + (size_t)n * cpu_stride(p->out) + (size_t)(u * v->inner + first);
                if (p->step->node->reduction == SAL_REDUCTION_MAX)
                    maxima(y, x, v, count);
                else
                    d->kernels->sum_axis(y, x, NULL, factor, (size_t)v->n, (size_t)v->inner, (size_t)count);
            }
    return SAL_OK;
}

/* dy / m for the m that equal the maximum. */
static void share_among_maxima(float *dx, const float *dy, const float *x, const float *addend, const axis_view *v,
                               int64_t count)
{
    float most[COLUMNS], share[COLUMNS] = {0};
    maxima(most, x, v, count);
    for (int64_t k = 0; k < v->n; k++)
        for (int64_t i = 0; i < count; i++)
            share[i] += x[k * v->inner + i] == most[i] ? 1.0f : 0.0f;
    for (int64_t i = 0; i < count; i++)
        share[i] = dy[i] / share[i];
    for (int64_t k = 0; k < v->n; k++)
        for (int64_t i = 0; i < count; i++) {
            const int64_t q = k * v->inner + i;
            const float g = x[q] == most[i] ? share[i] : 0.0f;
            dx[q] = addend ? g + addend[q] : g;
        }
}

static void spread(float *dx, const float *dy, const float *addend, float factor, const axis_view *v, int64_t count)
{
    for (int64_t k = 0; k < v->n; k++)
        for (int64_t i = 0; i < count; i++) {
            const int64_t q = k * v->inner + i;
            dx[q] = addend ? dy[i] * factor + addend[q] : dy[i] * factor;
        }
}

static sal_status run_reduce_backward(sal_device *d, void *plan, const sal_run *r)
{
    const axis_plan *p = plan;
    const axis_view *v = &p->view;
    const float *addend = addend_of(p, r), factor = factor_of(p);
    const int64_t parts = (v->inner + COLUMNS - 1) / COLUMNS;
#pragma omp parallel for collapse(3) num_threads(d->threads)
    for (int64_t n = 0; n < p->step->batch; n++)
        for (int64_t u = 0; u < v->outer; u++)
            for (int64_t k = 0; k < parts; k++) {
                const int64_t first = k * COLUMNS, count = rest_of(v->inner, first, COLUMNS);
                const size_t to = (size_t)n * cpu_stride(p->out) + (size_t)(u * v->n * v->inner + first);
                const float *dy =
                    (const float *)r->inputs[0] + (size_t)n * cpu_stride(p->in) + (size_t)(u * v->inner + first);
                float *dx = (float *)r->output + to;
                if (p->step->node->reduction == SAL_REDUCTION_MAX)
                    share_among_maxima(dx, dy, (const float *)r->inputs[1] + to, at(addend, to), v, count);
                else
                    spread(dx, dy, at(addend, to), factor, v, count);
            }
    return SAL_OK;
}

/* ---- Expand ------------------------------------------------------------- */

/* Neighbouring axes that are all repeated, or all not, become one; axes of 1 go. */
static void merge_axes(axis_plan *p, const extents *wide, const extents *narrow)
{
    int repeated = -1;
    for (int j = 0; j < wide->rank; j++) {
        const int this = narrow->dim[j] != wide->dim[j];
        if (wide->dim[j] == 1)
            continue;
        if (this != repeated) {
            p->wide.dim[p->wide.rank++] = 1;
            p->narrow.dim[p->narrow.rank++] = 1;
        }
        p->wide.dim[p->wide.rank - 1] *= wide->dim[j];
        p->narrow.dim[p->narrow.rank - 1] *= narrow->dim[j];
        repeated = this;
    }
    if (p->wide.rank == 0) {
        p->wide.dim[p->wide.rank++] = 1;
        p->narrow.dim[p->narrow.rank++] = 1;
    }
}

static sal_status prepare_expand(void **plan, sal_needs *needs, sal_device *d, const sal_step *step,
                                 const sal_value *values)
{
    axis_plan *p;
    const int back = step->kind == SAL_STEP_EXPAND_BACKWARD;
    sal_status st = start(&p, needs, d, step, values);
    if (st == SAL_OK) {
        const extents in = extents_of(d, p->in), out = extents_of(d, p->out);
        merge_axes(p, back ? &in : &out, back ? &out : &in);
        if (p->out->layout == SAL_LAYOUT_BLOCKED && p->in->shape.dim[1] != p->out->shape.dim[1])
            st = sal_fail(SAL_ERROR_UNSUPPORTED, "repeats the channels of values in rows only");
    }
    if (st != SAL_OK) {
        release(d, p);
        p = NULL;
    }
    *plan = p;
    return st;
}

/* Where line `line` of the axes before the last begins in the narrow value. */
static int64_t narrow_offset(const axis_plan *p, int64_t line)
{
    int64_t offset = 0, stride = 1;
    for (int j = p->wide.rank - 1; j >= 0; j--) {
        int64_t index = 0;
        if (j < p->wide.rank - 1) {
            index = line % p->wide.dim[j];
            line /= p->wide.dim[j];
        }
        if (p->narrow.dim[j] > 1)
            offset += index * stride;
        stride *= p->narrow.dim[j];
    }
    return offset;
}

static int64_t lines_of(const extents *e)
{
    int64_t lines = 1;
    for (int j = 0; j < e->rank - 1; j++)
        lines *= e->dim[j];
    return lines;
}

static sal_status run_expand(sal_device *d, void *plan, const sal_run *r)
{
    const axis_plan *p = plan;
    const int64_t length = p->wide.dim[p->wide.rank - 1], lines = lines_of(&p->wide);
    const int repeats = p->narrow.dim[p->wide.rank - 1] != length;
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t n = 0; n < p->step->batch; n++)
        for (int64_t k = 0; k < lines; k++) {
            const float *x = (const float *)r->inputs[0] + (size_t)n * cpu_stride(p->in) + narrow_offset(p, k);
            float *y = (float *)r->output + (size_t)n * cpu_stride(p->out) + (size_t)(k * length);
            if (!repeats)
                memcpy(y, x, (size_t)length * sizeof *y);
            else
                for (int64_t i = 0; i < length; i++)
                    y[i] = x[0];
        }
    return SAL_OK;
}

/* The sum over what is repeated before, between and behind the axes that are not: element `k` of the narrow value. In
 * double, since the order is that of memory. */
static double sum_of(const axis_plan *p, const float *dy, int64_t k)
{
    const extents *w = &p->wide;
    int64_t stride[SAL_MAX_RANK], index[SAL_MAX_RANK] = {0}, from = 0, step = 1;
    double sum = 0.0;
    for (int j = w->rank - 1; j >= 0; j--) {
        stride[j] = step;
        step *= w->dim[j];
        if (p->narrow.dim[j] > 1) {
            from += k % w->dim[j] * stride[j];
            k /= w->dim[j];
        }
    }
    for (int j = w->rank; j >= 0;) {
        sum += (double)dy[from];
        for (j = w->rank - 1; j >= 0; j--) {
            if (p->narrow.dim[j] != 1 || w->dim[j] == 1)
                continue;
            from += stride[j];
            if (++index[j] < w->dim[j])
                break;
            from -= w->dim[j] * stride[j];
            index[j] = 0;
        }
    }
    return sum;
}

/* Repeats along one axis alone, as (outer, n, inner); 0: along several. */
static int only_axis(axis_view *v, const axis_plan *p)
{
    int found = 0;
    *v = (axis_view){1, 1, 1};
    for (int j = 0; j < p->wide.rank; j++)
        if (p->narrow.dim[j] != p->wide.dim[j]) {
            found++;
            v->n = p->wide.dim[j];
        } else {
            *(found ? &v->inner : &v->outer) *= p->wide.dim[j];
        }
    return found <= 1;
}

static sal_status run_expand_backward(sal_device *d, void *plan, const sal_run *r)
{
    const axis_plan *p = plan;
    axis_view v;
    const int one = only_axis(&v, p);
    const float *addend = addend_of(p, r);
    const int64_t piece = one && v.inner > 1 ? COLUMNS : 1, outer = one ? v.outer : lines_of(&p->narrow);
    const int64_t inner = one ? v.inner : p->narrow.dim[p->narrow.rank - 1], parts = (inner + piece - 1) / piece;
#pragma omp parallel for collapse(3) num_threads(d->threads)
    for (int64_t n = 0; n < p->step->batch; n++)
        for (int64_t u = 0; u < outer; u++)
            for (int64_t k = 0; k < parts; k++) {
                const float *dy = (const float *)r->inputs[0] + (size_t)n * cpu_stride(p->in);
                const int64_t element = u * inner + k * piece;
                const size_t to = (size_t)n * cpu_stride(p->out) + (size_t)element;
                float *dx = (float *)r->output + to;
                if (one)
                    d->kernels->sum_axis(dx, dy + u * v.n * v.inner + k * piece, at(addend, to), 1.0f, (size_t)v.n,
                                         (size_t)v.inner, (size_t)rest_of(inner, k * piece, piece));
                else
                    dx[0] = (float)(sum_of(p, dy, element) + (addend ? (double)addend[to] : 0.0));
            }
    return SAL_OK;
}

const sal_step_row cpu_row_constant = {prepare_constant, run_constant, release};
const sal_step_row cpu_row_gather = {prepare_gather, run_gather, release};
const sal_step_row cpu_row_gather_backward = {prepare_gather, run_gather, release};
const sal_step_row cpu_row_reduce = {prepare_reduce, run_reduce, release};
const sal_step_row cpu_row_reduce_backward = {prepare_reduce, run_reduce_backward, release};
const sal_step_row cpu_row_expand = {prepare_expand, run_expand, release};
const sal_step_row cpu_row_expand_backward = {prepare_expand, run_expand_backward, release};
