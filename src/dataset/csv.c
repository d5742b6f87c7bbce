/* Manifests: comma separated values, as spreadsheets write them. */
#include "dataset/dataset.h"

#include "base/memory.h"

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

static sal_status read_header(sal_dataset *d, reader *r)
{
    sal_status st = SAL_OK;
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
        if (strcasecmp(field, "path") == 0)
            d->path_column = d->column_count;
        if (strcasecmp(field, "label") == 0)
            d->label_column = d->column_count;
        d->columns[d->column_count++] = field;
    }
    if (d->column_count == 1 && d->columns[0][0] == '\0')
        return sal_fail(SAL_ERROR_FORMAT, "%s: the first line is empty; it must name the columns, one of them 'path'",
                        r->name);
    if (d->path_column < 0) {
        char names[512];
        st = sal_fail(SAL_ERROR_FORMAT, "%s: there is no column named 'path'; the columns are: %s", r->name,
                      sal_dataset_columns(names, sizeof names, d));
    }
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
    return sal_fail(SAL_ERROR_FORMAT, "%s: holds null bytes: it is UTF-16 or no text; save it as UTF-8", name);
}

sal_status sal_csv_parse(sal_dataset *d, char *text, size_t size, const char *name)
{
    sal_status st = SAL_OK;
    if (memchr(text, '\0', size))
        return sal_csv_fail_null(name);
    reader r = {.name = name, .at = text, .end = text + size, .line = 1};
    if (begins_with_mark(text, size))
        r.at += sizeof byte_order_mark - 1;
    r.separator = find_separator(r.at, r.end);
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

void sal_csv_print(FILE *to, const char *field)
{
    /* The first field of a list must not begin with what is taken for the file's mark. */
    if (!strpbrk(field, ",;\t\"\r\n") && field[0] != ' ' && !begins_with_mark(field, strlen(field))) {
        fputs(field, to);
        return;
    }
    fputc('"', to);
    for (; *field; field++) {
        if (*field == '"')
            fputc('"', to);
        fputc(*field, to);
    }
    fputc('"', to);
}
