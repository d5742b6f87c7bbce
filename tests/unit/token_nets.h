/* Small networks with tensors that are no feature maps: tokens, matrices, constants. Test support. */
#ifndef TESTS_TOKEN_NETS_H
#define TESTS_TOKEN_NETS_H

#include "graph/graph.h"

/* Each builds on an empty graph, before the passes. */
void net_vision_transformer(sal_graph *graph);
void net_shifted_windows(sal_graph *graph); /* channels last, as exported */
void net_non_local(sal_graph *graph);       /* attention between the pixels of a map, and back */
void net_spatial_gates(sal_graph *graph);   /* maxima and means over channels and over pixels */
void net_instance_norms(sal_graph *graph);
void net_resizes(sal_graph *graph);
void net_band_norms(sal_graph *graph);
void net_ranks(sal_graph *graph); /* arithmetic on a vector: a head for ages */

#endif
