/* Whether gradients are finite: where not, the loss scale was too large for them. It looks, and writes the flag alone.
 */
#include "kernels/element.cuh"

template <class T>
static __global__ void __launch_bounds__(BLOCK_THREADS) finite_kernel(int *not_finite, const T *x, int64_t elements)
{
    const int64_t step = (int64_t)gridDim.x * blockDim.x;
    int bad = 0;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < elements; i += step)
        bad |= !(fabsf(element_load(x + i)) <= 3.402823466e38f);
    if (bad)
        atomicOr(not_finite, 1);
}

cudaError_t cuda_find_not_finite(int *not_finite, const void *x, cuda_type type, int64_t elements, cudaStream_t stream)
{
    if (elements == 0)
        return cudaSuccess;
    FOR_ELEMENT_TYPE(type, finite_kernel<T><<<blocks_of(elements, BLOCK_THREADS), BLOCK_THREADS, 0, stream>>>(
                               not_finite, (const T *)x, elements))
    return cudaGetLastError();
}
