/* What the step rows share, and the rows, by file. */
#ifndef CUDA_CUDA_ROWS_H
#define CUDA_CUDA_ROWS_H

#include "device.h"

/* ---- library.c ---------------------------------------------------------- */

/* cuDNN and cuBLASLt for a device: with handles that enqueue into `compute`, and `device` to tell its plans from
 * others'; or for a description alone. */
sal_status cuda_library_open(cuda_library **out, cudaStream_t compute, const char *device, const char *described);
void cuda_library_close(cuda_library *library);
const char *cuda_library_version(void); /* of cuDNN, "9.19.0"; borrowed until the thread asks again */

/* ---- doctor.c ----------------------------------------------------------- */

/* The table's `check`. */
size_t cuda_doctor_check(sal_check *out, size_t count, size_t capacity);

/* ---- weights.c ---------------------------------------------------------- */

typedef enum cuda_weight_form {
    CUDA_WEIGHT_FILTER,    /* (O, C/g, KH, KW) as (O, KH, KW, C/g), of the device's type */
    CUDA_WEIGHT_DEPTHWISE, /* (O, 1, KH, KW) as (KH, KW, O), of the device's type */
    CUDA_WEIGHT_FLOATS,    /* as it is */
    CUDA_WEIGHT_CHANNELS,  /* one float per channel, of so many or of a single one for all */
    CUDA_WEIGHT_BIAS,      /* the bias likewise */
    CUDA_WEIGHT_MAP_BIAS,  /* and of the device's type */
    CUDA_WEIGHT_INDICES,   /* of a gather: int32 as they are */
    CUDA_WEIGHT_READERS    /* of a gather: who reads each element along the axis; see cuda_gather_backward */
} cuda_weight_form;

/* A node's weights on the device, shared by its steps; *out is NULL where the node has no bias.
 * channels: how many CHANNELS and the biases are spread to; of READERS, how long the axis is. needs->weight_bytes grows
 * by what is new. */
sal_status cuda_weights_use(cuda_weight **out, sal_needs *needs, sal_device *device, const sal_node *node,
                            cuda_weight_form form, int64_t channels);
/* Gives one use back; freed with the last. NULL is fine. */
void cuda_weights_release(sal_device *device, cuda_weight *weight);
const void *cuda_weight_memory(const cuda_weight *weight); /* NULL for NULL, and on described devices */
void cuda_weights_clear(sal_device *device);

/* ---- Where elements lie ---------------------------------------------------- */

/* The batch's elements around axis `axis` of a value, as they lie in memory: element (o, i, k) is at
 * (o * n + i) * inner + k. */
typedef struct cuda_axis {
    int64_t outer, n, inner;
} cuda_axis;
cuda_axis cuda_along(const sal_value *value, int64_t batch, int axis); /* steps.c */
/* All of a value in row-major order: dim[0] is the batch. */
cuda_view cuda_whole(const sal_value *value, int64_t batch); /* moves.c */

/* ---- Steps that need shapes and weights of their node only (steps.c) ------- */

typedef struct cuda_plan {
    const sal_step *step;
    const sal_value *out;
    const sal_value *in[SAL_STEP_MAX_INPUTS]; /* the first few */
    const sal_value *values;
    cuda_weight *weight;
    cuda_weight *bias;
} cuda_plan;

sal_status cuda_plan_prepare(void **plan, sal_needs *needs, sal_device *device, const sal_step *step,
                             const sal_value *values);
void cuda_plan_release(sal_device *device, void *plan);

/* The addend's memory, or NULL: it is the last input. */
static inline const void *cuda_addend(const sal_step *step, const sal_run *run)
{
    return step->addend >= 0 ? run->inputs[step->input_count - 1] : NULL;
}

/* ---- The rows ------------------------------------------------------------ */

int cuda_conv_takes_relu(const sal_node *conv);                                           /* conv.c */
extern const sal_step_row cuda_row_conv, cuda_row_conv_backward;                          /* conv.c */
extern const sal_step_row cuda_row_dense, cuda_row_dense_backward;                        /* dense.c */
extern const sal_step_row cuda_row_matmul, cuda_row_matmul_backward;                      /* matmul.c */
extern const sal_step_row cuda_row_affine, cuda_row_affine_backward;                      /* steps.c */
extern const sal_step_row cuda_row_activation, cuda_row_activation_backward;              /* steps.c */
extern const sal_step_row cuda_row_add, cuda_row_mul, cuda_row_mul_backward;              /* steps.c */
extern const sal_step_row cuda_row_reduce_spatial, cuda_row_mean, cuda_row_mean_backward; /* steps.c */
extern const sal_step_row cuda_row_max_pool, cuda_row_max_pool_backward;                  /* steps.c */
extern const sal_step_row cuda_row_avg_pool, cuda_row_avg_pool_backward;                  /* steps.c */
extern const sal_step_row cuda_row_softmax, cuda_row_softmax_backward;                    /* steps.c */
extern const sal_step_row cuda_row_layer_norm, cuda_row_layer_norm_backward;              /* steps.c */
extern const sal_step_row cuda_row_concat, cuda_row_concat_backward;                      /* moves.c */
extern const sal_step_row cuda_row_slice, cuda_row_slice_backward;                        /* moves.c */
extern const sal_step_row cuda_row_shuffle, cuda_row_shuffle_backward;                    /* moves.c */
extern const sal_step_row cuda_row_reshape, cuda_row_reshape_backward;                    /* moves.c */
extern const sal_step_row cuda_row_transpose, cuda_row_transpose_backward;                /* moves.c */
extern const sal_step_row cuda_row_pad, cuda_row_pad_backward;                            /* moves.c */
extern const sal_step_row cuda_row_constant;                                              /* moves.c */
extern const sal_step_row cuda_row_expand, cuda_row_expand_backward;                      /* axes.c */
extern const sal_step_row cuda_row_reduce, cuda_row_reduce_backward;                      /* axes.c */
extern const sal_step_row cuda_row_gather, cuda_row_gather_backward;                      /* axes.c */

#endif
