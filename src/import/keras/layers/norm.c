/* Normalisation, and what networks do to their pictures themselves. */
#include "import/keras/layers/layers.h"

#include "import/keras/keras_importer.h"
#include "import/keras/layer_config.h"
#include "import/keras/write_onnx.h"

#include <math.h>
#include <string.h>

/* ---- Normalisation ------------------------------------------------------- */

enum { NO_AXIS = -1000 };

/* An axis that may be written as [3]; NO_AXIS: several. */
static int64_t axis_of(keras_importer *k, int64_t rank)
{
    const json_t *value = json_object_get(k->layer->config, "axis");
    if (json_array_size(value) > 1)
        return NO_AXIS;
    if (json_is_array(value)) /* an empty one: all of them, with one value */
        value = json_array_get(value, 0);
    const int64_t axis = json_is_integer(value) ? (int64_t)json_integer_value(value) : -1;
    return axis < 0 ? axis + rank : axis;
}

/* Whether the layer acts along the channels of a map that has them first. */
static int is_along_first(keras_importer *k, const keras_tensor *x)
{
    return x->rank == 4 && axis_of(k, 4) == 1 && keras_channels_first_network(k);
}

sal_status keras_layer_batch_normalization(keras_importer *k, keras_tensor *out, const keras_tensor *in, size_t count)
{
    sal_status st = SAL_OK;
    SalOnnx__Node *node;
    const int scale = keras_flag(k, "scale", 1), center = keras_flag(k, "center", 1);
    const int64_t axis = axis_of(k, in[0].rank);
    static const int64_t swap[3] = {0, 2, 1};
    const int turn = in[0].rank == 4 && axis == 3, turn_rows = in[0].rank == 3 && axis == 2;
    const char *inputs[5] = {in[0].name};
    (void)count;
    *out = in[0];
    if (keras_integer(k, "mode", 0) != 0)
        return keras_fail(k, SAL_ERROR_UNSUPPORTED, "its mode %lld takes averages of the pictures at hand",
                          (long long)keras_integer(k, "mode", 0));
    if ((axis != in[0].rank - 1 && axis != 1) || in[0].rank > 4)
        return keras_fail(k, SAL_ERROR_UNSUPPORTED, "it acts on axis %lld of %d", (long long)axis, in[0].rank);
    TRY(keras_weight(&inputs[3], NULL, k, "moving_mean", scale + center));
    TRY(keras_weight(&inputs[4], NULL, k, "moving_variance", scale + center + 1));
    TRY(scale ? keras_weight(&inputs[1], NULL, k, "gamma", 0) : keras_filled(&inputs[1], k, in[0].name, axis, 1.0f));
    TRY(center ? keras_weight(&inputs[2], NULL, k, "beta", scale)
               : keras_filled(&inputs[2], k, in[0].name, axis, 0.0f));
    if (turn)
        TRY(keras_to_first(&inputs[0], k, in[0].name));
    if (turn_rows)
        TRY(keras_transpose(&inputs[0], k, swap, 3));
    TRY(keras_op(&out->name, &node, k, "BatchNormalization", inputs, 5));
    TRY(keras_set_float(k, node, "epsilon", keras_real(k, "epsilon", 1e-3)));
    if (turn)
        TRY(keras_to_last(&out->name, k, out->name));
    if (turn_rows)
        TRY(keras_transpose(&out->name, k, swap, 3));
done:
    return st;
}

sal_status keras_layer_layer_normalization(keras_importer *k, keras_tensor *out, const keras_tensor *in, size_t count)
{
    sal_status st = SAL_OK;
    SalOnnx__Node *node;
    const int scale = keras_flag(k, "scale", 1), center = keras_flag(k, "center", 1);
    const int64_t last = in[0].rank - 1;
    const char *inputs[3] = {in[0].name};
    (void)count;
    *out = in[0];
    const int first = is_along_first(k, &in[0]);
    if (axis_of(k, in[0].rank) != last && !first)
        return keras_fail_export(k, "salmap knows layer normalisation along the channels, not along other axes");
    if (keras_flag(k, "rms_scaling", 0))
        return keras_fail_export(k, "salmap does not know rms_scaling");
    if (first)
        TRY(keras_to_last(&inputs[0], k, inputs[0]));
    TRY(scale ? keras_weight(&inputs[1], NULL, k, "gamma", 0) : keras_filled(&inputs[1], k, inputs[0], last, 1.0f));
    TRY(center ? keras_weight(&inputs[2], NULL, k, "beta", scale) : keras_filled(&inputs[2], k, inputs[0], last, 0.0f));
    TRY(keras_op(&out->name, &node, k, "LayerNormalization", inputs, 3));
    TRY(keras_set_int(k, node, "axis", -1));
    TRY(keras_set_float(k, node, "epsilon", keras_real(k, "epsilon", 1e-3)));
    if (first)
        TRY(keras_to_first(&out->name, k, out->name));
done:
    return st;
}

/* ---- Preprocessing inside of the network --------------------------------- */

sal_status keras_layer_rescaling(keras_importer *k, keras_tensor *out, const keras_tensor *in, size_t count)
{
    static const char *const names[2] = {"scale", "offset"}, *const ops[2] = {"Mul", "Add"};
    sal_status st = SAL_OK;
    (void)count;
    *out = in[0];
    for (int i = 0; i < 2; i++) {
        float *values;
        int64_t n;
        const char *constant;
        TRY(keras_numbers(&values, &n, k, json_object_get(k->layer->config, names[i])));
        if (n == 0 || (n == 1 && values[0] == (i == 0 ? 1.0f : 0.0f)))
            continue;
        TRY(keras_floats(&constant, k, values, n == 1 ? -1 : n));
        TRY(keras_op2(&out->name, k, ops[i], out->name, constant));
    }
done:
    return st;
}

/* (x - mean) / max(sqrt(variance), 1e-7), by channel. */
sal_status keras_layer_normalization(keras_importer *k, keras_tensor *out, const keras_tensor *in, size_t count)
{
    sal_status st = SAL_OK;
    float *given[2], *deviations;
    const float *values[2];
    size_t sizes[2];
    const char *constant;
    (void)count;
    *out = in[0];
    const int first = is_along_first(k, &in[0]);
    if (keras_flag(k, "invert", 0) || (axis_of(k, in[0].rank) != in[0].rank - 1 && !first))
        return keras_fail_export(k, "it is inverted, or has values along other axes than the channels");
    if (first)
        TRY(keras_to_last(&out->name, k, out->name));
    for (int i = 0; i < 2; i++) {
        int64_t n;
        TRY(keras_numbers(&given[i], &n, k, json_object_get(k->layer->config, i ? "variance" : "mean")));
        values[i] = given[i];
        sizes[i] = (size_t)n;
        if (n == 0)
            TRY(keras_weight_values(&values[i], &sizes[i], k, i ? "variance" : "mean", i));
    }
    TRY(keras_floats(&constant, k, values[0], (int64_t)sizes[0]));
    TRY(keras_op2(&out->name, k, "Sub", out->name, constant));
    TRY(keras_alloc(&deviations, k, sizes[1], sizeof *deviations));
    for (size_t i = 0; i < sizes[1]; i++)
        deviations[i] = fmaxf(sqrtf(values[1][i]), 1e-7f);
    TRY(keras_floats(&constant, k, deviations, (int64_t)sizes[1]));
    TRY(keras_op2(&out->name, k, "Div", out->name, constant));
    if (first)
        TRY(keras_to_first(&out->name, k, out->name));
done:
    return st;
}

/* ConvNeXt's: x * gamma. */
sal_status keras_layer_layer_scale(keras_importer *k, keras_tensor *out, const keras_tensor *in, size_t count)
{
    sal_status st = SAL_OK;
    const char *gamma;
    (void)count;
    *out = in[0];
    TRY(keras_weight(&gamma, NULL, k, "gamma|Variable|variable", 0));
    TRY(keras_op2(&out->name, k, "Mul", in[0].name, gamma));
done:
    return st;
}
