/* Where in its input a picture lies. */
#include "dataset/dataset.h"

#include "base/memory.h"

#include <string.h>

sal_status sal_dataset_add_pattern(sal_dataset *d, const char *pattern)
{
    sal_status st = SAL_OK;
    char *folder = NULL;
    size_t length = strcspn(pattern, "*?[");
    while (length > 0 && pattern[length - 1] != '/')
        length--;
    TRY(sal_alloc(&folder, length + 1, 1, "a path"));
    memcpy(folder, pattern, length);
    folder[length] = '\0';
    TRY(sal_grow(&d->patterned, &d->patterned_room, d->patterned_count + 1, sizeof *d->patterned,
                 "the list of pictures"));
    d->patterned[d->patterned_count++] = folder;
    folder = NULL;
done:
    sal_free(folder);
    return st;
}

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
