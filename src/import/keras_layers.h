/* One function per class of Keras layers; keras_layers.c has the table. in: `count` tensors, at least one. */
#ifndef SAL_IMPORT_KERAS_LAYERS_H
#define SAL_IMPORT_KERAS_LAYERS_H

#include "import/keras_internal.h"

/* keras_ops.c */
keras_handler keras_layer_activation, keras_layer_relu, keras_layer_leaky_relu, keras_layer_elu, keras_layer_softmax,
    keras_layer_prelu, keras_layer_add, keras_layer_subtract, keras_layer_multiply, keras_layer_divide,
    keras_layer_maximum, keras_layer_minimum, keras_layer_operator, keras_layer_average, keras_layer_concatenate,
    keras_layer_custom_scale, keras_layer_pass, keras_layer_flatten, keras_layer_reshape, keras_layer_permute,
    keras_layer_zero_padding, keras_layer_cropping;

/* Top, bottom, left and right of 1, [1, 2] or [[1, 2], [3, 4]]. */
sal_status keras_borders(int64_t out[4], const keras_importer *k, const char *name);

/* keras_spatial.c */
keras_handler keras_layer_up_sampling, keras_layer_resizing, keras_layer_center_crop, keras_layer_random_crop,
    keras_layer_conv_transpose, keras_layer_group_normalization, keras_layer_cropping, keras_layer_concatenate;

#endif
