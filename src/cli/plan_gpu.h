/* salmap plan --gpu: a plan for a GPU that need not be there. */
#ifndef SAL_CLI_PLAN_GPU_H
#define SAL_CLI_PLAN_GPU_H

#include "cli/cli.h"

typedef struct plan_gpu_request {
    const char *path; /* of the model */
    const char *gpu;
    sal_precision precision;
    int64_t batch;
    sal_rule rule;
    int lean;
    int steps;
    int json;
} plan_gpu_request;

/* Prints it; the exit code. */
int plan_gpu(const cli_command *command, sal_model *model, const plan_gpu_request *request);

#endif
