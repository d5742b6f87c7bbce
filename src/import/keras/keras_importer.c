/* The beginning and the end of an import. */
#include "import/keras/keras_importer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

void keras_note_refusal(keras_importer *k)
{
    if (!k->refused)
        snprintf(k->refusal, sizeof k->refusal, "%s", keras_without_path(&k->facts, sal_last_error()));
    k->refused = 1;
}

/* The last layers with a kernel that were written: "dense_1, conv2d_7". */
static void list_layers(char *names, size_t size, const keras_importer *k)
{
    enum { MOST = 3 };
    size_t used = 0, count = 0;
    names[0] = '\0';
    for (size_t i = k->graph.node_count; i-- > 0 && count < MOST;) {
        const SalOnnx__Node *node = k->graph.nodes[i];
        if (strcmp(node->op_type, "MatMul") != 0 && strcmp(node->op_type, "Conv") != 0)
            continue;
        int n = snprintf(names + used, size - used, "%s%.150s", count++ ? ", " : "", node->name);
        used += n > 0 && (size_t)n < size - used ? (size_t)n : 0;
        if (strcmp(node->op_type, "Conv") == 0) /* earlier ones are no heads */
            break;
    }
}

sal_status keras_refuse(const keras_importer *k)
{
    char names[512];
    list_layers(names, sizeof names, k);
    return k->kernel_follows || !names[0]
               ? sal_fail(SAL_ERROR_UNSUPPORTED, "%s", k->refusal)
               : sal_fail(SAL_ERROR_UNSUPPORTED, "%s; or leave off what follows a layer, with --layer NAME: %s",
                          k->refusal, names);
}
