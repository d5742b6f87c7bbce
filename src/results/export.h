/* Results as text. */
#ifndef SAL_RESULTS_EXPORT_H
#define SAL_RESULTS_EXPORT_H

#include "results/run_names.h"
#include "results/sql.h"

#include <stdio.h>

/* All rows in the order of the list. A failed write is left to the stream's error mark. names: of the run's list and
 * files, which the rows are compared with; NULL: there is nothing to compare them with.
 * Errors: FORMAT (no results of salmap, or of another list), IO, MEMORY. */
sal_status sal_export_print(FILE *to, sal_sql *sql, const sal_run_names *names, const sal_export_options *options);

/* Refuses to write to `path` where that is among the files of the run itself, or a name that they may get. Errors:
 * ARGUMENT, IO, MEMORY. */
sal_status sal_run_check_target(const char *path, const char *run);

#endif
