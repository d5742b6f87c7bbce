#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

enum { ALIGNMENT = 64 };

sal_status sal_size_mul(size_t *out, size_t a, size_t b, const char *what)
{
    if (__builtin_mul_overflow(a, b, out))
        return sal_fail(SAL_ERROR_LIMIT, "%s: size %zu x %zu overflows", what, a, b);
    return SAL_OK;
}

sal_status sal_size_add(size_t *out, size_t a, size_t b, const char *what)
{
    if (__builtin_add_overflow(a, b, out))
        return sal_fail(SAL_ERROR_LIMIT, "%s: size %zu + %zu overflows", what, a, b);
    return SAL_OK;
}

sal_status sal_alloc(void *out, size_t count, size_t size, const char *what)
{
    size_t bytes;
    void *p = NULL;
    sal_status st = sal_size_mul(&bytes, count, size, what);
    if (st != SAL_OK)
        return st;
    size_t rounded = bytes ? bytes : 1;
    if (__builtin_add_overflow(rounded, ALIGNMENT - 1, &rounded))
        return sal_fail_memory(bytes, what);
    rounded &= ~(size_t)(ALIGNMENT - 1);
    p = aligned_alloc(ALIGNMENT, rounded);
    if (!p)
        return sal_fail_memory(bytes, what);
    memset(p, 0, rounded);
    memcpy(out, &p, sizeof p);
    return SAL_OK;
}

void sal_memory_trim(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

void sal_free(void *p)
{
    free(p);
}

sal_status sal_grow(void *array, size_t *capacity, size_t need, size_t size, const char *what)
{
    if (need <= *capacity)
        return SAL_OK;
    size_t fresh = *capacity ? *capacity : 8;
    while (fresh < need) {
        sal_status st = sal_size_mul(&fresh, fresh, 2, what);
        if (st != SAL_OK)
            return st;
    }
    size_t bytes;
    sal_status st = sal_size_mul(&bytes, fresh, size, what);
    if (st != SAL_OK)
        return st;
    void *old;
    memcpy(&old, array, sizeof old);
    char *p = realloc(old, bytes);
    if (!p)
        return sal_fail_memory(bytes, what);
    memset(p + *capacity * size, 0, (fresh - *capacity) * size);
    memcpy(array, &p, sizeof p);
    *capacity = fresh;
    return SAL_OK;
}

sal_status sal_strdup(char **out, const char *s)
{
    const size_t size = strlen(s) + 1;
    char *copy = malloc(size);
    if (!copy)
        return sal_fail_memory(size, "a name");
    memcpy(copy, s, size);
    *out = copy;
    return SAL_OK;
}
