/* Where the bytes of a model come from: its own file, of which the large tensors are left out at first (slim.c), and
 * files of external data beside it (external_data.c). */
#ifndef SAL_IMPORT_ONNX_STORAGE_H
#define SAL_IMPORT_ONNX_STORAGE_H

#include "graph/graph.h"
#include "onnx.pb-c.h"

typedef struct onnx_importer onnx_importer;

/* Fields of the message Tensor that slim.c writes in place of raw_data. */
enum { ONNX_FIELD_FILE_OFFSET = 100001, ONNX_FIELD_FILE_LENGTH = 100002 };

/* Opens im->path as im->fd and reads it without the bytes of large tensors; *out is the caller's, free(). */
sal_status onnx_slim_read(unsigned char **out, size_t *size, onnx_importer *im);
/* Bytes that were left out, from the model file. */
sal_status onnx_slim_load(void *bytes, size_t size, const onnx_importer *im, uint64_t offset, const char *name);

/* One open file of external data at a time: most models have one. */
typedef struct onnx_external {
    char *folder; /* real path of the model's folder; NULL until needed */
    char *location;
    int fd;
    uint64_t size;
} onnx_external;

/* Opens the file that holds a tensor of `size` bytes and checks that they are there. */
sal_status onnx_external_find(uint64_t *offset, size_t size, onnx_importer *im, const SalOnnx__Tensor *stored,
                              const char *name);
/* Reads from the file that onnx_external_find opened. */
sal_status onnx_external_read(void *bytes, size_t size, onnx_importer *im, uint64_t offset, const char *name);
void onnx_external_clear(onnx_external *external);

#endif
