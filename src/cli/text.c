#include "cli/text.h"

#include <stdlib.h>
#include <string.h>

static const char *scaled(char *text, size_t size, uint64_t value, double base, const char *const *units)
{
    double v = (double)value;
    int unit = 0;
    while (v >= base && units[unit + 1]) {
        v /= base;
        unit++;
    }
    int digits = unit == 0 || v >= 100.0 ? 0 : v >= 10.0 ? 1 : 2;
    snprintf(text, size, "%.*f%s%s", digits, v, *units[unit] ? " " : "", units[unit]);
    return text;
}

const char *text_count(char *text, size_t size, uint64_t count)
{
    static const char *const units[] = {"", "k", "M", "G", "T", "P", NULL};
    return scaled(text, size, count, 1000.0, units);
}

const char *text_bytes(char *text, size_t size, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", NULL};
    return scaled(text, size, bytes, 1024.0, units);
}

const char *text_shape(char *text, size_t size, const int64_t *shape, int rank)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%lld", i ? "x" : "", (long long)shape[i]);
    return text;
}

static int is_continuation(char byte)
{
    return ((unsigned char)byte & 0xC0) == 0x80;
}

const char *text_cut(char *text, size_t size, const char *name, size_t width)
{
    size_t length = strlen(name);
    if (width >= size)
        width = size - 1;
    if (length <= width) {
        memcpy(text, name, length + 1);
        return text;
    }
    /* Endings tell layers of one block apart, beginnings tell blocks apart. */
    size_t head = (width - 2) / 2, tail = width - 2 - head;
    /* Not within a character of UTF-8. */
    while (head > 0 && is_continuation(name[head]))
        head--;
    while (tail > 0 && is_continuation(name[length - tail]))
        tail--;
    snprintf(text, size, "%.*s..%s", (int)head, name, name + length - tail);
    return text;
}

size_t text_character(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;
    const size_t length = c[0] < 0x80 ? 1 : c[0] < 0xC2 ? 0 : c[0] < 0xE0 ? 2 : c[0] < 0xF0 ? 3 : c[0] < 0xF5 ? 4 : 0;
    for (size_t k = 1; k < length; k++)
        if (!is_continuation((char)c[k]))
            return 0;
    const int overlong = (c[0] == 0xE0 && c[1] < 0xA0) || (c[0] == 0xF0 && c[1] < 0x90);
    const int surrogate = c[0] == 0xED && c[1] >= 0xA0, beyond = c[0] == 0xF4 && c[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : length;
}

/* Those of ASCII, but for newlines at the end, and U+0080 to U+009F, which UTF-8 writes as C2 and themselves, and other
 * codes as themselves. */
static void hide_controls(char *text)
{
    unsigned char *c = (unsigned char *)text, *end = c + strlen(text);
    while (end > c && end[-1] == '\n')
        end--;
    for (size_t length; c < end; c += length ? length : 1) {
        length = text_character((const char *)c);
        if (length == 2 && c[0] == 0xC2 && c[1] < 0xA0)
            c[0] = c[1] = '?';
        else if (*c < ' ' || *c == 0x7F || (length == 0 && *c < 0xA0))
            *c = '?';
    }
}

void text_print_list(FILE *to, const char *format, va_list args)
{
    char brief[2048]; /* errors are told where there is no memory left */
    va_list again;
    va_copy(again, args);
    const int length = vsnprintf(brief, sizeof brief, format, args);
    char *text = length >= (int)sizeof brief ? malloc((size_t)length + 1) : NULL;
    if (text)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    hide_controls(text ? text : brief);
    fputs(text ? text : brief, to);
    free(text);
}

void text_print(FILE *to, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_print_list(to, format, args);
    va_end(args);
}
