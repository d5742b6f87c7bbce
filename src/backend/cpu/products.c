/* Dense layers of values in rows, and products of two values. Bound by arithmetic, unlike dense layers of vectors: each
 * task multiplies some rows by some panels of columns, which are packed for it; those of weights are packed once. */
#include "backend/cpu/cpu.h"

#include "base/memory.h"

#include <string.h>

/* Rows of one task: they stay in a level-2 cache while the panels pass by. A multiple of all blocks of rows. */
enum { ROWS_AT_ONCE = 96 };

static int64_t parts_of(int64_t whole, int64_t part)
{
    return (whole + part - 1) / part;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t panel_columns(const sal_device *d)
{
    return 2 * d->kernels->block;
}

/* ---- Dense -------------------------------------------------------------- */

typedef struct dense_plan {
    const sal_step *step;
    const sal_value *values, *in, *out;
    int64_t rows; /* of a picture */
    int64_t depth, columns;
    float *panels, *bias;
} dense_plan;

static void release_dense(sal_device *d, void *plan)
{
    (void)d;
    dense_plan *p = plan;
    if (!p)
        return;
    sal_free(p->panels);
    sal_free(p->bias);
    sal_free(p);
}

/* Forward, y = x W^T; backward, dx = dy W. */
static sal_status pack_weights(dense_plan *p, sal_needs *needs, const sal_device *d, const sal_node *n)
{
    sal_status st = SAL_OK;
    const int64_t wide = panel_columns(d), panels = parts_of(p->columns, wide), panel = p->depth * wide;
    const int back = p->step->kind == SAL_STEP_DENSE_BACKWARD;
    const int64_t row = back ? p->columns : 1, step = back ? 1 : p->depth;
    TRY(sal_alloc(&p->panels, (size_t)(panels * panel), sizeof *p->panels, "packed weights"));
#pragma omp parallel for num_threads(d->threads)
    for (int64_t k = 0; k < panels; k++)
        d->kernels->product_pack(p->panels + k * panel, n->weight + k * wide * step, row, step, p->depth,
                                 smaller(wide, p->columns - k * wide));
    needs->weight_bytes = (size_t)(panels * panel) * sizeof *p->panels;
    if (n->bias && !back) {
        TRY(sal_alloc(&p->bias, n->bias_count, sizeof *p->bias, "biases"));
        memcpy(p->bias, n->bias, n->bias_count * sizeof *p->bias);
    }
done:
    return st;
}

static sal_status prepare_dense(void **plan, sal_needs *needs, sal_device *d, const sal_step *step,
                                const sal_value *values)
{
    sal_status st = SAL_OK;
    dense_plan *p = NULL;
    TRY(sal_alloc(&p, 1, sizeof *p, "a step"));
    p->step = step;
    p->values = values;
    p->in = &values[step->inputs[0]];
    p->out = &values[step->output];
    p->depth = p->in->shape.dim[p->in->shape.rank - 1];
    p->columns = p->out->shape.dim[p->out->shape.rank - 1];
    p->rows = sal_shape_elements(&p->out->shape) / p->columns;
    TRY(pack_weights(p, needs, d, step->node));
    needs->algorithm = d->kernels->name;
    *plan = p;
    p = NULL;
done:
    release_dense(d, p);
    return st;
}

/* Rows of pictures that lie without a gap are those of one. */
static int without_gaps(const dense_plan *p)
{
    return cpu_stride(p->in) == (size_t)(p->rows * p->depth) && cpu_stride(p->out) == (size_t)(p->rows * p->columns);
}

static void activate(const sal_device *d, const dense_plan *p, const sal_run *r)
{
    const sal_node *n = p->step->node;
    const size_t stride = cpu_stride(p->out);
    const int64_t pieces = parts_of((int64_t)stride, CPU_PIECE);
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t picture = 0; picture < p->step->batch; picture++)
        for (int64_t k = 0; k < pieces; k++) {
            const size_t inside = (size_t)k * CPU_PIECE;
            const size_t count = stride - inside < CPU_PIECE ? stride - inside : CPU_PIECE;
            float *y = (float *)r->output + (size_t)picture * stride + inside;
            d->kernels->activation(y, y, count, &n->activation);
            if (r->kept)
                cpu_mask(d, (uint8_t *)r->kept + (size_t)picture * p->values[p->step->kept].bytes + inside / 8, y,
                         count, &n->activation);
        }
}

static sal_status run_dense(sal_device *d, void *plan, const sal_run *r)
{
    const dense_plan *p = plan;
    const int forward = p->step->kind == SAL_STEP_DENSE, whole = without_gaps(p);
    const int64_t pictures = whole ? 1 : p->step->batch, rows = whole ? p->rows * p->step->batch : p->rows;
    const float *addend = p->step->addend >= 0 ? r->inputs[p->step->input_count - 1] : NULL;
    const int64_t wide = panel_columns(d), panels = parts_of(p->columns, wide), chunks = parts_of(rows, ROWS_AT_ONCE);
    /* All panels of some rows together, unless that leaves threads without work. */
    const int64_t groups = smaller(panels, parts_of(4 * (int64_t)d->threads, pictures * chunks));
#pragma omp parallel for collapse(3) schedule(dynamic, 1) num_threads(d->threads)
    for (int64_t n = 0; n < pictures; n++)
        for (int64_t c = 0; c < chunks; c++)
            for (int64_t g = 0; g < groups; g++)
                for (int64_t k = panels * g / groups; k < panels * (g + 1) / groups; k++) {
                    const int64_t first = c * ROWS_AT_ONCE, column = k * wide;
                    const cpu_product q = {.rows = smaller(ROWS_AT_ONCE, rows - first),
                                           .depth = p->depth,
                                           .columns = smaller(wide, p->columns - column),
                                           .a_row = p->depth,
                                           .a_step = 1,
                                           .y_row = p->columns,
                                           .scale = 1.0f};
                    const size_t from = (size_t)n * cpu_stride(p->in) + (size_t)(first * p->depth);
                    const size_t to = (size_t)n * cpu_stride(p->out) + (size_t)(first * p->columns + column);
                    d->kernels->product((float *)r->output + to, (const float *)r->inputs[0] + from,
                                        p->panels + column * p->depth, p->bias ? p->bias + column : NULL,
                                        addend ? addend + to : NULL, &q);
                }
    if (forward && p->step->node->activation.kind != SAL_ACT_NONE)
        activate(d, p, r);
    return SAL_OK;
}

/* ---- Products of two values ----------------------------------------------- */

/* A matrix among others of a value: element (i, j) lies row * i + step * j floats from the first. */
typedef struct matrices {
    const sal_value *value;
    int input; /* of the step */
    int64_t rows, columns;
    int64_t row, step;
} matrices;

/* out = scale * left right; out lies in rows or, where its transpose is what is computed, in columns: never both. */
typedef struct matmul_plan {
    const sal_step *step;
    const sal_value *out;
    matrices left, right;
    int64_t count; /* matrices of a picture */
} matmul_plan;

static void release_matmul(sal_device *d, void *plan)
{
    (void)d;
    sal_free(plan);
}

static matrices matrices_of(const sal_step *step, const sal_value *values, int input, int transposed)
{
    const sal_value *v = &values[step->inputs[input]];
    const int last = v->shape.rank - 1;
    const int64_t rows = v->shape.dim[last - 1], columns = v->shape.dim[last];
    if (transposed)
        return (matrices){v, input, columns, rows, 1, columns};
    return (matrices){v, input, rows, columns, columns, 1};
}

/* With a' and b' the operands as they lie in memory: y = op(a') op(b'). The gradient of a' is dy op(b')^T, or its
 * transpose op(b') dy^T where a' is transposed; that of b' likewise. */
static void choose_operands(matmul_plan *p, const sal_step *step, const sal_value *values)
{
    const int *t = step->node->transpose;
    if (step->kind == SAL_STEP_MATMUL) {
        p->left = matrices_of(step, values, 0, t[0]);
        p->right = matrices_of(step, values, 1, t[1]);
    } else if (step->operand == 0) {
        p->left = t[0] ? matrices_of(step, values, 1, t[1]) : matrices_of(step, values, 0, 0);
        p->right = t[0] ? matrices_of(step, values, 0, 1) : matrices_of(step, values, 1, !t[1]);
    } else {
        p->left = t[1] ? matrices_of(step, values, 0, 1) : matrices_of(step, values, 1, !t[0]);
        p->right = t[1] ? matrices_of(step, values, 1, t[0]) : matrices_of(step, values, 0, 0);
    }
}

static sal_status prepare_matmul(void **plan, sal_needs *needs, sal_device *d, const sal_step *step,
                                 const sal_value *values)
{
    matmul_plan *p = NULL;
    const sal_status st = sal_alloc(&p, 1, sizeof *p, "a step");
    if (st != SAL_OK)
        return st;
    p->step = step;
    p->out = &values[step->output];
    choose_operands(p, step, values);
    p->count = sal_shape_elements(&p->out->shape) / (p->left.rows * p->right.columns);
    needs->scratch_bytes = (size_t)(d->threads * p->left.columns * panel_columns(d)) * sizeof(float);
    needs->algorithm = d->kernels->name;
    *plan = p;
    return SAL_OK;
}

static const float *matrix_at(const matrices *m, const sal_run *r, int64_t picture, int64_t k)
{
    return (const float *)r->inputs[m->input] + (size_t)picture * cpu_stride(m->value) +
           (size_t)(k * m->rows * m->columns);
}

static sal_status run_matmul(sal_device *d, void *plan, const sal_run *r)
{
    const matmul_plan *p = plan;
    const matrices *left = &p->left, *right = &p->right;
    const float *addend = p->step->addend >= 0 ? r->inputs[p->step->input_count - 1] : NULL;
    const int64_t wide = panel_columns(d), panels = parts_of(right->columns, wide), depth = left->columns;
#pragma omp parallel for collapse(3) num_threads(d->threads)
    for (int64_t n = 0; n < p->step->batch; n++)
        for (int64_t m = 0; m < p->count; m++)
            for (int64_t k = 0; k < panels; k++) {
                float *panel = (float *)r->scratch + cpu_thread() * depth * wide;
                const int64_t column = k * wide;
                const cpu_product q = {.rows = left->rows,
                                       .depth = depth,
                                       .columns = smaller(wide, right->columns - column),
                                       .a_row = left->row,
                                       .a_step = left->step,
                                       .y_row = right->columns,
                                       .scale = p->step->node->scale};
                const size_t to = (size_t)n * cpu_stride(p->out) + (size_t)(m * left->rows * right->columns + column);
                d->kernels->product_pack(panel, matrix_at(right, r, n, m) + column * right->step, right->row,
                                         right->step, depth, q.columns);
                d->kernels->product((float *)r->output + to, matrix_at(left, r, n, m), panel, NULL,
                                    addend ? addend + to : NULL, &q);
            }
    return SAL_OK;
}

const sal_step_row cpu_row_dense_rows = {prepare_dense, run_dense, release_dense};
const sal_step_row cpu_row_matmul = {prepare_matmul, run_matmul, release_matmul};
const sal_step_row cpu_row_matmul_backward = {prepare_matmul, run_matmul, release_matmul};
