/* A map of fewer pixels than the network's input, enlarged to it: bilinear, half-pixel centres, clamped at the edges.
 * Twin: sal_map_upsample of src/map/upsample.c. */
#include "kernels/element.cuh"
#include "kernels/map_kernels.h"

static __global__ void __launch_bounds__(BLOCK_THREADS)
    enlarge_kernel(float *to, const float *from, int64_t rows, int64_t height, int64_t width, int64_t from_height,
                   int64_t from_width)
{
    const double scale_y = (double)height / (double)from_height, scale_x = (double)width / (double)from_width;
    const int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t row = blockIdx.y; row < rows; row += gridDim.y) {
        const sal_upsample_tap r = sal_upsample_at(row % height, scale_y, 0.0, from_height);
        const float *const map = from + row / height * from_height * from_width;
        const float *const lo = map + r.lo * from_width, *const hi = map + r.hi * from_width;
#pragma unroll 1 /* registers spill on sm_120 else */
        for (int64_t x = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; x < width; x += step) {
            const sal_upsample_tap c = sal_upsample_at(x, scale_x, 0.0, from_width);
            const float left = (1.0f - r.weight) * lo[c.lo] + r.weight * hi[c.lo];
            const float right = (1.0f - r.weight) * lo[c.hi] + r.weight * hi[c.hi];
            to[row * width + x] = (1.0f - c.weight) * left + c.weight * right;
        }
    }
}

cudaError_t cuda_map_enlarge(float *to, const float *from, int64_t pictures, int64_t height, int64_t width,
                             int64_t from_height, int64_t from_width, cudaStream_t stream)
{
    if (pictures * height * width == 0)
        return cudaSuccess;
    const dim3 grid(blocks_of(width, BLOCK_THREADS), blocks_y(pictures * height));
    enlarge_kernel<<<grid, BLOCK_THREADS, 0, stream>>>(to, from, pictures * height, height, width, from_height,
                                                       from_width);
    return cudaGetLastError();
}
