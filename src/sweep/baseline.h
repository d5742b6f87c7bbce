/* Baselines of integrated gradients that are made of pictures. */
#ifndef SAL_SWEEP_BASELINE_H
#define SAL_SWEEP_BASELINE_H

#include "base/digest.h"
#include "base/placement.h"
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

/* out: (channels, height, width), for the input of one picture. All but zero and a file change what the
 * picture covers, and see nothing else: padding stays as it is. Errors: MEMORY. */
sal_status sal_baseline_fill(float *out, const float *input, const sal_placement *placement,
                             const sal_baseline_plan *plan);
/* A picture as the network's input (channels, height, width of info). Errors name the file: those of sal_picture_read
 * and sal_preprocess_apply. */
sal_status sal_baseline_read(float *out, const char *path, const sal_preprocess *preprocess, const sal_limits *limits,
                             const sal_model_info *info);

/* SHA-256 of a file, and whether it is still that (sha256 NULL: whatever it is). Errors: IO, MEMORY; ARGUMENT. */
sal_status sal_baseline_hash(char sha256[SAL_DIGEST_SIZE], const char *path);
sal_status sal_baseline_check(const char *path, const char *sha256);

#endif
