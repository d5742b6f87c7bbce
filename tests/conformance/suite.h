/* The conformance suite of back ends: every kind of step on awkward shapes, against a
 * plain double-precision reference. It knows a back end only by its table.
 *
 * Each buffer lies between guard bands; outputs and scratch hold NaN before a run,
 * masks and indices arbitrary bits; padding channels of inputs hold arbitrary finite
 * numbers. What a run must not do: touch a guard, change an input, leave NaN in a padding channel. */
#ifndef TESTS_CONFORMANCE_SUITE_H
#define TESTS_CONFORMANCE_SUITE_H

#include "backend/backend.h"

enum { SUITE_MAX_INPUTS = 6 };

typedef enum problem_ties { TIES_NONE, TIES_FLAT, TIES_STRIPED } problem_ties;
typedef enum problem_rows { ROWS_NONE, ROWS_IN, ROWS_OUT, ROWS_BOTH } problem_rows;
typedef enum problem_bias { BIAS_NONE, BIAS_CHANNELS, BIAS_SCALAR } problem_bias;

/* One step: an op with its inputs, and which of its steps is tried. */
typedef struct problem {
    sal_step_kind kind;
    sal_op op;
    int64_t batch;
    int input_count; /* of the op */
    sal_shape inputs[SUITE_MAX_INPUTS];
    sal_window window;
    sal_activation activation;
    int64_t outputs; /* conv, dense */
    int axis;
    int64_t start, step, count; /* slice */
    int64_t groups;             /* shuffle */
    int permutation[SAL_MAX_RANK];
    sal_shape reshaped; /* reshape; expand, constant: what is made */
    int axis_count;     /* reduce */
    sal_reduction reduction;
    int transpose[2]; /* matmul */
    double scale;
    int taps;          /* gather: weighted where there are several, some of them 0 */
    problem_rows rows; /* which side is in rows, though of rank 4 */
    problem_bias bias;
    int scalar_weight; /* affine */
    int kept;          /* forward: writes its mask or indices, too */
    int addend;        /* backward: adds to what is there */
    int activated;     /* convolution's backward: takes the derivative of a ReLU along */
    int in_place;      /* the output takes the memory of residual, addend, first operand or dy */
    int picture;       /* the input is read by convolutions only */
    int rule;
    int operand;       /* backward of ops with several inputs: whose gradient */
    int seed;          /* dense backward: dy is the gradient of the scores */
    int grid;          /* inputs are multiples of 1/4: ties, zeros and the edges of activations */
    int large;         /* only with --bench */
    problem_ties ties; /* inputs repeat themselves, and so must the output, bit by bit; nothing else is looked at */
} problem;

typedef struct suite {
    const sal_backend *backend;
    sal_device *device;
    int64_t block;  /* channels per block of blocked values */
    double storage; /* relative rounding of the device's feature maps where they are not floats, else 0 */
    const char *filter;
    const char *refuse; /* algorithms that must not be chosen have this in their name; or NULL */
    uint64_t seed;
    int bench;
    int list;               /* print what passes, too */
    int until_failure;      /* nothing is tried after the first failure */
    int many_passes;        /* 1: the device was opened for them */
    uint64_t shard, shards; /* of the problems that the filter wants, this part of so many; 0 shards: all */
    size_t passed, failed, skipped;
} suite;

/* Runs one problem, if the filter wants it, and counts the outcome. */
void suite_try(suite *s, const problem *p);

/* "conv n2c3h13w9k17r3x3s2x1p1,0,0,2 relu +residual": into text; returns text. */
const char *problem_text(char *text, size_t size, const problem *p);

/* The cases, by file. */
void suite_convolutions(suite *s);
void suite_first_layers(suite *s);
void suite_winograd(suite *s);
void suite_large_convolutions(suite *s);
void suite_elementwise(suite *s);
void suite_pools(suite *s);
void suite_moves(suite *s);
void suite_vectors(suite *s);
void suite_rows(suite *s);
void suite_long(suite *s);
/* Upload and download of every layout, whole and partial batches. */
void suite_transfers(suite *s);
/* What methods of several passes repeat, and maps made on the device. */
void suite_methods(suite *s);
void suite_maps(suite *s);
/* 1: a problem of that text is to be tried; counts those that the filter wants. */
int suite_wants(suite *s, const char *text);
void suite_count(suite *s, const char *text, int failed);

/* ---- Numbers ------------------------------------------------------------ */

/* SplitMix64 (Steele, Lea and Flood 2014). */
typedef struct dice {
    uint64_t state;
} dice;

uint64_t dice_roll(dice *d);
int64_t dice_below(dice *d, int64_t n);
double dice_between(dice *d, double low, double high);
/* To seven significant bits, which every type of number that back ends have holds. */
double round_coarsely(double value);
/* A seed of its own for each text. */
uint64_t dice_seed(uint64_t seed, const char *text);

/* ---- Comparing ---------------------------------------------------------- */

/* Index of the first value that is further from what is expected than its tolerance allows, or
 * `count`. NaN on either side, in either array, is always wrong; infinities only equal themselves. */
size_t first_wrong(const double *expected, const double *tolerance, const float *actual, size_t count);
/* Tries first_wrong itself on values that must and must not pass; 0: it works. */
int first_wrong_is_wrong(void);

/* ---- Memory between guards ---------------------------------------------- */

typedef struct buffer {
    unsigned char *memory; /* of the device: guard, data, guard */
    size_t bytes;          /* of the data */
} buffer;

sal_status buffer_open(buffer *b, const suite *s, size_t bytes);
void buffer_close(buffer *b, const suite *s);
void *buffer_data(const buffer *b);
/* Fills the data with one 32-bit pattern. */
sal_status buffer_fill(const buffer *b, const suite *s, uint32_t pattern);
/* The data as it is, for comparing and for patterns of floats; both ways. */
sal_status buffer_read(const buffer *b, const suite *s, uint32_t *words);
sal_status buffer_write(const buffer *b, const suite *s, const uint32_t *words);
/* *intact: 1 where both guards are as they were. */
sal_status buffer_check(int *intact, const buffer *b, const suite *s);
/* Channels per block of the device's blocked values; 1: it has none. */
int64_t suite_block(const suite *s);

#endif
