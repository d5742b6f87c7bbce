/* How activations send the gradient back under a rule, and how near inputs are to their edges. */
#include "unit/naive_graph.h"

#include <math.h>

double sal_naive_back(const sal_naive *run, const sal_activation *activation, double x, double dy)
{
    double d;
    sal_naive_activation(&d, activation, x);
    int bit = sal_activation_keep(activation->kind) == SAL_KEEP_SIGN;
    double sign = bit ? (d == 1.0 ? 1.0 : -1.0) : x;
    if (activation->kind == SAL_ACT_NONE)
        return dy;
    if (sal_activation_is_arithmetic(activation->kind))
        return dy * d;
    switch (run->rule) {
    case SAL_RULE_GUIDED: return dy > 0.0 && sign > 0.0 ? dy * d : 0.0;
    case SAL_RULE_DECONVNET: return dy > 0.0 ? dy : 0.0;
    case SAL_RULE_RECTIFIED: return dy * sign > 0.0 ? dy * d : 0.0;
    default: return dy * d;
    }
}

/* Distance of x to where the derivative of the activation jumps. */
static double to_edge(const sal_activation *a, double x)
{
    switch (a->kind) {
    case SAL_ACT_ABS:
    case SAL_ACT_SIGN:
    case SAL_ACT_RELU:
    case SAL_ACT_LEAKY_RELU: return fabs(x);
    case SAL_ACT_CLIP: return fmin(fabs(x - (double)a->alpha), fabs(x - (double)a->beta));
    case SAL_ACT_HARD_SIGMOID: x = (double)a->alpha * x + (double)a->beta; return fmin(fabs(x), fabs(x - 1.0));
    case SAL_ACT_HARD_SWISH: return fabs(x + 3.0);
    case SAL_ACT_THRESHOLD: return fabs(x - (double)a->alpha);
    default: return INFINITY;
    }
}

/* Between the largest of the elements under a window and the next smaller one: equals are so in floats as well. */
static double gap_of_window(const sal_naive *run, const sal_node *n, int64_t at)
{
    const int64_t *in = run->graph->nodes[n->inputs[0]].shape.dim, *out = n->shape.dim;
    const sal_window *w = &n->window;
    const double *x = run->value[n->inputs[0]] + at / (out[2] * out[3]) * in[2] * in[3];
    double first = -INFINITY, second = -INFINITY;
    for (int64_t t = 0; t < w->kernel[0] * w->kernel[1]; t++) {
        int64_t iy = at / out[3] % out[2] * w->stride[0] - w->pad_begin[0] + t / w->kernel[1] * w->dilation[0];
        int64_t ix = at % out[3] * w->stride[1] - w->pad_begin[1] + t % w->kernel[1] * w->dilation[1];
        if (iy < 0 || iy >= in[2] || ix < 0 || ix >= in[3])
            continue;
        double v = x[iy * in[3] + ix];
        if (v != first)
            second = v > first ? first : fmax(second, v);
        first = fmax(first, v);
    }
    return first - second;
}

double sal_naive_margin(const sal_naive *run)
{
    double margin = INFINITY;
    for (size_t i = 0; i < run->graph->count; i++) {
        const sal_node *n = &run->graph->nodes[i];
        const int64_t count = sal_shape_elements(&n->shape);
        const double *x = n->op == SAL_OP_ACTIVATION ? run->value[n->inputs[0]] : run->before[i];
        double largest = 1e-30, nearest = INFINITY;
        if (n->activation.kind == SAL_ACT_NONE && n->op != SAL_OP_MAX_POOL)
            continue;
        for (int64_t k = 0; k < count; k++) {
            int pool = n->op == SAL_OP_MAX_POOL;
            double gap = pool ? gap_of_window(run, n, k) : to_edge(&n->activation, x[k]);
            if (!pool && run->rule != SAL_RULE_GRADIENT)
                gap = fmin(gap, fabs(x[k]));
            largest = fmax(largest, fabs(pool ? run->value[i][k] : x[k]));
            /* What a relu or clip cut off lies on the edge exactly, in float as well. */
            nearest = gap > 0.0 ? fmin(nearest, gap) : nearest;
        }
        margin = fmin(margin, nearest / largest);
    }
    return margin;
}
