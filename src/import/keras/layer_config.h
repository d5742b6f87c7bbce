/* The present layer's configuration, and the sides of maps in the order of axes that it names. */
#ifndef SAL_IMPORT_KERAS_LAYER_CONFIG_H
#define SAL_IMPORT_KERAS_LAYER_CONFIG_H

#include "import/keras/keras_importer.h"

/* Values of the present layer's configuration, with a default where they are null or not there. What is of another kind
 * is noted, and the layer is refused. */
int keras_flag(keras_importer *k, const char *name, int otherwise);
int64_t keras_integer(keras_importer *k, const char *name, int64_t otherwise);
double keras_real(keras_importer *k, const char *name, double otherwise);
const char *keras_text(keras_importer *k, const char *name, const char *otherwise);
/* A number, a list of numbers (also within lists of one element), or either as Keras 3 writes arrays. *count 0: there
 * is no value. Errors: UNSUPPORTED (something else), MEMORY. */
sal_status keras_numbers(float **values, int64_t *count, keras_importer *k, const json_t *value);
/* Two whole numbers, as [3, 3] or 3. */
sal_status keras_pair(int64_t out[2], keras_importer *k, const char *name, int64_t otherwise);
int keras_channels_first(keras_importer *k);
/* Whether any layer of the network says so: inputs and merges do not. */
int keras_channels_first_network(keras_importer *k);

/* Nobody knows the tensor's height and width, or it has none. */
static inline void keras_forget_extent(keras_tensor *t)
{
    t->extent[0] = t->extent[1] = t->extent[2] = 0;
}
/* Its height (0) or width (1), in the present layer's order; 0 where it is not known. */
int64_t keras_side(keras_importer *k, const keras_tensor *t, int side);
void keras_set_sides(keras_importer *k, keras_tensor *t, int64_t height, int64_t width);
/* What a window of the present layer's padding leaves of one side; 0 of what is not known. */
int64_t keras_window_side(keras_importer *k, int64_t side, int64_t kernel, int64_t stride, int64_t dilation);

#endif
