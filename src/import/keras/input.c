/* The picture that goes in: its shape, and which axis its channels are on. */
#include "import/keras/keras_model.h"

#include "import/onnx/onnx.h"

#include <limits.h>
#include <string.h>
#include <strings.h>

enum { MOST_DEPTH = 256 }; /* of values within values, in the configuration */

json_t *keras_shape_of_layer(json_t *config)
{
    static const char *const names[] = {"batch_shape", "batch_input_shape", "build_input_shape"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        json_t *shape = json_object_get(config, names[i]);
        /* Several inputs' shapes are a list of lists. */
        if (json_is_array(shape) && json_array_size(shape) == 1 && json_is_array(json_array_get(shape, 0)))
            shape = json_array_get(shape, 0);
        if (json_is_array(shape))
            return shape;
    }
    return NULL;
}

/* What a side of the input is: 0: the height, 1: the width; another: the channels. */
static sal_status fix_side(int64_t *out, const sal_model_options *options, int64_t said, int side, const char *name)
{
    sal_status st = onnx_fix_side(out, options, said, side, name);
    if (st != SAL_OK)
        return st;
    if (*out < 1 && (side == 0 || side == 1))
        return sal_fail(SAL_ERROR_UNSUPPORTED,
                        "the input %.200s has no fixed size: pass --input-size, or save the network with a fixed size, "
                        "as Input((224, 224, 3))",
                        name);
    if (*out < 1 || *out > INT_MAX)
        return sal_fail(SAL_ERROR_UNSUPPORTED, "the input %.200s has %lld channels; a picture has at least 1", name,
                        (long long)*out);
    return SAL_OK;
}

/* A value of the graph, whose shape has `rank` sides of 1. */
static sal_status new_value(SalOnnx__ValueInfo **out, SalOnnx__Shape **shape, keras_arena *arena, const char *name,
                            size_t rank)
{
    sal_status st = SAL_OK;
    SalOnnx__ValueInfo *value;
    SalOnnx__Type *type;
    SalOnnx__TensorType *tensor;
    SalOnnx__Shape *dims;
    TRY(keras_alloc(&value, arena, 1, sizeof *value));
    sal_onnx__value_info__init(value);
    TRY(keras_format(&value->name, arena, "%s", name));
    TRY(keras_alloc(&value->type, arena, 1, sizeof *value->type));
    TRY(keras_alloc(&type, arena, 1, sizeof *type));
    sal_onnx__type__init(type);
    TRY(keras_alloc(&type->tensor_type, arena, 1, sizeof *type->tensor_type));
    TRY(keras_alloc(&tensor, arena, 1, sizeof *tensor));
    sal_onnx__tensor_type__init(tensor);
    TRY(keras_alloc(&tensor->shape, arena, 1, sizeof *tensor->shape));
    TRY(keras_alloc(&dims, arena, 1, sizeof *dims));
    sal_onnx__shape__init(dims);
    TRY(keras_alloc(&dims->dim, arena, rank, sizeof *dims->dim));
    for (size_t i = 0; i < rank; i++) {
        TRY(keras_alloc(&dims->dim[i], arena, 1, sizeof *dims->dim[i]));
        sal_onnx__dimension__init(dims->dim[i]);
        dims->dim[i]->dim_value = 1;
    }
    dims->n_dim = rank;
    tensor->elem_type = ONNX_FLOAT;
    tensor->shape[0] = dims;
    tensor->n_shape = 1;
    type->tensor_type[0] = tensor;
    type->n_tensor_type = 1;
    value->type[0] = type;
    value->n_type = 1;
    *out = value;
    *shape = dims;
done:
    return st;
}

sal_status keras_make_input(keras_tensor *out, const keras_call *c, const sal_model_options *options, const char *name,
                            const json_t *shape)
{
    sal_status st = SAL_OK;
    SalOnnx__ValueInfo *input;
    SalOnnx__Shape *dims;
    const size_t rank = json_array_size(shape);
    if (c->graph->input)
        return sal_fail(SAL_ERROR_UNSUPPORTED,
                        "the network has several inputs; salmap explains networks of one picture");
    if (rank != 4)
        return sal_fail(SAL_ERROR_UNSUPPORTED,
                        "the input %.200s has %zu axes; a picture has 4 (batch, height, width, "
                        "channels)",
                        name, rank);
    TRY(new_value(&input, &dims, c->arena, name, rank));
    *out = (keras_tensor){.name = input->name, .rank = (int)rank};
    for (size_t i = 1; i < rank; i++) {
        /* (H, W, C), or (C, H, W) where a layer of the configuration says so. */
        const int side = (int)i - (c->facts->channels_first ? 2 : 1);
        TRY(fix_side(&out->extent[i - 1], options, (int64_t)json_integer_value(json_array_get(shape, i)), side, name));
        dims->dim[i]->dim_value = out->extent[i - 1];
    }
    if (!c->facts->channels_first) { /* the graph's input has channels first, and says that the file's does not */
        SalOnnx__Dimension *channels = dims->dim[3];
        dims->dim[3] = dims->dim[2];
        dims->dim[2] = dims->dim[1];
        dims->dim[1] = channels;
        TRY(keras_to_last(&out->name, c, out->name));
    }
    c->graph->input = input;
done:
    return st;
}

int keras_says_channels_first(json_t *value, int depth)
{
    size_t i;
    const char *key;
    json_t *inner;
    if (depth > MOST_DEPTH)
        return 0;
    json_array_foreach(value, i, inner) if (keras_says_channels_first(inner, depth + 1)) return 1;
    json_object_foreach(value, key, inner)
    {
        const char *text = json_string_value(inner);
        if (text ? (strcmp(key, "data_format") == 0 && strcasecmp(text, "channels_first") == 0) ||
                       (strcmp(key, "dim_ordering") == 0 && strcmp(text, "th") == 0)
                 : keras_says_channels_first(inner, depth + 1))
            return 1;
    }
    return 0;
}
