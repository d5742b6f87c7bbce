/* Models: layers in order, calls of them, models within models. */
#include "import/keras/keras_model.h"

#include "base/memory.h"
#include "import/hdf5/weight_file.h"
#include "import/jansson_calls.h"
#include "import/keras/keras_importer.h"
#include "import/keras/layers/layers.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sal_status build_model(keras_importer *k, const keras_layer *self, const keras_tensor *inputs,
                              size_t input_count, keras_outputs *outputs);

/* ---- Layers -------------------------------------------------------------- */

static int is_model(const char *class_name)
{
    return strcmp(class_name, "Functional") == 0 || strcmp(class_name, "Model") == 0 ||
           strcmp(class_name, "Sequential") == 0;
}

static json_t *layers_of(json_t *config)
{
    json_t *inner = json_object_get(config, "layers");
    return inner ? inner : json_is_array(config) ? config : NULL; /* Keras before 2.2.3: the list itself */
}

/* weight_names of a group, read once. */
static sal_status names_of(json_t **out, keras_importer *k, const char *group)
{
    sal_status st = SAL_OK;
    json_t *names = json_object_get(k->name_lists, group);
    if (!names) {
        TRY(keras_hdf5_texts(&names, k->weights.file, group, "weight_names"));
        if (!names)
            names = json_array();
        TRY(keras_put(k->name_lists, group, names));
    }
    *out = names;
done:
    return st;
}

/* "keras", "keras.layers", "tf_keras.src"; a '>' ends it too. */
int keras_is_own_module(const char *module)
{
    static const char *const packages[] = {"keras", "tf_keras"};
    for (size_t i = 0; i < 2; i++) {
        const size_t n = strlen(packages[i]);
        if (strncmp(module, packages[i], n) == 0 && (module[n] == '\0' || module[n] == '.' || module[n] == '>'))
            return 1;
    }
    return 0;
}

/* Those are registered as "Package>Class" or, in the newer files, are of a module that is not Keras's. Keras itself
 * registered one that way. */
int keras_is_foreign(const json_t *described, const char *class_name)
{
    if (!class_name)
        return 1;
    const json_t *module = json_object_get(described, "module");
    const char *registered = json_string_value(json_object_get(described, "registered_name"));
    const char *name = registered && strchr(registered, '>') ? registered : class_name;
    if (strcmp(name, "Custom>CustomScaleLayer") == 0)
        return 0;
    if (strchr(name, '>'))
        return 1;
    const char *text = json_string_value(module);
    return module && !(text && keras_is_own_module(text));
}

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

/* A layer of a model. used: how many of each class there were before, and true for each name. */
static sal_status describe_layer(keras_layer *out, keras_importer *k, const keras_layer *model, json_t *described,
                                 json_t *used)
{
    sal_status st = SAL_OK;
    char snake[256];
    char *name;
    /* A model that is called often, in one that is called often: a short file can ask for any number. */
    if (k->layers++ >= k->max_nodes)
        return sal_fail(SAL_ERROR_LIMIT, "more than %llu layers", (unsigned long long)k->max_nodes);
    memset(out, 0, sizeof *out);
    out->class_name = json_string_value(json_object_get(described, "class_name"));
    out->config = json_object_get(described, "config");
    out->name = json_string_value(json_object_get(described, "name"));
    if (!out->name)
        out->name = json_string_value(json_object_get(out->config, "name"));
    if (!out->class_name || !out->name || (!json_is_object(out->config) && !is_model(out->class_name)))
        return sal_fail(SAL_ERROR_FORMAT, "a layer of the configuration has no class, name or config");
    if (strlen(model->full_name) + strlen(out->name) > KERAS_MOST_NAME)
        return sal_fail(SAL_ERROR_LIMIT, "layer %.60s...: its name has more than %d characters", out->name,
                        KERAS_MOST_NAME);
    TRY(keras_format(&name, k, "name of %s", out->name)); /* no class of Keras has a blank in its name */
    if (json_object_get(used, name))
        return sal_fail(SAL_ERROR_FORMAT, "two layers of a model have the name %.200s", out->name);
    TRY(keras_put(used, name, json_true()));
    out->foreign = keras_is_foreign(described, out->class_name);
    const char *package = strrchr(out->class_name, '>');
    if (package)
        out->class_name = package + 1;
    TRY(keras_format(&out->full_name, k, "%s%s%s", model->full_name, model->full_name[0] ? "/" : "", out->name));
    if (!k->weights.archive) {
        out->nested = model->full_name[0] != '\0';
        if (out->nested)
            out->group = model->group;
        else
            TRY(keras_format(&out->group, k, "%s/%s", k->weights.base, out->name));
        TRY(names_of(&out->names, k, out->group));
        return SAL_OK;
    }
    keras_snake_case(snake, sizeof snake, out->class_name);
    const json_int_t before = json_integer_value(json_object_get(used, snake));
    TRY(keras_put(used, snake, json_integer(before + 1)));
    if (before == 0)
        TRY(keras_format(&out->group, k, "%s/layers/%s", model->group, snake));
    else
        TRY(keras_format(&out->group, k, "%s/layers/%s_%lld", model->group, snake, (long long)before));
done:
    return st;
}

sal_status keras_call_layer(keras_importer *k, keras_outputs *out, const keras_layer *layer, const keras_tensor *in,
                            size_t count)
{
    sal_status st = SAL_OK;
    const keras_layer *before = k->layer;
    k->layer = layer;
    if (k->calls++ >= k->max_nodes)
        return sal_fail(SAL_ERROR_LIMIT, "more than %llu calls of layers", (unsigned long long)k->max_nodes);
    st = keras_note_layer(k, layer);
    if (st != SAL_OK)
        return st;
    int many = 0;
    keras_handler *handler = keras_handler_find(&many, layer->class_name);
    const int model = is_model(layer->class_name), training = k->training, odd = k->odd_argument;
    int picked = 0;
    for (size_t i = 0; i < count; i++)
        picked |= in[i].picked;
    k->training = k->odd_argument = 0; /* of this call, not of those within */
    k->odd_setting = NULL;
    out->count = 1;
    out->items[0] = (keras_tensor){.rank = 0};
    if (!layer->foreign && is_of_sequences(layer->class_name))
        st = keras_fail(k, SAL_ERROR_UNSUPPORTED, "salmap has no recurrent layers, no attention and none of texts");
    else if (layer->foreign || (!model && !handler))
        st = keras_fail_export(k, "salmap does not know this class of layers");
    /* Keras 3 lets those who use a network decide. */
    else if (training && k->version < 3 &&
             (model || handler == keras_layer_pass || handler == keras_layer_random_crop ||
              handler == keras_layer_batch_normalization))
        st = keras_fail(k, SAL_ERROR_UNSUPPORTED,
                        "it is called with training=True, and then does not do what it learned");
    else if (is_quantized(layer->config))
        st = keras_fail(k, SAL_ERROR_UNSUPPORTED, "its weights are quantised; save the network as it was before");
    else if (count == 0)
        st = keras_fail(k, SAL_ERROR_FORMAT, "it has no input");
    else if (!k->weights.archive && is_in_parts(layer->config))
        st = keras_fail(k, SAL_ERROR_UNSUPPORTED,
                        "its weights are in parts (LoRA), which only a .keras file has together");
    else if ((odd && many != 2) || (!model && !many && count != 1))
        st = keras_fail_export(k, "it is called with other arguments than the one map that such a layer takes");
    else if (picked && handler != keras_layer_stack)
        st =
            keras_fail_export(k, "of a channel that is picked by its number, salmap knows how to stack it with others");
    else
        st = model ? build_model(k, layer, in, count, out) : handler(k, &out->items[0], in, count);
    if (st == SAL_OK && k->odd_setting)
        st = keras_fail(k, SAL_ERROR_UNSUPPORTED, "its %.60s is of a kind that salmap does not know", k->odd_setting);
    for (size_t i = 0; i < out->count && st == SAL_OK; i++)
        out->items[i].key = NULL;
    k->layer = before;
    return st;
}

/* ---- Sequential ---------------------------------------------------------- */

static sal_status build_sequential(keras_importer *k, const keras_layer *self, const keras_tensor *inputs,
                                   size_t input_count, keras_outputs *outputs)
{
    sal_status st = SAL_OK;
    json_t *layers = layers_of(self->config), *used = json_object();
    keras_tensor at = {.rank = 0};
    const char *wanted = self->full_name[0] == '\0' && k->options ? k->options->output : NULL, *last = "";
    if (input_count > 1) {
        st = keras_fail(k, SAL_ERROR_FORMAT, "a Sequential of %zu inputs", input_count);
        goto done;
    }
    if (input_count == 1)
        at = inputs[0];
    for (size_t i = 0; i < json_array_size(layers); i++) {
        json_t *described = json_array_get(layers, i);
        keras_layer *layer;
        TRY(keras_alloc(&layer, k, 1, sizeof *layer));
        TRY(describe_layer(layer, k, self, described, used));
        last = layer->name;
        if (!at.name) {
            json_t *shape = keras_shape_of_layer(layer->config);
            /* A model in the first place may have the input in its own first place. */
            for (json_t *first = layers_of(layer->config); !shape && first;
                 first = layers_of(json_object_get(json_array_get(first, 0), "config")))
                shape = keras_shape_of_layer(json_object_get(json_array_get(first, 0), "config"));
            TRY(keras_make_input(k, &at, layer->name,
                                 shape ? shape : json_object_get(self->config, "build_input_shape")));
        }
        if (strcmp(layer->class_name, "InputLayer") != 0) {
            keras_outputs made;
            k->call = NULL; /* it is not described */
            TRY(keras_call_layer(k, &made, layer, &at, 1));
            if (made.count != 1) {
                st = keras_fail(k, SAL_ERROR_FORMAT, "a Sequential with a model of %zu outputs in it", made.count);
                goto done;
            }
            at = made.items[0];
        }
    }
    if (!at.name)
        st = keras_fail(k, SAL_ERROR_FORMAT, "a Sequential without layers");
    else if (wanted && strcmp(wanted, last) != 0)
        st = sal_fail(SAL_ERROR_ARGUMENT, "it has no output %.200s; its output: %s", wanted, last);
    outputs->count = 1;
    outputs->items[0] = at;
done:
    json_decref(used);
    return st;
}

/* ---- Functional ---------------------------------------------------------- */

/* How a layer's calls are counted: from 0, but from 1 where making it counted as one, as for models of Keras 2: from
 * the least number that anything refers to. */
static sal_status note_references(json_t *least, const json_t *value, int depth)
{
    sal_status st = SAL_OK;
    keras_reference r;
    if (depth > KERAS_MAX_NESTING)
        return SAL_OK;
    if (keras_read_reference(&r, value)) {
        const json_t *known = json_object_get(least, r.layer);
        if (!known || json_integer_value(known) > r.node)
            TRY(keras_put(least, r.layer, json_integer(r.node)));
        return SAL_OK;
    }
    for (size_t i = 0; i < json_array_size(value); i++)
        TRY(note_references(least, json_array_get(value, i), depth + 1));
    const char *key;
    json_t *inner;
    json_object_foreach((json_t *)(uintptr_t)value, key, inner) TRY(note_references(least, inner, depth + 1));
done:
    return st;
}

static int is_of(const json_t *value, const char *layer)
{
    keras_reference r;
    return keras_read_reference(&r, value) && strcmp(r.layer, layer) == 0;
}

/* What a model's input is given: the order, or the names, are those of its input_layers and not of its layers. */
static sal_status find_input(keras_tensor *out, keras_importer *k, const keras_layer *self, const char *layer,
                             const keras_tensor *inputs, size_t count)
{
    json_t *declared = json_object_get(self->config, "input_layers"), *value;
    const char *key, *wanted = inputs[0].key ? layer : NULL;
    size_t i, at = count;
    if (is_of(declared, layer))
        at = 0;
    json_array_foreach(declared, i, value) if (is_of(value, layer)) at = i;
    json_object_foreach(declared, key, value) if (is_of(value, layer) || is_of(json_array_get(value, 0), layer))
        wanted = key;
    for (i = 0; i < count && wanted; i++)
        if (inputs[i].key && strcmp(inputs[i].key, wanted) == 0)
            at = i;
    if (at >= count)
        return keras_fail(k, SAL_ERROR_UNSUPPORTED, "it is not said what its input %.200s is given", layer);
    *out = inputs[at];
    out->key = NULL;
    return SAL_OK;
}

/* The layers and their calls. Inputs of the model are there afterwards. */
static sal_status list_calls(keras_call **calls, size_t *count, keras_importer *k, const char *scope,
                             const keras_layer *self, const keras_tensor *inputs, size_t input_count)
{
    sal_status st = SAL_OK;
    json_t *layers = layers_of(self->config), *used = json_object(), *least = json_object();
    size_t capacity = 0, given = 0;
    TRY(note_references(least, json_object_get(self->config, "output_layers"), 0));
    for (size_t i = 0; i < json_array_size(layers); i++)
        TRY(note_references(least, json_object_get(json_array_get(layers, i), "inbound_nodes"), 0));
    for (size_t i = 0; i < json_array_size(layers); i++) {
        json_t *described = json_array_get(layers, i), *nodes = json_object_get(described, "inbound_nodes");
        keras_layer *layer;
        TRY(keras_alloc(&layer, k, 1, sizeof *layer));
        TRY(describe_layer(layer, k, self, described, used));
        if (strcmp(layer->class_name, "InputLayer") == 0) {
            keras_tensor tensor;
            if (input_count == 0)
                TRY(keras_make_input(k, &tensor, layer->name, keras_shape_of_layer(layer->config)));
            else
                TRY(find_input(&tensor, k, self, layer->name, inputs, input_count));
            given++;
            TRY(keras_put_tensor(k, scope, layer->name, 0, 0, &tensor));
            continue;
        }
        for (size_t n = 0; n < json_array_size(nodes); n++) {
            TRY(sal_grow(calls, &capacity, *count + 1, sizeof **calls, "the network"));
            const int64_t first = (int64_t)json_integer_value(json_object_get(least, layer->name));
            (*calls)[(*count)++] = (keras_call){layer, json_array_get(nodes, n), first + (int64_t)n, 0};
        }
    }
    if (input_count > given)
        st = keras_fail(k, SAL_ERROR_UNSUPPORTED, "it is given %zu inputs and has %zu", input_count, given);
done:
    json_decref(used);
    json_decref(least);
    return st;
}

/* Their names, but for that of one: "main, side". */
static void list_outputs(char *names, size_t size, const json_t *outputs, size_t but)
{
    size_t used = 0;
    keras_reference r;
    names[0] = '\0';
    for (size_t i = 0; i < json_array_size(outputs); i++) {
        if (i == but || !keras_read_reference(&r, json_array_get(outputs, i)))
            continue;
        int n = snprintf(names + used, size - used, "%s%s", used ? ", " : "", r.layer);
        if (n > 0 && (size_t)n < size - used)
            used += (size_t)n;
    }
}

static sal_status fail_output(const json_t *outputs, const char *wanted)
{
    char names[512];
    list_outputs(names, sizeof names, outputs, SIZE_MAX);
    return sal_fail(SAL_ERROR_ARGUMENT, "it has no output %.200s; its outputs: %s", wanted, names);
}

/* Of the outermost model the one that the options name, else the first; of models in it all. Outputs are ["name", 0,
 * 0], a list of such, or an object of such, by names of its own. refs: KERAS_MAX_OUTPUTS places. */
static sal_status choose_outputs(keras_reference *refs, size_t *chosen, keras_importer *k, const keras_layer *self)
{
    sal_status st = SAL_OK;
    json_t *outputs = json_object_get(self->config, "output_layers"), *list = NULL, *item;
    const int outermost = self->full_name[0] == '\0';
    const char *wanted = outermost && k->options ? k->options->output : NULL, *key;
    size_t found = 0, count;
    keras_reference r;
    if (keras_read_reference(&r, outputs))
        list = json_pack("[O]", outputs);
    else if (json_is_array(outputs))
        list = json_incref(outputs);
    else
        list = json_array();
    json_object_foreach(outputs, key, item)
    {
        if (wanted && strcmp(key, wanted) == 0)
            found = json_array_size(list) + 1;
        TRY(keras_append(list, json_incref(item)));
    }
    if (!list) {
        st = sal_fail_memory(0, "the network's outputs");
        goto done;
    }
    count = json_array_size(list);
    for (size_t i = 0; i < count && wanted && !found; i++)
        if (keras_read_reference(&r, json_array_get(list, i)) && strcmp(r.layer, wanted) == 0)
            found = i + 1;
    if (wanted && !found)
        st = fail_output(list, wanted);
    else if (!outermost && count > 1 && (json_is_object(outputs) || count > KERAS_MAX_OUTPUTS))
        st = keras_fail(k, SAL_ERROR_UNSUPPORTED, "a model within the network has %zu outputs, by names or too many",
                        count);
    *chosen = outermost || count == 0 ? 1 : count;
    for (size_t i = 0; i < *chosen && st == SAL_OK; i++)
        if (!keras_read_reference(&refs[i], json_array_get(list, found ? found - 1 : i)))
            st = sal_fail(SAL_ERROR_FORMAT, "the configuration names no output");
    if (st == SAL_OK && outermost && count > 1) {
        st = keras_format(&k->output, k, "%s", refs[0].layer);
        list_outputs(k->other_outputs, sizeof k->other_outputs, list, found ? found - 1 : 0);
    }
done:
    json_decref(list);
    return st;
}

static sal_status build_functional(keras_importer *k, const keras_layer *self, const keras_tensor *inputs,
                                   size_t input_count, keras_outputs *outputs)
{
    sal_status st = SAL_OK;
    keras_call *calls = NULL;
    size_t count = 0;
    keras_reference refs[KERAS_MAX_OUTPUTS];
    char scope[32];
    /* What an earlier call of the same model made is not this one's. */
    snprintf(scope, sizeof scope, "%lu", k->scopes++);
    TRY(list_calls(&calls, &count, k, scope, self, inputs, input_count));
    TRY(keras_run_calls(k, scope, calls, count));
    TRY(choose_outputs(refs, &outputs->count, k, self));
    for (size_t i = 0; i < outputs->count; i++) {
        const keras_tensor *found = keras_get_tensor(k, scope, refs[i].layer, refs[i].node, refs[i].tensor);
        if (!found) {
            st = sal_fail(SAL_ERROR_FORMAT, "the output %.200s is nowhere made", refs[i].layer);
            goto done;
        }
        outputs->items[i] = *found;
    }
done:
    free(calls);
    return st;
}

static sal_status build_model(keras_importer *k, const keras_layer *self, const keras_tensor *inputs,
                              size_t input_count, keras_outputs *outputs)
{
    if (k->nesting >= KERAS_MAX_NESTING)
        return sal_fail(SAL_ERROR_LIMIT, "models within models, more than %d deep", KERAS_MAX_NESTING);
    if (!layers_of(self->config))
        return sal_fail(SAL_ERROR_FORMAT, "a model of the configuration has no layers");
    k->nesting++;
    sal_status st = strcmp(self->class_name, "Sequential") == 0
                        ? build_sequential(k, self, inputs, input_count, outputs)
                        : build_functional(k, self, inputs, input_count, outputs);
    k->nesting--;
    return st;
}

sal_status keras_model_build(const char **output, keras_importer *k, json_t *config)
{
    sal_status st = SAL_OK;
    keras_outputs made;
    k->channels_first = keras_says_channels_first(config, 0);
    keras_layer self = {.class_name = json_string_value(json_object_get(config, "class_name")),
                        .config = json_object_get(config, "config"),
                        .name = ""};
    char empty[] = "";
    self.full_name = self.group = empty;
    if (!self.class_name || !is_model(self.class_name) || keras_is_foreign(config, self.class_name))
        return keras_fail_export(k, "the network is of a class of its own, whose code the file does not hold");
    TRY(build_model(k, &self, NULL, 0, &made));
    TRY(keras_check_owners(k));
    if (!k->input)
        return sal_fail(SAL_ERROR_FORMAT, "the network has no input");
    *output = made.items[0].name;
done:
    return st;
}
