/* Which part of a data set this process is to do: said, or told by the launcher's environment. */
#ifndef SAL_CLI_SHARD_H
#define SAL_CLI_SHARD_H

#include "cli/cli.h"

typedef struct cli_shard {
    int64_t index;    /* from 0 */
    int64_t count;    /* 1: the whole */
    char source[160]; /* where that comes from: "Slurm array task 2 (2 of 0 to 3)"; empty: nobody asked for a part */
} cli_shard;

/* text: NULL, "I/N", "auto", or "auto/N" where the environment knows I alone. Processes started together: Open MPI,
 * else PMI (MPICH, Intel MPI), else a Slurm step. Jobs of an array: Slurm's, else AWS Batch's, else Kubernetes' indexed
 * ones. Where there are both, an array of several processes each, they are multiplied. Returns an exit code, after a
 * message. */
int cli_shard_find(cli_shard *out, const cli_command *command, const char *text);

#endif
