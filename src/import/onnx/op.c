/* Errors that name an op, and its attributes. */
#include "import/onnx/op.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Kinds of attributes in the file format. */
enum { KIND_UNSET = 0, KIND_FLOAT = 1, KIND_INT = 2, KIND_STRING = 3, KIND_INTS = 7 };

sal_status(onnx_fail)(const onnx_op *op, sal_status status, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (op->written)
        return sal_fail(status, "layer %.200s (%.100s): %s", op->name, op->type, text);
    return sal_fail(status, "node %.200s (%s%s%.100s, opset %lld): %s", op->name, op->domain, op->domain[0] ? "." : "",
                    op->type, (long long)op->opset, text);
}

const SalOnnx__Attribute *onnx_attribute_find(const onnx_op *op, const char *name)
{
    for (size_t k = 0; k < op->attribute_count; k++)
        if (strcmp(op->attributes[k].name, name) == 0)
            return op->attributes[k].data;
    return NULL;
}

static sal_status find(const SalOnnx__Attribute **out, const onnx_op *op, const char *name, int kind)
{
    *out = onnx_attribute_find(op, name);
    if (*out && (*out)->type != kind && (*out)->type != KIND_UNSET)
        return onnx_fail(op, SAL_ERROR_FORMAT, "attribute %s is of the wrong type", name);
    return SAL_OK;
}

sal_status onnx_attribute_int(int64_t *out, const onnx_op *op, const char *name, int64_t fallback)
{
    const SalOnnx__Attribute *a;
    sal_status st = find(&a, op, name, KIND_INT);
    *out = a ? a->i : fallback;
    return st;
}

sal_status onnx_attribute_float(float *out, const onnx_op *op, const char *name, float fallback)
{
    const SalOnnx__Attribute *a;
    sal_status st = find(&a, op, name, KIND_FLOAT);
    *out = a ? a->f : fallback;
    if (st == SAL_OK && !__builtin_isfinite(*out))
        return onnx_fail(op, SAL_ERROR_NUMERIC, "attribute %s is not a finite number", name);
    return st;
}

sal_status onnx_attribute_ints(const int64_t **out, size_t *count, const onnx_op *op, const char *name)
{
    const SalOnnx__Attribute *a;
    sal_status st = find(&a, op, name, KIND_INTS);
    *out = a ? a->ints : NULL;
    *count = a ? a->n_ints : 0;
    return st;
}

int onnx_attribute_is(const onnx_op *op, const char *name, const char *text, const char *fallback)
{
    const SalOnnx__Attribute *a = onnx_attribute_find(op, name);
    if (!a)
        return strcmp(text, fallback) == 0;
    return a->s.len == strlen(text) && memcmp(a->s.data, text, a->s.len) == 0;
}
