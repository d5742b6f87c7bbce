#define _GNU_SOURCE /* O_TMPFILE */
/* The run folder: names of its files, what describes the run, and whose folder it is. */
#include "results_support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int sync_fails;
static int syncs;

int __wrap_syncfs(int fd);

static const char *at_sync; /* what the run's folder had then */

int __wrap_syncfs(int fd)
{
    syncs++;
    at_sync = names_in(scratch("run"));
    if (!sync_fails && fcntl(fd, F_GETFD) >= 0)
        return 0;
    errno = EIO;
    return -1;
}

static const char *others_json; /* somebody writes it just before this run would */
static int no_links;
static int no_unnamed; /* files without a name */
static int is_killed_before;

int __wrap_openat(int folder, const char *name, int flags, ...);
int __real_openat(int folder, const char *name, int flags, ...);

int __wrap_openat(int folder, const char *name, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = flags & (O_CREAT | O_TMPFILE) & ~O_DIRECTORY ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    errno = EOPNOTSUPP;
    return no_unnamed && (flags & O_TMPFILE) == O_TMPFILE ? -1 : __real_openat(folder, name, flags, mode);
}

int __wrap_linkat(int from_folder, const char *from, int to_folder, const char *to, int flags);
int __real_linkat(int from_folder, const char *from, int to_folder, const char *to, int flags);

int __wrap_linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    if (others_json)
        write_text(scratch("run/run.json"), others_json);
    if (is_killed_before)
        raise(SIGKILL);
    errno = EPERM;
    return no_links ? -1 : __real_linkat(from_folder, from, to_folder, to, flags);
}

#define OTHER                                                                                                          \
    "{}/run/run.json: is of a run of another model, list of pictures or options; --restart throws its results away, "  \
    "or choose another run folder"

TestSuite(run, .init = make_scratch, .fini = remove_scratch, .timeout = 120);

/* ---- Names --------------------------------------------------------------- */

static const char *path_of(const char *folder, const char *name)
{
    char *path;
    must(sal_run_path(&path, folder, name));
    const char *text = text_from("%s", path);
    free(path);
    return text;
}

static const char *store_of(const char *folder, int64_t shard, int64_t shards)
{
    char *path;
    must(sal_run_store_path(&path, folder, shard, shards));
    const char *text = text_from("%s", path);
    free(path);
    return text;
}

Test(run, paths_have_one_slash)
{
    cr_expect_str_eq(path_of("run", "maps"), "run/maps");
    cr_expect_str_eq(path_of("run/", "maps"), "run/maps");
    cr_expect_str_eq(path_of("/", "maps"), "/maps");
    cr_expect_str_eq(path_of("", "maps"), "maps");
    cr_expect_str_eq(path_of("x", ""), "x/");
    cr_expect_str_eq(path_of("", ""), "");
}

/* A path is as long as it must be: a folder and a name of every length modulo 16. */
Test(run, paths_have_room_for_all_of_it)
{
    char folder[40], name[40];
    for (size_t i = 1; i < 36; i++) {
        memset(folder, 'f', i);
        folder[i] = '\0';
        memset(name, 'n', 37 - i);
        name[37 - i] = '\0';
        cr_expect_str_eq(path_of(folder, name), text_from("%s/%s", folder, name));
        cr_expect_str_eq(path_of(folder, "n"), text_from("%s/n", folder));
    }
}

Test(run, result_files_are_whole_or_of_a_shard)
{
    cr_expect_str_eq(store_of("run", 0, 0), "run/results.sqlite");
    cr_expect_str_eq(store_of("run", 0, 1), "run/results.sqlite");
    cr_expect_str_eq(store_of("run", 1, 2), "run/shards/1-of-2.sqlite");
    cr_expect_str_eq(store_of("run/", 9999999999, 10000000000), "run/shards/9999999999-of-10000000000.sqlite");
}

Test(run, names_of_shards_are_read)
{
    static const struct {
        const char *name;
        int is;
        int64_t shard, shards;
    } cases[] = {
        {"0-of-2.sqlite", 1, 0, 2},
        {"1-of-2.sqlite", 1, 1, 2},
        {"99-of-100.sqlite", 1, 99, 100},
        {"9999999999-of-10000000000.sqlite", 1, 9999999999, 10000000000},
        {"2-of-2.sqlite", 0, 0, 0},
        {"3-of-2.sqlite", 0, 0, 0},
        {"0-of-1.sqlite", 0, 0, 0},
        {"0-of-0.sqlite", 0, 0, 0},
        {"-1-of-2.sqlite", 0, 0, 0},
        {"1-of-.sqlite", 0, 0, 0},
        {"-of-2.sqlite", 0, 0, 0},
        {"1-of-2.sqlite-wal", 0, 0, 0},
        {"1-of-2.sqlite.tmp-1-0", 0, 0, 0},
        {"1-of-2.sqlit", 0, 0, 0},
        {"1-of-2", 0, 0, 0},
        {"1-of-2.SQLITE", 0, 0, 0},
        {"x1-of-2.sqlite", 0, 0, 0},
        {"01-of-2.sqlite", 0, 0, 0},
        {"1-of-02.sqlite", 0, 0, 0},
        {" 1-of-2.sqlite", 0, 0, 0},
        {"+1-of-2.sqlite", 0, 0, 0},
        {"1-of-+2.sqlite", 0, 0, 0},
        {"results.sqlite", 0, 0, 0},
        {"", 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t shard = 0, shards = 0;
        cr_expect_eq(!!sal_run_parse_shard(&shard, &shards, cases[i].name), cases[i].is, "%s", cases[i].name);
        if (cases[i].is) {
            cr_expect_eq(shard, cases[i].shard, "%s", cases[i].name);
            cr_expect_eq(shards, cases[i].shards, "%s", cases[i].name);
        }
    }
}

Test(run, hashes_a_text)
{
    char hash[65];
    must(sal_run_hash(hash, "abc", 3));
    cr_expect_str_eq(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    must(sal_run_hash(hash, "abcd", 3));
    cr_expect_str_eq(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    must(sal_run_hash(hash, "", 0));
    cr_expect_str_eq(hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* ---- Whose folder it is -------------------------------------------------- */

Test(run, refuses_a_folder_with_somebody_s_files_of_these_names)
{
    static const char *const names[] = {"results.sqlite", "shards", "manifest.csv", "results.csv", "maps", "overlays"};
    const sal_run run = plain_run();
    make_folder(scratch("a"));
    must(sal_run_refuse_foreign(scratch("a"), 1));
    must(sal_run_refuse_foreign(scratch("gone"), 1));
    write_text(scratch("a/notes.txt"), "mine");
    write_text(scratch("a/run.json.tmp-1-0"), "of a run that was killed as it began");
    must(sal_run_refuse_foreign(scratch("a"), 1));
    for (size_t i = 6; i-- > 0;) {
        /* The first of them in this order is named. */
        write_text(scratch("a/%s", names[i]), "mine");
        expect_error(
            sal_run_refuse_foreign(scratch("a"), 1), SAL_ERROR_ARGUMENT,
            text_from("{}/a/%s: is not of a run, and results would go there: choose another folder", names[i]));
    }
    write_text(scratch("a/run.json"), "of somebody else");
    expect_error(sal_run_refuse_foreign(scratch("a"), 1), SAL_ERROR_ARGUMENT,
                 "{}/a/run.json: is not of a run, and results would go there: choose another folder");
    cr_expect_str_eq(names_in(scratch("a")), "manifest.csv maps notes.txt overlays results.csv results.sqlite run.json "
                                             "run.json.tmp-1-0 shards ");
    /* A file in the place of a folder is in the way of a run as well. */
    (void)remove(scratch("a/run.json"));
    must(sal_run_describe(scratch("a"), &run, list_of_count(1), NULL, 0, 0));
    expect_error(sal_run_refuse_foreign(scratch("a"), 1), SAL_ERROR_IO,
                 "{}/a/shards: cannot open the folder: Not a directory");
    (void)remove(scratch("a/shards"));
    expect_error(sal_run_refuse_foreign(scratch("a"), 1), SAL_ERROR_IO,
                 "{}/a/maps: cannot open the folder: Not a directory");
    (void)remove(scratch("a/maps"));
    (void)remove(scratch("a/overlays"));
    must(sal_run_refuse_foreign(scratch("a"), 1));
}

/* The user may have made them, to keep results on another disk. */
Test(run, goes_into_folders_for_results_that_are_empty)
{
    make_folder(scratch("a"));
    make_folder(scratch("a/maps"));
    make_folder(scratch("disk"));
    cr_assert_eq(symlink(scratch("disk"), scratch("a/overlays")), 0);
    must(sal_run_refuse_foreign(scratch("a"), 1));
    write_text(scratch("disk/mine.png"), "mine");
    expect_error(sal_run_refuse_foreign(scratch("a"), 1), SAL_ERROR_ARGUMENT,
                 "{}/a/overlays: is not of a run, and results would go there: choose another folder");
    (void)remove(scratch("disk/mine.png"));
    (void)remove(scratch("disk"));
    cr_expect_eq(sal_run_refuse_foreign(scratch("a"), 1), SAL_ERROR_ARGUMENT);
    const sal_run run = plain_run();
    must(sal_run_describe(scratch("a"), &run, list_of_count(1), NULL, 0, 0));
    expect_error(sal_run_refuse_foreign(scratch("a"), 1), SAL_ERROR_IO,
                 "{}/a/overlays: is a link to no folder; run again when its disk is there");
}

/* ---- Settling ------------------------------------------------------------ */

/* A copy of a result file whose process did not come to its end: half of what it has is in the journal. */
static void leave_journal(const char *to)
{
    sqlite3 *db;
    const char *from = scratch("whole.sqlite");
    cr_assert_eq(sqlite3_open(from, &db), SQLITE_OK);
    cr_assert_eq(
        sqlite3_exec(
            db,
            "CREATE TABLE run(k); CREATE TABLE maps(k); INSERT INTO run VALUES(1); PRAGMA locking_mode = EXCLUSIVE;"
            "PRAGMA journal_mode = WAL; INSERT INTO run VALUES(2)",
            NULL, NULL, NULL),
        SQLITE_OK);
    copy_with_journal(from, to);
    sqlite3_close(db);
}

Test(run, settles_what_a_killed_process_left)
{
    leave_journal(scratch("cut/results.sqlite"));
    cr_assert_str_eq(names_in(scratch("cut")), "results.sqlite results.sqlite-wal ");
    must(sal_run_settle(scratch("cut/results.sqlite")));
    cr_expect_str_eq(names_in(scratch("cut")), "results.sqlite ");
    cr_expect_str_eq(rows_of(scratch("cut/results.sqlite"), "SELECT group_concat(k) FROM run"), "'1,2'\n");
    cr_expect_str_eq(rows_of(scratch("cut/results.sqlite"), "PRAGMA journal_mode"), "'delete'\n");
    must(sal_run_settle(scratch("cut/results.sqlite")));
    must(sal_run_settle(scratch("cut/none.sqlite")));
    cr_expect_str_eq(names_in(scratch("cut")), "results.sqlite ");
}

Test(run, does_not_settle_what_is_in_use_or_no_result)
{
    const sal_run run = plain_run();
    make_results(scratch("results.sqlite"), &run, list_of_count(1), NULL, 0);
    sqlite3 *other = hold(scratch("results.sqlite"));
    expect_error(sal_run_settle(scratch("results.sqlite")), SAL_ERROR_IO,
                 "{}/results.sqlite: in use by another salmap that is running: run again when it has ended");
    let_go(other);
    must(sal_run_settle(scratch("results.sqlite")));
    write_text(scratch("text"), "These are no results, but they are long enough to be looked at.\n");
    expect_error(sal_run_settle(scratch("text")), SAL_ERROR_FORMAT,
                 "{}/text: is damaged, or no results of salmap (file is not a database)");
    /* Nobody has it when that is over. */
    let_go(hold(scratch("results.sqlite")));
}

Test(run, syncs_its_folder)
{
    const int files = open_files();
    must(sal_run_sync(scratch(".")));
    cr_expect_eq(syncs, 1);
    sync_fails = 1;
    expect_error(sal_run_sync(scratch(".")), SAL_ERROR_IO, "{}/.: cannot be written to the disk: Input/output error");
    cr_expect_eq(syncs, 2);
    sync_fails = 0;
    expect_error(sal_run_sync(scratch("gone")), SAL_ERROR_IO,
                 "{}/gone: cannot open the folder: No such file or directory");
    write_text(scratch("file"), "x");
    expect_error(sal_run_sync(scratch("file")), SAL_ERROR_IO, "{}/file: cannot open the folder: Not a directory");
    cr_expect_eq(syncs, 2);
    cr_expect_eq(open_files(), files);
}

/* Links to other disks are what maps and overlays may be. */
Test(run, syncs_the_disks_of_its_maps_and_overlays)
{
    struct stat here, there;
    char other[] = "/tmp/salmap-disk-XXXXXX";
    cr_assert_not_null(mkdtemp(other));
    make_folder(scratch("run/overlays"));
    cr_assert_eq(symlink(other, scratch("run/maps")), 0);
    cr_assert(stat(other, &there) == 0 && stat(scratch("run"), &here) == 0);
    const int files = open_files();
    must(sal_run_sync(scratch("run")));
    cr_expect_eq(syncs, here.st_dev == there.st_dev ? 1 : 2);
    cr_expect_eq(open_files(), files);
    cr_assert_eq(rmdir(other), 0);
}

/* ---- What describes it --------------------------------------------------- */

static const char *fingerprint_of(const sal_run *run)
{
    char hash[65];
    const char *all = text_from("%s%s%s", run->model_sha256, run->manifest_sha256, run->settings);
    must(sal_run_hash(hash, all, strlen(all)));
    return text_from("%s", hash);
}

static const char *json(void)
{
    return text_of(scratch("run/run.json"));
}

Test(run, is_described_by_two_files)
{
    static const char *const inputs[] = {"lists/a.csv", "caf\xE9 \"x\""};
    const sal_run run = {.model = "models/m.onnx",
                         .model_sha256 = "1111",
                         .manifest_sha256 = "2222",
                         .settings = "method gradient\nlabel two words\nexact yes\nraw-map no\n",
                         .shards = 1};
    sal_dataset *list = list_of("label,path\n\"one, two\",a.png\n,b.png\n");
    make_folder(scratch("run"));
    must(sal_run_describe(scratch("run"), &run, list, inputs, 2, 0));
    cr_expect_str_eq(text_of(scratch("run/manifest.csv")), "label,path\n\"one, two\",a.png\n,b.png\n");
    cr_expect_str_eq(json(), text_from("{\n"
                                       "  \"salmap\": \"%s\",\n"
                                       "  \"model\": \"models/m.onnx\",\n"
                                       "  \"model_sha256\": \"1111\",\n"
                                       "  \"inputs\": [\n"
                                       "    \"lists/a.csv\",\n"
                                       "    \"caf\\ufffd \\\"x\\\"\"\n"
                                       "  ],\n"
                                       "  \"root\": \"%s\",\n"
                                       "  \"manifest\": \"manifest.csv\",\n"
                                       "  \"manifest_sha256\": \"2222\",\n"
                                       "  \"pictures\": 2,\n"
                                       "  \"settings\": {\n"
                                       "    \"method\": \"gradient\",\n"
                                       "    \"label\": \"two words\",\n"
                                       "    \"exact\": \"yes\",\n"
                                       "    \"raw-map\": \"no\"\n"
                                       "  },\n"
                                       "  \"fingerprint\": \"%s\",\n"
                                       "  \"again\": \"salmap sweep models/m.onnx lists/a.csv 'caf\\ufffd \\\"x\\\"' "
                                       "--root %s -o AGAIN --method gradient --label 'two words' --exact\"\n"
                                       "}\n",
                                       sal_version(), scratch("lists/0"), fingerprint_of(&run), scratch("lists/0")));
    cr_expect_str_eq(names_in(scratch("run")), "manifest.csv run.json ");
}

/* A kill at any moment leaves a run, or nothing of one. */
Test(run, is_one_before_it_has_anything_else)
{
    const sal_run run = plain_run();
    make_folder(scratch("run"));
    must(sal_run_describe(scratch("run"), &run, list_of_count(1), NULL, 0, 0));
    cr_expect_eq(syncs, 1);
    cr_expect_str_eq(at_sync, "run.json ");
    must(sal_run_describe(scratch("run"), &run, list_of_count(1), NULL, 0, 0));
    cr_expect_eq(syncs, 1);
    sync_fails = 1;
    (void)remove(scratch("run/run.json"));
    (void)remove(scratch("run/manifest.csv"));
    expect_error(sal_run_describe(scratch("run"), &run, list_of_count(1), NULL, 0, 0), SAL_ERROR_IO,
                 "{}/run: cannot be written to the disk: Input/output error");
    cr_expect_str_eq(names_in(scratch("run")), "run.json ");
}

/* A run that is thrown away is one until the next one is. */
Test(run, begins_anew_in_place_of_another)
{
    sal_run run = plain_run();
    make_folder(scratch("run"));
    must(sal_run_describe(scratch("run"), &run, list_of_count(1), NULL, 0, 0));
    (void)remove(scratch("run/manifest.csv"));
    run.settings = "method other\n";
    must(sal_run_describe(scratch("run"), &run, list_of_count(2), NULL, 0, 1));
    must(sal_run_check(scratch("run"), &run));
    cr_expect_str_eq(text_of(scratch("run/manifest.csv")), "path\na0.png\na1.png\n");
    /* Somebody else's is not replaced. */
    write_text(scratch("run/run.json"), "mine");
    cr_expect_eq(sal_run_describe(scratch("run"), &run, list_of_count(2), NULL, 0, 1), SAL_ERROR_ARGUMENT);
    cr_expect_str_eq(text_of(scratch("run/run.json")), "mine");
}

Test(run, that_begins_at_the_same_moment_as_another_does_not_take_its_folder)
{
    sal_run run = plain_run();
    sal_dataset *list = list_of_count(1);
    make_folder(scratch("run"));
    must(sal_run_describe(scratch("run"), &run, list, NULL, 0, 0));
    others_json = json();
    (void)remove(scratch("run/run.json"));
    (void)remove(scratch("run/manifest.csv"));
    run.settings = "method other\n";
    expect_error(sal_run_describe(scratch("run"), &run, list, NULL, 0, 0), SAL_ERROR_ARGUMENT, OTHER);
    cr_expect_str_eq(json(), others_json);
    cr_expect_str_eq(names_in(scratch("run")), "run.json ");
    /* Of the same run, it is the one. */
    (void)remove(scratch("run/run.json"));
    run = plain_run();
    run.model = "elsewhere/m.onnx";
    must(sal_run_describe(scratch("run"), &run, list, NULL, 0, 0));
    cr_expect_str_eq(json(), others_json);
    cr_expect_str_eq(names_in(scratch("run")), "manifest.csv run.json ");
}

/* Links of files without a name may be forbidden, too. */
Test(run, is_described_where_files_must_have_names_or_have_no_links)
{
    const sal_run run = plain_run();
    sal_dataset *list = list_of_count(1);
    const char *first = NULL;
    for (int k = 0; k < 4; k++) {
        const char *folder = scratch("run%d", k);
        make_folder(folder);
        no_links = k & 1;
        no_unnamed = k & 2;
        must(sal_run_describe(folder, &run, list, NULL, 0, 0));
        must(sal_run_check(folder, &run));
        cr_expect_str_eq(names_in(folder), "manifest.csv run.json ");
        const char *text = text_of(text_from("%s/run.json", folder));
        first = first ? first : text;
        cr_expect_str_eq(text, first);
    }
}

/* Somebody else's run.json is not replaced there either. */
Test(run, is_not_described_over_that_of_another_where_files_must_have_names)
{
    sal_run run = plain_run();
    sal_dataset *list = list_of_count(1);
    make_folder(scratch("run"));
    must(sal_run_describe(scratch("run"), &run, list, NULL, 0, 0));
    others_json = json();
    (void)remove(scratch("run/run.json"));
    (void)remove(scratch("run/manifest.csv"));
    run.settings = "method other\n";
    no_unnamed = 1;
    expect_error(sal_run_describe(scratch("run"), &run, list, NULL, 0, 0), SAL_ERROR_ARGUMENT, OTHER);
    cr_expect_str_eq(json(), others_json);
    cr_expect_str_eq(names_in(scratch("run")), "run.json ");
}

/* It would be refused as that of no run. */
Test(run, whose_description_would_be_too_large_is_not_begun)
{
    const sal_run run = plain_run();
    enum { INPUTS = 70, LENGTH = 1 << 17 };
    static char name[LENGTH];
    const char *inputs[INPUTS];
    memset(name, 'a', LENGTH - 1);
    for (int i = 0; i < INPUTS; i++)
        inputs[i] = name;
    make_folder(scratch("run"));
    expect_error(sal_run_describe(scratch("run"), &run, list_of_count(1), inputs, INPUTS, 0), SAL_ERROR_LIMIT,
                 "{}/run/run.json: the names of all inputs are more than its 16 MiB: give a folder or a list");
    cr_expect_str_eq(names_in(scratch("run")), "");
    must(sal_run_describe(scratch("run"), &run, list_of_count(1), inputs, INPUTS / 2, 0));
    must(sal_run_check(scratch("run"), &run));
}

/* Nobody would know that a file beside it is of a run. */
Test(run, leaves_nothing_where_it_is_killed_before_it_is_one)
{
    const sal_run run = plain_run();
    int how;
    make_folder(scratch("run"));
    const int fd = open(scratch("run"), O_TMPFILE | O_WRONLY, 0666);
    if (fd < 0)
        cr_skip_test("every file has a name here");
    close(fd);
    const pid_t child = fork();
    if (child == 0) {
        is_killed_before = 1;
        (void)sal_run_describe(scratch("run"), &run, list_of_count(1), NULL, 0, 0);
        _exit(0);
    }
    cr_assert(child > 0 && waitpid(child, &how, 0) == child);
    cr_expect(WIFSIGNALED(how));
    cr_expect_str_eq(names_in(scratch("run")), "");
}

/* Their run.json would not tell them. */
Test(run, of_settings_that_are_no_lines_is_not_begun)
{
    static const char *const settings[] = {"output a\nb\n", "output caf\xE9\n", "output a", "output\n"};
    sal_run run = plain_run();
    make_folder(scratch("run"));
    for (size_t i = 0; i < 4; i++) {
        run.settings = settings[i];
        expect_error(sal_run_describe(scratch("run"), &run, list_of_count(1), NULL, 0, 0), SAL_ERROR_ARGUMENT,
                     "the name of an output, a layer or a baseline is no line of UTF-8, and run.json cannot hold it");
        cr_expect_str_eq(names_in(scratch("run")), "");
    }
}

/* The command that makes the run again. */
static const char *again(const char *model, const char *const *inputs, size_t count, const char *settings,
                         const sal_dataset *list)
{
    sal_run run = plain_run();
    run.model = model;
    run.settings = settings;
    make_folder(scratch("run"));
    (void)remove(scratch("run/run.json"));
    must(sal_run_describe(scratch("run"), &run, list, inputs, count, 0));
    const char *text = strstr(json(), "\"again\": \"");
    cr_assert_not_null(text);
    text += strlen("\"again\": \"");
    return text_from("%.*s", (int)(strlen(text) - strlen("\"\n}\n")), text);
}

Test(run, can_be_made_again_by_its_command)
{
    static const char *const plain[] = {"azAZ09_-+=:,./"};
    static const char *const odd[] = {"", "it's", "a b", "$x", "*.png", "caf\xC3\xA9", "''"};
    sal_dataset list = {.count = 0, .root = "", .manifest = 0, .label_column = -1};
    sal_dataset *manifest = list_of_count(1);
    cr_expect_str_eq(again("m.onnx", NULL, 0, "", &list), "salmap sweep m.onnx -o AGAIN");
    /* Two options have no value; another one's may be called as theirs are. */
    cr_expect_str_eq(
        again("m 1.onnx", plain, 1, "exact no\nraw-map yes\nc none\nd yess\ne \nf no\ng yes\n", &list),
        "salmap sweep 'm 1.onnx' azAZ09_-+=:,./ -o AGAIN --raw-map --c none --d yess --e '' --f no --g yes");
    cr_expect_str_eq(again("m.onnx", NULL, 0, "exact yes\nraw-map no\n", &list),
                     "salmap sweep m.onnx -o AGAIN --exact");
    static const char *const dashed[] = {"a", "-b"};
    cr_expect_str_eq(again("m.onnx", dashed, 2, "x y\n", &list), "salmap sweep -o AGAIN --x y -- m.onnx a -b");
    cr_expect_str_eq(again("-m", plain, 1, "", &list), "salmap sweep -o AGAIN -- -m azAZ09_-+=:,./");
    cr_expect_str_eq(again("m.onnx", odd, 7, "", &list),
                     "salmap sweep m.onnx '' 'it'\\\\''s' 'a b' '$x' '*.png' 'caf\xC3\xA9' ''\\\\'''\\\\''' -o AGAIN");
    list.manifest = 1;
    cr_expect_str_eq(again("m.onnx", NULL, 0, "", &list), "salmap sweep m.onnx --root . -o AGAIN");
    list.root = "the root";
    cr_expect_str_eq(again("m.onnx", NULL, 0, "", &list), "salmap sweep m.onnx --root 'the root' -o AGAIN");
    cr_expect_str_eq(again("m.onnx", NULL, 0, "x y\n", manifest),
                     text_from("salmap sweep m.onnx --root %s -o AGAIN --x y", scratch("lists/0")));
}

Test(run, is_the_same_whatever_the_shard_and_the_path_of_the_model)
{
    sal_dataset *list = list_of_count(2);
    sal_run run = plain_run();
    make_folder(scratch("run"));
    must(sal_run_check(scratch("run"), &run));
    must(sal_run_describe(scratch("run"), &run, list, NULL, 0, 0));
    const char *before = json();
    run.model = "other/path.onnx";
    run.shard = 2;
    run.shards = 3;
    must(sal_run_check(scratch("run"), &run));
    must(sal_run_describe(scratch("run"), &run, list, NULL, 0, 0));
    cr_expect_str_eq(json(), before);
}

Test(run, is_another_one_with_another_model_list_or_option)
{
    sal_dataset *list = list_of_count(2), *other = list_of_count(3);
    sal_run run = plain_run();
    make_folder(scratch("run"));
    must(sal_run_describe(scratch("run"), &run, list, NULL, 0, 0));
    const char *before = json(), *manifest = text_of(scratch("run/manifest.csv"));
    for (int i = 0; i < 3; i++) {
        run = plain_run();
        *(i == 0 ? &run.model_sha256 : i == 1 ? &run.manifest_sha256 : &run.settings) = "3333";
        expect_error(sal_run_check(scratch("run"), &run), SAL_ERROR_ARGUMENT, OTHER);
        expect_error(sal_run_describe(scratch("run"), &run, other, NULL, 0, 0), SAL_ERROR_ARGUMENT, OTHER);
    }
    cr_expect_str_eq(json(), before);
    cr_expect_str_eq(text_of(scratch("run/manifest.csv")), manifest);
}

Test(run, writes_only_what_is_not_there)
{
    sal_dataset *list = list_of_count(1);
    const sal_run run = plain_run();
    write_text(scratch("run/manifest.csv"), "of the first shard");
    must(sal_run_describe(scratch("run"), &run, list, NULL, 0, 0));
    cr_expect_str_eq(text_of(scratch("run/manifest.csv")), "of the first shard");
    cr_expect_not_null(strstr(json(), fingerprint_of(&run)));
    (void)remove(scratch("run/manifest.csv"));
    const char *first =
        text_from("{\"model_sha256\": \"%s\", \"manifest_sha256\": \"%s\", \"settings\": {\"method\": "
                  "\"gradient\", \"top-k\": \"2\"}, \"fingerprint\": \"%s\", \"of\": [\"the first shard\"]}",
                  run.model_sha256, run.manifest_sha256, fingerprint_of(&run));
    write_text(scratch("run/run.json"), first);
    must(sal_run_describe(scratch("run"), &run, list, NULL, 0, 0));
    cr_expect_str_eq(text_of(scratch("run/manifest.csv")), "path\na0.png\n");
    cr_expect_str_eq(json(), first);
}

Test(run, that_cannot_be_described_is_an_error)
{
    sal_dataset *list = list_of_count(1);
    const sal_run run = plain_run();
    expect_error(sal_run_describe(scratch("gone"), &run, list, NULL, 0, 0), SAL_ERROR_IO,
                 "{}/gone/run.json: cannot create: No such file or directory");
    make_folder(scratch("a/run.json"));
    expect_error(sal_run_describe(scratch("a"), &run, list, NULL, 0, 0), SAL_ERROR_IO,
                 "{}/a/run.json: cannot read: Is a directory");
    expect_error(sal_run_check(scratch("a"), &run), SAL_ERROR_IO, "{}/a/run.json: cannot read: Is a directory");
    cr_expect_str_eq(names_in(scratch("a")), "run.json/ ");
    write_text(scratch("b/run.json"), "");
    expect_error(sal_run_check(scratch("b"), &run), SAL_ERROR_ARGUMENT,
                 "{}/b/run.json: is not of a run, and results would go there: choose another folder");
}
