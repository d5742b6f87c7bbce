/* Convolution and pooling. */
#include "base/memory.h"
#include "import/onnx/lower/array.h"
#include "import/onnx/lower/emit.h"
#include "import/onnx/lower/handlers.h"
#include "import/onnx/lower/window.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/op.h"
#include "import/onnx/tensor.h"

#include <string.h>

/* No extent of a picture or window comes near; sums and products below stay far from overflow. */
static const int64_t max_extent = (int64_t)1 << 30;

/* Numbers for height and width from an attribute; the fallback where it is absent. `line`: there is one, for the
 * width, and the height has 1 (or 0 where 0 is allowed). */
sal_status onnx_read_pair(int64_t *out, const onnx_op *op, const char *name, int64_t fallback, int line)
{
    const int64_t *list;
    size_t count;
    sal_status st = onnx_attribute_ints(&list, &count, op, name);
    if (st != SAL_OK)
        return st;
    if (list && count != (line ? 1 : 2))
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "%s has %zu entries; windows are two-dimensional here", name,
                         count);
    for (int i = 0; i < 2; i++) {
        out[i] = !list || (line && i == 0) ? fallback : list[line ? 0 : i];
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
static sal_status read_window(sal_window *w, const onnx_op *op, const int64_t *extent, int line)
{
    sal_status st = SAL_OK;
    const int64_t *pads;
    size_t count;
    TRY(onnx_read_pair(w->stride, op, "strides", 1, line));
    TRY(onnx_read_pair(w->dilation, op, "dilations", 1, line));
    TRY(onnx_attribute_ints(&pads, &count, op, "pads"));
    if (pads && count != (line ? 2 : 4))
        return onnx_fail(op, SAL_ERROR_FORMAT, "pads has %zu entries, expected %d", count, line ? 2 : 4);
    for (int i = 0; i < 2; i++) {
        if (w->kernel[i] > max_extent / w->dilation[i] || extent[i] > max_extent)
            return onnx_fail(op, SAL_ERROR_LIMIT, "a window of %lld over %lld", (long long)w->kernel[i],
                             (long long)extent[i]);
        const int given = pads && (!line || i == 1);
        w->pad_begin[i] = given ? pads[line ? 0 : i] : 0;
        w->pad_end[i] = given ? pads[line ? 1 : 2 + i] : 0;
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

sal_status onnx_map_get(onnx_map *out, onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    onnx_array a;
    TRY(onnx_array_get(&a, im, op, 0));
    if (a.shape.rank != 3 && a.shape.rank != 4)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "its input has rank %d; windows are two-dimensional here",
                         a.shape.rank);
    out->shape = a.shape;
    out->line = a.shape.rank == 3;
    const int64_t *dim = a.shape.dim;
    sal_shape map = {.rank = 4, .dim = {1, dim[0] * dim[1], out->line ? 1 : dim[2], dim[out->line ? 2 : 3]}};
    TRY(onnx_emit_reshape(&out->x, im, op, a.node, &map));
done:
    return st;
}

sal_status onnx_map_one(const onnx_map *map, const onnx_op *op)
{
    if (map->shape.dim[0] != 1)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "it convolves %lld maps that are made of one picture",
                         (long long)map->shape.dim[0]);
    return SAL_OK;
}

sal_status onnx_map_output(onnx_importer *im, const onnx_op *op, const onnx_map *map, int y)
{
    const sal_shape *got = onnx_shape(im, y);
    sal_shape out = {.rank = map->shape.rank, .dim = {map->shape.dim[0], got->dim[1] / map->shape.dim[0]}};
    if (!map->line)
        out.dim[2] = got->dim[2];
    out.dim[out.rank - 1] = got->dim[3];
    return onnx_array_output(im, op, 0, y, &out);
}

/* Several maps of one picture (windows, heads of attention) become channels of one, in groups that have the same
 * weights. */
static sal_status repeat_for_maps(float **values, size_t *count, const onnx_op *op, int64_t maps)
{
    sal_status st = SAL_OK;
    const size_t own = *count;
    float *all = NULL;
    if (maps == 1)
        return SAL_OK;
    TRY(sal_alloc(&all, own * (size_t)maps, sizeof *all, op->name));
    for (int64_t k = 0; k < maps; k++)
        memcpy(all + (size_t)k * own, *values, own * sizeof *all);
    sal_free(*values);
    *values = all;
    *count = own * (size_t)maps;
done:
    return st;
}

sal_status onnx_lower_conv(onnx_importer *im, const onnx_op *op)
{
    enum { MOST_REPEATED = 1 << 22 }; /* weights */
    sal_status st = SAL_OK;
    int node;
    onnx_map map;
    const onnx_tensor *weight;
    sal_window w = {0};
    int64_t given[2];
    TRY(onnx_map_get(&map, im, op));
    TRY(onnx_constant(&weight, im, op, 1));
    const int64_t maps = map.shape.dim[0];
    if ((int64_t)weight->count > MOST_REPEATED / maps)
        TRY(onnx_map_one(&map, op));
    const sal_shape shape = weight->shape;
    const int64_t channels = onnx_shape(im, map.x)->dim[1] / maps;
    const int rank = map.line ? 3 : 4;
    if (shape.rank != rank || shape.dim[2] < 1 || shape.dim[rank - 1] < 1)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "weights of rank %d; convolutions are two-dimensional here",
                         shape.rank);
    w.kernel[0] = map.line ? 1 : shape.dim[2];
    w.kernel[1] = shape.dim[rank - 1];
    TRY(onnx_read_pair(given, op, "kernel_shape", 1, map.line));
    if (onnx_attribute_find(op, "kernel_shape") && (given[0] != w.kernel[0] || given[1] != w.kernel[1]))
        return onnx_fail(op, SAL_ERROR_FORMAT, "kernel_shape is not that of the weights");
    TRY(onnx_attribute_int(&w.groups, op, "group", 1));
    TRY(read_window(&w, op, &onnx_shape(im, map.x)->dim[2], map.line));
    if (w.groups < 1 || channels % w.groups != 0 || channels / w.groups != shape.dim[1])
        return onnx_fail(op, SAL_ERROR_FORMAT, "weights for %lld x %lld channels, the input has %lld",
                         (long long)w.groups, (long long)shape.dim[1], (long long)channels);
    TRY(onnx_start(&node, im, op, SAL_OP_CONV, &map.x, 1));
    sal_node *n = &im->graph->nodes[node];
    n->window = w;
    n->window.groups *= maps;
    TRY(onnx_take(&n->weight, &n->weight_count, im, op, 1));
    TRY(repeat_for_maps(&n->weight, &n->weight_count, op, maps));
    if (onnx_has_input(op, 2)) {
        TRY(onnx_take(&n->bias, &n->bias_count, im, op, 2));
        if (maps > 1 && (int64_t)n->bias_count != shape.dim[0])
            return onnx_fail(op, SAL_ERROR_FORMAT, "%zu biases for %lld channels", n->bias_count,
                             (long long)shape.dim[0]);
        TRY(repeat_for_maps(&n->bias, &n->bias_count, op, maps));
    }
    TRY(onnx_finish(im, op, node));
    TRY(onnx_map_output(im, op, &map, node));
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

static sal_status read_pool(sal_window *w, int *extended, onnx_importer *im, const onnx_op *op, const onnx_map *map,
                            int *ceil_mode)
{
    sal_status st = SAL_OK;
    int64_t ceil_flag;
    if (!onnx_attribute_find(op, "kernel_shape"))
        return onnx_fail(op, SAL_ERROR_FORMAT, "kernel_shape is missing");
    w->groups = 1;
    *extended = 0;
    TRY(onnx_read_pair(w->kernel, op, "kernel_shape", 1, map->line));
    TRY(read_window(w, op, &onnx_shape(im, map->x)->dim[2], map->line));
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
    int node, ceil_mode, extended;
    onnx_map map;
    int64_t storage_order;
    sal_window w = {0};
    TRY(onnx_map_get(&map, im, op));
    TRY(onnx_attribute_int(&storage_order, op, "storage_order", 0));
    if (storage_order != 0)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "storage_order %lld", (long long)storage_order);
    TRY(read_pool(&w, &extended, im, op, &map, &ceil_mode));
    if (ceil_mode)
        extend_for_ceil(&w, &onnx_shape(im, map.x)->dim[2], &extended);
    TRY(emit_max_pool(&node, im, op, map.x, &w));
    TRY(onnx_map_output(im, op, &map, node));
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

static int all_are(const int64_t *values, size_t count, int64_t value)
{
    int all = 1;
    for (size_t k = 0; k < count; k++)
        all &= values[k] == value;
    return all;
}

/* Of rank 5, along the first of the three axes alone and without padding: an LRN as PyTorch writes it, whose channels
 * lie there. */
static sal_status average_depth(int *handled, onnx_importer *im, const onnx_op *op)
{
    enum { SIDES = 3 };
    sal_status st = SAL_OK;
    const int64_t *kernel, *strides, *pads, *dilations;
    size_t kernels, stride_count, pad_count, dilation_count;
    int64_t ceil_mode;
    onnx_array x;
    sal_window w = {.stride = {1, 1}, .dilation = {1, 1}, .groups = 1, .kernel = {1, 1}};
    *handled = 0;
    TRY(onnx_array_get(&x, im, op, 0));
    TRY(onnx_attribute_ints(&kernel, &kernels, op, "kernel_shape"));
    TRY(onnx_attribute_ints(&strides, &stride_count, op, "strides"));
    TRY(onnx_attribute_ints(&pads, &pad_count, op, "pads"));
    TRY(onnx_attribute_ints(&dilations, &dilation_count, op, "dilations"));
    TRY(onnx_attribute_int(&ceil_mode, op, "ceil_mode", 0));
    if (x.shape.rank != 5 || x.shape.dim[0] != 1 || kernels != SIDES || kernel[1] != 1 || kernel[2] != 1 ||
        kernel[0] < 1 || kernel[0] > x.shape.dim[2] || ceil_mode != 0 || !all_are(strides, stride_count, 1) ||
        !all_are(pads, pad_count, 0) || !all_are(dilations, dilation_count, 1) ||
        !onnx_attribute_is(op, "auto_pad", "NOTSET", "NOTSET"))
        return SAL_OK;
    const int64_t *dim = x.shape.dim;
    const sal_shape flat = {.rank = 4, .dim = {1, dim[1], dim[2], dim[3] * dim[4]}};
    w.kernel[0] = kernel[0];
    TRY(onnx_emit_reshape(&x.node, im, op, x.node, &flat));
    TRY(emit_pool(&x.node, im, op, SAL_OP_AVG_POOL, x.node, &w));
    x.shape.dim[2] -= kernel[0] - 1;
    TRY(onnx_array_output(im, op, 0, x.node, &x.shape));
    *handled = 1;
done:
    return st;
}

sal_status onnx_lower_average_pool(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int node, ceil_mode, extended, handled;
    onnx_map map;
    int64_t count_padding;
    sal_window w = {0};
    TRY(average_depth(&handled, im, op));
    if (handled)
        return SAL_OK;
    TRY(onnx_map_get(&map, im, op));
    TRY(onnx_attribute_int(&count_padding, op, "count_include_pad", 0));
    TRY(read_pool(&w, &extended, im, op, &map, &ceil_mode));
    int padded = w.pad_begin[0] || w.pad_begin[1] || w.pad_end[0] || w.pad_end[1];
    w.count_padding = count_padding && padded;
    if (ceil_mode) {
        sal_window asked = w;
        extend_for_ceil(&w, &onnx_shape(im, map.x)->dim[2], &extended);
        if (extended && w.count_padding) {
            /* The file's own padding counts, what hangs over does not: pad with zeros first. */
            TRY(emit_window_pad(&map.x, im, op, &asked));
            w = asked;
            w.count_padding = 0;
            extend_for_ceil(&w, &onnx_shape(im, map.x)->dim[2], &extended);
        }
    }
    TRY(emit_pool(&node, im, op, SAL_OP_AVG_POOL, map.x, &w));
    TRY(onnx_map_output(im, op, &map, node));
done:
    return st;
}

/* |x|^p */
static sal_status emit_power(int *x, onnx_importer *im, const onnx_op *op, double p)
{
    sal_status st = SAL_OK;
    if (p == 2.0)
        return onnx_emit_binary(x, im, op, SAL_OP_MUL, *x, *x);
    TRY(onnx_emit_activation1(x, im, op, *x, SAL_ACT_ABS));
    if (p != 1.0)
        TRY(onnx_emit_activation(x, im, op, *x, SAL_ACT_POWER, p, 0.0));
done:
    return st;
}

static sal_status read_p(double *out, const onnx_op *op)
{
    int64_t p;
    sal_status st = onnx_attribute_int(&p, op, "p", 2);
    if (st == SAL_OK && p < 1)
        st = onnx_fail(op, SAL_ERROR_FORMAT, "p is %lld", (long long)p);
    *out = (double)p;
    return st;
}

/* (sum of |x|^p)^(1/p) under the window: the mean times its area, where padding counts. */
sal_status onnx_lower_lp_pool(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int x, ceil_mode, extended;
    double p;
    onnx_map map;
    sal_window w = {0};
    TRY(onnx_map_get(&map, im, op));
    TRY(read_p(&p, op));
    TRY(read_pool(&w, &extended, im, op, &map, &ceil_mode));
    if (ceil_mode)
        extend_for_ceil(&w, &onnx_shape(im, map.x)->dim[2], &extended);
    w.count_padding = 1;
    x = map.x;
    TRY(emit_power(&x, im, op, p));
    TRY(emit_pool(&x, im, op, SAL_OP_AVG_POOL, x, &w));
    TRY(onnx_emit_affine(&x, im, op, x, (double)(w.kernel[0] * w.kernel[1]), 0.0));
    if (p != 1.0)
        TRY(onnx_emit_root(&x, im, op, x, p));
    TRY(onnx_map_output(im, op, &map, x));
done:
    return st;
}

/* Over all axes after the channels, which stay. *rest: them as a set of the node's axes. */
static sal_status get_global(onnx_array *x, unsigned *rest, sal_shape *out, onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    *rest = 0;
    TRY(onnx_array_get(x, im, op, 0));
    if (x->shape.rank < 3)
        return onnx_fail(op, SAL_ERROR_FORMAT, "its input has rank %d", x->shape.rank);
    *out = x->shape;
    for (int a = 2; a < x->shape.rank; a++) {
        out->dim[a] = 1;
        *rest |= 1U << (a + x->lead);
    }
done:
    return st;
}

sal_status onnx_lower_global_lp_pool(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    double p;
    onnx_array x;
    unsigned rest;
    sal_shape out;
    TRY(read_p(&p, op));
    TRY(get_global(&x, &rest, &out, im, op));
    TRY(emit_power(&x.node, im, op, p));
    TRY(onnx_emit_reduce(&x.node, im, op, x.node, SAL_REDUCTION_SUM, rest));
    if (p != 1.0)
        TRY(onnx_emit_root(&x.node, im, op, x.node, p));
    TRY(onnx_array_output(im, op, 0, x.node, &out));
done:
    return st;
}

sal_status onnx_lower_global_average_pool(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    onnx_array x;
    unsigned rest;
    sal_shape out;
    TRY(get_global(&x, &rest, &out, im, op));
    if (x.lead == 0 && x.shape.rank == 4)
        TRY(onnx_emit_mean(&x.node, im, op, x.node, 2, 3));
    else
        TRY(onnx_emit_reduce(&x.node, im, op, x.node, SAL_REDUCTION_MEAN, rest));
    TRY(onnx_array_output(im, op, 0, x.node, &out));
done:
    return st;
}

/* As a pool, whose first maximum has all of the gradient. */
sal_status onnx_lower_global_max_pool(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    onnx_map map;
    int x;
    sal_window w = {.stride = {1, 1}, .dilation = {1, 1}, .groups = 1};
    TRY(onnx_map_get(&map, im, op));
    w.kernel[0] = onnx_shape(im, map.x)->dim[2];
    w.kernel[1] = onnx_shape(im, map.x)->dim[3];
    TRY(emit_max_pool(&x, im, op, map.x, &w));
    TRY(onnx_map_output(im, op, &map, x));
done:
    return st;
}
