/* Times sal_engine_gradient, one child of scripts/bench.sh: its twin is scripts/bench_pytorch.py.
 *
 *     bench_gradient WARM MODEL INPUTS BATCH THREADS GRADIENTS [DEVICE [PRECISION]] [lean] [targets=K,K,...]
 *
 * WARM: a small model, run first, so that the libraries' own code and tables are not counted as the network's
 * memory. INPUTS: BATCH pictures as raw float32; GRADIENTS: the gradients of their predicted logits, or of those that
 * targets= names, written at the end. DEVICE: cpu unless said; PRECISION: fp32, tf32, bf16 or fp16. Prints "ready" when
 * it has run once. Then every line on standard input is a turn of that many runs, answered by "ms" and the milliseconds
 * per picture of each; the end of the input ends it with
 *
 *     peak-bytes      peak RSS of the process minus the RSS right before the model was loaded minus the
 *                     bytes of the float32 weights in the file
 *     running-bytes   the same of the runs alone, the first left out
 *     arena-bytes, flops (forward and backward, one picture), device
 *     device-ms       median milliseconds per picture that the device computed, transfers left out; 0: it does not tell
 *     replayed        passes, of 2, that were recorded graphs
 *     note            why one could not be recorded
 */
#include <salmap/plan.h>
#include <salmap/salmap.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct job {
    sal_model *model;
    sal_engine *engine;
    sal_model_info info;
    int64_t batch;
    size_t elements; /* of all pictures */
    float *inputs;
    float *gradients;
    sal_target *targets;
    int64_t rss_before;
    sal_engine_options options;
    const char *target_list; /* "3,17", or NULL: what is predicted */
    double *device;          /* milliseconds per picture, of each run */
    size_t runs;
} job;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Bytes of "VmRSS:" or "VmHWM:" (peak RSS); -1 where /proc is not Linux's. */
static int64_t process_bytes(const char *key)
{
    char line[256];
    int64_t kilobytes = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, key, strlen(key)))
            kilobytes = strtoll(line + strlen(key), NULL, 10);
    if (f)
        fclose(f);
    return kilobytes < 0 ? -1 : kilobytes * 1024;
}

/* Makes the peak RSS start again from what is used now. */
static void forget_peak(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "w");
    if (f) {
        fputs("5", f);
        fclose(f);
    }
}

static int complain(const char *what)
{
    fprintf(stderr, "bench_gradient: %s\n", what);
    return 0;
}

static int read_inputs(job *j, const char *path)
{
    j->inputs = malloc(j->elements * sizeof(float));
    j->gradients = malloc(j->elements * sizeof(float));
    j->targets = calloc((size_t)j->batch, sizeof *j->targets);
    if (!j->inputs || !j->gradients || !j->targets)
        return complain("out of memory");
    char *text = (char *)(uintptr_t)j->target_list;
    for (int64_t i = 0; text && i < j->batch; i++, text += *text == ',')
        j->targets[i] = (sal_target){.kind = SAL_TARGET_INDEX, .index = strtoll(text, &text, 10)};
    FILE *f = fopen(path, "rb");
    const int ok = f && fread(j->inputs, sizeof(float), j->elements, f) == j->elements && fgetc(f) == EOF;
    if (f)
        fclose(f);
    return ok ? 1 : complain("INPUTS is not BATCH pictures of the model's size");
}

static int write_gradients(const job *j, const char *path)
{
    FILE *f = fopen(path, "wb");
    int ok = f && fwrite(j->gradients, sizeof(float), j->elements, f) == j->elements;
    if (f && fclose(f))
        ok = 0;
    return ok ? 1 : complain("GRADIENTS cannot be written");
}

static int run_once(job *j, double *milliseconds)
{
    const double begin = now();
    if (sal_engine_gradient(j->engine, j->gradients, NULL, NULL, j->inputs, j->targets, j->batch))
        return complain(sal_last_error());
    *milliseconds = (now() - begin) * 1e3 / (double)j->batch;
    return 1;
}

static int keep_device_time(job *j)
{
    sal_pass_info forward = SAL_PASS_INFO_INIT, backward = SAL_PASS_INFO_INIT;
    if (sal_engine_get_pass(&forward, j->engine, SAL_PASS_FORWARD) ||
        sal_engine_get_pass(&backward, j->engine, SAL_PASS_BACKWARD))
        return complain(sal_last_error());
    double *grown = realloc(j->device, (j->runs + 1) * sizeof *grown);
    if (!grown)
        return complain("out of memory");
    j->device = grown;
    j->device[j->runs++] = (forward.milliseconds + backward.milliseconds) / (double)j->batch;
    return 1;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int print_passes(job *j)
{
    int replayed = 0;
    sal_pass_info passes[2] = {SAL_PASS_INFO_INIT, SAL_PASS_INFO_INIT};
    if (j->runs > 1)
        qsort(j->device, j->runs, sizeof *j->device, ascending);
    for (int k = 0; k < 2; k++) {
        if (sal_engine_get_pass(&passes[k], j->engine, (sal_pass_kind)k))
            return complain(sal_last_error());
        replayed += passes[k].replayed;
    }
    printf("device-ms %.4f\nreplayed %d\n", j->runs > 0 ? j->device[j->runs / 2] : 0.0, replayed);
    for (int k = 0; k < 2; k++)
        if (passes[k].note)
            printf("note %s: %s\n", k == SAL_PASS_FORWARD ? "forward" : "backward", passes[k].note);
    return 1;
}

static int warm_up(const char *path, sal_engine_options options)
{
    sal_model *model = NULL;
    sal_engine *engine = NULL;
    sal_model_info info = SAL_MODEL_INFO_INIT;
    const sal_target target = {.kind = SAL_TARGET_PREDICTED};
    options.batch = 1;
    int ok = !sal_model_open(&model, path, NULL) && !sal_model_get_info(&info, model) &&
             !sal_engine_open(&engine, model, &options);
    const size_t elements = ok ? (size_t)(info.channels * info.height * info.width) : 0;
    float *memory = calloc(2 * elements + 1, sizeof *memory);
    ok = ok && memory && !sal_engine_gradient(engine, memory + elements, NULL, NULL, memory, &target, 1);
    free(memory);
    sal_engine_close(engine);
    sal_model_close(model);
    return ok ? 1 : complain(sal_last_error());
}

static int job_open(job *j, char **argv)
{
    double milliseconds;
    if (!warm_up(argv[1], j->options))
        return 0;
    forget_peak();
    j->rss_before = process_bytes("VmRSS:");
    j->batch = strtoll(argv[4], NULL, 10);
    if (j->batch < 1)
        return complain("BATCH must be positive");
    if (sal_model_open(&j->model, argv[2], NULL) || sal_model_get_info(&j->info, j->model))
        return complain(sal_last_error());
    j->elements = (size_t)(j->batch * j->info.channels * j->info.height * j->info.width);
    j->options.batch = j->batch;
    if (sal_engine_open(&j->engine, j->model, &j->options))
        return complain(sal_last_error());
    return read_inputs(j, argv[3]) && run_once(j, &milliseconds);
}

static int take_options(job *j, int argc, char **argv)
{
    static const char *const names[] = {
        [SAL_PRECISION_FP32] = "fp32",
        [SAL_PRECISION_TF32] = "tf32",
        [SAL_PRECISION_BF16] = "bf16",
        [SAL_PRECISION_FP16] = "fp16",
    };
    int precision_is_known = argc < 9;
    if (argc < 7)
        return 0;
    j->options.device = argc > 7 ? argv[7] : "cpu";
    j->options.threads = strtol(argv[5], NULL, 10);
    for (int k = 8; k < argc; k++) {
        if (strcmp(argv[k], "lean") == 0)
            j->options.lean = 1;
        else if (strncmp(argv[k], "targets=", 8) == 0)
            j->target_list = argv[k] + 8;
        else
            for (int i = SAL_PRECISION_FP32; i <= SAL_PRECISION_FP16; i++)
                if (strcmp(argv[k], names[i]) == 0)
                    j->options.precision = (sal_precision)i;
    }
    for (int k = 8; k < argc; k++)
        precision_is_known = j->options.precision != SAL_PRECISION_DEFAULT || j->options.lean || j->target_list;
    return precision_is_known;
}

static int take_turns(job *j)
{
    char line[64];
    while (fgets(line, sizeof line, stdin)) {
        printf("ms");
        for (long left = strtol(line, NULL, 10); left > 0; left--) {
            double milliseconds;
            if (!run_once(j, &milliseconds) || !keep_device_time(j))
                return 0;
            printf(" %.4f", milliseconds);
        }
        printf("\n");
        fflush(stdout);
    }
    return 1;
}

int main(int argc, char **argv)
{
    job j = {.info = SAL_MODEL_INFO_INIT, .options = SAL_ENGINE_OPTIONS_INIT};
    sal_plan_info plan = SAL_PLAN_INFO_INIT;
    if (!take_options(&j, argc, argv)) {
        fprintf(stderr, "usage: bench_gradient WARM MODEL INPUTS BATCH THREADS GRADIENTS [DEVICE [PRECISION]] [lean] "
                        "[targets=K,K,...]\n");
        return 2;
    }
    int ok = job_open(&j, argv);
    if (ok) {
        const int64_t base = j.rss_before + (int64_t)j.info.parameters * (int64_t)sizeof(float);
        const int64_t peak = process_bytes("VmHWM:") - base;
        forget_peak();
        printf("ready\n");
        fflush(stdout);
        ok = take_turns(&j) && write_gradients(&j, argv[6]) && !sal_engine_get_plan(&plan, j.engine);
        const int64_t running = process_bytes("VmHWM:") - base;
        if (ok)
            printf("peak-bytes %" PRId64 "\nrunning-bytes %" PRId64 "\narena-bytes %" PRIu64 "\nflops %" PRIu64
                   "\ndevice %s\n",
                   peak > running ? peak : running, running, plan.arena_bytes, plan.flops, plan.device);
        ok = ok && print_passes(&j);
    }
    sal_engine_close(j.engine);
    sal_model_close(j.model);
    free(j.inputs);
    free(j.gradients);
    free(j.targets);
    free(j.device);
    return ok ? 0 : 1;
}
