/* Convolutions and dense layers. */
#include "import/keras/layers/layers.h"

#include "import/keras/layer_config.h"
#include "import/keras/write_onnx.h"

#include <string.h>

/* ---- Convolutions -------------------------------------------------------- */

/* Kernels as ONNX wants them. Keras 1 had Theano's order too. */
static sal_status turn_kernel(const char **kernel, const keras_call *c, int depthwise, const sal_shape *shape)
{
    static const int64_t full[] = {3, 2, 0, 1}, deep[] = {2, 3, 0, 1};
    sal_status st = SAL_OK;
    SalOnnx__Node *node;
    const char *constant;
    const int64_t flat[4] = {shape->dim[2] * shape->dim[3], 1, shape->dim[0], shape->dim[1]};
    if (strcmp(keras_text(c->settings, "dim_ordering", "tf"), "th") == 0)
        return SAL_OK;
    TRY(keras_op1(kernel, &node, c, "Transpose", *kernel));
    TRY(keras_set_ints(c, node, "perm", depthwise ? deep : full, 4));
    if (depthwise) {
        TRY(keras_ints(&constant, c, flat, 4));
        TRY(keras_op2(kernel, c, "Reshape", *kernel, constant));
    }
done:
    return st;
}

sal_status keras_set_window(int64_t pair[2], const keras_call *c, SalOnnx__Node *node, const char *strides,
                            int64_t otherwise, const int64_t begin[2], const int64_t reach[2])
{
    sal_status st = SAL_OK;
    const int64_t pads[4] = {begin[0], begin[1], reach[0] - begin[0], reach[1] - begin[1]};
    const char *padding = keras_text(c->settings, "padding", keras_text(c->settings, "border_mode", "valid"));
    TRY(keras_pair(pair, c, strides, otherwise));
    TRY(keras_set_ints(c, node, "strides", pair, 2));
    if (strcmp(padding, "same") != 0 && strcmp(padding, "valid") != 0)
        return keras_fail(c, SAL_ERROR_UNSUPPORTED,
                          "salmap does not know the padding '%.40s'; it knows 'same' and 'valid'", padding);
    if (c->facts->theano && padding[0] == 's')
        TRY(keras_set_ints(c, node, "pads", pads, 4));
    else
        TRY(keras_set_text(c, node, "auto_pad", padding[0] == 's' ? "SAME_UPPER" : "VALID"));
done:
    return st;
}

/* A kernel of true convolutions, (rows, columns, inputs, outputs) or (outputs, inputs, rows, columns): each map of it
 * turned by half a circle. */
static sal_status turn_by_half(const char **kernel, const keras_call *c, const sal_shape *shape)
{
    sal_status st = SAL_OK;
    const float *values;
    float *turned;
    size_t count;
    const char *flat, *dims;
    const int first = strcmp(keras_text(c->settings, "dim_ordering", "tf"), "th") == 0;
    TRY(keras_weight_values(&values, &count, c, "kernel", 0));
    TRY(keras_new_weights(&turned, c, count, 1));
    const size_t area = (size_t)(shape->dim[first ? 2 : 0] * shape->dim[first ? 3 : 1]), maps = count / area;
    for (size_t i = 0; i < count; i++) {
        const size_t at = first ? i % area : i / maps, map = first ? i / area : i % maps;
        turned[first ? map * area + (area - 1 - at) : (area - 1 - at) * maps + map] = values[i];
    }
    TRY(keras_floats(&flat, c, turned, (int64_t)count));
    TRY(keras_ints(&dims, c, shape->dim, 4));
    TRY(keras_op2(kernel, c, "Reshape", flat, dims));
done:
    return st;
}

typedef struct convolution {
    const char *roles; /* of the kernel */
    int position;
    int depthwise;
    int window;        /* 0: 1x1, stride 1, whatever the layer's configuration says of its first part */
    int bias_position; /* -1: none */
} convolution;

/* What the configuration says of the kernel, if it does, is what the kernel is. rows: of its axes, the first with
 * pixels. */
static sal_status check_kernel(const keras_call *c, const convolution *conv, const sal_shape *shape, int rows)
{
    sal_status st = SAL_OK;
    const int64_t outputs = shape->dim[rows == 0 ? 3 : 0], filters = keras_integer(c->settings, "filters", outputs);
    const json_t *said = json_object_get(c->layer->config, "kernel_size");
    int64_t size[2] = {shape->dim[rows], shape->dim[rows + 1]};
    if (said && !json_is_null(said))
        TRY(keras_pair(size, c, "kernel_size", 1));
    if (size[0] != shape->dim[rows] || size[1] != shape->dim[rows + 1])
        return keras_fail(c, SAL_ERROR_FORMAT, "its kernel_size is %lld x %lld, but its kernel has %lld x %lld",
                          (long long)size[0], (long long)size[1], (long long)shape->dim[rows],
                          (long long)shape->dim[rows + 1]);
    if (!conv->depthwise && filters != outputs)
        return keras_fail(c, SAL_ERROR_FORMAT, "it has %lld filters, but its kernel has %lld", (long long)filters,
                          (long long)outputs);
done:
    return st;
}

/* x has channels first, and so has *x after it; sides: its height and width. */
static sal_status convolve(const char **x, int64_t sides[2], const keras_call *c, const convolution *conv)
{
    sal_status st = SAL_OK;
    SalOnnx__Node *node;
    sal_shape shape;
    int64_t dilation[2], strides[2], begin[2], reach[2];
    const char *inputs[3] = {*x};
    TRY(keras_weight(&inputs[1], &shape, c, conv->roles, conv->position));
    if (shape.rank != 4)
        return keras_fail(c, SAL_ERROR_FORMAT, "its kernel has %d axes, not 4", shape.rank);
    if (c->facts->theano && (conv->depthwise || !conv->window))
        return keras_fail(c, SAL_ERROR_UNSUPPORTED,
                          "it was saved under Theano; load the network under TensorFlow, and save it again");
    if (c->facts->theano)
        TRY(turn_by_half(&inputs[1], c, &shape));
    TRY(turn_kernel(&inputs[1], c, conv->depthwise, &shape));
    if (conv->bias_position >= 0)
        TRY(keras_weight(&inputs[2], NULL, c, "bias", conv->bias_position));
    TRY(keras_op(x, &node, c, "Conv", inputs, conv->bias_position >= 0 ? 3 : 2));
    TRY(keras_set_int(c, node, "group",
                      conv->depthwise ? shape.dim[2]
                      : conv->window  ? keras_integer(c->settings, "groups", 1)
                                      : 1));
    if (!conv->window)
        return SAL_OK;
    TRY(keras_pair(dilation, c, json_object_get(c->layer->config, "atrous_rate") ? "atrous_rate" : "dilation_rate", 1));
    const int rows = strcmp(keras_text(c->settings, "dim_ordering", "tf"), "th") == 0 ? 2 : 0;
    TRY(check_kernel(c, conv, &shape, rows));
    for (int i = 0; i < 2; i++) {
        reach[i] = (shape.dim[rows + i] - 1) * dilation[i];
        begin[i] = (reach[i] + 1) / 2;
    }
    TRY(keras_set_window(strides, c, node, json_object_get(c->layer->config, "subsample") ? "subsample" : "strides", 1,
                         begin, reach));
    TRY(keras_set_ints(c, node, "dilations", dilation, 2));
    for (int i = 0; i < 2; i++)
        sides[i] = keras_window_side(c, sides[i], shape.dim[rows + i], strides[i], dilation[i]);
done:
    return st;
}

static sal_status convolutions(keras_tensor *out, const keras_call *c, const convolution *list, size_t count)
{
    sal_status st = SAL_OK;
    const int first = keras_channels_first(c);
    const char *x = c->in[0].name;
    int64_t sides[2] = {keras_side(c, &c->in[0], 0), keras_side(c, &c->in[0], 1)};
    *out = c->in[0];
    if (c->in[0].rank != 4)
        return keras_fail(c, SAL_ERROR_UNSUPPORTED, "its input has %d axes, not 4", c->in[0].rank);
    if (!first)
        TRY(keras_to_first(&x, c, x));
    for (size_t i = 0; i < count; i++)
        TRY(convolve(&x, sides, c, &list[i]));
    if (!first)
        TRY(keras_to_last(&x, c, x));
    out->name = x;
    keras_set_sides(c, out, sides[0], sides[1]);
    TRY(keras_activate_after(out, c));
done:
    return st;
}

static int has_bias(const keras_call *c)
{
    return keras_flag(c->settings, "use_bias", keras_flag(c->settings, "bias", 1));
}

sal_status keras_layer_conv(keras_tensor *out, const keras_call *c)
{
    const convolution conv = {.roles = "kernel", .window = 1, .bias_position = has_bias(c) ? 1 : -1};
    return convolutions(out, c, &conv, 1);
}

sal_status keras_layer_depthwise_conv(keras_tensor *out, const keras_call *c)
{
    const convolution conv = {
        .roles = "depthwise_kernel|kernel", .depthwise = 1, .window = 1, .bias_position = has_bias(c) ? 1 : -1};
    return convolutions(out, c, &conv, 1);
}

sal_status keras_layer_separable_conv(keras_tensor *out, const keras_call *c)
{
    const convolution parts[] = {{.roles = "depthwise_kernel", .depthwise = 1, .window = 1, .bias_position = -1},
                                 {.roles = "pointwise_kernel", .position = 1, .bias_position = has_bias(c) ? 2 : -1}};
    return convolutions(out, c, parts, 2);
}

/* ---- Dense --------------------------------------------------------------- */

/* On a feature map it acts on the last axis: a 1x1 convolution. */
static sal_status dense_map(const char **x, const keras_call *c, const char *const weights[2], const sal_shape *shape)
{
    sal_status st = SAL_OK;
    static const int64_t perm[] = {1, 0};
    const int64_t dims[4] = {shape->dim[1], shape->dim[0], 1, 1};
    const char *constant, *inputs[3] = {NULL, weights[0], weights[1]};
    SalOnnx__Node *node;
    TRY(keras_to_first(&inputs[0], c, *x));
    TRY(keras_op1(&inputs[1], &node, c, "Transpose", weights[0]));
    TRY(keras_set_ints(c, node, "perm", perm, 2));
    TRY(keras_ints(&constant, c, dims, 4));
    TRY(keras_op2(&inputs[1], c, "Reshape", inputs[1], constant));
    TRY(keras_op(x, NULL, c, "Conv", inputs, weights[1] ? 3 : 2));
    TRY(keras_to_last(x, c, *x));
done:
    return st;
}

/* (N, rows, F) as a map of one column. */
static sal_status dense_rows(const char **x, const keras_call *c, const char *const weights[2], const sal_shape *shape)
{
    sal_status st = SAL_OK;
    const int64_t map[4] = {0, 0, 1, shape->dim[0]}, rows[3] = {0, 0, shape->dim[1]};
    const char *constant;
    TRY(keras_ints(&constant, c, map, 4));
    TRY(keras_op2(x, c, "Reshape", *x, constant));
    TRY(dense_map(x, c, weights, shape));
    TRY(keras_ints(&constant, c, rows, 3));
    TRY(keras_op2(x, c, "Reshape", *x, constant));
done:
    return st;
}

sal_status keras_layer_dense(keras_tensor *out, const keras_call *c)
{
    sal_status st = SAL_OK;
    sal_shape shape;
    const char *weights[2] = {NULL, NULL};
    *out = c->in[0];
    TRY(keras_weight(&weights[0], &shape, c, "kernel", 0));
    if (shape.rank != 2)
        return keras_fail(c, SAL_ERROR_FORMAT, "its kernel has %d axes, not 2", shape.rank);
    const int64_t units = keras_integer(c->settings, "units", shape.dim[1]);
    if (units != shape.dim[1])
        return keras_fail(c, SAL_ERROR_FORMAT, "it has %lld units, but its kernel has %lld", (long long)units,
                          (long long)shape.dim[1]);
    if (has_bias(c))
        TRY(keras_weight(&weights[1], NULL, c, "bias", 1));
    if (c->in[0].rank == 4) {
        TRY(dense_map(&out->name, c, weights, &shape));
        out->extent[2] = shape.dim[1];
    } else if (c->in[0].rank == 3) {
        TRY(dense_rows(&out->name, c, weights, &shape));
    } else {
        TRY(keras_op2(&out->name, c, "MatMul", c->in[0].name, weights[0]));
        if (weights[1])
            TRY(keras_op2(&out->name, c, "Add", out->name, weights[1]));
    }
    TRY(keras_activate_after(out, c));
done:
    return st;
}
