#include "base/struct.h"

#include <stdint.h>
#include <string.h>

/* Every struct has a field behind its size. A size that is far above the library's own was never set: the struct is
 * not written that far. */
enum { LEAST = 2 * sizeof(size_t), GROWTH = 256 };

static size_t size_of(const void *given)
{
    size_t size;
    memcpy(&size, given, sizeof size);
    return size;
}

/* "sal_limits" to "SAL_LIMITS", whatever the locale. */
static const char *in_capitals(char *out, size_t room, const char *name)
{
    size_t n = 0;
    for (; name[n] && n + 1 < room; n++)
        out[n] = (char)(name[n] >= 'a' && name[n] <= 'z' ? name[n] - 'a' + 'A' : name[n]);
    out[n] = '\0';
    return out;
}

static sal_status check_size(const void *given, size_t full_size, const char *name)
{
    char macro[64];
    const size_t size = size_of(given);
    if (size >= LEAST && size <= full_size + GROWTH && size % sizeof size == 0)
        return SAL_OK;
    return sal_fail(SAL_ERROR_ARGUMENT, "%s.size is %zu%s: begin with %s_INIT", name, size,
                    size == 0 ? "" : ", which no version of the struct has", in_capitals(macro, sizeof macro, name));
}

sal_status sal_struct_read(void *full, size_t full_size, const void *given, const char *name)
{
    sal_status st = SAL_OK;
    if (!given)
        return SAL_OK;
    TRY(check_size(given, full_size, name));
    const size_t size = size_of(given);
    const unsigned char *bytes = given;
    for (size_t i = full_size; i < size; i++)
        if (bytes[i] != 0)
            return sal_fail(SAL_ERROR_ARGUMENT,
                            "%s has fields that this library, version %s, does not know: leave them at 0, or take a "
                            "newer library",
                            name, sal_version());
    memset(full, 0, full_size);
    memcpy(full, given, size < full_size ? size : full_size);
    memcpy(full, &full_size, sizeof full_size);
done:
    return st;
}

sal_status sal_struct_write(void *out, const void *full, size_t full_size, const char *name)
{
    sal_status st = SAL_OK;
    unsigned char *to = out;
    const unsigned char *from = full;
    TRY(check_size(out, full_size, name));
    const size_t size = size_of(out), known = size < full_size ? size : full_size;
    memcpy(to + sizeof size, from + sizeof size, known - sizeof size);
    memset(to + known, 0, size - known);
done:
    return st;
}
