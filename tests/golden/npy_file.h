/* Reading the references of scripts/make_architectures.py: .npy files of float32 or float64 in C order. */
#ifndef SAL_TESTS_GOLDEN_NPY_FILE_H
#define SAL_TESTS_GOLDEN_NPY_FILE_H

#include <stddef.h>
#include <stdint.h>

typedef struct npy_file {
    int rank;
    int64_t dim[4];
    size_t count;
    double *values; /* free with free(); NULL: it could not be read */
} npy_file;

/* 1: read; 0: not there or not such a file, with the reason on standard error. */
int npy_file_read(npy_file *out, const char *path);
/* A rounded copy; free with free(). */
float *npy_file_floats(const npy_file *file);

#endif
