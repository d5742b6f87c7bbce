/* Sums and maxima along axes, and their gradients. Who adds what, in which order, follows from n and inner alone: the
 * same bits in any batch. Where the axis is the fastest, or nearly so, a warp takes a line, or a block a long one; else
 * lanes take neighbouring lines, and the warps of a block meet in shared memory. */
#include "kernels/element.cuh"
#include "kernels/view.cuh"
#include "kernels/warp.cuh"

enum { LONG_LINE = 2048 };

struct lines {
    int64_t outer, n, inner;
};

/* First element of line l; its others follow `inner` apart. */
__device__ __forceinline__ int64_t line_start(const lines &a, int64_t l)
{
    return l / a.inner * a.n * a.inner + l % a.inner;
}

struct adding {
    static __device__ __forceinline__ float nothing()
    {
        return 0.0f;
    }

    static __device__ __forceinline__ float both(float a, float b)
    {
        return a + b;
    }
};

/* NaN is passed on. */
struct larger {
    static __device__ __forceinline__ float nothing()
    {
        return -INFINITY;
    }

    static __device__ __forceinline__ float both(float a, float b)
    {
        return b > a || b != b ? b : a;
    }
};

template <class Op> __device__ __forceinline__ float warp_all(float v)
{
    for (int d = WARP / 2; d > 0; d /= 2)
        v = Op::both(v, __shfl_xor_sync(0xffffffffu, v, d));
    return v;
}

/* Warps of a block: one a line, or all of them. */
template <class T, class Op, int WARPS>
static __global__ void __launch_bounds__(WARP *WARPS_OF_BLOCK)
    line_kernel(T *y, const T *x, float factor, const T *addend, lines a)
{
    __shared__ float part[WARPS_OF_BLOCK];
    const int lane = (int)threadIdx.x, warp = (int)threadIdx.y % WARPS, group = (int)threadIdx.y / WARPS;
    const int64_t groups = WARPS_OF_BLOCK / WARPS;
    for (int64_t l = blockIdx.x * groups + group; l < a.outer * a.inner; l += gridDim.x * groups) {
        const T *const line = x + line_start(a, l);
        float v = Op::nothing();
        for (int64_t i = warp * WARP + lane; i < a.n; i += WARPS * WARP)
            v = Op::both(v, element_load(line + i * a.inner));
        v = warp_all<Op>(v);
        if (WARPS > 1) {
            if (lane == 0)
                part[warp] = v;
            __syncthreads();
            v = part[0];
            for (int k = 1; k < WARPS; k++)
                v = Op::both(v, part[k]);
            __syncthreads();
        }
        if (warp == 0 && lane == 0)
            element_store(y + l, factor * v + (addend ? element_load(addend + l) : 0.0f));
    }
}

/* A block takes 32 neighbouring lines; its warps take elements in turn. */
template <class T, class Op>
static __global__ void __launch_bounds__(WARP *WARPS_OF_BLOCK)
    column_kernel(T *y, const T *x, float factor, const T *addend, lines a)
{
    __shared__ float part[WARPS_OF_BLOCK][WARP];
    const int lane = (int)threadIdx.x, warp = (int)threadIdx.y;
    const int64_t pieces = (a.inner + WARP - 1) / WARP;
    for (int64_t piece = blockIdx.x; piece < a.outer * pieces; piece += gridDim.x) {
        const int64_t o = piece / pieces, k = piece % pieces * WARP + lane;
        float v = Op::nothing();
        for (int64_t i = warp; k < a.inner && i < a.n; i += WARPS_OF_BLOCK)
            v = Op::both(v, element_load(x + (o * a.n + i) * a.inner + k));
        part[warp][lane] = v;
        __syncthreads();
        if (warp == 0 && k < a.inner) {
            for (int w = 1; w < WARPS_OF_BLOCK; w++)
                v = Op::both(v, part[w][lane]);
            const int64_t to = o * a.inner + k;
            element_store(y + to, factor * v + (addend ? element_load(addend + to) : 0.0f));
        }
        __syncthreads();
    }
}

template <class T>
static __global__ void __launch_bounds__(BLOCK_THREADS)
    spread_axis_kernel(T *dx, const T *dy, float factor, const T *addend, lines a)
{
    const int64_t total = a.outer * a.n * a.inner, step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < total; i += step) {
        const float v = element_load(dy + i / a.inner / a.n * a.inner + i % a.inner);
        element_store(dx + i, factor * v + (addend ? element_load(addend + i) : 0.0f));
    }
}

/* LANES take a line: a warp, or one thread where neighbouring lines lie side by side. */
template <class T, int LANES>
static __global__ void __launch_bounds__(BLOCK_THREADS)
    max_backward_kernel(T *dx, const T *dy, const T *x, const T *addend, lines a)
{
    const int lane = (int)threadIdx.x % LANES;
    const int64_t step = (int64_t)gridDim.x * (BLOCK_THREADS / LANES);
    for (int64_t l = (int64_t)blockIdx.x * (BLOCK_THREADS / LANES) + threadIdx.x / LANES; l < a.outer * a.inner;
         l += step) {
        const int64_t start = line_start(a, l);
        float top = -INFINITY;
        int count = 0;
#pragma unroll 1 /* registers spill on some architectures else */
        for (int64_t i = lane; i < a.n; i += LANES) {
            const float v = element_load(x + start + i * a.inner);
            count = v > top ? 1 : count + (v == top);
            top = v > top ? v : top;
        }
        for (int d = LANES / 2; d > 0; d /= 2) {
            const float other = __shfl_xor_sync(0xffffffffu, top, d);
            const int more = __shfl_xor_sync(0xffffffffu, count, d);
            count = other > top ? more : other == top ? count + more : count;
            top = other > top ? other : top;
        }
        const float share = element_load(dy + l) / (float)count;
#pragma unroll 1
        for (int64_t i = lane; i < a.n; i += LANES) {
            const int64_t at = start + i * a.inner;
            const float g = element_load(x + at) == top ? share : 0.0f;
            element_store(dx + at, g + (addend ? element_load(addend + at) : 0.0f));
        }
    }
}

/* A warp takes an element of the result. */
template <class T>
static __global__ void __launch_bounds__(WARP *WARPS_OF_BLOCK)
    sum_axes_kernel(T *y, const T *x, const T *addend, device_view<int64_t> kept, device_view<int64_t> summed,
                    int64_t results, int64_t terms)
{
    for (int64_t l = (int64_t)blockIdx.x * WARPS_OF_BLOCK + threadIdx.y; l < results;
         l += (int64_t)gridDim.x * WARPS_OF_BLOCK) {
        const T *const from = x + place_of(kept, l);
        float sum = 0.0f;
        for (int64_t m = threadIdx.x; m < terms; m += WARP)
            sum += element_load(from + place_of(summed, m));
        sum = warp_sum(sum);
        if (threadIdx.x == 0)
            element_store(y + l, sum + (addend ? element_load(addend + l) : 0.0f));
    }
}

/* ---- Launching -------------------------------------------------------------- */

template <class T, class Op>
static void launch(void *y, const void *x, float factor, const void *addend, const lines &a, cudaStream_t stream)
{
    const dim3 block(WARP, WARPS_OF_BLOCK);
    const int64_t count = a.outer * a.inner;
    if (a.inner >= WARP)
        column_kernel<T, Op><<<blocks_of(a.outer * ((a.inner + WARP - 1) / WARP), 1), block, 0, stream>>>(
            (T *)y, (const T *)x, factor, (const T *)addend, a);
    else if (a.n < LONG_LINE)
        line_kernel<T, Op, 1><<<blocks_of(count, WARPS_OF_BLOCK), block, 0, stream>>>((T *)y, (const T *)x, factor,
                                                                                      (const T *)addend, a);
    else
        line_kernel<T, Op, WARPS_OF_BLOCK>
            <<<blocks_of(count, 1), block, 0, stream>>>((T *)y, (const T *)x, factor, (const T *)addend, a);
}

cudaError_t cuda_sum_axis(void *y, const void *x, float factor, const void *addend, cuda_type type, int64_t outer,
                          int64_t n, int64_t inner, cudaStream_t stream)
{
    if (outer * n * inner == 0)
        return cudaSuccess;
    const lines a = {outer, n, inner};
    FOR_ELEMENT_TYPE(type, launch<T, adding>(y, x, factor, addend, a, stream))
    return cudaGetLastError();
}

cudaError_t cuda_max_axis(void *y, const void *x, cuda_type type, int64_t outer, int64_t n, int64_t inner,
                          cudaStream_t stream)
{
    if (outer * n * inner == 0)
        return cudaSuccess;
    const lines a = {outer, n, inner};
    FOR_ELEMENT_TYPE(type, launch<T, larger>(y, x, 1.0f, nullptr, a, stream))
    return cudaGetLastError();
}

cudaError_t cuda_spread_axis(void *dx, const void *dy, float factor, const void *addend, cuda_type type, int64_t outer,
                             int64_t n, int64_t inner, cudaStream_t stream)
{
    const int64_t total = outer * n * inner;
    if (total == 0)
        return cudaSuccess;
    const lines a = {outer, n, inner};
    FOR_ELEMENT_TYPE(type, spread_axis_kernel<T><<<blocks_of(total, BLOCK_THREADS), BLOCK_THREADS, 0, stream>>>(
                               (T *)dx, (const T *)dy, factor, (const T *)addend, a))
    return cudaGetLastError();
}

cudaError_t cuda_max_axis_backward(void *dx, const void *dy, const void *x, const void *addend, cuda_type type,
                                   int64_t outer, int64_t n, int64_t inner, cudaStream_t stream)
{
    const int64_t count = outer * inner;
    if (count * n == 0)
        return cudaSuccess;
    const lines a = {outer, n, inner};
    FOR_ELEMENT_TYPE(type, if (inner < WARP) max_backward_kernel<T, WARP>
                     <<<blocks_of(count, WARPS_OF_BLOCK), BLOCK_THREADS, 0, stream>>>(
                         (T *)dx, (const T *)dy, (const T *)x, (const T *)addend, a);
                     else max_backward_kernel<T, 1><<<blocks_of(count, BLOCK_THREADS), BLOCK_THREADS, 0, stream>>>(
                         (T *)dx, (const T *)dy, (const T *)x, (const T *)addend, a))
    return cudaGetLastError();
}

cudaError_t cuda_sum_axes(void *y, const void *x, const void *addend, cuda_type type, const cuda_view *kept,
                          const cuda_view *summed, cudaStream_t stream)
{
    const dim3 block(WARP, WARPS_OF_BLOCK);
    int64_t results = 1, terms = 1;
    for (int k = 0; k < kept->rank; k++)
        results *= kept->dim[k];
    for (int k = 0; k < summed->rank; k++)
        terms *= summed->dim[k];
    if (results == 0)
        return cudaSuccess;
    FOR_ELEMENT_TYPE(type, sum_axes_kernel<T><<<blocks_of(results, WARPS_OF_BLOCK), block, 0, stream>>>(
                               (T *)y, (const T *)x, (const T *)addend, device_of<int64_t>(*kept),
                               device_of<int64_t>(*summed), results, terms))
    return cudaGetLastError();
}
