/* Convolutions as cuDNN operation graphs (cudnn_backend.h), channels last. A graph is planned for the device of
 * a handle, or for a described one that need not be there (CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR): the same code makes
 * the plans that run and those that `salmap plan --gpu` prints. */
#ifndef CUDA_CUDNN_GRAPH_H
#define CUDA_CUDNN_GRAPH_H

#include "base/error.h"
#include "kernels/kernels.h"
#include "nvidia.h"

/* Of a call of `nvidia`. */
#define CUDNN_CHECK(call) cuda_cudnn_check((call), #call)
sal_status cuda_cudnn_check(cudnnStatus_t status, const char *call);

typedef enum cudnn_graph_kind {
    CUDNN_GRAPH_FORWARD, /* y = f(conv(x, w) + bias + residual) */
    CUDNN_GRAPH_BACKWARD /* dx = (backward-data(dy, w) + addend) * f'(activated) */
} cudnn_graph_kind;

/* A problem; what is absent is not in the graph. */
typedef struct cudnn_graph_problem {
    cudnn_graph_kind kind;
    cuda_conv conv;
    cuda_type type;            /* of maps and weights */
    cuda_type bias_type;       /* half precisions: with a float bias cuDNN compiles its engines at run time */
    int tf32;                  /* float products may use tensor cores */
    int bias;                  /* forward */
    int add;                   /* forward: residual; backward: addend */
    sal_activation activation; /* forward: none, relu, clip, leaky relu; backward: none, relu */
    int ties;                  /* forward: no engine that rounds by the place in a tile: see sal_step */
} cudnn_graph_problem;

typedef struct cudnn_graph cudnn_graph;

/* What plans are made for. */
typedef struct cudnn_target {
    cudnnHandle_t handle;                /* NULL: described by */
    cudnnBackendDescriptor_t properties; /* a finalized device description */
    /* Runs a plan that finalized; one that fails is passed over. NULL: none is run. */
    sal_status (*trial)(void *context, cudnn_graph *graph, const cudnn_graph_problem *problem);
    void *context;
} cudnn_target;

/* Addresses, those of absent parts NULL. x and y are dy and dx in backward graphs. */
typedef struct cudnn_graph_memory {
    const void *x;
    const void *weight; /* (O, KH, KW, C / groups) */
    const void *bias;
    const void *add;
    const void *activated; /* backward: the relu's output in the forward pass, as large as dx */
    void *y;
    void *workspace;
} cudnn_graph_memory;

/* The first plan that finalizes, and runs where there is something to run it on: heuristics mode A, then the fallback
 * list; workspace at most `limit` bytes. Errors: UNSUPPORTED where no engine takes the graph, and never will; DEVICE
 * where engines failed to be prepared for other reasons (either way the text says why, and callers may try it unfused);
 * MEMORY.
 */
sal_status cudnn_graph_open(cudnn_graph **out, const cudnn_target *target, const cudnn_graph_problem *problem,
                            size_t limit);
void cudnn_graph_close(cudnn_graph *graph);
/* What an engine that came first broke down with, where it did not just refuse; NULL. Borrowed. */
const char *cudnn_graph_passed_over(const cudnn_graph *graph);
size_t cudnn_graph_workspace(const cudnn_graph *graph);
int64_t cudnn_graph_engine(const cudnn_graph *graph); /* cuDNN's global index of the engine */
/* Enqueued into the handle's stream. */
sal_status cudnn_graph_run(cudnn_graph *graph, cudnnHandle_t handle, const cudnn_graph_memory *memory);
/* "n8c64h56w56k64r3s1p1 fp16 forward +bias +relu": into text; returns text. */
const char *cudnn_graph_text(char *text, size_t size, const cudnn_graph_problem *problem);
/* The plan as JSON, for the cache on disk: *out is the caller's (free). And back; a plan that fails to run, DEVICE. */
sal_status cudnn_graph_save(char **out, const cudnn_graph *graph);
sal_status cudnn_graph_load(cudnn_graph **out, const cudnn_target *target, const cudnn_graph_problem *problem,
                            const char *json);

/* A description from a JSON text as in data/gpus/; the caller destroys it (cudnnBackendDestroyDescriptor). */
sal_status cudnn_target_describe(cudnnBackendDescriptor_t *out, const char *json);

#endif
