/* Layers that bring maps to another size. Interpolation is a product with a constant matrix for each side, which takes
 * the channels' place for it; whole copies are woven together. */
#include "import/keras/layers/layers.h"

#include "import/keras/keras_importer.h"
#include "import/keras/layer_config.h"
#include "import/keras/write_onnx.h"

#include <limits.h>
#include <math.h>
#include <string.h>

/* Interpolation of one axis as a matrix (in, out): half-pixel centres, linear and clamped at the edges, or the nearest.
 */
static sal_status interpolation(const char **out, keras_importer *k, int64_t from, int64_t to, int nearest)
{
    sal_status st = SAL_OK;
    float *matrix;
    const char *flat, *shape;
    const int64_t dims[4] = {to, from, 1, 1};
    TRY(keras_new_weights(&matrix, k, (size_t)from, (size_t)to));
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
    TRY(keras_floats(&flat, k, matrix, from * to));
    TRY(keras_ints(&shape, k, dims, 4));
    TRY(keras_op2(out, k, "Reshape", flat, shape));
done:
    return st;
}

/* Brings an axis of channels first to another extent: it takes the channels' place for a 1x1 convolution. */
static sal_status interpolate_axis(const char **x, keras_importer *k, int axis, int64_t from, int64_t to, int nearest)
{
    sal_status st = SAL_OK;
    int64_t perm[4] = {0, 1, 2, 3};
    const char *matrix;
    if (from == to)
        return SAL_OK;
    perm[1] = axis;
    perm[axis] = 1;
    TRY(interpolation(&matrix, k, from, to, nearest));
    TRY(keras_transpose(x, k, perm, 4));
    TRY(keras_op2(x, k, "Conv", *x, matrix));
    TRY(keras_transpose(x, k, perm, 4));
done:
    return st;
}

/* To another height and width. sides: what it has. */
static sal_status resize(const char **x, keras_importer *k, const int64_t sides[2], int64_t height, int64_t width,
                         int nearest)
{
    sal_status st = SAL_OK;
    if (sides[0] < 1 || sides[1] < 1)
        return keras_fail(k, SAL_ERROR_UNSUPPORTED, "it resizes a map whose size is not known");
    if (height < 1 || width < 1 || height > INT16_MAX || width > INT16_MAX || sides[0] > INT16_MAX ||
        sides[1] > INT16_MAX)
        return keras_fail(k, SAL_ERROR_UNSUPPORTED, "it resizes %lld x %lld to %lld x %lld", (long long)sides[0],
                          (long long)sides[1], (long long)height, (long long)width);
    TRY(interpolate_axis(x, k, 2, sides[0], height, nearest));
    TRY(interpolate_axis(x, k, 3, sides[1], width, nearest));
done:
    return st;
}

/* The largest part in the middle that has the proportions of height and width, then resized. */
static sal_status crop_and_resize(const char **x, keras_importer *k, const int64_t sides[2], int64_t height,
                                  int64_t width, int nearest)
{
    sal_status st = SAL_OK;
    int64_t part[2] = {0, 0};
    if (sides[0] < 1 || sides[1] < 1 || height < 1 || width < 1 || height > INT16_MAX || width > INT16_MAX)
        return resize(x, k, sides, height, width, nearest); /* which says so */
    part[0] = (int64_t)((double)(sides[1] * height) / (double)width);
    part[1] = (int64_t)((double)(sides[0] * width) / (double)height);
    for (int a = 0; a < 2; a++) {
        part[a] = part[a] > sides[a] ? sides[a] : part[a] < 1 ? 1 : part[a];
        const int64_t before = (sides[a] - part[a]) / 2;
        TRY(keras_crop(x, k, 2 + a, before, sides[a] - part[a] - before));
    }
    TRY(resize(x, k, part, height, width, nearest));
done:
    return st;
}

sal_status keras_layer_up_sampling(keras_importer *k, keras_tensor *out, const keras_tensor *in, size_t count)
{
    sal_status st = SAL_OK;
    int64_t f[2];
    const char *x;
    const char *how = keras_text(k, "interpolation", "nearest");
    const int64_t sides[2] = {keras_side(k, in, 0), keras_side(k, in, 1)};
    (void)count;
    TRY(keras_pair(f, k, "size", 2));
    TRY(keras_enter(&x, out, k, in));
    if (f[0] < 1 || f[1] < 1 || f[0] > KERAS_MOST_COPIES || f[1] > KERAS_MOST_COPIES || f[0] * f[1] > KERAS_MOST_COPIES)
        return keras_fail(k, SAL_ERROR_UNSUPPORTED, "it enlarges %lld x %lld times", (long long)f[0], (long long)f[1]);
    if (strcmp(how, "nearest") == 0)
        TRY(keras_weave(&x, k, x, f));
    else if (k->version == 2 && k->minor < 3 && strcmp(how, "bilinear") == 0)
        return keras_fail(k, SAL_ERROR_UNSUPPORTED,
                          "it enlarges bilinearly, which Keras before 2.3 did in two ways that the file does not tell "
                          "apart; load the network with a newer Keras, compare, and save it again");
    else if (strcmp(how, "bilinear") == 0)
        TRY(resize(&x, k, sides, sides[0] * f[0], sides[1] * f[1], 0));
    else
        return keras_fail(k, SAL_ERROR_UNSUPPORTED, "interpolation '%.40s'", how);
    TRY(keras_leave(out, k, x, sides[0] * f[0], sides[1] * f[1]));
done:
    return st;
}

/* Layers that bring pictures to a size: Resizing, and CenterCrop and RandomCrop, which resize what is too small and,
 * before Keras 3.6, whatever is not being trained on. */
static sal_status to_size(keras_importer *k, keras_tensor *out, const keras_tensor *in, int cuts, int keeps_ratio)
{
    sal_status st = SAL_OK;
    const int64_t height = keras_integer(k, "height", 0), width = keras_integer(k, "width", 0);
    const int64_t sides[2] = {keras_side(k, in, 0), keras_side(k, in, 1)};
    const char *how = keras_text(k, "interpolation", "bilinear"), *x;
    const int nearest = strcmp(how, "nearest") == 0;
    TRY(keras_enter(&x, out, k, in));
    if ((strcmp(how, "bilinear") != 0 && !nearest) || keras_flag(k, "antialias", 0) ||
        keras_flag(k, "pad_to_aspect_ratio", 0))
        return keras_fail(k, SAL_ERROR_UNSUPPORTED,
                          "it resizes otherwise than bilinear or nearest, with antialias or pad_to_aspect_ratio");
    if (cuts && height > 0 && width > 0 && sides[0] >= height && sides[1] >= width) {
        const int64_t before[2] = {(sides[0] - height) / 2, (sides[1] - width) / 2};
        TRY(keras_crop(&x, k, 2, before[0], sides[0] - height - before[0]));
        TRY(keras_crop(&x, k, 3, before[1], sides[1] - width - before[1]));
    } else if (keeps_ratio) {
        TRY(crop_and_resize(&x, k, sides, height, width, nearest));
    } else {
        TRY(resize(&x, k, sides, height, width, nearest));
    }
    TRY(keras_leave(out, k, x, height, width));
done:
    return st;
}

sal_status keras_layer_resizing(keras_importer *k, keras_tensor *out, const keras_tensor *in, size_t count)
{
    (void)count;
    return to_size(k, out, in, 0, keras_flag(k, "crop_to_aspect_ratio", 0));
}

sal_status keras_layer_center_crop(keras_importer *k, keras_tensor *out, const keras_tensor *in, size_t count)
{
    (void)count;
    return to_size(k, out, in, 1, 1);
}

sal_status keras_layer_random_crop(keras_importer *k, keras_tensor *out, const keras_tensor *in, size_t count)
{
    if (k->version == 3 && (k->minor == 6 || k->minor == 7))
        return keras_fail(k, SAL_ERROR_UNSUPPORTED,
                          "Keras 3.6 and 3.7 cut a part out of every picture; save the network with a newer Keras");
    return k->version == 3 && k->minor > 7 ? keras_layer_pass(k, out, in, count) : to_size(k, out, in, 0, 1);
}
