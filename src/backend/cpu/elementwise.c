/* Steps that touch each element once: activations, sums, products, per-channel scales, means. */
#include "backend/cpu/cpu.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

enum { PIECE = CPU_PIECE };

static int64_t pieces(const cpu_plan *p)
{
    return ((int64_t)cpu_stride(p->out) * p->step->batch + PIECE - 1) / PIECE;
}

static size_t piece_size(const cpu_plan *p, int64_t piece)
{
    size_t total = cpu_stride(p->out) * (size_t)p->step->batch, at = (size_t)piece * PIECE;
    return total - at < PIECE ? total - at : PIECE;
}

/* The addend's memory, or NULL. It is the last input. */
static const float *addend_of(const cpu_plan *p, const sal_run *r)
{
    return p->step->addend >= 0 ? r->inputs[p->step->input_count - 1] : NULL;
}

static const float *at(const float *memory, size_t offset)
{
    return memory ? memory + offset : NULL;
}

/* ---- Activations -------------------------------------------------------- */

/* Pieces of one picture: masks begin anew with each picture. */
static int64_t picture_pieces(const cpu_plan *p)
{
    return ((int64_t)cpu_stride(p->out) + PIECE - 1) / PIECE;
}

static size_t picture_piece_size(const cpu_plan *p, int64_t piece)
{
    size_t total = cpu_stride(p->out), at = (size_t)piece * PIECE;
    return total - at < PIECE ? total - at : PIECE;
}

/* Padding channels hold any finite numbers, of which arithmetic may make others: x^-1, sqrt x, ln x. */
static void clear_padding(const sal_device *d, const cpu_plan *p, float *y)
{
    const int64_t block = d->kernels->block, used = p->out->shape.dim[1] % block, pixels = cpu_pixels(p->out);
    for (int64_t n = 0; n < p->step->batch; n++) {
        float *last = y + (size_t)n * cpu_stride(p->out) + (size_t)((cpu_blocks(d, p->out) - 1) * pixels * block);
        for (int64_t i = 0; i < pixels; i++)
            memset(last + i * block + used, 0, (size_t)(block - used) * sizeof *y);
    }
}

static int spoils_padding(const sal_device *d, const cpu_plan *p)
{
    return sal_activation_is_arithmetic(p->step->node->activation.kind) && p->out->layout == SAL_LAYOUT_BLOCKED &&
           p->out->shape.dim[1] % d->kernels->block != 0;
}

static sal_status run_activation(sal_device *d, void *plan, const sal_run *r)
{
    const cpu_plan *p = plan;
    const sal_activation *a = &p->step->node->activation;
    size_t mask_bytes = r->kept ? p->values[p->step->kept].bytes : 0;
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t picture = 0; picture < p->step->batch; picture++)
        for (int64_t k = 0; k < picture_pieces(p); k++) {
            size_t inside = (size_t)k * PIECE, n = picture_piece_size(p, k);
            size_t from = (size_t)picture * cpu_stride(p->out) + inside;
            float *y = (float *)r->output + from;
            d->kernels->activation(y, (const float *)r->inputs[0] + from, n, a);
            if (r->kept)
                cpu_mask(d, (uint8_t *)r->kept + (size_t)picture * mask_bytes + inside / 8, y, n, a);
        }
    if (spoils_padding(d, p))
        clear_padding(d, p, r->output);
    return SAL_OK;
}

static sal_status run_activation_backward(sal_device *d, void *plan, const sal_run *r)
{
    const cpu_plan *p = plan;
    const sal_activation *a = &p->step->node->activation;
    const float *addend = addend_of(p, r);
    int masked = sal_activation_keep(a->kind) == SAL_KEEP_SIGN;
    float slope = a->kind == SAL_ACT_LEAKY_RELU ? a->alpha : 0.0f;
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t picture = 0; picture < p->step->batch; picture++)
        for (int64_t k = 0; k < picture_pieces(p); k++) {
            size_t inside = (size_t)k * PIECE, n = picture_piece_size(p, k);
            size_t from = (size_t)picture * cpu_stride(p->out) + inside;
            float *dx = (float *)r->output + from;
            const float *dy = (const float *)r->inputs[0] + from;
            const uint8_t *mask = (const uint8_t *)r->inputs[1] + (size_t)picture * p->in[1]->bytes + inside / 8;
            if (masked)
                d->kernels->mask_backward(dx, dy, mask, at(addend, from), n, slope, p->step->rule);
            else
                d->kernels->activation_backward(dx, dy, (const float *)r->inputs[1] + from, at(addend, from), n, a,
                                                p->step->rule);
        }
    if (spoils_padding(d, p))
        clear_padding(d, p, r->output);
    return SAL_OK;
}

/* ---- Two operands ------------------------------------------------------- */

/* One of a shape, the other one value per channel. */
static int is_broadcast(const sal_value *small, const sal_value *big)
{
    return !sal_shape_equal(&small->shape, &big->shape);
}

/* What is broadcast must be one value per channel of a blocked map: nothing else is written below. */
static sal_status prepare_broadcast(void **plan, sal_needs *needs, sal_device *d, const sal_step *step,
                                    const sal_value *values)
{
    const sal_value *out = &values[step->output], *big = out;
    for (int k = 0; k < step->input_count; k++)
        if (values[step->inputs[k]].bytes > big->bytes)
            big = &values[step->inputs[k]];
    for (int k = -1; k < step->input_count; k++) {
        const sal_value *v = k < 0 ? out : &values[step->inputs[k]];
        int per_channel = big->layout == SAL_LAYOUT_BLOCKED && v->layout == SAL_LAYOUT_BLOCKED &&
                          v->shape.dim[1] == big->shape.dim[1] && cpu_pixels(v) == 1;
        if (is_broadcast(v, big) && !per_channel)
            return sal_fail(SAL_ERROR_UNSUPPORTED,
                            "operands of different shapes must be (N, C, H, W) and (N, C, 1, 1)");
    }
    return cpu_plan_prepare(plan, needs, d, step, values);
}

static sal_status run_pairwise(sal_device *d, const cpu_plan *p, const sal_run *r,
                               void (*kernel)(float *, const float *, const float *, size_t))
{
#pragma omp parallel for num_threads(d->threads)
    for (int64_t k = 0; k < pieces(p); k++) {
        size_t from = (size_t)k * PIECE;
        kernel((float *)r->output + from, (const float *)r->inputs[0] + from, (const float *)r->inputs[1] + from,
               piece_size(p, k));
    }
    return SAL_OK;
}

/* y = x * factor + shift for each channel block; factor and shift per picture, or the plan's own. */
typedef struct channel_terms {
    const float *factor, *shift, *addend;
    size_t factor_stride, shift_stride; /* floats from one picture to the next */
} channel_terms;

static void run_channels(sal_device *d, const cpu_plan *p, float *y, const float *x, const channel_terms *t)
{
    int64_t block = d->kernels->block, blocks = cpu_blocks(d, p->out), pixels = cpu_pixels(p->out);
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t n = 0; n < p->step->batch; n++)
        for (int64_t b = 0; b < blocks; b++) {
            size_t from = (size_t)n * cpu_stride(p->out) + (size_t)(b * pixels * block);
            size_t channel = (size_t)(b * block);
            d->kernels->affine(y + from, x + from, t->factor + (size_t)n * t->factor_stride + channel,
                               t->shift ? t->shift + (size_t)n * t->shift_stride + channel : NULL, at(t->addend, from),
                               (size_t)pixels);
        }
}

static sal_status run_add(sal_device *d, void *plan, const sal_run *r)
{
    const cpu_plan *p = plan;
    if (!is_broadcast(p->in[1], p->out))
        return run_pairwise(d, p, r, d->kernels->add);
    static const float ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    int64_t block = d->kernels->block, blocks = cpu_blocks(d, p->out), pixels = cpu_pixels(p->out);
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t n = 0; n < p->step->batch; n++)
        for (int64_t b = 0; b < blocks; b++) {
            size_t from = (size_t)n * cpu_stride(p->out) + (size_t)(b * pixels * block);
            d->kernels->affine((float *)r->output + from, (const float *)r->inputs[0] + from, ones,
                               (const float *)r->inputs[1] + (size_t)n * cpu_stride(p->in[1]) + (size_t)(b * block),
                               NULL, (size_t)pixels);
        }
    return SAL_OK;
}

static sal_status run_mul(sal_device *d, void *plan, const sal_run *r)
{
    const cpu_plan *p = plan;
    if (is_broadcast(p->in[1], p->out)) {
        channel_terms t = {.factor = r->inputs[1], .factor_stride = cpu_stride(p->in[1])};
        run_channels(d, p, r->output, r->inputs[0], &t);
        return SAL_OK;
    }
#pragma omp parallel for num_threads(d->threads)
    for (int64_t k = 0; k < pieces(p); k++) {
        size_t from = (size_t)k * PIECE;
        d->kernels->multiply((float *)r->output + from, (const float *)r->inputs[0] + from,
                             (const float *)r->inputs[1] + from, NULL, piece_size(p, k));
    }
    return SAL_OK;
}

/* out[channel] = factor * sum over pixels of a * b (+ addend); b may be NULL. */
static void sum_pixels(sal_device *d, const cpu_plan *p, const sal_value *big, float *out, const float *a,
                       const float *b, const float *addend, float factor)
{
    int64_t block = d->kernels->block, blocks = cpu_blocks(d, big), pixels = cpu_pixels(big);
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t n = 0; n < p->step->batch; n++)
        for (int64_t k = 0; k < blocks; k++) {
            size_t from = (size_t)n * cpu_stride(big) + (size_t)(k * pixels * block);
            size_t to = (size_t)n * cpu_stride(p->out) + (size_t)(k * block);
            float sum[16];
            d->kernels->dot_pixels(sum, a + from, at(b, from), (size_t)pixels);
            for (int64_t l = 0; l < block; l++)
                out[to + (size_t)l] = sum[l] * factor + (addend ? addend[to + (size_t)l] : 0.0f);
        }
}

static sal_status run_mul_backward(sal_device *d, void *plan, const sal_run *r)
{
    const cpu_plan *p = plan;
    const float *addend = addend_of(p, r);
    const sal_value *dy = p->in[0], *other = p->in[1];
    if (is_broadcast(p->out, dy)) {
        sum_pixels(d, p, dy, r->output, r->inputs[0], r->inputs[1], addend, 1.0f);
        return SAL_OK;
    }
    if (is_broadcast(other, dy)) {
        channel_terms t = {.factor = r->inputs[1], .factor_stride = cpu_stride(other), .addend = addend};
        run_channels(d, p, r->output, r->inputs[0], &t);
        return SAL_OK;
    }
#pragma omp parallel for num_threads(d->threads)
    for (int64_t k = 0; k < pieces(p); k++) {
        size_t from = (size_t)k * PIECE;
        d->kernels->multiply((float *)r->output + from, (const float *)r->inputs[0] + from,
                             (const float *)r->inputs[1] + from, at(addend, from), piece_size(p, k));
    }
    return SAL_OK;
}

static sal_status run_reduce_spatial(sal_device *d, void *plan, const sal_run *r)
{
    const cpu_plan *p = plan;
    sum_pixels(d, p, p->in[0], r->output, r->inputs[0], NULL, addend_of(p, r), 1.0f);
    return SAL_OK;
}

/* ---- Means over the pixels ---------------------------------------------- */

static sal_status run_mean(sal_device *d, void *plan, const sal_run *r)
{
    const cpu_plan *p = plan;
    sum_pixels(d, p, p->in[0], r->output, r->inputs[0], NULL, NULL, 1.0f / (float)cpu_pixels(p->in[0]));
    return SAL_OK;
}

static sal_status run_mean_backward(sal_device *d, void *plan, const sal_run *r)
{
    const cpu_plan *p = plan;
    const float *addend = addend_of(p, r);
    int64_t block = d->kernels->block, blocks = cpu_blocks(d, p->out), pixels = cpu_pixels(p->out);
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t n = 0; n < p->step->batch; n++)
        for (int64_t b = 0; b < blocks; b++) {
            size_t to = (size_t)n * cpu_stride(p->out) + (size_t)(b * pixels * block);
            size_t from = (size_t)n * cpu_stride(p->in[0]) + (size_t)(b * block);
            d->kernels->spread((float *)r->output + to, (const float *)r->inputs[0] + from, 1.0f / (float)pixels,
                               at(addend, to), (size_t)pixels);
        }
    return SAL_OK;
}

/* ---- Affine ------------------------------------------------------------- */

/* Of values in rows: (count, inner), one factor and one shift for each of the count. */
static void affine_rows(float *y, const float *x, const float *factor, const float *shift, const float *addend,
                        int64_t count, int64_t inner)
{
    for (int64_t c = 0; c < count; c++)
        for (int64_t i = 0; i < inner; i++) {
            const int64_t k = c * inner + i;
            y[k] = x[k] * factor[c] + (shift ? shift[c] : 0.0f) + (addend ? addend[k] : 0.0f);
        }
}

static sal_status run_affine_terms(sal_device *d, const cpu_plan *p, const sal_run *r, const float *shift,
                                   const float *addend)
{
    const float *x = r->inputs[0];
    float *y = r->output;
    if (p->out->layout == SAL_LAYOUT_BLOCKED) {
        channel_terms t = {.factor = p->weights, .shift = shift, .addend = addend};
        run_channels(d, p, y, x, &t);
        return SAL_OK;
    }
    const int64_t count = p->out->shape.dim[p->step->node->axis];
    int64_t inner = 1;
    for (int j = p->step->node->axis + 1; j < p->out->shape.rank; j++)
        inner *= p->out->shape.dim[j];
    const int64_t outer = sal_shape_elements(&p->out->shape) / (count * inner);
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t n = 0; n < p->step->batch; n++)
        for (int64_t u = 0; u < outer; u++) {
            const size_t from = (size_t)n * cpu_stride(p->out) + (size_t)(u * count * inner);
            affine_rows(y + from, x + from, p->weights, shift, at(addend, from), count, inner);
        }
    return SAL_OK;
}

static sal_status run_affine(sal_device *d, void *plan, const sal_run *r)
{
    const cpu_plan *p = plan;
    return run_affine_terms(d, p, r, p->bias, NULL);
}

static sal_status run_affine_backward(sal_device *d, void *plan, const sal_run *r)
{
    const cpu_plan *p = plan;
    return run_affine_terms(d, p, r, NULL, addend_of(p, r));
}

void cpu_mask(const sal_device *d, uint8_t *mask, const float *y, size_t n, const sal_activation *a)
{
    if (a->kind == SAL_ACT_CLIP)
        d->kernels->mask_between(mask, y, n, a->alpha, a->beta);
    else
        d->kernels->mask_between(mask, y, n, 0.0f, INFINITY);
}

#define ROW(prepare, run)                                                                                              \
    {                                                                                                                  \
        prepare, run, cpu_plan_release                                                                                 \
    }

const sal_step_row cpu_row_activation = ROW(cpu_plan_prepare, run_activation);
const sal_step_row cpu_row_activation_backward = ROW(cpu_plan_prepare, run_activation_backward);
const sal_step_row cpu_row_add = ROW(prepare_broadcast, run_add);
const sal_step_row cpu_row_mul = ROW(prepare_broadcast, run_mul);
const sal_step_row cpu_row_mul_backward = ROW(prepare_broadcast, run_mul_backward);
const sal_step_row cpu_row_reduce_spatial = ROW(prepare_broadcast, run_reduce_spatial);
const sal_step_row cpu_row_mean = ROW(cpu_plan_prepare, run_mean);
const sal_step_row cpu_row_mean_backward = ROW(cpu_plan_prepare, run_mean_backward);
const sal_step_row cpu_row_affine = ROW(cpu_plan_prepare, run_affine);
const sal_step_row cpu_row_affine_backward = ROW(cpu_plan_prepare, run_affine_backward);
