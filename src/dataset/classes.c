#include "dataset/classes.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "dataset/dataset.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t max_bytes = (uint64_t)1 << 24;

/* ---- Names ----------------------------------------------------------------- */

/* Bytes of the character of UTF-8 that begins here, 0: none does. */
static size_t character(const unsigned char *s)
{
    const size_t n = s[0] < 0x80 ? 1 : s[0] < 0xC2 ? 0 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : s[0] < 0xF5 ? 4 : 0;
    for (size_t k = 1; k < n; k++)
        if ((s[k] & 0xC0) != 0x80)
            return 0;
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) || (s[0] == 0xF0 && s[1] < 0x90) ||
        (s[0] == 0xF4 && s[1] > 0x8F))
        return 0;
    return n;
}

/* Names go into tables, figures and lines of text. */
static int is_name(const char *name)
{
    for (const unsigned char *s = (const unsigned char *)name; *s;) {
        const size_t n = character(s);
        if (n == 0 || *s < 0x20 || *s == 0x7F)
            return 0;
        s += n;
    }
    return *name != '\0';
}

typedef struct entry {
    const char *name;
    size_t output;
} entry;

static int by_name(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    const int order = strcmp(x->name, y->name);
    return order ? order : (x->output > y->output) - (x->output < y->output);
}

static sal_status sort_names(sal_classes *c)
{
    sal_status st = SAL_OK;
    entry *list = NULL;
    TRY(sal_alloc(&list, c->count, sizeof *list, "names of classes"));
    TRY(sal_alloc(&c->sorted, c->count, sizeof *c->sorted, "names of classes"));
    TRY(sal_alloc(&c->outputs, c->count, sizeof *c->outputs, "names of classes"));
    for (size_t i = 0; i < c->count; i++)
        list[i] = (entry){c->names[i], i};
    qsort(list, c->count, sizeof *list, by_name);
    for (size_t i = 0; i < c->count; i++) {
        c->sorted[i] = list[i].name;
        c->outputs[i] = list[i].output;
    }
done:
    sal_free(list);
    return st;
}

sal_status sal_classes_make(sal_classes **out, const char *const *names, size_t count)
{
    sal_status st = SAL_OK;
    sal_classes *c = NULL;
    TRY(sal_require(out, "out", __func__));
    *out = NULL;
    if (count > 0)
        TRY(sal_require(names, "names", __func__));
    if (count == 0)
        return sal_fail(SAL_ERROR_ARGUMENT, "there are no names of classes");
    TRY(sal_alloc(&c, 1, sizeof *c, "names of classes"));
    TRY(sal_alloc(&c->names, count, sizeof *c->names, "names of classes"));
    for (; c->count < count; c->count++) {
        TRY(sal_require(names[c->count], "a name", __func__));
        if (!is_name(names[c->count]))
            TRY(sal_fail(SAL_ERROR_ARGUMENT, "the name of class %zu is %s: names are UTF-8 without control characters",
                         c->count, names[c->count][0] ? "no such text" : "empty"));
        TRY(sal_strdup(&c->names[c->count], names[c->count]));
    }
    TRY(sort_names(c));
    *out = c;
    c = NULL;
done:
    sal_classes_close(c);
    return st;
}

void sal_classes_close(sal_classes *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->count; i++)
        free(c->names[i]);
    sal_free(c->names);
    sal_free((void *)c->sorted);
    sal_free(c->outputs);
    sal_free(c);
}

size_t sal_classes_count(const sal_classes *c)
{
    return c ? c->count : 0;
}

const char *sal_classes_name(const sal_classes *c, int64_t output)
{
    return c && output >= 0 && (uint64_t)output < c->count ? c->names[output] : NULL;
}

int64_t sal_classes_find(const sal_classes *c, const char *name)
{
    size_t low = 0, high = sal_classes_count(c);
    if (!name)
        return -1;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (strcmp(c->sorted[middle], name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == sal_classes_count(c) || strcmp(c->sorted[low], name) != 0)
        return -1;
    return low + 1 < c->count && strcmp(c->sorted[low + 1], name) == 0 ? -1 : (int64_t)c->outputs[low];
}

/* ---- Texts ------------------------------------------------------------------- */

/* A name a line; blanks around it are none of it. */
static sal_status read_lines(sal_class_list *list, const char *text, const char *file)
{
    sal_status st = SAL_OK;
    char *name = NULL;
    for (int64_t line = 0; *text; line++) {
        const size_t length = strcspn(text, "\r\n");
        TRY(sal_alloc(&name, length + 1, 1, "a name"));
        memcpy(name, text, length);
        size_t trimmed;
        const char *begin = sal_label_trim(&trimmed, name);
        text += length;
        text += *text == '\r' && text[1] == '\n' ? 2 : *text != '\0';
        if (trimmed == 0 && text[strspn(text, " \t\r\n")] == '\0')
            break;
        if (trimmed == 0)
            TRY(sal_fail(SAL_ERROR_FORMAT, "%s: line %lld is empty, and each line names an output", file,
                         (long long)line + 1));
        char *copy = strndup(begin, trimmed);
        if (!copy)
            TRY(sal_fail_memory(trimmed + 1, "a name"));
        TRY(sal_class_list_put(list, copy, line, file));
        sal_free(name);
        name = NULL;
    }
done:
    sal_free(name);
    return st;
}

sal_status sal_classes_parse(sal_classes **out, const char *text, size_t size, const char *file)
{
    sal_status st = SAL_OK;
    sal_class_list list = {0};
    char *copy = NULL;
    size_t length;
    *out = NULL;
    if (sal_csv_is_utf16(text, size)) {
        TRY(sal_csv_from_utf16(&copy, &length, text, size, file));
        copy[length] = '\0'; /* there is room for it */
    } else {
        copy = strndup(text, size);
        if (!copy)
            return sal_fail_memory(size, "names of classes");
        if (strlen(copy) < size)
            TRY(sal_csv_fail_null(file));
    }
    const char *begin = copy + (strncmp(copy, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0);
    const char first = begin[strspn(begin, " \t\r\n")];
    TRY(first == '[' || first == '{' ? sal_class_list_read(&list, begin, file) : read_lines(&list, begin, file));
    if (list.count == 0)
        TRY(sal_fail(SAL_ERROR_FORMAT, "%s: has no names of classes", file));
    st = sal_classes_make(out, (const char *const *)list.names, list.count);
    if (st == SAL_ERROR_ARGUMENT)
        st = sal_fail(SAL_ERROR_FORMAT, "%s: %s", file, sal_last_error());
done:
    sal_class_list_clear(&list);
    free(copy);
    return st;
}

sal_status sal_classes_open(sal_classes **out, const char *path)
{
    sal_status st = SAL_OK;
    unsigned char *bytes = NULL;
    size_t size;
    TRY(sal_require(out, "out", __func__));
    *out = NULL;
    TRY(sal_require(path, "path", __func__));
    TRY(sal_file_read(&bytes, &size, path, max_bytes));
    TRY(sal_classes_parse(out, (const char *)bytes, size, path));
done:
    sal_free(bytes);
    return st;
}

sal_status sal_classes_of_folders(sal_classes **out, const sal_dataset *d)
{
    sal_status st = SAL_OK;
    TRY(sal_require(out, "out", __func__));
    *out = NULL;
    TRY(sal_require(d, "dataset", __func__));
    if (d->folder_count == 0)
        return sal_fail(SAL_ERROR_ARGUMENT, "%s: has no sub-folders, which would be classes", d->root);
    TRY(sal_classes_make(out, (const char *const *)d->folders, d->folder_count));
done:
    return st;
}

sal_status sal_classes_text(char **out, const sal_classes *c)
{
    sal_text text;
    *out = NULL;
    sal_status st = sal_text_open(&text);
    if (st != SAL_OK)
        return st;
    for (size_t i = 0; i < c->count; i++) {
        fputs(i ? ", \"" : "[\"", text.stream);
        for (const char *s = c->names[i]; *s; s++) {
            if (*s == '"' || *s == '\\')
                fputc('\\', text.stream);
            fputc(*s, text.stream);
        }
        fputc('"', text.stream);
    }
    fputc(']', text.stream);
    return sal_text_close(out, NULL, &text, SAL_OK, "names of classes");
}
