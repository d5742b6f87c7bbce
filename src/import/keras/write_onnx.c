/* The ONNX model of a Keras file, and what the layers' functions need to write it. */
#include "import/keras/keras_internal.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

sal_status keras_alloc(void *out, keras_importer *k, size_t count, size_t size)
{
    sal_status st = SAL_OK;
    void *block = NULL;
    TRY(sal_alloc(&block, count, size, "the network"));
    TRY(sal_grow(&k->blocks, &k->block_capacity, k->block_count + 1, sizeof *k->blocks, "the network"));
    k->blocks[k->block_count++] = block;
    memcpy(out, &block, sizeof block);
    block = NULL;
done:
    sal_free(block);
    return st;
}

sal_status keras_format(char **out, keras_importer *k, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    sal_status st = keras_alloc(out, k, (size_t)length + 1, 1);
    if (st != SAL_OK)
        return st;
    va_start(args, format);
    vsnprintf(*out, (size_t)length + 1, format, args);
    va_end(args);
    return SAL_OK;
}

sal_status(keras_fail)(keras_importer *k, sal_status status, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!k->layer)
        return sal_fail(status, "%s", text);
    return sal_fail(status, "layer %.200s (%.80s): %s", k->layer->full_name, k->layer->class_name, text);
}

sal_status(keras_fail_export)(keras_importer *k, const char *why)
{
    if (k->version >= 3)
        return keras_fail(k, SAL_ERROR_UNSUPPORTED,
                          "%s; in Python, where the network runs, export it: model.export(\"model.onnx\", "
                          "format=\"onnx\")",
                          why);
    return keras_fail(k, SAL_ERROR_UNSUPPORTED,
                      "%s; export the network: python -m tf2onnx.convert --keras %.200s --output model.onnx", why,
                      k->path);
}

/* ---- Ops ----------------------------------------------------------------- */

/* Ops that are what a layer of a name like theirs does; others are its parts. */
static int is_layer(const char *type)
{
    static const char *const types[] = {
        "AveragePool", "BatchNormalization", "Conv", "LayerNormalization", "MatMul", "MaxPool", "Relu", "Softmax"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(type, types[i]) == 0)
            return 1;
    return 0;
}

sal_status keras_op(const char **out, SalOnnx__Node **node, keras_importer *k, const char *type,
                    const char *const *inputs, size_t count)
{
    sal_status st = SAL_OK;
    SalOnnx__Node *n;
    char *name, *output;
    if (k->node_count >= k->max_nodes)
        return sal_fail(SAL_ERROR_LIMIT, "more than %llu nodes", (unsigned long long)k->max_nodes);
    TRY(keras_alloc(&n, k, 1, sizeof *n));
    sal_onnx__node__init(n);
    /* The layer's name where the op is the layer, and one that can be told from it otherwise. */
    if (k->layer && is_layer(type))
        TRY(keras_format(&name, k, "%s", k->layer->full_name));
    else
        TRY(keras_format(&name, k, "%s/%s", k->layer ? k->layer->full_name : "model", type));
    TRY(keras_format(&output, k, "%s:%lu", name, k->made++));
    n->name = name;
    n->op_type = (char *)type;
    TRY(keras_alloc(&n->input, k, count, sizeof *n->input));
    TRY(keras_alloc(&n->output, k, 1, sizeof *n->output));
    for (size_t i = 0; i < count; i++)
        n->input[i] = (char *)inputs[i];
    n->n_input = count;
    n->output[0] = output;
    n->n_output = 1;
    TRY(sal_grow(&k->nodes, &k->node_capacity, k->node_count + 1, sizeof *k->nodes, "the network"));
    k->nodes[k->node_count++] = n;
    *out = output;
    if (node)
        *node = n;
done:
    return st;
}

sal_status keras_op1(const char **out, SalOnnx__Node **node, keras_importer *k, const char *type, const char *x)
{
    return keras_op(out, node, k, type, &x, 1);
}

sal_status keras_op2(const char **out, keras_importer *k, const char *type, const char *x, const char *y)
{
    const char *const inputs[] = {x, y};
    return keras_op(out, NULL, k, type, inputs, 2);
}

enum { TYPE_FLOAT = 1, TYPE_INT = 2, TYPE_STRING = 3, TYPE_INTS = 7 };

static sal_status add_attribute(SalOnnx__Attribute **out, keras_importer *k, SalOnnx__Node *node, const char *name,
                                int type)
{
    enum { MOST = 8 };
    sal_status st = SAL_OK;
    SalOnnx__Attribute *a;
    if (!node->attribute)
        TRY(keras_alloc(&node->attribute, k, MOST, sizeof *node->attribute));
    TRY(keras_alloc(&a, k, 1, sizeof *a));
    sal_onnx__attribute__init(a);
    a->name = (char *)name;
    a->type = type;
    node->attribute[node->n_attribute++] = a;
    *out = a;
done:
    return st;
}

sal_status keras_set_int(keras_importer *k, SalOnnx__Node *node, const char *name, int64_t value)
{
    SalOnnx__Attribute *a;
    sal_status st = add_attribute(&a, k, node, name, TYPE_INT);
    if (st == SAL_OK)
        a->i = value;
    return st;
}

sal_status keras_set_float(keras_importer *k, SalOnnx__Node *node, const char *name, double value)
{
    SalOnnx__Attribute *a;
    sal_status st = add_attribute(&a, k, node, name, TYPE_FLOAT);
    if (st == SAL_OK)
        a->f = (float)value;
    return st;
}

sal_status keras_set_ints(keras_importer *k, SalOnnx__Node *node, const char *name, const int64_t *values, size_t count)
{
    sal_status st = SAL_OK;
    SalOnnx__Attribute *a;
    TRY(add_attribute(&a, k, node, name, TYPE_INTS));
    TRY(keras_alloc(&a->ints, k, count, sizeof *a->ints));
    memcpy(a->ints, values, count * sizeof *values);
    a->n_ints = count;
done:
    return st;
}

sal_status keras_set_text(keras_importer *k, SalOnnx__Node *node, const char *name, const char *value)
{
    sal_status st = SAL_OK;
    SalOnnx__Attribute *a;
    char *copy;
    TRY(add_attribute(&a, k, node, name, TYPE_STRING));
    TRY(keras_format(&copy, k, "%s", value));
    a->s.data = (uint8_t *)copy;
    a->s.len = strlen(copy);
done:
    return st;
}

static sal_status turn(const char **out, keras_importer *k, const char *x, const int64_t perm[4])
{
    SalOnnx__Node *node;
    sal_status st = keras_op1(out, &node, k, "Transpose", x);
    return st == SAL_OK ? keras_set_ints(k, node, "perm", perm, 4) : st;
}

sal_status keras_to_first(const char **out, keras_importer *k, const char *x)
{
    static const int64_t perm[] = {0, 3, 1, 2};
    return turn(out, k, x, perm);
}

sal_status keras_to_last(const char **out, keras_importer *k, const char *x)
{
    static const int64_t perm[] = {0, 2, 3, 1};
    return turn(out, k, x, perm);
}

/* ---- Constants ----------------------------------------------------------- */

static sal_status add_constant(SalOnnx__Tensor **out, keras_importer *k, int type, const int64_t *dims, size_t rank)
{
    sal_status st = SAL_OK;
    SalOnnx__Tensor *t;
    TRY(keras_alloc(&t, k, 1, sizeof *t));
    sal_onnx__tensor__init(t);
    TRY(keras_format(&t->name, k, "constant:%lu", k->made++));
    t->data_type = type;
    TRY(keras_alloc(&t->dims, k, rank, sizeof *t->dims));
    for (size_t i = 0; i < rank; i++)
        t->dims[i] = dims[i];
    t->n_dims = rank;
    TRY(sal_grow(&k->constants, &k->constant_capacity, k->constant_count + 1, sizeof *k->constants, "the network"));
    k->constants[k->constant_count++] = t;
    *out = t;
done:
    return st;
}

sal_status keras_floats(const char **out, keras_importer *k, const float *values, int64_t count)
{
    sal_status st = SAL_OK;
    SalOnnx__Tensor *t;
    const size_t n = count < 0 ? 1 : (size_t)count;
    TRY(add_constant(&t, k, ONNX_FLOAT, &count, count < 0 ? 0 : 1));
    TRY(keras_alloc(&t->float_data, k, n, sizeof *t->float_data));
    memcpy(t->float_data, values, n * sizeof *values);
    t->n_float_data = n;
    *out = t->name;
done:
    return st;
}

sal_status keras_ints(const char **out, keras_importer *k, const int64_t *values, int64_t count)
{
    sal_status st = SAL_OK;
    SalOnnx__Tensor *t;
    const size_t n = count < 0 ? 1 : (size_t)count;
    TRY(add_constant(&t, k, ONNX_INT64, &count, count < 0 ? 0 : 1));
    TRY(keras_alloc(&t->int64_data, k, n, sizeof *t->int64_data));
    memcpy(t->int64_data, values, n * sizeof *values);
    t->n_int64_data = n;
    *out = t->name;
done:
    return st;
}

const char *keras_without_path(keras_importer *k, const char *error)
{
    const size_t n = strlen(k->path);
    return strncmp(error, k->path, n) == 0 && strncmp(error + n, ": ", 2) == 0 ? error + n + 2 : error;
}

static sal_status find_weight(uint64_t *index, sal_shape *shape, keras_importer *k, const char *roles, int position)
{
    sal_status st = SAL_OK;
    char *dataset;
    int has = 1;
    TRY(keras_weight_path(&dataset, k, roles, position));
    st = keras_hdf5_find(index, shape, k->weights.file, dataset);
    if (st == SAL_ERROR_FORMAT && k->weights.archive)
        TRY(keras_hdf5_has(&has, k->weights.file, dataset));
    if (!has)
        st =
            keras_fail(k, SAL_ERROR_FORMAT,
                       "the file has no %.*s of it, no %s (Keras saves a layer that two models share with one of them)",
                       (int)strcspn(roles, "|"), roles, dataset);
    else if (st != SAL_OK)
        st = keras_fail(k, st, "%s", keras_without_path(k, sal_last_error()));
    for (int a = 0; st == SAL_OK && a < shape->rank; a++)
        if (shape->dim[a] < 1)
            st = keras_fail(k, SAL_ERROR_FORMAT, "%s is empty", dataset);
done:
    return st;
}

sal_status keras_new_weights(float **out, keras_importer *k, size_t rows, size_t columns)
{
    static const uint64_t most = (uint64_t)1 << 29;
    const uint64_t limit = k->max_bytes < most ? k->max_bytes : most;
    sal_status st = SAL_OK;
    size_t count, bytes;
    TRY(sal_size_mul(&count, rows, columns, "weights"));
    TRY(sal_size_mul(&bytes, count, sizeof **out, "weights"));
    if (bytes > limit || k->computed_bytes > limit - bytes)
        return keras_fail(k, SAL_ERROR_LIMIT, "with it, weights that are computed have more than %llu bytes",
                          (unsigned long long)limit);
    k->computed_bytes += bytes;
    TRY(keras_alloc(out, k, count, sizeof **out));
done:
    return st;
}

sal_status keras_weight(const char **out, sal_shape *shape, keras_importer *k, const char *roles, int position)
{
    sal_status st = SAL_OK;
    SalOnnx__Tensor *t;
    sal_shape found;
    uint64_t index;
    TRY(find_weight(&index, &found, k, roles, position));
    TRY(add_constant(&t, k, ONNX_FLOAT, found.dim, (size_t)found.rank));
    t->data_location = ONNX_LOCATION_SOURCE;
    t->file_offset = index;
    /* Errors name the layer and the role. */
    TRY(keras_format(&t->name, k, "%s/%.*s:%lu", k->layer->full_name, (int)strcspn(roles, "|"), roles, k->made++));
    *out = t->name;
    if (shape)
        *shape = found;
done:
    return st;
}

sal_status keras_weight_values(const float **values, size_t *count, keras_importer *k, const char *roles, int position)
{
    sal_status st = SAL_OK;
    sal_shape shape;
    uint64_t index;
    float *own;
    TRY(find_weight(&index, &shape, k, roles, position));
    *count = 1;
    for (int a = 0; a < shape.rank; a++)
        TRY(sal_size_mul(count, *count, (size_t)shape.dim[a], k->layer->full_name));
    TRY(keras_new_weights(&own, k, *count, 1));
    TRY(keras_hdf5_read(own, *count, k->weights.file, index));
    *values = own;
done:
    return st;
}

/* ---- Configuration ------------------------------------------------------- */

static json_t *value_of(keras_importer *k, const char *name)
{
    json_t *value = json_object_get(k->layer->config, name);
    return json_is_null(value) ? NULL : value;
}

/* Notes a value that is there, but of another kind. */
static int is_there(keras_importer *k, const char *name, const json_t *value, int right)
{
    if (value && !right && !k->odd_setting)
        k->odd_setting = name;
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

int keras_flag(keras_importer *k, const char *name, int otherwise)
{
    const json_t *value = value_of(k, name);
    return is_there(k, name, value, json_is_boolean(value)) ? json_is_true(value) : otherwise;
}

int64_t keras_integer(keras_importer *k, const char *name, int64_t otherwise)
{
    const json_t *value = value_of(k, name);
    return is_there(k, name, value, json_is_integer(value)) ? (int64_t)json_integer_value(value) : otherwise;
}

double keras_real(keras_importer *k, const char *name, double otherwise)
{
    const json_t *value = value_of(k, name), *number = without_array(value);
    while (json_array_size(number) == 1) /* arrays of one number */
        number = json_array_get(number, 0);
    return is_there(k, name, value, json_is_number(number)) ? json_number_value(number) : otherwise;
}

const char *keras_text(keras_importer *k, const char *name, const char *otherwise)
{
    const json_t *value = value_of(k, name);
    return is_there(k, name, value, json_is_string(value)) ? json_string_value(value) : otherwise;
}

sal_status keras_numbers(float **values, int64_t *count, keras_importer *k, const json_t *value)
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
            return keras_fail(k, SAL_ERROR_UNSUPPORTED, "it has a constant of several axes");
    if (size == 0)
        return keras_fail(k, SAL_ERROR_UNSUPPORTED, "it has a constant that is neither a number nor a list of numbers");
    TRY(keras_new_weights(values, k, size, 1));
    for (size_t i = 0; i < size; i++)
        (*values)[i] = (float)json_number_value(json_is_number(value) ? value : json_array_get(value, i));
    *count = (int64_t)size;
done:
    return st;
}

sal_status keras_pair(int64_t out[2], keras_importer *k, const char *name, int64_t otherwise)
{
    const json_t *value = value_of(k, name);
    out[0] = out[1] = otherwise;
    if (json_is_integer(value)) {
        out[0] = out[1] = (int64_t)json_integer_value(value);
    } else if (json_is_array(value) && json_array_size(value) == 2 && json_is_integer(json_array_get(value, 0)) &&
               json_is_integer(json_array_get(value, 1))) {
        for (size_t i = 0; i < 2; i++)
            out[i] = (int64_t)json_integer_value(json_array_get(value, i));
    } else if (value) {
        return keras_fail(k, SAL_ERROR_FORMAT, "its %s is neither a number nor a pair", name);
    }
    for (size_t i = 0; i < 2; i++)
        if (out[i] < 0 || out[i] > INT32_MAX)
            return keras_fail(k, SAL_ERROR_FORMAT, "its %s is %lld", name, (long long)out[i]);
    return SAL_OK;
}

/* Notes an order of axes that is neither. */
static int is_first(keras_importer *k, const char *name, int first, int last)
{
    if (!first && !last && !k->odd_setting)
        k->odd_setting = name;
    return first;
}

int keras_channels_first(keras_importer *k)
{
    const char *format = keras_text(k, "data_format", NULL), *ordering = keras_text(k, "dim_ordering", NULL);
    if (format) /* in capitals or not, as Keras takes it */
        return is_first(k, "data_format", strcasecmp(format, "channels_first") == 0,
                        strcasecmp(format, "channels_last") == 0);
    if (ordering)
        return is_first(k, "dim_ordering", strcmp(ordering, "th") == 0, strcmp(ordering, "tf") == 0);
    return k->version == 1 && k->channels_first; /* some layers of Keras 1 do not say it */
}

int64_t keras_side(keras_importer *k, const keras_tensor *t, int side)
{
    return t->extent[side + (keras_channels_first(k) ? 1 : 0)];
}

void keras_set_sides(keras_importer *k, keras_tensor *t, int64_t height, int64_t width)
{
    const int first = keras_channels_first(k) ? 1 : 0;
    keras_forget_extent(t);
    t->extent[first] = height > 0 && height <= INT32_MAX ? height : 0;
    t->extent[first + 1] = width > 0 && width <= INT32_MAX ? width : 0;
}

int64_t keras_window_side(keras_importer *k, int64_t side, int64_t kernel, int64_t stride, int64_t dilation)
{
    const char *padding = keras_text(k, "padding", keras_text(k, "border_mode", "valid"));
    const int64_t reach = dilation * (kernel - 1);
    if (side < 1 || stride < 1)
        return 0;
    if (strcmp(padding, "same") == 0)
        return (side - 1) / stride + 1;
    return side > reach ? (side - reach - 1) / stride + 1 : 0;
}

int keras_channels_first_network(keras_importer *k)
{
    return k->channels_first;
}
