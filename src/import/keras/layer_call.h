/* One call of a layer: all that a function in layers/ has at hand when it translates it. What does not belong to the
 * call itself is pointed to: facts that hold for the whole file, and what the call is written into. */
#ifndef SAL_IMPORT_KERAS_LAYER_CALL_H
#define SAL_IMPORT_KERAS_LAYER_CALL_H

#include "import/keras/arena.h"

#include <jansson.h>

/* What holds for the whole file; nothing changes it once the file is opened. */
typedef struct keras_facts {
    const char *path;
    const char *beside; /* the file of the configuration, if that is another one, or NULL */
    char release[32];   /* of Keras, as the file says it: "2.15.0" */
    int version;        /* 1, 2 or 3 */
    int minor;          /* 15 of 3.15 */
    int theano;         /* 1: saved under Theano, whose convolutions turn the kernel and pad in their own way */
    int channels_first; /* 1: a layer of the network says so; inputs and merges do not say it */
} keras_facts;

/* A layer as the configuration describes it. */
typedef struct keras_layer {
    const char *class_name;
    const char *name; /* in its model */
    char *full_name;  /* with the models that it is in */
    int outermost;    /* 1: it is the network itself */
    int foreign;      /* 1: somebody's own class, whatever its name */
    json_t *config;
    char *group;   /* of its weights: archive: ".../layers/conv2d_1"; else "model_weights/outermost" */
    int nested;    /* 1: the group is of a model that it is in */
    json_t *names; /* not archive: weight_names of the group, borrowed from the cache; or NULL */
} keras_layer;

typedef struct keras_tensor {
    const char *name; /* of the ONNX value */
    const char *key;  /* of an argument that was given by name, or NULL */
    int picked;       /* 1: a map of one channel, whose axis it does not have in Keras: only a stack takes it */
    int rank;
    int64_t extent[3]; /* of a map, without the batch, in its own order; 0: not known */
} keras_tensor;

typedef struct keras_settings keras_settings; /* layer_config.h */
typedef struct keras_graph keras_graph;       /* write_onnx.h */
typedef struct keras_weights keras_weights;   /* weight_paths.h */

/* Everything is borrowed, and lives longer than the call. */
typedef struct keras_call {
    const keras_layer *layer;
    const keras_tensor *in;   /* what it is called with */
    size_t count;             /* of them; at least one where a function in layers/ sees it */
    const json_t *arguments;  /* of the call, as the file describes it; NULL in a Sequential, which does not */
    int training;             /* 1: it says that it is one of training */
    int odd;                  /* 1: an argument is neither tensor nor constant */
    keras_settings *settings; /* reads the layer's configuration */
    const keras_facts *facts; /* of the file */
    keras_weights *weights;   /* where the layer's are found */
    keras_graph *graph;       /* that the layer is written into */
    keras_arena *arena;       /* for what has to live as long as the graph */
} keras_call;

/* Fails with "layer NAME (CLASS): text"; for the network itself with the text alone. */
sal_status keras_fail(const keras_call *c, sal_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#ifdef __clang_analyzer__
#define keras_fail(c, status, ...) sal_returned(status, keras_fail(c, status, __VA_ARGS__))
#endif

/* Fails as UNSUPPORTED likewise, and says how to make an ONNX file of the network. */
sal_status keras_fail_export(const keras_call *c, const char *why);
#ifdef __clang_analyzer__
#define keras_fail_export(c, why) sal_returned(SAL_ERROR_UNSUPPORTED, keras_fail_export(c, why))
#endif

/* An error's text without the file's name in front: it is named once. */
const char *keras_without_path(const keras_facts *facts, const char *error);

#endif
