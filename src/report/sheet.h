/* A contact sheet while it is made: for the files that make it up. */
#ifndef SAL_REPORT_SHEET_H
#define SAL_REPORT_SHEET_H

#include "report/kept.h"

/* The place of a cell in the order that is asked for: numbers come first, then words, then what has no value. */
typedef enum sheet_kind { SHEET_NUMBER, SHEET_WORD, SHEET_NOTHING } sheet_kind;
typedef struct sheet_key {
    sheet_kind kind;
    double number;
    char *word; /* free with free() */
} sheet_key;

/* One map of one picture. Texts: free with free(). */
typedef struct sheet_cell {
    char *name;       /* the picture's, as it is listed */
    char *prediction; /* "predicted 4.1" */
    char *label;      /* NULL: it has none */
    char *target;     /* what the map is of, where that is not just the prediction; else NULL */
    char *file;       /* its overlay, or its map */
    int is_map;
    size_t at; /* its place in the results */
    sheet_key key;
} sheet_cell;

typedef struct sheet {
    const sal_kept_run *run;
    const sal_sheet_options *options;
    sal_limits limits; /* complete */
    const char *label; /* the column of labels, or NULL; borrowed from the run's list */
    sheet_cell *cells;
    size_t count;
    size_t room;
    int has_targets; /* 1: some cells have a target */
    size_t keyed;    /* cells that have a value of the column */
} sheet;

/* CANCELLED where the caller stops it; drawn: so many maps by now. */
sal_status sheet_go_on(const sheet *s, size_t drawn);

/* ---- sheet_sort.c -------------------------------------------------------- */

/* The value of options->sort, of a picture's map. Errors: MEMORY. */
sal_status sheet_key_make(sheet_key *out, const sheet *s, const json_t *picture, const json_t *map);
/* Ordered by it: numbers, the highest first, then words by their letters, then what has no value. reverse turns both
 * orders, not that of the three. */
void sheet_sort(sheet *s);
/* "error 0.15": *text is cut to size. Nothing where there is no value. */
void sheet_key_print(char *text, size_t size, const sheet *s, const sheet_key *key);

/* ---- sheet_draw.c ---------------------------------------------------------- */

/* The first cells, so many, as the bytes of a file; *failed: how many pictures could not be read. */
sal_status sheet_draw(void **bytes, size_t *size, size_t *failed, const sheet *s, size_t count);

#endif
