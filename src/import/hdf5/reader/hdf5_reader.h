/* What the program that reads an HDF5 file does with it. Each function is as that of the same ending in weight_file.h.
 */
#ifndef SAL_IMPORT_HDF5_READER_HDF5_READER_H
#define SAL_IMPORT_HDF5_READER_HDF5_READER_H

#include "graph/graph.h"

#include <jansson.h>

typedef struct hdf5_reader hdf5_reader;

sal_status hdf5_reader_open(hdf5_reader **out, const char *path, const char *member);
void hdf5_reader_close(hdf5_reader *reader); /* NULL is fine */
int hdf5_reader_has(hdf5_reader *reader, const char *object);
sal_status hdf5_reader_text(char **out, hdf5_reader *reader, const char *group, const char *attribute);
sal_status hdf5_reader_texts(json_t **out, hdf5_reader *reader, const char *group, const char *attribute);
sal_status hdf5_reader_find(uint64_t *index, sal_shape *shape, hdf5_reader *reader, const char *dataset);
sal_status hdf5_reader_read(float *out, size_t count, hdf5_reader *reader, uint64_t index);

#endif
