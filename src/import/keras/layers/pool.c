/* Pools. */
#include "import/keras/layers/layers.h"

#include "import/keras/keras_importer.h"
#include "import/keras/layer_config.h"
#include "import/keras/write_onnx.h"

static sal_status pool(keras_importer *k, keras_tensor *out, const keras_tensor *in, const char *op)
{
    sal_status st = SAL_OK;
    SalOnnx__Node *node;
    int64_t size[2], strides[2], begin[2], reach[2];
    const int first = keras_channels_first(k);
    const char *x = in[0].name;
    *out = in[0];
    if (!first)
        TRY(keras_to_first(&x, k, x));
    TRY(keras_op1(&x, &node, k, op, x));
    TRY(keras_pair(size, k, "pool_size", 2));
    TRY(keras_pair(strides, k, "strides", 0));
    TRY(keras_set_ints(k, node, "kernel_shape", size, 2));
    for (int a = 0; a < 2; a++) {
        reach[a] = size[a] - 1;
        begin[a] = size[a] > 2 && size[a] % 2 == 1 ? size[a] - 2 : size[a] - 1;
    }
    TRY(keras_set_window(strides, k, node, strides[0] ? "strides" : "pool_size", 2, begin, reach));
    if (!first)
        TRY(keras_to_last(&x, k, x));
    out->name = x;
    keras_set_sides(k, out, keras_window_side(k, keras_side(k, &in[0], 0), size[0], strides[0], 1),
                    keras_window_side(k, keras_side(k, &in[0], 1), size[1], strides[1], 1));
done:
    return st;
}

sal_status keras_layer_max_pool(keras_importer *k, keras_tensor *out, const keras_tensor *in, size_t count)
{
    (void)count;
    return pool(k, out, in, "MaxPool");
}

sal_status keras_layer_average_pool(keras_importer *k, keras_tensor *out, const keras_tensor *in, size_t count)
{
    (void)count;
    return pool(k, out, in, "AveragePool");
}

static sal_status global_pool(keras_importer *k, keras_tensor *out, const keras_tensor *in, const char *op)
{
    sal_status st = SAL_OK;
    SalOnnx__Node *node;
    const int first = keras_channels_first(k);
    const char *x = in[0].name;
    *out = in[0];
    if (!first)
        TRY(keras_to_first(&x, k, x));
    TRY(keras_op1(&x, NULL, k, op, x));
    if (!keras_flag(k, "keepdims", 0)) {
        TRY(keras_op1(&x, &node, k, "Flatten", x));
        TRY(keras_set_int(k, node, "axis", 1));
        out->rank = 2;
        keras_forget_extent(out);
    } else {
        if (!first)
            TRY(keras_to_last(&x, k, x));
        keras_set_sides(k, out, 1, 1);
    }
    out->name = x;
done:
    return st;
}

sal_status keras_layer_global_average_pool(keras_importer *k, keras_tensor *out, const keras_tensor *in, size_t count)
{
    (void)count;
    return global_pool(k, out, in, "GlobalAveragePool");
}

sal_status keras_layer_global_max_pool(keras_importer *k, keras_tensor *out, const keras_tensor *in, size_t count)
{
    (void)count;
    return global_pool(k, out, in, "GlobalMaxPool");
}
