/* Memory and errors of an import. */
#include "import/keras/keras_importer.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

sal_status keras_alloc(void *out, keras_importer *k, size_t count, size_t size)
{
    sal_status st = SAL_OK;
    void *block = NULL;
    TRY(sal_alloc(&block, count, size, "the network"));
    TRY(sal_grow(&k->blocks, &k->block_capacity, k->block_count + 1, sizeof *k->blocks, "the network"));
    k->blocks[k->block_count++] = block;
    memcpy(out, &block, sizeof block);
    block = NULL;
done:
    sal_free(block);
    return st;
}

sal_status keras_format(char **out, keras_importer *k, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    sal_status st = keras_alloc(out, k, (size_t)length + 1, 1);
    if (st != SAL_OK)
        return st;
    va_start(args, format);
    vsnprintf(*out, (size_t)length + 1, format, args);
    va_end(args);
    return SAL_OK;
}

sal_status(keras_fail)(keras_importer *k, sal_status status, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!k->layer)
        return sal_fail(status, "%s", text);
    return sal_fail(status, "layer %.200s (%.80s): %s", k->layer->full_name, k->layer->class_name, text);
}

sal_status(keras_fail_export)(keras_importer *k, const char *why)
{
    if (k->version >= 3)
        return keras_fail(k, SAL_ERROR_UNSUPPORTED,
                          "%s; in Python, where the network runs, export it: model.export(\"model.onnx\", "
                          "format=\"onnx\")",
                          why);
    return keras_fail(k, SAL_ERROR_UNSUPPORTED,
                      "%s; export the network: python -m tf2onnx.convert --keras %.200s --output model.onnx", why,
                      k->path);
}

const char *keras_without_path(keras_importer *k, const char *error)
{
    const size_t n = strlen(k->path);
    return strncmp(error, k->path, n) == 0 && strncmp(error + n, ": ", 2) == 0 ? error + n + 2 : error;
}
