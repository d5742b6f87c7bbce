/* Convolution, pooling and padding. */
#include "import/onnx/lower/emit.h"
#include "import/onnx/lower/handlers.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/op.h"
#include "import/onnx/tensor.h"

#include <float.h>
#include <math.h>

/* No extent of a picture or window comes near; sums and products below stay far from overflow. */
static const int64_t max_extent = (int64_t)1 << 30;

/* Two numbers for height and width from an attribute; the fallback where it is absent. */
static sal_status read_pair(int64_t *out, const onnx_op *op, const char *name, int64_t fallback)
{
    const int64_t *list;
    size_t count;
    sal_status st = onnx_attribute_ints(&list, &count, op, name);
    if (st != SAL_OK)
        return st;
    if (list && count != 2)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "%s has %zu entries; windows are two-dimensional here", name,
                         count);
    for (int i = 0; i < 2; i++) {
        out[i] = list ? list[i] : fallback;
        if (out[i] < (fallback ? 1 : 0) || out[i] > max_extent)
            return onnx_fail(op, SAL_ERROR_FORMAT, "%s is %lld", name, (long long)out[i]);
    }
    return SAL_OK;
}

static int64_t covered(const sal_window *w, int i)
{
    return (w->kernel[i] - 1) * w->dilation[i] + 1;
}

/* SAME: as many outputs as strides fit, the padding shared by both sides. */
static void pad_same(sal_window *w, const int64_t *extent, int upper)
{
    for (int i = 0; i < 2; i++) {
        int64_t outputs = (extent[i] + w->stride[i] - 1) / w->stride[i];
        int64_t total = (outputs - 1) * w->stride[i] + covered(w, i) - extent[i];
        total = total < 0 ? 0 : total;
        w->pad_begin[i] = upper ? total / 2 : total - total / 2;
        w->pad_end[i] = total - w->pad_begin[i];
    }
}

/* Strides, dilations and pads; the kernel is known. extent: the input's height and width. */
static sal_status read_window(sal_window *w, const onnx_op *op, const int64_t *extent)
{
    sal_status st = SAL_OK;
    const int64_t *pads;
    size_t count;
    TRY(read_pair(w->stride, op, "strides", 1));
    TRY(read_pair(w->dilation, op, "dilations", 1));
    TRY(onnx_attribute_ints(&pads, &count, op, "pads"));
    if (pads && count != 4)
        return onnx_fail(op, SAL_ERROR_FORMAT, "pads has %zu entries, expected 4", count);
    for (int i = 0; i < 2; i++) {
        if (w->kernel[i] > max_extent / w->dilation[i] || extent[i] > max_extent)
            return onnx_fail(op, SAL_ERROR_LIMIT, "a window of %lld over %lld", (long long)w->kernel[i],
                             (long long)extent[i]);
        w->pad_begin[i] = pads ? pads[i] : 0;
        w->pad_end[i] = pads ? pads[2 + i] : 0;
        if (w->pad_begin[i] < 0 || w->pad_end[i] < 0 || w->pad_begin[i] > max_extent || w->pad_end[i] > max_extent)
            return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "pads of %lld and %lld", (long long)w->pad_begin[i],
                             (long long)w->pad_end[i]);
    }
    if (onnx_attribute_is(op, "auto_pad", "SAME_UPPER", "NOTSET"))
        pad_same(w, extent, 1);
    else if (onnx_attribute_is(op, "auto_pad", "SAME_LOWER", "NOTSET"))
        pad_same(w, extent, 0);
    else if (onnx_attribute_is(op, "auto_pad", "VALID", "NOTSET"))
        w->pad_begin[0] = w->pad_begin[1] = w->pad_end[0] = w->pad_end[1] = 0;
    else if (!onnx_attribute_is(op, "auto_pad", "NOTSET", "NOTSET"))
        st = onnx_fail(op, SAL_ERROR_UNSUPPORTED, "salmap does not know its auto_pad");
done:
    return st;
}

static sal_status need_map(int *x, onnx_importer *im, const onnx_op *op)
{
    sal_status st = onnx_node(x, im, op, 0);
    if (st == SAL_OK && onnx_shape(im, *x)->rank != 4)
        st = onnx_fail(op, SAL_ERROR_UNSUPPORTED, "its input has rank %d; windows are two-dimensional here",
                       onnx_shape(im, *x)->rank);
    return st;
}

sal_status onnx_lower_conv(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int x, node;
    const onnx_tensor *weight;
    sal_window w = {0};
    int64_t given[2];
    TRY(need_map(&x, im, op));
    TRY(onnx_constant(&weight, im, op, 1));
    const sal_shape shape = weight->shape;
    const int64_t channels = onnx_shape(im, x)->dim[1];
    if (shape.rank != 4 || shape.dim[2] < 1 || shape.dim[3] < 1)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "weights of rank %d; convolutions are two-dimensional here",
                         shape.rank);
    w.kernel[0] = shape.dim[2];
    w.kernel[1] = shape.dim[3];
    TRY(read_pair(given, op, "kernel_shape", 1));
    if (onnx_attribute_find(op, "kernel_shape") && (given[0] != w.kernel[0] || given[1] != w.kernel[1]))
        return onnx_fail(op, SAL_ERROR_FORMAT, "kernel_shape is not that of the weights");
    TRY(onnx_attribute_int(&w.groups, op, "group", 1));
    TRY(read_window(&w, op, &onnx_shape(im, x)->dim[2]));
    if (w.groups < 1 || channels % w.groups != 0 || channels / w.groups != shape.dim[1])
        return onnx_fail(op, SAL_ERROR_FORMAT, "weights for %lld x %lld channels, the input has %lld",
                         (long long)w.groups, (long long)shape.dim[1], (long long)channels);
    TRY(onnx_start(&node, im, op, SAL_OP_CONV, &x, 1));
    sal_node *n = &im->graph->nodes[node];
    n->window = w;
    TRY(onnx_take(&n->weight, &n->weight_count, im, op, 1));
    if (onnx_has_input(op, 2))
        TRY(onnx_take(&n->bias, &n->bias_count, im, op, 2));
    TRY(onnx_finish(im, op, node));
    onnx_output_node(im, op, 0, node);
done:
    return st;
}

/* Ceil mode: the last window may hang over the end, but must start on the input or its left padding.
 * extended: 1 where a window reaches beyond the padding that the file asks for. */
static void extend_for_ceil(sal_window *w, const int64_t *extent, int *extended)
{
    *extended = 0;
    for (int i = 0; i < 2; i++) {
        int64_t padded = extent[i] + w->pad_begin[i] + w->pad_end[i], room = padded - covered(w, i);
        if (room < 0)
            continue; /* refused by the shape rule */
        int64_t outputs = (room + w->stride[i] - 1) / w->stride[i] + 1;
        if ((outputs - 1) * w->stride[i] >= extent[i] + w->pad_begin[i])
            outputs--;
        int64_t end = (outputs - 1) * w->stride[i] + covered(w, i) - extent[i] - w->pad_begin[i];
        *extended |= end > w->pad_end[i];
        w->pad_end[i] = end < 0 ? 0 : end;
    }
}

static sal_status read_pool(sal_window *w, int *extended, onnx_importer *im, const onnx_op *op, int x, int *ceil_mode)
{
    sal_status st = SAL_OK;
    int64_t ceil_flag;
    if (!onnx_attribute_find(op, "kernel_shape"))
        return onnx_fail(op, SAL_ERROR_FORMAT, "kernel_shape is missing");
    w->groups = 1;
    *extended = 0;
    TRY(read_pair(w->kernel, op, "kernel_shape", 1));
    TRY(read_window(w, op, &onnx_shape(im, x)->dim[2]));
    TRY(onnx_attribute_int(&ceil_flag, op, "ceil_mode", 0));
    *ceil_mode = ceil_flag != 0;
done:
    return st;
}

static sal_status emit_pool(int *out, onnx_importer *im, const onnx_op *op, sal_op core, int x, const sal_window *w)
{
    sal_status st = onnx_start(out, im, op, core, &x, 1);
    if (st != SAL_OK)
        return st;
    im->graph->nodes[*out].window = *w;
    return onnx_finish(im, op, *out);
}

/* Maxima of large windows are taken along rows and then of these along columns: back ends keep which of at most 256
 * elements was the largest. The first of equal ones in the order of rows stays the one. */
static sal_status emit_max_pool(int *out, onnx_importer *im, const onnx_op *op, int x, const sal_window *w)
{
    enum { MOST = 256 };
    sal_status st = SAL_OK;
    sal_window along[2] = {*w, *w}; /* rows, columns */
    if (w->kernel[0] <= MOST && w->kernel[1] <= MOST && w->kernel[0] * w->kernel[1] <= MOST)
        return emit_pool(out, im, op, SAL_OP_MAX_POOL, x, w);
    for (int i = 0; i < 2; i++) {
        along[i].kernel[i] = along[i].stride[i] = along[i].dilation[i] = 1;
        along[i].pad_begin[i] = along[i].pad_end[i] = 0;
        TRY(emit_pool(&x, im, op, SAL_OP_MAX_POOL, x, &along[i]));
    }
    *out = x;
done:
    return st;
}

sal_status onnx_lower_max_pool(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int x, node, ceil_mode, extended;
    int64_t storage_order;
    sal_window w = {0};
    TRY(need_map(&x, im, op));
    TRY(onnx_attribute_int(&storage_order, op, "storage_order", 0));
    if (storage_order != 0)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "storage_order %lld", (long long)storage_order);
    TRY(read_pool(&w, &extended, im, op, x, &ceil_mode));
    if (ceil_mode)
        extend_for_ceil(&w, &onnx_shape(im, x)->dim[2], &extended);
    TRY(emit_max_pool(&node, im, op, x, &w));
    onnx_output_node(im, op, 0, node);
done:
    return st;
}

/* The padding of a window as a node of its own, taken from the window. */
static sal_status emit_window_pad(int *x, onnx_importer *im, const onnx_op *op, sal_window *w)
{
    sal_status st = SAL_OK;
    int node;
    TRY(onnx_start(&node, im, op, SAL_OP_PAD, x, 1));
    sal_node *n = &im->graph->nodes[node];
    n->axis = 2;
    for (int i = 0; i < 2; i++) {
        n->window.pad_begin[i] = w->pad_begin[i];
        n->window.pad_end[i] = w->pad_end[i];
        w->pad_begin[i] = w->pad_end[i] = 0;
    }
    TRY(onnx_finish(im, op, node));
    *x = node;
done:
    return st;
}

sal_status onnx_lower_average_pool(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int x, node, ceil_mode, extended;
    int64_t count_padding;
    sal_window w = {0};
    TRY(need_map(&x, im, op));
    TRY(onnx_attribute_int(&count_padding, op, "count_include_pad", 0));
    TRY(read_pool(&w, &extended, im, op, x, &ceil_mode));
    int padded = w.pad_begin[0] || w.pad_begin[1] || w.pad_end[0] || w.pad_end[1];
    w.count_padding = count_padding && padded;
    if (ceil_mode) {
        sal_window asked = w;
        extend_for_ceil(&w, &onnx_shape(im, x)->dim[2], &extended);
        if (extended && w.count_padding) {
            /* The file's own padding counts, what hangs over does not: pad with zeros first. */
            TRY(emit_window_pad(&x, im, op, &asked));
            w = asked;
            w.count_padding = 0;
            extend_for_ceil(&w, &onnx_shape(im, x)->dim[2], &extended);
        }
    }
    TRY(emit_pool(&node, im, op, SAL_OP_AVG_POOL, x, &w));
    onnx_output_node(im, op, 0, node);
done:
    return st;
}

sal_status onnx_lower_global_average_pool(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int x;
    TRY(need_map(&x, im, op));
    TRY(onnx_emit_mean(&x, im, op, x, 2, 3));
    onnx_output_node(im, op, 0, x);
done:
    return st;
}

sal_status onnx_lower_global_max_pool(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int x;
    sal_window w = {.stride = {1, 1}, .dilation = {1, 1}, .groups = 1};
    TRY(need_map(&x, im, op));
    w.kernel[0] = onnx_shape(im, x)->dim[2];
    w.kernel[1] = onnx_shape(im, x)->dim[3];
    TRY(emit_max_pool(&x, im, op, x, &w));
    onnx_output_node(im, op, 0, x);
done:
    return st;
}

/* pads of the file: all begins, then all ends, along `axes` or along every axis. */
static sal_status spread_pads(int64_t *begin, int64_t *end, onnx_importer *im, const onnx_op *op, int rank)
{
    sal_status st = SAL_OK;
    const int64_t *pads, *axes;
    size_t count, axis_count;
    TRY(onnx_int_list_either(&pads, &count, im, op, 1, "pads"));
    TRY(onnx_int_list(&axes, &axis_count, im, op, 3));
    size_t axes_padded = axes ? axis_count : (size_t)rank;
    if (count != 2 * axes_padded)
        return onnx_fail(op, SAL_ERROR_FORMAT, "%zu pads for %zu axes", count, axes_padded);
    for (size_t k = 0; k < axes_padded; k++) {
        int axis;
        TRY(onnx_axis(&axis, op, axes ? axes[k] : (int64_t)k, rank));
        begin[axis] = pads[k];
        end[axis] = pads[k + axes_padded];
    }
done:
    return st;
}

sal_status onnx_lower_pad(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int x, node;
    int64_t begin[SAL_MAX_RANK] = {0}, end[SAL_MAX_RANK] = {0};
    float attribute;
    double value;
    if (!onnx_attribute_is(op, "mode", "constant", "constant"))
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "salmap knows padding with a constant only");
    TRY(onnx_attribute_float(&attribute, op, "value", 0.0F));
    value = (double)attribute;
    if (onnx_has_input(op, 2))
        TRY(onnx_scalar(&value, im, op, 2));
    if (!isfinite(value) && !isnan(value))
        value = value > 0 ? (double)FLT_MAX : -(double)FLT_MAX; /* a pad before a max pool */
    TRY(onnx_node(&x, im, op, 0));
    int rank = onnx_shape(im, x)->rank;
    TRY(spread_pads(begin, end, im, op, rank));
    int first = rank, last = 0;
    for (int a = 0; a < rank; a++) {
        if (begin[a] == 0 && end[a] == 0)
            continue;
        first = a < first ? a : first;
        last = a;
    }
    if (first == rank) {
        onnx_output_node(im, op, 0, x);
        return SAL_OK;
    }
    if (rank != 4 || first == 0 || last - first > 1)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "pads other axes than height and width");
    /* Only one of the two is padded: height and width are axes 2 and 3 unless axis 1 is padded. */
    int axis = first == 1 ? 1 : 2;
    TRY(onnx_start(&node, im, op, SAL_OP_PAD, &x, 1));
    sal_node *n = &im->graph->nodes[node];
    n->axis = axis;
    n->value = (float)value;
    for (int i = 0; i < 2; i++) {
        n->window.pad_begin[i] = begin[axis + i];
        n->window.pad_end[i] = end[axis + i];
    }
    TRY(onnx_finish(im, op, node));
    onnx_output_node(im, op, 0, node);
done:
    return st;
}
