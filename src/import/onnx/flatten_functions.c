/* The model as one flat list of ops: initializers become values, calls of the model's own functions their bodies. */
#include "base/memory.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/op.h"
#include "import/onnx/stages.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 64, MAX_CALLS = 1 << 16, MIN_OPSET = 6, MAX_OPSET = 28 };

/* Where a list of nodes stands: in the graph itself or in the body of a function that some op calls. */
typedef struct scope {
    const char *prefix;                /* of names that are private to the call; "" in the graph */
    const SalOnnx__Function *function; /* NULL in the graph */
    const onnx_op *call;               /* the op that calls, or NULL */
    int64_t opset;
    int depth;
    int branch_of; /* place of the If that this is a branch of; -1: of none */
} scope;

static sal_status add_nodes(onnx_importer *im, const scope *in, SalOnnx__Node **nodes, size_t count);

static void op_clear(onnx_op *op)
{
    free(op->name);
    sal_free(op->inputs);
    sal_free(op->outputs);
    sal_free(op->attributes);
    memset(op, 0, sizeof *op);
}

void onnx_ops_clear(onnx_importer *im)
{
    for (size_t k = 0; k < im->op_count; k++)
        op_clear(&im->ops[k]);
    free(im->ops);
    sal_free(im->functions);
    sal_free(im->order);
    sal_free(im->placed);
    im->ops = NULL;
    im->op_count = 0;
}

static int is_core_domain(const char *domain)
{
    return domain[0] == '\0' || strcmp(domain, "ai.onnx") == 0;
}

static int compare_functions(const void *pa, const void *pb)
{
    const SalOnnx__Function *a = *(const SalOnnx__Function *const *)pa, *b = *(const SalOnnx__Function *const *)pb;
    int c = strcmp(a->domain, b->domain);
    if (c == 0)
        c = strcmp(a->name, b->name);
    return c ? c : strcmp(a->overload, b->overload);
}

static const SalOnnx__Function *find_function(const onnx_importer *im, const SalOnnx__Node *node)
{
    SalOnnx__Function key = {.domain = node->domain, .name = node->op_type, .overload = node->overload};
    const SalOnnx__Function *wanted = &key;
    if (im->model->n_functions == 0)
        return NULL;
    const SalOnnx__Function **found =
        bsearch(&wanted, im->functions, im->model->n_functions, sizeof *found, compare_functions);
    return found ? *found : NULL;
}

/* Version of the default operator set; `fallback` where the list does not name it. */
static sal_status find_opset(int64_t *out, SalOnnx__OperatorSet **sets, size_t count, int64_t fallback)
{
    *out = fallback;
    for (size_t k = 0; k < count; k++)
        if (is_core_domain(sets[k]->domain))
            *out = sets[k]->version;
    if (*out < MIN_OPSET || *out > MAX_OPSET)
        return sal_fail(SAL_ERROR_UNSUPPORTED, "opset %lld: salmap reads %d to %d; export with opset_version=18",
                        (long long)*out, MIN_OPSET, MAX_OPSET);
    return SAL_OK;
}

/* "prefix" + "name" in a buffer of the caller's. */
static sal_status join(char **out, const char *prefix, const char *name)
{
    size_t size = strlen(prefix) + strlen(name) + 1;
    *out = malloc(size);
    if (!*out)
        return sal_fail_memory(size, "a name");
    snprintf(*out, size, "%s%s", prefix, name);
    return SAL_OK;
}

/* In a branch: of the branch, or of what is around it. ONNX_ABSENT: of neither. */
static sal_status find_around(int *out, const onnx_importer *im, const scope *in, const char *name)
{
    sal_status st = SAL_OK;
    char *joined = NULL;
    const char *prefix = in->prefix;
    *out = ONNX_ABSENT;
    for (int place = in->branch_of;; place = im->places[place].outer) {
        TRY(join(&joined, prefix, name));
        *out = onnx_find_value(im, joined);
        free(joined);
        joined = NULL;
        if (*out != ONNX_ABSENT || place < 0)
            break;
        prefix = im->places[place].prefix;
    }
done:
    free(joined);
    return st;
}

static sal_status resolve_name(int *out, onnx_importer *im, const scope *in, const char *name)
{
    sal_status st = SAL_OK;
    char *joined = NULL;
    *out = ONNX_ABSENT;
    if (name[0] == '\0')
        return SAL_OK;
    if (in->prefix[0] == '\0')
        return onnx_intern(out, im, name);
    if (in->branch_of >= 0)
        TRY(find_around(out, im, in, name));
    if (*out != ONNX_ABSENT)
        return SAL_OK;
    TRY(join(&joined, in->prefix, name));
    TRY(onnx_intern(out, im, joined));
done:
    free(joined);
    return st;
}

static sal_status resolve_names(int **out, int *count, onnx_importer *im, const scope *in, char **names, size_t n)
{
    sal_status st = SAL_OK;
    if (n > INT_MAX)
        return sal_fail(SAL_ERROR_LIMIT, "a node has %zu inputs or outputs", n);
    TRY(sal_alloc(out, n, sizeof **out, "a node's inputs"));
    for (size_t k = 0; k < n; k++)
        TRY(resolve_name(&(*out)[k], im, in, names[k]));
    *count = (int)n;
done:
    return st;
}

/* What a function's node sees where it refers to an attribute of the function: the call's, else the default. */
static const SalOnnx__Attribute *resolve_attribute(const scope *in, const SalOnnx__Attribute *a)
{
    if (a->ref_attr_name[0] == '\0')
        return a;
    const SalOnnx__Attribute *given = in->call ? onnx_attribute_find(in->call, a->ref_attr_name) : NULL;
    for (size_t k = 0; !given && in->function && k < in->function->n_attribute_proto; k++)
        if (strcmp(in->function->attribute_proto[k]->name, a->ref_attr_name) == 0)
            given = in->function->attribute_proto[k];
    return given;
}

/* An If is looked into later, when its condition is known. */
static sal_status note_place(onnx_op *op, onnx_importer *im, const scope *in)
{
    sal_status st = SAL_OK;
    op->place = -1;
    if (strcmp(op->type, "If") != 0 || op->domain[0] != '\0')
        return SAL_OK;
    TRY(sal_grow(&im->places, &im->place_capacity, im->place_count + 1, sizeof *im->places, "the model's branches"));
    onnx_place *p = &im->places[im->place_count];
    *p = (onnx_place){.outer = in->branch_of, .depth = in->depth};
    TRY(sal_strdup(&p->prefix, in->prefix));
    op->place = (int)im->place_count++;
done:
    return st;
}

static sal_status make_op(onnx_op *op, onnx_importer *im, const scope *in, const SalOnnx__Node *node)
{
    sal_status st = SAL_OK;
    char made_up[160];
    op->type = node->op_type;
    op->domain = is_core_domain(node->domain) ? "" : node->domain;
    op->opset = in->opset;
    op->written = im->source != NULL;
    snprintf(made_up, sizeof made_up, "%.100s_%zu", node->op_type, im->op_count);
    TRY(join(&op->name, in->prefix, node->name[0] ? node->name : made_up));
    TRY(resolve_names(&op->inputs, &op->input_count, im, in, node->input, node->n_input));
    TRY(resolve_names(&op->outputs, &op->output_count, im, in, node->output, node->n_output));
    TRY(note_place(op, im, in));
    TRY(sal_alloc(&op->attributes, node->n_attribute, sizeof *op->attributes, "a node's attributes"));
    for (size_t k = 0; k < node->n_attribute; k++) {
        const SalOnnx__Attribute *data = resolve_attribute(in, node->attribute[k]);
        if (!data && in->branch_of >= 0)
            return onnx_fail(op, SAL_ERROR_UNSUPPORTED, "attribute %.100s is that of a function around the branch",
                             node->attribute[k]->name);
        if (data)
            op->attributes[op->attribute_count++] = (onnx_attribute){node->attribute[k]->name, data};
    }
done:
    return st;
}

/* The function's formal names become aliases of the call's values. */
static sal_status bind(onnx_importer *im, const char *prefix, char **formal, size_t count, const int *actual, int given)
{
    sal_status st = SAL_OK;
    char *joined = NULL;
    for (size_t k = 0; k < count && st == SAL_OK; k++) {
        int entry;
        TRY(join(&joined, prefix, formal[k]));
        TRY(onnx_intern_entry(&entry, im, joined));
        im->values[entry].alias = k < (size_t)given ? actual[k] : ONNX_ABSENT;
        free(joined);
        joined = NULL;
    }
done:
    free(joined);
    return st;
}

static sal_status call_function(onnx_importer *im, const scope *in, const onnx_op *call, const SalOnnx__Function *f)
{
    sal_status st = SAL_OK;
    char prefix[64];
    scope body = {.prefix = prefix, .function = f, .call = call, .depth = in->depth + 1, .branch_of = -1};
    if (body.depth > MAX_DEPTH)
        return onnx_fail(call, SAL_ERROR_FORMAT, "functions call each other more than %d deep", MAX_DEPTH);
    if ((size_t)call->input_count > f->n_input || (size_t)call->output_count > f->n_output)
        return onnx_fail(call, SAL_ERROR_FORMAT, "more inputs or outputs than the function has");
    snprintf(prefix, sizeof prefix, "%llu:", (unsigned long long)im->calls);
    TRY(find_opset(&body.opset, f->opset_import, f->n_opset_import, in->opset));
    TRY(bind(im, prefix, f->input, f->n_input, call->inputs, call->input_count));
    TRY(bind(im, prefix, f->output, f->n_output, call->outputs, call->output_count));
    TRY(add_nodes(im, &body, f->node, f->n_node));
done:
    return st;
}

static sal_status keep_op(onnx_importer *im, onnx_op *op)
{
    sal_status st = sal_grow(&im->ops, &im->op_capacity, im->op_count + 1, sizeof *im->ops, "the model's nodes");
    if (st != SAL_OK)
        return st;
    for (int k = 0; k < op->output_count; k++) {
        if (op->outputs[k] == ONNX_ABSENT)
            continue;
        onnx_value *v = &im->values[op->outputs[k]];
        if (v->producer >= 0 || v->stored)
            return onnx_fail(op, SAL_ERROR_FORMAT, "tensor %.200s is made twice", v->name);
        v->producer = (int)im->op_count;
    }
    im->ops[im->op_count++] = *op;
    memset(op, 0, sizeof *op);
    return SAL_OK;
}

static sal_status add_nodes(onnx_importer *im, const scope *in, SalOnnx__Node **nodes, size_t count)
{
    sal_status st = SAL_OK;
    onnx_op op = {0};
    for (size_t k = 0; k < count; k++) {
        if (im->op_count >= im->max_nodes || im->op_count >= INT_MAX) {
            st = sal_fail(SAL_ERROR_LIMIT, "more than %llu nodes", (unsigned long long)im->max_nodes);
            goto done;
        }
        TRY(make_op(&op, im, in, nodes[k]));
        const SalOnnx__Function *f = find_function(im, nodes[k]);
        if (f) {
            /* Functions that only call each other would multiply without an op. */
            if (++im->calls > MAX_CALLS) {
                st = onnx_fail(&op, SAL_ERROR_LIMIT, "more than %d calls of functions", MAX_CALLS);
                goto done;
            }
            TRY(call_function(im, in, &op, f));
            op_clear(&op);
        } else {
            TRY(keep_op(im, &op));
        }
    }
done:
    op_clear(&op);
    return st;
}

static sal_status add_initializers(onnx_importer *im, const scope *in, const SalOnnx__Graph *graph)
{
    sal_status st = SAL_OK;
    if (graph->n_sparse_initializer > 0)
        return sal_fail(SAL_ERROR_UNSUPPORTED,
                        "the model has sparse initializers, which salmap does not read; export it with plain ones");
    for (size_t k = 0; k < graph->n_initializer; k++) {
        int value;
        char *name = NULL;
        TRY(join(&name, in->prefix, graph->initializer[k]->name));
        st = onnx_intern(&value, im, name);
        free(name);
        TRY(st);
        if (im->values[value].stored) {
            st = sal_fail(SAL_ERROR_FORMAT, "initializer %.200s is there twice", graph->initializer[k]->name);
            goto done;
        }
        im->values[value].stored = graph->initializer[k];
        im->values[value].kind = ONNX_VALUE_STORED;
    }
done:
    return st;
}

sal_status onnx_flatten(onnx_importer *im)
{
    sal_status st = SAL_OK;
    const SalOnnx__Model *model = im->model;
    scope top = {.prefix = "", .branch_of = -1};
    TRY(find_opset(&im->opset, model->opset_import, model->n_opset_import, 1));
    top.opset = im->opset;
    TRY(sal_alloc(&im->functions, model->n_functions, sizeof *im->functions, "the model's functions"));
    for (size_t k = 0; k < model->n_functions; k++)
        im->functions[k] = model->functions[k];
    if (model->n_functions > 0)
        qsort(im->functions, model->n_functions, sizeof *im->functions, compare_functions);
    TRY(add_initializers(im, &top, model->graph[0]));
    TRY(add_nodes(im, &top, model->graph[0]->node, model->graph[0]->n_node));
done:
    return st;
}

/* What a branch's nodes make is known before any of them is read: a name may be that of something around it as well. */
static sal_status add_names(onnx_importer *im, const scope *in, const SalOnnx__Graph *graph)
{
    sal_status st = SAL_OK;
    char *name = NULL;
    for (size_t k = 0; k < graph->n_node; k++)
        for (size_t i = 0; i < graph->node[k]->n_output; i++) {
            int value;
            if (graph->node[k]->output[i][0] == '\0')
                continue;
            TRY(join(&name, in->prefix, graph->node[k]->output[i]));
            TRY(onnx_intern(&value, im, name));
            free(name);
            name = NULL;
        }
done:
    free(name);
    return st;
}

/* An Identity from one value to another. */
static sal_status add_identity(onnx_importer *im, const scope *in, int from, int to)
{
    sal_status st = SAL_OK;
    onnx_op op = {
        .type = "Identity", .domain = "", .opset = in->opset, .place = -1, .input_count = 1, .output_count = 1};
    TRY(join(&op.name, in->prefix, "output"));
    TRY(sal_alloc(&op.inputs, 1, sizeof *op.inputs, "a node's inputs"));
    TRY(sal_alloc(&op.outputs, 1, sizeof *op.outputs, "a node's outputs"));
    op.inputs[0] = from;
    op.outputs[0] = to;
    im->values[to].producer = -1; /* the If was that */
    TRY(keep_op(im, &op));
done:
    op_clear(&op);
    return st;
}

sal_status onnx_inline_branch(onnx_importer *im, int index, const SalOnnx__Graph *graph)
{
    sal_status st = SAL_OK;
    char prefix[64];
    const onnx_op op = im->ops[index]; /* borrowed: the list may move */
    const scope body = {
        .prefix = prefix, .opset = op.opset, .depth = im->places[op.place].depth + 1, .branch_of = op.place};
    if (body.depth > MAX_DEPTH)
        return onnx_fail(&op, SAL_ERROR_FORMAT, "branches are more than %d deep", MAX_DEPTH);
    if (++im->calls > MAX_CALLS)
        return onnx_fail(&op, SAL_ERROR_LIMIT, "more than %d calls of functions", MAX_CALLS);
    if (graph->n_output != (size_t)op.output_count)
        return onnx_fail(&op, SAL_ERROR_FORMAT, "a branch has %zu outputs, and not %d", graph->n_output,
                         op.output_count);
    snprintf(prefix, sizeof prefix, "%llu:", (unsigned long long)im->calls);
    TRY(add_initializers(im, &body, graph));
    TRY(add_names(im, &body, graph));
    TRY(add_nodes(im, &body, graph->node, graph->n_node));
    for (int i = 0; i < op.output_count; i++) {
        int from;
        if (op.outputs[i] == ONNX_ABSENT)
            continue;
        TRY(resolve_name(&from, im, &body, graph->output[i]->name));
        if (from == ONNX_ABSENT || from == op.outputs[i]) {
            st = onnx_fail(&op, SAL_ERROR_FORMAT, "output %d of its branch has no name of its own", i);
            goto done;
        }
        TRY(add_identity(im, &body, from, op.outputs[i]));
    }
done:
    return st;
}
