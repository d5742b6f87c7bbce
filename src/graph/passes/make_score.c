/* Scores that are made of what a network gives: the sum over a region of a map, and the age of CORAL's logits. Both are
 * written as nodes, so that everything after this sees a network with one output. */
#include "base/memory.h"
#include "graph/passes.h"

#include <stdio.h>
#include <string.h>

/* [first, first + count) of an axis */
typedef struct range {
    int64_t first;
    int64_t count;
} range;

/* ---- The text: "3,10:20,:" ------------------------------------------------ */

/* A number without a sign; 0: there is none. */
static int read_number(int64_t *out, const char **at)
{
    const char *c = *at;
    int64_t n = 0;
    for (; *c >= '0' && *c <= '9'; c++)
        if (__builtin_mul_overflow(n, (int64_t)10, &n) || __builtin_add_overflow(n, (int64_t)(*c - '0'), &n))
            return 0;
    const int found = c > *at;
    *at = c;
    *out = n;
    return found;
}

/* "7", "10:20", "10:", ":20" or ":" of an axis of `extent` elements; 0: it is none of these. */
static int read_range(range *out, const char **at, int64_t extent)
{
    int64_t first = 0, end = extent;
    const int begins = read_number(&first, at);
    if (**at == ':') {
        ++*at;
        if (**at >= '0' && **at <= '9' && !read_number(&end, at))
            return 0;
    } else if (!begins || __builtin_add_overflow(first, (int64_t)1, &end)) {
        return 0;
    }
    *out = (range){first, end < first ? -1 : end - first};
    return 1;
}

static sal_status fail_region(const sal_graph *graph, const sal_shape *shape)
{
    char text[160];
    const sal_shape bare = {.rank = 1, .dim = {0}};
    sal_shape axes = bare;
    axes.rank = shape->rank - 1;
    memcpy(axes.dim, shape->dim + 1, sizeof axes.dim - sizeof axes.dim[0]);
    return sal_fail(SAL_ERROR_ARGUMENT,
                    "at '%.100s': node %.200s makes %s without the batch: give an index, from 0, or a range such as "
                    "10:20 (10 to 19) or : (all) for each of these %d, with commas between them",
                    graph->wanted_at, graph->nodes[graph->output].name, sal_shape_text(text, sizeof text, &axes),
                    axes.rank);
}

/* A range for each axis but the batch. */
static sal_status read_region(range ranges[SAL_MAX_RANK], const sal_graph *graph, const sal_shape *shape)
{
    const char *at = graph->wanted_at;
    for (int a = 1; a < shape->rank; a++) {
        if ((a > 1 && *at++ != ',') || !read_range(&ranges[a], &at, shape->dim[a]))
            return fail_region(graph, shape);
        const range *r = &ranges[a];
        if (r->first >= shape->dim[a] || r->count > shape->dim[a] - r->first)
            return sal_fail(SAL_ERROR_ARGUMENT, "at '%.100s': axis %d of node %.200s has %lld elements, 0 to %lld",
                            graph->wanted_at, a, graph->nodes[graph->output].name, (long long)shape->dim[a],
                            (long long)shape->dim[a] - 1);
        if (r->count < 1)
            return sal_fail(SAL_ERROR_ARGUMENT,
                            "at '%.100s': its range %d holds no element: the second number is the "
                            "first that does not belong to it",
                            graph->wanted_at, a);
    }
    return *at || shape->rank < 2 ? fail_region(graph, shape) : SAL_OK;
}

/* ---- Nodes ---------------------------------------------------------------- */

/* A node that reads the output, and is called after the one that makes what the file has. */
static sal_status add(int *out, sal_graph *graph, sal_op op, const char *what)
{
    sal_status st = SAL_OK;
    char name[256];
    const char *before = graph->nodes[graph->output].name;
    const char *slash = graph->nodes[graph->output].is_part ? strrchr(before, '/') : NULL;
    snprintf(name, sizeof name, "%.*s/%s", slash ? (int)(slash - before) : 200, before, what);
    TRY(sal_graph_add(out, graph, op, name, &graph->output, 1));
    graph->nodes[*out].is_part = 1;
done:
    return st;
}

static sal_status reshape(sal_graph *graph, const sal_shape *shape)
{
    sal_status st = SAL_OK;
    int node;
    if (sal_shape_equal(shape, &graph->nodes[graph->output].shape))
        return SAL_OK;
    TRY(add(&node, graph, SAL_OP_RESHAPE, "at"));
    graph->nodes[node].shape = *shape;
    TRY(sal_graph_infer(graph, node));
    graph->output = node;
done:
    return st;
}

/* The range of an axis of `extent`, with so many elements before and after each of it. Back ends cut along the channels
 * of maps: sal_pass_turn_axes sees to that. */
static sal_status take(sal_graph *graph, const range *r, int64_t before, int64_t extent, int64_t after)
{
    sal_status st = SAL_OK;
    int slice;
    const int axis = before == 1 ? 1 : 2;
    const sal_shape shape = {
        .rank = 4, .dim = {1, axis == 1 ? extent : before, axis == 1 ? after : extent, axis == 1 ? 1 : after}};
    if (r->count == extent)
        return SAL_OK;
    const sal_shape *now = &graph->nodes[graph->output].shape;
    if (axis != 1 || now->rank != 4 || now->dim[1] != extent)
        TRY(reshape(graph, &shape));
    TRY(add(&slice, graph, SAL_OP_SLICE, "at"));
    sal_node *n = &graph->nodes[slice];
    n->axis = axis;
    n->start = r->first;
    n->step = 1;
    n->shape.dim[axis] = r->count;
    TRY(sal_graph_infer(graph, slice));
    graph->output = slice;
done:
    return st;
}

/* The sum of (1, F), plus a number. */
static sal_status sum(sal_graph *graph, double plus)
{
    sal_status st = SAL_OK;
    int node;
    const size_t count = (size_t)graph->nodes[graph->output].shape.dim[1];
    TRY(add(&node, graph, SAL_OP_DENSE, "sum"));
    sal_node *n = &graph->nodes[node];
    TRY(sal_alloc(&n->weight, count, sizeof *n->weight, "a sum"));
    TRY(sal_alloc(&n->bias, 1, sizeof *n->bias, "a sum"));
    n->weight_count = count;
    n->bias_count = 1;
    n->bias[0] = (float)plus;
    for (size_t i = 0; i < count; i++)
        n->weight[i] = 1.0F;
    TRY(sal_graph_infer(graph, node));
    graph->output = node;
done:
    return st;
}

static const char *detached_word(const sal_graph *graph)
{
    return graph->detached == SAL_OP_SOFTMAX ? "softmax" : "sigmoid";
}

sal_status sal_score_of_region(sal_graph *graph)
{
    sal_status st = SAL_OK;
    range ranges[SAL_MAX_RANK] = {{0}};
    char text[512], of[160];
    const sal_shape shape = graph->nodes[graph->output].shape;
    int64_t count = 1, after = 1; /* elements taken, and behind an axis */
    TRY(read_region(ranges, graph, &shape));
    for (int a = 1; a < shape.rank; a++)
        after *= shape.dim[a];
    for (int a = 1; a < shape.rank; a++) {
        after /= shape.dim[a];
        TRY(take(graph, &ranges[a], count, shape.dim[a], after));
        count *= ranges[a].count;
    }
    TRY(reshape(graph, &(sal_shape){.rank = 2, .dim = {1, count}}));
    if (count > 1)
        TRY(sum(graph, 0.0));
    const int left_off = graph->detached != SAL_OP_COUNT;
    snprintf(text, sizeof text, "%s %.200s of %s%s%s", count > 1 ? "the sum of elements" : "element", graph->wanted_at,
             sal_shape_text(of, sizeof of, &shape), left_off ? ", before the " : "",
             left_off ? detached_word(graph) : "");
    TRY(sal_strdup(&graph->made, text));
    graph->of_map = 1;
    /* Its probability is that of one element alone, and of a softmax it needs the others. */
    if (count > 1 || graph->detached == SAL_OP_SOFTMAX)
        graph->detached = SAL_OP_COUNT;
done:
    return st;
}

sal_status sal_score_of_thresholds(sal_graph *graph)
{
    sal_status st = SAL_OK;
    int sigmoid;
    char text[160];
    const int64_t outputs = graph->nodes[graph->output].shape.dim[1];
    if (graph->detached == SAL_OP_SOFTMAX)
        return sal_fail(SAL_ERROR_ARGUMENT,
                        "coral: the network ends in a softmax (%.200s), so its outputs are no "
                        "logits of 'older than'; leave the option out",
                        graph->detached_name);
    TRY(add(&sigmoid, graph, SAL_OP_ACTIVATION, "sigmoid"));
    graph->nodes[sigmoid].activation.kind = SAL_ACT_SIGMOID;
    TRY(sal_graph_infer(graph, sigmoid));
    graph->output = sigmoid;
    TRY(sum(graph, graph->wanted_first));
    snprintf(text, sizeof text, "%g plus the sum of %lld sigmoid%s (CORAL)", graph->wanted_first, (long long)outputs,
             outputs == 1 ? "" : "s");
    TRY(sal_strdup(&graph->made, text));
    graph->detached = SAL_OP_COUNT;
done:
    return st;
}
