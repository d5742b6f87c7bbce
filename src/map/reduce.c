/* Modifier and channel reduction in one pass: the gradient is the largest thing a
 * map is made of, so it is read once. Tiles keep the sums of a run of pixels in
 * the first cache while the channels go by. */
#include "base/error.h"
#include "map/map.h"

#include <string.h>

enum { TILE = 256 };

static void modify_tile(float *out, const float *g, size_t n, sal_modifier modifier)
{
    switch (modifier) {
    case SAL_MODIFIER_ABS:
        for (size_t i = 0; i < n; i++)
            out[i] = sal_modify(g[i], SAL_MODIFIER_ABS);
        break;
    case SAL_MODIFIER_RELU:
        for (size_t i = 0; i < n; i++)
            out[i] = sal_modify(g[i], SAL_MODIFIER_RELU);
        break;
    case SAL_MODIFIER_NEGATE:
        for (size_t i = 0; i < n; i++)
            out[i] = sal_modify(g[i], SAL_MODIFIER_NEGATE);
        break;
    case SAL_MODIFIER_NONE: memcpy(out, g, n * sizeof *g); break;
    }
}

/* Exponent bits all set: NaN or infinity. On the bits, since ReLU and max drop a
 * NaN without a trace, and since this vectorises. */
static int tile_is_finite(const float *g, size_t n)
{
    int bad = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &g[i], sizeof bits);
        bad |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return !bad;
}

static void gather_tile(double *sums, const float *m, size_t n, sal_reduce reduce)
{
    switch (reduce) {
    case SAL_REDUCE_MAX:
        for (size_t i = 0; i < n; i++)
            sums[i] = sums[i] > (double)m[i] ? sums[i] : (double)m[i];
        break;
    case SAL_REDUCE_MEAN:
    case SAL_REDUCE_SUM:
        for (size_t i = 0; i < n; i++)
            sums[i] += (double)m[i];
        break;
    case SAL_REDUCE_L2:
        for (size_t i = 0; i < n; i++)
            sums[i] += (double)m[i] * (double)m[i];
        break;
    }
}

static void finish_tile(float *map, const double *sums, size_t n, int64_t channels, sal_reduce reduce)
{
    double divisor = reduce == SAL_REDUCE_MEAN ? (double)channels : 1.0;
    if (reduce == SAL_REDUCE_L2) {
        for (size_t i = 0; i < n; i++)
            map[i] = (float)sqrt(sums[i]);
        return;
    }
    for (size_t i = 0; i < n; i++)
        map[i] = (float)(sums[i] / divisor);
}

static sal_status not_finite(const float *g, int64_t channel, int64_t first)
{
    int64_t i = 0;
    while (isfinite(g[i]))
        i++;
    return sal_fail(SAL_ERROR_NUMERIC, "gradient is %s at channel %lld, pixel %lld: no map can be made of it",
                    isnan(g[i]) ? "NaN" : "infinite", (long long)channel, (long long)first + i);
}

sal_status sal_map_reduce(float *map, const float *gradient, int64_t channels, int64_t pixels, sal_modifier modifier,
                          sal_reduce reduce)
{
    if (channels < 1 || pixels < 1)
        return sal_fail(SAL_ERROR_ARGUMENT, "gradient of %lld channels and %lld pixels: both must be at least 1",
                        (long long)channels, (long long)pixels);
    if ((unsigned)modifier > SAL_MODIFIER_NONE)
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown gradient modifier %d", (int)modifier);
    if ((unsigned)reduce > SAL_REDUCE_L2)
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown channel reduction %d", (int)reduce);
    float modified[TILE];
    double sums[TILE];
    for (int64_t first = 0; first < pixels; first += TILE) {
        size_t n = pixels - first < TILE ? (size_t)(pixels - first) : TILE;
        for (size_t i = 0; i < n; i++)
            sums[i] = reduce == SAL_REDUCE_MAX ? -INFINITY : 0.0;
        for (int64_t c = 0; c < channels; c++) {
            const float *g = gradient + c * pixels + first;
            if (!tile_is_finite(g, n))
                return not_finite(g, c, first);
            modify_tile(modified, g, n, modifier);
            gather_tile(sums, modified, n, reduce);
        }
        finish_tile(map + first, sums, n, channels, reduce);
        if (!tile_is_finite(map + first, n))
            return sal_fail(SAL_ERROR_NUMERIC, "gradient is too large: its sum over %lld channels exceeds a float",
                            (long long)channels);
    }
    return SAL_OK;
}
