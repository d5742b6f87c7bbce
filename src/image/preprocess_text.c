/* Preprocessing options as text: presets, and one option at a time. */
#include "image/preprocess.h"

#include "base/plain_locale.h"
#include "base/words.h"
#include "image/fit.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sal_status set_word(int *out, const char *words, const char *key, const char *value)
{
    char list[128];
    const int found = sal_word_value(words, value);
    if (found >= 0) {
        *out = found;
        return SAL_OK;
    }
    return sal_fail(SAL_ERROR_ARGUMENT, "%s \"%s\" is unknown; known are %s", key, value,
                    sal_words_list(list, sizeof list, words));
}

/* ---- Numbers ------------------------------------------------------------ */

/* A number or a fraction such as 1/255, in the C locale. *end is behind it. */
static int parse_number(float *out, const char *text, const char **end)
{
    char *stop;
    double value = strtod(text, &stop);
    if (stop == text)
        return 0;
    if (*stop == '/') {
        const char *below = stop + 1;
        double divisor = strtod(below, &stop);
        if (stop == below || divisor == 0.0)
            return 0;
        value /= divisor;
    }
    *out = (float)value;
    *end = stop;
    return isfinite(*out);
}

static sal_status bad_value(const char *key, const char *value, const char *wanted)
{
    return sal_fail(SAL_ERROR_ARGUMENT, "%s \"%s\": %s is wanted", key, value, wanted);
}

static sal_status parse_list(float *out, int *count, const char *key, const char *value)
{
    const char *at = value;
    *count = 0;
    for (;;) {
        if (*count == SAL_MAX_CHANNELS)
            return sal_fail(SAL_ERROR_ARGUMENT, "%s: more than %d values", key, SAL_MAX_CHANNELS);
        if (!parse_number(&out[*count], at, &at) || (*at != ',' && *at != '\0'))
            return bad_value(key, value, "a comma separated list of numbers");
        ++*count;
        if (*at == '\0')
            return SAL_OK;
        at++;
    }
}

static int is_uniform(const float *list, int count)
{
    for (int i = 1; i < count; i++)
        if (list[i] != list[0])
            return 0;
    return 1;
}

/* Mean and std share one count: a list of one value, or of equal ones, follows the other's length. */
static sal_status set_list(sal_preprocess *p, float *list, const char *key, const char *value)
{
    float fresh[SAL_MAX_CHANNELS];
    int count;
    sal_status st = parse_list(fresh, &count, key, value);
    if (st != SAL_OK)
        return st;
    int is_std = list == p->std;
    for (int i = 0; is_std && i < count; i++)
        if (!(fresh[i] > 0.0F))
            return bad_value(key, value, "a list of positive numbers");
    if (p->value_count < 0 || p->value_count > SAL_MAX_CHANNELS)
        return sal_fail(SAL_ERROR_ARGUMENT, "value_count %d is out of range", p->value_count);

    float *other = is_std ? p->mean : p->std;
    if (p->value_count == 0)
        other[0] = is_std ? 0.0F : 1.0F;
    int other_count = p->value_count ? p->value_count : 1;
    if (count != other_count && count > 1) {
        if (!is_uniform(other, other_count))
            return sal_fail(SAL_ERROR_ARGUMENT, "%s has %d values, but %s has %d; set preset raw before both", key,
                            count, is_std ? "mean" : "std", other_count);
        for (int i = 1; i < count; i++)
            other[i] = other[0];
        other_count = count;
    }
    for (int i = 0; i < other_count; i++)
        list[i] = fresh[count == 1 ? 0 : i];
    p->value_count = other_count;
    if (p->scale == 0.0F)
        p->scale = 1.0F / 255.0F; /* torchvision's ToTensor before its Normalize */
    return SAL_OK;
}

static sal_status set_scale(sal_preprocess *p, const char *value)
{
    float scale;
    const char *end;
    if (!parse_number(&scale, value, &end) || *end || scale == 0.0F)
        return bad_value("scale", value, "a number other than 0, such as 1/255,");
    p->scale = scale;
    return SAL_OK;
}

static sal_status set_fill(sal_preprocess *p, const char *value)
{
    float fill;
    const char *end;
    if (!parse_number(&fill, value, &end) || *end || !(fill >= 0.0F && fill <= 255.0F))
        return bad_value("fill", value, "a number from 0 to 255");
    p->fill = fill;
    return SAL_OK;
}

static sal_status set_crop_resize(sal_preprocess *p, const char *value)
{
    char *end;
    errno = 0;
    long size = strtol(value, &end, 10);
    if (end == value || *end || errno || size < 0 || size > SAL_CROP_RESIZE_MAX)
        return bad_value("crop-resize", value, "a side in pixels, to 1048576, or 0,");
    p->crop_resize = size;
    return SAL_OK;
}

/* ---- Presets and options ------------------------------------------------ */

typedef struct preset {
    const char *name;
    sal_channel_order order;
    float scale;
    int value_count;
    float mean[3];
    float std[3];
} preset;

static const preset presets[] = {
    /* Means and deviations of ImageNet's training set in 0..1, as torchvision's models take them. */
    {"imagenet", SAL_ORDER_AUTO, 1.0F / 255.0F, 3, {0.485F, 0.456F, 0.406F}, {0.229F, 0.224F, 0.225F}},
    {"unit", SAL_ORDER_AUTO, 1.0F / 255.0F, 0, {0}, {0}},
    {"caffe", SAL_ORDER_BGR, 1.0F, 3, {103.939F, 116.779F, 123.68F}, {1.0F, 1.0F, 1.0F}},
    {"tf", SAL_ORDER_AUTO, 1.0F / 127.5F, 1, {1.0F}, {1.0F}},
    {"raw", SAL_ORDER_AUTO, 1.0F, 0, {0}, {0}},
};

/* A preset says how values are scaled; how the picture is fitted stays as it is. */
static sal_status set_preset(sal_preprocess *p, const char *name)
{
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        const preset *found = &presets[i];
        if (strcmp(found->name, name) != 0)
            continue;
        p->order = found->order;
        p->scale = found->scale;
        p->value_count = found->value_count;
        memset(p->mean, 0, sizeof p->mean);
        memset(p->std, 0, sizeof p->std);
        memcpy(p->mean, found->mean, sizeof found->mean);
        memcpy(p->std, found->std, sizeof found->std);
        return SAL_OK;
    }
    return sal_fail(SAL_ERROR_ARGUMENT, "preset \"%s\" is unknown; known are imagenet, unit, caffe, tf, raw", name);
}

sal_status sal_preprocess_preset(sal_preprocess *out, const char *name)
{
    sal_status st = SAL_OK;
    TRY(sal_require(out, "out", __func__));
    TRY(sal_require(name, "name", __func__));
    memset(out, 0, sizeof *out);
    TRY(set_preset(out, name));
done:
    return st;
}

static sal_status set_crop_share(sal_preprocess *p, const char *value)
{
    float share;
    const char *end;
    if (!parse_number(&share, value, &end) || *end ||
        (share != 0.0F && !(share >= SAL_CROP_SHARE_MIN && share <= 1.0F)))
        return bad_value("crop-share", value, "a number from 0.001 to 1, such as 0.875, or 0,");
    p->crop_share = share;
    return SAL_OK;
}

/* Keys of resizing. *known 0: it is none of them. */
static sal_status set_resizing(sal_preprocess *p, int *known, const char *key, const char *value)
{
    int word = 0;
    sal_status st = SAL_OK;
    *known = 1;
    if (strcmp(key, "resample") == 0) {
        if ((st = set_word(&word, SAL_WORDS_RESAMPLE, key, value)) == SAL_OK)
            p->resample = (sal_resample)word;
    } else if (strcmp(key, "antialias") == 0) {
        if ((st = set_word(&word, SAL_WORDS_ANTIALIAS, key, value)) == SAL_OK)
            p->antialias = (sal_antialias)word;
    } else if (strcmp(key, "round") == 0) {
        if ((st = set_word(&word, SAL_WORDS_ROUND, key, value)) == SAL_OK)
            p->rounding = (sal_rounding)word;
    } else if (strcmp(key, "grid") == 0) {
        if ((st = set_word(&word, SAL_WORDS_GRID, key, value)) == SAL_OK)
            p->grid = (sal_grid)word;
    } else if (strcmp(key, "crop-round") == 0) {
        if ((st = set_word(&word, SAL_WORDS_CROP_ROUND, key, value)) == SAL_OK)
            p->crop_round = (sal_crop_round)word;
    } else if (strcmp(key, "crop-share") == 0) {
        st = set_crop_share(p, value);
    } else {
        *known = 0;
    }
    return st;
}

static int hex_of(char digit)
{
    const char *digits = "0123456789abcdef", *at = digit ? strchr(digits, digit | 0x20) : NULL;
    return digit && isxdigit((unsigned char)digit) && at ? (int)(at - digits) : -1;
}

/* auto, white, black, drop, or a colour as #rrggbb. */
static sal_status set_alpha(sal_preprocess *p, const char *key, const char *value)
{
    static const char *const words[] = {"auto", "white", "black", NULL, "drop"};
    float colour[3] = {0};
    for (int i = 0; i < (int)(sizeof words / sizeof *words); i++)
        if (words[i] && strcmp(value, words[i]) == 0) {
            p->alpha = (sal_alpha)i;
            memset(p->alpha_colour, 0, sizeof p->alpha_colour);
            return SAL_OK;
        }
    int ok = value[0] == '#' && strlen(value) == 7;
    for (int c = 0; ok && c < 3; c++) {
        const int high = hex_of(value[1 + 2 * c]), low = hex_of(value[2 + 2 * c]);
        ok = high >= 0 && low >= 0;
        colour[c] = (float)(16 * high + low);
    }
    if (!ok)
        return bad_value(key, value, "white, black, a colour as #ff8000, drop or auto");
    p->alpha = SAL_ALPHA_COLOUR;
    memcpy(p->alpha_colour, colour, sizeof colour);
    return SAL_OK;
}

/* A whole number from 1 on; 0: it is none. */
static int32_t whole_of(const char *value, long most)
{
    char *end;
    errno = 0;
    const long number = strtol(value, &end, 10);
    return value[0] >= '0' && value[0] <= '9' && !*end && !errno && number >= 1 && number <= most ? (int32_t)number : 0;
}

static sal_status set_pages(sal_preprocess *p, const char *key, const char *value)
{
    const int32_t number = strcmp(value, "first") == 0 ? 1 : whole_of(value, INT32_MAX);
    if (number)
        p->pages = SAL_PAGES_NUMBER;
    else if (strcmp(value, "channels") == 0)
        p->pages = SAL_PAGES_CHANNELS;
    else if (strcmp(value, "max") == 0)
        p->pages = SAL_PAGES_MAX;
    else if (strcmp(value, "auto") == 0)
        p->pages = SAL_PAGES_AUTO;
    else
        return bad_value(key, value, "first, the number of a page from 1, channels, max or auto");
    p->page = number ? number - 1 : 0;
    return SAL_OK;
}

static sal_status set_depth(sal_preprocess *p, const char *key, const char *value)
{
    const int32_t bits = whole_of(value, 16);
    if (bits)
        p->depth = bits;
    else if (strcmp(value, "auto") == 0)
        p->depth = SAL_DEPTH_AUTO;
    else if (strcmp(value, "unit") == 0)
        p->depth = SAL_DEPTH_UNIT;
    else if (strcmp(value, "pillow") == 0)
        p->depth = SAL_DEPTH_PILLOW;
    else if (strcmp(value, "pillow-noted") == 0)
        p->depth = SAL_DEPTH_PILLOW_NOTED;
    else if (strcmp(value, "stored") == 0)
        p->depth = 0;
    else
        return bad_value(key, value, "a number of bits from 1 to 16, unit, auto, pillow, pillow-noted or stored");
    return SAL_OK;
}

static sal_status set_option(sal_preprocess *p, const char *key, const char *value)
{
    int word = 0;
    sal_status st = set_resizing(p, &word, key, value);
    if (word)
        return st;
    if (strcmp(key, "fit") == 0) {
        if ((st = set_word(&word, SAL_WORDS_FIT, key, value)) == SAL_OK)
            p->fit = (sal_fit)word;
        return st;
    }
    if (strcmp(key, "order") == 0) {
        if ((st = set_word(&word, SAL_WORDS_ORDER, key, value)) == SAL_OK)
            p->order = (sal_channel_order)word;
        return st;
    }
    if (strcmp(key, "crop-resize") == 0)
        return set_crop_resize(p, value);
    if (strcmp(key, "fill") == 0)
        return set_fill(p, value);
    if (strcmp(key, "scale") == 0)
        return set_scale(p, value);
    if (strcmp(key, "mean") == 0)
        return set_list(p, p->mean, key, value);
    if (strcmp(key, "std") == 0)
        return set_list(p, p->std, key, value);
    if (strcmp(key, "preset") == 0)
        return set_preset(p, value);
    if (strcmp(key, "recipe") == 0)
        return sal_preprocess_recipe(p, NULL, value);
    if (strcmp(key, "alpha-over") == 0)
        return set_alpha(p, key, value);
    if (strcmp(key, "exif") == 0) {
        if ((st = set_word(&word, SAL_WORDS_EXIF, key, value)) == SAL_OK)
            p->exif = (sal_exif)word;
        return st;
    }
    if (strcmp(key, "jpeg-dct") == 0) {
        if ((st = set_word(&word, SAL_WORDS_JPEG_DCT, key, value)) == SAL_OK)
            p->jpeg_dct = (sal_jpeg_dct)word;
        return st;
    }
    if (strcmp(key, "pages") == 0)
        return set_pages(p, key, value);
    if (strcmp(key, "depth") == 0)
        return set_depth(p, key, value);
    return sal_fail(
        SAL_ERROR_ARGUMENT,
        "preprocessing option \"%s\" (value \"%s\") is unknown; known are fit, order, crop-resize, fill, "
        "scale, mean, std, preset, recipe, resample, antialias, round, grid, crop-share, crop-round, alpha-over, "
        "exif, jpeg-dct, pages, depth",
        key, value);
}

sal_status sal_preprocess_set(sal_preprocess *p, const char *key, const char *value)
{
    sal_status st = SAL_OK;
    sal_plain_locale plain = {0};
    TRY(sal_require(p, "p", __func__));
    TRY(sal_require(key, "key", __func__));
    TRY(sal_require(value, "value", __func__));
    TRY(sal_plain_locale_enter(&plain));
    st = set_option(p, key, value);
    sal_plain_locale_leave(&plain);
done:
    return st;
}
