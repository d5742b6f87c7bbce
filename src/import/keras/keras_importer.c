/* The beginning and the end of an import. */
#include "import/keras/keras_importer.h"

#include <stdlib.h>

static const uint64_t default_max_nodes = 1000000;

void keras_importer_init(keras_importer *k, const char *path, const sal_model_options *options)
{
    const sal_limits limits = options && options->limits ? *options->limits : (sal_limits){0};
    *k =
        (keras_importer){.options = options,
                         .facts = {.path = path},
                         .limits = {.max_bytes = limits.max_model_bytes ? limits.max_model_bytes : SAL_IMPORT_MAX_BYTES,
                                    .max_nodes = limits.max_nodes ? limits.max_nodes : default_max_nodes},
                         .weights = {.name_lists = json_object(), .owners = json_object(), .contested = json_array()},
                         .tensors = {.places = json_object()},
                         .graph = {.limits = &k->limits},
                         .findings = {.dropped = json_object()}};
}

void keras_importer_clear(keras_importer *k)
{
    keras_arena_free(&k->arena);
    free(k->graph.nodes);
    free(k->graph.constants);
    free(k->tensors.items);
    json_decref(k->tensors.places);
    json_decref(k->weights.name_lists);
    json_decref(k->weights.owners);
    json_decref(k->weights.contested);
    json_decref(k->findings.dropped);
    keras_hdf5_close(k->weights.file);
}

keras_call keras_call_of(keras_importer *k, const keras_layer *layer, keras_settings *settings)
{
    *settings = (keras_settings){.config = layer->config};
    return (keras_call){.layer = layer,
                        .settings = settings,
                        .facts = &k->facts,
                        .weights = &k->weights,
                        .graph = &k->graph,
                        .arena = &k->arena};
}
