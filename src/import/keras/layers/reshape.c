/* Layers that only move elements, pad them, or do nothing. */
#include "import/keras/layers/layers.h"

#include "import/keras/keras_importer.h"
#include "import/keras/layer_config.h"
#include "import/keras/write_onnx.h"

#include <limits.h>

sal_status keras_layer_pass(keras_importer *k, keras_tensor *out, const keras_tensor *in, size_t count)
{
    (void)k;
    (void)count;
    *out = in[0];
    return SAL_OK;
}

sal_status keras_layer_flatten(keras_importer *k, keras_tensor *out, const keras_tensor *in, size_t count)
{
    sal_status st = SAL_OK;
    SalOnnx__Node *node;
    const char *x = in[0].name;
    (void)count;
    *out = in[0];
    if (in[0].rank == 2)
        return SAL_OK;
    /* The elements' order is that of channels last. */
    if (in[0].rank == 4 && k->version > 1 && keras_channels_first(k))
        TRY(keras_to_last(&x, k, x));
    if (in[0].rank == 3 && k->version > 1 && keras_channels_first(k))
        TRY(keras_transpose(&x, k, (const int64_t[]){0, 2, 1}, 3));
    TRY(keras_op1(&out->name, &node, k, "Flatten", x));
    TRY(keras_set_int(k, node, "axis", 1));
    out->rank = 2;
    keras_forget_extent(out);
done:
    return st;
}

sal_status keras_layer_reshape(keras_importer *k, keras_tensor *out, const keras_tensor *in, size_t count)
{
    sal_status st = SAL_OK;
    int64_t shape[SAL_MAX_RANK] = {0}; /* 0: the batch stays */
    const char *constant;
    const json_t *target = json_object_get(k->layer->config, "target_shape");
    const json_t *whole = json_object_get(k->layer->config, "newshape"); /* of keras.ops: with the batch */
    const size_t first = whole ? 1 : 0, rank = json_array_size(whole ? whole : target) + 1 - first;
    (void)count;
    if (!json_is_array(whole ? whole : target) || rank > SAL_MAX_RANK || rank < 1)
        return keras_fail(k, SAL_ERROR_FORMAT, "its %s is no shape", whole ? "newshape" : "target_shape");
    if (whole && json_integer_value(json_array_get(whole, 0)) != -1)
        return keras_fail(k, SAL_ERROR_UNSUPPORTED,
                          "its newshape does not leave the batch as it is: it has to begin with -1");
    for (size_t i = 1; i < rank; i++) {
        const json_t *side = json_array_get(whole ? whole : target, i - 1 + first);
        if (!json_is_integer(side))
            return keras_fail(k, SAL_ERROR_UNSUPPORTED, "its shape has a side that is no whole number");
        shape[i] = (int64_t)json_integer_value(side);
        if (whole && shape[i] < 1)
            return keras_fail(k, SAL_ERROR_UNSUPPORTED, "its newshape has more than one side that is not said");
    }
    TRY(keras_ints(&constant, k, shape, (int64_t)rank));
    TRY(keras_op2(&out->name, k, "Reshape", in[0].name, constant));
    out->rank = (int)rank;
    keras_forget_extent(out);
    for (size_t i = 1; i < rank && rank == 4; i++)
        out->extent[i - 1] = shape[i] > 0 ? shape[i] : 0;
done:
    return st;
}

sal_status keras_layer_permute(keras_importer *k, keras_tensor *out, const keras_tensor *in, size_t count)
{
    sal_status st = SAL_OK;
    SalOnnx__Node *node;
    int64_t perm[SAL_MAX_RANK] = {0};
    const json_t *dims = json_object_get(k->layer->config, "dims");
    const size_t rank = json_array_size(dims) + 1;
    (void)count;
    if (!json_is_array(dims) || rank != (size_t)in[0].rank)
        return keras_fail(k, SAL_ERROR_FORMAT, "its dims are not those of its input");
    for (size_t i = 1; i < rank; i++)
        if (json_is_integer(json_array_get(dims, i - 1)))
            perm[i] = (int64_t)json_integer_value(json_array_get(dims, i - 1));
        else
            k->odd_setting = "dims";
    *out = in[0];
    TRY(keras_op1(&out->name, &node, k, "Transpose", in[0].name));
    TRY(keras_set_ints(k, node, "perm", perm, rank));
    keras_forget_extent(out);
done:
    return st;
}

sal_status keras_borders(int64_t out[4], keras_importer *k, const char *name)
{
    json_t *value = json_object_get(k->layer->config, name);
    const size_t size = json_array_size(value);
    const int pairs = size == 2 && json_is_array(json_array_get(value, 0));
    if (pairs || size == 4) { /* 4: Keras 1 */
        for (size_t i = 0; i < 4; i++) {
            const json_t *pair = json_array_get(value, i / 2);
            const json_t *border = pairs ? json_array_get(pair, i % 2) : json_array_get(value, i);
            if (!json_is_integer(border) || (pairs && json_array_size(pair) != 2))
                return keras_fail(k, SAL_ERROR_FORMAT, "its %s is neither a number nor pairs of numbers", name);
            out[i] = (int64_t)json_integer_value(border);
        }
    } else {
        int64_t pair[2];
        sal_status st = keras_pair(pair, k, name, 1);
        if (st != SAL_OK)
            return st;
        out[0] = out[1] = pair[0];
        out[2] = out[3] = pair[1];
    }
    for (int i = 0; i < 4; i++)
        if (out[i] < 0 || out[i] > INT_MAX)
            return keras_fail(k, SAL_ERROR_FORMAT, "its %s is %lld", name, (long long)out[i]);
    return SAL_OK;
}

sal_status keras_layer_zero_padding(keras_importer *k, keras_tensor *out, const keras_tensor *in, size_t count)
{
    sal_status st = SAL_OK;
    int64_t b[4], pads[8] = {0};
    const int first = keras_channels_first(k) ? 2 : 1;
    const char *constant;
    (void)count;
    *out = in[0];
    TRY(keras_borders(b, k, "padding"));
    for (int i = 0; i < 2; i++) {
        pads[first + i] = b[2 * i];
        pads[4 + first + i] = b[2 * i + 1];
    }
    TRY(keras_ints(&constant, k, pads, 8));
    TRY(keras_op2(&out->name, k, "Pad", in[0].name, constant));
    keras_set_sides(k, out, keras_side(k, &in[0], 0) > 0 ? keras_side(k, &in[0], 0) + b[0] + b[1] : 0,
                    keras_side(k, &in[0], 1) > 0 ? keras_side(k, &in[0], 1) + b[2] + b[3] : 0);
done:
    return st;
}
