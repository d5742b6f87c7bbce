/* Transposed convolutions: zeros between the elements, then a convolution with the weights turned around. */
#include "base/memory.h"
#include "import/onnx/lower/array.h"
#include "import/onnx/lower/emit.h"
#include "import/onnx/lower/handlers.h"
#include "import/onnx/lower/window.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/op.h"
#include "import/onnx/tensor.h"

/* Products of these stay far from overflow. */
static const int64_t max_extent = (int64_t)1 << 24;

/* Of one axis. */
typedef struct side {
    int64_t length; /* of the input */
    int64_t kernel;
    int64_t stride;
    int64_t dilation;
    int64_t begin; /* pads: of the result, which they make smaller */
    int64_t end;
    int64_t extra; /* output_padding */
} side;

static int64_t covered(const side *s)
{
    return (s->kernel - 1) * s->dilation + 1;
}

/* Pads from the length of the result that is asked for; where it is longer than what there is, zeros follow. */
static void pads_for(side *s, int64_t output, int upper)
{
    int64_t total = (s->length - 1) * s->stride + s->extra + covered(s) - output;
    s->begin = total < 0 ? 0 : upper ? total / 2 : total - total / 2;
    s->end = total - s->begin;
}

static sal_status read_sides(side *s, const onnx_op *op, const onnx_map *map, const int64_t *extent)
{
    sal_status st = SAL_OK;
    const int64_t *pads, *shape;
    size_t count, shape_count;
    int64_t stride[2], dilation[2], extra[2];
    const int line = map->line;
    const int upper = onnx_attribute_is(op, "auto_pad", "SAME_UPPER", "NOTSET");
    const int same = upper || onnx_attribute_is(op, "auto_pad", "SAME_LOWER", "NOTSET");
    if (!same && !onnx_attribute_is(op, "auto_pad", "NOTSET", "NOTSET") &&
        !onnx_attribute_is(op, "auto_pad", "VALID", "NOTSET"))
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "salmap does not know its auto_pad");
    TRY(onnx_read_pair(stride, op, "strides", 1, line));
    TRY(onnx_read_pair(dilation, op, "dilations", 1, line));
    TRY(onnx_read_pair(extra, op, "output_padding", 0, line));
    TRY(onnx_attribute_ints(&pads, &count, op, "pads"));
    TRY(onnx_attribute_ints(&shape, &shape_count, op, "output_shape"));
    const size_t axes = line ? 1 : 2;
    if ((pads && count != 2 * axes) || (shape && shape_count < axes))
        return onnx_fail(op, SAL_ERROR_FORMAT, "%zu pads and %zu extents for %zu axes", count, shape_count, axes);
    for (int i = line; i < 2; i++) {
        const size_t at = (size_t)(i - line);
        s[i].length = extent[i];
        s[i].stride = stride[i];
        s[i].dilation = dilation[i];
        s[i].extra = extra[i];
        s[i].begin = pads ? pads[at] : 0;
        s[i].end = pads ? pads[axes + at] : 0;
        if (extent[i] > max_extent || s[i].kernel > max_extent || stride[i] > max_extent || dilation[i] > max_extent ||
            extra[i] > max_extent || s[i].begin < 0 || s[i].end < 0 || s[i].begin > max_extent || s[i].end > max_extent)
            return onnx_fail(op, SAL_ERROR_LIMIT, "a window of %lld over %lld", (long long)s[i].kernel,
                             (long long)extent[i]);
        if (shape && (shape[shape_count - axes + at] < 1 || shape[shape_count - axes + at] > max_extent))
            return onnx_fail(op, SAL_ERROR_FORMAT, "output_shape is %lld", (long long)shape[shape_count - axes + at]);
        if (shape)
            pads_for(&s[i], shape[shape_count - axes + at], upper);
        else if (same)
            pads_for(&s[i], extent[i] * stride[i], upper);
    }
done:
    return st;
}

/* Zeros between the elements, less what the pads cut off; *begin and *end: what the convolution is to pad. */
static sal_status spread(int *x, int64_t *begin, int64_t *end, onnx_importer *im, const onnx_op *op, const side *s,
                         int axis)
{
    sal_status st = SAL_OK;
    onnx_table table = {0};
    const int64_t left = covered(s) - 1 - s->begin, right = covered(s) - 1 - s->end + s->extra;
    const int64_t from = left < 0 ? -left : 0, full = (s->length - 1) * s->stride + 1;
    const int64_t count = full - from + (right < 0 ? right : 0);
    *begin = left < 0 ? 0 : left;
    *end = right < 0 ? 0 : right;
    if (s->stride == 1 && count == s->length)
        return SAL_OK;
    if (count < 1)
        return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "its pads cut off all of its input");
    TRY(onnx_table_new(&table, op, count, 1, 1));
    for (int64_t k = 0; k < count; k++) {
        table.index[k] = (int32_t)((from + k) / s->stride);
        table.weight[k] = (from + k) % s->stride == 0 ? 1.0F : 0.0F;
    }
    TRY(onnx_emit_gather(x, im, op, *x, axis, &table));
done:
    onnx_table_clear(&table);
    return st;
}

/* (inputs, outputs / groups, kernel) becomes (outputs, inputs / groups, kernel backwards). */
static sal_status turn_weights(float **weight, const onnx_op *op, int64_t inputs, int64_t outputs, int64_t groups,
                               int64_t area)
{
    float *turned;
    const int64_t in = inputs / groups, out = outputs / groups;
    sal_status st = sal_alloc(&turned, (size_t)(inputs * out * area), sizeof *turned, op->name);
    if (st != SAL_OK)
        return st;
    for (int64_t g = 0; g < groups; g++)
        for (int64_t o = 0; o < out; o++)
            for (int64_t i = 0; i < in; i++)
                for (int64_t k = 0; k < area; k++)
                    turned[((g * out + o) * in + i) * area + k] =
                        (*weight)[((g * in + i) * out + o) * area + area - 1 - k];
    sal_free(*weight);
    *weight = turned;
    return SAL_OK;
}

sal_status onnx_lower_conv_transpose(onnx_importer *im, const onnx_op *op)
{
    sal_status st = SAL_OK;
    int node, x;
    onnx_map map;
    const onnx_tensor *weight;
    sal_window w = {.stride = {1, 1}};
    side s[2] = {{1, 1, 1, 1, 0, 0, 0}, {1, 1, 1, 1, 0, 0, 0}};
    TRY(onnx_map_get(&map, im, op));
    TRY(onnx_map_one(&map, op));
    TRY(onnx_constant(&weight, im, op, 1));
    TRY(onnx_attribute_int(&w.groups, op, "group", 1));
    const sal_shape shape = weight->shape;
    const int64_t channels = map.shape.dim[1];
    if (shape.rank != map.shape.rank || weight->count == 0)
        return onnx_fail(op, SAL_ERROR_FORMAT, "weights of rank %d for an input of rank %d", shape.rank,
                         map.shape.rank);
    if (w.groups < 1 || channels % w.groups != 0 || channels != shape.dim[0])
        return onnx_fail(op, SAL_ERROR_FORMAT, "weights for %lld channels in %lld groups, the input has %lld",
                         (long long)shape.dim[0], (long long)w.groups, (long long)channels);
    if (!map.line)
        s[0].kernel = shape.dim[2];
    s[1].kernel = shape.dim[shape.rank - 1];
    TRY(read_sides(s, op, &map, &onnx_shape(im, map.x)->dim[2]));
    x = map.x;
    for (int i = map.line; i < 2; i++)
        TRY(spread(&x, &w.pad_begin[i], &w.pad_end[i], im, op, &s[i], 2 + i));
    for (int i = 0; i < 2; i++) {
        w.kernel[i] = s[i].kernel;
        w.dilation[i] = s[i].dilation;
    }
    TRY(onnx_start(&node, im, op, SAL_OP_CONV, &x, 1));
    sal_node *n = &im->graph->nodes[node];
    n->window = w;
    TRY(onnx_take(&n->weight, &n->weight_count, im, op, 1));
    TRY(turn_weights(&n->weight, op, channels, shape.dim[1] * w.groups, w.groups, w.kernel[0] * w.kernel[1]));
    if (onnx_has_input(op, 2))
        TRY(onnx_take(&n->bias, &n->bias_count, im, op, 2));
    TRY(onnx_finish(im, op, node));
    TRY(onnx_map_output(im, op, &map, node));
done:
    return st;
}
