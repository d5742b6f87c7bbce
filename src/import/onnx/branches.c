/* If, where its condition turns out to be the same for every picture: the branch that is taken stands in its place.
 *
 * Conditions are shape computations, which are known only while ops are lowered. So the branch's ops are added to the
 * list then, put in order and lowered before what follows. Names in a branch may be those of the graph around it. */
#include "base/memory.h"
#include "import/onnx/lower/emit.h"
#include "import/onnx/lower/handlers.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/op.h"
#include "import/onnx/stages.h"
#include "import/onnx/tensor.h"

#include <stdlib.h>

static sal_status unpack(SalOnnx__Graph **out, onnx_importer *im, const onnx_op *op, const char *branch)
{
    const SalOnnx__Attribute *a = onnx_attribute_find(op, branch);
    *out = NULL;
    if (!a || a->n_g != 1)
        return onnx_fail(op, SAL_ERROR_FORMAT, "it has no %s", branch);
    sal_status st = sal_grow(&im->branches, &im->branch_capacity, im->branch_count + 1, sizeof *im->branches,
                             "the model's branches");
    if (st != SAL_OK)
        return st;
    *out = sal_onnx__graph__unpack(&im->allocator, a->g[0].len, a->g[0].data);
    if (!*out)
        return im->unpack_failed ? sal_fail_memory(a->g[0].len, "a branch")
                                 : onnx_fail(op, SAL_ERROR_FORMAT, "its %s is damaged", branch);
    im->branches[im->branch_count++] = *out;
    return SAL_OK;
}

void onnx_branches_clear(onnx_importer *im)
{
    for (size_t k = 0; k < im->branch_count; k++)
        sal_onnx__graph__free_unpacked(im->branches[k], &im->allocator);
    free(im->branches);
    im->branches = NULL;
    im->branch_count = 0;
    for (size_t k = 0; k < im->place_count; k++)
        free(im->places[k].prefix);
    free(im->places);
    im->places = NULL;
    im->place_count = 0;
}

sal_status onnx_lower_if(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    SalOnnx__Graph *graph;
    int constant, *order = NULL;
    size_t count = 0;
    double condition;
    const int index = (int)(op - im->ops);
    TRY(onnx_is_constant(&constant, im, op, 0));
    if (!constant)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED,
                         "its condition depends on the picture; export with a fixed input size, or with dynamo=True");
    TRY(onnx_scalar(&condition, im, op, 0));
    TRY(unpack(&graph, im, op, condition != 0.0 ? "then_branch" : "else_branch"));
    TRY(onnx_inline_branch(im, index, graph)); /* op is gone: the list may have moved */
    TRY(onnx_order_more(&order, &count, im, index));
    TRY(onnx_lower_ops(im, order, count));
done:
    sal_free(order);
    return st;
}
