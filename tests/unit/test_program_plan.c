/* The memory plan, by playing the program with labels in place of numbers; choosing the
 * batch; and what cannot be compiled. */
#include "unit/graph_builder.h"
#include "unit/test_program_nets.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CELL = 64 };

/* Which picture of which value every 64 bytes of the arena hold: value * 1024 + picture; -1: rubbish. */
typedef struct play {
    const sal_program *p;
    long *cells;
    const char *name;
} play;

static size_t place_of(const sal_program *p, int value, int64_t picture)
{
    const sal_value *v = &p->values[value];
    return v->offset + (v->pictures == p->batch ? (size_t)picture * v->bytes : 0);
}

static void put(play *s, int value, int64_t picture, int64_t count)
{
    const sal_value *v = &s->p->values[value];
    size_t from = place_of(s->p, value, picture) / CELL, each = v->bytes / CELL;
    cr_assert_leq((from + each * (size_t)count) * CELL, s->p->arena_bytes, "%s: value %d ends outside the arena",
                  s->name, value);
    for (size_t i = 0; i < each * (size_t)count; i++)
        s->cells[from + i] = value * 1024L + (long)picture + (long)(i / each);
}

static void expect(const play *s, int value, int64_t picture, int64_t count, int step)
{
    const sal_value *v = &s->p->values[value];
    size_t from = place_of(s->p, value, picture) / CELL, each = v->bytes / CELL;
    for (size_t i = 0; i < each * (size_t)count; i++) {
        long label = value * 1024L + (long)picture + (long)(i / each);
        cr_assert_eq(s->cells[from + i], label,
                     "%s, batch %d: step %d reads picture %ld of value %d and finds %ld of %ld", s->name,
                     (int)s->p->batch, step, label % 1024, value, s->cells[from + i] % 1024, s->cells[from + i] / 1024);
    }
}

typedef struct range {
    size_t from, bytes;
} range;

static range range_of(const sal_program *p, int value, int64_t picture, int64_t count)
{
    return (range){place_of(p, value, picture), p->values[value].bytes * (size_t)count};
}

static int apart(range a, range b)
{
    return a.from + a.bytes <= b.from || b.from + b.bytes <= a.from;
}

/* Steps for which backend.h lets the output take the place of input k. */
static int may_overwrite(const sal_step *s, int k)
{
    if (s->addend >= 0 && k == s->input_count - 1)
        return 1;
    switch (s->kind) {
    case SAL_STEP_CONV: return k == 1;
    case SAL_STEP_AFFINE:
    case SAL_STEP_ACTIVATION:
    case SAL_STEP_ADD:
    case SAL_STEP_MUL:
    case SAL_STEP_ACTIVATION_BACKWARD:
    case SAL_STEP_AFFINE_BACKWARD: return k == 0;
    default: return 0;
    }
}

static void play_step(play *s, int index, int64_t picture)
{
    const sal_program *p = s->p;
    const sal_step *step = &p->steps[index];
    range out = range_of(p, step->output, picture, step->batch);
    range scratch = {p->scratch_offsets[index], (p->needs[index].scratch_bytes + CELL - 1) / CELL * CELL};
    for (int k = 0; k < step->input_count; k++) {
        range in = range_of(p, step->inputs[k], picture, step->batch);
        expect(s, step->inputs[k], picture, step->batch, index);
        int same = in.from == out.from && in.bytes == out.bytes;
        cr_assert(apart(in, out) || (same && may_overwrite(step, k)), "%s: step %d (%s) writes over input %d", s->name,
                  index, sal_step_kind_name(step->kind), k);
        cr_assert(apart(in, scratch), "%s: scratch of step %d lies in its input %d", s->name, index, k);
    }
    cr_assert(apart(out, scratch), "%s: scratch of step %d lies in its output", s->name, index);
    cr_assert_leq(scratch.from + scratch.bytes, p->arena_bytes);
    for (size_t i = 0; i < scratch.bytes / CELL; i++)
        s->cells[scratch.from / CELL + i] = -1;
    put(s, step->output, picture, step->batch);
    if (step->kept < 0)
        return;
    range kept = range_of(p, step->kept, picture, step->batch);
    cr_assert(apart(kept, out) && apart(kept, scratch), "%s: step %d keeps bits in its own output", s->name, index);
    put(s, step->kept, picture, step->batch);
}

/* Every step of [first, last), in the order and pieces of the segments. */
static void play_steps(play *s, int first, int last)
{
    const sal_program *p = s->p;
    int next = first;
    for (int k = 0; k < p->segment_count; k++) {
        const sal_segment *g = &p->segments[k];
        if (g->first < first || g->last > last)
            continue;
        cr_assert_eq(g->first, next, "segments leave steps out");
        cr_assert_eq(p->batch % g->chunk, 0);
        next = g->last;
        for (int64_t picture = 0; picture < p->batch; picture += g->chunk)
            for (int i = g->first; i < g->last; i++) {
                cr_assert_eq(p->steps[i].batch, g->chunk);
                play_step(s, i, picture);
            }
    }
    cr_assert_eq(next, last, "segments leave steps out");
}

static size_t end_of_blocks(const sal_program *p)
{
    size_t end = 0;
    for (size_t v = 0; v < p->value_count; v++) {
        size_t here = p->values[v].offset + p->values[v].bytes * (size_t)p->values[v].pictures;
        if (p->values[v].last >= 0 && here > end)
            end = here;
    }
    for (size_t i = 0; i < p->step_count; i++) {
        size_t here = p->scratch_offsets[i] + (p->needs[i].scratch_bytes + CELL - 1) / CELL * CELL;
        if (p->needs[i].scratch_bytes > 0 && here > end)
            end = here;
    }
    return end;
}

/* Two rounds of one forward and two backward passes find everything where it was put. */
static void play_program(const sal_program *p, const char *name)
{
    play s = {p, malloc(p->arena_bytes / CELL * sizeof(long)), name};
    for (size_t i = 0; i < p->arena_bytes / CELL; i++)
        s.cells[i] = -1;
    for (int round = 0; round < 2; round++) {
        put(&s, p->input, 0, p->batch);
        play_steps(&s, 0, (int)p->forward_count);
        expect(&s, p->scores, 0, p->batch, (int)p->forward_count);
        for (int pass = 0; p->gradient >= 0 && pass < 2; pass++) {
            put(&s, p->seed, 0, p->batch);
            play_steps(&s, (int)p->forward_count, (int)p->step_count);
            expect(&s, p->gradient, 0, p->batch, (int)p->step_count);
            expect(&s, p->scores, 0, p->batch, (int)p->step_count);
        }
    }
    free(s.cells);
    cr_expect(p->peak_bytes > 0 && p->peak_bytes <= p->arena_bytes, "%s: %zu bytes in use in an arena of %zu", name,
              p->peak_bytes, p->arena_bytes);
    cr_expect_eq(p->arena_bytes, end_of_blocks(p), "%s: the arena is %zu bytes, its last block ends at %zu", name,
                 p->arena_bytes, end_of_blocks(p));
}

Test(program_plan, nothing_is_overwritten_before_it_was_read)
{
    int chunked = 0;
    for (size_t i = 0; i < net_count; i++)
        for (int64_t batch = 1; batch <= 8; batch++) {
            sal_graph graph;
            net_make(&graph, &nets[i]);
            sal_program *p = net_open(&graph, &(sal_program_options){.batch = batch, .exact = batch == 6});
            chunked += batch % 2 == 0 && p->segment_count == 4;
            play_program(p, nets[i].name);
            sal_program_close(p);
            sal_graph_clear(&graph);
        }
    cr_expect_gt(chunked, 20, "only %d programs ran a part of their batch at a time", chunked);
}

/* The next backward pass after the same forward pass reads it again: the picture itself, too. */
Test(program_plan, what_a_way_back_reads_stays_to_the_end)
{
    sal_graph graph;
    sal_graph_init(&graph);
    const int gate = build_activation(&graph, build_input(&graph, 3, 8, 8), SAL_ACT_SILU, 0, 0);
    build_dense(&graph, build_flatten(&graph, build_conv(&graph, gate, 4, 3, 1, 1, 1)), 2);
    sal_program *p = net_open(&graph, &(sal_program_options){.batch = 1});
    int read_again = 0;
    for (size_t s = p->forward_count; s < p->step_count; s++)
        for (int k = 0; k < p->steps[s].input_count; k++) {
            const sal_value *v = &p->values[p->steps[s].inputs[k]];
            read_again += p->steps[s].inputs[k] == p->input;
            cr_expect(v->first >= (int)p->forward_count || v->last == (int)p->step_count, "step %zu, input %d", s, k);
        }
    cr_expect_gt(read_again, 0);
    cr_expect_eq(p->values[p->input].last, (int)p->step_count);
    sal_program_close(p);
    sal_graph_clear(&graph);
}

/* Arrays of a method are values like all others, which live to the end. */
Test(program_plan, arrays_are_as_large_as_what_they_hold)
{
    sal_graph graph;
    sal_graph_init(&graph);
    const int conv = build_conv(&graph, build_input(&graph, 3, 8, 6), 4, 3, 1, 1, 1);
    build_dense(&graph, build_flatten(&graph, conv), 2);
    sal_program *p =
        net_open(&graph, &(sal_program_options){.batch = 2,
                                                .end = SAL_PASS_TO_LAYER,
                                                .layer = conv,
                                                .arrays = {SAL_ARRAY_LAYER, SAL_ARRAY_INPUT, SAL_ARRAY_LAYER_MAP},
                                                .array_count = 3});
    static const int64_t channels[] = {4, 3, 1};
    cr_assert_eq(p->array_count, 3);
    for (int k = 0; k < 3; k++) {
        const sal_value *v = &p->values[p->arrays[k]];
        cr_expect(v->exact && v->last == (int)p->step_count && v->shape.dim[1] == channels[k] && v->shape.dim[2] == 8 &&
                      v->shape.dim[3] == 6,
                  "array %d", k);
    }
    sal_program_close(p);
    sal_graph_clear(&graph);
}

/* Nor is more memory taken than with a way back, and that is what larger batches fit into. */
Test(program_plan, nothing_is_kept_where_there_is_no_way_back)
{
    int chunked = 0;
    for (size_t i = 0; i < net_count; i++)
        for (int64_t batch = 1; batch <= 8; batch++) {
            sal_graph graph;
            net_make(&graph, &nets[i]);
            sal_program *both = net_open(&graph, &(sal_program_options){.batch = batch});
            sal_program *p = net_open(&graph, &(sal_program_options){.batch = batch, .end = SAL_PASS_NOWHERE});
            chunked += p->segment_count == 2;
            play_program(p, nets[i].name);
            cr_expect(p->step_count == p->forward_count && p->step_count == both->forward_count, "%s", nets[i].name);
            for (size_t s = 0; s < p->step_count; s++)
                cr_expect_lt(p->steps[s].kept, 0, "%s: step %zu keeps", nets[i].name, s);
            cr_expect_eq(p->kept_bytes, 0, "%s: %zu bytes kept", nets[i].name, p->kept_bytes);
            cr_expect_leq(p->arena_bytes, both->arena_bytes, "%s: %zu bytes, with a way back %zu", nets[i].name,
                          p->arena_bytes, both->arena_bytes);
            cr_expect_leq(p->weight_bytes, both->weight_bytes, "%s", nets[i].name);
            sal_program_close(both);
            sal_program_close(p);
            sal_graph_clear(&graph);
        }
    cr_expect_gt(chunked, 5, "only %d programs ran a part of their batch at a time", chunked);
}

Test(program_plan, the_batch_is_what_the_memory_allows)
{
    for (size_t i = 0; i < net_count; i++) {
        sal_graph graph;
        size_t need[9] = {0};
        net_make(&graph, &nets[i]);
        for (int64_t batch = 1; batch <= 8; batch *= 2) {
            sal_program *p = net_open(&graph, &(sal_program_options){.batch = batch});
            need[batch] = p->arena_bytes;
            sal_program_close(p);
        }
        for (int64_t batch = 1; batch <= 8; batch *= 2) {
            sal_program *p = net_open(&graph, &(sal_program_options){.max_memory = need[batch]});
            cr_expect_eq(p->batch, batch, "%s: %zu bytes give a batch of %d, not %d", nets[i].name, need[batch],
                         (int)p->batch, (int)batch);
            cr_expect_leq(p->arena_bytes, need[batch], "%s: the arena exceeds the limit", nets[i].name);
            play_program(p, nets[i].name);
            sal_program_close(p);
        }
        sal_graph_clear(&graph);
    }
}

static void expect_refused(const sal_graph *graph, const sal_program_options *options, sal_status status,
                           const char *text)
{
    sal_program *p;
    sal_graph copy;
    cr_assert_eq(sal_graph_copy(&copy, graph), SAL_OK);
    cr_expect_eq(sal_program_open(&p, &copy, options), status, "%s", sal_last_error());
    cr_expect_null(p);
    cr_expect(strstr(sal_last_error(), text) != NULL, "'%s' lacks '%s'", sal_last_error(), text);
    sal_graph_clear(&copy);
}

Test(program_plan, options_that_cannot_be_are_refused)
{
    sal_graph graph;
    net_make(&graph, &nets[0]);
    expect_refused(&graph, &(sal_program_options){.batch = -1}, SAL_ERROR_ARGUMENT, "batch");
    expect_refused(&graph, &(sal_program_options){.threads = -1}, SAL_ERROR_ARGUMENT, "threads");
    expect_refused(&graph, &(sal_program_options){.device = "cpu:abacus"}, SAL_ERROR_ARGUMENT, "cpu:avx2");
    expect_refused(&graph, &(sal_program_options){.device = "cpux"}, SAL_ERROR_ARGUMENT, "cpux");
    expect_refused(&graph, &(sal_program_options){.batch = 4, .max_memory = 4096}, SAL_ERROR_MEMORY, "smaller batch");
    expect_refused(&graph, &(sal_program_options){.max_memory = 64}, SAL_ERROR_MEMORY, "batch of 1");
    sal_graph branches;
    sal_graph_init(&branches);
    const int x = build_input(&branches, 3, 8, 8), side = build_conv(&branches, x, 2, 3, 1, 1, 1);
    build_dense(&branches, build_flatten(&branches, build_conv(&branches, x, 4, 3, 1, 1, 1)), 2);
    char text[128];
    snprintf(text, sizeof text, "the scores do not depend on layer '%s'", branches.nodes[side].name);
    expect_refused(&branches, &(sal_program_options){.end = SAL_PASS_TO_LAYER, .layer = side}, SAL_ERROR_UNSUPPORTED,
                   text);
    sal_graph_clear(&branches);
    sal_program *p = net_open(&graph, &(sal_program_options){.batch = 2});
    float *pictures = calloc(3 * 3 * 17 * 15, sizeof *pictures);
    cr_expect_eq(sal_program_forward(p, NULL, pictures, 0), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_program_forward(p, NULL, pictures, 3), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_program_backward(p, pictures, 3), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_program_forward(p, NULL, pictures, 2), SAL_OK);
    free(pictures);
    sal_program_close(p);
    sal_program_close(NULL);
    sal_graph_clear(&graph);
}

static void give_name(sal_graph *graph, int node, const char *name)
{
    free(graph->nodes[node].name);
    graph->nodes[node].name = strdup(name);
}

Test(program_plan, an_unsupported_step_names_its_node)
{
    sal_graph graph;
    int x = build_conv(&graph, build_input(&graph, 3, 8, 8), 4, 3, 1, 1, 1);
    x = build_softmax(&graph, x, 1);
    give_name(&graph, x, "attention/softmax_7");
    build_dense(&graph, build_flatten(&graph, x), 2);
    expect_refused(&graph, &(sal_program_options){.batch = 1}, SAL_ERROR_UNSUPPORTED, "attention/softmax_7");
    sal_graph_clear(&graph);
    x = build_pool(&graph, SAL_OP_MAX_POOL, build_input(&graph, 3, 20, 20), 17, 1, 0);
    give_name(&graph, x, "wide pool");
    build_dense(&graph, build_flatten(&graph, x), 2);
    expect_refused(&graph, &(sal_program_options){.batch = 1}, SAL_ERROR_UNSUPPORTED, "wide pool");
    sal_graph_clear(&graph);
}
