/* The least time that a step can take: its arithmetic at the device's peak, or what it moves at the memory's
 * (Williams, Waterman and Patterson 2009), whichever takes longer. Caches are left out of account: every operand
 * comes from memory, every result goes there. */
#ifndef SAL_API_ROOFLINE_H
#define SAL_API_ROOFLINE_H

#include "api/gpu_profile.h"
#include "program/program.h"

typedef struct sal_roof {
    uint64_t flops;    /* of the batch */
    uint64_t bytes;    /* of the batch: values and weights */
    double seconds;    /* of the batch */
    const char *bound; /* "memory", or the arithmetic: "fp32", "tf32", "bf16", "fp16" */
} sal_roof;

void sal_roofline_step(sal_roof *out, const sal_program *program, size_t step, const sal_gpu_profile *profile,
                       sal_precision precision);
/* Of one picture; an activation's backward step counts its own elements, not its convolution's. */
uint64_t sal_step_flops(const sal_program *program, const sal_step *step);

#endif
