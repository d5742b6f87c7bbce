/* cuDNN compiles its fused engines at run time and loads them through the driver library. Where a machine has no
 * driver, plans for described devices make do with a stand-in for it, so that they come out as on the device itself. */
#ifndef CUDA_DRIVER_STAND_IN_H
#define CUDA_DRIVER_STAND_IN_H

#include <stddef.h>

/* Loads the stand-in once, unless a driver works here; 1: plans may use run-time compiled engines. */
int cuda_driver_stand_in(void);

/* The stand-in, an ELF library; made when the project is built. */
extern const unsigned char cuda_stand_in[];
extern const size_t cuda_stand_in_size;

#endif
