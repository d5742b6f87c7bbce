/* Runs a fuzz target on the files and folders named, without libFuzzer: what once went wrong goes well. */
#include "support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static int replay(const char *path)
{
    FILE *f = fopen(path, "rb");
    long size = -1;
    uint8_t *bytes = NULL;
    if (f && fseek(f, 0, SEEK_END) == 0 && (size = ftell(f)) >= 0) {
        rewind(f);
        bytes = malloc((size_t)size + 1);
    }
    const int read = bytes && fread(bytes, 1, (size_t)size, f) == (size_t)size;
    if (f)
        fclose(f);
    if (!read)
        fprintf(stderr, "%s cannot be read\n", path);
    else
        (void)LLVMFuzzerTestOneInput(bytes, (size_t)size);
    free(bytes);
    return read;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    char path[4096];
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        for (const struct dirent *e; folder && (e = readdir(folder));) {
            if (e->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
            if (!replay(path))
                return 1;
            count++;
        }
        if (!folder)
            return 1;
        closedir(folder);
    }
    printf("%zu files\n", count);
    return count > 0 ? 0 : 1;
}
