/* Are the rows of results such as a run makes? */
#include "results/export_internal.h"

#include <string.h>

sal_status export_fail_row(const export *e, const char *table, int64_t id, const char *what)
{
    return sal_fail(SAL_ERROR_FORMAT, "%s: is damaged: table %s, picture %lld: %s", e->sql->path, table, (long long)id,
                    what);
}

sal_status export_check_picture(export *e)
{
    const int64_t id = sqlite3_column_int64(e->pictures, 0);
    if (sqlite3_column_type(e->pictures, 0) != SQLITE_INTEGER || id <= e->picture)
        return export_fail_row(e, "pictures", id, "its number is none, or there twice");
    for (int k = PATH; k <= STATUS; k++)
        if (sqlite3_column_type(e->pictures, k) == SQLITE_NULL)
            return export_fail_row(e, "pictures", id, k == PATH ? "it has no path" : "it has no status");
    e->picture = id;
    return SAL_OK;
}

sal_status export_check_path(const export *e)
{
    const char *path = sal_sql_text(e->pictures, PATH), *listed = sal_sql_text(e->manifest, e->path_column);
    return listed && strcmp(path, listed) == 0
               ? SAL_OK
               : export_fail_row(e, "pictures", e->picture, "its path is another one in the list");
}

sal_status export_check_rank(const export *e, const char *table, sqlite3_stmt *s, int64_t found)
{
    return sqlite3_column_int64(s, 1) == found + 1
               ? SAL_OK
               : export_fail_row(e, table, e->picture, "its ranks are not counted from 1");
}

/* A row that no picture took, before the one whose turn it is, or after the last. */
static sal_status check_taken(const export *e, int row, sqlite3_stmt *s, const char *table, int64_t id)
{
    const int64_t owner = row ? sqlite3_column_int64(s, 0) : id;
    return row && owner < id ? export_fail_row(e, table, owner, "there is no such picture") : SAL_OK;
}

sal_status export_check_all_taken(const export *e, int64_t id)
{
    sal_status st = SAL_OK;
    TRY(check_taken(e, e->map_row, e->maps, "maps", id));
    TRY(check_taken(e, e->prediction_row, e->predictions, "predictions", id));
done:
    return st;
}

sal_status export_check_some(const export *e)
{
    static const char none[] = "it did not fail, and has no row";
    const int map = e->map_row && sqlite3_column_int64(e->maps, 0) == e->picture;
    const int prediction = e->prediction_row && sqlite3_column_int64(e->predictions, 0) == e->picture;
    if ((map && prediction) || strcmp(sal_sql_text(e->pictures, STATUS), "ok") != 0)
        return SAL_OK;
    return export_fail_row(e, map ? "predictions" : "maps", e->picture, none);
}

sal_status export_check_rest(const export *e)
{
    if (e->map_row)
        return export_fail_row(e, "maps", sqlite3_column_int64(e->maps, 0), "there is no such picture");
    if (e->prediction_row)
        return export_fail_row(e, "predictions", sqlite3_column_int64(e->predictions, 0), "there is no such picture");
    return SAL_OK;
}
