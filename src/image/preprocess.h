/* What the files of a run say of preprocessing; sal_preprocess_apply, which does it, is public. */
#ifndef SAL_IMAGE_PREPROCESS_H
#define SAL_IMAGE_PREPROCESS_H

#include "image/image.h"

#include <stdio.h>

/* Whether what is said of the samples of a file is of any meaning. Error: ARGUMENT. */
sal_status sal_preprocess_check_samples(const sal_preprocess *p);
/* The same, and whether mean, std, scale and fill suit a network of so many channels. Error: ARGUMENT. */
sal_status sal_preprocess_check(const sal_preprocess *p, int64_t channels);
/* One "key value" line per field, as sal_preprocess_set takes them; the calling thread's numbers have points. */
void sal_preprocess_print(FILE *to, const sal_preprocess *p);

#endif
