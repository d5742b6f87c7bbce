/* Files of the list that are not there: where none is, the list itself is not what was meant. */
#include "sweep/sweep.h"

#include <errno.h>
#include <string.h>

/* One that cannot be looked at for another reason is told of when it is read. */
static int is_missing(const sal_dataset *d, size_t row)
{
    struct stat info;
    return stat(sal_dataset_file(d, row), &info) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

static int has_backslash(const sal_dataset *d)
{
    for (size_t i = 0; i < d->count; i++)
        if (strchr(sal_dataset_path(d, i), '\\'))
            return 1;
    return 0;
}

/* Whether the root is the folder of the manifest, and not one that was chosen. */
static int is_beside(const sal_sweep_state *s)
{
    const char *root = s->dataset->root, *manifest = s->options.input_count == 1 ? s->options.inputs[0] : "";
    const char *slash = strrchr(manifest, '/');
    const size_t length = slash == manifest ? 1 : slash ? (size_t)(slash - manifest) : 0;
    return strlen(root) == length && (!slash || strncmp(root, manifest, length) == 0);
}

sal_status sal_sweep_fail_missing(const sal_sweep_state *s)
{
    const sal_dataset *d = s->dataset;
    char from[512] = "";
    if (d->manifest && sal_dataset_path(d, 0)[0] != '/')
        snprintf(from, sizeof from, ": paths start from %.400s (--root DIR)",
                 is_beside(s) ? "the manifest's folder"
                 : d->root[0] ? d->root
                              : ".");
    return sal_fail(SAL_ERROR_ARGUMENT, "none of the %zu files is there, such as %s%s%s", d->count,
                    sal_dataset_path(d, 0), from, has_backslash(d) ? "; use / and not \\" : "");
}

int sal_sweep_is_any_there(const sal_dataset *d)
{
    for (size_t i = 0; i < d->count; i++)
        if (!is_missing(d, i))
            return 1;
    return d->count == 0;
}

void sal_sweep_count_missing(sal_sweep_state *s)
{
    for (size_t i = 0; i < s->dataset->count; i++)
        s->progress.missing += (size_t)is_missing(s->dataset, i);
}
