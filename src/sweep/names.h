/* Names of output files: distinct for every picture, and never those of an input. */
#ifndef SAL_SWEEP_NAMES_H
#define SAL_SWEEP_NAMES_H

#include "base/error.h"

typedef enum sal_output_file {
    SAL_FILE_MAP,
    SAL_FILE_OVERLAY,
    SAL_FILE_NPY,
    SAL_FILE_FIGURE,
    SAL_FILE_GRADIENT,
    SAL_FILE_COUNT
} sal_output_file;

typedef struct sal_names {
    size_t count;
    char **stems; /* one per picture */
} sal_names;

/* Whether the options ask for a kind of file. */
int sal_names_wanted(sal_output_file file, const sal_explain_options *options);

/* Chooses stems: the picture's name without folder and extension, then <stem>-2 and
 * so on where one of its files would be another picture's or overwrite an input.
 * Errors: LIMIT, MEMORY. */
sal_status sal_names_make(sal_names *out, const char *const *paths, size_t count, const sal_explain_options *options);
void sal_names_clear(sal_names *names); /* fine on a zeroed struct */

/* "<out_dir>/<stem>.saliency.png", with ".top2" before the kind where top > 0 (map
 * counts from 0). *out: free with free(). Error: MEMORY. */
sal_status sal_names_path(char **out, const char *stem, sal_output_file file, int64_t map,
                          const sal_explain_options *options);

/* Last part of a path. Borrowed. */
const char *sal_names_base(const char *path);

#endif
