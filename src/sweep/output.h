/* From the gradient of one picture to its files. */
#ifndef SAL_SWEEP_OUTPUT_H
#define SAL_SWEEP_OUTPUT_H

#include "base/placement.h"
#include "map/map.h"
#include "results/names.h"

typedef struct sal_output_job {
    const sal_explain_options *options;
    const sal_output_layout *layout;
    unsigned files; /* of the layout's: what this picture gets */
    size_t picture; /* its number, for the layout */
    const char *picture_path;
    const char *model; /* its path, for figures */
    const char *label; /* likewise, what the output should be; NULL: it is not known */
    const char *stem;
    int64_t number;                          /* of the map, from 0 */
    const sal_attribution_info *attribution; /* its shape, and */
    const float *values;                     /* itself; may be NULL where map is given */
    const sal_map_options *map_options;      /* resolved */
    const float *map;                        /* made already, with its stats; or NULL */
    int64_t outputs;                         /* of the model */
    const sal_picture *shown;                /* the picture as 8-bit RGB */
    const sal_placement *placement;
    const sal_picture *figured; /* likewise, where figures are made from another size of it; or NULL */
    const sal_placement *figured_placement;
} sal_output_job;

/* One map and the names of its files, in the order of sal_output_file. */
typedef struct sal_output {
    sal_explain_map map;
    sal_map_summary summary;
    char *paths[SAL_FILE_COUNT];
    uint8_t *colours[SAL_FILE_OVERLAY + 1]; /* MAP and OVERLAY as RGB of the source's size where a device made them */
} sal_output;

/* How the maps of these options are coloured, over a picture or alone. */
sal_overlay_style sal_output_style(const sal_explain_options *options, int over_picture);
/* Whether they can be. Error: ARGUMENT. */
sal_status sal_output_check_style(const sal_explain_options *options);

/* Fills stats and paths of *out, whose target, score and probability are set, and
 * writes the files. On failure none of them is left. Errors: IO, NUMERIC, MEMORY. */
sal_status sal_output_write(sal_output *out, const sal_output_job *job);
void sal_output_clear(sal_output *out); /* fine on a zeroed struct */

/* Which file a figure of that format is. */
static inline sal_output_file sal_figure_file(sal_page_format format)
{
    return (sal_output_file)(SAL_FILE_FIGURE + (int)format);
}

/* Makes the output folder, and makes sure that files can be made in it, such as `name`: better before the first picture
 * than after it. Errors: ARGUMENT (none is given), IO. */
sal_status sal_output_folder(const char *out_dir, const char *name);

#endif
