#define _GNU_SOURCE /* fopencookie */
#include "base/text.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static ssize_t append(void *cookie, const char *bytes, size_t size)
{
    sal_text *t = cookie;
    size_t need;
    if (t->failed || __builtin_add_overflow(t->size, size, &need) || need == SIZE_MAX ||
        sal_grow(&t->bytes, &t->room, need + 1, 1, "a text") != SAL_OK) {
        t->failed = 1;
        return 0;
    }
    memcpy(t->bytes + t->size, bytes, size);
    t->size = need;
    return (ssize_t)size;
}

sal_status sal_text_open(sal_text *t)
{
    memset(t, 0, sizeof *t);
    t->stream = fopencookie(t, "w", (cookie_io_functions_t){.write = append});
    return t->stream ? SAL_OK : sal_fail_memory(0, "a text");
}

sal_status sal_text_close(char **out, size_t *size, sal_text *t, sal_status st, const char *what)
{
    const size_t printed = t->size;
    *out = NULL;
    if (fclose(t->stream) != 0)
        t->failed = 1;
    (void)append(t, "", 0); /* an empty text is one, too */
    if (st == SAL_OK && t->failed)
        st = sal_fail_memory(printed, what);
    if (st != SAL_OK) {
        free(t->bytes);
        return st;
    }
    *out = t->bytes;
    (*out)[t->size] = '\0';
    if (size)
        *size = t->size;
    return SAL_OK;
}
