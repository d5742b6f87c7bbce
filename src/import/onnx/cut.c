/* Where a network is cut: at the layer that is to make the scores, or, where what follows the last layers cannot be
 * computed, at which layers it could be. */
#include "import/onnx/onnx_importer.h"
#include "import/onnx/op.h"
#include "import/onnx/stages.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

enum { MOST_BEHIND = 16, MOST_FIXED = 8, MOST_NAMED = 3 };

static int is_one_of(const char *type, const char *const *types, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(type, types[i]) == 0)
            return 1;
    return 0;
}

#define IS_ONE_OF(op, types) ((op)->domain[0] == '\0' && is_one_of((op)->type, types, sizeof(types) / sizeof *(types)))

/* Ops that become dense or convolution layers. */
static const char *const layers[] = {"Conv", "ConvTranspose", "Gemm", "MatMul"};
static const char *const dense[] = {"Gemm", "MatMul"};
static const char *const lines[] = {"Add", "BatchNormalization", "Div", "Mul", "Sub"};
static const char *const shapes[] = {"Cast",    "Dropout", "Flatten",   "Identity",
                                     "Reshape", "Squeeze", "Transpose", "Unsqueeze"};
static const char *const probabilities[] = {"LogSoftmax", "Sigmoid", "Softmax"};

static int reads(const onnx_op *op, int value)
{
    for (int i = 0; i < op->input_count; i++)
        if (op->inputs[i] == value)
            return 1;
    return 0;
}

static size_t count_readers(const onnx_importer *im, int value)
{
    size_t n = 0;
    for (size_t k = 0; k < im->op_count; k++)
        n += (size_t)reads(&im->ops[k], value);
    return n;
}

/* Whether a value is the same for every picture. */
static int is_fixed(const onnx_importer *im, int value, int depth)
{
    if (value == ONNX_ABSENT || im->values[value].stored)
        return 1;
    if (im->values[value].producer < 0 || depth == MOST_FIXED)
        return 0;
    const onnx_op *op = &im->ops[im->values[value].producer];
    for (int i = 0; i < op->input_count; i++)
        if (!is_fixed(im, op->inputs[i], depth + 1))
            return 0;
    return 1;
}

/* Only one input of it depends on the picture. */
static int is_of_one(const onnx_importer *im, const onnx_op *op, int value)
{
    int others = 0;
    for (int i = 0; i < op->input_count; i++)
        others += op->inputs[i] != value && !is_fixed(im, op->inputs[i], 0);
    return others == 0;
}

/* x * sigmoid(x) is an activation. */
static int is_gate(const onnx_importer *im, const onnx_op *sigmoid, int value)
{
    for (size_t k = 0; k < im->op_count; k++)
        if (reads(&im->ops[k], value) && reads(&im->ops[k], sigmoid->outputs[0]))
            return 1;
    return 0;
}

/* What belongs to a layer, of what follows it: a bias or scale of its own (where nobody else reads what is before
 * them), and the probabilities made of it. Only looks at names and types: nothing is computed. Returns the last value.
 */
static int find_end(const onnx_importer *im, int value)
{
    int end = value;
    for (int step = 0; step < MOST_BEHIND; step++) {
        const onnx_op *next = NULL;
        const int alone = count_readers(im, value) == 1;
        int kind = 0;
        for (size_t k = 0; k < im->op_count && !kind; k++) {
            next = &im->ops[k];
            if (!reads(next, value) || next->output_count < 1 || next->outputs[0] == ONNX_ABSENT ||
                !is_of_one(im, next, value))
                continue;
            if (IS_ONE_OF(next, probabilities) && !(next->type[0] != 'L' && is_gate(im, next, value)))
                return next->outputs[0];
            kind = IS_ONE_OF(next, shapes) ? 1 : IS_ONE_OF(next, lines) && alone ? 2 : 0;
        }
        if (!kind)
            break;
        value = next->outputs[0];
        end = kind == 2 ? value : end;
    }
    return end;
}

/* The last of the layers that is called so: of those that the output needs, else of all. */
static const onnx_op *find_layer(const onnx_importer *im, const char *name)
{
    for (size_t k = im->order_count; k-- > 0;)
        if (IS_ONE_OF(&im->ops[im->order[k]], layers) && sal_node_is_of_layer(im->ops[im->order[k]].name, name))
            return &im->ops[im->order[k]];
    for (size_t k = im->op_count; k-- > 0;)
        if (IS_ONE_OF(&im->ops[k], layers) && sal_node_is_of_layer(im->ops[k].name, name))
            return &im->ops[k];
    return NULL;
}

int onnx_cut_at(const onnx_importer *im, const char *layer)
{
    const onnx_op *op = find_layer(im, layer);
    return op && op->output_count > 0 && op->outputs[0] != ONNX_ABSENT ? find_end(im, op->outputs[0]) : ONNX_ABSENT;
}

/* 1 for the ops that depend on `op`, 2 for those that it depends on; by their place in im->order, where it is at `at`.
 * A layer among the first: 0, it is not the tail. */
static int mark(char *marks, const onnx_importer *im, size_t at)
{
    char *of_op = marks + im->order_count; /* by the ops' own numbers */
    of_op[im->order[at]] = 1;
    for (size_t k = at + 1; k < im->order_count; k++) {
        const onnx_op *other = &im->ops[im->order[k]];
        for (int i = 0; i < other->input_count; i++)
            if (other->inputs[i] != ONNX_ABSENT && im->values[other->inputs[i]].producer >= 0 &&
                of_op[im->values[other->inputs[i]].producer] == 1)
                of_op[im->order[k]] = 1;
        if (of_op[im->order[k]] && IS_ONE_OF(other, layers))
            return 0;
    }
    of_op[im->order[at]] = 2;
    for (size_t k = at + 1; k-- > 0;) {
        const onnx_op *op = &im->ops[im->order[k]];
        if (of_op[im->order[k]] != 2)
            continue;
        marks[k] = 2;
        for (int i = 0; i < op->input_count; i++)
            if (op->inputs[i] != ONNX_ABSENT && im->values[op->inputs[i]].producer >= 0)
                of_op[im->values[op->inputs[i]].producer] = 2;
    }
    return 1;
}

void onnx_cut_hint(char *text, size_t size, const onnx_importer *im, const onnx_op *op)
{
    size_t at = 0, used = 0, named = 0;
    char *marks = NULL;
    text[0] = '\0';
    while (at < im->order_count && &im->ops[im->order[at]] != op)
        at++;
    if (IS_ONE_OF(op, layers) || at == im->order_count ||
        sal_alloc(&marks, im->order_count + im->op_count, 1, "the order of nodes") != SAL_OK)
        return;
    if (mark(marks, im, at))
        for (int convs = 0; convs < 2 && named == 0; convs++)
            for (size_t k = at; k-- > 0 && named < (convs ? 1 : MOST_NAMED);) {
                const onnx_op *layer = &im->ops[im->order[k]];
                if (marks[k] != 2 || !IS_ONE_OF(layer, layers) || (!convs && !IS_ONE_OF(layer, dense)))
                    continue;
                int n =
                    snprintf(text + used, size - used, "%s%.100s",
                             named++ ? ", " : "; to leave off what follows a layer, say --layer NAME: ", layer->name);
                used += n > 0 && (size_t)n < size - used ? (size_t)n : 0;
            }
    text[used] = '\0';
    sal_free(marks);
}
