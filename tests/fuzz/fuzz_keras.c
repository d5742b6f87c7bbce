/* Any JSON as a Keras model: what stands in its configuration and which weights there are. libhdf5 and libzip are left
 * out: this file has its own keras_hdf5_* and keras_archive_read, which the linker takes first, and so everything
 * happens in this process.
 *
 *   {"config": {...}, "archive": true, "metadata": {...}, "texts": {"GROUP": ["weight", ...]},
 *    "sets": {"DATA SET": [3, 3, 3, 8]}, "value": 0.25}
 *
 * keras_seeds.py makes such files of the golden cases. */
#include "support.h"

#include "base/memory.h"
#include "graph/passes.h"
#include "import/hdf5/weight_file.h"
#include "import/import.h"
#include "import/keras/archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *file; /* the input at hand */

struct keras_hdf5 {
    sal_shape shapes[4096];
    size_t count;
};

sal_status keras_hdf5_open(keras_hdf5 **out, const char *path, const char *member)
{
    (void)path;
    (void)member;
    return sal_alloc(out, 1, sizeof **out, "the weights' file");
}

void keras_hdf5_close(keras_hdf5 *f)
{
    sal_free(f);
}

sal_status keras_hdf5_has(int *has, keras_hdf5 *f, const char *object)
{
    (void)f;
    *has = strcmp(object, "model_weights") == 0;
    return SAL_OK;
}

sal_status keras_hdf5_text(char **out, keras_hdf5 *f, const char *group, const char *attribute)
{
    (void)f;
    (void)group;
    const json_t *value = json_object_get(file, strcmp(attribute, "model_config") == 0 ? "config" : attribute);
    *out = json_is_string(value) ? strdup(json_string_value(value)) : json_dumps(value, JSON_COMPACT);
    return SAL_OK;
}

sal_status keras_hdf5_texts(json_t **out, keras_hdf5 *f, const char *group, const char *attribute)
{
    (void)f;
    (void)attribute;
    json_t *list = json_object_get(json_object_get(file, "texts"), group), *value;
    size_t i;
    *out = json_is_array(list) ? json_array() : NULL;
    if (*out)
        json_array_foreach(list, i, value) if (json_is_string(value)) json_array_append(*out, value);
    return SAL_OK;
}

sal_status keras_hdf5_find(uint64_t *index, sal_shape *shape, keras_hdf5 *f, const char *dataset)
{
    static const size_t most = 1 << 18;
    json_t *dims = json_object_get(json_object_get(file, "sets"), dataset);
    size_t product = 1;
    if (!json_is_array(dims) || json_array_size(dims) > SAL_MAX_RANK || f->count == 4096)
        return sal_fail(SAL_ERROR_FORMAT, "there is no %.300s", dataset);
    *shape = (sal_shape){.rank = (int)json_array_size(dims)};
    for (int a = 0; a < shape->rank; a++) {
        shape->dim[a] = (int64_t)json_integer_value(json_array_get(dims, (size_t)a));
        if (shape->dim[a] < 0 || __builtin_mul_overflow(product, (size_t)shape->dim[a], &product) || product > most)
            return sal_fail(SAL_ERROR_FORMAT, "%.300s is too large", dataset);
    }
    f->shapes[f->count] = *shape;
    *index = f->count++;
    return SAL_OK;
}

sal_status keras_hdf5_read(float *out, size_t count, keras_hdf5 *f, uint64_t index)
{
    const json_t *value = json_object_get(file, "value");
    size_t product = 1;
    for (int a = 0; a < f->shapes[index].rank; a++)
        product *= (size_t)f->shapes[index].dim[a];
    if (product != count)
        return sal_fail(SAL_ERROR_FORMAT, "weights of another size than before");
    for (size_t i = 0; i < count; i++)
        out[i] = json_is_number(value) ? (float)json_number_value(value) : 0.25f + (float)(i % 7);
    return SAL_OK;
}

const char keras_archive_weights[] = "model.weights.h5";

sal_status keras_archive_read(json_t **config, json_t **metadata, const char *path, uint64_t max_bytes)
{
    (void)path;
    (void)max_bytes;
    *config = json_incref(json_object_get(file, "config"));
    *metadata = json_incref(json_object_get(file, "metadata"));
    return SAL_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    sal_graph graph;
    sal_import_info info;
    static const sal_limits limits = {.max_model_bytes = (uint64_t)1 << 24, .max_nodes = 10000};
    const sal_model_options options = {.limits = &limits};
    file = json_loadb((const char *)bytes, size, 0, NULL);
    if (!json_is_object(json_object_get(file, "config"))) {
        json_decref(file);
        return -1;
    }
    const int archive = json_is_true(json_object_get(file, "archive"));
    const int ok = fuzz_is_ok(archive ? sal_keras_read_archive(&graph, &info, "fuzz/model.keras", &options)
                                      : sal_keras_read_hdf5(&graph, &info, "fuzz/model.h5", &options));
    FUZZ_REQUIRE(!ok || graph.count > 0);
    if (ok)
        (void)fuzz_is_ok(sal_passes_run(&graph));
    sal_graph_clear(&graph);
    json_decref(file);
    return 0;
}
