/* Where in its input a picture lies. */
#include "dataset/dataset.h"

#include <string.h>

int sal_dataset_is_below(const char *path)
{
    if (path[0] == '/')
        return 0;
    for (const char *part = path; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
            return 0;
    return 1;
}

/* "a/b.png" of "./a/b.png" and "//a/b.png". */
static const char *skip_nothing(const char *path)
{
    for (;;) {
        if (path[0] == '/')
            path++;
        else if (path[0] == '.' && path[1] == '/')
            path += 2;
        else
            return path;
    }
}

/* The most that follows one of some folders, or `most` where that is more. */
static const char *below_folders(const char *most, char *const *folders, size_t count, const char *path)
{
    for (size_t i = 0; i < count; i++) {
        const size_t length = strlen(folders[i]);
        if (strncmp(path, folders[i], length) != 0 || (length == 0 && path[0] == '/'))
            continue;
        const char *rest = skip_nothing(path + length);
        if (*rest && sal_dataset_is_below(rest) && (!most || rest < most))
            most = rest;
    }
    return most;
}

const char *sal_dataset_place(const sal_dataset *d, size_t row)
{
    const char *path = sal_dataset_path(d, row), *place = NULL;
    if (!path)
        return NULL;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (d->manifest || d->root[0])
        place = sal_dataset_is_below(path) ? skip_nothing(path) : NULL;
    else
        place =
            below_folders(below_folders(NULL, d->named, d->named_count, path), d->patterned, d->patterned_count, path);
    return place && *place ? place : name;
}
