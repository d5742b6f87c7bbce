/* The classes of layers that salmap reads: one row each. */
#include "import/keras/layers/layers.h"

#include <stdlib.h>
#include <string.h>

static sal_status python_code(keras_tensor *out, const keras_call *c)
{
    (void)out;
    return keras_fail_export(c, "it is Python code, which the file does not contain in a form that salmap can run");
}

typedef struct row {
    const char *class_name;
    keras_handler *handler;
    int many; /* 1: of several tensors; 2: it looks at its call itself */
} row;

/* Sorted by class (plain byte order). */
static const row rows[] = {
    {"Activation", keras_layer_activation, 0},
    {"ActivityRegularization", keras_layer_pass, 0},
    {"Add", keras_layer_add, 1},
    {"AlphaDropout", keras_layer_pass, 0},
    {"AtrousConvolution2D", keras_layer_conv, 0},
    {"AugMix", keras_layer_pass, 0},
    {"Average", keras_layer_average, 1},
    {"AveragePooling2D", keras_layer_average_pool, 0},
    {"BatchNormalization", keras_layer_batch_normalization, 0},
    {"BatchNormalizationV1", keras_layer_batch_normalization, 0},
    {"CenterCrop", keras_layer_center_crop, 0},
    {"Concatenate", keras_layer_concatenate, 1},
    {"Conv2D", keras_layer_conv, 0},
    {"Conv2DTranspose", keras_layer_conv_transpose, 0},
    {"Convolution2D", keras_layer_conv, 0},
    {"Cropping2D", keras_layer_cropping, 0},
    {"CustomScaleLayer", keras_layer_custom_scale, 1},
    {"CutMix", keras_layer_pass, 0},
    {"Dense", keras_layer_dense, 0},
    {"DepthwiseConv2D", keras_layer_depthwise_conv, 0},
    {"Divide", keras_layer_divide, 1},
    {"Dropout", keras_layer_pass, 0},
    {"ELU", keras_layer_elu, 0},
    {"Flatten", keras_layer_flatten, 0},
    {"GaussianDropout", keras_layer_pass, 0},
    {"GaussianNoise", keras_layer_pass, 0},
    {"GetItem", keras_layer_get_item, 2},
    {"GlobalAveragePooling2D", keras_layer_global_average_pool, 0},
    {"GlobalMaxPooling2D", keras_layer_global_max_pool, 0},
    {"GroupNormalization", keras_layer_group_normalization, 0},
    {"HardSigmoid", keras_layer_function, 0},
    {"HardSilu", keras_layer_function, 0},
    {"Identity", keras_layer_pass, 0},
    {"Lambda", python_code, 0},
    {"LayerNormalization", keras_layer_layer_normalization, 0},
    {"LayerScale", keras_layer_layer_scale, 0},
    {"LeakyReLU", keras_layer_leaky_relu, 0},
    {"LogSigmoid", keras_layer_function, 0},
    {"MaxPooling2D", keras_layer_max_pool, 0},
    {"Maximum", keras_layer_maximum, 1},
    {"Merge", keras_layer_merge, 1},
    {"Minimum", keras_layer_minimum, 1},
    {"MixUp", keras_layer_pass, 0},
    {"Multiply", keras_layer_multiply, 1},
    {"Negative", keras_layer_negative, 0},
    {"Normalization", keras_layer_normalization, 0},
    {"PReLU", keras_layer_prelu, 0},
    {"Permute", keras_layer_permute, 0},
    {"RandAugment", keras_layer_pass, 0},
    {"RandomBrightness", keras_layer_pass, 0},
    {"RandomColorDegeneration", keras_layer_pass, 0},
    {"RandomColorJitter", keras_layer_pass, 0},
    {"RandomContrast", keras_layer_pass, 0},
    {"RandomCrop", keras_layer_random_crop, 0},
    {"RandomElasticTransform", keras_layer_pass, 0},
    {"RandomErasing", keras_layer_pass, 0},
    {"RandomFlip", keras_layer_pass, 0},
    {"RandomGaussianBlur", keras_layer_pass, 0},
    {"RandomGrayscale", keras_layer_pass, 0},
    {"RandomHeight", keras_layer_pass, 0},
    {"RandomHue", keras_layer_pass, 0},
    {"RandomInvert", keras_layer_pass, 0},
    {"RandomPerspective", keras_layer_pass, 0},
    {"RandomPosterization", keras_layer_pass, 0},
    {"RandomRotation", keras_layer_pass, 0},
    {"RandomSaturation", keras_layer_pass, 0},
    {"RandomSharpness", keras_layer_pass, 0},
    {"RandomShear", keras_layer_pass, 0},
    {"RandomTranslation", keras_layer_pass, 0},
    {"RandomWidth", keras_layer_pass, 0},
    {"RandomZoom", keras_layer_pass, 0},
    {"ReLU", keras_layer_relu, 0},
    {"Relu", keras_layer_function, 0},
    {"Relu6", keras_layer_function, 0},
    {"Rescaling", keras_layer_rescaling, 0},
    {"Reshape", keras_layer_reshape, 0},
    {"Resizing", keras_layer_resizing, 0},
    {"Selu", keras_layer_function, 0},
    {"SeparableConv2D", keras_layer_separable_conv, 0},
    {"SeparableConvolution2D", keras_layer_separable_conv, 0},
    {"Sigmoid", keras_layer_function, 0},
    {"Silu", keras_layer_function, 0},
    {"SlicingOpLambda", keras_layer_get_item, 2},
    {"Softmax", keras_layer_softmax, 0},
    {"Softplus", keras_layer_function, 0},
    {"Softsign", keras_layer_function, 0},
    {"SpatialDropout2D", keras_layer_pass, 0},
    {"Stack", keras_layer_stack, 1},
    {"StochasticDepth", keras_layer_pass, 0},
    {"Subtract", keras_layer_subtract, 1},
    {"SyncBatchNormalization", keras_layer_batch_normalization, 0},
    {"TFOpLambda", keras_layer_operator, 1},
    {"Tanh", keras_layer_function, 0},
    {"ThresholdedReLU", keras_layer_thresholded_relu, 0},
    {"TrueDivide", keras_layer_divide, 1},
    {"UpSampling2D", keras_layer_up_sampling, 0},
    {"ZeroPadding2D", keras_layer_zero_padding, 0},
};

static int compare(const void *key, const void *element)
{
    return strcmp(key, ((const row *)element)->class_name);
}

keras_handler *keras_handler_find(int *many, const char *class_name)
{
    const row *found = bsearch(class_name, rows, sizeof rows / sizeof rows[0], sizeof rows[0], compare);
    *many = found ? found->many : 0;
    return found ? found->handler : NULL;
}
