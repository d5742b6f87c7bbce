/* cuBLASLt on the CPU: what dense layers use, in double, after checks of all that is described. */
#include "runtime.hpp"

#include <cublasLt.h>

#include <cstdlib>
#include <cstring>
#include <vector>

using namespace emulator;

struct cublasLtContext {
    int unused;
};

namespace
{

/* What cuBLAS keeps in its opaque structures. */
struct matmul_desc {
    cublasOperation_t trans_a = CUBLAS_OP_N, trans_b = CUBLAS_OP_N;
    cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    const float *bias = nullptr;
};

struct layout_desc {
    int64_t rows, columns, leading;
};

enum { WORKSPACE = 1024 };

matmul_desc *of(cublasLtMatmulDesc_t d)
{
    return (matmul_desc *)(void *)d;
}

const layout_desc &of(cublasLtMatrixLayout_t l)
{
    return *(const layout_desc *)(const void *)l;
}

/* Whether D = op(A) op(B) fits its layouts. */
bool fits(const matmul_desc &m, const layout_desc &a, const layout_desc &b, const layout_desc &d)
{
    const bool ta = m.trans_a == CUBLAS_OP_T, tb = m.trans_b == CUBLAS_OP_T;
    return (ta ? a.columns : a.rows) == d.rows && (tb ? b.rows : b.columns) == d.columns &&
           (ta ? a.rows : a.columns) == (tb ? b.columns : b.rows) && a.leading >= a.rows && b.leading >= b.rows &&
           d.leading >= d.rows;
}

size_t bytes_of(const layout_desc &l)
{
    return (size_t)(l.leading * (l.columns - 1) + l.rows) * sizeof(float);
}

} // namespace

extern "C" {

const char *cublasLtGetStatusString(cublasStatus_t status)
{
    return status == CUBLAS_STATUS_SUCCESS        ? "success"
           : status == CUBLAS_STATUS_ALLOC_FAILED ? "out of memory"
                                                  : "emulated error";
}

size_t cublasLtGetVersion(void)
{
    return 130000;
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *h)
{
    guard g(device_lock());
    *h = nullptr;
    if (fails("cublasLtCreate"))
        return CUBLAS_STATUS_NOT_INITIALIZED;
    *h = new cublasLtContext{};
    count_object("cuBLAS handles", 1);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t h)
{
    guard g(device_lock());
    delete h;
    count_object("cuBLAS handles", -1);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *d, cublasComputeType_t, cudaDataType_t scale)
{
    guard g(device_lock());
    *d = nullptr;
    if (fails("cublasLtMatmulDescCreate"))
        return CUBLAS_STATUS_ALLOC_FAILED;
    if (scale != CUDA_R_32F)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    *d = (cublasLtMatmulDesc_t)(void *)new matmul_desc;
    count_object("cuBLAS descriptors", 1);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t d)
{
    guard g(device_lock());
    delete of(d);
    count_object("cuBLAS descriptors", -1);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t d, cublasLtMatmulDescAttributes_t name,
                                              const void *value, size_t size)
{
    guard g(device_lock());
    if (fails("cublasLtMatmulDescSetAttribute"))
        return CUBLAS_STATUS_INVALID_VALUE;
    switch (name) {
    case CUBLASLT_MATMUL_DESC_TRANSA: memcpy(&of(d)->trans_a, value, size); break;
    case CUBLASLT_MATMUL_DESC_TRANSB: memcpy(&of(d)->trans_b, value, size); break;
    case CUBLASLT_MATMUL_DESC_EPILOGUE: memcpy(&of(d)->epilogue, value, size); break;
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: memcpy(&of(d)->bias, value, size); break;
    default: return CUBLAS_STATUS_INVALID_VALUE;
    }
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *l, cudaDataType type, uint64_t rows, uint64_t columns,
                                          int64_t leading)
{
    guard g(device_lock());
    *l = nullptr;
    if (fails("cublasLtMatrixLayoutCreate"))
        return CUBLAS_STATUS_ALLOC_FAILED;
    if (type != CUDA_R_32F || rows == 0 || columns == 0)
        return CUBLAS_STATUS_INVALID_VALUE;
    *l = (cublasLtMatrixLayout_t)(void *)new layout_desc{(int64_t)rows, (int64_t)columns, leading};
    count_object("cuBLAS descriptors", 1);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t l)
{
    guard g(device_lock());
    delete (layout_desc *)(void *)l;
    count_object("cuBLAS descriptors", -1);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *p)
{
    guard g(device_lock());
    *p = nullptr;
    if (fails("cublasLtMatmulPreferenceCreate"))
        return CUBLAS_STATUS_ALLOC_FAILED;
    *p = (cublasLtMatmulPreference_t)(void *)new int;
    count_object("cuBLAS descriptors", 1);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p)
{
    guard g(device_lock());
    delete (int *)(void *)p;
    count_object("cuBLAS descriptors", -1);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t, cublasLtMatmulPreferenceAttributes_t,
                                                    const void *, size_t)
{
    guard g(device_lock());
    return fails("cublasLtMatmulPreferenceSetAttribute") ? CUBLAS_STATUS_INVALID_VALUE : CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t d, cublasLtMatrixLayout_t a,
                                              cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t out, cublasLtMatmulPreference_t, int,
                                              cublasLtMatmulHeuristicResult_t results[], int *count)
{
    guard g(device_lock());
    *count = 0;
    if (fails("cublasLtMatmulAlgoGetHeuristic"))
        return CUBLAS_STATUS_INTERNAL_ERROR;
    if (!fits(*of(d), of(a), of(b), of(out)))
        return CUBLAS_STATUS_INVALID_VALUE;
    const char *const without = getenv("SAL_EMU_UNFUSED");
    if (without && strcmp(without, "all") == 0 && of(d)->epilogue != CUBLASLT_EPILOGUE_DEFAULT)
        return CUBLAS_STATUS_SUCCESS;
    memset(results, 0, sizeof *results);
    results->workspaceSize = WORKSPACE;
    *count = 1;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t desc, const void *alpha, const void *A,
                              cublasLtMatrixLayout_t la, const void *B, cublasLtMatrixLayout_t lb, const void *beta,
                              const void *C, cublasLtMatrixLayout_t lc, void *D, cublasLtMatrixLayout_t ld,
                              const cublasLtMatmulAlgo_t *, void *workspace, size_t workspace_bytes,
                              cudaStream_t stream)
{
    guard g(device_lock());
    const matmul_desc m = *of(desc);
    const layout_desc a = of(la), b = of(lb), c = of(lc), d = of(ld);
    const float al = *(const float *)alpha, be = *(const float *)beta;
    if (fails("cublasLtMatmul"))
        return CUBLAS_STATUS_EXECUTION_FAILED;
    if (!fits(m, a, b, d) || workspace_bytes < WORKSPACE || !is_device(workspace, WORKSPACE))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (!is_device(A, bytes_of(a)) || !is_device(B, bytes_of(b)) || !is_device(D, bytes_of(d)) ||
        (be != 0.0f && !is_device(C, bytes_of(c))))
        die("cublasLtMatmul: a matrix is not in device memory");
    if (m.epilogue == CUBLASLT_EPILOGUE_BIAS && !is_device(m.bias, (size_t)d.rows * sizeof(float)))
        die("cublasLtMatmul: the bias is not in device memory");
    const float *pa = (const float *)A, *pb = (const float *)B, *pc = (const float *)C;
    float *pd = (float *)D;
    const int64_t depth = m.trans_a == CUBLAS_OP_T ? a.rows : a.columns;
    enqueue(stream, [=] {
        memset(workspace, 0xff, WORKSPACE);
        for (int64_t j = 0; j < d.columns; j++)
            for (int64_t i = 0; i < d.rows; i++) {
                double sum = 0.0;
                for (int64_t k = 0; k < depth; k++)
                    sum += (double)(m.trans_a == CUBLAS_OP_T ? pa[k + i * a.leading] : pa[i + k * a.leading]) *
                           (double)(m.trans_b == CUBLAS_OP_T ? pb[j + k * b.leading] : pb[k + j * b.leading]);
                sum = al * sum + (be != 0.0f ? be * (double)pc[i + j * c.leading] : 0.0);
                if (m.epilogue == CUBLASLT_EPILOGUE_BIAS)
                    sum += (double)m.bias[i];
                pd[i + j * d.leading] = (float)sum;
            }
    });
    return CUBLAS_STATUS_SUCCESS;
}

} /* extern "C" */
