/* JSON on a stream, without a tree. */
#ifndef SAL_RESULTS_JSON_H
#define SAL_RESULTS_JSON_H

#include <stdint.h>
#include <stdio.h>

/* Objects and arrays nest; commas are put where they belong. key is NULL in arrays. */
typedef struct sal_json {
    FILE *stream;
    int comma; /* 1: a value precedes at this level */
    int lines; /* 1: a line for each value, indented */
    int depth;
} sal_json;

void sal_json_begin(sal_json *j, const char *key, char bracket); /* '{' or '[' */
void sal_json_end(sal_json *j, char bracket);                    /* '}' or ']' */
/* Escaped; bytes that are not UTF-8 become U+FFFD; NULL becomes null. */
void sal_json_text(sal_json *j, const char *key, const char *value);
void sal_json_integer(sal_json *j, const char *key, int64_t value);
void sal_json_count(sal_json *j, const char *key, uint64_t value);
/* Enough digits for a float to come back as it was; NaN and infinity become null. */
void sal_json_real(sal_json *j, const char *key, double value);
void sal_json_boolean(sal_json *j, const char *key, int value);
/* Whether a text is UTF-8 throughout (RFC 3629). */
int sal_json_is_utf8(const char *text);

#endif
