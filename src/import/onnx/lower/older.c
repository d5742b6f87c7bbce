/* What ops of opset 6 meant otherwise: operands that are aligned at an axis of the first one, and not at the last. */
#include "import/onnx/lower/older.h"

#include "import/onnx/lower/array.h"
#include "import/onnx/lower/emit.h"
#include "import/onnx/op.h"
#include "import/onnx/stages.h"
#include "import/onnx/tensor.h"

#include <stdio.h>
#include <string.h>

enum { FIRST_ALIGNED_AT_THE_END = 7 };

static int is_binary(const char *type)
{
    static const char *const types[] = {"Add", "And", "Div", "Equal", "Greater", "Less", "Mul", "Or", "Pow", "Sub"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(type, types[i]) == 0)
            return 1;
    return 0;
}

static sal_status shape_of(sal_shape *out, onnx_importer *im, const onnx_op *op, int index)
{
    sal_status st = SAL_OK;
    const onnx_tensor *t;
    onnx_array x;
    int constant;
    TRY(onnx_is_constant(&constant, im, op, index));
    if (constant) {
        TRY(onnx_constant(&t, im, op, index));
        *out = t->shape;
    } else {
        TRY(onnx_array_get(&x, im, op, index));
        *out = x.shape;
    }
done:
    return st;
}

/* A value of its own in place of input 1, with axes of length 1 behind its own. */
static sal_status widen(onnx_importer *im, onnx_op *op, const sal_shape *shape)
{
    sal_status st = SAL_OK;
    char name[512];
    int value, constant;
    onnx_tensor copy = {0};
    const onnx_tensor *t;
    onnx_array x;
    snprintf(name, sizeof name, "%.200s of %.200s, aligned", im->values[op->inputs[1]].name, op->name);
    TRY(onnx_intern_entry(&value, im, name));
    onnx_value *v = &im->values[value];
    if (v->kind != ONNX_VALUE_UNKNOWN || v->producer >= 0) {
        st = onnx_fail(op, SAL_ERROR_FORMAT, "tensor %.200s is made twice", v->name);
        goto done;
    }
    TRY(onnx_is_constant(&constant, im, op, 1));
    if (constant) {
        int64_t stride[SAL_MAX_RANK];
        TRY(onnx_constant(&t, im, op, 1));
        onnx_strides(stride, &t->shape);
        TRY(onnx_tensor_view(&copy, im, t, &t->shape, stride, 0));
        copy.shape = *shape;
        v->kind = ONNX_VALUE_CONSTANT;
        v->constant = copy;
    } else {
        TRY(onnx_array_get(&x, im, op, 1));
        TRY(onnx_array_store(v, im, op, x.node, shape));
    }
    v->uses = 1;
    op->inputs[1] = value;
done:
    return st;
}

sal_status onnx_align(onnx_importer *im, onnx_op *op)
{
    sal_status st = SAL_OK;
    sal_shape a, b;
    int64_t axis = -1;
    const int prelu = strcmp(op->type, "PRelu") == 0;
    if (op->opset >= FIRST_ALIGNED_AT_THE_END || op->domain[0] || op->input_count != 2 ||
        !(prelu || (is_binary(op->type) && onnx_attribute_find(op, "axis"))))
        return SAL_OK;
    TRY(shape_of(&a, im, op, 0));
    TRY(shape_of(&b, im, op, 1));
    if (prelu && (b.rank != 1 || b.dim[0] == 1))
        return SAL_OK; /* one slope, or one for each element */
    TRY(onnx_attribute_int(&axis, op, "axis", prelu ? 1 : -1));
    axis += axis < 0 ? a.rank : 0;
    if (axis < 0 || axis + b.rank > a.rank || b.rank == 0)
        return b.rank == 0
                   ? SAL_OK
                   : onnx_fail(op, SAL_ERROR_FORMAT, "axis %lld for %d axes of %d", (long long)axis, b.rank, a.rank);
    if (axis + b.rank == a.rank)
        return SAL_OK;
    while (axis + b.rank < a.rank)
        b.dim[b.rank++] = 1;
    TRY(widen(im, op, &b));
done:
    return st;
}
