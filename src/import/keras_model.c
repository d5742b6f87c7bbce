/* Models: layers in order, calls of them, models within models. */
#include "import/keras_internal.h"

#include "base/memory.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sal_status build_model(keras_importer *k, const keras_layer *self, const keras_tensor *inputs,
                              size_t input_count, keras_tensor *output);

/* ---- Tensors by name ----------------------------------------------------- */

/* Keys of all layers that there are fit; others are cut. scope: a call of a model. */
enum { MOST_NAME = 1024, MOST_KEY = 2048 };

static const char *key_of(char *key, size_t size, const char *scope, const char *layer, int64_t node, int64_t tensor)
{
    snprintf(key, size, "%s\n%s\n%lld\n%lld", scope, layer, (long long)node, (long long)tensor);
    return key;
}

static sal_status put_tensor(keras_importer *k, const char *scope, const char *layer, int64_t node, int64_t index,
                             const keras_tensor *tensor)
{
    sal_status st = SAL_OK;
    char key[MOST_KEY];
    TRY(sal_grow(&k->tensors, &k->tensor_capacity, k->tensor_count + 1, sizeof *k->tensors, "the network"));
    k->tensors[k->tensor_count] = *tensor;
    json_object_set_new_nocheck(k->values, key_of(key, sizeof key, scope, layer, node, index),
                                json_integer((json_int_t)k->tensor_count++));
done:
    return st;
}

static const keras_tensor *get_tensor(const keras_importer *k, const char *scope, const char *layer, int64_t node,
                                      int64_t index)
{
    char key[MOST_KEY];
    const json_t *found = json_object_get(k->values, key_of(key, sizeof key, scope, layer, node, index));
    return found ? &k->tensors[json_integer_value(found)] : NULL;
}

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
        json_object_set_new_nocheck(k->name_lists, group, names);
    }
    *out = names;
done:
    return st;
}

/* A layer of a model. used: how many of each class there were before. */
static sal_status describe_layer(keras_layer *out, keras_importer *k, const keras_layer *model, json_t *described,
                                 json_t *used)
{
    sal_status st = SAL_OK;
    char snake[256];
    memset(out, 0, sizeof *out);
    out->class_name = json_string_value(json_object_get(described, "class_name"));
    out->config = json_object_get(described, "config");
    out->name = json_string_value(json_object_get(described, "name"));
    if (!out->name)
        out->name = json_string_value(json_object_get(out->config, "name"));
    if (!out->class_name || !out->name || (!json_is_object(out->config) && !is_model(out->class_name)))
        return sal_fail(SAL_ERROR_FORMAT, "a layer of the configuration has no class, name or config");
    if (strlen(model->full_name) + strlen(out->name) > MOST_NAME)
        return sal_fail(SAL_ERROR_LIMIT, "layer %.60s...: its name has more than %d characters", out->name, MOST_NAME);
    /* Custom classes are written as "Package>Class". */
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
    json_object_set_new_nocheck(used, snake, json_integer(before + 1));
    if (before == 0)
        TRY(keras_format(&out->group, k, "%s/layers/%s", model->group, snake));
    else
        TRY(keras_format(&out->group, k, "%s/layers/%s_%lld", model->group, snake, (long long)before));
done:
    return st;
}

static sal_status call_layer(keras_importer *k, keras_tensor *out, const keras_layer *layer, const keras_tensor *in,
                             size_t count)
{
    sal_status st = SAL_OK;
    const keras_layer *before = k->layer;
    k->layer = layer;
    /* A model that is called often, in one that is called often: a short file can ask for any number. */
    if (k->calls++ >= k->max_nodes)
        return sal_fail(SAL_ERROR_LIMIT, "more than %llu layers", (unsigned long long)k->max_nodes);
    keras_note_layer(k, layer);
    keras_handler *handler = keras_handler_find(layer->class_name);
    if (count == 0)
        st = keras_fail(k, SAL_ERROR_FORMAT, "it has no input");
    else if (is_model(layer->class_name))
        st = build_model(k, layer, in, count, out);
    else if (!handler)
        st = keras_fail_export(k, "salmap does not know this class of layers");
    else
        st = handler(k, out, in, count);
    k->layer = before;
    return st;
}

/* ---- Sequential ---------------------------------------------------------- */

static sal_status build_sequential(keras_importer *k, const keras_layer *self, const keras_tensor *inputs,
                                   size_t input_count, keras_tensor *output)
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
            keras_tensor next;
            TRY(call_layer(k, &next, layer, &at, 1));
            at = next;
        }
    }
    if (!at.name)
        st = keras_fail(k, SAL_ERROR_FORMAT, "a Sequential without layers");
    else if (wanted && strcmp(wanted, last) != 0)
        st = sal_fail(SAL_ERROR_ARGUMENT, "it has no output %.200s; its output: %s", wanted, last);
    *output = at;
done:
    json_decref(used);
    return st;
}

/* ---- Functional ---------------------------------------------------------- */

typedef struct reference {
    const char *layer;
    int64_t node;
    int64_t tensor;
} reference;

/* ["name", 0, 0] */
static int read_reference(reference *out, const json_t *value)
{
    if (!json_is_array(value) || json_array_size(value) < 3 || !json_is_string(json_array_get(value, 0)))
        return 0;
    *out =
        (reference){json_string_value(json_array_get(value, 0)), (int64_t)json_integer_value(json_array_get(value, 1)),
                    (int64_t)json_integer_value(json_array_get(value, 2))};
    return 1;
}

typedef struct collection {
    keras_importer *k;
    const char *scope;
    keras_tensor *tensors;
    size_t count;
    char missing[MOST_KEY]; /* the first tensor that is not there yet; empty: all are */
} collection;

static sal_status collect_number(collection *c, double value)
{
    const float number = (float)value;
    if (c->count == KERAS_MAX_INPUTS)
        return sal_fail(SAL_ERROR_LIMIT, "a layer has more than %d inputs", KERAS_MAX_INPUTS);
    keras_tensor *t = &c->tensors[c->count++];
    *t = (keras_tensor){.rank = 0};
    return keras_floats(&t->name, c->k, &number, -1);
}

static sal_status collect_one(collection *c, const reference *r)
{
    const keras_tensor *tensor = get_tensor(c->k, c->scope, r->layer, r->node, r->tensor);
    if (!tensor) {
        if (!c->missing[0])
            key_of(c->missing, sizeof c->missing, c->scope, r->layer, r->node, r->tensor);
        return SAL_OK;
    }
    if (c->count == KERAS_MAX_INPUTS)
        return sal_fail(SAL_ERROR_LIMIT, "a layer has more than %d inputs", KERAS_MAX_INPUTS);
    c->tensors[c->count++] = *tensor;
    return SAL_OK;
}

/* Tensors of an argument: references, in Keras 3 objects, and numbers among them. */
static sal_status collect(collection *c, const json_t *value, int depth)
{
    sal_status st = SAL_OK;
    reference r;
    if (depth > KERAS_MAX_NESTING)
        return sal_fail(SAL_ERROR_FORMAT, "the configuration nests too deep");
    if (read_reference(&r, value)) {
        /* Of Keras 2: numbers in place of tensors, and the second operand of an operator beside the first. */
        TRY(strcmp(r.layer, "_CONSTANT_VALUE") == 0 ? collect_number(c, json_number_value(json_array_get(value, 2)))
                                                    : collect_one(c, &r));
        TRY(collect(c, json_object_get(json_array_get(value, 3), "y"), depth + 1));
        return SAL_OK;
    }
    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++)
            TRY(collect(c, json_array_get(value, i), depth + 1));
    } else if (json_is_object(value)) {
        json_t *history = json_object_get(json_object_get(value, "config"), "keras_history");
        if (read_reference(&r, history))
            TRY(collect_one(c, &r));
    } else if (json_is_number(value)) {
        TRY(collect_number(c, json_number_value(value)));
    }
done:
    return st;
}

typedef struct call {
    keras_layer *layer;
    const json_t *inputs; /* of one call */
    int64_t node;
    int done;
} call;

/* Calls in a ring: those that may have their inputs. The others wait, each for one tensor. */
typedef struct schedule {
    call *calls;
    size_t count;
    size_t *ready; /* count places */
    size_t first;
    size_t ready_count;
    json_t *waiting; /* a tensor's key to the calls that wait for it */
} schedule;

static void make_ready(schedule *s, size_t which)
{
    s->ready[(s->first + s->ready_count++) % s->count] = which;
}

static void wake(schedule *s, const char *key)
{
    size_t i;
    json_t *which;
    json_array_foreach(json_object_get(s->waiting, key), i, which) make_ready(s, (size_t)json_integer_value(which));
    json_object_del(s->waiting, key);
}

static void wait_for(schedule *s, const char *key, size_t which)
{
    json_t *list = json_object_get(s->waiting, key);
    if (!list)
        json_object_set_new_nocheck(s->waiting, key, list = json_array());
    json_array_append_new(list, json_integer((json_int_t)which));
}

/* In Keras 3 {"args": [...], "kwargs": {...}}, before lists of references. */
static sal_status try_call(schedule *s, keras_importer *k, const char *scope, size_t which, keras_tensor *tensors)
{
    sal_status st = SAL_OK;
    call *c = &s->calls[which];
    collection inputs = {.k = k, .scope = scope, .tensors = tensors};
    const json_t *arguments = json_is_object(c->inputs) ? json_object_get(c->inputs, "args") : c->inputs;
    keras_tensor output;
    char key[MOST_KEY];
    TRY(collect(&inputs, arguments, 0));
    if (inputs.missing[0]) {
        wait_for(s, inputs.missing, which);
        return SAL_OK;
    }
    TRY(call_layer(k, &output, c->layer, tensors, inputs.count));
    TRY(put_tensor(k, scope, c->layer->name, c->node, 0, &output));
    c->done = 1;
    wake(s, key_of(key, sizeof key, scope, c->layer->name, c->node, 0));
done:
    return st;
}

/* Calls whatever has its inputs, until nothing is left. */
static sal_status run_calls(keras_importer *k, const char *scope, call *calls, size_t count)
{
    sal_status st = SAL_OK;
    keras_tensor *tensors = NULL;
    schedule s = {.calls = calls, .count = count, .waiting = json_object()};
    TRY(sal_alloc(&tensors, KERAS_MAX_INPUTS, sizeof *tensors, "the network"));
    TRY(sal_alloc(&s.ready, count, sizeof *s.ready, "the network"));
    for (size_t i = 0; i < count; i++)
        make_ready(&s, i);
    while (s.ready_count > 0) {
        const size_t which = s.ready[s.first];
        s.first = (s.first + 1) % count;
        s.ready_count--;
        TRY(try_call(&s, k, scope, which, tensors));
    }
    for (size_t i = 0; i < count; i++)
        if (!calls[i].done) {
            st = sal_fail(SAL_ERROR_FORMAT,
                          "layer %.200s: its inputs are nowhere made: the configuration has a cycle, or names layers "
                          "that are not there",
                          calls[i].layer->full_name);
            goto done;
        }
done:
    json_decref(s.waiting);
    sal_free(s.ready);
    sal_free(tensors);
    return st;
}

/* How a layer's calls are counted: from 0, but from 1 where making it counted as one, as for models of Keras 2: from
 * the least number that anything refers to. */
static void note_references(json_t *least, const json_t *value, int depth)
{
    reference r;
    if (depth > KERAS_MAX_NESTING)
        return;
    if (read_reference(&r, value)) {
        const json_t *known = json_object_get(least, r.layer);
        if (!known || json_integer_value(known) > r.node)
            json_object_set_new_nocheck(least, r.layer, json_integer(r.node));
        return;
    }
    for (size_t i = 0; i < json_array_size(value); i++)
        note_references(least, json_array_get(value, i), depth + 1);
    const char *key;
    json_t *inner;
    json_object_foreach((json_t *)(uintptr_t)value, key, inner) note_references(least, inner, depth + 1);
}

/* The layers and their calls. Inputs of the model are there afterwards. */
static sal_status list_calls(call **calls, size_t *count, keras_importer *k, const char *scope, const keras_layer *self,
                             const keras_tensor *inputs, size_t input_count)
{
    sal_status st = SAL_OK;
    json_t *layers = layers_of(self->config), *used = json_object(), *least = json_object();
    size_t capacity = 0, given = 0;
    note_references(least, json_object_get(self->config, "output_layers"), 0);
    for (size_t i = 0; i < json_array_size(layers); i++)
        note_references(least, json_object_get(json_array_get(layers, i), "inbound_nodes"), 0);
    for (size_t i = 0; i < json_array_size(layers); i++) {
        json_t *described = json_array_get(layers, i), *nodes = json_object_get(described, "inbound_nodes");
        keras_layer *layer;
        TRY(keras_alloc(&layer, k, 1, sizeof *layer));
        TRY(describe_layer(layer, k, self, described, used));
        if (strcmp(layer->class_name, "InputLayer") == 0) {
            keras_tensor tensor;
            if (input_count == 0)
                TRY(keras_make_input(k, &tensor, layer->name, keras_shape_of_layer(layer->config)));
            else if (given < input_count)
                tensor = inputs[given++];
            else
                return keras_fail(k, SAL_ERROR_FORMAT, "it has more inputs than it is given");
            TRY(put_tensor(k, scope, layer->name, 0, 0, &tensor));
            continue;
        }
        for (size_t n = 0; n < json_array_size(nodes); n++) {
            TRY(sal_grow(calls, &capacity, *count + 1, sizeof **calls, "the network"));
            const int64_t first = (int64_t)json_integer_value(json_object_get(least, layer->name));
            (*calls)[(*count)++] = (call){layer, json_array_get(nodes, n), first + (int64_t)n, 0};
        }
    }
done:
    json_decref(used);
    json_decref(least);
    return st;
}

static sal_status fail_output(const json_t *outputs, const char *wanted)
{
    char names[512] = "";
    size_t used = 0;
    reference r;
    for (size_t i = 0; i < json_array_size(outputs); i++) {
        int n = read_reference(&r, json_array_get(outputs, i))
                    ? snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", r.layer)
                    : 0;
        if (n > 0 && (size_t)n < sizeof names - used)
            used += (size_t)n;
    }
    return sal_fail(SAL_ERROR_ARGUMENT, "it has no output %.200s; its outputs: %s", wanted, names);
}

/* Of the outermost model the one that the options name, else the first; models in it have to have one. Outputs are
 * ["name", 0, 0], a list of such, or an object of such, by names of its own. */
static sal_status choose_output(reference *out, keras_importer *k, const keras_layer *self)
{
    sal_status st = SAL_OK;
    json_t *outputs = json_object_get(self->config, "output_layers"), *list = NULL, *item;
    const int outermost = self->full_name[0] == '\0';
    const char *wanted = outermost && k->options ? k->options->output : NULL, *key;
    size_t found = 0, count;
    reference r;
    if (read_reference(&r, outputs))
        list = json_pack("[O]", outputs);
    else if (json_is_array(outputs))
        list = json_incref(outputs);
    else
        list = json_array();
    json_object_foreach(outputs, key, item)
    {
        if (wanted && strcmp(key, wanted) == 0)
            found = json_array_size(list) + 1;
        json_array_append(list, item);
    }
    count = json_array_size(list);
    for (size_t i = 0; i < count && wanted && !found; i++)
        if (read_reference(&r, json_array_get(list, i)) && strcmp(r.layer, wanted) == 0)
            found = i + 1;
    if (wanted && !found)
        st = fail_output(list, wanted);
    else if (!outermost && count > 1)
        st = keras_fail(k, SAL_ERROR_UNSUPPORTED, "a model within the network has %zu outputs", count);
    else if (!read_reference(out, json_array_get(list, found ? found - 1 : 0)))
        st = sal_fail(SAL_ERROR_FORMAT, "the configuration names no output");
    else if (outermost && count > 1)
        st = keras_format(&k->output, k, "%s", out->layer);
    json_decref(list);
    return st;
}

static sal_status build_functional(keras_importer *k, const keras_layer *self, const keras_tensor *inputs,
                                   size_t input_count, keras_tensor *output)
{
    sal_status st = SAL_OK;
    call *calls = NULL;
    size_t count = 0;
    reference r;
    char scope[32];
    /* What an earlier call of the same model made is not this one's. */
    snprintf(scope, sizeof scope, "%lu", k->scopes++);
    TRY(list_calls(&calls, &count, k, scope, self, inputs, input_count));
    TRY(run_calls(k, scope, calls, count));
    TRY(choose_output(&r, k, self));
    const keras_tensor *found = get_tensor(k, scope, r.layer, r.node, r.tensor);
    if (!found)
        st = sal_fail(SAL_ERROR_FORMAT, "the output %.200s is nowhere made", r.layer);
    else
        *output = *found;
done:
    free(calls);
    return st;
}

static sal_status build_model(keras_importer *k, const keras_layer *self, const keras_tensor *inputs,
                              size_t input_count, keras_tensor *output)
{
    if (k->nesting >= KERAS_MAX_NESTING)
        return sal_fail(SAL_ERROR_LIMIT, "models within models, more than %d deep", KERAS_MAX_NESTING);
    if (!layers_of(self->config))
        return sal_fail(SAL_ERROR_FORMAT, "a model of the configuration has no layers");
    k->nesting++;
    sal_status st = strcmp(self->class_name, "Sequential") == 0
                        ? build_sequential(k, self, inputs, input_count, output)
                        : build_functional(k, self, inputs, input_count, output);
    k->nesting--;
    return st;
}

sal_status keras_model_build(const char **output, keras_importer *k, json_t *config)
{
    sal_status st = SAL_OK;
    keras_tensor tensor;
    k->channels_first = keras_says_channels_first(config, 0);
    keras_layer self = {.class_name = json_string_value(json_object_get(config, "class_name")),
                        .config = json_object_get(config, "config"),
                        .name = ""};
    char empty[] = "";
    self.full_name = self.group = empty;
    if (!self.class_name || !is_model(self.class_name))
        return keras_fail_export(k, "the network is of a class of its own, whose code the file does not hold");
    TRY(build_model(k, &self, NULL, 0, &tensor));
    *output = tensor.name;
done:
    return st;
}
