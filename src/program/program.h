/* A network compiled for one device and batch: forward steps, backward steps to the
 * input only or none at all, and one planned arena.
 *
 * differentiate.c makes the steps, plan.c the arena, program.c runs them. Nothing here
 * knows of files, pictures or attribution methods: those are loops around a program. */
#ifndef SAL_PROGRAM_PROGRAM_H
#define SAL_PROGRAM_PROGRAM_H

#include "backend/backend.h"

/* Steps [first, last) are run for `chunk` pictures at a time until the batch is done. */
typedef struct sal_segment {
    int first;
    int last;
    int64_t chunk;
} sal_segment;

enum { SAL_MAX_SEGMENTS = 4 };

typedef struct sal_program {
    const sal_backend *backend;
    sal_device *device; /* owned */
    sal_graph graph;    /* owned; weights are dropped once the back end has them in its own layout */
    int64_t batch;
    sal_value *values;
    size_t value_count;
    sal_step *steps;
    size_t step_count;
    size_t forward_count; /* steps before this one make the scores */
    int *backward_start;  /* per node: first step of its backward part */
    sal_segment segments[SAL_MAX_SEGMENTS];
    int segment_count;
    int input;    /* values: the pictures, */
    int scores;   /* (1, outputs), */
    int seed;     /* gradient of the scores, (1, outputs), */
    int gradient; /* and of the pictures; both -1 where there are forward steps alone */
    void **plans; /* one per step, the back end's */
    sal_needs *needs;
    unsigned char *arena; /* device memory */
    size_t arena_bytes;
    size_t peak_bytes;       /* the most of it that is in use at once */
    size_t *scratch_offsets; /* per step, in the arena */
    size_t scratch_bytes;    /* the largest */
    size_t weight_bytes;
    size_t kept_bytes;
    int lean;                 /* 1: ReLUs keep bits, and no convolution takes their derivatives along */
    const float *next_inputs; /* pictures to bring over while the next backward pass runs, or NULL; borrowed */
    int64_t next_count;
    int64_t asked_batch; /* where the device had less memory than it said and the batch was halved; else 0 */
} sal_program;

typedef struct sal_program_options {
    const char *device; /* NULL: auto */
    int64_t batch;      /* 0: chosen */
    int threads;
    int exact;
    sal_precision precision;
    const char *described; /* see sal_device_options: the program cannot run */
    sal_rule rule;
    uint64_t max_memory; /* 0: three quarters of what is free */
    int lean;            /* 1: see sal_program; 0: as long as memory allows */
    int forward_only;    /* 1: nothing is kept, and no weights are held for a way back */
} sal_program_options;

/* Compiles a graph that went through sal_passes_run. The graph is taken
 * over and *graph is empty: a second copy of the weights would double the memory.
 * Errors: UNSUPPORTED (names node and op), MEMORY (says which batch would fit), DEVICE, ARGUMENT. */
sal_status sal_program_open(sal_program **out, sal_graph *graph, const sal_program_options *options);
void sal_program_close(sal_program *program);

/* scores (count, outputs) of inputs (count, C, H, W); count <= batch. The rest of the batch is zeros. */
sal_status sal_program_forward(sal_program *program, float *scores, const float *inputs, int64_t count);
/* gradients (count, C, H, W), or NULL to leave them on the device, for seeds (count, outputs) = d score / d outputs, of
 * the last forward pass. */
sal_status sal_program_backward(sal_program *program, float *gradients, const float *seeds, int64_t count);

/* The same, and maps from them where they are: only where backend->maps is not NULL. maps (count, H, W) or NULL,
 * stats (count). Overlays of them: backend->maps->overlay. */
sal_status sal_program_maps(sal_program *program, float *maps, sal_map_stats *stats, const float *seeds, int64_t count,
                            const sal_map_options *options);

/* Gradients (count, C, H, W) of the last backward pass, which left them on the device. */
sal_status sal_program_download(sal_program *program, float *gradients, int64_t count);

/* Pictures of a later forward run, brought over while the next backward pass runs where the device can; borrowed until
 * then. NULL: there are none after all, which must be said before their memory goes to anything else. */
void sal_program_prefetch(sal_program *program, const float *inputs, int64_t count);

/* Parts of sal_program_open, in the order it calls them. */
sal_status sal_program_differentiate(sal_program *program, const sal_program_options *options);
/* chunk: pictures at a time for the first, large layers; divides the batch. */
sal_status sal_program_plan(sal_program *program, int64_t chunk);
/* Final offsets, once the steps are prepared and their scratch is known. */
sal_status sal_program_place(sal_program *program);

#endif
