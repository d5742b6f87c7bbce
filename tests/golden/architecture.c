#include "golden/architecture.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *root(void)
{
    const char *folder = getenv("SAL_ARCHITECTURES");
    struct stat info;
    return folder && stat(folder, &info) == 0 ? folder : NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const architecture *)a)->name, ((const architecture *)b)->name);
}

size_t architecture_list(architecture *out, size_t most)
{
    size_t count = 0;
    if (!root()) {
        memset(out, 0, sizeof *out);
        return 1;
    }
    DIR *folder = opendir(root());
    for (const struct dirent *e; folder && count < most && (e = readdir(folder));) {
        struct stat info;
        if (e->d_name[0] == '.' || strlen(e->d_name) >= ARCHITECTURE_NAME)
            continue;
        if (!stat(architecture_path(e->d_name, "", "meta.txt"), &info))
            strcpy(out[count++].name, e->d_name);
    }
    if (folder)
        closedir(folder);
    qsort(out, count, sizeof *out, by_name);
    return count;
}

const char *architecture_path(const char *name, const char *prefix, const char *file)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s/%s%s", root(), name, prefix, file);
    return path;
}

double architecture_meta(const char *name, const char *prefix, const char *key)
{
    char wanted[64];
    char line[256];
    double value = NAN;
    snprintf(wanted, sizeof wanted, "%s%s ", prefix, key);
    FILE *f = fopen(architecture_path(name, "", "meta.txt"), "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, wanted, strlen(wanted)))
            value = strtod(line + strlen(wanted), NULL);
    if (f)
        fclose(f);
    return value;
}

int reference_read(reference *out, const char *name, const char *prefix)
{
    memset(out, 0, sizeof *out);
    const char *inputs = strcmp(prefix, "flat_") == 0 ? prefix : "";
    if (!npy_file_read(&out->inputs, architecture_path(name, inputs, "inputs.npy")) ||
        !npy_file_read(&out->scores, architecture_path(name, prefix, "scores.npy")) ||
        !npy_file_read(&out->gradients, architecture_path(name, prefix, "gradients.npy")))
        return 0;
    out->count = out->inputs.dim[0];
    if (out->inputs.rank != 4 || out->scores.rank != 2 || out->gradients.count != out->inputs.count ||
        out->scores.dim[0] != out->count)
        return 0;
    out->outputs = (size_t)out->scores.dim[1];
    out->elements = out->inputs.count / (size_t)out->count;
    out->pixels = npy_file_floats(&out->inputs);
    return out->pixels != NULL;
}

void reference_clear(reference *r)
{
    free(r->inputs.values);
    free(r->scores.values);
    free(r->gradients.values);
    free(r->pixels);
    memset(r, 0, sizeof *r);
}
