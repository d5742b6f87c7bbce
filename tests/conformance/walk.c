/* Linear ops as pairs of elements with a weight. One loop serves both directions: whoever
 * weighs an element forward sends the gradient back with the same weight. */
#include "conformance/reference.h"

#include <math.h>
#include <string.h>

static void touch(walk *w, int64_t out, int64_t in, double weight)
{
    int64_t to = w->backward ? in : out, from = w->backward ? out : in;
    double term = weight * w->from[from];
    w->sum[to] += term;
    w->magnitude[to] += fabs(term);
    w->terms[to] += 1.0;
}

static const sal_shape *input_shape(const walk *w)
{
    return &w->r->graph->nodes[w->r->node->inputs[w->input]].shape;
}

/* Element of the input under tap (ky, kx) of the window of output pixel (py, px), or -1. */
static int64_t under(const sal_window *v, const int64_t *in, int64_t channel, int64_t py, int64_t px, int64_t ky,
                     int64_t kx)
{
    int64_t y = py * v->stride[0] - v->pad_begin[0] + ky * v->dilation[0];
    int64_t x = px * v->stride[1] - v->pad_begin[1] + kx * v->dilation[1];
    return y < 0 || y >= in[2] || x < 0 || x >= in[3] ? -1 : (channel * in[2] + y) * in[3] + x;
}

/* As touch(), of `count` pairs: elements of the output in a row, and every stride-th of the input. */
static void touch_row(walk *w, int64_t out, int64_t in, int64_t count, int64_t stride, double weight)
{
    const int64_t to = w->backward ? in : out, step = w->backward ? stride : 1;
    const int64_t other = w->backward ? out : in, other_step = w->backward ? 1 : stride;
    const double *restrict from = w->from + other;
    double *restrict sum = w->sum + to, *restrict magnitude = w->magnitude + to, *restrict terms = w->terms + to;
    for (int64_t i = 0; i < count; i++) {
        const double term = weight * from[i * other_step];
        sum[i * step] += term;
        magnitude[i * step] += fabs(term);
        terms[i * step] += 1.0;
    }
}

/* Under column kx of the window, output columns [*begin, *end) have one of the input's; *x: that of the first. */
static void columns_under(int64_t *begin, int64_t *end, int64_t *x, const sal_window *v, int64_t in, int64_t out,
                          int64_t kx)
{
    const int64_t stride = v->stride[1], offset = kx * v->dilation[1] - v->pad_begin[1];
    *begin = offset < 0 ? (-offset + stride - 1) / stride : 0;
    *end = offset < in ? (in - 1 - offset) / stride + 1 : 0;
    if (*end > out)
        *end = out;
    *x = *begin * stride + offset;
}

/* Window element by window element: one output after the other would wait for its own last addition. */
static void walk_conv(walk *w)
{
    const sal_node *n = w->r->node;
    const sal_window *v = &n->window;
    const int64_t *in = input_shape(w)->dim, *out = n->shape.dim;
    const int64_t share = in[1] / v->groups;
    const float *weight = n->weight;
    for (int64_t o = 0; o < out[1]; o++)
        for (int64_t c = 0; c < share; c++)
            for (int64_t ky = 0; ky < v->kernel[0]; ky++)
                for (int64_t kx = 0; kx < v->kernel[1]; kx++, weight++) {
                    const int64_t channel = o / (out[1] / v->groups) * share + c;
                    int64_t begin, end, x;
                    columns_under(&begin, &end, &x, v, in[3], out[3], kx);
                    for (int64_t py = 0; py < out[2]; py++) {
                        const int64_t y = py * v->stride[0] - v->pad_begin[0] + ky * v->dilation[0];
                        if (y >= 0 && y < in[2] && begin < end)
                            touch_row(w, (o * out[2] + py) * out[3] + begin, (channel * in[2] + y) * in[3] + x,
                                      end - begin, v->stride[1], (double)*weight);
                    }
                }
}

static void walk_dense(walk *w)
{
    const sal_node *n = w->r->node;
    const int last = n->shape.rank - 1;
    int64_t features = input_shape(w)->dim[last], outputs = n->shape.dim[last];
    for (int64_t at = 0; at < sal_shape_elements(&n->shape); at++)
        for (int64_t i = 0; i < features; i++)
            touch(w, at, at / outputs * features + i, (double)n->weight[at % outputs * features + i]);
}

/* A max pool passes its largest element on, the first of equals; an average its share of all. */
static void walk_pool(walk *w)
{
    const sal_node *n = w->r->node;
    const int64_t *in = input_shape(w)->dim, *out = n->shape.dim;
    int64_t taps = n->window.kernel[0] * n->window.kernel[1];
    const double *x = w->r->x[0];
    for (int64_t at = 0; at < out[1] * out[2] * out[3]; at++) {
        int64_t best = -1, real = 0, c = at / (out[2] * out[3]), py = at / out[3] % out[2], px = at % out[3];
        for (int64_t t = 0; t < taps; t++) {
            int64_t from = under(&n->window, in, c, py, px, t / n->window.kernel[1], t % n->window.kernel[1]);
            real += from >= 0;
            if (from >= 0 && (best < 0 || x[from] > x[best]))
                best = from;
        }
        if (n->op == SAL_OP_MAX_POOL)
            touch(w, at, best, 1.0);
        for (int64_t t = 0; t < taps && n->op == SAL_OP_AVG_POOL; t++) {
            int64_t from = under(&n->window, in, c, py, px, t / n->window.kernel[1], t % n->window.kernel[1]);
            if (from >= 0)
                touch(w, at, from, 1.0 / (double)(n->window.count_padding ? taps : real));
        }
    }
}

static void walk_mean(walk *w)
{
    const int64_t *in = input_shape(w)->dim;
    int64_t area = in[2] * in[3];
    for (int64_t i = 0; i < in[1] * area; i++)
        touch(w, i / area, i, 1.0 / (double)area);
}

/* The elements of a reduction; of a maximum those that equal it, in equal shares. */
static void walk_reduce(walk *w)
{
    const sal_node *n = w->r->node;
    const sal_shape *in = input_shape(w);
    const double *x = w->r->x[0];
    int64_t count = 1, inner = 1;
    for (int j = n->axis; j < in->rank; j++)
        *(j < n->axis + n->axis_count ? &count : &inner) *= in->dim[j];
    for (int64_t at = 0; at < sal_shape_elements(&n->shape); at++) {
        const int64_t first = at / inner * count * inner + at % inner;
        double largest = x[first], equals = 0.0;
        for (int64_t k = 0; k < count; k++)
            largest = fmax(largest, x[first + k * inner]);
        for (int64_t k = 0; k < count; k++)
            equals += x[first + k * inner] == largest;
        for (int64_t k = 0; k < count; k++)
            if (n->reduction == SAL_REDUCTION_SUM)
                touch(w, at, first + k * inner, 1.0);
            else if (n->reduction == SAL_REDUCTION_MEAN)
                touch(w, at, first + k * inner, 1.0 / (double)count);
            else if (x[first + k * inner] == largest)
                touch(w, at, first + k * inner, 1.0 / equals);
    }
}

/* Element (i, j) of matrix m of an operand, which lies with its axes swapped where it is transposed. */
static int64_t element_of(const sal_shape *s, int64_t m, int transposed, int64_t i, int64_t j)
{
    const int64_t rows = s->dim[s->rank - 2], columns = s->dim[s->rank - 1];
    return (m * rows + (transposed ? j : i)) * columns + (transposed ? i : j);
}

/* Linear in one operand, weighed by the other. */
static void walk_matmul(walk *w)
{
    const sal_node *n = w->r->node;
    const sal_shape *a = &w->r->graph->nodes[n->inputs[0]].shape, *b = &w->r->graph->nodes[n->inputs[1]].shape;
    const int64_t rows = n->shape.dim[n->shape.rank - 2], columns = n->shape.dim[n->shape.rank - 1];
    const int64_t depth = a->dim[a->rank - (n->transpose[0] ? 2 : 1)];
    for (int64_t at = 0; at < sal_shape_elements(&n->shape); at++)
        for (int64_t k = 0; k < depth; k++) {
            const int64_t m = at / (rows * columns);
            const int64_t x = element_of(a, m, n->transpose[0], at / columns % rows, k);
            const int64_t y = element_of(b, m, n->transpose[1], k, at % columns);
            touch(w, at, w->input ? y : x, (double)n->scale * w->r->x[1 - w->input][w->input ? x : y]);
        }
}

static void walk_gather(walk *w)
{
    const sal_node *n = w->r->node;
    const int64_t extent = input_shape(w)->dim[n->axis], count = n->shape.dim[n->axis];
    int64_t inner = 1;
    for (int j = n->axis + 1; j < n->shape.rank; j++)
        inner *= n->shape.dim[j];
    for (int64_t at = 0; at < sal_shape_elements(&n->shape); at++)
        for (int64_t t = 0; t < n->taps; t++) {
            const int64_t k = at / inner % count * n->taps + t;
            touch(w, at, (at / inner / count * extent + n->index[k]) * inner + at % inner,
                  n->weight ? (double)n->weight[k] : 1.0);
        }
}

/* Coordinate along axis j of the input that element `index` of the output comes from. */
static int64_t coordinate(const walk *w, const int64_t *index, int j, int64_t first)
{
    const sal_node *n = w->r->node;
    int64_t extent = input_shape(w)->dim[j], i = index[j];
    switch (n->op) {
    case SAL_OP_CONCAT: return j == n->axis ? i - first : i;
    case SAL_OP_SLICE: return j == n->axis ? n->start + i * n->step : i;
    case SAL_OP_PAD: return j >= 2 ? i - n->window.pad_begin[j - 2] : i;
    case SAL_OP_SHUFFLE: return j == 1 ? i % n->groups * (extent / n->groups) + i / n->groups : i;
    case SAL_OP_TRANSPOSE:
        for (int k = 0; k < n->shape.rank; k++)
            if (n->permutation[k] == j)
                return index[k];
        return -1;
    default: return extent == 1 ? 0 : i; /* add, mul and expand */
    }
}

static void walk_moved(walk *w)
{
    const sal_node *n = w->r->node;
    const sal_shape *from = input_shape(w);
    int64_t first = 0, index[SAL_MAX_RANK] = {0};
    for (int k = 0; k < w->input && n->op == SAL_OP_CONCAT; k++)
        first += w->r->graph->nodes[n->inputs[k]].shape.dim[n->axis];
    for (int64_t at = 0; at < sal_shape_elements(&n->shape); at++) {
        int64_t rest = at, in = 0;
        for (int j = n->shape.rank - 1; j >= 0; j--) {
            index[j] = rest % n->shape.dim[j];
            rest /= n->shape.dim[j];
        }
        for (int j = 0; j < from->rank && in >= 0; j++) {
            int64_t c = coordinate(w, index, j, first);
            in = c >= 0 && c < from->dim[j] ? in * from->dim[j] + c : -1;
        }
        if (in < 0)
            continue;
        double weight = 1.0;
        if (n->op == SAL_OP_MUL) {
            /* The other operand is of the output's shape, or one value per channel. */
            const sal_shape *other = &w->r->graph->nodes[n->inputs[1 - w->input]].shape;
            weight = w->r->x[1 - w->input][sal_shape_equal(other, &n->shape) ? at : index[1]];
        }
        touch(w, at, in, weight);
    }
}

static void walk_straight(walk *w)
{
    const sal_node *n = w->r->node;
    int64_t inner = 1;
    for (int j = n->axis + 1; n->op == SAL_OP_AFFINE && j < n->shape.rank; j++)
        inner *= n->shape.dim[j];
    for (int64_t i = 0; i < sal_shape_elements(&n->shape); i++) {
        double weight = 1.0;
        if (n->op == SAL_OP_AFFINE)
            weight = (double)n->weight[n->weight_count == 1 ? 0 : i / inner % n->shape.dim[n->axis]];
        touch(w, i, i, weight);
    }
}

void walk_linear(walk *w)
{
    switch (w->r->node->op) {
    case SAL_OP_CONV: walk_conv(w); break;
    case SAL_OP_DENSE: walk_dense(w); break;
    case SAL_OP_MAX_POOL:
    case SAL_OP_AVG_POOL: walk_pool(w); break;
    case SAL_OP_REDUCE_MEAN: walk_mean(w); break;
    case SAL_OP_REDUCE: walk_reduce(w); break;
    case SAL_OP_MATMUL: walk_matmul(w); break;
    case SAL_OP_GATHER: walk_gather(w); break;
    case SAL_OP_AFFINE:
    case SAL_OP_RESHAPE: walk_straight(w); break;
    default: walk_moved(w); break;
    }
}
