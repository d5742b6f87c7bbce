/* A sweep where the system fails for a moment: what it records is true all the same, and the same call goes on. */
#include "salmap/salmap.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SCALES SAL_TEST_SOURCE_DIR "/data/scales/"
static const char *const pictures[] = {SCALES "scale_00.png", SCALES "scale_01.png", SCALES "scale_05.jpg"};
enum { COUNT = 3 };

static int stat_fails; /* 1: of pictures */

int __real_stat(const char *restrict path, struct stat *restrict out);
int __wrap_stat(const char *restrict path, struct stat *restrict out);

int __wrap_stat(const char *restrict path, struct stat *restrict out)
{
    const char *dot = strrchr(path, '.');
    if (!stat_fails || !dot || (strcmp(dot, ".png") != 0 && strcmp(dot, ".jpg") != 0))
        return __real_stat(path, out);
    errno = EIO;
    return -1;
}

static sal_status sweep(const char *folder, sal_sweep_progress *last)
{
    sal_model *model = NULL;
    sal_engine *engine = NULL;
    sal_dataset *list = NULL;
    const sal_explain_options how = {
        .size = sizeof how, .alpha = SAL_DEFAULT, .preprocess = {.scale = 1.0F}, .out_dir = folder};
    const sal_sweep_options options = {
        .size = sizeof(sal_sweep_options), .max_failures = SAL_UNLIMITED, .explain = &how, .maps = SAL_MAPS_NPY};
    cr_assert_eq(sal_model_open(&model, SAL_TEST_SOURCE_DIR "/data/models/scale_age_honest.onnx", NULL), SAL_OK);
    cr_assert_eq(sal_engine_open(&engine, model, NULL), SAL_OK);
    cr_assert_eq(sal_dataset_open(&list, pictures, COUNT, NULL), SAL_OK);
    stat_fails = last->pictures == 0;
    const sal_status st = sal_sweep(last, &engine, 1, list, &options);
    stat_fails = 0;
    sal_dataset_close(list);
    sal_engine_close(engine);
    sal_model_close(model);
    return st;
}

Test(sweep, records_the_bytes_of_a_picture_that_cannot_be_looked_at)
{
    char folder[] = "/tmp/salmap-sweep-XXXXXX", path[64], command[64];
    sal_sweep_progress last = SAL_SWEEP_PROGRESS_INIT;
    sqlite3 *db;
    sqlite3_stmt *rows;
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(sweep(folder, &last), SAL_OK, "%s", sal_last_error());
    cr_expect_eq(last.done, COUNT);
    cr_expect_eq(last.failed, 0);
    cr_expect_eq(last.stage_count, SAL_STAGES);
    cr_expect_str_eq(last.stages[SAL_STAGE_STORE].name, "store");
    snprintf(path, sizeof path, "%s/results.sqlite", folder);
    cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
    cr_assert_eq(sqlite3_prepare_v2(db, "SELECT bytes FROM pictures ORDER BY id", -1, &rows, NULL), SQLITE_OK);
    for (int i = 0; i < COUNT; i++) {
        struct stat file;
        cr_assert_eq(sqlite3_step(rows), SQLITE_ROW);
        cr_assert_eq(__real_stat(pictures[i], &file), 0);
        cr_expect_eq(sqlite3_column_int64(rows, 0), (int64_t)file.st_size, "%s", pictures[i]);
    }
    cr_expect_eq(sqlite3_step(rows), SQLITE_DONE);
    sqlite3_finalize(rows);
    sqlite3_close(db);
    cr_expect_eq(sweep(folder, &last), SAL_OK, "%s", sal_last_error());
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    cr_assert_eq(system(command), 0);
}
