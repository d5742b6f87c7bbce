/* Layers that bring maps to another size. Interpolation is a product with a constant matrix for each side, which takes
 * the channels' place for it; whole copies are woven together. */
#include "import/keras/layers/layers.h"

#include "import/keras/layer_config.h"
#include "import/keras/write_onnx.h"

#include <limits.h>
#include <math.h>
#include <string.h>

/* Interpolation of one axis as a matrix (in, out): half-pixel centres, linear and clamped at the edges, or the nearest.
 */
static sal_status interpolation(const char **out, const keras_call *c, int64_t from, int64_t to, int nearest)
{
    sal_status st = SAL_OK;
    float *matrix;
    const char *flat, *shape;
    const int64_t dims[4] = {to, from, 1, 1};
    TRY(keras_new_weights(&matrix, c, (size_t)from, (size_t)to));
    for (int64_t i = 0; i < to && nearest; i++)
        matrix[i * from + (2 * i + 1) * from / (2 * to)] = 1.0f;
    for (int64_t i = 0; i < to && !nearest; i++) {
        const double at = ((double)i + 0.5) * (double)from / (double)to - 0.5;
        const double low = floor(at), weight = at - low;
        const int64_t a = low < 0.0 ? 0 : (int64_t)low;
        const int64_t b = (int64_t)low + 1 < from ? (int64_t)low + 1 : from - 1;
        matrix[i * from + a] += (float)(1.0 - weight);
        matrix[i * from + b] += (float)weight;
    }
    TRY(keras_floats(&flat, c, matrix, from * to));
    TRY(keras_ints(&shape, c, dims, 4));
    TRY(keras_op2(out, c, "Reshape", flat, shape));
done:
    return st;
}

/* Brings an axis of channels first to another extent: it takes the channels' place for a 1x1 convolution. */
static sal_status interpolate_axis(const char **x, const keras_call *c, int axis, int64_t from, int64_t to, int nearest)
{
    sal_status st = SAL_OK;
    int64_t perm[4] = {0, 1, 2, 3};
    const char *matrix;
    if (from == to)
        return SAL_OK;
    perm[1] = axis;
    perm[axis] = 1;
    TRY(interpolation(&matrix, c, from, to, nearest));
    TRY(keras_transpose(x, c, perm, 4));
    TRY(keras_op2(x, c, "Conv", *x, matrix));
    TRY(keras_transpose(x, c, perm, 4));
done:
    return st;
}

/* To another height and width. sides: what it has. */
static sal_status resize(const char **x, const keras_call *c, const int64_t sides[2], int64_t height, int64_t width,
                         int nearest)
{
    sal_status st = SAL_OK;
    if (sides[0] < 1 || sides[1] < 1)
        return keras_fail(c, SAL_ERROR_UNSUPPORTED, "it resizes a map whose size is not known");
    if (height < 1 || width < 1 || height > INT16_MAX || width > INT16_MAX || sides[0] > INT16_MAX ||
        sides[1] > INT16_MAX)
        return keras_fail(c, SAL_ERROR_UNSUPPORTED,
                          "it resizes %lld x %lld to %lld x %lld; salmap knows sides of 1 to %d", (long long)sides[0],
                          (long long)sides[1], (long long)height, (long long)width, INT16_MAX);
    TRY(interpolate_axis(x, c, 2, sides[0], height, nearest));
    TRY(interpolate_axis(x, c, 3, sides[1], width, nearest));
done:
    return st;
}

/* The largest part in the middle that has the proportions of height and width, then resized. */
static sal_status crop_and_resize(const char **x, const keras_call *c, const int64_t sides[2], int64_t height,
                                  int64_t width, int nearest)
{
    sal_status st = SAL_OK;
    int64_t part[2] = {0, 0};
    if (sides[0] < 1 || sides[1] < 1 || height < 1 || width < 1 || height > INT16_MAX || width > INT16_MAX)
        return resize(x, c, sides, height, width, nearest); /* which says so */
    part[0] = (int64_t)((double)(sides[1] * height) / (double)width);
    part[1] = (int64_t)((double)(sides[0] * width) / (double)height);
    for (int a = 0; a < 2; a++) {
        part[a] = part[a] > sides[a] ? sides[a] : part[a] < 1 ? 1 : part[a];
        const int64_t before = (sides[a] - part[a]) / 2;
        TRY(keras_crop(x, c, 2 + a, before, sides[a] - part[a] - before));
    }
    TRY(resize(x, c, part, height, width, nearest));
done:
    return st;
}

sal_status keras_layer_up_sampling(keras_tensor *out, const keras_call *c)
{
    sal_status st = SAL_OK;
    int64_t f[2];
    const char *x;
    const char *how = keras_text(c->settings, "interpolation", "nearest");
    const int64_t sides[2] = {keras_side(c, c->in, 0), keras_side(c, c->in, 1)};
    TRY(keras_pair(f, c, "size", 2));
    TRY(keras_enter(&x, out, c));
    if (f[0] < 1 || f[1] < 1 || f[0] > KERAS_MOST_COPIES || f[1] > KERAS_MOST_COPIES || f[0] * f[1] > KERAS_MOST_COPIES)
        return keras_fail(c, SAL_ERROR_UNSUPPORTED,
                          "it enlarges its input %lld x %lld times; salmap knows 1 to %d times in all", (long long)f[0],
                          (long long)f[1], KERAS_MOST_COPIES);
    if (strcmp(how, "nearest") == 0)
        TRY(keras_weave(&x, c, x, f));
    else if (c->facts->version == 2 && c->facts->minor < 3 && strcmp(how, "bilinear") == 0)
        return keras_fail(c, SAL_ERROR_UNSUPPORTED,
                          "it enlarges bilinearly, which Keras before 2.3 did in two ways that the file does not tell "
                          "apart; load the network with a newer Keras, compare, and save it again");
    else if (strcmp(how, "bilinear") == 0)
        TRY(resize(&x, c, sides, sides[0] * f[0], sides[1] * f[1], 0));
    else
        return keras_fail(c, SAL_ERROR_UNSUPPORTED,
                          "salmap does not know the interpolation '%.40s'; it knows 'nearest' and 'bilinear'", how);
    TRY(keras_leave(out, c, x, sides[0] * f[0], sides[1] * f[1]));
done:
    return st;
}

/* Layers that bring pictures to a size: Resizing, and CenterCrop and RandomCrop, which resize what is too small and,
 * before Keras 3.6, whatever is not being trained on. */
static sal_status to_size(keras_tensor *out, const keras_call *c, int cuts, int keeps_ratio)
{
    sal_status st = SAL_OK;
    const int64_t height = keras_integer(c->settings, "height", 0), width = keras_integer(c->settings, "width", 0);
    const int64_t sides[2] = {keras_side(c, c->in, 0), keras_side(c, c->in, 1)};
    const char *how = keras_text(c->settings, "interpolation", "bilinear"), *x;
    const int nearest = strcmp(how, "nearest") == 0;
    TRY(keras_enter(&x, out, c));
    if ((strcmp(how, "bilinear") != 0 && !nearest) || keras_flag(c->settings, "antialias", 0) ||
        keras_flag(c->settings, "pad_to_aspect_ratio", 0))
        return keras_fail(c, SAL_ERROR_UNSUPPORTED,
                          "it resizes with antialias, with pad_to_aspect_ratio, or with an interpolation other than "
                          "bilinear and nearest, which salmap does not know");
    if (cuts && height > 0 && width > 0 && sides[0] >= height && sides[1] >= width) {
        const int64_t before[2] = {(sides[0] - height) / 2, (sides[1] - width) / 2};
        TRY(keras_crop(&x, c, 2, before[0], sides[0] - height - before[0]));
        TRY(keras_crop(&x, c, 3, before[1], sides[1] - width - before[1]));
    } else if (keeps_ratio) {
        TRY(crop_and_resize(&x, c, sides, height, width, nearest));
    } else {
        TRY(resize(&x, c, sides, height, width, nearest));
    }
    TRY(keras_leave(out, c, x, height, width));
done:
    return st;
}

sal_status keras_layer_resizing(keras_tensor *out, const keras_call *c)
{
    return to_size(out, c, 0, keras_flag(c->settings, "crop_to_aspect_ratio", 0));
}

sal_status keras_layer_center_crop(keras_tensor *out, const keras_call *c)
{
    return to_size(out, c, 1, 1);
}

sal_status keras_layer_random_crop(keras_tensor *out, const keras_call *c)
{
    if (c->facts->version == 3 && (c->facts->minor == 6 || c->facts->minor == 7))
        return keras_fail(c, SAL_ERROR_UNSUPPORTED,
                          "Keras 3.6 and 3.7 cut a part out of every picture; save the network with a newer Keras");
    return c->facts->version == 3 && c->facts->minor > 7 ? keras_layer_pass(out, c) : to_size(out, c, 0, 1);
}
