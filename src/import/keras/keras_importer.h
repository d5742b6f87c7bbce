/* The state of one import: the layers of a Keras file, their tensors, and the ONNX model that is made of them. Nothing
 * outside src/import/keras includes this.
 *
 * The way of a file: the configuration as JSON and the file of weights are found (keras.c, archive.c); each layer of
 * the configuration (keras_model.c) is written down as ONNX ops on tensors in Keras's own layout (layers/), with
 * transposes where an op wants channels first; then the ONNX importer goes on, and the passes take the transposes out
 * again. Weights are read one by one when the ONNX importer asks for them. */
#ifndef SAL_IMPORT_KERAS_KERAS_IMPORTER_H
#define SAL_IMPORT_KERAS_KERAS_IMPORTER_H

#include "import/hdf5/weight_file.h"
#include "import/import.h"
#include "import/onnx/onnx.h"

#include <jansson.h>

/* Where the weights of layers are; weight_paths.c finds them. */
typedef struct keras_weights {
    keras_hdf5 *file;
    int archive;      /* 1: of a .keras file: by the layer's place; 0: by its name */
    const char *base; /* group that the layers are in */
} keras_weights;

typedef struct keras_layer {
    const char *class_name;
    const char *name; /* in its model */
    char *full_name;  /* with the models that it is in */
    int foreign;      /* 1: somebody's own class, whatever its name */
    json_t *config;
    char *group;   /* of its weights: archive: ".../layers/conv2d_1"; else "model_weights/outermost" */
    int nested;    /* 1: the group is of a model that it is in */
    json_t *names; /* not archive: weight_names of the group, borrowed from the cache; or NULL */
} keras_layer;

enum { KERAS_MAX_INPUTS = 1024, KERAS_MAX_OUTPUTS = 64, KERAS_MAX_NESTING = 16, KERAS_MOST_NAME = 1024 };

/* What suggests the preprocessing that a network wants: preset.c. */
typedef struct keras_traits {
    const char *rescales; /* name of a layer that brings 0..255 to what the others want, or NULL */
    const char *prepares; /* one that does something to them, whatever it is, or NULL */
    int convolved;        /* 1: there was a layer with a kernel */
    int family;           /* of keras.applications: 1 + index in the table; 0: none */
} keras_traits;

typedef struct keras_tensor {
    const char *name; /* of the ONNX value */
    const char *key;  /* of an argument that was given by name, or NULL */
    int picked;       /* 1: a map of one channel, whose axis it does not have in Keras: only a stack takes it */
    int rank;
    int64_t extent[3]; /* of a map, without the batch, in its own order; 0: not known */
} keras_tensor;

typedef struct keras_importer {
    const char *path;
    const sal_model_options *options; /* or NULL */
    keras_weights weights;
    char *beside;       /* the file of the configuration, where that is another one */
    json_t *name_lists; /* group to its weight_names */
    json_t *owners;     /* data set to the layer, in a model within the network, whose it is */
    json_t *contested;  /* those that several layers have */
    json_t *values;     /* call of a model, layer, its call and output to index in tensors */
    keras_tensor *tensors;
    size_t tensor_count;
    size_t tensor_capacity;
    void **blocks; /* everything that was allocated for the model */
    size_t block_count;
    size_t block_capacity;
    SalOnnx__Node **nodes;
    size_t node_count;
    size_t node_capacity;
    SalOnnx__Tensor **constants;
    size_t constant_count;
    size_t constant_capacity;
    SalOnnx__ValueInfo *input;
    int channels_first;   /* 1: a layer of the network has */
    int version;          /* of Keras: 1, 2 or 3 */
    int minor;            /* 15 of 3.15 */
    int theano;           /* 1: saved under Theano, whose convolutions turn the kernel and pad in their own way */
    unsigned long made;   /* names so far */
    unsigned long scopes; /* calls of models so far */
    uint64_t calls;       /* of layers so far */
    uint64_t layers;      /* described so far; those of a model at each of its calls */
    uint64_t max_nodes;
    uint64_t max_bytes;
    uint64_t computed_bytes; /* of weights that stay in memory */
    int training;            /* 1: the call at hand says that it is one of training */
    int odd_argument;        /* 1: the call at hand has an argument that is neither tensor nor constant */
    const char *odd_setting; /* of the layer being translated, of another kind than is expected; or NULL */
    int nesting;
    const json_t *call;       /* as the file describes it, of the layer being translated, or NULL */
    const keras_layer *layer; /* being translated */
    json_t *dropped;          /* classes of the layers that do nothing when a network is used, to how many */
    keras_traits traits;
    char *output; /* name of the one that was taken, of several; or NULL */
    char other_outputs[SAL_IMPORT_TEXT];
} keras_importer;

/* Memory that lives as long as the importer, zeroed. */
sal_status keras_alloc(void *out, keras_importer *k, size_t count, size_t size);
sal_status keras_format(char **out, keras_importer *k, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Fails with "layer NAME (CLASS): text". */
sal_status keras_fail(keras_importer *k, sal_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#ifdef __clang_analyzer__
#define keras_fail(k, status, ...) sal_returned(status, keras_fail(k, status, __VA_ARGS__))
#endif

/* An error's text without the file's name in front: it is named once. */
const char *keras_without_path(keras_importer *k, const char *error);

/* Fails as UNSUPPORTED likewise, and says how to make an ONNX file of the network. */
sal_status keras_fail_export(keras_importer *k, const char *why);
#ifdef __clang_analyzer__
#define keras_fail_export(k, why) sal_returned(SAL_ERROR_UNSUPPORTED, keras_fail_export(k, why))
#endif

#endif
