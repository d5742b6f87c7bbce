#include "dataset/dataset.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/struct.h"
#include "base/text.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint64_t max_manifest_bytes = (uint64_t)1 << 32;

/* ---- Rows ---------------------------------------------------------------- */

sal_status sal_dataset_add_path(sal_dataset *d, const char *path, const char *below)
{
    sal_status st = SAL_OK;
    const size_t size = strlen(path) + 1, folder = strcspn(below, "/");
    const size_t label = !d->labels_by_folder ? 0 : below[folder] ? folder + 1 : 1;
    if (!sal_patterns_take(&d->patterns, below)) {
        d->left_out++;
        return SAL_OK;
    }
    TRY(sal_grow(&d->rows, &d->row_room, d->count + 1, sizeof *d->rows, "the list of pictures"));
    TRY(sal_grow(&d->text, &d->room, d->used + size + label, 1, "the list of pictures"));
    memcpy(d->text + d->used, path, size);
    if (label > 0) {
        memcpy(d->text + d->used + size, below, label - 1);
        d->text[d->used + size + label - 1] = '\0';
    }
    d->rows[d->count++] = d->used;
    d->used += size + label;
done:
    return st;
}

const char *sal_dataset_field(const sal_dataset *d, size_t row, int column)
{
    const char *field = d->text + d->rows[row];
    while (column-- > 0)
        field += strlen(field) + 1;
    return field;
}

size_t sal_dataset_count(const sal_dataset *d)
{
    return d ? d->count : 0;
}

const char *sal_dataset_path(const sal_dataset *d, size_t row)
{
    return row < sal_dataset_count(d) ? sal_dataset_field(d, row, d->path_column) : NULL;
}

const char *sal_dataset_file(const sal_dataset *d, size_t row)
{
    return row < sal_dataset_count(d) ? d->files[row] : NULL;
}

const char *sal_dataset_label(const sal_dataset *d, size_t row)
{
    return row < sal_dataset_count(d) && d->label_column >= 0 ? sal_dataset_field(d, row, d->label_column) : NULL;
}

sal_status sal_dataset_get_info(sal_dataset_info *out, const sal_dataset *d)
{
    sal_status st = SAL_OK;
    TRY(sal_require(out, "out", __func__));
    TRY(sal_require(d, "dataset", __func__));
    const sal_dataset_info info = {.size = sizeof info,
                                   .pictures = d->count,
                                   .left_out = d->left_out,
                                   .folders_left_out = d->folders_left_out,
                                   .folders = d->folder_count,
                                   .labelled = d->label_column >= 0};
    TRY(sal_struct_write(out, &info, sizeof info, "sal_dataset_info"));
done:
    return st;
}

static uint64_t hash(const char *s)
{
    uint64_t h = 1469598103934665603u; /* FNV-1a */
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    /* Its low bits alone are weak; these are the last steps of splitmix64. */
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
    return h ^ (h >> 31);
}

int64_t sal_dataset_shard(const sal_dataset *d, size_t row, int64_t count)
{
    return count <= 1 ? 0 : (int64_t)(hash(sal_dataset_path(d, row)) % (uint64_t)count);
}

int sal_dataset_in_shard(const sal_dataset *d, size_t row, int64_t index, int64_t count)
{
    return row < sal_dataset_count(d) && (count <= 1 || sal_dataset_shard(d, row, count) == index);
}

const char *sal_dataset_columns(char *text, size_t size, const sal_dataset *d)
{
    size_t used = 0;
    text[0] = '\0';
    for (int k = 0; k < d->column_count && used < size; k++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", k ? ", " : "", d->columns[k]);
    return text;
}

sal_status sal_dataset_text(char **out, size_t *size, const sal_dataset *d)
{
    sal_text text;
    *out = NULL;
    sal_status st = sal_text_open(&text);
    if (st != SAL_OK)
        return st;
    FILE *to = text.stream;
    for (int k = 0; k < d->column_count; k++) {
        fputs(k ? "," : "", to);
        sal_csv_print(to, d->columns[k]);
    }
    fputc('\n', to);
    for (size_t i = 0; i < d->count; i++)
        for (int k = 0; k < d->column_count; k++) {
            sal_csv_print(to, sal_dataset_field(d, i, k));
            fputc(k + 1 < d->column_count ? ',' : '\n', to);
        }
    return sal_text_close(out, size, &text, SAL_OK, "the manifest");
}

/* ---- Inputs -------------------------------------------------------------- */

typedef enum input_kind { INPUT_ABSENT, INPUT_FILE, INPUT_FOLDER } input_kind;

/* A link that leads nowhere is a file, which cannot be read. Where a disk fails, that is not taken for absence: the
 * list would be another one. */
static sal_status look_at(input_kind *kind, const char *path)
{
    struct stat info;
    *kind = INPUT_ABSENT;
    if (stat(path, &info) == 0)
        *kind = S_ISDIR(info.st_mode) ? INPUT_FOLDER : INPUT_FILE;
    else if (errno != ENOENT && errno != ENOTDIR && errno != EACCES && errno != ELOOP && errno != ENAMETOOLONG)
        return sal_fail(SAL_ERROR_IO, "%s: cannot look at it: %s", path, strerror(errno));
    else if (lstat(path, &info) == 0)
        *kind = INPUT_FILE;
    return SAL_OK;
}

static int is_manifest(const char *path, input_kind kind)
{
    const char *dot = strrchr(path, '.');
    return dot && (strcasecmp(dot, ".csv") == 0 || strcasecmp(dot, ".tsv") == 0) && kind != INPUT_FOLDER;
}

/* One column, path, or another for labels. */
static sal_status begin_list(sal_dataset *d, const char *root)
{
    static const char names[] = "path\0label";
    sal_status st = SAL_OK;
    TRY(sal_strdup(&d->root, root));
    d->header = malloc(sizeof names);
    if (!d->header)
        return sal_fail_memory(sizeof names, "the list of pictures");
    memcpy(d->header, names, sizeof names);
    d->columns[0] = d->header;
    d->columns[1] = d->header + strlen(names) + 1;
    d->column_count = 1 + d->labels_by_folder;
    d->path_column = 0;
    d->label_column = d->labels_by_folder ? 1 : -1;
done:
    return st;
}

static sal_status add_folder(sal_dataset *d, const char *folder, int deep, int may_be_empty)
{
    sal_status st = SAL_OK;
    char *prefix = NULL;
    const size_t length = strlen(folder);
    TRY(sal_alloc(&prefix, length + 2, 1, "a path"));
    snprintf(prefix, length + 2, "%s%s", folder, length && folder[length - 1] != '/' ? "/" : "");
    TRY(sal_folder_list(d, folder, prefix, deep, may_be_empty));
    TRY(sal_grow(&d->named, &d->named_room, d->named_count + 1, sizeof *d->named, "the list of pictures"));
    d->named[d->named_count++] = prefix;
    prefix = NULL;
done:
    sal_free(prefix);
    return st;
}

/* lenient: a pattern that nothing matches is a name, and a picture that is not there. */
static sal_status add_glob(sal_dataset *d, const char *pattern, int lenient)
{
    sal_status st = SAL_OK;
    glob_t found = {0};
    const size_t before = d->count;
    TRY(sal_dataset_add_pattern(d, pattern));
    const int code = glob(pattern, GLOB_ERR, NULL, &found);
    if (code == GLOB_NOMATCH && lenient) {
        TRY(sal_dataset_add_path(d, pattern, pattern));
        goto done;
    }
    if (code != 0) {
        st = code == GLOB_NOMATCH   ? sal_fail(SAL_ERROR_IO, "%s: no file matches", pattern)
             : code == GLOB_ABORTED ? sal_fail(SAL_ERROR_IO, "%s: cannot read a folder: %s", pattern, strerror(errno))
                                    : sal_fail_memory(0, "the list of pictures");
        goto done;
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
        input_kind kind;
        TRY(look_at(&kind, found.gl_pathv[i]));
        /* A run's own files are no pictures, and a folder that a pattern matches, such as a run's, need not have any.
         */
        if (sal_folder_is_of_run(found.gl_pathv[i]))
            continue;
        TRY(kind == INPUT_FOLDER ? add_folder(d, found.gl_pathv[i], 1, 1)
                                 : sal_dataset_add_path(d, found.gl_pathv[i], found.gl_pathv[i]));
    }
    if (d->count == before)
        st = sal_fail(SAL_ERROR_IO, "%s: no picture matches", pattern);
done:
    globfree(&found);
    return st;
}

static sal_status add_input(sal_dataset *d, const char *input, input_kind kind, const sal_dataset_options *o)
{
    if (kind == INPUT_FOLDER)
        return add_folder(d, input, !o->as_named, 0);
    if (o->as_named || kind == INPUT_FILE)
        return sal_dataset_add_path(d, input, input);
    if (strpbrk(input, "*?["))
        return add_glob(d, input, o->lenient != 0);
    if (o->lenient)
        return sal_dataset_add_path(d, input, input);
    return sal_fail(SAL_ERROR_IO, "%s: cannot open: %s", input, strerror(ENOENT));
}

/* Every field is followed by a zero in place: the last one needs room for its own. */
static sal_status copy_text(char **text, size_t *length, const void *bytes, size_t size, const char *path)
{
    if (sal_csv_is_utf16(bytes, size))
        return sal_csv_from_utf16(text, length, bytes, size, path);
    *text = malloc(size + 1);
    if (!*text)
        return sal_fail_memory(size + 1, "the manifest");
    if (size)
        memcpy(*text, bytes, size);
    *length = size;
    return SAL_OK;
}

/* Rows that the patterns leave out. */
static void filter_rows(sal_dataset *d)
{
    size_t kept = 0;
    for (size_t i = 0; i < d->count; i++) {
        if (!sal_patterns_take(&d->patterns, sal_dataset_path(d, i)))
            continue;
        d->rows[kept] = d->rows[i];
        d->lines[kept++] = d->lines[i];
    }
    d->left_out += d->count - kept;
    d->count = kept;
}

static sal_status take_manifest(sal_dataset *d, const void *bytes, size_t size, const char *path,
                                const sal_dataset_options *o)
{
    sal_status st = SAL_OK;
    char *text = NULL;
    size_t length;
    d->manifest = 1;
    TRY(copy_text(&text, &length, bytes, size, path));
    if (o->path_column)
        TRY(sal_strdup(&d->path_name, o->path_column));
    if (o->label_column)
        TRY(sal_strdup(&d->label_name, o->label_column));
    TRY(sal_csv_parse(d, text, length, path));
    text = NULL; /* the data set's */
    filter_rows(d);
    if (o->root) {
        TRY(sal_strdup(&d->root, o->root));
    } else {
        const char *slash = strrchr(path, '/');
        TRY(sal_strdup(&d->root, slash ? path : ""));
        if (slash)
            d->root[slash == path ? 1 : slash - path] = '\0';
    }
done:
    free(text);
    return st;
}

sal_status sal_dataset_judge_list(void *path, const unsigned char *head, size_t head_size, uint64_t file_size)
{
    (void)file_size;
    return memchr(head, '\0', head_size) && !sal_csv_is_utf16(head, head_size) ? sal_csv_fail_null(path) : SAL_OK;
}

static sal_status read_manifest(sal_dataset *d, const char *path, const sal_dataset_options *o)
{
    sal_status st = SAL_OK;
    unsigned char *bytes = NULL;
    size_t size;
    const sal_file_judge judge = {sal_dataset_judge_list, (void *)(uintptr_t)path};
    TRY(sal_file_read_judged(&bytes, &size, path, max_manifest_bytes, &judge));
    TRY(take_manifest(d, bytes, size, path, o));
done:
    sal_free(bytes);
    return st;
}

/* ---- Checks -------------------------------------------------------------- */

static sal_status fail_twice(const sal_dataset *d, size_t first, size_t second, const char *name)
{
    const char *path = sal_dataset_path(d, second);
    if (!d->lines)
        return sal_fail(SAL_ERROR_ARGUMENT, "%s: is given twice", path);
    return sal_fail(SAL_ERROR_FORMAT, "%s: line %zu: the path '%s' is on line %zu already", name, d->lines[second],
                    path, d->lines[first]);
}

/* Results are kept by path. */
static sal_status check_twice(const sal_dataset *d, const char *name)
{
    sal_status st = SAL_OK;
    size_t size = 64, *slots = NULL; /* rows from 1; open addressing, at most half full */
    while (size < 2 * d->count)
        size *= 2;
    TRY(sal_alloc(&slots, size, sizeof *slots, "the list of pictures"));
    for (size_t i = 0; i < d->count; i++) {
        const char *path = sal_dataset_path(d, i);
        size_t at = (size_t)hash(path) & (size - 1);
        for (; slots[at]; at = (at + 1) & (size - 1))
            if (strcmp(sal_dataset_path(d, slots[at] - 1), path) == 0)
                TRY(fail_twice(d, slots[at] - 1, i, name));
        slots[at] = i + 1;
    }
done:
    sal_free(slots);
    return st;
}

sal_status sal_dataset_make_files(sal_dataset *d)
{
    sal_status st = SAL_OK;
    const size_t length = strlen(d->root);
    const char *slash = length && d->root[length - 1] != '/' ? "/" : "";
    TRY(sal_alloc(&d->files, d->count, sizeof *d->files, "the list of pictures"));
    for (size_t i = 0; i < d->count; i++) {
        const char *path = sal_dataset_path(d, i);
        if (path[0] == '/' || length == 0) {
            d->files[i] = (char *)path;
            continue;
        }
        size_t size = length + strlen(path) + 2;
        char *file = malloc(size);
        if (!file)
            return sal_fail_memory(size, "the list of pictures");
        snprintf(file, size, "%s%s%s", d->root, slash, path);
        d->files[i] = file;
    }
done:
    return st;
}

/* ---- Opening ------------------------------------------------------------- */

/* What goes with one kind of input alone. */
static sal_status check_kind(const char *input, int manifest, int one_folder, const sal_dataset_options *o)
{
    const char *column = o->path_column ? o->path_column : o->label_column;
    if (o->root && !manifest)
        return sal_fail(SAL_ERROR_ARGUMENT, "a root (%s) goes with a manifest, and %s is none", o->root, input);
    if (column && !manifest)
        return sal_fail(SAL_ERROR_ARGUMENT, "a column (%s) is one of a manifest, and %s is none", column, input);
    if (o->labels_from_folders && !one_folder)
        return sal_fail(SAL_ERROR_ARGUMENT,
                        "labels from folders: give one folder that has a sub-folder for each class, in place of %s",
                        input);
    return SAL_OK;
}

static sal_status fill(sal_dataset *d, const char *const *inputs, size_t count, const sal_dataset_options *o)
{
    sal_status st = SAL_OK;
    input_kind kind;
    TRY(look_at(&kind, inputs[0]));
    const int manifest = !o->as_named && count == 1 && is_manifest(inputs[0], kind);
    const int one_folder = !o->as_named && count == 1 && kind == INPUT_FOLDER;
    TRY(check_kind(inputs[0], manifest, one_folder, o));
    d->labels_by_folder = o->labels_from_folders != 0;
    if (manifest)
        return read_manifest(d, inputs[0], o);
    if (one_folder) {
        TRY(begin_list(d, inputs[0]));
        TRY(sal_folder_list(d, inputs[0], "", 1, 0));
        return SAL_OK;
    }
    TRY(begin_list(d, ""));
    for (size_t i = 0; i < count; i++) {
        TRY(look_at(&kind, inputs[i]));
        if (!o->as_named && is_manifest(inputs[i], kind))
            return sal_fail(SAL_ERROR_ARGUMENT, "%s: a manifest is given alone", inputs[i]);
        TRY(add_input(d, inputs[i], kind, o));
    }
done:
    return st;
}

sal_status sal_dataset_open(sal_dataset **out, const char *const *inputs, size_t count,
                            const sal_dataset_options *options)
{
    sal_status st = SAL_OK;
    sal_dataset_options full = SAL_DATASET_OPTIONS_INIT;
    const sal_dataset_options *o = &full;
    sal_dataset *d = NULL;
    TRY(sal_require(out, "out", __func__));
    *out = NULL;
    if (!inputs || count == 0)
        return sal_fail(SAL_ERROR_ARGUMENT, "no pictures are given");
    for (size_t i = 0; i < count; i++)
        TRY(sal_require(inputs[i], "an input", __func__));
    TRY(sal_struct_read(&full, sizeof full, options, "sal_dataset_options"));
    TRY(sal_alloc(&d, 1, sizeof *d, "the list of pictures"));
    TRY(sal_patterns_make(&d->patterns, o->include, o->include_count, o->exclude, o->exclude_count));
    TRY(fill(d, inputs, count, o));
    if (d->count == 0)
        TRY(sal_fail(SAL_ERROR_ARGUMENT,
                     "%s: include and exclude leave no picture: %zu pictures and %zu folders are "
                     "left out",
                     inputs[0], d->left_out, d->folders_left_out));
    if (!o->as_named && !o->lenient)
        TRY(check_twice(d, inputs[0]));
    TRY(sal_dataset_make_files(d));
    *out = d;
    d = NULL;
done:
    sal_dataset_close(d);
    return st;
}

sal_status sal_dataset_from_manifest(sal_dataset **out, const void *bytes, size_t size, const char *path,
                                     const sal_dataset_options *options)
{
    sal_status st = SAL_OK;
    sal_dataset *d = NULL;
    *out = NULL;
    TRY(sal_alloc(&d, 1, sizeof *d, "the list of pictures"));
    TRY(take_manifest(d, bytes, size, path, options));
    TRY(check_twice(d, path));
    TRY(sal_dataset_make_files(d));
    *out = d;
    d = NULL;
done:
    sal_dataset_close(d);
    return st;
}

void sal_dataset_close(sal_dataset *d)
{
    if (!d)
        return;
    for (size_t i = 0; d->files && i < d->count; i++)
        if (d->files[i] != sal_dataset_path(d, i))
            free(d->files[i]);
    sal_free(d->files);
    for (size_t i = 0; i < d->named_count; i++)
        sal_free(d->named[i]);
    sal_free(d->named);
    for (size_t i = 0; i < d->patterned_count; i++)
        sal_free(d->patterned[i]);
    sal_free(d->patterned);
    for (size_t i = 0; i < d->folder_count; i++)
        free(d->folders[i]);
    free(d->folders);
    sal_patterns_clear(&d->patterns);
    free(d->path_name);
    free(d->label_name);
    free(d->root);
    free(d->header);
    /* The analyzer takes a file's own path for the text that other paths lie in. */
    free(d->text); /* NOLINT(clang-analyzer-unix.Malloc) */
    free(d->rows);
    free(d->lines);
    sal_free(d);
}
