/* Layers that have no core op of their own, as what they are made of: transposed convolutions as convolutions over
 * woven zeros, group normalisation as layer normalisation of groups, cuts and joins of rows as those of channels. All
 * with channels first. */
#include "import/keras/layers/layers.h"

#include "import/keras/layer_config.h"
#include "import/keras/write_onnx.h"

#include <math.h>
#include <string.h>

/* ---- Shapes that the ONNX importer works out ----------------------------- */

/* One extent of x, as a constant of one element. */
static sal_status extent(const char **out, const keras_call *c, const char *shape, int64_t axis)
{
    sal_status st = SAL_OK;
    SalOnnx__Node *node;
    const char *inputs[2] = {shape};
    TRY(keras_ints(&inputs[1], c, &axis, 1));
    TRY(keras_op(out, &node, c, "Gather", inputs, 2));
    TRY(keras_set_int(c, node, "axis", 0));
done:
    return st;
}

sal_status keras_filled(const char **out, const keras_call *c, const char *x, int64_t axis, float value)
{
    sal_status st = SAL_OK;
    const char *size, *constant;
    TRY(keras_op1(&size, NULL, c, "Shape", x));
    TRY(extent(&size, c, size, axis));
    TRY(keras_op1(out, NULL, c, "ConstantOfShape", size));
    if (value != 0.0f) {
        TRY(keras_floats(&constant, c, &value, -1));
        TRY(keras_op2(out, c, "Add", *out, constant));
    }
done:
    return st;
}

/* x in a shape put together of numbers and of extents of `shape`: places below 0 are its axes, -1 for axis 0. */
static sal_status reshape(const char **x, const keras_call *c, const char *shape, const int64_t *places, size_t rank)
{
    enum { MOST = 8 };
    sal_status st = SAL_OK;
    SalOnnx__Node *node;
    const char *parts[MOST], *target;
    for (size_t i = 0; i < rank && i < MOST; i++)
        TRY(places[i] < 0 ? extent(&parts[i], c, shape, -places[i] - 1) : keras_ints(&parts[i], c, &places[i], 1));
    TRY(keras_op(&target, &node, c, "Concat", parts, rank));
    TRY(keras_set_int(c, node, "axis", 0));
    TRY(keras_op2(x, c, "Reshape", *x, target));
done:
    return st;
}

sal_status keras_transpose(const char **x, const keras_call *c, const int64_t *perm, size_t rank)
{
    SalOnnx__Node *node;
    sal_status st = keras_op1(x, &node, c, "Transpose", *x);
    return st == SAL_OK ? keras_set_ints(c, node, "perm", perm, rank) : st;
}

sal_status keras_weave(const char **x, const keras_call *c, const char *others, const int64_t f[2])
{
    static const int64_t perm[] = {0, 3, 4, 1, 5, 2};
    enum { AXIS_N = -1, AXIS_C = -2, AXIS_H = -3, AXIS_W = -4 };
    const int64_t apart[6] = {AXIS_N, f[0], f[1], AXIS_C, AXIS_H, AXIS_W};
    sal_status st = SAL_OK;
    SalOnnx__Node *node;
    const char **parts, *shape, *extents[4], *factor, *target;
    const size_t count = (size_t)(f[0] * f[1]);
    TRY(keras_alloc(&parts, c->arena, count, sizeof *parts));
    for (size_t i = 0; i < count; i++)
        parts[i] = i == 0 ? *x : others;
    TRY(keras_op1(&shape, NULL, c, "Shape", *x));
    TRY(keras_op(x, &node, c, "Concat", parts, count));
    TRY(keras_set_int(c, node, "axis", 1));
    TRY(reshape(x, c, shape, apart, 6));
    TRY(keras_transpose(x, c, perm, 6));
    /* (N, C, H, f, W, f): the blocks' axes join those before them. */
    TRY(extent(&extents[0], c, shape, 0));
    TRY(extent(&extents[1], c, shape, 1));
    for (int a = 0; a < 2; a++) {
        TRY(extent(&extents[2 + a], c, shape, 2 + a));
        TRY(keras_ints(&factor, c, &f[a], 1));
        TRY(keras_op2(&extents[2 + a], c, "Mul", extents[2 + a], factor));
    }
    TRY(keras_op(&target, &node, c, "Concat", extents, 4));
    TRY(keras_set_int(c, node, "axis", 0));
    TRY(keras_op2(x, c, "Reshape", *x, target));
done:
    return st;
}

sal_status keras_enter(const char **x, keras_tensor *out, const keras_call *c)
{
    *out = c->in[0];
    *x = c->in[0].name;
    if (c->in[0].rank != 4)
        return keras_fail(c, SAL_ERROR_UNSUPPORTED, "its input has %d axes, not 4", c->in[0].rank);
    return keras_channels_first(c) ? SAL_OK : keras_to_first(x, c, *x);
}

sal_status keras_leave(keras_tensor *out, const keras_call *c, const char *x, int64_t height, int64_t width)
{
    out->name = x;
    keras_set_sides(c, out, height, width);
    return keras_channels_first(c) ? SAL_OK : keras_to_last(&out->name, c, x);
}

/* ---- Along height and width ---------------------------------------------- */

/* (N, C, H, W) as (N, extent of axis, rest, 1), where cutting and joining happen along the channels' place. *shape: to
 * get back by. */
static sal_status flatten_but(const char **x, const char **shape, const keras_call *c, int axis)
{
    static const int64_t flat[4] = {0, 0, -1, 1};
    int64_t perm[4] = {0, 1, 2, 3};
    sal_status st = SAL_OK;
    const char *constant;
    perm[1] = axis;
    perm[axis] = 1;
    TRY(keras_transpose(x, c, perm, 4));
    TRY(keras_op1(shape, NULL, c, "Shape", *x));
    TRY(keras_ints(&constant, c, flat, 4));
    TRY(keras_op2(x, c, "Reshape", *x, constant));
done:
    return st;
}

static sal_status unflatten(const char **x, const keras_call *c, const char *shape, int axis)
{
    /* Batch and axis as they are now, the rest as it was. */
    static const int64_t places[4] = {0, 0, -3, -4};
    int64_t perm[4] = {0, 1, 2, 3};
    sal_status st = SAL_OK;
    perm[1] = axis;
    perm[axis] = 1;
    TRY(reshape(x, c, shape, places, 4));
    TRY(keras_transpose(x, c, perm, 4));
done:
    return st;
}

sal_status keras_crop(const char **x, const keras_call *c, int axis, int64_t before, int64_t after)
{
    sal_status st = SAL_OK;
    const int64_t channels = 1, end = after ? -after : INT32_MAX;
    const char *inputs[4] = {NULL}, *shape;
    if (before == 0 && after == 0)
        return SAL_OK;
    TRY(flatten_but(x, &shape, c, axis));
    inputs[0] = *x;
    TRY(keras_ints(&inputs[1], c, &before, 1));
    TRY(keras_ints(&inputs[2], c, &end, 1));
    TRY(keras_ints(&inputs[3], c, &channels, 1));
    TRY(keras_op(x, NULL, c, "Slice", inputs, 4));
    TRY(unflatten(x, c, shape, axis));
done:
    return st;
}

sal_status keras_layer_cropping(keras_tensor *out, const keras_call *c)
{
    sal_status st = SAL_OK;
    int64_t b[4];
    const char *x;
    TRY(keras_borders(b, c, "cropping"));
    TRY(keras_enter(&x, out, c));
    TRY(keras_crop(&x, c, 2, b[0], b[1]));
    TRY(keras_crop(&x, c, 3, b[2], b[3]));
    TRY(keras_leave(out, c, x, keras_side(c, c->in, 0) - b[0] - b[1], keras_side(c, c->in, 1) - b[2] - b[3]));
done:
    return st;
}

sal_status keras_layer_concatenate(keras_tensor *out, const keras_call *c)
{
    sal_status st = SAL_OK;
    SalOnnx__Node *node;
    const char **names, *shape = NULL, *other;
    int64_t axis = keras_integer(c->settings, "axis", keras_integer(c->settings, "concat_axis", -1));
    *out = c->in[0];
    axis = axis < 0 ? axis + c->in[0].rank : axis;
    /* Along height or width, of channels last: the axis takes the channels' place. */
    const int turn = c->in[0].rank == 4 && (axis == 2 || (axis == 1 && !c->facts->channels_first)) ? (int)axis + 1 : 0;
    TRY(keras_alloc(&names, c->arena, c->count, sizeof *names));
    for (size_t i = 0; i < c->count; i++) {
        names[i] = c->in[i].name;
        if (turn) {
            TRY(keras_to_first(&names[i], c, names[i]));
            TRY(flatten_but(&names[i], i == 0 ? &shape : &other, c, turn));
        }
    }
    TRY(keras_op(&out->name, &node, c, "Concat", names, c->count));
    TRY(keras_set_int(c, node, "axis", turn ? 1 : axis));
    if (c->in[0].rank == 4 && axis >= 1 && axis <= 3)
        for (size_t i = 1; i < c->count; i++)
            out->extent[axis - 1] = out->extent[axis - 1] && c->in[i].extent[axis - 1]
                                        ? out->extent[axis - 1] + c->in[i].extent[axis - 1]
                                        : 0;
    else
        keras_forget_extent(out);
    if (turn) {
        TRY(unflatten(&out->name, c, shape, turn));
        TRY(keras_to_last(&out->name, c, out->name));
    }
done:
    return st;
}

/* ---- Transposed convolution ---------------------------------------------- */

/* The kernel (kh, kw, out, in), turned by half a circle, as (out, in, kh, kw) of a forward convolution. */
static sal_status turned_kernel(const char **out, const keras_call *c, const int64_t size[2])
{
    sal_status st = SAL_OK;
    const float *kernel;
    float *turned;
    size_t count;
    const char *flat, *shape;
    TRY(keras_weight_values(&kernel, &count, c, "kernel", 0));
    const size_t area = (size_t)(size[0] * size[1]);
    const int64_t outputs = keras_integer(c->settings, "filters", 0);
    if (outputs < 1 || count % area != 0 || count / area % (size_t)outputs != 0)
        return keras_fail(c, SAL_ERROR_FORMAT,
                          "its kernel has %zu weights, which is not a multiple of %lld x %lld x %lld", count,
                          (long long)size[0], (long long)size[1], (long long)outputs);
    const size_t maps = count / area; /* pairs of an output and an input channel */
    const int64_t dims[4] = {outputs, (int64_t)maps / outputs, size[0], size[1]};
    TRY(keras_new_weights(&turned, c, count, 1));
    for (size_t at = 0; at < area; at++)
        for (size_t m = 0; m < maps; m++)
            turned[m * area + (area - 1 - at)] = kernel[at * maps + m];
    TRY(keras_floats(&flat, c, turned, (int64_t)count));
    TRY(keras_ints(&shape, c, dims, 4));
    TRY(keras_op2(out, c, "Reshape", flat, shape));
done:
    return st;
}

/* A transposed convolution as a plain one of z: x with stride - 1 zeros after each element. */
typedef struct transposed {
    int64_t size[2], stride[2], dilation[2];
    int64_t pads[4];  /* of z: top, left, bottom, right */
    int64_t less[2];  /* what comes out too much at the bottom and the right */
    int64_t sides[2]; /* of what comes out; 0: not known */
} transposed;

/* out[j] = sum over t of kernel[t] z[j + before - dilation t], where `before` is what the convolution that this is the
 * gradient of pads. more: the layer's output_padding; -1: none, and then stride times the input come out where `same`,
 * and what of the kernel reaches further where `valid`. */
static void transpose_axis(transposed *t, int a, int same, int64_t more, int64_t side)
{
    const int64_t reach = (t->size[a] - 1) * t->dilation[a], s = t->stride[a];
    int64_t before = reach, after; /* of z without the zeros that it ends in */
    if (same) {
        const int64_t all = more < 0 ? s + reach - 1 : reach - 1 + (reach + 1) % 2 + more;
        before = (all + 1) / 2 < reach ? (all + 1) / 2 : reach;
        after = all - before;
    } else {
        after = reach + (more >= 0 ? more : s > reach + 1 ? s - reach - 1 : 0);
    }
    const int64_t end = after - (s - 1);
    t->pads[a] = before;
    t->pads[2 + a] = end > 0 ? end : 0;
    t->less[a] = end < 0 ? -end : 0;
    t->sides[a] = side < 1 ? 0 : (side - 1) * s + 1 + before + after - reach;
}

static sal_status read_transposed(transposed *t, const keras_call *c)
{
    sal_status st = SAL_OK;
    const json_t *padding = json_object_get(c->layer->config, "output_padding");
    const char *how = keras_text(c->settings, "padding", "valid");
    int64_t more[2] = {-1, -1};
    *t = (transposed){0};
    TRY(keras_pair(t->size, c, "kernel_size", 1));
    TRY(keras_pair(t->stride, c, "strides", 1));
    TRY(keras_pair(t->dilation, c, "dilation_rate", 1));
    if (padding && !json_is_null(padding))
        TRY(keras_pair(more, c, "output_padding", 0));
    if (strcmp(how, "same") != 0 && strcmp(how, "valid") != 0)
        return keras_fail(c, SAL_ERROR_UNSUPPORTED,
                          "salmap does not know the padding '%.40s'; it knows 'same' and 'valid'", how);
    for (int a = 0; a < 2; a++) {
        if (t->stride[a] < 1 || t->size[a] < 1 || t->dilation[a] < 1 || t->stride[a] > KERAS_MOST_COPIES ||
            t->size[a] > INT16_MAX || t->dilation[a] > INT16_MAX || more[a] >= INT16_MAX)
            return keras_fail(c, SAL_ERROR_UNSUPPORTED, "its kernel, stride or dilation is 0 or too large");
        transpose_axis(t, a, how[0] == 's', more[a], keras_side(c, c->in, a));
    }
    if (t->stride[0] * t->stride[1] > KERAS_MOST_COPIES)
        return keras_fail(c, SAL_ERROR_UNSUPPORTED, "its stride is too large");
done:
    return st;
}

static sal_status convolve_zeros(const char **x, const keras_call *c, const transposed *t)
{
    sal_status st = SAL_OK;
    SalOnnx__Node *node;
    const float zero = 0.0f;
    const char *nothing, *inputs[3] = {NULL};
    const int bias = keras_flag(c->settings, "use_bias", 1);
    if (t->stride[0] * t->stride[1] > 1) {
        TRY(keras_floats(&nothing, c, &zero, -1));
        TRY(keras_op2(&nothing, c, "Mul", *x, nothing));
        TRY(keras_weave(x, c, nothing, t->stride));
    }
    inputs[0] = *x;
    TRY(turned_kernel(&inputs[1], c, t->size));
    if (bias)
        TRY(keras_weight(&inputs[2], NULL, c, "bias", 1));
    TRY(keras_op(x, &node, c, "Conv", inputs, bias ? 3 : 2));
    TRY(keras_set_ints(c, node, "pads", t->pads, 4));
    TRY(keras_set_ints(c, node, "dilations", t->dilation, 2));
    for (int a = 0; a < 2; a++)
        TRY(keras_crop(x, c, 2 + a, 0, t->less[a]));
done:
    return st;
}

sal_status keras_layer_conv_transpose(keras_tensor *out, const keras_call *c)
{
    sal_status st = SAL_OK;
    transposed t;
    const char *x;
    if (c->facts->theano)
        return keras_fail(c, SAL_ERROR_UNSUPPORTED,
                          "it was saved under Theano; load the network under TensorFlow, and save it again");
    TRY(read_transposed(&t, c));
    TRY(keras_enter(&x, out, c));
    TRY(convolve_zeros(&x, c, &t));
    TRY(keras_leave(out, c, x, t.sides[0], t.sides[1]));
    TRY(keras_activate_after(out, c));
done:
    return st;
}

/* ---- Group normalisation ------------------------------------------------- */

/* Layer normalisation of each group, which takes the channels' place for it: (N, rest, groups, 1). Scale and bias of
 * its own it has none. */
static sal_status normalize_groups(const char **x, const keras_call *c, int64_t groups)
{
    static const int64_t whole[4] = {-1, -2, -3, -4}, swap[3] = {0, 2, 1};
    const int64_t apart[3] = {0, groups, -1}, tall[4] = {0, -1, groups, 1}, flat[3] = {0, -1, groups};
    sal_status st = SAL_OK;
    SalOnnx__Node *node;
    const char *shape, *inputs[3], *constant;
    TRY(keras_op1(&shape, NULL, c, "Shape", *x));
    TRY(keras_ints(&constant, c, apart, 3));
    TRY(keras_op2(x, c, "Reshape", *x, constant));
    TRY(keras_transpose(x, c, swap, 3));
    TRY(keras_ints(&constant, c, tall, 4));
    TRY(keras_op2(x, c, "Reshape", *x, constant));
    TRY(keras_filled(&inputs[1], c, *x, 1, 1.0f));
    TRY(keras_filled(&inputs[2], c, *x, 1, 0.0f));
    TRY(keras_to_last(&inputs[0], c, *x));
    TRY(keras_op(x, &node, c, "LayerNormalization", inputs, 3));
    TRY(keras_set_int(c, node, "axis", -1));
    TRY(keras_set_float(c, node, "epsilon", keras_real(c->settings, "epsilon", 1e-3)));
    TRY(keras_to_first(x, c, *x));
    TRY(keras_ints(&constant, c, flat, 3));
    TRY(keras_op2(x, c, "Reshape", *x, constant));
    TRY(keras_transpose(x, c, swap, 3));
    TRY(reshape(x, c, shape, whole, 4));
done:
    return st;
}

sal_status keras_layer_group_normalization(keras_tensor *out, const keras_call *c)
{
    sal_status st = SAL_OK;
    const int scale = keras_flag(c->settings, "scale", 1), center = keras_flag(c->settings, "center", 1);
    const int64_t axis = keras_integer(c->settings, "axis", -1);
    const int first = axis == 1 && c->facts->channels_first;
    int64_t groups = keras_integer(c->settings, "groups", 32);
    sal_shape shape;
    const char *x, *weight;
    *out = c->in[0];
    if (c->in[0].rank != 4 || (axis != -1 && axis != 3 && !first))
        return keras_fail(c, SAL_ERROR_UNSUPPORTED, "it normalises along other axes than the channels of a map");
    if (groups == -1 && (scale || center)) { /* as many as channels */
        TRY(keras_weight(&weight, &shape, c, scale ? "gamma" : "beta", 0));
        groups = shape.rank == 1 ? shape.dim[0] : 0;
    }
    if (groups < 1)
        return keras_fail(c, SAL_ERROR_UNSUPPORTED, "it has %lld groups; it needs at least 1", (long long)groups);
    x = c->in[0].name;
    if (!first)
        TRY(keras_to_first(&x, c, x));
    TRY(normalize_groups(&x, c, groups));
    TRY(keras_to_last(&out->name, c, x));
    if (scale) {
        TRY(keras_weight(&weight, NULL, c, "gamma", 0));
        TRY(keras_op2(&out->name, c, "Mul", out->name, weight));
    }
    if (center) {
        TRY(keras_weight(&weight, NULL, c, "beta", scale));
        TRY(keras_op2(&out->name, c, "Add", out->name, weight));
    }
    if (first)
        TRY(keras_to_first(&out->name, c, out->name));
done:
    return st;
}
