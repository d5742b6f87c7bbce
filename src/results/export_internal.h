/* An export while it goes on: for the files that make it up. */
#ifndef SAL_RESULTS_EXPORT_INTERNAL_H
#define SAL_RESULTS_EXPORT_INTERNAL_H

#include "dataset/classes.h"
#include "results/run_names.h"
#include "results/sql.h"

#include <stdio.h>

/* Four statements in step, each in the order of pictures. */
typedef struct export
{
    sal_sql *sql;
    const sal_run_names *names; /* or NULL */
    sqlite3_stmt *pictures;
    sqlite3_stmt *manifest; /* likewise one row per picture */
    sqlite3_stmt *maps;
    sqlite3_stmt *predictions;
    sqlite3_stmt *timings; /* or NULL */
    int map_row;           /* 1: maps stands on a row */
    int prediction_row;
    int64_t predictions_kept;
    int map_columns;      /* MAP_COLUMNS, and one more where there are gaps */
    int path_column;      /* of the manifest */
    char *path_name;      /* what the list calls it */
    sal_classes *classes; /* names of the outputs, or NULL */
    int64_t picture;      /* the last one; -1 at first */
    FILE *to;
}
export;

/* Columns of the statements, as selected below. */
enum { PATH = 1, STATUS, ERROR, BYTES, WIDTH, HEIGHT, PREDICTED, PREDICTED_SCORE, PREDICTED_PROBABILITY, CORRECT };
enum {
    MAP_RANK = 1,
    MAP_TARGET,
    MAP_SCORE,
    MAP_PROBABILITY,
    MAP_MIN,
    MAP_PEAK,
    MAP_MEAN,
    MAP_FLAT,
    MAP_FILE = 13,
    MAP_COLUMNS = 15, /* without the gap of methods that have one */
    MAP_GAP = MAP_COLUMNS
};

/* ---- export_classes.c ------------------------------------------------------- */

/* What the run says of its list and of its classes. Errors: FORMAT, MEMORY, IO. */
sal_status export_open_names(export *e);
void export_close_names(export *e);
/* Columns of names, behind all others, where the run has names. */
extern const char *const export_class_columns[2];
/* The name of the output in a column of a statement; NULL: there is none. Borrowed. */
const char *export_class_of(const export *e, sqlite3_stmt *s, int column);
/* Prints both; has_map: e->maps stands on the map. */
void export_print_classes(const export *e, const char *predicted, int has_map);

/* Rows that cannot be, of the picture that e->pictures stands on. All: FORMAT, naming table and picture. */

sal_status export_fail_row(const export *e, const char *table, int64_t id, const char *what);
/* Pictures are numbered, in their order, and have a path and a status; e->picture is the number from here on. */
sal_status export_check_picture(export *e);
/* Its path is that of its row in the list, which e->manifest stands on, and that row is the list's. */
sal_status export_check_list(const export *e);
/* The files of the row that e->maps stands on are the run's. */
sal_status export_check_files(const export *e);
/* Ranks count from 1. found: rows of the picture before this one. */
sal_status export_check_rank(const export *e, const char *table, sqlite3_stmt *s, int64_t found);
/* A picture that did not fail has a map and a prediction, which come next. */
sal_status export_check_some(const export *e);
/* No row of maps or predictions is of a picture that is not there, before `id`, or after the last. */
sal_status export_check_all_taken(const export *e, int64_t id);
sal_status export_check_rest(const export *e);

#endif
