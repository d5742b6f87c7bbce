/* Winograd's convolutions by our own kernels: weights transformed once, tiles shared out among threads. */
#include "backend/cpu/winograd.h"

#include "base/memory.h"

struct winograd_plan {
    cpu_winograd shape;
    int64_t batch;
    float *weights;    /* (panels, (side + 2)^2, input channels, two blocks of outputs), transformed */
    const float *bias; /* borrowed; or NULL */
};

enum {
    LEAST_CHANNELS = 64,
    LARGE_TILES = 28, /* from this side of the map on */
    MOST_LINE = 6
};

/* ---- Choosing ----------------------------------------------------------- */

static int clips(const sal_activation *a)
{
    return a->kind == SAL_ACT_RELU || a->kind == SAL_ACT_CLIP;
}

int winograd_fits(const sal_device *d, const dnn_conv_shape *c)
{
    int fits = d->kernels->winograd && c->groups == 1 && !c->source_plain && !c->backward_data &&
               c->in_channels >= LEAST_CHANNELS && c->out_channels >= LEAST_CHANNELS &&
               (c->activation.kind == SAL_ACT_NONE || clips(&c->activation));
    for (int k = 0; k < 2; k++)
        fits &= c->kernel[k] == 3 && c->stride[k] == 1 && c->dilation[k] == 1;
    return fits;
}

/* Large tiles save more products, small ones digits and the memory of the weights. On small maps large tiles would
 * reach beyond the edge; and where outputs are made of padding but for a few taps, what large tiles lose shows. */
static int choose_side(const dnn_conv_shape *c)
{
    int large = 1;
    for (int k = 0; k < 2; k++)
        large &= c->out[k] >= LARGE_TILES && c->pad_begin[k] <= 1 && c->pad_end[k] <= 1;
    return large ? 4 : 2;
}

/* ---- Weights ------------------------------------------------------------ */

/* to = G g, of three numbers `step` apart. */
static void transform_line(double *to, int64_t to_step, const double *g, int64_t step, int side)
{
    const double first = g[0], middle = g[step], last = g[2 * step];
    if (side == 2) {
        to[0] = first;
        to[to_step] = (first + middle + last) / 2.0;
        to[2 * to_step] = (first - middle + last) / 2.0;
        to[3 * to_step] = last;
        return;
    }
    to[0] = first / 4.0;
    to[to_step] = -(first + middle + last) / 6.0;
    to[2 * to_step] = -(first - middle + last) / 6.0;
    to[3 * to_step] = (first + 2.0 * middle + 4.0 * last) / 24.0;
    to[4 * to_step] = (first - 2.0 * middle + 4.0 * last) / 24.0;
    to[5 * to_step] = last;
}

/* G g G^T of all kernels. */
static void transform(winograd_plan *p, const float *weights, int64_t inputs, int64_t outputs, int64_t panel)
{
    const int side = p->shape.side, line = side + 2;
    for (int64_t o = 0; o < outputs; o++)
        for (int64_t i = 0; i < inputs; i++) {
            double g[9], half[3 * MOST_LINE], u[MOST_LINE * MOST_LINE];
            for (int k = 0; k < 9; k++)
                g[k] = (double)weights[(o * inputs + i) * 9 + k];
            for (int k = 0; k < 3; k++)
                transform_line(half + k, 3, g + k, 3, side);
            for (int k = 0; k < line; k++)
                transform_line(u + line * k, 1, half + 3 * k, 1, side);
            for (int k = 0; k < line * line; k++)
                p->weights[((o / panel * line * line + k) * inputs + i) * panel + o % panel] = (float)u[k];
        }
}

static size_t weight_count(const winograd_plan *p, int64_t block)
{
    const cpu_winograd *c = &p->shape;
    const int64_t positions = (c->side + 2) * (c->side + 2);
    return (size_t)((c->out_blocks + 1) / 2 * positions * c->in_blocks * block * 2 * block);
}

const char *winograd_name(const winograd_plan *p)
{
    return p->shape.side == 4 ? "winograd 4x4" : "winograd 2x2";
}

sal_status winograd_create(winograd_plan **out, size_t *weight_bytes, size_t *scratch_bytes, const sal_device *d,
                           const dnn_conv_shape *c, const float *weights, const float *bias, const sal_value *to,
                           const sal_value *from)
{
    sal_status st = SAL_OK;
    winograd_plan *p = NULL;
    const int64_t block = d->kernels->block;
    TRY(sal_alloc(&p, 1, sizeof *p, "a step"));
    p->batch = c->batch;
    p->bias = bias;
    p->shape = (cpu_winograd){.in_blocks = c->in_channels / block,
                              .out_blocks = c->out_channels / block,
                              .in = {c->in[0], c->in[1]},
                              .out = {c->out[0], c->out[1]},
                              .pad = {c->pad_begin[0], c->pad_begin[1]},
                              .side = choose_side(c),
                              .most_tiles = choose_side(c) == 2 ? 72 : 24, /* in the caches */
                              .in_stride = (int64_t)cpu_stride(from),
                              .out_stride = (int64_t)cpu_stride(to),
                              .clips = clips(&c->activation),
                              .low = c->activation.kind == SAL_ACT_CLIP ? c->activation.alpha : 0.0f,
                              .high = c->activation.kind == SAL_ACT_CLIP ? c->activation.beta : INFINITY};
    const size_t count = weight_count(p, block);
    TRY(sal_alloc(&p->weights, count, sizeof *p->weights, "convolution weights"));
    transform(p, weights, c->in_channels, c->out_channels, 2 * block);
    *weight_bytes = count * sizeof *p->weights;
    *scratch_bytes = (size_t)d->threads * d->kernels->winograd_scratch(&p->shape) * sizeof(float);
    *out = p;
    p = NULL;
done:
    winograd_destroy(p);
    return st;
}

void winograd_destroy(winograd_plan *p)
{
    if (!p)
        return;
    sal_free(p->weights);
    sal_free(p);
}

/* ---- Running ------------------------------------------------------------ */

void winograd_run(const sal_device *d, const winograd_plan *p, float *to, const float *from, const float *addend,
                  float *scratch)
{
    const cpu_winograd *c = &p->shape;
    const int64_t rows = (c->out[0] + c->side - 1) / c->side, columns = (c->out[1] + c->side - 1) / c->side;
    const int64_t tiles = rows * columns * p->batch;
#pragma omp parallel for num_threads(d->threads) schedule(static, 1)
    for (int64_t t = 0; t < d->threads; t++) {
        const int64_t begin = tiles * t / d->threads, end = tiles * (t + 1) / d->threads;
        const int64_t groups = (end - begin + c->most_tiles - 1) / c->most_tiles;
        float *mine = scratch + (size_t)t * d->kernels->winograd_scratch(c);
        for (int64_t g = 0; g < groups; g++) {
            const int64_t first = begin + (end - begin) * g / groups, next = begin + (end - begin) * (g + 1) / groups;
            d->kernels->winograd(to, from, p->weights, p->bias, addend, mine, c, first, next - first);
        }
    }
}
