/* Mutations of what run_database.h takes: every second one puts a whole statement between the lines, of the tables,
 * columns and values of a run. libFuzzer's own, of bytes, rarely come to one that SQLite accepts. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TABLES = 7, COLUMNS = 16, LINE = 512 };

typedef struct table {
    const char *name;
    const char *columns[COLUMNS];
} table;

static const table tables[TABLES] = {
    {"run", {"key", "value"}},
    {"pictures",
     {"id", "path", "status", "error", "bytes", "width", "height", "predicted", "predicted_score",
      "predicted_probability", "correct"}},
    {"predictions", {"picture", "rank", "output", "score", "probability"}},
    {"maps",
     {"picture", "rank", "target", "score", "probability", "min", "peak", "mean", "flat", "normalized_mean",
      "normalized_std", "center_x", "center_y", "map_file", "overlay_file"}},
    {"timings", {"picture", "decode_ms", "compute_ms", "encode_ms"}},
    {"sessions", {"id", "started", "ended", "outcome", "version", "host", "device", "shard", "shards", "pictures"}},
    {"manifest", {"salmap_id", "path", "label", "\"a \"\"note\"\"\""}},
};

static const char *const values[] = {
    "NULL",
    "0",
    "1",
    "2",
    "-1",
    "3",
    "4096",
    "1e308",
    "-9e999",
    "0.5",
    "x''",
    "x'00ff'",
    "''",
    "'ok'",
    "'io'",
    "char(0)",
    "char(10,34)",
    "'top:99999999999'",
    "'../x'",
    "'/x'",
    "'no'",
    "'a.png'",
    "'sub/c.png'",
    "zeroblob(70000)",
    "'memory'",
    "' 1 '",
    "'manifest_sha256'",
    "'option.top-k'",
    "'option.overlays'",
    "9223372036854775807",
    "-9223372036854775808",
    "printf('%.*c', 5000, 'x')",
    "'pictures'",
    "'shards'",
    "CAST(x'c328' AS TEXT)",
    "2147483648",
};

/* %1: a table, %2 and %3: columns of it, %4 and %5: values; lines are statements. */
static const char *const forms[] = {
    "UPDATE %1 SET %2 = %4\n",
    "UPDATE %1 SET %2 = %4 WHERE %3 = %5\n",
    "UPDATE %1 SET %2 = %4 WHERE %3 = (SELECT max(%3) FROM %1)\n",
    "DELETE FROM %1 WHERE %2 = %4\n",
    "DELETE FROM %1\n",
    "INSERT INTO %1(%2, %3) VALUES(%4, %5)\n",
    "INSERT OR REPLACE INTO %1(%2) VALUES(%4)\n",
    "INSERT INTO %1 SELECT * FROM %1\n",
    "CREATE TABLE q AS SELECT * FROM %1\nDROP TABLE %1\nALTER TABLE q RENAME TO %1\n", /* without constraints */
    "ALTER TABLE %1 DROP COLUMN %2\n",
    "ALTER TABLE %1 ADD COLUMN extra\n",
    "ALTER TABLE %1 RENAME COLUMN %2 TO other\n",
    "DROP TABLE %1\n",
    "ALTER TABLE %1 RENAME TO r\nCREATE VIEW %1 AS SELECT * FROM r\n",
    "CREATE TRIGGER t AFTER INSERT ON %1 BEGIN UPDATE %1 SET %2 = %4; END\n",
};

static const char *pick(unsigned *seed, const char *const *words, size_t count)
{
    return words[(size_t)rand_r(seed) % count];
}

/* Its length. */
static size_t make_statement(char *out, size_t size, unsigned *seed)
{
    const table *t = &tables[rand_r(seed) % TABLES];
    size_t columns = 0, used = 0;
    while (columns < COLUMNS && t->columns[columns])
        columns++;
    const char *words[5] = {t->name, pick(seed, t->columns, columns), pick(seed, t->columns, columns),
                            pick(seed, values, sizeof values / sizeof *values),
                            pick(seed, values, sizeof values / sizeof *values)};
    for (const char *f = pick(seed, forms, sizeof forms / sizeof *forms); *f && used + 64 < size; f++) {
        if (*f == '%')
            used += (size_t)snprintf(out + used, size - used, "%s", words[*++f - '1']);
        else
            out[used++] = *f;
    }
    return used;
}

size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t room);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t room, unsigned int seed);

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t room, unsigned int seed)
{
    char statement[LINE];
    const size_t length = make_statement(statement, sizeof statement, &seed);
    if (rand_r(&seed) % 2 || size + length > room)
        return LLVMFuzzerMutate(bytes, size, room);
    /* Behind one of the lines, or first. */
    size_t at = size ? (size_t)rand_r(&seed) % size : 0;
    while (at > 0 && bytes[at - 1] != '\n')
        at--;
    memmove(bytes + at + length, bytes + at, size - at);
    memcpy(bytes + at, statement, length);
    return size + length;
}
