/* What tests ask of the emulated device. Modes come from the environment, read at the first call:
 *   SAL_EMU_ORDER=forward|reverse|SEED   threads of a block [forward]
 *   SAL_EMU_STREAMS=lazy|eager|SEED      work is done when it is waited for, at once, or in any order that the
 *                                        events allow [lazy]
 *   SAL_EMU_OPEN=1                       the host may touch device memory (for debuggers)
 *   SAL_EMU_MEMORY=BYTES                 of the device [4 GiB]
 *   SAL_EMU_FAIL=N, SAL_EMU_STICKY=1     call number N fails, and with STICKY all later ones of that device
 *   SAL_EMU_UNRECORDABLE=1               no stream can be recorded
 *   SAL_EMU_UNFUSED=forward|backward|all|none  what its cuDNN has engines for: see cudnn.cpp; with
 *                                        all, its cuBLASLt has no algorithm that adds a bias
 * At exit, leaks are named and the status becomes 86. */
#ifndef TESTS_GPULESS_EMULATOR_API_H
#define TESTS_GPULESS_EMULATOR_API_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Calls so far that can fail: allocations, copies, launches, library calls. */
long emulator_calls(void);
/* Call number n from now on fails (from 1); 0: none. sticky: and all of its device after it. */
void emulator_fail(long n, int sticky);
/* Name of the call that was made to fail, or NULL. */
const char *emulator_failed(void);
/* Objects that are still there, of all kinds. */
long emulator_leaks(void);
void emulator_set_memory(size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
