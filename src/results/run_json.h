/* run.json: what a run is of, and the sign that a folder is one. */
#ifndef SAL_RESULTS_RUN_JSON_H
#define SAL_RESULTS_RUN_JSON_H

#include "base/digest.h"
#include "results/run_files.h"
#include "results/store.h"

#define SAL_RUN_JSON "run.json"
#define SAL_RUN_MANIFEST "manifest.csv"

#define SAL_RUN_JSON_MOST ((uint64_t)1 << 24) /* bytes: a command line's worth of inputs, and more */

/* Two of its fields that are outside the fingerprint, and that runs of before do not have: how many outputs the model
 * has, and what stood between the fields of a list with labels, where that was no comma ("": it was no table), which
 * says what commas in labels mean. */
#define SAL_RUN_OUTPUTS "outputs"
#define SAL_RUN_SEPARATOR "separator"

typedef enum sal_run_sign {
    SAL_RUN_UNSIGNED, /* there is no run.json */
    SAL_RUN_FOREIGN,  /* there is one, and its fingerprint is not that of its fields: somebody else's */
    SAL_RUN_SIGNED
} sal_run_sign;

typedef struct sal_run_description {
    sal_run_sign sign;
    char fingerprint[SAL_DIGEST_SIZE]; /* these only where it is signed */
    char *settings;                    /* as sal_run's */
    char *manifest_sha256;
} sal_run_description;

/* Errors: IO, MEMORY, ARGUMENT (a link). */
sal_status sal_run_description_read(sal_run_description *out, const sal_run_folder *folder);
void sal_run_description_clear(sal_run_description *description); /* fine on a zeroed struct */

/* The same for all shards of a run, and another one for another model, list or option. Errors: MEMORY. */
sal_status sal_run_fingerprint(char sha256[SAL_DIGEST_SIZE], const char *model_sha256, const char *manifest_sha256,
                               const char *settings);

/* Writes it. inputs: as the user named the pictures. *made: 0, there is one already, which stays; NULL: that is
 * replaced. Errors: ARGUMENT (a setting that JSON cannot hold), IO, MEMORY. */
sal_status sal_run_description_write(int *made, const sal_run_folder *folder, const sal_run *run,
                                     const sal_dataset *dataset, const char *const *inputs, size_t input_count);

#endif
