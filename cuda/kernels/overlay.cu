/* Enlarge, colour and blend a map over a band of rows of its picture, in one pass that reads and writes bytes. A thread
 * takes four pixels: twelve bytes, three words. Contours come in a pass of their own. Twins: sal_upsampler_row,
 * sal_color_row, sal_overlay_row of src/map. */
#include "kernels/element.cuh"
#include "kernels/map_kernels.h"

enum { PIXELS = 4, WORDS = 3 };

struct map_view {
    const float *map;
    const cuda_map_stats *stats; /* NULL: values are 0..1 */
    double scale;
    float low;
    int flat;
};

__device__ __forceinline__ void find_range(map_view &v)
{
    if (!v.stats)
        return;
    v.low = v.stats->low;
    v.flat = sal_is_flat(v.stats->low, v.stats->high, SAL_NORMALIZE_MINMAX);
    v.scale = sal_normalize_scale(v.stats->low, v.stats->high, SAL_NORMALIZE_MINMAX);
}

/* A value of the map as it is coloured. */
__device__ __forceinline__ float shown_value(const map_view &v, int64_t at)
{
    const float m = v.map[at];
    if (!v.stats)
        return m;
    return v.flat ? 0.0f : sal_normalize_value(m, v.low, v.scale);
}

__device__ __forceinline__ float value_at(const map_view &v, const cuda_overlay &o, int64_t y, int64_t x)
{
    const sal_upsample_tap r = sal_upsample_at(y, o.scale_y, o.offset_y, o.net_height);
    const sal_upsample_tap c = sal_upsample_at(x, o.scale_x, o.offset_x, o.net_width);
    if (!r.visible || !c.visible)
        return 0.0f;
    const int64_t w = o.net_width;
    const float left = (1.0f - r.weight) * shown_value(v, r.lo * w + c.lo) + r.weight * shown_value(v, r.hi * w + c.lo);
    const float right =
        (1.0f - r.weight) * shown_value(v, r.lo * w + c.hi) + r.weight * shown_value(v, r.hi * w + c.hi);
    return (1.0f - c.weight) * left + c.weight * right;
}

static __global__ void __launch_bounds__(BLOCK_THREADS)
    overlay_kernel(uint8_t *rgb, const uint8_t *shown, map_view v, const uint8_t *table, cuda_overlay o)
{
    const int64_t total = o.rows * o.width, step = (int64_t)gridDim.x * blockDim.x * PIXELS;
    find_range(v);
    for (int64_t first = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) * PIXELS; first < total; first += step) {
        const int whole = first + PIXELS <= total;
        union {
            uint32_t words[WORDS];
            uint8_t bytes[WORDS * 4];
        } picture = {}, result = {};
        if (shown && whole)
            for (int k = 0; k < WORDS; k++)
                picture.words[k] = ((const uint32_t *)(shown + first * 3))[k];
        for (int k = 0; k < PIXELS && first + k < total; k++) {
            const int64_t i = first + k;
            const float value = value_at(v, o, o.first_row + i / o.width, i % o.width);
            const int row = sal_color_index(fmaf(o.gain, value, o.bias));
            const uint8_t *const colour = table + 3 * row;
            const uint32_t weight = o.blend == SAL_BLEND_MAP ? sal_blend_share(o.weight, row, o.is_signed) : o.weight;
            for (int c = 0; c < 3; c++) {
                const uint8_t under = whole || !shown ? picture.bytes[3 * k + c] : shown[i * 3 + c];
                const uint8_t b = shown ? sal_blend_level(under, colour[c], weight) : colour[c];
                result.bytes[3 * k + c] = b;
                if (!whole)
                    rgb[i * 3 + c] = b;
            }
        }
        if (whole)
            for (int k = 0; k < WORDS; k++)
                ((uint32_t *)(rgb + first * 3))[k] = result.words[k];
    }
}

/* Whether a contour runs through a pixel. */
__device__ __forceinline__ int is_on_contour(const map_view &v, const cuda_overlay &o, int64_t y, int64_t x)
{
    const int64_t lower = y + o.line < o.height ? y + o.line : o.height - 1;
    const int64_t right = x + o.line < o.width ? x + o.line : o.width - 1;
    const float at = sal_contour_height(value_at(v, o, y, x), o.is_signed);
    const float beside = sal_contour_height(value_at(v, o, y, right), o.is_signed);
    const float below = sal_contour_height(value_at(v, o, lower, x), o.is_signed);
    const float corner = sal_contour_height(value_at(v, o, lower, right), o.is_signed);
    for (int k = 0; k < o.contour_count; k++)
        if (sal_contour_runs(o.contours[k], at, beside, below, corner))
            return 1;
    return 0;
}

/* Over what overlay_kernel drew: most overlays have no contours, and its registers are dear. */
static __global__ void __launch_bounds__(BLOCK_THREADS) contour_kernel(uint8_t *rgb, map_view v, cuda_overlay o)
{
    const int64_t total = o.rows * o.width, step = (int64_t)gridDim.x * blockDim.x;
    find_range(v);
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < total; i += step) {
        uint8_t *const pixel = rgb + i * 3;
        if (is_on_contour(v, o, o.first_row + i / o.width, i % o.width))
            pixel[0] = pixel[1] = pixel[2] = sal_contour_ink(pixel[0], pixel[1], pixel[2]);
    }
}

cudaError_t cuda_overlay_blend(uint8_t *rgb, const uint8_t *shown, const float *map, const cuda_map_stats *stats,
                               const uint8_t *table, cuda_overlay o, cudaStream_t stream)
{
    if (o.rows * o.width == 0)
        return cudaSuccess;
    const map_view v = {map, stats, 1.0, 0.0f, 0};
    overlay_kernel<<<blocks_of(o.rows * o.width, BLOCK_THREADS * PIXELS), BLOCK_THREADS, 0, stream>>>(rgb, shown, v,
                                                                                                      table, o);
    if (o.contour_count > 0)
        contour_kernel<<<blocks_of(o.rows * o.width, BLOCK_THREADS), BLOCK_THREADS, 0, stream>>>(rgb, v, o);
    return cudaGetLastError();
}
