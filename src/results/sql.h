/* SQLite, with its errors as the library's own: every call of it goes through here. */
#ifndef SAL_RESULTS_SQL_H
#define SAL_RESULTS_SQL_H

#include "base/error.h"

#include <sqlite3.h>

typedef struct sal_sql {
    sqlite3 *db;
    char *path;        /* for messages */
    const char *part;  /* path of a database that was attached, or NULL; borrowed */
    int64_t work_done; /* in a step so far, in some instructions of SQLite's */
} sal_sql;

/* flags: SQLITE_OPEN_... On failure *out is closed. *out must stay where it is until then. Nothing that a database
 * brings with it is run: neither views nor triggers nor functions in its schema nor CHECK constraints. A step that
 * works longer than the size of the files can explain is an error. Errors: IO (also: in use by another process, disk
 * full), FORMAT (no database, or a damaged one), ARGUMENT (a link), MEMORY. */
sal_status sal_sql_open(sal_sql *out, const char *path, int flags);
/* What SQLite calls the file: it takes a name that begins with "file:" for a URI. Paths that do not fit are cut. */
enum { SAL_SQL_PATH = 4096 };
const char *sal_sql_name(char name[SAL_SQL_PATH], const char *path);
/* Before SQLite opens a database: is it a link, is it or a journal beside it a pipe, which would be waited for, has a
 * journal another name, which would be written through, or does it name a file, which would be removed?
 * Errors: ARGUMENT (names the file), IO. */
sal_status sal_sql_check_files(const char *path);
/* Before it is written: has the database another name, a hard link? That may be somebody's copy of it.
 * Error: ARGUMENT. */
sal_status sal_sql_check_alone(const char *path);
void sal_sql_close(sal_sql *sql); /* fine on a zeroed struct */
/* SAL_OK for SQLITE_OK, _ROW and _DONE; else what went wrong, naming the file. */
sal_status sal_sql_check(const sal_sql *sql, int code);
/* Statements without results. */
sal_status sal_sql_run(sal_sql *sql, const char *statements);
sal_status sal_sql_prepare(sqlite3_stmt **out, sal_sql *sql, const char *statement);
/* Runs a statement without results and makes it ready for the next values. */
sal_status sal_sql_step_done(sal_sql *sql, sqlite3_stmt *statement);
/* *row: 1 while there is one. */
sal_status sal_sql_step(int *row, sal_sql *sql, sqlite3_stmt *statement);

/* Values of a statement. NULL texts and NaN become NULL; texts that are not UTF-8 become BLOBs, byte for byte. Bound
 * texts must live until the statement was run. */
sal_status sal_sql_bind_text(sal_sql *sql, sqlite3_stmt *statement, int at, const char *text);
sal_status sal_sql_bind_integer(sal_sql *sql, sqlite3_stmt *statement, int at, int64_t value);
sal_status sal_sql_bind_real(sal_sql *sql, sqlite3_stmt *statement, int at, double value);
sal_status sal_sql_bind_null(sal_sql *sql, sqlite3_stmt *statement, int at);

/* Are the pages sound (PRAGMA quick_check) of "main", or of what was attached? Errors: FORMAT, and as above. */
sal_status sal_sql_check_pages(sal_sql *sql, const char *schema);

/* A column as text, BLOBs included; NULL where it is NULL. Borrowed until the next step. */
const char *sal_sql_text(sqlite3_stmt *statement, int column);
/* NaN where it is NULL. */
double sal_sql_real(sqlite3_stmt *statement, int column);

#endif
