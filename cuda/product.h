/* Products of matrices of floats by cuBLASLt, for dense layers and matmul; but for fp32 on tensor cores as TF32.
 *
 * Matrices are row-major, without gaps, and one after the other where there are several. cuBLAS counts columns first
 * and takes a row-major matrix for its transpose, so it is asked for out^T = second^T first^T. */
#ifndef CUDA_PRODUCT_H
#define CUDA_PRODUCT_H

#include "library.h"

/* out (rows, columns) = scale * first (rows, depth) second (depth, columns); where turned, the first is stored as
 * (depth, rows), the second as (columns, depth). */
typedef struct cuda_product_size {
    int64_t rows, columns, depth;
    int turned[2];
    int64_t count; /* of matrices, in each of the three */
    float scale;
} cuda_product_size;

/* Library calls take so many matrices at most: blocks of threads are counted by them along an axis of the grid that
 * is short. A multiple of 64, so that each call begins on aligned memory. */
enum { CUDA_PRODUCT_MOST = 63 << 10 };

/* How so many of the matrices are multiplied at once. */
typedef struct cuda_product_call {
    int64_t count; /* 0: there are none such */
    cublasLtMatrixLayout_t first, second, out;
    cublasLtMatmulAlgo_t algorithm;
} cuda_product_call;

typedef struct cuda_product {
    cuda_product_size size;
    int finished; /* no algorithm adds the bias, the caller is to */
    cublasLtMatmulDesc_t matmul;
    cuda_product_call most, rest; /* as many calls of `most` as fit, then one of `rest` */
    size_t workspace;
} cuda_product;

/* bias: `columns` floats that are added to each row, or NULL; on the device, and NULL on described ones, which choose
 * no algorithm. Errors: UNSUPPORTED, MEMORY, DEVICE. */
sal_status cuda_product_open(cuda_product *p, const sal_device *device, const cuda_product_size *size,
                             const void *bias);
void cuda_product_close(cuda_product *p); /* fine on a zeroed struct */
/* out = product + addend (or NULL; may be out); scratch: `workspace` bytes. */
sal_status cuda_product_run(const cuda_product *p, const sal_device *device, void *out, const void *first,
                            const void *second, const void *addend, void *scratch);

#endif
