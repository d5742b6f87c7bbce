#include "sweep/top_scores.h"

#include "base/memory.h"

#include <string.h>

sal_status sal_top_scores_init(sal_top_scores *top, size_t n)
{
    sal_status st = SAL_OK;
    memset(top, 0, sizeof *top);
    TRY(sal_alloc(&top->heap, n, sizeof *top->heap, "the highest scores"));
    top->size = n;
    pthread_mutex_init(&top->lock, NULL);
done:
    return st;
}

void sal_top_scores_clear(sal_top_scores *top)
{
    if (!top->heap)
        return;
    sal_free(top->heap);
    pthread_mutex_destroy(&top->lock);
    memset(top, 0, sizeof *top);
}

int sal_top_scores_may(sal_top_scores *top, float score)
{
    pthread_mutex_lock(&top->lock);
    const int may = top->used < top->size || score >= top->heap[0];
    pthread_mutex_unlock(&top->lock);
    return may;
}

/* Up from the first free place. */
static void push(sal_top_scores *top, float score)
{
    size_t at = top->used++;
    for (; at > 0 && top->heap[(at - 1) / 2] > score; at = (at - 1) / 2)
        top->heap[at] = top->heap[(at - 1) / 2];
    top->heap[at] = score;
}

/* Down from the place of the lowest. */
static void replace_lowest(sal_top_scores *top, float score)
{
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < top->used; at = child) {
        if (child + 1 < top->used && top->heap[child + 1] < top->heap[child])
            child++;
        if (top->heap[child] >= score)
            break;
        top->heap[at] = top->heap[child];
    }
    top->heap[at] = score;
}

void sal_top_scores_add(void *context, float score)
{
    sal_top_scores *top = context;
    pthread_mutex_lock(&top->lock);
    if (top->used < top->size)
        push(top, score);
    else if (score > top->heap[0])
        replace_lowest(top, score);
    pthread_mutex_unlock(&top->lock);
}
