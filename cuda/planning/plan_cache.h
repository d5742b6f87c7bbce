/* Convolution plans kept on disk, so that the second run on a machine starts warm: fused plans are compiled when they
 * are made, which takes up to a second each.
 *
 * $XDG_CACHE_HOME/salmap/plans (or ~/.cache/...)/<cuDNN version>/<device>/<problem>.json, one plan a file. A file that
 * is damaged or from elsewhere is made anew; a folder that cannot be written is done without. */
#ifndef CUDA_PLAN_CACHE_H
#define CUDA_PLAN_CACHE_H

#include "planning/cudnn_graph.h"

typedef struct plan_cache {
    char *folder; /* owned; NULL: nothing is kept */
} plan_cache;

/* device: any text that tells devices apart. Errors: MEMORY. */
sal_status plan_cache_open(plan_cache *cache, const char *device);
void plan_cache_close(plan_cache *cache); /* fine on a zeroed struct */
/* cudnn_graph_open, or what an earlier call of it on this device came to. A plan that was kept and fails to run makes
 * room for another one: *replaced is 1 then. */
sal_status plan_cache_graph(cudnn_graph **out, int *replaced, const plan_cache *cache, const cudnn_target *target,
                            const cudnn_graph_problem *problem, size_t limit);

#endif
