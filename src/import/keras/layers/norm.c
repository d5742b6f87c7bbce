/* Normalisation, and what networks do to their pictures themselves. */
#include "import/keras/layers/layers.h"

#include "import/keras/layer_config.h"
#include "import/keras/write_onnx.h"

#include <math.h>
#include <string.h>

/* ---- Normalisation ------------------------------------------------------- */

enum { NO_AXIS = -1000 };

/* An axis that may be written as [3]; NO_AXIS: several. */
static int64_t axis_of(const keras_call *c, int64_t rank)
{
    const json_t *value = json_object_get(c->layer->config, "axis");
    if (json_array_size(value) > 1)
        return NO_AXIS;
    if (json_is_array(value)) /* an empty one: all of them, with one value */
        value = json_array_get(value, 0);
    const int64_t axis = json_is_integer(value) ? (int64_t)json_integer_value(value) : -1;
    return axis < 0 ? axis + rank : axis;
}

/* Whether the layer acts along the channels of a map that has them first. */
static int is_along_first(const keras_call *c, const keras_tensor *x)
{
    return x->rank == 4 && axis_of(c, 4) == 1 && c->facts->channels_first;
}

sal_status keras_layer_batch_normalization(keras_tensor *out, const keras_call *c)
{
    sal_status st = SAL_OK;
    SalOnnx__Node *node;
    const int scale = keras_flag(c->settings, "scale", 1), center = keras_flag(c->settings, "center", 1);
    const int64_t axis = axis_of(c, c->in[0].rank);
    static const int64_t swap[3] = {0, 2, 1};
    const int turn = c->in[0].rank == 4 && axis == 3, turn_rows = c->in[0].rank == 3 && axis == 2;
    const char *inputs[5] = {c->in[0].name};
    *out = c->in[0];
    if (keras_integer(c->settings, "mode", 0) != 0)
        return keras_fail(c, SAL_ERROR_UNSUPPORTED,
                          "its mode %lld normalises with averages of the present batch; salmap knows mode 0",
                          (long long)keras_integer(c->settings, "mode", 0));
    if ((axis != c->in[0].rank - 1 && axis != 1) || c->in[0].rank > 4)
        return keras_fail(c, SAL_ERROR_UNSUPPORTED,
                          "it normalises along axis %lld of %d; salmap knows the axis of the channels", (long long)axis,
                          c->in[0].rank);
    TRY(keras_weight(&inputs[3], NULL, c, "moving_mean", scale + center));
    TRY(keras_weight(&inputs[4], NULL, c, "moving_variance", scale + center + 1));
    TRY(scale ? keras_weight(&inputs[1], NULL, c, "gamma", 0) : keras_filled(&inputs[1], c, c->in[0].name, axis, 1.0f));
    TRY(center ? keras_weight(&inputs[2], NULL, c, "beta", scale)
               : keras_filled(&inputs[2], c, c->in[0].name, axis, 0.0f));
    if (turn)
        TRY(keras_to_first(&inputs[0], c, c->in[0].name));
    if (turn_rows)
        TRY(keras_transpose(&inputs[0], c, swap, 3));
    TRY(keras_op(&out->name, &node, c, "BatchNormalization", inputs, 5));
    TRY(keras_set_float(c, node, "epsilon", keras_real(c->settings, "epsilon", 1e-3)));
    if (turn)
        TRY(keras_to_last(&out->name, c, out->name));
    if (turn_rows)
        TRY(keras_transpose(&out->name, c, swap, 3));
done:
    return st;
}

sal_status keras_layer_layer_normalization(keras_tensor *out, const keras_call *c)
{
    sal_status st = SAL_OK;
    SalOnnx__Node *node;
    const int scale = keras_flag(c->settings, "scale", 1), center = keras_flag(c->settings, "center", 1);
    const int64_t last = c->in[0].rank - 1;
    const char *inputs[3] = {c->in[0].name};
    *out = c->in[0];
    const int first = is_along_first(c, &c->in[0]);
    if (axis_of(c, c->in[0].rank) != last && !first)
        return keras_fail_export(c, "salmap knows layer normalisation along the channels, not along other axes");
    if (keras_flag(c->settings, "rms_scaling", 0))
        return keras_fail_export(c, "salmap does not know rms_scaling");
    if (first)
        TRY(keras_to_last(&inputs[0], c, inputs[0]));
    TRY(scale ? keras_weight(&inputs[1], NULL, c, "gamma", 0) : keras_filled(&inputs[1], c, inputs[0], last, 1.0f));
    TRY(center ? keras_weight(&inputs[2], NULL, c, "beta", scale) : keras_filled(&inputs[2], c, inputs[0], last, 0.0f));
    TRY(keras_op(&out->name, &node, c, "LayerNormalization", inputs, 3));
    TRY(keras_set_int(c, node, "axis", -1));
    TRY(keras_set_float(c, node, "epsilon", keras_real(c->settings, "epsilon", 1e-3)));
    if (first)
        TRY(keras_to_first(&out->name, c, out->name));
done:
    return st;
}

/* ---- Preprocessing inside of the network --------------------------------- */

sal_status keras_layer_rescaling(keras_tensor *out, const keras_call *c)
{
    static const char *const names[2] = {"scale", "offset"}, *const ops[2] = {"Mul", "Add"};
    sal_status st = SAL_OK;
    *out = c->in[0];
    for (int i = 0; i < 2; i++) {
        float *values;
        int64_t n;
        const char *constant;
        TRY(keras_numbers(&values, &n, c, json_object_get(c->layer->config, names[i])));
        if (n == 0 || (n == 1 && values[0] == (i == 0 ? 1.0f : 0.0f)))
            continue;
        TRY(keras_floats(&constant, c, values, n == 1 ? -1 : n));
        TRY(keras_op2(&out->name, c, ops[i], out->name, constant));
    }
done:
    return st;
}

/* (x - mean) / max(sqrt(variance), 1e-7), by channel. */
sal_status keras_layer_normalization(keras_tensor *out, const keras_call *c)
{
    sal_status st = SAL_OK;
    float *given[2], *deviations;
    const float *values[2];
    size_t sizes[2];
    const char *constant;
    *out = c->in[0];
    const int first = is_along_first(c, &c->in[0]);
    if (keras_flag(c->settings, "invert", 0) || (axis_of(c, c->in[0].rank) != c->in[0].rank - 1 && !first))
        return keras_fail_export(c, "it is inverted, or has values along other axes than the channels");
    if (first)
        TRY(keras_to_last(&out->name, c, out->name));
    for (int i = 0; i < 2; i++) {
        int64_t n;
        TRY(keras_numbers(&given[i], &n, c, json_object_get(c->layer->config, i ? "variance" : "mean")));
        values[i] = given[i];
        sizes[i] = (size_t)n;
        if (n == 0)
            TRY(keras_weight_values(&values[i], &sizes[i], c, i ? "variance" : "mean", i));
    }
    TRY(keras_floats(&constant, c, values[0], (int64_t)sizes[0]));
    TRY(keras_op2(&out->name, c, "Sub", out->name, constant));
    TRY(keras_alloc(&deviations, c->arena, sizes[1], sizeof *deviations));
    for (size_t i = 0; i < sizes[1]; i++)
        deviations[i] = fmaxf(sqrtf(values[1][i]), 1e-7f);
    TRY(keras_floats(&constant, c, deviations, (int64_t)sizes[1]));
    TRY(keras_op2(&out->name, c, "Div", out->name, constant));
    if (first)
        TRY(keras_to_first(&out->name, c, out->name));
done:
    return st;
}

/* ConvNeXt's: x * gamma. */
sal_status keras_layer_layer_scale(keras_tensor *out, const keras_call *c)
{
    sal_status st = SAL_OK;
    const char *gamma;
    *out = c->in[0];
    TRY(keras_weight(&gamma, NULL, c, "gamma|Variable|variable", 0));
    TRY(keras_op2(&out->name, c, "Mul", c->in[0].name, gamma));
done:
    return st;
}
