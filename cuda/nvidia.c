#define _GNU_SOURCE /* dlinfo */

#include "nvidia.h"

#include "nvidia_folders.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)
enum { PATH = 4096, PROBLEM = 256, CUDNN_OLDEST = 90800 };

cuda_nvidia nvidia;

typedef struct library {
    const char *file;
    void *handle;
    char path[PATH];
    char problem[PROBLEM];
} library;

/* In the order in which they are opened: cuDNN finds the other two by their names once they are there. */
static library libraries[CUDA_LIBRARY_COUNT] = {
    [CUDA_NVRTC] = {.file = "libnvrtc.so." TEXT(CUBLAS_VER_MAJOR)},
    [CUDA_CUBLASLT] = {.file = "libcublasLt.so." TEXT(CUBLAS_VER_MAJOR)},
    [CUDA_CUDNN] = {.file = "libcudnn.so." TEXT(CUDNN_MAJOR)},
};
static cuda_folders folders;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* ---- Opening ---------------------------------------------------------------- */

static void *symbol(library *l, const char *name)
{
    void *found = dlsym(l->handle, name);
    if (!found && !l->problem[0])
        snprintf(l->problem, sizeof l->problem, "%.160s has no %s", l->path, name);
    return found;
}

/* ISO C has no cast from an object's address to a function's. */
#define RESOLVE(name) *(void **)(void *)&nvidia.name = symbol(l, #name);

static void resolve_cudnn(library *l)
{
    CUDA_CUDNN_FUNCTIONS(RESOLVE)
    if (l->problem[0])
        return;
    const size_t version = nvidia.cudnnGetVersion();
    if (version < CUDNN_OLDEST)
        snprintf(l->problem, sizeof l->problem, "%.160s is cuDNN %zu.%zu.%zu: 9.8 or later is needed", l->path,
                 version / 10000, version / 100 % 100, version % 100);
}

static void resolve_cublas(library *l)
{
    CUDA_CUBLAS_FUNCTIONS(RESOLVE)
}

static void resolve(cuda_nvidia_library which)
{
    library *l = &libraries[which];
    if (which == CUDA_CUDNN)
        resolve_cudnn(l);
    else if (which == CUDA_CUBLASLT)
        resolve_cublas(l);
}

static void close_library(library *l)
{
    if (l->handle)
        (void)dlclose(l->handle);
    l->handle = NULL;
    l->path[0] = '\0';
}

/* Opens it there; what is wrong is remembered. Returns whether it can be used. */
static int try_file(cuda_nvidia_library which, const char *path)
{
    library *l = &libraries[which];
    const struct link_map *loaded = NULL;
    l->problem[0] = '\0';
    l->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!l->handle) {
        snprintf(l->problem, sizeof l->problem, "%s", dlerror());
        return 0;
    }
    if (dlinfo(l->handle, RTLD_DI_LINKMAP, (void *)&loaded) == 0)
        snprintf(l->path, sizeof l->path, "%s", loaded->l_name);
    resolve(which);
    if (!l->problem[0])
        return 1;
    close_library(l);
    return 0;
}

static int try_folders(cuda_nvidia_library which, size_t first, size_t end)
{
    char path[PATH];
    for (size_t i = first; i < end; i++) {
        const int length = snprintf(path, sizeof path, "%s/%s", folders.path[i], libraries[which].file);
        if (length > 0 && (size_t)length < sizeof path && access(path, F_OK) == 0 && try_file(which, path))
            return 1;
    }
    return 0;
}

/* What is in the folders that the user names is taken, or it is an error. Then comes what the loader finds by itself.
 */
static void open_library(cuda_nvidia_library which, size_t given)
{
    library *l = &libraries[which];
    if (!try_folders(which, 0, given) && !l->problem[0] && !try_file(which, l->file))
        (void)try_folders(which, given, folders.count);
}

static void load(void)
{
    cuda_folders_given(&folders, getenv("SAL_CUDA_PATH"));
    const size_t given = folders.count;
    cuda_folders_usual(&folders, SAL_CUDA_BUILT_WITH, NULL);
    for (int which = 0; which < CUDA_LIBRARY_COUNT; which++)
        open_library((cuda_nvidia_library)which, given);
}

sal_status cuda_nvidia_open(void)
{
    (void)pthread_once(&once, load);
    for (int which = CUDA_CUBLASLT; which < CUDA_LIBRARY_COUNT; which++)
        if (!libraries[which].handle)
            return sal_fail(
                SAL_ERROR_DEVICE,
                "GPUs, and plans for them, need %s, which cannot be opened (%s): install NVIDIA's packages (from pip: "
                "nvidia-cudnn-cu13, nvidia-cublas, nvidia-cuda-nvrtc), or name their folder with SAL_CUDA_PATH; "
                "'salmap "
                "doctor' says what is there and where it was looked for",
                libraries[which].file, libraries[which].problem);
    return SAL_OK;
}

/* ---- For doctor ------------------------------------------------------------- */

const char *cuda_nvidia_path(cuda_nvidia_library which)
{
    return libraries[which].handle ? libraries[which].path : NULL;
}

const char *cuda_nvidia_problem(cuda_nvidia_library which)
{
    return libraries[which].problem;
}

const char *cuda_nvidia_folder(size_t index)
{
    return index < folders.count ? folders.path[index] : NULL;
}
