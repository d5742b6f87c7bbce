#include "conformance/reference.h"

#include "unit/naive_graph.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Half a unit in the last place of a float near 1; what n roundings may add up to grows like
 * their square root, a few more for the order of additions and for vector code's own. */
static const double roundoff = 5.97e-8;

static double sum_tolerance(const reference *r, double magnitude, double terms)
{
    return r->accuracy * roundoff * (6.0 + 2.0 * sqrt(terms)) * magnitude + 1e-37;
}

/* Elementary functions in float: a few units in the last place of the result, near zero of the argument. */
static double function_tolerance(const reference *r, double value)
{
    return (2e-6 + 4.0 * r->storage) * fabs(value) + 3e-7;
}

/* A value that is stored, and parts of its sum that may have been stored on the way. */
static double storage_tolerance(const reference *r, double value, double parts)
{
    const double smallest = 1e-7; /* half precision has no finer steps near zero */
    return r->storage > 0.0 ? r->storage * (2.0 * fabs(value) + parts) + smallest : 0.0;
}

/* ---- Forward ------------------------------------------------------------ */

static double bias_of(const sal_node *n, int64_t at)
{
    const int axis = n->op == SAL_OP_CONV ? 1 : n->op == SAL_OP_DENSE ? n->shape.rank - 1 : n->axis;
    int64_t inner = 1;
    if (!n->bias)
        return 0.0;
    for (int j = axis + 1; j < n->shape.rank; j++)
        inner *= n->shape.dim[j];
    return (double)n->bias[n->bias_count == 1 ? 0 : at / inner % n->shape.dim[axis]];
}

static int only_moves(const sal_node *n)
{
    const sal_op op = n->op;
    if (op == SAL_OP_GATHER)
        return !n->weight;
    if (op == SAL_OP_REDUCE)
        return n->reduction == SAL_REDUCTION_MAX;
    return op == SAL_OP_EXPAND || op == SAL_OP_CONCAT || op == SAL_OP_SLICE || op == SAL_OP_MAX_POOL ||
           op == SAL_OP_RESHAPE || op == SAL_OP_TRANSPOSE || op == SAL_OP_SHUFFLE || op == SAL_OP_PAD;
}

static void forward_linear(double *y, double *tolerance, const reference *r)
{
    const sal_node *n = r->node;
    size_t count = (size_t)sal_shape_elements(&n->shape);
    double *magnitude = calloc(count, sizeof *magnitude), *terms = calloc(count, sizeof *terms);
    memset(y, 0, count * sizeof *y);
    /* A residual is added below; a product is linear in one operand. */
    const int inputs = n->op == SAL_OP_CONV || n->op == SAL_OP_MATMUL ? 1 : n->input_count;
    for (int k = 0; k < inputs; k++)
        walk_linear(&(walk){r, k, 0, r->x[k], y, magnitude, terms});
    for (size_t i = 0; i < count; i++) {
        if (n->op == SAL_OP_REDUCE && n->reduction == SAL_REDUCTION_MAX)
            y[i] = (double)(float)y[i]; /* the shares of equals may add up to a digit less */
        double bias = bias_of(n, (int64_t)i);
        double residual = n->op == SAL_OP_CONV && n->input_count == 2 ? r->x[1][i] : 0.0;
        if (n->op == SAL_OP_PAD && terms[i] == 0.0)
            bias = (double)n->value;
        y[i] += bias + residual;
        magnitude[i] += fabs(bias) + fabs(residual);
        tolerance[i] = only_moves(n) ? 0.0
                                     : sum_tolerance(r, magnitude[i], terms[i]) +
                                           storage_tolerance(r, y[i], fabs(bias) + fabs(residual));
    }
    free(magnitude);
    free(terms);
}

static void forward_product(double *y, double *tolerance, const reference *r)
{
    const sal_shape *b = &r->graph->nodes[r->node->inputs[1]].shape;
    int64_t count = sal_shape_elements(&r->node->shape), spread = count / sal_shape_elements(b);
    for (int64_t i = 0; i < count; i++) {
        y[i] = r->x[0][i] * r->x[1][i / spread];
        tolerance[i] = 2.0 * roundoff * fabs(y[i]) + 1e-37 + storage_tolerance(r, y[i], 0.0);
    }
}

typedef struct line {
    int64_t extent, stride, first;
} line;

/* Softmax and layer norm work on lines along an axis. */
static line line_of(const sal_node *n, int64_t k)
{
    line l = {.extent = n->shape.dim[n->axis], .stride = 1};
    for (int j = n->axis + 1; j < n->shape.rank; j++)
        l.stride *= n->shape.dim[j];
    l.first = k / l.stride * l.extent * l.stride + k % l.stride;
    return l;
}

static void moments(double *mean, double *scale, const double *x, const line *l, double epsilon)
{
    double variance = 0.0;
    *mean = 0.0;
    for (int64_t i = 0; i < l->extent; i++)
        *mean += x[l->first + i * l->stride] / (double)l->extent;
    for (int64_t i = 0; i < l->extent; i++)
        variance += pow(x[l->first + i * l->stride] - *mean, 2.0) / (double)l->extent;
    *scale = 1.0 / sqrt(variance + epsilon);
}

static void forward_line(double *y, double *tolerance, const reference *r, const line *l)
{
    const sal_node *n = r->node;
    double mean, scale, sum = 0.0;
    moments(&mean, &scale, r->x[0], l, (double)n->epsilon);
    for (int64_t i = 0; i < l->extent; i++)
        sum += exp(r->x[0][l->first + i * l->stride]);
    for (int64_t i = 0; i < l->extent; i++) {
        int64_t at = l->first + i * l->stride;
        double centred = (r->x[0][at] - mean) * scale;
        if (n->op == SAL_OP_SOFTMAX)
            y[at] = exp(r->x[0][at]) / sum;
        else
            y[at] = centred * (double)n->weight[i] + (n->bias ? (double)n->bias[i] : 0.0);
        tolerance[at] = function_tolerance(r, n->op == SAL_OP_SOFTMAX ? y[at] : fabs(y[at]) + fabs(centred));
    }
}

static void forward_plain(double *y, double *tolerance, const reference *r)
{
    const sal_node *n = r->node;
    int64_t count = sal_shape_elements(&n->shape);
    switch (n->op) {
    case SAL_OP_MUL: forward_product(y, tolerance, r); break;
    case SAL_OP_CONSTANT:
        for (int64_t i = 0; i < count; i++)
            y[i] = (double)n->weight[i], tolerance[i] = 0.0;
        break;
    case SAL_OP_ACTIVATION:
        memcpy(y, r->x[0], (size_t)count * sizeof *y);
        memset(tolerance, 0, (size_t)count * sizeof *tolerance);
        break;
    case SAL_OP_SOFTMAX:
    case SAL_OP_LAYER_NORM:
        for (int64_t k = 0; k < count / n->shape.dim[n->axis]; k++) {
            line l = line_of(n, k);
            forward_line(y, tolerance, r, &l);
        }
        break;
    default: forward_linear(y, tolerance, r); break;
    }
}

void reference_forward(const forward_answer *out, const reference *r)
{
    const sal_activation *a = &r->node->activation;
    size_t count = (size_t)sal_shape_elements(&r->node->shape);
    int exact = sal_activation_keep(a->kind) == SAL_KEEP_SIGN && a->kind != SAL_ACT_LEAKY_RELU;
    forward_plain(out->y, out->tolerance, r);
    if (out->before) {
        memcpy(out->before, out->y, count * sizeof *out->y);
        memcpy(out->before_tolerance, out->tolerance, count * sizeof *out->tolerance);
    }
    for (size_t i = 0; i < count && a->kind != SAL_ACT_NONE; i++) {
        /* No slope exceeds 1.13 (gelu, silu), save those that alpha sets. */
        double slope = 1.2 + fabs((double)a->alpha);
        out->y[i] = sal_naive_activation(NULL, a, out->y[i]);
        if (a->kind == SAL_ACT_EXP)
            slope = out->y[i];
        out->tolerance[i] = out->tolerance[i] * slope + (exact ? 0.0 : function_tolerance(r, out->y[i]));
    }
}

/* ---- Backward ----------------------------------------------------------- */

static double under_rule(double dy, double derivative, int positive, int rule)
{
    switch (rule) {
    case SAL_RULE_GUIDED: return dy > 0.0 && positive ? dy * derivative : 0.0;
    case SAL_RULE_DECONVNET: return dy > 0.0 ? dy : 0.0;
    case SAL_RULE_RECTIFIED: return (positive ? dy : -dy) > 0.0 ? dy * derivative : 0.0;
    default: return dy * derivative;
    }
}

/* Where one bit is kept it stands for "the input is positive" as well; elsewhere zero is neither. */
static double through_activation(double *tolerance, const reference *r, const backward_question *q, int64_t i)
{
    const sal_activation *a = &r->node->activation;
    double x = q->before[i], around = q->before_tolerance[i], d, low, high;
    int bit = sal_activation_keep(a->kind) == SAL_KEEP_SIGN;
    sal_naive_activation(&d, a, x);
    sal_naive_activation(&low, a, x - around);
    sal_naive_activation(&high, a, x + around);
    int positive = bit && a->kind == SAL_ACT_CLIP ? d > 0.0 : x > 0.0;
    double dx = under_rule(q->dy[i], d, positive, q->rule);
    if (!bit && x == 0.0 && q->rule == SAL_RULE_RECTIFIED)
        dx = 0.0;
    *tolerance = bit ? 2.0 * roundoff * fabs(dx) + storage_tolerance(r, dx, 0.0)
                     : function_tolerance(r, fabs(q->dy[i])) * (1.0 + fabs((double)a->alpha)) * fmax(1.0, fabs(d));
    if (bit && low != high)
        *tolerance = INFINITY; /* rounding decides on which side of the edge this one lies */
    if (sal_activation_keep(a->kind) == SAL_KEEP_OUTPUT && fabs(x) < 4.0 * r->storage)
        *tolerance = INFINITY; /* and on which side of zero, where only the rounded output is known */
    return dx;
}

static void backward_line(double *dx, double *tolerance, const reference *r, const double *dy, const line *l)
{
    const sal_node *n = r->node;
    double mean, scale, total = 0.0, sum = 0.0, dot = 0.0, largest = 0.0;
    const double *x = r->x[0] + l->first;
    moments(&mean, &scale, r->x[0], l, (double)n->epsilon);
    for (int64_t i = 0; i < l->extent; i++)
        total += exp(x[i * l->stride]);
    for (int64_t i = 0; i < l->extent; i++) {
        double g = dy[l->first + i * l->stride], w = n->weight ? (double)n->weight[i] : 1.0;
        double y = n->op == SAL_OP_SOFTMAX ? exp(x[i * l->stride]) / total : (x[i * l->stride] - mean) * scale;
        sum += g * w / (double)l->extent;
        dot += g * w * y / (n->op == SAL_OP_SOFTMAX ? 1.0 : (double)l->extent);
        largest = fmax(largest, fabs(g * w));
    }
    for (int64_t i = 0; i < l->extent; i++) {
        int64_t at = l->first + i * l->stride;
        double g = dy[at], w = n->weight ? (double)n->weight[i] : 1.0;
        double y = exp(x[i * l->stride]) / total, centred = (x[i * l->stride] - mean) * scale;
        if (n->op == SAL_OP_SOFTMAX)
            dx[at] = y * (g - dot);
        else
            dx[at] = scale * (g * w - sum - centred * dot);
        tolerance[at] = n->op == SAL_OP_SOFTMAX ? function_tolerance(r, y * largest)
                                                : function_tolerance(r, scale * largest * (1.0 + fabs(centred)));
    }
}

static void backward_linear(double *dx, double *tolerance, const reference *r, const backward_question *q)
{
    size_t count = (size_t)sal_shape_elements(&r->graph->nodes[r->node->inputs[q->operand]].shape);
    double *magnitude = calloc(count, sizeof *magnitude), *terms = calloc(count, sizeof *terms);
    memset(dx, 0, count * sizeof *dx);
    walk_linear(&(walk){r, q->operand, 1, q->dy, dx, magnitude, terms});
    for (size_t i = 0; i < count; i++)
        tolerance[i] = sum_tolerance(r, magnitude[i] + (q->addend ? fabs(q->addend[i]) : 0.0), terms[i]) +
                       storage_tolerance(r, dx[i], 0.0);
    free(magnitude);
    free(terms);
}

void reference_backward(double *dx, double *tolerance, const reference *r, const backward_question *q)
{
    const sal_node *n = r->node;
    const sal_shape *shape = q->activation ? &n->shape : &r->graph->nodes[n->inputs[q->operand]].shape;
    int64_t count = sal_shape_elements(shape);
    if (q->activation) {
        for (int64_t i = 0; i < count; i++)
            dx[i] = through_activation(&tolerance[i], r, q, i);
    } else if (n->op == SAL_OP_SOFTMAX || n->op == SAL_OP_LAYER_NORM) {
        for (int64_t k = 0; k < count / n->shape.dim[n->axis]; k++) {
            line l = line_of(n, k);
            backward_line(dx, tolerance, r, q->dy, &l);
        }
    } else {
        backward_linear(dx, tolerance, r, q);
    }
    for (int64_t i = 0; i < count && q->addend; i++) {
        tolerance[i] +=
            roundoff * 2.0 * (fabs(dx[i]) + fabs(q->addend[i])) + storage_tolerance(r, dx[i] + q->addend[i], 0.0);
        dx[i] += q->addend[i];
    }
}
