/* Constants: tensors of the file and those computed from them, as float or int64_t. */
#ifndef SAL_IMPORT_ONNX_TENSOR_H
#define SAL_IMPORT_ONNX_TENSOR_H

#include "graph/graph.h"
#include "onnx.pb-c.h"

/* A constant: every float type of the file becomes float, every integer and bool int64_t. */
typedef struct onnx_tensor {
    int integer; /* 1: the values are in i, 0: in f */
    sal_shape shape;
    size_t count;
    float *f;
    int64_t *i;
} onnx_tensor;

typedef struct onnx_importer onnx_importer;

/* Zeroed tensor for a computed constant, charged to the importer's limit. Errors: FORMAT (dims), LIMIT, MEMORY. */
sal_status onnx_tensor_new(onnx_tensor *out, onnx_importer *im, int integer, const sal_shape *shape, const char *name);
void onnx_tensor_clear(onnx_tensor *t);
sal_status onnx_tensor_load(onnx_tensor *out, onnx_importer *im, const SalOnnx__Tensor *stored, const char *name);
/* Copy of `in` through a view: element (i0, i1, ..) of the result is element offset + sum(ik * stride[k]) of in. */
sal_status onnx_tensor_view(onnx_tensor *out, onnx_importer *im, const onnx_tensor *in, const sal_shape *shape,
                            const int64_t *stride, int64_t offset);
double onnx_tensor_at(const onnx_tensor *t, size_t index);
/* Truncated; bounded by 2^62, beyond which no shape lies; NaN is 0. */
int64_t onnx_to_int(double v);
/* Row-major strides; returns the element count, -1 on overflow or negative extents. */
int64_t onnx_strides(int64_t *stride, const sal_shape *shape);
int onnx_is_float_type(int64_t type);

#endif
