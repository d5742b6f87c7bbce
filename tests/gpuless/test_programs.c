/* Whole programs on the emulated device: every small network against the reference interpreter. */
#include "unit/test_program_nets.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* The seeds of a gradient of output k alone. */
static void one_hot(float *seeds, int64_t count, int64_t outputs, int64_t k)
{
    for (int64_t i = 0; i < count * outputs; i++)
        seeds[i] = i % outputs == k ? 1.0f : 0.0f;
}

static void check(const sal_graph *graph, const net_answers *a, int64_t batch, const char *name)
{
    float *scores = calloc((size_t)(batch * a->outputs), sizeof *scores);
    float *seeds = calloc((size_t)(batch * a->outputs), sizeof *seeds);
    float *gradients = calloc((size_t)(batch * a->pixels), sizeof *gradients);
    sal_program *p =
        net_open(graph, &(sal_program_options){.device = "cuda:0", .batch = batch, .precision = SAL_PRECISION_FP32});
    cr_assert_eq(sal_program_forward(p, scores, a->inputs, batch), SAL_OK, "%s: %s", name, sal_last_error());
    double off = net_difference(a->scores, scores, batch * a->outputs);
    cr_expect(off <= 2e-5, "%s, batch %d: scores differ by %g", name, (int)batch, off);
    for (int64_t k = 0; k < a->outputs; k++) {
        one_hot(seeds, batch, a->outputs, k);
        net_gradients(gradients, p, seeds, batch);
        for (int64_t n = 0; n < batch; n++) {
            off =
                net_difference(a->gradients + (k * NET_PICTURES + n) * a->pixels, gradients + n * a->pixels, a->pixels);
            cr_expect(off <= 1e-4, "%s, batch %d, picture %d, output %d: gradients differ by %g", name, (int)batch,
                      (int)n, (int)k, off);
        }
    }
    sal_program_close(p);
    free(scores);
    free(seeds);
    free(gradients);
}

Test(programs, scores_and_gradients_are_those_of_the_reference)
{
    for (size_t i = 0; i < net_count; i++) {
        sal_graph graph;
        net_answers a;
        net_make(&graph, &nets[i]);
        net_answers_make(&a, &graph, SAL_RULE_GRADIENT);
        check(&graph, &a, 1, nets[i].name);
        check(&graph, &a, 3, nets[i].name);
        net_answers_clear(&a);
        sal_graph_clear(&graph);
    }
}

/* Scores and gradient of picture 0, which is the last of `batch`. */
static void run_last(float *result, const sal_graph *graph, const net_answers *a, int64_t batch)
{
    const size_t pixels = (size_t)a->pixels, outputs = (size_t)a->outputs, last = (size_t)batch - 1;
    float *inputs = calloc((size_t)batch * pixels, sizeof *inputs);
    float *scores = calloc((size_t)batch * outputs, sizeof *scores);
    float *seeds = calloc((size_t)batch * outputs, sizeof *seeds);
    float *gradients = calloc((size_t)batch * pixels, sizeof *gradients);
    for (size_t n = 0; n <= last; n++)
        memcpy(inputs + n * pixels, a->inputs + (n == last ? 0 : n + 1) * pixels, pixels * sizeof *inputs);
    for (size_t k = 0; k < (size_t)batch * outputs; k++)
        seeds[k] = k / outputs == last ? 1.0f / (float)(k % outputs + 1) : -3.0f;
    sal_program *p =
        net_open(graph, &(sal_program_options){.device = "cuda:0", .batch = batch, .precision = SAL_PRECISION_FP16});
    cr_assert_eq(sal_program_forward(p, scores, inputs, batch), SAL_OK, "%s", sal_last_error());
    net_gradients(gradients, p, seeds, batch);
    memcpy(result, scores + last * outputs, outputs * sizeof *scores);
    memcpy(result + outputs, gradients + last * pixels, pixels * sizeof *gradients);
    sal_program_close(p);
    free(inputs);
    free(scores);
    free(seeds);
    free(gradients);
}

/* As far as kernels of our own go: the emulated libraries add in one order. */
Test(programs, a_picture_gets_the_same_bits_in_any_company)
{
    for (size_t i = 0; i < net_count; i++) {
        sal_graph graph;
        net_answers a;
        net_make(&graph, &nets[i]);
        net_pictures_make(&a, &graph);
        const size_t count = (size_t)(a.outputs + a.pixels);
        float *alone = calloc(count, sizeof *alone), *other = calloc(count, sizeof *other);
        run_last(alone, &graph, &a, 1);
        for (int64_t batch = 2; batch < 6; batch += 3) {
            run_last(other, &graph, &a, batch);
            cr_expect_arr_eq(other, alone, count * sizeof *alone, "%s: the last in a batch of %d", nets[i].name,
                             (int)batch);
        }
        free(alone);
        free(other);
        net_answers_clear(&a);
        sal_graph_clear(&graph);
    }
}
