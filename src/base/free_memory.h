/* How much memory is free, for defaults. */
#ifndef SAL_BASE_FREE_MEMORY_H
#define SAL_BASE_FREE_MEMORY_H

#include <stdint.h>

/* Bytes that can be had without swapping: what the system has available, what the limits of the process's control
 * groups (version 1 or 2, each from its own up to the topmost) leave. Memory that holds files is free. root: "", or a
 * folder that stands for "/" in tests. Never 0 for what is not known: 1 GiB then. */
uint64_t sal_free_memory(const char *root);

#endif
