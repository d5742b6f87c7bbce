/* What the files of pictures that failed were: one that is another by now is worth another look. */
#include "results/store.h"

#include <sys/stat.h>

static int64_t time_of(const struct stat *info)
{
    return (int64_t)info->st_mtim.tv_sec * 1000000000 + info->st_mtim.tv_nsec;
}

sal_status sal_store_mended(unsigned char *mended, sal_sql *sql, const sal_dataset *dataset)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *select = NULL;
    int row;
    TRY(sal_sql_prepare(&select, sql, "SELECT 1 FROM sqlite_master WHERE name = 'failed_files'"));
    TRY(sal_sql_step(&row, sql, select));
    if (!row)
        goto done;
    sqlite3_finalize(select);
    select = NULL;
    TRY(sal_sql_prepare(&select, sql,
                        "SELECT picture, f.bytes, changed FROM failed_files f JOIN pictures ON picture = id"
                        " WHERE status <> 'ok'"));
    for (;;) {
        struct stat now;
        TRY(sal_sql_step(&row, sql, select));
        if (!row)
            break;
        const int64_t id = sqlite3_column_int64(select, 0);
        const char *file = id >= 0 ? sal_dataset_file(dataset, (size_t)id) : NULL;
        if (file && stat(file, &now) == 0)
            mended[id] =
                now.st_size != sqlite3_column_int64(select, 1) || time_of(&now) != sqlite3_column_int64(select, 2);
    }
done:
    sqlite3_finalize(select);
    return st;
}

void sal_result_note_file(sal_result *r, const char *file)
{
    struct stat info;
    if (stat(file, &info) != 0)
        return;
    r->failed_bytes = info.st_size;
    r->changed = time_of(&info);
}
