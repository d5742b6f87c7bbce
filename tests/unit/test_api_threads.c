/* Engines and threads: an engine is one call's at a time, and nothing is wrong without a word. */
#include "salmap/salmap.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char keras_path[] = SAL_TEST_SOURCE_DIR "/data/models/scale_age_honest.h5";
static const char model_path[] = SAL_TEST_SOURCE_DIR "/data/models/scale_age_honest.onnx";
static const char *const pictures[] = {SAL_TEST_SOURCE_DIR "/data/scales/scale_05.jpg",
                                       SAL_TEST_SOURCE_DIR "/data/scales/scale_13.jpg"};
static const char folder[] = SAL_TEST_BINARY_DIR "/test_api_threads_out";
static const char stack_folder[] = SAL_TEST_BINARY_DIR "/test_api_threads_stack";
static char refused_folder[] = SAL_TEST_BINARY_DIR "/refused-XXXXXX"; /* is not there */
static const sal_explain_options refused = {.size = sizeof(sal_explain_options),
                                            .alpha = SAL_DEFAULT,
                                            .preprocess = {.scale = 1.0F},
                                            .out_dir = refused_folder};
enum { SIDE = 192, ELEMENTS = 3 * SIDE * SIDE, THREADS = 2, CALLS = 15 };
/* What the header promises to be enough; the address sanitizer's frames are larger. */
#ifdef __SANITIZE_ADDRESS__
enum { STACK = 1 << 20 };
#else
enum { STACK = 256 << 10 };
#endif

static sal_model *model;
static sal_engine *engine;

static void open_all(void)
{
    const sal_engine_options options = {.size = sizeof(sal_engine_options), .batch = 1, .threads = 1};
    cr_assert_eq(sal_model_open(&model, model_path, NULL), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(sal_engine_open(&engine, model, &options), SAL_OK, "%s", sal_last_error());
    cr_assert_not_null(mkdtemp(refused_folder));
    cr_assert_eq(rmdir(refused_folder), 0);
}

static void close_all(void)
{
    sal_engine_close(engine);
    sal_model_close(model);
}

TestSuite(threads, .init = open_all, .fini = close_all);

static float *make_inputs(uint32_t seed)
{
    float *inputs = malloc(ELEMENTS * sizeof *inputs);
    for (size_t i = 0; i < ELEMENTS; i++) {
        seed = seed * 1664525u + 1013904223u;
        inputs[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
    }
    return inputs;
}

Test(threads, an_engine_twice_in_one_run_is_refused)
{
    sal_engine *const twice[] = {engine, engine};
    sal_dataset *dataset;
    const sal_sweep_options sweep = {
        .size = sizeof(sal_sweep_options), .max_failures = SAL_UNLIMITED, .explain = &refused};
    cr_assert_eq(sal_dataset_open(&dataset, pictures, 2, NULL), SAL_OK, "%s", sal_last_error());
    cr_expect_eq(sal_sweep(NULL, twice, 2, dataset, &sweep), SAL_ERROR_ARGUMENT);
    cr_expect(strstr(sal_last_error(), "engine 1 is engine 0 again"), "%s", sal_last_error());
    cr_expect_eq(sal_explain_files_on(NULL, twice, 2, pictures, 2, &refused, NULL, NULL), SAL_ERROR_ARGUMENT);
    cr_expect(access(refused_folder, F_OK) != 0, "the refused run left a folder");
    sal_dataset_close(dataset);
}

static void *call_forward(void *inputs)
{
    static sal_status st;
    float score;
    st = sal_engine_forward(engine, &score, inputs, 1);
    return &st;
}

/* From within a run, on its thread and on another. */
static int use_engine(void *context, const sal_explain_result *result)
{
    int *told = context;
    float *inputs = make_inputs(3);
    pthread_t other;
    void *status;
    sal_dataset *dataset;
    const sal_sweep_options sweep = {
        .size = sizeof(sal_sweep_options), .max_failures = SAL_UNLIMITED, .explain = &refused};
    sal_engine *const engines[] = {engine};
    cr_expect_eq(result->status, SAL_OK, "%s", result->error);
    cr_expect_eq(*(sal_status *)call_forward(inputs), SAL_ERROR_ARGUMENT);
    cr_expect(strstr(sal_last_error(), "in use by another call"), "%s", sal_last_error());
    cr_assert_eq(pthread_create(&other, NULL, call_forward, inputs), 0);
    cr_assert_eq(pthread_join(other, &status), 0);
    cr_expect_eq(*(sal_status *)status, SAL_ERROR_ARGUMENT);
    cr_assert_eq(sal_dataset_open(&dataset, pictures, 2, NULL), SAL_OK, "%s", sal_last_error());
    cr_expect_eq(sal_sweep(NULL, engines, 1, dataset, &sweep), SAL_ERROR_ARGUMENT);
    sal_dataset_close(dataset);
    free(inputs);
    ++*told;
    return 0;
}

/* Buffers and maps of a run are those of one method and one model. */
Test(threads, engines_of_a_run_attribute_alike)
{
    static const sal_method_options cam = {.size = sizeof cam, .noise = SAL_DEFAULT, .name = "grad-cam"};
    static const sal_method_options noisy = {.size = sizeof noisy, .noise = SAL_DEFAULT, .name = "smoothgrad"};
    static const sal_engine_options others[] = {
        {.size = sizeof *others, .batch = 1, .method = &cam},
        {.size = sizeof *others, .batch = 1, .method = &noisy},
        {.size = sizeof *others, .batch = 1, .rule = SAL_RULE_GUIDED},
        {.size = sizeof *others, .batch = 1, .exact = 1},
    };
    const sal_explain_options options = {.size = sizeof(sal_explain_options),
                                         .alpha = SAL_DEFAULT,
                                         .preprocess = {.scale = 1.0F},
                                         .out_dir = refused_folder};
    sal_engine *pair[2] = {engine, NULL};
    for (size_t k = 0; k < sizeof others / sizeof *others; k++) {
        cr_assert_eq(sal_engine_open(&pair[1], model, &others[k]), SAL_OK, "%s", sal_last_error());
        cr_expect_eq(sal_explain_files_on(NULL, pair, 2, pictures, 2, &options, NULL, NULL), SAL_ERROR_ARGUMENT);
        cr_expect_str_eq(sal_last_error(), "engine 1 was opened with another method, rule or precision than the first");
        sal_engine_close(pair[1]);
    }
    sal_model *random;
    cr_assert_eq(sal_model_randomize(&random, model, NULL, 1), SAL_OK);
    cr_assert_eq(sal_engine_open(&pair[1], random, NULL), SAL_OK);
    cr_expect_eq(sal_explain_files_on(NULL, pair, 2, pictures, 2, &options, NULL, NULL), SAL_ERROR_ARGUMENT);
    cr_expect_str_eq(sal_last_error(), "engine 1 is not of the same model and kind of device as the first");
    sal_engine_close(pair[1]);
    sal_model_close(random);
}

Test(threads, an_engine_in_use_refuses_others_until_the_run_is_over)
{
    const sal_explain_options options = {
        .size = sizeof(sal_explain_options), .alpha = SAL_DEFAULT, .preprocess = {.scale = 1.0F}, .out_dir = folder};
    float *inputs = make_inputs(3);
    int told = 0;
    cr_assert_eq(sal_explain_files(NULL, engine, pictures, 2, &options, use_engine, &told), SAL_OK, "%s",
                 sal_last_error());
    cr_expect_eq(told, 2);
    cr_expect_eq(*(sal_status *)call_forward(inputs), SAL_OK, "%s", sal_last_error());
    free(inputs);
}

Test(threads, an_engine_is_free_again_after_a_refused_call)
{
    float *inputs = make_inputs(3);
    const sal_explain_options options = {
        .size = sizeof(sal_explain_options), .alpha = SAL_DEFAULT, .preprocess = {.scale = 1.0F}, .out_dir = folder};
    sal_engine *const twice[] = {engine, engine}, *const none[] = {engine, NULL};
    cr_expect_eq(sal_engine_forward(engine, NULL, inputs, 2), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_engine_gradient(engine, NULL, NULL, NULL, inputs, NULL, 1), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_explain_files_on(NULL, twice, 2, pictures, 2, &options, NULL, NULL), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_explain_files_on(NULL, none, 2, pictures, 2, &options, NULL, NULL), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_explain_files_on(NULL, twice, 1, pictures, 2, NULL, NULL, NULL), SAL_ERROR_ARGUMENT);
    cr_expect_eq(*(sal_status *)call_forward(inputs), SAL_OK, "%s", sal_last_error());
    free(inputs);
}

typedef struct caller {
    pthread_t thread;
    pthread_barrier_t *together;
    sal_engine *engine;
    const float *expected;
    float *inputs;
    int right, refused, wrong;
} caller;

static void *call_often(void *context)
{
    caller *c = context;
    const sal_target target = {0};
    float *gradient = malloc(ELEMENTS * sizeof *gradient);
    pthread_barrier_wait(c->together);
    for (int i = 0; i < CALLS; i++) {
        const sal_status st = sal_engine_gradient(c->engine, gradient, NULL, NULL, c->inputs, &target, 1);
        if (st == SAL_ERROR_ARGUMENT)
            c->refused++;
        else if (st == SAL_OK && memcmp(gradient, c->expected, ELEMENTS * sizeof *gradient) == 0)
            c->right++;
        else
            c->wrong++;
    }
    free(gradient);
    return NULL;
}

/* Threads that call at once, each with a picture of its own. */
static void call_together(caller callers[THREADS], sal_engine *const engines[THREADS])
{
    const sal_target target = {0};
    pthread_barrier_t together;
    pthread_barrier_init(&together, NULL, THREADS);
    for (uint32_t k = 0; k < THREADS; k++) {
        float *expected = malloc(ELEMENTS * sizeof *expected);
        callers[k] = (caller){.together = &together, .engine = engines[k], .inputs = make_inputs(k)};
        cr_assert_eq(sal_engine_gradient(engine, expected, NULL, NULL, callers[k].inputs, &target, 1), SAL_OK);
        callers[k].expected = expected;
    }
    for (int k = 0; k < THREADS; k++)
        cr_assert_eq(pthread_create(&callers[k].thread, NULL, call_often, &callers[k]), 0);
    for (int k = 0; k < THREADS; k++) {
        pthread_join(callers[k].thread, NULL);
        free((void *)callers[k].expected);
        free(callers[k].inputs);
    }
    pthread_barrier_destroy(&together);
}

Test(threads, two_threads_on_one_engine_get_right_results_or_a_refusal)
{
    caller callers[THREADS];
    sal_engine *const engines[THREADS] = {engine, engine};
    call_together(callers, engines);
    for (int k = 0; k < THREADS; k++)
        cr_expect_eq(callers[k].wrong, 0, "thread %d: %d wrong, %d right, %d refused", k, callers[k].wrong,
                     callers[k].right, callers[k].refused);
    cr_expect_gt(callers[0].right + callers[1].right, 0);
    cr_expect_gt(callers[0].refused + callers[1].refused, 0);
}

Test(threads, two_threads_with_an_engine_each_get_right_results)
{
    caller callers[THREADS];
    sal_engine *engines[THREADS] = {engine};
    const sal_engine_options options = {.size = sizeof(sal_engine_options), .batch = 1, .threads = 2};
    cr_assert_eq(sal_engine_open(&engines[1], model, &options), SAL_OK, "%s", sal_last_error());
    call_together(callers, engines);
    for (int k = 0; k < THREADS; k++)
        cr_expect_eq(callers[k].right, CALLS, "thread %d: %d wrong, %d refused", k, callers[k].wrong,
                     callers[k].refused);
    sal_engine_close(engines[1]);
}

typedef struct opener {
    pthread_t thread;
    pthread_barrier_t *together;
    sal_engine *engine;
    sal_status status;
} opener;

static void *open_engine(void *context)
{
    opener *o = context;
    const sal_engine_options options = {.size = sizeof(sal_engine_options), .batch = 1, .threads = 1};
    pthread_barrier_wait(o->together);
    o->status = sal_engine_open(&o->engine, model, &options);
    return NULL;
}

static void *randomize(void *context)
{
    opener *o = context;
    sal_model *random = NULL;
    pthread_barrier_wait(o->together);
    o->status = sal_model_randomize(&random, model, NULL, 1);
    sal_model_close(random);
    return NULL;
}

static void *drop_weights(void *context)
{
    opener *o = context;
    pthread_barrier_wait(o->together);
    o->status = sal_model_drop_weights(model);
    return NULL;
}

/* Others draw random weights of it, or let go of them: then the file is read again. */
Test(threads, any_number_of_threads_open_engines_of_one_model)
{
    enum { OPENERS = THREADS + 2 };
    static void *(*const work[OPENERS])(void *) = {[THREADS] = randomize, [THREADS + 1] = drop_weights};
    opener openers[OPENERS];
    pthread_barrier_t together;
    float expected, score, *inputs = make_inputs(5);
    cr_assert_eq(sal_engine_forward(engine, &expected, inputs, 1), SAL_OK);
    pthread_barrier_init(&together, NULL, OPENERS);
    for (int k = 0; k < OPENERS; k++) {
        openers[k] = (opener){.together = &together};
        cr_assert_eq(pthread_create(&openers[k].thread, NULL, work[k] ? work[k] : open_engine, &openers[k]), 0);
    }
    for (int k = 0; k < OPENERS; k++) {
        pthread_join(openers[k].thread, NULL);
        cr_expect_eq(openers[k].status, SAL_OK);
        if (!openers[k].engine)
            continue;
        cr_expect_eq(sal_engine_forward(openers[k].engine, &score, inputs, 1), SAL_OK);
        cr_expect_eq(score, expected);
        sal_engine_close(openers[k].engine);
    }
    pthread_barrier_destroy(&together);
    free(inputs);
}

static void *do_all(void *context)
{
    const sal_explain_options how = {
        .size = sizeof how, .alpha = SAL_DEFAULT, .preprocess = {.scale = 1.0F}, .out_dir = stack_folder};
    const sal_sweep_options options = {
        .size = sizeof(sal_sweep_options), .max_failures = SAL_UNLIMITED, .explain = &how, .restart = 1};
    const sal_engine_options engine_options = {.size = sizeof(sal_engine_options), .batch = 1};
    sal_engine *e = NULL;
    sal_model *m = NULL;
    sal_dataset *d = NULL;
    sal_status *st = context;
    *st = sal_model_open(&m, keras_path, NULL);
    if (*st == SAL_OK)
        *st = sal_engine_open(&e, m, &engine_options);
    if (*st == SAL_OK)
        *st = sal_explain_files(NULL, e, pictures, 2, &how, NULL, NULL);
    if (*st == SAL_OK)
        *st = sal_dataset_open(&d, pictures, 2, NULL);
    if (*st == SAL_OK)
        *st = sal_sweep(NULL, &e, 1, d, &options);
    sal_dataset_close(d);
    sal_engine_close(e);
    sal_model_close(m);
    return NULL;
}

Test(threads, a_small_stack_is_enough)
{
    pthread_t small;
    pthread_attr_t attributes;
    sal_status st = SAL_ERROR_DEVICE;
    pthread_attr_init(&attributes);
    cr_assert_eq(pthread_attr_setstacksize(&attributes, STACK), 0);
    cr_assert_eq(pthread_create(&small, &attributes, do_all, &st), 0);
    pthread_join(small, NULL);
    pthread_attr_destroy(&attributes);
    cr_expect_eq(st, SAL_OK, "%s", sal_status_name(st));
}
