/* One folder of scripts/make_architectures.py as Criterion parameter, and its files. */
#ifndef SAL_TESTS_GOLDEN_ARCHITECTURE_H
#define SAL_TESTS_GOLDEN_ARCHITECTURE_H

#include "golden/npy_file.h"

#include <salmap/salmap.h>

#include <stddef.h>
#include <stdint.h>

enum { ARCHITECTURES_MOST = 64, ARCHITECTURE_NAME = 64 };

typedef struct architecture {
    char name[ARCHITECTURE_NAME]; /* "": $SAL_ARCHITECTURES is not set, and the test is to be skipped */
} architecture;

/* Folders in $SAL_ARCHITECTURES in alphabetical order; one nameless entry where that is not set.
 * A folder without an architecture is an error: the count is 0, which fails the caller's own check. */
size_t architecture_list(architecture *out, size_t most);
/* "$SAL_ARCHITECTURES/NAME/FILE" in a static buffer; PREFIX comes before FILE. */
const char *architecture_path(const char *name, const char *prefix, const char *file);
/* Value of "key value" in meta.txt; NaN where it is missing. */
double architecture_meta(const char *name, const char *prefix, const char *key);

typedef struct reference {
    npy_file inputs;    /* (count, C, H, W) */
    npy_file scores;    /* (count, outputs) */
    npy_file gradients; /* (count, C, H, W) */
    float *pixels;      /* inputs as floats */
    int64_t count;
    size_t outputs;
    size_t elements; /* of one input */
} reference;

/* prefix: "" for the network itself, "smooth_" for its smooth twin, "flat_" for the network itself with other inputs,
 * pictures that are flat in places. 1: read. */
int reference_read(reference *out, const char *name, const char *prefix);
void reference_clear(reference *r);

#endif
