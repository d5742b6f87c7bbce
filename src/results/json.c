#include "results/json.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <math.h>

int sal_json_is_utf8(const char *text)
{
    for (size_t length; *text; text += length)
        if ((length = sal_utf8_read(NULL, text)) == 0)
            return 0;
    return 1;
}

static void put_string(FILE *to, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    fputc('"', to);
    while (*s) {
        const size_t length = sal_utf8_read(NULL, (const char *)s);
        if (length == 0)
            fputs("\\ufffd", to);
        else if (*s == '"' || *s == '\\')
            fprintf(to, "\\%c", *s);
        else if (*s < 0x20 || *s == 0x7F)
            fprintf(to, "\\u%04x", *s);
        else if (*s == 0xC2 && s[1] < 0xA0) /* controls, which some terminals obey */
            fprintf(to, "\\u%04x", s[1]);
        else
            fwrite(s, 1, length, to);
        s += length ? length : 1;
    }
    fputc('"', to);
}

static void put_line(const sal_json *j)
{
    fprintf(j->stream, "\n%*s", 2 * j->depth, "");
}

static void put_key(sal_json *j, const char *key)
{
    if (j->comma)
        fputs(j->lines ? "," : ", ", j->stream);
    if (j->lines && j->depth > 0)
        put_line(j);
    j->comma = 1;
    if (key) {
        put_string(j->stream, key);
        fputs(": ", j->stream);
    }
}

void sal_json_begin(sal_json *j, const char *key, char bracket)
{
    put_key(j, key);
    fputc(bracket, j->stream);
    j->comma = 0;
    j->depth++;
}

void sal_json_end(sal_json *j, char bracket)
{
    j->depth--;
    if (j->lines && j->comma)
        put_line(j);
    fputc(bracket, j->stream);
    j->comma = 1;
}

void sal_json_text(sal_json *j, const char *key, const char *value)
{
    put_key(j, key);
    if (value)
        put_string(j->stream, value);
    else
        fputs("null", j->stream);
}

void sal_json_integer(sal_json *j, const char *key, int64_t value)
{
    put_key(j, key);
    fprintf(j->stream, "%" PRId64, value);
}

void sal_json_count(sal_json *j, const char *key, uint64_t value)
{
    put_key(j, key);
    fprintf(j->stream, "%" PRIu64, value);
}

void sal_json_real(sal_json *j, const char *key, double value)
{
    put_key(j, key);
    if (isfinite(value))
        fprintf(j->stream, "%.9g", value);
    else
        fputs("null", j->stream);
}

void sal_json_boolean(sal_json *j, const char *key, int value)
{
    put_key(j, key);
    fputs(value ? "true" : "false", j->stream);
}
