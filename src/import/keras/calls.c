/* Calls of layers: what their arguments refer to, and in which order they can be made. */
#include "import/keras/keras_model.h"

#include "base/memory.h"
#include "import/jansson_calls.h"

#include <stdio.h>
#include <string.h>

/* ---- Tensors by name ----------------------------------------------------- */

/* Keys of all layers that there are fit; others are cut. scope: a call of a model. */
enum { MOST_KEY = 2 * KERAS_MOST_NAME };

static const char *key_of(char *key, size_t size, unsigned long scope, const keras_reference *place)
{
    snprintf(key, size, "%lu\n%s\n%lld\n%lld", scope, place->layer, (long long)place->node, (long long)place->tensor);
    return key;
}

sal_status keras_put_tensor(keras_tensors *tensors, unsigned long scope, const keras_reference *place,
                            const keras_tensor *tensor)
{
    sal_status st = SAL_OK;
    char key[MOST_KEY];
    TRY(sal_grow(&tensors->items, &tensors->capacity, tensors->count + 1, sizeof *tensors->items, "the network"));
    tensors->items[tensors->count] = *tensor;
    TRY(keras_put(tensors->places, key_of(key, sizeof key, scope, place), json_integer((json_int_t)tensors->count)));
    tensors->count++;
done:
    return st;
}

const keras_tensor *keras_get_tensor(const keras_tensors *tensors, unsigned long scope, const keras_reference *place)
{
    char key[MOST_KEY];
    const json_t *found = json_object_get(tensors->places, key_of(key, sizeof key, scope, place));
    return found ? &tensors->items[json_integer_value(found)] : NULL;
}

/* ---- Arguments of calls --------------------------------------------------- */

int keras_read_reference(keras_reference *out, const json_t *value)
{
    if (!json_is_array(value) || json_array_size(value) < 3 || !json_is_string(json_array_get(value, 0)))
        return 0;
    *out = (keras_reference){json_string_value(json_array_get(value, 0)),
                             (int64_t)json_integer_value(json_array_get(value, 1)),
                             (int64_t)json_integer_value(json_array_get(value, 2))};
    return 1;
}

/* The inputs of a call, while they are looked for among its arguments. */
typedef struct collection {
    const keras_call *call;
    const keras_tensors *made;
    unsigned long scope;
    keras_tensor *inputs; /* KERAS_MAX_INPUTS places */
    size_t count;
    char missing[MOST_KEY]; /* the first tensor that is not there yet; empty: all are */
    int odd;                /* 1: there is something that is neither tensor nor constant */
    int only_looks;         /* 1: for what is missing; constants are not made yet */
} collection;

static sal_status add_input(collection *c, const keras_tensor *tensor)
{
    if (c->count == KERAS_MAX_INPUTS)
        return sal_fail(SAL_ERROR_LIMIT, "a layer has more than %d inputs", KERAS_MAX_INPUTS);
    c->inputs[c->count++] = *tensor;
    return SAL_OK;
}

/* A number, or a list of numbers for the last axis. */
static sal_status collect_constant(collection *c, const json_t *value)
{
    sal_status st = SAL_OK;
    keras_tensor t = {.rank = 0};
    float *values;
    int64_t count;
    if (c->only_looks)
        return SAL_OK;
    TRY(keras_numbers(&values, &count, c->call, value));
    if (count == 0)
        return keras_fail(c->call, SAL_ERROR_FORMAT, "it is called with a constant that has no value");
    TRY(keras_floats(&t.name, c->call, values, count == 1 ? -1 : count));
    TRY(add_input(c, &t));
done:
    return st;
}

static sal_status collect_one(collection *c, const keras_reference *r)
{
    const keras_tensor *tensor = keras_get_tensor(c->made, c->scope, r);
    if (!tensor) {
        if (!c->missing[0])
            key_of(c->missing, sizeof c->missing, c->scope, r);
        return SAL_OK;
    }
    return add_input(c, tensor);
}

static int is_of_numbers(const json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *value = json_array_get(array, i);
        if (!json_is_number(value) && !(json_is_array(value) && is_of_numbers(value)))
            return 0;
    }
    return json_array_size(array) > 0;
}

static sal_status collect(collection *c, const json_t *value, int depth);

/* Names of operands, in the order that the layers take them in. */
static const char *const operands[] = {"inputs", "x", "x1", "x2", "y", "bias"};

static int is_operand(const char *name)
{
    for (size_t i = 0; i < sizeof operands / sizeof operands[0]; i++)
        if (strcmp(name, operands[i]) == 0)
            return 1;
    return 0;
}

/* null, false, and lists or objects of null alone: the masks of several inputs. */
static int is_nothing(const json_t *value)
{
    const char *key;
    json_t *inner;
    size_t i;
    json_array_foreach(value, i, inner) if (!json_is_null(inner)) return 0;
    json_object_foreach((json_t *)(uintptr_t)value, key, inner) if (!json_is_null(inner)) return 0;
    return json_is_array(value) || json_is_object(value) || json_is_null(value) || json_is_false(value);
}

/* Whether another argument changes nothing, or is looked at elsewhere. */
static int is_idle(const char *name, const json_t *value)
{
    static const char *const elsewhere[] = {"name", "training", "slice_spec"};
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++)
        if (strcmp(name, elsewhere[i]) == 0)
            return 1;
    const char *text = json_string_value(value);
    return is_nothing(value) || (strcmp(name, "data_format") == 0 && text && strcmp(text, "NHWC") == 0) ||
           (strcmp(name, "beta") == 0 && json_number_value(value) == 1.0) ||
           (strcmp(name, "axis") == 0 && json_integer_value(value) == -1);
}

/* Arguments that are given by name. */
static sal_status collect_named(collection *c, const json_t *arguments, int depth)
{
    sal_status st = SAL_OK;
    const char *key;
    json_t *value;
    for (size_t i = 0; i < sizeof operands / sizeof operands[0]; i++) {
        value = json_object_get(arguments, operands[i]);
        if (value && !json_is_null(value))
            TRY(collect(c, value, depth + 1));
    }
    json_object_foreach((json_t *)(uintptr_t)arguments, key, value)
    {
        if (!is_operand(key) && !is_idle(key, value))
            c->odd = 1;
    }
done:
    return st;
}

/* Tensors of an argument: references, in Keras 3 objects, constants among them, and objects of any of these by name. */
static sal_status collect(collection *c, const json_t *value, int depth)
{
    sal_status st = SAL_OK;
    keras_reference r;
    const char *class_name = json_string_value(json_object_get(value, "class_name")), *key;
    json_t *inner;
    if (depth > KERAS_MAX_NESTING)
        return sal_fail(SAL_ERROR_FORMAT, "the configuration nests too deep");
    if (keras_read_reference(&r, value)) {
        /* Of Keras 2: numbers in place of tensors, and the second operand of an operator beside the first. */
        if (strcmp(r.layer, "_CONSTANT_VALUE") == 0)
            TRY(collect_constant(c, json_array_get(value, 2)));
        else
            TRY(collect_one(c, &r));
        TRY(collect_named(c, json_array_get(value, 3), depth));
    } else if (json_is_number(value) || is_of_numbers(value)) {
        TRY(collect_constant(c, value));
    } else if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++)
            TRY(collect(c, json_array_get(value, i), depth + 1));
    } else if (keras_read_reference(&r, json_object_get(json_object_get(value, "config"), "keras_history"))) {
        TRY(collect_one(c, &r));
    } else if (class_name && (strcmp(class_name, "__numpy__") == 0 || strcmp(class_name, "__tensor__") == 0)) {
        TRY(collect_constant(c, value));
    } else if (class_name) {
        c->odd = 1;
    } else {
        json_object_foreach((json_t *)(uintptr_t)value, key, inner)
        {
            const size_t before = c->count;
            TRY(collect(c, inner, depth + 1));
            for (size_t i = before; i < c->count; i++)
                c->inputs[i].key = key;
        }
    }
done:
    return st;
}

/* Whether a call says that it is one of training. In Keras 3 beside the arguments, before beside each of them. What is
 * no plain "no" may be one. */
static int says_training(const json_t *arguments)
{
    const json_t *said = json_object_get(json_object_get(arguments, "kwargs"), "training");
    if (json_is_string(json_array_get(arguments, 0))) /* one reference */
        said = json_object_get(json_array_get(arguments, 3), "training");
    for (size_t i = 0; i < json_array_size(arguments) && !said; i++)
        said = json_object_get(json_array_get(json_array_get(arguments, i), 3), "training");
    return said && !json_is_null(said) && !json_is_false(said) &&
           !(json_is_integer(said) && json_integer_value(said) == 0);
}

/* ---- Calls in the order of their inputs ---------------------------------- */

/* Calls of a model, in a ring those that may have their inputs. The others wait, each for one tensor. */
typedef struct schedule {
    keras_importer *k;
    unsigned long scope;
    int depth;
    keras_described_call *calls;
    size_t count;
    size_t *ready; /* count places */
    size_t first;
    size_t ready_count;
    json_t *waiting;      /* a tensor's key to the calls that wait for it */
    keras_tensor *inputs; /* of the call that is tried: KERAS_MAX_INPUTS places */
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

static sal_status wait_for(schedule *s, const char *key, size_t which)
{
    sal_status st = SAL_OK;
    json_t *list = json_object_get(s->waiting, key);
    if (!list)
        TRY(keras_put(s->waiting, key, list = json_array()));
    TRY(keras_append(list, json_integer((json_int_t)which)));
done:
    return st;
}

/* In Keras 3 {"args": [...], "kwargs": {...}}, before lists of references. */
static sal_status collect_all(collection *c)
{
    sal_status st = SAL_OK;
    const json_t *all = c->call->arguments;
    TRY(collect(c, json_is_object(all) ? json_object_get(all, "args") : all, 0));
    TRY(collect_named(c, json_object_get(all, "kwargs"), 0));
done:
    return st;
}

/* Others may have waited for what a call made. */
static sal_status keep_outputs(schedule *s, const keras_described_call *made, const keras_outputs *outputs)
{
    sal_status st = SAL_OK;
    char key[MOST_KEY];
    for (size_t i = 0; i < outputs->count; i++) {
        const keras_reference place = {made->layer->name, made->node, (int64_t)i};
        TRY(keras_put_tensor(&s->k->tensors, s->scope, &place, &outputs->items[i]));
        wake(s, key_of(key, sizeof key, s->scope, &place));
    }
done:
    return st;
}

static sal_status try_call(schedule *s, size_t which)
{
    sal_status st = SAL_OK;
    keras_described_call *described = &s->calls[which];
    keras_settings settings;
    keras_outputs outputs;
    keras_call c = keras_call_of(s->k, described->layer, &settings);
    c.arguments = described->arguments;
    c.training = says_training(c.arguments);
    collection found = {.call = &c, .made = &s->k->tensors, .scope = s->scope, .inputs = s->inputs, .only_looks = 1};
    TRY(collect_all(&found));
    if (found.missing[0])
        return wait_for(s, found.missing, which);
    found = (collection){.call = &c, .made = &s->k->tensors, .scope = s->scope, .inputs = s->inputs};
    TRY(collect_all(&found));
    c.in = found.inputs;
    c.count = found.count;
    c.odd = found.odd;
    st = keras_translate(&outputs, s->k, &c, s->depth);
    if (st == SAL_ERROR_UNSUPPORTED) {
        keras_note_refusal(s->k);
        described->done = 1;
        return SAL_OK; /* what depends on it goes on waiting */
    }
    TRY(st);
    described->done = 1;
    TRY(keep_outputs(s, described, &outputs));
done:
    return st;
}

int keras_has_kernel(const char *class_name)
{
    return strstr(class_name, "Conv") || strcmp(class_name, "Dense") == 0 || keras_is_model(class_name);
}

sal_status keras_run_calls(keras_importer *k, unsigned long scope, int depth, keras_described_call *calls, size_t count)
{
    sal_status st = SAL_OK;
    schedule s = {.k = k, .scope = scope, .depth = depth, .calls = calls, .count = count, .waiting = json_object()};
    TRY(sal_alloc(&s.inputs, KERAS_MAX_INPUTS, sizeof *s.inputs, "the network"));
    TRY(sal_alloc(&s.ready, count, sizeof *s.ready, "the network"));
    for (size_t i = 0; i < count; i++)
        make_ready(&s, i);
    while (s.ready_count > 0) {
        const size_t which = s.ready[s.first];
        s.first = s.first + 1 < count ? s.first + 1 : 0;
        s.ready_count--;
        TRY(try_call(&s, which));
    }
    for (size_t i = 0; i < count; i++)
        if (!calls[i].done && k->refused) {
            k->kernel_follows |= keras_has_kernel(calls[i].layer->class_name);
        } else if (!calls[i].done) {
            st = sal_fail(SAL_ERROR_FORMAT,
                          "layer %.200s: no layer makes its inputs: the configuration has a cycle, or names layers "
                          "that it does not have",
                          calls[i].layer->full_name);
            goto done;
        }
done:
    json_decref(s.waiting);
    sal_free(s.ready);
    sal_free(s.inputs);
    return st;
}
