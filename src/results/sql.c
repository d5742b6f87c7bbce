#include "results/sql.h"

#include "base/memory.h"
#include "results/json.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

sal_status sal_sql_check(const sal_sql *s, int code)
{
    if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE)
        return SAL_OK;
    if (code == SQLITE_IOERR_NOMEM)
        return sal_fail_memory(0, "SQLite");
    switch (code & 0xFF) {
    case SQLITE_NOMEM: return sal_fail_memory(0, "SQLite");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return sal_fail(SAL_ERROR_IO, "%s: in use by another salmap that is running: run again when it has ended",
                        s->path);
    case SQLITE_FULL: return sal_fail(SAL_ERROR_IO, "%s: cannot write: no space left on the disk", s->path);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return sal_fail(SAL_ERROR_FORMAT, "%s: is damaged, or no results of salmap (%s)", s->path,
                        sqlite3_errmsg(s->db));
    case SQLITE_CANTOPEN: return sal_fail(SAL_ERROR_IO, "%s: cannot open: %s", s->path, sqlite3_errmsg(s->db));
    case SQLITE_READONLY: return sal_fail(SAL_ERROR_IO, "%s: is not writable", s->path);
    case SQLITE_INTERRUPT:
        return sal_fail(SAL_ERROR_FORMAT, "%s: is damaged: reading it does not come to an end", s->path);
    case SQLITE_ERROR: return sal_fail(SAL_ERROR_FORMAT, "%s: %s", s->path, sqlite3_errmsg(s->db));
    default: return sal_fail(SAL_ERROR_IO, "%s: SQLite: %s", s->path, sqlite3_errmsg(s->db));
    }
}

/* ---- Files from anywhere --------------------------------------------------- */

enum { INSTRUCTIONS_OF_A_LOOK = 100000, LONGEST_VALUE = 1 << 26 };

static int64_t size_of(const char *path)
{
    struct stat info;
    return path && stat(path, &info) == 0 ? (int64_t)info.st_size : 0;
}

/* Sorting and joining rows takes some dozens of instructions for each byte that they have. */
static int is_endless(void *context)
{
    static const int64_t least = 20000000, of_a_byte = 1000;
    sal_sql *s = context;
    s->work_done += INSTRUCTIONS_OF_A_LOOK;
    return s->work_done > least && (s->work_done - least) / of_a_byte > size_of(s->path) + size_of(s->part);
}

static sal_status fail_hard_link(const char *file)
{
    return sal_fail(
        SAL_ERROR_ARGUMENT,
        "%s: is a hard link, and the file's other names would be written to as well: put a copy in its place", file);
}

sal_status sal_sql_check_alone(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink > 1 ? fail_hard_link(path) : SAL_OK;
}

static uint64_t big_endian(const unsigned char *bytes)
{
    return (uint64_t)bytes[0] << 24 | (uint64_t)bytes[1] << 16 | (uint64_t)bytes[2] << 8 | bytes[3];
}

/* A rollback journal (SQLite's file format, 3) may name a second file in its last bytes, which SQLite removes after it,
 * wherever that lies and whether or not the journal has a header, and says how large the database was. salmap writes to
 * one database at a time, and journals of it are of its size. */
static sal_status check_journal(const char *file, const char *database)
{
    static const unsigned char magic[] = {0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7};
    enum { HEADER = 28, TAIL = 16, PAGES = 16, PAGE_SIZE = 24 };
    unsigned char header[HEADER] = {0}, tail[TAIL] = {0};
    struct stat info, db = {0};
    const int fd = open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return sal_fail(SAL_ERROR_IO, "%s: cannot open: %s", file, strerror(errno));
    const int read = fstat(fd, &info) == 0 && (info.st_size < HEADER || pread(fd, header, HEADER, 0) == HEADER) &&
                     (info.st_size < TAIL || pread(fd, tail, TAIL, info.st_size - TAIL) == TAIL);
    close(fd);
    if (!read)
        return sal_fail(SAL_ERROR_IO, "%s: cannot read: %s", file, strerror(errno));
    const uint64_t size = big_endian(header + PAGES) * big_endian(header + PAGE_SIZE);
    const int names_another = memcmp(tail + TAIL - sizeof magic, magic, sizeof magic) == 0;
    const int grows = stat(database, &db) == 0 && size > (uint64_t)db.st_size + (uint64_t)info.st_size;
    return names_another || grows
               ? sal_fail(SAL_ERROR_ARGUMENT, "%s: is no journal of a run: remove it, or choose another folder", file)
               : SAL_OK;
}

sal_status sal_sql_check_files(const char *path)
{
    static const char *const endings[] = {"", "-journal", "-wal", "-shm"};
    struct stat info;
    char file[SAL_SQL_PATH];
    int journals = 0;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const int length = snprintf(file, sizeof file, "%s%s", path, endings[i]);
        if (length < 0 || (size_t)length >= sizeof file || lstat(file, &info) != 0 || S_ISDIR(info.st_mode))
            continue;
        if (i > 0 && S_ISREG(info.st_mode) && info.st_nlink > 1) /* whoever copies results takes none of these along */
            return fail_hard_link(file);
        journals += i > 0;
        if (i == 1 && S_ISREG(info.st_mode)) {
            const sal_status st = check_journal(file, path);
            if (st != SAL_OK)
                return st;
        }
        if (S_ISREG(info.st_mode))
            continue;
        if (!S_ISLNK(info.st_mode))
            return sal_fail(SAL_ERROR_ARGUMENT, "%s: is no regular file: remove it, or choose another folder", file);
        if (i == 0) /* SQLite itself follows none of the others */
            return sal_fail(SAL_ERROR_ARGUMENT,
                            "%s: is a link, and a run has none there: remove it, or choose another folder", file);
    }
    /* What a journal holds is written where the database is read. */
    return journals ? sal_sql_check_alone(path) : SAL_OK;
}

static sal_status harden(sal_sql *s)
{
    static const int off[] = {SQLITE_DBCONFIG_TRUSTED_SCHEMA, SQLITE_DBCONFIG_ENABLE_VIEW,
                              SQLITE_DBCONFIG_ENABLE_TRIGGER};
    sal_status st = SAL_OK;
    for (size_t i = 0; i < sizeof off / sizeof *off; i++)
        TRY(sal_sql_check(s, sqlite3_db_config(s->db, off[i], 0, NULL)));
    TRY(sal_sql_check(s, sqlite3_exec(s->db, "PRAGMA ignore_check_constraints = ON", NULL, NULL, NULL)));
    (void)sqlite3_limit(s->db, SQLITE_LIMIT_LENGTH, LONGEST_VALUE);
    (void)sqlite3_limit(s->db, SQLITE_LIMIT_ATTACHED, 1);
    sqlite3_progress_handler(s->db, INSTRUCTIONS_OF_A_LOOK, is_endless, s);
done:
    return st;
}

sal_status sal_sql_check_pages(sal_sql *s, const char *schema)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *check = NULL;
    char text[64];
    int row;
    snprintf(text, sizeof text, "PRAGMA %s.integrity_check(1)", schema);
    TRY(sal_sql_prepare(&check, s, text));
    TRY(sal_sql_step(&row, s, check));
    const char *found = row ? sal_sql_text(check, 0) : NULL;
    const char *line = found ? strrchr(found, '\n') : NULL; /* the first is a title */
    const char *reason = line ? strstr(line, "error code=") : NULL;
    const int code = reason ? atoi(reason + strlen("error code=")) : SQLITE_OK;
    if ((code & 0xFF) == SQLITE_NOMEM ||
        (code & 0xFF) == SQLITE_IOERR) /* a page that could not be read is none that is wrong */
        st = sal_sql_check(s, code);
    else if (!found || strcmp(found, "ok") != 0)
        st = sal_fail(SAL_ERROR_FORMAT, "%s: is damaged, or no results of salmap (%s)", s->path,
                      line    ? line + 1
                      : found ? found
                              : "cannot be checked");
done:
    sqlite3_finalize(check);
    return st;
}

const char *sal_sql_name(char name[SAL_SQL_PATH], const char *path)
{
    if (strncmp(path, "file:", 5) != 0)
        return path;
    snprintf(name, SAL_SQL_PATH, "./%s", path);
    return name;
}

sal_status sal_sql_open(sal_sql *out, const char *path, int flags)
{
    sal_status st = SAL_OK;
    char name[SAL_SQL_PATH];
    memset(out, 0, sizeof *out);
    TRY(sal_strdup(&out->path, path));
    TRY(sal_sql_check_files(path));
    TRY(sal_sql_check(out, sqlite3_open_v2(sal_sql_name(name, path), &out->db, flags, NULL)));
    TRY(sal_sql_check(out, sqlite3_extended_result_codes(out->db, 1)));
    TRY(harden(out));
done:
    if (st != SAL_OK)
        sal_sql_close(out);
    return st;
}

void sal_sql_close(sal_sql *s)
{
    /* Statements are finalised by their owners: closing cannot fail. */
    (void)sqlite3_close(s->db);
    free(s->path);
    memset(s, 0, sizeof *s);
}

sal_status sal_sql_run(sal_sql *s, const char *statements)
{
    s->work_done = 0;
    return sal_sql_check(s, sqlite3_exec(s->db, statements, NULL, NULL, NULL));
}

sal_status sal_sql_prepare(sqlite3_stmt **out, sal_sql *s, const char *statement)
{
    return sal_sql_check(s, sqlite3_prepare_v2(s->db, statement, -1, out, NULL));
}

sal_status sal_sql_step(int *row, sal_sql *s, sqlite3_stmt *statement)
{
    s->work_done = 0;
    const int code = sqlite3_step(statement);
    *row = code == SQLITE_ROW;
    return sal_sql_check(s, code);
}

sal_status sal_sql_step_done(sal_sql *s, sqlite3_stmt *statement)
{
    int row;
    sal_status st = sal_sql_step(&row, s, statement);
    const int code = sqlite3_reset(statement);
    return st != SAL_OK ? st : sal_sql_check(s, code);
}

sal_status sal_sql_bind_text(sal_sql *s, sqlite3_stmt *statement, int at, const char *text)
{
    if (!text)
        return sal_sql_bind_null(s, statement, at);
    if (!sal_json_is_utf8(text))
        return sal_sql_check(s, sqlite3_bind_blob64(statement, at, text, strlen(text), SQLITE_STATIC));
    return sal_sql_check(s, sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC));
}

sal_status sal_sql_bind_integer(sal_sql *s, sqlite3_stmt *statement, int at, int64_t value)
{
    return sal_sql_check(s, sqlite3_bind_int64(statement, at, value));
}

sal_status sal_sql_bind_real(sal_sql *s, sqlite3_stmt *statement, int at, double value)
{
    return isnan(value) ? sal_sql_bind_null(s, statement, at)
                        : sal_sql_check(s, sqlite3_bind_double(statement, at, value));
}

sal_status sal_sql_bind_null(sal_sql *s, sqlite3_stmt *statement, int at)
{
    return sal_sql_check(s, sqlite3_bind_null(statement, at));
}

const char *sal_sql_text(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return !text && sqlite3_column_type(statement, column) != SQLITE_NULL ? "" : text; /* a BLOB of no bytes */
}

double sal_sql_real(sqlite3_stmt *statement, int column)
{
    return sqlite3_column_type(statement, column) == SQLITE_NULL ? (double)NAN
                                                                 : sqlite3_column_double(statement, column);
}
