/* The tables of a run's results, and what the run is of. */
#include "results/settings_lines.h"
#include "results/store.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* Version of the layout: PRAGMA user_version. */
static const char tables[] =
    "PRAGMA user_version = 1;"
    "CREATE TABLE run(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE pictures(id INTEGER PRIMARY KEY, path NOT NULL, status TEXT NOT NULL, error, bytes INTEGER, width "
    "INTEGER,"
    "  height INTEGER, predicted INTEGER, predicted_score REAL, predicted_probability REAL, correct INTEGER);"
    "CREATE TABLE predictions(picture INTEGER, rank INTEGER, output INTEGER, score REAL, probability REAL,"
    "  PRIMARY KEY(picture, rank)) WITHOUT ROWID;"
    "CREATE TABLE maps(picture INTEGER, rank INTEGER, target INTEGER, score REAL, probability REAL, min REAL,"
    "  peak REAL, mean REAL, flat INTEGER, normalized_mean REAL, normalized_std REAL, center_x REAL, center_y REAL,"
    "  map_file, overlay_file, PRIMARY KEY(picture, rank)) WITHOUT ROWID;"
    "CREATE TABLE timings(picture INTEGER PRIMARY KEY, decode_ms REAL, compute_ms REAL, encode_ms REAL);"
    "CREATE TABLE sessions(id INTEGER PRIMARY KEY, started TEXT, ended TEXT, outcome TEXT, version TEXT, host TEXT,"
    "  device TEXT, shard INTEGER, shards INTEGER, pictures INTEGER);";

const char sal_store_failed_table[] =
    "CREATE TABLE IF NOT EXISTS failed_files(picture INTEGER PRIMARY KEY, bytes INTEGER, changed INTEGER)";

const char sal_store_keep_top_sql[] =
    "UPDATE maps SET overlay_file = NULL WHERE overlay_file IS NOT NULL AND picture NOT IN"
    " (SELECT picture FROM maps WHERE rank = 1 ORDER BY score DESC, picture LIMIT ?1)";

static void print_identifier(FILE *to, const char *name)
{
    fputc('"', to);
    for (; *name; name++) {
        if (*name == '"')
            fputc('"', to);
        fputc(*name, to);
    }
    fputc('"', to);
}

/* A table with the manifest's own columns. */
static sal_status make_manifest_table(sal_sql *sql, const sal_dataset *d)
{
    char *text = NULL;
    sal_text printed;
    sal_status st = sal_text_open(&printed);
    if (st != SAL_OK)
        return st;
    FILE *to = printed.stream;
    fputs("CREATE TABLE manifest(" SAL_ID_COLUMN " INTEGER PRIMARY KEY", to);
    for (int k = 0; k < d->column_count; k++) {
        fputs(", ", to);
        print_identifier(to, d->columns[k]);
    }
    fputs(")", to);
    st = sal_text_close(&text, NULL, &printed, SAL_OK, "a table");
    if (st == SAL_OK)
        st = sal_sql_run(sql, text);
    free(text);
    return st;
}

sal_status sal_store_make_tables(sal_sql *sql, const sal_dataset *dataset)
{
    sal_status st = SAL_OK;
    TRY(sal_sql_run(sql, tables));
    TRY(make_manifest_table(sql, dataset));
done:
    return st;
}

/* As pragma_table_xinfo tells it in COLUMNS_OF. */
#define GAP_COLUMN ", 'completeness_gap' 'REAL' 0 NULL 0 0"

sal_status sal_store_add_gaps(sal_sql *sql)
{
    return sal_sql_run(sql, "ALTER TABLE maps ADD COLUMN completeness_gap REAL");
}

sal_status sal_store_has_gaps(int *has, sal_sql *sql, const char *schema)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *find = NULL;
    TRY(sal_sql_prepare(&find, sql, "SELECT 1 FROM pragma_table_info('maps', ?1) WHERE name = 'completeness_gap'"));
    TRY(sal_sql_bind_text(sql, find, 1, schema));
    TRY(sal_sql_step(has, sql, find));
done:
    sqlite3_finalize(find);
    return st;
}

#define OWN_TABLES "'pictures', 'manifest', 'maps', 'predictions', 'timings', 'run', 'sessions', 'failed_files'"

/* ---- Are they salmap's? ---------------------------------------------------- */

/* Names of the columns, each with its type, whether it may be NULL, its default, its place in the key, and whether it
 * is computed. Quoted: names and types may hold any text. */
#define COLUMNS_OF                                                                                                     \
    "SELECT group_concat(quote(name) || ' ' || quote(type) || ' ' || \"notnull\" || ' ' || quote(dflt_value) || ' ' "  \
    "|| pk || ' ' || hidden, ', ') FROM pragma_table_xinfo(?1, ?2)"

static sal_status columns_of(char **out, sal_sql *sql, const char *schema, const char *table)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *select = NULL;
    int row;
    *out = NULL;
    TRY(sal_sql_prepare(&select, sql, COLUMNS_OF));
    TRY(sal_sql_bind_text(sql, select, 1, table));
    TRY(sal_sql_bind_text(sql, select, 2, schema));
    TRY(sal_sql_step(&row, sql, select));
    const char *text = row ? sal_sql_text(select, 0) : NULL;
    TRY(sal_strdup(out, text ? text : ""));
done:
    sqlite3_finalize(select);
    return st;
}

static sal_status fail_table(const sal_sql *sql, const char *table, const char *what)
{
    return sal_fail(SAL_ERROR_FORMAT, "%s: is damaged, or no results of salmap (%s: %s)", sql->path, what, table);
}

/* A table of its own, on pages: no view, and nothing that a module makes up. */
static sal_status check_table(sal_sql *sql, const char *schema, const char *table)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *select = NULL;
    char text[128];
    int row;
    snprintf(text, sizeof text, "SELECT type = 'table' AND rootpage > 0 FROM %s.sqlite_master WHERE name = ?1", schema);
    TRY(sal_sql_prepare(&select, sql, text));
    TRY(sal_sql_bind_text(sql, select, 1, table));
    TRY(sal_sql_step(&row, sql, select));
    if (!row)
        st = fail_table(sql, table, "no such table");
    else if (!sqlite3_column_int(select, 0))
        st = fail_table(sql, table, "not a table");
done:
    sqlite3_finalize(select);
    return st;
}

static sal_status check_columns(sal_sql *sql, const char *schema, const char *table, sal_sql *plain)
{
    sal_status st = SAL_OK;
    char *found = NULL, *wanted = NULL;
    TRY(columns_of(&found, sql, schema, table));
    TRY(columns_of(&wanted, plain, "main", table));
    const size_t length = strlen(wanted);
    const char *more = strncmp(found, wanted, length) == 0 ? found + length : "?";
    /* The manifest's other columns are the user's, sessions get those of limits.c once they have limits, and maps one
     * where the method has gaps. */
    const int known = !*more || (strcmp(table, "manifest") == 0 && *more == ',') ||
                      (strcmp(table, "maps") == 0 && strcmp(more, GAP_COLUMN) == 0) ||
                      (strcmp(table, "sessions") == 0 &&
                       strcmp(more, ", 'max_pixels' 'INTEGER' 0 NULL 0 0, 'max_memory' 'INTEGER' 0 NULL 0 0") == 0);
    if (!known)
        st = fail_table(sql, table, "other columns in table");
done:
    free(found);
    free(wanted);
    return st;
}

/* Of any table: a column that is computed may compute anything. Of salmap's: an index may refuse rows, or compute.
 * Those that a user made to look something up are fine. */
static sal_status check_additions(sal_sql *sql, const char *schema)
{
    static const char texts[][512] = {
        "SELECT m.name FROM %s.sqlite_master m, pragma_table_xinfo(m.name, '%s') c WHERE m.type = 'table' AND c.hidden "
        "> 1",
        "SELECT i.name FROM %s.sqlite_master m, pragma_index_list(m.name, '%s') i, pragma_index_xinfo(i.name, '%s') c"
        " WHERE m.type = 'table' AND m.name IN (" OWN_TABLES ")"
        " AND (i.origin = 'u' OR (i.origin = 'c' AND (i.\"unique\" OR i.partial OR c.cid < -1)))",
        "SELECT m.name FROM %s.sqlite_master m, pragma_table_xinfo(m.name, '%s') c WHERE m.name = 'manifest' AND c.cid "
        "> 0"
        " AND (c.type <> '' OR c.\"notnull\" OR c.pk OR c.dflt_value IS NOT NULL)"};
    static const char *const what[] = {"a computed column in table", "an index that is more than a list of a table",
                                       "a column that is not plain in table"};
    sal_status st = SAL_OK;
    sqlite3_stmt *select = NULL;
    for (size_t k = 0; k < sizeof what / sizeof *what; k++) {
        char text[sizeof texts[0] + 64];
        int row;
        snprintf(text, sizeof text, texts[k], schema, schema, schema);
        TRY(sal_sql_prepare(&select, sql, text));
        TRY(sal_sql_step(&row, sql, select));
        if (row) {
            st = fail_table(sql, sal_sql_text(select, 0), what[k]);
            goto done;
        }
        sqlite3_finalize(select);
        select = NULL;
    }
done:
    sqlite3_finalize(select);
    return st;
}

static sal_status has_failed_files(int *has, sal_sql *sql, const char *schema)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *find = NULL;
    char text[128];
    snprintf(text, sizeof text, "SELECT 1 FROM %s.sqlite_master WHERE name = 'failed_files'", schema);
    TRY(sal_sql_prepare(&find, sql, text));
    TRY(sal_sql_step(has, sql, find));
done:
    sqlite3_finalize(find);
    return st;
}

sal_status sal_store_check_tables(sal_sql *sql, const char *schema)
{
    static const char *const names[] = {"pictures", "manifest", "maps", "predictions", "timings", "run", "sessions"};
    int has_failed = 0;
    sal_status st = SAL_OK;
    sal_sql plain = {0};
    TRY(sal_sql_open(&plain, ":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
    TRY(sal_sql_run(&plain, tables));
    TRY(sal_sql_run(&plain, "CREATE TABLE manifest(" SAL_ID_COLUMN " INTEGER PRIMARY KEY)"));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        TRY(check_table(sql, schema, names[i]));
        TRY(check_columns(sql, schema, names[i], &plain));
    }
    TRY(has_failed_files(&has_failed, sql, schema));
    if (has_failed) {
        TRY(sal_sql_run(&plain, sal_store_failed_table));
        TRY(check_table(sql, schema, "failed_files"));
        TRY(check_columns(sql, schema, "failed_files", &plain));
    }
    /* Rows are read only now: what is in the schema can make that take for ever. */
    TRY(check_additions(sql, schema));
    TRY(sal_sql_check_pages(sql, schema));
done:
    sal_sql_close(&plain);
    return st;
}

sal_status sal_store_refuse_foreign(sal_sql *sql)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *find = NULL;
    int row;
    TRY(sal_sql_prepare(&find, sql,
                        "SELECT 1 WHERE EXISTS (SELECT 1 FROM sqlite_master)"
                        " AND (SELECT count(*) FROM sqlite_master WHERE name IN (" OWN_TABLES ")) < 2"));
    TRY(sal_sql_step(&row, sql, find));
    if (row)
        st = sal_fail(SAL_ERROR_ARGUMENT,
                      "%s: is a database of something else, and results would go there: choose another folder",
                      sql->path);
done:
    sqlite3_finalize(find);
    return st;
}

/* ---- What the run is of ---------------------------------------------------- */

static sal_status write_value(sal_sql *sql, sqlite3_stmt *insert, const char *key, const char *value)
{
    sal_status st = SAL_OK;
    TRY(sal_sql_bind_text(sql, insert, 1, key));
    TRY(sal_sql_bind_text(sql, insert, 2, value));
    TRY(sal_sql_step_done(sql, insert));
done:
    return st;
}

typedef struct run_writer {
    sal_sql *sql;
    sqlite3_stmt *insert;
} run_writer;

/* Rows "option.name". */
static sal_status write_setting(void *context, const char *name, const char *value)
{
    const run_writer *w = context;
    char key[128];
    snprintf(key, sizeof key, "option.%s", name);
    return write_value(w->sql, w->insert, key, value);
}

sal_status sal_store_write_run(sal_sql *sql, const sal_run *run, size_t pictures)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *insert = NULL;
    char numbers[3][32];
    snprintf(numbers[0], sizeof numbers[0], "%lld", (long long)run->shard);
    snprintf(numbers[1], sizeof numbers[1], "%lld", (long long)run->shards);
    snprintf(numbers[2], sizeof numbers[2], "%zu", pictures);
    const char *const values[][2] = {
        {"version", sal_version()},
        {"model", run->model},
        {"model_sha256", run->model_sha256},
        {"manifest_sha256", run->manifest_sha256},
        {"pictures", numbers[2]},
        {"shard", numbers[0]},
        {"shards", numbers[1]},
    };
    TRY(sal_sql_prepare(&insert, sql, "INSERT INTO run VALUES(?1, ?2)"));
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        TRY(write_value(sql, insert, values[i][0], values[i][1]));
    run_writer writer = {sql, insert};
    TRY(sal_settings_each(run->settings, write_setting, &writer));
done:
    sqlite3_finalize(insert);
    return st;
}

/* ---- Comparing ----------------------------------------------------------- */

#define SAL_LIST "list of pictures (by its SHA-256)"

/* Where an option of the preprocessing comes from that is not given by itself: a sidecar, a recipe or a preset. */
static const char *tell_origin(char *text, size_t size, const sal_run *run, const char *option)
{
    char given[80];
    text[0] = '\0';
    snprintf(given, sizeof given, "%s ", option);
    if (sal_settings_is_of_preprocess(option + strspn(option, "-")) && run->preprocess_origin &&
        run->preprocess_origin[0] && !strstr(run->preprocess_origin, given))
        snprintf(text, size, "; the preprocessing is now that of %s", run->preprocess_origin);
    return text;
}

/* Another version's bits would make a mixture of it; anything else is for the caller to choose. */
static sal_status fail_other(const sal_sql *sql, const sal_run *run, const char *name, const char *then,
                             const char *now)
{
    const char *own = name + strspn(name, "-");
    char origin[600];
    if (strcmp(own, SAL_SETTINGS_ARITHMETIC) == 0)
        return sal_fail(SAL_ERROR_ARGUMENT,
                        "%s: the run was begun by a version whose maps differ in last digits (arithmetic %s, now %s): "
                        "finish it with that version, or choose another run folder",
                        sql->path, then ? then : sal_settings_unsaid(own), now);
    if (strcmp(own, SAL_SETTINGS_MAP_ARITHMETIC) == 0)
        return sal_fail(SAL_ERROR_ARGUMENT,
                        "%s: the run was begun by a version that normalised maps otherwise (map-arithmetic %s, now "
                        "%s): with --normalize minmax, the default, --normalize keras-vis goes on with it; else finish "
                        "it with that version, or choose another run folder",
                        sql->path, then ? then : sal_settings_unsaid(own), now);
    if (strcmp(own, SAL_SETTINGS_BASELINE_SHA256) == 0)
        return sal_fail(SAL_ERROR_ARGUMENT,
                        "%s: the picture of --baseline has changed since the run was begun: put it back, or choose "
                        "another run folder",
                        sql->path);
    return sal_fail(SAL_ERROR_ARGUMENT,
                    "%s: the run was begun with another %s: %s, now %s%s;%s%s --restart throws its results away, or "
                    "choose another run folder",
                    sql->path, name, then ? then : sal_settings_unsaid(own), now,
                    tell_origin(origin, sizeof origin, run, name),
                    strcmp(name, SAL_LIST) == 0 ? " --extend adds pictures to it," : "",
                    !then && strcmp(own, "blend") == 0 ? " --blend flat goes on with it," : "");
}

typedef struct comparison {
    sal_sql *sql;
    sqlite3_stmt *find;
    const sal_run *run;
} comparison;

/* What it was begun with against what is asked for now. */
static sal_status compare(const comparison *c, const char *key, const char *name, const char *now)
{
    sal_status st = SAL_OK;
    int row;
    TRY(sal_sql_bind_text(c->sql, c->find, 1, key));
    TRY(sal_sql_step(&row, c->sql, c->find));
    const char *then = row ? sal_sql_text(c->find, 0) : NULL;
    if (!then || strcmp(then, now) != 0)
        st = fail_other(c->sql, c->run, name, then, now);
    if (st == SAL_OK)
        st = sal_sql_check(c->sql, sqlite3_reset(c->find));
done:
    return st;
}

static sal_status compare_setting(void *context, const char *name, const char *value)
{
    const comparison *c = context;
    char key[128], option[128];
    snprintf(key, sizeof key, "option.%s", name);
    snprintf(option, sizeof option, "--%s", name);
    return compare(c, key, option, value);
}

static sal_status find_setting(void *context, const char *name, const char *value)
{
    const char **wanted = context;
    (void)value;
    if (*wanted && strcmp(*wanted, name) == 0)
        *wanted = NULL;
    return SAL_OK;
}

/* Options that it was begun with and that are not given now, where not to give them is a value of its own. */
static sal_status check_missing(sal_sql *sql, const sal_run *run)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *select = NULL;
    int row;
    TRY(sal_sql_prepare(&select, sql, /* what tells most first: the method, on which options depend */
                        "SELECT substr(key, 8), value FROM run WHERE key GLOB 'option.*' "
                        "ORDER BY key IN ('option." SAL_SETTINGS_ARITHMETIC "', 'option." SAL_SETTINGS_MAP_ARITHMETIC
                        "'), key <> 'option.method', key"));
    for (;;) {
        TRY(sal_sql_step(&row, sql, select));
        if (!row)
            break;
        const char *name = sal_sql_text(select, 0), *then = sal_sql_text(select, 1);
        const char *missing = name;
        TRY(sal_settings_each(run->settings, find_setting, &missing));
        if (missing) {
            char option[128];
            snprintf(option, sizeof option, "--%s", name);
            st = fail_other(sql, run, option, then ? then : "none", sal_settings_unsaid(name));
            goto done;
        }
    }
done:
    sqlite3_finalize(select);
    return st;
}

sal_status sal_store_check_run(sal_sql *sql, const sal_run *run)
{
    sal_status st = SAL_OK;
    sqlite3_stmt *find = NULL;
    char shard[64], shards[64];
    snprintf(shard, sizeof shard, "%lld", (long long)run->shard);
    snprintf(shards, sizeof shards, "%lld", (long long)run->shards);
    TRY(sal_sql_prepare(&find, sql, "SELECT value FROM run WHERE key = ?1"));
    comparison c = {sql, find, run};
    TRY(compare(&c, "model_sha256", "model (by its SHA-256)", run->model_sha256));
    if (!run->extend)
        TRY(compare(&c, "manifest_sha256", SAL_LIST, run->manifest_sha256));
    TRY(compare(&c, "shards", "number of shards", shards));
    TRY(compare(&c, "shard", "shard", shard));
    TRY(sal_settings_each(run->settings, compare_setting, &c));
    TRY(check_missing(sql, run));
done:
    sqlite3_finalize(find);
    return st;
}
