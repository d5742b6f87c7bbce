/* Bytes that are read as a file is: a copy that no folder has, opened by a path. */
#ifndef SAL_BASE_MEMORY_COPY_H
#define SAL_BASE_MEMORY_COPY_H

#include "base/error.h"

typedef struct sal_memory_copy {
    char path[32]; /* for this process, and for one that is forked from it; empty: there is no copy */
    int fd;
} sal_memory_copy;

/* A copy that nobody can change. Errors: IO, MEMORY. */
sal_status sal_memory_copy_make(sal_memory_copy *out, const void *bytes, size_t size);
void sal_memory_copy_clear(sal_memory_copy *copy); /* fine on a zeroed struct */

/* Whether a path is of a file that was opened, as that of a copy is: no other file lies beside it. */
int sal_path_is_descriptor(const char *path);

#endif
