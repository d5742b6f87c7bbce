#include "graph/graph.h"

#include "base/memory.h"

#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sal_weights {
    atomic_int graphs; /* that refer to it */
    float *values;
};

void sal_node_drop_weight(sal_node *node)
{
    if (!node->shared) {
        sal_free(node->weight);
    } else if (atomic_fetch_sub(&node->shared->graphs, 1) == 1) {
        sal_free(node->shared->values);
        sal_free(node->shared);
    }
    node->weight = NULL;
    node->shared = NULL;
}

static void node_clear(sal_node *node)
{
    free(node->name);
    sal_free(node->inputs);
    sal_node_drop_weight(node);
    sal_free(node->bias);
    sal_free(node->index);
    memset(node, 0, sizeof *node);
}

void sal_graph_init(sal_graph *graph)
{
    memset(graph, 0, sizeof *graph);
    graph->input = -1;
    graph->output = -1;
    graph->head = -1;
    graph->detached = SAL_OP_COUNT;
}

void sal_graph_clear(sal_graph *graph)
{
    for (size_t i = 0; i < graph->count; i++)
        node_clear(&graph->nodes[i]);
    free(graph->nodes);
    free(graph->detached_name);
    free(graph->made);
    free(graph->class_names);
    for (size_t i = 0; i < graph->data_file_count; i++)
        free(graph->data_files[i].path);
    free(graph->data_files);
    sal_graph_init(graph);
}

sal_status sal_graph_add_data_file(sal_graph *graph, const char *path, const struct stat *then)
{
    sal_status st = SAL_OK;
    for (size_t i = 0; i < graph->data_file_count; i++)
        if (strcmp(graph->data_files[i].path, path) == 0)
            return SAL_OK;
    TRY(sal_grow(&graph->data_files, &graph->data_file_capacity, graph->data_file_count + 1, sizeof *graph->data_files,
                 "a model's files"));
    TRY(sal_strdup(&graph->data_files[graph->data_file_count].path, path));
    graph->data_files[graph->data_file_count].then = *then;
    graph->data_file_count++;
done:
    return st;
}

sal_status sal_graph_add(int *out, sal_graph *graph, sal_op op, const char *name, const int *inputs, int input_count)
{
    sal_status st = SAL_OK;
    sal_node node = {.op = op, .input_count = input_count};
    char made_up[64];
    *out = -1;
    if ((unsigned)op >= SAL_OP_COUNT || input_count < 0)
        return sal_fail(SAL_ERROR_ARGUMENT, "graph: no such op or input count: %d, %d", (int)op, input_count);
    if (graph->count >= INT_MAX)
        return sal_fail(SAL_ERROR_LIMIT, "graph: too many nodes");
    if (!name) {
        snprintf(made_up, sizeof made_up, "%s_%zu", sal_op_get(op)->name, graph->count);
        name = made_up;
    }
    for (int i = 0; i < input_count; i++)
        if (inputs[i] < 0 || (size_t)inputs[i] >= graph->count)
            return sal_fail(SAL_ERROR_ARGUMENT, "node %s: input %d is node %d, which is not there", name, i, inputs[i]);
    TRY(sal_strdup(&node.name, name));
    TRY(sal_alloc(&node.inputs, (size_t)input_count, sizeof *node.inputs, "a node's inputs"));
    if (input_count > 0)
        memcpy(node.inputs, inputs, (size_t)input_count * sizeof *inputs);
    TRY(sal_grow(&graph->nodes, &graph->capacity, graph->count + 1, sizeof *graph->nodes, "the graph's nodes"));
    graph->nodes[graph->count] = node;
    *out = (int)graph->count++;
    memset(&node, 0, sizeof node);
done:
    node_clear(&node);
    return st;
}

sal_status sal_graph_infer(sal_graph *graph, int node)
{
    sal_node *n = &graph->nodes[node];
    const sal_op_row *row = sal_op_get(n->op);
    if (n->input_count < row->min_inputs || n->input_count > row->max_inputs)
        return sal_node_fail(SAL_ERROR_FORMAT, n, "has %d inputs", n->input_count);
    return row->infer(graph, n);
}

sal_status sal_graph_infer_all(sal_graph *graph)
{
    sal_status st = SAL_OK;
    for (size_t i = 0; i < graph->count && st == SAL_OK; i++)
        st = sal_graph_infer(graph, (int)i);
    return st;
}

void sal_graph_count_uses(const sal_graph *graph, int *uses)
{
    memset(uses, 0, graph->count * sizeof *uses);
    for (size_t i = 0; i < graph->count; i++)
        for (int k = 0; k < graph->nodes[i].input_count; k++)
            uses[graph->nodes[i].inputs[k]]++;
    if (graph->output >= 0)
        uses[graph->output]++;
}

void sal_graph_redirect(sal_graph *graph, int from, int to)
{
    for (size_t i = 0; i < graph->count; i++) {
        sal_node *node = &graph->nodes[i];
        if ((int)i == to)
            continue;
        for (int k = 0; k < node->input_count; k++)
            if (node->inputs[k] == from)
                node->inputs[k] = to;
    }
    if (graph->output == from)
        graph->output = to;
    graph->nodes[to].is_part &= graph->nodes[from].is_part;
}

typedef struct visit {
    int node;
    int next; /* input to visit next */
} visit;

enum { UNSEEN, OPEN, PLACED };

/* Places `root` after all it needs: depth first without recursion, since files may nest a million nodes. */
static sal_status place(int *order, size_t *placed, char *state, visit *stack, const sal_graph *graph, int root)
{
    size_t depth = 0;
    stack[depth++] = (visit){root, 0};
    state[root] = OPEN;
    while (depth > 0) {
        visit *top = &stack[depth - 1];
        const sal_node *node = &graph->nodes[top->node];
        if (top->next == node->input_count) {
            state[top->node] = PLACED;
            order[(*placed)++] = top->node;
            depth--;
            continue;
        }
        int input = node->inputs[top->next++];
        if (state[input] == OPEN)
            return sal_node_fail(SAL_ERROR_FORMAT, node, "depends on itself");
        if (state[input] == UNSEEN) {
            state[input] = OPEN;
            stack[depth++] = (visit){input, 0};
        }
    }
    return SAL_OK;
}

static void mark_needed(char *needed, int *stack, const sal_graph *graph)
{
    size_t depth = 0;
    if (graph->input >= 0)
        needed[graph->input] = 1;
    if (graph->output >= 0 && !needed[graph->output]) {
        needed[graph->output] = 1;
        stack[depth++] = graph->output;
    }
    while (depth > 0) {
        const sal_node *node = &graph->nodes[stack[--depth]];
        for (int k = 0; k < node->input_count; k++) {
            if (!needed[node->inputs[k]]) {
                needed[node->inputs[k]] = 1;
                stack[depth++] = node->inputs[k];
            }
        }
    }
}

/* Moves the nodes into the given order, clears those that are not in it and renames all references. */
static void reorder(sal_graph *graph, sal_node *fresh, int *index, const int *order, size_t placed)
{
    for (size_t i = 0; i < graph->count; i++)
        index[i] = -1;
    for (size_t i = 0; i < placed; i++) {
        index[order[i]] = (int)i;
        fresh[i] = graph->nodes[order[i]];
        memset(&graph->nodes[order[i]], 0, sizeof fresh[i]);
    }
    for (size_t i = 0; i < graph->count; i++)
        node_clear(&graph->nodes[i]);
    for (size_t i = 0; i < placed; i++)
        for (int k = 0; k < fresh[i].input_count; k++)
            fresh[i].inputs[k] = index[fresh[i].inputs[k]];
    if (placed > 0)
        memcpy(graph->nodes, fresh, placed * sizeof *fresh);
    graph->count = placed;
    graph->input = graph->input >= 0 ? index[graph->input] : -1;
    graph->output = graph->output >= 0 ? index[graph->output] : -1;
    graph->head = graph->head >= 0 ? index[graph->head] : -1;
}

sal_status sal_graph_compact(sal_graph *graph)
{
    sal_status st = SAL_OK;
    int *order = NULL, *index = NULL;
    char *needed = NULL, *state = NULL;
    visit *stack = NULL;
    sal_node *fresh = NULL;
    size_t placed = 0;
    TRY(sal_alloc(&order, graph->count, sizeof *order, "the order of nodes"));
    TRY(sal_alloc(&index, graph->count, sizeof *index, "the order of nodes"));
    TRY(sal_alloc(&needed, graph->count, 1, "the order of nodes"));
    TRY(sal_alloc(&state, graph->count, 1, "the order of nodes"));
    TRY(sal_alloc(&stack, graph->count, sizeof *stack, "the order of nodes"));
    TRY(sal_alloc(&fresh, graph->count, sizeof *fresh, "the order of nodes"));
    mark_needed(needed, index, graph);
    /* In the order of indices, so that nodes which are in topological order stay as they are. */
    for (size_t i = 0; i < graph->count; i++)
        if (needed[i] && state[i] == UNSEEN)
            TRY(place(order, &placed, state, stack, graph, (int)i));
    reorder(graph, fresh, index, order, placed);
done:
    sal_free(order);
    sal_free(index);
    sal_free(needed);
    sal_free(state);
    sal_free(stack);
    sal_free(fresh);
    return st;
}

static sal_status copy_floats(float **out, const float *in, size_t count)
{
    if (!in)
        return SAL_OK;
    sal_status st = sal_alloc(out, count, sizeof **out, "weights");
    if (st == SAL_OK && count > 0)
        memcpy(*out, in, count * sizeof *in);
    return st;
}

static sal_status copy_node(sal_graph *out, const sal_node *from)
{
    sal_status st = SAL_OK;
    int index;
    TRY(sal_graph_add(&index, out, from->op, from->name, from->inputs, from->input_count));
    sal_node *to = &out->nodes[index];
    char *name = to->name;
    int *inputs = to->inputs;
    *to = *from;
    to->name = name;
    to->inputs = inputs;
    to->weight = NULL;
    to->shared = NULL;
    to->bias = NULL;
    to->index = NULL;
    if (from->index) {
        TRY(sal_alloc(&to->index, from->index_count, sizeof *to->index, "indices"));
        memcpy(to->index, from->index, from->index_count * sizeof *to->index);
    }
    TRY(copy_floats(&to->weight, from->weight, from->weight_count));
    TRY(copy_floats(&to->bias, from->bias, from->bias_count));
done:
    return st;
}

sal_status sal_graph_copy(sal_graph *out, const sal_graph *graph)
{
    sal_status st = SAL_OK;
    sal_graph copy;
    sal_graph_init(out);
    sal_graph_init(&copy);
    for (size_t i = 0; i < graph->count; i++)
        TRY(copy_node(&copy, &graph->nodes[i]));
    copy.input = graph->input;
    copy.output = graph->output;
    copy.head = graph->head;
    copy.channels_last = graph->channels_last;
    copy.detached = graph->detached;
    copy.of_map = graph->of_map;
    if (graph->detached_name)
        TRY(sal_strdup(&copy.detached_name, graph->detached_name));
    if (graph->made)
        TRY(sal_strdup(&copy.made, graph->made));
    if (graph->class_names)
        TRY(sal_strdup(&copy.class_names, graph->class_names));
    *out = copy;
    sal_graph_init(&copy);
done:
    sal_graph_clear(&copy);
    return st;
}

sal_status sal_graph_freeze(sal_graph *graph)
{
    sal_status st = SAL_OK;
    for (size_t i = 0; i < graph->count; i++) {
        sal_node *n = &graph->nodes[i];
        if (!n->weight || n->shared)
            continue;
        TRY(sal_alloc(&n->shared, 1, sizeof *n->shared, "weights"));
        atomic_init(&n->shared->graphs, 1);
        n->shared->values = n->weight;
    }
done:
    return st;
}

sal_status sal_graph_share(sal_graph *out, const sal_graph *graph)
{
    sal_status st = SAL_OK;
    sal_graph bare = *graph;
    sal_node *nodes = NULL;
    sal_graph_init(out);
    TRY(sal_alloc(&nodes, graph->count, sizeof *nodes, "weights"));
    for (size_t i = 0; i < graph->count; i++) {
        nodes[i] = graph->nodes[i];
        nodes[i].weight = NULL;
    }
    bare.nodes = nodes;
    TRY(sal_graph_copy(out, &bare));
    for (size_t i = 0; i < graph->count; i++) {
        const sal_node *from = &graph->nodes[i];
        if (!from->shared)
            continue;
        atomic_fetch_add(&from->shared->graphs, 1);
        out->nodes[i].shared = from->shared;
        out->nodes[i].weight = from->weight;
    }
done:
    sal_free(nodes);
    return st;
}

sal_status(sal_node_fail)(sal_status status, const sal_node *node, const char *format, ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return sal_fail(status, "node %s (%s): %s", node->name ? node->name : "?", sal_op_get(node->op)->name, message);
}
