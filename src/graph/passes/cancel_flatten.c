#include "base/memory.h"
#include "graph/cancel.h"

#include <string.h>

enum { MAX_CHAIN = 16 };

/* The nodes between a dense layer and the reshape to (1, F), nearest first, that can take their features in
 * another order; the reshape is the last. 0: something else is there. */
static int chain_to_flatten(int *chain, const sal_rewrite *rw, const sal_node *dense)
{
    int at = dense->inputs[0], length = 0;
    while (length < MAX_CHAIN && rw->uses[at] == 1) {
        const sal_node *node = &rw->graph->nodes[at];
        chain[length++] = at;
        if (node->op == SAL_OP_RESHAPE)
            return length;
        if (node->op != SAL_OP_ACTIVATION && node->op != SAL_OP_AFFINE && node->op != SAL_OP_LAYER_NORM)
            return 0;
        at = node->inputs[0];
    }
    return 0;
}

/* source[f]: where element f of the transposed tensor lies in the tensor itself. */
static void flat_permutation(size_t *source, const sal_shape *from, const int *p)
{
    int64_t stride[SAL_MAX_RANK], index[SAL_MAX_RANK] = {0}, step = 1;
    for (int j = from->rank - 1; j >= 0; j--) {
        stride[j] = step;
        step *= from->dim[j];
    }
    for (int64_t f = 0; f < step; f++) {
        int64_t at = 0;
        for (int j = 0; j < from->rank; j++)
            at += index[j] * stride[p[j]];
        source[f] = (size_t)at;
        for (int j = from->rank - 1; j >= 0 && ++index[j] == from->dim[p[j]]; j--)
            index[j] = 0;
    }
}

/* Puts the rows of a matrix of `count` values in the order of the tensor itself. */
static void permute(float *values, float *scratch, size_t count, const size_t *source, size_t features)
{
    for (size_t row = 0; row + features <= count; row += features) {
        for (size_t f = 0; f < features; f++)
            scratch[source[f]] = values[row + f];
        memcpy(values + row, scratch, features * sizeof *values);
    }
}

sal_status sal_cancel_absorb_flatten(sal_rewrite *rw, int i)
{
    sal_status st = SAL_OK;
    sal_graph *graph = rw->graph;
    sal_node *dense = &graph->nodes[i];
    int chain[MAX_CHAIN];
    size_t *source = NULL;
    float *scratch = NULL;
    int length = dense->shape.rank == 2 ? chain_to_flatten(chain, rw, dense) : 0;
    if (length == 0)
        return SAL_OK;
    sal_node *reshape = &graph->nodes[chain[length - 1]];
    const sal_node *transpose = sal_rewrite_input(rw, reshape, 0);
    if (reshape->shape.rank != 2 || transpose->op != SAL_OP_TRANSPOSE)
        return SAL_OK;
    size_t features = (size_t)reshape->shape.dim[1];
    TRY(sal_alloc(&source, features, sizeof *source, dense->name));
    TRY(sal_alloc(&scratch, features, sizeof *scratch, dense->name));
    flat_permutation(source, &sal_rewrite_input(rw, transpose, 0)->shape, transpose->permutation);
    permute(dense->weight, scratch, dense->weight_count, source, features);
    for (int k = 0; k < length; k++) {
        sal_node *node = &graph->nodes[chain[k]];
        if (node->weight_count == features)
            permute(node->weight, scratch, features, source, features);
        if (node->bias_count == features)
            permute(node->bias, scratch, features, source, features);
    }
    sal_rewrite_set_input(rw, reshape, 0, transpose->inputs[0]);
    rw->changed++;
done:
    sal_free(source);
    sal_free(scratch);
    return st;
}
