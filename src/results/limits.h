/* What exceeded a limit, and which limits the sessions of a run had. */
#ifndef SAL_RESULTS_LIMITS_H
#define SAL_RESULTS_LIMITS_H

#include "results/store.h"

/* *raised: no session before that came to its end allowed as many pixels and as much memory; a number of pixels that is
 * given allows more than the default, which refuses some TIFFs besides. Errors: IO, FORMAT, MEMORY. */
sal_status sal_store_limits_raised(int *raised, sal_store *store, const sal_limits *limits);
/* The same of a database that nobody may write to. */
sal_status sal_store_look_limits_raised(int *raised, sal_sql *sql, const sal_limits *limits);
/* Records the limits of the session that has begun, once all pictures are done: one that is interrupted may not have
 * come to those that failed by a limit before. After sal_store_limits_raised and sal_store_flush. Errors likewise. */
sal_status sal_store_keep_limits(sal_store *store, const sal_limits *limits);
/* Sets failed[row] to SAL_ERROR_LIMIT or SAL_ERROR_MEMORY for pictures that failed by it; others are left as they are.
 * Before the session's first result, as sal_store_limits_raised. Errors likewise. */
sal_status sal_store_limited(int *failed, sal_sql *sql, size_t count);

#endif
