/* Ops that salmap carries out on constants only: the shape computations that exporters leave in a file. */
#include "import/onnx/lower/array.h"
#include "import/onnx/lower/emit.h"
#include "import/onnx/lower/handlers.h"
#include "import/onnx/onnx.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/op.h"
#include "import/onnx/tensor.h"

#include <math.h>
#include <string.h>

static sal_status fill_list(onnx_importer *im, const onnx_op *op, int integer, int rank, const void *values, size_t n)
{
    onnx_tensor t;
    sal_shape shape = {.rank = rank, .dim = {(int64_t)n}};
    sal_status st = onnx_tensor_new(&t, im, integer, &shape, op->name);
    if (st != SAL_OK)
        return st;
    if (integer && n > 0)
        memcpy(t.i, values, n * sizeof *t.i);
    else if (n > 0)
        memcpy(t.f, values, n * sizeof *t.f);
    onnx_output_constant(im, op, 0, &t);
    return SAL_OK;
}

sal_status onnx_fold_constant(onnx_importer *im, const onnx_op *op)
{
    const SalOnnx__Attribute *a;
    if ((a = onnx_attribute_find(op, "value")) && a->n_t == 1) {
        onnx_tensor t;
        sal_status st = onnx_tensor_load(&t, im, a->t[0], op->name);
        if (st == SAL_OK)
            onnx_output_constant(im, op, 0, &t);
        return st;
    }
    if ((a = onnx_attribute_find(op, "value_int")))
        return fill_list(im, op, 1, 0, &a->i, 1);
    if ((a = onnx_attribute_find(op, "value_float")))
        return fill_list(im, op, 0, 0, &a->f, 1);
    if ((a = onnx_attribute_find(op, "value_ints")))
        return fill_list(im, op, 1, 1, a->ints, a->n_ints);
    if ((a = onnx_attribute_find(op, "value_floats")))
        return fill_list(im, op, 0, 1, a->floats, a->n_floats);
    return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "holds neither tensor, numbers nor lists of numbers");
}

sal_status onnx_fold_constant_of_shape(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    const int64_t *dims;
    size_t rank;
    onnx_tensor value = {0}, t;
    sal_shape shape = {0};
    const SalOnnx__Attribute *a = onnx_attribute_find(op, "value");
    TRY(onnx_int_list(&dims, &rank, im, op, 0));
    if (rank > SAL_MAX_RANK || (a && a->n_t != 1))
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "rank %zu, at most %d", rank, SAL_MAX_RANK);
    if (a)
        TRY(onnx_tensor_load(&value, im, a->t[0], op->name));
    if (a && value.count != 1) {
        st = onnx_fail(op, SAL_ERROR_FORMAT, "its value is no scalar");
        goto done;
    }
    shape.rank = (int)rank;
    for (size_t k = 0; k < rank; k++)
        shape.dim[k] = dims[k];
    TRY(onnx_tensor_new(&t, im, value.integer, &shape, op->name));
    for (size_t k = 0; a && k < t.count; k++) {
        if (t.integer)
            t.i[k] = value.i[0];
        else
            t.f[k] = value.f[0];
    }
    onnx_output_constant(im, op, 0, &t);
done:
    onnx_tensor_clear(&value);
    return st;
}

sal_status onnx_fold_range(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    const onnx_tensor *start;
    double from, to, step;
    onnx_tensor t;
    TRY(onnx_constant(&start, im, op, 0));
    TRY(onnx_scalar(&from, im, op, 0));
    TRY(onnx_scalar(&to, im, op, 1));
    TRY(onnx_scalar(&step, im, op, 2));
    double count = ceil((to - from) / step);
    if (step == 0.0 || !isfinite(count))
        return onnx_fail(op, SAL_ERROR_FORMAT, "from %g to %g by %g", from, to, step);
    sal_shape shape = {.rank = 1, .dim = {count > 0.0 ? onnx_to_int(count) : 0}};
    TRY(onnx_tensor_new(&t, im, start->integer, &shape, op->name));
    for (size_t k = 0; k < t.count; k++) {
        if (t.integer)
            t.i[k] = onnx_to_int(from + (double)k * step);
        else
            t.f[k] = (float)(from + (double)k * step);
    }
    onnx_output_constant(im, op, 0, &t);
done:
    return st;
}

/* Shape of several constants broadcast together, and each one's strides in it (0 along repeated axes). */
static sal_status broadcast(sal_shape *shape, int64_t (*stride)[SAL_MAX_RANK], onnx_importer *im, const onnx_op *op,
                            int count)
{
    sal_status st = SAL_OK;
    const onnx_tensor *t;
    memset(shape, 0, sizeof *shape);
    for (int i = 0; i < count; i++) {
        TRY(onnx_constant(&t, im, op, i));
        shape->rank = t->shape.rank > shape->rank ? t->shape.rank : shape->rank;
    }
    for (int a = 0; a < shape->rank; a++)
        shape->dim[a] = 1;
    for (int i = 0; i < count; i++) {
        int64_t own[SAL_MAX_RANK];
        TRY(onnx_constant(&t, im, op, i));
        onnx_strides(own, &t->shape);
        for (int a = 0; a < shape->rank; a++) {
            int from = a - (shape->rank - t->shape.rank);
            int64_t extent = from < 0 ? 1 : t->shape.dim[from];
            stride[i][a] = extent == 1 ? 0 : own[from];
            if (extent != 1 && shape->dim[a] != 1 && extent != shape->dim[a])
                return onnx_fail(op, SAL_ERROR_FORMAT, "constants of %lld and %lld elements along axis %d",
                                 (long long)shape->dim[a], (long long)extent, a);
            if (extent != 1)
                shape->dim[a] = extent;
        }
    }
done:
    return st;
}

/* Where element k of the broadcast shape lies in an operand. */
static size_t operand_index(const sal_shape *shape, const int64_t *stride, size_t k)
{
    int64_t at = 0;
    for (int a = shape->rank - 1; a >= 0; a--) {
        at += (int64_t)(k % (size_t)shape->dim[a]) * stride[a];
        k /= (size_t)shape->dim[a];
    }
    return (size_t)at;
}

static sal_status integer_math(int64_t *out, const onnx_op *op, onnx_math math, int64_t a, int64_t b)
{
    int bad = 0;
    switch (math) {
    case ONNX_ADD: bad = __builtin_add_overflow(a, b, out); break;
    case ONNX_SUB: bad = __builtin_sub_overflow(a, b, out); break;
    case ONNX_MUL: bad = __builtin_mul_overflow(a, b, out); break;
    case ONNX_DIV:
    case ONNX_MOD:
    case ONNX_FMOD:
        bad = b == 0 || (b == -1 && a == INT64_MIN);
        if (!bad)
            *out = math == ONNX_DIV ? a / b : a % b;
        /* Mod has the sign of the divisor. */
        if (!bad && math == ONNX_MOD && *out != 0 && (*out < 0) != (b < 0))
            *out += b;
        break;
    case ONNX_POW: *out = onnx_to_int(pow((double)a, (double)b)); break;
    case ONNX_MIN: *out = a < b ? a : b; break;
    case ONNX_MAX: *out = a > b ? a : b; break;
    }
    if (bad)
        return onnx_fail(op, SAL_ERROR_FORMAT, "%lld and %lld overflow", (long long)a, (long long)b);
    return SAL_OK;
}

static double float_math(onnx_math math, double a, double b)
{
    switch (math) {
    case ONNX_ADD: return a + b;
    case ONNX_SUB: return a - b;
    case ONNX_MUL: return a * b;
    case ONNX_DIV: return a / b;
    case ONNX_POW: return pow(a, b);
    case ONNX_MIN: return fmin(a, b);
    case ONNX_MAX: return fmax(a, b);
    case ONNX_MOD: return a - floor(a / b) * b;
    case ONNX_FMOD: return fmod(a, b);
    }
    return 0.0;
}

sal_status onnx_fold_math(onnx_importer *im, const onnx_op *op, onnx_math math)
{
    sal_status st = SAL_OK;
    const onnx_tensor *a, *b;
    sal_shape shape;
    int64_t stride[2][SAL_MAX_RANK];
    onnx_tensor t = {0};
    TRY(broadcast(&shape, stride, im, op, 2));
    TRY(onnx_constant(&a, im, op, 0));
    TRY(onnx_constant(&b, im, op, 1));
    TRY(onnx_tensor_new(&t, im, a->integer && b->integer, &shape, op->name));
    for (size_t k = 0; k < t.count; k++) {
        size_t ka = operand_index(&shape, stride[0], k), kb = operand_index(&shape, stride[1], k);
        if (t.integer)
            TRY(integer_math(&t.i[k], op, math, a->i[ka], b->i[kb]));
        else
            t.f[k] = (float)float_math(math, onnx_tensor_at(a, ka), onnx_tensor_at(b, kb));
    }
    onnx_output_constant(im, op, 0, &t);
done:
    onnx_tensor_clear(&t);
    return st;
}

static int compare(const char *type, double a, double b)
{
    if (strcmp(type, "Equal") == 0)
        return a == b;
    if (strcmp(type, "Less") == 0)
        return a < b;
    if (strcmp(type, "LessOrEqual") == 0)
        return a <= b;
    if (strcmp(type, "Greater") == 0)
        return a > b;
    if (strcmp(type, "GreaterOrEqual") == 0)
        return a >= b;
    if (strcmp(type, "And") == 0)
        return a != 0.0 && b != 0.0;
    return a != 0.0 || b != 0.0; /* Or */
}

sal_status onnx_fold_compare(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    const onnx_tensor *a, *b;
    sal_shape shape;
    int64_t stride[2][SAL_MAX_RANK];
    onnx_tensor t;
    TRY(broadcast(&shape, stride, im, op, 2));
    TRY(onnx_constant(&a, im, op, 0));
    TRY(onnx_constant(&b, im, op, 1));
    TRY(onnx_tensor_new(&t, im, 1, &shape, op->name));
    for (size_t k = 0; k < t.count; k++)
        t.i[k] = compare(op->type, onnx_tensor_at(a, operand_index(&shape, stride[0], k)),
                         onnx_tensor_at(b, operand_index(&shape, stride[1], k)));
    onnx_output_constant(im, op, 0, &t);
done:
    return st;
}

sal_status onnx_fold_where(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    const onnx_tensor *condition, *yes, *no;
    sal_shape shape;
    int64_t stride[3][SAL_MAX_RANK];
    onnx_tensor t;
    TRY(broadcast(&shape, stride, im, op, 3));
    TRY(onnx_constant(&condition, im, op, 0));
    TRY(onnx_constant(&yes, im, op, 1));
    TRY(onnx_constant(&no, im, op, 2));
    if (yes->integer != no->integer)
        return onnx_fail(op, SAL_ERROR_FORMAT, "its two choices are of different types");
    TRY(onnx_tensor_new(&t, im, yes->integer, &shape, op->name));
    for (size_t k = 0; k < t.count; k++) {
        int which = onnx_tensor_at(condition, operand_index(&shape, stride[0], k)) != 0.0 ? 1 : 2;
        const onnx_tensor *from = which == 1 ? yes : no;
        size_t at = operand_index(&shape, stride[which], k);
        if (t.integer)
            t.i[k] = from->i[at];
        else
            t.f[k] = from->f[at];
    }
    onnx_output_constant(im, op, 0, &t);
done:
    return st;
}

static double negative(double v)
{
    return -v;
}

static double reciprocal(double v)
{
    return 1.0 / v;
}

static double is_zero(double v)
{
    return v == 0.0;
}

static double sign(double v)
{
    return (double)((v > 0.0) - (v < 0.0));
}

/* Round has halves to the even number, as the processor does. */
static const struct {
    const char *type;
    double (*function)(double v);
} functions[] = {
    {"Abs", fabs},
    {"Ceil", ceil},
    {"Cos", cos},
    {"Exp", exp},
    {"Floor", floor},
    {"Log", log},
    {"Not", is_zero},
    {"Neg", negative},
    {"Round", nearbyint},
    {"Sign", sign},
    {"Sin", sin},
    {"Sqrt", sqrt},
    {"Reciprocal", reciprocal},
};

sal_status onnx_fold_unary(onnx_importer *im, const onnx_op *op)
{
    const onnx_tensor *x;
    onnx_tensor t;
    size_t which = 0;
    sal_status st = onnx_constant(&x, im, op, 0);
    if (st == SAL_OK)
        st = onnx_tensor_new(&t, im, x->integer, &x->shape, op->name);
    if (st != SAL_OK)
        return st;
    while (strcmp(functions[which].type, op->type) != 0)
        which++;
    for (size_t k = 0; k < t.count; k++) {
        double v = functions[which].function(onnx_tensor_at(x, k));
        if (t.integer)
            t.i[k] = onnx_to_int(v);
        else
            t.f[k] = (float)v;
    }
    onnx_output_constant(im, op, 0, &t);
    return SAL_OK;
}

/* The product of all elements: how many a shape has. */
sal_status onnx_fold_reduce_prod(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    const int64_t *axes;
    size_t count;
    int64_t keep, product = 1;
    const onnx_tensor *x;
    onnx_tensor t;
    TRY(onnx_attribute_int(&keep, op, "keepdims", 1));
    TRY(onnx_int_list_either(&axes, &count, im, op, 1, "axes"));
    TRY(onnx_constant(&x, im, op, 0));
    if (!x->integer || x->shape.rank > 1)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "salmap knows it for lists of integers only");
    for (size_t k = 0; k < x->count; k++)
        if (__builtin_mul_overflow(product, x->i[k], &product))
            return onnx_fail(op, SAL_ERROR_FORMAT, "the product overflows");
    sal_shape shape = {.rank = keep ? x->shape.rank : 0, .dim = {1}};
    TRY(onnx_tensor_new(&t, im, 1, &shape, op->name));
    t.i[0] = product;
    onnx_output_constant(im, op, 0, &t);
done:
    return st;
}

sal_status onnx_fold_size(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int constant, x;
    const onnx_tensor *in;
    int64_t size;
    TRY(onnx_is_constant(&constant, im, op, 0));
    if (constant) {
        TRY(onnx_constant(&in, im, op, 0));
        size = (int64_t)in->count;
    } else {
        TRY(onnx_node(&x, im, op, 0));
        size = sal_shape_elements(onnx_shape(im, x));
    }
    TRY(fill_list(im, op, 1, 0, &size, 1));
done:
    return st;
}

/* Ones on a diagonal of a matrix of the input's shape, which may depend on the picture. */
sal_status onnx_fold_eye_like(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int constant;
    int64_t diagonal, type;
    const onnx_tensor *in;
    onnx_array x = {0};
    onnx_tensor t;
    TRY(onnx_attribute_int(&diagonal, op, "k", 0));
    TRY(onnx_attribute_int(&type, op, "dtype", ONNX_FLOAT));
    TRY(onnx_is_constant(&constant, im, op, 0));
    if (constant) {
        TRY(onnx_constant(&in, im, op, 0));
        x.shape = in->shape;
    } else
        TRY(onnx_array_get(&x, im, op, 0));
    if (x.shape.rank != 2)
        return onnx_fail(op, SAL_ERROR_FORMAT, "its input has rank %d, expected a matrix", x.shape.rank);
    TRY(onnx_tensor_new(&t, im, !onnx_is_float_type(type), &x.shape, op->name));
    for (size_t k = 0; k < t.count; k++) {
        const int64_t row = (int64_t)k / x.shape.dim[1], column = (int64_t)k % x.shape.dim[1];
        if (t.integer)
            t.i[k] = column - row == diagonal;
        else
            t.f[k] = column - row == diagonal ? 1.0F : 0.0F;
    }
    onnx_output_constant(im, op, 0, &t);
done:
    return st;
}

/* A new axis that is `on` at the index and `off` elsewhere. */
sal_status onnx_fold_one_hot(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int64_t axis_given, inner = 1;
    int axis;
    double depth;
    const onnx_tensor *index, *values;
    onnx_tensor t;
    TRY(onnx_attribute_int(&axis_given, op, "axis", -1));
    TRY(onnx_constant(&index, im, op, 0));
    TRY(onnx_scalar(&depth, im, op, 1));
    TRY(onnx_constant(&values, im, op, 2));
    if (values->count != 2 || index->shape.rank >= SAL_MAX_RANK || !(depth >= 1.0 && depth < 0x1p31))
        return onnx_fail(op, SAL_ERROR_FORMAT, "depth %g, %zu values", depth, values->count);
    sal_shape shape = {.rank = index->shape.rank + 1};
    TRY(onnx_axis(&axis, op, axis_given, shape.rank));
    const int64_t extent = (int64_t)depth;
    for (int a = 0; a < shape.rank; a++) {
        shape.dim[a] = a == axis ? extent : index->shape.dim[a < axis ? a : a - 1];
        inner *= a > axis ? shape.dim[a] : 1;
    }
    TRY(onnx_tensor_new(&t, im, values->integer, &shape, op->name));
    for (size_t k = 0; k < t.count; k++) {
        const int64_t at = (int64_t)k / inner % extent,
                      from = (int64_t)k / (inner * extent) * inner + (int64_t)k % inner;
        double wanted = onnx_tensor_at(index, (size_t)from);
        wanted += wanted < 0.0 ? depth : 0.0;
        const int which = wanted == (double)at;
        if (t.integer)
            t.i[k] = values->i[which];
        else
            t.f[k] = values->f[which];
    }
    onnx_output_constant(im, op, 0, &t);
done:
    return st;
}
