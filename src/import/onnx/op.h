/* An op as handlers see it: its names, values and attributes, and the errors that name it. */
#ifndef SAL_IMPORT_ONNX_OP_H
#define SAL_IMPORT_ONNX_OP_H

#include "graph/graph.h"
#include "onnx.pb-c.h"

/* Instead of the index of a value: the input is left out; the value is no alias. */
enum { ONNX_ABSENT = -1, ONNX_ITSELF = -2 };

/* An attribute as an op sees it: in functions, the caller may supply its value. */
typedef struct onnx_attribute {
    const char *name;
    const SalOnnx__Attribute *data;
} onnx_attribute;

typedef struct onnx_op {
    const char *type;
    const char *domain;
    char *name; /* as in the file, or made up from type and position */
    int64_t opset;
    int place;   /* of an If: where it stands, index in the importer's places; else -1 */
    int written; /* 1: by another importer, of whose files nobody knows an opset */
    int *inputs; /* values; ONNX_ABSENT where left out */
    int input_count;
    int *outputs;
    int output_count;
    onnx_attribute *attributes;
    size_t attribute_count;
} onnx_op;

/* Arithmetic of two operands. */
typedef enum onnx_math {
    ONNX_ADD,
    ONNX_SUB,
    ONNX_MUL,
    ONNX_DIV,
    ONNX_POW,
    ONNX_MIN,
    ONNX_MAX,
    ONNX_MOD,
    ONNX_FMOD
} onnx_math;

/* sal_fail with "node NAME (TYPE, opset N): " before the text, or "layer NAME (TYPE): ". */
sal_status onnx_fail(const onnx_op *op, sal_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#ifdef __clang_analyzer__
#define onnx_fail(op, status, ...) sal_returned(status, onnx_fail(op, status, __VA_ARGS__))
#endif

/* ---- Attributes by name; fallback where absent, FORMAT where of another type ---- */

const SalOnnx__Attribute *onnx_attribute_find(const onnx_op *op, const char *name);
sal_status onnx_attribute_int(int64_t *out, const onnx_op *op, const char *name, int64_t fallback);
sal_status onnx_attribute_float(float *out, const onnx_op *op, const char *name, float fallback);
/* *out borrows; NULL and 0 where absent. */
sal_status onnx_attribute_ints(const int64_t **out, size_t *count, const onnx_op *op, const char *name);
/* 1 where the attribute is that text; an absent one is `fallback`. */
int onnx_attribute_is(const onnx_op *op, const char *name, const char *text, const char *fallback);

#endif
