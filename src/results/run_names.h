/* Which files a run makes of its pictures: its list and its settings say so, and nothing else does. A file that is not
 * among them is somebody's own, whatever its name ends with. */
#ifndef SAL_RESULTS_RUN_NAMES_H
#define SAL_RESULTS_RUN_NAMES_H

#include "dataset/dataset.h"
#include "results/names.h"

typedef struct sal_run_names {
    const sal_dataset *dataset; /* borrowed */
    sal_output_layout layout;   /* of the run folder: out_dir is "" */
    sal_names names;
} sal_run_names;

/* The files of each picture, in the settings' words; what they do not say is the default. out_dir is "".
 * Errors: MEMORY. */
sal_status sal_run_layout(sal_output_layout *out, const char *settings);
/* Errors: MEMORY. */
sal_status sal_run_names_make(sal_run_names *out, const sal_dataset *dataset, const char *settings);
void sal_run_names_clear(sal_run_names *names); /* fine on a zeroed struct */

/* Whose file "maps/000/a.npy" is: a row of the list; -1: it is none of the run's. */
int64_t sal_run_names_find(const sal_run_names *names, const char *file);
/* Likewise, of a file that was being written: "maps/000/a.npy.tmp-12-0". */
int64_t sal_run_names_find_unfinished(const sal_run_names *names, const char *file);
/* Is `name` the file of one of these kinds that the run makes of the map of that rank, from 1? NULL: it may have made
 * none, but of maps where it keeps maps. *same: 1. Errors: MEMORY. */
#define SAL_FILES_MAP (SAL_FILE_BIT(SAL_FILE_NPY) | SAL_FILE_BIT(SAL_FILE_NPZ) | SAL_FILE_BIT(SAL_FILE_PNG16))
sal_status sal_run_names_check(int *same, const sal_run_names *names, unsigned files, int64_t picture, int64_t rank,
                               const char *name);
/* Where sal_file_create's temporary suffix begins in a name, ".tmp-12-0", or NULL. */
const char *sal_run_temporary_suffix(const char *name);

#endif
