/* What results depend on: the model's bytes, and how an engine was opened. */
#ifndef SAL_API_IDENTITY_H
#define SAL_API_IDENTITY_H

#include "base/digest.h"

/* SHA-256 of the model file and of the files that its weights lie in, in the order they were read: of what was read,
 * not of what lies at their paths by now. Errors: IO, FORMAT (one has changed since), ARGUMENT (random weights),
 * MEMORY. */
sal_status sal_model_hash(char sha256[SAL_DIGEST_SIZE], const sal_model *model);
/* Path of file `index` of those that the model was read from, its own first; NULL behind the last. Borrowed. */
const char *sal_model_file_path(const sal_model *model, size_t index);
/* Borrowed; how the model was opened. */
const sal_model_options *sal_model_get_options(const sal_model *model);
/* What the model's file has of its outputs' names, a list or an object as text, or NULL. Borrowed. */
const char *sal_model_class_names(const sal_model *model);
/* Borrowed. Its device is not to be looked at. */
const sal_engine_options *sal_engine_get_options(const sal_engine *engine);
/* Borrowed; the numbers that the method works with, its own where none were given. Without texts. */
const sal_method_options *sal_engine_get_method(const sal_engine *engine);
/* SAL_METHOD_SAMPLES and so on. */
unsigned sal_engine_method_has(const sal_engine *engine);
/* 1 where Winograd's algorithm would serve a convolution before a max pool, if ties did not matter there: versions that
 * did not know that gave such networks other bits. By the network alone, on any device. */
int sal_engine_has_ties(const sal_engine *engine);

#endif
