/* What is made of a run, stopped by its caller, and of one that changes meanwhile. */
#include "report/kept.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCALES SAL_TEST_SOURCE_DIR "/data/scales/"
static const char *const pictures[] = {SCALES "scale_00.png", SCALES "scale_01.png", SCALES "scale_05.jpg"};
enum { COUNT = 3 };

static char top[64], run[80], drawings[80], page[80];

/* A run of all pictures. */
static void begin(void)
{
    sal_model *model = NULL;
    sal_engine *engine = NULL;
    sal_dataset *list = NULL;
    sal_sweep_progress last = SAL_SWEEP_PROGRESS_INIT;
    snprintf(top, sizeof top, "/tmp/salmap-report-XXXXXX");
    cr_assert_not_null(mkdtemp(top));
    snprintf(run, sizeof run, "%s/run", top);
    snprintf(drawings, sizeof drawings, "%s/drawings", top);
    snprintf(page, sizeof page, "%s/page.svg", top);
    const sal_explain_options how = {
        .size = sizeof how, .alpha = SAL_DEFAULT, .preprocess = {.scale = 1.0F}, .out_dir = run};
    const sal_sweep_options options = {
        .size = sizeof options, .max_failures = SAL_UNLIMITED, .explain = &how, .maps = SAL_MAPS_NPY};
    cr_assert_eq(sal_model_open(&model, SAL_TEST_SOURCE_DIR "/data/models/scale_age_honest.onnx", NULL), SAL_OK);
    cr_assert_eq(sal_engine_open(&engine, model, NULL), SAL_OK);
    cr_assert_eq(sal_dataset_open(&list, pictures, COUNT, NULL), SAL_OK);
    cr_assert_eq(sal_sweep(&last, &engine, 1, list, &options), SAL_OK, "%s", sal_last_error());
    sal_dataset_close(list);
    sal_engine_close(engine);
    sal_model_close(model);
}

static void end(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -r '%s'", top);
    cr_assert_eq(system(command), 0);
}

TestSuite(report, .init = begin, .fini = end);

/* Stops at the first call with so many, or more, behind. */
typedef struct stopper {
    size_t at;
    size_t calls;
} stopper;

static int stop(void *context, size_t done)
{
    stopper *s = context;
    s->calls++;
    return done >= s->at;
}

static sal_status render(stopper *s, sal_render_info *info)
{
    sal_explain_options explain = SAL_EXPLAIN_OPTIONS_INIT;
    sal_render_options o = SAL_RENDER_OPTIONS_INIT;
    explain.out_dir = drawings;
    o.explain = &explain;
    o.root = SCALES;
    o.progress = stop;
    o.context = s;
    return sal_run_render(info, run, &o);
}

Test(report, a_render_that_is_stopped_while_it_looks_at_the_list_makes_nothing)
{
    stopper s = {.at = 0};
    cr_expect_eq(render(&s, NULL), SAL_ERROR_CANCELLED);
    cr_expect_eq(s.calls, 1);
    cr_expect_neq(access(drawings, F_OK), 0);
    s = (stopper){.at = 2};
    cr_expect_eq(render(&s, NULL), SAL_ERROR_CANCELLED);
    cr_expect_str_eq(sal_last_error(), "stopped after 2 pictures");
    s = (stopper){.at = COUNT + 1};
    sal_render_info info = SAL_RENDER_INFO_INIT;
    cr_expect_eq(render(&s, &info), SAL_OK, "%s", sal_last_error());
    cr_expect_eq(s.calls, 2 * COUNT);
    cr_expect(info.pictures == COUNT && info.failed == 0 && info.missing == 0);
}

static sal_status draw_sheet(stopper *s)
{
    sal_sheet_options o = SAL_SHEET_OPTIONS_INIT;
    o.format = SAL_PAGE_SVG;
    o.progress = stop;
    o.context = s;
    return sal_run_sheet(NULL, run, page, &o);
}

Test(report, a_sheet_that_is_stopped_is_not_written)
{
    for (size_t at = 0; at < COUNT; at++) {
        stopper s = {.at = at};
        cr_expect_eq(draw_sheet(&s), SAL_ERROR_CANCELLED, "at %zu", at);
        cr_expect_neq(access(page, F_OK), 0, "at %zu", at);
    }
    stopper s = {.at = COUNT};
    cr_expect_eq(draw_sheet(&s), SAL_OK, "%s", sal_last_error());
    cr_expect_eq(access(page, F_OK), 0);
    s = (stopper){.at = COUNT};
    cr_expect_eq(draw_sheet(&s), SAL_OK, "%s", sal_last_error()); /* over the one that is there */
    cr_expect_eq(s.calls, 3 * COUNT, "%zu calls", s.calls);
}

/* Between two looks at a folder somebody may replace what is in it. */
Test(report, a_list_that_was_replaced_meanwhile_is_refused)
{
    sal_kept_run kept;
    sal_dataset *list = NULL;
    char path[96];
    cr_assert_eq(sal_kept_open(&kept, run), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(sal_kept_list_open(&list, &kept, NULL), SAL_OK, "%s", sal_last_error());
    for (size_t i = 0; i < COUNT; i++)
        cr_expect_str_eq(sal_dataset_file(list, i), pictures[i]);
    sal_dataset_close(list);
    snprintf(path, sizeof path, "%s/" SAL_RUN_MANIFEST, run);
    FILE *file = fopen(path, "w");
    cr_assert(file && fputs("path\n/etc/passwd\n", file) >= 0 && fclose(file) == 0);
    cr_expect_eq(sal_kept_list_open(&list, &kept, NULL), SAL_ERROR_FORMAT);
    cr_expect(strstr(sal_last_error(), "/" SAL_RUN_MANIFEST ": was replaced"), "%s", sal_last_error());
    cr_expect_null(list);
    cr_assert_eq(unlink(path), 0);
    cr_expect_eq(sal_kept_list_open(&list, &kept, NULL), SAL_ERROR_FORMAT);
    cr_expect_null(list);
    sal_kept_close(&kept);
}
