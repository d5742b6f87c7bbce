/* Names in an export: of the list's columns, and of the network's outputs. */
#include "results/export_internal.h"
#include "results/settings_lines.h"

#include "base/memory.h"
#include "dataset/dataset.h"

#include <stdlib.h>
#include <string.h>

const char *const export_class_columns[2] = {"predicted_class", "target_class"};

/* *out: free with free(); NULL: the run says nothing of it. */
static sal_status read_option(char **out, sal_sql *sql, const char *key)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *find = NULL;
    int row;
    *out = NULL;
    TRY(sal_sql_prepare(&find, sql, "SELECT value FROM run WHERE key = ?1"));
    TRY(sal_sql_bind_text(sql, find, 1, key));
    TRY(sal_sql_step(&row, sql, find));
    const char *text = row ? sal_sql_text(find, 0) : NULL;
    if (text)
        TRY(sal_strdup(out, text));
done:
    sqlite3_finalize(find);
    return st;
}

sal_status export_open_names(export *e)
{
    sal_status st = SAL_OK;
    char *names = NULL;
    TRY(read_option(&e->path_name, e->sql, "option." SAL_SETTINGS_PATH_COLUMN));
    if (!e->path_name)
        TRY(sal_strdup(&e->path_name, "path"));
    TRY(read_option(&names, e->sql, "option." SAL_SETTINGS_CLASS_NAMES));
    if (names)
        TRY(sal_classes_parse(&e->classes, names, strlen(names), e->sql->path));
done:
    free(names);
    return st;
}

void export_close_names(export *e)
{
    free(e->path_name);
    sal_classes_close(e->classes);
}

const char *export_class_of(const export *e, sqlite3_stmt *s, int column)
{
    return sqlite3_column_type(s, column) == SQLITE_INTEGER
               ? sal_classes_name(e->classes, sqlite3_column_int64(s, column))
               : NULL;
}

void export_print_classes(const export *e, const char *predicted, int has_map)
{
    const char *target = has_map ? export_class_of(e, e->maps, MAP_TARGET) : NULL;
    if (!e->classes)
        return;
    fputc(',', e->to);
    sal_csv_print_guarded(e->to, predicted ? predicted : "");
    fputc(',', e->to);
    sal_csv_print_guarded(e->to, target ? target : "");
}
