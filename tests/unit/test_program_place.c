/* Where the planner puts things, against a planner straight from its words: every offset, the peak and the cut into
 * segments. That nothing is overwritten is test_program_plan's; this is about not wasting memory. */
#include "unit/fake_device.h"
#include "unit/graph_builder.h"
#include "unit/test_program_nets.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

static size_t rounded(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* ---- A planner in plain words ------------------------------------------- */

/* A value, or a step's scratch. */
typedef struct thing {
    size_t bytes;
    size_t offset;
    int first, last; /* steps it lives through */
    int block;       /* the value whose memory it uses: its own number, or of one that it overwrites */
    int64_t pictures;
    int used;
} thing;

typedef struct layout {
    thing *things; /* values, then steps */
    size_t count;
    size_t total, peak, kept;
} layout;

static const sal_segment *segment_at(const sal_segment *segments, int count, int step)
{
    for (int k = 0; k < count; k++)
        if (segments[k].first <= step && step < segments[k].last)
            return &segments[k];
    return NULL;
}

static void live(layout *l, const sal_program *p, const sal_segment *segments, int count)
{
    const int end = (int)p->step_count;
    for (size_t v = 0; v < p->value_count; v++) {
        thing *t = &l->things[v];
        *t = (thing){.first = -1, .last = -1, .block = (int)v, .bytes = p->values[v].bytes};
        for (int s = 0; s < end; s++) {
            if (p->steps[s].output == (int)v || p->steps[s].kept == (int)v)
                t->first = t->last = s;
            for (int k = 0; k < p->steps[s].input_count; k++)
                if (p->steps[s].inputs[k] == (int)v)
                    t->last = s;
        }
        const int to_the_caller = (int)v == p->scores || (int)v == p->gradient || (int)v == p->seed;
        const int read_again = t->first < (int)p->forward_count && t->last >= (int)p->forward_count;
        if (to_the_caller || read_again)
            t->last = end;
        t->used = t->last >= 0;
        const sal_segment *from = segment_at(segments, count, t->first), *to = segment_at(segments, count, t->last);
        t->pictures = from && from == to ? from->chunk : p->batch;
        if (from == to)
            continue;
        if (from && from->chunk < p->batch)
            t->first = from->first;
        if (to && to->chunk < p->batch)
            t->last = to->last - 1;
    }
}

/* The input whose place the output may take, by the words of backend.h, or -1. */
static int may_take(const sal_program *p, const sal_step *s)
{
    switch (s->kind) {
    case SAL_STEP_CONV: return s->input_count == 2 && !p->backend->distinct_convs ? s->inputs[1] : -1;
    case SAL_STEP_CONV_BACKWARD: return p->backend->distinct_convs ? -1 : s->addend;
    case SAL_STEP_AFFINE:
    case SAL_STEP_ACTIVATION:
    case SAL_STEP_ADD:
    case SAL_STEP_MUL: return s->inputs[0];
    case SAL_STEP_AFFINE_BACKWARD:
    case SAL_STEP_ACTIVATION_BACKWARD: return s->addend >= 0 ? s->addend : s->inputs[0];
    default: return s->addend;
    }
}

static void share(layout *l, const sal_program *p)
{
    for (int s = 0; s < (int)p->step_count; s++) {
        const sal_step *step = &p->steps[s];
        const int from = may_take(p, step);
        if (from < 0)
            continue;
        int reads = 0;
        for (int k = 0; k < step->input_count; k++)
            reads += step->inputs[k] == from;
        thing *in = &l->things[from], *out = &l->things[step->output];
        if (reads == 1 && in->last == s && out->first == s && in->bytes == out->bytes &&
            p->values[from].layout == p->values[step->output].layout && in->pictures == out->pictures &&
            l->things[in->block].pictures == out->pictures)
            out->block = in->block;
    }
    for (size_t v = 0; v < p->value_count; v++) {
        thing *block = &l->things[l->things[v].block];
        if (l->things[v].last > block->last)
            block->last = l->things[v].last;
    }
}

static int meet(const thing *a, const thing *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The largest first, of equals the earlier, each as low as it can be. */
static void put_all(layout *l)
{
    char *placed = calloc(l->count + 1, 1);
    cr_assert_not_null(placed);
    for (;;) {
        thing *next = NULL;
        for (size_t i = 0; i < l->count; i++)
            if (l->things[i].used && !placed[i] && (!next || l->things[i].bytes > next->bytes))
                next = &l->things[i];
        if (!next)
            break;
        next->offset = 0;
        for (size_t i = 0; i < l->count; i++) {
            const thing *other = &l->things[i];
            if (placed[i] && meet(other, next) && next->offset < other->offset + other->bytes &&
                other->offset < next->offset + next->bytes) {
                next->offset = other->offset + other->bytes;
                i = (size_t)-1;
            }
        }
        placed[next - l->things] = 1;
        if (next->offset + next->bytes > l->total)
            l->total = next->offset + next->bytes;
    }
    free(placed);
}

/* What the program needs when it is cut into these segments. Of the scratch: bytes of each step, or NULL. */
static layout plan_by_hand(const sal_program *p, const sal_segment *segments, int count, const sal_needs *needs)
{
    const int end = (int)p->step_count;
    layout l = {.count = p->value_count + p->step_count};
    cr_assert_gt(l.count, 0);
    l.things = calloc(l.count, sizeof *l.things);
    cr_assert_not_null(l.things);
    live(&l, p, segments, count);
    for (size_t v = 0; v < p->value_count; v++) {
        const thing *t = &l.things[v];
        if ((int)v != p->scores && t->first >= 0 && t->first < (int)p->forward_count && t->last >= end)
            l.kept += t->bytes * (size_t)t->pictures;
    }
    share(&l, p);
    for (size_t i = 0; i < l.count; i++) {
        thing *t = &l.things[i];
        const int step = (int)i - (int)p->value_count;
        if (step >= 0)
            *t = (thing){
                .first = step, .last = step, .block = (int)i, .bytes = needs ? rounded(needs[step].scratch_bytes) : 0};
        else
            t->bytes = rounded(t->bytes * (size_t)t->pictures);
        t->used = step >= 0 ? t->bytes > 0 : t->used && t->block == (int)i;
    }
    put_all(&l);
    for (size_t v = 0; v < p->value_count; v++)
        l.things[v].offset = l.things[l.things[v].block].offset;
    for (int time = -1; time <= end; time++) {
        size_t sum = 0;
        for (size_t i = 0; i < l.count; i++)
            sum += l.things[i].used && l.things[i].first <= time && time <= l.things[i].last ? l.things[i].bytes : 0;
        l.peak = sum > l.peak ? sum : l.peak;
    }
    return l;
}

static size_t total_of(const sal_program *p, const sal_segment *segments, int count)
{
    layout l = plan_by_hand(p, segments, count, NULL);
    free(l.things);
    return l.total;
}

/* Forward steps up to that of the node, and backward steps from its own on: what is made again for a node counts as
 * its. */
static void cut_after(sal_segment *segments, const sal_program *p, int node, int64_t chunk)
{
    const int end = (int)p->step_count, forward = (int)p->forward_count;
    int first = 0, second = forward;
    while (first < forward && p->steps[first].node - p->graph.nodes <= node)
        first++;
    for (int s = forward; s < end; s++)
        if (p->values[p->steps[s].output].gradient) {
            if (p->steps[s].node - p->graph.nodes <= node)
                break;
            second = s + 1;
        }
    segments[0] = (sal_segment){0, first, chunk};
    segments[1] = (sal_segment){first, forward, p->batch};
    segments[2] = (sal_segment){forward, second, p->batch};
    segments[3] = (sal_segment){second, end, chunk};
}

/* The cut after each `stride`-th node that needs least, of those before 32 MiB of weights; the earliest of equals. */
static int segments_by_hand(sal_segment *best, const sal_program *p, int64_t chunk, int stride)
{
    int count = 2;
    size_t least, weights = 0;
    best[0] = (sal_segment){0, (int)p->forward_count, p->batch};
    best[1] = (sal_segment){(int)p->forward_count, (int)p->step_count, p->batch};
    least = total_of(p, best, 2);
    for (int i = 0; i + 1 < (int)p->graph.count && chunk < p->batch && p->backend->chunks; i++) {
        sal_segment cut[4];
        weights += 4 * (p->graph.nodes[i].weight_count + p->graph.nodes[i].bias_count);
        if (weights > 32u << 20)
            break;
        if (i % stride != 0 || i == p->graph.input)
            continue;
        cut_after(cut, p, i, chunk);
        size_t total = total_of(p, cut, 4);
        if (total < least) {
            least = total;
            count = 4;
            memcpy(best, cut, sizeof cut);
        }
    }
    return count;
}

/* ---- Both planners ------------------------------------------------------ */

static void check_plan(const sal_program *p, const char *name, int64_t chunk, int stride)
{
    sal_segment segments[4];
    const int count = segments_by_hand(segments, p, chunk, stride);
    cr_assert_eq(p->segment_count, count, "%s, batch %ld: %d segments, expected %d", name, (long)p->batch,
                 p->segment_count, count);
    for (int k = 0; k < count; k++)
        cr_assert(p->segments[k].first == segments[k].first && p->segments[k].last == segments[k].last &&
                      p->segments[k].chunk == segments[k].chunk,
                  "%s, batch %ld: segment %d is %d to %d by %ld, expected %d to %d by %ld", name, (long)p->batch, k,
                  p->segments[k].first, p->segments[k].last, (long)p->segments[k].chunk, segments[k].first,
                  segments[k].last, (long)segments[k].chunk);
    layout l = plan_by_hand(p, segments, count, p->needs);
    for (size_t v = 0; v < p->value_count; v++) {
        cr_assert_gt(p->values[v].bytes, 0, "%s: value %zu was not placed", name, v);
        cr_assert_eq(p->values[v].offset, l.things[v].offset, "%s, batch %ld: value %zu at %zu, expected %zu", name,
                     (long)p->batch, v, p->values[v].offset, l.things[v].offset);
        cr_assert_eq(p->values[v].pictures, l.things[v].pictures, "%s: value %zu", name, v);
    }
    for (size_t s = 0; s < p->step_count; s++) {
        cr_assert_eq(p->scratch_offsets[s], l.things[p->value_count + s].offset, "%s: scratch of step %zu", name, s);
        cr_assert_eq(p->steps[s].batch, segment_at(segments, count, (int)s)->chunk);
    }
    cr_assert_eq(p->arena_bytes, l.total, "%s: an arena of %zu bytes, expected %zu", name, p->arena_bytes, l.total);
    cr_assert_eq(p->peak_bytes, l.peak, "%s: a peak of %zu bytes, expected %zu", name, p->peak_bytes, l.peak);
    cr_assert_eq(p->kept_bytes, l.kept, "%s: %zu bytes kept, expected %zu", name, p->kept_bytes, l.kept);
    free(l.things);
}

TestSuite(program_place, .init = fake_reset);

Test(program_place, everything_is_where_the_words_say)
{
    int cut = 0;
    for (size_t i = 0; i < net_count; i++) {
        sal_graph graph;
        net_make(&graph, &nets[i]);
        for (int kind = 0; kind < 12; kind++) {
            static const int64_t batches[] = {1, 2, 3, 8};
            const int64_t batch = batches[kind % 4];
            fake_reset();
            fake.backend.chunks = kind / 4 != 1;
            fake.backend.distinct_convs = kind / 4 == 2;
            fake.scratch_bytes = kind == 1 ? 1 : (size_t)kind * 500;
            fake.varied = i % 2 == 1;
            if (kind / 4 == 2)
                fake_take_relus();
            sal_program *p = net_open(&graph, &(sal_program_options){.batch = batch});
            check_plan(p, nets[i].name, batch % 2 ? 1 : 2, 1);
            cut += p->segment_count == 4;
            sal_program_close(p);
        }
        sal_graph_clear(&graph);
    }
    cr_expect_gt(cut, 20, "only %d programs were cut", cut);
}

/* Convolutions of various widths and activations after them; nothing is fused. */
static void long_chain(sal_graph *graph, int nodes)
{
    int x = build_input(graph, 3, 12, 12);
    for (int i = 1; i < nodes - 2; i++)
        x = i % 2 ? build_conv(graph, x, 1 + (i * 7 + 3) % 5, 3, i % 60 == 31 ? 2 : 1, 1, 1)
                  : build_activation(graph, x, SAL_ACT_SIGMOID, 0, 0);
    build_dense(graph, build_flatten(graph, x), 2);
    cr_assert_eq((int)graph->count, nodes);
}

Test(program_place, long_networks_are_cut_at_one_of_a_hundred_places)
{
    static const int sizes[][2] = {{200, 1}, {201, 2}, {300, 3}};
    for (int k = 0; k < 3; k++) {
        sal_graph graph;
        long_chain(&graph, sizes[k][0]);
        sal_program *p = net_open(&graph, &(sal_program_options){.batch = 4});
        cr_expect_eq(p->segment_count, 4);
        check_plan(p, "long chain", 2, sizes[k][1]);
        sal_program_close(p);
        sal_graph_clear(&graph);
    }
}

/* The derivative of a sigmoid is made of its output, so that nobody reads the pictures again. */
Test(program_place, the_first_step_may_take_the_memory_of_the_pictures)
{
    sal_graph graph;
    int x = build_activation(&graph, build_input(&graph, 2, 9, 9), SAL_ACT_SIGMOID, 0, 0);
    build_dense(&graph, build_flatten(&graph, x), 3);
    sal_program *p = net_open(&graph, &(sal_program_options){.batch = 1});
    check_plan(p, "sigmoid first", 2, 1);
    cr_expect_eq(p->values[p->steps[0].output].offset, p->values[p->input].offset);
    sal_program_close(p);
    sal_graph_clear(&graph);
}

/* A convolution reads pixels that it has written already. */
Test(program_place, a_convolution_may_not_take_the_memory_of_what_it_reads)
{
    sal_graph graph;
    int x = build_conv(&graph, build_input(&graph, 1, 9, 9), 1, 3, 1, 1, 1);
    build_dense(&graph, build_flatten(&graph, x), 3);
    sal_program *p = net_open(&graph, &(sal_program_options){.batch = 1});
    check_plan(p, "convolution first", 2, 1);
    cr_expect_eq(p->values[p->steps[0].output].bytes, p->values[p->input].bytes);
    cr_expect_neq(p->values[p->steps[0].output].offset, p->values[p->input].offset);
    sal_program_close(p);
    sal_graph_clear(&graph);
}

/* A value of one pixel takes as many bytes in a part of the batch as in the whole: the least that is placed. */
Test(program_place, a_network_that_no_cut_makes_smaller_is_not_cut)
{
    sal_graph graph;
    int x = build_input(&graph, 1, 1, 1);
    for (int k = 0; k < 3; k++)
        x = build_activation(&graph, x, SAL_ACT_GELU, 0, 0);
    build_dense(&graph, build_flatten(&graph, x), 500);
    sal_program *p = net_open(&graph, &(sal_program_options){.batch = 8});
    check_plan(p, "one pixel", 2, 1);
    cr_expect_eq(p->segment_count, 2);
    sal_program_close(p);
    sal_graph_clear(&graph);
}

/* Node 0 is the input of all networks above. */
Test(program_place, a_constant_may_come_before_the_input)
{
    for (int large = 0; large < 2; large++) {
        sal_graph graph;
        sal_graph_init(&graph);
        const int constant = build_constant(&graph, large ? "1,4,9,9" : "1,4,1,1");
        int x = build_conv(&graph, build_later_input(&graph, 2, large ? 9 : 1, large ? 9 : 1), 4, 3, 1, 1, 1);
        x = build_two(&graph, SAL_OP_ADD, build_activation(&graph, x, SAL_ACT_GELU, 0, 0), constant);
        build_dense(&graph, build_flatten(&graph, build_activation(&graph, x, SAL_ACT_SIGMOID, 0, 0)), large ? 2 : 900);
        for (int64_t batch = 1; batch <= 8; batch *= 2) {
            sal_program *p = net_open(&graph, &(sal_program_options){.batch = batch});
            cr_assert_eq(p->graph.nodes[0].op, SAL_OP_CONSTANT);
            cr_expect_eq(p->backward_start[0], (int)p->step_count);
            check_plan(p, "constant first", 2, 1);
            if (batch == 8)
                cr_expect_eq(p->segment_count, large ? 4 : 2);
            sal_program_close(p);
        }
        sal_graph_clear(&graph);
    }
}

Test(program_place, layers_behind_32_MiB_of_weights_run_the_whole_batch)
{
    /* The dense layer: 1024 x 8191 weights and its biases are 32 MiB to the byte. */
    for (int above = 0; above < 2; above++) {
        sal_graph graph;
        int x = build_input(&graph, 1, 1, 8191 + above);
        for (int k = 0; k < 6; k++)
            x = build_activation(&graph, x, SAL_ACT_GELU, 0, 0);
        x = build_dense(&graph, build_flatten(&graph, x), 1024);
        build_dense(&graph, build_activation(&graph, x, SAL_ACT_SIGMOID, 0, 0), 2);
        sal_program *p = net_open(&graph, &(sal_program_options){.batch = 4});
        check_plan(p, "many weights", 2, 1);
        cr_expect_eq(p->segment_count, 4);
        cr_expect(above ? p->segments[0].last <= 7 : p->segments[0].last > 7, "cut after %d steps",
                  p->segments[0].last);
        sal_program_close(p);
        sal_graph_clear(&graph);
    }
}

Test(program_place, a_value_of_more_than_16_TiB_is_refused)
{
    for (int above = 0; above < 2; above++) {
        sal_graph graph, copy;
        sal_program *p;
        fake.free_bytes = (size_t)1 << 62;
        build_conv(&graph, build_input(&graph, 1, 8192, 8192 + above), 1, 1, 1, 0, 1);
        build_activation(&graph, graph.output, SAL_ACT_SIGMOID, 0, 0);
        build_dense(&graph, build_flatten(&graph, build_mean(&graph, graph.output, 2)), 1);
        cr_assert_eq(sal_graph_copy(&copy, &graph), SAL_OK);
        sal_status st = sal_program_open(&p, &copy, &(sal_program_options){.batch = 65536, .described = "{}"});
        if (above) {
            cr_expect_eq(st, SAL_ERROR_LIMIT);
            cr_expect(strstr(sal_last_error(), "65536 pictures") != NULL, "%s", sal_last_error());
        } else {
            cr_expect_eq(st, SAL_OK, "%s", sal_last_error());
            cr_expect(p && p->arena_bytes >= 2 * ((size_t)1 << 44));
        }
        sal_program_close(p);
        sal_graph_clear(&copy);
        sal_graph_clear(&graph);
    }
}
