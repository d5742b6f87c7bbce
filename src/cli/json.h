/* What the program prints with --json: one value at a time, built with jansson and printed whole. */
#ifndef SAL_CLI_JSON_H
#define SAL_CLI_JSON_H

#include <jansson.h>
#include <stdint.h>

enum { CLI_JSON_DEPTH = 8 };

/* Begin with {0}. If memory runs out, the value stays incomplete, and cli_json_print prints nothing of it. */
typedef struct cli_json {
    json_t *open[CLI_JSON_DEPTH]; /* objects and arrays that more values go into; open[0] owns the rest */
    int depth;
    int failed; /* 1: memory ran out */
} cli_json;

/* Objects and arrays nest. The key is NULL in arrays, and for the outermost value. */
void cli_json_begin(cli_json *j, const char *key, char bracket); /* '{' or '[' */
void cli_json_end(cli_json *j);
/* Bytes that are not UTF-8 become U+FFFD; NULL becomes null. */
void cli_json_text(cli_json *j, const char *key, const char *value);
void cli_json_integer(cli_json *j, const char *key, int64_t value);
void cli_json_count(cli_json *j, const char *key, uint64_t value); /* at most INT64_MAX */
/* Enough digits for a float to come back as it was; NaN and infinity become null. */
void cli_json_real(cli_json *j, const char *key, double value);
void cli_json_boolean(cli_json *j, const char *key, int value);
/* Ends the outermost value, and prints it on a line of standard output unless memory ran out. cli_finish tells of
 * either failure. Frees the value. */
void cli_json_print(cli_json *j);
/* Frees the value without printing it. */
void cli_json_drop(cli_json *j);

#endif
