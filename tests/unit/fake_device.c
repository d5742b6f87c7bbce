#include "unit/fake_device.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

fake_device fake;

struct sal_device {
    int unused;
};

typedef struct fake_plan {
    sal_step_kind kind;
    int input_count;
} fake_plan;

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
    size_t used = strlen(fake.log);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fake.log + used, sizeof fake.log - used, format, arguments);
    va_end(arguments);
}

void fake_expect(const char *text)
{
    cr_expect_str_eq(fake.log, text);
    fake.log[0] = '\0';
}

/* ---- Steps -------------------------------------------------------------- */

static sal_status prepare(void **plan, sal_needs *needs, sal_device *device, const sal_step *step,
                          const sal_value *values)
{
    (void)device;
    (void)values;
    fake_plan *made = malloc(sizeof *made);
    cr_assert_not_null(made);
    *made = (fake_plan){step->kind, step->input_count};
    *plan = made;
    fake.prepared++;
    fake.prepares++;
    fake.first_prepared = fake.first_prepared ? fake.first_prepared : step->node;
    fake.first_has_weights = fake.first_prepared->weight != NULL;
    if (step->kind == SAL_STEP_CONV || step->kind == SAL_STEP_CONV_BACKWARD)
        needs->scratch_bytes = fake.scratch_bytes;
    needs->weight_bytes = step->kind == SAL_STEP_CONV ? 1000 : 0;
    needs->weights_borrowed =
        step->kind == SAL_STEP_DENSE_BACKWARD || (fake.convs_borrow && step->kind == SAL_STEP_CONV);
    return SAL_OK;
}

static sal_status run(sal_device *device, void *plan, const sal_run *r)
{
    (void)device;
    const fake_plan *made = plan;
    if (fake.run_count < (int)(sizeof fake.runs / sizeof *fake.runs)) {
        fake_run *record = &fake.runs[fake.run_count++];
        for (int k = 0; k < made->input_count; k++)
            record->inputs[k] = r->inputs[k];
        record->output = r->output;
        record->kept = r->kept;
        record->scratch = r->scratch;
    }
    note("run %s\n", sal_step_kind_name(made->kind));
    return made->kind == fake.failing ? sal_fail(SAL_ERROR_DEVICE, "it broke") : SAL_OK;
}

static void release_plan(sal_device *device, void *plan)
{
    (void)device;
    fake.prepared--;
    free(plan);
}

static const sal_step_row row = {prepare, run, release_plan};

/* ---- The device --------------------------------------------------------- */

static sal_status open_device(sal_device **out, const char *spec, const sal_device_options *options)
{
    *out = malloc(sizeof **out);
    cr_assert_not_null(*out);
    fake.options = *options;
    snprintf(fake.spec, sizeof fake.spec, "%s", spec ? spec : "none");
    fake.opened++;
    fake.first_prepared = NULL;
    return SAL_OK;
}

static void close_device(sal_device *device)
{
    free(device);
    fake.opened--;
}

static const char *describe(const sal_device *device)
{
    (void)device;
    return "fake: of this test";
}

static sal_status free_memory(size_t *bytes, sal_device *device)
{
    (void)device;
    *bytes = fake.free_bytes;
    return SAL_OK;
}

static void place(sal_device *device, sal_value *value)
{
    (void)device;
    size_t elements = (size_t)sal_shape_elements(&value->shape);
    size_t bytes = value->type == SAL_VALUE_FLOATS ? 4 * elements
                   : value->type == SAL_VALUE_MASK ? elements / 8
                                                   : elements;
    value->layout = SAL_LAYOUT_PLAIN;
    value->bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (value->picture && !value->gradient)
        fake.placed = 0;
    if (fake.varied && fake.placed % 7 == 3)
        value->layout = SAL_LAYOUT_CHANNELS_LAST;
    if (fake.varied && fake.placed % 5 == 2)
        value->bytes += ALIGNMENT;
    fake.placed++;
}

static sal_status allocate(void **out, sal_device *device, size_t bytes)
{
    (void)device;
    fake.asked_bytes = bytes;
    if (fake.failing_allocations > 0) {
        fake.failing_allocations--;
        return sal_fail(SAL_ERROR_MEMORY, "others have it");
    }
    *out = malloc(bytes);
    cr_assert_not_null(*out);
    fake.allocated += 1;
    return SAL_OK;
}

static void release(sal_device *device, void *memory)
{
    (void)device;
    free(memory);
    fake.allocated -= 1;
}

static sal_status reserve(sal_device *device, const sal_value *input, int64_t batch)
{
    (void)device;
    cr_expect(input->picture && input->pictures == batch, "%ld of %ld", (long)input->pictures, (long)batch);
    if (fake.failing_reservations <= 0)
        return SAL_OK;
    fake.failing_reservations--;
    return sal_fail(SAL_ERROR_MEMORY, "others have it");
}

static const char *name_of(const sal_value *v)
{
    if (v->exact)
        return "array";
    return v->seed              ? "seeds"
           : v->gradient        ? "gradients"
           : v->picture         ? "pictures"
           : v->shape.rank == 4 ? "layer"
                                : "scores";
}

static sal_status upload(sal_device *device, void *memory, const sal_value *value, const float *host, int64_t pictures,
                         int64_t batch)
{
    (void)device;
    fake.uploaded_to = memory;
    note("upload %s %ld of %ld, from %g\n", name_of(value), (long)pictures, (long)batch, (double)host[0]);
    return SAL_OK;
}

/* Numbers that tell which call filled them: 1000, 1001, ... for the first. */
static sal_status download(sal_device *device, float *host, const void *memory, const sal_value *value,
                           int64_t pictures)
{
    (void)device;
    fake.downloaded_from = memory;
    note("download %s %ld\n", name_of(value), (long)pictures);
    fake.downloads++;
    for (int64_t i = 0; i < pictures * sal_shape_elements(&value->shape); i++)
        host[i] = (float)(1000 * fake.downloads + i);
    return SAL_OK;
}

static sal_status prefetch(sal_device *device, const sal_value *value, const float *host, int64_t pictures)
{
    (void)device;
    if (host)
        note("prefetch %s %ld, from %g\n", name_of(value), (long)pictures, (double)host[0]);
    else
        note("forget %s %ld\n", name_of(value), (long)pictures);
    return SAL_OK;
}

static sal_status repeat(sal_device *device, int slot, sal_enqueue *enqueue, void *context)
{
    (void)device;
    note("slot %d\n", slot);
    return enqueue(context);
}

static sal_status rescale(int *again, sal_device *device, const void *gradient, const sal_value *value,
                          int64_t pictures)
{
    (void)device;
    *again = fake.rescales > 0;
    fake.rescales -= *again;
    fake.rescaled = gradient;
    note("rescale %s %ld\n", name_of(value), (long)pictures);
    if (fake.failing_rescales <= 0)
        return SAL_OK;
    fake.failing_rescales--;
    return sal_fail(SAL_ERROR_DEVICE, "it cannot be looked at");
}

/* ---- What methods repeat ------------------------------------------------ */

static sal_status copy(sal_device *device, void *to, const sal_value *to_value, const void *from,
                       const sal_value *from_value, int64_t pictures, int64_t batch)
{
    (void)device;
    cr_expect(to && from && (to_value->exact || from_value->exact));
    if (pictures == 0)
        note("clear %s %ld\n", name_of(to_value), (long)batch);
    else
        note("copy %s to %s %ld of %ld\n", name_of(from_value), name_of(to_value), (long)pictures, (long)batch);
    return SAL_OK;
}

static sal_status perturb(sal_device *device, void *to, const void *x, const sal_value *value, const sal_noise *noises,
                          uint32_t sample, int64_t pictures)
{
    (void)device;
    cr_expect(to && x && to != x && value->exact);
    note("perturb %ld, sample %u, deviation %g\n", (long)pictures, sample, (double)noises[0].deviation);
    return SAL_OK;
}

static sal_status between(sal_device *device, void *to, const void *from, const void *x, const sal_value *value,
                          float t, int64_t pictures)
{
    (void)device;
    cr_expect(to && x && value->exact);
    note("between %s and x %ld at %.3f\n", from ? "baseline" : "zeros", (long)pictures, (double)t);
    return SAL_OK;
}

static sal_status accumulate(sal_device *device, void *sum, void *spread, const void *x, const sal_value *value,
                             sal_accumulate kind, float weight, int64_t pictures)
{
    (void)device;
    cr_expect(sum && x && value->exact && (spread != NULL) == (kind == SAL_ACCUMULATE_WELFORD));
    note("accumulate kind %d %ld by %.3f\n", (int)kind, (long)pictures, (double)weight);
    return SAL_OK;
}

static sal_status multiply(sal_device *device, void *to, const void *a, const void *x, const void *from,
                           const sal_value *value, int64_t pictures)
{
    (void)device;
    cr_expect(to == a && x && value->exact);
    note("multiply by x%s %ld\n", from ? " - baseline" : "", (long)pictures);
    return SAL_OK;
}

static sal_status cam(sal_device *device, void *map, const sal_value *map_value, const void *values,
                      const void *gradients, const sal_value *layer, sal_cam kind, int64_t pictures)
{
    (void)device;
    cr_expect(map && values && gradients && values != gradients && map_value->shape.dim[1] == 1);
    cr_expect(map_value->shape.dim[2] == layer->shape.dim[2] && map_value->shape.dim[3] == layer->shape.dim[3]);
    note("cam kind %d %ld\n", (int)kind, (long)pictures);
    return SAL_OK;
}

static const sal_method_rows methods = {copy, perturb, between, accumulate, multiply, cam};

static int takes_relu(const sal_node *conv)
{
    return conv->op == SAL_OP_CONV;
}

void fake_reset(void)
{
    fake = (fake_device){.free_bytes = (size_t)1 << 34, .failing = SAL_STEP_COUNT};
    fake.backend = (sal_backend){.name = "fake",
                                 .alignment = ALIGNMENT,
                                 .chunks = 1,
                                 .open = open_device,
                                 .close = close_device,
                                 .describe = describe,
                                 .free_memory = free_memory,
                                 .place = place,
                                 .allocate = allocate,
                                 .release = release,
                                 .upload = upload,
                                 .download = download,
                                 .methods = &methods};
    for (int k = 0; k < SAL_STEP_COUNT; k++)
        fake.backend.rows[k] = &row;
}

void fake_add_all(void)
{
    fake.backend.distinct_memory = 1;
    fake.backend.reserve = reserve;
    fake.backend.prefetch = prefetch;
    fake.backend.repeat = repeat;
    fake.backend.rescale = rescale;
}

void fake_take_relus(void)
{
    fake.backend.takes_relu = takes_relu;
}

/* ---- In the place of src/backend/backends.c ----------------------------- */

sal_status sal_backend_find(const sal_backend **out, const char **spec, const char *device)
{
    *out = &fake.backend;
    *spec = device;
    return SAL_OK;
}

const char *sal_step_kind_name(sal_step_kind kind)
{
    static const char *const names[] = {"conv",
                                        "dense",
                                        "affine",
                                        "activation",
                                        "add",
                                        "mul",
                                        "concat",
                                        "slice",
                                        "max pool",
                                        "average pool",
                                        "mean",
                                        "reshape",
                                        "transpose",
                                        "shuffle",
                                        "pad",
                                        "softmax",
                                        "layer norm",
                                        "constant",
                                        "expand",
                                        "reduce",
                                        "matmul",
                                        "gather",
                                        "back conv",
                                        "back dense",
                                        "back affine",
                                        "back activation",
                                        "back mul",
                                        "sum",
                                        "back concat",
                                        "back slice",
                                        "back max pool",
                                        "back average pool",
                                        "back mean",
                                        "back reshape",
                                        "back transpose",
                                        "back shuffle",
                                        "back pad",
                                        "back softmax",
                                        "back layer norm",
                                        "back expand",
                                        "back reduce",
                                        "back matmul",
                                        "back gather"};
    _Static_assert(sizeof names / sizeof *names == SAL_STEP_COUNT, "a name per kind");
    return names[kind];
}
