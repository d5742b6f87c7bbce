/* The formats of model files: a row each. What a file begins with tells them apart. */
#include "import/foreign.h"
#include "import/import.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { FIRST = 8 };

typedef struct format {
    const char *magic; /* first bytes */
    size_t size;
    sal_import_reader *read;
} format;

/* A protobuf message begins with anything: ONNX comes last and takes what no other row takes. */
static const format formats[] = {
    {"\x89HDF\r\n\x1a\n", 8, sal_keras_read_hdf5},
    {"PK\x03\x04", 4, sal_keras_read_archive},
    {"", 0, sal_onnx_read},
};

/* How many bytes were read; 0 also where the file cannot be: its reader says why. */
static size_t read_first(char first[FIRST], const char *path)
{
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const ssize_t size = file >= 0 ? read(file, first, FIRST) : 0;
    if (file >= 0)
        close(file);
    return size > 0 ? (size_t)size : 0;
}

static int is_called_keras(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && (strcmp(dot, ".h5") == 0 || strcmp(dot, ".hdf5") == 0 || strcmp(dot, ".keras") == 0);
}

sal_status sal_import(sal_graph *graph, sal_import_info *info, const char *path, const sal_model_options *options)
{
    char first[FIRST];
    const size_t size = read_first(first, path);
    const format *f = formats;
    while (f->size > size || memcmp(first, f->magic, f->size) != 0)
        f++;
    const int misnamed = f->read == sal_onnx_read && size > 0 && is_called_keras(path);
    const sal_status st =
        misnamed ? sal_fail(SAL_ERROR_FORMAT,
                            "%s: has the name of a Keras file, but is neither HDF5 nor a zip archive; copy or download "
                            "it again",
                            path)
                 : f->read(graph, info, path, options);
    return st == SAL_ERROR_FORMAT ? sal_import_refuse_foreign(st, path) : st;
}
