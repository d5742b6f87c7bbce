#include "cli/shard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t max_count = 1 << 20;
static const int64_t max_number = INT32_MAX; /* of a variable: products of two are still numbers */

/* A whole number from 0 on, all of the text. */
static int parse(int64_t *out, const char *text)
{
    char *end;
    errno = 0;
    if (!text || *text < '0' || *text > '9')
        return 0;
    *out = strtoll(text, &end, 10);
    return *end == '\0' && errno == 0;
}

/* Code CLI_OK with *set 0 where the variable is not there; an error where it is no number. */
static int read_variable(int64_t *value, int *set, const cli_command *command, const char *name)
{
    const char *text = getenv(name);
    *set = text && *text;
    if (*set && (!parse(value, text) || *value > max_number))
        return cli_fail(command, CLI_USAGE, "--shard auto: %s is '%s', no number of a task", name, text);
    return CLI_OK;
}

static int check(const cli_shard *s, const cli_command *command)
{
    if (s->count > max_count)
        return cli_fail(command, CLI_USAGE, "--shard: %lld shards are too many: at most %lld (%s)", (long long)s->count,
                        (long long)max_count, s->source);
    if (s->count < 1 || s->index < 0 || s->index >= s->count)
        return cli_fail(command, CLI_USAGE, "--shard: %lld/%lld: shards are numbered from 0, so 0 to %lld (%s)",
                        (long long)s->index, (long long)s->count, (long long)s->count - 1, s->source);
    return CLI_OK;
}

/* Rank and size in two variables. *found: 1 where they are there. */
static int from_pair(cli_shard *s, int *found, const cli_command *command, const char *rank, const char *size,
                     const char *launcher)
{
    int has_rank, has_size;
    int code = read_variable(&s->index, &has_rank, command, rank);
    if (code == CLI_OK)
        code = read_variable(&s->count, &has_size, command, size);
    if (code != CLI_OK)
        return code;
    *found = has_rank && has_size;
    if (*found)
        snprintf(s->source, sizeof s->source, "%s: %s=%lld, %s=%lld", launcher, rank, (long long)s->index, size,
                 (long long)s->count);
    else if (has_rank)
        code = cli_fail(command, CLI_USAGE, "--shard auto: %s is set and %s is not: say --shard %lld/N", rank, size,
                        (long long)s->index);
    return code;
}

/* A job array: (ID - MIN) / STEP of COUNT, where no task is missing. asked: the N of auto/N, or 0. */
static int from_array(cli_shard *s, int *found, const cli_command *command, int64_t asked)
{
    static const char *const names[] = {"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX",
                                        "SLURM_ARRAY_TASK_STEP", "SLURM_ARRAY_TASK_COUNT"};
    enum { ID, MIN, MAX, STEP, COUNT, NAMES };
    int64_t v[NAMES] = {0, 0, 0, 1, 0};
    int set[NAMES];
    for (int k = 0; k < NAMES; k++) {
        int code = read_variable(&v[k], &set[k], command, names[k]);
        if (code != CLI_OK)
            return code;
    }
    *found = set[ID];
    if (!*found)
        return CLI_OK;
    const int whole = set[MIN] && set[MAX] && v[COUNT] > 1 && v[STEP] >= 1 && v[MAX] >= v[MIN] &&
                      (v[MAX] - v[MIN]) / v[STEP] + 1 == v[COUNT] && v[ID] >= v[MIN] && (v[ID] - v[MIN]) % v[STEP] == 0;
    /* Some of the tasks, run again: their numbers are those of the shards. */
    if (asked && !(whole && v[COUNT] == asked)) {
        *s = (cli_shard){.index = v[ID], .count = asked};
        snprintf(s->source, sizeof s->source, "Slurm array task %lld, tasks being numbered from 0", (long long)v[ID]);
        return CLI_OK;
    }
    /* One task alone may be one of many that is run again: its variables do not tell. */
    if (v[COUNT] <= 1)
        return cli_fail(command, CLI_USAGE,
                        "--shard auto: the Slurm array has one task, number %lld: of how many is not known; say "
                        "--shard auto/N",
                        (long long)v[ID]);
    if (!whole)
        return cli_fail(
            command, CLI_USAGE,
            "--shard auto: the Slurm array of %lld tasks from %lld to %lld by %lld has gaps: say --shard I/N",
            (long long)v[COUNT], (long long)v[MIN], (long long)v[MAX], (long long)v[STEP]);
    *s = (cli_shard){.index = (v[ID] - v[MIN]) / v[STEP], .count = v[COUNT]};
    snprintf(s->source, sizeof s->source, "Slurm array task %lld (of %lld, from %lld by %lld)", (long long)v[ID],
             (long long)v[COUNT], (long long)v[MIN], (long long)v[STEP]);
    return CLI_OK;
}

/* A step of several tasks. Without SLURM_STEP_NUM_TASKS there is no step: a batch script sees SLURM_PROCID=0 and the
 * job's SLURM_NTASKS, though it is alone. */
static int from_step(cli_shard *s, int *found, const cli_command *command)
{
    int has_rank = 0, has_size;
    int code = read_variable(&s->count, &has_size, command, "SLURM_STEP_NUM_TASKS");
    if (code == CLI_OK && has_size)
        code = read_variable(&s->index, &has_rank, command, "SLURM_PROCID");
    *found = code == CLI_OK && has_size && has_rank;
    if (*found)
        snprintf(s->source, sizeof s->source, "Slurm step: task %lld of %lld", (long long)s->index,
                 (long long)s->count);
    return code;
}

/* Processes started together. Open MPI first: under mpirun in a Slurm job, Slurm's variables are those of the batch
 * script. */
static int from_ranks(cli_shard *s, int *found, const cli_command *command)
{
    int code = from_pair(s, found, command, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "Open MPI");
    if (code == CLI_OK && !*found)
        code = from_pair(s, found, command, "PMI_RANK", "PMI_SIZE", "MPI (PMI)");
    if (code == CLI_OK && !*found)
        code = from_step(s, found, command);
    if (code == CLI_OK && *found && (s->count < 1 || s->index >= s->count))
        code = cli_fail(command, CLI_USAGE, "--shard auto: %lld of %lld cannot be (%s)", (long long)s->index,
                        (long long)s->count, s->source);
    return code;
}

static int from_kubernetes(cli_shard *s, int *found, const cli_command *command, int64_t asked)
{
    int code = read_variable(&s->index, found, command, "JOB_COMPLETION_INDEX");
    if (code != CLI_OK || !*found)
        return code;
    if (!asked)
        return cli_fail(command, CLI_USAGE,
                        "--shard auto: JOB_COMPLETION_INDEX is %lld, of how many completions is not known; say --shard "
                        "auto/N",
                        (long long)s->index);
    s->count = asked;
    snprintf(s->source, sizeof s->source, "Kubernetes indexed job: JOB_COMPLETION_INDEX=%lld", (long long)s->index);
    return CLI_OK;
}

/* Jobs of an array. */
static int from_jobs(cli_shard *s, int *found, const cli_command *command, int64_t asked)
{
    int code = from_array(s, found, command, asked);
    if (code == CLI_OK && !*found)
        code = from_pair(s, found, command, "AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE", "AWS Batch");
    if (code == CLI_OK && !*found)
        code = from_kubernetes(s, found, command, asked);
    return code;
}

static int from_environment(cli_shard *out, const cli_command *command, int64_t asked)
{
    cli_shard ranks = {.count = 1}, jobs = {.count = 1};
    int has_ranks, has_jobs = 0;
    int code = from_ranks(&ranks, &has_ranks, command);
    /* A launcher with one process says nothing of the array that it may be a task of; with several, each task of the
     * array is divided among them. */
    if (code == CLI_OK)
        code = from_jobs(&jobs, &has_jobs, command, has_ranks && ranks.count > 1 ? asked / ranks.count : asked);
    if (code != CLI_OK)
        return code;
    if (!has_ranks && !has_jobs)
        return cli_fail(
            command, CLI_USAGE,
            "--shard auto: no launcher's variables are set (Open MPI, PMI, a Slurm array or step, AWS Batch, "
            "Kubernetes): say --shard I/N");
    *out = has_jobs ? jobs : ranks;
    if (has_jobs && ranks.count > 1) {
        out->index = jobs.index * ranks.count + ranks.index;
        out->count = jobs.count * ranks.count;
        snprintf(out->source, sizeof out->source, "%.75s; %.75s", jobs.source, ranks.source);
    }
    if (asked && out->count != asked)
        return cli_fail(command, CLI_USAGE, "--shard auto/%lld: the launcher says %lld (%s)", (long long)asked,
                        (long long)out->count, out->source);
    return CLI_OK;
}

int cli_shard_find(cli_shard *out, const cli_command *command, const char *text)
{
    *out = (cli_shard){.count = 1};
    if (!text)
        return CLI_OK;
    int64_t asked = 0;
    const char *slash = strchr(text, '/');
    const size_t length = slash ? (size_t)(slash - text) : strlen(text);
    char first[32];
    snprintf(first, sizeof first, "%.*s", (int)(length < sizeof first ? length : sizeof first - 1), text);
    if (slash && (!parse(&asked, slash + 1) || asked < 1))
        return cli_fail(command, CLI_USAGE, "--shard: '%s' is not I/N, auto or auto/N", text);
    int code = CLI_OK;
    if (strcmp(first, "auto") == 0) {
        code = from_environment(out, command, asked);
    } else if (slash && length < sizeof first && parse(&out->index, first)) {
        out->count = asked;
        snprintf(out->source, sizeof out->source, "--shard");
    } else {
        return cli_fail(command, CLI_USAGE, "--shard: '%s' is not I/N, auto or auto/N", text);
    }
    return code == CLI_OK ? check(out, command) : code;
}
