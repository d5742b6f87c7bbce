/* The state of one import: the layers of a Keras file, their tensors, and the ONNX model that is made of them. Nothing
 * outside src/import/keras includes this, and the functions of layers do not either: layer_call.h is what they have.
 *
 * The way of a file: the configuration as JSON and the file of weights are found (keras.c, archive.c); each layer of
 * the configuration (keras_model.c) is written down as ONNX ops on tensors in Keras's own layout (layers/), with
 * transposes where an op wants channels first; then the ONNX importer goes on, and the passes take the transposes out
 * again. Weights are read one by one when the ONNX importer asks for them. */
#ifndef SAL_IMPORT_KERAS_KERAS_IMPORTER_H
#define SAL_IMPORT_KERAS_KERAS_IMPORTER_H

#include "import/import.h"
#include "import/keras/arena.h"
#include "import/keras/layer_call.h"
#include "import/keras/layer_config.h"
#include "import/keras/weight_paths.h"
#include "import/keras/write_onnx.h"

enum { KERAS_MAX_INPUTS = 1024, KERAS_MAX_OUTPUTS = 64, KERAS_MAX_NESTING = 16, KERAS_MOST_NAME = 1024 };

/* The tensors that calls of layers have made, by the calls: calls.c. */
typedef struct keras_tensors {
    keras_tensor *items;
    size_t count;
    size_t capacity;
    json_t *places; /* call of a model, layer, its call and output to index in items */
} keras_tensors;

/* What is said of the network beside it, and what suggests the preprocessing that it wants: preset.c. */
typedef struct keras_findings {
    const char *rescales; /* name of a layer that seems to bring 0..255 to what the others want, or NULL */
    const char *divides;  /* one that certainly does, before any that computes, or NULL */
    const char *prepares; /* one that does something to them, whatever it is, or NULL */
    int convolved;        /* 1: there was a layer with a kernel */
    int family;           /* of keras.applications: 1 + index in the table; 0: none */
    json_t *dropped;      /* classes of the layers that do nothing when a network is used, to how many */
    const char *output;   /* name of the one that was taken, of several; or NULL */
    char other_outputs[SAL_IMPORT_TEXT];
} keras_findings;

typedef struct keras_importer {
    const sal_model_options *options; /* or NULL */
    keras_facts facts;
    keras_limits limits;
    keras_arena arena;
    keras_weights weights;
    keras_tensors tensors;
    keras_graph graph;
    keras_findings findings;
    unsigned long scopes; /* calls of models so far */
    int refused; /* 1: a layer cannot be translated, and what depends on it is left out; the first one's error: */
    char refusal[1024];
    int kernel_follows; /* 1: layers with a kernel depend on it, so that it is not the tail */
} keras_importer;

/* Initializes in place: the parts point at each other. */
void keras_importer_init(keras_importer *k, const char *path, const sal_model_options *options);
void keras_importer_clear(keras_importer *k);

/* Notes the last error where it is the first one. What does not need the layer may do without it. */
void keras_note_refusal(keras_importer *k);
/* Fails with the error that was noted. */
sal_status keras_refuse(const keras_importer *k);
/* A call of a layer without its inputs yet, within this import. settings: becomes the reader of the layer's
 * configuration; lives as long as the call. */
keras_call keras_call_of(keras_importer *k, const keras_layer *layer, keras_settings *settings);

#endif
