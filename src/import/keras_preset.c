/* What is said of a Keras file beside its network: which preprocessing its layers speak for, and what was dropped. */
#include "import/keras_layers.h"

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

void keras_note_layer(keras_importer *k, const keras_layer *layer)
{
    static const double least = 1e-2; /* scales of 1/255, 1/127.5 and their like are of pictures in 0..255 */
    int many;
    if (!layer->foreign && keras_handler_find(&many, layer->class_name) == keras_layer_pass)
        json_object_set_new_nocheck(
            k->dropped, layer->class_name,
            json_integer(json_integer_value(json_object_get(k->dropped, layer->class_name)) + 1));
    const double scale = json_number_value(json_object_get(layer->config, "scale"));
    if (strcmp(layer->class_name, "Rescaling") == 0 && scale > 0.0 && scale < least && !k->traits.rescales)
        k->traits.rescales = layer->name;
    /* ConvNeXt's and RegNet's own. */
    if (strstr(layer->name, "prestem") || strstr(layer->name, "_preprocessing"))
        k->traits.rescales = k->traits.rescales ? k->traits.rescales : layer->name;
    for (int i = 0; i < FAMILIES; i++)
        if (begins_with(layer->name, families[i].layer) && (k->traits.family == 0 || i + 1 < k->traits.family))
            k->traits.family = i + 1;
}

void keras_describe(sal_import_info *info, const keras_importer *k)
{
    const char *name;
    json_t *count;
    size_t used = 0;
    if (k->traits.rescales) {
        info->preset = "raw";
        snprintf(info->preset_reason, sizeof info->preset_reason, "layer %.80s rescales", k->traits.rescales);
    } else if (k->traits.family > 0) {
        info->preset = families[k->traits.family - 1].preset;
        snprintf(info->preset_reason, sizeof info->preset_reason, "layers of keras.applications' %s",
                 families[k->traits.family - 1].family);
    }
    json_object_foreach(k->dropped, name, count)
    {
        const long long times = json_integer_value(count);
        int n = times > 1 ? snprintf(info->dropped + used, sizeof info->dropped - used, "%s%lld %s", used ? ", " : "",
                                     times, name)
                          : snprintf(info->dropped + used, sizeof info->dropped - used, "%s%s", used ? ", " : "", name);
        if (n < 0 || (size_t)n >= sizeof info->dropped - used)
            break;
        used += (size_t)n;
    }
    if (k->output)
        snprintf(info->output, sizeof info->output, "%s", k->output);
    snprintf(info->others, sizeof info->others, "%s", k->other_outputs);
}
