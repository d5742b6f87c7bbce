#include "graph/shape.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>

/* Bounds that keep every product below inside 64 bits. */
static const int64_t max_attribute = (int64_t)1 << 30;
static const int64_t max_elements = (int64_t)1 << 46;

int64_t sal_shape_elements(const sal_shape *shape)
{
    int64_t n = 1;
    for (int i = 0; i < shape->rank; i++)
        n *= shape->dim[i];
    return n;
}

int sal_shape_equal(const sal_shape *a, const sal_shape *b)
{
    if (a->rank != b->rank)
        return 0;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return 0;
    return 1;
}

const char *sal_shape_text(char *text, size_t size, const sal_shape *shape)
{
    size_t used = 0;
    if (size == 0)
        return text;
    text[0] = '\0';
    for (int i = 0; i < shape->rank; i++) {
        int n = snprintf(text + used, size - used, "%s%lld%s", i ? ", " : "(", (long long)shape->dim[i],
                         i + 1 == shape->rank ? ")" : "");
        if (n < 0 || (size_t)n >= size - used)
            break;
        used += (size_t)n;
    }
    return text;
}

static const sal_shape *input_shape(const sal_graph *graph, const sal_node *node, int k)
{
    return &graph->nodes[node->inputs[k]].shape;
}

/* The last step of every rule: a shape that the rest of the program can trust. */
static sal_status set_shape(sal_node *node, const sal_shape *shape)
{
    char text[160];
    if (shape->rank < 2 || shape->rank > SAL_MAX_RANK)
        return sal_node_fail(SAL_ERROR_UNSUPPORTED, node, "the result has rank %d, expected 2 to %d", shape->rank,
                             SAL_MAX_RANK);
    int64_t n = 1;
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dim[i] < 1)
            return sal_node_fail(SAL_ERROR_FORMAT, node, "the result is empty: %s",
                                 sal_shape_text(text, sizeof text, shape));
        if (__builtin_mul_overflow(n, shape->dim[i], &n) || n > max_elements)
            return sal_node_fail(SAL_ERROR_LIMIT, node, "the result is too large: %s",
                                 sal_shape_text(text, sizeof text, shape));
    }
    if (shape->dim[0] != 1)
        return sal_node_fail(SAL_ERROR_UNSUPPORTED, node, "the first axis is the batch and must stay: %s",
                             sal_shape_text(text, sizeof text, shape));
    node->shape = *shape;
    return SAL_OK;
}

static sal_status check_axis(const sal_node *node, int rank)
{
    if (node->axis < 1 || node->axis >= rank)
        return sal_node_fail(SAL_ERROR_UNSUPPORTED, node, "axis %d of a tensor of rank %d", node->axis, rank);
    return SAL_OK;
}

static sal_status check_map(const sal_node *node, const sal_shape *x)
{
    char text[160];
    if (x->rank != 4)
        return sal_node_fail(SAL_ERROR_UNSUPPORTED, node, "needs (1, C, H, W), its input is %s",
                             sal_shape_text(text, sizeof text, x));
    return SAL_OK;
}

static sal_status check_bias(const sal_node *node, size_t expected)
{
    if (node->bias ? node->bias_count != expected : node->bias_count != 0)
        return sal_node_fail(SAL_ERROR_FORMAT, node, "has %zu biases, expected %zu", node->bias_count, expected);
    return SAL_OK;
}

static sal_status check_activation(const sal_node *node)
{
    const sal_activation *a = &node->activation;
    if ((unsigned)a->kind >= SAL_ACT_COUNT)
        return sal_node_fail(SAL_ERROR_UNSUPPORTED, node, "unknown activation %d", (int)a->kind);
    if (isnan(a->alpha) || isnan(a->beta))
        return sal_node_fail(SAL_ERROR_NUMERIC, node, "a parameter of its %s is NaN", sal_activation_name(a->kind));
    /* The backward pass knows the input's sign from the output's. */
    if (a->kind == SAL_ACT_LEAKY_RELU && a->alpha < 0.0F)
        return sal_node_fail(SAL_ERROR_UNSUPPORTED, node, "leaky relu with the negative slope %g", (double)a->alpha);
    if (a->kind == SAL_ACT_SQUAREPLUS && !(a->alpha > 0.0F))
        return sal_node_fail(SAL_ERROR_UNSUPPORTED, node, "squareplus with %g", (double)a->alpha);
    if (a->kind == SAL_ACT_CLIP && !(a->alpha <= a->beta))
        return sal_node_fail(SAL_ERROR_FORMAT, node, "clips to an empty range: %g to %g", (double)a->alpha,
                             (double)a->beta);
    return SAL_OK;
}

/* Fused activations must be of the kind whose backward needs one bit. */
static sal_status check_fused(const sal_node *node)
{
    sal_status st = check_activation(node);
    if (st == SAL_OK && node->activation.kind != SAL_ACT_NONE &&
        sal_activation_keep(node->activation.kind) != SAL_KEEP_SIGN)
        st = sal_node_fail(SAL_ERROR_UNSUPPORTED, node, "%s cannot be fused",
                           sal_activation_name(node->activation.kind));
    return st;
}

static int in_range(int64_t value, int64_t low)
{
    return value >= low && value <= max_attribute;
}

/* Defaults, bounds and the extent of the result along axis i of the window. */
static sal_status window_extent(int64_t *out, sal_node *node, int i, int64_t extent)
{
    sal_window *w = &node->window;
    if (w->stride[i] == 0)
        w->stride[i] = 1;
    if (w->dilation[i] == 0)
        w->dilation[i] = 1;
    if (!in_range(w->kernel[i], 1) || !in_range(w->stride[i], 1) || !in_range(w->dilation[i], 1))
        return sal_node_fail(SAL_ERROR_FORMAT, node, "kernel %lld, stride %lld, dilation %lld", (long long)w->kernel[i],
                             (long long)w->stride[i], (long long)w->dilation[i]);
    if (!in_range(w->pad_begin[i], 0) || !in_range(w->pad_end[i], 0))
        return sal_node_fail(SAL_ERROR_UNSUPPORTED, node, "padding %lld, %lld", (long long)w->pad_begin[i],
                             (long long)w->pad_end[i]);
    int64_t room = extent + w->pad_begin[i] + w->pad_end[i] - w->dilation[i] * (w->kernel[i] - 1) - 1;
    if (room < 0)
        return sal_node_fail(
            SAL_ERROR_FORMAT, node, "its kernel of %lld (dilation %lld) is larger than the padded input of %lld",
            (long long)w->kernel[i], (long long)w->dilation[i], (long long)extent + w->pad_begin[i] + w->pad_end[i]);
    *out = room / w->stride[i] + 1;
    return SAL_OK;
}

sal_status sal_shape_input(sal_graph *graph, sal_node *node)
{
    (void)graph;
    sal_shape shape = node->shape;
    return set_shape(node, &shape);
}

sal_status sal_shape_conv(sal_graph *graph, sal_node *node)
{
    sal_status st = SAL_OK;
    const sal_shape *x = input_shape(graph, node, 0);
    sal_window *w = &node->window;
    size_t taps = 0;
    char text[160];
    TRY(check_map(node, x));
    sal_shape shape = {.rank = 4, .dim = {1, 0, 0, 0}};
    TRY(window_extent(&shape.dim[2], node, 0, x->dim[2]));
    TRY(window_extent(&shape.dim[3], node, 1, x->dim[3]));
    if (w->groups == 0)
        w->groups = 1;
    if (w->groups < 1 || x->dim[1] % w->groups != 0)
        return sal_node_fail(SAL_ERROR_FORMAT, node, "%lld channels in %lld groups", (long long)x->dim[1],
                             (long long)w->groups);
    TRY(sal_size_mul(&taps, (size_t)w->kernel[0], (size_t)w->kernel[1], node->name));
    TRY(sal_size_mul(&taps, taps, (size_t)(x->dim[1] / w->groups), node->name));
    size_t outputs = node->weight_count / taps;
    if (!node->weight || outputs == 0 || outputs * taps != node->weight_count || outputs % (size_t)w->groups != 0)
        return sal_node_fail(SAL_ERROR_FORMAT, node,
                             "has %zu weights, expected a multiple of %zu in %lld groups (input %s)",
                             node->weight_count, taps, (long long)w->groups, sal_shape_text(text, sizeof text, x));
    TRY(check_bias(node, outputs));
    TRY(check_fused(node));
    shape.dim[1] = (int64_t)outputs;
    if (node->input_count == 2 && !sal_shape_equal(&shape, input_shape(graph, node, 1)))
        return sal_node_fail(SAL_ERROR_FORMAT, node, "its residual is %s",
                             sal_shape_text(text, sizeof text, input_shape(graph, node, 1)));
    TRY(set_shape(node, &shape));
done:
    return st;
}

sal_status sal_shape_dense(sal_graph *graph, sal_node *node)
{
    sal_status st = SAL_OK;
    sal_shape shape = *input_shape(graph, node, 0);
    size_t features = (size_t)shape.dim[shape.rank - 1];
    size_t outputs = node->weight_count / features;
    if (!node->weight || outputs == 0 || outputs * features != node->weight_count)
        return sal_node_fail(SAL_ERROR_FORMAT, node, "has %zu weights for %zu features", node->weight_count, features);
    TRY(check_bias(node, outputs));
    TRY(check_fused(node));
    shape.dim[shape.rank - 1] = (int64_t)outputs;
    TRY(set_shape(node, &shape));
done:
    return st;
}

sal_status sal_shape_affine(sal_graph *graph, sal_node *node)
{
    sal_status st = SAL_OK;
    const sal_shape *x = input_shape(graph, node, 0);
    int scalar = node->op == SAL_OP_AFFINE;
    if (node->axis == 0)
        node->axis = 1;
    TRY(check_axis(node, x->rank));
    size_t channels = (size_t)x->dim[node->axis];
    if (!node->weight || (node->weight_count != channels && !(scalar && node->weight_count == 1)))
        return sal_node_fail(SAL_ERROR_FORMAT, node, "has %zu weights for %zu channels", node->weight_count, channels);
    if (!(scalar && node->bias && node->bias_count == 1))
        TRY(check_bias(node, channels));
    if (!scalar && !(node->epsilon >= 0.0F))
        return sal_node_fail(SAL_ERROR_FORMAT, node, "its epsilon is %g", (double)node->epsilon);
    TRY(set_shape(node, x));
done:
    return st;
}

sal_status sal_shape_activation(sal_graph *graph, sal_node *node)
{
    sal_status st = check_activation(node);
    return st == SAL_OK ? set_shape(node, input_shape(graph, node, 0)) : st;
}

/* b is 1 or as long as a along every axis. */
static int broadcasts(const sal_shape *a, const sal_shape *b)
{
    if (a->rank != b->rank)
        return 0;
    for (int i = 0; i < a->rank; i++)
        if (b->dim[i] != a->dim[i] && b->dim[i] != 1)
            return 0;
    return 1;
}

sal_status sal_shape_broadcast(sal_graph *graph, sal_node *node)
{
    char first[160], second[160];
    const sal_shape *a = input_shape(graph, node, 0), *b = input_shape(graph, node, 1);
    if (broadcasts(a, b))
        return set_shape(node, a);
    if (!broadcasts(b, a))
        return sal_node_fail(SAL_ERROR_UNSUPPORTED, node, "operands %s and %s", sal_shape_text(first, sizeof first, a),
                             sal_shape_text(second, sizeof second, b));
    int swap = node->inputs[0];
    node->inputs[0] = node->inputs[1];
    node->inputs[1] = swap;
    return set_shape(node, b);
}

sal_status sal_shape_concat(sal_graph *graph, sal_node *node)
{
    sal_status st = SAL_OK;
    char first[160], other[160];
    sal_shape shape = *input_shape(graph, node, 0);
    TRY(check_axis(node, shape.rank));
    for (int k = 1; k < node->input_count; k++) {
        const sal_shape *x = input_shape(graph, node, k);
        sal_shape same = *x;
        same.dim[node->axis] = shape.dim[node->axis];
        if (!sal_shape_equal(&same, &shape))
            return sal_node_fail(SAL_ERROR_FORMAT, node, "cannot join %s and %s along axis %d",
                                 sal_shape_text(first, sizeof first, &shape), sal_shape_text(other, sizeof other, x),
                                 node->axis);
        /* Each is at most max_elements, and so is what set_shape passed before: no overflow. */
        shape.dim[node->axis] += x->dim[node->axis];
        if (shape.dim[node->axis] > max_elements)
            break;
    }
    TRY(set_shape(node, &shape));
done:
    return st;
}

sal_status sal_shape_slice(sal_graph *graph, sal_node *node)
{
    sal_status st = SAL_OK;
    sal_shape shape = *input_shape(graph, node, 0);
    if (node->step == 0)
        node->step = 1;
    TRY(check_axis(node, shape.rank));
    int64_t extent = shape.dim[node->axis], count = node->shape.dim[node->axis];
    if (node->start < 0 || node->start >= extent || node->step < 1 || count < 1 ||
        (count > 1 && count - 1 > (extent - 1 - node->start) / node->step))
        return sal_node_fail(SAL_ERROR_FORMAT, node, "takes %lld from %lld in steps of %lld, of %lld", (long long)count,
                             (long long)node->start, (long long)node->step, (long long)extent);
    shape.dim[node->axis] = count;
    TRY(set_shape(node, &shape));
done:
    return st;
}

/* A window that lies wholly in the padding has no largest element and no mean. */
static int windows_hold_pixels(const sal_window *w, int i, int64_t extent, int64_t windows)
{
    if (w->pad_begin[i] == 0 && w->pad_end[i] == 0)
        return 1;
    int64_t last = (windows - 1) * w->stride[i] - w->pad_begin[i];
    return w->pad_begin[i] <= (w->kernel[i] - 1) * w->dilation[i] && last < extent && w->dilation[i] <= extent;
}

sal_status sal_shape_pool(sal_graph *graph, sal_node *node)
{
    sal_status st = SAL_OK;
    const sal_shape *x = input_shape(graph, node, 0);
    TRY(check_map(node, x));
    sal_shape shape = *x;
    for (int i = 0; i < 2; i++) {
        TRY(window_extent(&shape.dim[2 + i], node, i, x->dim[2 + i]));
        if (!windows_hold_pixels(&node->window, i, x->dim[2 + i], shape.dim[2 + i]))
            return sal_node_fail(SAL_ERROR_UNSUPPORTED, node, "a window may lie wholly in the padding");
    }
    TRY(set_shape(node, &shape));
done:
    return st;
}

/* Reduce mean and pad: the first of the two axes that stand for H and W. */
static sal_status check_spatial(sal_node *node, const sal_shape *x)
{
    sal_status st = check_map(node, x);
    if (st != SAL_OK)
        return st;
    if (node->axis == 0)
        node->axis = 2;
    if (node->axis != 1 && node->axis != 2)
        return sal_node_fail(SAL_ERROR_UNSUPPORTED, node, "axes %d and %d", node->axis, node->axis + 1);
    return SAL_OK;
}

sal_status sal_shape_reduce_mean(sal_graph *graph, sal_node *node)
{
    sal_status st = SAL_OK;
    sal_shape shape = *input_shape(graph, node, 0);
    TRY(check_spatial(node, &shape));
    shape.dim[node->axis] = 1;
    shape.dim[node->axis + 1] = 1;
    TRY(set_shape(node, &shape));
done:
    return st;
}

sal_status sal_shape_reshape(sal_graph *graph, sal_node *node)
{
    char from[160], to[160];
    const sal_shape *x = input_shape(graph, node, 0);
    sal_shape shape = node->shape;
    sal_status st = set_shape(node, &shape);
    if (st == SAL_OK && sal_shape_elements(x) != sal_shape_elements(&shape))
        st = sal_node_fail(SAL_ERROR_FORMAT, node, "%s cannot become %s", sal_shape_text(from, sizeof from, x),
                           sal_shape_text(to, sizeof to, &shape));
    return st;
}

sal_status sal_shape_transpose(sal_graph *graph, sal_node *node)
{
    const sal_shape *x = input_shape(graph, node, 0);
    sal_shape shape = {.rank = x->rank};
    unsigned seen = 0;
    for (int i = 0; i < x->rank; i++) {
        int p = node->permutation[i];
        if (p < 0 || p >= x->rank || (seen >> p & 1U))
            return sal_node_fail(SAL_ERROR_FORMAT, node, "its permutation is none");
        seen |= 1U << p;
        shape.dim[i] = x->dim[p];
    }
    if (node->permutation[0] != 0)
        return sal_node_fail(SAL_ERROR_UNSUPPORTED, node, "moves the batch axis");
    return set_shape(node, &shape);
}

sal_status sal_shape_shuffle(sal_graph *graph, sal_node *node)
{
    const sal_shape *x = input_shape(graph, node, 0);
    if (node->groups < 1 || x->dim[1] % node->groups != 0)
        return sal_node_fail(SAL_ERROR_FORMAT, node, "%lld channels in %lld groups", (long long)x->dim[1],
                             (long long)node->groups);
    return set_shape(node, x);
}

sal_status sal_shape_pad(sal_graph *graph, sal_node *node)
{
    sal_status st = SAL_OK;
    sal_shape shape = *input_shape(graph, node, 0);
    TRY(check_spatial(node, &shape));
    for (int i = 0; i < 2; i++) {
        const sal_window *w = &node->window;
        if (!in_range(w->pad_begin[i], 0) || !in_range(w->pad_end[i], 0))
            return sal_node_fail(SAL_ERROR_UNSUPPORTED, node, "padding %lld, %lld", (long long)w->pad_begin[i],
                                 (long long)w->pad_end[i]);
        shape.dim[node->axis + i] += w->pad_begin[i] + w->pad_end[i];
    }
    if (isnan(node->value))
        return sal_node_fail(SAL_ERROR_NUMERIC, node, "pads with NaN");
    TRY(set_shape(node, &shape));
done:
    return st;
}

sal_status sal_shape_softmax(sal_graph *graph, sal_node *node)
{
    const sal_shape *x = input_shape(graph, node, 0);
    sal_status st = check_axis(node, x->rank);
    return st == SAL_OK ? set_shape(node, x) : st;
}

sal_status sal_shape_constant(sal_graph *graph, sal_node *node)
{
    (void)graph;
    char text[160];
    sal_shape shape = node->shape;
    sal_status st = set_shape(node, &shape);
    if (st == SAL_OK && (!node->weight || node->weight_count != (size_t)sal_shape_elements(&shape)))
        st = sal_node_fail(SAL_ERROR_FORMAT, node, "has %zu elements for %s", node->weight_count,
                           sal_shape_text(text, sizeof text, &shape));
    return st;
}

sal_status sal_shape_expand(sal_graph *graph, sal_node *node)
{
    char from[160], to[160];
    const sal_shape *x = input_shape(graph, node, 0);
    sal_shape shape = node->shape;
    if (!broadcasts(&shape, x))
        return sal_node_fail(SAL_ERROR_FORMAT, node, "%s cannot be expanded to %s",
                             sal_shape_text(from, sizeof from, x), sal_shape_text(to, sizeof to, &shape));
    return set_shape(node, &shape);
}

sal_status sal_shape_reduce(sal_graph *graph, sal_node *node)
{
    sal_status st = SAL_OK;
    sal_shape shape = *input_shape(graph, node, 0);
    if (node->axis_count == 0)
        node->axis_count = 1;
    TRY(check_axis(node, shape.rank));
    if (node->axis_count < 1 || node->axis_count > shape.rank - node->axis)
        return sal_node_fail(SAL_ERROR_FORMAT, node, "reduces %d axes from axis %d on, of a tensor of rank %d",
                             node->axis_count, node->axis, shape.rank);
    if ((unsigned)node->reduction >= SAL_REDUCTION_COUNT)
        return sal_node_fail(SAL_ERROR_UNSUPPORTED, node, "unknown reduction %d", (int)node->reduction);
    for (int i = 0; i < node->axis_count; i++)
        shape.dim[node->axis + i] = 1;
    TRY(set_shape(node, &shape));
done:
    return st;
}

sal_status sal_shape_matmul(sal_graph *graph, sal_node *node)
{
    char first[160], second[160];
    const sal_shape *a = input_shape(graph, node, 0), *b = input_shape(graph, node, 1);
    const int last = a->rank - 1;
    int fits = a->rank == b->rank && a->rank >= 3;
    for (int i = 0; fits && i < last - 1; i++)
        fits = a->dim[i] == b->dim[i];
    if (!fits || a->dim[node->transpose[0] ? last - 1 : last] != b->dim[node->transpose[1] ? last : last - 1])
        return sal_node_fail(SAL_ERROR_FORMAT, node, "%s%s times %s%s", sal_shape_text(first, sizeof first, a),
                             node->transpose[0] ? " transposed" : "", sal_shape_text(second, sizeof second, b),
                             node->transpose[1] ? " transposed" : "");
    if (node->scale == 0.0F)
        node->scale = 1.0F;
    if (!isfinite(node->scale))
        return sal_node_fail(SAL_ERROR_NUMERIC, node, "its scale is %g", (double)node->scale);
    sal_shape shape = *a;
    shape.dim[last - 1] = a->dim[node->transpose[0] ? last : last - 1];
    shape.dim[last] = b->dim[node->transpose[1] ? last - 1 : last];
    return set_shape(node, &shape);
}

sal_status sal_shape_gather(sal_graph *graph, sal_node *node)
{
    sal_status st = SAL_OK;
    sal_shape shape = *input_shape(graph, node, 0);
    if (node->taps == 0)
        node->taps = 1;
    TRY(check_axis(node, shape.rank));
    if (!node->index || node->taps < 1 || node->index_count == 0 || node->index_count % (size_t)node->taps != 0 ||
        node->index_count > (size_t)max_attribute)
        return sal_node_fail(SAL_ERROR_FORMAT, node, "has %zu indices, expected a multiple of its %d taps",
                             node->index_count, node->taps);
    if (node->weight ? node->weight_count != node->index_count : node->weight_count != 0)
        return sal_node_fail(SAL_ERROR_FORMAT, node, "has %zu weights for %zu indices", node->weight_count,
                             node->index_count);
    for (size_t k = 0; k < node->index_count; k++)
        if (node->index[k] < 0 || node->index[k] >= shape.dim[node->axis])
            return sal_node_fail(SAL_ERROR_FORMAT, node, "index %d of %lld along axis %d", (int)node->index[k],
                                 (long long)shape.dim[node->axis], node->axis);
    shape.dim[node->axis] = (int64_t)(node->index_count / (size_t)node->taps);
    TRY(set_shape(node, &shape));
done:
    return st;
}
