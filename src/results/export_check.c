/* Are the rows of results such as a run makes? */
#include "results/export_internal.h"

#include <string.h>

sal_status export_fail_row(const export *e, const char *table, int64_t id, const char *what)
{
    return sal_fail(SAL_ERROR_FORMAT, "%s: is damaged: table %s, picture %lld: %s", e->sql->path, table, (long long)id,
                    what);
}

static int is_status(const char *name)
{
    for (int status = SAL_OK; status >= SAL_ERROR_CANCELLED; status--)
        if (strcmp(name, sal_status_name((sal_status)status)) == 0)
            return 1;
    return 0;
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
    return is_status(sal_sql_text(e->pictures, STATUS)) ? SAL_OK
                                                        : export_fail_row(e, "pictures", id, "its status is none");
}

/* Its row in the results' list is the one in the run's. */
static int is_listed(const export *e)
{
    const sal_dataset *list = e->names->dataset;
    if (e->picture >= (int64_t)list->count || sqlite3_column_count(e->manifest) != list->column_count + 1)
        return 0;
    for (int k = 0; k < list->column_count; k++) {
        const char *here = sal_sql_text(e->manifest, k + 1);
        if (!here || strcmp(here, sal_dataset_field(list, (size_t)e->picture, k)) != 0 ||
            strcmp(sqlite3_column_name(e->manifest, k + 1), list->columns[k]) != 0)
            return 0;
    }
    return 1;
}

sal_status export_check_list(const export *e)
{
    const char *path = sal_sql_text(e->pictures, PATH), *listed = sal_sql_text(e->manifest, e->path_column);
    if (!listed || strcmp(path, listed) != 0)
        return export_fail_row(e, "pictures", e->picture, "its path is another one in the list");
    if (e->names && !is_listed(e))
        return export_fail_row(e, "manifest", e->picture, "it is another one in the run's list");
    return SAL_OK;
}

sal_status export_check_files(const export *e)
{
    static const unsigned kinds[] = {SAL_FILES_MAP, SAL_FILES_OVERLAY};
    sal_status st = SAL_OK;
    for (int k = 0; e->names && k < 2; k++) {
        int same;
        TRY(sal_run_names_check(&same, e->names, kinds[k], e->picture, sqlite3_column_int64(e->maps, 1),
                                sal_sql_text(e->maps, MAP_FILE + k)));
        if (!same) {
            st = export_fail_row(e, "maps", e->picture, "it names no file that the run makes of it");
            goto done;
        }
    }
done:
    return st;
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
