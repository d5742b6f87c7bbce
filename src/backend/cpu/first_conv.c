/* Input gradient of a convolution that reads the picture: few channels, row-major memory.
 * See kernels_first.h for the products; here they are folded into the picture.
 *
 * A thread makes a band of the picture's rows from all rows of dy that reach it. Bands
 * overlap in the rows of dy at their borders, which are computed twice; each element of dx
 * gets its contributions in one order all the same, however many bands and threads there are.
 *
 * Library paths reach 10 to 25 GFLOP/s on these shapes, since three channels do not fill a vector. */
#include "backend/cpu/cpu.h"

#include "base/memory.h"

#include <string.h>

typedef struct first_plan {
    const sal_step *step;
    const sal_value *dy, *dx;
    cpu_first_conv shape;
    int64_t bands; /* of a picture */
    int64_t band_rows;
    int64_t pixels; /* of dy at a time: their products stay in the nearest cache */
    float *weights; /* (channels of dy, stride) */
} first_plan;

enum { PRODUCTS_BYTES = 16 << 10, PIXELS_STEP = 8 };

static void release(sal_device *d, void *plan)
{
    (void)d;
    first_plan *p = plan;
    if (!p)
        return;
    sal_free(p->weights);
    sal_free(p);
}

/* ---- Preparing ---------------------------------------------------------- */

static size_t products_floats(const first_plan *p)
{
    return (size_t)(p->pixels * p->shape.stride);
}

/* A row of the picture's gradient as (W, C) with a margin for the padding, so that folding needs no bounds. */
static size_t margin_width(const first_plan *p)
{
    const sal_window *w = &p->shape.window;
    int64_t reach = (p->shape.out[1] - 1) * w->stride[1] + (w->kernel[1] - 1) * w->dilation[1] + 1;
    int64_t wanted = p->shape.in[1] + w->pad_begin[1];
    return (size_t)((reach > wanted ? reach : wanted) * p->shape.channels);
}

static size_t thread_floats(const first_plan *p)
{
    return (products_floats(p) + margin_width(p) * (size_t)p->band_rows + 31) / 16 * 16;
}

/* As many bands as share the pictures out evenly, unless their overlap would cost more than that gains. */
static void choose_bands(first_plan *p, int threads)
{
    const sal_window *w = &p->shape.window;
    int64_t least = 4 * ((w->kernel[0] - 1) * w->dilation[0] + 1), most = p->shape.in[0] / least, even = 1;
    while (p->step->batch * even % threads != 0)
        even++;
    even = even < most ? even : most;
    even = even > 1 ? even : 1;
    p->band_rows = (p->shape.in[0] + even - 1) / even;
    p->bands = (p->shape.in[0] + p->band_rows - 1) / p->band_rows;
}

static void load_weights(first_plan *p)
{
    const sal_node *n = p->step->node;
    const cpu_first_conv *c = &p->shape;
    int64_t area = c->window.kernel[0] * c->window.kernel[1], channels = c->channels;
    for (int64_t o = 0; o < p->dy->shape.dim[1]; o++)
        for (int64_t ch = 0; ch < channels; ch++)
            for (int64_t i = 0; i < area; i++)
                p->weights[o * c->stride + i * channels + ch] = n->weight[(o * channels + ch) * area + i];
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
    c->stride = cpu_round_up(c->window.kernel[0] * c->window.kernel[1] * c->channels, d->kernels->block);
    p->pixels = PRODUCTS_BYTES / ((int64_t)sizeof(float) * c->stride) / PIXELS_STEP * PIXELS_STEP;
    p->pixels = p->pixels > PIXELS_STEP ? p->pixels : PIXELS_STEP;
    choose_bands(p, d->threads);
    size_t count = (size_t)(c->blocks * d->kernels->block * c->stride);
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

/* ---- Running ------------------------------------------------------------ */

/* Rows [first, last) of one picture. */
typedef struct band {
    int64_t first, last;
    float *folded; /* (last - first, margin_width) */
} band;

/* to[x step + k] += from[x stride + k] for k < width <= step. A width that the compiler knows becomes a vector or two.
 */
static inline void add_pieces(float *restrict to, const float *restrict from, int64_t step, int64_t stride,
                              int64_t width, int64_t count)
{
    for (int64_t x = 0; x < count; x++)
        for (int64_t k = 0; k < width; k++)
            to[x * step + k] += from[x * stride + k];
}

/* A pixel's row of the kernel, `used` floats, overlaps the rows of its neighbours: a vector would read what the last
 * one has just written in part, and wait. So the rows are cut into pieces of one step each, and each round adds the
 * same piece of all pixels, which do not overlap. The last piece goes first: every element still gets the pixels in
 * order. */
static void add_rows(float *to, const float *from, int64_t step, int64_t stride, int64_t used, int64_t count)
{
    for (int64_t at = (used - 1) / step * step; at >= 0; at -= step) {
        int64_t width = used - at < step ? used - at : step;
        switch (width) {
        case 3: add_pieces(to + at, from + at, step, stride, 3, count); break;
        case 6: add_pieces(to + at, from + at, step, stride, 6, count); break;
        default: add_pieces(to + at, from + at, step, stride, width, count);
        }
    }
}

/* Adds the products of `count` pixels of dy, from (row, column) on, to the rows of the band that they reach. */
static void fold(const band *b, const float *products, const first_plan *p, int64_t row, int64_t column, int64_t count)
{
    const cpu_first_conv *c = &p->shape;
    const sal_window *w = &c->window;
    const int64_t used = w->kernel[1] * c->channels, width = (int64_t)margin_width(p),
                  step = w->stride[1] * c->channels;
    for (int64_t i = 0; i < w->kernel[0]; i++) {
        int64_t y = row * w->stride[0] - w->pad_begin[0] + i * w->dilation[0];
        if (y < b->first || y >= b->last)
            continue;
        const float *from = products + i * used;
        float *to = b->folded + (y - b->first) * width + column * step;
        if (w->dilation[1] == 1) {
            add_rows(to, from, step, c->stride, used, count);
            continue;
        }
        for (int64_t x = 0; x < count; x++, from += c->stride, to += step)
            for (int64_t j = 0; j < w->kernel[1]; j++)
                for (int64_t ch = 0; ch < c->channels; ch++)
                    to[j * w->dilation[1] * c->channels + ch] += from[j * c->channels + ch];
    }
}

static void unfold(float *dx, const band *b, const float *addend, const first_plan *p)
{
    const cpu_first_conv *c = &p->shape;
    int64_t width = (int64_t)margin_width(p), left = c->window.pad_begin[1];
    for (int64_t ch = 0; ch < c->channels; ch++)
        for (int64_t y = b->first; y < b->last; y++) {
            const float *from = b->folded + (y - b->first) * width + left * c->channels + ch;
            int64_t at = (ch * c->in[0] + y) * c->in[1];
            for (int64_t x = 0; x < c->in[1]; x++)
                dx[at + x] = from[x * c->channels] + (addend ? addend[at + x] : 0.0f);
        }
}

static int64_t divide_up(int64_t a, int64_t b)
{
    return a > 0 ? (a + b - 1) / b : 0;
}

static void make_band(const sal_device *d, const band *b, float *products, const float *dy, const first_plan *p)
{
    const cpu_first_conv *c = &p->shape;
    const sal_window *w = &c->window;
    const int64_t reach = (w->kernel[0] - 1) * w->dilation[0];
    int64_t begin = divide_up(b->first + w->pad_begin[0] - reach, w->stride[0]);
    int64_t end = divide_up(b->last + w->pad_begin[0], w->stride[0]);
    end = end < c->out[0] ? end : c->out[0];
    memset(b->folded, 0, margin_width(p) * (size_t)(b->last - b->first) * sizeof *b->folded);
    for (int64_t row = begin; row < end; row++)
        for (int64_t x = 0; x < c->out[1]; x += p->pixels) {
            int64_t count = c->out[1] - x < p->pixels ? c->out[1] - x : p->pixels;
            d->kernels->first_products(products, dy + (row * c->out[1] + x) * d->kernels->block, p->weights, c, count);
            fold(b, products, p, row, x, count);
        }
}

static sal_status run(sal_device *d, void *plan, const sal_run *r)
{
    const first_plan *p = plan;
    const float *addend = p->step->addend >= 0 ? r->inputs[p->step->input_count - 1] : NULL;
#pragma omp parallel for num_threads(d->threads) schedule(static, 1)
    for (int64_t t = 0; t < d->threads; t++) {
        float *products = (float *)r->scratch + (size_t)t * thread_floats(p);
        for (int64_t k = t; k < p->step->batch * p->bands; k += d->threads) {
            size_t picture = (size_t)(k / p->bands), at = picture * cpu_stride(p->dx);
            band b = {.first = k % p->bands * p->band_rows, .folded = products + products_floats(p)};
            b.last = b.first + p->band_rows < p->shape.in[0] ? b.first + p->band_rows : p->shape.in[0];
            make_band(d, &b, products, (const float *)r->inputs[0] + picture * cpu_stride(p->dy), p);
            unfold((float *)r->output + at, &b, addend ? addend + at : NULL, p);
        }
    }
    return SAL_OK;
}

const sal_step_row cpu_row_first_conv_backward = {prepare, run, release};
