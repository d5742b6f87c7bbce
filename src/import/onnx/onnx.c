/* Entry of the ONNX importer: unpacks the file and runs the stages. */
#include "import/import.h"

#include "base/memory.h"
#include "import/onnx/lower/handlers.h"
#include "import/onnx/lower/older.h"
#include "import/onnx/lower/piece.h"
#include "import/onnx/onnx.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/op.h"
#include "import/onnx/stages.h"
#include "import/onnx/storage.h"
#include "import/onnx/tensor.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEFAULT_MAX_NODES = 1000000, MOST_CHANNELS_LAST = 64 };

/* An empty message takes two bytes in a file and a struct in memory. The budget keeps the unpacked model within a
 * fixed multiple of the file, whatever the file says. */
static const uint64_t budget_factor = 16, budget_base = (uint64_t)1 << 24;

static void *budget_alloc(void *context, size_t size)
{
    onnx_importer *im = context;
    if (size > im->unpack_budget)
        return NULL;
    im->unpack_budget -= size;
    void *p = malloc(size ? size : 1);
    im->unpack_failed |= p == NULL;
    return p;
}

static void budget_free(void *context, void *p)
{
    (void)context;
    free(p);
}

static sal_status unpack(onnx_importer *im, const unsigned char *bytes, size_t size)
{
    im->allocator = (ProtobufCAllocator){budget_alloc, budget_free, im};
    if (__builtin_mul_overflow(budget_factor, size, &im->unpack_budget))
        im->unpack_budget = UINT64_MAX - budget_base;
    im->unpack_budget += budget_base;
    im->model = sal_onnx__model__unpack(&im->allocator, size, bytes);
    if (im->unpack_failed)
        return sal_fail_memory(size, "the model");
    if (!im->model)
        return sal_fail(SAL_ERROR_FORMAT, "not an ONNX model, or truncated");
    if (im->model->n_graph != 1)
        return sal_fail(SAL_ERROR_FORMAT, "not an ONNX model: it holds %zu graphs", im->model->n_graph);
    return SAL_OK;
}

sal_status onnx_fix_side(int64_t *out, const sal_model_options *options, int64_t declared, int side, const char *input)
{
    const int64_t given = side < 0 || side > 1 || !options ? 0 : side == 0 ? options->height : options->width;
    if (given > 0 && declared > 0 && given != declared)
        return sal_fail(SAL_ERROR_ARGUMENT, "input %.200s: its %s is fixed to %lld, and cannot be %lld", input,
                        side == 0 ? "height" : "width", (long long)declared, (long long)given);
    *out = declared > 0 ? declared : given;
    return SAL_OK;
}

/* The picture's shape with a batch of 1. */
static sal_status input_shape(sal_shape *out, onnx_importer *im, const SalOnnx__ValueInfo *info)
{
    const char *name = info->name;
    if (info->n_type != 1 || info->type[0]->n_tensor_type != 1 || info->type[0]->tensor_type[0]->n_shape != 1)
        return sal_fail(SAL_ERROR_UNSUPPORTED, "input %.200s has no shape; export with a fixed size", name);
    const SalOnnx__TensorType *type = info->type[0]->tensor_type[0];
    const SalOnnx__Shape *shape = type->shape[0];
    if (!onnx_is_float_type(type->elem_type))
        return sal_fail(SAL_ERROR_UNSUPPORTED, "input %.200s is of element type %d, salmap needs floats", name,
                        type->elem_type);
    if (shape->n_dim != 4)
        return sal_fail(SAL_ERROR_UNSUPPORTED,
                        "input %.200s has rank %zu; a picture has 4 (batch, channels, height, "
                        "width)",
                        name, shape->n_dim);
    out->rank = 4;
    im->batch = shape->dim[0]->dim_value > 1 ? shape->dim[0]->dim_value : 1;
    out->dim[0] = 1;
    const int last = shape->dim[3]->dim_value > 0 && shape->dim[3]->dim_value <= MOST_CHANNELS_LAST &&
                     shape->dim[1]->dim_value < 1; /* (?, ?, C) */
    for (int a = 1; a < 4; a++) {
        const int side = last ? a - 1 : a - 2;
        sal_status st = onnx_fix_side(&out->dim[a], im->options, shape->dim[a]->dim_value, side, name);
        if (st != SAL_OK)
            return st;
        if (out->dim[a] < 1)
            return sal_fail(SAL_ERROR_UNSUPPORTED,
                            "input %.200s: dimension %d (%.100s) is not fixed: give its size (--input-size), or export "
                            "with a fixed one",
                            name, a, shape->dim[a]->dim_param);
        if (out->dim[a] > INT_MAX)
            return sal_fail(SAL_ERROR_LIMIT, "input %.200s: dimension %d is %lld", name, a, (long long)out->dim[a]);
    }
    return SAL_OK;
}

static sal_status make_input(onnx_importer *im)
{
    sal_status st = SAL_OK;
    const SalOnnx__Graph *graph = im->model->graph[0];
    onnx_value *v = &im->values[im->input];
    sal_shape shape = {0};
    size_t k = 0;
    while (strcmp(graph->input[k]->name, v->name) != 0)
        k++;
    TRY(input_shape(&shape, im, graph->input[k]));
    TRY(sal_graph_add(&v->node, im->graph, SAL_OP_INPUT, v->name, NULL, 0));
    im->graph->nodes[v->node].shape = shape;
    TRY(sal_graph_infer(im->graph, v->node));
    im->graph->input = v->node;
    v->kind = ONNX_VALUE_NODE;
done:
    return st;
}

static void append(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void append(char *text, size_t size, const char *format, ...)
{
    va_list args;
    const size_t used = strlen(text);
    va_start(args, format);
    vsnprintf(text + used, size - used, format, args);
    va_end(args);
}

/* What an op works on, as far as it is known by now: "; its inputs are (1, 8, 16, 16) and a constant (8)". */
static void describe_inputs(char *text, size_t size, const onnx_importer *im, const onnx_op *op)
{
    char shape[160];
    for (int i = 0, n = 0; i < op->input_count; i++) {
        const onnx_value *v = op->inputs[i] != ONNX_ABSENT ? &im->values[op->inputs[i]] : NULL;
        const int constant = v && v->kind == ONNX_VALUE_CONSTANT;
        if (!v || (!constant && v->kind != ONNX_VALUE_NODE))
            continue;
        sal_shape own = constant ? v->constant.shape : im->graph->nodes[v->node].shape;
        if (!constant) { /* without what the file does not have */
            own.rank -= v->lead;
            memmove(own.dim, own.dim + v->lead, (size_t)own.rank * sizeof *own.dim);
        }
        append(text, size, "%s%s%s", n++ ? ", " : "; its inputs: ", constant ? "constant " : "",
               own.rank > 0 ? sal_shape_text(shape, sizeof shape, &own) : "number");
    }
}

/* The declared output of the file that an op makes: "; it makes the output age, int64 (1)". */
static void describe_output(char *text, size_t size, const onnx_importer *im, const onnx_op *op)
{
    const SalOnnx__Graph *graph = im->model->graph[0];
    for (size_t k = 0; k < graph->n_output; k++)
        for (int i = 0; i < op->output_count; i++)
            if (op->outputs[i] != ONNX_ABSENT && strcmp(im->values[op->outputs[i]].name, graph->output[k]->name) == 0)
                append(text, size, "; it makes the output %.100s%s", graph->output[k]->name,
                       onnx_output_is_integer(graph->output[k]) ? ", of integers" : "");
}

/* The error of an op, with all that is known of it, and the next step where there is one. */
static sal_status add_hint(sal_status st, const onnx_importer *im, const onnx_op *op)
{
    char text[1024] = "";
    if (st != SAL_ERROR_UNSUPPORTED || op->written)
        return st;
    describe_inputs(text, sizeof text, im, op);
    describe_output(text, sizeof text, im, op);
    const size_t used = strlen(text);
    onnx_cut_hint(text + used, sizeof text - used, im, op);
    if (op->domain[0] && !text[used])
        append(text, sizeof text,
               "; it is no op of ONNX itself: export again without optimising for one runtime, or with dynamo=False");
    return text[0] ? sal_fail(st, "%s%s", sal_last_error(), text) : st;
}

/* Before anything is lowered, so that the answer comes at once and counts all that is missing. */
static sal_status check_supported(const onnx_importer *im)
{
    const onnx_op *first = NULL;
    size_t count = 0;
    for (size_t k = 0; k < im->order_count; k++) {
        const onnx_op *op = &im->ops[im->order[k]];
        if (onnx_handler_knows(op))
            continue;
        first = first ? first : op;
        count++;
    }
    if (!first)
        return SAL_OK;
    sal_status st = onnx_fail(first, SAL_ERROR_UNSUPPORTED, "salmap does not know this op (%zu such node%s)", count,
                              count == 1 ? "" : "s");
    return add_hint(st, im, first);
}

/* Of the nodes that an op became, from number `first` on, only its outputs are what its name stands for. */
static void mark_parts(onnx_importer *im, const onnx_op *op, size_t first)
{
    for (size_t n = first; n < im->graph->count; n++)
        im->graph->nodes[n].is_part = 1;
    for (int i = 0; i < op->output_count; i++)
        if (op->outputs[i] != ONNX_ABSENT && im->values[op->outputs[i]].kind == ONNX_VALUE_NODE)
            im->graph->nodes[im->values[op->outputs[i]].node].is_part = 0;
}

/* Constants that no later op reads are freed. */
static void release_inputs(onnx_importer *im, const onnx_op *op)
{
    for (int i = 0; i < op->input_count; i++)
        if (op->inputs[i] != ONNX_ABSENT && --im->values[op->inputs[i]].uses == 0 &&
            im->place_count == 0) /* a branch may read it later */
            onnx_tensor_clear(&im->values[op->inputs[i]].constant);
}

static sal_status lower_op(onnx_importer *im, int index)
{
    sal_status st = SAL_OK;
    const size_t first = im->graph->count;
    st = onnx_align(im, &im->ops[index]);
    const onnx_op *op = &im->ops[index];
    if (st == SAL_OK)
        st = onnx_handler_knows(op) ? onnx_lower_op(im, op)
                                    : onnx_fail(op, SAL_ERROR_UNSUPPORTED, "salmap does not know this op");
    op = &im->ops[index]; /* an If adds ops */
    if (st != SAL_OK)
        return op->place >= 0 ? st : add_hint(st, im, op);
    if (op->place < 0)
        mark_parts(im, op, first);
    release_inputs(im, op);
    for (int i = 0; i < op->output_count; i++) {
        if (op->outputs[i] == ONNX_ABSENT)
            continue;
        const onnx_value *v = &im->values[op->outputs[i]];
        if (v->kind == ONNX_VALUE_UNKNOWN && v->uses > 0) {
            st = onnx_fail(op, SAL_ERROR_UNSUPPORTED, "its output %d (%.200s) is used", i, v->name);
            return add_hint(st, im, op);
        }
    }
    return st;
}

sal_status onnx_lower_ops(onnx_importer *im, const int *order, size_t count)
{
    sal_status st = SAL_OK;
    for (size_t k = 0; k < count && st == SAL_OK; k++)
        st = lower_op(im, order[k]);
    return st;
}

static sal_status lower(onnx_importer *im)
{
    sal_status st = SAL_OK;
    TRY(onnx_lower_ops(im, im->order, im->order_count));
    onnx_value *output = &im->values[im->output];
    const onnx_op *last = &im->ops[output->producer];
    if (output->kind == ONNX_VALUE_PIECE)
        TRY(onnx_piece_settle(im, last, output));
    if (output->kind != ONNX_VALUE_NODE) {
        st = onnx_fail(last, SAL_ERROR_UNSUPPORTED, "the output is a constant");
        goto done;
    }
    im->graph->output = output->node;
    TRY(sal_graph_compact(im->graph));
done:
    return st;
}

static void describe(sal_import_info *info, const onnx_importer *im)
{
    const SalOnnx__Model *m = im->model;
    if (!info)
        return;
    memset(info, 0, sizeof *info);
    int n = snprintf(info->format, sizeof info->format, "ONNX opset %lld", (long long)im->opset);
    if (m->producer_name[0] && n > 0 && (size_t)n < sizeof info->format)
        snprintf(info->format + n, sizeof info->format - (size_t)n, " (%s%s%s)", m->producer_name,
                 m->producer_version[0] ? " " : "", m->producer_version);
    const char *declared = im->declared != ONNX_ABSENT ? im->values[im->declared].name : NULL;
    if (declared && (m->graph[0]->n_output > 1 || strcmp(m->graph[0]->output[0]->name, declared) != 0))
        snprintf(info->output, sizeof info->output, "%s", declared);
    onnx_list_outputs(info->others, sizeof info->others, m->graph[0], info->output);
}

/* What exporters call the names of the outputs: ultralytics, Hugging Face, and people themselves. The first of these
 * keys that is there counts. */
static sal_status take_class_names(sal_graph *graph, const SalOnnx__Model *m)
{
    static const char *const keys[] = {"names", "id2label", "classes", "class_names", "labels"};
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        for (size_t i = 0; i < m->n_metadata_props; i++)
            if (strcmp(m->metadata_props[i]->key, keys[k]) == 0)
                return sal_strdup(&graph->class_names, m->metadata_props[i]->value);
    return SAL_OK;
}

/* All stages after unpacking. */
static sal_status build(onnx_importer *im)
{
    sal_status st = SAL_OK;
    TRY(take_class_names(im->graph, im->model));
    TRY(onnx_flatten(im));
    TRY(onnx_order(im));
    TRY(check_supported(im));
    TRY(onnx_choose_input(im));
    TRY(make_input(im));
    TRY(lower(im));
done:
    return st;
}

static void importer_init(onnx_importer *im, sal_graph *graph, const char *path, const sal_model_options *options)
{
    const sal_limits *limits = options ? options->limits : NULL;
    *im = (onnx_importer){.path = path,
                          .options = options,
                          .graph = graph,
                          .input = ONNX_ABSENT,
                          .output = ONNX_ABSENT,
                          .declared = ONNX_ABSENT,
                          .batch = 1,
                          .fd = -1};
    im->max_bytes = limits && limits->max_model_bytes ? limits->max_model_bytes : SAL_IMPORT_MAX_BYTES;
    im->max_nodes = limits && limits->max_nodes ? limits->max_nodes : DEFAULT_MAX_NODES;
    sal_graph_init(graph);
}

/* The last stages; everything the importer holds is freed. */
static sal_status finish(onnx_importer *im, sal_status st, sal_import_info *info)
{
    if (st == SAL_OK)
        st = build(im);
    if (st == SAL_OK)
        describe(info, im);
    else
        sal_fail_in(st, "%s", im->path);
    onnx_external_clear(&im->external);
    if (im->fd >= 0)
        close(im->fd);
    onnx_values_clear(im);
    onnx_ops_clear(im);
    onnx_branches_clear(im);
    if (im->model && !im->borrowed)
        sal_onnx__model__free_unpacked(im->model, &im->allocator);
    if (st != SAL_OK)
        sal_graph_clear(im->graph);
    return st;
}

sal_status sal_onnx_parse(sal_graph *graph, sal_import_info *info, const unsigned char *bytes, size_t length,
                          const char *path, const sal_model_options *options)
{
    onnx_importer im;
    importer_init(&im, graph, path, options);
    return finish(&im, unpack(&im, bytes, length), info);
}

sal_status sal_onnx_read(sal_graph *graph, sal_import_info *info, const char *path, const sal_model_options *options)
{
    onnx_importer im;
    unsigned char *bytes = NULL;
    size_t length;
    importer_init(&im, graph, path, options);
    sal_status st = onnx_slim_read(&bytes, &length, &im);
    if (st == SAL_OK)
        st = unpack(&im, bytes, length);
    free(bytes);
    return finish(&im, st, info);
}

sal_status onnx_build(sal_graph *graph, SalOnnx__Model *model, const onnx_source *source, const char *path,
                      const sal_model_options *options)
{
    onnx_importer im;
    importer_init(&im, graph, path, options);
    im.model = model;
    im.borrowed = 1;
    im.allocator = (ProtobufCAllocator){budget_alloc, budget_free, &im};
    im.source = source;
    return finish(&im, SAL_OK, NULL);
}
