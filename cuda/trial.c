#include "trial.h"

#include "device.h"

enum { ALIGNMENT = 256 };

static size_t aligned(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static size_t map_bytes(const cuda_extent *e, cuda_type type)
{
    return (size_t)(e->pictures * e->height * e->width * e->channels) * cuda_type_bytes(type);
}

static size_t weight_bytes(const cudnn_graph_problem *p)
{
    const sal_window *w = &p->conv.window;
    const int64_t of_group = p->conv.in.channels / w->groups;
    return (size_t)(p->conv.out.channels * w->kernel[0] * w->kernel[1] * of_group) * cuda_type_bytes(p->type);
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* What is read, all of it in the same place, and zeros; then what is written; then the engine's own. */
sal_status cuda_trial_run(void *context, cudnn_graph *graph, const cudnn_graph_problem *p)
{
    sal_status st = SAL_OK;
    const cuda_trial *t = context;
    unsigned char *memory = NULL;
    const size_t in = map_bytes(&p->conv.in, p->type), out = map_bytes(&p->conv.out, p->type);
    const size_t written = aligned(p->kind == CUDNN_GRAPH_FORWARD ? out : in);
    const size_t bias = (size_t)p->conv.out.channels * sizeof(float);
    const size_t read = aligned(larger(larger(in, out), larger(weight_bytes(p), bias)));
    const size_t workspace = aligned(cudnn_graph_workspace(graph)) + ALIGNMENT;
    TRY(CUDA_CHECK(cudaMalloc((void **)&memory, read + written + workspace)));
    const cudnn_graph_memory m = {.x = memory,
                                  .weight = memory,
                                  .bias = memory,
                                  .add = memory,
                                  .activated = memory,
                                  .y = memory + read,
                                  .workspace = memory + read + written};
    TRY(CUDA_CHECK(cudaMemsetAsync(memory, 0, read, t->stream)));
    TRY(cudnn_graph_run(graph, t->cudnn, &m));
    TRY(CUDA_CHECK(cudaStreamSynchronize(t->stream)));
done:
    (void)cudaFree(memory);
    return st == SAL_ERROR_MEMORY ? SAL_OK : st;
}
