/* Which score is explained: from a target and the scores of one picture to the seed
 * of the backward pass, d score / d outputs. Knows numbers only, no programs. */
#ifndef SAL_ATTRIBUTION_TARGET_H
#define SAL_ATTRIBUTION_TARGET_H

#include "graph/graph.h"

/* What the scores of a model are. */
typedef struct sal_scores_kind {
    int64_t outputs;
    sal_op detached; /* SAL_OP_SOFTMAX, SAL_OP_ACTIVATION (a sigmoid) or SAL_OP_COUNT (nothing follows) */
} sal_scores_kind;

/* What a target came to for one picture. */
typedef struct sal_choice {
    int64_t index; /* output, -1 for the mean of all */
    float score;   /* the explained score: logit, probability or mean */
} sal_choice;

/* Errors: ARGUMENT where the target contradicts the model, whatever the picture: an
 * index out of range, a probability where nothing makes one, the mean of a softmax. */
sal_status sal_target_check(const sal_target *target, const sal_scores_kind *kind);

/* seed: `outputs` floats; target was checked. Sums are in double, rounded once.
 * Errors: NUMERIC (a score is NaN or infinite: names the picture's position and output). */
sal_status sal_target_seed(float *seed, sal_choice *choice, const sal_target *target, const sal_scores_kind *kind,
                           const float *scores, int64_t position);
/* The same at another input of that picture, for the output that was chosen at the first one: choice->index is given,
 * and which output a margin is ahead of is looked up anew. */
sal_status sal_target_seed_again(float *seed, sal_choice *choice, const sal_target *target, const sal_scores_kind *kind,
                                 const float *scores, int64_t position);
/* Whether its seed is the same whatever the scores are, once the output is chosen. */
int sal_target_is_linear(const sal_target *target);

/* Output at a rank, 0 the largest; of equal scores the earlier comes first. */
int64_t sal_target_rank(const float *scores, int64_t outputs, int64_t rank);

/* Probabilities of one picture's logits; both may be the same array. Error: ARGUMENT
 * where the model ends in neither softmax nor sigmoid. */
sal_status sal_target_probabilities(float *probabilities, const float *scores, const sal_scores_kind *kind);

#endif
