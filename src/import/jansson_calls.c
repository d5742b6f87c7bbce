/* Calls of jansson that need memory, and say so where there is none. */
#include "import/jansson_calls.h"

#include "base/memory.h"

#include <errno.h>

sal_status keras_parse(json_t **out, const char *text, size_t length, const char *path, const char *what)
{
    json_error_t error = {.line = 0};
    if (length > KERAS_MOST_JSON)
        return sal_fail(SAL_ERROR_LIMIT, "%s: %s has %zu bytes, the limit is %d", path, what, length, KERAS_MOST_JSON);
    errno = 0; /* jansson does not always say that it was memory */
    *out = json_loadb(text, length, 0, &error);
    if (*out)
        return SAL_OK;
    return errno == ENOMEM ? sal_fail_memory(length, what)
                           : sal_fail(SAL_ERROR_FORMAT, "%s: %s: line %d: %s", path, what, error.line, error.text);
}

sal_status keras_put(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new_nocheck(object, key, value) == 0 ? SAL_OK : sal_fail_memory(0, "the network");
}

sal_status keras_append(json_t *list, json_t *value)
{
    return json_array_append_new(list, value) == 0 ? SAL_OK : sal_fail_memory(0, "the network");
}
