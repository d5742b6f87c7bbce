/* A finished run as somebody finds it: what it is of, a row for each map, and the pictures of its folder. Nothing of it
 * is trusted: rows are checked as an export checks them, and names are followed within the folder alone. */
#ifndef SAL_REPORT_KEPT_H
#define SAL_REPORT_KEPT_H

#include "results/run.h"

#include <jansson.h>

typedef struct sal_kept_run {
    sal_run_folder folder;
    sal_run_facts facts; /* its list may be NULL */
    char *model;         /* as the run names it, or NULL */
    char *origin;        /* where its preprocessing came from, or NULL */
    char *root;          /* where the relative paths of its list started from, or NULL */
    int64_t outputs;     /* of the model; 0: that is not known */
    char separator;      /* as of sal_label_read, of the list that the run was made of */
    int classes;         /* 1: its outputs have names */
    sal_normalize normalize;
    sal_target_kind asked; /* what its maps are of: PREDICTED, MEAN or MARGIN; of single outputs the rows say which */
} sal_kept_run;

/* Errors: IO, FORMAT, ARGUMENT (a link), MEMORY. */
sal_status sal_kept_open(sal_kept_run *out, const char *path);
void sal_kept_close(sal_kept_run *run); /* fine on a zeroed struct whose folder's fd is -1 */
/* The value of an option; NULL: the run does not say. *out: free with free(). Errors: MEMORY. */
sal_status sal_kept_setting(char **out, const sal_kept_run *run, const char *name);
/* FORMAT: a setting has a value that is none. */
sal_status sal_kept_fail_setting(const sal_kept_run *run, const char *name, const char *value);

/* The run's list, which it must have, with the paths of its pictures as they are opened. root: where relative ones
 * start; NULL: as the run has it. Errors: as sal_run_list_open, FORMAT (it is another list by now). */
sal_status sal_kept_list_open(sal_dataset **out, const sal_kept_run *run, const char *root);

/* Calls visit for each picture in the order of the list, with what an export says of it as JSON, which is borrowed.
 * Errors: those of sal_sweep_export, and of visit. */
sal_status sal_kept_each(const sal_kept_run *run, sal_status (*visit)(void *context, const json_t *picture),
                         void *context);

/* Sets run->outputs where neither run.json nor the settings say it, and the rows leave no doubt. Errors: as
 * sal_kept_each. */
sal_status sal_kept_count_outputs(sal_kept_run *run);
/* 1: the model surely has one output, a value in the unit of the labels and no probability. */
int sal_kept_is_value(const sal_kept_run *run, const json_t *picture);

/* The name under this key: its bytes, where they are no UTF-8, are in the hexadecimal form beside it. *out: free with
 * free(); NULL: there is none. Errors: MEMORY. */
sal_status sal_kept_name(char **out, const json_t *object, const char *key);

/* A file of the folder, decoded within limits, which are complete: an overlay, or a map as a picture of one channel.
 * Errors: IO (also: it is gone), FORMAT, ARGUMENT (a link), UNSUPPORTED, LIMIT, MEMORY. */
sal_status sal_kept_picture(sal_picture *out, const sal_kept_run *run, const char *name, const sal_limits *limits);

/* A map of it, of any of its formats, as finite values. *out: free with sal_free. Errors likewise. */
sal_status sal_kept_map(float **out, int64_t *height, int64_t *width, const sal_kept_run *run, const char *name,
                        const sal_limits *limits);

#endif
