/* Sums, means, maxima and norms over axes. */
#include "import/onnx/lower/array.h"
#include "import/onnx/lower/emit.h"
#include "import/onnx/lower/handlers.h"
#include "import/onnx/lower/piece.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/op.h"

#include <string.h>

typedef enum reduction {
    REDUCE_L1,
    REDUCE_L2,
    REDUCE_LOG_SUM,
    REDUCE_LOG_SUM_EXP,
    REDUCE_MAX,
    REDUCE_MEAN,
    REDUCE_MIN,
    REDUCE_PROD,
    REDUCE_SUM,
    REDUCE_SUM_SQUARE
} reduction;

static const struct {
    const char *type;
    reduction kind;
} kinds[] = {
    {"ReduceL1", REDUCE_L1},   {"ReduceL2", REDUCE_L2},     {"ReduceLogSum", REDUCE_LOG_SUM},
    {"ReduceMax", REDUCE_MAX}, {"ReduceMean", REDUCE_MEAN}, {"ReduceLogSumExp", REDUCE_LOG_SUM_EXP},
    {"ReduceMin", REDUCE_MIN}, {"ReduceProd", REDUCE_PROD}, {"ReduceSumSquare", REDUCE_SUM_SQUARE},
    {"ReduceSum", REDUCE_SUM},
};

/* What the attributes and inputs of a Reduce op say. */
typedef struct reduce {
    int64_t keep;
    int64_t noop; /* 1: nothing is reduced where no axes are given */
    const int64_t *axes;
    size_t count;
} reduce;

static sal_status read_reduce(reduce *out, onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    TRY(onnx_attribute_int(&out->keep, op, "keepdims", 1));
    TRY(onnx_attribute_int(&out->noop, op, "noop_with_empty_axes", 0));
    TRY(onnx_int_list_either(&out->axes, &out->count, im, op, 1, "axes"));
    out->noop = out->noop && out->count == 0;
done:
    return st;
}

/* The axes of a tensor as a set; all where none are given. */
static sal_status axis_set(unsigned *out, const onnx_op *op, const reduce *r, int rank)
{
    *out = r->count == 0 && !r->noop ? (1U << rank) - 1U : 0U;
    for (size_t k = 0; k < r->count; k++) {
        int axis;
        sal_status st = onnx_axis(&axis, op, r->axes[k], rank);
        if (st != SAL_OK)
            return st;
        *out |= 1U << axis;
    }
    return SAL_OK;
}

/* The product of the elements over axes: of slices, so that an element of 0 is no division by it. */
static sal_status emit_product(int *out, onnx_importer *im, const onnx_op *op, int x, unsigned axes)
{
    enum { MOST = 64 };
    sal_status st = SAL_OK;
    int permutation[SAL_MAX_RANK], at = 0, parts[MOST] = {0};
    sal_shape shape = *onnx_shape(im, x);
    sal_shape flat = {.rank = 3, .dim = {1, 1, 1}};
    for (int pass = 0; pass < 2; pass++)
        for (int a = 0; a < shape.rank; a++)
            if ((int)(axes >> a & 1U) == pass) {
                permutation[at++] = a;
                flat.dim[1 + pass] *= shape.dim[a];
            }
    if (flat.dim[2] > MOST)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "a product of %lld elements; salmap knows at most %d",
                         (long long)flat.dim[2], MOST);
    TRY(onnx_emit_transpose(&x, im, op, x, permutation));
    TRY(onnx_emit_reshape(&x, im, op, x, &flat));
    int count = (int)flat.dim[2];
    for (int k = 0; k < count; k++)
        TRY(onnx_emit_slice(&parts[k], im, op, x, 2, k, 1, 1));
    for (; count > 1; count = (count + 1) / 2)
        for (int k = 0; k < count / 2; k++) {
            TRY(onnx_emit_binary(&parts[k], im, op, SAL_OP_MUL, parts[2 * k], parts[2 * k + 1]));
            if (k == count / 2 - 1 && count % 2 == 1)
                parts[k + 1] = parts[count - 1];
        }
    for (int a = 0; a < shape.rank; a++)
        shape.dim[a] = axes >> a & 1U ? 1 : shape.dim[a];
    TRY(onnx_emit_reshape(out, im, op, parts[0], &shape));
done:
    return st;
}

static sal_status emit(int *out, onnx_importer *im, const onnx_op *op, reduction kind, int x, unsigned axes)
{
    sal_status st = SAL_OK;
    sal_reduction core = SAL_REDUCTION_SUM;
    switch (kind) {
    case REDUCE_L1: TRY(onnx_emit_activation1(&x, im, op, x, SAL_ACT_ABS)); break;
    case REDUCE_L2:
    case REDUCE_SUM_SQUARE: TRY(onnx_emit_binary(&x, im, op, SAL_OP_MUL, x, x)); break;
    case REDUCE_LOG_SUM_EXP: return onnx_emit_log_sum_exp(out, im, op, x, axes);
    case REDUCE_PROD: return emit_product(out, im, op, x, axes);
    case REDUCE_MEAN: core = SAL_REDUCTION_MEAN; break;
    case REDUCE_MAX: core = SAL_REDUCTION_MAX; break;
    case REDUCE_MIN:
        core = SAL_REDUCTION_MAX;
        TRY(onnx_emit_affine(&x, im, op, x, -1.0, 0.0));
        break;
    case REDUCE_SUM:
    case REDUCE_LOG_SUM: break;
    }
    TRY(onnx_emit_reduce(&x, im, op, x, core, axes));
    if (kind == REDUCE_MIN)
        TRY(onnx_emit_affine(&x, im, op, x, -1.0, 0.0));
    if (kind == REDUCE_L2)
        TRY(onnx_emit_root(&x, im, op, x, 2.0));
    if (kind == REDUCE_LOG_SUM)
        TRY(onnx_emit_activation1(&x, im, op, x, SAL_ACT_LOG));
    *out = x;
done:
    return st;
}

static sal_status reduce_any(onnx_importer *im, const onnx_op *op, reduction kind, const reduce *r)
{
    sal_status st = SAL_OK;
    onnx_array x;
    unsigned axes;
    int y;
    sal_shape shape = {0};
    TRY(onnx_array_get(&x, im, op, 0));
    TRY(axis_set(&axes, op, r, x.shape.rank));
    for (int a = 0; a < x.shape.rank; a++)
        if (!(axes >> a & 1U) || r->keep)
            shape.dim[shape.rank++] = axes >> a & 1U ? 1 : x.shape.dim[a];
    TRY(emit(&y, im, op, kind, x.node, axes << x.lead & ~1U)); /* the batch is one picture */
    TRY(onnx_array_output(im, op, 0, y, &shape));
done:
    return st;
}

sal_status onnx_lower_reduce(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    reduce r;
    size_t k = 0;
    while (strcmp(kinds[k].type, op->type) != 0)
        k++;
    TRY(read_reduce(&r, im, op));
    TRY(reduce_any(im, op, kinds[k].kind, &r));
done:
    return st;
}

/* Products of integers are what shapes are computed with. */
sal_status onnx_lower_reduce_prod(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int constant;
    TRY(onnx_is_constant(&constant, im, op, 0));
    if (constant && onnx_input(im, op, 0)->constant.integer)
        return onnx_fold_reduce_prod(im, op);
    if (constant)
        return onnx_fold_by_nodes(im, op, onnx_lower_reduce);
    return onnx_lower_reduce(im, op);
done:
    return st;
}

/* Mean over axes first to last of a node. */
static sal_status mean_of_node(onnx_importer *im, const onnx_op *op, int x, int first, int last, int keep)
{
    sal_status st = SAL_OK;
    const sal_shape in = *onnx_shape(im, x);
    sal_shape out = {0};
    TRY(onnx_emit_mean(&x, im, op, x, first, last));
    for (int a = 0; a < in.rank; a++)
        if (a < first || a > last)
            out.dim[out.rank++] = in.dim[a];
    if (keep)
        onnx_output_node(im, op, 0, x);
    else
        TRY(onnx_array_output(im, op, 0, x, &out));
done:
    return st;
}

/* Of one axis: it may be the start of a layer norm. Of height and width: pooling. */
sal_status onnx_lower_reduce_mean(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    reduce r;
    unsigned axes;
    int constant, x, lead, handled, first = 0, last;
    TRY(read_reduce(&r, im, op));
    if (r.noop)
        return onnx_lower_identity(im, op);
    TRY(onnx_is_constant(&constant, im, op, 0));
    onnx_piece_variance(&handled, im, op, r.axes, r.count, r.keep != 0);
    if (handled)
        return SAL_OK;
    TRY(onnx_elements(&x, &lead, im, op, 0));
    const int rank = onnx_shape(im, x)->rank;
    TRY(axis_set(&axes, op, &r, rank - lead));
    axes <<= lead;
    while (first < rank && !(axes >> first & 1U))
        first++;
    last = first;
    while (last + 1 < rank && axes >> (last + 1) & 1U)
        last++;
    const int adjacent = first > 0 && first < rank && axes >> last == 1U;
    if (adjacent && first == last)
        onnx_piece_mean(im, op, x, lead, first, r.keep != 0);
    else if (adjacent && lead == 0 && ((rank == 4 && last == first + 1) || last == rank - 1))
        TRY(mean_of_node(im, op, x, first, last, r.keep != 0));
    else
        TRY(reduce_any(im, op, REDUCE_MEAN, &r));
done:
    return st;
}
