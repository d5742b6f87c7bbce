#include "golden/npy_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3, 64, 64), }" */
static int parse_header(npy_file *out, size_t *width, const char *header)
{
    *width = strstr(header, "'<f8'") ? 8 : strstr(header, "'<f4'") ? 4 : 0;
    const char *shape = strstr(header, "'shape': (");
    if (!*width || !shape || !strstr(header, "'fortran_order': False"))
        return 0;
    out->count = 1;
    shape += strlen("'shape': (");
    for (char *end; out->rank < 4 && *shape && *shape != ')'; shape = end + strspn(end, ", ")) {
        out->dim[out->rank] = strtoll(shape, &end, 10);
        if (end == shape || out->dim[out->rank] <= 0)
            return 0;
        out->count *= (size_t)out->dim[out->rank++];
    }
    return *shape == ')';
}

static int read_values(npy_file *out, size_t width, FILE *f)
{
    out->values = malloc(out->count * sizeof *out->values);
    if (!out->values)
        return 0;
    if (width == 8)
        return fread(out->values, 8, out->count, f) == out->count;
    for (size_t i = 0; i < out->count; i++) {
        float value;
        if (fread(&value, 4, 1, f) != 1)
            return 0;
        out->values[i] = value;
    }
    return 1;
}

int npy_file_read(npy_file *out, const char *path)
{
    char header[1024] = {0};
    unsigned char start[10];
    size_t width = 0;
    int ok = 0;
    memset(out, 0, sizeof *out);
    FILE *f = fopen(path, "rb");
    if (f && fread(start, 1, 10, f) == 10 && !memcmp(start, "\x93NUMPY\x01", 7)) {
        const size_t length = start[8] + 256U * start[9];
        ok = length < sizeof header && fread(header, 1, length, f) == length && parse_header(out, &width, header) &&
             read_values(out, width, f) && fgetc(f) == EOF;
    }
    if (f)
        fclose(f);
    if (!ok) {
        fprintf(stderr, "%s: not there, or not a .npy file of floats in C order\n", path);
        free(out->values);
        out->values = NULL;
    }
    return ok;
}

float *npy_file_floats(const npy_file *file)
{
    float *floats = malloc(file->count * sizeof *floats);
    for (size_t i = 0; floats && i < file->count; i++)
        floats[i] = (float)file->values[i];
    return floats;
}
