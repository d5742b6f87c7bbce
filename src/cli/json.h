/* JSON on a stream, without a tree. */
#ifndef SAL_CLI_JSON_H
#define SAL_CLI_JSON_H

#include <stdint.h>
#include <stdio.h>

/* Objects and arrays nest; commas are put where they belong. key is NULL in arrays. */
typedef struct json {
    FILE *stream;
    int comma; /* 1: a value precedes at this level */
} json;

void json_begin(json *j, const char *key, char bracket); /* '{' or '[' */
void json_end(json *j, char bracket);                    /* '}' or ']' */
/* Escaped; bytes that are not UTF-8 become U+FFFD; NULL becomes null. */
void json_text(json *j, const char *key, const char *value);
void json_integer(json *j, const char *key, int64_t value);
void json_count(json *j, const char *key, uint64_t value);
/* Enough digits for a float to come back as it was; NaN and infinity become null. */
void json_real(json *j, const char *key, double value);
void json_boolean(json *j, const char *key, int value);

#endif
