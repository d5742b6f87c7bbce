/* Feature maps for windows: convolutions and pools of one or two dimensions. */
#ifndef SAL_IMPORT_ONNX_LOWER_WINDOW_H
#define SAL_IMPORT_ONNX_LOWER_WINDOW_H

#include "import/onnx/onnx_importer.h"

/* An input of (N, C, H, W) or (N, C, L) as a node (1, N C, H, W), of height 1 where the file has none. */
typedef struct onnx_map {
    int x;
    int line;        /* 1: (N, C, L) */
    sal_shape shape; /* the file's */
} onnx_map;

/* Errors: UNSUPPORTED (rank). */
sal_status onnx_map_get(onnx_map *out, onnx_importer *im, const onnx_op *op);
/* Errors: UNSUPPORTED, where N is not 1. */
sal_status onnx_map_one(const onnx_map *map, const onnx_op *op);
/* Output 0 of (1, N C', H', W'). */
sal_status onnx_map_output(onnx_importer *im, const onnx_op *op, const onnx_map *map, int y);
sal_status onnx_read_pair(int64_t *out, const onnx_op *op, const char *name, int64_t fallback, int line);

#endif
