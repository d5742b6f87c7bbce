/* One list against another: what a run had, and what is named now. */
#include "dataset/dataset.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static sal_status sort_paths(const char ***out, const sal_dataset *d)
{
    sal_status st = sal_alloc(out, d->count, sizeof **out, "the list of pictures");
    for (size_t i = 0; st == SAL_OK && i < d->count; i++)
        (*out)[i] = sal_dataset_path(d, i);
    if (st == SAL_OK)
        qsort(*out, d->count, sizeof **out, by_text);
    return st;
}

sal_status sal_dataset_added(size_t *count, const char **first, const sal_dataset *now, const sal_dataset *then)
{
    sal_status st = SAL_OK;
    const char **ours = NULL, **theirs = NULL;
    size_t at = 0;
    *count = 0;
    *first = NULL;
    TRY(sort_paths(&ours, now));
    TRY(sort_paths(&theirs, then));
    for (size_t i = 0; i < now->count; i++) {
        while (at < then->count && strcmp(theirs[at], ours[i]) < 0)
            at++;
        if (at < then->count && strcmp(theirs[at], ours[i]) == 0)
            continue;
        if ((*count)++ == 0)
            *first = ours[i];
    }
done:
    sal_free(ours);
    sal_free(theirs);
    return st;
}

/* In a folder that was named; one that leads out of it again is not. */
static int is_in_folder(const sal_dataset *d, const char *path)
{
    if (d->manifest)
        return 0;
    if (d->root[0])
        return sal_dataset_is_below(path);
    for (size_t i = 0; i < d->named_count; i++) {
        const size_t length = strlen(d->named[i]);
        if (strncmp(path, d->named[i], length) == 0 && sal_dataset_is_below(path + length))
            return 1;
    }
    return 0;
}

sal_status sal_dataset_unnamed(const char **file, const sal_dataset *then, const sal_dataset *now)
{
    sal_status st = SAL_OK;
    const char **named = NULL;
    const int all_are_taken = now->patterns.include_count + now->patterns.exclude_count == 0;
    *file = NULL;
    TRY(sort_paths(&named, now));
    for (size_t i = 0; i < then->count && !*file; i++) {
        const char *path = sal_dataset_path(then, i);
        if (all_are_taken && is_in_folder(now, path))
            continue;
        if (!bsearch(&path, named, now->count, sizeof *named, by_text) && access(sal_dataset_file(then, i), F_OK) == 0)
            *file = sal_dataset_file(then, i);
    }
done:
    sal_free(named);
    return st;
}

sal_status sal_dataset_take_origin(sal_dataset *then, const sal_dataset *now)
{
    sal_status st = SAL_OK;
    const sal_patterns *p = &now->patterns;
    sal_patterns_clear(&then->patterns);
    TRY(sal_patterns_make(&then->patterns, (const char *const *)p->include, p->include_count,
                          (const char *const *)p->exclude, p->exclude_count));
    then->manifest = now->manifest;
    then->separator = now->separator;
    then->labels_by_folder = now->labels_by_folder;
done:
    return st;
}

/* ---- A list that has grown -------------------------------------------------- */

typedef struct sorted {
    const char *path;
    size_t row;
} sorted;

static int by_path(const void *a, const void *b)
{
    return strcmp(((const sorted *)a)->path, ((const sorted *)b)->path);
}

static sal_status sort_rows(sorted **out, const sal_dataset *d)
{
    sal_status st = sal_alloc(out, d->count, sizeof **out, "the list of pictures");
    for (size_t i = 0; st == SAL_OK && i < d->count; i++)
        (*out)[i] = (sorted){sal_dataset_path(d, i), i};
    if (st == SAL_OK)
        qsort(*out, d->count, sizeof **out, by_path);
    return st;
}

static sal_status check_columns(const sal_dataset *now, const sal_dataset *then)
{
    char ours[512], theirs[512];
    int same = now->column_count == then->column_count;
    for (int k = 0; same && k < now->column_count; k++)
        same = strcmp(now->columns[k], then->columns[k]) == 0;
    if (same)
        return SAL_OK;
    return sal_fail(SAL_ERROR_ARGUMENT,
                    "a list that is extended keeps its columns: they were %s, and are %s; give the same columns, or "
                    "choose another run folder",
                    sal_dataset_columns(theirs, sizeof theirs, then), sal_dataset_columns(ours, sizeof ours, now));
}

/* Finds the row of a run in the list of now, where it must be as it was. */
static sal_status find_row(size_t *row, const sorted *list, const sal_dataset *now, const sal_dataset *then, size_t i)
{
    const sorted key = {sal_dataset_path(then, i), 0};
    const sorted *found = bsearch(&key, list, now->count, sizeof *list, by_path);
    if (!found)
        return sal_fail(SAL_ERROR_ARGUMENT,
                        "%s: is a picture of the run and no longer in the list: a run can only grow; put it back, or "
                        "choose another run folder",
                        key.path);
    *row = found->row;
    for (int k = 0; k < now->column_count; k++) {
        const char *was = sal_dataset_field(then, i, k), *is = sal_dataset_field(now, found->row, k);
        if (strcmp(was, is) != 0)
            return sal_fail(SAL_ERROR_ARGUMENT,
                            "%s: its %s was '%s' when the run was begun and is '%s' now: a run can only grow; put it "
                            "back, or choose another run folder",
                            key.path, now->columns[k], was, is);
    }
    return SAL_OK;
}

static size_t row_size(const sal_dataset *d, size_t row)
{
    const char *last = sal_dataset_field(d, row, d->column_count - 1);
    return (size_t)(last + strlen(last) + 1 - (d->text + d->rows[row]));
}

static sal_status copy_row(sal_dataset *out, const sal_dataset *d, size_t row)
{
    sal_status st = SAL_OK;
    const size_t size = row_size(d, row);
    TRY(sal_grow(&out->rows, &out->row_room, out->count + 1, sizeof *out->rows, "the list of pictures"));
    TRY(sal_grow(&out->text, &out->room, out->used + size, 1, "the list of pictures"));
    memcpy(out->text + out->used, d->text + d->rows[row], size);
    out->rows[out->count++] = out->used;
    out->used += size;
done:
    return st;
}

/* All but rows. */
static sal_status copy_head(sal_dataset *out, const sal_dataset *d)
{
    sal_status st = SAL_OK;
    const sal_patterns *p = &d->patterns;
    size_t size = 1; /* a folder has no columns */
    TRY(sal_strdup(&out->root, d->root));
    if (d->path_name)
        TRY(sal_strdup(&out->path_name, d->path_name));
    if (d->label_name)
        TRY(sal_strdup(&out->label_name, d->label_name));
    TRY(sal_patterns_make(&out->patterns, (const char *const *)p->include, p->include_count,
                          (const char *const *)p->exclude, p->exclude_count));
    for (int k = 0; k < d->column_count; k++)
        size += strlen(d->columns[k]) + 1;
    out->header = malloc(size);
    if (!out->header)
        return sal_fail_memory(size, "the list of pictures");
    char *at = out->header;
    for (int k = 0; k < d->column_count; k++) {
        out->columns[k] = memcpy(at, d->columns[k], strlen(d->columns[k]) + 1);
        at += strlen(at) + 1;
    }
    out->column_count = d->column_count;
    out->path_column = d->path_column;
    out->label_column = d->label_column;
    out->manifest = d->manifest;
    out->separator = d->separator;
    out->labels_by_folder = d->labels_by_folder;
done:
    return st;
}

sal_status sal_dataset_extend(sal_dataset **out, size_t *added, const sal_dataset *now, const sal_dataset *then)
{
    sal_status st = SAL_OK;
    sal_dataset *d = NULL;
    sorted *list = NULL;
    char *known = NULL;
    size_t row = 0;
    *out = NULL;
    TRY(check_columns(now, then));
    TRY(sort_rows(&list, now));
    TRY(sal_alloc(&known, now->count, 1, "the list of pictures"));
    TRY(sal_alloc(&d, 1, sizeof *d, "the list of pictures"));
    TRY(copy_head(d, now));
    for (size_t i = 0; i < then->count; i++) {
        TRY(find_row(&row, list, now, then, i));
        known[row] = 1;
        TRY(copy_row(d, now, row));
    }
    for (size_t i = 0; i < now->count; i++)
        if (!known[i])
            TRY(copy_row(d, now, i));
    TRY(sal_dataset_make_files(d));
    *added = d->count - then->count;
    *out = d;
    d = NULL;
done:
    sal_dataset_close(d);
    sal_free(list);
    sal_free(known);
    return st;
}

/* ---- How it was made ---------------------------------------------------------- */

sal_status sal_dataset_options_each(const sal_dataset *d,
                                    sal_status (*visit)(void *context, const char *name, const char *value),
                                    void *context)
{
    sal_status st = SAL_OK;
    if (d->labels_by_folder)
        TRY(visit(context, "label-from", "folder"));
    for (size_t i = 0; i < d->patterns.include_count; i++)
        TRY(visit(context, "include", d->patterns.include[i]));
    for (size_t i = 0; i < d->patterns.exclude_count; i++)
        TRY(visit(context, "exclude", d->patterns.exclude[i]));
done:
    return st;
}
