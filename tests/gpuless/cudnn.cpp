/* cuDNN's graph API on the CPU: descriptors are recorded and checked as they are set, and an operation graph is
 * interpreted in double from what they say alone: dimensions, strides, types, paddings.
 *
 * It has two engines. SAL_EMU_BROKEN says what is wrong with them: "first": the first one's plans do not run; "fused":
 * plans of more than the convolution do not, with either; "parts": those cannot be prepared, since a part of cuDNN is
 * missing.
 * SAL_EMU_UNFUSED says what it has no engines for, so that every way round a missing engine is gone: "forward" and
 * "backward": graphs of that direction with more than the convolution; "all": both; "none": no graph at all. */
#include "runtime.hpp"

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cudnn.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

using namespace emulator;

struct cudnnContext {
    cudaStream_t stream;
};

namespace
{

struct descriptor {
    cudnnBackendDescriptorType_t type;
    bool finalized = false;
    std::map<int, std::vector<char>> attributes;
    std::map<int, std::vector<std::shared_ptr<descriptor>>> children;
    std::shared_ptr<descriptor> graph; /* of engines, configurations, plans */
    int64_t engine = 0;                /* likewise */
};

typedef std::shared_ptr<descriptor> ref;

thread_local std::string last_error;

cudnnStatus_t refuse(cudnnStatus_t status, const char *why)
{
    last_error = why;
    return status;
}

/* Handles that callers hold: a descriptor lives on while another one refers to it. */
std::map<void *, ref> &handles()
{
    static std::map<void *, ref> all;
    return all;
}

ref find(void *handle)
{
    auto at = handles().find(handle);
    return at == handles().end() ? nullptr : at->second;
}

template <class T> std::vector<T> values(const descriptor &d, int name)
{
    auto at = d.attributes.find(name);
    if (at == d.attributes.end())
        return {};
    std::vector<T> v(at->second.size() / sizeof(T));
    memcpy(v.data(), at->second.data(), v.size() * sizeof(T));
    return v;
}

template <class T> T value(const descriptor &d, int name, T otherwise)
{
    const std::vector<T> v = values<T>(d, name);
    return v.empty() ? otherwise : v[0];
}

ref child(const descriptor &d, int name)
{
    auto at = d.children.find(name);
    return at == d.children.end() || at->second.empty() ? nullptr : at->second[0];
}

size_t size_of(cudnnBackendAttributeType_t type)
{
    switch (type) {
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_DOUBLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_HANDLE: return 8;
    case CUDNN_TYPE_BOOLEAN:
    case CUDNN_TYPE_CHAR: return 1;
    default: return 4;
    }
}

/* ---- Tensors --------------------------------------------------------------------- */

struct tensor {
    std::vector<int64_t> dim, stride;
    cudnnDataType_t type;
    int64_t uid;
    bool intermediate;

    explicit tensor(const descriptor &d)
        : dim(values<int64_t>(d, CUDNN_ATTR_TENSOR_DIMENSIONS)), stride(values<int64_t>(d, CUDNN_ATTR_TENSOR_STRIDES)),
          type(value(d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_DATA_DOUBLE)),
          uid(value<int64_t>(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, -1)),
          intermediate(value<char>(d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, 0) != 0)
    {
    }

    size_t element() const
    {
        return type == CUDNN_DATA_FLOAT ? 4 : 2;
    }

    int64_t count() const
    {
        return dim[0] * dim[1] * dim[2] * dim[3];
    }

    size_t span() const
    {
        int64_t last = 0;
        for (size_t k = 0; k < 4; k++)
            last += (dim[k] - 1) * stride[k];
        return (size_t)(last + 1) * element();
    }

    int64_t at(int64_t n, int64_t c, int64_t h, int64_t w) const
    {
        return n * stride[0] + c * stride[1] + h * stride[2] + w * stride[3];
    }
};

double load(const void *p, int64_t i, cudnnDataType_t type)
{
    if (type == CUDNN_DATA_HALF)
        return (double)__half2float(((const __half *)p)[i]);
    if (type == CUDNN_DATA_BFLOAT16)
        return (double)__bfloat162float(((const __nv_bfloat16 *)p)[i]);
    return (double)((const float *)p)[i];
}

void store(void *p, int64_t i, cudnnDataType_t type, double v)
{
    if (type == CUDNN_DATA_HALF)
        ((__half *)p)[i] = __float2half((float)v);
    else if (type == CUDNN_DATA_BFLOAT16)
        ((__nv_bfloat16 *)p)[i] = __float2bfloat16((float)v);
    else
        ((float *)p)[i] = (float)v;
}

/* Dense, (n, h, w, c): the order that products run in. */
typedef std::vector<double> numbers;

numbers read(const tensor &t, const void *p)
{
    numbers v((size_t)t.count());
    size_t k = 0;
    for (int64_t n = 0; n < t.dim[0]; n++)
        for (int64_t h = 0; h < t.dim[2]; h++)
            for (int64_t w = 0; w < t.dim[3]; w++)
                for (int64_t c = 0; c < t.dim[1]; c++)
                    v[k++] = load(p, t.at(n, c, h, w), t.type);
    return v;
}

void write(const tensor &t, void *p, const numbers &v)
{
    size_t k = 0;
    for (int64_t n = 0; n < t.dim[0]; n++)
        for (int64_t h = 0; h < t.dim[2]; h++)
            for (int64_t w = 0; w < t.dim[3]; w++)
                for (int64_t c = 0; c < t.dim[1]; c++)
                    store(p, t.at(n, c, h, w), t.type, v[k++]);
}

/* ---- Checks ------------------------------------------------------------------------ */

cudnnStatus_t check_tensor(const descriptor &d)
{
    const tensor t(d);
    if (t.dim.size() != 4 || t.stride.size() != 4 || t.uid < 0)
        return refuse(CUDNN_STATUS_BAD_PARAM, "tensor: dimensions, strides or id are missing");
    if (t.type != CUDNN_DATA_FLOAT && t.type != CUDNN_DATA_HALF && t.type != CUDNN_DATA_BFLOAT16)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "tensor: type");
    if (value<int64_t>(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 0) % 16 != 0)
        return refuse(CUDNN_STATUS_BAD_PARAM, "tensor: alignment");
    for (size_t k = 0; k < 4; k++)
        if (t.dim[k] < 1 || t.stride[k] < 1)
            return refuse(CUDNN_STATUS_BAD_PARAM, "tensor: a dimension or stride is not positive");
    /* Without gaps, channels last or first: what the real one has engines for. */
    const int64_t last[4] = {t.dim[1] * t.dim[2] * t.dim[3], 1, t.dim[1] * t.dim[3], t.dim[1]};
    const int64_t first[4] = {t.dim[1] * t.dim[2] * t.dim[3], t.dim[2] * t.dim[3], t.dim[3], 1};
    bool is_last = true, is_first = true;
    for (size_t k = 0; k < 4; k++) {
        is_last = is_last && (t.dim[k] == 1 || t.stride[k] == last[k]);
        is_first = is_first && (t.dim[k] == 1 || t.stride[k] == first[k]);
    }
    if (!is_last && !is_first)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "tensor: strides with gaps or in an unusual order");
    return CUDNN_STATUS_SUCCESS;
}

struct convolution {
    bool backward;
    tensor x, w, y; /* x: the larger end, whatever the direction */
    std::vector<int64_t> stride, dilation, before, after;

    explicit convolution(const descriptor &op)
        : backward(op.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR),
          x(*child(op, backward ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX
                                : CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X)),
          w(*child(op, backward ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W
                                : CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W)),
          y(*child(op, backward ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY
                                : CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y))
    {
        const ref c = child(op, backward ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC
                                         : CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC);
        stride = values<int64_t>(*c, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES);
        dilation = values<int64_t>(*c, CUDNN_ATTR_CONVOLUTION_DILATIONS);
        before = values<int64_t>(*c, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS);
        after = values<int64_t>(*c, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS);
    }

    int64_t groups() const
    {
        return x.dim[1] / w.dim[1];
    }
};

bool has_children(const descriptor &d, std::initializer_list<int> names)
{
    for (int name : names)
        if (!child(d, name) || !child(d, name)->finalized)
            return false;
    return true;
}

cudnnStatus_t check_convolution(const descriptor &op)
{
    const bool backward = op.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR;
    const bool whole =
        backward
            ? has_children(op,
                           {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC})
            : has_children(op, {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                                CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                                CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC});
    if (!whole)
        return refuse(CUDNN_STATUS_BAD_PARAM, "convolution: a tensor is missing or not finalized");
    const float alpha = value(
        op, backward ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA : CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
        0.0f);
    const float beta = value(
        op, backward ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA : CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
        1.0f);
    if (alpha != 1.0f || beta != 0.0f)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "convolution: alpha must be 1, beta 0");
    const convolution c(op);
    if (c.w.dim[1] == 0 || c.x.dim[1] % c.w.dim[1] != 0 || c.w.dim[0] != c.y.dim[1] || c.y.dim[1] % c.groups() != 0 ||
        c.x.dim[0] != c.y.dim[0])
        return refuse(CUDNN_STATUS_BAD_PARAM, "convolution: channels or pictures do not match");
    for (size_t k = 0; k < 2; k++) {
        const int64_t window = (c.w.dim[2 + k] - 1) * c.dilation[k] + 1;
        if ((c.x.dim[2 + k] + c.before[k] + c.after[k] - window) / c.stride[k] + 1 != c.y.dim[2 + k])
            return refuse(CUDNN_STATUS_BAD_PARAM, "convolution: output size does not follow from the input's");
    }
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t check_window(const descriptor &d)
{
    for (int name : {CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_ATTR_CONVOLUTION_DILATIONS,
                     CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS})
        if (values<int64_t>(d, name).size() != 2)
            return refuse(CUDNN_STATUS_BAD_PARAM, "convolution: strides, dilations or paddings are missing");
    if (value(d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CONVOLUTION) != CUDNN_CROSS_CORRELATION)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "convolution: mode");
    return CUDNN_STATUS_SUCCESS;
}

/* dx = dy times the derivative at x. */
cudnnStatus_t check_backward_pointwise(const descriptor &op)
{
    if (!has_children(op, {CUDNN_ATTR_OPERATION_POINTWISE_DYDESC, CUDNN_ATTR_OPERATION_POINTWISE_XDESC,
                           CUDNN_ATTR_OPERATION_POINTWISE_DXDESC}))
        return refuse(CUDNN_STATUS_BAD_PARAM, "pointwise: a tensor is missing or not finalized");
    const tensor dy(*child(op, CUDNN_ATTR_OPERATION_POINTWISE_DYDESC)),
        x(*child(op, CUDNN_ATTR_OPERATION_POINTWISE_XDESC)), dx(*child(op, CUDNN_ATTR_OPERATION_POINTWISE_DXDESC));
    if (dy.dim != dx.dim || x.dim != dx.dim)
        return refuse(CUDNN_STATUS_BAD_PARAM, "pointwise: shapes differ");
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t check_pointwise(const descriptor &op)
{
    if (child(op, CUDNN_ATTR_OPERATION_POINTWISE_DXDESC))
        return check_backward_pointwise(op);
    if (!has_children(op, {CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_XDESC,
                           CUDNN_ATTR_OPERATION_POINTWISE_YDESC}))
        return refuse(CUDNN_STATUS_BAD_PARAM, "pointwise: a tensor is missing or not finalized");
    const tensor x(*child(op, CUDNN_ATTR_OPERATION_POINTWISE_XDESC)),
        y(*child(op, CUDNN_ATTR_OPERATION_POINTWISE_YDESC));
    if (x.dim != y.dim)
        return refuse(CUDNN_STATUS_BAD_PARAM, "pointwise: shapes differ");
    if (child(op, CUDNN_ATTR_OPERATION_POINTWISE_BDESC)) {
        const tensor b(*child(op, CUDNN_ATTR_OPERATION_POINTWISE_BDESC));
        for (size_t k = 0; k < 4; k++)
            if (b.dim[k] != y.dim[k] && b.dim[k] != 1)
                return refuse(CUDNN_STATUS_BAD_PARAM, "pointwise: shapes do not broadcast");
    }
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t check(const descriptor &d)
{
    switch (d.type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR: return check_tensor(d);
    case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR: return check_window(d);
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR: return check_convolution(d);
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR: return check_pointwise(d);
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
        if (d.children.count(CUDNN_ATTR_OPERATIONGRAPH_OPS) == 0)
            return refuse(CUDNN_STATUS_BAD_PARAM, "graph: no operations");
        return CUDNN_STATUS_SUCCESS;
    default: return CUDNN_STATUS_SUCCESS;
    }
}

/* ---- Engines ------------------------------------------------------------------------ */

bool has_engine(const descriptor &graph)
{
    const char *const without = getenv("SAL_EMU_UNFUSED");
    const auto &ops = graph.children.at(CUDNN_ATTR_OPERATIONGRAPH_OPS);
    const bool backward = ops[0]->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR;
    if (!without)
        return true;
    if (strcmp(without, "none") == 0)
        return false;
    return ops.size() == 1 || !(strcmp(without, "all") == 0 || strcmp(without, backward ? "backward" : "forward") == 0);
}

enum { WORKSPACE = 4096, ENGINES = 2 };

bool is_broken(const descriptor &plan, const char *how)
{
    const char *const broken = getenv("SAL_EMU_BROKEN");
    if (!broken || strcmp(broken, how) != 0)
        return false;
    return strcmp(how, "first") == 0 ? plan.engine == 1
                                     : plan.graph->children.at(CUDNN_ATTR_OPERATIONGRAPH_OPS).size() > 1;
}

/* ---- Interpreting -------------------------------------------------------------------- */

typedef std::map<int64_t, void *> pack;

/* For each pair of an output and an input element under one tap of the window: f(output, input, tap). */
template <class F> void each_tap(const convolution &c, int64_t n, F f)
{
    for (int64_t p = 0; p < c.y.dim[2]; p++)
        for (int64_t q = 0; q < c.y.dim[3]; q++)
            for (int64_t r = 0; r < c.w.dim[2]; r++)
                for (int64_t s = 0; s < c.w.dim[3]; s++) {
                    const int64_t h = p * c.stride[0] - c.before[0] + r * c.dilation[0];
                    const int64_t w = q * c.stride[1] - c.before[1] + s * c.dilation[1];
                    if (h >= 0 && h < c.x.dim[2] && w >= 0 && w < c.x.dim[3])
                        f((n * c.y.dim[2] + p) * c.y.dim[3] + q, (n * c.x.dim[2] + h) * c.x.dim[3] + w,
                          r * c.w.dim[3] + s);
                }
}

bool is_zero(const numbers &v)
{
    return std::all_of(v.begin(), v.end(), [](double e) { return e == 0.0; });
}

/* Of each group and tap, a row for each channel that is read: its weights for the channels that are written. */
numbers rows_of(const convolution &c, const numbers &weight)
{
    const int64_t inner = c.w.dim[1], outer = c.w.dim[0] / c.groups(), taps = c.w.dim[2] * c.w.dim[3];
    numbers rows(weight.size());
    for (int64_t o = 0; o < c.w.dim[0]; o++)
        for (int64_t tap = 0; tap < taps; tap++)
            for (int64_t k = 0; k < inner; k++) {
                const int64_t group_and_tap = o / outer * taps + tap, j = o % outer;
                const int64_t cell = c.backward ? j * inner + k : k * outer + j;
                rows[(size_t)(group_and_tap * outer * inner + cell)] = weight[(size_t)((o * taps + tap) * inner + k)];
            }
    return rows;
}

numbers convolve(const convolution &c, const numbers &from, const numbers &weight)
{
    const int64_t groups = c.groups(), inner = c.w.dim[1], outer = c.w.dim[0] / groups, taps = c.w.dim[2] * c.w.dim[3];
    const int64_t ins = c.backward ? outer : inner, outs = c.backward ? inner : outer; /* channels of a group */
    numbers to((size_t)(c.backward ? c.x.count() : c.y.count()), 0.0);
    if (is_zero(weight) && is_zero(from)) /* as trials of plans are */
        return to;
    const numbers rows = rows_of(c, weight);
#pragma omp parallel for num_threads(2)
    for (int64_t n = 0; n < c.x.dim[0]; n++)
        each_tap(c, n, [&](int64_t y, int64_t x, int64_t tap) {
            const int64_t source = c.backward ? y : x, target = c.backward ? x : y;
            for (int64_t g = 0; g < groups; g++)
                for (int64_t k = 0; k < ins; k++)
                    add_times(&to[(size_t)((target * groups + g) * outs)],
                              &rows[(size_t)(((g * taps + tap) * ins + k) * outs)],
                              from[(size_t)((source * groups + g) * ins + k)], outs);
        });
    return to;
}

double relu(const descriptor &pw, double v)
{
    const double low = value(pw, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP, 0.0);
    const double high = value(pw, CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, (double)INFINITY);
    const double slope = value(pw, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, 0.0);
    if (v <= low)
        return low + slope * (v - low);
    return v > high ? high : v;
}

struct interpreter {
    pack memory;
    std::map<int64_t, numbers> known;

    numbers &operand(const tensor &t)
    {
        if (known.count(t.uid) == 0)
            known[t.uid] = read(t, memory.at(t.uid));
        return known[t.uid];
    }

    void result(const tensor &t, numbers v)
    {
        if (!t.intermediate)
            write(t, memory.at(t.uid), v);
        known[t.uid] = std::move(v);
    }

    void relu_backward(const descriptor &op)
    {
        const tensor dy(*child(op, CUDNN_ATTR_OPERATION_POINTWISE_DYDESC)),
            x(*child(op, CUDNN_ATTR_OPERATION_POINTWISE_XDESC)), dx(*child(op, CUDNN_ATTR_OPERATION_POINTWISE_DXDESC));
        numbers v = operand(dy);
        const numbers &at = operand(x);
        for (size_t k = 0; k < v.size(); k++)
            v[k] = at[k] > 0.0 ? v[k] : at[k] != at[k] ? at[k] : 0.0;
        result(dx, std::move(v));
    }

    void pointwise(const descriptor &op)
    {
        const descriptor &pw = *child(op, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
        if (value(pw, CUDNN_ATTR_POINTWISE_MODE, CUDNN_POINTWISE_IDENTITY) == CUDNN_POINTWISE_RELU_BWD) {
            relu_backward(op);
            return;
        }
        const tensor x(*child(op, CUDNN_ATTR_OPERATION_POINTWISE_XDESC));
        const tensor y(*child(op, CUDNN_ATTR_OPERATION_POINTWISE_YDESC));
        numbers v = operand(x);
        switch (value(pw, CUDNN_ATTR_POINTWISE_MODE, CUDNN_POINTWISE_IDENTITY)) {
        case CUDNN_POINTWISE_RELU_FWD:
            for (double &e : v)
                e = relu(pw, e);
            break;
        case CUDNN_POINTWISE_ADD: {
            const tensor t(*child(op, CUDNN_ATTR_OPERATION_POINTWISE_BDESC));
            const numbers &b = operand(t);
            for (size_t k = 0; k < v.size(); k++)
                v[k] += b[t.dim[2] * t.dim[3] * t.dim[0] == 1 ? k % (size_t)t.dim[1] : k];
            break;
        }
        default: die("a pointwise mode that is not emulated");
        }
        result(y, std::move(v));
    }

    void run(const descriptor &op)
    {
        if (op.type == CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR) {
            pointwise(op);
            return;
        }
        const convolution c(op);
        const numbers from = operand(c.backward ? c.y : c.x), weight = operand(c.w);
        result(c.backward ? c.x : c.y, convolve(c, from, weight));
    }
};

/* All tensors of a graph that have memory must be in the pack, wholly on the device. */
void check_memory(const descriptor &graph, const pack &memory)
{
    for (const ref &op : graph.children.at(CUDNN_ATTR_OPERATIONGRAPH_OPS))
        for (const auto &c : op->children)
            for (const ref &d : c.second) {
                if (d->type != CUDNN_BACKEND_TENSOR_DESCRIPTOR)
                    continue;
                const tensor t(*d);
                if (t.intermediate)
                    continue;
                if (memory.count(t.uid) == 0)
                    die("cudnnBackendExecute: tensor %lld is not in the variant pack", (long long)t.uid);
                void *p = memory.at(t.uid);
                if (!is_device(p, t.span()) || (uintptr_t)p % 16 != 0)
                    die("cudnnBackendExecute: tensor %lld is not in device memory, or not aligned", (long long)t.uid);
            }
}

} // namespace

/* ---- The library's functions ------------------------------------------------------------- */

extern "C" {

size_t cudnnGetVersion(void)
{
    return CUDNN_VERSION;
}

const char *cudnnGetErrorString(cudnnStatus_t status)
{
    return status == CUDNN_STATUS_SUCCESS ? "CUDNN_STATUS_SUCCESS" : "emulated error";
}

void cudnnGetLastErrorString(char *message, size_t size)
{
    snprintf(message, size, "%s", last_error.c_str());
}

cudnnStatus_t cudnnCreate(cudnnHandle_t *h)
{
    guard g(device_lock());
    *h = nullptr;
    if (fails("cudnnCreate"))
        return CUDNN_STATUS_NOT_INITIALIZED;
    *h = new cudnnContext{};
    count_object("cuDNN handles", 1);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t h)
{
    guard g(device_lock());
    delete h;
    count_object("cuDNN handles", -1);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t h, cudaStream_t stream)
{
    guard g(device_lock());
    if (fails("cudnnSetStream"))
        return CUDNN_STATUS_INTERNAL_ERROR;
    h->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *out)
{
    guard g(device_lock());
    *out = nullptr;
    if (fails("cudnnBackendCreateDescriptor"))
        return CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED;
    ref d = std::make_shared<descriptor>();
    d->type = type;
    void *handle = new char;
    handles()[handle] = d;
    count_object("cuDNN descriptors", 1);
    *out = (cudnnBackendDescriptor_t)handle;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t handle)
{
    guard g(device_lock());
    if (handles().erase(handle) == 0)
        die("cudnnBackendDestroyDescriptor: no descriptor, or destroyed before");
    delete (char *)handle;
    count_object("cuDNN descriptors", -1);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t handle, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count, const void *elements)
{
    guard g(device_lock());
    const ref d = find(handle);
    if (fails("cudnnBackendSetAttribute"))
        return refuse(CUDNN_STATUS_INTERNAL_ERROR, "asked to fail");
    if (!d || d->finalized || count < 1)
        return refuse(CUDNN_STATUS_BAD_PARAM, "attribute of no descriptor, or of a finalized one");
    if (type != CUDNN_TYPE_BACKEND_DESCRIPTOR) {
        const char *bytes = (const char *)elements;
        d->attributes[name].assign(bytes, bytes + (size_t)count * size_of(type));
        return CUDNN_STATUS_SUCCESS;
    }
    std::vector<ref> &list = d->children[name];
    list.clear();
    for (int64_t k = 0; k < count; k++) {
        const ref c = find(((void *const *)elements)[k]);
        if (!c || !c->finalized)
            return refuse(CUDNN_STATUS_BAD_PARAM, "an attribute is no finalized descriptor");
        list.push_back(c);
    }
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t handle)
{
    guard g(device_lock());
    const ref d = find(handle);
    if (fails("cudnnBackendFinalize"))
        return refuse(CUDNN_STATUS_INTERNAL_ERROR, "asked to fail");
    if (!d)
        return CUDNN_STATUS_BAD_PARAM;
    const cudnnStatus_t status = check(*d);
    if (status != CUDNN_STATUS_SUCCESS)
        return status;
    if (d->type == CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR)
        d->graph = child(*d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
    if (d->type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) {
        const ref config = child(*d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
        if (!config)
            return refuse(CUDNN_STATUS_NOT_SUPPORTED, "plans are not read from text here");
        d->graph = config->graph;
        d->engine = config->engine;
        if (is_broken(*d, "parts"))
            return refuse(CUDNN_STATUS_NOT_SUPPORTED_SUBLIBRARY_UNAVAILABLE, "a part of it is missing");
    }
    d->finalized = true;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t handle, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t, int64_t asked, int64_t *count, void *elements)
{
    guard g(device_lock());
    const ref d = find(handle);
    if (fails("cudnnBackendGetAttribute"))
        return refuse(CUDNN_STATUS_INTERNAL_ERROR, "asked to fail");
    if (!d)
        return CUDNN_STATUS_BAD_PARAM;
    *count = 0;
    switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS: {
        if (asked < 1 || !has_engine(*d->graph))
            return CUDNN_STATUS_SUCCESS;
        for (*count = 0; *count < asked && *count < ENGINES; ++*count) {
            const ref config = find(((void **)elements)[*count]);
            config->graph = d->graph;
            config->engine = *count + 1;
            config->finalized = true;
        }
        break;
    }
    case CUDNN_ATTR_ENGINECFG_ENGINE:
        find(*(void **)elements)->graph = d->graph;
        find(*(void **)elements)->engine = d->engine;
        *count = 1;
        break;
    case CUDNN_ATTR_ENGINE_GLOBAL_INDEX:
        *(int64_t *)elements = d->engine;
        *count = 1;
        break;
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE: break;
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
        *(int64_t *)elements = WORKSPACE;
        *count = 1;
        break;
    default: return refuse(CUDNN_STATUS_NOT_SUPPORTED, "an attribute that is not emulated");
    }
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t h, cudnnBackendDescriptor_t plan_handle,
                                  cudnnBackendDescriptor_t pack_handle)
{
    guard g(device_lock());
    const ref plan = find(plan_handle), p = find(pack_handle);
    if (fails("cudnnBackendExecute"))
        return refuse(CUDNN_STATUS_EXECUTION_FAILED, "asked to fail");
    if (!plan || !p || !plan->finalized || !p->finalized)
        return refuse(CUDNN_STATUS_BAD_PARAM, "plan or variant pack");
    const std::vector<int64_t> uids = values<int64_t>(*p, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    const std::vector<void *> pointers = values<void *>(*p, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
    void *workspace = value<void *>(*p, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, nullptr);
    if (uids.size() != pointers.size() || !is_device(workspace, WORKSPACE))
        die("cudnnBackendExecute: the variant pack is not whole, or the workspace no device memory");
    pack memory;
    for (size_t k = 0; k < uids.size(); k++)
        memory[uids[k]] = pointers[k];
    if (is_broken(*plan, "first") || is_broken(*plan, "fused"))
        return refuse(CUDNN_STATUS_EXECUTION_FAILED, "it broke down");
    const ref graph = plan->graph;
    check_memory(*graph, memory);
    enqueue(h->stream, [=] {
        memset(workspace, 0xff, WORKSPACE);
        interpreter i{memory, {}};
        for (const ref &op : graph->children.at(CUDNN_ATTR_OPERATIONGRAPH_OPS))
            i.run(*op);
    });
    return CUDNN_STATUS_SUCCESS;
}

} /* extern "C" */
