/* Backward step of the last dense layer: dx = seed W where a seed is nearly always one number. A block takes one
 * picture and a tile of features; it gathers the seed's non-zeros, a piece at a time and in order, and adds so many
 * rows of the weights. A dense seed costs the whole product, in the same order for any batch. Twin: dense_backward of
 * src/backend/cpu/kernels.c. */
#include "kernels/element.cuh"

enum { PIECE = BLOCK_THREADS };

static __global__ void __launch_bounds__(BLOCK_THREADS)
    seed_kernel(float *dx, const float *seed, const float *weight, const float *addend, int64_t pictures,
                int64_t outputs, int64_t features)
{
    __shared__ float value[PIECE];
    __shared__ int row[PIECE];
    __shared__ int before[PIECE / 32 + 1];
    const int t = (int)threadIdx.x, lane = t & 31, warp = t / 32;
    const int64_t f = (int64_t)blockIdx.x * BLOCK_THREADS + t;
    for (int64_t n = blockIdx.y; n < pictures; n += gridDim.y) {
        float sum = 0.0f;
        for (int64_t first = 0; first < outputs; first += PIECE) {
            const float s = first + t < outputs ? seed[n * outputs + first + t] : 0.0f;
            const unsigned set = __ballot_sync(0xffffffffu, s != 0.0f);
            if (lane == 0)
                before[warp + 1] = __popc(set);
            __syncthreads();
            if (t == 0) {
                before[0] = 0;
                for (int k = 1; k <= PIECE / 32; k++)
                    before[k] += before[k - 1];
            }
            __syncthreads();
            if (s != 0.0f) {
                const int at = before[warp] + __popc(set & ((1u << lane) - 1u));
                value[at] = s;
                row[at] = t;
            }
            __syncthreads();
            for (int k = 0; f < features && k < before[PIECE / 32]; k++)
                sum += value[k] * weight[(first + row[k]) * features + f];
            __syncthreads();
        }
        if (f < features)
            dx[n * features + f] = sum + (addend ? addend[n * features + f] : 0.0f);
    }
}

cudaError_t cuda_seed_rows(float *dx, const float *seed, const float *weight, const float *addend, int64_t pictures,
                           int64_t outputs, int64_t features, cudaStream_t stream)
{
    if (pictures * features == 0)
        return cudaSuccess;
    const dim3 grid((unsigned)((features + BLOCK_THREADS - 1) / BLOCK_THREADS), blocks_y(pictures));
    seed_kernel<<<grid, BLOCK_THREADS, 0, stream>>>(dx, seed, weight, addend, pictures, outputs, features);
    return cudaGetLastError();
}
