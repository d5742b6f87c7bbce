/* The highest of many scores. */
#include "sweep/top_scores.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static int descending(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/* Whatever may be among the n highest at the end is let in when it comes; the bound is exact once all have come. */
Test(top_scores, let_in_what_may_be_one_of_them)
{
    enum { COUNT = 500 };
    for (unsigned seed = 1; seed <= 20; seed++) {
        float scores[COUNT], sorted[COUNT];
        int let_in[COUNT];
        const size_t n = 1 + seed * 3;
        sal_top_scores top;
        srand(seed);
        cr_assert_eq(sal_top_scores_init(&top, n), SAL_OK);
        for (int i = 0; i < COUNT; i++) {
            sorted[i] = scores[i] = (float)(rand() % 100); /* many ties */
            let_in[i] = sal_top_scores_may(&top, scores[i]);
            sal_top_scores_add(&top, scores[i]);
        }
        qsort(sorted, COUNT, sizeof *sorted, descending);
        for (int i = 0; i < COUNT; i++)
            cr_assert(let_in[i] || scores[i] < sorted[n - 1], "seed %u: %g was not let in", seed, (double)scores[i]);
        cr_expect_eq(top.heap[0], sorted[n - 1], "seed %u: %g, not %g", seed, (double)top.heap[0],
                     (double)sorted[n - 1]);
        cr_expect(!sal_top_scores_may(&top, sorted[n - 1] - 1.0f) && sal_top_scores_may(&top, sorted[n - 1]));
        sal_top_scores_clear(&top);
    }
}
