/* One run out of its shards: what is put together equals the run that was never split, and whatever does not fit is
 * named. */
#include "results_support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PICTURES = 12 };

static int sync_fails;
static int whole_at_sync; /* 1: the result was there when its folder was synced */

int __wrap_syncfs(int fd);

int __wrap_syncfs(int fd)
{
    (void)fd;
    whole_at_sync = exists(scratch("run/results.sqlite"));
    errno = EIO;
    return sync_fails ? -1 : 0;
}

/* The rename that fails, from 1. */
static int rename_fails_at;
static int renames;

int __wrap_renameat(int from_folder, const char *from, int to_folder, const char *to);
int __real_renameat(int from_folder, const char *from, int to_folder, const char *to);

int __wrap_renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    errno = EIO;
    return ++renames == rename_fails_at ? -1 : __real_renameat(from_folder, from, to_folder, to);
}

/* ---- Shards -------------------------------------------------------------- */

static sal_dataset *list;
static sal_run run;
static char list_hash[65];

static void begin_list(void)
{
    char *text;
    size_t size;
    list = list_of_count(PICTURES);
    must(sal_dataset_text(&text, &size, list));
    must(sal_run_hash(list_hash, text, size));
    free(text);
    run = plain_run();
    run.manifest_sha256 = list_hash;
    run.settings = "method gradient\noverlays all\ntop-k 1\n";
}

static void begin_as_nobody(void)
{
    make_scratch_as_nobody();
    begin_list();
}

static void begin(void)
{
    make_scratch();
    begin_list();
}

TestSuite(merge, .init = begin, .fini = remove_scratch, .timeout = 120);
TestSuite(merge_as_nobody, .init = begin_as_nobody, .fini = remove_scratch, .timeout = 120);

/* Scores with ties; the fifth picture failed. */
static sal_result result_of(plain_result *plain, size_t row)
{
    if (row == 4)
        return (sal_result){.picture = 4, .status = SAL_ERROR_FORMAT, .error = "a4.png: is cut short", .correct = -1};
    return *make_plain(plain, row, (float)(row * 5 % 7), row != 2);
}

/* The results of a part of the list, without files. */
static void put_results(const char *path, int64_t shard, int64_t shards)
{
    plain_result plain[PICTURES];
    sal_result results[PICTURES];
    size_t count = 0;
    run.shard = shard;
    run.shards = shards;
    for (size_t row = 0; row < list->count; row++)
        if (sal_dataset_in_shard(list, row, shard, shards)) {
            results[count] = result_of(&plain[count], row);
            count++;
        }
    make_results(path, &run, list, results, count);
    change(path,
           text_from("INSERT INTO sessions(started, ended, outcome, version, host, device, shard, shards, pictures)"
                     " VALUES('first', 'e', 'stopped', 'v', 'h', 'cpu', %lld, %lld, 1),"
                     " ('second', NULL, NULL, 'v', 'h', 'gpu', %lld, %lld, %zu)",
                     (long long)shard, (long long)shards, (long long)shard, (long long)shards, count - 1));
}

static const char *shard_in(const char *folder, int64_t shard, int64_t shards)
{
    return scratch("%s/shards/%lld-of-%lld.sqlite", folder, (long long)shard, (long long)shards);
}

/* A shard with its files and what describes the run. */
static void put_shard(const char *folder, int64_t shard, int64_t shards)
{
    put_results(shard_in(folder, shard, shards), shard, shards);
    must(sal_run_describe(scratch("%s", folder), &run, list, NULL, 0, 0));
    for (size_t row = 0; row < list->count; row++)
        if (row != 4 && sal_dataset_in_shard(list, row, shard, shards)) {
            write_text(scratch("%s/maps/000/a%zu.npy", folder, row), text_from("map %zu", row));
            if (row != 2)
                write_text(scratch("%s/overlays/000/a%zu.overlay.png", folder, row), text_from("overlay %zu", row));
        }
}

static void put_shards(const char *folder, int64_t shards)
{
    for (int64_t i = 0; i < shards; i++)
        put_shard(folder, i, shards);
}

/* The first row of a shard that is not `but`. */
static size_t row_of(int64_t shard, int64_t shards, size_t but)
{
    size_t row = 0;
    while (row == but || !sal_dataset_in_shard(list, row, shard, shards))
        cr_assert_lt(++row, PICTURES);
    return row;
}

static size_t rows_in(int64_t shard, int64_t shards)
{
    size_t count = 0;
    for (size_t row = 0; row < PICTURES; row++)
        count += (size_t)sal_dataset_in_shard(list, row, shard, shards);
    return count;
}

static sal_status merge_in_place(sal_merge_info *info)
{
    const char *const runs[] = {scratch("run")};
    return sal_sweep_merge(info, runs, 1, NULL);
}

static sal_status merge_into(sal_merge_info *info, const char *first, const char *second)
{
    const char *const runs[] = {scratch("%s", first), second ? scratch("%s", second) : NULL};
    return sal_sweep_merge(info, runs, second ? 2 : 1, scratch("out"));
}

#define refuse(status, text)                                                                                           \
    do {                                                                                                               \
        sal_merge_info unused = SAL_MERGE_INFO_INIT;                                                                   \
        expect_error(merge_in_place(&unused), (status), (text));                                                       \
    } while (0)

static const char *const tables[] = {"run", "pictures", "predictions", "maps", "timings", "manifest"};

/* Tables and CSV equal those of the run that was never split. */
static void expect_whole(const char *folder)
{
    const char *alone = scratch("alone/results.sqlite"), *merged = scratch("%s/results.sqlite", folder);
    (void)remove(alone);
    put_results(alone, 0, 1);
    must(sal_sweep_export(scratch("alone"), scratch("alone.csv"), NULL, NULL, NULL));
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        const char *query = text_from("SELECT * FROM %s ORDER BY 1, 2", tables[i]);
        cr_expect_str_eq(rows_of(merged, query), rows_of(alone, query));
    }
    cr_expect_str_eq(text_of(scratch("%s/results.csv", folder)), text_of(scratch("alone.csv")));
}

/* ---- What comes out ------------------------------------------------------ */

Test(merge, in_place_equals_a_run_that_was_never_split)
{
    static const int64_t counts[] = {2, 3, 5, 30};
    for (size_t k = 0; k < 4; k++) {
        sal_merge_info info = {sizeof info, 9, 9, 9};
        put_shards("run", counts[k]);
        must(merge_in_place(&info));
        cr_expect_eq(info.shards, (size_t)counts[k]);
        cr_expect_eq(info.pictures, PICTURES);
        cr_expect_eq(info.failed, 1);
        expect_whole("run");
        cr_expect(!whole_at_sync);
        cr_expect_str_eq(names_in(scratch("run")),
                         "manifest.csv maps/ overlays/ results.csv results.sqlite run.json shards/ ");
        must(sal_run_remove(scratch("run")));
    }
}

/* Its sessions are those of all shards, in their order. */
Test(merge, keeps_the_sessions)
{
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    put_shards("run", 2);
    must(merge_in_place(&info));
    cr_expect_str_eq(rows_of(scratch("run/results.sqlite"), "SELECT * FROM sessions ORDER BY id"),
                     text_from("1|'first'|'e'|'stopped'|'v'|'h'|'cpu'|0|2|1\n"
                               "2|'second'|NULL|NULL|'v'|'h'|'gpu'|0|2|%zu\n"
                               "3|'first'|'e'|'stopped'|'v'|'h'|'cpu'|1|2|1\n"
                               "4|'second'|NULL|NULL|'v'|'h'|'gpu'|1|2|%zu\n",
                               rows_in(0, 2) - 1, rows_in(1, 2) - 1));
}

Test(merge, of_several_folders_copies_their_files)
{
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    put_shard("a", 0, 3);
    put_shard("b", 1, 3);
    put_shard("a", 2, 3);
    const char *before = names_in(scratch("a/maps/000"));
    must(merge_into(&info, "b", "a"));
    cr_expect_eq(info.shards, 3);
    cr_expect_eq(info.pictures, PICTURES);
    expect_whole("out");
    cr_expect_str_eq(names_in(scratch("out")), "manifest.csv maps/ overlays/ results.csv results.sqlite run.json ");
    cr_expect_str_eq(text_of(scratch("out/run.json")), text_of(scratch("a/run.json")));
    cr_expect_str_eq(text_of(scratch("out/manifest.csv")), text_of(scratch("a/manifest.csv")));
    for (size_t row = 0; row < PICTURES; row++) {
        cr_expect_str_eq(text_of(scratch("out/maps/000/a%zu.npy", row)),
                         row == 4 ? "(none)" : text_from("map %zu", row));
        cr_expect_str_eq(text_of(scratch("out/overlays/000/a%zu.overlay.png", row)),
                         row == 4 || row == 2 ? "(none)" : text_from("overlay %zu", row));
    }
    cr_expect_str_eq(names_in(scratch("a/maps/000")), before);
    cr_expect_str_eq(names_in(scratch("a")), "manifest.csv maps/ overlays/ run.json shards/ ");
    /* Again: nothing changes. */
    must(merge_into(&info, "a", "b"));
    expect_whole("out");
}

Test(merge, of_one_folder_into_another_copies_too)
{
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    put_shards("a", 2);
    must(merge_into(&info, "a", NULL));
    expect_whole("out");
    cr_expect_str_eq(text_of(scratch("out/maps/000/a0.npy")), "map 0");
    cr_expect_str_eq(names_in(scratch("a")), "manifest.csv maps/ overlays/ run.json shards/ ");
}

Test(merge, copies_files_of_every_length)
{
    static const size_t sizes[] = {2, 1, 65535, 65536, 65537, 3 * 65536 + 17};
    static unsigned char bytes[4 << 16];
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    put_shards("a", 2);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 131 + i / 251);
    for (size_t i = 0; i < 6; i++)
        write_bytes(scratch("a/maps/000/a%zu.npy", i < 4 ? i : i + 1), bytes, sizes[i]);
    must(merge_into(&info, "a", NULL));
    for (size_t i = 0; i < 6; i++) {
        struct stat copy;
        const char *path = scratch("out/maps/000/a%zu.npy", i < 4 ? i : i + 1);
        cr_assert_eq(stat(path, &copy), 0);
        cr_expect_eq((size_t)copy.st_size, sizes[i]);
        cr_expect_eq(memcmp(text_of(path), bytes, sizes[i]), 0, "%zu bytes", sizes[i]);
    }
}

Test(merge, goes_on_from_a_shard_whose_process_was_killed)
{
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    sqlite3 *db;
    put_shards("run", 2);
    const char *path = shard_in("run", 1, 2);
    cr_assert_eq(rename(path, scratch("cut.sqlite")), 0);
    cr_assert_eq(sqlite3_open(scratch("cut.sqlite"), &db), SQLITE_OK);
    cr_assert_eq(
        sqlite3_exec(db,
                     "PRAGMA journal_mode = DELETE; PRAGMA locking_mode = EXCLUSIVE;"
                     "PRAGMA journal_mode = WAL; UPDATE pictures SET width = 31; UPDATE pictures SET width = 30"
                     " WHERE status = 'ok'; UPDATE pictures SET width = NULL WHERE status <> 'ok'",
                     NULL, NULL, NULL),
        SQLITE_OK);
    copy_with_journal(scratch("cut.sqlite"), path);
    sqlite3_close(db);
    must(merge_in_place(&info));
    expect_whole("run");
}

/* Of an earlier result nothing is left, its journal included. */
Test(merge, replaces_what_was_merged_before)
{
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    sqlite3 *db;
    put_shards("run", 2);
    must(merge_in_place(&info));
    const char *path = scratch("run/results.sqlite");
    cr_assert_eq(rename(path, scratch("old.sqlite")), 0);
    cr_assert_eq(sqlite3_open(scratch("old.sqlite"), &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db,
                              "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
                              "UPDATE pictures SET width = 99",
                              NULL, NULL, NULL),
                 SQLITE_OK);
    copy_with_journal(scratch("old.sqlite"), path);
    sqlite3_close(db);
    write_text(scratch("run/results.sqlite.tmp-1-0"), "of a merge that was killed");
    write_text(scratch("run/results.csv.tmp-1-0"), "likewise");
    must(merge_in_place(&info));
    expect_whole("run");
    cr_expect_str_eq(names_in(scratch("run")),
                     "manifest.csv maps/ overlays/ results.csv results.sqlite run.json shards/ ");
}

/* Of whoever does not lock the folder, as sqlite3 does not: found before any file is copied. */
Test(merge, copies_nothing_beside_a_result_that_somebody_writes)
{
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    sqlite3 *db;
    put_shards("run", 2);
    must(merge_into(&info, "run", NULL));
    must(sal_run_remove(scratch("run")));
    put_shards("run", 3);
    cr_assert_eq(remove(scratch("out/maps/000/a0.npy")), 0);
    cr_assert_eq(sqlite3_open(scratch("out/results.sqlite"), &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    expect_error(merge_into(&info, "run", NULL), SAL_ERROR_IO,
                 "{}/out/results.sqlite: in use by another salmap that is running: run again when it has ended");
    cr_expect_not(exists(scratch("out/maps/000/a0.npy")));
    sqlite3_close(db);
    must(merge_into(&info, "run", NULL));
    cr_expect(exists(scratch("out/maps/000/a0.npy")));
}

/* A journal that lies there without results would be taken for that of the new ones. */
Test(merge, takes_no_journal_for_its_own)
{
    static const char *const endings[] = {"-journal", "-wal", "-shm", "-in-flight"};
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        put_shards("run", 2);
        write_text(text_from("%s%s", scratch("run/results.sqlite"), endings[i]), "planted");
        must(merge_in_place(&info));
        cr_expect_str_eq(names_in(scratch("run")),
                         "manifest.csv maps/ overlays/ results.csv results.sqlite run.json shards/ ");
        must(sal_run_remove(scratch("run")));
    }
}

/* Results in a folder that is no run's: nothing is said of them, and nothing is written beside them. */
Test(merge, leaves_a_folder_of_somebody_s_own)
{
    put_results(scratch("run/results.sqlite"), 0, 1);
    write_text(scratch("run/results.csv"), "mine");
    refuse(SAL_ERROR_ARGUMENT,
           "{}/run/results.sqlite: is not of a run, and results would go there: choose another folder");
    cr_expect_str_eq(text_of(scratch("run/results.csv")), "mine");
}

Test(merge, refuses_folders_that_are_no_run)
{
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    put_shard("a", 0, 2);
    put_shard("b", 1, 2);
    write_text(scratch("b/run.json"), "{\"x\": 1}");
    expect_error(merge_into(&info, "a", "b"), SAL_ERROR_FORMAT,
                 "{}/b/run.json: is damaged, or of no run: its fingerprint is another one");
    (void)remove(scratch("b/run.json"));
    expect_error(merge_into(&info, "a", "b"), SAL_ERROR_IO, "{}/b/run.json: cannot open: No such file or directory");
    cr_expect(!exists(scratch("out")));
}

/* What the merged results could not be exported for is told of the shard that has it. */
Test(merge, names_the_shard_of_rows_that_no_run_makes)
{
    static const struct {
        const char *change, *said;
    } cases[] = {
        {"DELETE FROM predictions WHERE picture = %zu",
         "table predictions, picture %zu: it did not fail, and has no row"},
        {"DELETE FROM maps WHERE picture = %zu", "table maps, picture %zu: it did not fail, and has no row"},
        {"UPDATE predictions SET rank = 7 WHERE picture = %zu",
         "table predictions, picture %zu: its ranks are not counted from 1"},
        {"UPDATE maps SET rank = 7 WHERE picture = %zu", "table maps, picture %zu: its ranks are not counted from 1"},
        {"UPDATE maps SET overlay_file = CAST(overlay_file AS BLOB) WHERE picture = %zu",
         "table maps, picture %zu: a file's name is no text"},
        {"UPDATE maps SET map_file = map_file || char(0) || 'x' WHERE picture = %zu",
         "table maps, picture %zu: a file's name is no text"},
    };
    const size_t row = row_of(1, 2, 4);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char change_text[256], said[256];
        put_shards("run", 2);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(change_text, sizeof change_text, cases[i].change, row);
        snprintf(said, sizeof said, cases[i].said, row);
#pragma GCC diagnostic pop
        change(shard_in("run", 1, 2), change_text);
        refuse(SAL_ERROR_FORMAT, text_from("{}/run/shards/1-of-2.sqlite: is damaged: %s: run that shard again with"
                                           " --restart",
                                           said));
    }
}

/* ---- Arguments ----------------------------------------------------------- */

Test(merge, needs_folders_and_a_place)
{
    const char *const runs[] = {scratch("a"), scratch("b")};
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    expect_error(sal_sweep_merge(NULL, runs, 1, NULL), SAL_ERROR_ARGUMENT, "no run folders are given");
    expect_error(sal_sweep_merge(&info, NULL, 1, NULL), SAL_ERROR_ARGUMENT, "no run folders are given");
    expect_error(sal_sweep_merge(&info, runs, 0, NULL), SAL_ERROR_ARGUMENT, "no run folders are given");
    expect_error(sal_sweep_merge(&info, runs, 2, NULL), SAL_ERROR_ARGUMENT,
                 "several run folders are merged into another one: name it with -o");
}

/* ---- Finding the shards -------------------------------------------------- */

Test(merge, needs_shards)
{
    sal_merge_info info = {sizeof info, 9, 9, 9};
    refuse(SAL_ERROR_IO, "{}/run: there are no shards in this folder: {}/run/shards: No such file or directory");
    make_folder(scratch("run/shards"));
    refuse(SAL_ERROR_IO, "{}/run: there are no shards in this folder");
    put_shard("a", 0, 2);
    expect_error(merge_into(&info, "a", "b"), SAL_ERROR_IO,
                 "{}/b: there are no shards in this folder: {}/b/shards: No such file or directory");
    cr_expect_eq(info.shards + info.pictures + info.failed, 0);
    cr_expect(!exists(scratch("out")));
}

Test(merge, of_a_run_that_was_never_split_has_nothing_to_do)
{
    sal_merge_info info = {sizeof info, 9, 9, 9};
    put_results(scratch("run/results.sqlite"), 0, 1);
    must(sal_run_describe(scratch("run"), &run, list, NULL, 0, 0));
    must(merge_in_place(&info));
    cr_expect_eq(info.shards, 0);
    cr_expect_eq(info.pictures, PICTURES);
    cr_expect_eq(info.failed, 1);
    cr_expect_str_eq(names_in(scratch("run")),
                     "manifest.csv results.csv results.sqlite run.json "); /* the table was not there */
    /* Elsewhere that is no answer. */
    expect_error(merge_into(&info, "run", NULL), SAL_ERROR_IO,
                 "{}/run: there are no shards in this folder: {}/run/shards: No such file or directory");
    make_folder(scratch("run/shards"));
    refuse(SAL_ERROR_IO, "{}/run: there are no shards in this folder");
    (void)remove(scratch("run/shards"));
    change(scratch("run/results.sqlite"), "DELETE FROM pictures WHERE id > 7");
    refuse(SAL_ERROR_FORMAT,
           "{}/run/results.sqlite: is not in shards, and not finished: 8 of 12 pictures are done; run it again");
    change(scratch("run/results.sqlite"), "DELETE FROM run WHERE key = 'pictures'");
    (void)remove(scratch("run/manifest.csv"));
    refuse(SAL_ERROR_FORMAT,
           "{}/run/results.sqlite: is not in shards, and not finished: 8 of 0 pictures are done; run it again");
    static const char *const tables[] = {"run", "timings", "pictures"};
    for (size_t i = 0; i < 3; i++) {
        change(scratch("run/results.sqlite"), text_from("DROP TABLE %s", tables[i]));
        refuse(SAL_ERROR_FORMAT, text_from("{}/run/results.sqlite: is damaged, or no results of salmap (no such table: "
                                           "%s)",
                                           tables[i]));
    }
    (void)remove(scratch("run/results.sqlite"));
    make_folder(scratch("run/results.sqlite"));
    sal_merge_info unused = SAL_MERGE_INFO_INIT;
    cr_expect_eq(merge_in_place(&unused), SAL_ERROR_IO);
}

static void touch_shard(int64_t shard, int64_t shards)
{
    write_text(shard_in("run", shard, shards), "");
}

Test(merge, names_shards_that_are_missing)
{
    touch_shard(0, 3);
    touch_shard(2, 3);
    refuse(SAL_ERROR_FORMAT, "1 of 3 shards missing: 1/3: run 'salmap sweep' with --shard 1/3");
    (void)remove(shard_in("run", 0, 3));
    refuse(SAL_ERROR_FORMAT, "2 of 3 shards missing: 0/3, 1/3: run 'salmap sweep' with --shard 0/3");
    touch_shard(1, 3);
    touch_shard(0, 3);
    (void)remove(shard_in("run", 2, 3));
    refuse(SAL_ERROR_FORMAT, "1 of 3 shards missing: 2/3: run 'salmap sweep' with --shard 2/3");
}

/* The list of them ends where it gets too long. */
Test(merge, names_as_many_missing_shards_as_it_has_room_for)
{
    char wanted[1024] = "1/72";
    touch_shard(0, 72);
    for (int i = 2; i < 72; i++)
        snprintf(wanted + strlen(wanted), sizeof wanted - strlen(wanted), ", %d/72", i);
    refuse(SAL_ERROR_FORMAT, text_from("71 of 72 shards missing: %s: run 'salmap sweep' with --shard 1/72", wanted));
    (void)remove(shard_in("run", 0, 72));
    snprintf(wanted, sizeof wanted, "10/200");
    for (int i = 0; i < 200; i++)
        if (i < 10 || (i > 67 && i < 100) || i > 102)
            touch_shard(i, 200);
        else if (i > 10 && i != 102)
            snprintf(wanted + strlen(wanted), sizeof wanted - strlen(wanted), ", %d/200", i);
    cr_assert_eq(strlen(wanted), 480);
    refuse(SAL_ERROR_FORMAT, text_from("61 of 200 shards missing: %s: run 'salmap sweep' with --shard 10/200", wanted));
}

Test(merge, takes_other_files_for_no_shards)
{
    touch_shard(0, 1048577);
    write_text(scratch("run/shards/notes.txt"), "");
    write_text(scratch("run/shards/0-of-2.sqlite-wal"), "");
    write_text(scratch("run/shards/2-of-2.sqlite"), "");
    refuse(SAL_ERROR_IO, "{}/run: there are no shards in this folder");
    touch_shard(7, 1048576);
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    cr_expect_eq(merge_in_place(&info), SAL_ERROR_FORMAT);
    cr_expect_eq(strncmp(last_error(), "1048575 of 1048576 shards missing: 0/1048576, ", 46), 0, "%s", last_error());
}

Test(merge, refuses_shards_of_different_numbers_and_doubles)
{
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    put_shard("a", 0, 2);
    put_shard("b", 1, 3);
    expect_error(merge_into(&info, "a", "b"), SAL_ERROR_FORMAT,
                 "{}/b/shards/1-of-3.sqlite: is one of 3 shards, others are of 2: they are of different runs");
    expect_error(merge_into(&info, "b", "a"), SAL_ERROR_FORMAT,
                 "{}/a/shards/0-of-2.sqlite: is one of 2 shards, others are of 3: they are of different runs");
    put_shard("c", 0, 2);
    expect_error(merge_into(&info, "a", "c"), SAL_ERROR_FORMAT,
                 "shard 0/2 is there twice: {}/a/shards/0-of-2.sqlite and {}/c/shards/0-of-2.sqlite");
    cr_expect(!exists(scratch("out")));
}

/* ---- Shards that do not belong together ---------------------------------- */

Test(merge, refuses_a_shard_that_is_not_what_its_name_says)
{
    static const char wanted[] = "{}/run/shards/1-of-2.sqlite: is not the shard that its name says";
    static const char *const changes[] = {"UPDATE run SET value = '0' WHERE key = 'shard'",
                                          "UPDATE run SET value = '3' WHERE key = 'shards'",
                                          "DELETE FROM run WHERE key = 'shard'; INSERT INTO run VALUES('shard', '2')",
                                          "DELETE FROM run WHERE key = 'manifest_sha256'"};
    for (size_t i = 0; i < 4; i++) {
        put_shards("run", 2);
        change(shard_in("run", 1, 2), changes[i]);
        refuse(SAL_ERROR_FORMAT, wanted);
    }
    put_shards("run", 2);
    change(shard_in("run", 0, 2), "UPDATE run SET value = '1' WHERE key = 'shard'");
    refuse(SAL_ERROR_FORMAT, "{}/run/shards/0-of-2.sqlite: is not the shard that its name says");
    cr_expect_str_eq(names_in(scratch("run")), "manifest.csv maps/ overlays/ run.json shards/ ");
}

Test(merge, refuses_a_shard_of_another_list)
{
    put_shards("run", 2);
    change(shard_in("run", 1, 2), "UPDATE run SET value = '1234' WHERE key = 'manifest_sha256'");
    refuse(SAL_ERROR_FORMAT, "{}/run/shards/1-of-2.sqlite: is of another list of pictures than {}/run/manifest.csv");
    put_shards("run", 2);
    write_text(scratch("run/manifest.csv"), "path\na0.png\n");
    refuse(SAL_ERROR_FORMAT, "{}/run/manifest.csv: is not the list that the run was begun with");
    (void)remove(scratch("run/manifest.csv"));
    refuse(SAL_ERROR_IO, "{}/run/manifest.csv: cannot open: No such file or directory");
    write_text(scratch("list.csv"), "path\na0.png\n");
    cr_assert_eq(symlink(scratch("list.csv"), scratch("run/manifest.csv")), 0);
    refuse(SAL_ERROR_ARGUMENT,
           "{}/run/manifest.csv: is a link, and a run has none there: remove it, or choose another folder");
}

Test(merge, refuses_a_shard_of_another_run)
{
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    put_shards("run", 3);
    change(shard_in("run", 1, 3), "UPDATE run SET value = 'elsewhere/m.onnx' WHERE key = 'model';"
                                  "UPDATE run SET value = '0.0' WHERE key = 'version'");
    must(merge_in_place(&info));
    expect_whole("run");
    change(shard_in("run", 2, 3), "UPDATE run SET value = '9' WHERE key = 'option.top-k'");
    refuse(SAL_ERROR_FORMAT, "{}/run/shards/2-of-3.sqlite: is of another run than {}/run/shards/0-of-3.sqlite: "
                             "option.top-k is 9 here");
    /* The first in the order of the keys. */
    change(shard_in("run", 2, 3), "UPDATE run SET value = 'other' WHERE key = 'option.method';"
                                  "UPDATE run SET value = 'other' WHERE key = 'option.overlays'");
    refuse(SAL_ERROR_FORMAT, "{}/run/shards/2-of-3.sqlite: is of another run than {}/run/shards/0-of-3.sqlite: "
                             "option.method is other here");
    change(shard_in("run", 1, 3), "UPDATE run SET value = '3333' WHERE key = 'model_sha256'");
    refuse(SAL_ERROR_FORMAT, "{}/run/shards/1-of-3.sqlite: is of another run than {}/run/shards/0-of-3.sqlite: "
                             "model_sha256 is 3333 here");
    /* The earlier result is as it was. */
    expect_whole("run");
}

/* ---- Gaps, doubles, strangers -------------------------------------------- */

Test(merge, names_a_picture_that_is_missing)
{
    const size_t all = rows_in(1, 2);
    cr_assert_geq(all, 3);
    size_t rows[PICTURES], count = 0;
    for (size_t row = 0; row < PICTURES; row++)
        if (sal_dataset_in_shard(list, row, 1, 2))
            rows[count++] = row;
    for (size_t i = 0; i < count; i++) {
        put_shards("run", 2);
        change(shard_in("run", 1, 2), text_from("DELETE FROM pictures WHERE id = %zu", rows[i]));
        refuse(SAL_ERROR_FORMAT,
               text_from("{}/run/shards/1-of-2.sqlite: 1 of its %zu pictures missing, such as a%zu.png: the shard is "
                         "not finished, run it again",
                         all, rows[i]));
    }
    change(shard_in("run", 1, 2), text_from("DELETE FROM pictures WHERE id = %zu", rows[1]));
    refuse(SAL_ERROR_FORMAT,
           text_from("{}/run/shards/1-of-2.sqlite: 2 of its %zu pictures missing, such as a%zu.png: the shard is not "
                     "finished, run it again",
                     all, rows[1]));
    change(shard_in("run", 1, 2), "DELETE FROM pictures");
    refuse(SAL_ERROR_FORMAT,
           text_from("{}/run/shards/1-of-2.sqlite: %zu of its %zu pictures missing, such as a%zu.png: the shard is not "
                     "finished, run it again",
                     all, all, rows[0]));
}

Test(merge, names_a_picture_that_is_a_stranger)
{
    const size_t theirs = row_of(0, 2, 4), ours = row_of(1, 2, 4);
    put_shards("run", 2);
    change(shard_in("run", 1, 2),
           text_from("INSERT INTO pictures(id, path, status) VALUES(%zu, 'a%zu.png', 'ok')", theirs, theirs));
    refuse(SAL_ERROR_FORMAT, text_from("{}/run/shards/1-of-2.sqlite: picture %zu (a%zu.png) does not belong to this "
                                       "shard",
                                       theirs, theirs));
    change(shard_in("run", 1, 2), text_from("DELETE FROM pictures WHERE id = %zu;"
                                            "INSERT INTO pictures(id, path, status) VALUES(12, 'a12.png', 'ok')",
                                            theirs));
    refuse(SAL_ERROR_FORMAT, "{}/run/shards/1-of-2.sqlite: picture 12 (a12.png) does not belong to this shard");
    change(shard_in("run", 1, 2), text_from("DELETE FROM pictures WHERE id = 12;"
                                            "UPDATE pictures SET path = 'b.png' WHERE id = %zu",
                                            ours));
    refuse(SAL_ERROR_FORMAT,
           text_from("{}/run/shards/1-of-2.sqlite: picture %zu (b.png) does not belong to this shard", ours));
}

/* SQLite's own messages name the result that is being made: the shard is put before them. */
Test(merge, names_a_shard_that_is_damaged)
{
    const size_t theirs = row_of(0, 2, 4);
    put_shards("run", 2);
    change(shard_in("run", 1, 2), text_from("INSERT INTO predictions VALUES(%zu, 1, 0, 0, 0)", theirs));
    refuse(SAL_ERROR_FORMAT, text_from("{}/run/shards/1-of-2.sqlite: table predictions has a row of picture %zu, which "
                                       "is none of this shard",
                                       theirs));
    change(shard_in("run", 1, 2), text_from("DELETE FROM predictions WHERE picture = %zu; DROP TABLE timings", theirs));
    refuse(SAL_ERROR_FORMAT,
           text_from("{}/run/shards/1-of-2.sqlite: is damaged, or no results of salmap (no such table: timings)"));
    write_text(shard_in("run", 0, 2), "These are no results, but they are long enough to be looked at.\n");
    refuse(SAL_ERROR_FORMAT, text_from("{}/run/shards/0-of-2.sqlite: is damaged, or no results of salmap (file is not "
                                       "a database)"));
    cr_expect_str_eq(names_in(scratch("run")), "manifest.csv maps/ overlays/ run.json shards/ ");
}

Test(merge, waits_for_no_shard_that_is_running)
{
    put_shards("run", 2);
    sqlite3 *other = hold(shard_in("run", 1, 2));
    refuse(SAL_ERROR_IO, text_from("{}/run/shards/1-of-2.sqlite: in use by another salmap that is running: run again "
                                   "when it has ended"));
    let_go(other);
}

/* ---- Files --------------------------------------------------------------- */

Test(merge, names_a_file_that_is_gone)
{
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    const size_t row = row_of(1, 2, 2);
    put_shards("run", 2);
    (void)remove(scratch("run/overlays/000/a%zu.overlay.png", row));
    refuse(SAL_ERROR_FORMAT, text_from("{}/run/overlays/000/a%zu.overlay.png: is gone, and {}/run/shards/1-of-2.sqlite "
                                       "names it: run that shard again with --restart",
                                       row));
    (void)remove(scratch("run/maps/000/a%zu.npy", row));
    refuse(SAL_ERROR_FORMAT,
           text_from("{}/run/maps/000/a%zu.npy: is gone, and {}/run/shards/1-of-2.sqlite names it: run "
                     "that shard again with --restart",
                     row));
    cr_expect(!exists(scratch("run/results.sqlite")));
    make_folder(scratch("run/maps/000/a%zu.npy", row));
    const char *no_file = text_from("{}/run/maps/000/a%zu.npy: is no file, and a result of the run was there", row);
    expect_error(merge_into(&info, "run", NULL), SAL_ERROR_FORMAT, no_file);
    refuse(SAL_ERROR_FORMAT, no_file);
    cr_expect_str_eq(names_in(scratch("out")), "manifest.csv run.json ");
    (void)remove(scratch("run/maps/000/a%zu.npy", row));
    write_bytes(scratch("run/maps/000/a%zu.npy", row), "", 0);
    refuse(SAL_ERROR_FORMAT, text_from("{}/run/maps/000/a%zu.npy: is empty, and a result of the run was there", row));
}

Test(merge, says_which_copy_it_cannot_make)
{
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    put_shards("run", 2);
    write_text(scratch("out/run.json"), text_of(scratch("run/run.json")));
    write_text(scratch("out/maps"), "in the way");
    expect_error(merge_into(&info, "run", NULL), SAL_ERROR_IO, "{}/out/maps: cannot open the folder: Not a directory");
    (void)remove(scratch("out/maps"));
    make_folder(scratch("out/maps/000/a0.npy"));
    expect_error(merge_into(&info, "run", NULL), SAL_ERROR_IO,
                 "{}/out/maps/000/a0.npy: cannot rename the finished file: Is a directory");
    cr_expect_str_eq(names_in(scratch("out/maps/000")), "a0.npy/ ");
    (void)remove(scratch("out/maps/000/a0.npy"));
    must(merge_into(&info, "run", NULL));
    expect_whole("out");
}

/* ---- The highest scores over all shards ---------------------------------- */

/* Scores are 0 5 3 1 - 4 2 0 5 3 1 6: the highest are those of pictures 11, 1, 8, 5; picture 8's ties with picture 1's.
 */
static const char *overlays_kept(const char *folder)
{
    return rows_of(scratch("%s/results.sqlite", folder),
                   "SELECT group_concat(picture, ' ') FROM maps WHERE overlay_file IS NOT NULL");
}

Test(merge, keeps_overlays_of_the_highest_scores_of_all)
{
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    run.settings = "method gradient\noverlays top:2\ntop-k 1\n";
    put_shards("run", 3);
    must(merge_into(&info, "run", NULL));
    cr_expect_str_eq(overlays_kept("out"), "'1 11'\n");
    cr_expect_str_eq(names_in(scratch("out/overlays/000")), "a1.overlay.png a11.overlay.png ");
    cr_expect_str_eq(names_in(scratch("run/overlays/000")),
                     "a0.overlay.png a1.overlay.png a10.overlay.png a11.overlay.png a3.overlay.png a5.overlay.png "
                     "a6.overlay.png a7.overlay.png a8.overlay.png a9.overlay.png ");
    must(merge_in_place(&info));
    cr_expect_str_eq(overlays_kept("run"), "'1 11'\n");
    cr_expect_str_eq(names_in(scratch("run/overlays/000")), "a1.overlay.png a11.overlay.png ");
    cr_expect_str_eq(names_in(scratch("run/maps/000")),
                     "a0.npy a1.npy a10.npy a11.npy a2.npy a3.npy a5.npy a6.npy a7.npy a8.npy a9.npy ");
}

/* Into one of its own runs as well. */
Test(merge, keeps_overlays_of_the_highest_scores_where_shards_lie)
{
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    run.settings = "method gradient\noverlays top:2\ntop-k 1\n";
    put_shard("out", 0, 2);
    put_shard("run", 1, 2);
    const char *of_sweep = scratch("out/maps/000/a%zu.npy.tmp-99-7", row_of(0, 2, 4));
    const char *of_merge = scratch("out/maps/000/a%zu.npy.tmp-99-7", row_of(1, 2, 4));
    write_text(of_sweep, "of a sweep that goes on here");
    write_text(of_merge, "of a merge that was cut off");
    must(merge_into(&info, "run", "out"));
    cr_expect_str_eq(overlays_kept("out"), "'1 11'\n");
    cr_expect_str_eq(names_in(scratch("out/overlays/000")), "a1.overlay.png a11.overlay.png ");
    cr_expect(exists(of_sweep));
    cr_expect_not(exists(of_merge));
}

/* Overlays go when the results that do not name them are there. */
Test(merge, removes_no_overlay_before_it_has_succeeded)
{
    run.settings = "method gradient\noverlays top:1\ntop-k 1\n";
    const char *all = NULL;
    for (int k = 0; k < 3; k++) {
        put_shards("run", 2);
        all = names_in(scratch("run/overlays/000"));
        if (k == 0)
            (void)remove(scratch("run/maps/000/a0.npy"));
        if (k == 1)
            rename_fails_at = 1;
        renames = 0;
        sal_merge_info info = SAL_MERGE_INFO_INIT;
        const sal_status st = merge_in_place(&info);
        cr_expect_eq(st, k == 0 ? SAL_ERROR_FORMAT : k == 1 ? SAL_ERROR_IO : SAL_OK, "%d: %s", k, last_error());
        if (k < 2)
            cr_expect_str_eq(names_in(scratch("run/overlays/000")), all);
        rename_fails_at = 0;
    }
    cr_expect_str_eq(names_in(scratch("run/overlays/000")), "a11.overlay.png ");
}

Test(merge, keeps_all_overlays_of_other_runs)
{
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    run.settings = "method gradient\noverlays topmost:1\ntop-k 1\n";
    put_shards("run", 2);
    write_text(scratch("run/overlays/000/a99.overlay.png"), "of a shard that runs again");
    must(merge_in_place(&info));
    cr_expect_str_eq(overlays_kept("run"), "'0 1 3 5 6 7 8 9 10 11'\n");
    cr_expect(exists(scratch("run/overlays/000/a99.overlay.png")));
}

/* ---- Where it goes ------------------------------------------------------- */

Test(merge, refuses_a_folder_of_something_else)
{
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    put_shards("run", 2);
    write_text(scratch("out/results.csv"), "mine");
    expect_error(merge_into(&info, "run", NULL), SAL_ERROR_ARGUMENT,
                 "{}/out/results.csv: is not of a run, and results would go there: choose another folder");
    cr_expect_str_eq(names_in(scratch("out")), "results.csv ");
    cr_expect_str_eq(text_of(scratch("out/results.csv")), "mine");
    (void)remove(scratch("out/results.csv"));
    (void)remove(scratch("out"));
    write_text(scratch("out"), "a file");
    expect_error(merge_into(&info, "run", NULL), SAL_ERROR_IO, "{}/out: is not a folder");
}

Test(merge, refuses_a_folder_of_another_run)
{
    static const char *const names[] = {"manifest.csv", "run.json"};
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    put_shards("run", 2);
    must(merge_into(&info, "run", NULL));
    for (size_t i = 0; i < 2; i++) {
        const char *path = scratch("out/%s", names[i]), *right = text_of(path);
        const char *wanted = text_from("{}/out/%s: is of another run; choose another folder to merge into", names[i]);
        /* Cut short by its last line break it is JSON all the same. */
        const char *broken = i == 1 ? "{}/out/run.json: is not of a run, and results would go there: choose another "
                                      "folder"
                                    : wanted;
        write_text(path, text_from("%sx", right));
        expect_error(merge_into(&info, "run", NULL), SAL_ERROR_ARGUMENT, broken);
        write_text(path, text_from("%.*s", (int)strlen(right) - 1, right));
        expect_error(merge_into(&info, "run", NULL), SAL_ERROR_ARGUMENT, wanted);
        write_text(path, text_from("%.*sx", (int)strlen(right) - 1, right));
        expect_error(merge_into(&info, "run", NULL), SAL_ERROR_ARGUMENT, broken);
        write_text(path, right);
    }
    must(merge_into(&info, "run", NULL));
    const char *right = text_of(scratch("out/run.json"));
    sal_run other = run;
    other.settings = "method other\n";
    must(sal_run_describe(scratch("out"), &other, list, NULL, 0, 1));
    expect_error(merge_into(&info, "run", NULL), SAL_ERROR_ARGUMENT,
                 "{}/out/run.json: is of another run; choose another folder to merge into");
    write_text(scratch("out/run.json"), right);
    (void)remove(scratch("run/run.json"));
    expect_error(merge_into(&info, "run", NULL), SAL_ERROR_IO,
                 "{}/run/run.json: cannot open: No such file or directory");
}

/* It was killed before it wrote its run.json, and must not get ours. */
Test(merge, leaves_no_description_in_a_folder_of_another_run)
{
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    put_shards("run", 2);
    must(merge_into(&info, "run", NULL));
    (void)remove(scratch("out/run.json"));
    write_text(scratch("out/manifest.csv"), "path\nanother.png\n");
    expect_error(merge_into(&info, "run", NULL), SAL_ERROR_ARGUMENT,
                 "{}/out/results.sqlite: is not of a run, and results would go there: choose another folder");
    cr_expect_eq(access(scratch("out/run.json"), F_OK), -1);
}

Test(merge, is_alone_in_its_folder)
{
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    put_shards("run", 2);
    const int other = open(scratch("run"), O_RDONLY | O_DIRECTORY);
    cr_assert_eq(flock(other, LOCK_EX), 0);
    write_text(scratch("run/results.sqlite.tmp-1-0"), "the other's");
    refuse(SAL_ERROR_IO, "{}/run: another salmap is at work in this folder: run again when it has ended");
    cr_expect_str_eq(text_of(scratch("run/results.sqlite.tmp-1-0")), "the other's");
    cr_assert_eq(flock(other, LOCK_UN), 0);
    must(merge_in_place(&info));
    cr_expect_eq(flock(other, LOCK_EX | LOCK_NB), 0);
    close(other);
}

Test(merge, leaves_results_that_are_in_use)
{
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    put_shards("run", 2);
    must(merge_in_place(&info));
    sqlite3 *other = hold(scratch("run/results.sqlite"));
    refuse(SAL_ERROR_IO,
           "{}/run/results.sqlite: in use by another salmap that is running: run again when it has ended");
    let_go(other);
    expect_whole("run");
    cr_expect_str_eq(names_in(scratch("run")),
                     "manifest.csv maps/ overlays/ results.csv results.sqlite run.json shards/ ");
}

Test(merge, publishes_nothing_that_is_not_on_the_disk)
{
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    put_shards("run", 2);
    sync_fails = 1;
    refuse(SAL_ERROR_IO, "{}/run: cannot be written to the disk: Input/output error");
    cr_expect_str_eq(names_in(scratch("run")), "manifest.csv maps/ overlays/ run.json shards/ ");
    sync_fails = 0;
    make_folder(scratch("run/results.csv"));
    refuse(SAL_ERROR_ARGUMENT,
           "{}/run/results.csv: is not of a run, and results would go there: choose another folder");
    (void)remove(scratch("run/results.csv"));
    must(merge_in_place(&info));
    (void)remove(scratch("run/results.csv"));
    make_folder(scratch("run/results.csv"));
    refuse(SAL_ERROR_IO, "{}/run/results.csv: cannot rename the finished file: Is a directory");
    (void)remove(scratch("run/results.csv"));
    must(merge_in_place(&info));
    expect_whole("run");
}

/* Whichever file is the last that was finished: the same command again makes the rest. */
Test(merge, goes_on_where_it_was_cut_off)
{
    const size_t files = 11 + 10; /* maps, overlays; descriptions are linked */
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    put_shards("run", 2);
    for (rename_fails_at = 1;; rename_fails_at++) {
        renames = 0;
        const sal_status st = merge_into(&info, "run", NULL);
        if (st == SAL_OK)
            break;
        cr_expect_eq(st, SAL_ERROR_IO, "%s", last_error());
        cr_expect_not_null(strstr(last_error(), ": cannot rename the finished file: Input/output error"), "%s",
                           last_error());
        if (rename_fails_at == (int)files + 1)
            cr_expect_str_eq(last_error(),
                             "{}/out/results.sqlite: cannot rename the finished file: Input/output error");
        cr_expect_null(strstr(names_in(scratch("out")), ".tmp-"));
        rename_fails_at = -rename_fails_at;
        renames = 0;
        must(merge_into(&info, "run", NULL));
        expect_whole("out");
        rename_fails_at = -rename_fails_at;
        must(sal_run_remove(scratch("out")));
        (void)remove(scratch("out/run.json"));
    }
    cr_expect_eq((size_t)rename_fails_at, files + 3); /* the results and their CSV */
}

/* A temporary of this very process that is left over is begun anew. */
Test(merge, begins_its_own_temporary_file_anew)
{
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    put_shards("run", 2);
    write_text(scratch("run/results.sqlite.tmp-%ld-0", (long)getpid()),
               "left over, and long enough to be looked at.\n");
    must(merge_in_place(&info));
    expect_whole("run");
}

Test(merge, lets_go_of_everything)
{
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    put_shards("run", 2);
    const int files = open_files();
    must(merge_in_place(&info));
    (void)remove(shard_in("run", 0, 2));
    cr_expect_eq(merge_in_place(&info), SAL_ERROR_FORMAT);
    cr_expect_eq(open_files(), files);
}

Test(merge_as_nobody, says_what_it_may_not_read)
{
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    const size_t row = row_of(0, 2, 4);
    put_shards("run", 2);
    cr_assert_eq(chmod(scratch("run/maps/000/a%zu.npy", row), 0), 0);
    expect_error(merge_into(&info, "run", NULL), SAL_ERROR_IO,
                 text_from("{}/run/maps/000/a%zu.npy: cannot open: Permission denied", row));
    cr_assert_eq(chmod(scratch("out"), 0333), 0);
    expect_error(merge_into(&info, "run", NULL), SAL_ERROR_IO, "{}/out: cannot open the folder: Permission denied");
    cr_assert_eq(chmod(scratch("out"), 0755), 0);
}
