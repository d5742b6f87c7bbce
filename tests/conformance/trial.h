/* One problem being tried: its op, its values between guards, its steps. */
#ifndef TESTS_CONFORMANCE_TRIAL_H
#define TESTS_CONFORMANCE_TRIAL_H

#include "conformance/suite.h"

enum { MAX_VALUES = 12, TEXT = 400 };
enum { POISON_FLOATS = 0x7fc0dead }; /* NaN */

typedef struct trial {
    suite *s;
    const problem *p;
    dice dice;
    sal_graph graph;
    int node;
    sal_value values[MAX_VALUES];
    buffer buffers[MAX_VALUES];
    double *numbers[MAX_VALUES]; /* what was uploaded: batch pictures */
    int value_count;
    int rows; /* 1: values that are added are in rows */
    double accuracy;
    double seconds;
    char algorithm[64]; /* of the last step */
    char reason[TEXT];  /* of failure or skip; empty: passed */
    int skip;
} trial;

/* Notes why the trial failed; returns NUMERIC. */
sal_status trial_wrong(trial *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The op with its weights. */
sal_status trial_make_node(trial *t);
size_t trial_elements(const trial *t, int v);
/* A value of poison: NaN, or arbitrary bits. */
sal_status trial_add_value(int *out, trial *t, sal_value_type type, const sal_shape *shape, int picture);
/* A value with random numbers, of which the device holds the same. */
sal_status trial_add_random(int *out, trial *t, const sal_shape *shape, int picture, double spread);
/* numbers[v] to the device. */
sal_status trial_upload(trial *t, int v);
/* The output in the memory of value `over`. */
void trial_share(trial *t, int output, int over);
/* Calls `visit` for every float of the padding channels of a blocked value in `words`; 0 where one call gave 0. */
int trial_each_padding(trial *t, int v, uint32_t *words, int (*visit)(trial *, uint32_t *));
/* Value v of the device against the reference. */
sal_status trial_compare(trial *t, int v, const double *expected, const double *tolerance);
/* Prepares and runs a step, and looks at all memory afterwards. */
sal_status trial_execute(trial *t, const sal_step *step, int timed);
void trial_close(trial *t);

#endif
