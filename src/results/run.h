/* The run folder: its files beside the results themselves. */
#ifndef SAL_RESULTS_RUN_H
#define SAL_RESULTS_RUN_H

#include "results/store.h"

#define SAL_RUN_MANIFEST "manifest.csv"
#define SAL_RUN_JSON "run.json"
#define SAL_RUN_CSV "results.csv"
#define SAL_RUN_MAPS "maps"
#define SAL_RUN_OVERLAYS "overlays"

/* "<folder>/<name>". *out: free with free(). Error: MEMORY. */
sal_status sal_run_path(char **out, const char *folder, const char *name);
/* The result file of a run or shard: "<folder>/results.sqlite", "<folder>/shards/1-of-4.sqlite". Likewise. */
sal_status sal_run_store_path(char **out, const char *folder, int64_t shard, int64_t shards);

/* SHA-256 of a text. */
sal_status sal_run_hash(char sha256[65], const char *text, size_t size);

/* Shard and count of a result file's name, "1-of-4.sqlite"; 0: it is none. */
int sal_run_parse_shard(int64_t *shard, int64_t *shards, const char *name);

/* Where there is a run.json, is it of the same run? Errors: ARGUMENT (it is not), IO, MEMORY. */
sal_status sal_run_check(const char *folder, const sal_run *run);
/* Writes manifest.csv and run.json where another shard did not do so before; else as sal_run_check.
 * inputs: as the user named the pictures. */
sal_status sal_run_describe(const char *folder, const sal_run *run, const sal_dataset *dataset,
                            const char *const *inputs, size_t input_count);

/* A folder that has files of the names that a run's have, and is none: they are somebody's own. Errors: ARGUMENT. */
sal_status sal_run_refuse_foreign(const char *folder);
/* Takes a result file from whoever wrote it last: recovers what a killed process left, and makes it one file again.
 * Fine where there is none. Errors: IO (in use). */
sal_status sal_run_settle(const char *path);
/* Until everything that was written there is on the disk. Errors: IO. */
sal_status sal_run_sync(const char *folder);

/* Removes every file of a run: results, maps, overlays and what describes it; other files stay. Cut short, it leaves
 * what describes the run, so that no other run mixes with the rest.
 * Errors: IO (a file that cannot be removed, results that are in use). */
sal_status sal_run_remove(const char *folder);
/* Removes the results of one shard, its files, what the shards were merged into, and what describes the run where that
 * is another one: the other shards may be running. Likewise. */
sal_status sal_run_remove_shard(const char *folder, const sal_run *run);
/* Removes what shards were merged into. Likewise. */
sal_status sal_run_remove_merged(const char *folder);
/* Removes unfinished files of the run folder itself, which only one process may use at the time. */
sal_status sal_run_remove_own_temporaries(const char *folder);
/* Removes what a process that was killed left unfinished: temporary files beside those that `is_ours` says may be
 * ours. row: of the list, as far as the folder tells: [first, first + 1000). */
sal_status sal_run_remove_temporaries(const char *folder, int (*is_ours)(void *context, size_t first, const char *file),
                                      void *context);
/* Removes overlays that no row of the results names. Errors: IO. */
sal_status sal_run_remove_overlays(const char *folder, sal_sql *sql);

#endif
