/* Recipes in JSON: Hugging Face's preprocessor_config.json, and the pretrained_cfg of timm. */
#include "image/fit.h"
#include "image/recipe.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

typedef struct reader {
    sal_preprocess *p;
    sal_recipe_file *out;
    json_t *from;
    const char *path;
} reader;

static sal_status cannot(const reader *r, const char *key, const char *why)
{
    return sal_fail(SAL_ERROR_UNSUPPORTED, "%s: %s: %s", r->path, key, why);
}

static const json_t *get(const reader *r, const char *key)
{
    const json_t *value = json_object_get(r->from, key);
    return json_is_null(value) ? NULL : value;
}

/* Whether something is done: as its switch says (null is false, as in Python), or without one where what it needs is
 * there. */
static sal_status is_done(int *out, const reader *r, const char *key, const char *needs)
{
    const json_t *value = json_object_get(r->from, key);
    if (value && !json_is_boolean(value) && !json_is_null(value))
        return cannot(r, key, "is neither true nor false");
    *out = value ? json_is_true(value) : get(r, needs) != NULL;
    return SAL_OK;
}

static int is_side(const json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) > 0 && json_integer_value(value) <= 1 << 20;
}

static sal_status read_list(float *list, int *count, const reader *r, const char *key)
{
    const json_t *value = get(r, key);
    const size_t n = json_is_number(value) ? 1 : json_array_size(value);
    if (n < 1 || n > SAL_MAX_CHANNELS)
        return cannot(r, key, "a number or a list of numbers is wanted");
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_is_number(value) ? value : json_array_get(value, i);
        if (!json_is_number(one))
            return cannot(r, key, "a number or a list of numbers is wanted");
        list[i] = (float)json_number_value(one);
    }
    *count = (int)n;
    return SAL_OK;
}

static sal_status read_mean_std(const reader *r, const char *mean, const char *std)
{
    sal_status st = SAL_OK;
    int means, stds;
    TRY(read_list(r->p->mean, &means, r, mean));
    TRY(read_list(r->p->std, &stds, r, std));
    if (means != stds)
        return cannot(r, std, "has not as many values as the mean");
    for (int i = 0; i < stds; i++)
        if (!(r->p->std[i] > 0.0F))
            return cannot(r, std, "a value is not above 0");
    r->p->value_count = means;
done:
    return st;
}

/* ---- Hugging Face -------------------------------------------------------- */

/* {"height": H, "width": W} or one number. *given 0: it is neither. */
static void read_pair(int64_t pair[2], int *given, const json_t *value)
{
    const json_t *height = json_is_integer(value) ? value : json_object_get(value, "height");
    const json_t *width = json_is_integer(value) ? value : json_object_get(value, "width");
    *given = is_side(height) && is_side(width);
    if (!*given)
        return;
    pair[0] = json_integer_value(height);
    pair[1] = json_integer_value(width);
}

static const char *class_of(const reader *r)
{
    const char *name = json_string_value(get(r, "image_processor_type"));
    name = name ? name : json_string_value(get(r, "feature_extractor_type"));
    return name ? name : "";
}

/* A plain number as size means the shorter side for some classes and both for others. */
static sal_status find_shortest(int64_t *out, const reader *r)
{
    static const char *const both[] = {"ViT", "DeiT", "Beit"};
    const json_t *size = get(r, "size"), *edge = json_object_get(size, "shortest_edge");
    const char *name = class_of(r);
    *out = 0;
    if (is_side(edge) && json_object_size(size) == 1) {
        *out = json_integer_value(edge);
        return SAL_OK;
    }
    for (size_t i = 0; i < sizeof both / sizeof *both; i++)
        if (strncmp(name, both[i], strlen(both[i])) == 0)
            return SAL_OK;
    if (json_is_integer(size) && (strncmp(name, "CLIP", 4) == 0 || strncmp(name, "ConvNext", 8) == 0))
        *out = is_side(size) ? json_integer_value(size) : 0;
    else if (json_is_integer(size))
        return cannot(r, "size",
                      "one number means the shorter side or both, which depends on the class; write "
                      "{\"shortest_edge\": N} or {\"height\": N, \"width\": N}");
    return SAL_OK;
}

/* A side that is cut out of a larger one, of which it is `share`: the larger one, cut to a whole number. */
static sal_status read_whole(int64_t *out, const reader *r, const char *key, int64_t side, double share)
{
    if (!((float)share >= SAL_CROP_SHARE_MIN && share <= 1.0))
        return cannot(r, key, "a number from 0.001 to 1 is wanted");
    *out = (int64_t)floor((double)side / share);
    return *out > SAL_CROP_RESIZE_MAX ? cannot(r, key, "the side before the crop is out of range") : SAL_OK;
}

/* ConvNext's: below 384 pixels the middle of a larger picture, else stretched. */
static sal_status read_crop_pct(const reader *r, int64_t side)
{
    const double share = json_number_value(get(r, "crop_pct"));
    const int64_t square[] = {side, side};
    if (side >= 384)
        return sal_recipe_stretch(r->p, r->out, square, square, r->path);
    r->p->fit = SAL_FIT_CENTER_CROP;
    r->out->height = r->out->width = side;
    return read_whole(&r->p->crop_resize, r, "crop_pct", side, share);
}

static sal_status read_fit(const reader *r)
{
    sal_status st = SAL_OK;
    int crops, has_size, has_crop;
    int64_t shortest, resized[2], crop[2];
    TRY(is_done(&crops, r, "do_center_crop", "crop_size"));
    TRY(find_shortest(&shortest, r));
    read_pair(resized, &has_size, get(r, "size"));
    read_pair(crop, &has_crop, get(r, "crop_size"));
    r->p->crop_round = SAL_CROP_ROUND_DOWN;
    if (crops && !has_crop)
        return cannot(r, "crop_size", "a number, or {\"height\": H, \"width\": W}, is wanted");
    if (shortest && get(r, "crop_pct"))
        return read_crop_pct(r, shortest);
    if (shortest && !crops)
        return cannot(r, "size",
                      "with a shortest_edge alone pictures keep their shapes, which a network's input has not");
    if (shortest) {
        r->p->fit = SAL_FIT_CENTER_CROP;
        r->p->crop_resize = shortest;
        r->out->height = crop[0];
        r->out->width = crop[1];
        return SAL_OK;
    }
    if (!has_size)
        return cannot(r, "size", "neither {\"height\": H, \"width\": W} nor {\"shortest_edge\": N}");
    st = sal_recipe_stretch(r->p, r->out, resized, crops ? crop : resized, r->path);
done:
    return st;
}

/* Pillow's numbers. */
static sal_status read_resample(const reader *r)
{
    static const sal_resample kinds[] = {SAL_RESAMPLE_NEAREST, SAL_RESAMPLE_LANCZOS, SAL_RESAMPLE_BILINEAR,
                                         SAL_RESAMPLE_BICUBIC, SAL_RESAMPLE_BOX,     SAL_RESAMPLE_HAMMING};
    const json_t *value = get(r, "resample");
    const json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || number > 5)
        return cannot(r, "resample", "one of Pillow's numbers, 0 to 5, is wanted");
    r->p->resample = kinds[number];
    return SAL_OK;
}

static sal_status read_values(const reader *r)
{
    sal_status st = SAL_OK;
    int rescales, normalizes, flips;
    TRY(is_done(&rescales, r, "do_rescale", "rescale_factor"));
    TRY(is_done(&normalizes, r, "do_normalize", "image_mean"));
    TRY(is_done(&flips, r, "do_flip_channel_order", "do_flip_channel_order"));
    const json_t *factor = get(r, "rescale_factor");
    if (factor && !(json_is_number(factor) && json_number_value(factor) > 0.0))
        return cannot(r, "rescale_factor", "a number above 0 is wanted");
    /* Files from before there was a switch: values always were 0..1. */
    if (rescales || (!json_object_get(r->from, "do_rescale") && !factor))
        r->p->scale = factor ? (float)json_number_value(factor) : 1.0F / 255.0F;
    if (normalizes)
        TRY(read_mean_std(r, "image_mean", "image_std"));
    if (flips)
        r->p->order = SAL_ORDER_BGR;
done:
    return st;
}

static int is_among(const char *key, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(key, list[i]) == 0)
            return 1;
    return 0;
}

/* What is read, what says nothing of a picture's values, and the rest: fine where it is off. */
static sal_status check_keys(const reader *r)
{
    static const char *const read[] = {"do_resize",
                                       "size",
                                       "resample",
                                       "do_center_crop",
                                       "crop_size",
                                       "crop_pct",
                                       "do_rescale",
                                       "do_normalize",
                                       "image_mean",
                                       "image_std",
                                       "do_flip_channel_order",
                                       "rescale_factor",
                                       "image_processor_type",
                                       "feature_extractor_type"};
    static const char *const harmless[] = {
        "processor_class", "_valid_processor_keys", "data_format",       "input_data_format", "return_tensors",
        "device",          "disable_grouping",      "do_convert_rgb",    "auto_map",          "_name_or_path",
        "num_channels",    "transformers_version",  "default_to_square", "do_reduce_labels",  "reduce_labels",
        "image_seq_length"};
    const char *key;
    json_t *value;
    json_object_foreach(r->from, key, value)
    {
        if (is_among(key, read, sizeof read / sizeof *read))
            continue;
        if (is_among(key, harmless, sizeof harmless / sizeof *harmless) || json_is_null(value) || json_is_false(value))
            sal_recipe_ignore(r->out, key);
        else
            return cannot(r, key, "it may change the input, and salmap does not know it");
    }
    return SAL_OK;
}

static sal_status read_hugging_face(const reader *r)
{
    sal_status st = SAL_OK;
    int resizes;
    TRY(check_keys(r));
    TRY(is_done(&resizes, r, "do_resize", "size"));
    if (!resizes)
        return cannot(r, "do_resize", "pictures that are not resized do not fit a network's input");
    TRY(read_fit(r));
    TRY(read_resample(r));
    TRY(read_values(r));
done:
    return st;
}

/* ---- timm --------------------------------------------------------------- */

static sal_status read_interpolation(const reader *r)
{
    static const char *const words[] = {"nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"};
    static const sal_resample kinds[] = {SAL_RESAMPLE_NEAREST, SAL_RESAMPLE_LANCZOS, SAL_RESAMPLE_BILINEAR,
                                         SAL_RESAMPLE_BICUBIC, SAL_RESAMPLE_BOX,     SAL_RESAMPLE_HAMMING};
    const json_t *value = get(r, "interpolation");
    const char *word = value ? json_string_value(value) : "bicubic";
    for (size_t i = 0; word && i < sizeof words / sizeof *words; i++)
        if (strcmp(word, words[i]) == 0) {
            r->p->resample = kinds[i];
            return SAL_OK;
        }
    return cannot(r, "interpolation", "nearest, bilinear, bicubic, lanczos, box or hamming is wanted");
}

static sal_status read_timm_fit(const reader *r)
{
    const json_t *size = get(r, "input_size"), *pct = get(r, "crop_pct"), *mode = get(r, "crop_mode");
    const json_t *height = json_array_get(size, 1), *width = json_array_get(size, 2);
    const double share = pct ? json_number_value(pct) : 0.875;
    const char *word = mode ? json_string_value(mode) : "center";
    if (json_array_size(size) != 3 || !is_side(height) || !is_side(width))
        return cannot(r, "input_size", "[channels, height, width] is wanted");
    const int64_t crop[] = {json_integer_value(height), json_integer_value(width)};
    int64_t resized[2];
    for (int i = 0; i < 2; i++) {
        const sal_status st = read_whole(&resized[i], r, "crop_pct", crop[i], share);
        if (st != SAL_OK)
            return st;
    }
    if (word && strcmp(word, "squash") == 0)
        return sal_recipe_stretch(r->p, r->out, resized, crop, r->path);
    if (!word || strcmp(word, "center") != 0)
        return cannot(r, "crop_mode", "only center and squash are possible");
    if (crop[0] != crop[1])
        return cannot(r, "input_size", "the middle of other pictures than squares is not possible");
    r->p->fit = SAL_FIT_CENTER_CROP;
    r->p->crop_resize = resized[0];
    r->out->height = crop[0];
    r->out->width = crop[1];
    return SAL_OK;
}

static sal_status read_timm(const reader *r)
{
    static const char *const read[] = {"input_size", "interpolation", "crop_pct", "crop_mode", "mean", "std"};
    sal_status st = SAL_OK;
    const char *key;
    json_t *value;
    json_object_foreach(r->from, key, value) if (!is_among(key, read, sizeof read / sizeof *read))
        sal_recipe_ignore(r->out, key);
    TRY(read_timm_fit(r));
    TRY(read_interpolation(r));
    TRY(sal_preprocess_set(r->p, "preset", "imagenet")); /* timm's own where the file says nothing */
    if (get(r, "mean") || get(r, "std"))
        TRY(read_mean_std(r, "mean", "std"));
done:
    return st;
}

sal_status sal_recipe_read_json(sal_preprocess *p, sal_recipe_file *out, const char *text, const char *path)
{
    json_error_t error = {.line = 0};
    errno = 0; /* jansson does not always say that it was memory */
    json_t *all = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!all)
        return errno == ENOMEM ? sal_fail_memory(strlen(text), path)
                               : sal_fail(SAL_ERROR_FORMAT, "%s: line %d: %s", path, error.line, error.text);
    json_t *cfg = json_object_get(all, "pretrained_cfg");
    reader r = {p, out, cfg ? cfg : all, path};
    sal_status st;
    if (cfg || json_object_get(all, "input_size"))
        st = read_timm(&r);
    else if (get(&r, "do_resize") || get(&r, "size") || get(&r, "image_processor_type"))
        st = read_hugging_face(&r);
    else
        st = sal_fail(SAL_ERROR_FORMAT, "%s: is neither Hugging Face's preprocessor_config.json nor timm's config.json",
                      path);
    json_decref(all);
    return st;
}
