/* Is a shard what it says, and all of it? Whatever a launcher says of shards: their pictures are counted. */
#include "results/merge_internal.h"

#include "results/json.h"

#include <stdlib.h>
#include <string.h>

static sal_status attach(merge *m, const char *path)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *statement = NULL;
    char name[SAL_SQL_PATH];
    TRY(sal_sql_check_files(path));
    TRY(sal_sql_prepare(&statement, &m->sql, "ATTACH ?1 AS part"));
    TRY(sal_sql_bind_text(&m->sql, statement, 1, sal_sql_name(name, path)));
    TRY(sal_sql_step_done(&m->sql, statement));
    m->sql.part = path;
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
    else if (strcmp(hash, m->facts.description.manifest_sha256) != 0)
        st = sal_fail(SAL_ERROR_FORMAT, "%s: is of another list of pictures than %s/" SAL_RUN_MANIFEST,
                      m->shards[index].path, m->shards[0].folder->path);
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
        const int64_t told = row ? sqlite3_column_int64(select, 0) : 0;
        const size_t id = row && told >= 0 ? (size_t)told : m->facts.list->count;
        for (; next < id && next < m->facts.list->count; next++)
            if (sal_dataset_in_shard(m->facts.list, next, index, m->count)) {
                if (missing++ == 0)
                    first_missing = next;
                wanted++;
            }
        if (!row)
            break;
        const char *name = sal_sql_text(select, 1);
        if (id >= m->facts.list->count || id < next || !name ||
            strcmp(name, sal_dataset_path(m->facts.list, id)) != 0 ||
            !sal_dataset_in_shard(m->facts.list, id, index, m->count)) {
            st = sal_fail(SAL_ERROR_FORMAT, "%s: picture %lld (%s) does not belong to this shard", path,
                          (long long)told, name ? name : "?");
            goto done;
        }
        wanted++;
        next = id + 1;
    }
    if (missing)
        st = sal_fail(SAL_ERROR_FORMAT,
                      "%s: %zu of its %zu pictures missing, such as %s: the shard is not finished, run it again", path,
                      missing, wanted, sal_dataset_path(m->facts.list, first_missing));
done:
    sqlite3_finalize(select);
    return st;
}

/* Rows of the other tables are of pictures that the shard has. */
static sal_status check_owners(merge *m, int64_t index)
{
    static const char *const tables[][2] = {
        {"predictions", "picture"}, {"maps", "picture"}, {"timings", "picture"}, {"manifest", SAL_ID_COLUMN}};
    sal_status st = SAL_OK;
    sqlite3_stmt *select = NULL;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        char text[256];
        int row;
        snprintf(text, sizeof text,
                 "SELECT %s FROM part.%s WHERE %s IS NULL OR %s NOT IN (SELECT id FROM part.pictures) LIMIT 1",
                 tables[i][1], tables[i][0], tables[i][1], tables[i][1]);
        TRY(sal_sql_prepare(&select, &m->sql, text));
        TRY(sal_sql_step(&row, &m->sql, select));
        if (row) {
            const char *id = sal_sql_text(select, 0);
            st = sal_fail(SAL_ERROR_FORMAT, "%s: table %s has a row of picture %s, which is none of this shard",
                          m->shards[index].path, tables[i][0], id ? id : "NULL");
            goto done;
        }
        sqlite3_finalize(select);
        select = NULL;
    }
done:
    sqlite3_finalize(select);
    return st;
}

/* Rows that no run makes, whatever becomes of them when shards are put together. */
static sal_status check_rows(merge *m, int64_t index)
{
    static const struct {
        const char *table, *what, *select;
    } rows[] = {
        {"maps", "it did not fail, and has no row",
         "SELECT id FROM part.pictures WHERE status = 'ok' AND id NOT IN (SELECT picture FROM part.maps) LIMIT 1"},
        {"predictions", "it did not fail, and has no row",
         "SELECT id FROM part.pictures WHERE status = 'ok' AND id NOT IN (SELECT picture FROM part.predictions) LIMIT "
         "1"},
        {"maps", "its ranks are not counted from 1",
         "SELECT picture FROM part.maps GROUP BY picture HAVING min(rank) <> 1 OR max(rank) <> count(*)"
         " OR count(DISTINCT rank) <> count(*) LIMIT 1"},
        {"predictions", "its ranks are not counted from 1",
         "SELECT picture FROM part.predictions GROUP BY picture HAVING min(rank) <> 1 OR max(rank) <> count(*)"
         " OR count(DISTINCT rank) <> count(*) LIMIT 1"},
    };
    sal_status st = SAL_OK;
    sqlite3_stmt *select = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int row;
        TRY(sal_sql_prepare(&select, &m->sql, rows[i].select));
        TRY(sal_sql_step(&row, &m->sql, select));
        if (row) {
            st = sal_fail(
                SAL_ERROR_FORMAT, "%s: is damaged: table %s, picture %lld: %s: run that shard again with --restart",
                m->shards[index].path, rows[i].table, (long long)sqlite3_column_int64(select, 0), rows[i].what);
            goto done;
        }
        sqlite3_finalize(select);
        select = NULL;
    }
done:
    sqlite3_finalize(select);
    return st;
}

/* A row names the file that the run makes of that map, or none. */
static sal_status check_name(const merge *m, int64_t index, unsigned files, int64_t picture, int64_t rank,
                             const char *name)
{
    sal_status st = SAL_OK;
    int same;
    TRY(sal_run_names_check(&same, &m->facts.names, files, picture, rank, name));
    if (!same)
        st = sal_fail(SAL_ERROR_FORMAT,
                      "%s: table maps, picture %lld, rank %lld: '%s' is no file that the run can have made: run that "
                      "shard again with --restart",
                      m->shards[index].path, (long long)picture, (long long)rank, name ? name : "none");
done:
    return st;
}

/* Names are looked up as they are stored: text, or bytes where they are not UTF-8. */
static sal_status check_type(const merge *m, int64_t index, sqlite3_stmt *row, int column)
{
    const int type = sqlite3_column_type(row, column);
    const char *name = sal_sql_text(row, column);
    if (!name || (strlen(name) == (size_t)sqlite3_column_bytes(row, column) &&
                  type == (sal_json_is_utf8(name) ? SQLITE_TEXT : SQLITE_BLOB)))
        return SAL_OK;
    return sal_fail(SAL_ERROR_FORMAT,
                    "%s: is damaged: table maps, picture %lld: a file's name is no text: run that shard again with "
                    "--restart",
                    m->shards[index].path, (long long)sqlite3_column_int64(row, 0));
}

static sal_status check_names(merge *m, int64_t index)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *select = NULL;
    int row;
    TRY(sal_sql_prepare(&select, &m->sql, "SELECT picture, rank, map_file, overlay_file FROM part.maps"));
    for (;;) {
        TRY(sal_sql_step(&row, &m->sql, select));
        if (!row)
            break;
        for (int k = 2; k < 4; k++) {
            TRY(check_type(m, index, select, k));
            TRY(check_name(m, index, k == 2 ? SAL_FILES_MAP : SAL_FILES_OVERLAY, sqlite3_column_int64(select, 0),
                           sqlite3_column_int64(select, 1), sal_sql_text(select, k)));
        }
    }
done:
    sqlite3_finalize(select);
    return st;
}

sal_status merge_check_shard(merge *m, int64_t index)
{
    sal_status st = SAL_OK;
    /* SQLite's messages name what the connection was opened with: the result. Here the shard is meant. */
    char *result = m->sql.path;
    m->sql.path = m->shards[index].path;
    TRY(attach(m, m->shards[index].path));
    TRY(check_tables(m, index));
    TRY(sal_store_check_tables(&m->sql, "part"));
    TRY(check_identity(m, index));
    if (index > 0)
        TRY(compare_runs(m, index));
    TRY(sal_run_check_results(&m->sql, "part", &m->facts.description));
    TRY(check_pictures(m, index));
    TRY(check_owners(m, index));
    TRY(check_rows(m, index));
    TRY(check_names(m, index));
done:
    m->sql.path = result;
    return st;
}
