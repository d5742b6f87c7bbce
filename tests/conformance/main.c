/* conformance [--backend DEVICE [--other]] [--precision P] [--filter TEXT] [--shard K/N] [--refuse TEXT] [--seed N]
 *             [--threads N] [--exact] [--until-failure] [--bench] [--list]
 *
 * Exit status: 0 all passed, 1 some failed, 2 wrong usage, 77 the device is not to be had here. */
#include "conformance/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct options {
    const char *backend;
    suite suite;
    sal_device_options device;
    int other; /* than the usual one */
} options;

static const char usage[] = "Usage: conformance [OPTION]...\n"
                            "Checks every step of a back end against a double-precision reference.\n\n"
                            "  --backend DEVICE  cpu, or cpu:avx512, cpu:avx2, cpu:baseline; cuda:0 [auto]\n"
                            "  --other           skipped where that is what cpu stands for\n"
                            "  --precision P     of a GPU: fp32, tf32, bf16 or fp16 [fp32]\n"
                            "  --filter TEXT     only problems whose text contains TEXT\n"
                            "  --shard K/N       of those, about one in N: part K, from 0\n"
                            "  --refuse TEXT     steps fail whose algorithm has TEXT in its name\n"
                            "  --seed N          other numbers, the same problems [1]\n"
                            "  --threads N       threads of the device [one per core]\n"
                            "  --exact           direct convolution algorithms only\n"
                            "  --many-passes     those of methods of many passes\n"
                            "  --until-failure   ends with the first failure\n"
                            "  --bench           also time each problem, and some large ones\n"
                            "  --list            name what passes, too\n";

static int take_precision(options *o, const char *name)
{
    static const struct {
        const char *name;
        sal_precision precision;
        double storage;
    } rows[] = {{"fp32", SAL_PRECISION_FP32, 0.0},
                {"tf32", SAL_PRECISION_TF32, 0.0},
                {"bf16", SAL_PRECISION_BF16, 0x1p-8},
                {"fp16", SAL_PRECISION_FP16, 0x1p-11}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].name, name) == 0) {
            o->device.precision = rows[i].precision;
            o->suite.storage = rows[i].storage;
            return 1;
        }
    return 0;
}

static int take_shard(suite *s, const char *text)
{
    char *slash, *end;
    s->shard = strtoull(text, &slash, 10);
    if (slash == text || *slash != '/')
        return 0;
    s->shards = strtoull(slash + 1, &end, 10);
    return end != slash + 1 && !*end && s->shard < s->shards;
}

/* 1: taken; the value, where there is one, is the next argument. */
static int take(options *o, const char *name, const char *value, int *used)
{
    char *end = NULL;
    unsigned long long number = value ? strtoull(value, &end, 10) : 0;
    int is_number = value && *value && !*end;
    *used = 1;
    if (strcmp(name, "--other") == 0)
        o->other = 1;
    else if (strcmp(name, "--exact") == 0)
        o->device.exact = 1;
    else if (strcmp(name, "--many-passes") == 0)
        o->device.many_passes = o->suite.many_passes = 1;
    else if (strcmp(name, "--until-failure") == 0)
        o->suite.until_failure = 1;
    else if (strcmp(name, "--bench") == 0)
        o->suite.bench = 1;
    else if (strcmp(name, "--list") == 0)
        o->suite.list = 1;
    else if (strcmp(name, "--backend") == 0 && value)
        o->backend = value, *used = 2;
    else if (strcmp(name, "--precision") == 0 && value && take_precision(o, value))
        *used = 2;
    else if (strcmp(name, "--filter") == 0 && value)
        o->suite.filter = value, *used = 2;
    else if (strcmp(name, "--shard") == 0 && value && take_shard(&o->suite, value))
        *used = 2;
    else if (strcmp(name, "--refuse") == 0 && value)
        o->suite.refuse = value, *used = 2;
    else if (strcmp(name, "--seed") == 0 && is_number)
        o->suite.seed = number, *used = 2;
    else if (strcmp(name, "--threads") == 0 && is_number && number <= 1024)
        o->device.threads = (int)number, *used = 2;
    else
        return 0;
    return 1;
}

int suite_wants(suite *s, const char *text)
{
    if ((s->filter && !strstr(text, s->filter)) || (s->until_failure && s->failed > 0))
        return 0;
    /* By its text: positions would go with the loops that make the cases. */
    return s->shards == 0 || dice_seed(0, text) % s->shards == s->shard;
}

void suite_count(suite *s, const char *text, int failed)
{
    s->passed += !failed;
    s->failed += failed != 0;
    if (failed)
        printf("FAIL: %s (--seed %llu)\n", text, (unsigned long long)s->seed);
    else if (s->list)
        printf("ok: %s\n", text);
}

static void run_all(suite *s)
{
    suite_transfers(s);
    suite_methods(s);
    suite_maps(s);
    suite_convolutions(s);
    if (s->many_passes)
        suite_winograd(s);
    suite_first_layers(s);
    suite_elementwise(s);
    suite_pools(s);
    suite_moves(s);
    suite_vectors(s);
    suite_rows(s);
    suite_long(s);
    suite_large_convolutions(s);
}

/* Whether "cpu" opens the same device. */
static int is_the_usual(const suite *s, const sal_device_options *with)
{
    sal_device *usual;
    if (s->backend->open(&usual, NULL, with) != SAL_OK)
        return 0;
    const int same = strcmp(s->backend->describe(usual), s->backend->describe(s->device)) == 0;
    s->backend->close(usual);
    return same;
}

int main(int argc, char **argv)
{
    options o = {.suite = {.seed = 1}};
    const char *spec;
    for (int i = 1, used; i < argc; i += used)
        if (!take(&o, argv[i], i + 1 < argc ? argv[i + 1] : NULL, &used)) {
            fprintf(strcmp(argv[i], "--help") == 0 ? stdout : stderr, "%s", usage);
            return strcmp(argv[i], "--help") == 0 ? 0 : 2;
        }
    suite *s = &o.suite;
    if (first_wrong_is_wrong()) {
        fprintf(stderr, "the comparison of this suite is broken: it passes what it must not, or the reverse\n");
        return 1;
    }
    if (sal_backend_find(&s->backend, &spec, o.backend) != SAL_OK) {
        fprintf(stderr, "%s\n", sal_last_error());
        return 2;
    }
    sal_status st = s->backend->open(&s->device, spec, &o.device);
    if (st != SAL_OK) {
        fprintf(stderr, "%s\n", sal_last_error());
        return st == SAL_ERROR_UNSUPPORTED ? 77 : 2;
    }
    if (o.other && is_the_usual(s, &o.device)) {
        printf("%s: a run of cpu is the same\n", s->backend->describe(s->device));
        s->backend->close(s->device);
        return 77;
    }
    s->block = suite_block(s);
    printf("%s%s\n", s->backend->describe(s->device), o.device.exact ? ", exact" : "");
    run_all(s);
    printf("%zu passed, %zu failed, %zu skipped\n", s->passed, s->failed, s->skipped);
    s->backend->close(s->device);
    /* A filter that matches nothing has checked nothing. */
    return s->failed > 0 || s->passed + s->skipped == 0;
}
