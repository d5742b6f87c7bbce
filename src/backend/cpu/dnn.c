#include "backend/cpu/dnn.h"

#include "backend/cpu/dnn_calls.h"
#include "base/memory.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

struct dnn_engine {
    int threads;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
};

struct dnn_conv {
    dnn_engine *engine;
    dnnl_primitive_t primitive;
    int backward;
    dnnl_memory_t source, weights, bias, destination, scratch;
    void *weight_data;
    size_t weight_bytes;
    size_t scratch_bytes;
    char implementation[64];
};

static sal_status check(dnnl_status_t status, const char *what)
{
    switch (status) {
    case dnnl_success: return SAL_OK;
    case dnnl_out_of_memory: return sal_fail(SAL_ERROR_MEMORY, "oneDNN %s: out of memory", what);
    case dnnl_unimplemented: return sal_fail(SAL_ERROR_UNSUPPORTED, "oneDNN %s: not implemented", what);
    default: return sal_fail(SAL_ERROR_DEVICE, "oneDNN %s: status %d", what, (int)status);
    }
}

/* ---- Engine ------------------------------------------------------------- */

void dnn_version(char *text, size_t size)
{
    const dnnl_version_t *v = dnnl_version();
    snprintf(text, size, "%d.%d.%d", v->major, v->minor, v->patch);
}

sal_status dnn_engine_open(dnn_engine **out, int threads)
{
    sal_status st = SAL_OK;
    dnn_engine *e = NULL;
    *out = NULL;
    TRY(sal_alloc(&e, 1, sizeof *e, "oneDNN"));
    e->threads = threads;
    TRY(check(dnn_try_engine_create(&e->engine, dnnl_cpu, 0), "engine"));
    TRY(check(dnn_try_stream_create(&e->stream, e->engine), "stream"));
    *out = e;
    e = NULL;
done:
    dnn_engine_close(e);
    return st;
}

void dnn_engine_close(dnn_engine *e)
{
    if (!e)
        return;
    if (e->stream)
        dnnl_stream_destroy(e->stream);
    if (e->engine)
        dnnl_engine_destroy(e->engine);
    sal_free(e);
}

/* ---- Convolution -------------------------------------------------------- */

static sal_status describe_conv(dnn_conv_description *d, const dnn_conv_shape *s)
{
    sal_status st = SAL_OK;
    dnnl_format_tag_t blocked = s->block == 16 ? dnnl_nChw16c : dnnl_nChw8c;
    dnnl_dims_t source = {s->batch, s->groups * s->in_channels, s->in[0], s->in[1]};
    dnnl_dims_t destination = {s->batch, s->groups * s->out_channels, s->out[0], s->out[1]};
    dnnl_dims_t bias = {s->groups * s->out_channels};
    dnnl_dims_t grouped = {s->groups, s->out_channels, s->in_channels, s->kernel[0], s->kernel[1]};
    dnnl_dims_t whole = {s->out_channels, s->in_channels, s->kernel[0], s->kernel[1]};
    memset(d, 0, sizeof *d);
    TRY(check(dnn_try_describe(&d->source, 4, source, s->source_plain ? dnnl_nchw : blocked), "source"));
    TRY(check(dnn_try_describe(&d->destination, 4, destination, blocked), "destination"));
    TRY(check(dnn_try_describe(&d->bias, 1, bias, dnnl_x), "bias"));
    if (s->groups > 1)
        TRY(check(dnn_try_describe(&d->weights, 5, grouped, dnnl_format_tag_any), "weights"));
    else
        TRY(check(dnn_try_describe(&d->weights, 4, whole, dnnl_format_tag_any), "weights"));
    for (int k = 0; k < 2; k++) {
        d->stride[k] = s->stride[k];
        d->dilation[k] = s->dilation[k] - 1; /* oneDNN counts the gaps */
        d->pad_begin[k] = s->pad_begin[k];
        d->pad_end[k] = s->pad_end[k];
    }
    d->algorithm = s->winograd ? dnnl_convolution_winograd : dnnl_convolution_direct;
done:
    return st;
}

static void forget_conv(dnn_conv_description *d)
{
    dnn_forget(&d->source);
    dnn_forget(&d->weights);
    dnn_forget(&d->bias);
    dnn_forget(&d->destination);
}

static sal_status make_attributes(dnnl_primitive_attr_t attributes, const dnn_conv_shape *s)
{
    sal_status st = SAL_OK;
    dnnl_post_ops_t ops = NULL;
    TRY(check(dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user), "scratchpad mode"));
    TRY(check(dnn_try_post_ops_create(&ops), "post-ops"));
    if (s->with_sum)
        TRY(check(dnn_try_append_sum(ops), "sum"));
    const sal_activation *a = &s->activation;
    if (a->kind == SAL_ACT_RELU)
        TRY(check(dnn_try_append_eltwise(ops, dnnl_eltwise_relu, 0.0f, 0.0f), "relu"));
    else if (a->kind == SAL_ACT_LEAKY_RELU)
        TRY(check(dnn_try_append_eltwise(ops, dnnl_eltwise_relu, a->alpha, 0.0f), "leaky relu"));
    else if (a->kind == SAL_ACT_CLIP)
        TRY(check(dnn_try_append_eltwise(ops, dnnl_eltwise_clip, a->alpha, a->beta), "clip"));
    TRY(check(dnn_try_attr_set_post_ops(attributes, ops), "post-ops"));
done:
    if (ops)
        dnnl_post_ops_destroy(ops);
    return st;
}

static const_dnnl_primitive_desc_t created(const dnn_conv *c)
{
    const_dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_get_primitive_desc(c->primitive, &pd);
    return pd;
}

static dnn_const_descriptor query(const_dnnl_primitive_desc_t pd, dnnl_query_t what)
{
    return dnnl_primitive_desc_query_md(pd, what, 0);
}

static sal_status create_primitive(dnn_conv *c, const dnn_conv_shape *s, const dnn_conv_description *d)
{
    sal_status st = SAL_OK;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_primitive_desc_t forward = NULL, backward = NULL;
    const char *name = "";
    TRY(check(dnn_try_attr_create(&attributes), "attributes"));
    TRY(make_attributes(attributes, s));
    TRY(check(dnn_try_forward_create(&forward, c->engine->engine, d, s->with_bias, attributes), "convolution"));
    if (s->backward_data)
        TRY(check(dnn_try_backward_data_create(&backward, c->engine->engine, d, forward, attributes),
                  "backward-data convolution"));
    dnnl_primitive_desc_t pd = s->backward_data ? backward : forward;
    TRY(check(dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name), "implementation name"));
    snprintf(c->implementation, sizeof c->implementation, "%s", name);
    TRY(check(dnn_try_primitive_create(&c->primitive, pd), "primitive"));
done:
    if (forward)
        dnnl_primitive_desc_destroy(forward);
    if (backward)
        dnnl_primitive_desc_destroy(backward);
    if (attributes)
        dnnl_primitive_attr_destroy(attributes);
    return st;
}

static sal_status wrap(dnnl_memory_t *out, dnn_conv *c, dnn_const_descriptor d, void *data)
{
    return check(dnn_try_memory_create(out, d, c->engine->engine, data), "memory");
}

static sal_status load_weights(dnn_conv *c, const dnn_conv_shape *s, const float *weights)
{
    sal_status st = SAL_OK;
    dnn_descriptor plain = {0};
    dnnl_memory_t from = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t reorder = NULL;
    dnnl_dims_t grouped = {s->groups, s->out_channels, s->in_channels, s->kernel[0], s->kernel[1]};
    dnnl_dims_t whole = {s->out_channels, s->in_channels, s->kernel[0], s->kernel[1]};
    dnn_const_descriptor wanted = query(created(c), dnnl_query_weights_md);
    void *raw = (void *)(uintptr_t)weights; /* only read */
    c->weight_bytes = dnnl_memory_desc_get_size(wanted);
    TRY(sal_alloc(&c->weight_data, c->weight_bytes, 1, "convolution weights"));
    TRY(wrap(&c->weights, c, wanted, c->weight_data));
    if (s->groups > 1)
        TRY(check(dnn_try_describe(&plain, 5, grouped, dnnl_goihw), "plain weights"));
    else
        TRY(check(dnn_try_describe(&plain, 4, whole, dnnl_oihw), "plain weights"));
    TRY(wrap(&from, c, dnn_given(&plain), raw));
    TRY(check(dnn_try_reorder_create(&pd, dnn_given(&plain), wanted, c->engine->engine), "weight reorder"));
    TRY(check(dnn_try_primitive_create(&reorder, pd), "weight reorder"));
    dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, c->weights}};
    TRY(check(dnn_try_primitive_execute(reorder, c->engine->stream, 2, args), "weight reorder"));
    TRY(check(dnn_try_stream_wait(c->engine->stream), "weight reorder"));
done:
    if (reorder)
        dnnl_primitive_destroy(reorder);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (from)
        dnnl_memory_destroy(from);
    dnn_forget(&plain);
    return st;
}

static sal_status wrap_arguments(dnn_conv *c, const dnn_conv_shape *s, const float *bias)
{
    sal_status st = SAL_OK;
    const_dnnl_primitive_desc_t pd = created(c);
    dnn_const_descriptor scratch = query(pd, dnnl_query_scratchpad_md);
    int back = s->backward_data;
    c->scratch_bytes = dnnl_memory_desc_get_size(scratch);
    TRY(wrap(&c->source, c, query(pd, back ? dnnl_query_diff_dst_md : dnnl_query_src_md), DNNL_MEMORY_NONE));
    TRY(wrap(&c->destination, c, query(pd, back ? dnnl_query_diff_src_md : dnnl_query_dst_md), DNNL_MEMORY_NONE));
    TRY(wrap(&c->scratch, c, scratch, DNNL_MEMORY_NONE));
    if (s->with_bias) {
        void *raw = (void *)(uintptr_t)bias; /* only read */
        TRY(wrap(&c->bias, c, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 1), raw));
    }
done:
    return st;
}

/* oneDNN takes its number of threads from OpenMP's setting of the calling thread, which is the caller's
 * again afterwards. */
static int borrow_threads(const dnn_engine *engine)
{
    int before = omp_get_max_threads();
    omp_set_num_threads(engine->threads);
    return before;
}

static void return_threads(int before)
{
    omp_set_num_threads(before);
}

sal_status dnn_conv_create(dnn_conv **out, dnn_engine *engine, const dnn_conv_shape *s, const float *weights,
                           const float *bias)
{
    const int before = borrow_threads(engine);
    sal_status st = SAL_OK;
    dnn_conv_description d;
    dnn_conv *c = NULL;
    *out = NULL;
    memset(&d, 0, sizeof d);
    TRY(sal_alloc(&c, 1, sizeof *c, "a convolution"));
    c->engine = engine;
    c->backward = s->backward_data;
    TRY(describe_conv(&d, s));
    TRY(create_primitive(c, s, &d));
    TRY(load_weights(c, s, weights));
    TRY(wrap_arguments(c, s, bias));
    *out = c;
    c = NULL;
done:
    return_threads(before);
    forget_conv(&d);
    dnn_conv_destroy(c);
    return st;
}

void dnn_conv_destroy(dnn_conv *c)
{
    if (!c)
        return;
    dnnl_memory_t memories[] = {c->source, c->weights, c->bias, c->destination, c->scratch};
    for (size_t k = 0; k < sizeof memories / sizeof *memories; k++)
        if (memories[k])
            dnnl_memory_destroy(memories[k]);
    if (c->primitive)
        dnnl_primitive_destroy(c->primitive);
    sal_free(c->weight_data);
    sal_free(c);
}

size_t dnn_conv_scratch_bytes(const dnn_conv *c)
{
    return c->scratch_bytes;
}

size_t dnn_conv_weight_bytes(const dnn_conv *c)
{
    return c->weight_bytes;
}

const char *dnn_conv_implementation(const dnn_conv *c)
{
    return c->implementation;
}

sal_status dnn_conv_run(dnn_conv *c, void *destination, const void *source, void *scratch)
{
    sal_status st = SAL_OK;
    const int before = borrow_threads(c->engine);
    int back = c->backward;
    void *read_only = (void *)(uintptr_t)source;
    TRY(check(dnn_try_memory_set_data_handle(c->source, read_only), "source"));
    TRY(check(dnn_try_memory_set_data_handle(c->destination, destination), "destination"));
    TRY(check(dnn_try_memory_set_data_handle(c->scratch, c->scratch_bytes ? scratch : NULL), "scratch"));
    dnnl_exec_arg_t args[5] = {{back ? DNNL_ARG_DIFF_DST : DNNL_ARG_SRC, c->source},
                               {DNNL_ARG_WEIGHTS, c->weights},
                               {back ? DNNL_ARG_DIFF_SRC : DNNL_ARG_DST, c->destination},
                               {DNNL_ARG_SCRATCHPAD, c->scratch}};
    int count = 4;
    if (c->bias)
        args[count++] = (dnnl_exec_arg_t){DNNL_ARG_BIAS, c->bias};
    TRY(check(dnn_try_primitive_execute(c->primitive, c->engine->stream, count, args), "convolution"));
    TRY(check(dnn_try_stream_wait(c->engine->stream), "convolution"));
done:
    return_threads(before);
    return st;
}
