#include "api/roofline.h"

#include <string.h>

static const char *const precision_names[] = {"tf32", "fp32", "tf32", "bf16", "fp16"};

uint64_t sal_step_flops(const sal_program *p, const sal_step *step)
{
    /* The node of a fused activation is its convolution's. */
    if (step->kind == SAL_STEP_ACTIVATION_BACKWARD)
        return (uint64_t)sal_shape_elements(&step->node->shape);
    return sal_op_get(step->node->op)->flops(&p->graph, step->node);
}

static int is_convolution(const sal_step *s)
{
    return s->kind == SAL_STEP_CONV || s->kind == SAL_STEP_CONV_BACKWARD;
}

static int is_dense(const sal_step *s)
{
    return s->kind == SAL_STEP_DENSE || s->kind == SAL_STEP_DENSE_BACKWARD;
}

static int begins_with(const char *text, const char *beginning)
{
    return text && strncmp(text, beginning, strlen(beginning)) == 0;
}

/* NVIDIA's libraries multiply at the precision asked for, our own kernels in float32. Vectors are floats at any. */
static sal_precision arithmetic_of(const sal_program *p, size_t step, const sal_gpu_profile *profile,
                                   sal_precision precision)
{
    const char *algorithm = p->needs[step].algorithm;
    const sal_precision asked = precision == SAL_PRECISION_DEFAULT ? SAL_PRECISION_TF32 : precision;
    sal_precision used = SAL_PRECISION_FP32;
    if (is_convolution(&p->steps[step]) && begins_with(algorithm, "cudnn"))
        used = asked;
    else if (is_dense(&p->steps[step]) && begins_with(algorithm, "cublas") && asked != SAL_PRECISION_FP32)
        used = SAL_PRECISION_TF32;
    return profile->flops[used] > 0 ? used : SAL_PRECISION_FP32;
}

static uint64_t value_bytes(const sal_program *p, int value)
{
    return value >= 0 ? (uint64_t)p->values[value].bytes * (uint64_t)p->batch : 0;
}

/* What a second kernel reads and writes once more after the library's: the result, and the mask's source. */
static uint64_t repeated_bytes(const sal_program *p, size_t step)
{
    const sal_step *s = &p->steps[step];
    const char *algorithm = p->needs[step].algorithm;
    if (!is_convolution(s) || !begins_with(algorithm, "cudnn"))
        return 0;
    if (strcmp(algorithm, "cudnn, fused") == 0)
        return s->kept >= 0 ? value_bytes(p, s->output) : 0;
    return 2 * value_bytes(p, s->output);
}

static uint64_t moved_bytes(const sal_program *p, size_t step)
{
    const sal_step *s = &p->steps[step];
    const size_t element =
        is_convolution(s) ? (size_t)p->values[s->output].bytes / (size_t)sal_shape_elements(&p->values[s->output].shape)
                          : sizeof(float);
    uint64_t bytes = value_bytes(p, s->output) + value_bytes(p, s->kept) + repeated_bytes(p, step);
    for (int k = 0; k < s->input_count; k++)
        bytes += value_bytes(p, s->inputs[k]);
    return bytes + s->node->weight_count * element + s->node->bias_count * sizeof(float);
}

void sal_roofline_step(sal_roof *out, const sal_program *p, size_t step, const sal_gpu_profile *profile,
                       sal_precision precision)
{
    const sal_precision used = arithmetic_of(p, step, profile, precision);
    out->flops = sal_step_flops(p, &p->steps[step]) * (uint64_t)p->batch;
    out->bytes = moved_bytes(p, step);
    const double arithmetic = (double)out->flops / profile->flops[used];
    const double memory = (double)out->bytes / profile->memory;
    out->seconds = arithmetic > memory ? arithmetic : memory;
    out->bound = arithmetic > memory ? precision_names[used] : "memory";
}
