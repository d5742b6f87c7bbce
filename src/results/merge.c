/* One run out of its shards. Whatever a launcher says of them: they are counted. */
#include "base/file.h"
#include "base/memory.h"
#include "results/export.h"
#include "results/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { MAX_SHARDS = 1 << 20 };

typedef struct shard {
    char *path;         /* of its result file; NULL: not found */
    const char *folder; /* the run folder that it was found in */
} shard;

typedef struct merge {
    const char *const *runs;
    size_t run_count;
    const char *target; /* folder of the result */
    int in_place;
    shard *shards;
    int64_t count; /* of shards; 0: none was found yet */
    sal_dataset *dataset;
    char manifest_sha256[65];
    int lock; /* a descriptor of the target folder */
    sal_sql sql;
    char *temporary; /* the result while it is being made */
    char *final;
} merge;

/* ---- Finding the shards -------------------------------------------------- */

static sal_status add_shard(merge *m, const char *folder, const char *name, int64_t index, int64_t count)
{
    sal_status st = SAL_OK;
    char *path = NULL, *below = NULL;
    size_t size = strlen(SAL_STORE_SHARDS) + strlen(name) + 2;
    TRY(sal_alloc(&below, size, 1, "a path"));
    snprintf(below, size, SAL_STORE_SHARDS "/%s", name);
    TRY(sal_run_path(&path, folder, below));
    if (m->count == 0) {
        TRY(sal_alloc(&m->shards, (size_t)count, sizeof *m->shards, "shards"));
        m->count = count;
    }
    if (count != m->count) {
        st = sal_fail(SAL_ERROR_FORMAT, "%s: is one of %lld shards, others are of %lld: they are of different runs",
                      path, (long long)count, (long long)m->count);
        goto done;
    }
    shard *s = &m->shards[index];
    if (s->path) {
        st = sal_fail(SAL_ERROR_FORMAT, "shard %lld/%lld is there twice: %s and %s", (long long)index, (long long)count,
                      s->path, path);
        goto done;
    }
    *s = (shard){path, folder};
    path = NULL;
done:
    free(path);
    sal_free(below);
    return st;
}

static sal_status find_in(merge *m, const char *folder)
{
    sal_status st = SAL_OK;
    char *path = NULL;
    DIR *directory = NULL;
    int64_t index, count;
    TRY(sal_run_path(&path, folder, SAL_STORE_SHARDS));
    directory = opendir(path);
    if (!directory) {
        st = sal_fail(SAL_ERROR_IO, "%s: there are no shards in this folder: %s: %s", folder, path, strerror(errno));
        goto done;
    }
    for (struct dirent *e; (e = readdir(directory)) != NULL;)
        if (sal_run_parse_shard(&index, &count, e->d_name) && count <= MAX_SHARDS)
            TRY(add_shard(m, folder, e->d_name, index, count));
done:
    if (directory)
        closedir(directory);
    free(path);
    return st;
}

static sal_status find_shards(merge *m)
{
    sal_status st = SAL_OK;
    char missing[512] = "";
    size_t used = 0, gone = 0;
    for (size_t i = 0; i < m->run_count; i++)
        TRY(find_in(m, m->runs[i]));
    if (m->count == 0) {
        st = sal_fail(SAL_ERROR_IO, "%s: there are no shards in this folder", m->runs[0]);
        goto done;
    }
    for (int64_t i = 0; i < m->count; i++)
        if (!m->shards[i].path) {
            if (used < sizeof missing - 32)
                used += (size_t)snprintf(missing + used, sizeof missing - used, "%s%lld/%lld", gone ? ", " : "",
                                         (long long)i, (long long)m->count);
            gone++;
        }
    if (gone)
        st = sal_fail(SAL_ERROR_FORMAT, "%zu of %lld shards missing: %s: run 'salmap sweep' with --shard %.*s", gone,
                      (long long)m->count, missing, (int)strcspn(missing, ","), missing);
done:
    return st;
}

/* ---- The list ------------------------------------------------------------ */

static sal_status open_manifest(merge *m)
{
    sal_status st = SAL_OK;
    char *path = NULL, *text = NULL;
    size_t size;
    TRY(sal_run_path(&path, m->shards[0].folder, SAL_RUN_MANIFEST));
    const char *const inputs[] = {path};
    TRY(sal_dataset_open(&m->dataset, inputs, 1, NULL));
    TRY(sal_dataset_text(&text, &size, m->dataset));
    TRY(sal_run_hash(m->manifest_sha256, text, size));
done:
    free(text);
    free(path);
    return st;
}

/* The run's rows, as of a run that was never split. */
static sal_status begin_result(merge *m)
{
    sal_status st = SAL_OK;
    size_t size = strlen(m->final) + 32;
    TRY(sal_alloc(&m->temporary, size, 1, "a path"));
    snprintf(m->temporary, size, "%s.tmp-%ld-0", m->final, (long)getpid());
    (void)unlink(m->temporary);
    TRY(sal_sql_open(&m->sql, m->temporary, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
    /* Nobody sees it before it is whole. */
    TRY(sal_sql_run(&m->sql, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF"));
    TRY(sal_store_make_tables(&m->sql, m->dataset));
done:
    return st;
}

/* ---- One shard after the other ------------------------------------------- */

static sal_status attach(merge *m, const char *path)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *statement = NULL;
    TRY(sal_sql_prepare(&statement, &m->sql, "ATTACH ?1 AS part"));
    TRY(sal_sql_bind_text(&m->sql, statement, 1, path));
    TRY(sal_sql_step_done(&m->sql, statement));
done:
    sqlite3_finalize(statement);
    return st;
}

/* Keys that are the machine's, not the run's, may differ. */
static sal_status compare_runs(merge *m, int64_t index)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *select = NULL;
    int row;
    TRY(sal_sql_prepare(&select, &m->sql,
                        "SELECT key, value FROM (SELECT key, value FROM part.run EXCEPT SELECT key, value FROM"
                        " main.run) WHERE key NOT IN ('shard', 'shards', 'model', 'version') ORDER BY key"));
    TRY(sal_sql_step(&row, &m->sql, select));
    if (row)
        st = sal_fail(SAL_ERROR_FORMAT, "%s: is of another run than %s: %s is %s here", m->shards[index].path,
                      m->shards[0].path, sal_sql_text(select, 0), sal_sql_text(select, 1));
done:
    sqlite3_finalize(select);
    return st;
}

/* An empty file is a database as well. */
static sal_status check_tables(merge *m, int64_t index)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *select = NULL;
    int row;
    TRY(sal_sql_prepare(&select, &m->sql, "SELECT 1 FROM part.sqlite_master WHERE name = 'run'"));
    TRY(sal_sql_step(&row, &m->sql, select));
    if (!row)
        st = sal_fail(SAL_ERROR_FORMAT, "%s: holds no results: run that shard again with --restart",
                      m->shards[index].path);
done:
    sqlite3_finalize(select);
    return st;
}

/* Its manifest's hash is the list's, and it says of itself what its name says. */
static sal_status check_identity(merge *m, int64_t index)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *select = NULL;
    int row;
    TRY(sal_sql_prepare(&select, &m->sql,
                        "SELECT (SELECT value FROM part.run WHERE key = 'shard'),"
                        " (SELECT value FROM part.run WHERE key = 'shards'),"
                        " (SELECT value FROM part.run WHERE key = 'manifest_sha256')"));
    TRY(sal_sql_step(&row, &m->sql, select));
    const char *hash = row ? sal_sql_text(select, 2) : NULL;
    if (!hash || sqlite3_column_int64(select, 0) != index || sqlite3_column_int64(select, 1) != m->count)
        st = sal_fail(SAL_ERROR_FORMAT, "%s: is not the shard that its name says", m->shards[index].path);
    else if (strcmp(hash, m->manifest_sha256) != 0)
        st = sal_fail(SAL_ERROR_FORMAT, "%s: is of another list of pictures than %s/" SAL_RUN_MANIFEST,
                      m->shards[index].path, m->shards[0].folder);
done:
    sqlite3_finalize(select);
    return st;
}

/* Every picture of the shard is there, and no other. */
static sal_status check_pictures(merge *m, int64_t index)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *select = NULL;
    const char *path = m->shards[index].path;
    size_t next = 0, missing = 0, wanted = 0;
    size_t first_missing = 0;
    int row = 1;
    TRY(sal_sql_prepare(&select, &m->sql, "SELECT id, path FROM part.pictures ORDER BY id"));
    while (row) {
        TRY(sal_sql_step(&row, &m->sql, select));
        const size_t id = row ? (size_t)sqlite3_column_int64(select, 0) : m->dataset->count;
        for (; next < id && next < m->dataset->count; next++)
            if (sal_dataset_in_shard(m->dataset, next, index, m->count)) {
                if (missing++ == 0)
                    first_missing = next;
                wanted++;
            }
        if (!row)
            break;
        const char *name = sal_sql_text(select, 1);
        if (id >= m->dataset->count || !name || strcmp(name, sal_dataset_path(m->dataset, id)) != 0 ||
            !sal_dataset_in_shard(m->dataset, id, index, m->count)) {
            st = sal_fail(SAL_ERROR_FORMAT, "%s: picture %zu (%s) does not belong to this shard", path, id,
                          name ? name : "?");
            goto done;
        }
        wanted++;
        next = id + 1;
    }
    if (missing)
        st = sal_fail(SAL_ERROR_FORMAT,
                      "%s: %zu of its %zu pictures missing, such as %s: the shard is not finished, run it again", path,
                      missing, wanted, sal_dataset_path(m->dataset, first_missing));
done:
    sqlite3_finalize(select);
    return st;
}

static sal_status check_shard(merge *m, int64_t index)
{
    sal_status st = SAL_OK;
    /* SQLite's messages name what the connection was opened with: the result. Here the shard is meant. */
    char *result = m->sql.path;
    m->sql.path = m->shards[index].path;
    TRY(attach(m, m->shards[index].path));
    TRY(check_tables(m, index));
    TRY(check_identity(m, index));
    if (index > 0)
        TRY(compare_runs(m, index));
    TRY(check_pictures(m, index));
done:
    m->sql.path = result;
    return st;
}

static sal_status copy_rows(merge *m, int64_t index)
{
    sal_status st = SAL_OK;
    if (index == 0)
        TRY(sal_sql_run(&m->sql,
                        "INSERT INTO main.run SELECT key, CASE key WHEN 'shard' THEN '0' WHEN 'shards' THEN '1'"
                        " ELSE value END FROM part.run"));
    TRY(sal_sql_run(&m->sql,
                    "INSERT INTO main.pictures SELECT * FROM part.pictures;"
                    "INSERT INTO main.predictions SELECT * FROM part.predictions;"
                    "INSERT INTO main.maps SELECT * FROM part.maps;"
                    "INSERT INTO main.timings SELECT * FROM part.timings;"
                    "INSERT INTO main.manifest SELECT * FROM part.manifest;"
                    "INSERT INTO main.sessions(started, ended, outcome, version, host, device, shard, shards, pictures)"
                    " SELECT started, ended, outcome, version, host, device, shard, shards, pictures FROM part.sessions"
                    " ORDER BY id"));
done:
    if (st == SAL_ERROR_FORMAT) /* the result was made just now: what is damaged is the shard */
        st = sal_fail(st, "%s: is damaged, or no results of salmap (%s)", m->shards[index].path,
                      sqlite3_errmsg(m->sql.db));
    return st;
}

static sal_status take_shard(merge *m, int64_t index)
{
    sal_status st = SAL_OK;
    TRY(check_shard(m, index));
    TRY(copy_rows(m, index));
    TRY(sal_sql_run(&m->sql, "DETACH part"));
done:
    return st;
}

/* ---- Their files --------------------------------------------------------- */

static sal_status copy_file(const char *from, const char *to)
{
    enum { PIECE = 1 << 16 };
    sal_status st = SAL_OK;
    sal_file_out out = {0};
    unsigned char piece[PIECE];
    FILE *in = fopen(from, "rbe");
    if (!in)
        return sal_fail(SAL_ERROR_IO, "%s: cannot open: %s", from, strerror(errno));
    TRY(sal_directory_make_for(to));
    TRY(sal_file_create(&out, to));
    for (size_t n; (n = fread(piece, 1, PIECE, in)) > 0;)
        if (fwrite(piece, 1, n, out.stream) != n)
            break;
    if (ferror(in)) {
        st = sal_fail(SAL_ERROR_IO, "%s: cannot read: %s", from, strerror(errno));
        goto done;
    }
    st = sal_file_commit(&out);
done:
    sal_file_discard(&out);
    fclose(in);
    return st;
}

/* One file of a picture's results: there, or copied. */
static sal_status take_file(const merge *m, int64_t index, const char *name)
{
    sal_status st = SAL_OK;
    char *from = NULL, *to = NULL;
    if (!name)
        return SAL_OK;
    TRY(sal_run_path(&from, m->shards[index].folder, name));
    if (access(from, F_OK) != 0) {
        st = sal_fail(SAL_ERROR_FORMAT, "%s: is gone, and %s names it: run that shard again with --restart", from,
                      m->shards[index].path);
        goto done;
    }
    if (!m->in_place) {
        TRY(sal_run_path(&to, m->target, name));
        TRY(copy_file(from, to));
    }
done:
    free(from);
    free(to);
    return st;
}

static sal_status take_files(merge *m)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *select = NULL;
    int row;
    TRY(sal_sql_prepare(&select, &m->sql, "SELECT picture, map_file, overlay_file FROM maps ORDER BY picture, rank"));
    for (;;) {
        TRY(sal_sql_step(&row, &m->sql, select));
        if (!row)
            break;
        const int64_t index = sal_dataset_shard(m->dataset, (size_t)sqlite3_column_int64(select, 0), m->count);
        TRY(take_file(m, index, sal_sql_text(select, 1)));
        TRY(take_file(m, index, sal_sql_text(select, 2)));
    }
done:
    sqlite3_finalize(select);
    return st;
}

/* "top:N" counts over all shards. */
static sal_status keep_top(merge *m)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *select = NULL, *update = NULL;
    int row;
    TRY(sal_sql_prepare(&select, &m->sql,
                        "SELECT substr(value, 5) FROM run WHERE key = 'option.overlays' AND value LIKE 'top:%'"));
    TRY(sal_sql_step(&row, &m->sql, select));
    if (!row)
        goto done;
    TRY(sal_sql_prepare(&update, &m->sql, sal_store_keep_top_sql));
    TRY(sal_sql_bind_integer(&m->sql, update, 1, sqlite3_column_int64(select, 0)));
    TRY(sal_sql_step_done(&m->sql, update));
    if (m->in_place)
        TRY(sal_run_remove_overlays(m->target, &m->sql));
done:
    sqlite3_finalize(select);
    sqlite3_finalize(update);
    return st;
}

/* ---- The whole ----------------------------------------------------------- */

/* The same file of the first shard's run folder, unless it is there already, byte for byte. */
static sal_status compare_files(const char *from, const char *to)
{
    sal_status st = SAL_OK;
    unsigned char *ours = NULL, *theirs = NULL;
    size_t our_size, their_size;
    TRY(sal_file_read(&ours, &our_size, from, (uint64_t)1 << 32));
    TRY(sal_file_read(&theirs, &their_size, to, (uint64_t)1 << 32));
    if (our_size != their_size || memcmp(ours, theirs, our_size) != 0)
        st = sal_fail(SAL_ERROR_ARGUMENT, "%s: is of another run; choose another folder to merge into", to);
done:
    sal_free(ours);
    sal_free(theirs);
    return st;
}

/* run.json and manifest.csv of the shards. Both are compared with what is there before one is written: a folder of
 * another run gets nothing. run.json comes first: it tells a merge that was cut off from a folder of somebody's own. */
static sal_status take_descriptions(const merge *m)
{
    static const char *const names[] = {SAL_RUN_JSON, SAL_RUN_MANIFEST};
    sal_status st = SAL_OK;
    char *from = NULL, *to = NULL;
    for (int k = 0; k < 4; k++) {
        const int copy = k >= 2;
        TRY(sal_run_path(&from, m->shards[0].folder, names[k % 2]));
        TRY(sal_run_path(&to, m->target, names[k % 2]));
        const int there = access(to, F_OK) == 0;
        if (!copy && there)
            TRY(compare_files(from, to));
        if (copy && !there)
            TRY(copy_file(from, to));
        free(from);
        free(to);
        from = to = NULL;
    }
done:
    free(from);
    free(to);
    return st;
}

static sal_status count_rows(sal_merge_info *info, sal_sql *sql)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *select = NULL;
    int row;
    TRY(sal_sql_prepare(&select, sql, "SELECT count(*), count(nullif(status, 'ok')) FROM pictures"));
    TRY(sal_sql_step(&row, sql, select));
    info->pictures = (size_t)sqlite3_column_int64(select, 0);
    info->failed = (size_t)sqlite3_column_int64(select, 1);
done:
    sqlite3_finalize(select);
    return st;
}

/* Files first, then the results that name them. */
static sal_status publish(merge *m)
{
    sal_status st = SAL_OK;
    char *csv = NULL;
    static const sal_export_options as_csv = {SAL_EXPORT_CSV, 0};
    sal_sql_close(&m->sql);
    /* What was there before goes with its journal, which would be taken for the new one's. */
    TRY(sal_run_settle(m->final));
    TRY(sal_run_sync(m->target));
    if (rename(m->temporary, m->final) != 0) {
        st = sal_fail(SAL_ERROR_IO, "%s: cannot rename the finished file: %s", m->final, strerror(errno));
        goto done;
    }
    sal_free(m->temporary);
    m->temporary = NULL;
    TRY(sal_run_path(&csv, m->target, SAL_RUN_CSV));
    TRY(sal_sweep_export(m->target, csv, NULL, NULL, &as_csv));
done:
    free(csv);
    return st;
}

/* A folder whose results are whole and that has no shards: there is nothing to do, if they are all there. */
static sal_status whole_already(int *whole, sal_merge_info *info, const merge *m)
{
    sal_status st = SAL_OK;
    sal_sql sql = {0};
    sqlite3_stmt *select = NULL;
    char *shards = NULL;
    int row;
    *whole = 0;
    TRY(sal_run_path(&shards, m->target, SAL_STORE_SHARDS));
    if (!m->in_place || access(shards, F_OK) == 0 || access(m->final, F_OK) != 0)
        goto done;
    TRY(sal_sql_open(&sql, m->final, SQLITE_OPEN_READWRITE));
    TRY(count_rows(info, &sql));
    TRY(sal_sql_prepare(&select, &sql, "SELECT value FROM run WHERE key = 'pictures'"));
    TRY(sal_sql_step(&row, &sql, select));
    if (!row || sqlite3_column_int64(select, 0) != (int64_t)info->pictures) {
        st = sal_fail(SAL_ERROR_FORMAT,
                      "%s: is not in shards, and not finished: %zu of %lld pictures are done; run it "
                      "again",
                      m->final, info->pictures, row ? (long long)sqlite3_column_int64(select, 0) : 0);
        goto done;
    }
    *whole = 1;
done:
    sqlite3_finalize(select);
    sal_sql_close(&sql);
    free(shards);
    return st;
}

/* One merge into a folder at a time. */
static sal_status lock_target(merge *m)
{
    m->lock = open(m->target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (m->lock < 0)
        return sal_fail(SAL_ERROR_IO, "%s: cannot open the folder: %s", m->target, strerror(errno));
    /* Where the file system knows no locks, there is none. */
    if (flock(m->lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return sal_fail(SAL_ERROR_IO, "%s: another merge is at work in this folder", m->target);
    return SAL_OK;
}

static sal_status prepare_target(merge *m)
{
    sal_status st = SAL_OK;
    if (!m->in_place) {
        TRY(sal_directory_make(m->target));
        TRY(sal_run_refuse_foreign(m->target));
    }
    TRY(lock_target(m));
    TRY(sal_run_settle(m->final)); /* not under the feet of a run */
    TRY(sal_run_remove_own_temporaries(m->target));
    if (!m->in_place)
        TRY(take_descriptions(m));
done:
    return st;
}

static sal_status merge_all(sal_merge_info *info, merge *m)
{
    sal_status st = SAL_OK;
    int whole;
    TRY(sal_run_path(&m->final, m->target, SAL_STORE_WHOLE));
    TRY(whole_already(&whole, info, m));
    if (whole)
        goto done;
    TRY(find_shards(m));
    TRY(open_manifest(m));
    TRY(prepare_target(m));
    TRY(begin_result(m));
    for (int64_t i = 0; i < m->count; i++) {
        st = take_shard(m, i);
        if (st != SAL_OK) {
            /* SQLite's own messages name the result, not the shard. */
            if (!strstr(sal_last_error(), m->shards[i].path))
                st = sal_fail_in(st, "%s", m->shards[i].path);
            goto done;
        }
    }
    TRY(keep_top(m));
    TRY(take_files(m));
    TRY(count_rows(info, &m->sql));
    info->shards = (size_t)m->count;
    TRY(publish(m));
done:
    return st;
}

sal_status sal_sweep_merge(sal_merge_info *info, const char *const *runs, size_t count, const char *out)
{
    if (!info || !runs || count == 0)
        return sal_fail(SAL_ERROR_ARGUMENT, "no run folders are given");
    if (count > 1 && !out)
        return sal_fail(SAL_ERROR_ARGUMENT, "several run folders are merged into another one: name it with -o");
    for (size_t i = 0; i < count; i++)
        if (!runs[i])
            return sal_fail(SAL_ERROR_ARGUMENT, "no run folders are given");
    merge m = {.runs = runs, .run_count = count, .target = out ? out : runs[0], .in_place = !out, .lock = -1};
    memset(info, 0, sizeof *info);
    sal_status st = merge_all(info, &m);
    sal_sql_close(&m.sql);
    if (m.temporary)
        (void)unlink(m.temporary);
    sal_free(m.temporary);
    for (int64_t i = 0; i < m.count; i++)
        free(m.shards[i].path);
    sal_free(m.shards);
    sal_dataset_close(m.dataset);
    free(m.final);
    if (m.lock >= 0)
        close(m.lock);
    return st;
}
