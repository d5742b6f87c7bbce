/* cuBLASLt on the CPU: what dense layers and products of matrices use, in double, after checks of all that is
 * described. */
#include "runtime.hpp"

#include <cublasLt.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

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
    int32_t count = 1;
    int64_t apart = 0; /* from one matrix to the next */
};

/* MOST: kernels that count matrices along an axis of the grid take no more. ALIGNMENT: of what the emulated device
 * allocates; a GPU has more. */
enum { WORKSPACE = 1024, MOST = 65535, ALIGNMENT = 16 };

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
           d.leading >= d.rows && a.count == d.count && b.count == d.count && d.count >= 1;
}

size_t bytes_of(const layout_desc &l)
{
    return (size_t)((l.count - 1) * l.apart + l.leading * (l.columns - 1) + l.rows) * sizeof(float);
}

bool is_aligned(const void *p)
{
    return (uintptr_t)p % ALIGNMENT == 0;
}

struct product {
    matmul_desc m;
    layout_desc a, b, c, d;
    const float *first, *second, *added;
    float *out, alpha, beta;
};

/* Of matrix n. */
void multiply(const product &p, int64_t n)
{
    const float *const a = p.first + n * p.a.apart, *const b = p.second + n * p.b.apart;
    const float *const c = p.added + n * p.c.apart;
    float *const d = p.out + n * p.d.apart;
    const bool ta = p.m.trans_a == CUBLAS_OP_T, tb = p.m.trans_b == CUBLAS_OP_T;
    const int64_t depth = ta ? p.a.rows : p.a.columns;
    for (int64_t j = 0; j < p.d.columns; j++)
        for (int64_t i = 0; i < p.d.rows; i++) {
            double sum = 0.0;
            for (int64_t k = 0; k < depth; k++)
                sum += (double)(ta ? a[k + i * p.a.leading] : a[i + k * p.a.leading]) *
                       (double)(tb ? b[j + k * p.b.leading] : b[k + j * p.b.leading]);
            sum = p.alpha * sum + (p.beta != 0.0f ? p.beta * (double)c[i + j * p.c.leading] : 0.0);
            if (p.m.epilogue == CUBLASLT_EPILOGUE_BIAS)
                sum += (double)p.m.bias[i];
            d[i + j * p.d.leading] = (float)sum;
        }
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

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t l, cublasLtMatrixLayoutAttribute_t name,
                                                const void *value, size_t size)
{
    guard g(device_lock());
    layout_desc *const d = (layout_desc *)(void *)l;
    if (fails("cublasLtMatrixLayoutSetAttribute"))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (name == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT && size == sizeof d->count)
        memcpy(&d->count, value, size);
    else if (name == CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET && size == sizeof d->apart)
        memcpy(&d->apart, value, size);
    else
        return CUBLAS_STATUS_INVALID_VALUE;
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
    if (of(out).count > MOST)
        return CUBLAS_STATUS_SUCCESS;
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
    const product p = {*of(desc),           of(la),           of(lb),           of(lc),     of(ld),
                       (const float *)A,    (const float *)B, (const float *)C, (float *)D, *(const float *)alpha,
                       *(const float *)beta};
    if (fails("cublasLtMatmul"))
        return CUBLAS_STATUS_EXECUTION_FAILED;
    if (!fits(p.m, p.a, p.b, p.d) || p.d.count > MOST || workspace_bytes < WORKSPACE ||
        !is_device(workspace, WORKSPACE) || !is_aligned(A) || !is_aligned(B) || !is_aligned(C) || !is_aligned(D))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (!is_device(A, bytes_of(p.a)) || !is_device(B, bytes_of(p.b)) || !is_device(D, bytes_of(p.d)) ||
        (p.beta != 0.0f && !is_device(C, bytes_of(p.c))))
        die("cublasLtMatmul: a matrix is not in device memory");
    if (p.m.epilogue == CUBLASLT_EPILOGUE_BIAS && !is_device(p.m.bias, (size_t)p.d.rows * sizeof(float)))
        die("cublasLtMatmul: the bias is not in device memory");
    enqueue(stream, [=] {
        memset(workspace, 0xff, WORKSPACE);
        for (int64_t n = 0; n < p.d.count; n++)
            multiply(p, n);
    });
    return CUBLAS_STATUS_SUCCESS;
}

} /* extern "C" */
