#include "sweep/baseline.h"

#include "base/memory.h"
#include "image/preprocess.h"
#include "map/map.h"

#include <math.h>
#include <string.h>

/* A sample of 0..255 in the network's input space. */
static float level_of(const sal_preprocess *p, int64_t channel, double sample)
{
    const int64_t k = p->value_count > 1 ? channel : 0;
    const double mean = p->value_count ? (double)p->mean[k] : 0.0, std = p->value_count ? (double)p->std[k] : 1.0;
    const double scale = (double)p->scale;
    return (float)((sample * scale - mean) / std);
}

/* Whether the centre of row or column i of the input lies on the picture. */
static int is_on(int64_t i, double scale, double offset, int64_t size)
{
    const double at = ((double)i + 0.5) * scale + offset;
    return at >= 0.0 && at <= (double)size;
}

/* What the picture covers of the input: rows from `top` to before `bottom` and so on; padding lies around it. */
typedef struct cover {
    int64_t top, bottom, left, right;
} cover;

static void find_side(int64_t *first, int64_t *end, double scale, double offset, int64_t size, int64_t n)
{
    *first = 0;
    while (*first < n && !is_on(*first, scale, offset, size))
        (*first)++;
    *end = *first;
    while (*end < n && is_on(*end, scale, offset, size))
        (*end)++;
}

static cover cover_of(const sal_placement *p, const sal_baseline_plan *plan)
{
    cover c;
    find_side(&c.top, &c.bottom, p->scale_y, p->offset_y, p->source_height, plan->height);
    find_side(&c.left, &c.right, p->scale_x, p->offset_x, p->source_width, plan->width);
    return c;
}

static void fill(float *out, const cover *c, int64_t width, float level)
{
    for (int64_t y = c->top; y < c->bottom; y++)
        for (int64_t x = c->left; x < c->right; x++)
            out[y * width + x] = level;
}

static float mean_of(const float *input, const cover *c, int64_t width)
{
    double sum = 0.0;
    for (int64_t y = c->top; y < c->bottom; y++)
        for (int64_t x = c->left; x < c->right; x++)
            sum += (double)input[y * width + x];
    return (float)(sum / ((double)(c->bottom - c->top) * (double)(c->right - c->left)));
}

/* Without the padding, whose edge would come in. */
static sal_status blur(float *out, const float *input, const cover *c, int64_t width, double sigma)
{
    sal_status st = SAL_OK;
    float *part = NULL;
    const int64_t rows = c->bottom - c->top, columns = c->right - c->left;
    TRY(sal_alloc(&part, (size_t)(rows * columns), sizeof *part, "the baseline"));
    for (int64_t y = 0; y < rows; y++)
        memcpy(part + y * columns, input + (c->top + y) * width + c->left, (size_t)columns * sizeof *part);
    TRY(sal_map_smooth(part, rows, columns, sigma));
    for (int64_t y = 0; y < rows; y++)
        memcpy(out + (c->top + y) * width + c->left, part + y * columns, (size_t)columns * sizeof *part);
done:
    sal_free(part);
    return st;
}

static sal_status fill_channel(float *out, const float *input, int64_t channel, const cover *c,
                               const sal_baseline_plan *p)
{
    const int64_t pixels = p->height * p->width;
    const double shorter = (double)(p->height < p->width ? p->height : p->width);
    memcpy(out, input, (size_t)pixels * sizeof *out);
    if (c->top == c->bottom || c->left == c->right) /* thinner than a pixel */
        return SAL_OK;
    switch (p->kind) {
    case SAL_BASELINE_BLACK: fill(out, c, p->width, level_of(p->preprocess, channel, 0.0)); break;
    case SAL_BASELINE_WHITE: fill(out, c, p->width, level_of(p->preprocess, channel, 255.0)); break;
    case SAL_BASELINE_MEAN: fill(out, c, p->width, mean_of(input, c, p->width)); break;
    case SAL_BASELINE_BLUR: return blur(out, input, c, p->width, shorter / 8.0);
    case SAL_BASELINE_FILE: memcpy(out, p->file + channel * pixels, (size_t)pixels * sizeof *out); break;
    case SAL_BASELINE_ZERO: memset(out, 0, (size_t)pixels * sizeof *out); break;
    }
    return SAL_OK;
}

sal_status sal_baseline_fill(float *out, const float *input, const sal_placement *placement,
                             const sal_baseline_plan *plan)
{
    sal_status st = SAL_OK;
    const int64_t pixels = plan->height * plan->width;
    const cover covered = cover_of(placement, plan);
    for (int64_t c = 0; c < plan->channels; c++)
        TRY(fill_channel(out + c * pixels, input + c * pixels, c, &covered, plan));
done:
    return st;
}

sal_status sal_baseline_make(float *baseline, const float *input, int64_t channels, const sal_placement *placement,
                             sal_baseline kind, const sal_preprocess *preprocess)
{
    sal_status st = SAL_OK;
    TRY(sal_require(baseline, "baseline", __func__));
    TRY(sal_require(input, "input", __func__));
    TRY(sal_require(placement, "placement", __func__));
    TRY(sal_require(preprocess, "preprocess", __func__));
    TRY(sal_placement_check(placement));
    if (channels < 1)
        return sal_fail(SAL_ERROR_ARGUMENT, "an input of %lld channels is empty", (long long)channels);
    TRY(sal_preprocess_check(preprocess, channels));
    if ((unsigned)kind >= SAL_BASELINE_FILE)
        return sal_fail(SAL_ERROR_ARGUMENT, kind == SAL_BASELINE_FILE
                                                ? "a baseline of a file is made by decoding it and sal_preprocess_apply"
                                                : "unknown baseline");
    const sal_baseline_plan plan = {.kind = kind,
                                    .preprocess = preprocess,
                                    .channels = channels,
                                    .height = placement->net_height,
                                    .width = placement->net_width};
    st = sal_baseline_fill(baseline, input, placement, &plan);
done:
    return st;
}

sal_status sal_baseline_read(float *out, const char *path, const sal_preprocess *preprocess, const sal_limits *limits,
                             const sal_model_info *info)
{
    sal_status st = SAL_OK;
    sal_picture picture = {0};
    sal_placement placement;
    TRY(sal_picture_read_for(&picture, path, preprocess, info->channels, limits));
    st = sal_preprocess_apply(out, &placement, &picture, preprocess, info->channels, info->height, info->width);
    if (st != SAL_OK)
        st = sal_fail_in(st, "%s", path);
done:
    sal_picture_clear(&picture);
    return st;
}

sal_status sal_baseline_hash(char sha256[SAL_DIGEST_SIZE], const char *path)
{
    sal_status st = SAL_OK;
    sal_digest *digest = NULL;
    TRY(sal_digest_open(&digest));
    TRY(sal_digest_add_file(digest, path));
    TRY(sal_digest_finish(sha256, digest));
done:
    sal_digest_close(digest);
    return st;
}

sal_status sal_baseline_check(const char *path, const char *sha256)
{
    sal_status st = SAL_OK;
    char now[SAL_DIGEST_SIZE];
    if (!sha256)
        return SAL_OK;
    TRY(sal_baseline_hash(now, path));
    if (strcmp(now, sha256) != 0)
        st = sal_fail(SAL_ERROR_ARGUMENT, "%s: the baseline has changed since the run was begun", path);
done:
    return st;
}
