/* A network compiled for one device and batch: forward steps, backward steps to the
 * input or to a layer only, or none at all, and one planned arena.
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

enum { SAL_MAX_SEGMENTS = 4, SAL_MAX_ARRAYS = 4 };

/* In the place of the number of a value, a node or a segment. */
enum { SAL_NONE = -1 };

/* Where the backward pass ends. */
typedef enum sal_pass_end {
    SAL_PASS_TO_INPUT,
    SAL_PASS_TO_LAYER, /* at a node's output, after whatever is fused into it: nothing before it is differentiated */
    SAL_PASS_NOWHERE   /* there is none: nothing is kept, and no weights are held for a way back */
} sal_pass_end;

/* Exact values (sal_value.exact) that a method works with, of the arena like all others. */
typedef enum sal_array_shape {
    SAL_ARRAY_INPUT,    /* (1, C, H, W) of the input */
    SAL_ARRAY_LAYER,    /* of the layer's output */
    SAL_ARRAY_LAYER_MAP /* (1, 1, H, W) of it */
} sal_array_shape;

typedef struct sal_program {
    const sal_backend *backend;
    sal_device *device; /* owned */
    sal_graph graph;    /* owned; weights are dropped once the back end has them in its own layout */
    int64_t batch;
    sal_value *values; /* the first ones are the outputs of the nodes, in their order */
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
    int gradient; /* and of the pictures, or of the layer's output; both SAL_NONE where there are forward steps alone */
    int layer;    /* output of the layer where the backward pass ends there, kept to the end; else SAL_NONE */
    int arrays[SAL_MAX_ARRAYS];
    int array_count;
    void **plans;       /* one per step, the back end's */
    void **step_inputs; /* where those of the step that runs lie: as many as any step has */
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
    int exact, many_passes; /* see sal_device_options */
    sal_precision precision;
    const char *described; /* see sal_device_options: the program cannot run */
    sal_rule rule;
    uint64_t max_memory; /* 0: three quarters of what is free */
    int lean;            /* 1: see sal_program; 0: as long as memory allows */
    int drop_early; /* 1: weights go node by node, where it is all but sure that the program fits; where it does not
                       after all, no smaller batch is tried: MEMORY. 0: they go once that is sure */
    sal_pass_end end;
    int layer; /* node of the graph, of SAL_PASS_TO_LAYER: neither its input nor its output */
    sal_array_shape arrays[SAL_MAX_ARRAYS];
    int array_count;
} sal_program_options;

/* Compiles a graph that went through sal_passes_run. The graph is taken
 * over and *graph is empty: a second copy of the weights would double the memory.
 * Errors: UNSUPPORTED (names node and op), MEMORY (says which batch would fit), DEVICE, ARGUMENT. */
sal_status sal_program_open(sal_program **out, sal_graph *graph, const sal_program_options *options);
void sal_program_close(sal_program *program);

/* scores (count, outputs), or NULL, of inputs (count, C, H, W); count <= batch. The rest of the batch is zeros. */
sal_status sal_program_forward(sal_program *program, float *scores, const float *inputs, int64_t count);
/* The same of inputs that a method made: an array of SAL_ARRAY_INPUT. */
sal_status sal_program_forward_array(sal_program *program, float *scores, int array, int64_t count);
/* Gradients of seeds (count, outputs) = d score / d outputs, of the last forward pass: value `gradient`. */
sal_status sal_program_backward(sal_program *program, const float *seeds, int64_t count);

/* Values of `count` pictures between the host, row-major (count, shape), and the arena. */
sal_status sal_program_upload(sal_program *program, int value, const float *host, int64_t count);
sal_status sal_program_download(sal_program *program, float *host, int value, int64_t count);
/* An array from a value of the program or from another array. */
sal_status sal_program_copy(sal_program *program, int array, int from, int64_t count);
/* Where a value of the whole batch lies, for the back end's rows: input, scores, gradient, layer, arrays. */
void *sal_program_address(const sal_program *program, int value);

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
