#include "base/threads.h"

#include "base/memory.h"

#include <pthread.h>
#include <string.h>

/* Held by whoever starts the threads: they last until all of them are there. */
static void *wait_for(void *gate)
{
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
    return NULL;
}

sal_status sal_threads_try(int count)
{
    sal_status st = SAL_OK;
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_t *threads = NULL;
    int started = 0;
    TRY(sal_alloc(&threads, count > 0 ? (size_t)count : 0, sizeof *threads, "threads"));
    pthread_mutex_lock(&gate);
    for (; started < count; started++) {
        const int code = pthread_create(&threads[started], NULL, wait_for, &gate);
        if (code != 0) {
            st = sal_fail(SAL_ERROR_MEMORY,
                          "cannot start thread %d of %d: %s: ask for fewer threads, or raise the limit", started + 1,
                          count, strerror(code));
            break;
        }
    }
    pthread_mutex_unlock(&gate);
    while (started-- > 0)
        pthread_join(threads[started], NULL);
done:
    pthread_mutex_destroy(&gate);
    sal_free(threads);
    return st;
}
