/* What exceeded a limit, and which limits the sessions of a run had. Before a session's first result. */
#ifndef SAL_RESULTS_LIMITS_H
#define SAL_RESULTS_LIMITS_H

#include "results/store.h"

/* Records the limits of the session that has begun. *changed: no session before had this max_pixels, or none as much
 * memory, whose default is another one each time. Errors: IO, FORMAT, MEMORY. */
sal_status sal_store_note_limits(int *changed, sal_store *store, const sal_limits *limits);
/* Sets failed[row] to SAL_ERROR_LIMIT or SAL_ERROR_MEMORY for pictures that failed by it; others are left as they are.
 * Errors likewise. */
sal_status sal_store_limited(int *failed, sal_store *store, size_t count);

#endif
