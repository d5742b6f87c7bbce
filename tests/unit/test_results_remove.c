/* Taking a run's files away: only its own, and none of results that are in use. */
#include "results_support.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A list of 1002 pictures, whose files lie in two folders. */
enum { PICTURES = 1002 };

static sal_dataset *list;
static sal_run run;
static char list_hash[65];

static void begin(void)
{
    char *text;
    size_t size;
    make_scratch();
    list = list_of_count(PICTURES);
    must(sal_dataset_text(&text, &size, list));
    must(sal_run_hash(list_hash, text, size));
    free(text);
    run = plain_run();
    run.manifest_sha256 = list_hash;
}

TestSuite(removing, .init = begin, .fini = remove_scratch, .timeout = 120);

/* Where the run is. */
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
    make_results(scratch("run/%s", name), &run, list, NULL, 0);
}

static void describe(void)
{
    make_folder(folder());
    must(sal_run_describe(folder(), &run, list, NULL, 0, 0));
}

/* Everything of a run. */
static void put_run(void)
{
    static const char *const names[] = {"results.csv",
                                        "maps/000/a0.npy",
                                        "maps/000/a999.npy",
                                        "maps/001/a1001.npy",
                                        "maps/000/a1.npy.tmp-12-0",
                                        "overlays/000/a0.overlay.png",
                                        "overlays/001/a1000.overlay.png",
                                        "overlays/001/a1000.overlay.png.tmp-3-45",
                                        "results.csv.tmp-9-1",
                                        "run.json.tmp-9-2",
                                        "manifest.csv.tmp-9-3",
                                        "results.sqlite.tmp-9-4",
                                        "results.sqlite-shm",
                                        "results.sqlite-journal"};
    describe();
    put_store("results.sqlite");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        put(names[i]);
}

/* ---- All of it ----------------------------------------------------------- */

/* But for what says that it is a run. */
Test(removing, takes_every_file_of_a_run)
{
    put_run();
    put("results.sqlite-wal");
    must(sal_run_remove(folder()));
    cr_expect_str_eq(names_in(folder()), "run.json ");
    must(sal_run_remove(folder()));
    cr_expect_str_eq(names_in(folder()), "run.json ");
    must(sal_run_remove(scratch("gone")));
}

Test(removing, takes_the_formats_that_the_settings_name)
{
    static const struct {
        const char *settings, *mine, *others;
    } cases[] = {
        {"maps npz\noverlays wrong\noverlay-format jpeg\n", "maps/000/a1.npz overlays/000/a1.overlay.jpg",
         "maps/000/a1.npy maps/000/a1.png overlays/000/a1.overlay.png maps/000/a1.top1.npz"},
        {"target top:12\nmaps png16\noverlays top:3\noverlay-format png\n",
         "maps/000/a1.top1.png maps/000/a1.top12.png overlays/000/a1.top2.overlay.png",
         "maps/000/a1.png maps/000/a1.top0.png maps/000/a1.top13.png maps/000/a1.top01.png maps/000/.top1.png"
         " overlays/000/a1.overlay.png maps/000/a1top1.png"},
        {"maps none\noverlays none\noverlay-format png\n", "",
         "maps/000/a1.npy maps/000/a1.npz maps/000/a1.png overlays/000/a1.overlay.png overlays/000/a1.overlay.jpg"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *names[2] = {strdup(cases[i].mine), strdup(cases[i].others)};
        (void)remove(scratch("run/run.json"));
        run.settings = cases[i].settings;
        describe();
        for (int k = 0; k < 2; k++)
            for (char *rest = names[k], *name; (name = strsep(&rest, " ")) != NULL;)
                if (name[0])
                    put(name);
        must(sal_run_remove(folder()));
        for (int k = 0; k < 2; k++) {
            char *list_of_names = strdup(k ? cases[i].others : cases[i].mine);
            for (char *rest = list_of_names, *name; (name = strsep(&rest, " ")) != NULL;)
                if (name[0])
                    cr_expect_eq(exists(scratch("run/%s", name)), k, "%zu: %s", i, name);
            free(list_of_names);
            free(names[k]);
        }
        for (char *rest = strdup(cases[i].others), *name, *all = rest; all; all = NULL) {
            while ((name = strsep(&rest, " ")) != NULL)
                (void)remove(scratch("run/%s", name));
            free(all);
        }
    }
}

Test(removing, leaves_files_that_no_run_makes)
{
    static const char *const names[] = {
        "notes.txt", "results.csv.bak", "results.csv.tmp-1-x", "other.csv.tmp-1-2", "results.cs.tmp-1-2",
        "results.csvs.tmp-1-2", "results.csv.tmp-1", "results.csv.tmp-", "writable.tmp-1-2",
        /* Of pictures that are not in the list, of other formats, or in another thousand. */
        "maps/000/notes.txt", "maps/000/annotated.png", "maps/000/a1002.npy", "maps/000/a1.npz", "maps/000/a0-2.npy",
        "maps/000/a1000.npy", "maps/001/a0.npy", "maps/000/a01.npy", "maps/002/a2000.npy", "maps/000/a0.overlay.png",
        "overlays/000/a0.npy", "overlays/000/a0.png", "overlays/000/a0.overlay.jpg", "overlays/000/annotated.png",
        "maps/000/a0.npy.txt", "maps/000/.hidden.npy", "maps/000/.npy", "maps/000/npy", "maps/000/A0.npy",
        "maps/000/a0.npy.tmp-1-2.txt", "maps/000/a0.npy.tmp-123", "maps/000/b.npy.tmp-1-2", "maps/000/.tmp-1-2",
        "maps/mine/a0.npy", "maps/01x/a0.npy", "maps/0000/a0.npy", "maps/00/a0.npy", "maps/0/a0.npy", "maps/a0.npy",
        "maps/000/000/a0.npy", "overlays/notes.txt", "saliency/000/a0.saliency.png", "shards/notes.txt",
        "shards/1-of-1.sqlite", "shards/0-of-2.sqlite.bak", "shards/2-of-2.sqlite"};
    put_run();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        write_text(scratch("run/%s", names[i]), "mine");
    must(sal_run_remove(folder()));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cr_expect_str_eq(text_of(scratch("run/%s", names[i])), "mine", "%s", names[i]);
    cr_expect(!exists(scratch("run/maps/000/a0.npy")));
    cr_expect(!exists(scratch("run/maps/001/a1001.npy")));
    cr_expect(!exists(scratch("run/results.sqlite")));
}

/* A name that only ends as a temporary one does, and one that has the mark twice. */
Test(removing, knows_temporary_files_by_the_end_of_their_names)
{
    list = list_of("path\na.tmp-1.png\nb.tmp-x.png\nc\nd\ne\n");
    char *text;
    size_t size;
    must(sal_dataset_text(&text, &size, list));
    must(sal_run_hash(list_hash, text, size));
    free(text);
    describe();
    put("maps/000/a.tmp-1.npy.tmp-1-2");
    put("maps/000/b.tmp-x.npy.tmp-12-34");
    put("maps/000/c.npy.tmp-1-2.txt");
    put("maps/000/d.npy.tmp-1-2x");
    put("maps/000/d.npy.tmp-1-");
    put("maps/000/d.npy.tmp--2");
    put("maps/000/e.npy.tmp1-2");
    must(sal_run_remove(folder()));
    cr_expect_str_eq(names_in(scratch("run/maps/000")),
                     "c.npy.tmp-1-2.txt d.npy.tmp--2 d.npy.tmp-1- d.npy.tmp-1-2x e.npy.tmp1-2 ");
}

Test(removing, takes_links_and_not_what_they_point_to)
{
    put_run();
    write_text(scratch("elsewhere/a.npy"), "kept");
    write_text(scratch("elsewhere/results.csv"), "kept");
    (void)remove(scratch("run/results.csv"));
    cr_assert_eq(symlink(scratch("elsewhere/a.npy"), scratch("run/maps/000/a7.npy")), 0);
    cr_assert_eq(symlink(scratch("elsewhere/results.csv"), scratch("run/results.csv")), 0);
    must(sal_run_remove(folder()));
    cr_expect_str_eq(names_in(folder()), "run.json ");
    cr_expect_str_eq(names_in(scratch("elsewhere")), "a.npy results.csv ");
    cr_expect_str_eq(text_of(scratch("elsewhere/a.npy")), "kept");
}

/* The user may keep maps on another disk. */
Test(removing, follows_the_links_maps_and_overlays_and_no_other)
{
    put_run();
    cr_assert_eq(rename(scratch("run/maps"), scratch("disk")), 0);
    cr_assert_eq(symlink(scratch("disk"), scratch("run/maps")), 0);
    write_text(scratch("disk/000/mine.npy"), "mine");
    must(sal_run_remove(folder()));
    cr_expect_str_eq(names_in(scratch("disk")), "000/ ");
    cr_expect_str_eq(names_in(scratch("disk/000")), "mine.npy ");
    cr_expect_str_eq(names_in(folder()), "maps run.json ");
}

Test(removing, refuses_a_link_in_place_of_a_folder)
{
    static const char *const names[] = {"maps/000", "overlays/001", "shards"};
    for (size_t i = 0; i < 3; i++) {
        const char *path = scratch("run/%s", names[i]);
        put_run();
        write_text(scratch("elsewhere/a0.npy"), "kept");
        write_text(scratch("elsewhere/0-of-2.sqlite"), "");
        (void)rename(path, scratch("aside%zu", i));
        cr_assert_eq(symlink(scratch("elsewhere"), path), 0);
        expect_error(
            sal_run_remove(folder()), SAL_ERROR_ARGUMENT,
            text_from("{}/run/%s: is a link, and a run has none there: remove it, or choose another folder", names[i]));
        expect_error(
            sal_run_refuse_foreign(folder(), PICTURES), SAL_ERROR_ARGUMENT,
            text_from("{}/run/%s: is a link, and a run has none there: remove it, or choose another folder", names[i]));
        cr_expect(exists(scratch("run/run.json")));
        cr_expect(exists(scratch("run/results.sqlite")));
        cr_expect_str_eq(names_in(scratch("elsewhere")), "0-of-2.sqlite a0.npy ");
        cr_assert_eq(unlink(path), 0);
    }
}

Test(removing, takes_nothing_where_there_is_no_run)
{
    put_run();
    const char *json = text_of(scratch("run/run.json"));
    char *other = strdup(json);
    strstr(other, "m.onnx")[0] = 'n'; /* this is in no fingerprint */
    write_text(scratch("run/run.json"), other);
    strstr(other, "1111")[0] = '2'; /* and this is */
    const char *const texts[] = {"", "{}", "[]", "x", other, text_from("%s}", json)};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_text(scratch("run/run.json"), texts[i]);
        must(sal_run_remove(folder()));
        must(sal_run_remove_shard(folder(), &run));
        cr_expect(exists(scratch("run/maps/000/a0.npy")), "%zu", i);
        cr_expect(exists(scratch("run/results.sqlite")), "%zu", i);
        cr_expect(exists(scratch("run/manifest.csv")), "%zu", i);
        expect_error(sal_run_refuse_foreign(folder(), 1), SAL_ERROR_ARGUMENT,
                     "{}/run/run.json: is not of a run, and results would go there: choose another folder");
    }
    free(other);
    (void)remove(scratch("run/run.json"));
    must(sal_run_remove(folder()));
    cr_expect(exists(scratch("run/results.sqlite")));
    write_text(scratch("run/run.json"), json);
    must(sal_run_refuse_foreign(folder(), 1));
}

Test(removing, refuses_a_list_that_is_a_link)
{
    put_run();
    cr_assert_eq(rename(scratch("run/manifest.csv"), scratch("list.csv")), 0);
    cr_assert_eq(symlink(scratch("list.csv"), scratch("run/manifest.csv")), 0);
    expect_error(sal_run_remove(folder()), SAL_ERROR_ARGUMENT,
                 "{}/run/manifest.csv: is a link, and a run has none there: remove it, or choose another folder");
    cr_expect(exists(scratch("run/results.sqlite")));
}

Test(removing, refuses_a_list_that_is_not_the_run_s)
{
    put_run();
    write_text(scratch("run/manifest.csv"), "path\nmine.png\n");
    expect_error(
        sal_run_remove(folder()), SAL_ERROR_ARGUMENT,
        "{}/run/manifest.csv: is not the list that the run was begun with: move it away, or choose another run "
        "folder");
    write_text(scratch("run/manifest.csv"), "");
    cr_expect_eq(sal_run_remove(folder()), SAL_ERROR_ARGUMENT);
    cr_expect(exists(scratch("run/results.sqlite")));
    cr_expect(exists(scratch("run/maps/000/a0.npy")));
}

/* Shards have it only beside what they were merged into. */
Test(removing, leaves_a_table_that_shards_cannot_have)
{
    put_run();
    must(sal_run_refuse_table(folder()));
    (void)remove(scratch("run/results.sqlite"));
    expect_error(sal_run_refuse_table(folder()), SAL_ERROR_ARGUMENT,
                 "{}/run/results.csv: is not of a run, and results would go there: choose another folder");
    must(sal_run_remove_merged(folder()));
    run.shards = 2;
    must(sal_run_remove_shard(folder(), &run));
    cr_expect(exists(scratch("run/results.csv")));
    make_folder(scratch("run/shards"));
    must(sal_run_remove(folder()));
    cr_expect_str_eq(names_in(folder()), "results.csv run.json ");
    must(sal_run_remove(folder())); /* a run that is not in shards has it */
    cr_expect_str_eq(names_in(folder()), "run.json ");
}

Test(removing, takes_damaged_results_too)
{
    put_run();
    write_text(scratch("run/results.sqlite"), "These are no results, but they are long enough to be looked at.\n");
    must(sal_run_remove(folder()));
    cr_expect_str_eq(names_in(folder()), "run.json ");
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
    cr_expect_str_eq(names_in(folder()), "run.json ");
}

/* What cannot be removed is an error, and what describes the run stays. */
Test(removing, keeps_the_description_where_something_is_left)
{
    put_run();
    put_store("results.sqlite");
    make_folder(scratch("run/maps/000/a5.npy"));
    expect_error(sal_run_remove(folder()), SAL_ERROR_ARGUMENT,
                 "{}/run/maps/000/a5.npy: is a folder where a file of the run's should be: move it away, or choose "
                 "another run folder");
    cr_expect(exists(scratch("run/results.sqlite")), "found before the first file goes");
    cr_expect(exists(scratch("run/run.json")));
    cr_expect(exists(scratch("run/manifest.csv")));
    (void)remove(scratch("run/maps/000/a5.npy"));
    put_store("results.sqlite");
    (void)remove(scratch("run/results.csv"));
    make_folder(scratch("run/results.csv"));
    expect_error(sal_run_remove(folder()), SAL_ERROR_IO, "{}/run/results.csv: cannot remove: Is a directory");
    cr_expect(exists(scratch("run/run.json")));
    expect_error(sal_run_remove_merged(folder()), SAL_ERROR_IO, "{}/run/results.csv: cannot remove: Is a directory");
    (void)remove(scratch("run/results.csv"));
    cr_expect(exists(scratch("run/manifest.csv")));
    must(sal_run_refuse_foreign(folder(), 1));
    must(sal_run_remove(folder()));
    cr_expect_str_eq(names_in(folder()), "run.json ");
}

/* Names of results lead to what lies beside them. */
Test(removing, takes_results_after_what_lies_beside_them)
{
    make_folder(scratch("run/results.sqlite-in-flight"));
    put_store("results.sqlite");
    cr_expect_eq(sal_run_remove_merged(folder()), SAL_ERROR_IO);
    cr_expect(exists(scratch("run/results.sqlite")));
    (void)remove(scratch("run/results.sqlite-in-flight"));
    write_text(scratch("run/results.sqlite-in-flight"), "");
    must(sal_run_remove_merged(folder()));
    cr_expect_str_eq(names_in(folder()), "");
}

Test(removing, says_which_journal_is_left)
{
    static const char *const endings[] = {"-wal", "-shm", "-journal", "-in-flight"};
    for (size_t i = 0; i < 4; i++) {
        make_folder(scratch("run/results.sqlite%s", endings[i]));
        expect_error(sal_run_remove_merged(folder()), SAL_ERROR_IO,
                     text_from("{}/run/results.sqlite%s: cannot remove: Is a directory", endings[i]));
        (void)remove(scratch("run/results.sqlite%s", endings[i]));
    }
}

Test(removing, takes_folders_that_are_empty)
{
    describe();
    make_folder(scratch("run/maps/000"));
    make_folder(scratch("run/maps/001"));
    make_folder(scratch("run/overlays"));
    make_folder(scratch("run/shards"));
    make_folder(scratch("run/other"));
    must(sal_run_remove(folder()));
    cr_expect_str_eq(names_in(folder()), "other/ run.json ");
    describe();
    make_folder(scratch("run/maps/002"));
    make_folder(scratch("run/maps/mine"));
    must(sal_run_remove(folder()));
    cr_expect_str_eq(names_in(scratch("run/maps")), "002/ mine/ ");
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

/* The first picture of a shard, and the one after it. */
static size_t row_of(int64_t shard, size_t from)
{
    while (!sal_dataset_in_shard(list, from, shard, 2))
        from++;
    return from;
}

static size_t ours[2], theirs;

/* Shard 1 of 2 with two maps, one of them with an overlay, and files of the other shard. */
static void put_shard(void)
{
    plain_result plain[2];
    sal_result results[2];
    run.shard = 1;
    run.shards = 2;
    ours[0] = row_of(1, 0);
    ours[1] = row_of(1, ours[0] + 1);
    theirs = row_of(0, 0);
    for (size_t i = 0; i < 2; i++)
        results[i] = *make_plain(&plain[i], ours[i], 1, i == 1);
    make_results(scratch("run/shards/1-of-2.sqlite"), &run, list, results, 2);
    describe();
    put_store("shards/0-of-2.sqlite");
    put_store("results.sqlite");
    put("results.csv");
    put(text_from("maps/000/a%zu.npy", ours[0]));
    put(text_from("maps/000/a%zu.npy", ours[1]));
    put(text_from("maps/000/a%zu.npy", theirs));
    put(text_from("overlays/000/a%zu.overlay.png", ours[1]));
    put(text_from("overlays/000/a%zu.overlay.png", theirs));
}

static const char *map_of(size_t row)
{
    return text_from("a%zu.npy ", row);
}

static const char *overlay_of(size_t row)
{
    return text_from("a%zu.overlay.png ", row);
}

Test(removing, takes_the_files_of_one_shard)
{
    put_shard();
    put("shards/1-of-2.sqlite-shm");
    /* Written, and killed before the row was: likewise. */
    const size_t next = row_of(1, ours[1] + 1);
    put(text_from("overlays/000/a%zu.overlay.png", ours[0]));
    put(text_from("maps/000/a%zu.npy.tmp-1-2", next));
    put(text_from("maps/000/a%zu.npy.tmp-1-2", theirs));
    must(sal_run_remove_shard(folder(), &run));
    cr_expect_str_eq(names_in(folder()), "manifest.csv maps/ overlays/ run.json shards/ ");
    cr_expect_str_eq(names_in(scratch("run/maps/000")), text_from("a%zu.npy a%zu.npy.tmp-1-2 ", theirs, theirs));
    cr_expect_str_eq(names_in(scratch("run/overlays/000")), overlay_of(theirs));
    cr_expect_str_eq(names_in(scratch("run/shards")), "0-of-2.sqlite ");
    must(sal_run_remove_shard(folder(), &run));
    cr_expect_str_eq(names_in(folder()), "manifest.csv maps/ overlays/ run.json shards/ ");
}

/* run.json is written anew in its place. */
Test(removing, takes_the_list_of_another_run_with_a_shard)
{
    put_shard();
    run.settings = "method other\n";
    must(sal_run_remove_shard(folder(), &run));
    cr_expect_str_eq(names_in(folder()), "maps/ overlays/ run.json shards/ ");
    cr_expect_str_eq(names_in(scratch("run/shards")), "0-of-2.sqlite ");
    cr_expect_eq(sal_run_check(folder(), &run), SAL_ERROR_ARGUMENT);
    must(sal_run_describe(folder(), &run, list, NULL, 0, 1));
    must(sal_run_check(folder(), &run));
    cr_expect_str_eq(names_in(folder()), "manifest.csv maps/ overlays/ run.json shards/ ");
}

/* They are of options that run.json has no longer, since another shard began anew. What its rows name counts for
 * nothing. */
Test(removing, takes_the_files_of_a_shard_s_own_options)
{
    put_shard();
    run.settings = "maps npz\noverlays none\n";
    (void)remove(scratch("run/run.json"));
    describe();
    const char *file = text_from("maps/000/a%zu.top3.npy", ours[0]);
    change(scratch("run/shards/1-of-2.sqlite"),
           text_from("UPDATE maps SET map_file = '%s' WHERE picture = %zu", file, ours[0]));
    put(file);
    must(sal_run_remove_shard(folder(), &run));
    cr_expect(exists(scratch("run/%s", file)));
    (void)remove(scratch("run/%s", file));
    cr_expect_str_eq(names_in(scratch("run/maps/000")), map_of(theirs));
    cr_expect_str_eq(names_in(scratch("run/overlays/000")), overlay_of(theirs));
}

/* Rows may say what they like: of files that are not called as salmap calls those of the picture, none goes. */
Test(removing, takes_no_file_that_a_shard_cannot_have_made)
{
    const char *const names[] = {"../victim.npy",
                                 "../elsewhere/a%zu.npy",
                                 "notes.npy",
                                 "results.csv",
                                 "maps/000/mine.npy",
                                 "maps/001/a%zu.npy",
                                 "maps/000/../000/b.npy",
                                 "maps//000/b.npy",
                                 "/etc/hostname",
                                 "maps/000/a%zu.txt",
                                 "maps/000/a%zu-1.npy",
                                 "maps/000/a%zux.npy",
                                 "maps/000",
                                 "",
                                 "maps/000/"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        put_shard();
        (void)remove(scratch("run/manifest.csv"));
        char name[64];
        const char *mark = strstr(names[i], "%zu");
        snprintf(name, sizeof name, "%.*s%s%s", mark ? (int)(mark - names[i]) : (int)strlen(names[i]), names[i],
                 mark ? text_from("%zu", ours[0]) : "", mark ? mark + 3 : "");
        write_text(scratch("victim.npy"), "mine");
        write_text(scratch("elsewhere/a%zu.npy", ours[0]), "mine");
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            if (strncmp(name, "maps/00", 7) == 0 && name[strlen(name) - 1] != '/' && strlen(name) > 8)
                write_text(scratch("run/%s", name), "mine");
        change(scratch("run/shards/1-of-2.sqlite"),
               text_from("UPDATE maps SET map_file = '%s' WHERE picture = %zu", name, ours[0]));
        must(sal_run_remove_shard(folder(), &run));
        cr_expect_str_eq(text_of(scratch("victim.npy")), "mine", "%s", name);
        cr_expect_str_eq(text_of(scratch("elsewhere/a%zu.npy", ours[0])), "mine", "%s", name);
        if (strncmp(name, "maps/00", 7) == 0 && name[strlen(name) - 1] != '/' && strlen(name) > 8)
            cr_expect_str_eq(text_of(scratch("run/%s", name)), "mine", "%s", name);
    }
}

Test(removing, takes_a_damaged_shard)
{
    put_shard();
    write_text(scratch("run/shards/1-of-2.sqlite"), "These are no results, but they are long enough to be looked at.");
    must(sal_run_remove_shard(folder(), &run));
    cr_expect_str_eq(names_in(scratch("run/shards")), "0-of-2.sqlite ");
    cr_expect_str_eq(names_in(scratch("run/maps/000")), map_of(theirs));
}

Test(removing, takes_nothing_of_a_shard_that_is_in_use)
{
    put_shard();
    const char *maps = names_in(scratch("run/maps/000"));
    sqlite3 *other = hold(scratch("run/shards/1-of-2.sqlite"));
    expect_error(sal_run_remove_shard(folder(), &run), SAL_ERROR_IO,
                 "{}/run/shards/1-of-2.sqlite: in use by another salmap that is running: run again when it has ended");
    let_go(other);
    cr_expect_str_eq(names_in(folder()), "manifest.csv maps/ overlays/ results.csv results.sqlite run.json shards/ ");
    cr_expect_str_eq(names_in(scratch("run/maps/000")), maps);
}

Test(removing, of_a_shard_fails_where_a_file_cannot_go)
{
    put_shard();
    (void)remove(scratch("run/results.csv"));
    make_folder(scratch("run/results.csv"));
    expect_error(sal_run_remove_shard(folder(), &run), SAL_ERROR_IO,
                 "{}/run/results.csv: cannot remove: Is a directory");
    (void)remove(scratch("run/results.csv"));
    (void)remove(scratch("run/run.json"));
    make_folder(scratch("run/run.json"));
    expect_error(sal_run_remove_shard(folder(), &run), SAL_ERROR_IO, "{}/run/run.json: cannot read: Is a directory");
    cr_expect(exists(scratch("run/manifest.csv")));
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
    cr_expect(exists(scratch("run/maps/000/a1.npy.tmp-12-0")));
    must(sal_run_remove_own_temporaries(scratch("gone")));
}

Test(removing, takes_unfinished_files_of_the_run_s_shard)
{
    const sal_run_names *names = names_of(list, run.settings);
    put_run();
    put("maps/002/a2000.npy.tmp-1-2");
    put("maps/x/a0.npy.tmp-1-2");
    put("maps/a0.npy.tmp-1-2");
    put("maps/000/mine.npy.tmp-1-2");
    must(sal_run_remove_temporaries(folder(), "\1", 1, names));
    cr_expect_str_eq(names_in(scratch("run/maps/000")), "a0.npy a999.npy mine.npy.tmp-1-2 ");
    cr_expect_str_eq(names_in(scratch("run/maps/002")), "a2000.npy.tmp-1-2 ");
    cr_expect_str_eq(names_in(scratch("run/maps/x")), "a0.npy.tmp-1-2 ");
    cr_expect_str_eq(names_in(scratch("run/maps")), "000/ 001/ 002/ a0.npy.tmp-1-2 x/ ");
    cr_expect_str_eq(names_in(scratch("run/overlays/001")), "a1000.overlay.png ");
    must(sal_run_remove_temporaries(scratch("gone"), "\1", 1, names));
    const size_t mine = row_of(1, 0), other = row_of(0, 0);
    put(text_from("maps/000/a%zu.npy.tmp-7-7", mine));
    put(text_from("maps/000/a%zu.npy.tmp-7-7", other));
    static const char second[2] = {0, 1};
    must(sal_run_remove_temporaries(folder(), second, 2, names));
    cr_expect(!exists(scratch("run/maps/000/a%zu.npy.tmp-7-7", mine)));
    cr_expect(exists(scratch("run/maps/000/a%zu.npy.tmp-7-7", other)));
}

/* Nobody knows whose it is, and it is in nobody's way. */
Test(removing, leaves_a_folder_that_is_called_as_an_unfinished_file)
{
    put_run();
    make_folder(scratch("run/maps/000/a0.npy.tmp-1-2"));
    make_folder(scratch("run/run.json.tmp-1-1"));
    must(sal_run_remove_temporaries(folder(), "\1", 1, names_of(list, run.settings)));
    must(sal_run_remove_own_temporaries(folder()));
    must(sal_run_remove(folder()));
    cr_expect_str_eq(names_in(folder()), "maps/ run.json run.json.tmp-1-1/ ");
    cr_expect_str_eq(names_in(scratch("run/maps/000")), "a0.npy.tmp-1-2/ ");
}

/* ---- Overlays ------------------------------------------------------------ */

Test(removing, takes_overlays_that_no_row_names)
{
    const sal_run_names *names = names_of(list, run.settings);
    plain_result plain[3];
    sal_result results[3];
    sal_sql sql;
    for (size_t i = 0; i < 3; i++)
        results[i] = *make_plain(&plain[i], i, 1, i != 1);
    make_results(scratch("run/results.sqlite"), &run, list, results, 3);
    put("overlays/000/a0.overlay.png");
    put("overlays/000/a1.overlay.png");
    put("overlays/000/a2.overlay.png");
    put("overlays/000/a2.overlay.jpg");
    put("overlays/000/annotated.png");
    put("overlays/000/annotated.overlay.png");
    put("overlays/001/a0.overlay.png");
    put("overlays/001/a1001.overlay.png");
    put("overlays/002/a2000.overlay.png");
    put("maps/000/a1.npy");
    must(sal_sql_open(&sql, scratch("run/results.sqlite"), SQLITE_OPEN_READWRITE));
    must(sal_run_remove_overlays(folder(), &sql, names));
    cr_expect_str_eq(names_in(scratch("run/overlays")), "000/ 001/ 002/ ");
    cr_expect_str_eq(names_in(scratch("run/overlays/000")), "a0.overlay.png a2.overlay.jpg a2.overlay.png "
                                                            "annotated.overlay.png annotated.png ");
    cr_expect_str_eq(names_in(scratch("run/overlays/001")), "a0.overlay.png ");
    cr_expect_str_eq(names_in(scratch("run/maps/000")), "a1.npy ");
    (void)remove(scratch("run/overlays/001/a0.overlay.png"));
    must(sal_run_remove_overlays(folder(), &sql, names));
    cr_expect_str_eq(names_in(scratch("run/overlays")), "000/ 002/ ");
    /* Without overlays there is nothing to do. */
    must(sal_run_remove_overlays(scratch("gone"), &sql, names));
    make_folder(scratch("run/overlays/000/a7.overlay.png"));
    expect_error(sal_run_remove_overlays(folder(), &sql, names), SAL_ERROR_IO,
                 "{}/run/overlays/000/a7.overlay.png: cannot remove: Is a directory");
    must(sal_sql_run(&sql, "DROP TABLE temp.named; DROP TABLE maps"));
    expect_error(sal_run_remove_overlays(folder(), &sql, names), SAL_ERROR_FORMAT,
                 "{}/run/results.sqlite: no such table: maps");
    sal_sql_close(&sql);
}
