/* Status and the thread-local text of the last failure. Knows nothing of what failed. */
#ifndef SAL_BASE_ERROR_H
#define SAL_BASE_ERROR_H

#include "salmap/salmap.h"

/* Runs an expression that gives a sal_status; jumps to `done` when it failed. */
#define TRY(e)                                                                                                         \
    do {                                                                                                               \
        if ((st = (e)) != SAL_OK)                                                                                      \
            goto done;                                                                                                 \
    } while (0)

/* Sets the thread's error text (printf format) and returns status. */
sal_status sal_fail(sal_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Puts "context: " before the current text and returns status; for callers that
 * know the file or node that the failing callee did not. */
sal_status sal_fail_in(sal_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Out of memory while asking for `bytes` for `what`. */
sal_status sal_fail_memory(size_t bytes, const char *what);

/* For calls of libraries that take memory that is missing for a damaged file, and errno to be 0 before them: a failure
 * becomes MEMORY where malloc() left ENOMEM. path: the file that was read. */
sal_status sal_fail_memory_if(sal_status status, const char *path);
/* SAL_ERROR_ARGUMENT, naming both, where an argument that `function` (__func__) must be given is NULL. */
sal_status sal_require(const void *argument, const char *name, const char *function);

/* clang's analyzer looks at one source at a time, and would go on with a failure as if it might return SAL_OK: it is
 * told what these functions return. The names of their definitions stand in parentheses, which keeps macros off. */
#ifdef __clang_analyzer__
static inline sal_status sal_returned(sal_status status, sal_status returned)
{
    (void)returned;
    return status;
}
#define sal_fail(status, ...) sal_returned(status, sal_fail(status, __VA_ARGS__))
#define sal_fail_in(status, ...) sal_returned(status, sal_fail_in(status, __VA_ARGS__))
#define sal_fail_memory(bytes, what) sal_returned(SAL_ERROR_MEMORY, sal_fail_memory(bytes, what))
#endif

#endif
