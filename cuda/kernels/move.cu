/* Elements from one view to another: concat, slice, shuffle, reshape, transpose, pad. Twins:
 * src/backend/cpu/rearrange.c and reshape.c. Where both views count alike, axes go by falling stride of what is written
 * and neighbours merge, so that threads side by side write side by side. */
#include "kernels/element.cuh"
#include "kernels/view.cuh"

template <class T, class F, class I>
static __global__ void __launch_bounds__(BLOCK_THREADS)
    move_kernel(T *to, const F *from, const T *addend, device_view<I> to_view, device_view<I> from_view, I total)
{
    const I step = (I)(gridDim.x * blockDim.x);
    for (I l = (I)(blockIdx.x * blockDim.x + threadIdx.x); l < total; l += step) {
        const int64_t at = place_of(to_view, l);
        const float v = element_load(from + place_of(from_view, l));
        element_store(to + at, v + (addend ? element_load(addend + at) : 0.0f));
    }
}

template <class T>
static __global__ void __launch_bounds__(BLOCK_THREADS) fill_kernel(T *to, int64_t elements, float value)
{
    const int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < elements; i += step)
        element_store(to + i, value);
}

/* ---- Views, on the host --------------------------------------------------- */

static int same_dims(const cuda_view &a, const cuda_view &b)
{
    int same = a.rank == b.rank;
    for (int k = 0; same && k < a.rank; k++)
        same = a.dim[k] == b.dim[k];
    return same;
}

static void swap_axes(cuda_view *v, int i, int j)
{
    const int64_t dim = v->dim[i], stride = v->stride[i];
    v->dim[i] = v->dim[j];
    v->stride[i] = v->stride[j];
    v->dim[j] = dim;
    v->stride[j] = stride;
}

static void drop_axis(cuda_view *v, int axis)
{
    for (int k = axis; k + 1 < v->rank; k++)
        swap_axes(v, k, k + 1);
    v->rank--;
}

/* Both views with the axes of `to` by falling stride, and as few of them as may be. */
static void simplify(cuda_view *to, cuda_view *from)
{
    for (int i = 1; i < to->rank; i++)
        for (int j = i; j > 0 && to->stride[j - 1] < to->stride[j]; j--) {
            swap_axes(to, j - 1, j);
            swap_axes(from, j - 1, j);
        }
    for (int k = to->rank - 1; k > 0; k--) {
        const int64_t n = to->dim[k];
        const int merge = (to->stride[k - 1] == to->stride[k] * n && from->stride[k - 1] == from->stride[k] * n) ||
                          n == 1 || to->dim[k - 1] == 1;
        if (!merge)
            continue;
        if (n != 1) {
            to->dim[k - 1] *= n;
            from->dim[k - 1] *= n;
            to->stride[k - 1] = to->stride[k];
            from->stride[k - 1] = from->stride[k];
        }
        drop_axis(to, k);
        drop_axis(from, k);
    }
}

template <class T, class F>
static void launch(void *to, const cuda_view &to_view, const void *from, const cuda_view &from_view, const void *addend,
                   int64_t total, cudaStream_t stream)
{
    const unsigned grid = blocks_of(total, BLOCK_THREADS);
    /* The last step of the loop may count beyond the total. */
    if (total < (int64_t)1 << 30)
        move_kernel<T, F, unsigned><<<grid, BLOCK_THREADS, 0, stream>>>(
            (T *)to, (const F *)from, (const T *)addend, device_of<unsigned>(to_view), device_of<unsigned>(from_view),
            (unsigned)total);
    else
        move_kernel<T, F, int64_t><<<grid, BLOCK_THREADS, 0, stream>>>((T *)to, (const F *)from, (const T *)addend,
                                                                       device_of<int64_t>(to_view),
                                                                       device_of<int64_t>(from_view), total);
}

cudaError_t cuda_move(void *to, cuda_type to_type, const cuda_view *to_view, const void *from, cuda_type from_type,
                      const cuda_view *from_view, const void *addend, cudaStream_t stream)
{
    cuda_view t = *to_view, f = *from_view;
    int64_t total = 1;
    for (int k = 0; k < t.rank; k++)
        total *= t.dim[k];
    if (total == 0)
        return cudaSuccess;
    if (same_dims(t, f))
        simplify(&t, &f);
    if (from_type == CUDA_TYPE_FLOAT) {
        FOR_ELEMENT_TYPE(to_type, launch<T, float>(to, t, from, f, addend, total, stream))
    } else if (to_type == CUDA_TYPE_FLOAT) {
        FOR_ELEMENT_TYPE(from_type, launch<float, T>(to, t, from, f, addend, total, stream))
    } else {
        FOR_ELEMENT_TYPE(to_type, launch<T, T>(to, t, from, f, addend, total, stream))
    }
    return cudaGetLastError();
}

cudaError_t cuda_fill(void *to, cuda_type type, int64_t elements, float value, cudaStream_t stream)
{
    if (elements == 0)
        return cudaSuccess;
    FOR_ELEMENT_TYPE(type, fill_kernel<T>
                     <<<blocks_of(elements, BLOCK_THREADS), BLOCK_THREADS, 0, stream>>>((T *)to, elements, value))
    return cudaGetLastError();
}
