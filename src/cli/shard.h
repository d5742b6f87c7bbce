/* Which part of a data set this process is to do: said, or told by the launcher's environment. */
#ifndef SAL_CLI_SHARD_H
#define SAL_CLI_SHARD_H

#include "cli/cli.h"

typedef struct cli_shard {
    int64_t index;    /* from 0 */
    int64_t count;    /* 1: the whole */
    char source[160]; /* where that comes from: "Slurm array task 2 (2 of 0 to 3)"; empty: nobody asked for a part */
} cli_shard;

/* text: NULL, "I/N", "auto", or "auto/N" where the environment knows I alone. In this order: Open MPI; PMI (MPICH,
 * Intel MPI); a Slurm step of several tasks, together with the job array that it is in; a Slurm job array; AWS Batch;
 * a Kubernetes indexed job. Returns an exit code, after a message. */
int cli_shard_find(cli_shard *out, const cli_command *command, const char *text);

#endif
