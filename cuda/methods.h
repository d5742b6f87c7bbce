/* What methods of several passes repeat, on the device: the table's rows, and what they keep there. */
#ifndef CUDA_METHODS_H
#define CUDA_METHODS_H

#include <cuda_runtime_api.h>

#include "backend/backend.h"

/* Memory of the device; grown on demand. */
typedef struct cuda_methods {
    sal_noise *noises; /* one a picture */
    size_t noise_room; /* for so many */
    double *means;     /* of class activation maps: one a channel of each picture */
    size_t mean_room;
} cuda_methods;

void cuda_methods_close(cuda_methods *m); /* fine on a zeroed struct */

extern const sal_method_rows cuda_method_rows;

#endif
