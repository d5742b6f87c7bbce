#define _GNU_SOURCE /* nftw */
#include "results_support.h"

#include "base/memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXTS = 8192 };

static char folder[256];
static char *texts[TEXTS];
static unsigned next_text;
static sal_dataset *lists[64];
static unsigned list_count;
static sal_run_names names[16];
static unsigned names_count;

/* ---- Texts --------------------------------------------------------------- */

/* Takes a text over, for as long as it is among the last. */
static const char *keep(char *text)
{
    cr_assert_not_null(text);
    char **slot = &texts[next_text++ % TEXTS];
    free(*slot);
    *slot = text;
    return text;
}

static char *format_text(const char *format, va_list arguments)
{
    char *text = NULL;
    cr_assert_geq(vasprintf(&text, format, arguments), 0);
    return text;
}

const char *text_from(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = format_text(format, arguments);
    va_end(arguments);
    return keep(text);
}

const char *scratch(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *name = format_text(format, arguments);
    va_end(arguments);
    const char *path = text_from("%s%s%s", folder, name[0] ? "/" : "", name);
    free(name);
    return path;
}

const char *last_error(void)
{
    const char *from = sal_last_error();
    char *out = malloc(strlen(from) + 2 * strlen(from) + 1), *to = out;
    cr_assert_not_null(out);
    while (*from)
        if (strncmp(from, folder, strlen(folder)) == 0) {
            from += strlen(folder);
            to = stpcpy(to, "{}");
        } else {
            *to++ = *from++;
        }
    *to = '\0';
    return keep(out);
}

/* ---- No waiting for the disk --------------------------------------------- */

/* SQLite's library calls these, and finds them only where they are visible: no test pulls the plug. */
__attribute__((visibility("default"))) int fsync(int fd)
{
    (void)fd;
    return 0;
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
    (void)fd;
    return 0;
}

/* ---- Files --------------------------------------------------------------- */

void make_scratch(void)
{
    const char *set = getenv("TMPDIR");
    const char *below = set ? set : access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(folder, sizeof folder, "%s/salmap-results-XXXXXX", below);
    cr_assert_not_null(mkdtemp(folder));
}

void make_scratch_as_nobody(void)
{
    enum { NOBODY = 65534 };
    if (geteuid() == 0) {
        cr_assert_eq(setgid(NOBODY), 0);
        cr_assert_eq(setuid(NOBODY), 0);
        cr_assert_eq(prctl(PR_SET_DUMPABLE, 1), 0); /* as before: a leak check looks into the process */
    }
    make_scratch();
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info;
    (void)type;
    (void)at;
    return remove(path);
}

void remove_scratch(void)
{
    for (unsigned i = 0; i < names_count; i++)
        sal_run_names_clear(&names[i]);
    for (unsigned i = 0; i < list_count; i++)
        sal_dataset_close(lists[i]);
    for (int i = 0; i < TEXTS; i++)
        free(texts[i]);
    (void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void make_folder(const char *path)
{
    char *partial = strdup(path);
    cr_assert_not_null(partial);
    for (char *at = partial + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        (void)mkdir(partial, 0777);
        *at = '/';
    }
    (void)mkdir(partial, 0777);
    free(partial);
    cr_assert(exists(path), "%s", path);
}

void write_bytes(const char *path, const void *bytes, size_t size)
{
    char *above = strdup(path);
    cr_assert_not_null(above);
    *strrchr(above, '/') = '\0';
    make_folder(above);
    free(above);
    FILE *to = fopen(path, "wb");
    cr_assert_not_null(to, "%s", path);
    cr_assert_eq(fwrite(bytes, 1, size, to), size);
    cr_assert_eq(fclose(to), 0);
}

void write_text(const char *path, const char *text)
{
    write_bytes(path, text, strlen(text));
}

void copy_with_journal(const char *from, const char *to)
{
    static const char *const endings[] = {"", "-wal"};
    for (int i = 0; i < 2; i++) {
        const char *path = text_from("%s%s", from, endings[i]);
        struct stat info;
        cr_assert_eq(stat(path, &info), 0, "%s", path);
        write_bytes(text_from("%s%s", to, endings[i]), text_of(path), (size_t)info.st_size);
    }
}

const char *text_of(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode))
        return "(none)";
    char *text = malloc((size_t)info.st_size + 1);
    cr_assert_not_null(text);
    FILE *from = fopen(path, "rb");
    cr_assert_not_null(from, "%s", path);
    text[fread(text, 1, (size_t)info.st_size, from)] = '\0';
    fclose(from);
    return keep(text);
}

int exists(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

int open_files(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

const char *names_in(const char *path)
{
    enum { MOST = 512 };
    char *names[MOST], *out = NULL;
    size_t count = 0, size;
    DIR *directory = opendir(path);
    for (struct dirent *e; directory && (e = readdir(directory)) != NULL;) {
        struct stat info;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        cr_assert_lt(count, MOST);
        cr_assert_eq(fstatat(dirfd(directory), e->d_name, &info, AT_SYMLINK_NOFOLLOW), 0);
        cr_assert_geq(asprintf(&names[count++], "%s%s ", e->d_name, S_ISDIR(info.st_mode) ? "/" : ""), 0);
    }
    if (directory)
        closedir(directory);
    qsort(names, count, sizeof *names, by_name);
    FILE *to = open_memstream(&out, &size);
    cr_assert_not_null(to);
    for (size_t i = 0; i < count; i++) {
        fputs(names[i], to);
        free(names[i]);
    }
    fclose(to);
    return keep(out);
}

/* ---- Result files -------------------------------------------------------- */

int triggers_fire;

int __real_sqlite3_db_config(sqlite3 *db, int what, ...);
int __wrap_sqlite3_db_config(sqlite3 *db, int what, ...);

int __wrap_sqlite3_db_config(sqlite3 *db, int what, ...)
{
    va_list arguments;
    va_start(arguments, what);
    const int on = va_arg(arguments, int);
    int *then = va_arg(arguments, int *);
    va_end(arguments);
    if (what == SQLITE_DBCONFIG_ENABLE_TRIGGER && triggers_fire)
        return SQLITE_OK;
    return __real_sqlite3_db_config(db, what, on, then);
}

static sqlite3 *open_file(const char *path)
{
    sqlite3 *db = NULL;
    cr_assert_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK, "%s", path);
    return db;
}

static void print_field(FILE *to, sqlite3_stmt *s, int column)
{
    const unsigned char *bytes = sqlite3_column_blob(s, column);
    const int size = sqlite3_column_bytes(s, column);
    switch (sqlite3_column_type(s, column)) {
    case SQLITE_NULL: fputs("NULL", to); break;
    case SQLITE_INTEGER: fprintf(to, "%lld", (long long)sqlite3_column_int64(s, column)); break;
    case SQLITE_FLOAT: fprintf(to, "%#.9g", sqlite3_column_double(s, column)); break;
    case SQLITE_BLOB:
        fputs("x'", to);
        for (int i = 0; i < size; i++)
            fprintf(to, "%02x", bytes[i]);
        fputs("'", to);
        break;
    default: fprintf(to, "'%s'", sqlite3_column_text(s, column)); break;
    }
}

const char *rows_of(const char *path, const char *query)
{
    char *out = NULL;
    size_t size;
    sqlite3 *db = open_file(path);
    sqlite3_stmt *s = NULL;
    cr_assert_eq(sqlite3_prepare_v2(db, query, -1, &s, NULL), SQLITE_OK, "%s: %s", query, sqlite3_errmsg(db));
    FILE *to = open_memstream(&out, &size);
    cr_assert_not_null(to);
    int code;
    while ((code = sqlite3_step(s)) == SQLITE_ROW)
        for (int k = 0; k < sqlite3_column_count(s); k++) {
            print_field(to, s, k);
            fputc(k + 1 < sqlite3_column_count(s) ? '|' : '\n', to);
        }
    fclose(to);
    cr_assert_eq(code, SQLITE_DONE, "%s: %s", path, sqlite3_errmsg(db));
    sqlite3_finalize(s);
    sqlite3_close(db);
    return keep(out);
}

void change(const char *path, const char *statements)
{
    char *message = NULL;
    sqlite3 *db = open_file(path);
    cr_assert_eq(sqlite3_exec(db, statements, NULL, NULL, &message), SQLITE_OK, "%s: %s", statements, message);
    sqlite3_close(db);
}

sqlite3 *hold(const char *path)
{
    sqlite3 *db = open_file(path);
    cr_assert_eq(sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
    return db;
}

void let_go(sqlite3 *held)
{
    cr_assert_eq(sqlite3_exec(held, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_close(held), SQLITE_OK);
}

/* ---- Lists and results --------------------------------------------------- */

sal_dataset *list_of(const char *manifest)
{
    const char *path = scratch("lists/%u/list.csv", list_count);
    const char *const inputs[] = {path};
    cr_assert_lt(list_count, sizeof lists / sizeof *lists);
    write_text(path, manifest);
    must(sal_dataset_open(&lists[list_count], inputs, 1, NULL));
    return lists[list_count++];
}

sal_dataset *list_of_count(size_t count)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    cr_assert_not_null(to);
    fputs("path\n", to);
    for (size_t i = 0; i < count; i++)
        fprintf(to, "a%zu.png\n", i);
    fclose(to);
    sal_dataset *d = list_of(text);
    free(text);
    return d;
}

const sal_run_names *names_of(const sal_dataset *list, const char *settings)
{
    cr_assert_lt(names_count, sizeof names / sizeof *names);
    must(sal_run_names_make(&names[names_count], list, settings));
    return &names[names_count++];
}

sal_run plain_run(void)
{
    return (sal_run){.model = "m.onnx",
                     .model_sha256 = "1111",
                     .manifest_sha256 = "2222",
                     .settings = "method gradient\ntop-k 2\n",
                     .shard = 0,
                     .shards = 1};
}

const sal_result *make_plain(plain_result *out, size_t row, float score, int overlay)
{
    memset(out, 0, sizeof *out);
    snprintf(out->map_file, sizeof out->map_file, "maps/000/a%zu.npy", row);
    snprintf(out->overlay_file, sizeof out->overlay_file, "overlays/000/a%zu.overlay.png", row);
    out->prediction = (sal_prediction){.output = (int64_t)row % 7, .score = score, .probability = 0.5F};
    out->map = (sal_result_map){.target = (int64_t)row % 7,
                                .score = score,
                                .probability = 0.5F,
                                .stats = {.peak = 4, .mean = 2, .low = 1, .flat = 0},
                                .summary = {.mean = 0.25F, .deviation = 0.125F, .center_x = 0.5F, .center_y = 0.75F},
                                .map_file = out->map_file,
                                .overlay_file = overlay ? out->overlay_file : NULL};
    out->result = (sal_result){.picture = row,
                               .status = SAL_OK,
                               .bytes = 100 + (int64_t)row,
                               .width = 30,
                               .height = 20,
                               .correct = -1,
                               .predictions = &out->prediction,
                               .prediction_count = 1,
                               .maps = &out->map,
                               .map_count = 1,
                               .decode_ms = 1,
                               .compute_ms = 2,
                               .encode_ms = 3};
    return &out->result;
}

void make_results(const char *path, const sal_run *run, const sal_dataset *list, const sal_result *results,
                  size_t count)
{
    sal_sql sql;
    sal_rows rows;
    write_text(path, "");
    must(sal_sql_open(&sql, path, SQLITE_OPEN_READWRITE));
    must(sal_sql_run(&sql, "PRAGMA synchronous = OFF; BEGIN"));
    must(sal_store_make_tables(&sql, list));
    if (strstr(run->settings, "method integrated-gradients\n"))
        must(sal_store_add_gaps(&sql));
    must(sal_store_write_run(&sql, run, list->count));
    must(sal_rows_open(&rows, &sql, list));
    for (size_t i = 0; i < count; i++)
        must(sal_rows_put(&rows, &results[i]));
    must(sal_sql_run(&sql, "COMMIT"));
    sal_rows_close(&rows);
    sal_sql_close(&sql);
}
