/* From the gradient of one picture to its files. */
#ifndef SAL_SWEEP_OUTPUT_H
#define SAL_SWEEP_OUTPUT_H

#include "image/placement.h"
#include "sweep/names.h"

typedef struct sal_output_job {
    const sal_explain_options *options;
    const char *picture_path;
    const char *stem;
    int64_t number;        /* of the map, from 0 */
    const float *gradient; /* (channels, placement's net_height, net_width) */
    int64_t channels;
    int64_t outputs;          /* of the model */
    const sal_picture *shown; /* the picture as 8-bit RGB */
    const sal_placement *placement;
} sal_output_job;

/* One map and the names of its files, in the order of sal_output_file. */
typedef struct sal_output {
    sal_explain_map map;
    char *paths[SAL_FILE_COUNT];
} sal_output;

/* Fills stats and paths of *out, whose target, score and probability are set, and
 * writes the files. On failure none of them is left. Errors: IO, NUMERIC, MEMORY. */
sal_status sal_output_write(sal_output *out, const sal_output_job *job);
void sal_output_clear(sal_output *out); /* fine on a zeroed struct */

#endif
