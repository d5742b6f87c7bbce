/* Which output is wanted, which ops it needs and in what order, and which input is the picture. */
#include "base/memory.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/op.h"
#include "import/onnx/stages.h"
#include "import/onnx/tensor.h"

#include <stdio.h>
#include <string.h>

static const SalOnnx__TensorType *tensor_type(const SalOnnx__ValueInfo *info)
{
    return info->n_type == 1 && info->type[0]->n_tensor_type == 1 ? info->type[0]->tensor_type[0] : NULL;
}

/* -1: the file does not say. */
static int64_t declared_rank(const SalOnnx__ValueInfo *info)
{
    const SalOnnx__TensorType *type = tensor_type(info);
    return type && type->n_shape == 1 ? (int64_t)type->shape[0]->n_dim : -1;
}

int onnx_output_is_integer(const SalOnnx__ValueInfo *info)
{
    const SalOnnx__TensorType *type = tensor_type(info);
    return type && type->elem_type != 0 && !onnx_is_float_type(type->elem_type);
}

/* What is certainly no scores comes last: scores of classes or ages first, then maps of them, then anything else, of
 * which the op that makes it is refused. */
static int rank_of_output(const SalOnnx__ValueInfo *info)
{
    int64_t rank = declared_rank(info);
    if (onnx_output_is_integer(info))
        return 2;
    return rank == 1 || rank == 2 || rank == 4 || rank == -1 ? 0 : 1;
}

void onnx_list_outputs(char *names, size_t size, const SalOnnx__Graph *graph, const char *but)
{
    size_t used = 0;
    names[0] = '\0';
    for (size_t k = 0; k < graph->n_output; k++) {
        if (strcmp(graph->output[k]->name, but) == 0)
            continue;
        int n = snprintf(names + used, size - used, "%s%s", used ? ", " : "", graph->output[k]->name);
        if (n > 0 && (size_t)n < size - used)
            used += (size_t)n;
    }
}

static sal_status fail_output(const SalOnnx__Graph *graph, const char *wanted)
{
    char names[512];
    onnx_list_outputs(names, sizeof names, graph, "");
    return sal_fail(SAL_ERROR_ARGUMENT, "it has no output %.200s; its outputs: %s", wanted, names);
}

/* A tensor of the file by its name; *out stays as it is where there is none. */
static sal_status find_tensor(int *out, onnx_importer *im, const char *name)
{
    sal_status st = SAL_OK;
    for (size_t v = 0; v < im->value_count; v++)
        if (strcmp(im->values[v].name, name) == 0)
            return onnx_intern(out, im, name);
    return st;
}

static sal_status choose_output(onnx_importer *im)
{
    sal_status st = SAL_OK;
    const SalOnnx__Graph *graph = im->model->graph[0];
    const char *wanted = im->options ? im->options->output : NULL;
    for (size_t k = 0; k < graph->n_output && wanted; k++)
        if (strcmp(graph->output[k]->name, wanted) == 0)
            return onnx_intern(&im->output, im, graph->output[k]->name);
    if (wanted) {
        TRY(find_tensor(&im->output, im, wanted));
        return im->output != ONNX_ABSENT && im->values[im->output].producer >= 0 ? SAL_OK : fail_output(graph, wanted);
    }
    for (int rank = 0; rank < 3; rank++)
        for (size_t k = 0; k < graph->n_output; k++)
            if (rank_of_output(graph->output[k]) == rank)
                return onnx_intern(&im->output, im, graph->output[k]->name);
    st = sal_fail(SAL_ERROR_FORMAT, "the model has no outputs");
done:
    return st;
}

typedef struct visit {
    int op;
    int next; /* input to visit next */
} visit;

enum { UNSEEN, OPEN, PLACED };

/* Depth first without recursion: files may chain a million nodes. order: where it goes on. */
static sal_status place(onnx_importer *im, visit *stack, int *order, size_t *count, int root)
{
    size_t depth = 0;
    char *state = im->placed;
    stack[depth++] = (visit){root, 0};
    state[root] = OPEN;
    while (depth > 0) {
        visit *top = &stack[depth - 1];
        const onnx_op *op = &im->ops[top->op];
        if (top->next == op->input_count) {
            state[top->op] = PLACED;
            order[(*count)++] = top->op;
            depth--;
            continue;
        }
        int value = op->inputs[top->next++];
        if (value == ONNX_ABSENT)
            continue;
        im->values[value].uses++;
        int producer = im->values[value].producer;
        if (producer < 0)
            continue;
        if (state[producer] == OPEN)
            return onnx_fail(op, SAL_ERROR_FORMAT, "depends on itself");
        if (state[producer] == UNSEEN) {
            state[producer] = OPEN;
            stack[depth++] = (visit){producer, 0};
        }
    }
    return SAL_OK;
}

/* Room for all ops that there are by now. */
static sal_status make_room(onnx_importer *im)
{
    sal_status st = SAL_OK;
    char *more = NULL;
    TRY(sal_alloc(&more, im->op_count, 1, "the order of nodes"));
    if (im->placed)
        memcpy(more, im->placed, im->placed_count);
    sal_free(im->placed);
    im->placed = more;
    im->placed_count = im->op_count;
done:
    return st;
}

static sal_status sort_ops(onnx_importer *im)
{
    sal_status st = SAL_OK;
    visit *stack = NULL;
    const onnx_value *output = &im->values[im->output];
    if (output->producer < 0)
        return sal_fail(SAL_ERROR_FORMAT, "no node makes the output %.200s", output->name);
    TRY(sal_alloc(&stack, im->op_count, sizeof *stack, "the order of nodes"));
    TRY(sal_alloc(&im->order, im->op_count, sizeof *im->order, "the order of nodes"));
    TRY(make_room(im));
    TRY(place(im, stack, im->order, &im->order_count, output->producer));
    im->values[im->output].uses++;
done:
    sal_free(stack);
    return st;
}

/* The one graph input that the ops read. Inputs with an initializer are weights: old exporters list those too. all: it
 * is not known yet what reads them. */
static sal_status find_input(onnx_importer *im, int all)
{
    sal_status st = SAL_OK;
    const SalOnnx__Graph *graph = im->model->graph[0];
    char names[512] = "";
    size_t used = 0, found = 0;
    im->input = ONNX_ABSENT;
    for (size_t k = 0; k < graph->n_input; k++) {
        int value;
        TRY(onnx_intern(&value, im, graph->input[k]->name));
        const onnx_value *v = &im->values[value];
        if (v->stored || (v->uses == 0 && !all) || value == im->input)
            continue;
        if (v->producer >= 0) {
            st = sal_fail(SAL_ERROR_FORMAT, "tensor %.200s is both an input and the output of a node", v->name);
            goto done;
        }
        int n = snprintf(names + used, sizeof names - used, "%s%s", found ? ", " : "", v->name);
        if (n > 0 && (size_t)n < sizeof names - used)
            used += (size_t)n;
        if (found++ == 0)
            im->input = value;
    }
    if (found == 0 && !all && im->place_count > 0)
        return find_input(im, 1); /* a branch may read it */
    if (found == 0)
        st = sal_fail(SAL_ERROR_UNSUPPORTED, "the output does not depend on any input");
    else if (found > 1)
        st = sal_fail(SAL_ERROR_UNSUPPORTED, "the model has several inputs (%s); salmap needs exactly one picture",
                      names);
done:
    return st;
}

/* Every tensor that is read must come from somewhere. */
static sal_status check_sources(const onnx_importer *im, const int *order, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        const onnx_op *op = &im->ops[order[k]];
        for (int i = 0; i < op->input_count; i++) {
            if (op->inputs[i] == ONNX_ABSENT)
                continue;
            const onnx_value *v = &im->values[op->inputs[i]];
            if (v->producer < 0 && !v->stored && op->inputs[i] != im->input)
                return onnx_fail(op, SAL_ERROR_FORMAT, "nothing in the file makes its input %.200s", v->name);
        }
    }
    return SAL_OK;
}

static sal_status order_for_output(onnx_importer *im)
{
    sal_status st = SAL_OK;
    TRY(choose_output(im));
    if (im->output == ONNX_ABSENT) {
        st = sal_fail(SAL_ERROR_FORMAT, "the output has no name");
        goto done;
    }
    im->declared = im->output;
    TRY(sort_ops(im));
done:
    return st;
}

static void forget_order(onnx_importer *im)
{
    for (size_t v = 0; v < im->value_count; v++)
        im->values[v].uses = 0;
    sal_free(im->order);
    sal_free(im->placed);
    im->order = NULL;
    im->placed = NULL;
    im->order_count = 0;
}

sal_status onnx_order(onnx_importer *im)
{
    const char *layer = im->options ? im->options->layer : NULL;
    sal_status st = order_for_output(im);
    if (!layer || st == SAL_ERROR_MEMORY || (st != SAL_OK && im->options->output))
        return st;
    /* What is wrong behind the layer does not matter. */
    const int end = onnx_cut_at(im, layer);
    if (end == ONNX_ABSENT)
        return st;
    im->output = end;
    forget_order(im);
    return sort_ops(im);
}

sal_status onnx_choose_input(onnx_importer *im)
{
    sal_status st = find_input(im, 0);
    return st == SAL_OK ? check_sources(im, im->order, im->order_count) : st;
}

sal_status onnx_order_more(int **order, size_t *count, onnx_importer *im, int index)
{
    sal_status st = SAL_OK;
    visit *stack = NULL;
    const onnx_op op = im->ops[index];
    *count = 0;
    TRY(sal_alloc(&stack, im->op_count, sizeof *stack, "the order of nodes"));
    TRY(sal_alloc(order, im->op_count, sizeof **order, "the order of nodes"));
    TRY(make_room(im));
    for (int i = 0; i < op.output_count; i++) {
        const int producer = op.outputs[i] != ONNX_ABSENT ? im->values[op.outputs[i]].producer : -1;
        if (producer >= 0 && im->values[op.outputs[i]].uses > 0 && im->placed[producer] == UNSEEN)
            TRY(place(im, stack, *order, count, producer));
    }
    TRY(check_sources(im, *order, *count));
done:
    sal_free(stack);
    return st;
}
