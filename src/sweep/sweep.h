/* A sweep while it runs: for the files that make it up. */
#ifndef SAL_SWEEP_SWEEP_H
#define SAL_SWEEP_SWEEP_H

#include "base/digest.h"
#include "results/run.h"
#include "sweep/pipeline.h"
#include "sweep/top_scores.h"

#include <sys/stat.h>

typedef struct sal_sweep_state {
    sal_sweep_options options; /* with defaults filled in */
    const char *folder;
    const sal_model *model;
    sal_model_info info;
    const sal_dataset *dataset;
    sal_dataset *frozen; /* the list as it was when the run began, where that is another one; owned */
    char *settings;
    char model_sha256[SAL_DIGEST_SIZE];
    char manifest_sha256[SAL_DIGEST_SIZE];
    sal_run run;
    sal_output_layout layout; /* as the settings say it */
    sal_run_names names;
    sal_store *store;
    char *store_path;
    unsigned char *known; /* sal_known of each picture, when the run began */
    struct stat root;     /* the folder of the pictures, when the run began */
    int has_root;
    /* The pictures that this call computes: */
    size_t *rows;
    const char **paths;
    const char **stems;
    sal_target *targets; /* with SAL_TARGET_LABEL */
    size_t count;
    /* How it goes: */
    sal_sweep_progress progress;
    sal_result_map *maps; /* of one picture */
    int stopped;
    sal_top_scores top; /* with SAL_OVERLAYS_TOP */
} sal_sweep_state;

/* ---- begin.c -------------------------------------------------------------- */

/* Opens the run folder, or makes it, and reads what is known: which pictures are left to do. The options are checked,
 * folder, model and info are set. Errors: those of sal_sweep before the first picture. */
sal_status sal_sweep_begin(sal_sweep_state *s, sal_engine *engine);

#endif
