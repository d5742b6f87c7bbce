/* A file of weights, HDF5 by itself or within a zip archive. Knows data sets and their shapes, nothing of networks. */
#ifndef SAL_IMPORT_HDF5_WEIGHT_FILE_H
#define SAL_IMPORT_HDF5_WEIGHT_FILE_H

#include "graph/graph.h"

#include <jansson.h>

typedef struct keras_hdf5 keras_hdf5;

/* A file, or where member is given that file of the zip archive. Errors: IO, FORMAT, MEMORY. */
sal_status keras_hdf5_open(keras_hdf5 **out, const char *path, const char *member);
void keras_hdf5_close(keras_hdf5 *file); /* NULL is fine */
sal_status keras_hdf5_has(int *has, keras_hdf5 *file, const char *object);
/* A text attribute of a group ("/": the root). *out: free with free(), NULL where there is none. Errors: FORMAT,
 * MEMORY. */
sal_status keras_hdf5_text(char **out, keras_hdf5 *file, const char *group, const char *attribute);
/* A list of texts, in pieces "name0", "name1" too where it was long. *out: an array, json_decref it; NULL likewise. */
sal_status keras_hdf5_texts(json_t **out, keras_hdf5 *file, const char *group, const char *attribute);
/* Notes a data set of floats and its shape; *index is what keras_hdf5_read knows it by. Errors: FORMAT (not there, not
 * of numbers, in another file, larger than what is stored), LIMIT, MEMORY. */
sal_status keras_hdf5_find(uint64_t *index, sal_shape *shape, keras_hdf5 *file, const char *dataset);
sal_status keras_hdf5_read(float *out, size_t count, keras_hdf5 *file, uint64_t index);

#endif
