/* Layers that only move elements, pad them, or do nothing. */
#include "import/keras/layers/layers.h"

#include "import/keras/layer_config.h"
#include "import/keras/write_onnx.h"

#include <limits.h>

sal_status keras_layer_pass(keras_tensor *out, const keras_call *c)
{
    (void)c;
    *out = c->in[0];
    return SAL_OK;
}

sal_status keras_layer_flatten(keras_tensor *out, const keras_call *c)
{
    sal_status st = SAL_OK;
    SalOnnx__Node *node;
    const char *x = c->in[0].name;
    *out = c->in[0];
    if (c->in[0].rank == 2)
        return SAL_OK;
    /* The elements' order is that of channels last. */
    if (c->in[0].rank == 4 && c->facts->version > 1 && keras_channels_first(c))
        TRY(keras_to_last(&x, c, x));
    if (c->in[0].rank == 3 && c->facts->version > 1 && keras_channels_first(c))
        TRY(keras_transpose(&x, c, (const int64_t[]){0, 2, 1}, 3));
    TRY(keras_op1(&out->name, &node, c, "Flatten", x));
    TRY(keras_set_int(c, node, "axis", 1));
    out->rank = 2;
    keras_forget_extent(out);
done:
    return st;
}

sal_status keras_layer_reshape(keras_tensor *out, const keras_call *c)
{
    sal_status st = SAL_OK;
    int64_t shape[SAL_MAX_RANK] = {0}; /* 0: the batch stays */
    const char *constant;
    const json_t *target = json_object_get(c->layer->config, "target_shape");
    const json_t *whole = json_object_get(c->layer->config, "newshape"); /* of keras.ops: with the batch */
    const size_t first = whole ? 1 : 0, rank = json_array_size(whole ? whole : target) + 1 - first;
    if (!json_is_array(whole ? whole : target) || rank > SAL_MAX_RANK || rank < 1)
        return keras_fail(c, SAL_ERROR_FORMAT, "its %s is not a shape", whole ? "newshape" : "target_shape");
    if (whole && json_integer_value(json_array_get(whole, 0)) != -1)
        return keras_fail(c, SAL_ERROR_UNSUPPORTED,
                          "its newshape must begin with -1, so that the batch stays as it is");
    for (size_t i = 1; i < rank; i++) {
        const json_t *side = json_array_get(whole ? whole : target, i - 1 + first);
        if (!json_is_integer(side))
            return keras_fail(c, SAL_ERROR_UNSUPPORTED, "its shape has a side that is not a whole number");
        shape[i] = (int64_t)json_integer_value(side);
        if (whole && shape[i] < 1)
            return keras_fail(c, SAL_ERROR_UNSUPPORTED, "its newshape leaves more than one side open");
    }
    TRY(keras_ints(&constant, c, shape, (int64_t)rank));
    TRY(keras_op2(&out->name, c, "Reshape", c->in[0].name, constant));
    out->rank = (int)rank;
    keras_forget_extent(out);
    for (size_t i = 1; i < rank && rank == 4; i++)
        out->extent[i - 1] = shape[i] > 0 ? shape[i] : 0;
done:
    return st;
}

sal_status keras_layer_permute(keras_tensor *out, const keras_call *c)
{
    sal_status st = SAL_OK;
    SalOnnx__Node *node;
    int64_t perm[SAL_MAX_RANK] = {0};
    const json_t *dims = json_object_get(c->layer->config, "dims");
    const size_t rank = json_array_size(dims) + 1;
    if (!json_is_array(dims) || rank != (size_t)c->in[0].rank)
        return keras_fail(c, SAL_ERROR_FORMAT, "its dims do not match the axes of its input");
    for (size_t i = 1; i < rank; i++)
        if (json_is_integer(json_array_get(dims, i - 1)))
            perm[i] = (int64_t)json_integer_value(json_array_get(dims, i - 1));
        else
            keras_note_odd(c->settings, "dims");
    *out = c->in[0];
    TRY(keras_op1(&out->name, &node, c, "Transpose", c->in[0].name));
    TRY(keras_set_ints(c, node, "perm", perm, rank));
    keras_forget_extent(out);
done:
    return st;
}

sal_status keras_borders(int64_t out[4], const keras_call *c, const char *name)
{
    json_t *value = json_object_get(c->layer->config, name);
    const size_t size = json_array_size(value);
    const int pairs = size == 2 && json_is_array(json_array_get(value, 0));
    if (pairs || size == 4) { /* 4: Keras 1 */
        for (size_t i = 0; i < 4; i++) {
            const json_t *pair = json_array_get(value, i / 2);
            const json_t *border = pairs ? json_array_get(pair, i % 2) : json_array_get(value, i);
            if (!json_is_integer(border) || (pairs && json_array_size(pair) != 2))
                return keras_fail(c, SAL_ERROR_FORMAT, "its %s is neither a number nor pairs of numbers", name);
            out[i] = (int64_t)json_integer_value(border);
        }
    } else {
        int64_t pair[2];
        sal_status st = keras_pair(pair, c, name, 1);
        if (st != SAL_OK)
            return st;
        out[0] = out[1] = pair[0];
        out[2] = out[3] = pair[1];
    }
    for (int i = 0; i < 4; i++)
        if (out[i] < 0 || out[i] > INT_MAX)
            return keras_fail(c, SAL_ERROR_FORMAT, "its %s is %lld", name, (long long)out[i]);
    return SAL_OK;
}

sal_status keras_layer_zero_padding(keras_tensor *out, const keras_call *c)
{
    sal_status st = SAL_OK;
    int64_t b[4], pads[8] = {0};
    const int first = keras_channels_first(c) ? 2 : 1;
    const char *constant;
    *out = c->in[0];
    TRY(keras_borders(b, c, "padding"));
    for (int i = 0; i < 2; i++) {
        pads[first + i] = b[2 * i];
        pads[4 + first + i] = b[2 * i + 1];
    }
    TRY(keras_ints(&constant, c, pads, 8));
    TRY(keras_op2(&out->name, c, "Pad", c->in[0].name, constant));
    keras_set_sides(c, out, keras_side(c, &c->in[0], 0) > 0 ? keras_side(c, &c->in[0], 0) + b[0] + b[1] : 0,
                    keras_side(c, &c->in[0], 1) > 0 ? keras_side(c, &c->in[0], 1) + b[2] + b[3] : 0);
done:
    return st;
}
