/* Plans for described GPUs: a program that is compiled and never run, and its roofline. */
#include "api/model.h"
#include "api/roofline.h"
#include "base/memory.h"
#include "base/struct.h"
#include "salmap/plan.h"

#include <string.h>

enum { DEFAULT_BATCH = 64 };

struct sal_gpu_plan {
    sal_gpu_profile profile;
    sal_precision precision;
    sal_program *program;
    size_t memory;
};

/* ---- Compiling -------------------------------------------------------------- */

static sal_status check_options(const sal_gpu_plan_options *o)
{
    const sal_backend *backend;
    const char *spec;
    if ((unsigned)o->rule > SAL_RULE_RECTIFIED || (unsigned)o->precision > SAL_PRECISION_FP16)
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown rule %d or precision %d", (int)o->rule, (int)o->precision);
    if (sal_backend_find(&backend, &spec, "cuda") != SAL_OK)
        return sal_fail(SAL_ERROR_UNSUPPORTED,
                        "plans for GPUs are made by cuDNN, and this salmap was built without CUDA: install NVIDIA's "
                        "packages cuda-toolkit and cudnn (no GPU is needed) and build with -DSAL_CUDA=ON");
    return SAL_OK;
}

/* Opened once before the model is: what is wrong with a description is said of it, not of a layer. */
static sal_status check_description(const sal_gpu_plan *p, const char *gpu)
{
    sal_status st = SAL_OK;
    const sal_backend *backend;
    const char *spec;
    sal_device *device = NULL;
    const sal_device_options options = {.precision = p->precision, .described = p->profile.cudnn};
    TRY(sal_backend_find(&backend, &spec, "cuda"));
    st = backend->open(&device, NULL, &options);
    if (st == SAL_OK)
        backend->close(device);
    else if (st == SAL_ERROR_FORMAT)
        st = sal_fail_in(st, "%s: cuDNN does not take its \"cudnn\" part: give all keys of data/gpus/h100.json", gpu);
done:
    return st;
}

static sal_status compile(sal_gpu_plan *p, sal_model *model, const sal_gpu_plan_options *o, int64_t batch, int lean)
{
    sal_status st = SAL_OK;
    sal_graph graph;
    sal_graph_init(&graph);
    TRY(sal_model_share_graph(&graph, model, 0));
    const sal_program_options options = {.device = "cuda",
                                         .batch = batch,
                                         .precision = o->precision,
                                         .described = p->profile.cudnn,
                                         .rule = o->rule,
                                         .lean = lean,
                                         .max_memory = UINT64_MAX};
    TRY(sal_program_open(&p->program, &graph, &options));
    size_t memory;
    TRY(p->program->backend->free_memory(&memory, p->program->device));
    p->memory = memory;
done:
    sal_graph_clear(&graph);
    return st;
}

/* The driver and the libraries take their part of a device's memory. */
static uint64_t usable_memory(const sal_gpu_plan *p)
{
    return p->memory - p->memory / 16;
}

static sal_status check_memory(const sal_gpu_plan *p)
{
    const sal_program *g = p->program;
    const uint64_t needed = (uint64_t)g->arena_bytes + g->weight_bytes;
    if (needed <= usable_memory(p))
        return SAL_OK;
    return sal_fail(SAL_ERROR_MEMORY, "a batch of %lld needs %llu MiB, the GPU has %llu MiB to give",
                    (long long)g->batch, (unsigned long long)(needed >> 20),
                    (unsigned long long)(usable_memory(p) >> 20));
}

sal_status sal_gpu_plan_open(sal_gpu_plan **out, sal_model *model, const sal_gpu_plan_options *given)
{
    sal_status st = SAL_OK;
    sal_gpu_plan *p = NULL;
    sal_gpu_plan_options options;
    TRY(sal_require(out, "out", __func__));
    *out = NULL;
    TRY(sal_require(model, "model", __func__));
    TRY(sal_require(given, "options", __func__));
    TRY(sal_struct_read(&options, sizeof options, given, "sal_gpu_plan_options"));
    TRY(sal_require(options.gpu, "options->gpu", __func__));
    TRY(check_options(&options));
    TRY(sal_alloc(&p, 1, sizeof *p, "the plan"));
    p->precision = options.precision;
    TRY(sal_gpu_profile_open(&p->profile, options.gpu));
    TRY(check_description(p, options.gpu));
    int64_t batch = options.batch ? options.batch : DEFAULT_BATCH;
    for (int lean = options.lean != 0;; lean = options.lean || !lean) {
        TRY(compile(p, model, &options, batch, lean));
        st = check_memory(p);
        if (st != SAL_ERROR_MEMORY || (lean && (options.batch || batch == 1)))
            break;
        sal_program_close(p->program);
        p->program = NULL;
        batch = lean ? batch / 2 : batch;
    }
    TRY(st);
    *out = p;
    p = NULL;
done:
    sal_gpu_plan_close(p);
    return st;
}

void sal_gpu_plan_close(sal_gpu_plan *p)
{
    if (!p)
        return;
    sal_program_close(p->program);
    sal_gpu_profile_clear(&p->profile);
    sal_free(p);
}

/* ---- Reading it ----------------------------------------------------------------- */

static int64_t largest_batch(const sal_gpu_plan *p)
{
    const sal_program *g = p->program;
    const uint64_t fixed = (uint64_t)g->weight_bytes + g->scratch_bytes;
    const uint64_t each = (g->arena_bytes - g->scratch_bytes) / (uint64_t)g->batch;
    int64_t largest = 1;
    if (each > 0 && usable_memory(p) > fixed)
        largest = (int64_t)((usable_memory(p) - fixed) / each);
    return largest > g->batch ? largest : g->batch;
}

static void count_ways(sal_gpu_plan_info *out, const sal_program *g)
{
    for (size_t i = 0; i < g->step_count; i++) {
        if (g->steps[i].kind != SAL_STEP_CONV && g->steps[i].kind != SAL_STEP_CONV_BACKWARD)
            continue;
        const char *algorithm = g->needs[i].algorithm;
        out->convolutions++;
        if (strcmp(algorithm, "cudnn, fused") == 0)
            out->fused++;
        else if (strncmp(algorithm, "cudnn", 5) == 0)
            out->unfused++;
        else
            out->own_kernels++;
    }
}

sal_status sal_gpu_plan_get_info(sal_gpu_plan_info *out, const sal_gpu_plan *p)
{
    sal_status st = SAL_OK;
    sal_gpu_plan_info info = {0};
    TRY(sal_require(out, "out", __func__));
    TRY(sal_require(p, "plan", __func__));
    const sal_program *g = p->program;
    const sal_value *input = &g->values[g->input];
    uint64_t bytes = 0;
    double seconds = 0, memory_seconds = 0;
    info.device = g->backend->describe(g->device);
    info.native = p->profile.flops[p->precision == SAL_PRECISION_DEFAULT ? SAL_PRECISION_TF32 : p->precision] > 0;
    info.batch = g->batch;
    info.largest_batch = largest_batch(p);
    info.memory_bytes = p->memory;
    info.arena_bytes = g->arena_bytes;
    info.weight_bytes = g->weight_bytes;
    info.scratch_bytes = g->scratch_bytes;
    info.kept_bytes = g->kept_bytes;
    info.upload_bytes = (uint64_t)sal_shape_elements(&input->shape) * sizeof(float);
    info.steps = g->step_count;
    for (size_t i = 0; i < g->step_count; i++) {
        sal_roof roof;
        sal_roofline_step(&roof, g, i, &p->profile, p->precision);
        info.flops += sal_step_flops(g, &g->steps[i]);
        bytes += roof.bytes;
        seconds += roof.seconds;
        memory_seconds += strcmp(roof.bound, "memory") == 0 ? roof.seconds : 0;
    }
    info.bytes = bytes / (uint64_t)g->batch;
    info.seconds = seconds / (double)g->batch;
    info.memory_seconds = memory_seconds / (double)g->batch;
    info.pictures_per_second = 1 / info.seconds;
    count_ways(&info, g);
    st = sal_struct_write(out, &info, sizeof info, "sal_gpu_plan_info");
done:
    return st;
}

sal_status sal_gpu_plan_get_step(sal_gpu_step_info *out, const sal_gpu_plan *p, size_t index)
{
    sal_status st = SAL_OK;
    sal_gpu_step_info info = {0};
    TRY(sal_require(out, "out", __func__));
    TRY(sal_require(p, "plan", __func__));
    const sal_program *g = p->program;
    sal_roof roof;
    if (index >= g->step_count)
        return sal_fail(SAL_ERROR_ARGUMENT, "step %zu of a program of %zu", index, g->step_count);
    const sal_step *step = &g->steps[index];
    const sal_needs *needs = &g->needs[index];
    const int planned = needs->algorithm && strncmp(needs->algorithm, "cudnn", 5) == 0;
    sal_roofline_step(&roof, g, index, &p->profile, p->precision);
    info.name = step->node->name;
    info.kind = sal_step_kind_name(step->kind);
    info.algorithm = needs->algorithm;
    info.engine = planned ? needs->engine : -1;
    info.workspace_bytes = needs->scratch_bytes;
    info.flops = sal_step_flops(g, step);
    info.bytes = roof.bytes / (uint64_t)g->batch;
    info.seconds = roof.seconds / (double)g->batch;
    info.bound = roof.bound;
    st = sal_struct_write(out, &info, sizeof info, "sal_gpu_step_info");
done:
    return st;
}
