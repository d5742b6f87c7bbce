/* How pictures are explained, as the pipeline is told: complete, whatever version of the structs the caller has. */
#ifndef SAL_SWEEP_RUN_OPTIONS_H
#define SAL_SWEEP_RUN_OPTIONS_H

#include "base/error.h"

typedef struct sal_run_options {
    sal_explain_options explain; /* its map and limits are those below */
    sal_map_options map;
    sal_limits limits;
} sal_run_options;

/* *out points into itself and stays where it is. Texts are borrowed. Error: ARGUMENT (given is NULL, or a size). */
sal_status sal_run_options_read(sal_run_options *out, const sal_explain_options *given);

#endif
