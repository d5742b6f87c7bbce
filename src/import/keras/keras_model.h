/* The way through a configuration: its input, models within models and their calls, which weights are a layer's, and
 * what is said of the network beside it. */
#ifndef SAL_IMPORT_KERAS_KERAS_MODEL_H
#define SAL_IMPORT_KERAS_KERAS_MODEL_H

#include "import/keras/keras_importer.h"

/* ---- weight_paths.c ---- */

/* "batch_normalization" of "BatchNormalization", as Keras names classes. out: size bytes. */
void keras_snake_case(char *out, size_t size, const char *class_name);

/* The data set of a weight of the present layer. Errors: FORMAT (names layer and role), UNSUPPORTED (it may be another
 * layer's). */
sal_status keras_weight_path(char **out, keras_importer *k, const char *roles, int position);

/* Whether, now that all layers have theirs, a layer's may be another's. Errors: UNSUPPORTED. */
sal_status keras_check_owners(keras_importer *k);

/* ---- preset.c ---- */

/* Looks at a layer before it is called. */
sal_status keras_note_layer(keras_importer *k, const keras_layer *layer);
/* The proposal and its reason, if any, and what was dropped. */
void keras_describe(sal_import_info *info, keras_importer *k);

/* ---- input.c ---- */

/* The shape that a layer's configuration gives its input, batch first; borrowed, NULL where it gives none. */
json_t *keras_shape_of_layer(json_t *config);
/* The network's one input. Errors: UNSUPPORTED (a second one, no picture, no fixed size), ARGUMENT (a size that the
 * configuration contradicts), MEMORY. */
sal_status keras_make_input(keras_importer *k, keras_tensor *out, const char *name, const json_t *shape);
/* Whether any layer of a configuration has channels first. */
int keras_says_channels_first(json_t *value, int depth);

/* ---- calls.c ---- */

typedef struct keras_reference {
    const char *layer;
    int64_t node; /* which of its calls */
    int64_t tensor;
} keras_reference;

/* ["name", 0, 0]; 0: it is none. */
int keras_read_reference(keras_reference *out, const json_t *value);

/* scope: of one call of a model. */
sal_status keras_put_tensor(keras_importer *k, const char *scope, const char *layer, int64_t node, int64_t index,
                            const keras_tensor *tensor);
const keras_tensor *keras_get_tensor(keras_importer *k, const char *scope, const char *layer, int64_t node,
                                     int64_t index);

typedef struct keras_call {
    keras_layer *layer;
    const json_t *inputs;
    int64_t node;
    int done;
} keras_call;

/* Makes the calls, each when its inputs are there, whatever the order in the file. Errors: FORMAT (inputs that nothing
 * makes), and those of layers. */
sal_status keras_run_calls(keras_importer *k, const char *scope, keras_call *calls, size_t count);

/* ---- keras_model.c ---- */

/* Whether a module, or the package in front of a '>', is Keras's. */
int keras_is_own_module(const char *module);
/* Whether the class of a layer, as the configuration describes it, is somebody's own, whatever its name. */
int keras_is_foreign(const json_t *described, const char *class_name);

/* What a call makes: of models within the network more than one, in the order of their outputs. */
typedef struct keras_outputs {
    size_t count;
    keras_tensor items[KERAS_MAX_OUTPUTS];
} keras_outputs;

sal_status keras_call_layer(keras_importer *k, keras_outputs *out, const keras_layer *layer, const keras_tensor *in,
                            size_t count);

/* Writes down a whole model; the graph's input and output are set. */
sal_status keras_model_build(const char **output, keras_importer *k, json_t *config);

#endif
