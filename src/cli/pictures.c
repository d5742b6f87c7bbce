#include "cli/pictures.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static int ends_with(const char *name, const char *ending)
{
    size_t n = strlen(name), m = strlen(ending);
    return n > m && strcasecmp(name + n - m, ending) == 0;
}

static int exists_beside(const char *folder, const char *name, const char *from, const char *to)
{
    char path[4096];
    struct stat info;
    int stem = (int)(strlen(name) - strlen(from));
    int n = snprintf(path, sizeof path, "%s/%.*s%s", folder, stem, name, to);
    return n > 0 && (size_t)n < sizeof path && stat(path, &info) == 0;
}

/* Results of an earlier run into the same folder are not pictures to explain. */
static int is_output(const char *folder, const char *name)
{
    static const char *const endings[] = {".saliency.png", ".overlay.png", ".figure.png", ".gradient.npy"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (ends_with(name, endings[i]))
            return 1;
    return ends_with(name, ".npy") && exists_beside(folder, name, ".npy", ".saliency.png");
}

static int is_picture(const char *name)
{
    static const char *const endings[] = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (ends_with(name, endings[i]))
            return 1;
    return 0;
}

static int add(cli_pictures *p, const char *folder, const char *name)
{
    if (p->count == p->capacity) {
        size_t capacity = p->capacity ? 2 * p->capacity : 64;
        char **paths = realloc(p->paths, capacity * sizeof *paths);
        if (!paths)
            return 0;
        p->paths = paths;
        p->capacity = capacity;
    }
    size_t length = strlen(folder), size = length + strlen(name) + 2;
    char *path = malloc(size);
    if (!path)
        return 0;
    snprintf(path, size, "%s%s%s", folder, length && folder[length - 1] != '/' ? "/" : "", name);
    p->paths[p->count++] = path;
    return 1;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_folder(cli_pictures *p, const cli_command *command, const char *folder)
{
    int code = CLI_OK;
    size_t before = p->count;
    DIR *directory = opendir(folder);
    if (!directory)
        return cli_fail(command, CLI_FAILED, "%s: cannot read the folder: %s", folder, strerror(errno));
    for (struct dirent *entry; code == CLI_OK && (entry = readdir(directory)) != NULL;)
        if (entry->d_name[0] != '.' && is_picture(entry->d_name) && !is_output(folder, entry->d_name) &&
            !add(p, folder, entry->d_name))
            code = cli_fail(command, CLI_FAILED, "out of memory for the list of pictures");
    closedir(directory);
    if (code == CLI_OK && p->count == before)
        return cli_fail(command, CLI_FAILED, "%s: no pictures (.png, .jpg, .jpeg, .tif, .tiff, .npy) in this folder",
                        folder);
    if (code == CLI_OK)
        qsort(p->paths + before, p->count - before, sizeof *p->paths, by_name);
    return code;
}

int cli_pictures_collect(cli_pictures *out, const cli_command *command, char *const *operands, int count)
{
    memset(out, 0, sizeof *out);
    int code = CLI_OK;
    for (int i = 0; i < count && code == CLI_OK; i++) {
        struct stat info;
        if (stat(operands[i], &info) == 0 && S_ISDIR(info.st_mode))
            code = add_folder(out, command, operands[i]);
        else if (!add(out, "", operands[i]))
            code = cli_fail(command, CLI_FAILED, "out of memory for the list of pictures");
    }
    return code;
}

void cli_pictures_clear(cli_pictures *pictures)
{
    for (size_t i = 0; i < pictures->count; i++)
        free(pictures->paths[i]);
    free(pictures->paths);
    memset(pictures, 0, sizeof *pictures);
}
