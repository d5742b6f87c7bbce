/* Calls of oneDNN that may allocate, the same for its versions 2 and 3. oneDNN is C++, and what it throws comes out of
 * its C functions: no C file can catch it, and it would end the process. These catch everything: memory that is missing
 * is dnnl_out_of_memory, anything else dnnl_runtime_error. Arguments are as of the function that each is named after.
 */
#ifndef SAL_BACKEND_CPU_DNN_CALLS_H
#define SAL_BACKEND_CPU_DNN_CALLS_H

#include <oneapi/dnnl/dnnl.h>

#ifdef __cplusplus
extern "C" {
#endif

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t dnn_descriptor; /* a handle, destroyed after use */
typedef const_dnnl_memory_desc_t dnn_const_descriptor;
#else
typedef dnnl_memory_desc_t dnn_descriptor; /* a plain struct */
typedef const dnnl_memory_desc_t *dnn_const_descriptor;
#endif

/* A convolution, as oneDNN is told of it. */
typedef struct dnn_conv_description {
    dnn_descriptor source, weights, bias, destination;
    dnnl_dims_t stride, dilation, pad_begin, pad_end;
    dnnl_alg_kind_t algorithm;
} dnn_conv_description;

dnnl_status_t dnn_try_engine_create(dnnl_engine_t *out, dnnl_engine_kind_t kind, size_t index);
dnnl_status_t dnn_try_stream_create(dnnl_stream_t *out, dnnl_engine_t engine);
dnnl_status_t dnn_try_stream_wait(dnnl_stream_t stream);

/* Of float32 values. */
dnnl_status_t dnn_try_describe(dnn_descriptor *out, int rank, const dnnl_dims_t dims, dnnl_format_tag_t tag);
void dnn_forget(dnn_descriptor *descriptor); /* fine on a zeroed one */
dnn_const_descriptor dnn_given(const dnn_descriptor *descriptor);

dnnl_status_t dnn_try_attr_create(dnnl_primitive_attr_t *out);
dnnl_status_t dnn_try_attr_set_post_ops(dnnl_primitive_attr_t attributes, const_dnnl_post_ops_t ops);
dnnl_status_t dnn_try_post_ops_create(dnnl_post_ops_t *out);
dnnl_status_t dnn_try_append_sum(dnnl_post_ops_t ops);
dnnl_status_t dnn_try_append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t kind, float alpha, float beta);

/* dnnl_forward_training: for inference, Winograd would hold weights transformed in advance, four times their size, to
 * save 3 to 10 % of the time. */
dnnl_status_t dnn_try_forward_create(dnnl_primitive_desc_t *out, dnnl_engine_t engine, const dnn_conv_description *d,
                                     int with_bias, const_dnnl_primitive_attr_t attributes);
dnnl_status_t dnn_try_backward_data_create(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                           const dnn_conv_description *d, const_dnnl_primitive_desc_t forward,
                                           const_dnnl_primitive_attr_t attributes);
dnnl_status_t dnn_try_reorder_create(dnnl_primitive_desc_t *out, dnn_const_descriptor from, dnn_const_descriptor to,
                                     dnnl_engine_t engine);

dnnl_status_t dnn_try_primitive_create(dnnl_primitive_t *out, const_dnnl_primitive_desc_t description);
dnnl_status_t dnn_try_memory_create(dnnl_memory_t *out, dnn_const_descriptor descriptor, dnnl_engine_t engine,
                                    void *data);
dnnl_status_t dnn_try_memory_set_data_handle(dnnl_memory_t memory, void *data);
dnnl_status_t dnn_try_primitive_execute(const_dnnl_primitive_t primitive, dnnl_stream_t stream, int count,
                                        const dnnl_exec_arg_t *arguments);

#ifdef __cplusplus
}
#endif
#endif
