/* Are the rows of the list that results have those of a list? */
#include "results/store.h"

#include <string.h>

static sal_status fail_row(const sal_sql *sql, int64_t id, const char *what)
{
    return sal_fail(SAL_ERROR_ARGUMENT,
                    "%s: is not of the first pictures of the list: %s of picture %lld; --restart throws its results "
                    "away, or choose another run folder",
                    sql->path, what, (long long)id);
}

static sal_status check_columns(const sal_sql *sql, sqlite3_stmt *select, const sal_dataset *d)
{
    int same = sqlite3_column_count(select) == d->column_count + 1;
    for (int k = 0; same && k < d->column_count; k++)
        same = strcmp(sqlite3_column_name(select, k + 1), d->columns[k]) == 0;
    return same ? SAL_OK : fail_row(sql, 0, "the columns");
}

sal_status sal_store_check_list(sal_sql *sql, const sal_dataset *d)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *select = NULL;
    int row;
    TRY(sal_sql_prepare(&select, sql, "SELECT * FROM manifest"));
    TRY(check_columns(sql, select, d));
    for (;;) {
        TRY(sal_sql_step(&row, sql, select));
        if (!row)
            break;
        const int64_t id = sqlite3_column_int64(select, 0);
        if (id < 0 || (uint64_t)id >= d->count)
            TRY(fail_row(sql, id, "there is no row"));
        for (int k = 0; k < d->column_count; k++) {
            const char *field = sal_sql_text(select, k + 1);
            if (strcmp(field ? field : "", sal_dataset_field(d, (size_t)id, k)) != 0)
                TRY(fail_row(sql, id, d->columns[k]));
        }
    }
done:
    sqlite3_finalize(select);
    return st;
}
