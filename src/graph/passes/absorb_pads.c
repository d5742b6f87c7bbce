/* A pad before a conv or pool goes into its window, where the padding means the same. */
#include "graph/passes.h"
#include "graph/rewrite.h"

#include <float.h>

static int no_padding(const sal_window *w)
{
    return w->pad_begin[0] == 0 && w->pad_begin[1] == 0 && w->pad_end[0] == 0 && w->pad_end[1] == 0;
}

static int is_never_negative(const sal_node *node)
{
    const sal_activation *a = &node->activation;
    return a->kind == SAL_ACT_RELU || (a->kind == SAL_ACT_CLIP && a->alpha == 0.0F);
}

/* Each window must still hold a pixel: pools have no answer for one that does not. */
static int windows_hold_pixels(const sal_window *w, const sal_window *pad)
{
    for (int i = 0; i < 2; i++)
        if (w->dilation[i] != 1 || w->pad_begin[i] + pad->pad_begin[i] >= w->kernel[i] ||
            w->pad_end[i] + pad->pad_end[i] >= w->kernel[i])
            return 0;
    return 1;
}

static int can_absorb(const sal_node *node, const sal_node *pad, const sal_node *x)
{
    const sal_window *w = &node->window;
    switch (node->op) {
    case SAL_OP_CONV: return pad->value == 0.0F;
    case SAL_OP_AVG_POOL:
        return pad->value == 0.0F && (w->count_padding || no_padding(w)) && windows_hold_pixels(w, &pad->window);
    case SAL_OP_MAX_POOL:
        /* Padding with zeros wins only where all real values are zeros themselves; behind
         * a relu these have a derivative of 0, so that the gradient is the same as well. */
        return (pad->value <= -FLT_MAX || (pad->value == 0.0F && is_never_negative(x))) &&
               windows_hold_pixels(w, &pad->window);
    default: return 0;
    }
}

sal_status sal_pass_absorb_pads(sal_graph *graph, int *changed)
{
    sal_rewrite rw;
    sal_status st = sal_rewrite_begin(&rw, graph);
    for (int i = 0; st == SAL_OK && i < (int)rw.count; i++) {
        sal_node *node = sal_rewrite_visit(&rw, i);
        if (node->input_count == 0)
            continue;
        const sal_node *pad = sal_rewrite_input(&rw, node, 0);
        if (pad->op != SAL_OP_PAD || pad->axis != 2 || !can_absorb(node, pad, sal_rewrite_input(&rw, pad, 0)))
            continue;
        for (int k = 0; k < 2; k++) {
            node->window.pad_begin[k] += pad->window.pad_begin[k];
            node->window.pad_end[k] += pad->window.pad_end[k];
        }
        if (node->op == SAL_OP_AVG_POOL)
            node->window.count_padding = 1;
        sal_rewrite_set_input(&rw, node, 0, pad->inputs[0]);
        rw.changed++;
    }
    return sal_rewrite_end(&rw, st, changed);
}
