#include "results/json.h"

#include <inttypes.h>
#include <math.h>

/* Length of the UTF-8 sequence at s, or 0 where it is none (RFC 3629: no overlong
 * forms, no surrogates, nothing beyond U+10FFFF). */
static int utf8_length(const unsigned char *s)
{
    static const struct {
        unsigned char first, last, low, high;
        int length;
    } forms[] = {
        {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
        {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
        {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
    };
    if (s[0] < 0x80)
        return 1;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (s[0] < forms[i].first || s[0] > forms[i].last)
            continue;
        if (s[1] < forms[i].low || s[1] > forms[i].high)
            return 0;
        for (int k = 2; k < forms[i].length; k++)
            if ((s[k] & 0xC0) != 0x80)
                return 0;
        return forms[i].length;
    }
    return 0;
}

int sal_json_is_utf8(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    for (int length; *s; s += length)
        if ((length = utf8_length(s)) == 0)
            return 0;
    return 1;
}

static void put_string(FILE *to, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    fputc('"', to);
    while (*s) {
        int length = utf8_length(s);
        if (length == 0)
            fputs("\\ufffd", to);
        else if (*s == '"' || *s == '\\')
            fprintf(to, "\\%c", *s);
        else if (*s < 0x20 || *s == 0x7F)
            fprintf(to, "\\u%04x", *s);
        else if (*s == 0xC2 && s[1] < 0xA0) /* controls, which some terminals obey */
            fprintf(to, "\\u%04x", s[1]);
        else
            fwrite(s, 1, (size_t)length, to);
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
