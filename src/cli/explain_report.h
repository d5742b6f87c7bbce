/* What `salmap explain` prints: a line or a JSON object per picture. */
#ifndef SAL_CLI_EXPLAIN_REPORT_H
#define SAL_CLI_EXPLAIN_REPORT_H

#include "cli/notes.h"

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
    int name_width;
    cli_notes notes;
    struct timespec begin;
} explain_report;

void explain_report_begin(explain_report *r, const sal_model_info *info, const sal_explain_options *o,
                          const char *const *paths, size_t count);
/* A sal_explain_callback; stops the run when standard output is gone. */
int explain_report_picture(void *context, const sal_explain_result *result);
void explain_report_end(const explain_report *r, size_t count, size_t failed);

#endif
