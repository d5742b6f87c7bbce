/* Explaining pictures into one folder, however they are listed. */
#ifndef SAL_SWEEP_EXPLAIN_H
#define SAL_SWEEP_EXPLAIN_H

#include "sweep/pipeline.h"

/* What is explained. All is borrowed. */
typedef struct sal_explain_call {
    sal_engine *const *engines; /* that were taken */
    size_t engine_count;
    const char *const *paths;
    const char *const *places; /* as of sal_output_layout; NULL: all results go to one folder */
    const char *const *labels; /* one per picture, for figures; NULL: there are none */
    size_t count;
    const sal_explain_options *options; /* complete */
    const sal_target *targets;          /* one per picture, in place of that of the options; or NULL */
    int64_t write;                      /* bits of sal_write; 0: as the options say */
    sal_explain_callback callback;      /* or NULL */
    int (*progress)(void *context, const sal_sweep_progress *progress); /* or NULL */
    void *context;                                                      /* of both */
} sal_explain_call;

/* *failed: pictures. Errors: those of sal_explain_files. */
sal_status sal_explain(size_t *failed, const sal_explain_call *call);

#endif
