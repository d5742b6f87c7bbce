/* What `salmap explain` prints: a line or a JSON object per picture. */
#ifndef SAL_CLI_EXPLAIN_REPORT_H
#define SAL_CLI_EXPLAIN_REPORT_H

#include "cli/notes.h"
#include "cli/progress.h"
#include "cli/show.h"

#include <time.h>

typedef struct explain_report {
    int json;
    int quiet;
    int64_t outputs;
    sal_target target;
    int64_t top;
    const char *out_dir;
    const sal_classes *classes; /* names of several outputs, or NULL */
    int is_gradient;            /* 1: the plain method */
    const char *origin;         /* of the preprocessing, */
    char preprocess[1024];      /* and what it is */
    int name_width;             /* in columns of a terminal */
    const sal_dataset *pictures;
    size_t told; /* of them */
    int left;    /* 1: whoever read standard output has left */
    int terminal;
    cli_bar bar;
    cli_show show;
    double drawn_at;
    cli_notes notes;
    struct timespec begin;
} explain_report;

/* r->pictures, json and quiet are set. */
void explain_report_begin(explain_report *r, const sal_model_info *info, const sal_explain_options *o);
void explain_report_progress(explain_report *r, const sal_sweep_progress *p);
/* Before other lines on stderr. */
void explain_report_clear(explain_report *r);
/* A sal_explain_callback; stops the run when standard output is gone, unless it was a reader of lines who left. */
int explain_report_picture(void *context, const sal_explain_result *result);
void explain_report_end(const explain_report *r, size_t count, size_t failed);

#endif
