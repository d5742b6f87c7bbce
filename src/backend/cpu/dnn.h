/* Convolutions by oneDNN. Only dnn.c and dnn_calls.cpp know its API; everything above sees this header. */
#ifndef SAL_BACKEND_CPU_DNN_H
#define SAL_BACKEND_CPU_DNN_H

#include "base/error.h"
#include "graph/graph.h"

typedef struct dnn_engine dnn_engine;
typedef struct dnn_conv dnn_conv;

/* A convolution over padded channels: in and out channels per group are what the
 * memory holds. Source and destination are blocked by `block` channels unless
 * source_plain; padding after the end follows from the output's size. */
typedef struct dnn_conv_shape {
    int64_t batch;
    int64_t groups;
    int64_t in_channels;  /* per group */
    int64_t out_channels; /* per group */
    int64_t in[2];
    int64_t out[2];
    int64_t kernel[2];
    int64_t stride[2];
    int64_t dilation[2];
    int64_t pad_begin[2];
    int64_t pad_end[2];
    int block; /* 8 or 16 */
    int source_plain;
    int with_bias;
    int with_sum;              /* destination += result instead of = */
    sal_activation activation; /* after the sum: none, relu, leaky relu or clip */
    int backward_data;         /* `in` is the gradient wanted, `out` the one given; no bias, sum, activation */
    int winograd;              /* ask for Winograd: SAL_ERROR_UNSUPPORTED where the library has none */
} dnn_conv_shape;

/* threads: of every convolution of this engine, whichever thread calls. */
sal_status dnn_engine_open(dnn_engine **out, int threads);
void dnn_engine_close(dnn_engine *engine);
/* "2.6.3" into text, cut where it has no room. */
void dnn_version(char *text, size_t size);

/* weights: (groups, out, in, KH, KW) floats; bias: groups * out floats, borrowed for the conv's life.
 * Errors: UNSUPPORTED (no such algorithm), MEMORY, DEVICE. */
sal_status dnn_conv_create(dnn_conv **out, dnn_engine *engine, const dnn_conv_shape *shape, const float *weights,
                           const float *bias);
void dnn_conv_destroy(dnn_conv *conv);
size_t dnn_conv_scratch_bytes(const dnn_conv *conv);
size_t dnn_conv_weight_bytes(const dnn_conv *conv);
/* oneDNN's name of the implementation, such as "jit:avx512_core". Borrowed. */
const char *dnn_conv_implementation(const dnn_conv *conv);
/* Forward: from source to destination; backward-data: source is the gradient given. */
sal_status dnn_conv_run(dnn_conv *conv, void *destination, const void *source, void *scratch);

#endif
