#include "sweep/baseline.h"

#include "base/error.h"
#include "map/map.h"

#include <math.h>
#include <string.h>

/* A sample of 0..255 in the network's input space. */
static float level_of(const sal_preprocess *p, int64_t channel, double sample)
{
    const int64_t k = p->value_count > 1 ? channel : 0;
    const double mean = p->value_count ? (double)p->mean[k] : 0.0, std = p->value_count ? (double)p->std[k] : 1.0;
    const double scale = p->scale != 0.0f ? (double)p->scale : 1.0;
    return (float)((sample * scale - mean) / std);
}

/* Whether the centre of row or column i of the input lies on the picture. */
static int is_on(int64_t i, double scale, double offset, int64_t size)
{
    const double at = ((double)i + 0.5) * scale + offset;
    return at >= 0.0 && at <= (double)size;
}

static void fill_picture(float *out, const float *input, const sal_placement *where, float level, int64_t height,
                         int64_t width)
{
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++) {
            const int64_t i = y * width + x;
            const int on = is_on(y, where->scale_y, where->offset_y, where->source_height) &&
                           is_on(x, where->scale_x, where->offset_x, where->source_width);
            out[i] = on ? level : input[i];
        }
}

static void fill_mean(float *out, const float *input, int64_t pixels)
{
    double sum = 0.0;
    for (int64_t i = 0; i < pixels; i++)
        sum += (double)input[i];
    for (int64_t i = 0; i < pixels; i++)
        out[i] = (float)(sum / (double)pixels);
}

static sal_status fill_channel(float *out, const float *input, int64_t channel, const sal_placement *placement,
                               const sal_baseline_plan *p)
{
    const int64_t pixels = p->height * p->width;
    const double shorter = (double)(p->height < p->width ? p->height : p->width);
    switch (p->kind) {
    case SAL_BASELINE_BLACK:
    case SAL_BASELINE_WHITE:
        fill_picture(out, input, placement,
                     level_of(p->preprocess, channel, p->kind == SAL_BASELINE_WHITE ? 255.0 : 0.0), p->height,
                     p->width);
        break;
    case SAL_BASELINE_MEAN: fill_mean(out, input, pixels); break;
    case SAL_BASELINE_BLUR:
        memcpy(out, input, (size_t)pixels * sizeof *out);
        return sal_map_smooth(out, p->height, p->width, shorter / 8.0);
    case SAL_BASELINE_FILE: memcpy(out, p->file + channel * pixels, (size_t)pixels * sizeof *out); break;
    case SAL_BASELINE_ZERO: memset(out, 0, (size_t)pixels * sizeof *out); break;
    }
    return SAL_OK;
}

sal_status sal_baseline_make(float *out, const float *input, const sal_placement *placement,
                             const sal_baseline_plan *plan)
{
    sal_status st = SAL_OK;
    const int64_t pixels = plan->height * plan->width;
    for (int64_t c = 0; c < plan->channels; c++)
        TRY(fill_channel(out + c * pixels, input + c * pixels, c, placement, plan));
done:
    return st;
}
