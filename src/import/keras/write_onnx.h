/* What the functions of layers write the ONNX model with: ops, their attributes, constants and weights. */
#ifndef SAL_IMPORT_KERAS_WRITE_ONNX_H
#define SAL_IMPORT_KERAS_WRITE_ONNX_H

#include "import/keras/layer_call.h"
#include "import/onnx/onnx.h"

/* The graph that is being written. */
struct keras_graph {
    keras_limits *limits;
    SalOnnx__Node **nodes;
    size_t node_count;
    size_t node_capacity;
    SalOnnx__Tensor **constants;
    size_t constant_count;
    size_t constant_capacity;
    SalOnnx__ValueInfo *input;
    unsigned long names; /* made so far */
};

/* An op with one output, of a name of its own; *out may be one of the inputs. */
sal_status keras_op(const char **out, SalOnnx__Node **node, const keras_call *c, const char *type,
                    const char *const *inputs, size_t count);
sal_status keras_op1(const char **out, SalOnnx__Node **node, const keras_call *c, const char *type, const char *x);
sal_status keras_op2(const char **out, const keras_call *c, const char *type, const char *x, const char *y);
sal_status keras_set_int(const keras_call *c, SalOnnx__Node *node, const char *name, int64_t value);
sal_status keras_set_float(const keras_call *c, SalOnnx__Node *node, const char *name, double value);
sal_status keras_set_ints(const keras_call *c, SalOnnx__Node *node, const char *name, const int64_t *values,
                          size_t count);
sal_status keras_set_text(const keras_call *c, SalOnnx__Node *node, const char *name, const char *value);
/* Constants; of rank 0 where count is -1 (one value). */
sal_status keras_floats(const char **out, const keras_call *c, const float *values, int64_t count);
sal_status keras_ints(const char **out, const keras_call *c, const int64_t *values, int64_t count);
/* perm of a transpose: to channels first, and back. */
sal_status keras_to_first(const char **out, const keras_call *c, const char *x);
sal_status keras_to_last(const char **out, const keras_call *c, const char *x);

/* Memory for weights that are computed: a few bytes of configuration can ask for any resizing matrix. Errors: LIMIT,
 * MEMORY. */
sal_status keras_new_weights(float **out, const keras_call *c, size_t rows, size_t columns);

/* A weight of the layer: by its role, one of "kernel|depthwise_kernel", or where the file gives no names its
 * position. *shape may be NULL. Errors: FORMAT (not there). */
sal_status keras_weight(const char **out, sal_shape *shape, const keras_call *c, const char *roles, int position);
/* The same read at once; *values: lives as long as the importer. */
sal_status keras_weight_values(const float **values, size_t *count, const keras_call *c, const char *roles,
                               int position);

#endif
