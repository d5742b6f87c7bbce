/* What other importers use of the ONNX importer: numbers of the file format, and graphs of models that they write down
 * as ONNX. */
#ifndef SAL_IMPORT_ONNX_ONNX_H
#define SAL_IMPORT_ONNX_ONNX_H

#include "graph/graph.h"
#include "onnx.pb-c.h"

/* Element types of the file format. */
enum {
    ONNX_FLOAT = 1,
    ONNX_UINT8 = 2,
    ONNX_INT8 = 3,
    ONNX_UINT16 = 4,
    ONNX_INT16 = 5,
    ONNX_INT32 = 6,
    ONNX_INT64 = 7,
    ONNX_BOOL = 9,
    ONNX_FLOAT16 = 10,
    ONNX_DOUBLE = 11,
    ONNX_UINT32 = 12,
    ONNX_UINT64 = 13,
    ONNX_BFLOAT16 = 16
};

/* Where tensors come from that another importer put into a model: data_location ONNX_LOCATION_SOURCE, file_offset is
 * `index`. */
enum { ONNX_LOCATION_SOURCE = 2 };
typedef struct onnx_source {
    sal_status (*read)(void *context, float *out, size_t count, uint64_t index);
    void *context;
} onnx_source;

/* A graph of a model that is in memory, and stays the caller's. Errors: as sal_onnx_read. */
sal_status onnx_build(sal_graph *graph, SalOnnx__Model *model, const onnx_source *source, const char *path,
                      const sal_model_options *options);
/* One side of the picture (0: height, 1: width): as declared, or where that is no number as the options say; below 1
 * where neither does. Errors: ARGUMENT, where they contradict. */
sal_status onnx_fix_side(int64_t *out, const sal_model_options *options, int64_t declared, int side, const char *input);

#endif
