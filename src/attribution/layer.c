/* Which layer a class activation map is of: one that has the axes of the picture, and that the file knows by its name.
 */
#include "attribution/method.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

/* Which axis of the network's input each axis of a node's output is, as decimal digits: 0123 is (N, C, H, W); -1 where
 * that cannot be said. Convolutions, pools and the like work on (N, C, H, W) alone. */
enum { NCHW = 123 };

/* The first operand may be a constant. */
static int axes_of_any(const sal_node *n, const int *axes)
{
    for (int k = 0; k < n->input_count; k++)
        if (axes[n->inputs[k]] >= 0)
            return axes[n->inputs[k]];
    return -1;
}

static int axes_of(const sal_graph *g, const int *axes, int i)
{
    const sal_node *n = &g->nodes[i];
    const int from = n->input_count > 0 ? axes[n->inputs[0]] : NCHW;
    int digits[4] = {0}, order = 0;
    if (n->shape.rank != 4)
        return -1;
    switch (n->op) {
    case SAL_OP_TRANSPOSE:
        for (int k = 3, rest = from; k >= 0; k--, rest /= 10)
            digits[k] = rest % 10;
        for (int k = 0; k < 4 && from >= 0; k++)
            order = 10 * order + digits[n->permutation[k]];
        return from < 0 ? -1 : order;
    case SAL_OP_RESHAPE: return sal_shape_equal(&n->shape, &g->nodes[n->inputs[0]].shape) ? from : -1;
    case SAL_OP_CONSTANT:
    case SAL_OP_MATMUL: return -1;
    case SAL_OP_ADD:
    case SAL_OP_MUL:
    case SAL_OP_CONCAT: return axes_of_any(n, axes);
    case SAL_OP_DENSE:
    case SAL_OP_AFFINE:
    case SAL_OP_LAYER_NORM:
    case SAL_OP_ACTIVATION:
    case SAL_OP_SLICE:
    case SAL_OP_SOFTMAX:
    case SAL_OP_EXPAND:
    case SAL_OP_REDUCE:
    case SAL_OP_GATHER: return from;
    default: return from == NCHW ? NCHW : -1;
    }
}

/* Which nodes can be mapped. */
enum { NO_MAP, MAP, LEARNED_MAP /* with a convolution or a dense layer before it, or its own */ };

static sal_status find_maps(char **is, const sal_graph *g)
{
    sal_status st = SAL_OK;
    int *axes = NULL;
    char *learned = NULL;
    TRY(sal_alloc(is, g->count, 1, "layers"));
    TRY(sal_alloc(&learned, g->count, 1, "layers"));
    TRY(sal_alloc(&axes, g->count, sizeof *axes, "layers"));
    for (int i = 0; i < (int)g->count; i++) {
        const sal_node *n = &g->nodes[i];
        axes[i] = axes_of(g, axes, i);
        learned[i] = n->op == SAL_OP_CONV || n->op == SAL_OP_DENSE;
        for (int k = 0; k < n->input_count; k++)
            learned[i] |= learned[n->inputs[k]];
        if (n->op != SAL_OP_INPUT && i != g->output && !n->is_part && axes[i] == NCHW &&
            n->shape.dim[2] * n->shape.dim[3] > 1)
            (*is)[i] = learned[i] ? LEARNED_MAP : MAP;
    }
done:
    sal_free(axes);
    sal_free(learned);
    return st;
}

/* The last few that could be meant. */
static sal_status fail_layer(const sal_graph *g, const char *is, const char *name, const char *why)
{
    enum { FEW = 6, LETTERS = 64 };
    char names[FEW * (LETTERS + 2) + 1];
    size_t used = 0;
    int count = 0;
    for (int i = (int)g->count - 1; i >= 0 && count < FEW; i--)
        if (is[i])
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%.*s", count++ ? ", " : "", LETTERS,
                                     g->nodes[i].name);
    return sal_fail(SAL_ERROR_ARGUMENT,
                    "layer '%s': %s; the last ones that can be mapped are %s ('salmap inspect' lists all)", name, why,
                    count ? names : "none");
}

static const char *why_not(const sal_graph *g, int i)
{
    const sal_node *n = &g->nodes[i];
    if (n->op == SAL_OP_INPUT)
        return "is the input";
    if (i == g->output)
        return "makes the scores themselves";
    if (n->shape.rank > 2 && n->shape.rank != 4)
        return "holds tokens, which have no height and width: choose a layer before the picture is cut into them";
    if (n->shape.rank != 4 || n->shape.dim[2] * n->shape.dim[3] == 1)
        return "has no pixels";
    return n->is_part ? "is computed as a part of another layer" : "its axes are not channels, height and width";
}

/* The last that can be mapped, of that name where one is given, else one that was learned if any was: a pool of the
 * picture itself says nothing. The map that the score was taken from says where it was taken: not that one either.
 * -1: there is none. */
static int last_map(const sal_graph *g, const char *is, const char *name)
{
    int found = -1;
    for (int i = 0; i < (int)g->count; i++)
        if (is[i] && (name || !g->of_map || i < g->head) &&
            (name ? strcmp(g->nodes[i].name, name) == 0 : found < 0 || is[i] >= is[found]))
            found = i;
    return found;
}

sal_status sal_method_layer(int *out, const sal_graph *g, const char *name)
{
    sal_status st = SAL_OK;
    char *is = NULL;
    int known = -1;
    TRY(find_maps(&is, g));
    *out = last_map(g, is, name);
    for (int i = 0; name && i < (int)g->count; i++)
        if (strcmp(g->nodes[i].name, name) == 0)
            known = i;
    if (*out < 0)
        st = !name       ? sal_fail(SAL_ERROR_ARGUMENT, "the network has no layer with pixels: there is nothing to map")
             : known < 0 ? fail_layer(g, is, name, "the network has none of that name")
                         : fail_layer(g, is, name, why_not(g, known));
done:
    sal_free(is);
    return st;
}
