/* What a sweep finds out about one picture. */
#ifndef SAL_RESULTS_RESULT_H
#define SAL_RESULTS_RESULT_H

#include "map/map.h"

/* One of a picture's best outputs. */
typedef struct sal_prediction {
    int64_t output;
    float score;       /* logit, or the value of a regression */
    float probability; /* NaN where the model gives none */
} sal_prediction;

typedef struct sal_result_map {
    int64_t target; /* -1: the mean of all outputs */
    float score;
    float probability;
    sal_map_stats stats;     /* as the gradient made it */
    sal_map_summary summary; /* after normalising */
    const char *map_file;    /* below the run folder, or NULL */
    const char *overlay_file;
    double gap; /* of completeness; NaN where the method has none */
} sal_result_map;

typedef struct sal_result {
    size_t picture;    /* row of the data set */
    sal_status status; /* SAL_OK, or why there is nothing more than this */
    const char *error;
    int64_t bytes;        /* of the picture's file */
    int64_t failed_bytes; /* likewise, of one that failed, */
    int64_t changed;      /* and when that was changed last, in nanoseconds since 1970; 0: it is not known */
    int64_t width;        /* of the picture */
    int64_t height;
    int correct; /* 1 or 0; -1: there is no label to say */
    const sal_prediction *predictions;
    size_t prediction_count;
    const sal_result_map *maps;
    size_t map_count;
    double decode_ms;
    double compute_ms; /* the batch's, by its pictures */
    double encode_ms;
} sal_result;

#endif
