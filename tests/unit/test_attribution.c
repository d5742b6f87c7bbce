/* Jobs of several pictures and targets: which seeds go down, which passes are made, and where what they leave lies. */
#include "attribution/method.h"
#include "unit/fake_device.h"
#include "unit/graph_builder.h"
#include "unit/test_program_nets.h"
#include "unit/token_nets.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 3, CHANNELS = 2, PIXELS = 5 * 4, ELEMENTS = CHANNELS * PIXELS, OUTPUTS = 4 };

static sal_graph graph;
static sal_program *program;
static sal_attribution a;
static float inputs[BATCH * ELEMENTS];

static void open_method(const sal_method_options *options)
{
    const sal_method_row *row;
    sal_program_options passes = {.batch = BATCH};
    cr_assert_eq(sal_method_find(&row, options->name), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(sal_method_check(row, options), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(sal_method_passes(&passes, row, options, &graph), SAL_OK, "%s", sal_last_error());
    program = net_open(&graph, &passes);
    memset(&a, 0xff, sizeof a);
    cr_assert_eq(sal_attribution_init(&a, program, row, options, SAL_OP_SOFTMAX), SAL_OK);
    for (int i = 0; i < BATCH * OUTPUTS; i++)
        a.scores[i] = (float)((i * 5 + 3) % 11) / 4.0f;
}

static void close_method(void)
{
    sal_attribution_clear(&a);
    sal_program_close(program);
}

static void open_all(void)
{
    static const sal_method_options gradient = {.noise = SAL_DEFAULT};
    fake_reset();
    fake.backend.chunks = 0;
    build_dense(&graph, build_flatten(&graph, build_conv(&graph, build_input(&graph, CHANNELS, 5, 4), 3, 3, 1, 1, 1)),
                OUTPUTS);
    open_method(&gradient);
}

static void close_all(void)
{
    close_method();
    sal_graph_clear(&graph);
}

static void open_another(const sal_method_options *options)
{
    close_method();
    open_method(options);
}

TestSuite(attribution, .init = open_all, .fini = close_all);

Test(attribution, knows_the_program_and_forgets_all_when_cleared)
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

Test(attribution, jobs_that_do_not_fit_are_refused)
{
    sal_target targets[2 * BATCH + 1] = {{0}};
    const sal_target wrong = {.kind = SAL_TARGET_INDEX, .index = OUTPUTS};
    const sal_gradient_job good = {.inputs = inputs, .count = BATCH, .targets = targets};
    sal_gradient_job job = good;
    check(good, SAL_OK, "good");
    job.inputs = NULL;
    check(job, SAL_ERROR_ARGUMENT, "no inputs");
    job = good;
    job.targets = NULL;
    check(job, SAL_ERROR_ARGUMENT, "no targets");
    job = good;
    job.baselines = inputs;
    check(job, SAL_ERROR_ARGUMENT, "a baseline for a method that has none");
    cr_expect_str_eq(sal_last_error(), "baselines must be given where the engine was opened with one, and only there");
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
Test(attribution, seeds_are_each_picture_s_own)
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
        cr_assert_eq(sal_attribution_run(&a, &job, e), SAL_OK, "%s", sal_last_error());
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
    cr_expect_eq(sal_attribution_run(&a, &silent, 1), SAL_OK);
    a.scores[2 * OUTPUTS + 1] = NAN;
    cr_expect_eq(sal_attribution_run(&a, &silent, 0), SAL_ERROR_NUMERIC);
    cr_expect_str_eq(sal_last_error(), "picture 2: score 1 is NaN");
}

/* By hand; none of the outputs is left out. */
Test(attribution, every_score_counts)
{
    enum { N = 4 };
    static const sal_scores_kind softmax = {.outputs = N, .detached = SAL_OP_SOFTMAX};
    static const sal_scores_kind sigmoid = {.outputs = N, .detached = SAL_OP_ACTIVATION};
    const sal_target margin = {.kind = SAL_TARGET_MARGIN, .score = SAL_SCORE_PROBABILITY};
    const float scores[N] = {0.005f, -1.0f, 2.0f, 1.0f};
    float seed[N], probabilities[N];
    double e[N], sum = 0.0;
    sal_choice choice;
    for (int i = 0; i < N; i++)
        sum += e[i] = exp((double)scores[i]);
    cr_assert_eq(sal_target_seed(seed, &choice, &margin, &softmax, scores, 0), SAL_OK);
    cr_expect_eq(choice.index, 2);
    for (int i = 0; i < 2; i++) /* neither the best nor the second */
        cr_expect_float_eq(seed[i], -(e[2] - e[3]) / sum * e[i] / sum, 1e-7, "%d: %g", i, (double)seed[i]);
    cr_assert_eq(sal_target_probabilities(probabilities, scores, &sigmoid), SAL_OK);
    for (int i = 0; i < N; i++)
        cr_expect_float_eq(probabilities[i], e[i] / (1.0 + e[i]), 1e-6, "%d: %g", i, (double)probabilities[i]);
    static const float alike[N] = {1.0f, 2.0f, 2.0f, 1.0f};
    static const int64_t ranked[N] = {1, 2, 0, 3}; /* the first of those that are alike comes first */
    for (int i = 0; i < N; i++)
        cr_expect_eq(sal_target_rank(alike, N, i), ranked[i], "%d", i);
    for (int i = 0; i < N; i++) {
        const sal_target other = {.kind = SAL_TARGET_INDEX, .index = (i + 1) % N};
        float wrong[N];
        memcpy(wrong, scores, sizeof wrong);
        wrong[i] = NAN;
        cr_expect_eq(sal_target_seed(seed, &choice, &other, &softmax, wrong, 0), SAL_ERROR_NUMERIC, "%d", i);
    }
}

#define FORWARD "run conv\nrun reshape\nrun dense\n"
#define STEPS "run back dense\nrun back reshape\nrun back conv\n"

Test(attribution, a_gradient_is_one_forward_pass_and_a_backward_pass_per_target)
{
    float scores[2 * OUTPUTS + 1], gradients[2 * ELEMENTS], chosen_scores[4];
    double gaps[4] = {0};
    int64_t chosen[4];
    const sal_target targets[4] = {{.kind = SAL_TARGET_INDEX, .index = 0},
                                   {.kind = SAL_TARGET_PREDICTED},
                                   {.kind = SAL_TARGET_INDEX, .index = 1},
                                   {.kind = SAL_TARGET_TOP, .index = 3}};
    sal_gradient_job job = {.inputs = inputs,
                            .count = 2,
                            .targets = targets,
                            .each = 2,
                            .scores = scores,
                            .chosen = chosen,
                            .chosen_scores = chosen_scores,
                            .gaps = gaps};
    inputs[0] = 9.0f;
    scores[2 * OUTPUTS] = -1.0f;
    cr_assert_eq(sal_attribution_begin(&a, &job), SAL_OK, "%s", sal_last_error());
    fake_expect("upload pictures 2 of 3, from 9\n" FORWARD "download scores 2\n");
    cr_assert_eq(sal_attribution_run(&a, &job, 0), SAL_OK, "%s", sal_last_error());
    fake_expect("upload seeds 2 of 3, from 1\n" STEPS);
    cr_assert_eq(sal_attribution_run(&a, &job, 1), SAL_OK, "%s", sal_last_error());
    fake_expect("upload seeds 2 of 3, from 0\n" STEPS);
    cr_expect(a.result == program->gradient && a.elements == ELEMENTS);
    cr_assert_eq(sal_program_download(program, gradients, a.result, 2), SAL_OK);
    fake_expect("download gradients 2\n");
    /* The fake device's scores rise from 1000. */
    for (int i = 0; i < 2 * OUTPUTS; i++)
        cr_expect_eq(scores[i], 1000.0f + (float)i);
    cr_expect_eq(scores[2 * OUTPUTS], -1.0f);
    cr_expect(chosen[0] == 0 && chosen[1] == 3 && chosen[2] == 1 && chosen[3] == 0);
    cr_expect(chosen_scores[0] == 1000.0f && chosen_scores[1] == 1007.0f && chosen_scores[2] == 1001.0f &&
              chosen_scores[3] == 1004.0f);
    for (int i = 0; i < 4; i++)
        cr_expect(isnan(gaps[i]));
    job.scores = NULL;
    cr_assert_eq(sal_attribution_begin(&a, &job), SAL_OK);
    fake_expect("upload pictures 2 of 3, from 9\n" FORWARD "download scores 2\n");
}

/* ---- Methods of several passes ------------------------------------------------ */

static const sal_target two_targets[2] = {{0}};

static void expect_passes(const char *begin, const char *run, const sal_gradient_job *job)
{
    fake.log[0] = '\0';
    cr_assert_eq(sal_attribution_check(&a, job), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(sal_attribution_begin(&a, job), SAL_OK, "%s", sal_last_error());
    fake_expect(begin);
    cr_assert_eq(sal_attribution_run(&a, job, 0), SAL_OK, "%s", sal_last_error());
    fake_expect(run);
}

#define INPUTS "upload array 2 of 3, from 9\ncopy array to pictures 2 of 3\n" FORWARD "download scores 2\n"
#define PASS                                                                                                           \
    "copy array to pictures 2 of 3\n" FORWARD "upload seeds 2 of 3, from 0\n" STEPS "copy gradients to array 2 of 2\n"

Test(attribution, input_times_gradient_keeps_the_input)
{
    const sal_gradient_job job = {.inputs = inputs, .count = 2, .targets = two_targets};
    inputs[0] = 9.0f;
    open_another(&(sal_method_options){.noise = SAL_DEFAULT, .name = "input-x-gradient"});
    expect_passes(INPUTS, "upload seeds 2 of 3, from 0\n" STEPS "copy gradients to array 2 of 2\nmultiply by x 2\n",
                  &job);
    cr_expect_eq(a.result, program->arrays[1]);
    cr_expect_eq(program->array_count, 2);
}

Test(attribution, noisy_gradients_are_averaged_sample_by_sample)
{
    const sal_gradient_job job = {.inputs = inputs, .count = 2, .targets = two_targets};
    for (int i = 0; i < BATCH * ELEMENTS; i++)
        inputs[i] = 9.0f - (float)(i % ELEMENTS % 5);
    open_another(&(sal_method_options){.name = "smoothgrad", .samples = 2, .noise = 0.25});
    expect_passes(INPUTS,
                  "clear array 2\nperturb 2, sample 0, deviation 1\n" PASS "accumulate kind 0 2 by 0.500\n"
                  "perturb 2, sample 1, deviation 1\n" PASS "accumulate kind 0 2 by 0.500\n",
                  &job);
    cr_expect_eq(a.result, program->arrays[2]);
    cr_expect_eq(a.noises[0].picture, a.noises[1].picture);
    open_another(&(sal_method_options){.noise = SAL_DEFAULT, .name = "vargrad", .samples = 2});
    expect_passes(INPUTS,
                  "clear array 2\nclear array 2\nperturb 2, sample 0, deviation 0.6\n" PASS
                  "accumulate kind 2 2 by 1.000\n"
                  "perturb 2, sample 1, deviation 0.6\n" PASS "accumulate kind 2 2 by 0.500\n"
                  "clear array 2\naccumulate kind 0 2 by 0.500\n",
                  &job);
    cr_expect_eq(a.result, program->arrays[2]);
    open_another(&(sal_method_options){.noise = SAL_DEFAULT, .name = "smoothgrad-squared", .samples = 1});
    expect_passes(INPUTS, "clear array 2\nperturb 2, sample 0, deviation 0.6\n" PASS "accumulate kind 1 2 by 1.000\n",
                  &job);
    cr_expect_eq(a.result, program->arrays[2]);
}

Test(attribution, noise_is_the_picture_s_and_the_seed_s)
{
    sal_gradient_job job = {.inputs = inputs, .count = 2, .targets = two_targets};
    for (int i = 0; i < 2 * ELEMENTS; i++)
        inputs[i] = (float)i;
    open_another(&(sal_method_options){.noise = SAL_DEFAULT, .name = "smoothgrad", .samples = 1, .seed = 77});
    cr_assert_eq(sal_attribution_begin(&a, &job), SAL_OK);
    const sal_noise first = a.noises[0], second = a.noises[1];
    cr_expect_neq(first.picture, second.picture);
    cr_expect(first.run == 77 && second.run == 77);
    job.inputs = inputs + ELEMENTS;
    job.count = 1;
    cr_assert_eq(sal_attribution_begin(&a, &job), SAL_OK);
    cr_expect_eq(a.noises[0].picture, second.picture);
}

Test(attribution, where_seeds_depend_on_scores_they_are_made_anew_at_each_pass)
{
    static const sal_score scores[3][2] = {{SAL_SCORE_PROBABILITY, SAL_SCORE_PROBABILITY},
                                           {SAL_SCORE_PROBABILITY, SAL_SCORE_LOGIT},
                                           {SAL_SCORE_LOGIT, SAL_SCORE_PROBABILITY}};
    inputs[0] = 9.0f;
    for (int k = 0; k < 3; k++) {
        /* Of two targets a picture the second. */
        const sal_target targets[4] = {{0}, {0}, {.score = scores[k][0]}, {.score = scores[k][1]}};
        const sal_gradient_job job = {.inputs = inputs, .count = 2, .targets = targets, .each = 2};
        open_another(&(sal_method_options){.noise = 0.0, .name = "smoothgrad", .samples = 1});
        fake.log[0] = '\0';
        cr_assert_eq(sal_attribution_begin(&a, &job), SAL_OK);
        for (int i = 0; i < 2 * OUTPUTS; i++) /* which are chosen by these: 1 and 1 */
            a.scores[i] = (float)((i * 5 + 3) % 11) / 4.0f;
        cr_assert_eq(sal_attribution_run(&a, &job, 1), SAL_OK, "%s", sal_last_error());
        for (int n = 0; n < 2; n++) {
            float expected[OUTPUTS];
            sal_choice choice = {.index = 1};
            cr_assert_eq(
                sal_target_seed_again(expected, &choice, &targets[2 + n], &a.kind, a.pass_scores + n * OUTPUTS, n),
                SAL_OK);
            cr_expect_eq(memcmp(expected, a.seeds + n * OUTPUTS, sizeof expected), 0, "%d, picture %d", k, n);
        }
        cr_expect(strstr(fake.log, "perturb 2, sample 0, deviation 0\ncopy array to pictures 2 of 3\n" FORWARD
                                   "download scores 2\nupload seeds"),
                  "%d: %s", k, fake.log);
    }
}

Test(attribution, a_path_goes_from_the_baseline_to_the_input)
{
    double gaps[2];
    float baselines[2 * ELEMENTS] = {4.0f};
    sal_gradient_job job = {.inputs = inputs, .count = 2, .targets = two_targets, .gaps = gaps};
    inputs[0] = 9.0f;
    const sal_method_options options = {
        .noise = SAL_DEFAULT, .name = "integrated-gradients", .steps = 3, .quadrature = SAL_QUADRATURE_TRAPEZOID};
    open_another(&options);
    static const char path[] = "clear array 2\nbetween zeros and x 2 at 0.000\n" PASS "accumulate kind 0 2 by 0.250\n"
                               "between zeros and x 2 at 0.500\n" PASS "accumulate kind 0 2 by 0.500\n"
                               "between zeros and x 2 at 1.000\n" PASS "accumulate kind 0 2 by 0.250\n"
                               "multiply by x 2\ndownload array 2\n";
    expect_passes("clear array 1\ncopy array to pictures 1 of 3\n" FORWARD "download scores 1\n" INPUTS, path, &job);
    /* The fake device's numbers: attributions from 3000 on, scores at the baseline from 1000 and at x from 2000. */
    const double sum = ELEMENTS * 3000.0 + ELEMENTS * (ELEMENTS - 1) / 2.0;
    cr_expect_float_eq(gaps[0], sum - 1000.0, 1e-6, "%g", gaps[0]);
    cr_expect_float_eq(gaps[1], sum + ELEMENTS * ELEMENTS - (2007.0 - 1003.0), 1e-6, "%g", gaps[1]);
    cr_expect_eq(a.base_scores[2 * a.kind.outputs], a.base_scores[0], "zeros have one score");
    expect_passes(INPUTS, path, &job); /* which is known now */
    sal_method_options with = options;
    with.baseline = SAL_BASELINE_BLACK;
    with.steps = 2;
    open_another(&with);
    cr_expect_eq(sal_attribution_check(&a, &job), SAL_ERROR_ARGUMENT);
    job.baselines = baselines;
    expect_passes("upload array 2 of 3, from 4\ncopy array to pictures 2 of 3\n" FORWARD "download scores 2\n" INPUTS,
                  "clear array 2\nbetween baseline and x 2 at 0.000\n" PASS "accumulate kind 0 2 by 0.500\n"
                  "between baseline and x 2 at 1.000\n" PASS "accumulate kind 0 2 by 0.500\n"
                  "multiply by x - baseline 2\ndownload array 2\n",
                  &job);
    /* The scores of each picture's own baseline, which were downloaded before those of x. */
    const double last = 1000.0 * fake.downloads;
    cr_expect_float_eq(gaps[1], sum - 3000.0 * ELEMENTS + ELEMENTS * ELEMENTS + ELEMENTS * last - 1000.0, 1e-6, "%g",
                       gaps[1]);
    cr_expect_eq(a.result, program->arrays[2]);
}

Test(attribution, a_layer_s_map_ends_the_backward_pass_there)
{
    float attribution[2 * PIXELS];
    const sal_gradient_job job = {.inputs = inputs, .count = 2, .targets = two_targets};
    static const char *const names[] = {"grad-cam", "hires-cam", "layer-cam"};
    inputs[0] = 9.0f;
    for (int k = 0; k < 3; k++) {
        char run[512];
        open_another(&(sal_method_options){.noise = SAL_DEFAULT, .name = names[k]});
        snprintf(run, sizeof run,
                 "upload seeds 2 of 3, from 0\nrun back dense\nrun back reshape\ncopy layer to array 2 of 2\n"
                 "copy gradients to array 2 of 2\ncam kind %d 2\n",
                 k);
        expect_passes("upload pictures 2 of 3, from 9\n" FORWARD "download scores 2\n", run, &job);
        cr_expect(a.elements == PIXELS && a.result == program->arrays[2]);
        cr_assert_eq(sal_program_download(program, attribution, a.result, 2), SAL_OK);
    }
}

/* ---- Options --------------------------------------------------------------------- */

static void refuse(sal_method_options options, const char *text)
{
    const sal_method_row *row;
    sal_program_options passes = {0};
    sal_status st = sal_method_find(&row, options.name);
    if (st == SAL_OK)
        st = sal_method_check(row, &options);
    if (st == SAL_OK)
        st = sal_method_passes(&passes, row, &options, &graph);
    cr_expect_eq(st, SAL_ERROR_ARGUMENT, "%s", text);
    cr_expect(strstr(sal_last_error(), text) != NULL, "'%s' lacks '%s'", sal_last_error(), text);
}

Test(attribution, all_methods_are_named_where_one_is_unknown)
{
    const sal_method_row *row;
    cr_expect_eq(sal_method_find(&row, "?"), SAL_ERROR_ARGUMENT);
    for (size_t k = 0; k < sal_method_count(); k++) {
        sal_method_info info = SAL_METHOD_INFO_INIT;
        cr_assert_eq(sal_method_get_info(&info, k), SAL_OK);
        cr_expect(strstr(sal_last_error(), info.name), "'%s' lacks %s", sal_last_error(), info.name);
    }
}

Test(attribution, options_that_contradict_the_method_are_refused)
{
    refuse((sal_method_options){.noise = SAL_DEFAULT, .name = "grad-can"},
           "no method 'grad-can'; there are gradient, input-x-gradient,");
    refuse((sal_method_options){.noise = SAL_DEFAULT, .samples = 3}, "samples: is no option of method gradient");
    refuse((sal_method_options){.noise = 0.0, .name = "grad-cam"}, "noise: is no option of method grad-cam");
    refuse((sal_method_options){.noise = SAL_DEFAULT, .name = "grad-cam", .seed = 1}, "seed: is no option");
    refuse((sal_method_options){.noise = SAL_DEFAULT, .name = "smoothgrad", .steps = 3},
           "steps: is no option of method smoothgrad");
    refuse((sal_method_options){.noise = SAL_DEFAULT, .name = "smoothgrad", .baseline = SAL_BASELINE_BLUR},
           "baseline: is no option");
    refuse((sal_method_options){.noise = SAL_DEFAULT, .quadrature = SAL_QUADRATURE_TRAPEZOID},
           "quadrature: is no option");
    refuse((sal_method_options){.noise = SAL_DEFAULT, .name = "smoothgrad", .layer = "conv"},
           "layer: is no option of method smoothgrad");
    refuse((sal_method_options){.noise = SAL_DEFAULT, .name = "smoothgrad", .samples = -1}, "samples -1");
    refuse((sal_method_options){.noise = SAL_DEFAULT, .name = "vargrad", .samples = 1}, "samples: one has no variance");
    refuse((sal_method_options){.name = "smoothgrad", .noise = NAN}, "noise nan");
    refuse((sal_method_options){.noise = SAL_DEFAULT, .name = "integrated-gradients", .steps = (1 << 20) + 1},
           "steps 1048577");
    refuse(
        (sal_method_options){
            .noise = SAL_DEFAULT, .name = "integrated-gradients", .steps = 1, .quadrature = SAL_QUADRATURE_TRAPEZOID},
        "a trapezoid has two ends");
    refuse((sal_method_options){.noise = SAL_DEFAULT, .name = "integrated-gradients", .baseline = SAL_BASELINE_FILE},
           "a baseline's file");
    refuse((sal_method_options){.noise = SAL_DEFAULT, .name = "integrated-gradients", .baseline_file = "x.png"},
           "a baseline's file");
    refuse((sal_method_options){.noise = SAL_DEFAULT, .name = "integrated-gradients", .quadrature = (sal_quadrature)2},
           "unknown quadrature 2");
    refuse((sal_method_options){.noise = SAL_DEFAULT,
                                .name = "integrated-gradients",
                                .baseline = (sal_baseline)(SAL_BASELINE_FILE + 1)},
           "or baseline 6");
    refuse((sal_method_options){.noise = SAL_DEFAULT, .name = "grad-cam", .layer = "nowhere"},
           "layer 'nowhere': the network has none of that");
    char names[128];
    snprintf(names, sizeof names, "the last ones that can be mapped are %s ('salmap inspect'", graph.nodes[1].name);
    refuse((sal_method_options){.noise = SAL_DEFAULT, .name = "grad-cam", .layer = "nowhere"}, names);
    refuse((sal_method_options){.noise = SAL_DEFAULT, .name = "smoothgrad", .samples = (1 << 20) + 1},
           "samples 1048577");
    refuse((sal_method_options){.noise = SAL_DEFAULT, .name = "grad-cam", .layer = graph.nodes[graph.output].name},
           "makes the scores");
    refuse((sal_method_options){.noise = SAL_DEFAULT, .name = "grad-cam", .layer = graph.nodes[graph.output - 1].name},
           "has no pixels");
}

/* The layer that would be mapped; "" where it is refused. */
static const char *layer_of(sal_graph *g, const char *name)
{
    const sal_method_row *row;
    sal_program_options passes = {0};
    cr_assert_eq(sal_method_find(&row, "grad-cam"), SAL_OK);
    const sal_method_options options = {.noise = SAL_DEFAULT, .name = "grad-cam", .layer = name};
    return sal_method_passes(&passes, row, &options, g) == SAL_OK ? g->nodes[passes.layer].name : "";
}

/* What was transposed has pixels, but not those of the picture, until it is turned back. */
Test(attribution, layers_have_the_axes_of_the_picture)
{
    sal_graph g;
    sal_graph_init(&g);
    const int conv = build_conv(&g, build_input(&g, 3, 8, 6), 4, 3, 1, 1, 1);
    const int turned = build_transpose(&g, conv, "0231");
    const int gate = build_activation(&g, turned, SAL_ACT_TANH, 0, 0);
    const int back = build_transpose(&g, gate, "0312");
    const int same = build_reshape(&g, back, 4, 4, 8, 6, 1);
    const int folded = build_reshape(&g, same, 4, 1, 24, 8, 1);
    const int bent = build_activation(&g, folded, SAL_ACT_TANH, 0, 0);
    build_dense(&g, build_flatten(&g, bent), 2);
    cr_expect_str_eq(layer_of(&g, NULL), g.nodes[same].name);
    cr_expect_str_eq(layer_of(&g, g.nodes[conv].name), g.nodes[conv].name);
    cr_expect_str_eq(layer_of(&g, g.nodes[back].name), g.nodes[back].name);
    const int wrong[] = {turned, gate, folded, bent};
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        cr_expect_str_eq(layer_of(&g, g.nodes[wrong[k]].name), "");
        cr_expect(strstr(sal_last_error(), "axes are not channels, height and width"), "%s", sal_last_error());
    }
    /* A step towards what the file calls by this name is none. */
    g.nodes[back].is_part = g.nodes[same].is_part = 1;
    cr_expect_str_eq(layer_of(&g, NULL), g.nodes[conv].name);
    cr_expect_str_eq(layer_of(&g, g.nodes[back].name), "");
    cr_expect(strstr(sal_last_error(), "is computed as a part of another layer"), "%s", sal_last_error());
    cr_expect_str_eq(layer_of(&g, g.nodes[g.input].name), "");
    cr_expect(strstr(sal_last_error(), "is the input"), "%s", sal_last_error());
    sal_graph_clear(&g);
}

/* The message has room for the longest names, cut. */
Test(attribution, a_few_layers_are_named)
{
    enum { LAYERS = 9, LONG = 3000 };
    sal_graph g;
    sal_graph_init(&g);
    int at = build_input(&g, 1, 4, 4);
    for (int k = 0; k < LAYERS; k++) {
        at = build_conv(&g, at, 1, 1, 1, 0, 1);
        char *name = malloc(LONG);
        memset(name, 'a' + k, LONG - 1);
        name[LONG - 1] = '\0';
        free(g.nodes[at].name);
        g.nodes[at].name = name;
    }
    build_dense(&g, build_flatten(&g, at), 2);
    cr_expect_str_eq(layer_of(&g, "nowhere"), "");
    char expected[512] = "the last ones that can be mapped are ";
    for (int k = LAYERS - 1; k >= LAYERS - 6; k--) {
        char *end = expected + strlen(expected);
        memset(end, 'a' + k, 64);
        memcpy(end + 64, k > LAYERS - 6 ? ", " : " (", 3);
    }
    cr_expect(strstr(sal_last_error(), expected), "%s", sal_last_error());
    sal_graph_clear(&g);
}

/* Tokens have no height and width; what was there before them has. */
Test(attribution, tokens_are_no_map)
{
    sal_graph g;
    sal_graph_init(&g);
    net_vision_transformer(&g);
    cr_assert_eq(sal_passes_run(&g), SAL_OK, "%s", sal_last_error());
    for (size_t i = 0; i < g.count; i++) {
        const sal_op op = g.nodes[i].op;
        if (op == SAL_OP_CONV)
            cr_expect_str_eq(layer_of(&g, NULL), g.nodes[i].name);
        if (op != SAL_OP_LAYER_NORM && op != SAL_OP_MATMUL)
            continue;
        cr_expect_str_eq(layer_of(&g, g.nodes[i].name), "");
        cr_expect(strstr(sal_last_error(), op == SAL_OP_MATMUL ? "its axes are not" : "holds tokens"), "%s",
                  sal_last_error());
    }
    sal_graph_clear(&g);
}

/* Maps made larger keep the axes of the picture. */
Test(attribution, resized_layers_can_be_mapped)
{
    sal_graph g;
    sal_graph_init(&g);
    net_resizes(&g);
    cr_assert_eq(sal_passes_run(&g), SAL_OK, "%s", sal_last_error());
    for (size_t i = 0; i < g.count; i++)
        if (g.nodes[i].op == SAL_OP_GATHER)
            cr_expect_str_eq(layer_of(&g, g.nodes[i].name), g.nodes[i].name);
    sal_graph_clear(&g);
}

/* Of two layers of a name the last is meant; a pool of the picture alone is not chosen. */
Test(attribution, the_default_layer_was_learned)
{
    sal_graph g;
    sal_graph_init(&g);
    const int x = build_input(&g, 3, 8, 8), conv = build_conv(&g, x, 4, 3, 1, 1, 1);
    const int pool = build_pool(&g, SAL_OP_AVG_POOL, x, 2, 2, 0);
    const int mean = build_mean(&g, conv, 2), side = build_mean(&g, pool, 2);
    build_dense(&g, build_flatten(&g, build_two(&g, SAL_OP_CONCAT, mean, side)), 2);
    cr_expect_eq(g.nodes[mean].shape.rank, 4);
    cr_expect_str_eq(layer_of(&g, g.nodes[mean].name), "");
    cr_expect(strstr(sal_last_error(), "has no pixels"), "%s", sal_last_error());
    cr_expect_str_eq(layer_of(&g, NULL), g.nodes[conv].name);
    cr_expect_str_eq(layer_of(&g, g.nodes[pool].name), g.nodes[pool].name);
    free(g.nodes[pool].name);
    g.nodes[pool].name = strdup(g.nodes[conv].name);
    const sal_method_row *row;
    sal_program_options passes = {0};
    cr_assert_eq(sal_method_find(&row, "layer-cam"), SAL_OK);
    const sal_method_options options = {.noise = SAL_DEFAULT, .name = "layer-cam", .layer = g.nodes[conv].name};
    cr_assert_eq(sal_method_passes(&passes, row, &options, &g), SAL_OK);
    cr_expect_eq(passes.layer, pool);
    sal_graph_clear(&g);
}

/* Weights are turned for Winograd's way where a method goes over the network many times. */
Test(attribution, programs_know_how_often_methods_pass)
{
    static const struct {
        const char *name;
        sal_pass_end end;
        int many, arrays;
    } rows[] = {{"gradient", SAL_PASS_TO_INPUT, 0, 0},   {"input-x-gradient", SAL_PASS_TO_INPUT, 0, 2},
                {"smoothgrad", SAL_PASS_TO_INPUT, 1, 3}, {"smoothgrad-squared", SAL_PASS_TO_INPUT, 1, 3},
                {"vargrad", SAL_PASS_TO_INPUT, 1, 4},    {"integrated-gradients", SAL_PASS_TO_INPUT, 1, 3},
                {"grad-cam", SAL_PASS_TO_LAYER, 0, 3},   {"hires-cam", SAL_PASS_TO_LAYER, 0, 3},
                {"layer-cam", SAL_PASS_TO_LAYER, 0, 3}};
    cr_assert_eq(sal_method_count(), sizeof rows / sizeof *rows);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        const sal_method_row *row;
        const sal_method_options options = {.noise = SAL_DEFAULT, .name = rows[k].name};
        sal_program_options passes = {0};
        sal_method_info info = SAL_METHOD_INFO_INIT;
        cr_assert_eq(sal_method_get_info(&info, k), SAL_OK);
        cr_expect_str_eq(info.name, rows[k].name);
        cr_assert_eq(sal_method_find(&row, rows[k].name), SAL_OK);
        cr_assert_eq(sal_method_passes(&passes, row, &options, &graph), SAL_OK, "%s", sal_last_error());
        cr_expect(
            passes.end == rows[k].end && passes.many_passes == rows[k].many && passes.array_count == rows[k].arrays,
            "%s: end %d, many %d, %d arrays", rows[k].name, (int)passes.end, passes.many_passes, passes.array_count);
    }
    sal_method_info info = SAL_METHOD_INFO_INIT;
    cr_expect_eq(sal_method_get_info(&info, sal_method_count()), SAL_ERROR_ARGUMENT);
}

Test(attribution, methods_have_as_many_options_as_they_say)
{
    for (size_t k = 0; k < sal_method_count(); k++) {
        sal_method_info info = SAL_METHOD_INFO_INIT;
        sal_method_option_info option = SAL_METHOD_OPTION_INFO_INIT;
        cr_assert_eq(sal_method_get_info(&info, k), SAL_OK);
        cr_expect(info.option_count >= 1, "%s", info.name);
        for (size_t i = 0; i < info.option_count; i++) {
            cr_assert_eq(sal_method_get_option(&option, k, i), SAL_OK, "%s", sal_last_error());
            cr_expect(option.name && option.initial && option.help, "%s, option %zu", info.name, i);
            cr_expect(i > 0 || strcmp(option.name, "rule") == 0, "%s: %s comes first", info.name, option.name);
        }
        cr_expect_eq(sal_method_get_option(&option, k, info.option_count), SAL_ERROR_ARGUMENT, "%s", info.name);
    }
    sal_method_option_info option = SAL_METHOD_OPTION_INFO_INIT;
    cr_assert_eq(sal_method_get_option(&option, 2, 2), SAL_OK);
    cr_expect_str_eq(option.name, "noise");
    cr_expect_str_eq(option.initial, "0.15");
}

Test(attribution, what_is_not_said_has_defaults)
{
    open_another(&(sal_method_options){.noise = SAL_DEFAULT, .name = "integrated-gradients"});
    cr_expect_eq(a.options.steps, 50);
    open_another(&(sal_method_options){.noise = SAL_DEFAULT, .name = "smoothgrad"});
    cr_expect(a.options.samples == 25 && a.options.noise == 0.15);
    cr_expect(a.noises && !a.points && !a.weights && !a.host && !a.base_scores, "noise needs no path");
    open_another(&(sal_method_options){.noise = SAL_DEFAULT, .name = "grad-cam"});
    cr_expect(!a.noises && !a.points && !a.weights && !a.host && !a.base_scores);
}

Test(attribution, noise_that_is_given_counts)
{
    const sal_gradient_job job = {.inputs = inputs, .count = 1, .targets = two_targets};
    for (int i = 0; i < ELEMENTS; i++)
        inputs[i] = (float)(i % 3);
    open_another(&(sal_method_options){.name = "smoothgrad", .noise = 0.25});
    inputs[ELEMENTS] = 100.0f; /* of another picture */
    cr_assert_eq(sal_attribution_begin(&a, &job), SAL_OK);
    cr_expect_eq(a.noises[0].deviation, 0.5f);
    cr_expect_eq(a.noises[0].picture, 0x5369bc849feefc02,
                 "the first eight bytes of the SHA-256, as Python's hashlib has it");
    inputs[0] = 10.0f; /* the extremes come first, */
    inputs[1] = 2.0f;
    cr_assert_eq(sal_attribution_begin(&a, &job), SAL_OK);
    cr_expect_eq(a.noises[0].deviation, 2.5f);
    inputs[0] = -4.0f;
    inputs[ELEMENTS - 1] = 4.0f; /* or last */
    cr_assert_eq(sal_attribution_begin(&a, &job), SAL_OK);
    cr_expect_eq(a.noises[0].deviation, 2.0f);
    refuse((sal_method_options){.noise = 0.25}, "noise: is no option of method gradient");
    refuse((sal_method_options){.noise = SAL_DEFAULT, .name = "integrated-gradients", .steps = 4097},
           "gauss-legendre takes 4096 at most");
}

/* ---- Points of a path --------------------------------------------------------------- */

/* n points integrate x^k exactly for k below 2 n. */
Test(attribution, gauss_and_legendre_s_points_integrate_polynomials)
{
    static const int64_t counts[] = {1, 2, 3, 10, 50, 51, 400};
    double points[400], weights[400];
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        const int64_t n = counts[c];
        sal_quadrature_make(points, weights, n, SAL_QUADRATURE_GAUSS_LEGENDRE);
        for (int64_t k = 0; k < 2 * n && k < 60; k++) {
            double sum = 0.0;
            for (int64_t i = 0; i < n; i++)
                sum += weights[i] * pow(points[i], (double)k);
            cr_expect_float_eq(sum, 1.0 / (double)(k + 1), 1e-13, "%d points, x^%d: %.17g", (int)n, (int)k, sum);
        }
        for (int64_t i = 1; i < n; i++)
            cr_expect_lt(points[i - 1], points[i]);
    }
}

Test(attribution, trapezoids_have_halves_at_both_ends)
{
    double points[5], weights[5];
    sal_quadrature_make(points, weights, 5, SAL_QUADRATURE_TRAPEZOID);
    for (int i = 0; i < 5; i++) {
        cr_expect_eq(points[i], i / 4.0);
        cr_expect_eq(weights[i], i == 0 || i == 4 ? 0.125 : 0.25);
    }
}
