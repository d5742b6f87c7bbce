/* The CUDA back end's table and device.
 *
 * Feature maps lie channels last and without gaps, in the device's element type; vectors and rows are
 * floats. All kernels and library calls go into one stream; transfers.c and maps.c have others beside it. */
#include "cuda_rows.h"
#include "maps.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const float default_loss_scale = 4096.0f; /* of half precision */

sal_status cuda_check(cudaError_t error, const char *call)
{
    if (error == cudaSuccess)
        return SAL_OK;
    (void)cudaGetLastError();
    size_t length = strcspn(call, "(");
    return sal_fail(error == cudaErrorMemoryAllocation ? SAL_ERROR_MEMORY : SAL_ERROR_DEVICE, "CUDA: %.*s: %s",
                    (int)length, call, cudaGetErrorString(error));
}

/* ---- Device ------------------------------------------------------------- */

int cuda_is_supported(const struct cudaDeviceProp *p)
{
    return p->major * 10 + p->minor >= CUDA_OLDEST_CAPABILITY;
}

/* Where the first is too old for the kernels, "auto" had better compute on the CPU. */
static int present(void)
{
    int count = 0;
    struct cudaDeviceProp first;
    if (cudaGetDeviceCount(&count) == cudaSuccess &&
        (count == 0 || (cudaGetDeviceProperties(&first, 0) == cudaSuccess && cuda_is_supported(&first))))
        return count;
    (void)cudaGetLastError();
    return 0;
}

static sal_status parse_ordinal(int *ordinal, const char *spec)
{
    char *end;
    *ordinal = 0;
    if (!spec)
        return SAL_OK;
    unsigned long n = strtoul(spec, &end, 10);
    if (spec[0] < '0' || spec[0] > '9' || *end || n > 1023)
        return sal_fail(SAL_ERROR_ARGUMENT, "device 'cuda:%s': choose cuda, or cuda:0, cuda:1, ...", spec);
    *ordinal = (int)n;
    return SAL_OK;
}

static sal_status find_device(int ordinal)
{
    int count = 0;
    cudaError_t error = cudaGetDeviceCount(&count);
    (void)cudaGetLastError();
    if (error == cudaErrorInsufficientDriver)
        return sal_fail(SAL_ERROR_DEVICE,
                        "device 'cuda:%d': the NVIDIA driver is missing or older than this CUDA %d.%d: "
                        "install a newer one ('salmap doctor' says more)",
                        ordinal, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    if (error != cudaSuccess || count == 0)
        return sal_fail(SAL_ERROR_DEVICE, "device 'cuda:%d': no NVIDIA GPU is to be found here (%s)", ordinal,
                        cudaGetErrorString(error));
    if (ordinal >= count)
        return sal_fail(SAL_ERROR_ARGUMENT, "device 'cuda:%d': there %s, from cuda:0 on", ordinal,
                        count == 1 ? "is one GPU" : "are fewer GPUs");
    return SAL_OK;
}

static void set_precision(sal_device *d, sal_precision precision)
{
    d->precision = precision == SAL_PRECISION_DEFAULT ? SAL_PRECISION_TF32 : precision;
    d->type = precision == SAL_PRECISION_BF16   ? CUDA_TYPE_BFLOAT16
              : precision == SAL_PRECISION_FP16 ? CUDA_TYPE_HALF
                                                : CUDA_TYPE_FLOAT;
}

static const char *precision_name(const sal_device *d)
{
    switch (d->precision) {
    case SAL_PRECISION_FP32: return "fp32";
    case SAL_PRECISION_BF16: return "bf16";
    case SAL_PRECISION_FP16: return "fp16";
    case SAL_PRECISION_DEFAULT:
    case SAL_PRECISION_TF32: break;
    }
    return "tf32";
}

static void device_close(sal_device *d)
{
    if (!d)
        return;
    if (d->described) { /* without a call that would wake a device */
        cuda_weights_clear(d);
        cuda_library_close(d->library);
        sal_free(d);
        return;
    }
    (void)cudaSetDevice(d->ordinal);
    if (d->compute)
        (void)cudaStreamSynchronize(d->compute);
    if (d->copy)
        (void)cudaStreamSynchronize(d->copy);
    cuda_maps_close(d->maps);
    cuda_methods_close(&d->methods);
    for (int k = 0; k < 2; k++)
        if (d->recorded[k])
            (void)cudaGraphExecDestroy(d->recorded[k]);
    for (int k = 0; k < 2; k++) {
        if (d->began[k])
            (void)cudaEventDestroy(d->began[k]);
        if (d->ended[k])
            (void)cudaEventDestroy(d->ended[k]);
    }
    cuda_staging_close(&d->upload);
    cuda_staging_close(&d->download);
    cuda_weights_clear(d);
    cuda_library_close(d->library);
    cuda_loss_scale_close(&d->scale);
    if (d->compute)
        (void)cudaStreamDestroy(d->compute);
    if (d->copy)
        (void)cudaStreamDestroy(d->copy);
    (void)cudaGetLastError();
    sal_free(d);
}

static sal_status open_hardware(sal_device *d)
{
    sal_status st = SAL_OK;
    struct cudaDeviceProp properties;
    char model[96];
    TRY(find_device(d->ordinal));
    TRY(CUDA_CHECK(cudaSetDevice(d->ordinal)));
    TRY(CUDA_CHECK(cudaGetDeviceProperties(&properties, d->ordinal)));
    if (!cuda_is_supported(&properties)) {
        st = sal_fail(SAL_ERROR_UNSUPPORTED,
                      "device 'cuda:%d': %s has compute capability %d.%d; %d.%d (Turing) or later is needed",
                      d->ordinal, properties.name, properties.major, properties.minor, CUDA_OLDEST_CAPABILITY / 10,
                      CUDA_OLDEST_CAPABILITY % 10);
        goto done;
    }
    TRY(CUDA_CHECK(cudaStreamCreateWithFlags(&d->compute, cudaStreamNonBlocking)));
    TRY(CUDA_CHECK(cudaStreamCreateWithFlags(&d->copy, cudaStreamNonBlocking)));
    for (int k = 0; k < 2; k++) {
        TRY(CUDA_CHECK(cudaEventCreateWithFlags(&d->began[k], cudaEventDefault)));
        TRY(CUDA_CHECK(cudaEventCreateWithFlags(&d->ended[k], cudaEventDefault)));
    }
    TRY(cuda_staging_open(&d->upload));
    TRY(cuda_staging_open(&d->download));
    TRY(cuda_loss_scale_open(&d->scale, d->precision == SAL_PRECISION_FP16 ? default_loss_scale : 1.0f));
    snprintf(model, sizeof model, "%.80s, sm_%d%d", properties.name, properties.major, properties.minor);
    TRY(cuda_library_open(&d->library, d->compute, model, NULL));
    TRY(cuda_maps_open(&d->maps, d));
    snprintf(d->description, sizeof d->description, "cuda:%d: %s, cuDNN %s, %s", d->ordinal, model,
             cuda_library_version(), precision_name(d));
done:
    return st;
}

/* The text or number behind "key": in a flat JSON object. */
static const char *json_field(const char *json, const char *key)
{
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\"", key);
    const char *at = strstr(json, quoted);
    return at ? at + strlen(quoted) + strspn(at + strlen(quoted), " \t\n:") : NULL;
}

static sal_status open_described(sal_device *d, const char *json)
{
    sal_status st = SAL_OK;
    const char *memory = json_field(json, "totalGlobalMem"), *name = json_field(json, "deviceName");
    if (!memory || !name || *name != '"')
        return sal_fail(SAL_ERROR_FORMAT, "the GPU's description has no totalGlobalMem or no deviceName");
    d->described = 1;
    d->described_memory = strtoull(memory, NULL, 10);
    TRY(cuda_library_open(&d->library, NULL, NULL, json));
    snprintf(d->description, sizeof d->description, "described: %.*s, cuDNN %s, %s", (int)strcspn(name + 1, "\""),
             name + 1, cuda_library_version(), precision_name(d));
done:
    return st;
}

static sal_status device_open(sal_device **out, const char *spec, const sal_device_options *options)
{
    sal_status st = SAL_OK;
    sal_device *d = NULL;
    *out = NULL;
    if ((unsigned)options->precision > SAL_PRECISION_FP16)
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown precision %d", (int)options->precision);
    TRY(sal_alloc(&d, 1, sizeof *d, "the device"));
    set_precision(d, options->precision);
    if (options->described) {
        TRY(open_described(d, options->described));
    } else {
        TRY(parse_ordinal(&d->ordinal, spec));
        TRY(open_hardware(d));
    }
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

static sal_status device_free_memory(size_t *bytes, sal_device *d)
{
    sal_status st = SAL_OK;
    size_t total;
    *bytes = (size_t)d->described_memory;
    if (d->described)
        return SAL_OK;
    TRY(CUDA_CHECK(cudaSetDevice(d->ordinal)));
    TRY(CUDA_CHECK(cudaMemGetInfo(bytes, &total)));
done:
    return st;
}

static sal_status device_allocate(void **out, sal_device *d, size_t bytes)
{
    *out = NULL;
    sal_status st = CUDA_CHECK(cudaSetDevice(d->ordinal));
    if (st == SAL_OK)
        st = CUDA_CHECK(cudaMalloc(out, bytes));
    return st == SAL_ERROR_MEMORY ? sal_fail_in(st, "%zu KiB on the GPU", bytes >> 10) : st;
}

static void device_release(sal_device *d, void *memory)
{
    (void)cudaSetDevice(d->ordinal);
    (void)cudaStreamSynchronize(d->compute);
    (void)cudaFree(memory);
    (void)cudaGetLastError();
}

/* ---- Layouts ------------------------------------------------------------ */

int cuda_is_map(const sal_value *v)
{
    return v->shape.rank == 4 && !v->rows;
}

cuda_type cuda_value_type(const sal_device *d, const sal_value *v)
{
    return cuda_is_map(v) && !v->exact ? d->type : CUDA_TYPE_FLOAT;
}

cuda_extent cuda_value_extent(const sal_value *v, int64_t pictures)
{
    const int64_t *dim = v->shape.dim;
    if (cuda_is_map(v))
        return (cuda_extent){pictures, dim[2], dim[3], dim[1]};
    return (cuda_extent){pictures, 1, 1, sal_shape_elements(&v->shape)};
}

static void place(sal_device *d, sal_value *v)
{
    size_t elements = (size_t)sal_shape_elements(&v->shape);
    v->layout = cuda_is_map(v) ? SAL_LAYOUT_CHANNELS_LAST : SAL_LAYOUT_PLAIN;
    v->bytes = v->type == SAL_VALUE_FLOATS ? elements * cuda_type_bytes(cuda_value_type(d, v))
               : v->type == SAL_VALUE_MASK ? cuda_mask_words(elements) * sizeof(uint32_t)
                                           : elements;
}

static sal_status rescale(int *again, sal_device *d, const void *gradient, const sal_value *value, int64_t pictures)
{
    sal_status st = SAL_OK;
    *again = 0;
    TRY(CUDA_CHECK(cudaSetDevice(d->ordinal)));
    TRY(cuda_loss_scale_again(again, &d->scale, gradient, cuda_value_type(d, value),
                              pictures * sal_shape_elements(&value->shape), d->compute));
done:
    return st;
}

/* ---- Recording ---------------------------------------------------------- */

static sal_status record(sal_device *d, int slot, sal_enqueue *enqueue, void *context)
{
    sal_status st = SAL_OK;
    cudaGraph_t graph = NULL;
    TRY(CUDA_CHECK(cudaStreamBeginCapture(d->compute, cudaStreamCaptureModeThreadLocal)));
    st = enqueue(context);
    const cudaError_t ended = cudaStreamEndCapture(d->compute, &graph);
    if (st != SAL_OK) /* the step's reason, not that its recording is void */
        (void)cudaGetLastError();
    TRY(st);
    TRY(cuda_check(ended, "cudaStreamEndCapture"));
    TRY(CUDA_CHECK(cudaGraphInstantiate(&d->recorded[slot], graph, 0)));
done:
    if (graph)
        (void)cudaGraphDestroy(graph);
    return st;
}

/* The first run is made step by step, since libraries load their kernels then; the second is recorded. What cannot be
 * recorded, and not every engine of a library can, is run step by step for good. */
static sal_status enqueue_or_replay(sal_device *d, int slot, sal_enqueue *enqueue, void *context)
{
    if (d->runs[slot]++ == 0 || d->unrecordable[slot][0])
        return enqueue(context);
    if (!d->recorded[slot] && record(d, slot, enqueue, context) != SAL_OK) {
        snprintf(d->unrecordable[slot], sizeof d->unrecordable[slot], "%s", sal_last_error());
        return enqueue(context);
    }
    return CUDA_CHECK(cudaGraphLaunch(d->recorded[slot], d->compute));
}

static sal_status repeat(sal_device *d, int slot, sal_enqueue *enqueue, void *context)
{
    sal_status st = SAL_OK;
    TRY(CUDA_CHECK(cudaSetDevice(d->ordinal)));
    TRY(CUDA_CHECK(cudaEventRecord(d->began[slot], d->compute)));
    TRY(enqueue_or_replay(d, slot, enqueue, context));
    TRY(CUDA_CHECK(cudaEventRecord(d->ended[slot], d->compute)));
done:
    return st;
}

static sal_status get_pass(sal_pass_info *out, sal_device *d, int slot)
{
    sal_status st = SAL_OK;
    float milliseconds = 0;
    if (d->runs[slot] == 0)
        return SAL_OK;
    TRY(CUDA_CHECK(cudaSetDevice(d->ordinal)));
    TRY(CUDA_CHECK(cudaEventSynchronize(d->ended[slot])));
    TRY(CUDA_CHECK(cudaEventElapsedTime(&milliseconds, d->began[slot], d->ended[slot])));
    out->milliseconds = (double)milliseconds;
    out->replayed = d->recorded[slot] != NULL;
    out->note = d->unrecordable[slot][0] ? d->unrecordable[slot] : NULL;
done:
    return st;
}

/* ---- Maps --------------------------------------------------------------- */

static sal_status make_maps(float *maps, sal_map_stats *stats, sal_device *d, const void *attribution,
                            const sal_value *value, int64_t height, int64_t width, int64_t pictures,
                            const sal_map_options *options)
{
    const cuda_attribution a = {.memory = attribution,
                                .type = cuda_value_type(d, value),
                                .extent = cuda_value_extent(value, pictures),
                                .scales = value->exact ? NULL : cuda_loss_scale_device(&d->scale)};
    return cuda_maps_make(maps, stats, d->maps, &a, height, width, options);
}

static sal_status make_overlay(uint8_t *rgb, sal_device *d, int64_t picture, const sal_picture *shown,
                               const struct sal_placement *placement, const struct sal_overlay_style *style)
{
    return cuda_maps_overlay(rgb, d->maps, picture, shown, placement, style);
}

static sal_status finish_maps(sal_device *d)
{
    return cuda_maps_finish(d->maps);
}

static const sal_map_rows map_rows = {make_maps, make_overlay, finish_maps};

/* ---- The table ---------------------------------------------------------- */

const sal_backend sal_backend_cuda = {
    .name = "cuda",
    .alignment = 256,
    .distinct_convs = 1,
    .distinct_memory = 1,
    .present = present,
    .check = cuda_doctor_check,
    .open = device_open,
    .close = device_close,
    .describe = device_describe,
    .check_node = sal_max_pool_check,
    .free_memory = device_free_memory,
    .place = place,
    .allocate = device_allocate,
    .release = device_release,
    .reserve = cuda_reserve,
    .upload = cuda_upload,
    .prefetch = cuda_prefetch,
    .download = cuda_download,
    .repeat = repeat,
    .get_pass = get_pass,
    .rescale = rescale,
    .takes_relu = cuda_conv_takes_relu,
    .maps = &map_rows,
    .methods = &cuda_method_rows,
    .rows =
        {
            [SAL_STEP_CONV] = &cuda_row_conv,
            [SAL_STEP_DENSE] = &cuda_row_dense,
            [SAL_STEP_AFFINE] = &cuda_row_affine,
            [SAL_STEP_ACTIVATION] = &cuda_row_activation,
            [SAL_STEP_ADD] = &cuda_row_add,
            [SAL_STEP_MUL] = &cuda_row_mul,
            [SAL_STEP_CONCAT] = &cuda_row_concat,
            [SAL_STEP_SLICE] = &cuda_row_slice,
            [SAL_STEP_MAX_POOL] = &cuda_row_max_pool,
            [SAL_STEP_AVG_POOL] = &cuda_row_avg_pool,
            [SAL_STEP_REDUCE_MEAN] = &cuda_row_mean,
            [SAL_STEP_RESHAPE] = &cuda_row_reshape,
            [SAL_STEP_TRANSPOSE] = &cuda_row_transpose,
            [SAL_STEP_SHUFFLE] = &cuda_row_shuffle,
            [SAL_STEP_PAD] = &cuda_row_pad,
            [SAL_STEP_SOFTMAX] = &cuda_row_softmax,
            [SAL_STEP_LAYER_NORM] = &cuda_row_layer_norm,
            [SAL_STEP_CONSTANT] = &cuda_row_constant,
            [SAL_STEP_EXPAND] = &cuda_row_expand,
            [SAL_STEP_REDUCE] = &cuda_row_reduce,
            [SAL_STEP_MATMUL] = &cuda_row_matmul,
            [SAL_STEP_GATHER] = &cuda_row_gather,
            [SAL_STEP_CONV_BACKWARD] = &cuda_row_conv_backward,
            [SAL_STEP_DENSE_BACKWARD] = &cuda_row_dense_backward,
            [SAL_STEP_AFFINE_BACKWARD] = &cuda_row_affine_backward,
            [SAL_STEP_ACTIVATION_BACKWARD] = &cuda_row_activation_backward,
            [SAL_STEP_MUL_BACKWARD] = &cuda_row_mul_backward,
            [SAL_STEP_REDUCE_SPATIAL] = &cuda_row_reduce_spatial,
            [SAL_STEP_CONCAT_BACKWARD] = &cuda_row_concat_backward,
            [SAL_STEP_SLICE_BACKWARD] = &cuda_row_slice_backward,
            [SAL_STEP_MAX_POOL_BACKWARD] = &cuda_row_max_pool_backward,
            [SAL_STEP_AVG_POOL_BACKWARD] = &cuda_row_avg_pool_backward,
            [SAL_STEP_REDUCE_MEAN_BACKWARD] = &cuda_row_mean_backward,
            [SAL_STEP_RESHAPE_BACKWARD] = &cuda_row_reshape_backward,
            [SAL_STEP_TRANSPOSE_BACKWARD] = &cuda_row_transpose_backward,
            [SAL_STEP_SHUFFLE_BACKWARD] = &cuda_row_shuffle_backward,
            [SAL_STEP_PAD_BACKWARD] = &cuda_row_pad_backward,
            [SAL_STEP_SOFTMAX_BACKWARD] = &cuda_row_softmax_backward,
            [SAL_STEP_LAYER_NORM_BACKWARD] = &cuda_row_layer_norm_backward,
            [SAL_STEP_EXPAND_BACKWARD] = &cuda_row_expand_backward,
            [SAL_STEP_REDUCE_BACKWARD] = &cuda_row_reduce_backward,
            [SAL_STEP_MATMUL_BACKWARD] = &cuda_row_matmul_backward,
            [SAL_STEP_GATHER_BACKWARD] = &cuda_row_gather_backward,
        },
};
