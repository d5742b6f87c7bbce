/* Every allocation and every call of SQLite fails once, in turn: each is an error of the function that made it, and
 * nothing is left half done, in use or open. */
#include "results/export.h"
#include "results_support.h"

#include <locale.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef enum fault { NO_FAULT, MEMORY, DATABASE } fault;

static atomic_int kind; /* of what fails now */
static atomic_int calls;
static atomic_int fails_at;

static int fails(fault of)
{
    return kind == (int)of && ++calls == fails_at;
}

/* ---- What is to be given back -------------------------------------------- */

enum { MOST_BLOCKS = 1024 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int watching; /* 1: blocks are noted */
static void *blocks[MOST_BLOCKS];
static size_t block_count;
static struct {
    FILE *stream;
    char **text;
} memory_streams[16];

static void *note(void *block)
{
    pthread_mutex_lock(&lock);
    if (watching && block) {
        cr_assert_lt(block_count, MOST_BLOCKS);
        blocks[block_count++] = block;
    }
    pthread_mutex_unlock(&lock);
    return block;
}

static void forget(const void *block)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < block_count; i++)
        if (blocks[i] == block) {
            blocks[i] = blocks[--block_count];
            break;
        }
    pthread_mutex_unlock(&lock);
}

static FILE *note_stream(FILE *stream, char **text)
{
    for (size_t i = 0; stream && i < sizeof memory_streams / sizeof *memory_streams; i++)
        if (!memory_streams[i].stream) {
            memory_streams[i].stream = stream;
            memory_streams[i].text = text;
            break;
        }
    return stream;
}

void __real_free(void *block);
void __wrap_free(void *block);
int __real_fclose(FILE *stream);
int __wrap_fclose(FILE *stream);
int __real_sqlite3_close(sqlite3 *db);
int __wrap_sqlite3_close(sqlite3 *db);

void __wrap_free(void *block)
{
    forget(block);
    __real_free(block);
}

/* The text of a memory stream is the caller's from here on. */
int __wrap_fclose(FILE *stream)
{
    char **text = NULL;
    for (size_t i = 0; i < sizeof memory_streams / sizeof *memory_streams; i++)
        if (memory_streams[i].stream == stream) {
            text = memory_streams[i].text;
            memory_streams[i].stream = NULL;
        }
    const int code = __real_fclose(stream);
    if (text)
        (void)note(*text);
    return code;
}

/* It fails where a statement is left over. */
int __wrap_sqlite3_close(sqlite3 *db)
{
    const int code = __real_sqlite3_close(db);
    cr_expect_eq(code, SQLITE_OK);
    return code;
}

/* ---- What may fail ------------------------------------------------------- */

#define WRAP(type, name, of, failed, parameters, arguments)                                                            \
    type __real_##name parameters;                                                                                     \
    type __wrap_##name parameters;                                                                                     \
    type __wrap_##name parameters                                                                                      \
    {                                                                                                                  \
        return fails(of) ? (failed) : __real_##name arguments;                                                         \
    }
#define WRAP_BLOCK(type, name, parameters, arguments)                                                                  \
    type __real_##name parameters;                                                                                     \
    type __wrap_##name parameters;                                                                                     \
    type __wrap_##name parameters                                                                                      \
    {                                                                                                                  \
        return fails(MEMORY) ? NULL : note(__real_##name arguments);                                                   \
    }

WRAP_BLOCK(void *, malloc, (size_t size), (size))
WRAP_BLOCK(void *, aligned_alloc, (size_t alignment, size_t size), (alignment, size))
WRAP_BLOCK(char *, strdup, (const char *text), (text))
WRAP(locale_t, newlocale, MEMORY, (locale_t)0, (int mask, const char *name, locale_t base), (mask, name, base))
WRAP(int, sqlite3_exec, DATABASE, SQLITE_FULL,
     (sqlite3 * db, const char *text, int (*row)(void *, int, char **, char **), void *context, char **error),
     (db, text, row, context, error))
WRAP(int, sqlite3_prepare_v2, DATABASE, SQLITE_FULL,
     (sqlite3 * db, const char *text, int size, sqlite3_stmt **out, const char **rest), (db, text, size, out, rest))
WRAP(int, sqlite3_step, DATABASE, SQLITE_FULL, (sqlite3_stmt * s), (s))
WRAP(int, sqlite3_bind_int64, DATABASE, SQLITE_FULL, (sqlite3_stmt * s, int at, sqlite3_int64 value), (s, at, value))
WRAP(int, sqlite3_bind_double, DATABASE, SQLITE_FULL, (sqlite3_stmt * s, int at, double value), (s, at, value))
WRAP(int, sqlite3_bind_null, DATABASE, SQLITE_FULL, (sqlite3_stmt * s, int at), (s, at))
WRAP(int, sqlite3_bind_text, DATABASE, SQLITE_FULL,
     (sqlite3_stmt * s, int at, const char *text, int size, void (*destroy)(void *)), (s, at, text, size, destroy))
WRAP(int, sqlite3_bind_blob64, DATABASE, SQLITE_FULL,
     (sqlite3_stmt * s, int at, const void *bytes, sqlite3_uint64 size, void (*destroy)(void *)),
     (s, at, bytes, size, destroy))
WRAP(int, sqlite3_extended_result_codes, DATABASE, SQLITE_FULL, (sqlite3 * db, int on), (db, on))

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
FILE *__real_open_memstream(char **text, size_t *size);
FILE *__wrap_open_memstream(char **text, size_t *size);

void *__wrap_realloc(void *old, size_t size)
{
    if (fails(MEMORY))
        return NULL;
    forget(old);
    return note(__real_realloc(old, size));
}

FILE *__wrap_open_memstream(char **text, size_t *size)
{
    return fails(MEMORY) ? NULL : note_stream(__real_open_memstream(text, size), text);
}

/* These do what they do even where they fail. */
int __real_sqlite3_reset(sqlite3_stmt *s);
int __wrap_sqlite3_reset(sqlite3_stmt *s);
int __wrap_syncfs(int fd);

int __wrap_sqlite3_reset(sqlite3_stmt *s)
{
    const int code = __real_sqlite3_reset(s);
    return fails(DATABASE) ? SQLITE_FULL : code;
}

int __wrap_syncfs(int fd)
{
    (void)fd;
    return 0;
}

/* ---- In turn ------------------------------------------------------------- */

typedef struct scene {
    void (*prepare)(void); /* before each turn */
    sal_status (*act)(void);
    const char *(*found)(void); /* what there is in the end, where nothing failed */
    const char *wanted;
    int least;     /* calls that it makes at least */
    int tolerated; /* faults that are no errors: what there is in the end is as wanted all the same */
} scene;

static void fail_each(const scene *s, fault of)
{
    int tolerated = 0;
    for (fails_at = 1;; fails_at++) {
        s->prepare();
        const int files = open_files();
        calls = 0;
        block_count = 0;
        watching = 1;
        kind = (int)of;
        const sal_status st = s->act();
        kind = NO_FAULT;
        watching = 0;
        cr_expect_eq(block_count, 0, "fault %d: %zu blocks are left", fails_at, block_count);
        cr_expect_eq(open_files(), files, "fault %d: a file is left open", fails_at);
        if (calls < fails_at) {
            cr_assert_eq(st, SAL_OK, "%s", sal_last_error());
            cr_expect_str_eq(s->found(), s->wanted);
            break;
        }
        if (st == SAL_OK) {
            tolerated++;
            cr_expect_str_eq(s->found(), s->wanted, "fault %d was no error", fails_at);
            continue;
        }
        cr_expect_eq(st, of == MEMORY ? SAL_ERROR_MEMORY : SAL_ERROR_IO, "fault %d: %s", fails_at, last_error());
        cr_expect_not_null(
            strstr(last_error(), of == MEMORY ? "out of memory: " : ": cannot write: no space left on the disk"),
            "fault %d: %s", fails_at, last_error());
        cr_expect_null(strstr(names_in(scratch("run")), ".tmp-"), "fault %d", fails_at);
        cr_expect_null(strstr(names_in(scratch("out")), ".tmp-"), "fault %d", fails_at);
    }
    cr_expect_geq(fails_at, s->least, "%d calls", fails_at);
    cr_expect_eq(tolerated, s->tolerated, "%d faults were no errors", tolerated);
}

/* ---- What is there ------------------------------------------------------- */

enum { PICTURES = 4 };

static sal_dataset *list;
static sal_run run;
static char list_hash[65];
static const sal_run_names *file_names;
static plain_result plain[PICTURES];
static sal_result results[PICTURES];

static void begin(void)
{
    char *text;
    size_t size;
    make_scratch();
    list = list_of("path,label\na0.png,1\na1.png,\na2.png,caf\xE9\na3.png,3\n");
    must(sal_dataset_text(&text, &size, list));
    must(sal_run_hash(list_hash, text, size));
    free(text);
    run = plain_run();
    run.manifest_sha256 = list_hash;
    run.settings = "overlays top:1\ntop-k 1\n";
    file_names = names_of(list, run.settings);
    for (size_t row = 0; row < PICTURES; row++)
        results[row] = *make_plain(&plain[row], row, (float)row, 1);
    results[1] = (sal_result){.picture = 1, .status = SAL_ERROR_IO, .error = "gone", .correct = -1};
}

TestSuite(faults, .init = begin, .fini = remove_scratch, .timeout = 120);

static const char *path(void)
{
    return scratch("run/results.sqlite");
}

static void nothing(void)
{
    (void)remove(path());
    make_folder(scratch("run"));
}

static const char *counts(void)
{
    return rows_of(path(), "SELECT (SELECT count(*) FROM run), (SELECT count(*) FROM pictures), (SELECT count(*) FROM"
                           " predictions), (SELECT count(*) FROM maps), (SELECT count(*) FROM timings), (SELECT"
                           " count(*) FROM manifest), (SELECT count(overlay_file) FROM maps)");
}

/* ---- Tables -------------------------------------------------------------- */

static sal_status make_all(void)
{
    sal_status st = SAL_OK;
    sal_sql sql = {0};
    sal_rows rows = {0};
    TRY(sal_sql_open(&sql, path(), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
    TRY(sal_sql_run(&sql, "BEGIN"));
    TRY(sal_store_make_tables(&sql, list));
    TRY(sal_store_write_run(&sql, &run, list->count));
    TRY(sal_rows_open(&rows, &sql, list));
    for (size_t row = 0; row < PICTURES; row++)
        TRY(sal_rows_put(&rows, &results[row]));
    TRY(sal_store_check_run(&sql, &run));
    TRY(sal_sql_run(&sql, "COMMIT"));
done:
    sal_rows_close(&rows);
    sal_sql_close(&sql);
    return st;
}

Test(faults, of_tables_and_rows_are_errors)
{
    const scene s = {.prepare = nothing, .act = make_all, .found = counts, .wanted = "9|4|3|3|4|4|3\n", .least = 4};
    fail_each(&s, MEMORY);
    const scene t = {.prepare = nothing, .act = make_all, .found = counts, .wanted = "9|4|3|3|4|4|3\n", .least = 200};
    fail_each(&t, DATABASE);
}

/* ---- The store ----------------------------------------------------------- */

static void take(void *context, float score)
{
    *(float *)context += score;
}

static sal_status use_store(void)
{
    sal_status st = SAL_OK;
    sal_store *s = NULL;
    unsigned char known[PICTURES];
    float sum = 0;
    TRY(sal_store_open(&s, path(), scratch("run"), &run, list, "cpu"));
    for (size_t row = 0; row < PICTURES; row++)
        TRY(sal_store_add(s, &results[row]));
    TRY(sal_store_flush(s));
    TRY(sal_store_known(known, s));
    TRY(sal_store_check_files(s));
    TRY(sal_store_scores(s, 2, take, &sum));
    TRY(sal_store_keep_top(s, 1, scratch("run"), file_names));
done:
    if (st != SAL_OK) {
        const char *first = text_from("%s", sal_last_error());
        (void)sal_store_close(s, "failed");
        return sal_fail(st, "%s", first);
    }
    return sal_store_close(s, "complete");
}

static void before_store(void)
{
    nothing();
    for (size_t row = 0; row < PICTURES; row++)
        if (row != 1)
            write_text(scratch("run/%s", plain[row].overlay_file), "x");
}

static const char *after_store(void)
{
    return text_from("%s%s%s", counts(), names_in(scratch("run/overlays/000")),
                     rows_of(path(), "SELECT outcome, pictures FROM sessions"));
}

Test(faults, of_a_store_are_errors)
{
    static const char wanted[] = "9|4|3|3|4|4|1\na3.overlay.png 'complete'|4\n";
    const scene s = {.prepare = before_store, .act = use_store, .found = after_store, .wanted = wanted, .least = 14};
    fail_each(&s, MEMORY);
    const scene t = {.prepare = before_store, .act = use_store, .found = after_store, .wanted = wanted, .least = 250};
    fail_each(&t, DATABASE);
}

/* ---- Exports ------------------------------------------------------------- */

static void before_export(void)
{
    (void)remove(scratch("out/results.csv"));
    make_folder(scratch("out"));
    if (!exists(path()))
        make_results(path(), &run, list, results, PICTURES);
}

static sal_status export_csv(void)
{
    static const sal_export_options options = {.size = sizeof options, .format = SAL_EXPORT_CSV, .timings = 1};
    return sal_sweep_export(scratch("run"), scratch("out/results.csv"), NULL, NULL, &options);
}

static const char *csv(void)
{
    return text_of(scratch("out/results.csv"));
}

static char json[8192];
static size_t json_size;

static int collect(void *context, const char *bytes, size_t size)
{
    (void)context;
    cr_assert_lt(json_size + size, sizeof json);
    memcpy(json + json_size, bytes, size);
    json_size += size;
    return 0;
}

static sal_status export_json(void)
{
    static const sal_export_options options = {.size = sizeof options, .format = SAL_EXPORT_JSON, .timings = 1};
    json_size = 0;
    return sal_sweep_export(scratch("run"), NULL, collect, NULL, &options);
}

static const char *json_text(void)
{
    return text_from("%.*s", (int)json_size, json);
}

Test(faults, of_an_export_are_errors)
{
    scene s = {.prepare = before_export, .act = export_csv, .found = csv, .least = 10};
    before_export();
    must(export_csv());
    s.wanted = csv();
    fail_each(&s, MEMORY);
    s.least = 25;
    s.tolerated = 2; /* what the first opening is made of: it is tried again */
    fail_each(&s, DATABASE);
    must(export_json());
    scene t = {.prepare = before_export, .act = export_json, .found = json_text, .wanted = json_text(), .least = 5};
    fail_each(&t, MEMORY);
    t.tolerated = 2;
    fail_each(&t, DATABASE);
}

/* ---- The folder ---------------------------------------------------------- */

static void before_description(void)
{
    make_folder(scratch("run"));
    (void)remove(scratch("run/run.json"));
    (void)remove(scratch("run/manifest.csv"));
}

static sal_status describe(void)
{
    sal_status st = SAL_OK;
    char *whole = NULL;
    static const char *const inputs[] = {"list.csv"};
    TRY(sal_run_refuse_foreign(scratch("run"), 1));
    TRY(sal_run_describe(scratch("run"), &run, list, inputs, 1, 0));
    TRY(sal_run_check(scratch("run"), &run));
    TRY(sal_run_store_path(&whole, scratch("run"), 0, 1));
    TRY(sal_run_settle(whole));
done:
    free(whole);
    return st;
}

static const char *described(void)
{
    return text_from("%s%s", names_in(scratch("run")), strstr(text_of(scratch("run/run.json")), "\"again\""));
}

Test(faults, of_a_description_are_errors)
{
    const scene s = {.prepare = before_description,
                     .act = describe,
                     .found = described,
                     .wanted =
                         text_from("manifest.csv run.json \"again\": \"salmap sweep m.onnx list.csv --root %s -o AGAIN "
                                   "--overlays top:1 --top-k 1\"\n}\n",
                                   scratch("lists/0")),
                     .least = 15};
    fail_each(&s, MEMORY);
}

/* ---- Merging ------------------------------------------------------------- */

static void put_shards(void)
{
    for (int64_t shard = 0; shard < 2; shard++) {
        sal_result some[PICTURES];
        size_t count = 0;
        run.shard = shard;
        run.shards = 2;
        for (size_t row = 0; row < PICTURES; row++)
            if (sal_dataset_in_shard(list, row, shard, 2))
                some[count++] = results[row];
        make_results(scratch("run/shards/%d-of-2.sqlite", (int)shard), &run, list, some, count);
    }
    for (size_t row = 0; row < PICTURES; row++)
        if (row != 1) {
            write_text(scratch("run/%s", plain[row].map_file), "x");
            write_text(scratch("run/%s", plain[row].overlay_file), "x");
        }
    must(sal_run_describe(scratch("run"), &run, list, NULL, 0, 0));
}

static void before_merge(void)
{
    if (!exists(scratch("run/shards")))
        put_shards();
    (void)remove(path());
    (void)remove(scratch("run/results.csv"));
}

static sal_status merge(void)
{
    const char *const runs[] = {scratch("run")};
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    return sal_sweep_merge(&info, runs, 1, NULL);
}

static const char *merged(void)
{
    return text_from("%s%s", counts(), names_in(scratch("run")));
}

static sal_status merge_copy(void)
{
    const char *const runs[] = {scratch("run")};
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    return sal_sweep_merge(&info, runs, 1, scratch("out"));
}

static const char *merged_copy(void)
{
    return text_from("%s%s", names_in(scratch("out/maps/000")), names_in(scratch("out")));
}

Test(faults, of_a_merge_in_place_are_errors)
{
    scene s = {.prepare = before_merge,
               .act = merge,
               .found = merged,
               .wanted = "9|4|3|3|4|4|1\nmanifest.csv maps/ overlays/ results.csv results.sqlite run.json shards/ ",
               .least = 40};
    fail_each(&s, MEMORY);
    fail_each(&s, DATABASE);
}

Test(faults, of_a_merge_into_another_folder_are_errors)
{
    const scene s = {.prepare = before_merge,
                     .act = merge_copy,
                     .found = merged_copy,
                     .wanted = "a0.npy a2.npy a3.npy manifest.csv maps/ overlays/ results.csv results.sqlite run.json ",
                     .least = 40};
    fail_each(&s, MEMORY);
}

/* ---- Removing ------------------------------------------------------------ */

static void before_removal(void)
{
    put_shards();
    write_text(scratch("run/results.csv"), "x");
    write_text(scratch("run/results.sqlite"), "");
    write_text(scratch("run/maps/000/a3.npy.tmp-1-2"), "x");
}

static const char *left(void)
{
    return text_from("%s%s%s%s", names_in(scratch("run/maps/000")), names_in(scratch("run/maps/001")),
                     names_in(scratch("run/overlays/000")), names_in(scratch("run/shards")));
}

static sal_status remove_run(void)
{
    return sal_run_remove(scratch("run"));
}

static sal_status remove_temporaries(void)
{
    return sal_run_remove_temporaries(scratch("run"), "\1", 1, file_names);
}

static const char *unfinished(void)
{
    return names_in(scratch("run/maps/001"));
}

Test(faults, of_a_removal_are_errors)
{
    const scene s = {.prepare = before_removal, .act = remove_run, .found = left, .wanted = "", .least = 20};
    fail_each(&s, MEMORY);
    const scene t = {
        .prepare = before_removal, .act = remove_temporaries, .found = unfinished, .wanted = "", .least = 5};
    fail_each(&t, MEMORY);
}
