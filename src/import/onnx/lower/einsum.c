/* Einsum of one or two operands: a batched product of matrices between transposes. */
#include "import/onnx/lower/array.h"
#include "import/onnx/lower/emit.h"
#include "import/onnx/lower/handlers.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/op.h"

#include <ctype.h>
#include <string.h>

/* The letters of an operand's axes; those of an ellipsis are '0' and on, counted from its end. */
typedef struct term {
    char axes[SAL_MAX_RANK + 1];
    int count;
    int node; /* axis a of the term is axis 1 + a */
} term;

static const char *const letters_only = "salmap knows equations of letters and of an ellipsis";

/* One term of the equation, up to an arrow, a comma or the end. ellipsis: axes that it stands for; *seen: it did. */
static sal_status read_term(term *t, const char **text, const onnx_op *op, int ellipsis, int *seen)
{
    t->count = 0;
    *seen = 0;
    for (; **text && **text != ',' && **text != '-'; (*text)++) {
        if (**text == ' ')
            continue;
        if (strncmp(*text, "...", 3) == 0 && !*seen) {
            for (int k = 0; k < ellipsis && t->count < SAL_MAX_RANK; k++)
                t->axes[t->count++] = (char)('0' + ellipsis - 1 - k);
            *seen = 1;
            *text += 2;
            continue;
        }
        if (!isalpha((unsigned char)**text) || t->count == SAL_MAX_RANK)
            return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "%s", letters_only);
        t->axes[t->count++] = **text;
    }
    t->axes[t->count] = '\0';
    return SAL_OK;
}

static int count_letters(const char *text)
{
    int n = 0;
    for (; *text && *text != ',' && *text != '-'; text++)
        n += isalpha((unsigned char)*text) != 0;
    return n;
}

static int find(const term *t, char axis)
{
    const char *at = memchr(t->axes, axis, (size_t)t->count);
    return at ? (int)(at - t->axes) : -1;
}

/* A letter that stands twice in one operand: its diagonal. */
static sal_status take_diagonals(term *t, onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    onnx_table table = {0};
    for (int a = 0; a < t->count; a++) {
        const char *again = memchr(t->axes + a + 1, t->axes[a], (size_t)(t->count - a - 1));
        if (!again)
            continue;
        const int b = (int)(again - t->axes);
        const sal_shape *in = onnx_shape(im, t->node);
        sal_shape shape = {.rank = in->rank - 1};
        int64_t stride[SAL_MAX_RANK], own[SAL_MAX_RANK], step = 1;
        for (int k = in->rank - 1; k >= 0; k--) {
            own[k] = step;
            step *= in->dim[k];
        }
        if (in->dim[1 + a] != in->dim[1 + b])
            return onnx_fail(op, SAL_ERROR_FORMAT, "a diagonal of %lld x %lld", (long long)in->dim[1 + a],
                             (long long)in->dim[1 + b]);
        for (int k = 0; k < shape.rank; k++) {
            const int from = k < 1 + b ? k : k + 1;
            shape.dim[k] = in->dim[from];
            stride[k] = own[from] + (from == 1 + a ? own[1 + b] : 0);
        }
        TRY(onnx_table_new(&table, op, sal_shape_elements(&shape), 1, 0));
        for (size_t k = 0; k < table.count; k++)
            table.index[k] = (int32_t)onnx_strided(&shape, stride, k);
        TRY(onnx_emit_pick(&t->node, im, op, &t->node, 1, &table, &shape));
        memmove(t->axes + b, t->axes + b + 1, (size_t)(t->count - b));
        t->count--;
        a--;
    }
done:
    onnx_table_clear(&table);
    return st;
}

/* Axes that neither the result nor the other operand has are summed, and go. */
static sal_status sum_alone(term *t, onnx_importer *im, const onnx_op *op, const term *other, const term *result)
{
    sal_status st = SAL_OK;
    unsigned axes = 0;
    int kept = 0;
    sal_shape shape = {.rank = 1, .dim = {1}};
    for (int a = 0; a < t->count; a++) {
        if (find(result, t->axes[a]) < 0 && (!other || find(other, t->axes[a]) < 0)) {
            axes |= 1U << (1 + a);
            continue;
        }
        shape.dim[shape.rank++] = onnx_shape(im, t->node)->dim[1 + a];
        t->axes[kept++] = t->axes[a];
    }
    if (axes == 0)
        return SAL_OK;
    TRY(onnx_emit_reduce(&t->node, im, op, t->node, SAL_REDUCTION_SUM, axes));
    if (shape.rank == 1)
        shape.dim[shape.rank++] = 1;
    TRY(onnx_emit_reshape(&t->node, im, op, t->node, &shape));
    t->count = kept;
    t->axes[kept] = '\0';
done:
    return st;
}

/* The term's axes in the order of `order`, each of which it has or which has an extent of 1 in it. */
static sal_status bring_to(int *out, onnx_importer *im, const onnx_op *op, const term *t, const char *order, int count)
{
    sal_status st = SAL_OK;
    int permutation[SAL_MAX_RANK] = {0}, at = 1;
    sal_shape shape = {.rank = 1 + count, .dim = {1}};
    const int x = t->node;
    if (shape.rank > SAL_MAX_RANK)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "more than %d axes", SAL_MAX_RANK - 1);
    for (int k = 0; k < count; k++) {
        const int a = find(t, order[k]);
        if (a >= 0)
            permutation[at++] = 1 + a;
        shape.dim[1 + k] = a < 0 ? 1 : onnx_shape(im, x)->dim[1 + a];
    }
    *out = x;
    if (t->count > 0)
        TRY(onnx_emit_transpose(out, im, op, x, permutation));
    TRY(onnx_emit_reshape(out, im, op, *out, &shape));
done:
    return st;
}

/* Axes by where they occur, and how many elements they have. */
typedef struct group {
    char axes[SAL_MAX_RANK + 1];
    int count;
    int64_t elements;
} group;

static void add_axis(group *g, char axis, int64_t extent)
{
    g->axes[g->count++] = axis;
    g->elements *= extent;
}

static int64_t extent_of(const onnx_importer *im, const term *terms, char axis)
{
    int64_t extent = 1;
    for (int i = 0; i < 2; i++) {
        const int a = find(&terms[i], axis);
        if (a >= 0 && onnx_shape(im, terms[i].node)->dim[1 + a] > extent)
            extent = onnx_shape(im, terms[i].node)->dim[1 + a];
    }
    return extent;
}

/* An operand as (1, batches, rows, columns): its axes in that order, those that it repeats expanded. */
static sal_status as_matrices(int *out, onnx_importer *im, const onnx_op *op, const term *terms, int which,
                              const group *const *groups)
{
    sal_status st = SAL_OK;
    char order[3 * SAL_MAX_RANK];
    int count = 0;
    sal_shape full = {.rank = 1, .dim = {1}};
    for (int g = 0; g < 3; g++)
        for (int k = 0; k < groups[g]->count; k++) {
            if (full.rank == SAL_MAX_RANK)
                return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "more than %d axes", SAL_MAX_RANK - 1);
            order[count++] = groups[g]->axes[k];
            full.dim[full.rank++] = extent_of(im, terms, groups[g]->axes[k]);
        }
    TRY(bring_to(out, im, op, &terms[which], order, count));
    if (full.rank > 1) {
        char text[160];
        for (int a = 1; a < full.rank; a++)
            if (onnx_shape(im, *out)->dim[a] != full.dim[a] && onnx_shape(im, *out)->dim[a] != 1)
                return onnx_fail(op, SAL_ERROR_FORMAT, "its operands do not fit: %s",
                                 sal_shape_text(text, sizeof text, onnx_shape(im, *out)));
        TRY(onnx_emit_expand(out, im, op, *out, &full));
    }
    sal_shape matrices = {.rank = 4, .dim = {1, groups[0]->elements, groups[1]->elements, groups[2]->elements}};
    TRY(onnx_emit_reshape(out, im, op, *out, &matrices));
done:
    return st;
}

static sal_status product(term *out, onnx_importer *im, const onnx_op *op, const term *terms, const term *result)
{
    sal_status st = SAL_OK;
    group batch = {.elements = 1}, rows = batch, inner = batch, columns = batch;
    int a, b, y;
    for (int k = 0; k < terms[0].count; k++) {
        const char axis = terms[0].axes[k];
        const int both = find(&terms[1], axis) >= 0, kept = find(result, axis) >= 0;
        add_axis(!both ? &rows : kept ? &batch : &inner, axis, extent_of(im, terms, axis));
    }
    for (int k = 0; k < terms[1].count; k++)
        if (find(&terms[0], terms[1].axes[k]) < 0)
            add_axis(&columns, terms[1].axes[k], extent_of(im, terms, terms[1].axes[k]));
    TRY(as_matrices(&a, im, op, terms, 0, (const group *[]){&batch, &rows, &inner}));
    TRY(as_matrices(&b, im, op, terms, 1, (const group *[]){&batch, &inner, &columns}));
    TRY(onnx_emit_matmul(&y, im, op, a, b, 0, 0, 1.0));
    const group *const parts[] = {&batch, &rows, &columns};
    sal_shape shape = {.rank = 1, .dim = {1}};
    out->count = 0;
    for (int g = 0; g < 3; g++)
        for (int k = 0; k < parts[g]->count; k++) {
            if (shape.rank == SAL_MAX_RANK)
                return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "more than %d axes", SAL_MAX_RANK - 1);
            out->axes[out->count++] = parts[g]->axes[k];
            shape.dim[shape.rank++] = extent_of(im, terms, parts[g]->axes[k]);
        }
    out->axes[out->count] = '\0';
    if (shape.rank == 1)
        shape.dim[shape.rank++] = 1;
    TRY(onnx_emit_reshape(&out->node, im, op, y, &shape));
done:
    return st;
}

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* Without an arrow: the axes of the ellipsis, then the letters that stand once, in this order. */
static void implied_result(term *result, const term *terms, int count, int ellipsis)
{
    result->count = 0;
    for (int k = 0; k < ellipsis; k++)
        result->axes[result->count++] = (char)('0' + ellipsis - 1 - k);
    for (const char *letter = letters; *letter; letter++) {
        const char c = *letter;
        int n = 0;
        for (int i = 0; i < count; i++)
            for (int a = 0; a < terms[i].count; a++)
                n += terms[i].axes[a] == c;
        if (n == 1 && result->count < SAL_MAX_RANK)
            result->axes[result->count++] = c;
    }
    result->axes[result->count] = '\0';
}

static sal_status read_equation(term *terms, term *result, const onnx_op *op, const onnx_array *arrays)
{
    sal_status st = SAL_OK;
    char text[256];
    int seen, longest = 0;
    const SalOnnx__Attribute *equation = onnx_attribute_find(op, "equation");
    if (!equation || equation->s.len >= sizeof text)
        return onnx_fail(op, SAL_ERROR_FORMAT, "it has no equation, or one of more than %zu letters", sizeof text - 1);
    if (equation->s.len > 0)
        memcpy(text, equation->s.data, equation->s.len);
    text[equation->s.len] = '\0';
    const char *at = text;
    for (int i = 0; i < op->input_count; i++) {
        const int ellipsis = arrays[i].shape.rank - count_letters(at);
        if (ellipsis < 0)
            return onnx_fail(op, SAL_ERROR_FORMAT, "its equation has more axes than input %d", i);
        TRY(read_term(&terms[i], &at, op, ellipsis, &seen));
        if (terms[i].count != arrays[i].shape.rank || (i + 1 < op->input_count && *at++ != ','))
            return onnx_fail(op, SAL_ERROR_FORMAT, "its equation does not fit its inputs");
        longest = seen && ellipsis > longest ? ellipsis : longest;
    }
    if (*at == '\0')
        implied_result(result, terms, op->input_count, longest);
    else if (strncmp(at, "->", 2) == 0) {
        at += 2;
        TRY(read_term(result, &at, op, longest, &seen));
        if (*at != '\0')
            st = onnx_fail(op, SAL_ERROR_UNSUPPORTED, "%s", letters_only);
    } else
        st = onnx_fail(op, SAL_ERROR_FORMAT, "its equation does not fit its inputs");
done:
    return st;
}

sal_status onnx_lower_einsum(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    onnx_array arrays[2];
    term terms[2], result, all;
    sal_shape out = {0};
    int y;
    if (op->input_count < 1 || op->input_count > 2)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "%d inputs; salmap knows it with one or two", op->input_count);
    for (int i = 0; i < op->input_count; i++)
        TRY(onnx_array_get(&arrays[i], im, op, i));
    TRY(read_equation(terms, &result, op, arrays));
    for (int i = 0; i < op->input_count; i++) {
        TRY(onnx_array_full(&terms[i].node, im, op, &arrays[i], arrays[i].shape.rank));
        TRY(take_diagonals(&terms[i], im, op));
    }
    for (int i = 0; i < op->input_count; i++)
        TRY(sum_alone(&terms[i], im, op, op->input_count == 2 ? &terms[1 - i] : NULL, &result));
    all = terms[0];
    if (op->input_count == 2)
        TRY(product(&all, im, op, terms, &result));
    for (int k = 0; k < result.count; k++) {
        const int a = find(&all, result.axes[k]);
        if (a < 0 || memchr(result.axes, result.axes[k], (size_t)k))
            return onnx_fail(op, SAL_ERROR_FORMAT, "its result has an axis that its inputs lack, or one twice");
        out.dim[out.rank++] = onnx_shape(im, all.node)->dim[1 + a];
    }
    TRY(bring_to(&y, im, op, &all, result.axes, result.count));
    TRY(onnx_array_output(im, op, 0, y, &out));
done:
    return st;
}
