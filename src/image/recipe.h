/* Whole pipelines by name, and from files that came with a network. */
#ifndef SAL_IMAGE_RECIPE_H
#define SAL_IMAGE_RECIPE_H

#include "image/image.h"

/* How Pillow reads and torchvision crops: what files of recipes begin with. */
void sal_recipe_begin(sal_preprocess *p);
/* Adds a name to out->ignored, as far as it fits. */
void sal_recipe_ignore(sal_recipe_file *out, const char *name);
/* A picture is resized to height x width pixels, and of that the middle is kept; both of files that say so. Error:
 * UNSUPPORTED (path, another crop than that of a square). */
sal_status sal_recipe_stretch(sal_preprocess *p, sal_recipe_file *out, const int64_t resized[2], const int64_t crop[2],
                              const char *path);

/* One reader per format; text ends with a NUL. Errors: FORMAT, UNSUPPORTED, LIMIT, MEMORY. */
sal_status sal_recipe_read_json(sal_preprocess *p, sal_recipe_file *out, const char *text, const char *path);
sal_status sal_recipe_read_transforms(sal_preprocess *p, sal_recipe_file *out, const char *text, const char *path);

#endif
