/* Class activation maps. A warp takes a pixel, whose channels lie together; products of floats are exact in double, and
 * sums of them always have the same order. */
#include "kernels/element.cuh"
#include "kernels/method_kernels.h"
#include "kernels/warp.cuh"

__device__ __forceinline__ double warp_sum_double(double v)
{
    for (int d = WARP / 2; d > 0; d /= 2)
        v += __shfl_xor_sync(0xffffffffu, v, d);
    return v;
}

/* A block takes 32 channels; its warps take pixels in turn and meet in shared memory. */
static __global__ void __launch_bounds__(WARP *WARPS_OF_BLOCK)
    means_kernel(double *means, const float *x, int64_t pictures, int64_t pixels, int channels)
{
    __shared__ double part[WARPS_OF_BLOCK][WARP];
    const int lane = (int)threadIdx.x, warp = (int)threadIdx.y;
    for (int64_t n = blockIdx.y; n < pictures; n += gridDim.y)
        for (int64_t first = (int64_t)blockIdx.x * WARP; first < channels; first += (int64_t)gridDim.x * WARP) {
            const int64_t c = first + lane;
            double sum = 0.0;
            for (int64_t p = warp; c < channels && p < pixels; p += WARPS_OF_BLOCK)
                sum += (double)x[(n * pixels + p) * channels + c];
            part[warp][lane] = sum;
            __syncthreads();
            if (warp == 0 && c < channels) {
                for (int k = 1; k < WARPS_OF_BLOCK; k++)
                    sum += part[k][lane];
                means[n * channels + c] = sum / (double)pixels;
            }
            __syncthreads();
        }
}

static __global__ void __launch_bounds__(WARP *WARPS_OF_BLOCK)
    cam_kernel(float *map, const float *values, const float *gradients, const double *means, sal_cam kind,
               int64_t total, int64_t pixels, int channels)
{
    const int lane = (int)threadIdx.x, warp = (int)threadIdx.y;
    for (int64_t i = (int64_t)blockIdx.x * WARPS_OF_BLOCK + warp; i < total; i += (int64_t)gridDim.x * WARPS_OF_BLOCK) {
        double sum = 0.0;
        int finite = 1;
        for (int c = lane; c < channels; c += WARP) {
            const double weight = means ? means[i / pixels * channels + c] : (double)gradients[i * channels + c];
            const double part = weight * (double)values[i * channels + c];
            finite &= fabs(part) < INFINITY;
            sum += kind == SAL_CAM_LAYER && weight < 0.0 ? 0.0 : part;
        }
        sum = warp_sum_double(sum);
        finite = __all_sync(0xffffffffu, finite);
        if (lane == 0)
            map[i] = finite ? (float)(sum > 0.0 ? sum : 0.0) : nanf("");
    }
}

cudaError_t cuda_method_means(double *means, const float *x, cuda_extent e, cudaStream_t stream)
{
    if (e.pictures * extent_elements(e) == 0)
        return cudaSuccess;
    const dim3 grid(blocks_of(e.channels, WARP), blocks_y(e.pictures)), block(WARP, WARPS_OF_BLOCK);
    means_kernel<<<grid, block, 0, stream>>>(means, x, e.pictures, e.height * e.width, (int)e.channels);
    return cudaGetLastError();
}

cudaError_t cuda_method_cam(float *map, const float *values, const float *gradients, const double *means, sal_cam kind,
                            cuda_extent e, cudaStream_t stream)
{
    const int64_t pixels = e.height * e.width, total = e.pictures * pixels;
    if (total == 0)
        return cudaSuccess;
    const dim3 block(WARP, WARPS_OF_BLOCK);
    cam_kernel<<<blocks_of(total, WARPS_OF_BLOCK), block, 0, stream>>>(map, values, gradients, means, kind, total,
                                                                       pixels, (int)e.channels);
    return cudaGetLastError();
}
