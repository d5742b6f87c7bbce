/* How `salmap sweep` tells how it goes: a bar, lines, or events for machines. */
#ifndef SAL_CLI_SWEEP_REPORT_H
#define SAL_CLI_SWEEP_REPORT_H

#include "cli/notes.h"
#include "cli/progress.h"
#include "cli/shard.h"
#include "salmap/plan.h"

typedef struct sweep_report {
    int json;
    int quiet;
    int dry_run;
    const char *folder;
    const sal_classes *classes; /* or NULL */
    double tolerance;           /* of a regression */
    const sal_dataset *pictures;
    int as_output;     /* 1: labels are numbers of outputs by the user's own word */
    int regression;    /* 1: the network gives a value, not classes */
    char labels[1024]; /* what the labels are, for the plan; "": there are none */
    int terminal;      /* 1: stderr is one: a bar is drawn */
    cli_bar bar;
    double told;     /* progress->seconds of what was told last */
    int told_last;   /* 1: that it was the last picture */
    size_t failures; /* told one by one so far */
    cli_notes notes;
} sweep_report;

void sweep_report_begin(sweep_report *r, const sal_model_info *info, const sal_explain_options *how, const char *device,
                        size_t pictures, const cli_shard *shard);
void sweep_report_progress(sweep_report *r, const sal_sweep_progress *p);
void sweep_report_labels(sweep_report *r, const sal_label_counts *counts);
void sweep_report_failure(sweep_report *r, const char *path, const char *error);
/* What was taken for granted of a picture: notes, bits of sal_note, and a line of text for each. */
void sweep_report_note(sweep_report *r, const char *path, int64_t notes, const char *text);
/* outcome: "complete", "stopped" or "failed". */
void sweep_report_end(sweep_report *r, const sal_sweep_progress *p, const char *outcome);
/* What would be done: how far the run is. */
void sweep_report_plan(sweep_report *r, const sal_model_info *info, const sal_plan_info *plan,
                       const sal_dataset *pictures, const cli_shard *shard, const sal_sweep_progress *p);
/* Takes the bar away, for a message. */
void sweep_report_clear(sweep_report *r);

#endif
