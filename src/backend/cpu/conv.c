/* Convolutions, forward and backward-data, by oneDNN over channel-blocked memory, and some by winograd.c.
 *
 * oneDNN sees channel counts rounded up to whole blocks, with zero weights in the
 * padding: its fast paths want that, and blocked memory has the room anyway. Narrow groups
 * are merged until they fill a block, for the same reason.
 *
 * A backward-data convolution of stride 1 can run as a forward convolution with rotated,
 * transposed weights, which may use Winograd's algorithm where backward-data has none.
 * The choice follows from the shape alone: timing it on the spot could choose otherwise
 * tomorrow, and the same picture would give other bits. */
#include "backend/cpu/cpu.h"

#include "backend/cpu/winograd.h"
#include "base/memory.h"

#include <string.h>

typedef struct conv_plan {
    const sal_step *step;
    const sal_value *values;
    dnn_conv *conv;                            /* of oneDNN, or: */
    winograd_plan *winograd;                   /* our own */
    size_t winograd_weights, winograd_scratch; /* bytes */
    int64_t runs;                              /* the primitive takes a part of the step's batch at a time */
    float *bias;
    int sums;             /* the primitive adds to what the output holds */
    size_t result_offset; /* scratch: a result to be added to the addend; else unused */
} conv_plan;

static void release(sal_device *d, void *plan)
{
    (void)d;
    conv_plan *p = plan;
    if (!p)
        return;
    dnn_conv_destroy(p->conv);
    winograd_destroy(p->winograd);
    sal_free(p->bias);
    sal_free(p);
}

/* ---- Groups and padding ------------------------------------------------- */

typedef struct grouping {
    int64_t merged;  /* groups of the model in one of the primitive's */
    int64_t groups;  /* of the primitive */
    int64_t in, out; /* channels of one of the primitive's groups */
} grouping;

static int64_t groups_to_fill(int64_t channels, int64_t block)
{
    int64_t n = 1;
    while (channels * n % block != 0)
        n *= 2;
    return n;
}

static grouping group(const sal_node *n, int64_t block, int64_t in_channels, int source_plain)
{
    int64_t groups = n->window.groups, out_channels = n->shape.dim[1];
    int64_t in = in_channels / groups, out = out_channels / groups;
    int64_t padded_in = source_plain ? in_channels : cpu_round_up(in_channels, block);
    int64_t padded_out = cpu_round_up(out_channels, block);
    if (groups > 1 && in == 1 && out == 1)
        return (grouping){1, padded_in, 1, 1};
    int64_t f = groups_to_fill(in, block), g = groups_to_fill(out, block);
    f = f > g ? f : g;
    int64_t count = (groups + f - 1) / f;
    if (groups > 1 && count * f * in == padded_in && count * f * out == padded_out)
        return (grouping){f, count, f * in, f * out};
    return (grouping){groups, 1, padded_in, padded_out};
}

/* The model's weights (O, C/groups, KH, KW) as (groups, out, in, KH, KW) of the primitive;
 * rotated: as (groups, in, out, KH, KW), turned by half a turn. */
static void spread_weights(float *to, const sal_node *n, const grouping *g, int64_t in_channels, int rotated)
{
    int64_t groups = n->window.groups, in = in_channels / groups, out = n->shape.dim[1] / groups;
    int64_t area = n->window.kernel[0] * n->window.kernel[1];
    for (int64_t o = 0; o < n->shape.dim[1]; o++)
        for (int64_t c = 0; c < in; c++) {
            int64_t k = o / out, sub = k % g->merged;
            int64_t po = sub * out + o % out, pc = sub * in + c;
            const float *w = n->weight + (o * in + c) * area;
            float *v = to + k / g->merged * g->out * g->in * area;
            v += rotated ? (pc * g->out + po) * area : (po * g->in + pc) * area;
            for (int64_t i = 0; i < area; i++)
                v[i] = w[rotated ? area - 1 - i : i];
        }
}

static dnn_conv_shape shape_of(const sal_device *d, const sal_step *s, const grouping *g, const sal_value *in,
                               const sal_value *out)
{
    const sal_window *w = &s->node->window;
    dnn_conv_shape c = {
        .batch = s->batch,
        .groups = g->groups,
        .in_channels = g->in,
        .out_channels = g->out,
        .block = d->kernels->block,
        .source_plain = in->layout == SAL_LAYOUT_PLAIN,
    };
    for (int k = 0; k < 2; k++) {
        c.in[k] = in->shape.dim[2 + k];
        c.out[k] = out->shape.dim[2 + k];
        c.kernel[k] = w->kernel[k];
        c.stride[k] = w->stride[k];
        c.dilation[k] = w->dilation[k];
        c.pad_begin[k] = w->pad_begin[k];
        c.pad_end[k] = w->pad_end[k];
    }
    return c;
}

/* ---- Choosing ----------------------------------------------------------- */

/* On smaller maps, transforming the weights costs more than the products save; with fewer channels,
 * the working memory costs more than the time is worth. */
enum { WINOGRAD_MIN_SIDE = 28, WINOGRAD_MIN_CHANNELS = 64 };

static int library_winograd_fits(const dnn_conv_shape *c)
{
    int fits = !c->backward_data && c->groups == 1 && !c->source_plain && c->in_channels >= WINOGRAD_MIN_CHANNELS &&
               c->out_channels >= WINOGRAD_MIN_CHANNELS;
    for (int k = 0; k < 2; k++)
        fits &= c->kernel[k] == 3 && c->stride[k] == 1 && c->dilation[k] == 1 && c->out[k] >= WINOGRAD_MIN_SIDE;
    return fits;
}

/* oneDNN wants the pictures of a batch without the gaps that round them up to whole cache lines. */
static int has_gaps(const sal_device *d, const sal_value *v)
{
    int64_t channels = v->layout == SAL_LAYOUT_BLOCKED ? cpu_blocks(d, v) * d->kernels->block : v->shape.dim[1];
    return cpu_stride(v) != (size_t)(channels * cpu_pixels(v));
}

/* A picture at a time where there are gaps. */
static void choose_runs(conv_plan *p, const sal_device *d, dnn_conv_shape *c, const sal_value *in, const sal_value *out)
{
    p->runs = has_gaps(d, in) || has_gaps(d, out) ? c->batch : 1;
    c->batch /= p->runs;
}

/* Winograd where it fits and the library has it; our own where weights may take the memory; direct elsewhere, and where
 * ties matter: Winograd rounds by the place in its tile. oneDNN cuts a batch into tiles for Winograd in a way that
 * depends on its size, and with it the last bits; a picture at a time does not, and needs less working memory. */
static sal_status create(conv_plan *p, sal_device *d, dnn_conv_shape *c, const float *weights, const sal_value *to,
                         const sal_value *from)
{
    const int64_t batch = c->batch;
    const int direct = d->exact || p->step->ties;
    if (!direct && library_winograd_fits(c)) {
        dnn_conv_shape single = *c;
        single.winograd = 1;
        single.batch = 1;
        sal_status st = dnn_conv_create(&p->conv, d->dnn, &single, weights, p->bias);
        if (st == SAL_OK)
            p->runs = batch;
        if (st != SAL_ERROR_UNSUPPORTED)
            return st;
    }
    if (!direct && d->many_passes && winograd_fits(d, c))
        return winograd_create(&p->winograd, &p->winograd_weights, &p->winograd_scratch, d, c, weights, p->bias, to,
                               from);
    choose_runs(p, d, c, from, to);
    return dnn_conv_create(&p->conv, d->dnn, c, weights, p->bias);
}

static void copy_if_apart(void *to, const void *from, size_t bytes)
{
    if (to != from)
        memcpy(to, from, bytes);
}

/* The whole batch of a step. addend: where the convolution adds to something; else NULL. */
static sal_status convolve(const sal_device *d, const conv_plan *p, float *to, const float *from, const float *addend,
                           void *scratch)
{
    sal_status st = SAL_OK;
    const sal_value *to_value = &p->values[p->step->output], *from_value = &p->values[p->step->inputs[0]];
    if (p->winograd) {
        winograd_run(d, p->winograd, to, from, addend, scratch);
        return SAL_OK;
    }
    if (addend)
        copy_if_apart(to, addend, to_value->bytes * (size_t)p->step->batch);
    const size_t pictures = (size_t)(p->step->batch / p->runs);
    for (int64_t k = 0; k < p->runs && st == SAL_OK; k++) {
        st = dnn_conv_run(p->conv, to, from, scratch);
        to += pictures * cpu_stride(to_value);
        from += pictures * cpu_stride(from_value);
    }
    return st;
}

static void describe(sal_needs *needs, const conv_plan *p)
{
    if (p->winograd) {
        needs->algorithm = winograd_name(p->winograd);
        needs->weight_bytes = p->winograd_weights;
        needs->scratch_bytes = p->winograd_scratch;
        return;
    }
    needs->algorithm = dnn_conv_implementation(p->conv);
    needs->weight_bytes = dnn_conv_weight_bytes(p->conv);
    needs->scratch_bytes = dnn_conv_scratch_bytes(p->conv);
}

/* ---- Forward ------------------------------------------------------------ */

static sal_status prepare(void **plan, sal_needs *needs, sal_device *d, const sal_step *step, const sal_value *values)
{
    sal_status st = SAL_OK;
    conv_plan *p = NULL;
    float *weights = NULL;
    const sal_node *n = step->node;
    const sal_value *in = &values[step->inputs[0]], *out = &values[step->output];
    TRY(sal_alloc(&p, 1, sizeof *p, "a step"));
    p->step = step;
    p->values = values;
    p->sums = step->input_count > 1;
    grouping g = group(n, d->kernels->block, in->shape.dim[1], in->layout == SAL_LAYOUT_PLAIN);
    dnn_conv_shape c = shape_of(d, step, &g, in, out);
    c.with_sum = p->sums;
    c.activation = n->activation;
    c.with_bias = n->bias != NULL;
    size_t count = (size_t)(g.groups * g.out * g.in * c.kernel[0] * c.kernel[1]);
    TRY(sal_alloc(&weights, count, sizeof *weights, "convolution weights"));
    spread_weights(weights, n, &g, in->shape.dim[1], 0);
    if (n->bias) {
        TRY(sal_alloc(&p->bias, (size_t)(g.groups * g.out), sizeof *p->bias, "bias"));
        memcpy(p->bias, n->bias, n->bias_count * sizeof *p->bias);
    }
    TRY(create(p, d, &c, weights, out, in));
    describe(needs, p);
    *plan = p;
    p = NULL;
done:
    sal_free(weights);
    release(d, p);
    return st;
}

enum { MASK_PIECE = 1 << 15 };

static void make_mask(sal_device *d, const conv_plan *p, const sal_run *r)
{
    const sal_value *out = &p->values[p->step->output], *kept = &p->values[p->step->kept];
    size_t total = cpu_stride(out);
    int64_t pieces = (int64_t)((total + MASK_PIECE - 1) / MASK_PIECE);
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t picture = 0; picture < p->step->batch; picture++)
        for (int64_t k = 0; k < pieces; k++) {
            size_t from = (size_t)k * MASK_PIECE, n = total - from < MASK_PIECE ? total - from : MASK_PIECE;
            cpu_mask(d, (uint8_t *)r->kept + (size_t)picture * kept->bytes + from / 8,
                     (const float *)r->output + (size_t)picture * total + from, n, &p->step->node->activation);
        }
}

static sal_status run(sal_device *d, void *plan, const sal_run *r)
{
    const conv_plan *p = plan;
    sal_status st = convolve(d, p, r->output, r->inputs[0], p->sums ? r->inputs[1] : NULL, r->scratch);
    if (st == SAL_OK && r->kept)
        make_mask(d, p, r);
    return st;
}

/* ---- Backward-data ------------------------------------------------------ */

/* The forward convolution that is this backward-data one; 0: there is none. */
static int rotate(dnn_conv_shape *c)
{
    dnn_conv_shape r = *c;
    for (int k = 0; k < 2; k++) {
        int64_t reach = c->dilation[k] * (c->kernel[k] - 1);
        if (c->stride[k] != 1 || c->pad_begin[k] > reach)
            return 0;
        r.in[k] = c->out[k];
        r.out[k] = c->in[k];
        r.pad_begin[k] = reach - c->pad_begin[k];
        r.pad_end[k] = c->in[k] - 1 + reach - (c->out[k] - 1) - r.pad_begin[k];
        if (r.pad_end[k] < 0)
            return 0;
    }
    r.in_channels = c->out_channels;
    r.out_channels = c->in_channels;
    *c = r;
    return 1;
}

static sal_status prepare_backward(void **plan, sal_needs *needs, sal_device *d, const sal_step *step,
                                   const sal_value *values)
{
    const sal_value *dx = &values[step->output], *dy = &values[step->inputs[0]];
    const sal_node *n = step->node;
    conv_plan *p = NULL;
    float *weights = NULL;
    sal_status st = SAL_OK;
    TRY(sal_alloc(&p, 1, sizeof *p, "a step"));
    p->step = step;
    p->values = values;
    grouping g = group(n, d->kernels->block, dx->shape.dim[1], 0);
    dnn_conv_shape c = shape_of(d, step, &g, dx, dy);
    int rotated = rotate(&c);
    c.backward_data = !rotated;
    c.with_sum = p->sums = rotated && step->addend >= 0;
    size_t count = (size_t)(g.groups * g.out * g.in * c.kernel[0] * c.kernel[1]);
    TRY(sal_alloc(&weights, count, sizeof *weights, "convolution weights"));
    spread_weights(weights, n, &g, dx->shape.dim[1], rotated);
    TRY(create(p, d, &c, weights, dx, dy));
    describe(needs, p);
    if (step->addend >= 0 && !p->sums) {
        p->result_offset = (needs->scratch_bytes + 63) / 64 * 64;
        needs->scratch_bytes = p->result_offset + dx->bytes * (size_t)step->batch;
    }
    *plan = p;
    p = NULL;
done:
    sal_free(weights);
    release(d, p);
    return st;
}

static sal_status run_backward(sal_device *d, void *plan, const sal_run *r)
{
    const conv_plan *p = plan;
    const float *addend = p->step->addend >= 0 ? r->inputs[p->step->input_count - 1] : NULL;
    if (!addend || p->sums)
        return convolve(d, p, r->output, r->inputs[0], addend, r->scratch);
    float *result = (float *)((unsigned char *)r->scratch + p->result_offset), *out = r->output;
    const size_t total = cpu_stride(&p->values[p->step->output]) * (size_t)p->step->batch;
    sal_status st = convolve(d, p, result, r->inputs[0], NULL, r->scratch);
    int64_t pieces = (int64_t)((total + MASK_PIECE - 1) / MASK_PIECE);
#pragma omp parallel for num_threads(d->threads)
    for (int64_t k = 0; k < pieces; k++) {
        size_t from = (size_t)k * MASK_PIECE, n = total - from < MASK_PIECE ? total - from : MASK_PIECE;
        d->kernels->add(out + from, result + from, addend + from, n);
    }
    return st;
}

/* ---- Rows --------------------------------------------------------------- */

static const sal_step_row wide_backward = {prepare_backward, run_backward, release};

/* A convolution of the picture has its own backward step. */
static sal_status choose_backward(void **plan, sal_needs *needs, sal_device *d, const sal_step *step,
                                  const sal_value *values)
{
    const int first = values[step->output].layout == SAL_LAYOUT_PLAIN;
    return cpu_choice_prepare(plan, first ? &cpu_row_first_conv_backward : &wide_backward, needs, d, step, values);
}

const sal_step_row cpu_row_conv = {prepare, run, release};
const sal_step_row cpu_row_conv_backward = {choose_backward, cpu_choice_run, cpu_choice_release};
