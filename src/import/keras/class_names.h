/* Names of classes of layers, and whose classes they are. */
#ifndef SAL_IMPORT_KERAS_CLASS_NAMES_H
#define SAL_IMPORT_KERAS_CLASS_NAMES_H

#include <jansson.h>
#include <stddef.h>

/* "batch_normalization" of "BatchNormalization", as Keras names layers by their classes. out: size bytes. */
void keras_snake_case(char *out, size_t size, const char *class_name);
/* Whether a module, or the package in front of a '>', is Keras's. */
int keras_is_own_module(const char *module);
/* Whether the class of a layer, as the configuration describes it, is somebody's own, whatever its name. */
int keras_is_foreign(const json_t *described, const char *class_name);

#endif
