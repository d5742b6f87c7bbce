/* Options of a run as "name value" lines. */
#ifndef SAL_RESULTS_SETTINGS_LINES_H
#define SAL_RESULTS_SETTINGS_LINES_H

#include "base/error.h"

/* Calls visit for every line, until one fails. Errors: MEMORY, and those of visit. */
sal_status sal_settings_each(const char *settings,
                             sal_status (*visit)(void *context, const char *name, const char *value), void *context);

/* A line that is no option: what the picture was that `baseline` names. */
#define SAL_SETTINGS_BASELINE_SHA256 "baseline-sha256"

/* Another: which bits a picture gets. Raised whenever the same picture gets others, so that a run that was half done
 * does not become a mixture; 1 has no line. */
#define SAL_SETTINGS_ARITHMETIC "arithmetic"
enum {
    SAL_ARITHMETIC = 1,
    SAL_ARITHMETIC_MANY_PASSES = 2, /* of methods of many passes */
    SAL_ARITHMETIC_TIES = 3         /* of networks of which sal_engine_has_ties, whatever the method */
};

/* Another: how maps are normalised. 1, which has no line, is with keras-vis's 1e-7; SAL_MAP_ARITHMETIC is by the map's
 * own range. */
#define SAL_SETTINGS_MAP_ARITHMETIC "map-arithmetic"
enum { SAL_MAP_ARITHMETIC = 2 };

/* 1: an option of how pictures become input, which a sidecar or a recipe may say as well. */
int sal_settings_is_of_preprocess(const char *name);

/* 1: a line that is no option of the command. */
int sal_settings_is_no_option(const char *name);

/* Runs of before 0.3 say "normalize minmax" of what is keras-vis now. */
int sal_settings_mean_keras_vis(const char *settings);
/* *out: settings with "normalize keras-vis" as such a run says it; NULL where they have another. The caller's: free.
 * Errors: MEMORY. */
sal_status sal_settings_as_before(char **out, const char *settings);

/* Which columns of the list are meant, where they are not called path and label. */
#define SAL_SETTINGS_PATH_COLUMN "path-column"
#define SAL_SETTINGS_LABEL_COLUMN "label-column"

/* A line that is no option: the names of the network's outputs, a JSON list. */
#define SAL_SETTINGS_CLASS_NAMES "class-names"
/* The same of a network of one output that says yes or no: names of its labels, 0 and 1. */
#define SAL_SETTINGS_LABEL_NAMES "label-names"

/* What an option meant where a run has no line of it: the word that says so, or "none". Runs of before have fewer. */
const char *sal_settings_unsaid(const char *name);

#endif
