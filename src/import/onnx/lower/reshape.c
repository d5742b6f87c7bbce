/* Ops that change the shape alone; on constants they are carried out at once. */
#include "import/onnx/lower/array.h"
#include "import/onnx/lower/emit.h"
#include "import/onnx/lower/handlers.h"
#include "import/onnx/onnx.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/op.h"
#include "import/onnx/tensor.h"

#include <string.h>

/* Identity, and Dropout where the network is not being trained. A constant that nobody else reads is moved. */
static sal_status pass_on(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int constant, node, lead;
    TRY(onnx_is_constant(&constant, im, op, 0));
    onnx_value *v = onnx_input(im, op, 0);
    if (constant) {
        onnx_tensor t = v->constant;
        int64_t stride[SAL_MAX_RANK];
        onnx_strides(stride, &t.shape);
        if (v->uses == 1 && im->place_count == 0) /* a branch may read it later */
            memset(&v->constant, 0, sizeof v->constant);
        else
            TRY(onnx_tensor_view(&t, im, &v->constant, &v->constant.shape, stride, 0));
        onnx_output_constant(im, op, 0, &t);
    } else if (v->kind == ONNX_VALUE_PIECE) {
        onnx_output_piece(im, op, 0, v->piece);
    } else {
        TRY(onnx_elements(&node, &lead, im, op, 0));
        onnx_output_elements(im, op, 0, node, lead);
    }
done:
    return st;
}

sal_status onnx_lower_identity(onnx_importer *im, const onnx_op *op)
{
    return pass_on(im, op);
}

sal_status onnx_lower_dropout(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    double training = 0.0, ratio = 0.5;
    int64_t is_test;
    TRY(onnx_attribute_int(&is_test, op, "is_test", 1)); /* before opset 7 */
    if (onnx_has_input(op, 2))
        TRY(onnx_scalar(&training, im, op, 2));
    if (onnx_has_input(op, 1))
        TRY(onnx_scalar(&ratio, im, op, 1));
    if ((training != 0.0 && ratio != 0.0) || (op->opset < 7 && is_test == 0))
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "the model was exported in training mode; call model.eval() first");
    TRY(pass_on(im, op));
done:
    return st;
}

static sal_status cast_to(onnx_importer *im, const onnx_op *op, int integer, int boolean)
{
    sal_status st = SAL_OK;
    int constant;
    const onnx_tensor *x;
    TRY(onnx_is_constant(&constant, im, op, 0));
    if (!constant && integer)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "casts the picture to an integer type");
    if (!constant)
        return pass_on(im, op);
    TRY(onnx_constant(&x, im, op, 0));
    if (x->integer == integer && !boolean)
        return pass_on(im, op);
    onnx_tensor t;
    TRY(onnx_tensor_new(&t, im, integer, &x->shape, op->name));
    for (size_t k = 0; k < t.count; k++) {
        double v = onnx_tensor_at(x, k);
        if (!integer)
            t.f[k] = (float)v;
        else if (boolean)
            t.i[k] = v != 0.0;
        else
            t.i[k] = onnx_to_int(v);
    }
    onnx_output_constant(im, op, 0, &t);
done:
    return st;
}

sal_status onnx_lower_cast(onnx_importer *im, const onnx_op *op)
{
    int64_t to;
    sal_status st = onnx_attribute_int(&to, op, "to", ONNX_FLOAT);
    if (st == SAL_OK && (to < ONNX_FLOAT || to > ONNX_BFLOAT16))
        st = onnx_fail(op, SAL_ERROR_UNSUPPORTED, "casts to element type %lld, of fewer bits than salmap knows",
                       (long long)to);
    return st == SAL_OK ? cast_to(im, op, !onnx_is_float_type(to), to == ONNX_BOOL) : st;
}

/* To the type of another tensor; of integers, nobody knows here whether they are booleans. */
sal_status onnx_lower_cast_like(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int constant;
    TRY(onnx_is_constant(&constant, im, op, 1));
    const int integer = constant && onnx_input(im, op, 1)->constant.integer;
    if (integer)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "casts to the type of integers or booleans");
    TRY(cast_to(im, op, 0, 0));
done:
    return st;
}

/* x, node or constant, in a new shape of as many elements. */
static sal_status reshape(onnx_importer *im, const onnx_op *op, const sal_shape *shape)
{
    sal_status st = SAL_OK;
    int constant;
    onnx_array a;
    char from[160], to[160];
    TRY(onnx_is_constant(&constant, im, op, 0));
    if (constant) {
        const onnx_tensor *in;
        onnx_tensor t;
        int64_t stride[SAL_MAX_RANK];
        TRY(onnx_constant(&in, im, op, 0));
        sal_shape line = {.rank = 1, .dim = {(int64_t)in->count}};
        if (onnx_strides(stride, shape) != (int64_t)in->count)
            return onnx_fail(op, SAL_ERROR_FORMAT, "%zu elements cannot become %s", in->count,
                             sal_shape_text(to, sizeof to, shape));
        TRY(onnx_tensor_view(&t, im, in, &line, &(int64_t){1}, 0));
        t.shape = *shape;
        onnx_output_constant(im, op, 0, &t);
        return SAL_OK;
    }
    TRY(onnx_array_get(&a, im, op, 0));
    if (sal_shape_elements(&a.shape) != sal_shape_elements(shape))
        return onnx_fail(op, SAL_ERROR_FORMAT, "%s cannot become %s", sal_shape_text(from, sizeof from, &a.shape),
                         sal_shape_text(to, sizeof to, shape));
    TRY(onnx_array_output(im, op, 0, a.node, shape));
done:
    return st;
}

/* Shape of input 0, whatever it is. */
static sal_status shape_of(sal_shape *out, onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int constant;
    onnx_array a;
    const onnx_tensor *t;
    TRY(onnx_is_constant(&constant, im, op, 0));
    if (constant) {
        TRY(onnx_constant(&t, im, op, 0));
        *out = t->shape;
    } else {
        TRY(onnx_array_get(&a, im, op, 0));
        *out = a.shape;
    }
done:
    return st;
}

/* Fills in the -1 of a Reshape from the number of elements. */
static sal_status complete(sal_shape *shape, const onnx_op *op, int free_axis, int64_t elements)
{
    int64_t known = 1;
    for (int a = 0; a < shape->rank; a++)
        if (a != free_axis && (shape->dim[a] < 0 || __builtin_mul_overflow(known, shape->dim[a], &known)))
            return onnx_fail(op, SAL_ERROR_FORMAT, "dimension %d of the new shape is %lld", a,
                             (long long)shape->dim[a]);
    if (free_axis < 0)
        return SAL_OK;
    if (known == 0 || elements % known != 0)
        return onnx_fail(op, SAL_ERROR_FORMAT, "%lld elements do not fill a multiple of %lld", (long long)elements,
                         (long long)known);
    shape->dim[free_axis] = elements / known;
    return SAL_OK;
}

sal_status onnx_lower_reshape(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    const int64_t *target;
    size_t rank;
    int64_t allow_zero, stride[SAL_MAX_RANK];
    sal_shape in, out = {0};
    int constant, free_axis = -1;
    TRY(onnx_attribute_int(&allow_zero, op, "allowzero", 0));
    TRY(onnx_int_list_either(&target, &rank, im, op, 1, "shape"));
    TRY(shape_of(&in, im, op));
    TRY(onnx_is_constant(&constant, im, op, 0));
    if (rank > SAL_MAX_RANK)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "new rank %zu, at most %d", rank, SAL_MAX_RANK);
    out.rank = (int)rank;
    for (int a = 0; a < out.rank; a++) {
        out.dim[a] = target[a];
        if (target[a] == 0 && !allow_zero && a < in.rank)
            out.dim[a] = in.dim[a];
        if (target[a] == -1 && free_axis >= 0)
            return onnx_fail(op, SAL_ERROR_FORMAT, "two dimensions of the new shape are -1");
        if (target[a] == -1)
            free_axis = a;
    }
    /* A file made for a fixed batch carries it in its constants. */
    if (!constant && im->batch > 1 && out.rank > 0 && out.dim[0] == im->batch)
        out.dim[0] = 1;
    TRY(complete(&out, op, free_axis, onnx_strides(stride, &in)));
    TRY(reshape(im, op, &out));
done:
    return st;
}

sal_status onnx_lower_flatten(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int64_t axis;
    sal_shape in, out = {.rank = 2, .dim = {1, 1}};
    TRY(onnx_attribute_int(&axis, op, "axis", 1));
    TRY(shape_of(&in, im, op));
    if (axis < -in.rank || axis > in.rank)
        return onnx_fail(op, SAL_ERROR_FORMAT, "axis %lld of a tensor of rank %d", (long long)axis, in.rank);
    if (axis < 0)
        axis += in.rank;
    for (int a = 0; a < in.rank; a++)
        out.dim[a >= axis] *= in.dim[a];
    TRY(reshape(im, op, &out));
done:
    return st;
}

/* The axes of Squeeze and Unsqueeze as a set of bits. */
static sal_status axis_set(unsigned *out, int *given, onnx_importer *im, const onnx_op *op, int rank)
{
    sal_status st = SAL_OK;
    const int64_t *axes;
    size_t count;
    TRY(onnx_int_list_either(&axes, &count, im, op, 1, "axes"));
    *out = 0;
    *given = axes != NULL;
    for (size_t k = 0; axes && k < count; k++) {
        int axis;
        TRY(onnx_axis(&axis, op, axes[k], rank));
        if (*out >> axis & 1U)
            return onnx_fail(op, SAL_ERROR_FORMAT, "axis %d is given twice", axis);
        *out |= 1U << axis;
    }
done:
    return st;
}

sal_status onnx_lower_squeeze(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    sal_shape in, out = {0};
    unsigned axes;
    int given, constant;
    TRY(shape_of(&in, im, op));
    TRY(axis_set(&axes, &given, im, op, in.rank));
    TRY(onnx_is_constant(&constant, im, op, 0));
    for (int a = 0; a < in.rank; a++) {
        /* Without axes all of extent 1 go; not the batch, which is 1 only by our choice. */
        int drop = given ? (int)(axes >> a & 1U) : in.dim[a] == 1 && (constant || a > 0);
        if (drop && in.dim[a] != 1)
            return onnx_fail(op, SAL_ERROR_FORMAT, "axis %d has %lld elements", a, (long long)in.dim[a]);
        if (!drop)
            out.dim[out.rank++] = in.dim[a];
    }
    TRY(reshape(im, op, &out));
done:
    return st;
}

sal_status onnx_lower_unsqueeze(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    const int64_t *list;
    size_t count;
    sal_shape in, out = {0};
    unsigned axes;
    int given, from = 0;
    TRY(shape_of(&in, im, op));
    TRY(onnx_int_list_either(&list, &count, im, op, 1, "axes"));
    if (count > (size_t)(SAL_MAX_RANK - in.rank))
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "the result has more than %d axes", SAL_MAX_RANK);
    out.rank = in.rank + (int)count;
    TRY(axis_set(&axes, &given, im, op, out.rank));
    for (int a = 0; a < out.rank; a++)
        out.dim[a] = axes >> a & 1U ? 1 : in.dim[from++];
    TRY(reshape(im, op, &out));
done:
    return st;
}

sal_status onnx_lower_transpose(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    const int64_t *given;
    size_t count;
    sal_shape in, out = {0};
    onnx_array whole;
    int constant, x, permutation[SAL_MAX_RANK] = {0}, turned[SAL_MAX_RANK];
    int64_t in_stride[SAL_MAX_RANK], stride[SAL_MAX_RANK];
    unsigned seen = 0;
    TRY(onnx_attribute_ints(&given, &count, op, "perm"));
    TRY(shape_of(&in, im, op));
    TRY(onnx_is_constant(&constant, im, op, 0));
    if (given && count != (size_t)in.rank)
        return onnx_fail(op, SAL_ERROR_FORMAT, "perm has %zu entries for rank %d", count, in.rank);
    onnx_strides(in_stride, &in);
    out.rank = in.rank;
    for (int a = 0; a < in.rank; a++) {
        TRY(onnx_axis(&permutation[a], op, given ? given[a] : in.rank - 1 - a, in.rank));
        seen |= 1U << permutation[a];
        out.dim[a] = in.dim[permutation[a]];
        stride[a] = in_stride[permutation[a]];
    }
    if (seen != (1U << in.rank) - 1U)
        return onnx_fail(op, SAL_ERROR_FORMAT, "perm is no permutation");
    if (constant) {
        const onnx_tensor *t;
        onnx_tensor result;
        TRY(onnx_constant(&t, im, op, 0));
        TRY(onnx_tensor_view(&result, im, t, &out, stride, 0));
        onnx_output_constant(im, op, 0, &result);
        return SAL_OK;
    }
    TRY(onnx_array_get(&whole, im, op, 0));
    if (permutation[0] != 0)
        TRY(onnx_array_lead(&whole, im, op));
    for (int k = 0; k < in.rank + whole.lead; k++)
        turned[k] = k < whole.lead ? k : whole.lead + permutation[k - whole.lead];
    TRY(onnx_emit_transpose(&x, im, op, whole.node, turned));
    TRY(onnx_array_output(im, op, 0, x, &out));
done:
    return st;
}

/* Repeats axes of extent 1. */
sal_status onnx_lower_expand(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    const int64_t *target;
    size_t count;
    sal_shape in, out = {0};
    int constant;
    int64_t in_stride[SAL_MAX_RANK], stride[SAL_MAX_RANK];
    TRY(onnx_int_list(&target, &count, im, op, 1));
    TRY(shape_of(&in, im, op));
    TRY(onnx_is_constant(&constant, im, op, 0));
    if (count > SAL_MAX_RANK)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "new rank %zu, at most %d", count, SAL_MAX_RANK);
    onnx_strides(in_stride, &in);
    out.rank = in.rank > (int)count ? in.rank : (int)count;
    for (int a = 0; a < out.rank; a++) {
        int from = a - (out.rank - in.rank), to = a - (out.rank - (int)count);
        int64_t have = from < 0 ? 1 : in.dim[from], want = to < 0 ? 1 : target[to];
        if (have != want && have != 1 && want != 1)
            return onnx_fail(op, SAL_ERROR_FORMAT, "%lld elements cannot become %lld", (long long)have,
                             (long long)want);
        out.dim[a] = have == 1 ? want : have;
        stride[a] = have == 1 ? 0 : in_stride[from];
    }
    if (!constant && im->batch > 1 && out.rank > 0 && out.dim[0] == im->batch)
        out.dim[0] = 1;
    if (constant) {
        const onnx_tensor *t;
        onnx_tensor result;
        TRY(onnx_constant(&t, im, op, 0));
        TRY(onnx_tensor_view(&result, im, t, &out, stride, 0));
        onnx_output_constant(im, op, 0, &result);
    } else if (sal_shape_equal(&in, &out)) {
        TRY(pass_on(im, op));
    } else {
        onnx_array array;
        int x, base;
        TRY(onnx_array_get(&array, im, op, 0));
        TRY(onnx_array_align(&x, &base, im, op, &array, 1, out.rank, out.dim[0] != 1));
        sal_shape full = *onnx_shape(im, x);
        for (int k = 0; k < out.rank; k++)
            full.dim[base + k] = out.dim[k];
        TRY(onnx_emit_expand(&x, im, op, x, &full));
        TRY(onnx_array_output(im, op, 0, x, &out));
    }
done:
    return st;
}

sal_status onnx_lower_shape(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    sal_shape in;
    int64_t start, end;
    onnx_tensor t;
    TRY(shape_of(&in, im, op));
    TRY(onnx_attribute_int(&start, op, "start", 0));
    TRY(onnx_attribute_int(&end, op, "end", in.rank));
    start += start < 0 ? in.rank : 0;
    end += end < 0 ? in.rank : 0;
    start = start < 0 ? 0 : start;
    end = end > in.rank ? in.rank : end;
    sal_shape shape = {.rank = 1, .dim = {end > start ? end - start : 0}};
    TRY(onnx_tensor_new(&t, im, 1, &shape, op->name));
    for (int64_t k = 0; k < shape.dim[0]; k++)
        t.i[k] = in.dim[start + k];
    onnx_output_constant(im, op, 0, &t);
done:
    return st;
}
