/* The explain pipeline: pictures in, files out. Decoding threads feed a ring, the
 * calling thread computes batches and hands results to the callback, encoding threads
 * write the files. Uses engines through the public header only. */
#ifndef SAL_SWEEP_PIPELINE_H
#define SAL_SWEEP_PIPELINE_H

#include "sweep/ring.h"

typedef struct sal_pipeline {
    sal_engine *engine;
    const char *const *paths;
    const sal_explain_options *options;
    sal_model_info model;
    int64_t batch;
    size_t elements; /* of one input: C * H * W */
    size_t pixels;   /* H * W */
    int device_maps; /* 1: the engine's device makes maps and overlays; slots hold maps, then gradients if wanted */
    int64_t first;   /* while computing: number in the batch of the first picture of the present job, */
    int64_t count;   /* and how many it has */
    size_t decoders;
    size_t encoders;
    sal_names names;
    sal_ring ring;
    float *inputs;          /* (batch, C, H, W) */
    float *gradients;       /* (maps, batch, C, H, W), or NULL where they stay on the device */
    float *map_values;      /* (maps, batch, H, W), or NULL where the host makes maps */
    sal_map_stats *stats;   /* (maps, batch), likewise */
    float *scores;          /* (batch, outputs) */
    float *probabilities;   /* (batch, outputs), or NULL where the model has none */
    float *chosen_scores;   /* (maps, batch) */
    int64_t *chosen;        /* (maps, batch) */
    sal_target *targets;    /* (maps, batch) */
    size_t *batch_pictures; /* numbers of the pictures of the batch */
} sal_pipeline;

/* Bodies of the decoding and encoding threads; context is the pipeline. */
void *sal_pipeline_decode(void *context);
void *sal_pipeline_encode(void *context);

/* Computes the batch of n pictures in batch_pictures; what fails for one picture is
 * noted in its slot. Errors of the whole run: ARGUMENT, DEVICE, MEMORY. */
sal_status sal_pipeline_compute(sal_pipeline *p, int64_t n);

/* Where a slot keeps the gradient of a map, or NULL where it stayed on the device. */
float *sal_pipeline_gradient(const sal_pipeline *p, const sal_slot *slot, int64_t map);

#endif
