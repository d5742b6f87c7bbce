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

/* What an option meant where a run has no line of it: the word that says so, or "none". Runs of before have fewer. */
const char *sal_settings_unsaid(const char *name);

#endif
