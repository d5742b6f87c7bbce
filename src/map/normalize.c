/* What a map measures, and its values brought to 0..1. */
#include "map/map.h"

#include <string.h>

void sal_map_measure(sal_map_stats *stats, float *low, const float *map, int64_t pixels)
{
    float least = map[0], most = map[0];
    double sum = 0.0;
    for (int64_t i = 0; i < pixels; i++) {
        least = map[i] < least ? map[i] : least;
        most = map[i] > most ? map[i] : most;
        sum += (double)map[i];
    }
    *low = least;
    *stats = (sal_map_stats){.peak = most, .mean = (float)(sum / (double)pixels), .flat = least == most};
}

void sal_map_normalize(float *map, sal_map_stats *stats, int64_t pixels)
{
    float low;
    sal_map_measure(stats, &low, map, pixels);
    if (stats->flat) {
        memset(map, 0, (size_t)pixels * sizeof *map);
        return;
    }
    double scale = sal_normalize_scale(low, stats->peak);
    for (int64_t i = 0; i < pixels; i++)
        map[i] = sal_normalize_value(map[i], low, scale);
}
