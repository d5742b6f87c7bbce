/* Manifests: comma separated values, as spreadsheets write them. */
#include "dataset/dataset.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct reader {
    const char *name;
    char *at;
    char *end;
    char *out; /* where the next field goes: never beyond `at` */
    char separator;
    size_t line; /* from 1 */
} reader;

static const char byte_order_mark[] = "\xEF\xBB\xBF";

static int begins_with_mark(const char *text, size_t size)
{
    const size_t length = sizeof byte_order_mark - 1;
    return size >= length && memcmp(text, byte_order_mark, length) == 0;
}

/* The one of comma, semicolon and tab that the first line has most of. */
static char find_separator(const char *text, const char *end)
{
    static const char candidates[] = ",;\t";
    size_t counts[3] = {0};
    int best = 0, quoted = 0;
    for (; text < end && (quoted || (*text != '\n' && *text != '\r')); text++) {
        quoted ^= *text == '"';
        const char *found = !quoted && *text ? strchr(candidates, *text) : NULL;
        if (found)
            counts[found - candidates]++;
    }
    for (int i = 1; i < 3; i++)
        if (counts[i] > counts[best])
            best = i;
    return candidates[best];
}

/* After the opening quote: up to the closing one, "" standing for one quote. */
static sal_status read_quoted(reader *r)
{
    const size_t begin = r->line;
    r->at++;
    for (; r->at < r->end; r->at++) {
        if (*r->at == '"' && (r->at + 1 == r->end || r->at[1] != '"')) {
            r->at++;
            return SAL_OK;
        }
        r->at += *r->at == '"';
        r->line += *r->at == '\n';
        *r->out++ = *r->at;
    }
    return sal_fail(SAL_ERROR_FORMAT, "%s: line %zu: a quote is opened and not closed", r->name, begin);
}

static int at_line_end(const reader *r)
{
    return r->at == r->end || *r->at == '\n' || *r->at == '\r';
}

/* One field with its zero; *last: it ended its line. */
static sal_status read_field(char **field, int *last, reader *r)
{
    sal_status st = SAL_OK;
    *field = r->out;
    if (r->at < r->end && *r->at == '"')
        TRY(read_quoted(r));
    while (!at_line_end(r) && *r->at != r->separator)
        *r->out++ = *r->at++;
    *last = at_line_end(r);
    if (!*last) {
        r->at++;
    } else if (r->at < r->end) {
        r->at += *r->at == '\r' && r->at + 1 < r->end && r->at[1] == '\n' ? 2 : 1;
        r->line++;
    }
    *r->out++ = '\0';
done:
    return st;
}

/* Blanks around a column's name are no part of it. */
static char *trim(char *name)
{
    name += strspn(name, " ");
    size_t length = strlen(name);
    while (length > 0 && name[length - 1] == ' ')
        name[--length] = '\0';
    return name;
}

static sal_status fail_column(const sal_dataset *d, const reader *r, const char *name)
{
    char names[512];
    return sal_fail(SAL_ERROR_FORMAT, "%s: there is no column named '%s'; the columns are: %s", r->name, name,
                    sal_dataset_columns(names, sizeof names, d));
}

static sal_status read_header(sal_dataset *d, reader *r)
{
    sal_status st = SAL_OK;
    const char *path = d->path_name ? d->path_name : "path";
    char *field;
    int last = 0;
    d->path_column = d->label_column = -1;
    while (!last) {
        TRY(read_field(&field, &last, r));
        field = trim(field);
        if (d->column_count == SAL_MAX_COLUMNS)
            return sal_fail(SAL_ERROR_LIMIT, "%s: more than %d columns", r->name, SAL_MAX_COLUMNS);
        /* Databases do not tell upper from lower case, and have this one themselves. */
        if (strcasecmp(field, SAL_ID_COLUMN) == 0)
            return sal_fail(SAL_ERROR_FORMAT, "%s: a column is named '%s', which the results need: rename it", r->name,
                            field);
        for (int k = 0; k < d->column_count; k++)
            if (strcasecmp(d->columns[k], field) == 0)
                return sal_fail(SAL_ERROR_FORMAT, "%s: two columns are named '%s' and '%s'", r->name, d->columns[k],
                                field);
        if (strcasecmp(field, path) == 0)
            d->path_column = d->column_count;
        if (strcasecmp(field, d->label_name ? d->label_name : "label") == 0)
            d->label_column = d->column_count;
        d->columns[d->column_count++] = field;
    }
    if (d->column_count == 1 && d->columns[0][0] == '\0')
        return sal_fail(SAL_ERROR_FORMAT, "%s: the first line is empty; it must name the columns, one of them '%s'",
                        r->name, path);
    if (d->path_column < 0)
        TRY(fail_column(d, r, path));
    if (d->label_name && d->label_column < 0)
        TRY(fail_column(d, r, d->label_name));
done:
    return st;
}

static sal_status read_row(sal_dataset *d, reader *r)
{
    sal_status st = SAL_OK;
    const size_t line = r->line;
    char *begin = r->out, *field;
    int last = 0, fields = 0;
    const char *path = "";
    while (!last) {
        TRY(read_field(&field, &last, r));
        if (fields == d->path_column)
            path = field;
        fields++;
    }
    if (fields == 1 && *begin == '\0') {
        r->out = begin; /* an empty line */
        return SAL_OK;
    }
    if (fields != d->column_count)
        return sal_fail(SAL_ERROR_FORMAT, "%s: line %zu: %d field%s, the header has %d", r->name, line, fields,
                        fields == 1 ? "" : "s", d->column_count);
    if (*path == '\0')
        return sal_fail(SAL_ERROR_FORMAT, "%s: line %zu: the path is empty", r->name, line);
    TRY(sal_grow(&d->rows, &d->row_room, d->count + 1, sizeof *d->rows, "the manifest"));
    TRY(sal_grow(&d->lines, &d->line_room, d->count + 1, sizeof *d->lines, "the manifest"));
    d->rows[d->count] = (size_t)(begin - d->text);
    d->lines[d->count++] = line;
done:
    return st;
}

sal_status sal_csv_fail_null(const char *name)
{
    return sal_fail(SAL_ERROR_FORMAT,
                    "%s: holds null bytes: it is no text, or UTF-16 without its mark; save it as UTF-8", name);
}

/* ---- UTF-16, as spreadsheets call "Unicode text" -------------------------- */

int sal_csv_is_utf16(const void *bytes, size_t size)
{
    const unsigned char *b = bytes;
    return size >= 2 && ((b[0] == 0xFF && b[1] == 0xFE) || (b[0] == 0xFE && b[1] == 0xFF));
}

typedef struct utf16 {
    const unsigned char *bytes;
    size_t units;
    int low; /* where the lower byte of a unit is: 0 or 1 */
} utf16;

static uint32_t unit(const utf16 *t, size_t i)
{
    return (uint32_t)t->bytes[2 * i + (size_t)t->low] | (uint32_t)t->bytes[2 * i + (size_t)!t->low] << 8;
}

/* The character at unit *i, which moves to the next one; 0: it is half of one. */
static uint32_t next_character(const utf16 *t, size_t *i)
{
    const uint32_t first = unit(t, (*i)++);
    if (first < 0xD800 || first > 0xDFFF)
        return first;
    const uint32_t second = first < 0xDC00 && *i < t->units ? unit(t, *i) : 0;
    if (second < 0xDC00 || second > 0xDFFF)
        return 0;
    (*i)++;
    return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
}

static size_t put_utf8(char *to, uint32_t c)
{
    static const unsigned char leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    const size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t k = n; k-- > 1; c >>= 6)
        to[k] = (char)(0x80 | (c & 0x3F));
    to[0] = (char)(leads[n] | c);
    return n;
}

sal_status sal_csv_from_utf16(char **out, size_t *length, const void *bytes, size_t size, const char *name)
{
    const utf16 text = {(const unsigned char *)bytes + 2, size / 2 - 1, *(const unsigned char *)bytes == 0xFE};
    size_t line = 1, used = 0;
    *out = NULL;
    if (size % 2 != 0)
        return sal_fail(SAL_ERROR_FORMAT, "%s: is UTF-16 and ends within a character: it is cut off", name);
    char *to = malloc(3 * text.units + 1); /* a unit takes three bytes at most */
    if (!to)
        return sal_fail_memory(3 * text.units + 1, "the manifest");
    for (size_t i = 0; i < text.units;) {
        const int is_zero = unit(&text, i) == 0;
        const uint32_t c = next_character(&text, &i);
        if (c == 0) {
            free(to);
            return is_zero ? sal_csv_fail_null(name)
                           : sal_fail(SAL_ERROR_FORMAT, "%s: line %zu: is no UTF-16: half a character", name, line);
        }
        line += c == '\n';
        used += put_utf8(to + used, c);
    }
    *out = to;
    *length = used;
    return SAL_OK;
}

/* ---- All of it ------------------------------------------------------------- */

sal_status sal_csv_parse(sal_dataset *d, char *text, size_t size, const char *name)
{
    sal_status st = SAL_OK;
    if (memchr(text, '\0', size))
        return sal_csv_fail_null(name);
    reader r = {.name = name, .at = text, .end = text + size, .line = 1};
    if (begins_with_mark(text, size))
        r.at += sizeof byte_order_mark - 1;
    r.separator = d->separator = find_separator(r.at, r.end);
    r.out = text;
    TRY(read_header(d, &r));
    d->text = text;
    while (r.at < r.end)
        TRY(read_row(d, &r));
    d->used = (size_t)(r.out - text);
    if (d->count == 0)
        st = sal_fail(SAL_ERROR_FORMAT, "%s: there is a header and no row", name);
done:
    if (st != SAL_OK)
        d->text = NULL; /* the caller's */
    return st;
}

static void print_field(FILE *to, const char *guard, const char *field)
{
    /* The first field of a list must not begin with what is taken for the file's mark. */
    const size_t length = strlen(field);
    const int is_mark = begins_with_mark(field, length) || sal_csv_is_utf16(field, length);
    if (!strpbrk(field, ",;\t\"\r\n") && field[0] != ' ' && !is_mark) {
        fprintf(to, "%s%s", guard, field);
        return;
    }
    fprintf(to, "\"%s", guard);
    for (; *field; field++) {
        if (*field == '"')
            fputc('"', to);
        fputc(*field, to);
    }
    fputc('"', to);
}

void sal_csv_print(FILE *to, const char *field)
{
    print_field(to, "", field);
}

static size_t digits(const char *text)
{
    return strspn(text, "0123456789");
}

/* A decimal number, with a point or a comma, and blanks behind it. */
static int is_number(const char *text)
{
    text += *text == '+' || *text == '-';
    size_t count = digits(text);
    text += count;
    if (*text == '.' || *text == ',') {
        count += digits(text + 1);
        text += 1 + digits(text + 1);
    }
    if (count > 0 && (*text == 'e' || *text == 'E')) {
        const char *power = text + 1 + (text[1] == '+' || text[1] == '-');
        if (digits(power) == 0)
            return 0;
        text = power + digits(power);
    }
    return count > 0 && text[strspn(text, " ")] == '\0';
}

/* What a spreadsheet would compute, or run. Apostrophes before it count: they could be taken for the guard. */
static int is_formula(const char *text)
{
    const char *first = text + strspn(text, "'");
    return *first && strchr("=+-@\t\r\n", *first) && !(first == text && is_number(text));
}

void sal_csv_print_guarded(FILE *to, const char *field)
{
    print_field(to, is_formula(field) ? "'" : "", field);
}
