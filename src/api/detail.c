/* One line of text per layer. */
#include "api/model.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct line {
    char *text;
    size_t size;
    size_t used;
} line;

static void append(line *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void append(line *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(l->text + l->used, l->size - l->used, format, args);
    va_end(args);
    if (n > 0)
        l->used += (size_t)n;
    if (l->used >= l->size)
        l->used = l->size - 1;
}

/* "name 2" where both axes agree, "name 2x1" (height x width) where not, nothing at the default. */
static void append_pair(line *l, const char *name, const int64_t pair[2], int64_t usual)
{
    if (pair[0] == pair[1] && pair[0] == usual)
        return;
    if (pair[0] == pair[1])
        append(l, " %s %lld", name, (long long)pair[0]);
    else
        append(l, " %s %lldx%lld", name, (long long)pair[0], (long long)pair[1]);
}

static void append_pads(line *l, const sal_window *w)
{
    if (w->pad_begin[0] == w->pad_end[0] && w->pad_begin[1] == w->pad_end[1])
        append_pair(l, "pad", w->pad_begin, 0);
    else
        append(l, " pad %lld,%lld,%lld,%lld", (long long)w->pad_begin[0], (long long)w->pad_begin[1],
               (long long)w->pad_end[0], (long long)w->pad_end[1]);
}

static void append_window(line *l, const sal_window *w)
{
    append(l, "%lldx%lld", (long long)w->kernel[0], (long long)w->kernel[1]);
    append_pair(l, "stride", w->stride, 1);
    append_pair(l, "dilation", w->dilation, 1);
    append_pads(l, w);
}

static void append_activation(line *l, const sal_activation *a)
{
    append(l, "%s", sal_activation_name(a->kind));
    if (a->kind == SAL_ACT_CLIP)
        append(l, " %g..%g", (double)a->alpha, (double)a->beta);
    else if (a->kind == SAL_ACT_LEAKY_RELU || a->kind == SAL_ACT_ELU || a->kind == SAL_ACT_THRESHOLD ||
             a->kind == SAL_ACT_POWER)
        append(l, " %g", (double)a->alpha);
}

static void append_conv(line *l, const sal_node *n)
{
    append(l, "%lld ", (long long)n->shape.dim[1]);
    append_window(l, &n->window);
    if (n->window.groups > 1 && n->window.groups == n->shape.dim[1])
        append(l, " depthwise");
    else if (n->window.groups > 1)
        append(l, " groups %lld", (long long)n->window.groups);
    if (n->input_count > 1)
        append(l, ", + residual");
}

static void append_shape(line *l, const sal_shape *shape)
{
    for (int i = 1; i < shape->rank; i++)
        append(l, "%s%lld", i > 1 ? "x" : "", (long long)shape->dim[i]);
}

static void append_permutation(line *l, const sal_node *n)
{
    for (int i = 0; i < n->shape.rank; i++)
        append(l, "%s%d", i ? "," : "", n->permutation[i]);
}

static void append_reduce(line *l, const sal_node *n)
{
    append(l, "%s over axis %d", sal_reduction_name(n->reduction), n->axis);
    if (n->axis_count > 1)
        append(l, " to %d", n->axis + n->axis_count - 1);
}

static void append_attributes(line *l, const sal_graph *graph, const sal_node *n)
{
    switch (n->op) {
    case SAL_OP_INPUT: append_shape(l, &n->shape); break;
    case SAL_OP_CONV: append_conv(l, n); break;
    case SAL_OP_DENSE: append(l, "%lld", (long long)n->shape.dim[n->shape.rank - 1]); break;
    case SAL_OP_AFFINE: append(l, "%s", n->weight_count > 1 || n->bias_count > 1 ? "per channel" : "scalar"); break;
    case SAL_OP_ACTIVATION: append_activation(l, &n->activation); break;
    case SAL_OP_ADD:
    case SAL_OP_MUL:
        if (!sal_shape_equal(&graph->nodes[n->inputs[0]].shape, &graph->nodes[n->inputs[1]].shape))
            append(l, "per channel");
        break;
    case SAL_OP_CONCAT: append(l, "%d along axis %d", n->input_count, n->axis); break;
    case SAL_OP_SLICE:
        append(l, "axis %d from %lld", n->axis, (long long)n->start);
        if (n->step > 1)
            append(l, " step %lld", (long long)n->step);
        break;
    case SAL_OP_MAX_POOL: append_window(l, &n->window); break;
    case SAL_OP_AVG_POOL:
        append_window(l, &n->window);
        if (n->window.count_padding)
            append(l, ", padding counts");
        break;
    case SAL_OP_RESHAPE: append_shape(l, &n->shape); break;
    case SAL_OP_TRANSPOSE: append_permutation(l, n); break;
    case SAL_OP_SHUFFLE: append(l, "groups %lld", (long long)n->groups); break;
    case SAL_OP_PAD:
        append_pads(l, &n->window);
        append(l, ", value %g", (double)n->value);
        break;
    case SAL_OP_SOFTMAX: append(l, "axis %d", n->axis); break;
    case SAL_OP_CONSTANT:
    case SAL_OP_EXPAND: append_shape(l, &n->shape); break;
    case SAL_OP_REDUCE: append_reduce(l, n); break;
    case SAL_OP_MATMUL:
        append(l, "%s times %s", n->transpose[0] ? "transposed" : "plain", n->transpose[1] ? "transposed" : "plain");
        if (n->scale != 1.0F)
            append(l, ", scale %g", (double)n->scale);
        break;
    case SAL_OP_GATHER:
        append(l, "%lld of axis %d", (long long)n->shape.dim[n->axis], n->axis);
        if (n->weight_count > 0)
            append(l, ", %d weighted taps", n->taps);
        break;
    case SAL_OP_LAYER_NORM: append(l, "epsilon %g", (double)n->epsilon); break;
    default: break;
    }
}

void sal_layer_detail(char *text, size_t size, const sal_graph *graph, const sal_node *node)
{
    line l = {text, size, 0};
    text[0] = '\0';
    append_attributes(&l, graph, node);
    if (node->op != SAL_OP_ACTIVATION && node->activation.kind != SAL_ACT_NONE) {
        append(&l, ", ");
        append_activation(&l, &node->activation);
    }
    if (text[0] == ' ')
        memmove(text, text + 1, strlen(text));
}
