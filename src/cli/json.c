#include "cli/json.h"

#include "cli/cli.h"
#include "cli/text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLOAT_DIGITS = 9 };

/* Takes a value, which is NULL if there was no memory for it. */
static void put(cli_json *j, const char *key, json_t *value)
{
    json_t *into = j->depth ? j->open[j->depth - 1] : NULL;
    if (!into)
        json_decref(value);
    if (!into || (key ? json_object_set_new(into, key, value) : json_array_append_new(into, value)) != 0)
        j->failed = 1;
}

void cli_json_begin(cli_json *j, const char *key, char bracket)
{
    json_t *value = bracket == '{' ? json_object() : json_array();
    if (j->depth)
        put(j, key, value);
    else if (!value)
        j->failed = 1;
    /* If it could not be put, it is gone: what would go into it goes nowhere. */
    j->open[j->depth++] = j->failed ? NULL : value;
}

void cli_json_end(cli_json *j)
{
    j->depth--;
}

static int is_utf8(const char *text)
{
    for (size_t length; *text; text += length)
        if ((length = text_character(text)) == 0)
            return 0;
    return 1;
}

/* The text with U+FFFD for each byte that is not UTF-8. NULL: no memory. */
static json_t *replaced(const char *value)
{
    static const char replacement[] = "\xEF\xBF\xBD";
    char *text = malloc(strlen(value) * (sizeof replacement - 1) + 1), *end = text;
    if (!text)
        return NULL;
    for (size_t length; *value; value += length ? length : 1) {
        length = text_character(value);
        const size_t n = length ? length : sizeof replacement - 1;
        memcpy(end, length ? value : replacement, n);
        end += n;
    }
    json_t *result = json_stringn(text, (size_t)(end - text));
    free(text);
    return result;
}

void cli_json_text(cli_json *j, const char *key, const char *value)
{
    if (!value)
        put(j, key, json_null());
    else
        put(j, key, is_utf8(value) ? json_string(value) : replaced(value));
}

void cli_json_integer(cli_json *j, const char *key, int64_t value)
{
    put(j, key, json_integer(value));
}

void cli_json_count(cli_json *j, const char *key, uint64_t value)
{
    put(j, key, json_integer((json_int_t)value));
}

void cli_json_real(cli_json *j, const char *key, double value)
{
    put(j, key, isfinite(value) ? json_real(value) : json_null());
}

void cli_json_boolean(cli_json *j, const char *key, int value)
{
    put(j, key, json_boolean(value));
}

/* Prints JSON, with escapes for the controls that jansson leaves as they are and some terminals obey: U+007F to U+009F.
 */
static void print_escaped(const char *text)
{
    const unsigned char *c = (const unsigned char *)text, *begin = c;
    char escape[8];
    for (; *c; c++) {
        const int two = c[0] == 0xC2 && c[1] >= 0x80 && c[1] < 0xA0;
        if (*c != 0x7F && !two)
            continue;
        cli_write((const char *)begin, (size_t)(c - begin));
        c += two;
        cli_write(escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", *c));
        begin = c + 1;
    }
    cli_write((const char *)begin, (size_t)(c - begin));
    cli_write("\n", 1);
}

typedef struct text_stream {
    FILE *stream;
    int failed;
} text_stream;

static int write_text(const char *bytes, size_t size, void *to)
{
    text_stream *text = to;
    text->failed |= fwrite(bytes, 1, size, text->stream) != size;
    return text->failed ? -1 : 0;
}

/* The value as text, which the caller frees. NULL: no memory. Neither jansson 2.14 (its json_dumps() lost a quotation
 * mark) nor a stream in memory (its error mark stays off) can be relied on to remember that a piece was lost. */
static char *dumped(const json_t *value)
{
    char *bytes = NULL;
    size_t size = 0;
    text_stream text = {.stream = open_memstream(&bytes, &size)};
    if (!text.stream)
        return NULL;
    text.failed |= json_dump_callback(value, write_text, &text, JSON_REAL_PRECISION(FLOAT_DIGITS)) != 0;
    text.failed |= fclose(text.stream) != 0;
    if (!text.failed)
        return bytes;
    free(bytes);
    return NULL;
}

void cli_json_print(cli_json *j)
{
    char *text = j->failed ? NULL : dumped(j->open[0]);
    if (text)
        print_escaped(text);
    else
        cli_output_failed(ENOMEM);
    free(text);
    cli_json_drop(j);
}

void cli_json_drop(cli_json *j)
{
    json_decref(j->open[0]);
    *j = (cli_json){0};
}
