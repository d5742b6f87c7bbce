/* A first run of each plan, on memory of its own, before a network relies on it: an engine that could be prepared may
 * still fail to run, and a plan that was kept may be of another driver. */
#ifndef CUDA_TRIAL_H
#define CUDA_TRIAL_H

#include <cuda_runtime_api.h>

#include "planning/cudnn_graph.h"

typedef struct cuda_trial {
    cudnnHandle_t cudnn;
    cudaStream_t stream; /* of the handle */
} cuda_trial;

/* As cudnn_target's `trial`; context: a cuda_trial. A plan that there is no memory to try is taken as it is. Keeps no
 * memory: what is free is what batches are planned for. */
sal_status cuda_trial_run(void *context, cudnn_graph *graph, const cudnn_graph_problem *problem);

#endif
