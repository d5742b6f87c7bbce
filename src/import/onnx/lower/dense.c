/* Dense layers and normalisations. */
#include "base/memory.h"
#include "import/onnx/lower/emit.h"
#include "import/onnx/lower/handlers.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/op.h"
#include "import/onnx/tensor.h"

#include <math.h>

/* (rows, columns) -> (columns, rows) */
static sal_status transpose_matrix(float **matrix, size_t rows, size_t columns)
{
    float *turned = NULL;
    sal_status st = sal_alloc(&turned, rows * columns, sizeof *turned, "a weight matrix");
    if (st != SAL_OK)
        return st;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            turned[c * rows + r] = (*matrix)[r * columns + c];
    sal_free(*matrix);
    *matrix = turned;
    return SAL_OK;
}

/* Dense node whose weights are input 1: (F, O), or (O, F) where `transposed`. */
static sal_status start_dense(int *node, onnx_importer *im, const onnx_op *op, int x, int transposed)
{
    sal_status st = SAL_OK;
    const onnx_tensor *weight;
    char text[160];
    TRY(onnx_constant(&weight, im, op, 1));
    const sal_shape shape = weight->shape, *in = onnx_shape(im, x);
    const int64_t features = in->dim[in->rank - 1];
    if (shape.rank != 2 || shape.dim[transposed ? 1 : 0] != features)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "weights of shape %s for %lld features",
                         sal_shape_text(text, sizeof text, &shape), (long long)features);
    TRY(onnx_start(node, im, op, SAL_OP_DENSE, &x, 1));
    sal_node *n = &im->graph->nodes[*node];
    TRY(onnx_take(&n->weight, &n->weight_count, im, op, 1));
    if (!transposed)
        TRY(transpose_matrix(&n->weight, (size_t)shape.dim[0], (size_t)shape.dim[1]));
done:
    return st;
}

/* Gemm's C as a bias of `outputs` values, times beta. */
static sal_status set_bias(onnx_importer *im, const onnx_op *op, int node, size_t outputs, float beta)
{
    sal_status st = SAL_OK;
    float *values = NULL;
    size_t count;
    TRY(onnx_take(&values, &count, im, op, 2));
    sal_node *n = &im->graph->nodes[node];
    if (count != outputs && count != 1) {
        st = onnx_fail(op, SAL_ERROR_UNSUPPORTED, "%zu biases for %zu outputs", count, outputs);
        goto done;
    }
    TRY(sal_alloc(&n->bias, outputs, sizeof *n->bias, "biases"));
    n->bias_count = outputs;
    for (size_t k = 0; k < outputs; k++)
        n->bias[k] = beta * values[count == 1 ? 0 : k];
done:
    sal_free(values);
    return st;
}

sal_status onnx_lower_gemm(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int x, node;
    int64_t transpose_a, transpose_b;
    float alpha, beta;
    TRY(onnx_attribute_int(&transpose_a, op, "transA", 0));
    TRY(onnx_attribute_int(&transpose_b, op, "transB", 0));
    TRY(onnx_attribute_float(&alpha, op, "alpha", 1.0F));
    TRY(onnx_attribute_float(&beta, op, "beta", 1.0F));
    TRY(onnx_node(&x, im, op, 0));
    if (onnx_shape(im, x)->rank != 2 || transpose_a != 0)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "its input must be a matrix of (batch, features)");
    TRY(start_dense(&node, im, op, x, transpose_b != 0));
    sal_node *n = &im->graph->nodes[node];
    for (size_t k = 0; alpha != 1.0F && k < n->weight_count; k++)
        n->weight[k] *= alpha;
    if (onnx_has_input(op, 2))
        TRY(set_bias(im, op, node, n->weight_count / (size_t)onnx_shape(im, x)->dim[1], beta));
    TRY(onnx_finish(im, op, node));
    onnx_output_node(im, op, 0, node);
done:
    return st;
}

sal_status onnx_lower_matmul(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int x, node;
    TRY(onnx_node(&x, im, op, 0));
    TRY(start_dense(&node, im, op, x, 0));
    TRY(onnx_finish(im, op, node));
    onnx_output_node(im, op, 0, node);
done:
    return st;
}

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

sal_status onnx_lower_batch_norm(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    enum { SCALE, SHIFT, MEAN, VARIANCE };
    float *s[4] = {NULL}, epsilon;
    int x, node;
    int64_t training, spatial;
    TRY(onnx_attribute_int(&training, op, "training_mode", 0));
    TRY(onnx_attribute_int(&spatial, op, "spatial", 1));
    TRY(onnx_attribute_float(&epsilon, op, "epsilon", 1e-5F));
    if (training != 0)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "the model was exported in training mode; call model.eval() first");
    if (spatial != 1)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "spatial %lld", (long long)spatial);
    TRY(onnx_node(&x, im, op, 0));
    size_t channels = (size_t)onnx_shape(im, x)->dim[1];
    TRY(take_statistics(s, im, op, channels));
    TRY(onnx_start(&node, im, op, SAL_OP_AFFINE, &x, 1));
    sal_node *n = &im->graph->nodes[node];
    n->axis = 1;
    TRY(sal_alloc(&n->weight, channels, sizeof *n->weight, "scales"));
    TRY(sal_alloc(&n->bias, channels, sizeof *n->bias, "shifts"));
    n->weight_count = n->bias_count = channels;
    for (size_t c = 0; c < channels; c++) {
        double scale = (double)s[SCALE][c] / sqrt((double)s[VARIANCE][c] + (double)epsilon);
        n->weight[c] = (float)scale;
        n->bias[c] = (float)((double)s[SHIFT][c] - scale * (double)s[MEAN][c]);
    }
    TRY(onnx_finish(im, op, node));
    onnx_output_node(im, op, 0, node);
done:
    for (int i = 0; i < 4; i++)
        sal_free(s[i]);
    return st;
}

sal_status onnx_lower_layer_norm(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int64_t axis_given;
    float epsilon;
    int x, axis, node;
    TRY(onnx_attribute_int(&axis_given, op, "axis", -1));
    TRY(onnx_attribute_float(&epsilon, op, "epsilon", 1e-5F));
    TRY(onnx_node(&x, im, op, 0));
    int rank = onnx_shape(im, x)->rank;
    TRY(onnx_axis(&axis, op, axis_given, rank));
    if (axis != rank - 1)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "normalises over several axes (%d to %d)", axis, rank - 1);
    TRY(onnx_start(&node, im, op, SAL_OP_LAYER_NORM, &x, 1));
    sal_node *n = &im->graph->nodes[node];
    n->axis = axis;
    n->epsilon = epsilon;
    TRY(onnx_take(&n->weight, &n->weight_count, im, op, 1));
    if (onnx_has_input(op, 2))
        TRY(onnx_take(&n->bias, &n->bias_count, im, op, 2));
    TRY(onnx_finish(im, op, node));
    onnx_output_node(im, op, 0, node);
done:
    return st;
}
