/* Handles of cuDNN and cuBLASLt, for conv.c and product.c. */
#ifndef CUDA_LIBRARY_H
#define CUDA_LIBRARY_H

#include "cuda_rows.h"
#include "nvidia.h"
#include "planning/cudnn_graph.h"
#include "planning/plan_cache.h"
#include "trial.h"

struct cuda_library {
    cudnnHandle_t cudnn;     /* NULL: described */
    cublasLtHandle_t cublas; /* NULL: described */
    cudnn_target target;     /* of plans */
    cuda_trial trial;        /* of each of them */
    plan_cache plans;        /* of the device */
};

/* Of a call of `nvidia`. */
#define CUBLAS_CHECK(call) cuda_cublas_check((call), #call)
sal_status cuda_cublas_check(cublasStatus_t status, const char *call);

#endif
