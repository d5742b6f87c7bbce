/* salmap: what an engine plans and does, step by step, and plans for GPUs that need not be there.
 *
 * For engineers: "salmap plan" prints it. It changes with the engine, faster than salmap.h, and who calls what from
 * which thread is said there. */
#ifndef SALMAP_PLAN_H
#define SALMAP_PLAN_H

#include <salmap/salmap.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Engines -------------------------------------------------------------- */

/* What an engine planned. */
typedef struct sal_plan_info {
    size_t size;            /* SAL_PLAN_INFO_INIT */
    const char *device;     /* "cpu: AMD EPYC, avx512, oneDNN 2.6.3, 2 threads" */
    int64_t batch;          /* pictures of one run */
    int64_t asked_batch;    /* what was planned before a GPU refused the memory and the batch was halved; else 0 */
    int64_t chunk;          /* pictures that the first, large layers take at a time */
    uint64_t arena_bytes;   /* activations and gradients: what is allocated, exactly */
    uint64_t weight_bytes;  /* weights in the device's layouts, both directions */
    uint64_t scratch_bytes; /* working memory of the library primitives; part of arena_bytes */
    uint64_t kept_bytes;    /* part of the arena that lives from forward to backward */
    uint64_t flops;         /* forward and backward, one picture */
    size_t steps;           /* rows for sal_engine_get_step */
} sal_plan_info;
#define SAL_PLAN_INFO_INIT SAL_INIT(sal_plan_info)

/* A step of an engine, as it runs. */
typedef struct sal_step_info {
    size_t size;           /* SAL_STEP_INFO_INIT */
    const char *name;      /* node it stems from */
    const char *kind;      /* "conv", "conv backward-data", ... */
    const char *algorithm; /* what the back end chose, such as "winograd" */
    uint64_t output_bytes; /* size of its result in the arena */
    uint64_t arena_offset; /* where the result lies */
    uint64_t kept_bytes;   /* masks, indices or values kept for the backward pass */
    uint64_t flops;        /* one picture */
    const char *note;      /* what went otherwise than planned: a part of cuDNN that is missing, say; or NULL */
} sal_step_info;
#define SAL_STEP_INFO_INIT SAL_INIT(sal_step_info)

/* Strings are borrowed; they live as long as the engine. Error: ARGUMENT. */
SAL_API sal_status sal_engine_get_plan(sal_plan_info *out, const sal_engine *engine);
/* A step, from 0 to sal_plan_info.steps; likewise. Error: ARGUMENT (also: there is no such step). */
SAL_API sal_status sal_engine_get_step(sal_step_info *out, const sal_engine *engine, size_t index);

/* Which way through the network. */
typedef enum sal_pass_kind { SAL_PASS_FORWARD = 0, SAL_PASS_BACKWARD = 1 } sal_pass_kind;

/* What a device did in its last pass over the network. */
typedef struct sal_pass_info {
    size_t size;         /* SAL_PASS_INFO_INIT */
    double milliseconds; /* from the first step's beginning to the last one's end, transfers left out; 0: there was no
                            such pass yet, or the device does not tell (the CPU) */
    int replayed;        /* 1: a recorded graph was launched, as GPUs do from the second pass on; 0: step by step */
    const char *note;    /* why the pass could not be recorded, or NULL. Borrowed; lives as long as the engine */
} sal_pass_info;
#define SAL_PASS_INFO_INIT SAL_INIT(sal_pass_info)

/* Waits for the pass to end. Errors: ARGUMENT, DEVICE. */
SAL_API sal_status sal_engine_get_pass(sal_pass_info *out, const sal_engine *engine, sal_pass_kind pass);

/* ---- Plans for GPUs that need not be there ------------------------------ */

/* For which GPU, and how it is to compute. */
typedef struct sal_gpu_plan_options {
    size_t size;             /* SAL_GPU_PLAN_OPTIONS_INIT */
    const char *gpu;         /* "h100", "a100", "rtx4090", "t4", "b200", or the path of a description as in data/gpus */
    sal_precision precision; /* DEFAULT: tf32, which devices without it do in fp32 */
    int64_t batch;           /* 0: 64, or half of that until it fits */
    sal_rule rule;           /* as of engines */
    int lean;                /* as of engines */
} sal_gpu_plan_options;
#define SAL_GPU_PLAN_OPTIONS_INIT SAL_INIT(sal_gpu_plan_options)

/* What was planned for it. */
typedef struct sal_gpu_plan_info {
    size_t size;                /* SAL_GPU_PLAN_INFO_INIT */
    const char *device;         /* "described: NVIDIA H100 80GB HBM3, cuDNN 9.19.0, tf32" */
    int64_t batch;              /* pictures of one run */
    int native;                 /* 0: it has no arithmetic of the asked precision: float32 is computed */
    int64_t largest_batch;      /* about what fits: by this plan's memory per picture, a sixteenth left to the driver */
    uint64_t memory_bytes;      /* of the device */
    uint64_t arena_bytes;       /* activations, gradients and working memory */
    uint64_t weight_bytes;      /* weights in the device's layouts */
    uint64_t scratch_bytes;     /* working memory of the library primitives; part of arena_bytes */
    uint64_t kept_bytes;        /* part of the arena that lives from forward to backward */
    uint64_t flops;             /* one picture, forward and backward */
    uint64_t bytes;             /* one picture: what all steps read and write, weights shared by the batch */
    uint64_t upload_bytes;      /* one picture, from the host */
    double seconds;             /* one picture: the sum of the steps' least times; a real run takes longer */
    double memory_seconds;      /* the part of it that memory bounds */
    double pictures_per_second; /* 1 / seconds: what decoding on the host has to keep up with */
    size_t convolutions;        /* steps, forward and backward: */
    size_t fused;               /* one cuDNN plan does all of it */
    size_t unfused;             /* cuDNN convolves, a kernel does the rest */
    size_t own_kernels;         /* depthwise, or what cuDNN has no engine for */
    size_t steps;               /* rows for sal_gpu_plan_get_step */
} sal_gpu_plan_info;
#define SAL_GPU_PLAN_INFO_INIT SAL_INIT(sal_gpu_plan_info)

/* A step of that plan. */
typedef struct sal_gpu_step_info {
    size_t size;              /* SAL_GPU_STEP_INFO_INIT */
    const char *name;         /* node it stems from */
    const char *kind;         /* "conv", "conv backward-data", ... */
    const char *algorithm;    /* "cudnn, fused", "depthwise kernel", ... */
    int64_t engine;           /* cuDNN's number of the engine, among those for graphs of this kind; -1: none */
    uint64_t workspace_bytes; /* of the batch */
    uint64_t flops;           /* one picture */
    uint64_t bytes;           /* one picture */
    double seconds;           /* one picture, at least */
    const char *bound;        /* "memory", or the arithmetic that takes longer: "fp32", "tf32", "bf16", "fp16" */
} sal_gpu_step_info;
#define SAL_GPU_STEP_INFO_INIT SAL_INIT(sal_gpu_step_info)

/* A plan for a GPU that need not be there. */
typedef struct sal_gpu_plan sal_gpu_plan;

/* Plans a model for a GPU that is only described: cuDNN chooses and, where it does so at run time, compiles the
 * engines that it would on the device; nothing is computed. Needs cuDNN, no GPU and no driver (where there is a
 * driver, it must be able to load programs for the described device). Errors: UNSUPPORTED where salmap was built
 * without CUDA, ARGUMENT, IO and FORMAT of a description, MEMORY (the batch does not fit), DEVICE. */
SAL_API sal_status sal_gpu_plan_open(sal_gpu_plan **out, sal_model *model, const sal_gpu_plan_options *options);
SAL_API void sal_gpu_plan_close(sal_gpu_plan *plan); /* NULL is fine */
/* Strings are borrowed; they live as long as the plan. */
SAL_API sal_status sal_gpu_plan_get_info(sal_gpu_plan_info *out, const sal_gpu_plan *plan);
/* A step, from 0 to sal_gpu_plan_info.steps; likewise. */
SAL_API sal_status sal_gpu_plan_get_step(sal_gpu_step_info *out, const sal_gpu_plan *plan, size_t index);

#ifdef __cplusplus
}
#endif

#endif
