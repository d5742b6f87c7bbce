/* A run's result file, made and damaged as an input says.
 *
 * An input that begins as SQLite's files do is the file. Any other is text, one change of a good file a line: a
 * statement of SQL, or "@OFFSET HEX", bytes to write there. Statements that SQLite refuses change nothing. */
#ifndef FUZZ_RUN_DATABASE_H
#define FUZZ_RUN_DATABASE_H

#include "support.h"

#include "results/run.h"

/* Of three pictures: two are done, with the files maps/000/a.npy, maps/000/b.npy and overlays likewise, the third
 * failed. */
const sal_dataset *run_database_list(void);
/* Of this list; shard of shards, 1 for a run that is not split. */
sal_run run_database_run(int64_t shard, int64_t shards);
/* Writes the good file of one shard. */
void run_database_write(const char *path, int64_t shard, int64_t shards);
/* The same, changed by an input. */
void run_database_damage(const char *path, int64_t shard, int64_t shards, const uint8_t *bytes, size_t size);

#endif
