/* Models are what was read: shared by engines, told by their files' bytes, and drawn anew for sanity checks. */
#include "api/identity.h"
#include "salmap/plan.h"
#include "salmap/salmap.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#define HONEST SAL_TEST_SOURCE_DIR "/data/models/scale_age_honest.onnx"
#define SHORTCUT SAL_TEST_SOURCE_DIR "/data/models/scale_age_shortcut.onnx"
enum { ELEMENTS = 3 * 192 * 192 };

static char folder[] = SAL_TEST_BINARY_DIR "/model-XXXXXX";
static char path[sizeof folder + 16], other[sizeof folder + 16];
static float *input;

static void copy_file(const char *to, const char *from)
{
    static char bytes[1 << 16];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    cr_assert(in && out, "%s", from);
    for (size_t n; (n = fread(bytes, 1, sizeof bytes, in)) > 0;)
        cr_assert_eq(fwrite(bytes, 1, n, out), n);
    cr_assert_eq(fclose(out), 0);
    fclose(in);
}

static void make_all(void)
{
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/net.onnx", folder);
    snprintf(other, sizeof other, "%s/other.onnx", folder);
    copy_file(path, HONEST);
    copy_file(other, SHORTCUT);
    input = malloc(ELEMENTS * sizeof *input);
    for (int i = 0; i < ELEMENTS; i++)
        input[i] = sinf((float)i * 0.37f);
}

static void remove_all(void)
{
    unlink(path);
    unlink(other);
    rmdir(folder);
    free(input);
}

TestSuite(model, .init = make_all, .fini = remove_all);

static sal_model *open_model(const char *from)
{
    sal_model *m;
    cr_assert_eq(sal_model_open(&m, from, NULL), SAL_OK, "%s", sal_last_error());
    return m;
}

static float score_of(sal_model *m, int take)
{
    const sal_engine_options options = {.size = sizeof(sal_engine_options), .batch = 1, .take_weights = take};
    sal_engine *e;
    float score = NAN;
    cr_assert_eq(sal_engine_open(&e, m, &options), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(sal_engine_forward(e, &score, input, 1), SAL_OK);
    sal_engine_close(e);
    return score;
}

static void expect_changed(sal_status st)
{
    char text[2 * sizeof path + 80];
    snprintf(text, sizeof text, "%s: has changed since it was opened: open the model again", path);
    cr_expect_eq(st, SAL_ERROR_FORMAT);
    cr_expect_str_eq(sal_last_error(), text);
}

Test(model, engines_share_its_weights_and_dropped_ones_are_read_again)
{
    sal_model *m = open_model(path);
    const float score = score_of(m, 0);
    cr_expect_eq(score_of(m, 0), score);
    cr_expect_eq(score_of(m, 1), score);
    cr_expect_eq(score_of(m, 0), score, "read again");
    cr_expect_eq(sal_model_drop_weights(m), SAL_OK);
    cr_expect_eq(sal_model_drop_weights(m), SAL_OK);
    cr_expect_eq(score_of(m, 1), score, "read again");
    sal_model_close(m);
}

Test(model, engines_keep_what_they_need_of_dropped_weights)
{
    const sal_engine_options options = {.size = sizeof(sal_engine_options), .batch = 1};
    sal_model *m = open_model(path);
    sal_engine *e;
    float before, after;
    cr_assert_eq(sal_engine_open(&e, m, &options), SAL_OK);
    cr_assert_eq(sal_engine_forward(e, &before, input, 1), SAL_OK);
    cr_assert_eq(sal_model_drop_weights(m), SAL_OK);
    cr_assert_eq(sal_engine_forward(e, &after, input, 1), SAL_OK);
    cr_expect_eq(before, after);
    sal_engine_close(e);
    sal_model_close(m);
}

Test(model, another_file_at_its_path_is_not_read_for_it)
{
    const sal_engine_options options = {.size = sizeof(sal_engine_options), .batch = 1};
    sal_model *m = open_model(path);
    sal_engine *e;
    const float score = score_of(m, 0);
    cr_assert_eq(rename(other, path), 0);
    cr_expect_eq(score_of(m, 1), score, "its weights are in memory");
    expect_changed(sal_engine_open(&e, m, &options));
    cr_expect_null(e);
    sal_model_close(m);
}

Test(model, its_digest_is_of_what_was_read)
{
    char then[SAL_DIGEST_SIZE], now[SAL_DIGEST_SIZE], fresh[SAL_DIGEST_SIZE];
    sal_model *m = open_model(path);
    cr_assert_eq(sal_model_hash(then, m), SAL_OK);
    cr_assert_eq(rename(other, path), 0);
    cr_assert_eq(sal_model_hash(now, m), SAL_OK, "%s", sal_last_error());
    cr_expect_str_eq(now, then);
    sal_model *next = open_model(path);
    cr_assert_eq(sal_model_hash(fresh, next), SAL_OK);
    cr_expect_str_neq(fresh, then);
    sal_model_close(next);
    sal_model_close(m);
}

Test(model, written_over_in_place_has_no_digest_any_more)
{
    char sha256[SAL_DIGEST_SIZE];
    sal_model *m = open_model(path);
    struct timespec later[2] = {{0, UTIME_OMIT}, {1, 0}};
    cr_assert_eq(utimensat(AT_FDCWD, path, later, 0), 0);
    expect_changed(sal_model_hash(sha256, m));
    sal_model_close(m);
}

/* Whatever memory there is: the batch is what it would be if no weight had gone meanwhile. */
Test(model, weights_that_go_early_cost_no_batch)
{
    for (uint64_t limit = 400 << 10; limit < 64 << 20; limit += limit / 3) {
        int64_t batch[2] = {0, 0};
        for (int take = 0; take < 2; take++) {
            const sal_engine_options options = {
                .size = sizeof(sal_engine_options), .max_memory = limit, .threads = 4, .take_weights = take};
            sal_model *m = open_model(path);
            sal_engine *e;
            sal_plan_info plan = SAL_PLAN_INFO_INIT;
            const sal_status st = sal_engine_open(&e, m, &options);
            cr_assert(st == SAL_OK || st == SAL_ERROR_MEMORY, "%s", sal_last_error());
            if (st == SAL_OK) {
                cr_assert_eq(sal_engine_get_plan(&plan, e), SAL_OK);
                batch[take] = plan.batch;
                cr_expect_leq(plan.arena_bytes, limit);
            }
            sal_engine_close(e);
            sal_model_close(m);
        }
        cr_expect_eq(batch[0], batch[1], "%d KiB: %d and %d", (int)(limit >> 10), (int)batch[0], (int)batch[1]);
    }
}

/* ---- Random weights ----------------------------------------------------------- */

static sal_model *draw(sal_model *m, const char *layer, uint64_t seed)
{
    sal_model *random;
    cr_assert_eq(sal_model_randomize(&random, m, layer, seed), SAL_OK, "%s", sal_last_error());
    return random;
}

static float random_score(sal_model *m, const char *layer, uint64_t seed)
{
    sal_model *random = draw(m, layer, seed);
    const float score = score_of(random, 1);
    sal_model_close(random);
    return score;
}

Test(model, random_weights_are_the_seeds_and_leave_the_model_alone)
{
    sal_model *m = open_model(path);
    sal_model_info info = SAL_MODEL_INFO_INIT;
    cr_assert_eq(sal_model_get_info(&info, m), SAL_OK);
    const float score = score_of(m, 0), random = random_score(m, NULL, 1);
    cr_expect(isfinite(random) && random != score);
    cr_expect_eq(random_score(m, NULL, 1), random);
    cr_expect_neq(random_score(m, NULL, 2), random);
    const float head = random_score(m, info.head, 1);
    cr_expect(isfinite(head) && head != score && head != random);
    cr_expect_eq(score_of(m, 0), score);
    sal_model_close(m);
}

Test(model, random_models_outlive_it_and_have_its_layers)
{
    sal_model *m = open_model(path);
    sal_model_info info = SAL_MODEL_INFO_INIT, drawn = SAL_MODEL_INFO_INIT;
    sal_layer_info layer = SAL_LAYER_INFO_INIT;
    char sha256[SAL_DIGEST_SIZE];
    sal_model *random = draw(m, NULL, 3), *again = draw(random, NULL, 3);
    const float score = score_of(random, 0);
    cr_assert_eq(sal_model_get_info(&info, m), SAL_OK);
    cr_assert_eq(sal_model_get_info(&drawn, random), SAL_OK);
    cr_expect(info.layers == drawn.layers && info.parameters == drawn.parameters && info.outputs == drawn.outputs);
    cr_expect_str_eq(info.head, drawn.head);
    sal_model_close(m);
    cr_assert_eq(sal_model_get_layer(&layer, random, 1), SAL_OK);
    cr_expect_eq(score_of(random, 0), score);
    cr_expect_eq(sal_model_hash(sha256, random), SAL_ERROR_ARGUMENT);
    cr_expect_eq(score_of(random, 1), score);
    cr_expect_eq(score_of(random, 1), score, "engines do not take what no file has");
    sal_engine *e;
    cr_expect_eq(sal_model_drop_weights(random), SAL_OK);
    cr_expect_eq(sal_engine_open(&e, random, NULL), SAL_ERROR_ARGUMENT, "they cannot be read again");
    cr_expect(isfinite(score_of(again, 0)));
    sal_model_close(random);
    sal_model_close(again);
}

/* ---- From bytes ------------------------------------------------------------ */

static char *load(size_t *size, const char *from)
{
    FILE *f = fopen(from, "rb");
    cr_assert_not_null(f, "%s", from);
    cr_assert_eq(fseek(f, 0, SEEK_END), 0);
    *size = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(*size);
    cr_assert_eq(fread(bytes, 1, *size, f), *size);
    fclose(f);
    return bytes;
}

/* The bytes are gone afterwards. */
static sal_model *open_bytes(const char *from)
{
    sal_model *m;
    size_t size;
    char *bytes = load(&size, from);
    cr_assert_eq(sal_model_open_bytes(&m, bytes, size, NULL), SAL_OK, "%s: %s", from, sal_last_error());
    memset(bytes, 0x5a, size);
    free(bytes);
    return m;
}

Test(model, of_bytes_is_that_of_the_file)
{
    static const char *const files[] = {HONEST, SAL_TEST_SOURCE_DIR "/data/models/scale_age_honest.h5",
                                        SAL_TEST_SOURCE_DIR "/data/models/scale_age_honest.keras"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        sal_model *file = open_model(files[i]), *memory = open_bytes(files[i]);
        sal_model_info a = SAL_MODEL_INFO_INIT, b = SAL_MODEL_INFO_INIT;
        char digests[2][SAL_DIGEST_SIZE];
        cr_assert_eq(sal_model_get_info(&a, file), SAL_OK);
        cr_assert_eq(sal_model_get_info(&b, memory), SAL_OK);
        cr_expect_str_eq(b.path, "model in memory");
        cr_expect_str_eq(a.format, b.format);
        cr_expect(a.layers == b.layers && a.parameters == b.parameters && a.flops == b.flops);
        cr_assert_eq(sal_model_hash(digests[0], file), SAL_OK);
        cr_assert_eq(sal_model_hash(digests[1], memory), SAL_OK);
        cr_expect_str_eq(digests[0], digests[1], "%s", files[i]);
        cr_expect_eq(score_of(file, 0), score_of(memory, 0), "%s", files[i]);
        sal_model_close(file);
        sal_model_close(memory);
    }
}

Test(model, of_bytes_reads_dropped_weights_again)
{
    sal_model *m = open_bytes(HONEST);
    const float expected = score_of(m, 1); /* takes them */
    cr_expect_eq(score_of(m, 0), expected);
    cr_assert_eq(sal_model_drop_weights(m), SAL_OK);
    cr_expect_eq(score_of(m, 0), expected);
    sal_model_close(m);
}

Test(model, of_bytes_takes_options)
{
    sal_model *m = NULL;
    size_t size;
    char *bytes = load(&size, HONEST);
    const sal_limits limits = {.size = sizeof limits, .max_model_bytes = 1000};
    const sal_model_options odd = {.size = sizeof odd, .layer = "nowhere"};
    const sal_model_options few = {.size = sizeof few, .limits = &limits};
    cr_expect_eq(sal_model_open_bytes(&m, bytes, size, &odd), SAL_ERROR_ARGUMENT);
    cr_expect_not_null(strstr(sal_last_error(), "model in memory: "), "%s", sal_last_error());
    cr_expect_eq(sal_model_open_bytes(&m, bytes, size, &few), SAL_ERROR_LIMIT);
    cr_expect_eq(strncmp(sal_last_error(), "model in memory: ", 17), 0, "%s", sal_last_error());
    /* Before they are looked at. */
    cr_expect_eq(sal_model_open_bytes(&m, bytes, (size_t)1 << 40, NULL), SAL_ERROR_LIMIT, "%s", sal_last_error());
    cr_expect_null(m);
    free(bytes);
}

Test(model, of_truncated_bytes_is_a_format_error)
{
    static const char *const files[] = {HONEST, SAL_TEST_SOURCE_DIR "/data/models/scale_age_honest.h5",
                                        SAL_TEST_SOURCE_DIR "/data/models/scale_age_honest.keras"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        size_t size;
        char *bytes = load(&size, files[i]);
        const size_t cuts[] = {0, 1, 7, 100, 5000, size / 2, size - 1};
        for (size_t k = 0; k < sizeof cuts / sizeof *cuts; k++) {
            sal_model *m = NULL;
            char *cut = malloc(cuts[k] ? cuts[k] : 1); /* of just this size: a read beyond it is seen */
            memcpy(cut, bytes, cuts[k]);
            cr_expect_eq(sal_model_open_bytes(&m, cut, cuts[k], NULL), SAL_ERROR_FORMAT, "%s cut at %zu: %s", files[i],
                         cuts[k], sal_last_error());
            cr_expect_eq(strncmp(sal_last_error(), "model in memory: ", 17), 0, "%s", sal_last_error());
            cr_expect_null(m);
            free(cut);
        }
        free(bytes);
    }
}

/* Nothing that would lie beside a file is looked for: which folder would it be? */
static void expect_without_folder(char *bytes, size_t size)
{
    sal_model *m = NULL;
    cr_expect_eq(sal_model_open_bytes(&m, bytes, size, NULL), SAL_ERROR_UNSUPPORTED, "%s", sal_last_error());
    cr_expect_not_null(strstr(sal_last_error(), "open it by its path"), "%s", sal_last_error());
    cr_expect_eq(strncmp(sal_last_error(), "model in memory: ", 17), 0, "%s", sal_last_error());
    cr_expect_null(m);
    free(bytes);
}

Test(model, of_bytes_refuses_onnx_with_external_data)
{
    size_t size;
    char *bytes = load(&size, SAL_TEST_SOURCE_DIR "/tests/golden/onnx/accepted/weights_external.onnx");
    expect_without_folder(bytes, size);
}

Test(model, of_bytes_refuses_keras_weights_without_a_network)
{
    enum { MOST = 1 << 20 };
    char *bytes = malloc(MOST);
    zip_t *archive = zip_open(SAL_TEST_SOURCE_DIR "/tests/golden/keras/weights_legacy.zip", ZIP_RDONLY, NULL);
    zip_file_t *member = archive ? zip_fopen(archive, "weights_legacy.weights.h5", 0) : NULL;
    cr_assert_not_null(member);
    const zip_int64_t size = zip_fread(member, bytes, MOST);
    cr_assert(size > 0 && size < MOST);
    zip_fclose(member);
    zip_discard(archive);
    expect_without_folder(bytes, (size_t)size);
}
