/* Names of output files: distinct for every picture, and never those of an input. */
#ifndef SAL_RESULTS_NAMES_H
#define SAL_RESULTS_NAMES_H

#include "base/error.h"

enum { SAL_NAMES_OF_A_FOLDER = 1000 }; /* pictures, where files are spread */

typedef enum sal_output_file {
    SAL_FILE_MAP,
    SAL_FILE_OVERLAY,
    SAL_FILE_OVERLAY_JPEG,
    SAL_FILE_NPY,
    SAL_FILE_NPZ,
    SAL_FILE_PNG16,
    SAL_FILE_FIGURE,
    SAL_FILE_FIGURE_SVG,
    SAL_FILE_FIGURE_PDF,
    SAL_FILE_GRADIENT,
    SAL_FILE_COUNT
} sal_output_file;

#define SAL_FILE_BIT(file) (1u << (file))
#define SAL_FILES_OVERLAY (SAL_FILE_BIT(SAL_FILE_OVERLAY) | SAL_FILE_BIT(SAL_FILE_OVERLAY_JPEG))
#define SAL_FILES_FIGURE                                                                                               \
    (SAL_FILE_BIT(SAL_FILE_FIGURE) | SAL_FILE_BIT(SAL_FILE_FIGURE_SVG) | SAL_FILE_BIT(SAL_FILE_FIGURE_PDF))

/* Which files there are of each picture, and where. */
typedef struct sal_output_layout {
    unsigned files; /* bits of sal_output_file */
    int64_t top;    /* above 0: so many maps of each picture */
    const char *out_dir;
    int spread; /* 1: into sub-folders by kind and by thousands of pictures */
    /* Where in their input the first of the pictures lie, as "site_1/scale.png": their files go to such sub-folders,
     * and keep the extension where only that tells two apart. NULL: all into one folder. Not with spread. */
    const char *const *places;
    size_t place_count;
} sal_output_layout;

typedef struct sal_names {
    size_t count;
    char **stems; /* one per picture */
} sal_names;

/* Chooses stems: the picture's name without folder and extension, then <stem>-2 and
 * so on where one of its files would be another picture's or overwrite an input. With places: "site_1/scale", or
 * "site_1/scale.png" beside "site_1/scale.jpg".
 * Errors: LIMIT, MEMORY. */
sal_status sal_names_make(sal_names *out, const char *const *paths, size_t count, const sal_output_layout *layout);
void sal_names_clear(sal_names *names); /* fine on a zeroed struct */

/* Maps of each picture. */
static inline size_t sal_maps_of(int64_t top)
{
    return top > 0 ? (size_t)top : 1;
}

/* "<out_dir>/<stem>.saliency.png", with ".top2" before the kind where top > 0 (map
 * counts from 0); spread: "<out_dir>/maps/012/<stem>.npy" of picture 12345.
 * *out: free with free(). Error: MEMORY. */
sal_status sal_names_path(char **out, const char *stem, sal_output_file file, size_t picture, int64_t map,
                          const sal_output_layout *layout);
/* What comes after "<out_dir>/" in such a path. Borrowed. */
const char *sal_names_below(const char *path, const sal_output_layout *layout);

/* ".npy" and "maps": how a file's name ends, and the folder of its kind where files are spread. */
const char *sal_names_suffix(const char **folder, sal_output_file file);

/* Last part of a path. Borrowed. */
const char *sal_names_base(const char *path);

#endif
