#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_SIZE = 1024 };

static _Thread_local char text[TEXT_SIZE];

const char *sal_last_error(void)
{
    return text;
}

const char *sal_status_name(sal_status status)
{
    switch (status) {
    case SAL_OK: return "ok";
    case SAL_ERROR_ARGUMENT: return "argument";
    case SAL_ERROR_IO: return "io";
    case SAL_ERROR_FORMAT: return "format";
    case SAL_ERROR_UNSUPPORTED: return "unsupported";
    case SAL_ERROR_LIMIT: return "limit";
    case SAL_ERROR_MEMORY: return "memory";
    case SAL_ERROR_DEVICE: return "device";
    case SAL_ERROR_NUMERIC: return "numeric";
    case SAL_ERROR_CANCELLED: return "cancelled";
    }
    return "unknown";
}

sal_status(sal_fail)(sal_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    /* Formatted aside first: an argument may point into the current text. */
    char fresh[TEXT_SIZE];
    vsnprintf(fresh, sizeof fresh, format, args);
    va_end(args);
    memcpy(text, fresh, sizeof text);
    return status;
}

sal_status(sal_fail_in)(sal_status status, const char *format, ...)
{
    char context[TEXT_SIZE / 2];
    va_list args;
    va_start(args, format);
    vsnprintf(context, sizeof context, format, args);
    va_end(args);
    return sal_fail(status, "%s: %s", context, text);
}

sal_status(sal_fail_memory)(size_t bytes, const char *what)
{
    return sal_fail(SAL_ERROR_MEMORY, "out of memory: %zu bytes for %s", bytes, what);
}

sal_status sal_fail_memory_if(sal_status status, const char *path)
{
    if (status == SAL_OK || status == SAL_ERROR_MEMORY || errno != ENOMEM)
        return status;
    return sal_fail(SAL_ERROR_MEMORY, "%s: out of memory: the file asks for more than there is", path);
}

sal_status sal_require(const void *argument, const char *name, const char *function)
{
    return argument ? SAL_OK : sal_fail(SAL_ERROR_ARGUMENT, "%s: %s is NULL, and must be given", function, name);
}
