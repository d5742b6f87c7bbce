/* Jobs of several pictures and targets: which seeds go down, and where what comes back is put. */
#include "attribution/gradient.h"
#include "unit/fake_device.h"
#include "unit/graph_builder.h"
#include "unit/test_program_nets.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 3, CHANNELS = 2, PIXELS = 5 * 4, ELEMENTS = CHANNELS * PIXELS, OUTPUTS = 4 };

static sal_graph graph;
static sal_program *program;
static sal_attribution a;
static float inputs[BATCH * ELEMENTS];

static void open_all(void)
{
    fake_reset();
    fake.backend.chunks = 0;
    build_dense(&graph, build_flatten(&graph, build_conv(&graph, build_input(&graph, CHANNELS, 5, 4), 3, 3, 1, 1, 1)),
                OUTPUTS);
    program = net_open(&graph, &(sal_program_options){.batch = BATCH});
    cr_assert_eq(sal_attribution_init(&a, program, SAL_OP_SOFTMAX), SAL_OK);
    for (int i = 0; i < BATCH * OUTPUTS; i++)
        a.scores[i] = (float)((i * 5 + 3) % 11) / 4.0f;
}

static void close_all(void)
{
    sal_attribution_clear(&a);
    sal_program_close(program);
    sal_graph_clear(&graph);
}

TestSuite(gradient, .init = open_all, .fini = close_all);

Test(gradient, knows_the_program_and_forgets_all_when_cleared)
{
    cr_expect(a.program == program && a.kind.outputs == OUTPUTS && a.kind.detached == SAL_OP_SOFTMAX);
    cr_expect_eq(a.input_elements, ELEMENTS);
    sal_attribution_clear(&a);
    const sal_attribution zero = {0};
    cr_expect_eq(memcmp(&a, &zero, sizeof a), 0);
}

static void check(sal_gradient_job job, sal_status expected, const char *what)
{
    cr_expect_eq(sal_attribution_check(&a, &job), expected, "%s", what);
}

Test(gradient, jobs_that_do_not_fit_are_refused)
{
    sal_target targets[2 * BATCH + 1] = {{0}};
    float gradients[1];
    const sal_target wrong = {.kind = SAL_TARGET_INDEX, .index = OUTPUTS};
    const sal_gradient_job good = {.inputs = inputs, .count = BATCH, .targets = targets, .gradients = gradients};
    sal_gradient_job job = good;
    check(good, SAL_OK, "good");
    job.inputs = NULL;
    check(job, SAL_ERROR_ARGUMENT, "no inputs");
    job = good;
    job.targets = NULL;
    check(job, SAL_ERROR_ARGUMENT, "no targets");
    job = good;
    job.gradients = NULL;
    check(job, SAL_ERROR_ARGUMENT, "no gradients");
    const sal_attribution_maps maps = {0};
    a.maps = &maps;
    check(job, SAL_OK, "maps in place of gradients");
    job.inputs = NULL;
    check(job, SAL_ERROR_ARGUMENT, "maps of nothing");
    a.maps = NULL;
    job = good;
    job.count = 0;
    check(job, SAL_ERROR_ARGUMENT, "no pictures");
    job.count = 1;
    check(job, SAL_OK, "one picture");
    job.each = -1;
    check(job, SAL_ERROR_ARGUMENT, "less than no targets");
    job.each = 0;
    job.count = BATCH + 1;
    check(job, SAL_ERROR_ARGUMENT, "too many pictures");
    cr_expect_str_eq(sal_last_error(), "4 pictures of 0 targets in a batch of 3");
    /* Every target of the job is looked at, and none behind them. */
    for (int each = 0; each <= 2; each++) {
        const int count = BATCH * (each ? each : 1);
        job = good;
        job.each = each;
        targets[count] = wrong;
        check(job, SAL_OK, "a wrong target behind the job's");
        for (int i = 0; i < count; i++) {
            targets[i] = wrong;
            check(job, SAL_ERROR_ARGUMENT, "a wrong target");
            targets[i] = (sal_target){0};
        }
        targets[count] = (sal_target){0};
    }
}

/* Of a target that asks for an output's logit: which one, and the seeds say so. */
Test(gradient, seeds_are_each_picture_s_own)
{
    /* Targets by number, then by picture: a rank each, then an output each. */
    const sal_target targets[2 * BATCH] = {
        {.kind = SAL_TARGET_TOP, .index = 0},   {.kind = SAL_TARGET_TOP, .index = 3},
        {.kind = SAL_TARGET_TOP, .index = 1},   {.kind = SAL_TARGET_INDEX, .index = 2},
        {.kind = SAL_TARGET_INDEX, .index = 0}, {.kind = SAL_TARGET_MEAN}};
    /* By hand from the scores: 3 8 2 7, 1 6 0 5, 10 4 9 3 quarters. */
    static const int64_t expected[2 * BATCH] = {1, 2, 2, 2, 0, -1};
    static const float quarters[2 * BATCH] = {8, 0, 9, 2, 1, 6.5f};
    int64_t chosen[2 * BATCH];
    float chosen_scores[2 * BATCH];
    const sal_gradient_job job = {
        .count = BATCH, .targets = targets, .each = 2, .chosen = chosen, .chosen_scores = chosen_scores};
    for (int e = 0; e < 2; e++) {
        cr_assert_eq(sal_attribution_seed(&a, &job, e), SAL_OK, "%s", sal_last_error());
        for (int i = 0; i < BATCH * OUTPUTS; i++) {
            const int64_t at = expected[e * BATCH + i / OUTPUTS];
            const float seed = at < 0 ? 1.0f / OUTPUTS : (float)(i % OUTPUTS == at);
            cr_expect_eq(a.seeds[i], seed, "target %d, seed %d: %g, expected %g", e, i, (double)a.seeds[i],
                         (double)seed);
        }
    }
    for (int i = 0; i < 2 * BATCH; i++) {
        cr_expect_eq(chosen[i], expected[i], "%d", i);
        cr_expect_eq(chosen_scores[i], quarters[i] / 4.0f, "%d", i);
    }
    /* Nobody need want to know. */
    const sal_gradient_job silent = {.count = BATCH, .targets = targets, .each = 2};
    cr_expect_eq(sal_attribution_seed(&a, &silent, 1), SAL_OK);
    a.scores[2 * OUTPUTS + 1] = NAN;
    cr_expect_eq(sal_attribution_seed(&a, &silent, 0), SAL_ERROR_NUMERIC);
    cr_expect_str_eq(sal_last_error(), "picture 2: score 1 is NaN");
}

#define STEPS "run back dense\nrun back reshape\nrun back conv\n"

Test(gradient, gradients_lie_by_target_then_by_picture)
{
    float gradients[2 * 2 * ELEMENTS + 1];
    const sal_target targets[4] = {{0}};
    const sal_gradient_job job = {.inputs = inputs, .count = 2, .targets = targets, .each = 2, .gradients = gradients};
    for (int i = 0; i <= 4 * ELEMENTS; i++)
        gradients[i] = -1.0f;
    a.seeds[0] = 0.5f;
    cr_assert_eq(sal_attribution_backward(&a, &job, 1), SAL_OK);
    fake_expect("upload seeds 2 of 3, from 0.5\n" STEPS "download gradients 2\n");
    for (int i = 0; i <= 4 * ELEMENTS; i++)
        cr_expect_eq(gradients[i], i < 2 * ELEMENTS || i == 4 * ELEMENTS ? -1.0f : (float)(1000 + i - 2 * ELEMENTS),
                     "%d", i);
    cr_assert_eq(sal_attribution_backward(&a, &job, 0), SAL_OK);
    cr_expect(gradients[0] == 2000.0f && gradients[2 * ELEMENTS - 1] == 2000.0f + 2 * ELEMENTS - 1 &&
              gradients[2 * ELEMENTS] == 1000.0f);
}

static int64_t made[4];
static int made_count;

static sal_status note_made(void *context, int64_t each)
{
    cr_expect_eq(context, (void *)&made_count);
    made[made_count++] = each;
    return each == 1 ? sal_fail(SAL_ERROR_IO, "no room for the map") : SAL_OK;
}

Test(gradient, maps_of_the_device_lie_likewise)
{
    fake_add_all();
    float maps[6 * PIXELS], gradients[6 * ELEMENTS];
    sal_map_stats stats[6];
    const sal_map_options options = {0};
    const sal_attribution_maps m = {&options, maps, stats, note_made, &made_count};
    const sal_target targets[6] = {{0}};
    sal_gradient_job job = {.inputs = inputs, .count = 2, .targets = targets, .each = 3, .gradients = gradients};
    for (int i = 0; i < 6 * PIXELS; i++)
        maps[i] = -1.0f;
    for (int i = 0; i < 6; i++)
        stats[i].peak = -1.0f;
    a.maps = &m;
    fake.maps_made = 5;
    cr_assert_eq(sal_attribution_backward(&a, &job, 2), SAL_OK);
    fake_expect("upload seeds 2 of 3, from 0\nslot 1\n" STEPS "maps of gradients 2\nrescale 0\ndownload gradients 2\n");
    for (int i = 0; i < 6 * PIXELS; i++)
        cr_expect_eq(maps[i], i == 4 * PIXELS ? 5.0f : -1.0f, "map %d: %g", i, (double)maps[i]);
    for (int i = 0; i < 6; i++)
        cr_expect_eq(stats[i].peak, i == 4 ? 5.0f : -1.0f);
    cr_expect(gradients[4 * ELEMENTS] == 1000.0f && gradients[6 * ELEMENTS - 1] == 1000.0f + 2 * ELEMENTS - 1);
    cr_expect(made_count == 1 && made[0] == 2);
    job.gradients = NULL;
    cr_expect_eq(sal_attribution_backward(&a, &job, 1), SAL_ERROR_IO);
    fake_expect("upload seeds 2 of 3, from 0\nslot 1\n" STEPS "maps of gradients 2\nrescale 0\n");
    cr_expect_eq(maps[2 * PIXELS], 6.0f);
    cr_expect(made_count == 2 && made[1] == 1);
}

Test(gradient, the_method_is_one_forward_pass_and_a_backward_pass_per_target)
{
    float scores[2 * OUTPUTS + 1], gradients[4 * ELEMENTS], chosen_scores[4];
    int64_t chosen[4];
    const sal_target targets[4] = {{.kind = SAL_TARGET_INDEX, .index = 0},
                                   {.kind = SAL_TARGET_PREDICTED},
                                   {.kind = SAL_TARGET_INDEX, .index = 1},
                                   {.kind = SAL_TARGET_TOP, .index = 3}};
    sal_gradient_job job = {inputs, 2, targets, 2, gradients, scores, chosen, chosen_scores};
    inputs[0] = 9.0f;
    scores[2 * OUTPUTS] = -1.0f;
    cr_assert_eq(sal_method_gradient(&a, &job), SAL_OK, "%s", sal_last_error());
    fake_expect("upload pictures 2 of 3, from 9\nrun conv\nrun reshape\nrun dense\ndownload scores 2\n"
                "upload seeds 2 of 3, from 1\n" STEPS "download gradients 2\n"
                "upload seeds 2 of 3, from 0\n" STEPS "download gradients 2\n");
    /* The fake device's scores rise from 1000, its gradients from 2000 and 3000. */
    for (int i = 0; i < 2 * OUTPUTS; i++)
        cr_expect_eq(scores[i], 1000.0f + (float)i);
    cr_expect_eq(scores[2 * OUTPUTS], -1.0f);
    cr_expect(chosen[0] == 0 && chosen[1] == 3 && chosen[2] == 1 && chosen[3] == 0);
    cr_expect(chosen_scores[0] == 1000.0f && chosen_scores[1] == 1007.0f && chosen_scores[2] == 1001.0f &&
              chosen_scores[3] == 1004.0f);
    cr_expect(gradients[0] == 2000.0f && gradients[2 * ELEMENTS] == 3000.0f);
    job.each = 0;
    job.scores = NULL;
    cr_assert_eq(sal_method_gradient(&a, &job), SAL_OK);
    fake_expect("upload pictures 2 of 3, from 9\nrun conv\nrun reshape\nrun dense\ndownload scores 2\n"
                "upload seeds 2 of 3, from 1\n" STEPS "download gradients 2\n");
}
