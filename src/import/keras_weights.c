/* Which data sets are a layer's weights. */
#include "import/keras_internal.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

static int is_lower(char c)
{
    return islower((unsigned char)c) != 0;
}

static int is_upper(char c)
{
    return isupper((unsigned char)c) != 0;
}

/* Keras's two steps: "_" before a capital that small letters or digits follow, then between small and capital. */
void keras_snake_case(char *out, size_t size, const char *name)
{
    char first[256];
    size_t n = 0, used = 0;
    for (size_t i = 0; name[i] && n + 2 < sizeof first;) {
        first[n++] = name[i++];
        if (!is_upper(name[i]) || !(is_lower(name[i + 1]) || isdigit((unsigned char)name[i + 1])))
            continue;
        first[n++] = '_';
        first[n++] = name[i++];
        while ((is_lower(name[i]) || isdigit((unsigned char)name[i])) && n + 2 < sizeof first)
            first[n++] = name[i++];
    }
    first[n] = '\0';
    for (size_t i = 0; i < n && used + 2 < size; i++) {
        if (i > 0 && is_lower(first[i - 1]) && is_upper(first[i]))
            out[used++] = '_';
        out[used++] = (char)tolower((unsigned char)first[i]);
    }
    out[used] = '\0';
}

/* Length of a name without the "_1" that TensorFlow appends to what there is already. */
static size_t without_number(const char *name, size_t length)
{
    size_t n = length;
    while (n > 0 && isdigit((unsigned char)name[n - 1]))
        n--;
    return n > 0 && n < length && name[n - 1] == '_' ? n - 1 : length;
}

/* Last part of a weight's name, without ":0"; Keras 1 wrote "convolution2d_1_W" or "convolution2d_1_W_1". */
static int has_role(const char *weight, const char *role, size_t length)
{
    static const char *const old[][2] = {{"kernel", "_W"},
                                         {"bias", "_b"},
                                         {"gamma", "_gamma"},
                                         {"beta", "_beta"},
                                         {"moving_mean", "_running_mean"},
                                         {"moving_variance", "_running_std"},
                                         {"alpha", "_alphas"}};
    const char *slash = strrchr(weight, '/'), *last = slash ? slash + 1 : weight;
    const size_t n = strcspn(last, ":");
    if (n == length && strncmp(last, role, n) == 0)
        return 1;
    for (size_t i = 0; i < sizeof old / sizeof old[0] && !slash; i++) {
        const size_t m = strlen(old[i][1]), end = without_number(last, n);
        if (strlen(old[i][0]) == length && strncmp(old[i][0], role, length) == 0 && end > m &&
            strncmp(last + end - m, old[i][1], m) == 0)
            return 1;
    }
    return 0;
}

/* How much stands before the layer's name in that of a weight in a model's group: 0 in "conv/kernel:0" of conv, 6 in
 * "stage/conv/kernel:0"; -1: it is of another layer. */
static int distance_to_layer(const char *weight, const char *layer)
{
    const char *slash = strrchr(weight, '/');
    const size_t length = strlen(layer), before = slash ? (size_t)(slash - weight) : 0;
    if (before < length || strncmp(weight + before - length, layer, length) != 0 ||
        (before > length && weight[before - length - 1] != '/'))
        return -1;
    return (int)(before - length);
}

/* The nearest weight of a role. Two that are as near are told apart by nothing. Errors: FORMAT. */
static sal_status find_named(const char **out, const keras_importer *k, const char *role, size_t length)
{
    const keras_layer *layer = k->layer;
    int nearest = INT_MAX, doubtful = 0;
    *out = NULL;
    for (size_t i = 0; i < json_array_size(layer->names); i++) {
        const char *weight = json_string_value(json_array_get(layer->names, i));
        const int distance = layer->nested ? distance_to_layer(weight, layer->name) : 0;
        if (distance < 0 || distance > nearest || !has_role(weight, role, length))
            continue;
        doubtful = distance == nearest && *out && layer->nested && (doubtful || strcmp(weight, *out) != 0);
        if (distance < nearest)
            *out = weight;
        nearest = distance;
    }
    if (doubtful)
        return keras_fail(k, SAL_ERROR_UNSUPPORTED, "its weights and those of another layer have names that end alike");
    return SAL_OK;
}

sal_status keras_weight_path(char **out, keras_importer *k, const char *roles, int position)
{
    const keras_layer *layer = k->layer;
    if (k->weights.archive)
        return keras_format(out, k, "%s/vars/%d", layer->group, position);
    for (const char *role = roles; *role; role += strcspn(role, "|"), role += *role == '|') {
        const char *weight;
        sal_status st = find_named(&weight, k, role, strcspn(role, "|"));
        if (st != SAL_OK || weight)
            return st == SAL_OK ? keras_format(out, k, "%s/%s", layer->group, weight) : st;
    }
    /* Weights without a name of their own, "variable_1", are told by their place. */
    for (size_t i = 0; i < json_array_size(layer->names); i++) {
        const char *weight = json_string_value(json_array_get(layer->names, i));
        if ((!layer->nested || distance_to_layer(weight, layer->name) >= 0) && strstr(weight, "ariable") &&
            position-- == 0)
            return keras_format(out, k, "%s/%s", layer->group, weight);
    }
    return keras_fail(k, SAL_ERROR_FORMAT, "the file has no %.*s of it", (int)strcspn(roles, "|"), roles);
}
