#define _GNU_SOURCE /* syncfs */
#include "results/rows.h"
#include "results/run.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MAX_WAITING = 4096, COMMIT_MILLISECONDS = 1000, ERROR_SIZE = 1024 };

/* A row that waits for its commit: everything it points to lies in the same block. */
typedef struct waiting {
    struct waiting *next;
    sal_result result;
} waiting;

struct sal_store {
    sal_sql sql;
    sal_rows rows;
    const sal_dataset *dataset;
    sal_run_disks disks; /* of the run folder */
    int64_t session;
    pthread_t thread;
    int started;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under the lock: */
    waiting *first;
    waiting **last;
    size_t count;  /* in the list */
    size_t taken;  /* out of it, being committed */
    size_t stored; /* by this session */
    double busy;   /* seconds */
    int stop;
    int hurry; /* somebody waits for everything to be committed */
    sal_status status;
    char error[ERROR_SIZE];
};

static double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- Opening ------------------------------------------------------------- */

static sal_status has_tables(int *there, sal_sql *sql)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *find = NULL;
    TRY(sal_sql_prepare(&find, sql, "SELECT 1 FROM sqlite_schema WHERE name = 'run'"));
    TRY(sal_sql_step(there, sql, find));
done:
    sqlite3_finalize(find);
    return st;
}

static sal_status make_or_check(sal_store *s, const sal_run *run)
{
    sal_status st = SAL_OK;
    int there;
    /* Locked until the process ends: the second of two at once finds that out here. */
    TRY(sal_sql_run(&s->sql, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                             "BEGIN IMMEDIATE"));
    TRY(has_tables(&there, &s->sql));
    if (there) {
        TRY(sal_store_check_tables(&s->sql, "main"));
        TRY(sal_store_check_run(&s->sql, run));
        if (run->extend)
            TRY(sal_store_check_list(&s->sql, s->dataset));
    } else {
        TRY(sal_store_make_tables(&s->sql, s->dataset));
        if (strstr(run->settings, "method integrated-gradients\n"))
            TRY(sal_store_add_gaps(&s->sql));
        TRY(sal_store_write_run(&s->sql, run, s->dataset->count));
    }
    TRY(sal_sql_run(&s->sql, "COMMIT"));
done:
    return st;
}

/* Two that begin at the same moment may each hold what the other waits for, and neither lets go: both draw back, for
 * moments of different length. One that is running does not. */
static sal_status open_locked(sal_store *s, const char *path, const sal_run *run)
{
    enum { ATTEMPTS = 8, STEP_MILLISECONDS = 15 };
    for (int attempt = 0;; attempt++) {
        sal_status st = sal_sql_check_alone(path);
        if (st == SAL_OK)
            st = sal_sql_open(&s->sql, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
        if (st == SAL_OK)
            st = sal_sql_run(&s->sql, SAL_STORE_ALONE);
        if (st == SAL_OK)
            st = sal_store_refuse_foreign(&s->sql);
        if (st == SAL_OK)
            st = make_or_check(s, run);
        const int busy = s->sql.db && (sqlite3_errcode(s->sql.db) & 0xFF) == SQLITE_BUSY;
        if (st == SAL_OK || !busy || attempt + 1 == ATTEMPTS)
            return st;
        sal_sql_close(&s->sql);
        const long steps = 1 + (((long)getpid() >> attempt) & 7);
        nanosleep(&(struct timespec){0, steps * STEP_MILLISECONDS * 1000000L}, NULL);
    }
}

static sal_status begin_session(sal_store *s, const sal_run *run, const char *device)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *insert = NULL;
    char host[256] = "";
    (void)gethostname(host, sizeof host - 1);
    TRY(sal_sql_prepare(&insert, &s->sql,
                        "INSERT INTO sessions(started, version, host, device, shard, shards, pictures)"
                        " VALUES(strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), ?1, ?2, ?3, ?4, ?5, 0)"));
    TRY(sal_sql_bind_text(&s->sql, insert, 1, sal_version()));
    TRY(sal_sql_bind_text(&s->sql, insert, 2, host));
    TRY(sal_sql_bind_text(&s->sql, insert, 3, device));
    TRY(sal_sql_bind_integer(&s->sql, insert, 4, run->shard));
    TRY(sal_sql_bind_integer(&s->sql, insert, 5, run->shards));
    TRY(sal_sql_step_done(&s->sql, insert));
    s->session = sqlite3_last_insert_rowid(s->sql.db);
done:
    sqlite3_finalize(insert);
    return st;
}

static void *commit_all(void *context);

static void release(sal_store *s)
{
    sal_rows_close(&s->rows);
    for (waiting *w = s->first, *next; w; w = next) {
        next = w->next;
        free(w);
    }
    sal_sql_close(&s->sql);
    sal_run_disks_close(&s->disks);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    sal_free(s);
}

sal_status sal_store_open(sal_store **out, const char *path, const char *folder, const sal_run *run,
                          const sal_dataset *dataset, const char *device)
{
    sal_status st = SAL_OK;
    sal_store *s = NULL;
    *out = NULL;
    TRY(sal_alloc(&s, 1, sizeof *s, "the results"));
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    s->last = &s->first;
    s->dataset = dataset;
    TRY(sal_run_disks_open(&s->disks, folder));
    TRY(open_locked(s, path, run));
    TRY(begin_session(s, run, device));
    TRY(sal_rows_open(&s->rows, &s->sql, dataset));
    if (pthread_create(&s->thread, NULL, commit_all, s) != 0) {
        st = sal_fail(SAL_ERROR_MEMORY, "cannot start a thread");
        goto done;
    }
    s->started = 1;
    *out = s;
    s = NULL;
done:
    if (s)
        release(s);
    return st;
}

sal_status sal_store_extend(sal_store *s, const sal_run *run)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *update = NULL;
    char count[32];
    snprintf(count, sizeof count, "%zu", s->dataset->count);
    const char *const values[][2] = {{"manifest_sha256", run->manifest_sha256}, {"pictures", count}};
    TRY(sal_sql_prepare(&update, &s->sql, "UPDATE run SET value = ?2 WHERE key = ?1 AND value <> ?2"));
    TRY(sal_sql_run(&s->sql, "BEGIN IMMEDIATE"));
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        TRY(sal_sql_bind_text(&s->sql, update, 1, values[i][0]));
        TRY(sal_sql_bind_text(&s->sql, update, 2, values[i][1]));
        TRY(sal_sql_step_done(&s->sql, update));
    }
    TRY(sal_sql_run(&s->sql, "COMMIT"));
done:
    sqlite3_finalize(update);
    return st;
}

/* ---- What is there already ----------------------------------------------- */

static sal_status check_picture(const sal_sql *sql, const sal_dataset *dataset, int64_t id, const char *path,
                                const char *status)
{
    const char *listed_path = id >= 0 ? sal_dataset_path(dataset, (size_t)id) : NULL;
    const int listed = path && listed_path && strcmp(path, listed_path) == 0;
    if (listed && status)
        return SAL_OK;
    return sal_fail(SAL_ERROR_FORMAT, "%s: picture %lld %s", sql->path, (long long)id,
                    listed ? "has no status" : "is not in the list");
}

sal_status sal_store_known(unsigned char *known, sal_store *s)
{
    return sal_store_look_known(known, &s->sql, s->dataset);
}

sal_status sal_store_look_known(unsigned char *known, sal_sql *sql, const sal_dataset *dataset)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *select = NULL;
    int row;
    TRY(sal_sql_prepare(&select, sql, "SELECT id, path, status FROM pictures"));
    for (;;) {
        TRY(sal_sql_step(&row, sql, select));
        if (!row)
            break;
        const int64_t id = sqlite3_column_int64(select, 0);
        const char *status = sal_sql_text(select, 2);
        TRY(check_picture(sql, dataset, id, sal_sql_text(select, 1), status));
        known[id] = strcmp(status, "ok") == 0 ? SAL_KNOWN_DONE
                    : strcmp(status, sal_status_name(SAL_ERROR_IO)) == 0 ||
                            strcmp(status, sal_status_name(SAL_ERROR_MEMORY)) == 0
                        ? SAL_KNOWN_TRY_AGAIN
                        : SAL_KNOWN_FAILED;
    }
done:
    sqlite3_finalize(select);
    return st;
}

sal_status sal_store_check_files(sal_store *s)
{
    enum { LOOKED_AT = 100 };
    sal_status st = SAL_OK;
    sqlite3_stmt *select = NULL;
    int row = 1;
    TRY(sal_sql_prepare(
        &select, &s->sql,
        "SELECT id, bytes, path FROM (SELECT id, bytes, path, row_number() OVER (ORDER BY id) AS n, count(*) OVER ()"
        " AS all_n FROM pictures WHERE status = 'ok' AND bytes > 0) WHERE n % (all_n / ?1 + 1) = 0 OR n = 1"));
    TRY(sal_sql_bind_integer(&s->sql, select, 1, LOOKED_AT));
    for (;;) {
        struct stat now;
        TRY(sal_sql_step(&row, &s->sql, select));
        if (!row)
            break;
        TRY(check_picture(&s->sql, s->dataset, sqlite3_column_int64(select, 0), sal_sql_text(select, 2), "ok"));
        const char *file = sal_dataset_file(s->dataset, (size_t)sqlite3_column_int64(select, 0));
        if (stat(file, &now) == 0 && now.st_size != sqlite3_column_int64(select, 1)) {
            st = sal_fail(SAL_ERROR_ARGUMENT,
                          "%s: is not the picture that the run in %s was begun with: %lld bytes then, %lld now; "
                          "--restart throws its results away, or choose another run folder",
                          file, s->sql.path, (long long)sqlite3_column_int64(select, 1), (long long)now.st_size);
            goto done;
        }
    }
done:
    sqlite3_finalize(select);
    return st;
}

/* ---- Rows ---------------------------------------------------------------- */

static sal_status count_session(sal_store *s, size_t stored)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *update = NULL;
    TRY(sal_sql_prepare(&update, &s->sql, "UPDATE sessions SET pictures = ?1 WHERE id = ?2"));
    TRY(sal_sql_bind_integer(&s->sql, update, 1, (int64_t)stored));
    TRY(sal_sql_bind_integer(&s->sql, update, 2, s->session));
    TRY(sal_sql_step_done(&s->sql, update));
done:
    sqlite3_finalize(update);
    return st;
}

/* ---- The committing thread ----------------------------------------------- */

static sal_status commit(sal_store *s, const waiting *list, size_t stored)
{
    sal_status st = SAL_OK;
    if (sal_run_disks_sync(&s->disks) != 0)
        return sal_fail(SAL_ERROR_IO, "%s: the files beside it cannot be written to the disk: %s", s->sql.path,
                        strerror(errno));
    TRY(sal_sql_run(&s->sql, "BEGIN IMMEDIATE"));
    for (; list; list = list->next)
        TRY(sal_rows_put(&s->rows, &list->result));
    TRY(count_session(s, stored));
    TRY(sal_sql_run(&s->sql, "COMMIT"));
done:
    if (st != SAL_OK) {
        sal_rows_reset(&s->rows);
        if (!sqlite3_get_autocommit(s->sql.db))
            (void)sqlite3_exec(s->sql.db, "ROLLBACK", NULL, NULL, NULL);
    }
    return st;
}

static void free_list(waiting *list)
{
    for (waiting *next; list; list = next) {
        next = list->next;
        free(list);
    }
}

/* Rows to commit, after about a second unless somebody waits or many have come; NULL: it is time to end. */
static waiting *take_list(sal_store *s)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += COMMIT_MILLISECONDS / 1000;
    while (!s->stop && !(s->hurry && s->count) && s->count < MAX_WAITING / 2)
        if (pthread_cond_timedwait(&s->changed, &s->lock, &until) == ETIMEDOUT) {
            if (s->count)
                break;
            clock_gettime(CLOCK_MONOTONIC, &until);
            until.tv_sec += COMMIT_MILLISECONDS / 1000;
        }
    waiting *list = s->first;
    s->taken = s->count;
    s->count = 0;
    s->first = NULL;
    s->last = &s->first;
    return list;
}

static void *commit_all(void *context)
{
    sal_store *s = context;
    pthread_mutex_lock(&s->lock);
    for (waiting *list; (list = take_list(s)) != NULL;) {
        const size_t stored = s->stored + s->taken;
        sal_status st = s->status;
        pthread_mutex_unlock(&s->lock);
        const double begin = now_seconds();
        if (st == SAL_OK)
            st = commit(s, list, stored);
        free_list(list);
        const double took = now_seconds() - begin;
        pthread_mutex_lock(&s->lock);
        s->busy += took;
        if (st == SAL_OK)
            s->stored = stored;
        if (st != SAL_OK && s->status == SAL_OK) {
            s->status = st;
            snprintf(s->error, sizeof s->error, "%s", sal_last_error());
        }
        s->taken = 0;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- Adding -------------------------------------------------------------- */

static char *copy_text(char **at, const char *text)
{
    if (!text)
        return NULL;
    const size_t size = strlen(text) + 1;
    char *copy = memcpy(*at, text, size);
    *at += size;
    return copy;
}

static size_t text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static waiting *copy_result(const sal_result *r)
{
    size_t texts = text_size(r->error);
    for (size_t k = 0; k < r->map_count; k++)
        texts += text_size(r->maps[k].map_file) + text_size(r->maps[k].overlay_file);
    const size_t maps = r->map_count * sizeof *r->maps, predictions = r->prediction_count * sizeof *r->predictions;
    waiting *w = malloc(sizeof *w + maps + predictions + texts);
    if (!w)
        return NULL;
    sal_result_map *m = (sal_result_map *)(w + 1);
    sal_prediction *p = (sal_prediction *)(m + r->map_count);
    char *at = (char *)(p + r->prediction_count);
    w->next = NULL;
    w->result = *r;
    if (maps)
        memcpy(m, r->maps, maps);
    if (predictions)
        memcpy(p, r->predictions, predictions);
    for (size_t k = 0; k < r->map_count; k++) {
        m[k].map_file = copy_text(&at, r->maps[k].map_file);
        m[k].overlay_file = copy_text(&at, r->maps[k].overlay_file);
    }
    w->result.maps = m;
    w->result.predictions = p;
    w->result.error = copy_text(&at, r->error);
    return w;
}

/* Under the lock. */
static sal_status status_of(const sal_store *s)
{
    return s->status == SAL_OK ? SAL_OK : sal_fail(s->status, "%s", s->error);
}

sal_status sal_store_add(sal_store *s, const sal_result *result)
{
    waiting *w = copy_result(result);
    if (!w)
        return sal_fail_memory(sizeof *w, "results");
    pthread_mutex_lock(&s->lock);
    while (s->count >= MAX_WAITING && s->status == SAL_OK)
        pthread_cond_wait(&s->changed, &s->lock);
    sal_status st = status_of(s);
    if (st == SAL_OK) {
        *s->last = w;
        s->last = &w->next;
        if (++s->count == MAX_WAITING / 2)
            pthread_cond_broadcast(&s->changed);
        w = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    free(w);
    return st;
}

sal_status sal_store_flush(sal_store *s)
{
    pthread_mutex_lock(&s->lock);
    s->hurry = 1;
    pthread_cond_broadcast(&s->changed);
    while (s->status == SAL_OK && (s->count || s->taken))
        pthread_cond_wait(&s->changed, &s->lock);
    s->hurry = 0;
    sal_status st = status_of(s);
    pthread_mutex_unlock(&s->lock);
    return st;
}

sal_sql *sal_store_sql(sal_store *s)
{
    return &s->sql;
}

double sal_store_busy(sal_store *s)
{
    pthread_mutex_lock(&s->lock);
    const double busy = s->busy;
    pthread_mutex_unlock(&s->lock);
    return busy;
}

/* ---- Closing ------------------------------------------------------------- */

static sal_status end_session(sal_store *s, const char *outcome)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *update = NULL;
    TRY(sal_sql_prepare(
        &update, &s->sql,
        "UPDATE sessions SET ended = strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), outcome = ?1 WHERE id = ?2"));
    TRY(sal_sql_bind_text(&s->sql, update, 1, outcome));
    TRY(sal_sql_bind_integer(&s->sql, update, 2, s->session));
    TRY(sal_sql_step_done(&s->sql, update));
    sqlite3_finalize(update);
    update = NULL;
    /* A finished file stands alone, without its journal. */
    sal_rows_close(&s->rows);
    TRY(sal_sql_run(&s->sql, "PRAGMA journal_mode = DELETE"));
done:
    sqlite3_finalize(update);
    return st;
}

sal_status sal_store_close(sal_store *s, const char *outcome)
{
    if (!s)
        return SAL_OK;
    pthread_mutex_lock(&s->lock);
    s->stop = 1;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    if (s->started)
        pthread_join(s->thread, NULL);
    sal_status st = status_of(s);
    if (st == SAL_OK)
        st = end_session(s, outcome);
    release(s);
    return st;
}
