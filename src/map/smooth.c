/* Separable Gaussian. Both passes work on LANES neighbouring pixels of a row whose
 * sums stay in registers; taps are added in pairs, since the kernel is symmetric.
 * Double throughout: float sums over the hundreds of taps of a large sigma would
 * miss 1e-6, and would make a constant map uneven. */
#include "base/memory.h"
#include "map/map.h"

#include <string.h>

enum { LANES = 16 };

/* One pair of taps for LANES pixels. */
static inline void add_pair(double *restrict sums, const double *before, const double *after, double weight)
{
    for (int i = 0; i < LANES; i++)
        sums[i] += weight * (before[i] + after[i]);
}

/* One row of the map into one row of the work: padded holds the row with its
 * reflections, radius on either side, and LANES zeros for the last tile to read. */
static void smooth_row(double *out, double *padded, const float *in, int64_t width, const double *weights,
                       int64_t radius)
{
    for (int64_t x = 0; x < width; x++)
        padded[radius + x] = (double)in[x];
    for (int64_t k = 0; k < radius; k++) {
        padded[k] = (double)in[sal_reflect(k - radius, width)];
        padded[radius + width + k] = (double)in[sal_reflect(width + k, width)];
    }
    for (int64_t x = 0; x < width; x += LANES) {
        const double *centre = padded + radius + x;
        double sums[LANES];
        for (int i = 0; i < LANES; i++)
            sums[i] = weights[0] * centre[i];
        for (int64_t k = 1; k <= radius; k++)
            add_pair(sums, centre - k, centre + k, weights[k]);
        memcpy(out + x, sums, sizeof sums);
    }
}

/* LANES columns of the work into those of the map: rows[y + radius] is where row y starts, reflections included. */
static void smooth_columns(float *map, const double *const *rows, int64_t height, int64_t width, int64_t x,
                           const double *weights, int64_t radius)
{
    int64_t n = width - x < LANES ? width - x : LANES;
    for (int64_t y = 0; y < height; y++) {
        const double *const *centre = rows + radius + y;
        double sums[LANES];
        for (int i = 0; i < LANES; i++)
            sums[i] = weights[0] * centre[0][x + i];
        for (int64_t k = 1; k <= radius; k++)
            add_pair(sums, centre[-k] + x, centre[k] + x, weights[k]);
        for (int64_t i = 0; i < n; i++)
            map[y * width + x + i] = (float)sums[i];
    }
}

sal_status sal_map_smooth(float *map, int64_t height, int64_t width, double sigma)
{
    sal_status st = SAL_OK;
    double *weights = NULL, *padded = NULL, *work = NULL;
    const double **rows = NULL;
    if (height < 1 || width < 1)
        return sal_fail(SAL_ERROR_ARGUMENT, "map of %lld x %lld pixels: both sides must be at least 1",
                        (long long)width, (long long)height);
    if (!(sigma >= 0.0 && sigma <= SAL_SIGMA_MAX))
        return sal_fail(SAL_ERROR_ARGUMENT, "sigma %g is not within 0 and %g", sigma, SAL_SIGMA_MAX);
    int64_t radius = sal_gauss_radius(sigma);
    if (radius == 0)
        return SAL_OK;
    size_t stride = ((size_t)width + LANES - 1) / LANES * LANES;
    size_t work_count;
    TRY(sal_size_mul(&work_count, stride, (size_t)height, "smoothed rows"));
    TRY(sal_alloc(&weights, (size_t)radius + 1, sizeof *weights, "Gaussian kernel"));
    TRY(sal_alloc(&padded, stride + 2 * (size_t)radius, sizeof *padded, "padded row"));
    TRY(sal_alloc(&work, work_count, sizeof *work, "smoothed rows"));
    TRY(sal_alloc(&rows, (size_t)height + 2 * (size_t)radius, sizeof *rows, "row table"));
    sal_gauss_kernel(weights, radius, sigma);
    for (int64_t y = 0; y < height; y++)
        smooth_row(work + (size_t)y * stride, padded, map + y * width, width, weights, radius);
    for (int64_t y = -radius; y < height + radius; y++)
        rows[y + radius] = work + (size_t)sal_reflect(y, height) * stride;
    for (int64_t x = 0; x < width; x += LANES)
        smooth_columns(map, rows, height, width, x, weights, radius);
done:
    sal_free(rows);
    sal_free(work);
    sal_free(padded);
    sal_free(weights);
    return st;
}
