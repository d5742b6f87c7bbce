/* Separable Gaussian over maps, edges reflected: rows first, then columns, each through a tile in shared memory
 * that holds what the block's results need. Twin: sal_map_smooth of src/map/smooth.c.
 *
 * The twin sums in double, which most GPUs do at a 32nd or 64th of their speed. Here each tap adds its weighted
 * difference from the centre, with Kahan's compensation: what is rounded is then small against the map's range, a
 * few units of 2^-24 of it for any radius, and a constant map stays exactly constant. */
#include "kernels/element.cuh"
#include "kernels/map_kernels.h"

enum {
    ROW_RESULTS = 256, /* of a block, one a thread */
    COLUMNS = 16,      /* of a block; 4 quads, so that a row of the tile is 64 bytes */
    COLUMN_RESULTS = 32,
    COLUMN_THREADS = 256
};

/* a + b with the rounding error of all additions so far kept in *lost (Kahan 1965). */
__device__ __forceinline__ float add_kahan(float sum, float term, float *lost)
{
    const float y = term - *lost, t = sum + y;
    *lost = (t - sum) - y;
    return t;
}

/* at[0] is the centre, stride the distance of neighbours. */
__device__ __forceinline__ float smoothed(const float *at, int stride, const float *weights, int radius)
{
    const float centre = at[0];
    float sum = 0.0f, lost = 0.0f;
    for (int k = 1; k <= radius; k++)
        sum = add_kahan(sum, weights[k] * ((at[-k * stride] - centre) + (at[k * stride] - centre)), &lost);
    return centre + sum;
}

static __global__ void __launch_bounds__(ROW_RESULTS)
    row_kernel(float *out, const float *in, const double *weights, int radius, int64_t rows, int width)
{
    extern __shared__ float row_shared[];
    float *const w = row_shared, *const tile = row_shared + radius + 1;
    const int x0 = (int)blockIdx.x * ROW_RESULTS, t = (int)threadIdx.x, count = ROW_RESULTS + 2 * radius;
    for (int k = t; k <= radius; k += ROW_RESULTS)
        w[k] = (float)weights[k];
    for (int64_t row = blockIdx.y; row < rows; row += gridDim.y) {
        const float *const from = in + row * width;
        for (int k = t; k < count; k += ROW_RESULTS) {
            const int x = x0 - radius + k;
            tile[k] = from[x >= 0 && x < width ? x : (int)sal_reflect(x, width)];
        }
        __syncthreads();
        if (x0 + t < width)
            out[row * width + x0 + t] = smoothed(tile + radius + t, 1, w, radius);
        __syncthreads();
    }
}

static __global__ void __launch_bounds__(COLUMN_THREADS)
    column_kernel(float *out, const float *in, const double *weights, int radius, int height, int width, int quads)
{
    extern __shared__ float column_shared[];
    /* The tile first: its rows are read and written as float4. */
    const int tile_rows = COLUMN_RESULTS + 2 * radius;
    float *const tile = column_shared, *const w = column_shared + tile_rows * COLUMNS;
    const int t = (int)threadIdx.x, x0 = (int)blockIdx.x * COLUMNS, y0 = (int)blockIdx.y * COLUMN_RESULTS;
    const int64_t picture = (int64_t)blockIdx.z * height * width;
    for (int k = t; k <= radius; k += COLUMN_THREADS)
        w[k] = (float)weights[k];
    for (int k = t; k < tile_rows * (COLUMNS / 4); k += COLUMN_THREADS) {
        const int x = x0 + k % (COLUMNS / 4) * 4, r = k / (COLUMNS / 4), y = y0 - radius + r;
        const float *const from = in + picture + (y >= 0 && y < height ? y : sal_reflect(y, height)) * width;
        float *const to = tile + r * COLUMNS + x - x0;
        if (quads && x + 4 <= width)
            *(float4 *)to = *(const float4 *)(from + x);
        else
            for (int i = 0; i < 4; i++)
                to[i] = x + i < width ? from[x + i] : 0.0f;
    }
    __syncthreads();
    for (int k = t; k < COLUMNS * COLUMN_RESULTS; k += COLUMN_THREADS) {
        const int x = k % COLUMNS, y = k / COLUMNS;
        if (x0 + x < width && y0 + y < height)
            out[picture + (int64_t)(y0 + y) * width + x0 + x] =
                smoothed(tile + (y + radius) * COLUMNS + x, COLUMNS, w, radius);
    }
}

/* Radii beyond the tiles: every tap from global memory, one axis a launch. */
static __global__ void __launch_bounds__(BLOCK_THREADS)
    wide_kernel(float *out, const float *in, const double *weights, int64_t radius, int64_t total, int64_t height,
                int64_t width, int along_rows)
{
    const int64_t step = (int64_t)gridDim.x * blockDim.x, n = along_rows ? width : height;
    const int64_t stride = along_rows ? 1 : width;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < total; i += step) {
        const int64_t place = i / stride % n;
        const float *const line = in + i - place * stride;
        const float centre = in[i];
        float sum = 0.0f, lost = 0.0f;
        for (int64_t k = 1; k <= radius; k++) {
            const float before = line[sal_reflect(place - k, n) * stride];
            const float after = line[sal_reflect(place + k, n) * stride];
            sum = add_kahan(sum, (float)weights[k] * ((before - centre) + (after - centre)), &lost);
        }
        out[i] = centre + sum;
    }
}

cudaError_t cuda_smooth(float *map, float *work, const double *weights, int64_t radius, int64_t pictures,
                        int64_t height, int64_t width, cudaStream_t stream)
{
    const int64_t total = pictures * height * width;
    if (total == 0 || radius == 0)
        return cudaSuccess;
    if (radius > CUDA_SMOOTH_RADIUS || pictures > GRID_MOST_Y || height > COLUMN_RESULTS * GRID_MOST_Y) {
        const unsigned grid = blocks_of(total, BLOCK_THREADS);
        wide_kernel<<<grid, BLOCK_THREADS, 0, stream>>>(work, map, weights, radius, total, height, width, 1);
        wide_kernel<<<grid, BLOCK_THREADS, 0, stream>>>(map, work, weights, radius, total, height, width, 0);
        return cudaGetLastError();
    }
    const int r = (int)radius;
    const dim3 row_blocks((unsigned)((width + ROW_RESULTS - 1) / ROW_RESULTS), blocks_y(pictures * height));
    const dim3 column_blocks((unsigned)((width + COLUMNS - 1) / COLUMNS),
                             (unsigned)((height + COLUMN_RESULTS - 1) / COLUMN_RESULTS), (unsigned)pictures);
    const size_t row_bytes = (size_t)(ROW_RESULTS + 3 * r + 1) * sizeof(float);
    const size_t column_bytes = ((size_t)(COLUMN_RESULTS + 2 * r) * COLUMNS + (size_t)r + 1) * sizeof(float);
    const int quads = width % 4 == 0;
    row_kernel<<<row_blocks, ROW_RESULTS, row_bytes, stream>>>(work, map, weights, r, pictures * height, (int)width);
    column_kernel<<<column_blocks, COLUMN_THREADS, column_bytes, stream>>>(map, work, weights, r, (int)height,
                                                                           (int)width, quads);
    return cudaGetLastError();
}
