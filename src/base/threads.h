/* Whether threads can be had, for libraries that end the process where they cannot. */
#ifndef SAL_BASE_THREADS_H
#define SAL_BASE_THREADS_H

#include "base/error.h"

/* Starts `count` threads at once, which end at once: what starts them next will succeed as well, as far as that can be
 * known. Error: MEMORY. */
sal_status sal_threads_try(int count);

#endif
