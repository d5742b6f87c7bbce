/* The explain pipeline through the public header. */
#include "salmap/salmap.h"
#include "unit/at_end.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DATA SAL_TEST_SOURCE_DIR "/data/"
static const char *const pictures[] = {DATA "scales/scale_00.png", DATA "scales/no_such.png",
                                       DATA "scales/scale_01.png", DATA "scales/scale_02.png",
                                       DATA "models/accuracy.csv"};
enum { COUNT = 5 };

static sal_model *model;
static sal_engine *engine;
static char folder[64];

static void open_all(void)
{
    const sal_engine_options options = {.size = sizeof(sal_engine_options), .batch = 2};
    cr_assert_eq(sal_model_open(&model, DATA "models/scale_age_honest.onnx", NULL), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(sal_engine_open(&engine, model, &options), SAL_OK, "%s", sal_last_error());
    snprintf(folder, sizeof folder, "/tmp/salmap-pipeline-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

static void close_all(void)
{
    char command[128];
    sal_engine_close(engine);
    sal_model_close(model);
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    AT_END(system(command) == 0);
}

TestSuite(pipeline, .init = open_all, .fini = close_all);

typedef struct seen {
    size_t count;
    size_t stop_after;
    pthread_t thread;
    sal_status statuses[COUNT];
} seen;

static int record(void *context, const sal_explain_result *result)
{
    seen *s = context;
    cr_expect_str_eq(result->path, pictures[s->count % COUNT]);
    cr_expect(pthread_equal(pthread_self(), s->thread));
    s->statuses[s->count % COUNT] = result->status;
    if (result->status == SAL_OK) {
        cr_assert_eq(result->map_count, 1);
        cr_expect(result->size == sizeof *result && result->maps[0]->size == sizeof(sal_explain_map));
        cr_expect_eq(access(result->maps[0]->map_path, R_OK), 0);
        cr_expect_eq(access(result->maps[0]->overlay_path, R_OK), 0);
        cr_expect_eq(access(result->maps[0]->npy_path, R_OK), 0);
        cr_expect_null(result->maps[0]->figure_path);
        cr_expect(isnan(result->predicted_probability));
        cr_expect_null(result->error);
    } else {
        cr_expect_eq(result->map_count, 0);
        cr_expect(strstr(result->error, result->path) != NULL, "'%s' does not name the picture", result->error);
    }
    return ++s->count == s->stop_after;
}

static sal_explain_options unit_options(void)
{
    sal_explain_options o = {.size = sizeof(sal_explain_options), .alpha = SAL_DEFAULT, .out_dir = folder};
    cr_assert_eq(sal_preprocess_preset(&o.preprocess, "unit"), SAL_OK);
    return o;
}

Test(pipeline, reports_every_picture_once_in_order)
{
    const sal_explain_options o = unit_options();
    seen s = {.thread = pthread_self()};
    size_t failed;
    cr_assert_eq(sal_explain_files(&failed, engine, pictures, COUNT, &o, record, &s), SAL_OK, "%s", sal_last_error());
    const sal_status expected[COUNT] = {SAL_OK, SAL_ERROR_IO, SAL_OK, SAL_OK, SAL_ERROR_FORMAT};
    cr_expect_eq(s.count, COUNT);
    cr_expect_eq(failed, 2);
    cr_expect_arr_eq(s.statuses, expected, sizeof expected);
}

Test(pipeline, stops_when_the_callback_says_so)
{
    const sal_explain_options o = unit_options();
    const char *many[10 * COUNT];
    for (size_t i = 0; i < 10 * COUNT; i++)
        many[i] = pictures[i % COUNT];
    seen s = {.stop_after = 7, .thread = pthread_self()};
    cr_assert_eq(sal_explain_files(NULL, engine, many, 10 * COUNT, &o, record, &s), SAL_ERROR_CANCELLED);
    cr_expect_eq(s.count, 7);
}

Test(pipeline, works_without_callback_and_without_pictures)
{
    const sal_explain_options o = unit_options();
    size_t failed = 9;
    cr_expect_eq(sal_explain_files(&failed, engine, NULL, 0, &o, NULL, NULL), SAL_OK);
    cr_expect_eq(failed, 0);
    cr_expect_eq(sal_explain_files(&failed, engine, pictures, COUNT, &o, NULL, NULL), SAL_OK);
    cr_expect_eq(failed, 2);
}

static void check_refused(const sal_explain_options *o, const char *text)
{
    size_t failed;
    seen s = {.thread = pthread_self()};
    cr_expect_eq(sal_explain_files(&failed, engine, pictures, COUNT, o, record, &s), SAL_ERROR_ARGUMENT, "no '%s'",
                 text);
    cr_expect(strstr(sal_last_error(), text) != NULL, "'%s' lacks '%s'", sal_last_error(), text);
    cr_expect_eq(s.count, 0);
}

Test(pipeline, refuses_contradictions_before_any_work)
{
    sal_explain_options o = unit_options();
    o.alpha = NAN;
    check_refused(&o, "alpha");
    o = unit_options();
    sal_map_options map = SAL_MAP_OPTIONS_INIT;
    map.sigma = -0.5;
    o.map = &map;
    check_refused(&o, "sigma");
    o = unit_options();
    o.colormap = (sal_colormap)77;
    check_refused(&o, "colour map 77");
    o = unit_options();
    o.blend = (sal_blend)-1;
    check_refused(&o, "blend -1");
    o = unit_options();
    o.contours = (const double[]){0.0};
    o.contour_count = 1;
    check_refused(&o, "contour 0");
    o = unit_options();
    o.top = 2;
    check_refused(&o, "top 2");
    o = unit_options();
    o.preprocess.value_count = 2;
    check_refused(&o, "preprocessing");
    o = unit_options();
    o.out_dir = NULL;
    check_refused(&o, "folder");
}

/* The bytes of the overlay of one picture at a weight. */
static size_t draw_overlay(unsigned char *bytes, size_t room, sal_blend blend, double alpha)
{
    char path[128];
    sal_explain_options o = unit_options();
    o.blend = blend;
    o.alpha = alpha;
    cr_assert_eq(sal_explain_files(NULL, engine, pictures, 1, &o, NULL, NULL), SAL_OK, "%s", sal_last_error());
    snprintf(path, sizeof path, "%s/scale_00.overlay.png", folder);
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file);
    const size_t size = fread(bytes, 1, room, file);
    fclose(file);
    cr_assert(size > 0 && size < room);
    return size;
}

Test(pipeline, overlays_have_the_weight_of_their_blend_unless_told)
{
    static unsigned char told[1 << 20], other[1 << 20];
    const double weights[] = {[SAL_BLEND_MAP] = 0.9, [SAL_BLEND_FLAT] = 0.5};
    for (int k = SAL_BLEND_MAP; k <= SAL_BLEND_FLAT; k++) {
        const sal_blend blend = (sal_blend)k;
        const size_t size = draw_overlay(told, sizeof told, blend, weights[k]);
        cr_expect(draw_overlay(other, sizeof other, blend, SAL_DEFAULT) == size && memcmp(told, other, size) == 0);
        cr_expect(draw_overlay(other, sizeof other, blend, 0.0) != size || memcmp(told, other, size) != 0,
                  "0 is not 0");
    }
}
