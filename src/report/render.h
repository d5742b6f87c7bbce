/* Drawing a run again, while it goes on: for the files that make it up. */
#ifndef SAL_REPORT_RENDER_H
#define SAL_REPORT_RENDER_H

#include "report/kept.h"
#include "results/names.h"
#include "sweep/run_options.h"

/* What the run says of all its pictures. */
typedef struct render_run {
    sal_kept_run kept;
    sal_dataset *list; /* with the paths of the pictures as they are now */
    sal_preprocess preprocess;
    sal_attribution_info attribution; /* its method and its layer alone */
    sal_normalize normalize;
    double sigma;
    int64_t input_height; /* as the run was told to have it; 0: it says nothing */
    int64_t input_width;
    int raw_map;
    sal_target asked;
    sal_classes *classes;
    char *method; /* these two: what attribution points to */
    char *layer;
} render_run;

/* root: NULL, as the run has it. Errors: IO, FORMAT, ARGUMENT, MEMORY. */
sal_status render_run_open(render_run *out, const char *path, const char *root);
void render_run_close(render_run *run); /* fine on a struct whose kept.folder.fd is -1, else zeroed */
/* Where a map of these sides lies on a picture. Errors: UNSUPPORTED (that is not known), ARGUMENT. */
sal_status render_place(sal_placement *out, const render_run *run, const sal_picture *picture, int64_t height,
                        int64_t width);

#endif
