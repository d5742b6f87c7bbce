/* Where NVIDIA's libraries may lie besides the folders of the system's loader. */
#ifndef CUDA_NVIDIA_FOLDERS_H
#define CUDA_NVIDIA_FOLDERS_H

#include <stddef.h>

enum { CUDA_MAX_FOLDERS = 64 };

/* Existing folders, in the order they should be tried; each an absolute path that the caller frees. */
typedef struct cuda_folders {
    char *path[CUDA_MAX_FOLDERS];
    size_t count;
} cuda_folders;

/* The folders that `given` names ($SAL_CUDA_PATH: separated by colons, each itself, its lib and lib64, and pip's
 * nvidia/ packages in it); NULL: none. */
void cuda_folders_given(cuda_folders *f, const char *given);

/* The folders salmap was built with (separated by colons), the CUDA toolkit's own, and those of pip's packages
 * (nvidia-cudnn, nvidia-cublas, ...): in the virtual or conda environment, beside python3 of PATH, in the user's and
 * the system's packages. `environment` gives the value of a variable, or NULL: getenv. */
void cuda_folders_usual(cuda_folders *f, const char *built, char *(*environment)(const char *name));

void cuda_folders_free(cuda_folders *f);

#endif
