/* Winograd's convolutions of 3 x 3 and stride 1 by our own kernels (kernels_winograd.h): half the time of direct ones
 * or less, for weights that take 16/9 of the memory, or 4 times on large maps, where they are few. oneDNN has Winograd
 * for AVX-512 only, and only in some versions. */
#ifndef SAL_BACKEND_CPU_WINOGRAD_H
#define SAL_BACKEND_CPU_WINOGRAD_H

#include "backend/cpu/cpu.h"

typedef struct winograd_plan winograd_plan;

/* By the shape alone, never by the batch: the same picture has the same bits everywhere. */
int winograd_fits(const sal_device *device, const dnn_conv_shape *shape);

/* weights: (out, in, 3, 3) floats of whole channel blocks; bias: `out` floats, borrowed for the plan's life, or NULL;
 * to, from: the values that runs write and read. Errors: MEMORY. */
sal_status winograd_create(winograd_plan **out, size_t *weight_bytes, size_t *scratch_bytes, const sal_device *device,
                           const dnn_conv_shape *shape, const float *weights, const float *bias, const sal_value *to,
                           const sal_value *from);
void winograd_destroy(winograd_plan *plan);
/* Borrowed, static. */
const char *winograd_name(const winograd_plan *plan);

/* to = activation(convolution + addend); addend may be `to`, or NULL. */
void winograd_run(const sal_device *device, const winograd_plan *plan, float *to, const float *from,
                  const float *addend, float *scratch);

#endif
