/* Every struct that begins with its size, at every function that takes it: sizes that were never set are refused,
 * shorter structs are read and written as far as they go, longer ones where nothing unknown is in them. */
#include "salmap/plan.h"
#include "salmap/salmap.h"
#include "unit/at_end.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char model_path[] = SAL_TEST_SOURCE_DIR "/data/models/scale_age_honest.onnx";
static const char *const paths[] = {SAL_TEST_SOURCE_DIR "/data/scales/scale_05.jpg"};
enum { SIDE = 192, ELEMENTS = 3 * SIDE * SIDE, ROOM = 2048, GUARD = 0xa5 };

static sal_model *model;
static sal_engine *engine;
static sal_dataset *dataset;
static float *inputs, *gradients;
static char folder[64];

/* ---- Structs that are read ------------------------------------------------- */

static sal_status open_model_limits(const void *given)
{
    sal_model *m = NULL;
    const sal_status st = sal_model_open(&m, model_path, given);
    sal_model_close(m);
    return st;
}

static sal_status open_model(const void *given)
{
    sal_model *m = NULL;
    const sal_status st = sal_model_open_with(&m, model_path, given);
    sal_model_close(m);
    return st;
}

static sal_status open_model_with_limits(const void *given)
{
    return open_model(&(sal_model_options){.size = sizeof(sal_model_options), .limits = given});
}

static sal_status read_picture(const void *given)
{
    sal_picture picture;
    const sal_status st = sal_picture_read(&picture, paths[0], given);
    sal_picture_clear(&picture);
    return st;
}

static sal_status read_picture_for(const void *given)
{
    sal_picture picture;
    const sal_status st = sal_picture_read_for(&picture, paths[0], NULL, 3, given);
    sal_picture_clear(&picture);
    return st;
}

static sal_status open_model_bytes(const void *given)
{
    static unsigned char bytes[1 << 21];
    FILE *f = fopen(model_path, "rb");
    const size_t size = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    sal_model *m = NULL;
    cr_assert(f && size < sizeof bytes);
    fclose(f);
    const sal_status st = sal_model_open_bytes(&m, bytes, size, given);
    sal_model_close(m);
    return st;
}

static sal_status decode_picture(const void *given)
{
    static unsigned char bytes[1 << 16];
    FILE *f = fopen(paths[0], "rb");
    const size_t size = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    sal_picture picture;
    cr_assert(f && size < sizeof bytes);
    fclose(f);
    const sal_status st = sal_picture_decode(&picture, bytes, size, given);
    sal_picture_clear(&picture);
    return st;
}

static sal_status decode_picture_for(const void *given)
{
    static unsigned char bytes[1 << 16];
    FILE *f = fopen(paths[0], "rb");
    const size_t size = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    sal_picture picture;
    cr_assert(f && size < sizeof bytes);
    fclose(f);
    const sal_status st = sal_picture_decode_for(&picture, bytes, size, NULL, 3, given);
    sal_picture_clear(&picture);
    return st;
}

static sal_status open_engine(const void *given)
{
    sal_engine *e = NULL;
    const sal_status st = sal_engine_open(&e, model, given);
    sal_engine_close(e);
    return st;
}

static sal_status open_engine_with_method(const void *given)
{
    return open_engine(&(sal_engine_options){.size = sizeof(sal_engine_options), .batch = 1, .method = given});
}

static sal_status compute(const void *given)
{
    return sal_engine_gradients(engine, given);
}

static sal_status make_map(const void *given)
{
    return sal_map_make(gradients, NULL, inputs, 3, SIDE, SIDE, given);
}

static sal_status make_larger_map(const void *given)
{
    return sal_map_of(gradients, NULL, SIDE, SIDE, inputs, 3, SIDE / 2, SIDE / 2, given);
}

static sal_status explain(const void *given)
{
    size_t failed = 0;
    const sal_status st = sal_explain_files(&failed, engine, paths, 1, given, NULL, NULL);
    return failed ? SAL_ERROR_CANCELLED : st;
}

static sal_status explain_with_limits(const void *given)
{
    return explain(&(sal_explain_options){.size = sizeof(sal_explain_options),
                                          .alpha = SAL_DEFAULT,
                                          .preprocess = {.scale = 1.0F},
                                          .out_dir = folder,
                                          .limits = given});
}

static sal_status explain_with_map(const void *given)
{
    return explain(&(sal_explain_options){.size = sizeof(sal_explain_options),
                                          .alpha = SAL_DEFAULT,
                                          .preprocess = {.scale = 1.0F},
                                          .out_dir = folder,
                                          .map = given});
}

static sal_status explain_dataset(const void *given)
{
    size_t failed = 0;
    const sal_status st = sal_explain_dataset(&failed, &engine, 1, dataset, given, NULL, NULL);
    return failed ? SAL_ERROR_CANCELLED : st;
}

static sal_status sweep(const void *given)
{
    return sal_sweep(NULL, &engine, 1, dataset, given);
}

static sal_status sweep_explaining(const void *given)
{
    return sweep(&(sal_sweep_options){
        .size = sizeof(sal_sweep_options), .max_failures = SAL_UNLIMITED, .explain = given, .restart = 1});
}

static sal_status list_pictures(const void *given)
{
    sal_dataset *d = NULL;
    const sal_status st = sal_dataset_open(&d, paths, 1, given);
    sal_dataset_close(d);
    return st;
}

static sal_status export_nothing(const void *given)
{
    return sal_sweep_export(folder, "never-made.csv", NULL, NULL, given);
}

static sal_status render_run(const void *given)
{
    return sal_run_render(NULL, folder, given);
}

static sal_status draw_sheet(const void *given)
{
    return sal_run_sheet(NULL, folder, "never-made.png", given);
}

static const sal_placement placement = {SIDE, SIDE, SIDE, SIDE, 1.0, 0.0, 1.0, 0.0};

static sal_status draw_overlay(const void *given)
{
    sal_picture out;
    const sal_status st = sal_overlay_make(&out, NULL, inputs, &placement, given);
    sal_picture_clear(&out);
    return st;
}

static sal_status draw_figure(const void *given)
{
    sal_picture picture = {.height = SIDE, .width = SIDE, .channels = 3, .type = SAL_SAMPLE_F32, .samples = gradients};
    sal_picture out;
    const sal_status st = sal_figure_make(&out, &picture, inputs, &placement, given);
    sal_picture_clear(&out);
    return st;
}

static sal_status draw_figure_with_overlay(const void *given)
{
    return draw_figure(&(sal_figure_options){.size = sizeof(sal_figure_options), .overlay = given});
}

static sal_status write_note(const void *given)
{
    char note[256];
    return sal_figure_note(note, sizeof note, engine, given);
}

static sal_status plan(const void *given)
{
    sal_gpu_plan *p = NULL;
    const sal_status st = sal_gpu_plan_open(&p, model, given);
    sal_gpu_plan_close(p);
    return st;
}

/* What is right; set in open_all where it is not constant. */
static const sal_target target;
static const sal_limits limits = SAL_LIMITS_INIT;
static const sal_model_options model_options = SAL_MODEL_OPTIONS_INIT;
static const sal_engine_options engine_options = {.size = sizeof engine_options, .batch = 1, .threads = 1};
static const sal_method_options method_options = SAL_METHOD_OPTIONS_INIT;
static const sal_map_options map_options = SAL_MAP_OPTIONS_INIT;
static sal_gradient_job job = SAL_GRADIENT_JOB_INIT;
static const sal_explain_options explain_options = {
    .size = sizeof explain_options, .alpha = SAL_DEFAULT, .preprocess = {.scale = 1.0F}, .out_dir = folder};
static const sal_sweep_options sweep_options = {
    .size = sizeof sweep_options, .max_failures = SAL_UNLIMITED, .explain = &explain_options, .restart = 1};
static const sal_explain_dataset_options explain_dataset_options = {.size = sizeof explain_dataset_options,
                                                                    .explain = &explain_options};
static const sal_dataset_options dataset_options = SAL_DATASET_OPTIONS_INIT;
static const sal_export_options export_options = SAL_EXPORT_OPTIONS_INIT;
static const sal_render_options render_options = {.size = sizeof render_options, .explain = &explain_options};
static const sal_sheet_options sheet_options = SAL_SHEET_OPTIONS_INIT;
static const sal_overlay_options overlay_options = SAL_OVERLAY_OPTIONS_INIT;
static const sal_figure_options figure_options = SAL_FIGURE_OPTIONS_INIT;
static const sal_figure_facts figure_facts = SAL_FIGURE_FACTS_INIT;
static const sal_gpu_plan_options gpu_options = {.size = sizeof gpu_options, .gpu = "nowhere.json"};

typedef struct reading {
    const char *function;
    const char *name; /* of the struct */
    size_t size;
    const void *right;
    sal_status (*call)(const void *given);
    int cannot_succeed; /* here: then it fails for another reason */
} reading;

#define READING(function, type, right, call)                                                                           \
    {                                                                                                                  \
        function, #type, sizeof(type), &(right), call, 0                                                               \
    }
static const reading readings[] = {
    READING("sal_model_open", sal_limits, limits, open_model_limits),
    READING("sal_model_open_with", sal_model_options, model_options, open_model),
    READING("sal_model_open_with", sal_limits, limits, open_model_with_limits),
    READING("sal_picture_read", sal_limits, limits, read_picture),
    READING("sal_picture_read_for", sal_limits, limits, read_picture_for),
    READING("sal_model_open_bytes", sal_model_options, model_options, open_model_bytes),
    READING("sal_picture_decode", sal_limits, limits, decode_picture),
    READING("sal_picture_decode_for", sal_limits, limits, decode_picture_for),
    READING("sal_engine_open", sal_engine_options, engine_options, open_engine),
    READING("sal_engine_open", sal_method_options, method_options, open_engine_with_method),
    READING("sal_engine_gradients", sal_gradient_job, job, compute),
    READING("sal_map_make", sal_map_options, map_options, make_map),
    READING("sal_map_of", sal_map_options, map_options, make_larger_map),
    READING("sal_explain_files", sal_explain_options, explain_options, explain),
    READING("sal_explain_files", sal_limits, limits, explain_with_limits),
    READING("sal_explain_files", sal_map_options, map_options, explain_with_map),
    READING("sal_sweep", sal_sweep_options, sweep_options, sweep),
    READING("sal_sweep", sal_explain_options, explain_options, sweep_explaining),
    READING("sal_explain_dataset", sal_explain_dataset_options, explain_dataset_options, explain_dataset),
    READING("sal_dataset_open", sal_dataset_options, dataset_options, list_pictures),
    READING("sal_overlay_make", sal_overlay_options, overlay_options, draw_overlay),
    READING("sal_figure_make", sal_figure_options, figure_options, draw_figure),
    READING("sal_figure_make", sal_overlay_options, overlay_options, draw_figure_with_overlay),
    READING("sal_figure_note", sal_figure_facts, figure_facts, write_note),
    {"sal_sweep_export", "sal_export_options", sizeof(sal_export_options), &export_options, export_nothing, 1},
    {"sal_run_render", "sal_render_options", sizeof(sal_render_options), &render_options, render_run, 1},
    {"sal_run_sheet", "sal_sheet_options", sizeof(sal_sheet_options), &sheet_options, draw_sheet, 1},
    {"sal_gpu_plan_open", "sal_gpu_plan_options", sizeof(sal_gpu_plan_options), &gpu_options, plan, 1},
};

/* ---- Structs that are filled ------------------------------------------------ */

static sal_status get_model(void *out)
{
    return sal_model_get_info(out, model);
}

static sal_status get_dataset(void *out)
{
    return sal_dataset_get_info(out, dataset);
}

static sal_status get_layer(void *out)
{
    return sal_model_get_layer(out, model, 0);
}

static sal_status get_method(void *out)
{
    return sal_method_get_info(out, 0);
}

static sal_status get_option(void *out)
{
    return sal_method_get_option(out, 0, 0);
}

static sal_status get_recipe(void *out)
{
    return sal_recipe_get_info(out, 0);
}

static sal_status read_recipe(void *out)
{
    static const char path[] = "/tmp/salmap-sizes-recipe.txt";
    sal_preprocess p;
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs("Compose(Resize(size=(8, 8)) ToTensor())", f);
    fclose(f);
    const sal_status st = sal_preprocess_read_recipe(&p, out, path);
    remove(path);
    return st;
}

static sal_status get_attribution(void *out)
{
    return sal_engine_get_attribution(out, engine);
}

static sal_status get_plan(void *out)
{
    return sal_engine_get_plan(out, engine);
}

static sal_status get_step(void *out)
{
    return sal_engine_get_step(out, engine, 0);
}

static sal_status get_pass(void *out)
{
    return sal_engine_get_pass(out, engine, SAL_PASS_FORWARD);
}

static sal_status get_progress(void *out)
{
    return sal_sweep(out, &engine, 1, dataset, &sweep_options);
}

static sal_status merge(void *out)
{
    const char *const runs[] = {folder};
    const sal_status st = sweep(&sweep_options);
    return st == SAL_OK ? sal_sweep_merge(out, runs, 1, NULL) : SAL_ERROR_CANCELLED;
}

static sal_gpu_plan *gpu_plan; /* of a described GPU; NULL: built without CUDA */

static sal_status get_gpu_plan(void *out)
{
    return sal_gpu_plan_get_info(out, gpu_plan);
}

static sal_status get_gpu_step(void *out)
{
    return sal_gpu_plan_get_step(out, gpu_plan, 0);
}

typedef struct filling {
    const char *function;
    const char *name;
    size_t size;
    sal_status (*call)(void *out);
    int needs_gpu_plan;
} filling;

static const filling fillings[] = {
    {"sal_model_get_info", "sal_model_info", sizeof(sal_model_info), get_model, 0},
    {"sal_dataset_get_info", "sal_dataset_info", sizeof(sal_dataset_info), get_dataset, 0},
    {"sal_model_get_layer", "sal_layer_info", sizeof(sal_layer_info), get_layer, 0},
    {"sal_method_get_info", "sal_method_info", sizeof(sal_method_info), get_method, 0},
    {"sal_method_get_option", "sal_method_option_info", sizeof(sal_method_option_info), get_option, 0},
    {"sal_recipe_get_info", "sal_recipe_info", sizeof(sal_recipe_info), get_recipe, 0},
    {"sal_preprocess_read_recipe", "sal_recipe_file", sizeof(sal_recipe_file), read_recipe, 0},
    {"sal_engine_get_attribution", "sal_attribution_info", sizeof(sal_attribution_info), get_attribution, 0},
    {"sal_engine_get_plan", "sal_plan_info", sizeof(sal_plan_info), get_plan, 0},
    {"sal_engine_get_step", "sal_step_info", sizeof(sal_step_info), get_step, 0},
    {"sal_engine_get_pass", "sal_pass_info", sizeof(sal_pass_info), get_pass, 0},
    {"sal_sweep", "sal_sweep_progress", sizeof(sal_sweep_progress), get_progress, 0},
    {"sal_sweep_merge", "sal_merge_info", sizeof(sal_merge_info), merge, 0},
    {"sal_gpu_plan_get_info", "sal_gpu_plan_info", sizeof(sal_gpu_plan_info), get_gpu_plan, 1},
    {"sal_gpu_plan_get_step", "sal_gpu_step_info", sizeof(sal_gpu_step_info), get_gpu_step, 1},
};

/* ---- The tests --------------------------------------------------------------- */

static void open_all(void)
{
    cr_assert_eq(sal_model_open(&model, model_path, NULL), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(sal_engine_open(&engine, model, &engine_options), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(sal_dataset_open(&dataset, paths, 1, NULL), SAL_OK, "%s", sal_last_error());
    inputs = calloc(ELEMENTS, sizeof *inputs);
    gradients = calloc(ELEMENTS, sizeof *gradients);
    cr_assert(inputs && gradients);
    snprintf(folder, sizeof folder, "/tmp/salmap-sizes-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    job.inputs = inputs;
    job.count = 1;
    job.targets = &target;
    job.gradients = gradients;
}

static void close_all(void)
{
    char command[128];
    free(inputs);
    free(gradients);
    sal_gpu_plan_close(gpu_plan);
    sal_dataset_close(dataset);
    sal_engine_close(engine);
    sal_model_close(model);
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    AT_END(system(command) == 0);
}

TestSuite(sizes, .init = open_all, .fini = close_all);

/* A caller's memory: the size, the struct as far as that goes, and a pattern behind it. */
typedef union memory {
    size_t size;
    unsigned char bytes[ROOM];
} memory;

static void put(memory *m, size_t size, const void *right, size_t known)
{
    memset(m, GUARD, sizeof *m);
    if (size > known && size <= sizeof *m)
        memset(m, 0, size);
    if (right)
        memcpy(m, right, size < known ? size : known);
    m->size = size;
}

static void expect_refused(sal_status st, const char *function, const char *name, const char *text)
{
    cr_expect_eq(st, SAL_ERROR_ARGUMENT, "%s, %s: %s", function, text, sal_status_name(st));
    cr_expect(strstr(sal_last_error(), name) == sal_last_error() && strstr(sal_last_error(), text),
              "%s: '%s' lacks '%s'", function, sal_last_error(), text);
}

/* Whether a call failed because of its struct. */
static void expect_read(sal_status st, const reading *r, const char *what)
{
    if (r->cannot_succeed)
        cr_expect(st != SAL_OK && !strstr(sal_last_error(), r->name), "%s, %s: %s", r->function, what,
                  sal_last_error());
    else
        cr_expect_eq(st, SAL_OK, "%s, %s: %s", r->function, what, sal_last_error());
}

/* The numbers of a table's rows: each has a process of its own, where the table may lie elsewhere. */
static size_t numbers[64];

static struct criterion_test_params rows(size_t count)
{
    for (size_t i = 0; i < count; i++)
        numbers[i] = i;
    return cr_make_param_array(size_t, numbers, count);
}

ParameterizedTestParameters(sizes, of_what_is_read)
{
    return rows(sizeof readings / sizeof *readings);
}

ParameterizedTest(const size_t *number, sizes, of_what_is_read)
{
    static memory m;
    const reading *r = &readings[*number];
    put(&m, r->size, r->right, r->size);
    expect_read(r->call(&m), r, "as it is");
    if (r->size > 2 * sizeof(size_t)) {
        put(&m, r->size - sizeof(size_t), r->right, r->size);
        expect_read(r->call(&m), r, "shorter");
    }
    put(&m, r->size + 4 * sizeof(size_t), r->right, r->size);
    expect_read(r->call(&m), r, "longer");
    m.bytes[r->size + 3] = 1;
    expect_refused(r->call(&m), r->function, r->name, " does not know");
    put(&m, 0, NULL, r->size);
    expect_refused(r->call(&m), r->function, r->name, ".size is 0: begin with SAL_");
    put(&m, sizeof(size_t), NULL, r->size);
    expect_refused(r->call(&m), r->function, r->name, "no version");
    put(&m, r->size + 1, r->right, r->size);
    expect_refused(r->call(&m), r->function, r->name, "no version");
}

ParameterizedTestParameters(sizes, of_what_is_filled)
{
    return rows(sizeof fillings / sizeof *fillings);
}

static void expect_bytes(const memory *m, size_t from, size_t to, int value, const filling *f)
{
    for (size_t i = from; i < to; i++)
        cr_assert_eq(m->bytes[i], value, "%s: byte %zu is %d, not %d", f->function, i, m->bytes[i], value);
}

ParameterizedTest(const size_t *number, sizes, of_what_is_filled)
{
    static memory whole, m;
    const filling *f = &fillings[*number];
    const sal_gpu_plan_options described = {.size = sizeof described, .gpu = "h100", .batch = 1};
    if (f->needs_gpu_plan && sal_gpu_plan_open(&gpu_plan, model, &described) == SAL_ERROR_UNSUPPORTED)
        cr_skip_test("plans for GPUs are made where salmap was built with CUDA");
    const size_t shorter = f->size - sizeof(size_t), longer = f->size + 3 * sizeof(size_t);
    put(&whole, f->size, NULL, f->size);
    cr_assert_eq(f->call(&whole), SAL_OK, "%s: %s", f->function, sal_last_error());
    cr_expect_eq(whole.size, f->size, "%s changed the size", f->function);
    expect_bytes(&whole, f->size, ROOM, GUARD, f);
    put(&m, shorter, NULL, f->size);
    cr_assert_eq(f->call(&m), SAL_OK, "%s: %s", f->function, sal_last_error());
    cr_expect_eq(m.size, shorter, "%s changed the size", f->function);
    expect_bytes(&m, shorter, ROOM, GUARD, f);
    put(&m, longer, NULL, 0);
    memset(&m.bytes[f->size], 1, longer - f->size);
    cr_assert_eq(f->call(&m), SAL_OK, "%s: %s", f->function, sal_last_error());
    cr_expect_eq(m.size, longer, "%s changed the size", f->function);
    expect_bytes(&m, f->size, longer, 0, f);
    expect_bytes(&m, longer, ROOM, GUARD, f);
    put(&m, 0, NULL, f->size);
    expect_refused(f->call(&m), f->function, f->name, ".size is 0: begin with SAL_");
    expect_bytes(&m, sizeof(size_t), ROOM, GUARD, f);
}

/* Where a struct ended in padding, a new field would lie in what older callers never set. */
#define EXPECT_FULL(type, last)                                                                                        \
    cr_expect_eq(offsetof(type, last) + sizeof((type *)0)->last, sizeof(type), "%s ends in padding", #type);           \
    cr_expect_eq(offsetof(type, size), 0, "%s does not begin with its size", #type)

Test(structs, end_without_padding)
{
    EXPECT_FULL(sal_limits, max_memory);
    EXPECT_FULL(sal_model_info, made);
    EXPECT_FULL(sal_model_options, first_age);
    EXPECT_FULL(sal_layer_info, problem);
    EXPECT_FULL(sal_method_options, layer);
    EXPECT_FULL(sal_method_info, option_count);
    EXPECT_FULL(sal_method_option_info, help);
    EXPECT_FULL(sal_recipe_info, says_values);
    EXPECT_FULL(sal_recipe_file, ignored);
    EXPECT_FULL(sal_engine_options, take_weights);
    EXPECT_FULL(sal_attribution_info, width);
    EXPECT_FULL(sal_gradient_job, gaps);
    EXPECT_FULL(sal_map_options, common_scale);
    EXPECT_FULL(sal_explain_options, panel_size);
    EXPECT_FULL(sal_explain_map, gradient_path);
    EXPECT_FULL(sal_explain_result, note);
    EXPECT_FULL(sal_dataset_options, lenient);
    EXPECT_FULL(sal_dataset_info, labelled);
    EXPECT_FULL(sal_label_counts, by_name);
    EXPECT_FULL(sal_sweep_progress, missing);
    EXPECT_FULL(sal_sweep_options, labels_read);
    EXPECT_FULL(sal_explain_dataset_options, progress);
    EXPECT_FULL(sal_merge_info, failed);
    EXPECT_FULL(sal_export_options, timings);
    EXPECT_FULL(sal_render_options, progress);
    EXPECT_FULL(sal_render_info, missing);
    EXPECT_FULL(sal_sheet_options, progress);
    EXPECT_FULL(sal_sheet_info, failed);
    EXPECT_FULL(sal_overlay_options, contours);
    EXPECT_FULL(sal_figure_options, panel_size);
    EXPECT_FULL(sal_figure_facts, label);
    EXPECT_FULL(sal_plan_info, steps);
    EXPECT_FULL(sal_step_info, note);
    EXPECT_FULL(sal_pass_info, note);
    EXPECT_FULL(sal_gpu_plan_options, lean);
    EXPECT_FULL(sal_gpu_plan_info, steps);
    EXPECT_FULL(sal_gpu_step_info, bound);
}
