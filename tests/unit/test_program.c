/* What programs compute: against the reference interpreter, and against themselves. */
#include "unit/graph_builder.h"
#include "unit/naive_graph.h"
#include "unit/test_program_nets.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const int64_t batches[] = {1, 3, 4, 8};
enum { BATCHES = sizeof batches / sizeof *batches };

/* The seeds of a gradient of output k alone. */
static void one_hot(float *seeds, int64_t count, int64_t outputs, int64_t k)
{
    for (int64_t i = 0; i < count * outputs; i++)
        seeds[i] = i % outputs == k ? 1.0F : 0.0F;
}

/* Scores and gradients of `count` pictures from `first` on, against the reference. */
static void check(sal_program *p, const net_answers *a, int64_t first, int64_t count, const char *name)
{
    float *scores = calloc((size_t)(count * a->outputs), sizeof *scores);
    float *seeds = calloc((size_t)(count * a->outputs), sizeof *seeds);
    float *gradients = calloc((size_t)(count * a->pixels), sizeof *gradients);
    cr_assert_eq(sal_program_forward(p, scores, a->inputs + first * a->pixels, count), SAL_OK, "%s", sal_last_error());
    double off = net_difference(a->scores + first * a->outputs, scores, count * a->outputs);
    cr_expect(off <= 2e-5, "%s, batch %d: scores differ by %g", name, (int)p->batch, off);
    for (int64_t k = 0; k < a->outputs; k++) {
        one_hot(seeds, count, a->outputs, k);
        net_gradients(gradients, p, seeds, count);
        const double *expected = a->gradients + (k * NET_PICTURES + first) * a->pixels;
        for (int64_t n = 0; n < count; n++) {
            off = net_difference(expected + n * a->pixels, gradients + n * a->pixels, a->pixels);
            cr_expect(off <= 1e-4, "%s, batch %d, picture %d, output %d: gradients differ by %g", name, (int)p->batch,
                      (int)n, (int)k, off);
        }
    }
    free(scores);
    free(seeds);
    free(gradients);
}

static void check_rule(sal_rule rule, int exact, const char *device)
{
    for (size_t i = 0; i < net_count; i++) {
        sal_graph graph;
        net_answers a;
        net_make(&graph, &nets[i]);
        net_answers_make(&a, &graph, rule);
        for (int b = 0; b < BATCHES; b++) {
            sal_program *p = net_open(
                &graph, &(sal_program_options){.device = device, .batch = batches[b], .rule = rule, .exact = exact});
            check(p, &a, 0, batches[b], nets[i].name);
            if (batches[b] > 1)
                check(p, &a, 1, batches[b] - 1, nets[i].name);
            sal_program_close(p);
        }
        net_answers_clear(&a);
        sal_graph_clear(&graph);
    }
}

Test(program, scores_and_gradients_are_those_of_the_reference)
{
    check_rule(SAL_RULE_GRADIENT, 0, NULL);
}

/* A layer's values and its gradients for each output, against the reference. */
static void check_layer(const sal_graph *graph, const net_answers *a, int node, int64_t batch, const char *name)
{
    const int64_t elements = sal_shape_elements(&graph->nodes[node].shape);
    float *seeds = calloc((size_t)(batch * a->outputs), sizeof *seeds);
    float *values = calloc((size_t)(batch * elements), sizeof *values),
          *gradients = calloc((size_t)(batch * elements), sizeof *gradients);
    double *input = calloc((size_t)a->pixels, sizeof *input);
    double *value = calloc((size_t)elements, sizeof *value), *gradient = calloc((size_t)elements, sizeof *gradient);
    sal_program *p = net_open(graph, &(sal_program_options){.batch = batch, .end = SAL_PASS_TO_LAYER, .layer = node});
    cr_assert_eq(sal_program_forward(p, NULL, a->inputs, batch), SAL_OK, "%s", sal_last_error());
    for (int64_t k = 0; k < a->outputs; k++) {
        one_hot(seeds, batch, a->outputs, k);
        net_gradients(gradients, p, seeds, batch);
        cr_assert_eq(sal_program_download(p, values, p->layer, batch), SAL_OK);
        for (int64_t n = 0; n < batch; n++) {
            for (int64_t i = 0; i < a->pixels; i++)
                input[i] = (double)a->inputs[n * a->pixels + i];
            cr_assert_eq(sal_naive_layer(value, gradient, graph, input, k, node), SAL_OK);
            double off = net_difference(value, values + n * elements, elements);
            cr_expect(off <= 2e-5, "%s, node %d (%s), batch %d: values differ by %g", name, node,
                      graph->nodes[node].name, (int)batch, off);
            off = net_difference(gradient, gradients + n * elements, elements);
            cr_expect(off <= 1e-4, "%s, node %d (%s), batch %d, output %d: gradients differ by %g", name, node,
                      graph->nodes[node].name, (int)batch, (int)k, off);
        }
    }
    sal_program_close(p);
    free(seeds);
    free(values);
    free(gradients);
    free(input);
    free(value);
    free(gradient);
}

Test(program, backward_passes_end_at_any_layer)
{
    int layers = 0;
    for (size_t i = 0; i < net_count; i++) {
        sal_graph graph;
        net_answers a;
        net_make(&graph, &nets[i]);
        net_answers_make(&a, &graph, SAL_RULE_GRADIENT);
        for (int node = 0; node < (int)graph.count; node++)
            if (node != graph.input && node != graph.output && graph.nodes[node].shape.rank == 4 &&
                sal_shape_elements(&graph.nodes[node].shape) > 1) {
                check_layer(&graph, &a, node, layers % 2 ? 4 : 1, nets[i].name);
                layers++;
            }
        net_answers_clear(&a);
        sal_graph_clear(&graph);
    }
    cr_expect_gt(layers, 100, "only %d layers", layers);
}

Test(program, guided_gradients_are_those_of_the_definition)
{
    check_rule(SAL_RULE_GUIDED, 1, NULL);
}

Test(program, deconvnet_gradients_are_those_of_the_definition)
{
    check_rule(SAL_RULE_DECONVNET, 1, NULL);
}

Test(program, rectified_gradients_are_those_of_the_definition)
{
    check_rule(SAL_RULE_RECTIFIED, 1, NULL);
}

Test(program, narrow_blocks_and_plain_loops_compute_the_same)
{
    check_rule(SAL_RULE_GRADIENT, 0, "cpu:baseline");
}

Test(program, one_forward_pass_serves_several_backward_passes)
{
    for (size_t i = 0; i < net_count; i++) {
        sal_graph graph;
        net_answers a;
        net_make(&graph, &nets[i]);
        net_pictures_make(&a, &graph);
        enum { BATCH = 4 };
        size_t bytes = BATCH * (size_t)a.pixels * sizeof(float);
        float *fresh = malloc(bytes), *again = malloc(bytes),
              *seeds = calloc(2 * BATCH * (size_t)a.outputs, sizeof *seeds);
        for (int64_t k = 0; k < 2 * BATCH * a.outputs; k++)
            seeds[k] = (float)(k % 7) - 2.5f;
        sal_program *p = net_open(&graph, &(sal_program_options){.batch = BATCH});
        sal_program *q = net_open(&graph, &(sal_program_options){.batch = BATCH});
        cr_assert_eq(sal_program_forward(p, NULL, a.inputs, BATCH), SAL_OK);
        for (int turn = 0; turn < 3; turn++) {
            const float *seed = seeds + turn % 2 * BATCH * a.outputs;
            net_gradients(again, p, seed, BATCH);
            cr_assert_eq(sal_program_forward(q, NULL, a.inputs, BATCH), SAL_OK);
            net_gradients(fresh, q, seed, BATCH);
            cr_expect_arr_eq(again, fresh, bytes, "%s: backward pass %d differs", nets[i].name, turn + 1);
        }
        sal_program_close(p);
        sal_program_close(q);
        free(fresh);
        free(again);
        free(seeds);
        net_answers_clear(&a);
        sal_graph_clear(&graph);
    }
}

/* Scores and gradient of one picture at place `at` of a run of `count`, behind copies of others. */
static void run_at(float *result, sal_program *p, const net_answers *a, int64_t picture, int64_t at, int64_t count)
{
    size_t pixels = (size_t)a->pixels, outputs = (size_t)a->outputs;
    float *inputs = malloc((size_t)count * pixels * sizeof *inputs),
          *scores = malloc((size_t)count * outputs * sizeof *scores);
    float *seeds = malloc((size_t)count * outputs * sizeof *seeds);
    float *gradients = malloc((size_t)count * pixels * sizeof *gradients);
    for (int64_t n = 0; n < count; n++) {
        int64_t from = n == at ? picture : (picture + 1 + n) % NET_PICTURES;
        memcpy(inputs + (size_t)n * pixels, a->inputs + (size_t)from * pixels, pixels * sizeof *inputs);
        for (size_t k = 0; k < outputs; k++)
            seeds[(size_t)n * outputs + k] = n == at ? 1.0f / (float)(k + 1) : -3.0f;
    }
    cr_assert_eq(sal_program_forward(p, scores, inputs, count), SAL_OK);
    net_gradients(gradients, p, seeds, count);
    memcpy(result, scores + (size_t)at * outputs, outputs * sizeof *scores);
    memcpy(result + outputs, gradients + (size_t)at * pixels, pixels * sizeof *gradients);
    free(inputs);
    free(scores);
    free(seeds);
    free(gradients);
}

/* *p NULL: this processor does not know these instructions. */
static void open_on(sal_program **p, const sal_graph *graph, const char *device, int64_t batch)
{
    sal_graph copy;
    cr_assert_eq(sal_graph_copy(&copy, graph), SAL_OK);
    const sal_status st = sal_program_open(p, &copy, &(sal_program_options){.device = device, .batch = batch});
    sal_graph_clear(&copy);
    const int absent = strstr(device, ":avx") && (st == SAL_ERROR_UNSUPPORTED || st == SAL_ERROR_ARGUMENT);
    cr_assert(st == SAL_OK || absent, "%s: %s", device, sal_last_error());
}

/* all: batches; or one and four, where kernels go other ways. */
static void check_company(const net *n, const char *device, int all)
{
    sal_graph graph;
    net_answers a;
    net_make(&graph, n);
    net_pictures_make(&a, &graph);
    size_t bytes = (size_t)(a.outputs + a.pixels) * sizeof(float);
    float *first = malloc(bytes), *other = malloc(bytes);
    for (int b = 0; b < BATCHES; b += all ? 1 : 2) {
        sal_program *p = NULL;
        open_on(&p, &graph, device, batches[b]);
        if (!p)
            break;
        if (b == 0)
            run_at(first, p, &a, 2, 0, 1);
        for (int64_t count = 1; count <= batches[b]; count++)
            for (int64_t at = 0; at < count; at += 2) {
                run_at(other, p, &a, 2, at, count);
                cr_expect_arr_eq(other, first, bytes, "%s on %s: place %d of %d in a batch of %d", n->name, device,
                                 (int)at, (int)count, (int)batches[b]);
            }
        sal_program_close(p);
    }
    free(first);
    free(other);
    net_answers_clear(&a);
    sal_graph_clear(&graph);
}

/* Whatever the instructions are: compilers round differently in one copy of a loop and the next. */
Test(program, a_picture_gets_the_same_bits_in_any_company)
{
    static const char *const devices[] = {"cpu", "cpu:baseline", "cpu:avx2", "cpu:avx512"};
    for (size_t k = 0; k < sizeof devices / sizeof *devices; k++)
        for (size_t i = 0; i < net_count; i++)
            check_company(&nets[i], devices[k], k == 0);
}

Test(program, scores_are_the_same_without_a_way_back)
{
    for (size_t i = 0; i < net_count; i++) {
        sal_graph graph;
        net_answers a;
        net_make(&graph, &nets[i]);
        net_pictures_make(&a, &graph);
        float scores[2][8 * 16];
        cr_assert_leq(a.outputs, 16);
        for (int b = 0; b < BATCHES; b++) {
            for (int k = 0; k < 2; k++) {
                sal_program *p =
                    net_open(&graph, &(sal_program_options){.batch = batches[b],
                                                            .end = k ? SAL_PASS_NOWHERE : SAL_PASS_TO_INPUT});
                memset(scores[k], 0xff, sizeof scores[k]);
                cr_assert_eq(sal_program_forward(p, scores[k], a.inputs, batches[b]), SAL_OK, "%s", sal_last_error());
                sal_program_close(p);
            }
            cr_expect_arr_eq(scores[0], scores[1], sizeof scores[0], "%s, batch %d", nets[i].name, (int)batches[b]);
        }
        net_answers_clear(&a);
        sal_graph_clear(&graph);
    }
}

/* Scores and gradients (count) of what is in an array. */
static void run_array(float *scores, float *gradients, sal_program *p, const float *seeds, int64_t count)
{
    cr_assert_eq(sal_program_forward_array(p, scores, p->arrays[0], count), SAL_OK, "%s", sal_last_error());
    net_gradients(gradients, p, seeds, count);
}

Test(program, an_array_is_run_as_pictures_are)
{
    enum { BATCH = 4, COUNT = 3 };
    for (size_t i = 0; i < net_count; i++) {
        sal_graph graph;
        net_answers a;
        net_make(&graph, &nets[i]);
        net_pictures_make(&a, &graph);
        const size_t pixels = COUNT * (size_t)a.pixels, outputs = COUNT * (size_t)a.outputs;
        float *scores[2] = {calloc(outputs, sizeof(float)), calloc(outputs, sizeof(float))};
        float *gradients[2] = {calloc(pixels, sizeof(float)), calloc(pixels, sizeof(float))};
        float *seeds = malloc(outputs * sizeof *seeds), *zeros = calloc(pixels, sizeof *zeros);
        for (size_t k = 0; k < outputs; k++)
            seeds[k] = 1.0f / (float)(k + 1);
        sal_program *p =
            net_open(&graph, &(sal_program_options){.batch = BATCH, .arrays = {SAL_ARRAY_INPUT}, .array_count = 1});
        cr_assert_eq(sal_program_forward(p, scores[0], a.inputs, COUNT), SAL_OK);
        net_gradients(gradients[0], p, seeds, COUNT);
        /* The array keeps the pictures while others are run. */
        for (int copied = 0; copied < 2; copied++) {
            cr_assert_eq(sal_program_upload(p, copied ? p->input : p->arrays[0], a.inputs, COUNT), SAL_OK);
            if (copied)
                cr_assert_eq(sal_program_copy(p, p->arrays[0], p->input, COUNT), SAL_OK);
            cr_assert_eq(sal_program_forward(p, NULL, zeros, COUNT), SAL_OK);
            run_array(scores[1], gradients[1], p, seeds, COUNT);
            cr_expect_arr_eq(scores[0], scores[1], outputs * sizeof(float), "%s: scores", nets[i].name);
            cr_expect_arr_eq(gradients[0], gradients[1], pixels * sizeof(float), "%s: gradients", nets[i].name);
        }
        sal_program_close(p);
        for (int k = 0; k < 2; k++) {
            free(scores[k]);
            free(gradients[k]);
        }
        free(seeds);
        free(zeros);
        net_answers_clear(&a);
        sal_graph_clear(&graph);
    }
}

Test(program, threads_change_no_bits)
{
    for (size_t i = 0; i < net_count; i++) {
        sal_graph graph;
        net_answers a;
        net_make(&graph, &nets[i]);
        net_pictures_make(&a, &graph);
        size_t bytes = (size_t)(a.outputs + a.pixels) * sizeof(float);
        float *first = malloc(bytes), *other = malloc(bytes);
        for (int threads = 1; threads <= 5; threads += 2) {
            sal_program *p = net_open(&graph, &(sal_program_options){.batch = 2, .threads = threads});
            run_at(threads == 1 ? first : other, p, &a, 5, 1, 2);
            if (threads > 1)
                cr_expect_arr_eq(other, first, bytes, "%s: %d threads", nets[i].name, threads);
            sal_program_close(p);
        }
        free(first);
        free(other);
        net_answers_clear(&a);
        sal_graph_clear(&graph);
    }
}

/* Padding by zero insertion stands beside whatever the picture holds. */
Test(program, taps_of_weight_0_are_not_read)
{
    static const int index[] = {0, 2, 1, 2, 2, 2};
    static const float weights[] = {1, 0, 0.5F, 0, 0, 0};
    for (int axis = 2; axis < 4; axis++) {
        sal_graph graph;
        float x[9] = {1, 1, INFINITY, 1, 1, INFINITY, INFINITY, INFINITY, INFINITY}, scores[2], gradient[9];
        const float seeds[2] = {1, 0};
        sal_graph_init(&graph);
        int y = build_gather(&graph, build_input(&graph, 1, 3, 3), axis, 3, 2, index, weights);
        y = build_slice(&graph, build_slice(&graph, y, 2, 0, 1, 2), 3, 0, 1, 2);
        build_dense(&graph, build_flatten(&graph, y), 2);
        cr_assert_eq(sal_passes_run(&graph), SAL_OK, "%s", sal_last_error());
        sal_program *p = net_open(&graph, &(sal_program_options){.batch = 1});
        cr_assert_eq(sal_program_forward(p, scores, x, 1), SAL_OK);
        net_gradients(gradient, p, seeds, 1);
        for (int i = 0; i < 2; i++)
            cr_expect(isfinite(scores[i]), "axis %d, score %d: %g", axis, i, (double)scores[i]);
        cr_expect(gradient[0] != 0.0F && gradient[2] == 0.0F && gradient[8] == 0.0F);
        sal_program_close(p);
        sal_graph_clear(&graph);
    }
}
