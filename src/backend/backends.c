/* The list of back ends: the only place that knows which are built in. */
#include "backend/backend.h"

#include "backend/cpu/cpu.h"

#include <stdint.h>
#include <string.h>

#if defined(SAL_HAVE_CUDA)
extern const sal_backend sal_backend_cuda;
#define BUILT_IN "auto, cpu, or cuda:0, cuda:1, ..."
#else
#define BUILT_IN "auto or cpu (this salmap was built without CUDA: 'salmap doctor' says how to have it)"
#endif

/* In the order that "auto" prefers. */
static const sal_backend *const backends[] = {
#if defined(SAL_HAVE_CUDA)
    &sal_backend_cuda,
#endif
    &sal_backend_cpu,
};

enum { BACKEND_COUNT = sizeof backends / sizeof *backends };

/* The first that has a device. */
static const sal_backend *first_present(void)
{
    size_t i = 0;
    while (i + 1 < BACKEND_COUNT && backends[i]->present && !backends[i]->present())
        i++;
    return backends[i];
}

sal_status sal_backend_find(const sal_backend **out, const char **spec, const char *device)
{
    *spec = NULL;
    if (!device || strcmp(device, "auto") == 0) {
        *out = first_present();
        return SAL_OK;
    }
    size_t length = strcspn(device, ":");
    for (size_t i = 0; i < BACKEND_COUNT; i++) {
        if (strlen(backends[i]->name) != length || strncmp(backends[i]->name, device, length) != 0)
            continue;
        *out = backends[i];
        *spec = device[length] ? device + length + 1 : NULL;
        return SAL_OK;
    }
    return sal_fail(SAL_ERROR_ARGUMENT, "device '%s': choose " BUILT_IN, device);
}

sal_status sal_max_pool_check(const sal_node *n)
{
    const sal_window *w = &n->window;
    if (n->op == SAL_OP_MAX_POOL && w->kernel[0] * w->kernel[1] > UINT8_MAX + 1)
        return sal_fail(SAL_ERROR_UNSUPPORTED, "a max pool window of %lld x %lld has more than %d elements",
                        (long long)w->kernel[0], (long long)w->kernel[1], UINT8_MAX + 1);
    return SAL_OK;
}

const char *sal_step_kind_name(sal_step_kind kind)
{
    static const char *const names[SAL_STEP_COUNT] = {
        [SAL_STEP_CONV] = "conv",
        [SAL_STEP_DENSE] = "dense",
        [SAL_STEP_AFFINE] = "affine",
        [SAL_STEP_ACTIVATION] = "activation",
        [SAL_STEP_ADD] = "add",
        [SAL_STEP_MUL] = "mul",
        [SAL_STEP_CONCAT] = "concat",
        [SAL_STEP_SLICE] = "slice",
        [SAL_STEP_MAX_POOL] = "max pool",
        [SAL_STEP_AVG_POOL] = "average pool",
        [SAL_STEP_REDUCE_MEAN] = "mean",
        [SAL_STEP_RESHAPE] = "reshape",
        [SAL_STEP_TRANSPOSE] = "transpose",
        [SAL_STEP_SHUFFLE] = "shuffle",
        [SAL_STEP_PAD] = "pad",
        [SAL_STEP_SOFTMAX] = "softmax",
        [SAL_STEP_LAYER_NORM] = "layer norm",
        [SAL_STEP_CONSTANT] = "constant",
        [SAL_STEP_EXPAND] = "expand",
        [SAL_STEP_REDUCE] = "reduce",
        [SAL_STEP_MATMUL] = "matmul",
        [SAL_STEP_GATHER] = "gather",
        [SAL_STEP_CONV_BACKWARD] = "conv backward-data",
        [SAL_STEP_DENSE_BACKWARD] = "dense backward-data",
        [SAL_STEP_AFFINE_BACKWARD] = "affine backward",
        [SAL_STEP_ACTIVATION_BACKWARD] = "activation backward",
        [SAL_STEP_MUL_BACKWARD] = "mul backward",
        [SAL_STEP_REDUCE_SPATIAL] = "sum over pixels",
        [SAL_STEP_CONCAT_BACKWARD] = "concat backward",
        [SAL_STEP_SLICE_BACKWARD] = "slice backward",
        [SAL_STEP_MAX_POOL_BACKWARD] = "max pool backward",
        [SAL_STEP_AVG_POOL_BACKWARD] = "average pool backward",
        [SAL_STEP_REDUCE_MEAN_BACKWARD] = "mean backward",
        [SAL_STEP_RESHAPE_BACKWARD] = "reshape backward",
        [SAL_STEP_TRANSPOSE_BACKWARD] = "transpose backward",
        [SAL_STEP_SHUFFLE_BACKWARD] = "shuffle backward",
        [SAL_STEP_PAD_BACKWARD] = "pad backward",
        [SAL_STEP_SOFTMAX_BACKWARD] = "softmax backward",
        [SAL_STEP_LAYER_NORM_BACKWARD] = "layer norm backward",
        [SAL_STEP_EXPAND_BACKWARD] = "expand backward",
        [SAL_STEP_REDUCE_BACKWARD] = "reduce backward",
        [SAL_STEP_MATMUL_BACKWARD] = "matmul backward",
        [SAL_STEP_GATHER_BACKWARD] = "gather backward",
    };
    return names[kind];
}
