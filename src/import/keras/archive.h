/* .keras files: zip archives of Keras 3. */
#ifndef SAL_IMPORT_KERAS_ARCHIVE_H
#define SAL_IMPORT_KERAS_ARCHIVE_H

#include "base/error.h"

#include <jansson.h>
#include <stdint.h>

/* The members config.json and metadata.json (NULL where there is none), and a look at the weights, which stay where
 * they are. Errors: IO, FORMAT, LIMIT, MEMORY. */
sal_status keras_archive_read(json_t **config, json_t **metadata, const char *path, uint64_t max_bytes);
/* The member that the weights are in. */
extern const char keras_archive_weights[];

#endif
