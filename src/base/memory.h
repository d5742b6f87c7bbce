/* Checked size arithmetic and allocation. Sizes that come from files go through here. */
#ifndef SAL_BASE_MEMORY_H
#define SAL_BASE_MEMORY_H

#include "base/error.h"

/* *out = a * b or a + b; SAL_ERROR_LIMIT on overflow. `what` names the thing for the message. */
sal_status sal_size_mul(size_t *out, size_t a, size_t b, const char *what);
sal_status sal_size_add(size_t *out, size_t a, size_t b, const char *what);

/* Zeroed array of count elements of size bytes each, aligned to 64 bytes; free with sal_free.
 * *out is never NULL on success, even for no bytes. Errors: LIMIT, MEMORY. */
sal_status sal_alloc(void *out, size_t count, size_t size, const char *what);
/* Gives freed memory back to the system: large blocks leave holes that the C library would keep. */
void sal_memory_trim(void);
void sal_free(void *p);

/* Grows *array (malloc'ed with sal_grow only; free with free()) so that it holds
 * at least `need` elements; *capacity is updated, new elements are zeroed. */
sal_status sal_grow(void *array, size_t *capacity, size_t need, size_t size, const char *what);

/* Copy of a string; free with free(). */
sal_status sal_strdup(char **out, const char *s);

#endif
