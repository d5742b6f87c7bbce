/* Rewrites of a graph, each in a file of its own under passes/. All keep what the network computes. */
#ifndef SAL_GRAPH_PASSES_H
#define SAL_GRAPH_PASSES_H

#include "graph/graph.h"

/* sal_pass_xxx: one each; *changed counts the rewrites. */
typedef sal_status sal_pass(sal_graph *graph, int *changed);

sal_pass sal_pass_drop_identity;     /* reshape to the same shape, identity transposes, affine by (1, 0), no-op pads and
                                        slices */
sal_pass sal_pass_cancel_transposes; /* sinks transposes until they meet their inverse; dense over channels becomes 1x1
                                        conv */
sal_pass sal_pass_fuse_gates;        /* x * sigmoid(x) is silu, x * hard_sigmoid(x) is hard swish */
sal_pass sal_pass_fuse_shuffle;      /* reshape, transpose, reshape is a channel shuffle */
sal_pass sal_pass_turn_axes;         /* what is left on other axes than the op table says gets its operand turned; of
                                        sums and products that back ends do not broadcast, an operand is expanded */
sal_pass sal_pass_absorb_pads;       /* zero padding before a conv goes into its window */
sal_pass sal_pass_fold_affine; /* affine after conv or dense goes into weights and bias; chains of affines become one */
sal_pass sal_pass_fuse_conv;   /* conv + add + activation into the conv, where nobody else reads what is between */

/* The last pass: sets node->rows, and puts a reshape to the same shape where rows and feature maps meet. */
sal_pass sal_pass_settle_rows;

/* Finds the head: the last dense or conv layer on the way to the output, and takes the final
 * softmax or sigmoid off (graph->detached), so that gradients are of the logit. The output
 * becomes (1, outputs). Where graph->wanted_head names a layer, that is the head, and what follows it is left off.
 * graph->wanted_at and wanted_coral make one score of the outputs.
 * Errors: UNSUPPORTED where no head can be found, ARGUMENT where none is named so. */
sal_status sal_pass_find_head(sal_graph *graph);

/* Parts of sal_pass_find_head, make_score.c: the output becomes (1, 1), the sum of the elements graph->wanted_at; or
 * the age that CORAL's logits (1, K) stand for (Cao et al. 2020), graph->wanted_first plus the sum of their sigmoids.
 * A softmax or sigmoid is off by now. Errors: ARGUMENT. */
sal_status sal_score_of_region(sal_graph *graph);
sal_status sal_score_of_thresholds(sal_graph *graph);

/* All of the above in the order that works, until nothing changes. */
sal_status sal_passes_run(sal_graph *graph);

#endif
