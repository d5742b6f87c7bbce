/* cuDNN and cuBLASLt, found and opened when they are first needed: a program that is built with the CUDA back end
 * starts on machines that have neither. Callers write nvidia.cudnnCreate(...), after cuda_nvidia_open(). */
#ifndef CUDA_NVIDIA_H
#define CUDA_NVIDIA_H

#include <cublasLt.h>
#include <cudnn.h>

#include "base/error.h"

#define CUDA_CUDNN_FUNCTIONS(X)                                                                                        \
    X(cudnnBackendCreateDescriptor)                                                                                    \
    X(cudnnBackendDestroyDescriptor)                                                                                   \
    X(cudnnBackendExecute)                                                                                             \
    X(cudnnBackendFinalize)                                                                                            \
    X(cudnnBackendGetAttribute)                                                                                        \
    X(cudnnBackendSetAttribute)                                                                                        \
    X(cudnnCreate)                                                                                                     \
    X(cudnnDestroy)                                                                                                    \
    X(cudnnGetErrorString)                                                                                             \
    X(cudnnGetLastErrorString)                                                                                         \
    X(cudnnGetVersion)                                                                                                 \
    X(cudnnSetStream)

#define CUDA_CUBLAS_FUNCTIONS(X)                                                                                       \
    X(cublasLtCreate)                                                                                                  \
    X(cublasLtDestroy)                                                                                                 \
    X(cublasLtGetStatusString)                                                                                         \
    X(cublasLtGetVersion)                                                                                              \
    X(cublasLtMatmul)                                                                                                  \
    X(cublasLtMatmulAlgoGetHeuristic)                                                                                  \
    X(cublasLtMatmulDescCreate)                                                                                        \
    X(cublasLtMatmulDescDestroy)                                                                                       \
    X(cublasLtMatmulDescSetAttribute)                                                                                  \
    X(cublasLtMatmulPreferenceCreate)                                                                                  \
    X(cublasLtMatmulPreferenceDestroy)                                                                                 \
    X(cublasLtMatmulPreferenceSetAttribute)                                                                            \
    X(cublasLtMatrixLayoutCreate)                                                                                      \
    X(cublasLtMatrixLayoutDestroy)                                                                                     \
    X(cublasLtMatrixLayoutSetAttribute)

#define CUDA_MEMBER(name) __typeof__(name) *(name);
typedef struct cuda_nvidia {
    CUDA_CUDNN_FUNCTIONS(CUDA_MEMBER)
    CUDA_CUBLAS_FUNCTIONS(CUDA_MEMBER)
} cuda_nvidia;
#undef CUDA_MEMBER

extern cuda_nvidia nvidia; /* all NULL before cuda_nvidia_open() */

/* For "%.*s": the function's name in the text of a call, "nvidia.cudnnCreate(&h)". */
#define CUDA_NVIDIA_NAME(call) (int)strcspn((call) + 7, "("), (call) + 7

/* Looks for the libraries once; later calls, from any thread, give the same answer. DEVICE: names the library,
 * what was found in its place, and how to say where it is. */
sal_status cuda_nvidia_open(void);

/* ---- For `salmap doctor` ---------------------------------------------------- */

typedef enum cuda_nvidia_library { CUDA_NVRTC, CUDA_CUBLASLT, CUDA_CUDNN, CUDA_LIBRARY_COUNT } cuda_nvidia_library;

/* The file that was opened, or NULL; after cuda_nvidia_open(). */
const char *cuda_nvidia_path(cuda_nvidia_library which);
/* Why it was not, or "". */
const char *cuda_nvidia_problem(cuda_nvidia_library which);
/* Folders that were looked into besides those of the system's loader; NULL behind the last. */
const char *cuda_nvidia_folder(size_t index);

#endif
