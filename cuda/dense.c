/* Dense layers: cuBLASLt with the bias in the epilogue, or, where it has no algorithm for that, a kernel of ours after
 * the product. Vectors and their weights are floats in every precision; but for fp32 the products run on tensor cores
 * as TF32.
 *
 * cuBLAS counts columns first: a row-major (N, F) is its F x N. So Y (O x N) = op(W)^T X with W (F x O), and
 * backward dX (F x N) = W dY. The gradient of the scores themselves needs no product: see seed.cu. */
#include "library.h"

#include "base/memory.h"

#include <string.h>

enum { WORKSPACE = 4 << 20 };

typedef struct dense_plan {
    const sal_step *step;
    int64_t features, outputs;
    int seeded;   /* backward of the scores: rows of the weights */
    int finished; /* forward: the bias is added after the product */
    cuda_weight *weight;
    cuda_weight *bias;
    cublasLtMatmulDesc_t matmul;
    cublasLtMatrixLayout_t weights, from, to;
    cublasLtMatmulAlgo_t algorithm;
    size_t workspace;
} dense_plan;

static void release(sal_device *d, void *plan)
{
    dense_plan *p = plan;
    if (!p)
        return;
    cuda_weights_release(d, p->weight);
    cuda_weights_release(d, p->bias);
    if (p->matmul)
        (void)nvidia.cublasLtMatmulDescDestroy(p->matmul);
    if (p->weights)
        (void)nvidia.cublasLtMatrixLayoutDestroy(p->weights);
    if (p->from)
        (void)nvidia.cublasLtMatrixLayoutDestroy(p->from);
    if (p->to)
        (void)nvidia.cublasLtMatrixLayoutDestroy(p->to);
    sal_free(p);
}

/* ---- Preparing ---------------------------------------------------------- */

static sal_status layout(cublasLtMatrixLayout_t *out, int64_t rows, int64_t columns)
{
    return CUBLAS_CHECK(nvidia.cublasLtMatrixLayoutCreate(out, CUDA_R_32F, (uint64_t)rows, (uint64_t)columns, rows));
}

static sal_status describe_product(dense_plan *p, const sal_device *d, int backward)
{
    sal_status st = SAL_OK;
    const cublasComputeType_t compute =
        d->precision == SAL_PRECISION_FP32 ? CUBLAS_COMPUTE_32F : CUBLAS_COMPUTE_32F_FAST_TF32;
    const cublasOperation_t turn = backward ? CUBLAS_OP_N : CUBLAS_OP_T;
    TRY(CUBLAS_CHECK(nvidia.cublasLtMatmulDescCreate(&p->matmul, compute, CUDA_R_32F)));
    TRY(CUBLAS_CHECK(
        nvidia.cublasLtMatmulDescSetAttribute(p->matmul, CUBLASLT_MATMUL_DESC_TRANSA, &turn, sizeof turn)));
    if (p->bias && !p->finished) {
        const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
        const void *bias = cuda_weight_memory(p->bias);
        TRY(CUBLAS_CHECK(nvidia.cublasLtMatmulDescSetAttribute(p->matmul, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue,
                                                               sizeof epilogue)));
        TRY(CUBLAS_CHECK(
            nvidia.cublasLtMatmulDescSetAttribute(p->matmul, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias)));
    }
done:
    return st;
}

static sal_status describe_matrices(dense_plan *p, int backward)
{
    sal_status st = SAL_OK;
    const int64_t batch = p->step->batch;
    TRY(layout(&p->weights, p->features, p->outputs));
    TRY(layout(&p->from, backward ? p->outputs : p->features, batch));
    TRY(layout(&p->to, backward ? p->features : p->outputs, batch));
done:
    return st;
}

/* *found: how many it has, 0 or 1. */
static sal_status ask_algorithm(int *found, dense_plan *p, const sal_device *d)
{
    sal_status st = SAL_OK;
    cublasLtMatmulPreference_t preference = NULL;
    cublasLtMatmulHeuristicResult_t result;
    const size_t workspace = WORKSPACE;
    *found = 0;
    TRY(CUBLAS_CHECK(nvidia.cublasLtMatmulPreferenceCreate(&preference)));
    TRY(CUBLAS_CHECK(nvidia.cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                                 &workspace, sizeof workspace)));
    TRY(CUBLAS_CHECK(nvidia.cublasLtMatmulAlgoGetHeuristic(d->library->cublas, p->matmul, p->weights, p->from, p->to,
                                                           p->to, preference, 1, &result, found)));
    if (*found > 0) {
        p->algorithm = result.algo;
        p->workspace = result.workspaceSize;
    }
done:
    if (preference)
        (void)nvidia.cublasLtMatmulPreferenceDestroy(preference);
    return st;
}

/* With the bias in the epilogue where that can be had. */
static sal_status choose_algorithm(dense_plan *p, const sal_device *d, int backward)
{
    sal_status st = SAL_OK;
    int found;
    TRY(ask_algorithm(&found, p, d));
    if (found == 0 && p->bias) {
        (void)nvidia.cublasLtMatmulDescDestroy(p->matmul);
        p->matmul = NULL;
        p->finished = 1;
        TRY(describe_product(p, d, backward));
        TRY(ask_algorithm(&found, p, d));
    }
    if (found == 0)
        st = sal_fail(SAL_ERROR_UNSUPPORTED, "cuBLAS has no algorithm for %lld x %lld", (long long)p->outputs,
                      (long long)p->features);
done:
    return st;
}

static sal_status prepare(void **plan, sal_needs *needs, sal_device *d, const sal_step *step, const sal_value *values,
                          int backward)
{
    sal_status st = SAL_OK;
    dense_plan *p = NULL;
    const sal_node *n = step->node;
    TRY(sal_alloc(&p, 1, sizeof *p, "a dense layer"));
    p->step = step;
    p->outputs = n->shape.dim[1];
    p->features = (int64_t)n->weight_count / p->outputs;
    p->seeded = backward && values[step->inputs[0]].seed;
    TRY(cuda_weights_use(&p->weight, needs, d, n, CUDA_WEIGHT_FLOATS, 0));
    if (!backward)
        TRY(cuda_weights_use(&p->bias, needs, d, n, CUDA_WEIGHT_BIAS, p->outputs));
    if (!p->seeded) {
        TRY(describe_product(p, d, backward));
        TRY(describe_matrices(p, backward));
    }
    if (!p->seeded && !d->described)
        TRY(choose_algorithm(p, d, backward));
    needs->scratch_bytes = p->workspace;
    needs->algorithm = p->seeded ? "rows of the weights" : p->finished ? "cublas, finished by kernel" : "cublas";
    *plan = p;
    p = NULL;
done:
    release(d, p);
    return st;
}

static sal_status prepare_forward(void **plan, sal_needs *needs, sal_device *d, const sal_step *step,
                                  const sal_value *values)
{
    return prepare(plan, needs, d, step, values, 0);
}

static sal_status prepare_backward(void **plan, sal_needs *needs, sal_device *d, const sal_step *step,
                                   const sal_value *values)
{
    return prepare(plan, needs, d, step, values, 1);
}

/* ---- Running ------------------------------------------------------------ */

/* y = W op x (+ addend) */
static sal_status multiply(sal_device *d, const dense_plan *p, const void *addend, const sal_run *r)
{
    const float one = 1.0f, beta = addend ? 1.0f : 0.0f;
    return CUBLAS_CHECK(nvidia.cublasLtMatmul(
        d->library->cublas, p->matmul, &one, cuda_weight_memory(p->weight), p->weights, r->inputs[0], p->from, &beta,
        addend ? addend : r->output, p->to, r->output, p->to, &p->algorithm, r->scratch, p->workspace, d->compute));
}

static sal_status run_forward(sal_device *d, void *plan, const sal_run *r)
{
    sal_status st = SAL_OK;
    const dense_plan *p = plan;
    const sal_activation *a = &p->step->node->activation;
    TRY(multiply(d, p, NULL, r));
    if (p->finished) {
        const cuda_extent e = {p->step->batch, 1, 1, p->outputs};
        const sal_activation none = {0};
        TRY(CUDA_CHECK(cuda_activation_finish(r->output, NULL, NULL, cuda_weight_memory(p->bias), CUDA_TYPE_FLOAT, e,
                                              &none, d->compute)));
    }
    if (a->kind != SAL_ACT_NONE)
        TRY(CUDA_CHECK(cuda_activation(r->output, r->kept, r->output, CUDA_TYPE_FLOAT, p->step->batch, p->outputs, a,
                                       d->compute)));
done:
    return st;
}

static sal_status run_backward(sal_device *d, void *plan, const sal_run *r)
{
    const dense_plan *p = plan;
    const void *addend = cuda_addend(p->step, r);
    if (!p->seeded)
        return multiply(d, p, addend, r);
    return CUDA_CHECK(cuda_seed_rows(r->output, r->inputs[0], cuda_weight_memory(p->weight), addend, p->step->batch,
                                     p->outputs, p->features, d->compute));
}

const sal_step_row cuda_row_dense = {prepare_forward, run_forward, release};
const sal_step_row cuda_row_dense_backward = {prepare_backward, run_backward, release};
