/* The layers with windows or matrices. One loop serves both directions: whoever weighs an element forward
 * sends the gradient back with the same weight. */
#include "unit/naive_graph.h"

#include <math.h>

void sal_naive_conv(const sal_naive *run, int node, double *y, const double *dy, int backward)
{
    const sal_node *n = &run->graph->nodes[node];
    const sal_window *w = &n->window;
    const int64_t *in = run->graph->nodes[n->inputs[0]].shape.dim, *out = n->shape.dim;
    const double *x = run->value[n->inputs[0]];
    double *dx = backward ? run->gradient[n->inputs[0]] : NULL;
    const int64_t per_group = in[1] / w->groups;
    for (int64_t o = 0; o < out[1]; o++) {
        const int64_t first = o / (out[1] / w->groups) * per_group; /* channel of the group */
        for (int64_t py = 0; py < out[2]; py++)
            for (int64_t px = 0; px < out[3]; px++) {
                int64_t at = (o * out[2] + py) * out[3] + px;
                double sum = n->bias ? (double)n->bias[o] : 0.0;
                for (int64_t c = 0; c < per_group; c++)
                    for (int64_t ky = 0; ky < w->kernel[0]; ky++) {
                        int64_t iy = py * w->stride[0] - w->pad_begin[0] + ky * w->dilation[0];
                        if (iy < 0 || iy >= in[2])
                            continue;
                        const int64_t row = ((first + c) * in[2] + iy) * in[3];
                        const float *weights = n->weight + ((o * per_group + c) * w->kernel[0] + ky) * w->kernel[1];
                        for (int64_t kx = 0; kx < w->kernel[1]; kx++) {
                            int64_t ix = px * w->stride[1] - w->pad_begin[1] + kx * w->dilation[1];
                            if (ix < 0 || ix >= in[3])
                                continue;
                            if (backward)
                                dx[row + ix] += (double)weights[kx] * dy[at];
                            else
                                sum += (double)weights[kx] * x[row + ix];
                        }
                    }
                if (!backward)
                    y[at] = sum;
            }
    }
}

void sal_naive_dense(const sal_naive *run, int node, double *y, const double *dy, int backward)
{
    const sal_node *n = &run->graph->nodes[node];
    const sal_shape *shape = &run->graph->nodes[n->inputs[0]].shape;
    const double *x = run->value[n->inputs[0]];
    double *dx = backward ? run->gradient[n->inputs[0]] : NULL;
    int64_t features = shape->dim[shape->rank - 1], outputs = n->shape.dim[shape->rank - 1];
    int64_t rows = sal_shape_elements(shape) / features;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < outputs; o++) {
            double sum = n->bias ? (double)n->bias[o] : 0.0;
            for (int64_t f = 0; f < features; f++) {
                double weight = (double)n->weight[o * features + f];
                if (backward)
                    dx[r * features + f] += weight * dy[r * outputs + o];
                else
                    sum += weight * x[r * features + f];
            }
            if (!backward)
                y[r * outputs + o] = sum;
        }
}

/* One window: its largest element (the first of equals) or its mean. */
static void pool_window(const sal_node *n, const int64_t *in, const double *x, double *dx, int64_t channel, int64_t py,
                        int64_t px, double *y, const double *dy)
{
    const sal_window *w = &n->window;
    int64_t taps = w->kernel[0] * w->kernel[1], best = -1, real = 0;
    double sum = 0.0;
    for (int pass = 0; pass < (dx ? 2 : 1); pass++) {
        double share = pass == 1 ? *dy / (double)(w->count_padding ? taps : real ? real : 1) : 0.0;
        for (int64_t t = 0; t < taps; t++) {
            int64_t iy = py * w->stride[0] - w->pad_begin[0] + t / w->kernel[1] * w->dilation[0];
            int64_t ix = px * w->stride[1] - w->pad_begin[1] + t % w->kernel[1] * w->dilation[1];
            if (iy < 0 || iy >= in[2] || ix < 0 || ix >= in[3])
                continue;
            int64_t from = (channel * in[2] + iy) * in[3] + ix;
            if (pass == 1 && n->op == SAL_OP_AVG_POOL)
                dx[from] += share;
            if (pass == 1)
                continue;
            if (best < 0 || x[from] > x[best])
                best = from;
            sum += x[from];
            real++;
        }
    }
    if (dx && n->op == SAL_OP_MAX_POOL)
        dx[best] += *dy;
    if (!dx)
        *y = n->op == SAL_OP_MAX_POOL ? x[best] : sum / (double)(w->count_padding ? taps : real);
}

void sal_naive_pool(const sal_naive *run, int node, int backward)
{
    const sal_node *n = &run->graph->nodes[node];
    const int64_t *in = run->graph->nodes[n->inputs[0]].shape.dim, *out = n->shape.dim;
    for (int64_t at = 0; at < out[1] * out[2] * out[3]; at++)
        pool_window(n, in, run->value[n->inputs[0]], backward ? run->gradient[n->inputs[0]] : NULL,
                    at / (out[2] * out[3]), at / out[3] % out[2], at % out[3], &run->value[node][at],
                    backward ? &run->gradient[node][at] : NULL);
}
