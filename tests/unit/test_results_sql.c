/* SQLite through the wrapper: which code is which error, and what values become on the way in and out. Settings as
 * lines of text. */
#include "results_support.h"

#include "results/settings_lines.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static sal_sql sql;

static void open_memory(void)
{
    make_scratch();
    must(sal_sql_open(&sql, ":memory:", SQLITE_OPEN_READWRITE));
}

static void close_memory(void)
{
    sal_sql_close(&sql);
    remove_scratch();
}

TestSuite(sql, .init = open_memory, .fini = close_memory, .timeout = 120);

/* ---- Files ----------------------------------------------------------------- */

Test(sql, waits_for_no_pipe_and_follows_no_link)
{
    static const char *const pipes[] = {"db", "db-journal", "db-wal", "db-shm"};
    sal_sql other;
    for (size_t i = 0; i < sizeof pipes / sizeof *pipes; i++) {
        cr_assert_eq(mkfifo(scratch("%s", pipes[i]), 0600), 0);
        cr_expect_eq(sal_sql_open(&other, scratch("db"), SQLITE_OPEN_READWRITE), SAL_ERROR_ARGUMENT);
        cr_expect(strstr(sal_last_error(), ": is no regular file") != NULL, "%s", sal_last_error());
        sal_sql_close(&other);
        cr_assert_eq(remove(scratch("%s", pipes[i])), 0);
    }
    must(sal_sql_open(&other, scratch("there"), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
    sal_sql_close(&other);
    cr_assert_eq(symlink("there", scratch("db")), 0);
    cr_expect_eq(sal_sql_check_files(scratch("db")), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_sql_check_files(scratch("there")), SAL_OK);
    cr_expect_eq(sal_sql_check_files(scratch("nowhere")), SAL_OK);
}

/* ---- Errors -------------------------------------------------------------- */

Test(sql, takes_ok_row_and_done_for_success)
{
    cr_expect_eq(sal_sql_check(&sql, SQLITE_OK), SAL_OK);
    cr_expect_eq(sal_sql_check(&sql, SQLITE_ROW), SAL_OK);
    cr_expect_eq(sal_sql_check(&sql, SQLITE_DONE), SAL_OK);
}

Test(sql, names_the_file_and_what_happened)
{
    static const struct {
        int code;
        sal_status status;
        const char *text;
    } cases[] = {
        {SQLITE_NOMEM, SAL_ERROR_MEMORY, "out of memory: 0 bytes for SQLite"},
        {SQLITE_IOERR_NOMEM, SAL_ERROR_MEMORY, "out of memory: 0 bytes for SQLite"},
        {SQLITE_BUSY, SAL_ERROR_IO, ":memory:: in use by another salmap that is running: run again when it has ended"},
        {SQLITE_BUSY_SNAPSHOT, SAL_ERROR_IO,
         ":memory:: in use by another salmap that is running: run again when it has ended"},
        {SQLITE_LOCKED, SAL_ERROR_IO,
         ":memory:: in use by another salmap that is running: run again when it has ended"},
        {SQLITE_LOCKED_SHAREDCACHE, SAL_ERROR_IO,
         ":memory:: in use by another salmap that is running: run again when it has ended"},
        {SQLITE_FULL, SAL_ERROR_IO, ":memory:: cannot write: no space left on the disk"},
        {SQLITE_CORRUPT, SAL_ERROR_FORMAT, ":memory:: is damaged, or no results of salmap (not an error)"},
        {SQLITE_CORRUPT_VTAB, SAL_ERROR_FORMAT, ":memory:: is damaged, or no results of salmap (not an error)"},
        {SQLITE_NOTADB, SAL_ERROR_FORMAT, ":memory:: is damaged, or no results of salmap (not an error)"},
        {SQLITE_CANTOPEN, SAL_ERROR_IO, ":memory:: cannot open: not an error"},
        {SQLITE_CANTOPEN_ISDIR, SAL_ERROR_IO, ":memory:: cannot open: not an error"},
        {SQLITE_READONLY, SAL_ERROR_IO, ":memory:: is not writable"},
        {SQLITE_READONLY_DBMOVED, SAL_ERROR_IO, ":memory:: is not writable"},
        {SQLITE_ERROR, SAL_ERROR_FORMAT, ":memory:: not an error"},
        {SQLITE_IOERR_WRITE, SAL_ERROR_IO, ":memory:: SQLite: not an error"},
        {SQLITE_CONSTRAINT_PRIMARYKEY, SAL_ERROR_IO, ":memory:: SQLite: not an error"},
        {SQLITE_MISUSE, SAL_ERROR_IO, ":memory:: SQLite: not an error"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect_eq(sal_sql_check(&sql, cases[i].code), cases[i].status, "code %d", cases[i].code);
        cr_expect_str_eq(sal_last_error(), cases[i].text, "code %d", cases[i].code);
    }
}

Test(sql, says_what_is_wrong_with_a_statement)
{
    sqlite3_stmt *s = NULL;
    expect_error(sal_sql_run(&sql, "SELECT 1; NONSENSE"), SAL_ERROR_FORMAT,
                 ":memory:: near \"NONSENSE\": syntax error");
    expect_error(sal_sql_prepare(&s, &sql, "SELECT x FROM nowhere"), SAL_ERROR_FORMAT,
                 ":memory:: no such table: nowhere");
    cr_expect_null(s);
}

Test(sql, opens_files_and_remembers_their_names)
{
    char path[512];
    sal_sql file;
    snprintf(path, sizeof path, "%s", scratch("new.sqlite"));
    expect_error(sal_sql_open(&file, path, SQLITE_OPEN_READWRITE), SAL_ERROR_IO,
                 "{}/new.sqlite: cannot open: unable to open database file");
    cr_expect_null(file.db);
    cr_expect_null(file.path);
    cr_expect(!exists(path));
    must(sal_sql_open(&file, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
    memset(path, 'x', strlen(path));
    cr_expect_str_eq(file.path, scratch("new.sqlite"));
    must(sal_sql_run(&file, "CREATE TABLE t(k INTEGER PRIMARY KEY, v NOT NULL); INSERT INTO t VALUES(1, 2)"));
    sal_sql_close(&file);
    cr_expect_null(file.db);
    cr_expect_null(file.path);
    cr_expect_str_eq(rows_of(scratch("new.sqlite"), "SELECT * FROM t"), "1|2\n");
}

Test(sql, does_not_write_what_it_opened_to_read)
{
    sal_sql file;
    write_text(scratch("old.sqlite"), "");
    change(scratch("old.sqlite"), "CREATE TABLE t(k)");
    must(sal_sql_open(&file, scratch("old.sqlite"), SQLITE_OPEN_READONLY));
    expect_error(sal_sql_run(&file, "INSERT INTO t VALUES(1)"), SAL_ERROR_IO, "{}/old.sqlite: is not writable");
    sal_sql_close(&file);
}

Test(sql, tells_a_file_that_is_none_and_one_in_use)
{
    sal_sql file;
    write_text(scratch("text.sqlite"), "These are no results, but they are long enough to be looked at.\n");
    must(sal_sql_open(&file, scratch("text.sqlite"), SQLITE_OPEN_READWRITE));
    expect_error(sal_sql_run(&file, "SELECT * FROM sqlite_schema"), SAL_ERROR_FORMAT,
                 "{}/text.sqlite: is damaged, or no results of salmap (file is not a database)");
    sal_sql_close(&file);
    write_text(scratch("busy.sqlite"), "");
    change(scratch("busy.sqlite"), "CREATE TABLE t(k)");
    sqlite3 *other = hold(scratch("busy.sqlite"));
    must(sal_sql_open(&file, scratch("busy.sqlite"), SQLITE_OPEN_READWRITE));
    expect_error(sal_sql_run(&file, "BEGIN IMMEDIATE"), SAL_ERROR_IO,
                 "{}/busy.sqlite: in use by another salmap that is running: run again when it has ended");
    let_go(other);
    must(sal_sql_run(&file, "BEGIN IMMEDIATE; ROLLBACK"));
    sal_sql_close(&file);
}

Test(sql, closes_what_was_never_opened)
{
    sal_sql none = {0};
    sal_sql_close(&none);
    cr_expect_null(none.db);
}

/* Codes say more than their class: the extended ones are on. */
Test(sql, has_extended_codes)
{
    must(sal_sql_run(&sql, "CREATE TABLE t(k INTEGER PRIMARY KEY); INSERT INTO t VALUES(1)"));
    expect_error(sal_sql_run(&sql, "INSERT INTO t VALUES(1)"), SAL_ERROR_IO,
                 ":memory:: SQLite: UNIQUE constraint failed: t.k");
    cr_expect_eq(sqlite3_errcode(sql.db), SQLITE_CONSTRAINT_PRIMARYKEY);
}

/* ---- Steps --------------------------------------------------------------- */

Test(sql, steps_through_rows_and_then_there_is_none)
{
    sqlite3_stmt *s = NULL;
    int row = -1;
    must(sal_sql_prepare(&s, &sql, "SELECT 7 UNION ALL SELECT 8"));
    must(sal_sql_step(&row, &sql, s));
    cr_expect_eq(row, 1);
    cr_expect_eq(sqlite3_column_int(s, 0), 7);
    must(sal_sql_step(&row, &sql, s));
    cr_expect_eq(row, 1);
    cr_expect_eq(sqlite3_column_int(s, 0), 8);
    must(sal_sql_step(&row, &sql, s));
    cr_expect_eq(row, 0);
    sqlite3_finalize(s);
}

Test(sql, a_step_that_fails_is_no_row)
{
    sqlite3_stmt *s = NULL;
    int row = -1;
    must(sal_sql_run(&sql, "CREATE TABLE t(k INTEGER PRIMARY KEY); INSERT INTO t VALUES(1)"));
    must(sal_sql_prepare(&s, &sql, "INSERT INTO t VALUES(1)"));
    expect_error(sal_sql_step(&row, &sql, s), SAL_ERROR_IO, ":memory:: SQLite: UNIQUE constraint failed: t.k");
    cr_expect_eq(row, 0);
    sqlite3_finalize(s);
}

Test(sql, a_statement_is_ready_again_after_it_ran_or_failed)
{
    sqlite3_stmt *s = NULL;
    must(sal_sql_run(&sql, "CREATE TABLE t(k INTEGER PRIMARY KEY)"));
    must(sal_sql_prepare(&s, &sql, "INSERT INTO t VALUES(?1)"));
    must(sal_sql_bind_integer(&sql, s, 1, 5));
    must(sal_sql_step_done(&sql, s));
    /* SQLite takes values only where the statement was reset. */
    must(sal_sql_bind_integer(&sql, s, 1, 5));
    expect_error(sal_sql_step_done(&sql, s), SAL_ERROR_IO, ":memory:: SQLite: UNIQUE constraint failed: t.k");
    must(sal_sql_bind_integer(&sql, s, 1, 6));
    must(sal_sql_step_done(&sql, s));
    sqlite3_finalize(s);
    must(sal_sql_prepare(&s, &sql, "SELECT group_concat(k) FROM t"));
    int row;
    must(sal_sql_step(&row, &sql, s));
    cr_expect_str_eq(sal_sql_text(s, 0), "5,6");
    sqlite3_finalize(s);
}

/* ---- Values -------------------------------------------------------------- */

/* The type and value that SQLite has of a parameter that was bound. */
static const char *stored(sqlite3_stmt *s)
{
    const char *found;
    cr_assert_eq(sqlite3_step(s), SQLITE_ROW);
    found = text_from("%s %s", (const char *)sqlite3_column_text(s, 0), (const char *)sqlite3_column_text(s, 1));
    sqlite3_reset(s);
    return found;
}

Test(sql, binds_texts_bytes_and_nothing)
{
    sqlite3_stmt *s = NULL;
    must(sal_sql_prepare(&s, &sql, "SELECT typeof(?1), quote(?1)"));
    must(sal_sql_bind_text(&sql, s, 1, "it's a caf\xC3\xA9"));
    cr_expect_str_eq(stored(s), "text 'it''s a caf\xC3\xA9'");
    must(sal_sql_bind_text(&sql, s, 1, ""));
    cr_expect_str_eq(stored(s), "text ''");
    must(sal_sql_bind_text(&sql, s, 1, "caf\xE9.png"));
    cr_expect_str_eq(stored(s), "blob X'636166E92E706E67'");
    must(sal_sql_bind_text(&sql, s, 1, "\xFF"));
    cr_expect_str_eq(stored(s), "blob X'FF'");
    must(sal_sql_bind_text(&sql, s, 1, NULL));
    cr_expect_str_eq(stored(s), "null NULL");
    must(sal_sql_bind_text(&sql, s, 1, "x"));
    must(sal_sql_bind_null(&sql, s, 1));
    cr_expect_str_eq(stored(s), "null NULL");
    sqlite3_finalize(s);
}

Test(sql, binds_numbers_and_nothing_for_nan)
{
    sqlite3_stmt *s = NULL;
    must(sal_sql_prepare(&s, &sql, "SELECT typeof(?1), quote(?1)"));
    must(sal_sql_bind_integer(&sql, s, 1, INT64_MIN));
    cr_expect_str_eq(stored(s), "integer -9223372036854775808");
    must(sal_sql_bind_integer(&sql, s, 1, (int64_t)1 << 40));
    cr_expect_str_eq(stored(s), "integer 1099511627776");
    must(sal_sql_bind_real(&sql, s, 1, -0.375));
    cr_expect_str_eq(stored(s), "real -0.375");
    must(sal_sql_bind_real(&sql, s, 1, 2));
    must(sal_sql_bind_real(&sql, s, 1, (double)NAN));
    cr_expect_str_eq(stored(s), "null NULL");
    sqlite3_finalize(s);
    must(sal_sql_prepare(&s, &sql, "SELECT typeof(?1), ?1 > 1e308"));
    must(sal_sql_bind_real(&sql, s, 1, (double)INFINITY));
    cr_expect_str_eq(stored(s), "real 1");
    sqlite3_finalize(s);
}

Test(sql, does_not_bind_what_has_no_place)
{
    sqlite3_stmt *s = NULL;
    static const char text[] = ":memory:: SQLite: column index out of range";
    must(sal_sql_prepare(&s, &sql, "SELECT ?1"));
    expect_error(sal_sql_bind_text(&sql, s, 2, "x"), SAL_ERROR_IO, text);
    expect_error(sal_sql_bind_text(&sql, s, 2, "\xFF"), SAL_ERROR_IO, text);
    expect_error(sal_sql_bind_text(&sql, s, 2, NULL), SAL_ERROR_IO, text);
    expect_error(sal_sql_bind_integer(&sql, s, 2, 1), SAL_ERROR_IO, text);
    expect_error(sal_sql_bind_real(&sql, s, 2, 1), SAL_ERROR_IO, text);
    expect_error(sal_sql_bind_real(&sql, s, 0, (double)NAN), SAL_ERROR_IO, text);
    expect_error(sal_sql_bind_null(&sql, s, 2), SAL_ERROR_IO, text);
    sqlite3_finalize(s);
}

Test(sql, reads_columns)
{
    sqlite3_stmt *s = NULL;
    int row;
    must(sal_sql_prepare(&s, &sql, "SELECT 'text', x'636166E9', NULL, -2.5, 3"));
    must(sal_sql_step(&row, &sql, s));
    cr_expect_str_eq(sal_sql_text(s, 0), "text");
    cr_expect_str_eq(sal_sql_text(s, 1), "caf\xE9");
    cr_expect_null(sal_sql_text(s, 2));
    cr_expect(isnan(sal_sql_real(s, 2)));
    cr_expect_eq(sal_sql_real(s, 3), -2.5);
    cr_expect_eq(sal_sql_real(s, 4), 3.0);
    sqlite3_finalize(s);
}

/* ---- Settings ------------------------------------------------------------ */

typedef struct visits {
    char text[256];
    int fail_at; /* from 1; 0: never */
    int count;
} visits;

static sal_status note(void *context, const char *name, const char *value)
{
    visits *v = context;
    const size_t used = strlen(v->text);
    snprintf(v->text + used, sizeof v->text - used, "[%s=%s]", name, value);
    return ++v->count == v->fail_at ? sal_fail(SAL_ERROR_LIMIT, "enough") : SAL_OK;
}

static const char *visited(const char *settings)
{
    visits v = {.fail_at = 0};
    must(sal_settings_each(settings, note, &v));
    return text_from("%s", v.text);
}

/* ---- Files from anywhere -------------------------------------------------- */

Test(sql, opens_no_link)
{
    sal_sql link;
    write_text(scratch("victim"), "");
    cr_assert_eq(symlink(scratch("victim"), scratch("results.sqlite")), 0);
    expect_error(sal_sql_open(&link, scratch("results.sqlite"), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE),
                 SAL_ERROR_ARGUMENT,
                 "{}/results.sqlite: is a link, and a run has none there: remove it, or choose another folder");
    cr_expect_null(link.db);
    cr_assert_eq(remove(scratch("victim")), 0);
    cr_expect_eq(sal_sql_open(&link, scratch("results.sqlite"), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE),
                 SAL_ERROR_ARGUMENT);
    cr_expect(!exists(scratch("victim")));
}

Test(sql, runs_nothing_that_a_database_brings)
{
    sqlite3_stmt *s = NULL;
    int row;
    must(sal_sql_run(&sql, "CREATE TABLE t(k); CREATE TABLE log(k); CREATE VIEW v AS SELECT k FROM t;"
                           "CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO log VALUES(new.k); END;"
                           "INSERT INTO t VALUES(1)"));
    must(sal_sql_prepare(&s, &sql, "SELECT count(*) FROM log"));
    must(sal_sql_step(&row, &sql, s));
    cr_expect_eq(sqlite3_column_int(s, 0), 0);
    sqlite3_finalize(s);
    expect_error(sal_sql_prepare(&s, &sql, "SELECT k FROM v"), SAL_ERROR_FORMAT,
                 ":memory:: access to view \"v\" prohibited");
    cr_expect_null(s);
    int trusted = 1;
    cr_assert_eq(sqlite3_db_config(sql.db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, -1, &trusted), SQLITE_OK);
    cr_expect_eq(trusted, 0);
}

Test(sql, ends_work_that_does_not_end_by_itself)
{
    static const char endless[] =
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c";
    sqlite3_stmt *s;
    int row;
    must(sal_sql_prepare(&s, &sql, endless));
    for (int i = 0; i < 2; i++)
        expect_error(sal_sql_step(&row, &sql, s), SAL_ERROR_FORMAT,
                     ":memory:: is damaged: reading it does not come to an end");
    cr_expect_eq(row, 0);
    sqlite3_finalize(s);
    expect_error(sal_sql_run(&sql, endless), SAL_ERROR_FORMAT,
                 ":memory:: is damaged: reading it does not come to an end");
    /* Many steps are no endless one. */
    must(sal_sql_prepare(&s, &sql,
                         "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 3000000)"
                         " SELECT x FROM c"));
    for (int i = 0; i < 3000000; i++) {
        must(sal_sql_step(&row, &sql, s));
        cr_assert_eq(row, 1);
    }
    sqlite3_finalize(s);
}

Test(sql, takes_no_value_that_is_too_long)
{
    sqlite3_stmt *s;
    int row;
    must(sal_sql_prepare(&s, &sql, "SELECT length(zeroblob(67108864))"));
    must(sal_sql_step(&row, &sql, s));
    sqlite3_finalize(s);
    must(sal_sql_prepare(&s, &sql, "SELECT length(zeroblob(67108865))"));
    cr_expect_eq(sal_sql_step(&row, &sql, s), SAL_ERROR_IO);
    sqlite3_finalize(s);
}

/* Its pages: one that was overwritten is found before it is read. */
Test(sql, checks_pages)
{
    sal_sql file;
    char *bytes;
    struct stat info;
    write_text(scratch("a"), "");
    change(scratch("a"), "CREATE TABLE t(k); WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 999)"
                         " INSERT INTO t SELECT printf('%.*c', 30, 'a') FROM c");
    must(sal_sql_open(&file, scratch("a"), SQLITE_OPEN_READWRITE));
    must(sal_sql_check_pages(&file, "main"));
    must(sal_sql_run(&file, text_from("ATTACH '%s' AS part", scratch("a"))));
    must(sal_sql_check_pages(&file, "part"));
    sal_sql_close(&file);
    cr_assert_eq(stat(scratch("a"), &info), 0);
    cr_assert_not_null(bytes = malloc((size_t)info.st_size));
    memcpy(bytes, text_of(scratch("a")), (size_t)info.st_size);
    memset(bytes + info.st_size - 4096, 0, 8);
    write_bytes(scratch("a"), bytes, (size_t)info.st_size);
    free(bytes);
    must(sal_sql_open(&file, scratch("a"), SQLITE_OPEN_READWRITE));
    cr_expect_eq(sal_sql_check_pages(&file, "main"), SAL_ERROR_FORMAT);
    cr_expect_eq(strncmp(last_error(), "{}/a: is damaged, or no results of salmap (", 43), 0, "%s", last_error());
    cr_expect_null(strchr(last_error(), '\n'));
    sal_sql_close(&file);
}

Test(sql, settings_are_names_and_values_line_by_line)
{
    cr_expect_str_eq(visited(""), "");
    cr_expect_str_eq(visited("\n\n"), "");
    cr_expect_str_eq(visited("method gradient"), "[method=gradient]");
    cr_expect_str_eq(visited("method gradient\ntop-k 2\n"), "[method=gradient][top-k=2]");
    cr_expect_str_eq(visited("target the best  two\nalone\n\nempty \n last"), "[target=the best  two][empty=][=last]");
}

Test(sql, settings_end_at_the_first_failure)
{
    visits v = {.fail_at = 2};
    expect_error(sal_settings_each("a 1\nb 2\nc 3\n", note, &v), SAL_ERROR_LIMIT, "enough");
    cr_expect_str_eq(v.text, "[a=1][b=2]");
}
