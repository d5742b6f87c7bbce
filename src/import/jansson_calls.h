/* Calls of jansson that need memory, and say so where there is none. */
#ifndef SAL_IMPORT_JANSSON_CALLS_H
#define SAL_IMPORT_JANSSON_CALLS_H

#include "base/error.h"

#include <jansson.h>

/* Bytes of a configuration: of the largest networks a few million, and in memory twenty times as much. */
enum { KERAS_MOST_JSON = 1 << 24 };

/* A text that path has, as JSON; *out is the caller's. `what` is for messages. Errors: LIMIT, FORMAT, MEMORY. */
sal_status keras_parse(json_t **out, const char *text, size_t length, const char *path, const char *what);
/* Takes a value, which is NULL where there was no memory to make it. Error: MEMORY. */
sal_status keras_put(json_t *object, const char *key, json_t *value);
sal_status keras_append(json_t *list, json_t *value);

#endif
