/* One call of a layer: whether salmap can translate it, and its translation. */
#include "import/keras/keras_model.h"

#include "import/keras/layers/layers.h"

#include <string.h>

/* Weights of 4 or 8 bits, which mean nothing without their scales. */
static int is_quantized(const json_t *config)
{
    const json_t *policy = json_object_get(config, "dtype"), *mode = json_object_get(config, "quantization_mode");
    const char *class_name = json_string_value(json_object_get(policy, "class_name"));
    const char *name = json_string_value(policy);
    return (class_name && strstr(class_name, "Quantized")) || (name && strstr(name, "_from_")) ||
           json_is_string(mode) || json_is_object(json_object_get(config, "quantization_config"));
}

static int is_in_parts(const json_t *config)
{
    return json_is_integer(json_object_get(config, "lora_rank"));
}

static int is_of_sequences(const char *class_name)
{
    static const char *const classes[] = {"AdditiveAttention",  "Attention", "Bidirectional",         "ConvLSTM2D",
                                          "Embedding",          "GRU",       "GroupedQueryAttention", "LSTM",
                                          "MultiHeadAttention", "SimpleRNN", "TimeDistributed"};
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        if (strcmp(class_name, classes[i]) == 0)
            return 1;
    return 0;
}

/* Refuses what no function of a layer could make good. handler: the layer's, or NULL; many: as its row says. */
static sal_status check(const keras_call *c, keras_handler *handler, int many)
{
    const keras_layer *layer = c->layer;
    const int model = keras_is_model(layer->class_name);
    int picked = 0;
    for (size_t i = 0; i < c->count; i++)
        picked |= c->in[i].picked;
    if (!layer->foreign && is_of_sequences(layer->class_name))
        return keras_fail(c, SAL_ERROR_UNSUPPORTED,
                          "salmap does not know recurrent layers, attention or layers for text");
    if (layer->foreign || (!model && !handler))
        return keras_fail_export(c, "salmap does not know this class of layers");
    /* Keras 3 lets those who use a network decide. */
    if (c->training && c->facts->version < 3 &&
        (model || handler == keras_layer_pass || handler == keras_layer_random_crop ||
         handler == keras_layer_batch_normalization))
        return keras_fail(c, SAL_ERROR_UNSUPPORTED,
                          "it is called with training=True, so it does not do what it learned; build the network "
                          "without that, and save it again");
    if (is_quantized(layer->config))
        return keras_fail(c, SAL_ERROR_UNSUPPORTED,
                          "its weights are quantised; save the network before it is quantised");
    if (c->count == 0)
        return keras_fail(c, SAL_ERROR_FORMAT, "it has no input");
    if (!c->weights->archive && is_in_parts(layer->config))
        return keras_fail(
            c, SAL_ERROR_UNSUPPORTED,
            "its weights are in parts (LoRA), which only a .keras file keeps together; save the network as .keras");
    if ((c->odd && many != 2) || (!model && !many && c->count != 1))
        return keras_fail_export(c, "it is called with other arguments than the one tensor that such a layer takes");
    if (picked && handler != keras_layer_stack)
        return keras_fail_export(c, "its input is a channel picked by its number; salmap can only stack such channels");
    return SAL_OK;
}

sal_status keras_translate(keras_outputs *out, keras_importer *k, const keras_call *c, int depth)
{
    sal_status st = SAL_OK;
    if (k->limits.calls++ >= k->limits.max_nodes)
        return sal_fail(SAL_ERROR_LIMIT, "more than %llu calls of layers", (unsigned long long)k->limits.max_nodes);
    int many;
    keras_handler *handler = keras_handler_find(&many, c->layer->class_name);
    TRY(keras_note_layer(&k->findings, c->layer, c->arguments));
    TRY(check(c, handler, many));
    *out = (keras_outputs){.count = 1};
    TRY(keras_is_model(c->layer->class_name) ? keras_call_model(out, k, c, depth) : handler(&out->items[0], c));
    if (c->settings->odd)
        return keras_fail(c, SAL_ERROR_UNSUPPORTED, "salmap does not understand the value of its %.60s",
                          c->settings->odd);
    for (size_t i = 0; i < out->count; i++)
        out->items[i].key = NULL;
done:
    return st;
}
