/* Normalisations: batch, layer, instance and group, and those by a norm. */
#include "base/memory.h"
#include "import/onnx/lower/array.h"
#include "import/onnx/lower/emit.h"
#include "import/onnx/lower/handlers.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/op.h"
#include "import/onnx/tensor.h"

#include <math.h>
#include <string.h>

/* Four vectors of one value per channel. */
static sal_status take_statistics(float **out, onnx_importer *im, const onnx_op *op, size_t channels)
{
    for (int i = 0; i < 4; i++) {
        size_t count;
        sal_status st = onnx_take(&out[i], &count, im, op, 1 + i);
        if (st != SAL_OK)
            return st;
        if (count != channels)
            return onnx_fail(op, SAL_ERROR_FORMAT, "input %d has %zu values for %zu channels", 1 + i, count, channels);
    }
    return SAL_OK;
}

/* In training mode the statistics are the batch's own. Of a constant they are known: weights are standardised so. */
static void measure(float *mean, float *variance, const float *x, const sal_shape *shape)
{
    const int64_t channels = shape->dim[1], count = sal_shape_elements(shape) / channels;
    const int64_t inner = count / shape->dim[0];
    for (int64_t c = 0; c < channels; c++) {
        double sum = 0.0, squares = 0.0;
        for (int64_t k = 0; k < count; k++)
            sum += (double)x[(k / inner * channels + c) * inner + k % inner];
        for (int64_t k = 0; k < count; k++) {
            double v = (double)x[(k / inner * channels + c) * inner + k % inner] - sum / (double)count;
            squares += v * v;
        }
        mean[c] = (float)(sum / (double)count);
        variance[c] = (float)(squares / (double)count);
    }
}

sal_status onnx_lower_batch_norm(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    enum { SCALE, SHIFT, MEAN, VARIANCE };
    float *s[4] = {NULL}, epsilon;
    onnx_array x;
    int node;
    int64_t training, spatial, is_test;
    TRY(onnx_attribute_int(&training, op, "training_mode", 0));
    TRY(onnx_attribute_int(&spatial, op, "spatial", 1));
    TRY(onnx_attribute_float(&epsilon, op, "epsilon", 1e-5F));
    TRY(onnx_attribute_int(&is_test, op, "is_test", op->output_count == 1)); /* before opset 7 */
    if ((training != 0 && !im->folding) || (op->opset < 7 && is_test == 0))
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "the model was exported in training mode; call model.eval() first");
    if (spatial != 1)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "spatial %lld", (long long)spatial);
    TRY(onnx_array_get(&x, im, op, 0));
    if (x.shape.rank < 2)
        return onnx_fail(op, SAL_ERROR_FORMAT, "its input has rank %d; it needs one with channels", x.shape.rank);
    size_t channels = (size_t)x.shape.dim[1];
    TRY(take_statistics(s, im, op, channels));
    if (training != 0)
        measure(s[MEAN], s[VARIANCE], im->graph->nodes[x.node].weight, &x.shape);
    TRY(onnx_start(&node, im, op, SAL_OP_AFFINE, &x.node, 1));
    sal_node *n = &im->graph->nodes[node];
    n->axis = 1 + x.lead;
    TRY(sal_alloc(&n->weight, channels, sizeof *n->weight, "scales"));
    TRY(sal_alloc(&n->bias, channels, sizeof *n->bias, "shifts"));
    n->weight_count = n->bias_count = channels;
    for (size_t c = 0; c < channels; c++) {
        double scale = (double)s[SCALE][c] / sqrt((double)s[VARIANCE][c] + (double)epsilon);
        n->weight[c] = (float)scale;
        n->bias[c] = (float)((double)s[SHIFT][c] - scale * (double)s[MEAN][c]);
    }
    TRY(onnx_finish(im, op, node));
    onnx_output_elements(im, op, 0, node, x.lead);
done:
    for (int i = 0; i < 4; i++)
        sal_free(s[i]);
    return st;
}

/* Scales or shifts of shape (normalised axes), or what is broadcast to it, as one value for each. */
static sal_status take_spread(float **out, onnx_importer *im, const onnx_op *op, int index, const sal_shape *to)
{
    sal_status st = SAL_OK;
    const onnx_tensor *t;
    float *values = NULL;
    size_t count;
    int64_t stride[SAL_MAX_RANK];
    sal_shape shapes[2] = {*to}, both;
    *out = NULL;
    TRY(onnx_constant(&t, im, op, index));
    shapes[1] = t->shape;
    TRY(onnx_broadcast(&both, op, shapes, 2));
    if (!sal_shape_equal(&both, to))
        return onnx_fail(op, SAL_ERROR_FORMAT, "input %d has more axes than are normalised", index);
    onnx_broadcast_strides(stride, &shapes[1], to);
    TRY(onnx_take(&values, &count, im, op, index));
    TRY(sal_alloc(out, (size_t)sal_shape_elements(to), sizeof **out, op->name));
    for (size_t k = 0; k < (size_t)sal_shape_elements(to); k++)
        (*out)[k] = values[onnx_strided(to, stride, k)];
done:
    sal_free(values);
    return st;
}

/* Over the last axes of x, from `axis` of the file on: (.., normalised elements). */
static sal_status flatten_last(onnx_array *x, sal_shape *over, onnx_importer *im, const onnx_op *op, int axis)
{
    sal_status st = SAL_OK;
    *over = (sal_shape){.rank = x->shape.rank - axis};
    memcpy(over->dim, x->shape.dim + axis, (size_t)over->rank * sizeof *over->dim);
    if (axis == 0)
        TRY(onnx_array_lead(x, im, op));
    sal_shape flat = {.rank = x->lead + axis + 1};
    memcpy(flat.dim, onnx_shape(im, x->node)->dim, (size_t)flat.rank * sizeof *flat.dim);
    flat.dim[flat.rank - 1] = sal_shape_elements(over);
    TRY(onnx_emit_reshape(&x->node, im, op, x->node, &flat));
done:
    return st;
}

sal_status onnx_lower_layer_norm(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int64_t axis_given;
    float epsilon;
    int axis, node;
    onnx_array x;
    sal_shape over;
    TRY(onnx_attribute_int(&axis_given, op, "axis", -1));
    TRY(onnx_attribute_float(&epsilon, op, "epsilon", 1e-5F));
    TRY(onnx_array_get(&x, im, op, 0));
    TRY(onnx_axis(&axis, op, axis_given, x.shape.rank));
    const sal_shape shape = x.shape;
    TRY(flatten_last(&x, &over, im, op, axis));
    TRY(onnx_start(&node, im, op, SAL_OP_LAYER_NORM, &x.node, 1));
    sal_node *n = &im->graph->nodes[node];
    n->axis = onnx_shape(im, x.node)->rank - 1;
    n->epsilon = epsilon;
    n->weight_count = (size_t)sal_shape_elements(&over);
    TRY(take_spread(&n->weight, im, op, 1, &over));
    if (onnx_has_input(op, 2)) {
        TRY(take_spread(&n->bias, im, op, 2, &over));
        n->bias_count = n->weight_count;
    }
    TRY(onnx_finish(im, op, node));
    TRY(onnx_array_output(im, op, 0, node, &shape));
done:
    return st;
}

/* x / sqrt(mean of x^2 + epsilon) */
sal_status onnx_lower_rms_norm(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int64_t axis_given;
    float epsilon, *scale = NULL;
    int axis, y;
    onnx_array x;
    sal_shape over;
    TRY(onnx_attribute_int(&axis_given, op, "axis", -1));
    TRY(onnx_attribute_float(&epsilon, op, "epsilon", 1e-5F));
    TRY(onnx_array_get(&x, im, op, 0));
    TRY(onnx_axis(&axis, op, axis_given, x.shape.rank));
    const sal_shape shape = x.shape;
    TRY(flatten_last(&x, &over, im, op, axis));
    const int last = onnx_shape(im, x.node)->rank - 1;
    TRY(onnx_emit_binary(&y, im, op, SAL_OP_MUL, x.node, x.node));
    TRY(onnx_emit_reduce(&y, im, op, y, SAL_REDUCTION_MEAN, 1U << last));
    TRY(onnx_emit_affine(&y, im, op, y, 1.0, (double)epsilon));
    TRY(onnx_emit_activation1(&y, im, op, y, SAL_ACT_SQRT));
    TRY(onnx_emit_activation1(&y, im, op, y, SAL_ACT_RECIPROCAL));
    TRY(onnx_emit_broadcast(&y, im, op, SAL_OP_MUL, x.node, y));
    TRY(take_spread(&scale, im, op, 1, &over));
    TRY(onnx_emit_scale(&y, im, op, y, last, scale, NULL));
    TRY(onnx_array_output(im, op, 0, y, &shape));
done:
    return st;
}

/* Each of `groups` parts of the channels of (1, C, ..) normalised, then a scale and shift per channel or per group. */
static sal_status emit_groups(onnx_importer *im, const onnx_op *op, const onnx_array *x, int64_t groups, float epsilon)
{
    sal_status st = SAL_OK;
    const int64_t batch = x->shape.dim[0], channels = x->shape.dim[1];
    const int64_t each = sal_shape_elements(&x->shape) / (batch * groups);
    float *values[2] = {NULL, NULL}, *spread[2] = {NULL, NULL};
    size_t count;
    int y;
    sal_shape rows = {.rank = 3, .dim = {1, batch * groups, each}};
    sal_shape maps = {.rank = 4, .dim = {1, batch, channels, each * groups / channels}};
    TRY(onnx_emit_reshape(&y, im, op, x->node, &rows));
    TRY(onnx_emit_normalize(&y, im, op, y, epsilon));
    for (int i = 0; i < 2; i++) {
        TRY(onnx_take(&values[i], &count, im, op, 1 + i));
        if ((int64_t)count != channels && (int64_t)count != groups) {
            st = onnx_fail(op, SAL_ERROR_FORMAT, "input %d has %zu values for %lld channels", 1 + i, count,
                           (long long)channels);
            goto done;
        }
        TRY(sal_alloc(&spread[i], (size_t)channels, sizeof *spread[i], op->name));
        for (int64_t c = 0; c < channels; c++)
            spread[i][c] = values[i][(int64_t)count == channels ? c : c / (channels / groups)];
    }
    if (batch == 1) {
        maps = (sal_shape){.rank = 3, .dim = {1, channels, each * groups / channels}};
        TRY(onnx_emit_reshape(&y, im, op, y, &maps));
    } else
        TRY(onnx_emit_reshape(&y, im, op, y, &maps));
    st = onnx_emit_scale(&y, im, op, y, batch == 1 ? 1 : 2, spread[0], spread[1]);
    spread[0] = spread[1] = NULL;
    if (st == SAL_OK)
        st = onnx_array_output(im, op, 0, y, &x->shape);
done:
    for (int i = 0; i < 2; i++) {
        sal_free(values[i]);
        sal_free(spread[i]);
    }
    return st;
}

sal_status onnx_lower_group_norm(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    const int instance = strcmp(op->type, "InstanceNormalization") == 0;
    float epsilon;
    int64_t groups = 0;
    onnx_array x;
    TRY(onnx_attribute_float(&epsilon, op, "epsilon", 1e-5F));
    TRY(onnx_array_get(&x, im, op, 0));
    if (x.shape.rank < 2)
        return onnx_fail(op, SAL_ERROR_FORMAT, "its input has rank %d; it needs one with channels", x.shape.rank);
    groups = x.shape.dim[1];
    if (!instance)
        TRY(onnx_attribute_int(&groups, op, "num_groups", 0));
    if (groups < 1 || x.shape.dim[1] % groups != 0)
        return onnx_fail(op, SAL_ERROR_FORMAT, "%lld channels in %lld groups", (long long)x.shape.dim[1],
                         (long long)groups);
    TRY(emit_groups(im, op, &x, groups, epsilon));
done:
    return st;
}

/* (x - mean) / (deviation + 1e-9) over axes. */
sal_status onnx_lower_mean_variance(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    static const int64_t usual[] = {0, 2, 3};
    const int64_t *axes;
    size_t count;
    int permutation[SAL_MAX_RANK], inverse[SAL_MAX_RANK], at = 0, y;
    unsigned over = 0;
    onnx_array x;
    TRY(onnx_attribute_ints(&axes, &count, op, "axes"));
    TRY(onnx_array_get(&x, im, op, 0));
    TRY(onnx_array_lead(&x, im, op));
    if (!axes) {
        axes = usual;
        count = 3;
    }
    for (size_t k = 0; k < count; k++) {
        int axis;
        TRY(onnx_axis(&axis, op, axes[k], x.shape.rank));
        over |= 1U << (axis + x.lead);
    }
    const sal_shape shape = *onnx_shape(im, x.node);
    sal_shape flat = {.rank = 3, .dim = {1, 1, 1}};
    for (int pass = 0; pass < 2; pass++)
        for (int a = 0; a < shape.rank; a++)
            if ((int)(over >> a & 1U) == pass) {
                inverse[a] = at;
                permutation[at++] = a;
                flat.dim[1 + pass] *= shape.dim[a];
            }
    TRY(onnx_emit_transpose(&y, im, op, x.node, permutation));
    const sal_shape turned = *onnx_shape(im, y);
    TRY(onnx_emit_reshape(&y, im, op, y, &flat));
    TRY(onnx_emit_normalize(&y, im, op, y, 1e-18F));
    TRY(onnx_emit_reshape(&y, im, op, y, &turned));
    TRY(onnx_emit_transpose(&y, im, op, y, inverse));
    TRY(onnx_array_output(im, op, 0, y, &x.shape));
done:
    return st;
}

/* x / norm along an axis: 0 where all is 0. */
sal_status onnx_lower_lp_norm(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int64_t p, axis_given;
    int axis, y;
    onnx_array x;
    TRY(onnx_attribute_int(&p, op, "p", 2));
    TRY(onnx_attribute_int(&axis_given, op, "axis", -1));
    TRY(onnx_array_get(&x, im, op, 0));
    TRY(onnx_axis(&axis, op, axis_given, x.shape.rank));
    if (p != 1 && p != 2)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "p is %lld; salmap knows 1 and 2", (long long)p);
    if (axis == 0)
        TRY(onnx_array_lead(&x, im, op));
    if (p == 2)
        TRY(onnx_emit_binary(&y, im, op, SAL_OP_MUL, x.node, x.node));
    else
        TRY(onnx_emit_activation1(&y, im, op, x.node, SAL_ACT_ABS));
    TRY(onnx_emit_reduce(&y, im, op, y, SAL_REDUCTION_SUM, 1U << (axis + x.lead)));
    TRY(onnx_emit_root(&y, im, op, y, (double)p));
    TRY(onnx_emit_activation1(&y, im, op, y, SAL_ACT_RECIPROCAL));
    TRY(onnx_emit_broadcast(&y, im, op, SAL_OP_MUL, x.node, y));
    TRY(onnx_array_output(im, op, 0, y, &x.shape));
done:
    return st;
}

/* x / (bias + alpha / size * sum of x^2 over `size` neighbouring channels)^beta */
sal_status onnx_lower_lrn(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int64_t size;
    float alpha, beta, bias;
    int y;
    onnx_array x;
    onnx_table table = {0};
    TRY(onnx_attribute_int(&size, op, "size", 0));
    TRY(onnx_attribute_float(&alpha, op, "alpha", 1e-4F));
    TRY(onnx_attribute_float(&beta, op, "beta", 0.75F));
    TRY(onnx_attribute_float(&bias, op, "bias", 1.0F));
    TRY(onnx_array_get(&x, im, op, 0));
    if (size < 1 || x.shape.rank < 2)
        return onnx_fail(op, SAL_ERROR_FORMAT, "size %lld over a tensor of rank %d", (long long)size, x.shape.rank);
    const int64_t channels = x.shape.dim[1], before = (size - 1) / 2;
    const int64_t taps = size < 2 * channels ? size : 2 * channels - 1; /* wider ones reach no more */
    TRY(onnx_table_new(&table, op, channels, taps, 1));
    const int64_t first = before < channels ? before : channels - 1;
    for (int64_t c = 0; c < channels; c++)
        for (int64_t t = 0; t < taps; t++) {
            const int64_t from = c - first + t;
            const int inside = from >= 0 && from < channels && from <= c + size - 1 - before;
            table.index[c * taps + t] = inside ? (int32_t)from : 0;
            table.weight[c * taps + t] = inside ? 1.0F : 0.0F;
        }
    TRY(onnx_emit_binary(&y, im, op, SAL_OP_MUL, x.node, x.node));
    TRY(onnx_emit_gather(&y, im, op, y, 1 + x.lead, &table));
    TRY(onnx_emit_affine(&y, im, op, y, (double)alpha / (double)size, (double)bias));
    TRY(onnx_emit_activation(&y, im, op, y, SAL_ACT_POWER, -(double)beta, 0.0));
    TRY(onnx_emit_binary(&y, im, op, SAL_OP_MUL, x.node, y));
    onnx_output_elements(im, op, 0, y, x.lead);
done:
    onnx_table_clear(&table);
    return st;
}
