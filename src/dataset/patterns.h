/* Which paths of a data set are taken: patterns of --include and --exclude. Knows paths, and no files. */
#ifndef SAL_DATASET_PATTERNS_H
#define SAL_DATASET_PATTERNS_H

#include "base/error.h"

typedef struct sal_patterns {
    char **include; /* none: everything */
    char **exclude;
    size_t include_count;
    size_t exclude_count;
} sal_patterns;

/* Copies. Errors: ARGUMENT (a pattern that is empty, or too long), MEMORY. */
sal_status sal_patterns_make(sal_patterns *out, const char *const *include, size_t include_count,
                             const char *const *exclude, size_t exclude_count);
void sal_patterns_clear(sal_patterns *patterns); /* fine on a zeroed struct */
/* Whether a picture is taken. path: below its input. */
int sal_patterns_take(const sal_patterns *patterns, const char *path);
/* Whether all that a folder holds is left out: nobody need look into it. */
int sal_patterns_skip_folder(const sal_patterns *patterns, const char *path);

/* "*" and "?" stand for what is in one name, "[ab]" for one of these characters, "**" for any number of folders. A
 * pattern without a slash is a name of the file or of any folder above it, one with a slash is a path from the input
 * on, of the file or of a folder above it. One that ends with a slash means folders. is_folder: 1, the path is one. */
int sal_pattern_matches(const char *pattern, const char *path, int is_folder);

#endif
