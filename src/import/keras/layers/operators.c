/* Operators on tensors that are written in a network's code and saved as layers: keras.ops, and TensorFlow's functions
 * of Keras 2. */
#include "import/keras/layers/layers.h"

#include "import/keras/class_names.h"
#include "import/keras/layer_config.h"
#include "import/keras/write_onnx.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- Functions ------------------------------------------------------------ */

sal_status keras_layer_negative(keras_tensor *out, const keras_call *c)
{
    *out = c->in[0];
    return keras_op1(&out->name, NULL, c, "Neg", c->in[0].name);
}

/* Of keras.ops: "HardSigmoid" is the activation "hard_sigmoid". */
sal_status keras_layer_function(keras_tensor *out, const keras_call *c)
{
    char name[64];
    *out = c->in[0];
    keras_snake_case(name, sizeof name, c->layer->class_name);
    return keras_activate(out, c, name);
}

/* Of TensorFlow, in Keras 2. */
sal_status keras_layer_operator(keras_tensor *out, const keras_call *c)
{
    static const struct {
        const char *function;
        keras_handler *handler; /* NULL: the activation of that name */
    } functions[] = {{"__operators__.add", keras_layer_add},
                     {"math.add", keras_layer_add},
                     {"math.divide", keras_layer_divide},
                     {"math.maximum", keras_layer_maximum},
                     {"math.minimum", keras_layer_minimum},
                     {"math.multiply", keras_layer_multiply},
                     {"math.negative", keras_layer_negative},
                     {"math.sigmoid", NULL},
                     {"math.softplus", NULL},
                     {"math.subtract", keras_layer_subtract},
                     {"math.tanh", NULL},
                     {"math.truediv", keras_layer_divide},
                     {"nn.bias_add", keras_layer_add},
                     {"nn.relu", NULL},
                     {"nn.relu6", NULL},
                     {"nn.selu", NULL},
                     {"nn.silu", NULL},
                     {"nn.softmax", NULL},
                     {"nn.softsign", NULL}};
    const char *function = keras_text(c->settings, "function", "?");
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        if (strcmp(function, functions[i].function) != 0)
            continue;
        if (functions[i].handler)
            return functions[i].handler(out, c);
        if (c->count != 1)
            return keras_fail(c, SAL_ERROR_UNSUPPORTED,
                              "it is called with %zu tensors; salmap knows this function of one", c->count);
        *out = c->in[0];
        return keras_activate(out, c, strchr(function, '.') + 1);
    }
    return keras_fail(c, SAL_ERROR_UNSUPPORTED, "salmap does not know the function tf.%.60s", function);
}

/* ---- Channels by their numbers -------------------------------------------- */

/* x[..., number] as a map of one channel. */
static sal_status pick_channel(keras_tensor *x, const keras_call *c, int64_t number)
{
    sal_status st = SAL_OK;
    const int64_t axis = 1, end = number == -1 ? INT32_MAX : number + 1;
    const char *inputs[4];
    TRY(keras_to_first(&inputs[0], c, x->name));
    TRY(keras_ints(&inputs[1], c, &number, 1));
    TRY(keras_ints(&inputs[2], c, &end, 1));
    TRY(keras_ints(&inputs[3], c, &axis, 1));
    TRY(keras_op(&x->name, NULL, c, "Slice", inputs, 4));
    TRY(keras_to_last(&x->name, c, x->name));
    x->extent[2] = 1;
done:
    return st;
}

static sal_status join_channels(keras_tensor *out, const keras_call *c, const keras_tensor *in, size_t count)
{
    sal_status st = SAL_OK;
    SalOnnx__Node *node;
    const char **names;
    TRY(keras_alloc(&names, c->arena, count, sizeof *names));
    for (size_t i = 0; i < count; i++)
        TRY(keras_to_first(&names[i], c, in[i].name));
    *out = in[0];
    TRY(keras_op(&out->name, &node, c, "Concat", names, count));
    TRY(keras_set_int(c, node, "axis", 1));
    TRY(keras_to_last(&out->name, c, out->name));
    out->extent[2] = (int64_t)count;
done:
    return st;
}

static sal_status reverse_channels(keras_tensor *out, const keras_call *c, const keras_tensor *x)
{
    enum { MOST = 16 }; /* of pictures */
    sal_status st = SAL_OK;
    keras_tensor channels[MOST];
    const int64_t count = x->extent[2];
    if (count < 1 || count > MOST)
        return keras_fail(c, SAL_ERROR_UNSUPPORTED, "it reverses %lld channels; salmap can reverse 1 to %d",
                          (long long)count, MOST);
    for (int64_t i = 0; i < count; i++) {
        channels[i] = *x;
        TRY(pick_channel(&channels[i], c, count - 1 - i));
    }
    TRY(join_channels(out, c, channels, (size_t)count));
done:
    return st;
}

static int is_step_back(const json_t *value)
{
    const char *class_name = json_string_value(json_object_get(value, "class_name"));
    if (class_name && strcmp(class_name, "__slice__") == 0)
        value = json_object_get(value, "config");
    const json_t *step = json_object_get(value, "step"), *start = json_object_get(value, "start");
    const json_t *stop = json_object_get(value, "stop");
    return json_integer_value(step) == -1 && (!start || json_is_null(start)) && (!stop || json_is_null(stop));
}

/* What stands between the brackets, of which "..., 2" and "..., ::-1" are known: as in preprocess_input of networks
 * that want blue, green, red. */
static const json_t *find_key(const json_t *call)
{
    const json_t *args = json_object_get(call, "args"), *first = json_array_get(call, 0);
    if (args)
        return json_array_get(args, 1);
    return json_object_get(json_array_get(json_is_array(first) ? first : call, 3), "slice_spec"); /* of Keras 2 */
}

sal_status keras_layer_get_item(keras_tensor *out, const keras_call *c)
{
    const json_t *key = find_key(c->arguments), *place = json_array_get(key, 1);
    const char *rest = json_string_value(json_object_get(json_array_get(key, 0), "class_name"));
    *out = c->in[0];
    if (c->in[0].rank == 4 && json_array_size(key) == 2 && rest && strcmp(rest, "__ellipsis__") == 0) {
        if (json_is_object(place) && is_step_back(place))
            return reverse_channels(out, c, &c->in[0]);
        if (json_is_integer(place) && llabs(json_integer_value(place)) <= INT16_MAX) {
            out->picked = 1;
            return pick_channel(out, c, (int64_t)json_integer_value(place));
        }
    }
    return keras_fail_export(c, "salmap knows no other indexing than x[..., 2] of a map and x[..., ::-1]");
}

/* Of what keras_layer_get_item picked. */
sal_status keras_layer_stack(keras_tensor *out, const keras_call *c)
{
    const int64_t axis = keras_integer(c->settings, "axis", 0);
    for (size_t i = 0; i < c->count; i++)
        if (!c->in[i].picked || (axis != -1 && axis != 3))
            return keras_fail_export(c, "salmap knows no other stacks than those of channels along the last axis");
    sal_status st = join_channels(out, c, c->in, c->count);
    out->picked = 0;
    return st;
}
