/* The pipeline: pictures in, files out. A pool of threads decodes pictures into a ring and writes the files of what was
 * computed, whichever is ready; a worker per engine computes batches, and the calling thread hands over results, in the
 * order of the pictures. */
#ifndef SAL_SWEEP_PIPELINE_H
#define SAL_SWEEP_PIPELINE_H

#include "sweep/baseline.h"
#include "sweep/ring.h"

typedef struct sal_pipeline sal_pipeline;

/* How a run goes. */
typedef struct sal_pipeline_state {
    size_t delivered;                  /* pictures */
    double seconds;                    /* since it began */
    sal_stage_info stages[SAL_STAGES]; /* but for SAL_STAGE_STORE, which is the caller's */
    double processor;                  /* share of the CPU's cores that the process kept busy */
} sal_pipeline_state;

/* What a run is to do. All is borrowed. */
typedef struct sal_pipeline_job {
    const char *const *paths;  /* of the pictures */
    const char *const *stems;  /* of their files */
    const char *const *labels; /* what figures say that each should be; NULL: nothing */
    const size_t *rows;        /* their numbers for the layout; NULL: 0, 1, 2 ... */
    size_t count;
    const char *baseline_sha256;        /* what the baseline's file must hold, or NULL */
    size_t alone;                       /* this many of the last ones are in flight alone, one after the other */
    const sal_explain_options *options; /* complete: as sal_run_options has them */
    const sal_target *targets;          /* one per picture, in place of that of the options; or NULL */
    sal_output_layout layout;
    size_t predictions; /* best outputs kept of each picture */
    int64_t longest;    /* of the longer side of what is drawn, in pixels; 0: as large as the picture */
    /* Whether a picture that was computed gets its overlay, asked by the pool's threads; NULL: all do. */
    int (*wants_overlay)(void *context, size_t picture, const sal_slot *slot);
    /* A picture is in flight from now on until it is delivered, called by the pool's threads; may be NULL. */
    void (*begin)(void *context, size_t picture);
    /* Takes a result; an error ends the run. On the calling thread, as look. */
    sal_status (*deliver)(void *context, size_t picture, const sal_slot *slot);
    /* About ten times a second, and after the last picture; not 0: the run ends with what is in a batch. May be NULL.
     */
    int (*look)(void *context, const sal_pipeline_state *state);
    void *context;
    void *lost_context; /* of options->device_lost */
} sal_pipeline_job;

/* Takes all engines for a run, or none: each must be there, once, and in no other call's use. Error: ARGUMENT. */
sal_status sal_engines_take(sal_engine *const *engines, size_t count);
void sal_engines_give_back(sal_engine *const *engines, size_t count);
/* Checks what can be checked of engines and options, which are complete, before the first picture. Errors: ARGUMENT. */
sal_status sal_pipeline_check(sal_engine *const *engines, size_t engine_count, const sal_explain_options *options);
/* With engines that were taken. Errors of the whole run: ARGUMENT, MEMORY, DEVICE, and those of deliver. */
sal_status sal_pipeline_run(const sal_pipeline_job *job, sal_engine *const *engines, size_t engine_count);

/* A batch: which pictures, and what the network is given of them. */
typedef struct sal_batch {
    size_t *pictures; /* their numbers */
    int64_t count;
    float *inputs; /* (batch, C, H, W) */
} sal_batch;

/* What computes with one engine, on a thread of its own. */
typedef struct sal_worker {
    sal_pipeline *pipeline;
    sal_engine *engine;
    pthread_t thread;
    int64_t batch;   /* most pictures of one */
    int device_maps; /* 1: the engine's device makes maps and overlays; slots hold maps, then gradients if wanted */
    sal_batch batches[2]; /* the one being computed, and the next where the device fetches ahead */
    int turn;             /* which of them is computed */
    float *attributions;  /* (maps, batch, of their shape), or NULL where they stay on the device */
    float *baselines;     /* (batch, C, H, W), or NULL where there are none */
    double *gaps;         /* (maps, batch) */
    float *map_values;    /* (maps, batch, H, W), or NULL where the host makes maps */
    sal_map_stats *stats; /* (maps, batch), likewise */
    float *scores;        /* (batch, outputs) */
    float *probabilities; /* (batch, outputs), or NULL where the model has none */
    float *chosen_scores; /* (maps, batch) */
    int64_t *chosen;      /* (maps, batch) */
    sal_target *targets;  /* (maps, batch) */
    /* Under the ring's lock: */
    int ended;
    int told; /* 1: the caller knows why */
    sal_status status;
    char error[SAL_SLOT_ERROR_SIZE];
} sal_worker;

struct sal_pipeline {
    const sal_pipeline_job *job;
    const char *const *paths;
    const sal_explain_options *options;
    sal_limits limits;      /* those of the options, with the default of max_memory */
    double begin;           /* seconds on the monotonic clock, */
    double processor_begin; /* and of processor time */
    double looked;          /* when look was called last */
    sal_model_info model;
    const sal_model *described; /* the model itself */
    size_t elements;            /* of one input: C * H * W */
    int64_t map_height;         /* of maps: the input's, or the layer's */
    int64_t map_width;
    size_t pixels;                    /* of a map */
    sal_attribution_info attribution; /* of all engines alike, */
    size_t attribution_elements;      /* and how many floats that is */
    sal_map_options map_options;      /* of the options, with what the method has them be */
    sal_baseline_plan baseline;
    float *baseline_file; /* what the plan's file points to, or NULL */
    int device_maps;      /* of all engines alike */
    size_t threads;       /* that decode and encode */
    sal_ring ring;
    sal_worker *workers;
    size_t worker_count;
};

/* Tells the OpenMP runtime of the calling thread; each thread of the pipeline begins with it. */
void sal_pipeline_announce_thread(void);
/* Body of the threads that decode and encode; context is the pipeline. */
void *sal_pipeline_work(void *context);

/* Buffers for an engine, whose batch is plan->batch. Errors: LIMIT, MEMORY. */
sal_status sal_worker_open(sal_worker *worker, sal_pipeline *pipeline, sal_engine *engine);
void sal_worker_close(sal_worker *worker); /* fine on a zeroed struct */
/* Body of its thread: computes batches until the ring is stopped. What fails for one picture is noted in its slot; an
 * error of the engine ends the worker, and the pictures it had are given back. */
void *sal_worker_run(void *worker);

/* Seconds on the monotonic clock. */
double sal_pipeline_now(void);
/* Adds to the time that a stage's threads were at work since `begin`; returns it in milliseconds. */
double sal_pipeline_count(sal_pipeline *p, sal_stage stage, double begin);

/* Where a slot keeps the attribution of a map, or NULL where it stayed on the device. */
float *sal_pipeline_attribution(const sal_pipeline *p, const sal_slot *slot, int64_t map);

#endif
