/* The head of the network: which layer makes the scores, and what follows it. */
#include "base/memory.h"
#include "graph/passes.h"

#include <stdio.h>
#include <string.h>

/* Outputs of a vector, however many axes of length 1 it has; 0 for a map. */
static int64_t vector_length(const sal_shape *shape)
{
    int64_t n = sal_shape_elements(shape);
    for (int i = 0; i < shape->rank; i++)
        if (shape->dim[i] == n)
            return n;
    return 0;
}

static int turns_into_probability(const sal_node *node)
{
    if (node->op == SAL_OP_SOFTMAX)
        return node->shape.dim[node->axis] == vector_length(&node->shape);
    return node->op == SAL_OP_ACTIVATION && node->activation.kind == SAL_ACT_SIGMOID && vector_length(&node->shape) > 0;
}

/* Layers of a file become one or more nodes named after them. */
int sal_node_is_of_layer(const char *node, const char *layer)
{
    const size_t length = strlen(layer);
    node += node[0] == '/' && layer[0] != '/';
    return strncmp(node, layer, length) == 0 && (node[length] == '\0' || node[length] == '/');
}

static int is_head(const sal_node *node)
{
    return node->op == SAL_OP_DENSE || node->op == SAL_OP_CONV;
}

/* Names of the last layers that could be meant: those that make one vector. */
static sal_status fail_layer(const sal_graph *graph)
{
    enum { MOST = 6 };
    char names[512] = "";
    size_t used = 0;
    for (size_t i = graph->count, n = 0; i-- > 0 && n < MOST;) {
        if (!is_head(&graph->nodes[i]) || vector_length(&graph->nodes[i].shape) == 0)
            continue;
        int length = snprintf(names + used, sizeof names - used, "%s%s", n++ ? ", " : "", graph->nodes[i].name);
        if (length > 0 && (size_t)length < sizeof names - used)
            used += (size_t)length;
    }
    return sal_fail(SAL_ERROR_ARGUMENT, "no dense or convolution layer is named %.200s; the last ones are: %s",
                    graph->wanted_head, names);
}

/* The first node that reads one, or -1. */
static int reader_of(const sal_graph *graph, int node)
{
    for (size_t i = 0; i < graph->count; i++)
        for (int k = 0; k < graph->nodes[i].input_count; k++)
            if (graph->nodes[i].inputs[k] == node)
                return (int)i;
    return -1;
}

/* Makes the layer that was asked for the output, and what follows it the last op, where that makes probabilities. */
static sal_status take_layer(sal_graph *graph)
{
    int head = -1, next;
    for (size_t i = 0; i < graph->count; i++)
        if (is_head(&graph->nodes[i]) && sal_node_is_of_layer(graph->nodes[i].name, graph->wanted_head))
            head = (int)i;
    if (head < 0)
        return fail_layer(graph);
    graph->output = next = head;
    do {
        next = reader_of(graph, next);
    } while (next >= 0 && graph->nodes[next].op == SAL_OP_RESHAPE);
    if (next >= 0 && turns_into_probability(&graph->nodes[next]))
        graph->output = next;
    return SAL_OK;
}

/* Takes the last softmax or sigmoid off. */
static sal_status detach(sal_graph *graph)
{
    int last = graph->output;
    while (graph->nodes[last].op == SAL_OP_RESHAPE || (graph->wanted_at && graph->nodes[last].op == SAL_OP_TRANSPOSE))
        last = graph->nodes[last].inputs[0];
    const sal_node *node = &graph->nodes[last];
    const int of_map =
        graph->wanted_at &&
        (node->op == SAL_OP_SOFTMAX || (node->op == SAL_OP_ACTIVATION && node->activation.kind == SAL_ACT_SIGMOID));
    if (graph->detached != SAL_OP_COUNT || !(of_map || turns_into_probability(node)))
        return SAL_OK;
    sal_status st = sal_strdup(&graph->detached_name, node->name);
    if (st != SAL_OK)
        return st;
    graph->detached = node->op;
    sal_graph_redirect(graph, last, node->inputs[0]);
    return SAL_OK;
}

/* Makes the output (1, outputs). */
static sal_status flatten(sal_graph *graph)
{
    const sal_node *output = &graph->nodes[graph->output];
    char text[160];
    int64_t length = vector_length(&output->shape);
    if (length == 0)
        return sal_node_fail(
            SAL_ERROR_UNSUPPORTED, output,
            "the network's output is %s, expected one vector of scores; say --at INDICES for an element "
            "of it or a region, %s",
            sal_shape_text(text, sizeof text, &output->shape),
            output->shape.rank == 4   ? "such as 0,10:20,10:20"
            : output->shape.rank == 3 ? "such as 0,10:20"
                                      : "an index or range for each axis but the batch");
    if (output->shape.rank == 2)
        return SAL_OK;
    int flat;
    sal_status st = sal_graph_add(&flat, graph, SAL_OP_RESHAPE, NULL, &graph->output, 1);
    if (st != SAL_OK)
        return st;
    graph->nodes[flat].shape = (sal_shape){.rank = 2, .dim = {1, length}};
    graph->output = flat;
    return sal_graph_infer(graph, flat);
}

/* Whether each node depends on the picture. */
static sal_status find_dependent(char **out, const sal_graph *graph)
{
    sal_status st = sal_alloc(out, graph->count, 1, "the head");
    for (size_t i = 0; st == SAL_OK && i < graph->count; i++) {
        const sal_node *n = &graph->nodes[i];
        (*out)[i] = n->op == SAL_OP_INPUT;
        for (int k = 0; k < n->input_count; k++)
            (*out)[i] |= (*out)[n->inputs[k]];
    }
    return st;
}

/* The last layer on the way to the output, along the first input that depends on the picture: of a sum of two heads it
 * names one. */
static sal_status walk_to_head(sal_graph *graph)
{
    sal_status st = SAL_OK;
    char *dependent = NULL;
    int head = graph->output;
    TRY(find_dependent(&dependent, graph));
    while (!is_head(&graph->nodes[head])) {
        const sal_node *n = &graph->nodes[head];
        int k = 0;
        while (k < n->input_count && !dependent[n->inputs[k]])
            k++;
        if (k == n->input_count) {
            st = sal_fail(SAL_ERROR_UNSUPPORTED, "the network has no head: no dense or conv layer leads to node %s",
                          graph->nodes[graph->output].name);
            goto done;
        }
        head = n->inputs[k];
    }
    graph->head = head;
done:
    sal_free(dependent);
    return st;
}

sal_status sal_pass_find_head(sal_graph *graph)
{
    sal_status st = SAL_OK;
    if (graph->wanted_head)
        TRY(take_layer(graph));
    TRY(detach(graph));
    if (!graph->wanted_at)
        TRY(flatten(graph));
    TRY(walk_to_head(graph));
    if (graph->wanted_at)
        TRY(sal_score_of_region(graph));
    if (graph->wanted_coral)
        TRY(sal_score_of_thresholds(graph));
    TRY(sal_graph_compact(graph));
done:
    return st;
}
