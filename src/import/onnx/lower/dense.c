/* Products: dense layers, Gemm, MatMul and Einsum. */
#include "base/memory.h"
#include "import/onnx/lower/array.h"
#include "import/onnx/lower/emit.h"
#include "import/onnx/lower/handlers.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/op.h"
#include "import/onnx/tensor.h"

#include <math.h>
#include <string.h>

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

/* Gemm's C as a bias of `outputs` values, times beta; *taken = 0 where it is none. */
static sal_status set_bias(int *taken, onnx_importer *im, const onnx_op *op, int node, size_t outputs, float beta)
{
    sal_status st = SAL_OK;
    const onnx_tensor *c;
    float *values = NULL;
    size_t count;
    TRY(onnx_is_constant(taken, im, op, 2));
    if (!*taken)
        return SAL_OK;
    TRY(onnx_constant(&c, im, op, 2));
    *taken = c->count == 1 || (c->count == outputs && c->shape.dim[c->shape.rank - 1] == (int64_t)outputs);
    if (!*taken)
        return SAL_OK;
    TRY(onnx_take(&values, &count, im, op, 2));
    sal_node *n = &im->graph->nodes[node];
    TRY(sal_alloc(&n->bias, outputs, sizeof *n->bias, "biases"));
    n->bias_count = outputs;
    for (size_t k = 0; k < outputs; k++)
        n->bias[k] = beta * values[count == 1 ? 0 : k];
done:
    sal_free(values);
    return st;
}

/* y + beta * C of a shape (1, rows, columns); the result is the file's (rows, columns). */
static sal_status add_c(onnx_importer *im, const onnx_op *op, int y, float beta)
{
    sal_status st = SAL_OK;
    onnx_array c;
    int full;
    const sal_shape shape = *onnx_shape(im, y);
    sal_shape out = {.rank = 2, .dim = {shape.dim[shape.rank - 2], shape.dim[shape.rank - 1]}};
    sal_shape matrix = {.rank = 3, .dim = {1, out.dim[0], out.dim[1]}};
    TRY(onnx_emit_reshape(&y, im, op, y, &matrix));
    if (onnx_has_input(op, 2)) {
        TRY(onnx_array_get(&c, im, op, 2));
        TRY(onnx_array_full(&full, im, op, &c, 2));
        if (beta != 1.0F)
            TRY(onnx_emit_affine(&full, im, op, full, (double)beta, 0.0));
        TRY(onnx_emit_broadcast(&y, im, op, SAL_OP_ADD, y, full));
    }
    if (!sal_shape_equal(onnx_shape(im, y), &matrix))
        return onnx_fail(op, SAL_ERROR_FORMAT, "its third input is larger than the product");
    TRY(onnx_array_output(im, op, 0, y, &out));
done:
    return st;
}

/* The general Gemm: of two matrices in any order. */
static sal_status gemm_of_matrices(onnx_importer *im, const onnx_op *op, const int *transposed, float alpha, float beta)
{
    sal_status st = SAL_OK;
    onnx_array a[2];
    int nodes[2], y;
    for (int i = 0; i < 2; i++) {
        TRY(onnx_array_get(&a[i], im, op, i));
        if (a[i].shape.rank != 2)
            return onnx_fail(op, SAL_ERROR_FORMAT, "input %d has rank %d, expected a matrix", i, a[i].shape.rank);
        TRY(onnx_array_full(&nodes[i], im, op, &a[i], 2));
    }
    TRY(onnx_emit_matmul(&y, im, op, nodes[0], nodes[1], transposed[0], transposed[1], 1.0));
    if (alpha != 1.0F)
        TRY(onnx_emit_affine(&y, im, op, y, (double)alpha, 0.0));
    TRY(add_c(im, op, y, beta));
done:
    return st;
}

sal_status onnx_lower_gemm(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    onnx_array x = {0};
    int node, constant[2], taken = 1;
    int64_t transpose_a, transpose_b;
    float alpha, beta;
    TRY(onnx_attribute_int(&transpose_a, op, "transA", 0));
    TRY(onnx_attribute_int(&transpose_b, op, "transB", 0));
    TRY(onnx_attribute_float(&alpha, op, "alpha", 1.0F));
    TRY(onnx_attribute_float(&beta, op, "beta", 1.0F));
    for (int i = 0; i < 2; i++)
        TRY(onnx_is_constant(&constant[i], im, op, i));
    if (!constant[0])
        TRY(onnx_array_get(&x, im, op, 0));
    if (constant[0] || !constant[1] || transpose_a != 0)
        return gemm_of_matrices(im, op, (int[]){transpose_a != 0, transpose_b != 0}, alpha, beta);
    if (x.shape.rank != 2)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "its input must be a matrix of (batch, features)");
    TRY(start_dense(&node, im, op, x.node, transpose_b != 0));
    sal_node *n = &im->graph->nodes[node];
    for (size_t k = 0; alpha != 1.0F && k < n->weight_count; k++)
        n->weight[k] *= alpha;
    if (onnx_has_input(op, 2))
        TRY(set_bias(&taken, im, op, node, n->weight_count / (size_t)x.shape.dim[1], beta));
    TRY(onnx_finish(im, op, node));
    if (taken)
        onnx_output_elements(im, op, 0, node, x.lead);
    else
        TRY(add_c(im, op, node, beta));
done:
    return st;
}

/* Both operands as (1, batches, .., M, K) and (1, batches, .., K, N), or without the first axis where the file's is
 * of extent 1 already. */
static sal_status matmul_of_nodes(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    onnx_array a[2];
    sal_shape batches[2] = {{0}}, batch, out;
    int nodes[2], base, vector[2], y;
    for (int i = 0; i < 2; i++) {
        TRY(onnx_array_get(&a[i], im, op, i));
        vector[i] = a[i].shape.rank == 1;
        if (a[i].shape.rank == 0)
            return onnx_fail(op, SAL_ERROR_FORMAT, "input %d is a scalar", i);
        if (vector[i]) { /* (K) is (1, K) on the left and (K, 1) on the right */
            sal_shape *s = &a[i].shape;
            *s = (sal_shape){.rank = 2, .dim = {i == 0 ? 1 : s->dim[0], i == 0 ? s->dim[0] : 1}};
        }
        batches[i].rank = a[i].shape.rank - 2;
        memcpy(batches[i].dim, a[i].shape.dim, (size_t)batches[i].rank * sizeof *batches[i].dim);
    }
    TRY(onnx_broadcast(&batch, op, batches, 2));
    const int rank = batch.rank + 2;
    TRY(onnx_array_align(nodes, &base, im, op, a, 2, rank, rank == 2));
    for (int i = 0; i < 2; i++) {
        sal_shape full = *onnx_shape(im, nodes[i]);
        memcpy(full.dim + base, batch.dim, (size_t)batch.rank * sizeof *batch.dim);
        TRY(onnx_emit_expand(&nodes[i], im, op, nodes[i], &full));
    }
    TRY(onnx_emit_matmul(&y, im, op, nodes[0], nodes[1], 0, 0, 1.0));
    const int64_t rows = a[0].shape.dim[a[0].shape.rank - 2], columns = a[1].shape.dim[a[1].shape.rank - 1];
    out = batch;
    if (!vector[0])
        out.dim[out.rank++] = rows;
    if (!vector[1])
        out.dim[out.rank++] = columns;
    TRY(onnx_array_output(im, op, 0, y, &out));
done:
    return st;
}

/* By a matrix of weights on the right: a dense layer over the last axis. */
sal_status onnx_lower_matmul(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    onnx_array x;
    int node, constant[2];
    for (int i = 0; i < 2; i++)
        TRY(onnx_is_constant(&constant[i], im, op, i));
    if (constant[0] || !constant[1] || onnx_input(im, op, 1)->constant.shape.rank != 2)
        return matmul_of_nodes(im, op);
    TRY(onnx_array_get(&x, im, op, 0));
    if (x.shape.rank == 0)
        return onnx_fail(op, SAL_ERROR_FORMAT, "input 0 is a scalar");
    TRY(start_dense(&node, im, op, x.node, 0));
    TRY(onnx_finish(im, op, node));
    onnx_output_elements(im, op, 0, node, x.lead);
done:
    return st;
}
