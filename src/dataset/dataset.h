/* Which pictures a run is about, and what is known of them: rows of a manifest. Knows
 * files and folders; nothing of networks or of results. */
#ifndef SAL_DATASET_DATASET_H
#define SAL_DATASET_DATASET_H

#include "dataset/patterns.h"

#include <stdio.h>

enum { SAL_MAX_COLUMNS = 256 };
#define SAL_ID_COLUMN "salmap_id" /* in the results, beside the manifest's own */

struct sal_dataset {
    char *root;    /* the folder that relative paths start from; "": the working folder */
    int manifest;  /* 1: the rows come from a manifest, not from a folder, a glob or names of files */
    char *header;  /* the columns' names, each with its zero */
    char *text;    /* the rows' fields, likewise, column after column */
    size_t used;   /* bytes of text */
    size_t room;   /* bytes text has room for */
    size_t *rows;  /* where each row begins in text */
    size_t *lines; /* of a manifest: line of each row, from 1; else NULL */
    size_t count;
    size_t row_room;
    size_t line_room;
    const char *columns[SAL_MAX_COLUMNS]; /* into header */
    int column_count;
    int path_column;
    int label_column; /* -1: there is none */
    char **files;     /* one per row: what to open */
    char **named;     /* folders among several inputs, each with a slash at its end */
    size_t named_count;
    size_t named_room;
    char **patterned; /* folders that patterns among the inputs begin with, likewise; "" of the working folder */
    size_t patterned_count;
    size_t patterned_room;
    char separator;        /* of a manifest's fields */
    char *path_name;       /* the columns that the caller chose, or NULL: "path", */
    char *label_name;      /* and "label" where there is one */
    int labels_by_folder;  /* 1: a picture's label is the sub-folder of the input that it lies in */
    sal_patterns patterns; /* which pictures are taken */
    size_t left_out;       /* pictures that the patterns leave out, */
    size_t folders_left_out;
    char **folders; /* names of the sub-folders of one input folder, sorted by their bytes */
    size_t folder_count;
    size_t folder_room;
};

/* Appends a row of one column, or of two where labels are folders: the first part of what is below the input, "" where
 * it lies in no sub-folder. below: the end of `path`. Pictures that the patterns leave out are only counted.
 * Errors: MEMORY. */
sal_status sal_dataset_add_path(sal_dataset *d, const char *path, const char *below);

/* Remembers the folder before the first name of a path that is a pattern. Errors: MEMORY. */
sal_status sal_dataset_add_pattern(sal_dataset *d, const char *pattern);
/* Whether a path is relative, and none of its folders goes up. */
int sal_dataset_is_below(const char *path);

/* What each row opens. Errors: MEMORY. */
sal_status sal_dataset_make_files(sal_dataset *d);

/* ---- csv.c --------------------------------------------------------------- */

/* Fills columns and rows from the text of a manifest, which is changed: RFC 4180 with commas, semicolons or tabs,
 * whichever the first line has, and a byte order mark or none. name stands for it in messages.
 * Errors: FORMAT (names the line), LIMIT, MEMORY. */
sal_status sal_csv_parse(sal_dataset *d, char *text, size_t size, const char *name);
/* FORMAT: it holds null bytes. */
sal_status sal_csv_fail_null(const char *name);
/* Whether a text begins as UTF-16 that has a byte order mark. */
int sal_csv_is_utf16(const void *bytes, size_t size);
/* That text as UTF-8, without its mark. *out: free with free(). Errors: FORMAT (half a character), LIMIT, MEMORY. */
sal_status sal_csv_from_utf16(char **out, size_t *length, const void *bytes, size_t size, const char *name);
/* One field, quoted where it must be. */
void sal_csv_print(FILE *to, const char *field);
/* The same for people: an apostrophe goes before a text that spreadsheets take for a formula, which begins with one of
 * = + - @, a tab or the end of a line, perhaps behind apostrophes, and is no number. */
void sal_csv_print_guarded(FILE *to, const char *field);

/* ---- folder.c ------------------------------------------------------------ */

/* Appends the pictures of a folder sorted by name, as prefix and path below the folder; with its sub-folders where
 * `deep`, but for hidden ones and earlier runs' folders. What `salmap explain` wrote is no picture.
 * Errors: IO (names the folder), MEMORY. */
sal_status sal_folder_list(sal_dataset *d, const char *folder, const char *prefix, int deep, int may_be_empty);

/* Whether it is a run's file or folder, such as its maps, or lies beside its results while salmap is at work. */
int sal_folder_is_of_run(const char *path);

/* ---- For what makes results of it ---------------------------------------- */

/* A field of a row. Borrowed. */
const char *sal_dataset_field(const sal_dataset *d, size_t row, int column);
/* A sal_file_judge of manifests, whose context is the path: gigabytes may be all hole. Errors: FORMAT. */
sal_status sal_dataset_judge_list(void *path, const unsigned char *head, size_t head_size, uint64_t file_size);
/* As sal_dataset_open of a manifest that was read already; path stands for it in messages. Of the options, root and
 * the names of columns count. Errors: FORMAT (names the line), LIMIT, MEMORY. */
sal_status sal_dataset_from_manifest(sal_dataset **out, const void *bytes, size_t size, const char *path,
                                     const sal_dataset_options *options);
/* The manifest in its plainest form: commas, quotes where they must be, "\n". *out: free with free().
 * Equal data sets give equal bytes. Errors: MEMORY. */
sal_status sal_dataset_text(char **out, size_t *size, const sal_dataset *d);
/* Which part of `count` a row belongs to. */
int64_t sal_dataset_shard(const sal_dataset *d, size_t row, int64_t count);
/* The columns' names with commas between them, cut to size; returns text. */
const char *sal_dataset_columns(char *text, size_t size, const sal_dataset *d);
/* The options that the list was made with, as those of `salmap sweep`: calls visit for each, until one fails. Errors:
 * those of visit. */
sal_status sal_dataset_options_each(const sal_dataset *d,
                                    sal_status (*visit)(void *context, const char *name, const char *value),
                                    void *context);
/* How many rows of `now` have a path that `then` does not have; *first: one of those paths. Errors: MEMORY. */
sal_status sal_dataset_added(size_t *count, const char **first, const sal_dataset *now, const sal_dataset *then);
/* *file: one that a row of `then` opens, which is there, and neither has `now` its path, nor does it lie in a folder
 * of which `now` takes all; NULL: there is none. Borrowed. Errors: MEMORY. */
sal_status sal_dataset_unnamed(const char **file, const sal_dataset *then, const sal_dataset *now);

/* ---- extend.c -------------------------------------------------------------- */

/* A list that was read back from a run was made as that of now: from no manifest, by the same patterns, its labels of
 * the same folders. Errors: MEMORY. */
sal_status sal_dataset_take_origin(sal_dataset *then, const sal_dataset *now);

/* The rows of `then`, and behind them those of `now` that it does not have; both have paths from one folder on. *added:
 * how many; *out is the caller's. Errors: ARGUMENT (other columns, or a row of `then` that is not in `now` as it was:
 * names it), LIMIT, MEMORY. */
sal_status sal_dataset_extend(sal_dataset **out, size_t *added, const sal_dataset *now, const sal_dataset *then);

/* ---- labels.c -------------------------------------------------------------- */

/* What a field of labels is. */
typedef enum sal_label_text {
    SAL_LABEL_EMPTY,  /* nothing, or what tools write for nothing: NA, NaN, null */
    SAL_LABEL_NUMBER, /* with a decimal point or comma, and blanks around it */
    SAL_LABEL_WORD /* anything else; also 1,234 among fields with commas between them: a thousand, or one and a bit? */
} sal_label_text;

/* *number: of a number. label NULL: EMPTY. separator: of the fields of the list that it is from; 0: it is from none. */
sal_label_text sal_label_read(double *number, const char *label, char separator);
/* The same of a row. One that is not there, or a list without labels: EMPTY. */
sal_label_text sal_dataset_read_label(double *number, const sal_dataset *d, size_t row);
/* Without the blanks around it. *length: of what is left. Borrowed. */
const char *sal_label_trim(size_t *length, const char *label);
/* Do some numbers have a decimal comma and others a point? Then one of them is a thousand. Errors: FORMAT (names both).
 */
sal_status sal_dataset_check_points(const sal_dataset *d);

#endif
