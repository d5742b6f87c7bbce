/* The n highest of many scores, for threads that come and go. */
#ifndef SAL_SWEEP_TOP_SCORES_H
#define SAL_SWEEP_TOP_SCORES_H

#include "base/error.h"

#include <pthread.h>

typedef struct sal_top_scores {
    pthread_mutex_t lock;
    float *heap; /* the lowest of them first; NULL: not wanted */
    size_t used;
    size_t size;
} sal_top_scores;

/* Errors: MEMORY. */
sal_status sal_top_scores_init(sal_top_scores *top, size_t n);
void sal_top_scores_clear(sal_top_scores *top); /* fine on a zeroed struct */
/* Whether a score may be among the n highest in the end: one below the n-th of those so far is not. Ties may. */
int sal_top_scores_may(sal_top_scores *top, float score);
/* context: the sal_top_scores. */
void sal_top_scores_add(void *context, float score);

#endif
