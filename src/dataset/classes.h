/* Names of a network's outputs: where they come from is for others to know. */
#ifndef SAL_DATASET_CLASSES_H
#define SAL_DATASET_CLASSES_H

#include "base/error.h"

struct sal_classes {
    char **names;
    size_t count;
    const char **sorted; /* the same, by their bytes */
    size_t *outputs;     /* of the sorted ones */
};

/* From the text of a file, or of what a model's file has: see sal_classes_open. Errors: FORMAT (after `name`, says what
 * is wrong), MEMORY. */
sal_status sal_classes_parse(sal_classes **out, const char *text, size_t size, const char *name);
/* A JSON list of the names in one line. *out: free with free(). Errors: MEMORY. */
sal_status sal_classes_text(char **out, const sal_classes *classes);

/* ---- literals.c ------------------------------------------------------------ */

/* Names being collected, each at its output. Free with sal_class_list_clear. */
typedef struct sal_class_list {
    char **names;
    size_t count; /* the highest output, and one */
    size_t room;
} sal_class_list;

/* Takes the name, which becomes the list's. Errors: FORMAT (an output beyond any network's, or twice), MEMORY. */
sal_status sal_class_list_put(sal_class_list *list, char *name, int64_t output, const char *file);
void sal_class_list_clear(sal_class_list *list);
/* Reads a list or an object, of JSON or of Python, that ends with a zero. Errors: FORMAT, MEMORY. */
sal_status sal_class_list_read(sal_class_list *out, const char *text, const char *file);

#endif
