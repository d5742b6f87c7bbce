/* Every function of the public header without an argument that it must be given: ARGUMENT and a text, whatever else is
 * right. Each call has a process of its own, so that one which crashes is one failure. */
#include "salmap/plan.h"
#include "salmap/salmap.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char model_path[] = SAL_TEST_SOURCE_DIR "/data/models/scale_age_honest.onnx";
static const char picture_path[] = SAL_TEST_SOURCE_DIR "/data/scales/scale_05.jpg";
static const char folder[] = SAL_TEST_BINARY_DIR "/test_api_arguments_out";
enum { SIDE = 192, ELEMENTS = 3 * SIDE * SIDE };

/* What calls are given that is right. */
static sal_model *model;
static sal_engine *engine;
static sal_dataset *dataset;
static float *inputs, *gradients;
static const sal_target target;
static const char *const paths[] = {picture_path};
static const char *const no_paths[] = {picture_path, NULL};
static const sal_explain_options explain = {
    .size = sizeof(sal_explain_options), .alpha = SAL_DEFAULT, .preprocess = {.scale = 1.0F}, .out_dir = folder};
static const sal_explain_options explain_nowhere = SAL_EXPLAIN_OPTIONS_INIT;
static const sal_sweep_options sweep = {
    .size = sizeof(sal_sweep_options), .max_failures = SAL_UNLIMITED, .explain = &explain};
static const sal_sweep_options sweep_nowhere = {
    .size = sizeof(sal_sweep_options), .max_failures = SAL_UNLIMITED, .explain = &explain_nowhere};
static const sal_sweep_options sweep_odd_failures = {
    .size = sizeof(sal_sweep_options), .max_failures = SAL_UNLIMITED - 1, .explain = &explain};
static const sal_sweep_options sweep_unexplained = SAL_SWEEP_OPTIONS_INIT;
static const sal_sweep_options sweep_in_pieces = {.size = sizeof(sal_sweep_options),
                                                  .max_failures = SAL_UNLIMITED,
                                                  .explain = &explain,
                                                  .shards = ((int64_t)1 << 20) + 1};
static const sal_export_options odd_export = {.size = sizeof(sal_export_options), .format = (sal_export_format)2};
static const sal_render_options render = {.size = sizeof render, .explain = &explain},
                                render_unexplained = SAL_RENDER_OPTIONS_INIT,
                                render_nowhere = {.size = sizeof render, .explain = &explain_nowhere},
                                odd_render = {.size = sizeof render,
                                              .explain = &explain,
                                              .overlay_format = (sal_overlay_format)2},
                                small_render = {.size = sizeof render, .explain = &explain, .overlay_size = -1},
                                nothing_rendered = {.size = sizeof render, .explain = &explain, .figures_only = 1};
static const sal_sheet_options odd_sheet = {.size = sizeof odd_sheet, .format = (sal_page_format)3},
                               many_rows = {.size = sizeof many_rows, .rows = 1001},
                               no_columns = {.size = sizeof no_columns, .columns = -1},
                               small_panels = {.size = sizeof small_panels, .panel_size = 31};
static const char *const nameless[] = {""};
static const sal_dataset_options no_patterns = {.size = sizeof no_patterns, .include_count = 1};
static const sal_sweep_options sweep_no_inputs = {
    .size = sizeof(sal_sweep_options), .max_failures = SAL_UNLIMITED, .explain = &explain, .input_count = 1};
static const sal_explain_dataset_options all_explained = {.size = sizeof all_explained, .explain = &explain},
                                         none_explained = SAL_EXPLAIN_DATASET_OPTIONS_INIT,
                                         nowhere_explained = {.size = sizeof nowhere_explained,
                                                              .explain = &explain_nowhere},
                                         odd_files = {.size = sizeof odd_files, .explain = &explain, .write = 32},
                                         sizeless_explained = {.explain = &explain};
static const sal_gpu_plan_options gpu_options = {.size = sizeof(sal_gpu_plan_options), .gpu = "h100"},
                                  no_gpu = SAL_GPU_PLAN_OPTIONS_INIT;
static const sal_picture empty_picture;
static unsigned char samples[3];
static const sal_picture pixel = {.height = 1, .width = 1, .channels = 3, .samples = samples};
static const sal_picture no_samples = {.height = 1, .width = 1, .channels = 3};
static const sal_picture odd_picture = {
    .height = 1, .width = 1, .channels = 3, .type = (sal_sample_type)7, .samples = samples};
static const sal_picture odd_meaning = {
    .height = 1, .width = 1, .channels = 3, .samples = samples, .meaning = SAL_CHANNELS_RGBA};
static const sal_preprocess odd_depth = {.depth = 17};
static const sal_placement placement = {1, 1, 1, 1, 1.0, 0.0, 1.0, 0.0};
static const sal_preprocess two_values = {.scale = 1.0F, .value_count = 2};
static const sal_overlay_options sizeless_overlay;
static const sal_figure_options sizeless_figure;
static const sal_figure_options figure_of_sizeless = {.size = sizeof figure_of_sizeless, .overlay = &sizeless_overlay};
static const sal_figure_options small_figure = {.size = sizeof small_figure, .panel_size = 63};
static const sal_figure_facts facts = SAL_FIGURE_FACTS_INIT, sizeless_facts;
static const int64_t one_value[] = {1, 1, 1, 1, 1, 1};

/* Results that nothing is left in. */
static sal_model *no_model;
static sal_engine *no_engine;
static sal_dataset *no_dataset;
static sal_classes *no_classes;
static sal_gpu_plan *no_plan;
static sal_dataset_info dataset_info = SAL_DATASET_INFO_INIT;
static sal_model_info model_info = SAL_MODEL_INFO_INIT;
static sal_layer_info layer_info = SAL_LAYER_INFO_INIT;
static sal_plan_info plan_info = SAL_PLAN_INFO_INIT;
static sal_attribution_info attribution_info = SAL_ATTRIBUTION_INFO_INIT;
static sal_recipe_info recipe_info = SAL_RECIPE_INFO_INIT;
static sal_method_info method_info = SAL_METHOD_INFO_INIT;
static sal_method_option_info option_info = SAL_METHOD_OPTION_INFO_INIT;
static sal_step_info step_info = SAL_STEP_INFO_INIT;
static sal_pass_info pass_info = SAL_PASS_INFO_INIT;
static sal_gpu_plan_info gpu_info = SAL_GPU_PLAN_INFO_INIT;
static sal_gpu_step_info gpu_step = SAL_GPU_STEP_INFO_INIT;
static sal_picture picture;
static int64_t index64;
static sal_placement no_placement;
static void *bytes;
static size_t byte_count;
static char note[8];
static sal_preprocess preprocess;
static const sal_preprocess many_values = {.scale = 1.0F, .value_count = SAL_MAX_CHANNELS + 1},
                            no_std = {.scale = 1.0F, .value_count = 1}, no_scale;
static sal_merge_info merge_info = SAL_MERGE_INFO_INIT;
static sal_check check_row;
static float number;
static size_t failed;
static int found;

static int write_nothing(void *context, const char *bytes, size_t size)
{
    return context || !bytes || !size;
}

static void open_all(void)
{
    const sal_engine_options options = {.size = sizeof(sal_engine_options), .batch = 1, .threads = 1};
    cr_assert_eq(sal_model_open(&model, model_path, NULL), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(sal_engine_open(&engine, model, &options), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(sal_dataset_open(&dataset, paths, 1, NULL), SAL_OK, "%s", sal_last_error());
    inputs = calloc(ELEMENTS, sizeof *inputs);
    gradients = calloc(ELEMENTS, sizeof *gradients);
}

static void close_all(void)
{
    free(inputs);
    free(gradients);
    sal_dataset_close(dataset);
    sal_engine_close(engine);
    sal_model_close(model);
}

static sal_engine *const *one(void)
{
    static sal_engine *list[1];
    list[0] = engine;
    return list;
}

static sal_engine *const *with_none(void)
{
    static sal_engine *list[2];
    list[0] = engine;
    return list;
}

static sal_status job_without(int argument)
{
    const sal_gradient_job job = {.size = sizeof(sal_gradient_job),
                                  .inputs = argument == 0 ? NULL : inputs,
                                  .count = argument == 3 ? 0 : 1,
                                  .targets = argument == 1 ? NULL : &target,
                                  .gradients = argument == 2 ? NULL : gradients};
    return sal_engine_gradients(engine, &job);
}

static sal_status baseline_of(float *baseline, const float *input, const sal_placement *where, sal_baseline kind,
                              const sal_preprocess *how)
{
    return sal_baseline_make(baseline, input, 3, where, kind, how);
}

/* X(function, what is missing, the call) */
#define CALLS(X)                                                                                                       \
    X(sal_model_open, out, sal_model_open(NULL, model_path, NULL))                                                     \
    X(sal_model_open, path, sal_model_open(&no_model, NULL, NULL))                                                     \
    X(sal_model_open_with, out, sal_model_open_with(NULL, model_path, NULL))                                           \
    X(sal_model_open_with, path, sal_model_open_with(&no_model, NULL, NULL))                                           \
    X(sal_model_open_bytes, out, sal_model_open_bytes(NULL, "x", 1, NULL))                                             \
    X(sal_model_open_bytes, bytes, sal_model_open_bytes(&no_model, NULL, 1, NULL))                                     \
    X(sal_model_get_info, out, sal_model_get_info(NULL, model))                                                        \
    X(sal_model_get_info, model, sal_model_get_info(&model_info, NULL))                                                \
    X(sal_model_get_layer, out, sal_model_get_layer(NULL, model, 0))                                                   \
    X(sal_model_get_layer, model, sal_model_get_layer(&layer_info, NULL, 0))                                           \
    X(sal_model_probabilities, out, sal_model_probabilities(NULL, model, inputs, 1))                                   \
    X(sal_model_probabilities, model, sal_model_probabilities(&number, NULL, inputs, 1))                               \
    X(sal_model_probabilities, scores, sal_model_probabilities(&number, model, NULL, 1))                               \
    X(sal_model_check_target, model, sal_model_check_target(NULL, &target))                                            \
    X(sal_model_check_target, target, sal_model_check_target(model, NULL))                                             \
    X(sal_picture_read, out, sal_picture_read(NULL, picture_path, NULL))                                               \
    X(sal_picture_read, path, sal_picture_read(&picture, NULL, NULL))                                                  \
    X(sal_picture_decode, out, sal_picture_decode(NULL, "x", 1, NULL))                                                 \
    X(sal_picture_decode, bytes, sal_picture_decode(&picture, NULL, 1, NULL))                                          \
    X(sal_picture_read_for, out, sal_picture_read_for(NULL, picture_path, NULL, 3, NULL))                              \
    X(sal_picture_read_for, path, sal_picture_read_for(&picture, NULL, NULL, 3, NULL))                                 \
    X(sal_picture_read_for, channels, sal_picture_read_for(&picture, picture_path, NULL, -1, NULL))                    \
    X(sal_picture_read_for, preprocess, sal_picture_read_for(&picture, picture_path, &odd_depth, 3, NULL))             \
    X(sal_picture_decode_for, out, sal_picture_decode_for(NULL, "x", 1, NULL, 3, NULL))                                \
    X(sal_picture_decode_for, bytes, sal_picture_decode_for(&picture, NULL, 1, NULL, 3, NULL))                         \
    X(sal_picture_decode_for, preprocess, sal_picture_decode_for(&picture, "x", 1, &odd_depth, 3, NULL))               \
    X(sal_picture_notes, notes, sal_picture_notes(NULL, NULL, 0, &pixel, &preprocess, 3))                              \
    X(sal_picture_notes, picture, sal_picture_notes(&index64, NULL, 0, NULL, &preprocess, 3))                          \
    X(sal_picture_notes, preprocess, sal_picture_notes(&index64, NULL, 0, &pixel, NULL, 3))                            \
    X(sal_picture_notes, pixels, sal_picture_notes(&index64, NULL, 0, &empty_picture, &preprocess, 3))                 \
    X(sal_picture_notes, meaning, sal_picture_notes(&index64, NULL, 0, &odd_meaning, &preprocess, 3))                  \
    X(sal_preprocess_apply, meaning, sal_preprocess_apply(inputs, NULL, &odd_meaning, &preprocess, 3, SIDE, SIDE))     \
    X(sal_preprocess_apply, depth, sal_preprocess_apply(inputs, NULL, &pixel, &odd_depth, 3, SIDE, SIDE))              \
    X(sal_picture_encode, bytes, sal_picture_encode(NULL, &byte_count, &pixel, SAL_PICTURE_PNG))                       \
    X(sal_picture_encode, size, sal_picture_encode(&bytes, NULL, &pixel, SAL_PICTURE_PNG))                             \
    X(sal_picture_encode, picture, sal_picture_encode(&bytes, &byte_count, NULL, SAL_PICTURE_PNG))                     \
    X(sal_picture_encode, pixels, sal_picture_encode(&bytes, &byte_count, &empty_picture, SAL_PICTURE_JPEG))           \
    X(sal_picture_encode, format, sal_picture_encode(&bytes, &byte_count, &pixel, (sal_picture_format)2))              \
    X(sal_picture_write_png, path, sal_picture_write_png(NULL, &empty_picture))                                        \
    X(sal_picture_write_png, picture, sal_picture_write_png("none.png", NULL))                                         \
    X(sal_picture_write_png, pixels, sal_picture_write_png("none.png", &empty_picture))                                \
    X(sal_preprocess_preset, out, sal_preprocess_preset(NULL, "unit"))                                                 \
    X(sal_preprocess_preset, name, sal_preprocess_preset(&preprocess, NULL))                                           \
    X(sal_preprocess_set, p, sal_preprocess_set(NULL, "fill", "0"))                                                    \
    X(sal_preprocess_set, key, sal_preprocess_set(&preprocess, NULL, "0"))                                             \
    X(sal_preprocess_set, value, sal_preprocess_set(&preprocess, "fill", NULL))                                        \
    X(sal_preprocess_recipe, p, sal_preprocess_recipe(NULL, NULL, "timm"))                                             \
    X(sal_preprocess_recipe, name, sal_preprocess_recipe(&preprocess, NULL, NULL))                                     \
    X(sal_preprocess_read_recipe, p, sal_preprocess_read_recipe(NULL, NULL, model_path))                               \
    X(sal_preprocess_read_recipe, path, sal_preprocess_read_recipe(&preprocess, NULL, NULL))                           \
    X(sal_recipe_get_info, out, sal_recipe_get_info(NULL, 0))                                                          \
    X(sal_recipe_get_info, index, sal_recipe_get_info(&recipe_info, sal_recipe_count()))                               \
    X(sal_preprocess_load, out, sal_preprocess_load(NULL, &found, model_path))                                         \
    X(sal_preprocess_load, found, sal_preprocess_load(&preprocess, NULL, model_path))                                  \
    X(sal_preprocess_load, path, sal_preprocess_load(&preprocess, &found, NULL))                                       \
    X(sal_preprocess_save, path, sal_preprocess_save(NULL, &preprocess))                                               \
    X(sal_preprocess_save, p, sal_preprocess_save("none.onnx", NULL))                                                  \
    X(sal_preprocess_save, scale, sal_preprocess_save("none.onnx", &no_scale))                                         \
    X(sal_preprocess_describe, text, sal_preprocess_describe(NULL, 8, &preprocess))                                    \
    X(sal_preprocess_describe, room, sal_preprocess_describe(note, 0, &preprocess))                                    \
    X(sal_preprocess_describe, p, sal_preprocess_describe(note, sizeof note, NULL))                                    \
    X(sal_preprocess_apply, input, sal_preprocess_apply(NULL, NULL, &pixel, &preprocess, 3, SIDE, SIDE))               \
    X(sal_preprocess_apply, picture, sal_preprocess_apply(inputs, NULL, NULL, &preprocess, 3, SIDE, SIDE))             \
    X(sal_preprocess_apply, pixels, sal_preprocess_apply(inputs, NULL, &empty_picture, &preprocess, 3, SIDE, SIDE))    \
    X(sal_preprocess_apply, type, sal_preprocess_apply(inputs, NULL, &odd_picture, &preprocess, 3, SIDE, SIDE))        \
    X(sal_preprocess_apply, preprocess, sal_preprocess_apply(inputs, NULL, &pixel, NULL, 3, SIDE, SIDE))               \
    X(sal_preprocess_apply, channels, sal_preprocess_apply(inputs, NULL, &pixel, &preprocess, 0, SIDE, SIDE))          \
    X(sal_preprocess_apply, height, sal_preprocess_apply(inputs, NULL, &pixel, &preprocess, 3, 0, SIDE))               \
    X(sal_preprocess_apply, width, sal_preprocess_apply(inputs, NULL, &pixel, &preprocess, 3, SIDE, -1))               \
    X(sal_placement_for_map, out, sal_placement_for_map(NULL, &placement, 1, 1))                                       \
    X(sal_placement_for_map, placement, sal_placement_for_map(&no_placement, NULL, 1, 1))                              \
    X(sal_placement_for_map, scales, sal_placement_for_map(&no_placement, &no_placement, 1, 1))                        \
    X(sal_placement_for_map, height, sal_placement_for_map(&no_placement, &placement, 0, 1))                           \
    X(sal_placement_for_map, width, sal_placement_for_map(&no_placement, &placement, 1, 0))                            \
    X(sal_baseline_make, baseline, baseline_of(NULL, inputs, &placement, SAL_BASELINE_ZERO, &preprocess))              \
    X(sal_baseline_make, input, baseline_of(gradients, NULL, &placement, SAL_BASELINE_ZERO, &preprocess))              \
    X(sal_baseline_make, placement, baseline_of(gradients, inputs, NULL, SAL_BASELINE_ZERO, &preprocess))              \
    X(sal_baseline_make, scales, baseline_of(gradients, inputs, &no_placement, SAL_BASELINE_ZERO, &preprocess))        \
    X(sal_baseline_make, file, baseline_of(gradients, inputs, &placement, SAL_BASELINE_FILE, &preprocess))             \
    X(sal_baseline_make, kind, baseline_of(gradients, inputs, &placement, (sal_baseline)9, &preprocess))               \
    X(sal_baseline_make, preprocess, baseline_of(gradients, inputs, &placement, SAL_BASELINE_ZERO, NULL))              \
    X(sal_baseline_make, beyond, baseline_of(gradients, inputs, &placement, SAL_BASELINE_WHITE, &many_values))         \
    X(sal_baseline_make, deviation, baseline_of(gradients, inputs, &placement, SAL_BASELINE_WHITE, &no_std))           \
    X(sal_baseline_make, channels,                                                                                     \
      sal_baseline_make(gradients, inputs, 0, &placement, SAL_BASELINE_ZERO, &preprocess))                             \
    X(sal_baseline_make, too_many, baseline_of(gradients, inputs, &placement, SAL_BASELINE_BLACK, &two_values))        \
    X(sal_engine_open, out, sal_engine_open(NULL, model, NULL))                                                        \
    X(sal_engine_open, model, sal_engine_open(&no_engine, NULL, NULL))                                                 \
    X(sal_model_drop_weights, model, sal_model_drop_weights(NULL))                                                     \
    X(sal_model_randomize, out, sal_model_randomize(NULL, model, NULL, 0))                                             \
    X(sal_model_randomize, model, sal_model_randomize(&no_model, NULL, NULL, 0))                                       \
    X(sal_model_randomize, layer, sal_model_randomize(&no_model, model, "nowhere", 0))                                 \
    X(sal_engine_get_plan, out, sal_engine_get_plan(NULL, engine))                                                     \
    X(sal_engine_get_attribution, out, sal_engine_get_attribution(NULL, engine))                                       \
    X(sal_engine_get_attribution, engine, sal_engine_get_attribution(&attribution_info, NULL))                         \
    X(sal_method_get_info, out, sal_method_get_info(NULL, 0))                                                          \
    X(sal_method_get_info, index, sal_method_get_info(&method_info, sal_method_count()))                               \
    X(sal_method_get_option, out, sal_method_get_option(NULL, 0, 0))                                                   \
    X(sal_method_get_option, method, sal_method_get_option(&option_info, sal_method_count(), 0))                       \
    X(sal_method_get_option, option, sal_method_get_option(&option_info, 0, 99))                                       \
    X(sal_engine_get_plan, engine, sal_engine_get_plan(&plan_info, NULL))                                              \
    X(sal_engine_get_pass, out, sal_engine_get_pass(NULL, engine, SAL_PASS_FORWARD))                                   \
    X(sal_engine_get_pass, engine, sal_engine_get_pass(&pass_info, NULL, SAL_PASS_FORWARD))                            \
    X(sal_engine_get_step, out, sal_engine_get_step(NULL, engine, 0))                                                  \
    X(sal_engine_get_step, engine, sal_engine_get_step(&step_info, NULL, 0))                                           \
    X(sal_engine_forward, engine, sal_engine_forward(NULL, &number, inputs, 1))                                        \
    X(sal_engine_forward, inputs, sal_engine_forward(engine, &number, NULL, 1))                                        \
    X(sal_engine_forward, count, sal_engine_forward(engine, &number, inputs, 0))                                       \
    X(sal_engine_gradient, engine, sal_engine_gradient(NULL, gradients, NULL, NULL, inputs, &target, 1))               \
    X(sal_engine_gradient, gradients, sal_engine_gradient(engine, NULL, NULL, NULL, inputs, &target, 1))               \
    X(sal_engine_gradient, inputs, sal_engine_gradient(engine, gradients, NULL, NULL, NULL, &target, 1))               \
    X(sal_engine_gradient, targets, sal_engine_gradient(engine, gradients, NULL, NULL, inputs, NULL, 1))               \
    X(sal_engine_gradient, count, sal_engine_gradient(engine, gradients, NULL, NULL, inputs, &target, 0))              \
    X(sal_engine_gradients, engine, sal_engine_gradients(NULL, &(const sal_gradient_job)SAL_GRADIENT_JOB_INIT))        \
    X(sal_engine_gradients, job, sal_engine_gradients(engine, NULL))                                                   \
    X(sal_engine_gradients, inputs, job_without(0))                                                                    \
    X(sal_engine_gradients, targets, job_without(1))                                                                   \
    X(sal_engine_gradients, gradients, job_without(2))                                                                 \
    X(sal_engine_gradients, count, job_without(3))                                                                     \
    X(sal_gpu_plan_open, out, sal_gpu_plan_open(NULL, model, &gpu_options))                                            \
    X(sal_gpu_plan_open, model, sal_gpu_plan_open(&no_plan, NULL, &gpu_options))                                       \
    X(sal_gpu_plan_open, options, sal_gpu_plan_open(&no_plan, model, NULL))                                            \
    X(sal_gpu_plan_open, gpu, sal_gpu_plan_open(&no_plan, model, &no_gpu))                                             \
    X(sal_gpu_plan_get_info, plan, sal_gpu_plan_get_info(&gpu_info, NULL))                                             \
    X(sal_gpu_plan_get_info, out, sal_gpu_plan_get_info(NULL, NULL))                                                   \
    X(sal_gpu_plan_get_step, plan, sal_gpu_plan_get_step(&gpu_step, NULL, 0))                                          \
    X(sal_gpu_plan_get_step, out, sal_gpu_plan_get_step(NULL, NULL, 0))                                                \
    X(sal_map_of, map, sal_map_of(NULL, NULL, SIDE, SIDE, inputs, 3, SIDE, SIDE, NULL))                                \
    X(sal_map_of, attribution, sal_map_of(gradients, NULL, SIDE, SIDE, NULL, 3, SIDE, SIDE, NULL))                     \
    X(sal_map_of, map_height, sal_map_of(gradients, NULL, 0, SIDE, inputs, 3, SIDE, SIDE, NULL))                       \
    X(sal_map_of, map_width, sal_map_of(gradients, NULL, SIDE, 0, inputs, 3, SIDE, SIDE, NULL))                        \
    X(sal_map_of, channels, sal_map_of(gradients, NULL, SIDE, SIDE, inputs, 0, SIDE, SIDE, NULL))                      \
    X(sal_map_of, height, sal_map_of(gradients, NULL, SIDE, SIDE, inputs, 3, -1, SIDE, NULL))                          \
    X(sal_map_make, map, sal_map_make(NULL, NULL, inputs, 3, SIDE, SIDE, NULL))                                        \
    X(sal_map_make, gradient, sal_map_make(gradients, NULL, NULL, 3, SIDE, SIDE, NULL))                                \
    X(sal_map_make, channels, sal_map_make(gradients, NULL, inputs, 0, SIDE, SIDE, NULL))                              \
    X(sal_map_make, height, sal_map_make(gradients, NULL, inputs, 3, 0, SIDE, NULL))                                   \
    X(sal_map_make, width, sal_map_make(gradients, NULL, inputs, 3, SIDE, 0, NULL))                                    \
    X(sal_map_colorize, out, sal_map_colorize(NULL, inputs, SIDE, SIDE, SAL_COLORMAP_JET))                             \
    X(sal_map_colorize, map, sal_map_colorize(&picture, NULL, SIDE, SIDE, SAL_COLORMAP_JET))                           \
    X(sal_map_colorize, height, sal_map_colorize(&picture, inputs, 0, SIDE, SAL_COLORMAP_JET))                         \
    X(sal_map_colorize, width, sal_map_colorize(&picture, inputs, SIDE, 0, SAL_COLORMAP_JET))                          \
    X(sal_overlay_make, out, sal_overlay_make(NULL, &pixel, inputs, &placement, NULL))                                 \
    X(sal_overlay_make, map, sal_overlay_make(&picture, &pixel, NULL, &placement, NULL))                               \
    X(sal_overlay_make, placement, sal_overlay_make(&picture, &pixel, inputs, NULL, NULL))                             \
    X(sal_overlay_make, scales, sal_overlay_make(&picture, &pixel, inputs, &no_placement, NULL))                       \
    X(sal_overlay_make, samples, sal_overlay_make(&picture, &no_samples, inputs, &placement, NULL))                    \
    X(sal_overlay_make, type, sal_overlay_make(&picture, &odd_picture, inputs, &placement, NULL))                      \
    X(sal_overlay_make, size, sal_overlay_make(&picture, &pixel, inputs, &placement, &sizeless_overlay))               \
    X(sal_figure_make, out, sal_figure_make(NULL, &pixel, inputs, &placement, NULL))                                   \
    X(sal_figure_make, picture, sal_figure_make(&picture, NULL, inputs, &placement, NULL))                             \
    X(sal_figure_make, map, sal_figure_make(&picture, &pixel, NULL, &placement, NULL))                                 \
    X(sal_figure_make, placement, sal_figure_make(&picture, &pixel, inputs, NULL, NULL))                               \
    X(sal_figure_make, size, sal_figure_make(&picture, &pixel, inputs, &placement, &sizeless_figure))                  \
    X(sal_figure_make, overlay_size, sal_figure_make(&picture, &pixel, inputs, &placement, &figure_of_sizeless))       \
    X(sal_figure_make, panels, sal_figure_make(&picture, &pixel, inputs, &placement, &small_figure))                   \
    X(sal_figure_encode, bytes, sal_figure_encode(NULL, &byte_count, SAL_PAGE_PDF, &pixel, inputs, &placement, NULL))  \
    X(sal_figure_encode, size, sal_figure_encode(&bytes, NULL, SAL_PAGE_PDF, &pixel, inputs, &placement, NULL))        \
    X(sal_figure_encode, picture,                                                                                      \
      sal_figure_encode(&bytes, &byte_count, SAL_PAGE_PDF, NULL, inputs, &placement, NULL))                            \
    X(sal_figure_encode, map, sal_figure_encode(&bytes, &byte_count, SAL_PAGE_PDF, &pixel, NULL, &placement, NULL))    \
    X(sal_figure_encode, placement, sal_figure_encode(&bytes, &byte_count, SAL_PAGE_PDF, &pixel, inputs, NULL, NULL))  \
    X(sal_figure_encode, format,                                                                                       \
      sal_figure_encode(&bytes, &byte_count, (sal_page_format)3, &pixel, inputs, &placement, NULL))                    \
    X(sal_figure_title, text, sal_figure_title(NULL, 8, engine, "p", NULL, NULL))                                      \
    X(sal_figure_title, room, sal_figure_title(note, 0, engine, "p", NULL, NULL))                                      \
    X(sal_figure_title, engine, sal_figure_title(note, sizeof note, NULL, "p", NULL, NULL))                            \
    X(sal_figure_title, picture, sal_figure_title(note, sizeof note, engine, NULL, NULL, NULL))                        \
    X(sal_figure_note, text, sal_figure_note(NULL, 8, engine, &facts))                                                 \
    X(sal_figure_note, room, sal_figure_note(note, 0, engine, &facts))                                                 \
    X(sal_figure_note, engine, sal_figure_note(note, sizeof note, NULL, &facts))                                       \
    X(sal_figure_note, facts, sal_figure_note(note, sizeof note, engine, NULL))                                        \
    X(sal_figure_note, size, sal_figure_note(note, sizeof note, engine, &sizeless_facts))                              \
    X(sal_map_encode, bytes, sal_map_encode(NULL, &byte_count, inputs, 1, 1, SAL_MAPS_NPY))                            \
    X(sal_map_encode, size, sal_map_encode(&bytes, NULL, inputs, 1, 1, SAL_MAPS_NPY))                                  \
    X(sal_map_encode, map, sal_map_encode(&bytes, &byte_count, NULL, 1, 1, SAL_MAPS_NPY))                              \
    X(sal_map_encode, height, sal_map_encode(&bytes, &byte_count, inputs, 0, 1, SAL_MAPS_NPZ))                         \
    X(sal_map_encode, width, sal_map_encode(&bytes, &byte_count, inputs, 1, 0, SAL_MAPS_PNG16))                        \
    X(sal_map_encode, format, sal_map_encode(&bytes, &byte_count, inputs, 1, 1, SAL_MAPS_NONE))                        \
    X(sal_npy_encode, bytes, sal_npy_encode(NULL, &byte_count, inputs, one_value, 1))                                  \
    X(sal_npy_encode, size, sal_npy_encode(&bytes, NULL, inputs, one_value, 1))                                        \
    X(sal_npy_encode, values, sal_npy_encode(&bytes, &byte_count, NULL, one_value, 1))                                 \
    X(sal_npy_encode, shape, sal_npy_encode(&bytes, &byte_count, inputs, NULL, 1))                                     \
    X(sal_npy_encode, rank, sal_npy_encode(&bytes, &byte_count, inputs, one_value, 6))                                 \
    X(sal_explain_files, engine, sal_explain_files(&failed, NULL, paths, 1, &explain, NULL, NULL))                     \
    X(sal_explain_files, paths, sal_explain_files(&failed, engine, NULL, 1, &explain, NULL, NULL))                     \
    X(sal_explain_files, a_path, sal_explain_files(&failed, engine, no_paths, 2, &explain, NULL, NULL))                \
    X(sal_explain_files, options, sal_explain_files(&failed, engine, paths, 1, NULL, NULL, NULL))                      \
    X(sal_explain_files, out_dir, sal_explain_files(&failed, engine, paths, 1, &explain_nowhere, NULL, NULL))          \
    X(sal_explain_files_on, engines, sal_explain_files_on(&failed, NULL, 1, paths, 1, &explain, NULL, NULL))           \
    X(sal_explain_files_on, count, sal_explain_files_on(&failed, one(), 0, paths, 1, &explain, NULL, NULL))            \
    X(sal_explain_files_on, engine, sal_explain_files_on(&failed, with_none(), 2, paths, 1, &explain, NULL, NULL))     \
    X(sal_explain_dataset, engines, sal_explain_dataset(NULL, NULL, 1, dataset, &all_explained, NULL, NULL))           \
    X(sal_explain_dataset, engine, sal_explain_dataset(NULL, with_none(), 2, dataset, &all_explained, NULL, NULL))     \
    X(sal_explain_dataset, count, sal_explain_dataset(NULL, one(), 0, dataset, &all_explained, NULL, NULL))            \
    X(sal_explain_dataset, dataset, sal_explain_dataset(NULL, one(), 1, NULL, &all_explained, NULL, NULL))             \
    X(sal_explain_dataset, options, sal_explain_dataset(NULL, one(), 1, dataset, NULL, NULL, NULL))                    \
    X(sal_explain_dataset, explain, sal_explain_dataset(NULL, one(), 1, dataset, &none_explained, NULL, NULL))         \
    X(sal_explain_dataset, out_dir, sal_explain_dataset(NULL, one(), 1, dataset, &nowhere_explained, NULL, NULL))      \
    X(sal_explain_dataset, write, sal_explain_dataset(NULL, one(), 1, dataset, &odd_files, NULL, NULL))                \
    X(sal_explain_dataset, size, sal_explain_dataset(NULL, one(), 1, dataset, &sizeless_explained, NULL, NULL))        \
    X(sal_dataset_open, out, sal_dataset_open(NULL, paths, 1, NULL))                                                   \
    X(sal_dataset_open, inputs, sal_dataset_open(&no_dataset, NULL, 1, NULL))                                          \
    X(sal_dataset_open, input, sal_dataset_open(&no_dataset, no_paths, 2, NULL))                                       \
    X(sal_dataset_open, count, sal_dataset_open(&no_dataset, paths, 0, NULL))                                          \
    X(sal_dataset_open, patterns, sal_dataset_open(&no_dataset, paths, 1, &no_patterns))                               \
    X(sal_dataset_get_info, out, sal_dataset_get_info(NULL, dataset))                                                  \
    X(sal_dataset_get_info, dataset, sal_dataset_get_info(&dataset_info, NULL))                                        \
    X(sal_classes_make, out, sal_classes_make(NULL, paths, 1))                                                         \
    X(sal_classes_make, names, sal_classes_make(&no_classes, NULL, 1))                                                 \
    X(sal_classes_make, a_name, sal_classes_make(&no_classes, no_paths, 2))                                            \
    X(sal_classes_make, empty, sal_classes_make(&no_classes, nameless, 1))                                             \
    X(sal_classes_make, count, sal_classes_make(&no_classes, paths, 0))                                                \
    X(sal_classes_open, out, sal_classes_open(NULL, picture_path))                                                     \
    X(sal_classes_open, path, sal_classes_open(&no_classes, NULL))                                                     \
    X(sal_classes_of_model, out, sal_classes_of_model(NULL, model))                                                    \
    X(sal_classes_of_model, model, sal_classes_of_model(&no_classes, NULL))                                            \
    X(sal_classes_of_folders, out, sal_classes_of_folders(NULL, dataset))                                              \
    X(sal_classes_of_folders, dataset, sal_classes_of_folders(&no_classes, NULL))                                      \
    X(sal_classes_of_folders, folders, sal_classes_of_folders(&no_classes, dataset))                                   \
    X(sal_sweep, engines, sal_sweep(NULL, NULL, 1, dataset, &sweep))                                                   \
    X(sal_sweep, engine, sal_sweep(NULL, with_none(), 2, dataset, &sweep))                                             \
    X(sal_sweep, count, sal_sweep(NULL, one(), 0, dataset, &sweep))                                                    \
    X(sal_sweep, dataset, sal_sweep(NULL, one(), 1, NULL, &sweep))                                                     \
    X(sal_sweep, options, sal_sweep(NULL, one(), 1, dataset, NULL))                                                    \
    X(sal_sweep, explain, sal_sweep(NULL, one(), 1, dataset, &sweep_unexplained))                                      \
    X(sal_sweep, failures, sal_sweep(NULL, one(), 1, dataset, &sweep_odd_failures))                                    \
    X(sal_sweep, out_dir, sal_sweep(NULL, one(), 1, dataset, &sweep_nowhere))                                          \
    X(sal_sweep, inputs, sal_sweep(NULL, one(), 1, dataset, &sweep_no_inputs))                                         \
    X(sal_sweep, fewer_shards, sal_sweep(NULL, one(), 1, dataset, &sweep_in_pieces))                                   \
    X(sal_sweep_merge, name, sal_sweep_merge(&merge_info, nameless, 1, NULL))                                          \
    X(sal_sweep_export, format, sal_sweep_export(folder, NULL, write_nothing, NULL, &odd_export))                      \
    X(sal_run_render, run, sal_run_render(NULL, NULL, &render))                                                        \
    X(sal_run_render, options, sal_run_render(NULL, folder, NULL))                                                     \
    X(sal_run_render, explain, sal_run_render(NULL, folder, &render_unexplained))                                      \
    X(sal_run_render, out_dir, sal_run_render(NULL, folder, &render_nowhere))                                          \
    X(sal_run_render, format, sal_run_render(NULL, folder, &odd_render))                                               \
    X(sal_run_render, overlay_size, sal_run_render(NULL, folder, &small_render))                                       \
    X(sal_run_render, figures, sal_run_render(NULL, folder, &nothing_rendered))                                        \
    X(sal_run_sheet, run, sal_run_sheet(NULL, NULL, "never-made.png", NULL))                                           \
    X(sal_run_sheet, path, sal_run_sheet(NULL, folder, NULL, NULL))                                                    \
    X(sal_run_sheet, format, sal_run_sheet(NULL, folder, "never-made.png", &odd_sheet))                                \
    X(sal_run_sheet, rows, sal_run_sheet(NULL, folder, "never-made.png", &many_rows))                                  \
    X(sal_run_sheet, columns, sal_run_sheet(NULL, folder, "never-made.png", &no_columns))                              \
    X(sal_run_sheet, panels, sal_run_sheet(NULL, folder, "never-made.png", &small_panels))                             \
    X(sal_sweep_merge, info, sal_sweep_merge(NULL, paths, 1, NULL))                                                    \
    X(sal_sweep_merge, runs, sal_sweep_merge(&merge_info, NULL, 1, NULL))                                              \
    X(sal_sweep_merge, run, sal_sweep_merge(&merge_info, no_paths, 2, folder))                                         \
    X(sal_sweep_merge, count, sal_sweep_merge(&merge_info, paths, 0, NULL))                                            \
    X(sal_sweep_export, run, sal_sweep_export(NULL, NULL, write_nothing, NULL, NULL))                                  \
    X(sal_sweep_export, write, sal_sweep_export(folder, NULL, NULL, NULL, NULL))

#define DEFINE(function, missing, call)                                                                                \
    static sal_status function##_without_##missing(void)                                                               \
    {                                                                                                                  \
        return call;                                                                                                   \
    }
CALLS(DEFINE)

#define ROW(function, missing, call) {#function, #missing, function##_without_##missing},
static const struct {
    const char *function;
    const char *missing;
    sal_status (*call)(void);
} calls[] = {CALLS(ROW)};
enum { CALL_COUNT = sizeof calls / sizeof *calls };

TestSuite(arguments, .init = open_all, .fini = close_all);

ParameterizedTestParameters(arguments, that_are_missing_are_refused)
{
    static size_t numbers[CALL_COUNT];
    for (size_t i = 0; i < CALL_COUNT; i++)
        numbers[i] = i;
    return cr_make_param_array(size_t, numbers, CALL_COUNT);
}

ParameterizedTest(size_t *number, arguments, that_are_missing_are_refused)
{
    const sal_status st = calls[*number].call();
    cr_expect_eq(st, SAL_ERROR_ARGUMENT, "%s without its %s: %s", calls[*number].function, calls[*number].missing,
                 sal_status_name(st));
    cr_expect(sal_last_error()[0] != '\0', "%s without its %s says nothing", calls[*number].function,
              calls[*number].missing);
    cr_expect(!no_model && !no_engine && !no_dataset && !no_classes && !no_plan && !bytes && !picture.samples);
}

Test(arguments, without_a_status_to_return_nothing_is_returned)
{
    char list[8];
    cr_expect_null(sal_engine_model(NULL));
    cr_expect_eq(sal_dataset_count(NULL), 0);
    cr_expect_null(sal_dataset_path(NULL, 0));
    cr_expect_null(sal_dataset_file(NULL, 0));
    cr_expect_null(sal_dataset_label(NULL, 0));
    cr_expect_null(sal_dataset_place(NULL, 0));
    cr_expect_eq(sal_dataset_in_shard(NULL, 0, 0, 1), 0);
    cr_expect_eq(sal_classes_count(NULL), 0);
    cr_expect_null(sal_classes_name(NULL, 0));
    cr_expect_eq(sal_classes_find(NULL, "a"), -1);
    cr_expect_eq(sal_device_count(NULL), 0);
    cr_expect_eq(sal_system_check(NULL, 64), 0);
    cr_expect_eq(sal_system_check(&check_row, 0), 0);
    cr_expect_str_eq(sal_status_name((sal_status)77), "unknown");
    cr_expect_eq(sal_word_value(NULL, "max"), -1);
    cr_expect_eq(sal_word_value(SAL_WORDS_REDUCE, NULL), -1);
    cr_expect_null(sal_words_list(NULL, sizeof list, SAL_WORDS_REDUCE));
    cr_expect_null(sal_words_list(list, 0, SAL_WORDS_REDUCE));
    cr_expect_null(sal_words_list(list, sizeof list, NULL));
    cr_expect_not_null(sal_version());
    cr_expect_not_null(sal_last_error());
    sal_model_close(NULL);
    sal_engine_close(NULL);
    sal_gpu_plan_close(NULL);
    sal_dataset_close(NULL);
    sal_classes_close(NULL);
    sal_picture_clear(NULL);
    sal_bytes_free(NULL);
}

Test(arguments, rows_beyond_the_list_are_none)
{
    cr_assert_eq(sal_dataset_count(dataset), 1);
    cr_expect_null(sal_dataset_path(dataset, 1));
    cr_expect_null(sal_dataset_file(dataset, 1));
    cr_expect_null(sal_dataset_label(dataset, 1));
    cr_expect_null(sal_dataset_place(dataset, 1));
    cr_expect_eq(sal_dataset_in_shard(dataset, 1, 0, 1), 0);
    cr_expect_eq(sal_dataset_in_shard(dataset, 0, 0, 0), 1);
}

Test(arguments, that_may_be_missing_may)
{
    sal_engine *plain = NULL;
    sal_model_options options = SAL_MODEL_OPTIONS_INIT;
    sal_model *again = NULL;
    cr_expect_eq(sal_engine_open(&plain, model, NULL), SAL_OK, "%s", sal_last_error());
    cr_expect_eq(sal_model_open_with(&again, model_path, &options), SAL_OK, "%s", sal_last_error());
    cr_expect_eq(sal_engine_forward(engine, NULL, inputs, 1), SAL_OK, "%s", sal_last_error());
    cr_expect_eq(sal_engine_gradient(engine, gradients, NULL, NULL, inputs, &target, 1), SAL_OK);
    cr_expect_eq(sal_map_make(gradients, NULL, inputs, 3, SIDE, SIDE, NULL), SAL_OK);
    cr_expect_eq(sal_explain_files(NULL, engine, NULL, 0, &explain, NULL, NULL), SAL_OK, "%s", sal_last_error());
    cr_expect_eq(sal_explain_files(NULL, engine, paths, 1, &explain, NULL, NULL), SAL_OK, "%s", sal_last_error());
    cr_expect_eq(sal_explain_dataset(NULL, one(), 1, dataset, &all_explained, NULL, NULL), SAL_OK, "%s",
                 sal_last_error());
    sal_engine_close(plain);
    sal_model_close(again);
}

/* In `calls`, or in the test of those that return no status. */
static int is_tried(const char *function, size_t length)
{
    static const char *const others[] = {
        "sal_last_error",   "sal_status_name",    "sal_version",          "sal_model_close",   "sal_picture_clear",
        "sal_bytes_free",   "sal_device_count",   "sal_engine_close",     "sal_engine_model",  "sal_method_count",
        "sal_system_check", "sal_gpu_plan_close", "sal_dataset_close",    "sal_dataset_count", "sal_dataset_path",
        "sal_dataset_file", "sal_dataset_label",  "sal_dataset_in_shard", "sal_recipe_count",  "sal_word_value",
        "sal_words_list",   "sal_map_is_faint",   "sal_classes_close",    "sal_classes_count", "sal_classes_name",
        "sal_classes_find", "sal_dataset_place"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strlen(others[i]) == length && strncmp(others[i], function, length) == 0)
            return 1;
    for (size_t i = 0; i < CALL_COUNT; i++)
        if (strlen(calls[i].function) == length && strncmp(calls[i].function, function, length) == 0)
            return 1;
    return 0;
}

Test(header, has_no_function_that_is_not_tried_here)
{
    static char text[1 << 17];
    size_t functions = 0;
    FILE *header = fopen(SAL_TEST_SOURCE_DIR "/include/salmap/salmap.h", "r");
    cr_assert_not_null(header);
    cr_assert_lt(fread(text, 1, sizeof text - 1, header), sizeof text - 1, "the header no longer fits");
    fclose(header);
    for (const char *at = text; (at = strstr(at, "\nSAL_API ")) != NULL; functions++) {
        const char *end = strchr(++at, '(');
        const char *name = end;
        while (name[-1] != ' ' && name[-1] != '*')
            name--;
        cr_expect(is_tried(name, (size_t)(end - name)), "%.*s", (int)(end - name), name);
    }
    cr_expect_gt(functions, 40);
}
