/* The files that a model was read from, held open: what a run records is what was read, not what lies at the path
 * later. */
#ifndef SAL_API_MODEL_FILES_H
#define SAL_API_MODEL_FILES_H

#include "base/digest.h"

#include <sys/stat.h>

typedef struct sal_model_file {
    char *path;
    int fd;
    struct stat then;
} sal_model_file;

typedef struct sal_model_files {
    sal_model_file *list; /* the model's own first, then those of its weights in the order they were read */
    size_t count;
    size_t capacity;
} sal_model_files;

/* Opens a file and notes what it is. then: what it was when it was read, or NULL where that is still to come.
 * Errors: IO, FORMAT (it is another by now), MEMORY. */
sal_status sal_model_files_add(sal_model_files *files, const char *path, const struct stat *then);
void sal_model_files_clear(sal_model_files *files); /* fine on a zeroed struct */
/* FORMAT where a file is no longer what it was; `paths`: where another lies at its path. */
sal_status sal_model_files_check(const sal_model_files *files, int paths);
/* SHA-256 of all of them. Errors: IO, FORMAT (one has changed), MEMORY. */
sal_status sal_model_files_hash(char sha256[SAL_DIGEST_SIZE], const sal_model_files *files);

#endif
