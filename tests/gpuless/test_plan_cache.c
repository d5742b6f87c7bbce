/* Plans that can be prepared and do not run: the search goes on, and a file that holds one is replaced. cuDNN itself is
 * left out: its functions here take what they are given, and have three engines. */
#include "planning/driver_stand_in.h"
#include "planning/plan_cache.h"
#include "unit/at_end.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ENGINES = 3, TEXT = 64, LIMIT = 1 << 20 };

/* ---- cuDNN --------------------------------------------------------------- */

typedef struct stub {
    cudnnBackendDescriptorType_t type;
    int64_t engine; /* of engines, configurations and plans */
} stub;

static int alive;              /* descriptors */
static int notes[ENGINES + 1]; /* by engine: a cudnnBackendNumericalNote_t, or -1 */

static cudnnStatus_t create(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *out)
{
    stub *s = calloc(1, sizeof *s);
    s->type = type;
    *out = (cudnnBackendDescriptor_t)s;
    alive++;
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t destroy(cudnnBackendDescriptor_t descriptor)
{
    free(descriptor);
    alive--;
    return CUDNN_STATUS_SUCCESS;
}

/* A plan's text is its engine's number. */
static cudnnStatus_t set(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                         cudnnBackendAttributeType_t type, int64_t count, const void *values)
{
    stub *s = (stub *)descriptor;
    (void)type;
    (void)count;
    if (name == CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG)
        s->engine = (*(stub *const *)values)->engine;
    if (name == CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION)
        s->engine = atoi(values);
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t get(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                         cudnnBackendAttributeType_t type, int64_t room, int64_t *count, void *values)
{
    const stub *s = (const stub *)descriptor;
    char text[TEXT];
    (void)type;
    *count = 0;
    switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS:
        for (; *count < ENGINES; ++*count)
            ((stub **)values)[*count]->engine = *count + 1;
        break;
    case CUDNN_ATTR_ENGINECFG_ENGINE:
        (*(stub **)values)->engine = s->engine;
        *count = 1;
        break;
    case CUDNN_ATTR_ENGINE_GLOBAL_INDEX:
        *(int64_t *)values = s->engine;
        *count = 1;
        break;
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
        if (notes[s->engine] >= 0)
            ((cudnnBackendNumericalNote_t *)values)[(*count)++] = (cudnnBackendNumericalNote_t)notes[s->engine];
        break;
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE: *(int64_t *)values = 4096; break;
    case CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION:
        *count = snprintf(text, sizeof text, "%d", (int)s->engine) + 1;
        if (room > 0)
            memcpy(values, text, (size_t)*count);
        break;
    default: break;
    }
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t finalize(cudnnBackendDescriptor_t descriptor)
{
    (void)descriptor;
    return CUDNN_STATUS_SUCCESS;
}

static const char *error_string(cudnnStatus_t status)
{
    (void)status;
    return "a failure";
}

static void last_error_string(char *message, size_t size)
{
    snprintf(message, size, "its reason");
}

static size_t version(void)
{
    return 91900;
}

cuda_nvidia nvidia = {.cudnnBackendCreateDescriptor = create,
                      .cudnnBackendDestroyDescriptor = destroy,
                      .cudnnBackendSetAttribute = set,
                      .cudnnBackendGetAttribute = get,
                      .cudnnBackendFinalize = finalize,
                      .cudnnGetErrorString = error_string,
                      .cudnnGetLastErrorString = last_error_string,
                      .cudnnGetVersion = version};

int cuda_driver_stand_in(void)
{
    return 0;
}

/* ---- Trials -------------------------------------------------------------- */

static struct {
    unsigned broken;    /* bit k: engine k does not run */
    sal_status failure; /* what it says */
    int count;
} trials;

static sal_status trial(void *context, cudnn_graph *graph, const cudnn_graph_problem *problem)
{
    cr_expect_eq(context, &trials);
    cr_expect_eq(problem->conv.in.channels, 16);
    trials.count++;
    return trials.broken >> cudnn_graph_engine(graph) & 1 ? sal_fail(trials.failure, "it broke down") : SAL_OK;
}

static int something;
static const cudnn_target target = {
    .properties = (cudnnBackendDescriptor_t)&something, .trial = trial, .context = &trials};
static const cudnn_graph_problem problem = {.conv = {.in = {1, 8, 8, 16},
                                                     .out = {1, 8, 8, 16},
                                                     .window = {.kernel = {3, 3},
                                                                .stride = {1, 1},
                                                                .dilation = {1, 1},
                                                                .pad_begin = {1, 1},
                                                                .pad_end = {1, 1},
                                                                .groups = 1}},
                                            .type = CUDA_TYPE_HALF};
static char folder[] = "/tmp/salmap-plans-XXXXXX";
static plan_cache cache;

static void set_up(void)
{
    cr_assert_not_null(mkdtemp(folder));
    setenv("XDG_CACHE_HOME", folder, 1);
    cr_assert_eq(plan_cache_open(&cache, "test"), SAL_OK);
    cr_assert_not_null(cache.folder);
    memset(&trials, 0, sizeof trials);
    for (int k = 0; k <= ENGINES; k++)
        notes[k] = -1;
    trials.failure = SAL_ERROR_DEVICE;
}

static void tear_down(void)
{
    char command[128];
    plan_cache_close(&cache);
    AT_END(alive == 0);
    snprintf(command, sizeof command, "rm -r %s", folder);
    AT_END(system(command) == 0);
}

/* The engine that plans a problem; 0: none does. */
static int64_t plan_of(sal_status *st, int *replaced, const cudnn_graph_problem *wanted)
{
    cudnn_graph *graph;
    *st = plan_cache_graph(&graph, replaced, &cache, &target, wanted, LIMIT);
    const int64_t engine = graph ? cudnn_graph_engine(graph) : 0;
    cudnn_graph_close(graph);
    return engine;
}

static int64_t plan(sal_status *st, int *replaced)
{
    return plan_of(st, replaced, &problem);
}

static void expect_plan(int64_t engine, int replaced, int trials_wanted)
{
    sal_status st;
    int found;
    trials.count = 0;
    cr_expect_eq(plan(&st, &found), engine);
    cr_expect_eq(st, SAL_OK, "%s", sal_last_error());
    cr_expect_eq(found, replaced);
    cr_expect_eq(trials.count, trials_wanted, "%d trials", trials.count);
}

TestSuite(plans, .init = set_up, .fini = tear_down);

Test(plans, that_run_are_kept)
{
    expect_plan(1, 0, 1);
    expect_plan(1, 0, 1);
}

Test(plans, that_do_not_run_are_passed_over)
{
    trials.broken = 1 << 1 | 1 << 2;
    expect_plan(3, 0, 3);
    expect_plan(3, 0, 1);
}

Test(plans, that_were_kept_and_do_not_run_are_replaced)
{
    expect_plan(1, 0, 1);
    trials.broken = 1 << 1;
    expect_plan(2, 1, 3);
    expect_plan(2, 0, 1); /* said once: the file is another one now */
}

/* Both lists of engines are gone through, and nothing is kept: the next driver may do. */
Test(plans, that_all_fail_are_an_error)
{
    sal_status st;
    int replaced;
    trials.broken = 1 << 1 | 1 << 2 | 1 << 3;
    cr_expect_eq(plan(&st, &replaced), 0);
    cr_expect_eq(st, SAL_ERROR_DEVICE);
    cr_expect_not_null(strstr(sal_last_error(), "it broke down"));
    cr_expect_eq(trials.count, 2 * ENGINES);
    trials.broken = 0;
    expect_plan(1, 0, 1);
}

Test(plans, that_there_is_no_memory_for_end_the_search)
{
    sal_status st;
    int replaced;
    trials.broken = 1 << 1;
    trials.failure = SAL_ERROR_MEMORY;
    cr_expect_eq(plan(&st, &replaced), 0);
    cr_expect_eq(st, SAL_ERROR_MEMORY);
    cr_expect_eq(trials.count, 1);
}

/* A plan of the same convolution that was kept where ties do not matter is another one's. */
Test(plans, that_round_by_the_place_in_a_tile_are_not_taken_where_ties_matter)
{
    static const cudnnBackendNumericalNote_t tiled[] = {
        CUDNN_NUMERICAL_NOTE_FFT, CUDNN_NUMERICAL_NOTE_WINOGRAD, CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4,
        CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6, CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13};
    cudnn_graph_problem ties = problem;
    ties.ties = 1;
    for (size_t k = 0; k < sizeof tiled / sizeof *tiled; k++) {
        sal_status st;
        int replaced;
        notes[1] = (int)tiled[k];
        notes[2] = CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
        expect_plan(1, 0, 1);
        for (int again = 0; again < 2; again++) {
            cr_expect_eq(plan_of(&st, &replaced, &ties), 2, "engines of note %d are taken", notes[1]);
            cr_expect_eq(st, SAL_OK, "%s", sal_last_error());
            cr_expect_eq(replaced, 0);
        }
        expect_plan(1, 0, 1);
        ties.conv.in.height = ++ties.conv.out.height; /* of which nothing is kept yet */
    }
    notes[2] = notes[3] = notes[1];
    sal_status st;
    int replaced;
    cr_expect_eq(plan_of(&st, &replaced, &ties), 0);
    cr_expect_eq(st, SAL_ERROR_UNSUPPORTED);
}

Test(plans, without_an_engine_of_that_arithmetic_are_none)
{
    sal_status st;
    int replaced;
    notes[1] = CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;
    expect_plan(2, 0, 1);
    notes[2] = CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION;
    notes[3] = CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;
    cudnn_graph_problem taller = problem;
    taller.conv.in.height = ++taller.conv.out.height;
    cr_expect_eq(plan_of(&st, &replaced, &taller), 0);
    cr_expect_eq(st, SAL_ERROR_UNSUPPORTED);
}
