/* What the processor can do at most: fused multiply-adds on registers, in as many threads as given.
 *
 *     bench_peak [THREADS [SECONDS]]       prints "peak-gflops N"
 *
 * Speeds are shares of this number, measured in the same run: a machine that is shared or throttled
 * changes it by factors. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if defined(__AVX512F__)
enum { LANES = 16 };
#elif defined(__AVX__)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif

/* Independent chains: two units times a latency of four or five cycles need about ten. */
enum { CHAINS = 12, ROUNDS = 4096, MAX_THREADS = 256 };

typedef float lanes __attribute__((vector_size(LANES * 4)));

typedef struct worker {
    pthread_t thread;
    double seconds; /* to run for */
    double gflops;
    float sink;
} worker;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Every chain tends to 1, so that no value becomes denormal or infinite. */
static void rounds(lanes *chains)
{
    const lanes factor = {0};
    const lanes half = factor + 0.5F;
    lanes c[CHAINS];
    for (int i = 0; i < CHAINS; i++)
        c[i] = chains[i];
    for (int r = 0; r < ROUNDS; r++)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) {
            c[i] = c[i] * half + half;
            /* Keeps the chain in its register and the compiler from folding rounds. */
#if defined(__x86_64__)
            __asm__ volatile("" : "+x"(c[i]));
#else
            __asm__ volatile("" : "+w"(c[i]));
#endif
        }
    for (int i = 0; i < CHAINS; i++)
        chains[i] = c[i];
}

static void *work(void *argument)
{
    worker *w = argument;
    lanes chains[CHAINS] = {{0}};
    const double begin = now();
    double count = 0;
    double elapsed;
    do {
        for (int i = 0; i < 64; i++)
            rounds(chains);
        count += 64;
        elapsed = now() - begin;
    } while (elapsed < w->seconds);
    w->gflops = count * ROUNDS * CHAINS * LANES * 2 / elapsed * 1e-9;
    for (int i = 0; i < CHAINS; i++)
        w->sink += chains[i][0];
    return NULL;
}

int main(int argc, char **argv)
{
    static worker workers[MAX_THREADS];
    const int threads = argc > 1 ? atoi(argv[1]) : 1;
    const double seconds = argc > 2 ? strtod(argv[2], NULL) : 0.5;
    double sum = 0;
    int started = 0;
    if (threads < 1 || threads > MAX_THREADS || !(seconds > 0)) {
        fprintf(stderr, "usage: bench_peak [THREADS [SECONDS]]\n");
        return 2;
    }
    for (; started < threads; started++) {
        workers[started].seconds = seconds;
        if (pthread_create(&workers[started].thread, NULL, work, &workers[started]))
            break;
    }
    for (int i = 0; i < started; i++) {
        pthread_join(workers[i].thread, NULL);
        sum += workers[i].gflops;
    }
    if (started < threads) {
        fprintf(stderr, "bench_peak: a thread could not be started\n");
        return 1;
    }
    printf("peak-gflops %.1f\n", sum);
    return 0;
}
