/* Damaged and hostile files: an error, never a crash, and never more memory than the file's size allows. */
#include "import/import.h"

#include "base/file.h"
#include "base/memory.h"
#include "unit/at_end.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER SAL_TEST_SOURCE_DIR "/tests/golden/onnx"

static char work[64];

static void make_folder(void)
{
    strcpy(work, "/tmp/salmap-onnx-XXXXXX");
    cr_assert_not_null(mkdtemp(work));
}

static void remove_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", work);
    AT_END(system(command) == 0);
}

TestSuite(onnx_damage, .init = make_folder, .fini = remove_folder, .timeout = 120);

static void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(bytes, 1, size, f), size);
    cr_assert_eq(fclose(f), 0);
}

static void read_case(unsigned char **bytes, size_t *size, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, FOLDER "/accepted/%s.onnx", name);
    cr_assert_eq(sal_file_read(bytes, size, path, 1 << 20), SAL_OK, "%s", sal_last_error());
}

/* Imports the bytes as a file in the work folder; the error, if any, must have a text. */
static sal_status import(const void *bytes, size_t size, const sal_model_options *options)
{
    char path[128];
    sal_graph graph;
    snprintf(path, sizeof path, "%s/model.onnx", work);
    sal_status st = sal_onnx_parse(&graph, NULL, bytes, size, path, options);
    if (st != SAL_OK)
        cr_assert_not_null(strstr(sal_last_error(), "model.onnx"), "'%s'", sal_last_error());
    sal_graph_clear(&graph);
    return st;
}

static const char *const samples[] = {
    "net_13", "function_nested", "shape_arithmetic", "net_channels_last", "torch_layer_norm_13", "outputs_several"};
enum { SAMPLES = sizeof samples / sizeof *samples };

Test(onnx_damage, truncation_at_every_length_is_an_error_or_a_whole_model)
{
    for (int s = 0; s < SAMPLES; s++) {
        unsigned char *bytes;
        size_t size, accepted = 0;
        read_case(&bytes, &size, samples[s]);
        for (size_t n = 0; n < size; n++)
            accepted += import(bytes, n, NULL) == SAL_OK;
        /* What stands at the end of a file (the operator sets) is needed. */
        cr_expect_eq(accepted, 0, "%s: %zu truncated files were accepted", samples[s], accepted);
        sal_free(bytes);
    }
}

Test(onnx_damage, flipped_bytes_never_crash)
{
    unsigned state = 1;
    for (int s = 0; s < SAMPLES; s++) {
        unsigned char *bytes;
        size_t size, refused = 0;
        read_case(&bytes, &size, samples[s]);
        unsigned char *damaged = malloc(size);
        for (int k = 0; k < 3000; k++) {
            memcpy(damaged, bytes, size);
            for (int flips = 1 + k % 3; flips > 0; flips--) {
                state = state * 1664525U + 1013904223U;
                damaged[(state >> 8) % size] =
                    (unsigned char)(k % 2 ? state >> 24 : damaged[(state >> 8) % size] ^ 1U << (state >> 29));
            }
            refused += import(damaged, size, NULL) != SAL_OK;
        }
        cr_expect_gt(refused, 800, "%s: only %zu refused", samples[s], refused);
        free(damaged);
        sal_free(bytes);
    }
}

/* The sanitizer reserves terabytes of addresses: the bound on memory cannot be set there. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#endif

/* Two bytes each in the file, a struct each in memory: a megabyte of them must not take more than its multiple. */
Test(onnx_damage, empty_messages_do_not_exhaust_memory)
{
    struct rlimit limit = {(rlim_t)1 << 29, (rlim_t)1 << 29};
    size_t count = 1 << 20;
    unsigned char *bytes = malloc(2 * count + 16);
    size_t at = 0;
    bytes[at++] = 7 << 3 | 2; /* graph */
    for (size_t left = 2 * count; left > 0; left >>= 7)
        bytes[at++] = (unsigned char)((left & 127U) | (left > 127 ? 128U : 0U));
    for (size_t k = 0; k < count; k++) {
        bytes[at++] = 1 << 3 | 2; /* node */
        bytes[at++] = 0;
    }
#if !defined(HAS_SANITIZER)
    cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
#else
    (void)limit;
#endif
    cr_expect_eq(import(bytes, at, NULL), SAL_ERROR_FORMAT);
    free(bytes);
}

Test(onnx_damage, limits_are_kept)
{
    unsigned char *bytes;
    size_t size;
    read_case(&bytes, &size, "net_13");
    char path[128];
    sal_graph graph;
    snprintf(path, sizeof path, "%s/model.onnx", work);
    write_file(path, bytes, size);
    cr_expect_eq(
        sal_onnx_read(&graph, NULL, path, &(sal_model_options){.limits = &(sal_limits){.max_model_bytes = size - 1}}),
        SAL_ERROR_LIMIT);
    cr_expect_eq(
        sal_onnx_read(&graph, NULL, path, &(sal_model_options){.limits = &(sal_limits){.max_model_bytes = size}}),
        SAL_OK, "%s", sal_last_error());
    sal_graph_clear(&graph);
    cr_expect_eq(import(bytes, size, &(sal_model_options){.limits = &(sal_limits){.max_nodes = 5}}), SAL_ERROR_LIMIT);
    cr_expect_eq(import(bytes, size, &(sal_model_options){.limits = &(sal_limits){.max_nodes = 100}}), SAL_OK, "%s",
                 sal_last_error());
    sal_free(bytes);
}

Test(onnx_damage, folders_missing_and_empty_files_are_named)
{
    sal_graph graph;
    char path[128];
    cr_expect_eq(sal_onnx_read(&graph, NULL, work, NULL), SAL_ERROR_IO);
    cr_expect_not_null(strstr(sal_last_error(), work));
    snprintf(path, sizeof path, "%s/none.onnx", work);
    cr_expect_eq(sal_onnx_read(&graph, NULL, path, NULL), SAL_ERROR_IO);
    cr_expect_not_null(strstr(sal_last_error(), "none.onnx"));
    cr_expect_eq(import("", 0, NULL), SAL_ERROR_FORMAT);
    snprintf(path, sizeof path, "%s/empty.onnx", work);
    write_file(path, "", 0);
    cr_expect_eq(sal_onnx_read(&graph, NULL, path, NULL), SAL_ERROR_FORMAT);
    cr_expect_not_null(strstr(sal_last_error(), "empty"), "%s", sal_last_error());
}

/* Neither names its operator set. Under the undefined behaviour sanitizer this sees copies from a null pointer, too. */
Test(onnx_damage, empty_messages_in_a_file_are_refused)
{
    static const unsigned char graph[] = {7 << 3 | 2, 0}, initializer[] = {7 << 3 | 2, 2, 5 << 3 | 2, 0};
    char path[128];
    sal_graph read;
    snprintf(path, sizeof path, "%s/empty_messages.onnx", work);
    write_file(path, graph, sizeof graph);
    cr_expect_eq(sal_onnx_read(&read, NULL, path, NULL), SAL_ERROR_UNSUPPORTED, "%s", sal_last_error());
    write_file(path, initializer, sizeof initializer);
    cr_expect_eq(sal_onnx_read(&read, NULL, path, NULL), SAL_ERROR_UNSUPPORTED, "%s", sal_last_error());
}

/* weights_external wants weights.data beside it. */
static sal_status import_external(void)
{
    unsigned char *bytes;
    size_t size;
    read_case(&bytes, &size, "weights_external");
    sal_status st = import(bytes, size, NULL);
    sal_free(bytes);
    return st;
}

Test(onnx_damage, external_data_may_not_leave_the_folder)
{
    char path[128], inner[128], target[128], text[128] = "0123456789abcdef";
    snprintf(path, sizeof path, "%s/weights.data", work);
    cr_expect_eq(import_external(), SAL_ERROR_IO);

    snprintf(target, sizeof target, "%s-outside", work);
    write_file(target, text, sizeof text);
    cr_assert_eq(symlink(target, path), 0);
    cr_expect_eq(import_external(), SAL_ERROR_FORMAT);
    cr_expect_not_null(strstr(sal_last_error(), "outside the model's folder"), "%s", sal_last_error());
    cr_assert_eq(unlink(target), 0);
    cr_assert_eq(unlink(path), 0);

    snprintf(inner, sizeof inner, "%s/blob", work);
    write_file(inner, text, sizeof text);
    cr_assert_eq(symlink("blob", path), 0);
    cr_expect_eq(import_external(), SAL_OK, "%s", sal_last_error());

    write_file(inner, text, 16 + 95);
    cr_expect_eq(import_external(), SAL_ERROR_FORMAT);
    cr_expect_not_null(strstr(sal_last_error(), "past the end"), "%s", sal_last_error());

    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_expect_eq(import_external(), SAL_ERROR_IO);
    cr_expect_not_null(strstr(sal_last_error(), "not a regular file"), "%s", sal_last_error());
}

Test(onnx_damage, external_data_counts_against_the_limit)
{
    unsigned char *bytes;
    size_t size;
    char path[128];
    snprintf(path, sizeof path, "%s/weights.data", work);
    write_file(path, work, sizeof work);
    cr_assert_eq(truncate(path, 16 + 96), 0);
    read_case(&bytes, &size, "weights_external");
    cr_expect_eq(import(bytes, size, &(sal_model_options){.limits = &(sal_limits){.max_model_bytes = 96}}), SAL_OK,
                 "%s", sal_last_error());
    cr_expect_eq(import(bytes, size, &(sal_model_options){.limits = &(sal_limits){.max_model_bytes = 95}}),
                 SAL_ERROR_LIMIT);
    sal_free(bytes);
}
