/* Any JSON as the configuration of a Keras file, in the archive's layout and in that of HDF5: from layers to a graph,
 * and the passes on what was accepted. The weights are made up here, of whatever shape their name leads to. */
#include "graph/passes.h"
#include "import/keras_internal.h"

#include <stdlib.h>
#include <string.h>

/* In place of keras_hdf5.c: there is no file. */

sal_status keras_hdf5_open(keras_hdf5 **out, const char *path, const char *member)
{
    (void)path;
    (void)member;
    *out = NULL;
    return SAL_OK;
}

void keras_hdf5_close(keras_hdf5 *file)
{
    (void)file;
}

int keras_hdf5_has(keras_hdf5 *file, const char *object)
{
    (void)file;
    (void)object;
    return 1;
}

sal_status keras_hdf5_text(char **out, keras_hdf5 *file, const char *group, const char *attribute)
{
    (void)file;
    (void)group;
    (void)attribute;
    *out = NULL;
    return SAL_OK;
}

/* Every role that there is, of the group's own layer and of one within it. */
sal_status keras_hdf5_texts(json_t **out, keras_hdf5 *file, const char *group, const char *attribute)
{
    (void)file;
    (void)group;
    (void)attribute;
    *out = json_pack("[sssssssss]", "kernel:0", "bias:0", "gamma:0", "beta:0", "moving_mean:0", "moving_variance:0",
                     "depthwise_kernel:0", "inner/conv2d/pointwise_kernel:0", "alpha:0");
    return SAL_OK;
}

static unsigned hash(const char *text)
{
    unsigned h = 2166136261U;
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 16777619U;
    return h;
}

sal_status keras_hdf5_find(uint64_t *index, sal_shape *shape, keras_hdf5 *file, const char *dataset)
{
    const unsigned h = hash(dataset);
    (void)file;
    *index = h;
    if (strstr(dataset, "kernel") || strstr(dataset, "vars/0"))
        *shape =
            h % 3 ? (sal_shape){.rank = 4, .dim = {3, 3, 1 + h / 4 % 4, 4}} : (sal_shape){.rank = 2, .dim = {4, 3}};
    else
        *shape = h % 7 ? (sal_shape){.rank = 1, .dim = {4}} : (sal_shape){.rank = (int)(h % 5)};
    return SAL_OK;
}

sal_status keras_hdf5_read(float *out, size_t count, keras_hdf5 *file, uint64_t index)
{
    (void)file;
    for (size_t i = 0; i < count; i++)
        out[i] = (float)((index + i) % 17) / 8.0F - 1.0F;
    return SAL_OK;
}

static void build(json_t *config, int archive)
{
    const sal_model_options options = {.limits = {.max_model_bytes = (uint64_t)1 << 24, .max_nodes = 10000}};
    sal_import_info info = {.preset = NULL};
    sal_graph graph;
    keras_importer k;
    keras_importer_init(&k, "fuzz/model.keras", &options);
    k.weights = (keras_weights){.archive = archive, .base = archive ? NULL : "model_weights"};
    k.version = archive ? 3 : 2;
    sal_graph_init(&graph);
    const sal_status st = keras_build(&graph, &k, config);
    if ((st == SAL_OK && graph.count == 0) || (st != SAL_OK && strlen(sal_last_error()) == 0))
        abort();
    keras_describe(&info, &k);
    if (st == SAL_OK)
        (void)sal_passes_run(&graph);
    sal_graph_clear(&graph);
    keras_importer_clear(&k);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    json_t *config = json_loadb((const char *)bytes, size, 0, NULL);
    if (config) {
        build(config, 1);
        build(config, 0);
    }
    json_decref(config);
    return 0;
}
