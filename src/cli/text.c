#define _GNU_SOURCE /* wcwidth */
#include "cli/text.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

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

int text_head(const char *text, size_t most)
{
    const size_t length = strnlen(text, most + 1);
    if (length <= most)
        return (int)length;
    for (size_t back = 0; back <= most && back < 4; back++)
        if (!is_continuation(text[most - back]))
            return (int)(most - back);
    return (int)most; /* no UTF-8 */
}

/* ---- As wide as a terminal shows it ------------------------------------------ */

static wchar_t code_of(const char *text, size_t length)
{
    static const unsigned char first[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    wchar_t code = (unsigned char)text[0] & first[length];
    for (size_t k = 1; k < length; k++)
        code = (code << 6) | ((unsigned char)text[k] & 0x3F);
    return code;
}

/* Whether the character, of three bytes, ends a line or turns the direction of what comes after it. */
static int is_turning(wchar_t code)
{
    return (code >= 0x2028 && code < 0x202F) || (code >= 0x2066 && code < 0x206A);
}

/* Columns of the character that begins here, and its bytes. Controls are shown as question marks, one for each byte. */
static size_t columns_of(size_t *bytes, const char *text)
{
    const size_t length = text_character(text);
    *bytes = length ? length : 1;
    if (length < 2)
        return 1;
    const wchar_t code = code_of(text, length);
    const int columns = wcwidth(code);
    if (is_turning(code))
        return length;
    return code < 0xA0 ? 2 : columns >= 0 ? (size_t)columns : 1;
}

/* wcwidth knows what its locale knows. */
static locale_t enter_utf8(locale_t *before)
{
    const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    *before = utf8 ? uselocale(utf8) : (locale_t)0;
    return utf8;
}

static void leave_utf8(locale_t utf8, locale_t before)
{
    if (!utf8)
        return;
    (void)uselocale(before);
    freelocale(utf8);
}

static size_t width_of(const char *text)
{
    size_t width = 0, bytes;
    for (; *text; text += bytes)
        width += columns_of(&bytes, text);
    return width;
}

size_t text_width(const char *text)
{
    locale_t before, utf8 = enter_utf8(&before);
    const size_t width = width_of(text);
    leave_utf8(utf8, before);
    return width;
}

/* Bytes of as much of the beginning as takes so many columns at most. */
static size_t head_of(const char *text, size_t columns)
{
    size_t used = 0, bytes;
    const char *at = text;
    for (; *at; at += bytes) {
        used += columns_of(&bytes, at);
        if (used > columns)
            break;
    }
    return (size_t)(at - text);
}

/* Where as much of the end begins. */
static size_t tail_of(const char *text, size_t width, size_t columns)
{
    size_t bytes;
    const char *at = text;
    for (; *at && width > columns; at += bytes)
        width -= columns_of(&bytes, at);
    while (*at && width == columns && columns_of(&bytes, at) == 0) /* marks of a letter that is left out */
        at += bytes;
    return (size_t)(at - text);
}

/* Endings tell layers of one block apart, beginnings tell blocks apart. */
const char *text_fit(char *text, size_t size, const char *name, size_t columns)
{
    locale_t before, utf8 = enter_utf8(&before);
    const size_t width = width_of(name);
    if (width <= columns) {
        snprintf(text, size, "%s%*s", name, (int)(columns - width), "");
    } else {
        const size_t head = head_of(name, (columns - 2) / 2);
        const size_t tail = tail_of(name, width, columns - 2 - (columns - 2) / 2);
        snprintf(text, size, "%.*s..%s", (int)head, name, name + tail);
        const size_t shown = width_of(text), used = strlen(text);
        if (shown < columns)
            snprintf(text + used, size - used, "%*s", (int)(columns - shown), "");
    }
    leave_utf8(utf8, before);
    return text;
}

void text_print_padded(FILE *to, const char *text, size_t columns)
{
    const size_t width = text_width(text);
    text_print(to, "%s", text);
    fprintf(to, "%*s", width < columns ? (int)(columns - width) : 0, "");
}

/* ---- Without controls -------------------------------------------------------- */

/* Those of ASCII, but for newlines at the end, and U+0080 to U+009F, which UTF-8 writes as C2 and themselves, and other
 * codes as themselves; and what turns the direction of text. */
static void hide_controls(char *text)
{
    unsigned char *c = (unsigned char *)text, *end = c + strlen(text);
    while (end > c && end[-1] == '\n')
        end--;
    for (size_t length; c < end; c += length ? length : 1) {
        length = text_character((const char *)c);
        if ((length == 2 && c[0] == 0xC2 && c[1] < 0xA0) ||
            (length == 3 && is_turning(code_of((const char *)c, length))))
            memset(c, '?', length);
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
