#include "results/limits.h"

#include <string.h>

/* Runs that were begun by earlier versions have no such columns. */
static sal_status find_columns(int *there, sal_sql *sql)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *find = NULL;
    TRY(sal_sql_prepare(&find, sql, "SELECT 1 FROM pragma_table_info('sessions') WHERE name = 'max_memory'"));
    TRY(sal_sql_step(there, sql, find));
done:
    sqlite3_finalize(find);
    return st;
}

static sal_status add_columns(sal_sql *sql)
{
    sal_status st = SAL_OK;
    int there;
    TRY(find_columns(&there, sql));
    if (!there)
        TRY(sal_sql_run(sql, "BEGIN IMMEDIATE;"
                             "ALTER TABLE sessions ADD COLUMN max_pixels INTEGER;"
                             "ALTER TABLE sessions ADD COLUMN max_memory INTEGER;"
                             "COMMIT"));
done:
    return st;
}

/* SQLite's integers have a sign. */
static int64_t bounded(uint64_t limit)
{
    return limit < INT64_MAX ? (int64_t)limit : INT64_MAX;
}

/* What --max-pixels is by default. */
static const int64_t default_pixels = (int64_t)1 << 30;

sal_status sal_store_limits_raised(int *raised, sal_store *store, const sal_limits *limits)
{
    const sal_status st = add_columns(sal_store_sql(store));
    return st == SAL_OK ? sal_store_look_limits_raised(raised, sal_store_sql(store), limits) : st;
}

sal_status sal_store_look_limits_raised(int *raised, sal_sql *sql, const sal_limits *limits)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *find = NULL;
    int row;
    *raised = 1;
    TRY(find_columns(&row, sql));
    if (!row)
        goto done;
    /* Without a number of pixels, that is 0, TIFFs that are compressed too much are refused as well. */
    TRY(sal_sql_prepare(&find, sql,
                        "SELECT NOT EXISTS (SELECT 1 FROM sessions WHERE max_memory >= ?2 AND"
                        " CASE ?1 WHEN 0 THEN max_pixels = 0 OR max_pixels >= ?3 ELSE max_pixels >= ?1 END)"));
    TRY(sal_sql_bind_integer(sql, find, 1, bounded(limits->max_pixels)));
    TRY(sal_sql_bind_integer(sql, find, 2, bounded(limits->max_memory)));
    TRY(sal_sql_bind_integer(sql, find, 3, default_pixels));
    TRY(sal_sql_step(&row, sql, find));
    *raised = row && sqlite3_column_int(find, 0);
done:
    sqlite3_finalize(find);
    return st;
}

sal_status sal_store_keep_limits(sal_store *store, const sal_limits *limits)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *update = NULL;
    sal_sql *sql = sal_store_sql(store);
    TRY(sal_sql_prepare(&update, sql,
                        "UPDATE sessions SET max_pixels = ?1, max_memory = ?2"
                        " WHERE id = (SELECT max(id) FROM sessions)"));
    TRY(sal_sql_bind_integer(sql, update, 1, bounded(limits->max_pixels)));
    TRY(sal_sql_bind_integer(sql, update, 2, bounded(limits->max_memory)));
    TRY(sal_sql_step_done(sql, update));
done:
    sqlite3_finalize(update);
    return st;
}

sal_status sal_store_limited(int *failed, sal_sql *sql, size_t count)
{
    static const sal_status both[] = {SAL_ERROR_LIMIT, SAL_ERROR_MEMORY};
    sal_status st = SAL_OK;
    sqlite3_stmt *select = NULL;
    int row;
    TRY(sal_sql_prepare(&select, sql, "SELECT id, status FROM pictures WHERE status <> 'ok'"));
    for (;;) {
        TRY(sal_sql_step(&row, sql, select));
        if (!row)
            break;
        const int64_t id = sqlite3_column_int64(select, 0);
        const char *status = sal_sql_text(select, 1);
        for (int k = 0; k < 2 && status && id >= 0 && (size_t)id < count; k++)
            if (strcmp(status, sal_status_name(both[k])) == 0)
                failed[id] = both[k];
    }
done:
    sqlite3_finalize(select);
    return st;
}
