/* Which data sets are a layer's weights. */
#include "import/keras/weight_paths.h"

#include "import/jansson_calls.h"

#include <ctype.h>
#include <string.h>

sal_status keras_weight_names(json_t **out, keras_weights *weights, const char *group)
{
    sal_status st = SAL_OK;
    json_t *names = json_object_get(weights->name_lists, group);
    if (!names) {
        TRY(keras_hdf5_texts(&names, weights->file, group, "weight_names"));
        if (!names)
            names = json_array();
        TRY(keras_put(weights->name_lists, group, names));
    }
    *out = names;
done:
    return st;
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

/* How a weight of a model's group belongs to a layer in it. */
typedef struct kinship {
    int of_layer; /* 0: it is another one's; the rest is then 0 */
    size_t same;  /* how much of the layer's whole name is the end of what stands before the weight's own */
    size_t other; /* how much stands before that */
} kinship;

/* "backbone/stage/conv/kernel:0" of the layer conv that is called "top/stage/conv" as a whole: "stage/conv" is the
 * same, "backbone/" the rest. */
static kinship kinship_of(const char *weight, const keras_layer *layer)
{
    const char *slash = strrchr(weight, '/');
    const size_t before = slash ? (size_t)(slash - weight) : 0, whole = strlen(layer->full_name);
    size_t same = 0;
    for (size_t n = 1; n <= before && n <= whole && weight[before - n] == layer->full_name[whole - n]; n++)
        if ((n == before || weight[before - n - 1] == '/') && (n == whole || layer->full_name[whole - n - 1] == '/'))
            same = n;
    if (same < strlen(layer->name))
        return (kinship){0};
    return (kinship){1, same, before - same};
}

static int is_nearer(const kinship *a, const kinship *b)
{
    return a->same != b->same ? a->same > b->same : a->other < b->other;
}

/* The nearest weight of a role. Two that are as near are told apart by nothing. Errors: UNSUPPORTED. */
static sal_status find_named(const char **out, const keras_call *c, const char *role, size_t length)
{
    const keras_layer *layer = c->layer;
    kinship nearest = {0};
    int doubtful = 0;
    *out = NULL;
    for (size_t i = 0; i < json_array_size(layer->names); i++) {
        const char *weight = json_string_value(json_array_get(layer->names, i));
        const kinship found = layer->nested ? kinship_of(weight, layer) : (kinship){1, 0, 0};
        if (!found.of_layer || !has_role(weight, role, length) || (*out && is_nearer(&nearest, &found)))
            continue;
        const int as_near = *out && !is_nearer(&found, &nearest);
        doubtful = as_near && layer->nested && (doubtful || strcmp(weight, *out) != 0);
        if (!as_near)
            *out = weight;
        nearest = found;
    }
    if (doubtful)
        return keras_fail(
            c, SAL_ERROR_UNSUPPORTED,
            "cannot tell its weights from those of another layer, whose names end alike; save the network as .keras");
    return SAL_OK;
}

/* Adapted layers in a model of Keras 2 write "mean:0", without their own name: the only one of that name is meant. */
static const char *find_nameless(const keras_layer *layer, const char *role, size_t length)
{
    const char *found = NULL;
    for (size_t i = 0; i < json_array_size(layer->names); i++) {
        const char *weight = json_string_value(json_array_get(layer->names, i));
        if (!has_role(weight, role, length))
            continue;
        if (found || strchr(weight, '/'))
            return NULL;
        found = weight;
    }
    return found;
}

/* Notes whose a weight is. What two layers of different names have may be shared, or one of them has another that
 * nobody found. */
static sal_status claim(char **path, const keras_call *c, const char *weight)
{
    const keras_layer *layer = c->layer;
    sal_status st = keras_format(path, c->arena, "%s/%s", layer->group, weight);
    if (st != SAL_OK || !layer->nested)
        return st;
    const char *owner = json_string_value(json_object_get(c->weights->owners, *path));
    if (!owner)
        return keras_put(c->weights->owners, *path, json_string_nocheck(layer->full_name));
    if (strcmp(owner, layer->full_name) != 0)
        return keras_append(c->weights->contested, json_pack("{s:s, s:s, s:s, s:O}", "layer", layer->name, "group",
                                                             layer->group, "weight", weight, "names", layer->names));
    return SAL_OK;
}

/* "kernel:0" of "stage/conv/kernel:0" */
static const char *last_part(const char *weight)
{
    const char *slash = strrchr(weight, '/');
    return slash ? slash + 1 : weight;
}

sal_status keras_check_owners(const keras_weights *weights, keras_arena *arena)
{
    sal_status st = SAL_OK;
    size_t i, n;
    json_t *contested, *name;
    char *path;
    json_array_foreach(weights->contested, i, contested)
    {
        const char *weight = json_string_value(json_object_get(contested, "weight"));
        const char *layer = json_string_value(json_object_get(contested, "layer"));
        const keras_layer alike = {.name = layer, .full_name = (char *)(uintptr_t)layer};
        json_array_foreach(json_object_get(contested, "names"), n, name)
        {
            const char *other = json_string_value(name);
            if (strcmp(last_part(other), last_part(weight)) != 0 || !kinship_of(other, &alike).of_layer)
                continue;
            TRY(keras_format(&path, arena, "%s/%s", json_string_value(json_object_get(contested, "group")), other));
            if (!json_object_get(weights->owners, path))
                return sal_fail(SAL_ERROR_UNSUPPORTED,
                                "two layers called %.200s have weights whose names end alike: cannot tell which layer "
                                "owns which; save the network as .keras",
                                layer);
        }
    }
done:
    return st;
}

sal_status keras_weight_path(char **out, const keras_call *c, const char *roles, int position)
{
    const keras_layer *layer = c->layer;
    if (c->weights->archive)
        return keras_format(out, c->arena, "%s/vars/%d", layer->group, position);
    for (const char *role = roles; *role; role += strcspn(role, "|"), role += *role == '|') {
        const char *weight;
        sal_status st = find_named(&weight, c, role, strcspn(role, "|"));
        if (st == SAL_OK && !weight)
            weight = find_nameless(layer, role, strcspn(role, "|"));
        if (st != SAL_OK || weight)
            return st == SAL_OK ? claim(out, c, weight) : st;
    }
    /* Weights without a name of their own, "variable_1", are told by their place. */
    for (size_t i = 0; i < json_array_size(layer->names); i++) {
        const char *weight = json_string_value(json_array_get(layer->names, i));
        if ((!layer->nested || kinship_of(weight, layer).of_layer) && strstr(weight, "ariable") && position-- == 0)
            return keras_format(out, c->arena, "%s/%s", layer->group, weight);
    }
    return keras_fail(c, SAL_ERROR_FORMAT, "the file has no %.*s for it", (int)strcspn(roles, "|"), roles);
}
