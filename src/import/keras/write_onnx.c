/* The ONNX model of a Keras file: ops, constants and weights, as the layers' functions ask for them. */
#include "import/keras/write_onnx.h"

#include "base/memory.h"
#include "import/hdf5/weight_file.h"
#include "import/keras/weight_paths.h"
#include "import/onnx/onnx.h"

#include <string.h>

/* ---- Ops ----------------------------------------------------------------- */

/* Ops that are what a layer of a name like theirs does; others are its parts. */
static int is_layer(const char *type)
{
    static const char *const types[] = {
        "AveragePool", "BatchNormalization", "Conv", "LayerNormalization", "MatMul", "MaxPool", "Relu", "Softmax"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(type, types[i]) == 0)
            return 1;
    return 0;
}

sal_status keras_op(const char **out, SalOnnx__Node **node, const keras_call *c, const char *type,
                    const char *const *inputs, size_t count)
{
    sal_status st = SAL_OK;
    SalOnnx__Node *n;
    char *name, *output;
    keras_graph *g = c->graph;
    if (g->node_count >= g->limits->max_nodes)
        return sal_fail(SAL_ERROR_LIMIT, "more than %llu nodes", (unsigned long long)g->limits->max_nodes);
    TRY(keras_alloc(&n, c->arena, 1, sizeof *n));
    sal_onnx__node__init(n);
    /* The layer's name where the op is the layer, and one that can be told from it otherwise. */
    if (!c->layer->outermost && is_layer(type))
        TRY(keras_format(&name, c->arena, "%s", c->layer->full_name));
    else
        TRY(keras_format(&name, c->arena, "%s/%s", c->layer->outermost ? "model" : c->layer->full_name, type));
    TRY(keras_format(&output, c->arena, "%s:%lu", name, g->names++));
    n->name = name;
    n->op_type = (char *)type;
    TRY(keras_alloc(&n->input, c->arena, count, sizeof *n->input));
    TRY(keras_alloc(&n->output, c->arena, 1, sizeof *n->output));
    for (size_t i = 0; i < count; i++)
        n->input[i] = (char *)inputs[i];
    n->n_input = count;
    n->output[0] = output;
    n->n_output = 1;
    TRY(sal_grow(&g->nodes, &g->node_capacity, g->node_count + 1, sizeof *g->nodes, "the network"));
    g->nodes[g->node_count++] = n;
    *out = output;
    if (node)
        *node = n;
done:
    return st;
}

sal_status keras_op1(const char **out, SalOnnx__Node **node, const keras_call *c, const char *type, const char *x)
{
    return keras_op(out, node, c, type, &x, 1);
}

sal_status keras_op2(const char **out, const keras_call *c, const char *type, const char *x, const char *y)
{
    const char *const inputs[] = {x, y};
    return keras_op(out, NULL, c, type, inputs, 2);
}

enum { TYPE_FLOAT = 1, TYPE_INT = 2, TYPE_STRING = 3, TYPE_INTS = 7 };

static sal_status add_attribute(SalOnnx__Attribute **out, const keras_call *c, SalOnnx__Node *node, const char *name,
                                int type)
{
    enum { MOST = 8 };
    sal_status st = SAL_OK;
    SalOnnx__Attribute *a;
    if (!node->attribute)
        TRY(keras_alloc(&node->attribute, c->arena, MOST, sizeof *node->attribute));
    TRY(keras_alloc(&a, c->arena, 1, sizeof *a));
    sal_onnx__attribute__init(a);
    a->name = (char *)name;
    a->type = type;
    node->attribute[node->n_attribute++] = a;
    *out = a;
done:
    return st;
}

sal_status keras_set_int(const keras_call *c, SalOnnx__Node *node, const char *name, int64_t value)
{
    SalOnnx__Attribute *a;
    sal_status st = add_attribute(&a, c, node, name, TYPE_INT);
    if (st == SAL_OK)
        a->i = value;
    return st;
}

sal_status keras_set_float(const keras_call *c, SalOnnx__Node *node, const char *name, double value)
{
    SalOnnx__Attribute *a;
    sal_status st = add_attribute(&a, c, node, name, TYPE_FLOAT);
    if (st == SAL_OK)
        a->f = (float)value;
    return st;
}

sal_status keras_set_ints(const keras_call *c, SalOnnx__Node *node, const char *name, const int64_t *values,
                          size_t count)
{
    sal_status st = SAL_OK;
    SalOnnx__Attribute *a;
    TRY(add_attribute(&a, c, node, name, TYPE_INTS));
    TRY(keras_alloc(&a->ints, c->arena, count, sizeof *a->ints));
    memcpy(a->ints, values, count * sizeof *values);
    a->n_ints = count;
done:
    return st;
}

sal_status keras_set_text(const keras_call *c, SalOnnx__Node *node, const char *name, const char *value)
{
    sal_status st = SAL_OK;
    SalOnnx__Attribute *a;
    char *copy;
    TRY(add_attribute(&a, c, node, name, TYPE_STRING));
    TRY(keras_format(&copy, c->arena, "%s", value));
    a->s.data = (uint8_t *)copy;
    a->s.len = strlen(copy);
done:
    return st;
}

static sal_status turn(const char **out, const keras_call *c, const char *x, const int64_t perm[4])
{
    SalOnnx__Node *node;
    sal_status st = keras_op1(out, &node, c, "Transpose", x);
    return st == SAL_OK ? keras_set_ints(c, node, "perm", perm, 4) : st;
}

sal_status keras_to_first(const char **out, const keras_call *c, const char *x)
{
    static const int64_t perm[] = {0, 3, 1, 2};
    return turn(out, c, x, perm);
}

sal_status keras_to_last(const char **out, const keras_call *c, const char *x)
{
    static const int64_t perm[] = {0, 2, 3, 1};
    return turn(out, c, x, perm);
}

/* ---- Constants ----------------------------------------------------------- */

static sal_status add_constant(SalOnnx__Tensor **out, const keras_call *c, int type, const int64_t *dims, size_t rank)
{
    sal_status st = SAL_OK;
    SalOnnx__Tensor *t;
    keras_graph *g = c->graph;
    TRY(keras_alloc(&t, c->arena, 1, sizeof *t));
    sal_onnx__tensor__init(t);
    TRY(keras_format(&t->name, c->arena, "constant:%lu", g->names++));
    t->data_type = type;
    TRY(keras_alloc(&t->dims, c->arena, rank, sizeof *t->dims));
    for (size_t i = 0; i < rank; i++)
        t->dims[i] = dims[i];
    t->n_dims = rank;
    TRY(sal_grow(&g->constants, &g->constant_capacity, g->constant_count + 1, sizeof *g->constants, "the network"));
    g->constants[g->constant_count++] = t;
    *out = t;
done:
    return st;
}

sal_status keras_floats(const char **out, const keras_call *c, const float *values, int64_t count)
{
    sal_status st = SAL_OK;
    SalOnnx__Tensor *t;
    const size_t n = count < 0 ? 1 : (size_t)count;
    TRY(add_constant(&t, c, ONNX_FLOAT, &count, count < 0 ? 0 : 1));
    TRY(keras_alloc(&t->float_data, c->arena, n, sizeof *t->float_data));
    memcpy(t->float_data, values, n * sizeof *values);
    t->n_float_data = n;
    *out = t->name;
done:
    return st;
}

sal_status keras_ints(const char **out, const keras_call *c, const int64_t *values, int64_t count)
{
    sal_status st = SAL_OK;
    SalOnnx__Tensor *t;
    const size_t n = count < 0 ? 1 : (size_t)count;
    TRY(add_constant(&t, c, ONNX_INT64, &count, count < 0 ? 0 : 1));
    TRY(keras_alloc(&t->int64_data, c->arena, n, sizeof *t->int64_data));
    memcpy(t->int64_data, values, n * sizeof *values);
    t->n_int64_data = n;
    *out = t->name;
done:
    return st;
}

static sal_status find_weight(uint64_t *index, sal_shape *shape, const keras_call *c, const char *roles, int position)
{
    sal_status st = SAL_OK;
    char *dataset;
    int has = 1;
    TRY(keras_weight_path(&dataset, c, roles, position));
    st = keras_hdf5_find(index, shape, c->weights->file, dataset);
    if (st == SAL_ERROR_FORMAT && c->weights->archive)
        TRY(keras_hdf5_has(&has, c->weights->file, dataset));
    if (!has)
        st = keras_fail(
            c, SAL_ERROR_FORMAT,
            "the file has no %.*s for it: %s is missing (Keras saves a layer that two models share with one of them)",
            (int)strcspn(roles, "|"), roles, dataset);
    else if (st != SAL_OK)
        st = keras_fail(c, st, "%s", keras_without_path(c->facts, sal_last_error()));
    for (int a = 0; st == SAL_OK && a < shape->rank; a++)
        if (shape->dim[a] < 1)
            st = keras_fail(c, SAL_ERROR_FORMAT, "%s is empty", dataset);
done:
    return st;
}

sal_status keras_new_weights(float **out, const keras_call *c, size_t rows, size_t columns)
{
    static const uint64_t most = (uint64_t)1 << 29;
    keras_limits *limits = c->graph->limits;
    const uint64_t limit = limits->max_bytes < most ? limits->max_bytes : most;
    sal_status st = SAL_OK;
    size_t count, bytes;
    TRY(sal_size_mul(&count, rows, columns, "weights"));
    TRY(sal_size_mul(&bytes, count, sizeof **out, "weights"));
    if (bytes > limit || limits->computed_bytes > limit - bytes)
        return keras_fail(c, SAL_ERROR_LIMIT, "with it, the weights that salmap computes have more than %llu bytes",
                          (unsigned long long)limit);
    limits->computed_bytes += bytes;
    TRY(keras_alloc(out, c->arena, count, sizeof **out));
done:
    return st;
}

sal_status keras_weight(const char **out, sal_shape *shape, const keras_call *c, const char *roles, int position)
{
    sal_status st = SAL_OK;
    SalOnnx__Tensor *t;
    sal_shape found;
    uint64_t index;
    TRY(find_weight(&index, &found, c, roles, position));
    TRY(add_constant(&t, c, ONNX_FLOAT, found.dim, (size_t)found.rank));
    t->data_location = ONNX_LOCATION_SOURCE;
    t->file_offset = index;
    /* Errors name the layer and the role. */
    TRY(keras_format(&t->name, c->arena, "%s/%.*s:%lu", c->layer->full_name, (int)strcspn(roles, "|"), roles,
                     c->graph->names++));
    *out = t->name;
    if (shape)
        *shape = found;
done:
    return st;
}

sal_status keras_weight_values(const float **values, size_t *count, const keras_call *c, const char *roles,
                               int position)
{
    sal_status st = SAL_OK;
    sal_shape shape;
    uint64_t index;
    float *own;
    TRY(find_weight(&index, &shape, c, roles, position));
    *count = 1;
    for (int a = 0; a < shape.rank; a++)
        TRY(sal_size_mul(count, *count, (size_t)shape.dim[a], c->layer->full_name));
    TRY(keras_new_weights(&own, c, *count, 1));
    TRY(keras_hdf5_read(own, *count, c->weights->file, index));
    *values = own;
done:
    return st;
}
