#include "run_database.h"

#include "results/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PICTURES = 3, MOST_SHARDS = 2, MOST_STEPS = 1000, MOST_BYTES = 1 << 20 };

/* ---- A good file --------------------------------------------------------- */

const sal_dataset *run_database_list(void)
{
    static sal_dataset *list;
    static const char text[] = "path,label,\"a \"\"note\"\"\"\na.png,1,x\nb.png,0,\nsub/c.png,1,\"y,z\"\n";
    if (!list) {
        const char *path = fuzz_path("list.csv");
        fuzz_write(path, text, sizeof text - 1);
        FUZZ_REQUIRE(sal_dataset_open(&list, &path, 1, NULL) == SAL_OK);
    }
    return list;
}

sal_run run_database_run(int64_t shard, int64_t shards)
{
    static char hash[65];
    char *text = NULL;
    size_t size;
    if (!hash[0]) {
        FUZZ_REQUIRE(sal_dataset_text(&text, &size, run_database_list()) == SAL_OK);
        FUZZ_REQUIRE(sal_run_hash(hash, text, size) == SAL_OK);
        free(text);
    }
    return (sal_run){.model = "m.onnx",
                     .model_sha256 = "1111",
                     .manifest_sha256 = hash,
                     .settings = "method gradient\ntop-k 2\noverlays top:1\n",
                     .shard = shard,
                     .shards = shards};
}

static void put(sal_rows *rows, size_t row)
{
    const sal_prediction predictions[2] = {{1, 2.5F + (float)row, 0.75F}, {0, -1.5F, 0.25F}};
    char map_file[32], overlay_file[40];
    snprintf(map_file, sizeof map_file, "maps/000/%c.npy", 'a' + (int)row);
    snprintf(overlay_file, sizeof overlay_file, "overlays/000/%c.overlay.png", 'a' + (int)row);
    const sal_result_map map = {.target = 1,
                                .score = 2.5F + (float)row,
                                .probability = 0.75F,
                                .stats = {.peak = 4, .mean = 2, .low = 1},
                                .summary = {.mean = 0.25F, .deviation = 0.125F, .center_x = 0.5F, .center_y = 0.75F},
                                .map_file = map_file,
                                .overlay_file = overlay_file};
    const int failed = row + 1 == PICTURES;
    const sal_result result = {.picture = row,
                               .status = failed ? SAL_ERROR_FORMAT : SAL_OK,
                               .error = failed ? "sub/c.png: PNG: is damaged" : NULL,
                               .bytes = 100,
                               .width = 30,
                               .height = 20,
                               .correct = row == 0,
                               .predictions = predictions,
                               .prediction_count = failed ? 0 : 2,
                               .maps = &map,
                               .map_count = failed ? 0 : 1,
                               .decode_ms = 1};
    FUZZ_REQUIRE(sal_rows_put(rows, &result) == SAL_OK);
}

static void fill(sal_sql *sql, int64_t shard, int64_t shards)
{
    const sal_dataset *list = run_database_list();
    const sal_run run = run_database_run(shard, shards);
    sal_rows rows;
    FUZZ_REQUIRE(sal_sql_run(sql, "PRAGMA page_size = 512; BEGIN") == SAL_OK);
    FUZZ_REQUIRE(sal_store_make_tables(sql, list) == SAL_OK);
    FUZZ_REQUIRE(sal_store_write_run(sql, &run, list->count) == SAL_OK);
    FUZZ_REQUIRE(sal_rows_open(&rows, sql, list) == SAL_OK);
    for (size_t row = 0; row < PICTURES; row++)
        if (sal_dataset_in_shard(list, row, shard, shards))
            put(&rows, row);
    sal_rows_close(&rows);
    FUZZ_REQUIRE(sal_sql_run(sql, "COMMIT") == SAL_OK);
}

/* A database in memory, with the good file's contents: those are made once. */
static void open_good(sal_sql *sql, int64_t shard, int64_t shards)
{
    static struct {
        unsigned char *bytes;
        sqlite3_int64 size;
    } made[2][MOST_SHARDS];
    FUZZ_REQUIRE(sal_sql_open(sql, ":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) == SAL_OK);
    FUZZ_REQUIRE(shard < shards && shards <= MOST_SHARDS);
    unsigned char **bytes = &made[shards > 1][shard].bytes;
    sqlite3_int64 *size = &made[shards > 1][shard].size;
    if (!*bytes) {
        fill(sql, shard, shards);
        *bytes = sqlite3_serialize(sql->db, "main", size, 0);
        FUZZ_REQUIRE(*bytes != NULL);
    }
    unsigned char *copy = sqlite3_malloc64((sqlite3_uint64)*size);
    FUZZ_REQUIRE(copy != NULL);
    memcpy(copy, *bytes, (size_t)*size);
    FUZZ_REQUIRE(sqlite3_deserialize(sql->db, "main", copy, *size, *size,
                                     SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE) == SQLITE_OK);
}

/* ---- Damage -------------------------------------------------------------- */

/* Statements reach nothing but this database. */
static int authorize(void *context, int action, const char *a, const char *b, const char *database, const char *trigger)
{
    (void)context;
    (void)a;
    (void)b;
    (void)database;
    (void)trigger;
    return action == SQLITE_ATTACH || action == SQLITE_DETACH || action == SQLITE_PRAGMA ? SQLITE_DENY : SQLITE_OK;
}

static int count_steps(void *steps)
{
    return ++*(int *)steps > MOST_STEPS;
}

static void run_statement(sqlite3 *db, const char *statement)
{
    int steps = 0;
    sqlite3_progress_handler(db, 1000, count_steps, &steps);
    (void)sqlite3_exec(db, statement, NULL, NULL, NULL);
    sqlite3_progress_handler(db, 0, NULL, NULL);
}

/* "@OFFSET HEX": bytes of the finished file. */
static void poke(unsigned char *file, size_t size, const char *line)
{
    char *at;
    unsigned value;
    size_t offset = (size_t)strtoul(line + 1, &at, 10);
    for (at += strspn(at, " "); offset < size && sscanf(at, "%2x", &value) == 1 && at[1] > ' '; at += 2)
        file[offset++] = (unsigned char)value;
}

/* Hands the lines that begin with '@', or the others, to the function that is for them. */
static void change(sqlite3 *db, unsigned char *file, sqlite3_int64 size, const char *text)
{
    char *copy = strdup(text), *rest = copy;
    FUZZ_REQUIRE(copy != NULL);
    for (char *line; (line = strsep(&rest, "\n")) != NULL;)
        if (file && line[0] == '@')
            poke(file, (size_t)size, line);
        else if (!file && line[0] != '@')
            run_statement(db, line);
    free(copy);
}

void run_database_damage(const char *path, int64_t shard, int64_t shards, const uint8_t *bytes, size_t size)
{
    static const char magic[] = "SQLite format 3";
    if (size >= sizeof magic && memcmp(bytes, magic, sizeof magic) == 0) {
        fuzz_write(path, bytes, size);
        return;
    }
    sal_sql sql;
    sqlite3_int64 file_size = 0;
    char *text = malloc(size + 1);
    FUZZ_REQUIRE(text != NULL);
    memcpy(text, bytes, size);
    text[size] = '\0';
    open_good(&sql, shard, shards);
    (void)sqlite3_limit(sql.db, SQLITE_LIMIT_LENGTH, MOST_BYTES);
    (void)sqlite3_set_authorizer(sql.db, authorize, NULL);
    change(sql.db, NULL, 0, text);
    (void)sqlite3_set_authorizer(sql.db, NULL, NULL);
    (void)sqlite3_exec(sql.db, "COMMIT", NULL, NULL, NULL);
    unsigned char *file = sqlite3_serialize(sql.db, "main", &file_size, 0);
    FUZZ_REQUIRE(file != NULL);
    change(NULL, file, file_size, text);
    fuzz_write(path, file, (size_t)file_size);
    sqlite3_free(file);
    sal_sql_close(&sql);
    free(text);
}

void run_database_write(const char *path, int64_t shard, int64_t shards)
{
    run_database_damage(path, shard, shards, (const uint8_t *)"", 0);
}
