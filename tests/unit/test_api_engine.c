/* Models and engines through the public header, on the demo network. */
#include "salmap/plan.h"
#include "salmap/salmap.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char model_path[] = SAL_TEST_SOURCE_DIR "/data/models/scale_age_honest.onnx";
enum { BATCH = 3, SIDE = 192, ELEMENTS = 3 * SIDE * SIDE };

static sal_model *model;
static sal_engine *engine;
static float *inputs;

static void open_all(void)
{
    const sal_engine_options options = {.size = sizeof(sal_engine_options), .batch = BATCH};
    cr_assert_eq(sal_model_open(&model, model_path, NULL), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(sal_engine_open(&engine, model, &options), SAL_OK, "%s", sal_last_error());
    inputs = malloc(BATCH * ELEMENTS * sizeof *inputs);
    uint32_t state = 7;
    for (size_t i = 0; i < BATCH * ELEMENTS; i++) {
        state = state * 1664525u + 1013904223u;
        inputs[i] = (float)(state >> 8) / 8388608.0f - 1.0f;
    }
}

static void close_all(void)
{
    sal_engine_close(engine);
    sal_model_close(model);
    free(inputs);
}

TestSuite(engine, .init = open_all, .fini = close_all);

Test(engine, info_and_layers_agree)
{
    sal_model_info info = SAL_MODEL_INFO_INIT;
    sal_layer_info layer = SAL_LAYER_INFO_INIT;
    uint64_t parameters = 0, flops = 0;
    cr_assert_eq(sal_model_get_info(&info, model), SAL_OK);
    cr_assert_eq(sal_engine_model(engine), model);
    cr_expect(info.channels == 3 && info.height == SIDE && info.width == SIDE && info.outputs == 1);
    cr_expect_str_eq(info.path, model_path);
    cr_expect(info.supported);
    for (size_t i = 0; i < info.layers; i++) {
        cr_assert_eq(sal_model_get_layer(&layer, model, i), SAL_OK);
        cr_expect(layer.name && layer.op && layer.detail && !layer.problem);
        parameters += layer.parameters;
        flops += layer.flops;
    }
    cr_expect_eq(parameters, info.parameters);
    cr_expect_eq(flops, info.flops);
    cr_expect_eq(sal_model_get_layer(&layer, model, info.layers), SAL_ERROR_ARGUMENT);
}

/* ReLUs would make zeros of them, and the scores would be numbers. */
Test(engine, inputs_that_are_no_numbers_are_refused)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    sal_target targets[BATCH] = {{0}};
    float *gradients = malloc(BATCH * ELEMENTS * sizeof *gradients), scores[BATCH];
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
        for (int place = 0; place < 3; place++) {
            const size_t at = place == 0 ? ELEMENTS : place == 1 ? ELEMENTS + 777 : 2 * ELEMENTS - 1; /* of picture 1 */
            const float before = inputs[at];
            inputs[at] = bad[k];
            cr_expect_eq(sal_engine_gradient(engine, gradients, NULL, NULL, inputs, targets, BATCH), SAL_ERROR_NUMERIC);
            cr_expect_str_eq(sal_last_error(), "picture 1 of the batch: its input has NaN or infinite values");
            cr_expect_eq(sal_engine_forward(engine, scores, inputs, BATCH), SAL_ERROR_NUMERIC);
            cr_expect_eq(sal_engine_forward(engine, scores, inputs, 1), SAL_OK, "picture 1 is not looked at");
            inputs[at] = before;
        }
    inputs[5] = 3e38f;
    cr_expect_eq(sal_engine_forward(engine, scores, inputs, 1), SAL_OK);
    const sal_gradient_job job = {.size = sizeof(sal_gradient_job),
                                  .inputs = inputs,
                                  .count = BATCH,
                                  .targets = targets,
                                  .each = INT64_MAX / 2,
                                  .gradients = gradients};
    cr_expect_eq(sal_engine_gradients(engine, &job), SAL_ERROR_ARGUMENT);
    free(gradients);
}

Test(engine, the_gradient_is_the_derivative_along_any_direction)
{
    const sal_target targets[BATCH] = {{0}};
    float scores[2][BATCH], *gradients = malloc(BATCH * ELEMENTS * sizeof *gradients);
    cr_assert_eq(sal_engine_gradient(engine, gradients, NULL, NULL, inputs, targets, BATCH), SAL_OK);
    /* The network is linear in pieces: a step along its own gradient stays mostly within one. */
    for (int picture = 0; picture < BATCH; picture++) {
        double squares = 0.0;
        const float *g = gradients + picture * ELEMENTS;
        for (int i = 0; i < ELEMENTS; i++)
            squares += (double)g[i] * (double)g[i];
        cr_assert(squares > 0.0);
        double h = 1e-3 / sqrt(squares);
        float *moved = malloc(ELEMENTS * sizeof *moved);
        for (int side = 0; side < 2; side++) {
            for (int i = 0; i < ELEMENTS; i++)
                moved[i] = (float)((double)inputs[picture * ELEMENTS + i] + (side ? h : -h) * (double)g[i]);
            cr_assert_eq(sal_engine_forward(engine, &scores[side][picture], moved, 1), SAL_OK);
        }
        double slope = ((double)scores[1][picture] - (double)scores[0][picture]) / (2.0 * h);
        cr_expect(fabs(slope - squares) <= 0.02 * squares, "picture %d: slope %g, squared gradient %g", picture, slope,
                  squares);
        free(moved);
    }
    free(gradients);
}

Test(engine, forward_gradient_and_several_targets_agree)
{
    const sal_target targets[2 * BATCH] = {{.kind = SAL_TARGET_PREDICTED}, {.kind = SAL_TARGET_MEAN},
                                           {.kind = SAL_TARGET_TOP},       {.kind = SAL_TARGET_INDEX},
                                           {.kind = SAL_TARGET_INDEX},     {.kind = SAL_TARGET_MEAN}};
    float forward[BATCH], scores[BATCH], chosen_scores[2 * BATCH];
    int64_t chosen[2 * BATCH];
    const size_t bytes = BATCH * ELEMENTS * sizeof(float);
    float *one = malloc(bytes), *two = malloc(2 * bytes);
    cr_assert_eq(sal_engine_forward(engine, forward, inputs, BATCH), SAL_OK);
    cr_assert_eq(sal_engine_gradient(engine, one, scores, NULL, inputs, targets, BATCH), SAL_OK);
    cr_expect_arr_eq(forward, scores, sizeof scores);
    const sal_gradient_job job = {.size = sizeof(sal_gradient_job),
                                  .inputs = inputs,
                                  .count = BATCH,
                                  .targets = targets,
                                  .each = 2,
                                  .gradients = two,
                                  .scores = scores,
                                  .chosen = chosen,
                                  .chosen_scores = chosen_scores};
    cr_assert_eq(sal_engine_gradients(engine, &job), SAL_OK, "%s", sal_last_error());
    cr_expect_arr_eq(forward, scores, sizeof scores);
    for (int k = 0; k < 2; k++) {
        /* One output: predicted, index 0, top 1 and mean are the same score. */
        cr_expect(memcmp(two + k * BATCH * ELEMENTS, one, bytes) == 0, "target %d differs", k);
        for (int i = 0; i < BATCH; i++) {
            cr_expect_eq(chosen[k * BATCH + i], targets[k * BATCH + i].kind == SAL_TARGET_MEAN ? -1 : 0);
            cr_expect_eq(chosen_scores[k * BATCH + i], forward[i]);
        }
    }
    free(one);
    free(two);
}

Test(engine, of_the_forward_pass_alone_has_scores_and_nothing_else)
{
    const sal_engine_options options = {.size = sizeof(sal_engine_options), .batch = BATCH, .forward_only = 1};
    const sal_target targets[BATCH] = {{0}};
    const char *const paths[] = {SAL_TEST_SOURCE_DIR "/data/scales/scale_00.png"};
    const sal_explain_options explain = {.size = sizeof(sal_explain_options),
                                         .alpha = SAL_DEFAULT,
                                         .preprocess = {.scale = 1.0F},
                                         .out_dir = "never-made"};
    sal_plan_info both = SAL_PLAN_INFO_INIT, plan = SAL_PLAN_INFO_INIT;
    sal_engine *forward;
    float scores[2][BATCH], gradient;
    size_t failed;
    cr_assert_eq(sal_engine_open(&forward, model, &options), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(sal_engine_forward(engine, scores[0], inputs, BATCH), SAL_OK);
    cr_assert_eq(sal_engine_forward(forward, scores[1], inputs, BATCH), SAL_OK);
    cr_expect_arr_eq(scores[0], scores[1], sizeof scores[0]);
    cr_assert_eq(sal_engine_get_plan(&both, engine), SAL_OK);
    cr_assert_eq(sal_engine_get_plan(&plan, forward), SAL_OK);
    cr_expect_eq(plan.kept_bytes, 0);
    cr_expect(plan.arena_bytes < both.arena_bytes && plan.weight_bytes < both.weight_bytes && plan.steps < both.steps);
    cr_expect_eq(sal_engine_gradient(forward, &gradient, NULL, NULL, inputs, targets, BATCH), SAL_ERROR_ARGUMENT);
    cr_expect_str_eq(sal_last_error(), "the engine was opened for the forward pass alone: it has no gradients");
    cr_expect_eq(sal_explain_files(&failed, forward, paths, 1, &explain, NULL, NULL), SAL_ERROR_ARGUMENT);
    cr_expect_str_eq(sal_last_error(), "engine 0 was opened for the forward pass alone: it has no gradients");
    sal_engine_close(forward);
}

Test(engine, a_partial_batch_changes_nothing)
{
    const sal_target targets[BATCH] = {{0}};
    float *all = malloc(BATCH * ELEMENTS * sizeof *all), *alone = malloc(ELEMENTS * sizeof *alone);
    cr_assert_eq(sal_engine_gradient(engine, all, NULL, NULL, inputs, targets, BATCH), SAL_OK);
    for (int i = 0; i < BATCH; i++) {
        cr_assert_eq(sal_engine_gradient(engine, alone, NULL, NULL, inputs + i * ELEMENTS, targets, 1), SAL_OK);
        cr_expect(memcmp(alone, all + i * ELEMENTS, ELEMENTS * sizeof *alone) == 0, "picture %d differs", i);
    }
    free(all);
    free(alone);
}

Test(engine, calls_that_contradict_the_contract_are_refused)
{
    sal_target targets[BATCH + 1] = {{0}};
    float *gradients = malloc(BATCH * ELEMENTS * sizeof *gradients);
    cr_expect_eq(sal_engine_gradient(engine, gradients, NULL, NULL, inputs, targets, BATCH + 1), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_engine_gradient(engine, gradients, NULL, NULL, inputs, targets, 0), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_engine_gradient(engine, NULL, NULL, NULL, inputs, targets, 1), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_engine_forward(engine, NULL, NULL, 1), SAL_ERROR_ARGUMENT);
    targets[1] = (sal_target){.kind = SAL_TARGET_INDEX, .index = 1};
    cr_expect_eq(sal_engine_gradient(engine, gradients, NULL, NULL, inputs, targets, BATCH), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_model_check_target(model, &targets[1]), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_model_check_target(model, &targets[0]), SAL_OK);
    cr_expect_eq(sal_model_probabilities(gradients, model, inputs, 1), SAL_ERROR_ARGUMENT);
    free(gradients);
}

Test(engine, the_plan_is_what_the_steps_say)
{
    sal_plan_info plan = SAL_PLAN_INFO_INIT;
    sal_step_info step = SAL_STEP_INFO_INIT;
    uint64_t flops = 0;
    cr_assert_eq(sal_engine_get_plan(&plan, engine), SAL_OK);
    cr_expect_eq(plan.batch, BATCH);
    cr_expect(plan.chunk >= 1 && plan.chunk <= plan.batch);
    for (size_t i = 0; i < plan.steps; i++) {
        cr_assert_eq(sal_engine_get_step(&step, engine, i), SAL_OK);
        cr_expect(step.arena_offset + step.output_bytes <= plan.arena_bytes, "step %zu lies outside the arena", i);
        flops += step.flops;
    }
    cr_expect_eq(flops, plan.flops);
    cr_expect_eq(sal_engine_get_step(&step, engine, plan.steps), SAL_ERROR_ARGUMENT);
}

/* The CPU does not tell, and records nothing. */
Test(engine, passes_of_the_cpu_are_not_measured)
{
    for (int k = SAL_PASS_FORWARD; k <= SAL_PASS_BACKWARD; k++) {
        sal_pass_info pass = {.size = sizeof(sal_pass_info), .milliseconds = 7, .replayed = 7, .note = "?"};
        cr_assert_eq(sal_engine_get_pass(&pass, engine, (sal_pass_kind)k), SAL_OK);
        cr_expect(pass.milliseconds == 0 && pass.replayed == 0 && !pass.note);
    }
    sal_pass_info none = SAL_PASS_INFO_INIT;
    cr_expect_eq(sal_engine_get_pass(&none, engine, (sal_pass_kind)2), SAL_ERROR_ARGUMENT);
    cr_expect_str_eq(sal_last_error(), "unknown pass 2");
}

Test(engine, opening_fails_with_reasons)
{
    sal_model *none;
    sal_engine *no_engine;
    cr_expect_eq(sal_model_open(&none, "/no/such/model.onnx", NULL), SAL_ERROR_IO);
    cr_expect_null(none);
    sal_engine_options options = {.size = sizeof(sal_engine_options), .device = "abacus"};
    cr_expect_eq(sal_engine_open(&no_engine, model, &options), SAL_ERROR_ARGUMENT);
    cr_expect_null(no_engine);
    options = (sal_engine_options){.size = sizeof(sal_engine_options), .threads = -1};
    cr_expect_eq(sal_engine_open(&no_engine, model, &options), SAL_ERROR_ARGUMENT);
    cr_expect_str_eq(sal_last_error(), "-1 threads: give 0 to 65536");
    options = (sal_engine_options){.size = sizeof(sal_engine_options), .rule = (sal_rule)9};
    cr_expect_eq(sal_engine_open(&no_engine, model, &options), SAL_ERROR_ARGUMENT);
    options = (sal_engine_options){.size = sizeof(sal_engine_options), .batch = 64, .max_memory = 1 << 20};
    cr_expect_eq(sal_engine_open(&no_engine, model, &options), SAL_ERROR_MEMORY);
    sal_engine_close(NULL);
    sal_model_close(NULL);
}
