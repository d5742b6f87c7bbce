/* Layers that merge tensors. */
#include "import/keras/layers/layers.h"

#include "import/keras/layer_config.h"
#include "import/keras/write_onnx.h"

#include <string.h>

/* Numbers have none, extents of 1 are repeated, and what is not known stays so. */
static void join_extents(keras_tensor *out, const keras_tensor *other)
{
    if (other->rank == 0 && out->extent[2] == 1) /* it may be a list of numbers */
        out->extent[2] = 0;
    for (int a = 0; a < 3 && other->rank > 0; a++) {
        const int64_t here = out->extent[a], there = other->extent[a];
        out->extent[a] = out->rank == 0 ? there : !here || !there ? 0 : here > there ? here : there;
    }
    out->rank = other->rank > out->rank ? other->rank : out->rank;
}

/* Of two ranks, a layer that merges gives the smaller one axes of 1 behind the batch: (N, C) becomes (N, 1, 1, C). */
static sal_status expand(keras_tensor *x, const keras_call *c, int rank)
{
    sal_status st = SAL_OK;
    const int64_t shape[4] = {0, 1, 1, -1};
    const char *constant;
    if (x->rank != 2 || rank != 4)
        return SAL_OK;
    TRY(keras_ints(&constant, c, shape, 4));
    TRY(keras_op2(&x->name, c, "Reshape", x->name, constant));
    *x = (keras_tensor){.name = x->name, .rank = 4, .extent = {1, 1, 0}};
    if (c->facts->channels_first)
        keras_forget_extent(x);
done:
    return st;
}

static sal_status chain(keras_tensor *out, const keras_call *c, const char *op)
{
    sal_status st = SAL_OK;
    if (c->count < 2)
        return keras_fail(c, SAL_ERROR_FORMAT, "it merges %zu input; it takes at least 2", c->count);
    *out = c->in[0];
    for (size_t i = 1; i < c->count; i++) {
        keras_tensor other = c->in[i];
        TRY(expand(out, c, other.rank));
        TRY(expand(&other, c, out->rank));
        TRY(keras_op2(&out->name, c, op, out->name, other.name));
        join_extents(out, &other);
    }
done:
    return st;
}

sal_status keras_layer_add(keras_tensor *out, const keras_call *c)
{
    return chain(out, c, "Add");
}

sal_status keras_layer_subtract(keras_tensor *out, const keras_call *c)
{
    return chain(out, c, "Sub");
}

sal_status keras_layer_multiply(keras_tensor *out, const keras_call *c)
{
    return chain(out, c, "Mul");
}

sal_status keras_layer_divide(keras_tensor *out, const keras_call *c)
{
    return chain(out, c, "Div");
}

/* a + relu(b - a), and a - relu(a - b) */
static sal_status extreme(keras_tensor *out, const keras_call *c, int most)
{
    sal_status st = SAL_OK;
    const char *more;
    if (c->count < 2)
        return keras_fail(c, SAL_ERROR_FORMAT, "it merges %zu input; it takes at least 2", c->count);
    *out = c->in[0];
    for (size_t i = 1; i < c->count; i++) {
        keras_tensor other = c->in[i];
        TRY(expand(out, c, other.rank));
        TRY(expand(&other, c, out->rank));
        TRY(most ? keras_op2(&more, c, "Sub", other.name, out->name)
                 : keras_op2(&more, c, "Sub", out->name, other.name));
        TRY(keras_op1(&more, NULL, c, "Relu", more));
        TRY(keras_op2(&out->name, c, most ? "Add" : "Sub", out->name, more));
        join_extents(out, &other);
    }
done:
    return st;
}

sal_status keras_layer_maximum(keras_tensor *out, const keras_call *c)
{
    return extreme(out, c, 1);
}

sal_status keras_layer_minimum(keras_tensor *out, const keras_call *c)
{
    return extreme(out, c, 0);
}

sal_status keras_layer_average(keras_tensor *out, const keras_call *c)
{
    sal_status st = chain(out, c, "Add");
    return st == SAL_OK ? keras_by_scalar(out, c, "Mul", 1.0 / (double)c->count) : st;
}

/* Of Keras 1, which had one class for all of these. */
sal_status keras_layer_merge(keras_tensor *out, const keras_call *c)
{
    static const struct {
        const char *mode;
        keras_handler *handler;
    } modes[] = {{"sum", keras_layer_add},
                 {"mul", keras_layer_multiply},
                 {"concat", keras_layer_concatenate},
                 {"ave", keras_layer_average},
                 {"max", keras_layer_maximum}};
    const char *mode = keras_text(c->settings, "mode", "?");
    if (strcmp(keras_text(c->settings, "mode_type", "raw"), "raw") != 0)
        return keras_fail(c, SAL_ERROR_UNSUPPORTED, "its mode is Python code, which salmap cannot run");
    if (json_object_get(c->layer->config, "layers"))
        return keras_fail(c, SAL_ERROR_UNSUPPORTED,
                          "it joins networks with inputs of their own; salmap explains networks of one picture");
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(mode, modes[i].mode) == 0)
            return modes[i].handler(out, c);
    return keras_fail(c, SAL_ERROR_UNSUPPORTED, "salmap does not know the mode '%.60s'", mode);
}

/* Of Inception-ResNet: x + scale * branch. */
sal_status keras_layer_custom_scale(keras_tensor *out, const keras_call *c)
{
    sal_status st = SAL_OK;
    keras_tensor branch;
    if (c->count != 2)
        return keras_fail(c, SAL_ERROR_FORMAT, "it has %zu inputs, not 2", c->count);
    branch = c->in[1];
    *out = c->in[0];
    TRY(keras_by_scalar(&branch, c, "Mul", keras_real(c->settings, "scale", 1.0)));
    TRY(keras_op2(&out->name, c, "Add", c->in[0].name, branch.name));
done:
    return st;
}
