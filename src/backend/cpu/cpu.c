/* The CPU back end's table, device and layouts. */
#include "backend/cpu/cpu.h"

#include "base/free_memory.h"
#include "base/memory.h"
#include "base/threads.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

/* ---- Device ------------------------------------------------------------- */

static void processor_name(char *text, size_t size)
{
    char line[256];
    snprintf(text, size, "CPU");
    FILE *f = fopen("/proc/cpuinfo", "re");
    if (!f)
        return;
    while (fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        colon[strcspn(colon, "\n")] = '\0';
        snprintf(text, size, "%.80s", colon + 2);
        break;
    }
    fclose(f);
}

typedef struct kernel_set {
    const cpu_kernels *kernels;
    int usable; /* by this processor */
} kernel_set;

sal_status cpu_kernels_select(const cpu_kernels **out, const char *spec)
{
    /* The best first. */
    const kernel_set sets[] = {
#if defined(__x86_64__)
        {&cpu_kernels_avx512, __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")},
        {&cpu_kernels_avx2, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")},
#endif
        {&cpu_kernels_baseline, 1},
    };
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        if (spec && strcmp(spec, sets[i].kernels->name) != 0)
            continue;
        *out = sets[i].kernels;
        if (sets[i].usable)
            return SAL_OK;
        if (spec)
            return sal_fail(SAL_ERROR_UNSUPPORTED, "device 'cpu:%s': this processor has no %s", spec, spec);
    }
    return sal_fail(SAL_ERROR_ARGUMENT,
                    "device 'cpu:%s': choose cpu, or cpu:avx512, cpu:avx2 or cpu:baseline for the loops of one "
                    "instruction set",
                    spec);
}

/* The OpenMP runtime ends the process where it cannot start the threads of a team. A calling thread's first team of a
 * size is therefore started where that can be refused: at opening, and before the first step of a pass. */
static sal_status start_team(const sal_device *d)
{
    static _Thread_local int team = 1;
    sal_status st = SAL_OK;
    int members = 0;
    if (d->threads == team)
        return SAL_OK;
    TRY(sal_threads_try(d->threads - 1));
#pragma omp parallel num_threads(d->threads) reduction(+ : members)
    members++;
    (void)members;
    team = d->threads;
done:
    return st;
}

static void device_close(sal_device *d)
{
    if (!d)
        return;
    dnn_engine_close(d->dnn);
    sal_free(d);
}

static sal_status device_open(sal_device **out, const char *spec, const sal_device_options *options)
{
    sal_status st = SAL_OK;
    sal_device *d = NULL;
    char name[96], version[32];
    *out = NULL;
    if (options->precision > SAL_PRECISION_FP32)
        return sal_fail(SAL_ERROR_UNSUPPORTED, "device 'cpu' computes in fp32 only: leave the precision out");
    TRY(sal_alloc(&d, 1, sizeof *d, "the device"));
    TRY(cpu_kernels_select(&d->kernels, spec));
    d->threads = options->threads > 0 ? options->threads : omp_get_num_procs();
    d->exact = options->exact;
    d->many_passes = options->many_passes;
    TRY(start_team(d));
    TRY(dnn_engine_open(&d->dnn, d->threads));
    processor_name(name, sizeof name);
    dnn_version(version, sizeof version);
    snprintf(d->description, sizeof d->description, "cpu: %s, %s, oneDNN %s, %d thread%s", name, d->kernels->name,
             version, d->threads, d->threads == 1 ? "" : "s");
    *out = d;
    d = NULL;
done:
    device_close(d);
    return st;
}

static const char *device_describe(const sal_device *d)
{
    return d->description;
}

static sal_status device_free_memory(size_t *out, sal_device *d)
{
    (void)d;
    *out = (size_t)sal_free_memory("");
    return SAL_OK;
}

static sal_status device_allocate(void **out, sal_device *d, size_t bytes)
{
    (void)d;
    return sal_alloc(out, bytes, 1, "the arena");
}

static void device_release(sal_device *d, void *memory)
{
    (void)d;
    sal_free(memory);
}

/* ---- Layouts ------------------------------------------------------------ */

static void place(sal_device *d, sal_value *v)
{
    int64_t block = d->kernels->block;
    int picture = v->conv_picture && v->shape.dim[1] < block;
    v->layout = v->shape.rank == 4 && !v->rows && !picture && !v->exact ? SAL_LAYOUT_BLOCKED : SAL_LAYOUT_PLAIN;
    size_t floats = v->layout == SAL_LAYOUT_BLOCKED ? (size_t)(cpu_blocks(d, v) * block * cpu_pixels(v))
                                                    : (size_t)sal_shape_elements(&v->shape);
    floats = (floats + 15) / 16 * 16;
    size_t bytes = v->type == SAL_VALUE_FLOATS ? floats * sizeof(float)
                   : v->type == SAL_VALUE_MASK ? floats / 8
                                               : floats;
    v->bytes = (bytes + 63) / 64 * 64;
}

void cpu_to_plain(const sal_device *d, float *plain, const float *memory, const sal_value *v)
{
    if (v->layout == SAL_LAYOUT_PLAIN) {
        memcpy(plain, memory, (size_t)sal_shape_elements(&v->shape) * sizeof *plain);
        return;
    }
    int64_t block = d->kernels->block, pixels = cpu_pixels(v);
    for (int64_t c = 0; c < v->shape.dim[1]; c++) {
        const float *from = memory + c / block * block * pixels + c % block;
        for (int64_t p = 0; p < pixels; p++)
            plain[c * pixels + p] = from[p * block];
    }
}

void cpu_from_plain(const sal_device *d, float *memory, const float *plain, const sal_value *v)
{
    if (v->layout == SAL_LAYOUT_PLAIN) {
        memcpy(memory, plain, (size_t)sal_shape_elements(&v->shape) * sizeof *plain);
        return;
    }
    int64_t block = d->kernels->block, pixels = cpu_pixels(v);
    for (int64_t c = 0; c < cpu_blocks(d, v) * block; c++) {
        float *to = memory + c / block * block * pixels + c % block;
        for (int64_t p = 0; p < pixels; p++)
            to[p * block] = c < v->shape.dim[1] ? plain[c * pixels + p] : 0.0f;
    }
}

static sal_status upload(sal_device *d, void *memory, const sal_value *v, const float *host, int64_t pictures,
                         int64_t batch)
{
    sal_status st = start_team(d);
    if (st != SAL_OK)
        return st;
    size_t elements = (size_t)sal_shape_elements(&v->shape);
#pragma omp parallel for num_threads(d->threads)
    for (int64_t n = 0; n < batch; n++) {
        float *to = (float *)memory + (size_t)n * cpu_stride(v);
        if (n < pictures)
            cpu_from_plain(d, to, host + (size_t)n * elements, v);
        else
            memset(to, 0, v->bytes);
    }
    return SAL_OK;
}

static sal_status download(sal_device *d, float *host, const void *memory, const sal_value *v, int64_t pictures)
{
    size_t elements = (size_t)sal_shape_elements(&v->shape);
#pragma omp parallel for num_threads(d->threads)
    for (int64_t n = 0; n < pictures; n++)
        cpu_to_plain(d, host + (size_t)n * elements, (const float *)memory + (size_t)n * cpu_stride(v), v);
    return SAL_OK;
}

/* ---- Plans of steps without a library primitive ------------------------- */

/* One number per channel, of so many or of a single one for all; zeros for padding channels. */
static sal_status spread_channels(float **out, const float *from, size_t count, size_t channels, size_t padded)
{
    if (!from)
        return SAL_OK;
    sal_status st = sal_alloc(out, padded, sizeof **out, "weights");
    for (size_t c = 0; st == SAL_OK && c < channels; c++)
        (*out)[c] = from[count == 1 ? 0 : c];
    return st;
}

sal_status cpu_plan_prepare(void **plan, sal_needs *needs, sal_device *d, const sal_step *step, const sal_value *values)
{
    sal_status st = SAL_OK;
    cpu_plan *p = NULL;
    TRY(sal_alloc(&p, 1, sizeof *p, "a step"));
    p->step = step;
    p->values = values;
    p->out = &values[step->output];
    for (int k = 0; k < step->input_count && k < SAL_STEP_MAX_INPUTS; k++)
        p->in[k] = &values[step->inputs[k]];
    const sal_node *n = step->node;
    if (n->op == SAL_OP_AFFINE || n->op == SAL_OP_LAYER_NORM) {
        size_t channels = (size_t)p->out->shape.dim[n->axis];
        size_t padded = (size_t)cpu_round_up((int64_t)channels, d->kernels->block);
        TRY(spread_channels(&p->weights, n->weight, n->weight_count, channels, padded));
        TRY(spread_channels(&p->bias, n->bias, n->bias_count, channels, padded));
        needs->weight_bytes = 2 * padded * sizeof(float);
    }
    needs->algorithm = d->kernels->name;
    *plan = p;
    p = NULL;
done:
    cpu_plan_release(d, p);
    return st;
}

void cpu_plan_release(sal_device *d, void *plan)
{
    (void)d;
    cpu_plan *p = plan;
    if (!p)
        return;
    sal_free(p->weights);
    sal_free(p->bias);
    sal_free(p);
}

typedef struct choice {
    const sal_step_row *row;
    void *plan;
} choice;

sal_status cpu_choice_prepare(void **plan, const sal_step_row *row, sal_needs *needs, sal_device *d,
                              const sal_step *step, const sal_value *values)
{
    sal_status st = SAL_OK;
    choice *c = NULL;
    TRY(sal_alloc(&c, 1, sizeof *c, "a step"));
    c->row = row;
    TRY(row->prepare(&c->plan, needs, d, step, values));
    *plan = c;
    c = NULL;
done:
    cpu_choice_release(d, c);
    return st;
}

sal_status cpu_choice_run(sal_device *d, void *plan, const sal_run *r)
{
    const choice *c = plan;
    return c->row->run(d, c->plan, r);
}

void cpu_choice_release(sal_device *d, void *plan)
{
    choice *c = plan;
    if (!c)
        return;
    c->row->release(d, c->plan);
    sal_free(c);
}

/* ---- The table ---------------------------------------------------------- */

const sal_backend sal_backend_cpu = {
    .name = "cpu",
    .alignment = 64,
    .chunks = 1,
    .open = device_open,
    .close = device_close,
    .describe = device_describe,
    .free_memory = device_free_memory,
    .place = place,
    .allocate = device_allocate,
    .release = device_release,
    .upload = upload,
    .download = download,
    .methods = &cpu_method_rows,
    .check_node = sal_max_pool_check,
    .rows =
        {
            [SAL_STEP_CONV] = &cpu_row_conv,
            [SAL_STEP_DENSE] = &cpu_row_dense,
            [SAL_STEP_AFFINE] = &cpu_row_affine,
            [SAL_STEP_ACTIVATION] = &cpu_row_activation,
            [SAL_STEP_ADD] = &cpu_row_add,
            [SAL_STEP_MUL] = &cpu_row_mul,
            [SAL_STEP_CONCAT] = &cpu_row_concat,
            [SAL_STEP_SLICE] = &cpu_row_slice,
            [SAL_STEP_MAX_POOL] = &cpu_row_max_pool,
            [SAL_STEP_AVG_POOL] = &cpu_row_avg_pool,
            [SAL_STEP_REDUCE_MEAN] = &cpu_row_mean,
            [SAL_STEP_RESHAPE] = &cpu_row_reshape,
            [SAL_STEP_TRANSPOSE] = &cpu_row_transpose,
            [SAL_STEP_SHUFFLE] = &cpu_row_shuffle,
            [SAL_STEP_PAD] = &cpu_row_pad,
            [SAL_STEP_SOFTMAX] = &cpu_row_softmax,
            [SAL_STEP_LAYER_NORM] = &cpu_row_layer_norm,
            [SAL_STEP_CONSTANT] = &cpu_row_constant,
            [SAL_STEP_EXPAND] = &cpu_row_expand,
            [SAL_STEP_REDUCE] = &cpu_row_reduce,
            [SAL_STEP_MATMUL] = &cpu_row_matmul,
            [SAL_STEP_GATHER] = &cpu_row_gather,
            [SAL_STEP_CONV_BACKWARD] = &cpu_row_conv_backward,
            [SAL_STEP_DENSE_BACKWARD] = &cpu_row_dense_backward,
            [SAL_STEP_AFFINE_BACKWARD] = &cpu_row_affine_backward,
            [SAL_STEP_ACTIVATION_BACKWARD] = &cpu_row_activation_backward,
            [SAL_STEP_MUL_BACKWARD] = &cpu_row_mul_backward,
            [SAL_STEP_REDUCE_SPATIAL] = &cpu_row_reduce_spatial,
            [SAL_STEP_CONCAT_BACKWARD] = &cpu_row_concat_backward,
            [SAL_STEP_SLICE_BACKWARD] = &cpu_row_slice_backward,
            [SAL_STEP_MAX_POOL_BACKWARD] = &cpu_row_max_pool_backward,
            [SAL_STEP_AVG_POOL_BACKWARD] = &cpu_row_avg_pool_backward,
            [SAL_STEP_REDUCE_MEAN_BACKWARD] = &cpu_row_mean_backward,
            [SAL_STEP_RESHAPE_BACKWARD] = &cpu_row_reshape_backward,
            [SAL_STEP_TRANSPOSE_BACKWARD] = &cpu_row_transpose_backward,
            [SAL_STEP_SHUFFLE_BACKWARD] = &cpu_row_shuffle_backward,
            [SAL_STEP_PAD_BACKWARD] = &cpu_row_pad_backward,
            [SAL_STEP_SOFTMAX_BACKWARD] = &cpu_row_softmax_backward,
            [SAL_STEP_LAYER_NORM_BACKWARD] = &cpu_row_layer_norm_backward,
            [SAL_STEP_EXPAND_BACKWARD] = &cpu_row_expand_backward,
            [SAL_STEP_REDUCE_BACKWARD] = &cpu_row_reduce_backward,
            [SAL_STEP_MATMUL_BACKWARD] = &cpu_row_matmul_backward,
            [SAL_STEP_GATHER_BACKWARD] = &cpu_row_gather_backward,
        },
};
