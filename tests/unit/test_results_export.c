/* Results as text, byte for byte. */
#define _GNU_SOURCE /* fopencookie */
#include "results/export.h"
#include "results_support.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(export, .init = make_scratch, .fini = remove_scratch, .timeout = 120);

/* Columns of a line after the manifest's own. */
#define PICTURE_NAMES ",status,error,bytes,width,height,predicted,predicted_score,predicted_probability,correct"
#define MAP_NAMES                                                                                                      \
    ",rank,target,score,probability,map_min,map_peak,map_mean,flat,normalized_mean,normalized_std,center_x,center_y,"  \
    "map_file,overlay_file"

static const char *store(void)
{
    return scratch("run/results.sqlite");
}

static void make_run(const char *manifest, const char *settings, const sal_result *results, size_t count)
{
    sal_run run = plain_run();
    run.settings = settings;
    make_results(store(), &run, list_of(manifest), results, count);
}

static sal_status export_as(const char **text, sal_export_format format, int timings)
{
    const sal_export_options options = {.size = sizeof options, .format = format, .timings = timings};
    sal_status st = sal_sweep_export(scratch("run"), scratch("out"), NULL, NULL, &options);
    *text = text_of(scratch("out"));
    (void)remove(scratch("out"));
    return st;
}

static const char *csv(void)
{
    const char *text;
    must(export_as(&text, SAL_EXPORT_CSV, 0));
    return text;
}

static const char *json(void)
{
    const char *text;
    must(export_as(&text, SAL_EXPORT_JSON, 0));
    return text;
}

/* Three pictures of a list with columns on both sides of the path: one with all there is, one that failed, one whose
 * model gives no probabilities and whose maps were not kept. */
static void make_rich(void)
{
    static const sal_prediction best[] = {{4, 1.5F, 0.75F}, {2, -0.25F, 0.1F}};
    static const sal_prediction alone[] = {{0, 1234.56787F, NAN}};
    static const sal_result_map maps[] = {
        {4,
         1.5F,
         0.75F,
         {9, 5, -1, 0},
         {0.5F, 0.25F, 0.125F, 0.875F},
         "maps/000/a.npy",
         "overlays/000/a, b.png",
         -0.25},
        {-1, 2.5F, NAN, {0, 0, 0, 1}, {0, 0, NAN, NAN}, "maps/000/a-2.npy", NULL, NAN},
    };
    static const sal_result_map none[] = {{0, 1e-7F, NAN, {1, 1, 1, 0}, {1, 0, 0.5F, 0.5F}, NULL, NULL, NAN}};
    const sal_result results[] = {
        {.picture = 0,
         .bytes = 77,
         .width = 640,
         .height = 480,
         .correct = 1,
         .predictions = best,
         .prediction_count = 2,
         .maps = maps,
         .map_count = 2,
         .decode_ms = 1.5,
         .compute_ms = 0.1,
         .encode_ms = 3},
        {.picture = 1,
         .status = SAL_ERROR_FORMAT,
         .error = "b \"x\".png: is cut,\nshort",
         .correct = -1,
         .decode_ms = 0.25,
         .compute_ms = NAN,
         .encode_ms = NAN},
        {.picture = 2,
         .bytes = 5000000000,
         .width = 1,
         .height = 2,
         .correct = 0,
         .predictions = alone,
         .prediction_count = 1,
         .maps = none,
         .map_count = 1,
         .decode_ms = 4,
         .compute_ms = 5,
         .encode_ms = 6},
    };
    make_run("label,Path,note\n4,a.png,\"one, two\"\n,\"b \"\"x\"\".png\",\n0,caf\xE9.png,three\n",
             "method gradient\ntop-k 3\n", results, 3);
}

Test(export, csv_has_a_line_for_each_map_and_one_for_a_failure)
{
    make_rich();
    cr_expect_str_eq(
        csv(),
        "path,label,note" PICTURE_NAMES MAP_NAMES ",top1,top1_score,top1_probability,top2,top2_score,top2_probability,"
        "top3,top3_score,top3_probability\n"
        "a.png,4,\"one, two\",ok,,77,640,480,4,1.5,0.75,1,1,4,1.5,0.75,-1,9,5,0,0.5,0.25,0.125,0.875,maps/000/a.npy,"
        "\"overlays/000/a, b.png\",4,1.5,0.75,2,-0.25,0.100000001,,,\n"
        "a.png,4,\"one, two\",ok,,77,640,480,4,1.5,0.75,1,2,-1,2.5,,0,0,0,1,0,0,,,maps/000/a-2.npy,,4,1.5,0.75,2,"
        "-0.25,0.100000001,,,\n"
        "\"b \"\"x\"\".png\",,,format,\"b \"\"x\"\".png: is cut,\nshort\",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,\n"
        "caf\xE9.png,0,three,ok,,5000000000,1,2,0,1234.56787,,0,1,0,1.00000001e-07,,1,1,1,0,1,0,0.5,0.5,,,0,1234.56787,"
        ",,,,,,\n");
}

Test(export, gaps_come_after_the_map_they_are_of)
{
    const char *text;
    plain_result plain;
    const sal_result *result = make_plain(&plain, 0, 1, 0);
    plain.map.gap = -0.125;
    make_run("path\na0.png\n", "method integrated-gradients\ntop-k 1\n", result, 1);
    must(export_as(&text, SAL_EXPORT_CSV, 0));
    cr_expect(strstr(text, ",overlay_file,completeness_gap,top1,"), "%s", text);
    cr_expect(strstr(text, ",maps/000/a0.npy,,-0.125,"), "%s", text);
    must(export_as(&text, SAL_EXPORT_JSON, 0));
    cr_expect(strstr(text, "\"completeness_gap\": -0.125"), "%s", text);
}

Test(export, csv_has_timings_where_they_are_asked_for)
{
    const char *text;
    make_rich();
    must(export_as(&text, SAL_EXPORT_CSV, 1));
    cr_expect_str_eq(
        text,
        "path,label,note" PICTURE_NAMES MAP_NAMES ",top1,top1_score,top1_probability,top2,top2_score,top2_probability,"
        "top3,top3_score,top3_probability,decode_ms,compute_ms,encode_ms\n"
        "a.png,4,\"one, two\",ok,,77,640,480,4,1.5,0.75,1,1,4,1.5,0.75,-1,9,5,0,0.5,0.25,0.125,0.875,maps/000/a.npy,"
        "\"overlays/000/a, b.png\",4,1.5,0.75,2,-0.25,0.100000001,,,,1.5,0.1,3\n"
        "a.png,4,\"one, two\",ok,,77,640,480,4,1.5,0.75,1,2,-1,2.5,,0,0,0,1,0,0,,,maps/000/a-2.npy,,4,1.5,0.75,2,"
        "-0.25,0.100000001,,,,1.5,0.1,3\n"
        "\"b \"\"x\"\".png\",,,format,\"b \"\"x\"\".png: is cut,\nshort\",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,0.25,,\n"
        "caf\xE9.png,0,three,ok,,5000000000,1,2,0,1234.56787,,0,1,0,1.00000001e-07,,1,1,1,0,1,0,0.5,0.5,,,0,1234.56787,"
        ",,,,,,,4,5,6\n");
}

Test(export, json_has_an_object_a_line)
{
    static const char wanted[] =
        "{\"path\": \"a.png\", \"manifest\": {\"label\": \"4\", \"note\": \"one, two\"}, \"status\": \"ok\", "
        "\"error\": null, \"bytes\": 77, \"width\": 640, \"height\": 480, \"predicted\": 4, \"predicted_score\": 1.5, "
        "\"predicted_probability\": 0.75, \"correct\": 1, \"predictions\": [{\"output\": 4, \"score\": 1.5, "
        "\"probability\": 0.75}, {\"output\": 2, \"score\": -0.25, \"probability\": 0.100000001}], \"maps\": "
        "[{\"rank\": 1, \"target\": 4, \"score\": 1.5, \"probability\": 0.75, \"map_min\": -1, \"map_peak\": 9, "
        "\"map_mean\": 5, \"flat\": 0, \"normalized_mean\": 0.5, \"normalized_std\": 0.25, \"center_x\": 0.125, "
        "\"center_y\": 0.875, \"map_file\": \"maps/000/a.npy\", \"overlay_file\": \"overlays/000/a, b.png\"}, "
        "{\"rank\": 2, \"target\": -1, \"score\": 2.5, \"probability\": null, \"map_min\": 0, \"map_peak\": 0, "
        "\"map_mean\": 0, \"flat\": 1, \"normalized_mean\": 0, \"normalized_std\": 0, \"center_x\": null, "
        "\"center_y\": null, \"map_file\": \"maps/000/a-2.npy\", \"overlay_file\": null}]%s}\n"
        "{\"path\": \"b \\\"x\\\".png\", \"manifest\": {\"label\": \"\", \"note\": \"\"}, \"status\": \"format\", "
        "\"error\": \"b \\\"x\\\".png: is cut,\\u000ashort\", \"bytes\": null, \"width\": null, \"height\": null, "
        "\"predicted\": null, \"predicted_score\": null, \"predicted_probability\": null, \"correct\": null, "
        "\"predictions\": [], \"maps\": []%s}\n"
        "{\"path\": \"caf\\ufffd.png\", \"path_hex\": \"636166e92e706e67\", \"manifest\": {\"label\": \"0\", "
        "\"note\": \"three\"}, \"status\": \"ok\", \"error\": null, \"bytes\": 5000000000, \"width\": 1, "
        "\"height\": 2, \"predicted\": 0, \"predicted_score\": 1234.56787, \"predicted_probability\": null, "
        "\"correct\": 0, \"predictions\": [{\"output\": 0, \"score\": 1234.56787, \"probability\": null}], \"maps\": "
        "[{\"rank\": 1, \"target\": 0, \"score\": 1.00000001e-07, \"probability\": null, \"map_min\": 1, "
        "\"map_peak\": 1, \"map_mean\": 1, \"flat\": 0, \"normalized_mean\": 1, \"normalized_std\": 0, "
        "\"center_x\": 0.5, \"center_y\": 0.5, \"map_file\": null, \"overlay_file\": null}]%s}\n";
    const char *text;
    make_rich();
    cr_expect_str_eq(json(), text_from(wanted, "", "", ""));
    must(export_as(&text, SAL_EXPORT_JSON, 1));
    cr_expect_str_eq(text, text_from(wanted, ", \"decode_ms\": 1.5, \"compute_ms\": 0.1, \"encode_ms\": 3",
                                     ", \"decode_ms\": 0.25, \"compute_ms\": null, \"encode_ms\": null",
                                     ", \"decode_ms\": 4, \"compute_ms\": 5, \"encode_ms\": 6"));
}

Test(export, csv_is_the_default)
{
    make_rich();
    must(sal_sweep_export(scratch("run"), scratch("plain"), NULL, NULL, NULL));
    cr_expect_str_eq(text_of(scratch("plain")), csv());
}

/* In the order of the list, whatever the order they came in, and only those that are there. */
Test(export, is_in_the_order_of_the_list)
{
    plain_result plain[4];
    const sal_result results[] = {*make_plain(&plain[0], 3, 3, 0), *make_plain(&plain[1], 0, 0, 0),
                                  *make_plain(&plain[2], 2, 2, 0)};
    make_run("path\na0.png\na1.png\na2.png\na3.png\n", "method gradient\ntop-k 1\n", results, 3);
    cr_expect_str_eq(csv(),
                     "path" PICTURE_NAMES MAP_NAMES ",top1,top1_score,top1_probability\n"
                     "a0.png,ok,,100,30,20,0,0,0.5,,1,0,0,0.5,1,4,2,0,0.25,0.125,0.5,0.75,maps/000/a0.npy,,0,0,0.5\n"
                     "a2.png,ok,,102,30,20,2,2,0.5,,1,2,2,0.5,1,4,2,0,0.25,0.125,0.5,0.75,maps/000/a2.npy,,2,2,0.5\n"
                     "a3.png,ok,,103,30,20,3,3,0.5,,1,3,3,0.5,1,4,2,0,0.25,0.125,0.5,0.75,maps/000/a3.npy,,3,3,0.5\n");
    make_run("path\na.png\n", "top-k 1\n", NULL, 0);
    cr_expect_str_eq(csv(), "path" PICTURE_NAMES MAP_NAMES ",top1,top1_score,top1_probability\n");
    cr_expect_str_eq(json(), "");
}

/* ---- Names of columns ---------------------------------------------------- */

/* The header's part that is the manifest's. */
static const char *header_of(const char *names, int columns, int64_t kept)
{
    char commas[64] = "";
    memset(commas, ',', (size_t)columns);
    make_run(text_from("path,%s\na.png%s\n", names, commas), text_from("top-k %lld\n", (long long)kept), NULL, 0);
    const char *header = csv();
    return text_from("%.*s", (int)(strstr(header, PICTURE_NAMES) - header), header);
}

Test(export, tells_columns_of_the_manifest_from_its_own)
{
    cr_expect_str_eq(header_of("status,error,correct,predicted", 4, 0),
                     "path,manifest_status,manifest_error,manifest_correct,manifest_predicted");
    cr_expect_str_eq(header_of("rank,overlay_file,map_min,center_y", 4, 0),
                     "path,manifest_rank,manifest_overlay_file,manifest_map_min,manifest_center_y");
    cr_expect_str_eq(header_of("decode_ms,compute_ms,encode_ms", 3, 0),
                     "path,manifest_decode_ms,manifest_compute_ms,manifest_encode_ms");
    cr_expect_str_eq(header_of("Status,statu,status2,id,\"a,b\"", 5, 0), "path,Status,statu,status2,id,\"a,b\"");
}

Test(export, tells_columns_that_look_like_predictions_where_it_has_them)
{
    cr_expect_str_eq(header_of("top0,top9_score,top,topic,top/,top:,Top1,to1", 8, 1),
                     "path,manifest_top0,manifest_top9_score,top,topic,top/,top:,Top1,to1");
    cr_expect_str_eq(header_of("top0,top1", 2, 0), "path,top0,top1");
}

Test(export, gives_no_name_twice)
{
    cr_expect_str_eq(header_of("status,manifest_status", 2, 0), "path,manifest_manifest_status,manifest_status");
    cr_expect_str_eq(header_of("MANIFEST_status,status", 2, 0), "path,MANIFEST_status,manifest_manifest_status");
    cr_expect_str_eq(header_of("manifest_status,status,manifest_manifest_status", 3, 0),
                     "path,manifest_status,manifest_manifest_manifest_status,manifest_manifest_status");
    cr_expect_str_eq(header_of("manifest_status", 1, 0), "path,manifest_status");
}

Test(export, cuts_no_name)
{
    char name[1200];
    memset(name, 'x', sizeof name);
    memcpy(name, "top1", 4);
    name[sizeof name - 1] = '\0';
    cr_expect_str_eq(header_of(name, 1, 1), text_from("path,manifest_%s", name));
    cr_expect_str_eq(header_of(text_from("%sa,%sb", name, name), 2, 0), text_from("path,%sa,%sb", name, name));
}

/* ---- Predictions --------------------------------------------------------- */

static void set_kept(const char *value)
{
    make_run("path\na.png\n", "method gradient\n", NULL, 0);
    if (value)
        change(store(), text_from("INSERT INTO run VALUES('option.top-k', %s)", value));
}

Test(export, has_as_many_predictions_as_the_run_keeps)
{
    static const char impossible[] = "{}/run/results.sqlite: an impossible number of predictions";
    const char *text;
    set_kept(NULL);
    cr_expect_str_eq(csv(), "path" PICTURE_NAMES MAP_NAMES "\n");
    set_kept("0");
    cr_expect_str_eq(csv(), "path" PICTURE_NAMES MAP_NAMES "\n");
    set_kept("'1'");
    cr_expect_str_eq(csv(), "path" PICTURE_NAMES MAP_NAMES ",top1,top1_score,top1_probability\n");
    set_kept("4096");
    cr_expect_not_null(strstr(csv(), ",top4096,top4096_score,top4096_probability\n"));
    set_kept("4097");
    expect_error(export_as(&text, SAL_EXPORT_CSV, 0), SAL_ERROR_FORMAT, impossible);
    cr_expect_str_eq(text, "(none)");
    set_kept("-1");
    expect_error(export_as(&text, SAL_EXPORT_JSON, 0), SAL_ERROR_FORMAT, impossible);
}

/* ---- Paths that are no UTF-8 --------------------------------------------- */

Test(export, json_has_all_bytes_of_a_path_in_hexadecimal)
{
    plain_result plain;
    static const char *const lengths[] = {"4094", "4095", "4999"};
    static const size_t digits[] = {8190, 8192, 10000};
    for (size_t i = 0; i < 3; i++) {
        make_run("path\na.png\n", "", make_plain(&plain, 0, 0, 0), 1);
        change(store(), text_from("UPDATE pictures SET path = x'ff' || CAST(printf('%%.*c', %s, 'a') AS BLOB);"
                                  "UPDATE pictures SET path = CAST(path AS BLOB);"
                                  "UPDATE manifest SET path = (SELECT path FROM pictures)",
                                  lengths[i]));
        const char *hex = strstr(json(), "\"path_hex\": \"ff6161");
        cr_assert_not_null(hex);
        hex += strlen("\"path_hex\": \"");
        cr_expect_eq(strcspn(hex, "\""), digits[i], "%s: %zu", lengths[i], strcspn(hex, "\""));
    }
    /* A number that no picture has, and none of the list's. */
    const char *text;
    for (int format = SAL_EXPORT_CSV; format <= SAL_EXPORT_JSON; format++) {
        change(store(), "UPDATE pictures SET id = -2");
        expect_error(
            export_as(&text, (sal_export_format)format, 0), SAL_ERROR_FORMAT,
            "{}/run/results.sqlite: is damaged: table pictures, picture -2: its number is none, or there twice");
    }
}

/* ---- Damage -------------------------------------------------------------- */

Test(export, tells_pictures_whose_rows_are_not_whole)
{
    static const char damaged[] = "{}/run/results.sqlite: is damaged: picture 1 has no full row";
    const char *text;
    make_rich();
    change(store(), "DELETE FROM timings WHERE picture = 1");
    cr_expect_neq(strlen(csv()), 0);
    expect_error(export_as(&text, SAL_EXPORT_CSV, 1), SAL_ERROR_FORMAT, damaged);
    expect_error(export_as(&text, SAL_EXPORT_JSON, 1), SAL_ERROR_FORMAT, damaged);
    change(store(), "DELETE FROM timings");
    expect_error(export_as(&text, SAL_EXPORT_CSV, 1), SAL_ERROR_FORMAT,
                 "{}/run/results.sqlite: is damaged: picture 0 has no full row");
    change(store(), "DELETE FROM manifest WHERE salmap_id = 1");
    expect_error(export_as(&text, SAL_EXPORT_CSV, 0), SAL_ERROR_FORMAT, damaged);
    cr_expect_str_eq(text, "(none)");
}

Test(export, needs_every_table)
{
    static const char *const tables[] = {"run", "timings", "predictions", "maps", "manifest", "pictures"};
    const char *text;
    make_rich();
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        change(store(), text_from("DROP TABLE %s", tables[i]));
        expect_error(
            export_as(&text, SAL_EXPORT_CSV, 1), SAL_ERROR_FORMAT,
            text_from("{}/run/results.sqlite: is damaged, or no results of salmap (no such table: %s)", tables[i]));
    }
}

Test(export, of_a_file_that_is_no_result_is_an_error)
{
    const char *text;
    write_text(store(), "These are no results, but they are long enough to be looked at.\n");
    expect_error(export_as(&text, SAL_EXPORT_CSV, 0), SAL_ERROR_FORMAT,
                 "{}/run/results.sqlite: is damaged, or no results of salmap (file is not a database)");
    (void)remove(store());
    make_folder(store());
    cr_expect_eq(export_as(&text, SAL_EXPORT_CSV, 0), SAL_ERROR_IO);
    cr_expect_eq(strncmp(last_error(), "{}/run/results.sqlite: ", 23), 0, "%s", last_error());
}

/* ---- Where it comes from ------------------------------------------------- */

Test(export, finds_results_or_says_what_to_do)
{
    const char *text;
    expect_error(export_as(&text, SAL_EXPORT_CSV, 0), SAL_ERROR_IO,
                 "{}/run: is no run folder: there is no results.sqlite in it");
    make_folder(scratch("run/shards"));
    expect_error(export_as(&text, SAL_EXPORT_CSV, 0), SAL_ERROR_IO,
                 "{}/run: its shards are not merged: run 'salmap merge {}/run' first");
    make_rich();
    cr_expect_neq(strlen(csv()), 0);
}

static int count_write(void *context, const char *bytes, size_t size)
{
    (void)bytes;
    *(size_t *)context += size;
    return 0;
}

Test(export, needs_a_run_and_somewhere_to_write)
{
    static const char wanted[] = "an export needs a run folder, and a path or a function to write";
    size_t size = 0;
    make_rich();
    expect_error(sal_sweep_export(NULL, scratch("out"), NULL, NULL, NULL), SAL_ERROR_ARGUMENT, wanted);
    expect_error(sal_sweep_export(NULL, NULL, count_write, &size, NULL), SAL_ERROR_ARGUMENT, wanted);
    expect_error(sal_sweep_export(scratch("run"), NULL, NULL, NULL, NULL), SAL_ERROR_ARGUMENT, wanted);
    must(sal_sweep_export(scratch("run"), NULL, count_write, &size, NULL));
    cr_expect_eq(size, strlen(csv()));
}

/* ---- Where it goes ------------------------------------------------------- */

typedef struct taken {
    char text[1 << 17];
    size_t size;
    int calls;
    int stop_at; /* call that is not taken, from 1; 0: none */
} taken;

static int take(void *context, const char *bytes, size_t size)
{
    taken *t = context;
    if (++t->calls == t->stop_at)
        return 1;
    cr_assert_lt(t->size + size, sizeof t->text);
    memcpy(t->text + t->size, bytes, size);
    t->size += size;
    return 0;
}

Test(export, gives_a_function_the_same_bytes)
{
    static taken t;
    make_rich();
    must(sal_sweep_export(scratch("run"), NULL, take, &t, NULL));
    cr_expect_str_eq(t.text, csv());
}

/* Enough pictures for a stream to be emptied several times. */
static void make_long(size_t count)
{
    const sal_run run = plain_run();
    plain_result *plain = calloc(count, sizeof *plain);
    sal_result *results = calloc(count, sizeof *results);
    cr_assert(plain && results);
    for (size_t i = 0; i < count; i++)
        results[i] = *make_plain(&plain[i], i, (float)i, 1);
    make_results(store(), &run, list_of_count(count), results, count);
    free(results);
    free(plain);
}

Test(export, ends_where_a_function_stops_it)
{
    static taken t;
    make_long(200);
    t.stop_at = 1;
    expect_error(sal_sweep_export(scratch("run"), NULL, take, &t, NULL), SAL_ERROR_CANCELLED, "the export was stopped");
    cr_expect_eq(t.calls, 1);
    t.calls = 0;
    t.stop_at = 2;
    expect_error(sal_sweep_export(scratch("run"), NULL, take, &t, NULL), SAL_ERROR_CANCELLED, "the export was stopped");
    cr_expect_eq(t.calls, 2);
    cr_expect_eq(strncmp(t.text, csv(), t.size), 0);
}

/* A failure tells more than that it was stopped. */
Test(export, tells_a_failure_to_a_function_s_caller)
{
    size_t size = 0;
    make_rich();
    change(store(), "DELETE FROM manifest WHERE salmap_id = 2");
    expect_error(sal_sweep_export(scratch("run"), NULL, count_write, &size, NULL), SAL_ERROR_FORMAT,
                 "{}/run/results.sqlite: is damaged: picture 2 has no full row");
}

Test(export, writes_a_file_whole_or_not_at_all)
{
    make_rich();
    write_text(scratch("to/results.csv"), "as it was");
    change(store(), "DELETE FROM manifest WHERE salmap_id = 2");
    cr_expect_eq(sal_sweep_export(scratch("run"), scratch("to/results.csv"), NULL, NULL, NULL), SAL_ERROR_FORMAT);
    cr_expect_str_eq(text_of(scratch("to/results.csv")), "as it was");
    cr_expect_str_eq(names_in(scratch("to")), "results.csv ");
    make_rich();
    must(sal_sweep_export(scratch("run"), scratch("to/results.csv"), NULL, NULL, NULL));
    cr_expect_str_eq(text_of(scratch("to/results.csv")), csv());
    cr_expect_str_eq(names_in(scratch("to")), "results.csv ");
    expect_error(sal_sweep_export(scratch("run"), scratch("nowhere/results.csv"), NULL, NULL, NULL), SAL_ERROR_IO,
                 "{}/nowhere/results.csv: cannot create: No such file or directory");
}

/* A stream whose every write is refused, and which counts them. It asks for the locale, too. */
typedef struct refusing {
    int calls;
    locale_t locale;
} refusing;

static ssize_t refuse(void *cookie, const char *bytes, size_t size)
{
    refusing *r = cookie;
    (void)bytes;
    (void)size;
    r->calls++;
    r->locale = uselocale((locale_t)0);
    return 0;
}

Test(export, stops_at_a_stream_that_takes_no_more)
{
    static const sal_export_options options = {.size = sizeof options, .format = SAL_EXPORT_JSON};
    static char buffer[256];
    refusing r = {.calls = 0};
    sal_sql sql;
    make_long(500);
    must(sal_sql_open(&sql, store(), SQLITE_OPEN_READONLY));
    FILE *to = fopencookie(&r, "w", (cookie_io_functions_t){.write = refuse});
    setvbuf(to, buffer, _IOFBF, sizeof buffer);
    must(sal_export_print(to, &sql, NULL, &options));
    cr_expect(ferror(to));
    /* One object is about 600 bytes: the first fails, and there is no second. */
    cr_expect_lt(r.calls, 200, "%d writes", r.calls);
    fclose(to);
    sal_sql_close(&sql);
}

/* A decimal point is a point, whatever the locale of the thread, which is as before in the end. */
Test(export, is_in_the_plain_locale)
{
    static const sal_export_options options = {.size = sizeof options, .format = SAL_EXPORT_JSON};
    refusing r = {.calls = 0};
    sal_sql sql;
    const locale_t before = uselocale((locale_t)0);
    make_rich();
    must(sal_sql_open(&sql, store(), SQLITE_OPEN_READONLY));
    FILE *to = fopencookie(&r, "w", (cookie_io_functions_t){.write = refuse});
    setvbuf(to, NULL, _IONBF, 0);
    must(sal_export_print(to, &sql, NULL, &options));
    fclose(to);
    sal_sql_close(&sql);
    cr_expect_gt(r.calls, 0);
    cr_expect_neq(r.locale, before);
    cr_expect_eq(uselocale((locale_t)0), before);
}

/* ---- Runs that were cut off ---------------------------------------------- */

/* A process that ended without its store's end leaves a journal beside it. */
static void leave_journal(const char *from)
{
    sqlite3 *db;
    cr_assert_eq(sqlite3_open(from, &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db,
                              "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
                              "UPDATE pictures SET width = 4321 WHERE id = 0",
                              NULL, NULL, NULL),
                 SQLITE_OK);
    copy_with_journal(from, scratch("cut/results.sqlite"));
    sqlite3_close(db);
}

Test(export, reads_a_run_that_was_cut_off)
{
    make_rich();
    leave_journal(store());
    cr_assert(exists(scratch("cut/results.sqlite-wal")));
    must(sal_sweep_export(scratch("cut"), scratch("out"), NULL, NULL, NULL));
    cr_expect_not_null(strstr(text_of(scratch("out")), "a.png,4,\"one, two\",ok,,77,4321,480,"));
}

TestSuite(read_only, .init = make_scratch_as_nobody, .fini = remove_scratch, .timeout = 120);

Test(read_only, says_where_a_run_that_was_cut_off_is_read)
{
    static const char cannot[] = "{}/cut/results.sqlite: cannot open: unable to open database file";
    make_rich();
    leave_journal(store());
    chmod(scratch("cut"), 0555);
    expect_error(sal_sweep_export(scratch("cut"), scratch("out"), NULL, NULL, NULL), SAL_ERROR_IO,
                 text_from("%s; a run that was cut off is read where its folder is writable", cannot));
    chmod(scratch("cut"), 0755);
}

Test(read_only, adds_nothing_to_other_errors)
{
    make_rich();
    const char *wanted = csv();
    chmod(scratch("run"), 0555);
    must(sal_sweep_export(scratch("run"), scratch("out"), NULL, NULL, NULL));
    cr_expect_str_eq(text_of(scratch("out")), wanted);
    /* No journal. */
    expect_error(sal_sweep_export(scratch("run"), scratch("nowhere/out"), NULL, NULL, NULL), SAL_ERROR_IO,
                 "{}/nowhere/out: cannot create: No such file or directory");
    chmod(scratch("run"), 0755);
    /* A journal, and a folder that is writable. */
    leave_journal(store());
    expect_error(sal_sweep_export(scratch("cut"), scratch("nowhere/out"), NULL, NULL, NULL), SAL_ERROR_IO,
                 "{}/nowhere/out: cannot create: No such file or directory");
}
