/* Input gradient of a convolution that reads the picture: few channels, row-major memory.
 * See kernels_first.h for the products; here they are folded into the picture.
 *
 * Library paths reach 10 to 25 GFLOP/s on these shapes, since three channels do not fill a vector. */
#include "backend/cpu/cpu.h"

#include "base/memory.h"

#include <string.h>

typedef struct first_plan {
    const sal_step *step;
    const sal_value *dy, *dx;
    cpu_first_conv shape;
    float *weights; /* (channels of dy, KH, row_floats): KW * C floats of each row used */
} first_plan;

static void release(sal_device *d, void *plan)
{
    (void)d;
    first_plan *p = plan;
    if (!p)
        return;
    sal_free(p->weights);
    sal_free(p);
}

static size_t products_floats(const first_plan *p)
{
    return (size_t)(p->shape.out[1] * p->shape.window.kernel[0] * p->shape.row_floats);
}

/* The picture's gradient as (H, W, C) with a margin for the padding, so that folding needs no bounds. */
static size_t margin_width(const first_plan *p)
{
    const sal_window *w = &p->shape.window;
    int64_t reach = (p->shape.out[1] - 1) * w->stride[1] + (w->kernel[1] - 1) * w->dilation[1] + 1;
    int64_t wanted = p->shape.in[1] + w->pad_begin[1];
    return (size_t)((reach > wanted ? reach : wanted) * p->shape.channels);
}

static size_t folded_floats(const first_plan *p)
{
    return margin_width(p) * (size_t)p->shape.in[0];
}

static size_t thread_floats(const first_plan *p)
{
    return (products_floats(p) + folded_floats(p) + 31) / 16 * 16;
}

static void load_weights(first_plan *p)
{
    const sal_node *n = p->step->node;
    const cpu_first_conv *c = &p->shape;
    int64_t kh = c->window.kernel[0], kw = c->window.kernel[1], channels = c->channels;
    for (int64_t o = 0; o < p->dy->shape.dim[1]; o++)
        for (int64_t ch = 0; ch < channels; ch++)
            for (int64_t i = 0; i < kh; i++)
                for (int64_t j = 0; j < kw; j++)
                    p->weights[(o * kh + i) * c->row_floats + j * channels + ch] =
                        n->weight[((o * channels + ch) * kh + i) * kw + j];
}

static sal_status prepare(void **plan, sal_needs *needs, sal_device *d, const sal_step *step, const sal_value *values)
{
    sal_status st = SAL_OK;
    first_plan *p = NULL;
    TRY(sal_alloc(&p, 1, sizeof *p, "a step"));
    p->step = step;
    p->dy = &values[step->inputs[0]];
    p->dx = &values[step->output];
    cpu_first_conv *c = &p->shape;
    c->window = step->node->window;
    c->channels = p->dx->shape.dim[1];
    c->blocks = cpu_blocks(d, p->dy);
    for (int k = 0; k < 2; k++) {
        c->in[k] = p->dx->shape.dim[2 + k];
        c->out[k] = p->dy->shape.dim[2 + k];
    }
    c->row_floats = cpu_round_up(c->window.kernel[1] * c->channels, d->kernels->block);
    size_t count = (size_t)(c->blocks * d->kernels->block * c->window.kernel[0] * c->row_floats);
    TRY(sal_alloc(&p->weights, count, sizeof *p->weights, "first layer weights"));
    load_weights(p);
    needs->weight_bytes = count * sizeof *p->weights;
    needs->scratch_bytes = thread_floats(p) * (size_t)d->threads * sizeof(float);
    needs->algorithm = "products and fold";
    *plan = p;
    p = NULL;
done:
    release(d, p);
    return st;
}

/* Adds one row of products to the rows of dx it reaches. */
static void fold_row(float *folded, const float *products, const first_plan *p, int64_t row)
{
    const cpu_first_conv *c = &p->shape;
    const sal_window *w = &c->window;
    const int64_t used = w->kernel[1] * c->channels, width = (int64_t)margin_width(p);
    for (int64_t i = 0; i < w->kernel[0]; i++) {
        int64_t y = row * w->stride[0] - w->pad_begin[0] + i * w->dilation[0];
        if (y < 0 || y >= c->in[0])
            continue;
        const float *from = products + i * c->row_floats;
        for (int64_t x = 0; x < c->out[1]; x++, from += w->kernel[0] * c->row_floats) {
            float *to = folded + y * width + x * w->stride[1] * c->channels;
            if (w->dilation[1] == 1) {
                for (int64_t k = 0; k < used; k++)
                    to[k] += from[k];
                continue;
            }
            for (int64_t j = 0; j < w->kernel[1]; j++)
                for (int64_t ch = 0; ch < c->channels; ch++)
                    to[j * w->dilation[1] * c->channels + ch] += from[j * c->channels + ch];
        }
    }
}

static void unfold(float *dx, const float *folded, const float *addend, const first_plan *p)
{
    const cpu_first_conv *c = &p->shape;
    int64_t width = (int64_t)margin_width(p), left = c->window.pad_begin[1];
    for (int64_t ch = 0; ch < c->channels; ch++)
        for (int64_t y = 0; y < c->in[0]; y++) {
            const float *from = folded + y * width + left * c->channels + ch;
            int64_t at = (ch * c->in[0] + y) * c->in[1];
            for (int64_t x = 0; x < c->in[1]; x++)
                dx[at + x] = from[x * c->channels] + (addend ? addend[at + x] : 0.0f);
        }
}

static sal_status run(sal_device *d, void *plan, const sal_run *r)
{
    const first_plan *p = plan;
    const float *addend = p->step->addend >= 0 ? r->inputs[p->step->input_count - 1] : NULL;
#pragma omp parallel for num_threads(d->threads) schedule(static, 1)
    for (int64_t t = 0; t < d->threads; t++) {
        float *products = (float *)r->scratch + (size_t)t * thread_floats(p), *folded = products + products_floats(p);
        for (int64_t n = t; n < p->step->batch; n += d->threads) {
            const float *dy = (const float *)r->inputs[0] + (size_t)n * cpu_stride(p->dy);
            size_t at = (size_t)n * cpu_stride(p->dx);
            memset(folded, 0, folded_floats(p) * sizeof *folded);
            for (int64_t row = 0; row < p->shape.out[0]; row++) {
                d->kernels->first_products(products, dy, p->weights, &p->shape, row);
                fold_row(folded, products, p, row);
            }
            unfold((float *)r->output + at, folded, addend ? addend + at : NULL, p);
        }
    }
    return SAL_OK;
}

const sal_step_row cpu_row_first_conv_backward = {prepare, run, release};
