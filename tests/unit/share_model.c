/* Engines of one model on threads of their own, opened and used at the same time, while others draw random weights of
 * it and let go of them: MODEL. A program of its own, since Criterion's tests do not run under the thread sanitizer. */
#include "salmap/salmap.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENGINES = 2, RUNS = 3 };

typedef struct worker {
    sal_model *model;
    const float *input;
    pthread_barrier_t *together;
    float scores[RUNS];
    sal_status status;
} worker;

static void *use_engine(void *context)
{
    worker *w = context;
    const sal_engine_options options = {.size = sizeof(sal_engine_options), .batch = 1, .threads = 1};
    sal_engine *engine = NULL;
    pthread_barrier_wait(w->together);
    w->status = sal_engine_open(&engine, w->model, &options);
    for (int k = 0; k < RUNS && w->status == SAL_OK; k++)
        w->status = sal_engine_forward(engine, &w->scores[k], w->input, 1);
    sal_engine_close(engine);
    return NULL;
}

static void *randomize(void *context)
{
    worker *w = context;
    sal_model *random = NULL;
    pthread_barrier_wait(w->together);
    w->status = sal_model_randomize(&random, w->model, NULL, 1);
    sal_model_close(random);
    return NULL;
}

static void *drop_weights(void *context)
{
    worker *w = context;
    pthread_barrier_wait(w->together);
    w->status = sal_model_drop_weights(w->model);
    return NULL;
}

static int check(const worker *workers, size_t count)
{
    for (size_t k = 0; k < count; k++)
        if (workers[k].status != SAL_OK) {
            fprintf(stderr, "thread %zu: %s\n", k, sal_status_name(workers[k].status));
            return 1;
        }
    for (size_t k = 0; k < ENGINES; k++)
        for (int run = 0; run < RUNS; run++)
            if (!(workers[k].scores[run] == workers[0].scores[0]) || !isfinite(workers[k].scores[run])) {
                fprintf(stderr, "engine %zu, run %d: %g, another %g\n", k, run, (double)workers[k].scores[run],
                        (double)workers[0].scores[0]);
                return 1;
            }
    return 0;
}

int main(int argc, char **argv)
{
    static void *(*const work[])(void *) = {use_engine, use_engine, randomize, drop_weights};
    enum { THREADS = sizeof work / sizeof *work };
    worker workers[THREADS];
    pthread_t threads[THREADS];
    pthread_barrier_t together;
    sal_model *model = NULL;
    sal_model_info info = SAL_MODEL_INFO_INIT;
    if (argc != 2 || sal_model_open(&model, argv[1], NULL) != SAL_OK || sal_model_get_info(&info, model) != SAL_OK ||
        info.outputs != 1) {
        fprintf(stderr, "usage: share_model MODEL, of one output: %s\n", sal_last_error());
        return 2;
    }
    float *input = calloc((size_t)(info.channels * info.height * info.width), sizeof *input);
    if (!input)
        return 2;
    pthread_barrier_init(&together, NULL, THREADS);
    for (size_t k = 0; k < THREADS; k++) {
        workers[k] = (worker){.model = model, .input = input, .together = &together};
        if (pthread_create(&threads[k], NULL, work[k], &workers[k]) != 0)
            return 2;
    }
    for (size_t k = 0; k < THREADS; k++)
        pthread_join(threads[k], NULL);
    pthread_barrier_destroy(&together);
    sal_model_close(model);
    free(input);
    return check(workers, THREADS);
}
