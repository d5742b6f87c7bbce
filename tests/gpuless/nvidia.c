/* In the place of cuda/nvidia.c: the emulated libraries are linked. */
#include "nvidia.h"

#define LINKED(name) .name = (name),
cuda_nvidia nvidia = {CUDA_CUDNN_FUNCTIONS(LINKED) CUDA_CUBLAS_FUNCTIONS(LINKED)};

sal_status cuda_nvidia_open(void)
{
    return SAL_OK;
}

const char *cuda_nvidia_path(cuda_nvidia_library which)
{
    (void)which;
    return "emulated";
}

const char *cuda_nvidia_problem(cuda_nvidia_library which)
{
    (void)which;
    return "";
}

const char *cuda_nvidia_folder(size_t index)
{
    (void)index;
    return NULL;
}
