/* Which data sets of the file of weights are a layer's. */
#ifndef SAL_IMPORT_KERAS_WEIGHT_PATHS_H
#define SAL_IMPORT_KERAS_WEIGHT_PATHS_H

#include "import/hdf5/weight_file.h"
#include "import/keras/layer_call.h"

/* Where the weights of layers are. */
struct keras_weights {
    keras_hdf5 *file;
    int archive;        /* 1: of a .keras file: by the layer's place; 0: by its name */
    const char *base;   /* group that the layers are in; NULL in a .keras file */
    json_t *name_lists; /* group to its weight_names */
    json_t *owners;     /* data set to the layer, in a model within the network, whose it is */
    json_t *contested;  /* those that several layers have */
};

/* weight_names of a group, read once; *out is borrowed from `weights`. */
sal_status keras_weight_names(json_t **out, keras_weights *weights, const char *group);

/* The data set of a weight of the layer that is called. Errors: FORMAT (names layer and role), UNSUPPORTED (it may be
 * another layer's). */
sal_status keras_weight_path(char **out, const keras_call *c, const char *roles, int position);

/* Whether, now that all layers have theirs, a layer's may be another's. Errors: UNSUPPORTED. */
sal_status keras_check_owners(const keras_weights *weights, keras_arena *arena);

#endif
