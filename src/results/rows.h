/* The rows of one result in the tables. */
#ifndef SAL_RESULTS_ROWS_H
#define SAL_RESULTS_ROWS_H

#include "dataset/dataset.h"
#include "results/result.h"
#include "results/sql.h"

typedef enum sal_rows_table {
    SAL_ROWS_PICTURES,
    SAL_ROWS_PREDICTIONS,
    SAL_ROWS_MAPS,
    SAL_ROWS_TIMINGS,
    SAL_ROWS_MANIFEST,
    SAL_ROWS_TABLES
} sal_rows_table;

/* Statements that are prepared once. */
typedef struct sal_rows {
    sal_sql *sql;
    const sal_dataset *dataset;
    sqlite3_stmt *insert[SAL_ROWS_TABLES];
    sqlite3_stmt *insert_failed; /* NULL: nothing failed yet */
    int gaps;                    /* 1: maps have them */
} sal_rows;

sal_status sal_rows_open(sal_rows *out, sal_sql *sql, const sal_dataset *dataset);
void sal_rows_close(sal_rows *rows); /* fine on a zeroed struct, and twice */
/* Replaces what there is of the picture. */
sal_status sal_rows_put(sal_rows *rows, const sal_result *result);
/* Its row in the list alone. Likewise. */
sal_status sal_rows_put_manifest(sal_rows *rows, size_t picture);
/* After a failed put: statements that stopped midway would hold the transaction. */
void sal_rows_reset(sal_rows *rows);

#endif
