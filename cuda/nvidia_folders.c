#include "nvidia_folders.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH = 4096 };

static void add(cuda_folders *f, const char *path)
{
    char *real = realpath(path, NULL);
    if (!real)
        return;
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->path[i], real) == 0) {
            free(real);
            return;
        }
    if (f->count == CUDA_MAX_FOLDERS)
        free(real);
    else
        f->path[f->count++] = real;
}

/* What the pattern (glob(7)) behind the folder matches. */
static void add_matches(cuda_folders *f, const char *folder, const char *pattern)
{
    char text[PATH];
    glob_t found;
    const int length = snprintf(text, sizeof text, "%s/%s", folder, pattern);
    if (length < 0 || (size_t)length >= sizeof text)
        return;
    if (glob(text, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            add(f, found.gl_pathv[i]);
    globfree(&found);
}

/* A folder's Python packages: nvidia/cudnn/lib, nvidia/cu13/lib, ... */
static void add_python(cuda_folders *f, const char *prefix)
{
    static const char *const patterns[] = {"lib/python3*/site-packages/nvidia/*/lib",
                                           "lib/python3*/dist-packages/nvidia/*/lib",
                                           "lib/python3/dist-packages/nvidia/*/lib"};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        add_matches(f, prefix, patterns[i]);
}

/* The patterns' matches in each folder of a list with colons. */
static void add_list(cuda_folders *f, const char *list, const char *const *patterns, size_t count)
{
    char folder[PATH];
    while (list && *list) {
        const size_t length = strcspn(list, ":");
        if (length > 0 && length < sizeof folder) {
            memcpy(folder, list, length);
            folder[length] = '\0';
            for (size_t i = 0; i < count; i++)
                add_matches(f, folder, patterns[i]);
        }
        list += length + (list[length] == ':');
    }
}

void cuda_folders_given(cuda_folders *f, const char *given)
{
    static const char *const patterns[] = {".", "lib", "lib64", "*/lib", "nvidia/*/lib"};
    add_list(f, given, patterns, sizeof patterns / sizeof *patterns);
}

/* The Pythons on PATH, in its order: <prefix>/bin/python3, which may be a link to another prefix's. */
static void add_pythons_on_path(cuda_folders *f, const char *path)
{
    char program[PATH], *real;
    while (path && *path) {
        const size_t length = strcspn(path, ":");
        if (length > 0 && length + sizeof "/python3" <= sizeof program) {
            memcpy(program, path, length);
            memcpy(program + length, "/python3", sizeof "/python3");
            real = realpath(program, NULL);
            if (real) {
                char prefix[PATH + 8];
                snprintf(prefix, sizeof prefix, "%.*s/..", (int)length, path);
                add_python(f, prefix);
                snprintf(prefix, sizeof prefix, "%.*s/..", (int)(strrchr(real, '/') - real), real);
                add_python(f, prefix);
            }
            free(real);
        }
        path += length + (path[length] == ':');
    }
}

void cuda_folders_usual(cuda_folders *f, const char *built, char *(*environment)(const char *name))
{
    static const char *const environments[] = {"VIRTUAL_ENV", "CONDA_PREFIX"};
    static const char *const whole[] = {"."};
    static const char *const toolkits[] = {"CUDA_HOME", "CUDA_PATH"};
    char home[PATH];
    if (!environment)
        environment = getenv;
    add_list(f, built, whole, 1);
    for (size_t i = 0; i < sizeof toolkits / sizeof *toolkits; i++)
        if (environment(toolkits[i]))
            add_matches(f, environment(toolkits[i]), "lib64");
    add(f, "/usr/local/cuda/lib64");
    for (size_t i = 0; i < sizeof environments / sizeof *environments; i++)
        if (environment(environments[i]))
            add_python(f, environment(environments[i]));
    add_pythons_on_path(f, environment("PATH"));
    if (environment("HOME") && snprintf(home, sizeof home, "%s/.local", environment("HOME")) < (int)sizeof home)
        add_python(f, home);
    add_python(f, "/usr/local");
    add_python(f, "/usr");
}

void cuda_folders_free(cuda_folders *f)
{
    for (size_t i = 0; i < f->count; i++)
        free(f->path[i]);
    f->count = 0;
}
