/* Models: layers in order, calls of them, models within models. */
#include "import/keras/keras_model.h"

#include "base/memory.h"
#include "import/hdf5/weight_file.h"
#include "import/jansson_calls.h"
#include "import/keras/class_names.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Layers -------------------------------------------------------------- */

int keras_is_model(const char *class_name)
{
    return strcmp(class_name, "Functional") == 0 || strcmp(class_name, "Model") == 0 ||
           strcmp(class_name, "Sequential") == 0;
}

static json_t *layers_of(json_t *config)
{
    json_t *inner = json_object_get(config, "layers");
    return inner ? inner : json_is_array(config) ? config : NULL; /* Keras before 2.2.3: the list itself */
}

/* A layer of a model. used: how many of each class there were before, and true for each name. */
static sal_status describe_layer(keras_layer *out, keras_importer *k, const keras_layer *model, json_t *described,
                                 json_t *used)
{
    sal_status st = SAL_OK;
    char snake[256];
    char *name;
    /* A model that is called often, in one that is called often: a short file can ask for any number. */
    if (k->limits.layers++ >= k->limits.max_nodes)
        return sal_fail(SAL_ERROR_LIMIT, "more than %llu layers", (unsigned long long)k->limits.max_nodes);
    memset(out, 0, sizeof *out);
    out->class_name = json_string_value(json_object_get(described, "class_name"));
    out->config = json_object_get(described, "config");
    out->name = json_string_value(json_object_get(described, "name"));
    if (!out->name)
        out->name = json_string_value(json_object_get(out->config, "name"));
    if (!out->class_name || !out->name || (!json_is_object(out->config) && !keras_is_model(out->class_name)))
        return sal_fail(SAL_ERROR_FORMAT, "a layer of the configuration has no class, name or config");
    if (strlen(model->full_name) + strlen(out->name) > KERAS_MOST_NAME)
        return sal_fail(SAL_ERROR_LIMIT, "layer %.60s...: its name has more than %d characters", out->name,
                        KERAS_MOST_NAME);
    TRY(keras_format(&name, &k->arena, "name of %s", out->name)); /* no class of Keras has a blank in its name */
    if (json_object_get(used, name))
        return sal_fail(SAL_ERROR_FORMAT, "two layers of a model have the name %.200s", out->name);
    TRY(keras_put(used, name, json_true()));
    out->foreign = keras_is_foreign(described, out->class_name);
    const char *package = strrchr(out->class_name, '>');
    if (package)
        out->class_name = package + 1;
    TRY(keras_format(&out->full_name, &k->arena, "%s%s%s", model->full_name, model->full_name[0] ? "/" : "",
                     out->name));
    if (!k->weights.archive) {
        out->nested = !model->outermost;
        if (out->nested)
            out->group = model->group;
        else
            TRY(keras_format(&out->group, &k->arena, "%s/%s", k->weights.base, out->name));
        TRY(keras_weight_names(&out->names, &k->weights, out->group));
        return SAL_OK;
    }
    keras_snake_case(snake, sizeof snake, out->class_name);
    const json_int_t before = json_integer_value(json_object_get(used, snake));
    TRY(keras_put(used, snake, json_integer(before + 1)));
    if (before == 0)
        TRY(keras_format(&out->group, &k->arena, "%s/layers/%s", model->group, snake));
    else
        TRY(keras_format(&out->group, &k->arena, "%s/layers/%s_%lld", model->group, snake, (long long)before));
done:
    return st;
}

/* ---- Sequential ---------------------------------------------------------- */

/* The shape of a Sequential's input, as its first layer says it, or else its own configuration. */
static json_t *shape_of_sequential(const keras_layer *self, const keras_layer *first)
{
    json_t *shape = keras_shape_of_layer(first->config);
    /* A model in the first place may have the input in its own first place. */
    for (json_t *inner = layers_of(first->config); !shape && inner;
         inner = layers_of(json_object_get(json_array_get(inner, 0), "config")))
        shape = keras_shape_of_layer(json_object_get(json_array_get(inner, 0), "config"));
    return shape ? shape : json_object_get(self->config, "build_input_shape");
}

/* x through a layer of a Sequential, which does not describe the call. */
static sal_status call_next(keras_tensor *x, keras_importer *k, const keras_call *self, const keras_layer *layer,
                            int depth)
{
    keras_settings settings;
    keras_outputs made;
    keras_call c = keras_call_of(k, layer, &settings);
    c.in = x;
    c.count = 1;
    sal_status st = keras_translate(&made, k, &c, depth);
    if (st != SAL_OK)
        return st;
    if (made.count != 1)
        return keras_fail(self, SAL_ERROR_FORMAT,
                          "a Sequential contains a model with %zu outputs; each of its layers must have one",
                          made.count);
    *x = made.items[0];
    return SAL_OK;
}

static int is_layer_with_kernel(const json_t *described)
{
    const char *class_name = json_string_value(json_object_get(described, "class_name"));
    return class_name && keras_has_kernel(class_name);
}

static sal_status build_sequential(keras_outputs *outputs, keras_importer *k, const keras_call *c, int depth)
{
    sal_status st = SAL_OK;
    const keras_layer *self = c->layer;
    json_t *layers = layers_of(self->config), *used = json_object();
    keras_tensor at = {.rank = 0};
    const char *wanted = self->outermost && k->options ? k->options->output : NULL, *last = "";
    if (c->count > 1) {
        st = keras_fail(c, SAL_ERROR_FORMAT, "a Sequential is called with %zu inputs; it takes one", c->count);
        goto done;
    }
    if (c->count == 1)
        at = c->in[0];
    for (size_t i = 0; i < json_array_size(layers); i++) {
        keras_layer *layer;
        TRY(keras_alloc(&layer, &k->arena, 1, sizeof *layer));
        TRY(describe_layer(layer, k, self, json_array_get(layers, i), used));
        last = layer->name;
        if (!at.name)
            TRY(keras_make_input(&at, c, k->options, layer->name, shape_of_sequential(self, layer)));
        if (strcmp(layer->class_name, "InputLayer") == 0)
            continue;
        st = call_next(&at, k, c, layer, depth);
        if (st == SAL_ERROR_UNSUPPORTED) {
            keras_note_refusal(k);
            for (i++; i < json_array_size(layers); i++)
                k->kernel_follows |= is_layer_with_kernel(json_array_get(layers, i));
            st = keras_refuse(k);
        }
        TRY(st);
    }
    if (!at.name)
        st = keras_fail(c, SAL_ERROR_FORMAT, "a Sequential has no layers");
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
static sal_status find_input(keras_tensor *out, const keras_call *c, const char *layer)
{
    json_t *declared = json_object_get(c->layer->config, "input_layers"), *value;
    const char *key, *wanted = c->in[0].key ? layer : NULL;
    size_t i, at = c->count;
    if (is_of(declared, layer))
        at = 0;
    json_array_foreach(declared, i, value) if (is_of(value, layer)) at = i;
    json_object_foreach(declared, key, value) if (is_of(value, layer) || is_of(json_array_get(value, 0), layer))
        wanted = key;
    for (i = 0; i < c->count && wanted; i++)
        if (c->in[i].key && strcmp(c->in[i].key, wanted) == 0)
            at = i;
    if (at >= c->count)
        return keras_fail(c, SAL_ERROR_UNSUPPORTED, "its call does not say which tensor its input %.200s gets", layer);
    *out = c->in[at];
    out->key = NULL;
    return SAL_OK;
}

/* The layers and their calls. Inputs of the model are there afterwards. */
static sal_status list_calls(keras_described_call **calls, size_t *count, keras_importer *k, unsigned long scope,
                             const keras_call *c)
{
    sal_status st = SAL_OK;
    json_t *layers = layers_of(c->layer->config), *used = json_object(), *least = json_object();
    size_t capacity = 0, given = 0;
    TRY(note_references(least, json_object_get(c->layer->config, "output_layers"), 0));
    for (size_t i = 0; i < json_array_size(layers); i++)
        TRY(note_references(least, json_object_get(json_array_get(layers, i), "inbound_nodes"), 0));
    for (size_t i = 0; i < json_array_size(layers); i++) {
        json_t *described = json_array_get(layers, i), *nodes = json_object_get(described, "inbound_nodes");
        keras_layer *layer;
        TRY(keras_alloc(&layer, &k->arena, 1, sizeof *layer));
        TRY(describe_layer(layer, k, c->layer, described, used));
        if (strcmp(layer->class_name, "InputLayer") == 0) {
            keras_tensor tensor;
            if (c->count == 0)
                TRY(keras_make_input(&tensor, c, k->options, layer->name, keras_shape_of_layer(layer->config)));
            else
                TRY(find_input(&tensor, c, layer->name));
            given++;
            TRY(keras_put_tensor(&k->tensors, scope, &(keras_reference){layer->name, 0, 0}, &tensor));
            continue;
        }
        for (size_t n = 0; n < json_array_size(nodes); n++) {
            TRY(sal_grow(calls, &capacity, *count + 1, sizeof **calls, "the network"));
            const int64_t first = (int64_t)json_integer_value(json_object_get(least, layer->name));
            (*calls)[(*count)++] = (keras_described_call){layer, json_array_get(nodes, n), first + (int64_t)n, 0};
        }
    }
    if (c->count > given)
        st = keras_fail(c, SAL_ERROR_UNSUPPORTED, "it is called with %zu inputs, but has %zu", c->count, given);
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
static sal_status choose_outputs(keras_reference *refs, size_t *chosen, keras_importer *k, const keras_call *c)
{
    sal_status st = SAL_OK;
    json_t *outputs = json_object_get(c->layer->config, "output_layers"), *list = NULL, *item;
    const int outermost = c->layer->outermost;
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
        st = keras_fail(
            c, SAL_ERROR_UNSUPPORTED,
            "a model within the network has %zu outputs, which are named or more than %d; salmap needs a plain list",
            count, KERAS_MAX_OUTPUTS);
    *chosen = outermost || count == 0 ? 1 : count;
    for (size_t i = 0; i < *chosen && st == SAL_OK; i++)
        if (!keras_read_reference(&refs[i], json_array_get(list, found ? found - 1 : i)))
            st = sal_fail(SAL_ERROR_FORMAT, "the configuration names no output");
    if (st == SAL_OK && outermost && count > 1) {
        char *output;
        TRY(keras_format(&output, &k->arena, "%s", refs[0].layer));
        k->findings.output = output;
        list_outputs(k->findings.other_outputs, sizeof k->findings.other_outputs, list, found ? found - 1 : 0);
    }
done:
    json_decref(list);
    return st;
}

static sal_status build_functional(keras_outputs *outputs, keras_importer *k, const keras_call *c, int depth)
{
    sal_status st = SAL_OK;
    keras_described_call *calls = NULL;
    size_t count = 0;
    keras_reference refs[KERAS_MAX_OUTPUTS];
    /* What an earlier call of the same model made is not this one's. */
    const unsigned long scope = k->scopes++;
    TRY(list_calls(&calls, &count, k, scope, c));
    TRY(keras_run_calls(k, scope, depth, calls, count));
    TRY(choose_outputs(refs, &outputs->count, k, c));
    for (size_t i = 0; i < outputs->count; i++) {
        const keras_tensor *found = keras_get_tensor(&k->tensors, scope, &refs[i]);
        if (!found && k->refused) {
            st = keras_refuse(k);
            goto done;
        }
        if (!found) {
            st = sal_fail(SAL_ERROR_FORMAT, "no layer makes the output %.200s", refs[i].layer);
            goto done;
        }
        outputs->items[i] = *found;
    }
done:
    free(calls);
    return st;
}

sal_status keras_call_model(keras_outputs *out, keras_importer *k, const keras_call *c, int depth)
{
    if (depth >= KERAS_MAX_NESTING)
        return sal_fail(SAL_ERROR_LIMIT, "models are nested more than %d deep", KERAS_MAX_NESTING);
    if (!layers_of(c->layer->config))
        return sal_fail(SAL_ERROR_FORMAT, "a model of the configuration has no layers");
    return strcmp(c->layer->class_name, "Sequential") == 0 ? build_sequential(out, k, c, depth + 1)
                                                           : build_functional(out, k, c, depth + 1);
}

/* Whether the layer that is to make the scores is there. */
static int is_written(const keras_importer *k, const char *layer)
{
    for (size_t i = 0; i < k->graph.node_count && layer; i++) {
        const SalOnnx__Node *n = k->graph.nodes[i];
        if ((strcmp(n->op_type, "MatMul") == 0 || strcmp(n->op_type, "Conv") == 0) &&
            sal_node_is_of_layer(n->name, layer))
            return 1;
    }
    return 0;
}

sal_status keras_model_build(const char **output, keras_importer *k, json_t *config)
{
    sal_status st = SAL_OK;
    keras_outputs made;
    keras_settings settings;
    char empty[] = "";
    const keras_layer self = {.class_name = json_string_value(json_object_get(config, "class_name")),
                              .config = json_object_get(config, "config"),
                              .name = empty,
                              .full_name = empty,
                              .group = empty,
                              .outermost = 1};
    const keras_call c = keras_call_of(k, &self, &settings);
    if (!self.class_name || !keras_is_model(self.class_name) || keras_is_foreign(config, self.class_name))
        return keras_fail_export(&c, "the network is a class of its own, and the file does not contain its code");
    st = keras_call_model(&made, k, &c, 0);
    if (st == SAL_ERROR_UNSUPPORTED && k->refused && is_written(k, k->options ? k->options->layer : NULL)) {
        st = SAL_OK; /* the network is cut at that layer, wherever its output would be */
        made.items[0].name = k->graph.nodes[k->graph.node_count - 1]->output[0];
    }
    TRY(st);
    TRY(keras_check_owners(&k->weights, &k->arena));
    if (!k->graph.input)
        return sal_fail(SAL_ERROR_FORMAT, "the network has no input");
    *output = made.items[0].name;
done:
    return st;
}
