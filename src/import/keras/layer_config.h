/* A layer's configuration, and the sides of maps in the order of axes that it names. */
#ifndef SAL_IMPORT_KERAS_LAYER_CONFIG_H
#define SAL_IMPORT_KERAS_LAYER_CONFIG_H

#include "import/keras/layer_call.h"

/* Reads settings by their names. One that is of another kind than was expected is noted in `odd`, and its default read
 * in its place: the layer is then refused, once its function is through. */
struct keras_settings {
    json_t *config;
    const char *odd; /* name of the first odd setting, or NULL */
};

void keras_note_odd(keras_settings *settings, const char *name);
/* With a default where they are null or not there. */
int keras_flag(keras_settings *settings, const char *name, int otherwise);
int64_t keras_integer(keras_settings *settings, const char *name, int64_t otherwise);
double keras_real(keras_settings *settings, const char *name, double otherwise);
const char *keras_text(keras_settings *settings, const char *name, const char *otherwise);
/* A number, a list of numbers (also within lists of one element), or either as Keras 3 writes arrays. *count 0: there
 * is no value. Errors: UNSUPPORTED (something else), MEMORY. */
sal_status keras_numbers(float **values, int64_t *count, const keras_call *c, const json_t *value);
/* Two whole numbers, as [3, 3] or 3. Errors: FORMAT. */
sal_status keras_pair(int64_t out[2], const keras_call *c, const char *name, int64_t otherwise);
/* Whether the layer's maps have channels first. Some layers do not say it: facts->channels_first is what the network's
 * others do. */
int keras_channels_first(const keras_call *c);

/* Nobody knows the tensor's height and width, or it has none. */
static inline void keras_forget_extent(keras_tensor *t)
{
    t->extent[0] = t->extent[1] = t->extent[2] = 0;
}
/* Its height (0) or width (1), in the layer's order; 0 where it is not known. */
int64_t keras_side(const keras_call *c, const keras_tensor *t, int side);
void keras_set_sides(const keras_call *c, keras_tensor *t, int64_t height, int64_t width);
/* What a window of the layer's padding leaves of one side; 0 of what is not known. */
int64_t keras_window_side(const keras_call *c, int64_t side, int64_t kernel, int64_t stride, int64_t dilation);

#endif
