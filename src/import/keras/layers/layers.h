/* One function per class of Keras layers; classes.c has the table. Each translates one call of its layer
 * (layer_call.h): it reads the layer's configuration (layer_config.h), and writes ONNX ops on the call's tensors
 * (write_onnx.h). */
#ifndef SAL_IMPORT_KERAS_LAYERS_LAYERS_H
#define SAL_IMPORT_KERAS_LAYERS_LAYERS_H

#include "import/keras/layer_call.h"
#include "import/keras/write_onnx.h"

/* *out: what the call makes. An odd setting need not be looked for: who calls a handler does that. */
typedef sal_status keras_handler(keras_tensor *out, const keras_call *c);

/* many: 1: such a layer takes more than one tensor, 2: it looks at its call's arguments itself. NULL: the class is not
 * known. */
keras_handler *keras_handler_find(int *many, const char *class_name);
/* An activation by its name in Keras. */
sal_status keras_activate(keras_tensor *x, const keras_call *c, const char *name);
/* The activation that a layer's configuration names, if any. */
sal_status keras_activate_after(keras_tensor *x, const keras_call *c);

/* activations.c */
keras_handler keras_layer_activation, keras_layer_relu, keras_layer_thresholded_relu, keras_layer_leaky_relu,
    keras_layer_elu, keras_layer_softmax, keras_layer_prelu;

/* op with a number as its second operand. */
sal_status keras_by_scalar(keras_tensor *x, const keras_call *c, const char *op, double scalar);

/* norm.c */
keras_handler keras_layer_batch_normalization, keras_layer_layer_normalization, keras_layer_rescaling,
    keras_layer_normalization, keras_layer_layer_scale;

/* conv_dense.c */
keras_handler keras_layer_conv, keras_layer_depthwise_conv, keras_layer_separable_conv, keras_layer_dense;

/* Gives a node the strides and the padding of the layer's configuration; pair: the strides. begin: what Theano pads
 * before the first element, in place of "same" as others have it; as much as is needed goes after the last. */
sal_status keras_set_window(int64_t pair[2], const keras_call *c, SalOnnx__Node *node, const char *strides,
                            int64_t otherwise, const int64_t begin[2], const int64_t reach[2]);

/* pool.c */
keras_handler keras_layer_max_pool, keras_layer_average_pool, keras_layer_global_average_pool,
    keras_layer_global_max_pool;

/* merging.c */
keras_handler keras_layer_add, keras_layer_subtract, keras_layer_multiply, keras_layer_divide, keras_layer_maximum,
    keras_layer_minimum, keras_layer_merge, keras_layer_average, keras_layer_custom_scale;

/* reshape.c */
keras_handler keras_layer_pass, keras_layer_flatten, keras_layer_reshape, keras_layer_permute, keras_layer_zero_padding;

/* Top, bottom, left and right of 1, [1, 2] or [[1, 2], [3, 4]]. */
sal_status keras_borders(int64_t out[4], const keras_call *c, const char *name);

/* operators.c; the handler of get_item looks at the call's arguments itself. */
keras_handler keras_layer_negative, keras_layer_function, keras_layer_operator, keras_layer_get_item, keras_layer_stack;

/* resizing.c */
keras_handler keras_layer_up_sampling, keras_layer_resizing, keras_layer_center_crop, keras_layer_random_crop;

/* spatial.c */
keras_handler keras_layer_conv_transpose, keras_layer_group_normalization, keras_layer_cropping,
    keras_layer_concatenate;

enum { KERAS_MOST_COPIES = 256 };

/* The call's map with channels first, whatever the layer's order, and back; its height and width as they are then. */
sal_status keras_enter(const char **x, keras_tensor *out, const keras_call *c);
sal_status keras_leave(keras_tensor *out, const keras_call *c, const char *x, int64_t height, int64_t width);
/* As many of the value as x is long along an axis. */
sal_status keras_filled(const char **out, const keras_call *c, const char *x, int64_t axis, float value);
sal_status keras_transpose(const char **x, const keras_call *c, const int64_t *perm, size_t rank);
/* x and, in place of further copies, `others`, woven so that each element becomes a block of f[0] x f[1] (at most
 * KERAS_MOST_COPIES), x in its first place. */
sal_status keras_weave(const char **x, const keras_call *c, const char *others, const int64_t f[2]);
/* Takes so many off the beginning and the end of an axis of (N, C, H, W). */
sal_status keras_crop(const char **x, const keras_call *c, int axis, int64_t before, int64_t after);

#endif
