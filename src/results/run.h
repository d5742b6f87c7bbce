/* The run folder: its files beside the results themselves. */
#ifndef SAL_RESULTS_RUN_H
#define SAL_RESULTS_RUN_H

#include "results/run_json.h"
#include "results/run_names.h"

#define SAL_RUN_CSV "results.csv"

/* "<folder>/<name>". *out: free with free(). Error: MEMORY. */
sal_status sal_run_path(char **out, const char *folder, const char *name);
/* The name below the folder of the result file of a run or shard, "shards/1-of-4.sqlite". */
enum { SAL_RUN_STORE_NAME = 96 };
void sal_run_store_name(char name[SAL_RUN_STORE_NAME], int64_t shard, int64_t shards);
/* The result file of a run or shard: "<folder>/results.sqlite", "<folder>/shards/1-of-4.sqlite". Likewise. */
sal_status sal_run_store_path(char **out, const char *folder, int64_t shard, int64_t shards);

/* SHA-256 of a text. */
sal_status sal_run_hash(char sha256[65], const char *text, size_t size);

/* Shard and count of a result file's name, "1-of-4.sqlite"; 0: it is none. */
int sal_run_parse_shard(int64_t *shard, int64_t *shards, const char *name);
enum { SAL_MAX_SHARDS = 1 << 20 };

/* Where there is a run.json, is it of the same run? Errors: ARGUMENT (it is not), IO, MEMORY. */
sal_status sal_run_check(const char *folder, const sal_run *run);
/* Writes run.json and manifest.csv where another shard did not do so before; else as sal_run_check. run.json comes
 * first and is on the disk before anything else is: at every moment, the folder is a run or has nothing of one.
 * inputs: as the user named the pictures. anew: 1, in place of the run.json of a run that was removed. */
sal_status sal_run_describe(const char *folder, const sal_run *run, const sal_dataset *dataset,
                            const char *const *inputs, size_t input_count, int anew);

/* Makes a folder that is a run of the first rows of the list one of all of it: manifest.csv, then run.json, where they
 * are not that yet. Cut off between the two, the same call goes on. Errors: ARGUMENT (another model or option), IO,
 * MEMORY. */
sal_status sal_run_extend(const char *folder, const sal_run *run, const sal_dataset *dataset, const char *const *inputs,
                          size_t input_count);

/* A run's list, its manifest.csv, which must be no link; *out NULL: there is none. sha256: of its bytes. root: where
 * its relative paths start from; NULL: the run folder. settings: the run's, which say what its columns are. Errors:
 * ARGUMENT (a link), IO, FORMAT, LIMIT, MEMORY. */
sal_status sal_run_list_open(sal_dataset **out, char sha256[SAL_DIGEST_SIZE], const sal_run_folder *folder,
                             const char *root, const char *settings);

/* Are results ("main", or what was attached as "part") of the model, the list and the options that run.json tells of?
 * Errors: FORMAT (names what differs), IO, MEMORY. */
sal_status sal_run_check_results(sal_sql *sql, const char *schema, const sal_run_description *description);

/* What a run folder tells of the results in it: who has only results has none of it, and nothing is compared. */
typedef struct sal_run_facts {
    sal_run_description description;
    sal_dataset *list; /* NULL: there is none */
    sal_run_names names;
} sal_run_facts;

/* Errors: FORMAT (run.json is damaged, the list is another one), IO, ARGUMENT (a link), LIMIT, MEMORY. */
sal_status sal_run_facts_open(sal_run_facts *out, const char *folder);
void sal_run_facts_close(sal_run_facts *facts); /* fine on a zeroed struct */

/* A folder is a run if its run.json has the fingerprint of its own fields. One that is none and has files of the names
 * that a run's have is somebody's own, and a run has no links below it, but for maps and overlays themselves. pictures:
 * how many results there will be. Errors: ARGUMENT (names what is in the way), IO. */
sal_status sal_run_refuse_foreign(const char *folder, size_t pictures);
/* Shards have a results.csv only beside what they were merged into: one that is alone is somebody's own. Likewise. */
sal_status sal_run_refuse_table(const char *folder);
/* Errors: IO (there is no run.json), FORMAT (it is damaged, or of no run). */
sal_status sal_run_require_one(const sal_run_folder *folder);
/* *run: 1 where the folder's run.json has the fingerprint of its own fields. Errors: as sal_run_description_read. */
sal_status sal_run_is_one(int *run, const char *folder);
/* The ARGUMENT error of a file that is somebody's own and lies where results go. */
sal_status sal_run_refuse(const char *folder, const char *name);

/* Whoever makes, removes or merges results holds the folder meanwhile; a sweep lets go once its results are open, which
 * then are its own. Waits for `seconds` while another salmap holds it, SAL_RUN_WAIT for ever (it ends when the other
 * process does), or until stop(context) is not 0: that is asked ten times a second after the first one, and may be
 * NULL. Where the file system knows no locks, nobody is held off. Errors: IO, CANCELLED (stop). */
enum { SAL_RUN_WAIT = -1 };
sal_status sal_run_lock(int *lock, const char *folder, int seconds, int (*stop)(void *context), void *context);
void sal_run_unlock(int *lock); /* fine on -1, which it is afterwards */

/* *there: 1 where the folder has a file, a folder or a link of the name. Errors: IO. */
sal_status sal_run_exists(int *there, const char *folder, const char *name);
/* Takes a result file from whoever wrote it last: recovers what a killed process left, and makes it one file again.
 * Fine where there is none. Errors: IO (in use), ARGUMENT (it is a database of
 * somebody's own, or a hard link). */
sal_status sal_run_settle(const char *path);
/* Until everything that was written there is on the disk. Errors: IO. */
sal_status sal_run_sync(const char *folder);

/* Removes every file of a run but its run.json: results, maps, overlays and the list; other files stay. Cut short, it
 * leaves run.json as well, so that no other run mixes with the rest. A folder that is no run is left as it is.
 * Errors: IO (a file that cannot be removed, results that are in use), ARGUMENT (a file that is not the run's). */
sal_status sal_run_remove(const char *folder);
/* Removes the results of one shard, its files, what the shards were merged into, and the list where that is of another
 * run: the other shards may be running. Files of pictures that the folder's list has no longer, since another shard was
 * begun anew with another one, stay. Likewise. */
sal_status sal_run_remove_shard(const char *folder, const sal_run *run);
/* Removes what lies beside results of that name: journals, and what was in flight. Errors: IO. */
sal_status sal_run_remove_beside(const sal_run_folder *folder, const char *name);
/* Removes what shards were merged into. Likewise. */
sal_status sal_run_remove_merged(const char *folder);
/* Removes unfinished files of the run folder itself, which only one process may use at the time. */
sal_status sal_run_remove_own_temporaries(const char *folder);
/* Removes what a process that was killed left unfinished: temporary files beside those of some of
 * a run's shards. of_shards: of each, whether it is meant. */
sal_status sal_run_remove_temporaries(const char *folder, const char *of_shards, int64_t shards,
                                      const sal_run_names *names);
/* Removes overlays of the run's pictures that no row of the results names. Errors: IO. */
sal_status sal_run_remove_overlays(const char *folder, sal_sql *sql, const sal_run_names *names);

#endif
