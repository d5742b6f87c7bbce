/* Baselines of integrated gradients that are made of pictures. */
#ifndef SAL_SWEEP_BASELINE_H
#define SAL_SWEEP_BASELINE_H

#include "image/placement.h"
#include "salmap/salmap.h"

/* What all baselines of a run are made with; borrowed. */
typedef struct sal_baseline_plan {
    sal_baseline kind;
    const sal_preprocess *preprocess;
    int64_t channels;
    int64_t height;
    int64_t width;
    const float *file; /* (channels, height, width): the picture of SAL_BASELINE_FILE, as the network's input */
} sal_baseline_plan;

/* out: (channels, height, width), for the input of one picture. Black and white cover what the picture covers: padding
 * stays as it is. Errors: MEMORY. */
sal_status sal_baseline_make(float *out, const float *input, const sal_placement *placement,
                             const sal_baseline_plan *plan);

#endif
