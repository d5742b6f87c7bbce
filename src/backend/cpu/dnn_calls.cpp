/* The one C++ file: what oneDNN throws goes no further. */
#include "backend/cpu/dnn_calls.h"

#include <cerrno>
#include <cstddef>
#include <new>
#include <sys/mman.h>

namespace
{

/* A primitive that was being made when memory ran out stays in oneDNN's cache as one that nobody will finish, and every
 * later attempt at it would fail: the cache is emptied. */
void empty_cache() noexcept
{
    int capacity = 0;
    try {
        if (dnnl_get_primitive_cache_capacity(&capacity) == dnnl_success &&
            dnnl_set_primitive_cache_capacity(0) == dnnl_success)
            (void)dnnl_set_primitive_cache_capacity(capacity);
    } catch (...) {
        return; /* it stays as it is */
    }
}

/* More than any of its calls takes that make something. Where oneDNN makes its own objects and buffers of code it does
 * not look whether there was memory for them, and would write to address 0: what is missing is found out here, before.
 */
const std::size_t reserve = std::size_t{16} << 20;

bool has_reserve() noexcept
{
    void *const memory = mmap(nullptr, reserve, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return false;
    (void)munmap(memory, reserve);
    return true;
}

/* Its generator of code reports memory that is missing as an error like others. */
dnnl_status_t tell(dnnl_status_t status)
{
    return status == dnnl_runtime_error && errno == ENOMEM ? dnnl_out_of_memory : status;
}

template <typename Call> dnnl_status_t attempt(Call call) noexcept
{
    errno = 0;
    try {
        return tell(call());
    } catch (const std::bad_alloc &) {
        empty_cache();
        return dnnl_out_of_memory;
    } catch (...) {
        const dnnl_status_t status = tell(dnnl_runtime_error);
        empty_cache();
        return status;
    }
}

template <typename Call> dnnl_status_t make(Call call) noexcept
{
    return has_reserve() ? attempt(call) : dnnl_out_of_memory;
}

} // namespace

/* ---- The same in all versions -------------------------------------------- */

dnnl_status_t dnn_try_engine_create(dnnl_engine_t *out, dnnl_engine_kind_t kind, size_t index)
{
    return make([=] { return dnnl_engine_create(out, kind, index); });
}

dnnl_status_t dnn_try_stream_create(dnnl_stream_t *out, dnnl_engine_t engine)
{
    return make([=] { return dnnl_stream_create(out, engine, dnnl_stream_default_flags); });
}

dnnl_status_t dnn_try_stream_wait(dnnl_stream_t stream)
{
    return attempt([=] { return dnnl_stream_wait(stream); });
}

dnnl_status_t dnn_try_attr_create(dnnl_primitive_attr_t *out)
{
    return make([=] { return dnnl_primitive_attr_create(out); });
}

dnnl_status_t dnn_try_attr_set_post_ops(dnnl_primitive_attr_t attributes, const_dnnl_post_ops_t ops)
{
    return make([=] { return dnnl_primitive_attr_set_post_ops(attributes, ops); });
}

dnnl_status_t dnn_try_post_ops_create(dnnl_post_ops_t *out)
{
    return make([=] { return dnnl_post_ops_create(out); });
}

dnnl_status_t dnn_try_reorder_create(dnnl_primitive_desc_t *out, dnn_const_descriptor from, dnn_const_descriptor to,
                                     dnnl_engine_t engine)
{
    return make([=] { return dnnl_reorder_primitive_desc_create(out, from, engine, to, engine, nullptr); });
}

dnnl_status_t dnn_try_primitive_create(dnnl_primitive_t *out, const_dnnl_primitive_desc_t description)
{
    return make([=] { return dnnl_primitive_create(out, description); });
}

dnnl_status_t dnn_try_memory_create(dnnl_memory_t *out, dnn_const_descriptor descriptor, dnnl_engine_t engine,
                                    void *data)
{
    return make([=] { return dnnl_memory_create(out, descriptor, engine, data); });
}

dnnl_status_t dnn_try_memory_set_data_handle(dnnl_memory_t memory, void *data)
{
    return attempt([=] { return dnnl_memory_set_data_handle(memory, data); });
}

dnnl_status_t dnn_try_primitive_execute(const_dnnl_primitive_t primitive, dnnl_stream_t stream, int count,
                                        const dnnl_exec_arg_t *arguments)
{
    return attempt([=] { return dnnl_primitive_execute(primitive, stream, count, arguments); });
}

/* ---- Version 3 ------------------------------------------------------------ */

#if DNNL_VERSION_MAJOR >= 3

dnnl_status_t dnn_try_describe(dnn_descriptor *out, int rank, const dnnl_dims_t dims, dnnl_format_tag_t tag)
{
    return make([=] { return dnnl_memory_desc_create_with_tag(out, rank, dims, dnnl_f32, tag); });
}

void dnn_forget(dnn_descriptor *descriptor)
{
    if (*descriptor)
        dnnl_memory_desc_destroy(*descriptor);
}

dnn_const_descriptor dnn_given(const dnn_descriptor *descriptor)
{
    return *descriptor;
}

dnnl_status_t dnn_try_append_sum(dnnl_post_ops_t ops)
{
    return make([=] { return dnnl_post_ops_append_sum(ops, 1.0F, 0, dnnl_data_type_undef); });
}

dnnl_status_t dnn_try_append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t kind, float alpha, float beta)
{
    return make([=] { return dnnl_post_ops_append_eltwise(ops, kind, alpha, beta); });
}

dnnl_status_t dnn_try_forward_create(dnnl_primitive_desc_t *out, dnnl_engine_t engine, const dnn_conv_description *d,
                                     int with_bias, const_dnnl_primitive_attr_t attributes)
{
    return make([=] {
        return dnnl_convolution_forward_primitive_desc_create(
            out, engine, dnnl_forward_training, d->algorithm, d->source, d->weights, with_bias ? d->bias : nullptr,
            d->destination, d->stride, d->dilation, d->pad_begin, d->pad_end, attributes);
    });
}

dnnl_status_t dnn_try_backward_data_create(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                           const dnn_conv_description *d, const_dnnl_primitive_desc_t forward,
                                           const_dnnl_primitive_attr_t attributes)
{
    return make([=] {
        return dnnl_convolution_backward_data_primitive_desc_create(out, engine, d->algorithm, d->source, d->weights,
                                                                    d->destination, d->stride, d->dilation,
                                                                    d->pad_begin, d->pad_end, forward, attributes);
    });
}

/* ---- Version 2 ------------------------------------------------------------ */

#else

dnnl_status_t dnn_try_describe(dnn_descriptor *out, int rank, const dnnl_dims_t dims, dnnl_format_tag_t tag)
{
    return make([=] { return dnnl_memory_desc_init_by_tag(out, rank, dims, dnnl_f32, tag); });
}

void dnn_forget(dnn_descriptor *descriptor)
{
    (void)descriptor;
}

dnn_const_descriptor dnn_given(const dnn_descriptor *descriptor)
{
    return descriptor;
}

dnnl_status_t dnn_try_append_sum(dnnl_post_ops_t ops)
{
    return make([=] { return dnnl_post_ops_append_sum(ops, 1.0F); });
}

dnnl_status_t dnn_try_append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t kind, float alpha, float beta)
{
    return make([=] { return dnnl_post_ops_append_eltwise(ops, 1.0F, kind, alpha, beta); });
}

dnnl_status_t dnn_try_forward_create(dnnl_primitive_desc_t *out, dnnl_engine_t engine, const dnn_conv_description *d,
                                     int with_bias, const_dnnl_primitive_attr_t attributes)
{
    return make([=] {
        dnnl_convolution_desc_t c;
        const dnnl_status_t status = dnnl_dilated_convolution_forward_desc_init(
            &c, dnnl_forward_training, d->algorithm, &d->source, &d->weights, with_bias ? &d->bias : nullptr,
            &d->destination, d->stride, d->dilation, d->pad_begin, d->pad_end);
        return status != dnnl_success ? status : dnnl_primitive_desc_create(out, &c, attributes, engine, nullptr);
    });
}

dnnl_status_t dnn_try_backward_data_create(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                           const dnn_conv_description *d, const_dnnl_primitive_desc_t forward,
                                           const_dnnl_primitive_attr_t attributes)
{
    return make([=] {
        dnnl_convolution_desc_t c;
        const dnnl_status_t status =
            dnnl_dilated_convolution_backward_data_desc_init(&c, d->algorithm, &d->source, &d->weights, &d->destination,
                                                             d->stride, d->dilation, d->pad_begin, d->pad_end);
        return status != dnnl_success ? status : dnnl_primitive_desc_create(out, &c, attributes, engine, forward);
    });
}

#endif
