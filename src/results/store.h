/* The results of a run, or of one shard of it: one SQLite file that only one process writes at a time.
 *
 * A picture's files are on the disk before its row is: rows are collected, the run folder's file system is told to
 * write what it holds, and then they are committed together, about once a second, on a thread of the store's own.
 * Whatever happens, a row that is there stands for files that are whole. */
#ifndef SAL_RESULTS_STORE_H
#define SAL_RESULTS_STORE_H

#include "dataset/dataset.h"
#include "results/result.h"
#include "results/run_names.h"
#include "results/sql.h"

#define SAL_STORE_WHOLE "results.sqlite"
#define SAL_STORE_SHARDS "shards"

/* What a run is of: the same command again must agree in it. */
typedef struct sal_run {
    const char *model; /* path */
    const char *model_sha256;
    const char *manifest_sha256;
    const char *settings; /* "name value" lines: options that results depend on, but for the device and its batch */
    int64_t shard;
    int64_t shards;                /* 1: not sharded */
    const char *preprocess_origin; /* where its preprocessing comes from, for people; or NULL */
    const char *classes;           /* file of names of classes, for the command that makes the run again; or NULL */
    int64_t outputs;               /* of the model, for who draws the run again; 0: not said */
    int extend;                    /* 1: results of a shorter list are those of the first rows of this one */
} sal_run;

typedef struct sal_store sal_store;

/* Opens or makes the file. folder: the run's. device: for the list of sessions.
 * Errors: ARGUMENT (the results there are of another model, list or option: says which; a database of somebody's own, a
 * link or a hard link), IO, FORMAT, MEMORY. */
sal_status sal_store_open(sal_store **out, const char *path, const char *folder, const sal_run *run,
                          const sal_dataset *dataset, const char *device);
/* Ends the session: commits what was added unless the store failed, and leaves one file. outcome: "complete",
 * "stopped", or what went wrong. The first error of all, or SAL_OK. NULL is fine. */
sal_status sal_store_close(sal_store *store, const char *outcome);

/* Of a store that was opened with run->extend: from now on, it is of the run's list. Its rows are compared with those
 * of the list when it is opened. Errors: IO, MEMORY. */
sal_status sal_store_extend(sal_store *store, const sal_run *run);

typedef enum sal_known { SAL_KNOWN_NOT, SAL_KNOWN_DONE, SAL_KNOWN_FAILED, SAL_KNOWN_TRY_AGAIN } sal_known;

/* known[row] of the data set for every picture that is in the results; others are left as they are. TRY_AGAIN: it
 * failed of something that may have passed (a file that could not be read, memory). */
sal_status sal_store_known(unsigned char *known, sal_store *store);
/* The same of a database that nobody may write to. */
sal_status sal_store_look_known(unsigned char *known, sal_sql *sql, const sal_dataset *dataset);
/* Notes what the file of a picture that failed is, for sal_store_mended. */
void sal_result_note_file(sal_result *result, const char *file);
/* Sets mended[row] for pictures that failed and whose files have another size or time than they had then; others are
 * left as they are. Before the session's first result. Errors: IO, FORMAT, MEMORY. */
sal_status sal_store_mended(unsigned char *mended, sal_sql *sql, const sal_dataset *dataset);
/* Are the pictures those that the results are of? Looks at the sizes of up to a hundred files of pictures that are
 * done. Errors: ARGUMENT (one has another size). */
sal_status sal_store_check_files(sal_store *store);
/* Hands over every picture that was compared with its label, and the score of what was predicted (NaN where it is
 * none). Of a store that was flushed. Errors: IO, FORMAT. */
sal_status sal_store_compared(sal_store *store, void (*take)(void *context, size_t picture, double score, int is_right),
                              void *context);
/* Hands the n highest scores of first maps to `take`. */
sal_status sal_store_scores(sal_store *store, int64_t n, void (*take)(void *context, float score), void *context);
/* Takes a copy, for the next commit. Waits where many are waiting. Errors: of an earlier commit. */
sal_status sal_store_add(sal_store *store, const sal_result *result);
/* Until everything is committed. */
sal_status sal_store_flush(sal_store *store);
/* The database itself, for what is to be done before the first result; borrowed. */
sal_sql *sal_store_sql(sal_store *store);
/* Seconds that the committing thread was at work. */
double sal_store_busy(sal_store *store);
/* Of a store that was flushed: no overlay but those of the n highest scores; ties go to the earlier picture. folder:
 * of the run, whose other overlays are removed, as far as they are files of `names`; or NULL. */
sal_status sal_store_keep_top(sal_store *store, int64_t n, const char *folder, const sal_run_names *names);

/* Before a database is read that is to be written: a lock that is held until the process ends needs no shared memory,
 * which network file systems do not have. */
#define SAL_STORE_ALONE "PRAGMA locking_mode = EXCLUSIVE"
/* The tables, in a database that has none. */
sal_status sal_store_make_tables(sal_sql *sql, const sal_dataset *dataset);
/* Maps have one more column, completeness_gap, where the method has gaps: adds it, or says whether it is there. */
sal_status sal_store_add_gaps(sal_sql *sql);
sal_status sal_store_has_gaps(int *has, sal_sql *sql, const char *schema);
/* Are the tables those of salmap, and the pages sound? schema: "main", or "part" of what was attached.
 * Errors: FORMAT (names the table). */
sal_status sal_store_check_tables(sal_sql *sql, const char *schema);
/* A database with tables of which none is called as salmap's is somebody's own. Errors: ARGUMENT (it is), IO, FORMAT.
 */
sal_status sal_store_refuse_foreign(sal_sql *sql);
/* The rows of table run. */
sal_status sal_store_write_run(sal_sql *sql, const sal_run *run, size_t pictures);
/* Statement: the table of files that failed, which only some results have. */
extern const char sal_store_failed_table[];
/* Is what is asked for now what the results were begun with, but for a list that is extended? Errors: ARGUMENT (names
 * the first difference). */
sal_status sal_store_check_run(sal_sql *sql, const sal_run *run);
/* Are the rows of the list that results have those of this one? Errors: ARGUMENT (names the first that is not). */
sal_status sal_store_check_list(sal_sql *sql, const sal_dataset *dataset);
/* Statement: clears overlay_file of all but the n (its parameter 1) highest scores. */
extern const char sal_store_keep_top_sql[];

#endif
