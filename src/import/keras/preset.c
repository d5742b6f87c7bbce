/* What is said of a Keras file beside its network: which preprocessing its layers suggest, and what was dropped. */
#include "import/keras/keras_model.h"

#include "import/import.h"
#include "import/jansson_calls.h"
#include "import/keras/layers/layers.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Layers that networks of keras.applications have and others do not, the more particular first, and what its
 * preprocess_input does for them. Those that have a version with and one without rescaling are told by that layer. */
static const struct {
    const char *layer; /* beginning of its name */
    const char *family;
    const char *preset;
} families[] = {
    {"conv2_block1_concat", "DenseNet", "imagenet"},
    {"conv2_block1_preact_bn", "ResNet v2", "tf"},
    {"conv2_block1_out", "ResNet", "caffe"},
    {"res2a_branch2a", "ResNet", "caffe"},
    {"block3_sepconv1", "Xception", "tf"},
    {"block3_conv3", "VGG", "caffe"},
    {"block35_1_mixed", "Inception-ResNet v2", "tf"},
    {"mixed0", "Inception v3", "tf"},
    {"conv_dw_1", "MobileNet", "tf"},
    {"block_1_expand", "MobileNet v2", "tf"},
    {"expanded_conv_1", "MobileNet v3", "tf"},
    {"normal_conv_1_", "NASNet", "tf"},
    {"separable_conv_1_bn_normal_left1", "NASNet", "tf"},
    {"block1a_dwconv", "EfficientNet", "raw"},
    {"block1a_project_conv", "EfficientNet v2", "tf"},
    {"convnext_", "ConvNeXt", "imagenet"},
    {"regnet", "RegNet", "imagenet"},
};

enum { FAMILIES = sizeof families / sizeof families[0] };

static int begins_with(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* What networks do to their pictures before anything that has a kernel. */
static int computes(const char *class_name)
{
    static const char *const classes[] = {"Add",           "Divide",          "GetItem",   "Multiply",
                                          "Normalization", "Rescaling",       "Stack",     "Subtract",
                                          "TFOpLambda",    "SlicingOpLambda", "TrueDivide"};
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        if (strcmp(class_name, classes[i]) == 0)
            return 1;
    return 0;
}

/* A number that only pictures in 0..255 are divided by, or have as their mean. */
static int is_pixel_value(double number)
{
    static const double least = 64.0, most = 256.0;
    return fabs(number) >= least && fabs(number) <= most;
}

/* One that nothing but samples of 0..255 is divided by. */
static int is_full(double number)
{
    return number == 255.0 || number == 256.0 || number == 127.5 || number == 128.0;
}

/* Whether a call has such a number. */
static int has_number(const json_t *call, int depth, int (*is_one)(double))
{
    const char *key;
    json_t *value;
    size_t i;
    if (json_is_number(call))
        return is_one(json_number_value(call));
    if (depth > KERAS_MAX_NESTING)
        return 0;
    json_array_foreach(call, i, value) if (has_number(value, depth + 1, is_one)) return 1;
    json_object_foreach((json_t *)(uintptr_t)call, key, value)
    {
        if (strcmp(key, "shape") != 0 && strcmp(key, "keras_history") != 0 && has_number(value, depth + 1, is_one))
            return 1;
    }
    return 0;
}

/* What a call divides by; NULL: a tensor, or it cannot be told. In Keras 3 it is the second argument; in Keras 2 it
 * lies beside the reference to the first, unless the first is a number. */
static const json_t *divisor_of(const json_t *arguments)
{
    const json_t *args = json_object_get(arguments, "args"), *kwargs = json_object_get(arguments, "kwargs");
    const json_t *divisor;
    if (json_is_object(arguments)) {
        divisor = json_array_get(args, 1);
        divisor = divisor ? divisor : json_object_get(kwargs, "x2");
    } else {
        const json_t *first = json_array_get(arguments, 0);
        const json_t *reference = json_is_string(first) ? arguments : first;
        const char *layer = json_string_value(json_array_get(reference, 0));
        divisor =
            layer && strcmp(layer, "_CONSTANT_VALUE") != 0 ? json_object_get(json_array_get(reference, 3), "y") : NULL;
    }
    return json_is_string(json_array_get(divisor, 0)) ? NULL : divisor;
}

/* Rescaling(1/255), Rescaling(1/127.5, offset=-1), x / 255: before anything else, a network that does it is given
 * 0..255. */
static int divides_pixels(const keras_layer *layer, const json_t *arguments, double scale)
{
    static const double near = 1e-6;
    static const double fulls[] = {255.0, 256.0, 127.5, 128.0};
    const char *function = json_string_value(json_object_get(layer->config, "function"));
    if (layer->foreign)
        return 0;
    if (strcmp(layer->class_name, "Rescaling") == 0)
        for (size_t i = 0; i < sizeof fulls / sizeof fulls[0]; i++)
            if (fabs(scale * fulls[i] - 1.0) < near)
                return 1;
    if (strcmp(layer->class_name, "TrueDivide") == 0 || strcmp(layer->class_name, "Divide") == 0)
        return has_number(divisor_of(arguments), 0, is_full);
    return strcmp(layer->class_name, "TFOpLambda") == 0 && function && strstr(function, "truediv") != NULL &&
           has_number(divisor_of(arguments), 0, is_full);
}

sal_status keras_note_layer(keras_findings *findings, const keras_layer *layer, const json_t *arguments)
{
    static const double least = 1e-2; /* scales of 1/255, 1/127.5 and their like are of pictures in 0..255 */
    sal_status st = SAL_OK;
    int many;
    const int is_first = !findings->convolved && !findings->prepares; /* pictures still are as they came */
    if (!layer->foreign && keras_handler_find(&many, layer->class_name) == keras_layer_pass &&
        strcmp(layer->class_name, "Identity") != 0)
        TRY(keras_put(findings->dropped, layer->class_name,
                      json_integer(json_integer_value(json_object_get(findings->dropped, layer->class_name)) + 1)));
    const double scale = json_number_value(json_object_get(layer->config, "scale"));
    int rescales = strcmp(layer->class_name, "Rescaling") == 0 && scale > 0.0 && scale < least;
    if (strstr(layer->class_name, "Conv") || strcmp(layer->class_name, "Dense") == 0)
        findings->convolved = 1;
    if (!findings->convolved && computes(layer->class_name)) {
        findings->prepares = layer->name;
        rescales = rescales || has_number(arguments, 0, is_pixel_value);
    }
    /* ConvNeXt's and RegNet's own. */
    if (strstr(layer->name, "prestem") || (begins_with(layer->name, "regnet") && strstr(layer->name, "_preprocessing")))
        rescales = 1;
    if (rescales && !findings->rescales)
        findings->rescales = layer->name;
    if (is_first && !findings->divides && divides_pixels(layer, arguments, scale))
        findings->divides = layer->name;
    for (int i = 0; i < FAMILIES; i++)
        if (begins_with(layer->name, families[i].layer) && (findings->family == 0 || i + 1 < findings->family))
            findings->family = i + 1;
done:
    return st;
}

void keras_describe(sal_import_info *info, const keras_findings *findings)
{
    const char *name;
    json_t *count;
    size_t used = 0;
    if (findings->divides)
        snprintf(info->rescales, sizeof info->rescales, "%s", findings->divides);
    if (findings->rescales) {
        info->preset = "raw";
        snprintf(info->preset_reason, sizeof info->preset_reason, "layer %.80s prepares pictures of 0 to 255",
                 findings->rescales);
    } else if (findings->prepares) {
        snprintf(info->preset_reason, sizeof info->preset_reason, "the network prepares its pictures itself (%.80s)",
                 findings->prepares);
    } else if (findings->family > 0) {
        info->preset = families[findings->family - 1].preset;
        snprintf(info->preset_reason, sizeof info->preset_reason, "the layers match %s of keras.applications",
                 families[findings->family - 1].family);
    }
    json_object_foreach(findings->dropped, name, count)
    {
        const long long times = json_integer_value(count);
        int n = times > 1 ? snprintf(info->dropped + used, sizeof info->dropped - used, "%s%lld %s", used ? ", " : "",
                                     times, name)
                          : snprintf(info->dropped + used, sizeof info->dropped - used, "%s%s", used ? ", " : "", name);
        if (n < 0 || (size_t)n >= sizeof info->dropped - used)
            break;
        used += (size_t)n;
    }
    if (findings->output)
        snprintf(info->output, sizeof info->output, "%s", findings->output);
    snprintf(info->others, sizeof info->others, "%s", findings->other_outputs);
}
