/* Max pools take the first of equals, as PyTorch's do: each small ONNX file of tests/golden/onnx that has one, for
 * pictures that are flat in places. scripts/make_onnx_cases.py says what is in the files. */
#include "base/file.h"
#include "base/memory.h"
#include "graph/passes.h"
#include "import/import.h"
#include "program/program.h"
#include "unit/graph_builder.h"
#include "unit/naive_graph.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER SAL_TEST_SOURCE_DIR "/tests/golden/onnx/accepted/"

enum { PICTURES = 6 };

static const char *const names[] = {"max_pool_plain",   "max_pool_padded", "max_pool_ceil",  "max_pool_ceil_padded",
                                    "max_pool_dilated", "max_pool_same",   "global_max_pool"};

/* One score: of all outputs, each times a number that its neighbours do not have. */
static void add_head(sal_graph *g)
{
    const int dense = build_dense(g, build_flatten(g, g->output), 1);
    sal_node *n = &g->nodes[dense];
    for (size_t k = 0; k < n->weight_count; k++)
        n->weight[k] = (float)((int)(7 * k % 11) - 5) / 4 + 0.125F;
    n->bias[0] = 0;
}

/* Values and weights are short binary fractions: nothing rounds. */
static void expect_equal(const double *want, const double *got, size_t count, const char *name, int picture,
                         const char *what)
{
    for (size_t i = 0; i < count; i++)
        cr_expect(fabs(got[i] - want[i]) <= 1e-6, "%s, flat picture %d: %s: %g at %zu, not %g", name, picture, what,
                  got[i], i, want[i]);
}

static void check_naive(const sal_graph *g, const double *x, const double *y, size_t outputs, const double *gradient,
                        size_t pixels, const char *name, int picture)
{
    const int pool = g->nodes[g->nodes[g->output].inputs[0]].inputs[0];
    double *got = calloc(pixels, sizeof *got);
    double *values = calloc(outputs, sizeof *values);
    cr_assert_eq(sal_naive_run(NULL, got, g, x, 0), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(sal_naive_layer(values, NULL, g, x, 0, pool), SAL_OK, "%s", sal_last_error());
    expect_equal(y, values, outputs, name, picture, "values as imported");
    expect_equal(gradient, got, pixels, name, picture, "gradient as imported");
    free(got);
    free(values);
}

static void check_program(sal_program *p, const double *x, const double *gradient, size_t pixels, const char *name,
                          int picture)
{
    const float seed = 1;
    float *input = calloc(pixels, sizeof *input);
    float *floats = calloc(pixels, sizeof *floats);
    double *got = calloc(pixels, sizeof *got);
    for (size_t i = 0; i < pixels; i++)
        input[i] = (float)x[i];
    memset(floats, 0xff, pixels * sizeof *floats);
    cr_assert_eq(sal_program_forward(p, NULL, input, 1), SAL_OK, "%s: %s", name, sal_last_error());
    cr_assert_eq(sal_program_backward(p, &seed, 1), SAL_OK, "%s: %s", name, sal_last_error());
    cr_assert_eq(sal_program_download(p, floats, p->gradient, 1), SAL_OK, "%s: %s", name, sal_last_error());
    for (size_t i = 0; i < pixels; i++)
        got[i] = (double)floats[i];
    expect_equal(gradient, got, pixels, name, picture, "gradient on the CPU");
    free(input);
    free(floats);
    free(got);
}

static sal_program *open_program(const sal_graph *graph, const char *name)
{
    sal_program *p = NULL;
    sal_graph copy;
    cr_assert_eq(sal_graph_copy(&copy, graph), SAL_OK);
    cr_assert_eq(sal_passes_run(&copy), SAL_OK, "%s: %s", name, sal_last_error());
    cr_assert_eq(sal_program_open(&p, &copy, &(sal_program_options){.device = "cpu", .batch = 1}), SAL_OK, "%s: %s",
                 name, sal_last_error());
    sal_graph_clear(&copy);
    return p;
}

static void check_file(const char *name)
{
    char path[512];
    unsigned char *bytes;
    size_t size;
    sal_graph graph;
    snprintf(path, sizeof path, FOLDER "%s.onnx", name);
    cr_assert_eq(sal_onnx_read(&graph, NULL, path, NULL), SAL_OK, "%s: %s", name, sal_last_error());
    const size_t pixels = (size_t)sal_shape_elements(&graph.nodes[graph.input].shape);
    const size_t outputs = (size_t)sal_shape_elements(&graph.nodes[graph.output].shape);
    add_head(&graph);
    snprintf(path, sizeof path, FOLDER "%s.flat", name);
    cr_assert_eq(sal_file_read(&bytes, &size, path, 1 << 20), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(size, PICTURES * (2 * pixels + outputs) * sizeof(double), "%s.flat: %zu bytes", name, size);
    double *references = calloc(size, 1);
    memcpy(references, bytes, size);
    sal_program *p = open_program(&graph, name);
    for (int k = 0; k < PICTURES; k++) {
        const double *x = references + (size_t)k * (2 * pixels + outputs);
        const double *gradient = x + pixels + outputs;
        check_naive(&graph, x, x + pixels, outputs, gradient, pixels, name, k);
        check_program(p, x, gradient, pixels, name, k);
    }
    sal_program_close(p);
    sal_graph_clear(&graph);
    free(references);
    sal_free(bytes);
}

Test(flat_pools, take_the_first_of_equals_as_pytorch_does)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        check_file(names[i]);
}
