/* What the files of the Keras importer share. Nothing outside src/import includes this.
 *
 * The way of a file: the configuration as JSON and the weights' HDF5 file are found in it (keras.c, archive.c,
 * ../hdf5); each layer of the configuration (keras_model.c) is written down as ONNX ops on tensors in Keras's own
 * layout (layers/), with transposes where an op wants channels first; then the ONNX
 * importer goes on, and the passes take the transposes out again. Weights are read one by one when the ONNX importer
 * asks for them.
 */
#ifndef SAL_IMPORT_KERAS_KERAS_INTERNAL_H
#define SAL_IMPORT_KERAS_KERAS_INTERNAL_H

#include "import/hdf5/weight_file.h"
#include "import/import.h"
#include "import/jansson_calls.h"
#include "import/onnx/onnx.h"

#include <jansson.h>

/* ---- archive.c: .keras ---- */

/* The members config.json and metadata.json (NULL where there is none), and a look at the weights, which stay where
 * they are. Errors: IO, FORMAT, LIMIT, MEMORY. */
sal_status keras_archive_read(json_t **config, json_t **metadata, const char *path, uint64_t max_bytes);
/* The member that the weights are in. */
extern const char keras_archive_weights[];

/* ---- weight_paths.c: which data sets are a layer's ---- */

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

/* "batch_normalization" of "BatchNormalization", as Keras names classes. out: size bytes. */
void keras_snake_case(char *out, size_t size, const char *class_name);

typedef struct keras_importer keras_importer;

/* The data set of a weight of the present layer. Errors: FORMAT (names layer and role), UNSUPPORTED (it may be another
 * layer's). */
sal_status keras_weight_path(char **out, keras_importer *k, const char *roles, int position);

/* Whether, now that all layers have theirs, a layer's may be another's. Errors: UNSUPPORTED. */
sal_status keras_check_owners(keras_importer *k);

/* ---- write_onnx.c: writing the ONNX model ---- */

enum { KERAS_MAX_INPUTS = 1024, KERAS_MAX_OUTPUTS = 64, KERAS_MAX_NESTING = 16, KERAS_MOST_NAME = 1024 };

/* What speaks for the preprocessing that a network wants: preset.c. */
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

struct keras_importer {
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
};

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

/* An op with one output, of a name of its own; *out may be one of the inputs. */
sal_status keras_op(const char **out, SalOnnx__Node **node, keras_importer *k, const char *type,
                    const char *const *inputs, size_t count);
sal_status keras_op1(const char **out, SalOnnx__Node **node, keras_importer *k, const char *type, const char *x);
sal_status keras_op2(const char **out, keras_importer *k, const char *type, const char *x, const char *y);
sal_status keras_set_int(keras_importer *k, SalOnnx__Node *node, const char *name, int64_t value);
sal_status keras_set_float(keras_importer *k, SalOnnx__Node *node, const char *name, double value);
sal_status keras_set_ints(keras_importer *k, SalOnnx__Node *node, const char *name, const int64_t *values,
                          size_t count);
sal_status keras_set_text(keras_importer *k, SalOnnx__Node *node, const char *name, const char *value);
/* Constants; of rank 0 where count is -1 (one value). */
sal_status keras_floats(const char **out, keras_importer *k, const float *values, int64_t count);
sal_status keras_ints(const char **out, keras_importer *k, const int64_t *values, int64_t count);
/* perm of a transpose: to channels first, and back. */
sal_status keras_to_first(const char **out, keras_importer *k, const char *x);
sal_status keras_to_last(const char **out, keras_importer *k, const char *x);

/* Memory for weights that are computed: a few bytes of configuration can ask for any resizing matrix. Errors: LIMIT,
 * MEMORY. */
sal_status keras_new_weights(float **out, keras_importer *k, size_t rows, size_t columns);

/* A weight of the present layer: by its role, one of "kernel|depthwise_kernel", or where the file gives no names its
 * position. *shape may be NULL. Errors: FORMAT (not there). */
sal_status keras_weight(const char **out, sal_shape *shape, keras_importer *k, const char *roles, int position);
/* The same read at once; *values: lives as long as the importer. */
sal_status keras_weight_values(const float **values, size_t *count, keras_importer *k, const char *roles, int position);

/* ---- configuration ---- */

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

/* ---- layers/: one function per class of layers ---- */

typedef sal_status keras_handler(keras_importer *k, keras_tensor *out, const keras_tensor *inputs, size_t count);

/* many: 1: such a layer takes more than one tensor, 2: it looks at its call itself. NULL: the class is not known. */
keras_handler *keras_handler_find(int *many, const char *class_name);
/* An activation by its name in Keras. */
sal_status keras_activate(keras_importer *k, keras_tensor *x, const char *name);
/* The activation that a layer's configuration names, if any. */
sal_status keras_activate_after(keras_importer *k, keras_tensor *x);

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
