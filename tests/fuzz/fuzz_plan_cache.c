/* Any bytes as a convolution's plan in the cache on disk. cuDNN itself is left out: its functions here take what they
 * are given. A plan that is taken is the file, whole.
 *
 * Input that begins with '!' is the plan alone, the heading with the right hash is put before it. */
#include "support.h"

#include "planning/driver_stand_in.h"
#include "planning/plan_cache.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT = 1 << 12, MOST = 1 << 17 };

/* ---- cuDNN --------------------------------------------------------------- */

static struct {
    char text[MOST]; /* the plan that was handed over last */
    size_t size;
} plan;
static int something; /* what all descriptors are */

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *out)
{
    (void)type;
    *out = &something;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor)
{
    (void)descriptor;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count, const void *values)
{
    (void)descriptor;
    (void)type;
    if (name == CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION) {
        FUZZ_REQUIRE(count >= 0 && count < MOST);
        memcpy(plan.text, values, (size_t)count);
        plan.text[count] = '\0';
        plan.size = (size_t)count;
    }
    return CUDNN_STATUS_SUCCESS;
}

/* No heuristics find an engine, so that no plan is made; one that was read wants workspace as its text is long. */
cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t room, int64_t *count, void *values)
{
    (void)descriptor;
    (void)type;
    *count = 0;
    if (name == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE)
        *(int64_t *)values = (int64_t)plan.size;
    if (name == CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION) {
        *count = (int64_t)plan.size + 1;
        if (room > 0)
            memcpy(values, plan.text, plan.size + 1);
    }
    return CUDNN_STATUS_SUCCESS;
}

/* As cuDNN, which looks at the plan here. */
cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor)
{
    (void)descriptor;
    return plan.size > 0 && plan.text[0] == 'x' ? CUDNN_STATUS_BAD_PARAM : CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t planned, cudnnBackendDescriptor_t pack)
{
    (void)handle;
    (void)planned;
    (void)pack;
    return CUDNN_STATUS_SUCCESS;
}

const char *cudnnGetErrorString(cudnnStatus_t status)
{
    (void)status;
    return "a failure";
}

void cudnnGetLastErrorString(char *message, size_t size)
{
    snprintf(message, size, "its reason");
}

size_t cudnnGetVersion(void)
{
    return 90800;
}

cuda_nvidia nvidia = {.cudnnBackendCreateDescriptor = cudnnBackendCreateDescriptor,
                      .cudnnBackendDestroyDescriptor = cudnnBackendDestroyDescriptor,
                      .cudnnBackendSetAttribute = cudnnBackendSetAttribute,
                      .cudnnBackendGetAttribute = cudnnBackendGetAttribute,
                      .cudnnBackendFinalize = cudnnBackendFinalize,
                      .cudnnBackendExecute = cudnnBackendExecute,
                      .cudnnGetErrorString = cudnnGetErrorString,
                      .cudnnGetLastErrorString = cudnnGetLastErrorString,
                      .cudnnGetVersion = cudnnGetVersion};

int cuda_driver_stand_in(void)
{
    return 0;
}

/* ---- The cache ----------------------------------------------------------- */

static const cudnn_target target = {.properties = &something};
static const cudnn_graph_problem problem = {.conv = {.in = {1, 8, 8, 16},
                                                     .out = {1, 8, 8, 16},
                                                     .window = {.kernel = {3, 3},
                                                                .stride = {1, 1},
                                                                .dilation = {1, 1},
                                                                .pad_begin = {1, 1},
                                                                .pad_end = {1, 1},
                                                                .groups = 1}},
                                            .type = CUDA_TYPE_HALF};

/* The one file that the cache made of the problem, for which cuDNN found no engine. */
static const char *find_file(const char *folder)
{
    static char path[4096];
    DIR *d = opendir(folder);
    FUZZ_REQUIRE(d != NULL);
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.')
            snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
    closedir(d);
    FUZZ_REQUIRE(path[0] != '\0');
    return path;
}

static const char *open_cache(plan_cache *cache)
{
    cudnn_graph *graph;
    int replaced;
    FUZZ_REQUIRE(setenv("XDG_CACHE_HOME", fuzz_folder(), 1) == 0);
    FUZZ_REQUIRE(plan_cache_open(cache, "fuzz") == SAL_OK && cache->folder);
    FUZZ_REQUIRE(plan_cache_graph(&graph, &replaced, cache, &target, &problem, LIMIT) == SAL_ERROR_UNSUPPORTED &&
                 !graph);
    return find_file(cache->folder);
}

/* A file as the cache makes it of a plan's text. */
static size_t with_heading(char *out, const uint8_t *text, size_t size)
{
    char name[256];
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < size && text[i]; i++)
        hash = (hash ^ text[i]) * 1099511628211u;
    const int length =
        snprintf(out, MOST, "{\"problem\":\"%s\",\"engine\":7,\"hash\":\"%016" PRIx64 "\",\"plan\":\n%.*s}\n",
                 cudnn_graph_text(name, sizeof name, &problem), hash, (int)size, (const char *)text);
    FUZZ_REQUIRE(length > 0 && length < MOST);
    return (size_t)length;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static plan_cache cache;
    static const char *path;
    static char file[MOST];
    cudnn_graph *graph = NULL;
    char *again = NULL;
    if (!path)
        path = open_cache(&cache);
    if (size >= MOST / 2)
        return -1;
    plan.size = 0;
    if (size > 0 && bytes[0] == '!')
        size = with_heading(file, bytes + 1, size - 1);
    else
        memcpy(file, bytes, size);
    file[size] = '\0';
    fuzz_write(path, file, size);
    int replaced;
    const sal_status st = plan_cache_graph(&graph, &replaced, &cache, &target, &problem, LIMIT);
    FUZZ_REQUIRE(fuzz_is_ok(st) == (graph != NULL));
    if (graph) {
        FUZZ_REQUIRE(cudnn_graph_workspace(graph) <= LIMIT);
        FUZZ_REQUIRE(cudnn_graph_save(&again, graph) == SAL_OK && strcmp(again, file) == 0);
    }
    free(again);
    cudnn_graph_close(graph);
    return 0;
}
