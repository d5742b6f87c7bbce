/* A merge while it goes on: for the files that make it up. */
#ifndef SAL_RESULTS_MERGE_INTERNAL_H
#define SAL_RESULTS_MERGE_INTERNAL_H

#include "results/run.h"

typedef struct merge_shard {
    char *path;                   /* of its result file; NULL: not found */
    const sal_run_folder *folder; /* the run folder that it was found in */
} merge_shard;

typedef struct merge {
    const char *const *runs;
    size_t run_count;
    sal_run_folder *folders; /* of the runs */
    size_t folder_count;     /* that are open */
    const char *target;      /* folder of the result */
    sal_run_folder target_folder;
    int in_place;
    merge_shard *shards;
    int64_t count;       /* of shards; 0: none was found yet */
    sal_run_facts facts; /* that the folder of the first shard tells */
    int *locks;          /* of the runs, and of the target where that is none of them */
    size_t lock_count;
    sal_sql sql;
    int keeps_top;   /* 1: overlays of the best scores alone: of all shards, fewer than of each */
    char *temporary; /* the result while it is being made */
    char *final;
} merge;

/* Attaches a shard's results as "part" and looks at everything in them, before a row is copied: whose they are, that
 * each picture is there once, and that every file they name is one that the run makes.
 * Errors: FORMAT (names shard, table and row), IO, MEMORY. */
sal_status merge_check_shard(merge *m, int64_t index);

#endif
