/* Activations: by name, as layers, and as layers in place of a name. */
#include "import/keras/layers/layers.h"

#include "import/keras/class_names.h"
#include "import/keras/layer_config.h"
#include "import/keras/write_onnx.h"

#include <math.h>
#include <string.h>

sal_status keras_by_scalar(keras_tensor *x, const keras_call *c, const char *op, double scalar)
{
    sal_status st = SAL_OK;
    const float value = (float)scalar;
    const char *constant;
    TRY(keras_floats(&constant, c, &value, -1));
    TRY(keras_op2(&x->name, c, op, x->name, constant));
done:
    return st;
}

/* made: the op, or NULL */
static sal_status with_alpha(keras_tensor *x, const keras_call *c, const char *op, double alpha, SalOnnx__Node **made)
{
    SalOnnx__Node *node;
    sal_status st = keras_op1(&x->name, &node, c, op, x->name);
    if (made)
        *made = node;
    return st == SAL_OK ? keras_set_float(c, node, "alpha", alpha) : st;
}

static sal_status clip(keras_tensor *x, const keras_call *c, double low, double high)
{
    sal_status st = SAL_OK;
    const float bounds[2] = {(float)low, (float)high};
    const char *inputs[3] = {x->name};
    TRY(keras_floats(&inputs[1], c, &bounds[0], -1));
    TRY(keras_floats(&inputs[2], c, &bounds[1], -1));
    TRY(keras_op(&x->name, NULL, c, "Clip", inputs, 3));
done:
    return st;
}

/* x * gate(x) */
static sal_status gated(keras_tensor *x, const keras_call *c, const char *gate, double alpha, double beta)
{
    sal_status st = SAL_OK;
    SalOnnx__Node *node;
    const char *factor;
    TRY(keras_op1(&factor, &node, c, gate, x->name));
    if (alpha > 0.0) {
        TRY(keras_set_float(c, node, "alpha", alpha));
        TRY(keras_set_float(c, node, "beta", beta));
    }
    TRY(keras_op2(&x->name, c, "Mul", x->name, factor));
done:
    return st;
}

static sal_status hard_sigmoid(keras_tensor *x, const keras_call *c, double alpha)
{
    SalOnnx__Node *node;
    sal_status st = with_alpha(x, c, "HardSigmoid", alpha, &node);
    return st == SAL_OK ? keras_set_float(c, node, "beta", 0.5) : st;
}

/* f(x) - f(-x) */
static sal_status odd_function(keras_tensor *x, const keras_call *c,
                               sal_status (*f)(keras_tensor *, const keras_call *))
{
    sal_status st = SAL_OK;
    keras_tensor there = *x, back = *x;
    TRY(keras_op1(&back.name, NULL, c, "Neg", x->name));
    TRY(f(&there, c));
    TRY(f(&back, c));
    TRY(keras_op2(&x->name, c, "Sub", there.name, back.name));
done:
    return st;
}

static const double shrinks = 0.5; /* where Keras's shrinking activations begin */

static sal_status beyond_soft(keras_tensor *x, const keras_call *c)
{
    sal_status st = keras_by_scalar(x, c, "Sub", shrinks);
    return st == SAL_OK ? keras_op1(&x->name, NULL, c, "Relu", x->name) : st;
}

static sal_status beyond_hard(keras_tensor *x, const keras_call *c)
{
    return with_alpha(x, c, "ThresholdedRelu", shrinks, NULL);
}

static sal_status soft_shrink(keras_tensor *x, const keras_call *c)
{
    return odd_function(x, c, beyond_soft);
}

static sal_status hard_shrink(keras_tensor *x, const keras_call *c)
{
    return odd_function(x, c, beyond_hard);
}

static sal_status tanh_shrink(keras_tensor *x, const keras_call *c)
{
    const char *part;
    sal_status st = keras_op1(&part, NULL, c, "Tanh", x->name);
    return st == SAL_OK ? keras_op2(&x->name, c, "Sub", x->name, part) : st;
}

/* -softplus(-x) */
static sal_status log_sigmoid(keras_tensor *x, const keras_call *c)
{
    sal_status st = SAL_OK;
    static const char *const ops[] = {"Neg", "Softplus", "Neg"};
    for (int i = 0; i < 3; i++)
        TRY(keras_op1(&x->name, NULL, c, ops[i], x->name));
done:
    return st;
}

/* 0 up to -1, x from 1 on, and ((x + 1) / 2)^2 between: relu(x - 1) + ((clip(x) + 1) / 2)^2. */
static sal_status sparse_plus(keras_tensor *x, const keras_call *c)
{
    sal_status st = SAL_OK;
    keras_tensor line = *x, bend = *x;
    TRY(keras_by_scalar(&line, c, "Sub", 1.0));
    TRY(keras_op1(&line.name, NULL, c, "Relu", line.name));
    TRY(clip(&bend, c, -1.0, 1.0));
    TRY(keras_by_scalar(&bend, c, "Add", 1.0));
    TRY(keras_by_scalar(&bend, c, "Mul", 0.5));
    TRY(keras_op2(&bend.name, c, "Mul", bend.name, bend.name));
    TRY(keras_op2(&x->name, c, "Add", line.name, bend.name));
done:
    return st;
}

static sal_status silu(keras_tensor *x, const keras_call *c)
{
    return gated(x, c, "Sigmoid", 0.0, 0.0);
}

static sal_status hard_silu(keras_tensor *x, const keras_call *c)
{
    return gated(x, c, "HardSigmoid", 1.0 / 6.0, 0.5);
}

static sal_status relu6(keras_tensor *x, const keras_call *c)
{
    return clip(x, c, 0.0, 6.0);
}

static sal_status hard_tanh(keras_tensor *x, const keras_call *c)
{
    return clip(x, c, -1.0, 1.0);
}

static sal_status sparse_sigmoid(keras_tensor *x, const keras_call *c)
{
    return hard_sigmoid(x, c, 0.5);
}

/* Keras 3 took the slope that everybody else has. */
static sal_status plain_hard_sigmoid(keras_tensor *x, const keras_call *c)
{
    return hard_sigmoid(x, c, c->facts->version >= 3 ? 1.0 / 6.0 : 0.2);
}

static sal_status linear(keras_tensor *x, const keras_call *c)
{
    (void)c;
    (void)x;
    return SAL_OK;
}

static sal_status over_last_axis(keras_tensor *x, const keras_call *c, const char *op)
{
    SalOnnx__Node *node;
    sal_status st = keras_op1(&x->name, &node, c, op, x->name);
    return st == SAL_OK ? keras_set_int(c, node, "axis", -1) : st;
}

/* Keras's names of activations: what an ONNX op does (with Keras's alpha where it has one), or a formula here. */
static const struct {
    const char *name;
    const char *op;
    double alpha;
    sal_status (*formula)(keras_tensor *x, const keras_call *c);
} activations[] = {
    {"celu", "Elu", 1.0, NULL},
    {"elu", "Elu", 1.0, NULL},
    {"exponential", "Exp", 0.0, NULL},
    {"gelu", "Gelu", 0.0, NULL},
    {"hard_shrink", NULL, 0.0, hard_shrink},
    {"hard_sigmoid", NULL, 0.0, plain_hard_sigmoid},
    {"hard_silu", NULL, 0.0, hard_silu},
    {"hard_swish", NULL, 0.0, hard_silu},
    {"hard_tanh", NULL, 0.0, hard_tanh},
    {"leaky_relu", "LeakyRelu", 0.2, NULL},
    {"linear", NULL, 0.0, linear},
    {"log_sigmoid", NULL, 0.0, log_sigmoid},
    {"mish", "Mish", 0.0, NULL},
    {"relu", "Relu", 0.0, NULL},
    {"relu6", NULL, 0.0, relu6},
    {"selu", "Selu", 0.0, NULL},
    {"sigmoid", "Sigmoid", 0.0, NULL},
    {"silu", NULL, 0.0, silu},
    {"soft_shrink", NULL, 0.0, soft_shrink},
    {"softplus", "Softplus", 0.0, NULL},
    {"softsign", "Softsign", 0.0, NULL},
    {"sparse_plus", NULL, 0.0, sparse_plus},
    {"sparse_sigmoid", NULL, 0.0, sparse_sigmoid},
    {"squareplus", "Squareplus", 4.0, NULL},
    {"swish", NULL, 0.0, silu},
    {"tanh", "Tanh", 0.0, NULL},
    {"tanh_shrink", NULL, 0.0, tanh_shrink},
};

sal_status keras_activate(keras_tensor *x, const keras_call *c, const char *name)
{
    if (strchr(name, '>') && keras_is_own_module(name)) /* "keras.activations>relu" */
        name = strchr(name, '>') + 1;
    if (strcmp(name, "softmax") == 0 || strcmp(name, "log_softmax") == 0)
        return over_last_axis(x, c, name[0] == 's' ? "Softmax" : "LogSoftmax");
    for (size_t i = 0; i < sizeof activations / sizeof activations[0]; i++) {
        if (strcmp(name, activations[i].name) != 0)
            continue;
        if (activations[i].formula)
            return activations[i].formula(x, c);
        return activations[i].alpha > 0.0 ? with_alpha(x, c, activations[i].op, activations[i].alpha, NULL)
                                          : keras_op1(&x->name, NULL, c, activations[i].op, x->name);
    }
    return keras_fail(c, SAL_ERROR_UNSUPPORTED, "salmap does not know the activation '%.60s'", name);
}

/* An activation that is a layer of its own, with its own configuration. */
static sal_status activate_by_layer(keras_tensor *x, const keras_call *c, json_t *described)
{
    keras_layer layer = *c->layer;
    const keras_tensor in = *x;
    layer.class_name = json_string_value(json_object_get(described, "class_name"));
    layer.config = json_object_get(described, "config");
    int many;
    keras_handler *handler = layer.class_name ? keras_handler_find(&many, layer.class_name) : NULL;
    if (keras_is_foreign(described, layer.class_name))
        handler = NULL;
    if (handler != keras_layer_relu && handler != keras_layer_leaky_relu && handler != keras_layer_elu &&
        handler != keras_layer_softmax)
        return keras_fail(c, SAL_ERROR_UNSUPPORTED, "salmap does not know the activation '%.60s'",
                          layer.class_name ? layer.class_name : "?");
    keras_settings settings = {.config = layer.config};
    keras_call inner = *c;
    inner.layer = &layer;
    inner.settings = &settings;
    inner.in = &in;
    inner.count = 1;
    sal_status st = handler(x, &inner);
    if (settings.odd)
        keras_note_odd(c->settings, settings.odd);
    return st;
}

/* A name, or an object of a class that has one. */
sal_status keras_activate_after(keras_tensor *x, const keras_call *c)
{
    json_t *value = json_object_get(c->layer->config, "activation");
    if (json_is_object(json_object_get(value, "config")))
        return activate_by_layer(x, c, value);
    if (json_is_object(value) && json_is_string(json_object_get(value, "config")))
        return keras_fail_export(
            c, "its activation is Python code, which the file does not contain in a form that salmap can run");
    if (json_is_object(value))
        value = json_object_get(value, "class_name");
    if (!value || json_is_null(value))
        return SAL_OK;
    if (!json_is_string(value))
        return keras_fail(c, SAL_ERROR_UNSUPPORTED, "its activation is not given by its name");
    return keras_activate(x, c, json_string_value(value));
}

sal_status keras_layer_activation(keras_tensor *out, const keras_call *c)
{
    *out = c->in[0];
    return keras_activate_after(out, c);
}

/* x from the threshold on, 0 before it, at most `most`, and less the slope times what x lacks of the threshold. */
sal_status keras_layer_relu(keras_tensor *out, const keras_call *c)
{
    const double most = keras_real(c->settings, "max_value", INFINITY),
                 threshold = keras_real(c->settings, "threshold", 0.0);
    const double slope = keras_real(c->settings, "negative_slope", 0.0);
    sal_status st = SAL_OK;
    keras_tensor lacking = c->in[0];
    const char *constant;
    *out = c->in[0];
    if (slope != 0.0 && threshold == 0.0 && !isfinite(most))
        return with_alpha(out, c, "LeakyRelu", slope, NULL);
    if (threshold != 0.0)
        TRY(with_alpha(out, c, "ThresholdedRelu", threshold, NULL));
    TRY(isfinite(most) ? clip(out, c, 0.0, most) : threshold == 0.0 ? keras_activate(out, c, "relu") : SAL_OK);
    if (slope == 0.0)
        return SAL_OK;
    TRY(keras_floats(&constant, c, &(float){(float)threshold}, -1));
    TRY(keras_op2(&lacking.name, c, "Sub", constant, c->in[0].name));
    TRY(keras_op1(&lacking.name, NULL, c, "Relu", lacking.name));
    TRY(keras_by_scalar(&lacking, c, "Mul", slope));
    TRY(keras_op2(&out->name, c, "Sub", out->name, lacking.name));
done:
    return st;
}

sal_status keras_layer_thresholded_relu(keras_tensor *out, const keras_call *c)
{
    *out = c->in[0];
    return with_alpha(out, c, "ThresholdedRelu", keras_real(c->settings, "theta", 1.0), NULL);
}

sal_status keras_layer_leaky_relu(keras_tensor *out, const keras_call *c)
{
    *out = c->in[0];
    return with_alpha(out, c, "LeakyRelu",
                      keras_real(c->settings, "negative_slope", keras_real(c->settings, "alpha", 0.3)), NULL);
}

sal_status keras_layer_elu(keras_tensor *out, const keras_call *c)
{
    *out = c->in[0];
    return with_alpha(out, c, "Elu", keras_real(c->settings, "alpha", 1.0), NULL);
}

sal_status keras_layer_softmax(keras_tensor *out, const keras_call *c)
{
    sal_status st = SAL_OK;
    SalOnnx__Node *node;
    *out = c->in[0];
    TRY(keras_op1(&out->name, &node, c, "Softmax", c->in[0].name));
    TRY(keras_set_int(c, node, "axis", keras_integer(c->settings, "axis", -1)));
done:
    return st;
}

/* A slope for each element of a map: both as vectors. */
static sal_status by_element(const char **x, const keras_call *c, const char *slope, const sal_shape *shape)
{
    sal_status st = SAL_OK;
    static const int64_t all[] = {-1};
    const int64_t map[4] = {0, shape->dim[0], shape->dim[1], shape->dim[2]};
    SalOnnx__Node *node;
    const char *constant;
    TRY(keras_ints(&constant, c, all, 1));
    TRY(keras_op2(&slope, c, "Reshape", slope, constant));
    TRY(keras_op1(x, &node, c, "Flatten", *x));
    TRY(keras_set_int(c, node, "axis", 1));
    TRY(keras_op2(x, c, "Mul", *x, slope));
    TRY(keras_ints(&constant, c, map, 4));
    TRY(keras_op2(x, c, "Reshape", *x, constant));
done:
    return st;
}

/* relu(x) + slope * (x - relu(x)): a slope for all, for each channel, or for each element. */
sal_status keras_layer_prelu(keras_tensor *out, const keras_call *c)
{
    sal_status st = SAL_OK;
    const char *slope, *positive, *negative;
    sal_shape shape;
    *out = c->in[0];
    TRY(keras_weight(&slope, &shape, c, "alpha", 0));
    TRY(keras_op1(&positive, NULL, c, "Relu", c->in[0].name));
    TRY(keras_op2(&negative, c, "Sub", c->in[0].name, positive));
    if (shape.rank == 3 && c->in[0].rank == 4 && shape.dim[0] == c->in[0].extent[0] &&
        shape.dim[1] == c->in[0].extent[1] && shape.dim[0] * shape.dim[1] > 1)
        TRY(by_element(&negative, c, slope, &shape));
    else
        TRY(keras_op2(&negative, c, "Mul", negative, slope));
    TRY(keras_op2(&out->name, c, "Add", positive, negative));
done:
    return st;
}
