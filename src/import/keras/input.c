/* The picture that goes in: its shape, and which axis its channels are on. */
#include "import/keras/keras_model.h"

#include "import/keras/keras_importer.h"
#include "import/keras/write_onnx.h"
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

/* (H, W, C), or (C, H, W) where a layer of the configuration says so. */
static sal_status fix_dimension(int64_t *out, keras_importer *k, const json_t *shape, size_t axis, const char *name)
{
    const int side = (int)axis - (k->channels_first ? 2 : 1);
    sal_status st =
        onnx_fix_side(out, k->options, (int64_t)json_integer_value(json_array_get(shape, axis)), side, name);
    if (st != SAL_OK)
        return st;
    if (*out < 1 && (side == 0 || side == 1))
        return sal_fail(SAL_ERROR_UNSUPPORTED,
                        "the input %.200s has no fixed size: give it (--input-size), or save the network with it, as "
                        "Input((224, 224, 3))",
                        name);
    if (*out < 1 || *out > INT_MAX)
        return sal_fail(SAL_ERROR_UNSUPPORTED, "the input %.200s has %lld channels", name, (long long)*out);
    return SAL_OK;
}

sal_status keras_make_input(keras_importer *k, keras_tensor *out, const char *name, const json_t *shape)
{
    sal_status st = SAL_OK;
    SalOnnx__Type *type;
    SalOnnx__TensorType *tensor;
    SalOnnx__Shape *dims;
    const size_t rank = json_array_size(shape);
    if (k->input)
        return sal_fail(SAL_ERROR_UNSUPPORTED,
                        "the network has several inputs; salmap explains networks of one picture");
    if (rank != 4)
        return sal_fail(SAL_ERROR_UNSUPPORTED,
                        "the input %.200s has %zu axes; a picture has 4 (batch, height, width, "
                        "channels)",
                        name, rank);
    TRY(keras_alloc(&k->input, k, 1, sizeof *k->input));
    sal_onnx__value_info__init(k->input);
    TRY(keras_format(&k->input->name, k, "%s", name));
    TRY(keras_alloc(&k->input->type, k, 1, sizeof *k->input->type));
    TRY(keras_alloc(&type, k, 1, sizeof *type));
    sal_onnx__type__init(type);
    TRY(keras_alloc(&type->tensor_type, k, 1, sizeof *type->tensor_type));
    TRY(keras_alloc(&tensor, k, 1, sizeof *tensor));
    sal_onnx__tensor_type__init(tensor);
    TRY(keras_alloc(&tensor->shape, k, 1, sizeof *tensor->shape));
    TRY(keras_alloc(&dims, k, 1, sizeof *dims));
    sal_onnx__shape__init(dims);
    TRY(keras_alloc(&dims->dim, k, rank, sizeof *dims->dim));
    for (size_t i = 0; i < rank; i++) {
        TRY(keras_alloc(&dims->dim[i], k, 1, sizeof *dims->dim[i]));
        sal_onnx__dimension__init(dims->dim[i]);
        dims->dim[i]->dim_value = 1;
        if (i > 0)
            TRY(fix_dimension(&dims->dim[i]->dim_value, k, shape, i, name));
    }
    *out = (keras_tensor){.name = k->input->name, .rank = (int)rank};
    for (size_t i = 1; i < rank; i++)
        out->extent[i - 1] = dims->dim[i]->dim_value;
    if (!k->channels_first) { /* the graph's input has channels first, and says that the file's does not */
        SalOnnx__Dimension *channels = dims->dim[3];
        dims->dim[3] = dims->dim[2];
        dims->dim[2] = dims->dim[1];
        dims->dim[1] = channels;
        TRY(keras_to_last(&out->name, k, out->name));
    }
    dims->n_dim = rank;
    tensor->elem_type = ONNX_FLOAT;
    tensor->shape[0] = dims;
    tensor->n_shape = 1;
    type->tensor_type[0] = tensor;
    type->n_tensor_type = 1;
    k->input->type[0] = type;
    k->input->n_type = 1;
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
