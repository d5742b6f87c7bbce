/* Values of a layer's configuration, whatever version of Keras wrote it. */
#include "import/keras/layer_config.h"

#include "import/keras/write_onnx.h"

#include <string.h>
#include <strings.h>

static json_t *value_of(const keras_settings *settings, const char *name)
{
    json_t *value = json_object_get(settings->config, name);
    return json_is_null(value) ? NULL : value;
}

void keras_note_odd(keras_settings *settings, const char *name)
{
    if (!settings->odd)
        settings->odd = name;
}

/* Notes a value that is there, but of another kind. */
static int is_there(keras_settings *settings, const char *name, const json_t *value, int right)
{
    if (value && !right)
        keras_note_odd(settings, name);
    return value && right;
}

/* What is in an array, as Keras 3 or Keras 2 describes one; the value itself where it is none. */
static const json_t *without_array(const json_t *value)
{
    const char *class_name = json_string_value(json_object_get(value, "class_name"));
    if (class_name && (strcmp(class_name, "__numpy__") == 0 || strcmp(class_name, "__tensor__") == 0))
        return json_object_get(json_object_get(value, "config"), "value");
    return json_is_object(value) ? json_object_get(value, "value") : value;
}

int keras_flag(keras_settings *settings, const char *name, int otherwise)
{
    const json_t *value = value_of(settings, name);
    return is_there(settings, name, value, json_is_boolean(value)) ? json_is_true(value) : otherwise;
}

int64_t keras_integer(keras_settings *settings, const char *name, int64_t otherwise)
{
    const json_t *value = value_of(settings, name);
    return is_there(settings, name, value, json_is_integer(value)) ? (int64_t)json_integer_value(value) : otherwise;
}

double keras_real(keras_settings *settings, const char *name, double otherwise)
{
    const json_t *value = value_of(settings, name), *number = without_array(value);
    while (json_array_size(number) == 1) /* arrays of one number */
        number = json_array_get(number, 0);
    return is_there(settings, name, value, json_is_number(number)) ? json_number_value(number) : otherwise;
}

const char *keras_text(keras_settings *settings, const char *name, const char *otherwise)
{
    const json_t *value = value_of(settings, name);
    return is_there(settings, name, value, json_is_string(value)) ? json_string_value(value) : otherwise;
}

sal_status keras_numbers(float **values, int64_t *count, const keras_call *c, const json_t *value)
{
    sal_status st = SAL_OK;
    *count = 0;
    *values = NULL;
    if (!value || json_is_null(value))
        return SAL_OK;
    value = without_array(value);
    while (json_is_array(value) && json_array_size(value) == 1 && json_is_array(json_array_get(value, 0)))
        value = json_array_get(value, 0); /* (1, 1, C), as adapted layers have it */
    const size_t size = json_is_number(value) ? 1 : json_array_size(value);
    for (size_t i = 0; i < size && json_is_array(value); i++)
        if (!json_is_number(json_array_get(value, i)))
            return keras_fail(c, SAL_ERROR_UNSUPPORTED,
                              "it has a constant with several axes; salmap knows numbers and lists of numbers");
    if (size == 0)
        return keras_fail(c, SAL_ERROR_UNSUPPORTED, "it has a constant that is neither a number nor a list of numbers");
    TRY(keras_new_weights(values, c, size, 1));
    for (size_t i = 0; i < size; i++)
        (*values)[i] = (float)json_number_value(json_is_number(value) ? value : json_array_get(value, i));
    *count = (int64_t)size;
done:
    return st;
}

sal_status keras_pair(int64_t out[2], const keras_call *c, const char *name, int64_t otherwise)
{
    const json_t *value = value_of(c->settings, name);
    out[0] = out[1] = otherwise;
    if (json_is_integer(value)) {
        out[0] = out[1] = (int64_t)json_integer_value(value);
    } else if (json_is_array(value) && json_array_size(value) == 2 && json_is_integer(json_array_get(value, 0)) &&
               json_is_integer(json_array_get(value, 1))) {
        for (size_t i = 0; i < 2; i++)
            out[i] = (int64_t)json_integer_value(json_array_get(value, i));
    } else if (value) {
        return keras_fail(c, SAL_ERROR_FORMAT, "its %s is neither a number nor a pair", name);
    }
    for (size_t i = 0; i < 2; i++)
        if (out[i] < 0 || out[i] > INT32_MAX)
            return keras_fail(c, SAL_ERROR_FORMAT, "its %s is %lld", name, (long long)out[i]);
    return SAL_OK;
}

/* Notes an order of axes that is neither. */
static int is_first(keras_settings *settings, const char *name, int first, int last)
{
    if (!first && !last)
        keras_note_odd(settings, name);
    return first;
}

int keras_channels_first(const keras_call *c)
{
    const char *format = keras_text(c->settings, "data_format", NULL),
               *ordering = keras_text(c->settings, "dim_ordering", NULL);
    if (format) /* in capitals or not, as Keras takes it */
        return is_first(c->settings, "data_format", strcasecmp(format, "channels_first") == 0,
                        strcasecmp(format, "channels_last") == 0);
    if (ordering)
        return is_first(c->settings, "dim_ordering", strcmp(ordering, "th") == 0, strcmp(ordering, "tf") == 0);
    return c->facts->version == 1 && c->facts->channels_first; /* some layers of Keras 1 do not say it */
}

int64_t keras_side(const keras_call *c, const keras_tensor *t, int side)
{
    return t->extent[side + (keras_channels_first(c) ? 1 : 0)];
}

void keras_set_sides(const keras_call *c, keras_tensor *t, int64_t height, int64_t width)
{
    const int first = keras_channels_first(c) ? 1 : 0;
    keras_forget_extent(t);
    t->extent[first] = height > 0 && height <= INT32_MAX ? height : 0;
    t->extent[first + 1] = width > 0 && width <= INT32_MAX ? width : 0;
}

int64_t keras_window_side(const keras_call *c, int64_t side, int64_t kernel, int64_t stride, int64_t dilation)
{
    const char *padding = keras_text(c->settings, "padding", keras_text(c->settings, "border_mode", "valid"));
    const int64_t reach = dilation * (kernel - 1);
    if (side < 1 || stride < 1)
        return 0;
    if (strcmp(padding, "same") == 0)
        return (side - 1) / stride + 1;
    return side > reach ? (side - reach - 1) / stride + 1 : 0;
}
