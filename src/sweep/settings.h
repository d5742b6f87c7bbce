/* A sweep's options as text: what its results depend on, and nothing else. */
#ifndef SAL_SWEEP_SETTINGS_H
#define SAL_SWEEP_SETTINGS_H

#include "base/error.h"

/* One "name value" line per option, named as on the command line, always in the same order; flags are "yes" or "no".
 * Devices, batches and threads are not among them. *out: free with free(). Errors: ARGUMENT, MEMORY. */
sal_status sal_settings_make(char **out, const sal_sweep_options *options, const sal_engine *engine);

#endif
