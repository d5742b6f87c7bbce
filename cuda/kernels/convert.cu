/* Between the host's row-major floats (pictures, channels, height, width) and maps of any element type, channels
 * last. Twins: cpu_from_plain, cpu_to_plain of src/backend/cpu/cpu.c. Both sides are read and written in runs: tiles of
 * 32 pixels by 32 channels change places in shared memory. Few channels need no tile. */
#include "kernels/element.cuh"

enum { TILE = 32, TILE_ROWS = 8, FEW_CHANNELS = 4 };

template <class T>
static __global__ void __launch_bounds__(TILE *TILE_ROWS)
    convert_in_kernel(T *to, const float *from, int64_t pictures, int64_t pixels, int channels)
{
    __shared__ float tile[TILE][TILE + 1];
    const int64_t p0 = (int64_t)blockIdx.x * TILE;
    const int x = (int)threadIdx.x, c0 = (int)blockIdx.z * TILE;
    for (int64_t n = blockIdx.y; n < pictures; n += gridDim.y) {
        for (int r = (int)threadIdx.y; r < TILE; r += TILE_ROWS)
            if (c0 + r < channels && p0 + x < pixels)
                tile[r][x] = from[(n * channels + c0 + r) * pixels + p0 + x];
        __syncthreads();
        for (int r = (int)threadIdx.y; r < TILE; r += TILE_ROWS)
            if (p0 + r < pixels && c0 + x < channels)
                element_store(to + (n * pixels + p0 + r) * channels + c0 + x, tile[x][r]);
        __syncthreads();
    }
}

template <class T>
static __global__ void __launch_bounds__(TILE *TILE_ROWS)
    convert_out_kernel(float *to, const T *from, int64_t pictures, int64_t pixels, int channels)
{
    __shared__ float tile[TILE][TILE + 1];
    const int64_t p0 = (int64_t)blockIdx.x * TILE;
    const int x = (int)threadIdx.x, c0 = (int)blockIdx.z * TILE;
    for (int64_t n = blockIdx.y; n < pictures; n += gridDim.y) {
        for (int r = (int)threadIdx.y; r < TILE; r += TILE_ROWS)
            if (p0 + r < pixels && c0 + x < channels)
                tile[r][x] = element_load(from + (n * pixels + p0 + r) * channels + c0 + x);
        __syncthreads();
        for (int r = (int)threadIdx.y; r < TILE; r += TILE_ROWS)
            if (c0 + r < channels && p0 + x < pixels)
                to[(n * channels + c0 + r) * pixels + p0 + x] = tile[x][r];
        __syncthreads();
    }
}

template <class T>
static __global__ void __launch_bounds__(BLOCK_THREADS, 4)
    convert_in_few_kernel(T *to, const float *from, int64_t pictures, int64_t pixels, int channels)
{
    const int64_t stride = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < pictures * pixels; i += stride)
        for (int c = 0; c < channels; c++)
            element_store(to + i * channels + c, from[(i / pixels * channels + c) * pixels + i % pixels]);
}

template <class T>
static __global__ void __launch_bounds__(BLOCK_THREADS, 4)
    convert_out_few_kernel(float *to, const T *from, int64_t pictures, int64_t pixels, int channels)
{
    const int64_t stride = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < pictures * pixels; i += stride)
        for (int c = 0; c < channels; c++)
            to[(i / pixels * channels + c) * pixels + i % pixels] = element_load(from + i * channels + c);
}

static dim3 tile_grid(const cuda_extent &e)
{
    return dim3((unsigned)((e.height * e.width + TILE - 1) / TILE), blocks_y(e.pictures),
                (unsigned)((e.channels + TILE - 1) / TILE));
}

/* Tiles of a vector would be 1 pixel wide, and the grid's third axis is short: such go without. */
static int without_tiles(const cuda_extent &e)
{
    return e.channels <= FEW_CHANNELS || e.channels > (int64_t)TILE * GRID_MOST_Y;
}

cudaError_t cuda_convert_in(void *to, cuda_type type, const float *from, cuda_extent e, cudaStream_t stream)
{
    const int64_t pixels = e.height * e.width;
    /* One pixel, or one channel: both sides have the same order, and any cut into pixels and channels will do. */
    if (pixels == 1 && e.channels != 1)
        return cuda_convert_in(to, type, from, cuda_extent{1, e.pictures, e.channels, 1}, stream);
    if (e.pictures * extent_elements(e) == 0)
        return cudaSuccess;
    const dim3 block(TILE, TILE_ROWS);
    const unsigned few = blocks_of(e.pictures * pixels, BLOCK_THREADS);
    FOR_ELEMENT_TYPE(type, if (without_tiles(e)) convert_in_few_kernel<T>
                     <<<few, BLOCK_THREADS, 0, stream>>>((T *)to, from, e.pictures, pixels, (int)e.channels);
                     else convert_in_kernel<T>
                     <<<tile_grid(e), block, 0, stream>>>((T *)to, from, e.pictures, pixels, (int)e.channels))
    return cudaGetLastError();
}

cudaError_t cuda_convert_out(float *to, const void *from, cuda_type type, cuda_extent e, cudaStream_t stream)
{
    const int64_t pixels = e.height * e.width;
    if (pixels == 1 && e.channels != 1)
        return cuda_convert_out(to, from, type, cuda_extent{1, e.pictures, e.channels, 1}, stream);
    if (e.pictures * extent_elements(e) == 0)
        return cudaSuccess;
    const dim3 block(TILE, TILE_ROWS);
    const unsigned few = blocks_of(e.pictures * pixels, BLOCK_THREADS);
    FOR_ELEMENT_TYPE(type, if (without_tiles(e)) convert_out_few_kernel<T>
                     <<<few, BLOCK_THREADS, 0, stream>>>(to, (const T *)from, e.pictures, pixels, (int)e.channels);
                     else convert_out_kernel<T>
                     <<<tile_grid(e), block, 0, stream>>>(to, (const T *)from, e.pictures, pixels, (int)e.channels))
    return cudaGetLastError();
}
