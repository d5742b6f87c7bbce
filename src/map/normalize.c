/* What a map measures, and its values brought to 0..1. */
#include "base/error.h"
#include "map/map.h"

#include <float.h>
#include <math.h>
#include <string.h>

void sal_map_measure(sal_map_stats *stats, const float *map, int64_t pixels, sal_normalize how)
{
    float least = map[0], most = map[0];
    double sum = 0.0;
    for (int64_t i = 0; i < pixels; i++) {
        least = map[i] < least ? map[i] : least;
        most = map[i] > most ? map[i] : most;
        sum += (double)map[i];
    }
    *stats = (sal_map_stats){
        .peak = most, .mean = (float)(sum / (double)pixels), .low = least, .flat = sal_is_flat(least, most, how)};
}

static void normalize_signed(float *map, const sal_map_stats *stats, int64_t pixels)
{
    const double scale = sal_signed_scale(stats->low, stats->peak);
    for (int64_t i = 0; i < pixels; i++)
        map[i] = sal_signed_value(map[i], scale);
}

sal_status sal_map_check_common(double common, sal_normalize how)
{
    if (common == 0.0)
        return SAL_OK;
    if (!(common >= (double)SAL_FAINT_PEAK && common <= (double)FLT_MAX))
        return sal_fail(SAL_ERROR_ARGUMENT, "a common scale of %g: must be from %g to %g", common,
                        (double)SAL_FAINT_PEAK, (double)FLT_MAX);
    if (how != SAL_NORMALIZE_MINMAX && how != SAL_NORMALIZE_SIGNED)
        return sal_fail(SAL_ERROR_ARGUMENT,
                        "a common scale is of maps that are normalised by minmax or signed: choose one of them");
    return SAL_OK;
}

void sal_map_normalize_by(float *map, sal_map_stats *stats, int64_t pixels, sal_normalize how, double common)
{
    if (common == 0.0) {
        sal_map_normalize(map, stats, pixels, how);
        return;
    }
    sal_map_measure(stats, map, pixels, how);
    const float low = how == SAL_NORMALIZE_SIGNED ? 0.0f : stats->low;
    for (int64_t i = 0; i < pixels; i++)
        map[i] = stats->flat ? 0.0f : sal_common_value(map[i], low, 1.0 / common);
}

void sal_map_normalize(float *map, sal_map_stats *stats, int64_t pixels, sal_normalize how)
{
    sal_map_measure(stats, map, pixels, how);
    if (how == SAL_NORMALIZE_NONE)
        return;
    if (stats->flat) {
        memset(map, 0, (size_t)pixels * sizeof *map);
        return;
    }
    if (how == SAL_NORMALIZE_SIGNED) {
        normalize_signed(map, stats, pixels);
        return;
    }
    const double scale = sal_normalize_scale(stats->low, stats->peak, how);
    for (int64_t i = 0; i < pixels; i++)
        map[i] = sal_normalize_value(map[i], stats->low, scale);
}

int sal_map_is_faint(const sal_map_stats *stats)
{
    const float most = stats ? fmaxf(fabsf(stats->peak), fabsf(stats->low)) : 0.0f;
    return most > 0.0f && most < SAL_FAINT_PEAK;
}

void sal_map_summarize(sal_map_summary *out, const float *map, int64_t height, int64_t width)
{
    const double n = (double)height * (double)width;
    double sum = 0.0, squares = 0.0, across = 0.0, down = 0.0;
    for (int64_t y = 0; y < height; y++) {
        double row = 0.0;
        for (int64_t x = 0; x < width; x++) {
            const double m = (double)map[y * width + x];
            row += m;
            squares += m * m;
            across += m * ((double)x + 0.5);
        }
        sum += row;
        down += row * ((double)y + 0.5);
    }
    const double mean = sum / n, variance = squares / n - mean * mean;
    out->mean = (float)mean;
    out->deviation = (float)sqrt(variance > 0.0 ? variance : 0.0);
    out->center_x = sum > 0.0 ? (float)(across / sum / (double)width) : NAN;
    out->center_y = sum > 0.0 ? (float)(down / sum / (double)height) : NAN;
}
