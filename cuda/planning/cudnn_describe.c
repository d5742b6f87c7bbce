#include "planning/cudnn_describe.h"

#include <math.h>
#include <stdbool.h>

typedef cudnnBackendDescriptor_t descriptor;

/* Bytes that every address handed over is a multiple of, as kernels.h promises. */
enum { ALIGNMENT = 16 };

sal_status cudnn_descriptor_new(descriptor *out, cudnn_descriptors *owner, cudnnBackendDescriptorType_t type)
{
    *out = NULL;
    if (owner->count == CUDNN_MAX_DESCRIPTORS)
        return sal_fail(SAL_ERROR_LIMIT, "cuDNN: more than %d descriptors in one graph", CUDNN_MAX_DESCRIPTORS);
    sal_status st = CUDNN_CHECK(nvidia.cudnnBackendCreateDescriptor(type, out));
    if (st == SAL_OK)
        owner->made[owner->count++] = *out;
    return st;
}

void cudnn_descriptors_clear(cudnn_descriptors *owner)
{
    while (owner->count > 0)
        (void)nvidia.cudnnBackendDestroyDescriptor(owner->made[--owner->count]);
}

/* ---- Attributes ---------------------------------------------------------- */

static sal_status set_integers(descriptor d, cudnnBackendAttributeName_t name, const int64_t *values, int64_t count)
{
    return CUDNN_CHECK(nvidia.cudnnBackendSetAttribute(d, name, CUDNN_TYPE_INT64, count, values));
}

static sal_status set_type(descriptor d, cudnnBackendAttributeName_t name, cudnnDataType_t type)
{
    return CUDNN_CHECK(nvidia.cudnnBackendSetAttribute(d, name, CUDNN_TYPE_DATA_TYPE, 1, &type));
}

static sal_status set_double(descriptor d, cudnnBackendAttributeName_t name, double value)
{
    return CUDNN_CHECK(nvidia.cudnnBackendSetAttribute(d, name, CUDNN_TYPE_DOUBLE, 1, &value));
}

static sal_status set_float(descriptor d, cudnnBackendAttributeName_t name, float value)
{
    return CUDNN_CHECK(nvidia.cudnnBackendSetAttribute(d, name, CUDNN_TYPE_FLOAT, 1, &value));
}

static sal_status set_descriptor(descriptor d, cudnnBackendAttributeName_t name, descriptor value)
{
    return CUDNN_CHECK(nvidia.cudnnBackendSetAttribute(d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value));
}

static sal_status finalize(descriptor d)
{
    return CUDNN_CHECK(nvidia.cudnnBackendFinalize(d));
}

/* ---- Tensors -------------------------------------------------------------- */

static cudnnDataType_t type_of(cuda_type type)
{
    switch (type) {
    case CUDA_TYPE_HALF: return CUDNN_DATA_HALF;
    case CUDA_TYPE_BFLOAT16: return CUDNN_DATA_BFLOAT16;
    case CUDA_TYPE_FLOAT: break;
    }
    return CUDNN_DATA_FLOAT;
}

/* Channels last, without gaps; intermediate results are floats that never reach memory. */
static sal_status make_tensor(descriptor *out, cudnn_descriptors *owner, int64_t uid, cudnnDataType_t type,
                              cuda_extent e)
{
    sal_status st = SAL_OK;
    const int64_t dims[4] = {e.pictures, e.channels, e.height, e.width};
    const int64_t strides[4] = {e.channels * e.height * e.width, 1, e.channels * e.width, e.channels};
    const int64_t alignment = ALIGNMENT;
    const bool intermediate = uid >= CUDNN_UID_VIRTUAL;
    TRY(cudnn_descriptor_new(out, owner, CUDNN_BACKEND_TENSOR_DESCRIPTOR));
    TRY(set_type(*out, CUDNN_ATTR_TENSOR_DATA_TYPE, intermediate ? CUDNN_DATA_FLOAT : type));
    TRY(set_integers(*out, CUDNN_ATTR_TENSOR_DIMENSIONS, dims, 4));
    TRY(set_integers(*out, CUDNN_ATTR_TENSOR_STRIDES, strides, 4));
    TRY(set_integers(*out, CUDNN_ATTR_TENSOR_UNIQUE_ID, &uid, 1));
    TRY(set_integers(*out, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, &alignment, 1));
    if (intermediate)
        TRY(CUDNN_CHECK(
            nvidia.cudnnBackendSetAttribute(*out, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &intermediate)));
    TRY(finalize(*out));
done:
    return st;
}

/* ---- Operations ------------------------------------------------------------ */

/* A graph that grows operation by operation: `result` is what the last one made. */
typedef struct builder {
    cudnn_descriptors *owner;
    const cudnn_graph_problem *problem;
    descriptor operations[5];
    int count;
    int left;          /* operations that are still to come */
    int64_t next_uid;  /* of intermediate results */
    cuda_extent shape; /* of all results */
    descriptor result;
} builder;

static sal_status make_convolution(descriptor *out, cudnn_descriptors *owner, const sal_window *w)
{
    sal_status st = SAL_OK;
    const int64_t axes = 2;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    TRY(cudnn_descriptor_new(out, owner, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR));
    TRY(set_integers(*out, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, &axes, 1));
    TRY(set_type(*out, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT));
    TRY(CUDNN_CHECK(nvidia.cudnnBackendSetAttribute(*out, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE,
                                                    1, &mode)));
    TRY(set_integers(*out, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, w->pad_begin, 2));
    TRY(set_integers(*out, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, w->pad_end, 2));
    TRY(set_integers(*out, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, w->stride, 2));
    TRY(set_integers(*out, CUDNN_ATTR_CONVOLUTION_DILATIONS, w->dilation, 2));
    TRY(finalize(*out));
done:
    return st;
}

/* The last operation writes y; the others an intermediate result. */
static sal_status make_result(builder *b)
{
    int64_t uid = b->left == 0 ? CUDNN_UID_Y : b->next_uid++;
    return make_tensor(&b->result, b->owner, uid, type_of(b->problem->type), b->shape);
}

/* Attributes of the two directions; read and written are the maps of the convolution's two ends. */
typedef struct direction {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t conv, read, weight, written, alpha, beta;
} direction;

static const direction directions[] = {
    [CUDNN_GRAPH_FORWARD] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
    [CUDNN_GRAPH_BACKWARD] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
};

static sal_status add_convolution(builder *b)
{
    sal_status st = SAL_OK;
    const cuda_conv *c = &b->problem->conv;
    const direction *d = &directions[b->problem->kind];
    const cuda_extent filter = {c->out.channels, c->window.kernel[0], c->window.kernel[1],
                                c->in.channels / c->window.groups};
    const cuda_extent read = b->problem->kind == CUDNN_GRAPH_FORWARD ? c->in : c->out;
    const cudnnDataType_t type = type_of(b->problem->type);
    descriptor op, window, x, weight;
    TRY(make_convolution(&window, b->owner, &c->window));
    TRY(make_tensor(&x, b->owner, CUDNN_UID_X, type, read));
    TRY(make_tensor(&weight, b->owner, CUDNN_UID_WEIGHT, type, filter));
    TRY(make_result(b));
    TRY(cudnn_descriptor_new(&op, b->owner, d->type));
    TRY(set_descriptor(op, d->conv, window));
    TRY(set_descriptor(op, d->read, x));
    TRY(set_descriptor(op, d->weight, weight));
    TRY(set_descriptor(op, d->written, b->result));
    TRY(set_float(op, d->alpha, 1.0f));
    TRY(set_float(op, d->beta, 0.0f));
    TRY(finalize(op));
    b->operations[b->count++] = op;
done:
    return st;
}

/* The operation of a finished pointwise descriptor on the last result, and `other` where it takes two. */
static sal_status add_pointwise(builder *b, descriptor pointwise, descriptor other)
{
    sal_status st = SAL_OK;
    descriptor op, x = b->result;
    b->left--;
    TRY(finalize(pointwise));
    TRY(make_result(b));
    TRY(cudnn_descriptor_new(&op, b->owner, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR));
    TRY(set_descriptor(op, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise));
    TRY(set_descriptor(op, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x));
    if (other)
        TRY(set_descriptor(op, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, other));
    TRY(set_descriptor(op, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, b->result));
    TRY(finalize(op));
    b->operations[b->count++] = op;
done:
    return st;
}

static sal_status make_pointwise(descriptor *out, cudnn_descriptors *owner, cudnnPointwiseMode_t mode)
{
    sal_status st = SAL_OK;
    TRY(cudnn_descriptor_new(out, owner, CUDNN_BACKEND_POINTWISE_DESCRIPTOR));
    TRY(CUDNN_CHECK(
        nvidia.cudnnBackendSetAttribute(*out, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode)));
    TRY(set_type(*out, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT));
done:
    return st;
}

static sal_status add_sum(builder *b, int64_t uid, cudnnDataType_t type, cuda_extent extent)
{
    sal_status st = SAL_OK;
    descriptor pointwise, other;
    TRY(make_tensor(&other, b->owner, uid, type, extent));
    TRY(make_pointwise(&pointwise, b->owner, CUDNN_POINTWISE_ADD));
    TRY(add_pointwise(b, pointwise, other));
done:
    return st;
}

/* cuDNN's relu: x > low ? min(x, high) : low + slope * (x - low). */
static sal_status add_relu(builder *b, double low, double high, double slope)
{
    sal_status st = SAL_OK;
    descriptor relu;
    TRY(make_pointwise(&relu, b->owner, CUDNN_POINTWISE_RELU_FWD));
    if (low != 0)
        TRY(set_double(relu, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP, low));
    if (isfinite(high))
        TRY(set_double(relu, CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, high));
    if (slope != 0)
        TRY(set_double(relu, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, slope));
    TRY(add_pointwise(b, relu, NULL));
done:
    return st;
}

/* The last result where the relu's output is positive, 0 elsewhere. */
static sal_status add_relu_backward(builder *b)
{
    sal_status st = SAL_OK;
    descriptor relu, activated, op, dy = b->result;
    TRY(make_tensor(&activated, b->owner, CUDNN_UID_ACTIVATED, type_of(b->problem->type), b->shape));
    TRY(make_pointwise(&relu, b->owner, CUDNN_POINTWISE_RELU_BWD));
    TRY(finalize(relu));
    b->left--;
    TRY(make_result(b));
    TRY(cudnn_descriptor_new(&op, b->owner, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR));
    TRY(set_descriptor(op, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, relu));
    TRY(set_descriptor(op, CUDNN_ATTR_OPERATION_POINTWISE_DYDESC, dy));
    TRY(set_descriptor(op, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, activated));
    TRY(set_descriptor(op, CUDNN_ATTR_OPERATION_POINTWISE_DXDESC, b->result));
    TRY(finalize(op));
    b->operations[b->count++] = op;
done:
    return st;
}

/* A relu with two bounds is taken by one plain engine only, without tensor cores: as two relus it gets the fast ones.
 */
static int relus_of(const sal_activation *a)
{
    return a->kind == SAL_ACT_NONE ? 0 : a->kind == SAL_ACT_CLIP && isfinite(a->beta) ? 2 : 1;
}

static sal_status add_activation(builder *b, const sal_activation *a)
{
    sal_status st = SAL_OK;
    const double low = a->kind == SAL_ACT_CLIP ? (double)a->alpha : 0;
    const double slope = a->kind == SAL_ACT_LEAKY_RELU ? (double)a->alpha : 0;
    TRY(add_relu(b, low, INFINITY, slope));
    if (relus_of(a) == 2)
        TRY(add_relu(b, low, (double)a->beta, 0));
done:
    return st;
}

/* ---- The graph ------------------------------------------------------------- */

static sal_status check_activation(const sal_activation *a, cudnn_graph_kind kind)
{
    const int forward = kind == CUDNN_GRAPH_FORWARD;
    if (a->kind == SAL_ACT_NONE || a->kind == SAL_ACT_RELU)
        return SAL_OK;
    if (forward && (a->kind == SAL_ACT_LEAKY_RELU || (a->kind == SAL_ACT_CLIP && isfinite(a->alpha))))
        return SAL_OK;
    return sal_fail(SAL_ERROR_UNSUPPORTED, "cuDNN: %s is not fused", sal_activation_name(a->kind));
}

sal_status cudnn_describe_problem(descriptor *out, cudnn_descriptors *owner, const cudnn_graph_problem *p,
                                  cudnnHandle_t handle)
{
    sal_status st = SAL_OK;
    builder b = {.owner = owner, .problem = p, .next_uid = CUDNN_UID_VIRTUAL};
    b.left = (p->add != 0) + (p->bias != 0) + relus_of(&p->activation);
    b.shape = p->kind == CUDNN_GRAPH_FORWARD ? p->conv.out : p->conv.in;
    TRY(check_activation(&p->activation, p->kind));
    TRY(add_convolution(&b));
    /* In this order the engines made for residual networks know the pattern. */
    if (p->add)
        TRY(add_sum(&b, CUDNN_UID_ADD, type_of(p->type), b.shape));
    if (p->bias)
        TRY(add_sum(&b, CUDNN_UID_BIAS, type_of(p->bias_type), (cuda_extent){1, 1, 1, b.shape.channels}));
    if (p->activation.kind != SAL_ACT_NONE)
        TRY(p->kind == CUDNN_GRAPH_FORWARD ? add_activation(&b, &p->activation) : add_relu_backward(&b));
    TRY(cudnn_descriptor_new(out, owner, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR));
    TRY(CUDNN_CHECK(nvidia.cudnnBackendSetAttribute(*out, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                                    b.count, b.operations)));
    if (handle)
        TRY(CUDNN_CHECK(
            nvidia.cudnnBackendSetAttribute(*out, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle)));
    TRY(finalize(*out));
done:
    return st;
}
