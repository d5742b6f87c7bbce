/* One run out of its shards. Whatever a launcher says of them: they are counted. */
#include "base/memory.h"
#include "base/struct.h"
#include "results/export.h"
#include "results/merge_internal.h"
#include "results/rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECONDS_TO_WAIT = 2 };

/* ---- Finding the shards -------------------------------------------------- */

static sal_status add_shard(merge *m, const sal_run_folder *folder, const char *name, int64_t index, int64_t count)
{
    sal_status st = SAL_OK;
    char *path = NULL;
    TRY(sal_run_path(&path, folder->path, name));
    if (m->count == 0) {
        TRY(sal_alloc(&m->shards, (size_t)count, sizeof *m->shards, "shards"));
        m->count = count;
    }
    if (count != m->count) {
        st = sal_fail(SAL_ERROR_FORMAT, "%s: is one of %lld shards, others are of %lld: they are of different runs",
                      path, (long long)count, (long long)m->count);
        goto done;
    }
    merge_shard *s = &m->shards[index];
    if (s->path) {
        st = sal_fail(SAL_ERROR_FORMAT, "shard %lld/%lld is there twice: %s and %s", (long long)index, (long long)count,
                      s->path, path);
        goto done;
    }
    *s = (merge_shard){path, folder};
    path = NULL;
done:
    free(path);
    return st;
}

static sal_status visit_shard(void *context, const sal_run_folder *folder, const char *name)
{
    int64_t index, count;
    if (!sal_run_parse_shard(&index, &count, name + strlen(SAL_STORE_SHARDS "/")) || count > SAL_MAX_SHARDS)
        return SAL_OK;
    return add_shard(context, folder, name, index, count);
}

static sal_status find_in(merge *m, const char *run)
{
    sal_status st = SAL_OK;
    int there;
    sal_run_folder *folder = &m->folders[m->folder_count];
    TRY(sal_run_folder_open(folder, run));
    m->folder_count++;
    TRY(sal_run_file_exists(&there, folder, SAL_STORE_SHARDS));
    if (!there)
        st = sal_fail(SAL_ERROR_IO, "%s: there are no shards in this folder: %s/" SAL_STORE_SHARDS ": %s", run, run,
                      strerror(ENOENT));
    else
        st = sal_run_files_each(folder, SAL_STORE_SHARDS, visit_shard, m);
done:
    return st;
}

static sal_status find_shards(merge *m)
{
    sal_status st = SAL_OK;
    char missing[512] = "";
    size_t used = 0, gone = 0;
    TRY(sal_alloc(&m->folders, m->run_count, sizeof *m->folders, "run folders"));
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

/* Every folder is a run's; what the first shard's tells holds for all of them. */
static sal_status open_facts(merge *m)
{
    sal_status st = SAL_OK;
    const char *folder = m->shards[0].folder->path;
    for (size_t i = 0; i < m->folder_count; i++)
        TRY(sal_run_require_one(&m->folders[i]));
    TRY(sal_run_facts_open(&m->facts, folder));
    if (!m->facts.list)
        st = sal_fail(SAL_ERROR_IO, "%s/" SAL_RUN_MANIFEST ": cannot open: %s", folder, strerror(ENOENT));
done:
    return st;
}

/* The run's rows, as of a run that was never split. */
static sal_status begin_result(merge *m)
{
    sal_status st = SAL_OK;
    char name[64];
    snprintf(name, sizeof name, SAL_STORE_WHOLE ".tmp-%ld-0", (long)getpid());
    TRY(sal_run_path(&m->temporary, m->target, name));
    TRY(sal_run_file_remove(&m->target_folder, name));
    TRY(sal_sql_open(&m->sql, m->temporary, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
    /* Nobody sees it before it is whole. */
    TRY(sal_sql_run(&m->sql, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF"));
    TRY(sal_store_make_tables(&m->sql, m->facts.list));
done:
    return st;
}

/* ---- One shard after the other ------------------------------------------- */

static sal_status copy_rows(merge *m, int64_t index)
{
    sal_status st = SAL_OK;
    int gaps;
    TRY(sal_store_has_gaps(&gaps, &m->sql, "part"));
    if (index == 0 && gaps)
        TRY(sal_store_add_gaps(&m->sql));
    if (index == 0)
        TRY(sal_sql_run(&m->sql,
                        "INSERT INTO main.run SELECT key, CASE key WHEN 'shard' THEN '0' WHEN 'shards' THEN '1'"
                        " ELSE value END FROM part.run"));
    TRY(sal_sql_run(&m->sql,
                    "INSERT INTO main.pictures SELECT * FROM part.pictures;"
                    "INSERT INTO main.predictions SELECT * FROM part.predictions;"
                    "INSERT INTO main.maps SELECT * FROM part.maps;"
                    "INSERT INTO main.timings SELECT * FROM part.timings;"
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
    TRY(merge_check_shard(m, index));
    TRY(copy_rows(m, index));
    TRY(sal_sql_run(&m->sql, "DETACH part"));
    m->sql.part = NULL;
done:
    return st;
}

/* The list is the run's own, whatever shards say of it. */
static sal_status put_list(merge *m)
{
    sal_status st = SAL_OK;
    sal_rows rows = {0};
    TRY(sal_rows_open(&rows, &m->sql, m->facts.list));
    TRY(sal_sql_run(&m->sql, "BEGIN"));
    for (size_t i = 0; i < m->facts.list->count; i++)
        TRY(sal_rows_put_manifest(&rows, i));
    TRY(sal_sql_run(&m->sql, "COMMIT"));
done:
    sal_rows_close(&rows);
    return st;
}

/* ---- Their files --------------------------------------------------------- */

/* One file of a picture's results: there, or copied. */
static sal_status take_file(const merge *m, int64_t picture, const char *name)
{
    sal_status st = SAL_OK;
    int there;
    if (!name)
        return SAL_OK;
    const int64_t index = sal_dataset_shard(m->facts.list, (size_t)picture, m->count);
    if (sal_run_names_find(&m->facts.names, name) != picture)
        return sal_fail(SAL_ERROR_FORMAT, "%s: is damaged: picture %lld: '%s' is no file that the run makes of it",
                        m->shards[index].path, (long long)picture, name);
    const sal_run_folder *from = m->shards[index].folder;
    TRY(sal_run_file_check(&there, from, name));
    if (there && !m->in_place)
        TRY(sal_run_file_copy(&there, &m->target_folder, from, name));
    if (!there)
        st = sal_fail(SAL_ERROR_FORMAT, "%s/%s: is gone, and %s names it: run that shard again with --restart",
                      from->path, name, m->shards[index].path);
done:
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
        const int64_t picture = sqlite3_column_int64(select, 0);
        TRY(take_file(m, picture, sal_sql_text(select, 1)));
        TRY(take_file(m, picture, sal_sql_text(select, 2)));
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
    m->keeps_top = 1;
done:
    sqlite3_finalize(select);
    sqlite3_finalize(update);
    return st;
}

/* ---- The whole ----------------------------------------------------------- */

/* The same file of the first shard's run folder, unless it is there already, byte for byte. */
static sal_status compare_file(int *there, const merge *m, const char *name)
{
    static const uint64_t max_bytes = (uint64_t)1 << 32;
    sal_status st = SAL_OK;
    unsigned char *ours = NULL, *theirs = NULL;
    size_t our_size, their_size;
    TRY(sal_run_file_exists(there, &m->target_folder, name));
    if (!*there)
        goto done;
    TRY(sal_run_file_read(&ours, &our_size, m->shards[0].folder, name, max_bytes, NULL));
    st = sal_run_file_read(&theirs, &their_size, &m->target_folder, name, max_bytes, NULL);
    if (st == SAL_ERROR_FORMAT || (st == SAL_OK && (our_size != their_size || memcmp(ours, theirs, our_size) != 0)))
        st = sal_fail(SAL_ERROR_ARGUMENT, "%s/%s: is of another run; choose another folder to merge into", m->target,
                      name);
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
    int there[2], copied;
    for (int k = 0; k < 2; k++)
        TRY(compare_file(&there[k], m, names[k]));
    for (int k = 0; k < 2; k++) {
        if (there[k])
            continue;
        TRY(sal_run_file_copy_new(&copied, &m->target_folder, m->shards[0].folder, names[k]));
        TRY(sal_run_sync(m->target));
    }
done:
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

/* The table of results that are not published yet, for whoever commits it. */
static sal_status print_table(sal_file_out *csv, merge *m)
{
    static const sal_export_options as_csv = {.format = SAL_EXPORT_CSV};
    sal_status st = SAL_OK;
    char *temporary = m->sql.path; /* which is gone when somebody reads of it */
    m->sql.path = m->final;
    TRY(sal_run_file_create(csv, &m->target_folder, SAL_RUN_CSV));
    TRY(sal_export_print(csv->stream, &m->sql, &m->facts.names, &as_csv));
done:
    m->sql.path = temporary;
    return st;
}

/* Overlays that shards had of their own best: of no use once the results that do not name them are there, and not
 * before. */
static sal_status remove_rest(const merge *m)
{
    sal_status st = SAL_OK;
    sal_sql sql = {0};
    TRY(sal_sql_open(&sql, m->final, SQLITE_OPEN_READWRITE));
    TRY(sal_run_remove_overlays(m->target, &sql, &m->facts.names));
done:
    sal_sql_close(&sql);
    return st;
}

/* Files first, then the results that name them, then the table: what it cannot be made of replaces nothing. */
static sal_status publish(merge *m)
{
    sal_status st = SAL_OK;
    sal_file_out csv = {0};
    TRY(print_table(&csv, m));
    sal_sql_close(&m->sql);
    /* What was there before goes with its journal, which would be taken for the new one's. */
    TRY(sal_run_settle(m->final));
    TRY(sal_run_remove_beside(&m->target_folder, SAL_STORE_WHOLE));
    TRY(sal_run_sync(m->target));
    TRY(sal_run_file_rename(&m->target_folder, sal_names_base(m->temporary), SAL_STORE_WHOLE));
    free(m->temporary);
    m->temporary = NULL;
    TRY(sal_file_commit(&csv));
    if (m->keeps_top)
        TRY(remove_rest(m));
done:
    sal_file_discard(&csv);
    return st;
}

/* A folder whose results are whole and that has no shards: there is nothing to do, if they are all there, but to make
 * the table where it is gone. */
static sal_status whole_already(int *whole, sal_merge_info *info, const merge *m)
{
    sal_status st = SAL_OK;
    sal_sql sql = {0};
    sqlite3_stmt *select = NULL;
    sal_run_facts facts = {0};
    char *csv = NULL;
    int row, shards, results;
    *whole = 0;
    if (!m->in_place)
        return SAL_OK;
    TRY(sal_run_exists(&shards, m->target, SAL_STORE_SHARDS));
    TRY(sal_run_exists(&results, m->target, SAL_STORE_WHOLE));
    if (shards || !results)
        goto done;
    TRY(sal_run_refuse_foreign(m->target, 0));
    TRY(sal_sql_open(&sql, m->final, SQLITE_OPEN_READWRITE));
    TRY(sal_store_check_tables(&sql, "main"));
    TRY(count_rows(info, &sql));
    TRY(sal_sql_prepare(&select, &sql, "SELECT value FROM run WHERE key = 'pictures'"));
    TRY(sal_sql_step(&row, &sql, select));
    TRY(sal_run_facts_open(&facts, m->target));
    const long long all = facts.list ? (long long)facts.list->count
                          : row      ? (long long)sqlite3_column_int64(select, 0)
                                     : 0;
    if (all != (long long)info->pictures || all == 0) {
        st = sal_fail(SAL_ERROR_FORMAT,
                      "%s: is not in shards, and not finished: %zu of %lld pictures are done; run it "
                      "again",
                      m->final, info->pictures, all);
        goto done;
    }
    *whole = 1;
    sqlite3_finalize(select);
    select = NULL;
    sal_sql_close(&sql);
    TRY(sal_run_path(&csv, m->target, SAL_RUN_CSV));
    TRY(sal_sweep_export(m->target, csv, NULL, NULL, NULL));
done:
    free(csv);
    sal_run_facts_close(&facts);
    sqlite3_finalize(select);
    sal_sql_close(&sql);
    return st;
}

/* One at a time, of the target and of what it is made of: a shard that is begun anew meanwhile would mix. */
static sal_status lock_folder(merge *m, const char *folder)
{
    sal_status st = SAL_OK;
    struct stat info, held;
    if (stat(folder, &info) != 0)
        return SAL_OK; /* whoever reads it says so */
    for (size_t i = 0; i < m->lock_count; i++)
        if (fstat(m->locks[i], &held) == 0 && held.st_dev == info.st_dev && held.st_ino == info.st_ino)
            return SAL_OK;
    TRY(sal_run_lock(&m->locks[m->lock_count], folder, SECONDS_TO_WAIT, NULL, NULL));
    m->lock_count++;
done:
    return st;
}

static sal_status lock_sources(merge *m)
{
    sal_status st = SAL_OK;
    TRY(sal_alloc(&m->locks, m->run_count + 1, sizeof *m->locks, "run folders"));
    for (size_t i = 0; i < m->run_count; i++)
        TRY(lock_folder(m, m->runs[i]));
done:
    return st;
}

static sal_status prepare_target(merge *m)
{
    sal_status st = SAL_OK;
    int run;
    if (!m->in_place)
        TRY(sal_directory_make(m->target));
    TRY(lock_folder(m, m->target));
    TRY(sal_run_refuse_foreign(m->target, m->facts.list->count));
    TRY(sal_run_refuse_table(m->target));
    TRY(sal_run_is_one(&run, m->target));
    TRY(sal_run_folder_open(&m->target_folder, m->target));
    TRY(sal_run_settle(m->final)); /* not under the feet of a run */
    if (run)
        TRY(sal_run_remove_own_temporaries(m->target));
    if (!m->in_place)
        TRY(take_descriptions(m));
done:
    return st;
}

static int is_target(const merge *m, const sal_run_folder *folder)
{
    struct stat theirs, ours;
    return fstat(folder->fd, &theirs) == 0 && fstat(m->target_folder.fd, &ours) == 0 && theirs.st_dev == ours.st_dev &&
           theirs.st_ino == ours.st_ino;
}

/* What a merge into this folder left when it was cut off: copies of files of shards that lie elsewhere. Those of shards
 * that lie here are their sweeps' to remove. */
static sal_status remove_leftovers(const merge *m)
{
    sal_status st = SAL_OK;
    char *elsewhere = NULL;
    TRY(sal_alloc(&elsewhere, (size_t)m->count, 1, "shards"));
    for (int64_t i = 0; i < m->count; i++)
        elsewhere[i] = !is_target(m, m->shards[i].folder);
    TRY(sal_run_remove_temporaries(m->target, elsewhere, m->count, &m->facts.names));
done:
    sal_free(elsewhere);
    return st;
}

static sal_status merge_all(sal_merge_info *info, merge *m)
{
    sal_status st = SAL_OK;
    int whole;
    TRY(sal_run_path(&m->final, m->target, SAL_STORE_WHOLE));
    TRY(lock_sources(m));
    TRY(whole_already(&whole, info, m));
    if (whole)
        goto done;
    TRY(find_shards(m));
    TRY(open_facts(m));
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
    TRY(remove_leftovers(m));
    TRY(put_list(m));
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
        if (!runs[i] || !runs[i][0])
            return sal_fail(SAL_ERROR_ARGUMENT, "no run folders are given, or one without a name");
    sal_merge_info merged = {0};
    merge m = {.runs = runs, .run_count = count, .target = out ? out : runs[0], .in_place = !out};
    m.target_folder.fd = -1;
    sal_status st = sal_struct_write(info, &merged, sizeof merged, "sal_merge_info");
    if (st != SAL_OK)
        return st;
    st = merge_all(&merged, &m);
    (void)sal_struct_write(info, &merged, sizeof merged, "sal_merge_info");
    sal_sql_close(&m.sql);
    if (m.temporary)
        (void)sal_run_file_remove(&m.target_folder, sal_names_base(m.temporary));
    free(m.temporary);
    for (int64_t i = 0; i < m.count; i++)
        free(m.shards[i].path);
    sal_free(m.shards);
    for (size_t i = 0; i < m.folder_count; i++)
        sal_run_folder_close(&m.folders[i]);
    sal_free(m.folders);
    sal_run_folder_close(&m.target_folder);
    sal_run_facts_close(&m.facts);
    free(m.final);
    for (size_t i = 0; i < m.lock_count; i++)
        sal_run_unlock(&m.locks[i]);
    sal_free(m.locks);
    return st;
}
