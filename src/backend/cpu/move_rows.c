/* Concat, slice and transpose of values in rows, and their gradients: runs of elements that stay together are copied
 * at once. */
#include "backend/cpu/cpu.h"

#include "base/memory.h"

#include <string.h>

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- Concat and slice ------------------------------------------------------ */

/* Elements [to, to + count) of the output's axis are elements from `from` on of an input's, or zeros. */
typedef struct axis_run {
    int input; /* of the step; -1: zeros */
    int64_t to, from, count;
} axis_run;

typedef struct join_plan {
    const sal_step *step;
    const sal_value *values, *out;
    int64_t outer, inner; /* elements of the axes before and behind */
    axis_run *runs;
    size_t run_count, run_capacity;
} join_plan;

static void release_join(sal_device *d, void *plan)
{
    (void)d;
    join_plan *p = plan;
    if (!p)
        return;
    sal_free(p->runs);
    sal_free(p);
}

/* The next `count` elements; those that go on where the last run ends lengthen it. */
static sal_status add_run(join_plan *p, int input, int64_t from, int64_t count)
{
    axis_run *last = p->run_count > 0 ? &p->runs[p->run_count - 1] : NULL;
    const int64_t to = last ? last->to + last->count : 0;
    if (count == 0)
        return SAL_OK;
    if (last && last->input == input && (input < 0 || last->from + last->count == from)) {
        last->count += count;
        return SAL_OK;
    }
    const sal_status st = sal_grow(&p->runs, &p->run_capacity, p->run_count + 1, sizeof *p->runs, "a step");
    if (st == SAL_OK)
        p->runs[p->run_count++] = (axis_run){input, to, from, count};
    return st;
}

static sal_status find_runs(join_plan *p)
{
    sal_status st = SAL_OK;
    const sal_node *n = p->step->node;
    const int64_t extent = p->out->shape.dim[n->axis], taken = n->shape.dim[n->axis];
    switch (p->step->kind) {
    case SAL_STEP_CONCAT:
        for (int k = 0; k < p->step->input_count; k++)
            TRY(add_run(p, k, 0, p->values[p->step->inputs[k]].shape.dim[n->axis]));
        break;
    case SAL_STEP_CONCAT_BACKWARD: TRY(add_run(p, 0, p->step->first_channel, extent)); break;
    case SAL_STEP_SLICE:
        for (int64_t i = 0; i < extent; i++)
            TRY(add_run(p, 0, n->start + i * n->step, 1));
        break;
    default:
        TRY(add_run(p, -1, 0, n->start));
        for (int64_t i = 0; i < taken; i++) {
            const int64_t behind = i + 1 < taken ? n->step - 1 : extent - n->start - i * n->step - 1;
            TRY(add_run(p, 0, i, 1));
            TRY(add_run(p, -1, 0, behind));
        }
        break;
    }
done:
    return st;
}

static sal_status prepare_join(void **plan, sal_needs *needs, sal_device *d, const sal_step *step,
                               const sal_value *values)
{
    sal_status st = SAL_OK;
    join_plan *p = NULL;
    TRY(sal_alloc(&p, 1, sizeof *p, "a step"));
    p->step = step;
    p->values = values;
    p->out = &values[step->output];
    p->outer = p->inner = 1;
    for (int j = 1; j < p->out->shape.rank; j++)
        if (j != step->node->axis)
            *(j < step->node->axis ? &p->outer : &p->inner) *= p->out->shape.dim[j];
    TRY(find_runs(p));
    needs->algorithm = "copy";
    *plan = p;
    p = NULL;
done:
    release_join(d, p);
    return st;
}

static void copy_run(float *y, const float *x, const float *addend, size_t count)
{
    if (x && addend)
        for (size_t i = 0; i < count; i++)
            y[i] = x[i] + addend[i];
    else if (x || addend != y)
        x || addend ? (void)memcpy(y, x ? x : addend, count * sizeof *y) : (void)memset(y, 0, count * sizeof *y);
}

static sal_status run_join(sal_device *d, void *plan, const sal_run *r)
{
    const join_plan *p = plan;
    const int axis = p->step->node->axis;
    const float *addend = p->step->addend >= 0 ? r->inputs[p->step->input_count - 1] : NULL;
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t n = 0; n < p->step->batch; n++)
        for (int64_t u = 0; u < p->outer; u++)
            for (size_t k = 0; k < p->run_count; k++) {
                const axis_run *run = &p->runs[k];
                const size_t to =
                    (size_t)n * cpu_stride(p->out) + (size_t)((u * p->out->shape.dim[axis] + run->to) * p->inner);
                const float *x = NULL;
                if (run->input >= 0) {
                    const sal_value *in = &p->values[p->step->inputs[run->input]];
                    x = (const float *)r->inputs[run->input] + (size_t)n * cpu_stride(in) +
                        (size_t)((u * in->shape.dim[axis] + run->from) * p->inner);
                }
                copy_run((float *)r->output + to, x, addend ? addend + to : NULL, (size_t)(run->count * p->inner));
            }
    return SAL_OK;
}

/* ---- Transpose ------------------------------------------------------------- */

/* Axes that stay side by side are one: of the output, with the input's stride of each. */
typedef struct transpose_plan {
    const sal_step *step;
    const sal_value *in, *out;
    int rank;
    int64_t dim[SAL_MAX_RANK];
    int64_t stride[SAL_MAX_RANK];
} transpose_plan;

static void release_transpose(sal_device *d, void *plan)
{
    (void)d;
    sal_free(plan);
}

static void find_strides(transpose_plan *p)
{
    const sal_shape *in = &p->in->shape, *out = &p->out->shape;
    int64_t strides[SAL_MAX_RANK] = {0}, stride = 1;
    int from[SAL_MAX_RANK] = {0}; /* axis of the input that each of the output is */
    for (int j = in->rank - 1; j >= 0; j--) {
        strides[j] = stride;
        stride *= in->dim[j];
    }
    for (int j = 0; j < in->rank; j++) {
        const int k = p->step->node->permutation[j];
        if (p->step->kind == SAL_STEP_TRANSPOSE)
            from[j] = k;
        else
            from[k] = j;
    }
    for (int j = 0; j < out->rank; j++) {
        const int64_t own = strides[from[j]];
        if (out->dim[j] == 1)
            continue;
        if (p->rank > 0 && p->stride[p->rank - 1] == own * out->dim[j]) {
            p->dim[p->rank - 1] *= out->dim[j];
            p->stride[p->rank - 1] = own;
            continue;
        }
        p->dim[p->rank] = out->dim[j];
        p->stride[p->rank++] = own;
    }
    while (p->rank < 2) { /* at least lines and their elements */
        memmove(p->dim + 1, p->dim, (size_t)p->rank * sizeof *p->dim);
        memmove(p->stride + 1, p->stride, (size_t)p->rank * sizeof *p->stride);
        p->dim[0] = p->stride[0] = 1;
        p->rank++;
    }
}

static sal_status prepare_transpose(void **plan, sal_needs *needs, sal_device *d, const sal_step *step,
                                    const sal_value *values)
{
    transpose_plan *p = NULL;
    (void)d;
    const sal_status st = sal_alloc(&p, 1, sizeof *p, "a step");
    if (st != SAL_OK)
        return st;
    p->step = step;
    p->in = &values[step->inputs[0]];
    p->out = &values[step->output];
    find_strides(p);
    needs->algorithm = "copy";
    *plan = p;
    return SAL_OK;
}

/* Where block `k` of the two last axes begins in the input. */
static int64_t block_offset(const transpose_plan *p, int64_t k)
{
    int64_t offset = 0;
    for (int j = p->rank - 3; j >= 0; j--) {
        offset += k % p->dim[j] * p->stride[j];
        k /= p->dim[j];
    }
    return offset;
}

enum { TILE = 16 }; /* floats of a line of a cache */

/* Lines [first, first + TILE) of a block of the two last axes, in tiles: whole cache lines of both sides. */
static void move_lines(float *y, const float *x, const float *addend, const transpose_plan *p, int64_t first)
{
    const int last = p->rank - 1;
    const int64_t length = p->dim[last], step = p->stride[last], stride = p->stride[last - 1];
    const int64_t end = smaller(first + TILE, p->dim[last - 1]);
    for (int64_t tile = 0; tile < length; tile += TILE)
        for (int64_t i = first; i < end; i++)
            for (int64_t j = tile; j < smaller(tile + TILE, length); j++) {
                const float v = x[i * stride + j * step];
                y[i * length + j] = addend ? v + addend[i * length + j] : v;
            }
}

static sal_status run_transpose(sal_device *d, void *plan, const sal_run *r)
{
    const transpose_plan *p = plan;
    const int last = p->rank - 1;
    const int64_t lines = p->dim[last - 1], block = lines * p->dim[last], parts = (lines + TILE - 1) / TILE;
    const int64_t blocks = sal_shape_elements(&p->out->shape) / block;
    const float *addend = p->step->addend >= 0 ? r->inputs[p->step->input_count - 1] : NULL;
#pragma omp parallel for collapse(3) num_threads(d->threads)
    for (int64_t n = 0; n < p->step->batch; n++)
        for (int64_t b = 0; b < blocks; b++)
            for (int64_t k = 0; k < parts; k++) {
                const size_t to = (size_t)n * cpu_stride(p->out) + (size_t)(b * block);
                const float *x = (const float *)r->inputs[0] + (size_t)n * cpu_stride(p->in) + block_offset(p, b);
                float *y = (float *)r->output + to;
                const int64_t first = k * TILE;
                if (p->stride[last] == 1 && !addend)
                    for (int64_t i = first; i < smaller(first + TILE, lines); i++)
                        memcpy(y + i * p->dim[last], x + i * p->stride[last - 1], (size_t)p->dim[last] * sizeof *y);
                else
                    move_lines(y, x, addend ? addend + to : NULL, p, first);
            }
    return SAL_OK;
}

const sal_step_row cpu_row_join_rows = {prepare_join, run_join, release_join};
const sal_step_row cpu_row_transpose_rows = {prepare_transpose, run_transpose, release_transpose};
