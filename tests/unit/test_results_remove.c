/* Taking a run's files away: only its own, and none of results that are in use. */
#include "results_support.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(removing, .init = make_scratch, .fini = remove_scratch, .timeout = 120);

/* Where the run is, and a run of one picture that lies there. */
static const char *folder(void)
{
    return scratch("run");
}

static void put(const char *name)
{
    write_text(scratch("run/%s", name), "x");
}

static void put_store(const char *name)
{
    const sal_run run = plain_run();
    make_results(scratch("run/%s", name), &run, list_of_count(1), NULL, 0);
}

/* Everything of a run, in three of its thousands. */
static void put_run(void)
{
    static const char *const names[] = {"results.csv",
                                        "run.json",
                                        "manifest.csv",
                                        "maps/000/a.npy",
                                        "maps/000/b.npz",
                                        "maps/001/c.png",
                                        "maps/1234/d.npy",
                                        "maps/000/e.npy.tmp-12-0",
                                        "overlays/000/a.overlay.png",
                                        "overlays/002/b.overlay.jpg",
                                        "overlays/002/b.overlay.jpg.tmp-3-45",
                                        "results.csv.tmp-9-1",
                                        "run.json.tmp-9-2",
                                        "manifest.csv.tmp-9-3",
                                        "results.sqlite.tmp-9-4",
                                        "results.sqlite-shm",
                                        "results.sqlite-journal"};
    put_store("results.sqlite");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        put(names[i]);
}

/* ---- All of it ----------------------------------------------------------- */

Test(removing, takes_every_file_of_a_run)
{
    put_run();
    put("results.sqlite-wal");
    must(sal_run_remove(folder()));
    cr_expect_str_eq(names_in(folder()), "");
    must(sal_run_remove(folder()));
    must(sal_run_remove(scratch("gone")));
}

Test(removing, leaves_files_that_no_run_makes)
{
    put_run();
    put("notes.txt");
    put("results.csv.bak");
    put("results.csv.tmp-1-x");
    put("other.csv.tmp-1-2");
    put("results.cs.tmp-1-2");
    put("results.csvs.tmp-1-2");
    put("maps/000/notes.txt");
    put("maps/000/a.npy.txt");
    put("maps/000/.hidden.npy");
    put("maps/000/npy");
    put("maps/000/a.npy.tmp-1-2.txt");
    put("maps/mine/a.npy");
    put("maps/01x/a.npy");
    put("maps/top.npy");
    put("overlays/notes.txt");
    put("shards/notes.txt");
    put("shards/1-of-1.sqlite");
    must(sal_run_remove(folder()));
    cr_expect_str_eq(names_in(folder()), "maps/ notes.txt other.csv.tmp-1-2 overlays/ results.cs.tmp-1-2 "
                                         "results.csv.bak results.csv.tmp-1-x results.csvs.tmp-1-2 shards/ ");
    cr_expect_str_eq(names_in(scratch("run/maps")), "000/ 01x/ mine/ top.npy ");
    cr_expect_str_eq(names_in(scratch("run/maps/000")), ".hidden.npy a.npy.tmp-1-2.txt a.npy.txt notes.txt npy ");
    cr_expect_str_eq(names_in(scratch("run/maps/mine")), "a.npy ");
    cr_expect_str_eq(names_in(scratch("run/maps/01x")), "a.npy ");
    cr_expect_str_eq(names_in(scratch("run/overlays")), "notes.txt ");
    cr_expect_str_eq(names_in(scratch("run/shards")), "1-of-1.sqlite notes.txt ");
}

/* A name that only ends as a temporary one does, and one that has the mark twice. */
Test(removing, knows_temporary_files_by_the_end_of_their_names)
{
    put("maps/000/a.tmp-1.npy.tmp-1-2");
    put("maps/000/b.tmp-x.npy.tmp-12-34");
    put("maps/000/c.tmp-1-2.txt");
    put("maps/000/d.tmp-1-2x");
    put("maps/000/e.tmp1-2");
    must(sal_run_remove(folder()));
    cr_expect_str_eq(names_in(scratch("run/maps/000")), "c.tmp-1-2.txt d.tmp-1-2x e.tmp1-2 ");
}

Test(removing, takes_links_and_not_what_they_point_to)
{
    put_run();
    write_text(scratch("elsewhere/a.npy"), "kept");
    write_text(scratch("elsewhere/results.csv"), "kept");
    (void)remove(scratch("run/results.csv"));
    cr_assert_eq(symlink(scratch("elsewhere/a.npy"), scratch("run/maps/000/link.npy")), 0);
    cr_assert_eq(symlink(scratch("elsewhere/results.csv"), scratch("run/results.csv")), 0);
    must(sal_run_remove(folder()));
    cr_expect_str_eq(names_in(folder()), "");
    cr_expect_str_eq(names_in(scratch("elsewhere")), "a.npy results.csv ");
    cr_expect_str_eq(text_of(scratch("elsewhere/a.npy")), "kept");
}

Test(removing, takes_damaged_results_too)
{
    put_run();
    write_text(scratch("run/results.sqlite"), "These are no results, but they are long enough to be looked at.\n");
    must(sal_run_remove(folder()));
    cr_expect_str_eq(names_in(folder()), "");
}

Test(removing, takes_nothing_while_the_results_are_in_use)
{
    put_run();
    (void)remove(scratch("run/results.sqlite-journal")); /* SQLite takes it itself */
    const char *before = names_in(folder()), *maps = names_in(scratch("run/maps/000"));
    sqlite3 *other = hold(scratch("run/results.sqlite"));
    expect_error(sal_run_remove(folder()), SAL_ERROR_IO,
                 "{}/run/results.sqlite: in use by another salmap that is running: run again when it has ended");
    expect_error(sal_run_remove_merged(folder()), SAL_ERROR_IO,
                 "{}/run/results.sqlite: in use by another salmap that is running: run again when it has ended");
    let_go(other);
    cr_expect_str_eq(names_in(folder()), before);
    cr_expect_str_eq(names_in(scratch("run/maps/000")), maps);
}

Test(removing, takes_all_shards_or_none)
{
    put_run();
    for (int i = 0; i < 4; i++)
        put_store(text_from("shards/%d-of-4.sqlite", i));
    put("shards/1-of-4.sqlite-shm");
    for (int i = 0; i < 4; i++) {
        const char *before = names_in(scratch("run/shards"));
        sqlite3 *other = hold(scratch("run/shards/%d-of-4.sqlite", i == 1 ? 0 : i));
        expect_error(
            sal_run_remove(folder()), SAL_ERROR_IO,
            text_from(
                "{}/run/shards/%d-of-4.sqlite: in use by another salmap that is running: run again when it has ended",
                i == 1 ? 0 : i));
        let_go(other);
        cr_expect_str_eq(names_in(scratch("run/shards")), before);
        cr_expect(exists(scratch("run/results.sqlite")));
    }
    must(sal_run_remove(folder()));
    cr_expect_str_eq(names_in(folder()), "");
}

/* What cannot be removed is an error, and what describes the run stays. */
Test(removing, keeps_the_description_where_something_is_left)
{
    put_run();
    make_folder(scratch("run/maps/000/folder.npy"));
    expect_error(sal_run_remove(folder()), SAL_ERROR_IO, "{}/run/maps/000/folder.npy: cannot remove: Is a directory");
    cr_expect(exists(scratch("run/run.json")));
    cr_expect(exists(scratch("run/manifest.csv")));
    (void)remove(scratch("run/maps/000/folder.npy"));
    (void)remove(scratch("run/results.csv"));
    make_folder(scratch("run/results.csv"));
    expect_error(sal_run_remove(folder()), SAL_ERROR_IO, "{}/run/results.csv: cannot remove: Is a directory");
    cr_expect(exists(scratch("run/run.json")));
    expect_error(sal_run_remove_merged(folder()), SAL_ERROR_IO, "{}/run/results.csv: cannot remove: Is a directory");
    (void)remove(scratch("run/results.csv"));
    make_folder(scratch("run/run.json.tmp-1-1"));
    expect_error(sal_run_remove_own_temporaries(folder()), SAL_ERROR_IO,
                 "{}/run/run.json.tmp-1-1: cannot remove: Is a directory");
    expect_error(sal_run_remove(folder()), SAL_ERROR_IO, "{}/run/run.json.tmp-1-1: cannot remove: Is a directory");
    (void)remove(scratch("run/run.json.tmp-1-1"));
    (void)remove(scratch("run/manifest.csv"));
    make_folder(scratch("run/manifest.csv"));
    expect_error(sal_run_remove(folder()), SAL_ERROR_IO, "{}/run/manifest.csv: cannot remove: Is a directory");
    must(sal_run_refuse_foreign(folder()));
    (void)remove(scratch("run/manifest.csv"));
    must(sal_run_remove(folder()));
    cr_expect_str_eq(names_in(folder()), "");
}

Test(removing, says_which_journal_is_left)
{
    static const char *const endings[] = {"-wal", "-shm", "-journal"};
    for (size_t i = 0; i < 3; i++) {
        make_folder(scratch("run/results.sqlite%s", endings[i]));
        expect_error(sal_run_remove_merged(folder()), SAL_ERROR_IO,
                     text_from("{}/run/results.sqlite%s: cannot remove: Is a directory", endings[i]));
        (void)remove(scratch("run/results.sqlite%s", endings[i]));
    }
}

Test(removing, takes_folders_that_are_empty)
{
    make_folder(scratch("run/maps/000"));
    make_folder(scratch("run/maps/empty"));
    make_folder(scratch("run/overlays"));
    make_folder(scratch("run/shards"));
    make_folder(scratch("run/other"));
    must(sal_run_remove(folder()));
    cr_expect_str_eq(names_in(folder()), "other/ ");
}

/* ---- What shards were merged into ---------------------------------------- */

Test(removing, takes_what_shards_were_merged_into)
{
    put_run();
    must(sal_run_remove_merged(folder()));
    cr_expect_str_eq(names_in(folder()), "manifest.csv manifest.csv.tmp-9-3 maps/ overlays/ results.csv.tmp-9-1 "
                                         "results.sqlite.tmp-9-4 run.json run.json.tmp-9-2 ");
    must(sal_run_remove_merged(folder()));
}

/* ---- A shard ------------------------------------------------------------- */

/* The run of shard 1 of 2, its result file with two maps, and files of another shard. */
static sal_run put_shard(void)
{
    sal_run run = plain_run();
    plain_result plain[2];
    sal_result results[2];
    sal_dataset *list = list_of_count(2);
    run.shard = 1;
    run.shards = 2;
    for (size_t i = 0; i < 2; i++)
        results[i] = *make_plain(&plain[i], i, 1, i == 1);
    make_results(scratch("run/shards/1-of-2.sqlite"), &run, list, results, 2);
    must(sal_run_describe(folder(), &run, list, NULL, 0));
    put_store("shards/0-of-2.sqlite");
    put_store("results.sqlite");
    put("results.csv");
    put("maps/000/0.npy");
    put("maps/000/1.npy");
    put("maps/000/2.npy");
    put("overlays/000/0.overlay.png");
    put("overlays/000/1.overlay.png");
    return run;
}

Test(removing, takes_the_files_of_one_shard)
{
    const sal_run run = put_shard();
    put("shards/1-of-2.sqlite-shm");
    must(sal_run_remove_shard(folder(), &run));
    cr_expect_str_eq(names_in(folder()), "manifest.csv maps/ overlays/ run.json shards/ ");
    cr_expect_str_eq(names_in(scratch("run/maps/000")), "2.npy ");
    cr_expect_str_eq(names_in(scratch("run/overlays/000")), "0.overlay.png ");
    cr_expect_str_eq(names_in(scratch("run/shards")), "0-of-2.sqlite ");
    must(sal_run_remove_shard(folder(), &run));
    cr_expect_str_eq(names_in(folder()), "manifest.csv maps/ overlays/ run.json shards/ ");
}

Test(removing, takes_the_description_of_another_run_with_a_shard)
{
    sal_run run = put_shard();
    run.settings = "method other\n";
    must(sal_run_remove_shard(folder(), &run));
    cr_expect_str_eq(names_in(folder()), "maps/ overlays/ shards/ ");
    cr_expect_str_eq(names_in(scratch("run/shards")), "0-of-2.sqlite ");
}

Test(removing, takes_a_damaged_shard)
{
    const sal_run run = put_shard();
    write_text(scratch("run/shards/1-of-2.sqlite"), "These are no results, but they are long enough to be looked at.");
    must(sal_run_remove_shard(folder(), &run));
    cr_expect_str_eq(names_in(scratch("run/shards")), "0-of-2.sqlite ");
    cr_expect_str_eq(names_in(scratch("run/maps/000")), "0.npy 1.npy 2.npy ");
}

Test(removing, takes_nothing_of_a_shard_that_is_in_use)
{
    const sal_run run = put_shard();
    sqlite3 *other = hold(scratch("run/shards/1-of-2.sqlite"));
    expect_error(sal_run_remove_shard(folder(), &run), SAL_ERROR_IO,
                 "{}/run/shards/1-of-2.sqlite: in use by another salmap that is running: run again when it has ended");
    let_go(other);
    cr_expect_str_eq(names_in(folder()), "manifest.csv maps/ overlays/ results.csv results.sqlite run.json shards/ ");
    cr_expect_str_eq(names_in(scratch("run/maps/000")), "0.npy 1.npy 2.npy ");
}

Test(removing, of_a_shard_fails_where_a_file_cannot_go)
{
    sal_run run = put_shard();
    (void)remove(scratch("run/results.csv"));
    make_folder(scratch("run/results.csv"));
    expect_error(sal_run_remove_shard(folder(), &run), SAL_ERROR_IO,
                 "{}/run/results.csv: cannot remove: Is a directory");
    (void)remove(scratch("run/results.csv"));
    (void)remove(scratch("run/run.json"));
    make_folder(scratch("run/run.json"));
    expect_error(sal_run_remove_shard(folder(), &run), SAL_ERROR_IO,
                 "{}/run/run.json: is a directory, expected a file");
    (void)remove(scratch("run/run.json"));
    write_text(scratch("run/run.json"), "of another run");
    (void)remove(scratch("run/manifest.csv"));
    make_folder(scratch("run/manifest.csv"));
    expect_error(sal_run_remove_shard(folder(), &run), SAL_ERROR_IO,
                 "{}/run/manifest.csv: cannot remove: Is a directory");
    must(sal_run_refuse_foreign(folder()));
    cr_expect(exists(scratch("run/run.json")));
}

/* ---- Temporary files ----------------------------------------------------- */

Test(removing, takes_temporary_files_of_the_folder_itself)
{
    put_run();
    put("shards/0-of-2.sqlite.tmp-1-1");
    must(sal_run_remove_own_temporaries(folder()));
    cr_expect_str_eq(names_in(folder()), "manifest.csv maps/ overlays/ results.csv results.sqlite "
                                         "results.sqlite-journal results.sqlite-shm run.json shards/ ");
    cr_expect_str_eq(names_in(scratch("run/shards")), "0-of-2.sqlite.tmp-1-1 ");
    cr_expect(exists(scratch("run/maps/000/e.npy.tmp-12-0")));
    must(sal_run_remove_own_temporaries(scratch("gone")));
}

typedef struct questions {
    char text[1024];
    const char *ours; /* the one that is */
} questions;

static int ask(void *context, size_t first, const char *file)
{
    questions *q = context;
    const size_t used = strlen(q->text);
    snprintf(q->text + used, sizeof q->text - used, "%zu:%s ", first, file);
    return q->ours && strcmp(file, q->ours) == 0;
}

Test(removing, asks_whose_an_unfinished_file_is)
{
    questions q = {.ours = "b.overlay.jpg"};
    put_run();
    put("maps/007/f.npy.tmp-1-2");
    put("maps/x/g.npy.tmp-1-2");
    put("maps/h.npy.tmp-1-2");
    must(sal_run_remove_temporaries(folder(), ask, &q));
    cr_expect_eq(strlen(q.text), strlen("0:e.npy 7000:f.npy 2000:b.overlay.jpg "), "%s", q.text);
    cr_expect_not_null(strstr(q.text, "0:e.npy "));
    cr_expect_not_null(strstr(q.text, "7000:f.npy "));
    cr_expect_not_null(strstr(q.text, "2000:b.overlay.jpg "));
    cr_expect_str_eq(names_in(scratch("run/maps/000")), "a.npy b.npz e.npy.tmp-12-0 ");
    cr_expect_str_eq(names_in(scratch("run/maps/007")), "f.npy.tmp-1-2 ");
    cr_expect_str_eq(names_in(scratch("run/overlays/002")), "b.overlay.jpg ");
    must(sal_run_remove_temporaries(scratch("gone"), ask, &q));
}

Test(removing, says_which_unfinished_file_stays)
{
    questions q = {.ours = "a.npy"};
    make_folder(scratch("run/maps/000/a.npy.tmp-1-2"));
    expect_error(sal_run_remove_temporaries(folder(), ask, &q), SAL_ERROR_IO,
                 "{}/run/maps/000/a.npy.tmp-1-2: cannot remove: Is a directory");
}

/* ---- Overlays ------------------------------------------------------------ */

Test(removing, takes_overlays_that_no_row_names)
{
    const sal_run run = plain_run();
    plain_result plain[3];
    sal_result results[3];
    sal_sql sql;
    for (size_t i = 0; i < 3; i++)
        results[i] = *make_plain(&plain[i], i, 1, i != 1);
    make_results(scratch("run/results.sqlite"), &run, list_of_count(3), results, 3);
    change(scratch("run/results.sqlite"),
           "UPDATE maps SET overlay_file = 'overlays/001/2.overlay.jpg' WHERE picture = 2");
    put("overlays/000/0.overlay.png");
    put("overlays/000/1.overlay.png");
    put("overlays/000/2.overlay.png");
    put("overlays/000/2.overlay.jpg");
    put("overlays/000/notes.txt");
    put("overlays/001/0.overlay.png");
    put("overlays/001/2.overlay.jpg");
    put("overlays/002/5.overlay.png");
    put("maps/000/1.npy");
    must(sal_sql_open(&sql, scratch("run/results.sqlite"), SQLITE_OPEN_READWRITE));
    must(sal_run_remove_overlays(folder(), &sql));
    cr_expect_str_eq(names_in(scratch("run/overlays")), "000/ 001/ ");
    cr_expect_str_eq(names_in(scratch("run/overlays/000")), "0.overlay.png notes.txt ");
    cr_expect_str_eq(names_in(scratch("run/overlays/001")), "2.overlay.jpg ");
    cr_expect_str_eq(names_in(scratch("run/maps/000")), "1.npy ");
    /* Without overlays there is nothing to do. */
    must(sal_run_remove_overlays(scratch("gone"), &sql));
    make_folder(scratch("run/overlays/000/folder.png"));
    expect_error(sal_run_remove_overlays(folder(), &sql), SAL_ERROR_IO,
                 "{}/run/overlays/000/folder.png: cannot remove: Is a directory");
    must(sal_sql_run(&sql, "DROP TABLE temp.named; DROP TABLE maps"));
    expect_error(sal_run_remove_overlays(folder(), &sql), SAL_ERROR_FORMAT,
                 "{}/run/results.sqlite: no such table: maps");
    sal_sql_close(&sql);
}
