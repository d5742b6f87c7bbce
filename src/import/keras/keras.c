/* Entry of the Keras importer: where the configuration of a file is, and what becomes of it. */
#include "import/import.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/memory_copy.h"
#include "import/hdf5/weight_file.h"
#include "import/jansson_calls.h"
#include "import/keras/archive.h"
#include "import/keras/keras_model.h"
#include "import/onnx/onnx.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- The configuration --------------------------------------------------- */

/* Where path, or path without this at its end, ends. */
static size_t without(const char *path, size_t length, const char *ending)
{
    const size_t n = strlen(ending);
    return length > n && strncmp(path + length - n, ending, n) == 0 ? length - n : length;
}

static sal_status read_json(json_t **out, const char *path)
{
    sal_status st = SAL_OK;
    unsigned char *bytes = NULL;
    size_t length;
    TRY(sal_file_read(&bytes, &length, path, KERAS_MOST_JSON));
    TRY(keras_parse(out, (const char *)bytes, length, path, "the configuration"));
done:
    sal_free(bytes);
    return st;
}

/* "x.json", "x_config.json" or "x.config.json" for "x.h5" or "x.weights.h5"; and what an unpacked .keras has beside
 * "model.weights.h5". */
static sal_status read_beside(json_t **out, json_t **metadata, keras_importer *k, const char *path)
{
    static const char *const endings[] = {".json", "_config.json", ".config.json"};
    sal_status st = SAL_OK;
    char *name;
    const char *slash = strrchr(path, '/');
    const size_t folder = slash ? (size_t)(slash - path) + 1 : 0;
    const size_t whole = without(path, without(path, strlen(path), ".h5"), ".hdf5");
    const size_t lengths[2] = {whole, without(path, whole, ".weights")};
    if (sal_path_is_descriptor(path))
        return sal_fail(SAL_ERROR_UNSUPPORTED,
                        "%s: holds weights, but no network, and it was given without its folder: open it by its path, "
                        "with what model.to_json() gives beside it",
                        path);
    for (size_t i = 0; i < 2; i++)
        for (size_t e = 0; e < sizeof endings / sizeof endings[0]; e++) {
            TRY(keras_format(&name, &k->arena, "%.*s%s", (int)lengths[i], path, endings[e]));
            if (access(name, F_OK) != 0)
                continue;
            k->facts.beside = name;
            return read_json(out, name);
        }
    TRY(keras_format(&name, &k->arena, "%.*sconfig.json", (int)folder, path));
    if (strcmp(path + folder, "model.weights.h5") == 0 && access(name, F_OK) == 0) {
        k->facts.beside = name;
        TRY(read_json(out, name));
        TRY(keras_format(&name, &k->arena, "%.*smetadata.json", (int)folder, path));
        return read_json(metadata, name);
    }
    st = sal_fail(SAL_ERROR_FORMAT,
                  "%s: holds weights but no network: save the text of model.to_json() beside it, as %.*s.json", path,
                  (int)lengths[1], path);
done:
    return st;
}

static sal_status read_legacy(json_t **config, json_t **metadata, keras_importer *k, const char *path)
{
    sal_status st = SAL_OK;
    char *text = NULL;
    int has;
    TRY(keras_hdf5_text(&text, k->weights.file, "/", "model_config"));
    TRY(keras_hdf5_has(&has, k->weights.file, "model_weights"));
    k->weights.base = has ? "model_weights" : "";
    /* What save_weights of Keras 3 writes is laid out as in archives. */
    TRY(keras_hdf5_has(&has, k->weights.file, "layers"));
    if (!text && has)
        k->weights.archive = 1;
    if (text)
        TRY(keras_parse(config, text, strlen(text), path, "the configuration"));
    else
        TRY(read_beside(config, metadata, k, path));
done:
    free(text);
    return st;
}

/* "2.15.0"; where nothing says it, the form of the configuration tells 3 from what was before. */
static sal_status find_version(keras_facts *facts, const keras_weights *weights, json_t *config, const json_t *metadata)
{
    sal_status st = SAL_OK;
    char *text = NULL;
    const char *said = json_string_value(json_object_get(metadata, "keras_version"));
    if (!said)
        said = json_string_value(json_object_get(config, "keras_version")); /* to_json() of Keras 2 */
    if (!said && weights->base)
        TRY(keras_hdf5_text(&text, weights->file, "/", "keras_version"));
    if (!said && !text && weights->base && weights->base[0])
        TRY(keras_hdf5_text(&text, weights->file, weights->base, "keras_version"));
    said = said ? said : text ? text : json_object_get(config, "module") ? "3" : "2";
    snprintf(facts->release, sizeof facts->release, "%s", said);
    facts->version = facts->minor = 0;
    (void)sscanf(facts->release, "%5d.%5d", &facts->version, &facts->minor);
done:
    free(text);
    return st;
}

/* weight_names of the first layer that has any; *out: NULL where none has, else the caller's. */
static sal_status first_names(json_t **out, keras_importer *k, const char *root)
{
    sal_status st = SAL_OK;
    json_t *layers = NULL;
    char *group;
    *out = NULL;
    TRY(keras_hdf5_texts(&layers, k->weights.file, root, "layer_names"));
    for (size_t i = 0; i < json_array_size(layers) && json_array_size(*out) == 0; i++) {
        json_decref(*out);
        *out = NULL;
        TRY(keras_format(&group, &k->arena, "%s/%s", k->weights.base, json_string_value(json_array_get(layers, i))));
        TRY(keras_hdf5_texts(out, k->weights.file, group, "weight_names"));
    }
done:
    json_decref(layers);
    return st;
}

/* Keras 2 says under what it ran. Keras 1 does not, but TensorFlow's weights are called "convolution2d_1_W:0" and
 * Theano's "convolution2d_1_W". */
static sal_status find_theano(int *theano, keras_importer *k)
{
    sal_status st = SAL_OK;
    char *backend = NULL;
    json_t *names = NULL;
    *theano = 0;
    if (!k->weights.base)
        return SAL_OK;
    const char *root = k->weights.base[0] ? k->weights.base : "/";
    TRY(keras_hdf5_text(&backend, k->weights.file, "/", "backend"));
    if (!backend)
        TRY(keras_hdf5_text(&backend, k->weights.file, root, "backend"));
    if (!backend)
        TRY(first_names(&names, k, root));
    *theano = json_array_size(names) > 0 ? !strpbrk(json_string_value(json_array_get(names, 0)), ":/")
                                         : backend && strcmp(backend, "theano") == 0;
done:
    free(backend);
    json_decref(names);
    return st;
}

/* ---- The model ----------------------------------------------------------- */

static sal_status read_weight(void *context, float *out, size_t count, uint64_t index)
{
    return keras_hdf5_read(out, count, context, index);
}

static sal_status build_graph(sal_graph *graph, keras_importer *k, const char *output)
{
    SalOnnx__ValueInfo result = SAL_ONNX__VALUE_INFO__INIT;
    SalOnnx__ValueInfo *results[] = {&result}, *inputs[] = {k->graph.input};
    SalOnnx__Graph onnx = SAL_ONNX__GRAPH__INIT;
    SalOnnx__Graph *graphs[] = {&onnx};
    SalOnnx__OperatorSet opset = SAL_ONNX__OPERATOR_SET__INIT;
    SalOnnx__OperatorSet *opsets[] = {&opset};
    SalOnnx__Model model = SAL_ONNX__MODEL__INIT;
    const onnx_source source = {read_weight, k->weights.file};
    /* Output and size are chosen by now. */
    const sal_model_options options = {.limits = k->options ? k->options->limits : NULL,
                                       .layer = k->options ? k->options->layer : NULL};
    result.name = (char *)output;
    onnx.node = k->graph.nodes;
    onnx.n_node = k->graph.node_count;
    onnx.initializer = k->graph.constants;
    onnx.n_initializer = k->graph.constant_count;
    onnx.input = inputs;
    onnx.n_input = 1;
    onnx.output = results;
    onnx.n_output = 1;
    opset.version = 20;
    model.opset_import = opsets;
    model.n_opset_import = 1;
    model.graph = graphs;
    model.n_graph = 1;
    sal_status st = onnx_build(graph, &model, &source, k->facts.path, &options);
    if (st == SAL_OK)
        graph->channels_last = !k->facts.channels_first;
    return st;
}

static sal_status build(sal_graph *graph, keras_importer *k, json_t *config)
{
    const char *output;
    sal_status st = keras_model_build(&output, k, config);
    if (st == SAL_OK)
        return build_graph(graph, k, output);
    return sal_fail(st, "%s: %s", k->facts.path, keras_without_path(&k->facts, sal_last_error()));
}

/* Read a moment ago. */
static sal_status note_beside(sal_graph *graph, const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? sal_graph_add_data_file(graph, path, &info)
                                  : sal_fail(SAL_ERROR_IO, "%s: cannot stat: %s", path, strerror(errno));
}

static sal_status read_keras(sal_graph *graph, sal_import_info *info, const char *path,
                             const sal_model_options *options, int zip)
{
    sal_status st = SAL_OK;
    keras_importer k;
    json_t *config = NULL, *metadata = NULL;
    sal_graph_init(graph);
    keras_importer_init(&k, path, options);
    k.weights.archive = zip;
    if (zip) {
        TRY(keras_archive_read(&config, &metadata, path, k.limits.max_bytes));
        TRY(keras_hdf5_open(&k.weights.file, path, keras_archive_weights));
    } else {
        TRY(keras_hdf5_open(&k.weights.file, path, NULL));
        TRY(read_legacy(&config, &metadata, &k, path));
    }
    TRY(find_version(&k.facts, &k.weights, config, metadata));
    TRY(find_theano(&k.facts.theano, &k));
    k.facts.channels_first = keras_says_channels_first(config, 0);
    TRY(build(graph, &k, config));
    if (k.facts.beside)
        TRY(note_beside(graph, k.facts.beside));
    if (info) {
        memset(info, 0, sizeof *info);
        const char *beside = k.facts.beside, *slash = beside ? strrchr(beside, '/') : NULL;
        snprintf(info->format, sizeof info->format, "Keras %s (%s%s%s)", k.facts.release, zip ? ".keras" : "HDF5",
                 beside ? " with " : "",
                 slash    ? slash + 1
                 : beside ? beside
                          : "");
        keras_describe(info, &k.findings);
    }
done:
    if (st != SAL_OK)
        sal_graph_clear(graph);
    keras_importer_clear(&k);
    json_decref(config);
    json_decref(metadata);
    return st;
}

sal_status sal_keras_read_hdf5(sal_graph *graph, sal_import_info *info, const char *path,
                               const sal_model_options *options)
{
    return read_keras(graph, info, path, options, 0);
}

sal_status sal_keras_read_archive(sal_graph *graph, sal_import_info *info, const char *path,
                                  const sal_model_options *options)
{
    return read_keras(graph, info, path, options, 1);
}
