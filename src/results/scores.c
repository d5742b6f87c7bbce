/* The scores of a run: the highest, with the overlays of their pictures, and those that have a label. */
#include "results/run.h"

#include <math.h>

sal_status sal_store_scores(sal_store *s, int64_t n, void (*take)(void *context, float score), void *context)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *select = NULL;
    sal_sql *sql = sal_store_sql(s);
    int row = 1;
    TRY(sal_sql_prepare(&select, sql, "SELECT score FROM maps WHERE rank = 1 ORDER BY score DESC LIMIT ?1"));
    TRY(sal_sql_bind_integer(sql, select, 1, n));
    while (row) {
        TRY(sal_sql_step(&row, sql, select));
        if (row)
            take(context, (float)sqlite3_column_double(select, 0));
    }
done:
    sqlite3_finalize(select);
    return st;
}

sal_status sal_store_keep_top(sal_store *s, int64_t n, const char *folder, const sal_run_names *names)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *update = NULL;
    sal_sql *sql = sal_store_sql(s);
    TRY(sal_sql_prepare(&update, sql, sal_store_keep_top_sql));
    TRY(sal_sql_bind_integer(sql, update, 1, n));
    TRY(sal_sql_step_done(sql, update));
    if (folder)
        TRY(sal_run_remove_overlays(folder, sql, names));
done:
    sqlite3_finalize(update);
    return st;
}

sal_status sal_store_compared(sal_store *s, void (*take)(void *context, size_t picture, double score, int is_right),
                              void *context)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *select = NULL;
    sal_sql *sql = sal_store_sql(s);
    int row = 1;
    TRY(sal_sql_prepare(&select, sql, "SELECT id, predicted_score, correct FROM pictures WHERE correct IS NOT NULL"));
    while (row) {
        TRY(sal_sql_step(&row, sql, select));
        if (row)
            take(context, (size_t)sqlite3_column_int64(select, 0),
                 sqlite3_column_type(select, 1) == SQLITE_NULL ? (double)NAN : sqlite3_column_double(select, 1),
                 sqlite3_column_int(select, 2) != 0);
    }
done:
    sqlite3_finalize(select);
    return st;
}
