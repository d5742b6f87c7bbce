#include "product.h"

enum { WORKSPACE = 4 << 20 };

static void close_call(cuda_product_call *c)
{
    cublasLtMatrixLayout_t *const layouts[] = {&c->first, &c->second, &c->out};
    for (int k = 0; k < 3; k++)
        if (*layouts[k])
            (void)nvidia.cublasLtMatrixLayoutDestroy(*layouts[k]);
}

void cuda_product_close(cuda_product *p)
{
    if (p->matmul)
        (void)nvidia.cublasLtMatmulDescDestroy(p->matmul);
    close_call(&p->most);
    close_call(&p->rest);
}

/* ---- Describing ----------------------------------------------------------- */

/* Of `count` matrices that are row-major (rows, columns). */
static sal_status describe_matrix(cublasLtMatrixLayout_t *out, int64_t rows, int64_t columns, int64_t count)
{
    sal_status st = SAL_OK;
    const int32_t matrices = (int32_t)count;
    const int64_t apart = rows * columns;
    TRY(CUBLAS_CHECK(nvidia.cublasLtMatrixLayoutCreate(out, CUDA_R_32F, (uint64_t)columns, (uint64_t)rows, columns)));
    if (count == 1)
        return st;
    TRY(CUBLAS_CHECK(
        nvidia.cublasLtMatrixLayoutSetAttribute(*out, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &matrices, sizeof matrices)));
    TRY(CUBLAS_CHECK(nvidia.cublasLtMatrixLayoutSetAttribute(*out, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &apart,
                                                             sizeof apart)));
done:
    return st;
}

static sal_status describe_call(cuda_product_call *c, const cuda_product_size *s, int64_t count)
{
    sal_status st = SAL_OK;
    c->count = count;
    if (count == 0)
        return st;
    TRY(describe_matrix(&c->first, s->turned[0] ? s->depth : s->rows, s->turned[0] ? s->rows : s->depth, count));
    TRY(describe_matrix(&c->second, s->turned[1] ? s->columns : s->depth, s->turned[1] ? s->depth : s->columns, count));
    TRY(describe_matrix(&c->out, s->rows, s->columns, count));
done:
    return st;
}

static sal_status set(cublasLtMatmulDesc_t matmul, cublasLtMatmulDescAttributes_t name, const void *value, size_t bytes)
{
    return CUBLAS_CHECK(nvidia.cublasLtMatmulDescSetAttribute(matmul, name, value, bytes));
}

/* A is the second factor, B the first. */
static sal_status describe_product(cuda_product *p, const sal_device *d, const void *bias)
{
    sal_status st = SAL_OK;
    const cublasComputeType_t compute =
        d->precision == SAL_PRECISION_FP32 ? CUBLAS_COMPUTE_32F : CUBLAS_COMPUTE_32F_FAST_TF32;
    const cublasOperation_t turn = CUBLAS_OP_T;
    const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
    TRY(CUBLAS_CHECK(nvidia.cublasLtMatmulDescCreate(&p->matmul, compute, CUDA_R_32F)));
    if (p->size.turned[1])
        TRY(set(p->matmul, CUBLASLT_MATMUL_DESC_TRANSA, &turn, sizeof turn));
    if (p->size.turned[0])
        TRY(set(p->matmul, CUBLASLT_MATMUL_DESC_TRANSB, &turn, sizeof turn));
    if (bias) {
        TRY(set(p->matmul, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue));
        TRY(set(p->matmul, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias));
    }
done:
    return st;
}

/* ---- Choosing an algorithm ------------------------------------------------ */

/* *found: how many there are, 0 or 1. */
static sal_status ask_algorithm(int *found, cuda_product *p, cuda_product_call *c, const sal_device *d)
{
    sal_status st = SAL_OK;
    cublasLtMatmulPreference_t preference = NULL;
    cublasLtMatmulHeuristicResult_t result;
    const size_t workspace = WORKSPACE;
    *found = 1;
    if (c->count == 0)
        return st;
    TRY(CUBLAS_CHECK(nvidia.cublasLtMatmulPreferenceCreate(&preference)));
    TRY(CUBLAS_CHECK(nvidia.cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                                 &workspace, sizeof workspace)));
    TRY(CUBLAS_CHECK(nvidia.cublasLtMatmulAlgoGetHeuristic(d->library->cublas, p->matmul, c->second, c->first, c->out,
                                                           c->out, preference, 1, &result, found)));
    if (*found > 0) {
        c->algorithm = result.algo;
        p->workspace = result.workspaceSize > p->workspace ? result.workspaceSize : p->workspace;
    }
done:
    if (preference)
        (void)nvidia.cublasLtMatmulPreferenceDestroy(preference);
    return st;
}

static sal_status ask_algorithms(int *found, cuda_product *p, const sal_device *d)
{
    sal_status st = SAL_OK;
    TRY(ask_algorithm(found, p, &p->most, d));
    if (*found > 0)
        TRY(ask_algorithm(found, p, &p->rest, d));
done:
    return st;
}

/* With the bias in the epilogue where that can be had. */
static sal_status choose_algorithms(cuda_product *p, const sal_device *d, const void *bias)
{
    sal_status st = SAL_OK;
    int found;
    TRY(ask_algorithms(&found, p, d));
    if (found == 0 && bias) {
        (void)nvidia.cublasLtMatmulDescDestroy(p->matmul);
        p->matmul = NULL;
        p->finished = 1;
        TRY(describe_product(p, d, NULL));
        TRY(ask_algorithms(&found, p, d));
    }
    if (found == 0)
        st = sal_fail(SAL_ERROR_UNSUPPORTED, "cuBLAS has no algorithm for %lld x %lld times %lld x %lld",
                      (long long)p->size.rows, (long long)p->size.depth, (long long)p->size.depth,
                      (long long)p->size.columns);
done:
    return st;
}

sal_status cuda_product_open(cuda_product *p, const sal_device *d, const cuda_product_size *size, const void *bias)
{
    sal_status st = SAL_OK;
    p->size = *size;
    TRY(describe_product(p, d, bias));
    TRY(describe_call(&p->most, size, size->count < CUDA_PRODUCT_MOST ? 0 : CUDA_PRODUCT_MOST));
    TRY(describe_call(&p->rest, size, size->count % CUDA_PRODUCT_MOST));
    if (!d->described)
        TRY(choose_algorithms(p, d, bias));
done:
    return st;
}

/* ---- Running -------------------------------------------------------------- */

sal_status cuda_product_run(const cuda_product *p, const sal_device *d, void *out, const void *first,
                            const void *second, const void *addend, void *scratch)
{
    sal_status st = SAL_OK;
    const cuda_product_size *s = &p->size;
    const float beta = addend ? 1.0f : 0.0f;
    for (int64_t k = 0; k < s->count; k += CUDA_PRODUCT_MOST) {
        const cuda_product_call *c = s->count - k < CUDA_PRODUCT_MOST ? &p->rest : &p->most;
        float *to = (float *)out + k * s->rows * s->columns;
        const float *a = (const float *)first + k * s->rows * s->depth;
        const float *b = (const float *)second + k * s->depth * s->columns;
        const float *added = addend ? (const float *)addend + k * s->rows * s->columns : to;
        TRY(CUBLAS_CHECK(nvidia.cublasLtMatmul(d->library->cublas, p->matmul, &s->scale, b, c->second, a, c->first,
                                               &beta, added, c->out, to, c->out, &c->algorithm, scratch, p->workspace,
                                               d->compute)));
    }
done:
    return st;
}
