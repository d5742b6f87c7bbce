/* Methods of attribution: each is a row of one table, and a loop around a program that leaves an attribution in the
 * device's memory. Knows programs and targets; nothing of models' files, pictures or maps.
 *
 * Here and in the rows: g = ds/dx at the input x, s the explained score; A a layer's output, G = ds/dA. */
#ifndef SAL_ATTRIBUTION_METHOD_H
#define SAL_ATTRIBUTION_METHOD_H

#include "attribution/target.h"
#include "program/program.h"

#include <stdatomic.h>

typedef struct sal_attribution sal_attribution;

/* Options that methods have. */
enum {
    SAL_METHOD_SAMPLES = 1, /* and noise, and seed */
    SAL_METHOD_PATH = 2,    /* steps, quadrature, baseline */
    SAL_METHOD_LAYER = 4,   /* the backward pass ends at a layer, and the attribution is (1, H, W) of it */
    SAL_METHOD_MANY_PASSES = SAL_METHOD_SAMPLES | SAL_METHOD_PATH
};

/* What sal_method_option_info says. */
typedef struct sal_method_option {
    const char *name;
    const char *initial;
    const char *help;
} sal_method_option;

typedef struct sal_method_row {
    sal_method_info info;
    const sal_method_option *options;       /* info.option_count */
    unsigned has;                           /* options */
    sal_accumulate kind;                    /* of noisy gradients */
    sal_cam cam;                            /* of layers */
    sal_array_shape arrays[SAL_MAX_ARRAYS]; /* exact values it works with, see the method's own names for them */
    int array_count;                        /* without the baseline, which is the last one */
    int result;                             /* array that holds the attribution; -1: the program's gradient does */
    int keeps_input;                        /* array 0 holds the inputs */
    /* The attribution of target number `each` of every picture, whose seeds at the inputs are in a->seeds. */
    sal_status (*run)(sal_attribution *a, const sal_gradient_job *job, int64_t each);
} sal_method_row;

/* Errors: ARGUMENT (no such method: names those there are). */
sal_status sal_method_find(const sal_method_row **out, const char *name);
/* Options that contradict the method, and values out of range. Error: ARGUMENT. */
sal_status sal_method_check(const sal_method_row *method, const sal_method_options *options);
/* What the program must be compiled for. The layer is looked up in the graph.
 * Errors: ARGUMENT (no such layer, or one without pixels: names those there are). */
sal_status sal_method_passes(sal_program_options *out, const sal_method_row *method, const sal_method_options *options,
                             const sal_graph *graph);

/* layer.c: the node whose output is mapped: the last of that name that can be, or where name is NULL the last one that
 * was learned. Errors: ARGUMENT (says why not, and names the last few that can be mapped). */
sal_status sal_method_layer(int *out, const sal_graph *graph, const char *name);

/* What every method works with; made once per engine. */
struct sal_attribution {
    sal_program *program; /* borrowed */
    const sal_method_row *method;
    sal_method_options options; /* with the method's own numbers where none were given; without texts */
    sal_scores_kind kind;
    int result;   /* value of the program that holds the attribution, */
    int baseline; /* and the baselines; -1: zeros */
    int64_t input_elements;
    int64_t elements;       /* of an attribution */
    float *scores;          /* (batch, outputs) at the inputs, */
    float *pass_scores;     /* at the last pass elsewhere, */
    float *base_scores;     /* and at the baselines; NULL where there are none */
    int base_known;         /* the baseline is zeros, and its scores are there */
    float *seeds;           /* (batch, outputs) */
    sal_choice *choices;    /* (batch), of the present target */
    sal_noise *noises;      /* (batch), or NULL */
    double *points;         /* (steps) of the path, 0 to 1, and */
    double *weights;        /* what each counts; or NULL */
    const atomic_int *stop; /* becomes not 0: a method of several passes ends with CANCELLED; borrowed, or NULL */
    float *host;            /* (batch, elements), or NULL */
};

/* detached: of the graph the program was made from. Errors: LIMIT, MEMORY. */
sal_status sal_attribution_init(sal_attribution *a, sal_program *program, const sal_method_row *method,
                                const sal_method_options *options, sal_op detached);
void sal_attribution_clear(sal_attribution *a); /* fine on a zeroed struct */

/* Fails with ARGUMENT where a job does not fit the program or a target not the model. Gradients may be NULL. */
sal_status sal_attribution_check(const sal_attribution *a, const sal_gradient_job *job);
/* The forward pass of a job that was checked; scores into the job. Errors: DEVICE, MEMORY. */
sal_status sal_attribution_begin(sal_attribution *a, const sal_gradient_job *job);
/* The attribution of target number `each` of every picture, left in value a->result; what the target came to into the
 * job. Errors: NUMERIC (a score is not finite), DEVICE, MEMORY. */
sal_status sal_attribution_run(sal_attribution *a, const sal_gradient_job *job, int64_t each);

/* ---- For methods ------------------------------------------------------------ */

/* Exact value number k of the row. */
static inline int sal_attribution_array(const sal_attribution *a, int k)
{
    return a->program->arrays[k];
}

/* Zeros. */
sal_status sal_attribution_clear_array(sal_attribution *a, int array, int64_t count);
/* Forward and backward at the inputs in `array`, for the outputs that were chosen; the gradient then is in `array`. */
sal_status sal_attribution_pass(sal_attribution *a, const sal_gradient_job *job, int64_t each, int array);
/* sum += weight * x and so on, see sal_accumulate. */
sal_status sal_attribution_add(sal_attribution *a, int sum, int spread, int x, sal_accumulate kind, double weight,
                               int64_t count);

/* gradient.c, noise.c, path.c, cam.c: the `run` of rows, and what their jobs begin with. */
sal_status sal_attribute_gradient(sal_attribution *a, const sal_gradient_job *job, int64_t each);
sal_status sal_attribute_input_times_gradient(sal_attribution *a, const sal_gradient_job *job, int64_t each);
sal_status sal_attribute_noisy(sal_attribution *a, const sal_gradient_job *job, int64_t each);
sal_status sal_attribute_path(sal_attribution *a, const sal_gradient_job *job, int64_t each);
sal_status sal_attribute_cam(sal_attribution *a, const sal_gradient_job *job, int64_t each);
/* Where the noise of each picture comes from. Error: MEMORY. */
sal_status sal_noise_begin(sal_attribution *a, const sal_gradient_job *job);
/* Baselines and their scores. */
sal_status sal_path_begin(sal_attribution *a, const sal_gradient_job *job);

/* Points from 0 to 1 and weights that sum to 1: Gauss and Legendre's, or even ones with halves at both ends. */
void sal_quadrature_make(double *points, double *weights, int64_t count, sal_quadrature kind);

#endif
