/* Methods of attribution: each is a loop around a program that fills a job's
 * gradients, in a file of its own. Knows programs and targets; nothing of models'
 * files, pictures or maps. */
#ifndef SAL_ATTRIBUTION_GRADIENT_H
#define SAL_ATTRIBUTION_GRADIENT_H

#include "attribution/target.h"
#include "program/program.h"

/* Maps made on the device, in place of gradients brought to the host or beside them. */
typedef struct sal_attribution_maps {
    const sal_map_options *options;
    float *maps;                                     /* result (each, count, H, W) */
    sal_map_stats *stats;                            /* result (each, count) */
    sal_status (*made)(void *context, int64_t each); /* the maps of target number `each` are on the device */
    void *context;
} sal_attribution_maps;

/* What every method works with; made once per engine. */
typedef struct sal_attribution {
    sal_program *program; /* borrowed */
    sal_scores_kind kind;
    int64_t input_elements;           /* C * H * W */
    float *scores;                    /* (batch, outputs) */
    float *seeds;                     /* (batch, outputs) */
    const sal_attribution_maps *maps; /* of the present job, or NULL; borrowed */
} sal_attribution;

/* detached: of the graph the program was made from. Errors: LIMIT, MEMORY. */
sal_status sal_attribution_init(sal_attribution *a, sal_program *program, sal_op detached);
void sal_attribution_clear(sal_attribution *a); /* fine on a zeroed struct */

/* Fails with ARGUMENT where a job does not fit the program or a target not the model. */
sal_status sal_attribution_check(const sal_attribution *a, const sal_gradient_job *job);
/* Seeds of target number `each` of every picture from a->scores into a->seeds, and
 * what they came to into the job. Errors: NUMERIC. */
sal_status sal_attribution_seed(sal_attribution *a, const sal_gradient_job *job, int64_t each);

/* The backward pass of target number `each` from the seeds: gradients, or maps, into the job. */
sal_status sal_attribution_backward(sal_attribution *a, const sal_gradient_job *job, int64_t each);

/* A method; the job was checked. */
typedef sal_status sal_method(sal_attribution *a, const sal_gradient_job *job);

/* The gradient of the score at the input (Simonyan et al. 2013): one forward pass,
 * one backward pass per target. */
sal_method sal_method_gradient;

#endif
