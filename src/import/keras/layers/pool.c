/* Pools. */
#include "import/keras/layers/layers.h"

#include "import/keras/layer_config.h"
#include "import/keras/write_onnx.h"

static sal_status pool(keras_tensor *out, const keras_call *c, const char *op)
{
    sal_status st = SAL_OK;
    SalOnnx__Node *node;
    int64_t size[2], strides[2], begin[2], reach[2];
    const int first = keras_channels_first(c);
    const char *x = c->in[0].name;
    *out = c->in[0];
    if (!first)
        TRY(keras_to_first(&x, c, x));
    TRY(keras_op1(&x, &node, c, op, x));
    TRY(keras_pair(size, c, "pool_size", 2));
    TRY(keras_pair(strides, c, "strides", 0));
    TRY(keras_set_ints(c, node, "kernel_shape", size, 2));
    for (int a = 0; a < 2; a++) {
        reach[a] = size[a] - 1;
        begin[a] = size[a] > 2 && size[a] % 2 == 1 ? size[a] - 2 : size[a] - 1;
    }
    TRY(keras_set_window(strides, c, node, strides[0] ? "strides" : "pool_size", 2, begin, reach));
    if (!first)
        TRY(keras_to_last(&x, c, x));
    out->name = x;
    keras_set_sides(c, out, keras_window_side(c, keras_side(c, &c->in[0], 0), size[0], strides[0], 1),
                    keras_window_side(c, keras_side(c, &c->in[0], 1), size[1], strides[1], 1));
done:
    return st;
}

sal_status keras_layer_max_pool(keras_tensor *out, const keras_call *c)
{
    return pool(out, c, "MaxPool");
}

sal_status keras_layer_average_pool(keras_tensor *out, const keras_call *c)
{
    return pool(out, c, "AveragePool");
}

static sal_status global_pool(keras_tensor *out, const keras_call *c, const char *op)
{
    static const int64_t sides[] = {2, 3};
    sal_status st = SAL_OK;
    SalOnnx__Node *node;
    const int first = keras_channels_first(c);
    const char *x = c->in[0].name;
    *out = c->in[0];
    if (!first)
        TRY(keras_to_first(&x, c, x));
    TRY(keras_op1(&x, &node, c, op, x));
    TRY(keras_set_ints(c, node, "axes", sides, 2));
    if (!keras_flag(c->settings, "keepdims", 0)) {
        TRY(keras_op1(&x, &node, c, "Flatten", x));
        TRY(keras_set_int(c, node, "axis", 1));
        out->rank = 2;
        keras_forget_extent(out);
    } else {
        if (!first)
            TRY(keras_to_last(&x, c, x));
        keras_set_sides(c, out, 1, 1);
    }
    out->name = x;
done:
    return st;
}

sal_status keras_layer_global_average_pool(keras_tensor *out, const keras_call *c)
{
    return global_pool(out, c, "ReduceMean");
}

/* Keras shares the gradient among equals: a reduction, where ONNX's pool gives it to the first. */
sal_status keras_layer_global_max_pool(keras_tensor *out, const keras_call *c)
{
    return global_pool(out, c, "ReduceMax");
}
