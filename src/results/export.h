/* Results as text. */
#ifndef SAL_RESULTS_EXPORT_H
#define SAL_RESULTS_EXPORT_H

#include "results/sql.h"

#include <stdio.h>

/* All rows in the order of the list. A failed write is left to the stream's error mark.
 * Errors: FORMAT (no results of salmap), IO, MEMORY. */
sal_status sal_export_print(FILE *to, sal_sql *sql, const sal_export_options *options);

#endif
