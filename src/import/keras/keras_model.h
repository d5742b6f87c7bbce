/* The way through a configuration: its input, models within models and their calls, and what is said of the network
 * beside it. */
#ifndef SAL_IMPORT_KERAS_KERAS_MODEL_H
#define SAL_IMPORT_KERAS_KERAS_MODEL_H

#include "import/keras/keras_importer.h"

/* ---- preset.c ---- */

/* Looks at a layer before its call is translated. arguments: of the call, or NULL. */
sal_status keras_note_layer(keras_findings *findings, const keras_layer *layer, const json_t *arguments);
/* The proposal and its reason, if any, and what was dropped. */
void keras_describe(sal_import_info *info, const keras_findings *findings);

/* ---- input.c ---- */

/* The shape that a layer's configuration gives its input, batch first; borrowed, NULL where it gives none. */
json_t *keras_shape_of_layer(json_t *config);
/* The network's one input. c: the call of the network itself. options: may be NULL. Errors: UNSUPPORTED (a second one,
 * no picture, no fixed size), ARGUMENT (a size that the configuration contradicts), MEMORY. */
sal_status keras_make_input(keras_tensor *out, const keras_call *c, const sal_model_options *options, const char *name,
                            const json_t *shape);
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

/* scope: number of a call of a model; each such call makes tensors of its own. */
sal_status keras_put_tensor(keras_tensors *tensors, unsigned long scope, const keras_reference *place,
                            const keras_tensor *tensor);
const keras_tensor *keras_get_tensor(const keras_tensors *tensors, unsigned long scope, const keras_reference *place);

/* A call as the configuration describes it, an "inbound node" of its layer. */
typedef struct keras_described_call {
    keras_layer *layer;
    const json_t *arguments;
    int64_t node;
    int done;
} keras_described_call;

/* Makes the calls of a model that is called, each when its inputs are there, whatever the order in the file. depth:
 * models that they are in. Errors: FORMAT (inputs that nothing makes), and those of layers. */
sal_status keras_run_calls(keras_importer *k, unsigned long scope, int depth, keras_described_call *calls,
                           size_t count);

/* Whether layers of a class may make scores, or have others within that do. */
int keras_has_kernel(const char *class_name);

/* ---- translate.c ---- */

/* What a call makes: of models within the network more than one, in the order of their outputs. */
typedef struct keras_outputs {
    size_t count;
    keras_tensor items[KERAS_MAX_OUTPUTS];
} keras_outputs;

/* Writes down what a call does: of a layer by its function in layers/, of a model by the calls of its layers. depth:
 * models that it is in. Errors: UNSUPPORTED, FORMAT, LIMIT, MEMORY; they name the layer. */
sal_status keras_translate(keras_outputs *out, keras_importer *k, const keras_call *c, int depth);

/* ---- keras_model.c ---- */

int keras_is_model(const char *class_name);
/* A call of a model within the network, as keras_translate. */
sal_status keras_call_model(keras_outputs *out, keras_importer *k, const keras_call *c, int depth);
/* Writes down a whole network; the graph's input and output are set. */
sal_status keras_model_build(const char **output, keras_importer *k, json_t *config);

#endif
