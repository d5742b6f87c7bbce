#define _GNU_SOURCE /* fopencookie */
#include "results/export.h"
#include "results/export_internal.h"
#include "results/store.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/plain_locale.h"
#include "base/struct.h"
#include "base/text.h"
#include "dataset/dataset.h"
#include "results/json.h"
#include "results/run.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_PREDICTIONS = 4096 };

static const char *const picture_names[] = {
    "status", "error", "bytes", "width", "height", "predicted", "predicted_score", "predicted_probability", "correct"};
static const char *const map_names[] = {"rank",     "target",   "score",    "probability",     "map_min",
                                        "map_peak", "map_mean", "flat",     "normalized_mean", "normalized_std",
                                        "center_x", "center_y", "map_file", "overlay_file",    "completeness_gap"};
static const char *const timing_names[] = {"decode_ms", "compute_ms", "encode_ms"};

/* ---- What is read ------------------------------------------------------------ */

static sal_status find_path_column(export *e)
{
    for (int k = 1; k < sqlite3_column_count(e->manifest); k++)
        if (strcasecmp(sqlite3_column_name(e->manifest, k), e->path_name) == 0)
            e->path_column = k;
    return e->path_column > 0 ? SAL_OK
                              : sal_fail(SAL_ERROR_FORMAT, "%s: is damaged: table manifest has no column %s",
                                         e->sql->path, e->path_name);
}

static sal_status open_all(export *e, const sal_export_options *o)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *option = NULL;
    int row;
    TRY(sal_sql_prepare(&e->pictures, e->sql, "SELECT * FROM pictures ORDER BY id"));
    TRY(sal_sql_prepare(&e->manifest, e->sql, "SELECT * FROM manifest ORDER BY " SAL_ID_COLUMN));
    TRY(sal_sql_prepare(&e->maps, e->sql, "SELECT * FROM maps ORDER BY picture, rank"));
    TRY(sal_sql_prepare(&e->predictions, e->sql, "SELECT * FROM predictions ORDER BY picture, rank"));
    if (o->timings)
        TRY(sal_sql_prepare(&e->timings, e->sql, "SELECT * FROM timings ORDER BY picture"));
    TRY(export_open_names(e));
    TRY(find_path_column(e));
    TRY(sal_store_has_gaps(&row, e->sql, "main"));
    e->map_columns = row ? MAP_GAP + 1 : MAP_COLUMNS;
    TRY(sal_sql_step(&e->map_row, e->sql, e->maps));
    TRY(sal_sql_step(&e->prediction_row, e->sql, e->predictions));
    TRY(sal_sql_prepare(&option, e->sql, "SELECT value FROM run WHERE key = 'option.top-k'"));
    TRY(sal_sql_step(&row, e->sql, option));
    e->predictions_kept = row ? sqlite3_column_int64(option, 0) : 0;
    if (e->predictions_kept < 0 || e->predictions_kept > MAX_PREDICTIONS)
        st = sal_fail(SAL_ERROR_FORMAT, "%s: an impossible number of predictions", e->sql->path);
done:
    sqlite3_finalize(option);
    return st;
}

static void close_all(export *e)
{
    sqlite3_finalize(e->pictures);
    sqlite3_finalize(e->manifest);
    sqlite3_finalize(e->maps);
    sqlite3_finalize(e->predictions);
    sqlite3_finalize(e->timings);
    export_close_names(e);
}

/* ---- CSV ----------------------------------------------------------------- */

static void print_value(FILE *to, sqlite3_stmt *s, int column)
{
    switch (sqlite3_column_type(s, column)) {
    case SQLITE_NULL: break;
    case SQLITE_INTEGER: fprintf(to, "%lld", (long long)sqlite3_column_int64(s, column)); break;
    /* Nine digits give every float back as it was. */
    case SQLITE_FLOAT: fprintf(to, "%.9g", sqlite3_column_double(s, column)); break;
    default: sal_csv_print_guarded(to, sal_sql_text(s, column)); break;
    }
}

static void print_columns(FILE *to, sqlite3_stmt *s, int first, int end)
{
    for (int k = first; k < end; k++) {
        fputc(',', to);
        print_value(to, s, k);
    }
}

static int is_own_name(const export *e, const char *name)
{
    const struct {
        const char *const *names;
        size_t count;
    } all[] = {{picture_names, sizeof picture_names / sizeof *picture_names},
               {map_names, sizeof map_names / sizeof *map_names},
               {timing_names, 3},
               {export_class_columns, e->classes ? 2 : 0}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (size_t k = 0; k < all[i].count; k++)
            if (strcmp(all[i].names[k], name) == 0)
                return 1;
    if (strcmp(name, "path") == 0)
        return 1;
    return e->predictions_kept > 0 && strncmp(name, "top", 3) == 0 && name[3] >= '0' && name[3] <= '9';
}

static int has_column(const export *e, const char *name)
{
    for (int k = 1; k < sqlite3_column_count(e->manifest); k++)
        if (strcasecmp(sqlite3_column_name(e->manifest, k), name) == 0)
            return 1;
    return 0;
}

/* A column of the manifest that is called as one of ours is told apart: "manifest_" goes before it, as often as it
 * takes, which is at most once for each other column and once more. */
static sal_status print_column_name(const export *e, const char *name)
{
    static const char prefix[] = "manifest_";
    const size_t length = strlen(prefix), most = (size_t)sqlite3_column_count(e->manifest) * length;
    const size_t name_size = strlen(name) + 1;
    char *room = malloc(most + name_size);
    if (!room)
        return sal_fail_memory(most + name_size, "an export");
    char *own = room + most;
    memcpy(own, name, name_size);
    while (own > room && (is_own_name(e, own) || (own != room + most && has_column(e, own)))) {
        own -= length;
        memcpy(own, prefix, length);
    }
    sal_csv_print_guarded(e->to, own);
    free(room);
    return SAL_OK;
}

/* The path first, then the manifest's other columns. */
static sal_status print_header(export *e)
{
    sal_status st = SAL_OK;
    FILE *to = e->to;
    fputs("path", to);
    for (int k = 1; k < sqlite3_column_count(e->manifest); k++) {
        if (k == e->path_column)
            continue;
        fputc(',', to);
        TRY(print_column_name(e, sqlite3_column_name(e->manifest, k)));
    }
    for (size_t k = 0; k < sizeof picture_names / sizeof *picture_names; k++)
        fprintf(to, ",%s", picture_names[k]);
    for (int k = MAP_RANK; k < e->map_columns; k++)
        fprintf(to, ",%s", map_names[k - MAP_RANK]);
    for (int64_t k = 1; k <= e->predictions_kept; k++)
        fprintf(to, ",top%lld,top%lld_score,top%lld_probability", (long long)k, (long long)k, (long long)k);
    for (int k = 0; e->timings && k < 3; k++)
        fprintf(to, ",%s", timing_names[k]);
    for (int k = 0; e->classes && k < 2; k++)
        fprintf(to, ",%s", export_class_columns[k]);
    fputc('\n', to);
done:
    return st;
}

static void print_picture(export *e)
{
    FILE *to = e->to;
    sal_csv_print_guarded(to, sal_sql_text(e->pictures, PATH));
    for (int k = 1; k < sqlite3_column_count(e->manifest); k++)
        if (k != e->path_column)
            print_columns(to, e->manifest, k, k + 1);
    print_columns(to, e->pictures, STATUS, CORRECT + 1);
}

/* The predictions of a picture as text, since each of its rows repeats them. */
static sal_status collect_predictions(char **out, export *e, int64_t id)
{
    sal_status st = SAL_OK;
    sal_text text;
    int64_t found = 0;
    *out = NULL;
    st = sal_text_open(&text);
    if (st != SAL_OK)
        return st;
    FILE *to = text.stream;
    for (; e->prediction_row && sqlite3_column_int64(e->predictions, 0) == id; found++) {
        TRY(export_check_rank(e, "predictions", e->predictions, found));
        print_columns(to, e->predictions, 2, 5);
        TRY(sal_sql_step(&e->prediction_row, e->sql, e->predictions));
    }
    if (found > e->predictions_kept)
        st = export_fail_row(e, "predictions", id, "it has more rows than option top-k says");
    for (; found < e->predictions_kept; found++)
        fputs(",,,", to);
done:
    return sal_text_close(out, NULL, &text, st, "an export");
}

static sal_status print_csv(export *e, int64_t id)
{
    sal_status st = SAL_OK;
    char *predictions = NULL;
    int64_t lines = 0, maps = 0;
    TRY(collect_predictions(&predictions, e, id));
    /* A line for each map, and one for a picture that has none. */
    for (int own; (own = e->map_row && sqlite3_column_int64(e->maps, 0) == id) || lines == 0; lines++, maps += own) {
        if (own) {
            TRY(export_check_rank(e, "maps", e->maps, maps));
            TRY(export_check_files(e));
        }
        print_picture(e);
        if (own)
            print_columns(e->to, e->maps, MAP_RANK, e->map_columns);
        else
            for (int k = MAP_RANK; k < e->map_columns; k++)
                fputc(',', e->to);
        fputs(predictions, e->to);
        if (e->timings)
            print_columns(e->to, e->timings, 1, 4);
        export_print_classes(e, export_class_of(e, e->pictures, PREDICTED), own);
        fputc('\n', e->to);
        if (own)
            TRY(sal_sql_step(&e->map_row, e->sql, e->maps));
    }
done:
    free(predictions);
    return st;
}

/* ---- JSON ---------------------------------------------------------------- */

static void put_value(sal_json *j, const char *key, sqlite3_stmt *s, int column)
{
    switch (sqlite3_column_type(s, column)) {
    case SQLITE_INTEGER: sal_json_integer(j, key, sqlite3_column_int64(s, column)); break;
    case SQLITE_FLOAT: sal_json_real(j, key, sqlite3_column_double(s, column)); break;
    default: sal_json_text(j, key, sal_sql_text(s, column)); break;
    }
}

/* JSON has no bytes that are not UTF-8: they are in the hexadecimal form beside it. */
static sal_status put_path(sal_json *j, const char *key, sqlite3_stmt *s, int column)
{
    const char *path = sal_sql_text(s, column);
    char hex_key[32];
    sal_json_text(j, key, path);
    if (!path || sal_json_is_utf8(path))
        return SAL_OK;
    const size_t length = strlen(path);
    char *hex = malloc(2 * length + 1);
    if (!hex)
        return sal_fail_memory(2 * length + 1, "an export");
    for (size_t i = 0; i < length; i++)
        snprintf(hex + 2 * i, 3, "%02x", (unsigned)(unsigned char)path[i]);
    snprintf(hex_key, sizeof hex_key, "%s_hex", key);
    sal_json_text(j, hex_key, hex);
    free(hex);
    return SAL_OK;
}

static sal_status print_json(export *e, int64_t id)
{
    sal_status st = SAL_OK;
    int64_t predictions = 0, maps = 0;
    sal_json j = {.stream = e->to};
    sal_json_begin(&j, NULL, '{');
    TRY(put_path(&j, "path", e->pictures, PATH));
    sal_json_begin(&j, "manifest", '{');
    for (int k = 1; k < sqlite3_column_count(e->manifest); k++)
        if (k != e->path_column)
            put_value(&j, sqlite3_column_name(e->manifest, k), e->manifest, k);
    sal_json_end(&j, '}');
    for (int k = STATUS; k <= CORRECT; k++)
        put_value(&j, picture_names[k - STATUS], e->pictures, k);
    if (e->classes)
        sal_json_text(&j, export_class_columns[0], export_class_of(e, e->pictures, PREDICTED));
    sal_json_begin(&j, "predictions", '[');
    for (; e->prediction_row && sqlite3_column_int64(e->predictions, 0) == id; predictions++) {
        TRY(export_check_rank(e, "predictions", e->predictions, predictions));
        sal_json_begin(&j, NULL, '{');
        for (int k = 2; k < 5; k++)
            put_value(&j, sqlite3_column_name(e->predictions, k), e->predictions, k);
        if (e->classes)
            sal_json_text(&j, "class", export_class_of(e, e->predictions, 2));
        sal_json_end(&j, '}');
        TRY(sal_sql_step(&e->prediction_row, e->sql, e->predictions));
    }
    sal_json_end(&j, ']');
    sal_json_begin(&j, "maps", '[');
    for (; e->map_row && sqlite3_column_int64(e->maps, 0) == id; maps++) {
        TRY(export_check_rank(e, "maps", e->maps, maps));
        TRY(export_check_files(e));
        sal_json_begin(&j, NULL, '{');
        for (int k = MAP_RANK; k < e->map_columns; k++)
            if (k == MAP_FILE || k == MAP_FILE + 1)
                TRY(put_path(&j, map_names[k - MAP_RANK], e->maps, k));
            else
                put_value(&j, map_names[k - MAP_RANK], e->maps, k);
        if (e->classes)
            sal_json_text(&j, export_class_columns[1], export_class_of(e, e->maps, MAP_TARGET));
        sal_json_end(&j, '}');
        TRY(sal_sql_step(&e->map_row, e->sql, e->maps));
    }
    sal_json_end(&j, ']');
    for (int k = 1; e->timings && k < 4; k++)
        put_value(&j, timing_names[k - 1], e->timings, k);
    sal_json_end(&j, '}');
    fputc('\n', e->to);
done:
    return st;
}

/* ---- Both ---------------------------------------------------------------- */

/* The other statements that have one row per picture, brought to the same one. */
static sal_status step_with(export *e, sqlite3_stmt *s, int64_t id)
{
    int row = 0;
    sal_status st = SAL_OK;
    if (s)
        TRY(sal_sql_step(&row, e->sql, s));
    if (s && (!row || sqlite3_column_int64(s, 0) != id))
        st = sal_fail(SAL_ERROR_FORMAT, "%s: is damaged: picture %lld has no full row", e->sql->path, (long long)id);
done:
    return st;
}

sal_status sal_export_print(FILE *to, sal_sql *sql, const sal_run_names *names, const sal_export_options *o)
{
    sal_status st = SAL_OK;
    sal_plain_locale plain = {0};
    export e = {.sql = sql, .names = names, .to = to, .picture = -1};
    int row;
    TRY(sal_plain_locale_enter(&plain));
    TRY(open_all(&e, o));
    if (o->format == SAL_EXPORT_CSV)
        TRY(print_header(&e));
    for (;;) {
        TRY(sal_sql_step(&row, sql, e.pictures));
        if (!row || ferror(to))
            break;
        TRY(export_check_picture(&e));
        const int64_t id = e.picture;
        TRY(export_check_all_taken(&e, id));
        TRY(export_check_some(&e));
        TRY(step_with(&e, e.manifest, id));
        TRY(export_check_list(&e));
        TRY(step_with(&e, e.timings, id));
        TRY(o->format == SAL_EXPORT_CSV ? print_csv(&e, id) : print_json(&e, id));
    }
    if (!row)
        TRY(export_check_rest(&e));
done:
    close_all(&e);
    if (plain.c)
        sal_plain_locale_leave(&plain);
    return st;
}

/* ---- For callers --------------------------------------------------------- */

typedef struct sink {
    int (*write)(void *context, const char *bytes, size_t size);
    void *context;
    int stopped;
} sink;

static ssize_t pour(void *cookie, const char *bytes, size_t size)
{
    sink *s = cookie;
    if (!s->stopped && s->write(s->context, bytes, size) != 0)
        s->stopped = 1;
    return s->stopped ? 0 : (ssize_t)size;
}

static sal_status print_to_sink(sal_sql *sql, const sal_run_names *names, sink *s, const sal_export_options *o)
{
    sal_status st = SAL_OK;
    FILE *to = fopencookie(s, "w", (cookie_io_functions_t){.write = pour});
    if (!to)
        return sal_fail_memory(0, "an export");
    st = sal_export_print(to, sql, names, o);
    (void)fclose(to);
    return st == SAL_OK && s->stopped ? sal_fail(SAL_ERROR_CANCELLED, "the export was stopped") : st;
}

static int is_name_of_run(const char *name)
{
    return strncmp(name, SAL_STORE_WHOLE "-", strlen(SAL_STORE_WHOLE "-")) == 0 ||
           strcmp(name, SAL_STORE_SHARDS) == 0 || strcmp(name, SAL_RUN_MAPS) == 0 ||
           strcmp(name, SAL_RUN_OVERLAYS) == 0;
}

/* Whether a folder is the run's own of that name, or lies in it, wherever links lead. */
static sal_status lies_in(int *out, const char *folder, const char *run, const char *name)
{
    sal_status st = SAL_OK;
    char *own = NULL, *real = NULL, *where = realpath(folder, NULL);
    *out = 0;
    TRY(sal_run_path(&own, run, name));
    errno = 0;
    real = realpath(own, NULL);
    if (!real && errno != ENOENT && errno != ENOTDIR) {
        st = errno == ENOMEM ? sal_fail_memory(strlen(own), own)
                             : sal_fail(SAL_ERROR_IO, "%s: cannot be looked at: %s", own, strerror(errno));
        goto done;
    }
    const size_t n = real ? strlen(real) : 0;
    *out = real && where && strncmp(where, real, n) == 0 && (where[n] == '/' || where[n] == '\0');
done:
    free(own);
    free(real);
    free(where);
    return st;
}

/* What the results themselves lie in stays. */
sal_status sal_run_check_target(const char *path, const char *run)
{
    static const char *const names[] = {SAL_STORE_WHOLE, SAL_RUN_JSON, SAL_RUN_MANIFEST};
    static const char *const folders[] = {SAL_STORE_SHARDS, SAL_RUN_MAPS, SAL_RUN_OVERLAYS};
    sal_status st = SAL_OK;
    struct stat target, own;
    char *name = NULL, *folder = NULL;
    int within;
    const char *slash = strrchr(path, '/');
    TRY(sal_strdup(&folder, path));
    folder[slash ? slash - path + 1 : 0] = '\0';
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        TRY(lies_in(&within, folder[0] ? folder : ".", run, folders[i]));
        if (within) {
            st = sal_fail(SAL_ERROR_ARGUMENT, "%s: lies among the run's own %s: choose another folder", path,
                          folders[i]);
            goto done;
        }
    }
    if (stat(run, &own) == 0 && stat(folder[0] ? folder : ".", &target) == 0 && own.st_dev == target.st_dev &&
        own.st_ino == target.st_ino && is_name_of_run(slash ? slash + 1 : path)) {
        st = sal_fail(SAL_ERROR_ARGUMENT, "%s: is a name of the run's own files: choose another file", path);
        goto done;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names && stat(path, &target) == 0; i++) {
        TRY(sal_run_path(&name, run, names[i]));
        if (stat(name, &own) == 0 && own.st_dev == target.st_dev && own.st_ino == target.st_ino) {
            st = sal_fail(SAL_ERROR_ARGUMENT, "%s: is the run's own %s: choose another file", path, names[i]);
            goto done;
        }
        free(name);
        name = NULL;
    }
done:
    free(name);
    free(folder);
    return st;
}

static sal_status print_to_file(const char *path, sal_sql *sql, const sal_run_names *names, const sal_export_options *o)
{
    sal_status st = SAL_OK;
    sal_file_out file = {0};
    TRY(sal_file_create(&file, path));
    TRY(sal_export_print(file.stream, sql, names, o));
    st = sal_file_commit(&file);
done:
    sal_file_discard(&file);
    return st;
}

/* Of a run that was merged or never split; of one alone that is still in parts, say so. */
static sal_status find_results(char **path, const char *run)
{
    sal_status st = SAL_OK;
    sal_run_folder folder = {.fd = -1};
    int whole, shards;
    TRY(sal_run_store_path(path, run, 0, 1));
    TRY(sal_run_folder_open(&folder, run));
    TRY(sal_run_file_exists(&whole, &folder, SAL_STORE_WHOLE));
    TRY(sal_run_file_exists(&shards, &folder, SAL_STORE_SHARDS));
    if (!whole && shards)
        st = sal_fail(SAL_ERROR_IO, "%s: its shards are not merged: run 'salmap merge %s' first", run, run);
    else if (!whole)
        st = sal_fail(SAL_ERROR_IO, "%s: is no run folder: there is no " SAL_STORE_WHOLE " in it", run);
done:
    sal_run_folder_close(&folder);
    return st;
}

/* Of a process that did not end by itself. */
static int has_journal(const char *store)
{
    char path[4096];
    const int n = snprintf(path, sizeof path, "%s-wal", store);
    return n > 0 && (size_t)n < sizeof path && access(path, F_OK) == 0;
}

static sal_status check_and_print(sal_sql *sql, const sal_run_facts *facts, const char *path, sink *s,
                                  const sal_export_options *o)
{
    sal_status st = SAL_OK;
    const sal_run_names *names = facts->list ? &facts->names : NULL;
    TRY(sal_store_check_tables(sql, "main"));
    if (facts->description.sign == SAL_RUN_SIGNED)
        TRY(sal_run_check_results(sql, "main", &facts->description));
    TRY(path ? print_to_file(path, sql, names, o) : print_to_sink(sql, names, s, o));
done:
    return st;
}

sal_status sal_sweep_export(const char *run, const char *path,
                            int (*write)(void *context, const char *bytes, size_t size), void *context,
                            const sal_export_options *options)
{
    sal_export_options full = SAL_EXPORT_OPTIONS_INIT;
    const sal_export_options *o = &full;
    sal_status st = SAL_OK;
    sal_sql sql = {0};
    sal_run_facts facts = {0};
    char *store = NULL;
    sink s = {.write = write, .context = context};
    if (!run || (!path && !write))
        return sal_fail(SAL_ERROR_ARGUMENT, "an export needs a run folder, and a path or a function to write");
    TRY(sal_struct_read(&full, sizeof full, options, "sal_export_options"));
    if ((unsigned)o->format > SAL_EXPORT_JSON)
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown format %d of an export", (int)o->format);
    TRY(find_results(&store, run));
    if (path)
        TRY(sal_run_check_target(path, run));
    TRY(sal_run_facts_open(&facts, run));
    st = sal_sql_open(&sql, store, SQLITE_OPEN_READWRITE);
    if (st == SAL_ERROR_MEMORY)
        goto done;
    if (st != SAL_OK)
        TRY(sal_sql_open(&sql, store, SQLITE_OPEN_READONLY));
    st = check_and_print(&sql, &facts, path, &s, o);
    if (st == SAL_ERROR_IO && has_journal(store) && access(run, W_OK) != 0)
        st = sal_fail(st, "%s; a run that was cut off is read where its folder is writable", sal_last_error());
done:
    sal_sql_close(&sql);
    sal_run_facts_close(&facts);
    free(store);
    return st;
}
