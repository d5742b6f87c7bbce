/* Pictures of a folder. */
#include "dataset/dataset.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static int ends_with(const char *name, const char *ending)
{
    size_t n = strlen(name), m = strlen(ending);
    return n > m && strcasecmp(name + n - m, ending) == 0;
}

/* Whether there is a file beside this one, of the name with its ending replaced. */
static int exists_beside(const char *path, const char *from, const char *to)
{
    char other[4096];
    int n = snprintf(other, sizeof other, "%.*s%s", (int)(strlen(path) - strlen(from)), path, to);
    return n > 0 && (size_t)n < sizeof other && access(other, F_OK) == 0;
}

/* Results of `salmap explain` in the same folder are not pictures to explain. */
static int is_output(const char *path)
{
    static const char *const endings[] = {".saliency.png", ".overlay.png", ".figure.png", ".gradient.npy"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (ends_with(path, endings[i]))
            return 1;
    return ends_with(path, ".npy") && exists_beside(path, ".npy", ".saliency.png");
}

static int is_picture(const char *name)
{
    static const char *const endings[] = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (ends_with(name, endings[i]))
            return 1;
    return 0;
}

/* Whether there is a run.json of salmap's: a scanner's may be called so, too. */
static int is_run(const char *folder)
{
    char path[4096], head[1 << 16];
    int n = snprintf(path, sizeof path, "%s/run.json", folder);
    const int fd = n > 0 && (size_t)n < sizeof path ? open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;
    const ssize_t size = fd >= 0 ? read(fd, head, sizeof head - 1) : 0;
    if (fd >= 0)
        close(fd);
    head[size > 0 ? size : 0] = '\0';
    return strstr(head, "\"salmap\"") && strstr(head, "\"model_sha256\"");
}

/* The folder that holds it, into `parent`; 0: there is no room. */
static int parent_of(char parent[4096], const char *path, size_t length)
{
    while (length > 0 && path[length - 1] != '/')
        length--;
    if (length >= 4096)
        return 0;
    snprintf(parent, 4096, "%.*s", (int)length, length > 0 ? path : "./");
    return 1;
}

/* The rest of a name after that of one of a run's files: nothing, or what lies beside it while somebody is at work, or
 * was killed. */
static int is_beside(const char *rest, size_t length)
{
    static const char *const endings[] = {"", "-wal", "-shm", "-journal", "-in-flight"};
    static const char temporary[] = ".tmp-";
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (strlen(endings[i]) == length && strncmp(rest, endings[i], length) == 0)
            return 1;
    const size_t mark = sizeof temporary - 1;
    return length > mark && strncmp(rest, temporary, mark) == 0 && strspn(rest + mark, "0123456789-") >= length - mark;
}

int sal_folder_is_of_run(const char *path)
{
    static const char *const names[] = {"maps",         "overlays",       "shards",     "run.json",
                                        "manifest.csv", "results.sqlite", "results.csv"};
    char parent[4096];
    size_t length = strlen(path), begin;
    while (length > 1 && path[length - 1] == '/')
        length--;
    for (begin = length; begin > 0 && path[begin - 1] != '/'; begin--) {
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const size_t size = strlen(names[i]);
        if (length - begin >= size && strncmp(path + begin, names[i], size) == 0 &&
            is_beside(path + begin + size, length - begin - size) && parent_of(parent, path, length))
            return is_run(parent);
    }
    return 0;
}

/* A walk through a folder. */
typedef struct walk {
    sal_dataset *d;
    FTS *tree;
    const char *folder; /* where it begins */
    const char *prefix; /* of what is listed */
    size_t named;       /* where patterns begin to look at a path that is listed: at the folder's own name, or below it
                           where it is the only input */
    int deep;
    int alone;  /* 1: the only input, whose sub-folders may be classes */
    char *path; /* the entry's, as it is listed; free with free() */
    size_t room;
} walk;

/* Where the last name of a folder's path begins. */
static size_t name_of(const char *prefix)
{
    size_t at = strlen(prefix);
    while (at > 0 && prefix[at - 1] == '/')
        at--;
    while (at > 0 && prefix[at - 1] != '/')
        at--;
    return at;
}

static sal_status list_entry(walk *w, const FTSENT *e)
{
    const char *below = e->fts_path + strlen(w->folder);
    below += strspn(below, "/");
    const size_t size = strlen(w->prefix) + strlen(below) + 1;
    const sal_status st = sal_grow(&w->path, &w->room, size, 1, "the list of pictures");
    if (st == SAL_OK)
        snprintf(w->path, size, "%s%s", w->prefix, below);
    return st;
}

static int is_left_out(const walk *w)
{
    return w->path[w->named] && sal_patterns_skip_folder(&w->d->patterns, w->path + w->named);
}

static sal_status enter_folder(walk *w, FTSENT *e)
{
    sal_status st = SAL_OK;
    sal_dataset *d = w->d;
    int skipped = e->fts_level > 0 &&
                  (!w->deep || e->fts_name[0] == '.' || is_run(e->fts_accpath) || sal_folder_is_of_run(e->fts_path));
    if (!skipped && is_left_out(w)) {
        d->folders_left_out++;
        skipped = 1;
    }
    if (skipped) {
        (void)fts_set(w->tree, e, FTS_SKIP);
    } else if (w->alone && e->fts_level == 1) {
        TRY(sal_grow(&d->folders, &d->folder_room, d->folder_count + 1, sizeof *d->folders, "folders"));
        TRY(sal_strdup(&d->folders[d->folder_count], e->fts_name));
        d->folder_count++;
    }
done:
    return st;
}

/* What cannot be looked at may be a folder full of pictures, on a disk that is not there. Of a picture its own failure
 * tells. */
static sal_status refuse_lost(const walk *w, const FTSENT *e)
{
    const int is_link = e->fts_info == FTS_SLNONE;
    if (!w->deep || is_picture(e->fts_name) || is_left_out(w))
        return SAL_OK;
    return sal_fail(SAL_ERROR_IO, "%s: %s%s: mend or remove it, or leave it out with --exclude", e->fts_path,
                    is_link ? "is a link that leads nowhere, perhaps to a folder of pictures" : "cannot look at it: ",
                    is_link ? "" : strerror(e->fts_errno));
}

static sal_status visit(walk *w, FTSENT *e)
{
    sal_status st = SAL_OK;
    TRY(list_entry(w, e));
    switch (e->fts_info) {
    case FTS_D: return enter_folder(w, e);
    case FTS_DNR:
    case FTS_ERR: return sal_fail(SAL_ERROR_IO, "%s: cannot read the folder: %s", e->fts_path, strerror(e->fts_errno));
    case FTS_DP:
    case FTS_DC: return SAL_OK;
    default: break;
    }
    if (e->fts_name[0] == '.')
        return SAL_OK;
    if (e->fts_info == FTS_NS || e->fts_info == FTS_SLNONE)
        TRY(refuse_lost(w, e));
    if (is_picture(e->fts_name) && !is_output(e->fts_accpath))
        TRY(sal_dataset_add_path(w->d, w->path, w->path + w->named));
done:
    return st;
}

typedef struct sorted {
    const char *text;
    size_t row;
} sorted;

static int by_path(const void *a, const void *b)
{
    return strcmp(((const sorted *)a)->text, ((const sorted *)b)->text);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Rows from `from` on. */
static sal_status sort_rows(sal_dataset *d, size_t from)
{
    sal_status st = SAL_OK;
    const size_t n = d->count - from;
    sorted *list = NULL;
    TRY(sal_alloc(&list, n, sizeof *list, "the list of pictures"));
    for (size_t i = 0; i < n; i++)
        list[i] = (sorted){d->text + d->rows[from + i], d->rows[from + i]};
    qsort(list, n, sizeof *list, by_path);
    for (size_t i = 0; i < n; i++)
        d->rows[from + i] = list[i].row;
done:
    sal_free(list);
    return st;
}

static int has_below(const char *folder)
{
    sal_dataset *all = calloc(1, sizeof *all);
    const int has = all && sal_folder_list(all, folder, "", 1, 0) == SAL_OK;
    sal_dataset_close(all);
    return has;
}

static sal_status fail_empty(const char *folder, int deep)
{
    if (!deep && has_below(folder))
        return sal_fail(SAL_ERROR_IO,
                        "%s: no pictures in this folder itself; there are some in its sub-folders: name one, or use "
                        "salmap sweep",
                        folder);
    return sal_fail(SAL_ERROR_IO, "%s: no pictures (.png, .jpg, .jpeg, .tif, .tiff, .npy) in this folder", folder);
}

sal_status sal_folder_list(sal_dataset *d, const char *folder, const char *prefix, int deep, int may_be_empty)
{
    sal_status st = SAL_OK;
    const size_t before = d->count, left_out = d->left_out + d->folders_left_out;
    char *name = NULL;
    FTS *tree = NULL;
    walk w = {.path = NULL};
    TRY(sal_strdup(&name, folder));
    char *roots[] = {name, NULL};
    tree = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, NULL);
    if (!tree) {
        st = sal_fail(SAL_ERROR_IO, "%s: cannot read the folder: %s", folder, strerror(errno));
        goto done;
    }
    /* A prefix is given where there are several inputs. */
    w = (walk){.d = d,
               .tree = tree,
               .folder = folder,
               .prefix = prefix,
               .named = name_of(prefix),
               .deep = deep,
               .alone = deep && !prefix[0]};
    errno = 0;
    for (FTSENT *e; (e = fts_read(tree)) != NULL; errno = 0)
        TRY(visit(&w, e));
    if (errno) {
        st = sal_fail(SAL_ERROR_IO, "%s: cannot read the folder: %s", folder, strerror(errno));
        goto done;
    }
    if (d->count == before && d->left_out + d->folders_left_out == left_out && !may_be_empty) {
        st = fail_empty(folder, deep);
        goto done;
    }
    TRY(sort_rows(d, before));
    if (d->folder_count > 0)
        qsort(d->folders, d->folder_count, sizeof *d->folders, by_name);
done:
    if (tree)
        fts_close(tree);
    free(w.path);
    free(name);
    return st;
}
