/* Sums over the pixels of each channel, and one number per channel spread over them. Twins: dot_pixels, spread of
 * src/backend/cpu/kernels.c. A block takes 32 channels; its warps take pixels in turn and meet in shared memory, always
 * in the same order. */
#include "kernels/element.cuh"

enum { SUM_CHANNELS = 32, SUM_WARPS = 8 };

template <class T>
static __global__ void __launch_bounds__(SUM_CHANNELS *SUM_WARPS)
    sum_kernel(T *y, const T *a, const T *b, float factor, const T *addend, int64_t pictures, int64_t pixels,
               int channels)
{
    __shared__ float part[SUM_WARPS][SUM_CHANNELS];
    const int lane = (int)threadIdx.x, warp = (int)threadIdx.y, c = (int)blockIdx.x * SUM_CHANNELS + lane;
    for (int64_t n = blockIdx.y; n < pictures; n += gridDim.y) {
        float sum = 0.0f;
        for (int64_t p = warp; c < channels && p < pixels; p += SUM_WARPS) {
            const int64_t at = (n * pixels + p) * channels + c;
            sum += b ? element_load(a + at) * element_load(b + at) : element_load(a + at);
        }
        part[warp][lane] = sum;
        __syncthreads();
        if (warp == 0 && c < channels) {
            for (int k = 1; k < SUM_WARPS; k++)
                sum += part[k][lane];
            const int64_t to = n * channels + c;
            element_store(y + to, factor * sum + (addend ? element_load(addend + to) : 0.0f));
        }
        __syncthreads();
    }
}

template <class T>
static __global__ void __launch_bounds__(BLOCK_THREADS)
    spread_kernel(T *y, const T *x, float factor, const T *addend, int64_t total, int64_t picture_elements,
                  int channels)
{
    const int64_t stride = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < total; i += stride) {
        const float v = element_load(x + (i / picture_elements * channels + i % channels));
        element_store(y + i, factor * v + (addend ? element_load(addend + i) : 0.0f));
    }
}

cudaError_t cuda_sum_pixels(void *y, const void *a, const void *b, float factor, const void *addend, cuda_type type,
                            cuda_extent e, cudaStream_t stream)
{
    if (e.pictures * extent_elements(e) == 0)
        return cudaSuccess;
    const dim3 grid(blocks_of(e.channels, SUM_CHANNELS), blocks_y(e.pictures)), block(SUM_CHANNELS, SUM_WARPS);
    FOR_ELEMENT_TYPE(type, sum_kernel<T><<<grid, block, 0, stream>>>((T *)y, (const T *)a, (const T *)b, factor,
                                                                     (const T *)addend, e.pictures, e.height * e.width,
                                                                     (int)e.channels))
    return cudaGetLastError();
}

cudaError_t cuda_spread_pixels(void *y, const void *x, float factor, const void *addend, cuda_type type, cuda_extent e,
                               cudaStream_t stream)
{
    const int64_t total = e.pictures * extent_elements(e);
    if (total == 0)
        return cudaSuccess;
    FOR_ELEMENT_TYPE(type,
                     spread_kernel<T><<<blocks_of(total, BLOCK_THREADS), BLOCK_THREADS, 0, stream>>>(
                         (T *)y, (const T *)x, factor, (const T *)addend, total, extent_elements(e), (int)e.channels))
    return cudaGetLastError();
}
