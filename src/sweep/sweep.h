/* A sweep while it runs: for the files that make it up. */
#ifndef SAL_SWEEP_SWEEP_H
#define SAL_SWEEP_SWEEP_H

#include "base/digest.h"
#include "results/in_flight.h"
#include "results/run.h"
#include "sweep/pipeline.h"
#include "sweep/run_options.h"
#include "sweep/top_scores.h"

#include <sys/stat.h>

/* How labels are read. */
typedef struct sal_labels {
    const sal_dataset *dataset;
    const sal_classes *classes; /* or NULL */
    int64_t outputs;
    int yes_or_no; /* 1: the network has one output, and a sigmoid follows */
    int by_name;   /* 1: labels are names of classes */
    int asked;     /* 1: the names are the user's own choice */
} sal_labels;

typedef enum sal_label_meaning {
    SAL_LABEL_GOOD,    /* an output, or the value of a regression */
    SAL_LABEL_MISSING, /* there is none */
    SAL_LABEL_UNKNOWN, /* neither a number nor the name of a class */
    SAL_LABEL_OUTSIDE  /* a number, and no output */
} sal_label_meaning;

typedef struct sal_sweep_state {
    sal_sweep_options options; /* with defaults filled in; explain points to how, */
    sal_run_options how;       /* which is complete */
    const char *folder;
    const sal_model *model;
    sal_model_info info;
    const sal_dataset *dataset;
    sal_labels labels;
    sal_dataset *frozen; /* the list as it was when the run began, or with what is new, where that is another one; owned
                          */
    const char *baseline;                  /* file of the method's, or NULL; borrowed */
    char baseline_sha256[SAL_DIGEST_SIZE]; /* as the settings say */
    char *settings;
    char model_sha256[SAL_DIGEST_SIZE];
    char manifest_sha256[SAL_DIGEST_SIZE];
    sal_run run;
    sal_output_layout layout; /* as the settings say it */
    sal_run_names names;
    sal_store *store;
    char *store_path;
    struct stat root; /* the folder of the pictures, when the run began */
    int has_root;
    /* The pictures that this call computes: */
    size_t *rows;
    const char **paths;
    const char **stems;
    sal_target *targets; /* with SAL_TARGET_LABEL */
    size_t count;
    /* How many of them, the last ones, may be what killed the process before, and after these, one at a time: */
    size_t suspects, alone;
    size_t first; /* of those that the pipeline has now */
    sal_in_flight *in_flight;
    /* How it goes: */
    sal_sweep_progress progress;
    sal_result_map *maps; /* of one picture */
    double began;         /* computing, as sal_pipeline_now says */
    int stopped;
    sal_top_scores top; /* with SAL_OVERLAYS_TOP */
} sal_sweep_state;

/* ---- sweep_options.c ------------------------------------------------------ */

/* Fills in defaults. The options are complete, and the data set is there. Errors: ARGUMENT. */
sal_status sal_sweep_check_options(sal_sweep_state *s);

/* ---- begin.c -------------------------------------------------------------- */

/* Opens the run folder, or makes it, and reads what is known: which pictures are left to do. The options are checked,
 * folder, model and info are set. Errors: those of sal_sweep before the first picture. */
sal_status sal_sweep_begin(sal_sweep_state *s, sal_engine *engine);

/* What the command says by itself: no other process changes that, however long it takes. */
sal_status sal_sweep_read_command(sal_sweep_state *s, sal_engine *engine);
/* Everything that may refuse it in this folder, before anything is changed there. */
sal_status sal_sweep_check_folder(sal_sweep_state *s, const sal_model *model);

/* ---- dry_run.c ------------------------------------------------------------ */

/* Checks the run folder, which need not be there, and counts what is done of the run; changes nothing. Where a process
 * that was killed left a journal beside the results, they are not opened, and nothing is counted as done. Errors: those
 * of sal_sweep before the first picture. */
sal_status sal_sweep_look_at_run(sal_sweep_state *s);

/* ---- labels.c ------------------------------------------------------------- */

/* Decides how labels are read, tells the caller what they are, and refuses those that the options cannot do with. The
 * options and the network's info are there. Errors: ARGUMENT, FORMAT (decimal points and commas). */
sal_status sal_sweep_read_labels(sal_sweep_state *s);
/* Whether names of outputs are the user's own choice, and not only those of the model's file. */
int sal_sweep_asks_for_names(const sal_sweep_state *s);
/* *value: of a good one, and of a number that is no output. */
sal_label_meaning sal_sweep_label(double *value, const sal_labels *labels, size_t row);
/* The output that a picture's label names, where there are several; -1: none. */
int64_t sal_sweep_output_of(const sal_sweep_state *s, size_t row);

/* ---- list.c --------------------------------------------------------------- */

sal_status sal_sweep_hash_list(char sha256[SAL_DIGEST_SIZE], const sal_dataset *d);
/* Takes the list of the run that is there in place of that of now, or refuses it. Errors: ARGUMENT, those of results.
 */
sal_status sal_sweep_reconcile_list(sal_sweep_state *s);
/* Leaves the names of a model's file out of a run that was begun without, before labels are read. Errors: those of
 * results. */
sal_status sal_sweep_choose_classes(sal_sweep_state *s);
/* Adds to the settings how the list is read. Errors: ARGUMENT (a name with a line break), MEMORY. */
sal_status sal_sweep_list_settings(sal_sweep_state *s);

/* ---- missing.c ------------------------------------------------------------ */

/* Whether a file of the list is there: looks no further than the first. */
int sal_sweep_is_any_there(const sal_dataset *dataset);
/* Looks for every file of the list: s->progress.missing. */
void sal_sweep_count_missing(sal_sweep_state *s);
/* ARGUMENT: no file is there; says where they were looked for. */
sal_status sal_sweep_fail_missing(const sal_sweep_state *s);

/* ---- pending.c ------------------------------------------------------------ */

/* Which pictures are left to do, suspects last; opens s->in_flight. Errors: IO, FORMAT, MEMORY. */
sal_status sal_sweep_list_pending(sal_sweep_state *s);
/* How many a run would have done by now, before it computes any: s->progress. sql: its results, which are not written
 * to. Errors: FORMAT, IO, MEMORY. */
sal_status sal_sweep_count_done(sal_sweep_state *s, sal_sql *sql);

/* ---- suspects.c ----------------------------------------------------------- */

/* Has a process of its own read each of `count` suspects from number `first` on, unless the sweep was stopped: where
 * that dies the picture has failed; the others, *fine in number, come first then. Errors: LIMIT (too many failures),
 * IO (there is no program to read them), those of results. */
sal_status sal_sweep_try_suspects(size_t *fine, sal_sweep_state *s, size_t first, size_t count);

/* ---- sweep.c -------------------------------------------------------------- */

/* Records a picture that has failed, in slot->status and slot->error. is_harmless: 0, it may be what killed the process
 * before, and is a suspect the next time as well. Errors: LIMIT (too many), those of results. */
sal_status sal_sweep_fail_picture(sal_sweep_state *s, size_t row, const sal_slot *slot, int is_harmless);
/* The run folder, as sal_run_lock, however long others have it. Errors: CANCELLED (the caller stops the sweep), IO. */
sal_status sal_sweep_lock(int *lock, sal_sweep_state *s);
/* What keeps which threads busy, and what the speed hangs on. store_busy: seconds. */
void sal_sweep_measure(sal_sweep_progress *p, double store_busy, const sal_pipeline_state *state);
/* Tells the caller how it goes; 1: the sweep is stopped. */
int sal_sweep_look(sal_sweep_state *s);

#endif
