/* Entry of the Keras importer: where the configuration of a file is, and what becomes of it. */
#include "import/import.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/memory_copy.h"
#include "import/hdf5/weight_file.h"
#include "import/jansson_calls.h"
#include "import/keras/archive.h"
#include "import/keras/keras_importer.h"
#include "import/keras/keras_model.h"
#include "import/onnx/onnx.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const uint64_t default_max_bytes = (uint64_t)1 << 33, default_max_nodes = 1000000;

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
            TRY(keras_format(&name, k, "%.*s%s", (int)lengths[i], path, endings[e]));
            if (access(name, F_OK) != 0)
                continue;
            k->beside = name;
            return read_json(out, name);
        }
    TRY(keras_format(&name, k, "%.*sconfig.json", (int)folder, path));
    if (strcmp(path + folder, "model.weights.h5") == 0 && access(name, F_OK) == 0) {
        k->beside = name;
        TRY(read_json(out, name));
        TRY(keras_format(&name, k, "%.*smetadata.json", (int)folder, path));
        return read_json(metadata, name);
    }
    st = sal_fail(SAL_ERROR_FORMAT,
                  "%s: holds weights, but no network: put what model.to_json() gives beside it, as %.*s.json", path,
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
static sal_status find_version(char *out, size_t size, keras_importer *k, json_t *config, const json_t *metadata)
{
    sal_status st = SAL_OK;
    char *text = NULL;
    const char *said = json_string_value(json_object_get(metadata, "keras_version"));
    if (!said)
        said = json_string_value(json_object_get(config, "keras_version")); /* to_json() of Keras 2 */
    if (!said && k->weights.base)
        TRY(keras_hdf5_text(&text, k->weights.file, "/", "keras_version"));
    if (!said && !text && k->weights.base && k->weights.base[0])
        TRY(keras_hdf5_text(&text, k->weights.file, k->weights.base, "keras_version"));
    said = said ? said : text ? text : json_object_get(config, "module") ? "3" : "2";
    snprintf(out, size, "%s", said);
    k->version = k->minor = 0;
    (void)sscanf(out, "%5d.%5d", &k->version, &k->minor);
done:
    free(text);
    return st;
}

/* Keras 2 says under what it ran. Keras 1 does not, but TensorFlow's weights are called "convolution2d_1_W:0" and
 * Theano's "convolution2d_1_W". */
static sal_status find_theano(keras_importer *k)
{
    sal_status st = SAL_OK;
    char *backend = NULL, *group = NULL;
    json_t *layers = NULL, *names = NULL;
    if (!k->weights.base)
        return SAL_OK;
    const char *root = k->weights.base[0] ? k->weights.base : "/";
    TRY(keras_hdf5_text(&backend, k->weights.file, "/", "backend"));
    if (!backend)
        TRY(keras_hdf5_text(&backend, k->weights.file, root, "backend"));
    k->theano = backend && strcmp(backend, "theano") == 0;
    if (!backend)
        TRY(keras_hdf5_texts(&layers, k->weights.file, root, "layer_names"));
    for (size_t i = 0; i < json_array_size(layers) && json_array_size(names) == 0; i++) {
        json_decref(names);
        names = NULL;
        TRY(keras_format(&group, k, "%s/%s", k->weights.base, json_string_value(json_array_get(layers, i))));
        TRY(keras_hdf5_texts(&names, k->weights.file, group, "weight_names"));
    }
    if (json_array_size(names) > 0)
        k->theano = !strpbrk(json_string_value(json_array_get(names, 0)), ":/");
done:
    free(backend);
    json_decref(layers);
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
    SalOnnx__ValueInfo *results[] = {&result}, *inputs[] = {k->input};
    SalOnnx__Graph onnx = SAL_ONNX__GRAPH__INIT;
    SalOnnx__Graph *graphs[] = {&onnx};
    SalOnnx__OperatorSet opset = SAL_ONNX__OPERATOR_SET__INIT;
    SalOnnx__OperatorSet *opsets[] = {&opset};
    SalOnnx__Model model = SAL_ONNX__MODEL__INIT;
    const onnx_source source = {read_weight, k->weights.file};
    /* Output and size are chosen by now. */
    const sal_model_options options = {.limits = k->options ? k->options->limits : NULL};
    result.name = (char *)output;
    onnx.node = k->nodes;
    onnx.n_node = k->node_count;
    onnx.initializer = k->constants;
    onnx.n_initializer = k->constant_count;
    onnx.input = inputs;
    onnx.n_input = 1;
    onnx.output = results;
    onnx.n_output = 1;
    opset.version = 20;
    model.opset_import = opsets;
    model.n_opset_import = 1;
    model.graph = graphs;
    model.n_graph = 1;
    sal_status st = onnx_build(graph, &model, &source, k->path, &options);
    if (st == SAL_OK)
        graph->channels_last = !k->channels_first;
    return st;
}

static void init(keras_importer *k, const char *path, const sal_model_options *options)
{
    const sal_limits limits = options && options->limits ? *options->limits : (sal_limits){0};
    *k = (keras_importer){.path = path,
                          .options = options,
                          .max_bytes = limits.max_model_bytes ? limits.max_model_bytes : default_max_bytes,
                          .max_nodes = limits.max_nodes ? limits.max_nodes : default_max_nodes,
                          .values = json_object(),
                          .name_lists = json_object(),
                          .owners = json_object(),
                          .contested = json_array(),
                          .dropped = json_object()};
}

static void clear(keras_importer *k)
{
    for (size_t i = 0; i < k->block_count; i++)
        sal_free(k->blocks[i]);
    free(k->blocks);
    free(k->nodes);
    free(k->constants);
    free(k->tensors);
    json_decref(k->values);
    json_decref(k->name_lists);
    json_decref(k->owners);
    json_decref(k->contested);
    json_decref(k->dropped);
    keras_hdf5_close(k->weights.file);
}

static sal_status build(sal_graph *graph, keras_importer *k, json_t *config)
{
    const char *output;
    sal_status st = keras_model_build(&output, k, config);
    if (st == SAL_OK)
        return build_graph(graph, k, output);
    return sal_fail(st, "%s: %s", k->path, keras_without_path(k, sal_last_error()));
}

/* Read a moment ago. */
static sal_status note_beside(sal_graph *graph, const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? sal_graph_add_data_file(graph, path, &info)
                                  : sal_fail(SAL_ERROR_IO, "%s: cannot look at it: %s", path, strerror(errno));
}

static sal_status read_keras(sal_graph *graph, sal_import_info *info, const char *path,
                             const sal_model_options *options, int zip)
{
    sal_status st = SAL_OK;
    keras_importer k;
    json_t *config = NULL, *metadata = NULL;
    char version[32];
    sal_graph_init(graph);
    init(&k, path, options);
    k.weights.archive = zip;
    if (zip) {
        TRY(keras_archive_read(&config, &metadata, path, k.max_bytes));
        TRY(keras_hdf5_open(&k.weights.file, path, keras_archive_weights));
    } else {
        TRY(keras_hdf5_open(&k.weights.file, path, NULL));
        TRY(read_legacy(&config, &metadata, &k, path));
    }
    TRY(find_version(version, sizeof version, &k, config, metadata));
    TRY(find_theano(&k));
    TRY(build(graph, &k, config));
    if (k.beside)
        TRY(note_beside(graph, k.beside));
    if (info) {
        memset(info, 0, sizeof *info);
        const char *beside = k.beside && strrchr(k.beside, '/') ? strrchr(k.beside, '/') + 1 : k.beside;
        snprintf(info->format, sizeof info->format, "Keras %s (%s%s%s)", version, zip ? ".keras" : "HDF5",
                 beside ? " with " : "", beside ? beside : "");
        keras_describe(info, &k);
    }
done:
    if (st != SAL_OK)
        sal_graph_clear(graph);
    clear(&k);
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
