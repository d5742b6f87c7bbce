/* Lists and objects of names, as JSON and as Python write them: {0: 'cat', 1: "it's"} is what exporters put into files.
 */
#include "dataset/classes.h"

#include "base/memory.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OUTPUTS = 1 << 20, MAX_DEPTH = 64 };

/* ---- Collecting ---------------------------------------------------------- */

sal_status sal_class_list_put(sal_class_list *list, char *name, int64_t output, const char *file)
{
    sal_status st = SAL_OK;
    if (output < 0 || output >= MAX_OUTPUTS)
        st = sal_fail(SAL_ERROR_FORMAT, "%s: names output %lld, and outputs are numbers from 0", file,
                      (long long)output);
    else if ((size_t)output < list->count && list->names[output])
        st = sal_fail(SAL_ERROR_FORMAT, "%s: output %lld has two names, '%s' and '%s'", file, (long long)output,
                      list->names[output], name);
    if (st == SAL_OK)
        st = sal_grow(&list->names, &list->room, (size_t)output + 1, sizeof *list->names, "names of classes");
    if (st != SAL_OK) {
        free(name);
        return st;
    }
    list->names[output] = name;
    if (list->count < (size_t)output + 1)
        list->count = (size_t)output + 1;
    return SAL_OK;
}

void sal_class_list_clear(sal_class_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->names[i]);
    free(list->names);
    memset(list, 0, sizeof *list);
}

/* ---- Reading ------------------------------------------------------------- */

typedef struct scanner {
    const char *at;
    const char *file;
} scanner;

static sal_status fail(const scanner *s, const char *what)
{
    return sal_fail(SAL_ERROR_FORMAT,
                    "%s: %s, before '%.20s': give a name a line, a JSON list of names, or an object of names by output",
                    s->file, what, s->at);
}

static char peek(scanner *s)
{
    while (isspace((unsigned char)*s->at))
        s->at++;
    return *s->at;
}

static int take(scanner *s, char c)
{
    if (peek(s) != c)
        return 0;
    s->at++;
    return 1;
}

/* Four hexadecimal digits; -1: there are none. */
static long hexadecimal(const char *text)
{
    if (strspn(text, "0123456789abcdefABCDEF") < 4)
        return -1;
    char digits[5] = {text[0], text[1], text[2], text[3], '\0'};
    return strtol(digits, NULL, 16);
}

/* One character of \uXXXX, or of two of them, as UTF-8; 0: it is none. */
static size_t put_unicode(char *to, scanner *s)
{
    long c = hexadecimal(s->at);
    if (c < 1 || (c >= 0xDC00 && c <= 0xDFFF))
        return 0;
    s->at += 4;
    if (c >= 0xD800 && c <= 0xDBFF) {
        const long low = s->at[0] == '\\' && s->at[1] == 'u' ? hexadecimal(s->at + 2) : -1;
        if (low < 0xDC00 || low > 0xDFFF)
            return 0;
        s->at += 6;
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    }
    static const unsigned char leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    const size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t k = n; k-- > 1; c >>= 6)
        to[k] = (char)(0x80 | (c & 0x3F));
    to[0] = (char)(leads[n] | c);
    return n;
}

/* What stands behind a backslash; 0: nothing that is known. */
static size_t put_escaped(char *to, scanner *s)
{
    static const char letters[] = "ntrbf", meanings[] = "\n\t\r\b\f";
    const char c = *s->at;
    if (c == 'u') {
        s->at++;
        return put_unicode(to, s);
    }
    const char *letter = c ? strchr(letters, c) : NULL;
    if (!letter && (c == '\0' || !strchr("\\'\"/", c)))
        return 0;
    *to = letter ? meanings[letter - letters] : c;
    s->at++;
    return 1;
}

/* Bytes up to the quote that ends a string, or to the end of the line. */
static size_t length_of(const char *text, char quote)
{
    size_t n = 0;
    while (text[n] && text[n] != '\n' && text[n] != quote)
        n += text[n] == '\\' && text[n + 1] ? 2 : 1;
    return n;
}

/* *out: free with free(). */
static sal_status read_string(char **out, scanner *s)
{
    const char quote = *s->at++;
    size_t used = 0, room = length_of(s->at, quote) + 1; /* escapes are longer than what they mean */
    *out = malloc(room);
    if (!*out)
        return sal_fail_memory(room, "a name");
    while (*s->at && *s->at != '\n' && *s->at != quote) {
        size_t n = 1;
        if (*s->at != '\\') {
            (*out)[used] = *s->at++;
        } else {
            s->at++;
            n = put_escaped(*out + used, s);
        }
        if (n == 0)
            return fail(s, "a backslash means nothing there");
        used += n;
    }
    (*out)[used] = '\0';
    return take(s, quote) ? SAL_OK : fail(s, "a quote is opened and not closed");
}

static int is_quote(char c)
{
    return c == '"' || c == '\'';
}

static int read_integer(int64_t *out, scanner *s)
{
    char *end;
    (void)peek(s);
    *out = strtoll(s->at, &end, 10);
    if (end == s->at || *end == '.' || isalpha((unsigned char)*end))
        return 0;
    s->at = end;
    return 1;
}

/* Anything. */
static sal_status skip_value(scanner *s, int depth)
{
    sal_status st = SAL_OK;
    char *text = NULL;
    const char open = peek(s), close = open == '{' ? '}' : open == '(' ? ')' : ']';
    if (depth > MAX_DEPTH)
        return fail(s, "there are too many brackets");
    if (is_quote(open)) {
        st = read_string(&text, s);
    } else if (open && strchr("{[(", open)) {
        s->at++;
        while (!take(s, close)) {
            TRY(skip_value(s, depth + 1));
            if (!take(s, ':') && !take(s, ',') && peek(s) != close)
                TRY(fail(s, "a comma is missing"));
        }
    } else {
        const size_t length = strspn(s->at, "+-.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
        s->at += length;
        st = length ? SAL_OK : fail(s, "a value is missing");
    }
done:
    free(text);
    return st;
}

/* A name, or what ImageNet's lists have: ["n01440764", "tench"]. */
static sal_status read_name(char **out, scanner *s)
{
    sal_status st = SAL_OK;
    *out = NULL;
    if (is_quote(peek(s)))
        return read_string(out, s);
    if (!take(s, '[') || !is_quote(peek(s)))
        return fail(s, "a name is missing");
    TRY(read_string(out, s));
    free(*out);
    *out = NULL;
    if (!take(s, ',') || !is_quote(peek(s)))
        TRY(fail(s, "the second name of a pair is missing"));
    TRY(read_string(out, s));
    if (!take(s, ']'))
        st = fail(s, "a pair of names has more than two");
done:
    return st;
}

static sal_status read_list(sal_class_list *list, scanner *s)
{
    sal_status st = SAL_OK;
    for (int64_t k = 0; !take(s, ']'); k++) {
        char *name;
        st = read_name(&name, s);
        if (st != SAL_OK) {
            free(name);
            return st;
        }
        TRY(sal_class_list_put(list, name, k, s->file));
        if (!take(s, ',') && peek(s) != ']')
            TRY(fail(s, "a comma is missing"));
    }
done:
    return st;
}

/* A key, quoted or a bare number, and its colon. *key: free with free(). */
static sal_status read_key(char **key, scanner *s)
{
    sal_status st = SAL_OK;
    int64_t number;
    *key = NULL;
    if (is_quote(peek(s))) {
        TRY(read_string(key, s));
    } else {
        const char *begin = s->at;
        if (!read_integer(&number, s))
            TRY(fail(s, "a key is missing"));
        const size_t length = (size_t)(s->at - begin);
        *key = malloc(length + 1);
        if (!*key)
            return sal_fail_memory(length + 1, "a name");
        memcpy(*key, begin, length);
        (*key)[length] = '\0';
    }
    if (!take(s, ':'))
        st = fail(s, "a colon is missing");
done:
    return st;
}

/* An output's name, or a name's output: which, its value says. */
static sal_status read_member(sal_class_list *list, char **key, scanner *s)
{
    sal_status st = SAL_OK;
    int64_t output;
    char *name = NULL, *end;
    const char value = peek(s);
    if (isdigit((unsigned char)value)) {
        if (!read_integer(&output, s))
            return fail(s, "an output is no number");
        name = *key;
        *key = NULL;
        return sal_class_list_put(list, name, output, s->file);
    }
    output = strtoll(*key, &end, 10);
    if (end == *key || *end)
        return fail(s, "a key is no output, and its value neither");
    st = read_name(&name, s);
    if (st != SAL_OK) {
        free(name);
        return st;
    }
    return sal_class_list_put(list, name, output, s->file);
}

static sal_status read_object(sal_class_list *list, scanner *s)
{
    sal_status st = SAL_OK;
    char *key = NULL;
    while (!take(s, '}')) {
        TRY(read_key(&key, s));
        TRY(read_member(list, &key, s));
        free(key);
        key = NULL;
        if (!take(s, ',') && peek(s) != '}')
            TRY(fail(s, "a comma is missing"));
    }
done:
    free(key);
    return st;
}

/* Moves to the object of member id2label, where a configuration has one. */
static sal_status find_id2label(int *found, scanner *s)
{
    sal_status st = SAL_OK;
    char *key = NULL;
    *found = 0;
    while (!*found && !take(s, '}')) {
        TRY(read_key(&key, s));
        *found = strcmp(key, "id2label") == 0 && take(s, '{');
        free(key);
        key = NULL;
        if (*found)
            break;
        TRY(skip_value(s, 0));
        if (!take(s, ',') && peek(s) != '}')
            TRY(fail(s, "a comma is missing"));
    }
done:
    free(key);
    return st;
}

sal_status sal_class_list_read(sal_class_list *out, const char *text, const char *file)
{
    sal_status st = SAL_OK;
    scanner s = {text, file}, within;
    int found = 0;
    memset(out, 0, sizeof *out);
    if (take(&s, '[')) {
        TRY(read_list(out, &s));
    } else if (take(&s, '{')) {
        within = s;
        TRY(find_id2label(&found, &within));
        TRY(read_object(out, found ? &within : &s));
    } else {
        TRY(fail(&s, "is neither a list nor an object"));
    }
    if (!found && peek(&s))
        st = fail(&s, "something follows the end");
    for (size_t i = 0; st == SAL_OK && i < out->count; i++)
        if (!out->names[i])
            st = sal_fail(SAL_ERROR_FORMAT, "%s: has names up to output %zu, and none for output %zu", file,
                          out->count - 1, i);
done:
    if (st != SAL_OK)
        sal_class_list_clear(out);
    return st;
}
