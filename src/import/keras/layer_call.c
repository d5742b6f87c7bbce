/* Errors of a layer, which name it. */
#include "import/keras/layer_call.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

sal_status(keras_fail)(const keras_call *c, sal_status status, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (c->layer->outermost)
        return sal_fail(status, "%s", text);
    return sal_fail(status, "layer %.200s (%.80s): %s", c->layer->full_name, c->layer->class_name, text);
}

sal_status(keras_fail_export)(const keras_call *c, const char *why)
{
    if (c->facts->version >= 3)
        return keras_fail(c, SAL_ERROR_UNSUPPORTED,
                          "%s; in Python, where the network runs, export it: model.export(\"model.onnx\", "
                          "format=\"onnx\")",
                          why);
    return keras_fail(c, SAL_ERROR_UNSUPPORTED,
                      "%s; export the network: python -m tf2onnx.convert --keras %.200s --output model.onnx", why,
                      c->facts->path);
}

const char *keras_without_path(const keras_facts *facts, const char *error)
{
    const size_t n = strlen(facts->path);
    return strncmp(error, facts->path, n) == 0 && strncmp(error + n, ": ", 2) == 0 ? error + n + 2 : error;
}
