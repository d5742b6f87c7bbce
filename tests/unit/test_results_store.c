/* The store: opening, going on with what is there, and the thread that commits. Its clock, its waits and the sync of
 * its folder are the test's (--wrap), so that nothing here sleeps and every order of events is the one that is meant.
 */
#include "results_support.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { COMMIT_AT = 2048, MOST_WAITING = 4096 };

/* ---- What the store runs on ---------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

/* Under the lock. */
static struct {
    int syncs; /* calls of syncfs */
    int sync_fails_at;
    int sync_of_folder; /* 1: all were of the run folder */
    int closed;         /* syncfs waits until this is 0 */
    off_t journal_size; /* when the folder was synced last */
    double now;         /* the clock */
    double sync_takes;  /* seconds of the clock */
    int idle;           /* how often the committing thread went to wait for work */
    struct timespec until;
    pthread_cond_t *work; /* what it waits for */
    pthread_mutex_t *work_lock;
    int time_is_up; /* ends its next wait as if `until` had come */
    int waits;      /* how often somebody waited for the committing thread */
    int open_at_wait;
    int sleeps;
    long slept[16]; /* nanoseconds */
    int let_go_at;  /* the sleep that the holder of the file ends in */
    sqlite3 *holder;
    int no_thread;
    int no_memory;
    clockid_t clock; /* of the condition */
} at;

int __wrap_syncfs(int fd);
int __wrap_nanosleep(const struct timespec *time, struct timespec *rest);
int __wrap_clock_gettime(clockid_t clock, struct timespec *time);
int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until);
int __wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
int __wrap_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *attributes);
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*run)(void *), void *context);
void *__wrap_malloc(size_t size);
int __real_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
int __real_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *attributes);
int __real_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*run)(void *), void *context);
void *__real_malloc(size_t size);

int __wrap_syncfs(int fd)
{
    struct stat folder, given, journal = {0};
    pthread_mutex_lock(&lock);
    (void)stat(scratch("run"), &folder);
    (void)stat(scratch("run/results.sqlite-wal"), &journal);
    at.sync_of_folder = (at.syncs == 0 || at.sync_of_folder) && fstat(fd, &given) == 0 && given.st_ino == folder.st_ino;
    at.journal_size = journal.st_size;
    const int fails = ++at.syncs == at.sync_fails_at;
    pthread_cond_broadcast(&changed);
    while (at.closed)
        __real_pthread_cond_wait(&changed, &lock);
    at.now += at.sync_takes;
    pthread_mutex_unlock(&lock);
    errno = EIO;
    return fails ? -1 : 0;
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *rest)
{
    (void)rest;
    cr_assert_eq(time->tv_sec, 0);
    at.slept[at.sleeps++ % 16] = time->tv_nsec;
    if (at.sleeps == at.let_go_at)
        let_go(at.holder);
    return 0;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
    pthread_mutex_lock(&lock);
    cr_assert_eq(clock, CLOCK_MONOTONIC);
    time->tv_sec = (time_t)at.now;
    time->tv_nsec = (long)((at.now - (double)(time_t)at.now) * 1e9);
    pthread_mutex_unlock(&lock);
    return 0;
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until)
{
    pthread_mutex_lock(&lock);
    at.idle++;
    at.until = *until;
    at.work = c;
    at.work_lock = m;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    __real_pthread_cond_wait(c, m);
    pthread_mutex_lock(&lock);
    const int up = at.time_is_up;
    at.time_is_up = 0;
    pthread_mutex_unlock(&lock);
    return up ? ETIMEDOUT : 0;
}

int __wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
    pthread_mutex_lock(&lock);
    at.waits++;
    if (at.open_at_wait)
        at.closed = 0;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return __real_pthread_cond_wait(c, m);
}

int __wrap_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *attributes)
{
    at.clock = CLOCK_REALTIME;
    if (attributes)
        pthread_condattr_getclock(attributes, &at.clock);
    return __real_pthread_cond_init(c, attributes);
}

int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*run)(void *), void *context)
{
    return at.no_thread ? EAGAIN : __real_pthread_create(out, attributes, run, context);
}

void *__wrap_malloc(size_t size)
{
    return at.no_memory ? NULL : __real_malloc(size);
}

static int count_of(const int *counter)
{
    pthread_mutex_lock(&lock);
    const int count = *counter;
    pthread_mutex_unlock(&lock);
    return count;
}

/* Until a counter is at least so high. */
static void await(const int *counter, int count)
{
    pthread_mutex_lock(&lock);
    while (*counter < count)
        __real_pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static void set_closed(int closed)
{
    pthread_mutex_lock(&lock);
    at.closed = closed;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

/* Wakes the committing thread, which waits for work: its time is up, or for nothing. Does not wait for it. */
static void wake(int time_is_up)
{
    pthread_mutex_lock(at.work_lock);
    pthread_mutex_lock(&lock);
    at.time_is_up = time_is_up;
    pthread_mutex_unlock(&lock);
    pthread_cond_broadcast(at.work);
    pthread_mutex_unlock(at.work_lock);
}

/* Likewise, and until it waits again. */
static void wake_until_idle(int time_is_up)
{
    const int before = count_of(&at.idle);
    wake(time_is_up);
    await(&at.idle, before + 1);
}

/* ---- A store ------------------------------------------------------------- */

static sal_dataset *list;
static sal_run run;

static void begin(void)
{
    make_scratch();
    make_folder(scratch("run"));
    list = list_of_count(8);
    run = plain_run();
    at.now = 1000.25;
}

static const char *path(void)
{
    return scratch("run/results.sqlite");
}

static sal_store *open_store(void)
{
    sal_store *s;
    must(sal_store_open(&s, path(), scratch("run"), &run, list, "cpu"));
    await(&at.idle, 1);
    return s;
}

static void add(sal_store *s, size_t row)
{
    plain_result plain;
    must(sal_store_add(s, make_plain(&plain, row, (float)row, 1)));
}

static const char *ids(void)
{
    return rows_of(path(), "SELECT group_concat(id, ' ') FROM pictures");
}

static const char *session_counts(void)
{
    return rows_of(path(), "SELECT group_concat(pictures, ' ') FROM sessions");
}

TestSuite(store, .init = begin, .fini = remove_scratch, .timeout = 120);

/* ---- Opening ------------------------------------------------------------- */

Test(store, begins_and_ends_a_session_in_one_file)
{
    char host[256] = "";
    run.shard = 1;
    run.shards = 3;
    const int files = open_files();
    sal_store *s = open_store();
    cr_expect_str_eq(names_in(scratch("run")), "results.sqlite results.sqlite-wal ");
    must(sal_store_close(s, "complete"));
    cr_expect_eq(open_files(), files);
    cr_expect_str_eq(names_in(scratch("run")), "results.sqlite ");
    cr_expect_str_eq(rows_of(path(), "PRAGMA journal_mode"), "'delete'\n");
    cr_expect_eq(gethostname(host, sizeof host - 1), 0);
    static const char date[] = "'2[0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]Z'";
    cr_expect_str_eq(rows_of(path(), text_from("SELECT id, started GLOB %s, ended GLOB %s, outcome, version, host,"
                                               " device, shard, shards, pictures FROM sessions",
                                               date, date)),
                     text_from("1|1|1|'complete'|'%s'|'%s'|'cpu'|1|3|0\n", sal_version(), host));
    cr_expect_str_eq(rows_of(path(), "SELECT value FROM run WHERE key IN ('shard', 'shards', 'pictures') ORDER BY key"),
                     "'8'\n'1'\n'3'\n");
    cr_expect_eq(at.sleeps, 0);
    cr_expect_eq(at.clock, CLOCK_MONOTONIC);
}

Test(store, goes_on_in_a_second_session)
{
    sal_store *s = open_store();
    add(s, 2);
    must(sal_store_close(s, "stopped"));
    s = open_store();
    add(s, 0);
    add(s, 5);
    must(sal_store_close(s, "complete"));
    cr_expect_str_eq(ids(), "'0 2 5'\n");
    cr_expect_str_eq(rows_of(path(), "SELECT id, outcome, pictures FROM sessions"), "1|'stopped'|1\n2|'complete'|2\n");
}

Test(store, closes_nothing)
{
    must(sal_store_close(NULL, "complete"));
}

Test(store, refuses_another_run)
{
    sal_store *s = open_store();
    must(sal_store_close(s, "complete"));
    run.settings = "method gradient\ntop-k 3\n";
    s = (sal_store *)&s;
    const int files = open_files();
    expect_error(
        sal_store_open(&s, path(), scratch("run"), &run, list, "cpu"), SAL_ERROR_ARGUMENT,
        "{}/run/results.sqlite: the run was begun with another --top-k: 2, now 3; --restart throws its results "
        "away, or choose another run folder");
    cr_expect_null(s);
    cr_expect_eq(open_files(), files);
    cr_expect_eq(at.sleeps, 0);
    cr_expect_str_eq(session_counts(), "'0'\n");
}

Test(store, needs_its_folder)
{
    sal_store *s = (sal_store *)&s;
    expect_error(sal_store_open(&s, path(), scratch("gone"), &run, list, "cpu"), SAL_ERROR_IO,
                 "{}/gone: cannot open the folder: No such file or directory");
    cr_expect_null(s);
    cr_expect(!exists(path()));
    write_text(scratch("file"), "x");
    expect_error(sal_store_open(&s, path(), scratch("file"), &run, list, "cpu"), SAL_ERROR_IO,
                 "{}/file: cannot open the folder: Not a directory");
    expect_error(sal_store_open(&s, scratch("gone/results.sqlite"), scratch("run"), &run, list, "cpu"), SAL_ERROR_IO,
                 "{}/gone/results.sqlite: cannot open: unable to open database file");
    cr_expect_eq(at.sleeps, 0);
}

Test(store, refuses_a_file_that_is_no_result)
{
    sal_store *s;
    write_text(path(), "These are no results, but they are long enough to be looked at.\n");
    expect_error(sal_store_open(&s, path(), scratch("run"), &run, list, "cpu"), SAL_ERROR_FORMAT,
                 "{}/run/results.sqlite: is damaged, or no results of salmap (file is not a database)");
    (void)remove(path());
    make_results(path(), &run, list, NULL, 0);
    change(path(), "DROP TABLE timings");
    expect_error(sal_store_open(&s, path(), scratch("run"), &run, list, "cpu"), SAL_ERROR_FORMAT,
                 "{}/run/results.sqlite: is damaged, or no results of salmap (no such table: timings)");
    make_results(path(), &run, list, NULL, 0);
    change(path(), "DROP TABLE sessions");
    expect_error(sal_store_open(&s, path(), scratch("run"), &run, list, "cpu"), SAL_ERROR_FORMAT,
                 "{}/run/results.sqlite: is damaged, or no results of salmap (no such table: sessions)");
}

Test(store, that_cannot_begin_its_session_does_not_open)
{
    sal_store *s;
    make_results(path(), &run, list, NULL, 0);
    triggers_fire = 1;
    change(path(), "CREATE TRIGGER t BEFORE INSERT ON sessions BEGIN SELECT RAISE(ABORT, 'no session'); END");
    expect_error(sal_store_open(&s, path(), scratch("run"), &run, list, "cpu"), SAL_ERROR_IO,
                 "{}/run/results.sqlite: SQLite: no session");
    cr_expect_null(s);
    cr_expect_eq(at.sleeps, 0);
}

Test(store, that_gets_no_thread_does_not_open)
{
    sal_store *s = (sal_store *)&s;
    at.no_thread = 1;
    expect_error(sal_store_open(&s, path(), scratch("run"), &run, list, "cpu"), SAL_ERROR_MEMORY,
                 "cannot start a thread");
    cr_expect_null(s);
    at.no_thread = 0;
    must(sal_store_close(open_store(), "complete"));
}

/* Two processes draw back for different times: by the bits of their numbers. */
static void expect_sleeps(int count)
{
    cr_expect_eq(at.sleeps, count, "%d sleeps", at.sleeps);
    for (int k = 0; k < at.sleeps; k++)
        cr_expect_eq(at.slept[k], (1 + (((long)getpid() >> k) & 7)) * 15000000L, "sleep %d: %ld ns", k, at.slept[k]);
}

Test(store, is_of_one_process_at_a_time)
{
    sal_store *s, *second = (sal_store *)&s;
    make_results(path(), &run, list, NULL, 0);
    at.holder = hold(path());
    expect_error(sal_store_open(&s, path(), scratch("run"), &run, list, "cpu"), SAL_ERROR_IO,
                 "{}/run/results.sqlite: in use by another salmap that is running: run again when it has ended");
    expect_sleeps(7);
    let_go(at.holder);
    s = open_store();
    at.sleeps = 0;
    expect_error(sal_store_open(&second, path(), scratch("run"), &run, list, "cpu"), SAL_ERROR_IO,
                 "{}/run/results.sqlite: in use by another salmap that is running: run again when it has ended");
    cr_expect_null(second);
    expect_sleeps(7);
    must(sal_store_close(s, "complete"));
    cr_expect_str_eq(session_counts(), "'0'\n");
}

Test(store, waits_a_moment_for_one_that_draws_back)
{
    make_results(path(), &run, list, NULL, 0);
    at.holder = hold(path());
    at.let_go_at = 3;
    sal_store *s = open_store();
    expect_sleeps(3);
    must(sal_store_close(s, "complete"));
    at.sleeps = 0;
    at.holder = hold(path());
    at.let_go_at = 7;
    s = open_store();
    expect_sleeps(7);
    must(sal_store_close(s, "complete"));
}

/* ---- What is there already ----------------------------------------------- */

Test(store, knows_what_was_done_and_what_to_try_again)
{
    static const sal_status statuses[] = {SAL_OK,          SAL_ERROR_IO,     SAL_ERROR_MEMORY,  SAL_ERROR_FORMAT,
                                          SAL_ERROR_LIMIT, SAL_ERROR_DEVICE, SAL_ERROR_ARGUMENT};
    static const unsigned char wanted[] = {SAL_KNOWN_DONE,   SAL_KNOWN_TRY_AGAIN, SAL_KNOWN_TRY_AGAIN, SAL_KNOWN_FAILED,
                                           SAL_KNOWN_FAILED, SAL_KNOWN_FAILED,    SAL_KNOWN_FAILED,    77};
    unsigned char known[8];
    plain_result plain;
    sal_result results[7];
    for (size_t i = 0; i < 7; i++) {
        results[i] = (sal_result){.picture = i, .status = statuses[i], .error = "why", .correct = -1};
        if (i == 0)
            results[i] = *make_plain(&plain, 0, 1, 0);
    }
    make_results(path(), &run, list, results, 7);
    sal_store *s = open_store();
    memset(known, 77, sizeof known);
    must(sal_store_known(known, s));
    for (size_t i = 0; i < 8; i++)
        cr_expect_eq(known[i], wanted[i], "picture %zu: %d", i, known[i]);
    must(sal_store_close(s, "complete"));
}

Test(store, tells_results_of_pictures_that_are_not_in_the_list)
{
    static const int beyond[] = {8, -1};
    unsigned char known[8] = {0};
    for (int i = 0; i < 2; i++) {
        make_results(path(), &run, list, NULL, 0);
        change(path(), "INSERT INTO pictures(id, path, status) VALUES(7, 'a7.png', 'ok'), (0, 'a0.png', 'ok')");
        sal_store *s = open_store();
        must(sal_store_known(known, s));
        cr_expect_eq(known[7], SAL_KNOWN_DONE);
        must(sal_store_close(s, "complete"));
        change(path(), text_from("INSERT INTO pictures(id, path, status) VALUES(%d, 'x', 'ok')", beyond[i]));
        s = open_store();
        expect_error(sal_store_known(known, s), SAL_ERROR_FORMAT,
                     text_from("{}/run/results.sqlite: picture %d is not in the list", beyond[i]));
        must(sal_store_close(s, "complete"));
    }
    change(path(), "DELETE FROM pictures; INSERT INTO pictures(id, path, status) VALUES(3, 'a4.png', 'ok')");
    sal_store *s = open_store();
    expect_error(sal_store_known(known, s), SAL_ERROR_FORMAT, "{}/run/results.sqlite: picture 3 is not in the list");
    must(sal_store_close(s, "complete"));
}

/* Which of the files of so many pictures that are done are looked at: every one is changed in turn. */
static void expect_looked_at(int count, int every)
{
    list = list_of_count((size_t)count + 1);
    (void)remove(path());
    make_results(path(), &run, list, NULL, 0);
    change(path(), text_from("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
                             " INSERT INTO pictures(id, path, status, bytes)"
                             " SELECT i, 'a' || i || '.png', 'ok', 10 FROM n;"
                             "INSERT INTO pictures(id, path, status) VALUES(%d, 'x', 'io')",
                             count - 1, count));
    sal_store *s = open_store();
    must(sal_store_check_files(s)); /* none of them is there */
    for (int i = 0; i <= count; i++) {
        const char *file = sal_dataset_file(list, (size_t)i);
        const int looked_at = i < count && (i == 0 || (i + 1) % every == 0);
        write_text(file, "eleven bytes"); /* 12 */
        cr_expect_eq(sal_store_check_files(s), looked_at ? SAL_ERROR_ARGUMENT : SAL_OK, "%d of %d", i, count);
        write_text(file, "ten bytes."); /* 10 */
        must(sal_store_check_files(s));
    }
    must(sal_store_close(s, "complete"));
}

Test(store, looks_at_the_sizes_of_up_to_a_hundred_pictures)
{
    expect_looked_at(1, 1);
    expect_looked_at(99, 1);
    expect_looked_at(100, 2);
    expect_looked_at(199, 2);
    expect_looked_at(200, 3);
}

Test(store, names_the_picture_that_is_another_now)
{
    plain_result plain;
    make_results(path(), &run, list, make_plain(&plain, 3, 1, 0), 1);
    sal_store *s = open_store();
    write_text(sal_dataset_file(list, 3), "short");
    expect_error(
        sal_store_check_files(s), SAL_ERROR_ARGUMENT,
        "{}/lists/0/a3.png: is not the picture that the run in {}/run/results.sqlite was begun with: 103 bytes "
        "then, 5 now; --restart throws its results away, or choose another run folder");
    must(sal_store_close(s, "complete"));
}

typedef struct scores {
    float values[16];
    int count;
} scores;

static void take_score(void *context, float score)
{
    scores *t = context;
    t->values[t->count++ % 16] = score;
}

Test(store, hands_over_the_highest_scores_of_first_maps)
{
    static const float values[] = {0.5F, 3, -2, 7};
    plain_result plain[4];
    sal_result results[4];
    for (size_t i = 0; i < 4; i++)
        results[i] = *make_plain(&plain[i], i, values[i], 0);
    make_results(path(), &run, list, results, 4);
    change(path(), "INSERT INTO maps(picture, rank, score) VALUES(0, 2, 100)");
    sal_store *s = open_store();
    for (int n = 0; n <= 5; n++) {
        static const float sorted[] = {7, 3, 0.5F, -2};
        scores t = {.count = 0};
        must(sal_store_scores(s, n, take_score, &t));
        cr_expect_eq(t.count, n < 4 ? n : 4, "%d of %d", t.count, n);
        for (int k = 0; k < t.count; k++)
            cr_expect_eq(t.values[k], sorted[k], "%d of %d: %g", k, n, (double)t.values[k]);
    }
    must(sal_store_close(s, "complete"));
}

Test(store, keeps_the_overlays_of_the_highest_scores)
{
    static const float values[] = {2, 2, 5, 1};
    plain_result plain[4];
    sal_result results[4];
    for (size_t i = 0; i < 4; i++) {
        results[i] = *make_plain(&plain[i], i, values[i], 1);
        write_text(scratch("run/%s", plain[i].overlay_file), "x");
    }
    make_results(path(), &run, list, results, 4);
    sal_store *s = open_store();
    must(sal_store_keep_top(s, 3, NULL, names_of(list, run.settings)));
    cr_expect_str_eq(names_in(scratch("run/overlays/000")),
                     "a0.overlay.png a1.overlay.png a2.overlay.png a3.overlay.png ");
    must(sal_store_keep_top(s, 2, scratch("run"), names_of(list, run.settings)));
    cr_expect_str_eq(names_in(scratch("run/overlays/000")), "a0.overlay.png a2.overlay.png ");
    must(sal_store_close(s, "complete"));
    cr_expect_str_eq(rows_of(path(), "SELECT picture, overlay_file FROM maps"),
                     "0|'overlays/000/a0.overlay.png'\n1|NULL\n2|'overlays/000/a2.overlay.png'\n3|NULL\n");
}

/* Tables that are not as salmap makes them are not asked at all. */
Test(store, opens_no_other_tables)
{
    static const struct {
        const char *change, *reason;
    } cases[] = {
        {"ALTER TABLE maps RENAME COLUMN score TO other", "other columns in table: maps"},
        {"ALTER TABLE pictures RENAME COLUMN id TO other", "other columns in table: pictures"},
        {"ALTER TABLE pictures ADD COLUMN more", "other columns in table: pictures"},
        {"ALTER TABLE timings DROP COLUMN encode_ms", "other columns in table: timings"},
        {"ALTER TABLE manifest RENAME COLUMN salmap_id TO salmap_id2", "other columns in table: manifest"},
        {"ALTER TABLE timings DROP COLUMN encode_ms;"
         "ALTER TABLE timings ADD COLUMN encode_ms GENERATED ALWAYS AS (decode_ms)",
         "other columns in table: timings"},
        {"ALTER TABLE maps RENAME TO others; CREATE VIEW maps AS SELECT * FROM others", "not a table: maps"},
        {"ALTER TABLE manifest RENAME TO others; CREATE VIEW manifest AS WITH RECURSIVE c(salmap_id) AS"
         " (SELECT 1 UNION ALL SELECT salmap_id + 1 FROM c) SELECT salmap_id FROM c",
         "not a table: manifest"},
        {"DROP TABLE predictions; CREATE VIRTUAL TABLE predictions USING fts4(picture, rank, output, score, "
         "probability)",
         "not a table: predictions"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sal_store *s = NULL;
        make_results(path(), &run, list, NULL, 0);
        change(path(), cases[i].change);
        expect_error(sal_store_open(&s, path(), scratch("run"), &run, list, "cpu"), SAL_ERROR_FORMAT,
                     text_from("{}/run/results.sqlite: is damaged, or no results of salmap (%s)", cases[i].reason));
        cr_expect_null(s);
    }
}

/* ---- Adding -------------------------------------------------------------- */

/* A copy is taken: what the caller has may change at once. Texts of every length modulo 16, so that a copy that is too
 * short or overlaps its neighbour does not go unseen. */
Test(store, takes_a_copy_of_what_is_added)
{
    enum { ROWS = 40 };
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
    list = list_of_count(ROWS);
    sal_store *s = open_store();
    for (int i = 0; i < ROWS; i++) {
        char texts[3][64];
        sal_prediction predictions[2] = {{i, (float)i, 0.5F}, {i + 1, -1, NAN}};
        sal_result_map maps[2] = {{.target = i, .map_file = texts[0], .overlay_file = texts[1]},
                                  {.target = -1, .map_file = i % 2 ? texts[2] : NULL, .overlay_file = NULL}};
        snprintf(texts[0], sizeof texts[0], "%.*s", i, letters);
        snprintf(texts[1], sizeof texts[1], "%.*s", (i * 7 + 3) % 40, letters + 1);
        snprintf(texts[2], sizeof texts[2], "%.*s", (i * 11 + 5) % 40, letters + 2);
        sal_result result = {.picture = (size_t)i,
                             .correct = 0,
                             .predictions = predictions,
                             .prediction_count = 2,
                             .maps = maps,
                             .map_count = (size_t)(i % 3)};
        must(sal_store_add(s, &result));
        memset(texts, '#', sizeof texts);
        memset(predictions, 0x55, sizeof predictions);
        memset(maps, 0x55, sizeof maps);
        char error[64];
        snprintf(error, sizeof error, "%.*s", i, letters + 3);
        result = (sal_result){.picture = (size_t)i, .status = SAL_ERROR_FORMAT, .error = error, .correct = -1};
        if (i % 3 == 0)
            must(sal_store_add(s, &result));
        memset(error, '#', sizeof error);
    }
    must(sal_store_close(s, "complete"));
    for (int i = 0; i < ROWS; i++) {
        cr_expect_str_eq(rows_of(path(), text_from("SELECT status, error, predicted FROM pictures WHERE id = %d", i)),
                         i % 3 == 0 ? text_from("'format'|'%.*s'|NULL\n", i, letters + 3)
                                    : text_from("'ok'|NULL|%d\n", i));
        cr_expect_str_eq(
            rows_of(path(), text_from("SELECT output, score, probability FROM predictions WHERE picture = %d", i)),
            text_from("%d|%#.9g|0.500000000\n%d|-1.00000000|NULL\n", i, (double)i, i + 1));
        const char *first = text_from("%d|'%.*s'|'%.*s'\n", i, i, letters, (i * 7 + 3) % 40, letters + 1);
        const char *second = i % 2 ? text_from("-1|'%.*s'|NULL\n", (i * 11 + 5) % 40, letters + 2) : "-1|NULL|NULL\n";
        cr_expect_str_eq(
            rows_of(path(), text_from("SELECT target, map_file, overlay_file FROM maps WHERE picture = %d", i)),
            text_from("%s%s", i % 3 > 0 ? first : "", i % 3 > 1 ? second : ""));
    }
}

Test(store, has_no_memory_for_a_copy)
{
    plain_result plain;
    sal_store *s = open_store();
    at.no_memory = 1;
    sal_status st = sal_store_add(s, make_plain(&plain, 0, 0, 1));
    at.no_memory = 0;
    cr_expect_eq(st, SAL_ERROR_MEMORY);
    cr_expect_not_null(strstr(sal_last_error(), " bytes for results"));
    add(s, 1);
    must(sal_store_close(s, "complete"));
    cr_expect_str_eq(ids(), "'1'\n");
}

/* ---- Committing ---------------------------------------------------------- */

/* Files first: the folder is synced when the rows are not yet written. */
Test(store, commits_after_the_folder_was_synced)
{
    struct stat journal;
    sal_store *s = open_store();
    cr_assert_eq(stat(scratch("run/results.sqlite-wal"), &journal), 0);
    const off_t before = journal.st_size;
    add(s, 3);
    add(s, 1);
    cr_expect_eq(count_of(&at.syncs), 0);
    must(sal_store_flush(s));
    cr_expect_eq(at.syncs, 1);
    cr_expect(at.sync_of_folder);
    cr_expect_eq(at.journal_size, before);
    cr_assert_eq(stat(scratch("run/results.sqlite-wal"), &journal), 0);
    cr_expect_gt(journal.st_size, before);
    add(s, 2);
    must(sal_store_flush(s));
    cr_expect_eq(at.syncs, 2);
    must(sal_store_close(s, "complete"));
    cr_expect_eq(at.syncs, 2);
    cr_expect_str_eq(ids(), "'1 2 3'\n");
    cr_expect_str_eq(session_counts(), "'3'\n");
}

Test(store, commits_what_was_added_when_it_is_closed)
{
    sal_store *s = open_store();
    for (size_t i = 0; i < 5; i++)
        add(s, i);
    must(sal_store_close(s, "stopped"));
    cr_expect_eq(at.syncs, 1);
    cr_expect_str_eq(ids(), "'0 1 2 3 4'\n");
    cr_expect_str_eq(rows_of(path(), "SELECT outcome, pictures FROM sessions"), "'stopped'|5\n");
}

Test(store, has_nothing_to_flush)
{
    sal_store *s = open_store();
    must(sal_store_flush(s));
    cr_expect_eq(at.waits, 0);
    cr_expect_eq(at.syncs, 0);
    must(sal_store_close(s, "complete"));
    cr_expect_eq(at.syncs, 0);
}

Test(store, commits_after_a_second)
{
    sal_store *s = open_store();
    cr_expect_eq(at.until.tv_sec, 1001);
    cr_expect_eq(at.until.tv_nsec, 250000000);
    /* There is nothing to commit when the time is up: it waits for another second. */
    at.now = 1001.5;
    wake_until_idle(1);
    cr_expect_eq(at.until.tv_sec, 1002);
    cr_expect_eq(at.until.tv_nsec, 500000000);
    cr_expect_eq(at.syncs, 0);
    /* A wake-up for nothing does not commit, nor begin the second anew. */
    add(s, 4);
    at.now = 1002;
    wake_until_idle(0);
    cr_expect_eq(at.syncs, 0);
    cr_expect_eq(at.until.tv_sec, 1002);
    cr_expect_eq(at.until.tv_nsec, 500000000);
    wake_until_idle(1);
    cr_expect_eq(at.syncs, 1);
    cr_expect_eq(at.until.tv_sec, 1003);
    cr_expect_eq(at.until.tv_nsec, 0);
    must(sal_store_close(s, "complete"));
    cr_expect_eq(at.syncs, 1);
}

/* A flush is in a hurry only for as long as it waits. */
Test(store, collects_again_after_a_flush)
{
    sal_store *s = open_store();
    add(s, 0);
    must(sal_store_flush(s));
    await(&at.idle, 2);
    add(s, 1);
    wake_until_idle(0);
    cr_expect_eq(at.syncs, 1);
    must(sal_store_close(s, "complete"));
    cr_expect_eq(at.syncs, 2);
}

/* The rows are out of the list and not yet in the file when the flush begins. */
Test(store, flush_waits_for_what_is_being_committed)
{
    sal_store *s = open_store();
    set_closed(1);
    add(s, 0);
    wake(1);
    await(&at.syncs, 1);
    at.open_at_wait = 1;
    sal_status st = sal_store_flush(s);
    const int waits = count_of(&at.waits);
    set_closed(0);
    cr_expect_eq(st, SAL_OK);
    cr_expect_gt(waits, 0);
    must(sal_store_close(s, "complete"));
}

Test(store, commits_at_once_where_many_have_come)
{
    list = list_of_count(COMMIT_AT);
    sal_store *s = open_store();
    for (size_t i = 0; i + 1 < COMMIT_AT; i++)
        add(s, i);
    wake_until_idle(0);
    cr_expect_eq(count_of(&at.syncs), 0);
    add(s, COMMIT_AT - 1);
    await(&at.syncs, 1);
    must(sal_store_close(s, "complete"));
    cr_expect_eq(at.syncs, 1);
    cr_expect_str_eq(rows_of(path(), "SELECT count(*), sum(id) FROM pictures"), "2048|2096128\n");
    cr_expect_str_eq(session_counts(), "'2048'\n");
}

/* Adds rows while a commit hangs. Returns how many it took before one had to wait. */
static int fill(sal_store *s, sal_status *last)
{
    plain_result plain;
    int count = 0;
    set_closed(1);
    add(s, 0);
    wake(1);
    await(&at.syncs, 1);
    at.open_at_wait = 1;
    *last = SAL_OK;
    while (count < 2 * MOST_WAITING && *last == SAL_OK && count_of(&at.waits) == 0) {
        *last = sal_store_add(s, make_plain(&plain, 1 + (size_t)count, 0, 0));
        count++;
    }
    set_closed(0);
    return count - 1;
}

Test(store, makes_room_before_it_takes_more)
{
    sal_status last;
    list = list_of_count(MOST_WAITING + 2);
    sal_store *s = open_store();
    cr_expect_eq(fill(s, &last), MOST_WAITING);
    cr_expect_eq(last, SAL_OK);
    must(sal_store_close(s, "complete"));
    cr_expect_str_eq(rows_of(path(), "SELECT count(*), max(id) FROM pictures"), "4098|4097\n");
    cr_expect_str_eq(session_counts(), "'4098'\n");
}

/* ---- Failing ------------------------------------------------------------- */

static const char cannot_sync[] =
    "{}/run/results.sqlite: the files beside it cannot be written to the disk: Input/output error";

Test(store, that_cannot_sync_its_folder_commits_nothing_more)
{
    plain_result plain;
    at.sync_fails_at = 2;
    sal_store *s = open_store();
    add(s, 0);
    must(sal_store_flush(s));
    add(s, 1);
    expect_error(sal_store_flush(s), SAL_ERROR_IO, cannot_sync);
    sal_fail(SAL_ERROR_FORMAT, "another error");
    expect_error(sal_store_add(s, make_plain(&plain, 2, 0, 0)), SAL_ERROR_IO, cannot_sync);
    sal_fail(SAL_ERROR_FORMAT, "another error");
    expect_error(sal_store_flush(s), SAL_ERROR_IO, cannot_sync);
    sal_fail(SAL_ERROR_FORMAT, "another error");
    expect_error(sal_store_close(s, "complete"), SAL_ERROR_IO, cannot_sync);
    cr_expect_eq(at.syncs, 2);
    cr_expect_str_eq(ids(), "'0'\n");
    cr_expect_str_eq(rows_of(path(), "SELECT ended, outcome, pictures FROM sessions"), "NULL|NULL|1\n");
}

Test(store, that_fails_lets_go_of_who_waits_for_room)
{
    sal_status last;
    at.sync_fails_at = 1;
    list = list_of_count(MOST_WAITING + 2);
    sal_store *s = open_store();
    cr_expect_eq(fill(s, &last), MOST_WAITING);
    cr_expect_eq(last, SAL_ERROR_IO);
    cr_expect_str_eq(last_error(), cannot_sync);
    expect_error(sal_store_close(s, "complete"), SAL_ERROR_IO, cannot_sync);
    cr_expect_str_eq(ids(), "NULL\n");
}

/* All rows of a commit or none; what was added while it was under way is not written either. */
Test(store, takes_a_commit_back_that_fails)
{
    sal_store *s = open_store();
    must(sal_store_close(s, "complete"));
    triggers_fire = 1;
    change(path(), "CREATE TRIGGER t BEFORE INSERT ON maps WHEN NEW.picture = 5 BEGIN SELECT RAISE(FAIL, 'not five');"
                   " END");
    s = open_store();
    add(s, 1);
    must(sal_store_flush(s));
    set_closed(1);
    add(s, 4);
    add(s, 5);
    add(s, 6);
    wake(1);
    await(&at.syncs, 2);
    add(s, 7);
    set_closed(0);
    expect_error(sal_store_flush(s), SAL_ERROR_IO, "{}/run/results.sqlite: SQLite: not five");
    sal_fail(SAL_ERROR_FORMAT, "another error");
    expect_error(sal_store_close(s, "complete"), SAL_ERROR_IO, "{}/run/results.sqlite: SQLite: not five");
    cr_expect_eq(at.syncs, 2);
    cr_expect_str_eq(ids(), "'1'\n");
    cr_expect_str_eq(rows_of(path(), "SELECT outcome, pictures FROM sessions"), "'complete'|0\nNULL|1\n");
    /* It goes on from there. */
    change(path(), "DROP TRIGGER t");
    s = open_store();
    add(s, 5);
    must(sal_store_close(s, "complete"));
    cr_expect_str_eq(ids(), "'1 5'\n");
}

Test(store, that_cannot_count_its_session_commits_nothing)
{
    sal_store *s = open_store();
    must(sal_store_close(s, "complete"));
    triggers_fire = 1;
    change(path(), "CREATE TRIGGER t BEFORE UPDATE OF pictures ON sessions BEGIN SELECT RAISE(ABORT, 'no count'); END");
    s = open_store();
    add(s, 1);
    expect_error(sal_store_close(s, "complete"), SAL_ERROR_IO, "{}/run/results.sqlite: SQLite: no count");
    cr_expect_str_eq(ids(), "NULL\n");
}

Test(store, that_cannot_end_its_session_says_so)
{
    sal_store *s = open_store();
    must(sal_store_close(s, "complete"));
    triggers_fire = 1;
    change(path(), "CREATE TRIGGER t BEFORE UPDATE OF outcome ON sessions BEGIN SELECT RAISE(ABORT, 'no end'); END");
    s = open_store();
    add(s, 1);
    expect_error(sal_store_close(s, "complete"), SAL_ERROR_IO, "{}/run/results.sqlite: SQLite: no end");
    cr_expect_str_eq(ids(), "'1'\n");
    cr_expect_str_eq(rows_of(path(), "SELECT outcome, pictures FROM sessions"), "'complete'|0\nNULL|1\n");
}

Test(store, knows_how_long_it_was_at_work)
{
    sal_store *s = open_store();
    at.sync_takes = 2.5;
    cr_expect_eq(sal_store_busy(s), 0.0);
    add(s, 0);
    must(sal_store_flush(s));
    cr_expect_float_eq(sal_store_busy(s), 2.5, 1e-6);
    at.now += 100;
    at.sync_takes = 0.125;
    add(s, 1);
    must(sal_store_flush(s));
    cr_expect_float_eq(sal_store_busy(s), 2.625, 1e-6);
    must(sal_store_close(s, "complete"));
}

/* ---- Processes that end without closing ---------------------------------- */

/* What was flushed is there, and what was not is not. */
Test(store, goes_on_with_what_a_killed_process_left)
{
    unsigned char known[8] = {0};
    const pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        plain_result plain;
        sal_store *s;
        int fine = sal_store_open(&s, path(), scratch("run"), &run, list, "cpu") == SAL_OK;
        for (size_t i = 0; fine && i < 3; i++)
            fine = sal_store_add(s, make_plain(&plain, i, 0, 1)) == SAL_OK;
        fine = fine && sal_store_flush(s) == SAL_OK && sal_store_add(s, make_plain(&plain, 3, 0, 1)) == SAL_OK;
        _exit(fine ? 42 : 1);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 42, "status %d", status);
    cr_expect(exists(scratch("run/results.sqlite-wal")));
    sal_store *s = open_store();
    must(sal_store_known(known, s));
    for (int i = 0; i < 8; i++)
        cr_expect_eq(known[i], i < 3 ? SAL_KNOWN_DONE : SAL_KNOWN_NOT, "picture %d", i);
    add(s, 3);
    must(sal_store_close(s, "complete"));
    cr_expect_str_eq(names_in(scratch("run")), "results.sqlite ");
    cr_expect_str_eq(ids(), "'0 1 2 3'\n");
    cr_expect_str_eq(rows_of(path(), "SELECT outcome, pictures FROM sessions"), "NULL|3\n'complete'|1\n");
}
