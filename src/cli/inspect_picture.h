/* salmap inspect --picture: a picture as the network would get it, beside what presets and recipes would make of it. */
#ifndef SAL_CLI_INSPECT_PICTURE_H
#define SAL_CLI_INSPECT_PICTURE_H

#include "cli/job.h"
#include "cli/json.h"

enum { INSPECTED_ROWS = 16 };

/* One way to prepare the picture, and what came of it. */
typedef struct inspected_row {
    char name[512];    /* where it comes from, or the preset or recipe */
    char how[1024];    /* sal_preprocess_describe */
    char problem[256]; /* why it does not suit, or empty */
    double low, high, mean, deviation;
    int64_t predicted;  /* output, -1 where the network cannot be run */
    double score;       /* its score, */
    double probability; /* and probability, or NaN */
} inspected_row;

typedef struct inspected_picture {
    const char *path;
    int own; /* 1: the first row is what explain would do */
    size_t count;
    inspected_row rows[INSPECTED_ROWS];
} inspected_picture;

/* Prepares the picture in all ways; the first of them is written to `png`, unless that is NULL. Returns an exit code,
 * after a message. */
int inspect_picture(inspected_picture *out, const cli_command *command, const cli_job *job, sal_model *model,
                    const char *path, const char *png);
void inspect_picture_print(const inspected_picture *picture, const sal_model_info *info);
void inspect_picture_json(cli_json *j, const inspected_picture *picture);

#endif
