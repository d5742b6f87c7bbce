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
    double sigma;
    int64_t input_height; /* as the run was told to have it; 0: it says nothing */
    int64_t input_width;
    int raw_map;
    sal_target asked;
    sal_classes *classes;
    char *given;  /* the root that was given, or NULL */
    char *below;  /* where pictures may lie, wherever links lead: that root, or the current folder */
    char *method; /* these two: what attribution points to */
    char *layer;
} render_run;

/* root: where the list's relative paths start, and below which all of its pictures must lie: render_check_row says
 * which do; NULL: as the run has it, and one outside of the current folder is refused. Errors: IO, FORMAT, ARGUMENT,
 * MEMORY. */
sal_status render_run_open(render_run *out, const char *path, const char *root);
/* Whether the picture of a row is one that may be opened. Errors: ARGUMENT. */
sal_status render_check_row(const render_run *run, size_t row);
void render_run_close(render_run *run); /* fine on a struct whose kept.folder.fd is -1, else zeroed */
/* Where a map of these sides lies on a picture. Errors: UNSUPPORTED (that is not known), ARGUMENT. */
sal_status render_place(sal_placement *out, const render_run *run, const sal_picture *picture, int64_t height,
                        int64_t width);

#endif
