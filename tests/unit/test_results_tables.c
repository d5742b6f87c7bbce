/* The tables of results: their columns, what the run is of, and the rows of one picture. */
#include "results_support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

TestSuite(tables, .init = make_scratch, .fini = remove_scratch, .timeout = 120);
TestSuite(run_rows, .init = make_scratch, .fini = remove_scratch, .timeout = 120);
TestSuite(rows, .init = make_scratch, .fini = remove_scratch, .timeout = 120);

static const char *store(void)
{
    return scratch("results.sqlite");
}

/* ---- Tables -------------------------------------------------------------- */

Test(tables, have_their_columns)
{
    const sal_run run = plain_run();
    make_results(store(), &run, list_of("path,label,odd \"name\"\na.png,1,\n"), NULL, 0);
    cr_expect_str_eq(rows_of(store(), "PRAGMA user_version"), "1\n");
    cr_expect_str_eq(
        rows_of(store(), "SELECT m.name, group_concat(c.name || ' ' || c.type || ' ' || c.pk, ',') FROM"
                         " sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table' GROUP BY m.name"),
        "'manifest'|'salmap_id INTEGER 1,path  0,label  0,odd \"name\"  0'\n"
        "'maps'|'picture INTEGER 1,rank INTEGER 2,target INTEGER 0,score REAL 0,probability REAL 0,min REAL 0,"
        "peak REAL 0,mean REAL 0,flat INTEGER 0,normalized_mean REAL 0,normalized_std REAL 0,center_x REAL 0,"
        "center_y REAL 0,map_file  0,overlay_file  0'\n"
        "'pictures'|'id INTEGER 1,path  0,status TEXT 0,error  0,bytes INTEGER 0,width INTEGER 0,height INTEGER 0,"
        "predicted INTEGER 0,predicted_score REAL 0,predicted_probability REAL 0,correct INTEGER 0'\n"
        "'predictions'|'picture INTEGER 1,rank INTEGER 2,output INTEGER 0,score REAL 0,probability REAL 0'\n"
        "'run'|'key TEXT 1,value  0'\n"
        "'sessions'|'id INTEGER 1,started TEXT 0,ended TEXT 0,outcome TEXT 0,version TEXT 0,host TEXT 0,"
        "device TEXT 0,shard INTEGER 0,shards INTEGER 0,pictures INTEGER 0'\n"
        "'timings'|'picture INTEGER 1,decode_ms REAL 0,compute_ms REAL 0,encode_ms REAL 0'\n");
}

Test(tables, are_made_once)
{
    const sal_run run = plain_run();
    sal_sql sql;
    sal_dataset *list = list_of_count(1);
    make_results(store(), &run, list, NULL, 0);
    must(sal_sql_open(&sql, store(), SQLITE_OPEN_READWRITE));
    expect_error(sal_store_make_tables(&sql, list), SAL_ERROR_FORMAT, "{}/results.sqlite: table run already exists");
    must(sal_sql_run(&sql, "DROP TABLE run; DROP TABLE pictures; DROP TABLE predictions; DROP TABLE maps;"
                           "DROP TABLE timings; DROP TABLE sessions"));
    expect_error(sal_store_make_tables(&sql, list), SAL_ERROR_FORMAT,
                 "{}/results.sqlite: table manifest already exists");
    sal_sql_close(&sql);
}

/* ---- What the run is of -------------------------------------------------- */

Test(run_rows, say_what_the_run_is_of)
{
    sal_run run = plain_run();
    run.shard = 3;
    run.shards = 11;
    make_results(store(), &run, list_of_count(12), NULL, 0);
    cr_expect_str_eq(rows_of(store(), "SELECT key, value FROM run ORDER BY key"),
                     text_from("'manifest_sha256'|'2222'\n"
                               "'model'|'m.onnx'\n"
                               "'model_sha256'|'1111'\n"
                               "'option.method'|'gradient'\n"
                               "'option.top-k'|'2'\n"
                               "'pictures'|'12'\n"
                               "'shard'|'3'\n"
                               "'shards'|'11'\n"
                               "'version'|'%s'\n",
                               sal_version()));
}

/* What a second call with another run says. */
static sal_status check(const sal_run *now)
{
    sal_sql sql;
    must(sal_sql_open(&sql, store(), SQLITE_OPEN_READONLY));
    sal_status st = sal_store_check_run(&sql, now);
    sal_sql_close(&sql);
    return st;
}

Test(run_rows, agree_with_the_same_command)
{
    sal_run run = plain_run();
    make_results(store(), &run, list_of_count(1), NULL, 0);
    must(check(&run));
    run.model = "the/same/model/elsewhere.onnx";
    must(check(&run));
    run.settings = "top-k 2\nmethod gradient\n";
    must(check(&run));
}

#define ADVICE "; --restart throws its results away, or choose another run folder"

Test(run_rows, tell_an_option_rather_than_the_arithmetic)
{
    sal_run begun = plain_run(), run;
    begun.settings = "method smoothgrad\nsamples 2\narithmetic 2\n";
    make_results(store(), &begun, list_of_count(1), NULL, 0);
    run = begun;
    run.settings = "method smoothgrad\n";
    expect_error(check(&run), SAL_ERROR_ARGUMENT,
                 "{}/results.sqlite: the run was begun with another --samples: 2, now none" ADVICE);
    run.settings = "method smoothgrad\nsamples 2\n";
    expect_error(
        check(&run), SAL_ERROR_ARGUMENT,
        "{}/results.sqlite: the run was begun by a version whose maps differ in last digits (arithmetic 2, now "
        "1): finish it with that version, or choose another run folder");
}

Test(run_rows, tell_the_first_difference)
{
    sal_run begun = plain_run(), run;
    begun.shard = 1;
    begun.shards = 4;
    make_results(store(), &begun, list_of_count(1), NULL, 0);
    run = begun;
    run.settings = "method gradient\ntop-k 3\n";
    expect_error(check(&run), SAL_ERROR_ARGUMENT,
                 "{}/results.sqlite: the run was begun with another --top-k: 2, now 3" ADVICE);
    run.settings = "method gradient\n";
    expect_error(check(&run), SAL_ERROR_ARGUMENT,
                 "{}/results.sqlite: the run was begun with another --top-k: 2, now none" ADVICE);
    run.settings = "method gradient\nsigma 1\ntop-k 3\n";
    expect_error(check(&run), SAL_ERROR_ARGUMENT,
                 "{}/results.sqlite: the run was begun with another --sigma: none, now 1" ADVICE);
    run.settings = "method gradient\ntop-k 2\narithmetic 2\n";
    expect_error(
        check(&run), SAL_ERROR_ARGUMENT,
        "{}/results.sqlite: the run was begun by a version whose maps differ in last digits (arithmetic 1, now "
        "2): finish it with that version, or choose another run folder");
    run.shard = 2;
    expect_error(check(&run), SAL_ERROR_ARGUMENT,
                 "{}/results.sqlite: the run was begun with another shard: 1, now 2" ADVICE);
    run.shards = 5;
    expect_error(check(&run), SAL_ERROR_ARGUMENT,
                 "{}/results.sqlite: the run was begun with another number of shards: 4, now 5" ADVICE);
    run.manifest_sha256 = "2223";
    expect_error(check(&run), SAL_ERROR_ARGUMENT,
                 "{}/results.sqlite: the run was begun with another list of pictures (by its SHA-256): 2222, now "
                 "2223; --extend adds pictures to it, --restart throws its results away, or choose another run folder");
    run.model_sha256 = "111";
    expect_error(check(&run), SAL_ERROR_ARGUMENT,
                 "{}/results.sqlite: the run was begun with another model (by its SHA-256): 1111, now 111" ADVICE);
}

Test(run_rows, tell_long_names_of_options_apart)
{
    char name[120];
    sal_run run = plain_run();
    memset(name, 'a', sizeof name);
    name[119] = '\0';
    run.settings = text_from("%sb 1\n%sc 2\n", name, name);
    make_results(store(), &run, list_of_count(1), NULL, 0);
    must(check(&run));
    run.settings = text_from("%sb 1\n%sc 3\n", name, name);
    expect_error(check(&run), SAL_ERROR_ARGUMENT,
                 text_from("{}/results.sqlite: the run was begun with another --%sc: 2, now 3" ADVICE, name));
}

Test(run_rows, of_a_file_without_them_are_an_error)
{
    const sal_run run = plain_run();
    write_text(store(), "");
    expect_error(check(&run), SAL_ERROR_FORMAT, "{}/results.sqlite: no such table: run");
}

/* ---- Rows of a picture --------------------------------------------------- */

static void put_all(const sal_dataset *list, const sal_result *results, size_t count)
{
    const sal_run run = plain_run();
    make_results(store(), &run, list, results, count);
}

Test(rows, hold_everything_of_a_result)
{
    const sal_prediction predictions[] = {{4, 1.5F, 0.75F}, {2, -0.25F, NAN}, {0, 0.0F, 0.0F}};
    const sal_result_map maps[] = {
        {4, 1.5F, 0.75F, {9, 5, -1, 0}, {0.5F, 0.25F, 0.125F, 0.875F}, "maps/000/b.npy", "overlays/000/b.png", -0.5},
        {-1, 2.5F, NAN, {0, 0, 0, 1}, {0, 0, NAN, NAN}, "caf\xE9.npy", NULL, NAN},
    };
    const sal_result result = {.picture = 1,
                               .status = SAL_OK,
                               .bytes = 5000000000,
                               .width = 640,
                               .height = 480,
                               .correct = 1,
                               .predictions = predictions,
                               .prediction_count = 3,
                               .maps = maps,
                               .map_count = 2,
                               .decode_ms = 1.5,
                               .compute_ms = 2.25,
                               .encode_ms = 3.125};
    put_all(list_of("label,path,note\n0,a.png,x\n4,b.png,\"say \"\"no\"\"\"\n"), &result, 1);
    cr_expect_str_eq(rows_of(store(), "SELECT * FROM pictures"),
                     "1|'b.png'|'ok'|NULL|5000000000|640|480|4|1.50000000|0.750000000|1\n");
    cr_expect_str_eq(rows_of(store(), "SELECT * FROM predictions"), "1|1|4|1.50000000|0.750000000\n"
                                                                    "1|2|2|-0.250000000|NULL\n"
                                                                    "1|3|0|0.00000000|0.00000000\n");
    cr_expect_str_eq(rows_of(store(), "SELECT * FROM maps"),
                     "1|1|4|1.50000000|0.750000000|-1.00000000|9.00000000|5.00000000|0|0.500000000|0.250000000|"
                     "0.125000000|0.875000000|'maps/000/b.npy'|'overlays/000/b.png'\n"
                     "1|2|-1|2.50000000|NULL|0.00000000|0.00000000|0.00000000|1|0.00000000|0.00000000|NULL|NULL|"
                     "x'636166e92e6e7079'|NULL\n");
    cr_expect_str_eq(rows_of(store(), "SELECT * FROM timings"), "1|1.50000000|2.25000000|3.12500000\n");
    cr_expect_str_eq(rows_of(store(), "SELECT * FROM manifest"), "1|'4'|'b.png'|'say \"no\"'\n");
}

Test(rows, have_a_gap_where_the_method_has_them)
{
    plain_result plain[2];
    sal_result results[2];
    sal_run run = plain_run();
    run.settings = "method integrated-gradients\ntop-k 2\n";
    for (int i = 0; i < 2; i++)
        results[i] = *make_plain(&plain[i], (size_t)i, 1, 0);
    plain[0].map.gap = -0.125;
    plain[1].map.gap = NAN;
    make_results(store(), &run, list_of_count(2), results, 2);
    cr_expect_str_eq(rows_of(store(), "SELECT picture, completeness_gap FROM maps"), "0|-0.125000000\n1|NULL\n");
}

Test(rows, of_a_failure_have_its_reason_alone)
{
    const sal_result results[] = {
        {.picture = 0,
         .status = SAL_ERROR_FORMAT,
         .error = "a.png: is cut short",
         .bytes = 7,
         .width = 8,
         .height = 9,
         .correct = -1,
         .decode_ms = 0.5,
         .compute_ms = NAN,
         .encode_ms = NAN},
        {.picture = 2, .status = SAL_ERROR_IO, .error = "caf\xE9.png: cannot open", .correct = -1},
    };
    put_all(list_of("path\na.png\nb.png\ncaf\xE9.png\n"), results, 2);
    cr_expect_str_eq(rows_of(store(), "SELECT * FROM pictures"),
                     "0|'a.png'|'format'|'a.png: is cut short'|NULL|NULL|NULL|NULL|NULL|NULL|NULL\n"
                     "2|x'636166e92e706e67'|'io'|x'636166e92e706e673a2063616e6e6f74206f70656e'|NULL|NULL|NULL|NULL|"
                     "NULL|NULL|NULL\n");
    cr_expect_str_eq(rows_of(store(), "SELECT * FROM predictions"), "");
    cr_expect_str_eq(rows_of(store(), "SELECT * FROM maps"), "");
    cr_expect_str_eq(rows_of(store(), "SELECT * FROM timings"), "0|0.500000000|NULL|NULL\n"
                                                                "2|0.00000000|0.00000000|0.00000000\n");
    cr_expect_str_eq(rows_of(store(), "SELECT * FROM manifest"), "0|'a.png'\n2|x'636166e92e706e67'\n");
}

Test(rows, say_right_wrong_or_unknown)
{
    plain_result plain[3];
    sal_result results[3];
    for (int i = 0; i < 3; i++) {
        results[i] = *make_plain(&plain[i], (size_t)i, 1, 0);
        results[i].correct = i - 1;
    }
    put_all(list_of_count(3), results, 3);
    cr_expect_str_eq(rows_of(store(), "SELECT id, correct FROM pictures"), "0|NULL\n1|0\n2|1\n");
}

Test(rows, are_replaced_when_a_picture_is_tried_again)
{
    plain_result plain;
    const sal_result results[] = {
        {.picture = 1, .status = SAL_ERROR_IO, .error = "gone", .correct = -1},
        *make_plain(&plain, 1, 0.5F, 1),
        *make_plain(&plain, 1, 0.5F, 1),
    };
    put_all(list_of_count(2), results, 3);
    cr_expect_str_eq(rows_of(store(), "SELECT * FROM pictures"),
                     "1|'a1.png'|'ok'|NULL|101|30|20|1|0.500000000|0.500000000|NULL\n");
    cr_expect_str_eq(rows_of(store(), "SELECT (SELECT count(*) FROM maps), (SELECT count(*) FROM predictions),"
                                      " (SELECT count(*) FROM timings), (SELECT count(*) FROM manifest)"),
                     "1|1|1|1\n");
}

Test(rows, take_the_most_columns_that_a_list_may_have)
{
    char *text = NULL;
    size_t size;
    plain_result plain;
    FILE *to = open_memstream(&text, &size);
    for (int k = 1; k < SAL_MAX_COLUMNS; k++)
        fprintf(to, "c%d,", k);
    fputs("path\n", to);
    for (int k = 1; k < SAL_MAX_COLUMNS; k++)
        fprintf(to, "v%d,", k);
    fputs("a.png\n", to);
    fclose(to);
    put_all(list_of(text), make_plain(&plain, 0, 1, 0), 1);
    cr_expect_str_eq(rows_of(store(), "SELECT salmap_id, c1, c2, c10, c100, c254, c255, path FROM manifest"),
                     "0|'v1'|'v2'|'v10'|'v100'|'v254'|'v255'|'a.png'\n");
    free(text);
}

/* An error of any table is the put's own, and the statements are ready for the next rows after it. */
Test(rows, that_cannot_be_put_are_an_error)
{
    static const char *const kinds[] = {"pictures", "manifest", "predictions", "maps", "timings"};
    const sal_run run = plain_run();
    sal_dataset *list = list_of_count(3);
    sal_sql sql;
    sal_rows rows;
    plain_result plain;
    triggers_fire = 1;
    make_results(store(), &run, list, NULL, 0);
    must(sal_sql_open(&sql, store(), SQLITE_OPEN_READWRITE));
    must(sal_rows_open(&rows, &sql, list));
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        must(sal_sql_run(&sql, text_from("CREATE TRIGGER t BEFORE INSERT ON %s BEGIN SELECT RAISE(ABORT, 'no %s');"
                                         " END",
                                         kinds[k], kinds[k])));
        expect_error(sal_rows_put(&rows, make_plain(&plain, 1, 1, 0)), SAL_ERROR_IO,
                     text_from("{}/results.sqlite: SQLite: no %s", kinds[k]));
        must(sal_sql_run(&sql, "DROP TRIGGER t"));
        must(sal_rows_put(&rows, make_plain(&plain, 1, 1, 0)));
    }
    sal_rows_close(&rows);
    for (int k = 0; k < SAL_ROWS_TABLES; k++)
        cr_expect_null(rows.insert[k]);
    sal_rows_close(&rows);
    sal_sql_close(&sql);
}

Test(rows, need_their_tables)
{
    sal_sql sql;
    sal_rows rows;
    const sal_run run = plain_run();
    sal_dataset *list = list_of_count(1), *wider = list_of("path,label\na.png,1\n");
    make_results(store(), &run, list, NULL, 0);
    must(sal_sql_open(&sql, store(), SQLITE_OPEN_READWRITE));
    expect_error(sal_rows_open(&rows, &sql, wider), SAL_ERROR_FORMAT,
                 "{}/results.sqlite: table manifest has 2 columns but 3 values were supplied");
    sal_rows_close(&rows);
    must(sal_sql_run(&sql, "DROP TABLE timings"));
    expect_error(sal_rows_open(&rows, &sql, list), SAL_ERROR_FORMAT, "{}/results.sqlite: no such table: timings");
    sal_rows_close(&rows);
    sal_sql_close(&sql);
}

/* SQLite refuses values to a statement that is under way. */
Test(rows, let_go_of_statements_that_stopped_midway)
{
    const sal_run run = plain_run();
    sal_dataset *list = list_of_count(1);
    sal_sql sql;
    sal_rows rows;
    make_results(store(), &run, list, NULL, 0);
    must(sal_sql_open(&sql, store(), SQLITE_OPEN_READWRITE));
    must(sal_rows_open(&rows, &sql, list));
    for (int k = 0; k < SAL_ROWS_TABLES; k++) {
        must(sal_sql_bind_integer(&sql, rows.insert[k], 1, 0));
        (void)sqlite3_step(rows.insert[k]);
        cr_assert_neq(sqlite3_bind_null(rows.insert[k], 1), SQLITE_OK, "table %d", k);
    }
    sal_rows_reset(&rows);
    for (int k = 0; k < SAL_ROWS_TABLES; k++)
        cr_expect_eq(sqlite3_bind_null(rows.insert[k], 1), SQLITE_OK, "table %d", k);
    sal_rows_close(&rows);
    sal_sql_close(&sql);
}

/* ---- The highest scores -------------------------------------------------- */

/* Overlays that stay of those of pictures 0 to 5. */
static const char *kept(int64_t n)
{
    static const float scores[] = {1, 3, 2, 3, 2, -1};
    plain_result plain[6];
    sal_result results[6];
    sal_sql sql;
    sqlite3_stmt *s = NULL;
    for (size_t i = 0; i < 6; i++)
        results[i] = *make_plain(&plain[i], i, scores[i], i != 4);
    (void)remove(store());
    put_all(list_of_count(6), results, 6);
    /* Scores of further maps have no say, their overlays go with the picture's. */
    change(store(),
           "INSERT INTO maps(picture, rank, score, overlay_file) VALUES(0, 2, 9, 'second'), (1, 2, 9, 'other')");
    must(sal_sql_open(&sql, store(), SQLITE_OPEN_READWRITE));
    must(sal_sql_prepare(&s, &sql, sal_store_keep_top_sql));
    must(sal_sql_bind_integer(&sql, s, 1, n));
    must(sal_sql_step_done(&sql, s));
    sqlite3_finalize(s);
    sal_sql_close(&sql);
    return rows_of(store(),
                   "SELECT group_concat(picture || '.' || rank, ' ') FROM maps WHERE overlay_file IS NOT NULL");
}

Test(tables, keep_overlays_of_the_highest_scores)
{
    cr_expect_str_eq(kept(0), "NULL\n");
    cr_expect_str_eq(kept(1), "'1.1 1.2'\n");
    cr_expect_str_eq(kept(2), "'1.1 1.2 3.1'\n");
    cr_expect_str_eq(kept(3), "'1.1 1.2 2.1 3.1'\n");
    /* The fourth is picture 4, which has none. */
    cr_expect_str_eq(kept(4), "'1.1 1.2 2.1 3.1'\n");
    cr_expect_str_eq(kept(5), "'0.1 0.2 1.1 1.2 2.1 3.1'\n");
    cr_expect_str_eq(kept(6), "'0.1 0.2 1.1 1.2 2.1 3.1 5.1'\n");
    cr_expect_str_eq(kept(1000), "'0.1 0.2 1.1 1.2 2.1 3.1 5.1'\n");
}
