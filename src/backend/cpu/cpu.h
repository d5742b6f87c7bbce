/* The CPU back end: oneDNN convolutions and our own loops over channel blocks. */
#ifndef SAL_BACKEND_CPU_CPU_H
#define SAL_BACKEND_CPU_CPU_H

#include "backend/backend.h"
#include "backend/cpu/dnn.h"
#include "backend/cpu/kernels.h"

#include <omp.h>

extern const sal_backend sal_backend_cpu;

struct sal_device {
    dnn_engine *dnn;
    const cpu_kernels *kernels;
    int threads;
    int exact, many_passes; /* as in sal_device_options */
    char description[160];
};

/* Record of a step whose run function needs only shapes. */
typedef struct cpu_plan {
    const sal_step *step;
    const sal_value *out;
    const sal_value *in[SAL_STEP_MAX_INPUTS]; /* the first few */
    const sal_value *values;
    float *weights; /* owned: padded to channel blocks */
    float *bias;    /* owned */
} cpu_plan;

/* Work that is handed to one thread at a time, in floats: a part of a level-2 cache. */
enum { CPU_PIECE = 1 << 15 };

/* prepare and release of such steps. */
sal_status cpu_plan_prepare(void **plan, sal_needs *needs, sal_device *device, const sal_step *step,
                            const sal_value *values);
void cpu_plan_release(sal_device *device, void *plan);

/* One of two ways to run a step, chosen when it is prepared: `row` is the one. */
sal_status cpu_choice_prepare(void **plan, const sal_step_row *row, sal_needs *needs, sal_device *device,
                              const sal_step *step, const sal_value *values);
sal_status cpu_choice_run(sal_device *device, void *plan, const sal_run *run);
void cpu_choice_release(sal_device *device, void *plan);

/* The rows, by file. */
extern const sal_step_row cpu_row_conv, cpu_row_conv_backward;                         /* conv.c */
extern const sal_step_row cpu_row_first_conv_backward;                                 /* first_conv.c */
extern const sal_step_row cpu_row_dense, cpu_row_dense_backward;                       /* dense.c */
extern const sal_step_row cpu_row_affine, cpu_row_affine_backward;                     /* elementwise.c */
extern const sal_step_row cpu_row_activation, cpu_row_activation_backward;             /* elementwise.c */
extern const sal_step_row cpu_row_add, cpu_row_mul, cpu_row_mul_backward;              /* elementwise.c */
extern const sal_step_row cpu_row_reduce_spatial, cpu_row_mean, cpu_row_mean_backward; /* elementwise.c */
extern const sal_step_row cpu_row_max_pool, cpu_row_max_pool_backward;                 /* pool.c */
extern const sal_step_row cpu_row_avg_pool, cpu_row_avg_pool_backward;                 /* pool.c */
extern const sal_step_row cpu_row_concat, cpu_row_concat_backward;                     /* rearrange.c */
extern const sal_step_row cpu_row_slice, cpu_row_slice_backward;                       /* rearrange.c */
extern const sal_step_row cpu_row_shuffle, cpu_row_shuffle_backward;                   /* rearrange.c */
extern const sal_step_row cpu_row_reshape, cpu_row_reshape_backward;                   /* reshape.c */
extern const sal_step_row cpu_row_transpose, cpu_row_transpose_backward;               /* reshape.c */
extern const sal_step_row cpu_row_pad, cpu_row_pad_backward;                           /* reshape.c */
extern const sal_step_row cpu_row_softmax, cpu_row_softmax_backward;                   /* layer_norm_softmax.c */
extern const sal_step_row cpu_row_layer_norm, cpu_row_layer_norm_backward;             /* layer_norm_softmax.c */
extern const sal_step_row cpu_row_matmul, cpu_row_matmul_backward;                     /* products.c */
extern const sal_step_row cpu_row_constant, cpu_row_expand, cpu_row_expand_backward;   /* along_axis.c */
extern const sal_step_row cpu_row_reduce, cpu_row_reduce_backward;                     /* along_axis.c */
extern const sal_step_row cpu_row_gather, cpu_row_gather_backward;                     /* along_axis.c */

/* Those of values in rows, which rows of the same steps above choose. */
extern const sal_step_row cpu_row_dense_rows;                            /* products.c */
extern const sal_step_row cpu_row_softmax_rows, cpu_row_layer_norm_rows; /* normalize_rows.c */
extern const sal_step_row cpu_row_join_rows;                             /* move_rows.c: concat, slice */
extern const sal_step_row cpu_row_transpose_rows;                        /* move_rows.c */

extern const sal_method_rows cpu_method_rows; /* methods.c */

/* Where the derivative of a SAL_KEEP_SIGN activation is 1, from its output y: one bit per float. */
void cpu_mask(const sal_device *d, uint8_t *mask, const float *y, size_t n, const sal_activation *a);

/* ---- Shapes in memory --------------------------------------------------- */

static inline int64_t cpu_round_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

/* Channel blocks and pixels of a blocked value. */
static inline int64_t cpu_blocks(const sal_device *d, const sal_value *v)
{
    return (v->shape.dim[1] + d->kernels->block - 1) / d->kernels->block;
}

static inline int64_t cpu_pixels(const sal_value *v)
{
    return v->shape.dim[2] * v->shape.dim[3];
}

/* Number of the calling thread in its team. */
static inline int64_t cpu_thread(void)
{
    return omp_get_thread_num();
}

/* Floats from one picture of a float value to the next. */
static inline size_t cpu_stride(const sal_value *v)
{
    return v->bytes / sizeof(float);
}

/* Between one picture in its layout and row-major order; padding channels become zeros. */
void cpu_to_plain(const sal_device *d, float *plain, const float *memory, const sal_value *v);
void cpu_from_plain(const sal_device *d, float *memory, const float *plain, const sal_value *v);

#endif
