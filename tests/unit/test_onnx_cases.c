/* Each small file of tests/golden/onnx imports to a graph that computes what PyTorch does, or is refused with the
 * right words. scripts/make_onnx_cases.py says what is in them. */
#include "import/import.h"

#include "base/file.h"
#include "base/memory.h"
#include "graph/passes.h"
#include "unit/naive_graph.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER SAL_TEST_SOURCE_DIR "/tests/golden/onnx"

/* Largest difference relative to the largest expected value; infinite with NaN. */
static double difference(const double *got, const double *expected, size_t count)
{
    double most = 0.0, scale = 1e-3;
    for (size_t k = 0; k < count; k++) {
        double d = fabs(got[k] - expected[k]);
        if (!(d <= most))
            most = isnan(d) ? INFINITY : d;
        scale = fmax(scale, fabs(expected[k]));
    }
    return most / scale;
}

/* Runs the graph and compares with the reference: input, scores, gradient of the first score. */
static void check_graph(const sal_graph *graph, const char *name, const char *when, const double *reference,
                        size_t count)
{
    size_t inputs = (size_t)sal_shape_elements(&graph->nodes[graph->input].shape);
    size_t outputs = (size_t)sal_shape_elements(&graph->nodes[graph->output].shape);
    cr_expect_eq(count, 2 * inputs + outputs, "%s %s: %zu inputs and %zu outputs, reference of %zu", name, when, inputs,
                 outputs, count);
    if (count != 2 * inputs + outputs)
        return;
    double *scores = calloc(outputs, sizeof *scores), *gradient = calloc(inputs, sizeof *gradient);
    cr_assert_eq(sal_naive_run(scores, gradient, graph, reference, 0), SAL_OK, "%s %s: %s", name, when,
                 sal_last_error());
    double in_scores = difference(scores, reference + inputs, outputs);
    double in_gradient = difference(gradient, reference + inputs + outputs, inputs);
    cr_expect(in_scores <= 1e-6, "%s %s: scores differ by %g", name, when, in_scores);
    cr_expect(in_gradient <= 1e-6, "%s %s: gradients differ by %g", name, when, in_gradient);
    free(scores);
    free(gradient);
}

/* *whole: the passes accept it as well. */
static void check_accepted(int *whole, const char *name)
{
    char path[512];
    sal_import_info info = {0};
    unsigned char *bytes;
    size_t size;
    sal_graph graph;
    snprintf(path, sizeof path, FOLDER "/accepted/%s.ref", name);
    cr_assert_eq(sal_file_read(&bytes, &size, path, 1 << 20), SAL_OK, "%s", sal_last_error());
    double *reference = calloc(size, 1);
    memcpy(reference, bytes, size);
    snprintf(path, sizeof path, FOLDER "/accepted/%s.onnx", name);
    sal_status st = sal_onnx_read(&graph, &info, path, NULL);
    cr_expect_eq(st, SAL_OK, "%s: %s", name, sal_last_error());
    if (st == SAL_OK) {
        cr_expect_eq(strncmp(info.format, "ONNX opset ", 11), 0, "%s: format '%s'", name, info.format);
        check_graph(&graph, name, "as imported", reference, size / sizeof *reference);
        /* Most cases have no head, which the passes refuse; what they accept must compute the same. */
        st = sal_passes_run(&graph);
        *whole = st == SAL_OK;
        if (st != SAL_OK) {
            cr_expect_eq(st, SAL_ERROR_UNSUPPORTED, "%s: %s", name, sal_last_error());
            cr_expect(strstr(sal_last_error(), "expected one vector of scores") ||
                          strstr(sal_last_error(), "the network has no head"),
                      "%s: %s", name, sal_last_error());
        }
        if (st == SAL_OK && graph.detached == SAL_OP_COUNT && !graph.channels_last)
            check_graph(&graph, name, "after the passes", reference, size / sizeof *reference);
        sal_graph_clear(&graph);
    }
    free(reference);
    sal_free(bytes);
}

Test(onnx_cases, every_accepted_file_computes_what_pytorch_does)
{
    enum { FILES = 451, WHOLE = 233 };
    size_t count = 0, whole_count = 0;
    DIR *folder = opendir(FOLDER "/accepted");
    cr_assert_not_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        char name[256];
        char *end = strstr(entry->d_name, ".onnx");
        if (!end)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(end - entry->d_name), entry->d_name);
        int whole = 0;
        check_accepted(&whole, name);
        whole_count += whole != 0;
        count++;
    }
    closedir(folder);
    cr_assert_eq(count, FILES, "%zu files", count);
    cr_assert_eq(whole_count, WHOLE, "%zu files are whole networks", whole_count);
}

static void check_refused(const char *name, const char *status, const char *text)
{
    char path[512];
    sal_graph graph;
    snprintf(path, sizeof path, FOLDER "/refused/%s.onnx", name);
    sal_status st = sal_onnx_read(&graph, NULL, path, NULL);
    cr_expect_str_eq(sal_status_name(st), status, "%s: %s, expected %s: %s", name, sal_status_name(st), status,
                     sal_last_error());
    if (st != SAL_OK) {
        cr_expect_not_null(strstr(sal_last_error(), text), "%s: '%s' lacks '%s'", name, sal_last_error(), text);
        cr_expect_not_null(strstr(sal_last_error(), path), "%s: '%s' lacks the path", name, sal_last_error());
    }
    cr_expect_eq(graph.count, 0);
    sal_graph_clear(&graph);
}

Test(onnx_cases, every_refused_file_says_why)
{
    char line[512], name[128], status[64];
    enum { FILES = 97 };
    int text;
    size_t count = 0;
    FILE *list = fopen(FOLDER "/refused/list.txt", "r");
    cr_assert_not_null(list);
    while (fgets(line, sizeof line, list)) {
        line[strcspn(line, "\n")] = '\0';
        cr_assert_eq(sscanf(line, "%127s %63s %n", name, status, &text), 2, "%s", line);
        cr_assert_neq(line[text], '\0', "%s", line);
        check_refused(name, status, line + text);
        count++;
    }
    fclose(list);
    cr_assert_eq(count, FILES, "%zu files", count);
}

/* A number of the file format; 0 where it ends. */
static size_t read_number(uint64_t *out, const unsigned char *bytes, size_t size)
{
    *out = 0;
    for (size_t n = 0; n < size && n < 10; n++) {
        *out |= (uint64_t)(bytes[n] & 127U) << (7 * n);
        if (bytes[n] < 128)
            return n + 1;
    }
    return 0;
}

/* Where the model's version of the default operator set is: a byte, as long as it is below 128. */
static unsigned char *find_opset(unsigned char *bytes, size_t size)
{
    enum { NUMBER = 0, LENGTH = 2, OPSETS = 8, VERSION = 16 };
    for (size_t at = 0; at < size;) {
        uint64_t key, value;
        size_t n = read_number(&key, bytes + at, size - at);
        n += read_number(&value, bytes + at + n, size - at - n);
        cr_assert(n >= 2 && ((key & 7U) == NUMBER || (key & 7U) == LENGTH));
        at += n;
        if ((key & 7U) != LENGTH)
            continue;
        /* The domain comes first; it is empty in the default one. */
        const size_t skip = key >> 3 == OPSETS && value > 2 && bytes[at] == 10 && bytes[at + 1] == 0 ? 2 : 0;
        if (key >> 3 == OPSETS && value == skip + 2 && bytes[at + skip] == VERSION)
            return bytes + at + skip + 1;
        at += (size_t)value;
    }
    return NULL;
}

static void check_opset(unsigned char *bytes, size_t size, const char *path, const char *name, int opset,
                        const double *reference, size_t count)
{
    char when[32];
    sal_graph graph;
    *find_opset(bytes, size) = (unsigned char)opset;
    snprintf(when, sizeof when, "as opset %d", opset);
    cr_expect_eq(sal_onnx_parse(&graph, NULL, bytes, size, path, NULL), SAL_OK, "%s %s: %s", name, when,
                 sal_last_error());
    if (graph.count > 0)
        check_graph(&graph, name, when, reference, count);
    sal_graph_clear(&graph);
}

/* scripts/onnx_opsets.py wrote the list, by the schemas of the onnx package. */
Test(onnx_cases, files_mean_the_same_in_all_opsets_of_the_same_schemas)
{
    enum { FILES = 451, TESTS_LEAST = 4600 };
    char name[128], path[512];
    int first, last;
    size_t files = 0, tests = 0;
    FILE *list = fopen(FOLDER "/opsets.txt", "r");
    cr_assert_not_null(list);
    while (fscanf(list, "%127s %d %d", name, &first, &last) == 3) {
        unsigned char *bytes, *reference;
        size_t size, length;
        snprintf(path, sizeof path, FOLDER "/accepted/%s.ref", name);
        cr_assert_eq(sal_file_read(&reference, &length, path, 1 << 20), SAL_OK, "%s", sal_last_error());
        double *values = calloc(length, 1);
        memcpy(values, reference, length);
        snprintf(path, sizeof path, FOLDER "/accepted/%s.onnx", name);
        cr_assert_eq(sal_file_read(&bytes, &size, path, 1 << 20), SAL_OK, "%s", sal_last_error());
        cr_assert_not_null(find_opset(bytes, size), "%s", name);
        for (int opset = first; opset <= last; opset++, tests++)
            check_opset(bytes, size, path, name, opset, values, length / sizeof *values);
        sal_free(bytes);
        sal_free(reference);
        free(values);
        files++;
    }
    fclose(list);
    cr_assert_eq(files, FILES, "%zu files are listed: run scripts/onnx_opsets.py", files);
    cr_assert_geq(tests, TESTS_LEAST, "%zu tests", tests);
}

static sal_graph import(const char *name, sal_import_info *info)
{
    char path[512];
    sal_graph graph;
    snprintf(path, sizeof path, FOLDER "/accepted/%s.onnx", name);
    cr_assert_eq(sal_onnx_read(&graph, info, path, NULL), SAL_OK, "%s", sal_last_error());
    return graph;
}

static size_t count_activation(const sal_graph *graph, sal_activation_kind kind)
{
    size_t n = 0;
    for (size_t k = 0; k < graph->count; k++)
        n += graph->nodes[k].op == SAL_OP_ACTIVATION && graph->nodes[k].activation.kind == kind;
    return n;
}

Test(onnx_cases, gelu_in_pieces_becomes_one_node)
{
    const char *names[] = {"torch_gelu_9", "torch_gelu_13", "gelu_half_first", "gelu_half_inside", "gelu_divided"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        sal_graph graph = import(names[k], NULL);
        cr_expect_eq(graph.count, 2, "%s: %zu nodes", names[k], graph.count);
        cr_expect_eq(count_activation(&graph, SAL_ACT_GELU), 1, "%s", names[k]);
        sal_graph_clear(&graph);
    }
}

Test(onnx_cases, layer_norm_in_pieces_becomes_one_node)
{
    const char *names[] = {"torch_layer_norm_13", "torch_layer_norm_17", "torch_layer_norm_plain",
                           "torch_layer_norm_channels_first", "layer_norm_reciprocal"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        sal_graph graph = import(names[k], NULL);
        cr_expect_eq(graph.count, 2, "%s: %zu nodes", names[k], graph.count);
        cr_expect_eq(graph.nodes[graph.output].op, SAL_OP_LAYER_NORM, "%s", names[k]);
        sal_graph_clear(&graph);
    }
}

Test(onnx_cases, hard_sigmoid_in_pieces_becomes_one_node)
{
    sal_graph graph = import("torch_hardswish_9", NULL);
    cr_expect_eq(count_activation(&graph, SAL_ACT_HARD_SIGMOID) + count_activation(&graph, SAL_ACT_HARD_SWISH), 1);
    cr_expect_eq(count_activation(&graph, SAL_ACT_CLIP), 0);
    sal_graph_clear(&graph);
}

Test(onnx_cases, format_names_opset_producer_and_the_output_taken)
{
    sal_import_info info;
    sal_graph graph = import("net_13", &info);
    cr_expect_eq(strncmp(info.format, "ONNX opset 13 (pytorch ", 23), 0, "'%s'", info.format);
    cr_expect_str_eq(info.output, "");
    sal_graph_clear(&graph);
    graph = import("outputs_several", &info);
    cr_expect_str_eq(info.format, "ONNX opset 13 (case)");
    cr_expect_str_eq(info.output, "y");
    cr_expect_str_eq(info.others, "i, z3, z");
    sal_graph_clear(&graph);
}

Test(onnx_cases, nodes_carry_the_names_of_the_file)
{
    sal_graph graph = import("conv_plain", NULL);
    cr_expect_str_eq(graph.nodes[graph.input].name, "x");
    cr_expect_str_eq(graph.nodes[graph.output].name, "Conv_0");
    sal_graph_clear(&graph);
}
